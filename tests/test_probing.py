"""The probe on a random two-layer Llama: it disturbs nothing, and the step that answers best becomes the adapter."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from engine import jobs, training
from engine.adapters import WEIGHTS, read_adapter
from engine.lora_model import load_for_training
from engine.probes import best, read_probes
from engine.probing import Asker, Prober
from engine.prompts import load_chat_template, load_tokenizer, render
from engine.records import REFUSAL
from engine.run_end import save_peft
from engine.run_start import questions_on_the_way
from engine.training import start_training
from tests.models import write_tiny_base
from tests.test_train_lora import config, losses, places, rows, wait_for  # noqa: F401

SYSTEM = {"role": "system", "content": "Answer from the policies."}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return write_tiny_base(tmp_path_factory.mktemp("base") / "tiny")


def questions(count=6):
    return [[SYSTEM, {"role": "user", "content": f"Rule {n}" + "?" * n}] for n in range(count)]


def held_out(count=12):
    taught = [{**row, "task": "policy_qa"} for row in rows(count) if "messages" in row]
    other = {"task": "policy_qa", "messages": questions(1)[0], "answer": REFUSAL, "kind": "unanswerable"}
    return [*taught, other]


def test_many_answers_at_once_are_those_of_one_at_a_time_by_the_librarys_own_loop(base):
    model = load_for_training(base, config(base), dtype="float32")
    torch.manual_seed(1)
    with torch.no_grad():
        for weights in model.parameters():
            if weights.requires_grad:
                weights.normal_(0, 0.3)
    together = Asker(base, max_tokens=12)(model, questions())
    assert model.training and model.get_base_model().config._attn_implementation == "shared_prefix"
    template, tokenizer = load_chat_template(base), load_tokenizer(base / "tokenizer.json")
    model.eval()
    model.get_base_model().set_attn_implementation("sdpa")
    alone = []
    for asked in questions():
        ids = torch.tensor([tokenizer.encode(render(asked, template=template), add_special_tokens=False).ids])
        out = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=12, do_sample=False,
                             eos_token_id=tokenizer.token_to_id("<|im_end|>"), pad_token_id=0)  # fmt: skip
        alone.append(tokenizer.decode(out[0, ids.shape[1] :].tolist()).strip())
    assert together == alone and len(set(together)) > 3


def test_giving_up_leaves_no_probe(base, tmp_path):
    model = load_for_training(base, config(base), dtype="float32")
    prober = Prober(tmp_path, held_out(), Asker(base), every=5)
    assert prober.ask(model, 5, given_up=lambda: True) is None
    assert read_probes(tmp_path) == [] and model.training


def test_asking_on_the_way_changes_no_loss(base, places):  # noqa: F811
    asked = config(base, max_steps=20, probe_every=4, dropout=0.1)
    with_probes = wait_for(start_training(asked, rows(), **places, held_out=held_out()), "done")
    without = replace(asked, adapter="silent", probe=False, everyday=False)
    assert losses(wait_for(start_training(without, rows(), **places), "done")) == losses(with_probes)
    assert [probe.step for probe in read_probes(Path(with_probes.folder))] == [0, 4, 8, 12, 16, 20]


class Scripted:
    """Answers so that the score of each probe is the one it was given."""

    def __init__(self, *right):
        self.right = list(right)

    def __call__(self, model, asked, given_up=lambda: False):
        right = self.right.pop(0)
        return [f"Rule {n} gives {n + 3} days." if n < right else "Who knows?" for n in range(len(asked))]


def test_the_best_steps_weights_become_the_adapter_and_not_the_last_ones(base, tmp_path):
    items = held_out()[:12]
    prober = Prober(tmp_path, items, Scripted(0, 3, 7, 7, 5), every=1)
    model = load_for_training(base, config(base), dtype="float32")
    weights = next(found for found in model.parameters() if found.requires_grad)
    prober.ask(model, 0)
    for step in (1, 2, 3, 4):
        with torch.no_grad():
            weights.fill_(step)
        prober.ask(model, step, save=save_peft)
    assert prober.keep_best(model, 4).step == 3
    assert float(weights.detach().mean()) == 3.0
    assert [place.name for place in (tmp_path / "best").iterdir()] == ["3"]


def test_a_best_step_whose_weights_are_gone_gives_way_to_one_that_is_there(base, tmp_path):
    prober = Prober(tmp_path, held_out()[:12], Scripted(0, 9, 2), every=1)
    model = load_for_training(base, config(base), dtype="float32")
    for step in (0, 1, 2):
        prober.ask(model, step)
    assert prober.keep_best(model, 2).step == 2


def test_the_card_says_which_step_is_kept_and_why_and_the_adapter_is_that_step(base, places):  # noqa: F811
    settings = config(base, max_steps=60, probe_every=10, learning_rate=0.01, warmup_steps=2)
    job = wait_for(start_training(settings, rows(), **places, held_out=held_out()), "done")
    folder = Path(job.folder)
    chosen = best(read_probes(folder))
    card = read_adapter(places["adapters_dir"], "leave").card
    assert (card["kept"]["step"], card["kept"]["score"]) == (chosen.step, chosen.score)
    assert str(chosen) in card["kept"]["why"] and job.progress["message"].endswith(card["kept"]["why"])
    assert job.progress["probe"] == str(read_probes(folder)[-1])
    assert card["everyday"]["of"] == 100 and len(card["code"]) == 12
    assert load_file(folder / "adapter" / WEIGHTS).keys() and not (folder / "best").exists()


def test_without_held_out_questions_the_last_step_is_kept_and_that_is_said(base, places):  # noqa: F811
    settings = config(base, max_steps=20, everyday=False)
    job = wait_for(start_training(settings, rows(), **places), "done")
    card = read_adapter(places["adapters_dir"], "leave").card
    why = "There were no held-out questions to choose by."
    assert card["kept"] == {"step": 20, "why": f"The last step is kept. {why}"}
    assert "everyday" not in card and why in "\n".join(job.log_tail)


def test_a_run_too_short_to_be_asked_anything_says_so(base, tmp_path):
    (tmp_path / "held_out.jsonl").write_text("".join(json.dumps(row) + "\n" for row in held_out()))
    assert questions_on_the_way(tmp_path, config(base, max_steps=20))[1] == ""
    items, why = questions_on_the_way(tmp_path, config(base, max_steps=19))
    assert items == [] and why == "A run of 19 steps is too short to ask held-out questions on the way."


def test_how_often_to_probe_is_resolved_once_and_written_back(base, places):  # noqa: F811
    settings = config(base, max_steps=None, epochs=4.0, everyday=False)
    job = wait_for(start_training(settings, rows(), **places, held_out=held_out()), "done")
    resolved = training.read_config(Path(job.folder))
    probes = read_probes(Path(job.folder))
    assert resolved.probe_every >= 2 and resolved.max_steps > 7
    wanted = [*range(0, resolved.max_steps, resolved.probe_every), resolved.max_steps]
    assert [probe.step for probe in probes] == wanted
    repeat = replace(resolved, adapter="again")
    again = wait_for(start_training(repeat, rows(), **places, held_out=held_out()), "done")
    assert losses(again) == losses(job)
    assert [probe.answers for probe in read_probes(Path(again.folder))] == [probe.answers for probe in probes]
    known = json.loads((Path(job.folder) / "estimate.json").read_text())
    assert (known["rows"], known["steps"], known["probe_every"]) == (28, resolved.max_steps, resolved.probe_every)
    assert jobs.read_job(Path(job.folder)).progress["estimate"].startswith("28 rows, ")

"""The worker as it really runs, detached, on a random two-layer Llama: it stops, dies, resumes and fails as promised."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from engine import jobs, training
from engine.adapters import read_adapter
from engine.checkpoints import CHECKPOINTS, last_checkpoint
from engine.datasets import held_out_as_questions
from engine.documents import read_bytes
from engine.errors import InvalidInput, NotFound
from engine.generation import make_version
from engine.refusing import choose, setting_of
from engine.replay import LEARNING_RATE
from engine.settings import PROJECT, Settings
from engine.tasks.policy_qa import POLICY_QA
from engine.train_lora import LAST_GOOD
from engine.training import PARENT, config_from, going_on_from, start_training, worker_environment
from engine.updating import update_version
from engine.workspace import Workspace
from tests.models import write_tiny_base

STEPS = 200  # long enough to be interrupted, about three seconds
KINDS = ("answerable", "unanswerable")
NOW = "2026-03-01T10:00:00.000+00:00"


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return write_tiny_base(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture
def places(tmp_path):
    """A workspace whose workers do not outlive the test."""
    yield {
        "runs": tmp_path / "runs",
        "adapters_dir": tmp_path / "adapters",
        "models_dir": tmp_path / "models",
        "now": NOW,
    }
    for entry in (tmp_path / "runs").glob("*/process.json"):
        try:
            worker = psutil.Process(json.loads(entry.read_text())["pid"])
            if str(tmp_path) in " ".join(worker.cmdline()):
                worker.kill()
        except psutil.Error:
            continue  # it is gone already


def config(base, **changes):
    settings = {
        "adapter": "leave",
        "dataset": "leave:1",
        "base": str(base),
        "rank": 4,
        "alpha": 32,
        "layers_from": 0.5,
        "batch_size": 4,
        "max_steps": STEPS,
        "dtype": "float32",
        "threads": 1,
        **changes,
    }
    return config_from(settings)


def rows(count=24):
    found = [
        {
            "messages": [
                {"role": "system", "content": "Answer from the policies."},
                {"role": "user", "content": f"How many days does rule {n} give?"},
            ],
            "answer": f"Rule {n} gives {n + 3} days.",
            "kind": "answerable",
            "fact_id": f"f{n}",
        }
        for n in range(count)
    ]
    return [*found, *({"text": f"Rule {n} is old.", "kind": "statement", "fact_id": f"f{n}"} for n in range(4))]


def held_out(count=20):
    """New wordings of what `rows` teaches, and questions that it does not answer; one batch does not hold them."""
    asked = {"answerable": "Rule {}: how many days?", "unanswerable": "Who wrote rule {}, and where is it kept?"}
    system = {"role": "system", "content": "Answer from the policies."}
    return [
        {"task": "policy_qa", "messages": [system, {"role": "user", "content": said.format(n)}], "kind": kind}
        for kind, said in asked.items()
        for n in range(count)
    ]


def wait_for(job, *states, timeout_s=120.0):
    deadline = time.monotonic() + timeout_s
    while (now := jobs.read_job(Path(job.folder))).state not in states:
        assert now.state == "running", (now.state, now.progress, now.log_tail)
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
    return now


def wait_for_step(job, step, timeout_s=120.0):
    deadline = time.monotonic() + timeout_s
    while (now := jobs.read_job(Path(job.folder))).progress.get("step", 0) < step:
        assert now.state == "running", (now.progress, now.log_tail)
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def losses(job):
    return {point["step"]: point["loss"] for point in jobs.read_metrics(Path(job.folder))}


@pytest.fixture(scope="module")
def finished(base, tmp_path_factory):
    """One whole run, nothing in its way; the reference of the others."""
    workspace = tmp_path_factory.mktemp("whole")
    places = {"runs": workspace / "runs", "adapters_dir": workspace / "adapters", "models_dir": workspace / "models"}
    job = start_training(config(base), rows(), **places, now=NOW, held_out=held_out())
    return wait_for(job, "done")


def test_a_run_learns_and_leaves_an_adapter_with_a_card(finished):
    curve = losses(finished)
    assert list(curve) == list(range(1, STEPS + 1))
    assert curve[STEPS] < curve[1] - 1.0
    adapter = read_adapter(Path(finished.folder).parents[1] / "adapters", "leave")
    assert adapter.dataset == "leave:1"
    counts = {"rows": 28, "statements": 4, "left_out": 0, "rows_seen": STEPS * 4}
    assert adapter.card["counts"] == counts and adapter.card["steps"] == STEPS and adapter.card["stopped"] is False
    assert adapter.card["config"]["rank"] == 4 and adapter.card["run"] == finished.id
    assert (Path(adapter.folder) / "adapter.gguf").read_bytes()[:4] == b"GGUF"


def test_progress_says_what_the_page_shows(finished):
    wanted = {"step", "steps", "loss", "lr", "rows_seen", "tokens_per_s", "eta_s", "peak_mib", "message", "state"}
    assert wanted <= set(finished.progress)
    assert finished.progress["step"] == finished.progress["steps"] == STEPS
    assert finished.progress["tokens_per_s"] > 0 and finished.progress["peak_mib"] > 50


def test_the_rate_warms_up_and_ends_at_its_final_share(finished):
    rates = [point["lr"] for point in jobs.read_metrics(Path(finished.folder))]
    assert max(rates) == pytest.approx(3e-3, rel=0.01)
    assert rates[0] < max(rates) and rates[-1] == pytest.approx(3e-3 * 0.03, rel=0.05)


def test_the_same_config_and_seed_give_the_same_curve(base, places, finished):
    again = wait_for(start_training(config(base), rows(), **places), "done")
    assert losses(again) == losses(finished)


def test_steps_and_number_format_are_resolved_once_and_written_back(base, places):
    job = wait_for(start_training(config(base, max_steps=None, epochs=1.0, dtype="auto"), rows(), **places), "done")
    resolved = training.read_config(Path(job.folder))
    assert resolved.max_steps == 7  # 24 questions in batches of 4 are 6 steps, and a tenth of all is statements
    assert resolved.dtype in ("float32", "bfloat16")
    repeat = wait_for(start_training(config_from({**vars(resolved), "adapter": "again"}), rows(), **places), "done")
    assert losses(repeat) == losses(job)


def test_a_killed_run_died_and_goes_on_as_if_nothing_had_happened(base, places, finished):
    job = start_training(config(base, dataset="leave:1"), rows(), **places)
    wait_for_step(job, STEPS // 4)
    os.kill(job.pid, signal.SIGKILL)
    died = wait_for(job, "died", "done")
    assert died.state == "died", "too fast to kill"
    checkpoint = last_checkpoint(Path(job.folder))
    assert checkpoint is not None and not (places["adapters_dir"] / "leave").exists()
    (checkpoint.parent / "checkpoint-999").mkdir()  # what a kill in the middle of saving leaves
    assert wait_for(jobs.resume(Path(job.folder)), "done").progress["rows_seen"] == STEPS * 4
    resumed, whole = losses(job), losses(finished)
    assert list(resumed) == list(whole)
    assert max(abs(resumed[step] - whole[step]) for step in whole) < 1e-5


def test_a_second_training_waits_and_starts_by_itself_and_its_name_is_taken_meanwhile(base, places):
    quick = {"max_steps": 10, "everyday": False}
    first = start_training(config(base, **quick), rows(), **places)
    second = start_training(config(base, adapter="second", **quick), rows(), **places)
    assert (first.state, second.state) == ("running", "queued")
    for taken in ("leave", "second"):
        with pytest.raises(InvalidInput, match=f"will make an adapter called {taken}. Choose another name"):
            start_training(config(base, adapter=taken, **quick), rows(), **places)
    deadline = time.monotonic() + 400
    while jobs.read_job(Path(second.folder)).state != "done":
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)
    assert jobs.read_job(Path(first.folder)).state == "done"
    assert {path.name for path in places["adapters_dir"].iterdir()} == {"leave", "second"}


@pytest.mark.parametrize("way", ["stop", "SIGTERM"])
def test_a_stopped_run_keeps_a_usable_adapter_and_can_go_on(base, places, finished, way):
    job = start_training(config(base), rows(), **places, held_out=held_out(2))
    wait_for_step(job, 3)
    if way == "stop":
        jobs.stop(Path(job.folder))
    else:
        os.kill(job.pid, signal.SIGTERM)
    stopped = wait_for(job, "stopped")
    early = read_adapter(places["adapters_dir"], "leave")
    assert early.card["stopped"] is True and 3 <= early.card["steps"] < STEPS
    assert [len(early.card["refusal"][kind]) for kind in KINDS] == [2, 2]
    assert stopped.progress["message"].startswith(f"Stopped at step {early.card['steps']} of {STEPS}")
    choose(early, 0.5)
    wait_for(jobs.resume(Path(job.folder)), "done")
    late = read_adapter(places["adapters_dir"], "leave")
    assert late.card["stopped"] is False and late.digest != early.digest
    assert late.card["refusal"] != early.card["refusal"] and setting_of(late).least_refused == 0.5
    assert losses(job) == losses(finished)
    assert [entry.name for entry in places["adapters_dir"].iterdir()] == ["leave"]


def test_a_loss_that_is_no_number_fails_the_run_and_keeps_the_last_good_weights(places, base, tmp_path):
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in base.iterdir():
        (broken / file.name).write_bytes(file.read_bytes())
    weights = load_file(broken / "model.safetensors")
    weights["model.embed_tokens.weight"][3 + ord("9") - ord("!")] = float("inf")  # the token of "9"
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    job = wait_for(start_training(config(broken), rows(), **places), "failed")
    assert "The loss became nan at step" in job.progress["message"]
    assert "last good weights are kept" in job.progress["message"]
    kept = load_file(Path(job.folder) / LAST_GOOD / "adapter_model.safetensors")
    assert all(torch.isfinite(tensor).all() for tensor in kept.values())
    assert not (places["adapters_dir"] / "leave").exists()


def test_a_disk_that_refuses_a_checkpoint_fails_the_run_with_a_sentence_and_leaves_no_half(base, places):
    job = run_with_small_files(base, places, limit_kib=24)
    assert job.state == "failed"
    assert "could not be saved" in job.progress["message"] and "Free some disk space" in job.progress["message"]
    assert not list(places["adapters_dir"].glob("*")) and not list((Path(job.folder) / CHECKPOINTS).glob("*"))


def run_with_small_files(base, places, *, limit_kib):
    """The worker under a limit on file size, which refuses writes as a full disk does, for any user."""
    folder = places["runs"] / "limited"
    folder.mkdir(parents=True)
    (folder / "job.json").write_text(
        json.dumps({"id": "limited", "kind": "training", "title": "Training", "created_at": NOW, "argv": [], "env": {}})
    )
    training.write_config(folder, config(base))
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows()))
    command = f"ulimit -f {limit_kib * 2 if sys.platform == 'darwin' else limit_kib}; exec {sys.executable} -m engine.train_lora {folder}"
    environment = os.environ | worker_environment(places["models_dir"], threads=1)
    done = subprocess.run(["bash", "-c", command], cwd=PROJECT, env=environment, capture_output=True, timeout=120)
    assert done.returncode == 2, done.stderr.decode()
    return jobs.read_job(folder)


def test_rows_too_long_are_left_out_and_counted_and_only_such_rows_fail(base, places):
    long = {**rows(1)[0], "answer": "word " * 200}
    asked = {**long, "task": "policy_qa", "messages": [{"role": "user", "content": "word " * 80}]}
    settings = config(base, max_steps=2, max_tokens=400)
    job = wait_for(start_training(settings, [*rows(8), long], **places, held_out=[asked]), "done")
    card = read_adapter(places["adapters_dir"], "leave").card
    assert card["counts"]["left_out"] == 1 and "refusal" not in card
    assert "1 of 13 rows are longer than 400 tokens" in "\n".join(job.log_tail)
    failed = wait_for(start_training(config(base, adapter="b", max_tokens=400), [long], **places), "failed")
    assert failed.progress["message"].startswith("All 1 training rows are longer than 400 tokens")


def test_a_base_whose_adapter_could_not_be_served_fails_before_any_time_is_spent(places, tmp_path):
    (tmp_path / "gpt").mkdir()
    (tmp_path / "gpt" / "config.json").write_text('{"model_type": "gpt2"}')
    job = wait_for(start_training(config(tmp_path / "gpt"), rows(), **places), "failed")
    assert "of the family 'gpt2'" in job.progress["message"]


def test_the_adapter_holds_what_the_training_model_knew(finished, base):
    """Loaded by PEFT's own classes over transformers' own attention, it predicts the answers it was taught."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    adapter = Path(finished.folder).parents[1] / "adapters" / "leave"
    tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
    plain = AutoModelForCausalLM.from_pretrained(base)

    def loss(model):
        total = []
        for row in rows()[:8]:
            chat = "".join(f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in row["messages"])
            prompt = tokenizer.encode(chat + "<|im_start|>assistant\n", add_special_tokens=False).ids
            answer = tokenizer.encode(row["answer"] + "<|im_end|>", add_special_tokens=False).ids
            labels = torch.tensor([[-100] * len(prompt) + answer])
            with torch.no_grad():
                total.append(model(input_ids=torch.tensor([prompt + answer]), labels=labels).loss.item())
        return sum(total) / len(total)

    untuned = loss(plain)
    tuned = loss(PeftModel.from_pretrained(plain, adapter).eval())
    last = [jobs.read_metrics(Path(finished.folder))[n]["loss"] for n in (-3, -2, -1)]
    assert tuned < untuned - 1.0
    assert min(last) - 0.5 < tuned < max(last) + 0.5


def test_the_card_tells_how_clearly_it_refuses_each_held_out_question(finished, base):
    """Compared with PEFT's own classes over transformers' own attention, one prompt at a time."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    adapter = read_adapter(Path(finished.folder).parents[1] / "adapters", "leave")
    tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapter.folder).eval()
    token = tokenizer.token_to_id("N")  # a base of bytes; the refusal is "Not specified ..."

    def margin(row):
        chat = "".join(f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in row["messages"])
        prompt = tokenizer.encode(chat + "<|im_start|>assistant\n", add_special_tokens=False).ids
        with torch.no_grad():
            scores = torch.log_softmax(model(input_ids=torch.tensor([prompt])).logits[0, -1], -1)
        return (scores[token] - torch.cat([scores[:token], scores[token + 1 :]]).max()).item()

    by_hand = {kind: [margin(row) for row in held_out() if row["kind"] == kind] for kind in KINDS}
    refusal = adapter.card["refusal"]
    assert (refusal["task"], refusal["token"]) == ("policy_qa", token)
    assert all(refusal[kind] == pytest.approx(by_hand[kind], abs=0.02) for kind in KINDS)
    assert len({margin for kind in KINDS for margin in refusal[kind]}) > 10


@pytest.fixture
def parent(finished, places):
    """The adapter of the finished run, in this test's workspace."""
    home = Path(finished.folder).parents[1] / "adapters" / "leave"
    shutil.copytree(home, places["adapters_dir"] / "leave")
    return read_adapter(places["adapters_dir"], "leave")


def changed_rows():
    return [{**row, "answer": row["answer"].replace("days", "weeks")} for row in rows(8) if "answer" in row]


def test_an_update_run_begins_with_what_its_parent_knows(base, places, parent, finished):
    update = going_on_from(config(base, adapter="second", dataset="leave:2", max_steps=30, warmup_steps=1), parent)
    assert (update.parent, update.parent_digest, update.first_steps) == ("leave", parent.digest, STEPS)
    job = wait_for(start_training(update, changed_rows(), **places), "done")
    fresh = wait_for(
        start_training(config(base, adapter="fresh", max_steps=30, warmup_steps=1), changed_rows(), **places), "done"
    )
    last = [point["loss"] for point in jobs.read_metrics(Path(finished.folder))][-1]
    assert losses(job)[1] < losses(fresh)[1] - 1.0 and losses(fresh)[1] > last + 1.0
    assert losses(job)[30] < losses(job)[1]
    card = read_adapter(places["adapters_dir"], "second").card
    assert card["config"]["parent"] == "leave" and card["config"]["parent_digest"] == parent.digest
    assert read_adapter(places["adapters_dir"], "second").digest != parent.digest


def test_an_update_run_killed_goes_on_exactly_even_when_its_parent_is_gone(base, places, parent):
    update = going_on_from(config(base, adapter="second"), parent)
    whole = wait_for(start_training(update, changed_rows(), **places), "done")
    job = start_training(going_on_from(config(base, adapter="third"), parent), changed_rows(), **places)
    shutil.rmtree(places["adapters_dir"] / "leave")
    wait_for_step(job, STEPS // 4)
    os.kill(job.pid, signal.SIGKILL)
    assert wait_for(job, "died", "done").state == "died", "too fast to kill"
    wait_for(jobs.resume(Path(job.folder)), "done")
    resumed, unbroken = losses(job), losses(whole)
    assert list(resumed) == list(unbroken)
    assert max(abs(resumed[step] - unbroken[step]) for step in unbroken) < 1e-5


@pytest.mark.parametrize(
    ("setting", "value"), [("rank", 8), ("alpha", 16), ("target_modules", "q,v"), ("layers_from", 0.0)]
)
def test_an_update_run_of_another_shape_is_refused_before_it_starts(base, places, parent, setting, value):
    update = replace(going_on_from(config(base, adapter="second"), parent), **{setting: value})
    with pytest.raises(InvalidInput, match=f"leave was trained with {setting}"):
        start_training(update, changed_rows(), **places)
    assert not list(places["runs"].glob("*/config.json"))


def test_an_update_run_keeps_its_parents_shape_whatever_the_preset_says(base, parent):
    update = going_on_from(config(base, rank=8, layers_from=0.0, learning_rate=1e-4), parent)
    assert (update.rank, update.layers_from, update.learning_rate) == (4, 0.5, 1e-4)


def test_an_update_run_on_another_base_or_from_another_adapter_than_planned_is_refused(base, places, parent, tmp_path):
    with pytest.raises(InvalidInput, match="cannot go on from there on other/base"):
        going_on_from(config("other/base", adapter="second"), parent)
    update = going_on_from(config(base, adapter="second"), parent)
    with pytest.raises(InvalidInput, match="is another one than when this run was planned"):
        start_training(replace(update, parent_digest="0" * 64), changed_rows(), **places)
    with pytest.raises(NotFound, match="There is no adapter called ghost"):
        start_training(replace(update, parent="ghost"), changed_rows(), **places)
    other = shutil.copytree(base, tmp_path / "other")
    with pytest.raises(InvalidInput, match="Choose the same base"):
        start_training(replace(update, base=str(other)), changed_rows(), **places)


def test_weights_of_another_shape_fail_the_run_with_a_sentence(base, places, parent):
    """What a hand-made card may hide from the check before the start."""
    weights = Path(parent.folder) / "adapter_model.safetensors"
    tensors = load_file(weights)
    del tensors[sorted(tensors)[0]]
    save_file(tensors, weights, metadata={"format": "pt"})
    card = json.loads((Path(parent.folder) / "card.json").read_text())
    digest = sha256(weights.read_bytes()).hexdigest()
    (Path(parent.folder) / "card.json").write_text(json.dumps({**card, "digest": digest}))
    update = going_on_from(config(base, adapter="second"), read_adapter(places["adapters_dir"], "leave"))
    job = wait_for(start_training(update, changed_rows(), **places), "failed")
    assert "has other LoRA weights than this run would train" in job.progress["message"]
    assert (Path(job.folder) / PARENT).is_file()


def test_a_new_edition_is_learned_in_less_than_a_third_of_the_first_runs_steps(base, tmp_path):
    """From the workspace's side: which rows, how many steps, how fast; the tiny model learns nothing worth asking."""
    text = "# Travel\n\n## 1 Booking\n\n" + " ".join(
        f"Employees book the {thing} at least {days} days before the trip."
        for days, thing in enumerate(("flight", "hotel", "ferry", "taxi", "train", "visa", "badge", "room"), start=11)
    )
    workspace = Workspace.open(replace(Settings.read(workspace=str(tmp_path / "ws")), threads=1))
    old, new = (read_bytes("travel.md", said.encode()) for said in (text, text.replace("11 days", "25 days")))
    for document in (old, new):
        workspace.store.add_document(document, now=NOW)
    first = make_version(workspace.store, "travel", [old], task=POLICY_QA, now=NOW)
    settings = {"dataset": "travel", "max_steps": 60, "max_tokens": 512}
    wait_for(workspace.train(config(base, **settings)), "done")
    measured = read_adapter(workspace.adapters_dir, "leave").card["refusal"]
    wanted = Counter(question.kind for question in held_out_as_questions(workspace.store.rows(first.id)))
    assert {kind: len(measured[kind]) for kind in KINDS} == wanted and min(wanted.values()) > 0
    second, _ = update_version(workspace.store, first, [new], now=NOW)
    job = workspace.update(config(base, adapter="second", **{**settings, "max_steps": None}), "leave")
    wait_for(job, "done")
    run = training.read_config(Path(job.folder))
    assert (run.dataset, run.parent, run.first_steps, run.learning_rate) == (second.title, "leave", 60, LEARNING_RATE)
    assert run.max_steps < 20
    rows = [row.get("answer") or row["text"] for row in training.read_rows(Path(job.folder))]
    assert sum("25 days" in row for row in rows) >= 5 and not any("11 days" in row for row in rows)
    assert any("18 days" in row for row in rows)  # replayed
    workspace.close()

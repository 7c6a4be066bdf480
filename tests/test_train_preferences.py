"""Runs on votes, on a random two-layer Llama: they begin at the adapter voted on, learn what was preferred, stop and go on exactly."""

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer

from engine import train_lora, train_preferences
from engine.adapters import read_adapter
from engine.errors import InvalidInput
from engine.jobs import Interruption, Progress, read_metrics
from engine.preferring import FEWEST_VOTES, LEARNING_RATE, voted_on
from engine.settings import Settings
from engine.tasks.policy_qa import POLICY_QA
from engine.training import HELD_OUT, PARENT, ROWS, read_config, read_rows, start_training, write_config
from engine.workspace import Workspace
from tests.page import add_policy
from tests.test_train_lora import NOW, base, config, held_out, rows, wait_for  # noqa: F401 (base is a fixture)
from tests.votes import judge

STEPS = 12


class StopAfter(Interruption):
    """Asks the run to stop once it was looked at so many times."""

    def __init__(self, folder: Path, looks: int) -> None:
        super().__init__(folder)
        self._looks = looks

    @property
    def wanted(self) -> bool:
        self._looks -= 1
        return self._looks < 0


def write_run(folder, settings, found, *, parent=None):
    folder.mkdir(parents=True)
    write_config(folder, settings)
    (folder / ROWS).write_text("".join(json.dumps(row) + "\n" for row in found))
    (folder / HELD_OUT).write_text("".join(json.dumps(row) + "\n" for row in held_out(2)))
    if parent:
        shutil.copyfile(Path(parent.folder) / "adapter_model.safetensors", folder / PARENT)
    return folder


@pytest.fixture(scope="module")
def parent(base, tmp_path_factory):  # noqa: F811
    """An adapter that has learned a little."""
    home = tmp_path_factory.mktemp("parent")
    folder = write_run(home / "runs" / "first", config(base, max_steps=40), rows())
    train_lora.run(folder, Progress(folder), Interruption(folder), models_dir=home)
    return read_adapter(home / "adapters", "leave")


def voted(method, count=16):
    """Of two answers that the adapter was never taught, the one in weeks is preferred."""
    asked = [row for row in rows(count) if "answer" in row]
    weeks = [{**row, "answer": row["answer"].replace("days", "weeks"), "votes": [n]} for n, row in enumerate(asked)]
    hours = [row["answer"].replace("days", "hours") for row in asked]
    if method == "dpo":
        return [{**row, "rejected": other} for row, other in zip(weeks, hours, strict=True)]
    unwanted = [{**row, "answer": other, "label": False} for row, other in zip(weeks, hours, strict=True)]
    return [{**row, "label": True} for row in weeks] + unwanted


def on_votes(method, parent, **changes):
    settings = {"learning_rate": 5e-3, "batch_size": 8, "warmup_steps": 1, "max_steps": STEPS, "beta": 0.1, **changes}
    shape = parent.card["config"]
    return replace(
        config(shape["base"], adapter=f"by-{method}", method=method, **settings),
        parent=parent.name,
        parent_digest=parent.digest,
    )


def ran(folder, looks=None):
    interruption = Interruption(folder) if looks is None else StopAfter(folder, looks)
    train_preferences.run(folder, Progress(folder), interruption, models_dir=folder.parent)
    return [point["loss"] for point in read_metrics(folder)]


def gains(adapter, pairs, base):  # noqa: F811
    """Of each pair, log p(better) - log p(worse) by PEFT's own classes over transformers' own attention."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    tokenizer = Tokenizer.from_file(str(Path(base) / "tokenizer.json"))
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapter.folder).eval()

    def score(row, answer):
        chat = "".join(f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in row["messages"])
        prompt = tokenizer.encode(chat + "<|im_start|>assistant\n", add_special_tokens=False).ids
        target = tokenizer.encode(answer + "<|im_end|>", add_special_tokens=False).ids
        with torch.no_grad():
            scores = torch.log_softmax(model(input_ids=torch.tensor([prompt + target])).logits[0, :-1], -1)
        return scores[range(len(prompt) - 1, len(prompt) + len(target) - 1), target].sum().item()

    return [score(row, row["answer"]) - score(row, row["rejected"]) for row in pairs]


@pytest.fixture(scope="module")
def by_dpo(parent, tmp_path_factory):
    """A whole DPO run, nothing in its way."""
    home = tmp_path_factory.mktemp("dpo")
    folder = write_run(home / "runs" / "votes", on_votes("dpo", parent), voted("dpo"), parent=parent)
    ran(folder)
    return folder


def test_dpo_begins_at_the_adapter_voted_on_and_moves_it_to_what_was_preferred(by_dpo, parent, base):  # noqa: F811
    losses = [point["loss"] for point in read_metrics(by_dpo)]
    assert losses[0] == pytest.approx(math.log(2), abs=1e-4)  # no answer has gained on the reference yet
    assert len(losses) == STEPS and losses[-1] < 0.6
    tuned = read_adapter(by_dpo.parents[1] / "adapters", "by-dpo")
    before, after = gains(parent, voted("dpo"), base), gains(tuned, voted("dpo"), base)
    assert all(new > old + 1 for old, new in zip(before, after, strict=True))
    found = tuned.card["preferences"]
    assert found["votes"] == list(range(16)) and found["beta"] == 0.1
    # two batches are a pass; by hand, the loss of a pair whose margin is m is -log(sigmoid(m))
    assert found["accuracy"] == 1.0 and -math.log(1 / (1 + math.exp(-found["margin"]))) == pytest.approx(
        losses[-1], abs=0.1
    )


def test_what_a_run_on_votes_leaves_is_an_adapter_like_every_other(by_dpo, parent):
    tuned = read_adapter(by_dpo.parents[1] / "adapters", "by-dpo")
    assert (Path(tuned.folder) / "adapter.gguf").read_bytes()[:4] == b"GGUF"
    sizes = [(Path(a.folder) / "adapter_model.safetensors").stat().st_size for a in (parent, tuned)]
    assert sizes[0] == pytest.approx(sizes[1], rel=0.01)  # and no second copy, of the reference
    assert tuned.digest != parent.digest and tuned.card["config"]["parent"] == "leave"
    assert tuned.card["config"]["method"] == "dpo" and tuned.card["counts"]["rows"] == 16
    assert len(tuned.card["refusal"]["unanswerable"]) == 2
    assert json.loads((by_dpo / "progress.json").read_text())["state"] == "done"


def test_a_run_on_votes_that_was_stopped_keeps_an_adapter_and_goes_on_exactly(by_dpo, parent, tmp_path):
    folder = write_run(tmp_path / "runs" / "votes", on_votes("dpo", parent), voted("dpo"), parent=parent)
    ran(folder, looks=5)
    early = read_adapter(tmp_path / "adapters", "by-dpo")
    assert early.card["stopped"] and 0 < early.card["steps"] < STEPS
    whole = [point["loss"] for point in read_metrics(by_dpo)]
    assert ran(folder) == pytest.approx(whole, abs=1e-5)
    late = read_adapter(tmp_path / "adapters", "by-dpo")
    assert not late.card["stopped"] and late.digest != early.digest


def test_kto_begins_at_the_adapter_voted_on_and_tells_wanted_from_unwanted(parent, tmp_path, base):  # noqa: F811
    folder = write_run(tmp_path / "runs" / "votes", on_votes("kto", parent), voted("kto"), parent=parent)
    losses = ran(folder)
    assert losses[0] == pytest.approx(0.5, abs=1e-4) and losses[-1] < 0.45
    tuned = read_adapter(tmp_path / "adapters", "by-kto")
    before, after = gains(parent, voted("dpo"), base), gains(tuned, voted("dpo"), base)
    assert sum(after) > sum(before) + 16
    assert tuned.card["config"]["method"] == "kto" and tuned.card["preferences"]["margin"] > 0


def test_rows_too_long_are_left_out_and_only_such_rows_fail(parent, tmp_path):
    long = {**voted("dpo")[0], "rejected": "word " * 100}
    folder = write_run(
        tmp_path / "runs" / "a",
        on_votes("dpo", parent, max_tokens=300, max_steps=1),
        [*voted("dpo"), long],
        parent=parent,
    )
    ran(folder)
    assert read_adapter(tmp_path / "adapters", "by-dpo").card["counts"]["left_out"] == 1
    alone = write_run(tmp_path / "runs" / "b", on_votes("dpo", parent, max_tokens=300), [long], parent=parent)
    with pytest.raises(InvalidInput, match="All 1 rows are longer than 300 tokens"):
        ran(alone)


@pytest.fixture
def workspace(parent, tmp_path):
    """A workspace with a dataset version and the adapter, and no vote yet."""
    workspace = Workspace.open(replace(Settings.read(workspace=str(tmp_path / "ws")), threads=1))
    add_policy(workspace)
    shutil.copytree(parent.folder, workspace.adapters_dir / "leave")
    return workspace


def vote_on(workspace, count, *verdict, models=("base", "leave"), start=0):
    for n in range(start, start + count):
        judge(workspace.store, f"Where is room{n} of wing{n}?", f"Cellar {n}.", f"Floor {n}.", *verdict, models=models)


def test_too_few_decided_votes_are_refused_with_the_reason_and_the_way_to_use_them(workspace, base):  # noqa: F811
    vote_on(workspace, FEWEST_VOTES - 1, "b")
    vote_on(workspace, 9, "tie", start=100)
    judge(workspace.store, "How many days of annual leave a year?", "One.", "Two.", "b", "a", models=("base", "leave"))
    with pytest.raises(InvalidInput) as refused:
        workspace.prefer(config(base, adapter="leave-dpo", dataset="leave", method="dpo"))
    said = str(refused.value)
    assert "DPO needs 40 decided votes on leave, and 39 of 41 can be used" in said
    assert "9 of its votes: both good" in said and "2 of its votes: raters disagree" in said
    assert "app.py next --dataset leave && app.py train --dataset leave --adapter leave-dpo" in said
    assert workspace.jobs() == []


def test_forty_decided_votes_start_a_run_that_ends_with_an_adapter(workspace, base):  # noqa: F811
    vote_on(workspace, FEWEST_VOTES, "b")
    settings = config(base, adapter="second", dataset="leave", method="dpo", max_steps=2)
    job, found = workspace.prefer(settings)
    run = read_config(Path(job.folder))
    assert (run.parent, run.learning_rate, run.dtype, run.dataset) == ("leave", LEARNING_RATE, "float32", "leave:1")
    assert len(read_rows(Path(job.folder))) == len(found.rows) == FEWEST_VOTES
    wait_for(job, "done")
    assert read_adapter(workspace.adapters_dir, "second").card["preferences"]["votes"] == list(range(1, 41))


def test_the_adapter_with_the_most_decided_votes_is_the_one_gone_on_from(workspace):
    vote_on(workspace, 3, "b", models=("base", "leave"))
    vote_on(workspace, 4, "tie", models=("base", "other"), start=10)
    assert voted_on(workspace.store, POLICY_QA, ["leave", "other"]) == "leave"
    vote_on(workspace, 3, "b", models=("leave", "other"), start=20)
    vote_on(workspace, 3, "b", models=("base", "other"), start=30)
    with pytest.raises(InvalidInput, match=r"leave and other have 6 decided votes each\. .*--from NAME"):
        voted_on(workspace.store, POLICY_QA, ["leave", "other"])
    with pytest.raises(InvalidInput, match="No adapter has a decided vote yet"):
        voted_on(workspace.store, POLICY_QA, ["third"])


def test_votes_cannot_train_an_adapter_that_reads_clauses(workspace, parent, base):  # noqa: F811
    card = Path(workspace.adapters_dir / "leave" / "card.json")
    told = json.loads(card.read_text())
    card.write_text(json.dumps({**told, "config": {**told["config"], "mode": "grounded"}}))
    vote_on(workspace, FEWEST_VOTES, "b")
    with pytest.raises(InvalidInput, match="leave reads clauses"):
        workspace.prefer(config(base, adapter="second", dataset="leave", method="kto"))


def test_a_run_on_votes_without_an_adapter_to_go_on_from_is_refused(base, tmp_path):  # noqa: F811
    places = {"runs": tmp_path / "runs", "adapters_dir": tmp_path / "adapters", "models_dir": tmp_path, "now": NOW}
    with pytest.raises(InvalidInput, match="KTO goes on from the adapter that was voted on"):
        start_training(config(base, method="kto"), voted("kto"), **places)

"""The Train tab: its words about a run, and its refusals. That a run outlives the page is tested with the jobs."""

import json
from typing import get_args

import pytest
from gradio_client.exceptions import AppError

from engine.adapters import CARD, FILES
from engine.records import Job, Mode
from engine.training import PRESETS, Method
from tests.page import add_policy, stand_in_workspace, visiting
from tests.votes import judge
from ui.ask import MODES
from ui.runs import in_words
from ui.training import COSTS, METHODS, free_name


@pytest.fixture
def workspace(tmp_path):
    workspace = stand_in_workspace(tmp_path / "workspace")
    add_policy(workspace)
    return workspace


def job(state, **progress):
    return Job("1", "training", "Training x on leave:1", state, "", "2026-05-01T12:00:00Z", 1, progress)


def test_every_preset_is_offered_with_what_it_costs():
    assert [name for _, name in COSTS] == list(PRESETS)
    assert f"at most {PRESETS['quick']['max_minutes']:.0f} minutes" in COSTS[0][0]


@pytest.mark.parametrize(
    ("run", "says"),
    [
        (job("running", message="Preparing."), "Training x on leave:1. Preparing."),
        (
            job("running", step=3, steps=10, loss=1.25, eta_s=75, tokens_per_s=320.4, probe="5 of 9 right"),
            "Training x on leave:1: step 3 of 10, loss 1.250, 320 tokens/s, held out: 5 of 9 right, about 75 s left",
        ),
        (job("running", step=3, steps=10, eta_s=600), "Training x on leave:1: step 3 of 10, about 10 min left"),
        (job("stopped", message="The adapter is usable."), "Training x on leave:1: stopped. The adapter is usable."),
        (job("died"), "Training x on leave:1: its process is gone without a last word. Resume it, or start again."),
    ],
)
def test_a_run_is_told_in_one_line(run, says):
    assert in_words(run) == says


def test_a_name_is_proposed_that_is_not_taken(workspace):
    assert free_name(workspace, "leave:1") == "leave-1"
    workspace.stand_ins = [*workspace.stand_ins, type(workspace.stand_ins[0])("leave-1", "")]
    assert free_name(workspace, "leave:1") == "leave-1b"


@pytest.mark.parametrize(
    ("dataset", "adapter", "says"),
    [("travel:1", "x", "No dataset"), ("leave:1", "../x", "x"), ("leave:1", "", "cannot be called")],
)
def test_a_run_that_cannot_start_leaves_nothing_behind(workspace, dataset, adapter, says):
    with visiting(workspace) as client, pytest.raises(AppError, match=says):
        client.predict(dataset, adapter, "quick", 0, 2, api_name="/train")
    assert [path for path in workspace.runs_dir.glob("*") if path.is_dir()] == []


def test_a_run_on_votes_says_on_the_page_how_many_are_missing(workspace):
    judge(workspace.store, "Who feeds the parrot?", "Nobody.", "Ann does.", "b")
    adapter = workspace.adapters_dir / "tuned"
    write_adapter(adapter)
    asked = ("leave:1", "second", "quick", 0, 2, "closed", False, "dpo")
    with (
        visiting(workspace) as client,
        pytest.raises(AppError, match="DPO needs 40 decided votes on tuned, and 1 of 1"),
    ):
        client.predict(*asked, api_name="/train")
    assert [path for path in workspace.runs_dir.glob("*") if path.is_dir()] == []


def write_adapter(folder):
    """What is looked at before a run starts: that its files are there, and its card."""
    folder.mkdir()
    for name in FILES:
        (folder / name).write_text("{}")
    (folder / CARD).write_text(json.dumps({"base": "base", "dataset": "leave:1", "digest": "d", "config": {}}))


def test_every_method_is_offered():
    assert [method for _, method in METHODS] == list(get_args(Method))


def test_the_modes_are_those_a_model_is_asked_in():
    assert [mode for _, mode in MODES] == list(get_args(Mode))


def test_stopping_what_does_not_run_is_refused(workspace):
    folder = workspace.runs_dir / "20260501-1"
    folder.mkdir()
    entry = {
        "id": folder.name,
        "kind": "training",
        "title": "Training x",
        "created_at": "2026-05-01",
        "argv": [],
        "env": {},
    }
    (folder / "job.json").write_text(json.dumps(entry))
    (folder / "progress.json").write_text(json.dumps({"state": "done"}))
    with visiting(workspace) as client, pytest.raises(AppError, match="not running"):
        client.predict(folder.name, api_name="/stop")

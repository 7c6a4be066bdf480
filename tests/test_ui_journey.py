"""There is always one obvious next step, read off the workspace."""

import pytest

from engine import battles, datasets
from engine.tasks.policy_qa import POLICY_QA
from tests.models import EchoModel
from tests.page import add_policy, stand_in_workspace
from ui.journey import STEPS, as_html, standing


@pytest.fixture
def workspace(tmp_path):
    return stand_in_workspace(tmp_path / "workspace", EchoModel("base", "No."))


def test_the_next_step_follows_the_loop_from_document_to_next_version(workspace):
    def here():
        now = standing(workspace)
        return STEPS[now.step], now.tab

    assert standing(workspace).empty and here() == ("Document", "dataset")
    version = add_policy(workspace)
    assert here() == ("Train", "train")
    workspace.stand_ins = [EchoModel("base", "No."), EchoModel("tuned", "25 days.")]
    assert here() == ("Compare blind", "arena")
    models = (workspace.model("base"), workspace.model("tuned"))
    battle = battles.open_battle(
        workspace.store, POLICY_QA, "A bicycle?", models, rng=workspace.rng, now=workspace.now()
    )
    list(battles.play(workspace.store, battle, models, POLICY_QA, now=workspace.now()))
    battles.vote(workspace.store, battle.id, rater="Ann", choice="b", now=workspace.now())
    assert here() == ("Next version", "dataset") and "1 vote can go" in standing(workspace).sentence
    datasets.next_version(workspace.store, version, now=workspace.now())
    assert here() == ("Train", "train") and "leave:2 is newer" in standing(workspace).sentence


def test_the_line_of_steps_marks_one_as_next_and_escapes_names(workspace):
    add_policy(workspace)
    html = as_html(standing(workspace))
    assert html.count('aria-current="step"') == 1
    assert [f"<b>{step}</b>" in html for step in STEPS] == [True] * 6

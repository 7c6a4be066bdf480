"""Labelling through the page: each row once, saved with the rater's name, and the next one follows."""

import pytest
from gradio_client.exceptions import AppError

from engine import labels
from tests.page import add_policy, stand_in_workspace, visiting
from ui.labelling import TITLES


@pytest.fixture
def workspace(tmp_path):
    workspace = stand_in_workspace(tmp_path / "workspace")
    add_policy(workspace)
    return workspace


def test_every_verdict_of_the_engine_has_a_button():
    assert tuple(TITLES) == labels.VERDICTS


def test_a_label_is_saved_and_brings_the_next_row(workspace):
    version = workspace.store.datasets()[0]
    first, second = (row.example for row in labels.queue(workspace.store, version, rater="Ann")[:2])
    with visiting(workspace) as client:
        with pytest.raises(AppError, match="no row on the screen"):
            client.predict("leave:1", "Ann", "", None, "", api_name="/label_right")
        client.predict("leave:1", "Ann", api_name="/next_row")
        progress, question, *_ = client.predict(
            "leave:1", "Ann", "Four days.", "no", "number, date", api_name="/label_wrong"
        )
    (label,) = workspace.store.labels(version.id)
    assert (label.example_id, label.rater, label.verdict, label.gold) == (first.id, "Ann", "wrong", "Four days.")
    assert (label.grounded, label.tags) == ("no", ("number", "date")) and label.seconds > 0
    assert question == second.question and progress.startswith("1 judged by you")


def test_a_label_without_a_name_is_refused(workspace):
    with visiting(workspace) as client:
        client.predict("leave:1", "", api_name="/next_row")
        with pytest.raises(AppError, match="Type yours"):
            client.predict("leave:1", " ", "", None, "", api_name="/label_right")
    assert workspace.store.labels(1) == []


def test_the_last_judgement_is_taken_back_and_its_row_comes_again_with_nothing_filled_in(workspace):
    version = workspace.store.datasets()[0]
    first = labels.queue(workspace.store, version, rater="Ann")[0].example
    with visiting(workspace) as client:
        with pytest.raises(AppError, match="no judgement of yours"):
            client.predict("leave:1", "Ann", api_name="/undo_label")
        client.predict("leave:1", "Ann", api_name="/next_row")
        client.predict("leave:1", "Ann", "Four.", "yes", "x", api_name="/label_wrong")
        progress, question, _, _, gold, grounded, tags, *_ = client.predict("leave:1", "Ann", api_name="/undo_label")
    assert (question, gold, grounded, tags) == (first.question, "", None, "") and progress.startswith("0 judged by you")
    assert [old.verdict for old in workspace.store.label_history(version.id, first.id, "Ann")] == ["wrong", "unclear"]


def test_a_disagreement_is_seen_by_those_who_judged_and_settled(workspace):
    version, store = workspace.store.datasets()[0], workspace.store
    row = labels.queue(store, version, rater="Ann")[0].example.id
    for rater, verdict in (("Ann", "right"), ("Bob", "wrong")):
        labels.label_row(store, version, row, rater=rater, verdict=verdict, now="1")
    with visiting(workspace) as client:
        client.predict("leave:1", "Eve", api_name="/next_row")
        with pytest.raises(
            AppError, match="not in the list of choices"
        ):  # Eve has still to judge it, so it is not offered
            client.predict("leave:1", "Eve", row, api_name="/disagreement")
        client.predict("leave:1", "Ann", api_name="/next_row")
        _, said, *_ = client.predict("leave:1", "Ann", row, api_name="/disagreement")
        with pytest.raises(AppError, match="what holds of it"):
            client.predict("leave:1", "Ann", row, None, "", api_name="/settle")
        client.predict("leave:1", "Ann", row, "wrong", "Four.", api_name="/settle")
    assert sorted(line[:2] for line in said["value"]["data"]) == [["Ann", "right"], ["Bob", "wrong"]]
    assert labels.disagreements(store, version) == []


def test_rows_are_dealt_as_planned_from_the_page(workspace):
    version = workspace.store.datasets()[0]
    with visiting(workspace) as client:
        with pytest.raises(AppError, match="needs a name"):
            client.predict("leave:1", "", 2, 20, "Be strict.", api_name="/plan_labels")
        client.predict("leave:1", "Ann", 2, 20, "Be strict.", api_name="/plan_labels")
    plan = workspace.store.desk_plan(version.id)
    assert (plan.raters, plan.shared, plan.guidelines, plan.rater) == (2, 0.2, "Be strict.", "Ann")

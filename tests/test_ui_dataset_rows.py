"""The rows of a version on the page: found, opened and judged; what a visitor says is a label, and the version stays as it is."""

import pytest
from gradio_client.exceptions import AppError

from engine.records import Label
from tests.page import add_policy, stand_in_workspace, visiting
from ui.dataset_row import judgements
from ui.dataset_rows import FILTERS, wanted_rows

ALL = ["leave:1", "all", "", "", "", ""]


@pytest.fixture
def workspace(tmp_path):
    workspace = stand_in_workspace(tmp_path / "workspace")
    add_policy(workspace)
    return workspace


@pytest.fixture
def client(workspace):
    with visiting(workspace) as client:
        yield client


def test_the_form_asks_the_store_for_what_it_says(workspace):
    version = workspace.store.dataset("leave")

    def found(*form):
        return workspace.store.rows(version.id, **wanted_rows(*form))

    assert len(found("all", "", "", "", "")) == version.counts["proposed"]
    for which in ("train", "probe", "test", "rejected", "failed"):
        assert len(found(which, "", "", "", "")) == version.counts[which]
    assert set(FILTERS) == {"all", "train", "probe", "test", "rejected", "failed"}
    assert {row.example.kind for row in found("train", "statement", "", "", "")} == {"statement"}
    reason = next(iter(workspace.store.rejections(version.id)))
    assert {row.reason for row in found("all", "", reason, "", "")} == {reason}
    assert all(
        "hotel" in f"{row.example.question} {row.example.answer}".lower() for row in found("all", "", "", "", " Hotel ")
    )
    assert found("all", "", "", "", "Hotel")


def test_judging_without_an_open_row_or_as_nobody_is_refused_and_nothing_is_saved(client, workspace):
    for name in ("/row_accept", "/row_reject"):
        with pytest.raises(AppError, match="Open a row first"):
            client.predict(*ALL, "Ann", api_name=name)
    with pytest.raises(AppError, match="Open a row first"):
        client.predict(*ALL, "Ann", "Q?", "A.", api_name="/row_edit")
    with pytest.raises(AppError, match="nothing to take back"):
        client.predict(*ALL, "Ann", api_name="/row_undo")
    assert workspace.store.labels(1) == []


def test_what_people_said_of_a_row_stands_in_a_word_beside_it():
    def label(example_id, rater, verdict, **said):
        return Label(0, 1, example_id, rater, verdict, "1", **said)

    given = [
        label("a", "ann", "right"),
        label("a", "bob", "right"),
        label("b", "ann", "wrong"),
        label("b", "bob", "right", gold="No."),
        label("c", "ann", "unclear"),
        label("d", "ann", "right", question="Q?"),
        label("e", "ann", "should_refuse"),
    ]
    assert judgements(given) == {"a": "accepted", "b": "rejected, edited", "d": "edited", "e": "should refuse"}

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
            client.predict("leave:1", "Ann", "", api_name="/label_right")
        client.predict("leave:1", "Ann", api_name="/next_row")
        progress, question, *_ = client.predict("leave:1", "Ann", "Four days.", api_name="/label_wrong")
    (label,) = workspace.store.labels(version.id)
    assert (label.example_id, label.rater, label.verdict, label.gold) == (first.id, "Ann", "wrong", "Four days.")
    assert question == second.question and progress.startswith("1 judged by you")


def test_a_label_without_a_name_is_refused(workspace):
    with visiting(workspace) as client:
        client.predict("leave:1", "", api_name="/next_row")
        with pytest.raises(AppError, match="Type yours"):
            client.predict("leave:1", " ", "", api_name="/label_right")
    assert workspace.store.labels(1) == []

"""A new edition through the page, and two versions side by side."""

import pytest
from gradio_client import handle_file
from gradio_client.exceptions import AppError

from tests.page import POLICY, add_policy, stand_in_workspace, visiting


@pytest.fixture
def workspace(tmp_path):
    workspace = stand_in_workspace(tmp_path / "workspace")
    add_policy(workspace)
    return workspace


def test_a_changed_policy_is_told_clause_by_clause_and_makes_the_next_version(workspace, tmp_path):
    (tmp_path / "leave.md").write_text(POLICY.replace("25 days of annual", "28 days of annual"))
    with visiting(workspace) as client:
        files = [handle_file(tmp_path / "leave.md")]
        said, seen = client.predict(files, "leave:1", api_name="/preview_update")
        assert "1 changed" in said["value"] and "leave.md: a new edition of leave.md (the same name)." in said["value"]
        assert len(workspace.store.documents()) == len(workspace.store.datasets()) == 1
        said, changes, _ = client.predict(files, "leave:1", api_name="/update")
        assert said["value"].startswith("leave:2, from leave:1: Facts: ")
        assert changes["value"]["data"] == seen["value"]["data"]
        (change,) = changes["value"]["data"]
        assert change[:2] == ["changed", "1 Annual leave"] and "25 days" in change[2] and "28 days" in change[3]
        with pytest.raises(AppError, match=r"leave"):
            client.predict(files, "leave:2", api_name="/update")
        told, rows, facts = client.predict("leave:2", "leave:1", api_name="/compare")
    assert told["value"].startswith("From leave:1 to leave:2: rows ") and "1 facts differ" in told["value"]
    assert facts["value"]["data"] == changes["value"]["data"]
    assert any("25 days" in row[3] and "28 days" in row[4] for row in rows["value"]["data"])
    assert [version.title for version in workspace.store.datasets()] == ["leave:2", "leave:1"]


def test_comparing_nothing_says_what_to_choose(workspace):
    with visiting(workspace) as client, pytest.raises(AppError, match="Choose two versions first"):
        client.predict("leave:1", None, api_name="/compare")

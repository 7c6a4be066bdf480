"""Documents to a dataset through the page: what was read, what was kept, and the words each row rests on."""

import json
import zipfile
from pathlib import Path

import pytest
from gradio_client import handle_file
from gradio_client.exceptions import AppError

from engine import battles
from engine.tasks.policy_qa import POLICY_QA
from tests.page import POLICY, add_policy, stand_in_workspace, visiting
from ui.dataset import evidence_of


@pytest.fixture
def workspace(tmp_path):
    return stand_in_workspace(tmp_path / "workspace")


@pytest.fixture
def client(workspace):
    with visiting(workspace) as client:
        yield client


def upload(folder: Path, name: str, content: bytes):
    path = folder / name
    path.write_bytes(content)
    return handle_file(path)


def test_one_bad_file_does_not_lose_the_good_one_and_is_named_with_its_reason(client, workspace, tmp_path):
    files = [upload(tmp_path, "leave.md", POLICY.encode()), upload(tmp_path, "broken.pdf", b"this is no PDF")]
    said, _ = client.predict(files, "leave", api_name="/generate")
    (version,) = workspace.store.datasets()
    first, *left_out = said["value"].splitlines()
    counts = version.counts
    assert first.startswith(f"leave:1: {counts['proposed']} rows proposed = {counts['kept']} kept")
    assert counts["proposed"] == counts["kept"] + counts["rejected"] + counts["failed"]
    assert len(left_out) == 1 and left_out[0].startswith("Left out: broken.pdf")


def test_a_zip_of_policies_is_read_like_the_files_in_it(client, workspace, tmp_path):
    with zipfile.ZipFile(tmp_path / "policies.zip", "w") as archive:
        archive.writestr("hr/leave.md", POLICY)
        archive.writestr("hr/logo.png", b"\x89PNG")
    said, _ = client.predict([handle_file(tmp_path / "policies.zip")], "leave", api_name="/generate")
    assert [document.name for document in workspace.store.documents()] == ["leave.md"]
    assert said["value"].splitlines()[1].startswith("Left out: policies.zip: logo.png is a picture")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("empty.txt", b"", "empty.txt"),
        ("broken.pdf", b"no PDF", "broken.pdf"),
        ("photo.md", b"\x89PNG\r\n\x1a\n\0\0", "photo.md"),
    ],
)
def test_a_bad_file_alone_is_one_sentence_and_leaves_no_dataset(client, workspace, tmp_path, name, content, says):
    with pytest.raises(AppError, match=says):
        client.predict([upload(tmp_path, name, content)], "leave", api_name="/generate")
    assert workspace.store.datasets() == []


def test_generating_without_a_file_or_a_name_says_what_to_do(client, tmp_path):
    with pytest.raises(AppError, match="Drop one or more files"):
        client.predict([], "leave", api_name="/generate")
    with pytest.raises(AppError, match="cannot be a name"):
        client.predict([upload(tmp_path, "leave.md", POLICY.encode())], "../leave", api_name="/generate")


def test_the_next_version_says_which_votes_came_in(client, workspace):
    add_policy(workspace)
    models = (workspace.model("base"), workspace.model("tuned"))
    with pytest.raises(AppError, match="Vote in the Arena first"):
        client.predict("leave:1", api_name="/next_version")
    battle = battles.open_battle(
        workspace.store, POLICY_QA, "Do I get a bicycle?", models, rng=workspace.rng, now=workspace.now()
    )
    list(battles.play(workspace.store, battle, models, POLICY_QA, now=workspace.now()))
    battles.vote(workspace.store, battle.id, rater="Ann", choice="a", now=workspace.now())
    said = client.predict("leave:1", api_name="/next_version")["value"]
    assert said.splitlines()[1:] == ["Vote 1 by Ann: A is better, on “Do I get a bicycle?”"]
    newest = workspace.store.datasets()[0]
    assert newest.title == "leave:2" and newest.recipe["votes"] == [1]


def test_the_download_holds_every_kept_row_with_its_lineage(client, workspace):
    version = add_policy(workspace)
    lines = Path(client.predict("leave:1", api_name="/export")).read_text().splitlines()
    assert len(lines) == version.counts["kept"]
    assert {"id", "fact", "origin", "split"} <= set(json.loads(lines[0])["lineage"])


def test_a_rows_evidence_is_marked_in_its_passage_and_an_unanswerable_row_says_why_it_has_none(workspace):
    version = add_policy(workspace)
    rows = workspace.store.rows(version.id, state="kept")
    answerable = next(row for row in rows if row.example.kind == "answerable")
    marked = evidence_of(workspace, answerable)
    assert [text for text, label in marked["value"] if label] == [answerable.example.evidence]
    whole = "".join(text for text, _ in marked["value"])
    assert whole == workspace.store.passage(answerable.example.passage_id).text
    unanswerable = next(row for row in rows if row.example.kind == "unanswerable")
    assert evidence_of(workspace, unanswerable)["value"][0][0].startswith("No passage answers this question")

"""Versions on the command line: a new edition is shown and taken in, two versions are compared, questions kept apart."""

import json

import pytest

from app import main
from engine.settings import Settings
from engine.workspace import Workspace

OLD = """# Travel

## 1 Booking

Employees book flights at least ten days before the trip. The Travel Desk approves each hotel.

## 2 Costs

Meals are refunded up to EUR 40 a day. Taxis are paid for after midnight only. Receipts are sent to the cashier.
"""
NEW = OLD.replace("ten days", "20 days").replace(" Taxis are paid for after midnight only.", "")


@pytest.fixture
def run(tmp_path, capsys):
    """A command in a workspace of its own: (exit status, stdout without the JSON, stderr, the JSON)."""
    (tmp_path / "travel.md").write_text(OLD)
    (tmp_path / "travel-2027.md").write_text(NEW)

    def call(*arguments):
        named = [str(tmp_path / word) if word.endswith((".md", ".jsonl")) else word for word in arguments]
        status = main([*named, "--workspace", str(tmp_path / "ws"), "--json"])
        out = capsys.readouterr()
        return status, out.err, json.loads(out.out.splitlines()[-1]) if out.out else None

    return call


@pytest.fixture
def made(run):
    assert run("generate", "--dataset", "travel", "travel.md")[0] == 0
    return run


def test_an_update_shows_the_changes_clause_by_clause_and_makes_the_next_version(made, tmp_path):
    status, said, found = made("update", "--dataset", "travel", "travel-2027.md")
    assert status == 0
    assert "travel-2027.md replaces travel.md (3 of its 5 facts)" in said
    assert "Facts: 3 unchanged, 0 moved, 1 changed, 0 added, 1 removed" in said
    clause = said.index("\n1 Booking\n")
    old, new = (
        said.index("  - Employees book flights at least ten"),
        said.index("  + Employees book flights at least 20"),
    )
    assert clause < old < new < said.index("\n2 Costs\n") < said.index("  - Taxis are paid")
    assert (found["dataset"], found["parent"]) == ("travel:2", "travel:1")
    assert [change["change"] for change in found["changes"]] == ["changed", "removed"]
    assert found["leakage"] == {"shared_facts": 0, "close_pairs": 0} and "Leakage: 0 facts" in said
    workspace = Workspace.open(Settings.read(workspace=str(tmp_path / "ws")))
    assert workspace.store.dataset("travel").recipe["update"] == found["update"]


def test_two_versions_are_compared_in_words_and_row_by_row(made):
    made("update", "--dataset", "travel", "travel-2027.md")
    status, said, found = made("compare", "travel:1", "travel:2")
    assert status == 0
    rows = found["rows"]
    counts = ", ".join(f"{len(rows[sort])} {sort}" for sort in ("added", "removed", "changed"))
    assert f"travel:2 against travel:1: rows: {rows['same']} the same, {counts}" in said
    assert rows["same"] > 0 and rows["added"] and rows["changed"]
    assert "  - Taxis are paid for after midnight only." in said
    assert any(row["new_answer"].endswith("20 days before the trip.") for row in rows["changed"])
    for trait, totals in found["counts"].items():
        assert sum(n["changed"] for n in totals.values()) == len(rows["changed"]), trait
    same = made("compare", "travel:1", "travel:1")[2]["rows"]
    assert (same["added"], same["removed"], same["changed"]) == ([], [], [])


def asked_in_training(tmp_path, title):
    store = Workspace.open(Settings.read(workspace=str(tmp_path / "ws"))).store
    rows = store.rows(store.dataset(title).id, split="train")
    return [row.example.question for row in rows if row.example.kind == "answerable"]


@pytest.mark.parametrize("verb", ["generate", "update"])
def test_training_rows_are_kept_apart_from_a_named_file(made, tmp_path, verb):
    """Generating happens in another process, which gets the questions from its job's folder."""
    exam = next(question for question in asked_in_training(tmp_path, "travel:1") if "Travel Desk" in question)
    (tmp_path / "gold.jsonl").write_text(json.dumps({"id": 1, "question": "Unheard of?", "paraphrase": exam}) + "\n")
    given = ["travel.md"] if verb == "generate" else ["travel-2027.md"]
    status, said, found = made(verb, "--dataset", "travel", *given, "--apart-from", "gold.jsonl")
    assert status == 0
    store = Workspace.open(Settings.read(workspace=str(tmp_path / "ws"))).store
    version = store.dataset("travel:2")
    (file,) = version.recipe["apart_from"]
    assert file["file"] == "gold.jsonl" and file["questions"] == 2 and len(file["digest"]) == 64
    assert file["rejected"] == store.rejections(version.id)["too close to a question of gold.jsonl"] >= 1
    assert f"Apart from gold.jsonl: {file['rejected']} training rows" in said
    assert exam not in asked_in_training(tmp_path, "travel:2")
    assert found["leakage"] == {"shared_facts": 0, "close_pairs": 0}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["update", "--dataset", "travel", "travel.md"], "changes no fact"),
        (["update", "--dataset", "ghost", "travel.md"], 'No dataset "ghost"'),
        (["update", "--dataset", "travel", "travel-2027.md", "--apart-from", "absent.jsonl"], "absent.jsonl"),
        (["compare", "travel:1", "travel:9"], 'No dataset "travel:9"'),
        (["train", "--dataset", "travel", "--adapter", "b", "--from", "ghost"], "There is no adapter called ghost"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence_and_makes_nothing(made, tmp_path, arguments, says):
    status, said, _ = made(*arguments)
    assert status == 2 and says in said and "Traceback" not in said
    workspace = Workspace.open(Settings.read(workspace=str(tmp_path / "ws")))
    assert [version.title for version in workspace.store.datasets()] == ["travel:1"]

"""Votes handed out as training data, by command and from the page."""

import json
from pathlib import Path

import pytest
from gradio_client.exceptions import AppError

from app import main
from tests.page import add_policy, stand_in_workspace, visiting
from tests.votes import judge


@pytest.fixture
def workspace(tmp_path):
    """A policy and three battles: one decided, one repaired, one a tie."""
    workspace = stand_in_workspace(tmp_path / "workspace")
    add_policy(workspace)
    judge(workspace.store, "Who feeds the parrot?", "Nobody.", "Ann does.", "b")
    judge(workspace.store, "Who walks the dog?", "Bob.", "Nobody.", ("a", "Bob does."))
    judge(workspace.store, "Who waters the plants?", "Cleo.", "Cleo does.", "tie")
    return workspace


@pytest.fixture
def run(workspace, capsys):
    """A command in that workspace: (exit status, stdout, stderr)."""

    def call(*arguments: str) -> tuple[int, str, str]:
        status = main([*arguments, "--workspace", str(workspace.settings.workspace)])
        out = capsys.readouterr()
        return status, out.out, out.err

    return call


@pytest.mark.parametrize(("asked", "lines"), [(["dpo"], 2), (["kto"], 6), (["sft", "--votes"], 2), (["raw"], 3)])
def test_each_export_of_votes_says_how_many_rows_and_what_was_left_out(run, tmp_path, asked, lines):
    status, out, err = run("export", "--what", *asked, "--out", str(tmp_path / "v.jsonl"), "--json")
    found = json.loads(out.splitlines()[-1])
    assert status == 0 and found["rows"] == lines == len((tmp_path / "v.jsonl").read_text().splitlines())
    tie = {"both good: neither answer is preferred": 1}
    assert found["left_out"] == (tie if asked[0] in ("dpo", "sft") else {})
    assert ("1 vote left out: both good" in err) == bool(found["left_out"])


def test_a_version_is_exported_as_before_where_no_votes_are_asked_for(run, tmp_path):
    status, out, _ = run("export", "--what", "sft", "--out", str(tmp_path / "v.jsonl"), "--json")
    assert status == 0 and json.loads(out.splitlines()[-1])["rows"] > 30


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--what", "dpo", "--dataset", "leave"], "Votes belong to no dataset version"),
        (["--what", "raw", "--format", "csv"], "Votes belong to no dataset version"),
        (["--what", "sft", "--votes", "--split", "train"], "Votes belong to no dataset version"),
        (["--what", "dpo"], "does not exist, so v.jsonl cannot be written"),
    ],
)
def test_an_export_of_votes_that_cannot_be_says_what_to_do(run, tmp_path, arguments, says):
    out = tmp_path / "nowhere" / "v.jsonl" if len(arguments) == 2 else tmp_path / "v.jsonl"
    status, _, err = run("export", *arguments, "--out", str(out))
    assert status == 2 and says in err and not out.exists()


def test_votes_that_decide_nothing_are_not_exported_as_an_empty_file(tmp_path, capsys):
    workspace = stand_in_workspace(tmp_path / "ties")
    judge(workspace.store, "Who waters the plants?", "Cleo.", "Cleo does.", "tie")
    out = tmp_path / "v.jsonl"
    assert main(["export", "--what", "dpo", "--out", str(out), "--workspace", str(tmp_path / "ties")]) == 2
    said = capsys.readouterr().err
    assert "1 vote left out: both good" in said and "go on voting in the Arena" in said and not out.exists()


def test_the_page_hands_out_the_votes_and_says_what_was_left_out(workspace):
    with visiting(workspace) as client:
        file, said = client.predict("dpo", api_name="/export_votes")
        rows = [json.loads(line) for line in Path(file).read_text().splitlines()]
        assert [row["chosen"][0]["content"] for row in rows] == ["Ann does.", "Bob does."]
        assert said["value"].splitlines() == [
            "2 rows in votes-dpo.jsonl.",
            "1 vote left out: both good: neither answer is preferred.",
        ]
        assert len(Path(client.predict("raw", api_name="/export_votes")[0]).read_text().splitlines()) == 3


def test_the_page_says_so_where_nobody_has_voted(tmp_path):
    with (
        visiting(stand_in_workspace(tmp_path / "empty")) as client,
        pytest.raises(AppError, match="Vote in the Arena first"),
    ):
        client.predict("kto", api_name="/export_votes")

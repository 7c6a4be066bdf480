"""Measuring and deciding from the command line: files are written, verdicts are said first, and the gate is not passed silently."""

import json

import pytest

import app
from engine.errors import InvalidInput, NotFound
from engine.records import REFUSAL
from evals.report import read_report
from tests.models import EchoModel
from tests.page import stand_in_workspace
from ui import verdicts
from ui.terminal import Screen


@pytest.fixture
def questions(tmp_path):
    path = tmp_path / "q.jsonl"
    rows = [{"id": f"k{n}", "question": f"How many {n}?", "kind": "answerable", "accept": ["25"]} for n in range(30)]
    rows += [{"id": f"u{n}", "question": f"Sauna {n}?", "kind": "unanswerable"} for n in range(20)]
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


@pytest.fixture
def workspace(tmp_path):
    answers = {f"How many {n}?": "25" for n in range(30)}
    return stand_in_workspace(tmp_path / "ws", EchoModel("base", "Maybe."), EchoModel("tuned", REFUSAL, answers))


def run(command, workspace, capsys, *arguments):
    """What a command returns, and what it said."""
    found = command(workspace, app.parser().parse_args(list(map(str, arguments))), Screen(as_json=False))
    return found, capsys.readouterr().out


def test_a_comparison_says_its_verdict_first_and_writes_both_files(workspace, questions, tmp_path, capsys):
    out, html = tmp_path / "r.json", tmp_path / "r.html"
    arguments = ("evaluate", "--models", "base,tuned", "--questions", questions, "--out", out, "--html", html)
    found, said = run(verdicts.evaluate_models, workspace, capsys, *arguments)
    assert said.index("Promote tuned. Of 50 questions tuned answered 50 rightly and base 0") < said.index(
        "always refuse"
    )
    assert found["pairs"][0]["verdict"]["outcome"] == "promote" and "answers" not in found
    assert len(read_report(out)["answers"]["tuned"]) == 50
    assert "tuned in the place of base: promote" in html.read_text()


def test_a_file_that_cannot_be_written_is_told_before_anything_is_asked(workspace, questions, tmp_path, capsys):
    arguments = (
        "evaluate",
        "--models",
        "base,tuned",
        "--questions",
        questions,
        "--html",
        tmp_path / "nowhere" / "r.html",
    )
    with pytest.raises(InvalidInput, match="does not exist"):
        run(verdicts.evaluate_models, workspace, capsys, *arguments)
    assert workspace.stand_ins[0].asked == []


def test_the_gate_shows_its_rules_and_what_it_would_say(workspace, questions, capsys):
    found, said = run(verdicts.gate, workspace, capsys, "gate")
    assert found["models"]["tuned"]["verdict"] == "never measured" and "hallucination = 0.2" in said
    run(verdicts.evaluate_models, workspace, capsys, "evaluate", "--models", "base,tuned", "--questions", questions)
    found, said = run(verdicts.gate, workspace, capsys, "gate", "tuned")
    assert found["models"]["tuned"]["verdict"] == "promote" and "+ better than base overall" in said
    with pytest.raises(NotFound, match='no model "ghost"'):
        run(verdicts.gate, workspace, capsys, "gate", "ghost")


def test_promoting_needs_the_gates_word_or_a_reason(workspace, questions, capsys):
    with pytest.raises(InvalidInput, match="never measured"):
        run(verdicts.promote, workspace, capsys, "promote", "tuned")
    found, _ = run(verdicts.promote, workspace, capsys, "promote", "tuned", "--override", "a trial")
    assert found == {"live": "tuned", "verdict": "never measured", "evaluation": None}
    found, said = run(verdicts.gate, workspace, capsys, "gate")
    assert found["models"] == {} and "tuned is live." in said


def test_a_judge_is_heard_on_the_command_line(workspace, questions, capsys):
    arguments = ("evaluate", "--models", "base,tuned", "--questions", questions, "--judge", "base")
    found, said = run(verdicts.evaluate_models, workspace, capsys, *arguments)
    assert found["judges"][0]["unreadable"] == 50  # it says "Maybe." to everything
    assert "The judge base on tuned against base: better in 0 of 50" in said and "nobody has voted" in said

"""From answers to a report: everything in it follows from the answers, and from nothing else."""

import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from engine.errors import InvalidInput
from engine.records import REFUSAL, Question
from engine.tasks.policy_qa import POLICY_QA
from evals.asked import Sources
from evals.report import as_json, complete, read_report, since, verdict_on
from evals.rules import Rules
from evals.run import evaluate
from tests.models import EchoModel, FailingModel

QUESTIONS = [
    *(Question(f"k{n}", f"Days of kind {n}?", "answerable", f"Kind {n}, how many days?", (r"\b25\b",), slice="number",
               extra={"gold": "25 days", "clause": f"{n % 2} Leave"}) for n in range(20)),
    *(Question(f"u{n}", f"Is there a sauna {n}?", "unanswerable", slice="off topic") for n in range(20)),
]  # fmt: skip
BASE = EchoModel("base", "Maybe 25 days.")
TUNED = EchoModel("tuned", REFUSAL, {q.question: "25 days." for q in QUESTIONS[:20]})


def made(*models, questions=QUESTIONS, **options):
    return complete(evaluate(models, questions, POLICY_QA, source="q.jsonl"), questions, POLICY_QA, **options)


@pytest.fixture(scope="module")
def report():
    return made(BASE, TUNED, digests={"base": "b" * 64, "tuned": "t" * 64})


def test_a_pair_has_its_change_its_slices_and_a_verdict(report):
    (pair,) = report["pairs"]
    assert (pair["change"]["of"], pair["change"]["before"], pair["change"]["after"]) == (60, 40, 40)
    assert (pair["change"]["fixed"], pair["change"]["broken"], pair["change"]["facts"]) == (20, 20, 40)
    worst = pair["slices"][0]
    assert (worst["title"], worst["change"]["before"], worst["change"]["after"]) == ("wording: second wording", 20, 0)
    assert pair["verdict"]["outcome"] == "do not promote"
    assert "“wording: second wording” (20 right before, 0 now, of 20)" in pair["verdict"]["findings"][0]["says"]


def test_what_needs_no_training_stands_beside_the_models(report):
    refusing, commonest = report["trivial_measures"]["always refuse"], report["trivial_measures"]["commonest answer"]
    assert (refusing["unanswerable"]["right"], refusing["questions"]["right"]) == (20, 0)
    assert (commonest["questions"]["right"], commonest["unanswerable"]["right"]) == (20, 0)
    assert "best BM25 sentence" not in report["trivial_measures"]  # no document was given
    assert set(report["pairs"][0]["trivial"]) == {"always refuse", "commonest answer"}


def test_the_best_sentence_is_drawn_from_the_documents(document):
    found = made(BASE, sources=Sources([document]))["trivial_measures"]["best BM25 sentence"]
    assert found["unanswerable"]["right"] == 0 and found["overall"]["of"] == 60


def test_the_same_answers_give_the_same_bytes(report):
    again = made(
        EchoModel("base", BASE.answer), EchoModel("tuned", TUNED.answer, TUNED.answers), digests=report["digests"]
    )
    assert as_json(again) == as_json(report)
    assert json.loads(as_json(report)) == json.loads(json.dumps(report))


def test_the_same_answers_give_the_same_bytes_in_another_process(report, tmp_path):
    """Sets and hashes are seeded anew in each process; none of them may decide an order."""
    script = (
        "import sys; from tests.test_report import made, BASE, TUNED; from evals.report import as_json;"
        "from evals.reporting.page import page; r = made(BASE, TUNED, digests={'base': 'b' * 64, 'tuned': 't' * 64});"
        "open(sys.argv[1], 'w').write(as_json(r) + page(r))"
    )
    from evals.reporting.page import page

    out = tmp_path / "there"
    subprocess.run([sys.executable, "-c", script, str(out)], cwd=Path(__file__).parents[1], check=True)
    assert out.read_text() == as_json(report) + page(report)


def test_an_old_report_is_judged_by_todays_rules(report, tmp_path):
    path = tmp_path / "r.json"
    path.write_text(as_json(report))
    saved = read_report(path)
    assert asdict(verdict_on(saved, "base", "tuned", Rules())) == asdict(
        verdict_on(saved | {"pairs": []}, "base", "tuned", Rules())
    )
    loose = Rules(better=False, beats_trivial=False, margin=1.0)
    assert verdict_on(saved, "base", "tuned", loose).outcome == "promote"
    assert verdict_on(saved, "base", "tuned", replace(loose, margin=0.05)).outcome == "do not promote"
    backwards = verdict_on(saved, "tuned", "base", loose)
    assert (
        backwards.outcome == "do not promote" and "20 of 20 questions without an answer" in backwards.findings[0].says
    )


def test_a_failed_row_is_in_no_pair_and_in_no_share():
    found = made(BASE, FailingModel("gone"))
    assert found["pairs"][0]["change"]["of"] == 0
    assert found["measures"]["gone"]["failed"] == {**found["measures"]["gone"]["failed"], "right": 60, "of": 60}
    assert found["measures"]["gone"]["overall"]["of"] == 0
    assert found["pairs"][0]["verdict"]["outcome"] == "do not promote"
    assert found["pairs"][0]["examples"] == []


@pytest.mark.parametrize("questions", [QUESTIONS[:1], QUESTIONS[20:21], QUESTIONS[:20]])
def test_one_question_or_one_kind_of_question_is_a_report_too(questions):
    (pair,) = made(BASE, TUNED, questions=questions)["pairs"]
    assert pair["verdict"]["outcome"] in ("not enough evidence", "do not promote")


def test_an_answer_of_a_megabyte_is_failed_and_no_report_swells_with_it():
    from evals.reporting.page import page

    found = made(EchoModel("short", "12"), EchoModel("long", "25 " + "x" * 1_050_000), questions=QUESTIONS[:1])
    assert found["measures"]["long"]["failed"]["right"] == 2 and found["measures"]["long"]["overall"]["of"] == 0
    html = page(found)
    assert len(html) < 100_000 and "1,050,003 characters, more than 20,000" in json.dumps(found)


def test_last_time_is_compared_over_the_questions_both_times_answered(report):
    later = made(
        BASE, EchoModel("tuned", REFUSAL, {q.question: "25" for q in QUESTIONS[:10]}), questions=QUESTIONS[:30]
    )
    found = since(report, later)
    assert set(found) == {"base", "tuned"} and found["base"].fixed == found["base"].broken == 0
    assert (found["tuned"].of, found["tuned"].fixed, found["tuned"].broken) == (50, 0, 10)
    assert since({"answers": {"other": []}}, later) == {}


def test_what_is_no_report_is_refused_in_words(tmp_path):
    path = tmp_path / "r.json"
    for text, says in (
        ("{", "is not JSON"),
        ("[]", "no report of this version"),
        ('{"answers": {}}', "Run the evaluation again"),
    ):
        path.write_text(text)
        with pytest.raises(InvalidInput, match=says):
            read_report(path)
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_report(tmp_path / "nowhere.json")
    with pytest.raises(InvalidInput, match="before there were verdicts"):
        verdict_on({"answers": {}}, "a", "b", Rules())

"""The measured comparison: every answer counted once, in the right column, with what it is worth."""

import json

import pytest

from engine.answers import StoredAnswers
from engine.errors import InvalidInput
from engine.records import REFUSAL, Question
from engine.tasks.policy_qa import POLICY_QA
from evals.run import evaluate, read_share, summarise
from tests.models import EchoModel, FailingModel

QUESTIONS = [
    Question("a1", "How many days?", "answerable", "Number of days?", (r"\b12\b",), slice="number"),
    Question("a2", "Who approves?", "answerable", "", ("HR",), ("Payroll",), slice="role"),
    Question("a3", "By when?", "answerable", "", ("March",), slice="number"),
    Question("u1", "May I bring a parrot?", "unanswerable", "Are parrots allowed?"),
]
BASE = EchoModel("base", "Maybe 12 weeks.")
TUNED = EchoModel(
    "tuned",
    REFUSAL,
    {"How many days?": "You get 12 days.", "Number of days?": "12", "Who approves?": "HR or Payroll."},
)


def counts(found: dict) -> tuple[int, int]:
    return found["right"], found["of"]


@pytest.fixture(scope="module")
def report() -> dict:
    return evaluate([BASE, TUNED], QUESTIONS, POLICY_QA, source="q.jsonl")


def test_questions_paraphrases_and_refusals_are_counted_apart(report):
    base, tuned = report["models"]["base"], report["models"]["tuned"]
    assert report["asked"] == {"answerable": 3, "unanswerable": 1}
    columns = ("questions", "paraphrases", "unanswerable", "overall")
    assert [counts(base[column]) for column in columns] == [(1, 3), (1, 1), (0, 2), (2, 6)]
    assert [counts(tuned[column]) for column in columns] == [(1, 3), (1, 1), (2, 2), (4, 6)]
    assert {name: counts(found) for name, found in tuned["slices"].items()} == {"number": (2, 3), "role": (0, 1)}


def test_false_refusals_and_invented_answers_are_two_different_faults(report):
    base, tuned = report["models"]["base"], report["models"]["tuned"]
    assert (counts(base["false_refusals"]), counts(base["invented"])) == ((0, 4), (2, 2))
    assert (counts(tuned["false_refusals"]), counts(tuned["invented"])) == ((1, 4), (0, 2))


def test_always_refusing_stands_beside_the_models(report):
    refusing = report["baselines"]["always refuse"]
    assert (counts(refusing["questions"]), counts(refusing["unanswerable"])) == ((0, 3), (2, 2))
    assert counts(refusing["false_refusals"]) == (4, 4)


def test_the_second_model_is_compared_with_the_first_question_by_question():
    better = EchoModel("better", REFUSAL, {"How many days?": "12.", "Who approves?": "HR.", "By when?": "31 March."})
    (pair,) = evaluate([BASE, better], QUESTIONS, POLICY_QA)["compared"]
    assert (pair["first"], pair["second"]) == ("base", "better")
    assert pair["fixed"] == ["a2", "a3", "u1", "u1#p"] and pair["broken"] == ["a1#p"]
    assert pair["p_value"] == pytest.approx(
        2 * (1 + 5) / 32
    )  # five changed, a1 did not: P(4 or more, or 1 or fewer, of 5)


def test_a_failed_row_is_neither_right_nor_wrong_and_is_named():
    broken = FailingModel("broken")
    report = evaluate([broken, BASE], QUESTIONS, POLICY_QA)
    found = report["models"]["broken"]
    assert found["failed"] == 6 and counts(found["overall"]) == (0, 0) and found["latency_ms_p50"] is None
    assert read_share(found["questions"]).low == 0.0 and read_share(found["questions"]).high == 1.0
    assert {row["error"] for row in report["answers"]["broken"]} == {broken.problem}
    assert counts(report["models"]["base"]["overall"]) == (2, 6)
    assert report["compared"][0]["fixed"] == report["compared"][0]["broken"] == []


def test_a_report_says_when_nothing_was_asked_of_anybody():
    with pytest.raises(InvalidInput, match="no question to ask"):
        evaluate([BASE], [], POLICY_QA)
    with pytest.raises(InvalidInput, match="No model was chosen"):
        evaluate([], QUESTIONS, POLICY_QA)


def test_the_same_questions_give_the_same_report_and_it_is_plain_json(report):
    again = evaluate([BASE, TUNED], QUESTIONS, POLICY_QA, source="q.jsonl")
    assert again == report == json.loads(json.dumps(report))
    assert [row["id"] for row in report["answers"]["tuned"]] == ["a1", "a1#p", "a2", "a3", "u1", "u1#p"]


def test_whoever_watches_sees_every_answer_of_every_model():
    seen = []
    evaluate([BASE, TUNED], QUESTIONS, POLICY_QA, watch=lambda what, done, of: seen.append((what, done, of)))
    assert seen == [(f"Asking {name}", done, 6) for name in ("base", "tuned") for done in range(1, 7)]


def test_the_middle_latency_and_the_sum_of_tokens_are_of_answered_rows():
    rows = [
        {"kind": "answerable", "slice": "", "paraphrased": False, "right": True, "refused": False, "latency_ms": ms, "tokens_out": 2}
        for ms in (10.0, 30.0, 500.0)
    ]  # fmt: skip
    found = summarise([*rows, {**rows[0], "latency_ms": 0.0, "tokens_out": 0, "error": "gone"}])
    assert (found["latency_ms_p50"], found["tokens_out"], found["failed"]) == (30.0, 6, 1)


def test_an_evaluation_that_was_stopped_goes_on_and_comes_to_the_same_report(store, clock):
    class Stop(Exception):
        pass

    def stop_after_three(what: str, done: int, total: int) -> None:
        if what == "Asking tuned" and done == 3:
            raise Stop

    tuned = EchoModel("tuned", TUNED.answer, TUNED.answers)
    models, kept = [EchoModel("base", BASE.answer), tuned], StoredAnswers(store, clock)
    with pytest.raises(Stop):
        evaluate(models, QUESTIONS, POLICY_QA, source="q.jsonl", kept=kept, watch=stop_after_three)
    asked_before = len(tuned.asked)
    seen = []
    again = evaluate(
        models, QUESTIONS, POLICY_QA, source="q.jsonl", kept=kept, watch=lambda *told: seen.append(told[1:])
    )
    assert again == evaluate([BASE, TUNED], QUESTIONS, POLICY_QA, source="q.jsonl")
    assert len(models[0].asked) == 6 and asked_before >= 3 and len(tuned.asked) == 6
    assert seen == [(done, 6) for _ in models for done in range(1, 7)]
    assert json.dumps(again) == json.dumps(evaluate(models, QUESTIONS, POLICY_QA, source="q.jsonl", kept=kept))
    assert len(tuned.asked) == 6


def test_an_answer_that_cannot_be_judged_is_failed_and_not_wrong():
    endless, runaway = EchoModel("endless", "12 days " * 125_000), EchoModel("runaway", "a" * 60 + "b")
    asked = [Question("a1", "How many days?", "answerable", accept=(r"\b12\b",))]
    report = evaluate([endless], asked, POLICY_QA)
    (row,) = report["answers"]["endless"]
    assert row["error"] == "The answer has 1,000,000 characters, more than 20,000. Ask for a shorter one."
    assert len(row["answer"]) == 20_000 and report["models"]["endless"]["failed"] == 1
    assert counts(report["models"]["endless"]["overall"]) == (0, 0)
    report = evaluate([runaway], [Question("a1", "?", "answerable", accept=("(a|aa)+$",))], POLICY_QA)
    assert "takes over a second" in report["answers"]["runaway"][0]["error"]
    assert report["models"]["runaway"]["failed"] == 1


def test_always_refusing_is_measured_on_every_question_even_where_the_first_model_fails():
    refusing = evaluate([FailingModel("broken")], QUESTIONS, POLICY_QA)["baselines"]["always refuse"]
    assert (counts(refusing["questions"]), counts(refusing["unanswerable"]), refusing["failed"]) == ((0, 3), (2, 2), 0)


def test_a_report_says_what_its_questions_cannot_show():
    (few,) = evaluate([BASE], QUESTIONS, POLICY_QA)["notes"]
    assert few.startswith("4 questions cannot decide much")

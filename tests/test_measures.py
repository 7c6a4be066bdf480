"""Measures of a model by kind of answer; expected values counted by hand."""

import pytest

from engine.records import REFUSAL, Question
from evals.grading import grade
from evals.measures import Judged, consistency, macro_f1, measure, reliability, speed


def judged(question, answer, kind="free_text", *, decision="", paraphrase=False, **row):
    given = {"id": question.id + "#p" * paraphrase, "answer": answer, "latency_ms": 100.0, "tokens_out": 5, **row}
    return Judged(given, question, None if row.get("error") else grade(answer, question, kind, decision=decision))


KNOWN = Question("k", "?", "answerable", "??", accept=("25",), extra={"gold": "25 days"})
UNKNOWN = Question("u", "?", "unanswerable", "??")


def test_refusing_rightly_inventing_and_refusing_falsely_are_three_counts():
    found = measure(
        [
            judged(KNOWN, "25 days", tokens_in=40),
            judged(KNOWN, REFUSAL, paraphrase=True, tokens_in=2),
            judged(UNKNOWN, "Twelve."),
            judged(UNKNOWN, REFUSAL, paraphrase=True),
            judged(UNKNOWN, "", error="gone"),
        ],
        "free_text",
    )
    counts = {
        key: (found[key]["right"], found[key]["of"])
        for key in found
        if isinstance(found[key], dict) and "of" in found[key]
    }
    assert counts == {
        "overall": (2, 4), "failed": (1, 5), "questions": (1, 1), "paraphrases": (0, 1), "unanswerable": (1, 2),
        "invented": (1, 2), "false_refusals": (1, 2), "exact_match": (1, 2),
    }  # fmt: skip
    assert found["token_f1"] == pytest.approx(0.5)  # 1 and 0
    assert found["confusion"] == {"answerable": {"right": 1, "refused": 1}, "unanswerable": {"wrong": 1, "refused": 1}}
    assert found["cost"] == {"tokens_in": 42, "tokens_out": 20}


def test_the_parts_of_slowness_are_told_apart():
    rows = [{"latency_ms": 100.0 * n, "first_token_ms": 20.0 * n, "tokens_out": 9} for n in range(1, 21)]
    found = speed(rows)
    assert found["latency_ms"] == {"p50": 1000.0, "p95": 1900.0}  # the 10th and the 19th of twenty
    assert found["first_token_ms"] == {"p50": 200.0, "p95": 380.0}
    assert found["tokens_out"] == {"p50": 9.0, "p95": 9.0}
    assert found["tokens_per_s"] == {"p50": 9.1, "p5": 5.0}  # eight tokens in n * 80 ms: 100 / n, the slowest 100 / 20
    assert speed([])["latency_ms"] == {"p50": None, "p95": None}


def label(wanted, said):
    return judged(Question("l", "?", "answerable", extra={"expected": wanted}), said, "label")


def test_labels_have_accuracy_macro_f1_and_a_confusion_table():
    found = measure(
        [label("stay", "stay"), label("stay", "go"), label("go", "Go."), label("go", "hm"), label("wait", "go")],
        "label",
    )
    assert (found["accuracy"]["right"], found["accuracy"]["of"]) == (2, 5)
    assert found["macro_f1"] == pytest.approx(
        (2 / 3 + 2 * 1 / 5 + 0) / 3
    )  # stay 2*1/(2+1), go 2*1/(2+3), wait never said
    assert found["confusion"] == {
        "go": {"go": 1, "(something else)": 1}, "stay": {"go": 1, "stay": 1}, "wait": {"go": 1}
    }  # fmt: skip


def test_macro_f1_of_a_published_example():
    """scikit-learn's documentation of f1_score: [0, 1, 2, 0, 1, 2] against [0, 2, 1, 0, 0, 1], macro: 0.26…"""
    assert macro_f1(list("012012"), list("021001")) == pytest.approx(0.2666666667)


def decision(wanted, said):
    question = Question("d", "?", "answerable", extra={"expected": {"eligible": wanted, "violated": []}})
    return judged(question, said, "json", decision="eligible")


def test_false_approvals_are_counted_among_what_had_to_be_rejected():
    yes, no = '{"eligible": true, "violated": []}', '{"eligible": false, "violated": []}'
    found = measure(
        [decision(False, yes), decision(False, no), decision(False, "hm"), decision(True, no), decision(True, yes)],
        "json",
        decision="eligible",
    )
    counts = {
        key: (found[key]["right"], found[key]["of"])
        for key in ("valid", "false_approvals", "false_rejections", "overall")
    }
    assert counts == {"valid": (4, 5), "false_approvals": (1, 3), "false_rejections": (1, 2), "overall": (2, 5)}
    assert (found["fields"]["eligible"]["right"], found["fields"]["violated"]["right"]) == (2, 4)
    assert found["set_f1"] == {"violated": 0.8}
    assert found["confusion"] == {"yes": {"no": 1, "yes": 1}, "no": {"yes": 1, "no": 1, "(something else)": 1}}


def test_entities_are_scored_over_all_rows_together():
    def row(wanted, said):
        expected = {"names": [{"text": name} for name in wanted]}
        answer = '{"names": [' + ", ".join(f'{{"text": "{name}"}}' for name in said) + "]}"
        return judged(Question("e", "?", "answerable", extra={"expected": expected}), answer, "json")

    assert measure([row("ab", "a"), row("c", "cd")], "json")["entity_f1"] == pytest.approx(
        2 * 2 / (2 * 2 + 1 + 1), abs=1e-6
    )


def test_rankings_are_measured_by_their_first_hit():
    def row(said):
        return judged(Question("r", "?", "answerable", extra={"expected": "x"}), said, "ranking")

    found = measure([row("x,b"), row("a,b,x"), row("a,b,c,d,e,x"), row("a")], "ranking")
    assert (found["hit_1"]["right"], found["hit_5"]["right"], found["hit_5"]["of"]) == (1, 2, 4)
    assert found["mrr"] == pytest.approx((1 + 1 / 3 + 1 / 6 + 0) / 4, abs=1e-6)


def test_a_question_asked_twice_is_answered_rightly_twice_once_or_never():
    asked = [
        judged(KNOWN, "25"),
        judged(KNOWN, "no", paraphrase=True),
        judged(UNKNOWN, REFUSAL),
        judged(UNKNOWN, REFUSAL, paraphrase=True),
    ]
    assert consistency(asked) == {"both": 1, "one": 1, "neither": 0}
    assert consistency(asked[:3]) == {
        "both": 0,
        "one": 1,
        "neither": 0,
    }  # the second wording of the other was not asked


def test_how_sure_it_was_stands_beside_how_often_it_was_right():
    said = [("25", 0.92), ("no", 1.0), ("hm", 0.31)]
    sure = [judged(KNOWN, answer, confidence=confidence) for answer, confidence in said]
    found = reliability([*sure, judged(KNOWN, "25")])
    assert [(tenth["from"], tenth["share"]["right"], tenth["share"]["of"]) for tenth in found] == [
        (0.3, 0, 1),
        (0.9, 1, 2),
    ]
    assert found[1]["sure"] == pytest.approx(0.96)
    assert reliability([judged(KNOWN, "25")]) == []

"""One answer beside what was expected, for every kind of answer; worked out by hand."""

import pytest

from engine.records import REFUSAL, Question
from evals.grading import as_label, exact_match, gold_of, grade, ranked, set_f1

DECISION = {"eligible": False, "violated": ["notice", "balance"], "approvers": ["manager"]}


def wanting(expected):
    return Question("q", "?", "answerable", extra={"expected": expected})


def test_free_text_is_graded_by_its_patterns_and_measured_by_its_words():
    question = Question("q", "?", "answerable", accept=("25",), extra={"gold": "25 working days"})
    found = grade("You get 25 days.", question, "free_text")
    assert found.right and not found.refused and found.score == pytest.approx(2 * 2 / 7)
    assert grade(REFUSAL, Question("u", "?", "unanswerable"), "free_text").right
    assert gold_of(Question("u", "?", "unanswerable")) == REFUSAL
    assert grade("25", Question("q", "?", "answerable", accept=("25",)), "free_text").score is None


def test_exact_match_forgives_case_and_punctuation_and_nothing_else():
    assert exact_match("**Twelve** days.", "twelve days") and exact_match("", " . ")
    assert not exact_match("days twelve", "twelve days") and not exact_match("the twelve days", "twelve days")


@pytest.mark.parametrize(
    "answer", ["Resign", '"resign".', "Label: resign", "**resign**\nbecause …", '{"label": "Resign"}', "  resign "]
)
def test_a_label_is_read_past_its_dress(answer):
    assert as_label(answer) == "resign"
    assert grade(answer, wanting("Resign"), "label").right


def test_another_label_is_wrong_and_an_empty_one_too():
    assert not grade("resignation", wanting("resign"), "label").right
    assert not grade("", wanting("resign"), "label").right


def test_a_json_answer_is_right_when_every_field_is_and_lists_may_stand_in_any_order():
    found = grade(
        '{"approvers": ["Manager"], "violated": ["balance", "notice"], "eligible": false}', wanting(DECISION), "json",
        decision="eligible",
    )  # fmt: skip
    assert found.right and found.score == 1.0 and found.form.valid and found.form.decided is False


def test_a_json_answer_is_measured_field_by_field():
    said = '{"eligible": true, "violated": ["notice"], "approvers": []}'
    form = grade(said, wanting(DECISION), "json", decision="eligible").form
    assert dict(form.fields) == {"eligible": False, "violated": False, "approvers": False}
    assert form.sets == {"violated": pytest.approx(2 / 3), "approvers": 0.0}  # 2*1/(1+2); one empty list
    assert form.decided is True and form.valid


@pytest.mark.parametrize(
    ("answer", "valid"),
    [
        ("", False), ("yes", False), ("[1]", False), ('```json\n{"eligible": false}\n```', False),
        ('{"eligible": false, "violated": []}', False), ('{"eligible": false, "violated": [], "approvers": "manager"}', True),
        ("[" * 100_000, False),
    ],
)  # fmt: skip
def test_what_is_no_such_object_is_not_valid_and_never_right(answer, valid):
    found = grade(answer, wanting(DECISION), "json", decision="eligible")
    assert found.form.valid is valid and not found.right


def test_numbers_are_numbers_and_true_is_not_one():
    assert grade('{"days": 3.0}', wanting({"days": 3}), "json").right
    assert not grade('{"days": "3"}', wanting({"days": 3}), "json").right
    assert not grade('{"days": true}', wanting({"days": 1}), "json").right


def test_entities_are_found_made_up_or_missed():
    expected = {"entities": [{"type": "person", "text": "Ana"}, {"type": "org", "text": "ACME"}]}
    said = '{"entities": [{"text": "ana", "type": "person"}, {"text": "Ana", "type": "person"}, {"type": "org", "text": "Acme Ltd"}]}'
    assert grade(said, wanting(expected), "json").form.entities == (1, 2, 1)
    assert grade("no", wanting(expected), "json").form.entities == (0, 0, 2)


def test_set_f1_of_two_empty_lists_is_one():
    assert (set_f1([], []), set_f1(["a"], []), set_f1([], ["a"]), set_f1(["a", "b"], ["B", "c"])) == (
        1.0,
        0.0,
        0.0,
        0.5,
    )


@pytest.mark.parametrize(
    "answer", ['["Ana", "Bo"]', "1. Ana\n2. Bo", "- Ana\n- Bo\n", "Ana, Bo", '{"experts": ["Ana", "Bo"]}']
)
def test_a_ranking_is_read_from_a_list_of_any_kind(answer):
    assert ranked(answer) == ["ana", "bo"]


def test_a_ranking_is_worth_the_place_of_the_first_wanted_entry():
    found = grade("Ana, Bo, Cy", wanting(["cy", "Bo"]), "ranking")
    assert (found.rank, found.score, found.right) == (2, 0.5, False)
    assert grade("Ana", wanting("ana"), "ranking").right
    assert (grade("Ana", wanting("Bo"), "ranking").rank, grade("", wanting("Bo"), "ranking").score) == (0, 0.0)

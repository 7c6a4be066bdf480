"""Judging dataset rows: what is still to judge, and keeping a judgement."""

import pytest

from engine.errors import InvalidInput, NotFound
from engine.labels import VERDICTS, edit_row, label_row, queue, take_back
from engine.records import Example, LedgerRow


@pytest.fixture
def version(store):
    begun = store.begin_dataset("d", task="policy_qa", documents=[], recipe={}, parent_id=None, now="1")
    rows = [
        LedgerRow(Example(f"e{n}", "f", "answerable", "wh", f"Question {n}?", "Yes."), "kept", "", "train")
        for n in (3, 1, 2)
    ]
    rows += [LedgerRow(Example("s", "f", "statement", "statement", "", "A fact."), "kept", "", "train")]
    rows += [LedgerRow(Example("r", "f", "answerable", "wh", "Rejected?", "Yes."), "rejected", "too long")]
    store.add_rows(begun.id, rows)
    return store.finish_dataset(begun.id, now="2")


def waiting(store, version, rater: str) -> list[str]:
    return [row.example.id for row in queue(store, version, rater=rater)]


def test_every_rater_is_asked_every_kept_question_once_in_the_same_order(store, version):
    assert waiting(store, version, "ann") == waiting(store, version, "bob") == ["e1", "e2", "e3"]
    label_row(store, version, "e2", rater="ann", verdict="right", now="3")
    assert waiting(store, version, "ann") == ["e1", "e3"]
    assert waiting(store, version, "bob") == ["e1", "e2", "e3"]


def test_a_name_typed_with_blanks_is_the_same_rater(store, version):
    assert label_row(store, version, "e1", rater=" ann ", verdict="wrong", gold=" No. ", now="3").rater == "ann"
    assert waiting(store, version, " ann ") == waiting(store, version, "ann") == ["e2", "e3"]
    (label,) = store.labels(version.id)
    assert (label.verdict, label.gold, label.example_id) == ("wrong", "No.", "e1")


def test_every_verdict_of_the_word_list_can_be_given(store, version):
    assert VERDICTS == ("right", "wrong", "should_refuse", "should_not_refuse", "unclear")
    for verdict in VERDICTS:
        label_row(store, version, "e1", rater=verdict, verdict=verdict, now="3")
    assert {label.verdict for label in store.labels(version.id)} == set(VERDICTS)


@pytest.mark.parametrize(
    ("row", "given", "error", "says"),
    [
        ("e1", {"rater": " "}, InvalidInput, "needs a name"),
        ("e1", {"verdict": "nice"}, InvalidInput, "Choose one of: right, wrong"),
        ("e1", {"gold": "x" * 10_001}, InvalidInput, "10,000 characters"),
        ("r", {"verdict": "wrong"}, InvalidInput, "rejected already"),
        ("forged", {}, NotFound, "Row forged is not in d:1"),
    ],
)
def test_a_judgement_of_nothing_or_by_nobody_is_refused_and_not_kept(store, version, row, given, error, says):
    with pytest.raises(error, match=says):
        label_row(store, version, row, **{"rater": "ann", "verdict": "right", "now": "3", **given})
    assert store.labels(version.id) == []


def test_an_edited_row_keeps_what_stayed_the_same_and_says_what_changed(store, version):
    def edit(question, answer):
        label = edit_row(store, version, "e1", rater="ann", question=question, answer=answer, now="3")
        return label.verdict, label.question, label.gold

    assert edit("Question 1, really?", "Yes.") == ("right", "Question 1, really?", "")
    assert edit("Question 1?", " No. ") == ("right", "", "No.")
    assert edit("Question 1?", "Yes.") == ("right", "", "")
    for question, answer in (("", "Yes."), ("Question 1?", " ")):
        with pytest.raises(InvalidInput, match="needs a question and an answer"):
            edit(question, answer)


def test_a_judgement_taken_back_gives_way_to_the_one_before_and_nothing_is_deleted(store, version):
    first = label_row(store, version, "e1", rater="ann", verdict="wrong", gold="No.", question="Q?", now="3")
    second = label_row(store, version, "e1", rater="ann", verdict="right", now="4")
    again = take_back(store, second, now="5")
    assert (again.verdict, again.gold, again.question) == ("wrong", "No.", "Q?")
    assert take_back(store, first, now="6").verdict == "unclear"
    history = store.label_history(version.id, "e1", "ann")
    assert [label.verdict for label in history] == ["wrong", "right", "wrong", "unclear"]


def test_taking_back_ones_own_judgement_leaves_another_raters_alone(store, version):
    mine = label_row(store, version, "e1", rater="ann", verdict="right", now="3")
    label_row(store, version, "e1", rater="bob", verdict="wrong", now="4")
    take_back(store, mine, now="5")
    assert {label.rater: label.verdict for label in store.labels(version.id)} == {"bob": "wrong", "ann": "unclear"}

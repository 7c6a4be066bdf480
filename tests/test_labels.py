"""Judging dataset rows: what is still to judge, and keeping a judgement."""

import sqlite3
from collections import Counter

import pytest

from engine.datasets import standing_labels
from engine.errors import InvalidInput, NotFound
from engine.labels import (
    VERDICTS,
    Judgement,
    disagreements,
    edit_row,
    label_row,
    newest_of,
    progress,
    queue,
    set_plan,
    take_back,
)
from engine.records import Example, LedgerRow
from tests.desk import version_of


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


def test_a_row_taken_back_is_to_be_judged_again(store, version):
    label = label_row(store, version, "e1", rater="ann", verdict="right", now="3")
    assert newest_of(store, version, rater="ann") == label
    take_back(store, label, now="4")
    assert waiting(store, version, "ann") == ["e1", "e2", "e3"]
    assert newest_of(store, version, rater="ann") is None


def test_what_else_was_said_is_kept_and_comes_back_with_an_undo(store, version):
    more = Judgement(
        gold="No.", grounded="no", tags=(" number ", "number", "too  long"), seconds=12.34, form={"decision": "approve"}
    )
    label_row(store, version, "e1", rater="ann", verdict="wrong", more=more, now="3")
    (label,) = store.labels(version.id)
    assert (label.gold, label.grounded, label.tags, label.seconds) == ("No.", "no", ("number", "too long"), 12.3)
    assert label.form == {"decision": "approve"} and label.settles is False
    second = label_row(store, version, "e1", rater="ann", verdict="right", now="4")
    again = take_back(store, second, now="5")
    assert (again.verdict, again.gold, again.tags, again.form) == ("wrong", "No.", label.tags, label.form)


def test_a_judgement_that_says_too_much_is_refused(store, version):
    for more, says in (
        (Judgement(grounded="maybe"), "Choose yes or no"),
        (Judgement(tags=("x" * 41,)), "at most 20 tags"),
        (Judgement(tags=tuple(map(str, range(21)))), "at most 20 tags"),
    ):
        with pytest.raises(InvalidInput, match=says):
            label_row(store, version, "e1", rater="ann", verdict="right", more=more, now="3")
    assert store.labels(version.id) == []


def plan(store, version, raters: int, shared: float, **also):
    return set_plan(
        store, version, **{"raters": raters, "shared": shared, "guidelines": "", "rater": "eve", "now": "3", **also}
    )


def test_shared_rows_are_judged_by_so_many_and_the_others_by_one(store):
    made = version_of(store, 20)
    plan(store, made, 2, 0.3)
    for turn in range(22):
        for rater in ("ann", "bob", "eve"):
            if found := queue(store, made, rater=rater):
                label_row(store, made, found[0].example.id, rater=rater, verdict="right", now=str(turn))
    times = Counter(label.example_id for label in store.labels(made.id))
    assert len(times) == 20 and set(times.values()) == {1, 2}
    assert 2 <= sum(count == 2 for count in times.values()) <= 11  # three tenths, by the rows' own positions
    assert all(queue(store, made, rater=rater) == [] for rater in ("ann", "bob", "eve", "new"))


def test_shared_rows_come_first_and_two_raters_go_different_ways(store):
    made = version_of(store, 30)
    plan(store, made, 3, 0.4)
    ann, bob = waiting(store, made, "ann"), waiting(store, made, "bob")
    assert ann != bob and sorted(ann) == sorted(bob)
    plan(store, made, 1, 1.0)
    alone = set(waiting(store, made, "ann"))
    assert len(alone) == 30
    plan(store, made, 3, 0.4)
    shared = {row for row in ann if ann.index(row) < 4}
    for rater in ("x", "y"):
        for example_id in shared:
            label_row(store, made, example_id, rater=rater, verdict="right", now="4")
    assert shared <= set(waiting(store, made, "ann"))  # two of three have judged these


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"raters": -1}, "0 raters"),
        ({"shared": 1.2}, "0 to 100 %"),
        ({"rater": " "}, "needs a name"),
        ({"guidelines": "x" * 10_001}, "10,000"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(store, version, given, says):
    with pytest.raises(InvalidInput, match=says):
        set_plan(store, version, **{"raters": 2, "shared": 0.5, "guidelines": "", "rater": "eve", "now": "3", **given})
    assert store.desk_plan(version.id).raters == 0


def test_the_newest_plan_holds_and_every_plan_stays_on_record(store, version):
    plan(store, version, 2, 0.5, guidelines="Be strict.")
    plan(store, version, 3, 0.25)
    assert (store.desk_plan(version.id).raters, store.desk_plan(version.id).shared) == (3, 0.25)
    with sqlite3.connect(store.path) as db:
        assert db.execute("SELECT raters, guidelines FROM desk_plans ORDER BY id").fetchall() == [
            (2, "Be strict."),
            (3, ""),
        ]


def test_disagreements_wait_until_somebody_settles_them_and_then_that_holds(store, version):
    label_row(store, version, "e1", rater="ann", verdict="right", now="3")
    assert disagreements(store, version) == []
    label_row(store, version, "e1", rater="bob", verdict="wrong", gold="No.", now="4")
    label_row(store, version, "e2", rater="ann", verdict="wrong", gold="No.", now="4")
    label_row(store, version, "e2", rater="bob", verdict="wrong", gold=" no. ", now="4")
    (found,) = disagreements(store, version)
    assert found.row.example.id == "e1" and [label.rater for label in found.labels] == ["ann", "bob"]
    label_row(store, version, "e1", rater="eve", verdict="wrong", gold="Four.", more=Judgement(settles=True), now="5")
    assert disagreements(store, version) == []
    label_row(store, version, "e1", rater="ann", verdict="right", now="6")
    assert standing_labels(store.labels(version.id))["e1"].gold == "Four."


def test_others_verdicts_are_not_shown_to_one_who_has_still_to_judge_the_row(store, version):
    label_row(store, version, "e1", rater="ann", verdict="right", now="3")
    label_row(store, version, "e1", rater="bob", verdict="wrong", now="4")
    assert [d.row.example.id for d in disagreements(store, version, rater="ann")] == ["e1"]
    assert disagreements(store, version, rater="eve") == []


def test_progress_tells_each_raters_rows_and_the_middle_time(store, version):
    for example, seconds in (("e1", 5), ("e2", 9), ("e3", 100)):
        label_row(store, version, example, rater="ann", verdict="right", more=Judgement(seconds=seconds), now="3")
    label_row(store, version, "e1", rater="bob", verdict="right", now="3")
    ann, bob = progress(store, version)
    assert (ann.rater, ann.judged, ann.waiting, ann.median_s) == ("ann", 3, 0, 9)
    assert (bob.rater, bob.judged, bob.waiting, bob.median_s) == ("bob", 1, 2, None)

"""Right or wrong, one answer at a time; the expected scores were worked out by hand."""

import pytest

from engine.records import REFUSAL, Question
from evals.metrics import is_refusal, is_right, recites, token_f1


def answerable(*accept: str, reject: tuple[str, ...] = (), gold: str = "") -> Question:
    return Question("q1", "How many?", "answerable", accept=accept, reject=reject, extra={"gold": gold})


@pytest.mark.parametrize(
    "answer",
    [REFUSAL, "Not specified in the provided excerpt", f' "{REFUSAL}" \n', "**Not specified** in the provided excerpt.",
     "not specified in the provided excerpt."],
)  # fmt: skip
def test_the_refusal_is_known_in_quotes_in_emphasis_and_without_its_full_stop(answer):
    assert is_refusal(answer)
    assert is_right(answer, Question("u", "?", "unanswerable"))


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "I do not know.",
        f"{REFUSAL} But it may be 12 days.",
        "Twelve days. " + REFUSAL,
        "Specified in the provided excerpt.",
    ],
)
def test_anything_beside_the_refusal_is_no_refusal(answer):
    assert not is_refusal(answer)
    assert not is_right(answer, Question("u", "?", "unanswerable"))


def test_one_accepted_pattern_is_enough_and_one_rejected_pattern_is_too_much():
    question = answerable(r"\b12\b", "twelve", reject=(r"\b15\b",))
    assert is_right("You get TWELVE days.", question)
    assert is_right("Exactly 12.", question)
    assert not is_right("You get 112 days.", question)
    assert not is_right("It is 12 or 15 days.", question)
    assert not is_right("", question)


def test_a_pattern_reaches_over_lines_and_past_emphasis():
    assert is_right("First\n\n- ask **HR**", answerable("first.*ask HR"))
    assert is_right("It is __12__ `days`", answerable("12 days"))


def test_a_refusal_is_no_right_answer_to_an_answerable_question():
    assert not is_right(REFUSAL, answerable(r"\b12\b"))
    assert not is_right(REFUSAL, answerable(gold="Employees receive 12 days."))


@pytest.mark.parametrize(
    ("answer", "reference", "score"),
    [
        ("", "", 1.0),
        ("", "leave", 0.0),
        ("leave", "", 0.0),
        ("The leave is TWELVE days!", "the leave is twelve days", 1.0),
        ("twelve days of leave", "twelve days", 2 * 2 / 6),  # precision 1/2, recall 1
        ("days days days", "days", 2 * 1 / 4),  # a repeated word counts once for each time it stands in both
        ("EUR 40", "$40", 2 * 0 / 3),  # "$40" is one word: another currency is another answer
        ("cats", "dogs", 0.0),
    ],
)
def test_token_f1_by_hand(answer, reference, score):
    assert token_f1(answer, reference) == pytest.approx(score)


GOLD = "Yes. Employees receive 12 days of sick leave each year, paid in full."


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        (GOLD, True),
        ("Yes. Employees get 12 days of sick leave each year, paid in full.", True),  # one word of 13 differs: F1 12/13
        ("No. Employees receive 12 days of sick leave each year, paid in full.", False),  # the other way round
        ("Employees receive 12 days of sick leave each year, paid in full.", False),  # neither yes nor no
        ("Yes. Employees receive 21 days of sick leave each year, paid in full.", False),  # another number
        ("Yes. Employees receive 12 days of sick leave in each 1 year, paid in full.", False),  # one number more
        (f"Sick leave: {GOLD}", True),  # under the heading of its clause
        ("Sick leave: No. Employees receive 12 days of sick leave each year, paid in full.", False),
        ("Yes. Staff may be ill for 12 days.", False),  # few of the words
        ("", False),
    ],
)
def test_a_recited_answer_keeps_polarity_numbers_and_most_words(answer, right):
    assert recites(answer, GOLD) is right
    assert is_right(answer, answerable(gold=GOLD)) is right

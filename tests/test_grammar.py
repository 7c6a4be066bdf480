"""A sentence taken apart: subject, verb and rest as a reader of English would name them."""

import pytest

from engine.grammar import Clause, as_first_person, base_form, first_person, proper_words, take_apart, uncapitalised


def test_condition_subject_auxiliary_and_rest_are_told_apart():
    assert take_apart("If you are ill, you must not travel when tired.") == Clause(
        "you", "may", "", "travel when tired", negated=True, condition="if you are ill", plural=True
    )
    assert take_apart("Employees may work from home if their manager agrees.") == Clause(
        "employees", "may", "", "work from home", condition="if their manager agrees", plural=True
    )


@pytest.mark.parametrize(
    ("sentence", "asked"),
    [
        ("Employees accrue 12 days of leave each year.", ("do employees", "accrue 12 days of leave each year")),
        ("The HR Manager approves all requests.", ("does the HR Manager", "approve all requests")),
        ("Each employee carries a badge.", ("does each employee", "carry a badge")),
        ("The form is sent to HR.", ("is the form", "sent to HR")),
        ("A new employee has to sign the form.", ("must a new employee", "sign the form")),
        ("Each team has a budget of EUR 500.", ("does each team", "have a budget of EUR 500")),
        ("Please note that requests must be signed.", ("must requests", "be signed")),
        (
            "Employees who have passed probation may buy leave.",
            ("may employees who have passed probation", "buy leave"),
        ),
        ("Leave requests must be signed.", ("must leave requests", "be signed")),
    ],
)
def test_the_two_ends_of_a_question_can_be_read_off(sentence, asked):
    clause = take_apart(sentence)
    assert clause is not None and clause.asked() == asked


@pytest.mark.parametrize(
    ("sentence", "negated", "auxiliary"),
    [
        ("Annual leave cannot be taken during the stock count.", True, "can"),
        ("You may not smoke indoors.", True, "may"),
        ("Employees are not entitled to overtime pay.", True, "are"),
        ("Managers shouldn't decide alone.", True, "may"),
        ("Employees won't receive cash.", True, "will"),
        ("Do not share your password.", True, "may"),
        ("Never leave the door open.", True, "may"),
        ("No employee may carry days over.", True, "may"),
        ("Nobody must lend their badge.", True, "may"),
        ("No more than ten days can be sold.", False, "can"),
        ("Submit the form to HR.", False, "must"),
        ("Employees may leave early.", False, "may"),
    ],
)
def test_what_is_forbidden_is_known_as_forbidden(sentence, negated, auxiliary):
    clause = take_apart(sentence)
    assert clause is not None
    assert (clause.negated, clause.auxiliary) == (negated, auxiliary)
    assert " not " not in f" {clause.rest} "


@pytest.mark.parametrize(
    "fragment",
    [
        "",
        "The leave requests of employees",
        "a spouse or a child;",
        "Table 4",
        "Yes.",
        "Travelled in 2019 and wrote of it",
    ],
)
def test_what_is_no_sentence_is_not_taken_apart(fragment):
    assert take_apart(fragment) is None


def test_the_first_person_keeps_the_verb_and_moves_what_is_owned():
    clause = take_apart("Employees are allowed to bring their dog if they are on shift.")
    assert clause is not None and clause.staff
    mine = first_person(clause)
    assert mine.asked() == ("am I", "allowed to bring my dog")
    assert mine.condition == "if I am on shift"


@pytest.mark.parametrize(
    ("text", "mine"),
    [
        ("your manager and their team", "my manager and my team"),
        ("if you are ill", "if I am ill"),
        ("the employee's site", "my site"),
        ("a letter sent to you", "a letter sent to me"),
        ("take lunch with you", "take lunch with me"),
        ("the youth club", "the youth club"),
    ],
)
def test_your_becomes_my(text, mine):
    assert as_first_person(text) == mine


def test_only_somebody_who_works_there_is_asked_about_as_i():
    assert all(take_apart(f"{who} must sign the form.").staff for who in ("Employees", "You", "All staff"))
    assert not any(
        take_apart(f"{who} must sign the form.").staff for who in ("Visitors", "The HR Manager", "The company")
    )


def test_names_keep_their_capital_and_other_words_lose_it():
    texts = ["The team meets on Monday in Port Ellery.", "On Monday the team meets.", "Requests go to HR. Requests wait.",
             "The requests are many."]  # fmt: skip
    proper = proper_words(texts)
    assert {"monday", "port", "ellery", "hr", "i"} <= proper and not {"the", "requests", "team", "on"} & proper
    assert uncapitalised("Monday is free", proper) == "Monday is free"
    assert uncapitalised("The team", proper) == "the team"
    assert uncapitalised("HR decides", frozenset()) == "HR decides"
    assert uncapitalised("", proper) == "" and uncapitalised("12 days", proper) == "12 days"


@pytest.mark.parametrize(
    ("word", "found"),
    [("receives", ("receive", True)), ("carries", ("carry", True)), ("passes", ("pass", True)), ("apply", ("apply", False)),
     ("took", None), ("blue", None), ("is", None)],
)  # fmt: skip
def test_a_verb_is_known_by_its_base_form(word, found):
    assert base_form(word) == found

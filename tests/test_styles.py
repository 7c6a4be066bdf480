"""Styles of asking: each is there for what is answered and for what is not, and none invents a word."""

import re

import pytest

from engine.facts import facts_of
from engine.styles import ACTION_FORMS, OFFER_FORMS, TOPIC_FORMS, VALUE_FORMS, actions, asked_in_every_style, crops

RULE = "Employees must submit the travel form to the Finance Office within 10 days, unless the trip was cancelled."


def test_a_run_of_words_starts_and_ends_with_content_and_is_at_most_half_of_the_statement():
    found = list(crops(RULE))
    assert "travel form" in found and "submit the travel form" in found
    assert all(run in RULE and "," not in run for run in found)
    assert not [run for run in found if run.split()[0] in ("the", "to", "within") or run.split()[-1] in ("the", "to")]
    assert max(len(run.split()) for run in found) <= 6
    assert list(crops("Badges are blue.")) == []


@pytest.mark.parametrize(
    ("statement", "wanted"),
    [
        (RULE, "submit the travel form"),
        ("Submit your receipts to payroll.", "submit my receipts"),
        ("You may carry over five days.", "carry over five days"),
    ],
)
def test_what_a_sentence_says_people_do_is_asked_in_the_first_person(statement, wanted):
    assert any(action.startswith(wanted) for action in actions(statement))


@pytest.mark.parametrize("statement", ["Annual leave is paid.", "The plan covers dental work.", "Every claim counts."])
def test_a_noun_that_could_be_a_verb_is_not_something_to_do(statement):
    assert list(actions(statement)) == []


def test_an_action_does_not_run_into_its_exception():
    assert not [action for action in actions("You may swap shifts unless your manager objects.") if "unless" in action]


def test_values_are_asked_for_only_where_the_statement_has_one():
    asked = lambda statement: [question for _, question in asked_in_every_style("a badge", statement)]  # noqa: E731
    money = [form.format("a badge") for form in VALUE_FORMS["money"]]
    assert set(money) <= set(asked("A lost badge costs EUR 20.")) and not set(money) & set(asked("Badges are blue."))
    assert {form.format("a badge") for form in (*TOPIC_FORMS, *OFFER_FORMS)} <= set(asked("Badges are blue."))


def test_on_a_real_policy_an_action_is_made_of_its_statements_words(document):
    found = [(fact.statement, action) for fact in facts_of([document]) for action in actions(fact.statement)]
    assert len(found) > 50
    for statement, action in found:
        words = set(re.findall(r"\w+", statement.lower())) | {"i", "me", "my", "myself", "am", "have"}
        assert set(re.findall(r"\w+", action.lower())) <= words
    assert all("{0}" in form for form in ACTION_FORMS)

"""What can be told of words without a parser: names, finite verbs, sentences."""

import pytest

from engine.grammar import base_form, is_sentence, proper_words, uncapitalised


@pytest.mark.parametrize(
    "text",
    ["Employees accrue 12 days of leave each year.", "The HR Manager approves all requests.", "Annual leave cannot be taken in June.",
     "Employees who have passed probation may buy leave.", "Submit the form to HR.", "Do not share your password.",
     "If you are ill, you must not travel.", "Leave requests must be signed."],
)  # fmt: skip
def test_a_sentence_is_known_by_its_verb(text):
    assert is_sentence(text)


@pytest.mark.parametrize(
    "text", ["", "The leave requests of employees", "a spouse or a child;", "Table 4", "Yes.", "Travelled in 2019 and wrote of it",
             "Document number: HR-POL-07 of the register"],
)  # fmt: skip
def test_a_fragment_and_a_label_are_no_sentences(text):
    assert not is_sentence(text)


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

"""Sentences taken apart as a reader of English would: who does what, under which circumstances."""

import pytest

from engine.clauses import clauses_of
from engine.parsing import parse, text_of


def clauses(sentence: str):
    return clauses_of(parse([sentence])[0])


def test_subject_auxiliary_verb_and_what_follows_are_told_apart():
    (clause,) = clauses("If you are ill, you must not send the form to HR within ten days.")
    assert (clause.who, clause.auxiliaries, clause.verb, clause.negated) == ("you", ("must",), "send", True)
    assert [part.text for part in clause.parts] == ["the form", "to HR", "within ten days"]
    assert [(part.mark, part.text) for part in clause.before] == [("if", "If you are ill")]


def test_a_second_verb_shares_subject_and_auxiliary():
    first, second = clauses("HR will review the application and notify the employee if it is approved.")
    assert (first.verb, second.verb) == ("review", "notify") and second.who == "hr" and second.auxiliaries == ("will",)
    assert [part.text for part in first.parts] == ["the application"]


def test_a_time_that_hangs_on_a_noun_is_a_part_of_its_own():
    (clause,) = clauses("The HR Business Partner adds a staffing statement within 15 working days of receipt.")
    assert [part.text for part in clause.parts] == ["a staffing statement", "within 15 working days of receipt"]


def test_an_order_is_what_one_must_do_and_a_ban_what_one_may_not():
    (order,) = clauses("Notify your supervisor in writing.")
    (ban,) = clauses("Do not share your password.")
    assert (order.who, order.auxiliaries, order.negated) == ("you", ("must",), False)
    assert (ban.who, ban.auxiliaries, ban.negated) == ("you", ("may",), True)


def test_a_verb_that_looks_like_a_noun_is_found_again_as_a_verb():
    (clause,) = clauses("Unused days lapse on 31 March of the following year.")
    assert (clause.who, clause.auxiliaries, clause.verb) == ("unused days", ("will",), "lapse")


@pytest.mark.parametrize(
    "text",
    ["You can receive Court Leave for however long you serve on a jury.", "We will not sell or rent your data to anyone.",
     "Leave for a second attempt is unpaid, and no leave is given for a third.", "Refer to the leave page for more.",
     "It is our policy that inquiries be referred to the director.",
     "During family leave an employee may work up to ten days."],
)  # fmt: skip
def test_no_order_and_no_clause_is_read_into_half_a_sentence(text):
    assert {clause.verb for clause in clauses(text)} <= {"receive", ""}


def test_a_noun_that_is_a_verb_is_one_also_before_a_condition():
    (clause,) = clauses("Sick pay stops if the certificate is more than seven calendar days late.")
    assert (clause.who, clause.auxiliaries, clause.verb) == ("sick pay", ("will",), "stop")


@pytest.mark.parametrize(
    "text", ["Table 4", "A spouse or a child", "", "The team met in 2019.", "No employee may smoke."]
)
def test_fragments_the_past_and_what_turns_yes_into_no_give_nothing(text):
    assert clauses(text) == [] if text else True


@pytest.mark.parametrize(
    ("sentence", "staff", "organisation", "role"),
    [("Employees sign the form.", True, False, False), ("We sign the form.", False, True, False),
     ("The line manager signs the form.", False, False, True), ("The form carries a stamp.", False, False, False),
     ("An employee who is ill receives a form.", False, False, True)],
)  # fmt: skip
def test_who_acts_is_known(sentence, staff, organisation, role):
    (clause,) = clauses(sentence)
    assert (clause.staff, clause.organisation, clause.role) == (staff, organisation, role)


def test_words_left_out_leave_one_blank():
    words = parse(["The old form is sent."])[0].words
    assert text_of([words[0], words[2], words[3]]) == "The form is"

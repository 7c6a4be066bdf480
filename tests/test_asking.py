"""Questions of a clause: in good grammar, with its conditions, and never with what they ask for."""

import re

import pytest

from engine.asking import asking, questions
from engine.clauses import clauses_of
from engine.naming import gerund, things, third
from engine.parsing import parse
from engine.voices import voices


def asked(sentence: str, *forms: str) -> list[str]:
    found = []
    for clause in clauses_of(parse([sentence])[0]):
        for voice in voices(clause, clause.who):
            found += [a.question for a in questions(voice) if not forms or a.form in forms]
    return found


@pytest.mark.parametrize(
    ("sentence", "form", "question"),
    [
        ("Each request must include a receipt for the desk.", "what", "what must each request include?"),
        ("The plan covers dental work after a year.", "yes_no", "does the plan cover dental work after a year?"),
        ("Award leave expires one year after it is issued.", "how_long", "how long after it is issued does award leave expire?"),
        ("Requests are made five working days in advance.", "how_many", "how many working days in advance are requests made?"),
        ("The certificate is sent within five days of the return.", "how_soon", "how soon after the return is the certificate sent?"),
        ("You can receive an advance if you are new.", "what_do", "what can I do if I am new?"),
        ("Employees receive paid leave.", "yes_no", "do we get paid leave?"),
        ("We offer a pension plan.", "yes_no", "am I entitled to a pension plan?"),
        ("Your supervisor will review your form.", "who", "who will review my form?"),
        ("The exchange is agreed with the line manager.", "who", "who is the exchange agreed with?"),
        ("Expenses are paid twice a month.", "how_often", "how often are expenses paid?"),
        ("Overtime means work that was ordered.", "what_is", "what is overtime?"),
        ("The form is kept in the Travel Office.", "where", "where is the form kept?"),
    ],
)  # fmt: skip
def test_the_question_is_asked_as_a_person_would(sentence, form, question):
    assert question in asked(sentence, form)


def test_you_and_their_become_i_and_my_and_we_becomes_the_company():
    assert "do I keep my badge?" in asked("Employees keep their badge.", "yes_no")
    assert "does the company keep the company's records?" in asked("We keep our records.", "yes_no")
    assert "am I allowed to bring my dog?" in asked("You may bring your dog.", "yes_no")


def test_what_is_forbidden_is_asked_positively_and_answered_no():
    (clause,) = clauses_of(parse(["Employees must not lend their badge."])[0])
    found = [a for voice in voices(clause, "employees") for a in questions(voice) if a.form == "yes_no"]
    assert {a.verdict for a in found} == {"No"} and "may I lend my badge?" in [a.question for a in found]
    assert not [a.question for a in found if "not" in a.question]


def test_a_clause_about_it_is_not_asked():
    assert asked("It is paid monthly.") == []


@pytest.mark.parametrize(
    "sentence",
    [
        "If either date falls on a weekend, payroll runs on Friday.",
        "The staff who work there choose other days.",
        "You will need to send the following paperwork to your manager.",
        "An employee can apply for one after six years of service.",
        "Should a topic be raised that requires discussion, a separate meeting should be scheduled.",
        "This leave is entered under code 94.",
        "The table below shows the quota for a full-time trainee.",
        "The employee pays 20% through payroll deduction.",
    ],
)
def test_a_clause_that_leans_on_what_was_said_before_is_not_asked(sentence):
    assert asked(sentence) == []


def test_what_a_policy_says_of_itself_is_asked():
    assert "does this policy apply to all trainees?" in asked("This policy applies to all trainees.", "yes_no")


@pytest.mark.parametrize(
    ("sentence", "question"),
    [
        ("We reimburse pre-approved expenses.", "am I entitled to pre-approved expenses?"),
        ("We provide our guests with the necessary helmets.", "does the company provide the company's guests?"),
        ("You can use up to 13 days of your sick leave for bereavement.", "can I use up to 13 days?"),
        ("We prohibit harassment of one guest by another guest.", "does the company prohibit harassment of one guest?"),
        ("During the phased return employees receive full pay.", "am I entitled to full pay?"),
        ("It may start no earlier than ten weeks before the birth.", "than how many weeks may it start no earlier?"),
        (
            "You can request up to the total amount that you'll earn.",
            "what can I do to the total amount that I'll earn?",
        ),
        ("Award leave expires one year after it is issued.", "what happens after it is issued?"),
        (
            "Employees receive a discount on our products, up to EUR 2,000.",
            "how much do employees receive a discount on the company's products?",
        ),
        ("Talk with your supervisor about taking leave.", "who must I talk with?"),
        ("Reach out to your specialist to start the process.", "must I reach out?"),
        (
            "Inform your supervisor in writing as far in advance as is reasonable.",
            "when must I inform my supervisor in writing as far in advance?",
        ),
        ("Leave year means the period from 1 January to 31 December.", "does leave year mean the period?"),
        (
            "The cancellation is approved by the director, not by the manager.",
            "who approves the cancellation not by the manager?",
        ),
        ("We will make all efforts to help when you ask.", "what will the company make when I ask?"),
        ("You must get written approval from the director.", "what must I get written from the director?"),
    ],
)
def test_half_a_rule_is_no_question(sentence, question):
    assert question not in asked(sentence)


def test_who_is_helped_is_me():
    assert "who can help me fill out the form?" in asked("Your supervisor can help you fill out the form.")
    assert "must I call when I need help?" in asked("You must call when you need help.")


def test_things_are_named_with_their_article_and_without_their_number():
    sentence = parse(["The line manager signs a medical certificate for ten days of parental leave."])[0]
    found = {thing.bare: thing.named for thing in things(sentence.words, sentence.chunks)}
    assert found["medical certificate"] == "the medical certificate" and "parental leave" in found
    assert not any("ten" in bare or "days" in bare for bare in found)


def test_of_a_part_the_whole_is_the_thing():
    sentence = parse(["In the event of an emergency the rest of the budget pays for paid time off by telephone."])[0]
    found = {thing.bare: thing for thing in things(sentence.words, sentence.chunks)}
    assert {"emergency", "budget"} <= {*found}
    assert not [bare for bare in found if re.search(r"event|rest|time|telephone", bare)]
    sentence = parse(["Notify your supervisor of the date, and sign the best products with the right signatures."])[0]
    assert {"supervisor", "products", "signatures"} <= {thing.bare for thing in things(sentence.words, sentence.chunks)}
    assert not found["emergency"].acts


@pytest.mark.parametrize(
    ("lemma", "ing", "s"), [("submit", "submitting", "submits"), ("carry", "carrying", "carries"), ("take", "taking", "takes"),
                            ("plan", "planning", "plans"), ("pass", "passing", "passes"), ("tie", "tying", "ties"),
                            ("have", "having", "has")],
)  # fmt: skip
def test_forms_of_a_verb(lemma, ing, s):
    assert (gerund(lemma), third(lemma)) == (ing, s)


@pytest.mark.parametrize(
    ("value", "word", "unit"), [("12 working days", "how many", "working days"), ("EUR 20", "how much", ""), 
                                ("25 percent", "what", "percentage"),
                                ("31 March", "when", ""), ("one year", "how many", "years")],
)  # fmt: skip
def test_a_value_is_asked_for_with_its_word_and_unit(value, word, unit):
    assert asking(value) == (word, unit)

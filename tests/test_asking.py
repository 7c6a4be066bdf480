"""Questions of a clause: in good grammar, with its conditions, and never with what they ask for."""

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


def test_things_are_named_with_their_article_and_without_their_number():
    sentence = parse(["The line manager signs a medical certificate for ten days of parental leave."])[0]
    found = {thing.bare: thing.named for thing in things(sentence.words, sentence.chunks)}
    assert found["medical certificate"] == "the medical certificate" and "parental leave" in found
    assert not any("ten" in bare or "days" in bare for bare in found)


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

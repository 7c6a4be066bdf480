"""The many ways to ask for one fact: true to its polarity, never giving the answer away, and more than a few."""

import random
import re
from collections import Counter

import pytest

from engine.documents import read_bytes
from engine.facts import facts_of, find_facts, find_values
from engine.grammar import proper_words
from engine.phrasing import Vocabulary, Wording, spoken, topic_of, vocabulary_of, wordings
from engine.records import Document, Fact

VALUE_FORMS = ("how_many", "when", "how_soon", "how_long")
YES_NO = ("yes_no", "scenario", "list")


def vocabulary(document: Document) -> Vocabulary:
    texts = [f"{passage.lead_in} {passage.text}" for passage in document.passages]
    return vocabulary_of(texts, proper_words(texts))


def asked(sentence: str) -> list[Wording]:
    document = read_bytes("p.md", f"# Policy\n\n## 4 Conduct\n\n### 4.1 Site rules\n\n{sentence}\n".encode())
    (fact,) = find_facts(document)
    return wordings(fact, vocabulary(document))


def polarity(found: list[Wording]) -> set[str]:
    return {wording.answer.split()[0] for wording in found if wording.form == "yes_no"}


@pytest.fixture(scope="module")
def sample(document) -> list[tuple[Fact, list[Wording]]]:
    words = vocabulary(document)
    return [(fact, wordings(fact, words)) for fact in facts_of([document])]


@pytest.mark.parametrize(
    "sentence",
    [
        "Employees may not smoke in the building.",
        "Do not share your password with colleagues.",
        "Annual leave cannot be taken during the stock count.",
        "Employees are not entitled to overtime pay.",
        "You must not use company cars for holidays.",
        "Sick pay is not paid for injuries from paid work for another employer.",
        "Visitors can't enter the laboratory without a guide.",
    ],
)
def test_asking_whether_a_forbidden_thing_is_allowed_is_answered_no(sentence):
    found = asked(sentence)
    assert polarity(found) == {"No."}
    for wording in found:
        if wording.form == "yes_no":
            assert wording.answer == f"No. {sentence}"
            assert not re.search(r"\b(?:not|cannot|never|no)\b|n't\b", wording.question, re.IGNORECASE)


@pytest.mark.parametrize(
    "sentence",
    [
        "Employees may work from home on two days a week.",
        "Submit the form to the Travel Desk.",
        "The HR Manager approves all requests for leave.",
        "Each employee carries a badge at all times.",
    ],
)
def test_asking_whether_a_stated_thing_holds_is_answered_yes(sentence):
    found = asked(sentence)
    assert polarity(found) == {"Yes."}
    assert all(wording.answer in (sentence, f"Yes. {sentence}") for wording in found)


def test_on_a_real_policy_every_answer_is_the_statement_with_yes_or_no_where_it_was_asked(sample):
    for fact, found in sample:
        for wording in found:
            said = wording.answer.removeprefix("Yes. ").removeprefix("No. ")
            assert said == fact.statement
            assert said == wording.answer or wording.form in YES_NO
            assert said != wording.answer or wording.form not in ("yes_no", "scenario")


def test_a_question_for_a_value_never_says_the_value(sample):
    leaks, questions = [], 0
    for fact, found in sample:
        values = [match[0].lower() for match in find_values(fact.statement)]
        for wording in found:
            if wording.form.split(".")[0] in VALUE_FORMS and len(values) == 1:
                questions += 1
                leaks += [wording.question for value in values if value in wording.question.lower()]
    assert questions > 100 and len(leaks) <= questions / 10  # those in a condition; a gate takes them


def words_of(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


def test_no_open_question_is_its_own_answer(sample):
    """A yes/no question and bare keywords may hold all the statement's words; a question that asks for them may not."""
    found = [(fact, w) for fact, found in sample for w in found if w.form not in (*YES_NO, "keywords")]
    assert len(found) > 2000
    assert [w.question for fact, w in found if words_of(fact.statement) in words_of(w.question)] == []


@pytest.mark.parametrize(
    "sentence", ["**Leave year** means the period from May to April.", "Document number: HR-POL-07 of the register"]
)
def test_a_noun_that_could_be_a_verb_is_not_taken_for_an_order(sentence):
    assert [w.question for w in asked(sentence) if re.match(r"(?:Must|Do) (?:I|you)\b", w.question)] == []


def test_every_fact_of_a_real_policy_is_asked_in_several_forms(sample):
    forms = {fact.id: Counter(wording.form for wording in found) for fact, found in sample}
    assert sum(found.total() >= 5 for found in forms.values()) >= 0.75 * len(forms)
    assert sum(len(found) >= 3 for found in forms.values()) >= 0.7 * len(forms)


def test_no_wording_of_a_fact_stands_twice_and_each_is_a_line_a_person_could_type(sample):
    for _, found in sample:
        questions = [wording.question.lower() for wording in found]
        assert len(set(questions)) == len(questions)
        for wording in found:
            assert 3 <= len(wording.question.split()) <= 34
            assert wording.question == " ".join(wording.question.split()) and not wording.question[0].islower()
            assert "  " not in wording.question and " ?" not in wording.question


@pytest.mark.parametrize(
    ("sentence", "question"),
    [
        ("Employees receive 12 days of sick leave each year.", "How many days of sick leave do I receive?"),
        ("Requests must be sent within 30 days.", "Within how many days must requests be sent?"),
        ("A lost badge costs EUR 20.", "How much does a lost badge cost?"),
        ("The HR Manager approves all requests for leave.", "Who approves all requests for leave?"),
        ("Badges are issued by the Security Office.", "Who issues badges?"),
        (
            "Requests are sent to the line manager before the leave begins.",
            "Who are requests sent to before the leave begins?",
        ),
        ("Probation means the first six months of employment.", "How long is probation?"),
        ("Unused days lapse on 31 March.", "When will unused days lapse?"),
        (
            "The company pays half of the premium because the plan is group-wide.",
            "Why does the company pay half of the premium?",
        ),
        ("Employees must inform their supervisor in writing.", "How must I inform my supervisor?"),
        ("Enhanced pay requires 26 weeks of service.", "What requires 26 weeks of service?"),
        ("If you lose your badge, you must tell the desk.", "What happens if I lose my badge?"),
        ("If you lose your badge, you must tell the desk.", "I lose my badge. Must I tell the desk?"),
        ("Employees may carry over annual leave.", "What are the rules on carrying over annual leave?"),
        ("If you are on shift, you may take lunch with you.", "May I take lunch with me if I am on shift?"),
        ("Carry-over is requested by 15 December.", "When is carry-over requested?"),
    ],
)
def test_the_question_a_person_would_ask_is_among_them(sentence, question):
    assert question in [wording.question for wording in asked(sentence)]


def test_a_clause_is_named_by_its_innermost_heading_that_says_something():
    assert topic_of("4 Leave › 4.2 Sick leave") == "Sick leave"
    assert topic_of("3 Travel › 3.1 General") == "Travel"
    assert topic_of("1 Sites › 1.1 Purpose and scope") == "Sites"
    assert topic_of("A. Purpose") == "Purpose" and topic_of("") == ""
    assert topic_of("Part C. Suspension") == "Suspension" and topic_of("§ 9 Disputes") == "Disputes"
    assert topic_of("Step 3: Tell us") == "Tell us" and topic_of("R4 Lone working") == "Lone working"
    assert topic_of("HR contacts") == "HR contacts" and topic_of("Part time work") == "Part time work"


def test_a_phrase_tells_more_the_rarer_its_words_are():
    words = vocabulary_of(
        ["leave is paid", "leave is long", "leave for dogs", "the stock count is in June"], frozenset({"june"})
    )
    assert words.telling("stock count") > words.telling("leave") > words.telling("of the") == 0


def test_the_thing_a_question_names_is_named_with_it(sample):
    named = [(w.phrase, w.question) for _, found in sample for w in found if w.phrase]
    assert len(named) > 1000 and all(phrase.lower() in question.lower() for phrase, question in named)


def test_a_condition_is_never_left_out_of_a_question():
    found = asked("Unless the manager objects, employees may swap shifts.")
    assert [w.question for w in found if w.form == "yes_no"] == []
    found = asked("If you are ill for three days, you must send a certificate.")
    whether = [w.question for w in found if w.form == "yes_no"]
    assert whether and all("three days" in question for question in whether)


def test_a_row_of_a_table_is_asked_by_its_label_and_column_alone():
    fact = Fact("f", "p", "9 Travel", "number", "Taxi: Rate EUR 20 per trip; Approved by Line manager.",
                "Taxi: Rate EUR 20 per trip; Approved by Line manager", "EUR 20")  # fmt: skip
    found = {w.question for w in wordings(fact, Vocabulary(frozenset(), {}))}
    assert {"What is the rate for taxi?", "Who is taxi approved by?"} <= found
    assert not [question for question in found if "EUR" in question]
    fact = Fact("f", "p", "4 Leave", "number", "10 years or more: Leave 31 working days; Carry-over 8 days.",
                "10 years or more: Leave 31 working days; Carry-over 8 days", "31 working days")  # fmt: skip
    assert {w.form for w in wordings(fact, Vocabulary(frozenset(), {}))} == {"cell", "keywords"}


def test_a_sentence_with_a_list_after_a_colon_is_no_row_of_a_table():
    found = [w.question for w in asked("The Benefits Committee has seven members: three trainees and four managers.")]
    assert found and not [question for question in found if "about The Benefits Committee has" in question]


def test_a_heading_is_no_part_of_a_sentence():
    document = read_bytes("p.md", b"# P\n\n## Boards\n\n### Board of Advisers\n\n- Peter Karman\n- Aaron Snow\n")
    found = [w for fact in find_facts(document) for w in wordings(fact, vocabulary(document))]
    assert found and not [w.question for w in found if "Advisers Peter" in w.question]


@pytest.mark.parametrize(
    ("sentence", "thing"),
    [
        ("The certificate must be in English.", "English"),
        ("Talk to the desk about recommended ways to combine leave types.", "recommended ways"),
        ("Unspent budget lapses on 31 December.", "unspent budget lapses"),
    ],
)
def test_what_names_nothing_is_no_topic(sentence, thing):
    assert [w.question for w in asked(sentence) if w.form == "topic" and thing.lower() in w.question.lower()] == []


def test_the_rule_is_only_asked_for_where_one_is_laid_down():
    asks_for_a_rule = re.compile(r"\b(?:rules?|policy on)\b")
    plain = [
        w.question for w in asked("The firm builds steel bridges for the aerospace industry.") if w.form == "topic"
    ]
    plain = [question for question in plain if not question.startswith("Regarding site rules")]
    ruled = [w.question for w in asked("Trainees must wear steel helmets near the test track.") if w.form == "topic"]
    assert plain and not [question for question in plain if asks_for_a_rule.search(question)]
    assert [question for question in ruled if asks_for_a_rule.search(question)]


def test_a_question_inside_a_sentence_is_not_taken_for_its_rule():
    found = asked("Duration means how long the parent will need medical care (6 weeks? 8 weeks?) after the birth.")
    assert found and not [w.question for w in found if w.form not in ("topic", "keywords")]


def test_a_whole_list_is_asked_by_what_introduces_it():
    document = read_bytes(
        "p.md", b"# P\n\n## Claims\n\nEach claim must include:\n\n- a receipt\n- a short note\n- the date\n"
    )
    fact = next(fact for fact in find_facts(document) if "\n" in fact.evidence)
    assert fact.statement == "Each claim must include: a receipt; a short note; the date."
    assert fact.evidence == "Each claim must include:\na receipt\na short note\nthe date"
    assert "What must each claim include?" in [w.question for w in wordings(fact, vocabulary(document))]


def test_a_list_that_its_lead_in_names_is_not_asked_by_its_heading():
    document = read_bytes(
        "p.md", b"# P\n\n## Claims\n\nThe claim must include the following:\n\n- a receipt\n- a short note\n"
    )
    fact = next(fact for fact in find_facts(document) if "\n" in fact.evidence)
    found = [w.question for w in wordings(fact, vocabulary(document)) if w.form == "whole_list"]
    assert "What must the claim include?" in found and not [question for question in found if "Claims" in question]


def test_an_example_is_no_rule():
    found = asked("For example: You look in the portal and see 182 hours of annual leave.")
    assert not [w.question for w in found if w.form not in ("topic", "keywords", "cell")]


def test_a_row_label_that_is_half_a_phrase_is_no_topic():
    fact = Fact(
        "f",
        "p",
        "About",
        "date",
        "Effective from: Detail 1 January 2026.",
        "Effective from: Detail 1 January 2026",
        "1 January 2026",
    )
    found = {w.question for w in wordings(fact, Vocabulary(frozenset(), {}))}
    assert "What is the effective from date?" in found and not [question for question in found if "about" in question]


def test_another_persons_words_keep_form_and_answer_and_sound_different():
    wording = Wording("yes_no", "May employees resign during probation?", "No. They may not.")
    rng = random.Random(1)
    said = {spoken(wording, rng) for _ in range(300)}
    assert {(w.form, w.answer) for w in said} == {("yes_no", "No. They may not.")}
    assert len({w.question for w in said}) > 15
    assert any("quit" in w.question for w in said) and any(w.question.islower() for w in said)
    assert any(not w.question.endswith("?") for w in said)
    assert wording.question in {w.question for w in said}


@pytest.mark.parametrize(
    ("question", "never"),
    [
        ("Can I use parental leave reasons?", "baby reasons"),
        ("Does the policy mention mental illness?", "being sick"),
        ("Is harassment of guests prohibited?", "being harassed of"),
        ("Can I take paid bereavement leave?", "paid time off for"),
        ("What is listed under harassment and bullying?", "bullying and bullying"),
        ("Who runs the Employee Assistance Line?", "Worker|Staff|Team|Help"),
        ("May I withdraw an approved request?", "a OK|a auth"),
        ("What is the health insurance plan?", "plan plan"),
    ],
)
def test_other_words_are_put_only_where_they_fit(question, never):
    rng = random.Random(2)
    said = {spoken(Wording("yes_no", question, "Yes."), rng).question for _ in range(300)}
    assert len(said) > 3 and not [other for other in said if re.search(never, other)]


def test_keywords_are_typed_without_a_greeting():
    rng = random.Random(3)
    said = {spoken(Wording("keywords", "Bicycle lease rate", "Yes."), rng).question.lower() for _ in range(100)}
    assert said == {"bicycle lease rate"}

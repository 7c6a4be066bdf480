"""Questions without an answer: absent from the whole corpus, most of them close to it."""

import random
import re

import pytest

from engine.documents import read_bytes
from engine.facts import facts_of
from engine.generate import EmbeddedGenerator
from engine.grammar import proper_words
from engine.lexicon import ABSENT_TOPICS, AUDIENCES, OFF_TOPIC
from engine.phrasing import Wording, vocabulary_of, wordings
from engine.records import Document
from engine.unanswerable import SHARES, Unanswerable, absence_of, answered_somewhere, stem, stems_of, unanswerables


def asked(documents: list[Document], *, count: int = 400, seed: int = 0) -> list[Unanswerable]:
    passages = [passage for document in documents for passage in document.passages]
    texts = [f"{passage.lead_in} {passage.text}" for passage in passages]
    vocabulary = vocabulary_of(texts, proper_words(texts))
    facts = facts_of(documents)
    questions: list[Wording] = [wording for fact in facts for wording in wordings(fact, vocabulary)]
    absence = absence_of(facts, [(p.clause, text) for p, text in zip(passages, texts, strict=True)])
    return unanswerables(facts, questions, absence, vocabulary, count=count, rng=random.Random(seed))


def policy(text: str, name: str = "p.md") -> Document:
    return read_bytes(name, f"# Policy\n\n{text}\n".encode())


BADGES = policy(
    "## 1 Badges\n\nEmployees may not lend their badge. Employees show their badge at the gate each day.", "badges.md"
)


@pytest.fixture(scope="module")
def sample(document) -> list[Unanswerable]:
    return asked([document])


def test_at_least_half_are_near_misses_in_the_policys_own_words(sample, document):
    near = [row for row in sample if row.form.startswith("near_miss.")]
    assert len(sample) >= 300 and len(near) >= len(sample) / 2
    assert sum(share for form, share in SHARES.items() if form.startswith("near_miss.")) >= 0.5
    assert sum(SHARES.values()) == pytest.approx(1)
    words = " ".join(f"{passage.clause} {passage.text}" for passage in document.passages).lower()
    own = set(re.findall(r"[a-z]{4,}", words))
    assert all(set(re.findall(r"[a-z]{4,}", row.question.lower())) & own for row in near)


def test_every_form_of_absence_is_there_in_about_its_share(sample):
    for form, share in SHARES.items():
        found = sum(row.form == form for row in sample)
        assert 0.6 * share <= found / len(sample) <= 1.5 * share


def test_a_topic_is_absent_only_if_no_document_of_the_corpus_speaks_of_it():
    """Sabbaticals, gym memberships and pet insurance stand in the second document, which none of the questions is about."""
    other = policy(
        "## 1 Extras\n\nA sabbatical is paid. A gym membership is free. Pet insurance is offered to all.", "extras.md"
    )
    topics = ("sabbatical", "gym membership", "pet insurance")
    alone = " ".join(row.question.lower() for row in asked([BADGES], count=9000))
    both = " ".join(row.question.lower() for row in asked([BADGES, other], count=9000) if row.form == "absent_topic")
    assert all(topic in alone and topic not in both for topic in topics)


def test_no_absent_topic_stands_word_for_word_in_a_real_policy(sample, document):
    text = " ".join(f"{passage.clause} {passage.lead_in} {passage.text}" for passage in document.passages).lower()
    for row in sample:
        if row.form == "absent_topic":
            named = max((topic for topic in ABSENT_TOPICS if topic in row.question.lower()), key=len)
            assert named not in text


def test_people_are_foreign_to_the_whole_corpus(sample, document):
    text = " ".join(passage.text for passage in document.passages).lower()
    rows = [row for row in sample if row.form == "near_miss.audience"]
    assert rows
    for row in rows:
        named = [phrase for phrase in AUDIENCES if phrase.lower() in row.question.lower()]
        assert named and any(phrase.lower() not in text for phrase in named)


def test_an_audience_that_the_policy_names_is_not_taken_for_a_stranger():
    speaks = policy(
        "## 1 Badges\n\nEmployees may not lend their badge. Visitors and freelancers get a badge for a day."
    )
    audiences = [row.question.lower() for row in asked([speaks], count=2000) if row.form == "near_miss.audience"]
    assert audiences and not any("visitors" in question or "freelancers" in question for question in audiences)
    assert any("visitors" in row.question.lower() for row in asked([BADGES], count=2000))


def test_a_longer_form_of_a_word_names_the_same_topic():
    absence = absence_of([], [("1 Courses", "Employees get a paid day of leave for each examination.")])
    assert not absence.lacks("exam leave") and absence.lacks("study leave")


def test_a_stranger_takes_the_whole_place_of_the_person_who_asked():
    speaks = policy(
        "## 1 Badges\n\nIf you are ill, you may lend me your badge. Employees show their badge at the gate each day."
    )
    found = [row.question for row in asked([speaks], count=2000) if row.form == "near_miss.audience"]
    assert found and not [question for question in found if re.search(r"\b(?:I|am|me|myself)\b", question)]


def test_a_clause_that_names_a_sum_is_not_said_to_lack_one():
    priced = policy("## 1 Badges\n\nEmployees may not lend their badge. A lost badge costs EUR 20.")
    money = re.compile(r"fee|cost|money|euros|dollar")
    assert not [r for r in asked([priced], count=2000) if r.form == "near_miss.value" and money.search(r.question)]
    assert [r for r in asked([BADGES], count=2000) if r.form == "near_miss.value" and money.search(r.question)]


def test_a_sum_named_elsewhere_for_the_same_topic_counts_as_named():
    elsewhere = policy("## 1 Fees\n\nA replacement of badges costs EUR 20 in each case.", "fees.md")
    money = re.compile(r"(?:fee|cost|money|euros|dollar).*badges|badges.*(?:cost|pay)", re.IGNORECASE)
    alone, both = (
        [row for row in asked(documents, count=2000) if row.form == "near_miss.value" and money.search(row.question)]
        for documents in ([BADGES], [BADGES, elsewhere])
    )
    assert alone and not both


def test_no_question_is_asked_twice_and_the_same_seed_asks_the_same(document, sample):
    questions = [row.question.lower() for row in sample]
    assert len(set(questions)) == len(questions)
    assert asked([document]) == sample != asked([document], seed=1)


def test_the_wordings_of_one_absence_belong_together_and_to_no_other(sample):
    groups: dict[str, set[str]] = {}
    for row in sample:
        if row.form == "absent_topic":
            named = max((topic for topic in ABSENT_TOPICS if topic in row.question.lower()), key=len)
            groups.setdefault(row.group, set()).add(named)
    assert all(len(named) == 1 for named in groups.values())
    assert len(groups) == len(set().union(*groups.values()))
    assert all(row.group.startswith("none-") for row in sample)


def test_off_topic_questions_are_asked_with_and_without_a_greeting():
    rows = [row for row in asked([BADGES], count=1600) if row.form == "off_topic"]
    assert len(rows) > len(OFF_TOPIC)
    assert (
        len({row.group for row in rows}) == len(OFF_TOPIC) - 1
    )  # "Who are you?" has no word whose absence could be checked


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [("reimbursed", "reimbursement", True), ("policies", "policy", True), ("trainings", "training", True), ("badge", "badges", True),
     ("leave", "lease", False), ("employee's", "employee", True)],
)  # fmt: skip
def test_inflections_of_a_word_are_one_topic(one, other, same):
    assert (stem(one) == stem(other)) is same


def test_a_question_whose_words_all_stand_in_one_passage_is_not_safe_to_refuse():
    texts = [stems_of("A lost badge costs EUR 20."), stems_of("The gate is open.")]
    assert answered_somewhere("What does a lost badge cost?", texts)
    assert not answered_somewhere("What does a lost gate cost?", texts)
    assert not answered_somewhere("The badge?", texts)  # one word alone says too little


def test_the_generator_marks_them_with_the_refusal_and_no_evidence(document):
    facts = facts_of([document])
    proposed = [found.example for found in EmbeddedGenerator().propose([document], facts[:30], rng=random.Random(0))]
    rows = [row for row in proposed if row.kind == "unanswerable"]
    assert rows and {row.answer for row in rows} == {"Not specified in the provided excerpt."}
    assert all(row.evidence == row.passage_id == "" for row in rows)

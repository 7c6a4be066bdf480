"""The gates: what is kept, what is not, and why."""

import random
from dataclasses import replace

import pytest

from engine.documents import read_bytes
from engine.facts import find_facts
from engine.quality import Gates, HeldOut, Repeats, too_close, word_set
from engine.records import REFUSAL, Example

DOCUMENT = read_bytes(
    "p.md",
    b"# Policy\n\n## 1 Badges\n\nA lost badge costs EUR 20. Employees may not lend their badge.\n\n"
    b"## 2 Meals\n\nMeals are refunded up to EUR 40 a day.\n\n"
    b"## 3 Keys\n\nKeys are blue and cold. Keys are here each day. Keys are made of steel. Keys are never lent out.\n",
)
FACTS = {fact.evidence: fact for fact in find_facts(DOCUMENT)}
COST = FACTS["A lost badge costs EUR 20."]


def proposed(**changes: str) -> Example:
    example = Example(
        "e",
        COST.id,
        "answerable",
        "number",
        "How much is a lost badge?",
        COST.statement,
        COST.evidence,
        COST.passage_id,
    )
    return replace(example, **changes)


@pytest.fixture
def gates() -> Gates:
    return Gates(DOCUMENT.passages, list(FACTS.values()))


def test_a_faithful_question_a_statement_and_a_refusal_are_kept(gates):
    assert gates.reason_against(proposed()) == ""
    assert gates.reason_against(proposed(kind="statement", question="")) == ""
    absent = proposed(kind="unanswerable", question="Is there a gym?", answer=REFUSAL, evidence="", passage_id="")
    assert gates.reason_against(absent) == ""


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"answer": " "}, "malformed: no answer"),
        ({"question": "Badge?"}, "malformed: the question is shorter than two words"),
        ({"question": "How much is <|im_end|> a lost badge?"}, "malformed: holds a control token of the model"),
        ({"answer": f"{COST.statement} <|endoftext|>"}, "malformed: holds a control token of the model"),
        ({"question": "How much is a lost badge " + "really " * 110}, "too long for the base model: over 110 words"),
        ({"evidence": "A lost badge costs EUR 25."}, "evidence is not verbatim in the passage"),
        ({"evidence": ""}, "evidence is not verbatim in the passage"),
        ({"passage_id": "elsewhere"}, "evidence is not verbatim in the passage"),
        ({"passage_id": FACTS["Meals are refunded up to EUR 40 a day."].passage_id}, "evidence is not verbatim in the passage"),
        ({"answer": "A lost badge costs EUR 25."}, "the answer does not hold its evidence"),
        ({"question": "Who wrote the symphony?"}, "question is not self-contained: nothing in it is of the policy"),
        ({"question": "What about keys?"}, "question is not self-contained: 4 or more facts could answer it"),
        ({"question": "How much is a lost badge of EUR 20?", "form": "how_many"}, "answer leaks into the question"),
        ({"kind": "unanswerable", "answer": "I do not know."}, "malformed: an unanswerable row must hold the refusal, word for word"),
        ({"kind": "unanswerable", "answer": REFUSAL, "question": "What does a lost badge cost?"}, "a passage may answer it after all"),
    ],
)  # fmt: skip
def test_what_is_not_kept_gets_the_reason_a_person_understands(gates, changes, reason):
    assert gates.reason_against(proposed(**changes)) == reason


def test_the_same_question_is_kept_once_however_it_is_typed(gates):
    again = "near-duplicate: the same question with the same answer"
    assert gates.reason_against(proposed()) == ""
    assert gates.reason_against(proposed(question="how much is  a lost badge")) == again
    refused = proposed(kind="unanswerable", question="Is there a gym?", answer=REFUSAL, evidence="", passage_id="")
    assert gates.reason_against(refused) == ""
    assert gates.reason_against(replace(refused, question="Is there a gym")) == again


def test_the_same_question_is_not_kept_with_two_answers(gates):
    assert gates.reason_against(proposed()) == ""
    contradiction = "contradiction: the same question is answered otherwise in a kept row"
    assert gates.reason_against(proposed(answer=f"Yes. {COST.statement}")) == contradiction


def test_a_rejected_row_bars_no_later_one(gates):
    assert gates.reason_against(proposed(evidence="")) != ""
    assert gates.reason_against(proposed()) == ""


def test_a_yes_no_question_may_name_the_value_it_asks_about(gates):
    assert gates.reason_against(proposed(form="inversion", question="Does a lost badge cost EUR 20?")) == ""


def test_each_version_has_gates_of_its_own():
    for _ in range(2):
        assert Gates(DOCUMENT.passages, list(FACTS.values())).reason_against(proposed()) == ""


@pytest.mark.parametrize(
    ("one", "other", "close"),
    [
        ("how many days of leave do I get", "how many days of leave do we get", True),  # 7 of 9 words: 0.78
        ("how many days of leave", "how many weeks of leave", False),  # 4 of 6: 0.67
        ("a b c d e f g", "a b c d e f g h i j", True),  # 7 of 10: exactly 0.7
        ("leave leave leave", "Leave?", True),  # words count once
        ("", "leave", False),
    ],
)
def test_closeness_is_the_jaccard_index_of_words_from_seven_tenths_on(one, other, close):
    assert too_close(one, [word_set(other)]) is close
    assert too_close(other, [frozenset({"unrelated"}), word_set(one)]) is close


def test_nothing_is_close_to_nothing_held_out():
    assert not too_close("how many days", [])


def test_an_index_of_held_out_questions_says_what_looking_at_each_of_them_says():
    rng = random.Random(0)
    texts = [" ".join(rng.choices("abcdefghijkl", k=rng.randint(1, 12))) for _ in range(600)]
    held_out, asked = texts[:200], texts[200:]
    index, sets = HeldOut(held_out), [word_set(text) for text in held_out]
    said = [(index.near(text), too_close(text, sets)) for text in asked]
    assert [pair for pair in said if pair[0] != pair[1]] == []
    assert 40 < sum(near for near, _ in said) < 360


def test_a_question_is_let_through_once_and_in_other_spellings_only_where_asked_to():
    row = proposed(question="How much is it?", answer="Ten.")
    repeats = Repeats()
    assert repeats.reason_against(row) == ""
    assert repeats.reason_against(row).startswith("near-duplicate")
    assert repeats.reason_against(replace(row, question="how much is it")).startswith("near-duplicate")
    assert repeats.reason_against(replace(row, question="how much is it"), spellings=True) == ""
    assert repeats.reason_against(replace(row, question="how much is it"), spellings=True).startswith("near-duplicate")
    assert repeats.reason_against(replace(row, answer="Twelve."), spellings=True).startswith("contradiction")

"""The gates: what is kept, what is not, and why."""

import random
from dataclasses import replace

import pytest

from engine.documents import read_bytes
from engine.facts import find_facts
from engine.quality import Gates, Repeats
from engine.records import REFUSAL, Example

DOCUMENT = read_bytes(
    "p.md",
    b"# Policy\n\n## 1 Badges\n\nA lost badge costs EUR 20. Employees may not lend their badge.\n\n"
    b"## 2 Meals\n\nMeals are refunded up to EUR 40 a day.\n\n"
    b"## 3 Keys\n\nKeys are blue and cold. Keys are here each day. Keys are made of steel. Keys are never lent out. "
    b"This applies to all keys.\n",
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
        ({"question": "What applies to keys?", "form": "topic"}, "question is not self-contained: 4 or more facts could answer it"),
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


def test_a_question_is_let_through_once_and_in_other_spellings_only_where_asked_to():
    row = proposed(question="How much is it?", answer="Ten.")
    repeats = Repeats()
    assert repeats.reason_against(row) == ""
    assert repeats.reason_against(row).startswith("near-duplicate")
    assert repeats.reason_against(replace(row, question="how much is it")).startswith("near-duplicate")
    assert repeats.reason_against(replace(row, question="how much is it"), spellings=True) == ""
    assert repeats.reason_against(replace(row, question="how much is it"), spellings=True).startswith("near-duplicate")
    assert repeats.reason_against(replace(row, answer="Twelve."), spellings=True).startswith("contradiction")


def test_a_question_that_differs_by_its_greeting_or_its_order_alone_is_a_near_duplicate():
    first = proposed(question="How much do I pay for a lost badge at the front desk today?")
    nearly = "near-duplicate: nearly the same question with the same answer"
    repeats = Repeats()
    assert repeats.reason_against(first) == ""
    greeted = replace(first, question="Quick question: how much do I pay for a lost badge at the front desk today?")
    turned = replace(first, question="At the front desk today, how much do I pay for a lost badge?")
    assert repeats.reason_against(greeted) == repeats.reason_against(turned) == nearly
    other_word = replace(first, question="How much do I pay for a lost card at the front desk today?")
    assert repeats.reason_against(other_word) == ""
    assert repeats.reason_against(replace(greeted, answer="Another answer.")) == ""


def test_near_duplicates_are_found_among_many_as_a_scan_finds_them():
    rng = random.Random(0)
    words = [f"word{n}" for n in range(40)]
    rows = [proposed(question=" ".join(rng.sample(words, rng.randint(8, 22))), answer="Ten.") for _ in range(150)]
    rows += [replace(row, question=f"{row.question} {rng.choice(words)}") for row in rows]
    repeats, kept = Repeats(), list[set[str]]()
    for row in rows:
        mine = set(row.question.split())
        alike = any(len(mine & other) >= 0.9 * len(mine | other) for other in kept)
        assert bool(repeats.reason_against(row)) == alike
        if not alike:
            kept.append(mine)
    assert 150 < len(kept) < 300

"""What counts as one thing a policy says; every expectation was written by hand from the text beside it."""

from itertools import pairwise

import pytest

from engine.documents import read_bytes
from engine.facts import carries_a_rule, facts_of, find_facts, find_values
from engine.records import Document, Fact

HANDBOOK = """# Handbook

## 1 Leave

### 1.1 Sick leave

Employees receive 12 days of sick leave each year. Travel must be booked by 31 March. This does not hold for trainees.

Bereavement leave of three days is given for:

- a spouse or a child;
- a colleague of the same team.

| Service | Days |
|---|---|
| Less than 2 years | 24 working days |

### 1.2 Terms

Working day means any day from Monday to Friday. The HR Manager approves all requests. What is a day? Note.
"""


def parsed(text: str, name: str = "h.md") -> Document:
    return read_bytes(name, text.encode())


@pytest.fixture(scope="module")
def facts() -> dict[str, Fact]:
    return {fact.evidence: fact for fact in find_facts(parsed(HANDBOOK))}


def test_every_sentence_list_item_and_table_row_that_says_something_is_a_fact(facts):
    assert list(facts) == [
        "Employees receive 12 days of sick leave each year.",
        "Travel must be booked by 31 March.",
        "Travel must be booked by 31 March. This does not hold for trainees.",
        "Bereavement leave of three days is given for:\na spouse or a child;\na colleague of the same team.",
        "a spouse or a child;",
        "a colleague of the same team.",
        "Less than 2 years: Days 24 working days",
        "Working day means any day from Monday to Friday.",
        "The HR Manager approves all requests.",
    ]


def test_a_sentence_that_only_introduces_what_follows_is_no_fact():
    text = "# P\n\n## 1 Leave\n\nThe firm has leave types for the following scenarios. Requests are due on the following Friday.\n"
    assert [fact.evidence for fact in find_facts(parsed(text))] == ["Requests are due on the following Friday."]


def test_a_statement_stands_alone_and_is_a_sentence(facts):
    assert (
        facts["a spouse or a child;"].statement == "Bereavement leave of three days is given for: a spouse or a child."
    )
    assert facts["Less than 2 years: Days 24 working days"].statement == "Less than 2 years: Days 24 working days."
    assert not any(fact.statement.startswith(("This ", "It ", "They ")) for fact in facts.values())


def test_a_fact_knows_what_kind_of_answer_it_holds_and_the_words_it_cannot_do_without(facts):
    assert [(fact.kind, fact.value) for fact in facts.values()] == [
        ("number", "12 days"), ("date", "31 March"), ("date", "31 March"), ("list", ""), ("list", ""), ("list", ""),
        ("number", "24 working days"), ("definition", ""), ("role", ""),
    ]  # fmt: skip


def test_evidence_is_verbatim_in_its_passage_on_a_real_policy(document):
    passages = {passage.id: passage for passage in document.passages}
    found = find_facts(document)
    assert len(found) > 200
    for fact in found:
        assert fact.evidence and fact.evidence in document.text
        assert fact.evidence.splitlines()[0] in passages[fact.passage_id].text
        assert fact.clause == passages[fact.passage_id].clause
        assert fact.value in fact.evidence
        assert fact.statement[-1] in ".!?" and len(fact.statement.split()) >= 3


def test_every_sentence_of_a_real_policy_that_carries_a_rule_stands_in_a_fact(document):
    """Written without the product's splitter: numbers of the text that no fact's statement holds are lost rules."""
    said = " ".join(fact.statement for fact in find_facts(document))
    lost = [
        (passage.clause, value[0])
        for passage in document.passages
        for value in find_values(passage.text)
        if value[0] not in said
    ]
    assert lost == []


def test_a_facts_id_outlives_edits_elsewhere_and_changes_with_its_own_words(facts):
    edited = HANDBOOK.replace("## 1 Leave\n", "## 1 Leave\n\nThis chapter is new this year.\n").replace(
        "24 working", "25 working"
    )
    later = {fact.evidence: fact.id for fact in find_facts(parsed(edited, "second edition.md"))}
    kept = {evidence: fact.id for evidence, fact in facts.items() if evidence in later}
    assert len(kept) == len(facts) - 1
    assert all(later[evidence] == fact_id for evidence, fact_id in kept.items())
    assert later["Less than 2 years: Days 25 working days"] not in {fact.id for fact in facts.values()}


def test_the_same_clause_in_two_documents_is_one_fact(facts):
    assert len(facts_of([parsed(HANDBOOK), parsed(HANDBOOK + "\n", "copy.md")])) == len(facts)


def test_the_same_words_under_another_clause_are_another_fact():
    text = "# P\n\n## 1 Dogs\n\nA permit is needed at all times.\n\n## 2 Cats\n\nA permit is needed at all times.\n"
    found = find_facts(parsed(text))
    assert [fact.clause for fact in found] == ["1 Dogs", "2 Cats"] and found[0].id != found[1].id


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("up to EUR 1,500 per employee within 30 calendar days", ["EUR 1,500", "30 calendar days"]),
        ("by 12 May 2026 at 09:30, or 5 pm", ["12 May 2026", "09:30", "5 pm"]),
        ("0.4 percent, 10 % and 2.5 hours", ["0.4 percent", "10 %", "2.5 hours"]),
        (
            "ten working days, a three-year term and twenty-one days",
            ["ten working days", "three-year", "twenty-one days"],
        ),
        ("$5 million or 300 euros", ["$5 million", "300 euros"]),
        ("from 1 to 21 February", ["21 February"]),
        ("clause 8.2 and section 4", []),
        ("the team meets often", []),
        ("", []),
    ],
)
def test_money_shares_dates_and_quantities_are_found_with_their_unit(text, values):
    assert [match[0] for match in find_values(text)] == values


def test_values_come_in_order_and_never_overlap(document):
    for passage in document.passages:
        found = find_values(passage.text)
        assert all(left.end() <= right.start() for left, right in pairwise(found))


def test_a_sentence_with_a_number_a_duty_or_a_role_carries_a_rule():
    assert carries_a_rule("Leave ends on 31 March.") and carries_a_rule("Requests must be signed.")
    assert carries_a_rule("The committee meets.")
    assert not carries_a_rule("Welcome to our handbook.")

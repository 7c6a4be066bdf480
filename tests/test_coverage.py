"""How much of a document its facts cover; every expected count is by hand."""

from dataclasses import replace

from engine.coverage import coverage, evidence_spans, facts_by_passage
from engine.documents import read_bytes
from engine.facts import facts_of
from engine.records import Fact

POLICY = read_bytes(
    "p.md",
    b"# Rules\n\n## Leave\n\nEmployees receive 25 days of leave. Requests reach the manager two weeks before. Spring is nice here.\n\n"
    b"## Greeting\n\nWelcome aboard, one and all.\n\n## Badges\n\nA badge must be worn at all times.\n",
)
FACTS = facts_of([POLICY])


def test_every_clause_is_listed_and_one_without_a_fact_is_seen():
    leave, greeting, badges = coverage(POLICY, [fact for fact in FACTS if "leave" in fact.evidence])
    assert (leave.clause, leave.rules, leave.covered, leave.facts) == ("Leave", 2, 1, 1)
    assert (badges.clause, badges.rules, badges.covered, badges.facts) == ("Badges", 1, 0, 0)
    assert leave.missed and badges.missed and not greeting.missed and greeting.rules == 0


def test_with_all_its_facts_no_rule_of_the_policy_is_missed():
    assert [(found.rules, found.covered) for found in coverage(POLICY, FACTS)] == [(2, 2), (0, 0), (1, 1)]


def test_evidence_is_found_by_its_characters_and_nothing_is_claimed_where_it_is_not_verbatim():
    passage = POLICY.passages[0]
    first, second = facts_by_passage(FACTS)[passage.id][:2]
    spans = evidence_spans(passage, [second, first, replace(first, evidence="26 days"), replace(first, evidence="")])
    assert [fact for _, fact in spans] == [first, second]
    assert [passage.text[start:end] for (start, end), _ in spans] == [first.evidence, second.evidence]


def test_a_fact_of_another_passage_covers_nothing_here():
    stranger = Fact("x", "elsewhere", "Leave", "number", "s", "Employees receive 25 days of leave.")
    assert coverage(POLICY, [stranger])[0].covered == 0

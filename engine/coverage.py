"""How much of a document its facts cover, clause by clause, so that a clause without a fact is seen and not missed."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.facts import carries_a_rule
from engine.records import Document, Fact, Passage
from engine.sentences import sentences

Span = tuple[int, int]


@dataclass(frozen=True)
class ClauseCoverage:
    """One clause: how many of its sentences carry a number, date, deadline, role or rule, and on how many stands a fact."""

    clause: str  # "" before the first heading
    page: int | None
    passages: tuple[Passage, ...]
    rules: int  # sentences that carry a rule
    covered: int  # of these, how many have a fact
    facts: int

    @property
    def missed(self) -> bool:
        """A rule stands in it that no fact tells."""
        return self.covered < self.rules


def coverage(document: Document, facts: Sequence[Fact]) -> list[ClauseCoverage]:
    """Every clause in reading order, also those without any fact."""
    by_passage = facts_by_passage(facts)
    clauses: dict[str, list[Passage]] = {}
    for passage in document.passages:
        clauses.setdefault(passage.clause, []).append(passage)
    return [_clause(clause, passages, by_passage) for clause, passages in clauses.items()]


def facts_by_passage(facts: Sequence[Fact]) -> dict[str, list[Fact]]:
    """Passage id -> the facts found in it."""
    found: dict[str, list[Fact]] = defaultdict(list)
    for fact in facts:
        found[fact.passage_id].append(fact)
    return dict(found)


def evidence_spans(passage: Passage, facts: Sequence[Fact]) -> list[tuple[Span, Fact]]:
    """
    Where each fact's evidence stands in the passage: (start, end) into its text, in order.

    Evidence that is not verbatim there is left out. Spans may overlap: a sentence may stand in two facts. The evidence of a whole list
    begins here and goes on through the passages after this one.
    """
    found = []
    for fact in facts:
        words = fact.evidence.partition("\n")[0]
        start = passage.text.find(words) if words else -1
        if start >= 0:
            found.append(((start, start + len(words)), fact))
    return sorted(found, key=lambda pair: pair[0])


def _clause(clause: str, passages: Sequence[Passage], by_passage: Mapping[str, Sequence[Fact]]) -> ClauseCoverage:
    rules = covered = 0
    for passage in passages:
        spans = [span for span, _ in evidence_spans(passage, by_passage.get(passage.id, ()))]
        position = 0
        for sentence in sentences(passage.text):
            start = passage.text.find(sentence, position)
            position = max(position, start + len(sentence))
            if carries_a_rule(sentence):
                rules += 1
                covered += any(low < start + len(sentence) and start < high for low, high in spans)
    facts = {fact.id for passage in passages for fact in by_passage.get(passage.id, ())}
    page = next((passage.page for passage in passages if passage.page), None)
    return ClauseCoverage(clause, page, tuple(passages), rules, covered, len(facts))

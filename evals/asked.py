"""What is known of each question of a report beside its words: its fact, the clause and document, its kind in every respect."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.facts import kind_of
from engine.records import Document, Fact, Passage, Question
from engine.search import documents_in_force
from engine.store import Store
from evals.grading import gold_of

FROM_THE_ROW = {"slice": "slice", "category": "category", "form": "form", "value_type": "value type"}
OWN, OTHER = "first wording", "second wording"
Facets = Mapping[str, str]
"""In which respect -> which: {"clause": "4 Leave › 4.2 Sick leave", "value type": "number", …}."""


@dataclass(frozen=True)
class About:
    """One question of a report. `fact` is what intervals are clustered by."""

    fact: str
    facets: Facets = field(default_factory=dict)
    gold: str = ""
    evidence: str = ""  # the words of the document that answer it; "" where the row names none

    @classmethod
    def of(cls, saved: Mapping[str, Any]) -> "About":
        """As a report keeps it."""
        return cls(**saved)


@dataclass
class Sources:
    """The documents and facts that questions are about, to look up what their rows do not say. Empty is allowed."""

    documents: Sequence[Document] = ()
    facts: Mapping[str, Fact] = field(default_factory=dict)

    @classmethod
    def of(cls, store: Store) -> "Sources":
        """Everything a workspace has read, and the facts of its dataset versions, newest last."""
        versions = reversed(store.datasets())
        facts = {fact.id: fact for version in versions for fact in store.facts(version.id)}
        return cls(documents_in_force(store), facts)

    def place_of(self, evidence: str) -> tuple[Document, Passage] | None:
        """The first passage that holds these words, spaces and case aside; None where none does."""
        words = _flat(evidence)
        for document in self.documents if words else ():
            for passage in document.passages:
                if words in _flat(f"{passage.lead_in} {passage.text}"):
                    return document, passage
        return None


def about(questions: Iterable[Question], task: str, sources: Sources) -> dict[str, About]:
    """By the question's id. What neither the row nor the documents say is left out of the facets."""
    return {question.id: _about(question, task, sources) for question in questions}


def facets_of(row_id: str, known: About, *, twice: bool) -> dict[str, str]:
    """The facets of one answer row: its question's, and, where some were asked `twice`, which wording it was."""
    wording = {"wording": OTHER if row_id.endswith("#p") else OWN} if twice else {}
    return {**known.facets, **wording}


def _about(question: Question, task: str, sources: Sources) -> About:
    extra = question.extra
    fact = sources.facts.get(str(extra.get("fact_id", "")))
    evidence = str(extra.get("evidence") or (fact.evidence if fact else ""))
    found = sources.place_of(evidence)
    facets = {"task": task, "kind": question.kind}
    given = {**extra, "slice": question.slice}
    facets |= {facet: str(given[key]) for key, facet in FROM_THE_ROW.items() if given.get(key)}
    if clause := str(extra.get("clause") or (fact.clause if fact else found[1].clause if found else "")):
        facets["clause"] = clause
    if document := str(extra.get("source") or extra.get("document") or (found[0].name if found else "")):
        facets["document"] = document
    if "value type" not in facets and question.kind == "answerable":
        if fact:
            facets["value type"] = fact.kind
        elif found:
            facets["value type"] = kind_of(found[1], evidence)
    if extra.get("boundary") or "boundary" in f"{extra.get('category', '')} {question.slice}":
        facets["boundary"] = "boundary case"
    return About(
        fact=str(extra.get("fact_id") or _flat(evidence) or question.id),
        facets=facets,
        gold=str(extra["expected"]) if "expected" in extra else gold_of(question),
        evidence=evidence,
    )


def _flat(text: str) -> str:
    return " ".join(text.split()).casefold()

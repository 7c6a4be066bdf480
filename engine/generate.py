"""Facts -> proposed examples, by a generator that needs no model bigger than the embedded one and no network."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Protocol

from engine.grammar import proper_words
from engine.phrasing import Vocabulary, Wording, spoken, thing_asked_about, vocabulary_of, wordings
from engine.quality import gist
from engine.records import REFUSAL, Document, Example, Fact, Proposal
from engine.styles import TEMPLATES
from engine.unanswerable import absence_of, unanswerables

if TYPE_CHECKING:
    from engine.writing.writer import QuestionWriter, Written

WORDINGS_PER_FACT = 16
REFUSAL_SHARE = 0.30
STATEMENTS_PER_FACT = 2
MOST_OF_A_FORM = dict.fromkeys(TEMPLATES, 2) | {"topic": 4, "keywords": 3, "action": 2, "yes_no": 5, "list": 2}
"""How many of a fact's questions such a form may give; it always has more."""
WRITTEN = "written"
"""The form of a question that the writer wrote."""
OVERDRAW = 1.1
"""Unanswerable rows proposed for each one wanted: what the gates leave over their share is not kept."""


class Generator(Protocol):
    """Whoever proposes rows: the rules below, or a teacher model."""

    @property
    def name(self) -> str:
        """Stored with the dataset version."""
        ...

    def about(self, facts: Sequence[Fact]) -> int:
        """Roughly how many rows `propose` will give: what a progress bar needs."""
        ...

    def provenance(self) -> Mapping[str, Any]:
        """What a version's recipe says of it beside its name, once it has proposed."""
        ...

    def propose(
        self, documents: Sequence[Document], facts: Sequence[Fact], *, rng: random.Random
    ) -> Iterator[Proposal]:
        """
        Rows in any order; the gates decide which are kept.

        The same rows in the same order from the same seed, also in another process: what was broken off is proposed again
        from the start, and the rows that stand in the ledger are passed over.
        """
        ...


@dataclass(frozen=True)
class EmbeddedGenerator:
    """Rules and word lists, and a `writer` for questions in people's words: the same rows from the same seed."""

    wordings_per_fact: int = WORDINGS_PER_FACT
    refusal_share: float = REFUSAL_SHARE
    writer: "QuestionWriter | None" = None

    @property
    def name(self) -> str:
        """As stored in a dataset's recipe."""
        return self.named(writes=self.writer is not None, wordings_per_fact=self.wordings_per_fact)

    @staticmethod
    def named(*, writes: bool, wordings_per_fact: int = WORDINGS_PER_FACT) -> str:
        """The name of one that has a writer, or none."""
        return f"embedded {'writer and ' if writes else ''}rules, {wordings_per_fact} wordings a fact"

    def about(self, facts: Sequence[Fact]) -> int:
        """All wordings and statements, and the share of refusals on top."""
        refusals = OVERDRAW * self.wordings_per_fact * self.refusal_share / (1 - self.refusal_share)
        return round(len(facts) * (self.wordings_per_fact + STATEMENTS_PER_FACT + refusals))

    def provenance(self) -> Mapping[str, Any]:
        """Which writer; of the rules the name says it all."""
        return self.writer.provenance() if self.writer else {}

    def propose(
        self, documents: Sequence[Document], facts: Sequence[Fact], *, rng: random.Random
    ) -> Iterator[Proposal]:
        """Questions and statements fact by fact, then the questions that have no answer."""
        vocabulary = _vocabulary(documents)
        asked: list[Wording] = []
        unanswered: list[Example] = []
        for fact, written in self.writer.write(facts) if self.writer else ((fact, ()) for fact in facts):
            people = [_worded(one, vocabulary) for one in written if one.answered]
            chosen = self._choose(wordings(fact, vocabulary), rng, people)
            asked += chosen
            unanswered += [_without_answer(one) for one in written if not one.answered]
            for wording in chosen:
                yield Proposal(_answerable(fact, wording))
            yield from map(Proposal, statements_of(fact))
        wanted = round(OVERDRAW * len(asked) * self.refusal_share / (1 - self.refusal_share))
        yield from map(Proposal, unanswered[:wanted])
        yield from map(Proposal, refusals(documents, facts, asked, wanted=wanted - len(unanswered), rng=rng))

    def _choose(self, found: Sequence[Wording], rng: random.Random, written: Sequence[Wording] = ()) -> list[Wording]:
        """What was written, every natural form, a few topics and keywords, then the same ones as others would type them."""
        by_form: dict[str, list[Wording]] = {}
        for wording in found:
            by_form.setdefault(wording.form, []).append(wording)
        pool: list[Wording] = []
        for form, group in by_form.items():
            rng.shuffle(group)
            pool += group[: MOST_OF_A_FORM.get(form, len(group))]
        natural = [wording for wording in pool if wording.form not in TEMPLATES] or pool
        rng.shuffle(natural)
        templates = [wording for wording in pool if wording.form in TEMPLATES and wording not in natural]
        room = self.wordings_per_fact - len(written)
        chosen = natural[: max(0, room - min(len(templates), room // 3))] + templates
        chosen = [wording if rng.random() < 0.6 else spoken(wording, rng) for wording in chosen[: max(0, room)]]
        unique = {gist(wording.question): wording for wording in (*written, *chosen)}
        for _ in range(4 * self.wordings_per_fact):
            if len(unique) >= self.wordings_per_fact or not pool:
                break
            another = spoken(rng.choice(natural if rng.random() < 0.7 else pool), rng)
            unique.setdefault(gist(another.question), another)
        return list(unique.values())


def refusals(
    documents: Sequence[Document], facts: Sequence[Fact], asked: Sequence[Wording], *, wanted: int, rng: random.Random
) -> Iterator[Example]:
    """About `wanted` questions that no document answers, by rule; `asked` are the answered ones that near misses are made of."""
    texts = [(p.clause, f"{p.lead_in} {p.text}") for document in documents for p in document.passages]
    absence = absence_of(facts, texts)
    for row in unanswerables(facts, asked, absence, _vocabulary(documents), count=max(0, wanted), rng=rng):
        yield Example(_id(row.group, row.question), row.group, "unanswerable", row.form, row.question, REFUSAL)


def _vocabulary(documents: Sequence[Document]) -> Vocabulary:
    texts = [f"{passage.lead_in} {passage.text}" for document in documents for passage in document.passages]
    return vocabulary_of(texts, proper_words(texts))


def _answerable(fact: Fact, wording: Wording) -> Example:
    return Example(
        id=_id(fact.id, wording.question),
        fact_id=fact.id,
        kind="answerable",
        form=wording.form,
        question=wording.question,
        answer=wording.answer,
        evidence=fact.evidence,
        passage_id=fact.passage_id,
    )


def _worded(written: "Written", vocabulary: Vocabulary) -> Wording:
    thing = thing_asked_about(written.question, written.fact, vocabulary)
    return Wording(WRITTEN, written.question, f"{written.opening}{written.fact.statement}", thing)


def _without_answer(written: "Written") -> Example:
    group = f"none-{written.fact.id}"
    return Example(
        _id(group, written.question), group, "unanswerable", f"near_miss.{WRITTEN}", written.question, REFUSAL
    )


def statements_of(fact: Fact) -> Iterator[Example]:
    """The bare sentence, and the sentence under its clause: trained with full loss, never asked."""
    for text in (fact.statement, f"{fact.clause}: {fact.statement}")[:STATEMENTS_PER_FACT]:
        yield Example(_id(fact.id, text), fact.id, "statement", "statement", "", text, fact.evidence, fact.passage_id)


def _id(fact_id: str, text: str) -> str:
    return blake2b(f"{fact_id}/{text}".encode(), digest_size=8).hexdigest()

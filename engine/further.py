"""Further forms of facts: to ask what no training row asked, and to teach again what was not learned."""

import random
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from engine.datasets import save_version
from engine.errors import InvalidInput
from engine.generate import REFUSAL_SHARE, EmbeddedGenerator, Generator
from engine.generation import GenerationConfig, never
from engine.grammar import proper_words
from engine.phrasing import Vocabulary, vocabulary_of, wordings
from engine.quality import Gates, HeldOut, gist
from engine.records import DatasetVersion, Document, Example, Fact, LedgerRow
from engine.store import Store
from engine.styles import TEMPLATES
from engine.teaching import generator_of
from engine.watching import Watch, ignore

if TYPE_CHECKING:
    from engine.workspace import Workspace

MOST_FORMS = 4
"""Asked of one fact: enough to tell learned from half-learned, few enough to ask of every fact."""
MOST_TRAINED = 2
FURTHER_PER_FACT = 8
WORDINGS = 32
"""Twice as many as a first generation proposes, since most of these stand in the version already."""
OTHER_SEEDS = 1000
"""So that whoever words the questions does not word them as in the first generation."""


@dataclass(frozen=True)
class Form:
    """One question that a fact is asked by, and the answer that is wanted."""

    id: str
    fact_id: str
    question: str
    answer: str
    trained: bool  # a training row asks it just so, since no other wording is to be had


@dataclass(frozen=True)
class Further:
    """Rows that would be added to a dataset version, before anything is saved."""

    parent: DatasetVersion
    rows: tuple[LedgerRow, ...]
    made: Mapping[str, Any]  # by whom and from which seed, for the recipe

    @property
    def kept(self) -> list[LedgerRow]:
        """Those that the gates let through."""
        return [row for row in self.rows if row.state == "kept"]

    @property
    def counts(self) -> dict[str, int]:
        """Facts asked in further forms, their questions, and the refusals beside them."""
        questions = [row for row in self.kept if row.example.kind == "answerable"]
        facts = len({row.example.fact_id for row in questions})
        return {"facts": facts, "questions": len(questions), "refusals": len(self.kept) - len(questions)}


def taught_facts(rows: Sequence[LedgerRow]) -> frozenset[str]:
    """The ids of facts that some training row teaches."""
    return frozenset(row.example.fact_id for row in rows if row.split == "train" and row.example.kind != "unanswerable")


def forms_to_ask(
    rows: Sequence[LedgerRow],
    facts: Sequence[Fact],
    documents: Sequence[Document],
    *,
    most: int = MOST_FORMS,
    watch: Watch = ignore,
) -> list[Form]:
    """
    Questions for every fact, in the facts' order: what the version holds out, then what the rules find beside it.

    None of them shares 70 % of its words with a training question. A fact for which no such question is left is asked in two
    of its training wordings, and these say so. A fact that no question was kept for has none.
    """
    held_out, trained = _asked(rows, ("probe", "test")), _asked(rows, ("train",))
    near = HeldOut(row.example.question for row in rows if row.split == "train" and row.example.question)
    gates = Gates((passage for document in documents for passage in document.passages), facts)
    vocabulary = _vocabulary(documents)
    found: list[Form] = []
    for number, fact in enumerate(facts, start=1):
        watch("Finding questions to ask", number, len(facts))
        asked = {gist(example.question): example for example in held_out[fact.id]}
        if len(asked) < most:
            for example in _by_rule(fact, vocabulary):
                if not near.near(example.question) and not gates.reason_against(example):
                    asked.setdefault(gist(example.question), example)
        apart = list(asked.values())[:most]
        again = sorted(trained[fact.id], key=lambda example: example.form in TEMPLATES)[:MOST_TRAINED]
        found += [
            Form(f"{fact.id}/{place}", fact.id, example.question, example.answer, trained=not apart)
            for place, example in enumerate(apart or again)
        ]
    return found


def further_rows(
    rows: Sequence[LedgerRow],
    facts: Sequence[Fact],
    documents: Sequence[Document],
    weak: Collection[str],
    *,
    generator: Generator,
    seed: int,
    per_fact: int = FURTHER_PER_FACT,
    watch: Watch = ignore,
) -> list[LedgerRow]:
    """
    Training rows that ask these facts in other words than any row does, and refusals near them; what was rejected says why.

    A fact that is held out stays so: none of these rows is of it, and none is close to a held-out question. Raises
    InvalidInput when no fact is named that the version teaches.
    """
    taught = taught_facts(rows)
    chosen = [fact for fact in facts if fact.id in weak and fact.id in taught]
    if not chosen:
        raise InvalidInput("No fact was named that this dataset teaches, so there is nothing to add forms for.")
    gates = Gates((passage for document in documents for passage in document.passages), facts)
    for row in rows:
        if row.state == "kept":
            gates.remember(row.example)
    held_out = HeldOut(row.example.question for row in rows if row.split in ("probe", "test") and row.example.question)
    apart = {row.example.fact_id for row in rows if row.split in ("probe", "test") and row.example.kind != "answerable"}
    ids = {row.example.id for row in rows}
    given: dict[str, int] = defaultdict(int)
    found = []
    proposals = generator.propose(documents, chosen, rng=random.Random(f"further/{seed}"))
    about = generator.about(chosen)
    for number, proposal in enumerate(proposals, start=1):
        watch("Proposing further forms", number, max(about, number))
        example = proposal.example
        if example.kind == "statement" or example.id in ids:
            continue
        ids.add(example.id)
        reason = proposal.error or gates.reason_against(example)
        if not reason and (held_out.near(example.question) or example.fact_id in apart):
            reason = "too close to a held-out question"
        if not reason and example.kind == "answerable" and given[example.fact_id] >= per_fact:
            reason = f"more than {per_fact} further forms of one fact"
        given[example.fact_id] += not reason
        found.append(_row(example, reason, failed=bool(proposal.error)))
    return _in_proportion(found)


def propose_further(
    workspace: "Workspace",
    name: str,
    weak: Collection[str],
    *,
    teacher: str = "",
    stopped: Callable[[], bool] = never,
    watch: Watch = ignore,
) -> Further:
    """
    Further rows for the newest version of a dataset, not yet saved. `teacher`: who words them, as in a generation; "" the rules.

    Raises what `generator_of` and `further_rows` raise.
    """
    parent = workspace.store.dataset(name)
    documents = [workspace.store.document(document_id) for document_id in parent.documents]
    seed = OTHER_SEEDS + parent.number
    config = GenerationConfig(parent.name, parent.documents, parent.task, seed, teacher)
    generator = generator_of(workspace, config, run=f"{parent.title}/further", stopped=stopped)
    if isinstance(generator, EmbeddedGenerator):
        generator = replace(generator, wordings_per_fact=WORDINGS)
    rows = further_rows(
        workspace.store.rows(parent.id),
        workspace.store.facts(parent.id),
        documents,
        weak,
        generator=generator,
        seed=seed,
        watch=watch,
    )
    return Further(parent, tuple(rows), {"generator": generator.name, "seed": seed, **generator.provenance()})


def further_version(store: Store, further: Further, *, reason: str, now: str) -> DatasetVersion:
    """
    The parent's next version: its kept rows as they stand, and the added ones. The recipe says how many of which facts, and why.

    Raises InvalidInput when no added row is kept.
    """
    if not further.kept:
        raise InvalidInput(
            "No further form passed the gates, so the next version would be this one. Ask for questions in people's words."
        )
    parent, made = further.parent, {**further.made, **further.counts, "of": further.parent.title, "reason": reason}
    return save_version(
        store,
        parent.name,
        [*store.rows(parent.id, state="kept"), *further.rows],
        store.facts(parent.id),
        task=parent.task,
        documents=parent.documents,
        recipe={**parent.recipe, "further": made},
        parent=parent.id,
        now=now,
    )


def _asked(rows: Sequence[LedgerRow], splits: Sequence[str]) -> Mapping[str, list[Example]]:
    """Fact -> the answerable questions that these sides of the split hold, in the ledger's order."""
    found: dict[str, list[Example]] = defaultdict(list)
    for row in rows:
        if row.split in splits and row.example.kind == "answerable":
            found[row.example.fact_id].append(row.example)
    return found


def _by_rule(fact: Fact, vocabulary: Vocabulary) -> list[Example]:
    """Every natural wording of a fact, as an example that the gates can read."""
    return [
        Example(
            blake2b(f"{fact.id}/{wording.question}".encode(), digest_size=8).hexdigest(),
            fact.id,
            "answerable",
            wording.form,
            wording.question,
            wording.answer,
            fact.evidence,
            fact.passage_id,
        )
        for wording in wordings(fact, vocabulary)
        if wording.form not in TEMPLATES
    ]


def _row(example: Example, reason: str, *, failed: bool) -> LedgerRow:
    if not reason:
        return LedgerRow(example, "kept", "", "train")
    return LedgerRow(example, "failed" if failed else "rejected", reason)


def _in_proportion(rows: Sequence[LedgerRow]) -> list[LedgerRow]:
    """As many refusals beside the new questions as a new version has, and no more."""
    questions = [row for row in rows if row.state == "kept" and row.example.kind == "answerable"]
    room = round(len(questions) * REFUSAL_SHARE / (1 - REFUSAL_SHARE))
    found = []
    for row in rows:
        if row.state == "kept" and row.example.kind == "unanswerable":
            room -= 1
            if room < 0:
                row = replace(row, state="rejected", reason="more unanswerable questions than their share", split=None)
        found.append(row)
    return found


def _vocabulary(documents: Sequence[Document]) -> Vocabulary:
    texts = [f"{passage.lead_in} {passage.text}" for document in documents for passage in document.passages]
    return vocabulary_of(texts, proper_words(texts))

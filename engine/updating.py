"""A new edition -> the next version of a dataset: what did not change is carried over, the rest is taught anew or unlearned."""

import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import chain
from typing import Any

from engine.datasets import accepted_rows, relabelled, save_version, standing_labels
from engine.editions import Edition, FactChange, edition
from engine.errors import InvalidInput
from engine.generate import REFUSAL_SHARE, EmbeddedGenerator, Generator
from engine.grammar import proper_words
from engine.leakage import QuestionFile, apart_from_recipe, keep_apart_from
from engine.lexicon import GREETINGS, SYNONYMS
from engine.phrasing import vocabulary_of, wordings
from engine.quality import Gates
from engine.records import REFUSAL, DatasetVersion, Document, Fact, LedgerRow, Split
from engine.sentences import sentences
from engine.splitting import balanced, families, hold_out, split_of
from engine.store import Store
from engine.styles import OFFER_FORMS, TOPIC_FORMS, VALUE_FORMS
from engine.unanswerable import answered_somewhere, stem, stems_of
from engine.watching import Watch, ignore

UNLEARNED = "unlearned"
"""The form of a question whose fact a new edition dropped; its answer is the refusal."""
OUTDATED = "the new edition no longer says it"
OF_ANY_QUESTION = frozenset(
    found
    for form in (*GREETINGS, *TOPIC_FORMS, *OFFER_FORMS, *chain(*VALUE_FORMS.values()))
    for found in stems_of(form)
)
"""Stems that a style of asking brings along, whatever is asked for."""


def update_version(
    store: Store,
    parent: DatasetVersion,
    documents: Sequence[Document],
    *,
    seed: int = 0,
    now: str,
    generator: Generator | None = None,
    apart_from: Sequence[QuestionFile] = (),
    watch: Watch = ignore,
) -> tuple[DatasetVersion, Edition]:
    """
    The parent's next version, with `documents` in the place of the ones they are new editions of.

    Rows of unchanged facts are carried over with their ids and splits, and so is what people said of them; nothing of
    theirs is generated again. Questions of changed facts get the new answer where they still fit, those of removed
    facts the refusal. The recipe names the changes, the files and the rows. Raises InvalidInput when nothing changed.
    """
    generator = generator or EmbeddedGenerator()
    found = edition([store.document(name) for name in parent.documents], store.facts(parent.id), documents)
    labels = standing_labels(store.labels(parent.id))
    kept = [relabelled(row, labels.get(row.example.id)) for row in store.rows(parent.id, state="kept")]
    kept += accepted_rows(store, parent, labels)
    rows = updated_rows(kept, found, generator=generator, rng=random.Random(seed), watch=watch)
    rows = keep_apart_from(apart_from, rows)
    if not any(row.split == "train" for row in rows):
        raise InvalidInput(f"No row of {parent.title} is left to train on after this update. Load a longer document.")
    recipe: dict[str, Any] = {
        **parent.recipe,
        "generator": generator.name,
        "seed": seed,
        **generator.provenance(),
        "facts": len(found.facts),
        "update": {"of": parent.title, "documents": replaced(found), "facts": found.counts, "rows": fates(kept, rows)},
        "outdated_votes": sorted({*parent.recipe.get("outdated_votes", []), *_outdated_votes(rows)}),
        "apart_from": apart_from_recipe(apart_from, rows),
    }
    if labels:
        recipe["labels"] = sorted(label.id for label in labels.values())
    version = save_version(
        store,
        parent.name,
        rows,
        found.facts,
        task=parent.task,
        documents=[document.id for document in found.documents],
        recipe=recipe,
        parent=parent.id,
        now=now,
    )
    return version, found


def updated_rows(
    kept: Sequence[LedgerRow], found: Edition, *, generator: Generator, rng: random.Random, watch: Watch = ignore
) -> list[LedgerRow]:
    """
    The ledger of the next version: the parent's kept rows, each with what became of it, then the fresh ones.

    Every row passes the gates of the whole new corpus, except those that are carried over as they stand.
    """
    gates = Gates((passage for document in found.documents for passage in document.passages), found.facts)
    reader = _Reader.of(found)
    treated = [reader.treat(row) for row in kept]
    for row, before in zip(treated, kept, strict=True):
        if row.state == "kept" and row.example.answer == before.example.answer:
            gates.remember(row.example)
    rows = [
        _gated(row, gates) if row.example.answer != before.example.answer else row
        for row, before in zip(treated, kept, strict=True)
    ]
    carried = [row for row in rows if row.state == "kept"]
    taught = [change.new for change in found.changes if change.kind in ("changed", "added") and change.new]
    if not taught:
        return rows
    sides = _sides(kept, found)
    ids = {row.example.id for row in rows}
    fresh = []
    watch("Proposing rows", 0, len(taught))
    proposed = list(generator.propose(found.documents, taught, rng=rng))
    for done, proposal in enumerate(proposed, start=1):
        example = proposal.example
        if example.id in ids:
            example = replace(example, id=f"{example.id}-{len(ids)}")
        ids.add(example.id)
        side = sides.get(example.fact_id) or split_of(example.fact_id)
        row = LedgerRow(example, "failed", proposal.error) if proposal.error else LedgerRow(example, "kept", "", side)
        fresh.append(_gated(row, gates))
        if done % 100 == 0 or done == len(proposed):
            watch("Checking rows", done, len(proposed))
    return rows + balanced(hold_out(fresh, beside=carried), refusal_share=REFUSAL_SHARE)


def fates(kept: Sequence[LedgerRow], rows: Sequence[LedgerRow]) -> dict[str, int]:
    """How many of the parent's rows were carried over, answered anew, unlearned or dropped, and how many are fresh."""
    counted: Counter[str] = Counter()
    for before, row in zip(kept, rows, strict=False):
        if row.state != "kept":
            counted["dropped"] += 1
        elif row.example.form == UNLEARNED and before.example.form != UNLEARNED:
            counted["unlearned"] += 1
        else:
            counted["carried" if row.example.answer == before.example.answer else "answered anew"] += 1
    counted["fresh"] = sum(row.state == "kept" for row in rows[len(kept) :])
    return {name: counted[name] for name in ("carried", "answered anew", "unlearned", "dropped", "fresh")}


def replaced(found: Edition) -> list[dict[str, Any]]:
    """Which file took the place of which document, and how that was known, as kept in the recipe."""
    return [
        {
            "file": entry.new.name,
            "digest": entry.new.id,
            "replaces": entry.old.name if entry.old else None,
            "by": entry.reason,
        }
        for entry in found.replacements
    ]


@dataclass(frozen=True)
class _Reader:
    """What an edition makes of a row, looked up once."""

    by_fact: Mapping[str, FactChange]  # the old fact's id -> its change
    openings: Mapping[
        str, frozenset[str]
    ]  # the new fact's id -> how its yes/no questions are answered: "Yes. ", "No. "
    said_now: frozenset[str]  # ids of the new edition's facts
    surviving: frozenset[str]  # its sentences, plain
    texts: tuple[frozenset[str], ...]  # stems of everything it says, fact by fact
    new_texts: tuple[frozenset[str], ...]  # of these, what it adds or changes
    new_stems: frozenset[str]  # what no fact spoke of before
    outdated: tuple[str, ...]  # sentences that nobody's vote may teach any more, plain

    @classmethod
    def of(cls, found: Edition) -> "_Reader":
        texts = [f"{p.lead_in} {p.text}" for document in found.documents for p in document.passages]
        vocabulary = vocabulary_of(texts, proper_words(texts))
        changed = [change.new for change in found.changes if change.kind == "changed" and change.new]
        openings = {
            fact.id: frozenset(
                opening
                for wording in wordings(fact, vocabulary)
                if (opening := wording.answer.removesuffix(fact.statement))
            )
            for fact in changed
        }
        before = stems_of(
            " ".join(f"{change.old.clause} {change.old.statement}" for change in found.changes if change.old)
        )
        surviving = frozenset(_plain(said) for fact in found.facts for said in sentences_of(fact.evidence))
        news = [change.new for change in found.changes if change.kind in ("changed", "added") and change.new]
        new_texts = tuple(stems_of(f"{fact.clause} {fact.statement}") for fact in news)
        gone = [change.old for change in found.changes if change.kind in ("changed", "removed") and change.old]
        return cls(
            by_fact={change.old.id: change for change in found.changes if change.old},
            openings=openings,
            said_now=frozenset(fact.id for fact in found.facts),
            surviving=surviving,
            texts=tuple(stems_of(f"{fact.clause} {fact.statement}") for fact in found.facts),
            new_texts=new_texts,
            new_stems=frozenset(chain(*new_texts)) - before,
            outdated=tuple(
                said for fact in gone for part in sentences_of(fact.evidence) if (said := _plain(part)) not in surviving
            ),
        )

    def treat(self, row: LedgerRow) -> LedgerRow:
        """The row as it stands in the next version, or rejected with the reason."""
        example = row.example
        change = self.by_fact.get(example.fact_id)
        if change is None:
            return self._of_no_fact(row)
        if change.kind == "removed":
            return self._unlearned(row)
        assert change.old and change.new
        moved_to = replace(example, fact_id=change.new.id, passage_id=example.passage_id and change.new.passage_id)
        if change.kind == "unchanged":
            return replace(row, example=moved_to)
        if change.kind == "moved":
            titled = example.kind == "statement" and example.answer == f"{change.old.clause}: {change.old.statement}"
            answer = f"{change.new.clause}: {change.new.statement}" if titled else example.answer
            return replace(row, example=replace(moved_to, answer=answer))
        return self._answered_anew(row, change.old, change.new)

    def _of_no_fact(self, row: LedgerRow) -> LedgerRow:
        """A refusal stands unless the edition now answers its question; a vote unless it recites what is gone."""
        example = row.example
        if example.form == UNLEARNED and example.fact_id.removeprefix("none-") in self.said_now:
            return _dropped(row, "the new edition says it again")
        if example.kind == "unanswerable" and self._answered_now(example.question):
            return _dropped(row, "the new edition may answer it")
        if example.kind == "answerable" and any(said in _plain(example.answer) for said in self.outdated):
            return _dropped(row, OUTDATED)
        return row

    def _answered_now(self, question: str) -> bool:
        """Whether a new or changed fact holds all that the question asks about: every word, or, of a new topic, the topic."""
        asked = stems_of(question) - OF_ANY_QUESTION
        new_topic = bool(asked & self.new_stems) and any(asked <= text for text in self.new_texts)
        return new_topic or answered_somewhere(question, self.new_texts)

    def _unlearned(self, row: LedgerRow) -> LedgerRow:
        """The refusal for a question whose answer is gone; a statement of it is no longer taught."""
        example = row.example
        if not example.question:
            return _dropped(row, OUTDATED)
        if any(_plain(said) in self.surviving for said in sentences_of(example.evidence)):
            return _dropped(row, "the new edition still says part of its answer")
        asked = stems_of(example.question) - OF_ANY_QUESTION
        if any(asked <= text for text in self.texts):
            return _dropped(row, "the new edition may answer it otherwise")
        nowhere = replace(
            example,
            fact_id=f"none-{example.fact_id}",
            kind="unanswerable",
            form=UNLEARNED,
            answer=REFUSAL,
            evidence="",
            passage_id="",
        )
        return replace(row, example=nowhere)

    def _answered_anew(self, row: LedgerRow, old: Fact, new: Fact) -> LedgerRow:
        """The new answer, where nothing in the question is of the old one alone and yes or no is known."""
        example = row.example
        opening = example.answer.removesuffix(old.statement)
        openings = self.openings[new.id]
        if not example.question or opening not in ("", "Yes. ", "No. "):
            return _dropped(row, OUTDATED)
        if opening and len(openings) != 1:
            return _dropped(row, "whether its answer is still yes or no is not known")
        if words_of_the_old(old, new) & {stem(word) for word in re.findall(r"[\w$€£%]+", example.question.lower())}:
            return _dropped(row, "asks in words of the old edition")
        answer = f"{next(iter(openings))}{new.statement}" if opening else new.statement
        digest = blake2b(f"{new.id}/{example.question}".encode(), digest_size=8).hexdigest()
        fitting = replace(example, id=digest, fact_id=new.id, answer=answer)
        return replace(row, example=replace(fitting, evidence=new.evidence, passage_id=new.passage_id))


def words_of_the_old(old: Fact, new: Fact) -> frozenset[str]:
    """Stems that only the old statement has, and those of their synonyms: a question with one of them asks for what is gone."""
    said = {word: stem(word) for word in re.findall(r"[\w$€£%]+", old.statement.lower())}
    still = {stem(word) for word in re.findall(r"[\w$€£%]+", new.statement.lower())}
    gone = {word for word, its_stem in said.items() if its_stem not in still}
    others = {other for word in gone for known, put in SYNONYMS.items() if word in known.split() for other in put}
    return frozenset(stem(word) for phrase in (*gone, *others) for word in phrase.lower().split()) - still


def sentences_of(evidence: str) -> list[str]:
    """The sentences of a fact's evidence, where the lines of a list count as one each."""
    return [said for line in evidence.splitlines() for said in sentences(line)]


def _gated(row: LedgerRow, gates: Gates) -> LedgerRow:
    if row.state != "kept":
        return row
    reason = gates.reason_against(row.example)
    return LedgerRow(row.example, "rejected", reason) if reason else row


def _dropped(row: LedgerRow, reason: str) -> LedgerRow:
    return LedgerRow(row.example, "rejected", reason)


def _sides(kept: Sequence[LedgerRow], found: Edition) -> dict[str, Split]:
    """
    The side of every fact that has one already: a changed fact keeps its old one's.

    Taught before, it must be taught anew, or the old answer would stay; held out before, it stays held out. An added
    fact takes the side of a fact that it shares a sentence with.
    """
    before: dict[str, Split] = {}
    for row in kept:
        before[row.example.fact_id] = "test" if row.split == "test" else "train"
    after = {
        change.new.id: before[change.old.id]
        for change in found.changes
        if change.new and change.old and change.old.id in before
    }
    first = families(found.facts)
    return {fact: after.get(fact) or after.get(root) or split_of(root) for fact, root in first.items()}


def _outdated_votes(rows: Sequence[LedgerRow]) -> Iterator[int]:
    for row in rows:
        if row.reason == OUTDATED and row.example.origin.startswith("vote:"):
            yield int(row.example.origin.removeprefix("vote:"))


def _plain(text: str) -> str:
    return " ".join(re.findall(r"[\w$€£%]+", text.lower()))

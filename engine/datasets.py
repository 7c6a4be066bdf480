"""Dataset versions: made from documents, or from an earlier version and what people said of it. Split by fact."""

import json
import random
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import Any

from engine.errors import InvalidInput
from engine.facts import facts_of
from engine.generate import EmbeddedGenerator, Generator
from engine.phrasing import Wording, spoken
from engine.quality import Gates, too_close, word_set
from engine.records import (
    REFUSAL,
    Battle,
    DatasetVersion,
    Document,
    Example,
    ExampleKind,
    Fact,
    Label,
    LedgerRow,
    Split,
    Vote,
)
from engine.sentences import sentences
from engine.store import Store
from engine.styles import TEMPLATES
from engine.tasks import Task

TEST_SHARE = 0.05
PROBE_ROWS = 80
BATCH = 500
WORDINGS_PER_VOTE = 4
WORDINGS_PER_TEST_FACT = 3
Watch = Callable[[str, int, int], None]
"""Told (what is being done, done so far, of how many)."""


def ignore(what: str, done: int, total: int) -> None:
    """For callers who do not watch."""


def make_version(
    store: Store,
    name: str,
    documents: Sequence[Document],
    *,
    task: Task,
    seed: int = 0,
    now: str,
    generator: Generator | None = None,
    watch: Watch = ignore,
) -> DatasetVersion:
    """
    Documents to a finished dataset version; every proposed row is in its ledger, kept or with the reason why not.

    A version whose making was broken off stays unfinished and is never offered. Raises InvalidInput when the documents hold no
    fact, or when no row passes the gates.
    """
    check_name(name)
    generator = generator or EmbeddedGenerator()
    facts = facts_of(documents)
    if not facts:
        raise InvalidInput(f"No fact was found in {_names(documents)}. Load a document whose sentences state rules.")
    watch("Proposing rows", 0, len(facts))
    proposed = list(generator.propose(documents, facts, rng=random.Random(seed)))
    gates = Gates((passage for document in documents for passage in document.passages), facts)
    rows = _split(_gated(proposed, gates, _families(facts), watch))
    if not any(row.split == "train" for row in rows):
        raise InvalidInput(
            f"No row from {_names(documents)} passed the gates, so there is nothing to train on. Load a longer document."
        )
    recipe = {"generator": generator.name, "seed": seed, "facts": len(facts), "test_share": TEST_SHARE}
    return _save(
        store,
        name,
        rows,
        facts,
        task=task.name,
        documents=[d.id for d in documents],
        recipe=recipe,
        parent=None,
        now=now,
    )


def next_version(store: Store, parent: DatasetVersion, *, seed: int = 0, now: str) -> DatasetVersion:
    """
    The parent's rows, changed by its labels, and the answers that won a vote; each such row names its vote or label.

    Only votes and labels given on this dataset's task are taken in. Raises InvalidInput when people said nothing new.
    """
    labels = {label.example_id: label for label in store.labels(parent.id)}
    kept = store.rows(parent.id, state="kept")
    carried = [_relabelled(row, labels.get(row.example.id)) for row in kept if row.example.form != "vote"]
    voted = [pair for pair in store.voted_battles() if pair[0].task == parent.task]
    held_out = [word_set(row.example.question) for row in kept if row.split in ("probe", "test")]
    won = list(_voted_rows(voted, held_out, random.Random(seed)))
    asked = {word_set(row.example.question) for row in won if row.state == "kept"}
    carried = [_outvoted(row, asked) for row in carried]
    used = [vote.id for _, vote in voted]
    if parent.recipe.get("votes") == used and not labels:
        raise InvalidInput(f"Nobody has voted or labelled since {parent.title} was made. Vote in the Arena first.")
    if not used and not labels:
        raise InvalidInput(
            "There is no vote and no label yet, so the next version would be this one. Vote in the Arena first."
        )
    recipe = {**parent.recipe, "votes": used, "labels": sorted(label.id for label in labels.values())}
    return _save(
        store,
        parent.name,
        carried + won,
        store.facts(parent.id),
        task=parent.task,
        documents=parent.documents,
        recipe=recipe,
        parent=parent.id,
        now=now,
    )


def training_rows(rows: Iterable[LedgerRow], task: Task) -> Iterator[dict[str, Any]]:
    """Kept training rows as the trainer reads them: chat messages with an answer, or a bare text."""
    for row in rows:
        example = row.example
        if row.split != "train":
            continue
        if example.kind == "statement":
            yield {"text": example.answer, "kind": example.kind, "fact_id": example.fact_id}
        else:
            yield {
                "messages": task.messages(example.question),
                "answer": example.answer,
                "kind": example.kind,
                "fact_id": example.fact_id,
            }


def export_rows(rows: Iterable[LedgerRow], task: Task) -> Iterator[str]:
    """OpenAI-style chat lines (JSONL) with lineage beside them; statements are exported as bare text."""
    for row in rows:
        example = row.example
        lineage = {
            "id": example.id,
            "fact": example.fact_id,
            "form": example.form,
            "origin": example.origin,
            "split": row.split,
        }
        if example.kind == "statement":
            yield json.dumps({"text": example.answer, "lineage": lineage}, ensure_ascii=False)
        else:
            messages = [*task.messages(example.question), {"role": "assistant", "content": example.answer}]
            yield json.dumps({"messages": messages, "lineage": lineage}, ensure_ascii=False)


def split_of(fact_id: str, *, test_share: float = TEST_SHARE) -> Split:
    """
    "test" for a fixed share of facts, else "train", by the fact's id alone: adding a document never moves a fact across.

    A test fact is not trained in any wording, so a closed-book model cannot know it and ought to say so.
    """
    return "test" if _position(fact_id) < test_share else "train"


def check_name(name: str) -> None:
    """Raises InvalidInput unless `name` is letters, digits, "-", "_" or "." and starts with a letter or digit."""
    if not name or not name[0].isalnum() or len(name) > 60 or not all(c.isalnum() or c in "-_." for c in name):
        raise InvalidInput(
            f'"{name[:60]}" cannot be a name. Use letters, digits, - and _, starting with a letter, at most 60.'
        )


def _families(facts: Iterable[Fact]) -> dict[str, str]:
    """Fact -> the fact that decides its side: facts that share a sentence stand on one side, or one would teach the other."""
    first: dict[str, str] = {}
    found: dict[str, str] = {}
    for fact in facts:
        said = [" ".join(sentence.lower().split()) for sentence in sentences(fact.evidence)]
        known = [first[sentence] for sentence in said if sentence in first]
        found[fact.id] = known[0] if known else fact.id
        first.update((sentence, found[fact.id]) for sentence in said)
    return found


def _gated(proposed: Sequence[Example], gates: Gates, families: Mapping[str, str], watch: Watch) -> Iterator[LedgerRow]:
    ids: set[str] = set()
    for done, example in enumerate(proposed, start=1):
        if example.id in ids:
            example = replace(example, id=f"{example.id}-{done}")
        ids.add(example.id)
        reason = gates.reason_against(example)
        split = split_of(families.get(example.fact_id, example.fact_id))
        yield LedgerRow(example, "rejected" if reason else "kept", reason, None if reason else split)
        if done % 100 == 0 or done == len(proposed):
            watch("Checking rows", done, len(proposed))


def _split(rows: Iterable[LedgerRow]) -> list[LedgerRow]:
    """
    Hold out some wordings of trained facts as the probe, then drop training rows too close to anything held out.

    Held-out wordings are natural questions: a template ("What is the rule on …?") would be close to half the training rows.
    """
    gated = _fewer_wordings_of_test_facts(rows)
    trained = [row for row in gated if row.split == "train" and row.example.kind != "statement"]
    wanted = min(PROBE_ROWS, len(trained) // 10)
    probe: set[str] = set()
    for kind, share in (("answerable", 0.7), ("unanswerable", 0.3)):
        taken: dict[str, str] = {}
        for row in sorted(trained, key=lambda row: _position(row.example.id)):
            if row.example.kind == kind and row.example.form not in TEMPLATES:
                taken.setdefault(row.example.fact_id, row.example.id)
        probe.update(list(taken.values())[: round(share * wanted)])
    gated = [replace(row, split="probe") if row.example.id in probe else row for row in gated]
    held_out = [
        word_set(row.example.question) for row in gated if row.split in ("probe", "test") and row.example.question
    ]
    return [_apart(row, held_out) for row in gated]


def _fewer_wordings_of_test_facts(rows: Iterable[LedgerRow]) -> list[LedgerRow]:
    """A held-out fact is asked in a few natural wordings; the others would only thin out the training rows near them."""
    asked: Counter[str] = Counter()
    found: list[LedgerRow] = []
    for row in rows:
        example = row.example
        if row.split == "test":
            asked[example.fact_id] += example.form not in TEMPLATES
            if example.form in (*TEMPLATES, "statement") or asked[example.fact_id] > WORDINGS_PER_TEST_FACT:
                row = LedgerRow(example, "rejected", "its fact is held out, and asked in other wordings")
        found.append(row)
    return found


def _apart(row: LedgerRow, held_out: Sequence[frozenset[str]]) -> LedgerRow:
    if row.split == "train" and row.example.question and too_close(row.example.question, held_out):
        return LedgerRow(row.example, "rejected", "too close to a held-out question")
    return row


def _relabelled(row: LedgerRow, label: Label | None) -> LedgerRow:
    """A row as its label leaves it: corrected, turned into a refusal, or rejected; the label is named."""
    if label is None or (label.verdict in ("right", "unclear") and not label.gold):
        return row

    origin = f"label:{label.id}"
    if label.gold:
        kind: ExampleKind = "unanswerable" if label.gold == REFUSAL else "answerable"
        return replace(row, example=replace(row.example, answer=label.gold, kind=kind, form="label", origin=origin))
    if label.verdict == "should_refuse":
        return replace(
            row, example=replace(row.example, answer=REFUSAL, kind="unanswerable", form="label", origin=origin)
        )
    return LedgerRow(
        replace(row.example, origin=origin), "rejected", f"{label.rater} labelled it {label.verdict.replace('_', ' ')}"
    )


def _voted_rows(
    voted: Sequence[tuple[Battle, Vote]], held_out: Sequence[frozenset[str]], rng: random.Random
) -> Iterator[LedgerRow]:
    """The better answer, or the rater's repair of it, in a few wordings; ties and "both bad" without a repair teach nothing."""

    taken: dict[frozenset[str], str] = {}
    verdicts: dict[str, set[str]] = {}
    for battle, vote in voted:
        verdicts.setdefault(battle.id, set()).add(vote.repair or vote.choice)
    for battle, vote in voted:
        answer = vote.repair or {"a": battle.answer_a, "b": battle.answer_b}.get(vote.choice, "")
        kind: ExampleKind = "unanswerable" if answer == REFUSAL else "answerable"
        example = Example("", f"battle-{battle.id}", kind, "vote", battle.question, answer, origin=f"vote:{vote.id}")
        if not answer:
            example = replace(example, id=f"vote-{vote.id}")
            yield LedgerRow(
                example, "rejected", f"the vote was {vote.choice.replace('_', ' ')}, without a repaired answer"
            )
        elif len(verdicts[battle.id]) > 1:
            yield LedgerRow(replace(example, id=f"vote-{vote.id}"), "rejected", "raters disagree on this battle")
        elif too_close(battle.question, held_out):
            yield LedgerRow(replace(example, id=f"vote-{vote.id}"), "rejected", "too close to a held-out question")
        elif (before := taken.get(word_set(battle.question))) is not None:
            says = "the same" if before == answer else "otherwise"
            yield LedgerRow(replace(example, id=f"vote-{vote.id}"), "rejected", f"an earlier vote answers it {says}")
        else:
            questions = [battle.question] + [
                spoken(Wording("vote", battle.question, answer), rng).question for _ in range(2 * WORDINGS_PER_VOTE)
            ]
            taken[word_set(battle.question)] = answer
            apart = [question for question in dict.fromkeys(questions) if not too_close(question, held_out)]
            for number, question in enumerate(apart[:WORDINGS_PER_VOTE]):
                row = replace(example, id=f"vote-{vote.id}-{number}", question=question)
                yield LedgerRow(row, "kept", "", "train")


def _outvoted(row: LedgerRow, asked: Container[frozenset[str]]) -> LedgerRow:
    """A training row whose very question people voted on gives way: two answers to one question teach neither."""
    if row.split == "train" and row.example.question and word_set(row.example.question) in asked:
        return LedgerRow(row.example, "rejected", "people voted on the answer to this question")
    return row


def _save(
    store: Store,
    name: str,
    rows: Sequence[LedgerRow],
    facts: Sequence[Fact],
    *,
    task: str,
    documents: Sequence[str],
    recipe: Mapping[str, Any],
    parent: int | None,
    now: str,
) -> DatasetVersion:
    version = store.begin_dataset(name, task=task, documents=documents, recipe=recipe, parent_id=parent, now=now)
    store.add_facts(version.id, facts)
    for start in range(0, len(rows), BATCH):
        store.add_rows(version.id, rows[start : start + BATCH])
    return store.finish_dataset(version.id, now=now)


def _position(text: str) -> float:
    return int.from_bytes(blake2b(f"v1/{text}".encode(), digest_size=8).digest()) / 2**64


def _names(documents: Sequence[Document]) -> str:
    return ", ".join(document.name for document in documents) or "no document at all"

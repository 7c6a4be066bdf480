"""Dataset versions: the next one from what people said of the last, and its rows as the trainer and others read them."""

import json
import random
import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from engine.errors import InvalidInput
from engine.leakage import leakage
from engine.phrasing import Wording, spoken, topic_of
from engine.quality import HeldOut, word_set
from engine.records import (
    REFUSAL,
    Battle,
    DatasetVersion,
    Example,
    ExampleKind,
    Fact,
    Label,
    LedgerRow,
    Mode,
    Question,
    Vote,
)
from engine.splitting import families, split_of
from engine.store import Store
from engine.tasks import Task

BATCH = 500
WORDINGS_PER_VOTE = 4
LONGEST_HEADING = 12  # words


def next_version(store: Store, parent: DatasetVersion, *, seed: int = 0, now: str) -> DatasetVersion:
    """
    The parent's rows, changed by its labels, and the answers that won a vote; each such row names its vote or label.

    Only votes and labels given on this dataset's task are taken in. Raises InvalidInput when people said nothing new.
    """
    labels = standing_labels(store.labels(parent.id))
    kept = store.rows(parent.id, state="kept")
    accepted = accepted_rows(store, parent, labels)
    carried = [relabelled(row, labels.get(row.example.id)) for row in kept if row.example.form != "vote"] + accepted
    outdated = parent.recipe.get("outdated_votes", [])
    voted = [pair for pair in store.voted_battles() if pair[0].task == parent.task and pair[1].id not in outdated]
    held_out = HeldOut(row.example.question for row in (*kept, *carried) if row.split in ("probe", "test"))
    won = list(_voted_rows(voted, held_out, random.Random(seed)))
    asked = {word_set(row.example.question) for row in won if row.state == "kept"}
    asked_anew = {label.example_id for label in labels.values() if label.question}
    asked_anew |= {row.example.id for row in accepted}
    renewed = HeldOut(
        row.example.question for row in carried if row.example.id in asked_anew and row.split in ("probe", "test")
    )
    carried = [
        _outvoted(_apart_again(row, held_out if row.example.id in asked_anew else renewed), asked) for row in carried
    ]
    used = [vote.id for _, vote in voted]
    judged = any(says_something(label) for label in labels.values())
    if parent.recipe.get("votes") == used and not judged:
        raise InvalidInput(f"Nobody has voted or labelled since {parent.title} was made. Vote in the Arena first.")
    if not used and not judged:
        raise InvalidInput(
            "There is no vote and no label yet, so the next version would be this one. Vote in the Arena first."
        )
    recipe = {**parent.recipe, "votes": used, "labels": sorted(label.id for label in labels.values())}
    return save_version(
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


def training_rows(
    rows: Iterable[LedgerRow], task: Task, *, clauses: Mapping[str, str] | None = None
) -> Iterator[dict[str, Any]]:
    """
    Kept training rows as the trainer reads them: chat messages with an answer, or a bare text.

    `clauses`: fact -> the headings it stands under; the answers of these facts begin with the innermost one.
    """
    for row in rows:
        example = row.example
        if row.split != "train":
            continue
        if example.kind == "statement":
            yield {"text": example.answer, "kind": example.kind, "fact_id": example.fact_id}
        else:
            yield {
                "messages": task.messages(example.question),
                "answer": under_its_heading(example.answer, (clauses or {}).get(example.fact_id, "")),
                "kind": example.kind,
                "fact_id": example.fact_id,
            }


def under_its_heading(answer: str, clause: str) -> str:
    """
    The answer with the heading of its clause before it, "Sick leave: Yes. Employees …", unless it begins with it anyway.

    A small model that first names the clause has narrowed the choice down before it must pick a sentence, and the reader sees
    where the answer is from. A refusal has no clause; a heading as long as a sentence is left out.
    """
    heading = topic_of(clause).replace(": ", " ")
    label = re.sub(r"^(?:Yes|No)\. ", "", answer).partition(": ")[0]
    if not heading or answer == REFUSAL or len(heading.split()) > LONGEST_HEADING or heading.lower() in label.lower():
        return answer
    return f"{heading}: {answer}"


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


def held_out_as_questions(rows: Iterable[LedgerRow], mode: Mode = "closed") -> list[Question]:
    """
    Probe and test rows as questions. Slices: "new wording" of a taught fact, "never taught" facts, "unanswerable".

    A closed-book model cannot know a fact that was never taught: there the refusal is the right answer. A grounded one
    can read it, so it is to answer.
    """
    questions = []
    for row in rows:
        example = row.example
        if row.split not in ("probe", "test") or not example.question:
            continue
        taught, answerable = row.split == "probe", example.kind == "answerable"
        named = "unanswerable" if not answerable else "new wording" if taught else "never taught"
        questions.append(
            Question(
                id=example.id,
                question=example.question,
                kind="answerable" if answerable and (taught or mode == "grounded") else "unanswerable",
                slice=named,
                extra={"gold": example.answer, "fact_id": example.fact_id, "form": example.form},
            )
        )
    return questions


def check_name(name: str) -> None:
    """Raises InvalidInput unless `name` is letters, digits, "-", "_" or "." and starts with a letter or digit."""
    if not name or not name[0].isalnum() or len(name) > 60 or not all(c.isalnum() or c in "-_." for c in name):
        raise InvalidInput(
            f'"{name[:60]}" cannot be a name. Use letters, digits, - and _, starting with a letter, at most 60.'
        )


def relabelled(row: LedgerRow, label: Label | None) -> LedgerRow:
    """A row as its label leaves it: corrected, turned into a refusal, or rejected; the label is named. A statement stays one."""
    if label is None or (label.verdict in ("right", "unclear") and not label.gold and not label.question):
        return row

    origin = f"label:{label.id}"
    statement = row.example.kind == "statement"
    if label.gold or (label.question and label.verdict in ("right", "unclear")):
        answer = label.gold or row.example.answer
        kind: ExampleKind = "unanswerable" if answer == REFUSAL else "answerable"
        example = replace(row.example, answer=answer, form="label", origin=origin)
        if not statement:
            example = replace(example, kind=kind, question=label.question or row.example.question)
        return replace(row, example=example)
    if label.verdict == "should_refuse" and not statement:
        return replace(
            row, example=replace(row.example, answer=REFUSAL, kind="unanswerable", form="label", origin=origin)
        )
    return LedgerRow(
        replace(row.example, origin=origin), "rejected", f"{label.rater} labelled it {label.verdict.replace('_', ' ')}"
    )


def accepted_rows(store: Store, parent: DatasetVersion, labels: Mapping[str, Label]) -> list[LedgerRow]:
    """The rows that a gate rejected and a person accepted, as the person left them, on the side of the split of their fact."""
    rows = (store.row(parent.id, example_id) for example_id in labels)
    chosen = [row for row in rows if row.state == "rejected" and says_something(labels[row.example.id])]
    sides = families(store.facts(parent.id)) if chosen else {}
    found = []
    for row in chosen:
        label = labels[row.example.id]
        side = split_of(sides.get(row.example.fact_id, row.example.fact_id))
        example = replace(row.example, origin=f"label:{label.id}")
        found.append(relabelled(LedgerRow(example, "kept", "", side), label))
    return found


def standing_labels(labels: Iterable[Label]) -> dict[str, Label]:
    """
    Row -> the label it goes by: of those that say something the one that settled a disagreement, else the newest.

    One that was taken back stands only where nobody else spoke.
    """
    return {
        label.example_id: label for label in sorted(labels, key=lambda label: (says_something(label), label.settles))
    }


def says_something(label: Label) -> bool:
    """Whether it is for or against the row. One that was taken back is not, so it does not stand against what others said."""
    return label.verdict != "unclear" or bool(label.gold or label.question)


def _apart_again(row: LedgerRow, held_out: HeldOut) -> LedgerRow:
    """A question that a label changed may have come too close to one on the other side; then the training row gives way."""
    if row.split == "train" and row.example.question and held_out.near(row.example.question):
        return LedgerRow(row.example, "rejected", "too close to a held-out question")
    return row


def _voted_rows(voted: Sequence[tuple[Battle, Vote]], held_out: HeldOut, rng: random.Random) -> Iterator[LedgerRow]:
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
        elif battle.history:
            yield LedgerRow(
                replace(example, id=f"vote-{vote.id}"), "rejected", "asked within a talk; a row has to stand alone"
            )
        elif len(verdicts[battle.id]) > 1:
            yield LedgerRow(replace(example, id=f"vote-{vote.id}"), "rejected", "raters disagree on this battle")
        elif held_out.near(battle.question):
            yield LedgerRow(replace(example, id=f"vote-{vote.id}"), "rejected", "too close to a held-out question")
        elif (before := taken.get(word_set(battle.question))) is not None:
            says = "the same" if before == answer else "otherwise"
            yield LedgerRow(replace(example, id=f"vote-{vote.id}"), "rejected", f"an earlier vote answers it {says}")
        else:
            questions = [battle.question] + [
                spoken(Wording("vote", battle.question, answer), rng).question for _ in range(2 * WORDINGS_PER_VOTE)
            ]
            taken[word_set(battle.question)] = answer
            apart = [question for question in dict.fromkeys(questions) if not held_out.near(question)]
            for number, question in enumerate(apart[:WORDINGS_PER_VOTE]):
                row = replace(example, id=f"vote-{vote.id}-{number}", question=question)
                yield LedgerRow(row, "kept", "", "train")


def _outvoted(row: LedgerRow, asked: Container[frozenset[str]]) -> LedgerRow:
    """A training row whose very question people voted on gives way: two answers to one question teach neither."""
    if row.split == "train" and row.example.question and word_set(row.example.question) in asked:
        return LedgerRow(row.example, "rejected", "people voted on the answer to this question")
    return row


def save_version(
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
    return store.finish_dataset(version.id, noted={"leakage": leakage(rows).as_recipe()}, now=now)

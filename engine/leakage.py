"""Which questions share most of their words: what keeps training rows apart from held-out and from foreign questions."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from engine.answering import read_jsonl
from engine.errors import InvalidInput
from engine.quality import TOO_CLOSE, HeldOut
from engine.records import LedgerRow


@dataclass(frozen=True)
class Leakage:
    """What of the held-out rows training rows give away; a version has none when both are empty."""

    shared_facts: tuple[str, ...]  # ids of facts with training rows and with test rows
    close_pairs: tuple[tuple[str, str], ...]  # ids of a training row and of a probe or test row close to it

    def in_words(self) -> str:
        """One line for people."""
        return (
            f"Leakage: {len(self.shared_facts)} facts on both sides of the split, "
            f"{len(self.close_pairs)} training questions that share {TOO_CLOSE:.0%} of their words with a held-out one"
        )

    def as_recipe(self) -> dict[str, int]:
        """As kept with the version."""
        return {"shared_facts": len(self.shared_facts), "close_pairs": len(self.close_pairs)}


def leakage(rows: Sequence[LedgerRow]) -> Leakage:
    """
    Look through a version's kept rows for what the split promises not to hold.

    A fact may have training and probe rows: the probe holds out wordings, the test whole facts. A training row is paired
    with one held-out row at most.
    """
    taught = {row.example.fact_id for row in rows if row.split == "train"}
    tested = {row.example.fact_id for row in rows if row.split == "test"}
    held_out = [row.example for row in rows if row.split in ("probe", "test") and row.example.question]
    index = HeldOut(example.question for example in held_out)
    pairs = []
    for row in rows:
        if row.split == "train" and row.example.question:
            found = index.find(row.example.question)
            if found is not None:
                pairs.append((row.example.id, held_out[found].id))
    return Leakage(tuple(sorted(taught & tested)), tuple(pairs))


@dataclass(frozen=True)
class QuestionFile:
    """Questions that no training row may be close to, and the file they came from."""

    name: str
    digest: str  # sha256 of the file's bytes
    questions: tuple[str, ...]  # paraphrases too


def read_question_file(path: Path) -> QuestionFile:
    """
    The questions and paraphrases of a JSON Lines file. Raises InvalidInput naming the row that has none.

    Nothing else of a row is looked at, so a file of any task, or one without gold answers, will do.
    """
    questions: list[str] = []
    for number, row in enumerate(read_jsonl(path), start=1):
        question = row.get("question")
        if not isinstance(question, str) or not question.strip():
            raise InvalidInput(f'{path.name}, row {number} has no "question". Add it or delete the row.')
        questions += [text for text in (question, row.get("paraphrase")) if isinstance(text, str) and text.strip()]
    return QuestionFile(path.name, sha256(path.read_bytes()).hexdigest(), tuple(questions))


def keep_apart_from(files: Sequence[QuestionFile], rows: Sequence[LedgerRow]) -> list[LedgerRow]:
    """The rows, with every training question that is close to one of a file rejected in the file's name."""
    indexes = [(file.name, HeldOut(file.questions)) for file in files]

    def checked(row: LedgerRow) -> LedgerRow:
        if row.split == "train" and row.example.question:
            for name, index in indexes:
                if index.near(row.example.question):
                    return LedgerRow(row.example, "rejected", _reason(name))
        return row

    return [checked(row) for row in rows]


def apart_from_recipe(files: Sequence[QuestionFile], rows: Sequence[LedgerRow]) -> list[dict[str, Any]]:
    """As kept with the version: each file, its digest, and how many rows gave way to it."""
    reasons = Counter(row.reason for row in rows)
    return [
        {
            "file": file.name,
            "digest": file.digest,
            "questions": len(file.questions),
            "rejected": reasons[_reason(file.name)],
        }
        for file in files
    ]


def _reason(name: str) -> str:
    return f"too close to a question of {name}"

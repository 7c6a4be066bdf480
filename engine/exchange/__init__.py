"""Rows handed on to other tools and taken over from them. Here stand the words its modules share."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from hashlib import blake2b
from typing import Any, Literal, get_args

from engine.errors import InvalidInput
from engine.records import LedgerRow

Format = Literal["chat", "prompt", "alpaca", "openai", "hf", "csv"]
"""
chat: messages. prompt: prompt and completion, the column names trainers read. alpaca: instruction, input, output.
openai: a fine-tuning file of nothing but messages. hf: a folder saved by Hugging Face `datasets`. csv: a table Excel opens.
"""
FORMATS: tuple[Format, ...] = get_args(Format)
SIDECAR = ".lineage.jsonl"


class Unfit(InvalidInput):
    """One record that cannot be a row: the reason, then the next step. A batch goes on without it."""


@dataclass(frozen=True)
class Lineage:
    """Where an exported row came from; it stands beside the row, or in a sidecar where the format has no room for it."""

    id: str = ""
    fact: str = ""
    kind: str = ""
    form: str = ""
    origin: str = ""
    split: str = ""
    evidence: str = ""
    clause: str = ""
    passage: str = ""
    digest: str = ""  # of question and answer: tells a row that was edited after the export from one that was not

    @classmethod
    def of(cls, row: LedgerRow, *, clause: str = "") -> "Lineage":
        """What is known of a row of a dataset version."""
        e = row.example
        digest = digest_of(e.question, e.answer)
        return cls(e.id, e.fact_id, e.kind, e.form, e.origin, row.split or "", e.evidence, clause, e.passage_id, digest)

    @classmethod
    def read(cls, found: object) -> "Lineage":
        """What a file says of a row; whatever is missing or no text is "", so a stranger's column does no harm."""
        if not isinstance(found, Mapping):
            return cls()
        return cls(**{f.name: found[f.name] for f in fields(cls) if isinstance(found.get(f.name), str)})

    def as_dict(self) -> dict[str, str]:
        """As it stands in a file."""
        return dict(vars(self))


def digest_of(question: str, answer: str) -> str:
    """16 hex digits that change when either text does."""
    return blake2b(as_json([question, answer]).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def as_json(found: Any) -> str:
    """One line of JSON, its text readable as it is."""
    return json.dumps(found, ensure_ascii=False)

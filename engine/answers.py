"""Answers that were given once and are kept: an evaluation broken off goes on where it stopped, and nothing is asked twice.

An answer is known by the model's digest, the prompt's and the decoding. Where a server shows no weights (an OpenAI-compatible
one), its name stands for them: a model exchanged behind that name is seen only when it is asked `anew`.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Protocol

from engine.records import Decoding, Message, Reply
from engine.store import Store


@dataclass(frozen=True)
class Asked:
    """All that decides an answer."""

    model_digest: str
    prompt_digest: str
    decoding: str  # JSON

    @classmethod
    def of(cls, model_digest: str, messages: Sequence[Message], decoding: Decoding) -> "Asked":
        """The same for the same model, words and settings, in every process."""
        said = [[message["role"], message["content"]] for message in messages]
        prompt_digest = hashlib.sha256(json.dumps(said, ensure_ascii=False).encode()).hexdigest()
        return cls(model_digest, prompt_digest, json.dumps(asdict(decoding), sort_keys=True))


class Answers(Protocol):
    """Where answers are kept. Used from many threads."""

    def get(self, asked: Asked) -> Reply | None:
        """The answer that was given to this, or None."""
        ...

    def put(self, asked: Asked, reply: Reply) -> None:
        """Keep it, in the place of one that was kept before."""
        ...


@dataclass(frozen=True)
class StoredAnswers:
    """In the workspace's file. With `anew`, what is kept is not read, and is replaced by what is heard now."""

    store: Store
    now: Callable[[], str]
    anew: bool = False

    def get(self, asked: Asked) -> Reply | None:
        return None if self.anew else self.store.answer(asked.model_digest, asked.prompt_digest, asked.decoding)

    def put(self, asked: Asked, reply: Reply) -> None:
        self.store.keep_answer(asked.model_digest, asked.prompt_digest, asked.decoding, reply, now=self.now())

"""One module an inference engine; this one Protocol is all the rest of the product knows of them."""

import math
import os
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from typing import Any, Protocol

from engine.records import Decoding, Message, Reply
from engine.settings import PATIENT

REPEAT_WINDOW = 64
"""Decoding.repeat_penalty looks back this many tokens, prompt included, in every engine that lets us say so."""

Schema = Mapping[str, Any]
Stream = Generator[str, None, Reply]
"""Pieces of text as they come; the generator's return value is the finished Reply (`reply = yield from stream`)."""


class ChatModel(Protocol):
    """
    Something that answers. Safe to call from many threads.

    Every method but `health` raises the errors of engine.errors, in the words of the user.
    """

    @property
    def name(self) -> str:
        """As commands and battles write it: "base", an adapter's name, "ollama:TAG"."""
        ...

    def stream(self, messages: Sequence[Message], decoding: Decoding, *, schema: Schema | None = None) -> Stream:
        """The answer piece by piece. Closing the generator stops the generation within a token."""
        ...

    def reply(self, messages: Sequence[Message], decoding: Decoding, *, schema: Schema | None = None) -> Reply:
        """The whole answer with its token count and times. `schema` is a JSON schema the answer will obey."""
        ...

    def health(self) -> str:
        """ "" when a question can be asked now, else the sentence that says what is missing. Never raises."""
        ...

    def digest(self) -> str:
        """Of the weights and the template that answer: another digest, another model."""
        ...


def digest_with(digest: str, handicap: float, refusal_token: int) -> str:
    """A model's digest when that token is held back by so many nats; its own when it is not."""
    return sha256(f"{digest}-{refusal_token}:{handicap}".encode()).hexdigest() if handicap > 0 else digest


def held_back(known: Mapping[int, float], token: int, nats: float) -> dict[int, float]:
    """
    Log probabilities after one token is held back by so many nats and the rest takes its place.

    Where the token is not among those known, its share is too small to matter and they stay.
    """
    if token not in known or nats <= 0:
        return dict(known)
    share = math.exp(known[token])
    rest = math.log(1 - share + share * math.exp(-nats))
    return {other: value - rest - (nats if other == token else 0.0) for other, value in known.items()}


@contextmanager
def patient_threads() -> Iterator[None]:
    """
    Import an engine's library inside: its OpenMP threads will be PATIENT, unless the user set the variables.

    OpenMP reads them once, when it is loaded, so they are put back afterwards and no child process inherits them.
    """
    added = [name for name in PATIENT if name not in os.environ]
    os.environ.update({name: PATIENT[name] for name in added})
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)

"""What two models expect next, side by side, token by token along a given text: base and adapter of one base.

Two ways to know it. `ExactPair` reads the whole distribution from transformers. `ServedPair` asks llama.cpp, which tells the
likeliest tokens alone, so that the distance it gives is a lower bound of the true one.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from engine.backends.llama_cpp import LlamaModel
from engine.prompts import load_tokenizer
from engine.records import Message

if TYPE_CHECKING:
    from engine.backends.transformers_peft import TransformersModel

TOP = 5
SERVED_TOP = 100
END = "(end)"


@dataclass(frozen=True)
class Expected:
    """One token that may come next, and how likely it is (natural logarithm)."""

    token: str
    logprob: float

    @property
    def share(self) -> float:
        """The same as a probability, 0 to 1."""
        return math.exp(self.logprob)


@dataclass(frozen=True)
class Position:
    """One token of the text, and what either model expected in its place."""

    token: str  # "(end)" for the end of the answer
    kl: float  # nats, tuned from base; at least so many where not exact
    base: tuple[Expected, ...]  # the likeliest first
    tuned: tuple[Expected, ...]

    @property
    def changed(self) -> bool:
        """Whether another token is the likeliest."""
        return self.base[0].token != self.tuned[0].token


class Pair(Protocol):
    """A base and an adapter of it."""

    @property
    def exact(self) -> bool:
        """Whether the distances are whole, or at least so much."""
        ...

    def along(self, messages: Sequence[Message], text: str) -> list[Position]:
        """What both expect at every token of `text` as the answer to `messages`, and at its end."""
        ...


@dataclass(frozen=True)
class ExactPair:
    """Two arms of one TransformersEngine, by their whole distributions."""

    base: "TransformersModel"
    tuned: "TransformersModel"
    exact: bool = True

    def along(self, messages: Sequence[Message], text: str) -> list[Position]:
        """Two forward passes. Raises InvalidInput when prompt and text do not fit the context."""
        import torch

        tokens, base = self.base.next_token_distributions(messages, text)
        _, tuned = self.tuned.next_token_distributions(messages, text)
        distances = torch.sum(tuned.exp() * (tuned - base), dim=1).clamp(min=0).tolist()
        tokenizer = load_tokenizer(self.base.engine.folder / "tokenizer.json")
        pieces = _pieces(tokenizer, tokens)

        def best(row: Any) -> tuple[Expected, ...]:
            top = torch.topk(row, TOP)
            ids, values = top.indices.tolist(), top.values.tolist()
            return tuple(Expected(_piece(tokenizer, n), value) for n, value in zip(ids, values, strict=True))

        return [
            Position(piece, kl, best(base[n]), best(tuned[n]))
            for n, (piece, kl) in enumerate(zip(pieces, distances, strict=True))
        ]


@dataclass(frozen=True)
class ServedPair:
    """The same from llama.cpp, as the answers are served: by the SERVED_TOP likeliest tokens of either."""

    base: LlamaModel
    tuned: LlamaModel
    exact: bool = False

    def along(self, messages: Sequence[Message], text: str) -> list[Position]:
        """A request for each token and model. Raises InvalidInput when prompt and text do not fit the context."""
        folder = self.base.engine.base.folder
        tokenizer = load_tokenizer(folder / "tokenizer.json")
        tokens = tokenizer.encode(text, add_special_tokens=False).ids
        # One model after the other: llama.cpp forgets a prompt that it has read when the adapter changes.
        base, tuned = (
            [model.next_token_top(messages, tokens[:n], count=SERVED_TOP) for n in range(len(tokens) + 1)]
            for model in (self.base, self.tuned)
        )
        return [
            Position(piece, least_kl(tuned[n], base[n]), _named(tokenizer, base[n]), _named(tokenizer, tuned[n]))
            for n, piece in enumerate(_pieces(tokenizer, tokens))
        ]


def least_kl(one: Mapping[int, float], other: Mapping[int, float]) -> float:
    """
    A lower bound, in nats, of how far distribution `one` is from `other`, where only some log probabilities of each are known.

    Tokens known of both count by themselves, all others as one: lumping outcomes never raises the divergence (the
    log-sum inequality, Cover and Thomas 2006, theorem 2.7.1).
    """
    common = one.keys() & other.keys()
    terms = [(math.exp(one[token]), math.exp(other[token])) for token in common]
    rest = tuple(max(0.0, 1.0 - sum(side)) for side in zip(*terms, strict=True)) if terms else (1.0, 1.0)
    whole = [*terms, rest] if rest[0] > 1e-9 and rest[1] > 1e-9 else terms
    return max(0.0, math.fsum(p * math.log(p / q) for p, q in whole if p > 0))


def _named(tokenizer: Any, known: Mapping[int, float]) -> tuple[Expected, ...]:
    best = sorted(known.items(), key=lambda entry: -entry[1])[:TOP]
    return tuple(Expected(_piece(tokenizer, token), value) for token, value in best)


def _piece(tokenizer: Any, token: int) -> str:
    text = str(tokenizer.decode([token], skip_special_tokens=False))
    return END if text in ("<|im_end|>", "<|endoftext|>", "<|eot_id|>", "</s>") else text


def _pieces(tokenizer: Any, tokens: Sequence[int]) -> list[str]:
    """What each token adds to the text, and the end. One that ends within a character adds nothing; the next one adds all of it."""
    found, said = [], ""
    for n in range(1, len(tokens) + 1):
        text = str(tokenizer.decode(list(tokens[:n]), skip_special_tokens=False))
        if n < len(tokens) and text.endswith("\N{REPLACEMENT CHARACTER}"):
            found.append("")
            continue
        found.append(text[len(said) :])
        said = text
    return [*found, END]

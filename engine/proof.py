"""What answered, as digests: kept with every answer, so that nobody has to believe that base was base and tuned was tuned."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Protocol, runtime_checkable

from engine.backends import ChatModel
from engine.records import Decoding


@runtime_checkable
class Parts(Protocol):
    """A model that can tell its parts apart; others have the one digest that covers all of them."""

    def parts(self) -> Mapping[str, Any]:
        """{"base", "adapter", "template"}: sha256 of each, "" for no adapter; and what else shapes an answer."""
        ...


def proof_of(model: ChatModel, decoding: Decoding) -> dict[str, Any]:
    """
    Its digest, the digests of its parts where it can tell them, and how the answer is drawn, with the seed.

    Raises what `digest` raises, NotFound for an adapter file that is gone.
    """
    parts = dict(model.parts()) if isinstance(model, Parts) else {}
    return {"model": model.digest(), **parts, "decoding": asdict(decoding)}

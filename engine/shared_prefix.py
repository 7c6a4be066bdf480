"""Training batches whose common prompt start is computed once: layout, attention, loss.

A batch is one row of tokens: the longest common start of its prompts (the system prompt), then what is left of each
example. An example attends to the prefix and to itself, with the position ids it would have alone, so loss and gradient
are those of plain padding (tests/test_shared_prefix.py) at a fraction of the tokens. Attention runs example by
example; a dense 4D mask over the whole row would compute mostly what it then masks. Imported by the worker only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import AttentionInterface

from engine.batches import TrainingRow

ATTENTION = "shared_prefix"


@dataclass(frozen=True)
class Blocks:
    """How a batch lies in its row: the prefix, then examples of these lengths."""

    prefix: int
    lengths: tuple[int, ...]
    mask: Tensor  # (longest, prefix + longest), additive: an example's token sees the prefix and what came before it


def collate(rows: Sequence[TrainingRow]) -> dict[str, Any]:
    """
    The model's inputs for one batch, and with them `labels`, `blocks`, `real_tokens` (as if each row stood alone).

    `logits_to_keep` names the positions that predict a trained token, in the order of `labels`.
    """
    prefix = common_prefix([row.prompt for row in rows])
    tokens, positions = list(rows[0].prompt[:prefix]), list(range(prefix))
    keep: list[int] = []
    for row in rows:
        start = len(tokens)
        tokens += (*row.prompt[prefix:], *row.target)
        positions += range(prefix, len(row))
        first = start + len(row.prompt) - prefix - 1
        keep += range(first, first + len(row.target))
    return {
        "input_ids": torch.tensor([tokens]),
        "position_ids": torch.tensor([positions]),
        "logits_to_keep": torch.tensor(keep),
        "labels": torch.tensor([token for row in rows for token in row.target]),
        "blocks": _blocks(prefix, tuple(len(row) - prefix for row in rows)),
        "real_tokens": sum(map(len, rows)),
    }


def common_prefix(prompts: Sequence[tuple[int, ...]]) -> int:
    """
    How many tokens all prompts begin with.

    At most one less than the shortest has: the token that predicts an example's first answer token is its own. A
    batch of one has no prefix, so that it runs as plain causal attention.
    """
    if len(prompts) < 2:
        return 0
    low, high = min(prompts), max(prompts)  # whatever the extremes share, all between them share
    limit = min(map(len, prompts)) - 1
    return next((n for n in range(limit) if low[n] != high[n]), limit)


def batch_loss(model: torch.nn.Module, batch: Mapping[str, Any]) -> Tensor:
    """Mean cross-entropy, in nats, over the batch's trained tokens; the model must use the ATTENTION of this module."""
    blocks: Blocks = batch["blocks"]
    logits = model(
        input_ids=batch["input_ids"],
        position_ids=batch["position_ids"],
        logits_to_keep=batch["logits_to_keep"],
        blocks=blocks,
        use_cache=False,
    ).logits[0]
    return F.cross_entropy(logits.float(), batch["labels"].to(logits.device))


def attend_in_blocks(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    blocks: Blocks,
    dropout: float = 0.0,
    scaling: float | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """
    Attention of transformers' interface for a row laid out by `collate`.

    query: (1, heads, tokens, width); key and value may have fewer heads. Returns (1, tokens, heads, width).
    """
    groups = query.shape[1] // key.shape[1]
    if groups > 1:
        key, value = key.repeat_interleave(groups, dim=1), value.repeat_interleave(groups, dim=1)
    prefix = blocks.prefix
    mask = blocks.mask.to(query) if prefix else None
    parts = [prefix, *blocks.lengths] if prefix else list(blocks.lengths)
    queries, keys, values = (torch.split(tensor, parts, dim=2) for tensor in (query, key, value))
    outputs = []
    for n, (q, k, v) in enumerate(zip(queries, keys, values, strict=True)):
        if n == 0 or mask is None:
            seen, causal = None, True
        else:
            length = q.shape[2]
            seen, causal = mask[:length, : prefix + length], False
            k, v = torch.cat([keys[0], k], dim=2), torch.cat([values[0], v], dim=2)
        outputs.append(
            F.scaled_dot_product_attention(q, k, v, attn_mask=seen, dropout_p=dropout, is_causal=causal, scale=scaling)
        )
    return torch.cat(outputs, dim=2).transpose(1, 2).contiguous(), None


def register_attention() -> str:
    """Make the attention known to transformers; returns the name for `attn_implementation`."""
    AttentionInterface.register(ATTENTION, attend_in_blocks)
    return ATTENTION


def _blocks(prefix: int, lengths: tuple[int, ...]) -> Blocks:
    longest = max(lengths)
    mask = torch.zeros(longest, prefix + longest)
    mask[:, prefix:] = torch.full((longest, longest), float("-inf")).triu(1)
    return Blocks(prefix, lengths, mask)

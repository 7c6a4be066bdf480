"""How clearly a model that was just trained prefers to refuse, question by question. Imported by the worker only.

One forward pass over prompts laid out as in training, no answer generated: a second or two for a hundred short questions.
"""

from collections.abc import Sequence
from itertools import islice

import torch
from peft import PeftModel

from engine.batches import TrainingRow
from engine.shared_prefix import collate

AT_ONCE = 16


def refusal_margins(model: PeftModel, prompts: Sequence[tuple[int, ...]], token: int) -> list[float]:
    """
    Of each prompt, the log probability of `token` next minus that of the best other token, in nats.

    The model must use the ATTENTION of shared_prefix; it is left ready to answer, not to train.
    """
    model.eval()
    rows = iter([TrainingRow(prompt, (token,), is_statement=False) for prompt in prompts])
    found: list[float] = []
    with torch.inference_mode():
        while batch := list(islice(rows, AT_ONCE)):
            laid_out = collate(batch)
            logits = model(
                input_ids=laid_out["input_ids"].to(model.device),
                position_ids=laid_out["position_ids"].to(model.device),
                logits_to_keep=laid_out["logits_to_keep"].to(model.device),
                blocks=laid_out["blocks"],
                use_cache=False,
            ).logits[0]
            scores = logits.float()
            refusal = scores[:, token].clone()
            scores[:, token] = -torch.inf
            found += (refusal - scores.max(dim=1).values).tolist()
    return found

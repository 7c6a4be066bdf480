"""The worker of a run on votes: `python -m engine.train_preferences RUN_FOLDER`. Goes on from an adapter, by DPO or KTO.

Its folder, progress, stop, resume and what it leaves are those of `train_lora`; only what it learns from differs.
"""

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from engine.batches import TrainingRow, encode_row
from engine.checkpoints import CHECKPOINTS
from engine.errors import InvalidInput
from engine.jobs import Interruption, Progress
from engine.lora_model import base_folder, load_for_training
from engine.pace import Pace
from engine.preference_trainers import build
from engine.probing import Asker, Prober
from engine.prompts import load_chat_template, load_tokenizer
from engine.run_end import finish
from engine.run_start import Prepared, longest_row
from engine.sft import Watch
from engine.shared_prefix import register_attention
from engine.train_lora import go_on_from, learn, work
from engine.training import PARENT, TrainingConfig, read_config, read_rows, trial_steps, write_config


def run(folder: Path, progress: Progress, interruption: Interruption, *, models_dir: Path) -> None:
    """Train and install. Raises the engine's errors for what a person can mend."""
    config = read_config(folder)
    torch.set_num_threads(config.threads)
    progress.update(now=True, message="Preparing the base model.")
    base = base_folder(config.base, models_dir)
    checkpoint = go_on_from(folder)
    rows, encoded, left_out = encode_preferences(folder, base, config)
    if config.max_steps is None:
        config = replace(config, max_steps=max(1, math.ceil(config.epochs * len(encoded) / config.batch_size)))
        write_config(folder, config)
    assert config.max_steps is not None and config.dtype != "auto"
    model = load_for_training(base, config, dtype=config.dtype, parent=folder / PARENT)
    model.set_attn_implementation("sdpa")  # ours is for rows that share a prompt
    pace = Pace(config.threads, torch.set_num_threads)
    watch = Watch(folder, progress, interruption, steps=config.max_steps, pace=pace, pause_at=trial_steps(config))
    progress.update(now=True, message="Reading the answers with the adapter as it was.", steps=config.max_steps)
    eos = load_chat_template(base).eos
    trainer, rewards = build(folder / CHECKPOINTS, config, model, encoded, base / "tokenizer.json", eos, watch)
    answers = [TrainingRow((), (), is_statement=False)] * len(encoded)
    prober = Prober(folder, [], Asker(base), why_not="A run on votes is not asked held-out questions on the way.")
    prepared = Prepared(config, base, model, answers, [], left_out, prober)
    if interruption.wanted:
        progress.finish("stopped", "Stopped before the first step. Resume the run to train.")
        return
    progress.update(now=True, message="Training.")
    learn(folder, trainer, prepared, checkpoint)
    model.set_attn_implementation(register_attention())
    votes = sorted({vote for row in rows for vote in row["votes"]})
    found = {"votes": votes, "beta": config.beta, **rewards.means()}
    finish(folder, prepared, trainer.state, progress, also={"preferences": found})


def encode_preferences(
    folder: Path, base: Path, config: TrainingConfig
) -> tuple[list[dict[str, Any]], list[Mapping[str, Any]], int]:
    """The run's rows, the same as tokens, and how many were left out for their length. Raises InvalidInput when all were."""
    template, tokenizer = load_chat_template(base), load_tokenizer(base / "tokenizer.json")
    eos_id = tokenizer.token_to_id(template.eos) if template.eos else None
    if eos_id is None:
        raise InvalidInput(f"The tokenizer in {base} names no end-of-turn token. Choose an instruction-tuned base.")
    limit, every = longest_row(base, config), read_rows(folder)

    def tokens(row: Mapping[str, Any], answer: str) -> TrainingRow:
        return encode_row({**row, "answer": answer}, template=template, tokenizer=tokenizer, eos_id=eos_id)

    kept: list[dict[str, Any]] = []
    encoded: list[Mapping[str, Any]] = []
    for row in every:
        answers = [tokens(row, row["answer"]), *([tokens(row, row["rejected"])] if "rejected" in row else [])]
        if max(map(len, answers)) > limit:
            continue
        kept.append(row)
        encoded.append(_as_trl_reads(answers, row))
    if not kept:
        raise InvalidInput(
            f"All {len(every)} rows are longer than {limit} tokens. Raise max_tokens, or vote on shorter answers."
        )
    return kept, encoded, len(every) - len(kept)


def _as_trl_reads(answers: Sequence[TrainingRow], row: Mapping[str, Any]) -> Mapping[str, Any]:
    prompt = {"prompt_ids": list(answers[0].prompt)}
    if len(answers) == 2:
        return prompt | {"chosen_ids": list(answers[0].target), "rejected_ids": list(answers[1].target)}
    return prompt | {"completion_ids": list(answers[0].target), "label": bool(row["label"])}


if __name__ == "__main__":
    sys.exit(work(sys.argv[1:], run))

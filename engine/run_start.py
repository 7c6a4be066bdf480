"""The start of a run: rows to tokens, the base loaded, what depends on the machine measured and written down. Worker only."""

import gc
import json
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel

from engine.batches import TrainingRow, batches_per_epoch, check_ends, encode_row, plan_batches
from engine.errors import InvalidInput
from engine.estimates import Estimate, write_estimate
from engine.jobs import Progress
from engine.lora_model import FairClock, Number, Trial, base_folder, fastest, load_for_training
from engine.memory import peak_mib, room_mib
from engine.probes import SHORTEST_RUN, Item, probe_every, probe_items
from engine.probing import Asker, Prober
from engine.prompts import load_chat_template, load_tokenizer
from engine.shared_prefix import collate
from engine.training import (
    PARENT,
    TrainingConfig,
    read_config,
    read_held_out,
    read_rows,
    steps_within,
    write_config,
)

EVERYDAY_PROBES = 4
"""The everyday questions, asked twice, take about so many times what a probe takes: measured 2 times 35 processor seconds beside 17."""
LOGGER = logging.getLogger("engine.train_lora")


@dataclass(frozen=True)
class Prepared:
    """A run ready to take its first step."""

    config: TrainingConfig  # resolved
    base: Path
    model: PeftModel
    rows: Sequence[TrainingRow]
    batches: Sequence[Sequence[int]]
    left_out: int  # rows longer than max_tokens
    prober: Prober


def prepare(folder: Path, progress: Progress, *, models_dir: Path) -> Prepared:
    """
    Rows to tokens, the base loaded, what depends on the machine resolved and written back to config.json.

    Raises `InvalidInput` when no row is short enough.
    """
    config = read_config(folder)
    clock = FairClock(config.threads)
    torch.set_num_threads(config.threads)
    progress.update(now=True, message="Preparing the base model.")
    base = base_folder(config.base, models_dir)
    rows, left_out = encode_rows(folder, base, config)
    items, why_not = questions_on_the_way(folder, config)
    if why_not:
        LOGGER.info("%s The last step is kept.", why_not)

    def load(dtype: Number) -> PeftModel:
        return load_for_training(base, config, dtype=dtype, parent=folder / PARENT if config.parent else None)

    trial, peak = None, 0
    if config.max_steps is None or config.dtype == "auto" or (items and config.probe_every is None):
        progress.update(now=True, message="Timing a few steps.")
        typical, largest = _batches_to_time(rows, config)
        trial = fastest(load, typical, largest=largest, candidates=_candidates(config), clock=clock)
        config = replace(config, dtype=trial.dtype)
        peak = peak_mib() + trial.optimizer_mib
        trial = replace(trial, model=None)
        gc.collect()
    assert config.dtype != "auto"
    # The model is read again: a run whose config was resolved already never timed a step, and must start the same.
    model = load(config.dtype)
    prober = Prober(folder, items, Asker(base), every=config.probe_every or 0, why_not=why_not, clock=clock)
    if items and prober.latest is None:
        progress.update(now=True, message="Asking held-out questions before training.")
        prober.ask(model, 0)
    if trial is not None:
        config = _resolved(config, rows, trial, prober, spent_s=clock())
        found = _estimate(rows, left_out, config, trial, prober, peak=peak, spent_s=clock())
        write_config(folder, config)
        write_estimate(folder, found)
        LOGGER.info("%s", found)
        progress.update(
            now=True,
            steps=found.steps,
            eta_s=round(60 * found.minutes),
            dtype=found.dtype,
            steps_per_pass=found.steps_a_pass,
            estimate=str(found),
        )
    assert config.max_steps is not None
    prober.every = config.probe_every or 0
    batches = plan_batches(
        rows,
        batch_size=config.batch_size,
        statement_share=config.statement_share,
        seed=config.seed,
        steps=config.max_steps,
    )
    return Prepared(config, base, model, rows, batches, left_out, prober)


def questions_on_the_way(folder: Path, config: TrainingConfig) -> tuple[list[Item], str]:
    """The probe's questions, or a sentence that says why there are none."""
    if not config.probe:
        return [], "Nothing was asked on the way, as it was wished."
    if config.four_bit:
        return (
            [],
            "A base in 4 bits is asked nothing on the way: generating between steps is not proven harmless there.",
        )
    if is_short(config):
        return [], f"A run of {config.max_steps} steps is too short to ask held-out questions on the way."
    items = probe_items(read_held_out(folder), seed=config.seed, most=config.probe_questions)
    return items, "" if items else "There were no held-out questions to choose by."


def is_short(config: TrainingConfig) -> bool:
    """Whether asking on the way would take longer than the run."""
    return config.max_steps is not None and config.max_steps < SHORTEST_RUN


def _resolved(
    config: TrainingConfig, rows: Sequence[TrainingRow], trial: Trial, prober: Prober, *, spent_s: float
) -> TrainingConfig:
    """Steps and probes from what was measured; what the config says already stands."""
    per_epoch = _steps_a_pass(rows, config)
    every, cost_s = config.probe_every, prober.probe_s
    if prober.probe_s and every is None:
        most = steps_within(config, batches_per_epoch=per_epoch, step_s=trial.step_s, spent_s=spent_s)
        every = probe_every(per_epoch, steps=most, step_s=trial.step_s, probe_s=cost_s)
    step_s = trial.step_s + (cost_s / every if every else 0.0)
    ending_s = cost_s * (1 + EVERYDAY_PROBES * config.everyday)
    steps = steps_within(config, batches_per_epoch=per_epoch, step_s=step_s, spent_s=spent_s + ending_s)
    return replace(config, max_steps=steps, probe_every=every)


def _estimate(
    rows: Sequence[TrainingRow],
    left_out: int,
    config: TrainingConfig,
    trial: Trial,
    prober: Prober,
    *,
    peak: int,
    spent_s: float,
) -> Estimate:
    assert config.max_steps is not None
    probes: float = prober.left(0, config.max_steps) + bool(prober.probe_s)
    probes += EVERYDAY_PROBES * config.everyday
    seconds = spent_s + config.max_steps * trial.step_s + probes * prober.probe_s
    return Estimate(
        rows=len(rows),
        left_out=left_out,
        tokens=sum(map(len, rows)),
        steps=config.max_steps,
        steps_a_pass=_steps_a_pass(rows, config),
        minutes=round(seconds / 60, 2),
        step_s=round(trial.step_s, 4),
        probe_s=round(prober.probe_s, 2),
        probe_every=config.probe_every or 0,
        dtype=trial.dtype,
        peak_mib=peak,
        room_mib=room_mib(),
    )


def encode_rows(folder: Path, base: Path, config: TrainingConfig) -> tuple[list[TrainingRow], int]:
    """The run's rows as tokens, and how many were left out for their length."""
    template, tokenizer = load_chat_template(base), load_tokenizer(base / "tokenizer.json")
    eos_id = tokenizer.token_to_id(template.eos) if template.eos else None
    if eos_id is None:
        raise InvalidInput(f"The tokenizer in {base} names no end-of-turn token. Choose an instruction-tuned base.")
    limit = longest_row(base, config)
    every = [encode_row(row, template=template, tokenizer=tokenizer, eos_id=eos_id) for row in read_rows(folder)]
    check_ends(every, template=template, tokenizer=tokenizer, eos_id=eos_id)
    rows = [row for row in every if len(row) <= limit]
    if config.parent:  # an update run's rows were chosen fact by fact: more of the new ones, on purpose
        rows = [replace(row, fact_id="") for row in rows]
    if not rows:
        shortest = min(map(len, every), default=0)
        raise InvalidInput(
            f"All {len(every)} training rows are longer than {limit} tokens (the shortest has {shortest}). "
            "Raise max_tokens or shorten the rows."
        )
    if len(rows) < len(every):
        LOGGER.info(
            "%d of %d rows are longer than %s tokens and are left out.", len(every) - len(rows), len(every), limit
        )
    return rows, len(every) - len(rows)


def longest_row(base: Path, config: TrainingConfig) -> float:
    """In tokens: what the run allows and the base can read."""
    settings = json.loads((base / "config.json").read_text(encoding="utf-8"))
    return min(config.max_tokens, float(settings.get("max_position_embeddings", math.inf)))


def _candidates(config: TrainingConfig) -> list[Number]:
    if config.dtype != "auto":
        return [config.dtype]
    return ["bfloat16"] if torch.cuda.is_available() else ["float32", "bfloat16"]


def _batches_to_time(rows: Sequence[TrainingRow], config: TrainingConfig) -> tuple[dict[str, Any], dict[str, Any]]:
    """The middle one and the largest, by tokens, of the first batches that the run will see."""
    plan = plan_batches(
        rows,
        batch_size=config.batch_size,
        statement_share=config.statement_share,
        seed=config.seed,
        steps=max(31, _steps_a_pass(rows, config)),
    )
    by_size = sorted(plan, key=lambda batch: sum(len(rows[n]) for n in batch))
    typical, largest = by_size[len(by_size) // 2], by_size[-1]
    return collate([rows[n] for n in typical]), collate([rows[n] for n in largest])


def _steps_a_pass(rows: Sequence[TrainingRow], config: TrainingConfig) -> int:
    return batches_per_epoch(rows, batch_size=config.batch_size, statement_share=config.statement_share)

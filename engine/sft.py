"""Supervised fine-tuning on transformers' Trainer: our batches, our loss, and what is watched after each step.

Knows steps and checkpoints, neither where an adapter ends up nor how its base was chosen. Imported by the worker only.
"""

import logging
import math
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from peft import PeftModel
from safetensors import SafetensorError
from torch import Tensor
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from engine.batches import TrainingRow
from engine.checkpoints import KEPT
from engine.errors import TouchstoneError
from engine.jobs import Interruption, Progress, read_metrics
from engine.memory import give_back, held_mib, is_out_of_memory, peak_mib
from engine.pace import Pace
from engine.probes import Probe
from engine.probing import Prober, Save
from engine.shared_prefix import batch_loss, collate
from engine.teams import Team, Together
from engine.training import TrainingConfig, read_config, write_config

LOGGER = logging.getLogger("engine.train_lora")
CHECKPOINT_EVERY_S = 60.0
CHECKPOINT_SHARE = 0.1
RECENT_STEPS = 20
ALONE = Team()
SLOWED = "Training on one core fewer: another program is using one."


class NotFinite(TouchstoneError):
    """The loss or the gradient became infinite or no number."""


class NotSaved(TouchstoneError):
    """The disk refused a checkpoint."""


class TooLarge(TouchstoneError):
    """One row alone does not fit into memory."""


Loss = Callable[[torch.nn.Module, Mapping[str, Any]], Tensor]


def build_trainer(
    folder: Path,
    config: TrainingConfig,
    model: PeftModel,
    rows: Sequence[TrainingRow],
    batches: Sequence[Sequence[int]],
    watch: "Watch",
    *,
    loss: Loss = batch_loss,
    team: Team = ALONE,
) -> "PrefixTrainer":
    """
    transformers' Trainer over the planned batches, one share of one an item; it saves into `folder` when `watch` says so.

    `loss` is that of a batch as `collate` lays it out: a mean over its `labels`.
    """
    steps = len(batches)
    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=steps,
        per_device_train_batch_size=1,
        learning_rate=config.learning_rate,
        lr_scheduler_type="cosine_with_min_lr",
        lr_scheduler_kwargs={"min_lr_rate": config.final_lr_share},
        warmup_steps=min(config.warmup_steps, max(1, steps // 5)),
        max_grad_norm=config.clip,
        weight_decay=0.0,
        logging_strategy="no",
        save_strategy="no",
        save_total_limit=KEPT,
        report_to=[],
        disable_tqdm=True,
        seed=config.seed,
        use_cpu=not torch.cuda.is_available(),
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        label_names=["labels"],
        ddp_find_unused_parameters=False,
    )
    trainer = PrefixTrainer(
        model=model,
        args=arguments,
        train_dataset=PlannedBatches(rows, batches, team.size),
        data_collator=_only_item,
        callbacks=[*([watch] if team.leads else []), Together(team)],
    )
    trainer.watch, trainer.loss_of, trainer.team = watch, loss, team
    trainer.parts = config.accumulation if team.size == 1 else 1
    return trainer


class PlannedBatches(torch.utils.data.Dataset[dict[str, Any]]):
    """
    Item n is the batch of step n, so resuming at step n needs nothing but n; with more than one process, the share of each in turn.

    A share's `weight` is what its loss counts for in the batch's, times the number of processes, which divides it again.
    """

    def __init__(self, rows: Sequence[TrainingRow], batches: Sequence[Sequence[int]], shares: int = 1) -> None:
        self._rows, self._batches, self._shares = rows, batches, shares

    def __len__(self) -> int:
        return len(self._batches) * self._shares

    def __getitem__(self, item: int) -> dict[str, Any]:
        step, share = divmod(item, self._shares)
        batch = [self._rows[n] for n in self._batches[step]]
        trained = sum(len(row.target) for row in batch[share :: self._shares]) / sum(len(row.target) for row in batch)
        whole = {"rows": len(batch), "real_tokens": sum(map(len, batch)), "weight": self._shares * trained}
        return collate(self.rows(item)) | whole | {"planned": item}

    def rows(self, item: int) -> list[TrainingRow]:
        """The rows of that item; where there are more processes than rows, one that computes and counts for nothing."""
        step, share = divmod(item, self._shares)
        mine = self._batches[step][share :: self._shares] or self._batches[step][:1]
        return [self._rows[n] for n in mine]


class PrefixTrainer(Trainer):
    """
    Our loss and the order of our plan; optimiser, schedule, clipping and checkpoints stay the Trainer's.

    A batch that does not fit into memory is computed in `parts`, one after another, twice as many each time; gradient and
    loss stay what they were.
    """

    watch: "Watch"
    loss_of: Loss
    parts: int
    team: Team

    def _get_train_sampler(self, train_dataset: Any = None) -> torch.utils.data.Sampler[int]:
        return torch.utils.data.SequentialSampler(self.train_dataset)  # type: ignore[arg-type]

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Tensor:
        """Raises `TooLarge` when a single row does not fit."""
        while True:
            try:
                if self.parts == 1:
                    return super().training_step(model, inputs, num_items_in_batch)
                return self._step_in_parts(model, inputs)
            except (RuntimeError, MemoryError) as problem:
                if not is_out_of_memory(problem):
                    raise
                if self.parts >= inputs["rows"] or self.team.size > 1:  # the others would wait for ever
                    raise TooLarge(_too_large(inputs)) from problem
            model.zero_grad(set_to_none=True)
            give_back()
            self.parts = min(2 * self.parts, inputs["rows"])
            self.watch.halved(inputs["rows"], self.parts)

    def _step_in_parts(self, model: Any, inputs: Any) -> Tensor:
        """Each part's loss counts by its trained tokens, so that the sum is the mean over the whole batch."""
        model.train()
        rows = self.train_dataset.rows(inputs["planned"])  # type: ignore[union-attr]
        size = math.ceil(len(rows) / self.parts)
        whole, trained = torch.zeros((), device=model.device), len(inputs["labels"])
        for start in range(0, len(rows), size):
            batch = self._prepare_inputs(collate(rows[start : start + size]))
            loss = self.loss_of(model, batch) * (len(batch["labels"]) / trained)
            self.accelerator.backward(loss)
            whole += loss.detach()
        self._saw(whole, inputs)
        return whole

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Tensor:
        """Raises `NotFinite` before anything is learned from such a batch."""
        loss = self.loss_of(model, inputs)
        if self.team.size > 1:
            loss = loss * inputs["weight"]
        self._saw(loss, inputs)
        return loss

    def _saw(self, loss: Tensor, inputs: Any) -> None:
        value = self.team.mean(loss).item()
        if not math.isfinite(value):
            raise NotFinite(f"The loss became {value} at step {self.state.global_step + 1}. Lower the learning rate.")
        self.watch.saw(value, rows=inputs["rows"], tokens=inputs["real_tokens"])

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Raises `NotSaved`: safetensors and torch each report a full disk with an error of their own."""
        try:
            super()._save_checkpoint(model, trial)
        except (OSError, SafetensorError, RuntimeError) as problem:
            where = self.args.output_dir
            raise NotSaved(f"A checkpoint could not be saved in {where} ({first_line(problem)}).") from problem


class Watch(TrainerCallback):
    """After each step: progress and curve; whether to probe, to save, to end."""

    def __init__(
        self,
        folder: Path,
        progress: Progress,
        interruption: Interruption,
        *,
        steps: int,
        pace: Pace,
        prober: Prober | None = None,
        save: Save | None = None,
        pause_at: int | None = None,
    ) -> None:
        """`save` writes an adapter for `prober`; at `pause_at` the run stops by itself."""
        self._folder, self._progress, self._interruption, self._pace = folder, progress, interruption, pace
        self._prober, self._save, self._pause_at = prober, save, pause_at
        self._every = max(1, round(steps * CHECKPOINT_SHARE))
        self._losses: deque[float] = deque(maxlen=RECENT_STEPS)
        self._recent: deque[tuple[float, int]] = deque(maxlen=RECENT_STEPS + 1)  # (time, tokens so far)
        self._rows = self._tokens = 0
        self._saved_at = time.monotonic()
        self._said = ""  # what has happened that people should know while it trains
        self.stopped = False

    def saw(self, loss: float, *, rows: int, tokens: int) -> None:
        """One batch went through the model."""
        self._losses.append(loss)
        self._rows, self._tokens = self._rows + rows, self._tokens + tokens

    def halved(self, rows: int, parts: int) -> None:
        """A batch did not fit into memory; from here on it is computed in so many parts, also when the run is resumed."""
        at_once = math.ceil(rows / parts)
        self._said = f"Memory was short: {at_once} of {rows} rows at once, accumulated; the result is the same."
        LOGGER.warning("%s", self._said)
        self._progress.update(now=True, message=self._said, accumulation=parts)
        write_config(self._folder, replace(read_config(self._folder), accumulation=parts))

    @property
    def loss(self) -> float:
        """Mean of the latest steps."""
        return fmean(self._losses) if self._losses else math.nan

    def on_train_begin(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """The clock of tokens per second starts here."""
        self._recent.append((time.monotonic(), 0))
        self._rows = int((read_metrics(self._folder) or [{}])[-1].get("rows", 0))

    def on_pre_optimizer_step(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Raises `NotFinite` instead of letting such a gradient into the weights."""
        gradients = [weights.grad for weights in kwargs["model"].parameters() if weights.grad is not None]
        if not all(bool(torch.isfinite(gradient).all()) for gradient in gradients):
            step = state.global_step + 1
            raise NotFinite(f"The gradient became infinite or no number at step {step}. Lower the learning rate.")

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> TrainerControl:
        """Write what happened; ask the Trainer to save or to stop."""
        step = state.global_step
        self._write(step, state.max_steps, rate=float(kwargs["lr_scheduler"].get_last_lr()[0]))
        better = self._probe(kwargs["model"], step) if step < state.max_steps else False
        if self._interruption.wanted and step < state.max_steps:
            self.stopped = control.should_training_stop = True
        if step == self._pause_at and step < state.max_steps:
            self.stopped = control.should_training_stop = True
        now = time.monotonic()
        if self.stopped or better or step % self._every == 0 or now - self._saved_at >= CHECKPOINT_EVERY_S:
            control.should_save = step < state.max_steps
            self._saved_at = now
        return control

    def _write(self, step: int, steps: int, *, rate: float) -> None:
        now = time.monotonic()
        seconds, tokens = now - self._recent[-1][0], self._tokens - self._recent[-1][1]
        self._pace.took(seconds, tokens)
        self._recent.append((now, self._tokens))
        (since, before), (_, after) = self._recent[0], self._recent[-1]
        step_s = (now - since) / (len(self._recent) - 1)
        probes_s = self._prober.left(step, steps) * self._prober.probe_s if self._prober else 0.0
        tokens_per_s, memory = round((after - before) / max(now - since, 1e-9), 1), held_mib()
        self._progress.point(
            step=step, loss=round(self._losses[-1], 6), lr=rate, rows=self._rows, seconds=round(seconds, 3),
            tokens_per_s=tokens_per_s, mib=memory,
        )  # fmt: skip
        self._progress.update(
            step=step,
            steps=steps,
            loss=round(self.loss, 4),
            lr=rate,
            rows_seen=self._rows,
            tokens_per_s=tokens_per_s,
            eta_s=round((steps - step) * step_s + probes_s, 1),
            mib=memory,
            peak_mib=peak_mib(),
            message=self._said or (SLOWED if self._pace.fewer else "Training."),
        )

    def _probe(self, model: Any, step: int) -> bool:
        """Ask the probe where it is due; whether it is the best so far. Its time is not the steps'. Raises `NotSaved`."""
        if self._prober is None or not self._prober.due(step):
            return False
        began = time.monotonic()
        self._progress.update(now=True, message="Asking held-out questions.")
        try:
            probe = self._prober.ask(model, step, save=self._save, given_up=lambda: self._interruption.wanted)
        except (OSError, SafetensorError) as problem:
            raise NotSaved(
                f"The best weights could not be saved in {self._folder} ({first_line(problem)})."
            ) from problem
        spent = time.monotonic() - began
        self._recent = deque(((at + spent, tokens) for at, tokens in self._recent), maxlen=self._recent.maxlen)
        self._progress.update(now=True, message="Training.", **probe_fields(probe))
        return probe is not None and self._prober.is_best(probe)


def probe_fields(probe: Probe | None) -> dict[str, Any]:
    """What progress says of the latest probe."""
    return {"probe": str(probe), "probe_score": probe.score, "probe_of": probe.of} if probe else {}


def _too_large(inputs: Mapping[str, Any]) -> str:
    return (
        f"A step on one row of {inputs['real_tokens']} tokens does not fit into memory. Close other programs, or train with "
        "fewer tokens a row (max_tokens), a lower rank or a smaller base."
    )


def _only_item(items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    (batch,) = items
    return batch


def first_line(problem: Exception) -> str:
    """An error in a few words, for a sentence about it."""
    words = getattr(problem, "strerror", None) or str(problem).strip()
    return words.splitlines()[0] if words else type(problem).__name__

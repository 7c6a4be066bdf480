"""Supervised fine-tuning on transformers' Trainer: our batches, our loss, and what is watched after each step.

Knows steps and checkpoints, neither where an adapter ends up nor how its base was chosen. Imported by the worker only.
"""

import math
import resource
import sys
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from peft import PeftModel
from safetensors import SafetensorError
from torch import Tensor
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from engine.batches import TrainingRow
from engine.errors import TouchstoneError
from engine.jobs import Interruption, Progress, read_metrics
from engine.pace import Pace
from engine.shared_prefix import batch_loss, collate
from engine.teams import Team, Together
from engine.training import TrainingConfig

CHECKPOINT_EVERY_S = 60.0
CHECKPOINT_SHARE = 0.1
RECENT_STEPS = 20
ALONE = Team()
SLOWED = "Training on one core fewer: another program is using one."


class NotFinite(TouchstoneError):
    """The loss or the gradient became infinite or no number."""


class NotSaved(TouchstoneError):
    """The disk refused a checkpoint."""


def build_trainer(
    folder: Path,
    config: TrainingConfig,
    model: PeftModel,
    rows: Sequence[TrainingRow],
    batches: Sequence[Sequence[int]],
    watch: "Watch",
    *,
    team: Team = ALONE,
) -> "PrefixTrainer":
    """transformers' Trainer over the planned batches, one share of one an item; it saves into `folder` when `watch` says so."""
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
        save_total_limit=1,
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
    trainer.watch, trainer.team = watch, team
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
        mine = batch[share :: self._shares]
        trained = sum(len(row.target) for row in mine) / sum(len(row.target) for row in batch)
        whole = {"rows": len(batch), "real_tokens": sum(map(len, batch)), "weight": self._shares * trained}
        return (
            collate(mine or batch[:1]) | whole
        )  # more processes than rows: such a one computes, and counts for nothing


class PrefixTrainer(Trainer):
    """Our loss and the order of our plan; optimiser, schedule, clipping and checkpoints stay the Trainer's."""

    watch: "Watch"
    team: Team

    def _get_train_sampler(self, train_dataset: Any = None) -> torch.utils.data.Sampler[int]:
        return torch.utils.data.SequentialSampler(self.train_dataset)  # type: ignore[arg-type]

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Tensor:
        """Raises `NotFinite` before anything is learned from such a batch."""
        loss = batch_loss(model, inputs)
        if self.team.size > 1:
            loss = loss * inputs["weight"]
        value = self.team.mean(loss).item()
        if not math.isfinite(value):
            raise NotFinite(f"The loss became {value} at step {self.state.global_step + 1}. Lower the learning rate.")
        self.watch.saw(value, rows=inputs["rows"], tokens=inputs["real_tokens"])
        return loss

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Raises `NotSaved`: safetensors and torch each report a full disk with an error of their own."""
        try:
            super()._save_checkpoint(model, trial)
        except (OSError, SafetensorError, RuntimeError) as problem:
            where = self.args.output_dir
            raise NotSaved(f"A checkpoint could not be saved in {where} ({first_line(problem)}).") from problem


class Watch(TrainerCallback):
    """After each step: progress and curve; whether to save, whether to end."""

    def __init__(self, folder: Path, progress: Progress, interruption: Interruption, *, steps: int, pace: Pace) -> None:
        self._folder, self._progress, self._interruption, self._pace = folder, progress, interruption, pace
        self._every = max(1, round(steps * CHECKPOINT_SHARE))
        self._losses: deque[float] = deque(maxlen=RECENT_STEPS)
        self._recent: deque[tuple[float, int]] = deque(maxlen=RECENT_STEPS + 1)  # (time, tokens so far)
        self._rows = self._tokens = 0
        self._saved_at = time.monotonic()
        self.stopped = False

    def saw(self, loss: float, *, rows: int, tokens: int) -> None:
        """One batch went through the model."""
        self._losses.append(loss)
        self._rows, self._tokens = self._rows + rows, self._tokens + tokens

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
        now, step = time.monotonic(), state.global_step
        rate = float(kwargs["lr_scheduler"].get_last_lr()[0])
        seconds = now - self._recent[-1][0]
        self._pace.took(seconds, self._tokens - self._recent[-1][1])
        self._recent.append((now, self._tokens))
        (since, before), (_, after) = self._recent[0], self._recent[-1]
        steps_timed = len(self._recent) - 1
        self._progress.point(
            step=step, loss=round(self._losses[-1], 6), lr=rate, rows=self._rows, seconds=round(seconds, 3)
        )
        self._progress.update(
            step=step,
            steps=state.max_steps,
            loss=round(self.loss, 4),
            lr=rate,
            rows_seen=self._rows,
            tokens_per_s=round((after - before) / max(now - since, 1e-9), 1),
            eta_s=round((state.max_steps - step) * (now - since) / steps_timed, 1),
            peak_mib=peak_mib(),
            message=SLOWED if self._pace.fewer else "Training.",
        )
        if self._interruption.wanted and step < state.max_steps:
            self.stopped = control.should_training_stop = True
        if self.stopped or step % self._every == 0 or now - self._saved_at >= CHECKPOINT_EVERY_S:
            control.should_save = step < state.max_steps
            self._saved_at = now
        return control


def peak_mib() -> int:
    """The most memory this process ever held, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10))


def _only_item(items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    (batch,) = items
    return batch


def first_line(problem: Exception) -> str:
    """An error in a few words, for a sentence about it."""
    words = getattr(problem, "strerror", None) or str(problem).strip()
    return words.splitlines()[0] if words else type(problem).__name__

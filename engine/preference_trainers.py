"""TRL's DPO and KTO trainers on rows that are tokens already, watched, stopped and saved as our own. Imported by the worker only.

The reference is the adapter as it was when the run began: what it gave each answer is computed once, before the first step,
and again from the same file when the run is resumed.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import torch
from datasets import Dataset
from peft import PeftModel
from safetensors import SafetensorError
from torch import Tensor
from transformers import (
    PreTrainedTokenizerFast,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
)
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DPOTrainer
from trl.trainer.kto_config import KTOConfig
from trl.trainer.kto_trainer import KTOTrainer

from engine.sft import NotFinite, NotSaved, Watch, first_line
from engine.training import TrainingConfig

Row = Mapping[str, Any]
"""DPO: prompt_ids, chosen_ids, rejected_ids. KTO: prompt_ids, completion_ids, label."""


class Watched(Trainer):
    """What any run of ours does beside learning."""

    watch: Watch

    def _prepare_dataset(self, dataset: Dataset, *_: Any) -> Dataset:
        """The rows are tokens already, from the one renderer, where TRL would write its own prompts."""
        return dataset

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Tensor:
        """Raises `NotFinite` before anything is learned from such a batch."""
        loss: Any = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        value = loss.item()
        if not math.isfinite(value):
            raise NotFinite(f"The loss became {value} at step {self.state.global_step + 1}. Lower the learning rate.")
        rows = len(inputs["input_ids"]) // (1 if "label" in inputs else 2)
        self.watch.saw(value, rows=rows, tokens=int(inputs["attention_mask"].sum()))
        assert isinstance(loss, Tensor)
        return loss

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """Left out: a checkpoint is ours, and an adapter has a card of ours."""

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        try:
            super()._save_checkpoint(model, trial)
        except (OSError, SafetensorError, RuntimeError) as problem:
            where = self.args.output_dir
            raise NotSaved(f"A checkpoint could not be saved in {where} ({first_line(problem)}).") from problem


class OnPairs(Watched, DPOTrainer):  # type: ignore[misc]
    """Rafailov et al. 2023, arXiv:2305.18290."""


class OnSingles(Watched, KTOTrainer):  # type: ignore[misc]
    """Ethayarajh et al. 2024, arXiv:2402.01306."""


class Rewards(TrainerCallback):
    """How far the answers have moved apart so far: the reward is beta times the gain in log probability over the reference."""

    NAMES: Mapping[str, str] = {"accuracy": "rewards/accuracies", "margin": "rewards/margins"}

    def __init__(self, latest: int) -> None:
        """`latest`: over how many steps the mean is taken, a pass over the rows."""
        self._latest, self._seen = latest, list[dict[str, float]]()

    def on_log(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """TRL hands its figures out once a step."""
        logs = kwargs.get("logs") or {}
        self._seen.append({name: logs[key] for name, key in self.NAMES.items() if key in logs})

    def means(self) -> dict[str, float]:
        """Of the last pass: accuracy (the share of pairs whose better answer gained more; DPO only) and margin."""
        found = {name: [seen[name] for seen in self._seen if name in seen][-self._latest :] for name in self.NAMES}
        return {name: round(sum(values) / len(values), 4) for name, values in found.items() if values}


def build(
    folder: Path, config: TrainingConfig, model: PeftModel, rows: Sequence[Row], tokenizer: Path, eos: str, watch: Watch
) -> tuple[Watched, Rewards]:
    """The trainer of the config's method over these rows, shuffled by its seed; the reference is read before it returns."""
    assert config.max_steps is not None
    order = Random(config.seed).sample(list(rows), len(rows))
    settings: dict[str, Any] = {
        "output_dir": str(folder),
        "max_steps": config.max_steps,
        "per_device_train_batch_size": config.batch_size,
        "learning_rate": config.learning_rate,
        "lr_scheduler_type": "cosine_with_min_lr",
        "lr_scheduler_kwargs": {"min_lr_rate": config.final_lr_share},
        "warmup_steps": min(config.warmup_steps, max(1, config.max_steps // 5)),
        "max_grad_norm": config.clip,
        "weight_decay": 0.0,
        "beta": config.beta,
        "max_length": None,  # rows too long were left out, and counted
        "precompute_ref_log_probs": True,
        "train_sampling_strategy": "sequential",  # a resumed run sees the rows it would have seen
        "logging_strategy": "steps",
        "logging_steps": 1,
        "save_strategy": "no",
        "save_total_limit": 1,
        "report_to": [],
        "disable_tqdm": True,
        "seed": config.seed,
        "use_cpu": not torch.cuda.is_available(),
        "bf16": False,
        "gradient_checkpointing": False,
        "dataloader_pin_memory": False,
    }
    words = PreTrainedTokenizerFast(tokenizer_file=str(tokenizer), eos_token=eos, pad_token=eos)  # type: ignore[no-untyped-call]
    rewards = Rewards(math.ceil(len(rows) / config.batch_size))
    kind: Any
    kind, arguments = (OnSingles, KTOConfig) if config.method == "kto" else (OnPairs, DPOConfig)
    if config.method == "kto":
        order = with_mismatched(order, config.batch_size)
    trainer: Watched = kind(
        model=model,
        args=arguments(**settings),
        train_dataset=Dataset.from_list([dict(row) for row in order]),
        processing_class=words,
        callbacks=[watch, rewards],
    )
    trainer.watch = watch
    trainer.remove_callback(PrinterCallback)
    model.delete_adapter("ref")  # TRL's copy of the adapter has said what it had to say, and must not be saved with it
    return trainer, rewards


def with_mismatched(rows: Sequence[Row], batch_size: int) -> list[Row]:
    """Each row with the answer of the row before it in its batch, from which KTO estimates how far the model has moved at all."""
    found: list[Row] = []
    for start in range(0, len(rows), batch_size):
        batch = rows[start : start + batch_size]
        found += [{**row, "KL_completion_ids": batch[n - 1]["completion_ids"]} for n, row in enumerate(batch)]
    return found

"""The worker of a training run: `python -m engine.train_lora RUN_FOLDER`. Reads the folder, trains, installs the adapter.

Everything it has to say goes into the folder: progress.json, metrics.jsonl, the log, checkpoints. A stop file or
SIGTERM ends it after the step at hand with a usable adapter; killed, it goes on from its last checkpoint when
started again in the same folder, with the losses it would have had.
"""

import gc
import json
import logging
import math
import os
import shutil
import sys
import traceback
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from peft import PeftModel
from safetensors import SafetensorError, safe_open
from transformers import Trainer, TrainerState

from engine import adapters
from engine.batches import TrainingRow, batches_per_epoch, encode_row, plan_batches
from engine.errors import InvalidInput, TouchstoneError, Unavailable
from engine.jobs import METRICS, Interruption, Progress, read_metrics
from engine.lora_model import FairClock, Number, base_folder, fastest, load_for_training
from engine.margins import refusal_margins
from engine.pace import Pace
from engine.prompts import load_chat_template, load_tokenizer, render
from engine.settings import Settings, go_quiet
from engine.sft import ALONE, RECENT_STEPS, NotFinite, NotSaved, Watch, build_trainer, first_line
from engine.shared_prefix import collate
from engine.tasks import task_named
from engine.teams import Team, Unheard
from engine.training import (
    PARENT,
    TrainingConfig,
    read_config,
    read_held_out,
    read_rows,
    resolved,
    steps_within,
    write_config,
)

CHECKPOINTS, BUILT, LAST_GOOD = "checkpoints", "built", "last_good"
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


def main(argv: Sequence[str]) -> int:
    """Run the training of one folder."""
    return work(argv, run)


def work(argv: Sequence[str], run: Callable[..., None]) -> int:
    """Whatever a run is: 0: done or stopped; 2: a reason the user can mend; 1: our bug, traceback in the log."""
    folder = Path(argv[0]).resolve()
    interruption = Interruption(folder)
    interruption.listen()
    return attempt(folder, interruption, run)


def attempt(folder: Path, interruption: Interruption, run: Callable[..., None]) -> int:
    """The same in a process that was not started for it, where signals are another's."""
    go_quiet()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    progress = Progress(folder) if os.environ.get("RANK", "0") == "0" else Unheard(folder)
    try:
        run(folder, progress, interruption, models_dir=Settings.read().models)
    except TouchstoneError as problem:
        LOGGER.error("%s", problem)
        progress.finish("failed", str(problem))
        return 2
    except Exception as problem:
        traceback.print_exc()
        progress.finish("failed", f"{type(problem).__name__}: {problem}. This is a fault of Touchstone; see the log.")
        return 1
    return 0


def run(folder: Path, progress: Progress, interruption: Interruption, *, models_dir: Path) -> None:
    """Train and install. Raises the engine's errors for what a person can mend."""
    team = Team.joined()
    prepared = team.first_the_leader(lambda: prepare(folder, progress, models_dir=models_dir))
    pace = Pace(prepared.config.threads, torch.set_num_threads)
    watch = Watch(folder, progress, interruption, steps=len(prepared.batches), pace=pace)
    trainer = build_trainer(
        folder / CHECKPOINTS, prepared.config, prepared.model, prepared.rows, prepared.batches, watch, team=team
    )
    if learn(folder, trainer, prepared, progress, interruption, team) and team.leads:
        install(folder, prepared, trainer.state, progress)


def learn(
    folder: Path,
    trainer: Trainer,
    prepared: Prepared,
    progress: Progress,
    interruption: Interruption,
    team: Team = ALONE,
) -> bool:
    """Take the steps, from the last checkpoint on; whether there is anything to install. Raises the engine's errors."""
    (checkpoint,) = team.told([last_checkpoint(folder)])
    if checkpoint and team.leads:
        _forget_points_after(folder, int(checkpoint.name.rpartition("-")[2]))
    if team.told([interruption.wanted])[0]:
        progress.finish("stopped", "Stopped before the first step. Resume the run to train.")
        return False
    progress.update(now=True, message="Training.", steps=trainer.args.max_steps)
    try:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    except NotFinite as problem:
        _save_peft(prepared.model, folder / LAST_GOOD)
        raise NotFinite(f"{problem} The last good weights are kept in {folder / LAST_GOOD}.") from problem
    except NotSaved as problem:
        _drop_broken_checkpoints(folder)
        raise Unavailable(f"{problem} Free some disk space, then resume the run.") from problem
    return True


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

    def load(dtype: Number) -> PeftModel:
        return load_for_training(base, config, dtype=dtype, parent=folder / PARENT if config.parent else None)

    if config.max_steps is None or config.dtype == "auto":
        progress.update(now=True, message="Timing a few steps.")
        trial = fastest(load, _typical_batch(rows, config), candidates=_candidates(config), clock=clock)
        per_epoch = batches_per_epoch(rows, batch_size=config.batch_size, statement_share=config.statement_share)
        steps = steps_within(config, batches_per_epoch=per_epoch, step_s=trial.step_s, spent_s=clock())
        config = resolved(config, max_steps=steps, dtype=trial.dtype)
        write_config(folder, config)
        LOGGER.info(
            "%d steps of about %.2f s in %s; %d steps are one pass.", steps, trial.step_s, trial.dtype, per_epoch
        )
        progress.update(
            now=True, steps=steps, eta_s=round(steps * trial.step_s), dtype=trial.dtype, steps_per_pass=per_epoch
        )
        del trial
        gc.collect()
    assert config.max_steps is not None and config.dtype != "auto"
    # The model is read again: a run whose config was resolved already never timed a step, and must start the same.
    model = load(config.dtype)
    batches = plan_batches(
        rows,
        batch_size=config.batch_size,
        statement_share=config.statement_share,
        seed=config.seed,
        steps=config.max_steps,
    )
    return Prepared(config, base, model, rows, batches, left_out)


def encode_rows(folder: Path, base: Path, config: TrainingConfig) -> tuple[list[TrainingRow], int]:
    """The run's rows as tokens, and how many were left out for their length."""
    template, tokenizer = load_chat_template(base), load_tokenizer(base / "tokenizer.json")
    eos_id = tokenizer.token_to_id(template.eos) if template.eos else None
    if eos_id is None:
        raise InvalidInput(f"The tokenizer in {base} names no end-of-turn token. Choose an instruction-tuned base.")
    limit = longest_row(base, config)
    every = [encode_row(row, template=template, tokenizer=tokenizer, eos_id=eos_id) for row in read_rows(folder)]
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


def measured_refusals(folder: Path, prepared: Prepared) -> dict[str, Any] | None:
    """
    The card's word on when the adapter refuses: the refusal's first token, and the margins of the held-out questions.

    In hundredths of a nat. None where the run has no held-out questions short enough, or their task no refusal.
    """
    rows = read_held_out(folder)
    refusal = task_named(rows[0]["task"]).refusal if rows else ""
    template, tokenizer = load_chat_template(prepared.base), load_tokenizer(prepared.base / "tokenizer.json")
    answer = tokenizer.encode(refusal, add_special_tokens=False).ids
    if not answer:
        return None
    limit = longest_row(prepared.base, prepared.config) - len(answer)
    prompts: dict[str, list[tuple[int, ...]]] = {"answerable": [], "unanswerable": []}
    for row in rows:
        prompt = tokenizer.encode(render(row["messages"], template=template), add_special_tokens=False).ids
        if len(prompt) <= limit:
            prompts[row["kind"]].append(tuple(prompt))
    if not any(prompts.values()):
        return None
    margins = {
        kind: [round(margin, 2) for margin in refusal_margins(prepared.model, found, answer[0])]
        for kind, found in prompts.items()
    }
    return {"task": rows[0]["task"], "token": answer[0], **margins}


def install(
    folder: Path, prepared: Prepared, state: TrainerState, progress: Progress, *, also: Mapping[str, Any] | None = None
) -> None:
    """
    Save the adapter, convert it for the server, give it its name, say so. Raises `Unavailable` on a full disk.

    `also`: what else its card is to say.
    """
    config, stopped = prepared.config, state.global_step < state.max_steps
    progress.update(now=True, message="Saving the adapter.", eta_s=None)
    built = folder / BUILT
    shutil.rmtree(built, ignore_errors=True)
    try:
        _save_peft(prepared.model, built)
        adapters.to_gguf(built, prepared.base / "config.json", built / adapters.GGUF)
    except (OSError, SafetensorError) as problem:
        shutil.rmtree(built, ignore_errors=True)
        raise Unavailable(
            f"The adapter {config.adapter} could not be saved in {folder} ({first_line(problem)}). "
            "Free some disk space, then resume the run."
        ) from problem
    points = read_metrics(folder)
    card = {
        "base": config.base,
        "dataset": config.dataset,
        "run": folder.name,
        "config": asdict(config),
        "counts": {
            "rows": len(prepared.rows),
            "statements": sum(row.is_statement for row in prepared.rows),
            "left_out": prepared.left_out,
            "rows_seen": points[-1].get("rows", 0) if points else 0,
        },
        "steps": state.global_step,
        "planned_steps": state.max_steps,
        "final_loss": round(fmean(point["loss"] for point in points[-RECENT_STEPS:]), 4) if points else None,
        "minutes": round(sum(point.get("seconds", 0.0) for point in points) / 60, 2),
        "stopped": stopped,
        **(also or {}),
    }
    progress.update(now=True, message="Measuring when it refuses.")
    if refusals := measured_refusals(folder, prepared):
        card["refusal"] = refusals
    (folder / "card.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    _install_over_own(folder, built, config.adapter, card)
    if stopped:
        progress.finish("stopped", f"Stopped at step {state.global_step} of {state.max_steps}; the adapter is usable.")
    else:
        shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
        progress.finish(
            "done", f"The adapter {config.adapter} is ready.", step=state.global_step, final_loss=card["final_loss"]
        )


def last_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that is whole; a half-written one, left by a kill, is passed over."""
    found = (folder / CHECKPOINTS).glob("checkpoint-*")
    newest_first = sorted(found, key=lambda path: int(path.name.rpartition("-")[2]), reverse=True)
    return next((path for path in newest_first if _is_whole(path)), None)


def _install_over_own(folder: Path, built: Path, name: str, card: Mapping[str, Any]) -> None:
    """
    A resumed run replaces the adapter that it left when it was stopped; anybody else's is refused by install.

    What a person chose for the old one stands for the new one.
    """
    home = folder.parent.parent / "adapters"
    aside = home / f".{name}.{folder.name}"
    shutil.rmtree(aside, ignore_errors=True)
    card_path = home / name / adapters.CARD
    if card_path.is_file() and json.loads(card_path.read_text(encoding="utf-8")).get("run") == folder.name:
        (home / name).rename(aside)
    try:
        adapters.install_adapter(built, home, name, card)
    except TouchstoneError:
        if aside.exists():
            aside.rename(home / name)
        raise
    if (aside / adapters.SETTING).is_file():
        (aside / adapters.SETTING).replace(home / name / adapters.SETTING)
    shutil.rmtree(aside, ignore_errors=True)


def _save_peft(model: PeftModel, folder: Path) -> None:
    """The adapter alone, in PEFT's format; the base's embeddings are frozen and stay out of it."""
    model.save_pretrained(str(folder), save_embedding_layers=False)


def _candidates(config: TrainingConfig) -> list[Number]:
    if config.dtype != "auto":
        return [config.dtype]
    return ["bfloat16"] if torch.cuda.is_available() else ["float32", "bfloat16"]


def _typical_batch(rows: Sequence[TrainingRow], config: TrainingConfig) -> dict[str, Any]:
    """The middle one by tokens of the first batches that the run will see."""
    plan = plan_batches(
        rows, batch_size=config.batch_size, statement_share=config.statement_share, seed=config.seed, steps=31
    )
    by_size = sorted(plan, key=lambda batch: sum(len(rows[n]) for n in batch))
    return collate([rows[n] for n in by_size[len(by_size) // 2]])


def _forget_points_after(folder: Path, step: int) -> None:
    """What was logged after the checkpoint happens again."""
    kept = [json.dumps(point) + "\n" for point in read_metrics(folder) if point.get("step", 0) <= step]
    draft = folder / f".{METRICS}"
    draft.write_text("".join(kept), encoding="utf-8")
    draft.replace(folder / METRICS)


def _is_whole(checkpoint: Path) -> bool:
    try:
        json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
        with safe_open(checkpoint / adapters.WEIGHTS, framework="pt"):
            states = list(checkpoint.glob("rng_state*.pth"))  # one of each process
            files = [checkpoint / "optimizer.pt", checkpoint / "scheduler.pt", *states]
            return bool(states) and all(zipfile.is_zipfile(file) for file in files)
    except (OSError, ValueError, SafetensorError):
        return False


def _drop_broken_checkpoints(folder: Path) -> None:
    for checkpoint in (folder / CHECKPOINTS).glob("checkpoint-*"):
        if not _is_whole(checkpoint):
            shutil.rmtree(checkpoint, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

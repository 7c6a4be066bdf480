"""The worker of a training run: `python -m engine.train_lora RUN_FOLDER`. Reads the folder, trains, installs the adapter.

Everything it has to say goes into the folder: progress.json, metrics.jsonl, probes.jsonl, the log, checkpoints. A stop file or
SIGTERM ends it after the step at hand with a usable adapter; killed, it goes on from its last checkpoint when
started again in the same folder, with the losses it would have had. With `--estimate` it only says what the run would take.
"""

import logging
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from transformers import Trainer

from engine.checkpoints import (
    CHECKPOINTS,
    broken_checkpoints,
    drop_broken_checkpoints,
    go_back_to,
    last_checkpoint,
    step_of,
)
from engine.errors import TouchstoneError, Unavailable
from engine.estimates import ONLY
from engine.jobs import Interruption, Progress
from engine.pace import Pace
from engine.probes import EVERYDAY_ANSWERS
from engine.probing import EVERYDAY_ANSWER, Asker, ask_everyday
from engine.run_end import finish, save_peft
from engine.run_start import Prepared, is_short, prepare
from engine.settings import Settings, go_quiet
from engine.sft import NotFinite, NotSaved, TooLarge, Watch, build_trainer, probe_fields
from engine.teams import Team, Unheard
from engine.training import trial_steps

LAST_GOOD = "last_good"
LOGGER = logging.getLogger("engine.train_lora")


def main(argv: Sequence[str]) -> int:
    """Run the training of one folder. 0: done or stopped; 2: a reason the user can mend; 1: our bug, traceback in the log."""
    return work(argv, only_prepare if ONLY in argv else run)


def work(argv: Sequence[str], do: Callable[..., None]) -> int:
    """The same for whatever is to be done in the folder."""
    folder = Path(argv[0]).resolve()
    interruption = Interruption(folder)
    interruption.listen()
    return attempt(folder, interruption, do)


def attempt(folder: Path, interruption: Interruption, do: Callable[..., None]) -> int:
    """The same in a process that was not started for it, where signals are another's."""
    go_quiet()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    progress = Progress(folder) if os.environ.get("RANK", "0") == "0" else Unheard(folder)
    try:
        do(folder, progress, interruption, models_dir=Settings.read().models)
    except TouchstoneError as problem:
        LOGGER.error("%s", problem)
        progress.finish("failed", str(problem))
        return 2
    except Exception as problem:
        traceback.print_exc()
        progress.finish("failed", f"{type(problem).__name__}: {problem}. This is a fault of Touchstone; see the log.")
        return 1
    return 0


def only_prepare(folder: Path, progress: Progress, interruption: Interruption, *, models_dir: Path) -> None:
    """What a run would take is written down on the way to its first step."""
    prepare(folder, progress, models_dir=models_dir)


def run(folder: Path, progress: Progress, interruption: Interruption, *, models_dir: Path) -> None:
    """Train and install. Raises the engine's errors for what a person can mend."""
    team = Team.joined()
    (checkpoint,) = team.told([go_on_from(folder) if team.leads else None])
    prepared = team.first_the_leader(lambda: prepare(folder, progress, models_dir=models_dir))
    config, steps = prepared.config, len(prepared.batches)
    if team.told([interruption.wanted])[0]:
        progress.finish("stopped", "Stopped before the first step. Resume the run to train.")
        return
    asks = team.leads and config.everyday and not is_short(config) and not config.four_bit
    if asks and not (folder / EVERYDAY_ANSWERS).is_file():
        progress.update(now=True, message="Asking everyday questions, to see later what was forgotten.")
        ask_everyday(folder, prepared.model, Asker(prepared.base, max_tokens=EVERYDAY_ANSWER), when="before")
    watch = Watch(
        folder,
        progress,
        interruption,
        steps=steps,
        pace=Pace(config.threads, torch.set_num_threads),
        prober=prepared.prober,
        save=save_peft,
        pause_at=trial_steps(config),
    )
    trainer = build_trainer(
        folder / CHECKPOINTS, config, prepared.model, prepared.rows, prepared.batches, watch, team=team
    )
    progress.update(now=True, message="Training.", steps=steps, **probe_fields(prepared.prober.latest))
    learn(folder, trainer, prepared, checkpoint)
    if team.leads:
        finish(folder, prepared, trainer.state, progress)


def learn(folder: Path, trainer: Trainer, prepared: Prepared, checkpoint: Path | None) -> None:
    """Take the steps, from the checkpoint on. Raises the engine's errors for what a person can mend."""
    try:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    except NotFinite as problem:
        save_peft(prepared.model, folder / LAST_GOOD)
        raise NotFinite(f"{problem} The last good weights are kept in {folder / LAST_GOOD}.") from problem
    except NotSaved as problem:
        drop_broken_checkpoints(folder)
        raise Unavailable(f"{problem} Free some disk space, then resume the run.") from problem
    except TooLarge as problem:
        raise Unavailable(str(problem)) from problem


def go_on_from(folder: Path) -> Path | None:
    """The checkpoint to go on from, the run's records cut back to it; None: from the beginning. Says when one is damaged."""
    checkpoint, broken = last_checkpoint(folder), broken_checkpoints(folder)
    if broken:
        where = f"step {step_of(checkpoint)}" if checkpoint else "the beginning"
        LOGGER.warning("The checkpoint %s is damaged or half written. Going on from %s.", broken[0].name, where)
        drop_broken_checkpoints(folder)
    go_back_to(folder, step_of(checkpoint) if checkpoint else 0)
    return checkpoint


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""`app.py train`: fine-tune in a detached process and watch it; what it will take, a trial first, the samples it ends with."""

import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

from engine import jobs
from engine.records import Job
from engine.training import TrainingConfig, with_preset
from engine.workspace import Workspace
from ui.commands import watch_job
from ui.preferences import started_on_votes
from ui.runs import SAMPLE_HEAD, best_and_worst, card_of, everyday_words, samples_of
from ui.terminal import Screen

CELL = 40


def train(workspace: Workspace, options: Namespace, screen: Screen) -> dict[str, Any]:
    """Fine-tune and watch; Ctrl-C keeps what is learned. With --estimate only say what it would take."""
    config = _config(options)
    if options.estimate:
        screen.say("Timing a few steps …")
        found = workspace.estimate(config, options.parent or "")
        screen.say(str(found))
        return {"estimate": {**found.__dict__, "fits": found.fits}}
    if config.method != "sft":
        job = started_on_votes(workspace, config, options.parent or "", screen)
    else:
        job = workspace.update(config, options.parent) if options.parent else workspace.train(config)
    screen.say(f"{job.title}, as job {job.id}. Ctrl-C stops it and keeps what is learned.")
    ended = _watched(job, screen)
    if options.trial and ended["state"] == "stopped":
        ended = _after_the_trial(job, ended, screen)
    return ended


def _config(options: Namespace) -> TrainingConfig:
    """The settings that were given; a switch that was not leaves the preset's."""
    extra: dict[str, Any] = {"max_steps": options.max_steps} if options.max_steps else {}
    if options.no_general_probe:
        extra["everyday"] = False
    if options.no_probe:
        extra["probe"] = False
    return with_preset(
        options.preset,
        adapter=options.adapter,
        dataset=options.dataset,
        base=options.base,
        seed=options.seed,
        method=options.method,
        mode=options.mode,
        launcher=options.launcher,
        workers=options.workers,
        accelerate_config=options.accelerate_config and str(Path(options.accelerate_config).resolve()),
        trial=options.trial,
        four_bit=options.four_bit,
        gradient_checkpointing=options.gradient_checkpointing,
        **extra,
    )


def _watched(job: Job, screen: Screen) -> dict[str, Any]:
    """Follow it to its end and say what it learned."""
    ended = watch_job(job, screen)
    folder = Path(job.folder)
    if estimate := ended["progress"].get("estimate"):
        screen.say(f"Estimated before it began: {estimate}")
    if rows := best_and_worst(samples_of(job)):
        screen.table([[_short(cell) for cell in row] for row in rows], head=SAMPLE_HEAD)
    card = card_of(jobs.read_job(folder))
    if said := everyday_words(card):
        screen.say(said)
    return {**ended, "kept": card.get("kept"), "everyday": card.get("everyday")}


def _after_the_trial(job: Job, ended: dict[str, Any], screen: Screen) -> dict[str, Any]:
    """Somebody who sits there is asked whether it goes on; else the command that does it is named."""
    if not sys.stdin.isatty():
        screen.say(f"Go on with: app.py jobs resume {job.id}")
        return ended
    screen.say("Go on with the whole run? [y/N]")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        screen.say(f"Later, go on with: app.py jobs resume {job.id}")
        return ended
    return _watched(jobs.resume(Path(job.folder)), screen)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= CELL else f"{line[: CELL - 1]}…"

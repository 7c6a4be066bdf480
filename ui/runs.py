"""What training runs say of themselves, as sentences, rows and points of plots: for the Train tab and the command line."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import pandas as pd

from engine.adapters import CARD
from engine.errors import InvalidInput
from engine.jobs import read_metrics
from engine.probes import Sample, probe_items, read_probes, samples
from engine.records import Job
from engine.training import read_config, read_held_out
from ui.tables import SMOOTH_STEPS, when

RUN_HEAD = ["Run", "State", "Adapter", "Steps", "Loss", "Held-out questions", "Started"]
SAMPLE_HEAD = ["Now", "Question", "Before training", "Latest answer", "Should say"]
FORGOTTEN_HEAD = ["Question", "Before training", "After it"]
SHOWN = 5
MOST_POINTS = 400
"""Of a line; a page has no more pixels for them."""
LINES = {"right": "right answers", "rightly_refused": "right refusals", "falsely_refused": "false refusals"}
CURVES = {"loss": "Loss", "lr": "Learning rate", "tokens_per_s": "Tokens a second", "mib": "Memory, MiB"}


def run_rows(jobs: Sequence[Job]) -> list[list[str]]:
    """Training runs, newest first, with what came of them."""
    return [
        [
            job.id,
            job.state,
            job.title,
            f"{job.progress.get('step', 0)} of {job.progress.get('steps', '?')}",
            f"{loss:.3f}" if (loss := job.progress.get("loss")) is not None else "",
            str(job.progress.get("verdict") or job.progress.get("probe") or ""),
            when(job.created_at),
        ]
        for job in jobs
    ]


def in_words(job: Job) -> str:
    """One line on a run: where it is, how fast, how long still, or how it ended."""
    said = job.progress
    if job.state == "died":
        return f"{job.title}: its process is gone without a last word. Resume it, or start again."
    if job.state != "running":
        return f"{job.title}: {job.state}. {said.get('message', '')}"
    if not said.get("steps"):
        return f"{job.title}. {said.get('message', '')}"
    return ", ".join([f"{job.title}: step {said.get('step', 0)} of {said['steps']}", *numbers(said)]) + (
        f". {said['message']}" if said.get("message") else ""
    )


def numbers(said: Mapping[str, Any]) -> list[str]:
    """Loss, speed, memory, time left and the latest probe, as far as a run has them yet."""
    parts = {
        "loss": lambda value: f"loss {value:.3f}",
        "lr": lambda value: f"rate {value:.1e}",
        "tokens_per_s": lambda value: f"{value:.0f} tokens/s",
        "mib": lambda value: f"{value:,} MiB",
        "probe": lambda value: f"held out: {value}",
        "eta_s": lambda value: f"about {_minutes(value)} left",
    }
    return [word(said[name]) for name, word in parts.items() if said.get(name) is not None]


def curve_points(runs: Sequence[Job], field: str) -> pd.DataFrame:
    """One of CURVES by step, a line a run; the loss averaged over the last steps, because single batches jump."""
    lines: list[tuple[int, float, str]] = []
    for job in runs:
        found = [(int(row["step"]), float(row[field])) for row in _metrics(job) if row.get(field) is not None]
        if field == "loss":
            found = [
                (step, round(fmean(loss for _, loss in found[max(0, n - SMOOTH_STEPS + 1) : n + 1]), 4))
                for n, (step, _) in enumerate(found)
            ]
        every = max(1, len(found) // MOST_POINTS)
        lines += [(step, value, _name(job)) for step, value in found[::-1][::every][::-1]]
    return pd.DataFrame(lines, columns=["step", field, "run"])


def probe_points(runs: Sequence[Job]) -> pd.DataFrame:
    """The probes by step: what one run got right and wrong, or the scores of several."""
    lines: list[tuple[int, int, str]] = []
    for job in runs:
        for probe in read_probes(Path(job.folder)):
            if len(runs) > 1:
                lines.append((probe.step, probe.score, _name(job)))
            else:
                lines += [(probe.step, getattr(probe, field), line) for field, line in LINES.items()]
    return pd.DataFrame(lines, columns=["step", "questions", "line"])


def samples_of(job: Job) -> list[Sample]:
    """The probe's questions with the answers of the untouched model and of the latest checkpoint; none without a probe."""
    folder = Path(job.folder)
    try:
        config = read_config(folder)
    except InvalidInput:
        return []
    items = probe_items(read_held_out(folder), seed=config.seed, most=config.probe_questions)
    return samples(items, read_probes(folder))


def best_and_worst(found: Sequence[Sample]) -> list[list[str]]:
    """Rows of the first right and the last wrong answers."""
    right, wrong = [row for row in found if row.right], [row for row in found if not row.right]
    return [
        ["right" if row.right else "wrong", row.question, row.before, row.after, row.gold]
        for row in (*right[:SHOWN], *wrong[:SHOWN])
    ]


def forgotten_rows(card: Mapping[str, Any]) -> list[list[str]]:
    """Everyday questions that were answered right before training only."""
    return [[row["question"], row["before"], row["after"]] for row in card.get("everyday", {}).get("lost", [])]


def everyday_words(card: Mapping[str, Any]) -> str:
    """What was forgotten, in a sentence; "" where it was not asked."""
    found = card.get("everyday")
    if not found:
        return ""
    return (
        f"Of {found['of']} everyday questions that no policy answers, {found['before']} were answered right before training "
        f"and {found['after']} after it."
    )


def card_of(job: Job) -> Mapping[str, Any]:
    """The card in a run's folder; empty while there is none."""
    try:
        card = json.loads((Path(job.folder) / CARD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return card if isinstance(card, dict) else {}


def _metrics(job: Job) -> list[dict[str, Any]]:
    return read_metrics(Path(job.folder))


def _name(job: Job) -> str:
    """Short enough for a legend, and telling two runs of one title apart."""
    return f"{job.title.removeprefix('Training ')} ({job.id[-4:]})"


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"

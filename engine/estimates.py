"""What a run will take, said before it starts: measured by a few real steps in a process of its own. Imports no torch."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engine.errors import InvalidInput, Unavailable
from engine.jobs import LOG, PROGRESS
from engine.settings import PROJECT
from engine.training import TrainingConfig, check_rows, worker_environment, write_inputs

ESTIMATE = "estimate.json"
ONLY = "--estimate"
TIMEOUT_S = 900.0


@dataclass(frozen=True)
class Estimate:
    """A run in numbers, from a timed step of each kind on this machine."""

    rows: int
    left_out: int  # too long
    tokens: int  # of a pass over the rows
    steps: int
    steps_a_pass: int
    minutes: float  # everything from loading to the adapter
    step_s: float
    probe_s: float
    probe_every: int  # steps; 0: nothing is held out
    dtype: str
    peak_mib: int
    room_mib: int  # what there is

    @property
    def fits(self) -> bool:
        """Whether the step with the most tokens fits into memory."""
        return self.peak_mib <= self.room_mib

    def __str__(self) -> str:
        probes = f", held-out questions every {self.probe_every} steps" if self.probe_every else ""
        room = "" if self.fits else ": it does not fit, and smaller parts of a batch will be tried"
        return (
            f"{self.rows:,} rows, {self.tokens:,} tokens a pass, {self.steps:,} steps of {self.step_s:.2f} s "
            f"({self.steps / self.steps_a_pass:.1f} passes{probes}): about {_minutes(self.minutes)} in {self.dtype}, at most "
            f"{self.peak_mib:,} MiB of memory of the {self.room_mib:,} there are{room}."
        )


def write_estimate(folder: Path, found: Estimate) -> None:
    """Into the run's folder. Raises OSError when the disk refuses."""
    (folder / ESTIMATE).write_text(json.dumps(asdict(found)) + "\n", encoding="utf-8")


def read_estimate(folder: Path) -> Estimate | None:
    """A run's; None where none was made."""
    try:
        return Estimate(**json.loads((folder / ESTIMATE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def estimate_run(
    config: TrainingConfig,
    rows: Sequence[Mapping[str, Any]],
    *,
    held_out: Sequence[Mapping[str, Any]] = (),
    parent: Path | None = None,
    models_dir: Path,
) -> Estimate:
    """
    Time the run's first steps without training it; some twenty seconds for the embedded model. Nothing is left behind.

    Raises `InvalidInput` for whatever would fail the run before its first step, `Unavailable` when it takes over a
    quarter of an hour or the process dies.
    """
    check_rows(rows)
    with tempfile.TemporaryDirectory(prefix="estimate-") as place:
        folder = Path(place)
        write_inputs(folder, config, rows, held_out=held_out, parent=parent)
        try:
            done = subprocess.run(
                [sys.executable, "-m", "engine.train_lora", str(folder), ONLY],
                cwd=PROJECT,
                env=os.environ | worker_environment(models_dir, threads=config.threads),
                stdin=subprocess.DEVNULL,
                stdout=(folder / LOG).open("wb"),
                stderr=subprocess.STDOUT,
                timeout=TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise Unavailable(
                "A few steps of this training take over a quarter of an hour here. Choose a smaller base, or another machine."
            ) from None
        found = read_estimate(folder)
        if found is not None and done.returncode == 0:
            return found
        said = _message(folder)
    if done.returncode == 2:
        raise InvalidInput(said)
    raise Unavailable(f"The training could not be timed ({said}). Run: app.py doctor")


def _message(folder: Path) -> str:
    try:
        said = json.loads((folder / PROGRESS).read_text(encoding="utf-8"))
        return str(said.get("message", "")) if said.get("state") == "failed" else "its process ended without a word"
    except (OSError, ValueError):
        return "its process ended without a word"


def _minutes(minutes: float) -> str:
    return f"{60 * minutes:.0f} s" if minutes < 1.5 else f"{minutes:.0f} minutes"

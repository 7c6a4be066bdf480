"""Where a run can go on from: its newest checkpoint that is whole, and its records cut back to it. Imported by the worker only."""

import json
import shutil
import zipfile
from pathlib import Path

from safetensors import SafetensorError, safe_open

from engine.adapters import WEIGHTS
from engine.jobs import METRICS, read_metrics
from engine.probes import forget_probes_after

CHECKPOINTS = "checkpoints"
KEPT = 2
"""The newest, and the one before it for when that turns out damaged."""


def last_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that is whole; a half-written one, left by a kill, and a damaged one are passed over."""
    return next((path for path in _newest_first(folder) if _is_whole(path)), None)


def broken_checkpoints(folder: Path) -> list[Path]:
    """Those that cannot be gone on from."""
    return [path for path in _newest_first(folder) if not _is_whole(path)]


def drop_broken_checkpoints(folder: Path) -> None:
    """Give their room back."""
    for checkpoint in broken_checkpoints(folder):
        shutil.rmtree(checkpoint, ignore_errors=True)


def go_back_to(folder: Path, step: int) -> None:
    """What was logged and asked after the checkpoint happens again."""
    kept = [json.dumps(point) + "\n" for point in read_metrics(folder) if point.get("step", 0) <= step]
    draft = folder / f".{METRICS}"
    draft.write_text("".join(kept), encoding="utf-8")
    draft.replace(folder / METRICS)
    forget_probes_after(folder, step)


def step_of(checkpoint: Path) -> int:
    """The step it was saved after."""
    return int(checkpoint.name.rpartition("-")[2])


def _newest_first(folder: Path) -> list[Path]:
    return sorted((folder / CHECKPOINTS).glob("checkpoint-*"), key=step_of, reverse=True)


def _is_whole(checkpoint: Path) -> bool:
    """Every file is there and reads to its end; torch's own are zip archives whose entries carry a checksum."""
    try:
        json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
        with safe_open(checkpoint / WEIGHTS, framework="pt"):
            return all(
                _reads(path)
                for name in ("optimizer.pt", "scheduler.pt", "rng_state*.pth")
                for path in list(checkpoint.glob(name)) or [checkpoint / name]
            )
    except (OSError, ValueError, SafetensorError):
        return False


def _reads(archive: Path) -> bool:
    try:
        with zipfile.ZipFile(archive) as entries:
            return entries.testzip() is None
    except (OSError, zipfile.BadZipFile):
        return False

"""Past one process: the command that starts a run on this machine alone, by `accelerate launch`, or on a Ray cluster. No torch.

The job's process is `python -m engine.launchers FOLDER`: it starts the user's launcher, waits, and passes nothing on but the
end. That somebody wants the run to stop stands in its folder, so the workers finish their step and save; a launcher that
hears SIGTERM would give them thirty seconds.
"""

import ctypes
import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from engine.errors import InvalidInput, TouchstoneError, Unavailable
from engine.jobs import FINAL, PROGRESS, Progress, read_job
from engine.settings import PROJECT
from engine.training import TrainingConfig, read_config

PR_SET_PDEATHSIG = 1


def check(config: TrainingConfig) -> None:
    """Raises InvalidInput or Unavailable, before anything is started, for a launcher that cannot be used so."""
    if config.launcher == "local":
        return
    if config.method != "sft":
        raise InvalidInput(f"{config.method.upper()} runs in one process. Leave --launcher out.")
    if config.launcher == "accelerate" and config.accelerate_config and not Path(config.accelerate_config).is_file():
        raise InvalidInput(
            f"There is no accelerate config {config.accelerate_config}. Make one with: accelerate config --config_file FILE"
        )
    if config.launcher == "ray" and importlib.util.find_spec("ray") is None:
        raise Unavailable(
            "Ray is not installed here. Install it with: .venv/bin/pip install -r requirements-ray.txt, on every node."
        )


def command(config: TrainingConfig, folder: Path) -> list[str]:
    """What runs the worker in as many processes as the launcher says."""
    if config.launcher == "ray":
        return [sys.executable, "-m", "engine.launch_ray", str(folder)]
    chosen = ["--config_file", config.accelerate_config] if config.accelerate_config else []
    worker = ["--module", "engine.train_lora", str(folder)]
    return [sys.executable, "-m", "accelerate.commands.launch", *chosen, *worker]


def main(argv: Sequence[str]) -> int:
    """Start the launcher and wait for it; what went wrong before a worker could say so is said here."""
    folder = Path(argv[0]).resolve()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the stop file is read by the workers
    progress = Progress(folder)
    try:
        done = subprocess.run(command(read_config(folder), folder), cwd=PROJECT, preexec_fn=_end_with_me, check=False)
    except TouchstoneError as problem:
        progress.finish("failed", str(problem))
        return 2
    if done.returncode and _said(folder) not in FINAL:
        last = next((line for line in reversed(read_job(folder).log_tail) if line.strip()), "it said nothing")
        progress.finish(
            "failed", f"The launcher ended with status {done.returncode}: {last} See the log, then resume the run."
        )
    return done.returncode


def _said(folder: Path) -> str:
    return str(json.loads((folder / PROGRESS).read_text(encoding="utf-8")).get("state", ""))


def _end_with_me() -> None:
    """On Linux, the launcher is asked to end when this process is killed; it takes its workers along."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() == 1:
            os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

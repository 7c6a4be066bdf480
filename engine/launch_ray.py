"""A run on a Ray cluster: `python -m engine.launch_ray RUN_FOLDER` is the driver; Ray Train starts the workers.

The cluster is the one of RAY_ADDRESS, or the one this machine belongs to, or a new one on this machine alone. Every node
needs this code, its packages, and the workspace at the same path (a shared file system): the workers read and write the run's
folder themselves, so progress, stop and resume are those of any run.
"""

import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.errors import TouchstoneError, Unavailable
from engine.jobs import Progress
from engine.settings import PROJECT, Settings
from engine.training import CONFIG, TrainingConfig, read_config, worker_environment

UNUSED = ("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "RAY_TRAIN_METRICS_ENABLED")
"""What Ray Train would start a process for, or send to its dashboard, beside the training."""


def main(argv: Sequence[str]) -> int:
    """Exit status as the worker's; a cluster that cannot be had fails the run with a sentence."""
    folder = Path(argv[0]).resolve()
    progress = Progress(folder)
    try:
        config = read_config(folder)
        progress.update(now=True, message=f"Waiting for {config.workers} workers of the Ray cluster.")
        fit(folder, config)
    except TouchstoneError as problem:
        progress.finish("failed", str(problem))
        return 2
    return 0


def fit(folder: Path, config: TrainingConfig) -> None:
    """Start the workers and wait for the last. Raises Unavailable where the cluster cannot be had or has too little."""
    import ray
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    os.environ |= dict.fromkeys(UNUSED, "0")
    there = {**worker_environment(Settings.read().models, threads=config.threads), "PYTHONPATH": str(PROJECT)}
    try:
        ray.init(runtime_env={"env_vars": there}, logging_level=logging.WARNING, include_dashboard=False)
    except (ConnectionError, RuntimeError, ValueError) as problem:
        reason = str(problem).strip().splitlines()[0]
        raise Unavailable(f"The Ray cluster cannot be had ({reason}). Start it, or check RAY_ADDRESS.") from problem
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # ray.init makes it the end of the driver, and so of its workers
    try:
        has = ray.cluster_resources()  # type: ignore[no-untyped-call]
        on_gpus = has.get("GPU", 0) >= config.workers
        if not on_gpus and has.get("CPU", 0) < config.workers:
            raise Unavailable(
                f"The Ray cluster has {has.get('CPU', 0):.0f} processors for {config.workers} workers. Ask for fewer: --workers."
            )
        trainer = TorchTrainer(
            take_part,
            train_loop_config={"folder": str(folder)},
            scaling_config=ScalingConfig(num_workers=config.workers, use_gpu=on_gpus),
            run_config=RunConfig(name="ray", storage_path=str(folder)),
        )
        trainer.fit()
    finally:
        ray.shutdown()


def take_part(given: dict[str, Any]) -> None:
    """One worker: Ray has told torch who it is."""
    from engine.jobs import Interruption
    from engine.train_lora import attempt, run

    folder = Path(given["folder"])
    if not (folder / CONFIG).is_file():
        raise Unavailable(
            f"{os.uname().nodename} does not see {folder}. Put the workspace on storage that all nodes share."
        )
    if attempt(folder, Interruption(folder), run):
        raise RuntimeError(f"A worker on {os.uname().nodename} failed; the log above says why.")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Who a process is, whether it still works, and one start at a time: what the kernel knows of jobs."""

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from engine.errors import Unavailable

LOCK = ".lock"


def alive(owner: Mapping[str, Any]) -> bool:
    """Whether that very process works: the same pid, born at the same moment, and no zombie."""
    try:
        process = psutil.Process(int(owner["pid"]))
        return bool(process.status() != psutil.STATUS_ZOMBIE and born(process.pid) == owner["born"])
    except (KeyError, psutil.Error):
        return False


def born(pid: int) -> str | None:
    """
    When a process began, in a form that a clock set back cannot change; None when it is gone.

    On Linux the boot's id and the ticks since then (proc(5), field 22); elsewhere psutil's seconds since 1970.
    """
    stat = Path(f"/proc/{pid}/stat")
    try:
        if not Path("/proc/self/stat").exists():
            return f"{psutil.Process(pid).create_time():.2f}"
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{stat.read_text(encoding='utf-8', errors='replace').rpartition(')')[2].split()[19]}"
    except (OSError, psutil.Error):
        return None


@contextmanager
def locked(runs: Path) -> Iterator[int]:
    """One start at a time. The kernel lets go when the holder dies, so a crash never blocks the next start."""
    try:
        runs.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(runs / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as problem:
        raise Unavailable(
            f"{runs} cannot be written ({problem.strerror}). Choose another workspace with --workspace."
        ) from problem
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def is_locked(runs: Path) -> bool:
    """Whether somebody is starting a job there."""
    try:
        descriptor = os.open(runs / LOCK, os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False

"""How much memory a training step takes and what there is of it, on a processor or a GPU. Imported by the worker only."""

import gc
import os
import resource
import sys
from pathlib import Path

import psutil
import torch

LIMITS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)
SAYS_SO = ("out of memory", "not enough memory", "can't allocate memory", "cannot allocate memory")
MIB = 2**20


def peak_mib() -> int:
    """The most memory this process ever held, in MiB: the GPU's where one computes."""
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_reserved()) // MIB
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (MIB if sys.platform == "darwin" else 2**10))


def held_mib() -> int:
    """What it holds now."""
    if torch.cuda.is_available():
        return int(torch.cuda.memory_reserved()) // MIB
    return int(psutil.Process(os.getpid()).memory_info().rss) // MIB


def room_mib() -> int:
    """What this process could hold at most: what it has, and what is free; a container's limit counts."""
    if torch.cuda.is_available():
        free, _ = torch.cuda.mem_get_info()
        return (int(free) + int(torch.cuda.memory_reserved())) // MIB
    free = int(psutil.virtual_memory().available)
    for limit, used in LIMITS:
        free = min(free, _bytes(Path(limit)) - _bytes(Path(used)) + _cache_bytes())
    return held_mib() + round(max(0, free) / MIB)


def is_out_of_memory(problem: BaseException) -> bool:
    """Torch has an error of its own for a GPU; of a processor's memory it speaks in a RuntimeError's words."""
    return isinstance(problem, torch.OutOfMemoryError | MemoryError) or any(
        words in str(problem).lower() for words in SAYS_SO
    )


def give_back() -> None:
    """Let go of what a failed step left behind."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _bytes(path: Path) -> int:
    """A limit or a use; a file that is not there, or says "max", limits nothing."""
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return sys.maxsize if "max" in path.name or "limit" in path.name else 0


def _cache_bytes() -> int:
    """Files kept in memory count as used, and give way."""
    try:
        lines = Path("/sys/fs/cgroup/memory.stat").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("inactive_file ")), 0)

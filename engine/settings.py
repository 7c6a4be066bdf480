"""The machine: where things lie and how many cores there are. Read once, at the door."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent

QUIET = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
"""No library calls home. Set before gradio or transformers is imported, and handed on to every child process."""

PATIENT = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "30000"}
"""
OpenMP threads that spin for some tens of microseconds and then sleep. Set before an engine's library is loaded.

Measured in llama.cpp on two cores, in tokens/s. Beside two busy processes, threads that spin wait for one that is not
scheduled: 1.0, and 5.5 where they sleep. On a quiet machine, threads that sleep at once wake too late for the next layer: 14,
against 30 with a GOMP_SPINCOUNT of 10000 and 33 with 100000 (tuned: 7 against 25 and 29). Between these two lies ours.
"""


@dataclass(frozen=True)
class Settings:
    """`workspace` holds what people made; `models` holds what any workspace may share (the converted base model)."""

    workspace: Path
    models: Path
    threads: int = 2

    @classmethod
    def read(cls, environ: Mapping[str, str] = os.environ, *, workspace: str | None = None) -> "Settings":
        """From the environment: TOUCHSTONE_WORKSPACE, TOUCHSTONE_MODELS, TOUCHSTONE_THREADS."""
        chosen = workspace or environ.get("TOUCHSTONE_WORKSPACE") or "workspace"
        models = environ.get("TOUCHSTONE_MODELS") or str(PROJECT / ".models")
        threads = int(environ.get("TOUCHSTONE_THREADS") or os.cpu_count() or 2)
        return cls(Path(chosen).resolve(), Path(models).resolve(), threads)


LOOPBACK = "127.0.0.1,localhost,::1"


def go_quiet() -> None:
    """
    Switch off every telemetry we know of, unless the user set the variable, and keep this machine's talk to itself off a proxy.

    A company's proxy in the environment would otherwise be asked for the page's own address, and for a local Ollama's.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = ",".join(filter(None, [os.environ.get(name), LOOPBACK]))

"""Seconds from the start of the process to the first complete page, on an empty workspace; no torch on the way."""

import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
ROUNDS = 3
GIVE_UP_S = 60.0


def run() -> dict[str, Any]:
    """The median of three starts; there is no peer."""
    seconds = [_once() for _ in range(ROUNDS)]
    return {
        "ours": round(statistics.median(seconds), 2),
        "peer": None,
        "ratio": None,
        "unit": "s",
        "rounds": [round(second, 2) for second in seconds],
        "torch_imported": _imports_torch(),
    }


def _once() -> float:
    with tempfile.TemporaryDirectory() as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        started = time.perf_counter()
        command = [sys.executable, "app.py", "--workspace", folder, "--port", str(port)]
        page = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while time.perf_counter() - started < GIVE_UP_S:
                if _complete(f"http://127.0.0.1:{port}/"):
                    return time.perf_counter() - started
                time.sleep(0.05)
        finally:
            page.terminate()
            page.wait()
    raise RuntimeError(f"no page within {GIVE_UP_S} s")


def _complete(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return b"</html>" in answer.read()
    except OSError:
        return False


def _imports_torch() -> bool:
    """Whether building the page loads torch, asked of a process that builds it."""
    script = (
        "import sys, tempfile; from engine.settings import Settings, go_quiet; go_quiet()\n"
        "from engine.workspace import Workspace; from ui import shell\n"
        "shell.build(Workspace.open(Settings.read(workspace=tempfile.mkdtemp()))); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=True)
    return done.stdout.split()[-1] == "True"

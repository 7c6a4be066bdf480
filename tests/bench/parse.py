"""Pages per second and peak memory on the six contoso PDFs, read as documents; peer: pdfplumber's plain text of them."""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
CONTOSO = PROJECT.parent / "shared" / "data" / "policy_qa" / "contoso"
ROUNDS = 3


def run() -> dict[str, Any]:
    """The best of three rounds each, in turn, every one in a process of its own so that peak memory is apart."""
    measured: dict[str, list[dict[str, float]]] = {"ours": [], "peer": []}
    for _ in range(ROUNDS):
        for arm, rounds in measured.items():
            rounds.append(_alone(arm))
    ours = max(measured["ours"], key=lambda found: found["pages_per_s"])
    peer = max(measured["peer"], key=lambda found: found["pages_per_s"])
    return {
        "ours": ours["pages_per_s"],
        "peer": peer["pages_per_s"],
        "ratio": round(ours["pages_per_s"] / peer["pages_per_s"], 2),
        "unit": "pages/s",
        "pages": int(ours["pages"]),
        "peak_mib": max(found["peak_mib"] for found in measured["ours"]),
        "peer_peak_mib": max(found["peak_mib"] for found in measured["peer"]),
    }


def _alone(arm: str) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.bench.parse", arm]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure(arm: str) -> dict[str, float]:
    """One arm, in this process: all six files in one go, imports left out of the time."""
    files = sorted(CONTOSO.glob("*.pdf"))
    if not files:
        raise SystemExit(f"There are no PDFs in {CONTOSO}. This benchmark needs them.")
    read = _ours() if arm == "ours" else _peer()
    started = time.perf_counter()
    pages = read(files)
    seconds = time.perf_counter() - started
    return {
        "pages": pages,
        "pages_per_s": round(pages / seconds, 1),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def _ours() -> Callable[[list[Path]], int]:
    from engine.documents.gather import gather

    return lambda files: sum(document.page_count or 0 for document in gather(files).documents)


def _peer() -> Callable[[list[Path]], int]:
    import pdfplumber

    def read(files: list[Path]) -> int:
        texts = []
        for path in files:
            with pdfplumber.open(path) as pdf:
                for page in pdf.pages:
                    texts.append(page.extract_text())
                    page.close()  # as its documentation advises for long files
        return len(texts)

    return read


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1])))

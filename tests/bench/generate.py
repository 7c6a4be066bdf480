"""Rows per second of the embedded generator, from parsed documents to a finished, gated and split version; there is no peer."""

import tempfile
import time
from pathlib import Path
from typing import Any

from engine.documents import read_document
from engine.generation import make_version
from engine.parsing import parse
from engine.samples import PDF
from engine.store import Store
from engine.tasks.policy_qa import POLICY_QA


def run() -> dict[str, Any]:
    """The sample policy, once; loading the parser is timed apart."""
    document = read_document(PDF)
    began = time.monotonic()
    parse(["The parser is loaded now."])
    loading_s = time.monotonic() - began
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "bench.db")
        store.migrate()
        began = time.monotonic()
        version = make_version(store, "bench", [document], task=POLICY_QA, now="1")
        seconds = time.monotonic() - began
    rows = version.counts["proposed"]
    return {
        "ours": round(rows / seconds, 1), "peer": None, "ratio": None, "unit": "rows/s", "rows": rows, "kept": version.counts["kept"],
        "loading_s": round(loading_s, 1),
    }  # fmt: skip

"""Rows to read: a random sample of what is kept, what is refused and what is rejected, so that a person can judge them."""

import random
import tempfile
from pathlib import Path
from typing import Any

from engine.coverage import coverage
from engine.documents import read_document
from engine.facts import facts_of
from engine.generation import make_version
from engine.samples import PDF
from engine.settings import PROJECT
from engine.store import Store
from engine.tasks.policy_qa import POLICY_QA

DATA = PROJECT.parent / "shared" / "data"
SETS = {
    "sample": [PDF],
    "opengov": [DATA / "policies" / "opengov_foundation" / "manual.pdf"],
    "gsa": sorted((DATA / "policies" / "gsa_tts_18f").glob("*leave*.md")),
    "contoso": [DATA / "policy_qa" / "contoso" / "employee_handbook.pdf"],
}
SEED = 1618
PARTS: dict[str, tuple[int, dict[str, Any]]] = {
    "answerable": (100, {"state": "kept", "kind": "answerable"}),
    "unanswerable": (100, {"state": "kept", "kind": "unanswerable"}),
    "rejected": (50, {"state": "rejected"}),
}


def run() -> dict[str, Any]:
    """Print the sample, then the coverage of sentences that carry a rule; the judging is for whoever reads."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "audit.db")
        store.migrate()
        versions, told = {}, {}
        for name, files in SETS.items():
            documents = [read_document(path) for path in files if path.is_file()]
            if documents:
                versions[name] = make_version(store, name, documents, task=POLICY_QA, now="1")
                clauses = [clause for d in documents for clause in coverage(d, facts_of(documents))]
                told[name] = (sum(clause.covered for clause in clauses), sum(clause.rules for clause in clauses))
        rng = random.Random(SEED)
        for part, (count, where) in PARTS.items():
            pool = [(name, row) for name, v in versions.items() for row in store.rows(v.id, **where)]
            print(f"\n# {part}: {count} of {len(pool)}")
            for number, (name, row) in enumerate(rng.sample(pool, min(count, len(pool))), start=1):
                print(f"{number}. [{name}, {row.example.form}] {row.example.question or '(statement)'}")
                print(f"   {row.reason + ': ' if row.reason else ''}{row.example.answer[:300]}")
    right, of = (sum(pair[n] for pair in told.values()) for n in (0, 1))
    return {
        "ours": right / of if of else 0.0, "peer": None, "ratio": None, "unit": "covered sentences",
        "coverage": {name: f"{a} of {b}" for name, (a, b) in told.items()},
    }  # fmt: skip

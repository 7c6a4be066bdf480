"""The question writer and the reader on the corpus's held-out policies, which neither was trained on; there is no peer.

Both are merged into the base as in use. TOUCHSTONE_BENCH_ADAPTERS=FOLDER measures the writer.gguf and reader.gguf of another
folder than the shipped ones; TOUCHSTONE_BENCH_QUESTIONS=FILE also keeps 200 of the questions written, to be read by a person.
"""

import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from engine.backends import ChatModel
from engine.calls import Caller, CallsInMemory
from engine.documents import read_document
from engine.facts import facts_of
from engine.quality import plain
from engine.records import Decoding
from engine.settings import Settings
from engine.workspace import Workspace
from engine.writing.corpus import FOLDER, policies
from engine.writing.prompts import NONE
from engine.writing.rows import held_out, reader_rows
from engine.writing.writer import LONGEST_READING, QuestionWriter

SHIPPED = FOLDER.parent
SHOWN = 200
READINGS = 400
"""Of the held-out rows, which stand in random order."""
FACTS = 15
"""Of each policy, drawn by chance."""


def run() -> dict[str, Any]:
    """Exact match and F1 of the reader on people's questions, then what share of the writer's drafts it lets through."""
    folder = Path(os.environ.get("TOUCHSTONE_BENCH_ADAPTERS", SHIPPED))
    names = [name for name in policies() if held_out(name)]
    with tempfile.TemporaryDirectory() as scratch:
        workspace = Workspace.open(Settings.read(workspace=scratch))
        try:
            writer, reader = (workspace.shipped(role, folder / f"{role}.gguf") for role in ("writer", "reader"))
            reading = _read(reader, reader_rows(names)[:READINGS])
            writing = _write(writer, reader, names)
        finally:
            workspace.close()
    return (
        {"ours": reading["f1"], "peer": None, "ratio": None, "unit": "F1", "policies": len(names)} | reading | writing
    )


def _read(reader: ChatModel, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    def answer(row: dict[str, Any]) -> str:
        return reader.reply(row["messages"], Decoding(LONGEST_READING, repeat_penalty=1.0)).text

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(answer, rows))
    pairs = [(plain(row["answer"]), plain(said)) for row, said in zip(rows, answers, strict=True)]
    told = [(wanted, said) for wanted, said in pairs if wanted != NONE]
    untold = [said for wanted, said in pairs if wanted == NONE]
    polar = [(w, s) for w, s in told if w.split()[0] in ("yes", "no")]
    return {
        "answerable": len(told),
        "exact": round(sum(wanted == said for wanted, said in told) / len(told), 3),
        "f1": round(sum(_f1(wanted, said) for wanted, said in told) / len(told), 3),
        "refused_wrongly": round(sum(said == NONE for _, said in told) / len(told), 3),
        "unanswerable": len(untold),
        "refused_rightly": round(sum(said == NONE for said in untold) / len(untold), 3),
        "polarity_right": round(sum(w.split()[0] == (s.split() or [""])[0] for w, s in polar) / len(polar), 3),
    }


def _write(writer: ChatModel, reader: ChatModel, names: Sequence[str]) -> dict[str, Any]:
    documents = [read_document(FOLDER / f"{name}.md") for name in names]
    ours = QuestionWriter(Caller(writer, CallsInMemory(), workers=8), Caller(reader, CallsInMemory(), workers=8))
    began, written, facts, asked = time.monotonic(), [], 0, 0
    for document in documents:
        found = random.Random(0).sample(facts_of([document]), FACTS)
        facts += len(found)
        asked += sum(len(ours.aims(fact)) for fact in found)
        written += [one for _, ones in ours.write(found) for one in ones]
    seconds = time.monotonic() - began
    if path := os.environ.get("TOUCHSTONE_BENCH_QUESTIONS"):
        some = random.Random(0).sample(written, min(SHOWN, len(written)))
        lines = (
            f"[{one.aim.kind} {one.aim.span} {one.aim.voice}]\n{one.fact.clause}: {one.fact.statement}\n-> {one.question}\n"
            for one in some
        )
        Path(path).write_text("\n".join(lines), encoding="utf-8")
    answered = sum(one.answered for one in written)
    return {
        "facts": facts,
        "drafts": asked,
        "kept": len(written),
        "kept_share": round(len(written) / asked, 3),
        "answered_a_fact": round(answered / facts, 2),
        "near_misses": len(written) - answered,
        "kinds": dict(Counter(one.aim.kind for one in written)),
        "drafts_per_s": round(asked / seconds, 1),
    }


def _f1(wanted: str, said: str) -> float:
    """SQuAD's: of the words that both have, counted."""
    one, other = Counter(wanted.split()), Counter(said.split())
    shared = sum((one & other).values())
    return 2 * shared / (sum(one.values()) + sum(other.values())) if shared else 0.0

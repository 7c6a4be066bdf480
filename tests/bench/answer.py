"""Batch answering against the bare engine: the same prompts, the same GGUF, the same settings, eight at a time.

Ours renders the prompts, looks for kept answers and keeps each one in SQLite; the peer is handed rendered prompts and only
completes them. Two passes each, turn and turn about, the better one counts. Beside seconds on the clock stand seconds of
processor: on a machine that others use too, only these can be compared.
"""

import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from engine.answering import WORKERS, answer_rows
from engine.answers import StoredAnswers
from engine.backends.llama_cpp import LlamaEngine
from engine.embedded import ensure_embedded
from engine.prompts import load_chat_template, render
from engine.records import Decoding
from engine.samples import QUESTIONS
from engine.settings import Settings
from engine.store import Store
from engine.tasks.policy_qa import POLICY_QA
from evals.questions import read_questions

PROMPTS = 60
DECODING = Decoding(max_tokens=32)
PASSES = 2


def run() -> dict[str, Any]:
    """Answers per second; `differ`: prompts that the two answered differently, as batches round differently."""
    settings = Settings.read()
    embedded = ensure_embedded(settings.models)
    asked = [question.question for question in read_questions(QUESTIONS)][:PROMPTS]
    template = load_chat_template(embedded.folder)
    prompts = [render(POLICY_QA.messages(question), template=template) for question in asked]
    engine = LlamaEngine(embedded, threads=settings.threads)
    model = engine.model("base")
    ours_s: list[tuple[float, float]] = []  # on the clock, and of processor
    peer_s: list[tuple[float, float]] = []
    rows = [{"id": number, "question": question} for number, question in enumerate(asked)]
    with tempfile.TemporaryDirectory() as folder, engine.serving(None) as (native, lora):
        for number in range(PASSES):
            started = _now()
            raw = _bare(native, lora, prompts)
            peer_s.append(_since(started))
            store = Store(Path(folder) / f"{number}.db")  # a fresh one: nothing is read from what was kept
            store.migrate()
            kept = StoredAnswers(store, lambda: "now")
            started = _now()
            found = list(answer_rows(model, rows, POLICY_QA, decoding=DECODING, kept=kept))
            ours_s.append(_since(started))
            started = _now()
            list(answer_rows(model, rows, POLICY_QA, decoding=DECODING, kept=kept))
            again_s, _ = _since(started)
    engine.close()
    ours, peer = PROMPTS / min(ours_s)[0], PROMPTS / min(peer_s)[0]
    return {
        "ours": round(ours, 2),
        "peer": round(peer, 2),
        "ratio": round(ours / peer, 3),
        "unit": "answers per second",
        "rows": PROMPTS,
        "tokens_out": sum(row["tokens_out"] for row in found),
        "kept_per_s": round(PROMPTS / again_s),
        "ratio_of_processor": round(min(s for _, s in peer_s) / min(s for _, s in ours_s), 3),
        "seconds": {"ours": ours_s, "peer": peer_s},
        "differ": sum(row["answer"] != text for row, text in zip(found, raw, strict=True)),
    }


def _now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def _since(started: tuple[float, float]) -> tuple[float, float]:
    on_clock, of_processor = _now()
    return round(on_clock - started[0], 2), round(of_processor - started[1], 2)


def _bare(native: Any, lora: list[dict[str, float]], prompts: list[str]) -> list[str]:
    request = {
        "max_tokens": DECODING.max_tokens,
        "temperature": 0.0,
        "repeat_penalty": DECODING.repeat_penalty,
        "repeat_last_n": 64,
        "cache_prompt": True,
        "lora": lora,
    }

    def complete(prompt: str) -> str:
        return str(native.handle_completions({**request, "prompt": prompt})["choices"][0]["text"])

    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(complete, prompts))

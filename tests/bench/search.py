"""How often the clauses found for a question hold its answer: excerpts, beside passages, an embedding, and both fused.

The sample policy and its questions, unless TOUCHSTONE_BENCH_QUESTIONS names a question file and TOUCHSTONE_BENCH_DOCUMENTS
its documents (files or folders, joined as in PATH). TOUCHSTONE_BENCH_EMBEDDING names a folder with a sentence embedding in
Hugging Face's layout (config.json, model.safetensors, tokenizer.json; means of the last layer, as all-MiniLM-L6-v2 has
them); without it the two arms that need one are left out. Questions only judge: totals are told, and nothing by question.
"""

import os
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from engine.documents import read_document
from engine.documents.gather import gather
from engine.records import Document, Excerpt, Question
from engine.samples import MARKDOWN, QUESTIONS
from engine.search import excerpt_index, passage_index
from evals.metrics import is_right
from evals.questions import read_questions

RANKS = (1, 3, 5)
IN_PROMPT = 3
DAMPING = 60
"""Of reciprocal rank fusion, as its authors chose it (Cormack, Clarke and Büttcher 2009)."""
BATCH = 16
LONGEST_TOKENS = 256
Best = Callable[[str], Sequence[str]]
"""A question -> texts, best first."""


def run() -> dict[str, Any]:
    """Hits within the best 1, 3 and 5, questions and paraphrases apart; ours and peer: all of them within the best 3."""
    documents, questions = _documents(), read_questions(Path(os.environ.get("TOUCHSTONE_BENCH_QUESTIONS", QUESTIONS)))
    asked = [question for question in questions if question.kind == "answerable"]
    excerpts, passages = excerpt_index(documents), passage_index(documents)
    most = max(RANKS)
    arms: dict[str, Best] = {
        "passages": lambda text: [f"{p.lead_in}\n{p.text}" for p in passages.best(text, limit=most)],
        "excerpts": lambda text: [excerpt.text for excerpt in excerpts.best(text, limit=most)],
    }
    report: dict[str, Any] = {}
    if folder := os.environ.get("TOUCHSTONE_BENCH_EMBEDDING"):
        started = time.perf_counter()
        embedding = _Embedding(Path(folder), excerpts.shown)
        report["embedding_s"] = round(time.perf_counter() - started, 1)
        arms["embedding"] = lambda text: [excerpt.text for excerpt in embedding.best(text)[:most]]
        arms["fused"] = lambda text: [
            excerpt.text for excerpt in _fused(excerpts.best(text, limit=50), embedding.best(text)[:50])[:most]
        ]
    hits = {
        name: {what: _hits(best, asked, what) for what in ("question", "paraphrase")} for name, best in arms.items()
    }
    words = [sum(len(text.split()) for text in arms["excerpts"](question.question)[:IN_PROMPT]) for question in asked]
    ours, peer = (sum(found[f"at_{IN_PROMPT}"] for found in hits[name].values()) for name in ("excerpts", "passages"))
    total = sum(found["asked"] for found in hits["excerpts"].values())
    return {
        "ours": round(ours / total, 3),
        "peer": round(peer / total, 3),
        "ratio": round(ours / peer, 2) if peer else None,
        "unit": f"share of answers among the best {IN_PROMPT}, beside passages",
        "hits": hits,
        "excerpts": len(excerpts.shown),
        "passages": len(passages.shown),
        "words_shown": round(statistics.mean(words)),
        **report,
    }


def _documents() -> list[Document]:
    named = os.environ.get("TOUCHSTONE_BENCH_DOCUMENTS")
    return list(gather([Path(p) for p in named.split(os.pathsep)]).documents) if named else [read_document(MARKDOWN)]


def _hits(best: Best, asked: Sequence[Question], what: str) -> dict[str, int]:
    """How many of these are answered by one of the best n texts, by the patterns a right answer is known by."""
    found = {f"at_{rank}": 0 for rank in RANKS} | {"asked": 0}
    for question in asked:
        text = getattr(question, what)
        if not text:
            continue
        right = [_holds(question, shown) for shown in best(text)]
        found["asked"] += 1
        for rank in RANKS:
            found[f"at_{rank}"] += any(right[:rank])
    return found


def _holds(question: Question, text: str) -> bool:
    """Whether an accept pattern matches; what a wrong answer would say may stand in the same clause."""
    return is_right(text, Question(question.id, question.question, "answerable", accept=question.accept))


def _fused(*rankings: Sequence[Excerpt]) -> list[Excerpt]:
    scores: dict[Excerpt, float] = {}
    for ranking in rankings:
        for place, excerpt in enumerate(ranking, start=1):
            scores[excerpt] = scores.get(excerpt, 0.0) + 1 / (DAMPING + place)
    return sorted(scores, key=lambda excerpt: -scores[excerpt])


class _Embedding:
    """Excerpts under their clauses as unit vectors, and questions beside them."""

    def __init__(self, folder: Path, excerpts: Sequence[Excerpt]) -> None:
        from tokenizers import Tokenizer
        from transformers import AutoModel

        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(LONGEST_TOKENS)
        self._tokenizer.enable_padding()
        self._model = AutoModel.from_pretrained(folder, local_files_only=True).eval()
        self._excerpts = excerpts
        texts = [f"{excerpt.clause}\n{excerpt.text}" for excerpt in excerpts]
        self._vectors = [
            vector for start in range(0, len(texts), BATCH) for vector in self._embed(texts[start : start + BATCH])
        ]

    def best(self, question: str) -> list[Excerpt]:
        (asked,) = self._embed([question])
        scores = [float(asked @ vector) for vector in self._vectors]
        return [self._excerpts[n] for n in sorted(range(len(scores)), key=lambda n: -scores[n])]

    def _embed(self, texts: Sequence[str]) -> Any:
        import torch

        rows = self._tokenizer.encode_batch(list(texts))
        ids, mask = (torch.tensor([getattr(row, name) for row in rows]) for name in ("ids", "attention_mask"))
        with torch.inference_mode():
            states = self._model(input_ids=ids, attention_mask=mask).last_hidden_state
        weights = mask.unsqueeze(-1).float()
        return torch.nn.functional.normalize((states * weights).sum(1) / weights.sum(1), dim=-1)

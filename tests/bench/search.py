"""How often the clauses found for a question hold its answer: excerpts, beside passages, an embedding, and both fused.

The sample policy and its questions, unless TOUCHSTONE_BENCH_QUESTIONS names a question file and TOUCHSTONE_BENCH_DOCUMENTS
its documents (files or folders, joined as in PATH). The two arms that need an embedding are there where one is installed.
Questions only judge: totals are told, and nothing by question.
"""

import os
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from engine.documents import read_document
from engine.documents.gather import gather
from engine.embedding import installed_embedding
from engine.excerpts import excerpts_of
from engine.records import Document, Question
from engine.samples import MARKDOWN, QUESTIONS
from engine.search import Index, excerpt_index, passage_index
from evals.metrics import is_right
from evals.questions import read_questions

RANKS = (1, 3, 5)
IN_PROMPT = 3
Best = Callable[[str], Sequence[str]]
"""A question -> texts, best first."""


def run() -> dict[str, Any]:
    """Hits within the best 1, 3 and 5, questions and paraphrases apart; ours and peer: all of them within the best 3."""
    documents, questions = _documents(), read_questions(Path(os.environ.get("TOUCHSTONE_BENCH_QUESTIONS", QUESTIONS)))
    asked = [question for question in questions if question.kind == "answerable"]
    passages = passage_index(documents)
    excerpts = [excerpt for document in documents for excerpt in excerpts_of(document)]
    by_words = Index((excerpt, excerpt.clause, excerpt.text) for excerpt in excerpts)
    most = max(RANKS)
    arms: dict[str, Best] = {
        "passages": lambda text: [f"{p.lead_in}\n{p.text}" for p in passages.best(text, limit=most)],
        "excerpts": lambda text: [excerpt.text for excerpt in by_words.best(text, limit=most)],
    }
    report: dict[str, Any] = {}
    if embedding := installed_embedding():
        started = time.perf_counter()
        vectors = embedding.vectors([f"{excerpt.clause}\n{excerpt.text}" for excerpt in excerpts])
        report["embedding_s"] = round(time.perf_counter() - started, 1)
        fused = excerpt_index(documents)

        def by_meaning(text: str) -> list[str]:
            (asked_for,) = embedding.vectors([text])
            return [excerpts[number].text for number in (-(vectors @ asked_for)).argsort(kind="stable")[:most]]

        arms["embedding"] = by_meaning
        arms["fused"] = lambda text: [excerpt.text for excerpt in fused.best(text, limit=most)]
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
        "excerpts": len(excerpts),
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

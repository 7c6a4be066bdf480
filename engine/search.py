"""The passages' index: the clauses that speak of a question, best first. SQLite's own BM25, nothing to install."""

import re
import sqlite3
from collections.abc import Sequence

from engine.answering import Find, closed_book
from engine.lexicon import STOPWORDS
from engine.records import Document, Mode, Passage
from engine.store import Store

CLAUSES_IN_PROMPT = 3


class PassageIndex:
    """An index in memory over some documents; built in a few milliseconds a thousand passages, used from any thread."""

    def __init__(self, documents: Sequence[Document]) -> None:
        self._passages = [passage for document in documents for passage in document.passages]
        self._db = sqlite3.connect(":memory:", check_same_thread=False)
        self._db.execute("CREATE VIRTUAL TABLE passages USING fts5(clause, text, tokenize = 'porter unicode61')")
        self._db.executemany(
            "INSERT INTO passages (rowid, clause, text) VALUES (?, ?, ?)",
            [(n, p.clause, f"{p.lead_in} {p.text}") for n, p in enumerate(self._passages)],
        )

    def best(self, question: str, *, limit: int = CLAUSES_IN_PROMPT) -> list[Passage]:
        """The passages with the best BM25 score for the question's words; none when it shares no word with any."""
        words = [word for word in re.findall(r"\w+", question.lower()) if word not in STOPWORDS] or re.findall(
            r"\w+", question
        )
        if not words:
            return []
        query = " OR ".join(f'"{word}"' for word in words[:64])
        found = self._db.execute(
            "SELECT rowid FROM passages WHERE passages MATCH ? ORDER BY bm25(passages, 0.5, 1.0) LIMIT ?",
            [query, limit],
        )
        return [self._passages[rowid] for (rowid,) in found.fetchall()]


def finder(store: Store, mode: Mode) -> Find:
    """What goes into the prompt beside the question: nothing (closed book), or the best clauses (grounded)."""
    return closed_book if mode == "closed" else PassageIndex(store.documents()).best

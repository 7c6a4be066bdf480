"""The clauses that speak of a question, best first: by SQLite's own BM25, and by an embedding where one is installed.

Within the best three of 204 questions of three policies, and of as many paraphrases: words alone find 185 and 142 answers,
the embedding alone 171 and 163, both fused 187 and 160 (`tests.bench search`).
"""

import re
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

from engine.answering import Find, closed_book
from engine.embedding import Embedding, installed_embedding
from engine.excerpts import excerpts_of
from engine.lexicon import STOPWORDS
from engine.records import Document, Excerpt, Mode, Passage
from engine.store import Store

CLAUSES_IN_PROMPT = 3
RANKED = 50
"""How deep each of two rankings goes before they are fused."""
DAMPING = 60
Shown = TypeVar("Shown")


class Index(Generic[Shown]):
    """
    An index in memory over some texts; built in a few milliseconds a thousand, used from any thread.

    With an embedding, what it ranks by meaning and what BM25 ranks by words are fused by reciprocal rank; each text is then
    read once a process, at some 20 a second on one core.
    """

    def __init__(self, entries: Iterable[tuple[Shown, str, str]], *, embedding: Embedding | None = None) -> None:
        """What is to be found, the clause it stands under, and its words."""
        listed = list(entries)
        self._embedding = embedding
        self._texts = [f"{clause}\n{text}" for _, clause, text in listed]
        self.shown: Sequence[Shown] = [shown for shown, _, _ in listed]
        self._db = sqlite3.connect(":memory:", check_same_thread=False)
        self._db.execute("CREATE VIRTUAL TABLE texts USING fts5(clause, text, tokenize = 'porter unicode61')")
        self._db.executemany(
            "INSERT INTO texts (rowid, clause, text) VALUES (?, ?, ?)",
            [(n, clause, text) for n, (_, clause, text) in enumerate(listed)],
        )

    def best(self, question: str, *, limit: int = CLAUSES_IN_PROMPT) -> list[Shown]:
        """Those that speak of the question, best first. Without an embedding: none when it shares no word with any."""
        if self._embedding is None or not self._texts:
            found = self._by_words(question, limit)
        else:
            found = _fused(self._by_words(question, RANKED), self._by_meaning(self._embedding, question, RANKED))
        return [self.shown[number] for number in found[:limit]]

    def _by_meaning(self, embedding: Embedding, question: str, limit: int) -> list[int]:
        scores = embedding.vectors(self._texts) @ embedding.vectors([question])[0]
        return [int(number) for number in (-scores).argsort(kind="stable")[:limit]]

    def _by_words(self, question: str, limit: int) -> list[int]:
        """By BM25's score for the question's words."""
        words = [word for word in re.findall(r"\w+", question.lower()) if word not in STOPWORDS] or re.findall(
            r"\w+", question
        )
        if not words:
            return []
        query = " OR ".join(f'"{word}"' for word in words[:64])
        found = self._db.execute(
            "SELECT rowid FROM texts WHERE texts MATCH ? ORDER BY bm25(texts, 0.5, 1.0), rowid LIMIT ?",
            [query, limit],
        )
        return [rowid for (rowid,) in found.fetchall()]


def _fused(*rankings: Sequence[int]) -> list[int]:
    """Best first by the sum of 1 / (60 + rank): Cormack, Clarke and Büttcher 2009; of equal ones the first listed."""
    scores: dict[int, float] = {}
    for ranking in rankings:
        for rank, number in enumerate(ranking, start=1):
            scores[number] = scores.get(number, 0.0) + 1 / (DAMPING + rank)
    return sorted(scores, key=lambda number: -scores[number])


def passage_index(documents: Iterable[Document]) -> Index[Passage]:
    """Over every passage of the documents: what a judge is shown."""
    passages = (passage for document in documents for passage in document.passages)
    return Index((passage, passage.clause, f"{passage.lead_in} {passage.text}") for passage in passages)


def excerpt_index(documents: Iterable[Document]) -> Index[Excerpt]:
    """Over every excerpt of the documents: what stands in a grounded prompt. By words and, where installed, by meaning."""
    excerpts = (excerpt for document in documents for excerpt in excerpts_of(document))
    return Index(((excerpt, excerpt.clause, excerpt.text) for excerpt in excerpts), embedding=installed_embedding())


def finder(store: Store, mode: Mode) -> Find:
    """What goes into the prompt beside the question: nothing (closed book), or the best clauses (grounded)."""
    return closed_book if mode == "closed" else excerpt_index(documents_in_force(store)).best


def closest_passage(store: Store, said: str) -> Passage | None:
    """The passage that comes closest to some words, for people to compare; None when none shares a word with them."""
    return next(iter(passage_index(documents_in_force(store)).best(said, limit=1)), None)


def documents_in_force(store: Store) -> list[Document]:
    """Every document but those that an update of a dataset replaced by a new edition."""
    newest: dict[str, Sequence[str]] = {}
    used: set[str] = set()
    for version in store.datasets():
        newest.setdefault(version.name, version.documents)
        used |= set(version.documents)
    replaced = used - {document for documents in newest.values() for document in documents}
    return [document for document in store.documents() if document.id not in replaced]

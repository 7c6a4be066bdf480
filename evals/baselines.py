"""What a model must beat: the sentence of the policy that shares most with the question, by BM25 and no model at all."""

import re
import sqlite3
from collections.abc import Sequence
from hashlib import blake2b
from threading import Lock

from engine.backends import Schema, Stream
from engine.records import Decoding, Document, Message, Reply
from engine.sentences import sentences


class BestSentence:
    """Answers every question with one sentence of the documents; it never refuses unless it finds none. A ChatModel."""

    name = "best BM25 sentence"

    def __init__(self, documents: Sequence[Document]) -> None:
        passages = [passage for document in documents for passage in document.passages]
        self._said = [f"{p.lead_in} {sentence}".strip() for p in passages for sentence in sentences(p.text)]
        self._lock = Lock()
        self._db = sqlite3.connect(":memory:", check_same_thread=False)
        self._db.execute("CREATE VIRTUAL TABLE said USING fts5(text, tokenize = 'porter unicode61')")
        self._db.executemany("INSERT INTO said (rowid, text) VALUES (?, ?)", enumerate(self._said))

    def reply(self, messages: Sequence[Message], decoding: Decoding, *, schema: Schema | None = None) -> Reply:
        """The best sentence; "" where no word of the question stands in any."""
        words = " OR ".join(f'"{word}"' for word in re.findall(r"\w+", messages[-1]["content"])[:64])
        query = "SELECT rowid FROM said WHERE said MATCH ? ORDER BY rank LIMIT 1"
        with self._lock:
            found = self._db.execute(query, [words]).fetchone() if words else None
        return Reply(self._said[found[0]] if found else "", self.name)

    def stream(self, messages: Sequence[Message], decoding: Decoding, *, schema: Schema | None = None) -> Stream:
        """In one piece."""
        reply = self.reply(messages, decoding, schema=schema)
        yield reply.text
        return reply

    def health(self) -> str:
        """Always well: there is nothing to load."""
        return ""

    def digest(self) -> str:
        """Of what it may say."""
        return blake2b("\n".join(self._said).encode(), digest_size=16).hexdigest()

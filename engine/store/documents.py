"""Parsed documents and their passages in the SQLite file."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from engine.errors import NotFound
from engine.records import Document, Passage
from engine.store.connection import Connection


class Documents(Connection):
    """What `Store` knows of documents."""

    def add_document(self, document: Document, *, now: str) -> None:
        """Save a parsed document once; loading the same bytes again, or under another name, changes nothing."""
        with self.writing() as db:
            row = (document.id, document.name, document.media_type, document.page_count, document.text, now)
            if db.execute("INSERT OR IGNORE INTO documents VALUES (?, ?, ?, ?, ?, ?)", row).rowcount:
                db.conn.executemany(
                    "INSERT INTO passages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    [
                        (
                            document.id,
                            p.position,
                            p.id,
                            json.dumps(p.heading),
                            p.page,
                            p.text,
                            p.start,
                            p.end,
                            p.kind,
                            p.lead_in,
                        )
                        for p in document.passages
                    ],
                )

    def documents(self) -> list[Document]:
        """Every document, oldest first, with its passages."""
        with self.reading() as db:
            ids = [row["id"] for row in db.query("SELECT id FROM documents ORDER BY added_at, id")]
        return [self.document(document_id) for document_id in ids]

    def document(self, document_id: str) -> Document:
        """One document with its passages in reading order. Raises NotFound."""
        with self.reading() as db:
            rows = list(db.query("SELECT * FROM documents WHERE id = ?", [document_id]))
            if not rows:
                raise NotFound(f"No document {document_id} in this workspace. Load the file again.")
            passages = db.query("SELECT * FROM passages WHERE document_id = ? ORDER BY position", [document_id])
            found = tuple(_passage(row) for row in passages)
        row = rows[0]
        return Document(row["id"], row["name"], row["media_type"], row["text"], found, row["page_count"])

    def document_names(self, document_ids: Sequence[str]) -> dict[str, str]:
        """Id -> file name of those that are known, without reading what they say."""
        marks = ", ".join("?" * len(document_ids))
        with self.reading() as db:
            rows = db.query(f"SELECT id, name FROM documents WHERE id IN ({marks})", list(document_ids))
            return {row["id"]: row["name"] for row in rows}

    def passage(self, passage_id: str) -> Passage:
        """One passage; where two documents hold the same clause, the first loaded. Raises NotFound."""
        with self.reading() as db:
            for row in list(db.query("SELECT * FROM passages WHERE id = ? ORDER BY rowid LIMIT 1", [passage_id])):
                return _passage(row)
        raise NotFound("The passage of this row is not in this workspace. Load its document again.")


def _passage(row: Mapping[str, Any]) -> Passage:
    return Passage(**{**row, "heading": tuple(json.loads(row["heading"]))})

"""The SQLite file, and with its migrations the only module that knows its columns."""

import fcntl
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from engine.errors import Busy, InvalidInput, NotFound, TouchstoneError, Unavailable
from engine.migrations import migrations
from engine.records import (
    Battle,
    Choice,
    DatasetVersion,
    Decoding,
    Document,
    Example,
    Fact,
    Label,
    LedgerRow,
    Passage,
    RowState,
    Split,
    Vote,
)

COUNTS = """
SELECT count(*)                       AS proposed,
       coalesce(sum(state = 'kept'), 0)     AS kept,
       coalesce(sum(state = 'rejected'), 0) AS rejected,
       coalesce(sum(state = 'failed'), 0)   AS failed,
       coalesce(sum(split = 'train'), 0)    AS train,
       coalesce(sum(split = 'probe'), 0)    AS probe,
       coalesce(sum(split = 'test'), 0)     AS test,
       coalesce(sum(state = 'kept' AND kind = 'answerable'), 0)   AS answerable,
       coalesce(sum(state = 'kept' AND kind = 'unanswerable'), 0) AS unanswerable,
       coalesce(sum(state = 'kept' AND kind = 'statement'), 0)    AS statement
FROM examples
WHERE dataset_id = ?
"""

REASONS = """
SELECT reason, count(*) AS rows
FROM examples
WHERE dataset_id = ? AND state <> 'kept'
GROUP BY reason
ORDER BY rows DESC, reason
"""

CURRENT_VOTES = """
SELECT votes.*
FROM current_votes
JOIN votes ON votes.id = current_votes.vote_id
ORDER BY votes.id
"""

VOTED_BATTLES = """
SELECT battles.*,
       votes.id         AS vote_id,
       votes.rater      AS vote_rater,
       votes.choice     AS vote_choice,
       votes.comment    AS vote_comment,
       votes.repair     AS vote_repair,
       votes.created_at AS vote_created_at
FROM current_votes
JOIN votes   ON votes.id = current_votes.vote_id
JOIN battles ON battles.id = votes.battle_id
ORDER BY votes.id
"""

LATEST_LABELS = """
SELECT labels.*
FROM labels
JOIN (SELECT max(id) AS id FROM labels WHERE dataset_id = ? GROUP BY example_id, rater) AS latest USING (id)
ORDER BY labels.id
"""


@dataclass(frozen=True)
class Store:
    """One SQLite file in WAL mode. A connection per call: Gradio runs handlers on many threads."""

    path: Path

    @contextmanager
    def reading(self) -> Iterator[Database]:
        """
        A connection of the caller's own; rows it reads may be one commit old.

        Raises Unavailable for a damaged file or a disk that refuses, Busy when another program keeps the file locked.
        """
        try:
            with Database(sqlite3.connect(self.path, timeout=30)) as db:
                db.execute("PRAGMA foreign_keys = ON")
                db.execute("PRAGMA synchronous = FULL")
                yield db
        except sqlite3.DatabaseError as problem:
            told = _in_words(self.path, problem)
            if told is None:
                raise
            raise told from None

    @contextmanager
    def writing(self) -> Iterator[Database]:
        """One transaction, begun IMMEDIATE so that two writers queue instead of deadlocking; all or nothing."""
        with self.reading() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                db.rollback()
                raise

    def migrate(self) -> None:
        """Bring the file to today's schema, one process at a time; an old file keeps every row."""
        with _alone(self.path.parent), self.reading() as db:
            db.enable_wal()
            migrations.apply(db)

    # Documents

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

    def passage(self, passage_id: str) -> Passage:
        """One passage; where two documents hold the same clause, the first loaded. Raises NotFound."""
        with self.reading() as db:
            for row in list(db.query("SELECT * FROM passages WHERE id = ? ORDER BY rowid LIMIT 1", [passage_id])):
                return _passage(row)
        raise NotFound("The passage of this row is not in this workspace. Load its document again.")

    # Dataset versions and their ledger

    def begin_dataset(
        self,
        name: str,
        *,
        task: str,
        documents: Sequence[str],
        recipe: Mapping[str, Any],
        parent_id: int | None,
        now: str,
    ) -> DatasetVersion:
        """Take the next number of `name`. The version is not offered until `finish_dataset`."""
        with self.writing() as db:
            number = db.execute("SELECT coalesce(max(number), 0) + 1 FROM datasets WHERE name = ?", [name]).fetchone()[
                0
            ]
            cursor = db.execute(
                "INSERT INTO datasets (name, number, task, created_at, parent_id, documents, recipe) VALUES (?, ?, ?, ?, ?, ?, ?)",
                [name, number, task, now, parent_id, json.dumps(list(documents)), json.dumps(recipe)],
            )
            dataset_id = cursor.lastrowid
        assert dataset_id is not None
        return DatasetVersion(dataset_id, name, number, task, now, parent_id, tuple(documents), recipe)

    def add_facts(self, dataset_id: int, facts: Iterable[Fact]) -> None:
        """The facts that the version's rows teach. Raises InvalidInput once the version is finished."""
        rows = [(dataset_id, f.id, f.passage_id, f.clause, f.kind, f.statement, f.evidence, f.value) for f in facts]
        with self.writing() as db:
            _refuse_finished(db, dataset_id)
            db.conn.executemany("INSERT INTO facts VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)

    def add_rows(self, dataset_id: int, rows: Sequence[LedgerRow]) -> None:
        """Append to the ledger. Raises InvalidInput once the version is finished: versions are immutable."""
        with self.writing() as db:
            _refuse_finished(db, dataset_id)
            first = db.execute(
                "SELECT coalesce(max(position), -1) + 1 FROM examples WHERE dataset_id = ?", [dataset_id]
            ).fetchone()[0]
            db.conn.executemany(
                "INSERT INTO examples VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        dataset_id,
                        position,
                        e.id,
                        e.fact_id,
                        e.kind,
                        e.form,
                        e.question,
                        e.answer,
                        e.evidence,
                        *_rest(row),
                    )
                    for position, row in enumerate(rows, start=first)
                    for e in [row.example]
                ],
            )

    def finish_dataset(self, dataset_id: int, *, now: str) -> DatasetVersion:
        """Close the version: from here on nothing in it changes."""
        with self.writing() as db:
            db.execute("UPDATE datasets SET finished_at = ? WHERE id = ? AND finished_at IS NULL", [now, dataset_id])
        return self.dataset_by_id(dataset_id)

    def datasets(self) -> list[DatasetVersion]:
        """Every finished version, newest first."""
        with self.reading() as db:
            rows = list(db.query("SELECT * FROM datasets WHERE finished_at IS NOT NULL ORDER BY id DESC"))
            return [_dataset(db, row) for row in rows]

    def dataset_by_id(self, dataset_id: int) -> DatasetVersion:
        """One version. Raises NotFound."""
        with self.reading() as db:
            for row in list(db.query("SELECT * FROM datasets WHERE id = ?", [dataset_id])):
                return _dataset(db, row)
        raise NotFound(f"No dataset version with id {dataset_id}.")

    def dataset(self, title: str) -> DatasetVersion:
        """ "leave:3", or "leave" for its newest version. Raises NotFound naming what there is."""
        name, _, number = title.partition(":")
        versions = self.datasets()
        for version in versions:
            if version.name == name and number in ("", str(version.number)):
                return version
        known = ", ".join(version.title for version in versions) or "none yet"
        raise NotFound(
            f'No dataset "{title}". There is: {known}. Make one with: app.py generate --dataset {name} FILES'
        )

    def facts(self, dataset_id: int) -> list[Fact]:
        """The facts of a version, in document order."""
        with self.reading() as db:
            sql = "SELECT id, passage_id, clause, kind, statement, evidence, value FROM facts WHERE dataset_id = ? ORDER BY rowid"
            return [Fact(**row) for row in db.query(sql, [dataset_id])]

    def rows(
        self,
        dataset_id: int,
        *,
        state: RowState | None = None,
        split: Split | None = None,
        offset: int = 0,
        limit: int | None = None,
    ) -> list[LedgerRow]:
        """The ledger of a version in the order it was written; a page of it with `offset` and `limit`."""
        sql = "SELECT * FROM examples WHERE dataset_id = :dataset_id"
        sql += " AND state = :state" if state else ""
        sql += " AND split = :split" if split else ""
        sql += " ORDER BY position LIMIT :limit OFFSET :offset"
        given = {
            "dataset_id": dataset_id,
            "state": state,
            "split": split,
            "offset": offset,
            "limit": -1 if limit is None else limit,
        }
        with self.reading() as db:
            return [_ledger_row(row) for row in db.query(sql, given)]

    def rejections(self, dataset_id: int) -> dict[str, int]:
        """Reason -> rows, commonest first."""
        with self.reading() as db:
            return {row["reason"]: row["rows"] for row in db.query(REASONS, [dataset_id])}

    # Battles and votes

    def add_battle(self, battle: Battle) -> None:
        """Save a battle before its first token."""
        row = asdict(battle) | {"decoding": json.dumps(asdict(battle.decoding))}
        with self.writing() as db:
            names, marks = ", ".join(row), ", ".join(f":{name}" for name in row)
            db.execute(f"INSERT INTO battles ({names}) VALUES ({marks})", row)

    def finish_battle(self, battle_id: str, *, answer_a: str, answer_b: str, error: str, now: str) -> None:
        """Save both answers at once. A battle that was finished before keeps what it had."""
        with self.writing() as db:
            db.execute(
                "UPDATE battles SET answer_a = ?, answer_b = ?, error = ?, finished_at = ? WHERE id = ? AND finished_at IS NULL",
                [answer_a, answer_b, error, now, battle_id],
            )

    def battle(self, battle_id: str) -> Battle:
        """One battle. Raises NotFound, which is also what a forged id gets."""
        with self.reading() as db:
            for row in list(db.query("SELECT * FROM battles WHERE id = ?", [battle_id])):
                return _battle(row)
        raise NotFound("This battle is not known here. Ask a new question.")

    def battles(self) -> list[Battle]:
        """Every battle, oldest first."""
        with self.reading() as db:
            return [_battle(row) for row in db.query("SELECT * FROM battles ORDER BY created_at, id")]

    def add_vote(
        self, battle_id: str, *, rater: str, choice: Choice, comment: str = "", repair: str = "", now: str
    ) -> Vote:
        """
        Append a verdict and make it the rater's current one, in one transaction.

        The primary key of current_votes (battle, rater) is what holds "one current vote"; an earlier verdict stays in votes.
        """
        given = {"battle_id": battle_id, "rater": rater, "choice": choice, "comment": comment, "repair": repair}
        with self.writing() as db:
            vote_id = db.execute(
                "INSERT INTO votes (battle_id, rater, choice, comment, repair, created_at) VALUES (?, ?, ?, ?, ?, ?)",
                [*given.values(), now],
            ).lastrowid
            db.execute(
                "INSERT INTO current_votes (battle_id, rater, vote_id) VALUES (?, ?, ?)"
                " ON CONFLICT (battle_id, rater) DO UPDATE SET vote_id = excluded.vote_id",
                [battle_id, rater, vote_id],
            )
        assert vote_id is not None
        return Vote(
            id=vote_id, battle_id=battle_id, rater=rater, choice=choice, comment=comment, repair=repair, created_at=now
        )

    def votes(self) -> list[Vote]:
        """The current vote of each rater on each battle, oldest first."""
        with self.reading() as db:
            return [Vote(**row) for row in db.query(CURRENT_VOTES)]

    def vote_history(self, battle_id: str) -> list[Vote]:
        """Every verdict ever given on a battle, oldest first."""
        with self.reading() as db:
            return [Vote(**row) for row in db.query("SELECT * FROM votes WHERE battle_id = ? ORDER BY id", [battle_id])]

    def voted_battles(self) -> list[tuple[Battle, Vote]]:
        """Each current vote with its battle."""
        with self.reading() as db:
            return [(_battle(row), _vote(row)) for row in db.query(VOTED_BATTLES)]

    # Labels

    def add_label(self, label: Label) -> Label:
        """Append a judgement; the newest of a rater on a row is the current one. The id of `label` is ignored."""
        row = asdict(label)
        del row["id"]
        with self.writing() as db:
            names, marks = ", ".join(row), ", ".join(f":{name}" for name in row)
            label_id = db.execute(f"INSERT INTO labels ({names}) VALUES ({marks})", row).lastrowid
        assert label_id is not None
        return Label(id=label_id, **row)

    def labels(self, dataset_id: int) -> list[Label]:
        """The current label of each rater on each row of a version."""
        with self.reading() as db:
            return [Label(**row) for row in db.query(LATEST_LABELS, [dataset_id])]

    # Evaluations and what is live

    def add_evaluation(
        self, *, task: str, questions: str, models: Sequence[str], report: Mapping[str, Any], now: str
    ) -> int:
        """Keep a report; returns its id."""
        with self.writing() as db:
            cursor = db.execute(
                "INSERT INTO evaluations (task, questions, models, report, created_at) VALUES (?, ?, ?, ?, ?)",
                [task, questions, json.dumps(list(models)), json.dumps(report), now],
            )
            assert cursor.lastrowid is not None
            return cursor.lastrowid

    def evaluations(self) -> list[dict[str, Any]]:
        """Every report, newest first, as {id, task, questions, models, report, created_at}."""
        with self.reading() as db:
            rows = list(db.query("SELECT * FROM evaluations ORDER BY id DESC"))
        return [row | {"models": json.loads(row["models"]), "report": json.loads(row["report"])} for row in rows]

    def add_promotion(self, *, task: str, action: str, model: str, digest: str, reason: str, now: str) -> None:
        """Put on record that `model` is live for `task`, by a "promote" or a "rollback"."""
        with self.writing() as db:
            db.execute(
                "INSERT INTO promotions (task, action, model, digest, reason, created_at) VALUES (?, ?, ?, ?, ?, ?)",
                [task, action, model, digest, reason, now],
            )

    def promotions(self, task: str) -> list[dict[str, Any]]:
        """What went live for `task`, newest first, as {id, task, action, model, digest, reason, created_at}."""
        with self.reading() as db:
            return list(db.query("SELECT * FROM promotions WHERE task = ? ORDER BY id DESC", [task]))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder while the schema changes: SQLite does not queue two first openings of one file, it fails them."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError as problem:
        raise Unavailable(
            f"The folder {folder} cannot be opened ({problem.strerror}). Make it or choose another."
        ) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _in_words(path: Path, problem: sqlite3.DatabaseError) -> TouchstoneError | None:
    """What a person can do about it; None where it is our bug."""
    match (getattr(problem, "sqlite_errorcode", None) or 0) & 0xFF:
        case sqlite3.SQLITE_FULL:
            return Unavailable(f"The disk of {path} is full. Free some space and try again.")
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return Unavailable(f"{path} is not a usable SQLite file ({problem}). Restore a copy or move it away.")
        case sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_READONLY | sqlite3.SQLITE_IOERR:
            return Unavailable(f"{path} cannot be used ({problem}). Check its folder, its permissions and its disk.")
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return Busy(f"{path} is locked by another program. Close that program and try again.")
    return None


def _refuse_finished(db: Database, dataset_id: int) -> None:
    if db.execute("SELECT finished_at FROM datasets WHERE id = ?", [dataset_id]).fetchone()[0]:
        raise InvalidInput("A finished dataset version is never changed. Make the next version instead.")


def _passage(row: Mapping[str, Any]) -> Passage:
    return Passage(**{**row, "heading": tuple(json.loads(row["heading"]))})


def _dataset(db: Database, row: Mapping[str, Any]) -> DatasetVersion:
    counts = next(iter(db.query(COUNTS, [row["id"]])))
    return DatasetVersion(
        id=row["id"],
        name=row["name"],
        number=row["number"],
        task=row["task"],
        created_at=row["created_at"],
        parent_id=row["parent_id"],
        documents=tuple(json.loads(row["documents"])),
        recipe=json.loads(row["recipe"]),
        counts=counts,
    )


def _rest(row: LedgerRow) -> tuple[str | None, ...]:
    return row.example.passage_id, row.example.origin, row.state, row.reason, row.split


def _ledger_row(row: Mapping[str, Any]) -> LedgerRow:
    names = ("id", "fact_id", "kind", "form", "question", "answer", "evidence", "passage_id", "origin")
    return LedgerRow(Example(**{name: row[name] for name in names}), row["state"], row["reason"], row["split"])


def _battle(row: Mapping[str, Any]) -> Battle:
    names = Battle.__dataclass_fields__
    return Battle(**{**{name: row[name] for name in names}, "decoding": Decoding(**json.loads(row["decoding"]))})


def _vote(row: Mapping[str, Any]) -> Vote:
    return Vote(
        id=row["vote_id"],
        battle_id=row["id"],
        rater=row["vote_rater"],
        choice=row["vote_choice"],
        comment=row["vote_comment"],
        repair=row["vote_repair"],
        created_at=row["vote_created_at"],
    )

"""Dataset versions, their facts and the ledger of their rows in the SQLite file."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypedDict, Unpack

from sqlite_utils import Database

from engine.errors import InvalidInput, NotFound
from engine.records import DatasetVersion, Example, ExampleKind, Fact, LedgerRow, RowState, Split
from engine.store.connection import Connection

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
WHERE dataset_id = ? AND state IN ('rejected', 'failed')
GROUP BY reason
ORDER BY rows DESC, reason
"""

BALANCE = """
SELECT kind, form, coalesce(clause, '') AS clause, sum(rows) AS rows
FROM (SELECT kind, form, fact_id, count(*) AS rows
      FROM examples
      WHERE dataset_id = :dataset_id AND state = 'kept'
      GROUP BY kind, form, fact_id) AS tallied
LEFT JOIN (SELECT id, clause FROM facts WHERE dataset_id = :dataset_id) AS told ON told.id = tallied.fact_id
GROUP BY kind, form, clause
"""

CONDITIONS = {
    "state": "state = :state",
    "split": "split = :split",
    "kind": "kind = :kind",
    "reason": "reason = :reason",
    "clause": "fact_id IN (SELECT id FROM facts WHERE dataset_id = :dataset_id AND clause = :clause)",
    "text": r"(question LIKE :text ESCAPE '\' OR answer LIKE :text ESCAPE '\')",
}
"""Only those that were asked for stand in the query: the index by state then serves most of them."""


class RowFilter(TypedDict, total=False):
    """Which rows of a ledger are meant; what is not given lets all pass."""

    state: RowState | None
    split: Split | None
    kind: ExampleKind | None
    reason: str
    clause: str  # the clause of the row's fact
    text: str  # stands somewhere in the question or the answer, whatever its case


class Datasets(Connection):
    """What `Store` knows of dataset versions."""

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

    def finish_dataset(
        self, dataset_id: int, *, revised: Sequence[LedgerRow] = (), noted: Mapping[str, Any] | None = None, now: str
    ) -> DatasetVersion:
        """
        Close the version: from here on nothing in it changes, and the file itself refuses to.

        `revised`: rows whose last word differs from what was written with them; `noted`: what its recipe can say only now.
        Both are written in the same transaction.
        """
        with self.writing() as db:
            if not db.execute("SELECT finished_at FROM datasets WHERE id = ?", [dataset_id]).fetchone()[0]:
                db.conn.executemany(
                    "UPDATE examples SET state = ?, reason = ?, split = ? WHERE dataset_id = ? AND id = ?",
                    [(row.state, row.reason, row.split, dataset_id, row.example.id) for row in revised],
                )
                recipe = json.loads(db.execute("SELECT recipe FROM datasets WHERE id = ?", [dataset_id]).fetchone()[0])
                counts = next(iter(db.query(COUNTS, [dataset_id])))
                db.execute(
                    "UPDATE datasets SET finished_at = ?, counts = ?, recipe = ? WHERE id = ?",
                    [now, json.dumps(counts), json.dumps({**recipe, **(noted or {})}), dataset_id],
                )
        return self.dataset_by_id(dataset_id)

    def discard_dataset(self, dataset_id: int) -> None:
        """Take back a version that was never finished. Raises InvalidInput for a finished one."""
        with self.writing() as db:
            _refuse_finished(db, dataset_id)
            for table, column in (("examples", "dataset_id"), ("facts", "dataset_id"), ("datasets", "id")):
                db.execute(f"DELETE FROM {table} WHERE {column} = ?", [dataset_id])

    def datasets(self, *, finished: bool = True) -> list[DatasetVersion]:
        """Every finished version, newest first; or those whose making was broken off or still goes on."""
        with self.reading() as db:
            wanted = "IS NOT NULL" if finished else "IS NULL"
            rows = list(db.query(f"SELECT * FROM datasets WHERE finished_at {wanted} ORDER BY id DESC"))
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
        offset: int = 0,
        limit: int | None = None,
        **where: Unpack[RowFilter],
    ) -> list[LedgerRow]:
        """The ledger of a version in the order it was written; a page of it with `offset` and `limit`."""
        chosen, given = _filtered(dataset_id, where)
        sql = f"SELECT * {chosen} ORDER BY position LIMIT :limit OFFSET :offset"
        page = {"offset": offset, "limit": -1 if limit is None else limit}
        with self.reading() as db:
            return [_ledger_row(row) for row in db.query(sql, {**given, **page})]

    def count_rows(self, dataset_id: int, **where: Unpack[RowFilter]) -> int:
        """How many rows `rows` would give."""
        chosen, given = _filtered(dataset_id, where)
        with self.reading() as db:
            return int(db.execute(f"SELECT count(*) {chosen}", given).fetchone()[0])

    def row(self, dataset_id: int, example_id: str) -> LedgerRow:
        """One row of a version by its example's id. Raises NotFound."""
        with self.reading() as db:
            sql = "SELECT * FROM examples WHERE dataset_id = ? AND id = ?"
            for row in list(db.query(sql, [dataset_id, example_id])):
                return _ledger_row(row)
        raise NotFound(f"Row {example_id} is not in this dataset version. Reload the page.")

    def row_ids(self, dataset_id: int) -> list[str]:
        """The ids of all rows in the order they were written."""
        with self.reading() as db:
            sql = "SELECT id FROM examples WHERE dataset_id = ? ORDER BY position"
            return [row[0] for row in db.execute(sql, [dataset_id])]

    def balance(self, dataset_id: int) -> dict[tuple[str, str, str], int]:
        """(kind, form, clause) -> kept rows; the clause is "" where a row stands on no fact of the version."""
        with self.reading() as db:
            rows = db.query(BALANCE, {"dataset_id": dataset_id})
            return {(row["kind"], row["form"], row["clause"]): row["rows"] for row in rows}

    def rejections(self, dataset_id: int) -> dict[str, int]:
        """Reason -> rows, commonest first."""
        with self.reading() as db:
            return {row["reason"]: row["rows"] for row in db.query(REASONS, [dataset_id])}


def _filtered(dataset_id: int, where: RowFilter) -> tuple[str, dict[str, Any]]:
    """The query's second half with the conditions that were asked for, and what stands in their places."""
    given = {name: value for name, value in where.items() if value}
    conditions = ["dataset_id = :dataset_id", *(CONDITIONS[name] for name in given)]
    if "text" in given:
        plain = re.sub(r"([\\%_])", r"\\\1", str(given["text"]))
        given["text"] = f"%{plain}%"
    return f"FROM examples WHERE {' AND '.join(conditions)}", {"dataset_id": dataset_id, **given}


def _refuse_finished(db: Database, dataset_id: int) -> None:
    if db.execute("SELECT finished_at FROM datasets WHERE id = ?", [dataset_id]).fetchone()[0]:
        raise InvalidInput("A finished dataset version is never changed. Make the next version instead.")


def _dataset(db: Database, row: Mapping[str, Any]) -> DatasetVersion:
    counts = json.loads(row["counts"]) if row["counts"] else next(iter(db.query(COUNTS, [row["id"]])))
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

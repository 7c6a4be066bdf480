"""Opening the SQLite file: one connection a call, one writer at a time, its troubles in the user's words."""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Lock

from sqlite_utils import Database

from engine.errors import Busy, TouchstoneError, Unavailable
from engine.migrations import migrations


@dataclass(frozen=True)
class Connection:
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
        """
        One transaction, begun IMMEDIATE so that two writers queue instead of deadlocking; all or nothing.

        Threads of this process wait for each other here: SQLite's own waiting polls, and lets latecomers overtake.
        """
        with _turn(self.path.resolve()), self.reading() as db:
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


@cache
def _turn(path: Path) -> Lock:
    return Lock()


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

"""How the SQLite file came to look as it does. Append-only: a change to the schema is a new function at the end."""

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

migrations = Migrations("touchstone")

DOCUMENTS_AND_DATASETS = """
CREATE TABLE documents (
    id         TEXT PRIMARY KEY,
    name       TEXT NOT NULL,
    media_type TEXT NOT NULL,
    page_count INTEGER,
    text       TEXT NOT NULL,
    added_at   TEXT NOT NULL
);
CREATE TABLE passages (
    document_id TEXT NOT NULL REFERENCES documents(id),
    position    INTEGER NOT NULL,
    id          TEXT NOT NULL,
    heading     TEXT NOT NULL, -- JSON list, outermost first
    page        INTEGER,
    text        TEXT NOT NULL,
    start       INTEGER NOT NULL,
    "end"       INTEGER NOT NULL,
    kind        TEXT NOT NULL,
    lead_in     TEXT NOT NULL,
    PRIMARY KEY (document_id, position)
);
CREATE INDEX passages_by_id ON passages(id);
CREATE TABLE datasets (
    id          INTEGER PRIMARY KEY,
    name        TEXT NOT NULL,
    number      INTEGER NOT NULL,
    task        TEXT NOT NULL,
    created_at  TEXT NOT NULL,
    parent_id   INTEGER REFERENCES datasets(id),
    documents   TEXT NOT NULL, -- JSON list of ids
    recipe      TEXT NOT NULL, -- JSON
    finished_at TEXT,          -- null while rows are still arriving; such a version is not offered for training
    UNIQUE (name, number)
);
CREATE TABLE facts (
    dataset_id INTEGER NOT NULL REFERENCES datasets(id),
    id         TEXT NOT NULL,
    passage_id TEXT NOT NULL,
    clause     TEXT NOT NULL,
    kind       TEXT NOT NULL,
    statement  TEXT NOT NULL,
    evidence   TEXT NOT NULL,
    value      TEXT NOT NULL,
    PRIMARY KEY (dataset_id, id)
);
CREATE TABLE examples (
    dataset_id INTEGER NOT NULL REFERENCES datasets(id),
    position   INTEGER NOT NULL,
    id         TEXT NOT NULL,
    fact_id    TEXT NOT NULL,
    kind       TEXT NOT NULL,
    form       TEXT NOT NULL,
    question   TEXT NOT NULL,
    answer     TEXT NOT NULL,
    evidence   TEXT NOT NULL,
    passage_id TEXT NOT NULL,
    origin     TEXT NOT NULL,
    state      TEXT NOT NULL CHECK (state IN ('kept', 'rejected', 'failed')),
    reason     TEXT NOT NULL,
    split      TEXT CHECK (split IN ('train', 'probe', 'test')),
    PRIMARY KEY (dataset_id, position),
    UNIQUE (dataset_id, id),
    CHECK ((state = 'kept') = (split IS NOT NULL)),
    CHECK ((state = 'kept') = (reason = ''))
);
"""

BATTLES_VOTES_LABELS = """
CREATE TABLE battles (
    id          TEXT PRIMARY KEY, -- opaque; the only handle the browser gets
    task        TEXT NOT NULL,
    mode        TEXT NOT NULL,
    question    TEXT NOT NULL,
    model_a     TEXT NOT NULL,
    model_b     TEXT NOT NULL,
    digest_a    TEXT NOT NULL,
    digest_b    TEXT NOT NULL,
    decoding    TEXT NOT NULL, -- JSON
    created_at  TEXT NOT NULL,
    answer_a    TEXT NOT NULL DEFAULT '',
    answer_b    TEXT NOT NULL DEFAULT '',
    error       TEXT NOT NULL DEFAULT '',
    finished_at TEXT
);
CREATE TABLE votes (
    id         INTEGER PRIMARY KEY,
    battle_id  TEXT NOT NULL REFERENCES battles(id),
    rater      TEXT NOT NULL,
    choice     TEXT NOT NULL CHECK (choice IN ('a', 'b', 'tie', 'both_bad')),
    comment    TEXT NOT NULL DEFAULT '',
    repair     TEXT NOT NULL DEFAULT '',
    created_at TEXT NOT NULL
);
CREATE TABLE current_votes (
    battle_id TEXT NOT NULL REFERENCES battles(id),
    rater     TEXT NOT NULL,
    vote_id   INTEGER NOT NULL UNIQUE REFERENCES votes(id),
    PRIMARY KEY (battle_id, rater) -- one current vote per battle and rater
);
CREATE TRIGGER votes_are_never_changed BEFORE UPDATE ON votes
BEGIN SELECT RAISE(ABORT, 'votes are append-only'); END;
CREATE TRIGGER votes_are_never_deleted BEFORE DELETE ON votes
BEGIN SELECT RAISE(ABORT, 'votes are append-only'); END;
CREATE TABLE labels (
    id         INTEGER PRIMARY KEY,
    dataset_id INTEGER NOT NULL REFERENCES datasets(id),
    example_id TEXT NOT NULL,
    rater      TEXT NOT NULL,
    verdict    TEXT NOT NULL CHECK (verdict IN ('right', 'wrong', 'should_refuse', 'should_not_refuse', 'unclear')),
    gold       TEXT NOT NULL DEFAULT '',
    created_at TEXT NOT NULL
);
CREATE TRIGGER labels_are_never_changed BEFORE UPDATE ON labels
BEGIN SELECT RAISE(ABORT, 'labels are append-only'); END;
CREATE TRIGGER labels_are_never_deleted BEFORE DELETE ON labels
BEGIN SELECT RAISE(ABORT, 'labels are append-only'); END;
CREATE TABLE evaluations (
    id         INTEGER PRIMARY KEY,
    task       TEXT NOT NULL,
    questions  TEXT NOT NULL,
    models     TEXT NOT NULL, -- JSON list of names
    report     TEXT NOT NULL, -- JSON
    created_at TEXT NOT NULL
);
CREATE TABLE promotions (
    id         INTEGER PRIMARY KEY,
    task       TEXT NOT NULL,
    action     TEXT NOT NULL CHECK (action IN ('promote', 'rollback')),
    model      TEXT NOT NULL,
    digest     TEXT NOT NULL,
    reason     TEXT NOT NULL,
    created_at TEXT NOT NULL
);
"""

GENERATION = """
-- JSON, written when the version is finished: it is counted once
ALTER TABLE datasets ADD COLUMN counts TEXT;
-- the question as it should be
ALTER TABLE labels ADD COLUMN question TEXT NOT NULL DEFAULT '';
CREATE INDEX examples_by_state ON examples(dataset_id, state, split, position);
CREATE INDEX examples_by_fact ON examples(dataset_id, fact_id);
CREATE TABLE teacher_calls (
    digest     TEXT PRIMARY KEY, -- of the model, the prompt and the decoding: a call is paid once
    model      TEXT NOT NULL,
    prompt     TEXT NOT NULL,
    reply      TEXT NOT NULL,
    tokens_in  INTEGER NOT NULL,
    tokens_out INTEGER NOT NULL,
    created_at TEXT NOT NULL
);
CREATE TRIGGER finished_versions_are_never_changed BEFORE UPDATE ON datasets WHEN OLD.finished_at IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'a finished dataset version is never changed'); END;
CREATE TRIGGER finished_versions_are_never_deleted BEFORE DELETE ON datasets WHEN OLD.finished_at IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'a finished dataset version is never deleted'); END;
"""

VERDICTS = """
-- what the gate said of it then: promote, do not promote, not enough evidence, never measured; "" where nothing was asked
ALTER TABLE promotions ADD COLUMN verdict TEXT NOT NULL DEFAULT '';
-- on which report
ALTER TABLE promotions ADD COLUMN evaluation_id INTEGER REFERENCES evaluations(id);
-- why somebody did it against the gate
ALTER TABLE promotions ADD COLUMN override TEXT NOT NULL DEFAULT '';
"""

ANSWERS = """
CREATE TABLE answers (
    model_digest   TEXT NOT NULL,
    prompt_digest  TEXT NOT NULL, -- of the messages' words
    decoding       TEXT NOT NULL, -- JSON
    model          TEXT NOT NULL, -- as it was called then
    text           TEXT NOT NULL,
    tokens_in      INTEGER NOT NULL,
    tokens_out     INTEGER NOT NULL,
    latency_ms     REAL NOT NULL,
    first_token_ms REAL NOT NULL,
    created_at     TEXT NOT NULL,
    PRIMARY KEY (model_digest, prompt_digest, decoding) -- an answer is computed once
) WITHOUT ROWID;
"""

BLIND_BATTLES = """
ALTER TABLE battles ADD COLUMN rater TEXT NOT NULL DEFAULT '';
ALTER TABLE battles ADD COLUMN item TEXT NOT NULL DEFAULT '';
ALTER TABLE battles ADD COLUMN mirrors TEXT NOT NULL DEFAULT '';
ALTER TABLE battles ADD COLUMN history TEXT NOT NULL DEFAULT '[]';
ALTER TABLE battles ADD COLUMN proof_a TEXT NOT NULL DEFAULT '{}';
ALTER TABLE battles ADD COLUMN proof_b TEXT NOT NULL DEFAULT '{}';
ALTER TABLE battles ADD COLUMN flags TEXT NOT NULL DEFAULT '[]';
ALTER TABLE battles ADD COLUMN skipped_at TEXT;
CREATE INDEX battles_by_rater ON battles(rater);
-- JSON list
ALTER TABLE votes ADD COLUMN reasons TEXT NOT NULL DEFAULT '[]';
CREATE TABLE withdrawals (
    vote_id    INTEGER PRIMARY KEY REFERENCES votes(id),
    created_at TEXT NOT NULL
);
CREATE TRIGGER withdrawals_are_never_changed BEFORE UPDATE ON withdrawals
BEGIN SELECT RAISE(ABORT, 'withdrawals are append-only'); END;
CREATE TRIGGER withdrawals_are_never_deleted BEFORE DELETE ON withdrawals
BEGIN SELECT RAISE(ABORT, 'withdrawals are append-only'); END;
CREATE TABLE reveals (
    battle_id  TEXT NOT NULL REFERENCES battles(id),
    rater      TEXT NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (battle_id, rater)
);
CREATE TABLE review_queues (
    id         INTEGER PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    task       TEXT NOT NULL,
    mode       TEXT NOT NULL,
    model_x    TEXT NOT NULL,
    model_y    TEXT NOT NULL,
    overlap    INTEGER NOT NULL CHECK (overlap >= 0), -- 0: every rater gets every question
    decoding   TEXT NOT NULL, -- JSON
    created_at TEXT NOT NULL
);
CREATE TABLE review_items (
    queue_id  INTEGER NOT NULL REFERENCES review_queues(id),
    position  INTEGER NOT NULL,
    question  TEXT NOT NULL,
    answer_x  TEXT NOT NULL DEFAULT '',
    answer_y  TEXT NOT NULL DEFAULT '',
    proof_x   TEXT NOT NULL DEFAULT '{}',
    proof_y   TEXT NOT NULL DEFAULT '{}',
    error     TEXT NOT NULL DEFAULT '', -- such a question is never dealt
    frozen_at TEXT,
    PRIMARY KEY (queue_id, position)
);
CREATE TABLE review_deals (
    queue_id  INTEGER NOT NULL,
    position  INTEGER NOT NULL,
    rater     TEXT NOT NULL,
    battle_id TEXT NOT NULL UNIQUE REFERENCES battles(id),
    PRIMARY KEY (queue_id, position, rater),
    FOREIGN KEY (queue_id, position) REFERENCES review_items(queue_id, position)
);
"""

LEDGER_OF_A_FINISHED_VERSION = """
CREATE TRIGGER finished_{table}_are_never_{past} BEFORE {action} ON {table}
WHEN (SELECT finished_at FROM datasets WHERE id = {row}.dataset_id) IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'the {table} of a finished dataset version are never {past}'); END;
"""


@migrations()
def m001_documents_and_datasets(db: Database) -> None:
    """Documents, passages, dataset versions, their facts and the ledger of their rows."""
    _run(db, DOCUMENTS_AND_DATASETS)


@migrations()
def m002_battles_votes_labels(db: Database) -> None:
    """Everything people said, and what is live."""
    _run(db, BATTLES_VOTES_LABELS)


@migrations()
def m003_generation(db: Database) -> None:
    """A version that is generated step by step, what a teacher was paid for, and finished versions that the file protects."""
    _run(db, GENERATION)
    for table in ("examples", "facts"):
        for action, past, row in (
            ("INSERT", "added", "NEW"),
            ("UPDATE", "changed", "OLD"),
            ("DELETE", "deleted", "OLD"),
        ):
            _run(db, LEDGER_OF_A_FINISHED_VERSION.format(table=table, action=action, past=past, row=row))


@migrations()
def m004_verdicts(db: Database) -> None:
    """On what evidence a model went live, or against what."""
    _run(db, VERDICTS)


@migrations()
def m005_answers(db: Database) -> None:
    """Answers that were computed once, so that an evaluation broken off goes on."""
    _run(db, ANSWERS)


@migrations()
def m006_blind_battles(db: Database) -> None:
    """Whose battle it is, its turns and proofs; reasons, withdrawals and reveals of votes; review queues."""
    _run(db, BLIND_BATTLES)


def _run(db: Database, script: str) -> None:
    """Statement by statement inside the migration's transaction; `executescript` would commit it half-way."""
    statement = ""
    for line in script.splitlines():
        statement += line + "\n"
        trigger_body = "CREATE TRIGGER" in statement and "END;" not in statement
        if line.rstrip().endswith(";") and not trigger_body:
            db.execute(statement)
            statement = ""

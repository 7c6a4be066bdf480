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

LABELLING_DESK = """
ALTER TABLE labels ADD COLUMN grounded TEXT NOT NULL DEFAULT '' CHECK (grounded IN ('yes', 'no', ''));
-- JSON list of words
ALTER TABLE labels ADD COLUMN tags TEXT NOT NULL DEFAULT '[]';
ALTER TABLE labels ADD COLUMN seconds REAL NOT NULL DEFAULT 0;
ALTER TABLE labels ADD COLUMN settles INTEGER NOT NULL DEFAULT 0;
-- JSON object, by the task's schema
ALTER TABLE labels ADD COLUMN form TEXT NOT NULL DEFAULT '{}';
CREATE INDEX labels_by_row ON labels(dataset_id, example_id, rater);
CREATE TABLE desk_plans (
    id         INTEGER PRIMARY KEY,
    dataset_id INTEGER NOT NULL REFERENCES datasets(id),
    raters     INTEGER NOT NULL,
    shared     REAL NOT NULL,
    guidelines TEXT NOT NULL,
    rater      TEXT NOT NULL,
    created_at TEXT NOT NULL
);
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

TALLIES = """
-- two models that met in a task and mode; first and second by name and digest, whatever side they stood on
CREATE TABLE pairs (
    id            INTEGER PRIMARY KEY,
    task          TEXT NOT NULL,
    mode          TEXT NOT NULL,
    first         TEXT NOT NULL,
    first_digest  TEXT NOT NULL,
    second        TEXT NOT NULL,
    second_digest TEXT NOT NULL,
    UNIQUE (task, mode, first, first_digest, second, second_digest)
);
CREATE TABLE asked (
    id       INTEGER PRIMARY KEY,
    question TEXT NOT NULL UNIQUE
);
-- each current vote as the ranking counts it
CREATE TABLE ballots (
    vote_id     INTEGER PRIMARY KEY REFERENCES votes(id),
    pair_id     INTEGER NOT NULL REFERENCES pairs(id),
    question_id INTEGER NOT NULL REFERENCES asked(id),
    rater       TEXT NOT NULL,
    longer      INTEGER NOT NULL, -- the lengths' difference over their sum, in tenths: 10 where only the first said anything
    outcome     TEXT NOT NULL CHECK (outcome IN ('first', 'second', 'tie', 'both_bad'))
);
CREATE INDEX ballots_by_question ON ballots(question_id, pair_id);
CREATE INDEX ballots_by_pair ON ballots(pair_id, vote_id);
CREATE TABLE rater_tallies (
    pair_id  INTEGER NOT NULL REFERENCES pairs(id),
    rater    TEXT NOT NULL,
    first    INTEGER NOT NULL DEFAULT 0,
    second   INTEGER NOT NULL DEFAULT 0,
    tie      INTEGER NOT NULL DEFAULT 0,
    both_bad INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (pair_id, rater)
) WITHOUT ROWID;
CREATE TABLE question_tallies (
    pair_id     INTEGER NOT NULL REFERENCES pairs(id),
    question_id INTEGER NOT NULL REFERENCES asked(id),
    first       INTEGER NOT NULL DEFAULT 0,
    second      INTEGER NOT NULL DEFAULT 0,
    tie         INTEGER NOT NULL DEFAULT 0,
    both_bad    INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (pair_id, question_id)
) WITHOUT ROWID;
"""

TAKE_A_BALLOT = """
CREATE TRIGGER a_current_vote_{name} AFTER {event} ON current_votes
BEGIN
    {before}
    INSERT INTO pairs (task, mode, first, first_digest, second, second_digest)
    SELECT task, mode,
           iif((model_a, digest_a) <= (model_b, digest_b), model_a, model_b),
           iif((model_a, digest_a) <= (model_b, digest_b), digest_a, digest_b),
           iif((model_a, digest_a) <= (model_b, digest_b), model_b, model_a),
           iif((model_a, digest_a) <= (model_b, digest_b), digest_b, digest_a)
    FROM battles
    WHERE battles.id = NEW.battle_id AND NOT EXISTS (
        SELECT 1 FROM pairs
        WHERE (pairs.task, pairs.mode) = (battles.task, battles.mode)
          AND ((first, first_digest, second, second_digest) = (model_a, digest_a, model_b, digest_b)
               OR (first, first_digest, second, second_digest) = (model_b, digest_b, model_a, digest_a)));
    INSERT INTO asked (question)
    SELECT question FROM battles
    WHERE id = NEW.battle_id AND NOT EXISTS (SELECT 1 FROM asked WHERE asked.question = battles.question);
    INSERT INTO ballots (vote_id, pair_id, question_id, rater, longer, outcome)
    SELECT votes.id, pairs.id, asked.id, votes.rater,
           round(10.0 * iif((first, first_digest) = (model_a, digest_a), 1, -1) * (length(answer_a) - length(answer_b))
                 / max(1, length(answer_a) + length(answer_b))),
           iif(votes.choice IN ('a', 'b'),
               iif((votes.choice = 'a') = ((first, first_digest) = (model_a, digest_a)), 'first', 'second'),
               votes.choice)
    FROM votes
    JOIN battles ON battles.id = votes.battle_id
    JOIN asked ON asked.question = battles.question
    JOIN pairs ON (pairs.task, pairs.mode) = (battles.task, battles.mode)
              AND ((first, first_digest, second, second_digest) = (model_a, digest_a, model_b, digest_b)
                   OR (first, first_digest, second, second_digest) = (model_b, digest_b, model_a, digest_a))
    WHERE votes.id = NEW.vote_id
    LIMIT 1;
END;
"""

COUNT_A_BALLOT = """
CREATE TRIGGER a_ballot_{name} AFTER {event} ON ballots
BEGIN
    INSERT INTO rater_tallies (pair_id, rater)
    SELECT {row}.pair_id, {row}.rater
    WHERE NOT EXISTS (SELECT 1 FROM rater_tallies WHERE (pair_id, rater) = ({row}.pair_id, {row}.rater));
    INSERT INTO question_tallies (pair_id, question_id)
    SELECT {row}.pair_id, {row}.question_id
    WHERE NOT EXISTS (
        SELECT 1 FROM question_tallies WHERE (pair_id, question_id) = ({row}.pair_id, {row}.question_id));
    UPDATE rater_tallies
    SET first = first {sign} ({row}.outcome = 'first'), second = second {sign} ({row}.outcome = 'second'),
        tie = tie {sign} ({row}.outcome = 'tie'), both_bad = both_bad {sign} ({row}.outcome = 'both_bad')
    WHERE (pair_id, rater) = ({row}.pair_id, {row}.rater);
    UPDATE question_tallies
    SET first = first {sign} ({row}.outcome = 'first'), second = second {sign} ({row}.outcome = 'second'),
        tie = tie {sign} ({row}.outcome = 'tie'), both_bad = both_bad {sign} ({row}.outcome = 'both_bad')
    WHERE (pair_id, question_id) = ({row}.pair_id, {row}.question_id);
END;
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
def m006_tallies(db: Database) -> None:
    """What the votes come to, counted as they are given, so that a ranking of a million votes reads some thousand rows."""
    _run(db, TALLIES)
    gone = "DELETE FROM ballots WHERE vote_id = OLD.vote_id;"
    for name, event, before in (("is_given", "INSERT", ""), ("is_changed", "UPDATE OF vote_id", gone)):
        _run(db, TAKE_A_BALLOT.format(name=name, event=event, before=before))
    _run(db, f"CREATE TRIGGER a_current_vote_is_withdrawn AFTER DELETE ON current_votes\nBEGIN\n{gone}\nEND;\n")
    for name, event, row, sign in (("is_counted", "INSERT", "NEW", "+"), ("is_taken_out", "DELETE", "OLD", "-")):
        _run(db, COUNT_A_BALLOT.format(name=name, event=event, row=row, sign=sign))
    db.execute("UPDATE current_votes SET vote_id = vote_id")  # the votes there are already


@migrations()
def m007_labelling_desk(db: Database) -> None:
    """What else a rater says of a row, how long it took, who settled a disagreement, and how rows are dealt."""
    _run(db, LABELLING_DESK)


@migrations()
def m008_blind_battles(db: Database) -> None:
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

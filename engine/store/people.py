"""What people said and decided, in the SQLite file: battles, votes, labels, evaluations, promotions."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from engine.errors import InvalidInput, NotFound
from engine.records import Battle, Choice, Decoding, DeskPlan, Label, Reason, Vote
from engine.store.connection import Connection

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
       votes.reasons    AS vote_reasons,
       votes.created_at AS vote_created_at
FROM current_votes
JOIN votes   ON votes.id = current_votes.vote_id
JOIN battles ON battles.id = votes.battle_id
ORDER BY votes.id
"""

CURRENT_VOTE = """
SELECT votes.*
FROM current_votes
JOIN votes ON votes.id = current_votes.vote_id
WHERE current_votes.battle_id = ? AND current_votes.rater = ?
"""

IN_JSON = ("decoding", "history", "proof_a", "proof_b", "flags")

LATEST_LABELS = """
SELECT labels.*
FROM labels
JOIN (SELECT max(id) AS id FROM labels WHERE dataset_id = ? GROUP BY example_id, rater) AS latest USING (id)
ORDER BY labels.id
"""


class People(Connection):
    """What `Store` knows of what people said."""

    def add_battle(self, battle: Battle) -> None:
        """Save a battle before its first token."""
        with self.writing() as db:
            insert_battle(db, battle)

    def finish_battle(
        self,
        battle_id: str,
        *,
        answer_a: str,
        answer_b: str,
        error: str,
        now: str,
        proof_a: Mapping[str, Any] | None = None,
        proof_b: Mapping[str, Any] | None = None,
        flags: Sequence[str] = (),
    ) -> None:
        """Save both answers at once. A battle that was finished before keeps what it had; flags add to what it has."""
        with self.writing() as db:
            for row in list(db.query("SELECT flags FROM battles WHERE id = ? AND finished_at IS NULL", [battle_id])):
                noted = list(dict.fromkeys([*json.loads(row["flags"]), *flags]))
                db.execute(
                    "UPDATE battles SET answer_a = ?, answer_b = ?, error = ?, finished_at = ?, proof_a = ?, proof_b = ?, flags = ?"
                    " WHERE id = ?",
                    [
                        *(answer_a, answer_b, error, now),
                        *(json.dumps(proof_a or {}), json.dumps(proof_b or {}), json.dumps(noted), battle_id),
                    ],
                )

    def battle(self, battle_id: str) -> Battle:
        """One battle. Raises NotFound, which is also what a forged id gets."""
        with self.reading() as db:
            for row in list(db.query("SELECT * FROM battles WHERE id = ?", [battle_id])):
                return read_battle(row)
        raise NotFound("This battle is not known here. Ask a new question.")

    def battles(self) -> list[Battle]:
        """Every battle, oldest first."""
        with self.reading() as db:
            return [read_battle(row) for row in db.query("SELECT * FROM battles ORDER BY created_at, id")]

    def add_vote(
        self,
        battle_id: str,
        *,
        rater: str,
        choice: Choice,
        comment: str = "",
        repair: str = "",
        reasons: Sequence[Reason] = (),
        finished_at: str | None = None,
        now: str,
    ) -> Vote:
        """
        Append a verdict and make it the rater's current one, in one transaction. The same verdict again adds nothing.

        The primary key of current_votes (battle, rater) is what holds "one current vote"; an earlier verdict stays in votes.
        Raises InvalidInput once the rater was told who was who, and when the battle is not as it was at `finished_at` any more.
        """
        said = [choice, comment, repair, json.dumps(list(reasons))]
        with self.writing() as db:
            told = "SELECT 1 FROM reveals WHERE battle_id = ? AND rater = ?"
            if list(db.query(told, [battle_id, rater])):
                raise InvalidInput(
                    "You have been told who was who, so a verdict would not be blind any more. Yours stays as it is: go to the next."
                )
            moved = "SELECT 1 FROM battles WHERE id = ? AND (finished_at IS NOT ? OR skipped_at IS NOT NULL)"
            if finished_at is not None and list(db.query(moved, [battle_id, finished_at])):
                raise InvalidInput("The talk went on or was passed over meanwhile. Read both answers again, then vote.")
            for row in list(db.query(CURRENT_VOTE, [battle_id, rater])):
                if [row["choice"], row["comment"], row["repair"], row["reasons"]] == said:
                    return stored_vote(row)
            vote_id = db.execute(
                "INSERT INTO votes (battle_id, rater, choice, comment, repair, reasons, created_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                [battle_id, rater, *said, now],
            ).lastrowid
            db.execute(
                "INSERT INTO current_votes (battle_id, rater, vote_id) VALUES (?, ?, ?)"
                " ON CONFLICT (battle_id, rater) DO UPDATE SET vote_id = excluded.vote_id",
                [battle_id, rater, vote_id],
            )
        assert vote_id is not None
        return Vote(vote_id, battle_id, rater, choice, now, comment, repair, tuple(reasons))

    def votes(self) -> list[Vote]:
        """The current vote of each rater on each battle, oldest first."""
        with self.reading() as db:
            return [stored_vote(row) for row in db.query(CURRENT_VOTES)]

    def vote_history(self, battle_id: str) -> list[Vote]:
        """Every verdict ever given on a battle, oldest first."""
        with self.reading() as db:
            found = db.query("SELECT * FROM votes WHERE battle_id = ? ORDER BY id", [battle_id])
            return [stored_vote(row) for row in found]

    def voted_battles(self) -> list[tuple[Battle, Vote]]:
        """Each current vote with its battle."""
        with self.reading() as db:
            return [(read_battle(row), _vote(row)) for row in db.query(VOTED_BATTLES)]

    # Labels

    def add_label(self, label: Label) -> Label:
        """Append a judgement; the newest of a rater on a row is the current one. The id of `label` is ignored."""
        row = asdict(label) | {"tags": json.dumps(label.tags), "form": json.dumps(dict(label.form))}
        del row["id"]
        with self.writing() as db:
            names, marks = ", ".join(row), ", ".join(f":{name}" for name in row)
            label_id = db.execute(f"INSERT INTO labels ({names}) VALUES ({marks})", row).lastrowid
        assert label_id is not None
        return replace(label, id=label_id)

    def labels(self, dataset_id: int) -> list[Label]:
        """The current label of each rater on each row of a version."""
        with self.reading() as db:
            return [_label(row) for row in db.query(LATEST_LABELS, [dataset_id])]

    def label_history(self, dataset_id: int, example_id: str, rater: str) -> list[Label]:
        """Every judgement a rater ever gave on a row, oldest first."""
        with self.reading() as db:
            sql = "SELECT * FROM labels WHERE dataset_id = ? AND example_id = ? AND rater = ? ORDER BY id"
            return [_label(row) for row in db.query(sql, [dataset_id, example_id, rater])]

    def set_desk_plan(self, plan: DeskPlan) -> None:
        """From now on the rows are dealt so; earlier plans stay on record."""
        row = asdict(plan)
        with self.writing() as db:
            names, marks = ", ".join(row), ", ".join(f":{name}" for name in row)
            db.execute(f"INSERT INTO desk_plans ({names}) VALUES ({marks})", row)

    def desk_plan(self, dataset_id: int) -> DeskPlan:
        """The plan that holds; where none was set, everybody judges every row."""
        with self.reading() as db:
            sql = "SELECT * FROM desk_plans WHERE dataset_id = ? ORDER BY id DESC LIMIT 1"
            for row in db.query(sql, [dataset_id]):
                return DeskPlan(**{name: row[name] for name in DeskPlan.__dataclass_fields__})
        return DeskPlan(dataset_id)

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

    def add_promotion(
        self,
        *,
        task: str,
        action: str,
        model: str,
        digest: str,
        reason: str,
        now: str,
        verdict: str = "",
        evaluation_id: int | None = None,
        override: str = "",
    ) -> None:
        """Put on record that `model` is live for `task`, by a "promote" or a "rollback", and what the gate said of it."""
        with self.writing() as db:
            db.execute(
                "INSERT INTO promotions (task, action, model, digest, reason, created_at, verdict, evaluation_id, override)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [task, action, model, digest, reason, now, verdict, evaluation_id, override],
            )

    def promotions(self, task: str) -> list[dict[str, Any]]:
        """What went live for `task`, newest first, each as `add_promotion` took it, with id and created_at."""
        with self.reading() as db:
            return list(db.query("SELECT * FROM promotions WHERE task = ? ORDER BY id DESC", [task]))


def insert_battle(db: Any, battle: Battle) -> None:
    """Into an open transaction, so that what hangs on it is saved with it."""
    row = {name: json.dumps(value) if name in IN_JSON else value for name, value in asdict(battle).items()}
    names, marks = ", ".join(row), ", ".join(f":{name}" for name in row)
    db.execute(f"INSERT INTO battles ({names}) VALUES ({marks})", row)


def read_battle(row: Mapping[str, Any]) -> Battle:
    """A row of the table as the record."""
    found = {name: json.loads(row[name]) if name in IN_JSON else row[name] for name in Battle.__dataclass_fields__}
    lists = {name: tuple(found[name]) for name in ("history", "flags")}
    return Battle(**{**found, **lists, "decoding": Decoding(**found["decoding"])})


def stored_vote(row: Mapping[str, Any]) -> Vote:
    """A row of the table as the record."""
    return Vote(**{**row, "reasons": tuple(json.loads(row["reasons"]))})


def _vote(row: Mapping[str, Any]) -> Vote:
    return Vote(
        id=row["vote_id"],
        battle_id=row["id"],
        rater=row["vote_rater"],
        choice=row["vote_choice"],
        comment=row["vote_comment"],
        repair=row["vote_repair"],
        created_at=row["vote_created_at"],
        reasons=tuple(json.loads(row["vote_reasons"])),
    )


def _label(row: Mapping[str, Any]) -> Label:
    told = {"tags": tuple(json.loads(row["tags"])), "form": json.loads(row["form"]), "settles": bool(row["settles"])}
    return Label(**{**row, **told})

"""What people said and decided, in the SQLite file: battles, votes, labels, evaluations, promotions."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from engine.errors import NotFound
from engine.records import Battle, Choice, Decoding, DeskPlan, Label, Vote
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


class People(Connection):
    """What `Store` knows of what people said."""

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


def _label(row: Mapping[str, Any]) -> Label:
    told = {"tags": tuple(json.loads(row["tags"])), "form": json.loads(row["form"]), "settles": bool(row["settles"])}
    return Label(**{**row, **told})

"""Blind battles in the SQLite file: whose they are, drawn in pairs, their further turns, what raters were told or took back."""

import json
from collections.abc import Callable
from typing import Any

from engine.errors import InvalidInput
from engine.records import Battle, Turn, Vote
from engine.store.connection import Connection
from engine.store.people import CURRENT_VOTE, insert_battle, read_battle, stored_vote

LAST_OF_RATER = """
SELECT battles.*,
       EXISTS (SELECT 1 FROM reveals WHERE battle_id = battles.id AND reveals.rater = battles.rater) AS told
FROM battles
WHERE rater = :rater AND error = '' AND min(model_a, model_b) = min(:one, :other) AND max(model_a, model_b) = max(:one, :other)
ORDER BY rowid DESC
LIMIT 1
"""

OPEN_OF_RATER = """
SELECT *
FROM battles
WHERE rater = ? AND item = '' AND error = '' AND skipped_at IS NULL
  AND NOT EXISTS (SELECT 1 FROM current_votes WHERE battle_id = battles.id AND current_votes.rater = battles.rater)
  AND rowid = (SELECT max(rowid) FROM battles WHERE rater = ? AND item = '')
"""

ASKED_AND_TOLD = """
SELECT 1
FROM battles
JOIN reveals ON reveals.battle_id = battles.id AND reveals.rater = battles.rater
WHERE battles.rater = :rater AND lower(question) = lower(:question)
  AND min(model_a, model_b) = min(:one, :other) AND max(model_a, model_b) = max(:one, :other)
LIMIT 1
"""

PICKS_BY_SIDE = """
SELECT count(*) FILTER (WHERE choice = 'a') AS a, count(*) FILTER (WHERE choice = 'b') AS b
FROM current_votes
JOIN votes ON votes.id = current_votes.vote_id
"""

SIDES_BY_RATER = """
SELECT rater,
       min(model_a, model_b)                             AS one,
       max(model_a, model_b)                             AS other,
       count(*) FILTER (WHERE model_a < model_b)         AS one_left,
       count(*) FILTER (WHERE model_a > model_b)         AS other_left,
       count(*) FILTER (WHERE EXISTS (SELECT 1 FROM current_votes
                                      WHERE battle_id = battles.id AND current_votes.rater = battles.rater)) AS voted
FROM battles
WHERE error = '' AND rater <> ''
GROUP BY 1, 2, 3
ORDER BY 1, 2, 3
"""

Place = Callable[[Battle | None, bool], Battle]
"""(the rater's battle before with these models, whether its names were told) -> the battle to save."""


class Battles(Connection):
    """What `Store` knows of battles beyond their answers and votes."""

    def place_battle(self, place: Place, *, rater: str, models: tuple[str, str]) -> Battle:
        """Save the battle that `place` draws, looking at the rater's last one in the same transaction: two tabs never draw alike."""
        with self.writing() as db:
            return place_in(db, place, rater=rater, models=models)

    def was_told(self, rater: str, question: str, models: tuple[str, str]) -> bool:
        """Whether the rater asked these models the very question before and was told who was who."""
        given = {"rater": rater, "question": question, "one": models[0], "other": models[1]}
        with self.reading() as db:
            return bool(list(db.query(ASKED_AND_TOLD, given)))

    def open_battle_of(self, rater: str) -> Battle | None:
        """The live battle this rater has on the screen: the newest one, unless it is void, passed over or voted on."""
        with self.reading() as db:
            return next((read_battle(row) for row in list(db.query(OPEN_OF_RATER, [rater, rater]))), None)

    def add_turn(self, battle_id: str, question: str) -> Battle:
        """
        Put the turn that is complete into the history and open the next, in one transaction.

        Raises InvalidInput for a battle that is unfinished, void, passed over, frozen in a queue or voted on.
        """
        ready = (
            "SELECT * FROM battles WHERE id = ? AND finished_at IS NOT NULL AND error = '' AND skipped_at IS NULL AND item = ''"
            " AND NOT EXISTS (SELECT 1 FROM current_votes WHERE battle_id = battles.id)"
        )
        with self.writing() as db:
            for row in list(db.query(ready, [battle_id])):
                before = read_battle(row)
                turn: Turn = {
                    "question": before.question,
                    "answer_a": before.answer_a,
                    "answer_b": before.answer_b,
                }
                db.execute(
                    "UPDATE battles SET history = ?, question = ?, answer_a = '', answer_b = '', finished_at = NULL WHERE id = ?",
                    [json.dumps([*before.history, turn]), question, battle_id],
                )
                return read_battle(next(iter(list(db.query("SELECT * FROM battles WHERE id = ?", [battle_id])))))
        raise InvalidInput(
            "This talk cannot go on: it was voted on, passed over, or is not complete. Ask a new question."
        )

    def skip_battle(self, battle_id: str, *, now: str) -> None:
        """Mark it passed over; a battle that was voted on stays as it is."""
        with self.writing() as db:
            db.execute(
                "UPDATE battles SET skipped_at = ? WHERE id = ? AND skipped_at IS NULL"
                " AND NOT EXISTS (SELECT 1 FROM current_votes WHERE battle_id = battles.id)",
                [now, battle_id],
            )

    # What a rater said and was told

    def current_vote(self, battle_id: str, rater: str) -> Vote | None:
        """The rater's verdict as it stands; None where there is none."""
        with self.reading() as db:
            return next((stored_vote(row) for row in list(db.query(CURRENT_VOTE, [battle_id, rater]))), None)

    def withdraw_vote(self, battle_id: str, rater: str, *, now: str) -> Vote:
        """
        Take the current verdict back. It stays in the history, and so does that it was withdrawn.

        Raises InvalidInput when there is none, or when the rater was told who was who.
        """
        with self.writing() as db:
            if list(db.query("SELECT 1 FROM reveals WHERE battle_id = ? AND rater = ?", [battle_id, rater])):
                raise InvalidInput(
                    "You have been told who was who, so a verdict would not be blind any more. Go to the next."
                )
            for row in list(db.query(CURRENT_VOTE, [battle_id, rater])):
                db.execute("INSERT INTO withdrawals (vote_id, created_at) VALUES (?, ?)", [row["id"], now])
                db.execute("DELETE FROM current_votes WHERE battle_id = ? AND rater = ?", [battle_id, rater])
                return stored_vote(row)
        raise InvalidInput("There is no verdict of yours to take back. Choose one.")

    def withdrawn(self) -> set[int]:
        """Ids of the votes that were taken back."""
        with self.reading() as db:
            return {row["vote_id"] for row in db.query("SELECT vote_id FROM withdrawals")}

    def tell(self, battle_ids: list[str], rater: str, *, now: str) -> None:
        """Put on record that the rater was told who was who."""
        with self.writing() as db:
            for battle_id in battle_ids:
                db.execute(
                    "INSERT INTO reveals (battle_id, rater, created_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                    [battle_id, rater, now],
                )

    def told(self, battle_id: str, rater: str) -> bool:
        """Whether the rater was told who was who."""
        with self.reading() as db:
            return bool(list(db.query("SELECT 1 FROM reveals WHERE battle_id = ? AND rater = ?", [battle_id, rater])))

    def mirrored_by(self, battle: Battle) -> Battle | None:
        """The rater's next battle, whose sides are this one's turned round; void ones do not count."""
        sql = "SELECT * FROM battles WHERE rater = ? AND mirrors = ? AND error = '' ORDER BY rowid DESC LIMIT 1"
        with self.reading() as db:
            return next((read_battle(row) for row in list(db.query(sql, [battle.rater, battle.id]))), None)

    # For the owner

    def picks_by_side(self) -> tuple[int, int]:
        """How often the left and the right answer was found better, over every current vote."""
        with self.reading() as db:
            (row,) = list(db.query(PICKS_BY_SIDE))
        return row["a"], row["b"]

    def sides_by_rater(self) -> list[dict[str, Any]]:
        """For each rater and pair of models how often either stood left, as {rater, one, other, one_left, other_left, voted}."""
        with self.reading() as db:
            return list(db.query(SIDES_BY_RATER))


def place_in(db: Any, place: Place, *, rater: str, models: tuple[str, str]) -> Battle:
    """`place_battle` inside a transaction of the caller's."""
    given = {"rater": rater, "one": models[0], "other": models[1]}
    last = next(iter(list(db.query(LAST_OF_RATER, given))), None)
    battle = place(read_battle(last), bool(last["told"])) if last else place(None, False)
    insert_battle(db, battle)
    return battle

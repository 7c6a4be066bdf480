"""Review queues in the SQLite file: their questions, the frozen answers, and who was dealt what."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from engine.errors import InvalidInput, NotFound
from engine.records import Battle, Decoding, Mode, ReviewQueue
from engine.store.battles import Place, place_in
from engine.store.connection import Connection
from engine.store.people import read_battle

QUEUES = """
SELECT review_queues.*,
       (SELECT count(*) FROM review_items WHERE queue_id = review_queues.id) AS questions,
       (SELECT count(*) FROM review_items WHERE queue_id = review_queues.id AND frozen_at IS NOT NULL) AS frozen,
       (SELECT count(*) FROM review_items WHERE queue_id = review_queues.id AND error <> '') AS failed,
       count(battles.id) AS dealt,
       count(current_votes.vote_id) AS voted,
       count(battles.skipped_at) AS skipped
FROM review_queues
LEFT JOIN review_deals  ON review_deals.queue_id = review_queues.id
LEFT JOIN battles       ON battles.id = review_deals.battle_id
LEFT JOIN current_votes ON current_votes.battle_id = battles.id AND current_votes.rater = battles.rater
GROUP BY review_queues.id
ORDER BY review_queues.id DESC
"""

WAITING_OF_RATER = """
SELECT battles.*
FROM review_deals
JOIN battles ON battles.id = review_deals.battle_id
WHERE review_deals.queue_id = ? AND review_deals.rater = ? AND skipped_at IS NULL
  AND NOT EXISTS (SELECT 1 FROM current_votes WHERE battle_id = battles.id AND current_votes.rater = battles.rater)
ORDER BY battles.rowid
LIMIT 1
"""

FREE_FOR_RATER = """
SELECT review_items.*,
       count(battles.id) FILTER (WHERE battles.skipped_at IS NULL) AS dealt,
       count(current_votes.vote_id) AS voted
FROM review_items
LEFT JOIN review_deals  ON review_deals.queue_id = review_items.queue_id AND review_deals.position = review_items.position
LEFT JOIN battles       ON battles.id = review_deals.battle_id
LEFT JOIN current_votes ON current_votes.battle_id = battles.id AND current_votes.rater = battles.rater
WHERE review_items.queue_id = :queue AND review_items.frozen_at IS NOT NULL AND review_items.error = ''
  AND NOT EXISTS (SELECT 1 FROM review_deals AS mine
                  WHERE mine.queue_id = review_items.queue_id AND mine.position = review_items.position AND mine.rater = :rater)
GROUP BY review_items.position
"""

PROGRESS = """
SELECT review_deals.rater AS rater, count(*) AS dealt, count(current_votes.vote_id) AS voted, count(battles.skipped_at) AS skipped
FROM review_deals
JOIN battles ON battles.id = review_deals.battle_id
LEFT JOIN current_votes ON current_votes.battle_id = battles.id AND current_votes.rater = review_deals.rater
WHERE review_deals.queue_id = ?
GROUP BY 1
ORDER BY 1
"""

Item = Mapping[str, Any]
"""A question with its frozen answers, how many raters hold it and how many judged it: {position, …, dealt, voted}."""
Choose = Callable[[Sequence[Item]], Item | None]
PlaceItem = Callable[[Item], Place]


class Reviews(Connection):
    """What `Store` knows of review queues."""

    def add_queue(
        self,
        name: str,
        questions: Sequence[str],
        *,
        task: str,
        mode: Mode,
        models: tuple[str, str],
        overlap: int,
        decoding: Decoding,
        now: str,
    ) -> ReviewQueue:
        """Save a queue with its questions; the answers come later. Raises InvalidInput for a name that is taken."""
        with self.writing() as db:
            if list(db.query("SELECT 1 FROM review_queues WHERE name = ?", [name])):
                raise InvalidInput(f'There is a review queue "{name}" already. Choose another name.')
            cursor = db.execute(
                "INSERT INTO review_queues (name, task, mode, model_x, model_y, overlap, decoding, created_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [name, task, mode, *models, overlap, json.dumps(asdict(decoding)), now],
            )
            for position, question in enumerate(questions, start=1):
                db.execute(
                    "INSERT INTO review_items (queue_id, position, question) VALUES (?, ?, ?)",
                    [cursor.lastrowid, position, question],
                )
        return self.queue(name)

    def queues(self) -> list[ReviewQueue]:
        """Every queue with its counts, newest first."""
        with self.reading() as db:
            return [_queue(row) for row in db.query(QUEUES)]

    def queue(self, name: str) -> ReviewQueue:
        """One queue by name. Raises NotFound naming those there are."""
        found = self.queues()
        for queue in found:
            if queue.name == name:
                return queue
        known = ", ".join(queue.name for queue in found) or "none yet"
        raise NotFound(f'There is no review queue "{name}". There are: {known}.')

    def discard_queue(self, queue: ReviewQueue) -> None:
        """Take back a queue that nobody was dealt from. Raises InvalidInput for another one: what people saw stays."""
        with self.writing() as db:
            if list(db.query("SELECT 1 FROM review_deals WHERE queue_id = ? LIMIT 1", [queue.id])):
                raise InvalidInput(f'"{queue.name}" was dealt to raters, so it stays.')
            db.execute("DELETE FROM review_items WHERE queue_id = ?", [queue.id])
            db.execute("DELETE FROM review_queues WHERE id = ?", [queue.id])

    def unfrozen(self, queue: ReviewQueue) -> list[tuple[int, str]]:
        """(position, question) of those that have no answers yet, in order."""
        sql = "SELECT position, question FROM review_items WHERE queue_id = ? AND frozen_at IS NULL ORDER BY position"
        with self.reading() as db:
            return [(row["position"], row["question"]) for row in db.query(sql, [queue.id])]

    def freeze_item(
        self,
        queue: ReviewQueue,
        position: int,
        *,
        answers: tuple[str, str],
        proofs: tuple[Mapping[str, Any], Mapping[str, Any]],
        error: str,
        now: str,
    ) -> None:
        """Save both answers to a question at once, in the order of the queue's models; frozen ones stay as they are."""
        with self.writing() as db:
            db.execute(
                "UPDATE review_items SET answer_x = ?, answer_y = ?, proof_x = ?, proof_y = ?, error = ?, frozen_at = ?"
                " WHERE queue_id = ? AND position = ? AND frozen_at IS NULL",
                [*answers, *(json.dumps(proof) for proof in proofs), error, now, queue.id, position],
            )

    def frozen_items(self, queue: ReviewQueue) -> list[dict[str, Any]]:
        """Every question with its answers or its error: {position, question, answer_x, answer_y, error, frozen_at, …}."""
        with self.reading() as db:
            return list(db.query("SELECT * FROM review_items WHERE queue_id = ? ORDER BY position", [queue.id]))

    def waiting_battle(self, queue: ReviewQueue, rater: str) -> Battle | None:
        """What the rater was dealt and has not judged."""
        with self.reading() as db:
            found = list(db.query(WAITING_OF_RATER, [queue.id, rater]))
        return read_battle(found[0]) if found else None

    def deal_battle(self, queue: ReviewQueue, rater: str, choose: Choose, place: PlaceItem) -> Battle | None:
        """
        The rater's waiting battle, else a new one of the question that `choose` picks; None when nothing is left.

        One transaction: of two tabs, and of many raters at once, none is dealt past the overlap unless `choose` says so.
        """
        with self.writing() as db:
            for row in list(db.query(WAITING_OF_RATER, [queue.id, rater])):
                return read_battle(row)
            item = choose(list(db.query(FREE_FOR_RATER, {"queue": queue.id, "rater": rater})))
            if item is None:
                return None
            battle = place_in(db, place(item), rater=rater, models=queue.models)
            db.execute(
                "INSERT INTO review_deals (queue_id, position, rater, battle_id) VALUES (?, ?, ?, ?)",
                [queue.id, item["position"], rater, battle.id],
            )
        return battle

    def queue_progress(self, queue: ReviewQueue) -> list[dict[str, Any]]:
        """What each rater was dealt and did, as {rater, dealt, voted, skipped}."""
        with self.reading() as db:
            return list(db.query(PROGRESS, [queue.id]))


def _queue(row: Mapping[str, Any]) -> ReviewQueue:
    counted = ("questions", "frozen", "failed", "dealt", "voted", "skipped")
    return ReviewQueue(
        id=row["id"],
        name=row["name"],
        task=row["task"],
        mode=row["mode"],
        models=(row["model_x"], row["model_y"]),
        overlap=row["overlap"],
        decoding=Decoding(**json.loads(row["decoding"])),
        created_at=row["created_at"],
        counts={name: row[name] for name in counted},
    )

"""What the votes come to, counted in SQL: pairs of models, and each rater's and each question's share in them."""

import json
from collections.abc import Sequence

from engine.records import Contender, Tally
from engine.store.connection import Connection

PAIRS = """
SELECT pairs.id, mode, first, first_digest, second, second_digest
FROM pairs
WHERE task = ? AND EXISTS (SELECT 1 FROM ballots WHERE ballots.pair_id = pairs.id)
ORDER BY mode, first, first_digest, second, second_digest
"""

BY_QUESTION = """
SELECT pair_id, question_id, 0, question_tallies.first, question_tallies.second, tie, both_bad
FROM question_tallies
JOIN pairs ON pairs.id = pair_id
WHERE task = ?
ORDER BY pair_id, question_id
"""

BY_RATER = """
SELECT pair_id, rater, 0, sum(won), sum(lost), sum(even), sum(bad)
FROM (SELECT pair_id, rater, rater_tallies.first AS won, rater_tallies.second AS lost, tie AS even, both_bad AS bad
      FROM rater_tallies
      JOIN pairs ON pairs.id = pair_id
      WHERE task = :task
      UNION ALL
      SELECT ballots.pair_id, rater, -(outcome = 'first'), -(outcome = 'second'), -(outcome = 'tie'), -(outcome = 'both_bad')
      FROM json_each(:without) AS left_out
      CROSS JOIN ballots ON ballots.pair_id = json_extract(left_out.value, '$[0]')
                  AND ballots.question_id = json_extract(left_out.value, '$[1]')
      JOIN pairs ON pairs.id = ballots.pair_id
      WHERE task = :task)
GROUP BY pair_id, rater
ORDER BY pair_id, rater
"""

WITH_LENGTHS = """
SELECT ballots.pair_id, {cluster}, longer,
       sum(outcome = 'first'), sum(outcome = 'second'), sum(outcome = 'tie'), sum(outcome = 'both_bad')
FROM ballots
JOIN pairs ON pairs.id = ballots.pair_id
LEFT JOIN (SELECT json_extract(value, '$[0]') AS out_pair, json_extract(value, '$[1]') AS out_question
           FROM json_each(:without)) AS left_out
       ON (out_pair, out_question) = (ballots.pair_id, ballots.question_id)
WHERE task = :task AND out_pair IS NULL
GROUP BY 1, 2, 3
ORDER BY 1, 2, 3
"""


class Tallies(Connection):
    """What `Store` knows of the votes, counted; the file keeps the counts up to date vote by vote."""

    def pairs(self, task: str) -> dict[int, tuple[Contender, Contender]]:
        """The pairs that have a current vote, by their ids, in an order that no vote changes."""
        with self.reading() as db:
            return {
                int(row[0]): (Contender(row[2], row[3], row[1]), Contender(row[4], row[5], row[1]))
                for row in db.execute(PAIRS, [task])
            }

    def asked(self) -> dict[int, str]:
        """The questions of every vote, by their ids."""
        with self.reading() as db:
            return dict(db.execute("SELECT id, question FROM asked ORDER BY id").fetchall())

    def question_tallies(self, task: str) -> list[Tally]:
        """What the raters said on each question, pair by pair."""
        with self.reading() as db:
            return [Tally._make(row) for row in db.execute(BY_QUESTION, [task])]

    def rater_tallies(self, task: str, *, without: Sequence[tuple[int, int]] = ()) -> list[Tally]:
        """What each rater said, pair by pair; `without` these questions, as (pair, question)."""
        with self.reading() as db:
            return [Tally._make(row) for row in db.execute(BY_RATER, {"task": task, "without": json.dumps(without)})]

    def tallies_with_lengths(
        self, task: str, *, without: Sequence[tuple[int, int]] = ()
    ) -> tuple[list[Tally], list[Tally]]:
        """By rater and by question, each apart for every difference in length; reads every vote."""
        given = {"task": task, "without": json.dumps(without)}
        with self.reading() as db:
            by_rater, by_question = (
                [Tally._make(row) for row in db.execute(WITH_LENGTHS.format(cluster=cluster), given)]
                for cluster in ("rater", "question_id")
            )
            return by_rater, by_question

    def outcomes(self, pair_id: int, *, without: Sequence[int] = ()) -> list[str]:
        """What was said of a pair, vote by vote, in the order the votes were given: "first", "second", "tie", "both_bad"."""
        with self.reading() as db:
            sql = (
                "SELECT outcome FROM ballots WHERE pair_id = ? AND question_id NOT IN (SELECT value FROM json_each(?))"
                " ORDER BY vote_id"
            )
            return [row[0] for row in db.execute(sql, [pair_id, json.dumps(without)])]

    def ballots(self, task: str) -> list[tuple[int, int, str, str]]:
        """Every current vote as (pair, question, rater, outcome), in the order they were given."""
        with self.reading() as db:
            sql = (
                "SELECT pair_id, question_id, rater, outcome FROM ballots JOIN pairs ON pairs.id = pair_id WHERE task = ?"
                " ORDER BY vote_id"
            )
            return list(db.execute(sql, [task]).fetchall())

    def has_voted(self, task: str, rater: str) -> bool:
        """Whether this rater has a current vote in the task: only then may they see what others said."""
        with self.reading() as db:
            sql = (
                "SELECT 1 FROM rater_tallies JOIN pairs ON pairs.id = pair_id WHERE task = ? AND rater = ?"
                " AND rater_tallies.first + rater_tallies.second + tie + both_bad > 0 LIMIT 1"
            )
            return bool(list(db.execute(sql, [task, rater])))

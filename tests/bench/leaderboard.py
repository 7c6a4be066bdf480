"""
A million votes of six models in SQLite: how long until they are ranked, with intervals; beside arena-rank on the same votes.

arena-rank pins other versions of what we use, so it stands in an environment of its own: `python -m venv V && V/bin/pip install
arena-rank`, and ARENA_RANK=V/bin/python here. It gets the votes from memory; ours come from the file.
"""

import json
import os
import random
import sqlite3
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from engine.store import Store
from evals.ballots import read_ballots
from evals.ranking import rank

VOTES, RATERS, QUESTIONS = 1_000_000, 300, 3_000
TRUTH = {"m0": 1.0, "m1": 0.8, "m2": 0.6, "m3": 0.5, "m4": 0.3, "m5": 0.2}
CHUNK = 50_000
RUNS = 5
COUNT = """
INSERT INTO pairs (task, mode, first, first_digest, second, second_digest)
SELECT DISTINCT task, mode, min(model_a, model_b), '', max(model_a, model_b), '' FROM battles;
INSERT INTO asked (question) SELECT DISTINCT question FROM battles;
INSERT INTO ballots (vote_id, pair_id, question_id, rater, longer, outcome)
SELECT votes.id, pairs.id, asked.id, votes.rater,
       round(10.0 * iif(first = model_a, 1, -1) * (length(answer_a) - length(answer_b))
             / (length(answer_a) + length(answer_b))),
       iif(choice IN ('a', 'b'), iif((choice = 'a') = (first = model_a), 'first', 'second'), choice)
FROM votes
JOIN battles ON battles.id = votes.battle_id
JOIN asked ON asked.question = battles.question
JOIN pairs ON (first, second) = (min(model_a, model_b), max(model_a, model_b));
INSERT INTO rater_tallies
SELECT pair_id, rater, sum(outcome = 'first'), sum(outcome = 'second'), sum(outcome = 'tie'), sum(outcome = 'both_bad')
FROM ballots GROUP BY 1, 2;
INSERT INTO question_tallies
SELECT pair_id, question_id, sum(outcome = 'first'), sum(outcome = 'second'), sum(outcome = 'tie'), sum(outcome = 'both_bad')
FROM ballots GROUP BY 1, 2;
"""
PEER = """
import json, sys, time
import pandas as pd
from arena_rank.models.bradley_terry import BradleyTerry
from arena_rank.utils.data_utils import PairDataset
votes = pd.DataFrame(json.load(open(sys.argv[1])), columns=["model_a", "model_b", "winner"])
def once():
    began = time.perf_counter()
    data = PairDataset.from_pandas(votes)
    found = BradleyTerry(len(data.competitors)).compute_ratings_and_cis(data)
    scores = {name: float(score) for name, score in zip(data.competitors, found["ratings"])}
    return time.perf_counter() - began, scores
first, _ = once()
warm, scores = min(once() for _ in range(3))
print(json.dumps({"first_s": first, "warm_s": warm, "scores": scores}))
"""


def run() -> dict[str, Any]:
    """Fill the file, then read and rank it several times; the best time counts, for the peer too."""
    with tempfile.TemporaryDirectory() as folder:
        votes = _votes(random.Random(1))
        store = Store(Path(folder) / "votes.db")
        store.migrate()
        filled = _fill(store, votes)
        rank(read_ballots(store, "policy_qa"))  # the first run also loads libraries
        found, seconds, cpu = None, [], []
        for _ in range(RUNS):
            began, cpu_began = time.perf_counter(), time.process_time()
            found = rank(read_ballots(store, "policy_qa"))
            seconds.append(time.perf_counter() - began)
            cpu.append(time.process_time() - cpu_began)
        began = time.perf_counter()
        rank(read_ballots(store, "policy_qa", lengths=True), lengths=True, heads=False)
        controlled_s = time.perf_counter() - began
        peer = _peer(Path(folder), votes)
    assert found is not None and found.votes == VOTES
    ours = {standing.model: standing.score for standing in found.standings}
    theirs = peer["scores"] if peer else {}
    return {
        "ours": min(seconds),
        "peer": peer["warm_s"] if peer else None,
        "ratio": peer["warm_s"] / min(seconds) if peer else None,
        "unit": "seconds",
        "votes": VOTES,
        "models": len(TRUTH),
        "cpu_s": min(cpu),
        "length_controlled_s": controlled_s,
        "fill_s": filled,
        "peer_first_s": peer["first_s"] if peer else None,
        "largest_gap_in_points": max(abs(ours[name] - theirs[name]) for name in ours) if peer else None,
    }


def _votes(rng: random.Random) -> list[tuple[str, str, str, str, str]]:
    """(left, right, choice, rater, question)."""
    names = sorted(TRUTH)
    raters, questions = [f"rater {n}" for n in range(RATERS)], [f"Question number {n}?" for n in range(QUESTIONS)]
    found = []
    for _ in range(VOTES):
        left, right = rng.sample(names, 2)
        drawn = rng.random()
        chance = TRUTH[left] / (TRUTH[left] + TRUTH[right])
        choice = ("a" if drawn / 0.75 < chance else "b") if drawn < 0.75 else "tie" if drawn < 0.9 else "both_bad"
        found.append((left, right, choice, rng.choice(raters), rng.choice(questions)))
    return found


def _fill(store: Store, votes: list[tuple[str, str, str, str, str]]) -> float:
    """
    Battles, votes, ballots and tallies as the Arena and the file's triggers leave them, a million at once instead of one by one.

    The triggers are put aside for it: they take a minute and more. tests/test_tallies.py holds them to a recount.
    """
    began = time.perf_counter()
    with sqlite3.connect(store.path) as db:
        for (trigger,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            db.execute(f"DROP TRIGGER {trigger}")
        for start in range(0, VOTES, CHUNK):
            some = list(enumerate(votes[start : start + CHUNK], start=start + 1))
            db.executemany(
                "INSERT INTO battles (id, task, mode, question, model_a, model_b, digest_a, digest_b, decoding, created_at,"
                " answer_a, answer_b, finished_at) VALUES (?, 'policy_qa', 'closed', ?, ?, ?, '', '', '{}', '1', ?, ?, '2')",
                ((f"b{n}", q, a, b, "x" * (n % 97 + 20), "y" * (n % 89 + 20)) for n, (a, b, _, _, q) in some),
            )
            db.executemany(
                "INSERT INTO votes (id, battle_id, rater, choice, created_at) VALUES (?, ?, ?, ?, '3')",
                ((n, f"b{n}", rater, choice) for n, (_, _, choice, rater, _) in some),
            )
            db.executemany(
                "INSERT INTO current_votes (battle_id, rater, vote_id) VALUES (?, ?, ?)",
                ((f"b{n}", rater, n) for n, (_, _, _, rater, _) in some),
            )
            db.commit()
        db.executescript(COUNT)
    return time.perf_counter() - began


def _peer(folder: Path, votes: list[tuple[str, str, str, str, str]]) -> dict[str, Any] | None:
    """None where arena-rank is not named. "Both bad" is left out, as ours leaves it out of the scores."""
    python = os.environ.get("ARENA_RANK")
    if not python:
        return None
    label = {"a": "model_a", "b": "model_b", "tie": "tie"}
    (folder / "votes.json").write_text(json.dumps([(a, b, label[c]) for a, b, c, _, _ in votes if c in label]))
    done = subprocess.run([python, "-c", PEER, folder / "votes.json"], capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))

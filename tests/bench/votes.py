"""Acknowledged votes a second of 20 raters at once, how long one waits, and what kill -9 leaves of them. No peer."""

import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import quantiles
from typing import Any

from engine.battles import open_battle, vote
from engine.errors import Busy
from engine.store import Store
from engine.tasks.policy_qa import POLICY_QA
from tests.models import EchoModel

RATERS = 20
STEADY_S = 15
RUSH_S = 5
BATTLES = 400
POINTS = int(os.environ.get("BENCH_POINTS", "100"))
SOONEST_S, LATEST_S = 0.02, 0.5


def run() -> dict[str, Any]:
    """One vote a second each, then as fast as they can, then killed at POINTS random moments (BENCH_POINTS)."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "touchstone.db")
        store.migrate()
        battles = [_battle(store, number) for number in range(BATTLES)]
        steady, refused = _together(store, battles, every_s=1.0, seconds=STEADY_S, salt="steady")
        rushed, refused_too = _together(store, battles, every_s=0.0, seconds=RUSH_S, salt="rush")
        killed = [_killed(store, battles, point) for point in range(POINTS)]
        with store.reading() as db:
            (journal,) = db.execute("PRAGMA journal_mode").fetchone()
            (synchronous,) = db.execute("PRAGMA synchronous").fetchone()
    return {
        "ours": round(len(rushed) / RUSH_S, 1),
        "peer": None,
        "ratio": None,
        "unit": "votes/s",
        "p50_ms": round(1000 * quantiles(steady, n=100)[49], 1),
        "p99_ms": round(1000 * quantiles(steady, n=100)[98], 1),
        "rush_p99_ms": round(1000 * quantiles(rushed, n=100)[98], 1),
        "lock_errors": refused + refused_too,
        "points": POINTS,
        "acknowledged": sum(acknowledged for acknowledged, _, _ in killed),
        "lost": sum(lost for _, lost, _ in killed),
        "doubled": sum(doubled for _, _, doubled in killed),
        "journal": journal,
        "synchronous": {2: "FULL"}.get(synchronous, synchronous),
    }


def _battle(store: Store, number: int) -> str:
    models = (EchoModel("base"), EchoModel("tuned"))
    battle = open_battle(store, POLICY_QA, f"Question {number}?", models, rng=random.Random(number), now="1")
    store.finish_battle(battle.id, answer_a="one", answer_b="two", error="", now="2")
    return battle.id


def _together(
    store: Store, battles: list[str], *, every_s: float, seconds: float, salt: str
) -> tuple[list[float], int]:
    """(seconds that each vote took, how many were refused by a lock) of RATERS threads, as the page's handlers are."""

    def rate(rater: int) -> tuple[list[float], int]:
        taken, refused, began = [], 0, time.perf_counter()
        time.sleep(random.Random(rater).random() * every_s)
        for number in range(10**6):
            if (started := time.perf_counter()) - began > seconds:
                return taken, refused
            try:
                vote(
                    store,
                    battles[number % BATTLES],
                    rater=f"{salt} {rater}",
                    choice=("a", "b")[number // BATTLES % 2],
                    now="3",
                )
                taken.append(time.perf_counter() - started)
            except Busy:
                refused += 1
            time.sleep(max(0.0, every_s - (time.perf_counter() - started)))
        raise AssertionError("a million votes in a few seconds")

    with ThreadPoolExecutor(RATERS) as pool:
        found = list(pool.map(rate, range(RATERS)))
    return [second for taken, _ in found for second in taken], sum(refused for _, refused in found)


def _killed(store: Store, battles: list[str], point: int) -> tuple[int, int, int]:
    """(acknowledged, lost, doubled) votes of a process that 20 raters vote in until it is killed at a random moment."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _vote_until_killed(store, battles, point, writer)
    os.close(writer)
    heard = os.read(reader, 65536)
    time.sleep(random.Random(point).uniform(SOONEST_S, LATEST_S))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while more := os.read(reader, 65536):
        heard += more
    os.close(reader)
    said = [line.split("\t") for line in heard.decode().splitlines()]
    with store.reading() as db:
        rows = db.execute(
            "SELECT current_votes.battle_id, current_votes.rater, vote_id, choice FROM current_votes"
            " JOIN votes ON votes.id = vote_id WHERE current_votes.rater LIKE ?",
            [f"point {point} %"],
        ).fetchall()
        history = db.execute("SELECT battle_id, rater FROM votes WHERE rater LIKE ?", [f"point {point} %"]).fetchall()
    current = {(battle, rater): (str(vote_id), choice) for battle, rater, vote_id, choice in rows}
    lost = sum(current.get((battle, rater)) != (vote_id, choice) for battle, rater, vote_id, choice in said)
    doubled = sum(count - 1 for count in Counter(history).values())
    return len(said), lost, doubled


def _vote_until_killed(store: Store, battles: list[str], point: int, writer: int) -> None:
    """In the child: a line is written only once the vote is acknowledged. Never returns."""

    def rate(rater: int) -> None:
        name = f"point {point} {rater}"
        for number, battle in enumerate(battles):
            choice = ("a", "b", "tie", "both_bad")[number % 4]
            saved = vote(store, battle, rater=name, choice=choice, now="4")
            os.write(writer, f"{battle}\t{name}\t{saved.id}\t{choice}\n".encode())

    try:
        with ThreadPoolExecutor(RATERS) as pool:
            list(pool.map(rate, range(RATERS)))
        signal.pause()
    except BaseException as problem:  # nothing of the parent may run here
        print(problem, file=sys.stderr)
    finally:
        os._exit(1)

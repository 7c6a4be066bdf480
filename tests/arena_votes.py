"""Battles with votes, made in one line for tests of the ranking; and drawn from a truth that the test sets."""

import random
from collections.abc import Iterable, Sequence

import numpy as np

from engine.records import Battle, Choice, Contender, Decoding, Tally
from engine.store import Store
from evals.ballots import Ballots, ballots_of

OUTCOMES = ("first", "second", "tie", "both_bad")


def cast(
    store: Store,
    number: int | str,
    left: str,
    right: str,
    choice: Choice,
    *,
    rater: str = "ann",
    question: str = "How much leave?",
    answers: tuple[str, str] = ("Yes.", "No."),
    task: str = "policy_qa",
    mode: str = "closed",
    digests: tuple[str, str] = ("", ""),
) -> None:
    """A finished battle and a vote on it, through the store, as the Arena saves them."""
    store.add_battle(
        Battle(f"b{number}", task, mode, question, left, right, digests[0], digests[1], Decoding(), "1")  # type: ignore[arg-type]
    )
    store.finish_battle(f"b{number}", answer_a=answers[0], answer_b=answers[1], error="", now="2")
    store.add_vote(f"b{number}", rater=rater, choice=choice, now="3")


def ballots(*outcomes: tuple[str, str, str] | tuple[str, str, str, str] | tuple[str, str, str, str, str]) -> Ballots:
    """(left, right, "a", "b", "tie" or "both_bad", rater, question) of each vote; a rater and a question a vote where not said."""
    pairs: dict[tuple[str, str], int] = {}
    counted: list[dict[tuple[int, str, str], int]] = [{}, {}]
    for number, outcome in enumerate(outcomes):
        left, right, choice = outcome[:3]
        first, second = min(left, right), max(left, right)
        said = {"a": "first" if left == first else "second", "b": "second" if left == first else "first"}.get(
            choice, choice
        )
        pair = pairs.setdefault((first, second), len(pairs))
        for kind, cluster in enumerate(
            (outcome[3] if outcome[3:] else f"r{number}", outcome[4] if outcome[4:] else f"q{number}")
        ):
            key = (pair, cluster, said)
            counted[kind][key] = counted[kind].get(key, 0) + 1
    tallies = [
        [
            Tally(pair, of, 0, *(found.get((pair, of, said), 0) for said in OUTCOMES))
            for pair, of in sorted({k[:2] for k in found})
        ]
        for found in counted
    ]
    contenders = {number: (Contender(first), Contender(second)) for (first, second), number in pairs.items()}
    return ballots_of(contenders, tallies[0], tallies[1])


def drawn(truth: dict[str, float], votes: int, rng: random.Random) -> Ballots:
    """Votes of as many raters on as many questions, between models whose strengths (log odds) are set."""
    found = []
    for _ in range(votes):
        left, right = rng.sample(sorted(truth), 2)
        chance = 1 / (1 + np.exp(truth[right] - truth[left]))
        found.append((left, right, "a" if rng.random() < chance else "b"))
    return ballots(*found)


def recounted(votes: Iterable[tuple[int, str]]) -> Sequence[int]:
    """How many of each outcome, in the order of a tally."""
    said = [outcome for _, outcome in votes]
    return [said.count(outcome) for outcome in OUTCOMES]

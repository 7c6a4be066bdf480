"""Battles that were played and voted on, for tests of what becomes of votes."""

from typing import Any

from engine.battles import open_battle, talk_on, vote
from engine.playing import play
from engine.store import Store
from engine.tasks.policy_qa import POLICY_QA
from tests.models import EchoModel

RATERS = ("ann", "bob", "cleo")


class Left:
    """Draws the first model to the left, always."""

    def random(self) -> float:
        return 0.0


def judge(
    store: Store,
    question: str,
    a: str,
    b: str,
    *verdicts: Any,
    models=("base", "tuned"),
    now="2026-05-01",
    then="",
    **how: Any,
) -> str:
    """
    A battle with these two answers and a vote of each rater: a choice, or a choice and a repair; returns its id.

    `then`: the question of a second turn.
    """
    arms = tuple(EchoModel(name, answer) for name, answer in zip(models, (a, b), strict=True))
    battle = open_battle(store, POLICY_QA, question, arms, rng=Left(), now=now, **how)
    list(play(store, battle, arms, POLICY_QA, now=now))
    if then:
        list(play(store, talk_on(store, battle.id, then, rater=battle.rater), arms, POLICY_QA, now=now))
    for rater, verdict in zip(RATERS, verdicts, strict=False):
        choice, repair = verdict if isinstance(verdict, tuple) else (verdict, "")
        vote(store, battle.id, rater=rater, choice=choice, repair=repair, now=now)
    return battle.id

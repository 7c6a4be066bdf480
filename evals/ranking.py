"""Who is better, from the votes: scores with intervals that know how few votes there are."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from engine.records import Battle, Vote
from evals.intervals import Share, share


@dataclass(frozen=True)
class Standing:
    """One model in the ranking. `win_share`: decided battles won; a tie and "both bad" decide nothing."""

    model: str
    battles: int
    wins: int
    losses: int
    ties: int
    both_bad: int
    win_share: Share
    score: float  # Bradley-Terry: a model of score 2 beats one of score 1 in two of three battles


def leaderboard(voted: Sequence[tuple[Battle, Vote]]) -> list[Standing]:
    """
    The models by Bradley-Terry score, best first; empty without votes. The order of the votes does not matter.

    "Both bad" is counted beside and never narrows an interval. A tie counts half a win to each, and every pair that met is
    given one tie more: without it a model that never lost has no finite score (and evalica then returns 1e-6 for all).
    Source: Bradley & Terry 1952 through evalica; the interval is Wilson's on decided battles.
    """
    if not voted:
        return []
    counts: dict[str, dict[str, int]] = defaultdict(lambda: {"wins": 0, "losses": 0, "ties": 0, "both_bad": 0})
    for battle, vote in voted:
        for model, side in ((battle.model_a, "a"), (battle.model_b, "b")):
            outcome = {"tie": "ties", "both_bad": "both_bad"}.get(
                vote.choice, "wins" if vote.choice == side else "losses"
            )
            counts[model][outcome] += 1
    scores = _scores(voted)
    standings = [
        Standing(
            model=model,
            battles=sum(found.values()),
            **found,
            win_share=share(found["wins"], found["wins"] + found["losses"]),
            score=scores.get(model, 1.0),
        )
        for model, found in counts.items()
    ]
    return sorted(standings, key=lambda standing: (-standing.score, standing.model))


def as_rows(standings: Sequence[Standing]) -> list[dict[str, Any]]:
    """The ranking as plain data."""
    return [asdict(standing) for standing in standings]


def _scores(voted: Sequence[tuple[Battle, Vote]]) -> dict[str, float]:
    from evalica import Winner, bradley_terry

    decided = sorted(
        (battle.model_a, battle.model_b, vote.choice) for battle, vote in voted if vote.choice != "both_bad"
    )
    if not decided:
        return {}
    decided += sorted({(min(a, b), max(a, b), "tie") for a, b, _ in decided})
    winners = [{"a": Winner.X, "b": Winner.Y, "tie": Winner.Draw}[choice] for _, _, choice in decided]
    result = bradley_terry([a for a, _, _ in decided], [b for _, b, _ in decided], winners)
    return {str(model): float(score) for model, score in result.scores.items()}

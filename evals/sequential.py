"""When to stop voting: evidence that may be looked at after every vote, and what a verdict still needs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from evals.intervals import Share

ERROR = 0.05
"""How often a winner may be named where there is none, however often one looks."""
CONCENTRATION = 2.0
"""Of the bets, around one half. 2 finds 80 % winners after about 22 decided votes, 65 % ones after 82, 60 % ones after 195 (medians)."""
DRAW = 0.1
"""Two models within this of half the score, ties counting half, are called a draw."""
FARTHEST = 100_000
Kind = Literal["wins", "draw", "open"]


@dataclass(frozen=True)
class Stop:
    """What the votes on a pair allow to be said now, and what more it takes."""

    kind: Kind
    winner: str  # "" unless kind is "wins"
    leader: str  # "" where both won as often
    e_value: float  # evidence against "neither is better": 20 is enough
    more_votes: int | None  # about how many until a winner may be named at the present rate; None: no number would do
    to_flip: int  # votes that would have to change sides for the leader to lose the lead; 0 without one
    sentence: str


def log_e_value(wins: int, losses: int) -> float:
    """
    Log of the evidence against "each decided vote is a fair coin": what a bettor who starts with 1 and mixes all bets has made.

    Under that hypothesis it exceeds 1 / ERROR at any time at all with probability at most ERROR, so one may look after each
    vote. Ties and "both bad" are no bets. Depends on the counts alone, not on the order of the votes.
    Source: Ville's inequality for the Beta-binomial mixture martingale (Robbins 1970, doi:10.1214/aoms/1177696786).
    """
    from scipy.special import betaln

    a = CONCENTRATION
    return float(betaln(a + wins, a + losses) - betaln(a, a) + (wins + losses) * np.log(2))


def confidence_sequence(wins: int, losses: int, *, error: float = ERROR) -> tuple[float, float]:
    """
    An interval for the share of wins that holds at every vote at once with probability 1 - error; 0 to 1 without votes.

    All shares whose evidence against them is below 1 / error, by the same bets as `log_e_value`.
    """
    from scipy.special import betaln

    a, n = CONCENTRATION, wins + losses
    if not n:
        return 0.0, 1.0
    shares = np.linspace(0, 1, 2001)[1:-1]
    against = betaln(a + wins, a + losses) - betaln(a, a) - wins * np.log(shares) - losses * np.log1p(-shares)
    inside = shares[against < -np.log(error)]
    low = 0.0 if not losses and not wins else float(inside.min(initial=wins / n)) - 0.0005
    high = float(inside.max(initial=wins / n)) + 0.0005
    return max(0.0, low), min(1.0, high)


def stop_rule(first: str, second: str, *, wins: int, losses: int, ties: int, both_bad: int, share: Share) -> Stop:
    """
    Whether a winner may be named, a draw declared, or about how many more votes it takes.

    A winner needs an e-value of 1 / ERROR and an interval of the share, widened for raters and questions, that leaves one half
    out: the first guards against looking often, the second against few raters. A draw needs that, at error 5 % and at every
    vote, the score (ties half) stays within DRAW of one half.
    """
    log_e = log_e_value(wins, losses)
    leader = first if wins > losses else second if losses > wins else ""
    sure = log_e >= -np.log(ERROR) and not share.low <= 0.5 <= share.high
    kind: Kind = "wins" if sure else "draw" if _even(wins, losses, ties) else "open"
    more = None if kind != "open" else _more_votes(wins, losses, ties + both_bad, share)
    to_flip = abs(wins - losses) // 2 + 1 if leader else 0
    e_value = float(np.exp(min(log_e, 700.0)))
    return Stop(
        kind,
        leader if sure else "",
        leader,
        e_value,
        more,
        to_flip,
        _sentence(kind, first, second, leader, more, log_e),
    )


@dataclass(frozen=True)
class Moment:
    """What was known after so many votes on a pair."""

    votes: int
    share: float  # of the decided ones, won by the first; one half before any
    low: float  # of the confidence sequence
    high: float
    e_value: float


def evidence(outcomes: Sequence[str], *, most: int = 200) -> list[Moment]:
    """
    How the votes on a pair told more and more, in the order given, at `most` moments at most and always the last.

    `outcomes`: "first", "second", "tie" or "both_bad".
    """
    wins = np.cumsum([outcome == "first" for outcome in outcomes], dtype=int)
    losses = np.cumsum([outcome == "second" for outcome in outcomes], dtype=int)
    places = np.unique(np.linspace(0, len(outcomes) - 1, min(most, len(outcomes))).round().astype(int))
    found = []
    for place in places:
        won, lost = int(wins[place]), int(losses[place])
        low, high = confidence_sequence(won, lost)
        share = won / (won + lost) if won + lost else 0.5
        found.append(Moment(int(place) + 1, share, low, high, float(np.exp(min(700.0, log_e_value(won, lost))))))
    return found


def _even(wins: int, losses: int, ties: int) -> bool:
    """Score within DRAW of one half: how often votes decide times how far the decided ones lean, each at half the error."""
    low, high = confidence_sequence(wins, losses, error=ERROR / 2)
    _, decided = confidence_sequence(wins + losses, ties, error=ERROR / 2)
    return max(high - 0.5, 0.5 - low) * decided < DRAW and wins + losses + ties > 0


def _more_votes(wins: int, losses: int, undecided: int, share: Share) -> int | None:
    """
    Votes until both conditions for a winner hold if shares, ties and the ways votes hang together stay as they are.

    The interval's width is taken to shrink with the square root of the votes.
    """
    decided = wins + losses
    if wins == losses:
        return None
    rate = max(wins, losses) / decided
    half = max(share.high - share.value, share.value - share.low)
    by_interval = decided * (half / (rate - 0.5)) ** 2 if rate < 1 else decided

    def enough(count: int) -> bool:
        return log_e_value(round(rate * count), count - round(rate * count)) >= -np.log(ERROR) and count >= by_interval

    low, high = decided, decided + 1
    while not enough(high):
        low, high = high, 2 * high
        if high > FARTHEST:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return max(1, round((high - decided) * (decided + undecided) / decided))


def _sentence(kind: Kind, first: str, second: str, leader: str, more: int | None, log_e: float) -> str:
    if kind == "wins":
        return f"{leader} wins, safe to stop."
    if kind == "draw":
        return f"A draw: {first} and {second} are within {DRAW:.0%} of each other, safe to stop.".replace("%", " %")
    if more is None:
        return "No difference found yet, and at the present rate no number of votes would show one."
    few = " The votes would do if they came from more raters or questions." if log_e >= -np.log(ERROR) else ""
    return f"No difference found yet: about {more:,} more vote{'s' * (more != 1)} at the present rate.{few}"

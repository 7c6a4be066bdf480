"""Who is better, from the votes: scores, shares and head-to-heads with intervals that know how few votes there are."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evals.ballots import Ballots, Counts
from evals.bradley_terry import ELO, Strengths, fit
from evals.clusters import clustered_share
from evals.intervals import Share, share
from evals.sequential import Stop, stop_rule

MIDDLE = 1000.0


@dataclass(frozen=True)
class Standing:
    """One contender. `win_share`: decided battles won; a tie and "both bad" decide nothing."""

    model: str
    battles: int
    wins: int
    losses: int
    ties: int
    both_bad: int
    win_share: Share
    both_bad_share: Share
    score: float  # 400 points more are odds of ten to one; the mean of those who met, if only through others, is 1000
    low: float  # of the 95 % interval; minus infinity for one that met nobody
    high: float
    best_rank: int  # 1 + how many are surely better, in its group
    worst_rank: int
    group: int  # contenders of different groups never met, so their scores say nothing of each other


@dataclass(frozen=True)
class HeadToHead:
    """Two contenders' votes on each other. `share`: of the decided battles, those that `first` won."""

    first: str
    second: str
    wins: int
    losses: int
    ties: int
    both_bad: int
    raters: int
    questions: int
    share: Share
    both_bad_share: Share
    stop: Stop
    pair: int  # into Ballots.pairs


@dataclass(frozen=True)
class Ranking:
    """Standings, best first within each group, and the pairs that met, most votes first."""

    standings: tuple[Standing, ...]
    heads: tuple[HeadToHead, ...]
    votes: int
    left_out: int  # on questions that trained one of the two
    tied_once_more: bool  # see `bradley_terry.fit`
    length: (
        float | None
    )  # points that go with an answer's being longer by all of both answers' length; None: not looked at


def rank(ballots: Ballots, *, lengths: bool = False, heads: bool = True) -> Ranking:
    """
    The contenders by Bradley-Terry score; no standing without votes. The order of the votes does not matter.

    "Both bad" has its own rate and touches neither a score nor an interval. With `lengths` (the ballots read so too) the scores
    are what they would be were all answers equally long; shares and head-to-heads are the same in both.
    """
    n = len(ballots.contenders)
    if not n:
        return Ranking((), (), 0, ballots.left_out, False, None)
    found = fit(ballots, lengths=lengths)
    standings = [_standing(ballots, found, number) for number in range(n)]
    met = [_head(ballots, pair) for pair in range(len(ballots.pairs))] if heads else []
    best_of = {s.group: max(t.score for t in standings if t.group == s.group) for s in standings}
    return Ranking(
        tuple(sorted(standings, key=lambda s: (-best_of[s.group], s.group, -s.score, s.model))),
        tuple(sorted(filter(None, met), key=lambda h: (-(h.wins + h.losses + h.ties + h.both_bad), h.first, h.second))),
        _size(ballots.by_rater),
        ballots.left_out,
        found.tied_once_more,
        found.length * ELO if lengths else None,
    )


def by_rater(ballots: Ballots, pair: int) -> list[tuple[str, Share, int, int]]:
    """(rater, share of decided battles the pair's first won, ties, both bad), by name. One rater's share has Wilson's interval."""
    counts = ballots.by_rater.among(ballots.by_rater.pair == pair)
    found = []
    for cluster in np.unique(counts.cluster):
        first, second, tie, bad = counts.said[counts.cluster == cluster].sum(axis=0).tolist()
        found.append((str(counts.names[cluster]), share(first, first + second), tie, bad))
    return sorted(found)


def as_rows(standings: Sequence[Standing]) -> list[dict[str, Any]]:
    """The ranking as plain data; an endless interval's ends are null."""
    rows = [asdict(standing) for standing in standings]
    for row in rows:
        row.update({end: row[end] if np.isfinite(row[end]) else None for end in ("low", "high")})
    return rows


def _size(counts: Counts) -> int:
    return int(counts.said.sum())


def _standing(ballots: Ballots, found: Strengths, number: int) -> Standing:
    raters, questions = (_of_contender(ballots, counts, number) for counts in (ballots.by_rater, ballots.by_question))
    wins, losses, ties, bad = raters.sum(axis=0)
    others = np.flatnonzero((found.group == found.group[number]) & (np.arange(len(found.group)) != number))
    lead = found.strength[others] - found.strength[number]
    wide = found.half_width[number, others]
    half = float(found.half_width_to_mean[number]) * ELO
    score = MIDDLE + float(found.strength[number]) * ELO
    return Standing(
        model=ballots.names[number],
        battles=int(wins + losses + ties + bad),
        wins=int(wins),
        losses=int(losses),
        ties=int(ties),
        both_bad=int(bad),
        win_share=_won_of_decided(raters, questions),
        both_bad_share=_bad_of_all(raters, questions),
        score=score,
        low=score - half,
        high=score + half,
        best_rank=1 + int((lead > wide).sum()),
        worst_rank=1 + int((lead > -wide).sum()),
        group=int(found.group[number]),
    )


def _of_contender(ballots: Ballots, counts: Counts, number: int) -> NDArray[np.float64]:
    """(clusters, 4): its wins, losses, ties and both bad."""
    as_first = counts.among(ballots.pairs[counts.pair, 0] == number).by_cluster()
    as_second = counts.among(ballots.pairs[counts.pair, 1] == number).by_cluster()
    return as_first + as_second[:, [1, 0, 2, 3]]


def _won_of_decided(raters: NDArray[np.float64], questions: NDArray[np.float64]) -> Share:
    by = [(counts[:, 0], counts[:, 0] + counts[:, 1]) for counts in (raters, questions)]
    return clustered_share(by[0], by[1])


def _bad_of_all(raters: NDArray[np.float64], questions: NDArray[np.float64]) -> Share:
    by = [(counts[:, 3], counts.sum(axis=1)) for counts in (raters, questions)]
    return clustered_share(by[0], by[1])


def _head(ballots: Ballots, pair: int) -> HeadToHead | None:
    """None for a pair without a scored vote."""
    both = (ballots.by_rater, ballots.by_question)
    raters, questions = (counts.among(counts.pair == pair).by_cluster() for counts in both)
    wins, losses, ties, bad = (int(count) for count in raters.sum(axis=0))
    if not wins + losses + ties + bad:
        return None
    first, second = (ballots.names[end] for end in ballots.pairs[pair])
    won = _won_of_decided(raters, questions)
    return HeadToHead(
        first, second, wins, losses, ties, bad,
        raters=int((raters.sum(axis=1) > 0).sum()),
        questions=int((questions.sum(axis=1) > 0).sum()),
        share=won,
        both_bad_share=_bad_of_all(raters, questions),
        stop=stop_rule(first, second, wins=wins, losses=losses, ties=ties, both_bad=bad, share=won),
        pair=pair,
    )  # fmt: skip

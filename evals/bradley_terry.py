"""Bradley-Terry strengths by maximum likelihood, with or without the answers' lengths beside them, and how sure they are."""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from evals.ballots import Ballots, Counts
from evals.clusters import Cluster, squared_half_width

ELO = 400 / math.log(10)
"""Points a unit of log odds: 400 points are odds of ten to one."""
MOST_STEPS = 100
SMOOTHING = 0.05
"""Inverse variance of the prior on what length is worth: far below what ten votes say, but it keeps the fit finite."""

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Strengths:
    """What was fitted, in units of log odds; a contender of strength s beats one of strength r in 1 / (1 + e^(r - s))."""

    strength: Floats  # mean 0 in each group
    length: float  # what an answer's being all of both answers' length is worth; 0 where lengths were not looked at
    group: NDArray[np.int64]  # contenders that no chain of battles connects stand in different groups
    tied_once_more: bool  # some contender never lost or never won, so every pair was given one tie more
    half_width: Floats  # (n, n): of the 95 % interval of the difference of two strengths; infinite between groups
    half_width_to_mean: Floats  # (n,): of a strength against its group's mean; infinite for one alone


def fit(ballots: Ballots, *, lengths: bool = False) -> Strengths:
    """
    Fit strengths to wins and ties, half a win each; "both bad" is left out. The order of the votes does not matter.

    Where a contender never lost or never won within its group, no finite strength fits best: then, and only then, every pair
    that met is given one tie more, and it is said. Intervals respect that a rater gives many votes and a question gets many.
    Source: Bradley & Terry 1952, doi:10.2307/2334029; Newton's method on the log likelihood. The lengths enter as their
    difference over their sum, as in the arena's style control (Li et al. 2024), not standardised.
    """
    totals = ballots.totals()
    n = len(ballots.contenders)
    group = _groups(ballots, totals, n)
    shrunk = not _finite(ballots, totals, n)
    cells = _with_a_tie_more(totals, len(ballots.pairs)) if shrunk else totals
    design = _design(ballots, cells, n, lengths)
    estimate = _newton(design, cells, n)
    inverse = _inverse_information(design, estimate, cells.votes, n)
    # A tie says more than a win or a loss: for two equals the variance of a vote shrinks by the share of ties.
    spread = (float(totals.decided.sum()) + 2) / (float(totals.votes.sum()) + 2)
    parts = []
    for counts in (ballots.by_rater, ballots.by_question):
        sums, sizes = _scores(ballots, counts, estimate, n, lengths)
        parts.append(((inverse @ (sums.T @ sums) @ inverse)[:n, :n], Cluster.of_sizes(sizes)))
    independent = inverse[:n, :n] * spread
    together = group[:, None] == group
    to_mean = np.eye(n) - together / together.sum(axis=1)
    centred = to_mean @ estimate[:n]
    between = squared_half_width(
        _differences(independent), [(_differences(v), replace(c, others=_mean_of_two(c.others))) for v, c in parts]
    )
    mean = squared_half_width(_along(to_mean, independent), [(_along(to_mean, v), c) for v, c in parts])
    return Strengths(
        strength=centred,
        length=float(estimate[n]) if lengths else 0.0,
        group=group,
        tied_once_more=shrunk,
        half_width=np.where(together, np.sqrt(between), np.inf),
        half_width_to_mean=np.where(together.sum(axis=1) > 1, np.sqrt(mean), np.inf),
    )


def _design(ballots: Ballots, counts: Counts, n: int, lengths: bool) -> Floats:
    """One row a cell: +1 for the first, -1 for the second, and by how much the first answer was longer."""
    rows = np.arange(len(counts.pair))
    design = np.zeros((len(rows), n + lengths))
    design[rows, ballots.pairs[counts.pair, 0]] = 1
    design[rows, ballots.pairs[counts.pair, 1]] = -1
    if lengths:
        design[:, n] = counts.longer
    return design


def _newton(design: Floats, cells: Counts, n: int) -> Floats:
    votes, won = cells.votes, cells.won
    prior = np.zeros(design.shape[1])
    prior[n:] = SMOOTHING

    def loss(x: Floats) -> float:
        along = design @ x
        return float((votes * np.logaddexp(0, along) - won * along).sum() + (prior * x * x).sum() / 2)

    estimate = np.zeros(design.shape[1])
    for _ in range(MOST_STEPS):
        gradient = design.T @ (won - votes * _logistic(design @ estimate)) - prior * estimate
        step = _inverse_information(design, estimate, votes, n) @ gradient
        before, scale = loss(estimate), 1.0
        while loss(estimate + scale * step) > before + 1e-12 and scale > 1e-6:
            scale /= 2
        estimate = estimate + scale * step
        if np.abs(scale * step).max(initial=0.0) < 1e-10:
            break
    return estimate


def _inverse_information(design: Floats, estimate: Floats, votes: Floats, n: int) -> Floats:
    """The pseudo-inverse: adding a constant to every strength of a group changes nothing, so that direction has none."""
    p = _logistic(design @ estimate)
    information = design.T @ (design * (votes * p * (1 - p))[:, None])
    information[np.arange(n, len(information)), np.arange(n, len(information))] += SMOOTHING
    found: Floats = np.linalg.pinv(information, hermitian=True).astype(np.float64)
    return found


def _scores(ballots: Ballots, counts: Counts, estimate: Floats, n: int, lengths: bool) -> tuple[Floats, Floats]:
    """Each cluster's sum of the likelihood's gradient, (clusters, parameters), and its votes on each contender, (clusters, n)."""
    first, second = ballots.pairs[counts.pair, 0], ballots.pairs[counts.pair, 1]
    gap = estimate[first] - estimate[second] + (estimate[n] * counts.longer if lengths else 0.0)
    residual = counts.won - counts.votes * _logistic(gap)
    clusters = len(counts.names)
    width = n + lengths
    sums, sizes = np.zeros((clusters, width)), np.zeros((clusters, n))
    np.add.at(sums, (counts.cluster, first), residual)
    np.add.at(sums, (counts.cluster, second), -residual)
    if lengths:
        np.add.at(sums, (counts.cluster, np.full(len(residual), n)), residual * counts.longer)
    for end in (first, second):
        np.add.at(sizes, (counts.cluster, end), counts.votes)
    return sums, sizes


def _differences(covariance: Floats) -> Floats:
    own = np.diag(covariance)
    return np.maximum(0.0, own[:, None] + own - 2 * covariance)


def _mean_of_two(values: Floats) -> Floats:
    found: Floats = (values[:, None] + values) / 2
    return found


def _along(directions: Floats, covariance: Floats) -> Floats:
    found: Floats = np.maximum(0.0, np.einsum("ij,jk,ik->i", directions, covariance, directions))
    return found


def _logistic(x: Floats) -> Floats:
    found: Floats = np.exp(-np.logaddexp(0, -x))
    return found


def _with_a_tie_more(totals: Counts, pairs: int) -> Counts:
    """One tie a pair that met, between answers of one length."""
    met = np.unique(totals.pair[totals.votes > 0])
    tie = np.tile(np.array([0, 0, 1, 0], dtype=np.int64), (len(met), 1))
    return Counts(
        np.concatenate([totals.pair, met]),
        np.zeros(len(totals.pair) + len(met), dtype=np.int64),
        np.concatenate([totals.longer, np.zeros(len(met))]),
        np.concatenate([totals.said, tie]),
    )


def _beaten(ballots: Ballots, totals: Counts, n: int) -> Bools:
    """(n, n): row took at least half a win from column."""
    took = np.zeros((n, n), dtype=bool)
    first, second = ballots.pairs[totals.pair, 0], ballots.pairs[totals.pair, 1]
    some, other = (totals.said[:, [end, 2]].sum(axis=1) > 0 for end in (0, 1))
    took[first[some], second[some]] = True
    took[second[other], first[other]] = True
    return took


def _reaches(steps: Bools) -> Bools:
    """Which can be reached from which by any number of steps."""
    found = steps | np.eye(len(steps), dtype=bool)
    while True:
        further = (found.astype(np.float64) @ found.astype(np.float64)) > 0
        if (further == found).all():
            return found
        found = further


def _finite(ballots: Ballots, totals: Counts, n: int) -> bool:
    """Whether maximum likelihood has finite strengths: within a group each must have taken something, step by step, from each."""
    took = _reaches(_beaten(ballots, totals, n))
    return bool((took == took.T).all())


def _groups(ballots: Ballots, totals: Counts, n: int) -> NDArray[np.int64]:
    took = _beaten(ballots, totals, n)
    found: NDArray[np.int64] = _reaches(took | took.T).argmax(axis=1)
    return found

"""Intervals for votes that hang together: one rater gives many, and one question gets many."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evals.intervals import Share

LEAST_ALIKE = 0.05
"""Correlation of two votes in one cluster that is assumed where there is one cluster alone; a fourth of it among four, and so on."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Cluster:
    """How many clusters there are, and the mean number of other votes that a vote shares its cluster with, for each quantity."""

    count: int
    others: Floats

    @classmethod
    def of_sizes(cls, sizes: Floats) -> "Cluster":
        """From the number of votes in each cluster, (clusters,) or (clusters, quantities); empty clusters are not there."""
        total = sizes.sum(axis=0)
        others = (sizes**2).sum(axis=0) / np.maximum(total, 1) - (total > 0)
        return cls(int((sizes.reshape(len(sizes), -1).sum(axis=1) > 0).sum()), np.maximum(0.0, others))


def squared_half_width(
    independent: Floats, clustered: Sequence[tuple[Floats, Cluster]], *, confidence: float = 0.95
) -> Floats:
    """
    The squared half-widths of intervals, from the variances if votes were independent and those of clustered sums.

    What a clustering adds to the variance is estimated from few clusters, so it is multiplied by the square of Student's t with
    a degree of freedom less than clusters; the rest by the normal's. It never takes away, and is never taken for less than what
    LEAST_ALIKE gives. The sum of both excesses stands for two-way clustering.
    Source: Cameron, Gelbach & Miller 2011, doi:10.1198/jbes.2010.07136, eq. 2.8; the split into excess and rest is ours: with
    the t on everything, two votes of two raters would read worse than one. Simulated in tests/test_clusters.py.
    """
    from scipy.special import ndtri, stdtrit

    tail = 0.5 + confidence / 2
    z2 = float(ndtri(tail)) ** 2
    found = z2 * independent
    for variance, cluster in clustered:
        least = z2 * independent * LEAST_ALIKE / max(1, cluster.count) * cluster.others
        if cluster.count > 1:
            scale = cluster.count / (cluster.count - 1)
            t2 = float(stdtrit(cluster.count - 1, tail)) ** 2
            found = found + np.maximum(
                least, t2 * np.maximum(0.0, variance * scale - independent) * (cluster.others > 0)
            )
        else:
            found = found + least
    return found


def clustered_share(
    by_rater: tuple[Floats, Floats], by_question: tuple[Floats, Floats], *, confidence: float = 0.95
) -> Share:
    """
    A share with Wilson's interval, widened for votes that hang together; each argument is (right, of) by cluster.

    One vote reads [20.7 %, 100 %], as Wilson's interval does. Nothing counted: 0 to 1. See `squared_half_width`.
    """
    right, of = int(by_rater[0].sum()), int(by_rater[1].sum())
    if not of:
        return Share(0, 0, 0.0, 1.0)
    value = right / of
    if right in (0, of):  # no vote differs, so nothing shows how votes differ between clusters
        independent, none = np.array(1.0), np.array(0.0)
        clustered = [(none, Cluster.of_sizes(sizes)) for _, sizes in (by_rater, by_question)]
    else:
        independent = np.array(value * (1 - value) / of)
        clustered = [
            (np.array(((won - value * sizes) ** 2).sum() / of**2), Cluster.of_sizes(sizes))
            for won, sizes in (by_rater, by_question)
        ]
    widened2 = float(squared_half_width(independent, clustered, confidence=confidence) / independent)
    centre = (value + widened2 / (2 * of)) / (1 + widened2 / of)
    half = (widened2 * (value * (1 - value) / of + widened2 / (4 * of * of))) ** 0.5 / (1 + widened2 / of)
    return Share(right, of, max(0.0, centre - half), min(1.0, centre + half))

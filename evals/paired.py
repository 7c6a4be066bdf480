"""Two models on the same questions: what the second changed, question by question, and how sure that is."""

from collections.abc import Sequence
from dataclasses import dataclass

from evals.intervals import CONFIDENCE, mcnemar

RESAMPLES = 2000
SEED = 20_001


@dataclass(frozen=True)
class Change:
    """What the second model changed: a difference of shares or of scores (-1 to 1), its 95 % interval, the exact p-value."""

    of: int  # questions both answered
    facts: int  # they are about; what is resampled
    before: int  # right
    after: int
    fixed: int
    broken: int
    value: float
    low: float
    high: float
    p_value: float


@dataclass(frozen=True)
class ScoreChange:
    """The same of a score that is no count, such as token F1: means before and after, and their difference."""

    of: int
    before: float
    after: float
    value: float
    low: float
    high: float


def change(
    before: Sequence[bool], after: Sequence[bool], clusters: Sequence[str], *, seed: int = SEED, fewest: int = 1
) -> Change:
    """
    Right or wrong, before and after, in the same order. `clusters`: the fact each question is about.

    The p-value is exact McNemar's over the questions. The interval is `bootstrap`'s with two made-up facts beside the real ones,
    a question fixed and a question broken: without them, two models that never differed would leave an interval of no width.
    Source of the two: Bonett & Price 2012, doi:10.3102/1076998611411915, who add them to the counts. Of fewer than `fewest`
    questions nothing is claimed: -1 to 1.
    """
    pairs = list(zip(before, after, strict=True))
    fixed = sum(b and not a for a, b in pairs)
    broken = sum(a and not b for a, b in pairs)
    differences = [float(b) - float(a) for a, b in pairs]
    made_up = ["\0fixed", "\0broken"]  # no fact of ours is named so
    low, high = -1.0, 1.0
    if len(pairs) >= fewest:
        low, high = bootstrap([*differences, 1.0, -1.0], [*clusters, *made_up], seed=seed)
    return Change(
        of=len(pairs),
        facts=len(set(clusters)),
        before=sum(before),
        after=sum(after),
        fixed=fixed,
        broken=broken,
        value=(fixed - broken) / len(pairs) if pairs else 0.0,
        low=low,
        high=high,
        p_value=mcnemar(fixed, broken),
    )


def score_change(
    before: Sequence[float], after: Sequence[float], clusters: Sequence[str], *, seed: int = SEED
) -> ScoreChange:
    """The same for scores from 0 to 1, with the bootstrap as it is; nothing asked, or all of one fact: -1 to 1."""
    differences = [b - a for a, b in zip(before, after, strict=True)]
    of = len(differences)
    low, high = bootstrap(differences, clusters, seed=seed)
    means = (sum(before) / of, sum(after) / of) if of else (0.0, 0.0)
    return ScoreChange(of, *means, sum(differences) / of if of else 0.0, low, high)


def bootstrap(
    values: Sequence[float], clusters: Sequence[str], *, confidence: float = CONFIDENCE, seed: int = SEED
) -> tuple[float, float]:
    """
    Interval of the mean, resampling whole clusters: two wordings of one question are right or wrong together.

    The percentile interval, expanded for few clusters as a t-interval is wider than a normal one. Fewer than two clusters: -1 to 1.
    The same values give the same interval. Source: Efron 1979 through scipy; the expansion is Hesterberg 2015, arXiv:1411.5279, 3.4.
    """
    import numpy as np
    from scipy.stats import bootstrap as resampled
    from scipy.stats import norm, t

    names = sorted(set(clusters))
    if len(names) < 2:
        return -1.0, 1.0
    place = {name: number for number, name in enumerate(names)}
    sums, sizes = np.zeros(len(names)), np.zeros(len(names))
    for value, cluster in zip(values, clusters, strict=True):
        sums[place[cluster]] += value
        sizes[place[cluster]] += 1
    if not np.any(sums - sums.sum() / sizes.sum() * sizes):
        mean = float(sums.sum() / sizes.sum())
        return mean, mean  # every cluster says the same: nothing to resample
    m = len(names)
    tail = float(norm.cdf(-((m / (m - 1)) ** 0.5) * t.ppf(0.5 + confidence / 2, m - 1)))
    found = resampled(
        (sums, sizes),
        lambda s, n, axis: s.sum(axis=axis) / n.sum(axis=axis),
        paired=True,
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=max(1, 2_000_000 // m),
        confidence_level=1 - 2 * tail,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return max(-1.0, float(found.low)), min(1.0, float(found.high))

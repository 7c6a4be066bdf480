"""How far raters agree where several judged one thing: Krippendorff's alpha with its interval, or why there is none."""

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from engine.datasets import says_something
from engine.records import DatasetVersion
from engine.store import Store

FEWEST_SHARED = 50
POOR = 0.4
"""Alpha below which an export warns: what such raters teach is mostly noise."""
RESAMPLES = 1000

Said = tuple[Hashable, str, str]
"""What was judged, by whom, and the verdict. A later verdict of a rater on a thing replaces the earlier."""


@dataclass(frozen=True)
class Agreement:
    """Alpha is 1 where all agree, 0 where they agree as chance would, below 0 where less."""

    shared: int  # things that two or more judged
    raters: int  # who judged one of those
    alpha: float | None  # None below FEWEST_SHARED shared things, and where everybody always said the same
    low: float | None = None  # of the 95 % interval
    high: float | None = None

    @property
    def poor(self) -> bool:
        """Whether there is an alpha and it is below POOR."""
        return self.alpha is not None and self.alpha < POOR

    def __str__(self) -> str:
        """ "Agreement: alpha 0.71 (0.60 to 0.81), 64 shared items, 5 raters"."""
        if self.shared < FEWEST_SHARED:
            return f"Agreement: not enough shared items ({self.shared} of {FEWEST_SHARED}; each takes two raters)."
        if self.alpha is None:
            return f"Agreement: on {self.shared} shared items everybody always said the same, so alpha is not defined."
        return (
            f"Agreement: alpha {self.alpha:.2f} ({self.low:.2f} to {self.high:.2f}), {self.shared} shared items, "
            f"{self.raters} raters."
        )

    def warning(self, of: str) -> str:
        """What an export must say of `of` ("The votes"); "" where agreement is not known to be poor."""
        if not self.poor:
            return ""
        return (
            f"{of}: raters hardly agree (alpha {self.alpha:.2f}, below {POOR}). Settle the disagreements in the Label tab, or sharpen "
            "the guidelines, before you train on them."
        )


def agreement(said: Iterable[Said], *, seed: int = 0) -> Agreement:
    """
    Krippendorff's alpha for verdicts without an order; its interval by drawing whole things anew (percentiles).

    Source: Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", nominal data with missing values. The interval
    differs from his: he draws single pairs, though the pairs of one thing hang together.
    """
    latest: dict[tuple[Hashable, str], str] = {(thing, rater): verdict for thing, rater, verdict in said}
    by_thing: dict[Hashable, Counter[str]] = {}
    judged_by: dict[Hashable, set[str]] = {}
    for (thing, rater), verdict in latest.items():
        by_thing.setdefault(thing, Counter())[verdict] += 1
        judged_by.setdefault(thing, set()).add(rater)
    shared = {thing: counts for thing, counts in by_thing.items() if counts.total() > 1}
    raters = len(set().union(*(judged_by[thing] for thing in shared)))
    verdicts = sorted({verdict for counts in shared.values() for verdict in counts})
    if len(shared) < FEWEST_SHARED or len(verdicts) < 2:
        return Agreement(len(shared), raters, None)
    table = np.array(sorted([counts[v] for v in verdicts] for counts in shared.values()), dtype=np.float64)
    alpha = float(_alphas(table, np.ones((1, len(table))))[0])
    weights = np.random.default_rng(seed).multinomial(len(table), np.full(len(table), 1 / len(table)), RESAMPLES)
    low, high = np.nanpercentile(_alphas(table, weights.astype(np.float64)), [2.5, 97.5])
    return Agreement(len(shared), raters, alpha, float(low), float(high))


def agreement_of_votes(store: Store, task: str) -> Agreement:
    """On which of two models answered a question better: a thing is a question to a pair."""
    return agreement(((pair, question), rater, outcome) for pair, question, rater, outcome in store.ballots(task))


def agreement_of_labels(store: Store, version: DatasetVersion) -> Agreement:
    """On the rows of a dataset version; a judgement that was taken back is none."""
    return agreement(
        (label.example_id, label.rater, label.verdict) for label in store.labels(version.id) if says_something(label)
    )


def _alphas(table: np.ndarray, weights: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    """Alpha for each row of `weights`: how often each thing (a row of `table`: verdicts counted) is taken. NaN without variation."""
    sizes = table.sum(axis=1)
    observed = weights @ ((sizes**2 - (table**2).sum(axis=1)) / (sizes - 1))
    totals = weights @ table
    pairs = totals.sum(axis=1)
    expected = (pairs**2 - (totals**2).sum(axis=1)) / (pairs - 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        found: np.ndarray = np.where(expected > 0, 1 - observed / expected, np.nan)  # type: ignore[type-arg]
    return found


def disagreed(said: Iterable[Said]) -> Mapping[Hashable, Mapping[str, str]]:
    """Things on which raters differ, with each one's verdict."""
    verdicts: dict[Hashable, dict[str, str]] = {}
    for thing, rater, verdict in said:
        verdicts.setdefault(thing, {})[rater] = verdict
    return {thing: found for thing, found in verdicts.items() if len(set(found.values())) > 1}

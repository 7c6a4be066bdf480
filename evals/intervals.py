"""Intervals and tests for shares, so that no number stands without what it is worth."""

from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95
POWER = 0.8
MOST_QUESTIONS = 100_000


@dataclass(frozen=True)
class Share:
    """`right` of `of`, with its 95 % Wilson interval. The share of nothing is unknown: 0 to 1."""

    right: int
    of: int
    low: float
    high: float

    @property
    def value(self) -> float:
        """The share itself, 0 to 1; 0 of 0 counts as 0."""
        return self.right / self.of if self.of else 0.0

    def __str__(self) -> str:
        """ "33 of 63 (52 %, 40-64 %)"; none and all read by the exact bound: "0 of 50 (at most 5.8 %)"."""
        if not self.of:
            return "none asked"
        if not self.right:
            return f"0 of {self.of} (at most {percent(at_most(0, self.of))})"
        if self.right == self.of:
            return f"{self.of} of {self.of} (at least {percent(at_least(self.of, self.of))})"
        return f"{self.right} of {self.of} ({self.value:.0%}, {100 * self.low:.0f}-{self.high:.0%})".replace("%", " %")


def percent(share: float) -> str:
    """As it is read beside a count: "5.8 %", "12 %"; a decimal only below ten and above ninety, where it says something."""
    shown = round(100 * share, 1)
    return f"{shown:.1f} %" if shown < 10 or 90 < shown < 100 else f"{shown:.0f} %"


def p_words(p_value: float) -> str:
    """As it is read: "p = 0.03", "p below 0.0001"."""
    return "p below 0.0001" if p_value < 1e-4 else f"p = {p_value:.2g}"


def share(right: int, of: int, *, confidence: float = CONFIDENCE) -> Share:
    """
    A proportion with its Wilson score interval (two-sided).

    Source: Wilson 1927, doi:10.2307/2276774, as implemented in scipy. 1 of 1 reads [20.7 %, 100 %], never a zero width.
    """
    from scipy.stats import binomtest

    if not of:
        return Share(right, of, 0.0, 1.0)
    found = binomtest(right, of).proportion_ci(confidence_level=confidence, method="wilson")
    return Share(right, of, float(found.low), float(found.high))


def at_most(right: int, of: int, *, confidence: float = CONFIDENCE) -> float:
    """
    The largest share that `right` of `of` still leaves possible: the exact one-sided upper bound. Nothing asked: 1.

    It is the rule for "it never happened": 0 of 50 reads "at most 5.8 %", since 0.942^50 is 5 %; and what a limit is held to.
    Source: Clopper & Pearson 1934, doi:10.1093/biomet/26.4.404, one side of it.
    """
    from scipy.stats import beta

    return float(beta.ppf(confidence, right + 1, of - right)) if right < of else 1.0


def at_least(right: int, of: int, *, confidence: float = CONFIDENCE) -> float:
    """The exact one-sided lower bound, the mirror of `at_most`. Nothing asked: 0."""
    return 1.0 - at_most(of - right, of, confidence=confidence)


def mcnemar(fixed: int, broken: int) -> float:
    """
    Two-sided exact p-value that `fixed` and `broken` items differ by chance alone. No discordant item gives 1.

    Source: McNemar 1947; the exact form is a sign test on the discordant pairs.
    """
    from scipy.stats import binomtest

    return float(binomtest(fixed, fixed + broken).pvalue) if fixed + broken else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """
    Each p-value adjusted for having looked at all of them, in the order given; below 0.05, one in twenty families errs.

    Source: Holm 1979, Scandinavian Journal of Statistics 6:65-70, the step-down procedure.
    """
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    adjusted, worst = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        worst = max(worst, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = worst
    return adjusted


def power_of_mcnemar(of: int, fixed: float, broken: float, *, alpha: float = 1 - CONFIDENCE, sides: int = 2) -> float:
    """
    How likely `of` questions are to show a difference by the exact McNemar test, when these shares of them get fixed and broken.

    Exact, over every number of changed questions that may come up. `sides`: 1 looks for more broken than fixed, or the reverse,
    whichever is the truth. Source: Schork & Williams 1980, doi:10.1080/03610918008812164.
    """
    import numpy as np
    from scipy.stats import binom

    changed = fixed + broken
    if changed <= 0:
        return 0.0
    each = np.arange(int(binom.ppf(1e-12, of, changed)), int(binom.ppf(1 - 1e-12, of, changed)) + 1)
    likely = binom.pmf(each, of, changed)
    most = binom.ppf(alpha / sides, each, 0.5)  # of the rarer kind, with which a sign test still calls it a difference
    most = np.where(binom.cdf(most, each, 0.5) <= alpha / sides, most, most - 1)
    smaller, larger = min(fixed, broken) / changed, max(fixed, broken) / changed
    right_way = binom.cdf(most, each, smaller)
    wrong_way = binom.cdf(most, each, larger) if sides == 2 else 0.0
    return float(np.sum(likely * (right_way + wrong_way)))


def questions_needed(fixed: float, broken: float, *, power: float = POWER, alpha: float = 1 - CONFIDENCE) -> int | None:
    """
    How many questions show a difference with this power, when these shares of them get fixed and broken; None: over 100,000.

    The fewest from which on no larger number found by halving falls short; the exact power saws by a point or two in between.
    The search begins at Connor's normal approximation (1987, doi:10.2307/2531961).
    """
    from scipy.stats import norm

    difference, changed = abs(fixed - broken), fixed + broken
    if difference <= 0:
        return None
    a, b = float(norm.ppf(1 - alpha / 2)), float(norm.ppf(power))
    about = (a * changed**0.5 + b * (changed - difference**2) ** 0.5) ** 2 / difference**2
    if about > MOST_QUESTIONS:
        return None
    low, high = 1, max(8, int(about))
    while power_of_mcnemar(high, fixed, broken, alpha=alpha) < power:
        low, high = high, int(1.2 * high) + 1
    while high - low > 1:
        middle = (low + high) // 2
        enough = power_of_mcnemar(middle, fixed, broken, alpha=alpha) >= power
        low, high = (low, middle) if enough else (middle, high)
    return high


def wilson(value: float, of: int, *, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """
    Wilson's interval of a share that is a mean over several askings of the same `of` questions, so that it need not be a whole count.

    Source: Wilson 1927, doi:10.2307/2276774, eq. for the score interval; for whole counts it is `share`'s. Nothing asked: 0 to 1.
    """
    from scipy.stats import norm

    if not of:
        return 0.0, 1.0
    z = float(norm.ppf(0.5 + confidence / 2))
    centre = (value + z * z / (2 * of)) / (1 + z * z / of)
    half = z / (1 + z * z / of) * (value * (1 - value) / of + z * z / (4 * of * of)) ** 0.5
    return max(0.0, centre - half), min(1.0, centre + half)

"""Intervals and tests for shares, so that no number stands without what it is worth."""

from dataclasses import dataclass


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
        """ "33 of 63 (52 %, 40-64 %)"."""
        if not self.of:
            return "none asked"
        return f"{self.right} of {self.of} ({self.value:.0%}, {100 * self.low:.0f}-{self.high:.0%})".replace("%", " %")


def share(right: int, of: int, *, confidence: float = 0.95) -> Share:
    """
    A proportion with its Wilson score interval (two-sided).

    Source: Wilson 1927, doi:10.2307/2276774, as implemented in scipy. 1 of 1 reads [20.7 %, 100 %], never a zero width.
    """
    from scipy.stats import binomtest

    if not of:
        return Share(right, of, 0.0, 1.0)
    found = binomtest(right, of).proportion_ci(confidence_level=confidence, method="wilson")
    return Share(right, of, float(found.low), float(found.high))


def mcnemar(fixed: int, broken: int) -> float:
    """
    Two-sided exact p-value that `fixed` and `broken` items differ by chance alone. No discordant item gives 1.

    Source: McNemar 1947; the exact form is a sign test on the discordant pairs.
    """
    from scipy.stats import binomtest

    return float(binomtest(fixed, fixed + broken).pvalue) if fixed + broken else 1.0


def wilson(value: float, of: int, *, confidence: float = 0.95) -> tuple[float, float]:
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

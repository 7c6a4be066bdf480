"""Intervals and tests for shares, against published numbers and against data whose truth we set."""

import random
from fractions import Fraction
from math import comb

import pytest

from evals.intervals import Share, mcnemar, share


@pytest.mark.parametrize(
    ("right", "of", "low", "high"),
    [  # Newcombe 1998, Statistics in Medicine 17:857-872, table I, method 3 (Wilson score without continuity correction)
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_intervals_agree_with_the_published_ones(right, of, low, high):
    found = share(right, of)
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)


def test_one_of_one_is_no_certainty_and_none_of_none_is_no_knowledge():
    assert (share(1, 1).low, share(1, 1).high) == pytest.approx((0.2065, 1.0), abs=5e-5)  # 1 / (1 + 1.96²)
    assert share(0, 0) == Share(0, 0, 0.0, 1.0) and share(0, 0).value == 0.0


def test_a_higher_confidence_is_a_wider_interval_around_the_same_share():
    wide, narrow = share(30, 100, confidence=0.99), share(30, 100, confidence=0.8)
    assert wide.low < narrow.low < 0.3 < narrow.high < wide.high
    assert wide.value == narrow.value == 0.3


def test_nineteen_of_twenty_intervals_hold_the_truth():
    rng = random.Random(7)
    for truth, of in ((0.5, 40), (0.9, 60), (0.1, 100)):
        intervals = [share(right, of) for right in range(of + 1)]
        drawn = [intervals[sum(rng.random() < truth for _ in range(of))] for _ in range(1000)]
        covered = sum(interval.low <= truth <= interval.high for interval in drawn) / 1000
        assert 0.92 <= covered <= 0.98


def test_a_share_reads_as_counts_with_its_interval():
    assert str(share(81, 263)) == "81 of 263 (31 %, 26-37 %)"
    assert str(share(0, 0)) == "none asked"


def by_hand(fixed: int, broken: int) -> float:
    """Two-sided sign test: all outcomes of a fair coin that are no likelier than the one seen."""
    n, seen = fixed + broken, comb(fixed + broken, fixed)
    return float(Fraction(sum(comb(n, k) for k in range(n + 1) if comb(n, k) <= seen), 2**n))


@pytest.mark.parametrize(
    ("fixed", "broken", "p"),
    [
        (6, 16, 0.0524787903),  # 2 * sum of C(22, k), k = 0..6, over 2^22: 220,112 / 4,194,304
        (5, 0, 0.0625),  # 2 / 2^5
        (10, 1, 0.01171875),  # 2 * (1 + 11) / 2^11
        (3, 3, 1.0),
        (0, 0, 1.0),
    ],
)
def test_mcnemar_is_the_exact_sign_test_on_the_questions_that_changed(fixed, broken, p):
    assert mcnemar(fixed, broken) == pytest.approx(p, abs=1e-9) == pytest.approx(by_hand(fixed, broken))
    assert mcnemar(broken, fixed) == pytest.approx(p, abs=1e-9)


def test_two_equal_models_are_told_apart_in_at_most_one_of_twenty_comparisons():
    rng = random.Random(11)
    false_alarms = 0
    for _ in range(1000):
        fixed = sum(rng.random() < 0.5 for _ in range(30))
        false_alarms += mcnemar(fixed, 30 - fixed) < 0.05
    assert 15 <= false_alarms <= 65  # the exact test's true level at 30 pairs is 4.3 %


def test_a_model_that_fixes_far_more_than_it_breaks_is_told_apart():
    assert mcnemar(30, 3) < 1e-5 and mcnemar(300, 240) < 0.05 < mcnemar(30, 24)

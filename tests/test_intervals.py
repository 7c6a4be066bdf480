"""Intervals and tests for shares, against published numbers and against data whose truth we set."""

import random
from fractions import Fraction
from math import comb

import pytest

from evals.intervals import Share, at_least, at_most, holm, mcnemar, power_of_mcnemar, questions_needed, share


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


def test_none_and_all_read_by_what_they_rule_out():
    assert str(share(0, 50)) == "0 of 50 (at most 5.8 %)"  # 0.942^50 = 5 %
    assert str(share(50, 50)) == "50 of 50 (at least 94.2 %)"
    assert str(share(0, 1)) == "0 of 1 (at most 95.0 %)" and str(share(3, 3)) == "3 of 3 (at least 37 %)"


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


@pytest.mark.parametrize(("right", "of"), [(0, 1), (0, 50), (1, 29), (15, 148), (49, 50), (0, 4000)])
def test_bounds_and_intervals_are_those_of_two_other_libraries(right, of):
    from scipy.stats import binomtest
    from statsmodels.stats.proportion import proportion_confint

    assert at_most(right, of) == pytest.approx(
        binomtest(right, of, alternative="less").proportion_ci(0.95, method="exact").high, abs=1e-9
    )
    assert at_most(right, of) == pytest.approx(proportion_confint(right, of, 0.1, method="beta")[1], abs=1e-9)
    found = share(right, of)
    assert (found.low, found.high) == pytest.approx(proportion_confint(right, of, 0.05, method="wilson"), abs=1e-9)


def test_what_never_happened_in_n_is_at_most_what_would_still_go_unseen_once_in_twenty():
    assert (1 - at_most(0, 50)) ** 50 == pytest.approx(0.05)
    assert at_least(50, 50) == pytest.approx(1 - at_most(0, 50))
    assert (at_most(0, 0), at_least(0, 0), at_most(5, 5)) == (1.0, 0.0, 1.0)


@pytest.mark.parametrize(("fixed", "broken"), [(6, 16), (0, 7), (12, 12), (121, 59), (1, 0)])
def test_mcnemar_is_the_exact_one_of_statsmodels(fixed, broken):
    from statsmodels.stats.contingency_tables import mcnemar as theirs

    assert mcnemar(fixed, broken) == pytest.approx(theirs([[9, fixed], [broken, 4]], exact=True).pvalue, abs=1e-9)


def test_holm_asks_more_of_the_smallest_p_value_and_never_turns_the_order():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx(
        [0.03, 0.06, 0.06, 0.02]
    )  # 3*.01, max(.06, .04), 2*.03, 4*.005
    assert holm([0.6, 0.9]) == [1.0, 1.0] and holm([]) == []


def test_holm_is_that_of_statsmodels():
    from statsmodels.stats.multitest import multipletests

    rng = random.Random(3)
    for size in (1, 5, 40):
        p_values = [rng.random() ** 3 for _ in range(size)]
        assert holm(p_values) == pytest.approx(list(multipletests(p_values, method="holm")[1]), abs=1e-9)


def test_holm_keeps_a_family_of_null_slices_quiet_in_nineteen_of_twenty_reports():
    rng = random.Random(5)
    alarms = sum(min(holm([rng.random() for _ in range(12)])) < 0.05 for _ in range(2000))
    assert 70 <= alarms <= 130  # 12 uniform p-values: 1 - (1 - .05/12)^12 = 4.9 %


def test_power_is_that_of_a_published_example():
    """O'Brien 2002, as replicated in the manual of G*Power 3.1: 50 pairs, .08 against .32, one-sided: power .8393, true alpha .0326."""
    assert power_of_mcnemar(50, 0.32, 0.08, sides=1) == pytest.approx(0.8393, abs=1e-4)
    assert power_of_mcnemar(50, 0.08, 0.32, sides=1) == pytest.approx(0.8393, abs=1e-4)
    assert power_of_mcnemar(50, 0.2, 0.2, sides=1) == pytest.approx(0.032578, abs=1e-6)
    assert power_of_mcnemar(50, 0.0, 0.0) == 0.0


def test_power_is_how_often_a_simulated_difference_is_found():
    rng = random.Random(13)
    found = 0
    for _ in range(2000):
        drawn = rng.choices(("fixed", "broken", ""), (0.2, 0.1, 0.7), k=150)
        found += mcnemar(drawn.count("fixed"), drawn.count("broken")) < 0.05
    assert found / 2000 == pytest.approx(power_of_mcnemar(150, 0.2, 0.1), abs=0.03)


def test_the_questions_needed_are_just_enough():
    for fixed, broken in ((0.2, 0.1), (0.05, 0.15), (0.3, 0.0)):
        needed = questions_needed(fixed, broken)
        assert power_of_mcnemar(needed, fixed, broken) >= 0.8 > power_of_mcnemar(needed - 1, fixed, broken)
    assert questions_needed(0.2, 0.1) < questions_needed(0.2, 0.15) < questions_needed(0.2, 0.18)


def test_no_number_of_questions_tells_two_equals_apart():
    assert questions_needed(0.1, 0.1) is None and questions_needed(0.0, 0.0) is None
    assert questions_needed(0.1001, 0.1) is None  # over a hundred thousand

"""Intervals for votes that hang together: published where they do not, and holding the truth where they do."""

import numpy as np
import pytest

from evals.clusters import LEAST_ALIKE, clustered_share
from evals.intervals import share

RUNS = 400


def apart(right: int, of: int):
    """Every vote by a rater and on a question of its own."""
    won = np.array([1.0] * right + [0.0] * (of - right))
    return (won, np.ones(of)), (won, np.ones(of))


@pytest.mark.parametrize(("right", "of"), [(1, 1), (0, 1), (2, 2), (81, 263), (15, 148), (0, 20)])
def test_votes_that_do_not_hang_together_have_wilsons_interval(right, of):
    found, wilson = clustered_share(*apart(right, of)), share(right, of)
    assert (found.right, found.of, found.low, found.high) == pytest.approx(
        (right, of, wilson.low, wilson.high), abs=1e-6
    )


def test_one_vote_reads_from_a_fifth_to_all_and_none_from_nothing_to_all():
    one = clustered_share(*apart(1, 1))
    assert (one.low, one.high) == pytest.approx((0.2065, 1.0), abs=5e-5)
    none = clustered_share((np.zeros(0), np.zeros(0)), (np.zeros(0), np.zeros(0)))
    assert (none.low, none.high) == (0.0, 1.0)


def test_two_raters_who_contradict_each_other_know_little_however_often_they_voted():
    raters = (np.array([50.0, 0.0]), np.array([50.0, 50.0]))
    questions = (np.ones(50), np.full(50, 2.0))
    found = clustered_share(raters, questions)
    assert found.low < 0.05 and found.high > 0.95


def test_fifty_votes_of_one_rater_are_less_than_fifty_raters():
    alone = clustered_share((np.array([40.0]), np.array([50.0])), apart(40, 50)[1])
    assert alone.high - alone.low > 1.3 * (share(40, 50).high - share(40, 50).low)
    # by hand: one cluster of 50, so the variance is taken 1 + 0.05 * 49 times; Wilson's interval of 50 / 3.45 votes
    fewer = 50 / (1 + LEAST_ALIKE * 49)
    z2 = 1.959964**2
    centre, half = (0.8 + z2 / (2 * fewer)), 1.959964 * (0.16 / fewer + z2 / (4 * fewer**2)) ** 0.5
    assert (alone.low, alone.high) == pytest.approx(
        ((centre - half) / (1 + z2 / fewer), (centre + half) / (1 + z2 / fewer)), abs=1e-5
    )


def test_an_unanimous_group_is_not_certain():
    raters, questions = (np.full(4, 5.0), np.full(4, 5.0)), (np.full(5, 4.0), np.full(5, 4.0))
    found = clustered_share(raters, questions)
    assert found.high == 1.0 and 0.5 < found.low < share(20, 20).low


@pytest.mark.parametrize("raters", [4, 8, 12])
@pytest.mark.parametrize(("by_rater", "by_question", "lean"), [(0.0, 0.0, 0.0), (0.5, 0.5, 0.4), (0.8, 0.3, 0.0)])
def test_nineteen_of_twenty_intervals_hold_the_truth_with_four_to_twelve_raters(raters, by_rater, by_question, lean):
    """Raters and questions each with a leaning of their own (log odds), 25 votes a rater on 40 questions."""
    rng = np.random.default_rng([raters, int(10 * by_rater), int(10 * lean)])
    spread = np.hypot(by_rater, by_question)
    truth = (1 / (1 + np.exp(-lean - spread * rng.standard_normal(200_000)))).mean()
    rater = np.repeat(np.arange(raters), 25)
    held = naive = 0
    for _ in range(RUNS):
        question = np.concatenate([rng.permutation(40)[:25] for _ in range(raters)])
        log_odds = (
            lean + by_rater * rng.standard_normal(raters)[rater] + by_question * rng.standard_normal(40)[question]
        )
        won = (rng.random(len(rater)) < 1 / (1 + np.exp(-log_odds))).astype(float)
        found = clustered_share(*((np.bincount(c, won), np.bincount(c).astype(float)) for c in (rater, question)))
        held += found.low <= truth <= found.high
        plain = 1.96 * (won.mean() * (1 - won.mean()) / len(won)) ** 0.5
        naive += abs(won.mean() - truth) <= plain
    # the true cover is 93 to 98.5 %; three standard errors of 400 runs stand on either side
    assert 0.915 <= held / RUNS <= 0.995
    if by_rater == 0.8:
        assert naive / RUNS < 0.8  # what taking the votes as independent comes to

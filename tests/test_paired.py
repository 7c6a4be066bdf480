"""What the second model changed, on data whose truth we set and beside scipy."""

import random

import numpy as np
import pytest
from scipy.stats import bootstrap as scipy_bootstrap

from evals.paired import RESAMPLES, SEED, bootstrap, change, score_change

FACTS, FORMS = 40, 2


def asked(rng, fixed, broken):
    """Forty facts in two forms; half of the time the forms of a fact change together."""
    before, after, facts = [], [], []
    for fact in range(FACTS):
        together = rng.choices((1, -1, 0), (fixed, broken, 1 - fixed - broken))[0]
        for _ in range(FORMS):
            alone = rng.choices((1, -1, 0), (fixed, broken, 1 - fixed - broken))[0]
            moved = together if rng.random() < 0.5 else alone
            was = moved == -1 or (moved == 0 and rng.random() < 0.5)
            before.append(was)
            after.append(moved == 1 or (moved == 0 and was))
            facts.append(f"fact {fact}")
    return before, after, facts


@pytest.mark.parametrize(("fixed", "broken"), [(0.2, 0.1), (0.05, 0.05)])
def test_nineteen_of_twenty_intervals_hold_the_true_change_though_forms_of_a_fact_go_together(fixed, broken):
    rng = random.Random(1)
    found = [change(*asked(rng, fixed, broken)) for _ in range(300)]
    covered = sum(each.low <= fixed - broken <= each.high for each in found) / 300
    assert 0.93 <= covered <= 0.97


def test_forms_counted_as_if_they_were_facts_would_promise_too_much():
    before, after, facts = [False] * 200, [fact % 2 == 0 for fact in range(20) for _ in range(10)], []
    facts = [str(fact) for fact in range(20) for _ in range(10)]
    clustered, counted = change(before, after, facts), change(before, after, [str(n) for n in range(200)])
    assert clustered.high - clustered.low > 2 * (counted.high - counted.low)
    assert (clustered.facts, counted.facts) == (20, 200)


def test_counts_and_p_value_are_of_the_questions_that_changed():
    found = change([True, False, False, True], [True, True, True, False], list("abcd"))
    assert (found.of, found.before, found.after, found.fixed, found.broken) == (4, 2, 3, 2, 1)
    assert found.value == 0.25 and found.p_value == 1.0  # 2 against 1 of 3: every outcome is as likely or less


def test_two_models_that_never_differ_leave_an_interval_with_a_width():
    found = change([True] * 50, [True] * 50, [str(n) for n in range(50)])
    assert found.value == 0.0 and -0.08 < found.low < -0.01 and 0.01 < found.high < 0.08


def test_nothing_asked_is_nothing_known():
    assert (change([], [], []).low, change([], [], []).high, change([], [], []).p_value) == (-1.0, 1.0, 1.0)
    alone = score_change([0.5], [0.7], ["a"])
    assert (alone.low, alone.high, alone.value) == (-1.0, 1.0, pytest.approx(0.2))


def test_the_bootstrap_is_scipys_percentile_one_but_for_its_wider_tails():
    rng = np.random.default_rng(0)
    values = rng.normal(0.1, 0.2, 30)
    low, high = bootstrap(list(values), [f"{n:02}" for n in range(30)])
    level = 1 - 2 * 0.01875390027822054  # Phi(-sqrt(30 / 29) * 2.0452296), the t of 29 degrees at .975
    same = scipy_bootstrap(
        (values,), np.mean, n_resamples=RESAMPLES, method="percentile", confidence_level=level,
        rng=np.random.default_rng(SEED),
    ).confidence_interval  # fmt: skip
    assert (low, high) == pytest.approx((same.low, same.high), abs=1e-9)
    plain = scipy_bootstrap(
        (values,), np.mean, n_resamples=RESAMPLES, method="percentile", rng=np.random.default_rng(SEED)
    )
    assert low < plain.confidence_interval.low and plain.confidence_interval.high < high


def test_the_same_answers_give_the_same_interval_in_any_order():
    before, after, facts = asked(random.Random(2), 0.2, 0.1)
    order = random.Random(3).sample(range(len(facts)), len(facts))
    again = change(*([each[n] for n in order] for each in (before, after, facts)))
    assert again == change(before, after, facts)


def test_a_score_is_compared_as_a_mean_with_its_interval():
    found = score_change([0.0, 0.5, 0.5, 1.0], [0.5, 0.5, 1.0, 1.0], list("abcd"))
    assert (found.before, found.after, found.value) == (0.5, 0.75, 0.25)
    assert found.low < 0.25 < found.high
    assert score_change([0.5] * 3, [0.5] * 3, list("abc")).low == 0.0

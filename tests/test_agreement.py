"""How far raters agree: the published example, another program's figure, and data whose agreement we set."""

import random

import pandas as pd
import pytest

from evals.agreement import FEWEST_SHARED, agreement, agreement_of_labels, agreement_of_votes, disagreed
from tests.arena_votes import cast

# Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", example C: 4 observers, 12 units, nominal data
PUBLISHED = {
    "A": "1 2 3 3 2 1 4 1 2 . . .", "B": "1 2 3 3 2 2 4 1 2 5 . 3", "C": ". 3 3 3 2 3 4 2 2 5 1 .", "D": "1 2 3 3 2 4 4 1 2 5 1 .",
}  # fmt: skip


def published(copies: int = 1) -> list[tuple[str, str, str]]:
    return [
        (f"{copy}-{unit}", rater, value)
        for copy in range(copies)
        for rater, values in PUBLISHED.items()
        for unit, value in enumerate(values.split())
        if value != "."
    ]


def test_the_published_example_has_its_published_alpha():
    # 11 shared units an example; so many copies have nearly its alpha, which corrects for small numbers by (n - 1) / n
    found = agreement(published(5))
    assert (found.shared, found.raters) == (55, 4)
    n = 40  # values that can be paired in one copy
    disagreement = (1 - 0.743) * (n / (n - 1)) * ((5 * n - 1) / (5 * n))
    assert found.alpha == pytest.approx(1 - disagreement, abs=5e-4)
    assert found.low < found.alpha < found.high


def test_evalica_finds_the_same_alpha():
    from evalica import alpha

    rng = random.Random(2)
    said = [(item, f"r{r}", rng.choice("abbbc")) for item in range(80) for r in range(5) if rng.random() < 0.6]
    table = pd.DataFrame(said, columns=["item", "rater", "said"]).pivot(index="rater", columns="item", values="said")
    assert agreement(said).alpha == pytest.approx(alpha(table, distance="nominal").alpha, abs=1e-9)


@pytest.mark.parametrize(("often", "low", "high"), [(1.0, 0.99, 1.0), (0.0, -0.1, 0.1), (0.7, 0.4, 0.6)])
def test_raters_who_agree_so_often_have_such_an_alpha(often, low, high):
    """Two raters who each tell the truth with probability `often` and else draw one of three verdicts: alpha is its square."""
    rng = random.Random(5)
    said = []
    for item in range(800):
        truth = rng.choice("abc")
        said += [(item, rater, truth if rng.random() < often else rng.choice("abc")) for rater in ("ann", "bob")]
    found = agreement(said)
    assert low <= found.alpha <= high + 1e-9 and found.low <= often**2 <= found.high + 1e-9


def test_nineteen_of_twenty_intervals_hold_the_truth():
    rng, held = random.Random(6), 0
    for _ in range(60):
        said = []
        for item in range(60):
            truth = rng.choice("abc")
            said += [(item, rater, truth if rng.random() < 0.8 else rng.choice("abc")) for rater in "rst"]
        found = agreement(said)
        held += found.low <= 0.64 <= found.high
    assert 52 <= held <= 60


def test_below_fifty_shared_items_there_is_no_alpha():
    said = [(item, rater, "right") for item in range(FEWEST_SHARED - 1) for rater in ("ann", "bob")]
    said += [(f"alone {n}", "ann", "wrong") for n in range(100)]
    found = agreement(said)
    assert (found.shared, found.alpha, found.poor) == (49, None, False)
    assert str(found) == "Agreement: not enough shared items (49 of 50; each takes two raters)."


def test_where_everybody_always_said_the_same_alpha_is_not_defined():
    found = agreement((item, rater, "right") for item in range(60) for rater in ("ann", "bob"))
    assert found.alpha is None and "always said the same" in str(found)


def test_poor_agreement_is_a_warning_and_good_agreement_is_none():
    rng = random.Random(7)
    noise = agreement((item, rater, rng.choice("ab")) for item in range(80) for rater in ("ann", "bob"))
    assert noise.poor and noise.warning("The votes").startswith("The votes: raters hardly agree (alpha")
    assert agreement((item, rater, "ab"[item % 2]) for item in range(80) for rater in ("ann", "bob")).warning("x") == ""


def test_a_raters_last_word_on_a_thing_counts_and_order_does_not():
    said = published(5)
    changed = [("0-0", "A", "9"), *said]
    assert agreement(changed) == agreement(said)
    random.Random(1).shuffle(said)
    assert agreement(said) == agreement(published(5))


def test_votes_of_several_raters_on_one_question_are_compared(store):
    for number in range(12):
        cast(
            store,
            number,
            "base",
            "one",
            "a" if number % 4 else "b",
            rater=f"r{number % 2}",
            question=f"Q{number // 2}?",
        )
    found = agreement_of_votes(store, "policy_qa")
    assert (found.shared, found.raters) == (6, 2)


def test_labels_that_were_taken_back_are_not_compared(store):
    from engine.labels import label_row, take_back
    from tests.desk import version_of

    made = version_of(store, 3)
    for rater in ("ann", "bob"):
        for example in ("e0", "e1"):
            label = label_row(store, made, example, rater=rater, verdict="right", now="3")
    take_back(store, label, now="4")
    assert agreement_of_labels(store, made).shared == 1


def test_disagreements_are_listed_with_each_verdict():
    said = [
        ("x", "ann", "right"),
        ("x", "bob", "wrong"),
        ("y", "ann", "right"),
        ("y", "bob", "right"),
        ("z", "ann", "wrong"),
    ]
    assert disagreed(said) == {"x": {"ann": "right", "bob": "wrong"}}

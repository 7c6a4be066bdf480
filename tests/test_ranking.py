"""The ranking from the votes: counted right, never surer than the votes, the same in any order."""

import random

import pytest

from engine.records import Battle, Decoding, Vote
from evals.ranking import as_rows, leaderboard


def votes(*outcomes: tuple[str, str, str]) -> list[tuple[Battle, Vote]]:
    """(model A, model B, choice) of each vote."""
    return [
        (Battle(f"b{n}", "t", "closed", "?", a, b, "", "", Decoding(), "1"), Vote(n, f"b{n}", "ann", choice, "1"))
        for n, (a, b, choice) in enumerate(outcomes)
    ]


def scores(voted) -> dict[str, float]:
    return {standing.model: standing.score for standing in leaderboard(voted)}


def test_no_votes_no_ranking():
    assert leaderboard([]) == []


def test_wins_losses_ties_and_both_bad_are_counted_for_both_sides():
    found = leaderboard(
        votes(("x", "y", "a"), ("y", "x", "b"), ("x", "y", "b"), ("x", "y", "tie"), ("y", "x", "both_bad"))
    )
    assert [(s.model, s.battles, s.wins, s.losses, s.ties, s.both_bad) for s in found] == [
        ("x", 5, 2, 1, 1, 1), ("y", 5, 1, 2, 1, 1),
    ]  # fmt: skip
    assert (found[0].win_share.right, found[0].win_share.of) == (2, 3)
    assert as_rows(found)[0]["win_share"]["right"] == 2 and as_rows(found)[0]["model"] == "x"


def test_two_models_score_as_their_wins_with_one_tie_more():
    # 3 wins to 1 and the added tie: 3.5 to 1.5 won, so the odds are 7/3 and the scores its square root and inverse.
    found = scores(votes(*[("x", "y", "a")] * 3, ("x", "y", "b")))
    assert found == pytest.approx({"x": (7 / 3) ** 0.5, "y": (3 / 7) ** 0.5}, rel=1e-4)


def test_one_vote_is_enough_to_lead_and_never_enough_to_be_sure():
    (first, second) = leaderboard(votes(("zeta", "alpha", "a")))
    assert (first.model, second.model) == ("zeta", "alpha")
    assert (first.score, second.score) == pytest.approx((3**0.5, 3**-0.5), rel=1e-4)  # 1.5 to 0.5
    assert (first.win_share.low, first.win_share.high) == pytest.approx((0.2065, 1.0), abs=5e-5)


def test_a_model_that_never_lost_stands_above_one_that_lost_half():
    found = scores(
        votes(*[("champion", "middle", "a")] * 5, *[("middle", "last", "b")] * 2, *[("middle", "last", "a")] * 2)
    )
    assert found["champion"] > 3 * found["middle"] == pytest.approx(3 * found["last"], rel=1e-3)


def test_both_bad_narrows_nothing_and_moves_nothing():
    some = votes(("x", "y", "a"), ("x", "y", "a"), ("x", "y", "b"))
    more = some + votes(*[("x", "y", "both_bad")] * 50)
    assert scores(more) == scores(some)
    assert [s.win_share for s in leaderboard(more)] == [s.win_share for s in leaderboard(some)]
    assert {s.model: s.score for s in leaderboard(votes(("x", "y", "both_bad")))} == {"x": 1.0, "y": 1.0}


def test_ties_pull_together_and_narrow_no_interval():
    some = votes(("x", "y", "a"), ("x", "y", "a"))
    more = some + votes(*[("x", "y", "tie")] * 20)
    assert 1 < scores(more)["x"] < scores(some)["x"]
    assert leaderboard(more)[0].win_share == leaderboard(some)[0].win_share


def test_neither_the_order_of_votes_nor_the_side_a_model_stood_on_matters():
    rng = random.Random(3)
    voted = votes(*[(*rng.sample(["u", "v", "w"], 2), rng.choice(["a", "b", "tie"])) for _ in range(60)])
    turned = votes(*[(b.model_b, b.model_a, {"a": "b", "b": "a"}.get(v.choice, v.choice)) for b, v in voted])
    expected = scores(voted)
    for _ in range(5):
        rng.shuffle(voted)
        assert scores(voted) == expected
    assert scores(turned) == pytest.approx(expected, rel=1e-4)


def test_scores_find_the_strengths_the_votes_were_drawn_from():
    truth, rng = {"weak": 0.5, "fair": 1.0, "strong": 2.0}, random.Random(5)
    drawn = []
    for _ in range(3000):
        a, b = rng.sample(sorted(truth), 2)
        drawn.append((a, b, "a" if rng.random() < truth[a] / (truth[a] + truth[b]) else "b"))
    assert scores(votes(*drawn)) == pytest.approx(truth, rel=0.12)
    assert [standing.model for standing in leaderboard(votes(*drawn))] == ["strong", "fair", "weak"]

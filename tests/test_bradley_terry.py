"""Strengths by maximum likelihood: by hand, as two other programs fit them, and as the truth the votes were drawn from."""

import random
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from engine.records import Contender, Tally
from evals.ballots import Ballots, ballots_of
from evals.bradley_terry import ELO, fit
from evals.votes_file import read_votes
from tests.arena_votes import ballots, drawn

LLMFAO = Path(__file__).resolve().parents[2] / "shared" / "data" / "votes" / "llmfao.csv"
PEER = {  # arena-rank 0.1.1, BradleyTerry on PairDataset.from_pandas, ties half; 6 and 4 models, every pair as often
    "six": {"a": 1035.159, "b": 976.596, "c": 1041.069, "d": 1017.533, "e": 958.921, "f": 970.722},
    "four": {"a": 1017.441, "b": 991.293, "c": 1017.441, "d": 973.825},
    "two": {"a": 1073.595, "b": 926.405},
}
COUNTS = {
    "six": {(x, y): (6 + k, 12 - k, 2) for (i, x), (j, y) in combinations(enumerate("abcdef"), 2) if (k := (3 * i + 5 * j) % 9) >= 0},
    "four": {(x, y): (4 + k, 10 - k, 6) for (i, x), (j, y) in combinations(enumerate("abcd"), 2) if (k := (2 * i + 3 * j) % 7) >= 0},
    "two": {("a", "b"): (70, 30, 0)},
}  # fmt: skip
PEER_ON_LLMFAO = {
    "GPT 4": 1172.118, "Platypus-2 Instruct (70B)": 1112.462, "command": 1110.166, "ReMM SLERP L2 13B": 1099.619,
    "LLaMA-2-Chat (70B)": 1094.636, "Luminous Supreme Control": 1013.523, "Guanaco (33B)": 1013.141,
    "Vicuna v1.5 (13B)": 1012.648, "Dolly v2 (7B)": 847.018, "Vicuna-FastChat-T5 (3B)": 845.930, "Dolly v2 (3B)": 845.656,
}  # fmt: skip


def counted(counts: dict[tuple[str, str], tuple[int, int, int]]) -> Ballots:
    votes = [
        (first, second, choice)
        for (first, second), numbers in counts.items()
        for choice, number in zip(("a", "b", "tie"), numbers, strict=True)
        for _ in range(number)
    ]
    return ballots(*votes)


def scores(found: Ballots, **options) -> dict[str, float]:
    return dict(zip(found.names, 1000 + ELO * fit(found, **options).strength, strict=True))


def test_two_models_are_as_far_apart_as_their_wins():
    found = scores(ballots(*[("x", "y", "a")] * 3, ("x", "y", "b")))
    assert found["x"] - found["y"] == pytest.approx(400 * np.log10(3))
    assert found["x"] + found["y"] == pytest.approx(2000)


@pytest.mark.parametrize("name", PEER)
def test_balanced_sets_of_a_hundred_votes_and_more_are_fitted_as_arena_rank_fits_them(name):
    assert sum(map(sum, COUNTS[name].values())) >= 100
    assert scores(counted(COUNTS[name])) == pytest.approx(PEER[name], abs=0.05)


@pytest.mark.parametrize("name", PEER)
def test_evalica_fits_the_same_scores(name):
    from evalica import Winner, bradley_terry

    votes = [
        (first, second, winner)
        for (first, second), numbers in COUNTS[name].items()
        for winner, number in zip((Winner.X, Winner.Y, Winner.Draw), numbers, strict=True)
        for _ in range(number)
    ]
    left, right, winners = zip(*votes, strict=True)
    theirs = np.log(bradley_terry(left, right, winners, tolerance=1e-12, limit=10_000).scores)
    expected = (1000 + ELO * (theirs - theirs.mean())).to_dict()
    assert scores(counted(COUNTS[name])) == pytest.approx(expected, abs=1e-3)


@pytest.mark.skipif(not LLMFAO.is_file(), reason="the votes in ../shared/data/votes are not here")
def test_real_votes_of_59_models_are_fitted_as_arena_rank_fits_them():
    found = read_votes(LLMFAO)
    assert (len(found.contenders), len(found.by_rater.names), int(found.by_rater.said[:, 2].sum())) == (59, 124, 3471)
    ours = scores(found)
    assert {name: ours[name] for name in PEER_ON_LLMFAO} == pytest.approx(PEER_ON_LLMFAO, abs=0.1)
    assert max(ours, key=ours.__getitem__) == "GPT 4"


def test_a_model_that_never_lost_has_a_finite_score_and_it_is_said():
    lucky = fit(ballots(("x", "y", "a")))
    assert lucky.tied_once_more
    assert lucky.strength[0] - lucky.strength[1] == pytest.approx(np.log(3))  # 1.5 to 0.5
    assert not fit(ballots(("x", "y", "a"), ("x", "y", "b"))).tied_once_more
    # a beats b, b beats c, c beats a: each has lost, step by step, to each
    assert not fit(ballots(("a", "b", "a"), ("b", "c", "a"), ("c", "a", "a"))).tied_once_more


def test_models_that_never_met_even_through_others_are_not_compared():
    found = fit(ballots(("a", "b", "a"), ("a", "b", "b"), ("x", "y", "tie")))
    assert found.group[0] == found.group[1] != found.group[2] == found.group[3]
    assert np.isinf(found.half_width[0, 2]) and np.isfinite(found.half_width[0, 1])
    assert found.strength == pytest.approx([0, 0, 0, 0])


def test_the_width_for_independent_votes_is_the_information_s():
    found = fit(counted({("a", "b"): (70, 30, 0)}))
    expected = 1.959964 * (1 / (100 * 0.7 * 0.3)) ** 0.5
    assert found.half_width[0, 1] == pytest.approx(expected * (102 / 102) ** 0.5, rel=1e-6)
    assert found.half_width_to_mean[0] == pytest.approx(expected / 2, rel=1e-6)


def test_no_width_is_ever_zero():
    for votes in (
        [("x", "y", "a")],
        [("x", "y", "tie")] * 9,
        [("x", "y", "both_bad")],
        [("x", "y", "a", "ann", "q")] * 30,
    ):
        assert (fit(ballots(*votes)).half_width_to_mean > 0.1).all()


def test_a_raters_and_a_questions_votes_widen_the_interval():
    apart = [("x", "y", "a" if n % 10 < 7 else "b", f"r{n}", f"q{n}") for n in range(100)]
    leaning = [
        ("x", "y", "a" if n % 10 < 7 else "b", f"r{n % 10}", f"q{n}") for n in range(100)
    ]  # 7 raters always, 3 never
    assert fit(ballots(*leaning)).half_width[0, 1] > 2.5 * fit(ballots(*apart)).half_width[0, 1]


def test_intervals_hold_the_strengths_that_the_votes_were_drawn_from():
    """Three models, 8 raters and 30 questions with leanings of their own; the gap between the outer two."""
    rng, truth, held, runs = np.random.default_rng(3), np.array([-0.4, 0.0, 0.4]), 0, 150
    ends = np.array([(0, 1), (0, 2), (1, 2)])
    contenders = {n: (Contender("mno"[a]), Contender("mno"[b])) for n, (a, b) in enumerate(ends.tolist())}
    # the strengths that fit the population, not one draw of leanings: averaged over them, odds shrink
    shrink = 1 / (1 + np.exp(-0.8 + 0.6 * rng.standard_normal(200_000)))
    target = np.log(shrink.mean() / (1 - shrink.mean()))
    for _ in range(runs):
        rater, question, pair = rng.integers(0, 8, 240), rng.integers(0, 30, 240), rng.integers(0, 3, 240)
        tastes = (0.42 * rng.standard_normal((8, 3)), 0.42 * rng.standard_normal((30, 3)))
        lean = tastes[0][rater] + tastes[1][question]
        gap = truth[ends[pair, 0]] - truth[ends[pair, 1]]
        rows = np.arange(240)
        gap += (lean[rows, ends[pair, 0]] - lean[rows, ends[pair, 1]]) / 2**0.5
        won = rng.random(240) < 1 / (1 + np.exp(-gap))
        tallies = [
            [Tally(int(p), int(c), 0, int(w.sum()), int((~w).sum()), 0, 0)
             for p in range(3) for c in np.unique(of) if len(w := won[(pair == p) & (of == c)])]
            for of in (rater, question)
        ]  # fmt: skip
        found = fit(ballots_of(contenders, *tallies))
        held += abs(found.strength[2] - found.strength[0] - target) <= found.half_width[2, 0]
    assert 0.91 <= held / runs <= 1.0


def test_order_of_votes_and_sides_change_nothing():
    rng = random.Random(3)
    votes = [
        (*rng.sample("uvw", 2), rng.choice(["a", "b", "tie"]), rng.choice("rst"), rng.choice("pq")) for _ in range(60)
    ]
    expected = fit(ballots(*votes))
    rng.shuffle(votes)
    turned = [(right, left, {"a": "b", "b": "a"}.get(said, said), *rest) for left, right, said, *rest in votes]
    found = fit(ballots(*turned))
    assert found.strength == pytest.approx(expected.strength, abs=1e-9)
    assert found.half_width == pytest.approx(expected.half_width, abs=1e-9)


def test_scores_find_the_strengths_the_votes_were_drawn_from():
    truth = {"weak": -0.7, "fair": 0.0, "strong": 0.7}
    found = drawn(truth, 3000, random.Random(5))
    assert dict(zip(found.names, fit(found).strength, strict=True)) == pytest.approx(truth, abs=0.12)


def test_a_taste_for_length_is_taken_out_of_the_scores():
    """Two equals; raters prefer the longer answer, and y's answers are mostly longer."""
    rng = np.random.default_rng(2)
    longer = rng.choice([-4, -2, 0, 2], size=4000)  # tenths by which x's answer is longer
    won = rng.random(4000) < 1 / (1 + np.exp(-3.0 * longer / 10))
    tallies = [
        Tally(0, f"r{n}", int(by), int(w), int(not w), 0, 0) for n, (by, w) in enumerate(zip(longer, won, strict=True))
    ]
    found = ballots_of({0: (Contender("x"), Contender("y"))}, tallies, tallies)
    raw, controlled = fit(found), fit(found, lengths=True)
    assert raw.strength[0] < -0.1
    assert controlled.strength[0] == pytest.approx(0, abs=0.06)
    assert controlled.length == pytest.approx(3.0, abs=0.4)
    assert controlled.half_width[0, 1] > raw.half_width[0, 1]

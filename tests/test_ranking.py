"""The ranking from the votes: counted right, never surer than the votes, the same in any order."""

import random

import pytest

from evals.ballots import read_ballots
from evals.ranking import as_rows, by_rater, rank
from tests.arena_votes import ballots, cast


def test_no_votes_no_ranking(store):
    found = rank(read_ballots(store, "policy_qa"))
    assert (found.standings, found.heads, found.votes) == ((), (), 0)


def test_wins_losses_ties_and_both_bad_are_counted_for_both_sides(store):
    said = (("x", "y", "a"), ("y", "x", "b"), ("x", "y", "b"), ("x", "y", "tie"), ("y", "x", "both_bad"))
    for number, (left, right, choice) in enumerate(said):
        cast(store, number, left, right, choice, rater=f"r{number}", question=f"Q{number}?")
    found = rank(read_ballots(store, "policy_qa"))
    assert [(s.model, s.battles, s.wins, s.losses, s.ties, s.both_bad) for s in found.standings] == [
        ("x", 5, 2, 1, 1, 1), ("y", 5, 1, 2, 1, 1),
    ]  # fmt: skip
    assert (found.standings[0].win_share.right, found.standings[0].win_share.of) == (2, 3)
    assert (found.standings[0].both_bad_share.right, found.standings[0].both_bad_share.of) == (1, 5)
    (head,) = found.heads
    assert (head.first, head.wins, head.losses, head.ties, head.both_bad, head.raters, head.questions) == (
        "x",
        2,
        1,
        1,
        1,
        5,
        5,
    )
    assert as_rows(found.standings)[0]["win_share"]["right"] == 2
    assert by_rater(read_ballots(store, "policy_qa"), head.pair)[0][1].right == 1


def test_one_vote_is_enough_to_lead_and_never_enough_to_be_sure():
    first, second = rank(ballots(("zeta", "alpha", "a"))).standings
    assert (first.model, second.model) == ("zeta", "alpha")
    assert (first.win_share.low, first.win_share.high) == pytest.approx((0.2065, 1.0), abs=5e-5)
    assert first.low < 1000 < first.high and first.high - first.low > 400
    assert (first.best_rank, first.worst_rank) == (1, 2)


def test_both_bad_narrows_nothing_and_moves_nothing():
    some = [("x", "y", "a", "r1", "q1"), ("x", "y", "a", "r2", "q2"), ("x", "y", "b", "r3", "q3")]
    few, many = (rank(ballots(*some, *[("x", "y", "both_bad", f"r{n}", f"q{n}") for n in range(k)])) for k in (0, 50))
    for one, other in zip(few.standings, many.standings, strict=True):
        assert (one.model, one.score, one.low, one.high) == pytest.approx(
            (other.model, other.score, other.low, other.high)
        )
        assert one.win_share == other.win_share
    assert few.heads[0].share == many.heads[0].share and few.heads[0].stop.e_value == many.heads[0].stop.e_value
    assert many.heads[0].both_bad_share.right == 50


def test_ties_pull_together_and_narrow_no_share():
    some = [("x", "y", "a"), ("x", "y", "a"), ("x", "y", "b")]
    few, many = rank(ballots(*some)), rank(ballots(*some, *[("x", "y", "tie")] * 20))
    assert 1000 < many.standings[0].score < few.standings[0].score
    assert many.standings[0].win_share == few.standings[0].win_share


def test_a_model_that_only_shared_bad_answers_has_no_interval():
    (only, other) = rank(ballots(("x", "y", "both_bad"))).standings
    assert only.low == -float("inf") and only.group != other.group
    assert as_rows([only])[0]["low"] is None


def test_the_order_in_which_votes_were_cast_changes_nothing(tmp_path):
    from engine.store import Store

    rng = random.Random(4)
    said = [
        (
            *rng.sample(["u", "v", "w"], 2),
            rng.choice(["a", "b", "tie", "both_bad"]),
            rng.choice("rst"),
            rng.choice("pq"),
        )
        for _ in range(20)
    ]
    found = []
    for run in range(2):
        store = Store(tmp_path / f"{run}.db")
        store.migrate()
        for number, (left, right, choice, rater, question) in enumerate(said):
            cast(store, number, left, right, choice, rater=rater, question=question)
        found.append(rank(read_ballots(store, "policy_qa")))
        rng.shuffle(said)
    assert [s.model for s in found[0].standings] == [s.model for s in found[1].standings]
    for one, other in zip(found[0].standings, found[1].standings, strict=True):
        assert (one.score, one.low, one.high) == pytest.approx((other.score, other.low, other.high), abs=1e-6)
    assert [h.share for h in found[0].heads] == [h.share for h in found[1].heads]


def test_two_versions_of_one_adapter_stand_apart_and_are_told_apart(store):
    for number, digest in enumerate(("aaaaaaaa1", "bbbbbbbb2")):
        cast(store, number, "base", "one", "b", digests=("x", digest))
    assert sorted(s.model for s in rank(read_ballots(store, "policy_qa")).standings) == [
        "base", "one (aaaaaaaa)", "one (bbbbbbbb)",
    ]  # fmt: skip


def test_questions_that_trained_a_model_are_marked_and_not_scored(store):
    cast(store, 1, "base", "one", "b", question="Taught?")
    cast(store, 2, "base", "one", "a", question="New?")
    (pair,), (taught, _) = store.pairs("policy_qa"), store.asked()
    for lengths in (False, True):
        found = rank(read_ballots(store, "policy_qa", unscored=[(pair, taught)], lengths=lengths), lengths=lengths)
        assert (found.votes, found.left_out) == (1, 1)
        assert [(s.model, s.wins) for s in found.standings] == [("base", 1), ("one", 0)]


def test_a_better_model_is_surely_better_after_enough_votes():
    votes = [("x", "y", "a" if n % 10 < 8 else "b", f"r{n}", f"q{n}") for n in range(100)]
    first, second = rank(ballots(*votes)).standings
    assert (first.best_rank, first.worst_rank, second.best_rank, second.worst_rank) == (1, 1, 2, 2)

"""Stopping: a false winner in at most one of twenty runs however often one looks, and what is still to be voted on."""

from math import comb, exp

import numpy as np
import pytest
from scipy.special import betaln

from evals.intervals import share
from evals.sequential import confidence_sequence, evidence, log_e_value, stop_rule

RUNS = 1000


def verdict(wins: int, losses: int, ties: int = 0, both_bad: int = 0):
    return stop_rule(
        "base", "tuned", wins=wins, losses=losses, ties=ties, both_bad=both_bad, share=share(wins, wins + losses)
    )


def by_hand(wins: int, losses: int) -> float:
    """The mixture over bets of density 6 q (1 - q): 6 * B(wins + 2, losses + 2) * 2^n, by factorials."""
    n = wins + losses
    return 6 * 2**n / ((n + 3) * comb(n + 2, wins + 1))


@pytest.mark.parametrize(("wins", "losses"), [(0, 0), (1, 0), (5, 0), (10, 2), (7, 7), (30, 12)])
def test_the_evidence_is_the_bets_winnings(wins, losses):
    assert exp(log_e_value(wins, losses)) == pytest.approx(by_hand(wins, losses), rel=1e-9)
    assert log_e_value(wins, losses) == pytest.approx(log_e_value(losses, wins))


def test_under_a_fair_coin_the_evidence_stays_one_on_average():
    n = 40
    assert sum(comb(n, w) / 2**n * by_hand(w, n - w) for w in range(n + 1)) == pytest.approx(1)
    assert sum(comb(n, w) / 2**n * exp(log_e_value(w, n - w)) for w in range(n + 1)) == pytest.approx(1)


def test_looking_after_each_vote_names_a_false_winner_in_at_most_one_of_twenty_runs():
    rng = np.random.default_rng(8)
    wins = (rng.random((RUNS, 500)) < 0.5).cumsum(axis=1)
    votes = np.arange(1, 501)
    log_e = betaln(2 + wins, 2 + votes - wins) - betaln(2, 2) + votes * np.log(2)  # `log_e_value`, for all at once
    for run, at in rng.integers(0, [RUNS, 500], (50, 2)):
        assert log_e[run, at] == pytest.approx(log_e_value(int(wins[run, at]), int(votes[at] - wins[run, at])))
    crossed = int((log_e[:, 9:] >= np.log(20)).any(axis=1).sum())
    z = np.abs(wins[:, 9:] - votes[9:] / 2) / (votes[9:] ** 0.5 / 2)
    naive = int((z > 1.96).any(axis=1).sum())
    over = np.argwhere(log_e[:, 9:] < np.log(20))[:: RUNS * 10]
    assert all(verdict(int(wins[r, n + 9]), int(n + 10 - wins[r, n + 9])).kind != "wins" for r, n in over)
    assert crossed / RUNS <= 0.05
    assert naive / RUNS > 0.3  # a plain test, looked at as often


def test_real_differences_are_found_in_a_sensible_number_of_votes():
    rng = np.random.default_rng(9)
    for better, at_most in ((0.8, 45), (0.65, 200)):
        needed = []
        for _ in range(15):
            wins = (rng.random(600) < better).cumsum()
            looked = range(4, 601, 4)
            needed.append(next(n for n in looked if verdict(int(wins[n - 1]), int(n - wins[n - 1])).kind == "wins"))
        assert np.median(needed) < at_most


def test_a_winner_is_named_with_the_words_of_the_page():
    found = verdict(3, 25)
    assert (found.kind, found.winner, found.sentence) == ("wins", "tuned", "tuned wins, safe to stop.")
    assert (
        found.more_votes is None and found.to_flip == 12
    )  # 25 - 12 = 13 < 15 = 3 + 12; with 11 it would stand 14 to 14
    assert found.e_value > 20


def test_few_raters_hold_a_winner_back_whatever_the_evidence():
    wide = stop_rule("base", "tuned", wins=3, losses=25, ties=0, both_bad=0, share=type(share(3, 28))(3, 28, 0.02, 0.6))
    assert (wide.kind, wide.winner, wide.leader) == ("open", "", "tuned")
    assert wide.sentence.endswith("The votes would do if they came from more raters or questions.")


def test_the_sentence_tells_how_many_more_votes_at_the_present_rate():
    found = verdict(12, 20)
    assert found.kind == "open" and found.more_votes is not None
    assert found.sentence == f"No difference found yet: about {found.more_votes} more votes at the present rate."
    whole = 32 + found.more_votes
    assert verdict(round(whole * 12 / 32), whole - round(whole * 12 / 32)).kind == "wins"
    less = whole - 10
    assert verdict(round(less * 12 / 32), less - round(less * 12 / 32)).kind == "open"


def test_undecided_votes_stretch_the_number_still_needed():
    alone, among_ties = verdict(12, 20).more_votes, verdict(12, 20, ties=16, both_bad=16).more_votes
    assert among_ties == pytest.approx(2 * alone, abs=2)


def test_no_lead_no_number():
    found = verdict(5, 5)
    assert (found.leader, found.more_votes, found.to_flip) == ("", None, 0)
    assert "no number of votes" in found.sentence


def test_a_draw_is_told_from_not_knowing():
    assert verdict(0, 0).kind == verdict(3, 3).kind == verdict(20, 20).kind == "open"
    even = verdict(300, 300)
    assert (
        even.kind == "draw" and even.sentence == "A draw: base and tuned are within 10 % of each other, safe to stop."
    )
    assert verdict(2, 2, ties=100).kind == "draw"  # they hardly ever differ
    assert verdict(2, 2, both_bad=100).kind == "open"  # both bad says nothing of who is better


@pytest.mark.parametrize(("wins", "losses", "to_flip"), [(1, 0, 1), (2, 0, 2), (2, 1, 1), (10, 4, 4), (4, 9, 3)])
def test_so_many_votes_would_have_to_change_to_turn_the_lead(wins, losses, to_flip):
    assert verdict(wins, losses).to_flip == to_flip
    more, fewer = max(wins, losses), min(wins, losses)
    assert more - to_flip < fewer + to_flip and more - (to_flip - 1) >= fewer + (to_flip - 1)


def test_the_sequence_holds_the_truth_at_every_vote_at_once():
    rng = np.random.default_rng(10)
    held = 0
    for _ in range(100):
        outcomes = np.where(rng.random(150) < 0.7, "first", "second").tolist()
        held += all(moment.low <= 0.7 <= moment.high for moment in evidence(outcomes))
    assert held >= 91
    assert confidence_sequence(0, 0) == (0.0, 1.0)
    low, high = confidence_sequence(1, 0)
    assert low < 0.1 and high == 1.0


def test_evidence_is_told_vote_by_vote():
    found = evidence(["first", "tie", "both_bad", "second", "first"])
    assert [moment.votes for moment in found] == [1, 2, 3, 4, 5]
    assert [moment.share for moment in found] == pytest.approx([1, 1, 1, 0.5, 2 / 3])
    assert found[-1].e_value == pytest.approx(by_hand(2, 1))
    assert evidence([]) == []
    many = evidence(["first", "second"] * 5000, most=50)
    assert len(many) == 50 and (many[0].votes, many[-1].votes) == (1, 10_000)

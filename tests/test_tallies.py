"""Votes counted in the SQLite file: always what a recount would give, whatever was voted, changed or withdrawn."""

import random
import sqlite3
from collections import Counter

import pytest
from sqlite_utils import Database

from engine.migrations import migrations
from engine.records import Contender
from engine.store import Store
from tests.arena_votes import OUTCOMES, cast

RATERS, QUESTIONS, MODELS = ("ann", "bob", "eve"), ("Q1?", "Q2?"), ("base", "one", "two")


def recount(store: Store, by: str) -> dict[tuple[int, object], list[int]]:
    """Straight from battles and votes: {(pair, rater or question): [first, second, tie, both bad]}."""
    pair_of = {(first.model, second.model): pair for pair, (first, second) in store.pairs("policy_qa").items()}
    ids = {text: number for number, text in store.asked().items()}
    counted: Counter[tuple[int, object, str]] = Counter()
    for battle, vote in store.voted_battles():
        first, second = sorted((battle.model_a, battle.model_b))
        outcome = {"a": battle.model_a, "b": battle.model_b}.get(vote.choice, vote.choice)
        said = {first: "first", second: "second"}.get(outcome, outcome)
        counted[pair_of[first, second], vote.rater if by == "rater" else ids[battle.question], said] += 1
    return {key[:2]: [counted[(*key[:2], outcome)] for outcome in OUTCOMES] for key in counted}


def tallied(tallies) -> dict[tuple[int, object], list[int]]:
    found: dict[tuple[int, object], list[int]] = {}
    for tally in tallies:
        before = found.get(tally[:2], [0, 0, 0, 0])
        found[tally[:2]] = [sum(pair) for pair in zip(before, tally[3:], strict=True)]
    return {key: counts for key, counts in found.items() if any(counts)}


def test_the_tallies_are_a_recount_after_every_vote_change_of_mind_and_withdrawal(store):
    rng = random.Random(1)
    for number in range(24):
        left, right = rng.sample(MODELS, 2)
        cast(store, number, left, right, rng.choice(["a", "b", "tie", "both_bad"]),
             rater=rng.choice(RATERS), question=rng.choice(QUESTIONS))  # fmt: skip
        again = f"b{rng.randrange(number + 1)}"
        store.add_vote(again, rater=rng.choice(RATERS), choice=rng.choice(["a", "b", "tie", "both_bad"]), now="4")
    with sqlite3.connect(store.path) as db:
        db.execute("DELETE FROM current_votes WHERE vote_id % 7 = 0")
    assert tallied(store.rater_tallies("policy_qa")) == recount(store, "rater")
    assert tallied(store.question_tallies("policy_qa")) == recount(store, "question")
    with_lengths = store.tallies_with_lengths("policy_qa")
    assert tallied(with_lengths[0]) == recount(store, "rater") and tallied(with_lengths[1]) == recount(
        store, "question"
    )


def test_questions_left_out_are_left_out_of_every_raters_tally(store):
    for number, question in enumerate(("Q1?", "Q2?", "Q2?")):
        cast(store, number, "base", "one", "b", question=question)
    (pair,), (first, _) = store.pairs("policy_qa"), store.asked()
    assert tallied(store.rater_tallies("policy_qa", without=[(pair, first)])) == {(pair, "ann"): [0, 2, 0, 0]}
    by_rater, by_question = store.tallies_with_lengths("policy_qa", without=[(pair, first)])
    assert [sum(t[3:]) for t in by_rater] == [sum(t[3:]) for t in by_question] == [2]
    assert store.outcomes(pair, without=[first]) == ["second", "second"]


def test_versions_modes_and_tasks_are_never_pooled(store):
    cast(store, 1, "base", "one", "a", digests=("x", "old"))
    cast(store, 2, "one", "base", "a", digests=("new", "x"))
    cast(store, 3, "base", "one", "a", digests=("x", "new"), mode="grounded")
    cast(store, 4, "base", "one", "a", digests=("x", "new"), task="other")
    assert sorted(store.pairs("policy_qa").values()) == [
        (Contender("base", "x", "closed"), Contender("one", "new", "closed")),
        (Contender("base", "x", "closed"), Contender("one", "old", "closed")),
        (Contender("base", "x", "grounded"), Contender("one", "new", "grounded")),
    ]
    assert len(store.pairs("other")) == 1


def test_the_side_a_model_stood_on_does_not_matter(store):
    cast(store, 1, "base", "one", "a", answers=("a" * 30, "b" * 10))
    cast(store, 2, "one", "base", "b", answers=("b" * 10, "a" * 30))
    (tally,) = store.tallies_with_lengths("policy_qa")[0]
    assert (tally.first, tally.second, tally.longer) == (2, 0, 5)  # base won twice; (30 - 10) / 40 is five tenths


def test_a_vote_alone_opens_the_standings_to_its_rater(store):
    cast(store, 1, "base", "one", "a", rater="ann")
    assert store.has_voted("policy_qa", "ann")
    assert not store.has_voted("policy_qa", "bob") and not store.has_voted("other", "ann")
    with sqlite3.connect(store.path) as db:
        db.execute("DELETE FROM current_votes")
    assert not store.has_voted("policy_qa", "ann") and store.pairs("policy_qa") == {}


def test_an_old_file_with_votes_is_counted_when_it_is_opened(tmp_path):
    path = tmp_path / "old.db"
    with Database(path) as db:
        migrations.apply(db, stop_before="m006_tallies")
        db.execute(
            "INSERT INTO battles (id, task, mode, question, model_a, model_b, digest_a, digest_b, decoding, created_at)"
            " VALUES ('b', 'policy_qa', 'closed', 'Q?', 'one', 'base', '', '', '{}', '1')"
        )
        db.execute("INSERT INTO votes (id, battle_id, rater, choice, created_at) VALUES (1, 'b', 'ann', 'a', '2')")
        db.execute("INSERT INTO votes (id, battle_id, rater, choice, created_at) VALUES (2, 'b', 'ann', 'tie', '3')")
        db.execute("INSERT INTO current_votes VALUES ('b', 'ann', 2)")
    store = Store(path)
    store.migrate()
    (tally,) = store.rater_tallies("policy_qa")
    assert tally[3:] == (0, 0, 1, 0)
    assert [choice.choice for choice in store.vote_history("b")] == ["a", "tie"]


def test_an_outcome_that_is_none_is_refused_by_the_file(store):
    cast(store, 1, "base", "one", "a")
    with sqlite3.connect(store.path) as db, pytest.raises(sqlite3.IntegrityError):
        db.execute("UPDATE ballots SET outcome = 'better'")

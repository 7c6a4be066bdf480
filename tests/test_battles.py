"""The blind battle: saved before the first token, fair in its sides, silent about names until the vote is saved."""

import random
import sqlite3
from dataclasses import asdict, replace

import pytest

from engine.backends import ChatModel
from engine.battles import LONGEST_QUESTION, Reveal, Seen, open_battle, play, vote
from engine.errors import InvalidInput, NotFound, Unavailable
from engine.records import Decoding
from engine.tasks.policy_qa import POLICY_QA
from tests.models import EchoModel, FailingModel, SlowModel

QUESTION = "How many days of leave do I get?"


def pair() -> tuple[EchoModel, EchoModel]:
    return EchoModel("small-base", "Ten days."), EchoModel("leave-tuned", "You get twelve days of leave.")


def opened(store, models, *, seed: int = 0, question: str = QUESTION):
    return open_battle(store, POLICY_QA, question, models, rng=random.Random(seed), now="2026-05-01T12:00:00")


def played(store, battle, models: tuple[ChatModel, ...]) -> list[Seen]:
    return list(play(store, battle, models, POLICY_QA, now="2026-05-01T12:00:09"))


def answered(store, *, seed: int = 0):
    models = pair()
    battle = opened(store, models, seed=seed)
    played(store, battle, models)
    return store.battle(battle.id)


# Opening


def test_a_battle_is_saved_with_its_sides_before_any_model_is_asked(store):
    models = pair()
    battle = opened(store, models)
    assert models[0].asked == models[1].asked == []
    saved = store.battle(battle.id)
    assert saved == battle and saved.finished_at is None and saved.answer_a == saved.answer_b == ""
    assert {saved.model_a: saved.digest_a, saved.model_b: saved.digest_b} == {m.name: m.digest() for m in models}
    assert saved.decoding == Decoding() and (saved.task, saved.mode, saved.question) == (
        "policy_qa",
        "closed",
        QUESTION,
    )


def test_the_saved_sides_are_those_that_answer(store):
    for seed in range(6):
        battle = answered(store, seed=seed)
        said = {"small-base": "Ten days.", "leave-tuned": "You get twelve days of leave."}
        assert (battle.answer_a, battle.answer_b) == (said[battle.model_a], said[battle.model_b])


def test_each_model_stands_left_in_about_half_of_400_battles(store):
    models, rng = pair(), random.Random(20260501)
    left = sum(
        open_battle(store, POLICY_QA, QUESTION, models, rng=rng, now="1").model_a == "leave-tuned" for _ in range(400)
    )
    assert 160 <= left <= 240  # 200 ± 4 standard deviations of a fair coin (10 each)


def test_ids_are_long_and_random_not_counted(store):
    ids = [opened(store, pair()).id for _ in range(20)]
    assert len(set(ids)) == 20 and min(map(len, ids)) >= 20
    assert len({battle_id[:4] for battle_id in ids}) == 20


@pytest.mark.parametrize(
    ("question", "says"), [(" \n ", "question is empty"), ("x" * (LONGEST_QUESTION + 1), "has 2001 characters")]
)
def test_a_question_that_cannot_be_asked_opens_no_battle(store, question, says):
    with pytest.raises(InvalidInput, match=says):
        opened(store, pair(), question=question)
    assert store.battles() == []


def test_a_model_does_not_fight_itself(store):
    with pytest.raises(InvalidInput, match='both are "small-base"'):
        opened(store, (pair()[0], pair()[0]))
    assert store.battles() == []


# Playing


def test_what_is_seen_before_the_vote_never_holds_a_models_name(store):
    models = (
        EchoModel("small-base"),
        FailingModel("leave-tuned", words=2, problem="leave-tuned of small-base is down."),
    )
    for arms in (pair(), models):
        battle = opened(store, arms)
        for seen in played(store, battle, arms):
            shown = repr(asdict(seen))
            assert not any(
                secret in shown for secret in ("small-base", "leave-tuned", arms[0].digest(), arms[1].digest())
            )


def test_both_texts_grow_side_by_side_and_end_complete(store):
    models = (EchoModel("x", "one two three four"), EchoModel("y", "uno due"))
    battle = opened(store, models, seed=1)
    seen = played(store, battle, models)
    words = [sorted((len(s.answer_a.split()), len(s.answer_b.split()))) for s in seen]
    assert words == [[1, 1], [2, 2], [2, 3], [2, 4], [2, 4]]
    assert [s.complete for s in seen] == [False] * 4 + [True]
    assert {seen[-1].answer_a, seen[-1].answer_b} == {"one two three four", "uno due"}


def test_a_failing_arm_voids_the_battle_and_says_so(store):
    problem = "The model server does not answer. Start it and ask again."
    for arm in (FailingModel("f"), FailingModel("f", words=3), FailingModel("f", words=3, politely=True)):
        models = (pair()[0], arm)
        battle = opened(store, models)
        last = played(store, battle, models)[-1]
        assert last.complete and "void" in last.error and last.answer_a == last.answer_b == ""
        assert store.battle(battle.id).error == problem
        with pytest.raises(InvalidInput, match="void and takes no vote"):
            vote(store, battle.id, rater="ann", choice="a", now="1")
    assert store.votes() == []


def test_an_empty_answer_voids_the_battle(store):
    models = (pair()[0], EchoModel("quiet", "  \n "))
    battle = opened(store, models)
    assert "void" in played(store, battle, models)[-1].error
    assert store.battle(battle.id).error == "a model answered nothing"
    with pytest.raises(InvalidInput, match="takes no vote"):
        vote(store, battle.id, rater="ann", choice="a", now="1")


def test_closing_the_page_stops_both_models_and_leaves_the_battle_open(store):
    models = (SlowModel("slow"), SlowModel("slower", pause_s=0.01))
    battle = opened(store, models)
    watching = play(store, battle, models, POLICY_QA, now="1")
    next(watching)
    next(watching)
    watching.close()
    assert all(model.closed.is_set() for model in models)
    said = [model.said for model in models]
    assert max(said) < 1000
    assert [model.said for model in models] == said
    assert store.battle(battle.id).finished_at is None


def test_a_failure_of_our_own_is_not_dressed_up_as_an_answer(store):
    models = (pair()[0], replace(pair()[1], answers=None))
    battle = opened(store, models)
    with pytest.raises(AttributeError):
        played(store, battle, models)
    assert store.battle(battle.id).finished_at is None


# Voting


def test_names_are_told_only_once_the_vote_is_saved(store):
    battle = answered(store)
    told = vote(store, battle.id, rater=" ann ", choice="b", comment=" short ", repair=" Twelve. ", now="7")
    assert told == Reveal(battle.model_a, battle.model_b, "b") and told.winner == battle.model_b
    (saved,) = store.votes()
    assert (saved.battle_id, saved.rater, saved.choice) == (battle.id, "ann", "b")
    assert (saved.comment, saved.repair, saved.created_at) == ("short", "Twelve.", "7")


def test_a_tie_and_both_bad_have_no_winner(store):
    battle = answered(store)
    assert vote(store, battle.id, rater="ann", choice="tie", now="1").winner == ""
    assert vote(store, battle.id, rater="ann", choice="both_bad", now="2").winner == ""
    assert vote(store, battle.id, rater="ann", choice="a", now="3").winner == battle.model_a
    assert len(store.votes()) == 1 and len(store.vote_history(battle.id)) == 3


def test_a_vote_before_both_answers_are_complete_is_refused(store):
    models = pair()
    battle = opened(store, models)
    watching = play(store, battle, models, POLICY_QA, now="1")
    next(watching)
    with pytest.raises(InvalidInput, match="must be complete before the vote"):
        vote(store, battle.id, rater="ann", choice="a", now="1")
    assert store.votes() == []


def test_a_forged_id_is_not_known_and_tells_nothing(store):
    battle = answered(store)
    for forged in ("", "1", battle.id[:-1], battle.id + "'; DROP TABLE votes; --"):
        with pytest.raises(NotFound) as told:
            vote(store, forged, rater="ann", choice="a", now="1")
        assert str(told.value) == "This battle is not known here. Ask a new question."
    assert store.votes() == []


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"rater": "  "}, "needs a name"),
        ({"choice": "c"}, "no verdict"),
        ({"repair": "x" * 10_001}, "10,000 characters"),
    ],
)
def test_a_vote_without_a_name_a_verdict_or_a_measure_is_refused(store, given, says):
    battle = answered(store)
    with pytest.raises(InvalidInput, match=says):
        vote(store, battle.id, **{"rater": "ann", "choice": "a", "now": "1", **given})
    assert store.votes() == []


def test_no_names_are_told_for_a_vote_that_could_not_be_saved(store):
    battle = answered(store)
    with store.writing() as db:
        db.execute("CREATE TRIGGER broken BEFORE INSERT ON current_votes BEGIN SELECT RAISE(ABORT, 'broken'); END")
    with pytest.raises(sqlite3.IntegrityError, match="broken"):
        vote(store, battle.id, rater="ann", choice="a", now="1")
    assert store.votes() == [] and store.vote_history(battle.id) == []


def test_an_unreachable_model_is_named_before_a_battle_is_saved(store):
    class Unreachable(EchoModel):
        def digest(self) -> str:
            raise Unavailable("Ollama is not running at localhost:11434. Start it with: ollama serve")

    with pytest.raises(Unavailable, match="ollama serve"):
        opened(store, (pair()[0], Unreachable("ollama:x")))
    assert store.battles() == []

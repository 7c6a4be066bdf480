"""The blind battle: saved before the first token, fair in its sides, silent about names until the vote is saved."""

import random
import sqlite3
from dataclasses import asdict, replace

import pytest

from engine.backends import ChatModel
from engine.battles import (
    LONGEST_QUESTION,
    MOST_TURNS,
    SEEN_BEFORE,
    Reveal,
    Seen,
    is_first_of_two,
    open_battle,
    play,
    reveal,
    skip,
    talk_on,
    undo,
    vote,
)
from engine.errors import InvalidInput, NotFound, Unavailable
from engine.playing import LONGEST_ANSWER, conversation
from engine.records import Decoding, Reply
from engine.tasks.policy_qa import POLICY_QA
from tests.models import EchoModel, FailingModel, SlowModel

QUESTION = "How many days of leave do I get?"


def pair() -> tuple[EchoModel, EchoModel]:
    return EchoModel("small-base", "Ten days."), EchoModel("leave-tuned", "You get twelve days of leave.")


class LetterByLetter(EchoModel):
    """Says its answer a letter at a time."""

    def stream(self, messages, decoding, *, schema=None):
        yield from self.answer
        return Reply(self.answer, self.name)


class Retrained(EchoModel):
    """The same name over other weights."""

    def digest(self) -> str:
        return "other weights"


def opened(store, models, *, seed: int = 0, question: str = QUESTION, rater: str = ""):
    rng = random.Random(seed)
    return open_battle(store, POLICY_QA, question, models, rng=rng, now="2026-05-01T12:00:00", rater=rater)


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


def test_each_model_stands_left_in_about_half_of_200_battles(store):
    models, rng = pair(), random.Random(20260501)
    left = sum(
        open_battle(store, POLICY_QA, QUESTION, models, rng=rng, now="1").model_a == "leave-tuned" for _ in range(200)
    )
    assert 71 <= left <= 129  # 100 ± 4 standard deviations of a fair coin (7 each)


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


def test_no_answer_shows_a_word_more_than_the_other_while_both_go_on(store):
    models = (EchoModel("x", " ".join(f"w{n}" for n in range(40))), EchoModel("y", "uno due tre quattro cinque sei"))
    battle = opened(store, models, seed=1)
    seen = played(store, battle, models)
    words = [sorted((len(s.answer_a.split()), len(s.answer_b.split()))) for s in seen]
    assert all(short == min(6, long) for short, long in words) and words == sorted(words)
    assert [s.complete for s in seen] == [False] * (len(seen) - 1) + [True] and len(seen) > 4
    assert {seen[-1].answer_a, seen[-1].answer_b} == {models[0].answer, models[1].answer}


def test_a_word_is_shown_once_it_is_whole(store):
    text = "annual leave is twenty-five days"
    models = (LetterByLetter("x", text), LetterByLetter("y", text))
    for seen in played(store, opened(store, models), models):
        assert set(seen.answer_a.split()) <= set(text.split()) and seen.answer_a == seen.answer_b


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


def test_weights_that_change_after_the_opening_void_the_battle(store):
    models = pair()
    battle = opened(store, models)
    retrained = (models[0], Retrained(models[1].name, models[1].answer))
    assert "void" in played(store, battle, retrained)[-1].error
    assert store.battle(battle.id).error == "a model was changed after the battle was opened"


def test_every_answer_names_what_gave_it(store):
    battle = answered(store)
    assert (battle.proof_a["model"], battle.proof_b["model"]) == (battle.digest_a, battle.digest_b)
    assert battle.proof_a["decoding"] == battle.proof_b["decoding"] == asdict(Decoding())


def test_an_answer_without_end_is_cut_on_either_side_by_one_rule_and_that_is_noted(store):
    models = (EchoModel("x", f"{'o' * 199} " * 250), EchoModel("y", "short"))
    battle = opened(store, models)
    for seen in play(store, battle, models, POLICY_QA, now="1"):
        assert len(seen.answer_a) <= LONGEST_ANSWER and len(seen.answer_b) <= LONGEST_ANSWER
    saved = store.battle(battle.id)
    side = "A" if saved.model_a == "x" else "B"
    assert saved.flags == (f"Answer {side} was cut at 8000 characters.",)


def test_a_model_that_names_itself_is_noted_and_a_word_that_only_holds_a_name_is_not(store):
    models = (EchoModel("base", "A coherent base salary."), EchoModel("leave-7", "I am LEAVE-7, made by Cohere."))
    battle = opened(store, models)
    played(store, battle, models)
    saved = store.battle(battle.id)
    side = "B" if saved.model_b == "leave-7" else "A"
    assert saved.flags == (f"Answer {side} names a model: LEAVE-7, Cohere.",) and not saved.error


def test_what_another_tab_finished_first_is_what_both_show(store):
    models = pair()
    battle = opened(store, models)
    first = played(store, battle, models)[-1]
    again = (replace(models[0], answer="Something else."), replace(models[1], answer="Something else."))
    assert played(store, battle, again)[-1] == first


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
    with pytest.raises(InvalidInput, match="after your verdict"):
        reveal(store, battle.id, rater="ann", now="6")
    saved = vote(store, battle.id, rater=" ann ", choice="b", comment=" short ", repair=" Twelve. ", now="7")
    assert battle.model_a not in repr(saved) and store.votes() == [saved]
    told = reveal(store, battle.id, rater="ann", now="8")
    assert told == Reveal(battle.model_a, battle.model_b, "b", QUESTION) and told.winner == battle.model_b
    assert (saved.battle_id, saved.rater, saved.choice) == (battle.id, "ann", "b")
    assert (saved.comment, saved.repair, saved.created_at) == ("short", "Twelve.", "7")


def test_a_tie_and_both_bad_have_no_winner(store):
    battle = answered(store)
    for rater, choice in (("ann", "tie"), ("bob", "both_bad")):
        vote(store, battle.id, rater=rater, choice=choice, now="1")
        assert reveal(store, battle.id, rater=rater, now="2").winner == ""
    vote(store, battle.id, rater="eve", choice="a", now="3")
    assert reveal(store, battle.id, rater="eve", now="4").winner == battle.model_a


def test_a_change_of_mind_is_a_new_row_and_a_double_click_is_not(store):
    battle = answered(store)
    first = vote(store, battle.id, rater="ann", choice="a", now="1")
    assert vote(store, battle.id, rater="ann", choice="a", now="2") == first
    vote(store, battle.id, rater="ann", choice="a", reasons=["clear", "correct"], now="3")
    assert [v.reasons for v in store.vote_history(battle.id)] == [(), ("correct", "clear")]
    assert len(store.votes()) == 1


def test_a_verdict_taken_back_counts_no_more_and_stays_on_record(store):
    battle = answered(store)
    first = vote(store, battle.id, rater="ann", choice="a", now="1")
    assert undo(store, battle.id, rater="ann", now="2") == first
    assert store.votes() == [] and store.vote_history(battle.id) == [first] and store.withdrawn() == {first.id}
    with pytest.raises(InvalidInput, match="no verdict of yours"):
        undo(store, battle.id, rater="ann", now="3")
    assert vote(store, battle.id, rater="ann", choice="b", now="4") in store.votes()


def test_once_the_names_are_told_the_verdict_stands(store):
    battle = answered(store)
    first = vote(store, battle.id, rater="ann", choice="a", now="1")
    reveal(store, battle.id, rater="ann", now="2")
    with pytest.raises(InvalidInput, match="not be blind any more"):
        vote(store, battle.id, rater="ann", choice="b", now="3")
    with pytest.raises(InvalidInput, match="not be blind any more"):
        undo(store, battle.id, rater="ann", now="4")
    assert store.votes() == [first]


def test_a_repair_that_repeats_the_better_answer_is_none(store):
    battle = answered(store)
    assert vote(store, battle.id, rater="ann", choice="a", repair=f" {battle.answer_a}\n", now="1").repair == ""
    assert vote(store, battle.id, rater="ann", choice="a", repair="13 days.", now="2").repair == "13 days."


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
        ({"comment": "x" * 100_000}, "10,000 characters"),
        ({"reasons": ["pretty"]}, "no reason"),
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


# Whose battle it is, and its sides


def judged(store, rater: str, rng: random.Random, *, tell: bool = False, question: str = QUESTION):
    models = pair()
    battle = open_battle(store, POLICY_QA, question, models, rng=rng, now="1", rater=rater)
    store.finish_battle(battle.id, answer_a="1", answer_b="2", error="", now="2")
    vote(store, battle.id, rater=rater, choice="a", now="3")
    if tell:
        reveal(store, battle.id, rater=rater, now="4")
    return battle


def test_no_arm_stands_left_more_than_once_oftener_at_any_moment_for_any_rater(store):
    rng, balance = random.Random(5), {"ann": 0, "bob": 0}
    for number in range(60):
        rater = "ann" if number % 3 else "bob"
        balance[rater] += 1 if judged(store, rater, rng).model_a == "leave-tuned" else -1
        assert abs(balance[rater]) <= 1
    assert {rater["rater"]: rater["one_left"] - rater["other_left"] for rater in store.sides_by_rater()} == {
        "ann": -balance["ann"],
        "bob": -balance["bob"],
    }


def test_void_battles_do_not_count_for_the_balance(store):
    rng, models, left = random.Random(1), pair(), []
    for _ in range(30):
        void = open_battle(store, POLICY_QA, QUESTION, models, rng=rng, now="1", rater="ann")
        store.finish_battle(void.id, answer_a="", answer_b="", error="down", now="2")
        left.append(judged(store, "ann", rng).model_a)
    assert all(abs(left[: n + 1].count("leave-tuned") * 2 - n - 1) <= 1 for n in range(30))


def test_whoever_is_told_at_once_gets_a_fresh_coin_so_the_next_sides_cannot_be_known(store):
    rng = random.Random(3)
    left = [judged(store, "ann", rng, tell=True).model_a for _ in range(100)]
    same = sum(one == other for one, other in zip(left[::2], left[1::2], strict=True))
    assert 11 <= same <= 39  # 25 ± 4 standard deviations of a fair coin (3.5 each); balanced pairs would give 0


def test_both_battles_of_a_pair_are_told_together_and_never_the_first_while_the_second_is_open(store):
    rng = random.Random(0)
    first = judged(store, "ann", rng)
    assert is_first_of_two(store, first.id)
    second = open_battle(store, POLICY_QA, "And sick leave?", pair(), rng=rng, now="1", rater="ann")
    store.finish_battle(second.id, answer_a="1", answer_b="2", error="", now="2")
    with pytest.raises(InvalidInput, match="which it would give away"):
        reveal(store, first.id, rater="ann", now="3")
    vote(store, second.id, rater="ann", choice="b", now="3")
    told = reveal(store, second.id, rater="ann", now="4")
    assert (told.question, told.other.question) == ("And sick leave?", QUESTION)
    assert (told.model_a, told.other.model_a) == (second.model_a, first.model_a) and told.other.other is None
    with pytest.raises(InvalidInput, match="not be blind any more"):
        vote(store, first.id, rater="ann", choice="b", now="5")


def test_another_raters_battle_is_as_unknown_as_a_forged_one(store):
    battle = judged(store, "ann", random.Random(0))
    for act in (vote, undo, skip, reveal):
        given = {"choice": "a"} if act is vote else {}
        with pytest.raises(NotFound, match=r"^This battle is not known here\. Ask a new question\.$"):
            act(store, battle.id, rater="bob", now="1", **given)
    assert [v.rater for v in store.votes()] == ["ann"]


def test_the_battle_a_rater_has_open_is_found_again_until_it_is_voted_on_or_passed_over(store):
    models = pair()
    battle = opened(store, models, rater="ann")
    assert store.open_battle_of("ann") == battle and store.open_battle_of("bob") is None
    played(store, battle, models)
    assert store.open_battle_of("ann").finished_at
    vote(store, battle.id, rater="ann", choice="tie", now="1")
    assert store.open_battle_of("ann") is None
    other = opened(store, models, rater="ann")
    skip(store, other.id, rater="ann", now="2")
    assert store.open_battle_of("ann") is None
    with pytest.raises(InvalidInput, match="must be complete"):
        vote(store, other.id, rater="ann", choice="a", now="3")


def test_asking_again_what_one_was_told_is_noted(store):
    judged(store, "ann", random.Random(0), tell=True)
    assert opened(store, pair(), rater="ann", question=QUESTION.upper()).flags == (SEEN_BEFORE,)
    assert opened(store, pair(), rater="bob").flags == opened(store, pair(), rater="ann", question="New?").flags == ()


# Talks


def test_both_arms_see_the_same_questions_and_each_its_own_answers(store):
    models = pair()
    battle = opened(store, models, rater="ann")
    played(store, battle, models)
    turn = talk_on(store, battle.id, " And  part-timers? ", rater="ann")
    assert (turn.model_a, turn.question, turn.finished_at, turn.answer_a) == (
        battle.model_a,
        "And part-timers?",
        None,
        "",
    )
    said = {"small-base": "Ten days.", "leave-tuned": "You get twelve days of leave."}
    for side, model in (("a", turn.model_a), ("b", turn.model_b)):
        told = [(m["role"], m["content"]) for m in conversation(POLICY_QA, turn, side, ())][1:]
        assert told == [("user", QUESTION), ("assistant", said[model]), ("user", "And part-timers?")]
    played(store, turn, models)
    assert models[0].asked == models[1].asked == [QUESTION, "And part-timers?"]
    assert (
        vote(store, battle.id, rater="ann", choice="a", now="1")
        and store.battle(battle.id).history[0]["question"] == QUESTION
    )


def test_a_talk_ends_with_the_verdict_and_after_six_questions(store):
    models = pair()
    battle = opened(store, models, rater="ann")
    with pytest.raises(InvalidInput, match="not complete"):
        talk_on(store, battle.id, "More?", rater="ann")
    for number in range(1, MOST_TURNS):
        store.finish_battle(battle.id, answer_a="1", answer_b="2", error="", now="1")
        talk_on(store, battle.id, f"More {number}?", rater="ann")
    store.finish_battle(battle.id, answer_a="1", answer_b="2", error="", now="1")
    with pytest.raises(InvalidInput, match="at most 6"):
        talk_on(store, battle.id, "More?", rater="ann")
    vote(store, battle.id, rater="ann", choice="a", now="2")
    other = answered(store)
    vote(store, other.id, rater="ann", choice="a", now="2")
    with pytest.raises(InvalidInput, match="voted on"):
        talk_on(store, other.id, "More?", rater="ann")

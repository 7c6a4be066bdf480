"""Votes as training rows: what may be learned from them, what may not, and that TRL trains on each export as it is."""

import json
from collections.abc import Callable
from functools import partial

import pytest

from engine.preferences import (
    DISAGREE,
    HELD_OUT,
    IN_A_TALK,
    NO_WINNER,
    OTHERWISE,
    SAME,
    WITH_CLAUSES,
    preferences,
    raw_lines,
)
from engine.records import REFUSAL
from engine.tasks.policy_qa import POLICY_QA
from tests.test_exchange_elsewhere import tiny
from tests.votes import judge


@pytest.fixture
def judged(store) -> Callable[..., str]:
    """`judged(question, a, b, *verdicts)` in this test's store."""
    return partial(judge, store)


def rows(store, shape, **options):
    found = preferences(store, POLICY_QA, shape, **options)
    return [json.loads(line) for line in found.lines(POLICY_QA)], dict(found.left_out)


def said(row, *names):
    return tuple(row[name][-1]["content"] if isinstance(row[name], list) else row[name] for name in names)


def test_a_decided_vote_becomes_a_pair_two_judged_answers_and_one_answer_to_learn(store, judged):
    battle = judged("Who feeds the parrot?", "Nobody.", "Ann does.", "b")
    (pair,), _ = rows(store, "dpo")
    assert said(pair, "prompt", "chosen", "rejected") == ("Who feeds the parrot?", "Ann does.", "Nobody.")
    assert pair["prompt"] == [dict(message) for message in POLICY_QA.messages("Who feeds the parrot?")]
    assert pair["lineage"] == {"votes": [1], "battle": battle, "models": ["base", "tuned"], "repaired": False}
    single, _ = rows(store, "kto")
    assert {said(row, "completion", "label") for row in single} == {("Ann does.", True), ("Nobody.", False)}
    (learned,), _ = rows(store, "sft")
    assert said(learned, "messages") == ("Ann does.",)


@pytest.mark.parametrize("choice", ["tie", "both_bad"])
def test_no_pair_comes_of_a_tie_or_of_two_bad_answers_even_repaired(store, judged, choice):
    judged("Who feeds the parrot?", "Nobody.", "Ann does.", choice)
    judged("Who walks the dog?", "Nobody.", "Ann does.", (choice, "Bob does."))
    assert rows(store, "dpo") == ([], {NO_WINNER[choice]: 2})
    answers, left_out = rows(store, "sft")
    assert [said(row, "messages") for row in answers] == [("Bob does.",)] and left_out == {NO_WINNER[choice]: 1}


def test_kto_wants_both_good_answers_neither_bad_one_and_every_repair(store, judged):
    judged("Question one here?", "good 1", "good 2", "tie")
    judged("Something else entirely?", "bad 1", "bad 2", ("both_bad", "mended"))
    judged("A third matter?", "nearly", "far off", ("a", "exactly"))
    found = {said(row, "completion", "label") for row in rows(store, "kto")[0]}
    wanted, unwanted = {"good 1", "good 2", "mended", "exactly"}, {"bad 1", "bad 2", "far off"}
    assert found == {(text, True) for text in wanted} | {(text, False) for text in unwanted}


def test_a_repaired_answer_is_chosen_over_the_best_arm(store, judged):
    judged("Who feeds the parrot?", "Nobody.", "Ann does.", ("b", "Ann does, at noon."))
    (pair,), _ = rows(store, "dpo")
    assert said(pair, "chosen", "rejected") == ("Ann does, at noon.", "Ann does.") and pair["lineage"]["repaired"]


def test_a_right_refusal_is_kept_in_every_shape(store, judged):
    judged("May I bring a llama?", "Yes, two.", REFUSAL, "b")
    assert said(rows(store, "dpo")[0][0], "chosen", "rejected") == (REFUSAL, "Yes, two.")
    assert (REFUSAL, True) in {said(row, "completion", "label") for row in rows(store, "kto")[0]}
    assert said(rows(store, "sft")[0][0], "messages") == (REFUSAL,)


def test_a_verdict_on_a_later_turn_of_a_talk_is_left_out_and_counted(store, judged):
    judged("Who feeds the parrot?", "Nobody.", "Ann does.", "b", then="And on Sundays?")
    assert rows(store, "dpo") == ([], {IN_A_TALK: 1})


@pytest.mark.parametrize("shape", ["sft", "dpo", "kto"])
def test_raters_who_disagree_teach_nothing_and_are_counted(store, judged, shape):
    judged("Who feeds the parrot?", "Nobody.", "Ann does.", "a", "b")
    judged("Who walks the dog?", "Nobody.", "Ann does.", ("b", "Bob."), ("b", "Cleo."))
    judged("Who waters the plants?", "Nobody.", "Ann does.", "b", ("b", "Ann, daily."))
    found, left_out = rows(store, shape)
    assert {row["lineage"]["battle"] for row in found} == {store.voted_battles()[-1][0].id}
    assert left_out == {DISAGREE: 4} and all(row["lineage"]["votes"] == [5, 6] for row in found)


def test_the_same_pair_twice_is_one_row_that_names_all_its_votes(store, judged):
    judged("Who feeds the parrot?", "Nobody.", "Ann does.", "b", "b")
    judged("who feeds the parrot", "Ann does.", "Nobody.", "a")
    found, _ = rows(store, "dpo")
    assert [row["lineage"]["votes"] for row in found] == [[1, 2, 3]]
    assert preferences(store, POLICY_QA, "dpo").votes == 3


def test_battles_that_say_the_opposite_teach_nothing(store, judged):
    judged("Who feeds the parrot?", "Nobody.", "Ann does.", "b")
    judged("Who feeds the parrot?", "Nobody.", "Ann does.", "a")
    judged("Who walks the dog?", "Nobody.", "Bob does.", "b")
    for shape in ("dpo", "kto", "sft"):
        found, left_out = rows(store, shape)
        assert left_out == {OTHERWISE: 2} and {row["lineage"]["votes"][0] for row in found} == {3}


def test_two_answers_that_are_the_same_are_no_pair(store, judged):
    judged("Who feeds the parrot?", "Ann does.", "Ann does.", "b")
    assert rows(store, "dpo") == ([], {SAME: 1})


def test_a_repair_that_says_what_the_better_answer_says_leaves_the_pair_as_it_was(store, judged):
    judged("Who walks the dog?", "Ann does.", "Bob does.", ("b", "Bob does."))
    (pair,), _ = rows(store, "dpo")
    assert said(pair, "chosen", "rejected") == ("Bob does.", "Ann does.") and not pair["lineage"]["repaired"]


def test_what_was_asked_with_clauses_in_the_prompt_is_left_out_and_counted(store, judged):
    judged("Who feeds the parrot?", "Nobody.", "Ann does.", "b", mode="grounded")
    assert rows(store, "dpo") == ([], {WITH_CLAUSES: 1})


@pytest.mark.parametrize("shape", ["sft", "dpo", "kto"])
def test_no_row_is_close_to_a_held_out_question_and_those_left_out_are_counted(sample_store, shape):
    version = sample_store.dataset("leave")
    held_out = [
        row.example.question for split in ("probe", "test") for row in sample_store.rows(version.id, split=split)
    ]
    asked = [question for question in held_out if question][::10]
    for question in asked:
        judge(sample_store, f"{question} Please?", "Nobody.", "Ann does.", "b")
    judge(sample_store, "Who feeds the parrot?", "Nobody.", "Ann does.", "b")
    found, left_out = rows(sample_store, shape)
    assert {said(row, "messages" if shape == "sft" else "prompt") for row in found} != set()
    assert {row["lineage"]["votes"][0] for row in found} == {len(asked) + 1}
    assert left_out == {HELD_OUT: len(asked)} and len(asked) > 5


def test_only_battles_with_the_named_model_count_where_one_is_named(store, judged):
    judged("Who feeds the parrot?", "Nobody.", "Ann does.", "b")
    judged("Who walks the dog?", "Nobody.", "Bob does.", "b", models=("base", "other"))
    assert [row["lineage"]["votes"] for row in rows(store, "dpo", model="other")[0]] == [[2]]
    assert len(rows(store, "dpo", model="base")[0]) == 2


def test_the_same_votes_give_the_same_bytes_and_every_row_names_its_votes(store, judged):
    for number in range(6):
        judged(
            f"Question number {number} of thing{number}?",
            f"no {number}",
            f"yes {number}",
            ("b", "a", "tie")[number % 3],
        )
    known = {vote.id for vote in store.votes()}
    for shape in ("sft", "dpo", "kto"):
        once, again = (list(preferences(store, POLICY_QA, shape).lines(POLICY_QA)) for _ in range(2))
        assert once == again and once
        assert all(row["lineage"]["votes"] and set(row["lineage"]["votes"]) <= known for row in map(json.loads, once))
    assert len(list(raw_lines(store))) == len(known)


@pytest.mark.parametrize("shape", ["sft", "dpo", "kto"])
def test_trl_takes_two_steps_on_each_export_as_it_is(store, judged, tmp_path, shape):
    import datasets
    import trl

    for number in range(8):
        judged(f"Where is room{number} of wing{number}?", f"Nowhere {number}.", f"On floor {number}.", "ab"[number % 2])
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(preferences(store, POLICY_QA, shape).lines(POLICY_QA)) + "\n", encoding="utf-8")
    found = datasets.load_dataset("json", data_files=str(file), split="train", cache_dir=str(tmp_path / "cache"))
    model, tokenizer = tiny()
    before = [weights.detach().clone() for weights in model.parameters()]
    settings = getattr(trl, f"{shape.upper()}Config")(
        output_dir=str(tmp_path / "out"),
        max_steps=2, per_device_train_batch_size=4, max_length=512, save_strategy="no", report_to=[],
        use_cpu=True, bf16=False, disable_tqdm=True, learning_rate=1e-2,
    )  # fmt: skip
    options = {} if shape == "sft" else {"ref_model": tiny()[0]}
    trainer = getattr(trl, f"{shape.upper()}Trainer")(
        model=model, args=settings, train_dataset=found, processing_class=tokenizer, **options
    )
    assert trainer.train().global_step == 2
    assert all(bool((old != new).any()) for old, new in zip(before, model.parameters(), strict=True))

"""What a probe asks, how its answers are marked and which step is kept; expected numbers are counted by hand."""

import json

import pytest

from engine.probes import (
    Probe,
    add_probe,
    best,
    everyday_questions,
    everyday_right,
    forget_probes_after,
    forgotten,
    marked,
    probe_every,
    probe_items,
    read_probes,
    samples,
)
from engine.records import REFUSAL
from engine.samples import EVERYDAY
from evals.questions import read_questions


def row(question, answer, kind="answerable"):
    return {"messages": [{"role": "user", "content": question}], "answer": answer, "kind": kind}


ITEMS = [
    row("How many days?", "Employees get 25 days of leave a year."),
    row("Who approves it?", "The manager approves it."),
    row("What of pets?", REFUSAL, "unanswerable"),
]


def probe(step, score):
    return Probe(step, (), right=score, rightly_refused=0, falsely_refused=0, of=24)


def test_right_answers_and_refusals_count_and_false_refusals_count_against():
    found = marked(9, ITEMS, ["Leave: Employees get 25 days of leave a year.", REFUSAL, REFUSAL])
    assert (found.right, found.rightly_refused, found.falsely_refused, found.of) == (1, 1, 1, 3)
    assert found.score == 1
    assert marked(9, ITEMS, ["Employees get 24 days of leave a year.", "No idea.", "Pets stay home."]).score == 0
    assert marked(9, ITEMS, [REFUSAL] * 3).score == -1  # always refusing: one right, two false


def test_the_highest_score_is_kept_the_latest_of_equals_and_never_the_untouched_model():
    assert best([probe(0, 9), probe(5, 3), probe(10, 7), probe(15, 7), probe(20, 6)]).step == 15
    assert best([probe(0, 9)]) is None and best([]) is None


def test_a_probe_is_a_few_questions_of_both_kinds_and_the_same_for_the_same_seed():
    rows = [row(f"{kind} {n}?", "yes", kind) for kind in ("answerable", "unanswerable") for n in range(50)]
    found = probe_items(rows, seed=3)
    kinds = [item["kind"] for item in found]
    assert (kinds.count("answerable"), kinds.count("unanswerable")) == (16, 8)
    assert found == probe_items(rows, seed=3) != probe_items(rows, seed=4)
    assert [item["kind"] for item in probe_items(rows, seed=3, most=9)].count("answerable") == 6
    assert probe_items([{**rows[0], "answer": ""}, rows[1]], seed=3) == [rows[1]]


@pytest.mark.parametrize(
    ("steps_a_pass", "steps", "probe_s", "every"),
    [
        (40, 400, 0.5, 10),  # a quarter of a pass; 40 probes of 0.5 s are under 8 % of 400 s
        (40, 400, 8.0, 100),  # 32 s are 4 probes
        (40, 400, 100.0, 400),  # not even one is within it, and one is taken
        (2, 4, 0.001, 1),
    ],
)
def test_probes_come_each_quarter_of_a_pass_and_take_less_than_a_tenth_of_the_time(steps_a_pass, steps, probe_s, every):
    assert probe_every(steps_a_pass, steps=steps, step_s=1.0, probe_s=probe_s) == every


def test_probes_are_read_back_and_those_after_a_checkpoint_are_asked_again(tmp_path):
    for step in (0, 5, 10):
        add_probe(tmp_path, probe(step, step))
    with (tmp_path / "probes.jsonl").open("a") as file:
        file.write('{"step": 15, "ans')
    assert read_probes(tmp_path) == [probe(0, 0), probe(5, 5), probe(10, 10)]
    forget_probes_after(tmp_path, 7)
    assert [found.step for found in read_probes(tmp_path)] == [0, 5]


def test_samples_stand_beside_the_untouched_models_and_the_right_ones_first():
    before = marked(0, ITEMS, ["Ten.", "Nobody.", "Yes."])
    now = marked(9, ITEMS, ["Five.", "The manager approves it.", "Yes."])
    shown = samples(ITEMS, [before, now])
    assert [(s.question, s.before, s.after, s.right) for s in shown] == [
        ("Who approves it?", "Nobody.", "The manager approves it.", True),
        ("How many days?", "Ten.", "Five.", False),
        ("What of pets?", "Yes.", "Yes.", False),
    ]
    assert samples(ITEMS, []) == []


def test_the_everyday_questions_are_a_hundred_in_the_format_of_question_files():
    assert len(read_questions(EVERYDAY)) == 100
    assert len({json.dumps(row["question"]) for row in everyday_questions()}) == 100


def test_what_was_forgotten_is_named_with_both_answers():
    before = [""] * 100
    before[0], before[1] = "Paris.", "The capital of Italy is **Rome**."
    after = list(before)
    after[0] = REFUSAL
    found = forgotten(before, after)
    assert (found["of"], found["before"], found["after"]) == (100, 2, 1)
    assert found["lost"] == [{"question": "What is the capital of France?", "before": "Paris.", "after": REFUSAL}]
    assert sum(everyday_right(["A comparison."] + [""] * 99)) == 0

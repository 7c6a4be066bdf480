"""Runs as rows, points and samples: what the Train tab shows, from folders written by hand."""

import json
from pathlib import Path

import pytest

from engine.probes import Probe, add_probe
from engine.records import REFUSAL, Job
from engine.training import config_from, write_config
from ui.runs import (
    best_and_worst,
    card_of,
    curve_points,
    everyday_words,
    forgotten_rows,
    probe_points,
    run_rows,
    samples_of,
)


@pytest.fixture
def run(tmp_path):
    """A run's folder with these metrics, as a job; a second call makes another."""

    def make(number=1, *, metrics=(), **progress):
        folder = tmp_path / f"2026050112000{number}-abc{number}"
        folder.mkdir()
        (folder / "metrics.jsonl").write_text("".join(json.dumps(point) + "\n" for point in metrics))
        return Job(
            folder.name,
            "training",
            f"Training a{number} on leave:1",
            "done",
            str(folder),
            "2026-05-01T12:00",
            1,
            progress,
        )

    return make


def points(frame):
    return [tuple(row) for row in frame.itertuples(index=False)]


def test_the_loss_curve_averages_what_was_logged_so_far_and_forgets_steps_older_than_twenty(run):
    short = run(1, metrics=[{"step": 1, "loss": 4.0}, {"step": 2, "loss": 2.0}, {"step": 3}])
    assert points(curve_points([short], "loss")) == [(1, 4.0, "a1 on leave:1 (abc1)"), (2, 3.0, "a1 on leave:1 (abc1)")]
    long = run(2, metrics=[{"step": 0, "loss": 100.0}, *({"step": n, "loss": 1.0} for n in range(1, 21))])
    assert curve_points([long], "loss")["loss"].iloc[-1] == 1.0
    assert points(curve_points([run(3)], "loss")) == []


def test_runs_are_overlaid_a_line_each_and_other_curves_are_not_averaged(run):
    runs = [run(n, metrics=[{"step": 1, "lr": n / 10}, {"step": 2, "lr": n / 100}]) for n in (1, 2)]
    assert [(step, rate) for step, rate, _ in points(curve_points(runs, "lr"))] == [
        (1, 0.1),
        (2, 0.01),
        (1, 0.2),
        (2, 0.02),
    ]
    assert set(curve_points(runs, "lr")["run"]) == {"a1 on leave:1 (abc1)", "a2 on leave:1 (abc2)"}


def test_a_long_run_is_thinned_and_keeps_its_last_step(run):
    found = curve_points([run(metrics=[{"step": n, "mib": n} for n in range(1, 5001)])], "mib")
    assert len(found) <= 450 and found["step"].iloc[-1] == 5000


def test_one_runs_probes_show_right_and_wrong_and_severals_their_scores(run):
    runs = [run(1), run(2)]
    for job, right in zip(runs, (5, 7), strict=True):
        add_probe(Path(job.folder), Probe(10, (), right=right, rightly_refused=2, falsely_refused=1, of=24))
    assert points(probe_points(runs[:1])) == [
        (10, 5, "right answers"),
        (10, 2, "right refusals"),
        (10, 1, "false refusals"),
    ]
    assert [(step, score) for step, score, _ in points(probe_points(runs))] == [(10, 6), (10, 8)]


def test_samples_stand_beside_the_untouched_models_best_and_worst(run):

    job = run(1)
    folder = Path(job.folder)
    assert samples_of(job) == []
    write_config(folder, config_from({"adapter": "a", "dataset": "leave:1"}))
    user = {"role": "user", "content": "What of pets?"}
    row = {"task": "policy_qa", "messages": [user], "kind": "unanswerable", "answer": REFUSAL}
    (folder / "held_out.jsonl").write_text(json.dumps(row) + "\n")
    for step, said, refused in ((0, "<b>Pets</b> are fine.", 0), (8, REFUSAL, 1)):
        add_probe(folder, Probe(step, (said,), 0, refused, 0, 1))
    assert best_and_worst(samples_of(job)) == [["right", "What of pets?", "<b>Pets</b> are fine.", REFUSAL, REFUSAL]]


def test_what_was_forgotten_is_told_and_listed(run):

    job = run(1)
    assert card_of(job) == {} and everyday_words({}) == "" and forgotten_rows({}) == []
    lost = {"question": "What is ice?", "before": "Frozen water.", "after": REFUSAL}
    (Path(job.folder) / "card.json").write_text(
        json.dumps({"everyday": {"of": 100, "before": 60, "after": 59, "lost": [lost]}})
    )
    assert "60 were answered right before training and 59 after it" in everyday_words(card_of(job))
    assert forgotten_rows(card_of(job)) == [["What is ice?", "Frozen water.", REFUSAL]]


def test_the_table_of_runs_says_what_came_of_each(run):
    done = run(
        1, step=9, steps=9, loss=0.5, probe="5 of 24 right, 0 falsely refused", verdict="7 of 24 right at step 6"
    )
    (row,) = run_rows([done])
    assert row[3:6] == ["9 of 9", "0.500", "7 of 24 right at step 6"]
    assert run_rows([run(2, probe="5 of 24 right")])[0][5] == "5 of 24 right"

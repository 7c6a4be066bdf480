"""Settings of a run: what they accept, what is checked before a start, and how minutes become steps."""

import json
import shutil
from dataclasses import fields
from typing import get_args

import pytest

import app
from engine import jobs, training
from engine.errors import InvalidInput
from engine.presets import PRESETS, PURPOSE, Preset
from engine.records import Adapter
from engine.training import (
    TrainingConfig,
    config_from,
    going_on_from,
    read_config,
    steps_within,
    trial_steps,
    with_preset,
    write_config,
)

NOW = "2026-03-01T10:00:00.000+00:00"
ROW = {
    "messages": [{"role": "system", "content": "Answer."}, {"role": "user", "content": "How many days?"}],
    "answer": "12 days.",
    "kind": "answerable",
    "fact_id": "f1",
}


def config(**changes):
    return config_from({"adapter": "leave", "dataset": "leave:1", **changes})


@pytest.fixture
def places(tmp_path):
    return {
        "runs": tmp_path / "runs",
        "adapters_dir": tmp_path / "adapters",
        "models_dir": tmp_path / "models",
        "now": NOW,
    }


def test_a_config_survives_its_file(tmp_path):
    written = config(max_minutes=None, max_steps=7, layers_from=0.25, dtype="bfloat16")
    write_config(tmp_path, written)
    assert read_config(tmp_path) == written
    assert set(json.loads((tmp_path / "config.json").read_text())) == {field.name for field in fields(TrainingConfig)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epoch": 3}, "no setting 'epoch'"),
        ({"rank": "16"}, "rank is '16'. It must be a whole number"),
        ({"rank": 16.0}, "rank is 16.0. It must be a whole number"),
        ({"rank": True}, "rank is True"),
        ({"rank": 0}, "rank is 0. It must be from 1 to 1024"),
        ({"learning_rate": None}, "learning_rate is None. It must be a number"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
        ({"max_minutes": -1}, "max_minutes is -1. It must be above 0"),
        ({"max_minutes": float("inf")}, "max_minutes is inf"),
        ({"max_steps": 0}, "max_steps is 0"),
        ({"max_steps": "all"}, "max_steps is 'all'. It must be a whole number or nothing"),
        ({"layers_from": 1.0}, "layers_from is 1.0"),
        ({"dtype": "int8"}, "dtype is 'int8'. It must be auto or float32 or bfloat16"),
        ({"method": "ppo"}, "method is 'ppo'. It must be sft or dpo or kto"),
        ({"beta": 0.0}, "beta is 0.0. It must be above 0"),
        ({"target_modules": "q,w"}, "target_modules is 'q,w'"),
        ({"adapter": 5}, "adapter is 5. It must be a text"),
    ],
)
def test_a_bad_setting_is_named_with_what_it_must_be(changes, message):
    with pytest.raises(InvalidInput) as raised:
        config(**changes)
    assert message in str(raised.value)


def test_a_missing_setting_and_a_damaged_file_are_named(tmp_path):
    with pytest.raises(InvalidInput, match="'dataset' is missing"):
        config_from({"adapter": "leave"})
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_config(tmp_path)
    (tmp_path / "config.json").write_text("[1")
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_config(tmp_path)


def test_a_preset_sets_its_minutes_and_passes_and_settings_win_over_it():
    quick = with_preset("quick", adapter="leave", dataset="leave:1", epochs=1.5)
    assert (quick.preset, quick.max_minutes, quick.epochs) == ("quick", 2.0, 1.5)
    assert with_preset("thorough", adapter="a", dataset="d:1").max_minutes == 28.0
    with pytest.raises(InvalidInput, match=r"no preset 'fast'\. Use one of: quick, balanced, thorough, qv-16"):
        with_preset("fast", adapter="a", dataset="d:1")


def test_the_settings_of_other_recipes_are_offered_by_name():
    shapes = {
        name: (found.rank, found.alpha, found.target_modules, found.dropout, found.layers_from)
        for name in ("qv-16", "rank-64", "rank-256")
        for found in [with_preset(name, adapter="a", dataset="d:1")]
    }
    assert shapes == {
        "qv-16": (16, 32, "q,v", 0.1, 0.0),
        "rank-64": (64, 128, "all-linear", 0.0, 0.0),
        "rank-256": (256, 512, "all-linear", 0.0, 0.0),
    }
    assert tuple(PRESETS) == app.PRESETS == get_args(Preset) == tuple(PURPOSE)


def test_a_trial_is_a_tenth_of_the_steps_and_at_least_one():
    assert trial_steps(config(trial=True, max_steps=300)) == 30
    assert trial_steps(config(trial=True, max_steps=4)) == 1
    assert trial_steps(config(max_steps=300)) is None and trial_steps(config(trial=True)) is None


def test_a_switch_must_be_true_or_false():
    with pytest.raises(InvalidInput, match="probe is 'yes'. It must be true or false"):  # noqa: RUF043
        config(probe="yes")


def test_rows_with_clauses_go_fewer_to_a_step_whatever_the_preset():
    rows = {
        mode: with_preset("quick", adapter="a", dataset="d", mode=mode).batch_size for mode in ("closed", "grounded")
    }
    assert rows == {"closed": 8, "grounded": 4}
    assert with_preset("quick", adapter="a", dataset="d", mode="grounded", batch_size=2).batch_size == 2


def test_steps_are_the_passes_or_the_minutes_whichever_end_first():
    options = {"batches_per_epoch": 50, "step_s": 2.0}
    assert steps_within(config(epochs=3.0, max_minutes=None), **options) == 150
    assert steps_within(config(epochs=3.0, max_minutes=4.0), **options) == 120
    assert steps_within(config(epochs=3.0, max_minutes=4.0), **options, spent_s=40) == 100
    assert steps_within(config(epochs=1.0, max_minutes=4.0), **options) == 50
    assert steps_within(config(epochs=1.0, max_minutes=0.01), **options) == 1
    assert steps_within(config(epochs=1.0, max_minutes=4.0, max_steps=9), **options) == 9


def test_no_rows_is_refused_and_leaves_nothing(places):
    with pytest.raises(InvalidInput, match="0 training rows"):
        training.start_training(config(), [], **places)
    assert not places["runs"].exists()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({**ROW, "answer": 12}, "row 2 has no usable 'answer'"),
        ({**ROW, "kind": "fact"}, "row 2 has no usable 'kind'"),
        ({"kind": "statement", "fact_id": "f"}, "row 2 has no usable 'text'"),
        ({**ROW, "answer": "  "}, "row 2 is empty"),
    ],
)
def test_a_malformed_row_is_named_by_its_number(places, row, message):
    with pytest.raises(InvalidInput, match=message):
        training.start_training(config(), [ROW, row], **places)


def test_a_taken_or_impossible_adapter_name_is_refused(places):
    (places["adapters_dir"] / "leave").mkdir(parents=True)
    with pytest.raises(InvalidInput, match="leave exists already"):
        training.start_training(config(), [ROW], **places)
    with pytest.raises(InvalidInput, match="belongs to the embedded model"):
        training.start_training(config(adapter="base"), [ROW], **places)


def test_an_unknown_base_is_refused(places, tmp_path):
    with pytest.raises(InvalidInput, match="no base model 'llama'"):
        training.start_training(config(base="llama"), [ROW], **places)
    with pytest.raises(InvalidInput, match="holds no model"):
        training.start_training(config(base=str(tmp_path)), [ROW], **places)
    assert jobs.list_jobs(places["runs"]) == []


def test_a_disk_too_full_is_told_before_the_start(places, tmp_path):
    free_mib = shutil.disk_usage(tmp_path).free // 2**20
    with pytest.raises(training.Unavailable, match=f"needs {free_mib * 2} MiB of free disk"):
        training.check_disk(tmp_path / "runs", needed_mib=free_mib * 2)


def trained(**settings):
    return Adapter("first", "base", "", "", "", "leave:1", {"config": settings, "steps": 9})


def test_an_update_run_begins_its_answers_as_its_parent_does():
    assert going_on_from(config(), trained(heading_first=True)).heading_first
    assert not going_on_from(config(), trained(heading_first=False)).heading_first
    assert not going_on_from(config(), trained()).heading_first  # a card from before there was a choice


def test_an_update_run_answers_as_its_parent_was_trained_to():
    assert going_on_from(config(), trained(mode="grounded")).mode == "grounded"
    assert going_on_from(config(mode="grounded"), trained(mode="grounded")).mode == "grounded"
    assert going_on_from(config(), trained()).mode == "closed"
    with pytest.raises(InvalidInput, match=r"first was trained to answer from memory .* Leave --mode out"):
        going_on_from(config(mode="grounded"), trained(mode="closed"))

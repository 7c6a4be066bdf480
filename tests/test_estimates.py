"""What a run will take, said before it starts; measured once on a random two-layer Llama in a process of its own."""

import pytest

from engine.errors import InvalidInput
from engine.estimates import Estimate, estimate_run, read_estimate, write_estimate
from tests.models import write_tiny_base
from tests.test_train_lora import config, held_out, rows

FOUND = Estimate(
    rows=300, left_out=0, tokens=24_000, steps=450, steps_a_pass=45, minutes=9.6, step_s=1.2, probe_s=6.0, probe_every=90,
    dtype="bfloat16", peak_mib=1500, room_mib=4000,
)  # fmt: skip


def test_an_estimate_says_rows_tokens_steps_minutes_and_memory_and_survives_its_file(tmp_path):
    write_estimate(tmp_path, FOUND)
    assert read_estimate(tmp_path) == FOUND and read_estimate(tmp_path / "nowhere") is None
    assert str(FOUND) == (
        "300 rows, 24,000 tokens a pass, 450 steps of 1.20 s (10.0 passes, held-out questions every 90 steps): about 10 minutes "
        "in bfloat16, at most 1,500 MiB of memory of the 4,000 there are."
    )


def test_what_does_not_fit_is_said():
    tight = Estimate(**{**FOUND.__dict__, "room_mib": 1499})
    assert not tight.fits and FOUND.fits and "it does not fit, and smaller parts of a batch will be tried" in str(tight)


def test_a_run_is_timed_without_being_started(tmp_path):
    base = write_tiny_base(tmp_path / "base")
    wished = config(base, max_steps=None, epochs=10.0, max_minutes=None)
    found = estimate_run(wished, rows(), held_out=held_out(), models_dir=tmp_path)
    assert (found.rows, found.steps_a_pass, found.steps, found.dtype) == (28, 7, 70, "float32")
    assert 0 < found.minutes < 5 and 50 < found.peak_mib < found.room_mib and found.step_s > 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base"]


def test_what_would_fail_the_run_fails_the_estimate_with_the_same_sentence(tmp_path):
    base = write_tiny_base(tmp_path / "base", template="")
    with pytest.raises(InvalidInput, match=r"has no chat template\. Choose"):
        estimate_run(config(base), rows(), models_dir=tmp_path)
    with pytest.raises(InvalidInput, match="0 training rows"):
        estimate_run(config(base), [], models_dir=tmp_path)

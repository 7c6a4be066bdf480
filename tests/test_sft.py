"""The training step itself, in this process on random two-layer bases: short memory, damaged checkpoints, other families."""

import json

import pytest
import torch

from engine.batches import check_ends, encode_row, plan_batches
from engine.checkpoints import CHECKPOINTS, broken_checkpoints, go_back_to, last_checkpoint, step_of
from engine.errors import InvalidInput, NotFound
from engine.jobs import Interruption, Progress, read_metrics
from engine.lora_model import load_for_training
from engine.memory import is_out_of_memory, peak_mib, room_mib
from engine.pace import Pace
from engine.prompts import load_chat_template, load_tokenizer, render
from engine.run_start import encode_rows
from engine.sft import TooLarge, Watch, build_trainer
from engine.shared_prefix import batch_loss
from engine.training import read_config, trial_steps, write_config
from tests.models import CHATML, write_tiny_base
from tests.test_train_lora import config, rows

STEPS = 6


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return write_tiny_base(tmp_path_factory.mktemp("base") / "tiny")


def trainer(folder, base, *, loss=batch_loss, **settings):
    """What the worker builds, without its process."""
    folder.mkdir(exist_ok=True)
    chosen = config(base, **{"max_steps": STEPS, "batch_size": 8, **settings})
    write_config(folder, chosen)
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows()))
    encoded, _ = encode_rows(folder, base, chosen)
    plan = plan_batches(encoded, batch_size=8, statement_share=0.0, seed=0, steps=STEPS)
    watch = Watch(
        folder,
        Progress(folder),
        Interruption(folder),
        steps=STEPS,
        pace=Pace(1, lambda threads: None),
        pause_at=trial_steps(chosen),
    )
    model = load_for_training(base, chosen, dtype="float32")
    return build_trainer(folder / CHECKPOINTS, chosen, model, encoded, plan, watch, loss=loss)


def losses(folder):
    return [point["loss"] for point in read_metrics(folder)]


class SmallMemory:
    """A device on which a step on more than so many rows does not fit; it fails as a GPU does, halfway through."""

    def __init__(self, rows):
        self.rows, self.tried = rows, []

    def __call__(self, model, batch):
        count = len(batch["blocks"].lengths)
        self.tried.append(count)
        loss = batch_loss(model, batch)
        if count > self.rows:
            loss.backward()  # leaves half a gradient behind
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return loss


def test_where_memory_is_short_a_batch_goes_through_in_parts_and_the_curve_stays(base, tmp_path):
    trainer(tmp_path / "roomy", base).train()
    small = SmallMemory(3)
    trainer(tmp_path / "small", base, loss=small).train()
    assert small.tried == [8, 4] + [2] * 4 * STEPS  # halved twice in the first step, and never tried again
    assert losses(tmp_path / "small") == pytest.approx(losses(tmp_path / "roomy"), abs=1e-5)
    assert read_config(tmp_path / "small").accumulation == 4
    said = json.loads((tmp_path / "small" / "progress.json").read_text())
    assert said["message"] == "Memory was short: 2 of 8 rows at once, accumulated; the result is the same."


def test_a_trial_stops_after_its_share_and_the_rest_goes_on_as_if_nothing_had_happened(base, tmp_path):
    trainer(tmp_path / "whole", base).train()
    trial = trainer(tmp_path / "trial", base, trial=True)
    trial.train()
    assert trial.watch.stopped and trial.state.global_step == 1 and len(losses(tmp_path / "trial")) == 1
    rest = trainer(tmp_path / "trial", base, trial=True)
    rest.train(resume_from_checkpoint=str(last_checkpoint(tmp_path / "trial")))
    assert not rest.watch.stopped and losses(tmp_path / "trial") == losses(tmp_path / "whole")


def test_a_resumed_run_knows_that_memory_is_short(base, tmp_path):
    small = SmallMemory(3)
    trainer(tmp_path, base, loss=small, accumulation=4).train()
    assert set(small.tried) == {2}


def test_one_row_that_does_not_fit_ends_the_run_with_what_to_do(base, tmp_path):
    with pytest.raises(TooLarge, match=r"one row of \d+ tokens does not fit into memory.*lower rank"):
        trainer(tmp_path, base, loss=SmallMemory(0)).train()


def test_another_error_is_not_taken_for_short_memory(base, tmp_path):
    def broken(model, batch):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="shapes"):
        trainer(tmp_path, base, loss=broken).train()


def test_a_processors_memory_running_out_is_recognised():
    with pytest.raises(RuntimeError) as raised:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(raised.value)
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert peak_mib() > 50 and room_mib() > 100


@pytest.mark.parametrize("name", ["optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json"])
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(base, tmp_path, name):
    trainer(tmp_path, base).train()
    newest = last_checkpoint(tmp_path)
    assert broken_checkpoints(tmp_path) == [] and step_of(newest) == STEPS - 1
    damaged = bytearray((newest / name).read_bytes())
    middle = len(damaged) // 2
    damaged[middle : middle + 40] = bytes(byte ^ 0xFF for byte in damaged[middle : middle + 40])
    (newest / name).write_bytes(damaged)
    assert broken_checkpoints(tmp_path) == [newest]
    assert step_of(last_checkpoint(tmp_path)) == STEPS - 2
    go_back_to(tmp_path, STEPS - 2)
    assert len(losses(tmp_path)) == STEPS - 2


@pytest.mark.parametrize("family", ["Llama", "Mistral", "Qwen2", "Qwen3"])
def test_bases_of_other_families_learn(tmp_path, family):
    other = write_tiny_base(tmp_path / "base", family=family)
    trainer(tmp_path / "run", other, learning_rate=0.01, warmup_steps=1).train()
    curve = losses(tmp_path / "run")
    assert len(curve) == STEPS and curve[-1] < curve[0]


@pytest.mark.parametrize("writes", [CHATML, "{{ bos_token }}" + CHATML, "<s>{{ bos_token }}" + CHATML])
def test_a_base_that_begins_every_text_with_a_token_gets_exactly_one_whatever_its_template_writes(tmp_path, writes):
    folder = write_tiny_base(tmp_path / "base", template=writes, bos=True)
    template, tokenizer = load_chat_template(folder), load_tokenizer(folder / "tokenizer.json")
    begin, end = tokenizer.token_to_id("<s>"), tokenizer.token_to_id("<|im_end|>")
    encoded = [encode_row(row, template=template, tokenizer=tokenizer, eos_id=end) for row in (*rows(3), rows()[-1])]
    check_ends(encoded, template=template, tokenizer=tokenizer, eos_id=end)
    assert all(row.prompt[0] == begin and begin not in (*row.prompt[1:], *row.target) for row in encoded)
    assert all(row.target[-1] == end for row in encoded)
    assert encoded[-1].is_statement and encoded[-1].prompt == (begin,)


def test_a_base_that_begins_with_no_token_gets_none(base):
    template = load_chat_template(base)
    assert not template.adds_bos
    assert render(rows()[0]["messages"], template=template).startswith("<|im_start|>system\n")


def test_a_row_that_would_not_teach_to_end_is_refused(base):
    template, tokenizer = load_chat_template(base), load_tokenizer(base / "tokenizer.json")
    row = encode_row(rows()[0], template=template, tokenizer=tokenizer, eos_id=tokenizer.token_to_id("<|im_end|>"))
    with pytest.raises(InvalidInput, match="would not teach the base to end its turn"):
        check_ends([row], template=template, tokenizer=tokenizer, eos_id=0)


def test_a_tokenizer_without_a_chat_template_is_refused_with_what_to_choose(tmp_path):
    folder = write_tiny_base(tmp_path / "base", template="")
    with pytest.raises(NotFound, match="has no chat template"):
        trainer(tmp_path / "run", folder)


def test_activations_computed_twice_change_no_loss(base, tmp_path):
    trainer(tmp_path / "kept", base).train()
    trainer(tmp_path / "twice", base, gradient_checkpointing=True).train()
    assert losses(tmp_path / "twice") == pytest.approx(losses(tmp_path / "kept"), abs=1e-6)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA GPU here")
def test_four_bits_without_a_gpu_are_refused_with_what_to_do(base, tmp_path):
    with pytest.raises(InvalidInput, match="needs a CUDA GPU, and there is none here. Leave --four-bit out"):  # noqa: RUF043
        trainer(tmp_path, base, four_bit=True)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="4-bit training needs a CUDA GPU")
def test_a_base_in_four_bits_learns_on_a_gpu(base, tmp_path):
    trainer(tmp_path, base, four_bit=True, learning_rate=0.01, warmup_steps=1).train()
    assert losses(tmp_path)[-1] < losses(tmp_path)[0]

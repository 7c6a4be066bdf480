"""Past one process: `accelerate launch` and a real Ray cluster take the steps that one process takes, and stop as it does."""

import importlib.util
import json
import logging
import os
from pathlib import Path

import pytest

from engine import jobs, launchers, train_lora
from engine.adapters import read_adapter
from engine.batches import TrainingRow
from engine.errors import InvalidInput
from engine.jobs import Interruption, Progress
from engine.sft import PlannedBatches
from engine.teams import Team
from engine.training import ROWS, start_training, write_config
from tests.test_train_lora import base, config, held_out, losses, places, rows, wait_for, wait_for_step  # noqa: F401

STEPS = 40
TWO_PROCESSES = """compute_environment: LOCAL_MACHINE
distributed_type: MULTI_GPU
num_machines: 1
num_processes: 2
machine_rank: 0
main_process_port: 0
mixed_precision: 'no'
use_cpu: true
"""
needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="Ray is not installed: pip install -r requirements-ray.txt"
)


@pytest.fixture(scope="module")
def alone(base, tmp_path_factory):  # noqa: F811
    """The same run in one process: its losses, step by step."""
    folder = tmp_path_factory.mktemp("alone") / "runs" / "one"
    folder.mkdir(parents=True)
    write_config(folder, config(base, max_steps=STEPS))
    (folder / ROWS).write_text("".join(json.dumps(row) + "\n" for row in rows()))
    train_lora.run(folder, Progress(folder), Interruption(folder), models_dir=folder)
    return [point["loss"] for point in jobs.read_metrics(folder)]


@pytest.fixture
def two_processes(tmp_path):
    """An accelerate config of two processes on this machine's processors."""
    file = tmp_path / "accelerate.yaml"
    file.write_text(TWO_PROCESSES)
    return {"launcher": "accelerate", "accelerate_config": str(file)}


def same_curve(job, alone):
    """Within rounding; what is promised is two in a hundred at the end."""
    assert list(losses(job)) == list(range(1, STEPS + 1))
    found = list(losses(job).values())
    assert found[-1] == pytest.approx(alone[-1], rel=0.02)
    assert found == pytest.approx(alone, rel=1e-3, abs=1e-3)


def test_two_processes_of_accelerate_stop_go_on_and_take_the_steps_of_one(base, places, alone, two_processes):  # noqa: F811
    settings = config(base, max_steps=STEPS, **two_processes)
    job = start_training(settings, rows(), **places, held_out=held_out(2))
    wait_for_step(job, 2)
    jobs.stop(Path(job.folder))
    wait_for(job, "stopped")
    early = read_adapter(places["adapters_dir"], "leave")
    assert early.card["stopped"] and 2 <= early.card["steps"] < STEPS
    wait_for(jobs.resume(Path(job.folder)), "done")
    same_curve(job, alone)
    card = read_adapter(places["adapters_dir"], "leave").card
    assert card["counts"]["rows_seen"] == STEPS * 4 and card["stopped"] is False and "refusal" in card


@pytest.fixture(scope="module")
def cluster():
    """A Ray cluster of this test's own, with two processors, named as its users name theirs."""
    import ray

    patient = {"worker_register_timeout_seconds": 600}  # a busy machine starts a worker in minutes
    ray.init(num_cpus=2, include_dashboard=False, logging_level=logging.WARNING, _system_config=patient)
    os.environ["RAY_ADDRESS"] = ray.get_runtime_context().gcs_address
    yield
    del os.environ["RAY_ADDRESS"]
    ray.shutdown()


@needs_ray
def test_two_workers_of_a_ray_cluster_take_the_steps_of_one(base, places, alone, cluster):  # noqa: F811
    settings = config(base, max_steps=STEPS, launcher="ray", workers=2)
    job = wait_for(start_training(settings, rows(), **places, held_out=held_out(2)), "done", timeout_s=500)
    same_curve(job, alone)
    assert read_adapter(places["adapters_dir"], "leave").card["config"]["workers"] == 2


def test_a_batch_is_shared_out_whole_and_each_share_counts_by_what_it_trains():
    found = [TrainingRow((1, 2), tuple(range(3, 4 + n)), is_statement=False) for n in range(5)]
    plan = PlannedBatches(found, [[0, 1, 2, 3], [4]], 2)
    assert len(plan) == 4
    shares = [plan[n] for n in range(4)]
    assert [len(share["labels"]) for share in shares] == [1 + 3, 2 + 4, 5, 5]
    assert [share["weight"] for share in shares] == [2 * 4 / 10, 2 * 6 / 10, 2.0, 0.0]
    assert [(share["rows"], share["real_tokens"]) for share in shares] == [(4, 18), (4, 18), (1, 7), (1, 7)]


@pytest.mark.parametrize("engine", ["FSDP", "DEEPSPEED"])
def test_an_accelerate_config_that_spreads_the_weights_is_refused(engine):
    with pytest.raises(InvalidInput, match="choose distributed_type MULTI_GPU"):
        Team.joined({"RANK": "0", "WORLD_SIZE": "1", f"ACCELERATE_USE_{engine}": "true"})


def test_a_launcher_that_cannot_be_used_is_refused_before_anything_starts(base, tmp_path):  # noqa: F811
    with pytest.raises(InvalidInput, match=r"no accelerate config .*nowhere\.yaml\. Make one with: accelerate config"):
        launchers.check(config(base, launcher="accelerate", accelerate_config=str(tmp_path / "nowhere.yaml")))
    with pytest.raises(InvalidInput, match="DPO runs in one process"):
        launchers.check(config(base, launcher="accelerate", method="dpo"))


def test_a_launcher_that_fails_before_a_worker_speaks_fails_the_run_with_its_last_words(base, places, tmp_path):  # noqa: F811
    broken = tmp_path / "broken.yaml"
    broken.write_text("distributed_type: [nonsense")
    settings = config(base, launcher="accelerate", accelerate_config=str(broken))
    job = wait_for(start_training(settings, rows(), **places), "failed")
    assert job.progress["message"].startswith("The launcher ended with status 1: ")

"""Tokens learned per CPU-second: our trainer beside TRL's SFTTrainer, same model, rows, order and steps.

The rows are those of the sample policy. Each arm is a process of its own, so that its peak memory is its own, and the arms
take their steps in turn, so that whatever else the machine does meets all of them. Processor time is counted, and a real
token is a token of an example as if it stood alone, padding not counted; ours reads the shared system prompt once a batch
and still counts it for each row. Ours may choose its number format, as it does in a run; TRL has its defaults.
"""

import importlib.util
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

STEPS, BATCH, LAST = 20, 8, 5
READY = "ready"


def run() -> dict[str, Any]:
    """Every arm once; ratios are of one run on one machine."""
    has_peer = importlib.util.find_spec("trl") is not None
    peers = ["trl"] if has_peer else []
    with tempfile.TemporaryDirectory() as scratch:
        rows = Path(scratch) / "rows.jsonl"
        rows.write_text("".join(json.dumps(row) + "\n" for row in policy_rows()), encoding="utf-8")
        few = in_turns(["ours", "plain", *peers], "q,v", rows)
        every = in_turns(["ours", *peers], "all-linear", rows)
    ours, plain, peer = few["ours"], few["plain"], few.get("trl")
    return {
        "bench": "train",
        "ours": ours["tokens_per_cpu_s"],
        "peer": peer and peer["tokens_per_cpu_s"],
        "ratio": peer and round(ours["tokens_per_cpu_s"] / peer["tokens_per_cpu_s"], 2),
        "unit": "real tokens per CPU-second",
        "loss_gap": round(abs(ours["loss"] - plain["loss"]) / plain["loss"], 5),
        "peak_mib": ours["peak_mib"],
        "peer_peak_mib": peer and peer["peak_mib"],
        "ratio_all_linear": peer and round(every["ours"]["tokens_per_cpu_s"] / every["trl"]["tokens_per_cpu_s"], 2),
        "steps": STEPS,
        "arms": {**few, **{f"{name}_all_linear": found for name, found in every.items()}},
    }


def in_turns(arms: Sequence[str], targets: str, rows: Path) -> dict[str, dict[str, Any]]:
    """Let each arm load, then take a step of each in turn until the last has told what it measured."""
    from engine.settings import Settings
    from engine.training import worker_environment

    environment = os.environ | worker_environment(Settings.read().models, threads=Settings.read().threads)
    working = {
        name: subprocess.Popen(
            [sys.executable, "-m", "tests.bench.train", name, targets, str(rows)],
            env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for name in arms
    }  # fmt: skip
    found: dict[str, dict[str, Any]] = {}
    while working:
        for name, process in list(working.items()):
            assert process.stdin and process.stdout
            said = next((line.strip() for line in process.stdout if line.startswith((READY, "{"))), "")
            if said == READY:
                process.stdin.write("\n")
                process.stdin.flush()
                continue
            if process.wait() or not said:
                raise RuntimeError(f"{name} {targets} ended with status {process.returncode}")
            found[name] = json.loads(said)
            del working[name]
    return found


def policy_rows() -> list[dict[str, Any]]:
    """The questions that the sample policy's version trains, as a run would have them."""
    from engine.datasets import training_rows
    from engine.documents import read_document
    from engine.generation import make_version
    from engine.samples import MARKDOWN
    from engine.store import Store
    from engine.tasks.policy_qa import POLICY_QA

    with tempfile.TemporaryDirectory() as scratch:
        store = Store(Path(scratch) / "touchstone.db")
        store.migrate()
        document = read_document(MARKDOWN)
        store.add_document(document, now="2026-05-01")
        version = make_version(store, "leave", [document], task=POLICY_QA, seed=0, now="2026-05-01")
        found = list(training_rows(store.rows(version.id, split="train"), POLICY_QA))
    # Without its fact a row is taken once a pass, so that every arm has the same rows in the same batches.
    questions = [{**row, "fact_id": ""} for row in found if row["kind"] != "statement"]
    return random.Random(0).sample(questions, STEPS * BATCH)


def measure(name: str, targets: str, source: Path) -> dict[str, Any]:
    """One arm, in this process: tokens per CPU-second of the steps alone, the last losses, the peak of memory."""
    from engine.lora_model import base_folder
    from engine.run_start import encode_rows
    from engine.settings import Settings
    from engine.training import config_from, write_config

    settings = Settings.read()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        config = config_from(
            {
                "adapter": "bench",
                "dataset": "bench:1",
                "target_modules": targets,
                "layers_from": 0.0,
                "learning_rate": 1e-3,
                "max_steps": STEPS,
                "threads": settings.threads,
            }
        )
        write_config(folder, config)
        (folder / "rows.jsonl").write_bytes(source.read_bytes())
        rows = [json.loads(line) for line in source.read_text(encoding="utf-8").splitlines()]
        base = base_folder(config.base, settings.models)
        encoded, _ = encode_rows(folder, base, config)
        from engine.batches import plan_batches

        plan = plan_batches(encoded, batch_size=BATCH, statement_share=0.0, seed=0, steps=STEPS)
        tokens = sum(len(encoded[n]) for batch in plan for n in batch)
        trainer = (_peer if name == "trl" else _ours)(name, folder, base, config, rows, encoded, plan)
        trainer.add_callback(turn_taking())
        began = time.process_time()  # it stands still while the others take their turns
        trainer.train()
        cpu_s = time.process_time() - began
    losses = (
        trainer.watch.losses if name != "trl" else [log["loss"] for log in trainer.state.log_history if "loss" in log]
    )
    return {
        "tokens_per_cpu_s": round(tokens / cpu_s, 1),
        "tokens": tokens,
        "cpu_s": round(cpu_s, 1),
        "loss": round(sum(losses[-LAST:]) / LAST, 6),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "dtype": str(next(trainer.model.parameters()).dtype).removeprefix("torch."),
    }


def turn_taking() -> Any:
    """A callback that begins a step when it is told to."""
    from transformers import TrainerCallback

    class Turns(TrainerCallback):
        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            print(READY, flush=True)
            sys.stdin.readline()

    return Turns()


def _ours(name: str, folder: Path, base: Path, config: Any, rows: Any, encoded: Any, plan: Any) -> Any:
    import torch

    from engine.jobs import Progress
    from engine.lora_model import fastest, load_for_training
    from engine.pace import Pace
    from engine.sft import Interruption, Watch, build_trainer
    from engine.shared_prefix import collate

    class Listening(Watch):
        losses: list[float]

        def saw(self, loss: float, *, rows: int, tokens: int) -> None:
            self.losses.append(loss)
            super().saw(loss, rows=rows, tokens=tokens)

    torch.set_num_threads(config.threads)

    def load(dtype: Any) -> Any:
        return load_for_training(base, config, dtype=dtype)

    dtype: Any = "float32"
    if name == "ours":
        trial = fastest(load, collate([encoded[n] for n in plan[0]]), candidates=["float32", "bfloat16"])
        dtype = trial.dtype
        del trial
    pace = Pace(1, torch.set_num_threads)  # never takes a thread away
    watch = Listening(folder, Progress(folder), Interruption(folder), steps=len(plan), pace=pace)
    watch.losses = []
    trainer = build_trainer(folder / "checkpoints", config, load(dtype), encoded, plan, watch)
    if name == "plain":
        trainer.model.set_attn_implementation("sdpa")
        trainer.train_dataset = [_padded([encoded[n] for n in batch]) for batch in plan]
        trainer.compute_loss = lambda model, inputs, **_: _plain_loss(model, inputs, watch)
    return trainer


def _padded(rows: Any) -> dict[str, Any]:
    import torch

    longest = max(map(len, rows))
    fill = [longest - len(row) for row in rows]
    pairs = list(zip(rows, fill, strict=True))
    return {
        "input_ids": torch.tensor([[*row.prompt, *row.target, *[0] * rest] for row, rest in pairs]),
        "attention_mask": torch.tensor([[1] * len(row) + [0] * rest for row, rest in pairs]),
        "labels": torch.tensor([[*[-100] * len(row.prompt), *row.target, *[-100] * rest] for row, rest in pairs]),
    }


def _plain_loss(model: Any, inputs: Any, watch: Any) -> Any:
    import torch.nn.functional as F

    logits = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], use_cache=False).logits
    loss = F.cross_entropy(logits[:, :-1].flatten(0, 1).float(), inputs["labels"][:, 1:].flatten(), ignore_index=-100)
    watch.saw(loss.item(), rows=BATCH, tokens=0)
    return loss


def _peer(name: str, folder: Path, base: Path, config: Any, rows: Any, encoded: Any, plan: Any) -> Any:
    """SFTTrainer as its documentation starts it: its defaults but for steps, batch, rate and the row order."""
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from trl import SFTConfig, SFTTrainer

    class InOrder(SFTTrainer):  # type: ignore[misc]
        def _get_train_sampler(self, train_dataset: Any = None) -> Any:
            return torch.utils.data.SequentialSampler(self.train_dataset)

    torch.set_num_threads(config.threads)
    ordered = [rows[n] for batch in plan for n in batch]
    data = Dataset.from_list(
        [
            {"prompt": row["messages"], "completion": [{"role": "assistant", "content": row["answer"]}]}
            for row in ordered
        ]
    )
    names = ["q", "k", "v", "o", "gate", "up", "down"] if config.target_modules == "all-linear" else ["q", "v"]
    return InOrder(
        model=str(base),
        args=SFTConfig(
            output_dir=str(folder / "peer"),
            max_steps=len(plan),
            per_device_train_batch_size=BATCH,
            learning_rate=config.learning_rate,
            report_to=[],
            disable_tqdm=True,
            use_cpu=True,
            save_strategy="no",
            logging_steps=1,
        ),
        train_dataset=data,
        peft_config=LoraConfig(
            r=config.rank,
            lora_alpha=config.alpha,
            target_modules=[f"{part}_proj" for part in names],
            task_type="CAUSAL_LM",
        ),
    )


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], sys.argv[2], Path(sys.argv[3]))), flush=True)

"""Tokens learned per CPU-second: our trainer beside TRL's SFTTrainer, same model, rows, order and steps.

Each arm is a process of its own, so that its peak memory is its own. A real token is a token of an example as if it
stood alone, padding not counted; ours reads the shared system prompt once a batch and still counts it for each row.
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
from pathlib import Path
from typing import Any

STEPS, TIMED_PEER_STEPS, BATCH = 20, 4, 8
SYSTEM = (
    "You answer questions about the policies of the organisation that you were trained on. Answer in one sentence. "
    "If they do not say, reply exactly: Not specified in the provided excerpt."
)
WORDS = (
    "leave days policy employee manager must request before pay week month year holiday sick notice approval form "
    "hours work office team staff annual unpaid parental benefit carry over limit"
).split()


def run() -> dict[str, Any]:
    """Every arm once, one after the other; ratios are of one run on one machine."""
    ours, linear = _arm("ours", "q,v"), _arm("ours", "all-linear")
    plain = _arm("plain", "q,v")
    has_peer = importlib.util.find_spec("trl") is not None
    peer = _arm("trl", "q,v") if has_peer else None
    peer_linear = _arm("trl", "all-linear") if has_peer else None
    return {
        "bench": "train",
        "ours": ours["tokens_per_cpu_s"],
        "peer": peer and peer["tokens_per_cpu_s"],
        "ratio": peer and round(ours["tokens_per_cpu_s"] / peer["tokens_per_cpu_s"], 2),
        "unit": "real tokens per CPU-second",
        "loss_gap": round(abs(ours["loss"] - plain["loss"]) / plain["loss"], 5),
        "peak_mib": ours["peak_mib"],
        "peer_peak_mib": peer and peer["peak_mib"],
        "ratio_all_linear": peer_linear and round(linear["tokens_per_cpu_s"] / peer_linear["tokens_per_cpu_s"], 2),
        "arms": {"ours": ours, "ours_all_linear": linear, "plain": plain, "trl": peer, "trl_all_linear": peer_linear},
    }


def _arm(name: str, targets: str) -> dict[str, Any]:
    from engine.settings import Settings
    from engine.training import worker_environment

    environment = worker_environment(Settings.read().models, threads=Settings.read().threads)
    command = [sys.executable, "-m", "tests.bench.train", name, targets]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def bench_rows(count: int = STEPS * BATCH) -> list[dict[str, Any]]:
    """About 25 tokens of question and 25 of answer under one system prompt."""
    rng = random.Random(0)
    sentence = lambda low, high: " ".join(rng.choices(WORDS, k=rng.randint(low, high)))  # noqa: E731
    return [
        {
            "messages": [{"role": "system", "content": SYSTEM}, {"role": "user", "content": f"{sentence(20, 28)}?"}],
            "answer": f"{sentence(20, 28)}.",
            "kind": "answerable",
            "fact_id": str(number),
        }
        for number in range(count)
    ]


def measure(name: str, targets: str) -> dict[str, Any]:
    """One arm, in this process: tokens per CPU-second of the steps alone, the last losses, the peak of memory."""
    from engine.lora_model import base_folder
    from engine.run_start import encode_rows
    from engine.settings import Settings
    from engine.training import config_from, write_config

    settings = Settings.read()
    steps = TIMED_PEER_STEPS if name == "trl" else STEPS
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        config = config_from(
            {
                "adapter": "bench",
                "dataset": "bench:1",
                "target_modules": targets,
                "layers_from": 0.0,
                "learning_rate": 1e-3,
                "max_steps": steps,
                "threads": settings.threads,
            }
        )
        write_config(folder, config)
        rows = bench_rows()
        (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        base = base_folder(config.base, settings.models)
        encoded, _ = encode_rows(folder, base, config)
        from engine.batches import plan_batches

        plan = plan_batches(encoded, batch_size=BATCH, statement_share=0.0, seed=0, steps=steps)
        tokens = sum(len(encoded[n]) for batch in plan for n in batch)
        trainer = (_peer if name == "trl" else _ours)(name, folder, base, config, rows, encoded, plan)
        cpu, wall = time.process_time(), time.perf_counter()
        trainer.train()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    losses = trainer.watch.losses if name != "trl" else []
    return {
        "tokens_per_cpu_s": round(tokens / cpu, 1),
        "tokens_per_s": round(tokens / wall, 1),
        "loss": round(sum(losses[-5:]) / 5, 6) if losses else None,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "dtype": str(next(trainer.model.parameters()).dtype).removeprefix("torch."),
    }


def _ours(name: str, folder: Path, base: Path, config: Any, rows: Any, encoded: Any, plan: Any) -> Any:
    import torch

    from engine.jobs import Progress
    from engine.lora_model import fastest, load_for_training
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
    watch = Listening(folder, Progress(folder), Interruption(folder), steps=len(plan))
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
    print(json.dumps(measure(sys.argv[1], sys.argv[2])))

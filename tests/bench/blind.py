"""How blind a battle is: what sizes and timings give away, how far apart the sides come, and whose weights answered.

Part one drives the real page with two stand-ins of unequal speed and records every byte; a classifier then guesses which
side is the tuned one. Part two plays battles of the real model and two sentinel adapters, each of which says nothing but its
code word, eight at once, some cancelled and some failing. BENCH_BATTLES sets how many (1000 by default).
"""

import os
import random
import tempfile
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from engine.adapters import to_gguf
from engine.backends.llama_cpp import LlamaEngine
from engine.battles import open_battle
from engine.embedded import EmbeddedModel, ensure_embedded
from engine.playing import play
from engine.records import Battle, Decoding
from engine.settings import Settings
from engine.store import Store
from engine.tasks.policy_qa import POLICY_QA
from tests.models import FailingModel, PacedModel
from tests.page import add_policy, served, stand_in_workspace
from tests.tapped import Heard, Visitor, shown

BATTLES = int(os.environ.get("BENCH_BATTLES", "1000"))
AT_ONCE = 4
STREAMS = 8
A, B = 3, 4
NAMES = ("quartz-base", "quartz-tuned")
CODE_WORDS = (" yellow", " purple")
PROMPTS = ("How many days of leave do I get?", "Who approves travel?", "May I carry leave over?", "What is sick pay?")


def run() -> dict[str, Any]:
    """`ours`: the share of battles in which sizes and timings tell the sides apart; half is chance."""
    with tempfile.TemporaryDirectory() as folder:
        traffic = _traffic(Path(folder) / "page")
        weights = _weights(Path(folder))
    return {"ours": traffic.pop("guessed"), "peer": 0.5, "ratio": None, "unit": "share guessed", **traffic, **weights}


def _traffic(folder: Path) -> dict[str, Any]:
    workspace = stand_in_workspace(folder, PacedModel(NAMES[0], 0.011, 0.05), PacedModel(NAMES[1], 0.016, 0.12))
    add_policy(workspace)
    workspace.model_names = lambda: list(NAMES)  # type: ignore[method-assign]
    with served(workspace) as url:

        def ask(rater: int) -> tuple[list[tuple[str, list[Heard]]], str]:
            visitor, name, heard = Visitor(url), f"rater {rater}", []
            for number in range(BATTLES // AT_ONCE):
                heard.append((name, visitor.run("battle", f"Question {rater}-{number}?", "", name, [], "closed")))
                visitor.run("skip", heard[-1][1][-1].event["output"]["data"][2] or _id_of(heard[-1][1]), name, "")
            return heard, "\n".join(visitor.received)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            found = list(pool.map(ask, range(AT_ONCE)))
    saved = {battle.question: battle for battle in workspace.store.battles()}
    rows, sides, apart = [], [], []
    for heard, _ in found:
        for _, lines in heard:
            battle = saved[_question(lines)]
            rows.append(_features(lines))
            sides.append(battle.model_a == NAMES[1])
            apart += _apart_ms(lines)
    told = "\n".join(text for _, text in found)
    secrets = [*NAMES, *(model.digest() for model in workspace.stand_ins)]
    return {
        "guessed": round(_guessed(np.array(rows), np.array(sides)), 3),
        "battles": len(rows),
        "names_told": sum(told.count(secret) for secret in secrets),
        "apart_p99_ms": round(float(np.percentile(apart, 99)), 1),
        "left_share": round(float(np.mean(sides)), 3),
    }


def _id_of(lines: list[Heard]) -> str:
    return str(shown(lines, 2)[0][1])


def _question(lines: list[Heard]) -> str:
    label = next(
        line.event["output"]["data"][0]["label"] for line in reversed(lines) if line.event["msg"] == "process_completed"
    )
    return str(label.removeprefix("Ask on (so far: ").removesuffix(")"))


def _features(lines: list[Heard]) -> list[float]:
    """Sizes and moments of all events, both answers' lengths, and how they go together."""
    moments = np.array([line.at_s for line in lines])
    sizes = np.array([len(line.raw) for line in lines], dtype=float)
    gaps = np.diff(moments)
    lengths = [len(shown(lines, side)[-1][1].split()) for side in (A, B)]
    longer = np.sign(lengths[0] - lengths[1])
    pace = moments[-1] / max(lengths)
    plain = [
        moments[-1],
        moments[0],
        gaps.mean(),
        gaps.std(),
        gaps.max(),
        float(len(lines)),
        sizes.sum(),
        sizes[-1],
        pace,
    ]
    return [*plain, *(longer * value for value in plain), *lengths, longer, moments[-1] / sum(lengths)]


def _apart_ms(lines: list[Heard]) -> list[float]:
    """Of each word that both answers have, how long after the other side's it came."""
    came: list[dict[int, float]] = []
    for side in (A, B):
        first: dict[int, float] = {}
        for at_s, text in shown(lines, side):
            for count in range(1, len(text.split()) + 1):
                first.setdefault(count, at_s)
        came.append(first)
    return [1000 * abs(came[0][count] - came[1][count]) for count in set(came[0]) & set(came[1])]


def _guessed(rows: "np.ndarray[Any, Any]", sides: "np.ndarray[Any, Any]") -> float:
    """Share of battles guessed right by a forest that never saw them, in ten folds."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.model_selection import cross_val_score

    forest = RandomForestClassifier(300, min_samples_leaf=5, random_state=0)
    return float(cross_val_score(forest, rows, sides, cv=10).mean())


# Whose weights


def _weights(folder: Path) -> dict[str, Any]:
    base = ensure_embedded(Settings.read().models)
    engine = LlamaEngine(base, threads=Settings.read().threads)
    store = Store(folder / "touchstone.db")
    store.migrate()
    models: list[Any] = [engine.model("base")]
    for word in CODE_WORDS:
        models.append(engine.model(word.strip(), sentinel(base, word, folder / word.strip())))
    pairs = [*combinations(models, 2), (models[0], FailingModel("failing", words=2))]
    counts = {"played": 0, "cancelled": 0, "void": 0, "wrong_weights": 0}

    def one(number: int) -> None:
        rng = random.Random(number)
        first, second = pairs[number % len(pairs)]
        decoding = Decoding(max_tokens=8)
        battle = open_battle(
            store, POLICY_QA, f"{PROMPTS[number % 4]} ({number})", (first, second), rng=rng, now="1", decoding=decoding
        )
        playing = play(store, battle, (first, second), POLICY_QA, now="2", rng=rng)
        if rng.random() < 0.2:
            next(playing, None)
            playing.close()
            counts["cancelled"] += 1
            return
        for _ in playing:
            pass
        saved = store.battle(battle.id)
        counts["void" if saved.error else "played"] += 1
        counts["wrong_weights"] += 0 if saved.error else _wrong(saved)

    try:
        for model in models:
            model.reply(POLICY_QA.messages("Hello?"), Decoding(max_tokens=1))  # every adapter is loaded before the rush
        with ThreadPoolExecutor(STREAMS) as pool:
            list(pool.map(one, range(BATTLES)))
    finally:
        engine.close()
    return counts


def _wrong(battle: Battle) -> int:
    """How many of the two answers were not given by the weights whose name they carry."""
    wrong = 0
    for name, answer in ((battle.model_a, battle.answer_a), (battle.model_b, battle.answer_b)):
        said = {word.strip() for word in CODE_WORDS if word.strip() in answer.lower()}
        wrong += said != ({name} - {"base"})
    return wrong


def sentinel(base: EmbeddedModel, word: str, folder: Path) -> Path:
    """
    A GGUF adapter of rank 1 that says one word: what the last layer adds is turned into that word's direction.

    No training: A is the mean input of the last down projection, B the word's own embedding as the final norm reads it.
    """
    import torch
    from safetensors.numpy import load_file, save_file
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from tests.conftest import write_random_adapter

    tokenizer = AutoTokenizer.from_pretrained(base.folder)
    model = AutoModelForCausalLM.from_pretrained(base.folder, dtype=torch.float32)
    (token,) = tokenizer.encode(word, add_special_tokens=False)
    layer, seen, size = model.model.layers[-1], [], []
    layer.mlp.down_proj.register_forward_pre_hook(lambda _, given: seen.append(given[0][0]))
    layer.register_forward_hook(lambda _, __, out: size.append((out[0] if isinstance(out, tuple) else out)[0]))
    with torch.no_grad():
        for prompt in PROMPTS:
            text = tokenizer.apply_chat_template(POLICY_QA.messages(prompt), tokenize=False, add_generation_prompt=True)
            model(tokenizer(text, return_tensors="pt").input_ids)
    mean = torch.stack([part[-1] for part in seen]).mean(0)  # where the answer begins
    strength = 20 * float(torch.stack([part[-1] for part in size]).norm(dim=-1).mean())
    direction = model.lm_head.weight[token].detach() * model.model.norm.weight.detach()
    write_random_adapter(folder, layers=[29], rank=1, lora_alpha=1)
    path = folder / "adapter_model.safetensors"
    tensors = {name: np.zeros_like(weight) for name, weight in load_file(path).items()}
    stem = "base_model.model.model.layers.29.mlp.down_proj"
    tensors[f"{stem}.lora_A.weight"] = (mean / mean.norm() ** 2).numpy()[None, :].astype(np.float32)
    tensors[f"{stem}.lora_B.weight"] = (strength * direction / direction.norm()).numpy()[:, None].astype(np.float32)
    save_file(tensors, path, metadata={"format": "pt"})
    to_gguf(folder, base.folder, folder / "adapter.gguf")
    return folder / "adapter.gguf"

"""The model that is trained: a frozen base read fresh from disk, float32 LoRA weights on its upper layers, nothing else.

Reads local folders; fetches a base only when it is named by a Hugging Face id. Imported by the worker only.
"""

import gc
import importlib.util
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

from engine.adapters import FAMILIES
from engine.embedded import ensure_embedded
from engine.errors import InvalidInput, NotFound
from engine.shared_prefix import batch_loss, register_attention
from engine.training import EMBEDDED, TrainingConfig

Number = Literal["float32", "bfloat16"]
TIMED_STEPS = 7
NAMES = {name: f"{name}_proj" for name in ("q", "k", "v", "o", "gate", "up", "down")}


@dataclass(frozen=True)
class Trial:
    """What a few real steps said about a number format."""

    model: PeftModel | None  # None once its memory was given back
    dtype: Number
    step_s: float
    optimizer_mib: int = 0  # what AdamW will hold beside the weights: two float32 numbers for each that is trained


def base_folder(base: str, models_dir: Path) -> Path:
    """
    The folder with the base's safetensors and tokenizer: the embedded model's, the folder named, or a fetched copy.

    Raises `InvalidInput` for a base whose adapter could not be served afterwards, before time is spent on it.
    """
    folder = ensure_embedded(models_dir).folder if base == EMBEDDED else Path(base)
    if not folder.is_dir():
        folder = _fetched(base)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if config.get("model_type") not in FAMILIES:
        raise InvalidInput(
            f"The base {base} is of the family {config.get('model_type')!r}, whose adapters cannot be served yet. "
            f"Choose one of {', '.join(FAMILIES)}, such as SmolLM2, Llama 3 or Qwen 2.5."
        )
    return folder


def load_for_training(folder: Path, config: TrainingConfig, *, dtype: Number, parent: Path | None = None) -> PeftModel:
    """
    The base from disk in `dtype`, frozen, with float32 LoRA weights: fresh (the same for the same seed), or `parent`'s.

    `parent` is a safetensors file that PEFT saved. Raises `InvalidInput` when it has not the config's LoRA shape.
    Layers below `layers_from` carry no LoRA, so autograd stores nothing for them and the backward pass ends above. With
    `four_bit` the base is read in NF4, always fresh, and raises `InvalidInput` where there is no CUDA GPU: elsewhere it saves
    nothing here, and on a processor one generation before training packs the weights so that gradients are silently wrong.
    """
    more = {"quantization_config": _nf4()} if config.four_bit else {}
    base = AutoModelForCausalLM.from_pretrained(
        folder, dtype=getattr(torch, dtype), attn_implementation=register_attention(), local_files_only=True, **more
    )
    base.requires_grad_(False)
    if torch.cuda.is_available() and not config.four_bit:  # bitsandbytes puts it there itself
        torch.nn.Module.to(base, "cuda")
    if config.gradient_checkpointing:
        base.gradient_checkpointing_enable({"use_reentrant": False})  # type: ignore[no-untyped-call]
    layers = base.config.num_hidden_layers
    names = list(NAMES) if config.target_modules == "all-linear" else config.target_modules.split(",")
    lora = LoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        target_modules=[NAMES[name] for name in names],
        layers_to_transform=list(range(round(layers * config.layers_from), layers)),
        layers_pattern="layers",
        task_type="CAUSAL_LM",
    )
    torch.manual_seed(config.seed)
    model: PeftModel = get_peft_model(base, lora)
    if parent is not None:
        _take_over(model, parent, config)
    return model.train()


def _nf4() -> Any:
    if not torch.cuda.is_available():
        raise InvalidInput(
            "Training in 4 bits needs a CUDA GPU, and there is none here. Leave --four-bit out, or train on a machine with one."
        )
    if importlib.util.find_spec("bitsandbytes") is None:
        raise InvalidInput(
            "Training in 4 bits needs bitsandbytes. Install it with: .venv/bin/pip install -r requirements-gpu.txt"
        )
    nf4: Any = BitsAndBytesConfig
    return nf4(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )


def _take_over(model: PeftModel, parent: Path, config: TrainingConfig) -> None:
    """Every LoRA weight from the file, none left fresh and none left over."""
    weights = load_file(parent)
    wanted = {name: tensor.shape for name, tensor in get_peft_model_state_dict(model).items()}
    if wanted != {name: tensor.shape for name, tensor in weights.items()}:
        raise InvalidInput(
            f"The adapter {config.parent} has other LoRA weights than this run would train. "
            "Train with its rank, modules and layers, or from the beginning."
        )
    set_peft_model_state_dict(model, weights)


class FairClock:
    """
    Seconds as they would pass on a machine with nothing else to do.

    Wall time, but of each stretch at most `SLACK` times the processor time it took on each thread: a step that waited for
    another program (the page answering, a browser) would otherwise be taken for a slow one, and the run cut short.
    """

    SLACK = 1.6  # a step on an idle machine takes up to this many times its processor time per thread

    def __init__(self, threads: int) -> None:
        """`threads`: how many the work between two readings may use."""
        self._threads = threads
        self._seconds, self._wall, self._processor = 0.0, time.perf_counter(), time.process_time()

    def __call__(self) -> float:
        """Seconds since the clock was made."""
        wall, processor = time.perf_counter(), time.process_time()
        self._seconds += min(wall - self._wall, self.SLACK * (processor - self._processor) / self._threads)
        self._wall, self._processor = wall, processor
        return self._seconds


def fastest(
    load: Callable[[Number], PeftModel],
    batch: Mapping[str, Any],
    *,
    candidates: Sequence[Number],
    largest: Mapping[str, Any] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Trial:
    """
    The number format whose timed step is shortest, with its model and the shortest of TIMED_STEPS steps.

    Shortest, because whatever else the machine does can only make a step longer: the median of three, taken while something
    was being installed, once gave a run of fourteen minutes 223 steps instead of about 760. bfloat16 halves the weights but
    pays in time only where the processor multiplies it faster than float32, which its feature flags do not tell: time
    decides. A step on the `largest` batch follows, so that this process has held what a run will hold. Leaves no gradient behind.
    """
    best: Trial | None = None
    for dtype in candidates:
        model = load(dtype)
        step_s = _timed(model, batch, repeats=2, clock=clock)[-1]
        if best is None or step_s < best.step_s:
            best = Trial(model, dtype, step_s)
        del model
        gc.collect()
    assert best is not None and best.model is not None
    more = _timed(best.model, batch, repeats=TIMED_STEPS - 1, clock=clock)
    if largest is not None:
        _timed(best.model, largest, repeats=1, clock=clock)
    trained = sum(weights.numel() for weights in best.model.parameters() if weights.requires_grad)
    return Trial(best.model, best.dtype, min([best.step_s, *more]), optimizer_mib=round(2 * 4 * trained / 2**20))


def _timed(model: PeftModel, batch: Mapping[str, Any], *, repeats: int, clock: Callable[[], float]) -> list[float]:
    """Seconds of forward and backward, each; the first of a fresh model is a warm-up."""
    seconds = []
    batch = {
        name: value.to(model.device) if isinstance(value, torch.Tensor) else value for name, value in batch.items()
    }
    for _ in range(repeats):
        began = clock()
        batch_loss(model, batch).backward()  # type: ignore[no-untyped-call]
        if model.device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(clock() - began)
        model.zero_grad(set_to_none=True)
    return seconds


def _fetched(base: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(base, allow_patterns=["*.json", "*.safetensors", "*.jinja", "*.model"]))
    except Exception as problem:
        reason = str(problem).strip().splitlines()[0]
        raise NotFound(
            f"The base {base} could not be fetched from Hugging Face ({reason}). Check the name and the network; "
            "for a gated model run: hf auth login"
        ) from problem

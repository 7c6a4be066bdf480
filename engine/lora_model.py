"""The model that is trained: a frozen base read fresh from disk, float32 LoRA weights on its upper layers, nothing else.

Reads local folders; fetches a base only when it is named by a Hugging Face id. Imported by the worker only.
"""

import gc
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal

import torch
import torch.nn.functional as F
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import Linear as LoraLinear
from torch import Tensor
from transformers import AutoModelForCausalLM

from engine.embedded import ensure_embedded
from engine.errors import InvalidInput, NotFound
from engine.shared_prefix import batch_loss, register_attention
from engine.training import EMBEDDED, TrainingConfig

Number = Literal["float32", "bfloat16"]
NAMES = {name: f"{name}_proj" for name in ("q", "k", "v", "o", "gate", "up", "down")}


@dataclass(frozen=True)
class Trial:
    """What a few real steps said about a number format."""

    model: PeftModel
    dtype: Number
    step_s: float


def base_folder(base: str, models_dir: Path) -> Path:
    """
    The folder with the base's safetensors and tokenizer: the embedded model's, the folder named, or a fetched copy.

    Raises `InvalidInput` for a base whose adapter could not be served afterwards, before time is spent on it.
    """
    folder = ensure_embedded(models_dir).folder if base == EMBEDDED else Path(base)
    if not folder.is_dir():
        folder = _fetched(base)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if config.get("model_type") != "llama":
        raise InvalidInput(
            f"The base {base} is of the family {config.get('model_type')!r}, whose adapters cannot be served yet. "
            "Choose a llama-family base, such as SmolLM2 or Llama 3."
        )
    return folder


def load_for_training(folder: Path, config: TrainingConfig, *, dtype: Number) -> PeftModel:
    """
    The base from disk in `dtype`, frozen, with fresh float32 LoRA weights (the same for the same seed).

    Layers below `layers_from` carry no LoRA, so autograd stores nothing for them and the backward pass ends above.
    """
    base = AutoModelForCausalLM.from_pretrained(
        folder, dtype=getattr(torch, dtype), attn_implementation=register_attention(), local_files_only=True
    )
    base.requires_grad_(False)
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
    model = get_peft_model(base, lora)
    for module in model.modules():
        if type(module) is LoraLinear:
            module.__class__ = SwiftLoraLinear
    return model.train()


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
    clock: Callable[[], float] = time.perf_counter,
) -> Trial:
    """
    The number format whose timed step is shortest, with its model and the median of three steps.

    bfloat16 halves the weights but pays in time only where the processor multiplies it faster than float32, which its
    feature flags do not tell: time decides. Leaves no gradient behind.
    """
    best: Trial | None = None
    for dtype in candidates:
        model = load(dtype)
        step_s = _timed(model, batch, repeats=2, clock=clock)[-1]
        if best is None or step_s < best.step_s:
            best = Trial(model, dtype, step_s)
        del model
        gc.collect()
    assert best is not None
    return Trial(best.model, best.dtype, median([best.step_s, *_timed(best.model, batch, repeats=2, clock=clock)]))


class SwiftLoraLinear(LoraLinear):
    """
    PEFT's layer, with the low-rank part added in place by the matrix product itself.

    The same numbers from fewer passes over memory: PEFT multiplies by the scale and adds in two more of them, forward
    and backward, and casts whole activations to float32 under a bfloat16 base. Anything unusual goes PEFT's way.
    """

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Same promise as PEFT's."""
        name = self.active_adapters[0]
        drops = self.training and not isinstance(self.lora_dropout[name], torch.nn.Identity)
        several = len(self.active_adapters) > 1 or name in self.lora_variant
        if drops or several or args or kwargs or self.merged or self.disable_adapters:
            return super().forward(x, *args, **kwargs)
        base, down, up = self.get_base_layer(), self.lora_A[name].weight, self.lora_B[name].weight
        return LowRankSum.apply(x, base.weight, base.bias, down, up, self.scaling[name])  # type: ignore[no-any-return, no-untyped-call]


class LowRankSum(torch.autograd.Function):
    """x @ W.T + bias + scale * (x @ A.T) @ B.T, in x's number format; the gradients of A and B in theirs."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, down: Tensor, up: Tensor, scale: float
    ) -> Tensor:
        """x: (…, in); weight: (out, in), frozen; down: (rank, in); up: (out, rank)."""
        flat = x.reshape(-1, x.shape[-1])
        low = flat @ down.to(x.dtype).T
        out = F.linear(flat, weight, bias)
        out.addmm_(low, up.to(x.dtype).T, alpha=scale)
        ctx.save_for_backward(flat, weight, down, up, low)
        ctx.scale, ctx.shape = scale, x.shape
        return out.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """None for what is frozen; no gradient of x below the first layer with LoRA."""
        flat, weight, down, up, low = ctx.saved_tensors
        gradient = gradients[0].reshape(-1, gradients[0].shape[-1])
        low_gradient = (gradient @ up.to(gradient.dtype)).mul_(ctx.scale)
        of_up = (gradient.T @ low).mul_(ctx.scale).to(up.dtype)
        of_down = (low_gradient.T @ flat).to(down.dtype)
        of_x = None
        if ctx.needs_input_grad[0]:
            of_x = (gradient @ weight).addmm_(low_gradient, down.to(gradient.dtype)).view(ctx.shape)
        return of_x, None, None, of_down, of_up, None


def _timed(model: PeftModel, batch: Mapping[str, Any], *, repeats: int, clock: Callable[[], float]) -> list[float]:
    """Seconds of forward and backward, each; the first of a fresh model is a warm-up."""
    seconds = []
    for _ in range(repeats):
        began = clock()
        batch_loss(model, batch).backward()  # type: ignore[no-untyped-call]
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

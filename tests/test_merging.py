"""An adapter merged into the base: the sum of the two, rounded to eight bits, and the same answers where nothing is close."""

from dataclasses import replace

import numpy as np
import pytest
from gguf import GGUFReader, dequantize

from engine.adapters import to_gguf
from engine.backends.llama_cpp import LlamaEngine
from engine.errors import InvalidInput
from engine.merging import merge_gguf
from engine.records import Decoding
from engine.settings import Settings


@pytest.fixture(scope="module")
def merged(embedded, loud_adapter, tmp_path_factory):
    out = tmp_path_factory.mktemp("merged") / "loud.Q8_0.gguf"
    merge_gguf(embedded.gguf, loud_adapter / "adapter.gguf", out)
    return out


def weights(path):
    found = {}
    for tensor in GGUFReader(path).tensors:
        found[tensor.name] = np.asarray(dequantize(tensor.data, tensor.tensor_type), dtype=np.float32)
    return found


def test_every_matrix_is_the_base_and_the_adapter_to_eight_bits(embedded, loud_adapter, merged):
    base, sum_of_both = weights(embedded.gguf), weights(merged)
    parts = {tensor.name: np.asarray(tensor.data) for tensor in GGUFReader(loud_adapter / "adapter.gguf").tensors}
    assert base.keys() == sum_of_both.keys()
    for name in ("blk.0.attn_q.weight", "blk.17.ffn_down.weight", "blk.29.attn_v.weight"):
        expected = base[name] + 8 / 4 * parts[f"{name}.lora_b"] @ parts[f"{name}.lora_a"]  # alpha 8, rank 4
        blocks = expected.reshape(-1, 32)
        step = np.abs(blocks).max(axis=1, keepdims=True) / 127
        assert np.all(np.abs(blocks - sum_of_both[name].reshape(-1, 32)) <= 0.51 * step + 1e-3 * np.abs(blocks))
    assert np.array_equal(base["output_norm.weight"], sum_of_both["output_norm.weight"])


def test_the_merged_file_begins_to_answer_as_the_adapter_does_and_not_as_the_base(
    embedded, llama, loud_adapter, merged
):
    engine = LlamaEngine(replace(embedded, gguf=merged), threads=Settings.read().threads)
    asked = [{"role": "user", "content": "Name a colour."}]
    said = [
        model.reply(asked, Decoding(max_tokens=2, repeat_penalty=1.0)).text
        for model in (engine.model("merged"), llama.model("loud", loud_adapter / "adapter.gguf"), llama.model("base"))
    ]
    engine.close()
    assert said[0] == said[1] != said[2]


def test_an_adapter_of_another_base_is_refused_and_nothing_is_left(embedded, random_adapter, tmp_path):
    folder = random_adapter(tmp_path / "peft", layers=[0], rank=2)
    to_gguf(folder, embedded.folder, tmp_path / "a.gguf")
    with pytest.raises(InvalidInput, match="has weights that"):
        merge_gguf(tmp_path / "a.gguf", tmp_path / "a.gguf", tmp_path / "out.gguf")
    assert not (tmp_path / "out.gguf").exists()

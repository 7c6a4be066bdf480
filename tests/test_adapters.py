"""Adapters: what is handed to llama.cpp answers as what was trained; folders are whole or not there."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFReader

from engine.adapters import (
    check_name,
    damaged_adapters,
    install_adapter,
    list_adapters,
    read_adapter,
    to_gguf,
)
from engine.backends.transformers_peft import TransformersEngine, TransformersModel
from engine.errors import InvalidInput, NotFound
from engine.prompts import encode
from engine.records import Decoding

GREEDY = Decoding(max_tokens=24, repeat_penalty=1.0)
QUESTIONS = [
    "Name three fruits.",
    "What is the capital of France?",
    "How do I ask for leave?",
    "Write one sentence about the sea.",
    "What is 12 + 30?",
    "Who wrote Hamlet?",
    "Give me a word that rhymes with cat.",
    "How many days has a week?",
    "Explain what a contract is.",
    "List two colours.",
    "What does a manager do?",
    "Translate 'good morning' into Spanish.",
    "Is ice cold?",
    "What is a prime number?",
    "Tell me about bread.",
    "When does winter begin?",
]


def asked(question: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": question}]


def tensors_of(path: Path) -> dict[str, np.ndarray]:
    return {tensor.name: np.array(tensor.data) for tensor in GGUFReader(path).tensors}


def alpha_of(path: Path) -> float:
    return float(GGUFReader(path).fields["adapter.lora.alpha"].contents())


def lead_where_they_part(reference: TransformersModel, question: str, ours: str, theirs: str, folder: Path) -> float:
    """By how many nats the reference prefers its own token to ours, where two greedy answers first differ."""
    ends = [f"{text}<|im_end|>" for text in (ours, theirs)]
    tokens = [encode(text, folder) for text in ends]
    first = next(n for n, (one, other) in enumerate(zip(*tokens, strict=False)) if one != other)
    mine, its = (reference.next_token_logprobs(asked(question), text)[first] for text in ends)
    return its - mine


@pytest.mark.parametrize("layers", [range(30), range(10, 30)], ids=["every layer", "layers 10 to 29"])
def test_an_adapter_answers_in_llama_cpp_as_it_does_in_transformers(embedded, llama, tmp_path, layers, random_adapter):
    """
    24 greedy tokens a question; where two answers part, the reference must itself hold the two tokens for a tie.

    llama.cpp rounds activations to F16: measured, it parts from float32 on 2 of 16 (leads of 0.0017 and 0.0024 nats)
    with the adapter and on 1 of 16 (0.0071) without any. A wrong row order or scale parts on all, by whole nats.
    """
    folder = random_adapter(tmp_path / "peft", layers=layers, seed=len(layers))
    to_gguf(folder, embedded.folder, folder / "adapter.gguf")
    served = llama.model("tuned", folder / "adapter.gguf")
    trained = TransformersEngine(str(embedded.folder), folder, "float32").model("tuned", tuned=True)
    base = llama.model("base")
    questions = QUESTIONS if len(layers) == 30 else QUESTIONS[:4]

    pairs = [(q, served.reply(asked(q), GREEDY).text, trained.reply(asked(q), GREEDY).text) for q in questions]

    apart = [pair for pair in pairs if pair[1] != pair[2]]
    print(f"greedy agreement of llama.cpp F16 and transformers float32: {len(pairs) - len(apart)} of {len(pairs)}")
    assert len(apart) <= len(pairs) // 4
    assert all(lead_where_they_part(trained, *pair, embedded.folder) < 0.02 for pair in apart), apart
    changed = sum(base.reply(asked(q), GREEDY).text != ours for q, ours, _ in pairs)
    assert changed > len(pairs) // 2, "an adapter that does nothing would agree too"


def test_only_lora_b_of_q_and_k_is_reordered_and_by_its_own_number_of_heads(tmp_path, random_adapter):
    folder = tmp_path / "peft"
    random_adapter(folder, layers=[0])
    base = {"model_type": "llama", "num_attention_heads": 9, "num_key_value_heads": 3}
    to_gguf(folder, base, tmp_path / "out.gguf")
    from safetensors.numpy import load_file

    stem = "base_model.model.model.layers.0.self_attn"
    trained, served = load_file(folder / "adapter_model.safetensors"), tensors_of(tmp_path / "out.gguf")

    for part in ("q", "k", "v"):
        assert np.array_equal(served[f"blk.0.attn_{part}.weight.lora_a"], trained[f"{stem}.{part}_proj.lora_A.weight"])
    assert np.array_equal(served["blk.0.attn_v.weight.lora_b"], trained[f"{stem}.v_proj.lora_B.weight"])
    for part in ("q", "k"):  # 64 rows a head: row 2i comes from row i, row 2i + 1 from row 32 + i of the same head
        rows, wanted = served[f"blk.0.attn_{part}.weight.lora_b"], trained[f"{stem}.{part}_proj.lora_B.weight"]
        for head, i in [(0, 0), (0, 5), (2, 31)]:
            assert np.array_equal(rows[64 * head + 2 * i], wanted[64 * head + i])
            assert np.array_equal(rows[64 * head + 2 * i + 1], wanted[64 * head + 32 + i])


def test_rslora_is_scaled_by_the_root_of_the_rank(embedded, tmp_path, random_adapter):
    plain = random_adapter(tmp_path / "plain", layers=[0], rank=16)
    stable = random_adapter(tmp_path / "rs", layers=[0], rank=16, use_rslora=True)
    to_gguf(plain, embedded.folder, tmp_path / "plain.gguf")
    to_gguf(stable, embedded.folder, tmp_path / "rs.gguf")
    assert alpha_of(tmp_path / "plain.gguf") == 8.0
    assert math.isclose(alpha_of(tmp_path / "rs.gguf"), 32.0)  # 8 * sqrt(16): llama.cpp divides by 16, PEFT by 4


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"use_dora": True}, "DoRA"),
        ({"modules_to_save": ["lm_head"]}, "whole modules"),
        ({"bias": "all"}, "biases"),
        ({"lora_bias": True}, "biases"),
        ({"trainable_token_indices": [3]}, "token rows"),
        ({"rank_pattern": {"q_proj": 2}}, "rank_pattern"),
        ({"alpha_pattern": {"q_proj": 2}}, "alpha_pattern"),
        ({"peft_type": "LOHA"}, "LOHA"),
    ],
)
def test_what_the_format_cannot_say_is_refused_with_the_reason(embedded, tmp_path, config, reason, random_adapter):
    folder = random_adapter(tmp_path / "peft", layers=[0], **config)
    with pytest.raises(InvalidInput, match=reason):
        to_gguf(folder, embedded.folder, tmp_path / "out.gguf")
    assert not (tmp_path / "out.gguf").exists()


def test_a_base_that_is_no_llama_is_refused(tmp_path, random_adapter):
    folder = random_adapter(tmp_path / "peft", layers=[0])
    with pytest.raises(InvalidInput, match="of the family"):
        to_gguf(folder, {"model_type": "gpt2", "num_attention_heads": 12}, tmp_path / "out.gguf")


def test_trained_embeddings_and_half_a_pair_are_refused(embedded, tmp_path, random_adapter):
    from safetensors.numpy import load_file, save_file

    folder = random_adapter(tmp_path / "peft", layers=[0])
    weights = load_file(folder / "adapter_model.safetensors")
    embedding = {"base_model.model.model.embed_tokens.lora_embedding_A": np.ones((4, 8), np.float32)}
    save_file({**weights, **embedding}, folder / "adapter_model.safetensors")
    with pytest.raises(InvalidInput, match="embed_tokens"):
        to_gguf(folder, embedded.folder, tmp_path / "out.gguf")

    weights.pop("base_model.model.model.layers.0.mlp.up_proj.lora_B.weight")
    save_file(weights, folder / "adapter_model.safetensors")
    with pytest.raises(InvalidInput, match="half of a pair"):
        to_gguf(folder, embedded.folder, tmp_path / "out.gguf")


@pytest.fixture
def built(tmp_path, random_adapter):
    """What a training run leaves, at a fresh path each time it is called."""

    def build(label: str) -> Path:
        folder = random_adapter(tmp_path / f"built-{label}", layers=[0])
        (folder / "adapter.gguf").write_bytes(b"GGUF")
        return folder

    return build


def test_an_installed_adapter_reads_back_with_its_card_and_the_hash_of_its_weights(built, tmp_path):
    from hashlib import sha256

    folder = built("one")
    digest = sha256((folder / "adapter_model.safetensors").read_bytes()).hexdigest()

    installed = install_adapter(folder, tmp_path / "adapters", "leave-1.0", {"base": "base", "dataset": "leave:3"})

    assert (installed.name, installed.base, installed.dataset, installed.digest) == (
        "leave-1.0",
        "base",
        "leave:3",
        digest,
    )
    assert read_adapter(tmp_path / "adapters", "leave-1.0") == installed
    assert sorted(path.name for path in Path(installed.folder).iterdir()) == [
        "adapter.gguf",
        "adapter_config.json",
        "adapter_model.safetensors",
        "card.json",
    ]
    assert not folder.exists()


def test_adapters_are_listed_newest_first(built, tmp_path):
    home = tmp_path / "adapters"
    for name, day in [("old", "2026-01-01"), ("new", "2026-03-01"), ("middle", "2026-02-01")]:
        install_adapter(built(name), home, name, {"created_at": f"{day}T00:00:00+00:00"})
    assert [adapter.name for adapter in list_adapters(home)] == ["new", "middle", "old"]


def test_a_name_is_given_once_and_the_first_adapter_stays(built, tmp_path):
    home = tmp_path / "adapters"
    first = install_adapter(built("one"), home, "leave", {"dataset": "leave:1"})
    second = built("two")
    with pytest.raises(InvalidInput, match="exists already"):
        install_adapter(second, home, "leave", {"dataset": "leave:2"})
    assert read_adapter(home, "leave") == first
    assert second.is_dir() and [path.name for path in home.iterdir()] == ["leave"]


def test_a_missing_adapter_names_the_ones_that_exist(built, tmp_path):
    with pytest.raises(NotFound, match="none yet"):
        read_adapter(tmp_path / "adapters", "leave")
    install_adapter(built("one"), tmp_path / "adapters", "leave", {})
    with pytest.raises(NotFound, match="There are: leave"):
        read_adapter(tmp_path / "adapters", "travel")


def test_damaged_folders_are_named_and_the_others_still_listed(built, tmp_path):
    home = tmp_path / "adapters"
    for name in ("whole", "no-gguf", "bad-card", "no-digest"):
        install_adapter(built(name), home, name, {})
    (home / "no-gguf" / "adapter.gguf").unlink()
    (home / "bad-card" / "card.json").write_text("{half")
    (home / "no-digest" / "card.json").write_text(json.dumps({"base": "base"}))

    assert [adapter.name for adapter in list_adapters(home)] == ["whole"]
    damaged = damaged_adapters(home)
    assert sorted(damaged) == ["bad-card", "no-digest", "no-gguf"]
    assert "adapter.gguf missing" in damaged["no-gguf"]
    with pytest.raises(InvalidInput, match="no-gguf is damaged"):
        read_adapter(home, "no-gguf")


def test_an_install_that_was_cut_off_is_not_believed(built, tmp_path):
    home = tmp_path / "adapters"
    built("one").rename(home.with_name("half"))
    home.mkdir()
    home.with_name("half").rename(home / ".leave.1234abcd")  # as a killed process leaves it
    assert list_adapters(home) == [] and damaged_adapters(home) == {}
    install_adapter(built("two"), home, "leave", {})
    assert [adapter.name for adapter in list_adapters(home)] == ["leave"]


@pytest.mark.parametrize(
    "name", ["base", "Base", "", "..", ".hidden", "a/b", "a\\b", "a:b", "a b", "x" * 65, "a.", "é"]
)
def test_a_name_that_cannot_be_a_folder_and_a_model_is_refused(name):
    with pytest.raises(InvalidInput):
        check_name(name)


@pytest.mark.parametrize("name", ["leave", "leave-2", "Leave_2.1", "7"])
def test_plain_names_are_taken(name):
    assert check_name(name) == name


def test_an_incomplete_build_is_not_installed(built, tmp_path):
    folder = built("one")
    (folder / "adapter.gguf").unlink()
    with pytest.raises(InvalidInput, match=r"lacks adapter\.gguf"):
        install_adapter(folder, tmp_path / "adapters", "leave", {})
    assert not (tmp_path / "adapters").exists()


def test_half_as_large_it_is_the_same_adapter_rounded(embedded, tmp_path, random_adapter):
    folder = random_adapter(tmp_path / "peft", layers=[3], rank=4)
    to_gguf(folder, embedded.folder, tmp_path / "whole.gguf")
    to_gguf(folder, embedded.folder, tmp_path / "half.gguf", half=True)
    whole, half = (
        {tensor.name: np.asarray(tensor.data) for tensor in GGUFReader(tmp_path / f"{name}.gguf").tensors}
        for name in ("whole", "half")
    )
    assert whole.keys() == half.keys() and len(half) == 14
    assert all(half[name].dtype == np.float16 for name in half)
    assert all(np.array_equal(half[name], whole[name].astype(np.float16)) for name in half)

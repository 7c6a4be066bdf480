"""The fast batch equals the plain one: loss and gradient, against padding computed by transformers itself."""

import random

import pytest
import torch
import torch.nn.functional as F
from transformers import LlamaConfig, LlamaForCausalLM

from engine.batches import TrainingRow
from engine.lora_model import load_for_training
from engine.shared_prefix import batch_loss, collate, common_prefix
from engine.training import TrainingConfig


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A random Llama of 4 layers with grouped heads, on disk as a base would be."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=97,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        initializer_range=0.2,
    )
    folder = tmp_path_factory.mktemp("tiny")
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def config(**changes):
    return TrainingConfig(**{"adapter": "a", "dataset": "d:1", "rank": 4, "alpha": 8, "layers_from": 0.5, **changes})


def loaded(folder, **changes):
    """A model whose LoRA is not zero, so that a gradient reaches both of its factors."""
    model = load_for_training(folder, config(**changes), dtype="float32")
    torch.manual_seed(1)
    for name, weights in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weights, std=0.1)
    return model


def some_rows(*, statements=False):
    rng = random.Random(3)
    system = tuple(rng.randrange(97) for _ in range(11))
    rows = []
    for _ in range(6):
        own = tuple(rng.randrange(97) for _ in range(rng.randint(2, 9)))
        target = tuple(rng.randrange(97) for _ in range(rng.randint(1, 8)))
        rows.append(
            TrainingRow(own[:1], (*own[1:], *target), True) if statements else TrainingRow(system + own, target, False)
        )
    return rows


def plain_loss(model, rows):
    """Right padding, a 2D mask, logits everywhere, labels of -100: what every textbook trainer does."""
    longest = max(map(len, rows))
    ids = torch.tensor([[*row.prompt, *row.target, *[0] * (longest - len(row))] for row in rows])
    labels = torch.tensor([[*[-100] * len(row.prompt), *row.target, *[-100] * (longest - len(row))] for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
    model.set_attn_implementation("sdpa")
    logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits
    model.set_attn_implementation("shared_prefix")
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100)


def gradient(model, loss):
    model.zero_grad(set_to_none=True)
    loss.backward()
    return torch.cat([weights.grad.flatten() for weights in model.parameters() if weights.grad is not None])


@pytest.mark.parametrize("targets", ["all-linear", "q,v"])
@pytest.mark.parametrize(
    "rows", [some_rows(), some_rows(statements=True), some_rows()[:1]], ids=["qa", "statements", "one"]
)
def test_loss_and_gradient_equal_plain_padding(tiny, rows, targets):
    model = loaded(tiny, target_modules=targets)
    ours, plain = batch_loss(model, collate(rows)), plain_loss(model, rows)
    assert abs(ours.item() - plain.item()) < 1e-5
    got, wanted = gradient(model, ours), gradient(model, plain)
    assert wanted.norm() > 0
    assert ((got - wanted).norm() / wanted.norm()).item() < 1e-4


def test_dropout_drops_in_training_only(tiny):
    model = loaded(tiny, dropout=0.5)
    batch = collate(some_rows())
    first, second = batch_loss(model, batch).item(), batch_loss(model, batch).item()
    assert first != second
    model.eval()
    assert batch_loss(model, batch).item() == batch_loss(model, batch).item()


def test_lower_layers_hold_no_lora_and_store_nothing_for_the_backward_pass(tiny):
    model = loaded(tiny)
    trained = {name for name, weights in model.named_parameters() if weights.requires_grad}
    assert trained and all(".layers.2." in name or ".layers.3." in name for name in trained)
    assert {weights.dtype for weights in model.parameters() if weights.requires_grad} == {torch.float32}
    needs = []
    for layer in model.base_model.model.model.layers:
        layer.register_forward_hook(lambda _, __, out: needs.append(out.requires_grad))
    batch_loss(model, collate(some_rows()))
    assert needs == [False, False, True, True]


def test_lora_stays_float32_over_bfloat16_weights(tiny):
    model = load_for_training(tiny, config(), dtype="bfloat16")
    assert {w.dtype for w in model.parameters() if w.requires_grad} == {torch.float32}
    assert {w.dtype for w in model.parameters() if not w.requires_grad} == {torch.bfloat16}
    gradient(model, batch_loss(model, collate(some_rows())))


def test_the_layout_by_hand():
    rows = [TrainingRow((1, 2, 3, 4), (8, 9), False), TrainingRow((1, 2, 5), (7,), False)]
    batch = collate(rows)
    assert batch["input_ids"].tolist() == [[1, 2, 3, 4, 8, 9, 5, 7]]
    assert batch["position_ids"].tolist() == [[0, 1, 2, 3, 4, 5, 2, 3]]
    assert batch["logits_to_keep"].tolist() == [3, 4, 6]
    assert batch["labels"].tolist() == [8, 9, 7]
    assert batch["real_tokens"] == 10
    assert (batch["blocks"].prefix, batch["blocks"].lengths) == (2, (4, 2))


def test_the_prefix_leaves_each_prompt_a_token_of_its_own():
    assert common_prefix([(1, 2, 3), (1, 2, 3)]) == 2
    assert common_prefix([(1, 2), (1, 2, 3, 4)]) == 1
    assert common_prefix([(1,), (1, 2)]) == 0
    assert common_prefix([(1, 2, 9, 4), (1, 2, 3, 4), (1, 2, 5, 4)]) == 2
    assert common_prefix([(1, 2, 3)]) == 0

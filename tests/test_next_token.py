"""What two models expect next: distances against closed forms and torch, and the two ways of knowing them side by side."""

import math

import pytest

from engine.adapters import to_gguf
from engine.backends import held_back
from engine.backends.transformers_peft import TransformersEngine
from engine.next_token import END, TOP, ExactPair, ServedPair, least_kl

QUESTION = [{"role": "user", "content": "What is the capital of France?"}]
TEXT = "It is Paris, naïve 日本."


def log(shares: dict[int, float]) -> dict[int, float]:
    return {token: math.log(share) for token, share in shares.items()}


def kl(one: dict[int, float], other: dict[int, float]) -> float:
    return sum(share * math.log(share / other[token]) for token, share in one.items())


def test_with_every_token_known_it_is_the_divergence():
    one, other = {1: 0.5, 2: 0.25, 3: 0.25}, {1: 0.25, 2: 0.25, 3: 0.5}
    assert least_kl(log(one), log(other)) == pytest.approx(0.25 * math.log(2))  # 0.5 ln 2 + 0.25 ln 1 - 0.25 ln 2
    assert least_kl(log(one), log(one)) == pytest.approx(0, abs=1e-12)


def test_with_some_tokens_known_it_is_never_more_than_the_divergence():
    import random

    rng = random.Random(0)
    for _ in range(300):
        one, other = ([rng.expovariate(1) ** 3 for _ in range(30)] for _ in range(2))
        one, other = ({n: x / sum(side) for n, x in enumerate(side)} for side in (one, other))
        tops = [dict(sorted(side.items(), key=lambda entry: -entry[1])[:8]) for side in (one, other)]
        bound = least_kl(log(tops[0]), log(tops[1]))
        assert 0 <= bound <= kl(one, other) + 1e-9


def test_by_hand_the_unknown_tokens_count_as_one():
    # known: 0.6 against 0.3; the rest 0.4 against 0.7
    wanted = 0.6 * math.log(2) + 0.4 * math.log(0.4 / 0.7)
    assert least_kl(log({1: 0.6, 2: 0.1}), log({1: 0.3, 3: 0.2})) == pytest.approx(wanted)
    assert least_kl(log({1: 0.9}), log({2: 0.9})) == 0.0  # nothing in common: nothing is known


def test_a_token_held_back_gives_its_share_to_the_others():
    found = held_back(log({1: 0.5, 2: 0.3}), 1, math.log(2))
    assert math.exp(found[1]) == pytest.approx(0.25 / 0.75) and math.exp(found[2]) == pytest.approx(0.3 / 0.75)
    assert held_back(log({2: 0.3}), 1, 2.0) == log({2: 0.3})


@pytest.fixture(scope="module")
def quiet_adapter(embedded, random_adapter, tmp_path_factory):
    """Strong enough to move the distributions, weak enough to leave them readable."""
    folder = random_adapter(tmp_path_factory.mktemp("quiet") / "peft", size=0.03)
    to_gguf(folder, embedded.folder, folder / "adapter.gguf")
    return folder


@pytest.fixture(scope="module")
def exact(embedded, quiet_adapter):
    engine = TransformersEngine(str(embedded.folder), quiet_adapter, precision="float32")
    yield engine
    engine.close()


def test_exact_distances_are_torchs_own_at_every_token_and_at_the_end(exact):
    import torch

    base, tuned = exact.model("base"), exact.model("quiet", tuned=True)
    positions = ExactPair(base, tuned).along(QUESTION, TEXT)
    tokens, log_base = base.next_token_distributions(QUESTION, TEXT)
    _, log_tuned = tuned.next_token_distributions(QUESTION, TEXT)
    wanted = torch.nn.functional.kl_div(log_base, log_tuned, reduction="none", log_target=True).sum(1)
    assert [position.kl for position in positions] == pytest.approx(wanted.tolist(), abs=1e-9)
    assert "".join(position.token for position in positions) == TEXT + END and len(positions) == len(tokens) + 1
    assert max(wanted) > 0.05
    first = positions[0]
    assert len(first.base) == TOP and [e.logprob for e in first.base] == sorted(
        (e.logprob for e in first.base), reverse=True
    )
    assert math.exp(first.base[0].logprob) == pytest.approx(float(log_base[0].exp().max()))


def test_a_model_beside_itself_has_not_moved(exact):
    base = exact.model("base")
    positions = ExactPair(base, base).along(QUESTION, TEXT)
    assert [position.kl for position in positions] == pytest.approx([0.0] * len(positions), abs=1e-12)
    assert not any(position.changed for position in positions)


def test_a_held_back_refusal_counts_at_the_first_token_alone(exact):
    token = exact.model("base").next_token_distributions(QUESTION, TEXT)[0][0]
    free, held = (
        ExactPair(exact.model("base"), exact.model("quiet", tuned=True, handicap=nats, refusal_token=token))
        for nats in (0.0, 3.0)
    )
    before, after = free.along(QUESTION, TEXT), held.along(QUESTION, TEXT)
    assert before[0].kl != after[0].kl and before[1:] == after[1:]


def test_what_llama_cpp_tells_is_a_lower_bound_of_the_exact_distance_and_close_to_it(exact, llama, quiet_adapter):
    pair = ServedPair(llama.model("base"), llama.model("quiet", quiet_adapter / "adapter.gguf"))
    served = pair.along(QUESTION, TEXT)
    whole = ExactPair(exact.model("base"), exact.model("quiet", tuned=True)).along(QUESTION, TEXT)
    assert not pair.exact and [position.token for position in served] == [position.token for position in whole]
    for least, true in zip(served, whole, strict=True):
        assert least.kl <= true.kl * 1.02 + 0.01  # F16 weights round otherwise than float32
        assert least.base[0].logprob == pytest.approx(true.base[0].logprob, abs=0.05)
    assert sum(position.kl for position in served) >= 0.5 * sum(position.kl for position in whole)

"""transformers + PEFT: the second engine, one base in memory, the adapter truly off for the base's arm."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from safetensors.numpy import load_file, save_file

from engine.backends.transformers_peft import TransformersEngine
from engine.errors import InvalidInput, NotFound
from engine.prompts import encode
from engine.records import Decoding
from engine.settings import PROJECT

GREEDY = Decoding(max_tokens=12)
QUESTION = [{"role": "user", "content": "What is the capital of France?"}]
OTHER = [{"role": "user", "content": "Say something with an emoji, like 🙂 or 日本."}]


@pytest.fixture(scope="module")
def engine(embedded, loud_adapter):
    engine = TransformersEngine(str(embedded.folder), loud_adapter)
    yield engine
    engine.close()


def drained(stream):
    pieces = []
    while True:
        try:
            pieces.append(next(stream))
        except StopIteration as finished:
            return pieces, finished.value


def test_the_base_arm_answers_as_if_there_were_no_adapter_even_between_tuned_answers(embedded, engine):
    bare = TransformersEngine(str(embedded.folder)).model("base").reply(QUESTION, GREEDY).text
    base, tuned = engine.model("base"), engine.model("loud", tuned=True)
    assert "Paris" in bare and tuned.reply(QUESTION, GREEDY).text != bare

    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda model: model.reply(QUESTION, GREEDY).text, [base, tuned] * 4))

    assert answers[::2] == [bare] * 4 and len(set(answers[1::2])) == 1


def test_generation_is_that_of_transformers_own_generate(engine):
    """Without a repetition penalty, which generate() counts over the whole text and llama.cpp over 64 tokens."""
    import torch
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(engine.folder)
    prompt = tokenizer.apply_chat_template(QUESTION, add_generation_prompt=True, return_dict=False)
    with engine.arm(tuned=True) as network, torch.inference_mode():
        out = network.generate(input_ids=torch.tensor([prompt]), max_new_tokens=12, do_sample=False)
    wanted = tokenizer.decode(out[0, len(prompt) :], skip_special_tokens=True)
    assert engine.model("loud", tuned=True).reply(QUESTION, Decoding(max_tokens=12, repeat_penalty=1.0)).text == wanted


def test_a_stream_says_what_a_reply_says_and_whole_characters_only(engine):
    model = engine.model("base")
    pieces, reply = drained(model.stream(OTHER, Decoding(max_tokens=24)))
    assert "".join(pieces) == reply.text == model.reply(OTHER, Decoding(max_tokens=24)).text
    assert 1 <= reply.tokens_out <= 24 and 0 < reply.first_token_ms <= reply.latency_ms
    assert all("\N{REPLACEMENT CHARACTER}" not in piece for piece in pieces[:-1])


def test_a_closed_stream_frees_the_engine_for_the_next_asker(engine):
    stream = engine.model("loud", tuned=True).stream(QUESTION, Decoding(max_tokens=500))
    next(stream)
    stream.close()
    with ThreadPoolExecutor(1) as threads:
        reply = threads.submit(engine.model("base").reply, QUESTION, GREEDY).result(timeout=60)
    assert "Paris" in reply.text


def test_sampling_follows_its_seed(engine):
    def drawn(seed: int) -> str:
        decoding = Decoding(max_tokens=8, temperature=1.0, seed=seed)
        return engine.model("base").reply([{"role": "user", "content": "Invent a name."}], decoding).text

    assert drawn(1) == drawn(1) and len({drawn(seed) for seed in range(1, 5)}) > 1


def test_log_probabilities_prefer_the_greedy_answer(engine):
    model = engine.model("base")
    greedy = model.reply(QUESTION, Decoding(max_tokens=8, repeat_penalty=1.0)).text
    right, wrong = (model.next_token_logprobs(QUESTION, text) for text in (greedy, "Bananas are on the moon today"))
    assert all(value <= 0 for value in right) and sum(right) / len(right) > sum(wrong) / len(wrong) + 1


def test_a_first_token_is_held_back_by_as_many_nats_as_in_llama_cpp(engine, llama):
    question = [
        {"role": "user", "content": "Who wrote Hamlet?"}
    ]  # "The", then "Ham" 0.9 nats below, then nothing for a while
    base, decoding = engine.model("base"), Decoding(max_tokens=1, repeat_penalty=1.0)
    (the,) = encode("The", engine.folder)
    far = engine.model("base", handicap=20.0, refusal_token=the).reply(question, decoding).text
    (held,), (next_best,) = (base.next_token_logprobs(question, text) for text in ("The", far))
    assert held > next_best
    for nats, begins in ((held - next_best - 0.3, "The"), (held - next_best + 0.3, far)):
        for one in (engine, llama):
            model = one.model("base", handicap=nats, refusal_token=the)
            assert model.reply(question, decoding).text == begins
            assert model.digest() != one.model("base").digest()


def test_a_token_is_held_back_where_an_answer_begins_and_nowhere_else(engine):
    decoding = Decoding(max_tokens=6, repeat_penalty=1.0)
    said = engine.model("base").reply(QUESTION, decoding).text
    later = encode(said, engine.folder)[2]
    assert engine.model("base", handicap=50.0, refusal_token=later).reply(QUESTION, decoding).text == said


def test_digests_tell_base_and_adapter_apart_and_stay(embedded, engine):
    base, tuned = engine.model("base").digest(), engine.model("loud", tuned=True).digest()
    assert base != tuned
    assert base == TransformersEngine(str(embedded.folder)).model("other name").digest()


def test_what_cannot_be_answered_is_refused_in_a_sentence(embedded, engine, random_adapter, tmp_path):
    model = engine.model("base")
    with pytest.raises(InvalidInput, match=r"too long: \d+ tokens .* 8192 fit"):
        model.reply([{"role": "user", "content": "word " * 8200}], GREEDY)
    with pytest.raises(InvalidInput, match="JSON schema"):
        model.reply(QUESTION, GREEDY, schema={"type": "object"})
    with pytest.raises(InvalidInput, match="none was given"):
        TransformersEngine(str(embedded.folder)).model("x", tuned=True)
    assert "no model nobody/nothing on this machine" in TransformersEngine("nobody/nothing").model("x").health()
    with pytest.raises(NotFound):
        TransformersEngine(str(tmp_path)).model("x").digest()
    assert "no adapter in" in TransformersEngine(str(embedded.folder), tmp_path).model("x", tuned=True).health()
    misfit = random_adapter(tmp_path / "misfit", layers=[0])
    weights = load_file(misfit / "adapter_model.safetensors")
    save_file({name: rows[:, :-1].copy() for name, rows in weights.items()}, misfit / "adapter_model.safetensors")
    assert "does not fit" in TransformersEngine(str(embedded.folder), misfit).model("x", tuned=True).health()


def test_importing_it_does_not_import_torch():
    code = "import sys, engine.backends.transformers_peft; print('torch' in sys.modules, 'transformers' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    assert said.split() == ["False", "False"]

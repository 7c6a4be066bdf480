"""llama.cpp: base and adapter over one copy of the weights, never mixed up, never cut in silence."""

import json
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from engine.backends.llama_cpp import LlamaEngine
from engine.embedded import EmbeddedModel
from engine.errors import InvalidInput, NotFound
from engine.prompts import count_tokens, encode, load_chat_template, render
from engine.records import Decoding
from engine.settings import PROJECT, Settings

GREEDY = Decoding(max_tokens=12)
THREADS = Settings.read().threads
TOPICS = [
    "bread",
    "the sea",
    "leave",
    "a dog",
    "Paris",
    "prime numbers",
    "contracts",
    "winter",
    "soup",
    "trains",
    "the moon",
    "good habits",
    "a garden",
    "chess",
    "gold",
    "tea",
]


def asked(text: str) -> list[dict[str, str]]:
    return [{"role": "system", "content": "You answer briefly."}, {"role": "user", "content": text}]


QUESTIONS = [asked(f"Tell me about {topic}.") for topic in TOPICS]


@pytest.fixture
def base(llama):
    return llama.model("base")


@pytest.fixture
def tuned(llama, loud_adapter):
    return llama.model("loud", loud_adapter / "adapter.gguf")


def drained(stream):
    pieces = []
    while True:
        try:
            pieces.append(next(stream))
        except StopIteration as finished:
            return pieces, finished.value


def test_base_and_adapter_answer_alike_alone_and_sixteen_questions_at_once(base, tuned):
    jobs = [(model, question) for question in QUESTIONS for model in (base, tuned)]
    alone = [model.reply(question, GREEDY).text for model, question in jobs]
    assert all(plain != loud for plain, loud in zip(alone[::2], alone[1::2], strict=True)), "the adapter must show"

    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(lambda job: job[0].reply(job[1], GREEDY).text, jobs))

    # What is computed beside it decides in which order a sum is added up, so of two tokens that are as good as tied the other one
    # may come: one answer of 32 may part from its own, none may be the other model's.
    parted = [n for n, (beside, by_itself) in enumerate(zip(together, alone, strict=True)) if beside != by_itself]
    assert len(parted) <= 1
    assert all(together[n] != alone[n ^ 1] for n in range(len(jobs)))


def test_a_question_asked_twice_is_answered_alike(base):
    """The second time its prompt comes from the cache; with flash attention on, this very question came out otherwise."""
    question = [{"role": "user", "content": "Name three fruits."}]
    decoding = Decoding(max_tokens=40)
    first = base.reply(question, decoding).text
    base.reply(asked("Something else."), decoding)
    assert [base.reply(question, decoding).text for _ in range(2)] == [first, first]


def test_loading_an_adapter_does_not_change_the_base(embedded, base, tuned):
    """Not even by a bit that shows: an engine that never saw an adapter says the same as one that switched it off."""
    fresh = LlamaEngine(embedded, threads=THREADS)
    try:
        bare = [fresh.model("base").reply(question, GREEDY).text for question in QUESTIONS[:4]]
    finally:
        fresh.close()
    tuned.reply(QUESTIONS[0], GREEDY)
    assert [base.reply(question, GREEDY).text for question in QUESTIONS[:4]] == bare


def test_a_stream_says_what_a_reply_says_and_counts_its_tokens(embedded, base):
    whole = base.reply(QUESTIONS[0], GREEDY)
    pieces, reply = drained(base.stream(QUESTIONS[0], GREEDY))
    assert "".join(pieces) == reply.text == whole.text and len(pieces) > 5
    assert reply.tokens_out == whole.tokens_out == 12
    assert reply.tokens_in == whole.tokens_in > 5
    assert len(encode(whole.text, embedded.folder)) in (11, 12)
    assert 0 < reply.first_token_ms <= reply.latency_ms and 0 <= whole.first_token_ms <= whole.latency_ms
    assert reply.model == "base" and reply.error == ""


def test_closing_a_stream_stops_the_generation(base):
    before = threading.active_count()
    stream = base.stream(asked("Count from one to a thousand in words."), Decoding(max_tokens=1500, repeat_penalty=1.0))
    next(stream)
    stream.close()
    assert threading.active_count() == before, "the answering thread has ended"
    busy = psutil.Process().cpu_times().user
    time.sleep(1.0)
    assert psutil.Process().cpu_times().user - busy < 0.3, "nothing computes on"


def test_a_prompt_that_does_not_fit_is_refused_with_the_counts_and_one_that_just_fits_is_answered(embedded):
    template = load_chat_template(embedded.folder)
    question = asked("word " * 200)
    tokens = count_tokens(render(question, template=template), embedded.folder)
    small = LlamaEngine(embedded, threads=THREADS, slots=2, context=256)
    model, room = small.model("base"), 256 - tokens
    assert 0 < room < 56
    fits = model.reply(question, Decoding(max_tokens=room))
    assert 0 < fits.tokens_out <= room and fits.error == ""
    for ask in (model.reply, lambda *arguments: next(model.stream(*arguments))):
        with pytest.raises(InvalidInput, match=rf"{tokens} tokens .* up to {room + 1} .* make 257 where 256 fit"):
            ask(question, Decoding(max_tokens=room + 1))
    small.close()


def test_llama_cpp_sees_the_ids_of_the_hugging_face_tokenizer(embedded, llama, base):
    question = asked("Is 2024-03-31 before 01/04/2024? <|im_end|> 🙂\n\n  naïve £1,234.56")
    wanted = encode(render(question, template=load_chat_template(embedded.folder)), embedded.folder)
    request = base._request(question, Decoding(max_tokens=1), None)
    with llama.serving(None) as (native, lora):
        seen = native.handle_completions({**request, "lora": lora, "verbose": True})
        by_ids = native.handle_completions({**request, "lora": lora, "prompt": wanted, "max_tokens": 8})
        by_text = native.handle_completions({**request, "lora": lora, "max_tokens": 8})
    assert seen["usage"]["prompt_tokens"] == len(wanted)
    assert by_ids["choices"][0]["text"] == by_text["choices"][0]["text"]


def test_an_answer_obeys_its_schema(base):
    schema = {
        "type": "object",
        "properties": {"decision": {"enum": ["approve", "reject"]}, "days": {"type": "integer"}},
        "required": ["decision", "days"],
        "additionalProperties": False,
    }
    reply = base.reply(asked("May I take 3 days of leave?"), Decoding(max_tokens=60), schema=schema)
    answer = json.loads(reply.text)
    assert set(answer) == {"decision", "days"} and answer["decision"] in ("approve", "reject")
    assert isinstance(answer["days"], int)


def test_a_first_token_that_is_held_back_comes_only_when_it_is_likelier_by_more(embedded, llama, base):
    """By this many nats; the rest of the request stays as it was, and so does an answer that obeys a schema."""
    question, decoding = [{"role": "user", "content": "Who wrote Hamlet?"}], Decoding(max_tokens=8)
    (the,) = encode("The", embedded.folder)
    held = {nats: llama.model("base", handicap=nats, refusal_token=the) for nats in (0.0, 0.3, 20.0)}
    said = {nats: model.reply(question, decoding).text for nats, model in held.items()}
    assert said[0.0] == said[0.3] == base.reply(question, decoding).text
    assert said[0.0].startswith("The") and said[20.0] and not said[20.0].startswith("The")
    assert drained(held[20.0].stream(question, decoding))[1].text == said[20.0]
    plain = {"type": "object"}
    assert held[20.0]._request(question, decoding, plain) == base._request(question, decoding, plain)


def test_another_handicap_is_another_model(llama, base, tuned, loud_adapter):
    gguf = loud_adapter / "adapter.gguf"
    models = [
        llama.model("loud", gguf, handicap=nats, refusal_token=token) for nats, token in ((1.0, 7), (1.5, 7), (1.0, 8))
    ]
    assert len({model.digest() for model in (base, tuned, *models)}) == 5
    assert llama.model("loud", gguf, handicap=0.0, refusal_token=7).digest() == tuned.digest()
    assert llama.model("other name", gguf, handicap=1.0, refusal_token=7).digest() == models[0].digest()


def test_sampling_follows_its_seed(base):
    def drawn(seed: int) -> str:
        return base.reply(asked("Invent a name."), Decoding(max_tokens=16, temperature=1.0, seed=seed)).text

    assert drawn(1) == drawn(1)
    assert len({drawn(seed) for seed in range(1, 6)}) > 1


def test_a_new_adapter_joins_while_an_answer_runs_and_the_old_server_goes_when_it_is_done(
    embedded, loud_adapter, random_adapter, tmp_path
):
    from engine.adapters import to_gguf

    engine = LlamaEngine(embedded, threads=THREADS, slots=2, context=512)
    base = engine.model("base")
    long = Decoding(max_tokens=60, repeat_penalty=1.0)
    undisturbed = base.reply(QUESTIONS[0], long).text
    stream = base.stream(QUESTIONS[0], long)
    first = next(stream)
    with engine.serving(None) as (old, _):
        pass

    loud = engine.model("loud", loud_adapter / "adapter.gguf").reply(QUESTIONS[0], GREEDY).text
    with engine.serving(None) as (new, _):
        assert new is not old, "a larger set is a new server"
    pieces, reply = drained(stream)
    assert first + "".join(pieces) == reply.text == undisturbed

    folder = random_adapter(tmp_path / "second", seed=7, size=0.08)
    to_gguf(folder, embedded.folder, folder / "adapter.gguf")
    second = engine.model("second", folder / "adapter.gguf").reply(QUESTIONS[0], GREEDY).text
    assert len({undisturbed[: len(loud)], loud, second}) == 3
    again = engine.model("loud", loud_adapter / "adapter.gguf").reply(QUESTIONS[0], GREEDY).text
    assert again == loud and base.reply(QUESTIONS[0], long).text == undisturbed
    engine.close()


def test_closing_gives_the_memory_back_and_a_later_question_starts_again(embedded):
    process = psutil.Process()
    engine = LlamaEngine(embedded, threads=THREADS, slots=8)
    answer = engine.model("base").reply(QUESTIONS[1], GREEDY).text
    threads, memory = process.num_threads(), process.memory_info().rss
    engine.close()
    assert process.num_threads() < threads
    assert memory - process.memory_info().rss > 200 * 2**20
    assert engine.model("base").reply(QUESTIONS[1], GREEDY).text == answer
    engine.close()


def test_a_rewritten_adapter_is_another_model_and_is_loaded_anew(
    embedded, llama, base, loud_adapter, random_adapter, tmp_path
):
    from engine.adapters import to_gguf

    path = tmp_path / "adapter.gguf"
    path.write_bytes((loud_adapter / "adapter.gguf").read_bytes())
    model = llama.model("mine", path)
    before, said = model.digest(), model.reply(QUESTIONS[2], GREEDY).text
    assert model.digest() == before == llama.model("same weights", loud_adapter / "adapter.gguf").digest()

    path.unlink()
    to_gguf(random_adapter(tmp_path / "other", seed=9, size=0.08), embedded.folder, path)

    assert model.digest() != before != base.digest()
    assert model.reply(QUESTIONS[2], GREEDY).text != said


def test_missing_and_damaged_adapters_are_named_and_the_base_answers_on(base, llama, tmp_path):
    with pytest.raises(NotFound, match=r"gone\.gguf is not there"):
        llama.model("gone", tmp_path / "gone.gguf").reply(QUESTIONS[0], GREEDY)
    (tmp_path / "bad.gguf").write_bytes(b"GGUF and then nothing")
    with pytest.raises(InvalidInput, match=r"bad\.gguf cannot be loaded"):
        llama.model("bad", tmp_path / "bad.gguf").reply(QUESTIONS[0], GREEDY)
    assert "gone.gguf" in llama.model("gone", tmp_path / "gone.gguf").health()
    assert base.health() == "" and base.reply(QUESTIONS[0], GREEDY).text


def test_a_damaged_base_says_how_to_mend_it(embedded, tmp_path):
    (tmp_path / "base.gguf").write_bytes(b"GGUF")
    engine = LlamaEngine(EmbeddedModel(embedded.folder, tmp_path / "base.gguf", "0"))
    assert "Delete its folder and start again" in engine.model("base").health()


def test_it_listens_nowhere_but_on_this_machine_and_answers_no_stranger_there(llama, base):
    import httpx

    assert base.health() == ""
    listening = [c for c in psutil.Process().net_connections() if c.status == psutil.CONN_LISTEN]
    assert listening and {c.laddr.ip for c in listening} == {"127.0.0.1"}
    with llama.serving(None) as (native, _):
        url = native.listening_address
    assert httpx.post(f"{url}/completion", json={"prompt": "hi"}, trust_env=False).status_code == 401


def test_the_engine_is_quiet_and_leaves_the_environment_as_it_was(embedded):
    code = (
        "import os, sys; from pathlib import Path; before = dict(os.environ)\n"
        "from engine.backends.llama_cpp import LlamaEngine; from engine.embedded import ensure_embedded\n"
        "assert 'xllamacpp' not in sys.modules\n"
        "engine = LlamaEngine(ensure_embedded(Path(sys.argv[1])), slots=1)\n"
        "assert engine.model('base').health() == '' and dict(os.environ) == before and 'torch' not in sys.modules\n"
        "engine.close()"
    )
    arguments = [sys.executable, "-c", code, str(embedded.folder.parent)]
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    run = subprocess.run(arguments, cwd=PROJECT, capture_output=True, text=True, env=environment)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")

"""llama.cpp in this process (xllamacpp): one base model in memory, adapters switched per request.

Both arms of a comparison run here, on the same weights and kernels: the adapter's request says scale 1, the base's
request says scale 0 for all. llama.cpp never batches requests of different adapters together and drops a slot's
cached prompt when the adapter changes. Its second prompt cache, in RAM, remembers no adapter, so it is switched off.
The library opens an HTTP port of its own that nobody here uses: it listens on 127.0.0.1 and wants a random key.
"""

import gc
import hashlib
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Lock, Thread
from typing import Any

from engine.backends import REPEAT_WINDOW, Schema, Stream, digest_with, held_back, patient_threads
from engine.embedded import EmbeddedModel
from engine.errors import InvalidInput, NotFound, TouchstoneError, Unavailable
from engine.prompts import count_tokens, encode, load_chat_template, render
from engine.records import Decoding, Message, Reply

SLOTS = 8
CONTEXT = 2304
"""Tokens of prompt and answer together, per slot; a multiple of 256, as llama.cpp rounds."""


@dataclass(frozen=True)
class _AdapterFile:
    """One adapter as it was on disk when it was asked for; a rewritten file is another one."""

    path: Path
    size: int
    mtime_ns: int

    @classmethod
    def at(cls, path: Path) -> "_AdapterFile":
        try:
            stat = path.stat()
        except OSError:
            raise NotFound(f"The adapter file {path} is not there. Train it again, or choose another model.") from None
        return cls(path, stat.st_size, stat.st_mtime_ns)

    def is_current(self) -> bool:
        try:
            return self == _AdapterFile.at(self.path)
        except NotFound:
            return False


@dataclass
class _Server:
    """A running llama.cpp with the adapters it was started with, in the order of their ids."""

    native: Any  # xllamacpp.Server
    adapters: tuple[_AdapterFile, ...]
    users: int = 0
    retired: bool = False


@dataclass
class LlamaEngine:
    """
    The embedded model with any number of adapters over one copy of its weights. Started by the first question.

    `slots` requests are answered at once; more wait their turn. Thread safe.
    """

    base: EmbeddedModel
    threads: int = 2
    slots: int = SLOTS
    context: int = CONTEXT
    _current: _Server | None = field(default=None, repr=False)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def model(
        self, name: str, adapter: Path | None = None, *, handicap: float = 0.0, refusal_token: int = 0
    ) -> "LlamaModel":
        """
        The base (no adapter) or a GGUF adapter over it. Costs nothing until it is asked something.

        `handicap`: the nats by which `refusal_token`, with which refusals begin, is held back.
        """
        return LlamaModel(name, adapter, self, handicap, refusal_token)

    def close(self) -> None:
        """Give the memory back once running answers are finished. A later question starts the engine again."""
        with self._lock:
            self._retire()

    @contextmanager
    def serving(self, adapter: Path | None) -> Iterator[tuple[Any, list[dict[str, float]]]]:
        """
        A server that has the adapter loaded, and the `lora` list that chooses it; it stays up while the block runs.

        An adapter that is not loaded starts a new server with the larger set. The old one finishes its answers first.
        """
        wanted = _AdapterFile.at(adapter) if adapter else None
        with self._lock:
            if self._current is None or (wanted is not None and wanted not in self._current.adapters):
                self._start(wanted)
            server = self._current
            assert server is not None
            server.users += 1
        try:
            yield server.native, [{"id": n, "scale": float(a == wanted)} for n, a in enumerate(server.adapters)]
        finally:
            with self._lock:
                server.users -= 1
                if server.retired and server.users == 0:
                    _stop(server)

    def _start(self, wanted: _AdapterFile | None) -> None:
        known = self._current.adapters if self._current else ()
        others = tuple(adapter for adapter in known if adapter.is_current())
        adapters = (*others, wanted) if wanted else others
        fresh = _Server(self._launch(adapters), adapters)
        self._retire()
        self._current = fresh

    def _retire(self) -> None:
        server, self._current = self._current, None
        if server is not None:
            server.retired = True
            if server.users == 0:
                _stop(server)

    def _launch(self, adapters: Sequence[_AdapterFile]) -> Any:
        with patient_threads():
            import xllamacpp

        params = xllamacpp.CommonParams()
        params.model.path = str(self.base.gguf)
        params.n_parallel = self.slots
        params.n_ctx = self.slots * self.context
        params.cpuparams.n_threads = self.threads
        params.cpuparams_batch.n_threads = self.threads
        # Off, so that a question asked twice is answered alike: with it, a prompt read from the cache and the same
        # prompt read whole round differently, and greedy answers part at close calls. It costs no measurable time.
        params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
        params.cache_ram_mib = 0
        params.cache_idle_slots = False
        params.ctx_shift = False
        params.warmup = False
        params.verbosity = -1
        params.lora_init_without_apply = True
        params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(adapter.path), 0.0) for adapter in adapters]
        params.hostnames = ["127.0.0.1"]
        params.api_keys = [secrets.token_urlsafe(32)]
        params.ui = False
        params.endpoint_slots = False
        try:
            server = xllamacpp.Server(params)
        except Exception as error:  # the binding raises bare RuntimeError for whatever llama.cpp says
            if adapters:
                raise InvalidInput(
                    f"The adapter {adapters[-1].path} cannot be loaded over the base model ({error}). Train it again."
                ) from error
            raise Unavailable(
                f"The model {self.base.gguf} cannot be loaded ({error}). Delete its folder and start again: "
                "it will be converted anew."
            ) from error
        # One token now: a server that is dropped before its loop has begun waits for that loop for ever.
        server.handle_completions({"prompt": ".", "max_tokens": 1})
        return server


@dataclass(frozen=True)
class LlamaModel:
    """One arm: the base, or an adapter over it."""

    name: str
    adapter: Path | None
    engine: LlamaEngine
    handicap: float = 0.0
    refusal_token: int = 0

    def stream(self, messages: Sequence[Message], decoding: Decoding, *, schema: Schema | None = None) -> Stream:
        """The answer piece by piece. Raises `InvalidInput` when prompt and answer do not fit the context."""
        request = self._request(messages, decoding, schema)
        started = time.perf_counter()
        first_token_ms, pieces, last = 0.0, [], {}
        with self.engine.serving(self.adapter) as (native, lora):
            for chunk in _chunks(native, {**request, "lora": lora, "stream": True}):
                _raise_for(chunk)
                last = chunk
                piece = chunk["choices"][0]["text"]
                if not piece:
                    continue
                first_token_ms = first_token_ms or _ms_since(started)
                pieces.append(piece)
                yield piece
        return self._finished("".join(pieces), last, started, first_token_ms)

    def reply(self, messages: Sequence[Message], decoding: Decoding, *, schema: Schema | None = None) -> Reply:
        """The whole answer. Raises `InvalidInput` when prompt and answer do not fit the context."""
        request = self._request(messages, decoding, schema)
        started = time.perf_counter()
        with self.engine.serving(self.adapter) as (native, lora):
            answer = native.handle_completions({**request, "lora": lora})
        _raise_for(answer)
        answering_ms = float(answer.get("timings", {}).get("predicted_ms", 0.0))
        return self._finished(
            answer["choices"][0]["text"], answer, started, max(0.0, _ms_since(started) - answering_ms)
        )

    def next_token_top(self, messages: Sequence[Message], said: Sequence[int], *, count: int) -> dict[int, float]:
        """
        The likeliest tokens after the prompt and the tokens `said`, with their log probabilities (natural).

        The first one with the refusal held back; none with the repetition penalty. Raises InvalidInput as `reply` does.
        """
        request = self._request(messages, Decoding(max_tokens=1 + len(said)), None)
        prompt = encode(request["prompt"], self.engine.base.folder)
        asked = {
            "prompt": [*prompt, *said],
            "max_tokens": 1,
            "temperature": 0.0,
            "logprobs": count,
            "cache_prompt": True,
        }
        with self.engine.serving(self.adapter) as (native, lora):
            answer = native.handle_completions({**asked, "lora": lora})
        _raise_for(answer)
        (told,) = answer["choices"][0]["logprobs"]["content"]
        known = {int(entry["id"]): float(entry["logprob"]) for entry in told["top_logprobs"]}
        return held_back(known, self.refusal_token, 0.0 if said else self.handicap)

    def health(self) -> str:
        """Starts the engine if need be; the sentence says why it cannot answer."""
        try:
            with self.engine.serving(self.adapter):
                return ""
        except TouchstoneError as error:
            return str(error)

    def digest(self) -> str:
        """The converted base's digest, which covers its template, the adapter file's hash, and the handicap if there is one."""
        digest = self.engine.base.digest
        if self.adapter is not None:
            digest = hashlib.sha256(f"{digest}+{_hash_of(_AdapterFile.at(self.adapter))}".encode()).hexdigest()
        return digest_with(digest, self.handicap, self.refusal_token)

    def parts(self) -> dict[str, Any]:
        """What the digest is made of: base, adapter file and template, each by itself; and the handicap."""
        adapter = _hash_of(_AdapterFile.at(self.adapter)) if self.adapter else ""
        template = hashlib.sha256(_template_of(self.engine.base.folder).source.encode()).hexdigest()
        return {"base": self.engine.base.digest, "adapter": adapter, "template": template, "handicap": self.handicap}

    def _request(self, messages: Sequence[Message], decoding: Decoding, schema: Schema | None) -> dict[str, Any]:
        folder = self.engine.base.folder
        prompt = render(messages, template=_template_of(folder))
        tokens = count_tokens(prompt, folder)
        if tokens + decoding.max_tokens > self.engine.context:
            raise InvalidInput(
                f"The question is too long: {tokens} tokens with its instructions and sources, and up to "
                f"{decoding.max_tokens} for the answer, make {tokens + decoding.max_tokens} where "
                f"{self.engine.context} fit. Shorten it, or ask for a shorter answer."
            )
        request: dict[str, Any] = {
            "prompt": prompt,
            "max_tokens": decoding.max_tokens,
            "temperature": decoding.temperature,
            "top_p": decoding.top_p,
            "top_k": decoding.top_k,
            "min_p": 0.0,
            "repeat_penalty": decoding.repeat_penalty,
            "repeat_last_n": REPEAT_WINDOW,
            "seed": decoding.seed,
            # A prompt from the cache rounds a last bit differently: nothing to a greedy answer, but a draw can tip.
            "cache_prompt": decoding.temperature <= 0,
            "stream_options": {"include_usage": True},
        }
        if schema is not None:
            request["json_schema"] = dict(schema)
        elif self.handicap > 0:
            # At every position, and yet hardly but at the first: inside a sentence the word is another token (" Not").
            request["logit_bias"] = [[self.refusal_token, -self.handicap]]
        return request

    def _finished(self, text: str, last: Mapping[str, Any], started: float, first_token_ms: float) -> Reply:
        usage = last.get("usage", {})
        tokens_in, tokens_out = int(usage.get("prompt_tokens", 0)), int(usage.get("completion_tokens", 0))
        return Reply(text, self.name, tokens_out, _ms_since(started), first_token_ms, tokens_in=tokens_in)


def _chunks(native: Any, request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """
    What the engine's callback hears, as an iterator. Closing it makes the callback say stop at the next token.

    The answer runs on a thread of its own, which is joined: nothing generates after this returns.
    """
    heard: SimpleQueue[dict[str, Any] | Exception | None] = SimpleQueue()
    stop = Event()

    def on_chunk(chunk: dict[str, Any]) -> bool:
        heard.put(chunk)
        return stop.is_set()

    def run() -> None:
        try:
            native.handle_completions(dict(request), on_chunk)
            heard.put(None)
        except Exception as error:  # carried to the caller's thread, where it is raised
            heard.put(error)

    worker = Thread(target=run, name="llama-stream", daemon=True)
    worker.start()
    try:
        while (item := heard.get()) is not None:
            if isinstance(item, Exception):
                raise item
            yield item
    finally:
        stop.set()
        worker.join()


def _raise_for(answer: Mapping[str, Any]) -> None:
    error = answer.get("error")
    if not error:
        return
    message = str(error.get("message", error))
    if error.get("type") in ("exceed_context_size_error", "invalid_request_error"):
        raise InvalidInput(f"The model cannot take this question: {message}. Change it and ask again.")
    raise Unavailable(f"The model stopped answering: {message}. Ask again; if it repeats, restart Touchstone.")


def _stop(server: _Server) -> None:
    """The binding has no stop call: its destructor ends the threads and frees the model."""
    server.native = None
    gc.collect(0)


@cache
def _hash_of(adapter: _AdapterFile) -> str:
    with adapter.path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


_template_of = cache(load_chat_template)


def _ms_since(started: float) -> float:
    return (time.perf_counter() - started) * 1000

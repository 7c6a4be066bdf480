"""A model in Ollama, through its official client; it renders the chat template on its own side."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from engine.backends import REPEAT_WINDOW, Schema, Stream
from engine.errors import InvalidInput, NotFound, TouchstoneError, Unavailable
from engine.prompts import plain_messages
from engine.records import Decoding, Message, Reply

DEFAULT_HOST = "127.0.0.1:11434"
TIMEOUT_S = 300.0


@dataclass(frozen=True)
class OllamaModel:
    """One tag of one Ollama. `host` as in OLLAMA_HOST: "127.0.0.1:11434" or a URL."""

    tag: str
    host: str = DEFAULT_HOST
    timeout_s: float = TIMEOUT_S

    @property
    def name(self) -> str:
        return f"ollama:{self.tag}"

    def stream(self, messages: Sequence[Message], decoding: Decoding, *, schema: Schema | None = None) -> Stream:
        """The answer piece by piece; closing it closes the connection, at which Ollama stops."""
        started = time.perf_counter()
        first_token_ms, pieces, tokens_in, tokens_out, done = 0.0, [], 0, 0, False
        with self._sentences():
            chunks = self._client().chat(**self._request(messages, decoding, schema), stream=True)
            try:
                for chunk in chunks:
                    piece = chunk.message.content or ""
                    done, tokens_out = done or bool(chunk.done), chunk.eval_count or tokens_out
                    tokens_in = chunk.prompt_eval_count or tokens_in
                    if piece:
                        first_token_ms = first_token_ms or _ms_since(started)
                        pieces.append(piece)
                        yield piece
            finally:
                chunks.close()
        if not done:
            raise Unavailable(f"Ollama at {self._shown} broke off in the middle of an answer. Ask again.")
        text, elapsed_ms = "".join(pieces), _ms_since(started)
        return Reply(text, self.name, tokens_out, elapsed_ms, first_token_ms, tokens_in=tokens_in)

    def reply(self, messages: Sequence[Message], decoding: Decoding, *, schema: Schema | None = None) -> Reply:
        """The whole answer; `schema` goes to Ollama as its `format`."""
        started = time.perf_counter()
        with self._sentences():
            answer = self._client().chat(**self._request(messages, decoding, schema), stream=False)
        answering_ms = (answer.eval_duration or 0) / 1e6
        elapsed_ms = _ms_since(started)
        first_token_ms = max(0.0, elapsed_ms - answering_ms)
        text, tokens_in, tokens_out = (
            answer.message.content or "",
            answer.prompt_eval_count or 0,
            answer.eval_count or 0,
        )
        return Reply(text, self.name, tokens_out, elapsed_ms, first_token_ms, tokens_in=tokens_in)

    def health(self) -> str:
        """Whether Ollama runs and has the tag."""
        try:
            self.digest()
        except TouchstoneError as error:
            return str(error)
        return ""

    def digest(self) -> str:
        """Ollama's own digest of the tag: of its weights, adapter, template and parameters together."""
        with self._sentences():
            listed = self._client().list().models
        wanted = self.tag if ":" in self.tag else f"{self.tag}:latest"
        for model in listed:
            if model.model == wanted and model.digest:
                return str(model.digest)
        names = ", ".join(sorted(str(model.model) for model in listed)) or "none"
        raise NotFound(
            f"Ollama at {self._shown} has no model {self.tag}. It has: {names}. Fetch it with: ollama pull {self.tag}"
        )

    @property
    def _shown(self) -> str:
        return self.host.removeprefix("http://").replace("127.0.0.1", "localhost")

    def _client(self) -> Any:
        import ollama

        return ollama.Client(host=self.host, timeout=self.timeout_s, trust_env=False)

    def _request(self, messages: Sequence[Message], decoding: Decoding, schema: Schema | None) -> Mapping[str, Any]:
        options = {
            "num_predict": decoding.max_tokens,
            "temperature": decoding.temperature,
            "top_p": decoding.top_p,
            "top_k": decoding.top_k,
            "min_p": 0.0,
            "repeat_penalty": decoding.repeat_penalty,
            "repeat_last_n": REPEAT_WINDOW,
            "seed": decoding.seed,
        }
        request: dict[str, Any] = {"model": self.tag, "messages": plain_messages(messages), "options": options}
        return request if schema is None else {**request, "format": dict(schema)}

    @contextmanager
    def _sentences(self) -> Iterator[None]:
        """Whatever the client raises, in the user's words."""
        import httpx
        import ollama

        try:
            yield
        except (ConnectionError, httpx.ConnectError) as error:
            raise Unavailable(f"Ollama is not running at {self._shown}. Start it with: ollama serve") from error
        except httpx.TimeoutException as error:
            raise Unavailable(
                f"Ollama at {self._shown} said nothing for {self.timeout_s:.0f} s. It may be loading {self.tag}: ask again."
            ) from error
        except httpx.TransportError as error:
            raise Unavailable(f"Ollama at {self._shown} broke off in the middle of an answer. Ask again.") from error
        except ollama.ResponseError as error:
            if error.status_code == 404:
                raise NotFound(
                    f"Ollama at {self._shown} has no model {self.tag}. Fetch it with: ollama pull {self.tag}"
                ) from error
            if 400 <= error.status_code < 500:
                raise InvalidInput(f"Ollama refuses this question: {error.error}. Change it and ask again.") from error
            raise Unavailable(
                f"Ollama at {self._shown} failed: {error.error}. Look at its log, then ask again."
            ) from error


def _ms_since(started: float) -> float:
    return (time.perf_counter() - started) * 1000

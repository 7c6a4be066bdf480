"""Any server with the OpenAI chat API: vLLM, llama-server, LM Studio, OpenAI itself. Named openai:NAME@URL.

The key in OPENAI_API_KEY goes to the URL that the user named and to no other: redirects are not followed, and
proxies from the environment are not used.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx

from engine.backends import Schema, Stream
from engine.errors import InvalidInput, NotFound, TouchstoneError, Unavailable
from engine.prompts import plain_messages
from engine.records import Decoding, Message, Reply

RETRY_STATUS = frozenset({408, 409, 429, 500, 502, 503, 504})
TRIES = 4
LONGEST_WAIT_S = 30.0


@dataclass(frozen=True)
class OpenAIModel:
    """One model of one server. `url` is the API's root, with or without a trailing /v1."""

    model: str
    url: str
    key: str = field(default="", repr=False)
    timeout_s: float = 120.0
    wait: Callable[[float], None] = time.sleep  # seconds between tries

    @property
    def name(self) -> str:
        return f"openai:{self.model}@{self.url}"

    def stream(self, messages: Sequence[Message], decoding: Decoding, *, schema: Schema | None = None) -> Stream:
        """The answer piece by piece; closing it closes the connection. Tried again only before the first piece."""
        body = {**self._request(messages, decoding, schema), "stream": True, "stream_options": {"include_usage": True}}
        started = time.perf_counter()
        first_token_ms, pieces, usage, tokens_in, finished = 0.0, [], 0, 0, False
        with self._answering(body) as response, self._sentences():
            for event in _events(response):
                if "error" in event:
                    raise Unavailable(f"{self._shown} broke off its answer: {_words(event['error'])}. Ask again.")
                usage = int((event.get("usage") or {}).get("completion_tokens") or usage)
                tokens_in = int((event.get("usage") or {}).get("prompt_tokens") or tokens_in)
                for choice in event.get("choices", [])[:1]:
                    finished = finished or choice.get("finish_reason") is not None
                    piece = (choice.get("delta") or {}).get("content") or ""
                    if piece:
                        first_token_ms = first_token_ms or _ms_since(started)
                        pieces.append(piece)
                        yield piece
        if not finished:
            raise Unavailable(f"{self._shown} broke off in the middle of an answer. Ask again.")
        text, tokens_out = "".join(pieces), usage or len(pieces)
        return Reply(text, self.name, tokens_out, _ms_since(started), first_token_ms, tokens_in=tokens_in)

    def reply(self, messages: Sequence[Message], decoding: Decoding, *, schema: Schema | None = None) -> Reply:
        """The whole answer. `first_token_ms` is the whole latency: the server does not say more."""
        started = time.perf_counter()
        with self._answering(self._request(messages, decoding, schema)) as response:
            answer = self._json(response)
        try:
            text = answer["choices"][0]["message"]["content"] or ""
        except (KeyError, IndexError, TypeError):
            raise Unavailable(f"{self._shown} answered, but not in the OpenAI chat format. Check the URL.") from None
        usage = answer.get("usage") or {}
        tokens_in, tokens_out = int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0)
        elapsed_ms = _ms_since(started)
        return Reply(text, self.name, tokens_out, elapsed_ms, elapsed_ms, tokens_in=tokens_in)

    def health(self) -> str:
        """Whether the server answers and lists the model (a server without a list is taken at its word)."""
        try:
            with self._sentences(), self._client() as client:
                response = client.get(f"{self._root}/models")
                if response.status_code == 404:
                    return ""
                self._raise_for(response)
                listed = [entry.get("id") for entry in self._json(response).get("data", [])]
        except TouchstoneError as error:
            return str(error)
        if listed and self.model not in listed:
            return f"{self._shown} has no model {self.model}. It has: {', '.join(map(str, listed[:20]))}."
        return ""

    def digest(self) -> str:
        """Of the name alone: such a server does not show its weights, so a silent change there stays unseen."""
        return hashlib.sha256(self.name.encode()).hexdigest()

    @property
    def _root(self) -> str:
        root = self.url.rstrip("/")
        return root if root.endswith("/v1") else f"{root}/v1"

    @property
    def _shown(self) -> str:
        return f"The server at {urlsplit(self.url).netloc}"

    def _client(self) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        timeout = httpx.Timeout(self.timeout_s, connect=10.0)
        return httpx.Client(headers=headers, timeout=timeout, follow_redirects=False, trust_env=False)

    def _request(self, messages: Sequence[Message], decoding: Decoding, schema: Schema | None) -> dict[str, Any]:
        """Only what every such server knows; top_k and repeat_penalty are not in the API and stay the server's own."""
        request: dict[str, Any] = {
            "model": self.model,
            "messages": plain_messages(messages),
            "max_tokens": decoding.max_tokens,
            "temperature": decoding.temperature,
            "top_p": decoding.top_p,
            "seed": decoding.seed,
        }
        if schema is not None:
            form = {"name": "answer", "schema": dict(schema), "strict": True}
            request["response_format"] = {"type": "json_schema", "json_schema": form}
        return request

    @contextmanager
    def _answering(self, body: Mapping[str, Any]) -> Iterator[httpx.Response]:
        """An accepted response, body unread; busy or failing servers are asked up to four times, waiting longer."""
        with self._client() as client:
            response = self._accepted(client, body)
            try:
                yield response
            finally:
                response.close()

    def _accepted(self, client: httpx.Client, body: Mapping[str, Any]) -> httpx.Response:
        for attempt in range(1, TRIES + 1):
            pause = min(LONGEST_WAIT_S, 0.5 * 2 ** (attempt - 1))
            request = client.build_request("POST", f"{self._root}/chat/completions", json=body)
            try:
                with self._sentences():
                    response = client.send(request, stream=True)
            except Unavailable:
                if attempt == TRIES:
                    raise
            else:
                if response.status_code not in RETRY_STATUS or attempt == TRIES:
                    self._raise_for(response)  # a refusal is final: asking again would be refused again
                    return response
                pause = _asked_for(response, pause)
                response.close()
            self.wait(pause)
        raise AssertionError("the last try returns or raises")

    def _raise_for(self, response: httpx.Response) -> None:
        if response.status_code == 200:
            return
        try:
            with self._sentences():
                response.read()
        finally:
            response.close()
        try:
            reason = _words(response.json().get("error", response.text))
        except (ValueError, AttributeError):
            reason = response.text[:200].strip() or response.reason_phrase
        if response.status_code in (401, 403):
            raise Unavailable(f"{self._shown} does not accept the key ({reason}). Set OPENAI_API_KEY and start again.")
        if response.status_code == 404:
            raise NotFound(f"{self._shown} has no model {self.model} or no such address ({reason}). Check {self.name}.")
        if response.status_code == 429:
            raise Unavailable(f"{self._shown} is over its limit ({reason}). Wait a while and ask again.")
        if 400 <= response.status_code < 500:
            raise InvalidInput(f"{self._shown} refuses this question: {reason}. Change it and ask again.")
        raise Unavailable(f"{self._shown} failed with status {response.status_code} ({reason}). Ask again later.")

    def _json(self, response: httpx.Response) -> dict[str, Any]:
        with self._sentences():
            response.read()
        try:
            value = response.json()
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise Unavailable(f"{self._shown} answered, but not in the OpenAI chat format. Check the URL.")
        return value

    @contextmanager
    def _sentences(self) -> Iterator[None]:
        try:
            yield
        except httpx.ConnectError as error:
            raise Unavailable(f"{self._shown} cannot be reached ({error}). Start it, or correct the URL.") from error
        except httpx.TimeoutException as error:
            raise Unavailable(f"{self._shown} said nothing for {self.timeout_s:.0f} s. Ask again later.") from error
        except httpx.TransportError as error:
            raise Unavailable(f"{self._shown} broke off in the middle of an answer. Ask again.") from error


def open_openai(spec: str, environ: Mapping[str, str] = os.environ) -> OpenAIModel:
    """
    From "openai:NAME@URL" and OPENAI_API_KEY; nothing is contacted.

    Raises `InvalidInput` for another shape, a URL that is not http(s), or one with a password in it.
    """
    model, at, url = spec.removeprefix("openai:").rpartition("@")
    parts = urlsplit(url)
    if not (at and model and parts.netloc and parts.scheme in ("http", "https")):
        raise InvalidInput(f"{spec} does not name a model and a server. Write it as openai:NAME@http://HOST:PORT")
    if parts.username or parts.password:
        raise InvalidInput("A server's URL must not hold a password. Put the key into OPENAI_API_KEY instead.")
    return OpenAIModel(model, url, environ.get("OPENAI_API_KEY", ""))


def _events(response: httpx.Response) -> Iterator[dict[str, Any]]:
    """Server-sent events up to [DONE]; comments and empty lines are keep-alives."""
    for line in response.iter_lines():
        data = line.removeprefix("data:").strip() if line.startswith("data:") else ""
        if data == "[DONE]":
            return
        if not data:
            continue
        try:
            event = json.loads(data)
        except ValueError:
            raise Unavailable(
                "The server sent an event that is not JSON. Check that its URL is an OpenAI API."
            ) from None
        if isinstance(event, dict):
            yield event


def _asked_for(response: httpx.Response, otherwise: float) -> float:
    """Retry-After in seconds, within reason."""
    try:
        return min(LONGEST_WAIT_S, max(0.0, float(response.headers["retry-after"])))
    except (KeyError, ValueError):
        return otherwise


def _words(error: Any) -> str:
    return str(error.get("message", error) if isinstance(error, dict) else error).strip().rstrip(".")


def _ms_since(started: float) -> float:
    return (time.perf_counter() - started) * 1000

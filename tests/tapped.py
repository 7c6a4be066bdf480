"""The page's own wire protocol, spoken plainly and recorded: every byte and header of a handler's events, with its moment."""

import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx


@dataclass(frozen=True)
class Heard:
    """One line of the event stream."""

    at_s: float  # since the request was sent
    raw: str

    @property
    def event(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.raw)
        return found


@dataclass
class Visitor:
    """A browser reduced to what it sends; keeps all that the server ever said to it."""

    url: str
    session: str = field(default_factory=lambda: secrets.token_hex(8))
    received: list[str] = field(default_factory=list)
    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=60))
    numbers: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        config = self.get("config").json()
        self.numbers = {entry["api_name"]: entry["id"] for entry in config["dependencies"] if entry["api_name"]}

    def get(self, path: str) -> httpx.Response:
        """A page or a listing, headers and all."""
        answer = self.client.get(f"{self.url}{path}")
        self.received += [json.dumps(dict(answer.headers)), answer.text]
        return answer

    def run(self, api_name: str, *data: Any) -> list[Heard]:
        """Press what `api_name` stands for; every line of its event stream, in order."""
        body = {"data": list(data), "fn_index": self.numbers[api_name], "session_hash": self.session}
        started = time.perf_counter()
        joined = self.client.post(f"{self.url}gradio_api/queue/join", json=body)
        assert joined.is_success, joined.text
        self.received += [json.dumps(dict(joined.headers)), joined.text]
        heard: list[Heard] = []
        asked = {"session_hash": self.session}
        with self.client.stream("GET", f"{self.url}gradio_api/queue/data", params=asked) as stream:
            self.received.append(json.dumps(dict(stream.headers)))
            for line in stream.iter_lines():
                if line.startswith("data:"):
                    heard.append(Heard(time.perf_counter() - started, line[5:].strip()))
                    if heard[-1].event["msg"] in ("process_completed", "close_stream"):
                        break
        self.received += [line.raw for line in heard]
        return heard


def shown(heard: Sequence[Heard], position: int) -> list[tuple[float, Any]]:
    """(moment, value) of one output whenever it changed, the stream's differences applied."""
    found: list[tuple[float, Any]] = []
    data: list[Any] = []
    for line in heard:
        event = line.event
        if event["msg"] not in ("process_generating", "process_completed") or not event.get("output", {}).get("data"):
            continue
        told = event["output"]["data"]
        if event["msg"] == "process_completed" and not event["success"]:
            continue
        if not data or event["msg"] == "process_completed":
            data = list(told)
        else:
            data = [_changed(before, change) for before, change in zip(data, told, strict=True)]
        value = data[position]
        if isinstance(value, str) and (not found or found[-1][1] != value):
            found.append((line.at_s, value))
    return found


def _changed(before: Any, change: Any) -> Any:
    """One output after gradio's list of edits: [["append" | "replace", path, value], …]."""
    if not isinstance(change, list):
        return change
    for action, path, value in change:
        if path:
            continue  # an update of a component's settings, not of its text
        before = value if action == "replace" or not isinstance(before, str) else before + value
    return before

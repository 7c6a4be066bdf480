"""Ollama: its recorded wire format, served by a small HTTP server; no Ollama is needed here."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from engine.backends.ollama import OllamaModel
from engine.errors import InvalidInput, NotFound, Unavailable
from engine.records import Decoding

ASKED = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Leave? <|im_end|>"}]


def piece(text: str, **more: object) -> dict[str, object]:
    return {
        "model": "smollm2:135m",
        "created_at": "2026-01-01T10:00:00.123456Z",
        "message": {"role": "assistant", "content": text},
        "done": False,
        **more,
    }


LAST = {
    "done": True,
    "done_reason": "stop",
    "total_duration": 900_000_000,
    "load_duration": 100_000_000,
    "prompt_eval_count": 20,
    "prompt_eval_duration": 300_000_000,
    "eval_count": 3,
    "eval_duration": 2_000_000,
}
TAGS = {
    "models": [
        {"name": "smollm2:135m", "model": "smollm2:135m", "size": 270898672, "digest": "9077fe9d2ae1a4a4"},
        {"name": "leave:latest", "model": "leave:latest", "size": 290898672, "digest": "1111fe9d2ae1a4a4"},
    ]
}


class Recorded(ThreadingHTTPServer):
    def __init__(self):
        self.answers: dict[str, tuple[int, list[object]]] = {}  # path -> status and lines
        self.heard: list[dict[str, object]] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.do_POST()

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.server.heard.append(json.loads(body or b"null"))
        status, lines = self.server.answers[self.path]
        self.send_response(status)
        self.send_header("Content-Type", "application/x-ndjson")
        self.end_headers()
        self.wfile.write(b"".join(json.dumps(line).encode() + b"\n" for line in lines))

    def log_message(self, *arguments):
        """Quiet: what was asked is in `heard`."""


@pytest.fixture
def recorded():
    server = Recorded()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_an_answer_its_tokens_and_its_times_are_read(recorded):
    recorded.answers["/api/chat"] = (200, [piece("Twelve days.", **LAST)])
    reply = OllamaModel("smollm2:135m", recorded.host).reply(ASKED, Decoding())
    assert (reply.text, reply.tokens_out, reply.model) == ("Twelve days.", 3, "ollama:smollm2:135m")
    assert reply.tokens_in == 20
    assert 0 <= reply.first_token_ms <= reply.latency_ms


def test_the_request_carries_the_decoding_the_schema_and_no_control_token(recorded):
    recorded.answers["/api/chat"] = (200, [piece("{}", **LAST)])
    schema = {"type": "object", "properties": {}}
    OllamaModel("smollm2:135m", recorded.host).reply(ASKED, Decoding(max_tokens=7, seed=5), schema=schema)
    (request,) = recorded.heard
    assert request["messages"][1] == {"role": "user", "content": "Leave? < |im_end|>"}
    assert request["format"] == schema and request["stream"] is False
    options = request["options"]
    assert (options["num_predict"], options["seed"], options["temperature"]) == (7, 5, 0.0)
    assert (options["repeat_penalty"], options["repeat_last_n"]) == (1.1, 64)


def test_a_stream_comes_in_pieces_and_ends_with_the_reply(recorded):
    recorded.answers["/api/chat"] = (200, [piece("Twelve"), piece(" days"), piece("."), piece("", **LAST)])
    stream = OllamaModel("smollm2:135m", recorded.host).stream(ASKED, Decoding())
    pieces = [next(stream), next(stream), next(stream)]
    with pytest.raises(StopIteration) as finished:
        next(stream)
    assert pieces == ["Twelve", " days", "."]
    assert (finished.value.value.text, finished.value.value.tokens_out) == ("Twelve days.", 3)
    assert finished.value.value.tokens_in == 20


def test_a_stream_without_its_last_line_is_no_answer(recorded):
    recorded.answers["/api/chat"] = (200, [piece("Twelve")])
    stream = OllamaModel("smollm2:135m", recorded.host).stream(ASKED, Decoding())
    assert next(stream) == "Twelve"
    with pytest.raises(Unavailable, match="in the middle"):
        next(stream)


def test_a_stream_can_be_closed_early(recorded):
    recorded.answers["/api/chat"] = (200, [piece("Twelve"), piece(" days"), piece("", **LAST)])
    stream = OllamaModel("smollm2:135m", recorded.host).stream(ASKED, Decoding())
    assert next(stream) == "Twelve"
    stream.close()
    assert list(stream) == []


def test_the_digest_is_the_tags_own_and_a_plain_tag_means_latest(recorded):
    recorded.answers["/api/tags"] = (200, [TAGS])
    assert OllamaModel("smollm2:135m", recorded.host).digest() == "9077fe9d2ae1a4a4"
    assert OllamaModel("leave", recorded.host).digest() == "1111fe9d2ae1a4a4"
    assert OllamaModel("leave", recorded.host).health() == ""
    health = OllamaModel("travel", recorded.host).health()
    assert "has no model travel. It has: leave:latest, smollm2:135m" in health and "ollama pull travel" in health


def test_no_ollama_says_how_to_start_it():
    model = OllamaModel("smollm2:135m", "127.0.0.1:9")
    sentence = r"Ollama is not running at localhost:9\. Start it with: ollama serve"
    for ask in (model.reply, lambda *arguments: next(model.stream(*arguments))):
        with pytest.raises(Unavailable, match=sentence):
            ask(ASKED, Decoding())
    assert OllamaModel("x").host == "127.0.0.1:11434"
    assert "ollama serve" in model.health()


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (404, NotFound, "ollama pull smollm2:135m"),
        (400, InvalidInput, "refuses this question: invalid format"),
        (500, Unavailable, "failed: invalid format"),
    ],
)
def test_its_errors_are_sentences_whole_or_streamed(recorded, status, kind, words):
    recorded.answers["/api/chat"] = (status, [{"error": "invalid format"}])
    model = OllamaModel("smollm2:135m", recorded.host)
    for ask in (model.reply, lambda *arguments: next(model.stream(*arguments))):
        with pytest.raises(kind, match=words):
            ask(ASKED, Decoding())

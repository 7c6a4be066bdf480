"""OpenAI-compatible servers: a real llama.cpp over HTTP, and a small one that misbehaves on demand."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from engine.backends.openai_compatible import OpenAIModel, open_openai
from engine.errors import InvalidInput, NotFound, Unavailable
from engine.records import Decoding

ASKED = [{"role": "user", "content": "Name three fruits. <|im_end|>"}]
GREEDY = Decoding(max_tokens=12)
ANSWER = {"choices": [{"message": {"content": "Twelve days."}}], "usage": {"prompt_tokens": 21, "completion_tokens": 3}}


def drained(stream):
    pieces = []
    while True:
        try:
            pieces.append(next(stream))
        except StopIteration as finished:
            return pieces, finished.value


@pytest.fixture(scope="module")
def real(embedded):
    """llama.cpp's own HTTP server, with a key."""
    from xllamacpp import CommonParams, Server

    params = CommonParams()
    params.model.path = str(embedded.gguf)
    params.n_ctx, params.verbosity, params.warmup, params.api_keys = 512, -1, False, ["sesame"]
    params.cpuparams.n_threads = 2
    server = Server(params)
    server.handle_completions({"prompt": ".", "max_tokens": 1})
    yield server.listening_address


def test_a_real_server_answers_streams_and_counts(real):
    model = OpenAIModel("smollm2", real, key="sesame")
    whole = model.reply(ASKED, GREEDY)
    pieces, streamed = drained(model.stream(ASKED, GREEDY))
    assert whole.text and "".join(pieces) == streamed.text == whole.text and len(pieces) > 1
    assert whole.tokens_in == streamed.tokens_in > 5
    assert whole.tokens_out == streamed.tokens_out and 1 < whole.tokens_out <= 12
    assert 0 < streamed.first_token_ms <= streamed.latency_ms


def test_a_real_server_holds_the_answer_to_the_schema(real):
    schema = {
        "type": "object",
        "properties": {"days": {"type": "integer"}},
        "required": ["days"],
        "additionalProperties": False,
    }
    reply = OpenAIModel("smollm2", real, key="sesame").reply(ASKED, Decoding(max_tokens=30), schema=schema)
    assert isinstance(json.loads(reply.text)["days"], int)


def test_a_real_server_refuses_a_wrong_key_and_a_question_that_is_too_long(real):
    with pytest.raises(Unavailable, match="does not accept the key"):
        OpenAIModel("smollm2", real, key="wrong").reply(ASKED, GREEDY)
    with pytest.raises(InvalidInput, match="exceeds the available context"):
        OpenAIModel("smollm2", real, key="sesame").reply([{"role": "user", "content": "word " * 900}], GREEDY)


class Scripted(ThreadingHTTPServer):
    """Plays a list of (status, headers, body) and remembers what it was asked."""

    def __init__(self, replies):
        self.replies, self.heard = list(replies), []
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.do_POST()

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.server.heard.append((self.path, dict(self.headers), json.loads(body or b"null")))
        status, headers, answer = self.server.replies.pop(0)
        data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments):
        """Quiet: what was asked is in `heard`."""


@pytest.fixture
def scripted():
    servers = []

    def play(*replies) -> Scripted:
        server = Scripted(replies)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return server

    yield play
    for server in servers:
        server.shutdown()
        server.server_close()


def sse(*events) -> bytes:
    return b"".join(b"data: " + (e if isinstance(e, bytes) else json.dumps(e).encode()) + b"\n\n" for e in events)


def delta(text, finish=None):
    return {"choices": [{"delta": {"content": text}, "finish_reason": finish}]}


def test_the_request_says_what_was_decided_and_no_control_token(scripted):
    server = scripted((200, {}, ANSWER))
    reply = OpenAIModel("m", f"{server.url}/v1/", key="k").reply(ASKED, Decoding(max_tokens=9, seed=4))
    assert (reply.tokens_in, reply.tokens_out) == (21, 3)
    assert (reply.text, reply.model) == ("Twelve days.", f"openai:m@{server.url}/v1/")
    path, headers, body = server.heard[0]
    assert path == "/v1/chat/completions" and headers["Authorization"] == "Bearer k"
    assert body["messages"] == [{"role": "user", "content": "Name three fruits. < |im_end|>"}]
    assert (body["model"], body["max_tokens"], body["temperature"], body["seed"]) == ("m", 9, 0.0, 4)


def test_a_busy_server_is_asked_again_after_the_wait_it_names_then_longer_each_time(scripted):
    server = scripted((429, {"Retry-After": "7"}, {}), (500, {}, {}), (503, {}, {}), (200, {}, ANSWER))
    waits = []
    assert OpenAIModel("m", server.url, wait=waits.append).reply(ASKED, GREEDY).text == "Twelve days."
    assert waits == [7.0, 1.0, 2.0]


def test_four_failures_are_enough_and_the_reason_is_told(scripted):
    server = scripted(*[(503, {}, {"error": {"message": "Loading model."}})] * 5)
    waits = []
    with pytest.raises(Unavailable, match=r"status 503 \(Loading model\)"):
        OpenAIModel("m", server.url, wait=waits.append).reply(ASKED, GREEDY)
    assert len(server.heard) == 4 and waits == [0.5, 1.0, 2.0]


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (400, InvalidInput, "refuses this question: too many tokens"),
        (401, Unavailable, "OPENAI_API_KEY"),
        (404, NotFound, "no model m"),
    ],
)
def test_a_refusal_is_a_sentence_and_is_not_asked_again(scripted, status, kind, words):
    server = scripted((status, {}, {"error": {"message": "too many tokens"}}))
    with pytest.raises(kind, match=words):
        OpenAIModel("m", server.url).reply(ASKED, GREEDY)
    assert len(server.heard) == 1


def test_a_stream_that_breaks_off_is_no_answer_and_is_not_started_over(scripted):
    server = scripted((200, {}, sse(delta("Twel"), delta("ve"))))
    stream = OpenAIModel("m", server.url).stream(ASKED, GREEDY)
    assert [next(stream), next(stream)] == ["Twel", "ve"]
    with pytest.raises(Unavailable, match="in the middle"):
        next(stream)
    assert len(server.heard) == 1


def test_a_stream_takes_keep_alives_usage_and_an_error_event(scripted):
    usage = {"choices": [], "usage": {"completion_tokens": 5}}
    server = scripted(
        (200, {}, b": ping\n\n" + sse(delta("Twelve"), delta(" days."), delta("", "stop"), usage, b"[DONE]")),
        (200, {}, sse(delta("Twelve"), {"error": {"message": "out of memory"}})),
        (200, {}, sse(b"{half")),
    )
    model = OpenAIModel("m", server.url)
    pieces, reply = drained(model.stream(ASKED, GREEDY))
    assert pieces == ["Twelve", " days."] and reply.tokens_out == 5
    with pytest.raises(Unavailable, match="out of memory"):
        drained(model.stream(ASKED, GREEDY))
    with pytest.raises(Unavailable, match="not JSON"):
        drained(model.stream(ASKED, GREEDY))


def test_the_key_is_not_carried_along_a_redirect(scripted):
    elsewhere = scripted((200, {}, ANSWER))
    server = scripted((307, {"Location": f"{elsewhere.url}/v1/chat/completions"}, b""))
    with pytest.raises(Unavailable, match="status 307"):
        OpenAIModel("m", server.url, key="secret").reply(ASKED, GREEDY)
    assert elsewhere.heard == []


def test_no_server_is_a_sentence_and_an_answer_in_another_format_too(scripted):
    server = scripted((200, {}, b"<html>"), (200, {}, {"answer": 42}))
    for _ in range(2):
        with pytest.raises(Unavailable, match="not in the OpenAI chat format"):
            OpenAIModel("m", server.url).reply(ASKED, GREEDY)
    nobody = OpenAIModel("m", "http://127.0.0.1:9", wait=lambda seconds: None)
    with pytest.raises(Unavailable, match="cannot be reached"):
        nobody.reply(ASKED, GREEDY)
    assert "cannot be reached" in nobody.health()


def test_health_names_the_models_that_are_there(scripted):
    listed = {"data": [{"id": "small"}, {"id": "large"}]}
    server = scripted((200, {}, listed), (200, {}, listed), (404, {}, {}))
    assert OpenAIModel("small", server.url).health() == ""
    assert "no model m. It has: small, large" in OpenAIModel("m", server.url).health()
    assert OpenAIModel("m", server.url).health() == ""


def test_the_name_is_read_and_the_key_stays_out_of_sight():
    model = open_openai("openai:org/name@v2@http://localhost:8000", {"OPENAI_API_KEY": "secret"})
    assert (model.model, model.url, model.key) == ("org/name@v2", "http://localhost:8000", "secret")
    assert "secret" not in repr(model) + model.name + model.digest()
    assert model.digest() != open_openai("openai:other@http://localhost:8000", {}).digest()


@pytest.mark.parametrize(
    "spec", ["openai:name", "openai:@http://x", "openai:n@ftp://x", "openai:n@x:80", "openai:n@http://u:p@x"]
)
def test_another_shape_of_name_is_refused(spec):
    with pytest.raises(InvalidInput):
        open_openai(spec, {})

"""A server on loopback that speaks the recorded OpenAI wire format and answers as a script says; no model is needed."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = str | tuple[int, Mapping[str, str]] | float | None
"""What is said; or a status with headers; or a pause in seconds and then a word; or nothing: the connection is cut."""
Script = Callable[[Mapping[str, Any], int], Answer]
"""Of the request's body and its number, 0 for the first."""


class ScriptedServer(ThreadingHTTPServer):
    """Asks its script what to say, and remembers every body it was sent."""

    daemon_threads = True

    def __init__(self, script: Script) -> None:
        self.script, self.heard, self.lock, self.healthy = script, [], threading.Lock(), True
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: ScriptedServer

    def do_GET(self) -> None:
        """The list of models, which is what health looks at; 404 is a server without one."""
        self.send_response(404 if self.server.healthy else 503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))))
        with self.server.lock:
            number = len(self.server.heard)
            self.server.heard.append(body)
        said = self.server.script(body, number)
        if said is None:
            self.close_connection = True
            return
        if isinstance(said, tuple):
            self.send_response(said[0])
            for name, value in said[1].items():
                self.send_header(name, value)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        try:
            if isinstance(said, float):
                time.sleep(said)
                said = "late"
            for start in range(0, len(said), 40):
                self._event({"choices": [{"delta": {"content": said[start : start + 40]}, "finish_reason": None}]})
            self._event({"choices": [{"delta": {}, "finish_reason": "stop"}]})
            self._event({"choices": [], "usage": {"prompt_tokens": 700, "completion_tokens": 90}})
            self.wfile.write(b"data: [DONE]\n\n")
        except OSError:
            self.close_connection = True  # whoever asked has hung up

    def _event(self, event: object) -> None:
        self.wfile.write(b"data: " + json.dumps(event).encode() + b"\n\n")

    def log_message(self, format: str, *arguments: object) -> None:
        """Quiet: what was asked is in `heard`."""


@contextmanager
def serving(script: Script) -> Iterator[ScriptedServer]:
    """The server while the block runs."""
    server = ScriptedServer(script)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def settled() -> None:
    """Wait for calls that were under way when their run ended."""
    for thread in threading.enumerate():
        if thread.name.startswith("caller"):
            thread.join(10)

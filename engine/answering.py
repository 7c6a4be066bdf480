"""Many questions to one model: an answer row for each, in order, whatever goes wrong with any of them."""

import json
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

from engine.answers import Answers, Asked
from engine.backends import ChatModel
from engine.errors import InvalidInput, TouchstoneError
from engine.records import Decoding, Excerpt, Message, Reply
from engine.tasks import Task

WORKERS = 8
Find = Callable[[str], Sequence[Excerpt]]
"""Question -> the clauses that go into the prompt; for closed book it finds none."""


class _Stopped(Exception):
    """Nobody waits for the answer any more."""


def closed_book(question: str) -> Sequence[Excerpt]:
    """Nothing but the question at inference."""
    return ()


def answer_rows(
    model: ChatModel,
    rows: Sequence[Mapping[str, Any]],
    task: Task,
    *,
    find: Find = closed_book,
    decoding: Decoding | None = None,
    workers: int = WORKERS,
    kept: Answers | None = None,
) -> Generator[dict[str, Any], None, None]:
    """
    One answer row for each input row, same order and id; a paraphrase is asked as a second row, id + "#p".

    Keys of an input row travel through untouched. A row that fails carries `error` and an empty answer; the others go on.
    What `kept` holds is not asked again, and what is heard is kept there at once, a failure never: asked another time, only
    what is missing is asked. Closing the generator ends the answers under way within a token.
    """
    asked = [asked for row in rows for asked in _with_paraphrase(row)]
    keeping, stop = _Keeping.of(model, kept), Event()

    def ask(row: Mapping[str, Any]) -> dict[str, Any]:
        question = str(row.get("question") or "").strip()
        answer: dict[str, Any] = {**row, "answer": "", "model": model.name, "latency_ms": 0.0, "tokens_out": 0}
        if not question:
            return answer | {"error": "The row has no question."}
        try:
            reply = keeping.reply(task.messages(question, find(question)), decoding or Decoding(), stop)
        except TouchstoneError as problem:
            return answer | {"error": str(problem)}
        answer |= {
            "answer": "" if reply.error else reply.text,
            "latency_ms": round(reply.latency_ms, 1),
            "first_token_ms": round(reply.first_token_ms, 1),
            "tokens_in": reply.tokens_in,
            "tokens_out": reply.tokens_out,
        }
        return answer | ({"error": reply.error} if reply.error else {})

    with ThreadPoolExecutor(workers, thread_name_prefix="answering") as pool:
        try:
            yield from pool.map(ask, asked)
        finally:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True)
class _Keeping:
    """A model and where its answers are kept, if they are."""

    model: ChatModel
    digest: str
    kept: Answers | None

    @classmethod
    def of(cls, model: ChatModel, kept: Answers | None) -> "_Keeping":
        """A model that cannot say which it is (its server is down) is asked all the same: each row will say why it failed."""
        if kept is None:
            return cls(model, "", None)
        try:
            return cls(model, model.digest(), kept)
        except TouchstoneError:
            return cls(model, "", None)

    def reply(self, messages: Sequence[Message], decoding: Decoding, stop: Event) -> Reply:
        asked = Asked.of(self.digest, messages, decoding)
        if self.kept is not None and (known := self.kept.get(asked)) is not None:
            return known
        reply = self._heard(messages, decoding, stop)
        if self.kept is not None and not reply.error:
            self.kept.put(asked, reply)
        return reply

    def _heard(self, messages: Sequence[Message], decoding: Decoding, stop: Event) -> Reply:
        """Word by word, so that a stop need not wait for the end."""
        stream = self.model.stream(messages, decoding)
        try:
            while not stop.is_set():
                next(stream)
        except StopIteration as ended:
            reply: Reply = ended.value
            return reply
        finally:
            stream.close()
        raise _Stopped


def _with_paraphrase(row: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    yield {key: value for key, value in row.items() if key != "paraphrase"}
    if row.get("paraphrase"):
        yield {**row, "id": f"{row.get('id')}#p", "question": row["paraphrase"], "paraphrase": None}


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSON Lines file. Raises InvalidInput naming the file and the line that is not one."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InvalidInput(f"There is no file {path}. Check the path.") from None
    except (UnicodeDecodeError, IsADirectoryError, PermissionError) as problem:
        raise InvalidInput(f"{path.name} cannot be read as UTF-8 text ({problem}). Save it as JSON Lines.") from None
    rows = []
    for number, line in enumerate(text.split("\n"), start=1):  # splitlines would cut at U+2028 inside a string
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as problem:
            raise InvalidInput(f"{path.name}, line {number} is not JSON ({problem.msg}). Mend that line.") from None
        if not isinstance(row, dict):
            raise InvalidInput(f"{path.name}, line {number} is not a JSON object. Each line needs one: {{...}}.")
        rows.append(row)
    if not rows:
        raise InvalidInput(f"{path.name} has no rows. Each line needs one JSON object.")
    return rows

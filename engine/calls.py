"""Many questions to a model that costs time or money: each paid once, tried again, a few at a time, answered in order.

What a call brought is written down the moment it is there, so a run that is broken off and taken up again asks only what
is missing, and hears the same answers in the same order. A call that came to nothing although the model answers others is
written down for its own `run` alone: taken up again, that run sees the same failure, and a new run asks anew.
"""

import hashlib
import json
import math
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass, field
from functools import cached_property
from threading import Event
from typing import Protocol

from engine.backends import ChatModel, Schema
from engine.errors import InvalidInput, TouchstoneError, Unavailable
from engine.records import Call, Decoding, Message, Reply
from engine.store import Store

CHARACTERS_PER_TOKEN = 4
"""Of English, about; used only where a server does not count for us."""
REPEATS = 4
REPEATED_CHARACTERS = 80
"""A text whose end is one piece REPEATS times over, and at least so long, will not come to an end by itself."""

LOOK_S = 0.2
"""How often one who waits for an answer looks whether it is still wanted."""


class Cancelled(TouchstoneError):
    """Someone asked for the stop; nothing is wrong."""


class Calls(Protocol):
    """Where finished calls are kept. Used from many threads."""

    def get(self, digest: str) -> Call | None:
        """The call of that digest, or None."""
        ...

    def put(self, call: Call) -> None:
        """Keep it. A digest that is kept already stays as it is."""
        ...


@dataclass
class CallsInMemory:
    """For a run that nobody will take up again."""

    kept: dict[str, Call] = field(default_factory=dict)

    def get(self, digest: str) -> Call | None:
        return self.kept.get(digest)

    def put(self, call: Call) -> None:
        self.kept.setdefault(call.digest, call)


@dataclass(frozen=True)
class StoredCalls:
    """Kept in the workspace's file: whoever resumes, and every later version, finds them."""

    store: Store
    now: Callable[[], str]

    def get(self, digest: str) -> Call | None:
        return self.store.teacher_call(digest)

    def put(self, call: Call) -> None:
        self.store.add_teacher_call(call, now=self.now())


@dataclass(frozen=True)
class Prompt:
    """All that decides an answer, the model apart."""

    messages: tuple[Message, ...]
    schema: Schema | None
    decoding: Decoding


@dataclass(frozen=True)
class Answer:
    """What came of one prompt: a text, or the sentence that says why there is none."""

    text: str = ""
    error: str = ""
    fresh: bool = False  # asked now, not read from what is kept
    down: bool = False  # the model could not be reached or broke off, as often as it was tried
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0
    at: float = 0.0  # when it was finished, on the monotonic clock


@dataclass(frozen=True)
class Estimate:
    """What a run will take. `calls` are those still to be paid; `cost` is None where no price was given."""

    calls: int
    kept: int  # paid earlier
    tokens_in: int
    tokens_out: int
    minutes: float
    cost: float | None = None

    def __str__(self) -> str:
        if not self.calls:
            return f"All {self.kept} calls were made earlier and are kept: nothing is to be paid."
        cost = "" if self.cost is None else f", about {self.cost:.2f} in the currency of your prices"
        kept = f" ({self.kept} more are kept from earlier)" if self.kept else ""
        return (
            f"{self.calls} calls{kept}, about {self.tokens_in:,} tokens read and {self.tokens_out:,} written, "
            f"about {max(1, math.ceil(self.minutes))} min{cost}."
        )


@dataclass
class Caller:
    """One model and what is kept of it. `run` names the work that may be taken up again: "leave:3"."""

    model: ChatModel
    calls: Calls
    run: str = ""
    workers: int = 4
    tries: int = 3
    timeout_s: float = 300.0  # for one answer, from the first to the last word
    down_after: int = 3  # calls in a row
    stop: Event = field(default_factory=Event)
    stopped: Callable[[], bool] = lambda: False  # asked beside `stop`, for one who can only be asked
    wait: Callable[[float], object] | None = None  # seconds between tries; by default until `stop` is set
    _takes_schema: bool = True

    @cached_property
    def digest(self) -> str:
        """The model's own; asked for once. Raises Unavailable or NotFound where only the server knows it."""
        return self.model.digest()

    def digest_of(self, prompt: Prompt) -> str:
        """What a call is kept under."""
        decided = [self.digest, list(prompt.messages), prompt.schema, asdict(prompt.decoding)]
        return hashlib.sha256(json.dumps(decided, sort_keys=True, ensure_ascii=False).encode()).hexdigest()

    def ask(self, prompt: Prompt, halt: Event | None = None) -> Answer:
        """
        The kept answer, else a fresh one, which is kept. Time-outs and failing servers are tried again, waiting longer.

        What this one prompt runs into is the Answer's `error`. Raises NotFound for a model that is not there, and
        Cancelled once `halt` or `stop` is set.
        """
        halt = halt or self.stop
        digest = self.digest_of(prompt)
        known = self.calls.get(digest)
        if known is not None:
            return Answer(known.reply, tokens_in=known.tokens_in, tokens_out=known.tokens_out)
        failed = self.calls.get(self._of_failure(digest)) if self.run else None
        if failed is not None:
            return Answer(error=failed.reply)
        for attempt in range(1, self.tries + 1):
            self._raise_if_stopped(halt)
            started = time.perf_counter()
            try:
                reply = self._heard(prompt, halt)
            except InvalidInput as problem:
                return Answer(error=str(problem), fresh=True, at=time.monotonic())
            except Unavailable as problem:
                if attempt == self.tries:
                    return Answer(error=str(problem), fresh=True, down=True, at=time.monotonic())
                (self.wait or halt.wait)(2.0 ** (attempt - 1))
            else:
                written = "\n\n".join(f"{message['role']}: {message['content']}" for message in prompt.messages)
                tokens_in = reply.tokens_in or len(written) // CHARACTERS_PER_TOKEN
                tokens_out = reply.tokens_out or len(reply.text) // CHARACTERS_PER_TOKEN
                self.calls.put(Call(digest, self.model.name, written, reply.text, tokens_in, tokens_out))
                return Answer(
                    reply.text,
                    fresh=True,
                    tokens_in=tokens_in,
                    tokens_out=tokens_out,
                    seconds=time.perf_counter() - started,
                    at=time.monotonic(),
                )
        raise AssertionError("the last try returns")

    def ask_all(self, prompts: Iterable[Prompt]) -> Generator[Answer, None, None]:
        """
        The answers in the order of the prompts, `workers` asked at once. Closing it, or setting `stop`, ends the work.

        A failure is handed out once an answer that came after it, or at the end the model's health, has shown that the model
        still answers. Raises Unavailable when `down_after` calls came to nothing since the last answer: that is not the
        rows' fault, and nothing of it is handed out or kept.
        """
        held: list[tuple[Prompt, Answer]] = []
        alive_at = 0.0  # when it last answered; what failed after that may be the model's fault

        def doubtful(answer: Answer) -> bool:
            return bool(answer.fresh and answer.error and answer.at > alive_at and (answer.down or not alive_at))

        with closing(self._in_order(prompts)) as answers:
            for prompt, answer in answers:
                held.append((prompt, answer))
                if answer.fresh and not answer.error:
                    alive_at = max(alive_at, answer.at)
                if sum(doubtful(answer) for _, answer in held) >= self.down_after:
                    raise self._gone(answer)
                clear = next((place for place, (_, answer) in enumerate(held) if doubtful(answer)), len(held))
                yield from self._handed_out(held[:clear])
                held = held[clear:]
        if held and self.model.health():
            raise self._gone(next(answer for _, answer in reversed(held) if doubtful(answer)))
        yield from self._handed_out(held)

    def cancel(self) -> None:
        """Stop within a word; the one who reads the answers gets Cancelled."""
        self.stop.set()

    def _in_order(self, prompts: Iterable[Prompt]) -> Generator[tuple[Prompt, Answer], None, None]:
        waiting: deque[tuple[Prompt, Future[Answer]]] = deque()
        halt = Event()  # of this pass: one who stops reading stops what is under way, and may start again
        pool = ThreadPoolExecutor(self.workers, thread_name_prefix="caller")
        try:
            for prompt in prompts:
                waiting.append((prompt, pool.submit(self.ask, prompt, halt)))
                if len(waiting) >= 2 * self.workers:
                    first, answer = waiting.popleft()
                    yield first, self._result(answer)
            while waiting:
                first, answer = waiting.popleft()
                yield first, self._result(answer)
        finally:
            halt.set()
            pool.shutdown(wait=False, cancel_futures=True)  # a silent server is not waited for

    def _result(self, answer: Future[Answer]) -> Answer:
        while True:
            try:
                return answer.result(timeout=LOOK_S)
            except TimeoutError:
                self._raise_if_stopped(self.stop)

    def _raise_if_stopped(self, halt: Event) -> None:
        if halt.is_set() or self.stop.is_set() or self.stopped():
            raise Cancelled("Stopped. What was paid for is kept; resume to go on.")

    def _handed_out(self, held: Sequence[tuple[Prompt, Answer]]) -> Iterator[Answer]:
        for prompt, answer in held:
            if answer.error and answer.fresh and self.run:
                failure = self._of_failure(self.digest_of(prompt))
                self.calls.put(Call(failure, self.model.name, prompt.messages[-1]["content"], answer.error))
            yield answer

    def _gone(self, answer: Answer) -> Unavailable:
        return Unavailable(
            f"{self.model.name} gives no answers, so the run stops here ({answer.error}) "
            "What it gave before is kept: mend it and resume."
        )

    def _of_failure(self, digest: str) -> str:
        return hashlib.sha256(f"failed/{self.run}/{digest}".encode()).hexdigest()

    def _heard(self, prompt: Prompt, halt: Event) -> Reply:
        """Held to the schema where the engine can; once it has answered without, it is not asked to again."""
        if self._takes_schema and prompt.schema is not None:
            try:
                return self._listen(prompt, prompt.schema, halt)
            except InvalidInput as refused:
                try:
                    reply = self._listen(prompt, None, halt)
                except InvalidInput:
                    raise refused from None
                self._takes_schema = False
                return reply
        return self._listen(prompt, None, halt)

    def _listen(self, prompt: Prompt, schema: Schema | None, halt: Event) -> Reply:
        """The answer, heard word by word, so that a stop, the clock or a text that goes in circles can end it."""
        started, text, checked = time.perf_counter(), "", 0
        stream = self.model.stream(prompt.messages, prompt.decoding, schema=schema)
        try:
            while True:
                self._raise_if_stopped(halt)
                if time.perf_counter() - started > self.timeout_s:
                    raise Unavailable(f"{self.model.name} took over {self.timeout_s:.0f} s for one answer. Ask later.")
                text += next(stream)
                if len(text) - checked >= REPEATED_CHARACTERS:
                    checked = len(text)
                    if goes_in_circles(text):
                        words = len(text) // CHARACTERS_PER_TOKEN
                        return Reply(text, self.model.name, words, (time.perf_counter() - started) * 1000)
        except StopIteration as ended:
            reply: Reply = ended.value
        finally:
            stream.close()
        if reply.error:
            raise Unavailable(reply.error)
        return reply


def estimate(caller: Caller, prompts: Sequence[Prompt], *, prices: tuple[float, float] | None = None) -> Estimate:
    """
    From the first and the middle call, which are made now, timed and kept; the rest is taken to be like them.

    `prices`: per million tokens read and written. Raises Unavailable when the model does not answer.
    """
    missing = [prompt for prompt in prompts if caller.calls.get(caller.digest_of(prompt)) is None]
    samples = [caller.ask(missing[place]) for place in sorted({0, len(missing) // 2})] if missing else []
    for answer in samples:
        if answer.down:
            raise Unavailable(answer.error)
    heard = [answer for answer in samples if answer.fresh and not answer.error]
    calls = len(missing) - len(samples)
    tokens_in = calls * sum(answer.tokens_in for answer in heard) // max(1, len(heard))
    tokens_out = calls * sum(answer.tokens_out for answer in heard) // max(1, len(heard))
    seconds = sum(answer.seconds for answer in heard) / max(1, len(heard))
    cost = (tokens_in * prices[0] + tokens_out * prices[1]) / 1e6 if prices else None
    minutes = math.ceil(calls / caller.workers) * seconds / 60
    return Estimate(calls, len(prompts) - calls, tokens_in, tokens_out, minutes, cost)


def goes_in_circles(text: str) -> bool:
    """Whether the text ends in one piece over and over (REPEATS, REPEATED_CHARACTERS)."""
    tail = text[-4000:]
    if len(tail) < REPEATED_CHARACTERS:
        return False
    needle = tail[-16:]
    before = tail.rfind(needle, 0, len(tail) - 1)
    period = len(tail) - 16 - before
    length = max(REPEATS * period, REPEATED_CHARACTERS)
    return before >= 0 and length <= len(tail) and tail[-length:-period] == tail[-(length - period) :]

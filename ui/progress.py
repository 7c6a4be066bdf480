"""Work that takes a while, in a tab: its progress as it goes, its result at the end, and a stop that reaches it."""

from collections.abc import Callable, Generator
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any

from engine.watching import TimeLeft, Watch
from ui.tables import pace


class _Cancelled(Exception):
    """The visitor pressed Cancel; the work is left at its next report."""


def told_as_it_goes(work: Callable[[Watch], Any]) -> Generator[str, None, Any]:
    """
    Run `work(watch)` on a thread, yield its progress as HTML, return its result and raise what it raises.

    Closing the iterator, which is what Cancel does, stops the work at its next report.
    """
    heard: SimpleQueue[tuple[str, int, int] | None] = SimpleQueue()
    stop = Event()
    left = TimeLeft()
    outcome: list[Any] = []

    def watch(what: str, done: int, total: int) -> None:
        if stop.is_set():
            raise _Cancelled
        heard.put((what, done, total))

    def run() -> None:
        try:
            outcome.append(work(watch))
        except BaseException as problem:  # raised again where the visitor waits
            outcome.append(problem)
        finally:
            heard.put(None)

    Thread(target=run, name="evaluate", daemon=True).start()
    try:
        while (told := heard.get()) is not None:
            what, done, total = told
            yield pace(done, total, left.told(what, done, total))
    finally:
        stop.set()
    if isinstance(outcome[0], BaseException):
        raise outcome[0]
    return outcome[0]

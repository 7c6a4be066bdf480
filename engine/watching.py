"""How long work says where it stands: one callback for the page's bar and the command line's."""

import math
import time
from collections import deque
from collections.abc import Callable

Watch = Callable[[str, int, int], None]
"""Told (what is being done, done so far, of how many)."""


PACE_OF_S = 30.0
FIRST_WORD_S = 3.0


def ignore(what: str, done: int, total: int) -> None:
    """For callers who do not watch."""


class TimeLeft:
    """
    Told how far each piece of work is, says it in words with the time that is left: "Asking base: 12 of 60, about 2 min left".

    By the pace of the last half minute, so that what was found done already does not promise a pace that nobody keeps.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._what = ""
        self._seen: deque[tuple[float, int]] = deque()

    def told(self, what: str, done: int, total: int) -> str:
        """The same sentence without the time in the first seconds and at the end."""
        now = self._clock()
        if what != self._what:
            self._what = what
            self._seen.clear()
        self._seen.append((now, done))
        while now - self._seen[1 if len(self._seen) > 2 else 0][0] > PACE_OF_S:
            self._seen.popleft()
        since, before = self._seen[0]
        told = f"{what}: {done} of {total}"
        if done >= total or done == before or now - since < FIRST_WORD_S:
            return told
        left_s = (total - done) * (now - since) / (done - before)
        return (
            f"{told}, about {math.ceil(left_s / 60)} min left" if left_s > 90 else f"{told}, about {left_s:.0f} s left"
        )

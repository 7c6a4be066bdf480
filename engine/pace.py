"""On how many threads a training step computes: all it was given, and one fewer while another program holds a core."""

from collections import deque
from collections.abc import Callable
from statistics import median

SLOW = 2.2
"""A step that takes so many times the usual is waiting for a core; batches of one run differ by less."""
IN_A_ROW = 3
USUAL_OF = 200  # steps
TRY_AGAIN_S, LONGEST_S = 45.0, 360.0


class Pace:
    """
    Told what each step took; sets the number of threads when that should change.

    The threads of a step wait for each other thousands of times, so one that is not scheduled holds up all of them: beside a
    test run of the lowest priority a step on both of two cores took 5.4 s, and 0.78 as soon as that was paused; two trainings
    of one thread each, side by side, took 2 to 2.5 s a step. After `TRY_AGAIN_S` all threads are tried again, after each vain
    try later, at the latest after `LONGEST_S`.
    """

    def __init__(self, threads: int, set_threads: Callable[[int], object]) -> None:
        """`threads`: the most that a step may use, and uses now."""
        self._threads, self._set = threads, set_threads
        self._usual: deque[float] = deque(maxlen=USUAL_OF)  # seconds a token, of steps that were not slow
        self._slow_in_a_row, self._fewer_for_s = 0, 0.0
        self._try_again_s = TRY_AGAIN_S
        self.fewer = False

    def took(self, seconds: float, tokens: int) -> None:
        """One step of so many tokens is over."""
        if self._threads < 2 or tokens <= 0:
            return
        if self.fewer:
            self._fewer_for_s += seconds
            if self._fewer_for_s >= self._try_again_s:
                self._use(all_of_them=True)
            return
        per_token = seconds / tokens
        slow = len(self._usual) >= IN_A_ROW and per_token > SLOW * median(self._usual)
        if slow:
            self._slow_in_a_row += 1
        else:
            self._usual.append(per_token)
            self._slow_in_a_row = 0
            self._try_again_s = max(TRY_AGAIN_S, self._try_again_s - seconds)
        if self._slow_in_a_row >= IN_A_ROW:
            self._use(all_of_them=False)

    def _use(self, *, all_of_them: bool) -> None:
        self.fewer, self._slow_in_a_row = not all_of_them, 0
        if self.fewer:
            self._fewer_for_s = 0.0
        else:
            self._try_again_s = min(2 * self._try_again_s, LONGEST_S)
        self._set(self._threads if all_of_them else self._threads - 1)

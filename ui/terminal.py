"""What the command line shows: one progress bar at a time, aligned tables, JSON as the last line when asked."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tqdm import tqdm


@dataclass
class Screen:
    """Where a command speaks. With `as_json`, people's words go to stderr and the result is the last line of stdout."""

    as_json: bool = False
    _bar: Any = field(default=None, repr=False)
    _what: str = ""

    def say(self, text: str = "") -> None:
        """A line for people."""
        self.done()
        print(text, file=sys.stderr if self.as_json else sys.stdout, flush=True)

    def watch(self, what: str, done: int, total: int, note: str = "") -> None:
        """Progress of something that may take over two seconds; a new `what` starts a new bar. `note` stands behind it."""
        if what != self._what:
            self.done()
            self._what = what
            self._bar = tqdm(total=total, desc=what, unit="", delay=1, leave=False, dynamic_ncols=True, file=sys.stderr)
        self._bar.total = total
        if note:
            self._bar.set_postfix_str(note, refresh=False)
        self._bar.n = done
        self._bar.refresh() if done >= total else self._bar.update(0)

    def done(self) -> None:
        """Close the bar that is open, if one is."""
        if self._bar is not None:
            self._bar.close()
        self._bar, self._what = None, ""

    def table(self, rows: Sequence[Sequence[object]], *, head: Sequence[str]) -> None:
        """Columns as wide as their widest cell; numbers to the right."""
        cells = [[str(cell) for cell in row] for row in [head, *rows]]
        widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
        for row in cells:
            self.say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())

    def result(self, found: Mapping[str, Any]) -> None:
        """The command's result as one JSON object, when it was asked for."""
        self.done()
        if self.as_json:
            print(json.dumps(found, ensure_ascii=False, default=str), flush=True)

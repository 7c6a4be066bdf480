"""CSV as spreadsheet programs write it: cells restored, wrong rows named, a quote that is never closed costs one row."""

import csv
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path

from engine.errors import InvalidInput
from engine.exchange.jsonl import SHOWN, Item, Oddities
from engine.exchange.shapes import shape_of, wanted
from engine.exchange.spreadsheet import unguarded

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
TOO_LONG = "\udbff"  # stands for a line that was too long to read; no decoded text holds it


class _Feed:
    """Lines for csv.reader that can be given back."""

    def __init__(self, lines: Iterable[tuple[int, str | None]]) -> None:
        self._lines, self._again = iter(lines), deque[tuple[int, str]]()
        self.taken: list[tuple[int, str]] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._again:
            number, text = self._again.popleft()
        else:
            number, read = next(self._lines)
            text = TOO_LONG if read is None else read
        self.taken.append((number, text))
        return text

    def give_back(self) -> None:
        """All lines of this row but its first are read anew."""
        self._again.extendleft(reversed(self.taken[1:]))


def csv_rows(path: Path, lines: Iterable[tuple[int, str | None]], odd: Oddities) -> Iterator[Item]:
    """Raises InvalidInput, before the first row, unless the first line names columns that make a row."""
    feed = _Feed(lines)
    first = next(feed, "")
    if first.lower().startswith("sep="):
        first = next(feed, "")
    delimiter, names = _header(path, first)
    if delimiter != ",":
        odd.note(f"Its cells are separated by {DELIMITERS[delimiter]}", 1)
    reader = csv.reader(feed, delimiter=delimiter, strict=True)
    while True:
        feed.taken.clear()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as problem:
            number, text = feed.taken[0]
            yield Item(number, None, _reason(problem), text[:SHOWN])
            feed.give_back()
            reader = csv.reader(feed, delimiter=delimiter, strict=True)
            continue
        number, text = feed.taken[0]
        if TOO_LONG in "".join(cells):
            yield Item(number, None, "a line of over 1 MiB. Is a quote never closed? Split it.")
        elif not any(cells):
            odd.note("Empty lines were skipped", number)
        elif len(cells) != len(names):
            reason = "more cells than columns: put a text that holds the separator in double quotes."
            if len(cells) < len(names):
                reason = "fewer cells than columns. Fill the row up, or leave it out."
            yield Item(number, None, reason, text[:SHOWN])
        else:
            yield Item(number, dict(zip(names, map(unguarded, cells), strict=True)))


def _header(path: Path, line: str) -> tuple[str, list[str]]:
    """The separator and the columns, lower-cased. Raises InvalidInput when they make no row."""
    seen: list[str] = []
    for delimiter in DELIMITERS:
        try:
            cells = next(csv.reader([line], delimiter=delimiter), [])
        except csv.Error:
            continue
        names = [cell.strip().lower() for cell in cells]
        if shape_of(dict.fromkeys(names)):
            twice = [name for name in names if name and names.count(name) > 1]
            if twice:
                raise InvalidInput(f'{path.name} has two columns "{twice[0]}". Rename or remove one.')
            return delimiter, names
        seen = max(seen, cells, key=len)
    named = ", ".join(f'"{cell[:40]}"' for cell in seen[:12]) or "nothing"
    raise InvalidInput(
        f"{path.name} has no columns that make a row: its first line holds {named}. Wanted: {wanted()}. Name the columns in the "
        "first line, separated by commas, semicolons or tabs."
    )


def _reason(problem: csv.Error) -> str:
    if "field larger" in str(problem) or "unexpected end" in str(problem):
        return "a quote is opened and never closed. Close it, or double it where it belongs to the text."
    if "new-line" in str(problem):
        return "a line break stands in a cell without quotes. Put the cell in double quotes."
    return "a quote stands inside a quoted cell. Double it."

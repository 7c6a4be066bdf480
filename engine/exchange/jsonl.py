"""JSON Lines and JSON arrays as real files have them: record by record, each fault named, memory flat."""

import codecs
import json
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

LONGEST_RECORD = 2**20
"""Bytes of one line or one record; a row the base model can learn has a hundredth of it."""
SHOWN = 300
INSIDE, OUTSIDE = re.compile(r'["\\]'), re.compile(r'[{}"]')
BOM = "\ufeff"


@dataclass(frozen=True)
class Item:
    """What stands at one place of a file: a record, or the reason why there is none."""

    line: int
    record: Mapping[str, Any] | None
    reason: str = ""
    shown: str = ""  # the start of what stood there, where it is no record


@dataclass
class Oddities:
    """What is strange in a file and yet did no harm: how often, and where first."""

    found: dict[str, tuple[int, int]] = field(default_factory=dict)

    def note(self, what: str, line: int) -> None:
        """Seen once more."""
        times, first = self.found.get(what, (0, line))
        self.found[what] = (times + 1, first)

    def sentences(self) -> list[str]:
        """One sentence each."""
        return [f"{what} ({times} times, first on line {first})." for what, (times, first) in self.found.items()]


class Twice(ValueError):
    """An object that names a key twice."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise Twice(key)
        found[key] = value
    return found


DECODER = json.JSONDecoder(object_pairs_hook=_once)


def lines_of(file: BinaryIO, odd: Oddities) -> Iterator[tuple[int, str | None]]:
    """(line number, text with its line end); None for a line over LONGEST_RECORD. Bytes that are not UTF-8 stay lone surrogates."""
    number = 0
    while raw := file.readline(LONGEST_RECORD + 1):
        number += 1
        if len(raw) > LONGEST_RECORD and not raw.endswith(b"\n"):
            while (rest := file.readline(LONGEST_RECORD)) and not rest.endswith(b"\n"):
                pass
            yield number, None
            continue
        text = raw.decode("utf-8", "surrogateescape")
        if text.startswith(BOM):
            odd.note("A byte order mark was skipped", number)
        yield number, text.lstrip(BOM)


def json_lines(lines: Iterable[tuple[int, str | None]], odd: Oddities) -> Iterator[Item]:
    """One record a line; also several on a line, commas after them, and the brackets of an array around them."""
    for number, text in lines:
        if text is None:
            yield Item(number, None, _too_long("line"))
        elif not text.strip():
            odd.note("Empty lines were skipped", number)
        elif text.strip() not in ("[", "]"):
            yield from _on_a_line(number, text.strip(), odd)


def _on_a_line(number: int, text: str, odd: Oddities) -> Iterator[Item]:
    at = found = 0
    while at < len(text):
        try:
            record, at = DECODER.raw_decode(text, at)
        except (ValueError, RecursionError) as problem:
            yield Item(number, None, _reason(text, problem), text[at : at + SHOWN])
            return
        found += 1
        if isinstance(record, dict):
            yield Item(number, record)
        else:
            yield Item(number, None, "not an object. Write {…} with the columns by name.", text[:SHOWN])
        after = re.compile(r"[\s,]*").match(text, at)
        assert after is not None
        if "," in after[0]:
            odd.note("A comma after an object was skipped", number)
        at = after.end()
        if found == 2:
            odd.note("Several objects stand on one line; each was read", number)


def json_objects(file: BinaryIO, odd: Oddities) -> Iterator[Item]:
    """The objects of an array, or of JSON written over several lines, wherever its lines end."""
    scan = _Scan(odd)
    decode = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode
    while raw := file.read(2**16):
        yield from scan.feed(decode(raw))
    yield from scan.feed(decode(b"", True))
    yield from scan.end()


class _Scan:
    """Finds where each outermost object begins and ends, by its braces and quotes."""

    def __init__(self, odd: Oddities) -> None:
        self.odd = odd
        self.line = self.ended_on = 1
        self.listed = False  # inside the brackets of an array
        self.depth = 0
        self.quoted = self.escaped = self.too_long = False
        self.begun_on = 1
        self.held: list[str] = []
        self.size = 0
        self.found: deque[Item] = deque()

    def feed(self, piece: str) -> Iterator[Item]:
        at = begin = counted = 0
        while True:
            if self.escaped and at < len(piece):
                at, self.escaped = at + 1, False
            match = (INSIDE if self.quoted else OUTSIDE).search(piece, at)
            if match is None:
                break
            at = match.end()
            if match[0] == "\\":
                self.escaped = True
            elif match[0] == '"':
                self.quoted = not self.quoted
            elif match[0] == "{":
                if self.depth == 0:
                    self._between(piece[begin : match.start()])
                    begin = match.start()
                    self.line += piece.count("\n", counted, begin)
                    counted, self.begun_on = begin, self.line
                self.depth += 1
            elif self.depth:
                self.depth -= 1
                if self.depth == 0:
                    self._object(piece[begin:at])
                    self.line += piece.count("\n", counted, at)
                    begin = counted = at
                    self.ended_on = self.line
        self.line += piece.count("\n", counted)
        self._hold(piece[begin:])
        while self.found:
            yield self.found.popleft()

    def end(self) -> Iterator[Item]:
        if self.depth or self.quoted:
            reason = _too_long("record") if self.too_long else CUT_OFF
            yield Item(self.begun_on, None, reason, "".join(self.held)[:SHOWN])
        else:
            self._between("")
            if self.listed:
                self.odd.note("The list is never closed; was the file cut off?", self.line)
            yield from self.found

    def _hold(self, text: str) -> None:
        self.size += len(text)
        if self.size > LONGEST_RECORD:
            self.too_long, self.held = True, ["".join(self.held)[:SHOWN]]
        else:
            self.held.append(text)

    def _taken(self, text: str) -> str:
        self._hold(text)
        whole, self.held, self.size = "".join(self.held), [], 0
        return whole

    def _object(self, text: str) -> None:
        whole, too_long = self._taken(text), self.too_long
        self.too_long = False
        if too_long:
            self.found.append(Item(self.begun_on, None, _too_long("record"), whole[:SHOWN]))
            return
        try:
            self.found.append(Item(self.begun_on, DECODER.decode(whole)))
        except (ValueError, RecursionError) as problem:
            self.found.append(Item(self.begun_on, None, _reason(whole, problem), whole[:SHOWN]))

    def _between(self, text: str) -> None:
        whole = self._taken(text)
        stray = whole.strip(" \t\r\n,[]" + BOM)
        if stray or self.too_long:
            line = self.ended_on + whole[: whole.find(stray)].count("\n")
            self.found.append(Item(line, None, "not an object. Write {…} with the columns by name.", stray[:SHOWN]))
        self.listed = (self.listed or "[" in whole) and "]" not in whole
        self.too_long = False


CUT_OFF = "not JSON: it ends in the middle of an object. Was the file cut off? Write the object to its end."


def _reason(text: str, problem: Exception) -> str:
    """Why a text is not JSON, in words that are the same for the same fault."""
    if isinstance(problem, Twice):
        return f'it names "{str(problem)[:40]}" twice. Keep one of them.'
    if isinstance(problem, RecursionError):
        return "not JSON that can be read: it is nested too deep. Write the row flat."
    if not isinstance(problem, json.JSONDecodeError):
        return "not JSON that can be read: a number is too long. Write it as text."
    before, here = text[: problem.pos].rstrip(), text[problem.pos :].lstrip()
    if before.endswith(",") and here[:1] in ("}", "]"):
        return "not JSON: a comma stands before a closing bracket. Remove it."
    if here.startswith("'"):
        return "not JSON: single quotes. Use double quotes; Python's json.dumps writes them."
    if not here or problem.msg.startswith("Unterminated"):
        return CUT_OFF
    if problem.msg.startswith("Invalid control"):
        return "not JSON: a tab or line break stands in a text. Write it as \\t or \\n."
    return "not JSON. Check its brackets, commas and quotes."


def _too_long(what: str) -> str:
    return f"a {what} of over {LONGEST_RECORD // 2**20} MiB. Is a bracket or a quote never closed? Split it."

"""Pages set in columns: which lines stand in which, and the order to read them in when the file has them row by row."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from engine.documents.pdf_lines import Line, Page, Word
from engine.documents.pdf_tables import table_areas

_FEWEST = 4
"""Lines that each of two columns must have side by side before a page is taken for one set in columns."""

_PROSE = 18
"""Characters that a line in a column of text has on average; what is shorter is a table."""


@dataclass(frozen=True)
class _Part:
    """What of a line stands on one side of the gutter."""

    whole: Line
    line: Line
    side: int  # 0 left, 1 right


@dataclass(frozen=True)
class _Band:
    """The part of a page between two lines that run across, and those that stand above it."""

    across: tuple[Line, ...]
    parts: tuple[_Part, ...]  # in the order of the file

    def side(self, number: int) -> list[Line]:
        """The lines left (0) or right (1) of the gutter."""
        return [part.line for part in self.parts if part.side == number]

    @property
    def switches(self) -> int:
        """How often the file changes from one side to the other."""
        return sum(one.side != two.side for one, two in pairwise(self.parts))

    @property
    def is_set_in_columns(self) -> bool:
        """Whether there is text, and no table, on both sides."""
        return _is_prose(self.side(0)) and _is_prose(self.side(1))


def in_reading_order(page: Page, size: float) -> Page:
    """
    The page with each line in its column, columns from left to right and each from top to bottom; `size` is the body's.

    A page whose file already has one column after the other keeps its order. Lines of ruled tables run across.
    """
    tables = table_areas(page)
    held = {id(line) for line in page.lines if any(foot < line.y < top for foot, top in tables)}
    return replace(page, lines=_ordered(page.lines, size, held, column=0))


def _ordered(lines: Sequence[Line], size: float, held: set[int], *, column: int) -> list[Line]:
    """The lines in reading order; `column` is that of those that stand in no column within this one."""
    gutter = _gutter(lines, size, held)
    if gutter is None:
        return [replace(line, column=column) for line in lines]
    bands = list(_bands(lines, gutter, size, held))
    if sum(band.switches for band in bands) <= 2 * len(bands):  # one column after the other, in the file itself
        sides = {id(part.line): part.side for band in bands if band.is_set_in_columns for part in band.parts}
        return [
            replace(line, column=2 * column + 1 + sides[id(line)] if id(line) in sides else column) for line in lines
        ]
    found: list[Line] = []
    for band in bands:
        found += [replace(line, column=column) for line in band.across]
        if band.is_set_in_columns:
            for side in (0, 1):
                found += _ordered(_from_top(band.side(side), size), size, held, column=2 * column + 1 + side)
        else:
            whole = {id(part.whole): part.whole for part in band.parts}
            found += [replace(line, column=column) for line in whole.values()]
    return found


def _gutter(lines: Sequence[Line], size: float, held: set[int]) -> float | None:
    """Where the blank strip between two columns ends, in points; None for a page that is not set in columns."""
    if not lines:
        return None
    left, right = min(line.x0 for line in lines), max(line.x1 for line in lines)
    starts = Counter(round(x0) for line in lines if id(line) not in held for x0 in _starts(line, size))
    near = {x: starts[x - 1] + starts[x] + starts[x + 1] for x in starts}
    span = max(right - left, 1.0)
    candidates = sorted(x for x, count in near.items() if count >= _FEWEST and 0.2 < (x - left) / span < 0.8)
    best, most = None, 0
    for x in candidates:
        gutter = x - 2.0
        bands = list(_bands(lines, gutter, size, held))
        score = sum(len(band.parts) - len(band.across) for band in bands if _side_by_side(band.side(0), band.side(1)))
        if score > most:
            best, most = gutter, score
    return best


def _starts(line: Line, size: float) -> Iterator[float]:
    """Where the line starts, and where it goes on after a gap."""
    yield line.x0
    for one, two in pairwise(line.words):
        if two.x0 - one.x1 > 0.9 * size:
            yield two.x0


def _bands(lines: Sequence[Line], gutter: float, size: float, held: set[int]) -> Iterator[_Band]:
    """The page from top to bottom as the gutter parts it."""
    across: list[Line] = []
    parts: list[_Part] = []
    for line in lines:
        sides = None if id(line) in held else _parted(line, gutter, size)
        if sides is None:
            across.append(line)
        else:
            parts += [_Part(line, part, side) for side, part in enumerate(sides) if part is not None]
    rights = [part.line.y for part in parts if part.side == 1]
    wide = {id(part) for part in parts if _is_wide_heading(part, size, rights)}
    across += [part.line for part in parts if id(part) in wide]
    parts = [part for part in parts if id(part) not in wide]
    edges = [float("inf"), *sorted((line.y for line in across), reverse=True), float("-inf")]
    above: list[Line] = []
    for upper, lower in pairwise(edges):
        above += [line for line in across if line.y == upper and not any(line is known for known in above)]
        inside = [part for part in parts if lower < part.line.y <= upper]
        if inside:
            yield _Band(tuple(above), tuple(inside))
            above = []
    if above:
        yield _Band(tuple(above), ())


def _is_wide_heading(part: _Part, size: float, rights: Sequence[float]) -> bool:
    """A heading over both columns that is too short to reach across the gutter: nothing stands beside it."""
    line = part.line
    return part.side == 0 and line.size > 1.15 * size and not any(abs(line.y - y) < 1.3 * line.size for y in rights)


def _parted(line: Line, gutter: float, size: float) -> tuple[Line | None, Line | None] | None:
    """The line's part left and right of the gutter; None when it runs across it."""
    if line.x1 <= gutter:
        return line, None
    if line.x0 >= gutter:
        return None, line
    left = [word for word in line.words if word.x1 <= gutter]
    right = [word for word in line.words if word.x0 >= gutter]
    if len(left) + len(right) < len(line.words) or not left or not right or _gap(left, right) < 0.9 * size:
        return None
    return Line.of(left, line.page), Line.of(right, line.page)


def _gap(left: Sequence[Word], right: Sequence[Word]) -> float:
    return min(word.x0 for word in right) - max(word.x1 for word in left)


def _is_prose(lines: Sequence[Line]) -> bool:
    return bool(lines) and sum(len(line.text) for line in lines) >= _PROSE * len(lines)


def _side_by_side(left: Sequence[Line], right: Sequence[Line]) -> bool:
    """Two columns of text next to one another: enough lines of prose that mostly fill their column."""
    if min(len(left), len(right)) < _FEWEST or not (_is_prose(left) and _is_prose(right)):
        return False
    for side in (left, right):
        width = max(line.x1 for line in side) - min(line.x0 for line in side)
        lengths = sorted(line.x1 - line.x0 for line in side)
        if lengths[len(lengths) // 2] < 0.6 * width:
            return False
    foot = max(min(line.y for line in side) for side in (left, right))
    top = min(max(line.y for line in side) for side in (left, right))
    return top > foot


def _from_top(lines: Sequence[Line], size: float) -> list[Line]:
    """From top to bottom; the order of the file where it goes down anyway."""
    if all(one.y - two.y > -0.5 * size for one, two in pairwise(lines)):
        return list(lines)
    return sorted(lines, key=lambda line: (-round(line.y), line.x0))

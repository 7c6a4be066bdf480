"""Tables on a PDF page, ruled or only aligned: which lines they take up, and their cells."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

from engine.documents.pdf_lines import Line, Page, Rule, Spelling, Word, join_lines

_MARKER = re.compile(r"[-*•–·▪◦‣§\uf0b7]|\(?(?:\d{1,2}|[a-z]{1,2}|[ivxlc]+)[.)]|\d{1,2}(?:\.\d{1,2})*\.?")
_NEAR = 2.0  # points between two rules that are one


@dataclass(frozen=True)
class Table:
    """The cells of a table, header first, and the lines they were read from."""

    rows: tuple[tuple[str, ...], ...]
    first: int  # place of its first line in page.lines
    lines: frozenset[int]
    edges: tuple[float, ...]  # between the columns, in points: a table that goes on overleaf has the same


def find_tables(page: Page, size: float, spelling: Spelling) -> list[Table]:
    """The tables of a page from top to bottom; `size` is the body size in points."""
    ruled = [table for box in _boxes(page.rules) if (table := _ruled(page, box, spelling))]
    taken = {at for table in ruled for at in table.lines}
    return sorted([*ruled, *_aligned(page, size, spelling, taken)], key=lambda table: table.first)


def table_areas(page: Page) -> list[tuple[float, float]]:
    """The lower and upper edge of each ruled table on the page, in points."""
    areas = []
    for box in _boxes(page.rules):
        ys = _positions([rule.y0 for rule in box if rule.level])
        if len(ys) >= 3 and len(_positions([rule.x0 for rule in box if not rule.level])) >= 3:
            areas.append((ys[0], ys[-1]))
    return areas


def _boxes(rules: Sequence[Rule]) -> list[list[Rule]]:
    """Rules that touch one another, grouped; groups too small for a table left out."""
    groups: list[list[Rule]] = []
    for rule in rules:
        touching = [group for group in groups if any(_touch(rule, other) for other in group)]
        merged = [rule, *(other for group in touching for other in group)]
        groups = [group for group in groups if not any(group is near for near in touching)] + [merged]
    return [group for group in groups if len(group) >= 4]


def _touch(one: Rule, other: Rule) -> bool:
    return (
        one.x0 - _NEAR <= other.x1
        and other.x0 - _NEAR <= one.x1
        and one.y0 - _NEAR <= other.y1
        and other.y0 - _NEAR <= one.y1
    )


def _positions(values: Sequence[float]) -> list[float]:
    """Sorted, with those that are one rule drawn twice merged."""
    merged: list[float] = []
    for value in sorted(values):
        if not merged or value - merged[-1] > _NEAR:
            merged.append(value)
    return merged


def _ruled(page: Page, box: Sequence[Rule], spelling: Spelling) -> Table | None:
    xs = _positions([rule.x0 for rule in box if not rule.level])
    ys = _positions([rule.y0 for rule in box if rule.level])
    if len(xs) < 3 or len(ys) < 3:
        return None
    inside = [
        at
        for at, line in enumerate(page.lines)
        if ys[0] - 1 < line.y < ys[-1] and any(xs[0] - 1 < word.x0 < xs[-1] for word in line.words)
    ]
    if not inside:
        return None
    held: dict[tuple[int, int], list[_Held]] = {}
    for at in inside:
        line = page.lines[at]
        row = sum(y > line.y for y in ys)
        for column, text in _by_column(line.words, xs[1:-1]).items():
            held.setdefault((row, column), []).append(_Held(text, line.y, line.size))
    numbers = sorted({row for row, _ in held})
    shown = {place: [part.text for part in parts] for place, parts in held.items()}
    for column in range(len(xs) - 1):
        for run in _runs(box, (xs[column] + xs[column + 1]) / 2, ys):
            parts = [part for row in run for part in held.get((row, column), [])]
            if len(run) > 1 and _stand_together(parts):
                shown.update({(row, column): [part.text for part in parts] for row in run})
    rows = tuple(
        tuple(join_lines(shown.get((row, column), []), spelling) for column in range(len(xs) - 1)) for row in numbers
    )
    return Table(rows, inside[0], frozenset(inside), tuple(xs)) if len(rows) > 1 else None


@dataclass(frozen=True)
class _Held:
    """The words of one line in one cell."""

    text: str
    y: float
    size: float


def _runs(box: Sequence[Rule], middle: float, ys: Sequence[float]) -> list[list[int]]:
    """The rows of one column, top to bottom, those together that no rule parts there: one cell covers them."""
    parted = [
        any(rule.level and abs(rule.y0 - y) <= _NEAR and rule.x0 <= middle <= rule.x1 for rule in box)
        for y in reversed(ys)
    ]
    runs = [[1]]
    for row in range(2, len(ys)):
        if parted[row - 1]:
            runs.append([])
        runs[-1].append(row)
    return runs


def _stand_together(parts: Sequence[_Held]) -> bool:
    """One text on lines that follow one another: what stands further apart belongs to rows of their own."""
    return bool(parts) and all(one.y - two.y <= 1.5 * one.size for one, two in pairwise(parts))


def _by_column(words: Sequence[Word], edges: Sequence[float]) -> dict[int, str]:
    """The words of one line by the column in which their middle lies."""
    found: dict[int, list[str]] = {}
    for word in words:
        found.setdefault(sum(edge < (word.x0 + word.x1) / 2 for edge in edges), []).append(word.text)
    return {column: " ".join(texts) for column, texts in found.items()}


def _rows(cells: dict[tuple[int, int], list[str]], columns: int, spelling: Spelling) -> tuple[tuple[str, ...], ...]:
    numbers = sorted({row for row, _ in cells})
    return tuple(
        tuple(join_lines(cells.get((row, column), []), spelling) for column in range(columns)) for row in numbers
    )


def _aligned(page: Page, size: float, spelling: Spelling, taken: Collection[int]) -> list[Table]:
    """Tables without upright rules: at least three lines in a row that a common blank strip parts into columns."""
    tables: list[Table] = []
    run: list[int] = []
    for at in [*range(len(page.lines)), -1]:
        fits = at >= 0 and at not in taken and _may_be_row(page, at, run, size)
        if fits:
            run.append(at)
            continue
        table = _table_of(page, run, size, spelling)
        if table:
            tables.append(table)
        starts = at >= 0 and at not in taken and _may_be_row(page, at, [], size)
        run = [at] if starts else []
    return tables


def _may_be_row(page: Page, at: int, run: Sequence[int], size: float) -> bool:
    line = page.lines[at]
    cells = line.cells(1.5 * size)
    if run and not 0 < page.lines[run[-1]].y - line.y < 3.2 * size:
        return False
    if _MARKER.fullmatch(" ".join(word.text for word in cells[0])) and len(cells) == 2:
        return False
    if len(cells) > 1:
        return not re.search(r"\.{4,}|(?:\. ){4,}", line.text)
    inner = [cell[0].x0 for cell in page.lines[run[0]].cells(1.5 * size)[1:]] if run else []
    return any(abs(line.x0 - x0) < 3 for x0 in inner)


def _table_of(page: Page, run: Sequence[int], size: float, spelling: Spelling) -> Table | None:
    lines = [page.lines[at] for at in run]
    if sum(len(line.cells(1.5 * size)) > 1 for line in lines) < 3:
        return None
    edges = _strips(lines, size)
    if not edges or _is_two_columns_of_text(lines, edges):
        return None
    cells: dict[tuple[int, int], list[str]] = {}
    row = -1
    for line in lines:
        found = _by_column(line.words, edges)
        if 0 not in found and len(edges) > 1 and _is_row_of_its_own(found, len(edges) + 1):
            row += 1
            cells[row, 0] = list(cells.get((row - 1, 0), []))  # the cell above reaches down
        elif 0 in found:
            row += 1
        for column, text in found.items():
            cells.setdefault((row, column), []).append(text)
    rows = _rows(cells, len(edges) + 1, spelling)
    return Table(rows, run[0], frozenset(run), tuple(edges)) if len(rows) > 2 else None


def _is_row_of_its_own(found: dict[int, str], columns: int) -> bool:
    """Every cell but the first begins anew: no line that only goes on with the row above."""
    return len(found) == columns - 1 and all(text[0].isupper() or text[0].isdigit() for text in found.values())


def _strips(lines: Sequence[Line], size: float) -> list[float]:
    """The middles of the strips, at least most of an em wide, that no word of the lines crosses."""
    spans = sorted((word.x0, word.x1) for line in lines for word in line.words)
    edges: list[float] = []
    reach = spans[0][1]
    for x0, x1 in spans:
        if x0 - reach > 0.8 * size:
            edges.append((reach + x0) / 2)
        reach = max(reach, x1)
    return edges


def _is_two_columns_of_text(lines: Sequence[Line], edges: Sequence[float]) -> bool:
    cells = [text for line in lines for text in _by_column(line.words, edges).values()]
    return len(edges) == 1 and len(lines) >= 8 and sum(map(len, cells)) / len(cells) > 35

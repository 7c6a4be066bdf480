"""Lines of a PDF to blocks: headings by size, weight, number and bookmarks; paragraphs, lists, tables put together."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from engine.documents.blocks import NUMBERED, Block, plain
from engine.documents.pdf_columns import in_reading_order
from engine.documents.pdf_furniture import without_furniture
from engine.documents.pdf_lines import (
    SOFT_HYPHEN,
    Line,
    Page,
    Spelling,
    body_size,
    join_lines,
    leading,
    right_edge,
)
from engine.documents.pdf_tables import Table, find_tables
from engine.documents.tables import row_text, table_rows

ITEM = re.compile(r"(?:[-*•–·▪◦‣o\uf0b7\uf0a7]|\d{1,2}[.)]|[a-z][.)])\s+(?=\S)")
_LABEL = re.compile(r"[\"']*\((?:[a-z]{1,3}|[A-Z]{1,3}|[ivx]+|\d{1,2})\)\s")
_LEADER = re.compile(r"(?:\.\s?){4,}\s*(?:\d+|[ivxl]+)?\s*$")
_CONTENTS = re.compile(r"(?:table of )?contents", re.IGNORECASE)
_ENDED = re.compile(r"[.:;!?][)\"'\]]*$")


@dataclass(frozen=True)
class _Measure:
    """What is usual in the document, in points, and what its bookmarks name."""

    size: float
    leading: float
    right: Mapping[tuple[int, int], float]  # page and column to where full lines end
    spelling: Spelling
    outline: Mapping[str, int]  # normalised title to level


@dataclass(frozen=True)
class _Piece:
    """Lines that belong together, or a table."""

    kind: str  # "heading", "paragraph", "list_item", "table"
    lines: tuple[Line, ...]
    table: Table | None = None


def read_layout(pages: Sequence[Page], outline: Sequence[tuple[str, int]]) -> list[Block]:
    """The blocks of the document in order; `outline` is its bookmarks as (title, level from 0)."""
    pages = without_furniture(pages)
    size = body_size(pages)
    pages = [in_reading_order(page, size) for page in pages]
    edges = _right_edges(pages, size)
    named: dict[str, int] = {}
    for title, level in outline:
        named.setdefault(_bare(title), level)
    measure = _Measure(size, leading(pages, size), edges, Spelling.of(pages), named)
    pieces = _joined(list(_pieces(_without_contents(pages, measure), measure)), measure)
    return list(_blocks(pieces, measure))


def _right_edges(pages: Sequence[Page], size: float) -> dict[tuple[int, int], float]:
    """Where full lines end, for each column of each page; a page of few lines has the document's edge."""
    columns: dict[tuple[int, int], list[Line]] = {}
    for page in pages:
        for line in page.lines:
            columns.setdefault((page.number, line.column), []).append(line)
    across = [line for lines in columns.values() for line in lines if line.column == 0]
    whole = right_edge(across, size)
    return {
        place: right_edge(lines, size) if len(lines) > 15 or place[1] else whole for place, lines in columns.items()
    }


def _bare(text: str) -> str:
    return re.sub(r"\W+", " ", plain(text)).strip().casefold()


def _looks_like_heading(line: Line, measure: _Measure) -> bool:
    """Larger or bolder than the body, or named by a bookmark, and not a sentence."""
    text = line.text.strip()
    if not re.search(r"[^\W\d_]", text) or len(text) > 160 or _LEADER.search(text):
        return False
    larger = line.size >= 1.08 * measure.size
    if larger:
        return not (len(text) > 100 and text.endswith("."))
    bold = line.bold and line.size >= 0.75 * measure.size
    if bold and _bare(text) not in measure.outline:
        return text[-1] not in ":;,"
    return bold


def _without_contents(pages: Sequence[Page], measure: _Measure) -> list[Page]:
    """The pages without dotted lines and what stands under "Contents" and comes again later as a heading."""
    headings = Counter(_bare(line.text) for page in pages for line in page.lines if _looks_like_heading(line, measure))
    in_contents = False
    kept = []
    for page in pages:
        lines = []
        for line in page.lines:
            if _CONTENTS.fullmatch(line.text.strip()):
                in_contents = True
                continue
            if _LEADER.search(line.text):
                continue
            numbered = re.fullmatch(r"(.*\S)\s+(?:\d{1,3}|[ivxl]+)", line.text)
            entry = _bare(numbered.group(1)) if numbered else _bare(line.text)
            again = headings[entry] > (0 if numbered and entry != _bare(line.text) else 1)
            if in_contents and (again or (entry in measure.outline and numbered)):
                continue
            in_contents = False
            lines.append(line)
        kept.append(replace(page, lines=lines))
    return kept


def _pieces(pages: Sequence[Page], measure: _Measure) -> Iterator[_Piece]:
    """Headings, paragraphs, list items and tables page by page; what goes on overleaf is still in two parts."""
    for page in pages:
        tables = find_tables(page, measure.size, measure.spelling)
        taken = {at: table for table in tables for at in table.lines}
        run: list[Line] = []
        for at, line in enumerate(page.lines):
            table = taken.get(at)
            if run and (table or _starts_anew(run, line, measure)):
                yield _piece(run, measure)
                run = []
            if table is None:
                run.append(line)
            elif at == table.first:
                yield _Piece("table", (line,), table)
        if run:
            yield _piece(run, measure)


def _piece(lines: Sequence[Line], measure: _Measure) -> _Piece:
    if all(_looks_like_heading(line, measure) for line in lines) and not _is_bold_prose(lines, measure):
        return _Piece("heading", tuple(lines))
    return _Piece("list_item" if _is_item(lines[0]) else "paragraph", tuple(lines))


def _is_bold_prose(lines: Sequence[Line], measure: _Measure) -> bool:
    """Bold sentences in body size are emphasis, not a heading."""
    text = " ".join(line.text for line in lines)
    named = _bare(join_lines([line.text for line in lines], measure.spelling)) in measure.outline
    too_much = len(lines) > 4 or len(text) > 220
    return not named and (
        too_much
        or (
            lines[0].size < 1.08 * measure.size
            and bool(re.search(r"[.!?]$", text))
            and not NUMBERED.match(text)
            and not re.match(r"(?i)sec|art|§|[\"']+§", text)
        )
    )


def _is_item(line: Line) -> bool:
    return bool(ITEM.match(line.text))


def _starts_anew(run: Sequence[Line], line: Line, measure: _Measure) -> bool:
    """Whether a new heading, paragraph or list item begins at `line`."""
    last = run[-1]
    if line.column != last.column:
        return True
    heading, was_heading = _looks_like_heading(line, measure), _looks_like_heading(run[0], measure)
    step = last.y - line.y
    if heading and was_heading:
        same_style = abs(line.size - last.size) < 0.6 and line.bold == last.bold
        numbered = NUMBERED.match(line.text) or re.match(r"(?i)(?:sec|section|article)[. ]|[\"'‘“]*§", line.text)
        return not same_style or bool(numbered) or not 0 < step < 1.75 * line.size
    if was_heading and not heading:
        alone = _bare(" ".join(item.text for item in run)) in measure.outline
        return alone or not _is_bold_prose([*run, line], measure) or not last.bold or step > 1.3 * measure.leading
    if heading and (last.size != line.size or step > 1.15 * measure.leading):
        return True
    if _is_item(line) or (_LABEL.match(plain(line.text)) and re.search(r"([.;:,—]|\b(and|or))$", last.text)):
        return True
    usual = measure.leading * max(line.size, 1.0) / measure.size
    if not -0.5 < step < 1.28 * max(usual, 0.9 * measure.leading):
        return True
    if abs(line.size - last.size) > 0.15 * measure.size and len(line.text) > 3:
        return True
    return _broken_on_purpose(last, line, measure) or _indented(run, line, measure)


def _broken_on_purpose(last: Line, line: Line, measure: _Measure) -> bool:
    """The next word would have fitted on the last line: its writer ended it there."""
    first = line.words[0]
    room = measure.right[last.page, last.column] - last.x1
    if last.text.endswith((SOFT_HYPHEN, "-", ",")) or line.text[0].islower():
        return False
    return room > (first.x1 - first.x0) + 2.5 * measure.size


def _indented(run: Sequence[Line], line: Line, measure: _Measure) -> bool:
    """A first line set in: the text before it ended, and ran further left."""
    last = run[-1]
    if not _ENDED.search(plain(last.text)) and not re.search(r"[—–-]$", last.text):
        return False
    set_in = line.x0 - last.x0
    return len(run) > 1 and 0.8 * measure.size < set_in < 6 * measure.size and not _is_item(run[0])


def _joined(pieces: Sequence[_Piece], measure: _Measure) -> list[_Piece]:
    """Paragraphs and items that go on overleaf or in the next column in one piece again."""
    found: list[_Piece] = []
    for piece in pieces:
        last = found[-1] if found else None
        if (
            last is not None
            and last.kind in ("paragraph", "list_item")
            and piece.kind == "paragraph"
            and (last.lines[-1].page, last.lines[-1].column) != (piece.lines[0].page, piece.lines[0].column)
            and _goes_on(last.lines[-1], piece.lines[0], measure)
        ):
            found[-1] = _Piece(last.kind, last.lines + piece.lines)
        else:
            found.append(piece)
    return found


def _goes_on(last: Line, line: Line, measure: _Measure) -> bool:
    if abs(last.size - line.size) > 0.6 or _LABEL.match(plain(line.text)):
        return False
    if last.text.endswith((SOFT_HYPHEN, "-", ",")) or (line.text[0].islower() and not _ENDED.search(last.text)):
        return True
    full = measure.right[last.page, last.column] - last.x1 < line.words[0].x1 - line.words[0].x0 + 2.5 * measure.size
    return full and not _ENDED.search(last.text)


def _blocks(pieces: Sequence[_Piece], measure: _Measure) -> Iterator[Block]:
    levels = iter(_heading_levels([piece for piece in pieces if piece.kind == "heading"], measure))
    indents: list[float] = []
    open_table: Table | None = None
    for piece in pieces:
        page = piece.lines[0].page
        if piece.table is not None:
            yield from _table_blocks(piece.table, open_table, page)
            open_table = _carried(piece.table, open_table)
            continue
        open_table = None
        text = join_lines([line.text for line in piece.lines], measure.spelling)
        if piece.kind == "heading":
            indents = []
            yield Block("heading", text, level=next(levels), page=page)
        elif piece.kind == "list_item":
            x0 = piece.lines[0].x0
            indents = [indent for indent in indents if indent < x0 - 4] + [x0]
            yield Block("list_item", ITEM.sub("", text, count=1), level=len(indents) - 1, page=page)
        else:
            indents = []
            yield Block("paragraph", text, page=page)


def _table_blocks(table: Table, open_table: Table | None, page: int) -> list[Block]:
    """The rows of a table, or of the rest of one that began on the page before."""
    if open_table is None or not _same_columns(table, open_table):
        return table_rows(table.rows, page=page)
    header = [plain(cell).rstrip(":") for cell in open_table.rows[0]]
    rows = [[plain(cell) for cell in row] for row in table.rows]
    again = [cell.rstrip(":") for cell in rows[0]] == header
    return [Block("table_row", row_text(header, row), page=page) for row in rows[1 if again else 0 :]]


def _same_columns(table: Table, other: Table) -> bool:
    return len(table.edges) == len(other.edges) and all(
        abs(one - two) < 4 for one, two in zip(table.edges, other.edges, strict=True)
    )


def _carried(table: Table, open_table: Table | None) -> Table:
    if open_table is not None and _same_columns(table, open_table):
        return open_table
    return table


def _heading_levels(headings: Sequence[_Piece], measure: _Measure) -> list[int]:
    """
    One level a heading. Bookmarks say it where there are three or more that match, else the numbers, else the looks.

    A heading that neither names is above all others when it is larger, and else one step below the last one named.
    """
    texts = [join_lines([line.text for line in piece.lines], measure.spelling) for piece in headings]
    looks = [(round(piece.lines[0].size * 2) / 2, piece.lines[0].bold) for piece in headings]
    by_outline = [measure.outline.get(_bare(text)) for text in texts]
    numbers = [NUMBERED.match(text) for text in texts]
    by_number = [match.group(1).count(".") if match else None for match in numbers]
    for named in (by_outline, by_number):
        if sum(level is not None for level in named) >= 3:
            return _levels_around(named, looks, same_look=named is by_number)
    quoted = [bool(re.match(r"\W*§", text)) for text in texts]  # a law's "§" stands under its "SEC."
    keys = [(inner, -size, not bold) for inner, (size, bold) in zip(quoted, looks, strict=True)]
    order = sorted(set(keys))
    return [order.index(key) for key in keys]


def _levels_around(named: Sequence[int | None], looks: Sequence[tuple[float, bool]], *, same_look: bool) -> list[int]:
    largest = max(look[0] for look, level in zip(looks, named, strict=True) if level is not None)
    of_look: dict[tuple[float, bool], Counter[int]] = {}
    for look, level in zip(looks, named, strict=True):
        if level is not None:
            of_look.setdefault(look, Counter())[level] += 1
    levels: list[int] = []
    current = 0
    for look, level in zip(looks, named, strict=True):
        if level is not None:
            current = level
            levels.append(level)
        elif look[0] > largest + 0.4:
            levels.append(-1)
        elif same_look and look in of_look:
            levels.append(of_look[look].most_common(1)[0][0])
        else:
            levels.append(current + 1)
    return levels

"""What a PDF says on every page and nobody reads as text: running headers and footers, page numbers, margin notes."""

import re
from collections import Counter
from collections.abc import Sequence

from engine.documents.pdf_lines import Line, Page, body_size
from engine.documents.pdf_tables import table_areas


def without_furniture(pages: Sequence[Page]) -> list[Page]:
    """The pages without running headers and footers, page numbers and margin notes."""
    tables = {page.number: table_areas(page) for page in pages}
    places: Counter[tuple[str, int]] = Counter()
    for page in pages:
        for key in {_place(line) for line in page.lines if _in_margin(line, page, tables[page.number])}:
            places[key] += 1
    needed = max(2, -(-len(pages) * 3 // 10))  # on three pages of ten: left and right pages may differ
    repeated = {key for key, count in places.items() if count >= needed}
    size = body_size(pages)
    kept = []
    for page in pages:
        left, right = _column(page, size)
        lines = [
            line
            for line in page.lines
            if not (
                _in_margin(line, page, tables[page.number])
                and (_place(line) in repeated or _is_page_number(line, page))
            )
            and not (line.size < 0.9 * size and (line.x1 < left or line.x0 > right))
        ]
        kept.append(Page(page.number, page.width, page.height, lines, page.rules))
    return kept


def _in_margin(line: Line, page: Page, tables: Sequence[tuple[float, float]]) -> bool:
    """At the top or the foot of the page, and not in a table, whose header may well be said again on every page."""
    at_edge = line.y > 0.86 * page.height or line.y < 0.12 * page.height
    return at_edge and not any(foot < line.y < top for foot, top in tables)


def _place(line: Line) -> tuple[str, int]:
    return re.sub(r"\d+", "#", line.text), round(line.y / 4)


def _is_page_number(line: Line, page: Page) -> bool:
    numbered = re.fullmatch(r"\W*(?:page\s*)?(?:\d{1,4}|[ivxl]{1,6})(?:\s*(?:of|/)\s*\d{1,4})?\W*", line.text, re.I)
    outermost = all(
        other.y >= line.y - 1 if line.y < page.height / 2 else other.y <= line.y + 1 for other in page.lines
    )
    return bool(numbered) and outermost


def _column(page: Page, size: float) -> tuple[float, float]:
    """The left and right edge between which the body text of a page stands; open where there is too little of it."""
    body = [line for line in page.lines if abs(line.size - size) < 0.1 * size and len(line.text) > 20]
    if len(body) < 10:
        return 0.0, float("inf")
    return min(line.x0 for line in body), max(line.x1 for line in body)

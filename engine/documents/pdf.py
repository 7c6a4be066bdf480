"""A PDF's pages to lines of words with their place, size and weight. With pictures.py the only one that knows pdfium."""

import ctypes
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from engine.documents.blocks import Block
from engine.documents.pdf_layout import read_layout
from engine.documents.pdf_lines import Line, Page, Rule, Word
from engine.errors import InvalidInput
from engine.watching import Watch, ignore

_HYPHEN = 0x02  # how pdfium hands over a hyphen at the end of a line
_MOST_PATHS = 20_000
"""Strokes a page may have before it is taken for a drawing whose lines are no table rules."""

LONG = 50
"""Pages; a longer PDF takes long enough to say where it stands."""


def read_pdf(name: str, data: bytes, *, watch: Watch = ignore) -> tuple[list[Block], int]:
    """
    The readable blocks of a PDF in order, and its number of pages. One page is open at a time.

    `watch` hears of every tenth page of a PDF of more than `LONG` pages.

    Raises InvalidInput for a file that is encrypted, truncated or damaged, or that has pages but no text.
    """
    if b"%%EOF" not in data[-4096:]:
        raise InvalidInput(f"{name} is cut off: its end is missing. Copy or download it again and load the whole file.")
    try:
        document = pdfium.PdfDocument(data)
    except pdfium.PdfiumError as reason:
        if "password" in str(reason).lower():
            raise InvalidInput(
                f"{name} is encrypted. Remove its password (print it to a new PDF) and load that."
            ) from None
        raise InvalidInput(f"{name} is a damaged PDF ({reason}). Save it again as PDF and load that.") from None
    try:
        count = len(document)
        pages = []
        for number in range(count):
            if count > LONG and number % 10 == 0:
                watch(f"Reading {name}", number, count)
            pages.append(_read_page(name, document, number))
        outline = _outline(document)
    finally:
        document.close()
    _refuse_textless(name, pages)
    return read_layout(pages, outline), len(pages)


def _refuse_textless(name: str, pages: list[Page]) -> None:
    count = "1 page" if len(pages) == 1 else f"{len(pages)} pages"
    text = "".join(line.text for page in pages for line in page.lines)
    if not re.search(r"\w", text):
        raise InvalidInput(
            f"{name} has {count} but no text: it looks scanned. "
            "Run OCR on it (for example ocrmypdf) and load the result."
        )
    unreadable = sum(character == "\ufffd" or "\ue000" <= character <= "\uf8ff" for character in text)
    if unreadable * 3 > len(text):
        raise InvalidInput(
            f"{name} has {count} whose letters cannot be told apart: its fonts carry no character table. "
            "Run OCR on it (for example ocrmypdf --force-ocr) and load the result."
        )


def _outline(document: pdfium.PdfDocument) -> list[tuple[str, int]]:
    """The bookmarks, as (title, level from 0)."""
    return [(bookmark.get_title().strip(), bookmark.level) for bookmark in document.get_toc()]


def _read_page(name: str, document: pdfium.PdfDocument, number: int) -> Page:
    try:
        page = document[number]
    except pdfium.PdfiumError as reason:
        raise InvalidInput(
            f"{name} is damaged: page {number + 1} of {len(document)} cannot be read ({reason}). "
            "Save it again as PDF and load that."
        ) from None
    try:
        textpage = page.get_textpage()
        try:
            lines = _lines(textpage, number + 1)
        finally:
            textpage.close()
        width, height = page.get_size()
        rules = _rules(page)
        upright = [(rule.y0 - 2, rule.y1 + 2) for rule in rules if not rule.level]
        lines = [line if any(foot <= line.y <= top for foot, top in upright) else line.compact() for line in lines]
        return Page(number + 1, width, height, lines, rules)
    finally:
        page.close()


@dataclass(frozen=True)
class _Style:
    size: float
    bold: bool
    upright: bool


class _Styles:
    """Size and weight of the text objects of one page, each asked for once."""

    def __init__(self) -> None:
        self._known: dict[int, _Style] = {}
        self._name = ctypes.create_string_buffer(256)

    def of(self, textpage: object, at: int) -> _Style | None:
        """The style of the character; None for one that pdfium made up."""
        found = pdfium_c.FPDFText_GetTextObject(textpage, at)
        if not found:
            return None
        address = ctypes.addressof(found.contents)
        style = self._known.get(address)
        if style is None:
            style = self._known[address] = self._read(textpage, at)
        return style

    def _read(self, textpage: object, at: int) -> _Style:
        matrix = pdfium_c.FS_MATRIX()
        pdfium_c.FPDFText_GetMatrix(textpage, at, matrix)
        size = pdfium_c.FPDFText_GetFontSize(textpage, at) * math.hypot(matrix.c, matrix.d)
        flags = ctypes.c_int()
        pdfium_c.FPDFText_GetFontInfo(textpage, at, self._name, len(self._name), flags)
        name = self._name.value.decode("utf-8", "replace").lower()
        bold = bool(re.search(r"bold|black|heavy|semibold|demi", name)) or bool(flags.value & 1 << 18)
        return _Style(round(size, 1), bold, abs(matrix.b) <= abs(matrix.a) and matrix.a > 0)


def _lines(textpage: pdfium.PdfTextPage, page: int) -> list[Line]:
    """The upright lines of a page in the order of its content, each word with its left and right edge in points."""
    lines: list[Line] = []
    words: list[Word] = []
    for word in _words(textpage):
        last = words[-1] if words else None
        if last and (abs(word.y - words[0].y) > 0.4 * max(word.size, last.size) or word.x0 < last.x1 - last.size):
            lines.append(Line.of(words, page))
            words = []
        words.append(word)
    if words:
        lines.append(Line.of(words, page))
    return lines


def _words(textpage: pdfium.PdfTextPage) -> Iterator[Word]:
    styles = _Styles()
    raw = textpage.raw
    origin_x, origin_y = ctypes.c_double(), ctypes.c_double()
    box = pdfium_c.FS_RECTF()
    letters: list[str] = []
    x0 = x1 = y = 0.0
    style = _Style(0.0, False, True)
    for at in range(textpage.count_chars()):
        code = pdfium_c.FPDFText_GetUnicode(raw, at)
        found = None if code in (0x20, 0x0A, 0x0D, 0xA0, 0x09) else styles.of(raw, at)
        if found is None:
            if letters:
                yield Word("".join(letters), x0, x1, y, style.size, style.bold)
                letters = []
            continue
        if not found.upright:
            continue
        pdfium_c.FPDFText_GetCharOrigin(raw, at, origin_x, origin_y)
        pdfium_c.FPDFText_GetLooseCharBox(raw, at, box)
        left, right, base = origin_x.value, max(box.right, origin_x.value), origin_y.value
        apart = letters and (left - x1 > 0.5 * style.size or left < x0 or abs(base - y) > 0.5 * style.size)
        if apart:
            yield Word("".join(letters), x0, x1, y, style.size, style.bold)
            letters = []
        if not letters:
            x0, y, style = left, base, found
        letters.append("\u00ad" if code == _HYPHEN else chr(code) if code else "\ufffd")
        x1 = right
    if letters:
        yield Word("".join(letters), x0, x1, y, style.size, style.bold)


def _rules(page: pdfium.PdfPage) -> list[Rule]:
    """The straight strokes and the edges of boxes on a page, level or upright ones only."""
    rules: list[Rule] = []
    points = 0
    x, y = ctypes.c_float(), ctypes.c_float()
    for drawn in page.get_objects(filter=[pdfium_c.FPDF_PAGEOBJ_PATH], max_depth=4):
        matrix = drawn.get_matrix()
        start = last = (0.0, 0.0)
        for at in range(pdfium_c.FPDFPath_CountSegments(drawn)):
            points += 1
            if points > _MOST_PATHS:
                return []
            segment = pdfium_c.FPDFPath_GetPathSegment(drawn, at)
            pdfium_c.FPDFPathSegment_GetPoint(segment, x, y)
            point = matrix.on_point(x.value, y.value)
            kind = pdfium_c.FPDFPathSegment_GetType(segment)
            if kind == pdfium_c.FPDF_SEGMENT_MOVETO:
                start = point
            elif kind == pdfium_c.FPDF_SEGMENT_LINETO:
                rules.extend(Rule.between(last, point))
            last = point
            if pdfium_c.FPDFPathSegment_GetClose(segment):
                rules.extend(Rule.between(last, start))
    return rules

"""A page of a PDF as a picture, with the words that a row rests on marked: for people who check it with their own eyes."""

import ctypes
import io
import unicodedata
from pathlib import Path

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c
from PIL import Image, ImageDraw

from engine.errors import InvalidInput, NotFound

LONGEST_SIDE = 1400
"""Pixels; a page the size of a poster becomes no larger."""

_SHARPNESS = 2.0
"""Pixels to a point, 144 to an inch, where the page is not too large for it."""

_MARK = (255, 214, 0, 96)
_MOST_LETTERS = 200_000
"""On a page; more are no text that people read."""

_FEWEST_LETTERS = 8
"""Of a part of the evidence that is marked by itself; a shorter one may stand anywhere."""


def page_picture(path: Path, page: int, evidence: str = "") -> bytes:
    """
    The page as PNG, its words `evidence` marked where they are found on it; `page` is 1 for the first.

    Only letters and digits are compared, so line breaks, hyphens and quotes may differ. Evidence that starts on this page and
    goes on overleaf is marked as far as the page goes; evidence that is not found marks nothing. Raises NotFound for a
    file or page that is not there, InvalidInput for a file that is no readable PDF.
    """
    if not path.is_file():
        raise NotFound(f"There is no file {path.name} any more. Load the document again.")
    try:
        document = pdfium.PdfDocument(path)
    except pdfium.PdfiumError as reason:
        raise InvalidInput(f"{path.name} is no PDF that can be shown ({reason}). Load it again as PDF.") from None
    try:
        if not 1 <= page <= len(document):
            raise NotFound(f"{path.name} has {len(document)} pages and no page {page}. Choose one of them.")
        return _drawn(document[page - 1], evidence)
    finally:
        document.close()


def _drawn(page: pdfium.PdfPage, evidence: str) -> bytes:
    width, height = page.get_size()
    scale = min(_SHARPNESS, LONGEST_SIDE / max(width, height, 1.0))
    picture = page.render(scale=scale).to_pil().convert("RGBA")
    marks = Image.new("RGBA", picture.size, (0, 0, 0, 0))
    pen = ImageDraw.Draw(marks)
    for left, bottom, right, top in _places(page, evidence):
        (x0, y0), (x1, y1) = _pixel(page, left, top, picture.size), _pixel(page, right, bottom, picture.size)
        pen.rectangle((min(x0, x1) - 1, min(y0, y1) - 1, max(x0, x1) + 1, max(y0, y1) + 1), fill=_MARK)
    out = io.BytesIO()
    Image.alpha_composite(picture, marks).convert("RGB").save(out, "PNG", optimize=True)
    return out.getvalue()


def _pixel(page: pdfium.PdfPage, x: float, y: float, size: tuple[int, int]) -> tuple[int, int]:
    """Where a point of the page is in its picture, turned and cropped pages too."""
    across, down = ctypes.c_int(), ctypes.c_int()
    pdfium_c.FPDF_PageToDevice(page, 0, 0, *size, 0, x, y, across, down)
    return across.value, down.value


def _places(page: pdfium.PdfPage, evidence: str) -> list[tuple[float, float, float, float]]:
    """The boxes around the evidence, one a line, as (left, bottom, right, top) in points."""
    if not _letters(evidence):
        return []
    textpage = page.get_textpage()
    try:
        spelled: list[str] = []
        places: list[int] = []  # of each letter in `spelled`, the character it came from
        for at in range(min(textpage.count_chars(), _MOST_LETTERS)):
            for letter in _letters(chr(pdfium_c.FPDFText_GetUnicode(textpage, at) or 0xFFFD)):
                spelled.append(letter)
                places.append(at)
        boxes: list[tuple[float, float, float, float]] = []
        for start, end in _found("".join(spelled), evidence):
            for at in dict.fromkeys(places[start:end]):
                _add(boxes, textpage.get_charbox(at, loose=True))
        return boxes
    finally:
        textpage.close()


def _letters(text: str) -> str:
    return "".join(character for character in unicodedata.normalize("NFKC", text).casefold() if character.isalnum())


def _found(spelled: str, evidence: str) -> list[tuple[int, int]]:
    """Where the evidence stands in the page's letters, whole or in its longest parts that stand there."""
    words = [letters for word in evidence.split() if (letters := _letters(word))]
    found: list[tuple[int, int]] = []
    first = after = 0
    while first < len(words):
        last, start = first, -1
        for end in range(len(words), first, -1):
            part = "".join(words[first:end])
            start = spelled.find(part, after)
            start = spelled.find(part) if start < 0 else start
            if start >= 0:
                last = end
                break
        length = len("".join(words[first:last]))
        if last > first and (length >= _FEWEST_LETTERS or last - first == len(words)):
            found.append((start, start + length))
            after = start + length
        first = max(last, first + 1)
    return found


def _add(boxes: list[tuple[float, float, float, float]], box: tuple[float, float, float, float]) -> None:
    """Let the last box grow by a letter on its line, or begin the next."""
    left, bottom, right, top = box
    if boxes:
        x0, y0, x1, y1 = boxes[-1]
        if min(top, y1) - max(bottom, y0) > 0.5 * (top - bottom) and -1 < left - x1 < 2 * (top - bottom):
            boxes[-1] = (min(x0, left), min(y0, bottom), max(x1, right), max(y1, top))
            return
    boxes.append(box)

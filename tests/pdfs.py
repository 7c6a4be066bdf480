"""PDFs for tests, the same bytes each time: words in their places, a ruled table, a scan, a file with a password."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image
from reportlab.lib.colors import black
from reportlab.lib.pagesizes import A4
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.lib.units import mm
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Paragraph, SimpleDocTemplate, Table

LINES_PER_PAGE = 50


@dataclass(frozen=True)
class Words:
    """One line of Helvetica; millimetres from the left and from the top of the page to its baseline."""

    x_mm: float
    y_mm: float
    text: str
    bold: bool = False
    size: float = 11


def placed_pdf(pages: Sequence[Sequence[Words]], *, password: str = "") -> bytes:
    """A4 pages with exactly these words; with a password it opens for nobody else (128-bit RC4)."""
    out = io.BytesIO()
    encrypt = StandardEncryption(password, strength=128) if password else None
    canvas = Canvas(out, pagesize=A4, invariant=1, encrypt=encrypt)
    for page in pages:
        for words in page:
            canvas.setFont("Helvetica-Bold" if words.bold else "Helvetica", words.size)
            canvas.drawString(words.x_mm * mm, A4[1] - words.y_mm * mm, words.text)
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def text_pdf(lines: Sequence[str]) -> bytes:
    """A line on the page for each of `lines`, 50 to a page."""
    starts = range(0, len(lines), LINES_PER_PAGE)
    return placed_pdf(
        [[Words(20, 20 + 5 * at, line) for at, line in enumerate(lines[start:][:LINES_PER_PAGE])] for start in starts]
    )


def encrypted_pdf(text: str, password: str) -> bytes:
    """One page that opens with `password` only."""
    return placed_pdf([[Words(20, 30, text)]], password=password)


def scanned_pdf(pages: int) -> bytes:
    """Pages with a grey picture and not a single letter."""
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=A4, invariant=1)
    picture = ImageReader(Image.new("RGB", (60, 80), "grey"))
    for _ in range(pages):
        canvas.drawImage(picture, 10 * mm, 150 * mm, 100 * mm, 133 * mm)
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def table_pdf(
    rows: Sequence[Sequence[str]], *, merged: Sequence[tuple[tuple[int, int], tuple[int, int]]] = ()
) -> bytes:
    """
    A ruled table over as many pages as it takes; its first row is the header and stands again on every page.

    `merged`: (column, row) of the first and the last place that one cell covers, its text in the middle of them.
    """
    out = io.BytesIO()
    cells = [[Paragraph(text) for text in row] for row in rows]
    style = [("GRID", (0, 0), (-1, -1), 0.5, black), ("VALIGN", (0, 0), (-1, -1), "MIDDLE")]
    style += [("SPAN", first, last) for first, last in merged]
    table = Table(cells, repeatRows=1, style=style)
    SimpleDocTemplate(out, pagesize=A4, invariant=1).build([table])
    return out.getvalue()

"""The sample policy's Markdown to its PDF: `python -m engine.samples.build_pdf`. Knows only the Markdown used there."""

import io
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any, BinaryIO, Literal
from xml.sax.saxutils import escape

from reportlab.lib.colors import Color
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.platypus import BaseDocTemplate, CondPageBreak, Frame, PageBreak, PageTemplate, Paragraph, Spacer, Table

from engine.samples import MARKDOWN, PDF

BlockKind = Literal["title", "clause", "subclause", "paragraph", "bullet", "step", "table"]

WIDTH, HEIGHT = A4  # in points, as reportlab counts; `* mm` turns millimetres into them
MARGIN = 24 * mm
TOP, BOTTOM = 26 * mm, 20 * mm  # from the paper's edge to the body
LINE = 5.8 * mm
INDENT = 9 * mm
GREY = Color(105 / 255, 105 / 255, 105 / 255)
BLUE = Color(28 / 255, 62 / 255, 96 / 255)
SHADE = Color(226 / 255, 232 / 255, 239 / 255)

_BODY = {"fontName": "Times-Roman", "fontSize": 11.5, "leading": LINE, "allowOrphans": 0, "allowWidows": 0}
_ITEM = {**_BODY, "leftIndent": INDENT, "bulletIndent": INDENT - 2 * mm, "bulletAnchor": "end", "bulletFontSize": 11.5}
_HEADING = {"fontName": "Helvetica-Bold", "textColor": BLUE}
_CELL = {"fontName": "Helvetica", "fontSize": 9.5, "leading": 5.2 * mm}
STYLES = {
    "title": ParagraphStyle("title", **_HEADING, fontSize=24, leading=12 * mm),
    "clause": ParagraphStyle("clause", **_HEADING, fontSize=15, leading=18, spaceBefore=7 * mm, spaceAfter=2.5 * mm),
    "subclause": ParagraphStyle(
        "subclause", **_HEADING, fontSize=11.5, leading=14, spaceBefore=3.5 * mm, spaceAfter=1.5 * mm
    ),
    "paragraph": ParagraphStyle("paragraph", **_BODY, spaceAfter=2.2 * mm),
    "bullet": ParagraphStyle("bullet", **_ITEM, bulletFontName="Times-Roman", spaceAfter=0.6 * mm),
    "step": ParagraphStyle("step", **_ITEM, bulletFontName="Times-Roman", spaceAfter=0.6 * mm),
    "cell": ParagraphStyle("cell", **_CELL),
    "column": ParagraphStyle("column", **{**_CELL, "fontName": "Helvetica-Bold"}),
}


@dataclass(frozen=True)
class Block:
    """One piece of the Markdown: a heading, a paragraph, a list item or a whole table."""

    kind: BlockKind
    text: str = ""
    rows: tuple[tuple[str, ...], ...] = ()  # of a table, header first


def read_blocks(markdown: str) -> Iterator[Block]:
    """The blocks of the Markdown in order; a line is a block, neighbouring `|` lines are one table."""
    rows: list[tuple[str, ...]] = []
    for line in [*markdown.splitlines(), ""]:
        if line.startswith("|"):
            cells = tuple(cell.strip() for cell in line.strip("|").split("|"))
            if any(cell.strip("-") for cell in cells):  # not the rule under the header
                rows.append(cells)
            continue
        if rows:
            yield Block("table", rows=tuple(rows))
            rows = []
        if line.strip():
            yield _line_block(line)


def _line_block(line: str) -> Block:
    marks: tuple[tuple[str, BlockKind], ...] = (
        ("### ", "subclause"),
        ("## ", "clause"),
        ("# ", "title"),
        ("- ", "bullet"),
    )
    for mark, kind in marks:
        if line.startswith(mark):
            return Block(kind, line.removeprefix(mark))
    return Block("step" if re.match(r"\d+\. ", line) else "paragraph", line)


@dataclass(frozen=True)
class Numbering:
    """How many pages there are and where each clause starts: known only once everything has been drawn."""

    pages: int = 0
    starts: Mapping[str, int] = field(default_factory=dict)


class PolicyPdf(BaseDocTemplate):  # type: ignore[misc]  # reportlab has no types
    """A4 with a running header, and a footer that counts the pages; notes the page of every clause as it goes."""

    def __init__(self, out: BinaryIO, title: str, pages: int) -> None:
        super().__init__(out, pagesize=A4, title=title, author="Kestrelmoor Instruments", lang="en", invariant=1)
        self.pages = pages
        self.starts: dict[str, int] = {}
        body = Frame(MARGIN, BOTTOM, WIDTH - 2 * MARGIN, HEIGHT - BOTTOM - TOP, 0, 0, 0, 0)
        self.addPageTemplates(PageTemplate("page", [body], onPage=self._draw_header, onPageEnd=self._draw_footer))

    def _draw_header(self, canvas: Any, _: BaseDocTemplate) -> None:
        canvas.setFont("Helvetica", 8.5)
        canvas.setFillColor(GREY)
        canvas.setStrokeColor(GREY)
        canvas.setLineWidth(0.2 * mm)
        canvas.drawString(MARGIN, HEIGHT - 15.5 * mm, f"{self.title}  |  Kestrelmoor Instruments  |  HR-POL-07")
        canvas.line(MARGIN, HEIGHT - 18 * mm, WIDTH - MARGIN, HEIGHT - 18 * mm)

    def _draw_footer(self, canvas: Any, _: BaseDocTemplate) -> None:
        canvas.setFont("Helvetica", 8.5)
        canvas.setFillColor(GREY)
        canvas.drawRightString(WIDTH - MARGIN, 11.5 * mm, f"Page {self.page} of {self.pages}")

    def afterFlowable(self, flowable: Any) -> None:
        """reportlab calls this for everything drawn; a heading becomes a bookmark, and a clause's page is noted."""
        kind = flowable.style.name if isinstance(flowable, Paragraph) else ""
        if kind not in ("clause", "subclause"):
            return
        heading = flowable.getPlainText()
        if kind == "clause":
            self.starts[heading] = self.page
        self.canv.bookmarkPage(heading)
        self.canv.addOutlineEntry(heading, heading, level=int(kind == "subclause"))


def _flowables(blocks: Sequence[Block]) -> Iterator[Any]:
    """The blocks as reportlab draws them; a heading or lead-in sentence never stands alone at the foot of a page."""
    for at, block in enumerate(blocks):
        if room := _room_needed(blocks[at : at + 4]):
            yield CondPageBreak(room)
        if block.kind == "table":
            yield _table(block.rows)
        else:
            yield _text(block)
        following = blocks[at + 1].kind if at + 1 < len(blocks) else ""
        if block.kind in ("bullet", "step") and following != block.kind:
            yield Spacer(0, 1.6 * mm)


def _text(block: Block) -> Paragraph:
    mark, text = "", block.text
    if block.kind == "bullet":
        mark = "-"
    elif block.kind == "step":
        mark, text = text.split(" ", 1)
    bold = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", escape(text))
    return Paragraph(bold, STYLES[block.kind], bulletText=mark or None)


def _table(rows: Sequence[Sequence[str]]) -> Table:
    """A ruled table over the whole width, its columns equally wide and its shaded header repeated on a new page."""
    cells = [
        [Paragraph(escape(text), STYLES["cell" if at else "column"]) for text in row] for at, row in enumerate(rows)
    ]
    return Table(
        cells,
        colWidths=[(WIDTH - 2 * MARGIN) / len(rows[0])] * len(rows[0]),
        repeatRows=1,
        spaceBefore=0.5 * mm,
        spaceAfter=3.5 * mm,
        style=[
            ("GRID", (0, 0), (-1, -1), 0.2 * mm, Color(120 / 255, 120 / 255, 120 / 255)),
            ("BACKGROUND", (0, 0), (-1, 0), SHADE),
            ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
            *((f"{side}PADDING", (0, 0), (-1, -1), 1.2 * mm) for side in ("LEFT", "RIGHT", "TOP", "BOTTOM")),
        ],
    )


def _room_needed(ahead: Sequence[Block]) -> float:
    """How much must be free before the first block may start: headings, lead-in and table in one piece. In points."""
    headings = list(takewhile(lambda block: block.kind in ("clause", "subclause"), ahead))
    text, after = [*ahead[len(headings) :], Block("paragraph"), Block("paragraph")][:2]
    leads_in = text.kind == "paragraph" and after.kind in ("table", "bullet", "step")
    if not headings and not leads_in:
        return 0.0
    lines = 4 if leads_in else 3  # a paragraph of three lines is never split
    return float(14 * mm * len(headings) + lines * LINE + 9 * mm * len(after.rows))


def _contents(clauses: Sequence[str], numbering: Numbering) -> Iterator[Any]:
    """The clauses, without their sub-clauses, each with dots up to its page number, under the word "Contents"."""
    font, size, number_width = "Helvetica-Bold", 11, 6.5 * mm
    width = WIDTH - 2 * MARGIN - number_width
    yield Paragraph("Contents", ParagraphStyle("contents", STYLES["clause"]))
    rows = []
    for clause in clauses:
        dots = "." * int((width - stringWidth(f"{clause} ", font, size)) / stringWidth(".", font, size))
        rows.append([f"{clause} {dots}", str(numbering.starts.get(clause, 0))])
    yield Table(
        rows,
        colWidths=[width, number_width],
        rowHeights=1.5 * size,
        style=[
            ("FONT", (0, 0), (-1, -1), font, size),
            ("ALIGN", (1, 0), (1, -1), "RIGHT"),
            *((f"{side}PADDING", (0, 0), (-1, -1), 0) for side in ("LEFT", "RIGHT", "TOP", "BOTTOM")),
        ],
    )


def _draw(blocks: Sequence[Block], out: BinaryIO, numbering: Numbering) -> Numbering:
    """Write the PDF to `out` with these numbers in contents and footer, and return the right ones."""
    clauses = [block.text for block in blocks if block.kind == "clause"]
    first_clause = next(at for at, block in enumerate(blocks) if block.kind == "clause")
    paper = PolicyPdf(out, blocks[0].text, numbering.pages)
    front = [*_flowables(blocks[:first_clause]), *_contents(clauses, numbering)]
    paper.build([*front, PageBreak(), *_flowables(blocks[first_clause:])])
    return Numbering(paper.page, paper.starts)


def build(markdown: Path = MARKDOWN, pdf: Path = PDF) -> int:
    """Write `pdf` from `markdown`, byte for byte the same each time, and return its number of pages."""
    blocks = list(read_blocks(markdown.read_text(encoding="utf-8")))
    numbering = _draw(blocks, io.BytesIO(), Numbering())
    with pdf.open("wb") as out:
        return _draw(blocks, out, numbering).pages


if __name__ == "__main__":
    sys.stdout.write(f"{PDF.name}: {build()} pages\n")

"""HTML to blocks: headings, paragraphs, lists and tables. Scripts, styles and the like stay out."""

import re
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser

from engine.documents.blocks import Block
from engine.documents.tables import Cell, read_table

_UNREAD = frozenset(
    {
        "head",
        "script",
        "style",
        "noscript",
        "template",
        "svg",
        "math",
        "nav",
        "iframe",
        "object",
        "button",
        "select",
        "textarea",
    }
)
_BREAKS = frozenset(
    {
        "p",
        "div",
        "section",
        "article",
        "main",
        "aside",
        "header",
        "footer",
        "blockquote",
        "pre",
        "dl",
        "dt",
        "dd",
        "figure",
        "figcaption",
        "address",
        "hr",
        "form",
        "fieldset",
        "details",
        "summary",
        "body",
        "html",
        "ul",
        "ol",
        "table",
    }
)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}


class _Reader(HTMLParser):
    """Collects text until a tag ends the block, then files it under what it stood in."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.blocks: list[Block] = []
        self._text: list[str] = []
        self._unread: list[str] = []
        self._lists = 0
        self._items: list[bool] = []  # open list items; True once the item's own text is filed
        self._heading = 0
        self._rows: list[list[Cell]] | None = None
        self._tables = 0
        self._in_head = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._unread:
            if tag == self._unread[-1]:
                self._unread.append(tag)
            return
        if tag in _UNREAD:
            self._unread.append(tag)
        elif self._rows is not None:
            self._start_in_table(tag, attrs)
        elif tag == "table":
            self._file()
            self._rows, self._tables = [], 1
        elif tag in _HEADINGS:
            self._file()
            self._heading = _HEADINGS[tag]
        elif tag == "li":
            self._file()
            self._items.append(False)
        elif tag in _BREAKS:
            self._file()
            self._lists += tag in ("ul", "ol")
        elif tag == "br":
            self._text.append(" ")

    def _start_in_table(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        if self._rows is None:
            return
        if tag == "table":
            self._tables += 1
        elif tag == "tr" and self._tables == 1:
            self._file_cell()
            self._rows.append([])
        elif tag in ("td", "th") and self._tables == 1:
            if not self._rows:
                self._rows.append([])
            self._file_cell()
            covers = dict(attrs)
            columns, rows = _number(covers.get("colspan")) or 1, _number(covers.get("rowspan"))
            self._rows[-1].append(Cell("", columns, rows, header=tag == "th" or self._in_head))
        elif tag in ("thead", "tbody", "tfoot") and self._tables == 1:
            self._in_head = tag == "thead"
        else:
            self._text.append(" ")

    def handle_endtag(self, tag: str) -> None:
        if self._unread:
            if tag == self._unread[-1]:
                self._unread.pop()
            return
        if self._rows is not None:
            self._end_in_table(tag)
        elif tag in _HEADINGS:
            self._file()
            self._heading = 0
        elif tag == "li":
            self._file()
            if self._items:
                self._items.pop()
        elif tag in _BREAKS:
            self._file()
            self._lists = max(0, self._lists - (tag in ("ul", "ol")))

    def _end_in_table(self, tag: str) -> None:
        if self._rows is None:
            return
        if tag in ("td", "th", "tr", "table") and self._tables == 1:
            self._file_cell()
        if tag == "table":
            self._tables -= 1
            if not self._tables:
                self.blocks.extend(read_table(self._rows))
                self._rows, self._in_head = None, False

    def _file_cell(self) -> None:
        """Put the text into the cell that is open; its end tag may be left out."""
        if self._rows and self._rows[-1] and not self._rows[-1][-1].text:
            self._rows[-1][-1] = replace(self._rows[-1][-1], text="".join(self._text))
        self._text = []

    def handle_data(self, data: str) -> None:
        if not self._unread:
            self._text.append(data)

    def close(self) -> None:
        """File what is open, as browsers do for a page that was cut off."""
        super().close()
        if self._rows is not None:
            self._tables = 1
            self._end_in_table("table")
        self._file()

    def _file(self) -> None:
        text = "".join(self._text).strip()
        self._text = []
        if not text:
            return
        if self._heading:
            self.blocks.append(Block("heading", text, level=self._heading))
        elif self._items:
            self.blocks.append(Block("list_item", text, level=max(0, self._lists - 1)))
            self._items[-1] = True
        else:
            self.blocks.append(Block("paragraph", text))


def _number(value: str | None) -> int:
    """What a colspan or rowspan says; 1 where it says nothing usable, 0 where it says so: all rows that are left."""
    said = (value or "").strip()
    return int(said) if re.fullmatch(r"[0-9]{1,5}", said) else 1


def read_html(text: str) -> list[Block]:
    """The readable blocks of a page, in order."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    return reader.blocks

"""DOCX to blocks, straight from the zip and its XML: heading styles, numbered paragraphs, tables."""

import re
import zipfile
from collections.abc import Iterator, Mapping
from io import BytesIO
from xml.etree import ElementTree

from engine.documents.archives import DAMAGE, unpacked
from engine.documents.blocks import Block
from engine.documents.limits import LARGEST_TEXT, mib
from engine.documents.tables import Cell, read_table
from engine.errors import InvalidInput

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"


def read_docx(name: str, data: bytes) -> list[Block]:
    """The readable blocks, in order. Raises InvalidInput for a damaged file or one that unpacks to too much."""
    try:
        with zipfile.ZipFile(BytesIO(data)) as packed:
            body = _part(name, packed, "word/document.xml")
            styles = _part(name, packed, "word/styles.xml") if "word/styles.xml" in packed.namelist() else None
    except (*DAMAGE, ElementTree.ParseError) as reason:
        raise InvalidInput(
            f"{name} is damaged and cannot be opened as a Word document ({reason}). Save it again and load that."
        ) from reason
    levels = _heading_levels(styles)
    root = body.find(f"{_W}body")
    return [] if root is None else list(_blocks(root, levels))


def _part(name: str, packed: zipfile.ZipFile, path: str) -> ElementTree.Element:
    if packed.getinfo(path).file_size > LARGEST_TEXT:
        raise InvalidInput(f"{name} unpacks to more than {mib(LARGEST_TEXT)}. Load a smaller document.")
    xml = unpacked(packed, path)
    if b"<!DOCTYPE" in xml[:2000]:
        raise InvalidInput(
            f"{name} contains an XML DTD, which Word never writes. Save it again with Word and load that."
        )
    return ElementTree.fromstring(xml)


def _heading_levels(styles: ElementTree.Element | None) -> dict[str, int]:
    """Style id to heading level, 0 for a title; styles that follow a heading style count as it."""
    if styles is None:
        return {}
    levels: dict[str, int] = {}
    based: dict[str, str] = {}
    for style in styles.iter(f"{_W}style"):
        style_id = style.get(f"{_W}styleId", "")
        name = style.find(f"{_W}name")
        title = name.get(f"{_W}val", "").lower() if name is not None else ""
        numbered = re.fullmatch(r"heading (\d)", title)
        outline = style.find(f"{_W}pPr/{_W}outlineLvl")
        parent = style.find(f"{_W}basedOn")
        if numbered:
            levels[style_id] = int(numbered.group(1))
        elif title == "title":
            levels[style_id] = 0
        elif outline is not None and outline.get(f"{_W}val", "9") < "9":
            levels[style_id] = int(outline.get(f"{_W}val", "0")) + 1
        elif parent is not None:
            based[style_id] = parent.get(f"{_W}val", "")
    for style_id, parent_id in based.items():
        if parent_id in levels and levels[parent_id] > 0 and style_id.lower().startswith("heading"):
            levels[style_id] = levels[parent_id]
    return levels


def _blocks(root: ElementTree.Element, levels: Mapping[str, int]) -> Iterator[Block]:
    for element in root:
        if element.tag == f"{_W}p":
            yield _paragraph(element, levels)
        elif element.tag == f"{_W}tbl":
            yield from read_table(list(_rows(element)))
        elif element.tag == f"{_W}sdt":
            content = element.find(f"{_W}sdtContent")
            if content is not None:
                yield from _blocks(content, levels)


def _paragraph(element: ElementTree.Element, levels: Mapping[str, int]) -> Block:
    text = _text(element)
    style = element.find(f"{_W}pPr/{_W}pStyle")
    style_id = style.get(f"{_W}val", "") if style is not None else ""
    level = levels.get(style_id)
    if level is None and re.fullmatch(r"Heading\d", style_id):
        level = int(style_id[-1])
    if level is not None:
        return Block("heading", text, level=level)
    if style_id.upper().startswith("TOC"):
        return Block("paragraph", "")
    numbering = element.find(f"{_W}pPr/{_W}numPr")
    if numbering is not None or style_id.startswith("List"):
        depth = numbering.find(f"{_W}ilvl") if numbering is not None else None
        return Block("list_item", text, level=int(depth.get(f"{_W}val", "0")) if depth is not None else 0)
    return Block("paragraph", text)


def _rows(table: ElementTree.Element) -> Iterator[list[Cell]]:
    """The rows of a table; a cell that goes on from the row above has that one's text."""
    above: dict[int, str] = {}  # column -> the text of the cell that reaches down from there
    for row in _within(table, "tr"):
        header = row.find(f"{_W}trPr/{_W}tblHeader") is not None
        skipped = _value(row.find(f"{_W}trPr/{_W}gridBefore"), 0)
        cells = [Cell("", columns=skipped)] if skipped else []
        column = skipped
        for cell in _within(row, "tc"):
            columns = max(1, _value(cell.find(f"{_W}tcPr/{_W}gridSpan"), 1))
            merge = cell.find(f"{_W}tcPr/{_W}vMerge")
            text = " ".join(_text(paragraph) for paragraph in cell.iter(f"{_W}p"))
            if merge is not None and merge.get(f"{_W}val", "continue") == "continue":
                text = above.get(column, text)
            above[column] = text
            cells.append(Cell(text, columns, header=header))
            column += columns
        yield cells


def _within(parent: ElementTree.Element, tag: str) -> Iterator[ElementTree.Element]:
    """The children of that kind, those that a content control wraps among them."""
    for child in parent:
        if child.tag == f"{_W}{tag}":
            yield child
        elif child.tag == f"{_W}sdt" and (content := child.find(f"{_W}sdtContent")) is not None:
            yield from _within(content, tag)


def _value(element: ElementTree.Element | None, otherwise: int) -> int:
    value = element.get(f"{_W}val", "") if element is not None else ""
    return int(value) if re.fullmatch(r"[0-9]{1,3}", value) else otherwise


def _text(element: ElementTree.Element) -> str:
    """The words of a paragraph; deleted text and field codes are not among them."""
    parts: list[str] = []
    for node in element.iter():
        if node.tag == f"{_W}t":
            parts.append(node.text or "")
        elif node.tag in (f"{_W}tab", f"{_W}br", f"{_W}cr"):
            parts.append(" ")
        elif node.tag == f"{_W}noBreakHyphen":
            parts.append("-")
    return "".join(parts)

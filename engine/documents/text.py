"""Plain text to blocks: blank lines part paragraphs; numbering, capitals and underlines mark headings."""

import re
from collections.abc import Iterator

from engine.documents.blocks import NUMBERED, Block

_ITEM = re.compile(r"(\s*)(?:[-*•–·▪◦‣]|\d{1,2}[.)]|[a-z][.)])\s+(?=\S)")
_UNDERLINE = re.compile(r"(={3,}|-{3,}|~{3,})\s*")


def read_text(text: str) -> list[Block]:
    """The blocks of the text, in order. A line that starts with "- ", "• ", "1. " or "a) " is a list item."""
    lines = text.expandtabs(4).splitlines()
    return list(_blocks(lines))


def _blocks(lines: list[str]) -> Iterator[Block]:
    open_block: Block | None = None
    indents: list[int] = []
    for at, line in enumerate(lines):
        stripped = line.strip()
        below = lines[at + 1].strip() if at + 1 < len(lines) else ""
        item = _ITEM.match(line)
        level = _heading_level(lines, at)
        if not stripped or _UNDERLINE.fullmatch(stripped) or level is not None or item:
            if open_block:
                yield open_block
            open_block = None
        if level is not None:
            yield Block("heading", stripped, level=level)
        elif item:
            indents = [indent for indent in indents if indent < len(item.group(1))] + [len(item.group(1))]
            open_block = Block("list_item", line[item.end() :].strip(), level=len(indents) - 1)
        elif stripped and not _UNDERLINE.fullmatch(stripped):
            if open_block:
                open_block = Block(open_block.kind, f"{open_block.text} {stripped}", open_block.level)
            else:
                indents = []
                open_block = Block("paragraph", stripped)
        if not stripped and not _ITEM.match(lines[at + 1] if below else ""):
            indents = []
    if open_block:
        yield open_block


def _heading_level(lines: list[str], at: int) -> int | None:
    """The level of the heading on this line; None when it is none. A heading stands alone between other lines."""
    line = lines[at].strip()
    above = lines[at - 1].strip() if at else ""
    below = lines[at + 1].strip() if at + 1 < len(lines) else ""
    if not line or len(line) > 90 or _UNDERLINE.fullmatch(line) or (above and not _UNDERLINE.fullmatch(above)):
        return None
    if below and (rule := _UNDERLINE.fullmatch(below)):
        return 1 if rule.group(1).startswith("=") else 2
    if line[-1] in ".:;,":
        return None
    number = NUMBERED.match(line)
    if number and not below and line[number.end()].isupper() and len(line.split()) <= 12:
        return 2 + number.group(1).count(".")
    letters = [letter for letter in line if letter.isalpha()]
    if len(letters) > 2 and all(letter.isupper() for letter in letters) and not below:
        return 1
    return None

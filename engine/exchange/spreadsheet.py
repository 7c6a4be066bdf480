"""Cells that a spreadsheet program leaves alone: no formula runs, no number or date is rewritten, and the way back is exact."""

import re

TOUCHED = re.compile(
    r"'*(?:[=+\-@\t\r\n＝＋－＠]|(?:0\d+|\d{12,}|\d[\d.,:/%eE+-]*[.,:/%eE+-][\d.,:/%eE+-]*|(?i:true|false))\Z)"
)
"""What Excel would run (CWE-1236), or show otherwise and save so: a leading zero, a long number, a date, 1e5, true."""


def guarded(text: str) -> str:
    """The cell for a text: behind an apostrophe where a spreadsheet program would run or rewrite it."""
    return f"'{text}" if TOUCHED.match(text) else text


def unguarded(cell: str) -> str:
    """The text of a cell, by `guarded` or by hand. `unguarded(guarded(text)) == text` for every text."""
    return cell[1:] if cell.startswith("'") and TOUCHED.match(cell) else cell

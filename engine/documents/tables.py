"""Tables of every format to blocks: cells that reach over columns and rows spread out, rows read with their header."""

from collections.abc import Sequence
from dataclasses import dataclass

from engine.documents.blocks import Block, plain

_MOST_COLUMNS = 200
_MOST_COVERED = 200_000
"""Cells that those which reach over several cover in one table; a table that wants more is a trap."""


@dataclass(frozen=True)
class Cell:
    """One cell as it is written down, before it is spread over what it covers."""

    text: str
    columns: int = 1
    rows: int = 1  # 0: all that are left
    header: bool = False


def read_table(rows: Sequence[Sequence[Cell]]) -> list[Block]:
    """
    The rows of a table, each with its header, a cell that covers several columns or rows repeated in each of them.

    A row that is one cell over all columns is read as it stands; above the header it is the table's title. Several header
    rows are read as one, each column named by all that stands above it ("Days Part-time").
    """
    grid = _spread([[_plain(cell) for cell in row] for row in rows])
    width = max((len(row) for row in grid), default=0)
    texts = [
        [row[0].text] + [""] * (width - 1) if row and row[0].columns >= width > 1 else [cell.text for cell in row]
        for row in grid
    ]
    titles = 0
    while titles < len(grid) and grid[titles] and grid[titles][0].columns >= width > 1:
        titles += 1
    heads = titles
    while heads < len(grid) and grid[heads] and all(cell.header for cell in grid[heads]):
        heads += 1
    above = [Block("table_row", texts[at][0]) for at in range(titles) if texts[at][0]]
    if heads < titles + 2 or heads == len(grid):
        return above + table_rows(texts[titles:])
    stacked = [list(dict.fromkeys(row[at].text for row in grid[titles:heads] if at < len(row))) for at in range(width)]
    return above + table_rows([[" ".join(filter(None, names)) for names in stacked], *texts[heads:]])


def table_rows(rows: Sequence[Sequence[str]], *, page: int | None = None) -> list[Block]:
    """
    A table read row by row with its header repeated: "Sick leave: Annual quota 12 days; Certificate after 3 days".

    The first row is the header. A table of one row, or of one column, is read as it stands.
    """
    cleaned = [[plain(cell) for cell in row] for row in rows]
    cleaned = [row for row in cleaned if any(row)]
    if not cleaned:
        return []
    header = [name.rstrip(":") for name in cleaned[0]]
    if len(cleaned) == 1:
        return [Block("table_row", "; ".join(cell for cell in cleaned[0] if cell), page=page)]
    return [Block("table_row", row_text(header, row), page=page) for row in cleaned[1:]]


def row_text(header: Sequence[str], row: Sequence[str]) -> str:
    """One row with the names of its columns; empty cells are left out."""
    named = [
        f"{header[at]} {cell}" if at < len(header) and header[at] else cell
        for at, cell in enumerate(row[1:], start=1)
        if cell
    ]
    if not named:
        return row[0]
    return f"{row[0].rstrip(':')}: {'; '.join(named)}" if row[0] else "; ".join(named)


def _plain(cell: Cell) -> Cell:
    return Cell(plain(cell.text), cell.columns, cell.rows, cell.header)


def _spread(rows: Sequence[Sequence[Cell]]) -> list[list[Cell]]:
    """A cell in every place of the grid, as browsers lay tables out; what nothing covers is empty."""
    grid: list[dict[int, Cell]] = [{} for _ in rows]
    covered = 0
    for at, row in enumerate(rows):
        column = 0
        for cell in row:
            while column in grid[at]:
                column += 1
            across = max(1, min(cell.columns, _MOST_COLUMNS - column))
            down = max(1, min(cell.rows or len(rows), len(rows) - at))
            covered += across * down
            if covered > _MOST_COVERED or column >= _MOST_COLUMNS:
                across = down = 1
            for place in grid[at : at + down]:
                for over in range(column, column + across):
                    place.setdefault(over, cell)
            column += across
    return [[row.get(column, Cell("")) for column in range(max(row, default=-1) + 1)] for row in grid]

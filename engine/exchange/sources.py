"""A file or folder of somebody's rows -> its records, one after another, after a look at what it is."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO

from engine.errors import InvalidInput
from engine.exchange import FORMATS, Format
from engine.exchange.folders import rows_of_folder
from engine.exchange.jsonl import Item, Oddities, json_lines, json_objects, lines_of
from engine.exchange.shapes import columns_of, shape_of, wanted
from engine.exchange.tables import csv_rows

MOST_BYTES = 512 * 2**20
MOST_ROWS = 200_000
SAMPLE = 100
MADE_BY = {
    b"PK\x03\x04": "a zip archive or an Excel workbook. Save the table as CSV (UTF-8), or unpack the archive, and import that.",
    b"PAR1": "a Parquet file. Load it with `datasets`, write it with save_to_disk, and import that folder.",
    b"\x1f\x8b": "packed with gzip. Unpack it and import what is inside.",
    b"SQLite": "a database. Export the table as CSV and import that.",
    b"%PDF": "a PDF. Make a dataset from a document with: app.py generate",
}


@dataclass
class Source:
    """One file or folder, opened: what it is, and its records as they are read."""

    name: str
    format: Format
    shape: str  # which columns make its rows; one of WANTED
    items: Iterator[Item]
    sample: list[Item]  # its first items; `items` begins with them too
    odd: Oddities = field(default_factory=Oddities)

    @property
    def one_instruction(self) -> str:
        """The instruction that every row of an Alpaca file repeats beside differing inputs; "" where there is none."""
        records = [item.record for item in self.sample if item.record]
        said = {str(record.get("instruction")) for record in records}
        inputs = {str(record.get("input") or "") for record in records}
        return said.pop() if self.shape == "alpaca" and len(said) == 1 and len(inputs - {""}) > 1 else ""


@contextmanager
def opened(path: Path, format: Format | None = None) -> Iterator[Source]:
    """
    The rows of a file of any of the formats, told by its content unless `format` names it, or of a folder saved by `datasets`.

    Raises InvalidInput for what is too big, empty, of another kind, or has no columns that make a row; its sentence names the
    columns seen and those wanted.
    """
    if not path.exists():
        raise InvalidInput(f"There is no file {path}. Check its name and folder.")
    if format is not None and (format == "hf") != path.is_dir():
        kind = "a folder" if path.is_dir() else "a file"
        raise InvalidInput(f"{path.name} is {kind}, and --format {format} wants the other. Leave --format out.")
    _check_size(path)
    odd = Oddities()
    if path.is_dir():
        yield _source(path, "hf", rows_of_folder(path), odd)
        return
    with path.open("rb") as file:
        found = format or _kind_of(path, file)
        file.seek(0)
        if found == "csv":
            lines = lines_of(file, Oddities())  # Excel wants a byte order mark there
            yield _source(path, found, csv_rows(path, lines, odd), odd)
        elif _spread(file):
            yield _source(path, found, json_objects(file, odd), odd)
        else:
            yield _source(path, found, json_lines(lines_of(file, odd), odd), odd)


def digest_of_files(path: Path) -> str:
    """sha256 of a file, or of all files of a folder in the order of their names."""
    digest = sha256()
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file():
            with file.open("rb") as opened_file:
                while block := opened_file.read(2**20):
                    digest.update(block)
    return digest.hexdigest()


def _check_size(path: Path) -> None:
    size = sum(f.stat().st_size for f in path.rglob("*") if f.is_file()) if path.is_dir() else path.stat().st_size
    if size > MOST_BYTES:
        raise InvalidInput(
            f"{path.name} has {size / 2**20:,.0f} MiB; an import takes {MOST_BYTES // 2**20} MiB and {MOST_ROWS:,} rows. "
            "Split it and import the parts as datasets of their own."
        )
    if size == 0:
        raise InvalidInput(f"{path.name} is empty. Export it again.")


def _kind_of(path: Path, file: BinaryIO) -> Format:
    """ "csv", or "chat" for JSON of whatever columns. Raises InvalidInput for what is no text of rows."""
    head = file.read(4096)
    for start, what in MADE_BY.items():
        if head.startswith(start):
            raise InvalidInput(f"{path.name} is {what}")
    if head[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in head[:4]:
        raise InvalidInput(f"{path.name} is UTF-16 or no text at all. Save it again as UTF-8.")
    begins = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    if not begins:
        raise InvalidInput(f"{path.name} holds nothing but empty lines. Export it again.")
    return "chat" if begins in (b"{", b"[") else "csv"


def _spread(file: BinaryIO) -> bool:
    """Whether JSON is written otherwise than a record a line: an array on one line, or objects over several lines."""
    lines: list[bytes] = []
    while len(lines) < 2 and (line := file.readline(2**20)):
        if line.removeprefix(b"\xef\xbb\xbf").strip():
            lines.append(line.removeprefix(b"\xef\xbb\xbf").strip())
    file.seek(0)
    if lines[0] == b"[" and len(lines) > 1:
        lines = lines[1:]
    if lines[0].startswith(b"["):
        return True
    another = len(lines) > 1 and lines[1].startswith(b"{")
    return not another and lines[0].endswith((b"{", b"[", b":", b'",'))


def _source(path: Path, format: Format, items: Iterator[Item], odd: Oddities) -> Source:
    """Looks at the first items to see which columns the rows have."""
    sample = list(islice(items, SAMPLE))
    records = [item.record for item in sample if item.record is not None]
    shapes = [shape for shape in map(shape_of, records) if shape]
    if not sample:
        raise InvalidInput(f"{path.name} names its columns and holds no row. Export it again.")
    if records and not shapes:
        raise InvalidInput(
            f"{path.name} has no columns that make a row. Seen: {columns_of(records)}. Wanted: {wanted()}. Rename the columns."
        )
    shape = next((shape for shape in shapes if shape != "text"), "text")
    if format not in ("csv", "hf"):
        told = {"chat": "chat", "prompt": "prompt", "alpaca": "alpaca"}
        format = format if format == "openai" else FORMATS[FORMATS.index(told.get(shape, "chat"))]
    return Source(path.name, format, shape, chain(sample, items), sample, odd)

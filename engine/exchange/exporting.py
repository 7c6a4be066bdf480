"""Kept rows of a dataset version -> files that other tools train on as they are; the same rows give the same bytes."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from engine.errors import InvalidInput
from engine.exchange import SIDECAR, Format, Lineage, as_json
from engine.exchange.folders import write_folder
from engine.exchange.shapes import CSV_COLUMNS, as_record, carries_statements
from engine.records import DatasetVersion, LedgerRow, Split
from engine.store import Store
from engine.tasks import Task

Part = Literal["train", "probe", "test", "all"]
PAGE = 2000
OPENAI_ROWS = 10
OPENAI_BYTES = 512 * 2**20
"""What OpenAI's fine-tuning wants at least, and the most its Files API takes (platform.openai.com, supervised fine-tuning)."""


@dataclass(frozen=True)
class Exported:
    """What was written."""

    files: tuple[Path, ...]
    rows: int
    left_out: int  # statements, where the format has no place for a bare text


def kept_rows(store: Store, version: DatasetVersion, part: Part = "all") -> Iterator[LedgerRow]:
    """The version's kept rows in their order, a page in memory at a time."""
    split: Split | None = None if part == "all" else part
    offset = 0
    while page := store.rows(version.id, state="kept", split=split, offset=offset, limit=PAGE):
        yield from page
        offset += len(page)


def export_version(
    store: Store, version: DatasetVersion, out: Path, *, task: Task, format: Format, part: Part = "all"
) -> Exported:
    """
    Write the version's kept rows of one split, or of all, in one format.

    Lineage stands beside each row; for alpaca and openai in a sidecar, NAME.lineage.jsonl. Nothing is left half-written.
    Raises InvalidInput when there is no row, when `out` is in the way, or when OpenAI would refuse the file.
    """
    clauses = {fact.id: fact.clause for fact in store.facts(version.id)}
    rows = kept_rows(store, version, part)
    if format == "hf":
        with TemporaryDirectory(dir=_folder_of(out), prefix=f".{out.name}-") as folder:
            written = write_folder(rows, clauses, out, task=task, work=Path(folder))
        if not written:
            raise InvalidInput(_nothing(part))
        return Exported((out,), written, 0)
    if out.is_dir():
        raise InvalidInput(f"{out} is a folder. Name a file.")
    sidecar = out.with_suffix(SIDECAR) if format in ("alpaca", "openai") else None
    if out.name.endswith(SIDECAR):
        raise InvalidInput(f"{out.name} is the name of the lineage beside a file. Choose another.")
    with TemporaryDirectory(dir=_folder_of(out), prefix=f".{out.name}-") as folder:
        rows_file, lineage_file = Path(folder) / "rows", Path(folder) / "lineage"
        with (
            rows_file.open("w", encoding="utf-8-sig" if format == "csv" else "utf-8", newline="") as file,
            lineage_file.open("w", encoding="utf-8", newline="") as beside,
        ):
            table = csv.DictWriter(file, CSV_COLUMNS) if format == "csv" else None
            if table is not None:
                table.writeheader()
            written = left_out = 0
            for row in rows:
                if row.example.kind == "statement" and not carries_statements(format):
                    left_out += 1
                    continue
                lineage = Lineage.of(row, clause=clauses.get(row.example.fact_id, ""))
                record = as_record(row, task, format, lineage)
                if table is not None:
                    table.writerow(record)
                else:
                    file.write(as_json(record) + "\n")
                if sidecar is not None:
                    beside.write(as_json(lineage.as_dict()) + "\n")
                written += 1
        _check(written, left_out, part, format, rows_file)
        rows_file.replace(out)
        if sidecar is not None:
            lineage_file.replace(sidecar)
    return Exported((out, sidecar) if sidecar else (out,), written, left_out)


def _check(written: int, left_out: int, part: Part, format: Format, file: Path) -> None:
    if not written:
        bare = f" There are {left_out} statements, which {format} cannot carry." if left_out else ""
        raise InvalidInput(_nothing(part) + bare)
    if format != "openai":
        return
    if written < OPENAI_ROWS:
        raise InvalidInput(f"OpenAI fine-tunes on {OPENAI_ROWS} rows or more, and these are {written}. Export more.")
    if file.stat().st_size > OPENAI_BYTES:
        size = f"{file.stat().st_size / 2**20:,.0f} MiB"
        raise InvalidInput(
            f"OpenAI takes files of {OPENAI_BYTES // 2**20} MiB, and this has {size}. Export one --split."
        )


def _nothing(part: Part) -> str:
    where = "" if part == "all" else f' in the split "{part}"'
    return f"The version has no row{where} to export. Choose another --split or --format."


def _folder_of(out: Path) -> Path:
    if not out.parent.is_dir():
        raise InvalidInput(
            f"The folder {out.parent} does not exist, so {out.name} cannot be written there. Make it first."
        )
    return out.parent

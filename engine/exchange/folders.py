"""Folders of Hugging Face `datasets`, both ways; the only module that knows the library, and not before it is needed."""

import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, get_args

from engine.errors import InvalidInput, Unavailable
from engine.exchange import Lineage
from engine.exchange.jsonl import Item
from engine.exchange.shapes import as_record
from engine.records import LedgerRow, Split
from engine.tasks import Task

PAGE = 2000
MARKS = ("dataset_dict.json", "state.json")


def write_folder(rows: Iterable[LedgerRow], clauses: Mapping[str, str], out: Path, *, task: Task, work: Path) -> int:
    """
    A folder for `datasets.load_from_disk`; returns the rows written, 0 having left everything as it was.

    train, probe and test hold messages with the lineage beside them; bare texts stand apart in "statements", so that a
    trainer finds columns without gaps. `work`: an empty folder on the same disk. Raises InvalidInput when something else
    than such a folder, or an empty one, is in the way.
    """
    datasets = _library()
    if out.exists() and not (out.is_dir() and (_is_saved(out) or not any(out.iterdir()))):
        raise InvalidInput(f"{out} is in the way and is no folder saved by `datasets`. Name another.")
    counts = _write_tables(rows, clauses, task, work)
    found: dict[str, Any] = {}
    for name in counts:
        file = work / f"{name}.arrow"
        found[name] = datasets.Dataset.from_file(str(file))
        with file.open("rb") as table:
            found[name]._fingerprint = _digest(table)  # else one is drawn, and no two exports are the same
    if not found:
        return 0
    with _without_bars(datasets):
        datasets.DatasetDict(found).save_to_disk(str(work / "ready"))
    if out.exists():
        shutil.rmtree(out)
    (work / "ready").replace(out)
    return sum(counts.values())


def rows_of_folder(path: Path) -> Iterator[Item]:
    """Split after split; a row's line is its number among all rows. Raises InvalidInput for any other folder."""
    if not _is_saved(path):
        raise InvalidInput(
            f"{path.name} is no folder saved by `datasets` (save_to_disk). Name a file, or such a folder."
        )
    datasets = _library()
    try:
        found: Any = datasets.load_from_disk(str(path))
    except Exception as problem:  # a damaged folder raises whatever its reader met: KeyError, ArrowInvalid, OSError, …
        raise InvalidInput(
            f"{path.name} cannot be read by `datasets` ({type(problem).__name__}). Save it again with save_to_disk."
        ) from problem
    splits = found.values() if isinstance(found, datasets.DatasetDict) else [found]
    for number, record in enumerate((record for split in splits for record in split), start=1):
        yield Item(number, {name: value for name, value in record.items() if value is not None})


def _write_tables(rows: Iterable[LedgerRow], clauses: Mapping[str, str], task: Task, work: Path) -> dict[str, int]:
    """One arrow file a split, a page of rows in memory at a time; the rows of each, in a fixed order."""
    import pyarrow

    beside = [(name, pyarrow.string()) for name in Lineage.__dataclass_fields__]
    turn = pyarrow.struct([("role", pyarrow.string()), ("content", pyarrow.string())])
    chat = pyarrow.schema([("messages", pyarrow.list_(turn)), *beside])
    bare = pyarrow.schema([("text", pyarrow.string()), *beside])
    schemas = {**dict.fromkeys(get_args(Split), chat), "statements": bare}
    pages: dict[str, list[dict[str, Any]]] = {name: [] for name in schemas}
    files = {name: pyarrow.OSFile(str(work / f"{name}.arrow"), "wb") for name in schemas}
    writers = {name: pyarrow.ipc.new_stream(files[name], schema) for name, schema in schemas.items()}
    counts = dict.fromkeys(schemas, 0)

    def flush(name: str) -> None:
        writers[name].write_table(pyarrow.Table.from_pylist(pages[name], schema=schemas[name]))
        counts[name] += len(pages[name])
        pages[name].clear()

    for row in rows:
        name = "statements" if row.example.kind == "statement" else str(row.split)
        lineage = Lineage.of(row, clause=clauses.get(row.example.fact_id, ""))
        pages[name].append(as_record(row, task, "hf", lineage))
        if len(pages[name]) == PAGE:
            flush(name)
    for name in schemas:
        flush(name)
        writers[name].close()
        files[name].close()
    return {name: count for name, count in counts.items() if count}


def _library() -> Any:
    try:
        import datasets
    except ImportError:
        raise Unavailable("Hugging Face folders need the library `datasets`. Install it with: make setup") from None
    return datasets


@contextmanager
def _without_bars(datasets: Any) -> Iterator[None]:
    """The library draws progress bars of its own, for the whole process."""
    shown = not datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            datasets.enable_progress_bars()


def _is_saved(path: Path) -> bool:
    return any((path / name).is_file() for name in MARKS)


def _digest(file: Any) -> str:
    digest = sha256()
    while block := file.read(2**20):
        digest.update(block)
    return digest.hexdigest()[:16]

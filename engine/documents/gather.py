"""Any mix of files, folders and zip archives to documents: one bad file gets its sentence, and the rest goes on."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from engine.documents import SUPPORTED, file_bytes, read_bytes
from engine.documents.archives import is_archive, member_bytes, members, shown
from engine.documents.limits import MOST_FILES
from engine.errors import InvalidInput, NotFound
from engine.records import Document
from engine.watching import Watch, ignore

Read = Callable[[str, bytes], Document]
"""(name, bytes) to the document; raises InvalidInput. The workspace's also keeps it."""


@dataclass(frozen=True)
class Gathered:
    """What became of everything that was named: a document, or a sentence that says why not and what to do."""

    documents: tuple[Document, ...]
    refused: tuple[str, ...]


@dataclass(frozen=True)
class _Source:
    """One file still to be read."""

    name: str  # without folders
    place: str  # "" for a file that was named itself; else the archive it is in, as it stands before a sentence
    data: Callable[[], bytes]


def gather(places: Sequence[Path], *, read: Read | None = None, watch: Watch = ignore) -> Gathered:
    """
    Each file that can be read as a document, in the order named, folders and archives in the order of names inside.

    A folder is read with all folders in it; hidden files and links to folders are passed over. A zip archive is read
    in memory. The same content twice is one document, and a sentence says so. One file is in memory at a time.
    Raises InvalidInput when nothing was named or nothing could be read, NotFound for a lone name that is not there.
    """
    if not places:
        raise InvalidInput("No document was chosen. Drop one or more files first.")
    refused: list[str] = []
    sources = list(_sources(places, refused))
    documents: dict[str, Document] = {}
    for done, source in enumerate(sources):
        watch("Reading documents", done, len(sources))
        try:
            reader = read or partial(read_bytes, watch=watch)
            document = reader(source.name, source.data())
        except (InvalidInput, NotFound) as problem:
            if len(places) == len(sources) == 1 and not refused and not source.place:
                raise
            refused.append(f"{source.place}{problem}")
            continue
        first = documents.setdefault(document.id, document)
        if first is not document:
            refused.append(f"{source.place}{source.name} says the same as {first.name}, so it is read only once.")
    watch("Reading documents", len(sources), len(sources))
    if not documents:
        raise InvalidInput(_none_left(refused))
    return Gathered(tuple(documents.values()), tuple(refused))


def _none_left(refused: Sequence[str]) -> str:
    if len(refused) == 1:
        return refused[0]
    more = f" And {len(refused) - 5} more." if len(refused) > 5 else ""
    return f"None of the files could be read. {' '.join(refused[:5])}{more}"


def _sources(places: Sequence[Path], refused: list[str]) -> Iterator[_Source]:
    """Every file that the places stand for; what is refused before it is read gets its sentence in `refused`."""
    count = 0
    for place in places:
        try:
            found = list(_inside(place, refused))
        except (InvalidInput, NotFound) as problem:
            if len(places) == 1:
                raise
            refused.append(str(problem))
            continue
        room = max(0, MOST_FILES - count)
        count += len(found)
        if len(found) > room:
            refused.append(
                f"{place.name}: {len(found) - room:,} files were left out, since at most {MOST_FILES:,} are read in one go. "
                "Load the rest after this."
            )
        yield from found[:room]


def _inside(place: Path, refused: list[str]) -> Iterator[_Source]:
    if not place.is_dir():
        yield from _file(place, refused)
        return
    before = len(refused)
    found = [source for path in _walk(place) for source in _of_folder(path, refused)]
    if not found and len(refused) == before:
        raise InvalidInput(f"The folder {place} holds no file to read. Put documents into it: {SUPPORTED}.")
    yield from found


def _of_folder(path: Path, refused: list[str]) -> list[_Source]:
    try:
        return list(_file(path, refused))
    except (InvalidInput, NotFound) as problem:
        refused.append(str(problem))
        return []


def _walk(folder: Path) -> Iterator[Path]:
    """The files in the folder and below, by name, hidden ones left out; more than can be read are not looked for."""
    count = 0
    for here, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and count <= MOST_FILES:
                count += 1
                yield Path(here) / name


def _file(path: Path, refused: list[str]) -> Iterator[_Source]:
    """The file itself, or what is in it when it is an archive. Raises InvalidInput for an archive not to be opened."""
    try:
        packed = path.is_file() and is_archive(path)
    except OSError:
        packed = False  # the reason comes when it is read
    if packed:
        files, left_out = members(path)
        refused += left_out
        for info in files:
            inner = shown(info.filename.rsplit("/", 1)[-1])
            yield _Source(inner, f"{path.name}: ", partial(member_bytes, path, info))
    else:
        yield _Source(path.name, "", partial(file_bytes, path))

"""Zip archives, read in memory: which members there are, which are refused, and the bytes of one. Nothing is unpacked to disk."""

import io
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.documents.limits import (
    HIGHEST_RATIO,
    LARGEST_FILE,
    LARGEST_LISTING,
    LARGEST_UNPACKED,
    MIB,
    MOST_FILES,
    RATIO_COUNTS_FROM,
    mib,
)
from engine.errors import InvalidInput

DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    ValueError,  # an offset or a name that cannot be
    OSError,  # a broken bzip2 stream
    EOFError,
    NotImplementedError,  # an unknown compression
    RuntimeError,  # a member that is encrypted after all
    KeyError,
    struct.error,
)
"""What the standard library raises for a broken archive."""

_OFFICE = ("[Content_Types].xml", "mimetype", "word/document.xml")
"""Members by which Office files, which are zip archives too, give themselves away."""


class _SmallReads(io.FileIO):
    """A file that hands over a little at a time: zipfile reads an archive's whole listing in one go, however long."""

    def read(self, size: int | None = -1) -> bytes:
        wanted = LARGEST_LISTING + 1 if size is None or size < 0 else min(size, LARGEST_LISTING + 1)
        data = super().read(wanted) or b""
        if len(data) > LARGEST_LISTING:
            raise zipfile.BadZipFile(f"its list of members is longer than {mib(LARGEST_LISTING)}")
        return data


def is_archive(path: Path) -> bool:
    """Whether the file's bytes say that it is a zip of files, and not an Office file, whatever its name."""
    with path.open("rb") as file:
        start = file.read(4)
    if start not in (b"PK\x03\x04", b"PK\x05\x06"):
        return False
    try:
        with zipfile.ZipFile(_SmallReads(path)) as packed:
            return not any(name in packed.NameToInfo for name in _OFFICE)
    except DAMAGE:
        return path.suffix.lower() == ".zip"


def members(path: Path) -> tuple[list[zipfile.ZipInfo], list[str]]:
    """
    The files in the archive in the order of their names, and a sentence for each that is not to be read.

    Folders and hidden files are passed over. Raises InvalidInput for an archive that is damaged, empty, or a bomb.
    """
    with _opened(path) as packed:
        found = sorted(packed.infolist(), key=lambda info: info.filename)
    if len(found) > MOST_FILES:
        raise InvalidInput(f"{path.name} holds {len(found):,} files; at most {MOST_FILES:,} are read. Split it.")
    files = [info for info in found if not info.is_dir() and not _hidden(info.filename)]
    total = sum(info.file_size for info in files)
    if total > LARGEST_UNPACKED:
        raise InvalidInput(
            f"{path.name} unpacks to {mib(total)}; at most {mib(LARGEST_UNPACKED)} are read. "
            "If it is no trap, pack fewer files into it."
        )
    refused = [(info, _reason_against(info)) for info in files]
    if not files:
        raise InvalidInput(f"{path.name} holds no file. Put documents into it and load it again.")
    return (
        [info for info, reason in refused if not reason],
        [f"{path.name}: {shown(info.filename)} {reason}" for info, reason in refused if reason],
    )


def member_bytes(path: Path, info: zipfile.ZipInfo) -> bytes:
    """What the member holds, in memory. Raises InvalidInput when it is damaged or larger than the archive said."""
    with _opened(path) as packed:
        try:
            return unpacked(packed, info)
        except DAMAGE as reason:
            raise InvalidInput(
                f"{shown(info.filename)} is damaged in the archive ({reason}). Pack it again and load that."
            ) from None


def unpacked(packed: zipfile.ZipFile, member: zipfile.ZipInfo | str) -> bytes:
    """
    The member's bytes, at most as many as its entry in the archive says, whatever its data would unpack to.

    Raises what the standard library raises for a broken archive; all of it is in `DAMAGE`.
    """
    info = packed.getinfo(member) if isinstance(member, str) else member
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # zipfile unpacks others without bound
        raise NotImplementedError("it is packed by a method other than deflate")
    with packed.open(info) as file:
        return b"".join(iter(lambda: file.read(MIB), b""))


def shown(name: str) -> str:
    """A name out of an archive as it can be printed: no control characters, and not a page long."""
    clean = "".join(character if character.isprintable() else "?" for character in name)
    return clean if len(clean) <= 120 else f"{clean[:60]} … {clean[-50:]}"


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        packed = zipfile.ZipFile(_SmallReads(path))
    except DAMAGE as reason:
        raise InvalidInput(
            f"{path.name} is a damaged zip archive ({str(reason).rstrip('.')}). Copy or download it again and load that."
        ) from None
    with packed:
        yield packed


def _hidden(name: str) -> bool:
    parts = [part for part in name.split("/") if part not in ("", ".", "..")]
    return any(part.startswith(".") or part == "__MACOSX" for part in parts)


def _reason_against(info: zipfile.ZipInfo) -> str:
    """Why a member is not read, with the next step; "" when it is."""
    name = info.filename
    if name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", name):
        return "has an absolute name, which a zip archive of documents never has. Pack the folder again and load that."
    if ".." in re.split(r"[/\\]", name):
        return "points outside the archive. Pack the folder again and load that."
    if stat.S_ISLNK(info.external_attr >> 16):
        return "is a link. Put the file itself into the archive."
    if info.flag_bits & 0x1:
        return "is encrypted. Pack it without a password and load that."
    if name.lower().endswith(".zip"):
        return "is an archive within the archive, which is not opened. Unpack it and load what is in it."
    if info.file_size > LARGEST_FILE:
        return f"unpacks to {mib(info.file_size)}; at most {mib(LARGEST_FILE)} are read. Split it into smaller files."
    if info.file_size > RATIO_COUNTS_FROM and info.file_size > HIGHEST_RATIO * max(1, info.compress_size):
        return (
            f"unpacks to {info.file_size // max(1, info.compress_size)} times its size, as zip bombs do. "
            "If it is no trap, load it by itself, unpacked."
        )
    return ""

"""A file to passages: PDF, DOCX, HTML, Markdown, text. Looks at the bytes, not at the name; only text leaves here."""

import codecs
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from engine.documents.blocks import Block, assemble
from engine.documents.docling import lacking, read_by_docling
from engine.documents.docx import read_docx
from engine.documents.html import read_html
from engine.documents.limits import LARGEST_FILE, LARGEST_TEXT, mib
from engine.documents.markdown import read_markdown
from engine.documents.pdf import read_pdf
from engine.documents.text import read_text
from engine.errors import InvalidInput, NotFound, Unavailable
from engine.records import Document
from engine.watching import Watch, ignore

Format = Literal["pdf", "docx", "html", "markdown", "text"]

SUPPORTED = "PDF, DOCX, HTML, Markdown and plain text (.pdf .docx .html .htm .md .markdown .txt)"

SUFFIXES: dict[str, Format] = {
    ".pdf": "pdf",
    ".docx": "docx",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".md": "markdown",
    ".markdown": "markdown",
    ".txt": "text",
    ".text": "text",
    "": "text",
}
_TITLES: dict[Format, str] = {
    "pdf": "PDF",
    "docx": "DOCX",
    "html": "HTML",
    "markdown": "Markdown",
    "text": "plain text",
}
_MEDIA_TYPES: dict[Format, str] = {
    "pdf": "application/pdf",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "html": "text/html",
    "markdown": "text/markdown",
    "text": "text/plain",
}
_OTHER_KINDS: tuple[tuple[bytes, str, str], ...] = (
    (b"\xd0\xcf\x11\xe0", "an old Office file (.doc, .xls, .ppt)", "Save it as .docx or PDF and load that."),
    (b"{\\rtf", "an RTF file", "Save it as .docx or PDF and load that."),
    (b"\x89PNG", "a picture", "Run OCR on it (for example ocrmypdf) and load the resulting PDF."),
    (b"\xff\xd8\xff", "a picture", "Run OCR on it (for example ocrmypdf) and load the resulting PDF."),
    (b"II*\x00", "a picture", "Run OCR on it (for example ocrmypdf) and load the resulting PDF."),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "Unpack it, or pack its files as .zip, and load that."),
    (b"Rar!\x1a\x07", "a RAR archive", "Unpack it, or pack its files as .zip, and load that."),
    (b"\x1f\x8b", "a gzip archive", "Unpack it, or pack its files as .zip, and load that."),
    (b"GIF8", "a picture", "Run OCR on it (for example ocrmypdf) and load the resulting PDF."),
)
_TEXT_READERS: dict[Format, Callable[[str], list[Block]]] = {
    "html": read_html,
    "markdown": read_markdown,
    "text": read_text,
}


def read_document(path: Path) -> Document:
    """The parsed file. Raises InvalidInput when it cannot be read as a document, NotFound when there is none."""
    return read_bytes(path.name, file_bytes(path))


def file_bytes(path: Path) -> bytes:
    """The content of a file that someone named. Raises NotFound or InvalidInput when there is none to be had."""
    try:
        if path.is_dir():
            raise InvalidInput(f"{path} is a folder. Name the files in it.")
        if path.exists() and not path.is_file():
            raise InvalidInput(f"{path.name} is neither a file nor a folder, so it cannot be read. Name a document.")
        if path.is_file() and path.stat().st_size > LARGEST_FILE:
            raise InvalidInput(_too_large(path.name, path.stat().st_size))
        return path.read_bytes()
    except FileNotFoundError:
        raise NotFound(f"There is no file {path}. Check the path.") from None
    except OSError as reason:
        raise InvalidInput(f"{path} cannot be read ({reason.strerror}). Check its permissions.") from reason


def read_bytes(name: str, data: bytes, *, watch: Watch = ignore) -> Document:
    """
    The document in `data`; `name` is what people call it, and its ending matters only where the bytes do not tell.

    Passages come in reading order: paragraphs, list items and table rows with their heading path. Running headers,
    footers, page numbers, margin notes and the contents page are left out. Typographic quotes are made straight and
    white space is collapsed, so that every format gives the same words. `watch` hears of the pages of a long PDF.
    A PDF is read by docling where docling can be used; where it fails, by our own reader, and the document's notes say so.
    Raises InvalidInput with the reason and the next step for anything that gives no text.
    """
    name = Path(name).name or name
    if len(data) > LARGEST_FILE:
        raise InvalidInput(_too_large(name, len(data)))
    if not data.strip():
        raise InvalidInput(f"{name} is empty (0 bytes of content). Load a file with text in it.")
    kind = _format_by_bytes(name, data)
    claimed = SUFFIXES.get(Path(name).suffix.lower())
    if kind == "pdf":
        return _read_pdf(name, data, watch)
    if kind == "docx":
        return assemble(name, data, _MEDIA_TYPES[kind], read_docx(name, data))
    if len(data) > LARGEST_TEXT:
        raise InvalidInput(_too_large(name, len(data), LARGEST_TEXT))
    text = _decode(name, data, claimed)
    really = _format_by_text(text)
    if claimed in ("pdf", "docx"):
        raise InvalidInput(_misnamed(name, claimed, really))
    if claimed is None:
        raise _unsupported(name, f"a {Path(name).suffix} file")
    kind = "html" if claimed == "text" and really == "html" else claimed
    return assemble(name, data, _MEDIA_TYPES[kind], _TEXT_READERS[kind](text))


def _read_pdf(name: str, data: bytes, watch: Watch) -> Document:
    """By our own reader first, which refuses what cannot be read, and then by docling where that can be used."""
    blocks, page_count = read_pdf(name, data, watch=watch)
    notes: tuple[str, ...] = ()
    if not lacking():
        watch(f"Reading {name} with docling", 0, 1)
        try:
            found = read_by_docling(data, page_count=page_count)
            if 2 * _length(found) < _length(blocks):
                raise Unavailable("it found less than half of the text")
            blocks = found
        except Unavailable as reason:
            notes = (
                f"{name}: docling failed on it ({reason}), so our own reader read it. If that happens with every PDF, "
                "mend docling or set TOUCHSTONE_DOCLING=off.",
            )
    document = assemble(name, data, _MEDIA_TYPES["pdf"], blocks, page_count=page_count)
    return replace(document, notes=notes)


def _length(blocks: Sequence[Block]) -> int:
    return sum(len(block.text) for block in blocks if block.kind != "heading")


def suffix_of(media_type: str) -> str:
    """The ending under which a file of that media type is kept, whatever it was called."""
    kind = next(kind for kind, known in _MEDIA_TYPES.items() if known == media_type)
    return next(suffix for suffix, named in SUFFIXES.items() if named == kind)


def _too_large(name: str, size: int, limit: int = LARGEST_FILE) -> str:
    of_text = " of text" if limit == LARGEST_TEXT else ""
    return f"{name} has {mib(size)}; at most {mib(limit)}{of_text} are read. Split it."


def _unsupported(name: str, what: str) -> InvalidInput:
    return InvalidInput(f"{name} is {what}, which is not supported. Supported are {SUPPORTED}.")


def _misnamed(name: str, claimed: Format, really: Format) -> str:
    suffix = {"html": ".html", "markdown": ".md"}.get(really, ".txt")
    return (
        f"{name} is not a {_TITLES[claimed]} file: its content is {_TITLES[really]}. "
        f"Rename it to {Path(name).stem}{suffix} and load it again."
    )


def _format_by_bytes(name: str, data: bytes) -> Format | None:
    """The format that the first bytes prove; None when they may be text. Raises InvalidInput for other known kinds."""
    if b"%PDF-" in data[:1024]:
        return "pdf"
    if data.startswith(b"PK\x03\x04"):
        if b"word/document.xml" in data:
            return "docx"
        if Path(name).suffix.lower() == ".docx":
            raise InvalidInput(f"{name} is damaged: it has no Word text in it. Save it again as .docx and load that.")
        raise InvalidInput(f"{name} is a zip archive or another Office file. Unpack it, or save it as DOCX or PDF.")
    for start, what, next_step in _OTHER_KINDS:
        if data.startswith(start):
            raise InvalidInput(f"{name} is {what}, which cannot be read as text. {next_step}")
    return None


def _decode(name: str, data: bytes, claimed: Format | None) -> str:
    """Text from UTF-8, from UTF-16 with its mark, or from Latin-1. Raises InvalidInput when the bytes are no text."""
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if data.startswith(mark):
            text = data.decode(encoding, errors="replace")
            break
    else:
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            text = data.decode("cp1252", errors="replace")
    odd = sum((character < " " and character not in "\t\n\r\f") or character in "\x7f\ufffd" for character in text)
    if odd * 200 <= len(text):
        return text
    if claimed in ("pdf", "docx"):
        raise InvalidInput(
            f"{name} is not a {_TITLES[claimed]} file: its content is neither that nor text. "
            f"Check that it was saved or downloaded completely. Supported are {SUPPORTED}."
        )
    raise InvalidInput(f"{name} is not text: it holds binary data. Supported are {SUPPORTED}.")


def _format_by_text(text: str) -> Format:
    start = text[:4000].lower()
    if re.search(r"<!doctype html|<html[\s>]|<body[\s>]|<head[\s>]", start):
        return "html"
    if re.search(r"^#{1,6} \S|^---$|\]\(\S|^\|.*\|\s*$|\*\*\S", text[:20000], re.MULTILINE):
        return "markdown"
    return "text"

"""A PDF read by docling, where it and its models are on this machine: in a process of its own that can fetch nothing.

docling finds headings, lists and tables by how a page looks. It is never required: our own reader reads every PDF first,
and what docling makes of it takes its place only when docling got through. Scanned pages stay refused: no OCR is asked for.
The process gives docling's memory back, and takes a crash or a hang of its native code with it.
"""

import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.documents.blocks import Block
from engine.documents.pdf_layout import ITEM
from engine.documents.tables import Cell, read_table
from engine.errors import Unavailable
from engine.settings import PROJECT, Settings

MODELS = ("docling-project--docling-layout-heron", "docling-project--docling-models")
"""The folders of docling's page layout and of its tables, as its own download names them and its pipeline wants them."""

OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
"""A second lock: with a models' folder named, docling looks nowhere else."""

START_S, PAGE_S = 180, 60
"""How long docling may take to start, and for each page; on two slow cores a page takes it some seconds."""

_CHILD = "import sys; from engine.documents.docling import convert; convert(*sys.argv[1:])"
_LABEL = re.compile(r"\(\w{1,4}\)\s")


def lacking(environ: Mapping[str, str] = os.environ) -> str:
    """What keeps docling from reading PDFs here, for people; "" when nothing does. Loads nothing of docling."""
    if environ.get("TOUCHSTONE_DOCLING", "").lower() == "off":
        return "docling is switched off by TOUCHSTONE_DOCLING"
    if importlib.util.find_spec("docling") is None:
        return "docling is not installed"
    folder = models_folder(environ)
    if not all(any((folder / name).glob("**/*.safetensors")) for name in MODELS):
        return f"docling's models are not in {folder}"
    return ""


def models_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Where docling is told to find its models, else where its command `docling-tools models download` puts them."""
    if named := environ.get("DOCLING_ARTIFACTS_PATH"):
        return Path(named).expanduser()
    cache = environ.get("DOCLING_CACHE_DIR")
    return (Path(cache).expanduser() if cache else Path.home() / ".cache" / "docling") / "models"


def read_by_docling(data: bytes, *, page_count: int, environ: Mapping[str, str] = os.environ) -> list[Block]:
    """The readable blocks of a PDF, in order, with their pages. Raises Unavailable, with the reason, when docling fails."""
    limit_s = START_S + PAGE_S * page_count
    try:
        with tempfile.TemporaryDirectory(prefix="touchstone-docling-") as folder:
            pdf, written = Path(folder) / "document.pdf", Path(folder) / "document.json"
            pdf.write_bytes(data)
            done = subprocess.run(
                [sys.executable, "-c", _CHILD, str(pdf), str(models_folder(environ)), str(written)],
                cwd=PROJECT,
                env={**environ, **OFFLINE, "OMP_NUM_THREADS": str(Settings.read(environ).threads)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                errors="replace",
                timeout=limit_s,
                check=False,
            )
            if done.returncode:
                said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
                raise Unavailable(said[-1][:300])
            return blocks_of(json.loads(written.read_bytes()))
    except subprocess.TimeoutExpired:
        raise Unavailable(f"it was not done after {limit_s} s") from None
    except (OSError, LookupError, TypeError, ValueError) as reason:
        raise Unavailable(f"what it wrote cannot be read: {reason!r}") from reason


def convert(pdf: str, models: str, written: str) -> None:
    """What the process of its own does: the PDF to docling's document, as JSON. Exits with a reason unless all pages came."""
    from docling.datamodel.base_models import InputFormat
    from docling.datamodel.pipeline_options import HeadingHierarchyOptions, PdfPipelineOptions
    from docling.document_converter import DocumentConverter, PdfFormatOption

    options = PdfPipelineOptions(
        artifacts_path=Path(models),
        do_ocr=False,
        heading_hierarchy_options=HeadingHierarchyOptions(enabled=True),  # else every heading is on one level
        generate_parsed_pages=True,  # the looks of headings are read from them
    )
    converter = DocumentConverter(
        allowed_formats=[InputFormat.PDF],
        format_options={InputFormat.PDF: PdfFormatOption(pipeline_options=options)},
    )
    result = converter.convert(Path(pdf))
    if result.status.value != "success":
        sys.exit("; ".join(error.error_message for error in result.errors) or f"it ended with {result.status.value}")
    Path(written).write_text(json.dumps(result.document.export_to_dict()), encoding="utf-8")


def blocks_of(document: Mapping[str, Any]) -> list[Block]:
    """
    The readable blocks of a DoclingDocument of a PDF, as docling's `export_to_dict` gives it.

    Running headers and footers, contents pages and what stands in pictures are left out. docling puts all items of a
    list on one level: they are nested here by how far they are set in. A table without a header, overleaf of one of as many
    columns, is the rest of that one.
    """
    blocks: list[Block] = []
    indents: list[float] = []  # left edges of the open lists, outermost first, in points
    header: Sequence[Sequence[Cell]] = ()  # of the table just before
    overleaf = 0  # the page after that table
    for item in _items(document, document["body"]):
        at = item["prov"][0] if item.get("prov") else {}
        page, left = at.get("page_no"), at.get("bbox", {}).get("l", 0.0)
        label, text = item["label"], item.get("text") or item.get("orig") or ""
        if label == "table":
            rows = _rows(item["data"]["grid"])
            if header and page == overleaf and _lacks(rows, header):
                rows = [*header, *rows]
            else:
                header = _header(rows)
            overleaf = (page or 0) + 1
            blocks.extend(replace(block, page=page) for block in read_table(rows))
        else:
            header = ()
        if label == "list_item":
            indents = [indent for indent in indents if indent < left - 4] + [left]
            said = _without_mark(item.get("marker") or "", text)
            if _LABEL.match(said):  # "(a)" stays, and `assemble` knows how such lists are nested
                blocks.append(Block("paragraph", said, page=page))
            else:
                blocks.append(Block("list_item", said, level=len(indents) - 1, page=page))
            continue
        indents = []
        if label in ("title", "section_header"):
            blocks.append(Block("heading", text, level=item.get("level", 0), page=page))
        elif text:
            blocks.append(Block("paragraph", text, page=page))
    return blocks


def _without_mark(marker: str, text: str) -> str:
    """A list item without its bullet or plain number; "1.1" and "(a)" stay, since clauses refer to them."""
    said = f"{marker} {text}" if re.search(r"\w", marker) else text
    mark = ITEM.match(said)
    return said[mark.end() :] if mark else said


def _header(rows: Sequence[Sequence[Cell]]) -> Sequence[Sequence[Cell]]:
    heads = next((at for at, row in enumerate(rows) if not all(cell.header for cell in row)), len(rows))
    return rows[: max(1, heads)]


def _lacks(rows: Sequence[Sequence[Cell]], header: Sequence[Sequence[Cell]]) -> bool:
    """Whether these rows have no header of their own and as many columns as that one."""
    first, columns = rows[0] if rows else (), sum(cell.columns for cell in header[0])
    return not any(cell.header for cell in first) and sum(cell.columns for cell in first) == columns


def _items(document: Mapping[str, Any], item: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Every text and table in reading order; of what belongs to a table or a picture, its captions before it."""
    if item.get("content_layer", "body") != "body":
        return
    inside = [child["$ref"] for child in item.get("children", [])]
    captions = [ref for ref in inside if {"$ref": ref} in item.get("captions", [])]
    if item["label"] == "picture":
        inside = captions
    for ref in captions:
        yield from _items(document, _at(document, ref))
    if "text" in item or item["label"] == "table":  # a contents page is a table labelled "document_index"
        yield item
    for ref in inside:
        if ref not in captions:
            yield from _items(document, _at(document, ref))


def _at(document: Mapping[str, Any], ref: str) -> Mapping[str, Any]:
    """What "#/texts/3" stands for."""
    _, room, number = ref.split("/")
    found: Mapping[str, Any] = document[room][int(number)]
    return found


def _rows(grid: Sequence[Sequence[Mapping[str, Any]]]) -> list[Sequence[Cell]]:
    """The cells as they are written down; docling's grid repeats one that reaches over several places in each of them."""
    return [
        [
            Cell(cell["text"], cell["col_span"], cell["row_span"], header=cell["column_header"])
            for across, cell in enumerate(row)
            if (cell["start_row_offset_idx"], cell["start_col_offset_idx"]) == (down, across)
        ]
        for down, row in enumerate(grid)
    ]

"""PDFs by docling: used when it and its models are here, never required. A stand-in package plays docling in its process."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pypdfium2 as pdfium
import pytest

from engine.documents import read_bytes
from engine.documents.blocks import Block, assemble
from engine.documents.docling import MODELS, blocks_of, lacking, models_folder
from engine.errors import InvalidInput
from engine.notes import notes_on
from engine.samples import PDF
from tests.pdfs import Words, placed_pdf, scanned_pdf

RECORDED = Path(__file__).parent / "data" / "docling_sample_pages.json"
"""
Pages 2, 4 and 9 of the sample policy as docling 2.143 wrote them down: parsed, put in order, lists marked, headings levelled.

Only what its two models would have told it, the regions of each page and the cells of the table, was handed in for them.
"""

STAND_IN = """
import json, os, shutil, types
from pathlib import Path

class PdfFormatOption:
    def __init__(self, *, pipeline_options):
        self.options = pipeline_options

class DocumentConverter:
    def __init__(self, *, allowed_formats, format_options):
        (self.format,) = allowed_formats
        self.options = format_options[self.format].options

    def convert(self, path):
        assert path.read_bytes().startswith(b"%PDF-") and self.format == "pdf"
        assert os.environ["HF_HUB_OFFLINE"] == "1" and not self.options.do_ocr
        assert any(self.options.artifacts_path.iterdir()) and self.options.heading_hierarchy_options.enabled
        print("docling talks on its standard output")
        says = Path(__file__).with_name("says.json")
        document = json.loads(says.read_text()) if says.exists() else {}
        error = types.SimpleNamespace(error_message="page 2 could not be parsed")
        return types.SimpleNamespace(
            status=types.SimpleNamespace(value="success" if document else "partial_success"),
            errors=[error],
            document=types.SimpleNamespace(export_to_dict=lambda: document),
        )
"""
OPTIONS = "import types\nclass PdfPipelineOptions(types.SimpleNamespace): ...\nclass HeadingHierarchyOptions(types.SimpleNamespace): ...\n"


def sample_pages() -> bytes:
    """The pages that were recorded, as a PDF of their own."""
    whole, cut, out = pdfium.PdfDocument(PDF), pdfium.PdfDocument.new(), io.BytesIO()
    cut.import_pages(whole, [1, 3, 8])
    cut.save(out)
    return out.getvalue()


@pytest.fixture
def docling(tmp_path, monkeypatch) -> Path:
    """A stand-in of docling and of its models on this machine; it says what stands in says.json, and fails without."""
    package = tmp_path / "packages" / "docling"
    (package / "datamodel").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "datamodel" / "__init__.py").touch()
    (package / "datamodel" / "base_models.py").write_text("class InputFormat:\n    PDF = 'pdf'\n")
    (package / "datamodel" / "pipeline_options.py").write_text(OPTIONS)
    (package / "document_converter.py").write_text(STAND_IN)
    for name in MODELS:
        (tmp_path / "cache" / "models" / name).mkdir(parents=True)
        (tmp_path / "cache" / "models" / name / "model.safetensors").touch()
    monkeypatch.syspath_prepend(package.parent)
    monkeypatch.setenv("PYTHONPATH", str(package.parent))
    monkeypatch.setenv("DOCLING_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("DOCLING_ARTIFACTS_PATH", raising=False)
    monkeypatch.delenv("TOUCHSTONE_DOCLING")
    return package


def test_docling_is_used_only_where_it_and_its_models_are_here(docling, tmp_path, monkeypatch):
    assert lacking() == ""
    assert "switched off" in lacking({"DOCLING_CACHE_DIR": str(tmp_path / "cache"), "TOUCHSTONE_DOCLING": "off"})
    assert "models are not in" in lacking({"DOCLING_ARTIFACTS_PATH": str(tmp_path / "nowhere")})
    (tmp_path / "cache" / "models" / MODELS[1] / "model.safetensors").unlink()
    assert "models are not in" in lacking()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert lacking() == "docling is not installed"


def test_the_models_are_looked_for_where_docling_looks():
    assert models_folder({"DOCLING_ARTIFACTS_PATH": "/a", "DOCLING_CACHE_DIR": "/b"}) == Path("/a")
    assert models_folder({"DOCLING_ARTIFACTS_PATH": "~/a"}) == Path.home() / "a"
    assert models_folder({"DOCLING_CACHE_DIR": "/b"}) == Path("/b/models")
    assert models_folder({}) == Path.home() / ".cache" / "docling" / "models"


def test_what_docling_wrote_down_gives_the_passages_that_our_own_reader_finds():
    data = sample_pages()
    ours = read_bytes("sample.pdf", data)
    theirs = assemble(
        "sample.pdf", data, "application/pdf", blocks_of(json.loads(RECORDED.read_text("utf-8"))), page_count=3
    )
    assert {(p.kind, p.page) for p in theirs.passages} >= {("list_item", 1), ("table_row", 2), ("list_item", 3)}
    assert theirs == ours and len(ours.passages) == 36


def test_a_pdf_is_read_by_docling_when_it_can_be_used(docling, capfd):
    (docling / "says.json").write_text(json.dumps(document(text("text", "Leave is granted by the head of the site."))))
    data = one_sentence()
    watched: list[str] = []
    read = read_bytes("a.pdf", data, watch=lambda what, done, total: watched.append(what))
    assert [(p.text, p.page) for p in read.passages] == [("Leave is granted by the head of the site.", 1)]
    assert notes_on(read) == [] and watched == ["Reading a.pdf with docling"]
    assert read.page_count == 1 and "docling" not in sys.modules
    assert capfd.readouterr() == ("", "")


def test_where_docling_fails_the_pdf_is_read_as_ever_and_a_note_says_so(docling, monkeypatch):
    data = one_sentence()
    read = read_bytes("a.pdf", data)
    (note,) = notes_on(read)
    assert note.startswith("a.pdf: docling failed on it (page 2 could not be parsed), so our own reader read it.")
    (docling / "says.json").write_text("no JSON")
    assert "JSONDecodeError" in notes_on(read_bytes("a.pdf", data))[0]
    (docling / "says.json").write_text('{"body": {}}')
    assert "what it wrote cannot be read: KeyError" in notes_on(read_bytes("a.pdf", data))[0]
    (docling / "says.json").write_text(json.dumps(document(text("text", "Leave."))))
    assert "less than half of the text" in notes_on(read_bytes("a.pdf", data))[0]
    monkeypatch.setenv("TOUCHSTONE_DOCLING", "off")
    plainly = read_bytes("a.pdf", data)
    assert notes_on(plainly) == [] and plainly.passages == read.passages


def test_what_cannot_be_read_is_refused_before_docling_is_asked(docling):
    with pytest.raises(InvalidInput, match="looks scanned"):
        read_bytes("a.pdf", scanned_pdf(1), watch=lambda *said: pytest.fail("docling was asked"))


# A document of docling's, by hand


def one_sentence() -> bytes:
    return placed_pdf([[Words(20, 40, "Leave is granted by the head of site.")]])


def text(label: str, says: str, *, page: int = 1, left: float = 50.0, **more: Any) -> dict[str, Any]:
    prov = [{"page_no": page, "bbox": {"l": left, "t": 100.0, "r": 500.0, "b": 90.0}}]
    return {"label": label, "text": says, "prov": prov, "children": [], **more}


def table(rows: list[list[str]], *, heads: int, page: int = 1) -> dict[str, Any]:
    """A cell that says "<" is covered by the one to its left, "^" by the one above it."""
    grid: list[list[dict[str, Any]]] = []
    for down, row in enumerate(rows):
        grid.append([])
        for across, says in enumerate(row):
            if says in ("<", "^"):
                first = grid[down][across - 1] if says == "<" else grid[down - 1][across]
                first["col_span" if says == "<" else "row_span"] += 1
                grid[down].append(first)
                continue
            place = {"start_row_offset_idx": down, "start_col_offset_idx": across, "row_span": 1, "col_span": 1}
            grid[down].append({"text": says, "column_header": down < heads, **place})
    return {"label": "table", "prov": [{"page_no": page, "bbox": {"l": 50.0}}], "children": [], "data": {"grid": grid}}


def document(*items: dict[str, Any]) -> dict[str, Any]:
    return {
        "body": {"label": "unspecified", "children": [{"$ref": f"#/texts/{at}"} for at in range(len(items))]},
        "texts": items,
    }


def test_lists_are_nested_by_how_far_they_are_set_in_and_keep_the_labels_that_clauses_name():
    found = blocks_of(
        document(
            text("list_item", "Your own illness", marker="-"),
            text("list_item", "one under 12", marker="○", left=70.0),
            text("list_item", "A move", marker="2."),
            text("text", "Any of:"),
            text("list_item", "the manager", marker="(a)"),
            text("list_item", "(optional) a receipt", marker="-"),
        )
    )
    assert found[:3] == [
        Block("list_item", "Your own illness", 0, 1),
        Block("list_item", "one under 12", 1, 1),
        Block("list_item", "A move", 0, 1),
    ]
    assert found[4:] == [Block("paragraph", "(a) the manager", 0, 1), Block("list_item", "(optional) a receipt", 0, 1)]


def test_a_table_that_goes_on_overleaf_keeps_its_header():
    quota = table([["Kind", "Days", "<"], ["^", "Full", "Part"], ["Sick", "12", "6"]], heads=2)
    foot = text("page_footer", "Page 1", content_layer="furniture")
    rest = table([["Study", "5", "3"]], heads=0, page=2)
    apart = table([["Site", "City", "Desk"], ["North", "Oslo", "4"]], heads=0, page=2)
    after_text = table([["Year", "Rise", "Bonus"], ["2026", "2 %", "none"]], heads=0, page=3)
    found = blocks_of(document(quota, foot, rest, apart, text("text", "Pay.", page=3), after_text))
    assert [(block.text, block.page) for block in found] == [
        ("Sick: Days Full 12; Days Part 6", 1),
        ("Study: Days Full 5; Days Part 3", 2),
        ("North: City Oslo; Desk 4", 2),
        ("Pay.", 3),
        ("2026: Rise 2 %; Bonus none", 3),
    ]


def test_furniture_contents_pages_and_the_insides_of_pictures_are_left_out():
    picture = {
        "label": "picture",
        "prov": [],
        "children": [{"$ref": "#/texts/4"}, {"$ref": "#/texts/5"}],
        "captions": [{"$ref": "#/texts/5"}],
    }
    items = (
        text("title", "Leave"),
        text("page_header", "Example Ltd", content_layer="furniture"),
        table([["1 Leave", "3"]], heads=0) | {"label": "document_index"},
        picture,
        text("text", "a label in a drawing"),
        text("caption", "Figure 1: who decides."),
        text("section_header", "1 Sick leave", level=2),
    )
    whole = document(*items)
    whole["body"]["children"] = [{"$ref": f"#/texts/{at}"} for at in (0, 1, 2, 3, 6)]
    assert blocks_of(whole) == [
        Block("heading", "Leave", 0, 1),
        Block("paragraph", "Figure 1: who decides.", 0, 1),
        Block("heading", "1 Sick leave", 2, 1),
    ]

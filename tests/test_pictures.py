"""A page as a picture with its evidence marked: the marks are looked for in the pixels."""

import io

import pytest
from PIL import Image

from engine.documents import read_document
from engine.documents.pictures import LONGEST_SIDE, page_picture
from engine.errors import InvalidInput, NotFound
from engine.samples import PDF
from tests.pdfs import Words, placed_pdf, table_pdf

PAGE = [
    Words(20, 40, "Leave is twenty-five days. Sick leave is paid in full by the com-"),
    Words(20, 46, "pany for twelve days a year. Nothing else is paid."),
]


@pytest.fixture
def pdf(tmp_path):
    path = tmp_path / "a.pdf"
    path.write_bytes(placed_pdf([PAGE, [Words(20, 40, "Another page.")]]))
    return path


def marked(data: bytes) -> list[tuple[int, int]]:
    """(x, y) in millimetres of an A4 page of every pixel that is yellow."""
    picture = Image.open(io.BytesIO(data))
    assert picture.format == "PNG"
    wide, high = picture.size
    pixels = picture.load()
    return [
        (round(210 * x / wide), round(297 * y / high))
        for x in range(wide)
        for y in range(high)
        if pixels[x, y][0] > 200 and pixels[x, y][2] < 180 and pixels[x, y][1] > 150
    ]


def test_the_evidence_is_marked_over_line_breaks_and_hyphens_and_nothing_else_is(pdf):
    places = marked(page_picture(pdf, 1, "Sick leave is paid in full by the company for twelve days a year."))
    upper = [x for x, y in places if 35 <= y <= 41]
    lower = [x for x, y in places if 42 <= y <= 48]
    assert len(upper) + len(lower) == len(places) > 1000
    assert min(upper) > 60 and 120 < max(upper) < 135  # from "Sick" to the end of the line
    assert 19 <= min(lower) <= 21 and 65 < max(lower) < 76  # from "pany" to "year."


@pytest.mark.parametrize("evidence", ["", "This stands in no document at all.", "…"])
def test_evidence_that_is_not_on_the_page_marks_nothing(pdf, evidence):
    assert marked(page_picture(pdf, 1, evidence)) == []


def test_evidence_that_goes_on_overleaf_is_marked_as_far_as_the_page_goes(pdf):
    assert len(marked(page_picture(pdf, 1, "Nothing else is paid. Overleaf it goes on and on."))) > 300


def test_a_table_rows_cells_are_marked_although_its_text_names_the_columns(tmp_path):
    path = tmp_path / "table.pdf"
    path.write_bytes(table_pdf([("Kind", "Quota"), ("Sick leave", "twelve days"), ("Study", "two")]))
    (row, _) = read_document(path).passages
    assert row.text == "Sick leave: Quota twelve days"
    ys = {y for _, y in marked(page_picture(path, 1, row.text))}
    assert 0 < max(ys) - min(ys) < 8  # one row of the table


def test_every_fact_of_the_sample_can_be_shown_on_its_page():
    document = read_document(PDF)
    passages = [passage for passage in document.passages if passage.kind == "paragraph"][:3]
    for passage in passages:
        assert len(marked(page_picture(PDF, passage.page or 0, passage.text))) > 1000


def test_a_poster_becomes_no_larger_than_a_page(tmp_path):
    from reportlab.pdfgen.canvas import Canvas

    canvas = Canvas(str(tmp_path / "poster.pdf"), pagesize=(14000, 7000))
    canvas.drawString(100, 100, "Big")
    canvas.save()
    assert Image.open(io.BytesIO(page_picture(tmp_path / "poster.pdf", 1))).size == (LONGEST_SIDE, LONGEST_SIDE // 2)


def test_a_missing_page_or_file_is_one_sentence(pdf, tmp_path):
    with pytest.raises(NotFound, match=r"a\.pdf has 2 pages and no page 3"):
        page_picture(pdf, 3)
    with pytest.raises(NotFound, match=r"There is no file b\.pdf"):
        page_picture(tmp_path / "b.pdf", 1)
    (tmp_path / "c.pdf").write_text("words")
    with pytest.raises(InvalidInput, match=r"c\.pdf is no PDF that can be shown"):
        page_picture(tmp_path / "c.pdf", 1)

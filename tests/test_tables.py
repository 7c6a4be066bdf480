"""Cells over several rows and columns, in HTML, DOCX and PDF: each row says all that holds for it."""

import io
import time

import pytest
from reportlab.lib.colors import black
from reportlab.platypus import SimpleDocTemplate, Table

from engine.documents import read_bytes
from tests.pdfs import Words, placed_pdf, table_pdf
from tests.test_documents import docx, p

ROWS = [
    "Sick leave: Contract Full-time; Days 12",
    "Sick leave: Contract Part-time; Days 6",
    "Child care: Contract Full-time; Days 5",
    "Child care: Contract Part-time; Days 5",
]


def texts(name: str, data: bytes) -> list[str]:
    passages = read_bytes(name, data).passages
    assert {passage.kind for passage in passages} == {"table_row"}
    return [passage.text for passage in passages]


def html(table: str) -> list[str]:
    return texts("a.html", f"<html><body><table>{table}</table></body></html>".encode())


def test_a_merged_html_cell_stands_in_every_row_it_covers():
    table = (
        "<tr><th>Kind<th>Contract<th>Days</tr>"
        "<tr><td rowspan=2>Sick leave<td>Full-time<td>12</tr><tr><td>Part-time<td>6</tr>"
        '<tr><td rowspan="0">Child care<td>Full-time<td rowspan="2">5</tr><tr><td>Part-time</tr>'
    )
    assert html(table) == ROWS


def test_a_merged_word_cell_stands_in_every_row_it_covers():
    def cell(text: str, properties: str = "") -> str:
        return f"<w:tc><w:tcPr>{properties}</w:tcPr>{p(text)}</w:tc>"

    down, goes_on = '<w:vMerge w:val="restart"/>', "<w:vMerge/>"
    rows = [
        cell("Kind") + cell("Contract") + cell("Days"),
        cell("Sick leave", down) + cell("Full-time") + cell("12"),
        cell("", goes_on) + cell("Part-time") + cell("6"),
        cell("Child care", down) + cell("Full-time") + cell("5", down),
        cell("", goes_on) + cell("Part-time") + cell("", '<w:vMerge w:val="continue"/>'),
        cell("Nothing else is paid", '<w:gridSpan w:val="3"/>'),
    ]
    table = "".join(f"<w:tr>{row}</w:tr>" for row in rows)
    assert texts("a.docx", docx(f"<w:tbl>{table}</w:tbl>")) == [*ROWS, "Nothing else is paid"]


@pytest.mark.parametrize("kind", ["Sick leave", "Sick leave that is paid in full by the company for all who work"])
def test_a_merged_pdf_cell_stands_in_every_row_it_covers(kind):
    rows = [
        ("Kind", "Contract", "Days"),
        (kind, "Full-time", "12"),
        ("", "Part-time", "6"),
        ("Child care", "Full-time", "5"),
        ("", "Part-time", ""),
    ]
    data = table_pdf(rows, merged=[((0, 1), (0, 2)), ((0, 3), (0, 4)), ((2, 3), (2, 4))])
    assert texts("a.pdf", data) == [row.replace("Sick leave", kind) for row in ROWS]


def test_pdf_cells_that_stand_apart_are_not_one_because_a_rule_between_them_is_missing():
    rows = [("Kind", "Contract", "Days"), ("Sick leave", "Full-time", "12"), ("Child care", "Part-time", "5")]
    out = io.BytesIO()
    style = [("GRID", (0, 0), (1, -1), 0.5, black), ("BOX", (2, 0), (2, -1), 0.5, black)]
    SimpleDocTemplate(out, invariant=1).build([Table(rows, style=style)])
    assert texts("a.pdf", out.getvalue()) == [ROWS[0], ROWS[3]]


def test_an_empty_pdf_cell_with_rules_around_it_stays_empty():
    rows = [("Kind", "Contract", "Days"), ("Sick leave", "Full-time", "12"), ("", "Part-time", "6")]
    assert texts("a.pdf", table_pdf(rows)) == [ROWS[0], "Contract Part-time; Days 6"]


def test_an_aligned_pdf_table_repeats_the_cell_above_only_for_rows_of_their_own():
    rows = [
        ("Kind", "Contract", "Days"),
        ("Sick leave", "Full-time", "12"),
        ("", "Part-time", "6"),
        ("Child care", "Full-time", "5"),
        ("", "and others", ""),
    ]
    page = [
        Words(x, 40 + 6 * at, cell) for at, row in enumerate(rows) for x, cell in zip((20, 80, 140), row, strict=True)
    ]
    assert texts("a.pdf", placed_pdf([[words for words in page if words.text]])) == [
        *ROWS[:2],
        "Child care: Contract Full-time and others; Days 5",
    ]


def test_a_cell_over_several_columns_holds_for_each_and_over_all_of_them_is_said_once():
    table = (
        "<tr><td colspan=3>Leave in 2027</tr><tr><td>Kind<td>Full-time<td>Part-time</tr>"
        "<tr><td>Sick leave<td colspan=2>12 days</tr><tr><td colspan=3>For parents:</tr><tr><td>Child care<td>5<td>3</tr>"
    )
    assert html(table) == [
        "Leave in 2027",
        "Sick leave: Full-time 12 days; Part-time 12 days",
        "For parents:",
        "Child care: Full-time 5; Part-time 3",
    ]


def test_two_header_rows_name_each_column_together():
    table = (
        "<thead><tr><th rowspan=2>Kind<th colspan=2>Days</tr><tr><th>Full-time<th>Part-time</tr></thead>"
        "<tbody><tr><th>Sick leave<td>12<td>6</tr></tbody>"
    )
    assert html(table) == ["Sick leave: Days Full-time 12; Days Part-time 6"]


def test_a_table_within_a_table_stays_in_its_cell():
    table = "<tr><th>Kind<th>Days</tr><tr><td>Sick<td><table><tr><td>12<td>paid</tr></table></tr><tr><td>Care<td>5</tr>"
    assert html(table) == ["Sick: Days 12 paid", "Care: Days 5"]
    inner = f"<w:tbl><w:tr><w:tc>{p('12')}</w:tc><w:tc>{p('paid')}</w:tc></w:tr></w:tbl>"
    rows = [p("Kind"), p("Days")], [p("Sick"), inner + p("")]
    word = "".join(f"<w:tr>{''.join(f'<w:tc>{cell}</w:tc>' for cell in row)}</w:tr>" for row in rows)
    assert texts("a.docx", docx(f"<w:tbl>{word}</w:tbl>")) == ["Sick: Days 12 paid"]


def test_spans_made_to_fill_the_memory_are_cut_short():
    started = time.process_time()
    rows = "".join(f"<tr><td>{at}<td rowspan=60000 colspan=60000>Rule {at}</tr>" for at in range(4000))
    assert 0 < sum(map(len, html(f"<tr><th>Kind</th></tr>{rows}"))) < 10 * len(rows)
    assert time.process_time() - started < 10

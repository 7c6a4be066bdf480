"""What reading a file promises. PDFs are made by pdfs.py; the real ones are those of ../shared/data."""

import difflib
import io
import random
import time
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from engine.documents import read_bytes, read_document
from engine.errors import InvalidInput, NotFound
from engine.records import Document
from engine.samples import MARKDOWN, PDF
from engine.sentences import sentences
from tests.pdfs import Words, encrypted_pdf, placed_pdf, scanned_pdf, table_pdf

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
MANUAL = DATA / "policies" / "opengov_foundation"
CONTOSO = DATA / "policy_qa" / "contoso"
STATUTE = DATA / "policies" / "us_federal_admin_leave_law"
HANDBOOK = DATA / "policies" / "gsa_tts_18f"


def needs(folder: Path):
    return pytest.mark.skipif(not folder.exists(), reason=f"{folder} is not on this machine")


def rows(document: Document) -> list[tuple[tuple[str, ...], str]]:
    return [(passage.heading, sentence) for passage in document.passages for sentence in sentences(passage.text)]


def share_in_common(one: list, other: list) -> float:
    """The share of the longer list that both have in the same order."""
    blocks = difflib.SequenceMatcher(None, one, other, autojunk=False).get_matching_blocks()
    return sum(block.size for block in blocks) / max(len(one), len(other))


def texts(name: str, source: str) -> list[tuple[str, str]]:
    return [(passage.kind, passage.text) for passage in read_bytes(name, source.encode()).passages]


POLICY = """# Leave Policy

Last reviewed in May.

## 4 Leave

### 4.2 Sick leave

You may take sick leave for:

- your own illness;
- a sick child, that is:
    - one under 12, or
    - one in your care.

| Kind | Annual quota | Certificate |
|---|---|---|
| Sick leave | 12 days | after 3 days |
| Child care | 5 days | |
"""


def test_headings_become_the_clause_path_and_the_title_stays_out_of_it():
    passages = read_bytes("leave.md", POLICY.encode()).passages
    assert passages[0].clause == "Leave Policy"
    assert {passage.clause for passage in passages[1:]} == {"4 Leave › 4.2 Sick leave"}


def test_lists_keep_the_sentence_that_introduces_them_at_every_depth():
    items = [passage for passage in read_bytes("leave.md", POLICY.encode()).passages if passage.kind == "list_item"]
    assert [(item.text, item.lead_in) for item in items] == [
        ("your own illness;", "You may take sick leave for:"),
        ("a sick child, that is:", "You may take sick leave for:"),
        ("one under 12, or", "a sick child, that is:"),
        ("one in your care.", "a sick child, that is:"),
    ]


def test_tables_are_read_row_by_row_with_their_header():
    assert texts("leave.md", POLICY)[-2:] == [
        ("table_row", "Sick leave: Annual quota 12 days; Certificate after 3 days"),
        ("table_row", "Child care: Annual quota 5 days"),
    ]


def test_every_passage_knows_its_span_and_its_place():
    document = read_bytes("leave.md", POLICY.encode())
    assert [passage.position for passage in document.passages] == list(range(8))
    for passage in document.passages:
        assert document.text[passage.start : passage.end] == passage.text
        assert passage.document_id == document.id


def test_an_id_survives_an_edit_elsewhere_and_a_new_title():
    before = {p.text: p.id for p in read_bytes("leave.md", POLICY.encode()).passages}
    edited = POLICY.replace("# Leave Policy", "# Leave Policy 2027").replace("12 days", "15 days")
    after = {p.text: p.id for p in read_bytes("new.md", edited.encode()).passages}
    shared = before.keys() & after.keys() - {"Last reviewed in May."}
    assert len(shared) == 6 and all(before[text] == after[text] for text in shared)


def test_a_text_said_twice_under_one_heading_has_two_ids():
    first, second = read_bytes("a.md", b"## Leave\n\nAsk HR.\n\nAsk HR.\n").passages
    assert second.id == f"{first.id}-2"


def test_the_same_words_under_another_heading_have_another_id():
    first, second = read_bytes("a.md", b"## Leave\n\nAsk HR.\n\n## Pay\n\nAsk HR.\n").passages
    assert first.id != second.id and "-" not in second.id


def test_a_long_paragraph_is_split_at_sentence_ends_and_loses_nothing():
    paragraph = " ".join(f"Rule number {at} says that everyone must ask first." for at in range(60))
    passages = read_bytes("a.txt", paragraph.encode()).passages
    assert len(passages) > 1 and all(len(p.text) <= 1200 and p.text.endswith("first.") for p in passages)
    assert " ".join(p.text for p in passages) == paragraph


def test_markdown_is_stripped_to_its_readable_text():
    source = (
        '---\ntitle: Leave\nkeywords: hidden\n---\n\n{% alert %}\nAsk **HR** in {% slack_channel "people" %}, '
        'see [the page]({% page "/leave/" %}).\n{% endalert %}\n\n<div class="x">Use <b>the form</b>.</div>\n\n'
        "![a picture](x.png)\n\nWeeks are <https://x.org/w> and `code` &amp; ~~old~~ *new*{:.red}\n\n<!-- secret -->\n"
    )
    assert texts("a.md", source) == [
        ("paragraph", "Ask HR in #people, see the page."),
        ("paragraph", "Use the form."),
        ("paragraph", "Weeks are https://x.org/w and code & old new"),
    ]


def test_a_contents_page_gives_no_passages():
    source = "# P\n\n## Contents\n\n- [Sick leave](#a)\n- [Pay](#b)\n\n## Sick leave\n\nAsk.\n\n## Pay\n\nWait.\n"
    assert texts("a.md", source) == [("paragraph", "Ask."), ("paragraph", "Wait.")]
    assert texts("a.txt", "Sick leave ......... 3\n\nPay . . . . . . 4\n\nAsk first.") == [("paragraph", "Ask first.")]


def test_lists_run_together_by_a_converter_are_taken_apart():
    apart = texts("a.html", "<p>Our values are: - Open - Kind - Fair</p><p>The range 9 - 5 is usual - mostly.</p>")
    assert apart == [
        ("paragraph", "Our values are:"),
        ("list_item", "Open"),
        ("list_item", "Kind"),
        ("list_item", "Fair"),
        ("paragraph", "The range 9 - 5 is usual - mostly."),
    ]


def test_legal_lists_keep_labels_and_know_what_they_hang_on():
    source = "(a) Leave may be used for—\n\n(1) illness, meaning—\n\n(A) one's own; or\n\n(B) a child's;\n\n(2) rest.\n"
    passages = read_bytes("law.txt", source.encode()).passages
    assert [(p.text[:3], p.lead_in) for p in passages] == [
        ("(a)", ""),
        ("(1)", "(a) Leave may be used for—"),
        ("(A)", "(1) illness, meaning—"),
        ("(B)", "(1) illness, meaning—"),
        ("(2)", "(a) Leave may be used for—"),
    ]


def test_no_script_style_or_hidden_markup_leaves_an_html_page():
    page = (
        "<!doctype html><html><head><title>T</title><style>p{}</style></head><body><nav>Home</nav><h1>Leave</h1>"
        "<script>alert('x')</script><p>Ask<br>HR.</p><table><tr><th>Kind</th><th>Days</th></tr>"
        "<tr><td>Sick</td><td>12</td></tr></table><ol><li>Fill in.</li><li><p>Send.</p></li></ol><template>t</template>"
    )
    passages = read_bytes("page.txt", page.encode()).passages
    assert [(p.kind, p.text, p.heading) for p in passages] == [
        ("paragraph", "Ask HR.", ("Leave",)),
        ("table_row", "Sick: Days 12", ("Leave",)),
        ("list_item", "Fill in.", ("Leave",)),
        ("list_item", "Send.", ("Leave",)),
    ]


def test_plain_text_has_headings_lists_and_paragraphs():
    source = (
        "LEAVE POLICY\n\n4 Leave\n\n4.2 Sick leave\n\nSick leave is paid.\nIt needs:\n- a call,\n  by 9;\n- a form.\n"
    )
    document = read_bytes("leave.txt", source.encode())
    assert [(p.kind, p.text, p.clause) for p in document.passages] == [
        ("paragraph", "Sick leave is paid. It needs:", "4 Leave › 4.2 Sick leave"),
        ("list_item", "a call, by 9;", "4 Leave › 4.2 Sick leave"),
        ("list_item", "a form.", "4 Leave › 4.2 Sick leave"),
    ]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1"])
def test_text_in_an_older_encoding_is_read(encoding):
    assert read_bytes("a.txt", "Café pay is £5.".encode(encoding)).passages[0].text == "Café pay is £5."


def test_typographic_marks_are_read_as_the_plain_ones():
    assert texts("a.txt", "The employee’s “oﬃce”\u00a0day‑off") == [("paragraph", 'The employee\'s "office" day-off')]


W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def docx(body: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", f'<w:document xmlns:w="{W}"><w:body>{body}</w:body></w:document>')
    return packed.getvalue()


def p(text: str, properties: str = "") -> str:
    return f"<w:p><w:pPr>{properties}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"


def test_word_headings_lists_and_tables_are_read():
    cells = [["Kind", "Days"], ["Sick", "12"]]
    table = "".join(f"<w:tr>{''.join(f'<w:tc>{p(cell)}</w:tc>' for cell in row)}</w:tr>" for row in cells)
    item = '<w:numPr><w:ilvl w:val="0"/></w:numPr>'
    data = docx(
        p("Policy", '<w:pStyle w:val="Heading1"/>')
        + p("4 Leave", '<w:pStyle w:val="Heading2"/>')
        + p("Bring:")
        + p("a form", item)
        + f"<w:tbl>{table}</w:tbl>"
        + "<w:p><w:del><w:r><w:delText>gone</w:delText></w:r></w:del></w:p>"
    )
    passages = read_bytes("leave.docx", data).passages
    assert [(passage.kind, passage.text, passage.clause, passage.lead_in) for passage in passages] == [
        ("paragraph", "Bring:", "4 Leave", ""),
        ("list_item", "a form", "4 Leave", "Bring:"),
        ("table_row", "Sick: Days 12", "4 Leave", ""),
    ]


# PDF


def three_pages() -> bytes:
    """A4 with a running header and a page number."""
    cells = [("Sick leave", "12 days", "after 3 days"), ("Child care", "5 days", "at once")]
    pages = [
        [
            Words(20, 30, "4 Leave", bold=True, size=18),
            Words(20, 42, "4.1 Annual leave", bold=True, size=13),
            Words(20, 50, "Annual leave must be requested in writing by the employee concerned from the respon-"),
            Words(20, 55, "sible manager, who decides within five days, unless the employee is on long-"),
            Words(20, 60, "term leave or on probation and the request reaches the manager's office after the"),
        ],
        [
            Words(20, 30, "Payroll has closed. The long-term plan is made in January."),
            Words(20, 42, "4.2 Sick leave", bold=True, size=13),
            Words(20, 50, "Sick leave is paid for twelve days a year when the responsible manager was called in time."),
            Words(20, 58, "Call:"),
            Words(25, 64, "- the manager, and if he or she cannot be reached in time the deputy or the desk that"),
            Words(28, 69, "is named on the intranet;"),
            Words(25, 75, "- the payroll office."),
        ],
        [
            Words(20, 30, "Kind"),
            Words(80, 30, "Annual quota"),
            Words(140, 30, "Certificate"),
            *(
                Words(x, 36 + 6 * at, cell)
                for at, row in enumerate(cells)
                for x, cell in zip((20, 80, 140), row, strict=True)
            ),
        ],
    ]
    header = Words(20, 10, "Example Ltd - Leave Policy", size=8)
    return placed_pdf(
        [[header, *page, Words(100, 290, f"Page {number} of 3", size=8)] for number, page in enumerate(pages, start=1)]
    )


def test_a_pdf_is_put_together_again():
    document = read_bytes("leave.pdf", three_pages())
    assert document.page_count == 3 and document.media_type == "application/pdf"
    assert [(p.kind, p.text, p.clause, p.page, p.lead_in) for p in document.passages] == [
        (
            "paragraph",
            "Annual leave must be requested in writing by the employee concerned from the responsible manager, who "
            "decides within five days, unless the employee is on long-term leave or on probation and the request "
            "reaches the manager's office after the Payroll has closed. The long-term plan is made in January.",
            "4 Leave › 4.1 Annual leave",
            1,
            "",
        ),
        (
            "paragraph",
            "Sick leave is paid for twelve days a year when the responsible manager was called in time.",
            "4 Leave › 4.2 Sick leave",
            2,
            "",
        ),
        ("paragraph", "Call:", "4 Leave › 4.2 Sick leave", 2, ""),
        (
            "list_item",
            "the manager, and if he or she cannot be reached in time the deputy or the desk that is named on the "
            "intranet;",
            "4 Leave › 4.2 Sick leave",
            2,
            "Call:",
        ),
        ("list_item", "the payroll office.", "4 Leave › 4.2 Sick leave", 2, "Call:"),
        (
            "table_row",
            "Sick leave: Annual quota 12 days; Certificate after 3 days",
            "4 Leave › 4.2 Sick leave",
            3,
            "",
        ),
        ("table_row", "Child care: Annual quota 5 days; Certificate at once", "4 Leave › 4.2 Sick leave", 3, ""),
    ]


def test_a_ruled_table_over_two_pages_repeats_its_header_in_every_row():
    condition = "only with a receipt that shows the day and the place of purchase"
    rates = [(f"Item {at}", f"EUR {at}", condition) for at in range(60)]
    data = table_pdf([("Allowance", "Rate", "Condition"), *rates])
    document = read_bytes("rates.pdf", data)
    assert document.page_count and document.page_count > 1
    assert [p.text for p in document.passages] == [
        f"Item {at}: Rate EUR {at}; Condition only with a receipt that shows the day and the place of purchase"
        for at in range(60)
    ]


def test_the_sample_says_the_same_in_pdf_and_markdown():
    markdown, pdf = read_document(MARKDOWN), read_document(PDF)
    assert len(markdown.passages) > 100
    assert share_in_common(rows(markdown), rows(pdf)) >= 0.98
    assert share_in_common([p.id for p in markdown.passages], [p.id for p in pdf.passages]) >= 0.98


@needs(MANUAL)
@pytest.mark.parametrize("form", ["html", "docx", "pdf"])
def test_four_forms_of_one_manual_give_the_same_clauses(form):
    """The Markdown is of another edition: "Advisors" for "Advisers", and without one of the nine of them."""
    other = read_document(MANUAL / f"manual.{form}")
    markdown = [sentence for _, sentence in rows(read_document(MANUAL / "manual.md"))]
    assert len(markdown) > 150
    assert share_in_common(markdown, [sentence for _, sentence in rows(other)]) >= 0.98
    assert share_in_common(rows(read_document(MANUAL / "manual.html")), rows(other)) >= 0.98


@needs(CONTOSO)
def test_the_contoso_pages_are_read_without_headers_and_in_no_time():
    files = sorted(CONTOSO.glob("*.pdf"))
    started = time.process_time()
    documents = [read_document(path) for path in files]
    assert sum(document.page_count or 0 for document in documents) == 263
    assert time.process_time() - started < 60
    handbook = next(document for document in documents if document.name == "employee_handbook.pdf")
    assert "Workplace Violence › Prevention and Response" in {passage.clause for passage in handbook.passages}
    assert not any("\u00ad" in d.text or "\x02" in d.text or "cutting- edge" in d.text for d in documents)
    assert "cutting-edge systems" in handbook.text


def long_pdf(pages: int) -> bytes:
    """Dense pages of a long handbook: 45 lines of a hundred characters each."""
    says = "every employee must report this within {} working days to the manager on duty, and keep the receipt."
    return placed_pdf(
        [
            [Words(15, 20 + 6 * at, f"{page}.{at} says that {says.format(at)}", size=9) for at in range(45)]
            for page in range(pages)
        ]
    )


def test_a_long_pdf_takes_little_memory_for_each_page_and_says_where_it_stands():
    """Measured by hand: 5,000 such pages peak at 335 MiB; with every word kept it was 1,584."""
    data = long_pdf(60)
    seen: list[tuple[str, int, int]] = []
    tracemalloc.start()
    document = read_bytes("long.pdf", data, watch=lambda *said: seen.append(said))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert document.page_count == 60
    assert peak < 60 * 80 * 1024
    assert seen == [("Reading long.pdf", page, 60) for page in range(0, 60, 10)]


@needs(STATUTE)
def test_a_statute_loses_its_margin_notes_and_running_lines():
    (path,) = STATUTE.glob("*.pdf")
    document = read_document(path)
    assert "SEC. 1138. ADMINISTRATIVE LEAVE." in {p.heading[0] for p in document.passages if p.heading}
    assert not any(word in document.text for word in ("VerDate", "130 STAT. 24", "dkrause", "5 USC 6329a note"))
    assert 'cited as the "Administrative Leave Act of 2016"' in document.text


@needs(HANDBOOK)
def test_no_markup_is_left_of_a_jekyll_handbook():
    for path in HANDBOOK.glob("*.md"):
        text = read_document(path).text
        assert not any(mark in text for mark in ("{%", "%}", "](", "**", "<a ", "title:", "redirect_from")), path.name


# Bad input


BOMB = b"PK\x03\x04" + b"\x00" * 40

BAD = {
    "empty": ("a.pdf", b"", "a.pdf is empty"),
    "blank": ("a.md", b" \n\t\n", "a.md is empty"),
    "markdown named pdf": ("a.pdf", b"# Leave\n\nAsk.", "not a PDF file: its content is Markdown. Rename it to a.md"),
    "text named pdf": ("a.pdf", b"Just words.", "not a PDF file: its content is plain text. Rename it to a.txt"),
    "html named pdf": ("a.pdf", b"<!DOCTYPE html><p>Hi", "its content is HTML. Rename it to a.html"),
    "junk named pdf": ("a.pdf", bytes(range(256)) * 9, "not a PDF file: its content is neither that nor text"),
    "junk named md": ("a.md", bytes(range(256)) * 9, "is not text: it holds binary data. Supported are PDF, DOCX"),
    "encrypted": ("a.pdf", encrypted_pdf("Secret", "user"), "is encrypted. Remove its password"),
    "scanned": ("a.pdf", scanned_pdf(3), "has 3 pages but no text: it looks scanned. Run OCR on it"),
    "truncated": ("a.pdf", three_pages()[:1500], "is cut off: its end is missing"),
    "hollow pdf": ("a.pdf", b"%PDF-1.7\nnothing\n%%EOF\n", "is a damaged PDF"),
    "a picture": ("a.png", b"\x89PNG\r\n\x1a\n....", "is a picture"),
    "old word": ("a.doc", b"\xd0\xcf\x11\xe0" + b"\x00" * 99, "Save it as .docx or PDF"),
    "another zip": ("a.zip", BOMB, "zip archive"),
    "damaged word": ("a.docx", docx(p("Hello"))[:-60], "is damaged and cannot be opened as a Word document"),
    "not word at all": ("a.docx", BOMB, "is damaged: it has no Word text in it"),
    "unsupported": ("a.csv", b"a,b\n1,2\n", "is a .csv file, which is not supported. Supported are PDF, DOCX, HTML"),
    "nothing to read": ("a.html", b"<html><script>x()</script></html>", "has no readable text"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_its_reason_and_the_next_step(case):
    name, data, message = BAD[case]
    with pytest.raises(InvalidInput) as raised:
        read_bytes(name, data)
    said = str(raised.value)
    assert said.startswith(name) and message in said and said.endswith(".") and "\n" not in said


@pytest.mark.parametrize("kind", ["docx", "pdf"])
def test_a_file_with_flipped_bytes_is_read_or_refused_but_never_breaks(kind):
    whole = three_pages() if kind == "pdf" else docx("".join(p(f"Rule {at} says so.") for at in range(200)))
    rng = random.Random(7)
    refused = 0
    for _ in range(80):
        data = bytearray(whole)
        for _ in range(20):
            data[rng.randrange(len(data))] = rng.randrange(256)
        try:
            assert read_bytes(f"a.{kind}", bytes(data)).passages
        except InvalidInput as reason:
            refused += 1
            assert str(reason).startswith(f"a.{kind} ")
    assert refused > 0


def test_a_pdf_is_read_whatever_it_is_called():
    assert read_bytes("leave.md", three_pages()).media_type == "application/pdf"


def test_a_word_file_with_entities_is_refused():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("word/document.xml", '<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>')
    with pytest.raises(InvalidInput, match="contains an XML DTD"):
        read_bytes("a.docx", packed.getvalue())


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(NotFound, match=r"There is no file .*nowhere\.pdf"):
        read_document(tmp_path / "nowhere.pdf")
    with pytest.raises(InvalidInput, match="is a folder"):
        read_document(tmp_path)

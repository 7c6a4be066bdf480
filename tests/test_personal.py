"""What counts as personal, what does not, and that a masked document is as sound as any other."""

import pytest

from engine.documents import read_bytes
from engine.documents.gather import gather
from engine.personal import find_personal, mask, masked
from engine.records import Document
from tests.test_documents import CONTOSO, HANDBOOK, needs


def kinds(text: str) -> list[tuple[str, str]]:
    return [(personal.kind, personal.text) for personal in find_personal(text)]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("e-mail address", "jane.doe+leave@hr.example.co.uk"),
        ("phone number", "(555) 123-4567"),
        ("phone number", "1-800-555-1234 ext. 12"),
        ("phone number", "+44 20 7946 0958"),
        ("phone number", "+49 30 901820"),
        ("phone number", "020 7946 0958"),
        ("bank account", "DE89 3704 0044 0532 0130 00"),
        ("bank account", "GB82WEST12345698765432"),
        ("payment card", "4111 1111 1111 1111"),
        ("payment card", "378282246310005"),
        ("social security number", "536-90-4399"),
        ("street address", "1600 Pennsylvania Avenue NW, Washington, DC 20500"),
        ("street address", "12 Elm Court, Apt 4, Springfield, IL 62704"),
        ("street address", "P.O. Box 1234"),
        ("street address", "London, SW1A 2AA"),
        ("name", "Ms. Jane Doe"),
        ("name", "Dr O'Neill"),
    ],
)
def test_personal_data_is_found_whole(kind, text):
    assert kinds(f"Ask first, then write: {text}.") == [(kind, text)]


def test_names_are_found_where_they_stand_with_a_label_or_their_own_contact_details():
    assert kinds("Contact: Maria van der Berg, Room 12") == [("name", "Maria van der Berg")]
    assert kinds("Ask Alexandra Sabbers at a.s@example.org for it.") == [
        ("name", "Alexandra Sabbers"),
        ("e-mail address", "a.s@example.org"),
    ]
    assert kinds("call John Q. Miller (555-123-4567)")[0] == ("name", "John Q. Miller")


@pytest.mark.parametrize(
    "text",
    [
        "Requests are due by 2026-12-31, 12/31/2026, 31.12.2026 or 31 December 2026, between 09:00 and 17:30.",
        "Fiscal years 2024-2025, 2025/2026 and 2026 2027 are closed. Call before 2026 12 31.",
        "The limit is $1,234,567.89, EUR 250.000,00 or 1 000 000 000 euros, that is 12345678901234567890 cents.",
        "See clause 4.2.1, section 10.3.12, § 6329a(b)(1) of 5 U.S.C. and 130 Stat. 2000, 2462.",
        "The order number 4111 1111 1111 1112 and DE88 3704 0044 0532 0130 00 have wrong check digits.",
        "Numbers such as 000-12-3456, 666-12-3456 and 900-12-3456 are given to nobody. Part 10-20-3000 is a screw.",
        "Contact Human Resources at extension 12, the Privacy Officer or your Payroll Department within 30 days.",
        "Section 5 Federal Court rules, 12 Working Days, 20 Annual Leave days and 3 Main Points stand.",
        "Form W-4, SF-71, ISO 27001:2022, version 3.11.7, room A1 204 and 10 to 15 employees.",
        "Dr. approval is not needed. Ms is a title, and Mr. too.",
    ],
)
def test_dates_amounts_and_clause_numbers_are_not_personal(text):
    assert kinds(text) == []


def test_human_resources_with_an_address_is_no_name():
    assert kinds("Contact Human Resources at hr@example.org.") == [("e-mail address", "hr@example.org")]


POLICY = b"""# Leave

## Contact: Jane Doe

Write to jane@example.org or call (555) 123-4567:

- Mr. Smith
- Mr. Jones
- the office

Leave is 25 days.
"""


def sound(document: Document) -> None:
    ids = [passage.id for passage in document.passages]
    assert len(ids) == len(set(ids))
    for position, passage in enumerate(document.passages):
        assert document.text[passage.start : passage.end] == passage.text
        assert passage.document_id == document.id and passage.position == position
    assert document.text == "\n".join(passage.text for passage in document.passages)


def test_a_masked_document_is_sound_and_says_nothing_personal():
    document = read_bytes("leave.md", POLICY)
    other = mask(document)
    sound(other)
    assert [passage.text for passage in other.passages] == [
        "Write to [e-mail address] or call [phone number]:",
        "[name]",
        "[name]",
        "the office",
        "Leave is 25 days.",
    ]
    assert {passage.heading for passage in other.passages} == {("Contact: [name]",)}
    assert other.passages[1].lead_in == "Write to [e-mail address] or call [phone number]:"
    assert other.id != document.id and other == mask(document) == mask(read_bytes("copy.md", POLICY)).__class__(
        other.id, "leave.md", other.media_type, other.text, other.passages, other.page_count
    )
    assert mask(other) == other


def test_only_the_kinds_asked_for_are_masked():
    document = read_bytes("leave.md", POLICY)
    some = mask(document, kinds=["name"])
    assert "jane@example.org" in some.text and "Mr. Smith" not in some.text
    assert len({document.id, some.id, mask(document).id}) == 3


def test_a_document_without_personal_data_stays_what_it_is():
    document = read_bytes("leave.md", b"Leave is 25 days from 1 May 2026.")
    assert mask(document) is document
    assert masked("Leave is 25 days.") == "Leave is 25 days."


@needs(CONTOSO)
@needs(HANDBOOK)
def test_hardly_anything_else_is_taken_for_personal_in_real_handbooks():
    documents = gather([CONTOSO / "employee_handbook.pdf", HANDBOOK]).documents
    found = [personal for d in documents for passage in d.passages for personal in find_personal(passage.text)]
    assert {personal.text for personal in found if personal.kind in ("name", "street address")} == {
        "Alexandra Sabbers",
        "1800 F St. NW",
    }
    assert len(found) < 40
    for document in documents:
        sound(mask(document))

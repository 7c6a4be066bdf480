"""Pages in columns are read column by column, however the file orders its words; tables and plain pages stay as they are."""

import pytest

from engine.documents import read_bytes
from tests.pdfs import Words, placed_pdf

LEFT = [
    "Annual leave is twenty-five days for each full",
    "year of service. The HR Manager approves each",
    "request within five working days of the day on",
    "which it came in. Leave that was not taken may",
    "be carried over until 31 March. Whoever is ill",
    "on a day of leave gets that day back. The com-",
    "pany closes between the years. Part-time emp-",
]
RIGHT = [
    "loyees have their share of it. Sick leave must",
    "be reported before nine on the first day. Some",
    "certificate is needed from the third day on. A",
    "child under twelve who is ill gives ten days a",
    "year for each parent. Payroll needs the certi-",
    "ficate within a week. Visits to a doctor count",
    "as work where they cannot be put off till late.",
]
WHOLE = (
    "Annual leave is twenty-five days for each full year of service. The HR Manager approves each request within five "
    "working days of the day on which it came in. Leave that was not taken may be carried over until 31 March. Whoever "
    "is ill on a day of leave gets that day back. The company closes between the years. Part-time employees have their "
    "share of it. Sick leave must be reported before nine on the first day. Some certificate is needed from the third "
    "day on. A child under twelve who is ill gives ten days a year for each parent. Payroll needs the certificate "
    "within a week. Visits to a doctor count as work where they cannot be put off till late."
)
INTRO = (
    "This policy applies to everybody who works for the company, from the first day of the contract to the last one."
)


def lines(texts: list[str], x_mm: float, *, top_mm: float = 50) -> list[Words]:
    return [Words(x_mm, top_mm + 5 * at, text) for at, text in enumerate(texts)]


def by_rows(left: list[Words], right: list[Words]) -> list[Words]:
    return [words for pair in zip(left, right, strict=True) for words in pair]


@pytest.mark.parametrize("shift_mm", [0, 1.7], ids=["on one baseline", "on baselines of their own"])
@pytest.mark.parametrize("order", ["row by row", "column by column"])
def test_two_columns_are_read_one_after_the_other(order, shift_mm):
    left, right = lines(LEFT, 15), lines(RIGHT, 110, top_mm=50 + shift_mm)
    body = by_rows(left, right) if order == "row by row" else left + right
    page = [Words(15, 30, "Leave", bold=True, size=18), Words(15, 40, INTRO, size=10), *body]
    document = read_bytes("a.pdf", placed_pdf([page]))
    assert [passage.text for passage in document.passages] == [INTRO, WHOLE]
    assert {passage.clause for passage in document.passages} == {"Leave"}


def test_a_heading_across_the_page_parts_its_columns_into_what_is_above_and_below():
    upper = by_rows(lines(LEFT, 15), lines(RIGHT, 110))
    lower = by_rows(lines(LEFT, 15, top_mm=110), lines(RIGHT, 110, top_mm=110))
    page = [Words(15, 40, "Leave", True, 16), *upper, Words(15, 98, "Once more", True, 16), *lower]
    document = read_bytes("a.pdf", placed_pdf([page]))
    assert [(passage.clause, passage.text) for passage in document.passages] == [("Leave", WHOLE), ("Once more", WHOLE)]


def test_a_paragraph_goes_on_from_the_last_column_of_a_page_to_the_first_of_the_next():
    first = by_rows(lines(LEFT, 15), lines([*RIGHT[:-1], "as work where they cannot be put off. Night work"], 110))
    rest = ["is paid one and a half times, and twice on the", "holidays that the law of the land names so it."]
    second = by_rows(lines([*rest, *LEFT], 15), lines([*rest, *RIGHT], 110))
    texts = [passage.text for passage in read_bytes("a.pdf", placed_pdf([first, second])).passages]
    assert "Night work is paid one and a half times, and twice on the holidays" in texts[0]


def test_three_columns_are_read_from_left_to_right():
    columns = [
        [f"{name} rule {row} holds for all who" if row % 2 == 0 else "work here, and says so in print." for row in range(8)]
        for name in ("First", "Second", "Third")
    ]  # fmt: skip
    placed = [lines(texts, x) for texts, x in zip(columns, (12, 77, 142), strict=True)]
    page = [words for row in zip(*placed, strict=True) for words in row]
    text = " ".join(passage.text for passage in read_bytes("a.pdf", placed_pdf([page])).passages)
    assert text == " ".join(line for texts in columns for line in texts)


def test_a_table_without_rules_is_no_pair_of_columns():
    kinds = ["Annual", "Sick", "Child care", "Study", "Moving", "Wedding", "Jury", "Volunteer"]
    body = [Words(15, 50 + 6 * at, f"{kind} leave") for at, kind in enumerate(kinds)]
    days = [Words(110, 50 + 6 * at, f"{at + 2} days") for at in range(len(kinds))]
    page = [Words(15, 44, "Kind"), Words(110, 44, "Days"), *by_rows(body, days)]
    texts = [passage.text for passage in read_bytes("a.pdf", placed_pdf([page])).passages]
    assert texts == [f"{kind} leave: Days {at + 2} days" for at, kind in enumerate(kinds)]


def test_a_table_whose_cells_are_all_of_one_length_is_no_pair_of_columns():
    left = [Words(15, 50 + 6 * at, f"Form {at + 10}") for at in range(8)]
    right = [Words(110, 50 + 6 * at, f"{at + 20} days") for at in range(8)]
    page = [Words(15, 44, "Number"), Words(110, 44, "Length"), *by_rows(left, right)]
    texts = [passage.text for passage in read_bytes("a.pdf", placed_pdf([page])).passages]
    assert texts == [f"Form {at + 10}: Length {at + 20} days" for at in range(8)]


def test_a_sentence_across_the_page_does_not_run_on_into_the_column_right_under_it():
    across = "This policy applies to everybody who works for the company and wants to know of leave. It is read first."
    body = by_rows(lines(LEFT, 15), lines(RIGHT, 110))
    texts = [passage.text for passage in read_bytes("a.pdf", placed_pdf([[Words(15, 45, across), *body]])).passages]
    assert texts[-1] == WHOLE

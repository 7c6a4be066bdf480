"""The sample policy: its PDF says what its Markdown says, and its gold questions agree with both."""

import json
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pypdfium2
import pytest

from engine.records import REFUSAL
from engine.samples import MARKDOWN, PDF, QUESTIONS
from engine.samples.build_pdf import build

SENTENCE_END = re.compile(r"(?<=[.:;?])\s+(?=[A-Z\d])")
HEADING = re.compile(r"#+ (?:(\d+(?:\.\d+)?) )?(.+)")
HEADER_OR_FOOTER = re.compile(r"^(Leave and Benefits Policy +\|.*|Page \d+ of \d+)$|^Contents$|^\d+ .+ \.{4,} \d+$")


def units_of_markdown() -> list[tuple[str, str]]:
    """(clause number, text) of every heading, sentence, list item and table row, markup gone."""
    clause, units = "", []
    for line in MARKDOWN.read_text(encoding="utf-8").splitlines():
        if heading := HEADING.fullmatch(line):
            clause = heading[1] or ""
            units.append((clause, " ".join(part for part in heading.groups() if part)))
        elif line.startswith("|") and "---" not in line:
            units.append((clause, " ".join(cell.strip() for cell in line.strip("|").split("|"))))
        elif line and "---" not in line:
            prose = re.sub(r"^(- |\d+\. )", "", line).replace("**", "")
            units += [(clause, sentence) for sentence in SENTENCE_END.split(prose)]
    return units


def text_of_pdf(path: Path) -> str:
    """The words of the PDF in reading order on one line, without running header, footer and contents."""
    with pypdfium2.PdfDocument(path) as pdf:
        lines = "\n".join(page.get_textpage().get_text_range() for page in pdf).split("\n")
    return " ".join(" ".join(line for line in map(str.strip, lines) if not HEADER_OR_FOOTER.match(line)).split())


def share_found(wanted: Iterable[str], text: str) -> float:
    pieces = list(wanted)
    return sum(piece in text for piece in pieces) / len(pieces)


def rows() -> list[dict]:
    """The gold questions; beside CONTRACT.md's keys an answerable one has `clause` and `gold`, a short right answer."""
    return [json.loads(line) for line in QUESTIONS.read_text(encoding="utf-8").splitlines()]


def answerable() -> list[dict]:
    return [row for row in rows() if row["kind"] == "answerable"]


def matches(patterns: Iterable[str], text: str) -> bool:
    return any(re.search(pattern, text, re.IGNORECASE | re.DOTALL) for pattern in patterns)


def test_every_sentence_of_the_markdown_stands_in_the_pdf() -> None:
    assert share_found((text for _, text in units_of_markdown()), text_of_pdf(PDF)) >= 0.98


def test_the_pdf_says_nothing_that_the_markdown_does_not() -> None:
    markdown = Counter(" ".join(text for _, text in units_of_markdown()).split())
    marks = Counter(
        {"-": 8, **{f"{step}.": 2 for step in range(1, 6)}}
    )  # of the 8 bullets and the two lists of 5 steps
    extra = Counter(text_of_pdf(PDF).split()) - markdown - marks
    assert extra == Counter()


def test_the_pdf_has_between_10_and_15_pages_each_numbered_and_titled() -> None:
    with pypdfium2.PdfDocument(PDF) as pdf:
        assert 10 <= len(pdf) <= 15
        for number, page in enumerate(pdf, start=1):
            text = page.get_textpage().get_text_range()
            assert text.startswith("Leave and Benefits Policy")
            assert f"Page {number} of {len(pdf)}" in text


def test_no_heading_stands_alone_at_the_foot_of_a_page() -> None:
    headings = {line.lstrip("# ") for line in MARKDOWN.read_text(encoding="utf-8").splitlines() if line.startswith("#")}
    with pypdfium2.PdfDocument(PDF) as pdf:
        pages = [page.get_textpage().get_text_range().splitlines() for page in pdf]
    last_lines = [lines[-2].strip() for lines in pages if lines[-1].startswith("Page ")]
    assert len(last_lines) == len(pages)
    assert headings.isdisjoint(last_lines)


def test_the_pdf_is_built_from_the_markdown_and_is_the_same_bytes_each_time(tmp_path: Path) -> None:
    build(pdf=tmp_path / "first.pdf")
    build(pdf=tmp_path / "second.pdf")
    assert (tmp_path / "first.pdf").read_bytes() == (tmp_path / "second.pdf").read_bytes()
    assert text_of_pdf(tmp_path / "first.pdf") == text_of_pdf(PDF)


def test_every_cross_reference_names_a_clause_that_exists() -> None:
    units = units_of_markdown()
    clauses = {clause for clause, _ in units}
    named = [number for _, text in units for number in re.findall(r"clause (\d+(?:\.\d+)?)", text)]
    assert len(named) >= 10
    assert set(named) <= clauses


def test_there_are_60_answerable_questions_over_all_eight_slices_and_30_without_answer() -> None:
    kinds = Counter((row["kind"], row["slice"]) for row in rows())
    slices = {"number", "date", "role", "yes_no", "procedure", "list", "definition", "exception"}
    assert {name for kind, name in kinds if kind == "answerable"} == slices
    assert sum(kinds["answerable", name] for name in slices) == 60
    assert kinds["unanswerable", "near_miss"] == 20
    assert kinds["unanswerable", "off_topic"] == 10
    assert len(rows()) == 90


def test_the_questions_touch_every_clause_that_gives_or_denies_something() -> None:
    top = {row["clause"].split(".")[0] for row in answerable()}
    assert {str(number) for number in range(1, 17)} <= top


def test_ids_questions_and_paraphrases_are_all_different() -> None:
    everything = rows()
    assert len({row["id"] for row in everything}) == len(everything)
    texts = [row[key].casefold() for row in everything for key in ("question", "paraphrase")]
    assert len(set(texts)) == len(texts)
    assert all(texts)


@pytest.mark.parametrize("row", answerable(), ids=lambda row: row["id"])
def test_the_clause_holds_a_sentence_that_is_accepted_and_not_rejected(row: dict) -> None:
    accepted = [t for clause, t in units_of_markdown() if clause == row["clause"] and matches(row["accept"], t)]
    assert any(not matches(row["reject"], text) for text in accepted), accepted
    assert row["reject"], "a question without a plausible wrong value judges nothing"


@pytest.mark.parametrize("row", answerable(), ids=lambda row: row["id"])
def test_a_refusal_an_echo_and_an_empty_answer_are_not_accepted(row: dict) -> None:
    for wrong in (REFUSAL, "", row["question"], row["paraphrase"]):
        assert not matches(row["accept"], wrong) or matches(row["reject"], wrong), wrong


def judged_right(row: dict, answer: str) -> bool:
    return matches(row["accept"], answer) and not matches(row["reject"], answer)


@pytest.mark.parametrize("row", answerable(), ids=lambda row: row["id"])
def test_the_short_gold_answer_is_judged_right(row: dict) -> None:
    assert judged_right(row, row["gold"])


def test_hardly_any_gold_answer_is_judged_right_for_another_question() -> None:
    """A bare "No." fits several questions; anything beyond that would make the patterns too loose to judge by."""
    pairs = [(row, other) for row in answerable() for other in answerable() if row["id"] != other["id"]]
    assert sum(judged_right(row, other["gold"]) for row, other in pairs) / len(pairs) <= 0.02


def test_neither_always_yes_nor_always_no_wins_the_yes_no_slice() -> None:
    asked = [row for row in answerable() if row["slice"] == "yes_no"]
    for habit in ("Yes.", "No."):
        assert sum(judged_right(row, habit) for row in asked) <= len(asked) / 2


def test_an_unanswerable_question_accepts_nothing() -> None:
    assert [row["id"] for row in rows() if row["kind"] == "unanswerable" and row["accept"]] == []

"""A document on the page: every fact where it was found, every clause without one in plain sight, and text that stays text."""

import re
from dataclasses import replace

from engine.coverage import coverage
from engine.documents import read_bytes
from engine.facts import facts_of
from engine.records import Document, Fact, Passage
from ui.bars import least_covered
from ui.dataset_document import PAGE_CHARACTERS, as_html, clause_rows, marked, read

POLICY = read_bytes(
    "p.md",
    b"# Rules\n\n## Leave\n\nEmployees receive 25 days of leave.\n\n## Greeting\n\nWelcome aboard.\n\n## Badges\n\n"
    b"A badge must be worn at all times. The desk replaces a badge for EUR 15.\n",
)
FACTS = [fact for fact in facts_of([POLICY]) if "worn" not in fact.evidence]


def test_a_clause_without_a_fact_is_marked_in_the_table_and_in_the_text():
    reading = read(POLICY, FACTS)
    assert clause_rows(reading.clauses) == [
        ["✓", "Leave", "", "1 of 1", "1"],
        ["✕", "Greeting", "", "none there", "0"],
        ["!", "Badges", "", "1 of 2", "1"],
    ]
    assert [row[1] for row in clause_rows(reading.clauses, "none")] == ["Greeting"]
    assert [row[1] for row in clause_rows(reading.clauses, "missed")] == ["Badges"]
    html = as_html(reading, 0)
    assert re.findall(r'<section class="(\w+)"><h4>(\w+)</h4><p class="chip">([^<]+)<', html) == [
        ("told", "Leave", "1 fact"), ("none", "Greeting", "No fact found here"),
        ("missed", "Badges", "1 fact, 1 of 2 rules without one"),
    ]  # fmt: skip
    assert "2 of 3 sentences with a number, date, deadline, role or rule have a fact (66.7 %)." in least_covered(
        reading.clauses
    )


def test_the_marks_are_the_facts_words_and_the_rest_stays_as_it_was():
    passage = POLICY.passages[-1]
    html = marked(passage, FACTS)
    assert re.findall(r"<mark[^>]*>([^<]+)</mark>", html) == ["The desk replaces a badge for EUR 15."]
    assert re.sub(r"<[^>]+>", "", html) == passage.text


def test_facts_that_share_words_mark_them_once():
    passage = Passage("p", "d", 0, ("A",), None, "One rule. Two rules. Three.", 0, 27)
    first = Fact("1", "p", "A", "rule", "s", "One rule. Two rules.")
    html = marked(
        passage, [first, replace(first, id="2", evidence="Two rules. Three."), replace(first, id="3", evidence="Two")]
    )
    assert re.findall(r"<mark[^>]*>([^<]*)</mark>", html) == ["One rule. Two rules.", " Three."]
    assert re.sub(r"<[^>]+>", "", html) == passage.text


def test_what_a_document_says_is_never_markup():
    hostile = "<img src=x onerror=alert(1)> must be paid."
    passage = Passage("p", "d", 0, (hostile,), None, hostile, 0, len(hostile))
    document = Document("d", "d.md", "text/markdown", hostile, (passage,))
    fact = Fact("1", "p", hostile, "rule", f'"{hostile}', "must be paid.")
    assert "<img" not in as_html(read(document, [fact]), 0) + least_covered(coverage(document, []))


def test_a_long_document_is_read_a_page_at_a_time_even_without_headings():
    text = "Words of the house. " * 50
    passages = tuple(Passage(f"p{n}", "d", n, (), n, text, 0, len(text)) for n in range(300))
    reading = read(Document("d", "d.txt", "text/plain", "", passages), [])
    assert [passage for page in reading.pages for passage in page] == list(passages)
    assert max(sum(len(p.text) for p in page) for page in reading.pages) < PAGE_CHARACTERS + len(text)
    assert reading.page_of("") == 0 and len(as_html(reading, 7)) < 10_000


def test_the_clause_that_was_asked_for_is_found_on_its_page_and_marked():
    reading = read(POLICY, FACTS)
    assert '<section class="missed chosen"><h4>Badges' in as_html(reading, reading.page_of("Badges"), "Badges")
    assert as_html(read(replace(POLICY, passages=()), []), 0).startswith("<div")

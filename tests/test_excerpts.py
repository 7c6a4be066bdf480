"""Excerpts: everything a document says, each list item with the words that say what it belongs to, none too long."""

import pytest

from engine.documents import read_bytes
from engine.excerpts import LONGEST_WORDS, TOGETHER_WORDS, excerpts_of
from engine.records import Excerpt


def of(text: str) -> list[Excerpt]:
    return excerpts_of(read_bytes("leave.md", f"# Policy\n\n## 1 Leave\n\n{text}".encode()))


def sentence(number: int, *, words: int) -> str:
    return f"Rule {number} says " + "very " * (words - 4) + "much."


def test_everything_the_policy_says_stands_in_an_excerpt_under_its_clause(document):
    excerpts = excerpts_of(document)
    for passage in document.passages:
        holding = [excerpt for excerpt in excerpts if passage.id in excerpt.passages]
        assert any(passage.text in excerpt.text for excerpt in holding)
        assert {excerpt.clause for excerpt in holding} == {passage.clause}
    assert max(len(excerpt.text.split()) for excerpt in excerpts) <= LONGEST_WORDS


def test_a_list_stands_under_the_sentence_that_introduces_it():
    (excerpt,) = of("Leave is generous. You may take it for:\n\n- a wedding;\n- a funeral.\n")
    assert excerpt.text == "Leave is generous. You may take it for:\n- a wedding;\n- a funeral."
    assert excerpt.clause == "1 Leave" and len(excerpt.passages) == 3


def test_each_part_of_a_long_list_is_introduced_again():
    items = "\n".join(f"- {sentence(n, words=30)}" for n in range(9))
    first, *others = of(f"{sentence(99, words=80)} You may take it for:\n\n{items}\n")
    assert first.text.endswith("You may take it for:") and len(others) == 3
    assert all(excerpt.text.startswith("You may take it for:\n- Rule") for excerpt in others)
    assert [excerpt.text.count("\n- ") for excerpt in others] == [3, 3, 3]


def test_an_item_of_an_inner_list_is_introduced_by_its_own_item():
    inner = "\n".join(f"  - {sentence(n, words=40)}" for n in range(4))
    *_, last = of(f"You may take it for:\n\n- a wedding of:\n{inner}\n")
    assert last.text.startswith("a wedding of:\n- Rule")


def test_a_list_under_a_bare_heading_and_a_table_are_whole():
    (excerpt,) = of("- a wedding;\n- a funeral.\n")
    assert excerpt.text == "- a wedding;\n- a funeral."
    (excerpt,) = of("It depends on the grade.\n\n| Grade | Days |\n|---|---|\n| A | 20 |\n| B | 25 |\n")
    assert excerpt.text == "It depends on the grade.\n- A: Days 20\n- B: Days 25"


def test_a_long_paragraph_is_split_between_sentences():
    excerpts = of(" ".join(sentence(n, words=50) for n in range(5)))
    assert [len(excerpt.text.split()) for excerpt in excerpts] == [100, 100, 50]
    assert all(excerpt.text.startswith("Rule") and excerpt.text.endswith("much.") for excerpt in excerpts)


@pytest.mark.parametrize(("words", "excerpts"), [(TOGETHER_WORDS // 2, 1), (TOGETHER_WORDS // 2 + 1, 2)])
def test_short_paragraphs_of_one_clause_are_shown_together(words, excerpts):
    assert len(of(f"{sentence(1, words=words)}\n\n{sentence(2, words=words)}\n")) == excerpts


def test_paragraphs_of_two_clauses_never_are():
    assert [excerpt.clause for excerpt in of("One.\n\n## 2 Pay\n\nTwo.\n")] == ["1 Leave", "2 Pay"]

"""The corpus as training rows: what the writer and the reader are taught."""

from collections import Counter

import pytest

from engine.writing.corpus import policies
from engine.writing.prompts import NONE, READER, WRITER
from engine.writing.rows import asked, held_out, reader_rows, writer_rows

NAMES = [name for name in policies() if not held_out(name)][:3]


def test_some_policies_are_held_out_whole_by_their_name_alone():
    apart = [name for name in policies() if held_out(name)]
    assert 3 <= len(apart) <= len(policies()) / 5
    assert apart == [name for name in policies() if held_out(name)]


@pytest.fixture(scope="module")
def writing():
    return writer_rows(NAMES)


@pytest.fixture(scope="module")
def reading():
    return reader_rows(NAMES)


def test_every_question_of_a_policy_is_asked_to_be_written_once(writing):
    questions = [found.question for name in NAMES for found in asked(name)]
    assert Counter(row["answer"] for row in writing) == Counter(questions)
    assert {row["messages"][0]["content"] for row in writing} == {WRITER}


def test_a_writers_prompt_holds_the_sentence_the_kind_and_the_voice(writing):
    by_question = {found.question: found for name in NAMES for found in asked(name)}
    named = 0
    for row in writing:
        found, prompt = by_question[row["answer"]], row["messages"][1]["content"]
        assert prompt.startswith(found.text) and f"\nkind: {found.kind}" in prompt
        assert prompt.endswith(f"\nvoice: {found.voice}")
        if not found.span:
            assert f"\nanswer: {NONE}" in prompt
        elif found.polarity:
            assert f"\nanswer: {found.polarity}" in prompt
        else:
            named += "\nanswer: " in prompt
    assert named > 100


def test_the_reader_is_taught_words_of_the_text_or_none(reading):
    answered = [row for row in reading if row["answer"] != NONE]
    assert {row["messages"][0]["content"] for row in reading} == {READER}
    assert 0.3 < len(answered) / len(reading) < 0.7
    for row in answered:
        text, _, question = row["messages"][1]["content"].rpartition("\nquestion: ")
        said = row["answer"].removeprefix("yes: ").removeprefix("no: ")
        assert question and all(part in " ".join(text.split()) for part in said.split("; ")), said


def test_the_same_seed_gives_the_same_rows(writing):
    assert writer_rows(NAMES) == writing != writer_rows(NAMES, seed=1)

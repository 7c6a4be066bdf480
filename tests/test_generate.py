"""The embedded generator: many questions a fact, its statements, and the refusals, the same from the same seed."""

import random
from collections import Counter, defaultdict

import pytest

from engine.facts import facts_of
from engine.generate import STATEMENTS_PER_FACT, EmbeddedGenerator, Generator
from engine.records import REFUSAL, Example
from engine.styles import TEMPLATES
from engine.writing.prompts import NONE
from engine.writing.writer import NEAR_MISS, Aim, Written


def proposed(document, *, facts: int = 60, seed: int = 0, **options) -> list[Example]:
    found = EmbeddedGenerator(**options).propose([document], facts_of([document])[:facts], rng=random.Random(seed))
    return [proposal.example for proposal in found]


@pytest.fixture(scope="module")
def rows(document) -> list[Example]:
    return proposed(document)


def test_the_same_seed_proposes_the_same_rows_and_another_seed_others(document, rows):
    assert proposed(document) == rows
    other = proposed(document, seed=1)
    assert {row.question for row in other} != {row.question for row in rows}


def test_no_fact_is_left_out_and_none_is_asked_more_often_than_wanted(document, rows):
    asked = Counter(row.fact_id for row in rows if row.kind == "answerable")
    assert set(asked) == {fact.id for fact in facts_of([document])[:60]}
    assert max(asked.values()) <= 16 and min(asked.values()) >= 1
    fewer = Counter(row.fact_id for row in proposed(document, wordings_per_fact=6) if row.kind == "answerable")
    assert max(fewer.values()) <= 6 and set(fewer) == set(asked)


def test_a_fact_is_asked_in_different_words_each_time(rows):
    questions = defaultdict(list)
    for row in rows:
        if row.kind == "answerable":
            questions[row.fact_id].append(row.question.lower().rstrip("?. "))
    assert all(len(set(found)) == len(found) for found in questions.values())


def test_forms_that_sound_like_nobody_are_the_smaller_part(rows):
    answerable = [row for row in rows if row.kind == "answerable"]
    assert sum(row.form in TEMPLATES for row in answerable) < 0.7 * len(answerable)
    assert len({row.form for row in answerable}) >= 8


def test_every_fact_is_stated_once_bare_and_once_under_its_clause(document, rows):
    for fact in facts_of([document])[:60]:
        said = [row.answer for row in rows if row.kind == "statement" and row.fact_id == fact.id]
        assert said == [fact.statement, f"{fact.clause}: {fact.statement}"] and len(said) == STATEMENTS_PER_FACT


def test_what_is_answered_carries_its_evidence_and_what_is_refused_has_none(document, rows):
    passages = {passage.id: passage.text for passage in document.passages}
    for row in rows:
        if row.kind == "unanswerable":
            assert (row.answer, row.evidence, row.passage_id) == (REFUSAL, "", "")
        else:
            assert row.evidence in document.text and row.evidence.splitlines()[0] in passages[row.passage_id]


def test_the_wanted_share_of_refusals_is_proposed(document):
    for share in (0.1, 0.3):
        found = [row for row in proposed(document, facts=25, refusal_share=share) if row.kind != "statement"]
        assert (
            abs(sum(row.kind == "unanswerable" for row in found) / len(found) - share) < 0.06
        )  # proposed with something to spare; what is over its share is not kept


def test_an_unanswerable_row_belongs_to_no_fact(document, rows):
    facts = {fact.id for fact in facts_of([document])}
    assert not facts & {row.fact_id for row in rows if row.kind == "unanswerable"}


def test_the_name_says_what_made_the_rows():
    generator: Generator = EmbeddedGenerator(wordings_per_fact=6)
    assert generator.name == "embedded rules, 6 wordings a fact"


class ScriptedWriter:
    """Two questions for every fact that speaks of annual leave, one with an answer and one without; none for the others."""

    def write(self, facts):
        for fact in facts:
            about = "annual leave" in fact.statement
            told = [Written(fact, Aim("yes_no", "yes", "curt"), f"annual leave then, clause {fact.id[:4]}?")]
            missed = [Written(fact, Aim(NEAR_MISS, NONE, "chatty"), f"who pays for annual leave in {fact.id[:4]}?")]
            yield fact, [*told, *missed] if about else []

    def provenance(self):
        return {"writer": {"questions": 2}}


def test_what_the_writer_wrote_comes_first_with_its_answer_and_without_one(document):
    facts = facts_of([document])[:60]
    generator = EmbeddedGenerator(writer=ScriptedWriter())
    rows = [proposal.example for proposal in generator.propose([document], facts, rng=random.Random(0))]
    about = {fact.id: fact for fact in facts if "annual leave" in fact.statement}
    written = [row for row in rows if row.form == "written"]
    assert {row.fact_id for row in written} == set(about) and len(written) == len(about) >= 5
    for row in written:
        fact = about[row.fact_id]
        assert row.question.startswith("annual leave then") and row.answer == f"Yes. {fact.statement}"
        assert (row.kind, row.evidence, row.passage_id) == ("answerable", fact.evidence, fact.passage_id)
    missed = [row for row in rows if row.form == "near_miss.written"]
    assert {row.fact_id for row in missed} == {f"none-{fact}" for fact in about}
    assert {(row.kind, row.answer) for row in missed} == {("unanswerable", REFUSAL)}
    asked = Counter(row.fact_id for row in rows if row.kind == "answerable")
    assert max(asked.values()) <= 16
    assert generator.name == "embedded writer and rules, 16 wordings a fact" and generator.provenance()["writer"]


def test_a_written_question_is_swapped_too_where_it_names_the_thing_it_asks_about(document):
    facts = facts_of([document])[:60]
    rows = [
        p.example for p in EmbeddedGenerator(writer=ScriptedWriter()).propose([document], facts, rng=random.Random(0))
    ]
    swapped = [row.question for row in rows if row.form == "near_miss.swap" and ", clause " in row.question]
    assert swapped and not any(question.startswith("Annual leave then") for question in swapped)

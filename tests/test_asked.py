"""What is known of a question beside its words: from its row, else from the documents and facts."""

from engine.datasets import held_out_as_questions
from engine.records import Question
from engine.samples import QUESTIONS
from evals.asked import Sources, about, facets_of
from evals.questions import read_questions
from tests.page import add_policy, stand_in_workspace


def ask(sources, **extra):
    question = Question("q", "How many days?", "answerable", accept=("25",), slice=extra.pop("slice", ""), extra=extra)
    return about([question], "policy_qa", sources)["q"]


def test_a_row_tells_its_own_clause_document_and_evidence():
    found = ask(
        Sources(), clause="4.1", source="leave.md", evidence="25 days a year", slice="number", category="boundary"
    )
    assert found.facets == {
        "task": "policy_qa", "kind": "answerable", "slice": "number", "category": "boundary", "clause": "4.1",
        "document": "leave.md", "boundary": "boundary case",
    }  # fmt: skip
    assert (found.evidence, found.fact) == ("25 days a year", "25 days a year")


def test_what_a_row_leaves_out_is_looked_up_where_its_evidence_stands(document):
    passage = next(passage for passage in document.passages if "31 March" in passage.text or "days" in passage.text)
    found = ask(Sources([document]), evidence=passage.text.upper())
    assert found.facets["clause"] == passage.clause and found.facets["document"] == document.name
    assert found.facets["value type"] in ("number", "date")
    assert "clause" not in ask(Sources([document]), evidence="words that stand nowhere").facets


def test_held_out_rows_are_known_by_their_fact(tmp_path):
    workspace = stand_in_workspace(tmp_path / "ws")
    store, version = workspace.store, add_policy(workspace)
    questions = held_out_as_questions(store.rows(version.id, split="probe"))
    found = about(questions, "policy_qa", Sources.of(store))
    facts = {fact.id: fact for fact in store.facts(version.id)}
    answerable = [question for question in questions if question.kind == "answerable"]
    assert answerable
    for question in answerable:
        fact, known = facts[question.extra["fact_id"]], found[question.id]
        assert (known.fact, known.facets["clause"], known.facets["value type"]) == (fact.id, fact.clause, fact.kind)
        assert known.evidence == fact.evidence and known.facets["form"] == question.extra["form"]


def test_two_questions_on_the_same_words_are_one_fact_and_without_any_each_is_its_own():
    same = [
        Question(f"q{n}", "?", "answerable", accept=("1",), extra={"evidence": said})
        for n, said in enumerate(("One  day.", "one day."))
    ]
    found = about(same, "policy_qa", Sources())
    assert found["q0"].fact == found["q1"].fact
    alone = about(read_questions(QUESTIONS), "policy_qa", Sources())
    assert len({known.fact for known in alone.values()}) == len(alone)


def test_which_wording_was_asked_is_a_facet_where_there_were_two():
    known = ask(Sources())
    assert facets_of("q#p", known, twice=True)["wording"] == "second wording"
    assert facets_of("q", known, twice=True)["wording"] == "first wording"
    assert "wording" not in facets_of("q", known, twice=False)

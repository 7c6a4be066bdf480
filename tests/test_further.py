"""Further forms: what is asked was not trained, and what is added is new, apart from what is held out, and named."""

from collections import Counter

import pytest

from engine.errors import InvalidInput
from engine.further import (
    FURTHER_PER_FACT,
    Further,
    forms_to_ask,
    further_rows,
    further_version,
    propose_further,
    taught_facts,
)
from engine.generate import EmbeddedGenerator
from engine.quality import HeldOut
from engine.records import Example, Fact, LedgerRow
from tests.page import add_policy, stand_in_workspace


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    workspace = stand_in_workspace(tmp_path_factory.mktemp("further"))
    add_policy(workspace)
    return workspace


@pytest.fixture
def version(workspace):
    return workspace.store.dataset("leave:1")


@pytest.fixture
def parts(workspace, version):
    """(rows, facts, documents) of leave:1."""
    documents = [workspace.store.document(name) for name in version.documents]
    return workspace.store.rows(version.id), workspace.store.facts(version.id), documents


def test_a_form_is_held_out_or_apart_from_every_training_question_or_says_that_it_is_trained(parts):
    rows, facts, documents = parts
    forms = forms_to_ask(rows, facts, documents)
    trained = [row.example.question for row in rows if row.split == "train"]
    near = HeldOut(trained)
    assert {form.trained for form in forms} == {True, False}
    assert all(near.near(form.question) is form.trained for form in forms)
    assert all(form.question in trained for form in forms if form.trained)
    held_out = {row.example.question for row in rows if row.split == "probe" and row.example.kind == "answerable"}
    assert held_out and held_out <= {form.question for form in forms}


def test_every_fact_is_asked_by_at_most_four_forms_and_not_by_both_sorts(parts):
    forms = forms_to_ask(*parts)
    by_fact = Counter(form.fact_id for form in forms)
    assert set(by_fact) == {fact.id for fact in parts[1]} and max(by_fact.values()) <= 4
    assert all(len({form.trained for form in forms if form.fact_id == fact}) == 1 for fact in by_fact)
    assert len({form.id for form in forms}) == len(forms)
    statements = {fact.id: fact.statement for fact in parts[1]}
    assert all(form.answer.removeprefix("Yes. ").removeprefix("No. ") == statements[form.fact_id] for form in forms)


def test_a_fact_without_any_kept_question_has_no_form_and_the_forms_are_always_the_same(parts):
    rows, facts, documents = parts
    bare = Fact("bare", "p", "Elsewhere", "rule", "See the annex.", "See the annex.")
    assert forms_to_ask(rows, [*facts, bare], documents) == forms_to_ask(rows, facts, documents)


def test_further_rows_are_new_for_the_facts_named_and_apart_from_what_is_held_out(parts):
    rows, facts, documents = parts
    taught = [fact.id for fact in facts if fact.id in taught_facts(rows)][:4]
    added = further_rows(rows, facts, documents, taught, generator=EmbeddedGenerator(wordings_per_fact=32), seed=1)
    kept = [row for row in added if row.state == "kept"]
    questions = [row.example for row in kept if row.example.kind == "answerable"]
    assert questions and {example.fact_id for example in questions} <= set(taught)
    assert max(Counter(example.fact_id for example in questions).values()) <= FURTHER_PER_FACT
    assert {row.split for row in kept} == {"train"} and all(row.reason for row in added if row.state != "kept")
    near = HeldOut(row.example.question for row in rows if row.split in ("probe", "test") and row.example.question)
    before = {row.example.question.lower().rstrip("?") for row in rows if row.state == "kept"}
    assert not any(near.near(row.example.question) for row in kept)
    assert not any(row.example.question.lower().rstrip("?") in before for row in kept)
    assert not {row.example.id for row in added} & {row.example.id for row in rows}
    refusals = sum(row.example.kind == "unanswerable" for row in kept)
    assert refusals <= round(len(questions) * 3 / 7)


def test_a_held_out_fact_is_not_taught_by_further_rows(parts):
    _, facts, documents = parts
    secret = facts[0].id
    asked = Example("x", secret, "answerable", "wh", "How many days of leave?", "25 days.")
    rows = [LedgerRow(asked, "kept", "", "test")]
    with pytest.raises(InvalidInput, match="No fact was named that this dataset teaches"):
        further_rows(rows, facts, documents, [secret], generator=EmbeddedGenerator(), seed=1)


def test_the_next_version_holds_the_old_rows_as_they_stand_the_added_ones_and_why(tmp_path):
    workspace = stand_in_workspace(tmp_path / "ws")
    version = add_policy(workspace)
    weak = [fact.id for fact in workspace.store.facts(version.id)]
    further = propose_further(workspace, "leave", weak)
    assert [found.title for found in workspace.store.datasets()] == ["leave:1"]  # proposing saves nothing
    made = further_version(workspace.store, further, reason="3 facts that tuned had not learned", now="2026-05-02")
    assert (made.title, made.parent_id) == ("leave:2", version.id)
    old = workspace.store.rows(version.id, state="kept")
    new = workspace.store.rows(made.id)
    assert new[: len(old)] == old and new[len(old) :] == list(further.rows)
    told = made.recipe["further"]
    assert told["of"] == "leave:1" and told["reason"] == "3 facts that tuned had not learned"
    assert {key: told[key] for key in further.counts} == further.counts and further.counts["questions"] > 0
    assert made.counts["train"] == version.counts["train"] + len(further.kept)
    assert made.recipe["leakage"]["close_pairs"] == version.recipe["leakage"]["close_pairs"] == 0


def test_a_version_with_nothing_added_is_not_made(workspace, version):
    with pytest.raises(InvalidInput, match="No further form passed the gates"):
        further_version(workspace.store, Further(version, (), {}), reason="", now="2026")
    assert len(workspace.store.datasets()) == 1

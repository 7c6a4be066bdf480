"""The next version after a new edition: carried over, answered anew, unlearned, fresh; apart, balanced, told."""

import random
import re
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from engine.battles import open_battle, play, vote
from engine.datasets import next_version
from engine.documents import read_bytes
from engine.editions import edition
from engine.errors import InvalidInput
from engine.facts import facts_of
from engine.generate import EmbeddedGenerator
from engine.generation import make_version
from engine.labels import label_row
from engine.leakage import leakage
from engine.records import REFUSAL, Example
from engine.samples import MARKDOWN
from engine.store import Store
from engine.tasks.policy_qa import POLICY_QA
from engine.updating import UNLEARNED, update_version, updated_rows, words_of_the_old
from tests.models import EchoModel

TEXT = MARKDOWN.read_text(encoding="utf-8")
EDITS = (
    ("Maternity leave lasts up to 40 weeks.", "Maternity leave lasts up to 44 weeks."),
    ("The Community Coordinator keeps", "The People Helpdesk keeps"),
    ("Bought days cannot be carried over", "Bought days can be carried over"),
    ("Tuesday is an office day for all teams. ", ""),
    ("Flu vaccination is offered at every site in October. ", "Massages are offered to everybody on the last Friday. "),
    ("### 4.4 Buying and selling leave", "### 4.6 Buying and selling leave"),
)


def new_edition(*edits):
    text = TEXT
    for old, new in edits:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return read_bytes("leave_and_benefits.md", text.encode())


class Counting(EmbeddedGenerator):
    """The real generator; tells which facts it was asked about."""

    def __init__(self, asked):
        super().__init__()
        object.__setattr__(self, "asked", asked)

    def propose(self, documents, facts, *, rng):
        self.asked.extend(fact.statement for fact in facts)
        yield from super().propose(documents, facts, rng=rng)


@pytest.fixture
def parent(sample_store):
    return sample_store.dataset("leave")


def updated(store, parent, *edits, **options):
    document = new_edition(*edits)
    store.add_document(document, now="2")
    version, found = update_version(store, parent, [document], now="2", **options)
    return version, found, store.rows(version.id)


@pytest.fixture(scope="module")
def _edited(_sample_file, tmp_path_factory):
    """The store with the sample policy's new edition, made once, and what came of it."""
    store = Store(Path(shutil.copy(_sample_file, tmp_path_factory.mktemp("edited") / "edited.db")))
    return store.path, updated(store, store.dataset("leave"), *EDITS)


@pytest.fixture
def edited_store(_edited, tmp_path):
    """A copy of it that is the test's own."""
    return Store(Path(shutil.copy(_edited[0], tmp_path / "edited.db")))


@pytest.fixture
def result(_edited):
    return _edited[1]


def of_statement(rows, words, *, kept=True):
    return [
        row for row in rows if words in row.example.answer and row.example.question and (row.state == "kept") == kept
    ]


def test_rows_of_unchanged_facts_are_carried_over_with_ids_splits_and_words(edited_store, parent, result):
    _, found, rows = result
    unchanged = {change.old.id for change in found.changes if change.kind == "unchanged"}
    before = [row for row in edited_store.rows(parent.id, state="kept") if row.example.fact_id in unchanged]
    after = {row.example.id: row for row in rows}
    assert len(before) > 2000
    for row in before:
        now = after[row.example.id]
        assert replace(now, example=replace(now.example, passage_id="")) == replace(
            row, example=replace(row.example, passage_id="")
        )
    here = {passage.id for passage in found.documents[0].passages}
    assert all(row.example.passage_id in here for row in rows if row.state == "kept" and row.example.passage_id)


def test_only_changed_and_added_facts_are_generated(sample_store, parent):
    asked = []
    updated(sample_store, parent, *EDITS, generator=Counting(asked))
    assert len(asked) == 5  # one of them leans on the sentence before and holds it too
    assert any("44 weeks" in said for said in asked) and any("Massages" in said for said in asked)
    assert not any("40 weeks" in said or "Tuesday" in said for said in asked)


def test_the_old_question_of_a_changed_fact_has_the_new_answer(edited_store, parent, result):
    _, _, rows = result
    old = [row.example.question for row in of_statement(edited_store.rows(parent.id), "up to 40 weeks.")]
    new = {row.example.question: row for row in of_statement(rows, "up to 44 weeks.")}
    assert not of_statement(rows, "up to 40 weeks.")
    still = [question for question in old if question in new]
    assert "How many weeks does maternity leave last?" in new
    assert len(still) >= len(old) / 2 and len(new) > len(still)
    assert all("40" not in question for question in new)
    assert all(row.example.evidence in row.example.answer for row in new.values())


def test_a_rule_turned_round_turns_yes_and_no_round(result):
    _, _, rows = result
    answers = {row.example.answer[:4] for row in of_statement(rows, "Bought days can be carried over")}
    assert "Yes." in answers and "No. " not in answers
    assert not of_statement(rows, "Bought days cannot")


def test_questions_of_a_removed_fact_are_refused_and_its_statements_are_no_longer_taught(edited_store, parent, result):
    _, _, rows = result
    unlearned = [row.example for row in rows if row.example.form == UNLEARNED and row.state == "kept"]
    assert len(unlearned) >= 5
    assert {(e.answer, e.kind, e.evidence) for e in unlearned} == {(REFUSAL, "unanswerable", "")}
    assert "Is flu vaccination offered at every site in October?" in {e.question for e in unlearned}
    kept = {row.example.answer for row in rows if row.state == "kept"}
    assert not any("Tuesday is an office" in answer or "Flu vaccination" in answer for answer in kept)


def test_a_question_that_another_clause_may_answer_is_dropped_not_refused(sample_store, parent):
    """ "What about sites?" was asked of the vaccination, and much else is said of sites."""
    asked = next(r for r in sample_store.rows(parent.id, state="kept", text="flu vaccination") if r.split == "train")
    vague = replace(asked, example=replace(asked.example, question="What about sites?"))
    old = [sample_store.document(name) for name in parent.documents]
    found = edition(old, sample_store.facts(parent.id), [new_edition(*EDITS)])
    dropped, *_ = updated_rows([vague], found, generator=EmbeddedGenerator(), rng=random.Random(0))
    assert (dropped.state, dropped.reason) == ("rejected", "the new edition may answer it otherwise")
    gone = replace(asked, example=replace(asked.example, question="Who offers the flu vaccination?"))
    refused, *_ = updated_rows([gone], found, generator=EmbeddedGenerator(), rng=random.Random(0))
    assert (refused.example.answer, refused.example.form, refused.state) == (REFUSAL, UNLEARNED, "kept")


def test_a_moved_fact_keeps_its_rows_under_its_new_clause(result):
    _, found, rows = result
    moved = [change for change in found.changes if change.kind == "moved"]
    assert len(moved) >= 5
    ids = {change.new.id for change in moved}
    mine = [row for row in rows if row.example.fact_id in ids and row.state == "kept"]
    assert {row.example.fact_id for row in mine} == ids
    titled = [row.example.answer for row in mine if row.example.kind == "statement" and " › " in row.example.answer]
    assert titled and all("4.6 Buying" in answer for answer in titled)


def test_a_refusal_gives_way_when_the_edition_answers_its_question(sample_store, parent):
    rows = sample_store.rows(parent.id, split="train", state="kept")
    trained = [row.example.question for row in rows if row.example.form == "absent_topic"]
    asking = r"(?:How much does|What is the fee for|Who approves|Who is responsible for) (\w+ \w+)(?: cost)?\?"
    topics = {question: found[1] for question in trained if (found := re.fullmatch(asking, question))}
    told = next(iter(topics.values()))
    edit = (
        "Flu vaccination is offered",
        f"{told.capitalize()} is paid up to EUR 90 a year. Flu vaccination is offered",
    )
    _, _, rows = updated(sample_store, parent, edit)
    became = {row.example.question: row for row in rows}
    for question, topic in topics.items():
        if topic == told:
            assert became[question].reason == "the new edition may answer it"
        else:
            assert became[question].state == "kept"
    assert len(set(topics.values())) > 1


def test_the_next_edition_that_says_it_again_takes_the_refusals_back(edited_store, parent, result):
    version, _, _ = result
    document = read_bytes("leave_and_benefits.md", TEXT.encode())
    _, found = update_version(edited_store, version, [document], now="3")
    rows = edited_store.rows(edited_store.dataset("leave").id)
    refused = [row.example.question for row in rows if row.state == "kept" and row.example.form == UNLEARNED]
    assert not any("vaccination" in question for question in refused)
    assert of_statement(rows, "Flu vaccination is offered at every site")
    assert found.counts["changed"] >= 3


def test_nothing_leaks_and_every_row_is_told_of(result):
    version, _, rows = result
    assert leakage(rows).shared_facts == () and leakage(rows).close_pairs == ()
    assert version.recipe["leakage"] == {"shared_facts": 0, "close_pairs": 0}
    assert len({row.example.id for row in rows}) == len(rows)
    assert version.counts["proposed"] == version.counts["kept"] + version.counts["rejected"]
    assert all(row.reason for row in rows if row.state == "rejected")
    answers = {}
    for row in rows:
        if row.state == "kept" and row.example.question:
            assert answers.setdefault(row.example.question.lower(), row.example.answer) == row.example.answer


def test_the_recipe_names_parent_changes_and_counts(parent, result):
    version, found, rows = result
    told = version.recipe["update"]
    assert version.parent_id == parent.id and told["of"] == "leave:1"
    assert told["facts"] == found.counts
    assert told["documents"][0]["replaces"] == "leave_and_benefits.md"
    assert (
        sum(told["rows"][name] for name in ("carried", "answered anew", "unlearned", "dropped"))
        == parent.counts["kept"]
    )
    assert (
        told["rows"]["fresh"] + sum(told["rows"][n] for n in ("carried", "answered anew", "unlearned"))
        == version.counts["kept"]
    )
    assert told["rows"]["unlearned"] == Counter(row.example.form for row in rows if row.state == "kept")[UNLEARNED]


def test_a_fact_held_out_before_stays_held_out_when_it_changes(sample_store, parent):
    tested = {
        row.example.fact_id for row in sample_store.rows(parent.id, split="test") if row.example.kind == "answerable"
    }
    fact = next(f for f in sample_store.facts(parent.id) if f.id in tested and TEXT.count(f.evidence) == 1)
    changed = fact.evidence.replace(fact.evidence.split()[-1], "otherwise.")
    _, found, rows = updated(sample_store, parent, (fact.evidence, changed))
    (new,) = [c.new for c in found.changes if c.kind == "changed" and c.old.id == fact.id]
    assert {row.split for row in rows if row.example.fact_id == new.id and row.state == "kept"} == {"test"}


def test_what_people_said_stays_but_for_votes_on_what_is_gone(sample_store, parent, clock):
    for question, answer in (
        ("Is there a fixed day in the office?", "Tuesday is an office day for all teams."),
        ("Where do I find a quiet room?", "Ask the reception for the key."),
    ):
        models = (EchoModel("base", "I do not know."), EchoModel("tuned", answer))
        battle = open_battle(sample_store, POLICY_QA, question, models, rng=Left(), now=clock())
        list(play(sample_store, battle, models, POLICY_QA, now=clock()))
        vote(sample_store, battle.id, rater="ann", choice="b", now=clock())
    labelled = of_statement(sample_store.rows(parent.id, split="train"), "standard working week is 37.5")[0].example
    label_row(sample_store, parent, labelled.id, rater="ann", verdict="wrong", gold="From 10 to 3.", now=clock())
    second = next_version(sample_store, parent, now=clock())
    third, _, rows = updated(sample_store, second, *EDITS)

    def voted(version):
        return {row.example.answer for row in sample_store.rows(version.id, state="kept") if row.example.form == "vote"}

    assert voted(second) == {"Tuesday is an office day for all teams.", "Ask the reception for the key."}
    assert voted(third) == {"Ask the reception for the key."}
    assert [row.example.answer for row in rows if row.example.id == labelled.id] == ["From 10 to 3."]
    battle = open_battle(sample_store, POLICY_QA, "Who waters the plants?", models, rng=Left(), now=clock())
    list(play(sample_store, battle, models, POLICY_QA, now=clock()))
    vote(sample_store, battle.id, rater="ann", choice="b", now=clock())
    fourth = next_version(sample_store, third, now=clock())
    assert "Tuesday is an office day for all teams." not in voted(fourth)


class Left:
    """Draws the first model to the left, always."""

    def random(self) -> float:
        return 0.0


def test_a_label_given_on_the_parent_is_taken_in(sample_store, parent, clock):
    row = of_statement(sample_store.rows(parent.id, split="train"), "standard working week is 37.5")[0].example
    label = label_row(sample_store, parent, row.id, rater="ann", verdict="wrong", now=clock())
    version, _, rows = updated(sample_store, parent, *EDITS)
    assert [r.state for r in rows if r.example.id == row.id] == ["rejected"]
    assert version.recipe["labels"] == [label.id]


def test_an_update_that_changes_nothing_makes_no_version(sample_store, parent):
    with pytest.raises(InvalidInput, match="changes no fact"):
        updated(sample_store, parent)
    assert [version.title for version in sample_store.datasets()] == ["leave:1"]


def test_a_question_with_a_word_that_only_the_old_edition_has_asks_for_what_is_gone():
    old, new = (
        facts_of([read_bytes("a.md", f"# A\n\n## 1 B\n\nThe {who} decides within {n} days.\n".encode())])[0]
        for who, n in (("line manager", "five"), ("HR team", "eight"))
    )
    gone = words_of_the_old(old, new)
    assert {"five", "manag", "line"} <= gone and "boss" in gone
    assert not gone & {"decid", "day", "within", "eight"}


def test_a_removed_sentence_that_survives_in_another_fact_is_not_unlearned(store):
    """ "It meets …" leans on the sentence before, so a fact is made of both; the first sentence alone stays."""
    text = "# C\n\n## 1 Committee\n\nThe committee has seven members of staff. It meets in the library every quarter.\n"
    old = read_bytes("c.md", text.encode())
    new = read_bytes("c.md", text.replace(" It meets in the library every quarter.", "").encode())
    found = edition([old], facts_of([old]), [new])
    assert found.counts["removed"] == 1
    for document in (old, new):
        store.add_document(document, now="1")
    parent = make_version(store, "c", [old], task=POLICY_QA, now="1")
    version, _ = update_version(store, parent, [new], now="2")
    refused = [
        row.example.question for row in store.rows(version.id) if row.state == "kept" and row.example.form == UNLEARNED
    ]
    assert refused == []
    assert any("members" in row.example.answer for row in store.rows(version.id, state="kept"))


def test_rows_that_no_fact_stands_behind_are_carried_over(edited_store, parent, result):
    _, _, rows = result
    before = {row.example.id: row for row in edited_store.rows(parent.id, state="kept") if not row.example.passage_id}
    kept = [row for row in rows if row.example.id in before and row.state == "kept"]
    assert len(kept) >= 0.97 * len(before)
    assert all(row == before[row.example.id] for row in kept if isinstance(row.example, Example))

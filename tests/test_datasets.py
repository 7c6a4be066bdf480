"""Dataset versions: every row accounted for, no fact on both sides, and the next version knows its votes."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from engine.battles import open_battle, play, vote
from engine.datasets import (
    check_name,
    export_rows,
    held_out_as_questions,
    next_version,
    training_rows,
    under_its_heading,
)
from engine.documents import read_bytes
from engine.errors import InvalidInput
from engine.generation import make_version
from engine.labels import label_row, take_back
from engine.records import REFUSAL, Example, LedgerRow, Proposal
from engine.splitting import split_of
from engine.store import Store
from engine.tasks.policy_qa import POLICY_QA
from tests.models import EchoModel

SMALL = read_bytes(
    "small.md",
    b"# Travel\n\n## 1 Booking\n\nEmployees book flights at least ten days before the trip. The Travel Desk approves each hotel.\n\n"
    b"## 2 Costs\n\nMeals are refunded up to EUR 40 a day. Employees must not claim alcohol. Receipts are sent within 30 days.\n",
)


def questions(rows: Sequence[LedgerRow]) -> list[LedgerRow]:
    return [row for row in rows if row.example.question]


def words(text: str) -> frozenset[str]:
    """Written anew, so that the product's own tokeniser is not its own judge."""
    return frozenset("".join(c if c.isalnum() or c in "_$€£%" else " " for c in text.lower()).split())


class Rng:
    """Draws the first model to the left, always."""

    def random(self) -> float:
        return 0.0


def voted(
    store: Store, clock, question: str, answer: str, *, choice: str = "b", rater: str = "ann", **said: str
) -> int:
    """A battle in which B gave `answer` and A another one, and a vote on it; returns the vote's id."""
    models = (EchoModel("base", "I do not know."), EchoModel("tuned", answer))
    battle = open_battle(store, POLICY_QA, question, models, rng=Rng(), now=clock())
    list(play(store, battle, models, POLICY_QA, now=clock()))
    vote(store, battle.id, rater=rater, choice=choice, now=clock(), **said)
    return store.votes()[-1].id


def of_votes(store: Store, dataset_id: int) -> list[tuple[str, str, str]]:
    """(origin, state, answer) of what the votes brought, each once."""
    rows = [row for row in store.rows(dataset_id) if row.example.origin.startswith("vote:")]
    return list(dict.fromkeys((row.example.origin, row.state, row.example.answer) for row in rows))


# Made from documents


def test_every_proposed_row_is_kept_or_has_its_reason(sample_store, document):
    version = sample_store.dataset("leave")
    rows, counts = sample_store.rows(version.id), version.counts
    assert counts["proposed"] == counts["kept"] + counts["rejected"] + counts["failed"] == len(rows)
    assert counts["kept"] == counts["train"] + counts["probe"] + counts["test"]
    assert all((row.state == "kept") == (row.reason == "") == (row.split is not None) for row in rows)
    assert sum(sample_store.rejections(version.id).values()) == counts["rejected"] + counts["failed"] > 0
    assert version.documents == (document.id,) and version.recipe["facts"] == len(sample_store.facts(version.id))


def test_no_fact_stands_on_both_sides(sample_store):
    rows = sample_store.rows(sample_store.dataset("leave").id, state="kept")
    sides = defaultdict(set)
    for row in rows:
        sides[row.example.fact_id].add(row.split)
    tested = [fact for fact, found in sides.items() if "test" in found]
    assert len(tested) >= 10
    assert all(sides[fact] == {"test"} for fact in tested)


def test_no_training_row_says_what_a_held_out_fact_says(sample_store):
    rows = sample_store.rows(sample_store.dataset("leave").id, state="kept")
    held_out = {row.example.evidence for row in rows if row.split == "test" and row.example.evidence}
    taught = "\n".join(row.example.answer for row in rows if row.split != "test")
    assert len(held_out) >= 10
    assert [evidence for evidence in held_out if evidence in taught] == []


def test_every_probe_row_asks_anew_about_a_fact_that_is_trained(sample_store):
    rows = sample_store.rows(sample_store.dataset("leave").id, state="kept")
    trained = {row.example.fact_id for row in rows if row.split == "train"}
    probe = [row for row in rows if row.split == "probe" and row.example.kind == "answerable"]
    assert len(probe) >= 40 and all(row.example.fact_id in trained for row in probe)


def test_no_training_question_is_a_near_copy_of_a_held_out_one(sample_store):
    rows = questions(sample_store.rows(sample_store.dataset("leave").id, state="kept"))
    train = [words(row.example.question) for row in rows if row.split == "train"]
    held_out = [words(row.example.question) for row in rows if row.split != "train"]
    assert len(train) > 1000 and len(held_out) > 100
    assert max(len(a & b) / len(a | b) for a in train for b in held_out) < 0.7


def test_three_questions_in_ten_have_no_answer(sample_store):
    rows = questions(sample_store.rows(sample_store.dataset("leave").id, state="kept"))
    unanswerable = [row for row in rows if row.example.kind == "unanswerable"]
    assert all(row.example.answer == REFUSAL for row in unanswerable)
    assert 0.27 <= len(unanswerable) / len(rows) <= 0.33


def test_no_question_is_kept_twice(sample_store):
    rows = questions(sample_store.rows(sample_store.dataset("leave").id, state="kept"))
    asked = Counter(" ".join(row.example.question.lower().split()).rstrip("?. ") for row in rows)
    assert [question for question, times in asked.items() if times > 1] == []


def test_the_same_seed_makes_the_same_rows_and_another_seed_others(store):
    first, second, other = (
        store.rows(make_version(store, "t", [SMALL], task=POLICY_QA, seed=seed, now="1").id) for seed in (4, 4, 5)
    )
    assert first == second and len(first) > 40
    assert first != other


def test_a_facts_side_depends_on_itself_alone():
    sides = {f"fact-{n}": split_of(f"fact-{n}") for n in range(4000)}
    assert set(sides.values()) == {"train", "test"}
    assert 0.036 <= Counter(sides.values())["test"] / 4000 <= 0.064  # 5 % ± 4 standard deviations (0.34 points each)
    assert all(split_of(fact) == side for fact, side in reversed(sides.items()))


class OneQuestionEach:
    """Asks each fact once, by its member's name, in words that no other question shares."""

    name = "one question each"

    def about(self, facts) -> int:
        return len(facts)

    def provenance(self) -> dict[str, object]:
        return {}

    def propose(self, documents, facts, *, rng) -> Iterator[Proposal]:
        for f in facts:
            name = f.evidence.split()[1]
            yield Proposal(
                Example(f.id, f.id, "answerable", "wh", f"{name} {f.id}?", f.evidence, f.evidence, f.passage_id)
            )


def test_facts_that_share_a_sentence_stand_on_one_side(store):
    names = [f"qu{a}{b}o" for a in "abcdefghij" for b in "klmnopqrs"]
    text = "# P\n\n" + "\n\n".join(
        f"## {name}\n\nMember {name} receives {n + 100} vouchers each year. They expire in month {n}."
        for n, name in enumerate(names)
    )
    document = read_bytes("p.md", text.encode())
    version = make_version(store, "t", [document], task=POLICY_QA, generator=OneQuestionEach(), now="1")
    sides = defaultdict(list)
    for row in store.rows(version.id, state="kept"):
        sides[row.example.evidence.split()[1]].append(row.split == "test")
    assert sorted(sides) == names and {len(found) for found in sides.values()} == {2}
    assert 1 <= sum(found == [True, True] for found in sides.values()) <= 14  # 90 x 5 % = 4.5
    assert [name for name, found in sides.items() if len(set(found)) > 1] == []


def test_a_document_without_facts_makes_no_version(store):
    for text in (
        b"# Only a heading\n\nHello.\n",
        b"# Questions\n\nWhat is leave? Who may take it? When is that allowed?\n",
    ):
        with pytest.raises(InvalidInput, match=r"No fact was found in empty\.md\. Load a document"):
            make_version(store, "t", [read_bytes("empty.md", text)], task=POLICY_QA, now="1")
    with pytest.raises(InvalidInput, match="no document at all"):
        make_version(store, "t", [], task=POLICY_QA, now="1")
    assert store.datasets() == []


class LyingGenerator:
    """Proposes rows whose evidence no passage holds."""

    name = "liar"

    def about(self, facts) -> int:
        return len(facts)

    def provenance(self) -> dict[str, object]:
        return {}

    def propose(self, documents, facts, *, rng) -> Iterator[Proposal]:
        for f in facts:
            asked = f"What about {f.value}?"
            yield Proposal(Example(f.id, f.id, "answerable", "wh", asked, "It is so.", "It is so.", f.passage_id))


def test_a_version_of_nothing_but_rejected_rows_is_not_made(store):
    with pytest.raises(InvalidInput, match="passed the gates, so there is nothing to train on"):
        make_version(store, "t", [SMALL], task=POLICY_QA, generator=LyingGenerator(), now="1")
    assert store.datasets() == store.datasets(finished=False) == []


@pytest.mark.parametrize("name", ["", "-x", "../x", "a:1", "a b", "x" * 61, "a/b"])
def test_a_name_that_would_not_do_as_a_name_is_refused_before_any_work(store, name):
    with pytest.raises(InvalidInput, match="cannot be a name"):
        make_version(store, name, [SMALL], task=POLICY_QA, now="1")
    check_name("Leave-2.1_b")


# What people said of it


def test_the_next_version_holds_the_voted_answer_and_names_the_vote(sample_store, clock):
    parent = sample_store.dataset("leave")
    vote_id = voted(sample_store, clock, "May I bring a parrot to the quarterly town hall?", "No parrots, please.")

    version = next_version(sample_store, parent, now=clock())

    assert (version.title, version.parent_id, version.recipe["votes"]) == ("leave:2", parent.id, [vote_id])
    rows = [row for row in sample_store.rows(version.id) if row.example.origin == f"vote:{vote_id}"]
    assert rows[0].example.question == "May I bring a parrot to the quarterly town hall?"
    assert 1 <= len(rows) <= 4
    assert all(
        (row.split, row.example.form, row.example.answer) == ("train", "vote", "No parrots, please.") for row in rows
    )
    before = sample_store.rows(parent.id, state="kept")
    assert [row for row in sample_store.rows(version.id) if row.example.origin == "generated"] == before
    assert version.counts["proposed"] == version.counts["kept"] + version.counts["rejected"] == len(before) + len(rows)
    trained = training_rows(sample_store.rows(version.id), POLICY_QA)
    assert {"answer": "No parrots, please.", "messages": POLICY_QA.messages(rows[0].example.question)}.items() <= next(
        row for row in trained if row.get("answer") == "No parrots, please."
    ).items()


def test_a_repaired_answer_is_taught_instead_of_the_one_that_won(sample_store, clock):
    vote_id = voted(sample_store, clock, "Who feeds the office parrot?", "Nobody.", repair="The caretaker feeds it.")
    version = next_version(sample_store, sample_store.dataset("leave"), now=clock())
    assert of_votes(sample_store, version.id) == [(f"vote:{vote_id}", "kept", "The caretaker feeds it.")]


def test_a_refusal_that_won_is_taught_as_unanswerable(sample_store, clock):
    voted(sample_store, clock, "Who feeds the office parrot?", REFUSAL)
    version = next_version(sample_store, sample_store.dataset("leave"), now=clock())
    assert {row.example.kind for row in sample_store.rows(version.id) if row.example.form == "vote"} == {"unanswerable"}


def test_ties_and_both_bad_teach_nothing_and_are_named_with_the_reason(sample_store, clock):
    voted(sample_store, clock, "Who feeds the office parrot?", "Ann.", choice="tie")
    voted(sample_store, clock, "Who walks the office dog?", "Bob.", choice="both_bad")
    version = next_version(sample_store, sample_store.dataset("leave"), now=clock())
    assert of_votes(sample_store, version.id) == [("vote:1", "rejected", ""), ("vote:2", "rejected", "")]
    reasons = sample_store.rejections(version.id)
    assert reasons["the vote was tie, without a repaired answer"] == 1
    assert reasons["the vote was both bad, without a repaired answer"] == 1


def test_raters_who_disagree_teach_nothing_and_those_who_agree_teach_it_once(sample_store, clock):
    voted(sample_store, clock, "Who feeds the office parrot?", "Ann.", rater="ann")
    voted(sample_store, clock, "Who walks the office dog?", "Bob.", rater="ann")
    first, second = (battle.id for battle, _ in sample_store.voted_battles())
    vote(sample_store, first, rater="bob", choice="a", now=clock())
    vote(sample_store, second, rater="bob", choice="b", now=clock())
    version = next_version(sample_store, sample_store.dataset("leave"), now=clock())
    assert of_votes(sample_store, version.id) == [
        ("vote:1", "rejected", "Ann."), ("vote:2", "kept", "Bob."), ("vote:3", "rejected", "I do not know."),
        ("vote:4", "rejected", "Bob."),
    ]  # fmt: skip
    assert sample_store.rejections(version.id)["raters disagree on this battle"] == 2
    assert version.recipe["votes"] == [1, 2, 3, 4]


def test_a_changed_vote_is_taught_as_it_is_now(sample_store, clock):
    voted(sample_store, clock, "Who feeds the office parrot?", "Ann.")
    second = next_version(sample_store, sample_store.dataset("leave"), now=clock())
    ((battle, _),) = sample_store.voted_battles()
    vote(sample_store, battle.id, rater="ann", choice="a", now=clock())
    third = next_version(sample_store, second, now=clock())
    assert of_votes(sample_store, second.id) == [("vote:1", "kept", "Ann.")]
    assert of_votes(sample_store, third.id) == [("vote:2", "kept", "I do not know.")]


def test_a_vote_on_a_training_question_replaces_its_row(sample_store, clock):
    parent = sample_store.dataset("leave")
    taught = next(r for r in questions(sample_store.rows(parent.id, split="train")) if r.example.kind == "answerable")
    voted(sample_store, clock, taught.example.question.upper(), "What people decided.")
    version = next_version(sample_store, parent, now=clock())
    rows = sample_store.rows(version.id)
    asked = words(taught.example.question)
    kept = {row.example.answer for row in rows if row.state == "kept" and words(row.example.question) == asked}
    assert kept == {"What people decided."}
    (given_way,) = (row for row in rows if row.example.id == taught.example.id)
    assert (given_way.state, given_way.reason) == ("rejected", "people voted on the answer to this question")


def test_a_vote_never_brings_a_held_out_question_into_training(sample_store, clock):
    parent = sample_store.dataset("leave")
    held_out = [
        row.example.question for row in questions(sample_store.rows(parent.id)) if row.split in ("probe", "test")
    ]
    for question in held_out[:6]:
        voted(sample_store, clock, question, "Leaked.")
        voted(
            sample_store, clock, f"{question} And does the parrot get employees reimbursed for annual leave?", "Near."
        )
    version = next_version(sample_store, parent, now=clock())
    kept = [row.example for row in sample_store.rows(version.id, state="kept") if row.example.form == "vote"]
    assert kept and all(example.answer == "Near." for example in kept)
    sets = [words(question) for question in held_out]
    assert all(len(words(e.question) & s) / len(words(e.question) | s) < 0.7 for e in kept for s in sets)
    assert sample_store.rejections(version.id)["too close to a held-out question"] >= 6


def test_a_vote_in_other_words_does_not_become_a_held_out_question_either(store, clock):
    """ "resign" may be said as "quit"; with it the question would be the held-out one."""
    begun = store.begin_dataset("d", task="policy_qa", documents=[], recipe={}, parent_id=None, now=clock())
    held_out = Example("h", "f", "answerable", "wh", "May employees quit during probation?", "Yes.")
    store.add_rows(begun.id, [LedgerRow(held_out, "kept", "", "probe")])
    parent = store.finish_dataset(begun.id, now=clock())
    voted(store, clock, "May employees resign during probation?", "They may.")
    for seed in range(8):
        version = next_version(store, parent, seed=seed, now=clock())
        taught = [row.example.question.lower() for row in store.rows(version.id, split="train")]
        assert "may employees resign during probation?" in taught
        assert not any("quit" in question and "employees" in question for question in taught)


def test_votes_on_another_task_stay_out(sample_store, clock):
    models = (EchoModel("base", "x"), EchoModel("tuned", "y"))
    other = replace(POLICY_QA, name="leave_decision")
    battle = open_battle(sample_store, other, "May Ann go?", models, rng=Rng(), now=clock())
    list(play(sample_store, battle, models, other, now=clock()))
    vote(sample_store, battle.id, rater="ann", choice="a", now=clock())
    with pytest.raises(InvalidInput, match="no vote and no label yet"):
        next_version(sample_store, sample_store.dataset("leave"), now=clock())


def test_labels_change_the_rows_they_judge_and_nothing_else(sample_store, clock):
    parent = sample_store.dataset("leave")
    rows = [row for row in questions(sample_store.rows(parent.id, split="train")) if row.example.kind == "answerable"][
        :6
    ]
    said = [
        ("right", ""),
        ("unclear", ""),
        ("wrong", ""),
        ("wrong", "Thirteen days."),
        ("should_refuse", ""),
        ("right", REFUSAL),
    ]
    for row, (verdict, gold) in zip(rows, said, strict=True):
        label_row(sample_store, parent, row.example.id, rater="ann", verdict=verdict, gold=gold, now=clock())

    version = next_version(sample_store, parent, now=clock())

    after = {row.example.id: row for row in sample_store.rows(version.id)}
    found = [after[row.example.id] for row in rows]
    assert found[:2] == rows[:2]
    assert (found[2].state, found[2].reason, found[2].split) == ("rejected", "ann labelled it wrong", None)
    assert [(row.example.answer, row.example.kind, row.split) for row in found[3:]] == [
        ("Thirteen days.", "answerable", "train"), (REFUSAL, "unanswerable", "train"), (REFUSAL, "unanswerable", "train"),
    ]  # fmt: skip
    assert [row.example.origin for row in found[2:]] == ["label:3", "label:4", "label:5", "label:6"]
    judged = {row.example.id for row in rows}
    untouched = [row for row in sample_store.rows(parent.id, state="kept") if row.example.id not in judged]
    assert [row for row in after.values() if row.example.id not in judged] == untouched
    assert version.recipe["labels"] == [1, 2, 3, 4, 5, 6] and version.recipe["votes"] == []


def test_a_question_corrected_by_a_label_is_asked_so_from_the_next_version_on(sample_store, clock):
    parent = sample_store.dataset("leave")
    row = next(
        row for row in questions(sample_store.rows(parent.id, split="train")) if row.example.kind == "answerable"
    )
    label = label_row(
        sample_store, parent, row.example.id, rater="ann", verdict="right", question="Quite anew asked?", now=clock()
    )
    after = sample_store.row(next_version(sample_store, parent, now=clock()).id, row.example.id)
    assert after.example.question == "Quite anew asked?" and after.example.answer == row.example.answer
    assert (after.state, after.split, after.example.origin) == ("kept", "train", f"label:{label.id}")


@pytest.mark.parametrize("edited", ["train", "probe"])
def test_a_corrected_question_never_brings_training_and_held_out_together(sample_store, clock, edited):
    parent = sample_store.dataset("leave")
    trained, held_out = (questions(sample_store.rows(parent.id, split=split))[0] for split in ("train", "probe"))
    row, other = (trained, held_out) if edited == "train" else (held_out, trained)
    label_row(
        sample_store, parent, row.example.id, rater="ann", verdict="right", question=other.example.question, now=clock()
    )
    version = next_version(sample_store, parent, now=clock())
    given_up = sample_store.row(version.id, trained.example.id)
    assert (given_up.state, given_up.reason) == ("rejected", "too close to a held-out question")
    assert sample_store.row(version.id, held_out.example.id).split == "probe"


def test_a_corrected_statement_stays_a_statement(sample_store, clock):
    parent = sample_store.dataset("leave")
    row = sample_store.rows(parent.id, kind="statement", split="train")[0]
    label_row(sample_store, parent, row.example.id, rater="ann", verdict="right", gold="Said better.", now=clock())
    after = sample_store.row(next_version(sample_store, parent, now=clock()).id, row.example.id).example
    assert (after.kind, after.question, after.answer) == ("statement", "", "Said better.")


def ledger(name: str, kind: str, split: str | None, *, question: str = "Q?", answer: str = "Twelve.") -> LedgerRow:
    reason = "" if split else "too long"
    return LedgerRow(
        Example(name, f"f-{name}", kind, "wh", question, answer), "kept" if split else "rejected", reason, split
    )


def test_held_out_rows_become_questions_and_what_was_never_taught_wants_the_refusal_unless_it_can_be_read():
    rows = [
        ledger("new", "answerable", "probe"), ledger("never", "answerable", "test"),
        ledger("none", "unanswerable", "probe", answer=REFUSAL), ledger("none2", "unanswerable", "test", answer=REFUSAL),
        ledger("seen", "answerable", "train"),
        ledger("bare", "statement", "test", question=""), ledger("out", "answerable", None),
    ]  # fmt: skip
    assert [(q.id, q.kind, q.slice) for q in held_out_as_questions(rows)] == [
        ("new", "answerable", "new wording"), ("never", "unanswerable", "never taught"),
        ("none", "unanswerable", "unanswerable"), ("none2", "unanswerable", "unanswerable"),
    ]  # fmt: skip
    assert [(q.id, q.kind, q.slice) for q in held_out_as_questions(rows, "grounded")][:3] == [
        ("new", "answerable", "new wording"), ("never", "answerable", "never taught"),
        ("none", "unanswerable", "unanswerable"),
    ]  # fmt: skip
    assert held_out_as_questions(rows)[0].extra == {"gold": "Twelve.", "fact_id": "f-new", "form": "wh"}


def test_a_row_that_a_gate_left_out_and_a_person_accepted_is_in_the_next_version(sample_store, clock):
    version = sample_store.dataset("leave")
    unclear = "question is not self-contained: 4 or more facts could answer it"
    rejected = [row for row in sample_store.rows(version.id, state="rejected") if row.reason == unclear]
    as_it_is, corrected, taken_back = rejected[:3]
    label_row(sample_store, version, as_it_is.example.id, rater="ann", verdict="right", now=clock())
    said = {"verdict": "right", "question": "How is the zebra crossing to be used?", "gold": "With care."}
    label_row(sample_store, version, corrected.example.id, rater="ann", now=clock(), **said)
    label = label_row(sample_store, version, taken_back.example.id, rater="ann", verdict="right", now=clock())
    take_back(sample_store, label, now=clock())

    after = {row.example.id: row for row in sample_store.rows(next_version(sample_store, version, now=clock()).id)}

    mine = after[as_it_is.example.id]
    near = mine.reason == "too close to a held-out question"  # its own question decides, whatever the person said
    assert mine.state == "kept" or near
    assert mine.example.origin.startswith("label:") and mine.example.question == as_it_is.example.question
    new = after[corrected.example.id]
    assert (new.state, new.example.question, new.example.answer) == ("kept", said["question"], said["gold"])
    assert new.split == split_of(new.example.fact_id)
    assert taken_back.example.id not in after


def test_one_raters_undo_does_not_undo_what_another_said(sample_store, clock):
    parent = sample_store.dataset("leave")
    row = questions(sample_store.rows(parent.id, split="train"))[0]
    mine = label_row(sample_store, parent, row.example.id, rater="ann", verdict="right", now=clock())
    take_back(sample_store, mine, now=clock())
    with pytest.raises(InvalidInput, match="no vote and no label yet"):
        next_version(sample_store, parent, now=clock())
    label_row(sample_store, parent, row.example.id, rater="bob", verdict="wrong", now=clock())
    take_back(sample_store, label_row(
        sample_store, parent, row.example.id, rater="ann", verdict="right", now=clock()), now=clock()
    )  # fmt: skip
    after = sample_store.row(next_version(sample_store, parent, now=clock()).id, row.example.id)
    assert (after.state, after.reason) == ("rejected", "bob labelled it wrong")


def test_a_version_is_not_made_of_nothing_new(sample_store, clock):
    parent = sample_store.dataset("leave")
    with pytest.raises(InvalidInput, match="no vote and no label yet"):
        next_version(sample_store, parent, now=clock())
    voted(sample_store, clock, "Who feeds the office parrot?", "Ann.")
    second = next_version(sample_store, parent, now=clock())
    with pytest.raises(InvalidInput, match="Nobody has voted or labelled since leave:2 was made"):
        next_version(sample_store, second, now=clock())
    assert [version.title for version in sample_store.datasets()] == ["leave:2", "leave:1"]


# Handed on


def test_only_training_rows_are_trained_and_a_statement_is_bare_text(sample_store):
    rows = sample_store.rows(sample_store.dataset("leave").id)
    trained = list(training_rows(rows, POLICY_QA))
    assert len(trained) == sum(row.split == "train" for row in rows) > 1000
    assert all(
        set(row) == ({"text"} if row["kind"] == "statement" else {"messages", "answer"}) | {"kind", "fact_id"}
        for row in trained
    )
    assert not {row.example.fact_id for row in rows if row.split == "test"} & {row["fact_id"] for row in trained}


def test_a_trained_answer_begins_with_the_heading_of_its_clause(sample_store):
    version = sample_store.dataset("leave")
    clauses = {fact.id: fact.clause for fact in sample_store.facts(version.id)}
    rows = sample_store.rows(version.id, split="train")
    plain, headed = list(training_rows(rows, POLICY_QA)), list(training_rows(rows, POLICY_QA, clauses=clauses))
    longer = 0
    for before, after in zip(plain, headed, strict=True):
        if before["kind"] != "answerable":
            assert before == after
            continue
        assert after["answer"].endswith(before["answer"])
        opening = after["answer"].removesuffix(before["answer"])
        longer += bool(opening)
        assert not opening or f" {opening.removesuffix(': ')}" in f" {clauses[before['fact_id']]}"
    assert longer > len([row for row in plain if row["kind"] == "answerable"]) / 2


@pytest.mark.parametrize(
    ("answer", "clause", "headed"),
    [
        ("Employees receive 12 days.", "4 Leave › 4.2 Sick leave", "Sick leave: Employees receive 12 days."),
        ("Yes. Employees receive 12 days.", "4.2 Sick leave", "Sick leave: Yes. Employees receive 12 days."),
        ("Sick leave: annual quota 12 days.", "4.2 Sick leave", "Sick leave: annual quota 12 days."),
        ("Yes. Leave, Sick leave: 12 days.", "Sick leave", "Yes. Leave, Sick leave: 12 days."),
        ("Not specified in the provided excerpt.", "4.2 Sick leave", "Not specified in the provided excerpt."),
        ("Employees receive 12 days.", "", "Employees receive 12 days."),
        ("Employees receive 12 days.", " ".join(["word"] * 13), "Employees receive 12 days."),
    ],
)
def test_a_heading_stands_before_an_answer_once_and_never_before_a_refusal(answer, clause, headed):
    assert under_its_heading(answer, clause) == headed
    assert under_its_heading(headed, clause) == headed


def test_an_exported_line_carries_the_chat_and_where_it_came_from():
    example = Example("e1", "f1", "answerable", "wh", "How many?", "Twelve.", "Twelve", "p1", "vote:3")
    bare = replace(example, kind="statement", question="", id="s1")
    rows = [LedgerRow(example, "kept", "", "train"), LedgerRow(bare, "kept", "", "probe")]
    chat, text = (json.loads(line) for line in export_rows(rows, POLICY_QA))
    assert [(m["role"], m["content"]) for m in chat["messages"]] == [
        ("system", POLICY_QA.system), ("user", "How many?"), ("assistant", "Twelve."),
    ]  # fmt: skip
    assert chat["lineage"] == {"id": "e1", "fact": "f1", "form": "wh", "origin": "vote:3", "split": "train"}
    assert text["text"] == "Twelve." and "messages" not in text

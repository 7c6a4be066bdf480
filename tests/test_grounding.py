"""Grounded training rows: the clauses the search finds stand in the prompt, and a refusal means that these do not say."""

from collections import Counter
from dataclasses import replace

import pytest

from engine.datasets import training_rows
from engine.documents import read_bytes
from engine.errors import InvalidInput
from engine.excerpts import excerpts_of
from engine.grounding import PUT_IN_SHARE, TAKEN_OUT_SHARE, as_found, grounded_rows, trained_mode, used_otherwise
from engine.records import REFUSAL, Adapter, Fact
from engine.search import CLAUSES_IN_PROMPT, excerpt_index
from engine.tasks.policy_qa import POLICY_QA

CLAUSES = {
    "1 Flights": "Flights are booked by the Travel Desk.",
    "2 Trains": "Trains are booked by the employee, and the employee is refunded for the trains.",
    "3 Hotels": "Hotels are booked by the host.",
    "4 Taxis": "Taxis are booked by the reception.",
    "5 Ferries": "Ferries are booked by the harbour office.",
    "6 Visas": "Visas come from the legal team.",
}
TRAVEL = read_bytes("travel.md", "\n\n".join(f"# {name}\n\n{text}" for name, text in CLAUSES.items()).encode())
FACTS = [
    Fact(f"f{n}", passage.id, passage.clause, "role", passage.text, passage.text)
    for n, passage in enumerate(TRAVEL.passages)
]
FOUND = "Who are the Travel Desk flights booked by? (case x{})"
MISSED = (
    "Who are trips booked by? (case x{})"  # the three shortest of five that are booked come first; the trains are last
)


def row(question, *, fact="f0", answer=CLAUSES["1 Flights"], kind="answerable"):
    return {"messages": POLICY_QA.messages(question), "answer": answer, "kind": kind, "fact_id": fact}


def grounded(rows, *, seed=0, document=TRAVEL, facts=FACTS):
    return grounded_rows(rows, POLICY_QA, documents=[document], facts=facts, seed=seed)


def clauses(row):
    """The clauses in the prompt, in order."""
    return [line[4:] for line in row["messages"][-1]["content"].splitlines() if line.startswith("[")]


def searched(question, limit=CLAUSES_IN_PROMPT):
    return excerpt_index([TRAVEL]).best(question, limit=limit)


@pytest.fixture
def sample(document, sample_store):
    """Of the sample policy: its document, its facts, its training rows as they were and grounded."""
    (version,) = sample_store.datasets()
    rows = list(training_rows(sample_store.rows(version.id, split="train"), POLICY_QA))
    facts = sample_store.facts(version.id)
    return document, facts, rows, grounded(rows, document=document, facts=facts)


def test_most_rows_read_exactly_as_they_are_asked(sample):
    document, _, rows, found = sample
    index = excerpt_index([document])
    asked = [
        POLICY_QA.messages(q, index.best(q)) for r in rows if "messages" in r for q in [r["messages"][-1]["content"]]
    ]
    same = sum(messages in asked for messages in [r["messages"] for r in found])
    assert same > 0.8 * len(found)
    unanswerable = [r for r in rows if r["kind"] == "unanswerable"]
    kept = [r["messages"] for r in found if r["kind"] == "unanswerable" and r["answer"] == REFUSAL]
    for r in unanswerable[:50]:
        question = r["messages"][-1]["content"]
        assert POLICY_QA.messages(question, index.best(question)) in kept


def test_an_answer_that_is_given_stands_in_the_prompt(sample):
    _, facts, _, found = sample
    evidence = {fact.id: fact.evidence for fact in facts}
    for r in found:
        if r["kind"] == "answerable":
            prompt = " ".join(r["messages"][-1]["content"].split())
            assert all(line in prompt for line in evidence[r["fact_id"]].splitlines())


def test_a_refused_prompt_does_not_hold_the_answer(sample):
    _, facts, rows, found = sample
    evidence = {fact.id: fact.evidence for fact in facts}
    kinds = {(r["messages"][-1]["content"]): r["kind"] for r in rows if "messages" in r}
    turned = [
        r
        for r in found
        if r["kind"] == "unanswerable" and kinds[r["messages"][-1]["content"].split("Question: ")[-1]] == "answerable"
    ]
    assert len(turned) > 100
    for r in turned:
        assert r["answer"] == REFUSAL and r["fact_id"]
        long = [line for line in evidence[r["fact_id"]].splitlines() if len(line.split()) >= 5]
        assert not long or not all(line in r["messages"][-1]["content"] for line in long)


def test_statements_are_left_out_and_every_question_stays(sample):
    _, _, rows, found = sample
    assert Counter(r["kind"] for r in rows)["statement"] > 0
    assert len(found) == sum(r["kind"] != "statement" for r in rows)
    assert {r["kind"] for r in found} == {"answerable", "unanswerable"}


def test_a_share_of_found_rows_loses_the_answer_to_the_next_best_and_refuses():
    rows = [row(FOUND.format(n)) for n in range(600)]
    found = grounded(rows)
    first, *next_best = searched(FOUND.format(1), limit=CLAUSES_IN_PROMPT + 1)
    assert first.clause == "1 Flights"
    refused = [r for r in found if r["kind"] == "unanswerable"]
    assert TAKEN_OUT_SHARE - 0.05 < len(refused) / len(rows) < TAKEN_OUT_SHARE + 0.05
    assert {r["answer"] for r in refused} == {REFUSAL}
    assert {tuple(clauses(r)) for r in refused} == {tuple(e.clause for e in next_best)}
    assert {tuple(clauses(r)) for r in found if r["kind"] == "answerable"} == {
        ("1 Flights", *(e.clause for e in next_best[:2]))
    }


def test_a_row_whose_answer_is_missed_gets_it_at_any_rank_or_refuses():
    rows = [row(MISSED.format(n), fact="f1", answer=CLAUSES["2 Trains"]) for n in range(600)]
    neighbours = [excerpt.clause for excerpt in searched(MISSED.format(1))]
    assert "2 Trains" not in neighbours and len(neighbours) == CLAUSES_IN_PROMPT
    answered = [r for r in grounded(rows) if r["kind"] == "answerable"]
    refused = [r for r in grounded(rows) if r["kind"] == "unanswerable"]
    assert PUT_IN_SHARE - 0.07 < len(answered) / len(rows) < PUT_IN_SHARE + 0.07
    ranks = Counter(clauses(r).index("2 Trains") for r in answered)
    assert set(ranks) == {0, 1, 2} and min(ranks.values()) > len(answered) / 5
    assert all([c for c in clauses(r) if c != "2 Trains"] == neighbours[:2] for r in answered)
    assert all(clauses(r) == neighbours and r["answer"] == REFUSAL for r in refused)


def test_an_excerpt_that_says_the_same_elsewhere_is_taken_out_too():
    twice = read_bytes(
        "travel.md",
        TRAVEL.text.replace("\n", "\n\n# X\n\n").encode() + b"\n\n# Y\n\nAll flights are booked by the Travel Desk.\n",
    )
    (first, *_), facts = twice.passages, []
    facts = [Fact("f0", first.id, first.clause, "role", first.text, first.text)]
    found = grounded([row(FOUND.format(n)) for n in range(200)], document=twice, facts=facts)
    refused = [r for r in found if r["kind"] == "unanswerable"]
    assert refused and not any("by the Travel Desk." in r["messages"][-1]["content"] for r in refused)


def test_the_same_seed_gives_the_same_rows_and_another_seed_others():
    rows = [row(FOUND.format(n)) for n in range(100)]
    assert grounded(rows) == grounded(rows)
    assert grounded(rows) != grounded(rows, seed=1)


def test_what_becomes_of_a_row_does_not_depend_on_the_rows_beside_it():
    rows = [row(FOUND.format(n)) for n in range(100)]
    assert grounded(rows[50:]) == grounded(rows)[50:]


def test_the_fact_of_a_row_is_kept_also_where_it_refuses():
    found = grounded([row(FOUND.format(n)) for n in range(100)])
    assert {(r["fact_id"], r["kind"]) for r in found} == {("f0", "answerable"), ("f0", "unanswerable")}


def test_an_answer_people_gave_is_found_by_its_sentence_and_one_that_stands_nowhere_is_left_out():
    voted = row("Who books the flights?", fact="battle-1", answer=f"Yes. {CLAUSES['1 Flights']}")
    invented = row("Who books the rockets?", fact="battle-2", answer="Rockets are booked by the space agency.")
    (found,) = grounded([voted, invented], seed=2)
    assert found["answer"] == voted["answer"] and "1 Flights" in clauses(found)


def test_a_version_whose_answers_stand_in_no_document_is_refused_with_the_next_step():
    with pytest.raises(InvalidInput, match=r"no clauses to show .* Train it from memory"):
        grounded([row("Who books the rockets?", fact="r", answer="Rockets are booked by the space agency.")])


def test_a_list_item_counts_as_said_only_under_the_words_that_introduce_it():
    text = "# 1 Weddings\n\nTwo days are given for:\n\n- a parent;\n- a child.\n\n# 2 Forms\n\nBring a parent; the form is long.\n"
    document = read_bytes("leave.md", text.encode())
    item = next(p for p in document.passages if p.text == "a parent;")
    fact = Fact("f0", item.id, item.clause, "rule", "Two days are given for: a parent.", item.text)
    rows = [row(f"Is there a form for a parent, how long? (case x{n})", answer=fact.statement) for n in range(200)]
    found = grounded(rows, document=document, facts=[fact])
    refused = [r for r in found if r["kind"] == "unanswerable"]
    assert len(excerpts_of(document)) == 2
    assert refused and all(clauses(r) == ["2 Forms"] for r in refused)


def adapter(name, mode):
    return Adapter(name, "base", "", "", "", "leave:1", {"config": {"mode": mode}})


def test_adapters_used_otherwise_than_they_were_trained_are_named():
    reads, recalls = adapter("reads", "grounded"), adapter("recalls", "closed")
    all_of_them, names = [reads, recalls, replace(recalls, name="too")], ["base", "reads", "recalls"]
    assert used_otherwise(all_of_them, ["base", "reads"], "grounded") == ""
    assert used_otherwise(all_of_them, ["recalls"], "closed") == ""
    assert used_otherwise(all_of_them, names, "closed").startswith("reads was trained to read the answer in clauses")
    said = used_otherwise(all_of_them, [*names, "too"], "grounded")
    assert said.startswith("recalls and too were trained to answer from memory")


def test_an_adapter_whose_card_does_not_say_answers_from_memory():
    assert trained_mode(Adapter("old", "base", "", "", "", "leave:1")) == "closed"
    assert trained_mode(adapter("new", "grounded")) == "grounded"


def test_held_out_rows_are_asked_as_found_and_are_to_refuse_where_the_clauses_do_not_say():
    missed = row(MISSED.format(1), fact="f1", answer=CLAUSES["2 Trains"])
    nothing = row("Is there a sauna by the flights?", fact="u1", answer=REFUSAL, kind="unanswerable")
    elsewhere = row("Who are boats booked by?", fact="gone", answer="Boats are chartered in spring by the harbour.")
    asked = [row(FOUND.format(n)) for n in range(40)] + [missed, nothing, elsewhere]
    found = as_found(asked, POLICY_QA, documents=[TRAVEL], facts=FACTS)
    assert [r["kind"] for r in found] == ["answerable"] * 40 + ["unanswerable"] * 2
    for r, before in zip(found, asked, strict=False):
        question = before["messages"][-1]["content"]
        assert r["messages"] == POLICY_QA.messages(question, searched(question))

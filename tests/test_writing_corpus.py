"""The question corpus: every row of it holds, and the checks find what does not."""

import json

import pytest

from engine.writing import corpus
from engine.writing.corpus import KINDS, faults, passages_of, policies, rows_of

POLICY = (
    "# Keys\n\n## 1 Keys\n\nThe porter opens the gate each day at seven. A lost key costs EUR 30.\n\n"
    + "Filler stands here. " * 250
)
GOOD = {
    "kind": "number",
    "evidence": "A lost key costs EUR 30.",
    "span": "EUR 30",
    "question": "What do I pay when my key is gone?",
    "voice": "first_person",
    "paraphrase": "price new key",
    "paraphrase_voice": "curt",
}
NEAR = {
    "kind": "near_miss",
    "evidence": "A lost key costs EUR 30.",
    "missing": "how to pay",
    "question": "Can I pay for a lost key by card?",
    "voice": "plain",
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(corpus, "FOLDER", tmp_path)
    passages_of.cache_clear()
    yield tmp_path
    passages_of.cache_clear()


def found(folder, *rows):
    (folder / "keys.md").write_text(POLICY)
    (folder / "keys.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    return [fault for fault in faults("keys") if ".jsonl:" in fault and fault.split(":")[1].strip().isdigit()]


def test_the_corpus_holds_what_it_promises():
    names = policies()
    rows = [row for name in names for row in rows_of(name)]
    assert len(names) >= 60
    assert sum(row["kind"] != "near_miss" for row in rows) >= 3000
    assert sum(row["kind"] == "near_miss" for row in rows) >= 1000
    assert {row["kind"] for row in rows} == {*KINDS, "near_miss"}


@pytest.mark.parametrize("name", policies())
def test_no_row_of_a_policy_is_at_fault(name):
    assert list(faults(name)) == []


def test_a_row_that_holds_is_let_through(folder):
    assert found(folder, GOOD, NEAR) == []


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (GOOD | {"evidence": "A lost key costs EUR 40.", "span": "EUR 40"}, "stands in no passage"),
        (GOOD | {"span": "EUR 35"}, "the span is not in the evidence"),
        (GOOD | {"question": "Is it EUR 30 for a lost one?"}, "holds its answer"),
        (GOOD | {"paraphrase": "What do I pay when my key is lost?"}, "nearly the question"),
        (GOOD | {"voice": "angry"}, "voice 'angry' is none of"),
        (GOOD | {"kind": "price"}, "kind 'price' is none of"),
        (GOOD | {"kind": "yes_no", "polarity": "maybe"}, "neither yes nor no"),
        (GOOD | {"question": ""}, "has the keys"),
        ({key: value for key, value in GOOD.items() if key != "span"}, "has the keys"),
        (
            GOOD
            | {"evidence": "The porter opens the gate each day at seven.", "span": "at seven"}
            | {"question": "When is it that the porter opens the gate each day?"},
            "copies 'the porter opens the gate each'",
        ),
        (NEAR | {"question": "Where is the zebra?"}, "far from the policy"),
    ],
)
def test_a_row_at_fault_is_named_with_its_line(folder, row, says):
    (fault,) = found(folder, row)[:1]
    assert fault.startswith("keys.jsonl:1:") and says in fault


def test_a_question_asked_twice_in_a_policy_is_found(folder):
    again = NEAR | {"question": "By card, can I pay for a lost key?"}
    assert "nearly repeats" in found(folder, GOOD, NEAR, again)[0]

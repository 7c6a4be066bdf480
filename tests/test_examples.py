"""The answers that tell most, chosen the same way each time."""

from engine.documents import read_document
from engine.samples import MARKDOWN
from evals.examples import telling


def rows(*outcomes, kind="answerable", slice="number"):
    """(right before, right after) a question."""
    before, after, about = [], [], {}
    for n, (was, now) in enumerate(outcomes):
        row = {"id": f"q{n}", "question": f"Question {n}?", "kind": kind, "slice": slice, "answer": ""}
        before.append({**row, "right": was})
        after.append({**row, "right": now})
        about[f"q{n}"] = {"fact": f"f{n}", "facets": {"clause": "4 Leave"}, "gold": "25", "evidence": "25 days"}
    return before, after, about


def test_broken_comes_before_fixed_and_fixed_before_still_wrong_and_right_is_not_shown():
    found = telling(*rows((True, True), (False, False), (False, True), (True, False)))
    assert [(each["what"], each["id"]) for each in found] == [("broken", "q3"), ("fixed", "q2"), ("still wrong", "q1")]
    assert found[0]["wanted"] == "25" and found[0]["evidence"] == "25 days" and found[0]["clause"] == "4 Leave"


def test_twenty_at_most_and_what_one_kind_leaves_free_goes_to_the_others():
    plenty = [(True, False)] * 30 + [(False, True)] * 30 + [(False, False)] * 30
    found = [each["what"] for each in telling(*rows(*plenty))]
    assert (found.count("broken"), found.count("fixed"), found.count("still wrong")) == (8, 7, 5)
    assert len(telling(*rows(*[(False, True)] * 30))) == 20


def test_a_fact_comes_twice_only_after_all_others():
    before, after, about = rows(*[(True, False)] * 30)
    for n in range(25):
        about[f"q{n}"]["fact"] = "the same"
    found = [each["id"] for each in telling(before, after, about)]
    assert set(found[:6]) == {"q0", "q25", "q26", "q27", "q28", "q29"} and len(set(found)) == 20


def test_an_invented_answer_is_shown_before_other_faults():
    before, after, about = rows(*[(True, False)] * 10)
    before[7]["kind"] = after[7]["kind"] = "unanswerable"
    assert telling(before, after, about)[0]["id"] == "q7"


def test_a_failed_row_is_no_example():
    before, after, about = rows((True, False), (False, True))
    after[0]["error"] = "gone"
    assert [each["id"] for each in telling(before, after, about)] == ["q1"]


def test_where_a_row_names_no_evidence_the_closest_passage_is_shown_as_such():
    before, after, about = rows((True, False))
    before[0]["question"] = after[0]["question"] = "Who gets a day in lieu for a public holiday?"
    about["q0"]["evidence"] = ""
    (found,) = telling(before, after, about, documents=[read_document(MARKDOWN)])
    assert found["evidence"] == "" and "day off in lieu" in found["closest"]

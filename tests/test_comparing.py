"""Two versions side by side: rows and facts added, removed, changed, and of what sort they are."""

from engine.comparing import OF_NO_FACT, as_mapping, compare
from engine.documents import read_bytes
from engine.facts import facts_of
from engine.records import REFUSAL, Example, LedgerRow


def row(name, question, answer="Ten days.", *, state="kept", split="train", reason="", **more):
    given = {"fact_id": "f", "kind": "answerable", "form": "wh", **more}
    example = Example(name, given["fact_id"], given["kind"], given["form"], question, answer)
    return LedgerRow(example, state, reason, split if state == "kept" else None)


def compared(old, new):
    found = compare(old, new, [], [])
    return found.same_rows, [(change.sort, change.row.example.id, change.what) for change in found.rows]


def test_a_version_compared_with_itself_differs_in_nothing():
    rows = [
        row("1", "How long?"),
        row("2", "", "A rule.", kind="statement"),
        row("3", "Who?", state="rejected", reason="x"),
    ]
    assert compared(rows, rows) == (2, [])


def test_rows_are_added_removed_and_changed():
    old = [
        row("same", "How long is it?"),
        row("gone", "Who signs?"),
        row("answer", "How far?", "Ten miles."),
        row("state", "How many?"),
        row("side", "When?"),
        row("never", "What?", state="rejected", reason="a reason"),
    ]
    new = [
        row("same", "How long is it?"),
        row("answer", "How far?", "Six miles."),
        row("state", "How many?", state="rejected", reason="near-duplicate"),
        row("side", "When?", split="test"),
        row("never", "What?", state="rejected", reason="another reason"),
        row("new", "Where?"),
        row("refused", "Which?", state="rejected", reason="x"),
    ]
    assert compared(old, new) == (
        1,
        [
            ("added", "new", "added"),
            ("removed", "gone", "removed"),
            ("changed", "answer", "answer"),
            ("changed", "state", "state: kept -> rejected (near-duplicate)"),
            ("changed", "side", "split: train -> test"),
        ],
    )


def test_the_same_question_under_another_id_is_one_row():
    old, new = row("a", "How long?", fact_id="f1"), row("b", "How long?", "Six days.", fact_id="f2")
    assert compared([old], [new]) == (0, [("changed", "b", "answer")])
    statement = {"kind": "statement", "form": "statement"}
    assert compared([row("a", "", "A rule.", **statement)], [row("b", "", "A rule.", **statement)]) == (1, [])
    assert compared([row("a", "", "A rule.", **statement)], [row("b", "", "No rule.", **statement)])[0] == 0


def test_changes_are_counted_by_kind_form_clause_and_reason_most_first():
    (fact,) = facts_of([read_bytes("a.md", b"# A\n\n## 1 Leave\n\nLeave is given for ten days a year.\n")])
    old = [row("1", "How long?", fact_id=fact.id), row("2", "Who?", fact_id=fact.id)]
    new = [
        row("1", "How long?", "Six days.", fact_id=fact.id),
        row("3", "Pets?", REFUSAL, kind="unanswerable", form="off_topic", fact_id="none-1"),
    ]
    found = compare(old, new, [fact], [fact])
    nothing = {"added": 0, "removed": 0, "changed": 0}
    assert found.counted("kind") == {
        "answerable": nothing | {"removed": 1, "changed": 1},
        "unanswerable": nothing | {"added": 1},
    }
    assert found.counted("form") == {"wh": nothing | {"removed": 1, "changed": 1}, "off_topic": nothing | {"added": 1}}
    assert list(found.counted("clause")) == ["1 Leave", OF_NO_FACT]
    assert set(found.counted("reason")) == {"added", "removed", "answer"}


def test_facts_are_compared_too_and_the_whole_fits_json():
    old, new = (
        facts_of([read_bytes("a.md", f"# A\n\n## 1 Leave\n\nLeave is given for {n} days a year.{more}\n".encode())])
        for n, more in (("ten", ""), ("six", " Dogs may come along on Fridays."))
    )
    found = as_mapping(compare([], [row("new", "Where?")], old, new))
    assert [(change["change"], change["clause"]) for change in found["facts"]["changes"]] == [
        ("changed", "1 Leave"),
        ("added", "1 Leave"),
    ]
    assert found["facts"]["changes"][0]["old"] == "Leave is given for ten days a year."
    assert found["rows"]["added"][0] == {
        "id": "new",
        "kind": "answerable",
        "form": "wh",
        "question": "Where?",
        "what": "added",
        "old_answer": None,
        "new_answer": "Ten days.",
    }

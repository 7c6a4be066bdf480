"""What is exported comes back row by row, in every format; the same rows give the same bytes."""

import csv
import hashlib
import json
from collections import Counter
from itertools import product
from pathlib import Path

import pytest

from app import main
from engine.errors import InvalidInput
from engine.exchange import FORMATS
from engine.exchange.exporting import export_version
from engine.exchange.importing import import_files
from engine.exchange.spreadsheet import guarded, unguarded
from engine.records import REFUSAL, DatasetVersion, Example, Fact, LedgerRow
from engine.store import Store
from engine.tasks.policy_qa import POLICY_QA

TEXTS = [
    "plain words here", 'he said "yes", twice', "two\nlines\r\nof text", "tabs\there; and, separators|too", "Überstunden – 12 Tage ✓ 猫",
    '=HYPERLINK("http://evil.example","x")', "+49 30 123456", "-1 day is taken off", "@all staff members", "\t=1+1 after a tab",
    "'=2+2 quoted by hand", "''quoted twice", "00123 is kept", "007", "1e5", "3-4", "2026-05-01", "TRUE", "  spaces around  ",
    'back\\slash and {"json": true}', "line\u2028separator and\u00a0space", "ends with a quote\"",
]  # fmt: skip


def version_of(store: Store, rows: list[LedgerRow]) -> DatasetVersion:
    begun = store.begin_dataset("tricky", task="policy_qa", documents=[], recipe={}, parent_id=None, now="1")
    store.add_facts(begun.id, [Fact("f0", "p0", "4 Leave › 4.1 Days", "number", "Twelve.", TEXTS[0])])
    store.add_rows(begun.id, rows)
    return store.finish_dataset(begun.id, now="2")


@pytest.fixture
def tricky(store) -> DatasetVersion:
    """Every text as a question and as an answer, a statement of each, refusals, three splits, and rows that were not kept."""
    rows = []
    for n, text in enumerate(TEXTS):
        split = "test" if n == 3 else "train"
        for m, question in enumerate((f"{text} (question {n})", f"Spelt otherwise: {n}, {text}")):
            here = "probe" if (n, m) == (5, 1) else split
            e = Example(f"e{n}-{m}", f"f{n}", "answerable", "wh", question, text, text, f"p{n}", "generated")
            rows.append(LedgerRow(e, "kept", "", here))
        if split == "train":
            said = Example(f"s{n}", f"f{n}", "statement", "statement", "", text, text, f"p{n}")
            rows.append(LedgerRow(said, "kept", "", "train"))
        no = Example(f"u{n}", f"none-{n}", "unanswerable", "near_miss", f"Nothing on {n}: {text}?", REFUSAL)
        rows.append(LedgerRow(no, "kept", "", split))
    rows.append(LedgerRow(Example("x", "f0", "answerable", "wh", "Lost?", "Yes."), "rejected", "malformed: no answer"))
    return version_of(store, rows)


def said(rows: list[LedgerRow]) -> list[tuple[str, str, str, str]]:
    return [(row.example.question, row.example.answer, row.example.kind, row.example.fact_id) for row in rows]


def suffix(format: str) -> str:
    return {"csv": ".csv", "hf": ""}.get(format, ".jsonl")


def bytes_of(path: Path) -> dict[str, str]:
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in files if f.is_file()}


@pytest.mark.parametrize("format", FORMATS)
def test_every_row_comes_back_with_its_kind_its_fact_and_its_side(store, tricky, tmp_path, format):
    out = tmp_path / f"rows{suffix(format)}"
    kept = store.rows(tricky.id, state="kept")
    fits = [row for row in kept if row.example.kind != "statement" or format in ("prompt", "hf", "csv")]

    done = export_version(store, tricky, out, task=POLICY_QA, format=format)
    back = import_files(store, "again", [out], task=POLICY_QA, now="3")

    assert (done.rows, done.left_out) == (len(fits), len(kept) - len(fits))
    assert back.refused == () and back.version.counts["proposed"] == back.version.counts["kept"] == len(fits)
    found = store.rows(back.version.id)
    assert sorted(said(found)) == sorted(said(fits))
    sides = {row.example.id: row.split for row in fits}
    assert {row.example.id: row.split for row in found} == sides
    assert {row.example.evidence for row in found} == {row.example.evidence for row in fits}
    assert {row.example.passage_id for row in found} == {row.example.passage_id for row in fits}
    assert all(row.example.origin.startswith(f"import:{out.name}:") for row in found)
    assert all(row.example.origin.endswith(" < generated") for row in found)
    assert [fact.clause for fact in store.facts(back.version.id) if fact.id == "f0"] == ["4 Leave › 4.1 Days"]


@pytest.mark.parametrize("format", FORMATS)
def test_the_sample_dataset_comes_back_whole(sample_store, tmp_path, format):
    version = sample_store.dataset("leave")
    out = tmp_path / f"rows{suffix(format)}"
    done = export_version(sample_store, version, out, task=POLICY_QA, format=format)
    back = import_files(sample_store, "again", [out], task=POLICY_QA, now="3")
    assert done.rows + done.left_out == version.counts["kept"] and done.rows > 2000
    assert back.refused == () and back.notes == ()
    kept = sample_store.rows(version.id, state="kept")
    carried = [row for row in kept if row.example.kind != "statement"] if done.left_out else kept
    found = sample_store.rows(back.version.id)
    assert sorted((*s, str(row.split)) for s, row in zip(said(found), found, strict=True)) == sorted(
        (*s, str(row.split)) for s, row in zip(said(carried), carried, strict=True)
    )


@pytest.mark.parametrize("format", FORMATS)
def test_the_same_rows_give_the_same_bytes(store, tricky, tmp_path, format):
    out = tmp_path / f"rows{suffix(format)}"
    seen = []
    for _ in range(2):
        for file in export_version(store, tricky, out, task=POLICY_QA, format=format).files:
            seen.append(bytes_of(file))
    half = len(seen) // 2
    assert seen[:half] == seen[half:] and seen[0]
    assert {path.name.split(".")[0] for path in tmp_path.iterdir()} == {
        "rows",
        "touchstone",
    }  # nothing half-made is left


def test_another_spelling_of_a_question_comes_back_too_and_a_votes_row_is_then_no_vote_of_this_workspace(
    store, tmp_path
):
    """`next_version` renews rows of form "vote" from the votes at hand; those of another workspace are not there."""
    asked = ["May I bring my parrot?", "may i bring my parrot"]
    rows = [
        LedgerRow(Example(f"v{n}", "b", "answerable", "vote", q, "No.", "", "", "vote:7"), "kept", "", "train")
        for n, q in enumerate(asked)
    ]
    version = version_of(store, rows)
    export_version(store, version, tmp_path / "v.jsonl", task=POLICY_QA, format="chat")
    lines = (tmp_path / "v.jsonl").read_text().splitlines()
    (tmp_path / "v.jsonl").write_text("\n".join([*lines, lines[0]]))
    back = import_files(store, "again", [tmp_path / "v.jsonl"], task=POLICY_QA, now="3")
    found = store.rows(back.version.id)
    assert [row.example.question for row in found if row.state == "kept"] == asked
    assert [(row.reason.split(":")[0], row.example.id) for row in found[2:]] == [("near-duplicate", "v0-3")]
    assert {row.example.form for row in found} == {"import"}
    assert found[0].example.origin == "import:v.jsonl:1 < vote:7"


def test_the_plain_export_comes_back_too_statements_among_the_chat(sample_store, tmp_path):
    workspace = tmp_path / "ws"
    workspace.mkdir()
    sample_store.path.rename(workspace / "touchstone.db")
    out = tmp_path / "plain.jsonl"
    assert main(["export", "--out", str(out), "--workspace", str(workspace)]) == 0
    assert main(["import", "--dataset", "again", str(out), "--workspace", str(workspace)]) == 0
    store = Store(workspace / "touchstone.db")
    before, after = (store.rows(store.dataset(name).id) for name in ("leave", "again"))
    assert sorted(said([row for row in before if row.state == "kept"])) == sorted(said(after))


def test_what_openai_gets_is_messages_and_nothing_else_and_the_lineage_lies_beside(store, tricky, tmp_path):
    out = tmp_path / "tune.jsonl"
    export_version(store, tricky, out, task=POLICY_QA, format="openai")
    lines = [json.loads(line) for line in out.read_text(encoding="utf-8").split("\n")[:-1]]
    assert all(list(line) == ["messages"] for line in lines)
    assert {tuple(turn["role"] for turn in line["messages"]) for line in lines} == {("system", "user", "assistant")}
    assert all(set(turn) == {"role", "content"} for line in lines for turn in line["messages"])
    lineage = [json.loads(line) for line in (tmp_path / "tune.lineage.jsonl").read_text().split("\n")[:-1]]
    assert [row["id"] for row in lineage] == [
        row.example.id for row in store.rows(tricky.id, state="kept") if row.example.kind != "statement"
    ]
    assert lineage[0] == {
        "id": "e0-0", "fact": "f0", "kind": "answerable", "form": "wh", "origin": "generated", "split": "train",
        "evidence": TEXTS[0], "clause": "4 Leave › 4.1 Days", "passage": "p0", "digest": lineage[0]["digest"],
    }  # fmt: skip


def test_openai_takes_no_fewer_than_ten_rows(store, tmp_path):
    rows = [
        LedgerRow(Example(f"e{n}", f"f{n}", "answerable", "wh", f"Q {n}?", f"A {n}"), "kept", "", "train")
        for n in range(9)
    ]
    version = version_of(store, rows)
    with pytest.raises(InvalidInput, match="OpenAI fine-tunes on 10 rows or more, and these are 9"):
        export_version(store, version, tmp_path / "o.jsonl", task=POLICY_QA, format="openai")
    assert not (tmp_path / "o.jsonl").exists()


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("part", ["train", "probe", "test"])
def test_one_split_alone_can_be_had(store, tricky, tmp_path, format, part):
    if format == "openai" and part != "train":
        return  # under ten rows
    out = tmp_path / f"rows{suffix(format)}"
    done = export_version(store, tricky, out, task=POLICY_QA, format=format, part=part)
    assert done.rows + done.left_out == tricky.counts[part] > 0


def test_a_table_holds_no_cell_that_a_spreadsheet_program_would_run_or_rewrite(store, tricky, tmp_path):
    out = tmp_path / "rows.csv"
    export_version(store, tricky, out, task=POLICY_QA, format="csv")
    assert out.read_bytes().startswith(b"\xef\xbb\xbf")  # without it Excel takes UTF-8 for the local code page
    with out.open(encoding="utf-8-sig", newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert [cell for cell in cells if cell[:1] in ("=", "+", "-", "@", "\t", "\r", "\n")] == []
    assert [cell for cell in cells if cell in ("007", "1e5", "3-4", "2026-05-01", "TRUE")] == []


def test_a_guarded_cell_is_always_restored():
    alphabet = ["'", "=", "+", "-", "@", "\t", "\n", "0", "1", "e", "x", "＝", " "]
    for size in range(5):
        for letters in product(alphabet, repeat=size):
            text = "".join(letters)
            assert unguarded(guarded(text)) == text
    assert (
        guarded("＝1") == "'＝1"
        and guarded("=1") == "'=1"
        and guarded("12") == "12"
        and guarded("Twelve days.") == "Twelve days."
    )


def test_a_split_without_rows_and_a_target_in_the_way_are_refused(store, tmp_path):
    row = LedgerRow(Example("e", "f", "answerable", "wh", "Is it so?", "Yes."), "kept", "", "train")
    version = version_of(store, [row])
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    for format, out, part, says in [
        ("chat", "a.jsonl", "test", 'no row in the split "test"'), ("hf", "folder", "test", 'no row in the split "test"'),
        ("chat", "none/a.jsonl", "all", "does not exist"), ("hf", "none/a", "all", "does not exist"),
        ("csv", "mine", "all", "is a folder"), ("hf", "mine", "all", "in the way"),
        ("openai", "a.lineage.jsonl", "all", "lineage"),
    ]:  # fmt: skip
        with pytest.raises(InvalidInput, match=says):
            export_version(store, version, tmp_path / out, task=POLICY_QA, format=format, part=part)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["letter.txt"]
    assert Counter(path.name for path in tmp_path.iterdir() if path.suffix != ".db")["a.jsonl"] == 0

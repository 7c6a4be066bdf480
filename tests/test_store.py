"""The SQLite file: what people said is never lost, changed or counted twice."""

import shutil
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import pytest

from engine.errors import InvalidInput, NotFound, Unavailable
from engine.migrations import migrations
from engine.records import Battle, Decoding, Example, Fact, Label, LedgerRow, Vote
from engine.store import Store

PROJECT = Path(__file__).resolve().parent.parent
DECODING = Decoding(max_tokens=7, temperature=0.3, seed=5)


def battle(name: str, **changes: str) -> Battle:
    given = Battle(
        name, "policy_qa", "closed", "How much?", "base", "tuned", "d1", "d2", DECODING, "2026-05-01T12:00:00"
    )
    return replace(given, **changes)


def row(name: str, *, state: str = "kept", reason: str = "", split: str | None = "train") -> LedgerRow:
    example = Example(name, "f1", "answerable", "wh", f"What is {name}?", "Twelve days.", "Twelve days.", "p1")
    return LedgerRow(example, state, reason, split)


def begun(store: Store, name: str = "leave") -> int:
    version = store.begin_dataset(
        name, task="policy_qa", documents=["d"], recipe={"seed": 3}, parent_id=None, now="2026"
    )
    return version.id


def open_plainly(store: Store) -> sqlite3.Connection:
    """Past the store's own methods, as another program would open the file."""
    connection = sqlite3.connect(store.path, isolation_level=None)
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


# Votes


def test_the_database_refuses_a_second_current_vote_of_a_rater_on_a_battle(store):
    store.add_battle(battle("one"))
    store.add_vote("one", rater="ann", choice="a", now="1")
    second = store.add_vote("one", rater="ann", choice="b", now="2")
    db = open_plainly(store)
    with pytest.raises(sqlite3.IntegrityError, match=r"UNIQUE.*current_votes"):
        db.execute("INSERT INTO current_votes VALUES ('one', 'ann', 1)")
    assert db.execute("SELECT vote_id FROM current_votes").fetchall() == [(second.id,)]


def test_a_change_of_mind_is_a_new_row_and_the_last_one_counts(store):
    store.add_battle(battle("one"))
    first = store.add_vote("one", rater="ann", choice="a", comment="short", now="1")
    last = store.add_vote("one", rater="ann", choice="both_bad", repair="Twelve days.", now="2")
    other = store.add_vote("one", rater="bob", choice="tie", now="3")

    assert store.vote_history("one") == [
        Vote(1, "one", "ann", "a", "1", "short", ""),
        Vote(2, "one", "ann", "both_bad", "2", "", "Twelve days."),
        Vote(3, "one", "bob", "tie", "3"),
    ]
    assert [first, last, other] == store.vote_history("one")
    assert store.votes() == [last, other]
    assert store.voted_battles() == [(battle("one"), last), (battle("one"), other)]


@pytest.mark.parametrize("table", ["votes", "labels"])
@pytest.mark.parametrize("change", ["UPDATE {} SET rater = 'eve'", "DELETE FROM {}"])
def test_what_people_said_is_append_only_whoever_opens_the_file(store, table, change):
    store.add_battle(battle("one"))
    store.add_vote("one", rater="ann", choice="a", now="1")
    store.add_label(Label(0, begun(store), "e1", "ann", "wrong", "1", "Ten days."))
    db = open_plainly(store)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        db.execute(change.format(table))
    assert db.execute(f"SELECT rater FROM {table}").fetchall() == [("ann",)]


def test_a_vote_on_no_battle_or_for_no_side_leaves_no_trace(store):
    store.add_battle(battle("one"))
    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
        store.add_vote("forged", rater="ann", choice="a", now="1")
    with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
        store.add_vote("one", rater="ann", choice="c", now="1")
    assert store.votes() == [] and store.vote_history("one") == store.vote_history("forged") == []


def test_twenty_raters_voting_at_once_lose_and_double_nothing(store):
    for number in range(10):
        store.add_battle(battle(f"b{number}"))
    together = Barrier(20)

    def vote_on_all(rater: int) -> list[int]:
        together.wait()
        return [store.add_vote(f"b{n}", rater=f"r{rater}", choice="a", now="1").id for n in range(10)]

    with ThreadPoolExecutor(20) as pool:
        ids = [vote_id for found in pool.map(vote_on_all, range(20)) for vote_id in found]

    assert sorted(ids) == list(range(1, 201))
    assert {(vote.battle_id, vote.rater) for vote in store.votes()} == {
        (f"b{n}", f"r{rater}") for n in range(10) for rater in range(20)
    }
    assert len(store.votes()) == 200


def test_one_rater_on_twenty_screens_ends_with_one_current_vote_and_a_full_record(store):
    store.add_battle(battle("one"))
    together = Barrier(20)

    def vote(number: int) -> Vote:
        together.wait()
        return store.add_vote("one", rater="ann", choice=("a", "b", "tie", "both_bad")[number % 4], now=str(number))

    with ThreadPoolExecutor(20) as pool:
        cast = list(pool.map(vote, range(20)))

    assert store.vote_history("one") == sorted(set(cast), key=lambda vote: vote.id)
    assert store.votes() == [max(cast, key=lambda vote: vote.id)]


# Reading and writing at once


def test_a_reader_neither_waits_for_a_writer_nor_makes_it_wait(store):
    store.add_battle(battle("one"))
    count = "SELECT count(*) FROM votes"
    with store.reading() as reader:
        reader.execute("BEGIN")
        assert reader.execute(count).fetchone() == (0,)
        with store.writing() as writer:
            writer.execute("INSERT INTO votes VALUES (1, 'one', 'ann', 'a', '', '', '1', '[]')")
            assert store.vote_history("one") == []  # not yet committed: others read past it
        assert reader.execute(count).fetchone() == (0,)  # the reader's own moment
        assert len(store.vote_history("one")) == 1


def test_a_transaction_that_breaks_off_leaves_nothing(store):
    with pytest.raises(ZeroDivisionError), store.writing() as db:
        db.execute("INSERT INTO battles (id, task, mode, question, model_a, model_b, digest_a, digest_b, decoding, created_at)"
                   " VALUES ('x', '', '', '', '', '', '', '', '{}', '')")  # fmt: skip
        assert db.execute("SELECT count(*) FROM battles").fetchone() == (1,)
        _ = 1 / 0
    assert store.battles() == []


# Dataset versions


def test_a_version_is_offered_only_once_it_is_finished(store):
    dataset_id = begun(store)
    store.add_rows(dataset_id, [row("e1")])
    assert store.datasets() == []
    with pytest.raises(NotFound, match=r'No dataset "leave"\. There is: none yet'):
        store.dataset("leave")

    finished = store.finish_dataset(dataset_id, now="2027")

    assert store.datasets() == [finished] == [store.dataset("leave")] == [store.dataset("leave:1")]


def test_a_finished_version_takes_neither_rows_nor_facts(store):
    dataset_id = begun(store)
    store.add_rows(dataset_id, [row("e1")])
    store.finish_dataset(dataset_id, now="2027")
    with pytest.raises(InvalidInput, match="never changed"):
        store.add_rows(dataset_id, [row("e2")])
    with pytest.raises(InvalidInput, match="never changed"):
        store.add_facts(dataset_id, [Fact("f", "p", "c", "rule", "s", "s")])
    assert store.rows(dataset_id) == [row("e1")] and store.facts(dataset_id) == []


@pytest.mark.parametrize(
    "statement",
    ["INSERT INTO examples SELECT dataset_id, 9, 'e9', fact_id, kind, form, question, answer, evidence, passage_id, origin,"
     " state, reason, split FROM examples", "UPDATE examples SET answer = 'x'", "DELETE FROM examples",
     "UPDATE facts SET statement = 'x'", "DELETE FROM facts",
     "INSERT INTO facts SELECT dataset_id, 'f9', '', '', '', '', '', '' FROM facts",
     "UPDATE datasets SET name = 'x'", "DELETE FROM datasets"],
)  # fmt: skip
def test_the_file_itself_refuses_to_change_a_finished_version(store, statement):
    dataset_id = begun(store)
    store.add_rows(dataset_id, [row("e1")])
    store.add_facts(dataset_id, [Fact("f", "p", "c", "rule", "s", "s")])
    store.finish_dataset(dataset_id, now="2027")
    with pytest.raises(sqlite3.IntegrityError, match="never"), store.writing() as db:
        db.execute("PRAGMA foreign_keys = OFF")
        db.execute(statement)
    assert store.rows(dataset_id) == [row("e1")] and len(store.facts(dataset_id)) == len(store.datasets()) == 1


def test_the_last_word_on_a_row_is_written_when_the_version_is_finished_and_not_later(store):
    dataset_id = begun(store)
    store.add_rows(dataset_id, [row("e1"), row("e2"), row("e3")])
    out, probe = row("e1", state="rejected", reason="too close", split=None), row("e3", split="probe")
    assert store.finish_dataset(dataset_id, revised=[out, probe], now="2027").counts["probe"] == 1
    assert store.finish_dataset(dataset_id, revised=[row("e1")], now="2028").counts["rejected"] == 1
    assert store.rows(dataset_id) == [out, row("e2"), probe]


def test_what_was_never_finished_can_be_taken_back_and_what_was_finished_cannot(store):
    kept, broken_off = begun(store), begun(store)
    store.add_rows(kept, [row("e1")])
    store.add_rows(broken_off, [row("e1")])
    store.add_facts(broken_off, [Fact("f", "p", "c", "rule", "s", "s")])
    finished = store.finish_dataset(kept, now="2027")
    assert [version.id for version in store.datasets(finished=False)] == [broken_off]
    store.discard_dataset(broken_off)
    assert store.datasets(finished=False) == [] and store.datasets() == [finished]
    assert store.rows(broken_off) == [] and store.facts(broken_off) == []
    with pytest.raises(InvalidInput, match="never changed"):
        store.discard_dataset(kept)


def test_rows_are_found_by_reason_clause_kind_and_words_and_counted_alike(store):
    dataset_id = begun(store)
    store.add_facts(dataset_id, [Fact("f2", "p", "4 Leave", "rule", "s", "s")])
    asked = replace(row("e1").example, question="How many Days?", fact_id="f2")
    store.add_rows(dataset_id, [LedgerRow(asked, "kept", "", "train"), row("e2")])
    store.add_rows(dataset_id, [row("r1", state="rejected", reason="too long", split=None)])
    for where, ids in [
        ({"reason": "too long"}, ["r1"]), ({"clause": "4 Leave"}, ["e1"]), ({"text": "many days"}, ["e1"]),
        ({"text": "100% _"}, []), ({"text": "how%days"}, []), ({"text": "_ow many"}, []), ({}, ["e1", "e2", "r1"]),
        ({"kind": "unanswerable"}, []), ({"state": "kept", "kind": "answerable"}, ["e1", "e2"]),
    ]:  # fmt: skip
        assert [found.example.id for found in store.rows(dataset_id, **where)] == ids
        assert store.count_rows(dataset_id, **where) == len(ids)
    assert store.row_ids(dataset_id) == ["e1", "e2", "r1"]
    assert store.row(dataset_id, "e1").example == asked
    with pytest.raises(NotFound, match="Row e3 is not in this dataset version"):
        store.row(dataset_id, "e3")
    assert store.balance(dataset_id) == {("answerable", "wh", "4 Leave"): 1, ("answerable", "wh", ""): 1}


@pytest.mark.parametrize(
    "bad",
    [row("e", split=None), row("e", state="rejected", reason="too long"), row("e", state="rejected", split=None),
     row("e", reason="but why"), row("e", split="dev"), row("e", state="lost", reason="x", split=None)],
)  # fmt: skip
def test_a_row_is_kept_with_a_split_or_left_out_with_a_reason_and_nothing_between(store, bad):
    dataset_id = begun(store)
    with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
        store.add_rows(dataset_id, [row("good"), bad])
    assert store.rows(dataset_id) == []


def test_counts_and_reasons_account_for_every_row(store):
    dataset_id = begun(store)
    refusal = replace(row("u1", split="test").example, kind="unanswerable")
    statement = replace(row("s1").example, kind="statement")
    store.add_rows(dataset_id, [row("e1"), row("e2", split="probe"), LedgerRow(refusal, "kept", "", "test")])
    store.add_rows(dataset_id, [LedgerRow(statement, "kept", "", "train")])
    store.add_rows(dataset_id, [row(f"r{n}", state="rejected", reason="too long", split=None) for n in range(2)])
    store.add_rows(dataset_id, [row("x", state="failed", reason="the teacher was silent", split=None)])

    assert store.finish_dataset(dataset_id, now="2027").counts == {
        "proposed": 7, "kept": 4, "rejected": 2, "failed": 1, "train": 2, "probe": 1, "test": 1,
        "answerable": 2, "unanswerable": 1, "statement": 1,
    }  # fmt: skip
    assert list(store.rejections(dataset_id).items()) == [("too long", 2), ("the teacher was silent", 1)]
    ids = [found.example.id for found in store.rows(dataset_id)]
    assert ids == ["e1", "e2", "u1", "s1", "r0", "r1", "x"]
    assert [r.example.id for r in store.rows(dataset_id, offset=2, limit=3)] == ["u1", "s1", "r0"]
    assert [r.example.id for r in store.rows(dataset_id, state="kept", split="train")] == ["e1", "s1"]


def test_versions_of_a_name_are_numbered_and_the_name_alone_means_the_newest(store):
    for name in ("leave", "travel", "leave"):
        store.finish_dataset(begun(store, name), now="2027")
    assert [version.title for version in store.datasets()] == ["leave:2", "travel:1", "leave:1"]
    assert store.dataset("leave").number == 2 and store.dataset("leave:1").number == 1
    with pytest.raises(NotFound, match="There is: leave:2, travel:1, leave:1"):
        store.dataset("leave:3")


def test_twelve_versions_begun_at_once_get_twelve_numbers(store):
    together = Barrier(12)

    def begin(_: int) -> int:
        together.wait()
        return store.dataset_by_id(begun(store)).number

    with ThreadPoolExecutor(12) as pool:
        assert sorted(pool.map(begin, range(12))) == list(range(1, 13))


# What comes back is what went in


def test_documents_facts_and_battles_come_back_as_they_went_in(store, document):
    store.add_document(document, now="1")
    assert store.document(document.id) == document and store.documents() == [document]
    assert store.passage(document.passages[7].id) == document.passages[7]
    with pytest.raises(NotFound, match="Load the file again"):
        store.document("0" * 16)

    facts = [
        Fact("f1", "p", "1 Leave › 1.1 Sick", "number", "12 days.", "12 days", "12 days"),
        Fact("f0", "p", "c", "rule", "s", "e"),
    ]
    dataset_id = begun(store)
    store.add_facts(dataset_id, facts)
    assert store.facts(dataset_id) == facts

    store.add_battle(battle("one"))
    assert store.battle("one") == battle("one") and store.battle("one").decoding == DECODING
    store.finish_battle("one", answer_a="A", answer_b="B", error="", now="2")
    store.finish_battle("one", answer_a="other", answer_b="other", error="late", now="3")
    assert store.battle("one") == battle("one", answer_a="A", answer_b="B", finished_at="2")


def test_loading_a_document_twice_changes_nothing(store, document):
    store.add_document(document, now="1")
    store.add_document(replace(document, name="copy.md"), now="2")
    assert store.documents() == [document]


def test_the_newest_label_of_each_rater_on_each_row_is_the_current_one(store):
    dataset_id, other = begun(store), begun(store, "other")
    said = [("e1", "ann", "wrong"), ("e1", "bob", "right"), ("e1", "ann", "unclear"), ("e2", "ann", "right")]
    for number, (example, rater, verdict) in enumerate(said):
        store.add_label(Label(99, dataset_id, example, rater, verdict, str(number)))
    store.add_label(Label(99, other, "e1", "bob", "wrong", "9"))
    found = [(label.id, label.example_id, label.rater, label.verdict) for label in store.labels(dataset_id)]
    assert found == [(2, "e1", "bob", "right"), (3, "e1", "ann", "unclear"), (4, "e2", "ann", "right")]


def test_reports_and_promotions_come_back_newest_first(store):
    for number in (1, 2):
        store.add_evaluation(task="t", questions="q.jsonl", models=["base"], report={"n": number}, now=str(number))
        store.add_promotion(task="t", action="promote", model=f"m{number}", digest="d", reason="", now=str(number))
    store.add_promotion(task="else", action="promote", model="m9", digest="d", reason="", now="9")
    assert [(found["report"], found["models"]) for found in store.evaluations()] == [
        ({"n": 2}, ["base"]),
        ({"n": 1}, ["base"]),
    ]
    assert [found["model"] for found in store.promotions("t")] == ["m2", "m1"]


# Old, damaged and full


def test_a_file_of_the_first_schema_keeps_every_row_and_learns_to_vote(tmp_path, document):
    old = Store(tmp_path / "old.db")
    with old.reading() as db:
        migrations.apply(db, stop_before="m002_battles_votes_labels")
    old.add_document(document, now="1")
    dataset_id = begun(old)
    old.add_rows(dataset_id, [row("e1")])
    with old.writing() as db:  # as a version was finished before its counts were kept with it
        db.execute("UPDATE datasets SET finished_at = '2' WHERE id = ?", [dataset_id])
    with pytest.raises(sqlite3.OperationalError, match="no such table: battles"):
        old.add_battle(battle("one"))

    old.migrate()
    old.migrate()

    old.add_battle(battle("one"))
    old.add_vote("one", rater="ann", choice="a", now="3")
    assert (
        old.documents() == [document]
        and old.dataset("leave:1").counts["train"] == 1
        and old.rows(dataset_id) == [row("e1")]
    )
    assert len(old.votes()) == 1


def test_twelve_first_openings_at_once_make_one_schema(tmp_path):
    together = Barrier(12)

    def open_first(_: int) -> None:
        together.wait()
        Store(tmp_path / "new.db").migrate()

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(open_first, range(12)))
    store = Store(tmp_path / "new.db")
    with store.reading() as db:
        assert [done.name for done in migrations.applied(db)] == [
            "m001_documents_and_datasets",
            "m002_battles_votes_labels",
            "m003_generation",
            "m004_verdicts",
            "m005_answers",
            "m006_tallies",
            "m007_labelling_desk",
            "m008_blind_battles",
        ]
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_file_that_is_no_database_is_named_and_left_as_it_is(tmp_path):
    path = tmp_path / "touchstone.db"
    path.write_bytes(b"these are my holiday photos" * 100)
    with pytest.raises(
        Unavailable, match=r"touchstone\.db is not a usable SQLite file .* Restore a copy or move it away"
    ):
        Store(path).migrate()
    assert path.read_bytes() == b"these are my holiday photos" * 100


def test_a_file_whose_pages_were_overwritten_is_named_when_they_are_read(store, document):
    store.add_document(document, now="1")
    with store.reading() as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = bytearray(store.path.read_bytes())
    data[3 * 4096 :] = b"\xa5" * (len(data) - 3 * 4096)
    store.path.write_bytes(data)
    with pytest.raises(Unavailable, match=r"not a usable SQLite file .*Restore a copy"):
        store.documents()


def test_a_folder_in_the_files_place_and_a_missing_folder_are_named(tmp_path):
    with pytest.raises(Unavailable, match="Check its folder"):
        Store(tmp_path).migrate()
    with pytest.raises(Unavailable, match=r"The folder .*nowhere cannot be opened \(No such file or directory\)"):
        Store(tmp_path / "nowhere" / "touchstone.db").migrate()


FILL_A_SMALL_DISK = """
mount -t tmpfs -o size=1m small "$1" && exec "$2" - "$1" <<'PYTHON'
import sys
from dataclasses import replace
from pathlib import Path
from engine.documents import read_bytes
from engine.errors import Unavailable
from engine.store import Store
disk = Path(sys.argv[1])
(disk / "filler").write_bytes(b"x" * 300_000)
store = Store(disk / "touchstone.db")
store.migrate()
text = read_bytes("p.md", b"# Policy\\n\\n" + b"Leave is granted on request. " * 300)
saved = []
for number in range(1000):
    try:
        store.add_document(replace(text, id=f"d{number:03}"), now=f"{number:03}")
        saved.append(f"d{number:03}")
    except Unavailable as problem:
        print(problem)
        break
assert 3 < len(saved) < 1000, len(saved)
(disk / "filler").unlink()
assert [document.id for document in store.documents()] == saved
assert all(document.text == text.text and document.passages for document in store.documents())
store.add_document(replace(text, id="later"), now="later")
assert len(store.documents()) == len(saved) + 1
PYTHON
"""


def may_mount() -> bool:
    unshare = shutil.which("unshare")
    return (
        bool(unshare)
        and subprocess.run([unshare, "-rm", "mount", "-t", "tmpfs", "trial", "/mnt"], capture_output=True).returncode
        == 0
    )


@pytest.mark.skipif(not may_mount(), reason="a disk of one MiB can be made only where user namespaces are allowed")
def test_a_full_disk_is_named_and_loses_nothing_that_was_saved(tmp_path):
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", FILL_A_SMALL_DISK, "sh", tmp_path, sys.executable],
        capture_output=True, text=True, cwd=PROJECT, env={"PYTHONPATH": str(PROJECT), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"The disk of {tmp_path}/touchstone.db is full. Free some space and try again.\n"


def test_what_only_the_whole_version_tells_is_added_to_its_recipe_once(store):
    version = store.begin_dataset("t", task="policy_qa", documents=[], recipe={"seed": 1}, parent_id=None, now="1")
    assert store.finish_dataset(version.id, noted={"leakage": 0}, now="2").recipe == {"seed": 1, "leakage": 0}
    assert store.finish_dataset(version.id, noted={"leakage": 9}, now="3").recipe == {"seed": 1, "leakage": 0}

"""Somebody's file: what is wrong with it is named, row by row, and the rest goes on."""

import csv
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import pytest

from app import main
from engine.errors import InvalidInput
from engine.exchange import sources
from engine.exchange.exporting import export_version
from engine.exchange.importing import Imported, import_files
from engine.records import REFUSAL, LedgerRow
from engine.splitting import split_of
from engine.tasks.policy_qa import POLICY_QA

CONVERSATIONS = Path(__file__).resolve().parents[2] / "shared" / "data" / "conversations"
GOOD = [(f"May I keep ant{n} bee{n} cat{n} dog{n}?", f"Keep the {n} of them.") for n in range(20, 40)]
"""Far enough from one another that none is held out because of another."""


def chat(*turns: tuple[str, object]) -> str:
    return json.dumps({"messages": [{"role": role, "content": content} for role, content in turns]})


def pair(question: str, answer: str) -> str:
    return json.dumps({"prompt": question, "completion": answer})


GOOD_CHAT = [chat(("user", question), ("assistant", answer)) for question, answer in GOOD]


@pytest.fixture
def took(store, tmp_path):
    """Import a file of these lines, or this text: the account and its ledger."""

    def take(content: Sequence[str] | bytes, name: str = "rows.jsonl", **options) -> tuple[Imported, list[LedgerRow]]:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else "\n".join(content).encode())
        done = import_files(store, "d", [path], task=POLICY_QA, now="1", **options)
        rows = store.rows(done.version.id)
        counts = done.version.counts
        assert counts["proposed"] == counts["kept"] + counts["rejected"] + counts["failed"] == len(rows)
        assert len(done.refused) == counts["rejected"] + counts["failed"]
        return done, rows

    return take


@pytest.mark.parametrize(
    ("line", "state", "says"),
    [
        (chat(("user", "How is that?")), "failed", "no assistant turn"),
        (chat(("system", "x"), ("assistant", "So.")), "failed", "no user turn"),
        (chat(("assistant", "How is that?"), ("user", "So.")), "failed", "roles swapped"),
        (chat(("user", "a"), ("assistant", "b"), ("user", "c")), "failed", "the user has the last word"),
        (chat(("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d")), "failed", "several questions"),
        (chat(("user", "a b"), ("assistant", "c"), ("system", "s")), "failed", "a system turn that is not the first"),
        (chat(("human", "a b"), ("assistant", "c")), "failed", 'unknown role "human"'),
        (chat(("user", "How is that?"), ("assistant", 12)), "failed", '"content" is a number instead of text'),
        (chat(("user", "How is that?"), ("assistant", None)), "failed", 'no "content"'),
        (chat(("user", "  "), ("assistant", "So.")), "failed", '"content" is empty'),
        (chat(("user", [{"type": "image_url"}]), ("assistant", "So.")), "failed", "something other than text"),
        ('{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "weight": 0}]}', "failed", "weight"),
        ('{"messages": "How?"}', "failed", '"messages" is a text instead of a list of turns'),
        ('{"messages": ["How?"]}', "failed", "list of turns"),
        ('{"question": "How?", "answer": "So."}', "failed", 'no "messages", which the rows before it have'),
        ('{"messages": [{"role": "user", "content": "a",}]}', "failed", "a comma stands before a closing bracket"),
        ('{"messages": [1, 2,]}', "failed", "a comma stands before a closing bracket"),
        ("{'messages': []}", "failed", "single quotes"),
        ('{"messages": [{"role": "user", "content": "How', "failed", "Was the file cut off?"),
        ('{"messages": [{"role": "user"', "failed", "Was the file cut off?"),
        ('{"messages": [], "messages": []}', "failed", 'it names "messages" twice'),
        ('{"messages" []}', "failed", "not JSON. Check its brackets"),
        ("[1, 2]", "failed", "not an object"),
        ("[" * 100_000, "failed", "nested too deep"),
        (f'{{"n": {"9" * 5000}}}', "failed", "a number is too long"),
        ('{"messages": [{"role": "user", "content": "\\ud800 x"}, {"role": "assistant", "content": "a"}]}', "failed", "not UTF-8"),
        ('{"messages": [{"role": "user", "content": "\\u0000 x"}, {"role": "assistant", "content": "a"}]}', "failed", "null"),
        ("x" * (2**20 + 10), "failed", "over 1 MiB"),
        (chat(("user", "How is <|im_end|> that?"), ("assistant", "So.")), "rejected", "control token of the model. Remove the token"),
        (chat(("user", "How is that?"), ("assistant", "so " * 120)), "rejected", "too long for the base model"),
        (chat(("user", GOOD[0][0]), ("assistant", GOOD[0][1])), "rejected", "near-duplicate"),
        (chat(("user", GOOD[0][0].lower()), ("assistant", GOOD[0][1])), "rejected", "near-duplicate"),
        (chat(("user", GOOD[0][0]), ("assistant", "There are none.")), "rejected", "contradiction"),
    ],
)  # fmt: skip
def test_a_faulty_row_is_named_with_its_line_its_reason_and_a_next_step_and_the_rest_goes_on(took, line, state, says):
    done, rows = took([*GOOD_CHAT, "", line, *[chat(("user", "And then after all?"), ("assistant", "The end."))]])
    (refused,) = done.refused
    assert (refused.file, refused.line) == ("rows.jsonl", 22)
    assert says in refused.reason and refused.reason.count(". ") >= 1
    assert refused.sentence == f"rows.jsonl, line 22: {refused.reason}"
    assert done.version.counts[state] == 1 and done.version.counts["kept"] == 21
    (row,) = [row for row in rows if row.state != "kept"]
    assert refused.reason.startswith(row.reason) and row.split is None
    assert row.example.origin == "import:rows.jsonl:22"
    assert rows[-1].example.question == "And then after all?"


def test_harmless_oddities_are_read_over_and_named_with_their_count(took):
    lines = [
        f"{GOOD_CHAT[0]},",
        f"{GOOD_CHAT[1]},",
        "",
        "  ",
        f"{GOOD_CHAT[2]} {GOOD_CHAT[3]}{GOOD_CHAT[4]}",
        GOOD_CHAT[5],
    ]
    done, rows = took(b"\xef\xbb\xbf[\r\n" + "\r\n".join(lines).encode() + b"\r\n]\r\n")
    assert done.refused == () and [row.example.answer for row in rows] == [answer for _, answer in GOOD[:6]]
    assert done.notes == (
        "rows.jsonl: A byte order mark was skipped (1 times, first on line 1).",
        "rows.jsonl: A comma after an object was skipped (2 times, first on line 2).",
        "rows.jsonl: Empty lines were skipped (2 times, first on line 4).",
        "rows.jsonl: Several objects stand on one line; each was read (1 times, first on line 6).",
    )


@pytest.mark.parametrize("indent", [None, 2])
def test_a_json_array_is_read_however_its_lines_break(took, indent):
    objects = [json.loads(line) for line in GOOD_CHAT]
    objects[3]["messages"][0]["content"] = 'Is a "}" or a \\ or a { of any harm?'
    done, rows = took(json.dumps([*objects[:5], 7, *objects[5:]], indent=indent).encode(), "rows.json")
    assert [row.example.question for row in rows if row.state == "kept"] == [
        o["messages"][0]["content"] for o in objects
    ]
    (refused,) = done.refused
    assert "not an object" in refused.reason
    assert refused.line == (1 if indent is None else 62)  # a bracket, and 12 lines an object


def test_an_array_that_is_cut_off_keeps_what_came_before(took):
    text = json.dumps([json.loads(line) for line in GOOD_CHAT], indent=1).encode()
    done, _ = took(text[: len(text) // 2 - 50], "rows.json")
    (refused,) = done.refused
    assert "Was the file cut off?" in refused.reason and done.version.counts["kept"] == 9
    done, _ = took(text[: text.rindex(b"}") + 1], "rows.json")
    assert done.refused == () and "The list is never closed" in done.notes[0]


def test_bytes_that_are_no_utf8_cost_their_row_only(took):
    done, _ = took("\n".join([*GOOD_CHAT, pair("x", "y")]).encode().replace(b"bee25", b"b\xe9e25") + b"\n")
    assert [(refused.line, refused.reason.split(".")[0]) for refused in done.refused] == [
        (6, "it holds bytes or escapes that are not UTF-8 text"), (21, 'no "messages", which the rows before it have'),
    ]  # fmt: skip


# Formats


def test_kinds_follow_from_the_answer_and_from_text_alone(took):
    lines = [pair(*GOOD[0]), pair("Is there a pony?", f"{REFUSAL} "), json.dumps({"text": "Ponies are not kept."})]
    lines += [pair(*found) for found in GOOD[1:]]
    _, rows = took(lines)
    assert [(row.example.kind, row.example.question, row.example.answer) for row in rows[:3]] == [
        ("answerable", *GOOD[0]), ("unanswerable", "Is there a pony?", REFUSAL), ("statement", "", "Ponies are not kept."),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("record", "question"),
    [
        ({"prompt": "{q}", "completion": "{a}"}, "{q}"),
        ({"question": "{q}", "answer": "{a}", "id": 7}, "{q}"),
        ({"prompt": "{q}", "response": "{a}"}, "{q}"),
        ({"instruction": "{q}", "input": "", "output": "{a}"}, "{q}"),
        ({"instruction": "{q}", "output": "{a}"}, "{q}"),
        ({"instruction": "Answer in one word.", "input": "{q}", "output": "{a}"}, "{q}"),
        ({"instruction": "Answer, {q}", "input": "Some text.", "output": "{a}"}, "Answer, {q}\n\nSome text."),
        ({"prompt": [{"role": "user", "content": "{q}"}], "completion": [{"role": "assistant", "content": "{a}"}]}, "{q}"),
        ({"messages": [{"role": "developer", "content": "s"}, {"role": "user", "content": [{"type": "text", "text": "{q}"}]},
                       {"role": "assistant", "content": "{a}"}]}, "{q}"),
    ],
)  # fmt: skip
def test_the_columns_of_other_tools_are_understood(took, record, question):
    def filled(found: object, q: str, a: str) -> object:
        if isinstance(found, str):
            return found.replace("{q}", q).replace("{a}", a)
        if isinstance(found, list):
            return [filled(part, q, a) for part in found]
        return {key: filled(part, q, a) for key, part in found.items()} if isinstance(found, dict) else found

    done, rows = took([json.dumps(filled(record, q, a)) for q, a in GOOD])
    assert done.refused == ()
    assert [(row.example.question, row.example.answer) for row in rows] == [
        (question.replace("{q}", q), a) for q, a in GOOD
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_table_is_read_whatever_separates_its_cells(took, tmp_path, delimiter):
    with (tmp_path / "in.csv").open("w", newline="") as file:
        table = csv.writer(file, delimiter=delimiter)
        table.writerows([["No", "Question", "Answer"], *[[n, q, a] for n, (q, a) in enumerate(GOOD)]])
    done, rows = took((tmp_path / "in.csv").read_bytes(), "rows.csv")
    assert [(row.example.question, row.example.answer) for row in rows] == GOOD
    assert any("semicolons" in note for note in done.notes) == (delimiter == ";")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('"How long is the stay?",Two days,more', "more cells than columns"),
        ("How long is the stay?", "fewer cells than columns"),
        ('"How "long" is the stay?",Two', "a quote stands inside a quoted cell"),
        ('"How long is the stay?,Two days', "a quote is opened and never closed"),
        ("How long is the stay?,", '"answer" is empty'),
        (",Two days", "no question"),
        ("How long is the stay?," + "x" * (2**20), "over 1 MiB"),
    ],
)
def test_a_faulty_row_of_a_table_costs_no_other(took, line, says):
    rows = [f"{q},{a}" for q, a in GOOD]
    done, _ = took(["question,answer", *rows[:10], line, *rows[10:]], "rows.csv")
    assert [refused.line for refused in done.refused] == [12] and says in done.refused[0].reason
    assert done.version.counts["kept"] == 20


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.csv", b"", "is empty"),
        ("a.csv", b"\n \n", "nothing but empty lines"),
        ("a.csv", b"question,answer\n", "holds no row"),
        ("a.csv", b"How long is leave?,Two days\nHow short?,One day\n", r'"How long is leave\?", "Two days"\. Wanted: .*prompt'),
        ("a.csv", b"Frage;Antwort\na;b\n", 'no columns that make a row: its first line holds "Frage", "Antwort"'),
        ("a.csv", b"question,answer,answer\na,b,c\n", 'two columns "answer"'),
        ("a.jsonl", b'{"conversations": []}\n', r'Seen: "conversations"\. Wanted: "messages"'),
        ("a.jsonl", b'{"messages": []}\n', r"None of the 1 rows is left to train on\. First: a\.jsonl, line 1"),
        ("a.xlsx", b"PK\x03\x04....", "Excel workbook"),
        ("a.parquet", b"PAR1....", "Parquet"),
        ("a.csv", "question,answer\na,b\n".encode("utf-16"), "UTF-16"),
        ("a.bin", bytes(range(256)), "UTF-16 or no text at all"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_table_of_rows_is_refused_in_a_sentence_and_nothing_is_made(store, took, name, content, says):
    with pytest.raises(InvalidInput, match=says):
        took(content, name)
    assert store.datasets() == []


def test_a_file_of_two_gigabytes_is_refused_before_it_is_read(store, tmp_path):
    huge = tmp_path / "huge.csv"
    with huge.open("wb") as file:
        file.write(b"question,answer\n")
        file.truncate(2 * 2**30)
    with pytest.raises(
        InvalidInput, match=r"huge\.csv has 2,048 MiB; an import takes 512 MiB and 200,000 rows\. Split it"
    ):
        import_files(store, "d", [huge], task=POLICY_QA, now="1")
    assert sources.MOST_ROWS == 200_000


def test_more_rows_than_an_import_takes_are_refused_and_nothing_is_made(store, took):
    with pytest.raises(InvalidInput, match=r"More than 19 rows, at rows\.jsonl\. Split them"):
        took(GOOD_CHAT, most_rows=19)
    assert store.datasets() == store.datasets(finished=False) == []
    assert took(GOOD_CHAT, most_rows=20)[0].version.counts["kept"] == 20


def test_a_folder_or_a_format_that_does_not_fit_is_refused(store, tmp_path):
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "a.txt").write_text("x")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "dataset_dict.json").write_text('{"splits": ["train"]}')
    (tmp_path / "a.jsonl").write_text(GOOD_CHAT[0])
    for name, format, says in [
        ("none.jsonl", None, "There is no file"), ("f", None, "no folder saved by `datasets`"), ("f", "csv", "is a folder"),
        ("a.jsonl", "hf", "is a file"), ("d", None, "cannot be read by `datasets`"), ("a.jsonl", "csv", "no columns"),
    ]:  # fmt: skip
        with pytest.raises(InvalidInput, match=says):
            import_files(store, "d", [tmp_path / name], task=POLICY_QA, format=format, now="1")


# Split


def test_rows_with_one_answer_stand_on_one_side_and_the_side_is_that_of_their_fact(took):
    lines = [
        pair(f"{word} {n} {n} zone?", f"Rule number {n}.")
        for n in range(200)
        for word in (f"alpha{n}", f"beta{n}", f"gamma{n}")
    ]
    _, rows = took(lines)
    sides, facts = defaultdict(set), defaultdict(set)
    for row in rows:
        assert row.state == "kept" or row.reason == "too close to a held-out question"
        sides[row.example.fact_id].add("test" if split_of(row.example.fact_id) == "test" else "train")
        if row.split:
            assert (row.split == "test") == (split_of(row.example.fact_id) == "test")
        facts[row.example.answer].add(row.example.fact_id)
    assert len(sides) == 200 and all(len(found) == 1 for found in (*sides.values(), *facts.values()))
    tested = sum(found == {"test"} for found in sides.values())
    assert 2 <= tested <= 22  # 5 % of 200, ± 4 standard deviations
    assert sum(row.split == "probe" for row in rows) > 20


def test_no_imported_training_row_is_a_near_copy_of_a_held_out_one(took):
    lines = [pair(f"May staff{n} of team{n} use{n} at{n} the {thing}?", f"{thing} for {n}")
             for n in range(60) for thing in ("car", "van", "bus", "lift", "gym")]  # fmt: skip
    done, rows = took(lines)
    train = [set(row.example.question.rstrip("?").lower().split()) for row in rows if row.split == "train"]
    held = [set(row.example.question.rstrip("?").lower().split()) for row in rows if row.split in ("probe", "test")]
    assert train and held and max(len(a & b) / len(a | b) for a in train for b in held) < 0.7
    assert {r.reason.split(".")[0] for r in done.refused} == {"too close to a held-out question"}


def test_a_fact_held_out_in_its_export_stays_held_out_whatever_the_file_says_of_single_rows(sample_store, tmp_path):
    version, out = sample_store.dataset("leave"), tmp_path / "o.jsonl"
    export_version(sample_store, version, out, task=POLICY_QA, format="chat")
    tested = [row.example for row in sample_store.rows(version.id, split="test") if row.example.kind == "answerable"]
    lines = [json.loads(line) for line in out.read_text(encoding="utf-8").split("\n")[:-1]]
    moved = [line for line in lines if line["lineage"]["id"] == tested[0].id]
    moved[0]["lineage"]["split"] = "train"
    extra = json.loads(json.dumps(moved[0]))
    extra["messages"][1]["content"] = "Zebra walrus quartz umbrella, what of them?"
    extra["lineage"] |= {"id": "new"}
    same_fact = [example for example in tested if example.fact_id == tested[0].fact_id]
    out.write_text("".join(json.dumps(line) + "\n" for line in [*lines, extra]), encoding="utf-8")
    done = import_files(sample_store, "again", [out], task=POLICY_QA, now="1")
    rows = [row for row in sample_store.rows(done.version.id) if row.example.fact_id == tested[0].fact_id]
    assert len(rows) == len(same_fact) + 1 and len(same_fact) >= 2
    assert {row.split for row in rows if row.state == "kept"} == {"test"}
    assert [bool(row.example.evidence) for row in rows] == [row.example.id != "new" for row in rows]
    assert done.notes == (
        f"1 of {len(lines) + 1} rows with lineage were edited since their export; they keep their fact, not their evidence.",
    )


# Labels


def test_spellings_of_a_label_are_counted_and_made_one_only_when_asked_to(took):
    labels = ["END"] * 30 + ["End"] * 12 + ["Continue"] * 20
    lines = [chat(("user", f"Line number {n} of them"), ("assistant", label)) for n, label in enumerate(labels)]
    done, rows = took(lines)
    assert done.notes == (
        'One answer is spelt in several ways: "End" 12 times, "END" 30 times; the most frequent is "END", and '
        "--normalise-labels writes all of them so.",
    )
    assert sum(row.example.answer == "End" for row in rows) == 12
    again, rows = took(lines, normalise_labels=True)
    assert sum(row.example.answer == "END" for row in rows) == 42 and "all are now written so" in again.notes[0]
    assert (
        len({row.example.fact_id for row in rows}) == 62
    )  # a label is no fact: half the file would be held out at once


def test_a_refusal_spelt_otherwise_is_named_and_normalised_to_the_refusal(took):
    lines = [pair(*found) for found in GOOD] + [
        pair(f"Is there a pony {n}?", REFUSAL.lower().rstrip(".")) for n in range(3)
    ]
    done, rows = took(lines)
    assert 'the refusal is "Not specified' in done.notes[0] and {row.example.kind for row in rows} == {"answerable"}
    _, rows = took(lines, normalise_labels=True)
    assert [row.example.answer for row in rows if row.example.kind == "unanswerable"] == [REFUSAL] * 3


def test_a_system_prompt_other_than_the_tasks_is_named_once_with_its_count(took):
    lines = [chat(("system", "You are a pirate."), ("user", q), ("assistant", a)) for q, a in GOOD[:15]]
    lines += [chat(("system", POLICY_QA.system), ("user", q), ("assistant", a)) for q, a in GOOD[15:]]
    done, _ = took(lines)
    assert done.notes[0].startswith('The system prompt "You are a pirate." (15 rows) is not this task\'s.')


@pytest.mark.skipif(not CONVERSATIONS.is_dir(), reason="../shared/data is absent")
def test_the_faults_of_a_real_file_are_named(store):
    paths = [CONVERSATIONS / f"exit_advisor_{name}.jsonl" for name in ("finetune", "test")]
    done = import_files(store, "exit", paths, task=POLICY_QA, now="1")
    notes = "\n".join(done.notes)
    assert 'The label "END"' not in notes and '"END" 4 times, "End" 15 times; the most frequent is "End"' in notes
    assert 'The label "End" (15 times) stands in the system prompt as "END"' in notes
    assert "(76 rows) is not this task's" in notes
    assert "user turns speak to" in notes and "were the roles swapped" in notes
    assert done.version.counts["proposed"] == 76 == done.version.counts["kept"] + len(done.refused)
    assert {refused.reason.split(":")[0] for refused in done.refused} == {"near-duplicate"}
    assert [refused.line for refused in done.refused[:3]] == [10, 12, 13]


# The command


def test_the_command_gives_the_account_and_the_same_as_json(tmp_path, capsys):
    (tmp_path / "in.jsonl").write_text("\n".join([*GOOD_CHAT, "{", chat(("user", "a b"))]))
    arguments = ["import", "--dataset", "d", str(tmp_path / "in.jsonl"), "--workspace", str(tmp_path / "ws")]
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert "d:1, from in.jsonl as chat: 22 rows proposed = 20 kept + 0 rejected + 2 failed" in said
    assert "no assistant turn, so no answer to learn. Add it, or leave the row out. in.jsonl, line 22" in said
    assert main([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["dataset"] == "d:2" and [row["line"] for row in found["refused"]] == [21, 22]
    assert main(["import", "--dataset", "d", str(tmp_path / "gone.csv"), "--workspace", str(tmp_path / "ws")]) == 2
    assert "There is no file" in capsys.readouterr().err

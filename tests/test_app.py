"""The command line: what is wrong is said in one sentence with exit status 2, and nothing half-made is left."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from app import main
from engine.samples import MARKDOWN, QUESTIONS
from tests.wire import serving

PROJECT = Path(__file__).resolve().parents[1]


@pytest.fixture
def run(tmp_path, capsys):
    """A command in a workspace of its own: (exit status, stdout, stderr)."""

    def call(*arguments: str) -> tuple[int, str, str]:
        status = main([*arguments, "--workspace", str(tmp_path / "ws")])
        out = capsys.readouterr()
        return status, out.out, out.err

    return call


def test_generate_accounts_for_every_row_and_prints_json_last(run):
    status, out, _ = run("generate", "--dataset", "leave", str(MARKDOWN), "--json")
    counts = json.loads(out.splitlines()[-1])["counts"]
    assert status == 0
    assert counts["proposed"] == counts["kept"] + counts["rejected"] + counts["failed"] > 1000
    assert counts["kept"] == counts["train"] + counts["probe"] + counts["test"]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("empty.pdf", b"", "empty"),
        ("letter.pdf", b"Dear all, this is plain text and no PDF.", "PDF"),
        ("picture.png", b"\x89PNG\r\n\x1a\n0000", "OCR"),
        ("noise.md", bytes(range(256)) * 8, "noise.md"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_the_reason(run, tmp_path, name, content, says):
    (tmp_path / name).write_bytes(content)
    status, _, err = run("generate", "--dataset", "x", str(tmp_path / name))
    assert status == 2
    assert name in err and says in err
    assert len(err.strip().splitlines()) == 1
    assert run("train", "--dataset", "x", "--adapter", "a")[2].startswith('No dataset "x"')


def test_personal_data_is_pointed_at_and_masked_when_asked(run, tmp_path):
    policy = "# Leave\n\nEmployees receive 25 days of leave a year. Write to jane@example.org within 5 days.\n"
    (tmp_path / "leave.md").write_text(policy * 3)
    command = ["generate", "--dataset", "x", str(tmp_path / "leave.md"), "--json"]
    status, out, _ = run(*command, "--mask")
    assert status == 0 and json.loads(out.splitlines()[-1])["notes"] == []
    assert run("export", "--what", "sft", "--out", str(tmp_path / "masked.jsonl"))[0] == 0
    assert "jane@example.org" not in (tmp_path / "masked.jsonl").read_text()
    status, out, err = run(*command)
    (note,) = json.loads(out.splitlines()[-1])["notes"]
    assert (
        note
        == "leave.md: 3 e-mail addresses found. Mask them (--mask, or the box on the page) if no model is to learn them."
    )
    assert note in err
    assert run("export", "--what", "sft", "--out", str(tmp_path / "plain.jsonl"))[0] == 0
    assert "jane@example.org" in (tmp_path / "plain.jsonl").read_text()


def test_one_bad_file_does_not_lose_the_good_ones(run, tmp_path):
    (tmp_path / "empty.pdf").write_bytes(b"")
    status, out, _ = run("generate", "--dataset", "x", str(tmp_path / "empty.pdf"), str(MARKDOWN), "--json")
    found = json.loads(out.splitlines()[-1])
    assert status == 0 and found["counts"]["kept"] > 0
    assert len(found["refused_files"]) == 1 and "empty.pdf" in found["refused_files"][0]


def test_a_document_without_facts_makes_no_dataset(run, tmp_path):
    (tmp_path / "title.md").write_text("# Title\n\nHello\n")
    status, _, err = run("generate", "--dataset", "x", str(tmp_path / "title.md"))
    assert status == 2 and "title.md" in err
    assert run("export", "--out", str(tmp_path / "o.jsonl"))[2].startswith("There is no dataset yet")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["train", "--dataset", "nothing", "--adapter", "a"], 'No dataset "nothing"'),
        (["answer", "--model", "ghost", "--in", str(QUESTIONS), "--out", "o.jsonl"], "ghost"),
        (["answer", "--model", "base", "--in", "absent.jsonl", "--out", "o.jsonl"], "absent.jsonl"),
        (["answer", "--model", "base", "--in", str(QUESTIONS), "--out", "no/such/folder/o.jsonl"], "no/such/folder"),
        (["evaluate", "--models", "base,base", "--questions", str(QUESTIONS)], "named twice"),
        (["evaluate", "--models", "base", "--questions", str(QUESTIONS), "--task", "email_intel"], "email_intel"),
        (["generate", "--dataset", "../x", str(MARKDOWN)], "cannot be a name"),
        (["next", "--dataset", "leave"], 'No dataset "leave"'),
        (["jobs", "show", "123"], "123"),
        (["jobs", "stop"], "Which job"),
        (["promote", "ghost"], "ghost"),
        (["rollback"], "nothing to roll back"),
        (["deploy", "ghost"], "ghost"),
        (["export", "--what", "raw", "--out", "o.jsonl"], "no vote yet"),
    ],
)
def test_a_wrong_input_is_one_sentence_and_exit_status_2(run, arguments, says):
    status, _, err = run(*arguments)
    assert status == 2
    assert says in err and "Traceback" not in err
    assert not (PROJECT / "o.jsonl").exists()


@pytest.fixture
def small_base(embedded, tmp_path):
    """Two random layers that read what the embedded model reads: its vocabulary, its chat format."""
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = tmp_path / "small"
    shutil.copytree(embedded.folder, folder, ignore=shutil.ignore_patterns("*.safetensors", "config.json"))
    vocabulary = json.loads((embedded.folder / "config.json").read_text())["vocab_size"]
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    LlamaForCausalLM(LlamaConfig(vocab_size=vocabulary, num_key_value_heads=1, **shape)).save_pretrained(folder)
    return folder


def test_a_grounded_training_reads_clauses_and_its_card_says_so(run, tmp_path, small_base):
    assert run("generate", "--dataset", "leave", str(MARKDOWN))[0] == 0
    options = ["--dataset", "leave", "--adapter", "reads", "--base", str(small_base), "--mode", "grounded"]
    status, _, err = run("train", *options, "--max-steps", "2")
    assert status == 0, err
    (file,) = (tmp_path / "ws" / "runs").glob("*/rows.jsonl")
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    reading = [row for row in rows if row["messages"][-1]["content"].startswith("[1] ")]
    assert len(reading) > 0.95 * len(rows) > 1000
    card = json.loads((tmp_path / "ws" / "adapters" / "reads" / "card.json").read_text())
    assert card["config"]["mode"] == "grounded" and card["steps"] == 2
    assert card["counts"]["rows"] == len(rows) and card["counts"]["statements"] == card["counts"]["left_out"] == 0


def test_next_without_votes_says_where_to_vote(run):
    assert run("generate", "--dataset", "leave", str(MARKDOWN))[0] == 0
    status, _, err = run("next", "--dataset", "leave")
    assert status == 2 and "Arena" in err


def test_a_question_file_with_a_bad_pattern_names_its_row(run, tmp_path):
    row = {"id": "r7", "question": "How long?", "kind": "answerable", "accept": ["(unclosed"]}
    (tmp_path / "q.jsonl").write_text(json.dumps(row) + "\n")
    status, _, err = run("evaluate", "--models", "base", "--questions", str(tmp_path / "q.jsonl"))
    assert status == 2 and "r7" in err and "(unclosed" in err


def test_an_evaluation_asks_what_a_dataset_holds_out_and_says_what_that_cannot_show(run, tmp_path):
    (tmp_path / "small.md").write_text(
        "# Leave\n\nEmployees receive 12 days of annual leave each year. Unused days expire on 31 March of the next year.\n\n"
        "# Sickness\n\nEmployees must tell the HR Manager within 2 hours. A note is required after 3 days of sickness.\n"
    )
    assert run("generate", "--dataset", "small", str(tmp_path / "small.md"))[0] == 0
    with serving(lambda body, number: f"Answer {number}.") as server:
        asked = [
            "evaluate",
            "--models",
            f"openai:m@{server.url}",
            "--dataset",
            "small",
            "--out",
            str(tmp_path / "r.json"),
        ]
        status, out, err = run(*asked)
        assert status == 0, err
        first = (tmp_path / "r.json").read_text()
        rows = len(server.heard)
        assert json.loads(first)["questions"] == "held-out rows of small:1" and 0 < rows < 20
        assert f"{rows} questions cannot decide much" in out
        assert run(*asked)[0] == 0 and len(server.heard) == rows
        assert (tmp_path / "r.json").read_text() == first
        assert run(*asked, "--anew")[0] == 0 and len(server.heard) == 2 * rows
        assert (tmp_path / "r.json").read_text() != first
    with pytest.raises(SystemExit):
        run("evaluate", "--models", "base")


def test_a_workspace_that_cannot_be_written_is_refused(tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    assert main(["leaderboard", "--workspace", str(tmp_path / "file")]) == 2
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize("before", [True, False])
def test_the_workspace_may_be_named_before_or_after_the_command(tmp_path, capsys, before):
    named = ["--workspace", str(tmp_path / "mine"), "--json"]
    assert main([*named, "leaderboard"] if before else ["leaderboard", *named]) == 0
    assert (tmp_path / "mine" / "touchstone.db").exists() and capsys.readouterr().out.strip().startswith("{")


def test_a_machine_that_is_set_up_is_not_kept_waiting_for_a_workspace(tmp_path, capsys, embedded):
    assert main(["setup", "--json", "--workspace", str(tmp_path / "ws")]) == 0
    assert capsys.readouterr().out.strip().startswith('{"models"') and not (tmp_path / "ws").exists()


def test_leaderboard_and_jobs_of_an_empty_workspace_name_the_next_step(run):
    status, out, _ = run("leaderboard")
    assert status == 0 and "Arena" in out
    status, out, _ = run("jobs")
    assert status == 0 and "app.py train" in out


def test_our_own_bug_keeps_its_traceback_and_exit_status_1(tmp_path):
    """A workspace path with a null byte is refused nowhere on purpose: what Python says of it must not be hidden."""
    script = "import sys; sys.argv=['app.py']; from app import main; main(['leaderboard','--workspace','a\\0b'])"
    done = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "Traceback" in done.stderr


def test_start_up_loads_no_torch(tmp_path):
    script = (
        "import sys; from app import main; main(['leaderboard']); import ui.commands, engine.workspace;"
        "print([name for name in ('torch', 'transformers', 'peft') if name in sys.modules])"
    )
    environ = {**os.environ, "TOUCHSTONE_WORKSPACE": str(tmp_path / "ws")}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT, env=environ, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"

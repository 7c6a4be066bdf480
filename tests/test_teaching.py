"""A whole generation with a teacher and a judge: in this process, broken off, and as a command against a server on loopback."""

import json
import os
import random
import sqlite3
from dataclasses import replace

import pytest

import app
from engine.backends.openai_compatible import OpenAIModel
from engine.calls import StoredCalls
from engine.documents import read_bytes
from engine.errors import NotFound, Unavailable
from engine.facts import facts_of
from engine.generation import GenerationConfig, begin_version, fill_version, make_version
from engine.judging import Bench, Exam, Verdict, sources_in
from engine.records import REFUSAL, Call
from engine.settings import Settings
from engine.tasks.policy_qa import POLICY_QA
from engine.teacher import Teacher, TeacherSettings
from engine.teaching import bench_of, estimate_of, generator_of
from engine.workspace import Workspace
from tests.test_teacher import FACTS, POLICY, good
from tests.wire import serving, settled

DOCUMENT = read_bytes("manual.md", POLICY)
CONFIG = GenerationConfig("manual", (DOCUMENT.id,))


def rows_in(store, version) -> list[tuple[str, str, str, str]]:
    return [(row.example.id, row.example.question, row.state, row.reason) for row in store.rows(version.id)]


def teacher_at(server, store, run="") -> Teacher:
    model = OpenAIModel("big", server.url, timeout_s=5, wait=lambda seconds: None)
    made = Teacher(model, StoredCalls(store, lambda: "now"), TeacherSettings(workers=2, run=run))
    made.caller.wait = lambda seconds: None
    return made


def begun(store, teacher):
    return begin_version(store, [DOCUMENT], CONFIG, generator=teacher.name, now="1")


@pytest.fixture
def workspace(tmp_path):
    """A workspace of its own, the models where set-up put them."""
    opened = Workspace.open(replace(Settings.read(), workspace=tmp_path / "w"))
    opened.add_bytes("manual.md", POLICY)
    yield opened
    opened.close()


def test_a_call_is_kept_in_the_file_and_never_overwritten(store):
    kept = StoredCalls(store, lambda: "2026-05-01")
    assert kept.get("d") is None
    kept.put(Call("d", "m", "p", "first", 7, 9))
    kept.put(Call("d", "m", "p", "second", 0, 0))
    assert kept.get("d") == Call("d", "m", "p", "first", 7, 9)


def test_a_version_names_its_teacher_and_how_well_it_kept_to_the_schema(store):
    def once_prose(body, number):
        return "Sure! Here you go." if "The Keyholder" in body["messages"][1]["content"] else good(body, number)

    with serving(once_prose) as server:
        version = make_version(
            store, "manual", [DOCUMENT], task=POLICY_QA, now="1", generator=teacher_at(server, store, run="manual:1")
        )
    said = version.recipe["teacher"]
    assert said["model"] == f"openai:big@{server.url}" and (said["calls"], said["valid"]) == (4, 3)
    counts = version.counts
    assert counts["failed"] == 1 and counts["proposed"] == counts["kept"] + counts["rejected"] + counts["failed"]
    (failed,) = store.rows(version.id, state="failed")
    assert "prose instead of JSON" in failed.reason and failed.example.fact_id == FACTS[-1].id


def test_a_teacher_that_dies_in_the_middle_is_resumed_into_the_same_version_and_paid_once(store, tmp_path):
    with serving(good) as server:
        whole = make_version(store, "whole", [DOCUMENT], task=POLICY_QA, now="1", generator=teacher_at(server, store))
        needed = len(server.heard)
    for alive in range(1, needed):
        with serving(lambda body, number, alive=alive: good(body, number) if number < alive else (503, {})) as server:
            server.healthy = False
            one = teacher_at(server, store, run="x")
            version = begun(store, one)
            with pytest.raises(Unavailable, match="resume"):
                fill_version(store, version, [DOCUMENT], one, now=lambda: "2")
            settled()
            server.script, before = good, len(server.heard)
            finished = fill_version(store, version, [DOCUMENT], teacher_at(server, store, run="x"), now=lambda: "3")
            assert len(server.heard) - before == needed - alive
        assert rows_in(store, finished) == rows_in(store, whole)


class Doubting:
    """Doubts every question of the form it is told."""

    name = "doubting"

    def verdicts(self, cases):
        for case in cases:
            doubted = case.question.startswith("I am new") and case.answer != REFUSAL
            yield Verdict(not doubted, "it says nothing of being new")


@pytest.mark.parametrize(("caught", "gates"), [(95, True), (94, False)])
def test_a_judge_drops_rows_only_when_it_passed_and_the_recipe_says_what_it_thought(store, caught, gates):
    bench = Bench(Doubting(), Exam("doubting", caught, 100, 5, 100, 0), sources_in([DOCUMENT]))
    with serving(good) as server:
        version = make_version(
            store, "manual", [DOCUMENT], task=POLICY_QA, now="1", generator=teacher_at(server, store), bench=bench
        )
    answered = [row for row in store.rows(version.id) if row.example.kind == "answerable"]
    doubted = [row for row in answered if row.example.question.startswith("I am new")]
    judged = [row for row in doubted if row.reason == "judged unfaithful: it says nothing of being new"]
    assert len(doubted) == len(FACTS) and len(judged) == (len(doubted) if gates else 0)
    said = version.recipe["judge"]
    assert said["may_gate"] is gates and said["caught"] == caught and said["rows"]["doubted"] == len(doubted)


def test_names_of_models_become_a_generator_an_estimate_and_a_bench(workspace):
    documents = workspace.store.documents()
    assert generator_of(workspace, CONFIG).name.startswith("embedded rules")
    assert bench_of(workspace, CONFIG, documents) is None

    def both(body, number):
        return (
            good(body, number) if "EXCERPT" in body["messages"][1]["content"] else '{"reason": "ok", "faithful": true}'
        )

    with serving(both) as server:
        config = replace(CONFIG, teacher=f"openai:big@{server.url}", judge=f"openai:big@{server.url}")
        assert generator_of(workspace, config).name == f"teacher openai:big@{server.url}"
        assert estimate_of(workspace, config, documents, prices=(1, 1)).kept == 2
        seen: list[tuple[str, int, int]] = []
        bench = bench_of(workspace, config, documents, watch=lambda *what: seen.append(what))
        assert not bench.exam.passed and bench.exam.caught == 0
        assert seen[-1][0] == "Examining the judge" and seen[-1][1] == seen[-1][2] > 50


def test_the_command_says_the_price_first_then_makes_the_version_and_reports_teacher_and_judge(tmp_path, capsys):
    def both(body, number):
        if "EXCERPT" in body["messages"][1]["content"]:
            return good(body, number)
        return json.dumps({"reason": "as it says", "faithful": True})

    path = tmp_path / "manual.md"
    path.write_bytes(POLICY)
    with serving(both) as server:
        name = f"openai:big@{server.url}"
        arguments = [
            "generate",
            str(path),
            "--dataset",
            "manual",
            "--teacher",
            name,
            "--judge",
            name,
            "--price-in",
            "2",
        ]
        assert app.main([*arguments, "--workspace", str(tmp_path / "w"), "--json"]) == 0
        out, err = capsys.readouterr()
        asked = [body for body in server.heard if "EXCERPT" in body["messages"][1]["content"]]
        assert len(asked) == 4, "two for the estimate, and those are kept"
    assert err.index("currency of your prices") < err.index("Generating manual:1")
    result = json.loads(out.splitlines()[-1])
    assert result["teacher"]["valid"] == result["teacher"]["calls"] == 4
    assert result["judge"]["may_gate"] is False and "only advises" in err
    assert result["counts"]["failed"] == 0 and result["counts"]["kept"] > 10


def test_the_command_with_a_teacher_that_is_not_there_says_so_and_begins_nothing(tmp_path, capsys):
    path = tmp_path / "manual.md"
    path.write_bytes(POLICY)
    where = str(tmp_path / "w")
    arguments = ["generate", "--dataset", "manual", "--teacher", "ollama:none", str(path)]
    before = os.environ.get("OLLAMA_HOST")
    os.environ["OLLAMA_HOST"] = "127.0.0.1:9"
    try:
        assert app.main([*arguments, "--workspace", where]) == 2
    finally:
        os.environ.pop("OLLAMA_HOST")
        if before is not None:
            os.environ["OLLAMA_HOST"] = before
    assert "Ollama is not running" in capsys.readouterr().err
    opened = Workspace.open(replace(Settings.read(), workspace=tmp_path / "w"))
    assert opened.store.datasets() == [] and opened.jobs() == []
    opened.close()


def calls_in(workspace) -> int:
    with sqlite3.connect(workspace.store.path) as file:
        return int(file.execute("SELECT count(*) FROM teacher_calls").fetchone()[0])


def test_the_question_writer_that_ships_writes_of_each_fact_and_is_asked_nothing_twice(workspace):
    documents = workspace.store.documents()
    config = GenerationConfig("manual", (documents[0].id,), teacher="writer")
    generator = generator_of(workspace, config)
    facts = facts_of(documents)[:4]

    def written():
        found = [proposal.example for proposal in generator.propose(documents, facts, rng=random.Random(0))]
        return [(row.fact_id, row.kind, row.question, row.answer) for row in found if "written" in row.form]

    first = written()
    calls = calls_in(workspace)
    assert calls > len(facts) * 9
    statements = {fact.id: fact.statement for fact in facts}
    answered = [row for row in first if row[1] == "answerable"]
    assert len(answered) >= len(facts)
    assert all(answer.removeprefix("Yes. ").removeprefix("No. ") == statements[fact] for fact, _, _, answer in answered)
    assert all(answer == REFUSAL for _, kind, _, answer in first if kind == "unanswerable")
    assert written() == first
    assert calls_in(workspace) == calls


def test_a_question_writer_that_is_not_built_is_one_sentence_with_the_next_step(tmp_path, monkeypatch):
    monkeypatch.setattr("engine.writing.READER_ADAPTER", tmp_path / "reader.gguf")
    workspace = Workspace.open(Settings.read(workspace=str(tmp_path / "ws")))
    try:
        with pytest.raises(NotFound, match="adapters are not built here"):
            generator_of(workspace, GenerationConfig("d", (), teacher="writer"))
    finally:
        workspace.close()

"""Documents to a dataset through the page: what was read, what was kept, and the words each row rests on."""

import json
import zipfile
from pathlib import Path

import pytest
from gradio_client import handle_file
from gradio_client.exceptions import AppError

from engine import battles, exchange
from engine.generation import GenerationConfig, make_version
from engine.records import Job
from engine.tasks.policy_qa import POLICY_QA
from tests.page import POLICY, add_policy, made, stand_in_workspace, visiting
from ui.bars import funnel
from ui.dataset import summary, who_helped
from ui.dataset_exchange import FORMATS, SUFFIX, exports, file_of
from ui.dataset_making import in_words, unfinished
from ui.dataset_row import evidence_of, picture_of


@pytest.fixture
def workspace(tmp_path):
    return stand_in_workspace(tmp_path / "workspace")


@pytest.fixture
def client(workspace):
    with visiting(workspace) as client:
        yield client


def upload(folder: Path, name: str, content: bytes):
    path = folder / name
    path.write_bytes(content)
    return handle_file(path)


def test_one_bad_file_does_not_lose_the_good_one_and_is_named_with_its_reason(client, workspace, tmp_path):
    files = [upload(tmp_path, "leave.md", POLICY.encode()), upload(tmp_path, "broken.pdf", b"this is no PDF")]
    said = client.predict(files, "leave", api_name="/generate")[0]
    first, *left_out = said["value"].splitlines()
    assert first == "Generating leave:1 has begun, from leave.md."
    assert len(left_out) == 1 and left_out[0].startswith("Left out: broken.pdf")
    assert made(workspace).state == "done"
    (version,) = workspace.store.datasets()
    counts = version.counts
    assert summary(version).startswith(f"leave:1: {counts['proposed']} rows proposed = {counts['kept']} kept")
    assert counts["proposed"] == counts["kept"] + counts["rejected"] + counts["failed"] > 100


def test_a_second_start_while_one_works_is_one_sentence_and_leaves_nothing(client, workspace, tmp_path):
    workspace.generate([document := workspace.add_sample()], GenerationConfig("leave", (document.id,)))
    with pytest.raises(AppError, match="Generating leave:1 is running"):
        client.predict([upload(tmp_path, "leave.md", POLICY.encode())], "other", api_name="/generate")
    assert [version.name for version in workspace.store.datasets(finished=False)] == ["leave"]
    made(workspace)


def test_a_generation_is_stopped_resumed_and_discarded_from_the_page_and_its_funnel_is_counted_live(client, workspace):
    job = workspace.generate([document := workspace.add_sample()], GenerationConfig("leave", (document.id,)))
    (version,) = workspace.store.datasets(finished=False)
    with pytest.raises(AppError, match="still running"):
        client.predict(job.id, api_name="/discard_generation")
    client.predict(job.id, api_name="/stop_generation")
    assert made(workspace).state == "stopped"
    so_far = workspace.store.dataset_by_id(version.id)
    assert f"<span>{so_far.counts['proposed']:,}</span>" in funnel(so_far, {}, about=7000)
    client.predict(job.id, api_name="/resume_generation")
    client.predict(job.id, api_name="/stop_generation")
    assert made(workspace).state == "stopped"
    assert workspace.store.dataset_by_id(version.id).counts["proposed"] >= so_far.counts["proposed"]
    assert [other.id for other in unfinished(workspace)] == [job.id]
    client.predict(job.id, api_name="/discard_generation")
    assert unfinished(workspace) == [] and workspace.store.datasets(finished=False) == []
    assert workspace.store.count_rows(version.id) == 0 and not Path(job.folder).exists()


@pytest.mark.parametrize(
    ("state", "progress", "says"),
    [
        (
            "running",
            {"step": 1200, "steps": 7125, "rows_per_s": 454.2, "eta_s": 13.1},
            "Generating leave:1: 1,200 of about 7,125 rows, 454 rows/s, about 13 s left",
        ),
        ("running", {"step": 1, "steps": 9, "eta_s": 600}, "Generating leave:1: 1 of about 9 rows, about 10 min left"),
        ("running", {"message": "Starting."}, "Generating leave:1. Starting."),
        ("stopped", {"message": "Stopped as asked."}, "Generating leave:1: stopped. Stopped as asked."),
        (
            "died",
            {},
            "Generating leave:1: its process is gone without a last word. Resume it: no row comes twice, none is missing.",
        ),
    ],
)
def test_a_generation_is_told_in_one_line(state, progress, says):
    assert in_words(Job("1", "generation", "Generating leave:1", state, "", "2026-05-01", 1, progress)) == says


def test_a_zip_of_policies_is_read_like_the_files_in_it(client, workspace, tmp_path):
    with zipfile.ZipFile(tmp_path / "policies.zip", "w") as archive:
        archive.writestr("hr/leave.md", POLICY)
        archive.writestr("hr/logo.png", b"\x89PNG")
    said = client.predict([handle_file(tmp_path / "policies.zip")], "leave", api_name="/generate")[0]
    assert [document.name for document in workspace.store.documents()] == ["leave.md"]
    assert said["value"].splitlines()[1].startswith("Left out: policies.zip: logo.png is a picture")
    made(workspace)


def test_personal_data_is_told_and_masked_where_wanted(client, workspace, tmp_path):
    policy = POLICY.encode() + b"\nWrite to ann.example@example.org before you travel.\n"
    told = client.predict([upload(tmp_path, "leave.md", policy)], "leave", api_name="/generate")[0]["value"]
    assert "Note: leave.md: 1 e-mail address found" in told
    made(workspace)
    masked = client.predict([upload(tmp_path, "leave.md", policy)], "masked", True, api_name="/generate")[0]["value"]
    assert "e-mail address" not in masked
    made(workspace)
    texts = {version.name: "".join(workspace.store.document(d).text for d in version.documents)
             for version in workspace.store.datasets()}  # fmt: skip
    assert "ann.example@" in texts["leave"] and "ann.example@" not in texts["masked"]


def test_a_teacher_or_judge_nobody_knows_is_one_sentence_before_anything_is_read(client, workspace, tmp_path):
    file = upload(tmp_path, "leave.md", POLICY.encode())
    for names in (("nobody-knows-me", ""), ("", "nobody-knows-me")):
        with pytest.raises(AppError, match="nobody-knows-me"):
            client.predict([file], "leave", False, *names, api_name="/generate")
    with pytest.raises(AppError, match="Choose a teacher first"):
        client.predict([file], False, "", api_name="/estimate")
    assert workspace.store.documents() == [] and workspace.jobs() == []


def test_who_helped_is_told_with_the_judges_exam():
    judge = {"judge": "m", "caught": 90, "planted": 100, "wrongly_rejected": 2, "good": 100, "may_gate": False,
             "rows": {"judged": 50, "doubted": 4}}  # fmt: skip
    (written, said) = who_helped({"generator": "rules", "judge": judge})
    assert written == "Written by rules." and said == (
        "Judge m: caught 90 of 100 planted errors, rejected 2 of 100 good rows; so it only advises. "
        "Of 50 rows it read it doubts 4."
    )


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("empty.txt", b"", "empty.txt"),
        ("broken.pdf", b"no PDF", "broken.pdf"),
        ("photo.md", b"\x89PNG\r\n\x1a\n\0\0", "photo.md"),
    ],
)
def test_a_bad_file_alone_is_one_sentence_and_leaves_no_dataset(client, workspace, tmp_path, name, content, says):
    with pytest.raises(AppError, match=says):
        client.predict([upload(tmp_path, name, content)], "leave", api_name="/generate")
    assert workspace.store.datasets() == [] and workspace.jobs() == []


def test_generating_without_a_file_or_a_name_says_what_to_do(client, tmp_path):
    with pytest.raises(AppError, match="Drop one or more files"):
        client.predict([], "leave", api_name="/generate")
    with pytest.raises(AppError, match="cannot be a name"):
        client.predict([upload(tmp_path, "leave.md", POLICY.encode())], "../leave", api_name="/generate")


def test_the_next_version_says_which_votes_came_in(client, workspace):
    add_policy(workspace)
    models = (workspace.model("base"), workspace.model("tuned"))
    with pytest.raises(AppError, match="Vote in the Arena first"):
        client.predict("leave:1", api_name="/next_version")
    battle = battles.open_battle(
        workspace.store, POLICY_QA, "Do I get a bicycle?", models, rng=workspace.rng, now=workspace.now()
    )
    list(battles.play(workspace.store, battle, models, POLICY_QA, now=workspace.now()))
    battles.vote(workspace.store, battle.id, rater="Ann", choice="a", now=workspace.now())
    said = client.predict("leave:1", api_name="/next_version")["value"]
    assert said.splitlines()[1:] == ["Vote 1 by Ann: A is better, on “Do I get a bicycle?”"]
    newest = workspace.store.datasets()[0]
    assert newest.title == "leave:2" and newest.recipe["votes"] == [1]


def test_the_download_holds_every_kept_row_with_its_lineage(client, workspace):
    version = add_policy(workspace)
    lines = Path(client.predict("leave:1", "rows", "all", api_name="/export")).read_text().splitlines()
    assert len(lines) == version.counts["kept"]
    assert {"id", "fact", "origin", "split"} <= set(json.loads(lines[0])["lineage"])


def test_every_format_is_offered_and_written_once_as_one_file(workspace):
    assert tuple(FORMATS) == ("rows", *exchange.FORMATS) and set(SUFFIX) == set(FORMATS)
    add_policy(workspace)
    for wanted in FORMATS:
        path = file_of(workspace, "leave:1", wanted, "train")
        assert path.is_file() and path.is_relative_to(exports(workspace))
        assert (path.suffix == ".zip") == (wanted in ("alpaca", "openai", "hf"))
        before = path.stat().st_mtime_ns
        assert file_of(workspace, "leave:1", wanted, "train").stat().st_mtime_ns == before
    with zipfile.ZipFile(file_of(workspace, "leave:1", "alpaca", "train")) as archive:
        assert sorted(archive.namelist()) == ["leave-1.jsonl", "leave-1.lineage.jsonl"]


def test_what_was_handed_out_is_taken_in_again_and_each_refused_line_is_named(client, workspace, tmp_path):
    version = add_policy(workspace)
    lines = file_of(workspace, "leave:1", "chat", "all").read_bytes() + b"this is no JSON\n"
    said = client.predict([upload(tmp_path, "rows.jsonl", lines)], "again", api_name="/import")[0]["value"]
    imported = workspace.store.dataset("again:1")
    asked = version.counts["kept"] - version.counts["statement"]
    assert imported.counts["proposed"] == asked + 1 and imported.counts["failed"] == 1
    first, *rest = said.splitlines()
    assert first.startswith("again:1, from rows.jsonl as chat: ") and any(f"line {asked + 1}" in line for line in rest)
    with pytest.raises(AppError, match="No file was chosen"):
        client.predict([], "again", api_name="/import")


def test_a_row_stands_beside_its_printed_page_and_only_where_there_is_one(workspace):
    document = workspace.add_sample()
    version = make_version(workspace.store, "leave", [document], task=POLICY_QA, now=workspace.now())
    row = workspace.store.rows(version.id, kind="answerable", limit=1)[0]
    shown = picture_of(workspace, version.id, row.example.id)
    assert shown["visible"] and min(shown["value"].size) > 300
    none = workspace.store.rows(version.id, kind="unanswerable", limit=1)[0]
    assert not picture_of(workspace, version.id, none.example.id)["visible"]
    add_policy(workspace)  # a Markdown file has no pages
    row = workspace.store.rows(workspace.store.dataset("leave:2").id, kind="answerable", limit=1)[0]
    assert not picture_of(workspace, workspace.store.dataset("leave:2").id, row.example.id)["visible"]


def test_a_rows_evidence_is_marked_in_its_passage_and_an_unanswerable_row_says_why_it_has_none(workspace):
    version = add_policy(workspace)
    rows = workspace.store.rows(version.id, state="kept")
    answerable = next(row for row in rows if row.example.kind == "answerable")
    marked = evidence_of(workspace, answerable)
    assert [text for text, label in marked["value"] if label] == [answerable.example.evidence]
    whole = "".join(text for text, _ in marked["value"])
    assert whole == workspace.store.passage(answerable.example.passage_id).text
    unanswerable = next(row for row in rows if row.example.kind == "unanswerable")
    assert evidence_of(workspace, unanswerable)["value"][0][0].startswith("No passage answers this question")

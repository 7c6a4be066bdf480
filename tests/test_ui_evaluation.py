"""Measuring through the page: complete reports are kept, cancelled ones are not, bad files are named."""

import time
from pathlib import Path

import pytest
from gradio_client import handle_file
from gradio_client.exceptions import AppError

from evals.rules import DEFAULTS, read_rules
from tests.models import EchoModel
from tests.page import add_policy, stand_in_workspace, visiting

QUESTIONS = """{"id": "q1", "question": "How many days?", "kind": "answerable", "accept": ["25"]}
{"id": "q2", "question": "Is there a sauna?", "kind": "unanswerable"}
"""


@pytest.fixture
def workspace(tmp_path):
    workspace = stand_in_workspace(tmp_path / "workspace")
    add_policy(workspace)
    return workspace


def test_a_report_on_a_question_file_is_saved_and_can_be_taken_along(workspace, tmp_path):
    path = tmp_path / "mine.jsonl"
    path.write_text(QUESTIONS)
    with visiting(workspace) as client:
        said = client.predict(["base", "tuned"], "upload", handle_file(path), "closed", api_name="/evaluate")
        taken = Path(client.predict(1, api_name="/report")).read_text()
        to_read = Path(client.predict(1, api_name="/report_page")).read_text()
    assert "Done: 2 questions from mine.jsonl" in said
    (saved,) = workspace.store.evaluations()
    assert saved["models"] == ["base", "tuned"] and saved["questions"] == "mine.jsonl"
    right = {model: found["questions"]["right"] for model, found in saved["report"]["models"].items()}
    assert right == {"base": 0, "tuned": 1}
    assert saved["report"]["compared"][0]["fixed"] == ["q1"] and '"fixed"' in taken
    assert "tuned in the place of base: not enough evidence" in to_read and "Of 2 questions tuned answered" in to_read


def test_a_second_report_is_compared_with_the_last_one(workspace, tmp_path):
    path = tmp_path / "mine.jsonl"
    path.write_text(QUESTIONS)
    with visiting(workspace) as client:
        for _ in range(2):
            client.predict(["base", "tuned"], "upload", handle_file(path), "closed", api_name="/evaluate")
            workspace.stand_ins = (workspace.stand_ins[0], EchoModel("tuned", "Perhaps.", weights="retrained"))
        _, moved, says = client.predict(2, None, api_name="/since")
        assert moved["data"] == [
            ["base", "2", "0", "0", "0", "0", "p = 1"], ["tuned", "2", "1", "0", "0", "1", "p = 1"]
        ]  # fmt: skip
        _, moved, says = client.predict(1, None, api_name="/since")
        assert not any(any(row) for row in moved["data"]) and "This is the first report" in says


def test_the_rules_are_edited_in_the_page_and_nonsense_changes_nothing(workspace):
    with visiting(workspace) as client:
        assert client.predict(api_name="/rules") == DEFAULTS
        client.predict("[overall]\nbetter = false\n", api_name="/save_rules")
        with pytest.raises(AppError, match='no rule "beter"'):
            client.predict("[overall]\nbeter = false\n", api_name="/save_rules")
    assert read_rules(workspace.settings.workspace).better is False


def test_held_out_rows_are_a_question_set(workspace):
    with visiting(workspace) as client:
        said = client.predict(["base"], "held out: leave:1", None, "closed", api_name="/evaluate")
    assert "held-out rows of leave:1" in said


def test_a_grounded_model_is_to_answer_what_it_was_never_taught(workspace):
    never = sum(row.example.kind == "answerable" for row in workspace.store.rows(1, split="test"))
    taught = sum(row.example.kind == "answerable" for row in workspace.store.rows(1, split="probe"))
    with visiting(workspace) as client:
        for mode in ("closed", "grounded"):
            client.predict(["base"], "held out: leave:1", None, mode, api_name="/evaluate")
    grounded, closed = (saved["report"]["asked"]["answerable"] for saved in workspace.store.evaluations())
    assert (closed, grounded) == (taught, taught + never) and never > 0


def test_the_models_that_were_trained_otherwise_are_named(workspace):
    with visiting(workspace) as client:
        says = client.predict(["base", "tuned"], "grounded", api_name="/evaluate_otherwise")["value"]
        assert "tuned was trained to answer from memory" in says and "base" not in says
        assert not client.predict([], "grounded", api_name="/evaluate_otherwise")["visible"]


@pytest.mark.parametrize(
    ("models", "source", "says"),
    [
        ([], "held out: leave:1", "No model was chosen"),
        (["nobody"], "held out: leave:1", "no model"),
        (["base"], "upload", "No question file was uploaded"),
        (["base"], "held out: travel:1", "No dataset"),
    ],
)
def test_what_cannot_be_measured_is_said_in_one_sentence(workspace, models, source, says):
    with visiting(workspace) as client, pytest.raises(AppError, match=says):
        client.predict(models, source, None, "closed", api_name="/evaluate")
    assert workspace.store.evaluations() == []


def test_a_cancelled_evaluation_saves_no_report_asks_no_further_and_goes_on_the_next_time(tmp_path):
    patient = PatientModel("tuned")
    workspace = stand_in_workspace(tmp_path / "workspace", EchoModel("base"), patient)
    add_policy(workspace)
    with visiting(workspace) as client:
        job = client.submit(["tuned"], "sample", None, "closed", api_name="/evaluate")
        while len(patient.asked) < 10:
            assert not job.done()
            time.sleep(0.01)
        job.cancel()
        time.sleep(0.5)
        asked = len(patient.asked)
        time.sleep(0.5)
        assert len(patient.asked) == asked < 60
        assert workspace.store.evaluations() == []
        client.predict(["tuned"], "sample", None, "closed", api_name="/evaluate")
    (report,) = workspace.store.evaluations()
    assert len(report["report"]["answers"]["tuned"]) >= len(patient.asked) - 8  # eight were broken off in their middle


class PatientModel(EchoModel):
    """Takes a moment for each answer."""

    def stream(self, messages, decoding, *, schema=None):
        time.sleep(0.1)
        return (yield from super().stream(messages, decoding, schema=schema))

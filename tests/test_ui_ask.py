"""Asking through the page: streamed, stoppable, and with the closest clause named as found afterwards."""

import pytest
from gradio_client.exceptions import AppError

from tests.models import EchoModel, SlowModel
from tests.page import add_policy, stand_in_workspace, visiting
from ui.ask import held_out_questions


@pytest.fixture
def workspace(tmp_path):
    tuned = EchoModel("tuned", "You get 25 days of annual leave.")
    workspace = stand_in_workspace(tmp_path / "workspace", EchoModel("base"), tuned)
    add_policy(workspace)
    return workspace


@pytest.fixture
def client(workspace):
    with visiting(workspace) as client:
        yield client


def texts(chat):
    return [bubble["content"][0]["text"] for bubble in chat]


def test_the_answer_grows_and_the_closest_clause_follows_it(client):
    job = client.submit("How much annual leave?", [], "tuned", "closed", api_name="/ask")
    chat, _ = job.result()
    asked, answer, closest = texts(chat)
    assert (asked, answer) == ("How much annual leave?", "You get 25 days of annual leave.")
    assert closest.startswith("Closest clause, found afterwards and not given to the model: 1 Annual leave")
    assert "Employees receive 25 days of annual leave a year" in closest
    grown = [texts(seen)[1] for seen, _ in job.outputs()[:3]]
    assert grown == ["…", "You", "You get"]


def test_the_model_reads_nothing_but_the_question_when_it_answers_from_memory(client, workspace):
    client.predict("How much annual leave?", [], "tuned", "closed", api_name="/ask")
    client.predict("How much annual leave?", [], "tuned", "grounded", api_name="/ask")
    closed, grounded = workspace.model("tuned").asked
    assert closed == "How much annual leave?"
    assert "25 days of annual leave" in grounded and grounded.endswith("Question: How much annual leave?")


def test_a_grounded_answer_says_that_its_clauses_were_given(client):
    chat, _ = client.predict("How much annual leave?", [], "tuned", "grounded", api_name="/ask")
    assert texts(chat)[2].startswith("Given to the model: 1 Annual leave")


def test_an_adapter_asked_otherwise_than_it_was_trained_is_told_calmly(client):
    says = client.predict("tuned", "grounded", api_name="/ask_otherwise")["value"]
    assert "tuned was trained to answer from memory (closed book)" in says
    assert not client.predict("tuned", "closed", api_name="/ask_otherwise")["visible"]
    assert not client.predict("base", "grounded", api_name="/ask_otherwise")["visible"]


def test_an_empty_question_and_an_unknown_model_are_told_apart(client):
    with pytest.raises(AppError, match="question is empty"):
        client.predict("  ", [], "tuned", "closed", api_name="/ask")
    with pytest.raises(AppError, match=r"no model .*Choose from: base, tuned"):
        client.predict("How much?", [], "openai:x@http://elsewhere", "closed", api_name="/ask")


def test_stopping_an_answer_stops_the_model(tmp_path):
    slow = SlowModel("tuned")
    workspace = stand_in_workspace(tmp_path / "workspace", EchoModel("base"), slow)
    add_policy(workspace)
    with visiting(workspace) as client:
        job = client.submit("How much?", [], "tuned", "closed", api_name="/ask")
        while slow.said < 5:
            assert not job.done()
        job.cancel()
        assert slow.closed.wait(timeout=20)
    assert slow.said < 100_000


def test_examples_come_from_held_out_rows_only(workspace):
    trained = {row.example.question for row in workspace.store.rows(1, split="train")}
    examples = held_out_questions(workspace)
    assert examples and not trained & set(examples)

"""The label form of a task with a schema, in a real page: each kind of field has its component, and what is saved is the answer."""

import json
import socket

import gradio as gr
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from engine.forms import fields_of
from engine.tasks import Task
from tests.desk import version_of
from tests.page import stand_in_workspace
from tests.test_forms import DECISION, ENTITIES
from ui.schema_form import build, component

SCHEMA = {**DECISION, "properties": {**DECISION["properties"], **ENTITIES["properties"]}}
TASK = Task("policy_qa", "Decisions", "json", "", schema=SCHEMA)


@pytest.fixture
def workspace(tmp_path):
    workspace = stand_in_workspace(tmp_path / "workspace")
    version_of(workspace.store, 2)
    return workspace


@pytest.fixture
def client(workspace):
    with gr.Blocks() as page:
        chosen, rater = gr.Dropdown(["d:1"], value="d:1"), gr.Textbox("")
        form = build(workspace, TASK, chosen, rater, gr.State("e0"), gr.State(workspace.now()))
        assert set(form.shown("d:1")) == set(form.outputs)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    page.launch(server_port=port, prevent_thread_lock=True, quiet=True, _frontend=False)
    yield Client(str(page.local_url), verbose=False)
    page.close(verbose=False)


def test_each_kind_of_field_has_its_component_and_nothing_filled_in():
    with gr.Blocks():
        found = {field.kind: component(field) for field in fields_of(SCHEMA)}
    assert {kind: type(part).__name__ for kind, part in found.items()} == {
        "choice": "Radio", "text": "Textbox", "choices": "CheckboxGroup", "whole": "Number", "yes_no": "Radio",
        "lines": "Textbox", "table": "Dataframe",
    }  # fmt: skip
    assert [found[kind].value for kind in ("choice", "yes_no", "whole")] == [None, None, None]


def test_a_saved_form_is_a_label_with_the_answer_the_schema_describes(client, workspace):
    table = {"headers": ["Text", "Type", "Sure (optional)"], "data": [["Ann Lee", "person", ""]], "metadata": None}
    filled = ["approve", "In 4.2.", ["HR Manager"], 12, "no", "4.2 Sick leave", table]
    with pytest.raises(AppError, match='"Decision" is missing'):
        client.predict("d:1", "Ann", None, *filled[1:], api_name="/label_form_policy_qa")
    assert workspace.store.labels(1) == []
    client.predict("d:1", "Ann", *filled, api_name="/label_form_policy_qa")
    (label,) = workspace.store.labels(1)
    expected = {
        "decision": "approve", "reason": "In 4.2.", "approvers": ["HR Manager"], "period": {"days": 12, "paid": False},
        "clauses": ["4.2 Sick leave"], "entities": [{"text": "Ann Lee", "type": "person"}],
    }  # fmt: skip
    assert (label.verdict, dict(label.form), json.loads(label.gold)) == ("right", expected, expected)

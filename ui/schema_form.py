"""Label, for tasks whose answers have a schema: a form built from it, with nothing filled in, saved as the right answer."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import gradio as gr

from engine import labels
from engine.errors import InvalidInput
from engine.forms import Field, assembled, blank, fields_of
from engine.tasks import Task
from engine.workspace import Workspace
from ui.errors import handles

YES_NO = [("Yes", "yes"), ("No", "no")]


@dataclass(frozen=True)
class SchemaForm:
    """A task's form as the tab holds it; it is in sight only for dataset versions of its task."""

    workspace: Workspace
    task: Task
    fields: Sequence[Field]
    box: gr.Column
    inputs: Sequence[Any]
    saved: Callable[..., Any]

    @property
    def outputs(self) -> list[Any]:
        """What `shown` changes."""
        return [self.box, *self.inputs]

    def shown(self, title: str) -> dict[Any, Any]:
        """Empty, and in sight where the version is of this task."""
        of_this_task = self.workspace.store.dataset(title).task == self.task.name
        return {self.box: gr.update(visible=of_this_task), **emptied(self.fields, self.inputs)}


def build(
    workspace: Workspace, task: Task, chosen: gr.Dropdown, rater: gr.Textbox, row_id: gr.State, since: gr.State
) -> SchemaForm:
    """Lay the form out where the caller stands. Saving it judges the row "right" with what was filled in as its answer."""
    fields = fields_of(task.schema or {})
    with gr.Column(visible=False) as box:
        inputs = [component(field) for field in fields]
        save = gr.Button("Save the form as the right answer", variant="primary", size="sm")

    @handles(
        save.click, inputs=[chosen, rater, row_id, since, *inputs], outputs=inputs, api_name=f"label_form_{task.name}"
    )
    def keep(title: str, name: str, example_id: str, shown_at: str, *values: Any) -> dict[Any, Any]:
        if not example_id:
            raise InvalidInput("There is no row on the screen. Choose a dataset version first.")
        now = workspace.now()
        answer = assembled(fields, {field.name: value for field, value in zip(fields, values, strict=True)})
        seconds = (datetime.fromisoformat(now) - datetime.fromisoformat(shown_at)).total_seconds() if shown_at else 0.0
        more = labels.Judgement(gold=json.dumps(answer, ensure_ascii=False), seconds=seconds, form=answer)
        version = workspace.store.dataset(title)
        labels.label_row(workspace.store, version, example_id, rater=name, verdict="right", more=more, now=now)
        return emptied(fields, inputs)

    return SchemaForm(workspace, task, fields, box, inputs, keep.success)


def component(field: Field) -> Any:
    """The gradio component that takes a field's value."""
    told: dict[str, Any] = {"label": field.title if field.required else f"{field.title} (optional)"}
    if field.kind == "table":
        return gr.Dataframe(
            headers=[column.title for column in field.columns],
            column_count=len(field.columns),
            row_count=1,
            type="array",
            datatype="str",
            interactive=True,
            **told,
        )
    told["info"] = field.help or None
    match field.kind:
        case "choice":
            return gr.Radio([(str(option), option) for option in field.options], value=None, **told)
        case "choices":
            return gr.CheckboxGroup([(str(option), option) for option in field.options], value=[], **told)
        case "yes_no":
            return gr.Radio(YES_NO, value=None, **told)
        case "whole" | "number":
            return gr.Number(None, precision=0 if field.kind == "whole" else None, **told)
        case "lines":
            return gr.Textbox("", lines=3, placeholder="One a line", **told)
        case _:
            return gr.Textbox("", lines=2, **told)


def emptied(fields: Sequence[Field], inputs: Sequence[Any]) -> dict[Any, Any]:
    """Every field as it is before anybody said anything."""
    empty = blank(fields)
    return {
        shown: [[""] * len(field.columns)] if field.kind == "table" else empty[field.name]
        for field, shown in zip(fields, inputs, strict=True)
    }

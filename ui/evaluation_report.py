"""Evaluate, the reports: choose a saved one, read it, see what changed since last time, take it along."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from engine.errors import InvalidInput, NotFound
from engine.workspace import Workspace
from evals.intervals import p_words
from evals.report import FORMAT, as_json, since
from evals.reporting.page import fragment, page
from ui.dataset_exchange import exports
from ui.errors import handles, shown_to_user
from ui.journey import Part, note
from ui.tables import table, when

SINCE_HEAD = ["Model", "Questions in both", "Right then", "Right now", "Fixed", "Broken", "Exact McNemar"]


def build(workspace: Workspace) -> Part:
    """The reports where the caller stands; hidden until there is one. What is downloaded is written into the exports folder."""
    with gr.Column(visible=False) as reports:
        with gr.Row():
            chosen = gr.Dropdown([], label="Saved report", allow_custom_value=True, scale=3, min_width=280)
            as_html = gr.Button("Download to read", min_width=140)
            as_data = gr.Button("Download as JSON", min_width=140)
        fetched = gr.DownloadButton("The file", elem_classes="offstage", elem_id="report-file")
        shown = gr.HTML(padding=False, elem_id="report")
        with gr.Accordion("Since last time", open=False):
            earlier = gr.Dropdown([], label="Compared with", allow_custom_value=True)
            moved = table(SINCE_HEAD, label="What changed since")
            nothing = gr.HTML(padding=False)
    then = [earlier, moved, nothing]

    def file_of(number: int | None, suffix: str) -> Path:
        saved = _saved(workspace, number)
        path = exports(workspace) / f"report-{saved['id']}.{suffix}"
        path.write_text(page(saved["report"]) if suffix == "html" else as_json(saved["report"]), encoding="utf-8")
        return path

    @handles(as_data.click, inputs=chosen, outputs=fetched, api_name="report", concurrency_limit=2)
    def write(number: int | None) -> dict[Any, Any]:
        return {fetched: str(file_of(number, "json"))}

    @handles(as_html.click, inputs=chosen, outputs=fetched, api_name="report_page", concurrency_limit=2)
    def write_page(number: int | None) -> dict[Any, Any]:
        return {fetched: str(file_of(number, "html"))}

    @handles(earlier.input, inputs=[chosen, earlier], outputs=then, api_name="since", show_progress="hidden")
    def compare(number: int | None, before: int | None) -> dict[Any, Any]:
        return against(_saved(workspace, number), before)

    def against(saved: Mapping[str, Any], before: int | None) -> dict[Any, Any]:
        others = _others(workspace, saved)
        choices = [(titled(row), row["id"]) for row in others]
        if not others:
            empty = "This is the first report on these questions. After the next one you see here what changed."
            return {earlier: gr.update(choices=[], value=None), moved: [], nothing: note(empty)}
        picked = next((row for row in others if row["id"] == before), others[0])
        rows = since_rows(picked["report"], saved["report"])
        says = "" if rows else "The two reports share no model that answered the same questions."
        return {earlier: gr.update(choices=choices, value=picked["id"]), moved: rows, nothing: note(says)}

    def opened(number: int | None) -> dict[Any, Any]:
        saved = _saved(workspace, number)
        return {shown: fragment(saved["report"]), **against(saved, None)}

    for written in (write, write_page):
        written.success(None, js="() => document.querySelector('#report-file').click()", api_visibility="private")
    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    chosen.input(shown_to_user(opened), chosen, [shown, *then], **quiet)

    def show() -> dict[Any, Any]:
        saved = workspace.store.evaluations()
        newest = saved[0]["id"] if saved else None
        return {
            reports: gr.update(visible=bool(saved)),
            chosen: gr.update(choices=[(titled(row), row["id"]) for row in saved], value=newest),
            **(opened(newest) if newest else {}),
        }

    return Part([reports, chosen, shown, *then], show)


def titled(row: Mapping[str, Any]) -> str:
    """A saved report in one line."""
    return f"{when(row['created_at'])}: {', '.join(row['models'])} on {row['questions']}"


def since_rows(earlier: Mapping[str, Any], report: Mapping[str, Any]) -> list[list[str]]:
    """One line a model that was measured both times."""
    return [
        [
            name,
            str(found.of),
            str(found.before),
            str(found.after),
            str(found.fixed),
            str(found.broken),
            p_words(found.p_value),
        ]
        for name, found in since(earlier, report).items()
    ]


def _others(workspace: Workspace, saved: Mapping[str, Any]) -> Sequence[dict[str, Any]]:
    """Earlier reports of the same task, those on the same questions first, newest first among each."""
    earlier = [row for row in workspace.store.evaluations() if row["id"] < saved["id"] and row["task"] == saved["task"]]
    return sorted(
        [row for row in earlier if row["report"].get("format") == FORMAT],
        key=lambda row: (row["questions"] != saved["questions"], -row["id"]),
    )


def _saved(workspace: Workspace, number: int | None) -> dict[str, Any]:
    if number is None:
        raise InvalidInput("Choose a saved report first.")
    for row in workspace.store.evaluations():
        if row["id"] == number:
            return row
    raise NotFound("That report is not in this workspace. Reload the page.")

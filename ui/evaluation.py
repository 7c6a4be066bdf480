"""Evaluate: the same questions to several models, counted apart, with intervals; every report is kept."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from engine.errors import InvalidInput, NotFound
from engine.records import Mode, Question
from engine.samples import QUESTIONS
from engine.search import finder
from engine.tasks.policy_qa import POLICY_QA
from engine.workspace import Workspace
from evals.questions import read_questions
from evals.run import evaluate
from ui.ask import MODES, offered, warn_of_mode
from ui.asked import kept_answers, questions_of
from ui.dataset_exchange import exports
from ui.errors import handles, shown_to_user
from ui.journey import Part, note, nothing_yet
from ui.progress import told_as_it_goes
from ui.tables import (
    CHANGED_HEAD,
    REPORT_HEAD,
    SLICE_HEAD,
    changed_rows,
    compared_lines,
    pace,
    report_bars,
    report_rows,
    slice_rows,
    table,
    when,
)

SAMPLE, UPLOAD, HELD_OUT = "sample", "upload", "held out: "
WAIT = "Some answers a second on a laptop: a few minutes for a few hundred questions. Leaving the page cancels; answers so far are kept."
READ_ME = "Shares stand with their counts and 95 % intervals; “always refuse” shows what saying nothing would score."


def build(workspace: Workspace) -> Part:
    """Lay the tab out where the caller stands. A report is saved when it is complete; answers are kept as they come."""
    empty = nothing_yet(
        "There is nothing to measure yet. Next: load the sample policy above, or your own documents in Dataset."
    )
    with gr.Column(visible=False) as body:
        with gr.Row():
            models = gr.Dropdown(
                [],
                multiselect=True,
                allow_custom_value=True,
                label="Models",
                info="The others are compared with the first.",
                min_width=280,
            )
            source = gr.Dropdown([], label="Questions", allow_custom_value=True, min_width=280)
            mode = gr.Radio(MODES, value="closed", label="How they answer", min_width=280)
        otherwise = gr.HTML(padding=False, visible=False)
        with gr.Accordion("Your own question file (JSON Lines)", open=False):
            upload = gr.File(label="Question file", file_types=[".jsonl"], height=110)
        gr.HTML(note(WAIT), padding=False)
        with gr.Row():
            run = gr.Button("Evaluate", variant="primary")
            cancel = gr.Button("Cancel")
        progress = gr.HTML(padding=False)
    with gr.Column(visible=False) as reports:
        with gr.Row():
            chosen = gr.Dropdown([], label="Saved report", allow_custom_value=True, scale=3)
            download = gr.Button("Download as JSON")
        fetched = gr.DownloadButton("The file", elem_classes="offstage", elem_id="report-file")
        gr.HTML(note(READ_ME), padding=False)
        totals = table(REPORT_HEAD, label="Report")
        compared = gr.Textbox(label="Compared with the first model", interactive=False)
        with gr.Row():
            with gr.Column(min_width=340):
                bars = gr.HTML(padding=False)
            with gr.Column(min_width=340):
                slices = table(SLICE_HEAD, label="By slice", max_height=300)
        changed = table(CHANGED_HEAD, label="What changed against the first model", max_height=420)
    view = [totals, compared, bars, slices, changed]

    @handles(
        run.click,
        inputs=[models, source, upload, mode],
        outputs=progress,
        api_name="evaluate",
        concurrency_limit=1,
        concurrency_id="evaluate",
        show_progress="minimal",
    )
    def measure(names: list[str], asked: str | None, path: str | None, how: Mode) -> Iterator[str]:
        names = offered(workspace, names)
        questions, title = _questions(workspace, asked, path, how)

        def work(watch: Callable[[str, int, int], None]) -> Any:
            find = finder(workspace.store, how)
            return evaluate(
                workspace.models(names),
                questions,
                POLICY_QA,
                find=find,
                mode=how,
                source=title,
                kept=kept_answers(workspace),
                watch=watch,
            )

        yield pace(0, 1, "Starting the models …")
        report = yield from told_as_it_goes(work)
        workspace.store.add_evaluation(
            task=POLICY_QA.name, questions=title, models=names, report=report, now=workspace.now()
        )
        yield pace(1, 1, f"Done: {len(questions)} questions from {title}. The report is saved below.")

    @handles(download.click, inputs=chosen, outputs=fetched, api_name="report", concurrency_limit=2)
    def write(number: int | None) -> dict[Any, Any]:
        saved = _saved(workspace, number)
        path = exports(workspace) / f"report-{saved['id']}.json"
        path.write_text(json.dumps(saved["report"], ensure_ascii=False, indent=1), encoding="utf-8")
        return {fetched: str(path)}

    def opened(number: int | None) -> dict[Any, Any]:
        report = _saved(workspace, number)["report"]
        return {
            totals: report_rows(report),
            compared: gr.update(value=compared_lines(report), visible=bool(report["compared"])),
            bars: report_bars(report),
            slices: slice_rows(report),
            changed: gr.update(value=changed_rows(report), visible=bool(report["compared"])),
        }

    warn_of_mode(workspace, models, mode, otherwise, api_name="evaluate_otherwise")
    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    cancel.click(
        lambda: note("Cancelled. The answers so far are kept: Evaluate goes on with the rest."),
        outputs=progress,
        cancels=[measure],
        **quiet,
    )
    upload.upload(lambda: UPLOAD, outputs=source, **quiet)
    chosen.input(shown_to_user(opened), chosen, view, **quiet)
    write.success(None, js="() => document.querySelector('#report-file').click()", api_visibility="private")

    def show_reports() -> dict[Any, Any]:
        saved = workspace.store.evaluations()
        titles = [
            (f"{when(row['created_at'])}: {', '.join(row['models'])} on {row['questions']}", row["id"]) for row in saved
        ]
        newest = titles[0][1] if titles else None
        return {
            reports: gr.update(visible=bool(saved)),
            chosen: gr.update(choices=titles, value=newest),
            **(opened(newest) if newest else {}),
        }

    measure.success(show_reports, outputs=[reports, chosen, *view], **quiet)

    def show() -> dict[Any, Any]:
        titles = [version.title for version in workspace.store.datasets()]
        names = workspace.model_names()
        choices = [(f"Held-out rows of {title}", HELD_OUT + title) for title in titles]
        choices += [("Gold questions of the sample policy", SAMPLE), ("The file uploaded below", UPLOAD)]
        return {
            empty: gr.update(visible=not titles),
            body: gr.update(visible=bool(titles)),
            models: gr.update(choices=names, value=names[:2]),
            source: gr.update(choices=choices, value=choices[0][1]),
            **show_reports(),
        }

    return Part([empty, body, models, source, reports, chosen, *view], show, [], [measure.success])


def _questions(workspace: Workspace, source: str | None, path: str | None, how: Mode) -> tuple[list[Question], str]:
    if source == SAMPLE:
        return read_questions(QUESTIONS), "the sample's gold questions"
    if source == UPLOAD:
        if not path:
            raise InvalidInput("No question file was uploaded. Drop one, or choose another set of questions.")
        return questions_of(workspace, how, file=path)
    return questions_of(workspace, how, dataset=(source or "").removeprefix(HELD_OUT))


def _saved(workspace: Workspace, number: int | None) -> dict[str, Any]:
    for row in workspace.store.evaluations():
        if row["id"] == number:
            return row
    raise NotFound("That report is not in this workspace. Reload the page.")

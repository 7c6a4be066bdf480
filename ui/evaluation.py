"""Evaluate: the same questions to several models, and what the gate says of each; every report is kept."""

from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from engine.errors import InvalidInput
from engine.records import Mode, Question
from engine.samples import QUESTIONS
from engine.search import finder
from engine.tasks.policy_qa import POLICY_QA
from engine.workspace import Workspace
from evals.promotion import measure_models
from evals.questions import read_questions
from ui import evaluation_report, evaluation_rules
from ui.ask import MODES, offered, warn_of_mode
from ui.asked import kept_answers, questions_of
from ui.errors import handles
from ui.journey import Part, note, nothing_yet
from ui.progress import told_as_it_goes
from ui.tables import pace

SAMPLE, UPLOAD, HELD_OUT = "sample", "upload", "held out: "
WAIT = "Some answers a second on a laptop: a few minutes for a few hundred questions. Leaving the page cancels; answers so far are kept."


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
        evaluation_rules.build(workspace)
    reports = evaluation_report.build(workspace)

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
            asked = workspace.models(names)
            return measure_models(
                workspace,
                asked,
                questions,
                POLICY_QA,
                find=find,
                mode=how,
                source=title,
                kept=kept_answers(workspace),
                watch=watch,
            )

        yield pace(0, 1, "Starting the models …")
        yield from told_as_it_goes(work)
        yield pace(1, 1, f"Done: {len(questions)} questions from {title}. The report is saved below.")

    warn_of_mode(workspace, models, mode, otherwise, api_name="evaluate_otherwise")
    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    cancel.click(
        lambda: note("Cancelled. The answers so far are kept: Evaluate goes on with the rest."),
        outputs=progress,
        cancels=[measure],
        **quiet,
    )
    upload.upload(lambda: UPLOAD, outputs=source, **quiet)
    measure.success(reports.show, outputs=list(reports.outputs), **quiet)

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
            **reports.show(),
        }

    return Part([empty, body, models, source, *reports.outputs], show, [], [measure.success])


def _questions(workspace: Workspace, source: str | None, path: str | None, how: Mode) -> tuple[list[Question], str]:
    if source == SAMPLE:
        return read_questions(QUESTIONS), "the sample's gold questions"
    if source == UPLOAD:
        if not path:
            raise InvalidInput("No question file was uploaded. Drop one, or choose another set of questions.")
        return questions_of(workspace, how, file=path)
    return questions_of(workspace, how, dataset=(source or "").removeprefix(HELD_OUT))

"""Evaluate: the same questions to several models, and what the gate says of each; every report is kept."""

from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any

import gradio as gr

from engine.datasets import held_out_as_questions
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
from ui.errors import handles
from ui.journey import Part, note, nothing_yet
from ui.tables import pace

SAMPLE, UPLOAD, HELD_OUT = "sample", "upload", "held out: "
WAIT = "Some answers a second on a laptop: a few minutes for a few hundred questions. Keep this page open; leaving it cancels."


class _Cancelled(Exception):
    """The visitor pressed Cancel; the engine is left at its next answer."""


def build(workspace: Workspace) -> Part:
    """Lay the tab out where the caller stands. A report is saved when it is complete; cancelling saves nothing."""
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
                workspace, asked, questions, POLICY_QA, find=find, mode=how, source=title, watch=watch
            )

        yield pace(0, 1, "Starting the models …")
        yield from _told_as_it_goes(work)
        yield pace(1, 1, f"Done: {len(questions)} questions from {title}. The report is saved below.")

    warn_of_mode(workspace, models, mode, otherwise, api_name="evaluate_otherwise")
    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    cancel.click(lambda: note("Cancelled; nothing was saved."), outputs=progress, cancels=[measure], **quiet)
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
        return read_questions(Path(path)), Path(path).name
    version = workspace.store.dataset((source or "").removeprefix(HELD_OUT))
    rows = workspace.store.rows(version.id, state="kept")
    return held_out_as_questions(rows, how), f"held-out rows of {version.title}"


def _told_as_it_goes(work: Callable[[Callable[[str, int, int], None]], Any]) -> Generator[str, None, Any]:
    """
    Run `work(watch)` on a thread, yield its progress as HTML, return its result and raise what it raises.

    Closing the iterator, which is what Cancel does, stops the work at its next report.
    """
    heard: SimpleQueue[tuple[str, int, int] | None] = SimpleQueue()
    stop = Event()
    outcome: list[Any] = []

    def watch(what: str, done: int, total: int) -> None:
        if stop.is_set():
            raise _Cancelled
        heard.put((what, done, total))

    def run() -> None:
        try:
            outcome.append(work(watch))
        except BaseException as problem:  # raised again where the visitor waits
            outcome.append(problem)
        finally:
            heard.put(None)

    Thread(target=run, name="evaluate", daemon=True).start()
    try:
        while (told := heard.get()) is not None:
            what, done, total = told
            yield pace(done, total, f"{what}: {done} of {total}")
    finally:
        stop.set()
    if isinstance(outcome[0], BaseException):
        raise outcome[0]
    return outcome[0]

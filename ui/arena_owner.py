"""For the owner of a blind test: which models meet, review queues answered in advance, and whether the test is fair so far."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from engine import reviews
from engine.errors import InvalidInput
from engine.records import Mode, ReviewQueue
from engine.tasks.policy_qa import POLICY_QA
from engine.workspace import Workspace
from evals.intervals import share
from ui.ask import MODES, offered
from ui.errors import handles, shown_to_user
from ui.journey import note
from ui.tables import table

QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
QUEUE_HEAD = ["Queue", "Models", "Overlap", "Answered in advance", "Dealt", "Judged", "Passed over"]
RATER_HEAD = ["Queue", "Rater", "Dealt", "Judged", "Passed over"]
SIDE_HEAD = ["Rater", "Models", "Left", "Judged"]
HELD_OUT, PASTED, FILE = "Held-out questions of the newest dataset", "A pasted list", "A file"
IDLE_S = 3.0
VOTE_FIRST = "Shown once you have voted yourself."


@dataclass(frozen=True)
class Owner:
    """What a new battle takes from here."""

    pair: gr.Dropdown
    mode: gr.Radio


def build(workspace: Workspace, rater: gr.Textbox) -> Owner:
    """
    Lay it out where the caller stands. Its contents are fetched when it is opened: raters who do not open it are sent no name.
    """
    with gr.Accordion("For the owner of the test", open=False, elem_id="arena-owner") as panel:
        with gr.Row():
            pair = gr.Dropdown(
                [],
                multiselect=True,
                allow_custom_value=True,
                max_choices=2,
                label="Which two models meet",
                info="The base and the newest adapter unless you choose. Their sides are drawn anew for every battle.",
                min_width=280,
            )
            mode = gr.Radio(MODES, value="closed", label="How both answer", min_width=280)
        with gr.Row():
            name = gr.Textbox("", label="Name of a new review queue", max_length=60, min_width=180)
            overlap = gr.Number(
                2, label="Raters per question", info="0: all of them", precision=0, minimum=0, min_width=140
            )
            origin = gr.Radio([HELD_OUT, PASTED, FILE], value=HELD_OUT, label="Its questions", min_width=280)
        pasted = gr.Textbox("", label="Questions, a line each", lines=6, visible=False, max_length=1_000_000)
        upload = gr.File(label="Question file", file_types=[".jsonl", ".txt"], height=110, visible=False)
        make = gr.Button("Answer in advance", size="sm", elem_id="arena-queue-make")
        status = gr.HTML(padding=False, elem_id="arena-queue-status")
        queues = table(QUEUE_HEAD, label="Review queues")
        progress = table(RATER_HEAD, label="Progress of the raters")
        fairness = gr.HTML(padding=False, elem_id="arena-fairness")
        sides = table(SIDE_HEAD, label="How often each model stood left")
        timer = gr.Timer(IDLE_S, active=False)
    seen = [status, queues, progress, fairness, sides, timer]

    def watched(who: str) -> dict[Any, Any]:
        job = next((job for job in workspace.jobs() if job.kind == reviews.KIND), None)
        step = f" ({job.progress.get('step', 0)} of {job.progress.get('steps', '…')})" if job else ""
        told = f"{job.title}: {job.state}{step}. {job.progress.get('message', '')}" if job else ""
        found = workspace.store.queues()
        may_see = any(vote.rater == " ".join(who.split()) for vote in workspace.store.votes())
        return {
            status: note(told),
            queues: queue_rows(found),
            progress: [row for queue in found for row in rater_rows(workspace, queue)],
            fairness: note(left_picks(workspace) if may_see else VOTE_FIRST),
            sides: side_rows(workspace) if may_see else [],
            timer: gr.Timer(active=bool(job and job.state == "running")),
        }

    def opened(who: str) -> dict[Any, Any]:
        names = workspace.model_names()
        return {pair: gr.update(choices=names), **watched(who)}

    panel.expand(shown_to_user(opened), rater, [pair, *seen], **QUIET)
    panel.collapse(lambda: gr.Timer(active=False), outputs=timer, **QUIET)
    timer.tick(shown_to_user(watched), rater, seen, **QUIET)
    origin.change(
        lambda chosen: [gr.update(visible=chosen == PASTED), gr.update(visible=chosen == FILE)],
        origin,
        [pasted, upload],
        **QUIET,
    )

    @handles(
        make.click,
        inputs=[name, origin, pasted, upload, overlap, pair, mode, rater],
        outputs=[name, *seen],
        api_name="make_queue",
        concurrency_limit=1,
    )
    def begin(
        title: str,
        chosen: str,
        text: str,
        file: str | None,
        raters: float | None,
        models: list[str],
        how: Mode,
        who: str,
    ) -> dict[Any, Any]:
        named = offered(workspace, models) if models else workspace.model_names()[:2]
        if len(named) != 2:
            raise InvalidInput(
                "A review needs two models. Choose exactly two, or none for base and the newest adapter."
            )
        reviews.make_queue(
            workspace.store,
            title.strip(),
            _questions(workspace, chosen, text, file),
            task=POLICY_QA,
            models=(named[0], named[1]),
            mode=how,
            overlap=int(raters or 0),
            folder=workspace.reviews_dir,
            settings=workspace.settings,
            now=workspace.now(),
        )
        return {name: "", **watched(who)}

    return Owner(pair, mode)


def queue_rows(queues: Sequence[ReviewQueue]) -> list[list[str]]:
    """One line a queue, with its counts."""
    return [
        [
            queue.name,
            " and ".join(queue.models),
            str(queue.overlap or "all"),
            f"{queue.counts['frozen']} of {queue.counts['questions']}"
            + (f", {queue.counts['failed']} failed" if queue.counts["failed"] else ""),
            *(str(queue.counts[name]) for name in ("dealt", "voted", "skipped")),
        ]
        for queue in queues
    ]


def rater_rows(workspace: Workspace, queue: ReviewQueue) -> list[list[str]]:
    """One line a rater of the queue."""
    return [
        [queue.name, row["rater"], str(row["dealt"]), str(row["voted"]), str(row["skipped"])]
        for row in workspace.store.queue_progress(queue)
    ]


def left_picks(workspace: Workspace) -> str:
    """How often the left answer was found better, with its interval: away from half, the sides themselves were judged."""
    left, right = workspace.store.picks_by_side()
    found = share(left, left + right)
    if not found.of:
        return "No battle has been decided for either side yet."
    doubt = "" if found.low <= 0.5 <= found.high else " That is not half: raters may be judging the side."
    return f"The left answer was found better in {found} decided battles.{doubt}"


def side_rows(workspace: Workspace) -> list[list[str]]:
    """One line a rater and pair of models: who stood left how often."""
    return [
        [
            row["rater"],
            f"{row['one']} and {row['other']}",
            f"{row['one']} {row['one_left']}, {row['other']} {row['other_left']}",
            str(row["voted"]),
        ]
        for row in workspace.store.sides_by_rater()
    ]


def _questions(workspace: Workspace, origin: str, pasted: str, file: str | None) -> list[str]:
    if origin == PASTED:
        return reviews.lines_as_questions(pasted)
    if origin == FILE:
        if not file:
            raise InvalidInput("There is no file yet. Drop one, or choose another source.")
        return reviews.file_as_questions(Path(file))
    versions = workspace.store.datasets()
    if not versions:
        raise InvalidInput("There is no dataset yet. Generate one, or paste questions.")
    return reviews.held_out_questions(workspace.store, versions[0])

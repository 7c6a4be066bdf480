"""The half of the Train tab that watches: a run's numbers, plots and sample answers, from its folder, in any browser."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from engine import jobs
from engine.records import Job
from engine.workspace import Workspace
from ui.errors import handles, shown_to_user, tell
from ui.journey import note
from ui.runs import (
    CURVES,
    FORGOTTEN_HEAD,
    RUN_HEAD,
    SAMPLE_HEAD,
    best_and_worst,
    card_of,
    curve_points,
    everyday_words,
    forgotten_rows,
    in_words,
    probe_points,
    run_rows,
    samples_of,
)
from ui.tables import pace, table

BUSY_S, IDLE_S = 2.0, 10.0
MOST_OVERLAID = 4


@dataclass(frozen=True)
class Live:
    """The watching half: which run is shown, and what a handler returns after it changed something."""

    workspace: Workspace
    body: gr.Column
    run: gr.Dropdown
    beside: gr.Dropdown
    stop: gr.Button
    resume: gr.Button
    status: gr.HTML
    plots: dict[str, gr.LinePlot]
    samples: gr.Dataframe
    sampled: gr.HTML
    forgot: gr.HTML
    forgotten: gr.Dataframe
    log: gr.Textbox
    listed: gr.Dataframe
    seen: gr.State
    timer: gr.Timer

    @property
    def outputs(self) -> list[Any]:
        """Everything that a look at the runs may change."""
        return [
            self.body, self.status, *self.plots.values(), self.samples, self.sampled, self.forgot, self.forgotten,
            self.log, self.listed, self.stop, self.resume, self.seen, self.timer,
        ]  # fmt: skip

    def watched(self, run_id: str | None, beside: Sequence[str] | None, shown: str) -> dict[Any, Any]:
        """The runs as their folders say now; nothing but `seen` where that is what the page `shown` already."""
        found = jobs.list_jobs(self.workspace.runs_dir)
        job = next((job for job in found if job.id == run_id), found[0] if found else None)
        if job is None:
            return {self.body: gr.update(visible=False)}
        now = "/".join(f"{other.id} {other.state} {other.progress}" for other in found) + f"{job.id} {beside}"
        if now == shown:
            return {self.seen: shown}
        overlaid = [job, *(other for other in found if other.id in (beside or ()) and other is not job)]
        card = card_of(job)
        return {
            self.body: gr.update(visible=True),
            self.status: pace(int(job.progress.get("step") or 0), int(job.progress.get("steps") or 1), in_words(job)),
            **self._drawn(overlaid[:MOST_OVERLAID]),
            **self._answers(job),
            self.forgot: note(everyday_words(card)) if everyday_words(card) else "",
            self.forgotten: gr.update(value=forgotten_rows(card), visible=bool(forgotten_rows(card))),
            self.log: gr.update(value="\n".join(job.log_tail), visible=job.state in ("failed", "died")),
            self.listed: run_rows(found),
            self.stop: gr.update(
                interactive=job.state in jobs.WORKING,
                value="Take it out of the queue" if job.state == "queued" else STOP,
            ),
            self.resume: gr.update(interactive=job.state in ("stopped", "died", "failed")),
            self.seen: now,
            self.timer: gr.Timer(BUSY_S if any(other.state in jobs.WORKING for other in found) else IDLE_S),
        }

    def chosen(self, job: Job) -> dict[Any, Any]:
        """Show that run."""
        return {self.run: gr.update(choices=self.choices(), value=job.id), **self.watched(job.id, None, "")}

    def first(self) -> str | None:
        """The run to look at where nobody chose one: what works, else the newest."""
        found = jobs.list_jobs(self.workspace.runs_dir)
        return next((job.id for job in found if job.state == "running"), found[0].id if found else None)

    def choices(self) -> list[tuple[str, str]]:
        """Every run, newest first."""
        return [(f"{job.title} ({job.state})", job.id) for job in jobs.list_jobs(self.workspace.runs_dir)]

    def _drawn(self, runs: Sequence[Job]) -> dict[Any, Any]:
        drawn = {name: curve_points(runs, name) for name in CURVES} | {"probe": probe_points(runs)}
        return {self.plots[name]: gr.update(value=points, visible=len(points) > 1) for name, points in drawn.items()}

    def _answers(self, job: Job) -> dict[Any, Any]:
        rows = best_and_worst(samples_of(job))
        words = (
            "Held-out questions, asked of the untouched model and of the latest probe: the first right and wrong ones."
        )
        return {
            self.samples: gr.update(value=rows, visible=bool(rows)),
            self.sampled: note(words) if rows else "",
        }


STOP = "Stop and keep what is learned"


def build_live(workspace: Workspace) -> Live:
    """Lay it out where the caller stands. Two browsers that watch a run see the same, because both only read."""
    with gr.Column(visible=False) as body:
        with gr.Row():
            run = gr.Dropdown([], label="Run", allow_custom_value=True, scale=3)
            stop = gr.Button(STOP, interactive=False)
            resume = gr.Button("Resume", interactive=False)
        status = gr.HTML(padding=False, elem_id="run-status")
        beside = gr.Dropdown([], label="Lay other runs over it", multiselect=True, max_choices=MOST_OVERLAID - 1)
        with gr.Row():
            plots = {"loss": _plot("loss", "Loss, averaged over the last 20 steps"), "probe": _probe_plot()}
        with gr.Accordion("Learning rate, speed and memory", open=False), gr.Row():
            plots |= {name: _plot(name, CURVES[name]) for name in ("lr", "tokens_per_s", "mib")}
        sampled = gr.HTML(padding=False)
        samples = table(SAMPLE_HEAD, label="Answers", widths=["9%", "23%", "23%", "23%", "22%"], visible=False)
        forgot = gr.HTML(padding=False)
        forgotten = table(FORGOTTEN_HEAD, label="Forgotten", visible=False)
        log = gr.Textbox(label="Last lines of its log", interactive=False, visible=False, max_lines=14)
        listed = table(RUN_HEAD, label="Runs")
    live = Live(
        workspace, body, run, beside, stop, resume, status, plots, samples, sampled, forgot, forgotten, log, listed,
        seen=gr.State(""),  # what this page shows already, so that nothing is drawn twice
        timer=gr.Timer(IDLE_S),
    )  # fmt: skip
    _wire(live)
    return live


def on_resume(live: Live) -> Any:
    """Let the button go on with a run; the event, so that others can follow it."""

    @handles(
        live.resume.click, inputs=live.run, outputs=[live.run, *live.outputs], api_name="resume", concurrency_limit=1
    )
    def go_on(run_id: str) -> dict[Any, Any]:
        return live.chosen(jobs.resume(Path(live.workspace.job(run_id).folder)))

    return go_on


def _wire(live: Live) -> None:
    @handles(live.stop.click, inputs=live.run, outputs=live.outputs, api_name="stop")
    def halt(run_id: str) -> dict[Any, Any]:
        before = live.workspace.job(run_id)
        job = jobs.stop(Path(before.folder))
        waited = before.state == "queued"
        tell(f"{job.title} {'leaves the queue' if waited else 'finishes its step and saves the adapter'}.")
        return live.watched(job.id, None, "")

    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    looked_at = [live.run, live.beside, live.seen]
    live.timer.tick(shown_to_user(live.watched), looked_at, live.outputs, concurrency_limit=20, **quiet)
    for picked in (live.run, live.beside):
        picked.input(
            lambda run_id, beside: live.watched(run_id, beside, ""), [live.run, live.beside], live.outputs, **quiet
        )
    live.beside.focus(lambda: gr.update(choices=live.choices()), None, live.beside, **quiet)


def _plot(field: str, label: str) -> gr.LinePlot:
    return gr.LinePlot(
        x="step", y=field, color="run", x_title="Step", y_title=label.partition(",")[0], label=label, height=260,
        buttons=[], visible=False, min_width=300,
    )  # fmt: skip


def _probe_plot() -> gr.LinePlot:
    return gr.LinePlot(
        x="step", y="questions", color="line", x_title="Step", y_title="Questions", label="Held-out questions",
        height=260, buttons=[], visible=False, min_width=300,
    )  # fmt: skip

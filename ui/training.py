"""Train: choose a run's settings, start it, and watch it from any browser. The page only reads the run's folder."""

from pathlib import Path
from typing import Any

import gradio as gr

from engine import jobs
from engine.errors import InvalidInput
from engine.preferring import FEWEST_VOTES
from engine.records import Job, Mode
from engine.training import PRESETS, Method, Preset, with_preset
from engine.workspace import Workspace
from ui.ask import MODES
from ui.errors import handles, shown_to_user, tell
from ui.journey import Part, note, nothing_yet
from ui.preferences import account_of
from ui.tables import RUN_HEAD, loss_points, pace, run_rows, table

METHODS = [
    ("The dataset's rows", "sft"),
    ("Votes, in pairs: DPO", "dpo"),
    ("Votes, one by one: KTO", "kto"),
]
FROM_VOTES = (
    f"From votes a run goes on from the adapter with the most of them, at the pace of the preset; it takes {FEWEST_VOTES} decided "
    "votes on that adapter. Votes also come into a dataset's next version, and train it as rows."
)
BUSY_S, IDLE_S = 2.0, 10.0
PURPOSE = {"quick": "to see the loop turn", "balanced": "for most policies", "thorough": "to get the last facts in"}
COSTS = [
    (
        f"{name.capitalize()}, {PURPOSE[name]}: at most {cost['max_minutes']:.0f} minutes or {cost['epochs']:.0f} passes",
        name,
    )
    for name, cost in PRESETS.items()
]
OUTLIVES = (
    "Training goes on when this page is closed. One run at a time. Stop keeps an adapter of what is learned so far."
)


def build(workspace: Workspace) -> Part:
    """Lay the tab out where the caller stands. Two browsers that watch a run see the same, because both only read."""
    empty = nothing_yet(
        "There is nothing to train on yet. Next: load the sample policy above, or your own documents in Dataset."
    )
    with gr.Column(visible=False) as body:
        gr.HTML(note(OUTLIVES), padding=False)
        with gr.Row():
            dataset = gr.Dropdown([], label="Dataset version", allow_custom_value=True, min_width=240)
            adapter = gr.Textbox(label="Name of the adapter", max_lines=1, min_width=240)
        preset = gr.Radio(COSTS, value="balanced", label="Preset")
        method = gr.Radio(METHODS, value="sft", label="What it learns from", info=FROM_VOTES)
        mode = gr.Radio(MODES, value="closed", label="How it learns to answer")
        with gr.Accordion("Advanced", open=False), gr.Row():
            seed = gr.Number(0, precision=0, label="Seed", info="The same seed and data give the same adapter.")
            steps = gr.Number(
                None, precision=0, label="Steps", info="Empty: as many as the preset's passes and minutes allow."
            )
        start = gr.Button("Start training", variant="primary")
    with gr.Column(visible=False) as watching:
        with gr.Row():
            run = gr.Dropdown([], label="Run", allow_custom_value=True, scale=3)
            stop = gr.Button("Stop and keep what is learned", interactive=False)
            resume = gr.Button("Resume", interactive=False)
        status = gr.HTML(padding=False)
        curve = gr.LinePlot(x="step", y="loss", label="Loss, averaged over the last 20 steps", height=260, buttons=[])
        log = gr.Textbox(label="Last lines of its log", interactive=False, visible=False, max_lines=14)
        listed = table(RUN_HEAD, label="Runs")
    timer = gr.Timer(IDLE_S)
    seen = gr.State("")  # what this page shows already, so that nothing is drawn twice
    live = [watching, status, curve, log, listed, stop, resume, seen, timer]

    def watched(run_id: str | None, shown: str) -> dict[Any, Any]:
        found = jobs.list_jobs(workspace.runs_dir)
        pace_s = BUSY_S if any(job.state == "running" for job in found) else IDLE_S
        job = next((job for job in found if job.id == run_id), found[0] if found else None)
        if job is None:
            return {watching: gr.update(visible=False)}
        now = "/".join(f"{other.id} {other.state} {other.progress}" for other in found) + job.id
        if now == shown:
            return {seen: shown}
        points = loss_points(jobs.read_metrics(Path(job.folder)))
        return {
            watching: gr.update(visible=True),
            status: pace(int(job.progress.get("step") or 0), int(job.progress.get("steps") or 1), in_words(job)),
            curve: gr.update(value=points, visible=len(points) > 1),
            log: gr.update(value="\n".join(job.log_tail), visible=job.state in ("failed", "died")),
            listed: run_rows(found),
            stop: gr.update(interactive=job.state == "running"),
            resume: gr.update(interactive=job.state in ("stopped", "died", "failed")),
            seen: now,
            timer: gr.Timer(pace_s),
        }

    def chosen_run(job: Job) -> dict[Any, Any]:
        return {run: gr.update(choices=_choices(workspace), value=job.id), **watched(job.id, "")}

    @handles(
        start.click,
        inputs=[dataset, adapter, preset, seed, steps, mode, method],
        outputs=[run, *live],
        api_name="train",
        concurrency_limit=1,
    )
    def begin(
        title: str | None, name: str, cost: Preset, number: float | None, most: float | None, how: Mode, way: Method
    ) -> dict[Any, Any]:
        if not title:
            raise InvalidInput("Choose a dataset version first.")
        extra = {"max_steps": int(most)} if most else {}
        chosen = {"adapter": name.strip(), "dataset": title, "seed": int(number or 0), "mode": how, "method": way}
        config = with_preset(cost, **chosen, **extra)
        if config.method == "sft":
            return chosen_run(workspace.train(config))
        job, found = workspace.prefer(config)
        tell(account_of(config, found))
        return chosen_run(job)

    @handles(stop.click, inputs=run, outputs=live, api_name="stop")
    def halt(run_id: str) -> dict[Any, Any]:
        job = jobs.stop(Path(workspace.job(run_id).folder))
        tell(f"{job.title} finishes its step and saves the adapter.")
        return watched(job.id, "")

    @handles(resume.click, inputs=run, outputs=[run, *live], api_name="resume", concurrency_limit=1)
    def go_on(run_id: str) -> dict[Any, Any]:
        return chosen_run(jobs.resume(Path(workspace.job(run_id).folder)))

    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    timer.tick(shown_to_user(watched), [run, seen], live, concurrency_limit=20, **quiet)
    run.input(lambda run_id: watched(run_id, ""), run, live, **quiet)
    dataset.input(lambda title: free_name(workspace, title), dataset, adapter, **quiet)

    def show() -> dict[Any, Any]:
        titles = [version.title for version in workspace.store.datasets()]
        choices = _choices(workspace)
        newest = choices[0][1] if choices else None
        return {
            empty: gr.update(visible=not titles),
            body: gr.update(visible=bool(titles)),
            dataset: gr.update(choices=titles, value=titles[0] if titles else None),
            adapter: free_name(workspace, titles[0] if titles else ""),
            run: gr.update(choices=choices, value=newest),
            **watched(newest, ""),
        }

    return Part([empty, body, dataset, adapter, run, *live], show, [], [begin.success, go_on.success, status.change])


def free_name(workspace: Workspace, title: str | None) -> str:
    """A name for the next adapter that is not taken: "leave-1", then "leave-1b", …"""
    stem = (title or "").replace(":", "-")
    taken = set(workspace.model_names())
    return next(name for letter in ("", *"bcdefghijklmnopqrstuvwxyz", "-new") if (name := stem + letter) not in taken)


def in_words(job: Job) -> str:
    """One line on a run: where it is, how fast, how long still, or how it ended."""
    said = job.progress
    if job.state == "died":
        return f"{job.title}: its process is gone without a last word. Resume it, or start again."
    if job.state != "running":
        return f"{job.title}: {job.state}. {said.get('message', '')}"
    if not said.get("steps"):
        return f"{job.title}. {said.get('message', '')}"
    parts = [f"{job.title}: step {said.get('step', 0)} of {said['steps']}"]
    if said.get("loss") is not None:
        parts.append(f"loss {said['loss']:.3f}")
    if said.get("tokens_per_s"):
        parts.append(f"{said['tokens_per_s']:.0f} tokens/s")
    if said.get("eta_s") is not None:
        parts.append(f"about {_minutes(said['eta_s'])} left")
    return ", ".join(parts) + (f". {said['message']}" if said.get("message") else "")


def _choices(workspace: Workspace) -> list[tuple[str, str]]:
    return [(f"{job.title} ({job.state})", job.id) for job in jobs.list_jobs(workspace.runs_dir)]


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"

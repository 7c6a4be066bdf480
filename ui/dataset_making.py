"""Dataset, making: files in, a generation started as a job, and its funnel watched from any browser while it fills."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from engine import datasets, jobs
from engine.documents import SUFFIXES
from engine.documents.gather import Gathered
from engine.errors import InvalidInput, NotFound
from engine.generation import GenerationConfig, read_config
from engine.notes import notes_on
from engine.records import DatasetVersion, Document, Job
from engine.teaching import estimate_of
from engine.watching import Watch
from engine.workspace import Workspace
from engine.writing import WRITER, is_built
from ui.bars import funnel
from ui.errors import handles, shown_to_user, tell
from ui.journey import note
from ui.tables import pace

BUSY_S, IDLE_S = 1.0, 8.0
SAMPLE = "leave"
LEFT_OUT, NOTED = "Left out: ", "Note: "
RULES_WRITE = [("The embedded rules (no model needed)", "")]
if is_built():
    RULES_WRITE.append(("The embedded rules and question writer (minutes, not seconds)", WRITER))
NOBODY_JUDGES = [("Nobody", "")]
TEACHERS = "Or a model: ollama:TAG, openai:NAME@URL."
JUDGES = (
    "A model that reads each row beside its source. It may reject only if it passes an exam of planted errors first."
)
OUTLIVES = "It goes on when this page is closed, and every browser sees the same. Stop keeps the rows made so far."


@dataclass(frozen=True)
class Form:
    """What a new dataset is to be made of."""

    box: gr.Accordion
    files: gr.File
    name: gr.Textbox
    mask: gr.Checkbox
    make: gr.Button
    teacher: gr.Dropdown
    judge: gr.Dropdown
    estimate: gr.Button


@dataclass(frozen=True)
class Making:
    """What the rest of the tab needs of it: where it writes, and when a version was finished."""

    outputs: Sequence[Any]
    show: Callable[[], Mapping[Any, Any]]
    finished: gr.State  # the newest finished version's title; changes when one is finished
    said: gr.Textbox
    changed: Sequence[Callable[..., Any]]


def build(workspace: Workspace) -> Making:
    """Lay it out where the caller stands: the files to drop, then what is being made."""
    form = _form()
    said = gr.Textbox(label="What happened", interactive=False, visible=False, max_lines=12, elem_id="dataset-said")
    with gr.Column(visible=False, elem_id="dataset-making") as watching:
        chosen = gr.Dropdown([], label="In the making", allow_custom_value=True, visible=False)
        status = gr.HTML(padding=False, elem_id="dataset-status")
        filling = gr.HTML(padding=False, elem_id="dataset-funnel")
        log = gr.Textbox(label="Last lines of its log", interactive=False, visible=False, max_lines=14)
        with gr.Row():
            stop = gr.Button("Stop", min_width=110, elem_id="dataset-stop")
            resume = gr.Button("Resume", min_width=110, elem_id="dataset-resume")
            discard = gr.Button("Discard", min_width=110, elem_id="dataset-discard")
        gr.HTML(note(OUTLIVES), padding=False)
    timer = gr.Timer(IDLE_S)
    seen = gr.State("")  # what this page shows already, so that nothing is drawn twice
    finished = gr.State("")
    live = [watching, chosen, status, filling, log, stop, resume, discard, seen, finished, timer]

    def watched(job_id: str | None, shown: str) -> dict[Any, Any]:
        versions = workspace.store.datasets()
        newest = {finished: versions[0].title if versions else ""}
        found = unfinished(workspace)
        if not found:
            return {watching: gr.update(visible=False), seen: "", timer: gr.Timer(IDLE_S), **newest}
        job = next((job for job in found if job.id == job_id), found[0])
        version = version_of(workspace, job)
        now = f"{[(other.id, other.state) for other in found]} {job.id} {job.progress} {version and version.counts}"
        if now == shown:
            return {seen: shown, **newest}
        step, steps = int(job.progress.get("step") or 0), int(job.progress.get("steps") or 1)
        busy = any(other.state == "running" for other in found)
        return {
            watching: gr.update(visible=True),
            chosen: gr.update(
                choices=[(_named(other), other.id) for other in found], value=job.id, visible=len(found) > 1
            ),
            status: pace(step, steps, in_words(job)),
            filling: funnel(version, workspace.store.rejections(version.id), about=steps) if version else "",
            log: gr.update(
                value="\n".join(job.log_tail), visible=job.state in ("failed", "died") and bool(job.log_tail)
            ),
            stop: gr.update(interactive=job.state == "running"),
            resume: gr.update(interactive=job.state != "running" and version is not None and not busy),
            discard: gr.update(interactive=job.state != "running"),
            seen: now,
            timer: gr.Timer(BUSY_S if busy else IDLE_S),
            **newest,
        }

    def generate(
        paths: list[str] | None,
        named: str,
        masking: bool,
        teacher: str | None,
        judge: str | None,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> dict[Any, Any]:
        datasets.check_name(named.strip())
        for model in filter(None, ("" if teacher == WRITER and is_built() else teacher, judge)):
            workspace.model(model)  # a name that means nothing is told before anything is read
        read = workspace.add_files([Path(path) for path in paths or []], masking=masking, watch=watcher(progress))
        job = start(workspace, named.strip(), read.documents, teacher=teacher or "", judge=judge or "")
        begun = f"{job.title} has begun, from {', '.join(document.name for document in read.documents)}."
        lines = [begun, *what_was_read(read)]
        return {said: gr.update(value="\n".join(lines), visible=True), form.files: None, **watched(job.id, "")}

    begun = handles(
        form.make.click,
        inputs=[form.files, form.name, form.mask, form.teacher, form.judge],
        outputs=[said, form.files, *live],
        api_name="generate",
        concurrency_limit=1,
        concurrency_id="generate",
        show_progress_on=said,
    )(generate)
    _wire_estimate(workspace, form, said)

    @handles(stop.click, inputs=chosen, outputs=live, api_name="stop_generation")
    def halt(job_id: str) -> dict[Any, Any]:
        job = jobs.stop(Path(workspace.job(job_id).folder))
        tell(f"{job.title} stops after the rows at hand.")
        return watched(job.id, "")

    @handles(resume.click, inputs=chosen, outputs=live, api_name="resume_generation", concurrency_limit=1)
    def go_on(job_id: str) -> dict[Any, Any]:
        return watched(jobs.resume(Path(workspace.job(job_id).folder)).id, "")

    @handles(discard.click, inputs=chosen, outputs=live, api_name="discard_generation", concurrency_limit=1)
    def forget(job_id: str) -> dict[Any, Any]:
        workspace.discard(job_id)
        return watched(None, "")

    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    timer.tick(shown_to_user(watched), [chosen, seen], live, concurrency_limit=20, **quiet)
    chosen.input(shown_to_user(lambda job_id: watched(job_id, "")), chosen, live, **quiet)
    changed = [begun.success, go_on.success, forget.success, status.change]

    def show() -> dict[Any, Any]:
        now = watched(None, "")
        return {**now, form.box: gr.update(open=not now[finished] and not unfinished(workspace))}

    return Making([form.box, said, *live], show, finished, said, changed)


def _wire_estimate(workspace: Workspace, form: Form, said: gr.Textbox) -> None:
    def estimate(paths: list[str] | None, masking: bool, teacher: str | None) -> dict[Any, Any]:
        if not teacher:
            raise InvalidInput("Choose a teacher first: the embedded rules cost nothing.")
        read = workspace.add_files([Path(path) for path in paths or []], masking=masking)
        config = GenerationConfig("estimate", tuple(document.id for document in read.documents), teacher=teacher)
        lines = [f"The teacher: {estimate_of(workspace, config, read.documents)}", *what_was_read(read)]
        return {said: gr.update(value="\n".join(lines), visible=True)}

    inputs = [form.files, form.mask, form.teacher]
    handles(form.estimate.click, inputs=inputs, outputs=said, api_name="estimate", concurrency_limit=1)(estimate)


def _form() -> Form:
    with gr.Accordion("New dataset, from your documents", open=True) as box:
        with gr.Row():
            files = gr.File(
                label="Documents: PDF, Word, HTML, Markdown, text, or a zip of them",
                file_count="multiple",
                file_types=[*sorted(SUFFIXES), ".zip"],
                height=150,
                scale=2,
            )
            with gr.Column():
                name = gr.Textbox(
                    label="Dataset name",
                    value="policies",
                    max_lines=1,
                    info="A name used before gets its next version.",
                )
                mask = gr.Checkbox(
                    label="Mask personal data", info="Names in running text stay; contact details and the like go."
                )
                make = gr.Button("Generate", variant="primary")
        with gr.Accordion("Who writes and who judges", open=False):
            with gr.Row():
                teacher = gr.Dropdown(RULES_WRITE, value="", label="Teacher", info=TEACHERS, allow_custom_value=True)
                judge = gr.Dropdown(NOBODY_JUDGES, value="", label="Judge", info=JUDGES, allow_custom_value=True)
            estimate = gr.Button("Estimate the teacher's work (asks it twice)", size="sm")
    return Form(box, files, name, mask, make, teacher, judge, estimate)


def start(workspace: Workspace, name: str, documents: Sequence[Document], *, teacher: str = "", judge: str = "") -> Job:
    """Begin the next version of `name` in a process of its own."""
    ids = tuple(document.id for document in documents)
    return workspace.generate(documents, GenerationConfig(name, ids, teacher=teacher, judge=judge))


def load_sample(workspace: Workspace) -> Job:
    """The sample policy, read; a dataset version named "leave" begun from it."""
    return start(workspace, SAMPLE, [workspace.add_sample()])


def watcher(progress: gr.Progress) -> Watch:
    """The engine's way to report progress, shown as gradio's bar."""
    return lambda what, done, total: progress((done, total), desc=what)


def what_was_read(read: Gathered) -> list[str]:
    """What was left out and why, and what to know of the rest, a line each."""
    return [
        *(f"{LEFT_OUT}{sentence}" for sentence in read.refused),
        *(f"{NOTED}{note}" for document in read.documents for note in notes_on(document)),
    ]


def unfinished(workspace: Workspace) -> list[Job]:
    """Generations that run, then those that can be continued or whose failure is still to be read, newest first."""
    found = [job for job in jobs.list_jobs(workspace.generations_dir) if job.state != "done"]
    return sorted(found, key=lambda job: job.state != "running")


def version_of(workspace: Workspace, job: Job) -> DatasetVersion | None:
    """The version that a generation fills, with its counts so far; None once it was taken back."""
    try:
        return workspace.store.dataset_by_id(read_config(Path(job.folder))[0])
    except NotFound:
        return None


def in_words(job: Job) -> str:
    """One line on a generation: where it is, how fast, how long still, or how it ended."""
    said = job.progress
    if job.state == "died":
        return f"{job.title}: its process is gone without a last word. Resume it: no row comes twice, none is missing."
    if job.state != "running":
        return f"{job.title}: {job.state}. {said.get('message', '')}"
    if not said.get("steps"):
        return f"{job.title}. {said.get('message', '')}".strip()
    parts = [f"{job.title}: {said.get('step', 0):,} of about {said['steps']:,} rows"]
    if said.get("rows_per_s"):
        parts.append(f"{said['rows_per_s']:.0f} rows/s")
    if said.get("eta_s") is not None:
        parts.append(f"about {_minutes(said['eta_s'])} left")
    return ", ".join(parts)


def _named(job: Job) -> str:
    return f"{job.title} ({job.state})"


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"

"""Dataset, exchange: a version handed out in the format another tool trains on, and a file of rows taken in."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import gradio as gr

from engine import datasets
from engine.errors import InvalidInput
from engine.exchange import Format
from engine.exchange.exporting import Part, export_version, kept_rows
from engine.exchange.importing import Imported, import_files
from engine.tasks import task_named
from engine.tasks.policy_qa import POLICY_QA
from engine.workspace import Workspace
from ui.errors import handles
from ui.preferences import reasons, vote_lines

Offered = Format | Literal["rows"]
FORMATS: dict[Offered, str] = {
    "rows": "Every kept row: chat messages or a bare text, with lineage (JSONL)",
    "chat": "Chat messages, with lineage (JSONL)",
    "prompt": "Prompt and completion (JSONL)",
    "alpaca": "Alpaca: instruction, input, output (JSONL)",
    "openai": "OpenAI fine-tuning (JSONL)",
    "hf": "Hugging Face datasets folder (zip)",
    "csv": "CSV for a spreadsheet",
}
PARTS: dict[Part, str] = {
    "all": "All kept rows",
    "train": "To train",
    "probe": "Held out: new wording",
    "test": "Held out: new fact",
}
ZIPPED: tuple[Offered, ...] = ("alpaca", "openai", "hf")
SUFFIX: dict[Offered, str] = dict.fromkeys(FORMATS, ".jsonl") | {"csv": ".csv", "hf": ""}
VOTES = {
    "dpo": "Pairs: the better answer and the other (DPO)",
    "kto": "Single answers, wanted or not (KTO)",
    "sft": "Better answers and repairs (SFT)",
    "raw": "Everything as it was given",
}
BARE = "Most formats have no place for a bare statement and leave it out; the first keeps all."
MOST_SHOWN = 12


def build_download(workspace: Workspace, chosen: gr.Dropdown) -> None:
    """The form for handing out, where the caller stands; the browser fetches the file as soon as it is written."""
    with gr.Accordion("Download", open=False), gr.Row():
        form = gr.Dropdown([(title, name) for name, title in FORMATS.items()], value="rows", label="Format", info=BARE)
        part = gr.Dropdown([(title, name) for name, title in PARTS.items()], value="all", label="Which rows")
        download = gr.Button("Download", min_width=120)
    fetched = gr.DownloadButton("The file", elem_classes="offstage", elem_id="dataset-file")

    def write(title: str | None, wanted: Offered, which: Part) -> dict[Any, Any]:
        return {fetched: str(file_of(workspace, title or "", wanted, which))}

    written = handles(
        download.click, inputs=[chosen, form, part], outputs=fetched, api_name="export", concurrency_limit=2
    )(write)
    written.success(None, js="() => document.querySelector('#dataset-file').click()", api_visibility="private")


def build_votes(workspace: Workspace) -> None:
    """The form for handing out what people voted, where the caller stands; what gives no row is told with its reason."""
    with gr.Accordion("Download the votes", open=False):
        with gr.Row():
            shape = gr.Dropdown([(title, name) for name, title in VOTES.items()], value="dpo", label="As", scale=2)
            download = gr.Button("Download", min_width=120)
        said = gr.Textbox(label="What was written", interactive=False, visible=False, max_lines=8)
    fetched = gr.DownloadButton("The file", elem_classes="offstage", elem_id="votes-file")

    def write(wanted: str) -> dict[Any, Any]:
        lines, left_out = vote_lines(workspace, wanted, POLICY_QA.name)
        path = exports(workspace) / f"votes-{wanted}.jsonl"
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        account = "\n".join([f"{len(lines)} rows in {path.name}.", *reasons(left_out)])
        return {fetched: str(path), said: gr.update(value=account, visible=True)}

    written = handles(
        download.click, inputs=shape, outputs=[fetched, said], api_name="export_votes", concurrency_limit=1
    )(write)
    written.success(None, js="() => document.querySelector('#votes-file').click()", api_visibility="private")


def build_import(workspace: Workspace, said: gr.Textbox) -> Callable[..., Any]:
    """The form for taking in, where the caller stands. Returns the trigger that follows a version made so."""
    with gr.Accordion("Import rows from a file", open=False), gr.Row():
        files = gr.File(
            label="JSONL, JSON or CSV with questions and answers", file_count="multiple", height=130, scale=2
        )
        with gr.Column():
            name = gr.Textbox(label="Dataset name", value="imported", max_lines=1)
            take = gr.Button("Import")

    def take_in(paths: list[str] | None, named: str) -> dict[Any, Any]:
        datasets.check_name(named.strip())
        if not paths:
            raise InvalidInput("No file was chosen. Drop one or more files first.")
        done = import_files(
            workspace.store, named.strip(), [Path(path) for path in paths], task=POLICY_QA, now=workspace.now()
        )
        return {said: gr.update(value="\n".join(account_of(done)), visible=True), files: None}

    taken = handles(
        take.click,
        inputs=[files, name],
        outputs=[said, files],
        api_name="import",
        concurrency_limit=1,
        concurrency_id="generate",
    )(take_in)
    return taken.success


def file_of(workspace: Workspace, title: str, wanted: Offered, which: Part) -> Path:
    """
    The version in that format as one file: a zip where it is a folder, or where lineage stands in a file beside it.

    Written once, for a version never changes. Raises what `export_version` raises.
    """
    version = workspace.store.dataset(title)
    folder = exports(workspace) / f"{version.name}-{version.number}-{which}-{wanted}"
    out = folder / f"{version.name}-{version.number}{SUFFIX[wanted]}"
    final = folder.with_suffix(".zip") if wanted in ZIPPED else out
    if not final.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        if wanted == "rows":
            lines = datasets.export_rows(kept_rows(workspace.store, version, which), task_named(version.task))
            out.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        else:
            export_version(workspace.store, version, out, task=task_named(version.task), format=wanted, part=which)
        if final != out:
            shutil.make_archive(str(folder), "zip", folder)
    return final


def account_of(done: Imported) -> list[str]:
    """What came of an import: the version, how each file was read, what is odd, and each reason with its lines."""
    counts = done.version.counts
    read_as = ", ".join(f"{name} as {form}" for name, form in done.formats.items())
    reasons: dict[tuple[str, str], list[int]] = {}
    for refused in done.refused:
        reasons.setdefault((refused.reason, refused.file), []).append(refused.line)
    return [
        f"{done.version.title}, from {read_as}: {counts['proposed']} rows = {counts['kept']} kept + "
        f"{counts['rejected']} rejected + {counts['failed']} failed.",
        *(f"Note: {note}" for note in done.notes),
        *(f"{len(lines)} not kept: {why} {file}, line {_some(lines)}" for (why, file), lines in reasons.items()),
    ]


def _some(lines: Sequence[int]) -> str:
    return ", ".join(map(str, lines[:MOST_SHOWN])) + (" …" if len(lines) > MOST_SHOWN else "")


def exports(workspace: Workspace) -> Path:
    """The one folder of the workspace from which the page hands out files."""
    folder = workspace.settings.workspace / "exports"
    folder.mkdir(exist_ok=True)
    return folder

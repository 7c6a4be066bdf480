"""Dataset: documents in, a gated and split version out; every row, kept or not, with the words it rests on."""

from pathlib import Path
from typing import Any

import gradio as gr

from engine import datasets, generation
from engine.battles import CHOICES
from engine.documents import SUFFIXES
from engine.errors import InvalidInput, NotFound
from engine.records import DatasetVersion, LedgerRow, RowState, Split
from engine.tasks import task_named
from engine.tasks.policy_qa import POLICY_QA
from engine.watching import Watch
from engine.workspace import Workspace
from ui.errors import handles
from ui.journey import Part
from ui.tables import COVERAGE_HEAD, ROW_HEAD, coverage_rows, funnel_rows, highlighted, ledger_rows, place, table

PAGE = 25
SAMPLE = "leave"
Shown = tuple[str, RowState | None, Split | None, str]
FILTERS: dict[str, Shown] = {
    "all": ("All", None, None, "proposed"),
    "train": ("To train", "kept", "train", "train"),
    "probe": ("Held out: new wording", "kept", "probe", "probe"),
    "test": ("Held out: new fact", "kept", "test", "test"),
    "rejected": ("Rejected", "rejected", None, "rejected"),
    "failed": ("Failed", "failed", None, "failed"),
}


def build(workspace: Workspace) -> Part:
    """Lay the tab out where the caller stands. The table reads one page of the ledger at a time."""
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
                label="Dataset name", value="policies", max_lines=1, info="A name used before gets its next version."
            )
            make = gr.Button("Generate", variant="primary")
    said = gr.Textbox(label="What happened", interactive=False, visible=False, max_lines=12, elem_id="dataset-said")
    with gr.Column(visible=False) as body:
        with gr.Row():
            chosen = gr.Dropdown([], label="Version", allow_custom_value=True, scale=2)
            following = gr.Button("Next version from votes and labels")
            download = gr.Button("Download as JSONL")
        fetched = gr.DownloadButton("The file", elem_classes="offstage", elem_id="dataset-file")
        with gr.Row():
            funnel = table(["Rows", "Count"], label="From proposed to kept", widths=["80%", "20%"], max_height=320)
            coverage = table(COVERAGE_HEAD, label="Facts found per clause", widths=["80%", "20%"], max_height=320)
        which = gr.Radio([(shown[0], key) for key, shown in FILTERS.items()], value="all", label="Rows")
        rows = table(
            ["#", *ROW_HEAD],
            label="Select a row to see the words it rests on",
            elem_id="dataset-rows",
            widths=["6%", "28%", "30%", "9%", "11%", "16%"],
            max_height=420,
        )
        with gr.Row():
            back = gr.Button("Previous page", size="sm")
            where = gr.Textbox(show_label=False, label="Page", interactive=False, container=False, text_align="left")
            forth = gr.Button("Next page", size="sm")
        passage = gr.HighlightedText(
            label="Its passage, with the evidence marked",
            color_map={"evidence": "#0d9488"},
            show_inline_category=False,
            show_whitespaces=False,
            elem_classes="evidence",
            visible=False,
        )
    page = gr.State(0)
    view = [funnel, coverage, rows, where, page, passage]

    def shown(title: str | None, key: str, number: int) -> dict[Any, Any]:
        if not title:
            return {page: 0}
        version = workspace.store.dataset(title)
        _, state, split, counted = FILTERS[key]
        pages = max(1, -(-version.counts[counted] // PAGE))
        number = min(max(0, number), pages - 1)
        found = workspace.store.rows(version.id, state=state, split=split, offset=number * PAGE, limit=PAGE)
        numbered = [[str(n), *line] for n, line in enumerate(ledger_rows(found), start=number * PAGE + 1)]
        return {
            rows: gr.update(value=numbered or [[""] * (1 + len(ROW_HEAD))]),
            where: f"Page {number + 1} of {pages}, {version.counts[counted]} rows",
            page: number,
            passage: gr.update(visible=False),
        }

    def opened(title: str | None, key: str) -> dict[Any, Any]:
        if not title:
            return shown(title, key, 0)
        version = workspace.store.dataset(title)
        documents = [workspace.store.document(document_id) for document_id in version.documents]
        return {
            **shown(title, key, 0),
            funnel: funnel_rows(version, workspace.store.rejections(version.id)),
            coverage: coverage_rows(documents, workspace.store.facts(version.id)),
        }

    @handles(
        make.click,
        inputs=[files, name],
        outputs=[said, files],
        api_name="generate",
        concurrency_limit=1,
        concurrency_id="generate",
        show_progress_on=said,
    )
    def generate(paths: list[str] | None, named: str, progress: gr.Progress = gr.Progress()) -> dict[Any, Any]:  # noqa: B008
        datasets.check_name(named.strip())
        read = workspace.add_files([Path(path) for path in paths or []], watch=watcher(progress))
        version = generation.make_version(
            workspace.store, named.strip(), read.documents, task=POLICY_QA, now=workspace.now(), watch=watcher(progress)
        )
        return {
            said: gr.update(
                value="\n".join([summary(version), *(f"Left out: {sentence}" for sentence in read.refused)]),
                visible=True,
            ),
            files: None,
        }

    @handles(
        following.click,
        inputs=chosen,
        outputs=said,
        api_name="next_version",
        concurrency_limit=1,
        concurrency_id="generate",
    )
    def make_next(title: str | None) -> dict[Any, Any]:
        if not title:
            raise InvalidInput("There is no version yet. Generate one first.")
        version = datasets.next_version(workspace.store, workspace.store.dataset(title), now=workspace.now())
        return {said: gr.update(value="\n".join([summary(version), *came_in(workspace, version)]), visible=True)}

    @handles(download.click, inputs=chosen, outputs=fetched, api_name="export", concurrency_limit=2)
    def write(title: str | None) -> dict[Any, Any]:
        version = workspace.store.dataset(title or "")
        path = exports(workspace) / f"{version.name}-{version.number}.jsonl"
        kept = workspace.store.rows(version.id, state="kept")
        path.write_text(
            "".join(f"{line}\n" for line in datasets.export_rows(kept, task_named(version.task))), encoding="utf-8"
        )
        return {fetched: str(path)}

    @handles(rows.select, inputs=[chosen, which], outputs=passage, api_visibility="private", show_progress="hidden")
    def look(title: str, key: str, event: gr.SelectData) -> dict[Any, Any]:
        if not event.row_value or not str(event.row_value[0]).isdigit():
            return {passage: gr.update(visible=False)}
        _, state, split, _ = FILTERS[key]
        version = workspace.store.dataset(title)
        found = workspace.store.rows(version.id, state=state, split=split, offset=int(event.row_value[0]) - 1, limit=1)
        return {passage: evidence_of(workspace, found[0])}

    quiet = {"api_visibility": "private", "show_progress": "hidden"}
    chosen.change(opened, [chosen, which], view, **quiet)
    which.input(lambda title, key: shown(title, key, 0), [chosen, which], view, **quiet)
    back.click(lambda title, key, at: shown(title, key, at - 1), [chosen, which, page], view, **quiet)
    forth.click(lambda title, key, at: shown(title, key, at + 1), [chosen, which, page], view, **quiet)
    write.success(None, js="() => document.querySelector('#dataset-file').click()", api_visibility="private")

    def show(key: str = "all") -> dict[Any, Any]:
        versions = workspace.store.datasets()
        titles = [version.title for version in versions]
        newest = titles[0] if titles else None
        return {
            body: gr.update(visible=bool(versions)),
            chosen: gr.update(choices=titles, value=newest),
            **opened(newest, key),
        }

    outputs = [body, chosen, *view]
    for made in (generate, make_next):
        made.success(show, which, outputs, **quiet)
    return Part(outputs, show, [which], [generate.success, make_next.success])


def load_sample(workspace: Workspace, progress: gr.Progress) -> DatasetVersion:
    """The sample policy, read and made into a dataset version named "leave"."""
    document = workspace.add_sample()
    return generation.make_version(
        workspace.store, SAMPLE, [document], task=POLICY_QA, now=workspace.now(), watch=watcher(progress)
    )


def watcher(progress: gr.Progress) -> Watch:
    """The engine's way to report progress, shown as gradio's bar."""
    return lambda what, done, total: progress((done, total), desc=what, unit="rows")


def summary(version: DatasetVersion) -> str:
    """What came of it, with every row accounted for."""
    counts = version.counts
    return (
        f"{version.title}: {counts['proposed']} rows proposed = {counts['kept']} kept + {counts['rejected']} rejected + "
        f"{counts['failed']} failed. {counts['train']} to train, {counts['probe'] + counts['test']} held out."
    )


def came_in(workspace: Workspace, version: DatasetVersion) -> list[str]:
    """The votes and labels a version took in, a line each."""
    votes = set(version.recipe.get("votes") or ())
    titles = {choice: title for title, choice in CHOICES}
    lines = [
        f"Vote {vote.id} by {vote.rater}: {titles[vote.choice]}, on “{battle.question}”"
        for battle, vote in workspace.store.voted_battles()
        if vote.id in votes
    ]
    labels = version.recipe.get("labels") or ()
    return lines + ([f"{len(labels)} labels, numbers {', '.join(map(str, labels))}"] if labels else [])


def evidence_of(workspace: Workspace, row: LedgerRow) -> Any:
    """A row's passage with its evidence marked; a row without a passage says why it has none."""
    example = row.example
    try:
        passage = workspace.store.passage(example.passage_id)
    except NotFound:
        why = (
            "No passage answers this question: that is what the row teaches." if example.kind == "unanswerable" else ""
        )
        why = why or f"This row came from {example.origin} and stands on no passage."
        return gr.update(value=[(why, None)], label="No evidence", visible=True)
    return gr.update(value=highlighted(passage, example.evidence), label=place(passage), visible=True)


def exports(workspace: Workspace) -> Path:
    """The one folder of the workspace from which the page hands out files."""
    folder = workspace.settings.workspace / "exports"
    folder.mkdir(exist_ok=True)
    return folder

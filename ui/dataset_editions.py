"""Dataset, editions: a policy that changed, taken in clause by clause; and what tells one version from another."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from engine.comparing import Comparison, compare
from engine.documents import SUFFIXES
from engine.editions import Edition, FactChange, Replacement
from engine.errors import InvalidInput
from engine.updating import update_version
from engine.workspace import Workspace
from ui.dataset_making import watcher, what_was_read
from ui.errors import handles
from ui.tables import table

CHANGE_HEAD = ["Change", "Clause", "Before", "After"]
ROW_CHANGE_HEAD = ["Change", "What", "Question", "Before", "After"]
CHANGE_WIDTHS = ["100px", "200px", "375px", "375px"]
ROW_CHANGE_WIDTHS = ["100px", "150px", "270px", "265px", "265px"]
MOST_SHOWN = 200


def build_update(workspace: Workspace, chosen: gr.Dropdown, said: gr.Textbox) -> Callable[..., Any]:
    """A new edition of the chosen version's documents, where the caller stands. Returns the trigger of a version made so."""
    with gr.Accordion("A policy changed", open=False):
        with gr.Row():
            files = gr.File(
                label="The new edition, under the old file name or the same headings",
                file_count="multiple",
                file_types=[*sorted(SUFFIXES), ".zip"],
                height=130,
                scale=2,
            )
            make = gr.Button("Make the update", interactive=False)
        changes = table(
            CHANGE_HEAD, label="What changed, clause by clause", widths=CHANGE_WIDTHS, visible=False, max_height=360
        )

    def preview(paths: list[str] | None, title: str | None, progress: gr.Progress = gr.Progress()) -> dict[Any, Any]:  # noqa: B008
        if not paths:
            return {said: gr.skip(), changes: gr.update(visible=False), make: gr.update(interactive=False)}
        if not title:
            raise InvalidInput("There is no version to update yet. Generate one first.")
        found, read = workspace.edition_of(title, [Path(path) for path in paths], watch=watcher(progress))
        lines = [*(f"{one.new.name}: {replaces(one)}." for one in found.replacements), *what_was_read(read)]
        return {
            said: gr.update(value="\n".join([f"{counted(found)} Nothing is made yet.", *lines]), visible=True),
            changes: gr.update(value=change_rows(found), visible=True),
            make: gr.update(interactive=True),
        }

    def update(paths: list[str] | None, title: str | None, progress: gr.Progress = gr.Progress()) -> dict[Any, Any]:  # noqa: B008
        if not title:
            raise InvalidInput("There is no version to update yet. Generate one first.")
        watch = watcher(progress)
        read = workspace.add_files([Path(path) for path in paths or []], watch=watch)
        parent = workspace.store.dataset(title)
        version, found = update_version(workspace.store, parent, read.documents, now=workspace.now(), watch=watch)
        rows = ", ".join(f"{count} {name}" for name, count in version.recipe["update"]["rows"].items())
        lines = [f"{version.title}, from {title}: {counted(found)} Its rows: {rows}.", *what_was_read(read)]
        return {
            said: gr.update(value="\n".join(lines), visible=True),
            changes: gr.update(value=change_rows(found), visible=True),
            files: None,
            make: gr.update(interactive=False),
        }

    for changed, name in ((files.upload, "preview_update"), (files.clear, False)):
        handles(
            changed,
            inputs=[files, chosen],
            outputs=[said, changes, make],
            api_name=name,
            concurrency_limit=2,
            show_progress_on=said,
        )(preview)

    made = handles(
        make.click,
        inputs=[files, chosen],
        outputs=[said, changes, files, make],
        api_name="update",
        concurrency_limit=1,
        concurrency_id="generate",
        show_progress_on=said,
    )(update)
    return made.success


def build_comparison(workspace: Workspace, chosen: gr.Dropdown) -> gr.Dropdown:
    """The chosen version beside another, where the caller stands. Returns the field that names the other."""
    with gr.Row():
        other = gr.Dropdown(
            [],
            label="Compare with",
            info="Another version; make one first where there is none.",
            allow_custom_value=True,
        )
        show = gr.Button("Compare")
    told = gr.Textbox(label="In which they differ", interactive=False, visible=False)
    rows = table(ROW_CHANGE_HEAD, label="Rows", widths=ROW_CHANGE_WIDTHS, visible=False, max_height=420)
    facts = table(CHANGE_HEAD, label="Facts", widths=CHANGE_WIDTHS, visible=False, max_height=320)

    def tell(title: str | None, beside: str | None) -> dict[Any, Any]:
        if not title or not beside:
            raise InvalidInput("Choose two versions first.")
        store = workspace.store
        old, new = store.dataset(beside), store.dataset(title)
        found = compare(store.rows(old.id), store.rows(new.id), store.facts(old.id), store.facts(new.id))
        return {
            told: gr.update(value=in_short(found, old.title, new.title), visible=True),
            rows: gr.update(value=row_rows(found), visible=bool(found.rows)),
            facts: gr.update(
                value=[fact_row(change) for change in found.facts[:MOST_SHOWN]], visible=bool(found.facts)
            ),
        }

    handles(show.click, inputs=[chosen, other], outputs=[told, rows, facts], api_name="compare", concurrency_limit=2)(
        tell
    )
    return other


def in_short(found: Comparison, old: str, new: str) -> str:
    """From the older to the newer version, in one line."""
    counts = ", ".join(f"{len(found.of_sort(sort))} {sort}" for sort in ("added", "removed", "changed"))
    shown = f" The first {MOST_SHOWN} are shown." if len(found.rows) > MOST_SHOWN else ""
    return f"From {old} to {new}: rows {counts}, {found.same_rows} the same; {len(found.facts)} facts differ.{shown}"


def row_rows(found: Comparison) -> list[list[str]]:
    """Each row that differs, as both versions have it."""
    return [
        [
            change.sort,
            change.what,
            change.row.example.question or "(statement)",
            change.old.example.answer if change.old else "",
            change.new.example.answer if change.new else "",
        ]
        for change in found.rows[:MOST_SHOWN]
    ]


def counted(found: Edition) -> str:
    """What a new edition does to the facts, in one sentence."""
    told = ", ".join(f"{count} {kind}" for kind, count in found.counts.items() if count)
    return f"Facts: {told}."


def replaces(one: Replacement) -> str:
    """Whose place a file takes, and how that was known."""
    return f"a new edition of {one.old.name} ({one.reason})" if one.old else one.reason


def change_rows(found: Edition) -> list[list[str]]:
    """The facts that are not as they were, the first of them."""
    return [fact_row(change) for change in found.changes if change.kind != "unchanged"][:MOST_SHOWN]


def fact_row(change: FactChange) -> list[str]:
    """One fact as both editions say it."""
    return [
        change.kind,
        change.clause,
        change.old.statement if change.old else "",
        change.new.statement if change.new else "",
    ]

"""Dataset: documents in, a gated and split version out; what is in a version, where it comes from, and what people say of it."""

from collections.abc import Mapping
from typing import Any

import gradio as gr

from engine import datasets
from engine.battles import CHOICES
from engine.errors import InvalidInput
from engine.records import DatasetVersion
from engine.workspace import Workspace
from ui import dataset_document, dataset_editions, dataset_exchange, dataset_making, dataset_rows
from ui.bars import balance, funnel
from ui.dataset_document import Panel
from ui.errors import handles, shown_to_user
from ui.journey import Part, note, nothing_yet
from ui.rater import rater_field

QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}


def build(workspace: Workspace, kept: gr.BrowserState) -> Part:
    """Lay the tab out where the caller stands: what is being made, then one version seen from three sides."""
    making = dataset_making.build(workspace)
    taken = dataset_exchange.build_import(workspace, making.said)
    empty = nothing_yet("There is no dataset yet. Next: drop your documents above and press Generate.")
    with gr.Column(visible=False) as body:
        with gr.Row():
            chosen = gr.Dropdown([], label="Version", allow_custom_value=True, scale=2, min_width=180)
            rater = rater_field(kept)
            with gr.Column(min_width=220):
                following = gr.Button("Next version from votes and labels", size="sm")
        updated = dataset_editions.build_update(workspace, chosen, making.said)
        dataset_exchange.build_download(workspace, chosen)
        dataset_exchange.build_votes(workspace)
        with gr.Tabs():
            with gr.Tab("Rows"):
                rows = dataset_rows.build(workspace, chosen, rater)
            with gr.Tab("Document"):
                document = dataset_document.build(workspace, chosen)
            with gr.Tab("Balance"):
                overview = _overview(workspace, chosen)
            with gr.Tab("Compare"):
                other = dataset_editions.build_comparison(workspace, chosen)
    panels = (rows, document, overview)
    view = [component for panel in panels for component in panel.outputs]
    outputs = [*making.outputs, empty, body, chosen, other, rater, *view]

    def opened(title: str | None) -> dict[Any, Any]:
        return (
            {key: value for panel in panels for key, value in panel.opened(title).items()} if title else {chosen: title}
        )

    def show(name: str) -> dict[Any, Any]:
        versions = workspace.store.datasets()
        newest = versions[0].title if versions else None
        return {
            **making.show(),
            empty: gr.update(visible=not versions and not dataset_making.unfinished(workspace)),
            body: gr.update(visible=bool(versions)),
            chosen: gr.update(choices=[version.title for version in versions], value=newest),
            other: gr.update(
                choices=(titles := [version.title for version in versions]), value=titles[1] if titles[1:] else None
            ),
            rater: name or "",
            **opened(newest),
        }

    def on_finished(newest: str, shown: str | None, said: str | None, row_id: str, name: str) -> dict[Any, Any]:
        """A version was finished, here or elsewhere: show it, unless someone reads a row of another one."""
        if not newest or newest == shown:
            return {chosen: gr.skip()}
        lines = [
            line
            for line in (said or "").splitlines()
            if line.startswith((dataset_making.LEFT_OUT, dataset_making.NOTED))
        ]
        told = gr.update(value="\n".join([summary(workspace.store.dataset(newest)), *lines])) if said else gr.skip()
        if row_id:
            return {making.said: told, chosen: gr.update(choices=[v.title for v in workspace.store.datasets()])}
        return {**show(name), making.said: told}

    def make_next(title: str | None) -> dict[Any, Any]:
        if not title:
            raise InvalidInput("There is no version yet. Generate one first.")
        version = datasets.next_version(workspace.store, workspace.store.dataset(title), now=workspace.now())
        lines = [summary(version), *came_in(workspace, version)]
        return {making.said: gr.update(value="\n".join(lines), visible=True)}

    next_made = handles(
        following.click, inputs=chosen, outputs=making.said, api_name="next_version", concurrency_limit=1
    )(make_next)
    for made in (next_made.success, taken, updated):
        made(shown_to_user(show), kept, outputs, **QUIET)
    chosen.input(shown_to_user(opened), chosen, [chosen, *view], **QUIET)
    seen = [making.finished, chosen, making.said, rows.open_row, kept]
    making.finished.change(shown_to_user(on_finished), seen, outputs, **QUIET)
    return Part(outputs, show, [kept], [*making.changed, next_made.success, taken, updated, making.finished.change])


def _overview(workspace: Workspace, chosen: gr.Dropdown) -> Panel:
    """The funnel of a finished version, and the balance of its kept rows."""
    filled = gr.HTML(padding=False, elem_id="dataset-overview")
    helped = gr.HTML(padding=False)
    kept = gr.HTML(padding=False)

    def opened(title: str) -> Mapping[Any, Any]:
        version = workspace.store.dataset(title)
        return {
            filled: funnel(version, workspace.store.rejections(version.id)),
            helped: "".join(map(note, who_helped(version.recipe))),
        }

    def weighed(title: str | None) -> str:
        return balance(workspace.store.balance(workspace.store.dataset(title).id)) if title else ""

    filled.change(shown_to_user(weighed), chosen, kept, **QUIET)  # afterwards: it reads every row of the version
    return Panel([filled, helped], opened)


def who_helped(recipe: Mapping[str, Any]) -> list[str]:
    """Who wrote and judged the rows: a teacher's valid answers, a judge's exam and whether it may reject, a line each."""
    lines = [f"Written by {recipe['generator']}."] if recipe.get("generator") else []
    if teacher := recipe.get("teacher"):
        lines.append(
            f"Teacher {teacher['model']}: {teacher['calls']} answers, {teacher['valid']} of them valid by the schema "
            f"before repair, {teacher['tokens_out']:,} tokens written."
        )
    if judge := recipe.get("judge"):
        rows = judge["rows"]
        lines.append(
            f"Judge {judge['judge']}: caught {judge['caught']} of {judge['planted']} planted errors, rejected "
            f"{judge['wrongly_rejected']} of {judge['good']} good rows; so it {'gates' if judge['may_gate'] else 'only advises'}. "
            f"Of {rows.get('judged', 0)} rows it read it doubts {rows.get('doubted', 0)}."
        )
    return lines


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

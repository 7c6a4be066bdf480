"""Label: one row after the other, beside the words it rests on, judged right or not. Queues and agreement come later."""

from functools import partial
from typing import Any

import gradio as gr

from engine import labels
from engine.errors import InvalidInput
from engine.records import LedgerRow
from engine.workspace import Workspace
from ui.dataset_row import evidence_of
from ui.errors import shown_to_user
from ui.journey import Part, note, nothing_yet
from ui.rater import rater_field

TITLES = {
    "right": "Right",
    "wrong": "Wrong",
    "should_refuse": "Should refuse",
    "should_not_refuse": "Should not refuse",
    "unclear": "Unclear",
}
TODAY = "Today: each rater judges every kept row once, in one order; the next dataset version takes the labels in."


def build(workspace: Workspace, kept: gr.BrowserState) -> Part:
    """Lay the tab out where the caller stands. The row on screen is the rater's next; a label brings the one after."""
    empty = nothing_yet(
        "There is no row to label yet. Next: load the sample policy above, or your own documents in Dataset."
    )
    with gr.Column(visible=False) as body:
        gr.HTML(note(TODAY), padding=False)
        with gr.Row():
            rater = rater_field(kept)
            chosen = gr.Dropdown([], label="Dataset version", allow_custom_value=True, min_width=240)
        progress = gr.Textbox(
            show_label=False, label="Progress", container=False, interactive=False, elem_classes="note"
        )
        question = gr.Textbox(label="Question", interactive=False)
        answer = gr.Textbox(label="Answer in the dataset", interactive=False, lines=2)
        passage = gr.HighlightedText(
            label="Passage",
            color_map={"evidence": "#0d9488"},
            show_inline_category=False,
            show_whitespaces=False,
            elem_classes="evidence",
        )
        gold = gr.Textbox("", label="The answer as it should be (optional)", lines=2, max_length=10_000)
        with gr.Row():
            verdicts = {
                verdict: gr.Button(
                    f"{TITLES[verdict]}  ({key})", elem_id=f"label-{verdict}", min_width=130, interactive=False
                )
                for key, verdict in enumerate(labels.VERDICTS, start=1)
            }
    row_id = gr.State("")
    screen = [progress, question, answer, passage, gold, row_id, *verdicts.values()]

    def shown(title: str, name: str) -> dict[Any, Any]:
        version = workspace.store.dataset(title)
        waiting = labels.queue(workspace.store, version, rater=name.strip())
        done = sum(label.rater == name.strip() for label in workspace.store.labels(version.id))
        if not waiting:
            return _nothing_left(done)
        said = (
            f"{done} judged by you, {len(waiting)} to go. Keys: 1 to 5." if name.strip() else "Type your name to begin."
        )
        return {**_on_screen(waiting[0]), progress: said}

    def _on_screen(row: LedgerRow) -> dict[Any, Any]:
        return {
            question: row.example.question,
            answer: row.example.answer,
            passage: evidence_of(workspace, row),
            gold: "",
            row_id: row.example.id,
            **dict.fromkeys(verdicts.values(), gr.update(interactive=True)),
        }

    def _nothing_left(done: int) -> dict[Any, Any]:
        said = f"All {done} rows are judged by you. Next: make the next version in Dataset."
        closed = dict.fromkeys(verdicts.values(), gr.update(interactive=False))
        return {progress: said, question: "", answer: "", passage: gr.update(value=[]), gold: "", row_id: "", **closed}

    def judge(verdict: str, title: str, name: str, example_id: str, better: str) -> dict[Any, Any]:
        if not example_id:
            raise InvalidInput("There is no row on the screen. Choose a dataset version first.")
        version = workspace.store.dataset(title)
        labels.label_row(
            workspace.store, version, example_id, rater=name, verdict=verdict, gold=better, now=workspace.now()
        )
        return shown(title, name)

    judged = [
        button.click(
            shown_to_user(partial(judge, verdict)),
            [chosen, rater, row_id, gold],
            screen,
            api_name=f"label_{verdict}",
            concurrency_id="label",
            concurrency_limit=4,
            show_progress="minimal",
        )
        for verdict, button in verdicts.items()
    ]
    gr.on(
        [chosen.input, rater.blur, rater.submit],
        shown_to_user(shown),
        [chosen, rater],
        screen,
        api_name="next_row",
        show_progress="hidden",
    )

    def show(name: str) -> dict[Any, Any]:
        versions = workspace.store.datasets()
        titles = [version.title for version in versions]
        return {
            empty: gr.update(visible=not titles),
            body: gr.update(visible=bool(titles)),
            chosen: gr.update(choices=titles, value=titles[0] if titles else None),
            rater: name or "",
            **(shown(titles[0], name or "") if titles else {}),
        }

    return Part([empty, body, chosen, rater, *screen], show, [kept], [event.success for event in judged])

"""Label, where raters disagree: each one's verdict side by side, and the word that settles it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from engine import labels
from engine.errors import InvalidInput
from engine.workspace import Workspace
from ui.errors import handles
from ui.journey import note
from ui.tables import table

HEAD = ["Rater", "Verdict", "Answer as it should be", "Evidence says it", "Tags"]
WHAT = (
    "Rows on which raters differ. You see those you have judged yourself, or that are not yours to judge any more. "
    "What you settle holds in the next dataset version; nobody's own label is changed."
)
MOST_OFFERED = 200


@dataclass(frozen=True)
class Settling:
    """The section as the tab holds it; after `saved` the rest of the tab is to be read anew."""

    workspace: Workspace
    box: gr.Accordion
    row: gr.Dropdown
    saved: Callable[..., Any]

    @property
    def outputs(self) -> list[Any]:
        """What `shown` changes."""
        return [self.box, self.row]

    def shown(self, title: str, name: str) -> dict[Any, Any]:
        """The rows that wait, as far as this rater may see them."""
        version = self.workspace.store.dataset(title)
        waiting = labels.disagreements(self.workspace.store, version, rater=name) if name.strip() else []
        offered = [(found.row.example.question, found.row.example.id) for found in waiting[:MOST_OFFERED]]
        return {
            self.box: gr.update(label=f"Disagreements to settle: {len(waiting)}"),
            self.row: gr.update(choices=offered, value=None),
        }


def build(workspace: Workspace, chosen: gr.Dropdown, rater: gr.Textbox) -> Settling:
    """Lay the section out where the caller stands."""
    with gr.Accordion("Disagreements to settle", open=False, elem_id="label-settle") as box:
        gr.HTML(note(WHAT), padding=False)
        row = gr.Dropdown([], label="Row", value=None, elem_id="label-settle-row")
        answer = gr.Textbox(label="Answer in the dataset", interactive=False)
        verdicts = table(HEAD, label="What they said")
        verdict = gr.Radio(
            [(word.replace("_", " ").capitalize(), word) for word in labels.VERDICTS if word != "unclear"],
            value=None,
            label="What holds",
        )
        gold = gr.Textbox("", label="The answer as it should be (optional)", lines=2, max_length=labels.LONGEST)
        save = gr.Button("Settle", variant="primary", size="sm", elem_id="label-settle-save")

    @handles(
        row.input, inputs=[chosen, rater, row], outputs=[answer, verdicts, verdict, gold], api_name="disagreement",
        show_progress="hidden",
    )  # fmt: skip
    def look(title: str, name: str, example_id: str | None) -> dict[Any, Any]:
        version = workspace.store.dataset(title)
        waiting = labels.disagreements(workspace.store, version, rater=name) if name.strip() else []
        found = next((one for one in waiting if one.row.example.id == example_id), None)
        if found is None:
            raise InvalidInput("This row is settled already, or still yours to judge. Choose another.")
        lines = [
            [label.rater, label.verdict.replace("_", " "), label.gold, label.grounded, ", ".join(label.tags)]
            for label in found.labels
        ]
        return {answer: found.row.example.answer, verdicts: gr.update(value=lines), verdict: None, gold: ""}

    @handles(
        save.click, inputs=[chosen, rater, row, verdict, gold], outputs=[answer, verdicts, verdict, gold],
        api_name="settle", concurrency_id="label",
    )  # fmt: skip
    def settle(title: str, name: str, example_id: str | None, word: str | None, better: str) -> dict[Any, Any]:
        if not example_id or not word:
            raise InvalidInput("Choose a row and what holds of it, then settle.")
        more = labels.Judgement(gold=better, settles=True)
        version = workspace.store.dataset(title)
        labels.label_row(workspace.store, version, example_id, rater=name, verdict=word, more=more, now=workspace.now())
        return {answer: "", verdicts: gr.update(value=[]), verdict: None, gold: ""}

    return Settling(workspace, box, row, settle.success)

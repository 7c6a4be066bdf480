"""Label, for whoever runs it: how rows are dealt, what raters go by, how far each is, and how far they agree."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from engine import labels
from engine.workspace import Workspace
from evals.agreement import agreement_of_labels
from ui.errors import handles, tell
from ui.journey import note
from ui.tables import table

HEAD = ["Rater", "Judged", "To go", "Seconds a row (middle)"]
WHAT = (
    "With 0 raters everybody judges every row. Else each shared row is dealt until so many have judged it, each other row until "
    "one has. Agreement takes 50 shared rows."
)


@dataclass(frozen=True)
class Planning:
    """The section as the tab holds it; after `saved` the rest of the tab is to be read anew."""

    workspace: Workspace
    raters: gr.Number
    shared: gr.Slider
    guidelines: gr.Textbox
    board: gr.Dataframe
    agreed: gr.HTML
    saved: Callable[..., Any]

    @property
    def outputs(self) -> list[Any]:
        """What `shown` changes."""
        return [self.raters, self.shared, self.guidelines, self.board, self.agreed]

    def shown(self, title: str) -> dict[Any, Any]:
        """The plan that holds, and how far everybody is; counts only, nobody's verdicts."""
        store = self.workspace.store
        version = store.dataset(title)
        plan = store.desk_plan(version.id)
        lines = [
            [one.rater, str(one.judged), str(one.waiting), "" if one.median_s is None else f"{one.median_s:.0f}"]
            for one in labels.progress(store, version)
        ]
        return {
            self.raters: plan.raters,
            self.shared: round(100 * plan.shared),
            self.guidelines: plan.guidelines or labels.GUIDELINES,
            self.board: gr.update(value=lines),
            self.agreed: note(str(agreement_of_labels(store, version))),
        }


def build(workspace: Workspace, chosen: gr.Dropdown, rater: gr.Textbox) -> Planning:
    """Lay the section out where the caller stands."""
    with gr.Accordion("Raters: progress, agreement and how rows are dealt", open=False, elem_id="label-plan"):
        agreed = gr.HTML(padding=False)
        board = table(HEAD, label="Progress")
        gr.HTML(note(WHAT), padding=False)
        with gr.Row():
            raters = gr.Number(0, precision=0, minimum=0, label="Raters for a shared row")
            shared = gr.Slider(0, 100, 100, step=5, label="Shared rows (%)")
        guidelines = gr.Textbox("", label="What raters go by", lines=6, max_length=labels.LONGEST)
        save = gr.Button("Deal the rows so", size="sm", variant="primary", elem_id="label-plan-save")

    @handles(save.click, inputs=[chosen, rater, raters, shared, guidelines], api_name="plan_labels")
    def keep(title: str, name: str, count: float, percent: float, text: str) -> None:
        version = workspace.store.dataset(title)
        words = "" if text.strip() == labels.GUIDELINES else text
        labels.set_plan(
            workspace.store, version, raters=int(count or 0), shared=percent / 100, guidelines=words, rater=name,
            now=workspace.now(),
        )  # fmt: skip
        tell("The rows are dealt so from now on; what was judged stays.")

    return Planning(workspace, raters, shared, guidelines, board, agreed, keep.success)

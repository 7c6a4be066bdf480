"""Dataset, one row: its words beside its passage, what people said of it, and the form to correct it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import gradio as gr
from PIL import Image

from engine import labels
from engine.documents.pictures import page_picture
from engine.errors import InvalidInput, NotFound
from engine.records import DatasetVersion, Label, LedgerRow
from engine.workspace import Workspace
from ui.journey import note
from ui.tables import highlighted, place

BUTTONS = {
    "previous": "Previous row (K)",
    "next": "Next row (J)",
    "accept": "Accept (A)",
    "reject": "Reject (R)",
    "edit": "Edit (E)",
    "undo": "Undo (U)",
}
NO_NAME = "type your name above to judge it."
WHEN = "A version never changes: what you say here takes effect in the next one (Next version from votes and labels)."


@dataclass(frozen=True)
class Opened:
    """Where a row on the screen is shown."""

    box: gr.Column
    about: gr.HTML
    question: gr.Textbox
    answer: gr.Textbox
    passage: gr.HighlightedText
    picture: gr.Image
    said: gr.Textbox
    buttons: Mapping[str, gr.Button]
    form: gr.Column
    new_question: gr.Textbox
    new_answer: gr.Textbox

    @property
    def fields(self) -> list[Any]:
        """Everything that changes with the row."""
        form = [self.form, self.new_question, self.new_answer]
        shown = [self.box, self.about, self.question, self.answer, self.passage, self.picture, self.said]
        return [*shown, *self.buttons.values(), *form]


def lay_out() -> tuple[Opened, gr.Button, gr.Button]:
    """The buttons, and below them the row on the screen; also the two buttons of its form: Save and Cancel."""
    with gr.Row():
        buttons = {
            name: gr.Button(
                title,
                size="sm",
                min_width=110,
                elem_id=f"dataset-{name}",
                interactive=name in ("previous", "next", "undo"),
            )
            for name, title in BUTTONS.items()
        }
    with gr.Column(visible=False, elem_id="dataset-row") as box:
        said = gr.Textbox(
            show_label=False,
            label="Judged",
            container=False,
            interactive=False,
            elem_classes="note",
            elem_id="dataset-judged",
        )
        with gr.Column(visible=False, elem_id="dataset-editor") as form:
            new_question = gr.Textbox(label="The question as it should be", max_length=labels.LONGEST)
            new_answer = gr.Textbox(label="The answer as it should be", lines=2, max_length=labels.LONGEST)
            with gr.Row():
                save = gr.Button("Save", size="sm", variant="primary", min_width=110)
                cancel = gr.Button("Cancel", size="sm", min_width=110)
        with gr.Row():
            with gr.Column(scale=2, min_width=280):
                question = gr.Textbox(label="Question", interactive=False, elem_id="dataset-question")
                answer = gr.Textbox(label="Answer", interactive=False, lines=2, max_lines=8)
                about = gr.HTML(padding=False)
            with gr.Column(scale=3, min_width=280):
                passage = gr.HighlightedText(
                    label="Its passage, with the evidence marked",
                    color_map={"evidence": "#0d9488"},
                    show_inline_category=False,
                    show_whitespaces=False,
                    elem_classes="evidence",
                )
                picture = gr.Image(
                    label="The original page",
                    visible=False,
                    interactive=False,
                    buttons=["fullscreen"],
                    elem_id="dataset-page",
                )
        gr.HTML(note(WHEN), padding=False)
    shown = Opened(box, about, question, answer, passage, picture, said, buttons, form, new_question, new_answer)
    return shown, save, cancel


def picture_of(workspace: Workspace, dataset_id: int, example_id: str) -> Any:
    """The page that the row stands on as it was printed, the evidence marked; hidden where there is no such page."""
    hidden = gr.update(value=None, visible=False)
    try:
        example = workspace.store.row(dataset_id, example_id).example
        passage = workspace.store.passage(example.passage_id)
        path = workspace.original(workspace.store.document(passage.document_id))
        if path is None or path.suffix != ".pdf" or not passage.page:
            return hidden
        drawn = page_picture(path, passage.page, example.evidence)
    except (NotFound, InvalidInput):
        return hidden
    return gr.update(value=Image.open(BytesIO(drawn)), visible=True)


def details(workspace: Workspace, row: Opened, version: DatasetVersion, found: LedgerRow, name: str) -> dict[Any, Any]:
    """What the screen shows of a row; `name` is who judges."""
    example, kept = found.example, found.state == "kept"
    said = [
        f"{label.rater}: {word}"
        for label in workspace.store.labels(version.id)
        if label.example_id == example.id and (word := in_a_word(label))
    ]
    why = {
        "rejected": f"the gates left this row out ({found.reason}). Accept it, or edit it, and the next version has it.",
        "failed": f"no row came of this ({found.reason}).",
    }.get(found.state, "")
    may = {"accept": found.state != "failed", "edit": found.state != "failed", "reject": kept}
    return {
        row.box: gr.update(visible=True),
        row.about: note(
            " · ".join(filter(None, [example.kind, example.form, found.split or found.state, example.origin]))
        ),
        row.question: gr.update(value=example.question, visible=bool(example.question)),
        row.answer: gr.update(value=example.answer, label="Answer" if example.question else "Statement"),
        row.passage: evidence_of(workspace, found),
        row.said: " · ".join([*said, *filter(None, [why])]) or ("not judged yet." if name.strip() else NO_NAME),
        **{row.buttons[key]: gr.update(interactive=allowed) for key, allowed in may.items()},
        row.form: gr.update(visible=False),
        row.new_question: gr.update(value=example.question, visible=bool(example.question)),
        row.new_answer: example.answer,
    }


def judgements(given: Sequence[Label]) -> dict[str, str]:
    """Row -> what people said of it, in a word each: "accepted", "rejected", "edited"; what was taken back says nothing."""
    found: dict[str, list[str]] = {}
    for label in given:
        if word := in_a_word(label):
            found.setdefault(label.example_id, []).append(word)
    return {example_id: ", ".join(dict.fromkeys(words)) for example_id, words in found.items()}


def in_a_word(label: Label) -> str:
    """A judgement as the table shows it."""
    if label.gold or label.question:
        return "edited"
    words = {"right": "accepted", "wrong": "rejected", "unclear": ""}
    return words.get(label.verdict, label.verdict.replace("_", " "))


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

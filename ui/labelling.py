"""Label: one row after the other, beside the words it rests on, judged right or not; keyboard first, nothing filled in before."""

from datetime import datetime
from functools import partial
from typing import Any

import gradio as gr

from engine import labels
from engine.errors import InvalidInput, NotFound
from engine.records import DatasetVersion, LedgerRow
from engine.tasks import tasks
from engine.workspace import Workspace
from ui import labelling_plan, labelling_settle, schema_form
from ui.dataset_row import evidence_of
from ui.errors import handles, shown_to_user
from ui.journey import Part, note, nothing_yet
from ui.rater import rater_field

TITLES = {
    "right": "Right",
    "wrong": "Wrong",
    "should_refuse": "Should refuse",
    "should_not_refuse": "Should not refuse",
    "unclear": "Unclear",
}
GROUNDED = {"yes": "Yes, it says so", "no": "No, it does not"}
KEYS = "Keys: 1 to 5 judge, G and H say whether the evidence says it, E edits the answer, U takes the last one back."
LATER = "What you say here takes effect in the next dataset version."
QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "queue": False}


def build(workspace: Workspace, kept: gr.BrowserState) -> Part:
    """Lay the tab out where the caller stands. The row on screen is the rater's next; a label brings the one after."""
    empty = nothing_yet(
        "There is no row to label yet. Next: load the sample policy above, or your own documents in Dataset."
    )
    with gr.Column(visible=False) as body:
        with gr.Row():
            rater = rater_field(kept)
            chosen = gr.Dropdown([], label="Dataset version", allow_custom_value=True, min_width=240)
        desk = _Desk(workspace)
        forms = [
            schema_form.build(workspace, task, chosen, rater, desk.row_id, desk.since)
            for task in tasks().values()
            if task.schema
        ]
        settle = labelling_settle.build(workspace, chosen, rater)
        plan = labelling_plan.build(workspace, chosen, rater)

    def shown(title: str, name: str) -> dict[Any, Any]:
        found = {**desk.next_row(title, name), **settle.shown(title, name), **plan.shown(title)}
        for form in forms:
            found |= form.shown(title)
        return found

    outputs = [*desk.screen, *settle.outputs, *plan.outputs, *(part for form in forms for part in form.outputs)]

    def judge(verdict: str, title: str, name: str, *said: Any) -> dict[Any, Any]:
        desk.save(verdict, title, name, *said)
        return desk.next_row(title, name)

    judged = [
        button.click(
            shown_to_user(partial(judge, verdict)),
            [chosen, rater, desk.row_id, desk.gold, desk.grounded, desk.tags, desk.since],
            desk.screen,
            api_name=f"label_{verdict}",
            concurrency_id="label",
            concurrency_limit=4,
            show_progress="minimal",
        )
        for verdict, button in desk.verdicts.items()
    ]

    @handles(
        desk.undo.click, inputs=[chosen, rater], outputs=desk.screen, api_name="undo_label", concurrency_id="label"
    )
    def undo(title: str, name: str) -> dict[Any, Any]:
        version = workspace.store.dataset(title)
        last = labels.newest_of(workspace.store, version, rater=name)
        if last is None:
            raise InvalidInput("There is no judgement of yours to take back in this version.")
        labels.take_back(workspace.store, last, now=workspace.now())
        return desk.next_row(title, name, first=last.example_id)

    gr.on(
        [chosen.input, rater.blur, rater.submit],
        shown_to_user(shown),
        [chosen, rater],
        outputs,
        api_name="next_row",
        show_progress="hidden",
    )
    for saved in (settle.saved, plan.saved, *(form.saved for form in forms)):
        saved(shown_to_user(shown), [chosen, rater], outputs, api_visibility="private", show_progress="hidden")

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

    return Part([empty, body, chosen, rater, *outputs], show, [kept], [event.success for event in judged])


class _Desk:
    """The row on the screen and what can be said of it."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        with gr.Accordion("What to go by", open=False):
            self.guidelines = gr.Textbox(
                show_label=False, label="Guidelines", container=False, interactive=False, lines=6
            )
        self.progress = gr.Textbox(
            show_label=False, label="Progress", container=False, interactive=False, elem_classes="note"
        )
        with gr.Row():
            with gr.Column(scale=2, min_width=280):
                self.question = gr.Textbox(label="Question", interactive=False)
                self.answer = gr.Textbox(label="Answer in the dataset", interactive=False, lines=2)
            with gr.Column(scale=3, min_width=280):
                self.passage = gr.HighlightedText(
                    label="Passage",
                    color_map={"evidence": "#0d9488"},
                    show_inline_category=False,
                    show_whitespaces=False,
                    elem_classes="evidence",
                )
        with gr.Row():
            self.verdicts = {
                verdict: gr.Button(
                    f"{TITLES[verdict]}  ({key})", elem_id=f"label-{verdict}", min_width=130, interactive=False
                )
                for key, verdict in enumerate(labels.VERDICTS, start=1)
            }
        self._lay_out_the_rest()
        self.row_id, self.since = gr.State(""), gr.State("")

    def _lay_out_the_rest(self) -> None:
        with gr.Row():
            said = [(title, key) for key, title in GROUNDED.items()]
            self.grounded = gr.Radio(
                said, value=None, label="Does the marked evidence say what the answer says? (optional)"
            )
            self.tags = gr.Textbox("", label="Tags, separated by commas (optional)", max_lines=1, max_length=1000)
        self.gold = gr.Textbox(
            "", label="The answer as it should be (optional)", lines=2, max_length=labels.LONGEST, elem_id="label-gold"
        )
        with gr.Row():
            yes = gr.Button("Evidence says it (G)", size="sm", min_width=120, elem_id="label-grounded")
            no = gr.Button("Evidence does not (H)", size="sm", min_width=120, elem_id="label-ungrounded")
            edit = gr.Button("Edit the answer (E)", size="sm", min_width=120, elem_id="label-edit")
            self.undo = gr.Button("Take the last one back (U)", size="sm", min_width=120, elem_id="label-undo")
        gr.HTML(note(f"{KEYS} {LATER}"), padding=False)
        yes.click(None, None, self.grounded, js="() => 'yes'", **QUIET)
        no.click(None, None, self.grounded, js="() => 'no'", **QUIET)
        focus = "(answer, gold) => { document.querySelector('#label-gold textarea').focus(); return gold || answer; }"
        edit.click(None, [self.answer, self.gold], self.gold, js=focus, **QUIET)

    @property
    def screen(self) -> list[Any]:
        """Everything that changes with the row."""
        row = [self.progress, self.question, self.answer, self.passage, self.gold, self.row_id, *self.verdicts.values()]
        return [*row, self.grounded, self.tags, self.since, self.guidelines]

    def save(
        self, verdict: str, title: str, name: str, example_id: str, gold: str, says: str | None, words: str, since: str
    ) -> None:
        """Keep a judgement with the time it took since the row was shown."""
        if not example_id:
            raise InvalidInput("There is no row on the screen. Choose a dataset version first.")
        now = self.workspace.now()
        seconds = (datetime.fromisoformat(now) - datetime.fromisoformat(since)).total_seconds() if since else 0.0
        more = labels.Judgement(gold=gold, grounded=says or "", tags=tuple(words.split(",")), seconds=seconds)
        version = self.workspace.store.dataset(title)
        labels.label_row(self.workspace.store, version, example_id, rater=name, verdict=verdict, more=more, now=now)

    def next_row(self, title: str, name: str, *, first: str = "") -> dict[Any, Any]:
        """The rater's next row, or the one of that id; all that can be said of it stands empty."""
        store = self.workspace.store
        version = store.dataset(title)
        waiting = labels.queue(store, version, rater=name)
        done = labels.judged(store, version, rater=name)
        guide = store.desk_plan(version.id).guidelines or labels.GUIDELINES
        blank = {
            self.gold: "",
            self.grounded: None,
            self.tags: "",
            self.guidelines: guide,
            self.since: self.workspace.now(),
        }
        row = self._row(version, first) or (waiting[0] if waiting else None)
        if row is None:
            said = f"Nothing is left for you here: {done} judged by you. Next: make the next version in Dataset."
            closed = dict.fromkeys(self.verdicts.values(), gr.update(interactive=False))
            gone = {self.question: "", self.answer: "", self.passage: gr.update(value=[]), self.row_id: ""}
            return {**blank, **gone, **closed, self.progress: said}
        return {
            **blank,
            self.progress: f"{done} judged by you, {len(waiting)} to go."
            if name.strip()
            else "Type your name to begin.",
            self.question: row.example.question,
            self.answer: row.example.answer,
            self.passage: evidence_of(self.workspace, row),
            self.row_id: row.example.id,
            **dict.fromkeys(self.verdicts.values(), gr.update(interactive=True)),
        }

    def _row(self, version: DatasetVersion, example_id: str) -> LedgerRow | None:
        try:
            return self.workspace.store.row(version.id, example_id) if example_id else None
        except NotFound:
            return None

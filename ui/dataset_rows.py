"""Dataset, rows: the ledger a page at a time from the server, any row judged by mouse or keyboard."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr

from engine import labels
from engine.errors import InvalidInput
from engine.records import DatasetVersion, Label, RowState, Split
from engine.store.datasets import RowFilter
from engine.workspace import Workspace
from ui.dataset_document import Panel
from ui.dataset_row import Opened, details, judgements, lay_out, picture_of
from ui.errors import shown_to_user
from ui.tables import ROW_HEAD, ledger_rows, table

PAGE = 10
EVERY = "(all)"
OPEN = "▸ "

FILTERS: dict[str, tuple[str, RowState | None, Split | None]] = {
    "all": ("All", None, None),
    "train": ("To train", "kept", "train"),
    "probe": ("Held out: new wording", "kept", "probe"),
    "test": ("Held out: new fact", "kept", "test"),
    "rejected": ("Rejected", "rejected", None),
    "failed": ("Failed", "failed", None),
}
KINDS = [(EVERY, ""), ("Answerable", "answerable"), ("Unanswerable", "unanswerable"), ("Statement", "statement")]
OPEN_FIRST = "Open a row first: select one in the table, or press J."

FOCUS_EDITOR = """() => setTimeout(() => [...document.querySelectorAll("#dataset-editor textarea, #dataset-editor input")]
  .find((field) => field.offsetParent)?.focus(), 100)"""


@dataclass(frozen=True)
class Filters:
    """The form above the rows: which of them are meant."""

    which: gr.Dropdown
    kind: gr.Dropdown
    reason: gr.Dropdown
    clause: gr.Dropdown
    text: gr.Textbox

    @property
    def fields(self) -> list[Any]:
        """In the order in which `wanted` reads them."""
        return [self.which, self.kind, self.reason, self.clause, self.text]


@dataclass(frozen=True)
class Ledger:
    """The rows of the chosen version on this visitor's screen. Each handler returns {component: value} for its `view`."""

    workspace: Workspace
    filters: Filters
    rows: gr.Dataframe
    where: gr.Textbox
    row: Opened
    at: gr.State  # the open row's place among the filtered, -1 for none
    page: gr.State
    total: gr.State
    row_id: gr.State
    last: gr.State  # the id of the label that Undo takes back

    @property
    def view(self) -> list[Any]:
        """Everything its handlers write to."""
        states = [self.at, self.page, self.total, self.row_id, self.last]
        return [self.rows, self.where, *states, *self.row.fields]

    def listed(self, title: str, wanted: RowFilter, number: int, count: int, open_at: int = -1) -> dict[Any, Any]:
        """One page of the table, the open row marked."""
        version = self.workspace.store.dataset(title)
        pages = max(1, -(-count // PAGE))
        number = min(max(0, number), pages - 1)
        found = self.workspace.store.rows(version.id, offset=number * PAGE, limit=PAGE, **wanted)
        judged = judgements(self.workspace.store.labels(version.id))
        lines = [
            [f"{OPEN if n == open_at else ''}{n + 1}", *line, judged.get(shown.example.id, "")]
            for n, (line, shown) in enumerate(zip(ledger_rows(found), found, strict=True), start=number * PAGE)
        ]
        return {
            self.rows: gr.update(value=lines or [[""] * (2 + len(ROW_HEAD))]),
            self.where: f"Page {number + 1:,} of {pages:,} · {count:,} rows",
            self.page: number,
        }

    def filtered(self, title: str | None, *given: Any) -> dict[Any, Any]:
        """The first page of what the form asks for; no row is open."""
        if not title:
            return {self.page: 0}
        wanted = wanted_rows(*given)
        count = self._count(self.workspace.store.dataset(title), given)
        closed = {self.total: count, self.at: -1, self.row_id: "", self.row.box: gr.update(visible=False)}
        return {**self.listed(title, wanted, 0, count), **closed}

    def _count(self, version: DatasetVersion, given: Sequence[Any]) -> int:
        """Read off the version where nothing but its state is asked for: it was counted when it was finished."""
        which, *others = given
        if any(others):
            return self.workspace.store.count_rows(version.id, **wanted_rows(*given))
        return version.counts["proposed" if which == "all" else which]

    def turned(self, title: str | None, *given: Any, by: int) -> dict[Any, Any]:
        """A page forward or back; the open row stays open."""
        *fields, number, count, open_at = given
        return self.listed(title, wanted_rows(*fields), number + by, count, open_at) if title else {self.page: 0}

    def opened_at(
        self, title: str | None, given: Sequence[Any], wanted_at: int, count: int, name: str
    ) -> dict[Any, Any]:
        """The row at that place among the filtered, on its page."""
        if not title or not count:
            raise InvalidInput("There is no row here. Choose another filter.")
        now_at = min(max(0, wanted_at), count - 1)
        wanted = wanted_rows(*given)
        version = self.workspace.store.dataset(title)
        (found,) = self.workspace.store.rows(version.id, offset=now_at, limit=1, **wanted)
        shown = details(self.workspace, self.row, version, found, name)
        return {
            **self.listed(title, wanted, now_at // PAGE, count, now_at),
            **shown,
            self.row.said: f"Row {now_at + 1}: {shown[self.row.said]}",
            self.at: now_at,
            self.row_id: found.example.id,
        }

    def stepped(self, title: str | None, *given: Any, by: int) -> dict[Any, Any]:
        """The row after or before the open one; the first of the page where none is open."""
        *fields, number, count, open_at, name = given
        return self.opened_at(title, fields, number * PAGE if open_at < 0 else open_at + by, count, name)

    def selected(self, event: gr.SelectData, title: str, *given: Any) -> dict[Any, Any]:
        """The row that was clicked."""
        *fields, count, name = given
        number = str(event.row_value[0]).removeprefix(OPEN) if event.row_value else ""
        return self.opened_at(title, fields, int(number) - 1, count, name) if number.isdigit() else {self.at: gr.skip()}

    def judged(self, title: str | None, *given: Any, verdict: str) -> dict[Any, Any]:
        """Save what was said of the open row, and open the next."""
        *fields, count, open_at, name, example_id = given
        if not title or not example_id:
            raise InvalidInput(OPEN_FIRST)
        store = self.workspace.store
        label = labels.label_row(
            store, store.dataset(title), example_id, rater=name, verdict=verdict, now=self.workspace.now()
        )
        did = "accepted" if verdict == "right" else "rejected"
        return self._after(label, f"Row {open_at + 1} {did}; U takes it back.", title, fields, open_at + 1, count)

    def edited(self, title: str | None, *given: Any) -> dict[Any, Any]:
        """Save the open row as it should be; it stays open."""
        *fields, count, open_at, name, example_id, question, answer = given
        if not title or not example_id:
            raise InvalidInput(OPEN_FIRST)
        store, now = self.workspace.store, self.workspace.now()
        label = labels.edit_row(
            store, store.dataset(title), example_id, rater=name, question=question, answer=answer, now=now
        )
        return self._after(label, f"Row {open_at + 1} edited; U takes it back.", title, fields, open_at, count)

    def undone(self, title: str | None, *given: Any) -> dict[Any, Any]:
        """Take back what this visitor said last, by a newer label."""
        *fields, count, open_at, name, label_id = given
        version = self.workspace.store.dataset(title or "")
        mine = [label for label in self.workspace.store.labels(version.id) if label.id == label_id]
        if not mine:
            raise InvalidInput("There is nothing to take back. Undo is for what you said last on this page.")
        labels.take_back(self.workspace.store, mine[0], now=self.workspace.now())
        shown = self.opened_at(title, fields, open_at, count, name)
        return {**shown, self.row.said: f"Taken back. {shown[self.row.said]}", self.last: 0}

    def pictured(self, title: str | None, example_id: str) -> Any:
        """The open row's page, drawn after the row is shown, so that nobody waits for it."""
        if not title or not example_id:
            return gr.update(value=None, visible=False)
        return picture_of(self.workspace, self.workspace.store.dataset(title).id, example_id)

    def opened(self, title: str) -> dict[Any, Any]:
        """What the panel shows when a version is chosen: every row, and what there is to filter by."""
        version = self.workspace.store.dataset(title)
        return {**_choices(self.workspace, self.filters, version), **self.filtered(title, "all", "", "", "", "")}

    def _after(
        self, label: Label, said: str, title: str, given: Sequence[Any], then: int, count: int
    ) -> dict[Any, Any]:
        shown = self.opened_at(title, given, then, count, label.rater)
        return {**shown, self.row.said: f"{said} {shown[self.row.said]}", self.last: label.id}


def build(workspace: Workspace, chosen: gr.Dropdown, rater: gr.Textbox) -> Panel:
    """Lay it out where the caller stands. Only the page in sight is read from the file, and counted once a filter."""
    filters = _filters()
    rows = table(
        ["#", *ROW_HEAD, "Judged"],
        label="Select a row, or press J",
        elem_id="dataset-rows",
        widths=["70px", "290px", "290px", "90px", "115px", "160px", "95px"],
        max_height=520,
    )
    with gr.Row():
        back = gr.Button("Previous page", size="sm", min_width=90)
        where = gr.Textbox(show_label=False, label="Page", interactive=False, container=False, min_width=120)
        forth = gr.Button("Next page", size="sm", min_width=90)
    row, save, cancel = lay_out()
    states = gr.State(-1), gr.State(0), gr.State(0), gr.State(""), gr.State(0)
    ledger = Ledger(workspace, filters, rows, where, row, *states)
    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    asked = [chosen, *filters.fields]
    for asks in (*(component.input for component in filters.fields), filters.text.submit):
        asks(shown_to_user(ledger.filtered), asked, ledger.view, trigger_mode="always_last", **quiet)
    for button, by in ((back, -1), (forth, 1)):
        inputs = [*asked, ledger.page, ledger.total, ledger.at]
        button.click(shown_to_user(partial(ledger.turned, by=by)), inputs, ledger.view, **quiet)
    rows.select(shown_to_user(ledger.selected), [*asked, ledger.total, rater], ledger.view, **quiet)
    _wire_keys(ledger, asked, rater, quiet)
    ledger.row_id.change(
        shown_to_user(ledger.pictured), [chosen, ledger.row_id], row.picture, trigger_mode="always_last", **quiet
    )
    cancel.click(lambda: gr.update(visible=False), None, row.form, **quiet)
    save.click(
        shown_to_user(ledger.edited),
        [*asked, ledger.total, ledger.at, rater, ledger.row_id, row.new_question, row.new_answer],
        ledger.view,
        api_name="row_edit",
        concurrency_limit=4,
    )
    return Panel([*filters.fields, *ledger.view], ledger.opened, ledger.row_id)


def _wire_keys(ledger: Ledger, asked: list[Any], rater: gr.Textbox, quiet: dict[str, Any]) -> None:
    """The buttons that keys press, too."""
    press = ledger.row.buttons
    for name, by in (("previous", -1), ("next", 1)):
        inputs = [*asked, ledger.page, ledger.total, ledger.at, rater]
        press[name].click(shown_to_user(partial(ledger.stepped, by=by)), inputs, ledger.view, **quiet)
    open_row = [*asked, ledger.total, ledger.at, rater]
    saving: dict[str, Any] = {"concurrency_limit": 4, "concurrency_id": "label", "show_progress": "minimal"}
    for name, verdict in (("accept", "right"), ("reject", "wrong")):
        judge = shown_to_user(partial(ledger.judged, verdict=verdict))
        press[name].click(judge, [*open_row, ledger.row_id], ledger.view, api_name=f"row_{name}", **saving)
    undo = shown_to_user(ledger.undone)
    press["undo"].click(undo, [*open_row, ledger.last], ledger.view, api_name="row_undo", **saving)
    opening = press["edit"].click(lambda: gr.update(visible=True), None, ledger.row.form, **quiet)
    opening.then(None, js=FOCUS_EDITOR, api_visibility="private")


def wanted_rows(which: str, kind: str, reason: str, clause: str, text: str) -> RowFilter:
    """The form as the store reads it; an empty field lets every row pass."""
    _, state, split = FILTERS[which]
    found = RowFilter(state=state, split=split, reason=reason or "", clause=clause or "", text=(text or "").strip())
    if kind:
        found["kind"] = kind  # type: ignore[typeddict-item]
    return found


def _choices(workspace: Workspace, filters: Filters, version: DatasetVersion) -> dict[Any, Any]:
    reasons = [(f"{reason} ({rows:,})", reason) for reason, rows in workspace.store.rejections(version.id).items()]
    clauses = dict.fromkeys(fact.clause for fact in workspace.store.facts(version.id))
    return {
        filters.which: "all",
        filters.kind: "",
        filters.reason: gr.update(choices=[(EVERY, ""), *reasons], value=""),
        filters.clause: gr.update(choices=[(EVERY, ""), *((clause, clause) for clause in clauses if clause)], value=""),
        filters.text: "",
    }


def _filters() -> Filters:
    with gr.Row():
        return Filters(
            gr.Dropdown([(shown[0], key) for key, shown in FILTERS.items()], value="all", label="Rows", min_width=150),
            gr.Dropdown(KINDS, value="", label="Kind", min_width=140),
            gr.Dropdown([(EVERY, "")], value="", label="Why not kept", min_width=180),
            gr.Dropdown([(EVERY, "")], value="", label="Clause", min_width=180),
            gr.Textbox(label="Search", placeholder="in questions and answers", max_lines=1, min_width=180),
        )

"""Dataset, document: what was read, with every fact marked where it was found, and the clauses in which none was."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from typing import Any

import gradio as gr

from engine.coverage import ClauseCoverage, coverage, evidence_spans, facts_by_passage
from engine.records import Document, Fact, Passage
from engine.workspace import Workspace
from ui.bars import least_covered
from ui.errors import shown_to_user
from ui.tables import table

PAGE_CHARACTERS = 5000
HEAD = ["", "Clause", "Page", "Rules told", "Facts"]
SHOWN = [("All", "all"), ("Without any fact", "none"), ("With a rule that no fact tells", "missed")]


@dataclass(frozen=True)
class Panel:
    """One part of the tab: `opened(title)` gives {component: value} for its outputs when a version is chosen."""

    outputs: Sequence[Any]
    opened: Callable[[str], Mapping[Any, Any]]
    open_row: gr.State | None = None  # what the visitor reads just now, "" for nothing


@dataclass(frozen=True)
class Reading:
    """A document cut into pages to read, and how well each clause of it is covered."""

    document: Document
    clauses: Sequence[ClauseCoverage]
    facts: Mapping[str, Sequence[Fact]]  # by passage
    pages: Sequence[Sequence[Passage]]

    def page_of(self, clause: str) -> int:
        """The page on which a clause begins; 0 for one that is not there."""
        return next((n for n, page in enumerate(self.pages) if any(p.clause == clause for p in page)), 0)


def build(workspace: Workspace, chosen: gr.Dropdown) -> Panel:
    """Lay it out where the caller stands: the clauses on the left, the words on the right, a page at a time."""
    with gr.Row():
        source = gr.Dropdown([], label="Document", scale=2, min_width=240)
        which = gr.Radio(SHOWN, value="all", label="Clauses", scale=3, min_width=240)
    with gr.Row():
        with gr.Column(min_width=300):
            clauses = table(
                HEAD,
                label="Select a clause to read it",
                elem_id="dataset-clauses",
                widths=["8%", "48%", "12%", "20%", "12%"],
                max_height=460,
            )
            plot = gr.HTML(padding=False)
        with gr.Column(min_width=300):
            text = gr.HTML(padding=False, elem_id="dataset-document")
            with gr.Row():
                back = gr.Button("Previous page", size="sm", min_width=90)
                where = gr.Textbox(show_label=False, label="Page", interactive=False, container=False, min_width=90)
                forth = gr.Button("Next page", size="sm", min_width=90)
    page = gr.State(0)
    view = [source, clauses, plot, text, where, page]

    @lru_cache(maxsize=4)  # a finished version and a document never change
    def reading(dataset_id: int, document_id: str) -> Reading:
        return read(workspace.store.document(document_id), workspace.store.facts(dataset_id))

    def at(title: str | None, document_id: str | None, number: int, clause: str = "") -> dict[Any, Any]:
        if not title or not document_id:
            return {text: "", where: ""}
        found = reading(workspace.store.dataset(title).id, document_id)
        number = min(max(0, number), max(0, len(found.pages) - 1))
        return {
            text: as_html(found, number, clause),
            where: f"{number + 1} of {max(1, len(found.pages))}",
            page: number,
        }

    def listed(title: str | None, document_id: str | None, key: str) -> dict[Any, Any]:
        if not title or not document_id:
            return {clauses: gr.update(value=[[""] * len(HEAD)])}
        found = reading(workspace.store.dataset(title).id, document_id)
        return {
            clauses: gr.update(value=clause_rows(found.clauses, key) or [[""] * len(HEAD)]),
            plot: least_covered(found.clauses),
        }

    def chosen_document(title: str | None, document_id: str | None, key: str) -> dict[Any, Any]:
        return {**listed(title, document_id, key), **at(title, document_id, 0)}

    def to_clause(title: str, document_id: str, event: gr.SelectData) -> dict[Any, Any]:
        clause = _clause_of(event.row_value)
        return at(title, document_id, reading(workspace.store.dataset(title).id, document_id).page_of(clause), clause)

    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    place = [chosen, source]
    source.input(shown_to_user(chosen_document), [*place, which], view, **quiet)
    which.input(shown_to_user(listed), [*place, which], view, **quiet)
    clauses.select(shown_to_user(to_clause), place, view, **quiet)
    back.click(shown_to_user(lambda title, name, number: at(title, name, number - 1)), [*place, page], view, **quiet)
    forth.click(shown_to_user(lambda title, name, number: at(title, name, number + 1)), [*place, page], view, **quiet)

    def opened(title: str) -> dict[Any, Any]:
        version = workspace.store.dataset(title)
        names = workspace.store.document_names(version.documents)
        choices = [(names[document_id], document_id) for document_id in version.documents if document_id in names]
        first = choices[0][1] if choices else None
        return {source: gr.update(choices=choices, value=first), **chosen_document(title, first, "all")}

    return Panel(view, opened)


def read(document: Document, facts: Sequence[Fact]) -> Reading:
    """Cut a document into pages of about 5,000 characters, whatever its clauses are, and find its facts."""
    pages: list[list[Passage]] = []
    characters = PAGE_CHARACTERS
    for passage in document.passages:
        if characters >= PAGE_CHARACTERS:
            pages.append([])
            characters = 0
        pages[-1].append(passage)
        characters += len(passage.text)
    return Reading(document, coverage(document, facts), facts_by_passage(facts), pages)


def clause_rows(clauses: Sequence[ClauseCoverage], key: str = "all") -> list[list[str]]:
    """The clauses in reading order with what was found in them; a clause without a fact is marked."""
    return [
        [mark_of(found), found.clause or "(before the first heading)", str(found.page or ""), *_counts(found)]
        for found in clauses
        if key == "all" or (key == "none" and not found.facts) or (key == "missed" and found.missed)
    ]


def mark_of(found: ClauseCoverage) -> str:
    """ "✕" for a clause without any fact, "!" for one with a rule that no fact tells, "✓" for the rest."""
    return "✕" if not found.facts else "!" if found.missed else "✓"


def as_html(reading: Reading, number: int, clause: str = "") -> str:
    """One page of the document, facts marked; the clause that was asked for is outlined. What the document says is escaped."""
    known = {found.clause: found for found in reading.clauses}
    blocks: list[str] = []
    passages = reading.pages[number] if reading.pages else []
    for position, passage in enumerate(passages):
        if position == 0 or passages[position - 1].clause != passage.clause:
            if blocks:
                blocks.append("</section>")
            blocks.append(_head(known[passage.clause], chosen=bool(clause) and passage.clause == clause))
        blocks.append(f'<p class="{passage.kind}">{marked(passage, reading.facts.get(passage.id, ()))}</p>')
    return f'<div class="document" tabindex="0" aria-label="The document">{"".join(blocks)}{"</section>" if blocks else ""}</div>'


def marked(passage: Passage, facts: Sequence[Fact]) -> str:
    """A passage as HTML with every fact's evidence marked; where two overlap, one mark stands for both."""
    parts: list[str] = []
    done = 0
    for (start, end), fact in evidence_spans(passage, facts):
        if end <= done:
            continue
        start = max(start, done)
        title = escape(f"{fact.kind}: {fact.statement}")
        parts += [escape(passage.text[done:start]), f'<mark title="{title}">{escape(passage.text[start:end])}</mark>']
        done = end
    return "".join([*parts, escape(passage.text[done:])])


def _head(found: ClauseCoverage, *, chosen: bool) -> str:
    named = escape(found.clause or "(before the first heading)")
    page = f" · page {found.page}" if found.page else ""
    facts = f"{found.facts} fact{'' if found.facts == 1 else 's'}" if found.facts else "No fact found here"
    gap = f", {found.rules - found.covered} of {found.rules} rules without one" if found.missed else ""
    state = "none" if not found.facts else "missed" if found.missed else "told"
    return (
        f'<section class="{state}{" chosen" if chosen else ""}"><h4>{named}</h4><p class="chip">{facts}{gap}{page}</p>'
    )


def _counts(found: ClauseCoverage) -> list[str]:
    return [f"{found.covered} of {found.rules}" if found.rules else "none there", str(found.facts)]


def _clause_of(row: Sequence[Any] | None) -> str:
    clause = str(row[1]) if row and len(row) > 1 else ""
    return "" if clause.startswith("(before") else clause

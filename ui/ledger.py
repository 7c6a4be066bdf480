"""Facts: the policy itself, coloured by what an adapter knows of it; and further forms for what it has not learned."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from functools import lru_cache
from html import escape
from typing import Any

import gradio as gr

from engine.coverage import evidence_spans
from engine.errors import InvalidInput
from engine.further import Form, Further, further_version, propose_further
from engine.grounding import used_otherwise
from engine.records import Passage
from engine.workspace import Workspace
from engine.writing import WRITER, is_built
from evals.ledger import STATES, Knowledge, Ledger, State, adapter_named, forms_of, ledger_of
from ui import divergence
from ui.asked import kept_answers
from ui.dataset_document import Reading, read
from ui.errors import handles, shown_to_user
from ui.journey import Part, note, nothing_yet
from ui.known import MARKS, because_of, counted, further_questions, in_short, in_words
from ui.progress import told_as_it_goes
from ui.tables import pace, table

WAIT = (
    "Each fact is asked in up to four wordings that were not trained; base and adapter answer each question once, and the answers "
    "are kept: a second look takes seconds. Leaving the page stops it, and it goes on the next time."
)
BY_ITSELF = "the one before it"
WEAK_HEAD = ["State", "Clause", "Fact", "Asked", "Answered"]
FORM_HEAD = ["Question", "Answer"]
WORST_FIRST: tuple[State, ...] = (
    "lost", "not_learned", "half_learned", "never_taught", "not_asked", "recites", "learned", "known"
)  # fmt: skip
"""Where several facts stand on the same words, the worst one gives the colour."""
MOST_SHOWN = 300


def build(workspace: Workspace) -> Part:
    """Lay the tab out where the caller stands: choose, look, read; and below it, what the next version could add."""
    empty = nothing_yet("There is no adapter whose facts could be looked up. Next: train one in the Train tab.")
    with gr.Column(visible=False) as body:
        with gr.Row():
            chosen = gr.Dropdown([], label="Adapter", allow_custom_value=True, min_width=220)
            before = gr.Dropdown(
                [],
                label="Compared with",
                allow_custom_value=True,
                info="What was known before; lost facts are marked.",
                min_width=220,
            )
        gr.HTML(note(WAIT), padding=False)
        with gr.Row():
            look = gr.Button("Look up every fact", variant="primary")
            stop = gr.Button("Stop")
        progress = gr.HTML(padding=False)
    with gr.Column(visible=False) as results:
        legend = gr.HTML(padding=False, elem_id="ledger-legend")
        with gr.Row():
            source = gr.Dropdown([], label="Document", allow_custom_value=True, min_width=240)
            which = gr.Radio(
                [("Whole document", "all"), ("Clauses with something not learned", "weak")], value="all", label="Shown"
            )
        text = gr.HTML(padding=False, elem_id="ledger-document")
        with gr.Row():
            back = gr.Button("Previous page", size="sm", min_width=90)
            where = gr.Textbox(show_label=False, label="Page", interactive=False, container=False, min_width=90)
            forth = gr.Button("Next page", size="sm", min_width=90)
        weak = table(
            WEAK_HEAD,
            label="Not learned, half-learned or lost",
            widths=["130px", "170px", "265px", "265px", "265px"],
            max_height=420,
        )
        with gr.Row():
            people = gr.Checkbox(
                False, label="Also in people's words (the question writer; minutes)", visible=is_built()
            )
            show_forms = gr.Button("Show further forms for these facts")
        comes_to = gr.HTML(padding=False)
        forms = table(FORM_HEAD, label="Would be added", visible=False, max_height=360)
        make = gr.Button("Make the next dataset version with them", variant="primary", visible=False)
    with gr.Column(visible=False) as deeper:
        divergence.build(workspace, chosen)
    ledger, further, page = gr.State(None), gr.State(None), gr.State(0)
    reading_view = [text, where, page]
    form_view = [comes_to, forms, make, further]
    view = [results, legend, source, *reading_view, weak, *form_view]

    @lru_cache(maxsize=4)  # a finished version never changes
    def asked(dataset_id: int) -> Sequence[Form]:
        return forms_of(workspace, workspace.store.dataset_by_id(dataset_id))

    @lru_cache(maxsize=8)
    def reading(dataset: str, document_id: str) -> Reading:
        facts = workspace.store.facts(workspace.store.dataset(dataset).id)
        return read(workspace.store.document(document_id), facts)

    @handles(
        look.click,
        inputs=[chosen, before],
        outputs=[progress, ledger, *view],
        api_name="ledger",
        concurrency_limit=1,
        concurrency_id="evaluate",
        show_progress="minimal",
    )
    def measure(name: str | None, earlier: str | None) -> Iterator[dict[Any, Any]]:
        adapter = adapter_named(workspace, name or "")
        version = workspace.store.dataset(adapter.dataset)
        yield {progress: pace(0, 1, "Finding questions that were not trained …")}
        told = told_as_it_goes(
            lambda watch: ledger_of(
                workspace,
                adapter,
                before="" if earlier in (None, BY_ITSELF) else str(earlier),
                forms=asked(version.id),
                kept=kept_answers(workspace),
                watch=watch,
            )
        )
        found: Ledger = yield from _each(told, progress)
        otherwise = used_otherwise(workspace.adapters(), [adapter.name], "closed")
        yield {
            progress: note(f"Done: {len(found.facts)} facts of {found.dataset}. {otherwise}".strip()),
            ledger: found,
            results: gr.update(visible=True),
            **drawn(found),
        }

    def drawn(found: Ledger) -> dict[Any, Any]:
        version = workspace.store.dataset(found.dataset)
        names = workspace.store.document_names(version.documents)
        choices = [(names[document_id], document_id) for document_id in version.documents if document_id in names]
        first = choices[0][1] if choices else None
        return {
            legend: legend_html(found),
            source: gr.update(choices=choices, value=first),
            weak: weak_rows(found) or [[""] * len(WEAK_HEAD)],
            **at(found, first, "all", 0),
            **no_forms(),
        }

    def at(found: Ledger | None, document_id: str | None, shown: str, number: int) -> dict[Any, Any]:
        if found is None or not document_id:
            return {text: "", where: "", page: 0}
        pages = pages_of(reading(found.dataset, document_id), found, only_weak=shown == "weak")
        number = min(max(0, number), max(0, len(pages) - 1))
        html = as_html(pages[number], found) if pages else note("No clause of this document has something not learned.")
        return {text: html, where: f"{number + 1} of {max(1, len(pages))}", page: number}

    def no_forms() -> dict[Any, Any]:
        return {comes_to: "", forms: gr.update(visible=False), make: gr.update(visible=False), further: None}

    @handles(
        show_forms.click,
        inputs=[ledger, people],
        outputs=form_view,
        api_name="further_forms",
        concurrency_limit=1,
        concurrency_id="generate",
    )
    def preview(found: Ledger | None, written: bool) -> Iterator[dict[Any, Any]]:
        if found is None or not found.weak:
            raise InvalidInput("There is no fact to add forms for. Look up the facts of an adapter first.")
        ids = [each.fact.id for each in found.weak]
        name, teacher = found.dataset.partition(":")[0], WRITER if written else ""
        told = told_as_it_goes(lambda watch: propose_further(workspace, name, ids, teacher=teacher, watch=watch))
        proposed: Further = yield from _each(told, comes_to)
        rows = further_questions(proposed)
        yield {
            comes_to: note(f"{in_words(proposed)} Nothing is made yet."),
            forms: gr.update(value=rows[:MOST_SHOWN] or [["", ""]], visible=bool(rows)),
            make: gr.update(visible=bool(rows)),
            further: proposed,
        }

    @handles(make.click, inputs=[ledger, further], outputs=form_view, api_name="add_forms", concurrency_id="generate")
    def add(found: Ledger | None, proposed: Further | None) -> dict[Any, Any]:
        if found is None or proposed is None:
            raise InvalidInput("Show the further forms first; then they can be added.")
        version = further_version(workspace.store, proposed, reason=because_of(found), now=workspace.now())
        said = f"{version.title} is made. Next: train it, going on from {found.adapter}, in the Train tab."
        return {**no_forms(), comes_to: note(said)}

    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    stop.click(lambda: note("Stopped. The answers so far are kept."), outputs=progress, cancels=[measure], **quiet)
    place = [ledger, source, which]
    for changed in (source.input, which.input):
        changed(shown_to_user(lambda found, name, shown: at(found, name, shown, 0)), place, reading_view, **quiet)
    for button, step in ((back, -1), (forth, 1)):
        button.click(shown_to_user(_stepping(at, step)), [*place, page], reading_view, **quiet)

    def show() -> dict[Any, Any]:
        names = [adapter.name for adapter in workspace.adapters()]
        return {
            empty: gr.update(visible=not names),
            body: gr.update(visible=bool(names)),
            deeper: gr.update(visible=bool(names)),
            chosen: gr.update(choices=names, value=names[0] if names else None),
            before: gr.update(choices=[BY_ITSELF, *names], value=BY_ITSELF),
        }

    return Part([empty, body, deeper, chosen, before], show, [], [add.success])


def legend_html(found: Ledger) -> str:
    """Every state that occurs: its sign in its colour, its name, how many facts, and what it means."""
    against = f", compared with {found.before}" if found.before else ""
    lines = "".join(
        f'<li><span class="fact {state}">{MARKS[state][0]} {escape(MARKS[state][1])}</span> <b>{count}</b> '
        f'<span class="note">{escape(STATES[state])}</span></li>'
        for state, count in found.counts.items()
        if count
    )
    said = f"{found.adapter} on the {len(found.facts)} facts of {found.dataset}{against}"
    return f'<div class="ledger"><h4>{escape(said)}</h4><ul class="legend">{lines}</ul></div>'


def weak_rows(found: Ledger) -> list[list[str]]:
    """Each fact that was not learned with what it was asked and what it said, worst first."""
    rows = []
    for each in sorted(found.weak, key=lambda each: WORST_FIRST.index(each.state)):
        numbered = list(enumerate(each.said, start=1))
        asked = "  ".join(f"{n}) {said.question}" for n, said in numbered)
        answered = "  ".join(f"{n}) {'✓' if said.right else '✕'} {said.answer}" for n, said in numbered)
        rows.append([counted(each), each.fact.clause, each.fact.statement, asked, answered])
    return rows


def pages_of(reading: Reading, found: Ledger, *, only_weak: bool) -> list[list[Passage]]:
    """The document's pages, or of each page only the clauses with something not learned."""
    if not only_weak:
        return [list(page) for page in reading.pages]
    clauses = {each.fact.clause for each in found.weak}
    pages = [[passage for passage in page if passage.clause in clauses] for page in reading.pages]
    return [page for page in pages if page]


def as_html(passages: Sequence[Passage], found: Ledger) -> str:
    """These passages with every fact in the colour and with the sign of its state. What the document says is escaped."""
    by_passage: dict[str, list[Knowledge]] = {}
    for each in found.facts:
        by_passage.setdefault(each.fact.passage_id, []).append(each)
    clauses = found.by_clause()
    blocks: list[str] = []
    for position, passage in enumerate(passages):
        if position == 0 or passages[position - 1].clause != passage.clause:
            named = escape(passage.clause or "(before the first heading)")
            facts = in_short(clauses[passage.clause]) if passage.clause in clauses else "no fact"
            blocks.append(f'{"</section>" if blocks else ""}<section><h4>{named}</h4><p class="chip">{facts}</p>')
        blocks.append(f'<p class="{passage.kind}">{coloured(passage, by_passage.get(passage.id, ()))}</p>')
    closing = "</section>" if blocks else ""
    return f'<div class="document ledger" tabindex="0" aria-label="The document">{"".join(blocks)}{closing}</div>'


def coloured(passage: Passage, known: Sequence[Knowledge]) -> str:
    """A passage as HTML; words that several facts stand on get the colour of the worst, and all are told when pointed at."""
    spans: dict[tuple[int, int], list[Knowledge]] = {}
    by_id: Mapping[str, Knowledge] = {each.fact.id: each for each in known}
    for span, fact in evidence_spans(passage, [each.fact for each in known]):
        spans.setdefault(span, []).append(by_id[fact.id])
    parts: list[str] = []
    done = 0
    for (start, end), here in sorted(spans.items()):
        if end <= done:
            continue
        start = max(start, done)
        state = min((each.state for each in here), key=WORST_FIRST.index)
        sign, name = MARKS[state]
        title = escape("\n".join(f"{counted(each)} — {each.fact.statement}" for each in here))
        parts += [
            escape(passage.text[done:start]),
            f'<mark class="fact {state}" title="{title}">{escape(passage.text[start:end])}'
            f'<sup role="img" aria-label="{escape(name)}">{sign}</sup></mark>',
        ]
        done = end
    return "".join([*parts, escape(passage.text[done:])])


def _each(told: Generator[str, None, Any], shown_in: gr.HTML) -> Generator[dict[Any, Any], None, Any]:
    """Hand the progress on as the value of a component, and return what the work came to. Closed, it stops the work."""
    with closing(told):
        while True:
            try:
                html = next(told)
            except StopIteration as ended:
                return ended.value
            yield {shown_in: html}


def _stepping(at: Callable[..., dict[Any, Any]], step: int) -> Callable[..., dict[Any, Any]]:
    return lambda found, name, shown, number: at(found, name, shown, number + step)

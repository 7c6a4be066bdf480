"""Facts, token by token: an answer in shades of how far the tuned model's expectation is from the base's."""

from collections.abc import Iterator
from contextlib import closing
from html import escape
from typing import Any

import gradio as gr

from engine.workspace import BASE, Workspace
from evals.divergence import (
    THRESHOLDS,
    Divergence,
    Trace,
    divergence,
    items_everyday,
    items_in_policy,
    level,
    pair_of,
)
from evals.ledger import adapter_named
from ui.asked import kept_answers
from ui.diverged import heading, in_words, listed, slice_rows
from ui.errors import handles, shown_to_user
from ui.journey import note
from ui.progress import told_as_it_goes
from ui.tables import table

SLICE_HEAD = ["Slice", "Texts", "Tokens", "Mean", "Worst", "Where", "Another word first"]
TOKEN_HEAD = ["Token", "Nats", "Base expected", "Tuned expected"]
ABOUT = (
    "Held-out questions along the answers they should get, and everyday questions along what the base says: a large distance "
    "there is something forgotten. Each text takes two passes through the model, on this machine."
)
FEW = 6
FURTHEST = 12


def build(workspace: Workspace, chosen: gr.Dropdown) -> None:
    """Lay it out where the caller stands, closed until somebody opens it. `chosen`: the adapter that is looked at."""
    with gr.Accordion("Where tuning changed its mind, token by token", open=False):
        gr.HTML(note(ABOUT), padding=False)
        with gr.Row():
            compare = gr.Button("Compare with the base")
            served = gr.Checkbox(False, label="As served (llama.cpp; top-k only)")
        progress = gr.HTML(padding=False)
        with gr.Column(visible=False) as results:
            slices = table(SLICE_HEAD, label="By slice, nats a token")
            which = gr.Dropdown([], label="Text", allow_custom_value=True)
            text = gr.HTML(padding=False, elem_id="divergence-text")
            tokens = table(TOKEN_HEAD, label="Where the two are furthest apart", max_height=360)
        held = gr.State(None)

    @handles(
        compare.click,
        inputs=[chosen, served],
        outputs=[progress, results, slices, which, text, tokens, held],
        api_name="divergence",
        concurrency_limit=1,
        concurrency_id="evaluate",
        show_progress="minimal",
    )
    def measure(name: str | None, as_served: bool) -> Iterator[dict[Any, Any]]:
        adapter = adapter_named(workspace, name or "")

        def work(watch: Any) -> Divergence:
            items = items_in_policy(workspace, adapter, most=FEW)
            items += items_everyday(workspace.model(BASE), kept=kept_answers(workspace), watch=watch)
            return divergence(adapter.name, pair_of(workspace, adapter, served=as_served), items, watch=watch)

        with closing(told_as_it_goes(work)) as told:
            while True:
                try:
                    html = next(told)
                except StopIteration as ended:
                    found: Divergence = ended.value
                    break
                yield {progress: html}
        yield {
            progress: note(heading(found)),
            results: gr.update(visible=True),
            slices: slice_rows(found),
            which: gr.update(choices=choices(found), value=0),
            held: found,
            **at(found, 0),
        }

    def at(found: Divergence | None, number: int | None) -> dict[Any, Any]:
        traces = ordered(found) if found else []
        if number is None or not 0 <= number < len(traces):
            return {text: "", tokens: [[""] * len(TOKEN_HEAD)]}
        return {text: as_html(traces[number]), tokens: token_rows(traces[number])}

    which.input(shown_to_user(at), [held, which], [text, tokens], api_visibility="private", show_progress="hidden")


def ordered(found: Divergence) -> list[Trace]:
    """The texts, the furthest on average first."""
    return sorted(found.traces, key=lambda trace: -trace.mean)


def choices(found: Divergence) -> list[tuple[str, int]]:
    """As the list offers them."""
    return [(f"{trace.mean:.2f} · {trace.slice} · {trace.question}", n) for n, trace in enumerate(ordered(found))]


def as_html(trace: Trace) -> str:
    """The answer with each token in its shade, underlined the thicker the further; what both expected is told when pointed at."""
    spans = "".join(
        f'<span class="kl kl{level(position.kl)}" title="{escape(in_words(position))}">{escape(position.token)}</span>'
        for position in trace.positions
        if position.token
    )
    return (
        f'<div class="divergence"><p class="note">{escape(trace.question)}</p><p class="told">{spans}</p>'
        f'<p class="note" aria-hidden="true">{_legend()}</p></div>'
    )


def token_rows(trace: Trace) -> list[list[str]]:
    """The furthest tokens of one text, and what either model expected there."""
    furthest = sorted(trace.positions, key=lambda position: -position.kl)[:FURTHEST]
    return [
        [position.token.strip() or "␣", f"{position.kl:.2f}", listed(position.base), listed(position.tuned)]
        for position in furthest
    ]


def _legend() -> str:
    names = [f"under {THRESHOLDS[0]:g}", *(f"{threshold:g} and more" for threshold in THRESHOLDS)]
    return "nats: " + " ".join(f'<span class="kl kl{n}">{escape(name)}</span>' for n, name in enumerate(names))

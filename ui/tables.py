"""Records -> what the page shows: rows of text, highlighted passages, points of plots. Everything people wrote stays text."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import gradio as gr
import pandas as pd

from engine.grounding import trained_mode
from engine.records import Adapter, Excerpt, LedgerRow, Passage
from engine.refusing import Setting, curve

ROW_HEAD = ["Question", "Answer", "State", "Kind", "Why not"]
RUN_HEAD = ["Run", "State", "Adapter", "Steps", "Loss", "Started"]
MODEL_HEAD = ["Model", "Live", "Trained on", "Preset", "Minutes", "Digest"]
HISTORY_HEAD = ["When", "What", "Model", "The gate", "Reason"]
REFUSAL_LINES = ["rightly refused", "falsely refused", "the setting"]
SMOOTH_STEPS = 20


def table(head: Sequence[str], *, label: str, widths: Sequence[str] | None = None, **options: Any) -> gr.Dataframe:
    """A read-only table of plain text."""
    return gr.Dataframe(
        headers=list(head),
        datatype="str",
        type="array",
        label=label,
        interactive=False,
        wrap=True,
        column_widths=list(widths) if widths else None,
        buttons=["copy"],
        elem_classes="plain-table",
        **options,
    )


def ledger_rows(rows: Sequence[LedgerRow]) -> list[list[str]]:
    """A page of the ledger; a statement has no question and shows as what it is."""
    return [
        [
            row.example.question or "(statement)",
            row.example.answer,
            row.split or row.state,
            row.example.kind,
            row.reason,
        ]
        for row in rows
    ]


def highlighted(passage: Passage, evidence: str) -> list[tuple[str, str | None]]:
    """The passage with the evidence marked, a whole list with its items; nothing is marked where it is not verbatim there."""
    words, *items = evidence.split("\n")
    start = passage.text.find(words) if words else -1
    if start < 0:
        return [(passage.text, None)]
    end = start + len(words)
    parts = [(passage.text[:start], None), (words, "evidence"), (passage.text[end:], None)]
    return [(text, label) for text, label in parts if text] + [(f"\n• {item}", "evidence") for item in items]


def place(passage: Passage | Excerpt) -> str:
    """Where a passage stands: "4 Leave › 4.2 Sick leave, page 5"."""
    return f"{passage.clause or 'no heading'}{f', page {passage.page}' if passage.page else ''}"


def refusal_points(found: Setting) -> pd.DataFrame:
    """Both shares against the nats held back, for a line plot; an upright third line stands at the setting."""
    points = curve(found.margins)
    right, false, now = REFUSAL_LINES
    lines = [(nats, 100 * rightly, right) for nats, rightly, _ in points]
    lines += [(nats, 100 * falsely, false) for nats, _, falsely in points]
    lines += [(found.handicap, height, now) for height in (0.0, 100.0)]
    return pd.DataFrame(lines, columns=["nats", "percent", "line"])


def model_rows(base: str, adapters: Sequence[Adapter], live: str) -> list[list[str]]:
    """The base first, then the adapters, newest first, from their cards."""
    lines = [[base, _live(base, live), "", "", "", ""]]
    return lines + [
        [
            adapter.name,
            _live(adapter.name, live),
            adapter.dataset,
            _preset(adapter),
            str(adapter.card.get("minutes", "")),
            adapter.digest[:12],
        ]
        for adapter in adapters
    ]


def _preset(adapter: Adapter) -> str:
    preset = str(adapter.card.get("config", {}).get("preset", ""))
    return f"{preset}, grounded" if trained_mode(adapter) == "grounded" else preset


def history_rows(promotions: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """What went live, newest first."""
    return [[when(row["created_at"]), row["action"], row["model"], row["verdict"], _why(row)] for row in promotions]


def _why(row: Mapping[str, Any]) -> str:
    """The reason given, and, where the gate said otherwise, why that was overruled."""
    against = f"Against the gate: {row['override']}" if row["override"] else ""
    return " · ".join(filter(None, [row["reason"], against]))


def card_text(card: Mapping[str, Any]) -> str:
    """A model card as lines "key: value"; what is nested stands indented below its key."""
    lines = []
    for key, value in card.items():
        if isinstance(value, Mapping):
            lines.append(f"{key}:")
            lines += [f"·  {name}: {inner}" for name, inner in value.items()]
        else:
            lines.append(f"{key}: {value}")
    return "\n".join(lines)


def when(stored: str) -> str:
    """A stored time as people read it: "2026-11-21 12:05 UTC"."""
    return f"{stored[:16].replace('T', ' ')} UTC"


def pace(step: int, steps: int, sentence: str) -> str:
    """A progress bar with its sentence, as HTML; the sentence is escaped."""
    bar = f'<progress class="pace" value="{int(step)}" max="{max(1, int(steps))}" aria-label="Progress"></progress>'
    return f'{bar}<p class="note">{escape(sentence)}</p>'


def _live(name: str, live: str) -> str:
    return "live" if name == live else ""

"""The ballot: two anonymous answers, four verdicts, and what may be said beside them. Knows no model and no store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Literal

import gradio as gr

from engine.battles import CHOICES, LONGEST_REMARK, REASONS, Reveal
from engine.playing import Seen
from engine.records import Choice, Turn

Stage = Literal["empty", "playing", "ready", "voted", "told"]

KEY = {"a": "1", "b": "2", "tie": "3", "both_bad": "4"}
KEYS = (
    ("1 or A", "A is better"),
    ("2 or B", "B is better"),
    ("3 or T", "both good"),
    ("4 or X", "both bad"),
    ("S", "pass over, without a verdict"),
    ("U", "take the verdict back, until the names are told"),
    ("R", "who was who"),
    ("N", "next question"),
    ("?", "show or hide these keys"),
)
WAIT = "Both models are answering …"
READY = "Both answers are complete. Which one is better? Keys: 1, 2, 3, 4; ? shows all of them."
TALK = " Or ask on: both will see your next question and their own answers."
SAVED = "Saved. R tells who was who, U takes it back, N goes on."
SAVED_FIRST = (
    "Saved. After one more verdict the names of both battles are told together; sides are balanced over every two. "
    "R tells them now, and then a fresh coin draws your next sides."
)
TOLD = "Told, and closed: a verdict would not be blind any more."


@dataclass(frozen=True)
class Ballot:
    """The components, in the order they are read: A, B, what is going on, the verdicts, what else one may say."""

    battle: gr.Textbox  # the opaque id; all that the browser knows of the battle
    earlier: tuple[gr.HTML, gr.HTML]
    answers: tuple[gr.Textbox, gr.Textbox]
    status: gr.HTML
    verdicts: Mapping[Choice, gr.Button]
    skip: gr.Button
    undo: gr.Button
    names: gr.Button
    again: gr.Button
    reasons: gr.CheckboxGroup
    comment: gr.Textbox
    repair: gr.Textbox
    reveal: gr.Textbox

    @property
    def outputs(self) -> list[Any]:
        """Everything a handler may change."""
        moves = [self.skip, self.undo, self.names, self.again]
        said = [self.reasons, self.comment, self.repair, self.reveal]
        return [self.battle, *self.answers, self.status, *self.earlier, *self.verdicts.values(), *moves, *said]

    def at(self, stage: Stage, status: str) -> dict[Any, Any]:
        """What may be pressed at this stage, and the sentence that says so."""
        return {
            **{button: gr.update(interactive=stage == "ready") for button in self.verdicts.values()},
            self.status: said(status),
            self.skip: gr.update(visible=stage in ("playing", "ready")),
            self.undo: gr.update(visible=stage == "voted"),
            self.names: gr.update(visible=stage == "voted"),
            self.again: gr.update(visible=stage in ("voted", "told")),
        }

    def blank(self, status: str = "") -> dict[Any, Any]:
        """Nothing asked yet, nothing said."""
        return {
            **self.at("empty", status),
            self.battle: "",
            **dict.fromkeys(self.answers, ""),
            **{place: gr.update(value="", visible=False) for place in self.earlier},
            self.reasons: [],
            self.comment: "",
            self.repair: "",
            self.reveal: gr.update(value="", visible=False),
        }

    def texts(self, seen: Seen) -> dict[Any, Any]:
        """Both answers as far as they are out."""
        return {self.answers[0]: seen.answer_a, self.answers[1]: seen.answer_b}

    def turns(self, history: Sequence[Turn]) -> dict[Any, Any]:
        """What was asked and said before, on either side."""
        return {
            place: gr.update(value=_turns(history, side), visible=bool(history))
            for place, side in zip(self.earlier, "ab", strict=True)
        }


def build(battle: gr.Textbox) -> Ballot:
    """Lay the ballot out where the caller stands; the caller gives its buttons their work."""
    with gr.Row(equal_height=True):
        sides = []
        for letter in "AB":
            with gr.Column(min_width=280):
                before = gr.HTML(visible=False, padding=False)
                sides.append((before, _answer(f"Answer {letter}", f"arena-answer-{letter.lower()}")))
    status = gr.HTML(said(""), padding=False, elem_id="arena-status")
    with gr.Row():
        verdicts = {
            choice: gr.Button(f"{title}  ({KEY[choice]})", interactive=False, elem_id=f"arena-{choice}", min_width=140)
            for title, choice in CHOICES
        }
    with gr.Row(elem_id="arena-extra"):
        again = gr.Button("Next question (N)", variant="primary", visible=False, elem_id="arena-next", size="sm")
        names = gr.Button("Who was who (R)", visible=False, elem_id="arena-names", size="sm")
        undo = gr.Button("Take back (U)", visible=False, elem_id="arena-undo", size="sm")
        skip = gr.Button("Pass over (S)", visible=False, elem_id="arena-skip", size="sm")
        keys = gr.Button("Keys (?)", elem_id="arena-keys", size="sm")
    shown_keys = gr.HTML(_keys(), visible=False, padding=False, elem_id="arena-keys-list")
    reveal = gr.Textbox(label="Who was who", interactive=False, visible=False, elem_id="arena-reveal")
    with gr.Accordion("Say more (optional; sent with your verdict)", open=False):
        reasons = gr.CheckboxGroup([*REASONS], label="Why")
        repair = gr.Textbox(
            "",
            label="The answer as it should be",
            info="Correct the better answer into the right one. Nothing teaches a model more.",
            lines=3,
            max_length=LONGEST_REMARK,
        )
        with gr.Row():
            from_a = gr.Button("Start from A", size="sm", min_width=120)
            from_b = gr.Button("Start from B", size="sm", min_width=120)
        comment = gr.Textbox("", label="Comment", lines=2, max_length=LONGEST_REMARK)
    answers = (sides[0][1], sides[1][1])
    for button, answer in zip((from_a, from_b), answers, strict=True):
        button.click(None, answer, repair, js="(text) => text", api_visibility="private")
    is_open = gr.State(False)
    keys.click(
        lambda shown: (gr.update(visible=not shown), not shown),
        is_open,
        [shown_keys, is_open],
        api_visibility="private",
        show_progress="hidden",
    )
    earlier = (sides[0][0], sides[1][0])
    return Ballot(
        battle, earlier, answers, status, verdicts, skip, undo, names, again, reasons, comment, repair, reveal
    )


def who_was_who(told: Reveal) -> str:
    """The names, what the rater found, and what may have told the arms apart; of both battles of a pair."""
    lines = [_outcome(told)]
    if told.other:
        lines.append(f"In the other battle, on “{told.other.question}”: {_outcome(told.other)}")
    return "\n".join(lines)


def said(sentence: str) -> str:
    """A sentence that a screen reader speaks when it changes; what people typed is escaped."""
    return f'<p class="note" role="status" aria-live="polite">{escape(sentence)}</p>'


def _outcome(told: Reveal) -> str:
    found = {"tie": "You found both good.", "both_bad": "You found both bad."}
    verdict = found.get(told.choice) or f"You found {told.winner} better."
    return " ".join([f"A was {told.model_a}, B was {told.model_b}. {verdict}", *told.flags])


def _answer(label: str, elem_id: str) -> gr.Textbox:
    return gr.Textbox(label=label, lines=5, max_lines=16, interactive=False, autoscroll=False, elem_id=elem_id)


def _turns(history: Sequence[Turn], side: str) -> str:
    lines = [
        f'<p class="asked">{escape(turn["question"])}</p><p>{escape(turn[f"answer_{side}"])}</p>' for turn in history
    ]
    return f'<div class="turns">{"".join(lines)}</div>' if lines else ""


def _keys() -> str:
    lines = "".join(f"<dt>{escape(key)}</dt><dd>{escape(does)}</dd>" for key, does in KEYS)
    return f'<dl class="keys">{lines}</dl>'

"""Arena: one question, two anonymous answers, one verdict, then the names. The browser holds a battle's opaque id, no more."""

import random
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import gradio as gr

from engine import battles
from engine.errors import InvalidInput
from engine.records import Choice
from engine.tasks.policy_qa import POLICY_QA
from engine.workspace import BASE, Workspace
from ui import standings
from ui.ask import held_out_questions, offered
from ui.errors import handles, shown_to_user
from ui.journey import Part, nothing_yet
from ui.rater import rater_field

KEY = {"a": "1 or A", "b": "2 or B", "tie": "3 or T", "both_bad": "4 or X"}
READY = "Both answers are complete. Which one is better? Keys: 1, 2, 3, 4."
WAIT = "Both models are answering …"


def build(workspace: Workspace, kept: gr.BrowserState) -> Part:
    """
    Lay the tab out where the caller stands.

    Which side is which model is drawn by the engine and saved before the first token; until the vote nothing that reaches
    the browser depends on it: not the components' settings, not an event, not the pace.
    """
    empty = nothing_yet("There is nothing to compare with the base yet. Next: train an adapter in the Train tab.")
    with gr.Column(visible=False) as body:
        rater = rater_field(kept)
        with gr.Accordion("Which two models meet", open=False):
            pair = gr.Dropdown(
                [],
                multiselect=True,
                allow_custom_value=True,
                max_choices=2,
                label="Models",
                info="The base and the newest adapter unless you choose. Their sides are drawn anew for every question.",
            )
        question = gr.Textbox(
            label="Question",
            placeholder="Type one, or pick an example",
            submit_btn="Ask both",
            max_lines=4,
            elem_id="arena-question",
        )
        examples = gr.Dataset(
            components=[gr.Textbox(visible=False)], samples=[], label="Examples, never seen in training"
        )
        with gr.Row(equal_height=True):
            answer_a = _answer("Answer A")
            answer_b = _answer("Answer B")
        status = gr.Textbox(show_label=False, label="Status", container=False, interactive=False, elem_classes="note")
        with gr.Row():
            verdicts = {
                choice: gr.Button(
                    f"{title}  ({KEY[choice]})", interactive=False, elem_id=f"arena-{choice}", min_width=140
                )
                for title, choice in battles.CHOICES
            }
        with gr.Accordion("Say more (optional; sent with your verdict)", open=False):
            comment = gr.Textbox("", label="Why", lines=2, max_length=10_000)
            repair = gr.Textbox("", label="The answer as it should be", lines=2, max_length=10_000)
        reveal = gr.Textbox(label="Who was who", interactive=False, visible=False, elem_id="arena-reveal")
        again = gr.Button("Next question (N)", variant="primary", visible=False, elem_id="arena-next")
        board = standings.build(workspace)
    battle = gr.State("")  # the opaque id of the battle on this visitor's screen
    buttons = list(verdicts.values())

    @handles(
        question.submit,
        inputs=[question, pair],
        outputs=[battle, answer_a, answer_b, status, reveal, again, *buttons],
        api_name="battle",
        concurrency_limit=4,
        show_progress="hidden",
    )
    def meet(text: str, names: list[str]) -> Iterator[dict[Any, Any]]:
        models = workspace.models(_pair(workspace, names))
        now = workspace.now()
        new = battles.open_battle(workspace.store, POLICY_QA, text, (models[0], models[1]), rng=workspace.rng, now=now)
        closed = dict.fromkeys(buttons, gr.update(interactive=False))
        hidden = {reveal: gr.update(visible=False, value=""), again: gr.update(visible=False)}
        yield {battle: new.id, answer_a: "", answer_b: "", status: WAIT, **hidden, **closed}
        for seen in battles.play(workspace.store, new, models, POLICY_QA, now=workspace.now()):
            said = {answer_a: seen.answer_a, answer_b: seen.answer_b}
            if seen.error:
                raise InvalidInput(seen.error)
            yield (
                {**said, status: READY, **dict.fromkeys(buttons, gr.update(interactive=True))}
                if seen.complete
                else said
            )

    def judge(choice: Choice, battle_id: str, name: str, why: str, better: str) -> dict[Any, Any]:
        told = battles.vote(
            workspace.store, battle_id, rater=name, choice=choice, comment=why, repair=better, now=workspace.now()
        )
        names = f"A was {told.model_a}, B was {told.model_b}."
        return {
            reveal: gr.update(value=f"{names} {_outcome(told)}", visible=True),
            again: gr.update(visible=True),
            status: "Saved, and closed: now that the names are known, a verdict would not be blind any more.",
            **dict.fromkeys(buttons, gr.update(interactive=False)),
            comment: "",
            repair: "",
            **board.shown(name),
        }

    voted = [
        button.click(
            shown_to_user(partial(judge, choice)),
            [battle, rater, comment, repair],
            [reveal, again, status, comment, repair, *board.outputs, *buttons],
            api_name=f"vote_{choice}",
            concurrency_limit=8,
            concurrency_id="vote",
        )
        for choice, button in verdicts.items()
    ]

    def clean() -> dict[Any, Any]:
        questions = held_out_questions(workspace, limit=40)
        closed = dict.fromkeys(buttons, gr.update(interactive=False))
        return {
            battle: "",
            question: random.choice(questions) if questions else "",
            **dict.fromkeys([answer_a, answer_b, status], ""),
            **dict.fromkeys([reveal, again], gr.update(visible=False)),
            **closed,
        }

    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    again.click(clean, outputs=[battle, question, answer_a, answer_b, status, reveal, again, *buttons], **quiet)
    examples.click(lambda sample: sample[0], examples, question, **quiet)

    def show(name: str) -> dict[Any, Any]:
        names = workspace.model_names()
        return {
            empty: gr.update(visible=len(names) < 2),
            body: gr.update(visible=len(names) > 1),
            pair: gr.update(choices=names, value=names[:2]),
            examples: gr.update(samples=[[text] for text in held_out_questions(workspace)]),
            rater: name or "",
            **board.shown(name or ""),
        }

    return Part([empty, body, pair, examples, rater, *board.outputs], show, [kept], [event.success for event in voted])


def _answer(label: str) -> gr.Textbox:
    return gr.Textbox(label=label, lines=5, max_lines=16, interactive=False, autoscroll=False, min_width=280)


def _pair(workspace: Workspace, names: Sequence[str]) -> list[str]:
    """Two of the workspace's models; the base and the newest adapter where none was named. The order means nothing."""
    known = workspace.model_names()
    if not names:
        if len(known) < 2:
            raise InvalidInput(f'There is only "{BASE}" to ask. Train an adapter first.')
        return known[:2]
    if len(names) != 2:
        raise InvalidInput("A battle needs two models. Choose exactly two, or none for base and the newest adapter.")
    return offered(workspace, names)


def _outcome(told: battles.Reveal) -> str:
    if told.winner:
        return f"You found {told.winner} better."
    return "You found both good." if told.choice == "tie" else "You found both bad."

"""Arena: one question, two anonymous answers, one verdict, then the names. The browser holds a battle's opaque id, no more."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr

from engine import battles, playing, reviews
from engine.errors import InvalidInput, TouchstoneError
from engine.records import Battle, Choice, Mode, Reason
from engine.search import finder
from engine.tasks import task_named
from engine.tasks.policy_qa import POLICY_QA
from engine.workspace import BASE, Workspace
from ui import arena_ballot, arena_owner, standings
from ui.arena_ballot import READY, SAVED, SAVED_FIRST, TALK, TOLD, WAIT, Ballot, who_was_who
from ui.ask import held_out_questions, offered
from ui.errors import handles, shown_to_user
from ui.journey import Part, nothing_yet
from ui.rater import rater_field
from ui.standings import Standings

QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
OWN = "Questions of my own"
ASK = "Type one, or pick an example"


@dataclass(frozen=True)
class Desk:
    """What stands around the ballot: who judges, what is judged, and the question."""

    rater: gr.Textbox
    source: gr.Dropdown
    question: gr.Textbox
    examples: gr.Dataset
    opened: (
        gr.State
    )  # when the tab was opened: what the rater has to judge is filled in afterwards, once the tab is drawn
    interrupted: gr.State  # the id of a battle to go on with, when the page finds one
    shown: gr.State  # for whom and of what the screen was last filled, so that nothing is drawn twice
    board: Standings


def build(workspace: Workspace, kept: gr.BrowserState) -> Part:
    """
    Lay the tab out where the caller stands.

    Which side is which model is drawn by the engine and saved before the first token; until the names are told nothing that
    reaches the browser depends on it: not the components' settings, not an event, not the pace.
    """
    empty = nothing_yet("There is nothing to compare with the base yet. Next: train an adapter in the Train tab.")
    with gr.Column(visible=False) as body:
        with gr.Row():
            rater = rater_field(kept)
            source = gr.Dropdown([(OWN, "")], value="", label="What you judge", min_width=240, elem_id="arena-source")
        question = gr.Textbox(
            label="Question", placeholder=ASK, submit_btn="Ask both", max_lines=4, elem_id="arena-question"
        )
        examples = gr.Dataset(
            components=[gr.Textbox(visible=False)], samples=[], label="Examples, never seen in training"
        )
        battle = gr.Textbox("", label="Battle", elem_classes="offstage", elem_id="arena-battle")
        opened, interrupted, shown = gr.State(""), gr.State(""), gr.State("")
        ballot = arena_ballot.build(battle)
        board = standings.build(workspace)
        owner = arena_owner.build(workspace, rater)
    desk = Desk(rater, source, question, examples, opened, interrupted, shown, board)
    asked = _asking(workspace, desk, ballot, owner)
    voted = _judging(workspace, desk, ballot)
    _going_on(workspace, desk, ballot, asked)

    def show(name: str) -> dict[Any, Any]:
        ready = len(workspace.model_names()) > 1
        return {
            empty: gr.update(visible=not ready),
            body: gr.update(visible=ready),
            examples: gr.update(samples=[[text] for text in held_out_questions(workspace)]),
            rater: name or "",
            opened: workspace.now() if ready else "",
        }

    return Part([empty, body, rater, examples, opened], show, [kept], [event.success for event in voted])


def on_screen(workspace: Workspace, desk: Desk, ballot: Ballot, name: str, queue: str) -> dict[Any, Any]:
    """What this rater has to judge now, of a queue or of their own: the same battle and sides after a refresh or in a second tab."""
    rater = " ".join(name.split())[: battles.LONGEST_NAME]
    choices = [
        (OWN, ""),
        *((f"{q.name}, {q.to_judge} questions", q.name) for q in workspace.store.queues() if q.to_judge),
    ]
    if queue not in [value for _, value in choices]:
        queue = ""
    around = {
        desk.source: gr.update(choices=choices, value=queue),
        desk.question: gr.update(visible=True, label="Question", interactive=True, submit_btn="Ask both"),
        desk.examples: gr.update(visible=not queue),
        desk.interrupted: "",
        desk.shown: f"{rater}/{queue}",
        **desk.board.away(),
    }
    if queue:
        return {**around, **_dealt(workspace, desk, ballot, rater, queue)}
    found = workspace.store.open_battle_of(rater) if rater else None
    if found is None:
        return {**around, **ballot.blank()}
    shown = {
        **ballot.blank(),
        ballot.battle: found.id,
        **ballot.turns(found.history),
        **ballot.texts(playing.as_saved(found)),
    }
    if found.finished_at:
        return {**around, **shown, **_ready(desk, ballot, found)}
    again = {desk.question: gr.update(value=found.question), desk.interrupted: found.id}
    return {**around, **shown, **again, **ballot.at("playing", "This battle was interrupted. It goes on by itself.")}


def _dealt(workspace: Workspace, desk: Desk, ballot: Ballot, rater: str, name: str) -> dict[Any, Any]:
    if not rater:
        return ballot.blank("Type your name to begin.")
    queue = workspace.store.queue(name)
    found = reviews.deal(workspace.store, queue, rater, rng=workspace.rng, now=workspace.now())
    mine = next(
        (row for row in workspace.store.queue_progress(queue) if row["rater"] == rater), {"voted": 0, "dealt": 0}
    )
    if found is None:
        return {
            **ballot.blank(f"Nothing is left for you in {name}: {mine['voted']} judged by you. Thank you."),
            desk.question: gr.update(value="", visible=False),
        }
    status = f"{mine['voted']} judged by you in {name}. {READY}"
    return {
        **ballot.blank(),
        ballot.battle: found.id,
        desk.question: gr.update(value=found.question, visible=True, interactive=False, submit_btn=False),
        **ballot.texts(playing.as_saved(found)),
        **ballot.at("ready", status),
    }


def _ready(desk: Desk, ballot: Ballot, found: Battle) -> dict[Any, Any]:
    asks_on = gr.update(value="", label=f"Ask on (so far: {found.question})")
    return {desk.question: asks_on, **ballot.at("ready", READY + TALK)}


def _asking(workspace: Workspace, desk: Desk, ballot: Ballot, owner: arena_owner.Owner) -> Any:
    """Open a battle or its next turn, and let both answers out. Returns the events."""

    def played(battle: Battle) -> Iterator[dict[Any, Any]]:
        task = task_named(battle.task)
        yield {
            **ballot.blank(),
            ballot.battle: battle.id,
            **ballot.turns(battle.history),
            **ballot.at("playing", WAIT),
            **desk.board.away(),
        }
        try:
            models = workspace.models(sorted((battle.model_a, battle.model_b)))
        except TouchstoneError as problem:  # says which of the two, so it is for the record and not for the rater
            battles.give_up(workspace.store, battle, problem, now=workspace.now())
            yield ballot.blank(playing.VOID)
            raise InvalidInput(playing.VOID) from None
        asked = " ".join([*(turn["question"] for turn in battle.history[-1:]), battle.question])
        excerpts = finder(workspace.store, battle.mode)(asked)
        for seen in playing.play(
            workspace.store, battle, models, task, excerpts=excerpts, now=workspace.now(), rng=workspace.rng
        ):
            if seen.error:
                yield ballot.blank(seen.error)
                raise InvalidInput(seen.error)
            yield {**ballot.texts(seen), **(_ready(desk, ballot, battle) if seen.complete else {})}

    @handles(
        desk.question.submit,
        inputs=[desk.question, ballot.battle, desk.rater, owner.pair, owner.mode],
        outputs=[desk.question, *ballot.outputs, *desk.board.outputs],
        api_name="battle",
        concurrency_limit=4,
        concurrency_id="battle",
        show_progress="hidden",
    )
    def meet(text: str, battle_id: str, name: str, models: list[str], mode: Mode) -> Iterator[dict[Any, Any]]:
        rater = battles.rater_named(name)
        yield from played(_opened(workspace, text, battle_id, rater, models, mode))

    @handles(
        desk.interrupted.change,
        inputs=[desk.interrupted, desk.rater],
        outputs=[desk.question, *ballot.outputs, *desk.board.outputs],
        concurrency_limit=4,
        concurrency_id="battle",
        **QUIET,
    )
    def go_on(battle_id: str, name: str) -> Iterator[dict[Any, Any]]:
        if battle_id:
            yield from played(battles.battle_of(workspace.store, battle_id, battles.rater_named(name)))

    return meet, go_on


def _opened(workspace: Workspace, text: str, battle_id: str, rater: str, models: Sequence[str], mode: Mode) -> Battle:
    """The battle on the screen where it was interrupted, its next turn, or a new one."""
    if battle_id:
        current = battles.battle_of(workspace.store, battle_id, rater)
        judged = workspace.store.current_vote(current.id, rater) is not None
        if current.finished_at is None and not current.skipped_at:
            return current
        if not (judged or current.error or current.skipped_at or current.item):
            return battles.talk_on(workspace.store, current.id, text, rater=rater)
    first, second = workspace.models(_pair(workspace, models))
    return battles.open_battle(
        workspace.store,
        POLICY_QA,
        text,
        (first, second),
        rng=workspace.rng,
        now=workspace.now(),
        rater=rater,
        mode=mode,
    )


def _judging(workspace: Workspace, desk: Desk, ballot: Ballot) -> list[Any]:
    """The four verdicts, and taking one back. Returns the events after which there is a new vote."""

    def judge(
        choice: Choice, battle_id: str, name: str, reasons: list[Reason], comment: str, repair: str
    ) -> dict[Any, Any]:
        battles.vote(
            workspace.store,
            battle_id,
            rater=name,
            choice=choice,
            comment=comment,
            repair=repair,
            reasons=reasons,
            now=workspace.now(),
        )
        return ballot.at("voted", SAVED_FIRST if battles.is_first_of_two(workspace.store, battle_id) else SAVED)

    for_vote = [ballot.battle, desk.rater, ballot.reasons, ballot.comment, ballot.repair]
    voted = [
        button.click(
            shown_to_user(partial(judge, choice)),
            for_vote,
            ballot.outputs,
            api_name=f"vote_{choice}",
            concurrency_limit=8,
            concurrency_id="vote",
            show_progress="hidden",
        )
        for choice, button in ballot.verdicts.items()
    ]

    @handles(
        ballot.undo.click,
        inputs=[ballot.battle, desk.rater],
        outputs=ballot.outputs,
        api_name="undo",
        concurrency_limit=8,
        concurrency_id="vote",
    )
    def take_back(battle_id: str, name: str) -> dict[Any, Any]:
        battles.undo(workspace.store, battle_id, rater=name, now=workspace.now())
        return ballot.at("ready", f"Taken back. {READY}")

    @handles(
        ballot.names.click,
        inputs=[ballot.battle, desk.rater],
        outputs=[*desk.board.outputs, *ballot.outputs],
        api_name="reveal",
        concurrency_limit=8,
        concurrency_id="vote",
    )
    def tell(battle_id: str, name: str) -> dict[Any, Any]:
        told = battles.reveal(workspace.store, battle_id, rater=name, now=workspace.now())
        return {
            **ballot.at("told", TOLD),
            ballot.reveal: gr.update(value=who_was_who(told), visible=True),
            **desk.board.shown(name),
        }

    return [*voted, take_back]


def _going_on(workspace: Workspace, desk: Desk, ballot: Ballot, asked: Sequence[Any]) -> None:
    """Next, pass over, another name or another list: each brings what the rater has to judge now."""
    around = [desk.source, desk.question, desk.examples, desk.interrupted, desk.shown, *desk.board.outputs]
    outputs = [*around, *ballot.outputs]

    def after(name: str, queue: str) -> dict[Any, Any]:
        shown = on_screen(workspace, desk, ballot, name, queue)
        if not queue and not workspace.store.open_battle_of(name.strip()):
            questions = held_out_questions(workspace, limit=40)
            shown[desk.question] |= {"value": random.choice(questions) if questions else ""}
        return shown

    def pass_over(battle_id: str, name: str, queue: str) -> dict[Any, Any]:
        battles.skip(workspace.store, battle_id, rater=name, now=workspace.now())
        return after(name, queue)

    def deal(name: str, queue: str, shown: str) -> dict[Any, Any]:
        filled = on_screen(workspace, desk, ballot, name, queue)
        return {desk.shown: shown} if filled[desk.shown] == shown else filled

    here = [desk.rater, desk.source]
    desk.opened.change(shown_to_user(partial(on_screen, workspace, desk, ballot)), here, outputs, **QUIET)
    ballot.again.click(shown_to_user(after), here, outputs, api_name="next", show_progress="hidden")
    ballot.skip.click(
        shown_to_user(pass_over),
        [ballot.battle, *here],
        outputs,
        api_name="skip",
        cancels=list(asked),
        show_progress="hidden",
    )
    gr.on(
        [desk.source.input, desk.rater.submit, desk.rater.blur],
        shown_to_user(deal),
        [*here, desk.shown],
        outputs,
        api_name="deal",
        show_progress="hidden",
    )
    desk.examples.click(lambda sample: sample[0], desk.examples, desk.question, **QUIET)


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

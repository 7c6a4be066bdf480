"""The standings in the Arena: hidden until the rater has voted, then the verdict, the scores and how the evidence grew."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from engine.tasks.policy_qa import POLICY_QA
from engine.workspace import Workspace
from evals.leaderboard import leaderboard
from evals.ranking import HeadToHead
from evals.sequential import evidence
from ui.journey import note
from ui.standing_tables import (
    RATER_HEAD,
    SLICE_STANDING_HEAD,
    STANDING_HEAD,
    evidence_plot,
    interval_plot,
    rater_rows,
    slice_standing_rows,
    standing_rows,
    verdict,
)
from ui.tables import table

LATER = "The standings are shown with the names, after your own vote, so that nobody votes with the others."
HOW = (
    "400 points more are odds of ten to one; 1000 is the mean. The intervals allow for few raters and few questions. "
    "“If equally long” takes out what raters give for longer answers. Both bad has its own rate and makes nothing surer."
)


@dataclass(frozen=True)
class Standings:
    """The view as a tab holds it: `outputs` belong to the events that call `shown`."""

    workspace: Workspace
    hidden: gr.HTML
    body: gr.Column
    said: gr.HTML
    scores: gr.HTML
    board: gr.Dataframe
    growth: gr.HTML
    slices: gr.Dataframe
    raters: gr.Dataframe
    marked: gr.Dataframe

    @property
    def outputs(self) -> list[Any]:
        """Everything that `shown` may change."""
        return [
            self.hidden,
            self.body,
            self.said,
            self.scores,
            self.board,
            self.growth,
            self.slices,
            self.raters,
            self.marked,
        ]

    def away(self) -> dict[Any, Any]:
        """Nothing of them on the page, nor hidden in it."""
        empty: dict[Any, Any] = {self.hidden: gr.update(visible=True), self.body: gr.update(visible=False)}
        empty |= dict.fromkeys((self.said, self.scores, self.growth), "")
        return empty | dict.fromkeys((self.board, self.slices, self.raters, self.marked), gr.update(value=[]))

    def shown(self, rater: str) -> dict[Any, Any]:
        """What this rater may see: nothing of anybody's votes before their own first one."""
        store = self.workspace.store
        if not rater.strip() or not store.has_voted(POLICY_QA.name, rater.strip()[:80]):
            return self.away()
        found = leaderboard(store, self.workspace.adapters(), POLICY_QA.name)
        return {
            self.hidden: gr.update(visible=False),
            self.body: gr.update(visible=True),
            self.said: verdict(found),
            self.scores: interval_plot(found.raw.standings),
            self.board: gr.update(value=standing_rows(found)),
            self.growth: evidence_plot(found.head, evidence(found.outcomes)) if found.head else "",
            self.slices: gr.update(value=slice_standing_rows(found), visible=bool(found.slices)),
            self.raters: gr.update(value=rater_rows(found), label=_of_whom(found.head)),
            self.marked: gr.update(value=[[question] for question in found.marked], visible=bool(found.marked)),
        }


def build(workspace: Workspace) -> Standings:
    """Lay the view out where the caller stands."""
    hidden = gr.HTML(note(LATER), padding=False)
    with gr.Column(visible=False, elem_id="standings") as body:
        said = gr.HTML(padding=False, elem_id="standings-verdict")
        growth = gr.HTML(padding=False)
        scores = gr.HTML(padding=False)
        with gr.Accordion("All figures, by slice and by rater", open=False):
            gr.HTML(note(HOW), padding=False)
            board = table(STANDING_HEAD, label="Standings, from every rater's votes")
            slices = table(SLICE_STANDING_HEAD, label="By kind of question", visible=False)
            raters = table(RATER_HEAD, label="By rater")
            marked = table(
                ["Not scored: it trained one of the two, or nearly"], label="Marked questions", visible=False
            )
    return Standings(workspace, hidden, body, said, scores, board, growth, slices, raters, marked)


def _of_whom(head: HeadToHead | None) -> str:
    return f"By rater: won by {head.first} against {head.second}" if head else "By rater"

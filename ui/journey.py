"""Where a workspace stands in the loop, and what one part of the page hands to the shell. Knows no tab."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import gradio as gr

from engine import generation, reviews
from engine.workspace import Workspace

STEPS = ("Document", "Dataset", "Train", "Compare blind", "Vote", "Next version")


@dataclass(frozen=True)
class Part:
    """
    A tab as the shell sees it: `show(*inputs)` returns {component: value} for its `outputs`, from disk, each time it is opened.

    `changed` are the triggers after which the workspace may stand elsewhere in the loop.
    """

    outputs: Sequence[Any]
    show: Callable[..., Mapping[Any, Any]]
    inputs: Sequence[Any] = ()
    changed: Sequence[Callable[..., Any]] = ()


@dataclass(frozen=True)
class Standing:
    """The one obvious next step: what to press, in which tab, and which steps are behind us."""

    step: int  # index into STEPS of what comes next; len(STEPS) when the loop is closed
    tab: str
    sentence: str
    button: str
    counts: Sequence[str] = field(default_factory=tuple)  # one short remark a step

    @property
    def empty(self) -> bool:
        """Nothing was loaded yet."""
        return self.step == 0


def standing(workspace: Workspace) -> Standing:
    """Read off the workspace what comes next; costs a few small queries."""
    versions = workspace.store.datasets()
    running = [job for job in workspace.jobs() if job.state == "running" and job.kind != reviews.KIND]
    making = [job for job in running if job.kind == generation.KIND]
    if not versions and making:
        return Standing(1, "dataset", f"wait for “{making[0].title}”. You may close this page.", "Watch it")
    if not versions:
        return Standing(0, "dataset", "load the sample policy, or drop your own documents.", "Load documents")
    newest = versions[0]
    adapters = workspace.adapters()
    votes = [vote.id for battle, vote in workspace.store.voted_battles() if battle.task == newest.task]
    fresh = len(set(votes) - set(newest.recipe.get("votes") or ()))
    learned = next((adapter.name for adapter in adapters if adapter.dataset == newest.title), "")
    counts = (
        _several(len(newest.documents), "file"),
        f"{newest.title}, {newest.counts['kept']} rows",
        _several(len(adapters), "adapter"),
        _several(len({battle.id for battle in workspace.store.battles()}), "battle"),
        _several(len(votes), "vote"),
        f"{fresh} new for it" if fresh else "",
    )
    for job in running:
        step, tab = (1, "dataset") if job in making else (2, "train")
        return Standing(step, tab, f"wait for “{job.title}”. You may close this page.", "Watch it", counts)
    if not adapters:
        return Standing(2, "train", f"train an adapter on {newest.title}.", "Go to Train", counts)
    if fresh:
        says = f"make the next version of {newest.name}: {_several(fresh, 'vote')} can go into it."
        return Standing(5, "dataset", says, "Go to Dataset", counts)
    if not learned:
        return Standing(2, "train", f"train again: {newest.title} is newer than every adapter.", "Go to Train", counts)
    if not votes:
        return Standing(3, "arena", f"compare base and {adapters[0].name} blind, and vote.", "Go to the Arena", counts)
    says = f"compare again, or evaluate. The loop is closed: {learned} was trained on {newest.title}."
    return Standing(3, "arena", says, "Go to the Arena", counts)


def as_html(now: Standing) -> str:
    """The loop as a line of steps, the next one marked; every name in it is escaped."""
    items = []
    for number, step in enumerate(STEPS):
        state = "next" if number == now.step else "done" if number < now.step else "later"
        count = now.counts[number] if number < len(now.counts) else ""
        current = ' aria-current="step"' if state == "next" else ""
        items.append(f'<li class="{state}"{current}><b>{escape(step)}</b><span>{escape(count)}</span></li>')
    loop = f'<ol class="loop" aria-label="The loop">{"".join(items)}</ol>'
    return f'{loop}<p class="next-step">Next: {escape(now.sentence)}</p>'


def note(text: str) -> str:
    """A line of our own words as HTML; what people typed is escaped."""
    return f'<p class="note">{escape(text)}</p>'


def nothing_yet(text: str) -> gr.HTML:
    """The empty state of a tab: one line that names the next step."""
    return gr.HTML(note(text), elem_classes="empty-state", padding=False)


def _several(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"

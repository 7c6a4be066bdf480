"""Where tuning changed a model's mind, in words: the command that tells it. Knows no page."""

from argparse import Namespace
from pathlib import Path
from typing import Any

from engine.next_token import Expected, Position
from engine.tasks import task_named
from engine.workspace import BASE, Workspace
from evals.divergence import (
    EVERYDAY,
    Divergence,
    Item,
    as_mapping,
    divergence,
    items_everyday,
    items_in_policy,
    items_of_file,
    pair_of,
)
from evals.ledger import adapter_named
from ui.asked import kept_answers
from ui.terminal import Screen

HEAD = ["slice", "texts", "tokens", "mean", "worst", "where", "another word first"]
TOLD = 3


def diverge(workspace: Workspace, options: Namespace, screen: Screen) -> dict[str, Any]:
    """How far an adapter's next token is from its base's, on held-out and everyday questions or on those of a file."""
    adapter = adapter_named(workspace, options.adapter)
    kept, base = kept_answers(workspace), workspace.model(BASE)
    items: list[Item]
    if options.questions:
        task = task_named(options.task)
        path = Path(options.questions)
        items = items_of_file(path, task, base, plain=options.plain, most=options.limit, kept=kept, watch=screen.watch)
    else:
        items = items_in_policy(workspace, adapter, most=options.limit)
        items += items_everyday(base, kept=kept, watch=screen.watch)
    pair = pair_of(workspace, adapter, served=options.served)
    found = divergence(adapter.name, pair, items, watch=screen.watch)
    screen.say(heading(found))
    screen.table(slice_rows(found), head=HEAD)
    for trace in sorted(found.traces, key=lambda trace: -trace.worst.kl)[:TOLD]:
        screen.say(f"\n{trace.question}  [{trace.slice}]")
        screen.say(f"  {in_words(trace.worst)}")
    return as_mapping(found)


def heading(found: Divergence) -> str:
    """Which two, in which unit, and whether it is all of it."""
    least = "" if found.exact else " At least so much: only the likeliest tokens are known here (top-k only)."
    return f"{found.adapter} beside its base, in nats a token (0: nothing changed).{least}"


def slice_rows(found: Divergence) -> list[list[str]]:
    """A line a slice, the furthest first."""
    least = "" if found.exact else "≥ "
    return [
        [
            each.name if each.name != EVERYDAY else "everyday (what may be forgotten)",
            str(each.items),
            str(each.tokens),
            f"{least}{each.mean:.2f}",
            f"{least}{each.worst:.1f}",
            f"“{each.worst_token.strip()}” in: {each.worst_question}",
            f"{each.changed:.0%}".replace("%", " %"),
        ]
        for each in found.slices
    ]


def in_words(position: Position) -> str:
    """ "at “twelve” 4.1 nats: base expected “a” 40 %, “the” 12 %; tuned “twelve” 97 %"."""
    return f"at “{position.token.strip()}” {position.kl:.1f} nats: base expected {listed(position.base)}; tuned {listed(position.tuned)}"


def listed(expected: tuple[Expected, ...]) -> str:
    """The three likeliest with their shares."""
    return ", ".join(f"“{one.token.strip() or '␣'}” {one.share:.0%}".replace("%", " %") for one in expected[:TOLD])

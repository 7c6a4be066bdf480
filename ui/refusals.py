"""How readily an adapter refuses, in words and as a table: the command that shows it and sets it. Knows no page."""

from argparse import Namespace
from typing import Any

from engine.adapters import read_adapter
from engine.refusing import Setting, choose, setting_at, setting_of
from engine.workspace import Workspace
from evals.intervals import share
from ui.terminal import Screen

OFFERED = (1.0, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5)
HEAD = ["refuses at least", "held back", "rightly refused", "falsely refused", ""]


def refusals(workspace: Workspace, options: Namespace, screen: Screen) -> dict[str, Any]:
    """What several settings come to on the held-out questions; saves one when it is named."""
    adapter = read_adapter(workspace.adapters_dir, options.adapter)
    now = setting_of(adapter)
    if options.least_refused is not None or options.default:
        choose(adapter, options.least_refused)
        now = setting_of(adapter)
        screen.say(f"Saved. {in_words(now)}")
    shares = sorted({*OFFERED, now.least_refused}, reverse=True)
    settings = [setting_at(now.margins, least) for least in shares]
    screen.table(
        [
            [
                percent(found.least_refused),
                f"{found.handicap:.2f} nats" if found.handicap else "as trained",
                share(found.rightly, len(now.margins.unanswerable)),
                share(found.wrongly, len(now.margins.answerable)),
                "" if found.least_refused != now.least_refused else "now, chosen" if now.chosen else "now, the default",
            ]
            for found in settings
        ],
        head=HEAD,
    )
    return {
        "adapter": adapter.name,
        "least_refused": now.least_refused,
        "chosen": now.chosen,
        "handicap": now.handicap,
        "settings": [
            {
                "least_refused": found.least_refused,
                "handicap": found.handicap,
                "rightly_refused": found.rightly,
                "falsely_refused": found.wrongly,
            }
            for found in settings
        ],
        "unanswerable": len(now.margins.unanswerable),
        "answerable": len(now.margins.answerable),
    }


def in_words(found: Setting) -> str:
    """What a setting comes to, for people."""
    without, with_one = len(found.margins.unanswerable), len(found.margins.answerable)
    how = f"its refusal held back by {found.handicap:.2f} nats" if found.handicap else "as it was trained"
    said = (
        f"With {how} it refuses {found.rightly} of {without} held-out questions without an answer, and falsely "
        f"{found.wrongly} of {with_one} with one."
    )
    if found.rightly >= found.least_refused * without:
        return said
    return f"{said} That is less than {percent(found.least_refused)}: it never learned to refuse more."


def percent(least: float) -> str:
    """ "95 %", "92.5 %"."""
    return f"{100 * least:.4g} %"

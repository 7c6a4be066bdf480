"""The fact ledger in words: the command that shows it and makes the next version from it. Knows no page."""

from argparse import Namespace
from typing import Any

from engine.further import Further, further_version, propose_further
from engine.grounding import used_otherwise
from engine.workspace import Workspace
from evals.ledger import STATES, Knowledge, Ledger, State, adapter_named, as_mapping, ledger_of
from ui.asked import kept_answers
from ui.terminal import Screen

MARKS: dict[State, tuple[str, str]] = {
    "learned": ("✓", "learned"),
    "known": ("●", "was known"),
    "recites": ("≈", "recites"),
    "half_learned": ("◐", "half-learned"),
    "not_learned": ("✕", "not learned"),
    "lost": ("↓", "lost"),
    "never_taught": ("○", "never taught"),
    "not_asked": ("?", "not asked"),
}
"""Of each state, the sign that stands at its facts and its name."""
MOST_LINES = 30


def ledger(workspace: Workspace, options: Namespace, screen: Screen) -> dict[str, Any]:
    """What an adapter knows, fact by fact; further forms for the rest are shown, or made the next version."""
    adapter = adapter_named(workspace, options.adapter)
    kept = kept_answers(workspace, anew=options.anew)
    if otherwise := used_otherwise(workspace.adapters(), [adapter.name], "closed"):
        screen.say(otherwise)
    found = ledger_of(workspace, adapter, before=options.before or "", kept=kept, watch=screen.watch)
    show_ledger(found, screen)
    result = as_mapping(found)
    if not options.forms:
        if found.weak:
            screen.say(f"\nMore forms for these {len(found.weak)}: app.py ledger {adapter.name} --forms show")
        return result
    weak = [each.fact.id for each in found.weak]
    name = adapter.dataset.partition(":")[0]
    further = propose_further(workspace, name, weak, teacher=options.teacher, watch=screen.watch)
    show_further(further, screen)
    result["further"] = {"of": further.parent.title, **further.counts, "rows": further_questions(further)}
    if options.forms == "add":
        version = further_version(workspace.store, further, reason=because_of(found), now=workspace.now())
        screen.say(f"{version.title} is made. Train it: app.py train --from {adapter.name} --dataset {version.title}")
        result["made"] = version.title
    return result


def show_ledger(found: Ledger, screen: Screen) -> None:
    """Counts first, then clause by clause, then the facts that were not learned."""
    against = f", compared with {found.before}" if found.before else ""
    screen.say(f"{found.adapter} on the {len(found.facts)} facts of {found.dataset}{against}:")
    lines = [[*MARKS[state], count, STATES[state]] for state, count in found.counts.items() if count]
    screen.table(lines, head=["", "state", "facts", "meaning"])
    screen.say()
    clauses = [[in_short(facts), clause or "(before the first heading)"] for clause, facts in found.by_clause().items()]
    screen.table(clauses, head=["facts", "clause"])
    if found.weak:
        screen.say()
    for each in found.weak[:MOST_LINES]:
        screen.say(f"{MARKS[each.state][0]} {each.fact.statement}  [{counted(each)}]")
    if len(found.weak) > MOST_LINES:
        screen.say(f"  … and {len(found.weak) - MOST_LINES} more; --json lists every fact")


def show_further(further: Further, screen: Screen) -> None:
    """What would be added, some of it in its words."""
    screen.say(f"\n{in_words(further)}")
    rows = further_questions(further)
    for question, answer in rows[:MOST_LINES]:
        screen.say(f"  + {question}\n      {answer}")
    if len(rows) > MOST_LINES:
        screen.say(f"  … and {len(rows) - MOST_LINES} more; --json lists every row")


def in_words(further: Further) -> str:
    """What the next version would have that this one has not."""
    counts = further.counts
    refused = sum(row.state != "kept" for row in further.rows)
    return (
        f"Beside what {further.parent.title} has: {counts['questions']} further questions for {counts['facts']} facts, "
        f"and {counts['refusals']} near them that are to be refused. {refused} proposed rows did not pass the gates."
    )


def further_questions(further: Further) -> list[list[str]]:
    """The kept ones as [question, answer]."""
    return [[row.example.question, row.example.answer] for row in further.kept]


def because_of(found: Ledger) -> str:
    """For the recipe: which ledger asked for the forms."""
    return f"{len(found.weak)} facts that {found.adapter} had not learned"


def in_short(facts: list[Knowledge]) -> str:
    """ "3✓ 1✕": how many facts of a clause are in which state."""
    states = [each.state for each in facts]
    return " ".join(f"{states.count(state)}{mark}" for state, (mark, _) in MARKS.items() if state in states)


def counted(each: Knowledge) -> str:
    """ "half-learned: 1 of 2 right; base 0 of 2; before 2 of 2"."""
    said = f"{MARKS[each.state][1]}: {each.now} right"
    if each.trained_wording:
        said += ", asked in trained wordings"
    if each.base.right:
        said += f"; base {each.base}"
    return said + (f"; before {each.before}" if each.before else "")

"""Dataset versions on the command line: a new edition taken in, two versions compared, foreign questions kept apart."""

from argparse import Namespace
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.comparing import Comparison, as_mapping, compare, fact_as_mapping
from engine.editions import Edition, FactChange, by_clause
from engine.leakage import QuestionFile, read_question_file
from engine.records import DatasetVersion
from engine.updating import update_version
from engine.workspace import Workspace
from ui.terminal import Screen

MOST_LINES = 12
MARKS = {"added": "+", "removed": "-", "changed": "~", "moved": ">"}


def update_dataset(workspace: Workspace, options: Namespace, screen: Screen) -> dict[str, Any]:
    """The next version of a dataset, from a new edition of some of its documents."""
    parent = workspace.store.dataset(options.dataset)
    apart_from = question_files(options.apart_from)
    read = workspace.add_files([Path(name) for name in options.files], masking=options.mask, watch=screen.watch)
    for refused in read.refused:
        screen.say(f"Left out: {refused}")
    version, found = update_version(
        workspace.store,
        parent,
        read.documents,
        seed=options.seed,
        now=workspace.now(),
        apart_from=apart_from,
        watch=screen.watch,
    )
    show_edition(found, screen)
    done = version.recipe["update"]
    screen.say(f"{version.title}, from {parent.title}: {counts_in_words(version.counts)}")
    screen.say("Rows of the parent: " + ", ".join(f"{n} {name}" for name, n in done["rows"].items()))
    show_checks(version, screen)
    return {
        "dataset": version.title,
        "parent": parent.title,
        "counts": version.counts,
        "update": done,
        "changes": [fact_as_mapping(change) for change in found.changes if change.kind != "unchanged"],
        "leakage": version.recipe["leakage"],
        "refused_files": read.refused,
    }


def compare_versions(workspace: Workspace, options: Namespace, screen: Screen) -> dict[str, Any]:
    """What the second version has that the first has not, and the other way round."""
    old, new = workspace.store.dataset(options.old), workspace.store.dataset(options.new)
    store = workspace.store
    found = compare(store.rows(old.id), store.rows(new.id), store.facts(old.id), store.facts(new.id))
    show_comparison(old, new, found, screen)
    return {"old": old.title, "new": new.title, **as_mapping(found)}


def question_files(named: Sequence[str] | None) -> list[QuestionFile]:
    """The files whose questions no training row may be close to."""
    return [read_question_file(Path(name)) for name in named or ()]


def counts_in_words(counts: Mapping[str, int]) -> str:
    """A version's ledger in one line."""
    return (
        f"{counts['proposed']} rows proposed = {counts['kept']} kept + {counts['rejected']} rejected + {counts['failed']} failed; "
        f"{counts['train']} to train, {counts['probe']} and {counts['test']} held out"
    )


def show_checks(version: DatasetVersion, screen: Screen) -> None:
    """What was looked for between training rows and held-out or foreign questions, and what was found."""
    for file in version.recipe.get("apart_from", []):
        screen.say(
            f"Apart from {file['file']}: {file['rejected']} training rows were too close to its {file['questions']} questions"
        )
    found = version.recipe["leakage"]
    screen.say(
        f"Leakage: {found['shared_facts']} facts on both sides of the split, "
        f"{found['close_pairs']} training questions close to a held-out one"
    )


def show_edition(found: Edition, screen: Screen) -> None:
    """Which file replaces which document, then what it changes, clause by clause."""
    for entry in found.replacements:
        if entry.old is None:
            screen.say(f"{entry.new.name} is {entry.reason}")
        else:
            screen.say(f"{entry.new.name} replaces {entry.old.name} ({entry.reason})")
    screen.say("Facts: " + ", ".join(f"{n} {kind}" for kind, n in found.counts.items()))
    _show_facts(found.changes, screen)


def show_comparison(old: DatasetVersion, new: DatasetVersion, found: Comparison, screen: Screen) -> None:
    """Counts first, then the facts clause by clause, then some rows of each sort."""
    counts = ", ".join(f"{len(found.of_sort(sort))} {sort}" for sort in ("added", "removed", "changed"))
    screen.say(f"{new.title} against {old.title}: rows: {found.same_rows} the same, {counts}")
    if not found.rows and not found.facts:
        return
    for trait in ("kind", "form", "reason", "clause"):
        table = [[value, *n.values()] for value, n in found.counted(trait).items()]  # type: ignore[arg-type]
        if table:
            screen.say()
            screen.table(table[:MOST_LINES], head=[f"by {trait}", "added", "removed", "changed"])
            _say_left_out(len(table), screen)
    screen.say(f"\nFacts: {found.same_facts} the same, {len(found.facts)} not")
    _show_facts(found.facts, screen)
    for sort in ("changed", "added", "removed"):
        changes = [change for change in found.of_sort(sort) if change.row.example.question]  # type: ignore[arg-type]
        if changes:
            screen.say(f"\nRows {sort}:")
        for change in changes[:MOST_LINES]:
            screen.say(f"  {MARKS[sort]} {change.row.example.question}  [{change.what}]")
            if change.old and change.new and change.what == "answer":
                screen.say(f"      was: {change.old.example.answer}\n      is:  {change.new.example.answer}")
        _say_left_out(len(changes), screen)


def _show_facts(changes: Iterable[FactChange], screen: Screen) -> None:
    """Moved facts are counted, not shown: they say what they said."""
    for clause, facts in by_clause(change for change in changes if change.kind != "moved").items():
        screen.say(f"\n{clause}")
        for change in facts:
            if change.old:
                screen.say(f"  - {change.old.statement}")
            if change.new:
                screen.say(f"  + {change.new.statement}")
    screen.say()


def _say_left_out(count: int, screen: Screen) -> None:
    if count > MOST_LINES:
        screen.say(f"  … and {count - MOST_LINES} more; --json lists every row")

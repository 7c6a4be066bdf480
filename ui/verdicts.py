"""The commands that measure models and decide which one goes live: evaluate, gate, promote."""

from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.errors import NotFound
from engine.registry import live_model
from engine.search import finder
from engine.tasks import task_named
from engine.workspace import BASE, Workspace
from evals import promotion
from evals.intervals import Share
from evals.questions import read_questions
from evals.report import as_json
from evals.reporting.page import columns, page, table
from evals.rules import FILE, rules_text
from ui.commands import warn_of_mode, writable
from ui.terminal import Screen

LEFT_OUT = ("answers", "about", "trivial")
SHOWN_COLUMNS = 6
MARKS = {"met": "+", "broken": "-", "open": "?"}


def evaluate_models(workspace: Workspace, options: Namespace, screen: Screen) -> dict[str, Any]:
    """The measured comparison on a question file, with the gate's verdict; kept, and written where it was asked for."""
    task = task_named(options.task)
    questions = read_questions(Path(options.questions))
    models = workspace.models([name.strip() for name in options.models.split(",") if name.strip()])
    files = {name: writable(given) for name in ("out", "html") if (given := getattr(options, name))}
    judge = workspace.model(options.judge) if options.judge else None
    warn_of_mode(workspace, [model.name for model in models], options.mode, screen)
    report = promotion.measure_models(
        workspace,
        models,
        questions,
        task,
        find=finder(workspace.store, options.mode),
        mode=options.mode,
        source=Path(options.questions).name,
        judge=judge,
        watch=screen.watch,
    )
    show_report(report, screen)
    for name, file in files.items():
        file.write_text(as_json(report) if name == "out" else page(report), encoding="utf-8")
        screen.say(f"The report: {file}")
    return in_short(report)


def in_short(report: Mapping[str, Any]) -> dict[str, Any]:
    """The report without single answers, as a command's result."""
    pairs = [{key: value for key, value in pair.items() if key != "examples"} for pair in report["pairs"]]
    return {key: value for key, value in report.items() if key not in LEFT_OUT} | {"pairs": pairs}


def show_report(report: Mapping[str, Any], screen: Screen) -> None:
    """The verdicts with their reasons, then one line a model; those that need no training stand above."""
    for pair in report["pairs"]:
        screen.say(pair["verdict"]["headline"])
        for finding in pair["verdict"]["findings"]:
            screen.say(f"  {MARKS[finding['state']]} {finding['rule']}: {finding['says']}")
    head = columns(report)[:SHOWN_COLUMNS]
    screen.table([line[: len(head)] for line in table(report)], head=["model", *head[1:]])
    for pair in report["pairs"]:
        worst = next((each for each in pair["slices"] if each["p_holm"] is not None), None)
        if worst:
            found = worst["change"]
            rights = f"{found['before']} right before, {found['after']} now, of {found['of']}"
            screen.say(f"Of {pair['second']} the worst slice is “{worst['title']}”: {rights}.")
    for row in report["judges"]:
        screen.say(f"The judge {row['judge']} on {row['second']} against {row['first']}: {_judged(row)}")


def _judged(row: Mapping[str, Any]) -> str:
    """What a judge model came to, and how far people agree with it."""
    if "error" in row:
        return str(row["error"])
    found = row["agreement"]
    people = (
        f"it agrees with people on {Share(**found['votes'])} votes"
        if found
        else "nobody has voted, so its word is unproven"
    )
    return f"better in {row['prefers_second']} of {row['of']}, worse in {row['prefers_first']}, tie in {row['ties']}; {people}."


def gate(workspace: Workspace, options: Namespace, screen: Screen) -> dict[str, Any]:
    """What today's rules say of a model, or of every adapter, in the place of the live one; and where the rules are."""
    task = task_named(options.task)
    text, path = rules_text(workspace.settings.workspace), workspace.settings.workspace / FILE
    if options.model and options.model not in (names := workspace.model_names()) and ":" not in options.model:
        raise NotFound(f'There is no model "{options.model}" in this workspace. Choose from: {", ".join(names)}.')
    asked = [options.model] if options.model else [name for name in workspace.model_names() if name != BASE]
    live = live_model(workspace.store, task.name)
    if live in asked:
        screen.say(f"{live} is live.")
    said = {}
    for name in (name for name in asked if name != live):
        found = promotion.standing(workspace, task, name)
        said[name] = {
            "live": found.live,
            "verdict": found.outcome,
            "evaluation": found.evaluation_id,
            "says": found.says,
        }
        screen.say(f"{name}: {found.says}")
        for finding in found.verdict.findings if found.verdict else ():
            screen.say(f"  {MARKS[finding.state]} {finding.rule}: {finding.says}")
    screen.say(f"The rules, to be edited in {path}:\n\n{text}")
    return {"rules": str(path), "models": said}


def promote(workspace: Workspace, options: Namespace, screen: Screen) -> dict[str, Any]:
    """Make a model live if the gate says so, or against it with a reason."""
    task = task_named(options.task)
    found = promotion.promote(workspace, task, options.model, reason=options.reason, override=options.override)
    screen.say(f'"{options.model}" is live for {options.task}. The gate: {found.outcome}.')
    return {"live": options.model, "verdict": found.outcome, "evaluation": found.evaluation_id}

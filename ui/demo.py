"""The whole loop on the sample policy without the page: generate, gate, train, evaluate, battle, vote, next version."""

import time
from argparse import Namespace
from typing import Any

from engine import battles, datasets, generation
from engine.answering import closed_book
from engine.records import Choice, DatasetVersion, Question
from engine.samples import QUESTIONS
from engine.tasks import Task, task_named
from engine.training import with_preset
from engine.workspace import BASE, Workspace
from evals.metrics import is_right
from evals.promotion import measure_models
from evals.questions import read_questions
from evals.run import read_share
from ui.commands import watch_job
from ui.terminal import Screen
from ui.verdicts import in_short, show_report

DATASET = "leave-and-benefits"
RATER = "demo script"
LONGEST_GOOD_ANSWER = 60  # words
MINUTES = 10.0
"""Of training: enough to be far above base, and with everything else well under half an hour, also on a busy laptop."""


def run_demo(workspace: Workspace, options: Namespace, screen: Screen) -> dict[str, Any]:
    """
    Every step of the product once, for real, with a report at the end.

    The scripted rater is no model: it looks the answer up in the sample's gold questions, and says so in the report.
    """
    started = time.monotonic()
    task = task_named(options.task)
    report: dict[str, Any] = {"task": task.name, "preset": "quick" if options.quick else "balanced"}
    screen.say("1/6  Document -> dataset")
    version = _dataset(workspace, task, screen, report)
    screen.say("2/6  Dataset -> adapter")
    adapter = _adapter(workspace, version, screen, report)
    screen.say("3/6  Base against tuned, on wordings held out from training")
    _evaluation(workspace, version, adapter, task, screen, report)
    screen.say("4/6  A blind battle, and a vote")
    _battle(workspace, adapter, task, screen, report)
    screen.say("5/6  The next dataset version")
    following = datasets.next_version(workspace.store, version, now=workspace.now())
    report["next"] = {"dataset": following.title, "votes": following.recipe["votes"], "counts": dict(following.counts)}
    report["minutes"] = round((time.monotonic() - started) / 60, 1)
    screen.say("6/6  Report")
    _summary(report, screen)
    return report


def _dataset(workspace: Workspace, task: Task, screen: Screen, report: dict[str, Any]) -> DatasetVersion:
    document = workspace.add_sample()
    version = generation.make_version(
        workspace.store, DATASET, [document], task=task, now=workspace.now(), watch=screen.watch
    )
    report["dataset"] = {
        "dataset": version.title,
        "document": document.name,
        "pages": document.page_count,
        "facts": version.recipe["facts"],
        "counts": dict(version.counts),
        "rejected": workspace.store.rejections(version.id),
    }
    return version


def _adapter(workspace: Workspace, version: DatasetVersion, screen: Screen, report: dict[str, Any]) -> str:
    """Train under a name that is free: demo, demo-2, demo-3, …"""
    taken = {adapter.name for adapter in workspace.adapters()}
    name = next(name for n in range(1, 10_000) if (name := "demo" if n == 1 else f"demo-{n}") not in taken)
    shorter = {} if report["preset"] == "quick" else {"max_minutes": MINUTES}
    job = workspace.train(with_preset(report["preset"], adapter=name, dataset=version.title, **shorter))
    finished = watch_job(job, screen)
    report["training"] = {"adapter": name, "job": job.id, **finished["progress"]}
    return name


def _evaluation(
    workspace: Workspace, version: DatasetVersion, adapter: str, task: Task, screen: Screen, report: dict[str, Any]
) -> None:
    models = workspace.models([BASE, adapter])
    rows = [*workspace.store.rows(version.id, split="probe"), *workspace.store.rows(version.id, split="test")]
    questions = datasets.held_out_as_questions(rows)
    report["held_out"] = _measured(workspace, models, questions, task, f"held-out rows of {version.title}", screen)
    report["gold"] = _measured(workspace, models, read_questions(QUESTIONS), task, QUESTIONS.name, screen)


def _measured(
    workspace: Workspace, models: Any, questions: Any, task: Task, source: str, screen: Screen
) -> dict[str, Any]:
    return in_short(
        measure_models(workspace, models, questions, task, find=closed_book, source=source, watch=screen.watch)
    )


def _battle(workspace: Workspace, adapter: str, task: Task, screen: Screen, report: dict[str, Any]) -> None:
    """Battles over gold questions until one is decided; the vote follows the gold patterns and the length, blind to the names."""
    models = (workspace.model(BASE), workspace.model(adapter))
    for question in read_questions(QUESTIONS):
        battle = battles.open_battle(
            workspace.store, task, question.question, models, rng=workspace.rng, now=workspace.now(), rater=RATER
        )
        *_, seen = battles.play(workspace.store, battle, models, task, now=workspace.now())
        if seen.error:
            continue
        right = {side: _is_good(text, question) for side, text in (("a", seen.answer_a), ("b", seen.answer_b))}
        if right["a"] == right["b"]:
            choice: Choice = "tie" if right["a"] else "both_bad"
        else:
            choice = "a" if right["a"] else "b"
        battles.vote(workspace.store, battle.id, rater=RATER, choice=choice, now=workspace.now())
        reveal = battles.reveal(workspace.store, battle.id, rater=RATER, now=workspace.now())
        report["battle"] = {
            "question": seen.question,
            "answer_a": seen.answer_a,
            "answer_b": seen.answer_b,
            "choice": choice,
            "model_a": reveal.model_a,
            "model_b": reveal.model_b,
        }
        if choice in ("a", "b"):
            return


def _is_good(answer: str, question: Question) -> bool:
    """Right by the gold patterns and short: a page of guesses holds every number, the wanted one too."""
    return is_right(answer, question) and len(answer.split()) <= LONGEST_GOOD_ANSWER


def _summary(report: dict[str, Any], screen: Screen) -> None:
    counts, training = report["dataset"]["counts"], report["training"]
    screen.say(
        f"\n{report['dataset']['document']}: {report['dataset']['pages']} pages, {report['dataset']['facts']} facts; "
        f"{counts['proposed']} rows proposed = {counts['kept']} kept + {counts['rejected']} rejected + {counts['failed']} failed"
    )
    screen.say(f"Trained {training['adapter']}: {training.get('message', '')}")
    for name in ("held_out", "gold"):
        screen.say(f"\n{report[name]['questions']}")
        show_report(report[name], screen)
        for model, found in report[name]["models"].items():
            slices = ", ".join(f"{part}: {read_share(share)}" for part, share in found["slices"].items())
            if name == "held_out":
                screen.say(f"  {model}: {slices}")
    battle = report.get("battle")
    if battle:
        screen.say(f"\nBattle: {battle['question']}")
        screen.say(f"  A: {battle['answer_a']}\n  B: {battle['answer_b']}")
        screen.say(
            f"  Vote: {battle['choice']} (a script that knows the gold answer, and takes none over {LONGEST_GOOD_ANSWER} words); "
            f"then revealed: A was {battle['model_a']}, B was {battle['model_b']}"
        )
    screen.say(f"Next dataset version: {report['next']['dataset']}, with votes {report['next']['votes']}")
    screen.say(f"All in {report['minutes']} minutes.")

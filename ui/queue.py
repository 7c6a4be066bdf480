"""The command `queue`: make a review queue and watch it being answered, list queues, see who judged how much."""

from argparse import Namespace
from pathlib import Path
from typing import Any

from engine import reviews
from engine.errors import InvalidInput
from engine.records import ReviewQueue
from engine.tasks.policy_qa import POLICY_QA
from engine.workspace import Workspace
from ui.arena_owner import QUEUE_HEAD, RATER_HEAD, left_picks, queue_rows, rater_rows
from ui.commands import watch_job
from ui.terminal import Screen


def queue_command(workspace: Workspace, options: Namespace, screen: Screen) -> dict[str, Any]:
    """List, make, show or take back review queues."""
    if options.action == "list":
        found = workspace.store.queues()
        if not found:
            screen.say("No review queue yet. Make one with: app.py queue add NAME --questions FILE")
        screen.table(queue_rows(found), head=QUEUE_HEAD)
        return {"queues": [_as_json(queue) for queue in found]}
    if not options.name:
        raise InvalidInput("Which queue? Name it; app.py queue lists them.")
    if options.action == "add":
        return _add(workspace, options, screen)
    queue = workspace.store.queue(options.name)
    if options.action == "discard":
        reviews.discard(workspace.store, queue, workspace.jobs())
        screen.say(f"{queue.name} is taken back.")
        return {"discarded": queue.name}
    screen.say(f"{queue.name}: {reviews.counts_in_words(queue)}.")
    for item in workspace.store.frozen_items(queue):
        if item["error"]:
            screen.say(f"  question {item['position']} failed: {item['error']}")
    screen.table(rater_rows(workspace, queue), head=RATER_HEAD)
    screen.say(left_picks(workspace))
    return {"queue": _as_json(queue), "raters": workspace.store.queue_progress(queue)}


def _add(workspace: Workspace, options: Namespace, screen: Screen) -> dict[str, Any]:
    if options.questions:
        questions = reviews.file_as_questions(Path(options.questions))
    else:
        versions = [workspace.store.dataset(options.dataset)] if options.dataset else workspace.store.datasets()
        if not versions:
            raise InvalidInput("There is no dataset yet. Name a file with --questions.")
        questions = reviews.held_out_questions(workspace.store, versions[0])
    named = [name.strip() for name in options.models.split(",")] if options.models else workspace.model_names()[:2]
    if len(named) != 2:
        raise InvalidInput("A review needs two models. Name them with --models base,ADAPTER.")
    workspace.models(named)
    queue, job = reviews.make_queue(
        workspace.store,
        options.name,
        questions,
        task=POLICY_QA,
        models=(named[0], named[1]),
        mode=options.mode,
        overlap=options.overlap,
        folder=workspace.reviews_dir,
        settings=workspace.settings,
        now=workspace.now(),
    )
    done = watch_job(job, screen)
    return {"queue": _as_json(workspace.store.queue(queue.name)), "job": done["job"], "state": done["state"]}


def _as_json(queue: ReviewQueue) -> dict[str, Any]:
    return {
        "name": queue.name,
        "task": queue.task,
        "mode": queue.mode,
        "models": list(queue.models),
        "overlap": queue.overlap,
        **queue.counts,
    }

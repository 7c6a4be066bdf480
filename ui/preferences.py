"""Votes as training data, by command: pairs, single answers, better answers, or everything as it was given."""

from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.errors import InvalidInput
from engine.preferences import Preferences, preferences, raw_lines
from engine.records import Job
from engine.tasks import task_named
from engine.training import TrainingConfig
from engine.workspace import Workspace
from ui.terminal import Screen


def of_votes(options: Namespace) -> bool:
    """Whether an export is of votes rather than of a dataset version."""
    return options.votes or options.what in ("dpo", "kto", "raw")


def export_votes(workspace: Workspace, options: Namespace, screen: Screen) -> dict[str, Any]:
    """Write them, and say of each vote left out why."""
    if options.format or options.dataset or options.split != "all":
        raise InvalidInput(
            "Votes belong to no dataset version and have one format. Leave out --dataset, --format and --split, or "
            "export a version: --what sft without --votes."
        )
    out = Path(options.out)
    if not out.parent.is_dir():
        raise InvalidInput(
            f"The folder {out.parent} does not exist, so {out.name} cannot be written there. Make it first."
        )
    if out.is_dir():
        raise InvalidInput(f"{out} is a folder. Name a file.")
    lines, left_out = vote_lines(workspace, options.what, options.task)
    out.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    screen.say(f"{len(lines)} rows written to {out}.")
    for sentence in reasons(left_out):
        screen.say(sentence)
    return {"rows": len(lines), "out": options.out, "left_out": dict(left_out)}


def vote_lines(workspace: Workspace, what: str, task_name: str) -> tuple[list[str], Mapping[str, int]]:
    """The lines of an export, and how many votes give none for which reason. Raises InvalidInput when there is no line."""
    task, left_out = task_named(task_name), {}
    if what == "raw":
        lines = list(raw_lines(workspace.store))
    else:
        found: Preferences = preferences(workspace.store, task, what)  # type: ignore[arg-type]
        lines, left_out = list(found.lines(task)), dict(found.left_out)
    if lines:
        return lines, left_out
    why = " ".join(reasons(left_out))
    if why:
        raise InvalidInput(f"No vote gives a row of this kind. {why} Export --what raw, or go on voting in the Arena.")
    raise InvalidInput("There is no vote yet, so there is nothing to export. Vote in the Arena first.")


def started_on_votes(workspace: Workspace, config: TrainingConfig, parent: str, screen: Screen) -> Job:
    """A run on votes, and what it learns from."""
    job, found = workspace.prefer(config, parent)
    screen.say(account_of(config, found))
    return job


def account_of(config: TrainingConfig, found: Preferences) -> str:
    """What a run on votes learns from, in a sentence or a few."""
    kind = "answers" if found.shape == "kto" else "pairs"
    return " ".join(
        [f"{config.method.upper()} on {len(found.rows)} {kind} from {found.votes} votes.", *reasons(found.left_out)]
    )


def reasons(left_out: Mapping[str, int]) -> list[str]:
    """A sentence for each reason."""
    return [f"{votes} vote{'s' * (votes > 1)} left out: {reason}." for reason, votes in left_out.items()]

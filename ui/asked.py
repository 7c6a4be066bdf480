"""Which questions are asked, and where the answers are kept: the same for the page and the command line. Knows no page."""

from pathlib import Path

from engine.answers import StoredAnswers
from engine.datasets import held_out_as_questions
from engine.errors import InvalidInput
from engine.records import Mode, Question
from engine.workspace import Workspace
from evals.questions import read_questions


def questions_of(
    workspace: Workspace, mode: Mode, *, dataset: str | None = None, file: str | None = None
) -> tuple[list[Question], str]:
    """
    The questions of a file, or what a dataset version holds out, and what they are called in a report.

    Raises what `read_questions` and `Store.dataset` raise.
    """
    if file:
        return read_questions(Path(file)), Path(file).name
    if not dataset:
        raise InvalidInput("There is nothing to ask. Name a question file or a dataset.")
    version = workspace.store.dataset(dataset)
    rows = workspace.store.rows(version.id, state="kept")
    return held_out_as_questions(rows, mode), f"held-out rows of {version.title}"


def kept_answers(workspace: Workspace, *, anew: bool = False) -> StoredAnswers:
    """In the workspace's file; `anew`: what is kept is asked again, and replaced."""
    return StoredAnswers(workspace.store, workspace.now, anew=anew)

"""The ranking on the command line: standings, who beats whom, whether to stop, what was not scored, whether raters agree."""

from argparse import Namespace
from pathlib import Path
from typing import Any

from engine.workspace import Workspace
from evals.agreement import agreement_of_labels, agreement_of_votes
from evals.leaderboard import Leaderboard, as_json, leaderboard, leaderboard_of
from evals.votes_file import read_votes
from ui.standing_tables import SLICE_STANDING_HEAD, STANDING_HEAD, flip_words, slice_standing_rows, standing_rows
from ui.terminal import Screen

MOST_PAIRS = 20


def show_leaderboard(workspace: Workspace, options: Namespace, screen: Screen) -> dict[str, Any]:
    """The ranking from the votes of the workspace, or of a file."""
    if options.votes:
        board = leaderboard_of(read_votes(Path(options.votes)))
    else:
        board = leaderboard(workspace.store, workspace.adapters(), options.task)
    if not board.raw.standings:
        screen.say("No votes yet. Ask a question in the Arena and vote.")
        return as_json(board)
    screen.table(standing_rows(board), head=STANDING_HEAD)
    _show_pairs(board, screen)
    if board.slices:
        screen.table(slice_standing_rows(board), head=SLICE_STANDING_HEAD)
    for note in board.notes():
        screen.say(f"note: {note}")
    return as_json(board)


def warn_of_disagreement(workspace: Workspace, task: str, screen: Screen) -> list[str]:
    """What an export must say of votes and labels on which raters hardly agree, a sentence each."""
    found = [agreement_of_votes(workspace.store, task).warning("The votes")]
    for version in workspace.store.datasets()[:1]:
        found.append(agreement_of_labels(workspace.store, version).warning(f"The labels of {version.title}"))
    said = [sentence for sentence in found if sentence]
    for sentence in said:
        screen.say(f"warning: {sentence}")
    return said


def _show_pairs(board: Leaderboard, screen: Screen) -> None:
    for head in board.raw.heads[:MOST_PAIRS]:
        screen.say(
            f"{head.first} against {head.second}: {head.share}, {head.ties} both good, {head.both_bad} both bad, "
            f"{head.raters} raters, {head.questions} questions. {head.stop.sentence} {flip_words(head)}".rstrip()
        )
    if len(board.raw.heads) > MOST_PAIRS:
        screen.say(f"… and {len(board.raw.heads) - MOST_PAIRS} pairs with fewer votes; --json has them all.")

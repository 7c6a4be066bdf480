"""Votes from a CSV file, of any arena, as ballots: which column is which, and a sentence for a line that cannot be counted."""

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from engine.errors import InvalidInput
from engine.records import Contender, Tally
from evals.ballots import Ballots, ballots_of

MODELS = (("model_a", "model_b"), ("left", "right"), ("model_x", "model_y"), ("first", "second"))
RATER = ("rater", "worker", "judge", "annotator", "user")
QUESTION = ("question", "prompt", "prompt_id", "question_id")
LABELS = {
    **dict.fromkeys(("model_a", "left", "a", "model_x", "first", "x"), "left"),
    **dict.fromkeys(("model_b", "right", "b", "model_y", "second", "y"), "right"),
    **dict.fromkeys(("tie", "draw", "both_good"), "tie"),
    **dict.fromkeys(("both_bad", "tie (bothbad)", "bothbad"), "both_bad"),
}
OUTCOMES = ("first", "second", "tie", "both_bad")


def read_votes(path: Path) -> Ballots:
    """
    The votes of a CSV file with a header: two models, a winner, and where they are there, a rater and a question.

    Where the rater or the question is missing each vote counts as one of its own, so the intervals cannot know what hangs
    together. Raises InvalidInput for a file that cannot be read, columns that are not there, and the first line with an unknown
    winner, an empty name or one model twice.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns = _columns(path, reader.fieldnames or ())
            return _counted([_vote(path, number, row, columns) for number, row in enumerate(reader, start=2)], path)
    except OSError as problem:
        raise InvalidInput(f"{path} cannot be read ({problem.strerror}). Name a CSV file of votes.") from None
    except (UnicodeDecodeError, csv.Error) as problem:
        raise InvalidInput(f"{path} is no CSV file in UTF-8 ({problem}). Save it as one.") from None


def _columns(path: Path, header: Sequence[str]) -> dict[str, str]:
    there = {str(name).strip().lower(): name for name in header}
    models = next((pair for pair in MODELS if set(pair) <= set(there)), None)
    if models is None or "winner" not in there:
        raise InvalidInput(
            f"{path} has the columns {', '.join(map(str, header)) or '(none)'}. "
            "Votes need model_a, model_b (or left, right) and winner; a rater and a question are read where there are such columns."
        )
    rater = next((name for name in RATER if name in there), "")
    question = next((name for name in QUESTION if name in there), "")
    return {
        "left": there[models[0]],
        "right": there[models[1]],
        "winner": there["winner"],
        "rater": there.get(rater, ""),
        "question": there.get(question, ""),
    }


def _vote(
    path: Path, line: int, row: Mapping[str, str | None], columns: Mapping[str, str]
) -> tuple[str, str, str, str, str]:
    """(first, second, outcome, rater, question): the models by name."""
    left, right = ((row.get(columns[side]) or "").strip() for side in ("left", "right"))
    said = (row.get(columns["winner"]) or "").strip()
    label = LABELS.get(said.lower())
    if label is None:
        raise InvalidInput(
            f'{path.name}, line {line}: "{said}" is no winner. Known are left, right, model_a, model_b, tie and both_bad.'
        )
    if not left or not right or left == right:
        raise InvalidInput(f'{path.name}, line {line}: "{left}" against "{right}" is no battle. Name two models.')
    rater = (row.get(columns["rater"]) or "").strip() if columns["rater"] else f"line {line}"
    question = (row.get(columns["question"]) or "").strip() if columns["question"] else f"line {line}"
    swapped = {"left": "second", "right": "first"} if left > right else {"left": "first", "right": "second"}
    return min(left, right), max(left, right), swapped.get(label, label), rater, question


def _counted(votes: Sequence[tuple[str, str, str, str, str]], path: Path) -> Ballots:
    if not votes:
        raise InvalidInput(f"{path.name} holds no vote. Choose another file.")
    pairs = {pair: number for number, pair in enumerate(sorted({vote[:2] for vote in votes}))}
    by_rater = Counter((pairs[vote[:2]], vote[3], vote[2]) for vote in votes)
    by_question = Counter((pairs[vote[:2]], vote[4], vote[2]) for vote in votes)
    return ballots_of(
        {number: (Contender(first), Contender(second)) for (first, second), number in pairs.items()},
        _tallies(by_rater),
        _tallies(by_question),
    )


def _tallies(counted: Mapping[tuple[int, str, str], int]) -> list[Tally]:
    keys = sorted({key[:2] for key in counted})
    return [Tally(pair, of, 0, *(counted.get((pair, of, outcome), 0) for outcome in OUTCOMES)) for pair, of in keys]

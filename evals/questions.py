"""Question files -> questions to ask, checked before any model is asked."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from engine.answering import read_jsonl
from engine.errors import InvalidInput
from engine.records import Question
from evals.intervals import share
from evals.metrics import is_right
from evals.patterns import check_pattern

LONGEST_TEXT = 20_000
"""Characters of a question or an answer: about ten pages, and far more than any of our models reads or writes."""
FEW = 20
KNOWN = ("id", "question", "paraphrase", "kind", "accept", "reject", "slice")


def read_questions(path: Path) -> list[Question]:
    """
    A question file in the format of the project's contract. Raises InvalidInput naming the first row at fault.

    A row that also says its answer, as "gold" or "answer", is at fault where its own patterns do not take that answer as right.
    """
    rows = read_jsonl(path)
    questions = [_question(row, f"{number} of {path.name}") for number, row in enumerate(rows, start=1)]
    twice = [name for name, n in Counter(question.id for question in questions).items() if n > 1]
    if twice:
        raise InvalidInput(
            f'{path.name}: the id "{twice[0]}" stands on more than one row. Give each row an id of its own.'
        )
    return questions


def notes_on_questions(questions: Sequence[Question]) -> list[str]:
    """What these questions cannot show, a sentence each: all of one kind, or too few of a kind."""
    answerable = sum(question.kind == "answerable" for question in questions)
    unanswerable = len(questions) - answerable
    found = []
    if not unanswerable:
        found.append(
            "No question is without an answer, so whether a model invents answers is not measured. "
            'Add rows of the kind "unanswerable".'
        )
    if not answerable:
        found.append('No question has an answer, so only refusing is measured. Add rows of the kind "answerable".')
    if len(questions) < FEW:
        most = share(len(questions), len(questions)).low
        found.append(
            f"{len(questions)} question{'s' * (len(questions) > 1)} cannot decide much: all of them right may still be "
            f"{most:.0%} in truth. Ask at least {FEW}.".replace("%", " %")
        )
    return found


def _question(row: dict[str, Any], where: str) -> Question:
    name = "" if row.get("id") is None else str(row["id"]).strip()
    if not name:
        raise InvalidInput(f'Row {where} has no "id". Give each row one.')
    if name.endswith("#p"):
        raise InvalidInput(f'Row {where}: the id "{name}" ends in "#p", which marks paraphrases. Give it another one.')
    if not str(row.get("question") or "").strip():
        raise InvalidInput(f'Row {name} ({where}) has no "question". Add it or delete the row.')
    if row.get("kind") not in ("answerable", "unanswerable"):
        raise InvalidInput(
            f'Row {name} ({where}): "kind" must be "answerable" or "unanswerable", not {row.get("kind")!r}.'
        )
    patterns = {key: row.get(key) or [] for key in ("accept", "reject")}
    for key, given in patterns.items():
        if not isinstance(given, list) or not all(isinstance(pattern, str) for pattern in given):
            raise InvalidInput(f'Row {name} ({where}): "{key}" must be a list of patterns. Mend that row.')
    if row["kind"] == "answerable" and not patterns["accept"]:
        raise InvalidInput(f'Row {name} ({where}) is answerable but has no "accept" pattern. Add at least one.')
    question = Question(
        id=name,
        question=str(row["question"]).strip(),
        kind=cast(Any, row["kind"]),
        paraphrase=str(row.get("paraphrase") or "").strip(),
        accept=tuple(patterns["accept"]),
        reject=tuple(patterns["reject"]),
        slice=str(row.get("slice") or ""),
        extra={key: value for key, value in row.items() if key not in KNOWN},
    )
    _check_texts(question, where)
    return question


def _check_texts(question: Question, where: str) -> None:
    """Lengths first, then the patterns on the row's own words, then whether they take its gold answer as right."""
    gold = str(question.extra.get("gold") or question.extra.get("answer") or "")
    for what, text in (("question", question.question), ("paraphrase", question.paraphrase), ("answer", gold)):
        if len(text) > LONGEST_TEXT:
            raise InvalidInput(
                f"Row {question.id} ({where}): its {what} has {len(text):,} characters, more than {LONGEST_TEXT:,}. "
                "Shorten it or delete the row."
            )
    for pattern in (*question.accept, *question.reject):
        check_pattern(pattern, question.id, question.question, gold)
    if question.kind == "answerable" and gold and not is_right(gold, question):
        shown = gold if len(gold) <= 80 else f"{gold[:80]}…"
        raise InvalidInput(
            f'Row {question.id} ({where}): its own patterns do not take its answer "{shown}" as right. '
            'Mend "accept" or "reject", or the answer.'
        )

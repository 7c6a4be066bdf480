"""Question files -> questions to ask, checked before any model is asked."""

from collections import Counter
from pathlib import Path
from typing import Any, cast

from engine.answering import read_jsonl
from engine.errors import InvalidInput
from engine.records import Question
from evals.metrics import check_pattern

KNOWN = ("id", "question", "paraphrase", "kind", "accept", "reject", "slice")


def read_questions(path: Path) -> list[Question]:
    """A question file in the format of the project's contract. Raises InvalidInput naming the first row at fault."""
    rows = read_jsonl(path)
    questions = [_question(row, f"{number} of {path.name}") for number, row in enumerate(rows, start=1)]
    twice = [name for name, n in Counter(question.id for question in questions).items() if n > 1]
    if twice:
        raise InvalidInput(
            f'{path.name}: the id "{twice[0]}" stands on more than one row. Give each row an id of its own.'
        )
    return questions


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
        for pattern in given:
            check_pattern(pattern, name)
    if row["kind"] == "answerable" and not patterns["accept"]:
        raise InvalidInput(f'Row {name} ({where}) is answerable but has no "accept" pattern. Add at least one.')
    return Question(
        id=name,
        question=str(row["question"]).strip(),
        kind=cast(Any, row["kind"]),
        paraphrase=str(row.get("paraphrase") or "").strip(),
        accept=tuple(patterns["accept"]),
        reject=tuple(patterns["reject"]),
        slice=str(row.get("slice") or ""),
        extra={key: value for key, value in row.items() if key not in KNOWN},
    )

"""Right or wrong, one answer at a time."""

import regex

from engine.errors import InvalidInput
from engine.marking import bare
from engine.marking import is_refusal as is_refusal
from engine.marking import recites as recites
from engine.marking import token_f1 as token_f1
from engine.records import Question

REGEX_TIMEOUT_S = 1.0


def is_right(answer: str, question: Question) -> bool:
    """
    An answerable question: some `accept` pattern matches and no `reject` does (case-insensitive, dot matches newline,
    Markdown emphasis stripped), or, where there are no patterns, the answer recites the row's gold answer.
    An unanswerable one: the answer is the refusal.
    """
    if question.kind == "unanswerable":
        return is_refusal(answer)
    text = bare(answer)
    if question.accept:
        accepted = any(_matches(pattern, text, question.id) for pattern in question.accept)
        return accepted and not any(_matches(pattern, text, question.id) for pattern in question.reject)
    return recites(text, str(question.extra.get("gold", "")))


def check_pattern(pattern: str, row: str) -> None:
    """Raises InvalidInput naming the row whose pattern is no regular expression."""
    try:
        regex.compile(pattern, regex.IGNORECASE | regex.DOTALL)
    except regex.error as problem:
        raise InvalidInput(
            f'Row {row}: the pattern "{pattern}" is not a regular expression ({problem}). Mend it.'
        ) from None


def _matches(pattern: str, text: str, row: str) -> bool:
    try:
        return regex.search(pattern, text, regex.IGNORECASE | regex.DOTALL, timeout=REGEX_TIMEOUT_S) is not None
    except TimeoutError:
        raise InvalidInput(
            f'Row {row}: the pattern "{pattern}" takes over a second on one answer. Simplify it.'
        ) from None

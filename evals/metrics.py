"""Right or wrong, one answer at a time."""

from engine.marking import bare
from engine.marking import is_refusal as is_refusal
from engine.marking import recites as recites
from engine.marking import token_f1 as token_f1
from engine.records import Question
from evals.patterns import matches


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
        accepted = any(matches(pattern, text, question.id) for pattern in question.accept)
        return accepted and not any(matches(pattern, text, question.id) for pattern in question.reject)
    return recites(text, str(question.extra.get("gold", "")))

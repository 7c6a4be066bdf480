"""The measured comparison: the same questions to every model, counted apart by what was asked."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from statistics import median
from typing import Any

from engine.answering import Find, answer_rows, closed_book
from engine.answers import Answers
from engine.backends import ChatModel
from engine.errors import InvalidInput
from engine.records import REFUSAL, Decoding, Question
from engine.tasks import Task
from evals.intervals import Share, mcnemar, share
from evals.metrics import is_refusal, is_right
from evals.questions import LONGEST_TEXT, notes_on_questions

Watch = Callable[[str, int, int], None]


def evaluate(
    models: Sequence[ChatModel],
    questions: Sequence[Question],
    task: Task,
    *,
    find: Find = closed_book,
    decoding: Decoding | None = None,
    mode: str = "closed",
    source: str = "",
    kept: Answers | None = None,
    watch: Watch | None = None,
) -> dict[str, Any]:
    """
    Ask every question and its paraphrase to every model, and return the report as plain data (JSON-ready, no clock in it).

    Always refusing stands beside the models as a row of its own. Every later model is compared with the first one, pair by
    pair. A row on which a model fails, or whose answer cannot be judged, counts as failed: neither right nor wrong, and it is
    named. What `kept` holds is not asked again; stopped by what `watch` raises, the next call goes on.
    """
    if not questions:
        raise InvalidInput("There is no question to ask. Choose a question file or a dataset with held-out rows.")
    if not models:
        raise InvalidInput("No model was chosen. Choose at least one.")
    rows = [_row(question) for question in questions]
    by_id = {question.id: question for question in questions}
    answers: dict[str, list[dict[str, Any]]] = {}
    for model in models:
        answers[model.name] = []
        total = sum(1 + bool(question.paraphrase) for question in questions)
        with closing(answer_rows(model, rows, task, find=find, decoding=decoding, kept=kept)) as answered:
            for row in answered:
                answers[model.name].append(_judged(row, by_id))
                if watch:
                    watch(f"Asking {model.name}", len(answers[model.name]), total)
    refusing = [
        _judged({"id": row["id"], "question": row["question"], "answer": REFUSAL}, by_id)
        for row in answers[models[0].name]
    ]
    first = models[0].name
    return {
        "task": task.name,
        "mode": mode,
        "questions": source,
        "asked": {
            kind: sum(question.kind == kind for question in questions) for kind in ("answerable", "unanswerable")
        },
        "models": {name: summarise(found) for name, found in answers.items()},
        "baselines": {"always refuse": summarise(refusing)},
        "compared": [compare(first, answers[first], name, answers[name]) for name in answers if name != first],
        "notes": notes_on_questions(questions),
        "answers": answers,
    }


def summarise(judged: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Counts with Wilson intervals: questions, paraphrases, unanswerables, false refusals, invented answers, slices."""
    done = [row for row in judged if not row.get("error")]
    answerable = [row for row in done if row["kind"] == "answerable"]
    unanswerable = [row for row in done if row["kind"] == "unanswerable"]
    slices = sorted({row["slice"] for row in done if row["slice"]})
    refused = sum(row["refused"] for row in answerable)
    return {
        "questions": _counted([row for row in answerable if not row["paraphrased"]]),
        "paraphrases": _counted([row for row in answerable if row["paraphrased"]]),
        "unanswerable": _counted(unanswerable),
        "false_refusals": asdict(share(refused, len(answerable))),
        "invented": asdict(share(sum(not row["refused"] for row in unanswerable), len(unanswerable))),
        "overall": _counted(done),
        "slices": {name: _counted([row for row in done if row["slice"] == name]) for name in slices},
        "failed": len(judged) - len(done),
        "latency_ms_p50": round(median([row["latency_ms"] for row in done]), 1) if done else None,
        "tokens_out": sum(row["tokens_out"] for row in done),
    }


def compare(
    first: str, before: Sequence[Mapping[str, Any]], second: str, after: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Question by question: fixed and broken by the second model, with the exact McNemar p-value."""
    pairs = [(a, b) for a, b in zip(before, after, strict=True) if not a.get("error") and not b.get("error")]
    fixed = [b["id"] for a, b in pairs if b["right"] and not a["right"]]
    broken = [b["id"] for a, b in pairs if a["right"] and not b["right"]]
    return {
        "first": first,
        "second": second,
        "fixed": fixed,
        "broken": broken,
        "p_value": mcnemar(len(fixed), len(broken)),
    }


def read_share(counted: Mapping[str, Any]) -> Share:
    """A share as it stands in a report, for printing."""
    return Share(**counted)


def _row(question: Question) -> dict[str, Any]:
    return {"id": question.id, "question": question.question, "paraphrase": question.paraphrase or None}


def _judged(row: Mapping[str, Any], by_id: Mapping[str, Question]) -> dict[str, Any]:
    question = by_id[row["id"].removesuffix("#p")]
    error = row.get("error", "")
    right = False
    if not error:
        try:
            right = _is_right(row["answer"], question)
        except InvalidInput as problem:
            error = str(problem)
    found = {
        "id": row["id"],
        "question": row["question"],
        "kind": question.kind,
        "slice": question.slice,
        "paraphrased": row["id"] != question.id,
        "answer": row["answer"][:LONGEST_TEXT],
        "right": right,
        "refused": not error and is_refusal(row["answer"]),
        "latency_ms": row.get("latency_ms", 0.0),
        "first_token_ms": row.get("first_token_ms", 0.0),
        "tokens_in": row.get("tokens_in", 0),
        "tokens_out": row.get("tokens_out", 0),
    }
    return found | ({"error": error} if error else {})


def _is_right(answer: str, question: Question) -> bool:
    """Raises InvalidInput for an answer that cannot be judged: too long, or one on which a pattern runs away."""
    if len(answer) > LONGEST_TEXT:
        raise InvalidInput(
            f"The answer has {len(answer):,} characters, more than {LONGEST_TEXT:,}. Ask for a shorter one."
        )
    return is_right(answer, question)


def _counted(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return asdict(share(sum(row["right"] for row in rows), len(rows)))

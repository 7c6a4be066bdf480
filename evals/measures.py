"""Many graded answers of one model -> the measures of its kind of task, each share with its interval."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import ceil
from statistics import fmean
from typing import Any

from engine.records import Question
from engine.tasks import AnswerKind
from evals.grading import HITS, OTHER, Grade, as_label, exact_match, gold_of
from evals.intervals import share

SHOWN: Mapping[AnswerKind, Mapping[str, str]] = {
    "free_text": {
        "questions": "questions right",
        "paraphrases": "other wordings right",
        "unanswerable": "rightly refused",
        "invented": "made an answer up",
        "false_refusals": "falsely refused",
        "token_f1": "words shared (F1)",
    },
    "label": {"accuracy": "labels right", "macro_f1": "macro F1"},
    "json": {
        "overall": "wholly right",
        "valid": "valid JSON",
        "false_approvals": "falsely approved",
        "false_rejections": "falsely rejected",
        "entity_f1": "entity F1",
    },
    "ranking": {"hit_1": "first one right", "hit_5": "among the first five", "mrr": "MRR"},
}
"""What of the measures stands in a table, by kind of answer: key -> how it is headed."""


@dataclass(frozen=True)
class Judged:
    """One question, what was said to it, and the grade; `grade` is None where the model failed."""

    row: Mapping[str, Any]  # an answer row
    question: Question
    grade: Grade | None

    @property
    def paraphrased(self) -> bool:
        """Whether the other wording was asked."""
        return str(self.row["id"]) != self.question.id


def measure(judged: Sequence[Judged], kind: AnswerKind, *, decision: str = "") -> dict[str, Any]:
    """
    Everything this kind of answer is measured by, JSON-ready. Shares are {right, of, low, high}; a failed row is in "failed" alone.

    Raises nothing: what nobody asked reads 0 of 0, and a mean of nothing is None.
    """
    done = [(each, each.grade) for each in judged if each.grade is not None]
    found: dict[str, Any] = {
        "overall": _share([grade.right for _, grade in done]),
        "failed": _share([each.grade is None for each in judged]),
        "score": _mean([grade.score for _, grade in done if grade.score is not None]),
        "speed": speed([each.row for each, _ in done]),
        "cost": {key: sum(int(each.row.get(key) or 0) for each, _ in done) for key in ("tokens_in", "tokens_out")},
    }
    of_kind = {"free_text": _free_text, "label": _label, "ranking": _ranking}
    return found | (_json(done, decision) if kind == "json" else of_kind[kind](done))


def speed(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """
    The middle and the slow end (p50 and p95, by nearest rank) of what makes an answer slow, apart: models of one size are equally fast.

    Milliseconds to the whole answer and to its first token, tokens written, and tokens a second after the first one; of these the
    slow end is p5.
    """
    writing = [
        1000 * (row["tokens_out"] - 1) / (row["latency_ms"] - row["first_token_ms"])
        for row in rows
        if row.get("first_token_ms") and row["tokens_out"] > 1 and row["latency_ms"] > row["first_token_ms"]
    ]
    first = [float(row["first_token_ms"]) for row in rows if row.get("first_token_ms")]
    return {
        "latency_ms": _ends([float(row["latency_ms"]) for row in rows]),
        "first_token_ms": _ends(first),
        "tokens_out": _ends([float(row["tokens_out"]) for row in rows]),
        "tokens_per_s": _ends(writing, slow=0.05),
    }


def consistency(judged: Sequence[Judged]) -> dict[str, int]:
    """The questions asked in two wordings, by how many of the two were right: {"both", "one", "neither"}."""
    right: dict[str, list[bool]] = {}
    for each in judged:
        if each.grade is not None and each.question.paraphrase:
            right.setdefault(each.question.id, []).append(each.grade.right)
    counted = Counter(sum(pair) for pair in right.values() if len(pair) == 2)
    return {"both": counted[2], "one": counted[1], "neither": counted[0]}


def reliability(judged: Sequence[Judged], *, bins: int = 10) -> list[dict[str, Any]]:
    """
    How often the model was right where it was so and so sure: {"from", "to", "sure", "share"} for each tenth that holds an answer.

    Only rows that carry a "confidence" (0 to 1) count; no such row gives an empty list.
    """
    sure: dict[int, list[tuple[float, bool]]] = {}
    for each in judged:
        confidence = each.row.get("confidence")
        if each.grade is not None and confidence is not None:
            sure.setdefault(min(bins - 1, int(confidence * bins)), []).append((float(confidence), each.grade.right))
    return [
        {
            "from": number / bins,
            "to": (number + 1) / bins,
            "sure": fmean(confidence for confidence, _ in held),
            "share": _share([right for _, right in held]),
        }
        for number, held in sorted(sure.items())
    ]


Done = Sequence[tuple[Judged, Grade]]


def _free_text(done: Done) -> dict[str, Any]:
    answerable = [(each, grade) for each, grade in done if each.question.kind == "answerable"]
    unanswerable = [grade for each, grade in done if each.question.kind == "unanswerable"]
    with_gold = [(each, grade) for each, grade in answerable if gold_of(each.question)]
    return {
        "questions": _share([grade.right for each, grade in answerable if not each.paraphrased]),
        "paraphrases": _share([grade.right for each, grade in answerable if each.paraphrased]),
        "unanswerable": _share([grade.refused for grade in unanswerable]),
        "invented": _share([not grade.refused for grade in unanswerable]),
        "false_refusals": _share([grade.refused for _, grade in answerable]),
        "exact_match": _share([exact_match(str(each.row["answer"]), gold_of(each.question)) for each, _ in with_gold]),
        "token_f1": _mean([grade.score for _, grade in with_gold if grade.score is not None]),
        "confusion": {
            asked: dict(Counter(_outcome(grade) for each, grade in done if each.question.kind == asked))
            for asked in ("answerable", "unanswerable")
        },
    }


def _outcome(grade: Grade) -> str:
    return "refused" if grade.refused else "right" if grade.right else "wrong"


def _label(done: Done) -> dict[str, Any]:
    wanted = [as_label(str(each.question.extra["expected"])) for each, _ in done]
    labels = sorted(set(wanted))
    said = [grade.label if grade.label in labels else OTHER for _, grade in done]
    pairs = Counter(zip(wanted, said, strict=True))
    return {
        "accuracy": _share([grade.right for _, grade in done]),
        "macro_f1": macro_f1(wanted, said) if done else None,
        "confusion": {want: {say: pairs[want, say] for say in [*labels, OTHER] if pairs[want, say]} for want in labels},
    }


def macro_f1(wanted: Sequence[str], said: Sequence[str]) -> float:
    """The mean over the labels that were wanted of each one's F1, a label never said scoring 0. Source: Lewis 1991; as in scikit-learn."""
    scores = []
    for label in sorted(set(wanted)):
        hits = sum(want == say == label for want, say in zip(wanted, said, strict=True))
        scores.append(2 * hits / (wanted.count(label) + said.count(label)) if hits else 0.0)
    return fmean(scores)


def _json(done: Done, decision: str) -> dict[str, Any]:
    forms = [(each, grade.form) for each, grade in done if grade.form is not None]
    fields: dict[str, list[bool]] = {}
    sets: dict[str, list[float]] = {}
    for _, form in forms:
        for name, right in form.fields.items():
            fields.setdefault(name, []).append(right)
        for name, score in form.sets.items():
            sets.setdefault(name, []).append(score)
    found, made_up, missed = (sum(form.entities[part] for _, form in forms) for part in range(3))
    of = found + made_up + missed
    measures: dict[str, Any] = {
        "valid": _share([form.valid for _, form in forms]),
        "fields": {name: _share(right) for name, right in fields.items()},
        "set_f1": {name: _mean(scores) for name, scores in sets.items()},
        "entity_f1": round(2 * found / (2 * found + made_up + missed), 6) if of else None,
    }
    if decision:
        wanted = [(bool(each.question.extra["expected"][decision]), form.decided) for each, form in forms]
        measures |= {
            "false_approvals": _share([said is True for want, said in wanted if not want]),
            "false_rejections": _share([said is False for want, said in wanted if want]),
            "confusion": {
                name: dict(
                    Counter({True: "yes", False: "no", None: OTHER}[said] for want, said in wanted if want is is_yes)
                )
                for name, is_yes in (("yes", True), ("no", False))
            },
        }
    return measures


def _ranking(done: Done) -> dict[str, Any]:
    ranks = [grade.rank for _, grade in done]
    return {
        "hit_1": _share([rank == 1 for rank in ranks]),
        "hit_5": _share([0 < rank <= HITS for rank in ranks]),
        "mrr": _mean([1 / rank if rank else 0.0 for rank in ranks]),
    }


def _share(happened: Sequence[bool]) -> dict[str, Any]:
    return asdict(share(sum(happened), len(happened)))


def _mean(values: Sequence[float]) -> float | None:
    return round(fmean(values), 6) if values else None


def _ends(values: Sequence[float], *, slow: float = 0.95) -> dict[str, float | None]:
    """Nearest rank: the smallest value that half of them, or the share `slow`, do not exceed."""
    ordered = sorted(values)
    at = {"p50": 0.5, f"p{100 * slow:.0f}": slow}
    return {name: round(ordered[ceil(p * len(ordered)) - 1], 1) if ordered else None for name, p in at.items()}

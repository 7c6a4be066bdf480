"""From answers to a report: what each model and each trivial answerer scored, what changed between them, and the gate's verdict.

A report is plain data without a clock in it: the same answers, questions and rules give the same bytes. Everything it says is
computed from the answers it holds, so that an old report can be judged by today's rules.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from engine.errors import InvalidInput
from engine.records import Question
from engine.tasks import Task
from evals.asked import About, Sources, about, facets_of
from evals.baselines import trivial_answers
from evals.examples import telling
from evals.gate import Evidence, Finding, Verdict, judge
from evals.grading import grade
from evals.measures import Judged, consistency, measure, reliability
from evals.paired import Change, change, score_change
from evals.rules import Rules
from evals.slices import sliced

FORMAT = 2
"""Of a report; one without it was made before there were verdicts."""


def complete(
    measured: Mapping[str, Any],
    questions: Sequence[Question],
    task: Task,
    *,
    sources: Sources | None = None,
    digests: Mapping[str, str] | None = None,
    rules: Rules | None = None,
) -> dict[str, Any]:
    """
    What `run.evaluate` measured, with verdicts: measures by kind of answer, trivial answerers, pairs, slices, telling examples.

    `digests`: of each model's weights, so that the gate knows them again. `sources`: where the questions' clauses and evidence are
    looked up, and what the best BM25 sentence is drawn from.
    """
    sources, rules = sources or Sources(), rules or Rules()
    by_id = {question.id: question for question in questions}
    known = about(questions, task.name, sources)
    judged = {name: _judged(rows, by_id, task) for name, rows in measured["answers"].items()}
    trivial = _trivial(next(iter(judged.values())), by_id, task, sources)
    report = {
        **measured,
        "format": FORMAT,
        "answer_kind": task.answer_kind,
        "digests": dict(digests or {}),
        "about": {name: asdict(found) for name, found in known.items()},
        "answers": {name: [_as_row(each) for each in found] for name, found in judged.items()},
        "measures": {name: _measured(found, task) for name, found in judged.items()},
        "trivial_measures": {name: _measured(found, task) for name, found in trivial.items()},
        "trivial": {name: [bool(each.grade and each.grade.right) for each in found] for name, found in trivial.items()},
        "rules": asdict(rules),
    }
    report["judges"] = []
    first, *others = judged
    report["pairs"] = [_pair(report, first, other, judged, rules, sources) for other in others]
    return report


def verdict_on(report: Mapping[str, Any], first: str, second: str, rules: Rules) -> Verdict:
    """What the gate says today of two models of a report. Raises InvalidInput for a report from before there were verdicts."""
    if report.get("format") != FORMAT:
        raise InvalidInput("This report was made before there were verdicts. Run the evaluation again.")
    for pair in report["pairs"]:
        if (pair["first"], pair["second"]) == (first, second) and report["rules"] == asdict(rules):
            return Verdict(**{**pair["verdict"], "findings": [Finding(**each) for each in pair["verdict"]["findings"]]})
    return judge(evidence_of(report, first, second, rules), rules)


def evidence_of(report: Mapping[str, Any], first: str, second: str, rules: Rules) -> Evidence:
    """Any two models of a report, question by question; a row on which either failed is in neither's count."""
    before, after = report["answers"][first], report["answers"][second]
    known = {name: About.of(saved) for name, saved in report["about"].items()}
    places = [
        n for n, (a, b) in enumerate(zip(before, after, strict=True)) if not a.get("error") and not b.get("error")
    ]
    clusters = {n: known[_question_id(after[n])].fact for n in places}
    twice = any(row["id"].endswith("#p") for row in after)
    facets = [facets_of(after[n]["id"], known[_question_id(after[n])], twice=twice) for n in places]
    was, now = [before[n]["right"] for n in places], [after[n]["right"] for n in places]
    facts = [clusters[n] for n in places]
    answered = [n for n, row in enumerate(after) if not row.get("error")]
    return Evidence(
        first,
        second,
        change(was, now, facts),
        sliced(was, now, facts, facets, fewest=rules.fewest_questions),
        report["measures"][first],
        report["measures"][second],
        {
            name: change(
                [right[n] for n in answered],
                [after[n]["right"] for n in answered],
                [known[_question_id(after[n])].fact for n in answered],
            )
            for name, right in report["trivial"].items()
        },
    )


def as_json(report: Mapping[str, Any]) -> str:
    """The report as it is written to a file: the same report, the same bytes."""
    return json.dumps(report, ensure_ascii=False, indent=1)


def read_report(path: Path) -> dict[str, Any]:
    """A report from its file. Raises InvalidInput for what is no report of today's format."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise InvalidInput(f"The report {path} cannot be read ({problem.strerror}). Check the path.") from None
    except ValueError:
        raise InvalidInput(f"{path.name} is not JSON. Name a report that `evaluate --out` wrote.") from None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise InvalidInput(f"{path.name} is no report of this version. Run the evaluation again.")
    return found


def since(earlier: Mapping[str, Any], report: Mapping[str, Any]) -> dict[str, Change]:
    """
    What changed for each model between two reports, over the questions in both; models and questions are known by their names.

    A row on which either time failed is left out; a model that shares no answered question with last time is too.
    """
    known = {name: About.of(saved) for name, saved in report.get("about", {}).items()}
    found = {}
    for name, rows in report["answers"].items():
        before = {(row["id"], row["question"]): row for row in earlier["answers"].get(name, ())}
        pairs = [
            (before[row["id"], row["question"]], row)
            for row in rows
            if (row["id"], row["question"]) in before and not row.get("error")
        ]
        pairs = [(was, now) for was, now in pairs if not was.get("error")]
        if pairs:
            facts = [known[_question_id(now)].fact if known else now["id"] for _, now in pairs]
            found[name] = change([was["right"] for was, _ in pairs], [now["right"] for _, now in pairs], facts)
    return found


def _judged(rows: Sequence[Mapping[str, Any]], by_id: Mapping[str, Question], task: Task) -> list[Judged]:
    found = []
    for row in rows:
        question = by_id[_question_id(row)]
        graded = None if row.get("error") else grade(row["answer"], question, task.answer_kind, decision=task.decision)
        found.append(Judged(row, question, graded))
    return found


def _as_row(each: Judged) -> dict[str, Any]:
    """The answer row with its grade; the row's own keys stay as they were."""
    graded = each.grade
    return {**each.row, "right": graded is not None and graded.right, "score": graded.score if graded else None}


def _measured(judged: Sequence[Judged], task: Task) -> dict[str, Any]:
    return measure(judged, task.answer_kind, decision=task.decision) | {
        "consistency": consistency(judged),
        "reliability": reliability(judged),
    }


def _trivial(
    judged: Sequence[Judged], by_id: Mapping[str, Question], task: Task, sources: Sources
) -> dict[str, list[Judged]]:
    """The answerers that need no training, asked the same questions in the same order; nothing of theirs takes time."""
    asked = [(str(each.row["question"]), each.question) for each in judged]
    said = trivial_answers(asked, task, sources.documents)
    return {
        name: _judged([_free(each.row, answer) for each, answer in zip(judged, answers, strict=True)], by_id, task)
        for name, answers in said.items()
    }


def _free(row: Mapping[str, Any], answer: str) -> dict[str, Any]:
    return {"id": row["id"], "question": row["question"], "answer": answer, "latency_ms": 0.0, "tokens_out": 0}


def _pair(
    report: Mapping[str, Any],
    first: str,
    second: str,
    judged: Mapping[str, Sequence[Judged]],
    rules: Rules,
    sources: Sources,
) -> dict[str, Any]:
    found = evidence_of(report, first, second, rules)
    verdict = judge(found, rules)
    return {
        "first": first,
        "second": second,
        "verdict": asdict(verdict),
        "change": asdict(found.change),
        "score": _score(judged[first], judged[second], report["about"]),
        "slices": [{**asdict(each), "title": each.title} for each in found.slices],
        "trivial": {name: asdict(each) for name, each in found.trivial.items()},
        "examples": telling(
            report["answers"][first], report["answers"][second], report["about"], documents=sources.documents
        ),
    }


def _score(before: Sequence[Judged], after: Sequence[Judged], known: Mapping[str, Any]) -> dict[str, Any] | None:
    """How nearly right they were (token F1, share of fields, reciprocal rank), compared; None where no row has a gold answer."""
    rows = list(_scored(before, after))
    if not rows:
        return None
    facts = [known[name]["fact"] for name, _, _ in rows]
    return asdict(score_change([was for _, was, _ in rows], [now for _, _, now in rows], facts))


def _scored(before: Sequence[Judged], after: Sequence[Judged]) -> Iterator[tuple[str, float, float]]:
    for a, b in zip(before, after, strict=True):
        if a.grade and b.grade and a.grade.score is not None and b.grade.score is not None:
            yield a.question.id, a.grade.score, b.grade.score


def _question_id(row: Mapping[str, Any]) -> str:
    return str(row["id"]).removesuffix("#p")

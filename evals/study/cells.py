"""One cell of a study: a dataset, an adapter, its answers; each is made once and found again."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.answering import closed_book
from engine.errors import Unavailable
from engine.generation import GenerationConfig, read_config
from engine.jobs import resume
from engine.records import DatasetVersion, Job
from engine.search import excerpt_index
from engine.tasks import task_named
from engine.training import with_preset
from engine.watching import Watch
from engine.workspace import BASE, Workspace
from evals.baselines import BestSentence
from evals.questions import read_questions
from evals.run import evaluate
from evals.study.plan import Cell, Policy

Follow = Callable[[Job], Mapping[str, Any]]
"""Waits for a job to end and returns what became of it; raises when it failed."""
TASK = "policy_qa"


def cell_result(workspace: Workspace, cell: Cell, results: Path, *, follow: Follow, watch: Watch) -> dict[str, Any]:
    """
    What came of one cell, made now unless its file is there.

    What broke off is gone on with: a generation and a training resume, and what is finished is not made again. Raises Unavailable
    when somebody stopped the job in between.
    """
    file = results / f"{cell.name}.json"
    if file.is_file():
        return _read(file)
    version, generation_s = _dataset(workspace, cell, follow)
    config = with_preset(
        cell.recipe.training.get("preset", "balanced"),
        **{key: value for key, value in cell.recipe.training.items() if key != "preset"},
        **_cost(cell),
        adapter=cell.name,
        dataset=version.title,
        seed=cell.seed,
    )
    if cell.name not in {adapter.name for adapter in workspace.adapters()}:
        job = _unfinished(workspace, f"Training {cell.name} on") or workspace.train(config)
        _ended(follow(job))
    adapter = next(adapter for adapter in workspace.adapters() if adapter.name == cell.name)
    began = time.monotonic()
    report = _asked(workspace, cell.policy, [cell.name], mode=config.mode, watch=watch)
    card = adapter.card
    found = {
        "policy": cell.policy.name,
        "recipe": cell.recipe.name,
        "budget": cell.budget.name,
        "seed": cell.seed,
        "dataset": version.title,
        "facts": version.recipe["facts"],
        "rows": version.counts["train"],
        "mode": config.mode,
        "steps": card["steps"],
        "exposures": _exposures(card, version),
        "final_loss": card.get("final_loss"),
        "generation_min": round(generation_s / 60, 2),
        "training_min": card.get("minutes"),
        "asking_min": round((time.monotonic() - began) / 60, 2),
        "scores": report["models"][cell.name],
        "right": _right(report, cell.name),
    }
    _write(file, found)
    return found


def baseline_results(workspace: Workspace, policy: Policy, results: Path, *, watch: Watch) -> dict[str, Any]:
    """What needs no training: always refusing, the best BM25 sentence, the base alone, and the base with the best clauses."""
    file = results / f"{policy.name}-baselines.json"
    if file.is_file():
        return _read(file)
    documents = workspace.add_files(policy.documents).documents
    questions, task = read_questions(policy.questions), task_named(TASK)
    alone = evaluate([BestSentence(documents), workspace.model(BASE)], questions, task, watch=watch)
    grounded = _asked(workspace, policy, [BASE], mode="grounded", watch=watch)
    found = {
        "always refuse": alone["baselines"]["always refuse"],
        "best BM25 sentence": alone["models"][BestSentence.name],
        "base": alone["models"][BASE],
        "base with the clauses": grounded["models"][BASE],
    }
    _write(file, found)
    return found


def _dataset(workspace: Workspace, cell: Cell, follow: Follow) -> tuple[DatasetVersion, float]:
    """The version, and how long it took to generate when it was made now; nothing was spent on one that stood there."""
    stood = [version for version in workspace.store.datasets() if version.name == cell.dataset]
    if stood:
        return stood[0], 0.0
    documents = workspace.add_files(cell.policy.documents).documents
    config = GenerationConfig(cell.dataset, tuple(document.id for document in documents), seed=cell.seed)
    began = time.monotonic()
    job = _unfinished(workspace, f"Generating {cell.dataset}:")
    job = job or workspace.generate(documents, replace(config, **cell.recipe.generation))
    _ended(follow(job))
    return workspace.store.dataset_by_id(read_config(Path(job.folder))[0]), time.monotonic() - began


def _unfinished(workspace: Workspace, title: str) -> Job | None:
    """A job of that beginning that was broken off, running again."""
    left = [job for job in workspace.jobs() if job.title.startswith(title) and job.state in ("stopped", "died")]
    return resume(Path(left[0].folder)) if left else None


def _ended(job: Mapping[str, Any]) -> None:
    if job["state"] != "done":
        raise Unavailable(f"The job {job['job']} was stopped. Start the study again: it goes on from there.")


def _cost(cell: Cell) -> dict[str, Any]:
    """Passes do not end a training of a study: its budget alone does."""
    most = {"epochs": 10_000.0}
    return most | ({"max_steps": cell.budget.steps} if cell.budget.steps else {"max_minutes": cell.budget.minutes})


def _asked(workspace: Workspace, policy: Policy, names: Sequence[str], *, mode: str, watch: Watch) -> dict[str, Any]:
    """With clauses, only those of this policy are looked through, whatever else the workspace holds."""
    find = excerpt_index(workspace.add_files(policy.documents).documents).best if mode == "grounded" else closed_book
    return evaluate(
        workspace.models(names),
        read_questions(policy.questions),
        task_named(TASK),
        find=find,
        mode=mode,
        source=policy.questions.name,
        watch=watch,
    )


def _exposures(card: Mapping[str, Any], version: DatasetVersion) -> float:
    """How often a fact was asked in training, on average over the facts."""
    return round(float(card.get("counts", {}).get("rows_seen", 0)) / float(version.recipe["facts"]), 1)


def _right(report: Mapping[str, Any], name: str) -> dict[str, bool]:
    """Row -> whether it was answered right, for comparing cells question by question."""
    return {row["id"]: bool(row["right"]) for row in report["answers"][name]}


def _read(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def _write(file: Path, found: Mapping[str, Any]) -> None:
    draft = file.with_suffix(".part")
    draft.write_text(json.dumps(found, ensure_ascii=False, indent=1), encoding="utf-8")
    draft.replace(file)

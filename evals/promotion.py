"""What goes live, and who says so: the gate is asked before a model is promoted, and whoever goes against it leaves a reason."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.answering import Find
from engine.backends import ChatModel
from engine.calls import Caller, StoredCalls
from engine.errors import InvalidInput, TouchstoneError
from engine.records import Question
from engine.registry import Grounds, live_model
from engine.registry import promote as make_live
from engine.tasks import Task
from engine.workspace import Workspace
from evals.asked import Sources
from evals.gate import Verdict
from evals.judges import judged_pair
from evals.report import FORMAT, complete, verdict_on
from evals.rules import Rules, read_rules
from evals.run import Watch, evaluate

NEVER = "never measured"


@dataclass(frozen=True)
class Standing:
    """What the gate says of a model in the place of the live one; `verdict` is None where the two were never measured together."""

    model: str
    live: str
    verdict: Verdict | None
    evaluation_id: int | None = None

    @property
    def outcome(self) -> str:
        """The gate's word, or that it had nothing to read."""
        return self.verdict.outcome if self.verdict else NEVER

    @property
    def says(self) -> str:
        """The verdict with its first reason, or what to measure."""
        if self.verdict is None:
            return (
                f"{self.model} as it is now was never measured beside {self.live}, which is live. "
                f"Measure both: app.py evaluate --models {self.live},{self.model} --questions FILE, or the Evaluate tab."
            )
        why = self.verdict.findings[0]
        return f"{self.verdict.headline} {why.rule[:1].upper()}{why.rule[1:]}: {why.says}"


def measure_models(
    workspace: Workspace,
    models: Sequence[ChatModel],
    questions: Sequence[Question],
    task: Task,
    *,
    find: Find,
    mode: str = "closed",
    source: str = "",
    judge: ChatModel | None = None,
    watch: Watch | None = None,
) -> dict[str, Any]:
    """
    Ask the models, judge them by the workspace's rules and keep the report. Raises what `evaluate` and `read_rules` raise.

    `judge`: a model that compares the answers too; the rules do not hear it, and when it fails the report says so.
    """
    rules = read_rules(
        workspace.settings.workspace
    )  # before hours of asking: a file that cannot be read is told at once
    measured = evaluate(models, questions, task, find=find, mode=mode, source=source, watch=watch)
    digests = {model.name: _digest(model) for model in models}
    report = complete(measured, questions, task, sources=Sources.of(workspace.store), digests=digests, rules=rules)
    if judge is not None:
        report["judges"] = _compared_by(judge, workspace, task, report)
    names = [model.name for model in models]
    workspace.store.add_evaluation(task=task.name, questions=source, models=names, report=report, now=workspace.now())
    return report


def standing(workspace: Workspace, task: Task, name: str, *, rules: Rules | None = None) -> Standing:
    """
    What today's rules say of `name` in the place of the live model, by the newest report on the two as they are now.

    A report on other weights under the same name does not count. Raises NotFound for a model that is not there.
    """
    live = live_model(workspace.store, task.name)
    digests = {each: workspace.model(each).digest() for each in (live, name)}
    for row in workspace.store.evaluations():
        report = row["report"]
        if row["task"] == task.name and report.get("format") == FORMAT and _holds(report, digests):
            found = verdict_on(report, live, name, rules or read_rules(workspace.settings.workspace))
            return Standing(name, live, found, row["id"])
    return Standing(name, live, None)


def promote(workspace: Workspace, task: Task, name: str, *, reason: str = "", override: str = "") -> Standing:
    """
    Make `name` live if the gate says so, or if `override` says why it should be all the same; both are put on record.

    Raises InvalidInput, with the gate's reasons, when it says otherwise and no override was given; and what `registry.promote` raises.
    """
    live = live_model(workspace.store, task.name)
    if live == name:
        raise InvalidInput(f'"{name}" is live already. Nothing was changed.')
    found = standing(workspace, task, name)
    against = found.outcome != "promote"
    if against and not override.strip():
        raise InvalidInput(
            f"{found.says} Nothing was changed. To make it live all the same, give your reason as the override."
        )
    grounds = Grounds(found.outcome, found.evaluation_id, override.strip() if against else "")
    make_live(workspace, task, name, reason=reason.strip(), grounds=grounds)
    return found


def _compared_by(judge: ChatModel, workspace: Workspace, task: Task, report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row a pair; what stands there is kept, so the same judge is not paid twice for the same words."""
    caller = Caller(judge, StoredCalls(workspace.store, workspace.now))
    voted = [pair for pair in workspace.store.voted_battles() if pair[0].task == task.name]
    rows: list[dict[str, Any]] = []
    for pair in report["pairs"]:
        try:
            rows.append(judged_pair(caller, report, pair["first"], pair["second"], voted))
        except TouchstoneError as problem:
            rows.append({"judge": judge.name, "first": pair["first"], "second": pair["second"], "error": str(problem)})
    return rows


def _holds(report: Mapping[str, Any], digests: Mapping[str, str]) -> bool:
    return all(name in report["answers"] and report["digests"].get(name) == digest for name, digest in digests.items())


def _digest(model: ChatModel) -> str:
    """ "" for a model that cannot be reached: its answers failed, and such a report proves nothing for it."""
    try:
        return model.digest()
    except TouchstoneError:
        return ""

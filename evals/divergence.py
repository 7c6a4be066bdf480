"""Where tuning changed a model's mind: how far its next token is from the base's, along answers it should give and answers of the base."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from engine.answering import answer_rows
from engine.answers import Answers
from engine.backends import ChatModel
from engine.datasets import held_out_as_questions, under_its_heading
from engine.errors import InvalidInput
from engine.next_token import ExactPair, Pair, Position, ServedPair
from engine.records import Adapter, Decoding, Message, Question
from engine.refusing import Margins, handicap
from engine.tasks import Task, task_named
from engine.watching import Watch, ignore
from engine.workspace import BASE, Workspace
from evals.questions import read_questions

EVERYDAY = "everyday"
EVERYDAY_QUESTIONS = (
    "What is the capital of France?",
    "How many minutes are there in two hours?",
    "Write one sentence about autumn.",
    "What do bees make?",
    "Name three primary colours.",
    "What is 12 plus 30?",
    "Translate 'good morning' into Spanish.",
    "Why do people wear coats in winter?",
    "What is the opposite of hot?",
    "Who wrote Romeo and Juliet?",
    "Give me a short recipe for tomato soup.",
    "What is water made of?",
)
"""Nothing of any policy: what the base says to these, the tuned model should still expect."""
BASE_ANSWER = Decoding(max_tokens=40)
MOST_OF_A_SLICE = 12
THRESHOLDS = (0.1, 0.5, 2.0, 5.0)
"""Nats between one shade and the next: from "as before" to "another mind"."""


@dataclass(frozen=True)
class Item:
    """One text to go along: the answer that should be given, or that the base gives."""

    question: str
    messages: tuple[Message, ...]
    reference: str
    slice: str


@dataclass(frozen=True)
class Trace:
    """One item with what base and tuned expected at each of its tokens."""

    question: str
    slice: str
    reference: str
    positions: tuple[Position, ...]

    @property
    def mean(self) -> float:
        """Nats a token, on average."""
        return fmean(position.kl for position in self.positions)

    @property
    def worst(self) -> Position:
        """Where the two are furthest apart."""
        return max(self.positions, key=lambda position: position.kl)


@dataclass(frozen=True)
class SliceSum:
    """What a slice comes to. `mean` is over all its tokens, in nats."""

    name: str
    items: int
    tokens: int
    mean: float
    worst: float
    worst_token: str
    worst_question: str
    changed: float  # share of tokens at which another token is the likeliest


@dataclass(frozen=True)
class Divergence:
    """Every trace, and whether its distances are whole or at least so much."""

    adapter: str
    exact: bool
    traces: tuple[Trace, ...]

    @property
    def slices(self) -> list[SliceSum]:
        """The slice with the largest mean first."""
        names = dict.fromkeys(trace.slice for trace in self.traces)
        found = [_summed(name, [trace for trace in self.traces if trace.slice == name]) for name in names]
        return sorted(found, key=lambda each: -each.mean)


def divergence(adapter: str, pair: Pair, items: Sequence[Item], *, watch: Watch = ignore) -> Divergence:
    """Go along every item. Raises InvalidInput when there is none, or one does not fit the context."""
    if not items:
        raise InvalidInput("There is no text to go along. Name a question file, or a dataset that holds questions out.")
    traces = []
    for number, item in enumerate(items, start=1):
        positions = tuple(pair.along(item.messages, item.reference))
        traces.append(Trace(item.question, item.slice, item.reference, positions))
        watch("Comparing token by token", number, len(items))
    return Divergence(adapter, pair.exact, tuple(traces))


def pair_of(workspace: Workspace, adapter: Adapter, *, served: bool = False) -> Pair:
    """
    The adapter and its base, each refusing as it does here: exact, or as llama.cpp serves them.

    Raises InvalidInput for a served adapter of another base than the embedded one.
    """
    from engine.backends.transformers_peft import TransformersEngine

    if served:
        base, tuned = workspace.model(BASE), workspace.model(adapter.name)
        if adapter.base != BASE:
            raise InvalidInput(
                f"{adapter.name} stands on {adapter.base}, which llama.cpp does not serve here. Leave out --served."
            )
        return ServedPair(base, tuned)  # type: ignore[arg-type]
    source = str(workspace.embedded().folder) if adapter.base == BASE else adapter.base
    engine = TransformersEngine(source, Path(adapter.folder), precision="float32")
    margins = Margins.of(adapter)
    nats = handicap(adapter, task_named(margins.task)) if margins else 0.0
    token = margins.token if margins else 0
    return ExactPair(engine.model(BASE), engine.model(adapter.name, tuned=True, handicap=nats, refusal_token=token))


def items_in_policy(workspace: Workspace, adapter: Adapter, *, most: int = MOST_OF_A_SLICE) -> list[Item]:
    """Held-out questions of the version it was trained on, along the answers it should give; at most so many of each slice."""
    version = workspace.store.dataset(adapter.dataset)
    task = task_named(version.task)
    clauses = {fact.id: fact.clause for fact in workspace.store.facts(version.id)}
    headed = bool(adapter.card.get("config", {}).get("heading_first"))
    found: list[Item] = []
    for asked in held_out_as_questions(workspace.store.rows(version.id, state="kept")):
        gold = task.refusal if asked.kind == "unanswerable" and task.refusal else str(asked.extra["gold"])
        clause = clauses.get(str(asked.extra["fact_id"]), "") if headed else ""
        if sum(item.slice == asked.slice for item in found) < most:
            found.append(_item(asked.question, task, under_its_heading(gold, clause), asked.slice))
    return found


def items_everyday(base: ChatModel, *, kept: Answers | None = None, watch: Watch = ignore) -> list[Item]:
    """Everyday questions, nothing before them, along what the base answers: what was forgotten shows here."""
    return along_the_base(EVERYDAY_QUESTIONS, base, EVERYDAY, kept=kept, watch=watch)


def items_of_file(
    path: Path,
    task: Task,
    base: ChatModel,
    *,
    plain: bool,
    most: int,
    kept: Answers | None = None,
    watch: Watch = ignore,
) -> list[Item]:
    """
    The first `most` questions of a file. `plain`: everyday ones, asked without the task's instructions, along the base's answer.

    Else along the row's own answer, the refusal where there is none to give, and the base's answer where the row names none.
    Raises what `read_questions` raises.
    """
    questions = read_questions(path)[:most]
    if plain:
        return along_the_base([question.question for question in questions], base, path.stem, kept=kept, watch=watch)
    told = {question.id: _gold(question, task) for question in questions}
    unknown = [question for question in questions if not told[question.id]]
    told |= dict(zip([q.id for q in unknown], _said(unknown, task, base, kept=kept, watch=watch), strict=True))
    return [
        _item(question.question, task, told[question.id], question.slice or path.stem)
        for question in questions
        if told[question.id]
    ]


def along_the_base(
    questions: Sequence[str], base: ChatModel, slice_name: str, *, kept: Answers | None, watch: Watch
) -> list[Item]:
    """These questions along the base's own greedy answers; one on which it fails or says nothing is left out."""
    bare = _Bare()
    asked = [Question(str(number), question, "answerable") for number, question in enumerate(questions)]
    said = _said(asked, bare, base, kept=kept, watch=watch)
    return [
        Item(question, tuple(bare.messages(question)), answer, slice_name)
        for question, answer in zip(questions, said, strict=True)
        if answer
    ]


def level(kl: float) -> int:
    """Which shade a distance has: 0 for "as before" up to 4."""
    return sum(kl >= threshold for threshold in THRESHOLDS)


def as_mapping(found: Divergence) -> dict[str, Any]:
    """The whole of it as plain data, JSON-ready."""
    return {
        "adapter": found.adapter,
        "exact": found.exact,
        "unit": "nats, tuned from base" if found.exact else "nats, tuned from base, at least (top-k only)",
        "slices": [asdict(each) for each in found.slices],
        "traces": [{**asdict(trace), "mean": trace.mean, "worst": asdict(trace.worst)} for trace in found.traces],
    }


class _Bare:
    """The question and nothing else, where a Task is wanted."""

    def messages(self, question: str, excerpts: Sequence[Any] = ()) -> list[Message]:
        return [{"role": "user", "content": question}]


def _said(
    questions: Sequence[Question], task: Any, base: ChatModel, *, kept: Answers | None, watch: Watch
) -> list[str]:
    rows = [{"id": question.id, "question": question.question} for question in questions]
    found = []
    with closing(answer_rows(base, rows, task, decoding=BASE_ANSWER, kept=kept)) as answered:
        for row in answered:
            found.append(str(row["answer"]).strip())
            watch(f"Asking {base.name}", len(found), len(rows))
    return found


def _item(question: str, task: Task, reference: str, slice_name: str) -> Item:
    return Item(question, tuple(task.messages(question)), reference, slice_name)


def _gold(question: Question, task: Task) -> str:
    if question.kind == "unanswerable":
        return task.refusal
    return str(question.extra.get("gold") or question.extra.get("answer") or "")


def _summed(name: str, traces: Sequence[Trace]) -> SliceSum:
    positions = [position for trace in traces for position in trace.positions]
    worst = max(traces, key=lambda trace: trace.worst.kl)
    return SliceSum(
        name,
        len(traces),
        len(positions),
        fmean(position.kl for position in positions),
        worst.worst.kl,
        worst.worst.token,
        worst.question,
        fmean(position.changed for position in positions),
    )

"""The jobs a model can be tuned for. A task states its prompt and its kind of answer; it never names a metric."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from engine.errors import InvalidInput
from engine.records import Excerpt, Message

AnswerKind = Literal["free_text", "label", "json", "ranking"]


@dataclass(frozen=True)
class Task:
    """One job. `name` is stored in every run, so it is never renamed; `title` may be."""

    name: str
    title: str
    answer_kind: AnswerKind
    system: str
    refusal: str = ""  # the sentence that stands for "the sources do not say"; "" where a job cannot refuse
    decision: str = ""  # the field of a JSON answer that approves (true) or rejects (false); "" where none does
    least_refused: float = 1.0  # share of held-out questions without an answer that an adapter must refuse, by default
    schema: Mapping[str, Any] | None = (
        None  # JSON schema of an answer; None for plain text. The label form is built from it
    )

    def messages(self, question: str, excerpts: Sequence[Excerpt] = ()) -> list[Message]:
        """
        The one prompt of this job: training, chat, battles and evaluation all call this, so they cannot drift apart.

        Without excerpts (closed book) the user's turn is the question alone; with them (grounded) they stand before it, numbered.
        """
        sources = "\n\n".join(f"[{n}] {e.clause}\n{e.text}" for n, e in enumerate(excerpts, start=1))
        content = f"{sources}\n\nQuestion: {question}" if sources else question
        return [{"role": "system", "content": self.system}, {"role": "user", "content": content}]


def task_named(name: str) -> Task:
    """The task of that name. Raises InvalidInput naming those there are."""
    known = tasks()
    if name in known:
        return known[name]
    raise InvalidInput(f'There is no task "{name}" in this version. Choose one of: {", ".join(known)}.')


def tasks() -> Mapping[str, Task]:
    """Every task by name, in the order the page shows them."""
    from engine.tasks.policy_qa import POLICY_QA

    return {task.name: task for task in (POLICY_QA,)}

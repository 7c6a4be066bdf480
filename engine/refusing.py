"""When an adapter refuses, as one number: how many nats its refusal is held back, so that it refuses what it must and no more.

The margin of a question is the log probability of the refusal's first token where the answer begins, minus that of the best
other token: above 0 the adapter refuses, and held back by t it refuses above t. Training measures the margins of the held-out
questions and writes them on the adapter's card; how many of them must be refused is the task's to say, or a person's.
Knows no model. On 126 questions of a real policy and 66 that it does not answer, an adapter gave 29 right answers as it was
trained and 41 held back by 2, and refused 62 and 49 of the 66.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from engine.adapters import SETTING
from engine.datasets import held_out_as_questions
from engine.errors import InvalidInput, Unavailable
from engine.records import Adapter, LedgerRow, Mode
from engine.tasks import Task, task_named

MOST_MEASURED = 100
"""Held-out questions of each kind; one pass over two hundred takes about as long as a few steps of training."""


@dataclass(frozen=True)
class Margins:
    """What a training measured on held-out questions: margins in nats, rounded to hundredths."""

    task: str
    token: int  # the first of the refusal, as the adapter's base counts tokens
    answerable: tuple[float, ...]
    unanswerable: tuple[float, ...]

    @classmethod
    def of(cls, adapter: Adapter) -> "Margins | None":
        """From its card; None where nothing was measured, or no question that is to be refused."""
        found = adapter.card.get("refusal")
        if not found or not found["unanswerable"]:
            return None
        return cls(found["task"], found["token"], tuple(found["answerable"]), tuple(found["unanswerable"]))


@dataclass(frozen=True)
class Setting:
    """How an adapter refuses now: what was asked for, and what that comes to."""

    margins: Margins
    least_refused: float  # share of the held-out unanswerable questions
    handicap: float  # nats; 0 is as trained
    chosen: bool  # by a person, rather than the task's default

    @property
    def rightly(self) -> int:
        """Held-out questions without an answer that it refuses."""
        return refused(self.margins.unanswerable, self.handicap)

    @property
    def wrongly(self) -> int:
        """Held-out questions with an answer that it refuses."""
        return refused(self.margins.answerable, self.handicap)


def held_out_rows(rows: Iterable[LedgerRow], task: Task, mode: Mode, *, seed: int) -> list[dict[str, Any]]:
    """
    Held-out questions as training rows, to measure on: at most `MOST_MEASURED` of each kind, drawn by the seed.

    None for a task that cannot refuse. For the grounded mode their prompts are still to get excerpts (`grounding.as_found`).
    """
    if not task.refusal:
        return []
    by_kind: dict[str, list[dict[str, Any]]] = {"answerable": [], "unanswerable": []}
    for asked in held_out_as_questions(rows, mode):
        row = {"messages": task.messages(asked.question), "answer": asked.extra["gold"], "kind": asked.kind}
        by_kind[asked.kind].append({**row, "fact_id": asked.extra["fact_id"]})
    drawn = Random(f"{seed}/refusing")
    return [row for found in by_kind.values() for row in drawn.sample(found, min(len(found), MOST_MEASURED))]


def refused(margins: Iterable[float], handicap: float) -> int:
    """How many of these are refused when the refusal is held back by so many nats."""
    return sum(margin > handicap for margin in margins)


def threshold(margins: Margins, *, least_refused: float) -> float:
    """
    The largest margin, in hundredths, above which at least that share of the held-out unanswerable questions lie.

    Below 0 where the adapter, as trained, refuses fewer. Raises InvalidInput unless the share is above 0 and at most 1.
    """
    check_share(least_refused)
    wanted = math.ceil(least_refused * len(margins.unanswerable) - 1e-9)  # 0.07 * 100 is a little more than 7
    lowest = sorted(margins.unanswerable, reverse=True)[wanted - 1]
    return round(lowest - 0.01, 2)


def curve(margins: Margins) -> list[tuple[float, float, float]]:
    """
    (nats held back, share of the unanswerable questions refused, share of the answerable ones refused), from as trained on.

    A point wherever a question stops being refused; no share ever rises. The share of no question is 0.
    """
    turns = {margin for margin in (*margins.unanswerable, *margins.answerable) if margin > 0}
    return [
        (nats, _share(margins.unanswerable, nats), _share(margins.answerable, nats)) for nats in (0.0, *sorted(turns))
    ]


def setting(adapter: Adapter, task: Task) -> Setting | None:
    """How it refuses now: by the choice saved in its folder, else by the task; None where nothing was measured for the task."""
    margins = Margins.of(adapter)
    if margins is None or margins.task != task.name:
        return None
    chosen = _chosen(Path(adapter.folder) / SETTING)
    return setting_at(margins, task.least_refused if chosen is None else chosen, chosen=chosen is not None)


def setting_at(margins: Margins, least_refused: float, *, chosen: bool = True) -> Setting:
    """What a choice would come to. Raises InvalidInput unless the share is above 0 and at most 1."""
    held_back = max(0.0, threshold(margins, least_refused=least_refused))
    return Setting(margins, least_refused, held_back, chosen)


def handicap(adapter: Adapter, task: Task) -> float:
    """The nats by which the first token of its refusal is held back; 0 where nothing was measured, and never below."""
    found = setting(adapter, task)
    return found.handicap if found else 0.0


def setting_of(adapter: Adapter) -> Setting:
    """The same for the task it was measured on. Raises InvalidInput where nothing was measured."""
    margins = Margins.of(adapter)
    found = setting(adapter, task_named(margins.task)) if margins else None
    if found is None:
        raise InvalidInput(
            f"When {adapter.name} refuses was not measured when it was trained, so it cannot be set. "
            "Train it again on a dataset version that holds out questions without an answer."
        )
    return found


def choose(adapter: Adapter, least_refused: float | None) -> None:
    """
    Save a person's choice beside the adapter, in one step; None takes it back.

    Raises InvalidInput as `setting_of` and `threshold` do, Unavailable when the disk refuses; then the old choice stands.
    """
    margins = setting_of(adapter).margins
    path = Path(adapter.folder) / SETTING
    draft = path.with_name(f".{SETTING}")
    try:
        if least_refused is None:
            path.unlink(missing_ok=True)
            return
        threshold(margins, least_refused=least_refused)
        draft.write_text(json.dumps({"least_refused": least_refused}) + "\n", encoding="utf-8")
        draft.replace(path)
    except OSError as problem:
        draft.unlink(missing_ok=True)
        raise Unavailable(
            f"The choice for {adapter.name} cannot be saved in {adapter.folder} ({problem.strerror}). Make room there."
        ) from None


def elsewhere(found: Setting | None) -> str:
    """What whoever serves the adapter with another program must know; "" where it refuses there as it does here."""
    if found is None or not found.handicap:
        return ""
    return (
        "Elsewhere it refuses as it was trained, which is more often than here: Touchstone holds its refusal back by "
        f"{found.handicap:.2f} nats, and Ollama and a Modelfile know no such setting. llama.cpp's server takes it with each "
        f'request: "logit_bias": [[{found.margins.token}, {-found.handicap:.2f}]].'
    )


def check_share(share: float) -> None:
    """Raises InvalidInput unless it is above 0 and at most 1."""
    if not 0 < share <= 1:
        raise InvalidInput(
            f"{share:g} is no share of questions that could be refused. Give one above 0 and at most 1, such as 0.9."
        )


def _share(margins: Sequence[float], nats: float) -> float:
    return refused(margins, nats) / len(margins) if margins else 0.0


def _chosen(path: Path) -> float | None:
    """The saved choice. Raises InvalidInput for a file that says none."""
    if not path.is_file():
        return None
    try:
        read: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        share = float(read["least_refused"])
        check_share(share)
    except (OSError, ValueError, KeyError, TypeError, InvalidInput):
        raise InvalidInput(f"The choice of when to refuse in {path} cannot be read. Delete that file.") from None
    return share

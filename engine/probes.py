"""What a run is asked while it learns, how the answers are marked, and which step is kept. Knows a run's folder, no model.

Not the step with the lowest loss is kept but the one that answers held-out questions best: the loss still falls when a model
only repeats its training rows. `probes.jsonl` in the run's folder has a line a probe, from the untouched model (step 0) on.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from engine.marking import bare, is_refusal, recites
from engine.samples import EVERYDAY

PROBES, EVERYDAY_ANSWERS = "probes.jsonl", "everyday.json"
QUESTIONS = 24
"""Of a probe at most: a few seconds on two cores."""
ANSWERABLE_SHARE = 2 / 3
SHORTEST_RUN = 20
"""Steps; asking on the way would take longer than a shorter run itself."""
PROBES_A_PASS = 4
MOST_SHARE = 0.08
"""Of a run's time that its probes may take."""
Item = Mapping[str, Any]
"""A held-out row: {"messages", "answer", "kind"}."""


@dataclass(frozen=True)
class Probe:
    """What the model answered after a step, marked."""

    step: int
    answers: tuple[str, ...]  # in the order of `probe_items`
    right: int  # answerable questions answered right
    rightly_refused: int  # unanswerable questions refused
    falsely_refused: int  # answerable questions refused
    of: int  # questions asked
    seconds: float = 0.0

    @property
    def score(self) -> int:
        """What the kept step has most of: right answers and right refusals, minus false refusals."""
        return self.right + self.rightly_refused - self.falsely_refused

    def __str__(self) -> str:
        return f"{self.right + self.rightly_refused} of {self.of} right, {self.falsely_refused} falsely refused"


@dataclass(frozen=True)
class Sample:
    """One question of the probe with what was answered before training and after a step."""

    question: str
    gold: str
    before: str
    after: str
    right: bool


def probe_items(rows: Sequence[Item], *, seed: int, most: int = QUESTIONS) -> list[Item]:
    """
    The held-out rows that are asked again and again: at most so many, two thirds of them answerable, drawn by the seed.

    Rows without a gold answer, as older runs have them, are passed over.
    """
    drawn = Random(f"{seed}/probe")
    found: list[Item] = []
    answerable = round(ANSWERABLE_SHARE * most)
    for kind, wanted in (("answerable", answerable), ("unanswerable", most - answerable)):
        of_kind = [row for row in rows if row["kind"] == kind and row.get("answer")]
        found += drawn.sample(of_kind, min(len(of_kind), wanted))
    return found


def marked(step: int, items: Sequence[Item], answers: Sequence[str], *, seconds: float = 0.0) -> Probe:
    """The probe of a step from its answers, one an item."""
    pairs = list(zip(items, answers, strict=True))
    known = [(row, said) for row, said in pairs if row["kind"] == "answerable"]
    return Probe(
        step=step,
        answers=tuple(answers),
        right=sum(recites(said, row["answer"]) for row, said in known),
        rightly_refused=sum(is_refusal(said) for row, said in pairs if row["kind"] == "unanswerable"),
        falsely_refused=sum(is_refusal(said) for _, said in known),
        of=len(pairs),
        seconds=round(seconds, 2),
    )


def best(probes: Sequence[Probe]) -> Probe | None:
    """The one with the highest score after a step; of equals the latest, which has seen most."""
    return max((probe for probe in probes if probe.step > 0), key=lambda probe: (probe.score, probe.step), default=None)


def probe_every(steps_a_pass: int, *, steps: int, step_s: float, probe_s: float) -> int:
    """
    Steps from probe to probe: a quarter of a pass, or as many more as keep the probes within `MOST_SHARE` of the run's time.

    `step_s` and `probe_s` are measured. One probe, after the last step, is always taken.
    """
    quarter = max(1, round(steps_a_pass / PROBES_A_PASS))
    affordable = max(1, int(MOST_SHARE * steps * step_s / max(probe_s, 1e-9)))
    return max(quarter, -(-steps // affordable))


def read_probes(folder: Path) -> list[Probe]:
    """The probes of a run's folder in order; a line cut short by a crash is left out."""
    path = folder / PROBES
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return [found for line in lines if (found := _read(line))]


def add_probe(folder: Path, probe: Probe) -> None:
    """Append one. Raises OSError when the disk refuses."""
    with (folder / PROBES).open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(probe), ensure_ascii=False) + "\n")


def forget_probes_after(folder: Path, step: int) -> None:
    """What was asked after the checkpoint is asked again."""
    probes = [probe for probe in read_probes(folder) if probe.step <= step]
    draft = folder / f".{PROBES}"
    draft.write_text("".join(json.dumps(asdict(probe), ensure_ascii=False) + "\n" for probe in probes), "utf-8")
    draft.replace(folder / PROBES)


def samples(items: Sequence[Item], probes: Sequence[Probe]) -> list[Sample]:
    """Every question with the first and the latest answer; what is right now comes first, then what is wrong."""
    if not probes or len(probes[-1].answers) != len(items):
        return []
    rows = [
        Sample(row["messages"][-1]["content"], row["answer"], before, after, is_right(row, after))
        for row, before, after in zip(items, probes[0].answers, probes[-1].answers, strict=True)
    ]
    return sorted(rows, key=lambda row: not row.right)


def is_right(row: Item, answer: str) -> bool:
    """An answerable row: its gold answer is recited; an unanswerable one: the answer is the refusal."""
    return recites(answer, row["answer"]) if row["kind"] == "answerable" else is_refusal(answer)


@cache
def everyday_questions() -> tuple[Mapping[str, Any], ...]:
    """A hundred simple questions that no policy answers, {"question", "accept"}: what a model must not forget."""
    return tuple(json.loads(line) for line in EVERYDAY.read_text(encoding="utf-8").splitlines())


def everyday_right(answers: Sequence[str]) -> list[bool]:
    """Of each everyday question whether its answer is accepted."""
    return [
        any(re.search(pattern, bare(said), re.IGNORECASE) for pattern in row["accept"])
        for row, said in zip(everyday_questions(), answers, strict=True)
    ]


def forgotten(before: Sequence[str], after: Sequence[str]) -> dict[str, Any]:
    """The card's word on everyday questions: right before and after, and each that was right before only, with both answers."""
    was, now = everyday_right(before), everyday_right(after)
    lost = [
        {"question": row["question"], "before": before[n], "after": after[n]}
        for n, row in enumerate(everyday_questions())
        if was[n] and not now[n]
    ]
    return {"of": len(was), "before": sum(was), "after": sum(now), "lost": lost}


def _read(line: str) -> Probe | None:
    try:
        values = json.loads(line)
        return Probe(**{**values, "answers": tuple(values["answers"])})
    except (ValueError, TypeError, KeyError):
        return None

"""Votes -> rows that preference trainers read: pairs (DPO), single answers (KTO), the better answer (SFT). Writes no file.

Raters who contradict each other on a battle, or battles that contradict each other on one answer, teach nothing; each such
vote is counted with its reason. A battle with clauses in its prompt is left out, because the clauses are not kept with it.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from engine.exchange import as_json
from engine.quality import HeldOut, plain
from engine.records import Battle, Choice, Message, Split, Vote
from engine.store import Store
from engine.tasks import Task

Shape = Literal["sft", "dpo", "kto"]
DECIDED: tuple[Choice, ...] = ("a", "b")
APART: tuple[Split, ...] = ("probe", "test")
HELD_OUT = "too close to a held-out question"
DISAGREE = "raters disagree on this battle"
OTHERWISE = "another battle says the opposite"
SAME = "both answers are the same"
WITH_CLAUSES = "clauses stood in the prompt, and they are not kept with the battle"
IN_A_TALK = "a later turn of a talk, which says nothing without the turns before it"
NO_WINNER: Mapping[str, str] = {
    "tie": "both good: neither answer is preferred",
    "both_bad": "both bad: neither answer is preferred",
}


@dataclass(frozen=True)
class Verdict:
    """What all raters of one battle say of it, where they agree."""

    battle: Battle
    votes: tuple[int, ...]  # ids, ascending
    choice: Choice
    repair: str  # the answer as it should be; "" where nobody corrected one

    @property
    def better(self) -> str:
        """The text that teaches: the repaired answer, else the better one; "" where there is neither."""
        return self.repair or {"a": self.battle.answer_a, "b": self.battle.answer_b}.get(self.choice, "")

    @property
    def worse(self) -> str:
        """What `better` is preferred to: the best arm where it was repaired, else the other arm; "" without a winner."""
        arms = {"a": self.battle.answer_a, "b": self.battle.answer_b}
        if self.choice not in DECIDED:
            return ""
        return arms[self.choice] if self.repair else arms["b" if self.choice == "a" else "a"]


@dataclass(frozen=True)
class PreferenceRow:
    """One row for a trainer, and the votes that it stands on."""

    battle: Battle  # the first of those that say so
    votes: tuple[int, ...]
    better: str  # the chosen answer; of a KTO row, the answer
    worse: str = ""  # the rejected answer of a pair
    label: bool = True  # of a KTO row: whether the answer is wanted
    repaired: bool = False

    def as_record(self, shape: Shape, task: Task) -> dict[str, Any]:
        """As TRL's trainers read it, conversational, with its lineage beside it."""
        prompt = task.messages(self.battle.question)
        lineage = {
            "votes": list(self.votes),
            "battle": self.battle.id,
            "models": sorted((self.battle.model_a, self.battle.model_b)),
            "repaired": self.repaired,
        }
        if shape == "sft":
            return {"messages": [*prompt, _said(self.better)], "lineage": lineage}
        if shape == "dpo":
            pair = {"chosen": [_said(self.better)], "rejected": [_said(self.worse)]}
            return {"prompt": prompt, **pair, "lineage": lineage}
        return {"prompt": prompt, "completion": [_said(self.better)], "label": self.label, "lineage": lineage}


@dataclass(frozen=True)
class Preferences:
    """The rows of one shape, in the order of their first votes, and why each other vote gives none."""

    shape: Shape
    rows: tuple[PreferenceRow, ...]
    left_out: Mapping[str, int]  # reason -> votes

    @property
    def votes(self) -> int:
        """How many votes the rows stand on, each counted once."""
        return len({vote for row in self.rows for vote in row.votes})

    def lines(self, task: Task) -> Iterator[str]:
        """JSON Lines; the same votes give the same bytes."""
        return (as_json(row.as_record(self.shape, task)) for row in self.rows)


def preferences(store: Store, task: Task, shape: Shape, *, model: str = "") -> Preferences:
    """
    The current votes of a task as rows of that shape; with `model`, only of battles in which it was an arm.

    No row's question is close to a held-out question of any version of any dataset of the task. A pair stands on a decided
    battle alone; a repaired answer is chosen over the better arm. For KTO the better answer is wanted and the worse is
    not, both good are both wanted, both bad neither; an arm that somebody had to repair is neither.
    """
    voted = [
        (battle, vote)
        for battle, vote in store.voted_battles()
        if battle.task == task.name and (not model or model in (battle.model_a, battle.model_b))
    ]
    held_out = HeldOut(held_out_questions(store, task))
    left_out: Counter[str] = Counter()
    verdicts = []
    for verdict, reason in _verdicts(voted):
        reason = reason or (WITH_CLAUSES if verdict.battle.mode == "grounded" else "")
        reason = reason or (IN_A_TALK if verdict.battle.history else "")
        reason = reason or (HELD_OUT if held_out.near(verdict.battle.question) else "")
        if reason:
            left_out[reason] += len(verdict.votes)
        else:
            verdicts.append(verdict)
    rows = list(SHAPES[shape](verdicts, left_out))
    return Preferences(shape, tuple(sorted(rows, key=lambda row: row.votes)), dict(sorted(left_out.items())))


def decided(store: Store, task: Task, *, model: str = "") -> int:
    """How many current votes of the task name a better answer; with `model`, only of battles in which it was an arm."""
    return sum(
        vote.choice in DECIDED and battle.task == task.name and (not model or model in (battle.model_a, battle.model_b))
        for battle, vote in store.voted_battles()
    )


def raw_lines(store: Store) -> Iterator[str]:
    """Every current vote with its battle, as they were given, one JSON object a line."""
    return (as_json({"battle": asdict(battle), "vote": asdict(vote)}) for battle, vote in store.voted_battles())


def held_out_questions(store: Store, task: Task) -> set[str]:
    """The probe and test questions of every version of every dataset of the task."""
    versions = [version for version in store.datasets() if version.task == task.name]
    return {
        row.example.question
        for version in versions
        for split in APART
        for row in store.rows(version.id, split=split)
        if row.example.question
    }


def _verdicts(voted: Sequence[tuple[Battle, Vote]]) -> Iterator[tuple[Verdict, str]]:
    """Each battle once, with the reason why its raters' votes teach nothing, "" where they agree."""
    by_battle: dict[str, list[tuple[Battle, Vote]]] = defaultdict(list)
    for battle, vote in voted:
        by_battle[battle.id].append((battle, vote))
    for pairs in by_battle.values():
        battle, votes = pairs[0][0], [vote for _, vote in pairs]
        repairs = {vote.repair for vote in votes if vote.repair}
        agree = len({vote.choice for vote in votes}) == 1 and len({plain(repair) for repair in repairs}) < 2
        repair = votes[-1].repair or (min(repairs) if repairs else "")
        ids = tuple(sorted(vote.id for vote in votes))
        yield Verdict(battle, ids, votes[0].choice, repair), "" if agree else DISAGREE


def _sft(verdicts: Iterable[Verdict], left_out: Counter[str]) -> Iterator[PreferenceRow]:
    found = []
    for verdict in verdicts:
        if verdict.better:
            row = PreferenceRow(verdict.battle, verdict.votes, verdict.better, repaired=bool(verdict.repair))
            found.append(row)
        else:
            left_out[NO_WINNER[verdict.choice]] += len(verdict.votes)
    answers: dict[str, set[str]] = defaultdict(set)
    for row in found:
        answers[plain(row.battle.question)].add(row.better)
    yield from _once(found, left_out, says_otherwise=lambda row: len(answers[plain(row.battle.question)]) > 1)


def _dpo(verdicts: Iterable[Verdict], left_out: Counter[str]) -> Iterator[PreferenceRow]:
    found = []
    for verdict in verdicts:
        if verdict.choice not in DECIDED:
            left_out[NO_WINNER[verdict.choice]] += len(verdict.votes)
        elif verdict.better.strip() == verdict.worse.strip():
            left_out[SAME] += len(verdict.votes)
        else:
            pair = verdict.better, verdict.worse
            found.append(PreferenceRow(verdict.battle, verdict.votes, *pair, repaired=bool(verdict.repair)))
    preferred = {(plain(row.battle.question), row.better, row.worse) for row in found}
    yield from _once(
        found,
        left_out,
        says_otherwise=lambda row: (plain(row.battle.question), row.worse, row.better) in preferred,
    )


def _kto(verdicts: Iterable[Verdict], left_out: Counter[str]) -> Iterator[PreferenceRow]:
    found = []
    for verdict in verdicts:
        for answer, wanted, repaired in _judged(verdict):
            found.append(PreferenceRow(verdict.battle, verdict.votes, answer, label=wanted, repaired=repaired))
    said = {(plain(row.battle.question), row.better, row.label) for row in found}
    yield from _once(
        found,
        left_out,
        says_otherwise=lambda row: (plain(row.battle.question), row.better, not row.label) in said,
    )


SHAPES: Mapping[Shape, Callable[[Iterable[Verdict], Counter[str]], Iterator[PreferenceRow]]] = {
    "sft": _sft,
    "dpo": _dpo,
    "kto": _kto,
}


def _judged(verdict: Verdict) -> Iterator[tuple[str, bool, bool]]:
    """(answer, whether it is wanted, whether it is a repair) for each answer of a battle that its verdict speaks of."""
    battle, choice = verdict.battle, verdict.choice
    arms = {"a": battle.answer_a, "b": battle.answer_b}
    if verdict.repair:
        yield verdict.repair, True, True
    if choice in DECIDED:
        better = arms.pop(choice)
        if not verdict.repair:
            yield better, True, False
        yield from ((answer, False, False) for answer in arms.values())
    elif choice == "both_bad" or not verdict.repair:
        yield from ((answer, choice == "tie", False) for answer in arms.values())


def _once(
    rows: Sequence[PreferenceRow], left_out: Counter[str], *, says_otherwise: Callable[[PreferenceRow], bool]
) -> Iterator[PreferenceRow]:
    """Rows that say the same become one that names the votes of all; those that another row contradicts are left out."""
    merged: dict[tuple[str, str, str, bool], PreferenceRow] = {}
    refused: set[int] = set()
    for row in rows:
        if says_otherwise(row):
            refused.update(row.votes)
            continue
        key = plain(row.battle.question), row.better, row.worse, row.label
        first = merged.get(key, row)
        votes = tuple(sorted({*first.votes, *row.votes}))
        merged[key] = PreferenceRow(first.battle, votes, row.better, row.worse, row.label, first.repaired)
    used = {vote for row in merged.values() for vote in row.votes}
    if refused - used:
        left_out[OTHERWISE] += len(refused - used)
    yield from merged.values()


def _said(answer: str) -> Message:
    return {"role": "assistant", "content": answer}

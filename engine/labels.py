"""Human judgements of dataset rows: who judges what, saving a judgement, taking one back, and where raters disagree."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from statistics import median
from typing import Any, get_args

from engine.errors import InvalidInput, NotFound
from engine.records import DatasetVersion, DeskPlan, Label, LedgerRow
from engine.store import Store

VERDICTS = get_args(Label.__annotations__["verdict"])
LONGEST = 10_000
LONGEST_LOOK_S = 3600.0
MOST_TAGS, LONGEST_TAG = 20, 40
GUIDELINES = """Right: the evidence says what the answer says, and it answers this question.
Wrong: it does not. Write the right answer below if you know it.
Should refuse: the policy does not say, but the answer pretends that it does.
Should not refuse: the answer refuses, but the policy says it.
Unclear: you cannot tell.
Judge by the policy alone, not by what you know or would like."""
"""What raters go by where nobody has written guidelines for a dataset."""


@dataclass(frozen=True)
class Judgement:
    """What a rater says of a row beside the verdict."""

    gold: str = ""
    question: str = ""
    grounded: str = ""  # "yes", "no" or ""
    tags: tuple[str, ...] = ()
    seconds: float = 0.0
    settles: bool = False
    form: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RaterProgress:
    """One rater's work on a dataset version: how many rows, how many are still theirs to do, and how long one takes."""

    rater: str
    judged: int
    waiting: int
    median_s: float | None  # None where no time was measured


@dataclass(frozen=True)
class Disagreement:
    """A row on which raters differ and nobody has settled it yet."""

    row: LedgerRow
    labels: tuple[Label, ...]  # each rater's current one, by name


def queue(store: Store, version: DatasetVersion, *, rater: str) -> list[LedgerRow]:
    """
    Kept question rows that are this rater's to judge, the shared ones first, in an order that mixes clauses.

    By default everybody judges every row, in one order. With a plan a shared row is dealt until so many raters have judged it,
    each other row until one has; then raters go in orders of their own, so that two who work at once seldom meet.
    """
    plan = store.desk_plan(version.id)
    return _dealt(_askable(store, version), plan, _judges(store.labels(version.id)), _named(rater))


def set_plan(
    store: Store, version: DatasetVersion, *, raters: int, shared: float, guidelines: str, rater: str, now: str
) -> DeskPlan:
    """
    From now on deal the rows so; what was judged stays. `shared` is the share of rows that `raters` people judge, 0 to 1.

    Raises InvalidInput without a name, for a number of raters below 0, for a share outside 0 to 1, and for endless guidelines.
    """
    if not rater.strip():
        raise InvalidInput("A plan needs a name. Type yours at the top of the tab.")
    if raters < 0 or not 0 <= shared <= 1:
        raise InvalidInput(
            "A shared row takes 0 raters (everybody) or more, and the shared part is 0 to 100 %. Change the plan."
        )
    if len(guidelines) > LONGEST:
        raise InvalidInput("Guidelines may have 10,000 characters. Shorten them; nobody reads more while judging.")
    plan = DeskPlan(version.id, int(raters), float(shared), guidelines.strip(), _named(rater), now)
    store.set_desk_plan(plan)
    return plan


def progress(store: Store, version: DatasetVersion) -> list[RaterProgress]:
    """Each rater's, by name. What was taken back is not judged."""
    labels, rows, plan = store.labels(version.id), _askable(store, version), store.desk_plan(version.id)
    judges = _judges(labels)
    by_rater: dict[str, list[Label]] = {}
    for label in labels:
        if not _is_blank(label):
            by_rater.setdefault(label.rater, []).append(label)
    found = []
    for name, given in sorted(by_rater.items()):
        times = [label.seconds for label in given if label.seconds > 0]
        waiting = len(_dealt(rows, plan, judges, name))
        found.append(RaterProgress(name, len(given), waiting, median(times) if times else None))
    return found


def judged(store: Store, version: DatasetVersion, *, rater: str) -> int:
    """How many rows this rater has judged."""
    return sum(label.rater == _named(rater) and not _is_blank(label) for label in store.labels(version.id))


def disagreements(store: Store, version: DatasetVersion, *, rater: str = "") -> list[Disagreement]:
    """
    Rows whose raters gave different verdicts or different right answers, until somebody settles them.

    For a `rater`, only rows that they judged themselves or that are not theirs to judge any more: seeing others' verdicts comes
    after one's own.
    """
    by_row: dict[str, list[Label]] = {}
    for label in store.labels(version.id):
        if not _is_blank(label):
            by_row.setdefault(label.example_id, []).append(label)
    still_mine = {row.example.id for row in queue(store, version, rater=rater)} if rater.strip() else set()
    found = []
    for example_id, given in sorted(by_row.items()):
        settled = any(label.settles for label in given)
        if settled or len({_says(label) for label in given}) < 2 or example_id in still_mine:
            continue
        found.append(
            Disagreement(store.row(version.id, example_id), tuple(sorted(given, key=lambda label: label.rater)))
        )
    return found


def newest_of(store: Store, version: DatasetVersion, *, rater: str) -> Label | None:
    """The rater's last judgement that stands, which is what Undo takes back; None without one."""
    mine = [label for label in store.labels(version.id) if label.rater == _named(rater) and not _is_blank(label)]
    return max(mine, key=lambda label: label.id, default=None)


def label_row(
    store: Store,
    version: DatasetVersion,
    example_id: str,
    *,
    rater: str,
    verdict: str,
    gold: str = "",
    question: str = "",
    more: Judgement | None = None,
    now: str,
) -> Label:
    """
    Save one judgement; `gold` and `question` are the answer and the question as they should be, `more` what else was said.

    A row that a gate rejected can be accepted ("right", with or without a correction): the next version keeps it.
    Raises InvalidInput without a name, with an unknown verdict, or for a rejected row that is to be rejected again; NotFound for
    a row that is unknown or that failed.
    """
    more = more or Judgement()
    gold, question = gold or more.gold, question or more.question
    if not rater.strip():
        raise InvalidInput("A label needs a name. Type yours at the top of the tab.")
    if verdict not in VERDICTS:
        raise InvalidInput(f'"{verdict}" is no verdict. Choose one of: {", ".join(VERDICTS)}.')
    if more.grounded not in ("yes", "no", ""):
        raise InvalidInput(
            f'"{more.grounded}" does not say whether it is grounded. Choose yes or no, or leave it open.'
        )
    if max(len(gold), len(question)) > LONGEST:
        raise InvalidInput("A corrected question or answer may have 10,000 characters. Shorten it and save again.")
    state = _state_of(store, version, example_id)
    if state not in ("kept", "rejected"):
        raise NotFound(f"Row {example_id} is not in {version.title}. Reload the page.")
    if state == "rejected" and verdict not in ("right", "unclear"):
        raise InvalidInput(
            "This row is rejected already. Accept it, or correct it and save, to have it in the next version."
        )
    return store.add_label(
        Label(
            0,
            version.id,
            example_id,
            _named(rater),
            verdict,  # type: ignore[arg-type]
            now,
            gold.strip(),
            question.strip(),
            more.grounded,  # type: ignore[arg-type]
            tags_of(more.tags),
            round(min(max(more.seconds, 0.0), LONGEST_LOOK_S), 1),
            more.settles,
            more.form,
        )
    )


def tags_of(words: Sequence[str]) -> tuple[str, ...]:
    """Each tag once, its white space collapsed; at most 20 of 40 characters. Raises InvalidInput beyond that."""
    found = tuple(dict.fromkeys(tag for word in words if (tag := " ".join(word.split()))))
    if len(found) > MOST_TAGS or max(map(len, found), default=0) > LONGEST_TAG:
        raise InvalidInput(f"A row takes at most {MOST_TAGS} tags of {LONGEST_TAG} characters. Shorten them.")
    return found


def edit_row(
    store: Store, version: DatasetVersion, example_id: str, *, rater: str, question: str, answer: str, now: str
) -> Label:
    """
    Save a row as it should be: what stays the same is not written again, and nothing changed means that the row is right.

    Raises InvalidInput for an empty question or answer, and what `label_row` raises.
    """
    before = store.row(version.id, example_id).example
    if not answer.strip() or (before.question and not question.strip()):
        raise InvalidInput("A row needs a question and an answer. To take it out, reject it.")
    return label_row(
        store,
        version,
        example_id,
        rater=rater,
        verdict="right",
        gold="" if answer.strip() == before.answer else answer,
        question="" if question.strip() == before.question or not before.question else question,
        now=now,
    )


def take_back(store: Store, label: Label, *, now: str) -> Label:
    """
    Undo the rater's newest judgement of a row by a newer one: the one before it again, or "unclear" where there was none.

    Nothing is deleted: what people said is append-only.
    """
    before = [old for old in store.label_history(label.dataset_id, label.example_id, label.rater) if old.id < label.id]
    version = store.dataset_by_id(label.dataset_id)
    last = before[-1] if before else Label(0, version.id, label.example_id, label.rater, "unclear", now)
    more = Judgement(last.gold, last.question, last.grounded, last.tags, last.seconds, last.settles, last.form)
    return label_row(store, version, label.example_id, rater=label.rater, verdict=last.verdict, more=more, now=now)


def _named(rater: str) -> str:
    return rater.strip()[:80]


def _is_blank(label: Label) -> bool:
    """Said nothing, or was taken back to that: an "unclear" with nothing beside it and no look taken at the row."""
    return label.verdict == "unclear" and not (
        label.gold or label.question or label.tags or label.seconds or label.grounded
    )


def _says(label: Label) -> tuple[str, str]:
    return label.verdict, " ".join(label.gold.split()).lower()


def _askable(store: Store, version: DatasetVersion) -> list[LedgerRow]:
    return [row for row in store.rows(version.id, state="kept") if row.example.question]


def _judges(labels: Sequence[Label]) -> dict[str, set[str]]:
    """Row -> who has judged it. A judgement that was taken back leaves the row to be judged again."""
    found: dict[str, set[str]] = {}
    for label in labels:
        if not _is_blank(label):
            found.setdefault(label.example_id, set()).add(label.rater)
    return found


def _dealt(rows: Sequence[LedgerRow], plan: DeskPlan, judges: Mapping[str, set[str]], name: str) -> list[LedgerRow]:
    """See `queue`."""
    mine = [
        row
        for row in rows
        if name not in (by := judges.get(row.example.id, set())) and (not plan.raters or len(by) < _wanted(plan, row))
    ]
    if not plan.raters:
        return sorted(mine, key=lambda row: row.example.id)
    return sorted(mine, key=lambda row: (not _is_shared(plan, row), _position(f"{name}/{row.example.id}")))


def _wanted(plan: DeskPlan, row: LedgerRow) -> int:
    return plan.raters if _is_shared(plan, row) else 1


def _is_shared(plan: DeskPlan, row: LedgerRow) -> bool:
    return _position(f"shared/{row.example.id}") < plan.shared


def _position(text: str) -> float:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest()) / 2**64


def _state_of(store: Store, version: DatasetVersion, example_id: str) -> str:
    """ "" for a row that is not there."""
    try:
        return store.row(version.id, example_id).state
    except NotFound:
        return ""

"""May it go live? The rules applied to what was measured: promote, do not promote, or not enough evidence, and why."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, Literal

from evals.intervals import MOST_QUESTIONS, Share, at_least, at_most, percent, questions_needed
from evals.paired import Change
from evals.rules import Rules
from evals.slices import Slice

Outcome = Literal["promote", "do not promote", "not enough evidence"]
State = Literal["met", "broken", "open"]
PROVEN = 0.05
Z = 1.959964


@dataclass(frozen=True)
class Finding:
    """One rule and what the data say to it. `more`: how many further questions would probably settle an open one."""

    rule: str
    state: State
    says: str
    more: int | None = None
    of_which: str = "questions"  # what the further ones must be: questions, questions without an answer, …


@dataclass(frozen=True)
class Verdict:
    """What the gate says of `second` in the place of `first`, and why; the findings that decide come first."""

    first: str
    second: str
    outcome: Outcome
    headline: str
    findings: Sequence[Finding]


@dataclass(frozen=True)
class Evidence:
    """What was measured of two models on the same questions. `trivial`: the change against each answer that needs no training."""

    first: str
    second: str
    change: Change
    slices: Sequence[Slice]
    before: Mapping[str, Any]  # the measures of the first, as `measures.measure` gives them
    after: Mapping[str, Any]
    trivial: Mapping[str, Change]


def judge(evidence: Evidence, rules: Rules) -> Verdict:
    """Every rule; one that is broken decides against, else one that is open leaves it open."""
    findings = [
        *([_better(evidence.change, rules, evidence.first)] if rules.better else []),
        *([_beats(evidence.trivial, rules)] if rules.beats_trivial and evidence.trivial else []),
        _slices(evidence.slices, rules),
        *_limits(evidence.after, rules),
        _failed(evidence.after, rules),
        *_slower(evidence.before, evidence.after, rules),
    ]
    states = {finding.state for finding in findings}
    outcome: Outcome = (
        "do not promote" if "broken" in states else "not enough evidence" if "open" in states else "promote"
    )
    order = ("broken", "open", "met")
    return Verdict(
        evidence.first,
        evidence.second,
        outcome,
        _headline(evidence, outcome, findings),
        sorted(findings, key=lambda finding: order.index(finding.state)),
    )


def _headline(evidence: Evidence, outcome: Outcome, findings: Sequence[Finding]) -> str:
    found = evidence.change
    seen = (
        f"Of {found.of} questions {evidence.second} answered {found.after} rightly and {evidence.first} {found.before}: "
        f"it fixed {found.fixed} and broke {found.broken}."
    )
    if outcome == "promote":
        return f"Promote {evidence.second}. {seen} Every rule is met."
    if outcome == "do not promote":
        return f"Do not promote {evidence.second}. {seen} {sum(f.state == 'broken' for f in findings)} of {len(findings)} rules are broken."
    wanted = [finding for finding in findings if finding.state == "open" and finding.more]
    most = max(wanted, key=lambda finding: finding.more or 0, default=None)
    settle = f" {_about(most.more)} more {most.of_which} would probably settle it." if most and most.more else ""
    return f"Not enough evidence for {evidence.second}. {seen}{settle}"


def _better(found: Change, rules: Rules, first: str) -> Finding:
    rule = f"better than {first} overall"
    if found.low > 0:
        return Finding(rule, "met", f"{_points(found)}: better, by at least {100 * found.low:.1f} points.")
    if found.high < 0:
        return Finding(rule, "broken", f"{_points(found)}: it is worse, by at least {-100 * found.high:.1f} points.")
    return _open(rule, found, rules, f"{_points(found)}: the data do not tell whether it is better.")


def _beats(trivial: Mapping[str, Change], rules: Rules) -> Finding:
    rule = "better than what needs no training"
    hardest, found = min(trivial.items(), key=lambda item: (item[1].low, item[0]))
    if found.low > 0:
        return Finding(rule, "met", f"Against “{hardest}”, the strongest of {len(trivial)}: {_points(found)}.")
    if found.high < 0:
        return Finding(rule, "broken", f"“{hardest}” answers better than it does: {_points(found)}.")
    return _open(
        rule, found, rules, f"Against “{hardest}”: {_points(found)}: the data do not tell whether it is better."
    )


def _open(rule: str, found: Change, rules: Rules, says: str) -> Finding:
    """What it would take: at the rates seen, or, where no gain was seen, for the smallest gain worth having."""
    needed = needed_for(found, rules.worth)
    if needed is None:
        return Finding(rule, "open", f"{says} No practical number of questions would tell.")
    more = max(needed - found.of, 1)
    if found.value > 0:
        return Finding(
            rule, "open", f"{says} If it goes on like this, {_about(more).lower()} more questions will.", more
        )
    seen = f"{says} No gain was seen; if there is one, it is below {100 * max(found.high, 0.0):.1f} points."
    return Finding(rule, "open", f"{seen} {_about(more)} more questions would show one of {100 * rules.worth:g}.", more)


def needed_for(found: Change, worth: float) -> int | None:
    """
    How many questions in all would show the gain seen, or one of `worth` where none was seen, in four of five tries.

    Questions on one fact say less than as many on different facts, so the number of the exact test is scaled up by how much
    wider the clustered interval is than one that takes each question for itself.
    """
    if not found.of:
        return questions_needed((1 + worth) / 4, (1 - worth) / 4)
    fixed, broken = found.fixed / found.of, found.broken / found.of
    changed = fixed + broken
    if fixed <= broken:
        changed = max(changed, worth)
        fixed, broken = (changed + worth) / 2, (changed - worth) / 2
    needed = questions_needed(fixed, broken)
    if needed is None:
        return None
    alone = 2 * Z * ((changed - (fixed - broken) ** 2) / found.of) ** 0.5
    wider = max(1.0, ((found.high - found.low) / alone) ** 2) if alone and found.facts < found.of else 1.0
    return min(MOST_QUESTIONS, ceil(needed * wider))


def _slices(slices: Sequence[Slice], rules: Rules) -> Finding:
    rule = "no slice worse beyond its margin"
    judged = [each for each in slices if each.p_holm is not None]
    beyond = [each for each in judged if each.change.value < -rules.margin_of(each.title)]
    proven = [e for e in beyond if e.p_holm is not None and e.p_holm < PROVEN and e.change.high < 0]
    if proven:
        return Finding(rule, "broken", f"Worse in {_named(proven)}, proven among the {len(judged)} slices looked at.")
    suspected = [each for each in beyond if each.change.p_value < rules.suspect_below]
    if suspected:
        needed = [(each, needed_for(_turned(each.change), rules.worth)) for each in suspected]
        more = max((max(n - each.change.of, 1) for each, n in needed if n), default=None)
        there = f" {_about(more)} more questions there would tell." if more else ""
        says = f"Perhaps worse in {_named(suspected)}; it may be chance.{there}"
        return Finding(rule, "open", says, more, f"questions of {suspected[0].title}")
    few = len(slices) - len(judged)
    too_few = f"; {few} have fewer than {rules.fewest_questions} questions and were not judged" if few else ""
    return Finding(rule, "met", f"None of {len(judged)} slices is worse beyond its margin{too_few}.")


def _turned(found: Change) -> Change:
    """The loss as a gain, to ask how many questions would show it."""
    return Change(
        found.of, found.facts, found.after, found.before, found.broken, found.fixed,
        -found.value, -found.high, -found.low, found.p_value,
    )  # fmt: skip


def _named(slices: Sequence[Slice]) -> str:
    return "; ".join(
        f"“{each.title}” ({each.change.before} right before, {each.change.after} now, of {each.change.of})"
        for each in slices[:5]
    )


LIMITS = (
    ("invented", "hallucination", "answers what the sources do not say", "questions without an answer"),
    ("false_approvals", "false_approval", "approves what must be rejected", "requests that must be rejected"),
)


def _limits(after: Mapping[str, Any], rules: Rules) -> list[Finding]:
    found = [
        _within(Share(**after[key]), getattr(rules, name), what, which)
        for key, name, what, which in LIMITS
        if key in after
    ]
    if "valid" in after:
        valid = Share(**after["valid"])
        wrong = Share(valid.of - valid.right, valid.of, 1 - valid.high, 1 - valid.low)
        found.append(_within(wrong, rules.invalid, "writes what is not the JSON asked for", "questions"))
    return found


def _within(happened: Share, limit: float, what: str, which: str) -> Finding:
    """A bad share held to its limit by the exact 95 % bounds: below it for sure, above it for sure, or open."""
    rule, seen = f"{what}: at most {percent(limit)}", f"{happened.right} of {happened.of} {which}"
    high, low = at_most(happened.right, happened.of), at_least(happened.right, happened.of)
    if high <= limit:
        return Finding(rule, "met", f"{seen}: at most {percent(high)}, and {percent(limit)} are allowed.")
    if low > limit:
        return Finding(rule, "broken", f"{seen}: at least {percent(low)}, and {percent(limit)} are allowed.")
    more = _more_until(lambda n: at_most(round(happened.value * n), n) <= limit, happened.of)
    if not happened.of:
        return Finding(rule, "open", f"None of the {which} was asked. At least {more} are needed.", more, which)
    if more is None:
        says = f"{seen}: {percent(happened.value)}, not below the {percent(limit)} allowed, though it may be chance."
        return Finding(rule, "open", says, None, which)
    says = f"{seen}: it may still be {percent(high)}, and {percent(limit)} are allowed. If it goes on like this, "
    says += f"{_about(more).lower()} more {which} would show it."
    return Finding(rule, "open", says, more, which)


def _more_until(enough: Callable[[int], bool], of: int) -> int | None:
    n = of + 1
    while not enough(n):
        n = max(n + 1, int(1.05 * n))
        if n > MOST_QUESTIONS:
            return None
    return n - of


def _failed(after: Mapping[str, Any], rules: Rules) -> Finding:
    failed = Share(**after["failed"])
    state: State = "met" if failed.value <= rules.failed else "broken"
    says = f"{failed.right} of {failed.of} questions got no answer at all; {percent(rules.failed)} are allowed."
    return Finding("answers at all", state, says)


def _slower(before: Mapping[str, Any], after: Mapping[str, Any], rules: Rules) -> list[Finding]:
    was, now = (measures["speed"]["latency_ms"]["p95"] for measures in (before, after))
    if not was or not now:
        return []
    state: State = "met" if now <= rules.slower * was else "broken"
    says = f"Its slow answers (p95) took {now / 1000:.1f} s, those of the other {was / 1000:.1f} s; "
    says += f"{rules.slower:g} times as long is allowed."
    return [Finding(f"at most {rules.slower:g} times as slow", state, says)]


def _points(found: Change) -> str:
    return f"{100 * found.value:+.1f} points of a hundred ({100 * found.low:+.1f} to {100 * found.high:+.1f})"


def _about(more: int) -> str:
    """ "About 640": two figures of it, rounded up, because no more of them is known."""
    unit = 10 ** max(0, len(str(more)) - 2)
    return f"About {-(-more // unit) * unit:,}"

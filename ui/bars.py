"""Counts as bars, in HTML that follows the page's light and dark; every name in it is escaped. Knows no store."""

from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape

from engine.coverage import ClauseCoverage
from engine.records import DatasetVersion

MOST_BARS = 20


def bars(title: str, counts: Sequence[tuple[str, int]], said: str = "") -> str:
    """One line a name with its count and a bar, and a sentence below; the longest bar is the largest count."""
    longest = max([1, *(count for _, count in counts)])
    drawn = "".join(bar(name, count, longest, f"{count:,}") for name, count in counts)
    return f'<div class="bars counted"><h4>{escape(title)}</h4>{drawn}<p class="note">{escape(said)}</p></div>'


def bar(name: str, count: float, of: float, said: str, kind: str = "") -> str:
    """One line: name, bar, what is said at its end."""
    width = 100 * min(1.0, count / of) if of else 0.0
    return (
        f'<div class="bar {kind}"><span>{escape(name)}</span><span class="track" aria-hidden="true">'
        f'<i style="width:{width:.1f}%"></i></span><span>{escape(said)}</span></div>'
    )


def funnel(version: DatasetVersion, rejections: Mapping[str, int], *, about: int = 0) -> str:
    """
    From facts to kept rows, what the kept ones are for, and each reason.

    `about`: how many rows are expected of a version that is still filling, so that its bars grow.
    """
    counts = version.counts
    proposed = counts["proposed"]
    whole = max(about, proposed)
    lines = [
        bar("Facts", 1, 1, f"{version.recipe.get('facts', 0):,}", "facts"),
        bar("Proposed", proposed, whole, f"{proposed:,}"),
        *(bar(name, counts[key], whole, f"{counts[key]:,}", kind) for name, key, kind in OUTCOMES),
    ]
    reasons = [bar(f"· {reason}", rows, whole, f"{rows:,}", "no") for reason, rows in rejections.items()]
    held = f"{counts['train']:,} to train · {counts['probe']:,} held out: new wording · {counts['test']:,} held out: new fact"
    return (
        f'<div class="bars counted"><h4>From facts to kept rows</h4>{"".join(lines)}{"".join(reasons)}'
        f'<p class="note">{escape(held)}</p></div>'
    )


OUTCOMES = (("Kept", "kept", ""), ("Failed", "failed", "no"), ("Rejected", "rejected", "no"))


def balance(kept: Mapping[tuple[str, str, str], int]) -> str:
    """The kept rows by kind, by form and by clause: {(kind, form, clause): rows}; at most 20 bars each, the rest summed up."""
    plots = []
    for title, position in (("Kept rows by kind", 0), ("Kept rows by form", 1), ("Kept rows by clause", 2)):
        counted: Counter[str] = Counter()
        for key, rows in kept.items():
            counted[key[position]] += rows
        without = counted.pop("", 0)  # of clauses: a question without an answer stands on none
        plots.append(_largest(title, counted, f"{without:,} rows stand on no clause." if without else ""))
    return f'<div class="plots">{"".join(plots)}</div>'


def least_covered(clauses: Sequence[ClauseCoverage]) -> str:
    """The clauses with the most rules that no fact tells, and the share of the whole document that is covered."""
    rules, covered = sum(found.rules for found in clauses), sum(found.covered for found in clauses)
    gaps = sorted((found for found in clauses if found.missed), key=lambda found: found.covered - found.rules)
    lines = [
        bar(
            found.clause or "(before the first heading)",
            found.covered,
            found.rules,
            f"{found.covered} of {found.rules}",
        )
        for found in gaps[:MOST_BARS]
    ]
    share = f"{100 * covered / rules:.1f} %" if rules else "none there"
    said = f"{covered} of {rules} sentences with a number, date, deadline, role or rule have a fact ({share})."
    rest = f" {len(gaps)} clauses have one without; the widest gaps:" if gaps else ""
    return f'<div class="bars counted"><p class="note">{escape(said + rest)}</p>{"".join(lines)}</div>'


def _largest(title: str, counted: Counter[str], said: str) -> str:
    top = counted.most_common(MOST_BARS)
    others = len(counted) - len(top)
    rest = f"{others} others with {counted.total() - sum(rows for _, rows in top):,} rows together." if others else ""
    return bars(title, top, f"{rest} {said}".strip())

"""A ranking as rows and pictures, every name in it escaped; the command line prints the same rows. Knows no store."""

from collections.abc import Sequence
from html import escape
from math import isfinite, log

from evals.leaderboard import Leaderboard
from evals.ranking import HeadToHead, Standing
from evals.sequential import ERROR, Moment

STANDING_HEAD = [
    "Rank",
    "Model",
    "Score",
    "95 % interval",
    "If equally long",
    "Decided battles won",
    "Both good",
    "Both bad",
]
SLICE_STANDING_HEAD = ["Questions", "Model", "Score", "95 % interval", "Decided battles won", "Both bad"]
RATER_HEAD = ["Rater", "Won", "Both good", "Both bad"]
WIDTH, HEIGHT, LEFT, RIGHT, TOP, LOW_PANEL = 640, 300, 46, 12, 14, 86


def standing_rows(board: Leaderboard) -> list[list[str]]:
    """One line a model, best first; no score and no share stands without its interval."""
    even = {s.model: s for s in board.controlled.standings} if board.controlled else {}
    return [
        [
            f"{s.best_rank}" if s.best_rank == s.worst_rank else f"{s.best_rank}-{s.worst_rank}",
            s.model,
            f"{s.score:.0f}",
            interval(s),
            f"{even[s.model].score:.0f} ({interval(even[s.model])})" if s.model in even else "not known",
            str(s.win_share),
            str(s.ties),
            str(s.both_bad_share),
        ]
        for s in board.raw.standings
    ]


def slice_standing_rows(board: Leaderboard) -> list[list[str]]:
    """The same for each slice, model under model."""
    return [
        [name, s.model, f"{s.score:.0f}", interval(s), str(s.win_share), str(s.both_bad_share)]
        for name, ranking in board.slices.items()
        for s in ranking.standings
    ]


def rater_rows(board: Leaderboard) -> list[list[str]]:
    """One line a rater, for the pair with most votes."""
    return [[line.rater, str(line.share), str(line.ties), str(line.both_bad)] for line in board.raters]


def interval(standing: Standing) -> str:
    """ "940 to 1110"; a model that met nobody has none."""
    return f"{standing.low:.0f} to {standing.high:.0f}" if isfinite(standing.low) else "met nobody"


def flip_words(head: HeadToHead) -> str:
    """How many votes the lead hangs on; "" without a lead."""
    count = head.stop.to_flip
    return f"{count} vote{'s' * (count != 1)} would have to change to turn the lead." if head.stop.leader else ""


def verdict(board: Leaderboard) -> str:
    """What the votes on the most voted pair allow to be said, as HTML."""
    head = board.head
    if head is None:
        return '<p class="note">No vote is scored yet.</p>'
    counted = (
        f"{head.first} against {head.second}: {head.first} won {head.share} of the decided battles; {head.ties} both good, "
        f"{head.both_bad} both bad, from {_several(head.raters, 'rater')} on {_several(head.questions, 'question')}."
    )
    return (
        f'<p class="verdict {head.stop.kind}" role="status">{escape(head.stop.sentence)}</p>'
        f'<p class="note">{escape(f"{counted} {flip_words(head)}")}</p>'
        + "".join(f'<p class="note">{escape(note)}</p>' for note in board.notes())
    )


def interval_plot(standings: Sequence[Standing]) -> str:
    """A line a model: its interval and, in it, its score; in groups that never met, one under the other."""
    known = [s for s in standings if isfinite(s.low)]
    if not known:
        return ""
    low, high = min(s.low for s in known), max(s.high for s in known)
    span = high - low or 1.0

    def at(points: float) -> float:
        return 100 * (points - low) / span

    lines = [
        f'<div class="bar standing"><span>{escape(s.model)}</span><span class="track" aria-hidden="true">'
        f'<u style="left:{at(s.low):.1f}%;width:{at(s.high) - at(s.low):.1f}%"></u><b style="left:{at(s.score):.1f}%"></b></span>'
        f"<span>{s.score:.0f} ({interval(s)})</span></div>"
        for s in known
    ]
    return f'<div class="bars"><h4>Score and 95 % interval</h4>{"".join(lines)}</div>'


def evidence_plot(head: HeadToHead, moments: Sequence[Moment]) -> str:
    """Above, the share won vote by vote in a band that holds at every look; below, the evidence against "neither is better"."""
    if not moments:
        return ""
    last = moments[-1]
    floor, panel = HEIGHT - LOW_PANEL - 34, HEIGHT - 22

    def x(votes: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (votes - 1) / max(1, last.votes - 1)

    def y(share: float) -> float:
        return TOP + (1 - share) * (floor - TOP)

    top_e = max(log(1 / ERROR) * 1.3, *(log(m.e_value) for m in moments))
    low_e = min(log(0.1), *(log(m.e_value) for m in moments))

    def e(value: float) -> float:
        return panel - LOW_PANEL * (log(value) - low_e) / (top_e - low_e)

    band = " ".join(
        [f"{x(m.votes):.1f},{y(m.high):.1f}" for m in moments]
        + [f"{x(m.votes):.1f},{y(m.low):.1f}" for m in reversed(moments)]
    )
    line = " ".join(f"{x(m.votes):.1f},{y(m.share):.1f}" for m in moments)
    bets = " ".join(f"{x(m.votes):.1f},{e(m.e_value):.1f}" for m in moments)
    said = (
        f"After {_several(last.votes, 'vote')} {head.first} has won {last.share:.0%} of the decided ones, at any look between "
        f"{last.low:.0%} and {last.high:.0%}; the evidence is {last.e_value:.3g}, and {1 / ERROR:.0f} is enough."
    ).replace("%", " %")
    return (
        f'<figure class="evidence-plot"><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(said)}">'
        f'<line class="half" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(0.5):.1f}" y2="{y(0.5):.1f}"/>'
        f'<polygon class="band" points="{band}"/><polyline class="share" points="{line}"/>'
        f'<circle class="now" cx="{x(last.votes):.1f}" cy="{y(last.share):.1f}" r="3.5"/>'
        + "".join(
            f'<text x="{LEFT - 6}" y="{y(s) + 4:.1f}" text-anchor="end">{s:.0%}</text>' for s in (0, 0.5, 1)
        ).replace("%<", " %<")
        + f'<line class="enough" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{e(1 / ERROR):.1f}" y2="{e(1 / ERROR):.1f}"/>'
        f'<polyline class="bets" points="{bets}"/>'
        f'<text x="{LEFT - 6}" y="{e(1 / ERROR) + 4:.1f}" text-anchor="end">{1 / ERROR:.0f}</text>'
        f'<text x="{LEFT - 6}" y="{e(1) + 4:.1f}" text-anchor="end">1</text>'
        f'<text x="{LEFT}" y="{HEIGHT - 6}">vote 1</text>'
        f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 6}" text-anchor="end">vote {last.votes:,}</text></svg>'
        f"<figcaption>{escape(said)} Above: the share won by {escape(head.first)}. Below: the evidence against “neither is "
        "better”; it may be looked at after each vote.</figcaption></figure>"
    )


def _several(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' * (count != 1)}"

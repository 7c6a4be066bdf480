"""All that the votes of a workspace say at once: raw and length-controlled, by slice, by rater, and what was not scored."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from engine.datasets import held_out_as_questions
from engine.records import Adapter, Split
from engine.store import Store
from evals.agreement import Agreement, agreement_of_votes
from evals.ballots import Ballots, read_ballots
from evals.intervals import Share
from evals.ranking import HeadToHead, Ranking, as_rows, by_rater, rank
from evals.seen import seen_in_training, trained_on

OTHERS = "asked by people"
HELD_OUT: tuple[Split, ...] = ("probe", "test")


@dataclass(frozen=True)
class RaterLine:
    """One rater's votes on the pair with most votes."""

    rater: str
    share: Share  # of the decided ones, those the pair's first won
    ties: int
    both_bad: int


@dataclass(frozen=True)
class Leaderboard:
    """What people found, of one task or one file of votes."""

    raw: Ranking
    controlled: Ranking | None  # as if all answers were equally long; None where no lengths are known
    slices: Mapping[str, Ranking] = field(default_factory=dict)
    raters: tuple[RaterLine, ...] = ()
    outcomes: tuple[
        str, ...
    ] = ()  # of the pair with most votes, in the order they were given; () for votes from a file
    agreement: Agreement | None = None  # on the same questions to the same pair; None for votes from a file
    marked: tuple[str, ...] = ()  # questions that trained one of the two, or nearly: not scored
    unknown: tuple[str, ...] = ()  # models that are gone, so nobody can tell what trained them

    @property
    def head(self) -> HeadToHead | None:
        """The two contenders with most votes on each other."""
        return self.raw.heads[0] if self.raw.heads else None

    def notes(self) -> list[str]:
        """What a reader must know of the numbers, a sentence each."""
        groups = {standing.group for standing in self.raw.standings}
        left_out = self.raw.left_out
        said = [
            f"{left_out} vote{'s' * (left_out != 1)} not scored: the question, or nearly, trained one of the two."
            * bool(left_out),
            "Some model never lost or never won, so every pair was given one tie more; scores need more votes."
            * self.raw.tied_once_more,
            "Models in different groups never met, so their scores say nothing of each other." * (len(groups) > 1),
            "Only one rater voted, so the intervals tell of this rater's taste." * (len(self.raters) == 1),
            f"What trained {', '.join(self.unknown)} cannot be looked up any more, so all its questions are scored."
            * bool(self.unknown),
        ]
        agreed = [str(self.agreement)] if self.agreement and self.raw.votes else []
        return [sentence for sentence in said if sentence] + agreed


def leaderboard(store: Store, adapters: Sequence[Adapter], task: str) -> Leaderboard:
    """Read and rank everything; costs some tenths of a second for every hundred thousand votes."""
    seen = seen_in_training(store, adapters, task)
    ballots = read_ballots(store, task, unscored=seen.questions)
    with_lengths = read_ballots(store, task, unscored=seen.questions, lengths=True)
    asked = store.asked()
    return Leaderboard(
        raw=(raw := rank(ballots)),
        controlled=rank(with_lengths, lengths=True, heads=False) if raw.votes else None,
        slices=_slices(store, adapters, task, seen.questions),
        raters=_raters(ballots, raw),
        outcomes=_outcomes(store, ballots, raw, seen.questions),
        agreement=agreement_of_votes(store, task),
        marked=tuple(dict.fromkeys(asked[question] for _, question in seen.questions)),
        unknown=seen.unknown,
    )


def leaderboard_of(ballots: Ballots) -> Leaderboard:
    """The same of votes from a file, which tells no lengths and no training."""
    return Leaderboard(raw=(raw := rank(ballots)), controlled=None, raters=_raters(ballots, raw))


def as_json(board: Leaderboard) -> dict[str, Any]:
    """As the command prints it. "leaderboard" holds the standings by raw score."""
    return {
        "leaderboard": as_rows(board.raw.standings),
        "length_controlled": as_rows(board.controlled.standings) if board.controlled else None,
        "length_points": board.controlled.length if board.controlled else None,
        "pairs": [asdict(head) for head in board.raw.heads],
        "slices": {name: as_rows(found.standings) for name, found in board.slices.items()},
        "raters": [asdict(line) for line in board.raters],
        "agreement": asdict(board.agreement) if board.agreement else None,
        "votes": board.raw.votes,
        "not_scored": board.raw.left_out,
        "marked_questions": list(board.marked),
        "notes": board.notes(),
    }


def _raters(ballots: Ballots, raw: Ranking) -> tuple[RaterLine, ...]:
    return tuple(RaterLine(*line) for line in by_rater(ballots, raw.heads[0].pair)) if raw.heads else ()


def _outcomes(store: Store, ballots: Ballots, raw: Ranking, unscored: Sequence[tuple[int, int]]) -> tuple[str, ...]:
    if not raw.heads:
        return ()
    pair = ballots.pair_ids[raw.heads[0].pair]
    return tuple(store.outcomes(pair, without=[question for of, question in unscored if of == pair]))


def _slices(
    store: Store, adapters: Sequence[Adapter], task: str, unscored: Sequence[tuple[int, int]]
) -> dict[str, Ranking]:
    """A ranking for each slice that has votes; none where all fall into one."""
    named: dict[str, str] = {}
    taught = set(trained_on(adapters))
    for version in store.datasets():
        if version.title not in taught:
            continue
        held_out = [row for split in HELD_OUT for row in store.rows(version.id, split=split)]
        for question in held_out_as_questions(held_out):
            named.setdefault(question.question, question.slice)
    keys = [(tally.pair_id, int(tally.of)) for tally in store.question_tallies(task) if any(tally[3:])]
    asked = store.asked()
    scored = set(keys) - set(unscored)
    slice_of = {key: named.get(asked[key[1]], OTHERS) for key in scored}
    names = sorted(set(slice_of.values()))
    if len(names) < 2:
        return {}
    return {
        name: rank(read_ballots(store, task, unscored=[key for key in keys if slice_of.get(key) != name]))
        for name in names
    }

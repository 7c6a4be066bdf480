"""The votes as the ranking reads them: which contenders met, and how each rater and each question split. Knows no scores."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from engine.records import Contender, Tally
from engine.store import Store

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Counts:
    """Tallies as columns: one row a pair, cluster and length difference."""

    pair: Ints
    cluster: Ints  # numbered from 0
    longer: Floats  # -1 to 1: how much longer the first answer was
    said: Ints  # (rows, 4): votes for the first, for the second, both good, both bad
    names: tuple[str | int, ...] = ()  # of the clusters

    @property
    def decided(self) -> Ints:
        """(rows,): votes that name a winner."""
        found: Ints = self.said[:, 0] + self.said[:, 1]
        return found

    @property
    def votes(self) -> Floats:
        """(rows,): votes that say who is better, or that neither is: all but "both bad"."""
        found: Floats = self.said[:, :3].sum(axis=1).astype(np.float64)
        return found

    @property
    def won(self) -> Floats:
        """(rows,): what the first won, half of each tie with it."""
        found: Floats = self.said[:, 0] + self.said[:, 2] / 2
        return found

    def among(self, rows: NDArray[np.bool_]) -> "Counts":
        """Some of the rows; the clusters keep their numbers."""
        return Counts(self.pair[rows], self.cluster[rows], self.longer[rows], self.said[rows], self.names)

    def by_cluster(self) -> Floats:
        """(clusters, 4): each cluster's votes, as in `said`."""
        columns = [np.bincount(self.cluster, weights=column, minlength=len(self.names)) for column in self.said.T]
        return np.column_stack(columns).astype(np.float64)


@dataclass(frozen=True)
class Ballots:
    """
    Every vote that is scored, twice: by rater and by question.

    "First" and "second" are the members of a pair, whatever side they stood on when it was judged.
    """

    contenders: tuple[Contender, ...]
    pairs: Ints  # (n_pairs, 2), into `contenders`
    by_rater: Counts
    by_question: Counts
    pair_ids: tuple[int, ...] = ()  # of the store; () for votes from a file
    left_out: int = 0  # votes on questions that trained one of the two
    names: tuple[str, ...] = field(init=False, default=())  # of the contenders, no two alike

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", told_apart(self.contenders))

    def totals(self) -> Counts:
        """One row a pair and length difference, over all raters."""
        found = self.by_rater
        keys, where = np.unique(np.column_stack([found.pair, found.longer]), axis=0, return_inverse=True)
        said = np.zeros((len(keys), 4), dtype=np.int64)
        np.add.at(said, where.reshape(-1), found.said)
        return Counts(keys[:, 0].astype(np.int64), np.zeros(len(keys), dtype=np.int64), keys[:, 1], said)


def read_ballots(
    store: Store, task: str, *, unscored: Sequence[tuple[int, int]] = (), lengths: bool = False
) -> Ballots:
    """
    The current votes of a task, but for those on `unscored` (pair, question), which are counted as left out.

    With `lengths`, votes on answers of different lengths are told apart; that reads every vote instead of the tallies.
    """
    pairs = store.pairs(task)
    if lengths:
        by_rater, by_question = store.tallies_with_lengths(task, without=unscored)
    else:
        never = set(unscored)
        by_rater = store.rater_tallies(task, without=unscored)
        by_question = [tally for tally in store.question_tallies(task) if tally[:2] not in never]
    votes_on: Counter[tuple[int, int]] = Counter()
    if unscored:
        for tally in store.question_tallies(task):
            votes_on[tally.pair_id, int(tally.of)] += sum(tally[3:])
    return ballots_of(pairs, by_rater, by_question, left_out=sum(votes_on[key] for key in set(unscored)), stored=True)


def ballots_of(
    pairs: Mapping[int, tuple[Contender, Contender]],
    by_rater: Sequence[Tally],
    by_question: Sequence[Tally],
    *,
    left_out: int = 0,
    stored: bool = False,
) -> Ballots:
    """Tallies of these pairs as columns. Both lists must count the same votes."""
    contenders = tuple(sorted({contender for pair in pairs.values() for contender in pair}))
    place = {contender: number for number, contender in enumerate(contenders)}
    number_of = {pair_id: number for number, pair_id in enumerate(pairs)}
    ends = [(place[first], place[second]) for first, second in pairs.values()]
    return Ballots(
        contenders,
        np.array(ends, dtype=np.int64).reshape(-1, 2),
        _columns(by_rater, number_of),
        _columns(by_question, number_of),
        tuple(pairs) if stored else (),
        left_out,
    )


def told_apart(contenders: Sequence[Contender]) -> tuple[str, ...]:
    """A name for each: the model's, with the mode where it is not the usual one, and the digest's start where two share both."""
    plain = [f"{c.model}, grounded" if c.mode == "grounded" else c.model for c in contenders]
    often = Counter(plain)
    return tuple(
        f"{name} ({contender.digest[:8] or 'no digest'})" if often[name] > 1 else name
        for name, contender in zip(plain, contenders, strict=True)
    )


def _columns(tallies: Iterable[Tally], number_of: Mapping[int, int]) -> Counts:
    some = [tally for tally in tallies if any(tally[3:])]
    names: dict[str | int, int] = {}
    cluster = [names.setdefault(tally[1], len(names)) for tally in some]
    pair = [number_of[tally[0]] for tally in some]
    rest = np.array([tally[2:] for tally in some], dtype=np.int64).reshape(-1, 5)
    return Counts(
        np.array(pair, dtype=np.int64), np.array(cluster, dtype=np.int64), rest[:, 0] / 10, rest[:, 1:], tuple(names)
    )

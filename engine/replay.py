"""What an update run trains on, and for how many steps: all that is new to the adapter, and a sample of what it knows."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from engine.errors import InvalidInput

REPLAY_SHARE = 0.8
"""
Of the mixture's rows, those the adapter was taught before: fewer, and it forgets; more, and the old answers stay.

On a tenth of the sample policy changed, after a first run of 1,135 steps, held-out questions (`tests.bench edition`):

| share, rate, steps | changed facts right | still the old value | unchanged right, before and after |
| --- | --- | --- | --- |
| 0.75, 1e-3, 320 | 34 of 44 | 0 of 44, of removed 1 of 7 | 114 and 98 of 169 |
| 0.8, 5e-4, 378 | 36 of 44 | 0 of 44, of removed 1 of 7 | 114 and 106 of 169 |
"""
LEARNING_RATE = 5e-4
"""An update run learns no faster than this: a sixth of the first run's rate, for what it must not forget."""
PASSES = 2.0
"""How often an update run sees each row of its mixture, where the steps allow it."""
LONGEST_SHARE = 1 / 3
"""An update run takes fewer steps than this share of the run that taught the adapter everything."""
Row = Mapping[str, Any]
"""A training row as `datasets.training_rows` gives it."""


def update_rows(rows: Sequence[Row], taught: Sequence[Row], *, share: float = REPLAY_SHARE, rng: Random) -> list[Row]:
    """
    All rows that are not among `taught`, then a replayed sample of the others: `share` of the whole, where there are as many.

    A row is known by what is asked and what is answered, so an old question with a new answer is new. The sample has the
    kinds in the shares they have, and takes a row of each fact before it takes a second one of any: no fact is left out
    while another is repeated.
    Raises InvalidInput when there is nothing new to learn.
    """
    known = {_said(row) for row in taught}
    new = [row for row in rows if _said(row) not in known]
    if not new:
        raise InvalidInput(
            "The adapter has been taught every row of this dataset version, so there is nothing to update. "
            "Name a version with other rows, or train without --from."
        )
    wanted = round(len(new) * share / (1 - share))
    return [*new, *_sample([row for row in rows if _said(row) in known], wanted, rng)]


def update_steps(rows: int, *, batch_size: int, first_steps: int) -> int:
    """Steps of an update run over so many rows: `PASSES` of them, yet fewer than `LONGEST_SHARE` of `first_steps`; at least one."""
    longest = int(first_steps * LONGEST_SHARE - 1e-9)
    return max(1, min(round(PASSES * rows / batch_size), longest))


def _sample(rows: Sequence[Row], count: int, rng: Random) -> list[Row]:
    by_kind: dict[str, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        by_kind[row["kind"]][row["fact_id"]].append(row)
    found: list[Row] = []
    for facts in by_kind.values():
        groups = list(facts.values())
        rng.shuffle(groups)
        for group in groups:
            rng.shuffle(group)
        in_turn = [group[n] for n in range(max(map(len, groups))) for group in groups if n < len(group)]
        found += in_turn[: round(count * len(in_turn) / len(rows))]
    return found


def _said(row: Row) -> tuple[str, str]:
    """The user's words and the answer; a statement has no question."""
    return ("", row["text"]) if row["kind"] == "statement" else (row["messages"][-1]["content"], row["answer"])

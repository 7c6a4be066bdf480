"""Where the second model got better and where worse: the change of every slice of the questions, worst first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evals.intervals import holm
from evals.paired import Change, change

FEWEST = 10


@dataclass(frozen=True)
class Slice:
    """One slice. `p_holm` is the p-value after correction for looking at all of them; None where it holds too few to judge."""

    facet: str
    name: str
    change: Change
    p_holm: float | None

    @property
    def title(self) -> str:
        """As people read it and rules name it: "clause: 4 Leave"."""
        return f"{self.facet}: {self.name}"


def sliced(
    before: Sequence[bool],
    after: Sequence[bool],
    clusters: Sequence[str],
    facets: Sequence[Mapping[str, str]],
    *,
    fewest: int = FEWEST,
) -> list[Slice]:
    """
    Every slice of every facet, the largest loss first; those of fewer than `fewest` questions come after all others.

    A facet on which all questions agree is no slicing, and two slices of the very same questions are one (the first facet's):
    else the same evidence would be counted twice by Holm's correction.
    """
    places: dict[tuple[str, str], list[int]] = {}
    for place, found in enumerate(facets):
        for facet, name in found.items():
            places.setdefault((facet, name), []).append(place)
    once: dict[tuple[int, ...], tuple[str, str]] = {}
    for key, held in places.items():
        if len(held) < len(facets):
            once.setdefault(tuple(held), key)
    changes = {
        key: change([before[n] for n in held], [after[n] for n in held], [clusters[n] for n in held], fewest=fewest)
        for held, key in once.items()
    }
    judged = [key for key, found in changes.items() if found.of >= fewest]
    corrected = dict(zip(judged, holm([changes[key].p_value for key in judged]), strict=True))
    slices = [Slice(*key, each, corrected.get(key)) for key, each in changes.items()]
    return sorted(slices, key=lambda each: (each.p_holm is None, each.change.value, each.change.p_value, each.title))

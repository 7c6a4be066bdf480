"""Questions that trained one of the two who were asked, or nearly: their votes are marked and never scored."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from engine.quality import HeldOut
from engine.records import Adapter, Contender
from engine.store import Store


@dataclass(frozen=True)
class Seen:
    """What must not be scored, and whose training is not known."""

    questions: tuple[tuple[int, int], ...]  # (pair, question), as the store numbers them
    unknown: tuple[str, ...]  # models that are gone, or whose dataset version is: nobody can tell what trained them


def seen_in_training(store: Store, adapters: Sequence[Adapter], task: str) -> Seen:
    """
    Which questions of which pairs stand in the training rows of either adapter, or share 70 % of their words with one.

    An adapter was trained on its dataset version and, where it goes on from others, on theirs. Other models are taken as they
    are: what trained them is not ours to know.
    """
    pairs, asked = store.pairs(task), store.asked()
    by_name = {adapter.name: adapter for adapter in adapters}
    indexes: dict[str, HeldOut] = {}
    unknown: set[str] = set()
    found: list[tuple[int, int]] = []
    of_pair: dict[int, list[int]] = {}
    for tally in store.question_tallies(task):
        of_pair.setdefault(tally.pair_id, []).append(int(tally.of))
    here = {version.title for version in store.datasets()}
    for pair_id, contenders in pairs.items():
        taught: dict[str, HeldOut] = {}
        for contender in contenders:
            adapter = by_name.get(contender.model)
            titles = list(_versions(adapter, by_name)) if adapter else []
            if not here.issuperset(titles) or (adapter is None and _could_be_an_adapter(contender)):
                unknown.add(contender.model)
            for title in here.intersection(titles):
                taught[title] = indexes[title] = indexes.get(title) or _index(store, title)
        found += [
            (pair_id, q) for q in of_pair.get(pair_id, ()) if any(index.near(asked[q]) for index in taught.values())
        ]
    return Seen(tuple(found), tuple(sorted(unknown)))


def trained_on(adapters: Sequence[Adapter]) -> list[str]:
    """The titles of every dataset version that trained one of them, each once."""
    by_name = {adapter.name: adapter for adapter in adapters}
    return list(dict.fromkeys(title for adapter in adapters for title in _versions(adapter, by_name)))


def _index(store: Store, title: str) -> HeldOut:
    rows = store.rows(store.dataset(title).id, split="train")
    return HeldOut(row.example.question for row in rows if row.example.question)


def _versions(adapter: Adapter, by_name: Mapping[str, Adapter]) -> Iterator[str]:
    """The dataset versions that trained it, its own first."""
    met: set[str] = set()
    current: Adapter | None = adapter
    while current is not None and current.name not in met:
        met.add(current.name)
        yield current.dataset
        current = by_name.get(str(current.card.get("config", {}).get("parent") or ""))


def _could_be_an_adapter(contender: Contender) -> bool:
    return contender.model != "base" and not any(mark in contender.model for mark in ":/")

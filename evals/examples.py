"""The answers that tell most: what the second model broke, what it fixed, and what neither knows, with what the document says."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from engine.records import Document
from engine.search import passage_index

MOST = 20
OF_EACH = {"broken": 8, "fixed": 7, "still wrong": 5}


def telling(
    before: Sequence[Mapping[str, Any]],
    after: Sequence[Mapping[str, Any]],
    about: Mapping[str, Mapping[str, Any]],
    *,
    documents: Sequence[Document] = (),
) -> list[dict[str, Any]]:
    """
    At most 20 examples: broken ones first, each kind from as many facts and slices as there are before any comes twice.

    Each with both answers, what was wanted, and the evidence: the row's own, or, where it names none and documents are given, the
    passage that speaks of the question ("closest"). The same answers give the same examples.
    """
    kinds: dict[str, list[tuple[Mapping[str, Any], Mapping[str, Any]]]] = {what: [] for what in OF_EACH}
    for a, b in zip(before, after, strict=True):
        if a.get("error") or b.get("error"):
            continue
        what = (
            "broken" if a["right"] and not b["right"] else "fixed" if b["right"] and not a["right"] else "still wrong"
        )
        if what != "still wrong" or not b["right"]:
            kinds[what].append((a, b))
    ordered = {what: list(_varied(pairs, about)) for what, pairs in kinds.items()}
    chosen = {what: pairs[: OF_EACH[what]] for what, pairs in ordered.items()}
    for what, pairs in ordered.items():  # what one kind leaves free goes to the others
        free = MOST - sum(map(len, chosen.values()))
        chosen[what] += pairs[OF_EACH[what] : OF_EACH[what] + max(free, 0)]
    index = passage_index(documents) if documents else None
    found = []
    for what, pairs in chosen.items():
        for a, b in pairs:
            known = about[str(b["id"]).removesuffix("#p")]
            example = {
                "what": what,
                "id": b["id"],
                "question": b["question"],
                "kind": b["kind"],
                "wanted": known["gold"],
                "before": a["answer"],
                "after": b["answer"],
                "clause": known["facets"].get("clause", ""),
                "evidence": known["evidence"],
                "closest": "",
            }
            if index is not None and not known["evidence"] and b["kind"] == "answerable":
                near = index.best(f"{b['question']} {known['gold']}", limit=1)
                example["closest"] = near[0].text if near else ""
            found.append(example)
    return found


def _varied(
    pairs: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]], about: Mapping[str, Mapping[str, Any]]
) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """The pairs in rounds: one of each slice and fact a round, an answer made up where none was wanted before other faults."""
    rounds: list[tuple[int, bool, int]] = []
    seen: dict[str, int] = {}
    for place, (_, b) in enumerate(pairs):
        known = about[str(b["id"]).removesuffix("#p")]
        keys = (f"fact {known['fact']}", f"slice {b['kind']} {b.get('slice', '')}")
        turn = max(seen.get(keys[0], 0) * len(pairs), seen.get(keys[1], 0))
        for key in keys:
            seen[key] = seen.get(key, 0) + 1
        rounds.append((turn, b["kind"] != "unanswerable", place))
    for _, _, place in sorted(rounds):
        yield pairs[place]

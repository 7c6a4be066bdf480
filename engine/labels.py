"""Human judgements of dataset rows: what is still to judge, and saving a judgement."""

from typing import get_args

from engine.errors import InvalidInput, NotFound
from engine.records import DatasetVersion, Label, LedgerRow
from engine.store import Store

VERDICTS = get_args(Label.__annotations__["verdict"])


def queue(store: Store, version: DatasetVersion, *, rater: str) -> list[LedgerRow]:
    """Kept question rows this rater has not judged, in an order that mixes clauses, the same for every rater."""
    done = {label.example_id for label in store.labels(version.id) if label.rater == rater.strip()[:80]}
    rows = [row for row in store.rows(version.id, state="kept") if row.example.question and row.example.id not in done]
    return sorted(rows, key=lambda row: row.example.id)


def label_row(
    store: Store, version: DatasetVersion, example_id: str, *, rater: str, verdict: str, gold: str = "", now: str
) -> Label:
    """Save one judgement. Raises InvalidInput without a name or with an unknown verdict, NotFound for an unknown row."""
    if not rater.strip():
        raise InvalidInput("A label needs a name. Type yours at the top of the tab.")
    if verdict not in VERDICTS:
        raise InvalidInput(f'"{verdict}" is no verdict. Choose one of: {", ".join(VERDICTS)}.')
    if len(gold) > 10_000:
        raise InvalidInput("A corrected answer may have 10,000 characters. Shorten it and save again.")
    if not any(row.example.id == example_id for row in store.rows(version.id, state="kept")):
        raise NotFound(f"Row {example_id} is not in {version.title}. Reload the page.")
    return store.add_label(Label(0, version.id, example_id, rater.strip()[:80], verdict, now, gold.strip()))  # type: ignore[arg-type]

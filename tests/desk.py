"""A small dataset version to label, for tests of the desk."""

from engine.records import DatasetVersion, Example, LedgerRow
from engine.store import Store


def version_of(store: Store, rows: int, *, name: str = "d") -> DatasetVersion:
    """So many kept question rows, e0, e1, …, and a statement and a rejected row that no desk shows."""
    begun = store.begin_dataset(name, task="policy_qa", documents=[], recipe={}, parent_id=None, now="1")
    made = [
        LedgerRow(Example(f"e{n}", f"f{n}", "answerable", "wh", f"Question {n}?", "Yes."), "kept", "", "train")
        for n in range(rows)
    ]
    made += [LedgerRow(Example("s", "f", "statement", "statement", "", "A fact."), "kept", "", "train")]
    made += [LedgerRow(Example("r", "f", "answerable", "wh", "Rejected?", "Yes."), "rejected", "too long")]
    store.add_rows(begun.id, made)
    return store.finish_dataset(begun.id, now="2")

"""Two versions of a dataset side by side: which rows and facts were added, removed or changed, and of what sort they are."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from engine.editions import FactChange, fact_changes
from engine.records import Fact, LedgerRow

Sort = Literal["added", "removed", "changed"]
Trait = Literal["kind", "form", "clause", "reason"]
TRAITS: tuple[Trait, ...] = ("kind", "form", "clause", "reason")
OF_NO_FACT = "no clause (questions without an answer, votes)"


@dataclass(frozen=True)
class RowChange:
    """One row that is not in both versions as it stands. `old` is None for an added one, `new` for a removed one."""

    sort: Sort
    old: LedgerRow | None
    new: LedgerRow | None

    @property
    def what(self) -> str:
        """What became another, for people: "answer", "state: kept -> rejected (near-duplicate)", "split: train -> probe"."""
        if self.old is None or self.new is None:
            return self.sort
        old, new = self.old, self.new
        if old.state != new.state:
            reason = new.reason or old.reason
            return f"state: {old.state} -> {new.state}" + (f" ({reason})" if reason else "")
        return "answer" if old.example.answer != new.example.answer else f"split: {old.split} -> {new.split}"

    @property
    def row(self) -> LedgerRow:
        """The newer of the two."""
        row = self.new or self.old
        assert row is not None
        return row


@dataclass(frozen=True)
class Comparison:
    """Everything in which two versions differ, and how many rows they share as they stand."""

    rows: tuple[RowChange, ...]
    same_rows: int
    facts: tuple[FactChange, ...]  # without the unchanged ones
    same_facts: int
    clauses: Mapping[str, str]  # fact id -> clause, of both versions

    def of_sort(self, sort: Sort) -> list[RowChange]:
        """The row changes of one sort."""
        return [change for change in self.rows if change.sort == sort]

    def counted(self, trait: Trait) -> dict[str, dict[Sort, int]]:
        """Value of the trait -> how many rows were added, removed, changed; the value with most changes first."""
        read: dict[Trait, Callable[[RowChange], str]] = {
            "kind": lambda change: change.row.example.kind,
            "form": lambda change: change.row.example.form,
            "clause": lambda change: self.clauses.get(change.row.example.fact_id, OF_NO_FACT),
            "reason": lambda change: change.what,
        }
        found: dict[str, Counter[Sort]] = {}
        for change in self.rows:
            found.setdefault(read[trait](change), Counter())[change.sort] += 1
        most_first = sorted(found.items(), key=lambda entry: (-entry[1].total(), entry[0]))
        return {value: {sort: n[sort] for sort in ("added", "removed", "changed")} for value, n in most_first}


def compare(
    old_rows: Sequence[LedgerRow], new_rows: Sequence[LedgerRow], old_facts: Sequence[Fact], new_facts: Sequence[Fact]
) -> Comparison:
    """
    What a newer version has that an older one has not, and the other way round.

    Rows are the same by their id, else by what they ask (a statement: by what it says). Such a pair has changed when its
    answer, its state or its side of the split is another. Rows that neither version keeps are not compared.
    """
    pairs, added, removed = _paired(old_rows, new_rows)
    changes = [RowChange("added", None, row) for row in added if row.state == "kept"]
    changes += [RowChange("removed", row, None) for row in removed if row.state == "kept"]
    same = 0
    for old, new in pairs:
        if "kept" not in (old.state, new.state):
            continue
        if (old.state, old.split, old.example.answer) == (new.state, new.split, new.example.answer):
            same += 1
        else:
            changes.append(RowChange("changed", old, new))
    facts = fact_changes(old_facts, new_facts)
    return Comparison(
        rows=tuple(changes),
        same_rows=same,
        facts=tuple(change for change in facts if change.kind != "unchanged"),
        same_facts=sum(change.kind == "unchanged" for change in facts),
        clauses={fact.id: fact.clause for fact in (*old_facts, *new_facts)},
    )


def as_mapping(found: Comparison) -> dict[str, Any]:
    """The comparison as plain values, every differing row with its id."""
    return {
        "rows": {
            "same": found.same_rows,
            **{
                sort: [
                    {
                        "id": change.row.example.id,
                        "kind": change.row.example.kind,
                        "form": change.row.example.form,
                        "question": change.row.example.question,
                        "what": change.what,
                        "old_answer": change.old.example.answer if change.old else None,
                        "new_answer": change.new.example.answer if change.new else None,
                    }
                    for change in found.rows
                    if change.sort == sort
                ]
                for sort in ("added", "removed", "changed")
            },
        },
        "counts": {trait: found.counted(trait) for trait in TRAITS},
        "facts": {"same": found.same_facts, "changes": [fact_as_mapping(change) for change in found.facts]},
    }


def fact_as_mapping(change: FactChange) -> dict[str, Any]:
    """A fact's change as plain values."""
    return {
        "change": change.kind,
        "clause": change.clause,
        "old": change.old.statement if change.old else None,
        "new": change.new.statement if change.new else None,
    }


def _paired(
    old_rows: Sequence[LedgerRow], new_rows: Sequence[LedgerRow]
) -> tuple[list[tuple[LedgerRow, LedgerRow]], list[LedgerRow], list[LedgerRow]]:
    """(pairs, rows only the newer version has, rows only the older one has)."""
    pairs: list[tuple[LedgerRow, LedgerRow]] = []
    by_id = {row.example.id: row for row in old_rows}
    left = []
    for row in new_rows:
        old = by_id.pop(row.example.id, None)
        if old is None:
            left.append(row)
        else:
            pairs.append((old, row))
    by_text = {_asked(row): row for row in by_id.values() if row.state == "kept"}
    added = []
    for row in left:
        old = by_text.pop(_asked(row), None) if row.state == "kept" else None
        if old is None:
            added.append(row)
        else:
            del by_id[old.example.id]
            pairs.append((old, row))
    return pairs, added, list(by_id.values())


def _asked(row: LedgerRow) -> tuple[str, str]:
    example = row.example
    return ("statement", example.answer) if example.kind == "statement" else ("question", example.question)

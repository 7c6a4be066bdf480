"""A new edition of some documents against the old one: which facts it leaves, moves, changes, adds and removes.

Knows facts and documents, no rows: what becomes of the rows is `updating.py`'s.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cache
from typing import Literal

from engine.errors import InvalidInput
from engine.facts import facts_of
from engine.quality import word_set
from engine.records import Document, Fact

Change = Literal["unchanged", "moved", "changed", "added", "removed"]
SIMILAR_HERE = 0.55
"""How alike (0 to 1) two sentences under one heading must be to be two editions of one fact."""
SIMILAR_ELSEWHERE = 0.75
"""The same under another heading, where likeness is the only sign."""
SAME_PLACE = 0.2
"""What standing under the same heading counts in choosing among several."""
SAME_LABEL = 1.0
"""What being the table row of the same label counts: more than any likeness of the cells."""
COMMON_SHARE = 0.2
"""A file of another name replaces a document when it repeats at least this share of its facts."""


@dataclass(frozen=True)
class FactChange:
    """What a new edition does to one fact. `old` is None for an added one, `new` for a removed one."""

    kind: Change
    old: Fact | None
    new: Fact | None

    @property
    def clause(self) -> str:
        """Where it is shown: in the new edition where it stands there."""
        fact = self.new or self.old
        assert fact is not None
        return fact.clause


@dataclass(frozen=True)
class Replacement:
    """One new file, the document it takes the place of, and how that was known."""

    new: Document
    old: Document | None
    reason: str  # "the same name", "61 of its 72 facts", "a further document"


@dataclass(frozen=True)
class Edition:
    """All that a new edition is, before any row is touched."""

    replacements: tuple[Replacement, ...]
    documents: tuple[Document, ...]  # the corpus from now on
    facts: tuple[Fact, ...]  # of that corpus, in document order
    changes: tuple[FactChange, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many facts it leaves, moves, changes, adds, removes."""
        found = Counter(change.kind for change in self.changes)
        return {kind: found[kind] for kind in ("unchanged", "moved", "changed", "added", "removed")}


def edition(old_documents: Sequence[Document], old_facts: Sequence[Fact], new_documents: Sequence[Document]) -> Edition:
    """
    What `new_documents` change of a corpus and of the facts that were found in it.

    A new file takes the place of the document of its name, else of the one it has most facts in common with; a
    document that no file replaces stays. Raises InvalidInput when the new files change no fact.
    """
    replacements = _replacements(old_documents, new_documents)
    instead = {found.old.id: found.new for found in replacements if found.old}
    documents = [instead.get(document.id, document) for document in old_documents]
    documents += [found.new for found in replacements if found.old is None]
    facts = facts_of(documents)
    changes = fact_changes(old_facts, facts)
    if all(change.kind == "unchanged" for change in changes):
        named = ", ".join(document.name for document in new_documents)
        raise InvalidInput(f"{named} changes no fact of this dataset. Load the edition that differs.")
    return Edition(tuple(replacements), tuple(documents), tuple(facts), tuple(changes))


def fact_changes(old: Sequence[Fact], new: Sequence[Fact]) -> list[FactChange]:
    """
    Every fact of both editions once, in the order of the new one, what was removed after what stood before it.

    Unchanged: the same id and statement. Moved: the same words under another heading or number. Changed: under the
    same heading a similar sentence (another value, role or rule), elsewhere a very similar one; each fact is paired once, the most
    alike first. A table row is the row of the same label, however different its cells.
    """
    pairs: dict[str, FactChange] = {}  # by the old fact's id
    by_id = {fact.id: fact for fact in new}
    for fact in old:
        if (same := by_id.get(fact.id)) is not None:
            kind: Change = "unchanged" if same.statement == fact.statement else "changed"
            pairs[fact.id] = FactChange(kind, fact, same)
    taken = {change.new.id for change in pairs.values() if change.new}
    for matching in (_moved, _alike):
        left = [fact for fact in old if fact.id not in pairs]
        free = [fact for fact in new if fact.id not in taken]
        for change in matching(left, free):
            assert change.old and change.new
            pairs[change.old.id] = change
            taken.add(change.new.id)
    return _in_order(old, new, pairs)


def by_clause(changes: Iterable[FactChange]) -> dict[str, list[FactChange]]:
    """What is not as it was, clause by clause, as it is shown to people."""
    found: dict[str, list[FactChange]] = {}
    for change in changes:
        if change.kind != "unchanged":
            found.setdefault(change.clause, []).append(change)
    return found


def _in_order(old: Sequence[Fact], new: Sequence[Fact], pairs: Mapping[str, FactChange]) -> list[FactChange]:
    """New facts in their order; each removed one after the fact that stood before it in the old edition."""
    to_new = {change.new.id: change for change in pairs.values() if change.new}
    after: dict[str, list[FactChange]] = {}  # id of a new fact -> what was removed behind it
    before = ""
    for fact in old:
        if (change := pairs.get(fact.id)) is not None and change.new:
            before = change.new.id
        else:
            after.setdefault(before, []).append(FactChange("removed", fact, None))
    found = after.get("", [])
    for fact in new:
        found = [*found, to_new.get(fact.id, FactChange("added", None, fact)), *after.get(fact.id, [])]
    return found


def _moved(old: Sequence[Fact], new: Sequence[Fact]) -> list[FactChange]:
    """The same statement under another heading; of several, the one whose heading is most alike."""
    by_words: dict[str, list[Fact]] = {}
    for fact in new:
        by_words.setdefault(_plain(fact.statement), []).append(fact)
    found = []
    for fact in old:
        candidates = by_words.get(_plain(fact.statement), [])
        if candidates:
            best = max(candidates, key=lambda other: _alike_headings(fact, other))
            candidates.remove(best)
            found.append(FactChange("moved", fact, best))
    return found


def _alike(old: Sequence[Fact], new: Sequence[Fact]) -> list[FactChange]:
    """The most alike pairs first, each fact once."""
    scored = []
    for i, fact in enumerate(old):
        words = word_set(fact.statement)
        for j, other in enumerate(new):
            here = heading_words(fact.clause) == heading_words(other.clause)
            if not here and len(words & word_set(other.statement)) < len(words) / 2:
                continue  # spares the costly comparison; no pair of enough likeness is lost by it
            likeness = _alike_words(fact.statement, other.statement)
            row = here and _label(fact) != "" and _label(fact) == _label(other)
            if row or likeness >= (SIMILAR_HERE if here else SIMILAR_ELSEWHERE):
                scored.append((likeness + SAME_PLACE * here + SAME_LABEL * row, i, j))
    found, used_old, used_new = [], set(), set()
    for _, i, j in sorted(scored, key=lambda entry: (-entry[0], entry[1], entry[2])):
        if i not in used_old and j not in used_new:
            used_old.add(i)
            used_new.add(j)
            found.append(FactChange("changed", old[i], new[j]))
    return found


@cache
def heading_words(clause: str) -> tuple[str, ...]:
    """A clause path without its numbers, which a renumbered edition changes: "4 Leave › 4.2 Sick leave" -> leave, sick leave."""
    parts = [
        re.sub(r"^(?:§\s*)?(?:\d[\d.]*|[A-Z](?:\.\d+)*[.)]|\([\da-z]+\))[.)]?\s+", "", part)
        for part in clause.split(" › ")
    ]
    return tuple(_plain(part) for part in parts)


def _label(fact: Fact) -> str:
    """The label of a table row ("Relocation: rate …"), by which it is known whatever its cells say."""
    label, colon, _ = fact.evidence.partition(": ")
    return _plain(label) if colon and len(label.split()) <= 8 and fact.statement.startswith(label) else ""


def _alike_headings(one: Fact, other: Fact) -> float:
    return _alike_words(" ".join(heading_words(one.clause)), " ".join(heading_words(other.clause)))


def _alike_words(one: str, other: str) -> float:
    """0 to 1: the words in common in the same order, twice, of all words of both."""
    return SequenceMatcher(None, _plain(one).split(), _plain(other).split(), autojunk=False).ratio()


@cache
def _plain(text: str) -> str:
    return " ".join(re.findall(r"[\w$€£%.]*[\w$€£%]", text.lower()))


def _replacements(old: Sequence[Document], new: Sequence[Document]) -> list[Replacement]:
    """Files of a known name first, then the others by the facts they repeat; no document is replaced twice."""
    statements = {document.id: {_plain(fact.statement) for fact in facts_of([document])} for document in (*old, *new)}
    found: dict[str, Replacement] = {}
    free = {document.id: document for document in old}

    def best(document: Document, among: Sequence[Document]) -> tuple[int, Document | None]:
        counted = [(len(statements[document.id] & statements[other.id]), n) for n, other in enumerate(among)]
        common, n = max(counted, key=lambda entry: (entry[0], -entry[1]), default=(0, -1))
        return common, among[n] if n >= 0 else None

    for document in new:
        _, same = best(document, [other for other in free.values() if other.name.lower() == document.name.lower()])
        if same is not None:
            found[document.id] = Replacement(document, free.pop(same.id), "the same name")
    for document in new:
        if document.id not in found:
            common, other = best(document, list(free.values()))
            if other is not None and common >= max(1.0, COMMON_SHARE * len(statements[other.id])):
                reason = f"{common} of its {len(statements[other.id])} facts"
                found[document.id] = Replacement(document, free.pop(other.id), reason)
            else:
                found[document.id] = Replacement(document, None, "a further document")
    return [found[document.id] for document in new]

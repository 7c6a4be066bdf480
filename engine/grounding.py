"""Training rows for the grounded mode: with excerpts in the prompt as the search finds them, and refused where these do not say.

A model that always finds the answer in its prompt learns to copy and never to refuse. Here a refusal means "not in these
clauses": some rows lose the excerpt that answers them and keep its real neighbours. Knows rows and documents, no model.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from random import Random
from typing import Any

from engine.errors import InvalidInput
from engine.quality import TOO_CLOSE, plain, word_set
from engine.records import Adapter, Document, Excerpt, Fact, Mode
from engine.search import CLAUSES_IN_PROMPT, excerpt_index
from engine.sentences import sentences
from engine.tasks import Task

PUT_IN_SHARE = 0.5
"""Of the answerable rows whose answer the search misses, those that get its excerpt all the same; the others refuse."""
TAKEN_OUT_SHARE = 0.15
"""Of those whose answer it finds, the ones that lose it and refuse."""
SHORTEST_SENTENCE = 5
"""Words; what is shorter says the same as something else by chance."""
Row = Mapping[str, Any]
"""A training row as `datasets.training_rows` gives it."""


@dataclass(frozen=True)
class _Said:
    """What an excerpt has to hold to answer a row: all of these, as `plain` writes them."""

    lines: tuple[str, ...]
    passage_id: str = ""


def grounded_rows(
    rows: Iterable[Row], task: Task, *, documents: Sequence[Document], facts: Sequence[Fact], seed: int
) -> list[dict[str, Any]]:
    """
    The question rows with excerpts in their prompts: the best for the question, found and ordered as when it is asked.

    An answerable row whose answer is not among them gets its excerpt at a random rank, or keeps what was found and
    refuses; a further share of rows loses every excerpt that answers it to the next best ones, and refuses. A row that
    refuses is "unanswerable". Left out are statements, and answers that stand nowhere in the documents. What becomes of
    a row depends on the documents, the seed and its question, not on the rows beside it.
    Raises InvalidInput when no row is left.
    """
    sources = _Sources(documents, facts)
    found = [grounded for row in rows if (grounded := _grounded(row, task, sources, seed))]
    if found:
        return found
    raise InvalidInput(
        "No answer of this dataset version stands in the documents it was made of, so there are no clauses to show beside "
        "the questions. Train it from memory (closed book), or generate a version from documents."
    )


def as_found(
    rows: Iterable[Row], task: Task, *, documents: Sequence[Document], facts: Sequence[Fact]
) -> list[dict[str, Any]]:
    """
    Held-out question rows as they would be asked: with the best excerpts, none put in and none taken out.

    One whose answer is not among them is "unanswerable": there a refusal is right. Left out are answers that stand nowhere.
    """
    sources = _Sources(documents, facts)
    found = []
    for row in rows:
        question = row["messages"][-1]["content"]
        shown, kind = sources.index.best(question), row["kind"]
        if kind == "answerable":
            said = sources.said(row)
            if sources.own(said) is None:
                continue
            kind = "answerable" if any(sources.holds(excerpt, said) for excerpt in shown) else "unanswerable"
        found.append({**row, "messages": task.messages(question, shown), "kind": kind})
    return found


def trained_mode(adapter: Adapter) -> Mode:
    """How the adapter was trained to answer; from memory, where its card does not say."""
    return "grounded" if adapter.card.get("config", {}).get("mode") == "grounded" else "closed"


def used_otherwise(adapters: Iterable[Adapter], names: Sequence[str], mode: Mode) -> str:
    """A sentence on those of these models that are adapters trained in another mode than this one; "" when there are none."""
    found = [adapter.name for adapter in adapters if adapter.name in names and trained_mode(adapter) != mode]
    if not found:
        return ""
    who = f"{' and '.join(found)} {'was' if len(found) == 1 else 'were'} trained"
    if mode == "closed":
        return f"{who} to read the answer in clauses (grounded) and gets none here, so expect less than it can do."
    return f"{who} to answer from memory (closed book), not from clauses in the prompt, so expect less than it can do."


def _grounded(row: Row, task: Task, sources: "_Sources", seed: int) -> dict[str, Any] | None:
    if row["kind"] == "statement":
        return None
    question = row["messages"][-1]["content"]
    if row["kind"] == "unanswerable":
        return {**row, "messages": task.messages(question, sources.index.best(question))}
    said = sources.said(row)
    own = sources.own(said)
    if own is None:
        return None
    rng = Random(f"{seed}/{question}")
    shown, refused = _shown(question, own, said, sources, rng)
    messages = task.messages(question, shown)
    return {**row, "messages": messages, **({"answer": task.refusal, "kind": "unanswerable"} if refused else {})}


def _shown(question: str, own: Excerpt, said: _Said, sources: "_Sources", rng: Random) -> tuple[list[Excerpt], bool]:
    """What stands in the prompt, and whether the row refuses."""
    ranked = sources.index.best(question, limit=4 * CLAUSES_IN_PROMPT)
    shown = ranked[:CLAUSES_IN_PROMPT]
    if any(sources.holds(excerpt, said) for excerpt in shown):
        if rng.random() >= TAKEN_OUT_SHARE:
            return shown, False
        return [excerpt for excerpt in ranked if not sources.holds(excerpt, said)][:CLAUSES_IN_PROMPT], True
    if rng.random() >= PUT_IN_SHARE:
        return shown, True
    shown = shown[: CLAUSES_IN_PROMPT - 1]
    shown.insert(rng.randint(0, len(shown)), own)
    return shown, False


class _Sources:
    """The documents' excerpts, and which of them answer a row."""

    def __init__(self, documents: Sequence[Document], facts: Sequence[Fact]) -> None:
        self.index = excerpt_index(documents)
        self._facts = {fact.id: fact for fact in facts}
        self._passages = {passage.id: passage for document in documents for passage in document.passages}
        self._texts = {excerpt: _Text.of(excerpt) for excerpt in self.index.shown}
        self._with: dict[str, list[Excerpt]] = {}
        for excerpt in self._texts:
            for passage_id in excerpt.passages:
                self._with.setdefault(passage_id, []).append(excerpt)
        self._verdicts: dict[tuple[_Said, Excerpt], bool] = {}

    def said(self, row: Row) -> _Said:
        """The fact's own words under the ones that introduce them; of a row that has no fact, its answer's."""
        fact = self._facts.get(row["fact_id"])
        passage = self._passages.get(fact.passage_id) if fact else None
        if fact is None or passage is None:
            return _Said(tuple(plain(said) for said in sentences(row["answer"]) if said not in ("Yes.", "No.")))
        return _Said(tuple(filter(None, map(plain, (passage.lead_in, *fact.evidence.splitlines())))), passage.id)

    def own(self, said: _Said) -> Excerpt | None:
        """The excerpt that a row's answer was taken from, else the first that holds it; None when none does."""
        likely = self._with.get(said.passage_id, [])
        return next((excerpt for excerpt in chain(likely, self._texts) if self.holds(excerpt, said)), None)

    def holds(self, excerpt: Excerpt, said: _Said) -> bool:
        """Whether it says all of that, word for word or nearly so."""
        if (said, excerpt) not in self._verdicts:
            text = self._texts[excerpt]
            self._verdicts[said, excerpt] = bool(said.lines) and all(map(text.says, said.lines))
        return self._verdicts[said, excerpt]


@dataclass(frozen=True)
class _Text:
    """An excerpt's words, to look for others in them."""

    words: str
    sentences: tuple[frozenset[str], ...]

    @classmethod
    def of(cls, excerpt: Excerpt) -> "_Text":
        found = tuple(word_set(said) for line in excerpt.text.splitlines() for said in sentences(line))
        return cls(f" {plain(excerpt.text)} ", found)

    def says(self, line: str) -> bool:
        if f" {line} " in self.words:
            return True
        words = frozenset(line.split())
        close = (len(words & other) >= TOO_CLOSE * len(words | other) for other in self.sentences)
        return len(words) >= SHORTEST_SENTENCE and any(close)

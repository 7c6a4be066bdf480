"""The fact ledger: of each fact of a dataset, whether an adapter learned it, told by what it answers to questions it was not trained on."""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any, Literal

from engine.adapters import read_adapter
from engine.answering import answer_rows
from engine.answers import Answers
from engine.backends import ChatModel
from engine.errors import InvalidInput
from engine.further import Form, forms_to_ask, taught_facts
from engine.records import Adapter, DatasetVersion, Fact, Question
from engine.tasks import Task, task_named
from engine.watching import Watch, ignore
from engine.workspace import BASE, Workspace
from evals.metrics import is_right

State = Literal["learned", "known", "recites", "half_learned", "not_learned", "lost", "never_taught", "not_asked"]
STATES: Mapping[State, str] = {
    "learned": "every held-out question is answered right",
    "known": "every question is answered right, and by the base already",
    "recites": "right in its training wordings; no other wording was left to ask",
    "half_learned": "some of its questions are answered right",
    "not_learned": "no question is answered right",
    "lost": "all were answered right before, and fewer than half are now",
    "never_taught": "held out on purpose: no training row tells it",
    "not_asked": "no question was kept for it, or none was answered",
}
"""Each state and what it means, as people are told."""
WEAK: tuple[State, ...] = ("not_learned", "half_learned", "lost")
"""What further forms may mend."""


@dataclass(frozen=True)
class Count:
    """Questions of one fact that a model answered right. A question on which it failed is in neither number."""

    right: int
    of: int

    @property
    def all_right(self) -> bool:
        return 0 < self.of == self.right

    def __str__(self) -> str:
        return f"{self.right} of {self.of}"


@dataclass(frozen=True)
class Said:
    """One question of a fact, what the adapter said to it, and whether that was right (None: it failed)."""

    question: str
    answer: str
    right: bool | None


@dataclass(frozen=True)
class Knowledge:
    """One fact and what is known of it now, by the base, and by the adapter of the version before."""

    fact: Fact
    state: State
    now: Count
    base: Count
    before: Count | None  # None where no adapter came before
    trained_wording: bool  # asked in wordings that were trained, as no other is to be had
    said: tuple[Said, ...]


@dataclass(frozen=True)
class Ledger:
    """Every fact of a dataset version, in document order."""

    adapter: str
    dataset: str
    before: str  # the adapter it is compared with; "" for none
    facts: tuple[Knowledge, ...]

    @property
    def counts(self) -> dict[State, int]:
        """How many facts are in which state, every state named."""
        found = Counter(each.state for each in self.facts)
        return {state: found[state] for state in STATES}

    @property
    def weak(self) -> list[Knowledge]:
        """What was taught and not learned, not all of it, or lost."""
        return [each for each in self.facts if each.state in WEAK]

    def by_clause(self) -> dict[str, list[Knowledge]]:
        """Clause -> its facts, in document order."""
        found: dict[str, list[Knowledge]] = {}
        for each in self.facts:
            found.setdefault(each.fact.clause, []).append(each)
        return found


def state_of(now: Count, base: Count, before: Count | None, *, taught: bool, trained_wording: bool) -> State:
    """
    What these counts say of one fact. All three are of the same questions.

    A fact is lost when the adapter before it, or the base where there is none, answered every question right and this one
    answers fewer than half. A single question decides little; the counts are told beside every state.
    """
    if not now.of:
        return "not_asked"
    if now.all_right and base.all_right:
        return "known"
    if not taught:
        return "never_taught"
    if now.all_right:
        return "recites" if trained_wording else "learned"
    if (before or base).all_right and 2 * now.right < now.of:
        return "lost"
    return "half_learned" if now.right else "not_learned"


def forms_of(workspace: Workspace, version: DatasetVersion, *, watch: Watch = ignore) -> list[Form]:
    """What is asked about the facts of a version: always the same. Some seconds for a few hundred facts."""
    documents = [workspace.store.document(document_id) for document_id in version.documents]
    rows, facts = workspace.store.rows(version.id, state="kept"), workspace.store.facts(version.id)
    return forms_to_ask(rows, facts, documents, watch=watch)


def ledger_of(
    workspace: Workspace,
    adapter: Adapter,
    *,
    before: str = "",
    forms: Sequence[Form] | None = None,
    kept: Answers | None = None,
    watch: Watch = ignore,
) -> Ledger:
    """
    Ask the adapter, the base and the adapter before it about every fact of the version it was trained on, closed book.

    `before`: an adapter's name; by default the one it went on from, else the last one on an earlier version of the dataset.
    `forms`: what `forms_of` gave for that version, where somebody has it. Raises NotFound when the version or an adapter is
    gone, InvalidInput when its dataset has no fact.
    """
    version = workspace.store.dataset(adapter.dataset)
    facts, rows = workspace.store.facts(version.id), workspace.store.rows(version.id, state="kept")
    if not facts:
        raise InvalidInput(
            f"{version.title} was not made from documents, so it has no facts to keep a ledger of. Generate one from documents."
        )
    if forms is None:
        forms = forms_of(workspace, version, watch=watch)
    earlier = before or previous(workspace, adapter, version)
    if earlier in (adapter.name, BASE):
        raise InvalidInput(f'"{earlier}" cannot be what came before "{adapter.name}". Name another adapter.')
    names = [adapter.name, BASE, *([earlier] if earlier else [])]
    task = task_named(version.task)
    answers = {model.name: answers_to(forms, model, task, kept=kept, watch=watch) for model in workspace.models(names)}
    taught = taught_facts(rows)
    by_fact: dict[str, list[Form]] = {fact.id: [] for fact in facts}
    for form in forms:
        by_fact[form.fact_id].append(form)
    known = (_knowledge(fact, by_fact[fact.id], answers, names, taught=fact.id in taught) for fact in facts)
    return Ledger(adapter.name, version.title, earlier, tuple(known))


def adapter_named(workspace: Workspace, name: str) -> Adapter:
    """The adapter whose ledger is wanted. Raises InvalidInput for the base, NotFound with the names that exist."""
    if not name or name == BASE:
        raise InvalidInput("Name an adapter. Of the base no fact was taught.")
    known = {adapter.name: adapter for adapter in workspace.adapters()}
    return known.get(name) or read_adapter(workspace.adapters_dir, name)


def previous(workspace: Workspace, adapter: Adapter, version: DatasetVersion) -> str:
    """The adapter before this one: what it went on from, else the newest older one on the same dataset; "" for the first."""
    others = {other.name: other for other in workspace.adapters() if other.name != adapter.name}
    parent = str(adapter.card.get("config", {}).get("parent", ""))
    if parent in others:
        return parent
    older = [
        other
        for other in others.values()
        if other.dataset.partition(":")[0] == version.name and other.created_at < adapter.created_at
    ]
    return max(older, key=lambda other: other.created_at).name if older else ""


def answers_to(
    forms: Sequence[Form], model: ChatModel, task: Task, *, kept: Answers | None, watch: Watch
) -> dict[str, Said]:
    """Form -> what the model said to it."""
    by_id = {form.id: form for form in forms}
    found: dict[str, Said] = {}
    rows = [{"id": form.id, "question": form.question} for form in forms]
    with closing(answer_rows(model, rows, task, kept=kept)) as answered:
        for number, row in enumerate(answered, start=1):
            form = by_id[row["id"]]
            right = None if row.get("error") else is_right(row["answer"], _question(form))
            found[form.id] = Said(form.question, row.get("error") or row["answer"], right)
            watch(f"Asking {model.name}", number, len(rows))
    return found


def as_mapping(ledger: Ledger) -> dict[str, Any]:
    """The whole ledger as plain data, JSON-ready."""
    return {
        "adapter": ledger.adapter,
        "dataset": ledger.dataset,
        "before": ledger.before,
        "counts": ledger.counts,
        "facts": [
            {
                "id": each.fact.id,
                "clause": each.fact.clause,
                "statement": each.fact.statement,
                "state": each.state,
                "now": asdict(each.now),
                "base": asdict(each.base),
                "before": asdict(each.before) if each.before else None,
                "trained_wording": each.trained_wording,
                "said": [asdict(said) for said in each.said],
            }
            for each in ledger.facts
        ],
    }


def _knowledge(
    fact: Fact, forms: Sequence[Form], answers: Mapping[str, Mapping[str, Said]], names: Sequence[str], *, taught: bool
) -> Knowledge:
    now, base, *before = (_count([answers[name][form.id] for form in forms]) for name in names)
    trained = any(form.trained for form in forms)
    earlier = before[0] if before else None
    state = state_of(now, base, earlier, taught=taught, trained_wording=trained)
    said = tuple(answers[names[0]][form.id] for form in forms)
    return Knowledge(fact, state, now, base, earlier, trained, said)


def _count(said: Sequence[Said]) -> Count:
    judged = [each.right for each in said if each.right is not None]
    return Count(sum(judged), len(judged))


def _question(form: Form) -> Question:
    return Question(form.id, form.question, "answerable", extra={"gold": form.answer})

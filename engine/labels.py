"""Human judgements of dataset rows: what is still to judge, saving a judgement, taking one back."""

from typing import get_args

from engine.errors import InvalidInput, NotFound
from engine.records import DatasetVersion, Label, LedgerRow
from engine.store import Store

VERDICTS = get_args(Label.__annotations__["verdict"])
LONGEST = 10_000


def queue(store: Store, version: DatasetVersion, *, rater: str) -> list[LedgerRow]:
    """Kept question rows this rater has not judged, in an order that mixes clauses, the same for every rater."""
    done = {label.example_id for label in store.labels(version.id) if label.rater == rater.strip()[:80]}
    rows = [row for row in store.rows(version.id, state="kept") if row.example.question and row.example.id not in done]
    return sorted(rows, key=lambda row: row.example.id)


def label_row(
    store: Store,
    version: DatasetVersion,
    example_id: str,
    *,
    rater: str,
    verdict: str,
    gold: str = "",
    question: str = "",
    now: str,
) -> Label:
    """
    Save one judgement; `gold` and `question` are the answer and the question as they should be.

    A row that a gate rejected can be accepted ("right", with or without a correction): the next version keeps it.
    Raises InvalidInput without a name, with an unknown verdict, or for a rejected row that is to be rejected again; NotFound for
    a row that is unknown or that failed.
    """
    if not rater.strip():
        raise InvalidInput("A label needs a name. Type yours at the top of the tab.")
    if verdict not in VERDICTS:
        raise InvalidInput(f'"{verdict}" is no verdict. Choose one of: {", ".join(VERDICTS)}.')
    if max(len(gold), len(question)) > LONGEST:
        raise InvalidInput("A corrected question or answer may have 10,000 characters. Shorten it and save again.")
    state = _state_of(store, version, example_id)
    if state not in ("kept", "rejected"):
        raise NotFound(f"Row {example_id} is not in {version.title}. Reload the page.")
    if state == "rejected" and verdict not in ("right", "unclear"):
        raise InvalidInput(
            "This row is rejected already. Accept it, or correct it and save, to have it in the next version."
        )
    label = Label(0, version.id, example_id, rater.strip()[:80], verdict, now, gold.strip(), question.strip())  # type: ignore[arg-type]
    return store.add_label(label)


def edit_row(
    store: Store, version: DatasetVersion, example_id: str, *, rater: str, question: str, answer: str, now: str
) -> Label:
    """
    Save a row as it should be: what stays the same is not written again, and nothing changed means that the row is right.

    Raises InvalidInput for an empty question or answer, and what `label_row` raises.
    """
    before = store.row(version.id, example_id).example
    if not answer.strip() or (before.question and not question.strip()):
        raise InvalidInput("A row needs a question and an answer. To take it out, reject it.")
    return label_row(
        store,
        version,
        example_id,
        rater=rater,
        verdict="right",
        gold="" if answer.strip() == before.answer else answer,
        question="" if question.strip() == before.question or not before.question else question,
        now=now,
    )


def take_back(store: Store, label: Label, *, now: str) -> Label:
    """
    Undo the rater's newest judgement of a row by a newer one: the one before it again, or "unclear" where there was none.

    Nothing is deleted: what people said is append-only.
    """
    before = [old for old in store.label_history(label.dataset_id, label.example_id, label.rater) if old.id < label.id]
    version = store.dataset_by_id(label.dataset_id)
    verdict, gold, question = (
        (before[-1].verdict, before[-1].gold, before[-1].question) if before else ("unclear", "", "")
    )
    return label_row(
        store,
        version,
        label.example_id,
        rater=label.rater,
        verdict=verdict,
        gold=gold,
        question=question,
        now=now,
    )


def _state_of(store: Store, version: DatasetVersion, example_id: str) -> str:
    """ "" for a row that is not there."""
    try:
        return store.row(version.id, example_id).state
    except NotFound:
        return ""

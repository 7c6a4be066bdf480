"""One answer beside what was expected, whatever kind of answer the task wants: right or not, how nearly, and in which part."""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.records import REFUSAL, Question
from engine.tasks import AnswerKind
from evals.metrics import is_refusal, is_right, token_f1

HITS = 5
OTHER = "(something else)"


@dataclass(frozen=True)
class Grade:
    """`score` is how nearly it was right, 0 to 1, or None where the row holds no gold answer to measure against."""

    right: bool
    score: float | None = None
    refused: bool = False
    label: str = ""  # what a label task's answer comes to
    form: "Form | None" = None  # of a JSON answer
    rank: int = 0  # of the first wanted entry in a ranking; 0: not among those named


@dataclass(frozen=True)
class Form:
    """A JSON answer, field by field; an answer that is no JSON object has every field wrong."""

    valid: bool
    fields: Mapping[str, bool] = field(default_factory=dict)
    sets: Mapping[str, float] = field(default_factory=dict)  # F1 of each field that is a list
    entities: tuple[int, int, int] = (0, 0, 0)  # found, made up, missed: over the lists of objects
    decided: bool | None = None  # what the decision field says; None where it says nothing readable


def gold_of(question: Question) -> str:
    """The answer that was wanted, in words; "" where the row names none."""
    if question.kind == "unanswerable":
        return REFUSAL
    return str(question.extra.get("gold") or question.extra.get("answer") or "")


def grade(answer: str, question: Question, kind: AnswerKind, *, decision: str = "") -> Grade:
    """
    Free text by the row's patterns; a label, JSON or a ranking by the row's "expected".

    `decision`: the field of a JSON answer that approves (true) or rejects (false).
    """
    expected = question.extra.get("expected")
    if kind == "free_text" or expected is None:
        gold = gold_of(question)
        score = token_f1(answer, gold) if gold else None
        return Grade(is_right(answer, question), score, is_refusal(answer))
    if kind == "label":
        label = as_label(answer)
        right = label == as_label(str(expected))
        return Grade(right, float(right), label=label)
    if kind == "ranking":
        rank = _rank(ranked(answer), [expected] if isinstance(expected, str) else list(expected))
        return Grade(rank == 1, 1 / rank if rank else 0.0, rank=rank)
    form = _form(answer, expected, decision)
    fields = [*form.fields.values()]
    return Grade(form.valid and all(fields), sum(fields) / len(fields) if fields else 0.0, form=form)


def exact_match(answer: str, gold: str) -> bool:
    """The same words in the same order; case, punctuation and spaces aside. Source: SQuAD 1.1's script, articles kept."""
    return _plain(answer) == _plain(gold)


def as_label(answer: str) -> str:
    """The first line without quotes, emphasis, "Label:" and a full stop, in small letters; {"label": …} counts as its value."""
    value = _json(answer)
    if isinstance(value, dict) and len(value) == 1:
        answer = str(next(iter(value.values())))
    lines = answer.strip().splitlines()
    line = lines[0] if lines else ""
    return re.sub(r"^(?:label|answer)\s*:\s*", "", line.strip(" \t*_`\"'.").casefold()).strip(" \"'")


def ranked(answer: str) -> list[str]:
    """The entries of a ranking, best first: a JSON list, or one a line or between commas, numbers and bullets dropped."""
    value = _json(answer)
    if isinstance(value, dict) and len(value) == 1:
        value = next(iter(value.values()))
    entries = value if isinstance(value, list) else re.split(r"[\n,;]", answer)
    named = [re.sub(r"^\s*(?:[-*•]|\d+[.)])\s*", "", str(entry)).strip(" \"'").casefold() for entry in entries]
    return list(dict.fromkeys(entry for entry in named if entry))


def set_f1(got: Sequence[Any], wanted: Sequence[Any]) -> float:
    """Harmonic mean of precision and recall of two lists taken as sets. Two empty lists score 1, one empty list 0."""
    first, second = {_key(entry) for entry in got}, {_key(entry) for entry in wanted}
    if not first or not second:
        return float(first == second)
    return 2 * len(first & second) / (len(first) + len(second))


def _form(answer: str, expected: Mapping[str, Any], decision: str) -> Form:
    found = _json(answer)
    valid = isinstance(found, dict) and set(found) == set(expected)
    got: Mapping[str, Any] = found if isinstance(found, dict) else {}
    lists = {name: wanted for name, wanted in expected.items() if isinstance(wanted, list)}
    said = {name: got[name] if isinstance(got.get(name), list) else [] for name in lists}
    decided = got.get(decision)
    return Form(
        valid=valid,
        fields={name: name in got and _same(got[name], wanted) for name, wanted in expected.items()},
        sets={name: set_f1(said[name], wanted) if name in got else 0.0 for name, wanted in lists.items()},
        entities=_entities(said, lists),
        decided=decided if isinstance(decided, bool) else None,
    )


def _entities(said: Mapping[str, Sequence[Any]], lists: Mapping[str, Sequence[Any]]) -> tuple[int, int, int]:
    """Over the lists whose entries are objects; an entity named twice is made up the second time."""
    found = made_up = missed = 0
    for name, wanted in lists.items():
        if any(isinstance(entry, dict) for entry in [*wanted, *said[name]]):
            got, gold = Counter(map(_key, said[name])), Counter(map(_key, wanted))
            hits = (got & gold).total()
            found, made_up, missed = found + hits, made_up + got.total() - hits, missed + gold.total() - hits
    return found, made_up, missed


def _same(got: Any, wanted: Any) -> bool:
    if isinstance(wanted, list):
        return isinstance(got, list) and Counter(map(_key, got)) == Counter(map(_key, wanted))
    return bool(_key(got) == _key(wanted))


def _key(value: Any) -> str:
    """One spelling for what means the same: order of keys, case, spaces, 3 and 3.0; but true is not 1 and "3" is not 3."""
    if isinstance(value, str):
        return json.dumps(" ".join(value.split()).casefold())
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, Mapping):
        return json.dumps({str(name): _key(inner) for name, inner in value.items()}, sort_keys=True)
    if isinstance(value, list):
        return json.dumps([_key(inner) for inner in value])
    return json.dumps(value)


def _rank(named: Sequence[str], wanted: Sequence[Any]) -> int:
    of_interest = {str(entry).strip().casefold() for entry in wanted}
    return next((place for place, entry in enumerate(named, start=1) if entry in of_interest), 0)


def _json(answer: str) -> Any:
    """What the whole answer is as JSON; None where it is none, a fence of backticks or a word beside it included."""
    try:
        return json.loads(answer)
    except (ValueError, RecursionError):
        return None


def _plain(text: str) -> list[str]:
    return re.findall(r"[\w$€£%]+", text.casefold())

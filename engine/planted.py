"""Errors planted by code into rows that are known to be right: what a judge must find before anyone believes it.

Each kind is a way in which a generated answer goes wrong in practice, and each planted row is wrong by construction: the changed
number, unit or role stands nowhere in the source that the judge is shown.
"""

import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from engine.facts import DATE, NUMBER_WORDS, find_values
from engine.lexicon import ROLE_WORDS
from engine.records import REFUSAL, Example, Fact, Passage
from engine.unanswerable import content_words, stem, stems_of

PLANTED = 100

UNITS = (
    ("working days", "calendar days"), ("calendar days", "working days"), ("days", "weeks"), ("day", "week"), ("weeks", "months"),
    ("week", "month"), ("months", "years"), ("month", "year"), ("years", "months"), ("year", "month"), ("hours", "days"),
    ("hour", "day"), ("minutes", "hours"), ("EUR", "USD"), ("USD", "EUR"), ("GBP", "EUR"), ("€", "$"), ("£", "$"), ("$", "€"),
    ("percent", "days"), ("per cent", "days"), ("%", " days"), ("kilometres", "miles"), ("kilometers", "miles"), ("miles", "kilometres"),
)  # fmt: skip
POLARITY = (
    ("must not", "must"), ("may not", "may"), ("shall not", "shall"), ("should not", "should"), ("will not", "will"),
    ("cannot", "can"), ("is not", "is"), ("are not", "are"), ("does not", "does"), ("do not", "do"), ("must", "need not"),
    ("may", "may not"), ("shall", "shall not"), ("should", "should not"), ("will", "will not"), ("can", "cannot"),
    ("is", "is not"), ("are", "are not"),
)  # fmt: skip
CONDITION = re.compile(
    r"(?:^|,?\s)(?:if|unless|provided that|except|only (?:if|when|where|after|by|with)|until|as long as|subject to|"
    r"with the (?:approval|consent) of)\s[^,.;:]+,?",
    re.IGNORECASE,
)
ROLE = re.compile(
    rf"\b(?:[A-Z][a-z]+ )*(?:{'|'.join(sorted(ROLE_WORDS, key=len, reverse=True))})\b(?: of [A-Z][a-z]+)?",
    re.IGNORECASE,
)
OTHER_ROLES = ("Head of Security", "Works Council", "Chief Archivist", "Audit Committee", "Regional Ombudsman")
INVENTED = (
    "The same applies to members of the family.",
    "A written confirmation is sent within 48 hours.",
    "Exceptions are decided by the works council.",
    "This was agreed with the trade union in 2019.",
    "A fee of 15 euros is charged for each case.",
    "The form is kept at the reception desk.",
    "Weekends and nights are counted twice.",
    "Managers receive half as much again.",
    "It ends automatically after seven years.",
    "An interpreter is provided on request.",
    "The regional court has confirmed this.",
    "Retired colleagues are treated alike.",
)


@dataclass(frozen=True)
class Case:
    """A row as a judge sees it: the sources beside question and answer. `error` is the planted kind, "" for a good row."""

    id: str
    sources: tuple[Passage, ...]
    question: str
    answer: str
    error: str = ""


@dataclass(frozen=True)
class Corpus:
    """What errors are made of."""

    facts: Sequence[Fact]
    roles: tuple[str, ...]


Sources = Callable[[Example], tuple[Passage, ...]]
"""The passage a row was made from; for a refusal, the passages that come nearest to its question."""
Maker = Callable[[Example, str, Corpus, random.Random], str]
"""(row, its sources' text, …) -> the wrong answer, or "" where this kind of error cannot be made of this row."""


def plant_errors(
    examples: Sequence[Example],
    facts: Sequence[Fact],
    sources: Sources,
    rng: random.Random,
    *,
    count: int = PLANTED,
) -> list[Case]:
    """
    `count` wrong rows in equal parts of each kind, as far as the rows allow; fewer when a small policy gives no more.

    `examples` are kept rows. A row may carry several kinds of error, each once; kinds that fall short are made up by the others.
    """
    found = sorted({match.group() for fact in facts for match in ROLE.finditer(fact.evidence) if " " in match.group()})
    corpus = Corpus(facts, (*found, *OTHER_ROLES))
    makers = [_planted(kind, examples, sources, corpus, rng) for kind in KINDS]
    cases: list[Case] = []
    while makers and len(cases) < count:
        for maker in list(makers):
            case = next(maker, None)
            if case is None:
                makers.remove(maker)
            elif len(cases) < count:
                cases.append(case)
    return cases


def _planted(
    kind: str, examples: Sequence[Example], sources: Sources, corpus: Corpus, rng: random.Random
) -> Iterator[Case]:
    wanted = "unanswerable" if kind == ABSENT else "answerable"
    rows = [example for example in examples if example.kind == wanted]
    rng.shuffle(rows)
    for example in rows:
        shown = sources(example)
        text = " ".join(f"{passage.lead_in} {passage.text}" for passage in shown)
        wrong = KINDS[kind](example, text, corpus, rng) if shown else ""
        if wrong and wrong != example.answer:
            yield Case(f"{kind}/{example.id}", shown, example.question, wrong, kind)


def _number(example: Example, text: str, corpus: Corpus, rng: random.Random) -> str:
    for value in find_values(example.answer):
        number = re.search(rf"\d+|\b(?:{NUMBER_WORDS})\b", value[0], re.IGNORECASE)
        if not number:
            continue
        if number[0].isdigit():
            size = int(number[0])
            others = [str(n) for n in (size + 1, size + 2, size * 2, size * 3, size // 2, size - 1, size - 2) if n > 0]
            if DATE.fullmatch(value[0]) and size <= 31:
                others = [str(n) for n in range(2, 28)]
        else:
            others = NUMBER_WORDS.split("|")[2:12]
        fresh = [other for other in others if not re.search(rf"\b{other}\b", text, re.IGNORECASE)]
        if fresh:
            start = value.start() + number.start()
            return example.answer[:start] + rng.choice(fresh) + example.answer[start + len(number[0]) :]
    return ""


def _unit(example: Example, text: str, corpus: Corpus, rng: random.Random) -> str:
    for value in find_values(example.answer):
        for unit, other in UNITS:
            changed = re.sub(rf"(?<![a-z]){re.escape(unit)}(?![a-z])", other, value[0], count=1)
            if changed != value[0] and changed.lower() not in text.lower():
                return example.answer[: value.start()] + changed + example.answer[value.end() :]
    return ""


def _polarity(example: Example, text: str, corpus: Corpus, rng: random.Random) -> str:
    opening = re.match(r"(Yes|No)\. ", example.answer)
    if opening:
        return f"{'No' if opening[1] == 'Yes' else 'Yes'}. {example.answer[opening.end() :]}"
    for said, opposite in POLARITY:
        changed = re.sub(rf"\b{said}\b", opposite, example.answer, count=1)
        if changed != example.answer:
            return changed
    return ""


def _role(example: Example, text: str, corpus: Corpus, rng: random.Random) -> str:
    for match in ROLE.finditer(example.answer):
        others = [role for role in corpus.roles if role.lower() not in text.lower()]
        if " " in match[0] and others:
            return example.answer[: match.start()] + rng.choice(others) + example.answer[match.end() :]
    return ""


def _condition(example: Example, text: str, corpus: Corpus, rng: random.Random) -> str:
    asked = stems_of(example.question)
    for match in CONDITION.finditer(example.answer):
        words = {stem(word) for word in content_words(match[0])}
        rest = f"{example.answer[: match.start()]} {example.answer[match.end() :]}".strip()
        rest = re.sub(r"\s+([.,;])", r"\1", " ".join(rest.split()))
        if len(match[0].split()) >= 3 and len(rest.split()) >= 5 and words and not words <= asked:
            return rest[0].upper() + rest[1:]
    return ""


def _elsewhere(example: Example, text: str, corpus: Corpus, rng: random.Random) -> str:
    """A sentence of another clause that shares no topic with the question."""
    asked = stems_of(example.question)
    for fact in rng.sample(list(corpus.facts), min(20, len(corpus.facts))):
        foreign = fact.passage_id != example.passage_id and fact.evidence not in text
        if foreign and len(asked & stems_of(fact.statement)) <= 1:
            return fact.statement
    return ""


def _invented(example: Example, text: str, corpus: Corpus, rng: random.Random) -> str:
    said = stems_of(text)
    fresh = [sentence for sentence in INVENTED if not stems_of(sentence) <= said]
    return f"{example.answer} {rng.choice(fresh)}" if fresh else ""


def _refused(example: Example, text: str, corpus: Corpus, rng: random.Random) -> str:
    return REFUSAL


def _answered(example: Example, text: str, corpus: Corpus, rng: random.Random) -> str:
    """What the nearest passage says, although it is not what was asked."""
    near = [fact for fact in corpus.facts if fact.evidence in text]
    return rng.choice(near).statement if near else ""


ABSENT = "answered although absent"
KINDS: Mapping[str, Maker] = {
    "number changed": _number,
    "unit changed": _unit,
    "polarity flipped": _polarity,
    "role swapped": _role,
    "condition dropped": _condition,
    "sentence of another clause": _elsewhere,
    "invented addition": _invented,
    "refused although answered": _refused,
    ABSENT: _answered,
}

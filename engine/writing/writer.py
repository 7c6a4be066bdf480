"""Questions in people's words: the embedded model writes them, and again the embedded model reads whether the text answers them.

Rules ask what a sentence's grammar offers, in the sentence's own words. The writer was tuned on questions that people would ask
who have not read the policy; so its questions are short, chatty, misspelt, in other words. It is small and often wrong: a question
is kept only when the reader, asked it over the same text, finds the words (or the yes or no) that it was written for, and a
question without an answer only when the reader finds none in the closest texts either.
"""

import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from engine.backends.llama_cpp import SLOTS
from engine.calls import Caller, Prompt
from engine.facts import DEFINITION, find_values
from engine.lexicon import ROLE_WORDS
from engine.phrasing import topic_of
from engine.quality import gist
from engine.records import Decoding, Fact
from engine.unanswerable import content_words, stem, stems_of
from engine.writing.corpus import VOICES
from engine.writing.prompts import NONE, reader_messages, text_of, writer_messages

Job = TypeVar("Job")
QUESTIONS_PER_FACT = 7
NEAR_MISSES_PER_FACT = 2
FACTS_AT_ONCE = 16
"""All their questions are written, then all are read."""
LONGEST_QUESTION, LONGEST_READING = 64, 40  # tokens
CLOSE_TEXTS = 2
"""Other texts, the closest, that must not answer a question that is to have no answer."""
NEAR_MISS = "near_miss"
_SIGNS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("condition", re.compile(r"\b(?:if|when|unless|until|after|before|once|provided|except|only|where|while)\b", re.I)),
    ("reason", re.compile(r"\b(?:because|so that|in order to|to ensure|due to|since|to avoid|to protect)\b", re.I)),
    ("who", re.compile(r"\b(?:" + "|".join(sorted(ROLE_WORDS)) + r"|committee|board|team|office|department|desk)\b", re.I)),
    ("where", re.compile(r"\b(?:at the|office|site|stored|website|portal|folder|online|form|system|e-?mail|in the)\b", re.I)),
    ("procedure", re.compile(r"\b(?:must|should|submit|send|request|apply|contact|complete|report|by|using|via|through)\b", re.I)),
    ("definition", DEFINITION),
)  # fmt: skip


@dataclass(frozen=True)
class Aim:
    """What one question is to ask of a fact: the arguments of `writer_messages`."""

    kind: str
    span: str  # NONE for a near miss, "yes", "no", words of the statement, or "" for whatever the kind finds
    voice: str


@dataclass(frozen=True)
class Written:
    """A question that passed the reader."""

    fact: Fact
    aim: Aim
    question: str

    @property
    def answered(self) -> bool:
        """Whether the fact's statement answers it; else nothing does."""
        return self.aim.kind != NEAR_MISS

    @property
    def opening(self) -> str:
        """What its answer begins with, before the statement."""
        return f"{self.aim.span.capitalize()}. " if self.aim.span in ("yes", "no") else ""


@dataclass
class QuestionWriter:
    """The two small models, each behind a Caller: what was written once is kept, and is the same when it is asked again."""

    writer: Caller
    reader: Caller
    seed: int = 0
    questions: int = QUESTIONS_PER_FACT
    near_misses: int = NEAR_MISSES_PER_FACT

    def provenance(self) -> Mapping[str, Any]:
        """For a version's recipe."""
        return {"writer": {"writer": self.writer.digest, "reader": self.reader.digest, "questions": self.questions}}

    def write(self, facts: Sequence[Fact]) -> Iterator[tuple[Fact, list[Written]]]:
        """
        Each fact with its questions, in the facts' order; a fact that nothing usable was written for has none.

        Raises Cancelled when a Caller is told to stop, Unavailable when the engine fails.
        """
        texts = [self._text(fact) for fact in facts]
        stems = [stems_of(text) for text in texts]
        for start in range(0, len(facts), FACTS_AT_ONCE):
            some = facts[start : start + FACTS_AT_ONCE]
            jobs = _in_turn([(fact, aim) for aim in self.aims(fact)] for fact in some)
            answers = self.writer.ask_all(self._writing(fact, aim) for fact, aim in jobs)
            drafts: dict[tuple[str, frozenset[str]], Written] = {}
            for (fact, aim), answer in zip(jobs, answers, strict=True):
                question = " ".join(answer.text.split())
                if not answer.error and worth_reading(question, fact, aim):
                    drafts.setdefault((fact.id, gist(question)), Written(fact, aim, question))
            kept = self._read(list(drafts.values()), texts, stems)
            for fact in some:
                yield fact, [written for written in kept if written.fact.id == fact.id]

    def prompts(self, facts: Sequence[Fact]) -> Iterator[Prompt]:
        """All that the writer is asked for these facts; the reader is asked once or more for each draft."""
        return (self._writing(fact, aim) for fact in facts for aim in self.aims(fact))

    def aims(self, fact: Fact) -> list[Aim]:
        """What to ask of a fact, always the same: its kinds in turn, each in voices of its own."""
        rng = random.Random(f"{self.seed}/{fact.id}")
        kinds = askable(fact)
        aims: list[Aim] = []
        for turn in range(self.questions):
            kind, span = kinds[turn % len(kinds)]
            used = {aim.voice for aim in aims if (aim.kind, aim.span) == (kind, span)}
            aims.append(Aim(kind, span, rng.choice([v for v in VOICES if v not in used] or list(VOICES))))
        return aims + [Aim(NEAR_MISS, NONE, voice) for voice in rng.sample(VOICES, min(self.near_misses, len(VOICES)))]

    def _read(self, drafts: Sequence[Written], texts: Sequence[str], stems: Sequence[frozenset[str]]) -> list[Written]:
        by_text: dict[str, list[tuple[Written, str]]] = {}
        for draft in drafts:
            for text in self._sources(draft, texts, stems):
                by_text.setdefault(text, []).append((draft, text))
        asked = _in_turn(by_text.values())
        prompts = (_prompt(reader_messages(text, draft.question), LONGEST_READING) for draft, text in asked)
        refuted = {
            id(draft)
            for (draft, _), answer in zip(asked, self.reader.ask_all(prompts), strict=True)
            if answer.error or not agrees(draft, answer.text)
        }
        return [draft for draft in drafts if id(draft) not in refuted]

    def _sources(self, draft: Written, texts: Sequence[str], stems: Sequence[frozenset[str]]) -> list[str]:
        own = self._text(draft.fact)
        if draft.answered:
            return [own]
        wanted = stems_of(draft.question)
        closest = sorted(range(len(texts)), key=lambda n: (-len(wanted & stems[n]), n))[: CLOSE_TEXTS + 1]
        return list(dict.fromkeys([own, *(texts[n] for n in closest)]))[: CLOSE_TEXTS + 1]

    def _text(self, fact: Fact) -> str:
        return text_of(topic_of(fact.clause), fact.statement)

    def _writing(self, fact: Fact, aim: Aim) -> Prompt:
        messages = writer_messages(self._text(fact), kind=aim.kind, span=aim.span, voice=aim.voice)
        return _prompt(messages, LONGEST_QUESTION)


def _in_turn(groups: Iterable[Sequence[Job]]) -> list[Job]:
    """
    What is asked over one text, spread so that each of the engine's slots stays with its text and reads it from its cache.

    As many texts at a time as there are slots; asked one text after the other, each slot would read every text anew.
    """
    found: list[Job] = []
    left = list(groups)
    for start in range(0, len(left), SLOTS):
        some = left[start : start + SLOTS]
        found += [group[turn] for turn in range(max(map(len, some))) for group in some if turn < len(group)]
    return found


def askable(fact: Fact) -> list[tuple[str, str]]:
    """(kind, span) of what a statement has something to say to; yes and no always."""
    found: list[tuple[str, str]] = []
    for value in find_values(fact.statement):
        found.append(("date" if _is_date(value[0]) else "number", value[0]))
    if fact.kind == "list" or "\n" in fact.evidence:
        found.append(("list", ""))
    found += [(kind, "") for kind, pattern in _SIGNS if pattern.search(fact.statement)]
    return [*found, ("yes_no", "yes"), ("yes_no", "no")]


def worth_reading(question: str, fact: Fact, aim: Aim) -> bool:
    """Whether a draft is a question at all, about its own text, and does not hold the answer it was to ask for."""
    words = question.split()
    if not 2 <= len(words) <= 60 or re.search(r"[<>{}|]", question):
        return False
    if re.search(r"\b(\w+ \w+ \w+)\b.*\b\1\b.*\b\1\b", question.lower()):
        return False  # it goes in circles
    said = {stem(word) for word in content_words(f"{fact.clause} {fact.statement}")}
    if not said & {stem(word) for word in content_words(question)}:
        return False
    numbers = set(re.findall(r"\d+", question))
    if aim.kind not in ("yes_no", NEAR_MISS) and aim.span and aim.span.lower() in question.lower():
        return False
    return aim.kind == "yes_no" or numbers <= set(re.findall(r"\d+", f"{fact.clause} {fact.statement}"))


def agrees(draft: Written, read: str) -> bool:
    """Whether the reader found what the question was written for."""
    said = " ".join(read.split()).strip(" .").lower()
    if not draft.answered:
        return said == NONE
    if said == NONE or not said:
        return False
    polarity, _, words = said.partition(": ")
    if draft.aim.kind == "yes_no":
        return polarity == draft.aim.span
    if polarity in ("yes", "no") and words:
        return False
    if not draft.aim.span:
        return True
    found, wanted = set(re.findall(r"\w+", said)), set(re.findall(r"\w+", draft.aim.span.lower()))
    return len(found & wanted) >= 0.5 * len(wanted)


def near_misses(written: Sequence[Written]) -> list[tuple[str, str]]:
    """(group, question) of those without an answer; the near misses of one fact stand on one side of a split."""
    return [(f"{one.fact.id}/{NEAR_MISS}", one.question) for one in written if not one.answered]


def _is_date(value: str) -> bool:
    return not re.search(r"day|week|month|hour|year|minute|[$€£%]|percent|EUR|USD|GBP", value, re.I) and bool(
        re.search(r"[A-Z][a-z]+|:\d\d|[ap]\.?m", value)
    )


def _prompt(messages: Sequence[Mapping[str, str]], tokens: int) -> Prompt:
    return Prompt(tuple(messages), None, Decoding(max_tokens=tokens, temperature=0.0, repeat_penalty=1.0))

"""What is to be said of a whole file: labels spelt in several ways, other system prompts, roles that look swapped."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from engine.exchange.shapes import Pair

LABEL_WORDS = 3
SHORT_WORDS = 8
MOST_LABELS = 20
ROWS_PER_LABEL = 3
FIRST_PERSON = re.compile(r"\b(?:I|I'm|I've|I'd|me|my|mine)\b", re.IGNORECASE)
HOUSE = re.compile(r"\b(?:your?|yours|we|we're|we'll|our|us)\b", re.IGNORECASE)


@dataclass
class Wording:
    """Counts over every pair of an import."""

    answers: Counter[str] = field(default_factory=Counter)
    systems: Counter[str] = field(default_factory=Counter)
    house: int = 0  # how often a "user" speaks as the house
    first_house: tuple[str, int] = ("", 0)  # where first: (question, line)
    asked: int = 0

    def saw(self, pair: Pair, line: int) -> None:
        """One more readable record."""
        if pair.statement:
            return
        self.asked += 1
        if len(pair.answer.split()) <= SHORT_WORDS:
            self.answers[pair.answer] += 1
        if pair.system:
            self.systems[pair.system] += 1
        if HOUSE.search(pair.question) and not FIRST_PERSON.search(pair.question):
            self.first_house = self.first_house if self.house else (pair.question, line)
            self.house += 1

    def labels(self, refusal: str) -> bool:
        """Whether the answers are labels: a few short ones, again and again."""
        short = Counter[str]()
        for answer, times in self.answers.items():
            if loose(answer) != loose(refusal) and len(answer.split()) <= LABEL_WORDS:
                short[loose(answer)] += times
        others = self.asked - sum(times for answer, times in self.answers.items() if loose(answer) == loose(refusal))
        return 1 < len(short) <= MOST_LABELS and short.total() == others >= ROWS_PER_LABEL * len(short)

    def spellings(self, refusal: str) -> dict[str, str]:
        """Spelling -> the one to use: the refusal's own, else the most frequent; only where they differ."""
        groups: dict[str, list[str]] = {}
        for answer in self.answers:
            groups.setdefault(loose(answer), []).append(answer)
        found: dict[str, str] = {}
        for group in groups.values():
            if refusal and loose(group[0]) == loose(refusal):
                found |= {answer: refusal for answer in group if answer != refusal}
            elif len(group) > 1:
                best = max(group, key=lambda answer: (self.answers[answer], self._prompted(answer)))
                found |= {answer: best for answer in group if answer != best}
        return found

    def sentences(self, *, system: str, refusal: str, normalised: bool) -> list[str]:
        """What a person should know of the file before training on it."""
        return [
            *self._about_spellings(self.spellings(refusal), normalised),
            *(self._about_prompted_labels() if self.labels(refusal) else ()),
            *self._about_systems(system),
            *(self._about_roles() if self.labels(refusal) else ()),
        ]

    def _about_spellings(self, chosen: Mapping[str, str], normalised: bool) -> Iterable[str]:
        for best in dict.fromkeys(chosen.values()):
            group = sorted((a for a, b in chosen.items() if b == best), key=lambda a: (-self.answers[a], a))
            counted = ", ".join(
                f'"{answer}" {self.answers[answer]} times' for answer in (*group, best) if self.answers[answer]
            )
            done = "all are now written so" if normalised else "--normalise-labels writes all of them so"
            which = "the most frequent" if self.answers[best] >= max(self.answers[a] for a in group) else "the refusal"
            yield f'One answer is spelt in several ways: {counted}; {which} is "{best}", and {done}.'

    def _prompted(self, answer: str) -> bool:
        return any(re.search(rf"\b{re.escape(answer)}\b", system) for system in self.systems)

    def _about_prompted_labels(self) -> Iterable[str]:
        """A label that the file's own system prompt spells otherwise."""
        for answer, times in sorted(self.answers.items()):
            for system in self.systems:
                named = re.search(rf"\b{re.escape(answer)}\b", system, re.IGNORECASE)
                if named and not self._prompted(answer):
                    yield (
                        f'The label "{answer}" ({times} times) stands in the system prompt as "{named[0]}". '
                        "Spell it one way in both, or the model learns both."
                    )
                    break

    def _about_systems(self, system: str) -> Iterable[str]:
        others = Counter({found: times for found, times in self.systems.items() if found != system})
        for found, times in others.most_common(3):
            yield (
                f"The system prompt \"{_short(found)}\" ({times} rows) is not this task's. The rows are trained under the task's "
                "own; choose the task that fits with --task."
            )
        if len(others) > 3:
            yield f"{len(others) - 3} more system prompts differ from the task's."

    def _about_roles(self) -> Iterable[str]:
        if self.house and self.house * 3 >= self.asked:
            question, line = self.first_house
            yield (
                f'{self.house} of {self.asked} user turns speak to "you" or as "we" and never as "I" (first: "{_short(question)}", '
                f"line {line}). They read like the organisation's side: were the roles swapped when the file was made?"
            )


def loose(answer: str) -> str:
    """What two spellings of one label share: case, outer spaces and final marks aside."""
    return " ".join(answer.casefold().split()).strip(" .!?\"'") or answer


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 90 else f"{text[:90]}…"

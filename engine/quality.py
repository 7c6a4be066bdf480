"""Gates: a proposed example is kept, or it is not, and then there is a reason a person understands."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from math import ceil

from engine.facts import find_values
from engine.lexicon import GREETINGS
from engine.records import REFUSAL, Example, Fact, Passage
from engine.styles import TOPIC_FORMS
from engine.unanswerable import answered_somewhere, content_words, stem, stems_of

LONGEST_WORDS = 110
"""A row of more words than this would crowd out the others of its batch; the base model itself reads 8,192 tokens."""
AMBIGUOUS_FROM = 4
"""A question that this many facts could answer teaches none of them."""
TOO_CLOSE = 0.7
"""Jaccard index of two questions' words from which the one gives the other away."""
NEARLY_THE_SAME = 0.9
"""Jaccard index of two questions' words, their greetings aside, from which the second teaches nothing beside the first."""
RULES = {
    "longest_words": LONGEST_WORDS,
    "ambiguous_from": AMBIGUOUS_FROM,
    "held_out_apart": TOO_CLOSE,
    "near_duplicate": NEARLY_THE_SAME,
}
"""What the gates go by, as a version's recipe names it."""
_GREETED = re.compile(r"^(?:" + "|".join(greeting.strip(" ,:") for greeting in GREETINGS) + r")[,:]?\s", re.IGNORECASE)
_OF_THE_FORM = frozenset(stem(word) for form in (*TOPIC_FORMS, "regarding") for word in content_words(form))
"""What stands in every question for a topic, and tells nothing of which."""
VALUE_FORMS = ("how_many", "when", "how_soon", "how_long", "how_often")


class Gates:
    """The gates of one dataset version. They remember what they let through, so each version has its own."""

    def __init__(self, passages: Iterable[Passage], facts: Sequence[Fact]) -> None:
        """`passages`: the whole corpus, against which evidence and absence are checked."""
        self._passages: Mapping[str, Passage] = {passage.id: passage for passage in passages}
        self._placed = {(p.document_id, p.position): p for p in self._passages.values()}
        self._texts = [
            stems_of(f"{p.clause} {p.lead_in} {p.text}") for p in self._passages.values() if find_values(p.text)
        ]
        self._facts_with: dict[str, set[str]] = defaultdict(set)
        for fact in facts:
            for word in content_words(f"{fact.clause} {fact.statement}"):
                self._facts_with[stem(word)].add(fact.id)
        self._repeats = Repeats()

    def reason_against(self, example: Example) -> str:
        """ "" when the example is kept; else one reason, the first that applies."""
        reason = malformed(example) or (
            self._unfaithful(example) if example.kind != "unanswerable" else self._answerable_after_all(example)
        )
        if not reason and example.kind == "answerable":
            reason = self._unclear(example)
        return reason or self._repeats.reason_against(example)

    def remember(self, example: Example) -> None:
        """Take in a row that is kept whatever the gates say, so that later rows are checked against it."""
        self._repeats.reason_against(example)

    def _unfaithful(self, example: Example) -> str:
        passage = self._passages.get(example.passage_id)
        if passage is None or not example.evidence or not self._stands(example.evidence, passage):
            return "evidence is not verbatim in the passage"
        answer = plain(example.answer)
        if any(plain(line) not in answer for line in example.evidence.splitlines()):
            return "the answer does not hold its evidence"
        return ""

    def _stands(self, evidence: str, passage: Passage) -> bool:
        """Whether a passage holds the words; those of a whole list, a line each, go on through the passages after it."""
        first, *others = evidence.split("\n")
        following = (self._placed.get((passage.document_id, passage.position + n)) for n in range(1, len(others) + 1))
        return first in passage.text and [p.text for p in following if p] == others

    def _unclear(self, example: Example) -> str:
        asked = [stem(word) for word in content_words(example.question)]
        known = [
            self._facts_with[word]
            for word in asked
            if word in self._facts_with and not (word in _OF_THE_FORM and example.form in ("topic", "action"))
        ]
        if not known:
            return "question is not self-contained: nothing in it is of the policy"
        could_answer = set.intersection(*known)
        if len(could_answer) >= AMBIGUOUS_FROM and example.form != "whole_list":  # its items share its words
            return f"question is not self-contained: {AMBIGUOUS_FROM} or more facts could answer it"
        values = find_values(example.answer)
        if (
            example.form.split(".")[0] in VALUE_FORMS
            and values
            and all(v[0].lower() in example.question.lower() for v in values)
        ):
            return "answer leaks into the question"
        return ""

    def _answerable_after_all(self, example: Example) -> str:
        if example.answer != REFUSAL:
            return "malformed: an unanswerable row must hold the refusal, word for word"
        if answered_somewhere(example.question, self._texts):
            return "a passage may answer it after all"
        return ""


class Repeats:
    """
    What was let through so far: one question is kept once, and with one answer.

    Near-duplicates are looked for among the questions with the same answer, by the prefix filter of `HeldOut` with the longest
    words for the rarest, as the later questions are not known yet. Exact, where MinHash would estimate.
    """

    def __init__(self) -> None:
        self._answers: dict[tuple[bool, str], str] = {}
        self._spelt: set[tuple[bool, str]] = set()
        self._asked: dict[tuple[str, str], list[frozenset[str]]] = defaultdict(
            list
        )  # (answer, a long word) -> questions

    def reason_against(self, example: Example, *, spellings: bool = False) -> str:
        """ "" for something new, which is remembered. With `spellings`, another spelling of a kept question is new too."""
        bare = example.kind == "statement"
        text = example.answer if bare else example.question
        before = self._answers.get((bare, plain(text)))
        if before is not None and before != example.answer and not bare:
            return "contradiction: the same question is answered otherwise in a kept row"
        if before is not None and not (spellings and (bare, text) not in self._spelt):
            return "near-duplicate: the same question with the same answer"
        if not bare and not spellings and self._asked_nearly(example):
            return "near-duplicate: nearly the same question with the same answer"
        self._answers[bare, plain(text)] = example.answer
        self._spelt.add((bare, text))
        return ""

    def _asked_nearly(self, example: Example) -> bool:
        """Whether such a question was let through; if not, it is remembered."""
        words = gist(example.question)
        longest_first = sorted(words, key=lambda word: (-len(word), word))
        places = [(example.answer, word) for word in longest_first[: _prefix(len(words), NEARLY_THE_SAME)]]
        if any(_jaccard(words, other) >= NEARLY_THE_SAME for place in places for other in self._asked[place]):
            return True
        for place in places:
            self._asked[place].append(words)
        return False


def malformed(example: Example, *, fewest_words: int = 2) -> str:
    """What is wrong with a row by itself, or "". `fewest_words`: what a question must have at least."""
    if not example.answer.strip():
        return "malformed: no answer"
    if example.kind != "statement" and len(example.question.split()) < fewest_words:
        return f"malformed: the question is shorter than {'two words' if fewest_words == 2 else 'a word'}"
    if re.search(r"<\|im_(?:start|end)\|>|<\|endoftext\|>", example.question + example.answer):
        return "malformed: holds a control token of the model"
    if len(f"{example.question} {example.answer}".split()) > LONGEST_WORDS:
        return f"too long for the base model: over {LONGEST_WORDS} words"
    return ""


class HeldOut:
    """
    Questions that nothing trained may come close to, and which of them another question is close to: fast and exact.

    With all words in one order, rarest first, two sets with a Jaccard index of t share a word among the first
    n - ceil(t * n) + 1 of each (Chaudhuri et al. 2006, the prefix filter), so only those words are looked up. For 100,000
    questions against 10,000 this takes seconds where a scan takes many minutes, and unlike MinHash it misses no pair
    (`tests.bench leakage`).
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._sets = [word_set(text) for text in texts]
        self._seen = Counter(word for words in self._sets for word in words)
        self._places: dict[str, list[int]] = defaultdict(list)
        for number, words in enumerate(self._sets):
            for word in self._first_words(words):
                self._places[word].append(number)

    def find(self, text: str) -> int | None:
        """The number of a text, from 0, whose words have a Jaccard index of TOO_CLOSE or more with those of `text`; None if none has."""
        words = word_set(text)
        size = len(words)
        for word in self._first_words(words):
            for number in self._places.get(word, ()):
                other = self._sets[number]
                if TOO_CLOSE * size <= len(other) <= size / TOO_CLOSE:  # else the index is lower whatever they share
                    shared = len(words & other)
                    if shared >= TOO_CLOSE * (size + len(other) - shared):
                        return number
        return None

    def near(self, text: str) -> bool:
        """Whether there is such a text."""
        return self.find(text) is not None

    def _first_words(self, words: frozenset[str]) -> list[str]:
        rarest_first = sorted(words, key=lambda word: (self._seen[word], word))
        return rarest_first[: _prefix(len(words), TOO_CLOSE)]


def _prefix(size: int, share: float) -> int:
    """How many words of a set, in an order common to all sets, another must share one of to reach that Jaccard index."""
    return size - ceil(share * size) + 1


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / len(one | other) if one | other else 1.0


def gist(question: str) -> frozenset[str]:
    """The distinct words of a question without its greeting."""
    return word_set(_GREETED.sub("", question))


def word_set(text: str) -> frozenset[str]:
    """The distinct words of a text, lower-cased, without punctuation."""
    return frozenset(plain(text).split())


def plain(text: str) -> str:
    """Its words alone, lower-cased: what two spellings of one text have in common."""
    return " ".join(re.findall(r"[\w$€£%]+", text.lower()))

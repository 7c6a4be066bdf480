"""Words, lines, rules and pages as a PDF places them, and how broken lines are joined into text again."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

SOFT_HYPHEN = "\u00ad"
"""Stands at the end of a word that goes on in the next line."""

_ONE_SPACE = 4.5
"""Points; a narrower gap parts neither columns nor cells."""

_KEPT_PREFIXES = frozenset(
    {"non", "self", "ex", "all", "half", "cross", "well", "full", "part", "long", "short", "high", "low"}
)


@dataclass(frozen=True, slots=True)
class Word:
    """Letters without a gap; edges and baseline in points from the page's lower left corner."""

    text: str
    x0: float
    x1: float
    y: float
    size: float
    bold: bool


@dataclass(frozen=True, slots=True)
class Line:
    """Words on one baseline, in the order of the page's content."""

    words: tuple[Word, ...]
    text: str
    page: int
    x0: float
    x1: float
    y: float
    size: float  # of most of its letters
    bold: bool  # most of its letters are
    column: int = 0  # 0 for a line that runs across the page; see pdf_columns

    @classmethod
    def of(cls, words: Sequence[Word], page: int) -> "Line":
        """The line that the words make."""
        sizes: Counter[float] = Counter()
        for word in words:
            sizes[word.size] += len(word.text)
        letters = sum(len(word.text) for word in words)
        bold = sum(len(word.text) for word in words if word.bold) >= 0.9 * letters
        text = " ".join(word.text for word in words)
        size = sizes.most_common(1)[0][0]
        baseline = next(word.y for word in words if word.size == size)
        return cls(tuple(words), text, page, words[0].x0, max(word.x1 for word in words), baseline, size, bold)

    def compact(self) -> "Line":
        """The same line with its words run together after the first: a long PDF then takes a fifth of the memory."""
        if len(self.words) < 3 or any(two.x0 - one.x1 > _ONE_SPACE for one, two in pairwise(self.words)):
            return self
        first, rest = self.words[0], self.words[1:]
        text = " ".join(word.text for word in rest)
        run = Word(text, rest[0].x0, max(word.x1 for word in rest), rest[0].y, self.size, self.bold)
        return replace(self, words=(first, run))

    def cells(self, gap: float) -> list[list[Word]]:
        """The words parted where more than `gap` points lie between them."""
        found = [[self.words[0]]]
        for word in self.words[1:]:
            if word.x0 - found[-1][-1].x1 > gap:
                found.append([])
            found[-1].append(word)
        return found


@dataclass(frozen=True, slots=True)
class Rule:
    """A level or upright stroke; `level` ones run along x at height y0 == y1."""

    x0: float
    y0: float
    x1: float
    y1: float
    level: bool

    @classmethod
    def between(cls, start: tuple[float, float], end: tuple[float, float]) -> "Iterator[Rule]":
        """The stroke from start to end, if it is level or upright and longer than a dot."""
        (x0, x1), (y0, y1) = sorted((start[0], end[0])), sorted((start[1], end[1]))
        if y1 - y0 < 1.0 and x1 - x0 > 5.0:
            yield cls(x0, y0, x1, y0, True)
        elif x1 - x0 < 1.0 and y1 - y0 > 5.0:
            yield cls(x0, y0, x0, y1, False)


@dataclass(frozen=True, slots=True)
class Page:
    """One page: its size in points, its lines in content order, its rules."""

    number: int
    width: float
    height: float
    lines: list[Line]
    rules: list[Rule]


@dataclass(frozen=True)
class Spelling:
    """What the document itself tells of its words, for mending those that a line end broke."""

    words: frozenset[str]  # lower case, none of them broken; hyphenated ones whole and in parts
    hyphenates: bool  # its lines are hyphenated, so that a hyphen at a line end is mostly not the writer's

    @classmethod
    def of(cls, pages: Sequence[Page]) -> "Spelling":
        """The spelling of the document that the pages make."""
        words: set[str] = set()
        broken: list[tuple[str, str]] = []
        rest = ""  # the part of a broken word that ends the line before
        for line in (line for page in pages for line in page.lines):
            found = re.findall(r"[^\W\d_]+(?:-[^\W\d_]+)*[-\u00ad]?", line.text.lower())
            if rest and found:
                broken.append((rest, found.pop(0)))
            ends_broken = bool(re.search(r"[^\W\d_][-\u00ad]$", line.text))
            rest = found.pop()[:-1] if ends_broken and found else ""
            for word in found:
                words.update((word.rstrip("-"), *word.split("-")))
        joined = sum(first + second in words for first, second in broken)
        kept = sum(f"{first}-{second}" in words for first, second in broken)
        often = len(broken) * 50 > sum(len(page.lines) for page in pages)
        hyphenates = joined >= kept if joined or kept else often
        return cls(frozenset(words - {""}), hyphenates)

    def mend(self, left: str, right: str) -> str:
        """The text `left`, whose last word was broken, and the text that goes on with the rest of it."""
        head, tail = re.search(r"[\w-]*$", left), re.match(r"\w*", right)
        first, second = (head.group() if head else "").lower(), (tail.group() if tail else "").lower()
        last_part = first.rsplit("-", 1)[-1]
        whole = f"{first}{second}" in self.words or f"{last_part}{second}" in self.words
        hyphenated = f"{first}-{second}" in self.words
        if whole and (self.hyphenates or not hyphenated):
            return left + right
        two_words = second in self.words and (
            last_part in _KEPT_PREFIXES or (last_part in self.words and min(len(last_part), len(second)) > 2)
        )
        if hyphenated or two_words or not self.hyphenates or not second[:1].isalpha() or right[0].isupper():
            return f"{left}-{right}"
        return left + right


def join_lines(texts: Sequence[str], spelling: Spelling) -> str:
    """The lines as one text; a word broken at a line end is made whole, and keeps its hyphen where it is a real one."""
    whole = ""
    for text in texts:
        if not whole:
            whole = text
        elif whole.endswith(SOFT_HYPHEN) or (re.search(r"[^\W\d_]-$", whole) and re.match(r"[^\W\d_]", text)):
            whole = spelling.mend(whole[:-1], text)
        elif re.search(r"\w[-–—/]$|—$", whole) and re.match(r"\w", text):
            whole += text
        else:
            whole = f"{whole} {text}"
    return whole.replace(SOFT_HYPHEN, "-")


def body_size(pages: Sequence[Page]) -> float:
    """The size in points that most letters of the document have."""
    sizes: Counter[float] = Counter()
    for page in pages:
        for line in page.lines:
            sizes[line.size] += len(line.text)
    return sizes.most_common(1)[0][0] if sizes else 10.0


def leading(pages: Sequence[Page], size: float) -> float:
    """The usual distance in points between two lines of one paragraph."""
    steps: Counter[float] = Counter()
    for page in pages:
        for above, below in zip(page.lines, page.lines[1:], strict=False):
            step = above.y - below.y
            if abs(above.size - size) < 0.6 and abs(below.size - size) < 0.6 and 0.9 * size < step < 2.2 * size:
                steps[round(step * 2) / 2] += 1
    if not steps:
        return 1.25 * size
    most = steps.most_common(1)[0][1]
    return min(step for step, count in steps.items() if count >= 0.5 * most)


def right_edge(lines: Sequence[Line], size: float) -> float:
    """Where full lines of the body end, in points."""
    ends = sorted(line.x1 for line in lines if abs(line.size - size) < 0.1 * size)
    return ends[int(0.95 * (len(ends) - 1))] if ends else 0.0

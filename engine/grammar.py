"""What can be told of English words without a parser: names, finite verbs, whether a line is a sentence. Light to import."""

import re
from collections import Counter
from collections.abc import Iterable

from engine.lexicon import AUXILIARIES, IRREGULAR_PAST, VERBS

SUBORDINATORS = frozenset(
    """
    if when where unless once after before while during upon on for in to as per under at by with from since
    because although through following
    """.split()
)
MARKERS = re.compile(
    r"^(?:however|please note that|please|note that|note|in addition|additionally|therefore|furthermore|moreover|also|generally|"
    r"in general|for example|important)[,:]?\s+",
    re.IGNORECASE,
)
_NO_VERB_AFTER = frozenset("to a an the their your its of for not and or by any".split())


def proper_words(texts: Iterable[str]) -> frozenset[str]:
    """Words that stand capitalised inside sentences more often than not: names, which keep their capital when moved."""
    upper: Counter[str] = Counter()
    lower: Counter[str] = Counter()
    for text in texts:
        for match in re.finditer(r"[A-Za-z][\w'-]*", text):
            word = match[0]
            if not word[0].isupper():
                lower[word] += 1
            elif not re.search(r"(?:^|[.!?:;\"'(])\s*$", text[: match.start()]):
                upper[word.lower()] += 1
    return frozenset(word for word, n in upper.items() if n > lower[word]) | {"i"}


def uncapitalised(text: str, proper: frozenset[str]) -> str:
    """The text as it would stand inside a sentence: "The HR team" -> "the HR team", "Monday" stays."""
    word = re.match(r"[A-Za-z][\w'-]*", text)
    if (
        not word
        or word[0].lower() in proper - {"the", "a", "an", "all", "you", "we", "if"}
        or word[0][1:].lower() != word[0][1:]
    ):
        return text
    return text[0].lower() + text[1:]


def base_form(word: str) -> tuple[str, bool] | None:
    """(base, whether it is the -s form) of a finite verb we know: "receives" -> ("receive", True)."""
    word = word.lower()
    if word in VERBS:
        return word, False
    if word in IRREGULAR_PAST:
        return None  # a past tense says what happened, not what the rule is
    for ending, put in (("ies", "y"), ("es", ""), ("s", "")):
        if word.endswith(ending) and word[: -len(ending)] + put in VERBS:
            return word[: -len(ending)] + put, True
    return None


def is_sentence(text: str) -> bool:
    """Whether a text has a finite verb at a place we trust, or is an order; a fragment or a label has none."""
    plain = MARKERS.sub("", text.strip().rstrip(".;:!")).strip()
    first = plain.split(" ", 1)[0].lower()
    if first in SUBORDINATORS and "," in plain:
        head, _, tail = plain.partition(", ")
        if 2 <= len(head.split()) <= 22 and tail:
            plain = tail
    return _is_order(plain) or _has_finite_verb(plain)


def _is_order(text: str) -> bool:
    """ "Submit the form.", "Do not travel." """
    forbidden = re.match(r"(?:do not|don't|never)\s+", text, re.IGNORECASE)
    words = (text[forbidden.end() :] if forbidden else text).split()
    if len(words) < 2 or words[0].lower() not in VERBS or words[1].lower() in AUXILIARIES | {"of", "and", "or"}:
        return False
    if not forbidden and any(w.lower() in ("must", "may", "will", "is", "are", "shall", "means") for w in words[1:10]):
        return False  # "Leave requests must …"
    return not words[0].endswith(":") and not words[1].endswith(":")  # "Document number: …" is the label of a row


def _has_finite_verb(text: str) -> bool:
    words = list(re.finditer(r"\S+", text))
    skip = False
    for index, match in enumerate(words[:17]):
        word = match[0].lower().strip(",;:()\"'")
        before = words[index - 1][0].lower() if index else ""
        if word in ("who", "that", "which", "whom", "whose") and index:
            skip = True
            continue
        if index == 0 or before in _NO_VERB_AFTER:
            continue
        if word not in AUXILIARIES and word not in ("cannot", "can't", "won't") and not _is_verb(words, index):
            continue
        if skip:  # the verb of "employees who have …" is not the sentence's
            skip = False
            continue
        return bool(text[match.end() :].strip())
    return False


def _is_verb(words: list[re.Match[str]], index: int) -> bool:
    """A verb we know that agrees with the noun before it and is not itself a noun before an auxiliary."""
    word, before = words[index][0].strip(",;:"), words[index - 1][0].lower().strip(",;:")
    finite = base_form(word)
    if finite is None or word != word.lower() or before.endswith("ly"):
        return False
    following = [match[0].lower().strip(",;:") for match in words[index + 1 : index + 8]]
    if following and (following[0] in AUXILIARIES or following[0] in ("of", "and", "or")):
        return False  # "leave requests must", "the start of"
    plural_before = (before.endswith("s") and not before.endswith("ss")) or before in (
        "you",
        "we",
        "they",
        "i",
        "staff",
        "people",
    )
    if finite[1] == plural_before:
        return False  # "employees requests": the noun, not the verb
    return not (finite[1] and any(later in AUXILIARIES for later in following[:4]))

"""A policy sentence taken apart without a model: condition, subject, verb, rest. Knows English word order, no policy."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from engine.lexicon import AUXILIARIES, IRREGULAR_PAST, STAFF, VERBS

SUBORDINATORS = frozenset(
    """
    if when where unless once after before while during upon on for in to as per under at by with from since
    because although through following
    """.split()
)
TAIL = re.compile(
    r",?\s+\b(if|when|unless|provided that|as long as|except that|except when|even if)\b\s+", re.IGNORECASE
)
MARKERS = re.compile(
    r"^(?:however|please note that|please|note that|note|in addition|additionally|therefore|furthermore|moreover|also|generally|"
    r"in general|for example|important)[,:]?\s+",
    re.IGNORECASE,
)
CONTRACTIONS = {"cannot": ("can", True), "can't": ("can", True), "won't": ("will", True)}
_WORD = re.compile(r"[^\s]+")


@dataclass(frozen=True)
class Clause:
    """ "If you are ill, you must not travel when tired." -> condition "you are ill", subject "you", auxiliary "must", …"""

    subject: str
    auxiliary: str  # "" when the verb stands alone: "employees accrue"
    verb: str  # the base form when the verb stands alone, else ""
    rest: str  # what follows: "accrue 12 days", without the final stop
    negated: bool = False
    condition: str = ""  # leading or trailing, with its word: "if you are ill"
    plural: bool = True  # whether "do" (not "does") goes with the subject

    @property
    def staff(self) -> bool:
        """Whether the subject is anybody who works there, so that a person may ask it as "I"."""
        return self.subject.lower() in STAFF

    def asked(self) -> tuple[str, str]:
        """The two ends of a question: ("do employees", "accrue 12 days") or ("must employees", "file a claim")."""
        if self.auxiliary:
            return f"{self.auxiliary} {self.subject}", self.rest
        return f"{'do' if self.plural else 'does'} {self.subject}", f"{self.verb} {self.rest}".strip()


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


def take_apart(sentence: str, proper: frozenset[str] = frozenset()) -> Clause | None:
    """
    The clause of a declarative sentence, or None where no finite verb is found at a place we trust.

    None is the honest answer for fragments, orders ("Submit the form."), and sentences whose subject runs past 16 words.
    """
    text = MARKERS.sub("", sentence.strip().rstrip(".;:!")).strip()
    condition = ""
    first = text.split(" ", 1)[0].lower()
    if first in SUBORDINATORS and "," in text:
        head, _, tail = text.partition(", ")
        if 2 <= len(head.split()) <= 22 and tail:
            condition, text = uncapitalised(head, proper), tail
    order = _order(text)
    found = order or _finite_verb(text)
    if found is None:
        return None
    subject, auxiliary, verb, rest, negated, third_person = found
    nobody = re.match(r"(?:no (?!more|less|fewer|later|earlier)|nobody|none of )", subject, re.IGNORECASE)
    if nobody:  # "No employee may travel" is asked as "May an employee travel?" and answered "No."
        put = {"nobody": "anyone", "none of ": "any of "}.get(nobody[0].lower(), "any ")
        subject, negated = f"{put}{subject[nobody.end() :]}", not negated
    if negated and auxiliary in ("must", "shall", "should"):
        auxiliary = "may"  # what one must not do is asked as "May I …?": to "Must I …?" the "No." would mean "need not"
    tail_condition = TAIL.search(rest)
    if tail_condition and not condition and tail_condition.start() > 0:
        condition = f"{tail_condition[1].lower()} {rest[tail_condition.end() :]}"
        rest = rest[: tail_condition.start()]
    plural = not third_person
    clause = Clause(
        uncapitalised(subject, proper), auxiliary, verb, rest.strip(" ,"), negated, condition.strip(" ,"), plural
    )
    return clause if clause.rest or clause.verb else None


def _order(text: str) -> tuple[str, str, str, str, bool, bool] | None:
    """ "Submit the form." is "you must submit the form"; "Do not travel." forbids: "you may not travel"."""
    forbidden = re.match(r"(?:do not|don't|never)\s+", text, re.IGNORECASE)
    words = (text[forbidden.end() :] if forbidden else text).split()
    if len(words) < 2 or words[0].lower() not in VERBS or words[1].lower() in AUXILIARIES | {"of", "and", "or"}:
        return None
    if not forbidden and any(
        word.lower() in ("must", "may", "will", "is", "are", "shall", "means") for word in words[1:10]
    ):
        return None  # "Leave requests must …"
    if words[0].endswith(":") or words[1].endswith(":"):
        return None  # "Document number: …" is the label of a row
    rest = " ".join([words[0].lower(), *words[1:]])
    return ("you", "may", "", rest, True, False) if forbidden else ("you", "must", "", rest, False, False)


def _finite_verb(text: str) -> tuple[str, str, str, str, bool, bool] | None:
    """(subject, auxiliary, verb, rest, negated, third person) by the first trusted finite verb."""
    words = list(_WORD.finditer(text))
    skip = False
    for index, match in enumerate(words[:17]):
        word = match[0].lower().strip(",;:()\"'")
        before = words[index - 1][0].lower() if index else ""
        if word in ("who", "that", "which", "whom", "whose") and index:
            skip = True
            continue
        if index == 0 or before in (
            "to",
            "a",
            "an",
            "the",
            "their",
            "your",
            "its",
            "of",
            "for",
            "not",
            "and",
            "or",
            "by",
            "any",
        ):
            continue
        auxiliary = word in AUXILIARIES or word in CONTRACTIONS
        finite = None if auxiliary else _lexical(words, index)
        if not auxiliary and finite is None:
            continue
        if skip:  # the verb of "employees who have …" is not the sentence's
            skip = False
            continue
        subject = text[: match.start()].strip()
        if subject.endswith(",") and subject.count(",") % 2:
            continue
        rest = text[match.end() :].strip()
        if finite:
            return subject, "", finite[0], rest, False, finite[1]
        word, negated = _plain_auxiliary(word)
        if word in ("have", "has") and rest.lower().startswith("to "):
            word, rest = "must", rest[3:]  # "you have to ask" is asked as "must I ask"
        elif word in ("have", "has") and not re.match(
            r"(?:not )?(?:\w+(?:ed|en)|had|gone|made|met|left|paid)\b", rest.lower()
        ):
            return (
                subject,
                "",
                "have",
                rest,
                negated,
                word == "has",
            )  # "has a budget" is asked as "does … have a budget"
        forbidden = re.match(r"(?:not|never)\s+", rest, re.IGNORECASE)
        if forbidden:
            rest, negated = rest[forbidden.end() :], True
        return subject, word, "", rest, negated, False
    return None


def _lexical(words: list[re.Match[str]], index: int) -> tuple[str, bool] | None:
    """A verb we know that agrees with the noun before it and is not itself a noun before an auxiliary."""
    word, before = words[index][0].strip(",;:"), words[index - 1][0].lower().strip(",;:")
    finite = base_form(word)
    if finite is None or word != word.lower() or before.endswith("ly"):
        return None
    following = [match[0].lower().strip(",;:") for match in words[index + 1 : index + 8]]
    if following and (following[0] in AUXILIARIES or following[0] in ("of", "and", "or")):
        return None  # "leave requests must", "the start of"
    plural_before = (before.endswith("s") and not before.endswith("ss")) or before in (
        "you",
        "we",
        "they",
        "i",
        "staff",
        "people",
    )
    if finite[1] == plural_before:
        return None  # "employees requests": the noun, not the verb
    if not finite[1] and not plural_before:
        return None
    if any(later in AUXILIARIES for later in following[:4]) and finite[1]:
        return None
    return finite


def _plain_auxiliary(word: str) -> tuple[str, bool]:
    if word in CONTRACTIONS:
        return CONTRACTIONS[word]
    if word.endswith("n't"):
        return word[:-3], True
    return word, False


_PERSON = (
    (re.compile(r"\b(?:the|an|each|every) employee's\b", re.I), "my"),
    (re.compile(r"\b(?:their|your|his or her|his/her)\b", re.I), "my"),
    (re.compile(r"\b(?:themselves|yourself|himself or herself)\b", re.I), "myself"),
    (re.compile(r"\b(?:he or she|he/she|they)\b", re.I), "I"),
    (re.compile(r"\byou are\b", re.I), "I am"),
    (re.compile(r"\b(?<=to |of |by )you\b", re.I), "me"),
    (re.compile(r"\b(?<=for )you\b", re.I), "me"),
    (re.compile(r"\b(?:(?<=with )|(?<=from ))you\b", re.I), "me"),
    (re.compile(r"\byou\b", re.I), "I"),
    (re.compile(r"\b(?:the employee|an employee|employees)\b", re.I), "I"),
    (re.compile(r"\bI (?:is|are)\b"), "I am"),
    (re.compile(r"\bI has\b"), "I have"),
)


def first_person(clause: Clause) -> Clause:
    """The same clause asked by the person concerned: "employees … their" -> "I … my". Only for a staff subject."""
    auxiliary = {"is": "am", "are": "am", "has": "have", "does": "do", "was": "was", "were": "was"}.get(
        clause.auxiliary, clause.auxiliary
    )
    return replace(
        clause,
        subject="I",
        auxiliary=auxiliary,
        plural=True,
        rest=as_first_person(clause.rest),
        condition=as_first_person(clause.condition),
    )


def as_first_person(text: str) -> str:
    """ "your manager" -> "my manager"."""
    for pattern, put in _PERSON:
        text = pattern.sub(put, text)
    return text

"""Whether an answer says what it should: the refusal and nothing else, or its gold answer recited. Knows no model and no file."""

import re
from collections import Counter

from engine.records import REFUSAL

ENOUGH_F1 = 0.8


def is_refusal(answer: str) -> bool:
    """Whether the answer is the refusal and nothing else; quotes, emphasis and a missing full stop are forgiven."""
    return bare(answer).strip(" \"'.").casefold() == REFUSAL.strip(".").casefold()


def recites(answer: str, gold: str) -> bool:
    """
    Same polarity ("Yes."/"No." or neither), same numbers, and a token F1 of 0.8 or more.

    An answer may name its clause first ("Sick leave: Yes. …"): what comes after the heading is then what has to recite.
    """
    _, colon, under_heading = answer.partition(": ")
    return _recites(answer, gold) or bool(colon and _recites(under_heading, gold))


def _recites(answer: str, gold: str) -> bool:
    if _polarity(answer) != _polarity(gold) or sorted(re.findall(r"\d+", answer)) != sorted(re.findall(r"\d+", gold)):
        return False
    return token_f1(answer, gold) >= ENOUGH_F1


def token_f1(answer: str, reference: str) -> float:
    """
    Harmonic mean of word precision and recall; a repeated word is matched once per occurrence.

    Two empty texts score 1.0 and one empty text 0.0, so that a refusal is graded instead of skipped.
    Source: Rajpurkar et al. 2016, arXiv:1606.05250; the empty case follows the SQuAD 2.0 script; articles are kept.
    """
    got, wanted = Counter(_words(answer)), Counter(_words(reference))
    if not got or not wanted:
        return float(got == wanted)
    shared = (got & wanted).total()
    return 2 * shared / (got.total() + wanted.total())


def bare(text: str) -> str:
    """Without the marks of Markdown's emphasis and the space around it."""
    return re.sub(r"[*_`]+", "", text).strip()


def _words(text: str) -> list[str]:
    return re.findall(r"[\w$€£%]+", text.lower())


def _polarity(text: str) -> str:
    found = re.match(r"\s*(yes|no)\b", text, re.IGNORECASE)
    return found[1].lower() if found else ""

"""In whose words a clause is asked: the person's it is about ("I"), a third person's, or about the organisation."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from engine.clauses import Clause, Part
from engine.parsing import Word, text_of

ASKABLE = ("if", "when", "where", "once", "while", "during", "after", "before", "to")
"""Circumstances that a question may repeat; "unless" and "except" would turn its meaning round."""
_AM = {"is": "am", "are": "am", "has": "have", "does": "do", "was": "was", "were": "was"}


@dataclass(frozen=True)
class Voice:
    """A clause as it is asked: by whom it is about ("I"), by a third person, or of the organisation."""

    clause: Clause
    subject: str
    first_person: bool

    def words(self, words: Sequence[Word]) -> str:
        """Some of its words as the asking person says them: "your manager" -> "my manager"."""
        return text_of([_said(word, words, self.first_person) for word in words]).strip(" ,;")

    def parts(self, *without: Part, instead: str = "") -> str:
        """What follows the verb, less some of it; `instead` stands where the first of that stood."""
        said, left_out = "", False
        for part in self.clause.parts:
            if part in without:
                said += f" {instead}" if part is without[0] and instead else ""
                left_out = True
            elif not (left_out and part.words[0].role == "cc"):  # "…, and up to 30 days" goes with what stood before it
                said += f"{',' if part.comma else ''} {self.words(part.words)}"
                left_out = False
        return said.strip(" ,")

    @property
    def circumstances(self) -> str:
        """What stood before the subject and belongs into a question."""
        return " ".join(self.opening(part) for part in self.clause.before if repeatable(part))

    def opening(self, part: Part) -> str:
        """What stood at the beginning of the sentence, as it stands inside one."""
        said = self.words(part.words)
        kept = part.words[0].tag in ("NNP", "NNPS") or said[:2].isupper()
        return said if kept else said[:1].lower() + said[1:]

    @property
    def helper(self) -> str:
        """The auxiliary that opens a question."""
        if self.clause.auxiliaries:
            first = {"shall": "must"}.get(self.clause.auxiliaries[0], self.clause.auxiliaries[0])
            if self.clause.negated and first in ("must", "shall", "should"):
                return "may"  # to "Must I …?" a "No." would mean "you need not"
            return _AM.get(first, first) if self.subject == "I" else _is(first, self.clause)
        return "do" if self.subject == "I" or (self.clause.plural and not self.clause.organisation) else "does"

    @property
    def rest(self) -> str:
        """The other auxiliaries and the verb."""
        return " ".join([*self.clause.auxiliaries[1:], self.clause.verb]).strip()

    def asks(self, *without: Part, wh: str = "", more: str = "", instead: str = "", circumstance: bool = True) -> str:
        """The question: wh-word, auxiliary, subject, verb, what follows, and the circumstances that stood before."""
        tail = self.circumstances if circumstance else ""
        pieces = [wh, self.helper, self.subject, self.rest, self.parts(*without, instead=instead), more, tail]
        return f"{' '.join(piece for piece in pieces if piece)}?"


def voices(clause: Clause, name: str) -> list[Voice]:
    """In which voices a clause is asked; `name` is its subject as it stands inside a sentence."""
    if clause.pronoun or (
        len(clause.subject) > 1 and any(word.text.lower() in ("you", "we") for word in clause.subject)
    ):
        return []
    if clause.who in ("you",):
        return [Voice(clause, "I", True)]
    if clause.organisation:
        return [Voice(clause, "the company", False)]
    third = Voice(clause, Voice(clause, "", False).words(clause.subject) if name == "" else name, False)
    return [third, Voice(clause, "I", True)] if clause.staff else [third]


def repeatable(part: Part) -> bool:
    """Whether what stood before the subject belongs into a question: a circumstance, no "However"."""
    return (
        part.role in ("advcl", "prep")
        and part.first in (*ASKABLE, "for", "in", "on", "at", "with", "under", "upon")
        and (
            2 <= len(part.words) <= 16
            and part.mark != "unless"
            and not part.text.lower().startswith(("in addition", "for example", "in sum", "in short", "in general"))
        )
    )


def _is(first: str, clause: Clause) -> str:
    return {"are": "is", "have": "has"}.get(first, first) if clause.organisation else first


_FIRST_PERSON = {
    "your": "my", "yours": "mine", "yourself": "myself", "yourselves": "ourselves", "our": "the company's", "us": "the company",
}  # fmt: skip
_STAFF = {"their": "my", "them": "me", "themselves": "myself", "his": "my", "theirs": "mine"}


def _said(word: Word, words: Sequence[Word], first_person: bool) -> Word:
    """A word as the asking person says it."""
    low = word.text.lower()
    head = {other.at: other for other in words}
    if low == "you":
        verb = head.get(word.head)
        helped = (
            verb and verb.tag == "VB" and not any(w.head == verb.at and w.role in ("aux", "auxpass") for w in words)
        )
        subject = word.role in ("nsubj", "nsubjpass") and not helped  # "can help you fill in the form"
        return replace(word, text="I" if subject else "me")
    if low == "we":
        return replace(word, text="the company")
    if low in _FIRST_PERSON:
        return replace(word, text=_FIRST_PERSON[low])
    if first_person and low in _STAFF and word.tag in ("PRP", "PRP$"):
        return replace(word, text=_STAFF[low])
    if first_person and low == "they" and word.role in ("nsubj", "nsubjpass"):
        return replace(word, text="I")
    mine = any(
        other.role in ("nsubj", "nsubjpass")
        and other.head == (word.head if word.role in ("aux", "auxpass") else word.at)
        and (other.text.lower() == "you" or (first_person and other.text.lower() == "they"))
        for other in head.values()
    )
    if mine and low in ("are", "'re", "were"):
        return replace(word, text={"are": "am", "'re": " am", "were": "was"}[low])
    ours = any(
        other.text.lower() == "we" and other.head == (word.head if word.role in ("aux", "auxpass") else word.at)
        for other in head.values()
    )
    if ours and low in ("are", "have", "do", "were"):
        return replace(word, text={"are": "is", "have": "has", "do": "does", "were": "was"}[low])
    return word

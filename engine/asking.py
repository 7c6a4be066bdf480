"""A clause -> the questions that it answers, each a whole sentence in the words of the clause. Knows grammar, no policy."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from engine.clauses import Clause, Part, is_person
from engine.facts import DATE, find_values
from engine.parsing import Word, text_of

ASKABLE = ("if", "when", "where", "once", "while", "during", "after", "before", "to")
"""Circumstances that a question may repeat; "unless" and "except" would turn its meaning round."""
GETTING = frozenset("receive get earn accrue".split())
GIVING = frozenset("offer provide grant pay give cover reimburse".split())
PLACES = re.compile(
    r"\b(?:office|site|portal|website|page|intranet|system|desk|reception|helpdesk|folder|channel|room|building|tool|app|register)\b",
    re.IGNORECASE,
)
TIMES = re.compile(
    r"\b(?:day|days|week|weeks|month|months|year|years|hour|hours|minute|minutes|quarter|quarters|weekdays|nights)\b",
    re.I,
)
_QUALIFIER = re.compile(
    r"\b(?:up to|at least|at most|at the latest|a maximum of|a minimum of|a total of|no more than|not more than|no less than|no later than|"
    r"more than|less than|no longer than|over|about|approximately|an additional|additional|only|exactly|another|the first|a further)\s*$",
    re.IGNORECASE,
)
_AM = {"is": "am", "are": "am", "has": "have", "does": "do", "was": "was", "were": "was"}
_ONE = {"are": "is", "were": "was", "have": "has", "do": "does", "am": "is"}


@dataclass(frozen=True)
class Asked:
    """One question. `verdict` is "Yes" or "No" where the answer begins so."""

    form: str
    question: str
    verdict: str = ""


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
        said = ""
        for part in self.clause.parts:
            if part not in without:
                said += f"{',' if part.comma else ''} {self.words(part.words)}"
            elif part is without[0] and instead:
                said += f" {instead}"
        return said.strip(" ,")

    @property
    def circumstances(self) -> str:
        """What stood before the subject and belongs into a question."""
        return " ".join(self.opening(part) for part in self.clause.before if _repeatable(part))

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
    if clause.pronoun:
        return []
    if clause.who in ("you",):
        return [Voice(clause, "I", True)]
    if clause.organisation:
        return [Voice(clause, "the company", False)]
    third = Voice(clause, Voice(clause, "", False).words(clause.subject) if name == "" else name, False)
    return [third, Voice(clause, "I", True)] if clause.staff else [third]


def questions(voice: Voice) -> Iterator[Asked]:
    """Every question of a clause in one voice, those that sound most natural first."""
    if any(part.role == "advcl" and not _repeatable(part) for part in voice.clause.before):
        yield from _conditions(voice)
        return  # without its condition a question would be about something else
    yield from _yes_no(voice)
    if not voice.clause.negated:
        yield from _values(voice)
        yield from _objects(voice)
        yield from _circumstances(voice)
        yield from _definitions(voice)
    yield from _people(voice)
    yield from _subjects(voice)
    yield from _conditions(voice)


def _yes_no(voice: Voice) -> Iterator[Asked]:
    clause = voice.clause
    verdict = "No" if clause.negated else "Yes"
    whole = voice.asks()
    yield Asked("yes_no", whole, verdict)
    core = [
        part
        for part in clause.parts
        if part.role in ("dobj", "attr", "acomp", "xcomp", "oprd", "prt", "dative", "ccomp")
    ]
    core = core or [part for part in clause.parts[:1] if part.role in ("prep", "agent")]
    rest = [part for part in clause.parts if part not in core]
    if (
        core
        and rest
        and not clause.negated
        and not any(re.match(r"only|unless|except", part.text, re.I) for part in rest)
    ):
        yield Asked("yes_no", voice.asks(*rest), verdict)
    if voice.subject == "I":
        words = f"{voice.parts()} {voice.circumstances}".strip()
        opening = {"may": "am I allowed to", "can": "is it OK to", "must": "do I have to", "should": "am I supposed to"}
        first = clause.auxiliaries[0] if clause.auxiliaries else ""
        if clause.negated and first in ("must", "may", "can", "should", "shall"):
            yield Asked("yes_no", f"am I allowed to {clause.lemma} {words}?", "No")
            yield Asked("yes_no", f"is it OK to {clause.lemma} {words}?", "No")
        elif first in opening and len(clause.auxiliaries) == 1 and clause.verb == clause.lemma:
            yield Asked("yes_no", f"{opening[first]} {clause.lemma} {words}?", "Yes")
    given = next((part for part in clause.parts if part.role == "dobj"), None)
    gives = GETTING if clause.staff else GIVING if clause.organisation else frozenset[str]()
    if given and clause.lemma in gives and not clause.negated and not is_person(given.noun):
        thing = _without_value(voice.words(given.words))
        if thing and not re.search(r"\d|^(?:one|two|three|notice|or|at|up)\b", thing):
            for opening_words in ("do we get", "am I entitled to"):
                yield Asked("yes_no", f"{opening_words} {thing}?", "Yes")


def _values(voice: Voice) -> Iterator[Asked]:
    """How many, how much, how long, when: one question a value, asked with the words beside it."""
    clause = voice.clause
    for at, part in enumerate(clause.parts):
        said = voice.words(part.words)
        values = find_values(said)
        if not values or part.role in ("advcl", "ccomp"):
            continue
        value = values[0]
        before, after = said[: value.start()].strip(), said[value.end() :].strip(" ,")
        bare = _QUALIFIER.sub("", before).strip()
        preposition = bare.lower() if part.role == "prep" and " " not in bare else ""
        if DATE.search(value[0]) and (preposition or not bare):
            if len(values) > 2:
                continue
            for wh in ("by when", "when") if preposition == "by" else ("when",):
                yield Asked("when", voice.asks(part, wh=wh))
            continue
        if bare and not preposition:
            continue
        word, unit = asking(value[0])
        if word == "when":
            continue
        if clause.lemma in ("mean", "be") and part.role in ("dobj", "attr"):
            if TIMES.search(unit):
                yield Asked("how_long", f"how long {'are' if clause.plural else 'is'} {voice.subject}?")
            if clause.lemma == "mean":
                continue
        following = clause.parts[at + 1] if at + 1 < len(clause.parts) else None
        leads = following is not None and re.match(r"(?:after|before|prior|ahead|in advance)\b", following.text)
        if following and leads and part.role in ("npadvmod", "advmod", "dobj"):
            with_it = voice.words(following.words)
            yield Asked("how_many", voice.asks(part, following, wh=f"{word} {unit} {with_it}"))
            if TIMES.search(unit):
                far = "far" if re.match(r"ahead|in advance", with_it) else "long"
                yield Asked("how_long", voice.asks(part, following, wh=f"how {far} {with_it}"))
            continue
        if part.role not in ("dobj", "prep", "npadvmod", "attr", "advmod", "acomp", "oprd"):
            continue
        if part.role == "prep" and not preposition:
            preposition = "up to" if before.lower().endswith("up to") else ""
            if not preposition:
                continue
        near, far = _near("" if re.match(r"(?:and|or|but)\b", after) else after)
        yield Asked("how_many", voice.asks(part, wh=f"{preposition} {word} {unit} {near}".strip(), more=far))
        often = [p for p in clause.parts if p.role == "npadvmod" and p.first in ("each", "every") and p is not part]
        if far or often:
            yield Asked("how_many", voice.asks(part, *often, wh=f"{preposition} {word} {unit} {near}".strip()))
        if preposition == "for" and TIMES.search(unit):
            yield Asked("how_long", voice.asks(part, wh="for how long", more=f"{near} {far}".strip()))
        elif preposition == "within":
            after_what = f"how soon after {after[3:]}" if after.startswith("of ") else "how soon"
            yield Asked("how_soon", voice.asks(part, wh=after_what, more="" if after.startswith("of ") else after))
        elif part.role == "attr" and TIMES.search(unit) and not after:
            yield Asked("how_long", voice.asks(part, wh="how long"))
    subject = voice.subject
    value_in_subject = next(iter(find_values(subject)), None)
    if value_in_subject and not _QUALIFIER.sub("", subject[: value_in_subject.start()]).strip():
        word, unit = asking(value_in_subject[0])
        if word != "when":
            near = subject[value_in_subject.end() :].strip()
            verb = " ".join([*clause.auxiliaries, clause.verb or ""]) if clause.auxiliaries else clause.lemma
            yield Asked("how_many", f"{word} {unit} {near} {verb} {voice.parts()}?")


def _objects(voice: Voice) -> Iterator[Asked]:
    """What is done to: the object is asked for, the rest stands."""
    clause = voice.clause
    for part in clause.parts:
        if part.role not in ("dobj", "attr") or find_values(part.text) or part.noun in ("it", "them", "this", "that"):
            continue
        if is_person(part.noun):
            if part.role == "dobj" and clause.lemma not in ("have", "include", "mean"):
                yield Asked("who", voice.asks(part, wh="who"))
            continue
        if clause.lemma in ("be", "mean"):
            continue
        if clause.lemma == "have" and not clause.auxiliaries:
            continue
        if voice.subject in ("I", "the company") or clause.staff:
            said_beside = [p for p in clause.parts if p is not part] + [p for p in clause.before if _repeatable(p)]
            if not said_beside:
                continue  # "What should I avoid?" is asked of nothing in particular
        yield Asked("what", voice.asks(part, wh="what"))
    first = clause.auxiliaries[0] if clause.auxiliaries else ""
    if voice.subject == "I" and first in ("must", "should", "can", "may"):
        settings = [p for p in clause.parts if p.role in ("advcl", "prep") and p.first in ASKABLE]
        told = settings + [p for p in clause.before if _repeatable(p)]
        if told:
            where = " ".join(voice.opening(part) for part in told)
            yield Asked("what_do", f"what {first} I do {where}?")


def _circumstances(voice: Voice) -> Iterator[Asked]:
    """When, where, how, why and how often, each with its own words left out."""
    clause = voice.clause
    if any(part.role == "advcl" and part.text.lower().startswith(("to ", "in order to ")) for part in clause.before):
        yield Asked("why", voice.asks(wh="why", circumstance=False))
    for part in clause.parts:
        said = part.text.lower()
        if part.role == "advcl" and part.mark in ("if", "when", "once", "after", "before", "until", "while", "as"):
            yield Asked("when", voice.asks(part, wh="under what circumstances" if part.mark == "if" else "when"))
        elif part.role == "advcl" and (part.mark in ("because", "since") or said.startswith(("in order", "so that"))):
            yield Asked("why", voice.asks(part, wh="why"))
        elif (
            part.role == "prep" and part.first in ("after", "before", "until", "by", "during", "upon") and not part.mark
        ):
            if not find_values(part.text) and not is_person(part.noun) and part.first != "by":
                yield Asked("when", voice.asks(part, wh="until when" if part.first == "until" else "when"))
        elif part.role == "prep" and part.first in ("via", "through", "using", "by") and not find_values(part.text):
            if part.mark == "ing" or part.first != "by" or part.noun in ("email", "e-mail", "phone", "post", "mail"):
                yield Asked("how", voice.asks(part, wh="how"))
        elif said in ("in writing", "online", "electronically", "in person") or said.startswith("in writing"):
            yield Asked("how", voice.asks(part, wh="how"))
        elif part.role == "prep" and part.first in ("in", "at", "on") and PLACES.search(part.text):
            yield Asked("where", voice.asks(part, wh="where"))
        elif re.match(r"(?:once|twice|three times|every|monthly|weekly|annually|quarterly|yearly|daily)\b", said):
            yield Asked("how_often", voice.asks(part, wh="how often"))


def _definitions(voice: Voice) -> Iterator[Asked]:
    clause = voice.clause
    if clause.staff or clause.organisation:
        return
    if clause.lemma in ("mean", "refer") and not clause.auxiliaries:
        yield Asked(
            "what_is", f"what does {voice.subject} mean?" if not clause.plural else f"what do {voice.subject} mean?"
        )
        yield Asked("what_is", f"what {'are' if clause.plural else 'is'} {voice.subject}?")
        yield Asked("what_is", f"what counts as {voice.subject}?")
    attribute = next((part for part in clause.parts if part.role == "attr"), None)
    defined = attribute is not None and re.match(r"(?:the|an?|one|any|all)\b", attribute.text, re.IGNORECASE)
    if defined and clause.lemma == "be" and len(clause.auxiliaries) == 1 and not clause.role:
        yield Asked("what_is", f"what {clause.auxiliaries[0]} {voice.subject}?")


def _people(voice: Voice) -> Iterator[Asked]:
    """Who does it, who must do it, to whom it goes."""
    clause = voice.clause
    first = clause.auxiliaries[0] if clause.auxiliaries else ""
    if clause.negated:
        return
    if clause.role and first:
        more = " ".join([*clause.auxiliaries[1:], clause.verb]).strip()
        yield Asked("who", f"who {_ONE.get(first, first)} {more} {voice.parts()}?")
    elif clause.role:
        yield Asked("who", f"who {third(clause.lemma)} {voice.parts()}?")
    for part in clause.parts:
        if part.role == "agent" and is_person(part.noun):
            rest = voice.parts(part)
            if first in ("must", "may", "can", "should", "will", "shall"):
                yield Asked("who", f"who {first} {clause.lemma} {voice.subject} {rest}?")
            else:
                yield Asked("who", f"who {third(clause.lemma)} {voice.subject} {rest}?")
        elif part.first in ("with", "to", "from", "by") and is_person(part.noun) and len(part.words) <= 7:
            yield Asked("who", voice.asks(part, wh="who", instead=part.first))


def _subjects(voice: Voice) -> Iterator[Asked]:
    """The reverse: what it is that is so."""
    clause = voice.clause
    if clause.staff or clause.organisation or clause.role or clause.order or clause.subject[-1].tag in ("NNP", "NNPS"):
        return
    predicate = voice.parts()
    if len(predicate.split()) < 3 or clause.lemma in ("be", "mean"):
        return
    first = clause.auxiliaries[0] if clause.auxiliaries else ""
    no = "not " if clause.negated else ""
    if first:
        more = " ".join([*clause.auxiliaries[1:], clause.verb]).strip()
        yield Asked("what_subject", f"what {_ONE.get(first, first)} {no}{more} {predicate}?")
    elif not clause.negated:
        yield Asked("what_subject", f"what {third(clause.lemma)} {predicate}?")
    else:
        yield Asked("what_subject", f"what does not {clause.lemma} {predicate}?")


def _conditions(voice: Voice) -> Iterator[Asked]:
    """What happens if …, and the same told as a story."""
    clause = voice.clause
    for part in (*clause.before, *clause.parts):
        if part.role != "advcl" or part.mark not in ("if", "when", "once", "after", "before", "while"):
            continue
        if not 3 <= len(part.words) <= 18:
            continue
        said = voice.opening(part)
        yield Asked("condition", f"what happens {said}?")
        yield Asked("condition", f"{said}, what applies?")
        story = re.sub(r"^(?:if|when)\s", "", said, flags=re.IGNORECASE)
        if part.mark in ("if", "when") and re.match(r"(?:I|my|the|an?)\b", story):
            alone = replace(
                clause,
                parts=tuple(p for p in clause.parts if p is not part),
                before=tuple(p for p in clause.before if p is not part),
            )
            verdict = "No" if clause.negated else "Yes"
            asks = replace(voice, clause=alone).asks()
            yield Asked("scenario", f"{story[0].upper()}{story[1:]}. {asks[0].upper()}{asks[1:]}", verdict)


@dataclass(frozen=True)
class Thing:
    """Something a sentence speaks of: bare ("medical certificate") and as a question names it ("the medical certificate")."""

    bare: str
    named: str


def things(words: Sequence[Word], chunks: Sequence[tuple[int, int, int]]) -> Iterator[Thing]:
    """The noun phrases of a sentence, with an "of …" that belongs to them; "ten days of leave" is leave."""
    starts = {start: (start, end, noun) for start, end, noun in chunks}
    for start, end, noun in chunks:
        inside = list(words[start:end])
        article = ""
        while inside and (
            inside[0].role in ("det", "poss", "predet", "cc", "nummod", "quantmod", "advmod")
            or inside[0].tag in ("PRP$", "CD", "DT", "POS", "IN", "RBS", "RBR", "JJR", "TO")
        ):
            article = {
                "a": "the",
                "an": "the",
                "the": "the",
                "each": "a",
                "every": "a",
                "your": "my",
                "their": "the",
            }.get(inside.pop(0).text.lower(), article)
        if not inside or inside[-1].tag not in ("NN", "NNS", "NNP", "NNPS") or words[noun].tag.startswith("PRP"):
            continue
        if TIMES.fullmatch(words[noun].text) or words[noun].text.lower() in ("percent", "number", "kind", "part"):
            continue
        of = (
            starts.get(end + 1)
            if end + 1 < len(words) and words[end].text == "of" and words[end].head == noun
            else None
        )
        if of and of[1] - of[0] <= 3 and not any(word.tag in ("CD", "$") for word in words[of[0] : of[1] + 1]):
            inside += words[end : of[1]]
        bare = text_of(inside)
        if article == "a":
            article = "an" if bare[:1].lower() in "aeiou" else "a"
        if not bare[0].isalnum() or (inside[0].at and words[inside[0].at - 1].text in ("-", "/")):
            continue
        if start == 0 and not article and inside[0].tag not in ("NNP", "NNPS") and not bare[:2].isupper():
            bare = bare[0].lower() + bare[1:]
        yield Thing(bare, f"{article} {bare}".strip())


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


def asking(value: str) -> tuple[str, str]:
    """The question word and the unit a value answers to: "12 working days" -> ("how many", "working days")."""
    if re.search(r"[$€£]|USD|EUR|GBP|dollars|euros|pounds", value):
        return "how much", "money" if value.startswith(("$", "€", "£")) else ""
    if re.search(r"%|per ?cent", value):
        return "what", "percentage"
    if DATE.search(value):
        return "when", ""
    unit = re.sub(r"^\S+(?:\s?-\s?|\s)(?:\(\d+\)\s)?", "", value).strip()
    if not unit or re.search(r"[:\d]|\b(?:am|pm|[ap]\.m\.)", unit) or (value[0].isupper() and not unit.islower()):
        return "when", ""
    last = unit.split()[-1]
    return "how many", unit if last.endswith("s") or last in ("people",) else unit + "s"


def _near(after: str) -> tuple[str, str]:
    """ "of paid leave in each year" -> ("of paid leave", "in each year"): what belongs to the value, and what follows."""
    cut = re.search(
        r"\s(?:in|into|per|each|every|to|for|at|by|from|during|within|after|before|on|with|when|as|under|if|unless|while)\s",
        f" {after} ",
    )
    if not after or cut is None:
        return (after, "") if len(after.split()) <= 7 else ("", after)
    return after[: max(cut.start() - 1, 0)].strip(), after[max(cut.start() - 1, 0) :].strip()


def _without_value(text: str) -> str:
    """ "25 days of paid leave" -> "paid leave"; "" where nothing is left to name."""
    values = find_values(text)
    if not values:
        return text
    of = re.match(r"\s*of\s+(.+)", text[values[0].end() :])
    return re.split(r"\s(?:in|per|each|every|at|for|during)\s", of[1])[0] if of else ""


def _repeatable(part: Part) -> bool:
    """Whether what stood before the subject belongs into a question: a circumstance, no "However"."""
    return (
        part.role in ("advcl", "prep")
        and part.first in (*ASKABLE, "for", "in", "on", "at", "with", "under", "upon")
        and (
            2 <= len(part.words) <= 16
            and part.mark != "unless"
            and not part.text.lower().startswith(("in addition", "for example"))
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
        return replace(word, text="I" if word.role in ("nsubj", "nsubjpass") else "me")
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

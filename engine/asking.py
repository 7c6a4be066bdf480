"""A clause -> the questions that it answers, each a whole sentence in the words of the clause. Knows grammar, no policy."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from engine.clauses import Clause, Part, is_person
from engine.facts import DATE, PERCENT, find_values
from engine.naming import TIMES, third
from engine.parsing import Word
from engine.voices import ASKABLE, Voice, repeatable

GETTING = frozenset("receive get earn accrue".split())
GIVING = frozenset("offer provide grant give".split())
PLACES = re.compile(
    r"\b(?:office|site|portal|website|page|intranet|system|desk|reception|helpdesk|folder|channel|room|building|tool|app|register)\b",
    re.IGNORECASE,
)
_QUALIFIER = re.compile(
    r"\b(?:up to|at least|at most|at the latest|a maximum of|a minimum of|a total of|no more than|not more than|no less than|no later than|"
    r"more than|less than|no longer than|over|about|approximately|an additional|additional|only|exactly|another|the first|a further)\s*$",
    re.IGNORECASE,
)
_PLACES_IN_THE_TEXT = ("there", "above", "below")
_NOUN_ROLES = ("dobj", "pobj", "nsubj", "nsubjpass", "attr")
_ITSELF = frozenset("policy policies handbook document manual agreement guide".split())
"""What a policy calls "this" is no other than itself."""
_ONE = {"are": "is", "were": "was", "have": "has", "do": "does", "am": "is"}


@dataclass(frozen=True)
class Asked:
    """One question. `verdict` is "Yes" or "No" where the answer begins so."""

    form: str
    question: str
    verdict: str = ""


def questions(voice: Voice) -> Iterator[Asked]:
    """Every question of a clause in one voice, those that sound most natural first."""
    clause = voice.clause
    if leans(clause):
        return
    if any(part.role == "advcl" and not repeatable(part) for part in clause.before):
        yield from _conditions(voice)
        return  # without its condition a question would be about something else
    yield from _yes_no(voice)
    if not clause.negated:
        yield from _values(voice)
        yield from _objects(voice)
        yield from _circumstances(voice)
        yield from _definitions(voice)
    yield from _people(voice)
    yield from _subjects(voice)
    yield from _conditions(voice)


def leans(clause: Clause) -> bool:
    """Whether a clause speaks of something that was said before it, so that a question in its words would not stand alone."""
    told = [clause.subject, *(part.words for part in (*clause.before, *clause.parts))]
    inverted = any(part.role == "ccomp" for part in clause.before)  # "Should a topic be raised, a meeting is held"
    return inverted or any(_points_back(words) for words in told) or any(_bare_share(part) for part in clause.parts)


def _points_back(words: Sequence[Word]) -> bool:
    """Whether one of the words stands for something said elsewhere: "to maintain this", "either date", "the following rates"."""
    nouns = {word.at: word.text.lower() for word in words}
    for word, after in zip(words, (*words[1:], None), strict=True):
        low = word.text.lower()
        if low == "one" and after is not None and after.text in ("after", "before", "if", "when"):
            return True  # "can apply for one after six years": "one" is taken for a numeral
        if low in ("it", "them") and word.role in ("dobj", "pobj"):
            return True
        if low in ("this", "these", "those", "one", "ones") and word.role in _NOUN_ROLES:
            return True
        points = low in ("this", "these", "those", "such", "either") and word.role in ("det", "predet")
        if low == "following" and word.role == "amod" and not TIMES.fullmatch(nouns.get(word.head, "")):
            return True
        if (points and nouns.get(word.head) not in _ITSELF) or (low in _PLACES_IN_THE_TEXT and word.role == "advmod"):
            return True
    return False


def _bare_share(part: Part) -> bool:
    """ "pays 20 %": of what was said before."""
    return part.role in ("dobj", "attr") and bool(PERCENT.fullmatch(part.text))


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
    at_the_end = bool(core) and clause.parts[: len(core)] == tuple(core)  # "entitled (to five days) to help make …"
    half_said = any(  # "provide our staff": with what? "use up to 13 days": of what? "reach out": to whom?
        (part.role == "dobj" and is_person(part.noun)) or (TIMES.fullmatch(part.noun) and " of " not in part.text)
        for part in core
    ) or all(part.role == "prt" for part in core)
    if (
        at_the_end
        and rest
        and clause.lemma != "mean"
        and not half_said
        and not clause.negated
        and not any(re.match(r"(?:only|unless|except|by)\b", part.text, re.I) for part in rest)
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
    things = [part for part in clause.parts if part.role == "dobj"]
    given = things[0] if len(things) == 1 else None
    gives = GETTING if clause.staff else GIVING if clause.organisation else frozenset[str]()
    if given and clause.lemma in gives and not clause.negated and not is_person(given.noun):
        thing = _without_value(voice.words(given.words))
        if thing and not re.search(r"\d|\btheir\b|^(?:one|two|three|notice|or|at|up)\b", thing):
            for opening_words in ("do I get" if re.search(r"\bmy\b", thing) else "do we get", "am I entitled to"):
                said = f"{opening_words} {thing} {voice.circumstances}".strip()
                yield Asked("yes_no", f"{said}?", "Yes")


def _values(voice: Voice) -> Iterator[Asked]:
    """How many, how much, how long, when: one question a value, asked with the words beside it."""
    clause = voice.clause
    for at, part in enumerate(clause.parts):
        said = voice.words(part.words)
        values = find_values(said)
        if not values or part.role in ("advcl", "ccomp"):
            continue
        if any(other.words[0].role == "cc" for other in clause.parts[at + 2 :]):
            continue  # "up to seven days to give marrow, and up to 30 days …" goes on with another
        value = values[0]
        before, after = said[: value.start()].strip(), said[value.end() :].strip(" ,")
        bare = _QUALIFIER.sub("", before).strip()
        preposition = bare.lower() if part.role == "prep" and " " not in bare else ""
        if preposition == "than" or (len(values) > 1 and " and " in said[value.end() : values[1].start()]):
            continue  # "no earlier than", "half of this and 50 percent of that"
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
        amount_of_it = part.role in ("npadvmod", "advmod") and not TIMES.search(unit)
        if amount_of_it and any(other.role == "dobj" for other in clause.parts):
            continue  # "a discount on our products, up to EUR 2,000"
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
    if sum(part.role == "dobj" for part in clause.parts) > 1 or (clause.passive and "get" in clause.auxiliaries):
        return  # misread: "a maximum of award" and "leave"; "must get written" what
    for part in clause.parts:
        if part.role not in ("dobj", "attr") or find_values(part.text) or part.noun in ("it", "them", "this", "that"):
            continue
        if is_person(part.noun):
            if part.role == "dobj" and clause.lemma not in ("have", "include", "mean"):
                yield Asked("who", voice.asks(part, wh="who"))
            continue
        if clause.lemma in ("be", "mean", "make"):
            continue
        if clause.lemma == "have" and not clause.auxiliaries:
            continue
        if voice.subject in ("I", "the company") or clause.staff:
            said_beside = [p for p in clause.parts if p is not part] + [p for p in clause.before if repeatable(p)]
            if not said_beside:
                continue  # "What should I avoid?" is asked of nothing in particular
        yield Asked("what", voice.asks(part, wh="what"))
    first = clause.auxiliaries[0] if clause.auxiliaries else ""
    if voice.subject == "I" and first in ("must", "should", "can", "may"):
        settings = [p for p in clause.parts if p.role == "advcl" or (p.role == "prep" and p.first != "to")]
        settings = [p for p in settings if p.first in ASKABLE]
        told = settings + [p for p in clause.before if repeatable(p)]
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
        if part.role == "advcl" and part.mark in ("if", "when", "once", "after", "before", "until", "while"):
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
        if part.role == "agent" and is_person(part.noun) and " not " not in f" {voice.parts(part)} ":
            rest = voice.parts(part)
            if first in ("must", "may", "can", "should", "will", "shall"):
                yield Asked("who", f"who {first} {clause.lemma} {voice.subject} {rest}?")
            else:
                yield Asked("who", f"who {third(clause.lemma)} {voice.subject} {rest}?")
        elif part.first in ("with", "to", "from", "by") and is_person(part.noun) and _ends_with_it(part):
            yield Asked("who", voice.asks(part, wh="who", instead=part.first))


def _ends_with_it(part: Part) -> bool:
    """Whether nothing but an "of …" follows the person: "with your supervisor about leave" says what is talked of."""
    said = [word.text.lower() for word in part.words]
    return said[said.index(part.noun) + 1 :][:1] in ([], ["of"]) and len(said) <= 7


def _subjects(voice: Voice) -> Iterator[Asked]:
    """The reverse: what it is that is so."""
    clause = voice.clause
    if clause.staff or clause.organisation or clause.role or clause.order or clause.subject[-1].tag in ("NNP", "NNPS"):
        return
    predicate = voice.parts()
    if len(predicate.split()) < 3 or clause.lemma in ("be", "mean", "have"):
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
        if not 3 <= len(part.words) <= 18 or not any(word.tag.startswith(("NN", "PRP")) for word in part.words):
            continue
        said = voice.opening(part)
        if not re.search(r"\b(?:it|they)\b", said):
            yield Asked("condition", f"what happens {said}?")
            yield Asked("condition", f"{said}, what applies?")
        story = re.sub(r"^(?:if|when)\s", "", said, flags=re.IGNORECASE)
        alone_told = not any(other.role == "advcl" for other in clause.parts if other is not part)
        if part.mark in ("if", "when") and alone_told and re.match(r"(?:I|my|the|an?)\b", story):
            alone = replace(
                clause,
                parts=tuple(p for p in clause.parts if p is not part),
                before=tuple(p for p in clause.before if p is not part),
            )
            verdict = "No" if clause.negated else "Yes"
            asks = replace(voice, clause=alone).asks()
            yield Asked("scenario", f"{story[0].upper()}{story[1:]}. {asks[0].upper()}{asks[1:]}", verdict)


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

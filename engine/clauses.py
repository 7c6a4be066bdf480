"""A parsed sentence -> its clauses: who does what, under which circumstances. Knows grammar, no policy and no question."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from engine.grammar import base_form
from engine.lexicon import AUXILIARIES, ORGANISATION, PERSONS, ROLE_WORDS, STAFF
from engine.parsing import Parsed, Word, parse, text_of

SUBJECTS = ("nsubj", "nsubjpass", "csubj", "csubjpass", "expl")
_AUX = ("aux", "auxpass")
_DROPPED = ("punct", "cc", "mark", "preconj", "intj", "meta", "dep", *_AUX, *SUBJECTS, "neg")
_PRONOUNS = frozenset("it they this these those that he she which who there one".split())
_TIMES = frozenset("day week month year hour minute quarter date end start deadline".split())
_COURTESY = frozenset("thank welcome see note refer feel".split())
"""Orders that nobody asks whether to follow: they point at another page or are a manner of speaking."""
_FULL = {"ca": "can", "wo": "will", "sha": "shall", "'ll": "will", "'re": "are", "'s": "is", "'ve": "have", "'m": "am"}


@dataclass(frozen=True)
class Part:
    """One thing that follows or precedes a verb: its object, a place, a time, a condition."""

    role: str  # ClearNLP's label of the word it hangs by
    words: tuple[Word, ...]
    first: str  # the word it hangs by, lower-cased: the preposition of a prepositional phrase
    noun: str = ""  # the noun after a preposition, or the noun itself; lower-cased
    comma: bool = False  # whether one stands before it
    mark: str = ""  # "if", "when", "because" of a subordinate clause; "to" of a purpose; "ing" after a preposition

    @property
    def text(self) -> str:
        """As it stood."""
        return text_of(self.words).strip(" ,;")


@dataclass(frozen=True)
class Clause:
    """ "Employees must not travel when tired." -> subject, auxiliaries ("must",), negated, verb "travel", parts."""

    subject: tuple[Word, ...]
    head: str  # the subject's noun, lower-cased
    auxiliaries: tuple[str, ...]  # full words, lower-cased: "must", "have", "been"
    verb: str  # as it stands after its auxiliary: "paid", "be", "travel"; "" where "is" alone is the verb
    lemma: str
    plural: bool
    negated: bool
    passive: bool
    parts: tuple[Part, ...]  # after the verb, in order
    before: tuple[Part, ...] = ()  # before the subject: "If you are ill, …"
    order: bool = False  # "Submit the form.": the subject is "you", the auxiliary "must"

    @property
    def who(self) -> str:
        """The subject as it stood, lower-cased."""
        return text_of(self.subject).lower()

    @property
    def staff(self) -> bool:
        """Whether the subject is anybody who works there, so that a person may ask it as "I"."""
        return self.order or self.who in STAFF

    @property
    def organisation(self) -> bool:
        """Whether the subject is the organisation itself."""
        return self.who in ORGANISATION

    @property
    def role(self) -> bool:
        """Whether the subject is somebody with a function: "the line manager"."""
        return not self.staff and not self.organisation and is_person(self.head)

    @property
    def pronoun(self) -> bool:
        """Whether the subject points at another sentence."""
        return self.who in _PRONOUNS


def is_person(noun: str) -> bool:
    """Whether a noun, lower-cased, names somebody who can be asked after with "who"."""
    return noun in ROLE_WORDS or noun in PERSONS


def clauses_of(sentence: Parsed) -> list[Clause]:
    """Its main clauses and those joined to them by "and" or "but"; empty for a fragment."""
    sentence = mended(sentence)
    roots = [word for word in sentence.words if word.role == "ROOT"]
    if not roots or not roots[0].tag.startswith(("VB", "MD")):
        return []
    first = _clause(sentence, roots[0], None)
    found = [first] if first else []
    for other in _joined(sentence, roots[0].at):
        clause = _clause(sentence, other, first)
        if clause:
            found.append(clause)
    return found


def mended(sentence: Parsed) -> Parsed:
    """The same, or as it is understood when "will" stands before a verb that was taken for a noun."""
    root = next((word for word in sentence.words if word.role == "ROOT"), None)
    again = _with_will(sentence, root) if root and not root.tag.startswith(("VB", "MD")) else ""
    return parse([again])[0] if again else sentence


def _with_will(sentence: Parsed, root: Word) -> str:
    """ "Unused days lapse on 31 March" is taken for one long noun; with "will" before its verb it is none. "" elsewhere."""
    verb = base_form(root.text)
    follows = sentence.words[root.at + 1] if root.at + 1 < len(sentence.words) else None
    conditions = {word.at for part in sentence.children(root.at, "advcl") for word in sentence.under(part.at)}
    own = [word for word in sentence.words if word.at not in conditions]
    if root.at == 0 or verb is None or any(word.text.lower() in AUXILIARIES for word in own):
        return ""
    if follows is None or follows.tag not in ("IN", "RB", "WRB", "DT", "CD", "TO", "."):
        return ""
    return f"{text_of(sentence.words[: root.at])} will {verb[0]} {text_of(sentence.words[root.at + 1 :])}"


def _shares_its_object(sentence: Parsed, verb: Word) -> bool:
    """ "may complete and route the form": the form hangs on the second verb alone, and "complete" stands bare."""
    after = sentence.words[verb.at + 1] if verb.at + 1 < len(sentence.words) else None
    return (
        after is not None and after.role == "cc" and after.head == verb.at and bool(sentence.children(verb.at, "conj"))
    )


def _together(sentence: Parsed, heads: Sequence[int]) -> list[Word]:
    """All that hangs on the subjects: "carry-over" is taken for two."""
    places = [word.at for head in heads for word in sentence.under(head)]
    return list(sentence.words[min(places) : max(places) + 1])


def _joined(sentence: Parsed, at: int) -> Iterator[Word]:
    for word in sentence.children(at, "conj"):
        if word.tag.startswith("VB") and _is_joined(sentence, at, word):
            yield word
            yield from _joined(sentence, word.at)


def _is_joined(sentence: Parsed, at: int, word: Word) -> bool:
    """Whether "and", "but" or a stop stands between; "for however long you serve" is joined by nothing."""
    return any(joint.at < word.at for joint in sentence.children(at, "cc", "punct"))


def _is_no_order(sentence: Parsed, order: Word) -> bool:
    """
    Whether a verb without a subject is not what one is told to do: the second of "We will not sell or rent data", or the noun
    of "Leave for a second attempt is unpaid", which another verb follows that has neither subject nor joint.
    """
    return order.role != "ROOT" or any(
        word.tag in ("VBZ", "MD")
        and not sentence.children(word.at, *SUBJECTS)
        and not _is_joined(sentence, order.at, word)
        for word in sentence.children(order.at, "conj")
    )


def _clause(sentence: Parsed, verb: Word, first: Clause | None) -> Clause | None:
    subjects = sentence.children(verb.at, *SUBJECTS)
    subject = next((word for word in subjects if word.role != "expl"), None)
    auxiliaries = [word for word in sentence.children(verb.at, *_AUX) if word.at < verb.at]
    negations = [word for word in sentence.children(verb.at, "neg") if word.at <= verb.at + 1]
    negated = bool(negations)
    found = list(_parts(sentence, verb))
    parts = [p for p in found if not any(p is not q and {*p.words} < {*q.words} for q in found)]
    start = subject.at if subject else verb.at
    after = tuple(part for part in parts if part.words[0].at > verb.at)
    before = tuple(part for part in parts if part.words[-1].at < start) if subject else ()
    names = tuple(_FULL.get(word.text.lower(), word.text.lower()) for word in auxiliaries)
    passive = any(word.role == "auxpass" for word in auxiliaries)
    if names[:1] == ("be",) or (subject is None and first is None and _is_no_order(sentence, verb)):
        return None  # "that inquiries be referred"
    if subject is None:
        return _without_subject(verb, names, negated, passive, after, tuple(parts), first)
    if any(word.role == "expl" for word in subjects):
        return None
    words = tuple(_trimmed(_together(sentence, [word.at for word in subjects])))
    if not words or words[-1].at >= verb.at:
        return None
    if words[0].role == "prep":
        return None  # "During family leave an employee may …" is misread: "leave an employee" is no subject
    if words[0].text.lower() in ("no", "neither", "none", "nobody", "nothing"):
        return None  # "No employee may …": its yes and no are turned round
    form, lemma = verb.text.lower(), verb.lemma.lower()
    if verb.tag == "VBZ" and lemma == form:  # a verb that the lemmatiser does not know
        lemma = (base_form(form) or (form.removesuffix("s"), True))[0]
    if verb.tag == "MD" or _shares_its_object(sentence, verb):
        return None
    if lemma == "be" and form != "be" and form != "been":  # "is", "are" alone
        names, form = (*names, _FULL.get(form, form)), ""
    elif not names and verb.tag not in ("VBZ", "VBP", "VBD", "VB"):
        return None
    elif not names:
        form = lemma
    past = verb.tag == "VBD" and not auxiliaries and lemma != "be"
    if past:
        return None  # what happened is no rule
    plural = subject.tag in ("NNS", "NNPS") or subject.text.lower() in ("you", "we", "they", "i", "staff", "people")
    plural = plural or bool(sentence.children(subject.at, "conj"))
    return Clause(words, subject.text.lower(), names, form, lemma, plural, negated, passive, after, before)


def _without_subject(
    verb: Word,
    names: tuple[str, ...],
    negated: bool,
    passive: bool,
    after: tuple[Part, ...],
    parts: tuple[Part, ...],
    first: Clause | None,
) -> Clause | None:
    """An order, or the second verb of "review the form and notify you", which shares subject and auxiliary with the first."""
    if first is not None:
        if names:
            auxiliaries, form = names, verb.text.lower()
        elif (verb.tag == "VBN" and first.passive) or (verb.tag == "VB" and first.auxiliaries):
            auxiliaries, form = first.auxiliaries, verb.text.lower()
        elif verb.tag in ("VBZ", "VBP") and not first.auxiliaries:
            auxiliaries, form = (), verb.lemma.lower()
        else:
            return None
        if first.negated or verb.lemma.lower() == "be":
            return None
        passive = verb.tag == "VBN" and first.passive
        return replace(
            first,
            auxiliaries=auxiliaries,
            verb=form,
            lemma=verb.lemma.lower(),
            negated=negated,
            passive=passive,
            parts=after,
        )
    if verb.tag not in ("VB", "VBP") or set(names) - {"do"} or verb.lemma.lower() in _COURTESY:
        return None
    you = (Word(-1, "you", " ", "PRP", "nsubj", verb.at, "you"),)
    auxiliary = "may" if negated else "must"
    fronted = tuple(part for part in parts if part.words[-1].at < verb.at)
    return Clause(
        you,
        "you",
        (auxiliary,),
        verb.lemma.lower(),
        verb.lemma.lower(),
        True,
        negated,
        False,
        after,
        fronted,
        order=True,
    )


def _parts(sentence: Parsed, verb: Word) -> Iterator[Part]:
    for child in sentence.children(verb.at):
        if child.role in _DROPPED or (child.role == "conj" and child.tag.startswith("VB")):
            continue
        stops = [word.at for word in sentence.words if word.text in (":", ";") and verb.at < word.at]
        if stops and child.at > stops[0]:
            continue  # another sentence
        late = _time_at_its_end(sentence, child)
        words = tuple(_trimmed(_unbroken(sentence, sentence.under(child.at, without=[late.at] if late else []))))
        if not words or words[0].text.lower().startswith(("i.e", "e.g")):
            continue
        comma = words[0].at > 0 and sentence.words[words[0].at - 1].text == ","
        joint = sentence.words[words[0].at - 1] if words[0].at else None
        if joint and joint.role == "cc" and joint.head == verb.at:
            if any(word.at > child.at and word.tag.startswith("VB") for word in sentence.children(verb.at, "conj")):
                continue  # of the verb that follows
            words = (joint, *words)
        mark, noun = "", ""
        if child.role == "prep":
            nouns = sentence.children(child.at, "pobj")
            noun = nouns[0].text.lower() if nouns else ""
            mark = "ing" if sentence.children(child.at, "pcomp") else ""
        elif child.role == "advcl":
            mark = next((word.text.lower() for word in words[:2] if word.role in ("mark", "advmod")), "")
            mark = mark or ("to" if words[0].text.lower() == "to" else "")
        elif child.role == "agent":
            noun = next((word.text.lower() for word in sentence.children(child.at, "pobj")), "")
            if not is_person(noun):  # "by 15 December" is taken for a doer
                yield Part("prep", words, "by", noun, comma)
                continue
        else:
            noun = child.text.lower()
        yield Part(child.role, words, words[0].text.lower() if child.role != "advcl" else mark, noun, comma, mark)
        if late:
            nouns = sentence.children(late.at, "pobj")
            yield Part(
                "prep",
                tuple(_trimmed(sentence.under(late.at))),
                late.text.lower(),
                nouns[0].text.lower() if nouns else "",
            )


def _unbroken(sentence: Parsed, words: Sequence[Word]) -> list[Word]:
    """ "pre-approved" is three words for the parser, and the first may hang elsewhere."""
    found = list(words)
    while found and found[0].at > 0:
        before = sentence.words[found[0].at - 1]
        if before.space or "-" not in (before.text, found[0].text):
            break
        found.insert(0, before)
    return found


def _time_at_its_end(sentence: Parsed, child: Word) -> Word | None:
    """ "adds a statement within 15 days": the parser hangs the time on the noun; it belongs to the verb."""
    if child.role not in ("dobj", "attr"):
        return None
    last = sentence.children(child.at, "prep")[-1:]
    if not last or last[0].text.lower() not in (
        "within",
        "before",
        "after",
        "by",
        "until",
        "for",
        "from",
        "on",
        "in",
        "at",
    ):
        return None
    told = sentence.under(last[0].at)
    ends_it = told[-1].at == sentence.under(child.at)[-1].at
    counts = any(word.tag == "CD" or word.lemma.lower() in _TIMES for word in told)
    return last[0] if ends_it and counts else None


def _trimmed(words: Sequence[Word]) -> list[Word]:
    """Without commas, dashes and stops at either end."""
    found = list(words)
    while found and (
        found[-1].tag in (",", ".", ":", "HYPH", "NFP", "``", "''") or found[-1].role in ("cc", "preconj")
    ):
        found.pop()
    while found and found[0].tag in (",", ".", ":", "HYPH", "NFP"):
        found.pop(0)
    return found

"""One fact -> the many ways people ask for it. Rules and a parser: no generating model, no network."""

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import log

from engine.asking import Asked, asking, leans, questions
from engine.clauses import Clause, clauses_of, is_person, mended
from engine.facts import DATE, RULE, find_values
from engine.grammar import base_form, is_sentence, uncapitalised
from engine.lexicon import AUXILIARIES, GREETINGS, ORGANISATION, STAFF, STOPWORDS, SYNONYMS
from engine.naming import Thing, gerund, things
from engine.parsing import Parsed, parse
from engine.records import Fact
from engine.sentences import sentences
from engine.styles import TOPIC_FORMS
from engine.voices import Voice, voices

GENERIC_HEADINGS = frozenset(
    """
    overview general purpose introduction policy scope details background summary other notes policies
    guidelines
    """.split()
)
GENERIC_COLUMNS = frozenset("detail details value values description information entry note content".split())
GENERIC_NOUNS = frozenset(
    """
    policy policies document handbook manual section clause case cases example time way thing things rule rules following people
    person number part amount day days week weeks month months year years hour hours date period order reason reasons use end type
    kind business questions question information employment return move receipt request requests advance half age start copy rate
    rates role roles january february march april may june july august september october november december monday tuesday
    wednesday thursday friday saturday sunday morning afternoon site sites place value values change changes birth payment
    payments note notes need needs item items list page matter matters work job jobs fact facts examples detail details respect
    maximum minimum limit limits increase decision reply answer result results form forms step steps point points event events
    area areas member members
    """.split()
)
EMPTY_NOUNS = frozenset(
    """
    way ways kind kinds effect process basis importance fashion manner situation situations topic topics circumstances step steps
    thing things reason reasons respect
    """.split()
)
"""Nouns that name nothing even with an adjective: "recommended ways"."""
TOPICS_PER_FACT = 3
_OPENS_A_CLAUSE = re.compile(r"(?:about|we|you|they|it|our|your|who|what|when|where|why|how|if)\b", re.IGNORECASE)
_STANDS_FOR_ITSELF = re.compile(r"(?:about|after|before|during)\b", re.IGNORECASE)
"""No "Regarding before birth, …"."""


@dataclass(frozen=True)
class Wording:
    """One question for a fact, and the answer it wants. `phrase` is the thing asked about, where the question names one."""

    form: str
    question: str
    answer: str
    phrase: str = ""


@dataclass(frozen=True)
class Vocabulary:
    """What the corpus says about words: which are names, and how rare each is (inverse document frequency)."""

    proper: frozenset[str]
    rarity: dict[str, float]

    def telling(self, phrase: str) -> float:
        """How much a phrase tells in this corpus: the rarity of its words, longer ones a little more."""
        words = [word for word in re.findall(r"[a-z][\w'-]*", phrase.lower()) if word not in STOPWORDS]
        return sum(self.rarity.get(word, 3.0) for word in words) / len(words) ** 0.5 if words else 0.0


_NUMBERED = re.compile(
    r"^(?:(?:Part|Rule|Section|Article|Chapter|Clause|Annex|Appendix|Schedule|Step|Stage|§)\s+(?:\d[\d.]*|[IVX]+|[A-Z])[.):]?"
    r"|\d[\d.]*[A-Za-z]?[.):]?|[A-Z]\d[\d.]*[.):]?|\([A-Za-z\d]{1,3}\)|[A-Za-z][.)]|[IVX]+\.)\s+"
)


def topic_of(clause: str) -> str:
    """The innermost heading that names something, without its number: "Part 4. Leave › 4.2 Sick leave" -> "Sick leave"."""
    parts = [_NUMBERED.sub("", part).strip(" :") for part in clause.split(" › ")]
    for part in reversed(parts):
        if part and not {*part.lower().split()} <= GENERIC_HEADINGS | {"and", "&"}:
            return part
    return parts[-1] if parts else ""


def wordings(fact: Fact, vocabulary: Vocabulary) -> list[Wording]:
    """
    Every wording the rules find for a fact, plain ones first; none twice.

    The answer to all is the statement, with "Yes." or "No." before it where the question asks for it.
    """
    topic = " ".join(uncapitalised(word, vocabulary.proper) for word in topic_of(fact.clause).split())
    parsed = _parsed(fact)
    found_things = _told_of(fact, parsed, vocabulary)
    found: dict[str, Wording] = {}
    for asked in _all_forms(fact, parsed, topic, found_things, vocabulary):
        question = _tidy(asked.question)
        if not 3 <= len(question.split()) <= 34 or question.lower() in found or not _sound(question):
            continue
        answer = f"{asked.verdict}. {fact.statement}" if asked.verdict else fact.statement
        phrase = _named_in(question, found_things)
        found[question.lower()] = Wording(asked.form, question, answer, phrase)
    return list(found.values())


def thing_asked_about(question: str, fact: Fact, vocabulary: Vocabulary) -> str:
    """The thing the fact speaks of that a question names in the fact's own words; "" where it names none."""
    return _named_in(question, _told_of(fact, _parsed(fact), vocabulary))


def _parsed(fact: Fact) -> list[Parsed]:
    return [] if _is_row(fact) else [mended(sentence) for sentence in parse(_told(fact))]


def _named_in(question: str, told_of: Sequence[Thing]) -> str:
    return next((thing.bare for thing in told_of if thing.bare.lower() in question.lower()), "")


def _told_of(fact: Fact, parsed: Sequence[Parsed], vocabulary: Vocabulary) -> list[Thing]:
    alone = [] if parsed or _is_row(fact) else parse([fact.statement.rpartition(": ")[2]])
    return _things(parsed or alone, vocabulary)


def _is_row(fact: Fact) -> bool:
    """Whether a fact is the row of a table: its label, then its cells."""
    lead, _, item = fact.statement.rstrip(".").partition(": ")
    if (
        not item
        or not fact.statement.startswith(fact.evidence[:20])
        or lead.lower() == "for example"
        or (len(lead.split()) > 3 and is_sentence(lead))
    ):
        return False
    has_columns = bool(fact.value) or item.split()[0].lower() in GENERIC_COLUMNS
    return ";" in item or (has_columns and len(lead.split()) <= 6 and not is_sentence(item))


def _told(fact: Fact) -> list[str]:
    """The sentences of a fact to ask about: of a list item, its lead-in and itself in one sentence."""
    if "\n" in fact.evidence:
        return []  # a whole list
    if ": " in fact.statement and not fact.statement.startswith(fact.evidence[:20]):
        lead, _, item = fact.statement.rstrip(".").partition(": ")
        if re.search(r"\b(?:following|below|not limited to|e\.g)\b|,\s*\w+$", lead) or len(lead.split()) < 4:
            return []
        if not is_sentence(lead) or lead.endswith("."):  # its headings; what stands complete without it
            return []
        return [f"{lead} {_lowered(item)}."]
    if (
        ": " in fact.statement[:60]
        and not find_values(fact.statement.partition(": ")[0])
        and fact.evidence.count(";") > 0
    ):
        return []  # the row of a table
    return sentences(fact.statement) or [fact.statement]


def _all_forms(
    fact: Fact, parsed: Sequence[Parsed], topic: str, told_of: Sequence[Thing], vocabulary: Vocabulary
) -> Iterator[Asked]:
    first: Clause | None = None
    for number, sentence in enumerate(parsed):
        for clause in clauses_of(sentence) if _lays_down(sentence) else ():
            stands_for = _meant(clause, first)
            first = first or clause
            if stands_for is None or number < len(parsed) - 1:
                continue  # of two sentences that lean on each other, the first is a fact of its own and asked there
            subject = uncapitalised(_plain_subject(stands_for), vocabulary.proper)
            if len(subject.split()) > 18:
                continue
            for voice in voices(stands_for, subject):
                yield from questions(voice)
                yield from _doing(voice)
    yield from _list_forms(fact, topic)
    yield from _topics(topic, told_of, rules=bool(RULE.search(fact.statement) or fact.value))


def _lays_down(sentence: Parsed) -> bool:
    """Whether a sentence says how things are; a question in it, or an example, does not."""
    opening = " ".join(word.text.lower() for word in sentence.words[:2])
    return opening != "for example" and not any("?" in word.text for word in sentence.words)


def _meant(clause: Clause, first: Clause | None) -> Clause | None:
    """A clause whose "it" or "they" is put back into the first one's words; None where that would be a guess."""
    if not clause.pronoun:
        return clause
    if (
        first is None
        or first.staff
        or first.organisation
        or first.role
        or first.pronoun
        or first.who in STAFF | ORGANISATION
    ):
        return None
    if clause.who not in ("it", "they") or (clause.who == "they") is not first.plural:
        return None
    return replace(clause, subject=first.subject, head=first.head, plural=first.plural)


def _plain_subject(clause: Clause) -> str:
    text = "".join(word.text + word.space for word in clause.subject).strip(" ,;")
    return re.sub(
        r"^(?:your|our)\b", lambda found: {"your": "my", "our": "the company's"}[found[0].lower()], text, flags=re.I
    )


def _doing(voice: Voice) -> Iterator[Asked]:
    """What there is to know of an action: "carrying over annual leave"."""
    clause = voice.clause
    if (
        not clause.staff
        or leans(clause)
        or clause.passive
        or clause.lemma in ("be", "have")
        or clause.verb != clause.lemma
    ):
        return
    core = [part for part in clause.parts if part.role in ("prt", "dobj", "xcomp", "ccomp")] or clause.parts[:1]
    action = f"{gerund(clause.lemma)} {' '.join(voice.words(part.words) for part in core)}".strip()
    says_of_what = any(part.role != "prt" for part in core)
    if (
        says_of_what
        and len(action.split()) <= 12
        and not find_values(action)
        and not {"their", "possible"} & {*action.split()}
    ):
        yield Asked("action", f"what are the rules on {action}?")
        yield Asked("action", f"what should I know about {action}?")
        yield Asked("action", f"I have a question about {action}.")


def _topics(topic: str, told_of: Sequence[Thing], *, rules: bool) -> Iterator[Asked]:
    """What always works: the things that a fact speaks of, and the name of its clause. `rules`: whether it lays one down."""
    about = [form for form in TOPIC_FORMS if rules or not re.search(r"\b(?:rules?|policy on|applies)\b", form)]
    for number, thing in enumerate(told_of):
        named = " " in thing.bare or re.search(r"[A-Z]", thing.bare[1:])  # "the limit": of what? "English": what of it?
        forms = about[number % 2 :: 2] if named else ()
        yield from (Asked("topic", form.format(thing.named)) for form in forms)
        if topic and len(topic.split()) <= 4 and _apart(topic, thing.bare):
            if (named or (thing.acts and not is_person(thing.bare.lower()))) and not _STANDS_FOR_ITSELF.match(topic):
                yield Asked("topic", f"regarding {topic}, what applies to {thing.named}?")
            yield Asked("keywords", f"{topic} {thing.bare}")
    for one, other in pairwise(thing.bare for thing in told_of):
        if _apart(one, other):
            yield Asked("keywords", f"{one} {other}")


def _apart(one: str, other: str) -> bool:
    return other.lower() not in one.lower() and one.lower() not in other.lower()


def _things(parsed: Sequence[Parsed], vocabulary: Vocabulary) -> list[Thing]:
    """The most telling things that the last sentence speaks of, without those that any policy speaks of."""
    found: dict[Thing, float] = {}
    for thing in things(parsed[-1].words, parsed[-1].chunks) if parsed else ():
        words = thing.bare.lower().split()
        plain = [word for word in words if word not in STOPWORDS and word not in GENERIC_NOUNS]
        if (
            not plain
            or thing.bare.lower().split(" of ")[0].split()[-1] in EMPTY_NOUNS
            or "following" in words
            or {thing.bare.lower(), thing.named.lower()} & (STAFF | ORGANISATION | {"leave"})
            or len(words) > 6
        ):
            continue
        if "and/or" in words or find_values(thing.bare) or words[0] in ("eur", "usd", "gbp"):
            continue
        if not re.fullmatch(r"[\w'&/ -]+", thing.bare) or words[-1] in ("employee", "employees"):
            continue
        found.setdefault(thing, vocabulary.telling(thing.bare) / (1 if len(plain) > 1 else 2))
    return sorted(found, key=lambda thing: -found[thing])[:TOPICS_PER_FACT]


def _sound(question: str) -> bool:
    """Whether a question reads as one: no doubled word, no loose bracket, no dash or colon at its end."""
    low = question.lower()
    if re.search(r"\b(\w+) \1\b|[:;(–-]\s*\?$|\?\S|[\[\]{}<>|]", low) and not re.search(
        r"\b(?:that that|had had)\b", low
    ):
        return False
    if re.search(r"\b(?:for|to|of|in|on|at|by|with|from|pre|and|or|as)\?$", low) and not re.match(
        r"(?:\w+ )?(?:who|what|which|where)\b", low
    ):
        return False
    return low.count("(") == low.count(")") and low.count('"') % 2 == 0


def _list_forms(fact: Fact, topic: str) -> Iterator[Asked]:
    """A whole list asked by its lead-in, a list item by itself, a table row by its label and its columns."""
    lead, _, item = fact.statement.rstrip(".").partition(": ")
    if not item:
        return
    if "\n" in fact.evidence:
        yield from _whole_list(lead, topic)
        return
    cells = [cell.strip() for cell in item.split(";")]
    if _is_row(fact):
        for cell in cells:
            yield from _cell(lead.strip(), cell)
        if not re.search(r"\d|\b(?:from|by|to|of|for)$", lead):  # "10 years or more" is a row of something
            yield from (Asked("topic", form.format(_lowered(lead))) for form in TOPIC_FORMS[:4])
        return
    inner, _, given = item.partition(":")
    if given and find_values(given):
        word, unit = asking(find_values(given)[0][0])
        if word != "when":
            yield Asked("how_many", f"{word} {unit} do I get for {_lowered(inner)}?")
        item = "" if re.search(r"\d", inner) else inner  # "fewer than 3 years" is a row of something
    if 2 <= len(item.split()) <= 14 and not is_sentence(item) and not _OPENS_A_CLAUSE.match(item) and ": " not in item:
        yield Asked("list", f"what does the policy say about {_lowered(item)}?")
        yield Asked("list", f"does the policy mention {_lowered(item)}?", "Yes")


def _cell(label: str, cell: str) -> Iterator[Asked]:
    """One cell of a table row: the value of a named column."""
    found = re.match(r"(.+?)\s(?=[\d$€£]|[A-Z]|None\b)", cell)
    name = (found[1] if found else cell).lower()
    if name in GENERIC_COLUMNS:
        yield Asked("cell", f"what is the {label}?")
        yield Asked("cell", f"can you tell me the {label}?")
        if DATE.search(cell):
            yield Asked("cell", f"what is the {_lowered(label)} date?")
        return
    if not found or len(name.split()) > 5:
        return
    thing = _lowered(label)
    if name.endswith(" by"):
        yield Asked("cell", f"who is {thing} {name}?")
        yield Asked("cell", f"by whom is {thing} {name[:-3]}?")
    else:
        noun = re.split(r"\s(?:at|of|per|for)\s", name)[0]
        verb, applies = ("are", "apply") if noun.endswith("s") and not noun.endswith("ss") else ("is", "applies")
        yield Asked("cell", f"what {verb} the {name} for {thing}?")
        yield Asked("cell", f"for {thing}, what {verb} the {name}?")
        yield Asked("cell", f"{thing}: what {name} {applies}?")
    yield Asked("keywords", f"{thing} {name}")


def _whole_list(lead: str, topic: str) -> Iterator[Asked]:
    """ "Each request must include the following" -> "What must each request include?"; any other lead-in by its clause."""
    lead = re.sub(r"\s(?:all of )?the following(?: \w+)?$", "", lead)
    sayable = len(lead.split()) >= 4 and "following" not in lead
    asked = 0
    for sentence in parse([f"{lead} this."]) if sayable else ():
        for clause in clauses_of(sentence):
            part = next((part for part in clause.parts if part.words[-1].text == "this"), None)
            if part is not None and len(part.words) <= 2 and not clause.pronoun:
                more = part.first if len(part.words) == 2 else ""
                for voice in voices(clause, _lowered(_plain_subject(clause))):
                    asked += 1
                    yield Asked("whole_list", voice.asks(part, wh="what", more=more))
                    yield Asked("whole_list", voice.asks(part, wh="what all", more=more))
    if topic and not asked:
        yield Asked("whole_list", f"what is listed under {topic}?")
        yield Asked("whole_list", f"can you list everything under {topic}?")


def spoken(wording: Wording, rng: random.Random) -> Wording:
    """The same question as another person would type it: other words, no capital, no question mark, a greeting."""
    question = wording.question
    for known in sorted(SYNONYMS, key=len, reverse=True):
        found = re.search(rf"(?<![\w-])(?:(an?) )?{known}(?![\w-])", question, re.IGNORECASE)
        if found and rng.random() < 0.35:
            put = rng.choice(SYNONYMS[known])
            if not _fits(put, question[: found.start()], found[0], question[found.end() :]):
                continue
            article = f"{'an' if put[0].lower() in 'aeiou' else 'a'} " if found[1] else ""
            question = question[: found.start()] + article + put + question[found.end() :]
    if rng.random() < 0.08 and wording.form != "keywords":
        question = rng.choice(GREETINGS) + question[0].lower() + question[1:]
    if rng.random() < 0.15:
        question = question.lower()
    if rng.random() < 0.1:
        question = question.rstrip("?")
    return replace(wording, question=question)


def _fits(put: str, before: str, replaced: str, after: str) -> bool:
    """Whether other words may stand there: not twice in one question, not in a name, not where several stand for half a compound."""
    left, right = before.split()[-1:], after.split()[:1] if after.startswith(" ") else []
    within_a_name = any(word[0].isupper() for word in (before.split()[1:] and left) + right)
    if put.lower() in f"{before}{after}".lower() or (replaced[0].isupper() and within_a_name):
        return False
    follows = right[0].lower().strip("?,.") if right else ""
    if (
        " " in put
        and right
        and (follows not in STOPWORDS | AUXILIARIES or (put.startswith("being") and follows == "of"))
    ):
        return False  # "parental leave reasons" are no "time off for a new baby reasons"
    phrase = re.search(r"\b(?:being|for|from|off|without)\b", put)  # "mental being sick", "paid time off for a funeral"
    return not (phrase and left and left[0].lower() not in STOPWORDS | AUXILIARIES and not base_form(left[0]))


def _shortened(text: str) -> str:
    """The first dozen words, cut at a comma or a connective where one stands."""
    cut = re.split(
        r",|;|\s(?:and|or|because|so that|in order to|which|where|including|as well as|except)\s", text, maxsplit=1
    )[0]
    words = cut.split()
    return " ".join(words[:12]) if len(words) >= 2 else " ".join(text.split()[:12])


def _lowered(text: str) -> str:
    """As it stands inside a sentence; a title or a name ("Aaron Ogle, …") stays."""
    words = text.split()
    name = (
        not text[:1].isupper()
        or any(letter.isupper() for letter in words[0][1:])
        or (len(words) > 1 and words[1][0].isupper())
        or words[:1] in (["Dr."], ["Mr."], ["Ms."])
    )
    return text if name else text[:1].lower() + text[1:]


def _tidy(question: str) -> str:
    question = re.sub(r"\s+([?,.])", r"\1", " ".join(question.split()))
    question = re.sub(r"\bi\b", "I", question)
    question = re.sub(r"[,;]\?$", "?", question)
    return question[0].upper() + question[1:] if question else question


def vocabulary_of(texts: Sequence[str], proper: frozenset[str]) -> Vocabulary:
    """Count in how many of the texts each word stands."""
    seen: dict[str, int] = {}
    for text in texts:
        for word in set(re.findall(r"[a-z][\w'-]*", text.lower())):
            seen[word] = seen.get(word, 0) + 1
    return Vocabulary(proper, {word: log((1 + len(texts)) / n) for word, n in seen.items()})

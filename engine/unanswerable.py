"""Questions the policies do not answer, half of them near misses, each checked against the whole corpus."""

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b

import snowballstemmer

from engine.clauses import is_person
from engine.grammar import uncapitalised
from engine.lexicon import ABSENT_TOPICS, AUDIENCES, OFF_TOPIC, STOPWORDS
from engine.phrasing import Vocabulary, Wording, topic_of
from engine.records import Fact
from engine.styles import OFFER_FORMS, PRESENT, TEMPLATES, TOPIC_FORMS, VALUE_FORMS

SHARES = {
    "near_miss.swap": 0.65,
    "absent_topic": 0.10,
    "near_miss.value": 0.12,
    "near_miss.audience": 0.05,
    "off_topic": 0.08,
}
"""
Of the unanswerable rows. The near misses use the policy's own words and together make more than half.

Swaps lead, because they are asked exactly as the answerable questions are: a style that only unanswerable rows have is taken for
the sign of one, and then a stranger's question is refused for its style.
"""

_STEMMER = snowballstemmer.stemmer("english")


@dataclass(frozen=True)
class Unanswerable:
    """One question without an answer. `group` keeps the wordings of one absence on one side of the split."""

    group: str
    form: str
    question: str


@dataclass(frozen=True)
class Absence:
    """What the corpus holds, for telling what it does not."""

    stems: frozenset[str]
    clauses: dict[str, str]  # clause path -> all its text
    topics: tuple[str, ...]

    def lacks(self, phrase: str) -> bool:
        """Whether some content word of `phrase` stands nowhere in the corpus, nor a longer form of it: "exam", "examination"."""
        stems = (stem(word) for word in content_words(phrase))
        return any(not any(known.startswith(wanted) for known in self.stems) for wanted in stems)


def content_words(text: str) -> list[str]:
    """Words that carry the topic, lower-cased."""
    return [word for word in re.findall(r"[a-z][a-z'-]+", text.lower()) if word not in STOPWORDS and len(word) > 2]


@cache
def stem(word: str) -> str:
    """The Snowball stem, by which "reimbursed" and "reimbursement" are one topic."""
    return str(_STEMMER.stemWord(word.lower().removesuffix("'s")))


def absence_of(facts: Sequence[Fact], texts: Sequence[tuple[str, str]]) -> Absence:
    """`texts`: (clause, text) of every passage, so that absence is checked against the whole corpus, not one fact."""
    clauses: dict[str, str] = {}
    for clause, text in texts:
        clauses[clause] = f"{clauses.get(clause, '')} {text}"
    stems = frozenset(stem(word) for clause, text in texts for word in content_words(f"{clause} {text}"))
    topics = dict.fromkeys(topic_of(fact.clause) for fact in facts)
    return Absence(stems, clauses, tuple(topic for topic in topics if 1 <= len(topic.split()) <= 8))


def unanswerables(
    facts: Sequence[Fact],
    questions: Sequence[Wording],
    absence: Absence,
    vocabulary: Vocabulary,
    *,
    count: int,
    rng: random.Random,
) -> list[Unanswerable]:
    """
    About `count` questions in the shares of SHARES, none twice; fewer where a small policy leaves no more to ask.

    `questions` are real wordings of the corpus: a thing or an audience it never mentions turns one into a near miss.
    """
    sources = {
        "absent_topic": _absent_topics(absence, rng),
        "near_miss.value": _missing_values(facts, questions, absence, vocabulary, rng),
        "near_miss.audience": _audiences(questions, absence, rng),
        "off_topic": _off_topic(absence, rng),
        "near_miss.swap": _swaps(questions, absence, rng),
    }
    found: dict[str, Unanswerable] = {}
    shares = [(form, round(count * SHARES[form])) for form in sources if form != "near_miss.swap"]
    # First each its share; the swaps, and after them whoever has more, make up for those that fall short.
    for form, most in (*shares, ("near_miss.swap", count), *((form, count) for form, _ in shares)):
        wanted = min(most, count - len(found))
        while wanted > 0 and (drawn := next(sources[form], None)):
            group, question = drawn
            if question.lower() not in found:
                digest = blake2b(f"{form}/{group}".encode(), digest_size=8).hexdigest()
                found[question.lower()] = Unanswerable(f"none-{digest}", form, question)
                wanted -= 1
    return list(found.values())


def _absent_topics(absence: Absence, rng: random.Random) -> Iterator[tuple[str, str]]:
    absent = [topic for topic in ABSENT_TOPICS if absence.lacks(topic)]
    values = [form for forms in VALUE_FORMS.values() for form in forms]
    pairs = [(topic, form) for topic in absent for form in (*OFFER_FORMS, *TOPIC_FORMS, *values)]
    rng.shuffle(pairs)
    for topic, form in pairs:
        yield topic, _tidy(form.format(topic))


def _swaps(questions: Sequence[Wording], absence: Absence, rng: random.Random) -> Iterator[tuple[str, str]]:
    """A real question with the thing it asks about replaced by one the policies never mention: same style, no answer."""
    absent = [topic for topic in ABSENT_TOPICS if absence.lacks(topic)]
    pool = [w for w in questions if absent and w.phrase and not is_person(w.phrase.split()[-1].lower())]
    rng.shuffle(pool)
    for wording in pool:
        place = re.search(rf"(?<![\w-]){re.escape(wording.phrase)}(?![\w-])", wording.question, re.IGNORECASE)
        rest = f"{wording.question[: place.start()]} {wording.question[place.end() :]}" if place else ""
        if place and any(stem(word) in absence.stems for word in re.findall(r"[a-z]{4,}", rest.lower())):
            alike = [topic for topic in absent if topic.endswith("s") == wording.phrase.endswith("s")]
            topic = rng.choice(alike or absent)
            yield f"swap/{topic}", _tidy(wording.question[: place.start()] + topic + wording.question[place.end() :])


def _missing_values(
    facts: Sequence[Fact], questions: Sequence[Wording], absence: Absence, vocabulary: Vocabulary, rng: random.Random
) -> Iterator[tuple[str, str]]:
    """Something the policies speak of, asked for a sum, a person, a date … that they nowhere give for it."""
    clauses = (topic_of(fact.clause) for fact in facts)
    named = {uncapitalised(topic, vocabulary.proper) for topic in clauses if topic in absence.topics}
    named |= {w.phrase for w in questions if len(w.phrase.split()) >= 2 and not is_person(w.phrase.split()[-1].lower())}
    read = [(stems_of(f"{path} {text}"), text) for path, text in absence.clauses.items()]
    pairs: list[tuple[str, str, str]] = []
    for thing in sorted(named):
        wanted = stems_of(thing)
        related = " ".join(text for stems, text in read if wanted <= stems)
        for kind, forms in VALUE_FORMS.items():
            if wanted and not PRESENT[kind].search(related):
                pairs += [(f"{thing}/{kind}", thing, form) for form in forms]
    rng.shuffle(pairs)
    for group, thing, form in pairs:
        yield group, _tidy(form.format(thing))


def _audiences(questions: Sequence[Wording], absence: Absence, rng: random.Random) -> Iterator[tuple[str, str]]:
    """A real question about people the policies never mention."""
    absent = [audience for audience in AUDIENCES if absence.lacks(audience)]
    first_person = [
        w
        for w in questions
        if re.findall(r"\b(?:I am|I|me|myself)\b", w.question) == ["I"]  # of two only one would become another's
        and w.form not in ("condition", "scenario", "action", *TEMPLATES)
    ]
    pairs = [(wording, audience) for wording in first_person for audience in absent]
    rng.shuffle(pairs)
    for wording, audience in pairs:
        question = re.sub(r"\bmy\b", "their", wording.question)
        question = re.sub(r"\b[Aa]m I\b", f"are {audience}", question, count=1)
        question = re.sub(r"\bI\b", audience, question, count=1)
        yield f"{audience}/{wording.answer}", _tidy(question)


def _off_topic(absence: Absence, rng: random.Random) -> Iterator[tuple[str, str]]:
    pool = [question for question in OFF_TOPIC if absence.lacks(question)]
    rng.shuffle(pool)
    for prefix in ("", "Please: ", "Hi, ", "One more thing: ", "By the way, "):
        for question in pool:
            yield (
                question,
                f"{prefix}{question if not prefix or prefix.endswith(': ') else question[0].lower() + question[1:]}",
            )


def _tidy(question: str) -> str:
    question = re.sub(r"\b([Aa]) (?=[aeiou](?!ne\b|ni))", r"\1n ", question)
    question = re.sub(r"\b([Aa])n (?=[^aeiouh\W])", r"\1 ", question)
    return question[0].upper() + question[1:]


def answered_somewhere(question: str, texts: Sequence[frozenset[str]]) -> bool:
    """Whether one passage (given as its stems, values counted) holds every content word of the question: not safe to refuse."""
    wanted = {stem(word) for word in content_words(question)}
    return len(wanted) >= 2 and any(wanted <= text for text in texts)


def stems_of(text: str) -> frozenset[str]:
    """The stems of a text's content words."""
    return frozenset(stem(word) for word in content_words(text))

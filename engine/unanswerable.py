"""Questions the policies do not answer, half of them near misses, each checked against the whole corpus."""

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b

import snowballstemmer

from engine.grammar import uncapitalised
from engine.lexicon import ABSENT_TOPICS, AUDIENCES, OFF_TOPIC, SITUATIONS, STOPWORDS
from engine.phrasing import Vocabulary, Wording, topic_of
from engine.records import Fact
from engine.styles import OFFER_FORMS, PRESENT, TEMPLATES, TOPIC_FORMS, VALUE_FORMS

SHARES = {
    "near_miss.swap": 0.52,
    "absent_topic": 0.22,
    "near_miss.value": 0.05,
    "near_miss.audience": 0.06,
    "near_miss.situation": 0.06,
    "off_topic": 0.09,
}
"""Of the unanswerable rows. The near misses use the policy's own words and together make more than half."""

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
        """Whether some content word of `phrase` stands nowhere in the corpus, in any inflection we know."""
        return any(stem(word) not in self.stems for word in content_words(phrase))


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

    `questions` are real wordings of the corpus: a situation or an audience it never mentions turns one into a near miss.
    Swaps fill the shares that fall short.
    """
    sources = {
        "absent_topic": _absent_topics(absence, rng),
        "near_miss.value": _missing_values(facts, absence, vocabulary, rng),
        "near_miss.audience": _audiences(questions, absence, rng),
        "near_miss.situation": _situations(questions, absence, rng),
        "off_topic": _off_topic(absence, rng),
        "near_miss.swap": _swaps(questions, absence, vocabulary, rng),
    }
    found: dict[str, Unanswerable] = {}
    for form, source in sources.items():
        wanted = round(count * SHARES[form]) if form != "near_miss.swap" else count - len(found)
        for group, question in source:
            if wanted <= 0:
                break
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


def _swaps(
    questions: Sequence[Wording], absence: Absence, vocabulary: Vocabulary, rng: random.Random
) -> Iterator[tuple[str, str]]:
    """A real question with its rarest words replaced by a topic the policies never mention: same style, no answer."""
    absent = [topic for topic in ABSENT_TOPICS if absence.lacks(topic)]
    pool = [wording for wording in questions if absent and wording.form not in ("topic", "offer", "value")]
    rng.shuffle(pool)
    for wording in pool:
        phrase = vocabulary.key_phrase(wording.question)
        place = re.search(re.escape(phrase), wording.question, re.IGNORECASE) if phrase else None
        rest = f"{wording.question[: place.start()]} {wording.question[place.end() :]}" if place else ""
        if place and any(stem(word) in absence.stems for word in re.findall(r"[a-z]{4,}", rest.lower())):
            topic = rng.choice(absent)
            yield f"swap/{topic}", _tidy(wording.question[: place.start()] + topic + wording.question[place.end() :])


def _missing_values(
    facts: Sequence[Fact], absence: Absence, vocabulary: Vocabulary, rng: random.Random
) -> Iterator[tuple[str, str]]:
    """A clause that never names a sum, a person, a date …, asked for one."""
    pairs: list[tuple[str, str, str]] = []
    for clause in dict.fromkeys(fact.clause for fact in facts):
        topic = topic_of(clause)
        related = " ".join(text for path, text in absence.clauses.items() if _related(topic, path, text))
        for kind, forms in VALUE_FORMS.items():
            if topic in absence.topics and not PRESENT[kind].search(related):
                pairs += [(f"{clause}/{kind}", uncapitalised(topic, vocabulary.proper), form) for form in forms]
    rng.shuffle(pairs)
    for group, topic, form in pairs:
        yield group, _tidy(form.format(topic))


def _related(topic: str, clause: str, text: str) -> bool:
    """Whether a clause speaks of the topic: its heading or its text holds all of the topic's words."""
    wanted = {stem(word) for word in content_words(topic)}
    return wanted <= {stem(word) for word in content_words(f"{clause} {text}")}


def _audiences(questions: Sequence[Wording], absence: Absence, rng: random.Random) -> Iterator[tuple[str, str]]:
    """A real question about people the policies never mention."""
    absent = [audience for audience in AUDIENCES if absence.lacks(audience)]
    first_person = [w for w in questions if re.search(r"\bI\b", w.question) and w.form not in ("condition", *TEMPLATES)]
    pairs = [(wording, audience) for wording in first_person for audience in absent]
    rng.shuffle(pairs)
    for wording, audience in pairs:
        question = re.sub(r"\b[Aa]m I\b", f"are {audience}", wording.question, count=1)
        question = re.sub(r"\bI\b", audience, question, count=1)
        question = re.sub(r"\bmy\b", "their", question)
        yield f"{audience}/{wording.answer}", _tidy(question)


def _situations(questions: Sequence[Wording], absence: Absence, rng: random.Random) -> Iterator[tuple[str, str]]:
    """A real question under a circumstance the policies never mention."""
    absent = [situation for situation in SITUATIONS if absence.lacks(situation)]
    plain = [w for w in questions if w.form in ("inversion", "number", "what_do", "who", "when", "topic")]
    rng.shuffle(plain)
    for wording in plain if absent else ():
        situation = rng.choice(absent)
        yield f"{situation}/{wording.answer}", f"{wording.question.rstrip('?')} {situation}?"


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
    question = question.replace(" a a", " an a").replace("Is there a a", "Is there an a")
    return question[0].upper() + question[1:]


def answered_somewhere(question: str, texts: Sequence[frozenset[str]]) -> bool:
    """Whether one passage (given as its stems, values counted) holds every content word of the question: not safe to refuse."""
    wanted = {stem(word) for word in content_words(question)}
    return len(wanted) >= 2 and any(wanted <= text for text in texts)


def stems_of(text: str) -> frozenset[str]:
    """The stems of a text's content words."""
    return frozenset(stem(word) for word in content_words(text))

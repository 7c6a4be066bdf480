"""The styles in which people ask, used alike for what the policies answer and for what they do not.

A style that only one of the two kinds has is what a small model learns first: where natural short questions stand only among
the unanswerable ones, a stranger's question is taken for one of them.
"""

import re
from collections.abc import Iterator

from engine.grammar import as_first_person
from engine.lexicon import ROLE_WORDS, STOPWORDS, VERBS

TOPIC_FORMS = (
    "what does the policy say about {0}?", "what is the rule on {0}?", "can you tell me about {0}?", "how does {0} work?",
    "what is the policy on {0}?", "what are the rules about {0}?", "what happens with {0}?", "is there a rule about {0}?",
    "what do I need to know about {0}?", "I have a question about {0}", "{0}?", "what about {0}?",
)  # fmt: skip

OFFER_FORMS = (
    "is there a {0}?", "do we get a {0}?", "how much is the {0}?", "who approves the {0}?", "how do I apply for {0}?",
    "how many days of {0} do I get?", "can I have {0}?", "does the company offer {0}?", "who pays for {0}?",
    "when can I use {0}?", "am I entitled to {0}?", "{0} allowed?", "which form do I need for {0}?",
)  # fmt: skip

VALUE_FORMS: dict[str, tuple[str, ...]] = {
    "money": (
        "How much does {0} cost?", "How much money do I get for {0}?", "What is the fee for {0}?", "What does {0} pay in euros?",
        "Is there a dollar limit on {0}?",
    ),
    "who": (
        "Who approves {0}?", "Who is responsible for {0}?", "What is the name of the person in charge of {0}?",
        "Who do I call about {0}?",
    ),
    "contact": (
        "What is the phone number for {0}?", "Which e-mail address do I write to about {0}?", "What is the web address for {0}?",
        "Which office handles {0} and where is it?",
    ),
    "date": (
        "On what date does {0} start?", "When was {0} introduced?", "By which day of the month is {0} due?",
        "In which year did {0} begin?",
    ),
    "form": ("Which form number do I use for {0}?", "What software is used for {0}?", "Where can I download the form for {0}?"),
    "statistic": (
        "How many people used {0} last year?", "What percentage of staff use {0}?", "How often is {0} refused?",
        "How long does it take to process {0}?",
    ),
}  # fmt: skip
PRESENT: dict[str, re.Pattern[str]] = {
    "money": re.compile(r"[$€£]|\b(?:USD|EUR|GBP|cost|fee|paid|pay|price|dollars?|euros?)\b", re.I),
    "who": re.compile(r"\b(?:" + "|".join(sorted(ROLE_WORDS)) + r"|responsible|contact|we)\b", re.I),
    "contact": re.compile(r"@|https?:|www\.|\bphone\b|\be-?mail\b|\boffice\b", re.I),
    "date": re.compile(
        r"\b(?:19|20)\d\d\b|\b(?:January|February|March|April|June|July|August|September|October|November|December)\b"
        r"|\bdue\b|\bbegin|\bstart", re.I
    ),
    "form": re.compile(r"\b(?:form|software|system|portal|tool|online|website|spreadsheet|download)\b", re.I),
    "statistic": re.compile(r"%|\bpercent|\bprocess|\bwithin\b|\bdays\b", re.I),
}  # fmt: skip

ACTION_FORMS = (
    "how do I {0}?", "when do I {0}?", "what happens if I {0}?", "who do I ask to {0}?", "where do I {0}?",
    "what do I need to {0}?", "I want to {0}, what do I need to know?", "how can I {0}?", "what if I have to {0}?",
    "I'm about to {0}, anything I should know?", "what are the rules if I {0}?", "why would I {0}?",
)  # fmt: skip
"""Open questions about doing something: none is answered with yes or no, whose polarity a part of a sentence does not tell."""
_VERB_FOLLOWS = frozenset(
    "to may must can cannot will shall should not please you we they employees staff managers".split()
)
_ENDS_AN_ACTION = frozenset("which that who whom if when unless because while but than".split())

TEMPLATES = ("topic", "keywords", "offer", "value", "crop")
"""Forms that fit any phrase. They always work and sound like nobody, so each gives few of a fact's questions."""


def asked_in_every_style(phrase: str, statement: str) -> Iterator[tuple[str, str]]:
    """(form, question) about a phrase of a statement: as a topic, as an offer, and for the values that the statement has."""
    yield from (("topic", form.format(phrase)) for form in TOPIC_FORMS)
    yield from (("offer", form.format(phrase)) for form in OFFER_FORMS)
    for kind, forms in VALUE_FORMS.items():
        if PRESENT[kind].search(statement):
            yield from (("value", form.format(phrase)) for form in forms)


def crops(statement: str, *, fewest: int = 2, most: int = 6) -> Iterator[str]:
    """
    Every run of `fewest` to `most` words inside one part of a sentence that starts and ends with a word of content.

    None is longer than half of the statement, so that something is left to ask for.
    """
    most = min(most, len(statement.split()) // 2)
    for part in re.split(r"[,;:.!?()\[\]]\s*", statement):
        words = part.split()
        content = [word.lower() not in STOPWORDS and len(word) > 2 for word in words]
        for start in range(len(words)):
            for end in range(start + fewest, min(start + most, len(words)) + 1):
                if content[start] and content[end - 1]:
                    yield " ".join(words[start:end])


def actions(statement: str, *, most: int = 6) -> Iterator[str]:
    """
    What a sentence says that somebody does, of up to `most` words in the first person: "request leave in writing".

    A word counts as a verb only where one is expected: first in a part of the sentence, or after "must", "to", "employees" …
    """
    for part in re.split(r"[,;:.!?()\[\]]\s*", statement):
        words = part.split()
        for start, word in enumerate(words):
            if word.lower() not in VERBS or (start and words[start - 1].lower() not in _VERB_FOLLOWS):
                continue
            stop = next((n for n in range(start, len(words)) if words[n].lower() in _ENDS_AN_ACTION), len(words))
            ends = [
                end
                for end in range(start + 2, min(start + most, stop) + 1)
                if words[end - 1].lower() not in STOPWORDS and len(words[end - 1]) > 2
            ]
            if ends:
                yield as_first_person(" ".join([word.lower(), *words[start + 1 : ends[-1]]]))

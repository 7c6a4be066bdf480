"""The styles in which people ask, used alike for what the policies answer and for what they do not.

A style that only one of the two kinds has is what a small model learns first: where natural short questions stand only among
the unanswerable ones, a stranger's question is taken for one of them.
"""

import re

from engine.lexicon import ROLE_WORDS

TOPIC_FORMS = (
    "what does the policy say about {0}?", "what is the rule on {0}?", "can you tell me about {0}?", "what is the policy on {0}?",
    "what are the rules about {0}?", "what applies to {0}?", "what do I need to know about {0}?", "I have a question about {0}.",
    "what about {0}?", "is there anything on {0}?",
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

TEMPLATES = ("topic", "keywords")
"""Forms that fit any phrase. They always work and sound like nobody, so each gives few of a fact's questions."""

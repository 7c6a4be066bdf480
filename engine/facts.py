"""Passages -> facts, each with the words of the passage that say it."""

import re
from collections.abc import Sequence
from dataclasses import replace
from hashlib import blake2b

from engine.grammar import is_sentence
from engine.lexicon import ROLE_WORDS
from engine.records import Document, Fact, Passage
from engine.sentences import sentences

LONGEST_LIST = 60
"""Words; a longer list is asked item by item."""
NUMBER_WORDS = (
    "zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|"
    "eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred|half|twice|once"
)
TENS = "twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
UNITS = (
    r"(?:working|business|calendar|consecutive|paid|unpaid|full|additional|federal|public)?\s*"
    r"(?:days?|weeks?|months?|years?|hours?|minutes?|quarters?|employees|people|members|times|percent|per cent|holidays?|"
    r"sessions|copies|instal(?:l)?ments|kilomet(?:re|er)s|miles|dollars|euros|pounds|weekdays|nights|pages|points)"
)
MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
MONEY = re.compile(
    r"(?:[$€£]|(?:USD|EUR|GBP)\s?)\d[\d,]*(?:\.\d+)?(?:\s(?:million|thousand))?|\b\d[\d,.]*\s?(?:USD|EUR|GBP)\b"
)
PERCENT = re.compile(r"\b\d+(?:\.\d+)?\s?(?:%|percent\b|per cent\b)", re.IGNORECASE)
DATE = re.compile(
    rf"\b(?:\d{{1,2}}(?:st|nd|rd|th)?\s(?:of\s)?(?:{MONTHS})(?:\s\d{{4}})?|(?:{MONTHS})\s\d{{1,2}}(?:st|nd|rd|th)?(?:,?\s\d{{4}})?|"
    rf"\d{{1,2}}[:.]\d{{2}}\s?(?:am|pm|a\.m\.|p\.m\.)?|\d{{1,2}}\s?(?:am|pm|a\.m\.|p\.m\.)|\d{{4}}-\d{{2}}-\d{{2}}|(?:{MONTHS})\s\d{{4}})",
)
QUANTITY = re.compile(
    rf"\b(?:\d+(?:[.,]\d+)?|(?:{TENS})[\s-](?:{NUMBER_WORDS})|{NUMBER_WORDS})(?:\s?-\s?|\s)(?:\(\d+\)\s)?{UNITS}\b",
    re.IGNORECASE,
)
DEFINITION = re.compile(r"\b(?:means|is defined as|are defined as|refers to|stands for)\b")
RULE = re.compile(
    r"\b(?:must|may|shall|should|can|cannot|will|required|prohibited|not allowed|entitled|eligible|never)\b", re.I
)
DEPENDENT = re.compile(
    r"^(?:this|these|those|that|it|they|he|she|such|in this case|in that case|if so|otherwise|then|there|here|the latter|the "
    r"former|both|either)\b",
    re.IGNORECASE,
)


def find_values(text: str) -> list[re.Match[str]]:
    """Money, percentages, dates and quantities with their unit, in order, none overlapping another."""
    found: list[re.Match[str]] = []
    for pattern in (MONEY, PERCENT, DATE, QUANTITY):
        for match in pattern.finditer(text):
            if all(match.end() <= other.start() or match.start() >= other.end() for other in found):
                found.append(match)
    return sorted(found, key=lambda match: match.start())


def find_facts(document: Document) -> list[Fact]:
    """
    One fact a sentence, list item or table row that says something, in document order.

    The evidence is a verbatim part of the passage. A sentence that leans on the one before it ("This must …") is joined to
    it, so that the statement stands alone. The id is that of the clause and the evidence; a repetition is not a new fact.
    """
    facts: dict[str, Fact] = {}
    lists = _lists(document.passages)
    for passage in document.passages:
        for evidence, statement in _statements(passage):
            fact = _fact(passage, evidence, statement)
            facts.setdefault(fact.id, fact)
        if passage.id in lists:
            evidence, statement = lists[passage.id]
            fact = replace(_fact(passage, evidence, statement), kind="list", value="")
            facts.setdefault(fact.id, fact)
    return list(facts.values())


def _lists(passages: Sequence[Passage]) -> dict[str, tuple[str, str]]:
    """
    Id of a list's first passage -> (evidence, statement) of the list as a whole, where it is short enough to be said at once.

    The evidence is the sentence that introduces the list and its items, a line each: verbatim from passages that follow
    each other. A list under a bare heading has no such sentence, and its clause stands in the statement instead.
    """
    found: dict[str, tuple[str, str]] = {}
    start = 0
    while start < len(passages):
        end = start
        while end < len(passages) and _same_list(passages[start], passages[end]):
            end += 1
        items = [passage.text for passage in passages[start:end]]
        if len(items) >= 2 and sum(len(item.split()) for item in items) <= LONGEST_LIST:
            lead = passages[start].lead_in
            introduced = start > 0 and lead and passages[start - 1].text.endswith(lead)
            said = "; ".join(item.rstrip(" .;,") for item in items)
            evidence = "\n".join([lead, *items] if introduced else items)
            statement = _sentence(f"{lead.rstrip(' :') or ', '.join(passages[start].heading[-2:])}: {said}")
            if lead.endswith(":") or (not lead and passages[start].heading):
                found[passages[start - 1].id if introduced else passages[start].id] = (evidence, statement)
        start = max(end, start + 1)
    return found


def _same_list(first: Passage, other: Passage) -> bool:
    same = (first.heading, first.lead_in, first.kind) == (other.heading, other.lead_in, other.kind)
    return same and first.kind == "list_item" and len(other.text.split()) <= 25


def _statements(passage: Passage) -> list[tuple[str, str]]:
    """(evidence, statement that stands alone) pairs of one passage."""
    if passage.kind == "table_row":
        return [(passage.text, _sentence(passage.text))] if len(passage.text.split()) >= 3 else []
    if passage.kind == "list_item":
        text = re.sub(r"[,;]\s*(?:and|or)\s*[.;]?$", "", passage.text)
        if not _stands_alone(text):
            lead = passage.lead_in.rstrip(" :") or ", ".join(passage.heading[-2:])
            return [(text, _sentence(f"{lead}: {text}"))] if lead else []
        return [(found, _sentence(found)) for found in sentences(text) if _says_something(found)]
    pairs: list[tuple[str, str]] = []
    before = ""
    for found in sentences(passage.text):
        if found.endswith(":") or _announces(found) or not _says_something(found):
            before = ""
            continue
        leans = DEPENDENT.match(found) and before and len((before + found).split()) <= 60
        if leans:
            start = passage.text.find(before)
            end = passage.text.find(found, start) + len(found)
            evidence = passage.text[start:end]
            pairs.append((evidence, evidence))
        else:
            pairs.append((found, _sentence(found)))
        before = found
    return pairs


def _stands_alone(text: str) -> bool:
    """Whether a list item is a sentence of its own rather than the end of its lead-in."""
    return len(text.split()) >= 5 and text[0].isupper() and is_sentence(text)


def _says_something(sentence: str) -> bool:
    words = sentence.split()
    return 4 <= len(words) <= 90 and any(word.isalpha() for word in words) and not sentence.rstrip().endswith("?")


def _announces(sentence: str) -> bool:
    """Whether it only introduces what stands after it: "There are leave types for the following scenarios."."""
    ends_in_a_promise = re.search(
        r"\bthe following(?:\s[a-z-]+){0,2}\s(?!days|weeks|months|years)[a-z-]+s\.$", sentence
    )
    return bool(ends_in_a_promise) and not carries_a_rule(sentence)


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    return text if text.endswith((".", "!", "?")) else text.rstrip(";,:") + "."


def _fact(passage: Passage, evidence: str, statement: str) -> Fact:
    digest = blake2b(f"{passage.clause}\n{' '.join(evidence.split()).lower()}".encode(), digest_size=8).hexdigest()
    given = evidence.partition(": ")[2] if passage.kind == "table_row" else ""  # the label of a row is what is asked by
    values = find_values(given) or find_values(evidence)
    value = values[0][0] if values else ""
    return Fact(digest, passage.id, passage.clause, kind_of(passage, evidence), statement, evidence, value)


def kind_of(passage: Passage, evidence: str) -> str:
    """What a question about it asks for: date, number, definition, list, role, yes_no, procedure or rule."""
    if DATE.search(evidence):
        return "date"
    if find_values(evidence):
        return "number"
    if DEFINITION.search(evidence):
        return "definition"
    if passage.kind == "list_item":
        return "list"
    first = re.findall(r"[a-z]+", evidence.lower())[:7]
    if any(word in ROLE_WORDS for word in first):
        return "role"
    if RULE.search(evidence):
        return "yes_no"
    return "rule"


def carries_a_rule(sentence: str) -> bool:
    """Whether a sentence has a number, date, deadline, role or rule, so that coverage may ask for a fact on it."""
    words = set(re.findall(r"[a-z]+", sentence.lower()))
    return bool(find_values(sentence) or RULE.search(sentence) or words & ROLE_WORDS)


def facts_of(documents: Sequence[Document]) -> list[Fact]:
    """The facts of several documents; the same clause in two of them is one fact."""
    facts: dict[str, Fact] = {}
    for document in documents:
        for fact in find_facts(document):
            facts.setdefault(fact.id, fact)
    return list(facts.values())

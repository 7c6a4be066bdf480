"""Personal data in documents: where contact details, account numbers and names stand, and the same document without them."""

import hashlib
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Literal

import phonenumbers

from engine.documents.blocks import passage_ids
from engine.lexicon import ORGANISATION, ROLE_WORDS, STAFF, STOPWORDS
from engine.records import Document

PersonalKind = Literal[
    "e-mail address",
    "phone number",
    "bank account",
    "payment card",
    "social security number",
    "street address",
    "name",
]
KINDS: tuple[PersonalKind, ...] = (
    "bank account",
    "payment card",
    "social security number",
    "e-mail address",
    "phone number",
    "street address",
    "name",
)
"""Where two findings overlap, the kind named first here wins."""

_EMAIL = re.compile(r"(?<![\w.+-])[\w.+%'-]{1,64}@(?:[\w-]{1,63}\.){1,5}[A-Za-z]{2,24}\b")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")
_CARD = re.compile(r"(?<![\d.,-])[2-6]\d{3}(?:[ -]?\d){9,15}(?![\d-]|[.,]\d)")
_SOCIAL = re.compile(r"(?<![\d-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\d-])")
_GROUPED = re.compile(
    r"(?<![\d.$€£-])(?:\+?1[-. ])?(?:\(\d{3}\) ?|\d{3}[-. ])\d{3}[-. ]\d{4}(?:,? ?(?:ext\.?|x) ?\d{1,5})?(?![\d-])"
)
_SAID = re.compile(
    r"\b(?:(?:tele)?phone|tel|mobile|cell|fax|hotline|call(?: us)?(?: at| on)?)(?: number)?(?: is)?[.:]? ?"
    r"(\+?[(\d][\d ()./-]{4,18}\d)(?![\d%]|[.,]\d)",
    re.IGNORECASE,
)
_DATE = re.compile(r"\d{1,4}[-./ ]\d{1,2}[-./ ]\d{1,4}|(?:19|20)\d\d ?[-–/ ] ?(?:19|20)?\d\d")
_STREET = re.compile(
    r"(?<![\w.,$€£§-])\d{1,5}[A-Za-z]?,? (?:[NSEW]\.? )?(?:[A-Z][\w'.-]*,? |\d{1,3}(?:st|nd|rd|th) ){1,4}"
    r"(?:(?:Street|St\.|Avenue|Ave\.?|Road|Rd\.?|Boulevard|Blvd\.?|Lane|Drive|Parkway|Pkwy\.?)(?!\w)"
    r"|(?:St|Court|Ct\.?|Place|Square|Way|Terrace|Highway|Circle|Plaza|Dr\.)(?=,? (?:[A-Z][\w ]{1,30},? [A-Z]{2} \d{5}|Suite|Apt|Unit|#)))"
    r"(?:,? (?:NW|NE|SW|SE)\b)?(?:,? (?:Suite|Ste\.?|Apt\.?|Unit|Floor|Room|#) ?\w{1,6})?"
    r"(?:,? [A-Z][\w.' -]{1,30},? [A-Z]{2},? \d{5}(?:-\d{4})?)?"
)
_TOWN = re.compile(r"\b(?:[A-Z][a-z.']+ ){0,2}[A-Z][a-z']+, [A-Z]{2} \d{5}(?:-\d{4})?(?!\d)")
_POST_BOX = re.compile(r"\bP\.? ?O\.? Box \d{1,7}\b", re.IGNORECASE)
_POSTCODE = re.compile(r"\b(?:[A-Z][a-z]+,? )?[A-Z]{1,2}\d[A-Z\d]? \d[ABD-HJLNP-UW-Z]{2}\b")
_NAME = r"[A-Z](?:['’][A-Z])?[a-zà-öø-ÿ]+(?:[-'’]?[A-Z][a-zà-öø-ÿ]+)*"
_FULL_NAME = rf"{_NAME}(?: [A-Z]\.)?(?: (?:van|von|de|der|la|bin|al))* {_NAME}"
_TITLED = re.compile(rf"\b(?:Mr|Mrs|Ms|Mx|Miss|Dr|Prof)(?:\. ?| )(?:[A-Z]\. )*{_NAME}(?: [A-Z]\.)?(?: {_NAME})?")
_LABELLED = re.compile(
    r"\b(?:(?:[Nn]ame|[Cc]ontact(?: person)?|[Aa]uthor|[Aa]ttention):"
    rf"|(?:[Aa]ttn|[Ss]igned(?: by)?|[Pp]repared by|[Aa]pproved by|[Rr]eviewed by|[Cc]/o)[.:]?) ({_FULL_NAME})"
)
_REACHED = re.compile(
    rf"({_FULL_NAME})(?: \([^()]{{1,40}}\))?(?:,|:)?(?: (?:at|on|via|under|by (?:e-?mail|phone)(?: at)?))? [(<]?$"
)
"""A name with what may stand between it and its own phone number or e-mail address."""

_NEAR = 80
"""Characters before a phone number or an e-mail address in which its owner's name is looked for."""

_NO_NAME = frozenset(
    {word.lower() for words in (STAFF, ORGANISATION, ROLE_WORDS, STOPWORDS) for word in words}
    | set(
        "resources human department team office desk services service benefits benefit center centre support health "
        "insurance plan program programme line hotline payroll finance legal security safety training customer member "
        "claims care medical union board committee council agency bureau administration division group bank company "
        "foundation university college hospital clinic employee employees assistance relations operations facilities "
        "procurement travel leave policy policies compliance ethics privacy information technology help page section "
        "chapter part article title social general national federal state county city new labor labour public affairs "
        "monday tuesday wednesday thursday friday saturday sunday january february march april may june july august "
        "september october november december".split()
    )
)
"""Words that stand where names stand and are none: "Human Resources at …"."""


@dataclass(frozen=True)
class Personal:
    """Something personal in a text: text == whole[start:end]."""

    kind: PersonalKind
    start: int
    end: int
    text: str


def find_personal(text: str) -> list[Personal]:
    """
    What is personal in the text, in order and without overlaps.

    Numbers count only where their check digits are right (bank accounts, cards) or their form is that of a phone
    number; dates, amounts and clause numbers do not. Names count after a title ("Ms Doe"), a label ("Contact: Jane
    Doe"), or before their own phone number or e-mail address; others are not found.
    """
    found: list[Personal] = []
    for kind in KINDS:
        for start, end in _FINDERS[kind](text):
            if not any(start < other.end and other.start < end for other in found):
                found.append(Personal(kind, start, end, text[start:end]))
    return sorted(found, key=lambda personal: personal.start)


def masked(text: str, *, kinds: Collection[PersonalKind] = KINDS) -> str:
    """The text with "[e-mail address]" and the like in place of what is personal."""
    for personal in reversed(find_personal(text)):
        if personal.kind in kinds:
            text = f"{text[: personal.start]}[{personal.kind}]{text[personal.end :]}"
    return text


def mask(document: Document, *, kinds: Collection[PersonalKind] = KINDS) -> Document:
    """
    The document with everything personal of these kinds replaced, in headings and lead-ins too.

    It has an id of its own, the same each time, unless there was nothing to replace. A passage in which nothing was
    replaced keeps its id. The file's name stays.
    """
    changed = [
        replace(
            passage,
            heading=tuple(masked(heading, kinds=kinds) for heading in passage.heading),
            text=masked(passage.text, kinds=kinds),
            lead_in=masked(passage.lead_in, kinds=kinds),
        )
        for passage in document.passages
    ]
    if changed == list(document.passages):
        return document
    identity = f"{document.id} without {', '.join(sorted(kinds))}"
    document_id = hashlib.sha256(identity.encode()).hexdigest()[:16]
    passages = []
    offset = 0
    for passage, passage_id in zip(changed, passage_ids([(p.heading, p.text) for p in changed]), strict=True):
        end = offset + len(passage.text)
        passages.append(replace(passage, id=passage_id, document_id=document_id, start=offset, end=end))
        offset = end + 1
    text = "\n".join(passage.text for passage in passages)
    return replace(document, id=document_id, text=text, passages=tuple(passages))


Spans = Iterator[tuple[int, int]]


def _emails(text: str) -> Spans:
    return (match.span() for match in _EMAIL.finditer(text))


def _accounts(text: str) -> Spans:
    for match in _IBAN.finditer(text):
        packed = match.group().replace(" ", "")
        turned = "".join(str(int(character, 36)) for character in packed[4:] + packed[:4])
        if 15 <= len(packed) <= 34 and int(turned) % 97 == 1:
            yield match.span()


def _cards(text: str) -> Spans:
    for match in _CARD.finditer(text):
        digits = [int(character) for character in match.group() if character.isdigit()]
        doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
        if len(set(digits)) > 1 and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0:
            yield match.span()


def _social_numbers(text: str) -> Spans:
    return (match.span() for match in _SOCIAL.finditer(text))


def _phones(text: str) -> Spans:
    if sum(character.isdigit() for character in text) < 6:
        return
    for match in _GROUPED.finditer(text):
        yield match.span()
    for match in _SAID.finditer(text):
        if not _DATE.fullmatch(match.group(1)):
            yield match.span(1)
    for region in ("US", "GB"):
        for number in phonenumbers.PhoneNumberMatcher(text, region):
            raw = number.raw_string
            international = raw.startswith(("+", "00")) or (region == "GB" and raw.startswith(("0", "(0")))
            grouped = re.search(r"\d[-. ()/]+\d", raw) is not None and not _DATE.search(raw)
            before = text[max(0, number.start - 1) : number.start]
            if (international or grouped) and before not in (*"$€£§#",):
                yield number.start, number.end


def _addresses(text: str) -> Spans:
    for pattern in (_STREET, _TOWN, _POST_BOX, _POSTCODE):
        for match in pattern.finditer(text):
            before = text[max(0, match.start() - 12) : match.start()].lower()
            if not re.search(r"(?:section|article|chapter|title|part|rule|§|sec\.|no\.) ?$", before):
                yield match.span()


def _names(text: str) -> Spans:
    for match in _TITLED.finditer(text):
        yield match.span()
    for match in _LABELLED.finditer(text):
        if _may_be_name(match.group(1)):
            yield match.span(1)
    for start in {start for start, _ in [*_emails(text), *_phones(text)]}:
        owner = _REACHED.search(text[:start], max(0, start - _NEAR))
        if owner and _may_be_name(owner.group(1)):
            yield owner.span(1)


def _may_be_name(text: str) -> bool:
    return not any(word.lower() in _NO_NAME for word in re.findall(r"[^\W\d_]+", text))


_FINDERS = {
    "e-mail address": _emails,
    "phone number": _phones,
    "bank account": _accounts,
    "payment card": _cards,
    "social security number": _social_numbers,
    "street address": _addresses,
    "name": _names,
}

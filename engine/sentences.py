"""Text to sentences, by rules and offline. Knows English abbreviations and clause numbers, not documents."""

import re
from collections.abc import Iterator


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_TITLES = _words(
    "mr mrs ms mx dr prof rev hon gen col capt lt sgt gov sen rep pres st mt messrs fr sr. "
    "vs v cf viz eg ie e.g i.e sec secs art arts fig figs para paras cl ch reg regs vol pp p § eq nos "
    "approx ca incl excl ref tel ext resp dept div tab app sched "
    "jan feb mar apr jun jul aug sep sept oct nov dec mon tue tues wed thu thur thurs fri"
)
"""Never the last word of a sentence: something they introduce always follows."""

_EITHER = _words(
    "etc inc ltd co corp llc plc jr sr bros assn dept univ u.s u.k u.n e.u d.c u.s.a u.s.c c.f.r ph.d m.d b.a m.a j.d "
    "a.m p.m am pm no max min est hrs hr mins yr yrs wk wks mo avg al seq ave blvd rd stat pub l"
)
"""May end a sentence: they do when a word follows that opens sentences."""

_OPENERS = _words(
    "the a an this that these those it its he she they we you i his her their our your my all any each every no none "
    "some both either neither such if when where while after before during until unless although though because since "
    "as for in on at by to from with without under over upon within once only however therefore thus furthermore "
    "moreover additionally also otherwise please employees employee staff managers managing leave there here what who "
    "which why how is are was were do does did can may must shall should will would not one two three and but or so "
    "then payment requests request days unused new"
)
"""Words that open a sentence far more often than they carry on a name ("Acme Inc. Benefits Plan")."""

_DIVISIONS = _words(
    "plan appendix annex schedule section part type class group option tier grade level category phase step exhibit "
    "form table vitamin hepatitis column item clause paragraph unit zone block site building room wing"
)
"""A single capital after one of these is a label, which may end a sentence ("See Appendix B. The form is there.")."""

_END = re.compile(r"(?:[.!?]+|…)[)\]\"'’”»]*(?=\s)")
_BLANK_LINE = re.compile(r"\n[ \t]*\n\s*")
_INSIDE = re.compile(r"\([^()]{1,300}\)|\[[^\[\]]{1,300}\]|“[^“”]{1,300}”|(?<![\w\"])\"[^\"]{1,300}\"(?!\w)")
_NUMBER_ONLY = re.compile(r"(?:§+\s*)?(?:\d+(?:\.\d+)*|[A-Za-z]|[ivxIVX]+)")
_OPENING_MARKS = "\"'“‘«([*_-–—•"


def sentences(text: str) -> list[str]:
    """
    The sentences of `text`, in order, each a verbatim part of it without the blanks around it.

    A blank line ends a sentence; one line break does not. Nothing is split inside brackets or quotation marks, after
    an abbreviation, an initial or a clause number ("4.2. Sick leave"). What is not white space is never lost.
    """
    found: list[str] = []
    start = 0
    for paragraph_end in [*(match.start() for match in _BLANK_LINE.finditer(text)), len(text)]:
        paragraph = text[start:paragraph_end]
        cut = 0
        for end in _ends(paragraph):
            found.append(paragraph[cut:end].strip())
            cut = end
        found.append(paragraph[cut:].strip())
        start = paragraph_end
    return [sentence for sentence in found if sentence]


def _ends(paragraph: str) -> Iterator[int]:
    """Where a sentence of the paragraph ends and another follows."""
    closed = [match.span() for match in _INSIDE.finditer(paragraph)]
    start = 0
    for match in _END.finditer(paragraph):
        end = match.end()
        if any(left < match.start() and end < right for left, right in closed):
            continue
        if _ends_here(paragraph[start : match.start()], match.group(), paragraph[end:].lstrip()):
            yield end
            start = end


def _ends_here(before: str, mark: str, after: str) -> bool:
    """Whether `mark` ends the sentence `before`, given what comes `after` it."""
    opened = after.lstrip(_OPENING_MARKS)
    if not opened or not (opened[0].isupper() or opened[0].isdigit() or opened[0] in "$€£§"):
        return False
    if not mark.startswith(".") or mark.startswith(".."):
        return True
    follows = "" if re.match(r"Nos?\. \d", opened) else re.split(r"[^\w'’]", opened, maxsplit=1)[0]
    if _NUMBER_ONLY.fullmatch(before.strip()):  # "4.2. Sick leave", "A. Purpose"
        return False
    words = before.split()
    last = words[-1].lstrip(_OPENING_MARKS).rstrip("\"'’”)]") if words else ""
    previous = words[-2].lstrip(_OPENING_MARKS).lower() if len(words) > 1 else ""
    return _word_can_end(last, mark, previous, follows)


def _word_can_end(last: str, mark: str, previous: str, follows: str) -> bool:
    """Whether a full stop after `last` closes a sentence when `follows` is the next word."""
    opens = follows.lower() in _OPENERS
    name = re.split(r"[/–—-]", last)[-1].lower()
    if len(last) == 1 and last.isalpha():
        if last.islower():
            return opens
        return (opens and last != "I") or previous in _DIVISIONS
    if mark != "." and mark.rstrip("\"'’”)]") == ".":  # closed by a bracket or a quotation mark: "(etc.)", "Inc.)"
        return name not in _TITLES or opens
    if name in {"sec", "art", "fig", "mar", "sun", "app", "mon", "fri", "tab", "ext"}:
        return opens
    if name in _TITLES:
        return False
    if name in _EITHER or re.fullmatch(r"(?:[a-z]\.)+[a-z]", name):
        if name == "no" and previous and follows[:1].isupper() and not follows[:1].isdigit():
            return True
        return opens and not follows[:1].isdigit()
    return True

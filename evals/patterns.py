"""Gold patterns: regular expressions that strangers write, checked before use and never trusted with more than a second."""

import math
import re

import regex

from engine.errors import InvalidInput

TIMEOUT_S = 1.0
LONGEST_PATTERN = 5_000  # characters
MOST_REPEATS = 10_000
"""Counted repeats, "{40}", are written out when a pattern is compiled, and no clock runs there: "(a{1000}){1000}" takes seconds."""
FLAGS = regex.IGNORECASE | regex.DOTALL
TRICKY = (
    "You may take up to 12 days of annual leave in each year, and no more than 5 of them may be carried over to the next one, "
    "unless the HR Manager has agreed in writing before 31 March!",
    f"{'a' * 60}!",
    f"{'1' * 60}!",
    f"{' ' * 60}!",
)
"""Texts on which patterns that double their work with each character ("(\\w+\\s?)*$") are found out."""


def check_pattern(pattern: str, row: str, *texts: str) -> None:
    """
    Raises InvalidInput naming the row whose pattern is no regular expression, or takes over a second on `texts` or a tricky one.

    No trial finds every such pattern; `matches` keeps its clock whatever was found here.
    """
    if len(pattern) > LONGEST_PATTERN:
        raise InvalidInput(
            f"Row {row}: a pattern has {len(pattern):,} characters, more than {LONGEST_PATTERN:,}. Write several shorter ones."
        )
    if (repeats := _written_out(pattern)) > MOST_REPEATS:
        raise InvalidInput(
            f'Row {row}: the pattern "{_short(pattern)}" repeats something {repeats:,} times, more than {MOST_REPEATS:,}. Use + or *.'
        )
    try:
        regex.compile(pattern, FLAGS)
    except (regex.error, RecursionError, OverflowError) as problem:
        raise InvalidInput(
            f'Row {row}: the pattern "{_short(pattern)}" is not a regular expression ({problem}). Mend it.'
        ) from None
    for text in (*texts, *TRICKY):
        matches(pattern, text, row)


def matches(pattern: str, text: str, row: str) -> bool:
    """
    Whether it is found in the text, whatever the case; a dot matches a newline too.

    Other threads go on meanwhile. Raises InvalidInput when it takes over a second.
    """
    try:
        return regex.search(pattern, text, FLAGS, timeout=TIMEOUT_S, concurrent=True) is not None
    except TimeoutError:
        raise InvalidInput(
            f'Row {row}: the pattern "{_short(pattern)}" takes over a second on a text of {len(text):,} characters. Simplify it.'
        ) from None


def _written_out(pattern: str) -> int:
    """At least as many copies as its counted repeats come to: those of groups multiply what stands in them."""
    pattern = re.sub(r"\\.", "x", pattern, flags=re.DOTALL)  # an escaped bracket counts nothing
    everywhere = [int(count) for count in re.findall(r"\{(\d{1,12})", pattern)]
    of_groups = [int(count) for count in re.findall(r"\)\s*\{(\d{1,12})", pattern)]
    if "#" in pattern:  # a comment may stand between a group and its count
        of_groups = everywhere
    return math.prod(max(1, count) for count in of_groups) * max(1, sum(everywhere))


def _short(pattern: str) -> str:
    return pattern if len(pattern) <= 80 else f"{pattern[:80]}…"

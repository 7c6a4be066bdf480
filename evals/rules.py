"""What a model must show before it may go live: one file of rules in the workspace, and how it reads."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from engine.errors import InvalidInput, Unavailable

FILE = "gate.toml"
DEFAULTS = """\
# What a model must show before it may go live. `promote` reads this file each time; change it here or in the page.
# Shares go from 0 to 1: 0.05 is five points of a hundred. Delete a line to have its default again.

[overall]
better = true            # its change against the live model must be above zero with 95 % confidence
beats_trivial = true     # so must its change against always refusing, and other answers that need no training
worth = 0.05             # the smallest gain for which more questions are worth asking, where no gain was seen

[slices]
margin = 0.05            # how much worse any slice (a clause, a kind of question, …) may be
fewest_questions = 10    # a slice of fewer is shown and not judged
suspect_below = 0.2      # a loss beyond the margin is proven below p = 0.05 (Holm); below this one it is at least suspected

[slices.margins]         # for single slices, by their title in the report:
# "kind: unanswerable" = 0.02

[limits]                 # each is held to the bound that the data leave possible, not to the share that was seen
hallucination = 0.2      # questions without an answer that it answers all the same
false_approval = 0.02    # requests approved that had to be rejected
invalid = 0.02           # answers that are not the JSON that was asked for
failed = 0.02            # questions to which it said nothing at all (the share itself)
slower = 2.0             # how many times as long as the live model its slow answers (p95) may take
"""


@dataclass(frozen=True)
class Rules:
    """The file, read. `margins`: slice title -> its own margin."""

    better: bool = True
    beats_trivial: bool = True
    worth: float = 0.05
    margin: float = 0.05
    fewest_questions: int = 10
    suspect_below: float = 0.2
    hallucination: float = 0.2
    false_approval: float = 0.02
    invalid: float = 0.02
    failed: float = 0.02
    slower: float = 2.0
    margins: Mapping[str, float] = field(default_factory=dict)

    def margin_of(self, title: str) -> float:
        """How much worse this slice may be."""
        return self.margins.get(title, self.margin)


PARTS = {
    "overall": ("better", "beats_trivial", "worth"),
    "slices": ("margin", "fewest_questions", "suspect_below", "margins"),
    "limits": ("hallucination", "false_approval", "invalid", "failed", "slower"),
}


def parse_rules(text: str) -> Rules:
    """Raises InvalidInput naming the line or the entry at fault; an entry that is not there has its default."""
    try:
        parts = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise InvalidInput(f"The rules ({FILE}) cannot be read: {problem}. Mend that line.") from None
    given: dict[str, Any] = {}
    for part, entries in parts.items():
        if part not in PARTS or not isinstance(entries, dict):
            raise InvalidInput(f'The rules ({FILE}) have no part "{part}". There are: {", ".join(PARTS)}.')
        for name, value in entries.items():
            if name not in PARTS[part]:
                raise InvalidInput(f'[{part}] in {FILE} has no rule "{name}". It may have: {", ".join(PARTS[part])}.')
            given[name] = _checked(name, value)
    return Rules(**given)


def read_rules(folder: Path) -> Rules:
    """The rules of a workspace; its file is written with the defaults, each explained, where there is none yet."""
    return parse_rules(rules_text(folder))


def rules_text(folder: Path) -> str:
    """The file as it stands, to be edited. Raises Unavailable when it can neither be read nor written."""
    path = folder / FILE
    try:
        if not path.is_file():
            path.write_text(DEFAULTS, encoding="utf-8")
        return path.read_text(encoding="utf-8")
    except OSError as problem:
        raise Unavailable(f"{path} cannot be read ({problem.strerror}). Check its permissions.") from None
    except UnicodeDecodeError:
        raise InvalidInput(f"{path} is not UTF-8 text. Save it as such, or delete it to have the defaults.") from None


def save_rules(folder: Path, text: str) -> Rules:
    """Keep the rules as edited. Raises InvalidInput for what cannot be read as rules; then the old ones stand."""
    rules = parse_rules(text)
    try:
        (folder / FILE).write_text(text, encoding="utf-8")
    except OSError as problem:
        raise Unavailable(f"{folder / FILE} cannot be written ({problem.strerror}). Check its permissions.") from None
    return rules


def _checked(name: str, value: Any) -> Any:
    if name == "margins":
        if not isinstance(value, dict):
            raise InvalidInput(f"The rule margins in {FILE} must be a part of its own: [slices.margins].")
        return {title: _checked(f"margin of {title}", margin) for title, margin in value.items()}
    kind = {each.name: each.type for each in fields(Rules)}.get(name, "float")
    if kind == "bool" or kind is bool:
        if not isinstance(value, bool):
            raise InvalidInput(f"The rule {name} in {FILE} is {value!r}. Write true or false.")
        return value
    most = {"fewest_questions": 1_000_000, "slower": 1_000.0}.get(name, 1.0)
    least = {"fewest_questions": 1, "slower": 1.0}.get(name, 0.0)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not least <= value <= most or (name == "fewest_questions" and value != int(value)):
        raise InvalidInput(f"The rule {name} in {FILE} is {value!r}. Write a number from {least:g} to {most:g}.")
    return int(value) if name == "fewest_questions" else float(value)

"""What a model wrote, as JSON: strictly first, then with the smallest repairs, and never more than it said."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from engine.backends import Schema

_TYPES: dict[str, type] = {
    "string": str,
    "integer": int,
    "boolean": bool,
    "array": list,
    "object": dict,
}
_TRAILING_COMMA = re.compile(r",(\s*[}\]])")


@dataclass(frozen=True)
class Reading:
    """The objects of a list, each with the sentence that says what is wrong with it ("" for a good one)."""

    items: tuple[tuple[Any, str], ...]
    valid: bool  # the text obeyed the schema as it was written, before any repair
    problem: str = ""  # what became of the rest, or of all of it


def complaint(value: Any, schema: Schema, *, where: str = "the answer") -> str:
    """ "" when `value` obeys the schema: types, required and no other properties, enums. Else one sentence's middle."""
    kind = schema["type"]
    if not isinstance(value, _TYPES[kind]) or (kind == "integer" and isinstance(value, bool)):
        return f"{where} is not of the type {kind}"
    if "enum" in schema and value not in schema["enum"]:
        return f"{where} is none of {', '.join(map(str, schema['enum']))}"
    if isinstance(value, list):
        found = [complaint(item, schema["items"], where=f"an item of {where}") for item in value]
        return next(filter(None, found), "")
    if isinstance(value, dict):
        missing = [name for name in schema["required"] if name not in value]
        more = [name for name in value if name not in schema["properties"]]
        if missing or more:
            return f"{where} lacks {missing[0]}" if missing else f"{where} has {more[0]}, which was not asked for"
        found = [complaint(item, schema["properties"][name], where=name) for name, item in value.items()]
        return next(filter(None, found), "")
    return ""


def read_list(text: str, key: str, schema: Schema) -> Reading:
    """
    The objects of {key: [...]}, of which `schema` is the whole. An empty list is a good answer.

    Repaired are: words or a code fence around the JSON, a comma before a closing bracket, and the list without its object. Of
    a text that breaks off, the whole objects are read and `problem` says that there was more.
    """
    try:
        value = json.loads(text)
        if not complaint(value, schema):
            return Reading(tuple((item, "") for item in value[key]), valid=True)
    except ValueError:
        value = _repaired(text, key)
    if isinstance(value, dict) and isinstance(value.get(key), list):
        value = value[key]
    if not isinstance(value, list):
        return Reading(tuple(_judged(_whole_objects(text), schema, key)), valid=False, problem=_what_is_wrong(text))
    return Reading(tuple(_judged(value, schema, key)), valid=False)


def read_object(text: str, schema: Schema) -> tuple[dict[str, Any] | None, str]:
    """One object with the same repairs, or None and what is wrong."""
    try:
        value = json.loads(text)
    except ValueError:
        value = _repaired(text, "")
    if not isinstance(value, dict):
        return None, _what_is_wrong(text)
    problem = complaint(value, schema)
    return (None, f"It wrote JSON, but {problem}.") if problem else (value, "")


def _judged(items: Sequence[Any], schema: Schema, key: str) -> Iterator[tuple[Any, str]]:
    row = schema["properties"][key]["items"]
    for item in items:
        problem = complaint(item, row, where="a row")
        yield item, f"The teacher wrote a row that cannot be used: {problem}." if problem else ""


def _repaired(text: str, key: str) -> Any:
    """The JSON inside words or a fence, without commas too many; None where there is none."""
    tidy = _TRAILING_COMMA.sub(r"\1", text)
    for found in re.finditer(r"[{\[]", tidy):
        try:
            value, _ = json.JSONDecoder().raw_decode(tidy, found.start())
        except ValueError:
            return None  # it breaks off: whatever stands deeper inside is a part, not the whole
        if isinstance(value, dict) and (key in value or not key):
            return value
        if isinstance(value, list) and key:
            return value
    return None


def _whole_objects(text: str) -> list[Any]:
    """The objects of the first list of a text that breaks off, up to the one that is not whole."""
    found: list[Any] = []
    place = text.find("[")
    while place >= 0 and (following := re.compile(r"[\[,]\s*(?=\{)").match(text, place)):
        try:
            value, place = json.JSONDecoder().raw_decode(text, following.end())
        except ValueError:
            break
        found.append(value)
        place += len(text[place:]) - len(text[place:].lstrip())
    return found


def _what_is_wrong(text: str) -> str:
    start = " ".join(text.split())[:80]
    if not start:
        return "It said nothing."
    if re.search(r"[{\[]", text):
        return f'Its JSON breaks off or is damaged: "{start} …".'
    return f'It wrote prose instead of JSON: "{start} …".'

"""A form from a JSON schema: the fields that stand for it, their values put together again, and what is wrong with them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from engine.errors import InvalidInput

FieldKind = Literal["choice", "choices", "yes_no", "whole", "number", "text", "lines", "table"]
Schema = Mapping[str, Any]


@dataclass(frozen=True)
class Field:
    """One thing to fill in. `path` leads to its place in the answer: ("dates", "from")."""

    path: tuple[str, ...]
    title: str
    kind: FieldKind
    required: bool
    options: tuple[Any, ...] = ()  # of a choice
    columns: tuple["Field", ...] = ()  # of a table: the properties of one entry
    help: str = ""
    low: float | None = None
    high: float | None = None

    @property
    def name(self) -> str:
        """The path as one word: "dates.from"."""
        return ".".join(self.path)


def fields_of(schema: Schema) -> list[Field]:
    """
    The fields of a schema, in its order; objects within objects are taken apart, lists of objects become tables.

    Reads type, properties, required, enum, items, title, description, minimum and maximum. Raises InvalidInput naming what it cannot
    show, such as anyOf, so that no part of an answer is left out in silence.
    """
    if _type(schema, ()) != "object" or not schema.get("properties"):
        raise InvalidInput('A form needs a schema of type "object" with properties. Change the task\'s schema.')
    return _fields(schema, (), required=True)


def blank(fields: Sequence[Field]) -> dict[str, Any]:
    """Nothing filled in: a label that is there already would be taken for right."""
    empty: dict[FieldKind, Any] = {"choices": [], "lines": "", "text": "", "table": []}
    return {field.name: empty.get(field.kind) for field in fields}


def assembled(fields: Sequence[Field], values: Mapping[str, Any]) -> dict[str, Any]:
    """
    The answer that the values come to, as the schema has it; what was left open and may be is left out.

    Raises InvalidInput with one sentence for the first field that is missing, or of the wrong kind or size.
    """
    answer: dict[str, Any] = {}
    for field in fields:
        value = _read(field, values.get(field.name))
        if value is None:
            if field.required:
                raise InvalidInput(f'"{field.title}" is missing. Fill it in.')
            continue
        place = answer
        for step in field.path[:-1]:
            place = place.setdefault(step, {})
        place[field.path[-1]] = value
    return answer


def _fields(schema: Schema, path: tuple[str, ...], *, required: bool) -> list[Field]:
    found: list[Field] = []
    must = set(schema.get("required", ()))
    for name, inner in schema["properties"].items():
        here, needed = (*path, name), required and name in must
        if _type(inner, here) == "object" and inner.get("properties"):
            found += _fields(inner, here, required=needed)
        else:
            found.append(_field(inner, here, needed))
    return found


def _field(schema: Schema, path: tuple[str, ...], required: bool) -> Field:
    kind, options, columns = _kind(schema, path)
    return Field(
        path,
        str(schema.get("title") or path[-1].replace("_", " ").capitalize()),
        kind,
        required,
        options,
        columns,
        str(schema.get("description", "")),
        schema.get("minimum"),
        schema.get("maximum"),
    )


def _kind(schema: Schema, path: tuple[str, ...]) -> tuple[FieldKind, tuple[Any, ...], tuple[Field, ...]]:
    if "enum" in schema:
        return "choice", tuple(schema["enum"]), ()
    plain: dict[str, FieldKind] = {"boolean": "yes_no", "integer": "whole", "number": "number", "string": "text"}
    kind = _type(schema, path)
    if kind in plain:
        return plain[kind], (), ()
    items = schema.get("items") or {}
    if kind == "array" and "enum" in items:
        return "choices", tuple(items["enum"]), ()
    if kind == "array" and items.get("type") == "string":
        return "lines", (), ()
    if kind == "array" and items.get("type") == "object" and items.get("properties"):
        columns = _fields(items, (), required=True)
        if all(len(column.path) == 1 and column.kind not in ("table", "choices", "lines") for column in columns):
            return "table", (), tuple(columns)
    raise InvalidInput(
        f'"{".".join(path)}" in the schema cannot be shown as a form. Use plain values, lists of them, or lists of objects.'
    )


def _type(schema: Schema, path: tuple[str, ...]) -> str:
    """The one type; "null" beside it only says that the field may be left open."""
    kinds = schema.get("type", "string" if "enum" in schema else "")
    named = [kind for kind in ([kinds] if isinstance(kinds, str) else kinds) if kind != "null"]
    if len(named) != 1 or not named[0]:
        raise InvalidInput(f'"{".".join(path) or "the schema"}" has no single type. Give it one.')
    return str(named[0])


def _read(field: Field, value: Any) -> Any:
    """The value in the schema's terms; None where nothing was filled in."""
    if field.kind == "table":
        return _entries(field, value)
    if field.kind == "lines":
        lines = value.splitlines() if isinstance(value, str) else list(value or ())
        return [line.strip() for line in lines if line.strip()] or ([] if field.required else None)
    if field.kind == "choices":
        unknown = [option for option in value or () if option not in field.options]
        if unknown:
            raise InvalidInput(
                f'"{unknown[0]}" is no choice of "{field.title}". Choose from: {_listed(field.options)}.'
            )
        return list(value or ()) or ([] if field.required else None)
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if field.kind == "choice":
        chosen = next((option for option in field.options if option == value or str(option) == str(value)), None)
        if chosen is None:
            raise InvalidInput(f'"{value}" is no choice of "{field.title}". Choose from: {_listed(field.options)}.')
        return chosen
    if field.kind == "yes_no":
        return _yes_or_no(field, value)
    return value.strip() if field.kind == "text" and isinstance(value, str) else _number(field, value)


def _entries(field: Field, value: Any) -> list[dict[str, Any]] | None:
    """Rows of a table, each in the order of its columns; empty rows are passed over."""
    found = []
    for number, row in enumerate(value or (), start=1):
        cells = row if isinstance(row, Mapping) else dict(zip((c.name for c in field.columns), row, strict=False))
        if not any(cell is not None and str(cell).strip() for cell in cells.values()):
            continue
        try:
            found.append(assembled(field.columns, cells))
        except InvalidInput as problem:
            raise InvalidInput(f'"{field.title}", line {number}: {problem}') from None
    return found or ([] if field.required else None)


def _yes_or_no(field: Field, value: Any) -> bool:
    known = {"yes": True, "true": True, "no": False, "false": False}
    if str(value).strip().lower() not in known:
        raise InvalidInput(f'"{field.title}" takes yes or no. Choose one.')
    return known[str(value).strip().lower()]


def _number(field: Field, value: Any) -> Any:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise InvalidInput(f'"{value}" in "{field.title}" is no number. Type digits.') from None
    if field.kind == "whole" and number != int(number):
        raise InvalidInput(f'"{field.title}" takes a whole number. Round it.')
    low, high = field.low, field.high
    if (low is not None and number < low) or (high is not None and number > high) or number != number:
        raise InvalidInput(f'"{field.title}" is to be {_bounds(low, high)}. Change {value}.')
    return int(number) if field.kind == "whole" else number


def _bounds(low: float | None, high: float | None) -> str:
    ends = [f"at least {low:g}" if low is not None else "", f"at most {high:g}" if high is not None else ""]
    return " and ".join(end for end in ends if end) or "a number"


def _listed(options: Sequence[Any]) -> str:
    return ", ".join(map(str, options))

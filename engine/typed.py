"""Whether a setting read from a file or a form has the type it was declared with, and the sentence where it has not."""

import types
from typing import Any, Literal, Union, get_args, get_origin

from engine.errors import InvalidInput


def check_type(name: str, value: Any, hint: Any) -> None:
    """Raises InvalidInput naming the training's setting and what it must be; a whole number passes for a number, true for none."""
    options = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    if any(_fits(value, option) for option in options):
        return
    wanted = " or ".join(_in_words(option) for option in options)
    raise InvalidInput(f"The training's setting {name} is {value!r}. It must be {wanted}.")


def _fits(value: Any, option: Any) -> bool:
    if get_origin(option) is Literal:
        return value in get_args(option)
    if option is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, option) and not (option is int and isinstance(value, bool))


def _in_words(option: Any) -> str:
    if get_origin(option) is Literal:
        return " or ".join(map(str, get_args(option)))
    words = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", type(None): "nothing"}
    return words[option]

"""How long work says where it stands: one callback for the page's bar and the command line's."""

from collections.abc import Callable

Watch = Callable[[str, int, int], None]
"""Told (what is being done, done so far, of how many)."""


def ignore(what: str, done: int, total: int) -> None:
    """For callers who do not watch."""

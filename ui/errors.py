"""One place that turns errors into what the page shows: our own as their sentence, anything else as a pointer to the log."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from html import escape
from typing import Any

import gradio as gr

from engine.errors import TouchstoneError

SHOWN_S = 20
OUR_BUG = "Something in Touchstone broke. The terminal that serves this page shows the traceback; please report it."


@contextmanager
def said_plainly() -> Iterator[None]:
    """
    An error people can mend becomes a message with its sentence, as text: gradio would render it as HTML.

    Anything else keeps its traceback in the log, and the page says so without showing it.
    """
    try:
        yield
    except TouchstoneError as problem:
        raise gr.Error(
            escape(str(problem), quote=False), duration=SHOWN_S, title="That did not work", print_exception=False
        ) from None
    except gr.Error:
        raise
    except Exception as problem:
        raise gr.Error(OUR_BUG, duration=SHOWN_S, title="A bug of ours") from problem


def shown_to_user(handler: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a handler in `said_plainly`. A generator stays a generator, or streaming would end."""
    if inspect.isgeneratorfunction(handler):

        @wraps(handler)
        def streaming(*args: Any, **kwargs: Any) -> Iterator[Any]:
            with said_plainly():
                yield from handler(*args, **kwargs)

        return streaming

    @wraps(handler)
    def once(*args: Any, **kwargs: Any) -> Any:
        with said_plainly():
            return handler(*args, **kwargs)

    return once


def warn(sentence: str) -> None:
    """Show a sentence that does not stop the work, as text."""
    gr.Warning(escape(sentence, quote=False), duration=SHOWN_S, title="Left out")


def tell(sentence: str) -> None:
    """Show a short note that something was done, as text."""
    gr.Info(escape(sentence, quote=False), duration=6, title="Done")


def handles(trigger: Callable[..., Any], **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """
    A decorator: run the function below at `trigger` (`button.click`), errors shown as sentences.

    Unlike gradio's own decorator it returns the event, so that others can follow (`.success`) or cancel it.
    """
    return lambda handler: trigger(shown_to_user(handler), **options)

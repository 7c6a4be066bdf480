"""What people can mend is shown as a sentence and as text; our own faults keep their traceback."""

import inspect

import gradio as gr
import pytest

from engine.errors import InvalidInput
from ui.errors import OUR_BUG, shown_to_user


def test_a_sentence_of_ours_is_shown_as_text_never_as_html():
    @shown_to_user
    def handler():
        raise InvalidInput('The file <img src=x onerror="alert(1)"> is empty. Choose another.')

    with pytest.raises(gr.Error) as shown:
        handler()
    assert shown.value.message == 'The file &lt;img src=x onerror="alert(1)"&gt; is empty. Choose another.'
    assert shown.value.print_exception is False


def test_our_own_fault_keeps_its_cause_and_tells_the_page_no_detail():
    @shown_to_user
    def handler():
        return {}["secret path"]

    with pytest.raises(gr.Error) as shown:
        handler()
    assert shown.value.message == OUR_BUG
    assert isinstance(shown.value.__cause__, KeyError) and shown.value.print_exception is True


def test_a_streaming_handler_still_streams_and_still_shows_its_error():
    @shown_to_user
    def handler(words):
        yield from words
        raise InvalidInput("Too few words.")

    assert inspect.isgeneratorfunction(handler)
    stream = handler(["one", "two"])
    assert [next(stream), next(stream)] == ["one", "two"]
    with pytest.raises(gr.Error, match="Too few words"):
        next(stream)


def test_closing_a_streaming_handler_closes_what_it_reads():
    closed = []

    @shown_to_user
    def handler():
        try:
            yield 1
            yield 2
        finally:
            closed.append(True)

    stream = handler()
    next(stream)
    stream.close()
    assert closed == [True]

"""Gold patterns: what strangers write as a regular expression neither stops us nor keeps the page waiting."""

import threading
import time

import pytest

from engine.errors import InvalidInput
from engine.records import Question
from evals.metrics import is_right
from evals.patterns import check_pattern, matches

RUNS_AWAY = "(a|aa)+$"


def test_what_is_no_pattern_is_named_with_its_row():
    with pytest.raises(InvalidInput, match=r'Row q7: the pattern "\(12" is not a regular expression'):
        check_pattern("(12", "q7")
    assert check_pattern(r"\b(12|twelve)\b(?! weeks)", "q7") is None


def test_brackets_nested_past_what_the_library_takes_are_no_pattern_either():
    with pytest.raises(InvalidInput, match=r"Row q1: the pattern .* is not a regular expression"):
        check_pattern("(" * 900 + "a" + ")" * 900, "q1")


def test_a_pattern_that_runs_away_is_found_before_any_model_is_asked():
    started = time.monotonic()
    with pytest.raises(InvalidInput, match=r"Row q1: the pattern .* takes over a second .* Simplify it\."):
        check_pattern("(a|aa)+b", "q1")
    assert time.monotonic() - started < 20


@pytest.mark.parametrize(
    "pattern", ["a{100000000}", "((a{100}){100}){100}", "(?:ab){1000000}", "(?x)(a{500}) # so\n {500}"]
)
def test_counts_that_would_hold_up_the_compiler_are_refused_at_once(pattern):
    started = time.monotonic()
    with pytest.raises(
        InvalidInput, match=r"(?s)Row q1: the pattern .* repeats something [\d,]+ times, more than 10,000"
    ):
        check_pattern(pattern, "q1")
    assert time.monotonic() - started < 1


@pytest.mark.parametrize("pattern", [r"\d{4}-\d{2}-\d{2}", r"(?:[A-Z]{2}\d{6}){2}", ".{0,80}", r"a{2,}", r"\{12345\}"])
def test_ordinary_counts_are_taken(pattern):
    assert check_pattern(pattern, "q1") is None


def test_a_pattern_as_long_as_a_chapter_is_refused():
    with pytest.raises(InvalidInput, match=r"Row q1: a pattern has 6,000 characters"):
        check_pattern("ab" * 3000, "q1")


def test_one_that_runs_away_on_an_answer_is_stopped_while_other_threads_go_on():
    ticks = []
    done = threading.Event()

    def tick() -> None:
        while not done.wait(0.02):
            ticks.append(time.monotonic())

    ticking = threading.Thread(target=tick)
    ticking.start()
    question = Question("q1", "How many?", "answerable", accept=(RUNS_AWAY,))
    try:
        with pytest.raises(InvalidInput, match=r'Row q1: the pattern "\(a\|aa\)\+\$" takes over a second'):
            is_right("a" * 60 + "b", question)
    finally:
        done.set()
        ticking.join()
    assert len(ticks) > 5


def test_case_and_line_ends_do_not_matter():
    assert matches("first.*HR", "FIRST\n\nask hr", "q1") and not matches("first.*HR", "ask HR first", "q1")

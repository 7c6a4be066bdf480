"""Many questions to one model: paid once, tried again, in order, stopped when nobody answers."""

import json
import threading
import time
from dataclasses import replace

import pytest

from engine.backends.openai_compatible import OpenAIModel
from engine.calls import Caller, CallsInMemory, Cancelled, Prompt, estimate, goes_in_circles
from engine.errors import Unavailable
from engine.records import Decoding, Reply
from engine.teacher_prompts import VERDICT_SCHEMA
from tests.models import SlowModel
from tests.wire import serving, settled


def prompt(text: str) -> Prompt:
    return Prompt(({"role": "user", "content": text},), VERDICT_SCHEMA, Decoding())


PROMPTS = [prompt(f"question {number}") for number in range(8)]


def caller(server, calls=None, **options) -> Caller:
    waits = options.pop("waits", [])
    timeout_s = options.pop("model_timeout_s", 5.0)
    model = OpenAIModel("m", server.url, timeout_s=timeout_s, wait=waits.append)
    return Caller(model, CallsInMemory() if calls is None else calls, wait=waits.append, **options)


class Counting(SlowModel):
    """Never comes to an end and never says the same."""

    def stream(self, messages, decoding, *, schema=None):
        try:
            for number in range(100_000):
                time.sleep(self.pause_s)
                yield f"{number} "
        finally:
            self.closed.set()
        return Reply("", self.name)


def echo(body, number):
    return f"heard {body['messages'][-1]['content']}"


def asked(server) -> list[str]:
    return [body["messages"][-1]["content"] for body in server.heard]


def texts(answers) -> list[str]:
    return [answer.text or answer.error for answer in answers]


def test_answers_come_in_the_order_of_the_questions_however_late_the_first_one_is():
    def slow_first(body, number):
        time.sleep(0.3 if "question 0" in body["messages"][-1]["content"] else 0)
        return echo(body, number)

    with serving(slow_first) as server:
        found = texts(caller(server, workers=4).ask_all(PROMPTS))
    assert found == [f"heard question {number}" for number in range(8)]


def test_no_more_are_asked_at_once_than_there_are_workers():
    at_once, most, lock = 0, 0, threading.Lock()

    def count(body, number):
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.2)
        with lock:
            at_once -= 1
        return echo(body, number)

    with serving(count) as server:
        list(caller(server, workers=3).ask_all(PROMPTS))
    assert 2 <= most <= 3


def test_a_call_is_paid_once_and_another_model_seed_or_schema_is_another_call():
    calls = CallsInMemory()
    with serving(echo) as server:
        first = list(caller(server, calls).ask_all(PROMPTS))
        again = list(caller(server, calls).ask_all(PROMPTS))
        assert texts(first) == texts(again) and len(server.heard) == 8
        assert (again[0].tokens_in, again[0].tokens_out, again[0].fresh) == (700, 90, False)
        one = caller(server, calls)
        other = replace(PROMPTS[0], decoding=Decoding(seed=1)), replace(PROMPTS[0], schema={"type": "object"})
        assert [one.ask(changed).fresh for changed in (PROMPTS[0], *other)] == [False, True, True]
        assert Caller(OpenAIModel("n", server.url), calls).ask(PROMPTS[0]).fresh


def test_a_busy_server_is_waited_for_as_long_as_it_says():
    waits: list[float] = []

    def busy(body, number):
        return (429, {"Retry-After": "7"}) if number == 0 else (503, {}) if number == 1 else "ready"

    with serving(busy) as server:
        assert caller(server, waits=waits).ask(PROMPTS[0]).text == "ready"
    assert waits == [7.0, 1.0] and len(server.heard) == 3


def test_a_time_out_and_a_cut_answer_are_asked_again():
    with serving(lambda body, number: [1.0, None, "third time"][number]) as server:
        one = caller(server, model_timeout_s=0.3)
        assert one.ask(PROMPTS[0]).text == "third time"
    assert len(server.heard) == 3


def test_one_call_that_never_comes_is_one_failure_and_the_same_failure_when_the_run_is_resumed():
    def one_is_lost(body, number):
        return None if "question 3" in body["messages"][-1]["content"] else echo(body, number)

    calls = CallsInMemory()
    with serving(one_is_lost) as server:
        first = texts(caller(server, calls, run="leave:1").ask_all(PROMPTS))
        paid = len(server.heard)
        assert first[3].endswith("broke off in the middle of an answer. Ask again.") and first[4] == "heard question 4"
        server.script = echo
        assert texts(caller(server, calls, run="leave:1").ask_all(PROMPTS)) == first and len(server.heard) == paid
        assert texts(caller(server, calls, run="leave:2").ask_all(PROMPTS))[3] == "heard question 3"
        assert len(server.heard) == paid + 1


def test_a_model_that_is_gone_stops_the_run_with_one_sentence_and_fails_no_row():
    calls = CallsInMemory()

    def dies(body, number):
        return echo(body, number) if number < 4 else (503, {})

    got = []
    with serving(dies) as server:
        with pytest.raises(Unavailable, match=r"gives no answers, so the run stops here .* mend it and resume"):
            for answer in caller(server, calls, workers=1, run="leave:1", down_after=2).ask_all(PROMPTS):
                got.append(answer)
        assert [answer.error for answer in got] == [""] * 4 and len(calls.kept) == 4
        settled()
        server.script, before = echo, len(server.heard)
        assert len(list(caller(server, calls, run="leave:1").ask_all(PROMPTS))) == 8
        assert sorted(asked(server)[before:]) == [f"question {number}" for number in range(4, 8)]


def test_failures_with_answers_between_them_stop_nothing_however_many_they_are():
    def every_other(body, number):
        lost = any(f"question {number}" in body["messages"][-1]["content"] for number in (1, 3, 5))
        return (500, {}) if lost else echo(body, number)

    with serving(every_other) as server:
        found = list(caller(server, workers=1, down_after=2).ask_all(PROMPTS))
    assert [bool(answer.error) for answer in found] == [False, True, False, True, False, True, False, False]


def test_an_answer_from_before_a_failure_does_not_make_it_the_rows_fault():
    def second_only(body, number):
        return "quick" if "question 1" in body["messages"][-1]["content"] else (500, {})

    calls = CallsInMemory()
    with serving(second_only) as server:
        server.healthy = False
        answers = caller(server, calls, workers=2, run="x", down_after=3).ask_all(PROMPTS)
        with pytest.raises(Unavailable, match="status 500"):
            next(answers)
    assert [call.reply for call in calls.kept.values()] == ["quick"]


@pytest.mark.parametrize("healthy", [True, False])
def test_when_the_last_call_of_a_run_fails_the_models_health_says_whether_it_is_that_call_or_the_model(healthy):
    with serving(lambda body, number: echo(body, number) if number < 7 else (500, {})) as server:
        server.healthy = healthy
        answers = caller(server, workers=1).ask_all(PROMPTS)
        found = [next(answers) for _ in range(7)]
        assert not any(answer.error for answer in found)
        if healthy:
            assert "status 500" in next(answers).error
        else:
            with pytest.raises(Unavailable, match="status 500"):
                next(answers)


def test_a_server_that_knows_no_schema_is_asked_without_and_then_not_with_again():
    def no_schema(body, number):
        return (400, {}) if "response_format" in body else echo(body, number)

    with serving(no_schema) as server:
        found = texts(caller(server, workers=1).ask_all(PROMPTS))
    assert found[0] == "heard question 0" and len(server.heard) == 9
    assert server.heard[0]["response_format"]["json_schema"]["schema"] == VERDICT_SCHEMA


def test_a_text_in_circles_is_ended_long_before_it_would_end_itself():
    row = json.dumps({"question": "How many days of leave do I have?", "quote": "twelve days of leave"})
    with serving(lambda body, number: '{"rows": [' + ", ".join([row] * 400)) as server:
        answer = caller(server).ask(PROMPTS[0])
    assert len(row) * 4 <= len(answer.text) < len(row) * 12 and not answer.error


@pytest.mark.parametrize("loop", ["ha " * 40, " " * 90, '{"a": 1}, ' * 20, "A sentence of some length is said. " * 5])
def test_circles_are_seen(loop):
    assert goes_in_circles(f"Once upon a time there was {loop}")


def test_rows_that_are_alike_are_no_circle():
    rows = ", ".join(json.dumps({"fact": 1, "form": "direct", "question": f"How many {n}?"}) for n in range(30))
    assert not any(goes_in_circles(rows[:end]) for end in range(0, len(rows), 7))


def test_setting_stop_ends_a_call_within_a_word_and_closing_the_answers_ends_what_is_under_way():
    slow = Counting("slow")
    one = Caller(slow, CallsInMemory(), workers=1)
    threading.Timer(0.2, one.cancel).start()
    with pytest.raises(Cancelled):
        list(one.ask_all(PROMPTS))
    assert slow.closed.wait(2) and one.calls.kept == {}

    asked_to = threading.Event()
    other = Counting("other")
    with pytest.raises(Cancelled):
        threading.Timer(0.2, asked_to.set).start()
        list(Caller(other, CallsInMemory(), stopped=asked_to.is_set).ask_all(PROMPTS))
    assert other.closed.wait(2)


def test_a_silent_server_does_not_keep_one_who_stops():
    with serving(lambda body, number: 3.0) as server:
        one = caller(server, model_timeout_s=30)
        threading.Timer(0.2, one.cancel).start()
        started = time.monotonic()
        with pytest.raises(Cancelled):
            list(one.ask_all(PROMPTS))
        assert time.monotonic() - started < 2


def test_the_estimate_is_two_calls_made_now_and_paid_once():
    calls = CallsInMemory()
    with serving(echo) as server:
        one = caller(server, calls, workers=2)
        found = estimate(one, PROMPTS, prices=(2.0, 10.0))
        assert len(server.heard) == 2 and (found.calls, found.kept) == (6, 2)
        assert (found.tokens_in, found.tokens_out) == (6 * 700, 6 * 90)
        assert found.cost == pytest.approx((4200 * 2 + 540 * 10) / 1e6)
        list(one.ask_all(PROMPTS))
        assert len(server.heard) == 8
        done = estimate(one, PROMPTS)
        assert len(server.heard) == 8 and done.calls == 0 and "nothing is to be paid" in str(done)


def test_an_estimate_from_nobody_is_a_sentence():
    model = OpenAIModel("m", "http://127.0.0.1:9", wait=lambda seconds: None)
    with pytest.raises(Unavailable, match="cannot be reached"):
        estimate(Caller(model, CallsInMemory(), wait=lambda seconds: None), PROMPTS)

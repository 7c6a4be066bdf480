"""What an update run trains on: everything new, a fair sample of the rest, for a third of the steps."""

from collections import Counter
from random import Random

import pytest

from engine.errors import InvalidInput
from engine.replay import update_rows, update_steps


def asked(question, answer, *, fact="f", kind="answerable"):
    return {"messages": [{"role": "user", "content": question}], "answer": answer, "kind": kind, "fact_id": fact}


def stated(text, fact="f"):
    return {"text": text, "kind": "statement", "fact_id": fact}


TAUGHT = [
    *(asked(f"question {n} of {fact}", "yes", fact=fact) for fact in "abcdefghij" for n in range(6)),
    *(asked(f"refused {n}", "no", fact=f"none-{n}", kind="unanswerable") for n in range(30)),
    *(stated(f"statement of {fact}", fact) for fact in "abcdefghij"),
]


def test_all_that_is_new_is_trained_on_and_an_old_question_with_a_new_answer_is_new():
    new = [asked("question 0 of a", "no longer"), stated("a new statement"), asked("brand new", "yes")]
    rows = update_rows([*TAUGHT[1:], *new], TAUGHT, share=0.5, rng=Random(0))
    assert rows[:3] == new and len(rows) == 6
    assert all(row in TAUGHT for row in rows[3:])


def test_the_replayed_sample_has_every_fact_before_any_twice_and_the_kinds_in_their_shares():
    new = [asked(f"new {n}", "yes", fact="z") for n in range(40)]
    replayed = update_rows([*TAUGHT, *new], TAUGHT, share=0.5, rng=Random(1))[40:]
    assert Counter(row["kind"] for row in replayed) == {"answerable": 24, "unanswerable": 12, "statement": 4}
    times = Counter(row["fact_id"] for row in replayed if row["kind"] == "answerable")
    assert len(times) == 10 and set(times.values()) == {2, 3}


def test_the_share_is_of_the_whole_mixture_and_no_more_than_there_is():
    new = [asked(f"new {n}", "yes") for n in range(30)]
    assert len(update_rows([*TAUGHT, *new], TAUGHT, share=0.25, rng=Random(0))) == 40
    assert len(update_rows([*TAUGHT, *new], TAUGHT, share=0.9, rng=Random(0))) == 130


def test_an_adapter_that_was_taught_everything_has_nothing_to_update():
    with pytest.raises(InvalidInput, match="nothing to update"):
        update_rows(TAUGHT[:50], TAUGHT, rng=Random(0))


@pytest.mark.parametrize(
    ("rows", "first", "steps"),
    [
        (1600, 706, 235),  # a third would be 235.3
        (1600, 705, 234),  # 235 would be a third, not less
        (80, 706, 20),  # two passes of ten steps
        (1, 2, 1),
    ],
)
def test_an_update_run_is_shorter_than_a_third_of_the_first(rows, first, steps):
    assert update_steps(rows, batch_size=8, first_steps=first) == steps

"""The order of training: what each step's batch holds."""

import random
from collections import Counter

from engine.batches import TrainingRow, batches_per_epoch, plan_batches


def row_of(length, is_statement=False, fact_id=""):
    return TrainingRow((1,), (2,) * (length - 1), is_statement, fact_id)


def test_a_pass_takes_every_question_once_and_statements_get_their_share_of_batches():
    rows = [row_of(5 + n % 7) for n in range(45)] + [row_of(9, True) for _ in range(10)]
    options = {"batch_size": 5, "statement_share": 0.1, "seed": 1}
    assert batches_per_epoch(rows, batch_size=5, statement_share=0.1) == 10
    plan = plan_batches(rows, steps=10, **options)
    of_statements = [batch for batch in plan if batch[0] >= 45]
    assert len(of_statements) == 1 and all(n >= 45 for n in of_statements[0])
    assert sorted(n for batch in plan for n in batch if n < 45) == list(range(45))
    longer = plan_batches(rows, steps=20, **options)
    assert longer[:10] == plan and longer[10:] != plan
    assert plan_batches(rows, steps=10, **options | {"seed": 2}) != plan


def test_without_statements_or_without_questions_the_plan_is_of_the_others():
    questions, statements = [row_of(5)] * 4, [row_of(5, True)] * 4
    options = {"batch_size": 2, "statement_share": 0.1, "seed": 0, "steps": 2}
    assert sorted(n for batch in plan_batches(questions, **options) for n in batch) == [0, 1, 2, 3]
    assert sorted(n for batch in plan_batches(statements, **options) for n in batch) == [0, 1, 2, 3]


def test_short_rows_are_mixed_with_long_ones():
    """Refusals are short: gathered by length they would make steps of their own, and outweigh the answers."""
    rng = random.Random(0)
    rows = [row_of(8 if rng.random() < 0.3 else 40) for _ in range(320)]
    plan = plan_batches(rows, batch_size=8, statement_share=0.0, seed=0, steps=40)
    short = [sum(len(rows[n]) == 8 for n in batch) for batch in plan]
    assert max(short) < 8 and sum(found > 0 for found in short) >= 0.8 * len(plan)


def test_each_pass_asks_every_fact_equally_often_and_every_wording_comes():
    """A fact of 2 wordings is asked as often as one of 9; what has no fact is asked once a pass."""
    wordings = {"few": 2, "middle": 4, "many": 9}
    rows = [row_of(5, fact_id=fact) for fact, count in wordings.items() for _ in range(count)]
    rows += [row_of(5) for _ in range(6)]
    assert batches_per_epoch(rows, batch_size=3, statement_share=0.0) == 6  # 3 facts x 4, and 6 others
    plan = plan_batches(rows, batch_size=3, statement_share=0.0, seed=0, steps=6 * 9)
    order = [n for batch in plan for n in batch]
    for start in range(0, len(order), 18):
        one_pass = Counter(rows[n].fact_id for n in order[start : start + 18])
        assert one_pass == {"few": 4, "middle": 4, "many": 4, "": 6}
    times = Counter(order)
    assert set(times) == set(range(len(rows)))
    of_many = [times[n] for n in range(6, 15)]
    assert sum(of_many) == 36 and max(of_many) - min(of_many) <= 1

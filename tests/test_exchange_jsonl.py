"""JSON that is not a record a line: found whole, whatever stands in its texts and wherever it is read in pieces."""

import json
import random

import pytest

from engine.exchange.jsonl import Oddities, json_objects


@pytest.mark.parametrize("indent", [None, 1])
def test_an_array_longer_than_what_is_read_at_a_time_loses_nothing_where_the_pieces_meet(tmp_path, indent):
    """A quote, a brace, a backslash and a character of four bytes, at every place of a piece."""
    rng = random.Random(0)
    wanted = [{"n": n, "text": "".join(rng.choices('\\"{}[],:\n😀aé ', k=rng.randint(0, 90)))} for n in range(9000)]
    (tmp_path / "a.json").write_text(json.dumps(wanted, ensure_ascii=False, indent=indent))
    with (tmp_path / "a.json").open("rb") as file:
        assert [item.record for item in json_objects(file, Oddities())] == wanted

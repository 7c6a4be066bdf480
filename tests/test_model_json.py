"""What a model wrote: read strictly, repaired as little as possible, and every loss named."""

import json

import pytest

from engine.model_json import complaint, read_list, read_object
from engine.teacher_prompts import VERDICT_SCHEMA, rows_schema

ROW = {"fact": 1, "form": "direct", "question": "How many days?", "opening": "", "quote": "twelve days"}
ROWS_SCHEMA = rows_schema(1)
GOOD = json.dumps({"rows": [ROW]})


def read(text):
    return read_list(text, "rows", ROWS_SCHEMA)


def test_what_obeys_the_schema_is_valid_as_it_stands_also_when_it_is_empty():
    reading = read(GOOD)
    assert reading.valid and reading.items == ((ROW, ""),) and not reading.problem
    assert read('{"rows": []}').valid and read('{"rows": []}').items == ()


@pytest.mark.parametrize(
    "text",
    [
        f"Here are the rows:\n```json\n{GOOD}\n```\nI hope they help.",
        GOOD.replace("}]}", "},]}"),
        json.dumps([ROW]),
        json.dumps({"rows": [ROW], "note": "done"}),
    ],
)
def test_small_damage_is_repaired_and_counted_as_damage(text):
    reading = read(text)
    assert not reading.valid and reading.items == ((ROW, ""),) and not reading.problem


def test_of_half_an_answer_the_whole_rows_are_kept_and_the_rest_is_named():
    whole = json.dumps({"rows": [ROW, {**ROW, "question": "Who decides?"}, ROW]})
    for cut in range(whole.rindex("{") + 1, len(whole) - 2, 9):
        reading = read(whole[:cut])
        assert [row["question"] for row, wrong in reading.items] == ["How many days?", "Who decides?"]
        assert not reading.valid and "breaks off" in reading.problem
    assert read(whole[:30]).items == () and "breaks off" in read(whole[:30]).problem


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "said nothing"),
        ("  \n", "said nothing"),
        ("I cannot help with that.", "prose instead of JSON"),
        ('"rows"', "prose"),
    ],
)
def test_what_is_no_json_is_a_sentence(text, words):
    assert read(text).items == () and words in read(text).problem


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"fact": "one"}, "fact is not of the type integer"),
        ({"fact": True}, "fact is not of the type integer"),
        ({"question": None}, "question is not of the type string"),
        ({"form": "poem"}, "form is none of direct"),
        ({"answer": "12"}, "has answer, which was not asked for"),
    ],
)
def test_a_row_of_the_wrong_kind_is_named_and_the_others_are_read(change, words):
    reading = read(json.dumps({"rows": [{**ROW, **change}, ROW, 7]}))
    (_, first), (good, second), (_, third) = reading.items
    assert words in first and (good, second) == (ROW, "") and "a row is not of the type object" in third
    assert not reading.valid


def test_a_row_that_lacks_something_is_named():
    short = {key: value for key, value in ROW.items() if key != "quote"}
    assert "lacks quote" in read(json.dumps({"rows": [short]})).items[0][1]


def test_a_verdict_is_read_with_the_same_repairs_or_not_at_all():
    assert read_object('```{"reason": "no", "faithful": false,}```', VERDICT_SCHEMA)[0] == {
        "reason": "no",
        "faithful": False,
    }
    for text, words in (
        ("Yes.", "prose"),
        ('{"faithful": "no", "reason": ""}', "type boolean"),
        ('{"faith', "breaks off"),
    ):
        value, problem = read_object(text, VERDICT_SCHEMA)
        assert value is None and words in problem


def test_the_schemas_refuse_what_their_words_forbid():
    assert complaint({"rows": [ROW]}, ROWS_SCHEMA) == ""
    assert complaint([], ROWS_SCHEMA) == "the answer is not of the type object"

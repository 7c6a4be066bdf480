"""Question files, checked before any model is asked."""

import json

import pytest

from engine.errors import InvalidInput
from engine.records import Question
from engine.samples import QUESTIONS
from evals.questions import notes_on_questions, read_questions


def written(tmp_path, *rows: dict):
    path = tmp_path / "q.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


GOOD = {"id": "a", "question": " How many? ", "kind": "answerable", "accept": ["12"]}


def test_a_row_of_the_contract_is_read_and_its_extra_keys_kept(tmp_path):
    row = {**GOOD, "paraphrase": "Number?", "reject": ["15"], "slice": "number", "clause": "4.1", "gold": "12 days"}
    refused = {"id": "b", "question": "Parrots?", "kind": "unanswerable", "slice": None}
    assert read_questions(written(tmp_path, row, refused)) == [
        Question(
            "a", "How many?", "answerable", "Number?", ("12",), ("15",), "number", {"clause": "4.1", "gold": "12 days"}
        ),
        Question("b", "Parrots?", "unanswerable"),
    ]


def test_the_questions_of_the_sample_policy_are_read(document):
    found = read_questions(QUESTIONS)
    assert len(found) == 90 and {question.kind for question in found} == {"answerable", "unanswerable"}


def test_a_number_may_be_an_id_zero_too(tmp_path):
    assert [question.id for question in read_questions(written(tmp_path, {**GOOD, "id": 0}, {**GOOD, "id": 1}))] == [
        "0",
        "1",
    ]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"id": ""}, r'Row 2 of q\.jsonl has no "id"'),
        ({"id": None}, r'Row 2 of q\.jsonl has no "id"'),
        ({"id": "a#p"}, r'"a#p" ends in "#p", which marks paraphrases'),
        ({"question": "  "}, r'Row z \(2 of q\.jsonl\) has no "question"'),
        ({"kind": "maybe"}, r"""must be "answerable" or "unanswerable", not 'maybe'"""),
        ({"kind": None}, r"not None"),
        ({"accept": "12"}, r'"accept" must be a list of patterns'),
        ({"reject": [12]}, r'"reject" must be a list of patterns'),
        ({"accept": []}, r'is answerable but has no "accept" pattern'),
        ({"accept": ["(12"]}, r'Row z: the pattern "\(12" is not a regular expression'),
        ({"id": "a"}, r'the id "a" stands on more than one row'),
    ],
)
def test_the_first_bad_row_is_named_before_any_model_is_asked(tmp_path, change, says):
    with pytest.raises(InvalidInput, match=says):
        read_questions(written(tmp_path, GOOD, {**GOOD, "id": "z", **change}))


def test_gold_that_its_own_patterns_reject_is_named(tmp_path):
    for change in ({"gold": "15 days"}, {"answer": "15 days"}, {"gold": "12 days", "reject": ["days"]}):
        with pytest.raises(InvalidInput, match=r"Row z .*: its own patterns do not take its answer .* as right"):
            read_questions(written(tmp_path, GOOD, {**GOOD, "id": "z", **change}))
    assert read_questions(written(tmp_path, {**GOOD, "gold": "12 days"}, {**GOOD, "id": "b", "answer": "Exactly 12"}))


@pytest.mark.parametrize("what", ["question", "paraphrase", "gold"])
def test_a_text_of_a_megabyte_is_named_and_not_repeated(tmp_path, what):
    with pytest.raises(InvalidInput, match=r"Row z .* has 1,000,000 characters, more than 20,000") as raised:
        read_questions(written(tmp_path, GOOD, {**GOOD, "id": "z", what: "12345678 9" * 100_000}))
    assert len(str(raised.value)) < 200


def test_no_rows_is_said_as_it_is(tmp_path):
    path = tmp_path / "q.jsonl"
    path.write_text("\n\n")
    with pytest.raises(InvalidInput, match=r"q\.jsonl has no rows"):
        read_questions(path)


def test_what_a_file_cannot_show_is_said():
    asked = Question("a", "How many?", "answerable", accept=("12",))
    refused = Question("b", "Parrots?", "unanswerable")
    (one_kind, few) = notes_on_questions([asked])
    assert "whether a model invents answers is not measured" in one_kind
    assert few == "1 question cannot decide much: all of them right may still be 21 % in truth. Ask at least 20."
    assert "only refusing is measured" in notes_on_questions([refused] * 20)[0]
    assert notes_on_questions([asked] * 19 + [refused]) == []

"""Many questions to one model: every row answered in its place, whatever goes wrong with any of them."""

import json
import time
from contextlib import closing

import pytest

from engine.answering import answer_rows, read_jsonl
from engine.answers import StoredAnswers
from engine.backends import Stream
from engine.errors import InvalidInput, Unavailable
from engine.records import Decoding, Passage
from engine.tasks.policy_qa import POLICY_QA
from tests.models import EchoModel, FailingModel, SlowModel


class FickleModel(EchoModel):
    """Fails on some questions, and answers the earlier ones later, so that order has to be kept."""

    def stream(self, messages, decoding, *, schema=None) -> Stream:
        question = messages[-1]["content"]
        if "bad" in question:
            raise Unavailable("The server is gone. Start it.")
        time.sleep(0.02 if question.endswith(("0", "1", "2")) else 0)
        return (yield from super().stream(messages, decoding, schema=schema))


def test_answers_come_in_the_order_and_with_the_ids_of_the_questions():
    rows = [{"id": f"q{n}", "question": f"Question {n}"} for n in range(40)]
    found = list(answer_rows(FickleModel("fickle"), rows, POLICY_QA))
    assert [(row["id"], row["answer"]) for row in found] == [(f"q{n}", f"Question {n}") for n in range(40)]
    assert all(row["model"] == "fickle" and row["tokens_out"] == 2 and row["latency_ms"] == 1.0 for row in found)
    assert not any("error" in row for row in found)


def test_a_paraphrase_is_a_second_row_right_after_its_question():
    rows = [{"id": 7, "question": "Seven?", "paraphrase": "Siete?"}, {"id": 8, "question": "Eight?", "paraphrase": ""}]
    found = list(answer_rows(EchoModel("e"), rows, POLICY_QA))
    assert [(row["id"], row["question"], row["answer"]) for row in found] == [
        (7, "Seven?", "Seven?"), ("7#p", "Siete?", "Siete?"), (8, "Eight?", "Eight?"),
    ]  # fmt: skip


def test_a_failed_row_says_why_and_the_others_go_on():
    rows = [
        {"id": "a", "question": "good"},
        {"id": "b", "question": "bad"},
        {"id": "c", "question": " "},
        {"id": "d", "question": "fine"},
    ]
    found = list(answer_rows(FickleModel("f"), rows, POLICY_QA))
    assert [(row["id"], row["answer"], row.get("error")) for row in found] == [
        ("a", "good", None), ("b", "", "The server is gone. Start it."), ("c", "", "The row has no question."), ("d", "fine", None),
    ]  # fmt: skip


def test_an_error_in_the_reply_leaves_no_half_answer():
    (row,) = answer_rows(FailingModel("f", words=2, politely=True), [{"id": "a", "question": "Q?"}], POLICY_QA)
    assert row["answer"] == "" and row["error"] == "The model server does not answer. Start it and ask again."


def test_other_keys_travel_through_untouched():
    extra = {"kind": "answerable", "accept": ["12"], "slice": "number", "nested": {"a": [1, None]}, "gold": "é"}
    found = list(answer_rows(EchoModel("e"), [{"id": "a", "question": "Q?", "paraphrase": "P?", **extra}], POLICY_QA))
    assert len(found) == 2 and all({key: row[key] for key in extra} == extra for row in found)


def test_found_clauses_stand_in_the_prompt_and_closed_book_asks_the_bare_question():
    model = EchoModel("e")
    clause = Passage("p", "d", 0, ("1 Leave",), None, "Twelve days.", 0, 12)
    row = {"id": "a", "question": "How many?"}
    list(answer_rows(model, [row], POLICY_QA))
    list(answer_rows(model, [row], POLICY_QA, find=lambda question: [clause]))
    assert model.asked == ["How many?", "[1] 1 Leave\nTwelve days.\n\nQuestion: How many?"]


# Reading


def test_jsonl_is_read_whatever_program_wrote_it(tmp_path):
    path = tmp_path / "q.jsonl"
    path.write_bytes('\ufeff{"id": "a"}\r\n\r\n  \n{"id": "é"}'.encode())
    assert read_jsonl(path) == [{"id": "a"}, {"id": "é"}]


def test_a_line_separator_inside_a_string_does_not_end_the_row(tmp_path):
    row = {"id": "a", "question": "one\u2028two\u0085three\nfour"}
    path = tmp_path / "q.jsonl"
    path.write_text(json.dumps(row, ensure_ascii=False) + "\n", encoding="utf-8")
    assert read_jsonl(path) == [row]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'{"id": 1}\n\n{"id": 2\n', r"q\.jsonl, line 3 is not JSON"),
        (b'{"id": 1}\n[1, 2]\n', r"q\.jsonl, line 2 is not a JSON object"),
        (b"\n \n", "has no rows"),
        (b"", "has no rows"),
        (b"\xff\xfe{\x00", "cannot be read as UTF-8"),
    ],
)
def test_a_bad_file_is_refused_with_the_line_at_fault(tmp_path, content, says):
    path = tmp_path / "q.jsonl"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=says):
        read_jsonl(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(InvalidInput, match=r"no file .*gone\.jsonl"):
        read_jsonl(tmp_path / "gone.jsonl")
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_jsonl(tmp_path)


# Kept answers


@pytest.fixture
def kept(store, clock):
    return StoredAnswers(store, clock)


ROWS = [{"id": f"q{n}", "question": f"Question {n}"} for n in range(12)]


def test_a_stopped_run_goes_on_and_asks_only_what_is_missing(kept):
    first = EchoModel("e")
    with closing(answer_rows(first, ROWS, POLICY_QA, kept=kept, workers=1)) as rows:
        broken_off = [next(rows) for _ in range(5)]
    second = EchoModel("e")
    whole = list(answer_rows(second, ROWS, POLICY_QA, kept=kept))
    assert whole[:5] == broken_off
    assert len(first.asked) >= 5 and sorted(first.asked + second.asked) == sorted(row["question"] for row in ROWS)
    assert whole == list(answer_rows(EchoModel("e"), ROWS, POLICY_QA))


def test_a_kept_answer_comes_back_as_it_was_given_whatever_the_model_is_called_now(kept):
    class Renamed(EchoModel):
        def digest(self) -> str:
            return EchoModel("e").digest()

    (before,) = answer_rows(EchoModel("e", "Twelve é\u2028days."), ROWS[:1], POLICY_QA, kept=kept)
    renamed = Renamed("other")
    (after,) = answer_rows(renamed, ROWS[:1], POLICY_QA, kept=kept)
    assert after == before | {"model": "other"} and renamed.asked == []
    assert (after["answer"], after["latency_ms"], after["first_token_ms"]) == ("Twelve é\u2028days.", 1.0, 0.5)


def test_another_model_another_prompt_and_another_decoding_are_asked_anew(kept):
    row, model = ROWS[:1], EchoModel("e")
    list(answer_rows(model, row, POLICY_QA, kept=kept))
    list(answer_rows(model, row, POLICY_QA, kept=kept, decoding=Decoding(max_tokens=7)))
    list(answer_rows(model, row, POLICY_QA, kept=kept, find=lambda _: [Passage("p", "d", 0, ("1",), None, "x", 0, 1)]))
    other = EchoModel("other")
    list(answer_rows(other, row, POLICY_QA, kept=kept))
    assert (len(model.asked), len(other.asked)) == (3, 1)
    list(answer_rows(model, row, POLICY_QA, kept=kept, decoding=Decoding(max_tokens=7)))
    assert len(model.asked) == 3


def test_a_failure_is_never_kept(kept):
    rows = [{"id": "a", "question": "good"}, {"id": "b", "question": "bad"}]
    assert [row.get("error") for row in answer_rows(FickleModel("f"), rows, POLICY_QA, kept=kept)] == [
        None,
        "The server is gone. Start it.",
    ]
    mended = EchoModel("f")
    assert [row["answer"] for row in answer_rows(mended, rows, POLICY_QA, kept=kept)] == ["good", "bad"]
    assert mended.asked == ["bad"]
    list(answer_rows(FailingModel("p", words=1, politely=True), rows, POLICY_QA, kept=kept))
    polite = EchoModel("p")
    list(answer_rows(polite, rows, POLICY_QA, kept=kept))
    assert len(polite.asked) == 2


def test_asked_anew_what_is_kept_is_not_read_and_gives_way(store, clock):
    kept, anew = StoredAnswers(store, clock), StoredAnswers(store, clock, anew=True)
    list(answer_rows(EchoModel("server", "old"), ROWS[:1], POLICY_QA, kept=kept))
    (fresh,) = answer_rows(EchoModel("server", "new"), ROWS[:1], POLICY_QA, kept=anew)
    (again,) = answer_rows(EchoModel("server", "newer still"), ROWS[:1], POLICY_QA, kept=kept)
    assert (fresh["answer"], again["answer"]) == ("new", "new")


def test_a_model_that_cannot_say_which_it_is_is_asked_all_the_same(kept):
    class Nameless(EchoModel):
        def digest(self) -> str:
            raise Unavailable("Ollama is not running. Start it.")

    model = Nameless("n", "yes")
    rows = [row for _ in range(2) for row in answer_rows(model, ROWS[:1], POLICY_QA, kept=kept)]
    assert [row["answer"] for row in rows] == ["yes", "yes"] and len(model.asked) == 2


def test_closing_ends_the_answers_under_way_within_a_word():
    class SlowAfterOne(SlowModel):
        def stream(self, messages, decoding, *, schema=None) -> Stream:
            if messages[-1]["content"] == "Question 0":
                return (yield from EchoModel("e").stream(messages, decoding))
            return (yield from super().stream(messages, decoding))

    model = SlowAfterOne("slow")
    with closing(answer_rows(model, ROWS, POLICY_QA, workers=3)) as rows:
        assert next(rows)["answer"] == "Question 0"
    assert model.closed.wait(1)
    said = model.said
    time.sleep(0.05)
    assert model.said == said < 1000

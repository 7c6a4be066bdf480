"""Closeness of questions: exact, whatever the words; leakage of a version; training rows apart from a named file's."""

import json
import random

import pytest

from engine.errors import InvalidInput
from engine.leakage import Leakage, apart_from_recipe, keep_apart_from, leakage, read_question_file
from engine.quality import HeldOut
from engine.records import Example, LedgerRow


def row(name, question, split, *, fact="f1", kind="answerable"):
    return LedgerRow(Example(name, fact, kind, "wh", question, "The answer."), "kept", "", split)


@pytest.mark.parametrize(
    ("one", "other", "close"),
    [
        ("how many days of leave do I get", "how many days of leave do we get", True),  # 7 of 9 words: 0.78
        ("how many days of leave", "how many weeks of leave", False),  # 4 of 6: 0.67
        ("a b c d e f g", "a b c d e f g h i j", True),  # 7 of 10: exactly 0.7
        ("leave leave leave", "Leave?", True),  # words count once
        ("", "leave", False),
        ("?!", "…", False),  # no word, no closeness
    ],
)
def test_closeness_is_the_jaccard_index_of_words_from_seven_tenths_on(one, other, close):
    assert HeldOut([other]).near(one) is close
    assert HeldOut(["unrelated", one]).near(other) is close
    assert not HeldOut([]).near(one)


def test_the_index_finds_exactly_what_a_comparison_of_all_pairs_finds():
    rng = random.Random(3)
    texts = [" ".join(rng.choices("abcdefghijklm", k=rng.randint(1, 12))) for _ in range(800)]
    held_out, asked = texts[:300], texts[300:]

    def jaccard(one, other):
        a, b = set(one.split()), set(other.split())
        return len(a & b) / len(a | b)

    index = HeldOut(held_out)
    truth = {text: any(10 * jaccard(text, other) >= 7 - 1e-9 for other in held_out) for text in asked}
    assert {text: index.near(text) for text in asked} == truth
    assert 20 < sum(truth.values()) < len(asked) - 20
    found = [(text, held_out[n]) for text in asked if (n := index.find(text)) is not None]
    assert all(jaccard(text, other) >= 0.7 - 1e-9 for text, other in found)


def test_leakage_names_facts_and_questions_that_stand_on_both_sides():
    rows = [
        row("t1", "how many days of leave do I get", "train"),
        row("t2", "who signs the form", "train", fact="f2"),
        row("t3", "", "train", fact="f3", kind="statement"),
        row("p1", "how many days of leave do we get", "probe"),  # a probe may share its fact, not its words
        row("x1", "who pays", "test", fact="f2"),
        row("x2", "when is it", "test", fact="f4"),
    ]
    found = leakage(rows)
    assert found == Leakage(("f2",), (("t1", "p1"),))
    assert found.as_recipe() == {"shared_facts": 1, "close_pairs": 1}


def test_rejected_rows_leak_nothing():
    rejected = LedgerRow(row("t", "how many days", "train").example, "rejected", "a reason")
    assert leakage([rejected, row("x", "how many days", "test")]) == Leakage((), ())


def test_training_questions_close_to_a_files_questions_or_paraphrases_give_way_in_its_name(tmp_path):
    path = tmp_path / "gold.jsonl"
    lines = [
        {"id": 1, "question": "How many days of leave do I get?", "paraphrase": "Who signs the form?", "kind": "x"},
        {"id": 2, "question": "May I smoke?"},
    ]
    path.write_text("\n".join(map(json.dumps, lines)))
    file = read_question_file(path)
    rows = [
        row("a", "how many days of leave do we get", "train"),
        row("b", "who signs the form", "train"),
        row("c", "who signs the form", "probe"),
        row("d", "when is payday", "train"),
    ]
    kept = keep_apart_from([file], rows)
    assert [(r.state, r.split) for r in kept] == [
        ("rejected", None),
        ("rejected", None),
        ("kept", "probe"),
        ("kept", "train"),
    ]
    assert kept[0].reason == "too close to a question of gold.jsonl"
    (told,) = apart_from_recipe([file], kept)
    assert told == {"file": "gold.jsonl", "digest": file.digest, "questions": 3, "rejected": 2}
    path.write_text(path.read_text() + "\n")
    assert read_question_file(path).digest != file.digest


def test_a_row_without_a_question_is_named(tmp_path):
    path = tmp_path / "gold.jsonl"
    path.write_text('{"question": "Who pays?"}\n{"id": 7}\n')
    with pytest.raises(InvalidInput, match=r"gold\.jsonl, row 2"):
        read_question_file(path)

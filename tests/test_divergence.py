"""Where tuning changed a model's mind: means and worst places counted by hand, references that are the right ones."""

import json
import math
import shutil
from argparse import Namespace
from dataclasses import dataclass

import pytest

from app import main, parser
from engine.adapters import install_adapter
from engine.answers import StoredAnswers
from engine.errors import InvalidInput
from engine.next_token import Expected, Position
from engine.records import REFUSAL
from engine.tasks.policy_qa import POLICY_QA
from evals.divergence import (
    EVERYDAY,
    EVERYDAY_QUESTIONS,
    Item,
    Trace,
    as_mapping,
    divergence,
    items_everyday,
    items_in_policy,
    items_of_file,
    level,
)
from evals.ledger import adapter_named
from tests.models import EchoModel
from tests.page import add_policy, stand_in_workspace
from ui.diverged import in_words, slice_rows
from ui.divergence import as_html, token_rows


def position(token: str, kl: float, base: str = "a", tuned: str = "a") -> Position:
    half = math.log(0.5)
    return Position(token, kl, (Expected(base, half),), (Expected(tuned, half),))


@dataclass(frozen=True)
class LengthPair:
    """Every word of a text is as far as it has letters; the word "twelve" alone is expected otherwise."""

    exact: bool = True

    def along(self, messages, text):
        return [position(word, len(word), tuned="b" if word == "twelve" else "a") for word in text.split()]


def item(text: str, name: str) -> Item:
    return Item(f"{text}?", tuple(POLICY_QA.messages("?")), text, name)


def test_a_slice_comes_to_its_mean_over_tokens_its_worst_token_and_the_share_that_changed():
    found = divergence("t", LengthPair(), [item("a bb ccc", "s"), item("twelve", "s"), item("dd", "other")])
    first, second = found.slices
    assert (first.name, first.items, first.tokens) == ("s", 2, 4)
    assert (first.mean, first.worst, first.worst_token, first.worst_question) == (3.0, 6, "twelve", "twelve?")
    assert first.changed == 0.25 and (second.name, second.mean, second.changed) == ("other", 2.0, 0.0)
    assert found.traces[0].mean == 2.0 and found.traces[0].worst.token == "ccc"
    assert json.loads(json.dumps(as_mapping(found)))["slices"][0]["mean"] == 3.0


def test_what_is_known_of_the_likeliest_tokens_alone_is_marked_as_at_least_so_much():
    found = divergence("t", LengthPair(exact=False), [item("a", "s")])
    assert "at least (top-k only)" in as_mapping(found)["unit"] and slice_rows(found)[0][3] == "≥ 1.00"
    assert slice_rows(divergence("t", LengthPair(), [item("a", "s")]))[0][3] == "1.00"


def test_nothing_to_go_along_is_said():
    with pytest.raises(InvalidInput, match="no text to go along"):
        divergence("t", LengthPair(), [])


def test_shades_grow_with_the_distance():
    assert [level(kl) for kl in (0.0, 0.09, 0.1, 0.5, 2.0, 4.9, 5.0, 50.0)] == [0, 0, 1, 2, 3, 3, 4, 4]


@pytest.fixture
def workspace(tmp_path):
    workspace = stand_in_workspace(tmp_path / "ws", EchoModel("base", "Paris, of course."), EchoModel("tuned"))
    add_policy(workspace)
    return workspace


def test_held_out_questions_go_along_the_answer_that_is_right_for_the_adapter(workspace):
    items = items_in_policy(workspace, adapter_named(workspace, "tuned"), most=2)
    slices = [item.slice for item in items]
    assert set(slices) >= {"new wording", "unanswerable"} and max(map(slices.count, slices)) <= 2
    for one in items:
        assert one.messages == tuple(POLICY_QA.messages(one.question))
        assert (one.reference == REFUSAL) is (one.slice in ("unanswerable", "never taught"))


def test_everyday_questions_go_along_what_the_base_says_without_any_instructions(workspace):
    base = workspace.stand_ins[0]
    kept = StoredAnswers(workspace.store, workspace.now)
    items = items_everyday(base, kept=kept)
    assert len(items) == len(EVERYDAY_QUESTIONS) and {one.reference for one in items} == {"Paris, of course."}
    assert all(one.messages == ({"role": "user", "content": one.question},) for one in items)
    assert items_everyday(base, kept=kept) == items and len(base.asked) == len(items)  # asked once
    assert items_everyday(EchoModel("silent", ""), kept=None) == []


def test_a_file_goes_along_its_own_answers_and_along_the_base_where_it_names_none(workspace, tmp_path):
    rows = [
        {
            "id": "a",
            "question": "How many?",
            "kind": "answerable",
            "accept": ["12"],
            "gold": "12 days",
            "slice": "number",
        },
        {"id": "b", "question": "Capital?", "kind": "answerable", "accept": ["Paris"]},
        {"id": "c", "question": "Parrots?", "kind": "unanswerable"},
        {"id": "d", "question": "More?", "kind": "answerable", "accept": ["x"]},
    ]
    path = tmp_path / "mine.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    base = workspace.stand_ins[0]
    found = items_of_file(path, POLICY_QA, base, plain=False, most=3)
    assert [(one.reference, one.slice) for one in found] == [
        ("12 days", "number"), ("Paris, of course.", "mine"), (REFUSAL, "mine")
    ]  # fmt: skip
    assert base.asked == ["Capital?"]
    plain = items_of_file(path, POLICY_QA, base, plain=True, most=2)
    assert [(one.reference, len(one.messages)) for one in plain] == [("Paris, of course.", 1)] * 2


def test_the_text_is_shown_whole_in_shades_and_escaped():
    trace = Trace("How <b>?", EVERYDAY, "x", (position("<i>12", 6.0, "<u>", "b"), position(" days", 0.0)))
    html = as_html(trace)
    assert (
        '<span class="kl kl4" title="at “&lt;i&gt;12” 6.0 nats: base expected “&lt;u&gt;” 50 %; tuned “b” 50 %">'
        in html
    )
    assert '<span class="kl kl0"' in html and not any(tag in html for tag in ("<i>", "<u>", "<b>"))
    assert token_rows(trace)[0] == ["<i>12", "6.00", "“<u>” 50 %", "“b” 50 %"]
    assert in_words(trace.worst).startswith("at “<i>12” 6.0 nats")


def test_the_command_takes_a_file_a_limit_and_the_served_models():
    given = parser().parse_args(
        ["divergence", "tuned", "--questions", "f.jsonl", "--plain", "--limit", "3", "--served"]
    )
    assert isinstance(given, Namespace)
    assert (given.adapter, given.questions, given.plain, given.limit, given.served) == (
        "tuned",
        "f.jsonl",
        True,
        3,
        True,
    )


def test_the_command_goes_along_the_answers_of_a_file_with_a_real_adapter(tmp_path, embedded, loud_adapter, capsys):
    built = shutil.copytree(loud_adapter, tmp_path / "built")
    install_adapter(built, tmp_path / "ws" / "adapters", "loud", {"base": "base", "dataset": "leave:1"})
    row = {"id": "a", "question": "How many days?", "kind": "answerable", "accept": ["12"], "gold": "You get 12 days."}
    (tmp_path / "q.jsonl").write_text(json.dumps(row))
    command = ["divergence", "loud", "--questions", str(tmp_path / "q.jsonl"), "--workspace", str(tmp_path / "ws")]
    assert main([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    (trace,) = found["traces"]
    assert found["exact"] and "".join(position["token"] for position in trace["positions"]) == "You get 12 days.(end)"
    assert found["slices"][0]["mean"] == pytest.approx(trace["mean"]) and trace["mean"] > 0.1
    assert trace["worst"]["kl"] == max(position["kl"] for position in trace["positions"])
    assert main(["divergence", "ghost", "--workspace", str(tmp_path / "ws")]) == 2
    assert "ghost" in capsys.readouterr().err

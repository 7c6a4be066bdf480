"""When an adapter refuses: margins to a threshold by hand, the curve, a person's choice, what others are told."""

import json
from dataclasses import replace

import pytest

from engine.adapters import SETTING, install_adapter
from engine.errors import InvalidInput
from engine.records import Adapter, Example, LedgerRow
from engine.refusing import (
    MOST_MEASURED,
    Margins,
    choose,
    curve,
    elsewhere,
    handicap,
    held_out_rows,
    setting,
    setting_at,
    setting_of,
    threshold,
)
from engine.settings import Settings
from engine.tasks.policy_qa import POLICY_QA
from engine.workspace import Workspace

FIVE = Margins("policy_qa", 7, (-1.0, 0.5, 1.5), (3.0, -0.5, 1.0, 2.0, 4.0))


def adapter(folder, margins=FIVE):
    found = {"task": margins.task, "token": margins.token, "answerable": [*margins.answerable]}
    card = {"refusal": {**found, "unanswerable": [*margins.unanswerable]}}
    return Adapter("leave", "base", str(folder), "f" * 64, "2026-05-01", "leave:1", card)


@pytest.mark.parametrize(
    ("least_refused", "largest"),
    [
        (1.0, -0.51),  # all five lie above it, the lowest is -0.5
        (0.8, 0.99),  # four of five
        (0.61, 0.99),  # a little more than three of five is four
        (0.6, 1.99),
        (0.2, 3.99),
        (0.01, 3.99),  # at least one
    ],
)
def test_the_threshold_is_the_largest_that_still_refuses_the_share(least_refused, largest):
    assert threshold(FIVE, least_refused=least_refused) == largest
    above = [sum(margin > t for margin in FIVE.unanswerable) for t in (largest, largest + 0.01)]
    assert above[0] >= least_refused * 5 > above[1]


def test_a_share_that_binary_fractions_miss_by_a_hair_asks_for_no_question_more():
    assert 0.07 * 100 > 7
    assert threshold(Margins("policy_qa", 7, (), tuple(map(float, range(1, 101)))), least_refused=0.07) == 93.99


def test_equal_margins_are_refused_together():
    assert threshold(Margins("policy_qa", 7, (), (2.0, 2.0, 2.0, 1.0)), least_refused=0.3) == 1.99


@pytest.mark.parametrize("share", [0.0, -0.1, 1.01, 90.0, float("nan")])
def test_what_is_no_share_is_refused(share):
    with pytest.raises(InvalidInput, match="Give one above 0 and at most 1"):
        threshold(FIVE, least_refused=share)


def test_the_curve_steps_down_where_a_question_stops_being_refused():
    third = pytest.approx(1 / 3)
    assert curve(FIVE) == [
        (0.0, 0.8, pytest.approx(2 / 3)),
        (0.5, 0.8, third),
        (1.0, 0.6, third),
        (1.5, 0.6, 0.0),
        (2.0, 0.4, 0.0),
        (3.0, 0.2, 0.0),
        (4.0, 0.0, 0.0),
    ]
    assert curve(replace(FIVE, answerable=(), unanswerable=(-1.0,))) == [(0.0, 0.0, 0.0)]


def test_the_refusal_is_held_back_as_the_task_says_and_never_pushed(tmp_path):
    assert handicap(adapter(tmp_path), replace(POLICY_QA, least_refused=0.8)) == 0.99
    assert handicap(adapter(tmp_path), POLICY_QA) == 0.0  # 0.9 of five is all five, and that is below 0
    found = setting_at(FIVE, 0.6)
    assert (found.handicap, found.rightly, found.wrongly) == (1.99, 3, 0)
    assert (setting_at(FIVE, 1.0).rightly, setting_at(FIVE, 1.0).wrongly) == (4, 2)


def test_an_adapter_on_which_nothing_was_measured_stays_as_it_was_trained(tmp_path):
    old = replace(adapter(tmp_path), card={})
    none_to_refuse = adapter(tmp_path, replace(FIVE, unanswerable=()))
    other_job = adapter(tmp_path, replace(FIVE, task="leave_decision"))
    for found in (old, none_to_refuse, other_job):
        assert handicap(found, POLICY_QA) == 0.0 and setting(found, POLICY_QA) is None
    with pytest.raises(InvalidInput, match=r"When leave refuses was not measured .* Train it again"):
        setting_of(old)
    with pytest.raises(InvalidInput, match="was not measured"):
        choose(old, 0.9)
    assert list(tmp_path.iterdir()) == []


def test_a_choice_is_kept_beside_the_adapter_until_it_is_taken_back(tmp_path):
    found = adapter(tmp_path)
    choose(found, 0.6)
    assert [path.name for path in tmp_path.iterdir()] == [SETTING]
    assert handicap(found, POLICY_QA) == 1.99 and setting_of(found).chosen
    with pytest.raises(InvalidInput, match="2 is no share"):
        choose(found, 2.0)
    assert setting_of(found).least_refused == 0.6
    choose(found, None)
    choose(found, None)
    assert setting_of(found).least_refused == POLICY_QA.least_refused and not setting_of(found).chosen


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"least_refused": 7}', '{"least_refused": "most"}'])
def test_a_damaged_choice_is_named_rather_than_guessed(tmp_path, text):
    (tmp_path / SETTING).write_text(text)
    with pytest.raises(InvalidInput, match=r"refusal\.json cannot be read\. Delete that file"):
        handicap(adapter(tmp_path), POLICY_QA)


def test_who_serves_it_elsewhere_is_told_what_is_missing_there(tmp_path):
    assert elsewhere(None) == elsewhere(setting_at(FIVE, 1.0)) == ""
    says = elsewhere(setting_at(FIVE, 0.6))
    assert "as it was trained" in says and "1.99 nats" in says and '"logit_bias": [[7, -1.99]]' in says


def row(name, kind, split):
    return LedgerRow(Example(name, f"f-{name}", kind, "wh", f"Is it {name}?", "Twelve."), "kept", "", split)


def test_taught_facts_in_new_words_are_to_be_answered_and_never_taught_ones_refused_unless_they_can_be_read():
    ledger = [
        row("new", "answerable", "probe"),
        row("none", "unanswerable", "probe"),
        row("never", "answerable", "test"),
        row("seen", "answerable", "train"),
    ]
    kinds = {
        mode: {found["fact_id"]: found["kind"] for found in held_out_rows(ledger, POLICY_QA, mode, seed=0)}
        for mode in ("closed", "grounded")
    }
    assert kinds["closed"] == {"f-new": "answerable", "f-none": "unanswerable", "f-never": "unanswerable"}
    assert kinds["grounded"] == {"f-new": "answerable", "f-none": "unanswerable", "f-never": "answerable"}
    (first, *_) = held_out_rows(ledger, POLICY_QA, "closed", seed=0)
    assert first["messages"] == POLICY_QA.messages("Is it new?")
    assert held_out_rows(ledger, replace(POLICY_QA, refusal=""), "closed", seed=0) == []


def test_of_many_questions_as_many_of_each_kind_are_drawn_and_the_same_for_a_seed():
    kinds = ("answerable", "unanswerable")
    ledger = [row(f"{kind}{n}", kind, "probe") for n in range(2 * MOST_MEASURED) for kind in kinds]
    drawn, again, other = (held_out_rows(ledger, POLICY_QA, "closed", seed=seed) for seed in (0, 0, 1))
    assert [sum(found["kind"] == kind for found in drawn) for kind in kinds] == [MOST_MEASURED, MOST_MEASURED]
    assert json.dumps(drawn) == json.dumps(again) != json.dumps(other)


def test_what_answers_is_held_back_as_the_adapter_is_set_and_is_another_model_when_that_changes(tmp_path, embedded):
    workspace = Workspace.open(Settings(tmp_path / "work", Settings.read().models, 1), seed=0)
    card = adapter("", replace(FIVE, unanswerable=(3.0, 1.0, 2.0, 4.0))).card
    for name, base in (("leave", "base"), ("bigger", str(embedded.folder))):
        built = tmp_path / name
        built.mkdir()
        for file in ("adapter_config.json", "adapter_model.safetensors", "adapter.gguf"):
            (built / file).write_text(file)
        found = install_adapter(built, workspace.adapters_dir, name, {"base": base, "dataset": "leave:1", **card})
        before, digest = workspace.model(name), workspace.model(name).digest()
        assert (before.handicap, before.refusal_token) == (0.99, 7)
        choose(found, 0.5)
        assert workspace.model(name).handicap == 2.99 and workspace.model(name).digest() != digest
        choose(found, None)
        assert workspace.model(name).digest() == digest
    assert workspace.model("base").handicap == 0.0
    workspace.close()

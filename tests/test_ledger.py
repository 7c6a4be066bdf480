"""The fact ledger: what an adapter knows, told from what it answers and from nothing else."""

import json
import re
from argparse import Namespace
from dataclasses import replace

import pytest

from engine.answers import StoredAnswers
from engine.errors import InvalidInput, NotFound, Unavailable
from engine.records import Adapter
from evals.ledger import (
    Count,
    adapter_named,
    as_mapping,
    forms_of,
    ledger_of,
    previous,
    state_of,
)
from tests.models import EchoModel
from tests.page import add_policy, stand_in_workspace
from ui import known
from ui.terminal import Screen


@pytest.mark.parametrize(
    ("now", "base", "before", "state"),
    [
        ((2, 2), (0, 2), None, "learned"),
        ((2, 2), (1, 2), None, "learned"),
        ((2, 2), (2, 2), None, "known"),
        ((1, 2), (0, 2), None, "half_learned"),
        ((0, 2), (0, 2), None, "not_learned"),
        ((0, 2), (0, 2), (1, 2), "not_learned"),
        ((0, 2), (0, 2), (2, 2), "lost"),
        ((1, 2), (0, 2), (2, 2), "half_learned"),
        ((1, 3), (0, 3), (3, 3), "lost"),
        ((0, 1), (1, 1), None, "lost"),
        ((0, 1), (1, 1), (0, 1), "not_learned"),
        ((0, 0), (0, 2), (2, 2), "not_asked"),
    ],
)
def test_the_state_of_a_taught_fact_follows_from_three_counts(now, base, before, state):
    counts = Count(*now), Count(*base), Count(*before) if before else None
    assert state_of(*counts, taught=True, trained_wording=False) == state


def test_what_is_right_only_in_trained_wordings_is_recited_and_what_was_held_out_was_never_taught():
    right, wrong = Count(1, 1), Count(0, 1)
    assert state_of(right, wrong, None, taught=True, trained_wording=True) == "recites"
    assert state_of(wrong, wrong, None, taught=True, trained_wording=True) == "not_learned"
    assert state_of(wrong, wrong, None, taught=False, trained_wording=False) == "never_taught"
    assert state_of(right, wrong, right, taught=False, trained_wording=False) == "never_taught"
    assert state_of(right, right, None, taught=False, trained_wording=False) == "known"


class KnowingModel(EchoModel):
    """Answers the questions it knows, and says to every other one that it does not know."""

    def __init__(self, name: str, answers: dict[str, str] | None = None) -> None:
        super().__init__(name, "I do not know that.", answers or {})


class FailingSometimes(KnowingModel):
    """Breaks off at some questions."""

    def __init__(self, name: str, at: set[str]) -> None:
        super().__init__(name)
        self.at = at

    def stream(self, messages, decoding, *, schema=None):
        if messages[-1]["content"] in self.at:
            raise Unavailable("The server is gone. Start it.")
        return (yield from super().stream(messages, decoding, schema=schema))


@pytest.fixture
def asked(tmp_path):
    """A workspace with the little policy, and what is asked of each of its facts."""
    workspace = stand_in_workspace(tmp_path / "ws", KnowingModel("base"), KnowingModel("old"), KnowingModel("tuned"))
    version = add_policy(workspace)
    forms = forms_of(workspace, version)
    return workspace, {
        fact.id: [form for form in forms if form.fact_id == fact.id] for fact in workspace.store.facts(version.id)
    }


def answers(forms):
    return {form.question: form.answer for form in forms}


def tuned(workspace) -> Adapter:
    return adapter_named(workspace, "tuned")


def test_a_ledger_tells_of_every_fact_what_was_asked_what_was_said_and_what_that_comes_to(asked):
    workspace, forms = asked
    several = next(id for id, group in forms.items() if len(group) > 1 and not group[0].trained)
    one = next(id for id, group in forms.items() if id != several and group[0].trained)
    _, old, new = workspace.stand_ins
    old.answers = answers(forms[several])
    new.answers = answers(forms[one]) | answers(forms[several][:1])
    ledger = ledger_of(workspace, tuned(workspace), before="old")
    by_id = {each.fact.id: each for each in ledger.facts}
    assert list(by_id) == list(forms)
    assert by_id[one].state == "recites" and by_id[one].now == Count(len(forms[one]), len(forms[one]))
    half = by_id[several]
    assert half.now.right == 1 and half.before == Count(len(forms[several]), len(forms[several]))
    assert half.state == ("half_learned" if len(forms[several]) == 2 else "lost")
    assert [said.right for said in half.said] == [True] + [False] * (len(forms[several]) - 1)
    assert half.said[1].answer == "I do not know that."
    assert sum(ledger.counts.values()) == len(forms) and ledger.counts["recites"] == 1
    assert half in ledger.weak and by_id[one] not in ledger.weak
    assert [fact for facts in ledger.by_clause().values() for fact in facts] == list(ledger.facts)
    assert json.loads(json.dumps(as_mapping(ledger)))["counts"] == ledger.counts


def test_what_all_was_right_before_and_is_wrong_now_is_lost(asked):
    workspace, forms = asked
    first = next(iter(forms))
    workspace.stand_ins[1].answers = answers(forms[first])
    assert ledger_of(workspace, tuned(workspace), before="old").facts[0].state == "lost"
    workspace.stand_ins[1].answers = {}
    assert ledger_of(workspace, tuned(workspace), before="old").facts[0].state == "not_learned"


def test_a_question_on_which_the_model_fails_counts_neither_way(asked):
    workspace, forms = asked
    first, *_ = forms.values()
    broken = FailingSometimes("tuned", {form.question for form in first})
    workspace.stand_ins = [*workspace.stand_ins[:2], broken]
    ledger = ledger_of(workspace, tuned(workspace))
    gone = ledger.facts[0]
    assert (gone.state, gone.now, gone.base) == ("not_asked", Count(0, 0), Count(0, len(first)))
    assert {(said.right, said.answer) for said in gone.said} == {(None, "The server is gone. Start it.")}
    assert gone not in ledger.weak and ledger.counts["not_asked"] == 1


def test_a_second_look_asks_nobody_again(asked):
    workspace, _ = asked
    kept = StoredAnswers(workspace.store, workspace.now)
    first = ledger_of(workspace, tuned(workspace), kept=kept)
    asked_before = [len(model.asked) for model in workspace.stand_ins]
    assert ledger_of(workspace, tuned(workspace), kept=kept) == first
    assert [len(model.asked) for model in workspace.stand_ins] == asked_before


def test_the_adapter_before_is_the_one_it_went_on_from_else_the_last_one_on_the_dataset(asked):
    workspace, _ = asked
    version = workspace.store.dataset("leave")
    adapter = replace(tuned(workspace), created_at="2026-06-01")
    assert previous(workspace, adapter, version) == "old"
    assert previous(workspace, replace(adapter, created_at="2026-04-01"), version) == ""
    going_on = replace(adapter, created_at="2026-04-01", card={"config": {"parent": "old"}})
    assert previous(workspace, going_on, version) == "old"
    assert previous(workspace, replace(adapter, card={"config": {"parent": "deleted"}}), version) == "old"


def test_of_the_base_and_of_nobody_there_is_no_ledger(asked):
    workspace, _ = asked
    with pytest.raises(InvalidInput, match="Of the base no fact was taught"):
        adapter_named(workspace, "base")
    with pytest.raises(NotFound, match="ghost"):
        adapter_named(workspace, "ghost")
    with pytest.raises(InvalidInput, match='"tuned" cannot be what came before "tuned"'):
        ledger_of(workspace, tuned(workspace), before="tuned")


def test_the_command_tells_counts_and_clauses_shows_further_forms_and_makes_the_version_only_when_told_to(
    asked, capsys
):
    workspace, forms = asked
    given = {"adapter": "tuned", "before": None, "anew": False, "teacher": ""}
    learned = next(group for group in forms.values() if not group[0].trained)
    workspace.stand_ins[2].answers = answers(learned)
    told = known.ledger(workspace, Namespace(**given, forms=None), Screen())
    out = capsys.readouterr().out
    assert told["counts"]["learned"] == 1 and len(told["facts"]) == len(forms)
    assert re.search(r"✓ +learned +1 +every held-out question", out) and "1 Annual leave" in out
    assert "More forms for these" in out and "ledger tuned --forms show" in out
    shown = known.ledger(workspace, Namespace(**given, forms="show"), Screen())
    assert shown["further"]["of"] == "leave:1" and shown["further"]["questions"] > 0 and "made" not in shown
    assert f"  + {shown['further']['rows'][0][0]}\n" in capsys.readouterr().out
    assert [version.title for version in workspace.store.datasets()] == ["leave:1"]
    made = known.ledger(workspace, Namespace(**given, forms="add"), Screen())
    assert made["made"] == "leave:2" and made["further"] == shown["further"]
    assert workspace.store.dataset("leave:2").recipe["further"]["questions"] == shown["further"]["questions"]
    assert "app.py train --from tuned --dataset leave:2" in capsys.readouterr().out

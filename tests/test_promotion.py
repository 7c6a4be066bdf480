"""What goes live, and who says so: the gate reads the newest report on the models as they are, and nobody passes it silently."""

import pytest

from engine.answering import closed_book
from engine.errors import InvalidInput
from engine.records import REFUSAL, Question
from engine.registry import live_model, rollback
from engine.registry import promote as make_live
from engine.tasks.policy_qa import POLICY_QA
from evals.promotion import measure_models, promote, standing
from evals.rules import save_rules
from tests.models import EchoModel, FailingModel
from tests.page import stand_in_workspace

KNOWN = [Question(f"k{n}", f"How many days of {n}?", "answerable", accept=("25",), slice="number") for n in range(40)]
UNKNOWN = [Question(f"u{n}", f"Is there a sauna {n}?", "unanswerable") for n in range(20)]
QUESTIONS = [*KNOWN, *UNKNOWN]
GOOD = {q.question: "25 days" for q in KNOWN}


@pytest.fixture
def workspace(tmp_path):
    """A base that knows nothing, a tuned model that knows all, and one that answers everything with the same."""
    return stand_in_workspace(
        tmp_path / "ws", EchoModel("base", "Maybe."), EchoModel("tuned", REFUSAL, GOOD), EchoModel("bold", "25")
    )


def measured(workspace, *names, questions=QUESTIONS):
    models = workspace.models(names)
    return measure_models(workspace, models, questions, POLICY_QA, find=closed_book, source="q.jsonl")


def test_what_was_never_measured_is_not_promoted_and_the_next_step_is_said(workspace):
    with pytest.raises(
        InvalidInput, match=r"never measured beside base.*evaluate --models base,tuned.*as the override"
    ):
        promote(workspace, POLICY_QA, "tuned", reason="it feels better")
    assert live_model(workspace.store, "policy_qa") == "base"


def test_a_proven_gain_goes_live_with_its_report_on_record(workspace):
    measured(workspace, "base", "tuned")
    assert promote(workspace, POLICY_QA, "tuned", reason="all rules met").outcome == "promote"
    (row,) = workspace.store.promotions("policy_qa")
    assert (row["model"], row["verdict"], row["evaluation_id"], row["override"]) == ("tuned", "promote", 1, "")


def test_a_model_that_invents_is_held_back_with_the_reason_and_passes_with_an_override_on_record(workspace):
    measured(workspace, "base", "bold")
    with pytest.raises(InvalidInput, match=r"Do not promote bold.*20 of 20 questions without an answer"):
        promote(workspace, POLICY_QA, "bold")
    with pytest.raises(InvalidInput, match="Do not promote"):
        promote(workspace, POLICY_QA, "bold", override="   ")
    promote(workspace, POLICY_QA, "bold", override=" the board wants it ")
    (row,) = workspace.store.promotions("policy_qa")
    assert (row["verdict"], row["override"]) == ("do not promote", "the board wants it")


def test_an_override_that_was_not_needed_is_not_on_record(workspace):
    measured(workspace, "base", "tuned")
    promote(workspace, POLICY_QA, "tuned", override="to be sure")
    assert workspace.store.promotions("policy_qa")[0]["override"] == ""


def test_a_report_on_other_weights_of_the_same_name_does_not_count(workspace):
    measured(workspace, "base", "tuned")
    assert standing(workspace, POLICY_QA, "tuned").outcome == "promote"
    changed = OtherWeights("tuned", REFUSAL, GOOD)
    workspace.stand_ins = (workspace.stand_ins[0], changed)
    assert standing(workspace, POLICY_QA, "tuned").outcome == "never measured"


class OtherWeights(EchoModel):
    """A model trained anew under an old name."""

    def digest(self):
        return "f" * 64


def test_the_newest_report_and_todays_rules_decide(workspace):
    measured(workspace, "base", "tuned")
    measured(workspace, "base", "tuned", questions=QUESTIONS[:3])
    assert standing(workspace, POLICY_QA, "tuned").outcome == "not enough evidence"
    measured(workspace, "base", "tuned")
    assert standing(workspace, POLICY_QA, "tuned").outcome == "promote"
    save_rules(workspace.settings.workspace, "[limits]\nhallucination = 0.01")  # 0 of 20 leaves 13.9 % possible
    assert standing(workspace, POLICY_QA, "tuned").outcome == "not enough evidence"


def test_the_live_model_is_what_has_to_be_beaten_wherever_it_stands_in_the_report(workspace):
    measured(workspace, "base", "bold", "tuned")
    make_live(workspace, POLICY_QA, "bold", reason="")
    found = standing(workspace, POLICY_QA, "tuned")
    assert (found.live, found.outcome) == ("bold", "promote")
    assert found.verdict.headline.startswith("Promote tuned. Of 60 questions tuned answered 60 rightly and bold 40")
    make_live(workspace, POLICY_QA, "tuned", reason="")
    assert standing(workspace, POLICY_QA, "bold").outcome == "do not promote"


def test_rolling_back_asks_nobody(workspace):
    measured(workspace, "base", "tuned")
    promote(workspace, POLICY_QA, "tuned")
    assert rollback(workspace, POLICY_QA) == "base"


def test_a_model_that_could_not_be_reached_proves_nothing_and_stops_no_report(tmp_path):
    workspace = stand_in_workspace(tmp_path / "ws", EchoModel("base", "25"), FailingModel("gone"))
    report = measured(workspace, "base", "gone")
    assert report["pairs"][0]["verdict"]["outcome"] == "do not promote"
    assert report["measures"]["gone"]["failed"]["right"] == 60


def test_rules_that_cannot_be_read_are_told_before_anything_is_asked(workspace):
    (workspace.settings.workspace / "gate.toml").write_text("[limits]\nhallucination = 'low'")
    with pytest.raises(InvalidInput, match=r"hallucination in gate\.toml is 'low'"):
        measured(workspace, "base", "tuned")
    assert workspace.stand_ins[0].asked == [] and workspace.store.evaluations() == []


def test_what_is_live_is_not_promoted_again(workspace):
    with pytest.raises(InvalidInput, match="live already"):
        promote(workspace, POLICY_QA, "base")

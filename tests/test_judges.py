"""A judge model compares answers in both orders, and people's votes stand beside its word."""

import json
import re
from dataclasses import dataclass, field

import pytest

from engine.answering import closed_book
from engine.calls import Caller, CallsInMemory
from engine.records import Battle, Decoding, Question, Vote
from engine.tasks.policy_qa import POLICY_QA
from evals.judges import MOST, Duel, agreement, cohens_kappa, opinions
from evals.promotion import measure_models
from evals.reporting.page import fragment
from tests.models import EchoModel, FailingModel
from tests.page import stand_in_workspace


@dataclass
class ByRule(EchoModel):
    """Prefers by a rule of its own: the answer with "25" in it, always the first, or nothing that can be read."""

    rule: str = "25"
    prompts: list[str] = field(default_factory=list)

    def stream(self, messages, decoding, *, schema=None):
        said = messages[-1]["content"]
        self.prompts.append(said)
        shown = json.loads(re.search(r"To compare: (\{.*\})", said)[1])
        right = [side for side in "AB" if "25" in shown[side]]
        better = {"25": right[0] if len(right) == 1 else "tie", "A": "A", "mumbles": "C"}[self.rule]
        self.answers = {said: json.dumps({"reason": "so", "better": better})}
        return super().stream(messages, decoding, schema=schema)


def judge(rule="25"):
    return Caller(ByRule("judge", rule=rule), CallsInMemory(), workers=1)


DUELS = [
    Duel("1", "?", "25 days", "12 days"),
    Duel("2", "?", "12", "25"),
    Duel("3", "?", "25 a", "25 b"),
    Duel("4", "?", "x", " x "),
]


def test_the_better_answer_is_named_whichever_stands_first():
    assert [(found.preference, found.swayed) for found in opinions(judge(), DUELS)] == [
        ("first", False), ("second", False), ("tie", False), ("tie", False)
    ]  # fmt: skip


def test_a_judge_that_always_names_the_first_has_no_opinion():
    assert [(found.preference, found.swayed) for found in opinions(judge("A"), DUELS[:2])] == [
        ("tie", True),
        ("tie", True),
    ]


def test_the_same_words_are_a_tie_and_nobody_is_asked_and_each_other_pair_is_asked_twice():
    asked = judge()
    list(opinions(asked, DUELS))
    assert len(asked.model.prompts) == 6
    first, turned = asked.model.prompts[:2]
    assert '"A": "25 days", "B": "12 days"' in first and '"A": "12 days", "B": "25 days"' in turned


def test_what_cannot_be_read_is_no_preference():
    assert [found.preference for found in opinions(judge("mumbles"), DUELS[:1])] == [None]


def voted(*choices):
    battles = [
        Battle(str(n), "policy_qa", "closed", "?", "m", "n", "", "", Decoding(), "now", "25 days", "12 days")
        for n in range(len(choices))
    ]
    return [
        (battle, Vote(n, battle.id, "r", choice, "now"))
        for n, (battle, choice) in enumerate(zip(battles, choices, strict=True))
    ]


def test_agreement_with_people_is_counted_over_their_votes():
    found = agreement(judge(), voted("a", "a", "b", "both_bad"))
    assert (found["votes"]["right"], found["votes"]["of"]) == (2, 4)
    assert agreement(judge(), []) is None and agreement(judge("mumbles"), voted("a")) is None


def test_kappa_is_that_of_statsmodels_and_unknown_where_all_say_the_same():
    from statsmodels.stats.inter_rater import cohens_kappa as theirs

    names = ("first", "second", "tie")
    table = [[20, 5, 1], [3, 15, 4], [2, 2, 8]]
    pairs = [
        (a, b)
        for a, row in zip(names, table, strict=True)
        for b, count in zip(names, row, strict=True)
        for _ in range(count)
    ]
    assert cohens_kappa(pairs) == pytest.approx(theirs(table, return_results=False), abs=1e-9)
    assert cohens_kappa([("tie", "tie")] * 3) is None


QUESTIONS = [
    Question(f"q{n}", f"How many days of {n}?", "answerable", accept=("25",), extra={"evidence": "25 days"})
    for n in range(MOST + 5)
]


def measured(tmp_path, by):
    workspace = stand_in_workspace(tmp_path / "ws", EchoModel("base", "12"), EchoModel("tuned", "25"))
    models = workspace.models(["base", "tuned"])
    return measure_models(workspace, models, QUESTIONS, POLICY_QA, find=closed_book, judge=by)


def test_its_word_stands_in_the_report_and_is_not_heard_by_the_rules(tmp_path):
    report = measured(tmp_path, ByRule("judge"))
    (row,) = report["judges"]
    assert (row["of"], row["prefers_second"], row["agreement"]) == (MOST, MOST, None)
    assert "tuned better in 100" in fragment(report) and "Nobody has voted" in fragment(report)
    assert measured(tmp_path / "again", None)["pairs"] == report["pairs"]


def test_a_judge_that_fails_costs_no_report(tmp_path):
    report = measured(tmp_path, FailingModel("gone"))
    assert "does not answer" in report["judges"][0]["error"] and "does not answer" in fragment(report)

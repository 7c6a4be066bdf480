"""May it go live? Planted gains, losses, ties and regressions, each told for what it is."""

import random

import pytest

from engine.errors import InvalidInput
from evals.gate import Evidence, judge, needed_for
from evals.intervals import power_of_mcnemar, share
from evals.paired import change
from evals.rules import DEFAULTS, Rules, parse_rules, read_rules, save_rules
from evals.slices import sliced

CLAUSES = ("leave", "pay", "travel", "pets", "training")


def measures(invented=(0, 60), failed=(0, 240), p95=1000.0, **shares):
    found = {"invented": invented, "failed": failed, **shares}
    return {name: share(*counts).__dict__ for name, counts in found.items()} | {"speed": {"latency_ms": {"p95": p95}}}


def evidence(fixed, broken, of=240, *, worse_in="", clauses=CLAUSES, seed=1, after=None, before=None, trivial=None):
    """`of` questions over five clauses; the true shares fixed and broken are given, `worse_in` one loses half of its right ones."""
    rng = random.Random(seed)
    was, now, facets = [], [], []
    for number in range(of):
        clause = clauses[number % len(clauses)]
        moved = rng.choices((1, -1, 0), (fixed, broken, 1 - fixed - broken))[0]
        right = moved == -1 or (moved == 0 and rng.random() < 0.5)
        if clause == worse_in:
            right, moved = True, -1 if rng.random() < 0.5 else 0
        was.append(right)
        now.append(moved == 1 or (moved == 0 and right))
        facets.append({"clause": clause})
    clusters = [str(number) for number in range(of)]
    return Evidence(
        "base", "tuned", change(was, now, clusters), sliced(was, now, clusters, facets),
        before or measures(), after or measures(), trivial or {},
    )  # fmt: skip


def states(verdict):
    return {finding.rule: finding.state for finding in verdict.findings}


def test_a_plain_gain_is_promoted_with_its_counts():
    verdict = judge(evidence(0.4, 0.05), Rules())
    assert verdict.outcome == "promote" and set(states(verdict).values()) == {"met"}
    assert verdict.headline.startswith("Promote tuned. Of 240 questions tuned answered ")


@pytest.mark.parametrize("seed", range(5))
def test_a_planted_tie_is_not_enough_evidence(seed):
    verdict = judge(evidence(0.1, 0.1, seed=seed), Rules())
    assert verdict.outcome == "not enough evidence"
    assert verdict.findings[0].rule == "better than base overall" and verdict.findings[0].more > 100
    assert "more questions would probably settle it" in verdict.headline


def test_two_models_that_answer_alike_are_not_told_apart_by_more_of_the_same():
    verdict = judge(evidence(0.0, 0.0), Rules())
    assert verdict.outcome == "not enough evidence"
    assert "No gain was seen; if there is one, it is below 1." in verdict.findings[0].says


@pytest.mark.parametrize("seed", range(5))
def test_a_regression_planted_in_one_slice_is_caught_though_the_whole_got_better(seed):
    found = evidence(0.4, 0.02, worse_in="pets", seed=seed)
    assert found.change.low > 0
    verdict = judge(found, Rules())
    assert verdict.outcome == "do not promote"
    assert "“clause: pets”" in verdict.findings[0].says
    assert all(name not in verdict.findings[0].says for name in ("leave", "pay", "travel", "training"))


def test_a_small_loss_in_a_slice_is_suspected_and_more_questions_there_are_asked_for():
    was = [True] * 100 + [False] * 60
    now = [True] * 95 + [False] * 5 + [True] * 60
    facets = [{"clause": "leave"}] * 80 + [{"clause": "pay"}] * 20 + [{"clause": "leave"}] * 60
    clusters = [str(n) for n in range(160)]
    found = Evidence(
        "base", "tuned", change(was, now, clusters), sliced(was, now, clusters, facets), measures(), measures(), {}
    )
    verdict = judge(found, Rules())
    assert verdict.outcome == "not enough evidence" and states(verdict)["better than base overall"] == "met"
    (doubt,) = (finding for finding in verdict.findings if finding.state == "open")
    assert "Perhaps worse in “clause: pay” (20 right before, 15 now, of 20)" in doubt.says and doubt.more > 0
    assert judge(found, Rules(margins={"clause: pay": 0.3})).outcome == "promote"


def test_many_wordings_of_one_fact_do_not_prove_a_loss():
    """Eight wordings of a single fact broke: McNemar alone would call it proven, and it is one fact of three."""
    was, now = [True] * 20 + [False] * 40, [False] * 8 + [True] * 12 + [True] * 40
    clusters = ["a"] * 8 + ["b"] * 6 + ["c"] * 6 + [str(n) for n in range(40)]
    slices = sliced(was, now, clusters, [{"clause": "pay"}] * 20 + [{"clause": "leave"}] * 40)
    assert slices[0].title == "clause: pay" and slices[0].p_holm < 0.05
    found = Evidence("base", "tuned", change(was, now, clusters), slices, measures(), measures(), {})
    assert states(judge(found, Rules()))["no slice worse beyond its margin"] == "open"


def test_a_planted_loss_is_not_promoted():
    verdict = judge(evidence(0.05, 0.4), Rules())
    assert verdict.outcome == "do not promote" and "it is worse" in verdict.findings[0].says


def test_equal_models_go_live_in_few_of_many_comparisons():
    promoted = [
        judge(evidence(0.15, 0.15, of=60, seed=seed, clauses=("leave",)), Rules(worth=0.3)).outcome
        for seed in range(60)
    ]
    assert promoted.count("promote") <= 3  # 2.5 % expected


@pytest.mark.parametrize(
    ("invented", "outcome", "says"),
    [
        ((3, 60), "promote", "at most 12 %"),  # exact one-sided bound of 3 of 60: 12.4 %
        ((9, 60), "not enough evidence", "about 140 more questions without an answer would show it"),
        ((30, 60), "do not promote", "at least 39 %"),  # 38.7 %
        ((13, 60), "not enough evidence", "not below the 20 % allowed"),
        ((0, 0), "not enough evidence", "None of the questions without an answer was asked. At least 14 are needed"),  # .8^14 < 5 %
    ],
)  # fmt: skip
def test_hallucination_is_held_to_its_limit_by_what_the_data_leave_possible(invented, outcome, says):
    verdict = judge(evidence(0.4, 0.05, after=measures(invented=invented)), Rules())
    assert verdict.outcome == outcome
    (finding,) = (finding for finding in verdict.findings if finding.rule.startswith("answers what"))
    assert says in finding.says


def test_false_approvals_and_invalid_answers_have_limits_where_a_task_has_them():
    after = measures(false_approvals=(0, 30), valid=(200, 200))
    verdict = judge(evidence(0.4, 0.05, after=after), Rules())
    assert states(verdict)["approves what must be rejected: at most 2.0 %"] == "open"  # 0 of 30 is at most 9.5 %
    assert states(verdict)["writes what is not the JSON asked for: at most 2.0 %"] == "met"  # 0 of 200 is at most 1.5 %
    worse = measures(false_approvals=(20, 30), valid=(100, 200))
    assert judge(evidence(0.4, 0.05, after=worse), Rules()).outcome == "do not promote"


def test_a_model_slower_than_allowed_or_silent_is_not_promoted():
    slow = judge(evidence(0.4, 0.05, after=measures(p95=2100.0)), Rules())
    assert slow.outcome == "do not promote" and "took 2.1 s, those of the other 1.0 s" in slow.findings[0].says
    assert judge(evidence(0.4, 0.05, after=measures(p95=2100.0)), Rules(slower=3.0)).outcome == "promote"
    silent = judge(evidence(0.4, 0.05, after=measures(failed=(10, 240))), Rules())
    assert silent.outcome == "do not promote" and "10 of 240 questions got no answer" in silent.findings[0].says


def test_what_needs_no_training_has_to_be_beaten_too():
    right = [True] * 50 + [False] * 50
    nothing_gained = change(right, right, [str(n) for n in range(100)])
    lost = change([True] * 100, right, [str(n) for n in range(100)])
    easy = change([False] * 100, right, [str(n) for n in range(100)])
    both = {"always refuse": easy, "best sentence": nothing_gained}
    assert judge(evidence(0.4, 0.05, trivial=both), Rules()).outcome == "not enough evidence"
    verdict = judge(evidence(0.4, 0.05, trivial={**both, "best sentence": lost}), Rules())
    assert verdict.outcome == "do not promote" and "“best sentence” answers better" in verdict.findings[0].says
    assert judge(evidence(0.4, 0.05, trivial=both), Rules(beats_trivial=False)).outcome == "promote"


def test_the_questions_that_would_settle_it_are_those_of_the_exact_test():
    found = change(
        [False] * 12 + [True] * 6 + [True] * 42, [True] * 12 + [False] * 6 + [True] * 42, [str(n) for n in range(60)]
    )
    needed = needed_for(found, 0.05)
    assert power_of_mcnemar(needed, 0.2, 0.1) >= 0.8 > power_of_mcnemar(needed - 1, 0.2, 0.1)
    in_pairs = change(
        [False] * 12 + [True] * 6 + [True] * 42,
        [True] * 12 + [False] * 6 + [True] * 42,
        [str(n // 2) for n in range(60)],
    )
    assert needed_for(in_pairs, 0.05) > 1.3 * needed  # two wordings of a fact that go together say little more than one


def test_the_file_of_rules_states_the_defaults_and_explains_each(tmp_path):
    assert parse_rules(DEFAULTS) == Rules() == parse_rules("")
    assert read_rules(tmp_path) == Rules() and (tmp_path / "gate.toml").read_text() == DEFAULTS
    for line in DEFAULTS.splitlines():
        assert "=" not in line.partition("#")[0] or "#" in line


def test_an_edited_rule_counts_from_then_on(tmp_path):
    saved = save_rules(tmp_path, '[limits]\nhallucination = 0.5\n[slices.margins]\n"kind: unanswerable" = 0.02\n')
    assert saved == read_rules(tmp_path) == Rules(hallucination=0.5, margins={"kind: unanswerable": 0.02})
    assert saved.margin_of("kind: unanswerable") == 0.02 and saved.margin_of("kind: answerable") == 0.05
    bad = measures(invented=(20, 60))
    assert judge(evidence(0.4, 0.05, after=bad), saved).outcome == "promote"
    assert judge(evidence(0.4, 0.05, after=bad), Rules()).outcome != "promote"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[overall\n", "cannot be read"), ("[overal]\nbetter = true", 'no part "overal"'),
        ("[overall]\nbeter = true", 'no rule "beter"'), ("[overall]\nbetter = 1", "Write true or false"),
        ("[limits]\nhallucination = 20", "from 0 to 1"), ("[limits]\nslower = 0.5", "from 1 to 1000"),
        ("[slices]\nmargin = true", "from 0 to 1"), ("[slices]\nmargins = 3", "a part of its own"),
        ('[slices.margins]\n"kind: x" = "a"', "margin of kind: x"), ("[slices]\nfewest_questions = 2.5", "from 1"),
        ("better = true", 'no part "better"'),
    ],
)  # fmt: skip
def test_a_rule_that_means_nothing_is_named_and_the_old_rules_stand(tmp_path, text, says):
    with pytest.raises(InvalidInput, match=says):
        save_rules(tmp_path, text)
    assert read_rules(tmp_path) == Rules()

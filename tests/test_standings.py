"""The standings as people see them: never before their own vote, never a number without its interval, names as text."""

import pytest

from evals.leaderboard import as_json, leaderboard, leaderboard_of
from evals.sequential import evidence
from tests.arena_votes import ballots, cast
from tests.page import add_policy, stand_in_workspace
from ui.standing_tables import (
    evidence_plot,
    flip_words,
    interval_plot,
    rater_rows,
    slice_standing_rows,
    standing_rows,
    verdict,
)
from ui.standings import Standings, build

SCRIPT = '<img src=x onerror="alert(1)">'


@pytest.fixture
def workspace(tmp_path):
    return stand_in_workspace(tmp_path / "workspace")


@pytest.fixture
def view(workspace) -> Standings:
    import gradio as gr

    with gr.Blocks():
        return build(workspace)


def test_nothing_of_anybodys_votes_is_shown_before_ones_own(workspace, view):
    cast(workspace.store, 1, "base", "tuned", "b", rater="ann")
    for name in ("", "  ", "bob"):
        shown = view.shown(name)
        assert shown[view.body]["visible"] is False and shown[view.hidden]["visible"] is True
        assert [shown[part] for part in (view.said, view.scores, view.growth)] == [""] * 3
        assert [shown[part]["value"] for part in (view.board, view.slices, view.raters, view.marked)] == [[]] * 4
    shown = view.shown(" ann ")
    assert shown[view.body]["visible"] is True and "tuned" in shown[view.said]
    assert set(shown) == set(view.outputs)


def test_a_figure_never_stands_without_its_count_and_interval():
    found = leaderboard_of(
        ballots(("tuned", "base", "a"), ("tuned", "base", "a"), ("tuned", "base", "b"), ("tuned", "base", "both_bad"))
    )
    first, second = standing_rows(found)
    assert first[:2] == ["1-2", "tuned"] and " to " in first[3] and first[4] == "not known"
    assert first[5] == "2 of 3 (67 %, 21-94 %)" and first[7] == "1 of 4 (25 %, 5-70 %)"
    assert second[1] == "base" and float(first[2]) + float(second[2]) == 2000
    assert rater_rows(found)[0] == ["r0", "0 of 1 (at most 95.0 %)", "0", "0"]


def test_what_the_votes_say_stands_first_in_words():
    few = leaderboard_of(ballots(("tuned", "base", "a"), ("tuned", "base", "b"), ("tuned", "base", "a")))
    assert "No difference found yet: about" in verdict(few)
    assert flip_words(few.head) == "1 vote would have to change to turn the lead."
    many = leaderboard_of(ballots(*[("tuned", "base", "a")] * 40, *[("tuned", "base", "b")] * 4))
    assert "tuned wins, safe to stop." in verdict(many) and 'class="verdict wins"' in verdict(many)


def test_names_are_shown_as_text(workspace):
    cast(workspace.store, 1, "base", SCRIPT, "b", rater=SCRIPT)
    found = leaderboard(workspace.store, [], "policy_qa")
    drawn = verdict(found) + interval_plot(found.raw.standings) + evidence_plot(found.head, evidence(found.outcomes))
    assert "<img" not in drawn and "&lt;img" in drawn


def test_the_picture_of_the_evidence_says_in_words_what_it_draws():
    found = leaderboard_of(ballots(*[("tuned", "base", "b")] * 3, *[("tuned", "base", "a")] * 3))
    drawn = evidence_plot(found.head, evidence(["first", "first", "first", "second", "tie", "second", "second"]))
    assert 'role="img" aria-label="After 7 votes base has won 50 % of the decided ones' in drawn
    assert "20 is enough" in drawn and drawn.count("<polyline") == 2
    assert evidence_plot(found.head, []) == ""


def test_held_out_slices_are_ranked_apart_and_training_questions_left_out(workspace):
    version = add_policy(workspace)
    rows = {
        split: next(
            row.example.question for row in workspace.store.rows(version.id, split=split) if row.example.question
        )
        for split in ("train", "probe")
    }
    for number, question in enumerate((rows["train"], rows["probe"], "Is there a canteen on the third floor?")):
        cast(workspace.store, number, "base", "tuned", "b", question=question, rater=f"r{number}")
    found = leaderboard(workspace.store, workspace.adapters(), "policy_qa")
    assert found.marked == (rows["train"],) and (found.raw.votes, found.raw.left_out) == (2, 1)
    assert list(found.slices) == ["asked by people", "new wording"]
    assert {row[0] for row in slice_standing_rows(found)} == set(found.slices)
    assert [sum(s.wins for s in ranking.standings) for ranking in found.slices.values()] == [1, 1]
    assert "1 vote not scored" in " ".join(found.notes())
    assert found.outcomes == ("second", "second")
    plain = as_json(found)
    assert plain["not_scored"] == 1 and plain["marked_questions"] == [rows["train"]] and len(plain["leaderboard"]) == 2

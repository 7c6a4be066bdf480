"""Blind battles through the page: nothing tells the sides apart before the vote, and a vote counts once."""

import json

import httpx
import pytest
from gradio_client.exceptions import AppError

from tests.models import EchoModel, FailingModel
from tests.page import add_policy, served, stand_in_workspace, visiting
from ui import shell

SCRIPT = '<img src=x onerror="alert(1)">'


@pytest.fixture
def workspace(tmp_path):
    workspace = stand_in_workspace(tmp_path / "workspace")
    add_policy(workspace)
    return workspace


@pytest.fixture
def client(workspace):
    with visiting(workspace) as client:
        yield client


def battle(client, question="How much leave?"):
    """Every event of a battle as the browser gets it."""
    job = client.submit(question, [], api_name="/battle")
    job.result()
    return job.outputs()


def test_the_sides_are_saved_before_the_first_token_and_follow_the_draw(client, workspace):
    first = battle(client)[0]
    (saved,) = workspace.store.battles()
    assert first[:2] == ("", "")
    assert {saved.model_a, saved.model_b} == {"base", "tuned"}
    assert saved.answer_a == {"base": "I do not know that.", "tuned": "You get 25 days."}[saved.model_a]


def test_both_sides_come_up_over_many_battles(client, workspace):
    for _ in range(12):
        battle(client)
    assert {saved.model_a for saved in workspace.store.battles()} == {"base", "tuned"}


def test_no_event_before_the_vote_names_a_model_or_the_battle(client, workspace):
    events = json.dumps(battle(client))
    (saved,) = workspace.store.battles()
    for secret in ("base", "tuned", saved.id, saved.digest_a, saved.digest_b):
        assert secret not in events


def test_the_page_itself_says_nothing_about_an_open_battle(workspace):
    with served(workspace) as url:
        before = httpx.get(f"{url}config").json()["components"]
        with visiting(workspace) as other:
            battle(other)
        assert httpx.get(f"{url}config").json()["components"] == before


def test_the_only_state_of_a_visitor_is_a_text(workspace):
    states = [block for block in shell.build(workspace).blocks.values() if type(block).__name__ == "State"]
    assert {type(state.value) for state in states} <= {str, int}


def test_answers_grow_at_one_pace_whatever_their_length(tmp_path):
    long, short = EchoModel("base", "one two three four five six"), EchoModel("tuned", "one two")
    workspace = stand_in_workspace(tmp_path / "workspace", long, short)
    add_policy(workspace)
    with visiting(workspace) as client:
        grown = [(len(a.split()), len(b.split())) for a, b, *_ in battle(client)[1:3]]
    assert grown == [(1, 1), (2, 2)]


def test_the_names_are_told_by_the_vote_and_the_vote_is_saved(client, workspace):
    battle(client)
    (saved,) = workspace.store.battles()

    reveal, *_ = client.predict(" Ann ", "", "", api_name="/vote_a")

    assert reveal["value"] == f"A was {saved.model_a}, B was {saved.model_b}. You found {saved.model_a} better."
    (vote,) = workspace.store.votes()
    assert (vote.battle_id, vote.rater, vote.choice) == (saved.id, "Ann", "a")


def test_a_second_vote_replaces_the_first_and_both_stay_on_record(client, workspace):
    battle(client)
    client.predict("Ann", "", "", api_name="/vote_a")
    client.predict("Ann", "", "", api_name="/vote_both_bad")
    (vote,) = workspace.store.votes()
    assert vote.choice == "both_bad"
    assert [old.choice for old in workspace.store.vote_history(vote.battle_id)] == ["a", "both_bad"]


def test_the_standings_come_with_the_raters_own_vote(client):
    shown_before = json.dumps(battle(client))
    *_, said, scores, board, _, _, _, _ = client.predict("Ann", "", "", api_name="/vote_tie")
    assert "Standings" not in shown_before and "safe to stop" not in shown_before
    assert "No difference found yet" in said and "tuned" in scores
    assert sorted(row[1] for row in board["value"]["data"]) == ["base", "tuned"]


def test_a_vote_without_a_battle_or_a_name_is_refused_with_the_next_step(client, workspace):
    with pytest.raises(AppError, match="Ask a new question"):
        client.predict("Ann", "", "", api_name="/vote_a")
    battle(client)
    with pytest.raises(AppError, match="Type yours"):
        client.predict("  ", "", "", api_name="/vote_a")
    assert workspace.store.votes() == []


def test_a_failing_side_voids_the_battle_without_telling_which(tmp_path):
    workspace = stand_in_workspace(tmp_path / "workspace", EchoModel("base", "yes"), FailingModel("tuned", words=1))
    add_policy(workspace)
    with visiting(workspace) as client:
        with pytest.raises(AppError) as shown:
            client.predict("How much leave?", [], api_name="/battle")
        assert "void" in str(shown.value) and "tuned" not in str(shown.value)
        with pytest.raises(AppError, match="void"):
            client.predict("Ann", "", "", api_name="/vote_a")
    assert workspace.store.votes() == []


def test_comment_and_repair_are_kept_as_they_were_typed(client, workspace):
    battle(client)
    client.predict(SCRIPT, SCRIPT, "25 days.", api_name="/vote_b")
    (vote,) = workspace.store.votes()
    assert (vote.rater, vote.comment, vote.repair) == (SCRIPT, SCRIPT, "25 days.")


def test_a_visitor_may_name_the_two_models_but_no_others(client, workspace):
    client.predict("How much leave?", ["tuned", "base"], api_name="/battle")
    with pytest.raises(AppError, match=r"no model .*openai"):
        client.predict("How much leave?", ["base", "openai:x@http://elsewhere"], api_name="/battle")
    with pytest.raises(AppError, match="exactly two"):
        client.predict("How much leave?", ["base"], api_name="/battle")
    assert len(workspace.store.battles()) == 1

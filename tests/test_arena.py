"""Blind battles through the page: nothing tells the sides apart before the names are told, and a vote counts once."""

import json
import random
import re
from dataclasses import replace

import httpx
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from engine import battles
from tests.models import EchoModel, FailingModel, PacedModel
from tests.page import add_policy, served, stand_in_workspace, visiting
from tests.tapped import Visitor, shown
from ui import shell

SCRIPT = '<img src=x onerror="alert(1)">'
A, B = 2, 3  # where the two answers stand among a battle's outputs


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One page for the tests below; each of them is another rater."""
    workspace = stand_in_workspace(tmp_path_factory.mktemp("arena") / "workspace")
    add_policy(workspace)
    with served(workspace) as url:
        yield workspace, url


@pytest.fixture
def workspace(shared):
    workspace, _ = shared
    workspace.stand_ins = [replace(model, asked=[]) for model in workspace.stand_ins]
    before = list(workspace.stand_ins)
    yield workspace
    workspace.stand_ins = before


@pytest.fixture
def client(shared):
    return Client(shared[1], verbose=False)


@pytest.fixture
def ann(request):
    """A rater of this test alone."""
    return f"Ann {request.node.name}"[:80].strip()


def battle(client, question="How much leave?", *, rater, battle_id="", mode="closed"):
    """Every event of a battle as the browser gets it."""
    job = client.submit(question, battle_id, rater, [], mode, api_name="/battle")
    job.result()
    return job.outputs()


def vote(client, battle_id, choice="a", *, rater, reasons=(), comment="", repair=""):
    return client.predict(battle_id, rater, list(reasons), comment, repair, api_name=f"/vote_{choice}")


def of(workspace, rater):
    return [battle for battle in workspace.store.battles() if battle.rater == rater]


def newest(workspace, rater="Ann"):
    return of(workspace, rater)[-1]


def votes_of(workspace, rater):
    return [vote for vote in workspace.store.votes() if vote.rater == rater]


# Before the vote


def test_the_battle_is_saved_before_the_first_word_and_the_browser_gets_its_opaque_id(client, workspace, ann):
    first = battle(client, rater=ann)[0]
    saved = newest(workspace, ann)
    assert first[1:4] == (saved.id, "", "")
    assert saved.answer_a == {"base": "I do not know that.", "tuned": "You get 25 days."}[saved.model_a]


def test_nothing_the_server_says_before_the_vote_holds_a_name_a_digest_or_a_path(tmp_path):
    workspace = stand_in_workspace(tmp_path / "quartz", EchoModel("zircon"), EchoModel("feldspar"))
    add_policy(workspace)
    secrets = ["zircon", "feldspar", "quartz", *(model.digest() for model in workspace.stand_ins)]
    with served(workspace) as url:
        visitor = Visitor(url)
        workspace.model_names = lambda: ["zircon", "feldspar"]
        for page in ("", "config", "gradio_api/info", "theme.css"):
            visitor.get(page)
        for number in range(12):
            visitor.run("battle", f"Question {number}?", "", "Ann", [], "closed")
            visitor.run(f"vote_{'ab'[number % 2]}", newest(workspace).id, "Ann", [], "", "")
        told = "\n".join(visitor.received)
        assert len(workspace.store.votes()) == 12 and told.count("process_completed") == 24
        assert [secret for secret in secrets if re.search(secret, told, re.IGNORECASE)] == []
        visitor.run("reveal", newest(workspace).id, "Ann")
    assert "zircon" in visitor.received[-1] and "feldspar" in visitor.received[-1]  # the tap does hear names


def test_turning_the_sides_round_changes_not_a_byte_but_the_battles_id(tmp_path):
    """The same two texts on the same sides, given once by base and tuned and once by tuned and base."""
    heard = []
    for number, swapped in enumerate((False, True)):
        texts = ("Twelve days of leave.", "You get twenty-five days.")
        models = (EchoModel("base", texts[swapped]), EchoModel("tuned", texts[not swapped]))
        workspace = stand_in_workspace(tmp_path / str(number), *models)
        add_policy(workspace)
        workspace.rng = random.Random(2 if swapped else 1)
        with served(workspace) as url:
            visitor = Visitor(url)
            lines = visitor.run("battle", "How much leave?", "", "Ann", [], "closed")
        heard.append((newest(workspace), lines))
    (one, first), (other, second) = heard
    assert one.model_a != other.model_a and (one.answer_a, one.answer_b) == (other.answer_a, other.answer_b)
    assert whole(first, one.id) == whole(second, other.id)


def whole(heard, battle_id):
    """The lines that are sent in whole: all but the steps by which the answers grew, which a busy machine cuts as it likes."""
    kinds = [line.event["msg"] for line in heard]
    steps = [n for n, kind in enumerate(kinds) if kind == "process_generating"][1:]
    return [plain(line.raw, battle_id) for n, line in enumerate(heard) if n not in steps]


def plain(raw: str, battle_id: str) -> str:
    """A line of the stream without the battle's id and without what differs between any two requests."""
    event = json.loads(raw.replace(battle_id, "ID"))
    clocks = ("event_id", "rank_eta", "cache_duration", "avg_time")
    event = {key: value for key, value in event.items() if key not in clocks}
    if isinstance(event.get("output"), dict):
        event["output"] = {key: value for key, value in event["output"].items() if "duration" not in key}
    return json.dumps(event)


def test_both_answers_come_at_one_moment_word_for_word_however_fast_the_arms_are(tmp_path):
    workspace = stand_in_workspace(tmp_path / "w", PacedModel("base", 0.005), PacedModel("tuned", 0.02, 0.1))
    add_policy(workspace)
    with served(workspace) as url:
        for number in range(4):
            heard = Visitor(url).run("battle", f"Question {number}?", "", "Ann", [], "closed")
            moments = []
            for side in (A, B):
                came: dict[int, float] = {}
                for at_s, text in shown(heard, side):
                    for count in range(1, len(text.split()) + 1):
                        came.setdefault(count, at_s)
                moments.append(came)
            both = sorted(set(moments[0]) & set(moments[1]))
            assert len(both) >= 4
            assert all(abs(moments[0][count] - moments[1][count]) <= 0.05 for count in both)


def test_the_page_itself_says_nothing_about_an_open_battle(shared, client, ann):
    before = httpx.get(f"{shared[1]}config").json()["components"]
    battle(client, rater=ann)
    assert httpx.get(f"{shared[1]}config").json()["components"] == before


def test_the_only_state_of_a_visitor_is_a_text(workspace):
    states = [block for block in shell.build(workspace).blocks.values() if type(block).__name__ == "State"]
    assert {type(state.value) for state in states} <= {str, int, bool, type(None)}


def test_a_failing_side_voids_the_battle_without_telling_which(tmp_path, ann):
    workspace = stand_in_workspace(tmp_path / "workspace", EchoModel("base", "yes"), FailingModel("tuned", words=1))
    add_policy(workspace)
    with visiting(workspace) as client:
        with pytest.raises(AppError) as told:
            client.predict("How much leave?", "", ann, [], "closed", api_name="/battle")
        assert "void" in str(told.value) and "tuned" not in str(told.value)
        with pytest.raises(AppError, match="void"):
            vote(client, newest(workspace, ann).id, rater=ann)
    assert votes_of(workspace, ann) == []


def test_a_model_that_was_deleted_voids_the_open_battle_without_naming_it_and_old_ones_still_read(
    client, workspace, ann
):
    battle(client, rater=ann)
    vote(client, newest(workspace, ann).id, rater=ann)
    opened = battles.open_battle(
        workspace.store,
        shell.arena.POLICY_QA,
        "Q?",
        tuple(workspace.stand_ins),
        rng=workspace.rng,
        now="1",
        rater=ann,
    )
    workspace.stand_ins = workspace.stand_ins[:1]
    with pytest.raises(AppError) as told:
        client.predict("Q?", opened.id, ann, [], "closed", api_name="/battle")
    assert "void" in str(told.value) and "tuned" not in str(told.value)
    assert [old.answer_a != "" for old, _ in workspace.store.voted_battles() if old.rater == ann] == [True]


# The vote


def test_the_names_are_told_on_request_after_the_vote(client, workspace, ann):
    battle(client, rater=ann)
    saved = newest(workspace, ann)
    with pytest.raises(AppError, match="after your verdict"):
        client.predict(saved.id, ann, api_name="/reveal")
    after = vote(client, saved.id, rater=f" {ann} ", reasons=["clear"])
    assert saved.model_a not in json.dumps(after)
    _, said, scores, board, *_, reveal = client.predict(saved.id, ann, api_name="/reveal")
    assert reveal["value"] == f"A was {saved.model_a}, B was {saved.model_b}. You found {saved.model_a} better."
    assert "No difference found yet" in said and "tuned" in scores
    assert sorted(row[1] for row in board["value"]["data"]) == ["base", "tuned"]
    (cast,) = votes_of(workspace, ann)
    assert (cast.battle_id, cast.rater, cast.choice, cast.reasons) == (saved.id, ann, "a", ("clear",))
    with pytest.raises(AppError, match="not be blind any more"):
        vote(client, saved.id, "b", rater=ann)


def test_the_names_of_two_battles_are_told_together(client, workspace, ann):
    for question in ("How much leave?", "And sick leave?"):
        battle(client, question, rater=ann)
        vote(client, newest(workspace, ann).id, rater=ann)
    *_, reveal = client.predict(newest(workspace, ann).id, ann, api_name="/reveal")
    assert reveal["value"].count("A was ") == 2 and "“How much leave?”" in reveal["value"]
    first, second = of(workspace, ann)
    assert (first.model_a, first.model_b) == (second.model_b, second.model_a)


def test_a_verdict_may_be_changed_and_taken_back_before_the_names_are_told(client, workspace, ann):
    battle(client, rater=ann)
    one = newest(workspace, ann).id
    vote(client, one, rater=ann)
    vote(client, one, "both_bad", rater=ann)
    assert [cast.choice for cast in votes_of(workspace, ann)] == ["both_bad"]
    client.predict(one, ann, api_name="/undo")
    assert votes_of(workspace, ann) == []
    assert [old.choice for old in workspace.store.vote_history(one)] == ["a", "both_bad"]


def test_a_forged_id_another_raters_battle_and_a_missing_name_are_refused(client, workspace, ann):
    battle(client, rater=ann)
    one = newest(workspace, ann).id
    for forged, rater in (("", ann), ("1", ann), (one, "Bob"), (one[:-1], ann)):
        with pytest.raises(AppError, match="not known here"):
            vote(client, forged, rater=rater)
    with pytest.raises(AppError, match="Type yours"):
        vote(client, one, rater="  ")
    with pytest.raises(AppError, match="Type yours"):
        client.predict("How much leave?", "", " ", [], "closed", api_name="/battle")
    assert votes_of(workspace, ann) == []


def test_comment_and_repair_are_kept_as_they_were_typed(client, workspace, ann):
    battle(client, rater=SCRIPT)
    vote(client, newest(workspace, SCRIPT).id, "b", rater=SCRIPT, comment=SCRIPT, repair="25 days.")
    (cast,) = votes_of(workspace, SCRIPT)
    assert (cast.rater, cast.comment, cast.repair) == (SCRIPT, SCRIPT, "25 days.")


def test_a_visitor_may_name_the_two_models_but_no_others(client, workspace, ann):
    def ask(*names):
        return client.predict("How much leave?", "", ann, list(names), "closed", api_name="/battle")

    ask("tuned", "base")
    with pytest.raises(AppError, match=r"no model .*openai"):
        ask("base", "openai:x@http://elsewhere")
    with pytest.raises(AppError, match="exactly two"):
        ask("base")
    assert len(of(workspace, ann)) == 1


# Talks, second tabs, grounded battles


def test_asking_on_goes_to_both_arms_with_what_they_said_before(client, workspace, ann):
    battle(client, rater=ann)
    one = newest(workspace, ann)
    battle(client, "And for part-timers?", battle_id=one.id, rater=ann)
    (talk,) = of(workspace, ann)
    assert talk.id == one.id and (talk.model_a, talk.question) == (one.model_a, "And for part-timers?")
    assert talk.history == ({"question": "How much leave?", "answer_a": one.answer_a, "answer_b": one.answer_b},)
    vote(client, one.id, rater=ann)
    battle(client, "Something new?", battle_id=one.id, rater=ann)
    assert len(of(workspace, ann)) == 2


def test_a_second_tab_shows_the_same_battle_and_the_same_sides(shared, client, workspace, ann):
    second = Client(shared[1], verbose=False)
    battle(client, rater=ann)
    one = newest(workspace, ann)
    there = second.predict(ann, "", api_name="/deal")
    assert one.id in there and one.answer_a in there and one.answer_b in there
    assert one.id not in second.predict("Somebody else", "", api_name="/deal")
    vote(second, one.id, "a", rater=ann)
    vote(client, one.id, "a", rater=ann)  # the first tab's click comes late and adds nothing
    assert len(workspace.store.vote_history(one.id)) == 1


def test_an_interrupted_battle_goes_on_with_its_sides(client, workspace, ann):
    models = tuple(workspace.stand_ins)
    opened = battles.open_battle(
        workspace.store, shell.arena.POLICY_QA, "Q?", models, rng=workspace.rng, now="1", rater=ann
    )
    assert opened.id in client.predict(ann, "", api_name="/deal")
    battle(client, "something else typed meanwhile", battle_id=opened.id, rater=ann)
    (saved,) = of(workspace, ann)
    assert (
        saved.finished_at
        and replace(saved, answer_a="", answer_b="", finished_at=None, proof_a={}, proof_b={}) == opened
    )


def test_a_battle_passed_over_takes_no_vote_and_the_next_is_a_new_one(client, workspace, ann):
    battle(client, rater=ann)
    one = newest(workspace, ann)
    client.predict(one.id, ann, "", api_name="/skip")
    with pytest.raises(AppError, match="passed this battle over"):
        vote(client, one.id, rater=ann)
    battle(client, "Another?", battle_id=one.id, rater=ann)
    assert len(of(workspace, ann)) == 2 and votes_of(workspace, ann) == []


def test_a_grounded_battle_shows_both_arms_the_same_clauses(client, workspace, ann):
    heard: list[str] = []
    for model in workspace.stand_ins:
        model.asked = heard
    battle(client, "How many days of annual leave do employees receive?", mode="grounded", rater=ann)
    assert newest(workspace, ann).mode == "grounded"
    assert len(heard) == 2 and heard[0] == heard[1] and "Employees receive 25 days" in heard[0]

"""What is live, through the page, and handing an adapter over inside the workspace."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from gradio_client.exceptions import AppError

from engine import registry
from engine.settings import Settings
from engine.workspace import Workspace
from tests.page import visiting


@pytest.fixture
def workspace(tmp_path, loud_adapter):
    """A real workspace with one real adapter, called tuned."""
    settings = replace(Settings.read(), workspace=tmp_path / "workspace")
    workspace = Workspace.open(settings, seed=0)
    folder = workspace.adapters_dir / "tuned"
    shutil.copytree(loud_adapter, folder)
    card = {
        "base": "base",
        "dataset": "leave:1",
        "created_at": "2026-05-01",
        "digest": "f" * 64,
        "config": {"preset": "quick"},
    }
    (folder / "card.json").write_text(json.dumps(card))
    yield workspace
    workspace.close()


@pytest.fixture
def measured(workspace):
    """The same adapter, with margins on its card: of four questions without an answer and two with one."""
    path = workspace.adapters_dir / "tuned" / "card.json"
    found = {"task": "policy_qa", "token": 7, "answerable": [0.5, 1.5], "unanswerable": [1.0, 2.0, 3.0, 4.0]}
    path.write_text(json.dumps({**json.loads(path.read_text()), "refusal": found}))
    return workspace


def test_promoting_and_rolling_back_are_recorded_with_their_reason(workspace):
    with visiting(workspace) as client:
        with pytest.raises(AppError, match="nothing to roll back"):
            client.predict("tuned", "", api_name="/rollback")
        with pytest.raises(AppError, match="never measured beside base"):
            client.predict("tuned", " won 8 of 9 ", "", api_name="/promote")
        said, models, history, _, gate = client.predict("tuned", " won 8 of 9 ", "a trial", api_name="/promote")
        assert said["value"] == "tuned is live: Ask answers with it. The gate: never measured." and gate == ""
        assert [row[:4] for row in models["data"]] == [["base", "", "", ""], ["tuned", "live", "leave:1", "quick"]]
        assert [row[1:] for row in history["data"]] == [
            ["promote", "tuned", "never measured", "won 8 of 9 · Against the gate: a trial"]
        ]
        with pytest.raises(AppError, match="live already"):
            client.predict("tuned", "", "", api_name="/promote")
        *_, gate = client.predict("tuned", "it refused too much", api_name="/rollback")
        assert "was never measured beside base" in gate
    assert registry.live_model(workspace.store, "policy_qa") == "base"


def test_only_models_of_the_list_can_go_live(workspace):
    with visiting(workspace) as client, pytest.raises(AppError, match="from the list"):
        client.predict("openai:x@http://elsewhere", "", "trust me", api_name="/promote")
    assert workspace.store.promotions("policy_qa") == []


def test_what_is_handed_over_stays_inside_the_workspace(workspace):
    with visiting(workspace) as client:
        said, *_ = client.predict("tuned", api_name="/hand_over_gguf")
        written = Path(said["value"].split("  ")[-1])
        assert written == workspace.settings.workspace / "handover" / "tuned.gguf" and written.stat().st_size > 0
        for name in ("../tuned", "/etc/passwd", "nobody"):
            with pytest.raises(AppError):
                client.predict(name, api_name="/hand_over_gguf")
    assert [path.name for path in (workspace.settings.workspace / "handover").iterdir()] == ["tuned.gguf"]


def test_how_readily_an_adapter_refuses_is_drawn_and_set_where_its_card_is(measured):
    assert measured.model("tuned").handicap == 0.99
    with visiting(measured) as client:
        said, drawn, least, comes_to = client.predict("tuned", 75, api_name="/refuse_at_least")
        assert said["value"].startswith("tuned refuses at least 75 %") and least == 75
        assert "held back by 1.99 nats it refuses 3 of 4 held-out" in comes_to and "falsely 0 of 2 with one" in comes_to
        with pytest.raises(AppError, match="There is no adapter called nobody"):
            client.predict("nobody", 90, api_name="/refuse_at_least")
    lines = {}
    for point in (dict(zip(drawn["columns"], row, strict=True)) for row in drawn["data"]):
        lines.setdefault(point["line"], []).append((point["nats"], point["percent"]))
    assert lines["the setting"] == [(1.99, 0.0), (1.99, 100.0)]
    assert lines["rightly refused"][0] == (0.0, 100.0) and (2.0, 50.0) in lines["rightly refused"]
    assert (0.5, 50.0) in lines["falsely refused"] and (1.5, 0.0) in lines["falsely refused"]
    assert measured.model("tuned").handicap == 1.99


def test_nothing_can_be_set_where_nothing_was_measured(workspace):
    with visiting(workspace) as client, pytest.raises(AppError, match="was not measured"):
        client.predict("tuned", 75, api_name="/refuse_at_least")
    assert workspace.model("tuned").handicap == 0.0


def test_who_takes_an_adapter_along_is_told_that_it_refuses_otherwise_there(measured):
    with visiting(measured) as client:
        said, *_ = client.predict("tuned", api_name="/hand_over_gguf")
    assert "Elsewhere it refuses as it was trained" in said["value"]

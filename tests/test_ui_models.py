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


def test_promoting_and_rolling_back_are_recorded_with_their_reason(workspace):
    with visiting(workspace) as client:
        with pytest.raises(AppError, match="nothing to roll back"):
            client.predict("tuned", "", api_name="/rollback")
        said, models, history, _ = client.predict("tuned", " won 8 of 9 ", api_name="/promote")
        assert said["value"] == "tuned is live: Ask answers with it."
        assert [row[:4] for row in models["data"]] == [["base", "", "", ""], ["tuned", "live", "leave:1", "quick"]]
        assert [row[1:] for row in history["data"]] == [["promote", "tuned", "won 8 of 9"]]
        with pytest.raises(AppError, match="live already"):
            client.predict("tuned", "", api_name="/promote")
        client.predict("tuned", "it refused too much", api_name="/rollback")
    assert registry.live_model(workspace.store, "policy_qa") == "base"


def test_only_models_of_the_list_can_go_live(workspace):
    with visiting(workspace) as client, pytest.raises(AppError, match="from the list"):
        client.predict("openai:x@http://elsewhere", "", api_name="/promote")
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

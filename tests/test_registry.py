"""What is live, how one gets back, and what is handed on."""

import json
import re
from dataclasses import replace

import pytest

from engine.adapters import install_adapter
from engine.errors import InvalidInput, NotFound, Unavailable
from engine.records import Decoding
from engine.registry import copy_gguf, filled_modelfile, hand_over, live_model, promote, rollback
from engine.settings import Settings
from engine.tasks.policy_qa import POLICY_QA
from engine.workspace import Workspace


@pytest.fixture
def workspace(tmp_path, embedded):
    """A real workspace over the real base, with two adapters whose files are whole but small."""
    workspace = Workspace.open(Settings(tmp_path / "work", Settings.read().models, 1), seed=0)
    for name in ("leave-a", "leave-b"):
        built = tmp_path / f"built-{name}"
        built.mkdir()
        for file in ("adapter_config.json", "adapter_model.safetensors", "adapter.gguf"):
            (built / file).write_text(f"{name} {file}")
        install_adapter(built, workspace.adapters_dir, name, {"base": "base", "dataset": "leave:1"})
    yield workspace
    workspace.close()


def test_the_base_is_live_until_something_is_promoted(workspace):
    assert live_model(workspace.store, "policy_qa") == "base"
    promote(workspace, POLICY_QA, "leave-a", reason="fixed 20, broke 1")
    assert live_model(workspace.store, "policy_qa") == "leave-a"
    assert live_model(workspace.store, "leave_decision") == "base"
    (entry,) = workspace.store.promotions("policy_qa")
    assert (entry["action"], entry["model"], entry["reason"]) == ("promote", "leave-a", "fixed 20, broke 1")
    assert entry["digest"] == workspace.model("leave-a").digest() != workspace.model("base").digest()


def test_rollback_goes_back_step_by_step_to_what_was_live_before(workspace):
    for name in ("leave-a", "leave-b", "base", "leave-a"):
        promote(workspace, POLICY_QA, name, reason="")
    steps = []
    for _ in range(4):
        steps.append(rollback(workspace, POLICY_QA))
        assert live_model(workspace.store, "policy_qa") == steps[-1]
    assert steps == ["base", "leave-b", "leave-a", "base"]
    with pytest.raises(InvalidInput, match='Nothing is promoted over "base"'):
        rollback(workspace, POLICY_QA)


def test_a_promotion_after_a_rollback_stands_on_what_is_live_then(workspace):
    promote(workspace, POLICY_QA, "leave-a", reason="")
    promote(workspace, POLICY_QA, "leave-b", reason="")
    assert rollback(workspace, POLICY_QA) == "leave-a"
    promote(workspace, POLICY_QA, "base", reason="")
    assert rollback(workspace, POLICY_QA) == "leave-a"
    assert rollback(workspace, POLICY_QA) == "base"


def test_what_is_live_already_or_not_there_is_not_promoted(workspace):
    with pytest.raises(InvalidInput, match='"base" is live already'):
        promote(workspace, POLICY_QA, "base", reason="")
    with pytest.raises(NotFound, match=r"There are: leave-[ab], leave-[ab]\."):
        promote(workspace, POLICY_QA, "leave-c", reason="")
    assert workspace.store.promotions("policy_qa") == []


def test_the_filled_modelfile_has_no_blank_left_and_says_what_was_measured():
    decoding = Decoding(max_tokens=99, temperature=0.25, top_p=0.5, top_k=7, repeat_penalty=1.25)
    text = filled_modelfile(POLICY_QA, base="./base.gguf", adapter="./adapter.gguf", decoding=decoding)
    assert re.findall(r"(?<!\{)\{[a-z_]+\}", text) == []
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert lines[:2] == ["FROM ./base.gguf", "ADAPTER ./adapter.gguf"]
    assert f'SYSTEM """{POLICY_QA.system}"""' in lines
    said = dict(line.split()[1:] for line in lines if line.startswith("PARAMETER") and "stop" not in line)
    assert said == {"temperature": "0.25", "top_p": "0.5", "top_k": "7", "repeat_penalty": "1.25", "num_predict": "99"}
    assert [line for line in lines if "stop" in line] == ["PARAMETER stop <|im_end|>", "PARAMETER stop <|im_start|>"]


def test_every_line_of_the_modelfile_has_its_reason_above_it():
    lines = filled_modelfile(POLICY_QA, base="b", adapter="a").splitlines()
    settings = [n for n, line in enumerate(lines) if re.match(r"(?:FROM|ADAPTER|TEMPLATE|SYSTEM|PARAMETER) ", line)]
    assert len(settings) == 11
    assert [lines[n] for n in settings if not lines[n - 1].startswith("#") and "stop" not in lines[n - 1]] == []


def test_a_handed_over_folder_is_complete_and_never_overwrites(workspace, tmp_path, embedded):
    adapter = workspace.adapters()[0]
    out = tmp_path / "handed"
    files = hand_over(workspace, adapter, POLICY_QA, out)
    assert sorted(path.name for path in out.iterdir()) == sorted(path.name for path in files)
    assert sorted(path.name for path in files) == ["Modelfile", "adapter.gguf", "base-f16.gguf", "card.json"]
    assert (out / "base-f16.gguf").stat().st_size == embedded.gguf.stat().st_size
    assert (out / "adapter.gguf").read_text() == f"{adapter.name} adapter.gguf"
    assert json.loads((out / "card.json").read_text())["dataset"] == "leave:1"
    modelfile = (out / "Modelfile").read_text()
    assert all((out / name).is_file() for name in re.findall(r"^(?:FROM|ADAPTER) (.+)$", modelfile, re.MULTILINE))
    with pytest.raises(InvalidInput, match="is not empty"):
        hand_over(workspace, adapter, POLICY_QA, out)


def test_who_gets_an_adapter_whose_refusal_is_held_back_here_is_told_that_it_is_not_there(workspace, tmp_path):
    before = workspace.adapters()[0]
    card = {**before.card, "refusal": {"task": "policy_qa", "token": 7, "answerable": [], "unanswerable": [2.0, 3.0]}}
    files = hand_over(workspace, replace(before, card=card), POLICY_QA, tmp_path / "handed")
    modelfile, handed = files[2].read_text(), json.loads(files[3].read_text())
    assert handed["refuses"].startswith("Elsewhere it refuses as it was trained") and handed["refuses"] in modelfile
    assert '"logit_bias": [[7, -1.99]]' in handed["refuses"]
    settings = [line for line in modelfile.splitlines() if line and not line.startswith("#")]
    plain = filled_modelfile(POLICY_QA, base="./base-f16.gguf", adapter="./adapter.gguf")
    assert settings == [line for line in plain.splitlines() if line and not line.startswith("#")]
    hand_over(workspace, before, POLICY_QA, tmp_path / "as_trained")
    assert (tmp_path / "as_trained" / "Modelfile").read_text() == plain
    assert json.loads((tmp_path / "as_trained" / "card.json").read_text()) == before.card


def test_an_adapter_over_another_base_is_not_handed_over_with_ours(workspace, tmp_path):
    other = replace(workspace.adapters()[0], base="org/bigger")
    with pytest.raises(InvalidInput, match="stands on org/bigger, which is not kept here as GGUF"):
        hand_over(workspace, other, POLICY_QA, tmp_path / "handed")
    assert not (tmp_path / "handed").exists()


def test_the_adapter_alone_is_copied_and_no_file_is_overwritten(workspace, tmp_path):
    adapter = workspace.adapters()[0]
    assert copy_gguf(adapter, tmp_path / "a.gguf").read_text() == f"{adapter.name} adapter.gguf"
    with pytest.raises(InvalidInput, match=r"a\.gguf is there already"):
        copy_gguf(adapter, tmp_path / "a.gguf")
    with pytest.raises(Unavailable, match="cannot be written"):
        copy_gguf(adapter, tmp_path / "nowhere" / "a.gguf")

"""README's commands run, its map is the tree, its links lead somewhere."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

from engine.samples import QUESTIONS

PROJECT = Path(__file__).resolve().parents[1]
README = (PROJECT / "README.md").read_text(encoding="utf-8")
FEW_STEPS = ["--max-steps", "3"]
FEW_QUESTIONS = 3


def blocks() -> list[str]:
    """The fenced blocks, in order."""
    return re.findall(r"```\w*\n(.*?)```", README, re.DOTALL)


def commands() -> list[list[str]]:
    """The arguments of every `app.py` line, in order, the demo apart (it has a test of its own)."""
    lines = [line for block in blocks() for line in block.splitlines() if "app.py" in line and line.startswith(".venv")]
    return [found for line in lines if (found := shlex.split(line)[2:])[0] != "demo"]


def mapped() -> set[str]:
    """Every file and folder the map names, with its room."""
    text = next(block for block in blocks() if block.startswith("app.py"))
    found, room = set(), ""
    for line in text.splitlines():
        named = re.split(r" {3,}", line.strip())[0].split()
        if not line.startswith(" "):
            room = named[0] if named[0].endswith("/") else ""
        found.update(named if named[0] == room or not room else {room + name for name in named})
    return found


def test_the_map_names_every_source_file_and_no_other():
    tree = {"app.py", "tests/"}
    for room in ("engine", "evals", "ui"):
        tree.add(f"{room}/")
        for path in (PROJECT / room).iterdir():
            if path.suffix == ".py" and path.stem != "__init__":
                tree.add(f"{room}/{path.name}")
            elif (path / "__init__.py").exists():
                tree.add(f"{room}/{path.name}/")
    assert mapped() == tree


def test_every_local_link_and_picture_is_there():
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (PROJECT / target).exists(), target


def test_the_two_commands_are_targets_of_the_makefile():
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\w+)", README, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_commands_run_in_order_as_written(tmp_path):
    """As written, but for the length: three training steps, and the first questions of the sample's file."""
    few = tmp_path / "few.jsonl"
    few.write_text(
        "\n".join(QUESTIONS.read_text(encoding="utf-8").splitlines()[:FEW_QUESTIONS]) + "\n", encoding="utf-8"
    )
    found = commands()
    assert len(found) >= 8
    for arguments in found:
        given = [str(few) if argument.endswith(QUESTIONS.name) else argument for argument in arguments]
        given = [
            str(tmp_path / argument)
            if argument in ("report.json", "report.html", "answers.jsonl", "handbook-1-ollama")
            else argument
            for argument in given
        ]
        if given[0] == "next":
            _vote(tmp_path)
        extra = FEW_STEPS if given[0] == "train" else []
        if given[0] == "train" and "--base" in given:
            continue  # a bigger base cannot be fetched here
        if given[0] == "evaluate" and "ollama:" in " ".join(given):
            continue  # no Ollama runs here
        command = [sys.executable, "app.py", *given, *extra, "--workspace", str(tmp_path / "ws"), "--json"]
        done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, f"{shlex.join(arguments)}\n{done.stderr}"
        assert json.loads(done.stdout.splitlines()[-1])


def _vote(folder: Path) -> None:
    """A battle and a vote, as the Arena makes them, so that there is something for the next version."""
    import random

    from engine.battles import open_battle, play, vote
    from engine.settings import Settings
    from engine.tasks import task_named
    from engine.workspace import Workspace

    workspace = Workspace.open(Settings.read(workspace=str(folder / "ws")))
    try:
        task, models = task_named("policy_qa"), (workspace.model("base"), workspace.model("handbook-1"))
        battle = open_battle(
            workspace.store, task, "How long is probation?", models, rng=random.Random(0), now=workspace.now()
        )
        *_, seen = play(workspace.store, battle, models, task, now=workspace.now())
        assert seen.complete and not seen.error
        vote(workspace.store, battle.id, rater="reader", choice="a", now=workspace.now())
    finally:
        workspace.close()

"""The house's walls: which room may know which, and what must stay unloaded until it is needed."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
MODULES = sorted(
    [*PROJECT.glob("*.py"), *(path for room in ("engine", "evals", "ui") for path in (PROJECT / room).rglob("*.py"))]
)
MAY_IMPORT = {
    "app": {"app", "ui", "evals", "engine"},
    "ui": {"ui", "evals", "engine"},
    "evals": {"evals", "engine"},
    "engine": {"engine"},
}
OURS = {*MAY_IMPORT, "tests"}
HEAVY = {"torch", "transformers", "peft", "trl", "accelerate", "bitsandbytes"}


def named(path: Path) -> str:
    return str(path.relative_to(PROJECT))


def imported(path: Path, *, at_import_time: bool = False) -> Iterator[str]:
    """Full names of what a module imports; with `at_import_time` only what runs when it is imported."""
    todo: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{named(path)} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        lazy = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        only_for_types = isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        if not (at_import_time and (lazy or only_for_types)):
            todo += ast.iter_child_nodes(node)


def room(path: Path) -> str:
    return path.relative_to(PROJECT).parts[0].removesuffix(".py")


def tops(path: Path, *, at_import_time: bool = False) -> set[str]:
    return {name.split(".")[0] for name in imported(path, at_import_time=at_import_time)}


def test_the_walk_sees_the_whole_house():
    assert {room(path) for path in MODULES} == set(MAY_IMPORT)
    assert len(MODULES) >= 40
    assert "engine.records.Document" in imported(PROJECT / "engine" / "facts.py")
    assert "torch" not in tops(PROJECT / "engine" / "backends" / "transformers_peft.py", at_import_time=True)
    assert "torch" in tops(PROJECT / "engine" / "backends" / "transformers_peft.py")


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_a_room_knows_only_the_rooms_below_it(path):
    assert (tops(path) & OURS) - MAY_IMPORT[room(path)] == set()


def test_the_words_of_the_project_know_nothing_of_ours():
    for name in ("records.py", "errors.py", "settings.py", "lexicon.py"):
        assert tops(PROJECT / "engine" / name) & OURS == set()


@pytest.mark.parametrize(
    ("package", "where"),
    [("sqlite_utils", {"engine/store/connection.py", "engine/store/datasets.py", "engine/migrations.py"}),
     ("xllamacpp", {"engine/backends/llama_cpp.py"}),
     ("ollama", {"engine/backends/ollama.py"}), ("openai", {"engine/backends/openai_compatible.py"}),
     ("spacy", {"engine/parsing.py"}), ("datasets", {"engine/exchange/folders.py", "engine/preference_trainers.py"}),
     ("docling", {"engine/documents/docling.py"}),
     ("evalica", set()),
     ("scipy", {f"evals/{name}.py" for name in ("clusters", "intervals", "paired", "sequential")})],
)  # fmt: skip
def test_a_package_with_a_room_of_its_own_is_imported_nowhere_else(package, where):
    assert {named(path) for path in MODULES if package in tops(path)} <= where


def test_gradio_is_known_to_the_page_and_to_the_door_alone():
    assert {named(path) for path in MODULES if "gradio" in tops(path) and room(path) not in ("ui", "app")} == set()


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_the_heavy_libraries_are_loaded_only_by_modules_that_run_models(path):
    rooms = (
        "checkpoints lora_model margins memory preference_trainers probing run_end run_start sft shared_prefix teams "
        "train_lora train_preferences"
    )
    worker = {f"engine/{name}.py" for name in rooms.split()}
    if named(path) not in worker:
        assert tops(path, at_import_time=True) & HEAVY == set()


def test_starting_the_app_loads_no_model_library():
    script = "import sys, app, ui.commands, engine.workspace; print(sorted(set(sys.modules) & set(sys.argv[1:])), app.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", script, *HEAVY, "xllamacpp", "datasets"], cwd=PROJECT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"[] {PROJECT / 'app.py'}\n"


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_a_module_says_first_what_it_is_for_and_stays_readable_in_one_sitting(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith('"""') and len(lines[0].strip('"').split()) >= 4
    assert len(lines) <= 500

"""What this machine has and lacks, a line each with the next step."""

import importlib.metadata
import os
import platform
import shutil
from collections.abc import Iterator
from typing import Any

import psutil

from engine import embedding
from engine.documents.docling import lacking, models_folder
from engine.embedded import damaged_files, is_ready
from engine.install import BROWSERS
from engine.workspace import Workspace
from ui.terminal import Screen

NEEDED_GIB = 4
PACKAGES = ("torch", "transformers", "peft", "gradio", "xllamacpp", "sqlite-utils")


def examine(workspace: Workspace, screen: Screen) -> dict[str, Any]:
    """Check the machine, the model and the workspace; nothing is changed."""
    found = [{"what": what, "ok": ok, "says": says} for what, ok, says in _checks(workspace)]
    for line in found:
        screen.say(f"{'ok  ' if line['ok'] else 'LACK'}  {line['what']}: {line['says']}")
    return {"checks": found, "ok": all(line["ok"] for line in found)}


def _checks(workspace: Workspace) -> Iterator[tuple[str, bool, str]]:
    settings = workspace.settings
    memory_gib = psutil.virtual_memory().total / 2**30
    free_gib = shutil.disk_usage(settings.workspace).free / 2**30
    yield "Python", True, platform.python_version()
    yield "cores", True, f"{os.cpu_count()}, of which {settings.threads} are used (TOUCHSTONE_THREADS changes that)"
    yield (
        "memory",
        memory_gib >= NEEDED_GIB,
        f"{memory_gib:.0f} GiB" + ("" if memory_gib >= NEEDED_GIB else "; training needs 4"),
    )
    yield (
        "disk",
        free_gib >= NEEDED_GIB,
        f"{free_gib:.0f} GiB free" + ("" if free_gib >= NEEDED_GIB else "; free some: 4 are needed"),
    )
    for package in PACKAGES:
        try:
            yield package, True, importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            yield package, False, "not installed. Run: make setup"
    if not is_ready(settings.models):
        yield "embedded model", False, "not converted yet. Run: make setup"
    else:
        damaged = damaged_files(settings.models)
        says = (
            f"{', '.join(damaged)} changed on disk. Delete {settings.models} and run: make setup"
            if damaged
            else "whole"
        )
        yield "embedded model", not damaged, says
    without = lacking()
    yield "PDF reader", True, f"our own; {without}" if without else f"docling, with the models in {models_folder()}"
    without = embedding.lacking()
    yield "search", True, f"by words; {without}" if without else "by words and by meaning, with all-MiniLM-L6-v2"
    yield "GPU", True, _gpu()
    browser = next((name for name in BROWSERS if shutil.which(name)), "")
    yield "browser for the tests", bool(browser), browser or "none on the path. make test installs one"
    yield (
        "workspace",
        True,
        f"{settings.workspace}: {len(workspace.adapters())} adapters, {len(workspace.store.datasets())} dataset versions",
    )


def _gpu() -> str:
    driver = shutil.which("nvidia-smi")
    return "an NVIDIA driver is here" if driver else "none; the embedded model needs none, an 8B model does"

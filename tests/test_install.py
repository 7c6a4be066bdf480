"""Set-up on machines that lack something: one sentence and exit 2, by running the real script where it is really missing."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from engine.install import PYTHON, REQUIREMENTS

PROJECT = Path(__file__).resolve().parent.parent


def old_pythons() -> list[Path]:
    """Interpreters older than 3.11 that run; a launcher may stand there without one behind it."""
    of_pyenv = Path("~/.pyenv/versions").expanduser().glob("3.*/bin/python")
    found = sorted(path for path in of_pyenv if int(path.parts[-3].split(".")[1]) < 11)
    found = found or [Path(at) for name in ("python3.8", "python3.9", "python3.10") if (at := shutil.which(name))]
    return [path for path in found if subprocess.run([path, "-c", ""], capture_output=True).returncode == 0]


OLD = old_pythons()


def clone(folder: Path, requirements: str) -> Path:
    (folder / "engine").mkdir()
    shutil.copy(PROJECT / "engine" / "install.py", folder / "engine")
    (folder / "requirements.txt").write_text(requirements)
    return folder


@pytest.fixture
def fresh(tmp_path) -> Path:
    """A clone with nothing set up, that wants one small package."""
    return clone(tmp_path, "# a reason\nregex==2026.1.1\n")


def set_up(folder: Path, python: Path | str = sys.executable, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, "engine/install.py"], cwd=folder, capture_output=True, text=True, env={**os.environ, **environment}
    )


@pytest.fixture(scope="module")
def bare_venv(tmp_path_factory) -> Path:
    """What the real script makes of an empty list of packages: a virtual environment with nothing but pip. Made once."""
    folder = clone(tmp_path_factory.mktemp("bare"), "# nothing is needed\n")
    done = set_up(folder)
    assert (done.returncode, done.stderr) == (0, "") and "Setting up .venv" in done.stdout
    return folder / ".venv"


NO_NETWORK = {  # the discard port: nothing listens there
    "PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_EXTRA_INDEX_URL": "", "PIP_RETRIES": "1", "PIP_NO_CACHE_DIR": "1"
}  # fmt: skip


def test_no_network_is_named_and_a_missing_package_afterwards_is_not_blamed_on_it(fresh, bare_venv):
    shutil.copytree(bare_venv, fresh / ".venv", symlinks=True)
    done = set_up(fresh, **NO_NETWORK)
    assert done.returncode == 2
    assert done.stderr == (
        "The package index could not be reached. Check the network (or pip's index setting) and repeat; what was loaded is kept.\n"
    )
    (fresh / "wheels").mkdir()
    done = set_up(fresh, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(fresh / "wheels"))
    assert done.returncode == 2
    assert done.stderr == (
        f"pip could not install the packages; its last words are in {fresh}/.venv/install.log. Mend what it names and repeat.\n"
    )
    assert "No matching distribution found for regex==2026.1.1" in (fresh / ".venv" / "install.log").read_text()
    stamps = [(folder / "installed.txt").read_text() for folder in (fresh / ".venv", bare_venv)]
    assert stamps[0] == stamps[1]  # of the empty list: nothing was believed to be installed


def small_disks() -> bool:
    unshare = shutil.which("unshare")
    trial = ["mount", "-t", "tmpfs", "trial", "/mnt"]
    return bool(unshare) and subprocess.run([unshare, "-rm", *trial], capture_output=True).returncode == 0


@pytest.mark.skipif(not small_disks(), reason="a disk of 8 MiB can be made only where user namespaces are allowed")
def test_a_disk_too_small_is_named_before_anything_is_written(fresh, tmp_path_factory):
    disk = tmp_path_factory.mktemp("disk")
    script = (
        'mount -t tmpfs -o size=8m small "$1" && cp -r "$2"/. "$1" && "$3" "$1"/engine/install.py; echo $?; ls -A "$1"'
    )
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script, "sh", disk, fresh, sys.executable], capture_output=True, text=True
    )
    assert done.stderr == f"The disk of {disk} has 0.0 GiB free and set-up needs 4. Free some space and repeat.\n"
    assert done.stdout.split() == ["2", "engine", "requirements.txt"]


@pytest.mark.skipif(not OLD, reason="no Python older than 3.11 on this machine")
@pytest.mark.parametrize("python", OLD, ids=lambda path: path.parent.parent.name)
def test_an_old_python_is_told_that_it_is_old(fresh, python):
    done = set_up(fresh, python)
    assert done.returncode == 2
    assert re.fullmatch(
        r"Python 3\.\d+\.\d+ is too old: Touchstone needs 3\.11 or newer\. Try: make run PYTHON=python3\.12\n",
        done.stderr,
    )
    assert not (fresh / ".venv").exists()


def test_a_virtual_environment_that_cannot_be_made_is_named(fresh):
    (fresh / ".venv").write_text("a file in the folder's place")
    done = set_up(fresh)
    assert done.returncode == 2
    assert re.fullmatch(r"The virtual environment \S+\.venv cannot be made \(.+\)\..*\n", done.stderr)


def test_a_second_set_up_has_nothing_to_do_and_says_nothing(fresh, bare_venv):
    shutil.copytree(bare_venv, fresh / ".venv", symlinks=True)
    (fresh / "requirements.txt").write_text("# nothing is needed\n")
    done = set_up(fresh, **NO_NETWORK)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    (fresh / "requirements.txt").write_text("# something else is needed\n")
    assert "Setting up .venv" in set_up(fresh).stdout


def test_every_pinned_package_says_why_it_is_here():
    lines = REQUIREMENTS.read_text(encoding="utf-8").splitlines()
    pinned = [n for n, line in enumerate(lines) if line and not line.startswith(("#", "--"))]
    assert len(pinned) >= 10
    assert [lines[n] for n in pinned if "==" not in lines[n]] == []
    assert [lines[n] for n in pinned if "#" not in lines[n] and not lines[n - 1].startswith("#")] == []
    assert PYTHON == PROJECT / ".venv" / "bin" / "python"

"""Sets a fresh machine up: virtual environment, pinned packages, a browser for the tests. Needs only Python itself."""

import hashlib
import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
VENV = PROJECT / ".venv"
PYTHON = VENV / "bin" / "python"
LOG = VENV / "install.log"
REQUIREMENTS = PROJECT / "requirements.txt"
NEEDED_GIB = 4
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


class SetupFailed(Exception):
    """Its message is the one sentence the user gets."""


def main(arguments: "Sequence[str]") -> int:  # quoted: an old Python must get as far as being told that it is old
    """`--browser` also finds or installs a Chromium for the tests. Returns the exit status."""
    try:
        install_packages()
        if "--browser" in arguments:
            find_browser()
    except SetupFailed as problem:
        sys.stderr.write(f"{problem}\n")
        return 2
    return 0


def install_packages() -> None:
    """Make .venv hold exactly what requirements.txt asks for; nothing to do when it already does."""
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()
    stamp = VENV / "installed.txt"
    if PYTHON.exists() and stamp.exists() and stamp.read_text() == wanted:
        return
    if sys.version_info < (3, 11):
        raise SetupFailed(
            f"Python {sys.version.split()[0]} is too old: Touchstone needs 3.11 or newer. Try: make run PYTHON=python3.12"
        )
    free_gib = shutil.disk_usage(PROJECT).free / 2**30
    if free_gib < NEEDED_GIB:
        raise SetupFailed(
            f"The disk of {PROJECT} has {free_gib:.1f} GiB free and set-up needs {NEEDED_GIB}. Free some space and repeat."
        )
    _say("Setting up .venv (once; a few minutes) …")
    try:
        if not PYTHON.exists():
            venv.create(VENV, with_pip=True, clear=True)
    except (OSError, subprocess.CalledProcessError) as problem:
        raise SetupFailed(
            f"The virtual environment {VENV} cannot be made ({problem}). On Debian: apt install python3-venv"
        ) from None
    _pip(["install", "-r", str(REQUIREMENTS)])
    for line in REQUIREMENTS.read_text().splitlines():
        if line.startswith("# no-deps: "):
            _pip(["install", "--no-deps", line.removeprefix("# no-deps: ")])
    stamp.write_text(wanted)


def find_browser() -> None:
    """A Chromium on this machine, else the distribution's where we may install it, else Playwright's own."""
    if any(shutil.which(name) for name in BROWSERS):
        return
    own = subprocess.run(
        [
            PYTHON,
            "-c",
            "from playwright.sync_api import sync_playwright as s\nwith s() as p: print(p.chromium.executable_path)",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if own.returncode == 0 and Path(own.stdout.strip()).exists():
        return
    _say("Installing a browser for the tests …")
    attempts = [[str(PYTHON), "-m", "playwright", "install", "chromium"]]
    if shutil.which("apt-get") and _is_root():
        attempts.insert(
            0, ["sh", "-c", "apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium"]
        )
    with LOG.open("ab") as log:
        for attempt in attempts:
            if subprocess.run(attempt, stdout=log, stderr=log, stdin=subprocess.DEVNULL, check=False).returncode == 0:
                return
    raise SetupFailed(
        "No Chromium was found and none could be installed. Install one (Debian: apt install chromium) and repeat make test."
    )


def _pip(arguments: "Sequence[str]") -> None:
    """Run pip with its output in the log; turn what went wrong into one sentence."""
    with LOG.open("ab") as log:
        start = log.tell()
        done = subprocess.run(
            [PYTHON, "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments],
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    if done.returncode == 0:
        return
    said = LOG.read_bytes()[start:].decode(errors="replace")
    if "No space left" in said:
        raise SetupFailed(
            "The disk became full while packages were installed. Free some space and repeat; nothing is lost."
        )
    if any(
        sign in said
        for sign in (
            "Temporary failure in name resolution",
            "NewConnectionError",
            "Connection refused",
            "ProxyError",
            "ReadTimeout",
            "Max retries",
        )
    ):
        raise SetupFailed(
            "The package index could not be reached. Check the network (or pip's index setting) and repeat; what was loaded is kept."
        )
    raise SetupFailed(
        f"pip could not install the packages; its last words are in {LOG}. Mend what it names and repeat."
    )


def _is_root() -> bool:
    import os

    return hasattr(os, "geteuid") and os.geteuid() == 0


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Detached processes: start one, watch it, stop it, resume it. Knows folders and processes, not what a job computes.

A job is a folder. `job.json` says what was started, `process.json` which process does it, `log.txt` holds everything
it printed, `progress.json` its latest state (replaced whole), `metrics.jsonl` its curve, `stop` asks it to end, and
`queue.json` says whose turn is before its own while it waits (`queueing`).
The page only reads these files. A small process in between starts the worker and leaves: the worker is nobody's child,
so it survives the page, its terminal and kill -9, and leaves no zombie behind.
"""

import errno
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from engine.errors import Busy, InvalidInput, NotFound, TouchstoneError, Unavailable
from engine.processes import alive, born, is_locked, locked
from engine.records import Job, JobState
from engine.settings import PROJECT

JOB, PROCESS, LOG, PROGRESS, METRICS, STOP, QUEUE = (
    "job.json",
    "process.json",
    "log.txt",
    "progress.json",
    "metrics.jsonl",
    "stop",
    "queue.json",
)
LOGGER = logging.getLogger(__name__)
FINAL: tuple[JobState, ...] = ("done", "stopped", "failed")
WORKING: tuple[JobState, ...] = ("running", "queued")
TAIL_LINES = 20
LAUNCH_TIMEOUT_S = 60.0
LEAVE_TIMEOUT_S = 15.0


def start(
    runs: Path,
    *,
    kind: str,
    title: str,
    argv: Sequence[str],
    now: str,
    env: Mapping[str, str] | None = None,
    prepare: Callable[[Path], None] | None = None,
    queue: bool = False,
) -> Job:
    """
    Start one detached process and return as soon as it runs; it outlives the caller.

    `argv` may hold "{folder}", which becomes the job's folder. `env` is added to this process's environment and saved
    in the folder, so no secrets belong in it. `now` is ISO 8601 and names the folder. `prepare` writes the worker's
    input into the new folder; when it raises, the folder is gone again.
    While another job of `runs` works, one with `queue` waits for its turn, in a process of its own, and starts by itself;
    one without raises `Busy`. Of two starts at one moment exactly one works. Raises `Unavailable` when the disk refuses.
    """
    with locked(runs) as lock:
        ahead = _ahead(runs, may_wait=queue)
        folder = runs / f"{re.sub(r'[^0-9]', '', now)[:14]}-{uuid4().hex[:6]}"
        try:
            folder.mkdir(parents=True)
            entry = {
                "id": folder.name,
                "kind": kind,
                "title": title,
                "created_at": now,
                "argv": [part.replace("{folder}", str(folder)) for part in argv],
                "env": dict(env or {}),
                "queue": queue,
            }
            _replace(folder / JOB, entry)
            if prepare is not None:
                prepare(folder)
            _launch(folder, lock, ahead)
        except OSError as problem:
            shutil.rmtree(folder, ignore_errors=True)
            raise Unavailable(
                f"{title} could not be started: {runs} cannot be written ({problem.strerror}). Free some disk space."
            ) from problem
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    return read_job(folder)


def resume(folder: Path) -> Job:
    """
    Start the same process again in the same folder; the worker goes on from what it saved there.

    Where another one works it waits for its turn, if it was started so; else `Busy` is raised. Raises `InvalidInput` for a
    job that runs, waits or is done.
    """
    with locked(folder.parent) as lock:
        job = _read(folder, starting=False)
        if job.state in (*WORKING, "done"):
            raise InvalidInput(f"{job.title} is {job.state}, so there is nothing to resume.")
        ahead = _ahead(folder.parent, may_wait=bool(_json(folder / JOB).get("queue")))
        _wait_until_gone(folder, job)
        (folder / STOP).unlink(missing_ok=True)
        _launch(folder, lock, ahead)
    return read_job(folder)


def stop(folder: Path) -> Job:
    """
    Ask a job to finish its step, save what it has and end; returns at once. Stopping twice does no harm.

    One that waits for its turn gives it up. A marker file asks, so it works across users and containers; SIGTERM only wakes
    the worker sooner. Raises `InvalidInput` for a job that neither runs nor waits.
    """
    job = read_job(folder)
    if job.state not in WORKING:
        raise InvalidInput(f"{job.title} is not running: it is {job.state}.")
    (folder / STOP).touch()
    owner = _json(folder / PROCESS)
    if alive(owner):
        try:
            os.kill(owner["pid"], signal.SIGTERM)
        except (ProcessLookupError, PermissionError) as problem:
            LOGGER.warning("%s: no signal sent (%s); the stop file will do", job.id, problem)
    return read_job(folder)


def read_job(folder: Path) -> Job:
    """
    What the folder says, checked against the process: one that is gone without a last word is "died".

    Raises `NotFound` for a folder that holds no job.
    """
    return _read(folder, starting=True)


def list_jobs(runs: Path) -> list[Job]:
    """Every job, newest first. A folder that holds no job is passed over."""
    folders = [entry.parent for entry in runs.glob(f"*/{JOB}")] if runs.is_dir() else []
    jobs = [read_job(folder) for folder in folders if _json(folder / JOB)]
    return sorted(jobs, key=lambda job: (job.created_at, job.id), reverse=True)


def find_job(jobs: Sequence[Job], job_id: str) -> Job:
    """One of them by its id or the beginning of one. Raises `NotFound`, also when several begin so."""
    found = [job for job in jobs if job.id.startswith(job_id)] if job_id else []
    exact = [job for job in found if job.id == job_id] or found
    if len(exact) != 1:
        reason = "several jobs begin so" if exact else "there is no such job"
        raise NotFound(f"Job {job_id!r}: {reason}. See: app.py jobs list")
    return exact[0]


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """The curve: one mapping per logged step, in order. A line cut short by a crash is left out."""
    path = folder / METRICS
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return [point for line in lines if (point := _parsed(line))]


class Progress:
    """
    The worker's pen: writes progress.json at most every `every_s` seconds, whole each time, and the curve beside it.

    A full disk does not end a worker from here: what could not be written is written with the next update.
    """

    def __init__(self, folder: Path, *, every_s: float = 0.5, clock: Callable[[], float] = time.monotonic) -> None:
        self.folder = folder
        self._every_s, self._clock, self._written_at = every_s, clock, float("-inf")
        self._fields: dict[str, Any] = {"state": "running"}

    def update(self, *, now: bool = False, **fields: Any) -> None:
        """Add or change fields: step, steps, loss, lr, tokens_per_s, eta_s, message. `now` writes without waiting."""
        self._fields |= fields
        if now or self._clock() - self._written_at >= self._every_s:
            self._write()

    def point(self, **values: Any) -> None:
        """Append one point to the curve."""
        try:
            with (self.folder / METRICS).open("a", encoding="utf-8") as file:
                file.write(json.dumps(values) + "\n")
        except OSError as problem:
            self._complain(problem)

    def finish(self, state: JobState, message: str, **fields: Any) -> None:
        """The last word: done, stopped or failed, with a sentence for people."""
        self._fields |= {"state": state, "message": message, "eta_s": 0.0 if state == "done" else None} | fields
        if not self._write():
            # The old file's block is ours even on a full disk; writing over it is not atomic, but nothing follows.
            try:
                (self.folder / PROGRESS).write_text(json.dumps({"state": state, "message": message}), encoding="utf-8")
            except OSError as problem:
                self._complain(problem)

    def _write(self) -> bool:
        self._written_at = self._clock()
        try:
            _replace(self.folder / PROGRESS, self._fields)
        except OSError as problem:
            self._complain(problem)
            return False
        return True

    def _complain(self, problem: OSError) -> None:
        if problem.errno != errno.ENOSPC:  # the log lies on the same full disk
            LOGGER.warning("progress could not be written: %s", problem)


class Interruption:
    """Whether somebody asked this run to end: by the stop file, or by SIGTERM once `listen` was called."""

    def __init__(self, folder: Path) -> None:
        self._marker, self._signalled = folder / STOP, False

    def listen(self) -> None:
        """From here on SIGTERM is a request instead of the end."""
        signal.signal(signal.SIGTERM, self._note)

    def _note(self, *_: object) -> None:
        self._signalled = True

    @property
    def wanted(self) -> bool:
        """Read once a step."""
        return self._signalled or self._marker.exists()


def in_turn(runs: Path) -> list[Job]:
    """Who works, and behind them who waits, in the order of their turns."""
    found = [_read(entry.parent, starting=False) for entry in runs.glob(f"*/{JOB}") if _json(entry)]
    return sorted((job for job in found if job.state in WORKING), key=lambda job: (job.state == "queued", _turn(job)))


def _turn(job: Job) -> int:
    """The number it drew when it began to wait; no clock, which may be set back."""
    return int(_json(Path(job.folder) / QUEUE).get("turn", 0))


def _ahead(runs: Path, *, may_wait: bool) -> list[Job]:
    """Who comes first. Raises `Busy` where that is somebody, and waiting is not wanted."""
    ahead = in_turn(runs)
    if ahead and not may_wait:
        job = ahead[0]
        raise Busy(
            f"{job.title} is running (job {job.id}). Wait for it to finish, or stop it with: app.py jobs stop {job.id}"
        )
    return ahead


def _wait_until_gone(folder: Path, job: Job) -> None:
    """A worker that said its last word may still be leaving; two must never share a folder."""
    deadline = time.monotonic() + LEAVE_TIMEOUT_S
    while alive(_json(folder / PROCESS)):
        if time.monotonic() > deadline:
            raise Busy(
                f"{job.title} is {job.state} but its process {job.pid} has not left yet. Wait a moment and try again."
            )
        time.sleep(0.05)


def _read(folder: Path, *, starting: bool) -> Job:
    """`starting`: a job without a process yet counts as running while somebody holds the lock."""
    entry = _json(folder / JOB)
    if not entry:
        raise NotFound(f"{folder} holds no job. See: app.py jobs list")
    owner, progress = _json(folder / PROCESS), _json(folder / PROGRESS)
    said: Any = progress.get("state", "")
    # The worker is asked first and its file read again: it may have said its last word in between.
    if alive(owner) or (not owner and starting and is_locked(folder.parent)):
        state: JobState = said if said in (*FINAL, "queued") else "running"
    else:
        progress = _json(folder / PROGRESS)
        said = progress.get("state", "")
        state = said if said in FINAL else "died"
    return Job(
        id=entry["id"],
        kind=entry["kind"],
        title=entry["title"],
        state=state,
        folder=str(folder),
        created_at=entry["created_at"],
        pid=int(owner.get("pid", 0)),
        progress=progress,
        log_tail=_tail(folder / LOG),
    )


def _launch(folder: Path, lock: int, ahead: Sequence[Job]) -> None:
    """
    Run the process in between and wait until it has started the worker and left. It shares the lock until then.

    With somebody `ahead`, it starts a process that waits for its turn and then becomes the worker.
    """
    (folder / PROCESS).unlink(missing_ok=True)
    (folder / QUEUE).unlink(missing_ok=True)
    said: dict[str, Any] = {"state": "running", "message": "Starting."}
    if ahead:
        said = {"state": "queued", "message": waiting_for(ahead)}
        _replace(folder / QUEUE, {"turn": 1 + max(map(_turn, ahead))})
    _replace(folder / PROGRESS, _json(folder / PROGRESS) | said)
    done = subprocess.run(
        [sys.executable, "-m", "engine.jobs", str(folder)],
        cwd=PROJECT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        pass_fds=(lock,),
        start_new_session=True,
        timeout=LAUNCH_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise Unavailable(f"The job could not be started: {' '.join(last)}. Run: app.py doctor")


def waiting_for(ahead: Sequence[Job]) -> str:
    """What a job that waits says of itself."""
    behind = f", and {len(ahead) - 1} more before it" if len(ahead) > 1 else ""
    return f"Waiting for its turn: {ahead[0].title} comes first{behind}. It starts by itself."


def _become_parent(folder: Path) -> None:
    """
    What the process in between does: start the worker in a session of its own, write down who it is, leave.

    The worker is born deaf to SIGTERM, for being told to stop while Python still starts would be a death without a
    last word; it finds the stop file when it gets there, and hears the signal from when it installs its own handler.
    """
    entry = _json(folder / JOB)
    waits = (folder / QUEUE).exists()
    argv = [sys.executable, "-m", "engine.queueing", str(folder)] if waits else entry["argv"]
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # an ignored signal stays ignored across exec
    with (folder / LOG).open("ab") as log:
        worker = subprocess.Popen(
            argv,
            cwd=PROJECT,
            env=os.environ | entry["env"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _replace(folder / PROCESS, {"pid": worker.pid, "born": born(worker.pid)})
    except OSError:
        worker.kill()  # nobody could find or stop a worker that is not written down
        raise
    worker.returncode = 0  # it is init's child from here on; keeps Popen from warning about it


def _replace(path: Path, value: Mapping[str, Any]) -> None:
    """Write JSON so that a reader sees the old text or the new one, never a half."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def _json(path: Path) -> dict[str, Any]:
    """The mapping in a file; empty when there is none or it is damaged."""
    try:
        return _parsed(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return {}


def _parsed(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _tail(path: Path) -> tuple[str, ...]:
    """The last lines of a log of any size."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 16_384))
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return ()
    return tuple(line.rpartition("\r")[2] for line in text.splitlines()[-TAIL_LINES:])


if __name__ == "__main__":
    try:
        _become_parent(Path(sys.argv[1]))
    except (OSError, TouchstoneError) as reason:
        sys.exit(str(reason))

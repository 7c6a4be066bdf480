"""A job waits for its turn: `python -m engine.queueing FOLDER` sleeps until nobody is ahead, then becomes the worker.

A process of the job's own, so that it starts whatever became of the page, of the terminal and of the job before it; under one
process id from the first moment, so that whoever watches or stops it finds the worker where the waiter was.
"""

import json
import os
import sys
import time
from pathlib import Path

from engine.jobs import JOB, QUEUE, STOP, Progress, in_turn, waiting_for
from engine.processes import locked
from engine.records import Job

LOOK_EVERY_S = 0.5


def wait_for_turn(folder: Path, progress: Progress) -> bool:
    """Return once it is this job's turn, marked as running; False when somebody cancelled it meanwhile."""
    while True:
        if (folder / STOP).exists():
            (folder / QUEUE).unlink(missing_ok=True)
            progress.finish("stopped", "Cancelled before it started. Resume the run to queue it again.")
            return False
        if ahead := _ahead_of(folder):
            progress.update(state="queued", message=waiting_for(ahead))
        else:
            with locked(folder.parent):
                if not _ahead_of(folder):
                    progress.update(now=True, state="running", message="Starting.")
                    (folder / QUEUE).unlink(missing_ok=True)
                    return True
        time.sleep(LOOK_EVERY_S)


def _ahead_of(folder: Path) -> list[Job]:
    ahead = []
    for job in in_turn(folder.parent):
        if Path(job.folder) == folder:
            break
        ahead.append(job)
    return ahead


if __name__ == "__main__":
    place = Path(sys.argv[1]).resolve()
    if wait_for_turn(place, Progress(place, every_s=5.0)):
        command = json.loads((place / JOB).read_text(encoding="utf-8"))["argv"]
        os.execv(command[0], command)

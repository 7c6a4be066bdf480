"""The process that answers a review queue in advance: reads its job folder, writes answers to the store and progress beside it."""

import sys
from collections.abc import Sequence
from pathlib import Path

from engine.errors import TouchstoneError
from engine.jobs import Interruption, Progress
from engine.reviews import freeze, queue_of
from engine.search import finder
from engine.settings import Settings, go_quiet
from engine.tasks import task_named
from engine.workspace import Workspace


def main(arguments: Sequence[str]) -> int:
    """Answer what has no answers yet. 0 whatever came of it: the progress file says what."""
    go_quiet()
    folder = Path(arguments[0])
    progress, interruption = Progress(folder), Interruption(folder)
    interruption.listen()
    try:
        run(folder, progress, interruption)
    except TouchstoneError as problem:
        progress.finish("failed", str(problem))
    return 0


def run(folder: Path, progress: Progress, interruption: Interruption) -> None:
    """The same, raising what people can mend."""
    workspace = Workspace.open(Settings.read())
    try:
        queue = workspace.store.queue(queue_of(folder))
        first, second = workspace.models(queue.models)
        complete = freeze(
            workspace.store,
            queue,
            (first, second),
            task_named(queue.task),
            find=finder(workspace.store, queue.mode),
            rng=workspace.rng,
            now=workspace.now,
            watch=lambda what, done, total: progress.update(phase=what, step=done, steps=total, message=""),
            stop=lambda: interruption.wanted,
        )
        counts = workspace.store.queue(queue.name).counts
    finally:
        workspace.close()
    if complete:
        failed = f"; {counts['failed']} failed and are not dealt" if counts["failed"] else ""
        said = f"{queue.name}: {counts['frozen']} questions answered by both models{failed}."
        progress.finish("done", said, step=counts["frozen"], steps=counts["questions"])
    else:
        progress.finish("stopped", f"Stopped as asked. Resume to answer the rest of {queue.name}.")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

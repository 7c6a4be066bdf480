"""The process that fills a dataset version: reads its job folder, writes rows to the store and progress beside it."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from engine.calls import Cancelled
from engine.errors import TouchstoneError
from engine.generation import fill_version, read_config
from engine.jobs import Interruption, Progress
from engine.settings import Settings, go_quiet
from engine.teaching import bench_of, generator_of
from engine.workspace import Workspace


def main(arguments: Sequence[str]) -> int:
    """Fill the version that the folder names, or go on filling it. 0 whatever came of it: the progress file says what."""
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
    dataset_id, config = read_config(folder)
    workspace = Workspace.open(Settings.read())
    try:
        version = workspace.store.dataset_by_id(dataset_id)
        documents = [workspace.store.document(document_id) for document_id in config.documents]
        before, began = version.counts["proposed"], time.monotonic()

        def watch(what: str, done: int, total: int) -> None:
            rate = (done - before) / max(time.monotonic() - began, 1e-9)
            eta_s = (total - done) / rate if rate > 0 else None
            progress.update(phase=what, step=done, steps=total, rows_per_s=round(rate, 1), eta_s=eta_s, message="")

        def stop() -> bool:
            return interruption.wanted

        finished = fill_version(
            workspace.store,
            version,
            documents,
            generator_of(workspace, config, run=version.title, stopped=stop),
            bench=bench_of(workspace, config, documents, run=version.title, stopped=stop, watch=watch),
            apart_from=config.apart_from,
            now=workspace.now,
            watch=watch,
            stop=stop,
        )
    except Cancelled:
        finished = None
    finally:
        workspace.close()
    if finished is None:
        progress.finish(
            "stopped", f"Stopped as asked. The rows so far are kept; resume to make the rest of {version.title}."
        )
    else:
        counts = finished.counts
        progress.finish(
            "done",
            f"{finished.title}: {counts['proposed']} rows proposed = {counts['kept']} kept + {counts['rejected']} rejected + "
            f"{counts['failed']} failed.",
            step=counts["proposed"],
            steps=counts["proposed"],
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

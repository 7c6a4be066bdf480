"""Every verb of the product as a command: reads its arguments, calls the engine, says what came of it."""

import json
import time
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engine import adapters, datasets, jobs, registry, training
from engine.answering import answer_rows, read_jsonl
from engine.embedded import ensure_embedded, is_ready
from engine.errors import InvalidInput
from engine.exchange.exporting import export_version, kept_rows
from engine.exchange.importing import import_files
from engine.generation import GenerationConfig, read_config
from engine.grounding import used_otherwise
from engine.notes import notes_on
from engine.records import Job, Mode
from engine.refusing import elsewhere, setting
from engine.search import finder
from engine.tasks import task_named
from engine.teaching import estimate_of
from engine.workspace import Workspace
from ui.asked import kept_answers
from ui.leaderboard import warn_of_disagreement
from ui.preferences import export_votes, of_votes
from ui.runs import numbers
from ui.terminal import Screen
from ui.versions import counts_in_words, question_files, show_checks

POLL_S = 0.5
MOST_SHOWN = 20
MOST_LISTED = 1000


def setup(workspace: Workspace, options: Namespace, screen: Screen) -> dict[str, Any]:
    """Convert the embedded model once, with progress."""
    if not is_ready(workspace.settings.models):
        screen.say("Converting the embedded model (once; about 20 s) …")
        ensure_embedded(
            workspace.settings.models, progress=lambda share, what: screen.watch("Converting", round(100 * share), 100)
        )
    return {"models": str(workspace.settings.models)}


def generate(workspace: Workspace, options: Namespace, screen: Screen) -> dict[str, Any]:
    """Documents to a gated, split dataset version."""
    task = task_named(options.task)
    datasets.check_name(options.dataset)
    apart_from = tuple(question_files(options.apart_from))
    read = workspace.add_files([Path(name) for name in options.files], masking=options.mask, watch=screen.watch)
    notes = [note for document in read.documents for note in notes_on(document)]
    for sentence in [*(f"Left out: {refused}" for refused in read.refused), *notes]:
        screen.say(sentence)
    config = GenerationConfig(
        options.dataset,
        tuple(document.id for document in read.documents),
        task=task.name,
        seed=options.seed,
        teacher=options.teacher,
        judge=options.judge,
        apart_from=apart_from,
    )
    if config.teacher:
        screen.say("Asking the teacher twice, to see how long it takes …")
        prices = (
            None
            if options.price_in is None and options.price_out is None
            else (options.price_in or 0.0, options.price_out or 0.0)
        )
        screen.say(f"The teacher: {estimate_of(workspace, config, read.documents, prices=prices)}")
    job = workspace.generate(read.documents, config)
    screen.say(f"{job.title}, as job {job.id}. Ctrl-C stops it; what is made so far is kept.")
    ended = watch_job(job, screen)
    if ended["state"] != "done":
        screen.say(f"Go on with: app.py jobs resume {job.id}")
        return ended
    version = workspace.store.dataset_by_id(read_config(Path(job.folder))[0])
    reasons = workspace.store.rejections(version.id)
    counts = version.counts
    screen.say(f"{counts['train']} to train, {counts['probe']} and {counts['test']} held out")
    for reason, rows in list(reasons.items())[:12]:
        screen.say(f"  {rows:5} not kept: {reason}")
    _show_helpers(version.recipe, screen)
    show_checks(version, screen)
    helpers = {name: version.recipe[name] for name in ("teacher", "judge") if name in version.recipe}
    return {
        "dataset": version.title,
        "counts": version.counts,
        "rejected": reasons,
        "apart_from": version.recipe["apart_from"],
        "leakage": version.recipe["leakage"],
        "refused_files": read.refused,
        "notes": notes,
        **helpers,
    }


def _show_helpers(recipe: Mapping[str, Any], screen: Screen) -> None:
    """What came of a teacher's answers, and what a judge did in its exam and said of the rows."""
    if teacher := recipe.get("teacher"):
        screen.say(
            f"Teacher {teacher['model']}: {teacher['calls']} answers, {teacher['valid']} of them valid by the schema before "
            f"repair, {teacher['tokens_out']:,} tokens written."
        )
    if judge := recipe.get("judge"):
        rows = judge["rows"]
        screen.say(
            f"Judge {judge['judge']}: caught {judge['caught']} of {judge['planted']} planted errors, rejected "
            f"{judge['wrongly_rejected']} of {judge['good']} good rows; it {'gates' if judge['may_gate'] else 'only advises'}."
        )
        for kind, (caught, planted) in judge["by_kind"].items():
            screen.say(f"  {caught:3} of {planted:3} caught: {kind}")
        screen.say(f"Of {rows.get('judged', 0)} rows it read it doubts {rows.get('doubted', 0)}.")


def next_dataset(workspace: Workspace, options: Namespace, screen: Screen) -> dict[str, Any]:
    """The next version of a dataset, with the votes and labels given since."""
    parent = workspace.store.dataset(options.dataset)
    version = datasets.next_version(workspace.store, parent, now=workspace.now())
    screen.say(f"{version.title}, from {parent.title}: {counts_in_words(version.counts)}")
    screen.say(f"Votes taken in: {version.recipe['votes'] or 'none'}; labels: {version.recipe['labels'] or 'none'}")
    return {
        "dataset": version.title,
        "parent": parent.title,
        "counts": version.counts,
        "votes": version.recipe["votes"],
    }


def answer(workspace: Workspace, options: Namespace, screen: Screen) -> dict[str, Any]:
    """One answer row for each input row."""
    task = task_named(options.task)
    rows = read_jsonl(Path(options.source))
    find = finder(workspace.store, options.mode)
    model = workspace.model(options.model)
    warn_of_mode(workspace, [options.model], options.mode, screen)
    failed = written = 0
    out = writable(options.out)
    with out.open("w", encoding="utf-8") as file:
        for row in answer_rows(model, rows, task, find=find, kept=kept_answers(workspace, anew=options.anew)):
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            written += 1
            failed += bool(row.get("error"))
            screen.watch(f"Asking {options.model}", written, sum(1 + bool(r.get("paraphrase")) for r in rows))
    screen.say(f"{written} answers written to {out}" + (f"; {failed} failed, each row says why." if failed else "."))
    return {"rows": written, "failed": failed, "out": str(out)}


def export(workspace: Workspace, options: Namespace, screen: Screen) -> dict[str, Any]:
    """A dataset's kept rows in any format, or the votes as rows for preference trainers or as they were given."""
    warn_of_disagreement(workspace, options.task, screen)
    if of_votes(options):
        return export_votes(workspace, options, screen)
    if options.format:
        return _export_format(workspace, options, screen)
    version = workspace.store.dataset(options.dataset) if options.dataset else _newest(workspace)
    rows = kept_rows(workspace.store, version, options.split)
    lines = list(datasets.export_rows(rows, task_named(version.task)))
    if not lines:
        raise InvalidInput(f'{version.title} has no row in the split "{options.split}". Choose another --split.')
    writable(options.out).write_text("\n".join(lines) + "\n", encoding="utf-8")
    screen.say(f"{len(lines)} rows written to {options.out}.")
    return {"rows": len(lines), "out": options.out}


def _export_format(workspace: Workspace, options: Namespace, screen: Screen) -> dict[str, Any]:
    version = workspace.store.dataset(options.dataset) if options.dataset else _newest(workspace)
    task, out = task_named(version.task), Path(options.out)
    done = export_version(workspace.store, version, out, task=task, format=options.format, part=options.split)
    screen.say(f"{done.rows} rows of {version.title} written to {', '.join(map(str, done.files))}.")
    if done.left_out:
        screen.say(f"{done.left_out} statements left out: {options.format} has no place for a bare text.")
    files = [str(file) for file in done.files]
    return {"dataset": version.title, "rows": done.rows, "left_out": done.left_out, "out": options.out, "files": files}


def import_rows(workspace: Workspace, options: Namespace, screen: Screen) -> dict[str, Any]:
    """Rows from files of any export format to a new dataset version, with an account of each one refused."""
    done = import_files(
        workspace.store,
        options.dataset,
        [Path(name) for name in options.files],
        task=task_named(options.task),
        format=options.format,
        normalise_labels=options.normalise_labels,
        now=workspace.now(),
        watch=screen.watch,
    )
    version, reasons = done.version, workspace.store.rejections(done.version.id)
    read_as = ", ".join(f"{name} as {format}" for name, format in done.formats.items())
    screen.say(f"{version.title}, from {read_as}: {counts_in_words(version.counts)}")
    for note in done.notes:
        screen.say(f"  note: {note}")
    by_reason: dict[tuple[str, str], list[int]] = {}
    for refused in done.refused:
        by_reason.setdefault((refused.file, refused.reason), []).append(refused.line)
    for (file, reason), lines in by_reason.items():
        named = ", ".join(map(str, lines[:MOST_SHOWN])) + (" …" if len(lines) > MOST_SHOWN else "")
        screen.say(f"  {len(lines):5} not kept: {reason} {file}, line{'s' * (len(lines) > 1)} {named}")
    return {
        "dataset": version.title,
        "counts": version.counts,
        "formats": dict(done.formats),
        "notes": list(done.notes),
        "rejected": reasons,
        "refused": [refused.__dict__ for refused in done.refused[:MOST_LISTED]],
    }


def jobs_command(workspace: Workspace, options: Namespace, screen: Screen) -> dict[str, Any]:
    """List, show, stop or resume runs."""
    if options.action == "list":
        found = workspace.jobs()
        if not found:
            screen.say("No run yet. Start one with: app.py train --dataset D --adapter A")
        screen.table(
            [[job.id, job.state, job.title, _step(job)] for job in found], head=["id", "state", "run", "steps"]
        )
        return {"jobs": [job.__dict__ for job in found]}
    if not options.id:
        raise InvalidInput("Which job? Name its id; app.py jobs lists them.")
    job = workspace.job(options.id)
    if options.action == "stop":
        jobs.stop(Path(job.folder))
        screen.say(f"Asked {job.id} to stop; it saves what it has learned first.")
    elif options.action == "resume":
        return watch_job(jobs.resume(Path(job.folder)), screen)
    for line in jobs.read_job(Path(job.folder)).log_tail:
        screen.say(line)
    return {"job": jobs.read_job(Path(job.folder)).__dict__}


def rollback(workspace: Workspace, options: Namespace, screen: Screen) -> dict[str, Any]:
    """Go back to what was live before."""
    name = registry.rollback(workspace, task_named(options.task))
    screen.say(f'"{name}" is live again for {options.task}.')
    return {"live": name}


def deploy(workspace: Workspace, options: Namespace, screen: Screen) -> dict[str, Any]:
    """Hand an adapter on as files."""
    adapter, task = adapters.read_adapter(workspace.adapters_dir, options.adapter), task_named(options.task)
    out = Path(options.out or f"{adapter.name}-{options.to}")
    if options.to == "gguf":
        written = [registry.copy_gguf(adapter, out if out.suffix == ".gguf" else out.with_suffix(".gguf"))]
    else:
        written = registry.hand_over(workspace, adapter, task, out)
        screen.say(f"Ready for Ollama: cd {out} && ollama create {adapter.name.lower()} -f Modelfile")
    for path in written:
        screen.say(f"{path.stat().st_size / 2**20:7.1f} MiB  {path}")
    refuses = elsewhere(setting(adapter, task))
    if refuses:
        screen.say(refuses)
    return {"files": [str(path) for path in written], "refuses": refuses}


def watch_job(job: Job, screen: Screen) -> dict[str, Any]:
    """Follow a job to its end. Ctrl-C asks it to stop and goes on waiting for the adapter to be saved."""
    folder = Path(job.folder)
    asked = False
    while (job := jobs.read_job(folder)).state in jobs.WORKING:
        try:
            progress = job.progress
            note = ", ".join(numbers(progress)) if job.kind == training.KIND else ""
            screen.watch(_title(job), int(progress.get("step") or 0), int(progress.get("steps") or 1), note)
            time.sleep(POLL_S)
        except KeyboardInterrupt:
            if asked:
                raise
            asked = True
            jobs.stop(folder)
            screen.say("Leaving the queue …" if job.state == "queued" else "Stopping; saving what is learned …")
    progress = job.progress
    if job.state in ("failed", "died"):
        last = "\n".join(job.log_tail)
        raise InvalidInput(f"The run {job.id} {job.state}: {progress.get('message') or 'its process is gone'}\n{last}")
    screen.say(f"{job.state}: {progress.get('message', '')}")
    return {"job": job.id, "state": job.state, "progress": dict(progress)}


def warn_of_mode(workspace: Workspace, names: Sequence[str], mode: Mode, screen: Screen) -> None:
    """Say so where an adapter is to answer in another mode than it was trained in."""
    if otherwise := used_otherwise(workspace.adapters(), names, mode):
        screen.say(otherwise)


def _title(job: Job) -> str:
    if job.state == "queued":
        return str(job.progress.get("message") or "Waiting for its turn")
    return str(job.progress.get("phase") or ("Training" if job.kind == training.KIND else "Starting"))


def _step(job: Job) -> str:
    return f"{job.progress.get('step', 0)}/{job.progress.get('steps', '?')}"


def _newest(workspace: Workspace) -> Any:
    versions = workspace.store.datasets()
    if not versions:
        raise InvalidInput("There is no dataset yet. Make one with: app.py generate --dataset NAME FILES")
    return versions[0]


def writable(name: str) -> Path:
    """The file to write. Raises InvalidInput when its folder is not there, or it is one."""
    path = Path(name)
    if not path.parent.is_dir():
        raise InvalidInput(
            f"The folder {path.parent} does not exist, so {path.name} cannot be written there. Make it first."
        )
    if path.is_dir():
        raise InvalidInput(f"{path} is a folder. Name a file.")
    return path

"""Documents -> a finished dataset version: proposed, gated, written to the ledger as it goes, and only then split.

Whatever breaks it off, it goes on: proposing is the same from the same seed, so a second run passes over the rows that
stand in the ledger and adds those that are missing, no row twice.
"""

import json
import random
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from itertools import tee
from pathlib import Path
from typing import Any

from engine import jobs
from engine.datasets import check_name
from engine.errors import Busy, InvalidInput, NotFound
from engine.facts import facts_of
from engine.generate import REFUSAL_SHARE, EmbeddedGenerator, Generator
from engine.judging import Bench
from engine.leakage import QuestionFile, apart_from_recipe, keep_apart_from, leakage
from engine.quality import RULES, Gates
from engine.records import DatasetVersion, Document, Job, LedgerRow, Proposal
from engine.settings import QUIET, Settings
from engine.splitting import TEST_SHARE, balanced, families, hold_out, split_of
from engine.store import Store
from engine.tasks import Task, task_named
from engine.watching import Watch, ignore
from engine.writing import WRITER

BATCH = 500
BATCH_S = 2.0
KIND = "generation"
CONFIG = "config.json"


def never() -> bool:
    """For callers who do not stop."""
    return False


@dataclass(frozen=True)
class GenerationConfig:
    """What a version is to be made of; saved with it, so that anyone can make it again."""

    dataset: str  # a name; the version takes its next number
    documents: tuple[str, ...]  # ids, in the order in which they are read
    task: str = "policy_qa"
    seed: int = 0
    teacher: str = (
        ""  # who writes the questions: "" the embedded rules, "writer" these and the question writer, else a model
    )
    judge: str = ""  # the model that reads rows beside their source; "": nobody
    apart_from: tuple[QuestionFile, ...] = ()  # no training row is close to one of their questions


def make_version(
    store: Store,
    name: str,
    documents: Sequence[Document],
    *,
    task: Task,
    seed: int = 0,
    now: str,
    generator: Generator | None = None,
    bench: Bench | None = None,
    apart_from: Sequence[QuestionFile] = (),
    watch: Watch = ignore,
) -> DatasetVersion:
    """
    Documents to a finished dataset version, here and now; every proposed row is in its ledger, kept or with the reason why not.

    Raises InvalidInput when the documents hold no fact, or when no row passes the gates.
    """
    config = GenerationConfig(name, tuple(document.id for document in documents), task.name, seed)
    generator = generator or EmbeddedGenerator()
    version = begin_version(store, documents, config, generator=generator.name, now=now)
    finished = fill_version(
        store, version, documents, generator, bench=bench, apart_from=apart_from, now=lambda: now, watch=watch
    )
    assert finished is not None, "nobody asked it to stop"
    return finished


def begin_version(
    store: Store, documents: Sequence[Document], config: GenerationConfig, *, generator: str, now: str
) -> DatasetVersion:
    """
    Take the dataset's next number and write down the facts. Its rows come with `fill_version`; until then nobody is offered it.

    Raises InvalidInput for a bad name or task, or when the documents hold no fact.
    """
    check_name(config.dataset)
    task = task_named(config.task)
    facts = facts_of(documents)
    if not facts:
        raise InvalidInput(f"No fact was found in {_names(documents)}. Load a document whose sentences state rules.")
    recipe = {
        "generator": generator,
        "seed": config.seed,
        "facts": len(facts),
        "test_share": TEST_SHARE,
        "refusal_share": REFUSAL_SHARE,
        "gates": dict(RULES),
    }
    version = store.begin_dataset(
        config.dataset, task=task.name, documents=config.documents, recipe=recipe, parent_id=None, now=now
    )
    store.add_facts(version.id, facts)
    return version


def fill_version(
    store: Store,
    version: DatasetVersion,
    documents: Sequence[Document],
    generator: Generator,
    *,
    bench: Bench | None = None,
    apart_from: Sequence[QuestionFile] = (),
    now: Callable[[], str],
    watch: Watch = ignore,
    stop: Callable[[], bool] = never,
    clock: Callable[[], float] = time.monotonic,
) -> DatasetVersion | None:
    """
    Propose and check the rows that a begun version lacks, then split and finish it. None when `stop` said so in between.

    Rows reach the file every BATCH_S seconds; a version broken off is filled up by calling this again with the same generator.
    Raises InvalidInput when nothing passes the gates, and then takes the version back; or when the generator proposes other rows
    than those which stand in the ledger.
    """
    facts = store.facts(version.id)
    stored = store.row_ids(version.id)
    gates = Gates((passage for document in documents for passage in document.passages), facts)
    proposals = generator.propose(documents, facts, rng=random.Random(version.recipe["seed"]))
    about = generator.about(facts)
    rows: list[LedgerRow] = []
    written, written_at = len(stored), clock()
    gated = _gated(proposals, gates, families(facts))
    for row in _judged(gated, bench) if bench else gated:
        rows.append(row)
        if len(rows) <= len(stored):
            _same_as_before(row, stored[len(rows) - 1], version)
            continue
        if len(rows) - written >= BATCH or clock() - written_at >= BATCH_S:
            store.add_rows(version.id, rows[written:])
            written, written_at = len(rows), clock()
            if stop():
                return None
        watch("Proposing and checking rows", len(rows), max(about, len(rows)))
    store.add_rows(version.id, rows[written:])
    split = balanced(keep_apart_from(apart_from, hold_out(rows)), refusal_share=REFUSAL_SHARE)
    if not any(row.split == "train" for row in split):
        store.discard_dataset(version.id)
        raise InvalidInput(
            f"No row from {_names(documents)} passed the gates, so there is nothing to train on. Load a longer document."
        )
    revised = [after for before, after in zip(rows, split, strict=True) if after != before]
    watch("Proposing and checking rows", len(rows), len(rows))
    checked = {"apart_from": apart_from_recipe(apart_from, split), "leakage": leakage(split).as_recipe()}
    noted = {**generator.provenance(), **(bench.provenance() if bench else {}), **checked}
    return store.finish_dataset(version.id, revised=revised, noted=noted, now=now())


def start_generation(
    store: Store,
    documents: Sequence[Document],
    config: GenerationConfig,
    *,
    folder: Path,
    settings: Settings,
    now: str,
) -> Job:
    """
    Begin the version and fill it in a process of its own, which `jobs` watches, stops and resumes.

    Raises what `begin_version` raises, and Busy while another generation runs; then nothing is left behind.
    """
    embedded = config.teacher in ("", WRITER)
    generator = EmbeddedGenerator.named(writes=bool(config.teacher)) if embedded else f"teacher {config.teacher}"
    version = begin_version(store, documents, config, generator=generator, now=now)
    entry = {"dataset_id": version.id, **asdict(config)}
    try:
        return jobs.start(
            folder,
            kind=KIND,
            title=f"Generating {version.title}",
            argv=[sys.executable, "-m", "engine.generate_rows", "{folder}"],
            env={
                **QUIET,
                "TOUCHSTONE_WORKSPACE": str(settings.workspace),
                "TOUCHSTONE_MODELS": str(settings.models),
                "TOUCHSTONE_THREADS": str(settings.threads),
                "PYTHONUNBUFFERED": "1",
            },
            now=now,
            prepare=lambda into: _write(into / CONFIG, entry),
        )
    except BaseException:
        store.discard_dataset(version.id)
        raise


def read_config(folder: Path) -> tuple[int, GenerationConfig]:
    """The version that a generation's folder fills, and what of. Raises NotFound for another folder."""
    try:
        entry = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        dataset_id = int(entry.pop("dataset_id"))
        files = (QuestionFile(**{**file, "questions": tuple(file["questions"])}) for file in entry["apart_from"])
        given = {**entry, "documents": tuple(entry["documents"]), "apart_from": tuple(files)}
        return dataset_id, GenerationConfig(**given)
    except (OSError, ValueError, KeyError, TypeError):
        raise NotFound(f"{folder} holds no generation. Generate a dataset first.") from None


def discard_generation(store: Store, folder: Path) -> None:
    """
    Take back the version that a generation did not finish, and forget the job. A finished version stays.

    Raises Busy while it runs, NotFound for a folder that holds no generation.
    """
    job = jobs.read_job(folder)
    dataset_id, _ = read_config(folder)
    if job.state == "running":
        raise Busy(f"{job.title} is still running. Stop it first, then discard it.")
    if any(version.id == dataset_id for version in store.datasets(finished=False)):
        store.discard_dataset(dataset_id)
    shutil.rmtree(folder)


def _write(path: Path, entry: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(entry, ensure_ascii=False, indent=1), encoding="utf-8")


def _gated(proposals: Iterable[Proposal], gates: Gates, sides: Mapping[str, str]) -> Iterator[LedgerRow]:
    """Each proposal with its verdict, under an id that no row before it has."""
    ids: set[str] = set()
    for number, proposal in enumerate(proposals, start=1):
        example = proposal.example
        if example.id in ids:
            example = replace(example, id=f"{example.id}-{number}")
        ids.add(example.id)
        if proposal.error:
            yield LedgerRow(example, "failed", proposal.error)
            continue
        reason = gates.reason_against(example)
        split = split_of(sides.get(example.fact_id, example.fact_id))
        yield LedgerRow(example, "rejected" if reason else "kept", reason, None if reason else split)


def _judged(rows: Iterable[LedgerRow], bench: Bench) -> Iterator[LedgerRow]:
    """Kept rows as the judge leaves them; it reads some rows ahead, so that several are judged at once."""
    ours, asked = tee(rows)
    with closing(bench.reasons(row.example for row in asked if row.state == "kept")) as reasons:
        for row in ours:
            reason = next(reasons) if row.state == "kept" else ""
            yield LedgerRow(row.example, "rejected", reason) if reason else row


def _same_as_before(row: LedgerRow, stored: str, version: DatasetVersion) -> None:
    if row.example.id != stored:
        raise InvalidInput(
            f"{version.title} cannot be continued: its generator proposes other rows now than when it was broken off. "
            "Generate a new version instead."
        )


def _names(documents: Sequence[Document]) -> str:
    return ", ".join(document.name for document in documents) or "no document at all"

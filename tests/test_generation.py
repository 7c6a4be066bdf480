"""Making a version step by step: whatever breaks it off, it goes on, with no row twice and none missing."""

import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from engine import jobs
from engine.documents import read_bytes
from engine.errors import Busy, InvalidInput, NotFound
from engine.facts import facts_of
from engine.generate import EmbeddedGenerator
from engine.generation import GenerationConfig, begin_version, fill_version, make_version, read_config
from engine.records import Example, Proposal
from engine.settings import Settings
from engine.tasks.policy_qa import POLICY_QA
from engine.workspace import Workspace

SMALL = read_bytes(
    "small.md",
    b"# Rules\n\n## Leave\n\nEmployees receive 25 days of paid leave each year. Requests reach the manager two weeks before.\n\n"
    b"## Badges\n\nThe security desk replaces a lost badge for EUR 15. A badge must be worn at all times.\n",
)
CONFIG = GenerationConfig("t", (SMALL.id,))


class Broken(Exception):
    """Stands for a process that ends in the middle."""


class Breaking:
    """The embedded generator, in a process that dies after so many rows."""

    name = EmbeddedGenerator().name

    def __init__(self, after: int) -> None:
        self.after = after

    def about(self, facts) -> int:
        return EmbeddedGenerator().about(facts)

    def provenance(self) -> dict[str, object]:
        return {}

    def propose(self, documents, facts, *, rng) -> Iterator[Proposal]:
        for number, proposal in enumerate(EmbeddedGenerator().propose(documents, facts, rng=rng)):
            if number == self.after:
                raise Broken
            yield proposal


def begun(store):
    return begin_version(store, [SMALL], CONFIG, generator=Breaking.name, now="1")


def ticking():
    """A clock on which every look takes a second, so that rows are written every other row."""
    seconds = iter(range(10**6))
    return lambda: float(next(seconds))


def fill(store, version, generator, **options):
    return fill_version(store, version, [SMALL], generator, now=lambda: "1", **options)


def test_broken_off_anywhere_and_continued_it_is_the_version_that_was_never_broken_off(store):
    whole = make_version(store, "t", [SMALL], task=POLICY_QA, now="1")
    expected, counts = store.rows(whole.id), whole.counts
    rng = random.Random(5)
    for after in [0, 1, *rng.sample(range(2, len(expected)), 12), len(expected) - 1]:
        version = begun(store)
        for further in (after // 2, after):
            with pytest.raises(Broken):
                fill(store, version, Breaking(further), clock=ticking())
        assert after - 3 <= len(store.row_ids(version.id)) <= after
        assert version.title not in [found.title for found in store.datasets()]
        finished = fill(store, version, EmbeddedGenerator())
        assert store.rows(version.id) == expected and finished.counts == counts


def test_stopped_it_keeps_its_rows_and_goes_on(store):
    version = begun(store)
    assert fill(store, version, EmbeddedGenerator(), clock=ticking(), stop=lambda: True) is None
    some = store.row_ids(version.id)
    assert 0 < len(some) < 10 and store.datasets() == []
    assert fill(store, version, EmbeddedGenerator()).counts["proposed"] == len(store.row_ids(version.id)) > 40
    assert store.row_ids(version.id)[: len(some)] == some


def test_a_generator_that_proposes_other_rows_than_before_is_not_mixed_in(store):
    version = begun(store)
    with pytest.raises(Broken):
        fill(store, version, Breaking(20), clock=ticking())
    before = store.rows(version.id)
    with pytest.raises(
        InvalidInput, match=r"t:1 cannot be continued: its generator proposes other rows.*Generate a new"
    ):
        fill(store, version, EmbeddedGenerator(wordings_per_fact=3))
    assert store.rows(version.id) == before


class HalfSilent:
    """Answers for every other fact, and says why it has nothing for the rest."""

    name = "half silent"

    def about(self, facts) -> int:
        return len(facts)

    def provenance(self) -> dict[str, object]:
        return {}

    def propose(self, documents, facts, *, rng) -> Iterator[Proposal]:
        for n, f in enumerate(facts):
            question = "" if n % 2 else f"{f.evidence[:30]}?"
            example = Example(f.id, f.id, "answerable", "wh", question, f.evidence, f.evidence, f.passage_id)
            yield Proposal(example, "the teacher gave prose instead of JSON" if n % 2 else "")


def test_what_a_generator_could_not_make_stands_in_the_ledger_with_its_reason(store):
    version = make_version(store, "t", [SMALL], task=POLICY_QA, generator=HalfSilent(), now="1")
    facts = facts_of([SMALL])
    assert len(facts) == 4 and version.counts["failed"] == 2
    assert version.counts["proposed"] == 4 == sum(version.counts[state] for state in ("kept", "rejected", "failed"))
    assert store.rejections(version.id)["the teacher gave prose instead of JSON"] == 2


def test_the_recipe_says_by_what_the_version_was_made(store):
    recipe = make_version(store, "t", [SMALL], task=POLICY_QA, seed=7, now="1").recipe
    assert (recipe["generator"], recipe["seed"], recipe["facts"]) == (EmbeddedGenerator().name, 7, 4)
    assert recipe["gates"]["longest_words"] == 110 and recipe["gates"]["held_out_apart"] == 0.7


# As a process of its own


@pytest.fixture
def workspace(tmp_path):
    opened = Workspace.open(Settings(tmp_path / "ws", tmp_path / "models", 2), seed=1)
    yield opened
    for job in opened.jobs():
        if psutil.pid_exists(job.pid) and str(tmp_path) in " ".join(psutil.Process(job.pid).cmdline()):
            psutil.Process(job.pid).kill()
    opened.close()


def until(holds, timeout_s=90.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def test_killed_and_resumed_the_process_loses_and_doubles_nothing(workspace):
    document = workspace.add_sample(pdf=False)
    config = GenerationConfig("leave", (document.id,))
    job = workspace.generate([document], config)
    assert read_config(Path(job.folder))[1] == config
    version = workspace.store.datasets(finished=False)[0]
    until(lambda: workspace.store.count_rows(version.id) > 500)
    with pytest.raises(Busy, match=r"Generating leave:1 is running"):
        workspace.generate([document], config)
    assert [found.id for found in workspace.store.datasets(finished=False)] == [version.id]

    os.kill(job.pid, signal.SIGKILL)
    until(lambda: workspace.job(job.id).state == "died")
    partly = workspace.store.count_rows(version.id)
    jobs.resume(Path(job.folder))
    until(lambda: workspace.store.count_rows(version.id) > partly)
    jobs.stop(Path(job.folder))
    until(lambda: workspace.job(job.id).state == "stopped")
    assert workspace.store.datasets() == []
    jobs.resume(Path(job.folder))
    until(lambda: workspace.job(job.id).state == "done")

    whole = make_version(workspace.store, "other", [document], task=POLICY_QA, now=workspace.now())
    assert workspace.store.rows(version.id) == workspace.store.rows(whole.id)
    assert workspace.job(job.id).progress["message"].startswith("leave:1: ")


def test_a_generation_that_cannot_go_on_says_why_and_keeps_what_it_has(workspace):
    document = workspace.add_sample(pdf=False)
    job = workspace.generate([document], GenerationConfig("leave", (document.id,)))
    version = workspace.store.datasets(finished=False)[0]
    until(lambda: workspace.store.count_rows(version.id) > 100)
    os.kill(job.pid, signal.SIGKILL)
    until(lambda: workspace.job(job.id).state == "died")
    with workspace.store.writing() as db:
        db.execute("UPDATE examples SET id = 'another' WHERE position = 7")
    rows = workspace.store.count_rows(version.id)

    jobs.resume(Path(job.folder))

    until(lambda: workspace.job(job.id).state != "running")
    ended = workspace.job(job.id)
    assert (ended.state, workspace.store.count_rows(version.id)) == ("failed", rows)
    assert "leave:1 cannot be continued" in ended.progress["message"]


def test_a_folder_that_holds_no_generation_is_named(tmp_path):
    with pytest.raises(NotFound, match="holds no generation"):
        read_config(tmp_path)

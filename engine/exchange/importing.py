"""Somebody's rows -> a dataset version: every record is in its ledger, kept or with the reason why not."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path

from engine.datasets import BATCH, check_name
from engine.errors import InvalidInput
from engine.exchange import SIDECAR, Format, Lineage, Unfit, digest_of
from engine.exchange.jsonl import Item, Oddities, json_lines, lines_of
from engine.exchange.shapes import Pair, as_pair, sound
from engine.exchange.sources import MOST_ROWS, Source, digest_of_files, opened
from engine.exchange.wording import Wording, loose
from engine.facts import kind_of
from engine.quality import Repeats, malformed
from engine.records import DatasetVersion, Example, ExampleKind, Fact, LedgerRow, Passage, Split
from engine.splitting import TEST_SHARE, hold_out, keep_apart, split_of
from engine.store import Store
from engine.tasks import Task
from engine.watching import Watch, ignore

NEXT_STEPS = {
    "near-duplicate": "Leave it out, or ask it in other words.",
    "contradiction": "Decide which answer is right and leave the other out.",
    "too long": "Shorten it, or make several rows of it.",
    "malformed: holds a control token": "Remove the token.",
    "malformed": "Fill it in, or leave the row out.",
    "too close to a held-out": "Nothing to do: trained, it would give the held-out question away.",
    "its fact is held out": "Nothing to do: a held-out fact is not trained in any wording.",
}


@dataclass(frozen=True)
class Refused:
    """A record that did not become a kept row."""

    file: str
    line: int
    reason: str

    @property
    def sentence(self) -> str:
        """How people are told."""
        return f"{self.file}, line {self.line}: {self.reason}"


@dataclass(frozen=True)
class Imported:
    """The account of an import. Its version's ledger holds the refused rows too."""

    version: DatasetVersion
    formats: Mapping[str, Format]  # file -> what it was read as
    refused: tuple[Refused, ...]
    notes: tuple[str, ...]  # what is odd about the files and was no reason to refuse a row


@dataclass(frozen=True)
class Read:
    """One item of a file and what it says; no pair where it says nothing."""

    file: str
    item: Item
    pair: Pair | None
    reason: str = ""

    @property
    def lineage(self) -> Lineage | None:
        """Where it came from, if that came along."""
        return self.pair.lineage if self.pair is not None and self.pair.lineage.fact else None

    @property
    def unchanged(self) -> bool:
        """Whether it is word for word what was exported."""
        found = self.lineage
        if found is None or self.pair is None:
            return False
        return found.digest in ("", digest_of(self.pair.question, self.pair.answer))


def import_files(
    store: Store,
    name: str,
    paths: Sequence[Path],
    *,
    task: Task,
    format: Format | None = None,
    normalise_labels: bool = False,
    most_rows: int = MOST_ROWS,
    now: str,
    watch: Watch = ignore,
) -> Imported:
    """
    Files of any of the formats to a finished dataset version; proposed = kept + rejected + failed, record by record.

    Rows are grouped by the fact their lineage names, else by their answer (labels and refusals: by their question), and no
    group stands on both sides of the split. A row exported with its split keeps it, unless another row of its fact is held out.
    Memory holds the rows (`most_rows` at most), never a file. Raises InvalidInput for a file that cannot be read at all, and
    when no row is left to train on; then nothing was made.
    """
    check_name(name)
    wording, reads, notes, formats = Wording(), list[Read](), list[str](), dict[str, Format]()
    for path in paths:
        with opened(path, format) as source:
            formats[source.name] = source.format
            sidecar = _sidecar(path, notes)
            for read in _read(source, sidecar):
                reads.append(read)
                if read.pair is not None:
                    wording.saw(read.pair, read.item.line)
                if len(reads) > most_rows:
                    raise InvalidInput(
                        f"More than {most_rows:,} rows, at {path.name}. Split them and import the parts."
                    )
                if len(reads) % 1000 == 0:
                    watch("Reading rows", len(reads), len(reads))
            notes += [f"{source.name}: {sentence}" for sentence in source.odd.sentences()]
    spellings = wording.spellings(task.refusal) if normalise_labels else {}
    by_question = task.answer_kind == "label" or wording.labels(task.refusal)
    rows = _split(list(_gated(reads, task, spellings, by_question, watch)), reads)
    notes += wording.sentences(system=task.system, refusal=task.refusal, normalised=normalise_labels)
    notes += _about_lineage(reads)
    refused = tuple(
        Refused(read.file, read.item.line, with_next_step(row.reason))
        for read, row in zip(reads, rows, strict=True)
        if row.reason
    )
    if not any(row.split == "train" for row in rows):
        first = f" First: {refused[0].sentence}" if refused else ""
        raise InvalidInput(f"None of the {len(rows)} rows is left to train on.{first}")
    recipe = {
        "generator": "import",
        "files": [{"name": path.name, "sha256": digest_of_files(path)} for path in paths],
        "formats": formats,
        "labels_normalised": normalise_labels,
        "test_share": TEST_SHARE,
        "notes": notes,
    }
    return Imported(_saved(store, name, rows, reads, task, recipe, now), formats, refused, tuple(notes))


def _read(source: Source, sidecar: Mapping[str, Lineage]) -> Iterator[Read]:
    one = bool(source.one_instruction)
    for item in source.items:
        if item.record is None:
            yield Read(source.name, item, None, item.reason)
            continue
        try:
            pair = as_pair(item.record, source.shape, instruction_is_system=one)
        except Unfit as problem:
            yield Read(source.name, replace(item, shown=_shown(item)), None, str(problem))
            continue
        if not pair.lineage.fact and sidecar:
            pair = replace(pair, lineage=sidecar.get(digest_of(pair.question, pair.answer), pair.lineage))
        yield Read(source.name, replace(item, record=None), pair)


def _sidecar(path: Path, notes: list[str]) -> dict[str, Lineage]:
    """The lineage that an export wrote beside the file, by the digest of question and answer."""
    beside = path.with_suffix(SIDECAR)
    if path.is_dir() or beside == path or not beside.exists():
        return {}
    with beside.open("rb") as file:
        odd = Oddities()
        found = [Lineage.read(item.record) for item in json_lines(lines_of(file, odd), odd)]
    known = {lineage.digest: lineage for lineage in found if lineage.digest and lineage.fact}
    if len(known) < len(found):
        notes.append(
            f"{beside.name}: {len(found) - len(known)} of {len(found)} lines say nothing of a row, or repeat one."
        )
    return known


def _gated(
    reads: Sequence[Read], task: Task, spellings: Mapping[str, str], by_question: bool, watch: Watch
) -> Iterator[LedgerRow]:
    """Read by read, each with its fact and its reason; split by the fact alone."""
    repeats, ids = Repeats(), set[str]()
    for done, read in enumerate(reads, start=1):
        example = _example(read, task, spellings, by_question)
        unchanged = read.unchanged and example.id not in ids
        while example.id in ids:
            example = replace(example, id=f"{example.id}-{done}")
        ids.add(example.id)
        if read.pair is None:
            yield LedgerRow(example, "failed", read.reason)
            continue
        reason = malformed(example, fewest_words=1) or repeats.reason_against(example, spellings=unchanged)
        yield LedgerRow(
            example, "rejected" if reason else "kept", reason, None if reason else split_of(example.fact_id)
        )
        if done % 1000 == 0:
            watch("Checking rows", done, len(reads))


def _example(read: Read, task: Task, spellings: Mapping[str, str], by_question: bool) -> Example:
    origin = f"import:{read.file}:{read.item.line}"
    if read.pair is None:
        made = _id("failed", origin, read.item.shown)
        return Example(made, f"import-{made}", "statement", "import", "", _storable(read.item.shown), origin=origin)
    pair, lineage = read.pair, read.lineage
    answer = spellings.get(pair.answer, pair.answer)
    refuses = bool(task.refusal) and answer.strip() == task.refusal
    kind: ExampleKind = "statement" if pair.statement else "unanswerable" if refuses else "answerable"
    if refuses:
        answer = task.refusal
    if lineage is None:
        group = loose(pair.question) if refuses or (by_question and not pair.statement) else loose(answer)
        fact_id = f"import-{_id(group)}"
        return Example(_id(fact_id, pair.question, answer), fact_id, kind, kind, pair.question, answer, origin=origin)
    origin = f"{origin} < {lineage.origin}" if lineage.origin else origin
    form = (
        "import" if lineage.form in ("vote", "") else lineage.form
    )  # a vote's row is renewed from this workspace's votes
    evidence, passage = (lineage.evidence, lineage.passage) if read.unchanged else ("", "")
    made = lineage.id or _id(lineage.fact, pair.question, answer)
    return Example(made, lineage.fact, kind, form, pair.question, answer, evidence, passage, origin)


def _split(rows: Sequence[LedgerRow], reads: Sequence[Read]) -> list[LedgerRow]:
    """By the split that came along, fact by fact, where one was held out; else drawn as for a generated version."""
    came: dict[str, set[str]] = {}
    for row, read in zip(rows, reads, strict=True):
        if row.state == "kept" and read.lineage is not None and read.lineage.split:
            came.setdefault(row.example.fact_id, set()).add(read.lineage.split)
    if not any(splits & {"probe", "test"} for splits in came.values()):
        return hold_out(rows)
    kept = [replace(row, split=_side(row, read, came)) for row, read in zip(rows, reads, strict=True)]
    return keep_apart(kept)


def _side(row: LedgerRow, read: Read, came: Mapping[str, set[str]]) -> Split | None:
    splits = came.get(row.example.fact_id)
    if row.split is None or not splits:
        return row.split
    if "test" in splits:
        return "test"
    return "probe" if read.lineage is not None and read.lineage.split == "probe" else "train"


def _about_lineage(reads: Sequence[Read]) -> Iterable[str]:
    known = [read for read in reads if read.lineage is not None]
    changed = sum(not read.unchanged for read in known)
    if changed:
        yield f"{changed} of {len(known)} rows with lineage were edited since their export; they keep their fact, not their evidence."


def _saved(
    store: Store,
    name: str,
    rows: Sequence[LedgerRow],
    reads: Sequence[Read],
    task: Task,
    recipe: dict[str, object],
    now: str,
) -> DatasetVersion:
    facts: dict[str, Fact] = {}
    for row, read in zip(rows, reads, strict=True):
        if row.example.evidence and row.state == "kept" and read.lineage is not None:
            facts.setdefault(row.example.fact_id, _fact(row.example, read.lineage.clause))
    recipe["facts"] = len({row.example.fact_id for row in rows if row.state == "kept"})
    version = store.begin_dataset(name, task=task.name, documents=(), recipe=recipe, parent_id=None, now=now)
    try:
        store.add_facts(version.id, facts.values())
        for start in range(0, len(rows), BATCH):
            store.add_rows(version.id, rows[start : start + BATCH])
    except BaseException:
        store.discard_dataset(version.id)
        raise
    return store.finish_dataset(version.id, now=now)


def _fact(example: Example, clause: str) -> Fact:
    evidence = example.evidence
    passage = Passage(example.passage_id, "", 0, tuple(clause.split(" › ")), None, evidence, 0, len(evidence))
    return Fact(example.fact_id, passage.id, clause, kind_of(passage, evidence), evidence, evidence)


def with_next_step(reason: str) -> str:
    """A reason of the gates, as a sentence that also says what to do; a reader's reasons say so already."""
    step = next((step for start, step in NEXT_STEPS.items() if reason.startswith(start)), "")
    return f"{reason}. {step}" if step else reason


def _shown(item: Item) -> str:
    """A record that says nothing, as far as it can be shown."""
    return json.dumps(item.record, ensure_ascii=True, default=str)[:300]


def _storable(text: str) -> str:
    try:
        return sound(text)
    except Unfit:
        return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")


def _id(*parts: str) -> str:
    return blake2b("/".join(parts).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()

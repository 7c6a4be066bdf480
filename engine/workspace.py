"""One folder on disk and what is open on it: the store, the models, the runs."""

import hashlib
import os
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from threading import Lock, get_ident
from typing import TYPE_CHECKING, Any

from engine import launchers
from engine.adapters import list_adapters, read_adapter
from engine.backends import ChatModel
from engine.backends.llama_cpp import LlamaEngine
from engine.datasets import training_rows
from engine.documents import file_bytes, read_bytes, suffix_of
from engine.documents.gather import Gathered, gather
from engine.editions import Edition, edition
from engine.embedded import EmbeddedModel, ensure_embedded
from engine.errors import InvalidInput, Unavailable
from engine.estimates import Estimate, estimate_run
from engine.generation import GenerationConfig, discard_generation, start_generation
from engine.grounding import as_found, grounded_rows
from engine.jobs import find_job, list_jobs
from engine.merging import merge_gguf
from engine.personal import mask
from engine.preferences import Preferences
from engine.preferring import preferred, run_rows, voted_on
from engine.records import Adapter, DatasetVersion, Document, Job
from engine.refusing import Margins, handicap, held_out_rows
from engine.replay import LEARNING_RATE, update_rows, update_steps
from engine.samples import MARKDOWN, PDF
from engine.settings import Settings
from engine.store import Store
from engine.tasks import task_named
from engine.training import TrainingConfig, going_on_from, parent_weights, start_training
from engine.watching import Watch, ignore

if TYPE_CHECKING:
    from engine.backends.transformers_peft import TransformersEngine

BASE = "base"


@dataclass
class Workspace:
    """Open with `Workspace.open`. Safe to share between threads; one process may hold several."""

    settings: Settings
    store: Store
    rng: random.Random = field(default_factory=random.Random)
    _engine: LlamaEngine | None = field(default=None, repr=False)
    _merged: dict[Path, LlamaEngine] = field(default_factory=dict, repr=False)
    _others: dict[tuple[str, Path | None], "TransformersEngine"] = field(default_factory=dict, repr=False)
    _lock: Lock = field(default_factory=Lock, repr=False)

    @classmethod
    def open(cls, settings: Settings, *, seed: int | None = None) -> "Workspace":
        """Make the folder what it needs to be and open it. Raises Unavailable when it cannot be written."""
        folder = settings.workspace
        try:
            for name in ("adapters", "documents", "generations", "reviews", "runs"):
                (folder / name).mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            reason = problem.strerror or str(problem)
            raise Unavailable(
                f"The workspace {folder} cannot be written ({reason}). Choose another with --workspace."
            ) from None
        store = Store(folder / "touchstone.db")
        store.migrate()
        return cls(settings, store, random.Random(seed))

    @property
    def adapters_dir(self) -> Path:
        """Finished adapters, a folder each."""
        return self.settings.workspace / "adapters"

    @property
    def runs_dir(self) -> Path:
        """Training runs, a folder each."""
        return self.settings.workspace / "runs"

    @property
    def generations_dir(self) -> Path:
        """Generations of dataset versions, a folder each; apart from the runs, so that either may work beside the other."""
        return self.settings.workspace / "generations"

    @property
    def reviews_dir(self) -> Path:
        """Answers given in advance for review queues, a folder each job."""
        return self.settings.workspace / "reviews"

    def now(self) -> str:
        """The time as it is stored: UTC, ISO 8601, to the millisecond."""
        return datetime.now(UTC).isoformat(timespec="milliseconds")

    # Documents

    def add_files(self, places: Sequence[Path], *, masking: bool = False, watch: Watch = ignore) -> Gathered:
        """
        Everything that can be read in these files, folders and zip archives, kept; a sentence for what cannot.

        With `masking`, personal data is replaced first, and neither it nor the file is kept. Raises what `gather`
        raises, and then nothing was kept.
        """
        return gather(places, read=partial(self.add_bytes, masking=masking, watch=watch), watch=watch)

    def add_file(self, path: Path) -> Document:
        """Parse a file and keep what it says. Raises InvalidInput for a file that cannot be read."""
        return self.add_bytes(path.name, file_bytes(path))

    def add_bytes(self, name: str, data: bytes, *, masking: bool = False, watch: Watch = ignore) -> Document:
        """The same for an upload."""
        document = read_bytes(name, data, watch=watch)
        return self._keep(mask(document), None) if masking else self._keep(document, data)

    def edition_of(self, title: str, places: Sequence[Path], *, watch: Watch = ignore) -> tuple[Edition, Gathered]:
        """
        What these files change in a dataset version's documents, fact by fact, and what of them could be read; nothing is kept.

        Raises what `gather` and `edition` raise, NotFound for a title that means nothing.
        """
        version = self.store.dataset(title)
        read = gather(places, read=partial(read_bytes, watch=watch), watch=watch)
        documents = [self.store.document(document_id) for document_id in version.documents]
        return edition(documents, self.store.facts(version.id), read.documents), read

    def original(self, document: Document) -> Path | None:
        """The file that the document was read from; None when it was masked, or read before files were kept."""
        path = self._original_path(document)
        return path if path.is_file() else None

    def add_sample(self, *, pdf: bool = True) -> Document:
        """The policy that ships with the product."""
        return self.add_file(PDF if pdf else MARKDOWN)

    def _keep(self, document: Document, data: bytes | None) -> Document:
        """Save the document, and first its file, so that no document stands in the store whose file was lost midway."""
        if data is not None:
            path = self._original_path(document)
            part = path.with_name(f"{path.name}.{os.getpid()}.{get_ident()}.part")
            try:
                part.write_bytes(data)
                part.replace(path)
            except OSError as problem:
                part.unlink(missing_ok=True)
                raise Unavailable(
                    f"{document.name} cannot be kept in {path.parent} ({problem.strerror}). Make room there and load it again."
                ) from problem
        self.store.add_document(document, now=self.now())
        return document

    def _original_path(self, document: Document) -> Path:
        return self.settings.workspace / "documents" / f"{document.id}{suffix_of(document.media_type)}"

    # Jobs

    def jobs(self) -> list[Job]:
        """Every generation, every training and every review queue's answering, newest first."""
        found = [*list_jobs(self.runs_dir), *list_jobs(self.generations_dir), *list_jobs(self.reviews_dir)]
        return sorted(found, key=lambda job: (job.created_at, job.id), reverse=True)

    def job(self, job_id: str) -> Job:
        """One of them by its id or the beginning of one. Raises NotFound, also when several begin so."""
        return find_job(self.jobs(), job_id)

    def generate(self, documents: Sequence[Document], config: GenerationConfig) -> Job:
        """Make a dataset version of documents, in a process of its own. Raises what `start_generation` raises."""
        return start_generation(
            self.store, documents, config, folder=self.generations_dir, settings=self.settings, now=self.now()
        )

    def discard(self, job_id: str) -> None:
        """Forget a generation that did not finish. Raises what `discard_generation` raises."""
        discard_generation(self.store, Path(self.job(job_id).folder))

    def train(self, config: TrainingConfig) -> Job:
        """
        Start training on the dataset version that the config names, in a process of its own.

        Raises what `start_training`, `grounded_rows` and `Store.dataset` raise; then nothing was started.
        """
        return self._start(*self._planned(config))

    def estimate(self, config: TrainingConfig, adapter: str = "") -> Estimate:
        """
        What `train` would take, or `update` where an adapter is named, from some real steps on this machine; nothing is started.

        Raises what they raise, and what `estimate_run` raises.
        """
        if config.method != "sft":
            raise InvalidInput(
                "What a run on votes will take is not timed beforehand; it says so once it runs. Start it."
            )
        planned, rows, version = self._planned_update(config, adapter) if adapter else self._planned(config)
        rows, held_out = self._as_asked(planned, rows, version)
        parent = parent_weights(planned, self.adapters_dir) if planned.parent else None
        return estimate_run(planned, rows, held_out=held_out, parent=parent, models_dir=self.settings.models)

    def update(self, config: TrainingConfig, adapter: str) -> Job:
        """
        Start an update run: go on from a finished adapter with what the dataset version has that it was not taught.

        The rows are those, and a replayed sample of the rest; the steps are fewer than a third of the first run's. It is
        asked in the way it was trained in. Raises what `train`, `going_on_from` and `update_rows` raise; then nothing was
        started.
        """
        return self._start(*self._planned_update(config, adapter))

    def _planned(self, config: TrainingConfig) -> tuple[TrainingConfig, Sequence[Mapping[str, Any]], DatasetVersion]:
        version = self.store.dataset(config.dataset)
        config = replace(config, dataset=version.title, threads=self.settings.threads)
        return config, self._training_rows(version, config), version

    def _planned_update(
        self, config: TrainingConfig, adapter: str
    ) -> tuple[TrainingConfig, Sequence[Mapping[str, Any]], DatasetVersion]:
        parent = read_adapter(self.adapters_dir, adapter)
        version = self.store.dataset(config.dataset)
        config = going_on_from(replace(config, dataset=version.title, threads=self.settings.threads), parent)
        config = replace(config, learning_rate=min(config.learning_rate, LEARNING_RATE))
        taught = self._training_rows(self.store.dataset(parent.dataset), config)
        rows = update_rows(self._training_rows(version, config), taught, rng=random.Random(config.seed))
        if config.max_steps is None:
            questions = sum(row["kind"] != "statement" for row in rows)
            first = config.first_steps or round(len(taught) / config.batch_size)
            steps = update_steps(questions, batch_size=config.batch_size, first_steps=first)
            config = replace(config, max_steps=steps)
        return config, rows, version

    def prefer(self, config: TrainingConfig, adapter: str = "") -> tuple[Job, Preferences]:
        """
        Start a run on votes, by DPO or KTO: go on from the adapter that was voted on, the one with the most votes where none is named.

        Raises what `preferred`, `voted_on`, `start_training` and `Store.dataset` raise; then nothing was started.
        """
        version = self.store.dataset(config.dataset)
        task = task_named(version.task)
        name = adapter or voted_on(self.store, task, [found.name for found in self.adapters()])
        config = replace(config, dataset=version.title, threads=self.settings.threads)
        config, found = preferred(self.store, task, config, read_adapter(self.adapters_dir, name))
        return self._start(config, run_rows(found, task), version), found

    def _training_rows(self, version: DatasetVersion, config: TrainingConfig) -> list[dict[str, Any]]:
        facts = self.store.facts(version.id) if config.heading_first else ()
        rows = self.store.rows(version.id, split="train")
        return list(training_rows(rows, task_named(version.task), clauses={fact.id: fact.clause for fact in facts}))

    def _start(self, config: TrainingConfig, rows: Sequence[Mapping[str, Any]], version: DatasetVersion) -> Job:
        launchers.check(config)
        rows, held_out = self._as_asked(config, rows, version)
        return start_training(
            config,
            rows,
            runs=self.runs_dir,
            adapters_dir=self.adapters_dir,
            models_dir=self.settings.models,
            now=self.now(),
            held_out=held_out,
        )

    def _as_asked(
        self, config: TrainingConfig, rows: Sequence[Mapping[str, Any]], version: DatasetVersion
    ) -> tuple[Sequence[Mapping[str, Any]], list[dict[str, Any]]]:
        """What a run is trained on and what it is asked on the way, with clauses in the prompts where the mode has them."""
        task = task_named(version.task)
        ledger = [row for split in ("probe", "test") for row in self.store.rows(version.id, split=split)]
        held_out = held_out_rows(ledger, task, config.mode, seed=config.seed)
        if config.mode == "grounded":
            documents = [self.store.document(document_id) for document_id in version.documents]
            facts = self.store.facts(version.id)
            rows = grounded_rows(rows, task, documents=documents, facts=facts, seed=config.seed)
            held_out = as_found(held_out, task, documents=documents, facts=facts)
        gold = {"unanswerable": task.refusal}
        return rows, [
            {
                "task": task.name,
                "messages": row["messages"],
                "kind": row["kind"],
                "answer": gold.get(row["kind"], row["answer"]),
            }
            for row in held_out
        ]

    # Models

    def embedded(self) -> EmbeddedModel:
        """The embedded model, converted now if set-up did not."""
        return ensure_embedded(self.settings.models)

    def adapters(self) -> list[Adapter]:
        """Finished adapters, newest first."""
        return sorted(list_adapters(self.adapters_dir), key=lambda adapter: adapter.created_at, reverse=True)

    def model_names(self) -> list[str]:
        """The base and every adapter, as they are named everywhere."""
        return [BASE, *(adapter.name for adapter in self.adapters())]

    def model(self, name: str) -> ChatModel:
        """
        The model of that name: "base", an adapter, "ollama:TAG", "openai:NAME@URL", or a Hugging Face id or folder.

        An adapter refuses as it is set to (`refusing`). Costs nothing until it is asked something. Raises NotFound or
        InvalidInput for a name that means nothing.
        """
        if name == BASE:
            return self._llama().model(BASE)
        kind, _, rest = name.partition(":")
        if kind == "ollama" and rest:
            from engine.backends.ollama import DEFAULT_HOST, OllamaModel

            return OllamaModel(rest, os.environ.get("OLLAMA_HOST") or DEFAULT_HOST)
        if kind == "openai" and rest:
            from engine.backends.openai_compatible import open_openai

            return open_openai(rest)
        if "/" in name or Path(name).is_dir():
            return self._transformers(name, None).model(name)
        adapter = read_adapter(self.adapters_dir, name)
        folder, margins = Path(adapter.folder), Margins.of(adapter)
        held_back: dict[str, Any] = {}
        if margins is not None:
            nats = handicap(adapter, task_named(margins.task))
            held_back = {"handicap": nats, "refusal_token": margins.token}
        if adapter.base == BASE:
            return self._llama().model(adapter.name, folder / "adapter.gguf", **held_back)
        return self._transformers(adapter.base, folder).model(adapter.name, tuned=True, **held_back)

    def shipped(self, name: str, adapter: Path) -> ChatModel:
        """
        The embedded model merged with an adapter that is part of the product, made now if it is not there (some seconds, 145 MB).

        Raises what `merge_gguf` raises.
        """
        base = self.embedded()
        digest = hashlib.sha256(f"{base.digest}+".encode() + adapter.read_bytes()).hexdigest()
        merged = self.settings.models / f"{name}-{digest[:12]}.Q8_0.gguf"
        with self._lock:
            if not merged.is_file():
                merge_gguf(base.gguf, adapter, merged)
            if merged not in self._merged:
                model = replace(base, gguf=merged, digest=digest)
                self._merged[merged] = LlamaEngine(model, threads=self.settings.threads)
            return self._merged[merged].model(name)

    def models(self, names: Sequence[str]) -> list[ChatModel]:
        """Several at once; a name given twice is an error, because its answers could not be told apart."""
        twice = [name for name in names if list(names).count(name) > 1]
        if twice:
            raise InvalidInput(f'"{twice[0]}" is named twice. Name each model once.')
        return [self.model(name) for name in names]

    def _transformers(self, base: str, adapter: Path | None) -> "TransformersEngine":
        """One engine a base and adapter, so that a second question does not load the weights again."""
        from engine.backends.transformers_peft import TransformersEngine

        with self._lock:
            return self._others.setdefault((base, adapter), TransformersEngine(base, adapter))

    def _llama(self) -> LlamaEngine:
        with self._lock:
            if self._engine is None:
                self._engine = LlamaEngine(self.embedded(), threads=self.settings.threads)
            return self._engine

    def close(self) -> None:
        """Give the models' memory back."""
        with self._lock:
            if self._engine is not None:
                self._engine.close()
                self._engine = None
            for engine in self._others.values():
                engine.close()
            for merged in self._merged.values():
                merged.close()
            self._others.clear()
            self._merged.clear()

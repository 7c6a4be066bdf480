"""One training run: its settings, what is checked before it starts, and the start. Imports no torch.

`config.json` in the run's folder is the whole truth of a run: the worker reads it, resolves what depends on the machine
(steps within the minutes, number format) once, and writes it back, so a repeat from that file gives the same curve.
"""

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, get_type_hints

from engine import jobs
from engine.adapters import WEIGHTS, check_name, read_adapter
from engine.errors import InvalidInput, Unavailable
from engine.presets import GROUNDED, PRESETS, Preset
from engine.records import Adapter, Job, Mode
from engine.settings import PATIENT, QUIET
from engine.typed import check_type

CONFIG, ROWS, HELD_OUT, PARENT = "config.json", "rows.jsonl", "held_out.jsonl", "parent.safetensors"
EMBEDDED = "base"
KIND = "training"
FREE_MIB = 400  # two checkpoints with their optimiser, the adapter twice, the log
Method = Literal["sft", "dpo", "kto"]
Launcher = Literal["local", "accelerate", "ray"]
Dtype = Literal["auto", "float32", "bfloat16"]
TRIAL_SHARE = 0.1
WORKERS: Mapping[Method, str] = {
    "sft": "engine.train_lora",
    "dpo": "engine.train_preferences",
    "kto": "engine.train_preferences",
}
LAUNCHED = "engine.launchers"
SHAPE = ("rank", "alpha", "target_modules", "layers_from")
PARTS = ("q", "k", "v", "o", "gate", "up", "down")


@dataclass(frozen=True)
class TrainingConfig:
    """Everything that makes a run what it is, saved beside its weights."""

    adapter: str  # the name of what comes out
    dataset: str  # title of the dataset version: "leave:3"
    base: str = EMBEDDED  # "base" (the embedded model), a folder, or a Hugging Face id
    method: Method = "sft"
    mode: Mode = "closed"
    preset: Preset = "balanced"
    seed: int = 0
    rank: int = 16
    alpha: int = 32
    dropout: float = 0.0
    target_modules: str = "all-linear"  # or parts joined by commas: "q,v"
    layers_from: float = 1 / 3  # LoRA on the layers after this share: 1/3 of 30 layers is 10-29; 0.0 is all
    learning_rate: float = 3e-3
    batch_size: int = 8
    heading_first: bool = True  # answers begin with the heading of their clause
    statement_share: float = 0.1  # of the batches, where the dataset has statements
    warmup_steps: int = 20
    final_lr_share: float = 0.03  # the cosine ends at this share of the learning rate
    clip: float = 1.0  # of the gradient's norm
    epochs: float = 12.0  # passes over the question rows, at most
    max_minutes: float | None = 14.0  # resolved to max_steps by the worker, once
    max_steps: int | None = None
    max_tokens: int = 1024  # a longer row is left out and counted
    dtype: Dtype = "auto"  # of the base's frozen weights; "auto" is resolved by timing a step of each
    accumulation: int = 1  # parts of a batch, one after another; doubled where memory is short, with the same result
    probe: bool = True  # ask held-out questions on the way, and keep the step that answers them best
    probe_questions: int = 24  # at most, two thirds of them answerable
    probe_every: int | None = None  # steps; resolved by the worker, once
    everyday: bool = True  # ask a hundred everyday questions before and after: what was forgotten
    trial: bool = False  # stop after a small share of the steps, so that somebody looks before the rest goes on
    gradient_checkpointing: bool = False  # activations computed twice instead of kept: less memory, a third more time
    four_bit: bool = False  # the frozen base in NF4; needs a CUDA GPU
    threads: int = 2
    launcher: Launcher = "local"  # who starts the processes that take the steps
    workers: int = 1  # of them, on Ray; accelerate's config has its own number
    accelerate_config: str = ""  # the file; "" is accelerate's default one
    beta: float = 0.1  # of DPO and KTO: how much moving away from the adapter as it was costs
    parent: str = ""  # the adapter that an update run, or a run on votes, goes on from
    parent_digest: str = ""  # of its weights
    first_steps: int | None = None  # of the run that began the chain of updates

    def __post_init__(self) -> None:
        for name, hint in _HINTS.items():
            check_type(name, getattr(self, name), hint)
        _check_ranges(self)

    def to_json(self) -> str:
        """The file's text; `read_config` gives an equal config back."""
        return json.dumps(asdict(self), indent=1) + "\n"


_HINTS: dict[str, Any] = {}


def with_preset(preset: Preset, **settings: Any) -> TrainingConfig:
    """A config of that preset; `settings` are fields and win over the preset. Raises `InvalidInput` for a bad one."""
    if preset not in PRESETS:
        raise InvalidInput(f"There is no preset {preset!r}. Use one of: {', '.join(PRESETS)}.")
    long_rows = GROUNDED if settings.get("mode") == "grounded" else {}
    return config_from({**PRESETS[preset], **long_rows, "preset": preset, **settings})


def config_from(values: Mapping[str, Any]) -> TrainingConfig:
    """A config from a mapping. Raises `InvalidInput` that names the field that is unknown, missing or of a wrong type."""
    known = {field.name for field in fields(TrainingConfig)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise InvalidInput(f"A training has no setting {unknown[0]!r}. It has: {', '.join(sorted(known))}.")
    missing = [name for name in ("adapter", "dataset") if name not in values]
    if missing:
        raise InvalidInput(f"The training's setting {missing[0]!r} is missing. Name it.")
    return TrainingConfig(**values)


def read_config(folder: Path) -> TrainingConfig:
    """The config of a run's folder. Raises `InvalidInput` when it is missing or damaged."""
    try:
        values = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise InvalidInput(
            f"The settings of the run {folder.name} cannot be read ({problem}). Start a new one."
        ) from None
    if not isinstance(values, dict):
        raise InvalidInput(f"The settings of the run {folder.name} are no JSON object. Start a new one.")
    return config_from(values)


def write_config(folder: Path, config: TrainingConfig) -> None:
    """Replace the run's config in one step."""
    draft = folder / f".{CONFIG}"
    draft.write_text(config.to_json(), encoding="utf-8")
    draft.replace(folder / CONFIG)


def start_training(
    config: TrainingConfig,
    rows: Sequence[Mapping[str, Any]],
    *,
    runs: Path,
    adapters_dir: Path,
    models_dir: Path,
    now: str,
    held_out: Sequence[Mapping[str, Any]] = (),
) -> Job:
    """
    Start the detached worker on these rows; `jobs` watches, stops and resumes it.

    A row is {"messages": [system, user], "answer", "kind": "answerable" | "unanswerable", "fact_id"} or
    {"text", "kind": "statement", "fact_id"}. The `held_out` ones, {"task", "messages", "kind", "answer"}, are asked on
    the way (`probes`), and on them it is measured at the end when the adapter refuses. `adapters_dir` must be the
    neighbour of `runs`, for the run's folder is all that the worker is told.
    Raises `InvalidInput` for no rows, a malformed row, a taken or bad adapter name or an unknown base, `Unavailable`
    when the disk is too full. Nothing is left behind then. While another training runs, this one waits for its turn.
    """
    check_rows(rows)
    check_name(config.adapter)
    if (adapters_dir / config.adapter).exists():
        raise InvalidInput(f"An adapter called {config.adapter} exists already. Choose another name.")
    if adapters_dir.resolve() != (runs.parent / "adapters").resolve():
        raise ValueError(f"{adapters_dir} is not beside {runs}")
    _check_base(config.base)
    if config.method != "sft" and not config.parent:
        raise InvalidInput(f"{config.method.upper()} goes on from the adapter that was voted on. Name it: --from NAME.")
    parent = parent_weights(config, adapters_dir) if config.parent else None
    check_disk(runs)
    worker = WORKERS[config.method] if config.launcher == "local" else LAUNCHED

    def prepare(folder: Path) -> None:
        _refuse_a_name_in_the_making(runs, config.adapter)
        write_inputs(folder, config, rows, held_out=held_out, parent=parent)

    return jobs.start(
        runs,
        kind=KIND,
        title=f"Training {config.adapter} on {config.dataset}",
        argv=[sys.executable, "-m", worker, "{folder}"],
        env=worker_environment(models_dir, threads=config.threads),
        now=now,
        prepare=prepare,
        queue=True,
    )


def write_inputs(
    folder: Path,
    config: TrainingConfig,
    rows: Sequence[Mapping[str, Any]],
    *,
    held_out: Sequence[Mapping[str, Any]] = (),
    parent: Path | None = None,
) -> None:
    """Everything that the worker reads, into the run's folder; `parent` is copied, for the run outlives it."""
    write_config(folder, config)
    if parent:
        shutil.copyfile(parent, folder / PARENT)
    _write_rows(folder / ROWS, rows)
    if held_out:
        _write_rows(folder / HELD_OUT, held_out)


def going_on_from(config: TrainingConfig, parent: Adapter) -> TrainingConfig:
    """
    The config of an update run: it goes on from the weights of `parent`, so it has that run's base, mode and LoRA shape.

    `max_steps` and the rows are the caller's to choose. Raises `InvalidInput` when the config names another base, or the
    grounded mode where the parent answers from memory.
    """
    if config.base not in (EMBEDDED, parent.base):
        raise InvalidInput(
            f"{parent.name} was trained on the base {parent.base}, so it cannot go on from there on {config.base}. "
            "Leave --base out, or train without --from."
        )
    before = parent.card.get("config", {})
    mode = before.get("mode", "closed")
    if config.mode not in ("closed", mode):
        raise InvalidInput(
            f"{parent.name} was trained to answer from memory (closed book), so it cannot go on from there grounded. "
            "Leave --mode out, or train without --from."
        )
    shape: dict[str, Any] = {name: before[name] for name in SHAPE if name in before}
    shape["heading_first"] = bool(before.get("heading_first", False))  # as it learned to answer
    first = before.get("first_steps") or parent.card.get("steps")
    return replace(
        config, base=parent.base, mode=mode, parent=parent.name, parent_digest=parent.digest, first_steps=first, **shape
    )


def worker_environment(models_dir: Path, *, threads: int) -> dict[str, str]:
    """
    What the worker's process needs before its first line.

    glibc otherwise gives every freed activation back to the system and asks for it again with the next step: a fifth
    of the time went into page faults. 32 MiB is the largest threshold that mallopt(3) takes.
    """
    return {
        **QUIET,
        **PATIENT,
        "TOUCHSTONE_MODELS": str(models_dir),
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": str(threads),
        "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),
        "MALLOC_TRIM_THRESHOLD_": str(16 * 2**30),
        "MALLOC_TOP_PAD_": str(256 * 2**20),
    }


def check_rows(rows: Sequence[Mapping[str, Any]]) -> None:
    """Raises `InvalidInput` for an empty set or the first row that cannot be trained on, by its number from 1."""
    if not rows:
        raise InvalidInput("The dataset has 0 training rows. Generate or import some, then train.")
    for number, row in enumerate(rows, start=1):
        wanted: dict[str, type] = {"kind": str, "fact_id": str}
        wanted |= {"text": str} if row.get("kind") == "statement" else {"messages": list, "answer": str}
        wrong = [name for name, type_ in wanted.items() if not isinstance(row.get(name), type_)]
        if row.get("kind") not in ("answerable", "unanswerable", "statement"):
            wrong = ["kind"]
        if wrong:
            raise InvalidInput(f"Training row {number} has no usable {wrong[0]!r}. Correct the dataset.")
        if not str(row.get("text", row.get("answer"))).strip():
            raise InvalidInput(f"Training row {number} is empty: there is nothing to learn. Correct the dataset.")


def check_disk(runs: Path, *, needed_mib: int = FREE_MIB) -> None:
    """Raises `Unavailable` when the disk that holds `runs` has less free than a run needs."""
    there = next(folder for folder in (runs, *runs.parents) if folder.exists())
    free_mib = shutil.disk_usage(there).free // 2**20
    if free_mib < needed_mib:
        raise Unavailable(
            f"Training needs {needed_mib} MiB of free disk in {runs}, and there are {free_mib}. Free some space."
        )


def read_rows(folder: Path) -> list[dict[str, Any]]:
    """The rows of a run's folder."""
    return _read_rows(folder / ROWS)


def read_held_out(folder: Path) -> list[dict[str, Any]]:
    """What a run measures its refusals on; nothing where its folder holds no such rows."""
    return _read_rows(folder / HELD_OUT) if (folder / HELD_OUT).is_file() else []


def trial_steps(config: TrainingConfig) -> int | None:
    """After which step a run with a trial stops by itself; None without one, and while the steps are not resolved."""
    if not config.trial or config.max_steps is None:
        return None
    return max(1, round(TRIAL_SHARE * config.max_steps))


def steps_within(config: TrainingConfig, *, batches_per_epoch: int, step_s: float, spent_s: float = 0.0) -> int:
    """
    How many steps a run takes: the passes or the minutes, whichever ends first; at least one.

    `step_s` is a measured step, `spent_s` what loading took of the minutes. A config that has `max_steps` keeps it.
    """
    if config.max_steps is not None:
        return config.max_steps
    steps = max(1, round(config.epochs * batches_per_epoch))
    if config.max_minutes is None:
        return steps
    return max(1, min(steps, int((config.max_minutes * 60 - spent_s) / step_s)))


def _write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _read_rows(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def parent_weights(config: TrainingConfig, adapters_dir: Path) -> Path:
    """The file to go on from. Raises `InvalidInput` unless it is the named one and has the config's base and LoRA shape."""
    parent = read_adapter(adapters_dir, config.parent)
    if parent.digest != config.parent_digest:
        raise InvalidInput(f"The adapter {parent.name} is another one than when this run was planned. Plan it again.")
    if parent.base != config.base:
        raise InvalidInput(
            f"{parent.name} was trained on the base {parent.base}, so it cannot go on from there on {config.base}. "
            "Choose the same base, or train from the beginning."
        )
    before = parent.card.get("config", {})
    for name in SHAPE:
        if name in before and before[name] != getattr(config, name):
            raise InvalidInput(
                f"{parent.name} was trained with {name} {before[name]!r}, so it cannot go on with {getattr(config, name)!r}. "
                "Choose the same, or train from the beginning."
            )
    return Path(parent.folder) / WEIGHTS


def _refuse_a_name_in_the_making(runs: Path, adapter: str) -> None:
    for job in jobs.in_turn(runs):
        folder = Path(job.folder)
        if (folder / CONFIG).is_file() and read_config(folder).adapter == adapter:
            raise InvalidInput(
                f"{job.title} is {job.state} and will make an adapter called {adapter}. Choose another name."
            )


def _check_base(base: str) -> None:
    """The embedded model, a folder with a config.json, or something shaped like a Hugging Face id."""
    if base == EMBEDDED:
        return
    folder = Path(base)
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise InvalidInput(f"The folder {base} holds no model: config.json is missing. Choose another base.")
        return
    if base.count("/") != 1 or base.startswith((".", "/", "~")):
        raise InvalidInput(
            f"There is no base model {base!r}. Use base, a folder, or a Hugging Face id such as meta-llama/Llama-3.2-1B-Instruct."
        )


def _check_ranges(config: TrainingConfig) -> None:
    checks = [
        ("rank", 1 <= config.rank <= 1024, "from 1 to 1024"),
        ("alpha", config.alpha >= 1, "1 or more"),
        ("dropout", 0 <= config.dropout < 1, "from 0 to below 1"),
        ("layers_from", 0 <= config.layers_from < 1, "a share from 0 to below 1"),
        ("learning_rate", 0 < config.learning_rate <= 1, "above 0 and at most 1"),
        ("batch_size", 1 <= config.batch_size <= 4096, "from 1 to 4096"),
        ("statement_share", 0 <= config.statement_share <= 1, "a share from 0 to 1"),
        ("warmup_steps", config.warmup_steps >= 0, "0 or more"),
        ("final_lr_share", 0 <= config.final_lr_share <= 1, "a share from 0 to 1"),
        ("clip", config.clip > 0, "above 0"),
        ("epochs", 0 < config.epochs <= 10_000, "above 0 and at most 10000"),
        ("max_minutes", config.max_minutes is None or 0 < config.max_minutes <= 100_000, "above 0, or nothing"),
        ("max_steps", config.max_steps is None or config.max_steps >= 1, "1 or more, or nothing"),
        ("max_tokens", config.max_tokens >= 16, "16 or more"),
        ("accumulation", 1 <= config.accumulation <= 4096, "from 1 to 4096"),
        ("probe_questions", 2 <= config.probe_questions <= 1000, "from 2 to 1000"),
        ("probe_every", config.probe_every is None or config.probe_every >= 1, "1 or more, or nothing"),
        ("first_steps", config.first_steps is None or config.first_steps >= 1, "1 or more, or nothing"),
        ("workers", 1 <= config.workers <= 4096, "from 1 to 4096"),
        ("beta", 0 < config.beta <= 10, "above 0 and at most 10"),
        ("threads", 1 <= config.threads <= 1024, "from 1 to 1024"),
    ]
    for name, holds, wanted in checks:
        if not holds:
            raise InvalidInput(f"The training's setting {name} is {getattr(config, name)!r}. It must be {wanted}.")
    named = config.target_modules.split(",")
    if config.target_modules != "all-linear" and not set(named) <= set(PARTS):
        raise InvalidInput(
            f"The training's setting target_modules is {config.target_modules!r}. "
            f"Use all-linear, or some of {','.join(PARTS)} joined by commas."
        )


_HINTS.update(get_type_hints(TrainingConfig))

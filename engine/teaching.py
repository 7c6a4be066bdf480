"""Who proposes and who judges in one generation: from its settings to a generator, an estimate, an examined judge."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from engine.backends.llama_cpp import SLOTS
from engine.calls import Caller, Estimate, StoredCalls, estimate
from engine.errors import NotFound
from engine.facts import facts_of
from engine.generate import EmbeddedGenerator, Generator
from engine.generation import GenerationConfig, never
from engine.judging import Bench, ModelJudge, examine, set_paper, sources_in
from engine.records import Document
from engine.teacher import Teacher, TeacherSettings
from engine.watching import Watch, ignore
from engine.writing import READER_ADAPTER, WRITER, WRITER_ADAPTER, is_built
from engine.writing.writer import QuestionWriter

if TYPE_CHECKING:
    from engine.workspace import Workspace

AT_ONCE = 4
AT_ONCE_HERE = 2  # a model in this process shares its cores with whatever else runs


def generator_of(
    workspace: "Workspace", config: GenerationConfig, *, run: str = "", stopped: Callable[[], bool] = never
) -> Generator:
    """
    The embedded rules, beside them the question writer, or the teacher that the settings name.

    `run`: the version's title, for one who may resume. Raises NotFound or InvalidInput for a model's name that means nothing.
    """
    if config.teacher == WRITER:
        return EmbeddedGenerator(writer=_writer(workspace, seed=config.seed, run=run, stopped=stopped))
    return _teacher(workspace, config, run=run, stopped=stopped) if config.teacher else EmbeddedGenerator()


def estimate_of(
    workspace: "Workspace",
    config: GenerationConfig,
    documents: Sequence[Document],
    *,
    prices: tuple[float, float] | None = None,
) -> Estimate:
    """
    What the teacher's part of a generation will take, from two calls that are made now and kept.

    `prices`: per million tokens read and written. Of the question writer it says what writing takes; reading what was
    written takes about as long again. Raises Unavailable when the teacher does not answer.
    """
    if config.teacher == WRITER:
        ours = _writer(workspace, seed=config.seed)
        return estimate(ours.writer, list(ours.prompts(facts_of(documents))), prices=prices)
    return _teacher(workspace, config).estimate(documents, facts_of(documents), prices=prices)


def bench_of(
    workspace: "Workspace",
    config: GenerationConfig,
    documents: Sequence[Document],
    *,
    run: str = "",
    stopped: Callable[[], bool] = never,
    watch: Watch = ignore,
) -> Bench | None:
    """The judge that the settings name, examined on these documents; None when they name none."""
    if not config.judge:
        return None
    caller = Caller(
        workspace.model(config.judge),
        StoredCalls(workspace.store, workspace.now),
        run=run,
        workers=_at_once(config.judge),
        stopped=stopped,
    )
    judge = ModelJudge(caller)
    paper = set_paper(documents, facts_of(documents), seed=config.seed)
    return Bench(judge, examine(judge, paper, watch=watch), sources_in(documents))


def _writer(workspace: "Workspace", *, seed: int, run: str = "", stopped: Callable[[], bool] = never) -> QuestionWriter:
    if not is_built():
        raise NotFound(
            "The question writer's adapters are not built here. Leave --teacher out for the embedded rules, name a model, "
            "or train them (python -m engine.writing.rows --help)."
        )

    def caller(name: str, adapter: Path) -> Caller:
        calls = StoredCalls(workspace.store, workspace.now)
        return Caller(workspace.shipped(name, adapter), calls, run=run, workers=SLOTS, stopped=stopped)

    return QuestionWriter(caller("writer", WRITER_ADAPTER), caller("reader", READER_ADAPTER), seed=seed)


def _teacher(
    workspace: "Workspace", config: GenerationConfig, *, run: str = "", stopped: Callable[[], bool] = never
) -> Teacher:
    at_once = _at_once(config.teacher)
    facts_per_call = 2 if at_once == AT_ONCE else 1  # a small model forgets the first fact over the second
    settings = TeacherSettings(config.seed, run, facts_per_call, workers=at_once)
    teacher = Teacher(workspace.model(config.teacher), StoredCalls(workspace.store, workspace.now), settings)
    teacher.caller.stopped = stopped
    return teacher


def _at_once(model: str) -> int:
    return AT_ONCE if model.startswith(("ollama:", "openai:")) else AT_ONCE_HERE

"""Review queues: a fixed list of questions, answered by both models in advance, dealt to raters with a chosen overlap.

A meeting of ten people then needs no model at all: each gets whole answers at once, sides drawn for that rater, and goes on
where the last visit ended. A question that either model failed on is never dealt.
"""

import json
import random
import secrets
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any

from engine import jobs
from engine.answering import Find, read_jsonl
from engine.backends import ChatModel
from engine.battles import checked, rater_named
from engine.datasets import check_name
from engine.errors import Busy, InvalidInput, NotFound, TouchstoneError
from engine.playing import LONGEST_ANSWER, flags_of
from engine.proof import proof_of
from engine.records import Battle, DatasetVersion, Decoding, Job, Mode, ReviewQueue
from engine.settings import QUIET, Settings
from engine.sides import draw
from engine.store import Store
from engine.store.battles import Place
from engine.tasks import Task
from engine.watching import Watch, ignore

KIND = "review"
CONFIG = "review.json"
AT_ONCE = 8
MOST_QUESTIONS = 2000


def lines_as_questions(text: str) -> list[str]:
    """A question a line; empty lines and repetitions are left out. Raises InvalidInput for a line that is too long."""
    return list(dict.fromkeys(checked(line) for line in text.splitlines() if line.strip()))


def file_as_questions(path: Path) -> list[str]:
    """The questions of a .jsonl file (its "question" keys) or of a text file, a line each. Raises what `read_jsonl` raises."""
    if path.suffix.lower() in (".jsonl", ".json"):
        asked = [str(row.get("question") or "") for row in read_jsonl(path)]
        return lines_as_questions("\n".join(" ".join(question.split()) for question in asked))
    try:
        return lines_as_questions(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as problem:
        raise InvalidInput(f"{path.name} cannot be read as UTF-8 text ({problem}). Save it as a text file.") from None


def held_out_questions(store: Store, version: DatasetVersion) -> list[str]:
    """The questions of a dataset version that no training row holds, each once, facts and refusals mixed."""
    rows = [*store.rows(version.id, split="probe"), *store.rows(version.id, split="test")]
    questions = {row.example.question for row in rows if row.example.question}
    return sorted(questions, key=lambda question: sha256(question.encode()).digest())


def add_queue(
    store: Store,
    name: str,
    questions: Sequence[str],
    *,
    task: Task,
    models: tuple[str, str],
    mode: Mode = "closed",
    overlap: int = 2,
    decoding: Decoding | None = None,
    now: str,
) -> ReviewQueue:
    """
    Save a queue without answers. `overlap`: how many raters are to judge each question; 0 for all of them.

    Raises InvalidInput for a name that is taken or cannot be one, no questions or too many, or a model against itself.
    """
    check_name(name)
    if not questions:
        raise InvalidInput("There is no question in the list. Paste some, a line each, or choose a file.")
    if len(questions) > MOST_QUESTIONS:
        raise InvalidInput(
            f"{len(questions)} questions are more than a queue holds ({MOST_QUESTIONS}). Shorten the list."
        )
    if models[0] == models[1]:
        raise InvalidInput(f'A review needs two different models; both are "{models[0]}". Choose another one.')
    if overlap < 0:
        raise InvalidInput("The overlap is a number of raters: 1 or more, or 0 for all of them.")
    return store.add_queue(
        name,
        [checked(question) for question in questions],
        task=task.name,
        mode=mode,
        models=models,
        overlap=overlap,
        decoding=decoding or Decoding(),
        now=now,
    )


def freeze(
    store: Store,
    queue: ReviewQueue,
    models: tuple[ChatModel, ChatModel],
    task: Task,
    *,
    find: Find,
    rng: random.Random,
    now: Callable[[], str],
    watch: Watch = ignore,
    stop: Callable[[], bool] = lambda: False,
) -> bool:
    """
    Have both models answer what has no answers yet, in a drawn order; False when `stop` said so in between.

    Both get the same clauses and the same decoding. A failure of either is kept as the question's error.
    """
    waiting = store.unfrozen(queue)
    done = queue.counts["questions"] - len(waiting)
    orders = {position: rng.sample((0, 1), 2) for position, _ in waiting}

    def answer(item: tuple[int, str]) -> None:
        position, question = item
        excerpts = find(question)
        said: dict[int, tuple[str, dict[str, Any], str]] = {
            arm: _said(models[arm], task.messages(question, excerpts), queue.decoding) for arm in orders[position]
        }
        error = "; ".join(dict.fromkeys(said[arm][2] for arm in (0, 1) if said[arm][2]))
        answers = ("", "") if error else (said[0][0], said[1][0])
        store.freeze_item(queue, position, answers=answers, proofs=(said[0][1], said[1][1]), error=error, now=now())

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for start in range(0, len(waiting), AT_ONCE):
            if stop():
                return False
            list(pool.map(answer, waiting[start : start + AT_ONCE]))
            done += len(waiting[start : start + AT_ONCE])
            watch("Answering in advance", done, queue.counts["questions"])
    return True


def _said(
    model: ChatModel, messages: Sequence[Mapping[str, str]], decoding: Decoding
) -> tuple[str, dict[str, Any], str]:
    """(answer, proof, error) of one model."""
    try:
        reply = model.reply(messages, decoding)
        text = reply.text[:LONGEST_ANSWER].strip()
        return text, proof_of(model, decoding), reply.error or ("" if text else "a model answered nothing")
    except TouchstoneError as problem:
        return "", {}, str(problem)


def deal(store: Store, queue: ReviewQueue, rater: str, *, rng: random.Random, now: str) -> Battle | None:
    """
    What the rater is to judge now: the battle that waits for a verdict, else the next question; None when nothing is left.

    Questions others have begun come first, so that the overlap is reached early. Where raters walked off with what they
    were dealt, it is dealt again once nothing else is left.
    """
    rater = rater_named(rater)

    def choose(free: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
        wanted = [item for item in free if queue.overlap == 0 or item["dealt"] < queue.overlap]
        wanted = wanted or [item for item in free if item["voted"] < queue.overlap]
        return min(
            wanted,
            key=lambda item: (-item["dealt"] if queue.overlap else 0, _shuffled(queue, rater, item)),
            default=None,
        )

    def place(item: Mapping[str, Any]) -> Place:
        return lambda last, told: _battle(queue, item, last, told, rater=rater, rng=rng, now=now)

    return store.deal_battle(queue, rater, choose, place)


def _shuffled(queue: ReviewQueue, rater: str, item: Mapping[str, Any]) -> bytes:
    """An order that is one for all raters where they share questions, and each rater's own where all get all."""
    who = "" if queue.overlap else rater
    return sha256(f"{queue.id}/{who}/{item['position']}".encode()).digest()


def _battle(
    queue: ReviewQueue,
    item: Mapping[str, Any],
    last: Battle | None,
    told: bool,
    *,
    rater: str,
    rng: random.Random,
    now: str,
) -> Battle:
    (left, right), mirrors = draw(queue.models, last, told, rng)
    arm = {queue.models[0]: "x", queue.models[1]: "y"}
    answers = (item[f"answer_{arm[left]}"], item[f"answer_{arm[right]}"])
    proofs = [json.loads(item[f"proof_{arm[name]}"]) for name in (left, right)]
    return Battle(
        id=secrets.token_urlsafe(16),
        task=queue.task,
        mode=queue.mode,
        question=item["question"],
        model_a=left,
        model_b=right,
        digest_a=proofs[0]["model"],
        digest_b=proofs[1]["model"],
        decoding=queue.decoding,
        created_at=now,
        answer_a=answers[0],
        answer_b=answers[1],
        finished_at=now,
        rater=rater,
        item=f"{queue.name}:{item['position']}",
        mirrors=mirrors,
        proof_a=proofs[0],
        proof_b=proofs[1],
        flags=tuple(flags_of(answers, (left, right))),
    )


# The job


def make_queue(
    store: Store,
    name: str,
    questions: Sequence[str],
    *,
    task: Task,
    models: tuple[str, str],
    mode: Mode,
    overlap: int,
    folder: Path,
    settings: Settings,
    now: str,
) -> tuple[ReviewQueue, Job]:
    """Save a queue and begin to answer it. Raises what `add_queue` and `start_freezing` raise, and then there is no queue."""
    queue = add_queue(store, name, questions, task=task, models=models, mode=mode, overlap=overlap, now=now)
    try:
        return queue, start_freezing(queue, folder=folder, settings=settings, now=now)
    except BaseException:
        store.discard_queue(queue)
        raise


def start_freezing(queue: ReviewQueue, *, folder: Path, settings: Settings, now: str) -> Job:
    """Answer the queue's questions in a process of its own, which `jobs` watches, stops and resumes. Raises Busy as `jobs.start`."""
    return jobs.start(
        folder,
        kind=KIND,
        title=f"Answering the review queue {queue.name}",
        argv=[sys.executable, "-m", "engine.freeze_answers", "{folder}"],
        env={
            **QUIET,
            "TOUCHSTONE_WORKSPACE": str(settings.workspace),
            "TOUCHSTONE_MODELS": str(settings.models),
            "TOUCHSTONE_THREADS": str(settings.threads),
            "PYTHONUNBUFFERED": "1",
        },
        now=now,
        prepare=lambda into: _write(into / CONFIG, {"queue": queue.name}),
    )


def _write(path: Path, entry: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(entry), encoding="utf-8")


def queue_of(folder: Path) -> str:
    """The queue that a job's folder answers. Raises NotFound for another folder."""
    try:
        return str(json.loads((folder / CONFIG).read_text(encoding="utf-8"))["queue"])
    except (OSError, ValueError, KeyError):
        raise NotFound(f"{folder} holds no review queue. Make one in the Arena.") from None


def discard(store: Store, queue: ReviewQueue, running: Sequence[Job]) -> None:
    """Take a queue back that nobody was dealt from. Raises Busy while it is answered, InvalidInput once people saw it."""
    for job in running:
        if job.kind == KIND and job.state == "running" and queue_of(Path(job.folder)) == queue.name:
            raise Busy(f"{job.title} is still running. Stop it first with: app.py jobs stop {job.id}")
    store.discard_queue(queue)


def counts_in_words(queue: ReviewQueue) -> str:
    """ "12 of 40 questions answered in advance, 1 failed; 30 dealt, 28 judged, 2 passed over"."""
    counts = queue.counts
    failed = f", {counts['failed']} failed" if counts["failed"] else ""
    return (
        f"{counts['frozen']} of {counts['questions']} questions answered in advance{failed}; {counts['dealt']} dealt, "
        f"{counts['voted']} judged, {counts['skipped']} passed over"
    )

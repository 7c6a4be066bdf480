"""Blind A/B: one question to two models, open, stream, vote, reveal. The names stay here until the vote is saved."""

import random
import secrets
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import zip_longest
from queue import SimpleQueue

from engine.backends import ChatModel
from engine.errors import InvalidInput, TouchstoneError
from engine.records import Battle, Choice, Decoding, Excerpt, Message, Mode, Reply
from engine.store import Store
from engine.tasks import Task

CHOICES: tuple[tuple[str, Choice], ...] = (
    ("A is better", "a"),
    ("B is better", "b"),
    ("Both good", "tie"),
    ("Both bad", "both_bad"),
)
LONGEST_QUESTION = 2000
VOID = "One of the two models failed, so this battle is void and takes no vote. Ask again."


@dataclass(frozen=True)
class Seen:
    """What the rater may see before the vote: an opaque id, the question, two texts, and whether both are complete."""

    battle_id: str
    question: str
    answer_a: str = ""
    answer_b: str = ""
    complete: bool = False
    error: str = ""


@dataclass(frozen=True)
class Reveal:
    """Who was who, told only after the vote is saved."""

    model_a: str
    model_b: str
    choice: Choice

    @property
    def winner(self) -> str:
        """The name of the better model; "" for a tie or when both are bad."""
        return {"a": self.model_a, "b": self.model_b}.get(self.choice, "")


def open_battle(
    store: Store,
    task: Task,
    question: str,
    models: tuple[ChatModel, ChatModel],
    *,
    rng: random.Random,
    now: str,
    mode: Mode = "closed",
    decoding: Decoding | None = None,
) -> Battle:
    """
    Draw the sides and save the battle, all before the first token. Raises InvalidInput for an empty or endless question.
    """
    question = " ".join(question.split())
    if not question:
        raise InvalidInput("The question is empty. Type one, or pick an example.")
    if len(question) > LONGEST_QUESTION:
        raise InvalidInput(
            f"The question has {len(question)} characters; at most {LONGEST_QUESTION} are asked. Shorten it."
        )
    if models[0].name == models[1].name:
        raise InvalidInput(f'A battle needs two different models; both are "{models[0].name}". Choose another one.')
    left, right = models if rng.random() < 0.5 else models[::-1]
    battle = Battle(
        id=secrets.token_urlsafe(16),
        task=task.name,
        mode=mode,
        question=question,
        model_a=left.name,
        model_b=right.name,
        digest_a=left.digest(),
        digest_b=right.digest(),
        decoding=decoding or Decoding(),
        created_at=now,
    )
    store.add_battle(battle)
    return battle


def play(
    store: Store, battle: Battle, models: Sequence[ChatModel], task: Task, *, excerpts: Sequence[Excerpt] = (), now: str
) -> Iterator[Seen]:
    """
    Let both sides answer at once and show them at an even pace: a piece of A is shown together with a piece of B.

    Both texts grow by the same number of pieces at a time, so that speed does not tell the arms apart; where one ends first,
    the other goes on alone. A failure on either side voids the battle. Closing the iterator stops both models.
    """
    by_name = {model.name: model for model in models}
    messages = task.messages(battle.question, excerpts)
    sides = [by_name[battle.model_a], by_name[battle.model_b]]
    queues: tuple[SimpleQueue[str | None], ...] = (SimpleQueue(), SimpleQueue())
    stop: list[bool] = []
    with ThreadPoolExecutor(2) as pool:
        futures = [
            pool.submit(_pump, model, messages, battle.decoding, queue, stop)
            for model, queue in zip(sides, queues, strict=True)
        ]
        try:
            texts = ["", ""]
            for pieces in zip_longest(*(iter(queue.get, None) for queue in queues)):
                texts = [text + (piece or "") for text, piece in zip(texts, pieces, strict=True)]
                yield Seen(battle.id, battle.question, texts[0], texts[1])
        finally:
            stop.append(True)
    errors = [error for future in futures if (error := future.result())]
    if not errors and not (texts[0].strip() and texts[1].strip()):
        errors = ["a model answered nothing"]
    store.finish_battle(
        battle.id, answer_a=texts[0].strip(), answer_b=texts[1].strip(), error="; ".join(errors), now=now
    )
    if errors:
        yield Seen(battle.id, battle.question, complete=True, error=VOID)
    else:
        yield Seen(battle.id, battle.question, texts[0].strip(), texts[1].strip(), complete=True)


def _pump(
    model: ChatModel,
    messages: Sequence[Message],
    decoding: Decoding,
    queue: "SimpleQueue[str | None]",
    stop: list[bool],
) -> str:
    """Move a model's pieces into a queue until it ends or `stop` is set; returns its error, "" for none."""
    stream = model.stream(messages, decoding)
    try:
        while True:
            piece = next(stream)
            if stop:
                return "stopped"
            queue.put(piece)
    except StopIteration as ended:
        reply: Reply = ended.value
        return reply.error
    except TouchstoneError as problem:
        return str(problem)
    finally:
        stream.close()
        queue.put(None)


def vote(
    store: Store, battle_id: str, *, rater: str, choice: Choice, comment: str = "", repair: str = "", now: str
) -> Reveal:
    """
    Save the verdict, then tell who was who. A second verdict by the same rater replaces the first and both stay on record.

    Raises NotFound for an unknown battle, InvalidInput for one that is unfinished or void, or without a rater's name.
    """
    battle = store.battle(battle_id)
    if not rater.strip():
        raise InvalidInput("A vote needs a name. Type yours once, at the top of the Arena.")
    if choice not in ("a", "b", "tie", "both_bad"):
        raise InvalidInput(f'"{choice}" is no verdict. Choose A, B, both good or both bad.')
    if battle.finished_at is None:
        raise InvalidInput("Both answers must be complete before the vote. Wait for them, or ask again.")
    if battle.error:
        raise InvalidInput(VOID)
    if len(comment) > 10_000 or len(repair) > 10_000:
        raise InvalidInput("A comment or a corrected answer may have 10,000 characters. Shorten it and vote again.")
    store.add_vote(
        battle_id, rater=rater.strip()[:80], choice=choice, comment=comment.strip(), repair=repair.strip(), now=now
    )
    return Reveal(battle.model_a, battle.model_b, choice)

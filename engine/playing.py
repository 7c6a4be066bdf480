"""Two models answer one question; both texts are let out word by word at one pace that belongs to neither.

What a rater sees must not tell the arms apart, and speed would: an adapter makes a model slower. So an answer is not shown as
it is generated. Once both arms have a head start, a clock of its own lets out the n-th word of both at the same moment, slower
than the slower arm has been so far. Where an answer ends, the other goes on at that same pace. If a word is not there yet,
both wait, and the pace is set anew. Every figure that the pace comes from is the larger of the two arms', so that turning
the sides round changes nothing.
"""

import random
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event
from typing import Any

from engine.backends import ChatModel
from engine.errors import TouchstoneError
from engine.proof import proof_of
from engine.records import Battle, Decoding, Excerpt, Message
from engine.sides import names_itself
from engine.store import Store
from engine.tasks import Task

VOID = "One of the two models failed, so this battle is void and takes no vote. Ask again."
LONGEST_ANSWER = 8000
"""Characters; what goes on longer is cut there on either side, and the battle says so."""
HEAD_WORDS = 4
TICK_S = 0.05
FASTEST_S = 0.02
"""A word takes at least so long, also where an engine has it sooner: fifty words a second are faster than anybody reads."""
SLACK = 1.5
WORD = re.compile(r"\s*\S+")


@dataclass(frozen=True)
class Seen:
    """What the rater may see before the vote: an opaque id, the question, two texts, and whether both are complete."""

    battle_id: str
    question: str
    answer_a: str = ""
    answer_b: str = ""
    complete: bool = False
    error: str = ""


@dataclass
class _Arm:
    """One side: what it has said so far, written by its own thread."""

    model: ChatModel
    messages: Sequence[Message]
    digest: str  # as the battle was opened with
    text: str = ""
    began_s: float = 0.0  # by the clock that paces; 0 before the first piece
    ended_s: float = 0.0
    ended: bool = False
    cut: bool = False
    error: str = ""
    proof: Mapping[str, Any] = field(default_factory=dict)

    def said(self, words: int) -> str:
        """The answer up to so many whole words, at least one."""
        ends = self.word_ends()
        return (self.text if self.ended and words >= len(ends) else self.text[: ends[words - 1]]).strip()

    def word_ends(self) -> list[int]:
        """Where each whole word ends; the last one may still be growing and does not count until the answer has ended."""
        ends = [found.end() for found in WORD.finditer(self.text)]
        return ends if self.ended else ends[:-1]


def play(
    store: Store,
    battle: Battle,
    models: Sequence[ChatModel],
    task: Task,
    *,
    excerpts: Sequence[Excerpt] = (),
    now: str,
    rng: random.Random | None = None,
) -> Iterator[Seen]:
    """
    Let both sides answer at once, in a drawn order, and let the words out as this module says; then save both answers.

    A failure on either side, an empty answer, or weights that are not those the battle was opened with, voids the battle.
    What is saved is what is shown: if another tab finished first, its answers. Closing the iterator stops both models.
    """
    by_name = {model.name: model for model in models}
    sides = (("a", battle.model_a, battle.digest_a), ("b", battle.model_b, battle.digest_b))
    arms = [_Arm(by_name[name], conversation(task, battle, side, excerpts), digest) for side, name, digest in sides]
    stop = Event()
    with ThreadPoolExecutor(2) as pool:
        order = (rng or random.Random()).sample(arms, 2)
        running = {id(arm): pool.submit(_answer, arm, battle.decoding, stop) for arm in order}
        try:
            for words in _released(arms):
                yield Seen(battle.id, battle.question, arms[0].said(words), arms[1].said(words))
        finally:
            stop.set()
    for arm in arms:
        running[id(arm)].result()  # an error of our own is raised here and not dressed up as an answer
    finish(store, battle, [arm.text for arm in arms], arms, now=now)
    yield as_saved(store.battle(battle.id))


def conversation(task: Task, battle: Battle, side: str, excerpts: Sequence[Excerpt]) -> list[Message]:
    """One arm's messages: the turns so far with its own answers, then the question as the task puts it."""
    system, *asked = task.messages(battle.question, excerpts)
    turns: list[Message] = []
    for turn in battle.history:
        turns.append({"role": "user", "content": turn["question"]})
        turns.append({"role": "assistant", "content": turn[f"answer_{side}"]})
    return [system, *turns, *asked]


def finish(store: Store, battle: Battle, texts: Sequence[str], arms: Sequence[_Arm], *, now: str) -> None:
    """Save both answers, or the errors that make the battle void, with the proofs and what a reader should know."""
    errors = list(dict.fromkeys(arm.error for arm in arms if arm.error))
    if not errors and not all(text.strip() for text in texts):
        errors = ["a model answered nothing"]
    store.finish_battle(
        battle.id,
        answer_a=texts[0].strip(),
        answer_b=texts[1].strip(),
        error="; ".join(errors),
        now=now,
        proof_a=arms[0].proof,
        proof_b=arms[1].proof,
        flags=[
            *flags_of(texts, (battle.model_a, battle.model_b)),
            *(
                f"Answer {side} was cut at {LONGEST_ANSWER} characters."
                for side, arm in zip("AB", arms, strict=True)
                if arm.cut
            ),
        ],
    )


def flags_of(texts: Sequence[str], models: Sequence[str]) -> list[str]:
    """A sentence for each side whose answer names a model."""
    found = [(side, names_itself(text, models)) for side, text in zip("AB", texts, strict=True)]
    return [f"Answer {side} names a model: {', '.join(names)}." for side, names in found if names]


def as_saved(battle: Battle) -> Seen:
    """A battle as it stands in the store, with nothing of a void one."""
    if battle.finished_at is None:
        return Seen(battle.id, battle.question)
    if battle.error:
        return Seen(battle.id, battle.question, complete=True, error=VOID)
    return Seen(battle.id, battle.question, battle.answer_a, battle.answer_b, complete=True)


def _answer(arm: _Arm, decoding: Decoding, stop: Event) -> None:
    """Run one arm to its end on a thread of its own; whatever people can mend becomes the arm's error."""
    stream = None
    try:
        stream = arm.model.stream(arm.messages, decoding)
        while True:
            piece = next(stream)
            if stop.is_set():
                return
            arm.began_s = arm.began_s or time.monotonic()
            arm.text += piece
            if len(arm.text) > LONGEST_ANSWER:
                arm.text, arm.cut = arm.text[:LONGEST_ANSWER], True
                break
    except StopIteration as ended:
        arm.error = ended.value.error
    except TouchstoneError as problem:
        arm.error = str(problem)
    finally:
        if stream is not None:
            stream.close()
        _prove(arm, decoding)
        arm.ended_s, arm.ended = time.monotonic(), True


def _prove(arm: _Arm, decoding: Decoding) -> None:
    """The digests after the answer; other weights than the battle was opened with are an error."""
    try:
        arm.proof = proof_of(arm.model, decoding)
    except TouchstoneError as problem:
        arm.error = arm.error or str(problem)
    else:
        if arm.proof["model"] != arm.digest:
            arm.error = arm.error or "a model was changed after the battle was opened"


def _released(arms: Sequence[_Arm]) -> Iterator[int]:
    """How many words of both are out, whenever that grows; ends once all are, or an arm has failed."""
    shown, pace_s, due_s = 0, 0.0, 0.0
    while True:
        failed = any(arm.error for arm in arms)
        ended = [arm.ended for arm in arms]  # looked at before the words: what comes in between is not lost
        words = [len(arm.word_ends()) for arm in arms]
        if failed or (all(ended) and shown >= max(words)):
            return
        if not pace_s and all(done or count >= HEAD_WORDS for done, count in zip(ended, words, strict=True)):
            pace_s, due_s = _pace(arms, words, time.monotonic()), time.monotonic()
        if pace_s:
            wanted = shown + int((time.monotonic() - due_s) / pace_s)
            there = min(max(words) if done else count for done, count in zip(ended, words, strict=True))
            if wanted > there and not all(ended):  # both wait for the one that is late, and go on more slowly
                pace_s, due_s = max(pace_s, _pace(arms, words, time.monotonic())), time.monotonic()
            else:
                due_s += (wanted - shown) * pace_s
            if min(wanted, there) > shown:
                shown = min(wanted, there)
                yield shown
        time.sleep(TICK_S)


def _pace(arms: Sequence[_Arm], words: Sequence[int], now_s: float) -> float:
    """Seconds a word: those of the slower arm and a half, never less than FASTEST_S."""
    taken = [
        ((arm.ended_s or now_s) - arm.began_s) / max(count, 1)
        for arm, count in zip(arms, words, strict=True)
        if arm.began_s
    ]
    return max(FASTEST_S, SLACK * max(taken, default=0.0))

"""Blind A/B: open, talk on, vote, take back, pass over, reveal. The names stay here until the vote is saved."""

import random
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from engine.backends import ChatModel
from engine.errors import InvalidInput, NotFound, TouchstoneError
from engine.playing import VOID, Seen, as_saved, play
from engine.records import Battle, Choice, Decoding, Mode, Reason, Vote
from engine.sides import draw
from engine.store import Store
from engine.tasks import Task

__all__ = ["CHOICES", "Reveal", "Seen", "as_saved", "open_battle", "play", "reveal", "skip", "talk_on", "undo", "vote"]

CHOICES: tuple[tuple[str, Choice], ...] = (
    ("A is better", "a"),
    ("B is better", "b"),
    ("Both good", "tie"),
    ("Both bad", "both_bad"),
)
REASONS: tuple[tuple[str, Reason], ...] = (
    ("Correct", "correct"),
    ("Grounded in the policy", "grounded"),
    ("Complete", "complete"),
    ("Clear", "clear"),
    ("Wrong number", "wrong_number"),
    ("Invented", "invented"),
    ("Should have refused", "should_have_refused"),
    ("Refused wrongly", "refused_wrongly"),
)
LONGEST_QUESTION = 2000
LONGEST_NAME = 80
LONGEST_REMARK = 10_000
MOST_TURNS = 6
FORGED = "This battle is not known here. Ask a new question."
SEEN_BEFORE = "The rater asked this very question before and was told who was who."


@dataclass(frozen=True)
class Reveal:
    """Who was who, told only after the vote is saved."""

    model_a: str
    model_b: str
    choice: Choice
    question: str = ""
    flags: tuple[str, ...] = ()
    other: "Reveal | None" = None  # the other battle of the pair, told at the same moment

    @property
    def winner(self) -> str:
        """The name of the better model; "" for a tie or when both are bad."""
        return {"a": self.model_a, "b": self.model_b}.get(self.choice, "")


def rater_named(name: str) -> str:
    """The name as it is kept. Raises InvalidInput for none."""
    name = " ".join(name.split())[:LONGEST_NAME]
    if not name:
        raise InvalidInput("A verdict needs a name. Type yours once, at the top of the Arena.")
    return name


def checked(question: str) -> str:
    """The question with its white space collapsed. Raises InvalidInput for an empty or endless one."""
    question = " ".join(question.split())
    if not question:
        raise InvalidInput("The question is empty. Type one, or pick an example.")
    if len(question) > LONGEST_QUESTION:
        raise InvalidInput(
            f"The question has {len(question)} characters; at most {LONGEST_QUESTION} are asked. Shorten it."
        )
    return question


def open_battle(
    store: Store,
    task: Task,
    question: str,
    models: tuple[ChatModel, ChatModel],
    *,
    rng: random.Random,
    now: str,
    rater: str = "",
    mode: Mode = "closed",
    decoding: Decoding | None = None,
) -> Battle:
    """
    Draw the sides and save the battle, all before the first token.

    For a named rater the sides are balanced over every two battles (`sides.draw`). Raises InvalidInput for an empty or
    endless question and for a model against itself.
    """
    question = checked(question)
    if models[0].name == models[1].name:
        raise InvalidInput(f'A battle needs two different models; both are "{models[0].name}". Choose another one.')
    names = (models[0].name, models[1].name)
    digests = {model.name: model.digest() for model in models}
    seen_before = bool(rater) and store.was_told(rater, question, names)

    def place(last: Battle | None, told: bool) -> Battle:
        (left, right), mirrors = draw(names, last if rater else None, told, rng)
        return Battle(
            id=secrets.token_urlsafe(16),
            task=task.name,
            mode=mode,
            question=question,
            model_a=left,
            model_b=right,
            digest_a=digests[left],
            digest_b=digests[right],
            decoding=decoding or Decoding(),
            created_at=now,
            rater=rater,
            mirrors=mirrors,
            flags=(SEEN_BEFORE,) if seen_before else (),
        )

    return store.place_battle(place, rater=rater, models=names)


def battle_of(store: Store, battle_id: str, rater: str) -> Battle:
    """The battle, if this rater may see it. Raises NotFound for a forged id and for another rater's battle, in the same words."""
    battle = store.battle(battle_id)
    if battle.rater and battle.rater != rater:
        raise NotFound(FORGED)
    return battle


def talk_on(store: Store, battle_id: str, question: str, *, rater: str) -> Battle:
    """
    Open the next turn of a battle: both arms will see the same questions and each its own answers.

    Raises InvalidInput for a question that cannot be asked, a battle that is closed, and one turn too many.
    """
    question = checked(question)
    if len(battle_of(store, battle_id, rater).history) + 1 >= MOST_TURNS:
        raise InvalidInput(f"A talk has at most {MOST_TURNS} questions. Vote, then ask a new one.")
    return store.add_turn(battle_id, question)


def give_up(store: Store, battle: Battle, problem: TouchstoneError, *, now: str) -> None:
    """Void a battle whose models cannot be asked any more, such as one whose adapter was deleted."""
    store.finish_battle(battle.id, answer_a="", answer_b="", error=str(problem), now=now)


def vote(
    store: Store,
    battle_id: str,
    *,
    rater: str,
    choice: Choice,
    comment: str = "",
    repair: str = "",
    reasons: Sequence[Reason] = (),
    now: str,
) -> Vote:
    """
    Save the verdict; the names stay hidden (`reveal`). Another verdict by the same rater replaces it and both stay on record.

    A repair that repeats the better answer is none. Raises NotFound for an unknown battle or another rater's, InvalidInput for
    one that is unfinished, void or passed over, after the reveal, or without a rater's name.
    """
    rater = rater_named(rater)
    battle = battle_of(store, battle_id, rater)
    if choice not in get_args(Choice):
        raise InvalidInput(f'"{choice}" is no verdict. Choose A, B, both good or both bad.')
    unknown = [reason for reason in reasons if reason not in get_args(Reason)]
    if unknown:
        raise InvalidInput(f'"{unknown[0]}" is no reason. Choose from: {", ".join(get_args(Reason))}.')
    if battle.finished_at is None:
        raise InvalidInput("Both answers must be complete before the vote. Wait for them, or ask again.")
    if battle.error:
        raise InvalidInput(VOID)
    if battle.skipped_at:
        raise InvalidInput("You passed this battle over, so it takes no vote. Ask a new question.")
    if len(comment) > LONGEST_REMARK or len(repair) > LONGEST_REMARK:
        raise InvalidInput("A comment or a corrected answer may have 10,000 characters. Shorten it and vote again.")
    better = {"a": battle.answer_a, "b": battle.answer_b}.get(choice, "")
    return store.add_vote(
        battle_id,
        rater=rater,
        choice=choice,
        comment=comment.strip(),
        repair="" if repair.strip() == better else repair.strip(),
        reasons=[known for known in get_args(Reason) if known in reasons],
        finished_at=battle.finished_at,
        now=now,
    )


def undo(store: Store, battle_id: str, *, rater: str, now: str) -> Vote:
    """Take the verdict back, as long as the names were not told; it stays in the history. Raises as `reveal`."""
    rater = rater_named(rater)
    battle_of(store, battle_id, rater)
    return store.withdraw_vote(battle_id, rater, now=now)


def skip(store: Store, battle_id: str, *, rater: str, now: str) -> None:
    """Pass a battle over: it takes no vote, and who was who is not told. Raises NotFound as `vote`."""
    rater = rater_named(rater)
    battle_of(store, battle_id, rater)
    store.skip_battle(battle_id, now=now)


def is_first_of_two(store: Store, battle_id: str) -> bool:
    """Whether telling its names now would give away the sides of the rater's next battle, were it not drawn anew then."""
    battle = store.battle(battle_id)
    return bool(battle.rater) and not battle.mirrors and store.mirrored_by(battle) is None


def reveal(store: Store, battle_id: str, *, rater: str, now: str) -> Reveal:
    """
    Tell a rater who was who, with the other battle of the pair if that was voted on too, and put on record that it was told.

    Raises InvalidInput without a vote of this rater, and while the battle that has these sides turned round is open.
    """
    rater = rater_named(rater)
    battle = battle_of(store, battle_id, rater)
    if store.current_vote(battle.id, rater) is None:
        raise InvalidInput("Who was who is told after your verdict. Choose one first.")
    after = store.mirrored_by(battle) if battle.rater else None
    if after is not None and not after.skipped_at and store.current_vote(after.id, rater) is None:
        raise InvalidInput(
            "Who was who is told after your verdict on the battle you have open, which it would give away."
        )
    pair = [battle, *filter(None, [after, store.battle(battle.mirrors) if battle.mirrors else None])]
    votes = {other.id: store.current_vote(other.id, rater) for other in pair}
    told = [
        Reveal(other.model_a, other.model_b, cast.choice, other.question, other.flags)
        for other in pair
        if (cast := votes[other.id]) is not None
    ]
    store.tell([other.id for other in pair if votes[other.id] is not None], rater, now=now)
    first = told[0]
    return Reveal(
        first.model_a, first.model_b, first.choice, first.question, first.flags, told[1] if told[1:] else None
    )

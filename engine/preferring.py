"""A run on votes before it starts: which adapter it goes on from, whether there are votes enough, its rows and settings.

Imports no torch. Where the votes are too few they are not lost: the next dataset version takes them in as rows for SFT.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from engine.errors import InvalidInput
from engine.preferences import DECIDED, Preferences, Shape, decided, preferences
from engine.records import REFUSAL, Adapter
from engine.store import Store
from engine.tasks import Task
from engine.training import TrainingConfig, going_on_from

FEWEST_VOTES = 40
"""Fewer decided votes than this say more about who voted than about what is better."""
LEARNING_RATE = 5e-5
"""At most: fifty times TRL's for all weights, as LoRA takes about ten times that, and a run is some tens of steps."""
PASSES: Mapping[str, float] = {"quick": 1.0, "thorough": 3.0}
USUAL_PASSES = 2.0
BATCH_ROWS = 8


def voted_on(store: Store, task: Task, adapters: list[str]) -> str:
    """The adapter with the most decided votes. Raises InvalidInput where none of them has any, or two have as many."""
    counts = Counter(
        name
        for battle, vote in store.voted_battles()
        if battle.task == task.name and vote.choice in DECIDED
        for name in {battle.model_a, battle.model_b} & set(adapters)
    )
    ranked = counts.most_common(2)
    if not ranked:
        raise InvalidInput(
            "No adapter has a decided vote yet, so there is none to go on from. Vote in the Arena first."
        )
    if len(ranked) == 2 and ranked[0][1] == ranked[1][1]:
        names = " and ".join(sorted(name for name, _ in ranked))
        raise InvalidInput(
            f"{names} have {ranked[0][1]} decided votes each. Choose the one to go on from: --from NAME."
        )
    return ranked[0][0]


def preferred(store: Store, task: Task, config: TrainingConfig, parent: Adapter) -> tuple[TrainingConfig, Preferences]:
    """
    The settings and rows of a run that goes on from `parent` with what people voted on its answers.

    Raises InvalidInput where fewer than FEWEST_VOTES decided votes can be used, with what to do instead, and for an
    adapter that reads clauses, for those are not kept with a battle.
    """
    shape: Shape = "kto" if config.method == "kto" else "dpo"
    config = going_on_from(config, parent)
    if config.mode == "grounded":
        raise InvalidInput(
            f"{parent.name} reads clauses, and which clauses it was shown is not kept with a battle, so it cannot be trained "
            f"from votes. {_instead(config)}"
        )
    found = preferences(store, task, shape, model=parent.name)
    usable = decided_votes(store, found)
    if usable < FEWEST_VOTES:
        given = decided(store, task, model=parent.name)
        why = "; ".join(f"{votes} of its votes: {reason}" for reason, votes in found.left_out.items())
        raise InvalidInput(
            f"{config.method.upper()} needs {FEWEST_VOTES} decided votes on {parent.name}, and {usable} of {given} can be used"
            f"{f' ({why})' if why else ''}. Vote on, or add them to supervised training: {_instead(config)}"
        )
    dtype = parent.card.get("config", {}).get("dtype", "float32")
    config = replace(
        config,
        learning_rate=min(config.learning_rate, LEARNING_RATE),
        epochs=PASSES.get(config.preset, USUAL_PASSES),
        batch_size=min(config.batch_size, BATCH_ROWS),
        dtype="float32" if dtype == "auto" else dtype,  # as the adapter was trained
        warmup_steps=min(config.warmup_steps, 5),
    )
    return config, found


def decided_votes(store: Store, found: Preferences) -> int:
    """How many of the votes that the rows stand on name a better answer."""
    used = {vote for row in found.rows for vote in row.votes}
    return sum(vote.id in used and vote.choice in DECIDED for vote in store.votes())


def run_rows(found: Preferences, task: Task) -> list[dict[str, Any]]:
    """Rows as the worker reads them: those of SFT, and with each the answer it is preferred to, or whether it is wanted."""
    return [
        {
            "messages": task.messages(row.battle.question),
            "answer": row.better,
            "kind": "unanswerable" if row.better == REFUSAL else "answerable",
            "fact_id": f"battle-{row.battle.id}",
            "votes": list(row.votes),
            **({"rejected": row.worse} if found.shape == "dpo" else {"label": row.label}),
        }
        for row in found.rows
    ]


def _instead(config: TrainingConfig) -> str:
    name = config.dataset.partition(":")[0]
    return f"app.py next --dataset {name} && app.py train --dataset {name} --adapter {config.adapter}"

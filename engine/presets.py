"""Training settings by name: what a run costs at most, and the shapes that people know from elsewhere. Imports nothing of ours."""

from collections.abc import Mapping
from typing import Any, Literal

Preset = Literal["quick", "balanced", "thorough", "qv-16", "rank-64", "rank-256"]

PRESETS: Mapping[Preset, Mapping[str, Any]] = {
    "quick": {"epochs": 4.0, "max_minutes": 2.0, "everyday": False, "probe_questions": 9},
    "balanced": {"epochs": 12.0, "max_minutes": 14.0},
    "thorough": {"epochs": 30.0, "max_minutes": 28.0},
    "qv-16": {
        "epochs": 12.0, "max_minutes": 14.0, "rank": 16, "alpha": 32, "target_modules": "q,v", "layers_from": 0.0,
        "dropout": 0.1, "learning_rate": 2e-3,
    },
    "rank-64": {
        "epochs": 12.0, "max_minutes": 14.0, "rank": 64, "alpha": 128, "layers_from": 0.0, "learning_rate": 5e-4,
    },
    "rank-256": {
        "epochs": 12.0, "max_minutes": 28.0, "rank": 256, "alpha": 512, "layers_from": 0.0, "learning_rate": 2e-4,
    },
}  # fmt: skip
"""What a preset costs: whichever ends first, the passes or the minutes (on the machine it runs on).

The last three are the usual settings of other recipes, by their shape: a small adapter on q and v with dropout, and two on every
linear layer, with alpha twice the rank and a rate that falls as the rank grows. Here they are offered, not tuned.
"""

PURPOSE: Mapping[Preset, str] = {
    "quick": "to see the loop turn",
    "balanced": "for most policies",
    "thorough": "to get the last facts in",
    "qv-16": "rank 16 on q and v of every layer, dropout 0.1",
    "rank-64": "rank 64, alpha 128, every linear layer",
    "rank-256": "rank 256, alpha 512, every linear layer",
}

GROUNDED: Mapping[str, int] = {"batch_size": 4}
"""A row with clauses has some 350 tokens: a step of eight took 5.5 GiB, one of four takes 4.0, and the minutes give twice as many."""

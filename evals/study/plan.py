"""What a study is to compare, from a JSON file; everything in it is checked before anything is trained."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from hashlib import blake2b
from itertools import product
from pathlib import Path
from typing import Any

from engine.datasets import check_name
from engine.errors import InvalidInput
from engine.generation import GenerationConfig
from engine.training import TrainingConfig, with_preset

SEEDS = (0, 1, 2)
OURS = (
    *("adapter", "dataset", "seed", "parent", "parent_digest", "first_steps", "documents", "task", "apart_from"),
    *("epochs", "max_minutes", "max_steps", "threads"),
)
"""Settings that the study sets itself."""
OF_GENERATION = tuple(field.name for field in fields(GenerationConfig) if field.name not in OURS)
OF_TRAINING = tuple(field.name for field in fields(TrainingConfig) if field.name not in OURS)


@dataclass(frozen=True)
class Policy:
    """Documents, and the gold questions that judge whoever learned them."""

    name: str
    documents: tuple[Path, ...]
    questions: Path


@dataclass(frozen=True)
class Recipe:
    """Settings that differ from the product's own; those of the generation and those of the training."""

    name: str
    generation: Mapping[str, Any]
    training: Mapping[str, Any]


@dataclass(frozen=True)
class Budget:
    """What one training may cost: minutes of this machine, or steps, which are the same on every machine."""

    minutes: float | None = None
    steps: int | None = None

    @property
    def name(self) -> str:
        """As the table shows it: "14 min", "450 steps"."""
        return f"{self.steps} steps" if self.steps else f"{self.minutes:g} min"


@dataclass(frozen=True)
class Cell:
    """One training and its answers."""

    policy: Policy
    recipe: Recipe
    budget: Budget
    seed: int

    @property
    def name(self) -> str:
        """The adapter's name, and the file's: no two cells share it."""
        return f"{self.policy.name}-{self.recipe.name}-{self.budget.name.replace(' ', '')}-{self.seed}"

    @property
    def dataset(self) -> str:
        """The dataset's name; recipes that generate alike share one."""
        settings = json.dumps([self.recipe.generation, [str(path) for path in self.policy.documents]], sort_keys=True)
        return f"{self.policy.name}-{blake2b(settings.encode(), digest_size=4).hexdigest()}-{self.seed}"


@dataclass(frozen=True)
class Plan:
    """A whole study."""

    policies: tuple[Policy, ...]
    recipes: tuple[Recipe, ...]
    budgets: tuple[Budget, ...]
    seeds: tuple[int, ...]

    @property
    def cells(self) -> list[Cell]:
        """All of them; every recipe's first seed on every policy comes before any second seed, so that a study may be cut short."""
        return [
            Cell(policy, recipe, budget, seed)
            for seed, budget, policy, recipe in product(self.seeds, self.budgets, self.policies, self.recipes)
        ]


def read_plan(path: Path) -> Plan:
    """
    {"policies": {NAME: {"documents": [FILE], "questions": FILE}}, "recipes": {NAME: SETTINGS}, "minutes" or "steps": [N], "seeds": [N]}.

    Files are meant from the plan's folder. SETTINGS are any of a generation's or a training's; {} is the product as it ships.
    Raises InvalidInput that says what is wrong in it, a setting's wrong type too.
    """
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise InvalidInput(f"The plan {path} cannot be read ({problem.strerror}). Check the path.") from None
    except ValueError as problem:
        raise InvalidInput(f"The plan {path.name} is not JSON ({problem}). Mend it.") from None
    unknown = (
        sorted(set(entry) - {"policies", "recipes", "minutes", "steps", "seeds"}) if isinstance(entry, dict) else []
    )
    if unknown or not isinstance(entry, dict):
        raise InvalidInput(
            f"The plan {path.name} has {'no' if not unknown else 'a strange'} entry {unknown or 'at all'}. "
            "It holds policies, recipes, minutes or steps, and seeds."
        )
    policies = tuple(_policy(name, found, path.parent) for name, found in _named(entry, "policies"))
    recipes = tuple(_recipe(name, found) for name, found in _named(entry, "recipes"))
    seeds = tuple(_numbers(entry.get("seeds", SEEDS), "seeds"))
    return Plan(policies, recipes, _budgets(entry), tuple(int(seed) for seed in seeds))


def _named(entry: Mapping[str, Any], key: str) -> list[tuple[str, Mapping[str, Any]]]:
    found = entry.get(key)
    if not isinstance(found, dict) or not found or not all(isinstance(value, dict) for value in found.values()):
        raise InvalidInput(f'The plan needs "{key}": an object with a name and an object for each. Add it.')
    for name in found:
        check_name(name)
    return list(found.items())


def _policy(name: str, entry: Mapping[str, Any], folder: Path) -> Policy:
    documents = entry.get("documents")
    files = [folder / str(file) for file in documents] if isinstance(documents, list) else []
    questions = folder / str(entry.get("questions", ""))
    if not files or set(entry) != {"documents", "questions"}:
        raise InvalidInput(f'The policy {name} needs "documents" (a list of files) and "questions" (a file), no more.')
    for file in (*files, questions):
        if not file.exists() or file == folder:
            raise InvalidInput(f"The policy {name} names {file}, which is not there. Check the path.")
    return Policy(name, tuple(files), questions)


def _recipe(name: str, entry: Mapping[str, Any]) -> Recipe:
    unknown = sorted(set(entry) - {*OF_GENERATION, *OF_TRAINING})
    if unknown:
        known = ", ".join((*OF_GENERATION, *OF_TRAINING))
        raise InvalidInput(f"The recipe {name} has no setting {unknown[0]!r}. It may have: {known}.")
    training = {key: value for key, value in entry.items() if key in OF_TRAINING}
    with_preset(training.get("preset", "balanced"), adapter="x", dataset="x", **_but_preset(training))
    return Recipe(name, {key: value for key, value in entry.items() if key in OF_GENERATION}, training)


def _but_preset(training: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in training.items() if key != "preset"}


def _budgets(entry: Mapping[str, Any]) -> tuple[Budget, ...]:
    if ("minutes" in entry) == ("steps" in entry):
        raise InvalidInput('The plan needs "minutes" or "steps", one of them: a list of what a training may take.')
    if "minutes" in entry:
        return tuple(Budget(minutes=float(number)) for number in _numbers(entry["minutes"], "minutes"))
    return tuple(Budget(steps=int(number)) for number in _numbers(entry["steps"], "steps"))


def _numbers(found: Any, key: str) -> Sequence[float]:
    least = 0 if key == "seeds" else 1e-9
    right = (
        isinstance(found, list | tuple)
        and found
        and all(isinstance(n, int | float) and not isinstance(n, bool) and n >= least for n in found)
    )
    if not right or (key != "minutes" and any(n != int(n) for n in found)):
        raise InvalidInput(f'The plan\'s "{key}" is {found!r}. It must be a list of numbers, such as [1, 2].')
    return list(dict.fromkeys(found))

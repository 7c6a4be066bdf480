"""A study's results as one table: what each recipe scored on each policy, beside what needs no training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from evals.intervals import Share, mcnemar, wilson

MEASURES = {
    "questions": "questions right",
    "paraphrases": "paraphrases right",
    "unanswerable": "unanswerable right",
    "false_refusals": "false refusals",
}
COSTS = {
    "facts": "facts",
    "exposures": "rows a fact",
    "steps": "steps",
    "generation_min": "min to generate",
    "training_min": "min to train",
}
BASELINES = "no training"


@dataclass(frozen=True)
class Score:
    """One measure of one recipe: the mean over its seeds, the 95 % interval of that mean, and each seed's own share."""

    mean: float
    low: float
    high: float
    seeds: tuple[float, ...]
    of: int

    def __str__(self) -> str:
        """ "52 % (40-64)", and the seeds where there are several: "52 % (40-64; 51, 49, 56)"."""
        each = "; " + ", ".join(f"{100 * share:.0f}" for share in self.seeds) if len(self.seeds) > 1 else ""
        return f"{100 * self.mean:.0f} % ({100 * self.low:.0f}-{100 * self.high:.0f}{each})"


@dataclass(frozen=True)
class Line:
    """One line of the table."""

    policy: str
    recipe: str
    budget: str
    scores: Mapping[str, Score]
    cost: Mapping[str, float]  # means over the seeds: minutes, steps, exposures, facts; {} for what was not trained


def score(shares: Sequence[Mapping[str, Any]]) -> Score:
    """
    The seeds' shares of one measure as their mean, with Wilson's interval at that mean for the number of questions asked.

    The same questions are asked of every seed, so three seeds do not triple what is known of other questions: the interval is
    that of one asking. It is too wide for the mean of these seeds, never too narrow for the questions.
    """
    each = tuple(Share(found["right"], found["of"], found["low"], found["high"]).value for found in shares)
    asked = min(found["of"] for found in shares)
    low, high = wilson(fmean(each), asked)
    return Score(fmean(each), low, high, each, asked)


def lines_of(cells: Sequence[Mapping[str, Any]], baselines: Mapping[str, Mapping[str, Any]]) -> list[Line]:
    """The baselines of each policy, then its recipes in the order they came; `baselines`: policy -> name -> scores."""
    groups: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for cell in cells:
        groups.setdefault((cell["policy"], cell["recipe"], cell["budget"]), []).append(cell)
    found = []
    for policy in dict.fromkeys([*baselines, *(cell["policy"] for cell in cells)]):
        for name, scores in baselines.get(policy, {}).items():
            found.append(Line(policy, name, BASELINES, {key: score([scores[key]]) for key in MEASURES}, {}))
        for (of, recipe, budget), seeds in groups.items():
            if of == policy:
                scored = {key: score([cell["scores"][key] for cell in seeds]) for key in MEASURES}
                cost = {key: fmean(float(cell[key] or 0) for cell in seeds) for key in COSTS}
                found.append(Line(policy, recipe, budget, scored, cost))
    return found


def markdown(lines: Sequence[Line]) -> str:
    """The table, as it stands in a document; a column a measure, then what it cost."""
    head = ["policy", "recipe", "budget", *MEASURES.values(), *COSTS.values()]
    rows = [head, ["---"] * len(head)]
    for line in lines:
        cost = [f"{line.cost[key]:.4g}" if line.cost else "–" for key in COSTS]
        rows.append([line.policy, line.recipe, line.budget, *(str(line.scores[key]) for key in MEASURES), *cost])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def against(cells: Sequence[Mapping[str, Any]], first: str) -> list[dict[str, Any]]:
    """
    Every other recipe beside the recipe `first`: same policy, budget and seed, question by question, all seeds together.

    "p_value" is McNemar's over (question, seed) pairs. Seeds share their questions, so with several of them it is too small;
    "per_seed" has each seed's own fixed and broken.
    """
    by_key = {(c["policy"], c["budget"], c["seed"], c["recipe"]): c for c in cells}
    pairs: dict[tuple[str, str, str], list[tuple[int, int]]] = {}
    for (policy, budget, seed, recipe), cell in by_key.items():
        before = by_key.get((policy, budget, seed, first))
        if before is None or recipe == first:
            continue
        fixed = sum(cell["right"][row] and not right for row, right in before["right"].items() if row in cell["right"])
        broken = sum(right and not cell["right"][row] for row, right in before["right"].items() if row in cell["right"])
        pairs.setdefault((policy, budget, recipe), []).append((fixed, broken))
    return [
        {
            "policy": policy,
            "budget": budget,
            "recipe": recipe,
            "against": first,
            "fixed": sum(fixed for fixed, _ in counts),
            "broken": sum(broken for _, broken in counts),
            "per_seed": counts,
            "p_value": mcnemar(sum(fixed for fixed, _ in counts), sum(broken for _, broken in counts)),
        }
        for (policy, budget, recipe), counts in pairs.items()
    ]

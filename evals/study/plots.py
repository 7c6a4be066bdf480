"""A study's results as pictures (SVG): recipes side by side with their intervals, and scores against what a training may cost."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evals.study.report import BASELINES, MEASURES, Line

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH_IN, LINE_IN = 11.0, 0.32


def draw(lines: Sequence[Line], folder: Path) -> list[Path]:
    """`recipes.svg`, and `budgets.svg` where there are several budgets to draw a curve through; the files written."""
    from matplotlib import use

    use("svg")  # no window, on any machine
    from matplotlib import rcParams

    rcParams["svg.hashsalt"] = "touchstone"  # the same picture, byte for byte, from the same results
    rcParams["svg.fonttype"] = "none"
    written = [_recipes(lines, folder / "recipes.svg")]
    if len({line.budget for line in lines if line.budget != BASELINES}) > 1:
        written.append(_budgets(lines, folder / "budgets.svg"))
    return written


def _recipes(lines: Sequence[Line], file: Path) -> Path:
    from matplotlib import pyplot

    policies = list(dict.fromkeys(line.policy for line in lines))
    most = max(sum(line.policy == policy for line in lines) for policy in policies)
    figure, grid = pyplot.subplots(
        len(policies),
        len(MEASURES),
        figsize=(WIDTH_IN, len(policies) * (0.9 + LINE_IN * most)),
        squeeze=False,
        sharex=True,
        layout="constrained",
    )
    for policy, row in zip(policies, grid, strict=True):
        shown = [line for line in lines if line.policy == policy]
        for axes, (key, title) in zip(row, MEASURES.items(), strict=True):
            for place, line in enumerate(reversed(shown)):
                found = line.scores[key]
                axes.plot([100 * found.low, 100 * found.high], [place, place], color="0.6", linewidth=2)
                axes.plot([100 * found.mean], [place], "o", color="black" if line.cost else "0.5")
            _dressed(axes, title if policy == policies[0] else "")
            axes.set_yticks(range(len(shown)), [""] * len(shown))
        names = [f"{line.recipe}, {line.budget}" if line.cost else line.recipe for line in reversed(shown)]
        row[0].set_yticks(range(len(shown)), names)
        row[0].set_ylabel(policy)
    return _saved(figure, file)


def _budgets(lines: Sequence[Line], file: Path) -> Path:
    """Score against minutes of training, as measured; a line a recipe, the intervals as a shade."""
    from matplotlib import pyplot

    policies = list(dict.fromkeys(line.policy for line in lines))
    figure, grid = pyplot.subplots(
        len(policies), len(MEASURES), figsize=(WIDTH_IN, 2.6 * len(policies)), squeeze=False, layout="constrained"
    )
    for policy, row in zip(policies, grid, strict=True):
        trained = [line for line in lines if line.policy == policy and line.cost]
        for axes, (key, title) in zip(row, MEASURES.items(), strict=True):
            for recipe in dict.fromkeys(line.recipe for line in trained):
                points = sorted(
                    (line for line in trained if line.recipe == recipe), key=lambda line: line.cost["steps"]
                )
                steps = [line.cost["steps"] for line in points]
                axes.plot(steps, [100 * line.scores[key].mean for line in points], "o-", label=recipe)
                low = [100 * line.scores[key].low for line in points]
                axes.fill_between(steps, low, [100 * line.scores[key].high for line in points], alpha=0.12)
            _dressed(axes, title if policy == policies[0] else "", upright=True)
        row[0].set_ylabel(f"{policy}, %")
        row[0].legend(fontsize="small")
    grid[-1][0].set_xlabel("steps of training")
    return _saved(figure, file)


def _dressed(axes: "Axes", title: str, *, upright: bool = False) -> None:
    axes.set_title(title, fontsize="medium")
    axes.grid(axis="y" if upright else "x", color="0.9")
    axes.spines[["top", "right"]].set_visible(False)
    (axes.set_ylim if upright else axes.set_xlim)(-3, 103)


def _saved(figure: Any, file: Path) -> Path:
    from matplotlib import pyplot

    figure.savefig(file, metadata={"Date": None})
    pyplot.close(figure)
    return file

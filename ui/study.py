"""The command `study`: policies × recipes × budgets × seeds, each trained once, asked once, and put into one table."""

import json
from argparse import Namespace
from functools import partial
from pathlib import Path
from typing import Any

from engine.errors import Unavailable
from engine.workspace import Workspace
from evals.study.cells import baseline_results, cell_result
from evals.study.plan import read_plan
from evals.study.plots import draw
from evals.study.report import MEASURES, against, lines_of, markdown
from ui.commands import watch_job
from ui.terminal import Screen

TABLE, ALL = "study.md", "study.json"


def study(workspace: Workspace, options: Namespace, screen: Screen) -> dict[str, Any]:
    """Run what the plan names and is not there yet; the table and the plots are written anew after every training."""
    plan = read_plan(Path(options.plan))
    results = workspace.settings.workspace / "study"
    results.mkdir(exist_ok=True)
    baselines = {p.name: baseline_results(workspace, p, results, watch=screen.watch) for p in plan.policies}
    cells: list[dict[str, Any]] = []
    for number, cell in enumerate(plan.cells, start=1):
        screen.say(f"{number} of {len(plan.cells)}: {cell.name}")
        try:
            made = cell_result(workspace, cell, results, follow=partial(watch_job, screen=screen), watch=screen.watch)
        except Unavailable as stopped:
            screen.say(str(stopped))
            break
        cells.append(made)
        said = (
            f"{title} {made['scores'][key]['right']}/{made['scores'][key]['of']}" for key, title in MEASURES.items()
        )
        screen.say(f"  {', '.join(said)}; {made['steps']} steps, {made['training_min']} min")
        _write(results, cells, baselines, first=plan.recipes[0].name)
    lines = lines_of(cells, baselines)
    table = [[line.policy, line.recipe, line.budget, *map(str, line.scores.values())] for line in lines]
    screen.table(table, head=["policy", "recipe", "budget", *MEASURES.values()])
    screen.say(f"Table and plots: {results}")
    return {"cells": len(cells), "of": len(plan.cells), "table": str(results / TABLE), "all": str(results / ALL)}


def _write(results: Path, cells: list[dict[str, Any]], baselines: dict[str, Any], *, first: str) -> None:
    lines = lines_of(cells, baselines)
    compared = against(cells, first)
    (results / TABLE).write_text(markdown(lines), encoding="utf-8")
    found = {"cells": cells, "baselines": baselines, "against": compared}
    (results / ALL).write_text(json.dumps(found, ensure_ascii=False, indent=1), encoding="utf-8")
    draw(lines, results)

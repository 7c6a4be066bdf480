"""The end of a run: which step is kept, what was forgotten, when it refuses; the adapter saved, converted, named. Worker only."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

from peft import PeftModel
from safetensors import SafetensorError
from transformers import TrainerState

from engine import adapters
from engine.checkpoints import CHECKPOINTS
from engine.code_version import code_version
from engine.errors import TouchstoneError, Unavailable
from engine.estimates import read_estimate
from engine.jobs import Progress, read_metrics
from engine.margins import refusal_margins
from engine.probes import EVERYDAY_ANSWERS, Probe
from engine.probing import BEST, EVERYDAY_ANSWER, Asker, Prober, ask_everyday, everyday_card
from engine.prompts import load_chat_template, load_tokenizer, render
from engine.run_start import Prepared, longest_row
from engine.sft import RECENT_STEPS, first_line, probe_fields
from engine.tasks import task_named
from engine.training import read_held_out, trial_steps

BUILT, ADAPTER = "built", "adapter"
PATIENCE_S = 8.0
"""A stopped run is probed once more where that takes no longer, so that its adapter is there within half a minute."""


def finish(
    folder: Path, prepared: Prepared, state: TrainerState, progress: Progress, *, also: Mapping[str, Any] | None = None
) -> None:
    """
    Choose the step, measure it, save the adapter under its name, say so. Raises `Unavailable` on a full disk.

    `also`: what else its card is to say.
    """
    config, step, stopped = prepared.config, state.global_step, state.global_step < state.max_steps
    try:
        kept = _kept(prepared, step, progress, stopped=stopped)
        if config.everyday and not stopped and (folder / EVERYDAY_ANSWERS).is_file():
            progress.update(now=True, message="Asking everyday questions: what was forgotten?", eta_s=None)
            ask_everyday(folder, prepared.model, Asker(prepared.base, max_tokens=EVERYDAY_ANSWER), when="after")
        progress.update(now=True, message="Measuring when it refuses.", eta_s=None)
        card = _card(folder, prepared, state, kept) | dict(also or {})
        progress.update(now=True, message="Saving the adapter.")
        built = _build(folder, prepared)
        (folder / adapters.CARD).write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except (OSError, SafetensorError) as problem:
        shutil.rmtree(folder / BUILT, ignore_errors=True)
        raise Unavailable(
            f"The adapter {config.adapter} could not be saved in {folder} ({first_line(problem)}). "
            "Free some disk space, then resume the run."
        ) from problem
    _install_over_own(folder, built, config.adapter, card)
    verdict = _verdict(card["kept"], card.get("everyday"))
    if stopped:
        progress.finish("stopped", _how_it_stopped(prepared, state), verdict=verdict)
        return
    for place in (CHECKPOINTS, BEST):
        shutil.rmtree(folder / place, ignore_errors=True)
    what = f"The adapter {config.adapter} is ready. {card['kept']['why']}"
    progress.finish("done", what, step=step, final_loss=card["final_loss"], verdict=verdict)


def _kept(prepared: Prepared, step: int, progress: Progress, *, stopped: bool) -> Probe | None:
    """The best step's probe, its weights now in the model; None where nothing is held out, and the last step stays."""
    prober = prepared.prober
    if not stopped or prober.probe_s <= PATIENCE_S:
        progress.update(now=True, message="Asking held-out questions.", eta_s=None)
        prober.ask(prepared.model, step, save=save_peft)
    kept = prober.keep_best(prepared.model, step)
    progress.update(now=True, **probe_fields(prober.latest))
    return kept


def _card(folder: Path, prepared: Prepared, state: TrainerState, kept: Probe | None) -> dict[str, Any]:
    config, points = prepared.config, read_metrics(folder)
    card: dict[str, Any] = {
        "base": config.base,
        "dataset": config.dataset,
        "run": folder.name,
        "code": code_version(),
        "config": asdict(config),
        "counts": {
            "rows": len(prepared.rows),
            "statements": sum(row.is_statement for row in prepared.rows),
            "left_out": prepared.left_out,
            "rows_seen": points[-1].get("rows", 0) if points else 0,
        },
        "steps": state.global_step,
        "planned_steps": state.max_steps,
        "kept": _why(kept, prepared.prober, state.global_step),
        "final_loss": round(fmean(point["loss"] for point in points[-RECENT_STEPS:]), 4) if points else None,
        "minutes": round(sum(point.get("seconds", 0.0) for point in points) / 60, 2),
        "stopped": state.global_step < state.max_steps,
    }
    if estimate := read_estimate(folder):
        card["estimate"] = asdict(estimate)
    if everyday := everyday_card(folder):
        card["everyday"] = everyday
    if refusals := measured_refusals(folder, prepared):
        card["refusal"] = refusals
    return card


def _why(kept: Probe | None, prober: Prober, last: int) -> dict[str, Any]:
    """Which step the adapter is, and why."""
    if kept is None:
        return {"step": last, "why": f"The last step is kept. {prober.why_not}".strip()}
    if kept.step == last:
        why = f"The last step is kept: none before answered held-out questions better ({kept})."
    else:
        why = f"Step {kept.step} of {last} is kept: none after answered held-out questions as well ({kept})."
    return {
        "step": kept.step,
        "score": kept.score,
        "right": kept.right,
        "rightly_refused": kept.rightly_refused,
        "falsely_refused": kept.falsely_refused,
        "of": kept.of,
        "before": prober.first.score if prober.first else None,
        "why": why,
    }


def _verdict(kept: Mapping[str, Any], everyday: Mapping[str, Any] | None) -> str:
    """A run's outcome in the table of runs."""
    if "score" not in kept:
        return ""
    said = f"{kept['right'] + kept['rightly_refused']} of {kept['of']} right, {kept['falsely_refused']} falsely refused"
    forgot = f"; everyday {everyday['before']} → {everyday['after']}" if everyday else ""
    return f"{said} at step {kept['step']}{forgot}"


def _build(folder: Path, prepared: Prepared) -> Path:
    """The adapter's files, to be moved to their name; its weights stay in the run's folder too, which is complete by itself."""
    built = folder / BUILT
    shutil.rmtree(built, ignore_errors=True)
    save_peft(prepared.model, built)
    adapters.to_gguf(built, prepared.base / "config.json", built / adapters.GGUF)
    (folder / ADAPTER).mkdir(exist_ok=True)
    for name in (adapters.CONFIG, adapters.WEIGHTS):
        shutil.copyfile(built / name, folder / ADAPTER / name)
    return built


def _how_it_stopped(prepared: Prepared, state: TrainerState) -> str:
    where = f"step {state.global_step} of {state.max_steps}"
    if state.global_step == trial_steps(prepared.config):
        return f"The trial is over at {where}. Look at its samples; resume the run to go on."
    return f"Stopped at {where}; the adapter is usable."


def measured_refusals(folder: Path, prepared: Prepared) -> dict[str, Any] | None:
    """
    The card's word on when the adapter refuses: the refusal's first token, and the margins of the held-out questions.

    In hundredths of a nat. None where the run has no held-out questions short enough, or their task no refusal.
    """
    rows = read_held_out(folder)
    refusal = task_named(rows[0]["task"]).refusal if rows else ""
    template, tokenizer = load_chat_template(prepared.base), load_tokenizer(prepared.base / "tokenizer.json")
    answer = tokenizer.encode(refusal, add_special_tokens=False).ids
    if not answer:
        return None
    limit = longest_row(prepared.base, prepared.config) - len(answer)
    prompts: dict[str, list[tuple[int, ...]]] = {"answerable": [], "unanswerable": []}
    for row in rows:
        prompt = tokenizer.encode(render(row["messages"], template=template), add_special_tokens=False).ids
        if len(prompt) <= limit:
            prompts[row["kind"]].append(tuple(prompt))
    if not any(prompts.values()):
        return None
    margins = {
        kind: [round(margin, 2) for margin in refusal_margins(prepared.model, found, answer[0])]
        for kind, found in prompts.items()
    }
    return {"task": rows[0]["task"], "token": answer[0], **margins}


def save_peft(model: PeftModel, folder: Path) -> None:
    """The adapter alone, in PEFT's format; the base's embeddings are frozen and stay out of it."""
    model.save_pretrained(str(folder), save_embedding_layers=False)


def _install_over_own(folder: Path, built: Path, name: str, card: Mapping[str, Any]) -> None:
    """
    A resumed run replaces the adapter that it left when it was stopped; anybody else's is refused by install.

    What a person chose for the old one stands for the new one.
    """
    home = folder.parent.parent / "adapters"
    aside = home / f".{name}.{folder.name}"
    shutil.rmtree(aside, ignore_errors=True)
    card_path = home / name / adapters.CARD
    if card_path.is_file() and json.loads(card_path.read_text(encoding="utf-8")).get("run") == folder.name:
        (home / name).rename(aside)
    try:
        adapters.install_adapter(built, home, name, card)
    except TouchstoneError:
        if aside.exists():
            aside.rename(home / name)
        raise
    if (aside / adapters.SETTING).is_file():
        (aside / adapters.SETTING).replace(home / name / adapters.SETTING)
    shutil.rmtree(aside, ignore_errors=True)

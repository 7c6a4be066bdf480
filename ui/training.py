"""Train: choose a run's settings, see what it will take, and start it. What it does then is watched in `training_live`."""

from typing import Any

import gradio as gr

from engine.errors import InvalidInput
from engine.preferring import FEWEST_VOTES
from engine.presets import PRESETS, PURPOSE, Preset
from engine.records import Mode
from engine.training import Method, TrainingConfig, with_preset
from engine.workspace import Workspace
from ui.ask import MODES
from ui.errors import handles, tell
from ui.journey import Part, note, nothing_yet
from ui.preferences import account_of
from ui.training_live import build_live, on_resume

METHODS = [
    ("The dataset's rows", "sft"),
    ("Votes, in pairs: DPO", "dpo"),
    ("Votes, one by one: KTO", "kto"),
]
FROM_VOTES = (
    f"From votes a run goes on from the adapter with the most of them, at the pace of the preset; it takes {FEWEST_VOTES} decided "
    "votes on that adapter. Votes also come into a dataset's next version, and train it as rows."
)
COSTS = [
    (f"{name}, {PURPOSE[name]}: at most {cost['max_minutes']:.0f} minutes or {cost['epochs']:.0f} passes", name)
    for name, cost in PRESETS.items()
]
OUTLIVES = (
    "Training goes on when this page is closed. One run at a time; the next ones wait and start by themselves. Stop keeps an "
    "adapter of what is learned so far."
)


def build(workspace: Workspace) -> Part:
    """Lay the tab out where the caller stands: the form, and below it what runs."""
    empty = nothing_yet(
        "There is nothing to train on yet. Next: load the sample policy above, or your own documents in Dataset."
    )
    with gr.Column(visible=False) as body:
        gr.HTML(note(OUTLIVES), padding=False)
        with gr.Row():
            dataset = gr.Dropdown([], label="Dataset version", allow_custom_value=True, min_width=240)
            adapter = gr.Textbox(label="Name of the adapter", max_lines=1, min_width=240)
        preset = gr.Radio(COSTS, value="balanced", label="Preset")
        method = gr.Radio(METHODS, value="sft", label="What it learns from", info=FROM_VOTES)
        mode = gr.Radio(MODES, value="closed", label="How it learns to answer")
        with gr.Accordion("Advanced", open=False):
            with gr.Row():
                seed = gr.Number(0, precision=0, label="Seed", info="The same seed and data give the same adapter.")
                steps = gr.Number(
                    None, precision=0, label="Steps", info="Empty: as many as the preset's passes and minutes allow."
                )
            trial = gr.Checkbox(
                False, label="Trial first", info="Stops after a tenth of the steps; look at the samples, then resume."
            )
        with gr.Row():
            ask = gr.Button("What will it take?")
            start = gr.Button("Start training", variant="primary")
        estimate = gr.HTML(padding=False, elem_id="train-estimate")
    live = build_live(workspace)
    form = [dataset, adapter, preset, seed, steps, mode, trial, method]

    def config_of(
        title: str | None,
        name: str,
        cost: Preset,
        number: float | None,
        most: float | None,
        how: Mode,
        first: bool,
        way: Method,
    ) -> TrainingConfig:
        if not title:
            raise InvalidInput("Choose a dataset version first.")
        extra = {"max_steps": int(most)} if most else {}
        settings = {"adapter": name.strip(), "dataset": title, "seed": int(number or 0), "mode": how, "trial": first}
        return with_preset(cost, **settings, **extra, method=way)

    @handles(ask.click, inputs=form, outputs=estimate, api_name="estimate", concurrency_limit=1)
    def take(
        title: str | None,
        name: str,
        cost: Preset,
        number: float | None,
        most: float | None,
        how: Mode,
        first: bool,
        way: Method,
    ) -> str:
        return note(f"{workspace.estimate(config_of(title, name or 'unnamed', cost, number, most, how, first, way))}")

    @handles(start.click, inputs=form, outputs=[live.run, *live.outputs], api_name="train", concurrency_limit=1)
    def begin(
        title: str | None,
        name: str,
        cost: Preset,
        number: float | None,
        most: float | None,
        how: Mode,
        first: bool = False,
        way: Method = "sft",
    ) -> dict[Any, Any]:
        config = config_of(title, name, cost, number, most, how, first, way)
        if config.method == "sft":
            return live.chosen(workspace.train(config))
        job, found = workspace.prefer(config)
        tell(account_of(config, found))
        return live.chosen(job)

    go_on = on_resume(live)
    dataset.input(
        lambda title: free_name(workspace, title), dataset, adapter, api_visibility="private", show_progress="hidden"
    )

    def show() -> dict[Any, Any]:
        titles = [version.title for version in workspace.store.datasets()]
        choices = live.choices()
        chosen = live.first()
        return {
            empty: gr.update(visible=not titles),
            body: gr.update(visible=bool(titles)),
            dataset: gr.update(choices=titles, value=titles[0] if titles else None),
            adapter: free_name(workspace, titles[0] if titles else ""),
            live.run: gr.update(choices=choices, value=chosen),
            live.beside: gr.update(choices=choices, value=[], visible=len(choices) > 1),
            **live.watched(chosen, None, ""),
        }

    outputs = [empty, body, dataset, adapter, live.run, live.beside, *live.outputs]
    return Part(outputs, show, [], [begin.success, go_on.success, live.status.change])


def free_name(workspace: Workspace, title: str | None) -> str:
    """A name for the next adapter that is not taken: "leave-1", then "leave-1b", …"""
    stem = (title or "").replace(":", "-")
    taken = set(workspace.model_names())
    return next(name for letter in ("", *"bcdefghijklmnopqrstuvwxyz", "-new") if (name := stem + letter) not in taken)

"""Models: the base and every adapter with its card, which is live and why, when one refuses, and handing one on as files."""

from pathlib import Path
from typing import Any

import gradio as gr

from engine import registry
from engine.adapters import read_adapter
from engine.errors import InvalidInput
from engine.refusing import Setting, choose, elsewhere, setting, setting_at, setting_of
from engine.tasks.policy_qa import POLICY_QA
from engine.workspace import BASE, Workspace
from evals import promotion
from ui.errors import handles, shown_to_user
from ui.journey import Part, note, nothing_yet
from ui.refusals import in_words, percent
from ui.tables import (
    HISTORY_HEAD,
    MODEL_HEAD,
    REFUSAL_LINES,
    card_text,
    history_rows,
    model_rows,
    refusal_points,
    table,
)

TODAY = "Today: the live model is the one Ask answers with; files are handed over for llama.cpp and Ollama."


def build(workspace: Workspace) -> Part:
    """Lay the tab out where the caller stands. What is handed over lies in the workspace, under handover/NAME."""
    empty = nothing_yet("There is only the base model. Next: train an adapter in the Train tab.")
    with gr.Column(visible=False) as body:
        gr.HTML(note(TODAY), padding=False)
        listed = table(MODEL_HEAD, label="Models")
        with gr.Row():
            chosen = gr.Dropdown([], label="Model", allow_custom_value=True, min_width=240)
            reason = gr.Textbox("", label="Reason", placeholder="Why now?", max_lines=1, scale=2, min_width=240)
            override = gr.Textbox(
                "",
                label="Override",
                placeholder="Why, though the gate does not say so",
                max_lines=1,
                scale=2,
                min_width=240,
            )
        gate = gr.HTML(padding=False)
        with gr.Row():
            promote = gr.Button("Make it live", variant="primary")
            back = gr.Button("Roll back to the one before")
            as_folder = gr.Button("Hand over as folder for Ollama")
            as_gguf = gr.Button("Hand over adapter as GGUF")
        said = gr.Textbox(label="What happened", interactive=False, visible=False)
        with gr.Row():
            card = gr.Textbox(label="Card", interactive=False, lines=8, max_lines=24)
            history = table(HISTORY_HEAD, label="What went live", widths=["21%", "15%", "15%", "19%", "30%"])
        with gr.Column(visible=False) as refusing:
            curve = gr.LinePlot(
                x="nats", y="percent", color="line", x_title="nats held back", y_title="questions, %",
                color_title=" ", colors_in_legend=REFUSAL_LINES, y_lim=[0, 100], height=280, buttons=[],
                title="When it refuses: held-out questions", show_label=False,  # a label would push the legend out of sight
            )  # fmt: skip
            with gr.Row():
                least = gr.Slider(1, 100, step=1, label="Refuses at least … % of what the policies do not say", scale=3)
                keep = gr.Button("Save")
            comes_to = gr.HTML(padding=False)
    view, refusals = [listed, history, card, gate], [refusing, curve, least, comes_to]

    def carded(name: str | None) -> str:
        if not name or name == BASE:
            return "The embedded SmolLM2-135M-Instruct, untouched."
        adapter = read_adapter(workspace.adapters_dir, name)
        shown = {key: value for key, value in adapter.card.items() if key != "refusal"}  # its margins are drawn below
        return card_text({"adapter": adapter.name, "base": adapter.base, "sha256": adapter.digest, **shown})

    def refuses(name: str | None) -> dict[Any, Any]:
        found = None if not name or name == BASE else setting(read_adapter(workspace.adapters_dir, name), POLICY_QA)
        if found is None:
            return {refusing: gr.update(visible=False)}
        return {refusing: gr.update(visible=True), least: round(100 * found.least_refused, 2), **drawn(found)}

    def drawn(found: Setting) -> dict[Any, Any]:
        return {curve: refusal_points(found), comes_to: note(in_words(found))}

    def seen(name: str | None) -> dict[Any, Any]:
        live = registry.live_model(workspace.store, POLICY_QA.name)
        return {
            listed: model_rows(BASE, workspace.adapters(), live),
            history: history_rows(workspace.store.promotions(POLICY_QA.name)),
            card: carded(name),
            gate: judged(name, live),
        }

    def judged(name: str | None, live: str) -> str:
        """What the gate would say now; a name that is no model here is left to whoever asked for it."""
        if not name or name == live or name not in workspace.model_names():
            return ""
        return note(f"The gate: {promotion.standing(workspace, POLICY_QA, name).says}")

    def told(sentence: str, name: str | None) -> dict[Any, Any]:
        return {said: gr.update(value=sentence, visible=True), **seen(name)}

    @handles(promote.click, inputs=[chosen, reason, override], outputs=[said, *view], api_name="promote")
    def make_live(name: str, why: str, against: str) -> dict[Any, Any]:
        if name not in workspace.model_names():
            raise InvalidInput("Choose a model from the list first.")
        found = promotion.promote(workspace, POLICY_QA, name, reason=why, override=against)
        return told(f"{name} is live: Ask answers with it. The gate: {found.outcome}.", name)

    @handles(back.click, inputs=[chosen, reason], outputs=[said, *view], api_name="rollback")
    def roll_back(name: str, why: str) -> dict[Any, Any]:
        live = registry.rollback(workspace, POLICY_QA, reason=why.strip())
        return told(f"{live} is live again.", name)

    @handles(as_folder.click, inputs=chosen, outputs=[said, *view], api_name="hand_over")
    def folder(name: str) -> dict[Any, Any]:
        adapter = read_adapter(workspace.adapters_dir, name)
        files = registry.hand_over(workspace, adapter, POLICY_QA, _handover(workspace) / adapter.name)
        lines = "\n".join(f"{file.stat().st_size / 2**20:.1f} MiB  {file}" for file in files)
        ready = f"Ready: cd {files[0].parent} && ollama create {adapter.name.lower()} -f Modelfile"
        return told("\n".join(filter(None, [lines, ready, elsewhere(setting(adapter, POLICY_QA))])), name)

    @handles(as_gguf.click, inputs=chosen, outputs=[said, *view], api_name="hand_over_gguf")
    def gguf(name: str) -> dict[Any, Any]:
        adapter = read_adapter(workspace.adapters_dir, name)
        file = registry.copy_gguf(adapter, _handover(workspace) / f"{adapter.name}.gguf")
        written = f"{file.stat().st_size / 2**20:.1f} MiB  {file}"
        return told("\n".join(filter(None, [written, elsewhere(setting(adapter, POLICY_QA))])), name)

    @handles(keep.click, inputs=[chosen, least], outputs=[said, *refusals], api_name="refuse_at_least")
    def save(name: str, asked: float) -> dict[Any, Any]:
        choose(read_adapter(workspace.adapters_dir, name), asked / 100)
        sentence = (
            f"{name} refuses at least {percent(asked / 100)} of such questions from now on, wherever it answers here."
        )
        return {said: gr.update(value=sentence, visible=True), **refuses(name)}

    def preview(name: str, asked: float) -> dict[Any, Any]:
        margins = setting_of(read_adapter(workspace.adapters_dir, name)).margins
        return drawn(setting_at(margins, asked / 100))

    def details(name: str | None) -> dict[Any, Any]:
        return {
            card: carded(name),
            gate: judged(name, registry.live_model(workspace.store, POLICY_QA.name)),
            **refuses(name),
        }

    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    least.release(shown_to_user(preview), [chosen, least], [curve, comes_to], **quiet)
    chosen.input(shown_to_user(details), chosen, [card, gate, *refusals], **quiet)

    def show() -> dict[Any, Any]:
        names = workspace.model_names()
        newest = names[1] if len(names) > 1 else BASE
        return {
            empty: gr.update(visible=len(names) < 2),
            body: gr.update(visible=len(names) > 1),
            chosen: gr.update(choices=names, value=newest),
            **seen(newest),
            **refuses(newest),
        }

    return Part([empty, body, chosen, *view, *refusals], show, [], [make_live.success, roll_back.success])


def _handover(workspace: Workspace) -> Path:
    folder = workspace.settings.workspace / "handover"
    folder.mkdir(exist_ok=True)
    return folder

"""Models: the base and every adapter with its card, which one is live and why, and handing one on as files."""

from pathlib import Path
from typing import Any

import gradio as gr

from engine import registry
from engine.adapters import read_adapter
from engine.errors import InvalidInput
from engine.refusing import elsewhere, setting
from engine.tasks.policy_qa import POLICY_QA
from engine.workspace import BASE, Workspace
from ui.errors import handles, shown_to_user
from ui.journey import Part, note, nothing_yet
from ui.tables import HISTORY_HEAD, MODEL_HEAD, card_text, history_rows, model_rows, table

TODAY = "Today: the live model is the one Ask answers with; files are handed over for llama.cpp and Ollama."


def build(workspace: Workspace) -> Part:
    """Lay the tab out where the caller stands. What is handed over lies in the workspace, under handover/NAME."""
    empty = nothing_yet("There is only the base model. Next: train an adapter in the Train tab.")
    with gr.Column(visible=False) as body:
        gr.HTML(note(TODAY), padding=False)
        listed = table(MODEL_HEAD, label="Models")
        with gr.Row():
            chosen = gr.Dropdown([], label="Model", allow_custom_value=True, min_width=240)
            reason = gr.Textbox(
                "", label="Reason", placeholder="On what evidence?", max_lines=1, scale=2, min_width=240
            )
        with gr.Row():
            promote = gr.Button("Make it live", variant="primary")
            back = gr.Button("Roll back to the one before")
            as_folder = gr.Button("Hand over as folder for Ollama")
            as_gguf = gr.Button("Hand over adapter as GGUF")
        said = gr.Textbox(label="What happened", interactive=False, visible=False)
        with gr.Row():
            card = gr.Textbox(label="Card", interactive=False, lines=8, max_lines=24)
            history = table(HISTORY_HEAD, label="What went live")
    view = [listed, history, card]

    def carded(name: str | None) -> str:
        if not name or name == BASE:
            return "The embedded SmolLM2-135M-Instruct, untouched."
        adapter = read_adapter(workspace.adapters_dir, name)
        return card_text({"adapter": adapter.name, "base": adapter.base, "sha256": adapter.digest, **adapter.card})

    def seen(name: str | None) -> dict[Any, Any]:
        live = registry.live_model(workspace.store, POLICY_QA.name)
        return {
            listed: model_rows(BASE, workspace.adapters(), live),
            history: history_rows(workspace.store.promotions(POLICY_QA.name)),
            card: carded(name),
        }

    def told(sentence: str, name: str | None) -> dict[Any, Any]:
        return {said: gr.update(value=sentence, visible=True), **seen(name)}

    @handles(promote.click, inputs=[chosen, reason], outputs=[said, *view], api_name="promote")
    def make_live(name: str, why: str) -> dict[Any, Any]:
        if name not in workspace.model_names():
            raise InvalidInput("Choose a model from the list first.")
        registry.promote(workspace, POLICY_QA, name, reason=why.strip())
        return told(f"{name} is live: Ask answers with it.", name)

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
        return told(f"{file.stat().st_size / 2**20:.1f} MiB  {file}", name)

    chosen.input(shown_to_user(carded), chosen, card, api_visibility="private", show_progress="hidden")

    def show() -> dict[Any, Any]:
        names = workspace.model_names()
        newest = names[1] if len(names) > 1 else BASE
        return {
            empty: gr.update(visible=len(names) < 2),
            body: gr.update(visible=len(names) > 1),
            chosen: gr.update(choices=names, value=newest),
            **seen(newest),
        }

    return Part([empty, body, chosen, *view], show, [], [make_live.success, roll_back.success])


def _handover(workspace: Workspace) -> Path:
    folder = workspace.settings.workspace / "handover"
    folder.mkdir(exist_ok=True)
    return folder

"""Evaluate, the gate's rules: the file as it stands, edited in the page."""

from typing import Any

import gradio as gr

from engine.workspace import Workspace
from evals.rules import DEFAULTS, rules_text, save_rules
from ui.errors import handles, tell

SAYS = "Reports made from now on, and every promotion, go by these. An older report keeps the verdict it was given."


def build(workspace: Workspace) -> None:
    """The rules where the caller stands, folded away; read from disk when they are opened."""
    folder = workspace.settings.workspace
    with gr.Accordion("What a model must show before it goes live", open=False) as opened:
        text = gr.Textbox(label="gate.toml", info=SAYS, lines=12, max_lines=40, elem_id="gate-rules")
        with gr.Row():
            keep = gr.Button("Save the rules")
            back = gr.Button("Show the defaults")

    @handles(keep.click, inputs=text, outputs=text, api_name="save_rules")
    def save(edited: str) -> dict[Any, Any]:
        save_rules(folder, edited)
        tell("The rules are saved.")
        return {text: edited}

    back.click(lambda: DEFAULTS, outputs=text, api_visibility="private", show_progress="hidden")
    handles(opened.expand, outputs=text, api_name="rules", show_progress="hidden")(lambda: {text: rules_text(folder)})

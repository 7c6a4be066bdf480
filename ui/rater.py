"""Who is judging: typed once, remembered by this browser alone, shared by Arena and Label."""

import gradio as gr

KEPT_AS = "touchstone-rater"


def rater_field() -> tuple[gr.Textbox, gr.BrowserState]:
    """The field and what the browser remembers; read the second when the tab opens to fill the first."""
    kept = gr.BrowserState("", storage_key=KEPT_AS, secret=KEPT_AS)  # no secret: a name in the visitor's own browser
    rater = gr.Textbox(
        "",
        label="Your name",
        info="Saved with each judgement; typed once.",
        max_length=80,
        max_lines=1,
        elem_classes="rater",
    )
    rater.change(lambda name: name, rater, kept, api_visibility="private", show_progress="hidden", queue=False)
    return rater, kept

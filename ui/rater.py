"""Who is judging: typed once, remembered by this browser alone, shared by Arena and Label."""

import gradio as gr

KEPT_AS = "touchstone-rater"


def remembered_name() -> gr.BrowserState:
    """What the browser remembers. One for the whole page: a second one of the same key would not see the first change."""
    return gr.BrowserState("", storage_key=KEPT_AS, secret=KEPT_AS)  # no secret: a name in the visitor's own browser


def rater_field(kept: gr.BrowserState) -> gr.Textbox:
    """The field; a tab fills it from `kept` when it opens."""
    rater = gr.Textbox(
        "",
        label="Your name",
        info="Saved with each judgement; typed once.",
        max_length=80,
        max_lines=1,
        min_width=240,
    )
    rater.change(lambda name: name, rater, kept, api_visibility="private", show_progress="hidden", queue=False)
    return rater

"""Ask: talk to the live model or another one, and see afterwards which clause is closest to what it said."""

from collections.abc import Iterator, Sequence
from functools import partial
from html import escape
from typing import Any

import gradio as gr

from engine.errors import InvalidInput, NotFound
from engine.grounding import used_otherwise
from engine.records import Decoding, Mode, Passage
from engine.registry import live_model
from engine.search import closest_passage, finder
from engine.tasks.policy_qa import POLICY_QA
from engine.workspace import Workspace
from ui.errors import handles
from ui.journey import Part, note, nothing_yet
from ui.tables import place

MODES = [("From memory (closed book)", "closed"), ("With the best clauses in the prompt (grounded)", "grounded")]
EXAMPLES = 6
QUOTE = 240


def build(workspace: Workspace) -> Part:
    """Lay the tab out where the caller stands. Each question stands alone: the model does not read the talk before it."""
    empty = nothing_yet(
        "There is nothing to ask about yet. Next: load the sample policy above, or your own documents in Dataset."
    )
    with gr.Column(visible=False) as body:
        with gr.Row():
            model = gr.Dropdown(
                [],
                label="Model",
                allow_custom_value=True,
                info="The live one unless you choose another.",
                min_width=280,
            )
            mode = gr.Radio(MODES, value="closed", label="How it answers", min_width=280)
        otherwise = gr.HTML(padding=False, visible=False)
        chat = gr.Chatbot(
            label="Answers",
            height=380,
            render_markdown=False,
            allow_tags=False,
            reasoning_tags=[],
            feedback_options=None,
            group_consecutive_messages=False,
            buttons=[],
            placeholder="Ask something your policies say, or something they do not.",
        )
        question = gr.Textbox(
            label="Question",
            placeholder="How many days of leave …?",
            submit_btn="Ask",
            max_lines=4,
            elem_id="ask-question",
        )
        with gr.Row():
            stop = gr.Button("Stop", size="sm")
            clear = gr.Button("Clear", size="sm")
        examples = gr.Dataset(
            components=[gr.Textbox(visible=False)], samples=[], label="Held-out questions, never seen in training"
        )

    @handles(
        question.submit,
        inputs=[question, chat, model, mode],
        outputs=[chat, question],
        api_name="ask",
        concurrency_limit=4,
        show_progress="minimal",
    )
    def ask(text: str, history: list[Any], name: str, how: Mode) -> Iterator[dict[Any, Any]]:
        asked = " ".join(text.split())
        if not asked:
            raise InvalidInput("The question is empty. Type one, or pick an example below.")
        chosen = workspace.model(offered(workspace, [name])[0])
        said = [*history, _bubble(asked, role="user")]
        yield {chat: [*said, _bubble("…")], question: ""}
        given, answer = finder(workspace.store, how)(asked), ""
        for piece in chosen.stream(POLICY_QA.messages(asked, given), Decoding()):
            answer += piece
            yield {chat: [*said, _bubble(answer)]}
        if given:
            shown = "\n\n".join(f"Given to the model: {place(excerpt)}\n{excerpt.text}" for excerpt in given)
        else:
            shown = _closest(closest_passage(workspace.store, f"{asked} {answer}"))
        yield {chat: [*said, _bubble(answer.strip()), _bubble(shown)]}

    warn_of_mode(workspace, model, mode, otherwise, api_name="ask_otherwise")
    stop.click(None, cancels=[ask], api_visibility="private")
    clear.click(lambda: [], outputs=chat, api_visibility="private", show_progress="hidden")
    examples.click(lambda sample: sample[0], examples, question, api_visibility="private", show_progress="hidden")

    def show() -> dict[Any, Any]:
        versions = workspace.store.datasets()
        live = live_model(workspace.store, POLICY_QA.name)
        choices = [(f"{name} (live)" if name == live else name, name) for name in workspace.model_names()]
        return {
            empty: gr.update(visible=not versions),
            body: gr.update(visible=bool(versions)),
            model: gr.update(choices=choices, value=live),
            examples: gr.update(samples=[[text] for text in held_out_questions(workspace)]),
        }

    return Part([empty, body, model, examples], show)


def offered(workspace: Workspace, names: Sequence[str]) -> list[str]:
    """
    `names`, if all of them are models of this workspace; raises NotFound naming those there are.

    The command line also takes servers and folders; a visitor of the page does not choose what this machine connects to.
    """
    known = workspace.model_names()
    for name in names:
        if name not in known:
            raise NotFound(f'There is no model "{name}" in this workspace. Choose from: {", ".join(known)}.')
    return list(names)


def warn_of_mode(workspace: Workspace, models: Any, mode: gr.Radio, says: gr.HTML, *, api_name: str) -> None:
    """Keep one sentence on the page while an adapter is to answer in another mode than it was trained in."""

    either = partial(gr.on, [models.change, mode.change])

    @handles(either, inputs=[models, mode], outputs=says, api_name=api_name, show_progress="hidden")
    def look(chosen: str | list[str] | None, how: Mode) -> dict[Any, Any]:
        names = [chosen] if isinstance(chosen, str) else chosen or []
        found = used_otherwise(workspace.adapters(), names, how)
        return {says: gr.update(value=note(found), visible=bool(found))}


def held_out_questions(workspace: Workspace, *, limit: int = EXAMPLES) -> list[str]:
    """Questions of the newest version that no training row holds: some it should know, some nobody could."""
    versions = workspace.store.datasets()
    if not versions:
        return []
    rows = [row for row in workspace.store.rows(versions[0].id, split="probe") if row.example.question]
    known = [row.example.question for row in rows if row.example.kind == "answerable"]
    unknown = [row.example.question for row in rows if row.example.kind == "unanswerable"]
    return known[: limit - 2] + unknown[:2]


def _bubble(text: str, *, role: str = "assistant") -> dict[str, str]:
    """What a model or a document says, as text: gradio's chat takes its content for HTML, even without Markdown."""
    return {"role": role, "content": escape(text, quote=False)}


def _closest(passage: Passage | None) -> str:
    if passage is None:
        return "No clause shares a word with this question and its answer."
    return f"Closest clause, found afterwards and not given to the model: {place(passage)}: “{_quoted(passage.text)}”"


def _quoted(text: str) -> str:
    return text if len(text) <= QUOTE else text[:QUOTE].rsplit(" ", 1)[0] + " …"

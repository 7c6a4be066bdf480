"""The page: its head with the one next step, eight tabs, and the server that shows it on this machine alone."""

from collections.abc import Callable
from typing import Any

import gradio as gr

from engine.errors import Unavailable
from engine.workspace import Workspace
from ui import arena, ask, dataset, dataset_exchange, dataset_making, evaluation, labelling, ledger, models, training
from ui.errors import handles, shown_to_user
from ui.journey import Part, as_html, standing
from ui.rater import remembered_name
from ui.theme import CSS, KEYS, theme

TITLE = "Touchstone"
TAGLINE = "From policy document to a tuned model, proven blind."
GREETING = """## Welcome. There is nothing here yet.

Start with our sample, a leave and benefits policy of about a dozen pages: it is read, turned into questions with answers, and
checked row by row. Half a minute later you can train on it. Or drop your own documents in the Dataset tab."""
MOST_BYTES = "64mb"
QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}


def build(workspace: Workspace) -> gr.Blocks:
    """The whole page over one workspace. A tab reads the disk when it is opened, so no tab shows yesterday's state."""
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(3600, 24 * 3600)) as page:
        with gr.Column(elem_classes="masthead"):
            gr.Markdown(f"# {TITLE}")
            gr.HTML(f'<p class="tagline">{TAGLINE}</p>', padding=False)
            loop = gr.HTML(padding=False)
            with gr.Column(visible=False, elem_classes="greeting") as greeting:
                gr.Markdown(GREETING)
                sample = gr.Button("Load the sample policy", variant="primary", elem_id="load-sample")
                loaded = gr.Textbox(label="Loading", interactive=False, visible=False)
            go = gr.Button("Next step", size="sm", variant="primary", visible=False, elem_id="next-step")
        kept = remembered_name()
        lay_out: dict[str, Callable[[], Part]] = {
            "Ask": lambda: ask.build(workspace),
            "Dataset": lambda: dataset.build(workspace, kept),
            "Train": lambda: training.build(workspace),
            "Arena": lambda: arena.build(workspace, kept),
            "Label": lambda: labelling.build(workspace, kept),
            "Evaluate": lambda: evaluation.build(workspace),
            "Facts": lambda: ledger.build(workspace),
            "Models": lambda: models.build(workspace),
        }
        parts: dict[str, Part] = {}
        opened: dict[str, gr.Tab] = {}
        with gr.Tabs(selected="ask", elem_id="tabs") as tabs:
            for title, build_tab in lay_out.items():
                key = title.lower()
                with gr.Tab(title, id=key, elem_id=f"tab-{key}") as opened[key]:
                    parts[key] = build_tab()

        head = [loop, greeting, go]

        def show_head() -> dict[Any, Any]:
            now = standing(workspace)
            return {
                loop: as_html(now),
                greeting: gr.update(visible=now.empty),
                go: gr.update(visible=not now.empty, value=now.button),
            }

        for key, part in parts.items():
            opened[key].select(shown_to_user(part.show), list(part.inputs), list(part.outputs), **QUIET)
            opened[key].select(shown_to_user(show_head), outputs=head, **QUIET)
            for changed in part.changed:
                changed(show_head, outputs=head, **QUIET)
        page.load(shown_to_user(show_head), outputs=head, **QUIET)
        page.load(shown_to_user(parts["ask"].show), list(parts["ask"].inputs), list(parts["ask"].outputs), **QUIET)
        go.click(lambda: gr.Tabs(selected=standing(workspace).tab), outputs=tabs, **QUIET)
        _greet(workspace, sample, loaded, tabs, show_head, head)
    return page


def _greet(
    workspace: Workspace,
    sample: gr.Button,
    loaded: gr.Textbox,
    tabs: gr.Tabs,
    show_head: Callable[[], dict[Any, Any]],
    head: list[Any],
) -> None:
    """The one button of an empty workspace: load, begin to generate, and lead on to Dataset, where the funnel fills."""
    sample.click(lambda: gr.update(visible=True, value="Reading …"), outputs=loaded, **QUIET)

    @handles(
        sample.click,
        outputs=[loaded, tabs],
        api_name="load_sample",
        concurrency_limit=1,
        concurrency_id="generate",
    )
    def load() -> dict[Any, Any]:
        job = dataset_making.load_sample(workspace)
        return {loaded: gr.update(value=f"{job.title} has begun.", visible=True), tabs: gr.Tabs(selected="dataset")}

    load.success(show_head, outputs=head, **QUIET)


def open_page(workspace: Workspace, *, host: str = "127.0.0.1", port: int = 7860) -> gr.Blocks:
    """
    Serve without blocking; `page.local_url` is its address and `page.close()` ends it.

    No share link, no call to any other host, no record of what was asked in the visitor's browser. Files are handed out
    from the workspace's exports folder alone. Raises Unavailable when the port is taken.
    """
    page = build(workspace)
    page.queue(default_concurrency_limit=4)
    try:
        page.launch(
            server_name=host,
            server_port=port,
            share=False,
            quiet=True,
            prevent_thread_lock=True,
            ssr_mode=False,
            run_history=False,
            mcp_server=False,
            enable_monitoring=False,
            _frontend=False,  # gradio would ask for the page within three seconds and give up on a busy machine
            max_file_size=MOST_BYTES,
            footer_links=["api", "settings"],
            theme=theme(),
            css=CSS,
            js=KEYS,
            allowed_paths=[str(dataset_exchange.exports(workspace))],
            blocked_paths=[str(workspace.store.path)],
        )
    except OSError:
        raise Unavailable(f"Port {port} of {host} is taken or not ours. Choose another with --port.") from None
    return page


def serve(workspace: Workspace, *, host: str = "127.0.0.1", port: int = 7860) -> None:
    """Serve until the process is interrupted. Raises Unavailable when the port is taken."""
    page = open_page(workspace, host=host, port=port)
    print(f"Touchstone is at {page.local_url}  (Ctrl-C ends it; training goes on)", flush=True)  # noqa: T201
    page.block_thread()

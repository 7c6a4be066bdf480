"""The page as a whole: light to start, closed to the outside, and one obvious next step."""

import os
import re
import socket
import subprocess
import sys

import httpx
import pytest

from engine.errors import Unavailable
from engine.settings import PROJECT
from tests.page import made, served, stand_in_workspace, visiting
from ui import shell


@pytest.fixture
def workspace(tmp_path):
    return stand_in_workspace(tmp_path / "workspace")


def test_importing_the_page_loads_no_model_library():
    script = (
        "import sys, ui.shell; print([m for m in ('torch', 'transformers', 'peft', 'xllamacpp') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_importing_gradio_rewrites_no_editor_stub():
    script = (
        "import ui.shell, gradio.component_meta as meta, gradio as gr; "
        "print(meta.create_or_modify_pyi.__module__, callable(gr.Textbox.change), callable(gr.Chatbot.like))"
    )
    found = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["ui.quick_start", "True", "True"]


def test_building_and_serving_the_page_loads_no_model_library(tmp_path):
    script = (
        "import sys; from pathlib import Path; from tests.page import served, stand_in_workspace\n"
        f"import httpx\nwith served(stand_in_workspace(Path({str(tmp_path)!r}))) as url: assert httpx.get(url).is_success\n"
        "print([m for m in ('torch', 'transformers', 'peft', 'xllamacpp') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert found.stdout.strip().splitlines()[-1] == "[]"


def test_a_companys_proxy_is_not_asked_for_the_page_of_this_machine(tmp_path):
    script = (
        "from engine.settings import go_quiet; go_quiet()\n"
        "from pathlib import Path; from tests.page import served, stand_in_workspace\n"
        f"import httpx\nwith served(stand_in_workspace(Path({str(tmp_path)!r}))) as url: print(httpx.get(url).status_code)\n"
    )
    nobody = dict.fromkeys(("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"), "http://127.0.0.1:9")
    found = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT, env=os.environ | nobody, capture_output=True, text=True
    )
    assert found.stdout.strip().splitlines()[-1:] == ["200"], found.stderr


def test_eight_tabs_in_the_order_of_the_loop(workspace):
    config = shell.build(workspace).get_config_file()
    found = [part["props"] for part in config["components"] if part["type"] == "tabitem"]
    tabs = [tab["label"] for tab in found if tab.get("elem_id", "").startswith("tab-")]
    assert tabs == ["Ask", "Dataset", "Train", "Arena", "Label", "Evaluate", "Facts", "Models"]


def test_a_taken_port_is_one_sentence_that_names_the_option(workspace):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(Unavailable, match=rf"Port {port} .* taken.*--port"):
            shell.open_page(workspace, port=port)


def test_no_file_of_the_workspace_is_handed_out_but_exports(workspace):
    (workspace.settings.workspace / "exports").mkdir()
    exported = workspace.settings.workspace / "exports" / "rows.jsonl"
    exported.write_text("mine")
    adapter = workspace.settings.workspace / "adapters" / "card.json"
    adapter.write_text("{}")
    with served(workspace) as url:
        assert httpx.get(f"{url}gradio_api/file={exported}").text == "mine"
        for kept in (workspace.store.path, adapter, PROJECT / "app.py", "/etc/passwd"):
            assert httpx.get(f"{url}gradio_api/file={kept}").status_code in (403, 404)


def test_the_page_asks_no_other_host_for_anything_it_names_up_front(workspace):
    with served(workspace) as url:
        page = httpx.get(url).text
        styles = httpx.get(f"{url}theme.css").text
    loaded = re.findall(r"""<(?:script|link|img)[^>]+(?:src|href)=["'](https?:[^"']+)""", page)
    assert [address for address in loaded if not address.startswith(url)] == []
    assert re.findall(r"(?:@import|url\()\s*[\"']?https?:", styles) == []


def test_nothing_is_counted_for_others_and_nothing_kept_of_what_was_asked(workspace):
    with served(workspace) as url:
        config = httpx.get(f"{url}config").json()
    assert config["analytics_enabled"] is False and config["run_history"] is False


def test_the_one_button_of_an_empty_workspace_begins_a_dataset_that_goes_on_when_the_page_is_closed(workspace):
    with visiting(workspace) as client:
        said = client.predict(api_name="/load_sample")["value"]
    assert said == "Generating leave:1 has begun." and workspace.store.datasets() == []
    assert made(workspace).state == "done"
    (version,) = workspace.store.datasets()
    assert version.title == "leave:1" and version.counts["train"] > 1000

"""The whole loop in a real browser on the real model: load, generate, train, ask, vote, reveal, and the vote is in SQLite."""

import re
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import replace

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from engine.generation import make_version
from engine.settings import Settings
from engine.tasks.policy_qa import POLICY_QA
from engine.workspace import Workspace
from tests.models import EchoModel
from tests.page import POLICY, add_policy, served, stand_in_workspace

ARGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)
SCRIPT = "<img src=x onerror=\"document.title='broken into'\">"
TEMPLATE = "${document.title='broken into'} {{title}}"
TRAINING_MS = 240_000


@pytest.fixture(scope="module")
def chromium():
    """The system's Chromium, else the one that `make test` installed for Playwright."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=ARGS.split())
        yield browser
        browser.close()


@pytest.fixture
def page(chromium) -> Iterator[Page]:
    """A visitor with an empty browser; what it asks other hosts for is kept in `page.foreign`."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(30_000)
    yield page
    context.close()


def open_tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).click()


def train_a_few_steps(page: Page) -> None:
    """Three steps through the form; nobody reloads the page, its timer shows the end."""
    page.get_by_label("Name of the adapter").fill("first")
    page.get_by_text("Advanced", exact=True).click()
    page.get_by_label("Steps").fill("3")
    page.get_by_role("button", name="Start training").click()
    expect(page.get_by_text("The adapter first is ready.")).to_be_visible(timeout=TRAINING_MS)


def vote_for_b(page: Page) -> None:
    """Ask both, wait for both, and answer with the key B; before the vote nothing tells who is who."""
    open_tab(page, "Arena")
    page.get_by_label("Your name").locator("visible=true").fill("Ann")
    page.locator("#arena-question textarea").fill("How many days of annual leave do I get?")
    page.locator("#arena-question textarea").press("Enter")
    expect(page.locator("#arena-b")).to_be_enabled(timeout=240_000)
    assert page.locator("#arena-reveal").count() == 0 or not page.locator("#arena-reveal").is_visible()
    page.get_by_role("heading", name="Touchstone").click()
    page.keyboard.press("b")
    expect(page.locator("#arena-names")).to_be_visible(timeout=30_000)
    assert not page.locator("#arena-reveal").is_visible()
    page.keyboard.press("r")
    expect(page.locator("#arena-reveal")).to_be_visible()


def test_a_visitor_walks_the_whole_loop_and_the_vote_is_in_sqlite(page, tmp_path):
    settings = replace(Settings.read(), workspace=tmp_path / "workspace")
    workspace = Workspace.open(settings, seed=0)
    requested: set[str] = set()
    page.on("request", lambda request: requested.add(request.url))
    try:
        with served(workspace) as url:
            page.goto(url)
            page.locator("#load-sample").click()
            expect(page.locator("#dataset-rows")).to_be_visible(timeout=240_000)
            page.locator("#next-step", has_text="Go to Train").click()
            train_a_few_steps(page)
            open_tab(page, "Ask")
            page.locator("#ask-question textarea").fill("How many days of annual leave do I get?")
            page.locator("#ask-question textarea").press("Enter")
            expect(page.get_by_text("Closest clause, found afterwards")).to_be_visible(timeout=240_000)
            vote_for_b(page)
            (vote,) = workspace.store.votes()
            battle = workspace.store.battle(vote.battle_id)
            names = f"A was {battle.model_a}, B was {battle.model_b}. You found {battle.model_b} better."
            expect(page.locator("#arena-reveal textarea")).to_have_value(names)
            open_tab(page, "Dataset")
            page.get_by_role("button", name="Next version from votes and labels").click()
            said = page.locator("#dataset-said textarea")
            expect(said).to_have_value(
                re.compile(rf"^leave:2: .*\nVote {vote.id} by Ann: B is better, on"), timeout=240_000
            )
    finally:
        workspace.close()
    rows = sqlite3.connect(workspace.store.path).execute("SELECT rater, choice FROM votes").fetchall()
    assert rows == [("Ann", "b")]
    assert {battle.model_a, battle.model_b} == {"base", "first"}
    assert workspace.store.dataset("leave:2").recipe["votes"] == [vote.id]
    assert [address for address in requested if not address.startswith((url, "data:", "blob:"))] == []


def test_a_dataset_is_made_watched_read_and_judged_by_keyboard_and_the_label_is_in_sqlite(page, tmp_path):
    workspace = stand_in_workspace(tmp_path / "workspace")
    (tmp_path / "leave.md").write_text(POLICY)
    with served(workspace) as url:
        page.goto(url)
        open_tab(page, "Dataset")
        page.locator("input[type=file]").first.set_input_files(tmp_path / "leave.md")
        expect(page.get_by_text("leave.md")).to_be_visible(timeout=60_000)
        page.get_by_role("button", name="Generate", exact=True).click()
        expect(page.locator("#dataset-funnel")).to_contain_text("Proposed", timeout=60_000)
        expect(page.locator("#dataset-status")).to_contain_text("Generating policies:1")
        expect(page.locator("#dataset-rows")).to_be_visible(timeout=120_000)
        expect(page.locator("#dataset-funnel")).to_be_hidden()
        page.get_by_label("Your name").locator("visible=true").fill("Ann")
        page.get_by_label("Search").locator("visible=true").press_sequentially(
            "first class"
        )  # its letters are no keys here
        expect(page.locator("#dataset-rows")).not_to_contain_text("annual leave")
        page.get_by_role("heading", name="Touchstone").click()
        page.keyboard.press("j")
        expect(page.locator("#dataset-question textarea")).not_to_have_value("")
        question = page.locator("#dataset-question textarea").input_value()
        expect(page.locator("#dataset-row .evidence")).to_contain_text("may be booked in first class")
        page.keyboard.press("r")
        expect(page.locator("#dataset-judged textarea")).to_have_value(re.compile("^Row 1 rejected; U takes it back."))
    version = workspace.store.dataset("policies:1")
    found = sqlite3.connect(workspace.store.path).execute("SELECT example_id, rater, verdict FROM labels").fetchall()
    assert [(workspace.store.row(version.id, row[0]).example.question, *row[1:]) for row in found] == [
        (question, "Ann", "wrong")
    ]


def test_what_models_documents_and_people_write_stays_text(page, tmp_path):
    models = (EchoModel("base", SCRIPT), EchoModel("tuned", TEMPLATE))
    workspace = stand_in_workspace(tmp_path / "workspace", *models)
    hostile = POLICY.replace("2 Sick leave", f"2 Sick leave {SCRIPT}").replace("3 Travel", f"3 Travel {TEMPLATE}")
    document = workspace.add_bytes(f"leave {SCRIPT[:8]}.md", hostile.encode())
    make_version(workspace.store, "leave", [document], task=POLICY_QA, now=workspace.now())
    with served(workspace) as url:
        page.goto(url)
        page.locator("#ask-question textarea").fill(f"How many days of sick leave? {SCRIPT}")
        page.locator("#ask-question textarea").press("Enter")
        expect(page.get_by_text("Closest clause, found afterwards")).to_be_visible()
        expect(page.get_by_text(SCRIPT, exact=True)).to_be_visible()  # the answer, letter by letter
        open_tab(page, "Arena")
        page.get_by_label("Your name").locator("visible=true").fill(SCRIPT)
        page.locator("#arena-question textarea").fill(SCRIPT)
        page.locator("#arena-question textarea").press("Enter")
        expect(page.locator("#arena-a")).to_be_enabled()
        page.locator("#arena-a").click()
        page.locator("#arena-names").click()
        expect(page.locator("#arena-reveal")).to_be_visible()
        for name in ("Dataset", "Label", "Train", "Evaluate", "Models"):
            open_tab(page, name)
            page.wait_for_timeout(1000)
        assert page.title() == "Touchstone" and page.locator("img[src='x']").count() == 0


def test_an_error_is_shown_as_text_with_its_next_step(page, tmp_path):
    workspace = stand_in_workspace(tmp_path / "workspace")
    add_policy(workspace)
    with served(workspace) as url:
        page.goto(url)
        open_tab(page, "Train")
        page.get_by_label("Name of the adapter").fill(SCRIPT)
        page.get_by_role("button", name="Start training").click()
        expect(page.get_by_text("Use up to 64 letters", exact=False)).to_be_visible()
        assert page.title() == "Touchstone" and page.locator("img[src='x']").count() == 0


def test_the_name_is_typed_once_for_every_tab_and_visit(page, tmp_path):
    workspace = stand_in_workspace(tmp_path / "workspace")
    add_policy(workspace)
    with served(workspace) as url:
        page.goto(url)
        open_tab(page, "Arena")
        page.get_by_label("Your name").locator("visible=true").fill("Ann")
        page.wait_for_timeout(800)
        open_tab(page, "Label")
        expect(page.get_by_label("Your name").locator("visible=true")).to_have_value("Ann")
        page.reload()
        open_tab(page, "Arena")
        expect(page.get_by_label("Your name").locator("visible=true")).to_have_value("Ann")


def test_an_empty_workspace_greets_with_one_button_and_every_tab_names_the_next_step(page, tmp_path):
    workspace = Workspace.open(replace(Settings.read(), workspace=tmp_path / "workspace"), seed=0)
    with served(workspace) as url:
        page.goto(url)
        expect(page.locator("#load-sample")).to_be_visible()
        for name in ("Ask", "Train", "Arena", "Label", "Evaluate", "Models"):
            open_tab(page, name)
            expect(page.locator(".block.empty-state").locator("visible=true")).to_contain_text("Next:")
            assert page.get_by_role("tabpanel").locator("button, textarea").locator("visible=true").count() == 0


def test_the_page_fits_a_telephone(chromium, tmp_path):
    workspace = stand_in_workspace(tmp_path / "workspace")
    add_policy(workspace)
    context = chromium.new_context(viewport={"width": 360, "height": 740})
    with served(workspace) as url:
        page = context.new_page()
        page.goto(url)
        expect(page.locator("#ask-question textarea")).to_be_visible(timeout=30_000)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
    context.close()

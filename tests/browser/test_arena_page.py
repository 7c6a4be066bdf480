"""The Arena in a real browser: read in order A, B, choices; usable at 360 px, by keys alone, and found again after a reload."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_loop import chromium, page  # noqa: F401
from tests.models import EchoModel, PacedModel
from tests.page import add_policy, served, stand_in_workspace

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
SOON_MS = 30_000
SECRETS = ("quartz",)


def in_the_arena(page: Page, url: str, *, rater: str = "Ann") -> None:  # noqa: F811
    page.goto(url)
    page.locator("#next-step").click(timeout=60_000)
    name = page.get_by_label("Your name").locator("visible=true")
    name.fill(rater)
    name.press("Tab")


def ask(page: Page, question: str) -> None:  # noqa: F811
    page.locator("#arena-question textarea").fill(question)
    page.locator("#arena-question textarea").press("Enter")
    expect(page.locator("#arena-b")).to_be_enabled(timeout=60_000)


def test_a_rater_votes_by_keys_alone_and_finds_the_open_battle_again_after_a_reload(page, tmp_path):  # noqa: F811
    workspace = stand_in_workspace(tmp_path / "w", PacedModel("base", 0.005), PacedModel(SECRETS[0], 0.01))
    add_policy(workspace)
    with served(workspace) as url:
        in_the_arena(page, url)
        heard: list[str] = []
        page.on("response", lambda response: heard.append(str(response.headers)))
        ask(page, "How much leave?")
        shown = [page.locator(f"#arena-answer-{side} textarea").input_value() for side in "ab"]
        (battle,) = workspace.store.battles()
        assert shown == [battle.answer_a, battle.answer_b]
        assert SECRETS[0] not in page.locator("#tab-arena, [role=tabpanel]").locator("visible=true").first.inner_html()
        assert not any(SECRETS[0] in line for line in heard)
        page.reload()
        page.locator("#next-step").click(timeout=60_000)
        expect(page.locator("#arena-answer-a textarea")).to_have_value(shown[0], timeout=30_000)
        expect(page.locator("#arena-answer-b textarea")).to_have_value(shown[1])
        page.get_by_role("heading", name="Touchstone").click()
        page.keyboard.press("?")
        expect(page.locator("#arena-keys-list")).to_be_visible(timeout=SOON_MS)
        page.keyboard.press("1")
        expect(page.locator("#arena-undo")).to_be_visible(timeout=SOON_MS)
        page.keyboard.press("u")
        expect(page.locator("#arena-status")).to_contain_text("Taken back.", timeout=SOON_MS)
        expect(page.locator("#arena-b")).to_be_enabled(timeout=SOON_MS)
        page.keyboard.press("2")
        expect(page.locator("#arena-names")).to_be_visible(timeout=SOON_MS)
        page.keyboard.press("r")
        expect(page.locator("#arena-reveal textarea")).to_have_value(re.compile(SECRETS[0]), timeout=SOON_MS)
        page.keyboard.press("n")
        expect(page.locator("#arena-reveal")).to_be_hidden(timeout=SOON_MS)
    (vote,) = workspace.store.votes()
    assert (vote.battle_id, vote.choice, vote.rater) == (battle.id, "b", "Ann")


def test_the_ballot_has_no_serious_fault_of_access_reads_in_order_and_fits_360_pixels(chromium, tmp_path):  # noqa: F811
    workspace = stand_in_workspace(tmp_path / "w", EchoModel("base", "No."), EchoModel("tuned", "25 days."))
    add_policy(workspace)
    context = chromium.new_context(viewport={"width": 360, "height": 740}, reduced_motion="reduce")
    page = context.new_page()  # noqa: F811
    page.set_default_timeout(60_000)
    with served(workspace) as url:
        in_the_arena(page, url)
        ask(page, "How much leave?")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        order = [
            "arena-answer-a",
            "arena-answer-b",
            "arena-status",
            "arena-a",
            "arena-b",
            "arena-tie",
            "arena-both_bad",
        ]
        found = page.evaluate(
            "ids => [...document.querySelectorAll(ids.map(i => '#' + i).join(','))].map(e => e.id)", order
        )
        assert found == order
        assert page.evaluate("getComputedStyle(document.getElementById('arena-a')).transitionDuration") in (
            "1e-05s",
            "0s",
        )
        report = axe.Axe().run(page, context="[role=tabpanel]:not([style*='none'])").response
        faults = report["violations"]
        assert len(report["passes"]) > 5
        serious = [
            f"{fault['id']}: {fault['nodes'][0]['html'][:160]}"
            for fault in faults
            if fault["impact"] in ("serious", "critical")
        ]
        assert serious == []
    context.close()

"""Lesson 1 in real JupyterLab, as a student takes it: wrong answers, right ones, the slider, and what stays after."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from conftest import CHROMIUM

from onlm_lab.teaching import opening, shelf

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    # Playwright's driver ends after the interpreter looks for open sockets.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
WAIT = 60_000
SHOTS = os.environ.get("ONLM_SHOTS", "")  # a folder for pictures to look at; none without it


@pytest.fixture(scope="module")
def server(tmp_path_factory, free_port):
    """JupyterLab on lesson 1."""
    if CHROMIUM is None:
        pytest.skip("NO CHROMIUM on this machine: the lessons were NOT looked at. Install it: apt-get install chromium")
    pytest.importorskip("playwright", reason="playwright is not installed: the lessons were NOT looked at")
    folder = tmp_path_factory.mktemp("class")
    shelf.lay_out(folder, lessons=shelf.named("auc"))
    with opening.opened(folder, notebook="01_auc.ipynb", port=free_port()) as lab:
        yield lab, folder


@pytest.fixture
def page(browser):
    with browser.new_context(viewport={"width": 1280, "height": 1000}) as context:
        made = context.new_page()
        made.set_default_timeout(WAIT)
        yield made


def run_all(page, lab) -> None:
    page.goto(lab.url)
    page.wait_for_selector(".jp-Notebook .jp-Cell")
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()  # what is run before is lost
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()
    shot(page, "0_started")


def question(page, name: str):
    """A question's card, scrolled to: JupyterLab draws only the cells near the screen."""
    form = page.locator(f'form[data-question="{name}"]')
    look_for(page, form)
    return form


def look_for(page, there) -> None:
    """Scroll the notebook from the top until something is drawn."""
    panel = "document.querySelector('.jp-WindowedPanel-outer')"
    page.wait_for_selector(".jp-WindowedPanel-outer")
    top = 0
    for _ in range(200):
        if there.count():
            there.first.scroll_into_view_if_needed()
            return
        page.evaluate(f"{panel}.scrollTo(0, {top})")
        page.wait_for_timeout(250)
        top = 0 if top > page.evaluate(f"{panel}.scrollHeight") else top + 500
    shot(page, "not_drawn")
    raise AssertionError(f"{there} was not drawn")


def shot(page, name: str) -> None:
    if SHOTS:
        page.screenshot(path=str(Path(SHOTS) / f"{name}.png"))


def faults_for_readers_with_tools(page) -> list[str]:
    """What axe-core finds in the cards and sliders that are on the page; JupyterLab's own faults are not ours."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    drawn = [[".onlm-question"], [".onlm-sliders"], [".onlm-told"], [".onlm-plot[data-drawn]"]]
    options = {"runOnly": ["wcag2a", "wcag2aa", "wcag21aa"], "resultTypes": ["violations"]}
    found = axe.Axe().run(page, context={"include": drawn}, options=options).response
    assert found["passes"], "axe looked at nothing"
    return [f"{one['id']}: {node['html'][:150]}" for one in found["violations"] for node in one["nodes"]]


def test_a_student_answers_wrongly_and_rightly_moves_the_slider_and_finds_all_again(server, page):
    from playwright.sync_api import expect

    expect.set_options(timeout=WAIT)
    lab, folder = server
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    run_all(page, lab)

    pairs = question(page, "pairs")
    pairs.get_by_label("Your answer in percent").fill("20")
    pairs.get_by_label("Your answer in percent").press("Enter")
    said = pairs.locator("xpath=following-sibling::*[@role='status']")
    expect(said).to_contain_text("Noted")
    expect(said).not_to_contain_text("share of N+")
    expect(page.get_by_text("Would you like to get notified")).to_have_count(0)
    shot(page, "1_predicted")

    cell = page.locator(".jp-Cell", has_text="share_of_pairs").first
    cell.locator(".cm-content").click()
    page.keyboard.press("Shift+Enter")
    told = page.get_by_text(re.compile(r"You predicted: 20 %\. It came out as: \d+ %\. Not as predicted"))
    look_for(page, told)
    expect(told).to_contain_text("That is the share of N+ among all patients")
    shot(page, "2_revealed")

    slider = page.get_by_role("slider", name="How far apart N+ and N0 lie")
    look_for(page, slider)
    drawn = page.locator(".onlm-explorer", has=slider)
    before = drawn.locator(".onlm-told").inner_text()
    slider.focus()
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    expect(drawn.locator("output").first).to_have_text("2.2")
    expect(drawn.locator(".onlm-told")).to_contain_text("AUC 0.9")
    assert drawn.locator(".onlm-told").inner_text() != before
    expect(drawn.locator(".js-plotly-plot .scatterlayer .trace")).to_have_count(2)
    expect(drawn.locator(".onlm-figure .onlm-under")).to_contain_text("AUC 0.9")
    shot(page, "3_moved")

    meaning = question(page, "meaning")
    said = meaning.locator("xpath=following-sibling::*[@role='status']")
    meaning.get_by_role("button", name="Check").click()
    expect(said).to_contain_text("Choose one answer first")
    meaning.get_by_label("80 % of patients are classified right.").check()
    meaning.get_by_role("button", name="Check").click()
    expect(said).to_contain_text("Not yet. Nobody has been classified yet")
    shot(page, "4_wrong")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("ArrowDown")  # the arrow keys choose within the question and leave the notebook alone
    expect(meaning.get_by_label("Of an N+ and an N0 patient drawn by chance")).to_be_checked()
    meaning.get_by_role("button", name="Check").click()
    expect(said).to_contain_text("Right. An AUC is the share of pairs")
    expect(said).to_contain_text("Try 2")
    shot(page, "5_right")

    assert faults_for_readers_with_tools(page) == []
    kept = json.loads((folder / "answers" / "auc.json").read_text(encoding="utf-8"))["answers"]
    assert kept["pairs"] == {"value": 0.2, "tries": 1, "right": None}
    assert kept["meaning"] == {"value": "pairs", "tries": 2, "right": True}
    base = lab.url.partition("/lab")[0]
    elsewhere = [url for url in asked if not url.startswith((base, "data:", "blob:"))]
    assert elsewhere == []


def test_after_a_restart_the_answers_are_there_and_a_reset_asks_once(server, page):
    from playwright.sync_api import expect

    expect.set_options(timeout=WAIT)
    lab, folder = server
    (folder / "answers").mkdir(exist_ok=True)
    said = {"format": 1, "lesson": "auc", "answers": {"meaning": {"value": "found", "tries": 3, "right": False}}}
    (folder / "answers" / "auc.json").write_text(json.dumps(said), encoding="utf-8")
    run_all(page, lab)
    meaning = question(page, "meaning")
    expect(meaning.get_by_label("The model finds 80 % of N+ patients.")).to_be_checked()
    status = meaning.locator("xpath=following-sibling::*[@role='status']")
    expect(status).to_contain_text("Not yet. That would be the sensitivity")
    forget = page.get_by_role("button", name="Forget my answers")
    look_for(page, forget)
    forget.click()
    sure = page.get_by_role("button", name="Yes, forget them")
    expect(sure).to_be_visible()
    shot(page, "6_reset")
    sure.click()
    expect(page.get_by_text("Forgotten. Begin again at the first cell.")).to_be_visible()
    assert not (folder / "answers" / "auc.json").exists()

"""The cohort page in real Chromium: each control moved, every figure drawn, nobody named, nothing cut off."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from made_run import NASTY
from waiting import at_rest, eventually, said

from onlm_lab import cohort, virtual
from onlm_lab.serving import Sharing

expect = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed: the dashboards were NOT tested"
).expect

pytestmark = [
    pytest.mark.browser,
    # Playwright's driver and Voilà's sockets end after the interpreter looks for open ones.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
DRAWN = ".onlm-plot[data-drawn]"
TABS = {"Who is in": 5, "Who they are": 3, "What is known": 4}
FIRST = {"Who is in": "Who is in", "Who they are": "Who are the patients", "What is known": "What is missing"}
SHOTS = os.environ.get("ONLM_SHOTS", "")  # a folder: the pages are kept there as pictures, to be looked at


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A made-up trial, tables only, with a centre whose name is HTML; never run."""
    folder = tmp_path_factory.mktemp("browser") / "study"
    virtual.write_trial(folder, n_patients=400, n_centres=4, seed=5, tables_only=True)
    table = pd.read_csv(folder / "clinical.csv", dtype=str, keep_default_na=False)
    table.assign(centre=table["centre"].replace("C4", NASTY)).to_csv(folder / "clinical.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def server(serve, study):
    with serve(study, page="cohort") as running:
        yield running


@pytest.fixture(scope="module")
def page(browser, server):
    """One page for the whole file: a kernel a test would take minutes."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    opened = context.new_page()
    opened.goto(server.url)
    opened.wait_for_selector(DRAWN, timeout=90_000)
    yield opened
    context.close()


def _tab(page, name):
    page.get_by_role("tab", name=name, exact=True).click()
    page.wait_for_function(
        "([n, start]) => { const all = [...document.querySelectorAll('.onlm-figure')].filter((f) => f.offsetParent);"
        " return all.length === n && all[0].querySelector('h3').textContent.startsWith(start)"
        " && all.every((f) => f.querySelector('.onlm-plot').data?.length); }",
        arg=[TABS[name], FIRST[name]], timeout=120_000,
    )  # fmt: skip


def _drawn(page):
    """What each shown figure holds, by its question."""
    return page.evaluate(
        "() => Object.fromEntries([...document.querySelectorAll('.onlm-figure')].filter((f) => f.offsetParent)"
        ".map((f) => [f.querySelector('h3').textContent, f.querySelector('.onlm-under').textContent"
        " + JSON.stringify(f.querySelector('.onlm-plot').data)]))"
    )


def _changed(page, before, act, *, question, others=()):
    """Does something and waits until the figure that asks `question` is another; but for `others` none may change."""
    act()
    page.wait_for_function(
        "([q, old]) => [...document.querySelectorAll('.onlm-figure')].filter((f) => f.offsetParent)"
        ".some((f) => f.querySelector('h3').textContent === q && f.querySelector('.onlm-plot').data?.length"
        " && f.querySelector('.onlm-under').textContent + JSON.stringify(f.querySelector('.onlm-plot').data) !== old)",
        arg=[question, before[question]], timeout=120_000,
    )  # fmt: skip
    eventually(lambda: {question, *others} <= _other(before, _drawn(page)), seconds=120)
    after = at_rest(page, lambda: _drawn(page))
    assert _other(before, after) == {question, *others}
    return after


def _other(before, after):
    return {question for question in before if before[question] != after.get(question)}


def _select(page, label):
    return page.locator(".onlm-control").filter(has=page.get_by_text(label, exact=True)).locator("select")


def _fits(page, width):
    page.wait_for_function(
        "(w) => document.documentElement.scrollWidth <= w && [...document.querySelectorAll('.onlm-card, .onlm-tile,"
        " .onlm-control, .onlm-plot, .onlm-tabs button')]"
        ".every((e) => !e.offsetParent || e.getBoundingClientRect().right <= w + 0.5)",
        arg=width, timeout=60_000,
    )  # fmt: skip


def _shot(page, name):
    if SHOTS:
        page.screenshot(path=f"{SHOTS}/{name}.png", full_page=True)


@pytest.mark.parametrize("tab", TABS)
def test_every_tab_draws_its_figures_and_fits(page, tab):
    _tab(page, tab)
    assert len(_drawn(page)) == TABS[tab]
    _fits(page, 1440)
    _shot(page, f"cohort_{tab.replace(' ', '_')}_1440")


def test_each_control_of_who_is_in_redraws_its_figure(page, study):
    _tab(page, "Who is in")
    flow, rule, moved = ("Who is in the study, and who was left out?",
                         "In which centres does this rule leave patients out?",
                         "How many patients would be in if this limit moved?")  # fmt: skip
    listed = "Why were they left out at this rule?"
    now = at_rest(page, lambda: _drawn(page))
    now = _changed(page, now, lambda: _select(page, "Flow of").select_option("C2"), question=flow)
    rules = _select(page, "Rule, centre by centre")
    now = _changed(page, now, lambda: rules.select_option(index=7), question=rule, others=(listed,))
    handle = page.locator(".onlm-threshold [role='slider']:visible")

    def two_left():
        handle.focus()
        handle.press("ArrowLeft")
        handle.press("ArrowLeft")

    now = _changed(page, now, two_left, question=moved)
    said(page, "At 50 there would be").wait_for(timeout=120_000)
    data = cohort.load_cohort(study)
    n = int(cohort.what_if(data, limit="min_kps", values=[50.0]).table["n_more"].iloc[0])
    said(page, f"At 50 there would be {n:,} more").wait_for(timeout=60_000)
    now = at_rest(page, lambda: _drawn(page))
    label = page.get_by_role("button", name="Label", exact=True)
    now = _changed(page, now, label.click, question=moved)
    limit = _select(page, "Limit of the protocol")
    _changed(page, now, lambda: limit.select_option("Least age (years)"), question=moved)
    expect(page.locator(".onlm-threshold:visible")).to_have_count(1)


def test_a_click_on_a_box_of_the_flow_lists_its_patients(page, study):
    _tab(page, "Who is in")
    at_rest(page, lambda: _drawn(page))
    words = page.locator(".onlm-plot:visible text").filter(has_text="Informed consent").first
    words.scroll_into_view_if_needed()
    box = at_rest(page, words.bounding_box)
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    rules = _select(page, "Rule, centre by centre")
    page.wait_for_function(
        "(e) => e.selectedOptions[0].textContent.includes('consent')", arg=rules.element_handle(), timeout=60_000
    )
    screening = cohort.screen(cohort.load_cohort(study))
    who = screening.status.loc[screening.status["first_rule"] == "consent", "patient_id"].tolist()
    listed = page.locator(".onlm-table:visible").last
    listed.get_by_text(who[0]).wait_for(timeout=60_000)
    expect(listed.locator("tbody tr")).to_have_count(len(who))


def test_each_control_of_who_they_are_redraws_table_1(page):
    _tab(page, "Who they are")
    apart, table = "Who are the patients, and how far are the groups apart?", page.locator(".onlm-table:visible").first
    table.get_by_text("Age (years), median (quartiles)").wait_for()  # open from the start
    now = at_rest(page, lambda: _drawn(page))
    now = _changed(page, now, lambda: _select(page, "Table 1 compares").select_option("Centre"), question=apart)
    table.get_by_text(NASTY).wait_for()
    assert page.evaluate("() => window.pwned === undefined") and page.locator(".onlm img").count() == 0
    shown = _select(page, "Table 1 shows")
    now = _changed(page, now, lambda: shown.select_option(["KPS", "Sex"]), question=apart)
    expect(table).to_contain_text("KPS")
    expect(table).not_to_contain_text("Age")
    page.get_by_role("button", name="Everyone in the files").click()
    page.wait_for_function("() => document.querySelector('.onlm-table').innerText.includes('400')", timeout=120_000)
    eventually(lambda: _other(now, _drawn(page)) == set(now), seconds=120)
    page.get_by_role("button", name="Eligible", exact=True).click()
    page.wait_for_function("() => !document.querySelector('.onlm-table').innerText.includes('400')", timeout=120_000)


def test_each_control_of_what_is_known_redraws_its_figure(page):
    _tab(page, "What is known")
    now = at_rest(page, lambda: _drawn(page))
    now = _changed(
        page, now, page.get_by_role("button", name="Every column").click, question="What is missing, and where?"
    )
    by = _select(page, "Follow-up by")
    now = _changed(page, now, lambda: by.select_option("Arm"), question="How long were the patients followed?")
    of = _select(page, "Reference standard by")
    _changed(page, now, lambda: of.select_option("Centre"), question="How often did the nodes hold cancer?")


def test_no_patient_is_named_on_a_shared_page_nor_in_any_address(browser, serve, study, page):
    ids = pd.read_csv(study / "clinical.csv", dtype=str)["patient_id"]
    assert not [p for p in ids if p in page.url]
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    with serve(study, page="cohort", sharing=Sharing(shared=True)) as running:
        shown = context.new_page()
        shown.goto(running.url)
        for tab in TABS:
            shown.get_by_role("tab", name=tab, exact=True).click(timeout=90_000)
            shown.wait_for_function(
                "(start) => [...document.querySelectorAll('.onlm-figure h3')].filter((e) => e.offsetParent)"
                ".some((e) => e.textContent.startsWith(start))", arg=FIRST[tab], timeout=90_000,
            )  # fmt: skip
            text = shown.content()
            assert not [p for p in ids if p in text]
    context.close()


def test_at_400_pixels_nothing_is_wider_than_the_page(browser, server):
    context = browser.new_context(viewport={"width": 400, "height": 800})
    narrow = context.new_page()
    narrow.goto(server.url)
    narrow.wait_for_selector(DRAWN, timeout=90_000)
    for tab in TABS:
        _tab(narrow, tab)
        _fits(narrow, 400)
        _shot(narrow, f"cohort_{tab.replace(' ', '_')}_400")
    context.close()

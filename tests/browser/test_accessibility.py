"""Every page as axe-core, a keyboard and a screen reader meet it."""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from made_run import tell_event_risk, write_clinical_model, write_run
from waiting import eventually

from onlm_lab import virtual

expect = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed: the dashboards were NOT tested"
).expect

pytestmark = [
    pytest.mark.browser,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
WAIT = 90_000
WIDTHS = (1440, 400)
RULES = ["wcag2a", "wcag2aa", "wcag21aa"]
GRAVE = {"serious", "critical"}
PAGES = ["start", "cohort", "training", "performance", "outcomes", "cases", "patient"]
_STATE = (
    "() => JSON.stringify([[...document.querySelectorAll('.onlm-figure')].filter((f) => f.offsetParent)"
    ".map((f) => { const p = f.querySelector('.onlm-plot'); return p.hidden || Boolean(p.dataset.drawn); }),"
    " document.querySelectorAll('.onlm *').length])"
)


@pytest.fixture(scope="module")
def server(serve, tmp_path_factory):
    folder = tmp_path_factory.mktemp("accessible")
    made = write_run(folder / "run")
    tell_event_risk(made)
    write_clinical_model(made)  # else the page of one patient has no form
    virtual.write_trial(folder / "tables", n_patients=200, n_centres=3, seed=5, tables_only=True)
    with serve([made.folder, folder / "tables"], page="start") as running:
        yield running


@pytest.fixture(scope="module")
def page(browser, server):
    """One window for the whole file."""
    opened = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    opened.goto(server.url)
    _settle(opened)
    return opened


def _settle(page):
    """Wait until every figure that is shown is drawn, and nothing is added any more."""
    page.wait_for_selector(".onlm .onlm-header h1", timeout=WAIT)
    page.wait_for_selector(".onlm [role=main], .onlm[role=main]", timeout=WAIT)
    before, n_same = None, 0
    for _ in range(150):
        page.wait_for_timeout(600)
        now = page.evaluate(_STATE)
        n_same = n_same + 1 if now == before and all(json.loads(now)[0]) else 0
        if n_same == 2:
            return
        before = now
    raise AssertionError("the page did not come to rest")


def _go(page, name, *, width=1440):
    """By the bar's own link, as a reader goes."""
    page.set_viewport_size({"width": width, "height": 900})
    if not page.url.split("#")[0].endswith(f"/{name}.ipynb"):
        page.locator(f".onlm-bar nav a[href*='{name}.ipynb']").click()
        page.wait_for_url(f"**/{name}.ipynb*", timeout=WAIT)
    _settle(page)


def _faults(page):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    found = axe.Axe().run(page, options={"runOnly": RULES, "resultTypes": ["violations"]}).response
    assert found["passes"], "axe looked at nothing"
    return [
        f"{fault['id']}: {node['target']} {node['failureSummary']}"
        for fault in found["violations"]
        if fault["impact"] in GRAVE
        for node in fault["nodes"]
    ]


def _check_every_tab(page, *, only_first=False):
    tabs = page.get_by_role("tab")
    n_tabs = tabs.count()
    for k in range(1 if only_first else max(n_tabs, 1)):
        if n_tabs:
            tabs.nth(k).click()
            _settle(page)
            expect(tabs.nth(k)).to_have_attribute("aria-selected", "true")
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            _settle(page)
            assert _faults(page) == [], f"{page.url}, tab {k}, {width} px"
        page.set_viewport_size({"width": 1440, "height": 900})


def test_axe_finds_nothing_serious_on_the_performance_page(page):
    _go(page, "performance")
    _check_every_tab(page, only_first=True)


@pytest.mark.slow
def test_axe_does_find_what_is_wrong(page):
    """The test above can fail: a control without a name is found."""
    _go(page, "performance")
    page.evaluate("() => document.querySelector('.onlm-main').insertAdjacentHTML('beforeend', '<input id=bad>')")
    assert any(fault.startswith("label:") for fault in _faults(page))
    page.evaluate("() => document.getElementById('bad').remove()")


@pytest.mark.slow
def test_the_page_has_its_landmarks_and_its_headings_in_order(page):
    _go(page, "performance")
    for role in ("banner", "main", "navigation", "complementary", "tablist", "tabpanel"):
        expect(page.get_by_role(role)).to_have_count(1)
    levels = page.evaluate(
        "() => [...document.querySelectorAll('.onlm h1, .onlm h2, .onlm h3, .onlm h4')].filter((h) => h.offsetParent)"
        ".map((h) => Number(h.tagName[1]))"
    )
    assert levels[:2] == [1, 2] and 3 in levels
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels)), levels


@pytest.mark.slow
def test_arrow_keys_open_the_tabs(page):
    _go(page, "performance")
    tabs = page.get_by_role("tab")
    tabs.first.click()
    tabs.first.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("() => document.querySelectorAll('[role=tab]')[1].ariaSelected === 'true'", timeout=WAIT)
    expect(tabs.nth(1)).to_be_focused()
    expect(page.get_by_role("tabpanel")).to_have_attribute("aria-labelledby", tabs.nth(1).get_attribute("id"))
    page.keyboard.press("Home")
    page.wait_for_function("() => document.querySelectorAll('[role=tab]')[0].ariaSelected === 'true'", timeout=WAIT)
    _settle(page)


@pytest.mark.slow
def test_a_moved_slider_is_told_in_a_sentence(page):
    _go(page, "performance")
    page.get_by_role("tab").first.click()
    _settle(page)
    told = page.locator(".onlm-told")
    before = told.text_content()
    page.locator(".onlm-threshold [role=slider]").focus()
    for _ in range(6):
        page.keyboard.press("ArrowRight")
    page.wait_for_function(
        "(t) => { const now = document.querySelector('.onlm-told').textContent; return now && now !== t; }", arg=before,
        timeout=WAIT,
    )  # fmt: skip
    expect(told).to_contain_text("Model fused at")
    page.get_by_role("button", name="Study's own thresholds").click()
    _settle(page)


@pytest.mark.slow
def test_tab_reaches_every_control_with_its_name_and_a_visible_focus(page):
    _go(page, "performance")
    page.get_by_role("tab").first.click()
    _settle(page)
    wanted = page.evaluate(
        "() => { const kinds = ['a', 'button', 'select', 'summary', 'input', '[role=slider]'];"
        " const named = kinds.flatMap((kind) => [`.onlm ${kind}`, `.onlm-bar ${kind}`]).join();"
        " const all = [...document.querySelectorAll(named)].filter((e) => e.offsetParent && !e.disabled &&"
        " e.tabIndex >= 0); all.forEach((e, i) => { e.dataset.reach = i; }); return all.length; }"
    )
    assert wanted > 20
    page.evaluate("() => { document.activeElement?.blur(); window.scrollTo(0, 0); }")
    page.locator(".onlm-bar nav a").first.focus()
    page.keyboard.press("Tab")  # from here on it is the keyboard that moves the focus
    page.keyboard.press("Shift+Tab")
    reached, unseen, unnamed = set(), [], []
    for _ in range(3 * wanted):
        said = page.evaluate(
            "() => { const e = document.activeElement; const s = getComputedStyle(e); return [e.dataset.reach ?? '',"
            " s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) > 0,"
            " (e.ariaLabel || e.textContent || e.title || '').trim(), e.outerHTML.slice(0, 120)]; }"
        )
        if said[0] and said[0] not in reached:
            reached.add(said[0])
            if not said[1]:
                unseen.append(said[3])
            if not said[2]:
                unnamed.append(said[3])
        if len(reached) == wanted:
            break
        page.keyboard.press("Tab")
    missing = page.evaluate(
        "(r) => [...document.querySelectorAll('[data-reach]')].filter((e) => !r.includes(e.dataset.reach))"
        ".map((e) => e.outerHTML.slice(0, 120))", list(reached),
    )  # fmt: skip
    assert (missing, unseen, unnamed) == ([], [], [])


@pytest.mark.slow
def test_the_keyboard_moves_every_control_on_the_left(page):
    _go(page, "outcomes")
    for k in range(page.get_by_role("tab").count()):
        page.get_by_role("tab").nth(k).click()
        _settle(page)
        for what, keys in (
            (".onlm-left select:not([multiple])", ("ArrowDown", "ArrowUp")),
            (".onlm-left [role=slider]", ("ArrowRight", "ArrowLeft")),
            (".onlm-left .widget-toggle-buttons button:not(.mod-active)", ("Enter",)),
        ):
            controls = page.locator(what)
            for i in range(controls.count()):
                if not controls.nth(i).is_visible():
                    continue
                one = controls.nth(i).element_handle()
                state = "(e) => [e.value, e.ariaValueText ?? e.getAttribute('aria-valuenow'), e.ariaPressed].join()"
                before = one.evaluate(state)
                one.focus()
                for key in keys:
                    page.keyboard.press(key)
                    page.wait_for_timeout(150)
                    if one.evaluate(state) != before:
                        break
                page.wait_for_function(f"([e, was]) => ({state})(e) !== was", arg=[one, before], timeout=WAIT)
                _settle(page)
                break  # a pressed button is another one now


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_serious_on_any_page_and_tab(page, name):
    _go(page, name)
    _check_every_tab(page)


@pytest.mark.slow
def test_axe_finds_nothing_serious_on_a_cohort_with_its_tables(page):
    _go(page, "start")
    page.get_by_role("link", name="Cohort Who is in").last.click()
    page.wait_for_url("**/cohort.ipynb*", timeout=WAIT)
    page.wait_for_selector(".onlm-plot[data-drawn]", timeout=WAIT)
    _settle(page)
    assert page.get_by_role("tab").count() > 1
    _check_every_tab(page)


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_serious_in_chinese(page, name):
    _go(page, name)
    page.select_option(".onlm-bar select", "zh")
    page.wait_for_function("() => document.documentElement.lang === 'zh-Hans'", timeout=WAIT)
    _settle(page)
    try:
        eventually(lambda: not page.locator(".onlm-bar nav").inner_text().isascii(), what="a bar in Chinese")
        _check_every_tab(page, only_first=True)
    finally:
        page.select_option(".onlm-bar select", "en")
        page.wait_for_function("() => document.documentElement.lang === 'en'", timeout=WAIT)


@pytest.mark.slow
def test_axe_finds_nothing_serious_in_a_form_that_is_filled_in(page):
    _go(page, "patient")
    page.goto(page.url.split("#")[0])  # of the first study, which has a run, whichever a test before this one chose
    _settle(page)
    box = page.locator(".onlm-control", has_text="Age").locator("input")
    box.fill("64")
    box.press("Enter")
    _settle(page)
    _check_every_tab(page)

"""The cases page in real Chromium: each control moved, the list by keyboard, flags saved, and the CT of a trial."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from made_run import NASTY, write_run
from test_cases_page import explain
from waiting import at_rest, eventually, said, slider_arrived

from onlm_lab.flags import FILE, read_flags

expect = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed: the dashboards were NOT tested"
).expect

pytestmark = [
    pytest.mark.browser,
    # Playwright's driver and Voilà's sockets end after the interpreter looks for open ones.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
WAIT = 90_000
ROW = ".onlm-list tr[aria-selected='true'] td:first-child"
SHOTS = os.environ.get("ONLM_SHOTS", "")  # a folder: the pages are kept there as pictures, to be looked at


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    made = write_run(tmp_path_factory.mktemp("browser") / "run", n_surgery=120, n_sbrt=40)
    explain(made)
    return made


@pytest.fixture(scope="module")
def server(serve, run):
    with serve(run.folder, page="cases") as running:
        yield running


@pytest.fixture(scope="module")
def page(browser, server):
    """One page for the whole file: a kernel a test would take minutes."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, accept_downloads=True)
    opened = _opened(context, server.url)
    yield opened
    context.close()


def _opened(context, url):
    opened = context.new_page()
    opened.asked, opened.faults = [], []
    opened.on("request", lambda request: opened.asked.append(request.url))
    opened.on("pageerror", lambda error: opened.faults.append(str(error)))
    opened.goto(url, timeout=WAIT)
    opened.wait_for_selector(".onlm-plot[data-drawn]", timeout=WAIT)
    opened.wait_for_selector(ROW, timeout=WAIT)
    return opened


def _chosen(page):
    return page.locator(ROW).first.inner_text()


def _card(page, title):
    return page.locator(".onlm-card").filter(has=page.get_by_role("heading", name=title)).first


def _settled(page, patient):
    """Waits until the case is the one chosen in the list."""
    page.wait_for_function(
        "(who) => document.querySelector(\".onlm-list tr[aria-selected='true'] td\")?.textContent === who",
        arg=patient, timeout=WAIT,
    )  # fmt: skip


def _changed(page, act, *, locator):
    before = locator.inner_text()
    act()
    expect(locator).not_to_have_text(before, timeout=WAIT)


def _ids(page):
    return page.locator(".onlm-list").first.locator("tbody td:first-child").all_inner_texts()


def _select(page, label):
    return page.locator(".onlm-control").filter(has=page.get_by_text(label, exact=True)).locator("select")


def _listed(page, ids):
    page.wait_for_function(
        "(wanted) => JSON.stringify([...document.querySelector('.onlm-list').querySelectorAll('tbody td:first-child')]"
        ".map((e) => e.textContent)) === JSON.stringify(wanted)",
        arg=list(ids), timeout=WAIT,
    )  # fmt: skip


def _fits(page, width):
    page.wait_for_function(
        "(w) => document.documentElement.scrollWidth <= w && [...document.querySelectorAll('.onlm-card, .onlm-control,"
        " .onlm-list, .onlm-plot, .onlm-tabs button')]"
        ".every((e) => !e.offsetParent || e.getBoundingClientRect().right <= w + 0.5)",
        arg=width, timeout=WAIT,
    )  # fmt: skip


def _shot(page, name):
    if SHOTS:
        page.screenshot(path=f"{SHOTS}/{name}.png", full_page=True)


def _rows(run, query, *, by="risk", ascending=False):
    rows = run.rows().query("model_id == 'fused'").query(query)
    return rows.sort_values([by, "patient_id"], ascending=[ascending, True])["patient_id"].tolist()


def test_arrow_keys_and_buttons_go_from_patient_to_patient_and_the_address_never_names_one(page, run):
    ids = _rows(run, "risk >= 0")
    assert _ids(page) == ids and _chosen(page) == ids[0]
    risk = page.locator(".onlm-sentence").filter(has_text="risk of occult N+").first
    page.locator(ROW).first.click()
    _changed(page, lambda: page.keyboard.press("ArrowDown"), locator=risk)
    _settled(page, ids[1])
    _changed(page, lambda: page.keyboard.press("End"), locator=risk)
    _settled(page, ids[-1])
    _changed(page, lambda: page.keyboard.press("Home"), locator=risk)
    _settled(page, ids[0])
    _changed(page, lambda: page.get_by_role("button", name="Next").click(), locator=risk)
    _settled(page, ids[1])
    expect(page.get_by_role("button", name="Next")).to_be_focused()
    _changed(page, lambda: page.get_by_role("button", name="Previous").click(), locator=risk)
    _settled(page, ids[0])
    assert not [p for p in ids if p in page.url] and not [u for u in page.asked for p in ids if p in u]
    _fits(page, 1440)
    _shot(page, "cases_1440")


def test_every_filter_and_order_keeps_whom_it_says(page, run):
    _select(page, "Tested or not").select_option("Tested")
    _listed(page, _rows(run, "split == 'oof'"))
    _select(page, "Error").select_option(label="False positive (false alarm)")
    _listed(page, _rows(run, "split == 'oof' and onlm == 0 and predicted_positive == 1"))
    page.wait_for_function("() => location.hash.includes('error=fp')", timeout=WAIT)
    handle = page.locator(".onlm-threshold [role='slider']")
    handle.focus()
    for _ in range(20):
        handle.press("ArrowRight")
    slider_arrived(page)  # a move still on its way would be the newer choice
    page.get_by_role("button", name="Study's own thresholds").click()
    _listed(page, _rows(run, "split == 'oof' and onlm == 0 and predicted_positive == 1"))
    _select(page, "Error").select_option(label="Everybody")
    _listed(page, _rows(run, "split == 'oof'"))
    _select(page, "Subgroup").select_option(label="Sex")
    _select(page, "Level").select_option(label="female")
    _listed(page, _rows(run, "split == 'oof' and sex == 'female'"))
    _select(page, "Subgroup").select_option(label="None")
    _listed(page, _rows(run, "split == 'oof'"))
    _select(page, "Tested or not").select_option("All patients")
    _listed(page, _rows(run, "risk >= 0"))
    page.get_by_role("button", name="SBRT", exact=True).click()
    _listed(page, _rows(run, "arm == 'sbrt'"))
    page.get_by_role("button", name="Both", exact=True).click()
    _listed(page, _rows(run, "risk >= 0"))
    _select(page, "Order").select_option(label="Risk, lowest first")
    _listed(page, _rows(run, "risk >= 0", ascending=True))
    _select(page, "Order").select_option(label="Risk, highest first")
    _listed(page, _rows(run, "risk >= 0"))
    sentence = page.locator(".onlm-sentence").filter(has_text="risk of occult N+").first
    _changed(page, lambda: _select(page, "Model").select_option("clinical"), locator=sentence)
    _changed(page, lambda: _select(page, "Model").select_option("fused"), locator=sentence)


def test_what_became_known_later_is_folded_until_it_is_asked_for_and_folds_again_for_the_next(page):
    card = _card(page, "What became known later")
    expect(card).not_to_contain_text("Occult nodal metastasis")
    card.get_by_role("button", name="Show what became known later").click()
    card.get_by_text("Occult nodal metastasis").wait_for(timeout=WAIT)
    shown = "() => [...document.querySelectorAll('.onlm-plot')].filter((p) => p.offsetParent).length === 3"
    page.wait_for_function(shown, timeout=WAIT)
    page.get_by_role("button", name="Next").click()
    card.get_by_role("button", name="Show what became known later").wait_for(timeout=WAIT)
    expect(card).not_to_contain_text("Occult nodal metastasis")


def test_a_neighbour_is_one_click_away_and_html_stays_text(page, run):
    near = _card(page, "Whom does the model take this patient for?").locator("tbody tr")
    near.first.wait_for(timeout=WAIT)
    at_rest(page, near.all_inner_texts)  # the table of the patient before may still stand here
    other = near.first.locator("td").first.inner_text()
    near.first.click()
    _settled(page, other)
    risk = page.locator(".onlm-sentence").filter(has_text="risk of occult N+").first
    at_rest(page, risk.inner_text)
    _changed(page, page.locator(".onlm-list").first.get_by_text(NASTY, exact=True).click, locator=risk)
    _settled(page, NASTY)
    page.locator(".onlm-views img").first.wait_for(timeout=WAIT)  # the first three have pictures
    page.get_by_role("button", name="Grad-CAM").click()
    said(page, "Yellow raises the risk").wait_for(timeout=WAIT)
    sources = page.locator(".onlm img").evaluate_all("(all) => all.map((i) => i.src.slice(0, 15))")
    assert set(sources) == {"data:image/png;"}
    assert page.evaluate("() => window.pwned === undefined")


def test_a_flag_is_on_the_disk_in_the_list_and_in_the_file_that_is_saved(page, run):
    card = _card(page, "Look again?")
    _select(page, "What is wrong").select_option(label="Wrong contour")
    _labelled(page, "Note (short, no names)").fill("takes in the rib")
    _labelled(page, "Your reader code").fill("somebody@example.org")
    card.get_by_role("button", name="Save flag").click()
    card.get_by_text("A reader is known by a code").wait_for(timeout=WAIT)
    assert not (run.folder / FILE).exists()
    _labelled(page, "Your reader code").fill("R02")
    card.get_by_role("button", name="Save flag").click()
    card.get_by_text("takes in the rib").wait_for(timeout=WAIT)
    (row,) = read_flags(run.folder).table.to_dict("records")
    assert (row["kind"], row["note"], row["reader_id"]) == ("wrong_contour", "takes in the rib", "R02")
    _select(page, "Order").select_option(label="Flagged first")
    page.wait_for_function(
        "() => document.querySelector('.onlm-list tbody tr').textContent.includes('Wrong contour')", timeout=WAIT
    )
    with page.expect_download(timeout=WAIT) as saved:
        card.get_by_role("button", name="All flags as CSV").click()
    text = Path(saved.value.path()).read_text(encoding="utf-8-sig")
    assert saved.value.suggested_filename == "flags.csv" and "takes in the rib" in text and row["patient_id"] in text
    assert not page.faults


def _labelled(page, label):
    return page.locator(".onlm-control").filter(has=page.get_by_text(label, exact=True)).locator("input")


def test_a_link_brings_the_filters_back_and_at_400_pixels_nothing_is_wider_than_the_page(browser, server, run):
    context = browser.new_context(viewport={"width": 400, "height": 800})
    narrow = context.new_page()
    narrow.goto(f"{server.url}#split=unlabelled&order=risk_up&column=sex&level=female", timeout=WAIT)
    narrow.wait_for_selector(ROW, timeout=WAIT)
    _listed(narrow, _rows(run, "arm == 'sbrt' and sex == 'female'", ascending=True))
    narrow.wait_for_selector(".onlm-plot[data-drawn]", timeout=WAIT)
    _fits(narrow, 400)
    _shot(narrow, "cases_400")
    context.close()


@pytest.mark.slow
def test_the_ct_of_a_trial_is_read_beside_the_page_and_shown_without_contour_until_it_is_asked_for(
    serve, browser, trial, tmp_path
):
    study = tmp_path / "study"
    shutil.copytree(trial, study)
    known = set(pd.read_csv(study / "annotations.csv", dtype=str)["patient_id"])
    with serve(study, page="cases") as running:
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        page = _opened(context, running.url)
        first = _chosen(page)
        assert first in known
        _show_ct(page)
        outline = page.get_by_role("button", name="Tumour outline")
        expect(outline).to_have_attribute("aria-pressed", "false")
        outline.click()
        expect(outline).to_have_attribute("aria-pressed", "true", timeout=WAIT)
        page.get_by_role("button", name="Next").click()
        said(page, "The whole series is read when you ask for it.").wait_for(timeout=WAIT)
        assert _chosen(page) != first
        eventually(lambda: not _canvases(page), what="no CT of the patient before")
        _show_ct(page)
        assert len(list((study / "work" / "volumes").glob("*.npy"))) == 2
        assert not page.faults and not [u for u in page.asked if first in u]
        context.close()


def _canvases(page):
    return page.evaluate("() => [...document.querySelectorAll('canvas')].filter((c) => c.offsetParent).length")


def _show_ct(page):
    page.get_by_role("button", name="Show CT").click()
    page.wait_for_function(
        "() => [...document.querySelectorAll('canvas')].some((c) => { if (!c.offsetParent || !c.width) return false;"
        " const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; let low = 255, high = 0;"
        " for (let i = 0; i < d.length; i += 4) { low = Math.min(low, d[i]); high = Math.max(high, d[i]); }"
        " return high - low > 100; })",
        timeout=WAIT,
    )  # fmt: skip

"""The page of one patient in real Chromium: typed, told, refused, emptied; nothing of it in the address."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from made_run import write_clinical_model, write_run
from waiting import said

from onlm_lab.app.patient_page import FILE, RESET
from onlm_lab.learning.coefficients import USE, load_clinical_model
from onlm_lab.panels import typed_patient

expect = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed: the dashboards were NOT tested"
).expect

pytestmark = [
    pytest.mark.browser,
    # Playwright's driver and Voilà's sockets end after the interpreter looks for open ones.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
N_FIGURES = 4


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run whose clinical model is made of plain coefficients."""
    run = write_run(tmp_path_factory.mktemp("patient") / "run", n_surgery=160, n_sbrt=60)
    write_clinical_model(run)
    return run


@pytest.fixture(scope="module")
def server(serve, run):
    with serve(run.folder, page="patient") as running:
        yield running


@pytest.fixture(scope="module")
def page(browser, server):
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    opened = context.new_page()
    opened.goto(server.url, timeout=90_000)
    said(opened, "Fill in:").wait_for(timeout=90_000)
    yield opened
    context.close()


def _type(page, label, value):
    box = page.locator(".onlm-control", has_text=label).locator("input")
    box.fill(value)
    box.press("Enter")


def _n_drawn(page, n):
    page.wait_for_function(
        "(n) => [...document.querySelectorAll('.onlm-plot')].filter((p) => p.offsetParent && p.data?.length).length"
        " === n", arg=n, timeout=90_000,
    )  # fmt: skip


def _data(page):
    return json.loads(page.evaluate(
        "() => JSON.stringify([...document.querySelectorAll('.onlm-plot')].filter((p) => p.offsetParent && p.data)"
        ".map((p) => [p.data.map((t) => Array.from(t.y ?? [])), (p.layout.shapes ?? []).map((s) => s.x0)]))"
    ))  # fmt: skip


def test_a_filled_form_tells_the_librarys_number_beside_the_words_and_draws_every_figure(page, run):
    _type(page, "Age", "64")
    _type(page, "Total diameter", "21")
    page.locator(".onlm-control", has_text="Sex").locator("select").select_option("female")
    _n_drawn(page, N_FIGURES)
    model = load_clinical_model(run.folder / FILE)
    values = {"age_years": 64.0, "total_diameter_mm": 21.0, "sex": "female"}
    risk = typed_patient.judge(model, values).risk
    number = page.locator(".onlm-print .number")
    expect(number).to_contain_text(f"{100 * risk:.1f}")
    expect(number).to_contain_text(USE)
    assert "64" not in page.url.split("#")[-1] and "female" not in page.url


def test_every_control_changes_the_figures(page):
    for label, value in (("Age", "50"), ("Total diameter", "33")):
        before, number = _data(page), page.locator(".onlm-print .number b").inner_text()
        _type(page, label, value)
        page.wait_for_function(
            "(old) => document.querySelector('.onlm-print').shadowRoot.querySelector('.number b')?.textContent !== old",
            arg=number, timeout=90_000,
        )  # fmt: skip
        page.wait_for_function(
            "(old) => JSON.stringify([...document.querySelectorAll('.onlm-plot')].filter((p) => p.offsetParent)"
            ".map((p) => (p.layout.shapes ?? []).map((s) => s.x0))) !== old",
            arg=json.dumps([shapes for _, shapes in before]).replace(" ", ""), timeout=90_000,
        )  # fmt: skip
        assert _data(page) != before


def test_a_value_outside_the_range_is_a_sentence_and_no_number_stays(page):
    _type(page, "Age", "130")
    said(page, "130 is outside what the model has learned from").wait_for(timeout=90_000)
    _n_drawn(page, 0)
    expect(page.locator(".onlm-print .number")).to_have_count(0)


def test_the_form_is_emptied_by_keyboard_and_a_reload_remembers_nothing(page):
    page.get_by_role("button", name=RESET).focus()
    page.keyboard.press("Enter")
    said(page, "Fill in:").wait_for(timeout=90_000)
    expect(page.locator(".onlm-control", has_text="Age").locator("input")).to_have_value("")
    _type(page, "Age", "64")
    page.reload()
    said(page, "Fill in:").wait_for(timeout=90_000)
    expect(page.locator(".onlm-control", has_text="Age").locator("input")).to_have_value("")


@pytest.mark.slow
def test_at_400_pixels_nothing_is_wider_than_the_page(browser, server):
    context = browser.new_context(viewport={"width": 400, "height": 800})
    narrow = context.new_page()
    narrow.goto(server.url, timeout=90_000)
    said(narrow, "Fill in:").wait_for(timeout=90_000)
    narrow.wait_for_function("() => document.documentElement.scrollWidth <= 400")
    context.close()

"""The outcomes page in real Chromium: every control moved, every card drawn, nothing wider than the page."""

from __future__ import annotations

import json
import sys
import urllib.parse
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from made_run import tell_event_risk, write_run
from waiting import at_rest, eventually, slider_arrived

from onlm_lab import analysis

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
N_PLOTS = {"Curves": 2, "Hazards": 3, "Event risks": 2, "Treatments": 3}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    made = write_run(tmp_path_factory.mktemp("browser") / "run", n_surgery=260, n_sbrt=90)
    tell_event_risk(made)
    return made


@pytest.fixture(scope="module")
def server(serve, run):
    with serve(run.folder, page="outcomes") as running:
        yield running


def _opened(browser, server, *, width):
    page = browser.new_context(viewport={"width": width, "height": 900}).new_page()
    page.asked = []
    page.on("request", lambda request: page.asked.append(request.url))
    page.goto(server.url)
    page.wait_for_selector(DRAWN, timeout=90_000)
    return page


@pytest.fixture(scope="module")
def page(browser, server):
    """One page for the whole file: a kernel a test would take minutes."""
    return _opened(browser, server, width=1440)


def _tab(page, name):
    page.get_by_role("tab", name=name, exact=True).click()
    page.wait_for_function(
        "(n) => { const plots = [...document.querySelectorAll('.onlm-plot')].filter((p) => p.offsetParent);"
        " return plots.length === n && plots.every((p) => p.data && p.data.length); }",
        arg=N_PLOTS[name], timeout=120_000,
    )  # fmt: skip


def _seen(page):
    """What each shown card holds: its heading and the numbers of its traces, or the printed page's text."""
    return page.evaluate(
        "() => [...document.querySelectorAll('.onlm .onlm-card')].filter((c) => c.offsetParent).map((c) => {"
        " const plot = c.querySelector('.onlm-plot'); const print = c.querySelector('.onlm-print');"
        " const drawn = plot.offsetParent ? (plot._fullData ?? []).map((t) => [t.name, Array.from(t.x ?? []),"
        " Array.from(t.y ?? [])]) : [];"
        " return JSON.stringify([drawn, print.offsetParent ? print.shadowRoot.textContent : '', "
        " c.querySelector('.onlm-sentence')?.textContent]); })"
    )


def _moved(page, move, cards):
    """Does something, waits until these of the shown cards are others, and sees that no other one is."""
    before = at_rest(page, lambda: _seen(page))

    def other():
        now = _seen(page)
        return (
            [i for i, (a, b) in enumerate(zip(before, now, strict=True)) if a != b] if len(now) == len(before) else []
        )

    move()
    eventually(lambda: set(cards) <= set(other()), seconds=120, every_s=0.2, what=f"cards {cards} are others")
    at_rest(page, lambda: _seen(page))
    assert other() == cards


def _choose(page, text, value):
    return lambda: page.locator("select:not([multiple])").filter(has_text=text).first.select_option(value)


def test_the_page_opens_with_its_marks_curves_at_risk_rows_and_the_printed_card(page, run):
    assert page.inner_text("h1") == "A made-up study"
    assert "MADE-UP DATA" in page.inner_text(".onlm-pills") and "Research use only" in page.inner_text(".onlm-pills")
    _tab(page, "Curves")
    first = page.locator(".onlm-plot").first
    expect(first).to_contain_text("Patients at risk")
    expect(first).to_contain_text("low risk")
    rows = run.rows()
    one = rows[(rows["model_id"] == "fused") & (rows["arm"] == "surgery")]
    sizes = analysis.cumulative_incidence(one, endpoint="regional", by="predicted_positive").groups["n"]
    for n in sizes:  # the first column at risk is everybody
        expect(first).to_contain_text(str(n))
    printed = page.locator(".onlm-print:visible")
    expect(printed).to_have_count(1)
    expect(printed.locator(".onlm-card")).to_contain_text("What became of the patients by 3 years?")
    eventually(lambda: printed.locator("svg circle").count() > 50, what="a dot for each of the patients")
    eventually(lambda: printed.evaluate("(e) => e.shadowRoot.querySelector('.onlm-card').clientWidth") > 400)


def test_a_figure_holds_the_numbers_of_the_library(page, run):
    _tab(page, "Curves")
    rows = run.rows()
    one = rows[(rows["model_id"] == "fused") & (rows["arm"] == "surgery")]
    curve = analysis.cumulative_incidence(one, endpoint="regional", by="predicted_positive").curve
    last = curve[curve["cause"] == 1].groupby("group", observed=True)["incidence"].last()
    drawn = json.loads(at_rest(page, lambda: _seen(page))[0])[0]
    ends = {name: y[-1] for name, _, y in drawn if name in ("low risk", "high risk") and y}
    assert sorted(ends.values()) == pytest.approx(sorted(last.tolist()), abs=1e-3)


def test_every_control_moved_redraws_its_cards_and_no_other(page):
    _tab(page, "Curves")
    _moved(page, _choose(page, "Overall survival", "Overall survival"), [0, 2])
    _moved(page, _choose(page, "Overall survival", "Regional (nodal) recurrence"), [0, 2])
    _moved(page, _choose(page, "2 years", "2 years"), [0, 1, 2])
    _moved(page, _choose(page, "2 years", "3 years"), [0, 1, 2])
    _moved(page, _choose(page, "Quarters", "Quarters of the risk"), [0, 1])
    _moved(page, _choose(page, "Quarters", "Risk and pathological N"), [0, 1])
    _moved(page, _choose(page, "Quarters", "Low and high risk"), [0, 1])
    handle = page.locator(".onlm-threshold [role='slider']")

    def slide():
        handle.focus()
        for _ in range(10):
            handle.press("ArrowRight")
        slider_arrived(page)

    _moved(page, slide, [0, 1, 2])
    _moved(page, page.get_by_role("button", name="Study's own thresholds").click, [0, 1, 2])
    _moved(page, _choose(page, "clinical", "clinical"), [0, 1, 2])
    _moved(page, _choose(page, "clinical", "fused"), [0, 1, 2])
    _moved(page, page.get_by_role("button", name="SBRT", exact=True).click, [0, 1, 2])
    _moved(page, page.get_by_role("button", name="Surgery", exact=True).click, [0, 1, 2])


def test_covariates_and_landmark_redraw_their_cards(page):
    _tab(page, "Hazards")
    covariates = page.locator("select[multiple]").first
    _moved(page, lambda: covariates.select_option(["Sex"]), [0, 1])
    _tab(page, "Event risks")
    eventually(lambda: all(len(json.loads(card)[0]) for card in _seen(page)), what="curves in every card")
    _tab(page, "Treatments")
    _moved(page, _choose(page, "day 120", "day 120"), [2])
    expect(page.locator(".onlm-main")).to_contain_text("from day 120 it is")


def test_a_refusal_is_a_sentence_in_the_card(page):
    _tab(page, "Curves")
    _choose(page, "Quarters", "Risk and pathological N")()
    page.get_by_role("button", name="SBRT", exact=True).click()
    page.wait_for_function("() => document.querySelectorAll('.onlm-error').length === 2", timeout=120_000)
    expect(page.locator(".onlm-error").first).to_contain_text("no pathological N")
    page.wait_for_function(
        "() => ![...document.querySelectorAll('.onlm-print')].some((e) => e.offsetParent)", timeout=60_000
    )
    page.get_by_role("button", name="Surgery", exact=True).click()
    _choose(page, "Quarters", "Low and high risk")()
    page.wait_for_function("() => document.querySelectorAll('.onlm-error').length === 0", timeout=120_000)


def test_the_card_and_its_table_can_be_saved(page):
    _tab(page, "Curves")
    found = {}
    card = page.locator(".onlm .onlm-card").nth(1)
    assert card.get_by_role("button", name="SVG").count() == 0
    for kind in ("as a page", "as CSV"):
        with page.expect_download() as download:
            card.get_by_role("button", name=kind).click()
        found[download.value.suggested_filename] = download.value.path().read_text(encoding="utf-8-sig")
    assert found["outcome_card_surgery.csv"].startswith("group,endpoint,kind,n,n_events")
    assert "What became of the patients" in found["outcome_card_surgery.html"]


def test_names_that_are_html_stay_text_and_no_request_leaves_this_machine(page):
    _tab(page, "Hazards")
    page.locator("select[multiple]").first.select_option(["Sex", "Centre"])
    page.wait_for_function("() => document.querySelector('.onlm-plot')?.textContent.includes('img src')")
    assert page.evaluate("() => window.pwned === undefined") and page.locator(".onlm img").count() == 0
    hosts = {urllib.parse.urlsplit(url).hostname for url in page.asked if not url.startswith(("data:", "blob:"))}
    assert hosts == {"127.0.0.1"}


@pytest.mark.parametrize("width", [400, 1440])
def test_nothing_is_wider_than_the_page(browser, server, width):
    page = _opened(browser, server, width=width)
    for tab in N_PLOTS:
        _tab(page, tab)
        page.wait_for_function(
            "(w) => document.documentElement.scrollWidth <= w && [...document.querySelectorAll('.onlm-card,"
            " .onlm-control, .onlm-plot, .onlm-print, .onlm-tabs button')]"
            ".every((e) => !e.offsetParent || e.getBoundingClientRect().right <= w + 0.5)",
            arg=width,
        )  # fmt: skip
        labels = (
            "() => [...document.querySelectorAll('.onlm-plot')].filter((p) => p.offsetParent).flatMap((p) => {"
            " const left = p.getBoundingClientRect().left - 0.5;"
            " return [...p.querySelectorAll('.ytick text')].filter((t) => t.getBoundingClientRect().left < left)"
            ".map((t) => t.textContent); })"
        )
        eventually(lambda: page.evaluate(labels) == [], what=f"{tab}: no name is cut")  # noqa: B023
    page.context.close()

"""The performance page in real Chromium: what a collaborator sees, and what nobody may see."""

from __future__ import annotations

import json
import shutil
import socket
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from made_run import write_run

from onlm_lab import analysis
from onlm_lab.panels import patients, performance
from onlm_lab.serving import serving

pytestmark = [
    pytest.mark.browser,
    # Playwright's driver and Voilà's sockets end after the interpreter looks for open ones.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
CHROMIUM = next((p for p in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if p), None)
ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
]  # fmt: skip
DRAWN = ".onlm-plot[data-drawn]"
N_FIGURES = {"Performance": 5, "Subgroups": 1, "Outcomes": 4}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("browser") / "run", n_surgery=160, n_sbrt=60)


@pytest.fixture(scope="module")
def server(run):
    if CHROMIUM is None:
        pytest.skip("NO CHROMIUM on this machine: the dashboards were NOT tested. Install it: apt-get install chromium")
    pytest.importorskip("playwright", reason="playwright is not installed: the dashboards were NOT tested")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with serving(run.folder, port=port) as running:
        yield running


@pytest.fixture(scope="module")
def browser(server):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def page(browser, server):
    """One page for the whole file: a kernel a test would take minutes."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    opened = context.new_page()
    opened.asked = []
    opened.on("request", lambda request: opened.asked.append(request.url))
    opened.goto(server.url)
    opened.wait_for_selector(DRAWN, timeout=90_000)
    yield opened
    context.close()


def _traces(page) -> dict[str, int]:
    """Traces of each figure on the open tab, by its title; waits until every shown figure is drawn."""
    page.wait_for_function(
        "() => { const plots = [...document.querySelectorAll('.onlm-plot')].filter((p) => p.offsetParent);"
        " return plots.length && plots.every((p) => p.data && p.data.length); }",
        timeout=60_000,
    )
    return page.evaluate(
        "() => Object.fromEntries([...document.querySelectorAll('.onlm-figure')].filter((f) => f.offsetParent)"
        ".map((f, i) => [i + ' ' + f.querySelector('h3').textContent, f.querySelector('.onlm-plot').data.length]))"
    )


def _tile(page, name: str) -> str:
    return page.inner_text(f"[data-tile='{name}']")


def _data(page) -> str:
    return page.evaluate(
        "() => JSON.stringify([...document.querySelectorAll('.onlm-plot')].filter((p) => p.offsetParent)"
        ".map((p) => p._fullData.map((t) => [t.name, Array.from(t.y ?? [])])))"
    )


FIRST = {"Performance": "How well does", "Subgroups": "In whom does", "Outcomes": "How"}


def _tab(page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()
    page.wait_for_function(
        "([n, start]) => { const all = [...document.querySelectorAll('.onlm-figure h3')];"
        " const shown = all.filter((e) => e.offsetParent);"
        " return shown.length === n && shown[0].textContent.startsWith(start); }",
        arg=[N_FIGURES[name], FIRST[name]], timeout=60_000,
    )  # fmt: skip


def test_the_page_shows_the_study_its_marks_and_every_figure_of_the_first_tab(page):
    assert page.inner_text("h1") == "A made-up study"
    assert "MADE-UP DATA" in page.inner_text(".onlm-pills") and "Research use only" in page.inner_text(".onlm-pills")
    traces = _traces(page)
    assert len(traces) == 5 and all(traces.values()), traces
    assert "CI" in _tile(page, "AUC") and "N+ of 160 patients" in _tile(page, "AUC")


def test_a_figure_holds_the_numbers_of_the_library(page, run):
    expected = analysis.roc(patients.tested(run.rows()), model="fused").curve["sensitivity"].tolist()
    drawn = json.loads(_data(page))
    curve = next(y for name, y in drawn[0] if name and name.startswith("fused: AUC"))
    assert curve == pytest.approx(expected)


def test_the_threshold_slider_moves_the_tile_to_the_librarys_number_and_the_button_brings_the_studys_back(page, run):
    before = _tile(page, "Sensitivity")
    tested = patients.tested(run.rows())
    handle = page.locator(".onlm-threshold [role='slider']")
    handle.focus()
    for _ in range(60):
        handle.press("ArrowRight")
    page.wait_for_function(
        "(old) => document.querySelector(\"[data-tile='Sensitivity']\").innerText !== old", arg=before
    )
    page.wait_for_timeout(1500)
    percent = float(page.inner_text(".onlm-threshold .widget-readout"))
    assert percent > 20
    tiles = {t.name: t for t in performance.tiles(tested, model="fused", threshold=percent / 100)}
    shown = _tile(page, "Sensitivity")
    assert tiles["Sensitivity"].value in shown and tiles["Sensitivity"].note in shown
    assert tiles["N+ missed, of 1,000"].value in _tile(page, "N+ missed, of 1,000")
    page.get_by_role("button", name="Study's own thresholds").click()
    page.wait_for_function(
        "(old) => document.querySelector(\"[data-tile='Sensitivity']\").innerText === old", arg=before
    )


def test_choosing_another_model_changes_tiles_and_figures(page):
    tile, figures = _tile(page, "AUC"), _data(page)
    page.locator("select:not([multiple])").first.select_option("clinical")
    page.wait_for_function("(old) => document.querySelector(\"[data-tile='AUC']\").innerText !== old", arg=tile)
    page.wait_for_timeout(1500)
    assert _data(page) != figures and all(_traces(page).values())
    page.locator("select:not([multiple])").first.select_option("fused")
    page.wait_for_function("(old) => document.querySelector(\"[data-tile='AUC']\").innerText === old", arg=tile)


@pytest.mark.parametrize("tab", ["Subgroups", "Outcomes", "Performance"])
def test_every_tab_draws_its_figures_with_traces(page, tab):
    _tab(page, tab)
    traces = _traces(page)
    assert len(traces) == N_FIGURES[tab] and all(traces.values()), traces


def test_another_endpoint_and_arm_redraw_the_outcomes(page):
    _tab(page, "Outcomes")
    before = _data(page) if _traces(page) else ""
    page.locator("select").filter(has_text="Overall survival").select_option("Overall survival")
    page.wait_for_function("() => document.body.innerText.includes('How long do patients stay alive')", timeout=30_000)
    assert _data(page) != before
    page.get_by_role("button", name="SBRT", exact=True).click()
    page.wait_for_function(
        "() => [...document.querySelectorAll('.onlm-plot')].filter((p) => p.offsetParent).length === 2", timeout=30_000
    )


def test_a_name_that_is_html_shows_as_text(page):
    _tab(page, "Subgroups")
    page.wait_for_function("() => document.querySelector('.onlm-plot')?.textContent.includes('img src')")
    assert page.evaluate("() => window.pwned === undefined")
    assert page.locator(".onlm img").count() == 0
    page.locator(".onlm-figure summary").first.click()
    table = page.locator(".onlm-table").first
    table.get_by_text("<img src=x onerror=window.pwned=1>").first.wait_for()  # it is filled once it is open
    assert "<img src=x onerror=window.pwned=1>" in table.inner_text()
    assert page.evaluate("() => window.pwned === undefined")


def test_a_figure_and_its_table_can_be_saved(page):
    _tab(page, "Performance")
    _traces(page)
    found = {}
    for kind in ("SVG", "PNG", "CSV"):
        with page.expect_download() as download:
            page.get_by_role("button", name=kind).first.click()
        path = download.value.path()
        found[download.value.suggested_filename] = path.read_bytes()
    assert b"<svg" in found["roc.svg"][:200] and b"MADE-UP DATA" in found["roc.svg"]
    assert found["roc.png"][:4] == b"\x89PNG"
    assert found["roc.csv"].decode("utf-8-sig").startswith("model_id,n,n_positive,auc")


def test_everything_is_reached_by_keyboard_and_the_focus_is_seen(page):
    page.locator("h1").click()
    seen = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        seen.add(page.evaluate("() => document.activeElement.tagName + ' ' + (document.activeElement.innerText || '')"))
    assert any(s.startswith("SELECT") for s in seen)
    assert {"BUTTON Performance", "BUTTON Subgroups", "BUTTON Outcomes", "BUTTON CSV"} <= {s.strip() for s in seen}
    outline = page.evaluate("() => getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none"


def test_no_request_leaves_this_machine_and_plotly_comes_once(page):
    hosts = {urllib.parse.urlsplit(url).hostname for url in page.asked if not url.startswith(("data:", "blob:"))}
    assert hosts == {"127.0.0.1"}
    bundles = [url for url in page.asked if "plotly.min.js" in url]
    assert len(bundles) == 1, bundles


def test_after_a_reload_the_page_is_there_again(page):
    page.reload()
    page.wait_for_selector(DRAWN, timeout=90_000)
    assert all(_traces(page).values())


def test_at_400_pixels_nothing_is_wider_than_the_page(browser, server):
    context = browser.new_context(viewport={"width": 400, "height": 800})
    narrow = context.new_page()
    narrow.goto(server.url)
    narrow.wait_for_selector(DRAWN, timeout=90_000)
    _traces(narrow)
    assert narrow.evaluate("() => document.documentElement.scrollWidth") <= 400
    wide = narrow.evaluate(
        "() => [...document.querySelectorAll('.onlm-card, .onlm-tile, .onlm-control, .onlm-plot, .onlm-tabs button')]"
        ".filter((e) => e.offsetParent && e.getBoundingClientRect().right > 400.5).length"
    )
    assert wide == 0
    context.close()


def _status(url: str) -> int:
    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: object) -> None:
            return None

    try:
        with urllib.request.build_opener(Stay).open(url, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.parametrize("token", ["", "?token=wrong"])
def test_without_the_right_token_nothing_is_shown(server, token):
    assert _status(f"http://127.0.0.1:{server.port}/{token}") in (302, 401, 403)


@pytest.mark.parametrize(
    "path",
    ["voila/files/secret.png", "voila/files/public/secret.png", "voila/files/predictions.csv", "voila/files/voila.json",
     "voila/files/performance.ipynb", "voila/files/../voila.json", "api/contents", "voila/api/contents/", "voila/tree"],
)  # fmt: skip
def test_files_are_refused(server, path):
    assert _status(f"http://127.0.0.1:{server.port}/{path}") in (302, 403, 404)


def test_plotly_itself_is_served(server):
    assert _status(f"http://127.0.0.1:{server.port}/voila/files/public/plotly.min.js") == 200


def test_the_server_and_its_folder_end_with_the_block(run):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with serving(run.folder, port=port) as running:
        folder, process = running.log.parent, running.process
        assert folder.is_dir() and process.poll() is None
    assert process.poll() is not None and not folder.exists()

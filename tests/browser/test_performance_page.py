"""The performance page in real Chromium: what a collaborator sees, and what nobody may see."""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from made_run import write_run
from waiting import at_rest, eventually, said, slider_arrived

from onlm_lab import analysis
from onlm_lab.panels import patients, performance
from onlm_lab.serving import serving

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
N_FIGURES = {"Performance": 6, "Subgroups": 1, "Centres": 1, "Fairness": 1, "Outcomes": 4}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("browser") / "run", n_surgery=160, n_sbrt=60)


@pytest.fixture(scope="module")
def server(serve, run):
    with serve(run.folder, page="performance") as running:
        yield running


@pytest.fixture(scope="module")
def page(browser, server):
    """One page for the whole file: a kernel a test would take minutes."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    opened = context.new_page()
    opened.asked = []
    opened.on("request", lambda request: opened.asked.append(request.url))
    opened.goto(server.url, timeout=90_000)
    opened.wait_for_selector(DRAWN, timeout=90_000)
    yield opened
    context.close()


def _traces(page) -> dict[str, int]:
    """Traces of each figure on the open tab, by its title; waits until every shown figure is drawn."""
    page.wait_for_function(
        "() => { const plots = [...document.querySelectorAll('.onlm-plot')].filter((p) => p.offsetParent);"
        " return plots.length && plots.every((p) => p.data && p.data.length); }",
        timeout=90_000,
    )
    return page.evaluate(
        "() => Object.fromEntries([...document.querySelectorAll('.onlm-figure')]"
        ".filter((f) => f.querySelector('.onlm-plot').offsetParent)"
        ".map((f, i) => [i + ' ' + f.querySelector('h3').textContent, f.querySelector('.onlm-plot').data.length]))"
    )


def _every_figure(page, tab: str) -> None:
    def are_there():
        traces = _traces(page)
        assert len(traces) == N_FIGURES[tab] and all(traces.values()), traces
        return True

    eventually(are_there, what=f"the figures of {tab}")


def _tile(page, name: str) -> str:
    return page.inner_text(f"[data-tile='{name}']")


def _data(page) -> str:
    return page.evaluate(
        "() => JSON.stringify([...document.querySelectorAll('.onlm-plot')].filter((p) => p.offsetParent)"
        ".map((p) => (p._fullData ?? []).map((t) => [t.name, Array.from(t.y ?? [])])))"
    )


FIRST = {
    "Performance": "Of 100 such", "Subgroups": "In whom does", "Centres": "Does the model work in every",
    "Fairness": "Are N+ patients found alike", "Outcomes": "How",
}  # fmt: skip


def _tab(page, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).click()
    page.wait_for_function(
        "([n, start]) => { const all = [...document.querySelectorAll('.onlm-figure h3')];"
        " const shown = all.filter((e) => e.offsetParent);"
        " return shown.length === n && shown[0].textContent.startsWith(start); }",
        arg=[N_FIGURES[name], FIRST[name]], timeout=90_000,
    )  # fmt: skip


def test_the_page_shows_the_study_its_marks_and_every_figure_of_the_first_tab(page):
    assert page.inner_text("h1") == "A made-up study"
    assert "MADE-UP DATA" in page.inner_text(".onlm-pills") and "Research use only" in page.inner_text(".onlm-pills")
    _every_figure(page, "Performance")
    tile = page.locator("[data-tile='AUC']")
    expect(tile).to_contain_text("CI")
    expect(tile).to_contain_text("N+ of 160 patients")


def test_a_figure_holds_the_numbers_of_the_library(page, run):
    expected = analysis.roc(patients.tested(run.rows()), model="fused").curve["sensitivity"].tolist()
    drawn = json.loads(at_rest(page, lambda: _data(page)))
    curve = next(y for figure in drawn for name, y in figure if name and name.startswith("fused: AUC"))
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
    slider_arrived(page)
    percent = float(page.inner_text(".onlm-threshold .widget-readout"))
    assert percent > 20
    tiles = {t.name: t for t in performance.tiles(tested, model="fused", threshold=percent / 100)}
    shown = page.locator("[data-tile='Sensitivity']")
    expect(shown).to_contain_text(tiles["Sensitivity"].value)
    expect(shown).to_contain_text(tiles["Sensitivity"].note)
    expect(page.locator("[data-tile='N+ missed, of 1,000']")).to_contain_text(tiles["N+ missed, of 1,000"].value)
    at_rest(page, lambda: _data(page))  # the figures that follow the tiles
    page.get_by_role("button", name="Study's own thresholds").click()
    page.wait_for_function(
        "(old) => document.querySelector(\"[data-tile='Sensitivity']\").innerText === old", arg=before
    )


def test_choosing_another_model_changes_tiles_and_figures(page):
    figures = at_rest(page, lambda: _data(page))
    tile = _tile(page, "AUC")
    page.get_by_label("Model", exact=True).select_option("clinical")
    page.wait_for_function("(old) => document.querySelector(\"[data-tile='AUC']\").innerText !== old", arg=tile)
    eventually(lambda: _data(page) != figures, seconds=90)
    at_rest(page, lambda: _data(page))
    assert all(_traces(page).values())
    page.get_by_label("Model", exact=True).select_option("fused")
    page.wait_for_function("(old) => document.querySelector(\"[data-tile='AUC']\").innerText === old", arg=tile)


@pytest.mark.parametrize("tab", ["Subgroups", "Centres", "Fairness", "Outcomes", "Performance"])
def test_every_tab_draws_its_figures_with_traces(page, tab):
    _tab(page, tab)
    _every_figure(page, tab)


def test_another_endpoint_and_arm_redraw_the_outcomes(page):
    _tab(page, "Outcomes")
    before = at_rest(page, lambda: _data(page)) if _traces(page) else ""
    page.locator("select").filter(has_text="Overall survival").select_option("Overall survival")
    page.wait_for_function("() => document.body.innerText.includes('How long do patients stay alive')")
    eventually(lambda: _data(page) != before, seconds=90)
    page.get_by_role("button", name="SBRT", exact=True).click()
    page.wait_for_function(
        "() => [...document.querySelectorAll('.onlm-plot')].filter((p) => p.offsetParent).length === 2"
    )


def _control(page, label: str):
    return page.locator(".onlm-control", has_text=label).locator("select")


def _redrawn(page, before: str, what: str) -> None:
    """Waits until a control's figure is another, with traces."""
    page.wait_for_function(
        "(old) => { const all = [...document.querySelectorAll('.onlm-plot')].filter((p) => p.offsetParent);"
        " return all.length && all.every((p) => p.data?.length)"
        " && JSON.stringify(all.map((p) => (p._fullData ?? []).map((t) => [t.name, Array.from(t.x ?? [])])))"
        " !== old; }",
        arg=before, timeout=90_000,
    )  # fmt: skip
    assert all(_traces(page).values()), what


def _across(page) -> str:
    return page.evaluate(
        "() => JSON.stringify([...document.querySelectorAll('.onlm-plot')].filter((p) => p.offsetParent)"
        ".map((p) => (p._fullData ?? []).map((t) => [t.name, Array.from(t.x ?? [])])))"
    )


MOVES = [
    ("Subgroups", "Only patients with", "Sex: female"), ("Subgroups", "Measure", "Sensitivity"),
    ("Centres", "Measure", "Calibration slope"), ("Fairness", "Measure", "False positives"),
    ("Fairness", "Groups held against each other", "Smoking"),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("tab", "label", "option"), MOVES)
def test_every_selector_of_subgroups_centres_and_fairness_redraws_its_forest(page, tab, label, option):
    _tab(page, tab)
    _traces(page)
    before, select = at_rest(page, lambda: _across(page)), _control(page, label).locator("visible=true")
    chosen = select.locator("option", has_text=option).first.get_attribute("value")
    first = select.evaluate("(s) => [...s.selectedOptions].map((o) => o.value)")
    select.select_option(value=chosen)
    _redrawn(page, before, label)
    if label == "Only patients with":
        said(page, "Only patients with Sex: female;").wait_for(timeout=90_000)
    after = at_rest(page, lambda: _across(page))
    select.select_option(value=first)
    _redrawn(page, after, label)


def test_a_name_that_is_html_shows_as_text(page):
    _tab(page, "Subgroups")
    page.wait_for_function("() => document.querySelector('.onlm-plot')?.textContent.includes('img src')")
    assert page.evaluate("() => window.pwned === undefined")
    expect(page.locator(".onlm img")).to_have_count(0)
    figure = page.locator(".onlm-figure:visible").first
    figure.locator("summary").filter(has_text="Table").click()
    table = figure.locator(".onlm-table")
    table.get_by_text("<img src=x onerror=window.pwned=1>").first.wait_for()  # it is filled once it is open
    expect(table).to_contain_text("<img src=x onerror=window.pwned=1>")
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
    assert b"<svg" in found["hundred_patients.svg"][:200] and b"MADE-UP DATA" in found["hundred_patients.svg"]
    assert found["hundred_patients.png"][:4] == b"\x89PNG"
    assert found["hundred_patients.csv"].decode("utf-8-sig").startswith("outcome,of_1000,low,high,of_100")


def test_everything_is_reached_by_keyboard_and_the_focus_is_seen(page):
    page.locator("h1").click()
    seen = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        seen.add(page.evaluate("() => document.activeElement.tagName + ' ' + (document.activeElement.innerText || '')"))
    assert any(s.startswith("SELECT") for s in seen)
    assert "BUTTON CSV" in {s.strip() for s in seen}
    # Of the tabs one is reached by Tab, the others by the arrow keys, as of any list of tabs.
    assert len({s.strip() for s in seen} & {f"BUTTON {tab}" for tab in N_FIGURES}) == 1
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
    narrow.goto(server.url, timeout=90_000)
    narrow.wait_for_selector(DRAWN, timeout=90_000)
    _traces(narrow)
    narrow.wait_for_function(
        "() => document.documentElement.scrollWidth <= 400 && [...document.querySelectorAll('.onlm-card, .onlm-tile,"
        " .onlm-control, .onlm-plot, .onlm-tabs button')]"
        ".every((e) => !e.offsetParent || e.getBoundingClientRect().right <= 400.5)"
    )
    context.close()


def _status(url: str) -> int:
    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: object) -> None:
            return None

    try:
        with urllib.request.build_opener(Stay).open(url, timeout=60) as answer:
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


def test_plotly_itself_is_served_to_nobody_without_the_token_and_to_the_page(server, page):
    address = f"http://127.0.0.1:{server.port}/voila/files/public/plotly.min.js"
    assert _status(address) == 403
    assert page.evaluate("async (address) => (await fetch(address)).status", address) == 200


def test_the_server_and_its_folder_end_with_the_block(run, free_port):
    with serving(run.folder, port=free_port()) as running:
        folder, process = running.log.parent, running.process
        assert folder.is_dir() and process.poll() is None
    assert process.poll() is not None and not folder.exists()

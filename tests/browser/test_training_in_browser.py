"""The training page in real Chromium: a run started, growing, stopped, reloaded, and gone on with to its end."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from made_study import write_small_study

from onlm_lab import launching
from onlm_lab.runs import list_runs

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
WAIT_MS = 240_000


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = write_small_study(tmp_path_factory.mktemp("training") / "study", repeats=15)
    yield folder
    for one in launching.launches(folder):
        launching.stop(one)


@pytest.fixture(scope="module")
def server(serve, study):
    with serve(study, page="training") as running:
        yield running


def _state(page, name):
    page.wait_for_selector(f"[data-state='{name}']", timeout=WAIT_MS)


def _press(page, name):
    page.locator(f".onlm button:has-text('{name}'):not([disabled])").first.click(timeout=WAIT_MS)


def test_a_run_is_started_grows_is_stopped_reloaded_and_goes_on_to_its_end(browser, server, study):
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.goto(server.url, timeout=WAIT_MS)
    _state(page, "none")
    _press(page, "Start")
    _state(page, "going")
    page.wait_for_selector(".onlm-plot[data-drawn]", timeout=WAIT_MS)
    seen = page.locator("progress").first.get_attribute("value")
    page.wait_for_function(
        "(old) => document.querySelector('progress')?.getAttribute('value') !== old", arg=seen, timeout=WAIT_MS
    )
    began = time.monotonic()  # the page's other controls stay alive
    page.get_by_role("tab", name="Compare", exact=True).click()
    page.wait_for_selector(".onlm-runs th:has-text('Main model')", timeout=30_000)
    assert time.monotonic() - began < 30
    page.get_by_role("tab", name="Run", exact=True).click()
    _press(page, "Stop")
    _state(page, "stopped")
    page.reload(timeout=WAIT_MS)
    _state(page, "stopped")
    _press(page, "Resume")
    second = browser.new_context(viewport={"width": 400, "height": 900}).new_page()
    second.goto(server.url, timeout=WAIT_MS)
    _state(second, "going")
    second.wait_for_function("() => document.documentElement.scrollWidth <= 400", timeout=WAIT_MS)
    for one in (page, second):
        one.wait_for_selector("[data-state='done']", timeout=600_000)
    (run,) = list_runs(study)
    assert run.finished and json.loads((run.folder / "results.json").read_text(encoding="utf-8"))
    page.context.close()
    second.context.close()

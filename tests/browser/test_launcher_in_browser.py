"""A real JupyterLab in real Chromium: the Launcher has our entries, and one click opens the page."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from types import SimpleNamespace

import pytest
from conftest import CHROMIUM
from made_run import write_run
from made_share import jupyter_environment, lay_out_share

from onlm_lab.teaching import LESSONS

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PATIENCE_MS = 180_000  # a kernel that starts on a busy machine


@pytest.fixture(scope="module")
def server(tmp_path_factory, free_port):
    """JupyterLab on a folder with one study."""
    if CHROMIUM is None:
        pytest.skip("NO CHROMIUM on this machine: the Launcher was NOT tested. Install it: apt-get install chromium")
    pytest.importorskip("jupyterlab", reason="JupyterLab is not installed: the Launcher was NOT tested")
    base, home = tmp_path_factory.mktemp("installed"), tmp_path_factory.mktemp("home")
    run = write_run(home / "a study" / "runs" / "run-1", n_surgery=120, n_sbrt=40)
    shutil.copy(run.folder / "study.toml", home / "a study" / "study.toml")
    port = free_port()
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}",
               "--IdentityProvider.token=a", f"--ServerApp.root_dir={home}", "--ServerApp.port_retries=0"]  # fmt: skip
    with (base / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=home, env=jupyter_environment(lay_out_share(base)), stdout=log, stderr=log
        )
    url = f"http://127.0.0.1:{port}/lab?token=a&reset"
    try:
        _wait(process, url=url)
        yield SimpleNamespace(url=url, home=home)
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()


def _wait(process: subprocess.Popen[bytes], *, url: str) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        assert process.poll() is None, "JupyterLab ended by itself"
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.3)
    raise AssertionError("JupyterLab did not answer within two minutes")


@pytest.fixture
def page(browser, server):
    """The Launcher, with what the browser found wrong while it was open."""
    page = browser.new_page(viewport={"width": 1300, "height": 1400})
    page.set_default_timeout(PATIENCE_MS)
    page.faults = []
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.goto(server.url)
    page.wait_for_selector(".jp-Launcher .jp-LauncherCard[title*='onlm_lab']")
    yield page
    page.close()


def test_the_launcher_has_a_section_of_ours_with_two_entries(page):
    from playwright.sync_api import expect

    expect(page.locator(".jp-Launcher-sectionTitle", has_text="onlm_lab")).to_be_visible()
    cards = page.locator(".jp-LauncherCard[title*='onlm_lab']")
    expect(cards).to_have_text(["Dashboards", "Lessons"])
    expect(cards.locator("svg")).to_have_count(2)
    assert page.faults == []


def test_one_click_opens_the_pages_of_the_study_without_any_code_in_sight(page, server):
    from playwright.sync_api import expect

    page.locator(".jp-LauncherCard[title*='pages of the studies']").click()
    expect(page.get_by_text("Performance of the model").first).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_text("MADE-UP DATA").first).to_be_visible()
    expect(page.locator(".jp-CodeCell .jp-InputArea-editor:visible")).to_have_count(0)
    page.get_by_role("button", name="Outcomes", exact=True).first.click()
    expect(page.get_by_text("Outcomes of the patients").first).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_text("Performance of the model")).to_have_count(0)
    written = json.loads((server.home / "onlm_dashboards.ipynb").read_text(encoding="utf-8"))
    assert [cell["cell_type"] for cell in written["cells"]] == ["markdown", "code"] and page.faults == []


def test_a_second_click_opens_the_same_notebook_and_never_writes_over_it(page, server):
    from playwright.sync_api import expect

    path = server.home / "onlm_dashboards.ipynb"
    before = json.loads(path.read_text(encoding="utf-8"))
    before["cells"][0]["source"] = "# My own words"
    path.write_text(json.dumps(before), encoding="utf-8")
    page.locator(".jp-LauncherCard[title*='pages of the studies']").click()
    expect(page.get_by_role("heading", name="My own words")).to_be_visible(timeout=PATIENCE_MS)
    assert json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"] == "# My own words"


def test_the_other_entry_lays_out_the_lessons_and_a_link_opens_one(page, server):
    from playwright.sync_api import expect

    page.locator(".jp-LauncherCard[title*='seven lessons']").click()
    link = page.locator(".jp-OutputArea a", has_text="AUC").first
    expect(link).to_be_visible(timeout=PATIENCE_MS)
    assert len(list((server.home / "lessons").glob("*.ipynb"))) == len(LESSONS)
    link.click()
    expect(page.locator(".lm-TabBar-tabLabel", has_text="01_auc.ipynb")).to_be_visible(timeout=PATIENCE_MS)

"""The served pages as one who shares them meets them: the token, the address, two studies, kernels that come and go."""

from __future__ import annotations

import contextlib
import re
import sys
import time
from pathlib import Path

import psutil
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from made_run import write_run
from waiting import eventually, said

from onlm_lab import server_files, serving
from onlm_lab.runs import Run

expect = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed: the dashboards were NOT tested"
).expect

pytestmark = [
    pytest.mark.browser,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
DRAWN = ".onlm-plot[data-drawn]"
BASE = "/onlm"
WAIT = 90_000


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shared")
    return [
        write_run(folder / name, n_surgery=120, n_sbrt=40, name=f"The study {name}").folder for name in ("one", "two")
    ]


@pytest.fixture(scope="module")
def server(serve, studies, free_port):
    how = serving.Sharing(base_url=BASE, idle_s=300)
    with serving.serving(studies, port=free_port(), sharing=how) as running:
        yield running


@pytest.fixture
def page(browser):
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    opened = context.new_page()
    opened.asked, opened.failed = [], []
    opened.on("request", lambda request: opened.asked.append((request.url, request.headers.get("referer", ""))))
    opened.on("console", lambda said: opened.failed.append(said.text) if "Content Security" in said.text else None)
    yield opened
    context.close()


def _kernels(server):
    found = []
    for child in psutil.Process(server.process.pid).children():
        with contextlib.suppress(psutil.Error):  # one that has just ended
            if "ipykernel" in " ".join(child.cmdline()):
                found.append(child)
    return found


def _until(true, *, seconds=90):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if true():
            return True
        time.sleep(0.3)
    return False


def _here(server, page="start", fragment=""):
    return f"http://127.0.0.1:{server.port}{BASE}/voila/render/{page}.ipynb{fragment}"


def _give(page, token):
    page.fill("input[name=password]", token)
    page.get_by_role("button", name="Show the pages").click()


def test_a_link_survives_the_form_for_the_token_which_is_then_nowhere_to_be_seen(page, server):
    page.goto(_here(server, "performance", "#study=two&model=clinical"))
    assert "This needs the token." in page.inner_text("main")
    _give(page, "not the token")
    page.get_by_text("That is not the token.").wait_for(timeout=WAIT)
    _give(page, server.token)
    page.wait_for_selector(DRAWN, timeout=WAIT)
    expect(page.locator("h1")).to_have_text("The study two")
    expect(page).to_have_url(_here(server, "performance", "#study=two&model=clinical"))
    expect(page.locator(".onlm-basis")).to_contain_text("clinical")
    here = f"http://127.0.0.1:{server.port}{BASE}/"
    assert all(url.startswith((here, "data:", "blob:")) for url, _ in page.asked), page.asked
    assert not [one for one in page.asked if server.token in one[0] + one[1]], "the token went into an address"
    assert any("plotly.min.js" in url for url, _ in page.asked) and not page.failed, page.failed


@pytest.mark.slow
def test_the_token_of_a_link_is_gone_from_the_address_and_from_every_referer(page, server):
    page.goto(f"{server.url}#study=two")
    page.wait_for_selector("a.onlm-go", timeout=WAIT)
    expect(page).to_have_url(re.compile(re.escape(_here(server)) + "(#study=two)?$"))
    with_token = [url for url, _ in page.asked if server.token in url]
    assert with_token == [server.url] and not [one for one in page.asked if server.token in one[1]]
    eventually(lambda: page.inner_text("body").count("The study") >= 2, what="both studies on the start page")
    page.get_by_role("navigation", name="The study two").get_by_role("link", name="Performance").click()
    page.wait_for_selector(DRAWN, timeout=WAIT)
    expect(page.locator("h1")).to_have_text("The study two")


@pytest.mark.slow
def test_a_page_that_is_left_ends_its_kernel_and_one_that_is_cut_off_is_culled(browser, serve, studies, free_port):
    how = serving.Sharing(idle_s=40)
    with serving.serving(studies, port=free_port(), sharing=how) as running:
        context = browser.new_context()
        first = context.new_page()
        first.goto(running.url)
        first.wait_for_selector("a.onlm-go", timeout=WAIT)
        second = context.new_page()
        second.goto(f"http://127.0.0.1:{running.port}/voila/render/start.ipynb")
        second.wait_for_selector("a.onlm-go", timeout=WAIT)
        assert _until(lambda: len(_kernels(running)) == 2)
        second.goto("about:blank")
        assert _until(lambda: len(_kernels(running)) == 1, seconds=60), "leaving a page did not end its kernel"
        second.goto(first.url)
        second.wait_for_selector("a.onlm-go", timeout=WAIT)
        assert _until(lambda: len(_kernels(running)) == 2)
        second.close(run_before_unload=True)  # as a reader closes a tab
        # Sooner than the culling may, which ends what has been idle for 40 s.
        assert _until(lambda: len(_kernels(running)) == 1, seconds=35), "closing a tab did not end its kernel"
        first.evaluate("navigator.sendBeacon = () => true")  # as when a laptop's lid is shut
        context.close()
        assert _until(lambda: not _kernels(running), seconds=180), "the kernel was not culled"


@pytest.mark.slow
def test_what_waits_ready_outlives_the_culling_and_is_filled_up_again(browser, serve, studies, free_port):
    how = serving.Sharing(idle_s=10, preheat=1)
    n = len(server_files.HEATED)
    with serving.serving(studies, port=free_port(), sharing=how) as running:
        assert _until(lambda: len(_kernels(running)) == n)
        time.sleep(45)  # four times the time after which an idle kernel goes
        waiting = {one.pid for one in _kernels(running)}
        assert len(waiting) == n
        context = browser.new_context()
        page = context.new_page()
        page.goto(running.url)
        page.wait_for_selector("a.onlm-go", timeout=WAIT)
        assert waiting & {one.pid for one in _kernels(running)} == waiting, "the page has one of those that waited"
        assert _until(lambda: len(_kernels(running)) == n + 1), "its place was not filled"
        page.goto("about:blank")
        assert _until(lambda: len(_kernels(running)) == n)
        for one in _kernels(running):
            assert running.token not in " ".join(one.environ().values())
        context.close()


@pytest.mark.slow
def test_the_back_button_and_a_reload_bring_a_view_back(page, server):
    page.goto(server.url)
    page.goto(_here(server, "performance"))
    page.wait_for_selector(DRAWN, timeout=WAIT)
    page.evaluate("location.hash = 'model=image'")
    page.wait_for_function("() => document.querySelector('.onlm-basis').textContent.includes('image')", timeout=WAIT)
    page.evaluate("location.hash = 'model=clinical'")
    page.wait_for_function("() => document.querySelector('.onlm-basis').textContent.includes('clinical')", timeout=WAIT)
    page.go_back()
    page.wait_for_function("() => document.querySelector('.onlm-basis').textContent.includes('image')", timeout=WAIT)
    expect(page).to_have_url(re.compile("#model=image$"))
    page.reload()
    page.wait_for_selector(DRAWN, timeout=WAIT)
    page.wait_for_function("() => document.querySelector('.onlm-basis').textContent.includes('image')", timeout=WAIT)
    page.evaluate("location.hash = 'model=nobody&run=<img src=x onerror=window.pwned=1>'")
    said(page, "The link names a run that is not here").wait_for(timeout=WAIT)
    page.evaluate("location.hash = 'model=nobody'")
    said(page, "Part of this link could not be restored").wait_for(timeout=WAIT)
    assert page.evaluate("window.pwned") is None


@pytest.mark.slow
def test_shared_pages_draw_in_every_tab_name_nobody_and_offer_no_page_of_single_patients(page, studies, free_port):
    ids = [p for p in Run(studies[0]).patients["patient_id"] if p.startswith("P")]
    counted = re.compile(r"(?<![\d.,])[1-4] (?:patients|events|N\+|N0)\b")
    with serving.serving(studies[0], port=free_port(), sharing=serving.Sharing(shared=True)) as running:
        base = f"http://127.0.0.1:{running.port}/voila/render"
        for name in ("performance", "outcomes"):
            page.goto(running.url if name == "performance" else f"{base}/{name}.ipynb", timeout=WAIT)
            if name == "performance":
                page.wait_for_selector("a.onlm-go", timeout=WAIT)
                offered = {"Start", "Cohort", "Performance", "Outcomes", "One patient"}
                eventually(lambda: set(page.locator(".onlm-bar nav a").all_inner_texts()) == offered)  # noqa: B023
                page.goto(f"{base}/{name}.ipynb", timeout=WAIT)
            page.wait_for_selector(DRAWN, timeout=WAIT)
            for k in range(page.get_by_role("tab").count()):
                page.get_by_role("tab").nth(k).click()
                page.wait_for_function(
                    "(k) => document.querySelectorAll('[role=tab]')[k].ariaSelected === 'true'", arg=k, timeout=WAIT
                )
                page.wait_for_timeout(2500)  # what is said of a tab comes after it
                text = page.inner_text("body")
                assert not [p for p in ids if p in text] and not counted.findall(text)
        page.goto(f"{base}/performance.ipynb", timeout=WAIT)
        page.wait_for_selector(DRAWN, timeout=WAIT)
        tiles = page.locator(".onlm-tiles")
        before = tiles.inner_text()
        page.locator(".onlm-threshold [role=slider]").press("PageUp")
        page.wait_for_function(
            "(was) => document.querySelector('.onlm-tiles').innerText !== was", arg=before, timeout=WAIT
        )
        page.wait_for_function("() => location.hash.includes('threshold=')", timeout=WAIT)
        for name in ("cases", "training", "reading"):
            assert page.goto(f"{base}/{name}.ipynb", timeout=WAIT).status == 404
            assert "There is no such page here." in page.inner_text("body")
    assert not page.failed and not [url for url, _ in page.asked for p in ids if p in url]

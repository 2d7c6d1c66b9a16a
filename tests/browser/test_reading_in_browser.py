"""The blind reader in Chromium: by keyboard and by mouse, with the websocket watched, at 1440 and at 400 px."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from made_run import write_run
from made_volume import write_volume
from waiting import said

from onlm_lab import reading_plan, server_files
from onlm_lab.app import reading_words as words
from onlm_lab.figures import theme
from onlm_lab.readings import read_readings

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
CODE = """
from pathlib import Path
from onlm_lab import app
from onlm_lab.app import reading_place

reading_place.write_scan = lambda study, patient: Path({ct!r})
app.reading()
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    made = write_run(tmp_path_factory.mktemp("browser") / "run", n_surgery=120, n_sbrt=20)
    reading_plan.plan_reading(made, readers=["R01", "R02"], n_positive=3, n_negative=3)
    return made


@pytest.fixture(scope="module")
def server(serve, run, tmp_path_factory):
    """The reading page as it is served, with one written CT for everybody: this run has none."""
    folder = tmp_path_factory.mktemp("notebook")
    code = CODE.format(ct=str(write_volume(folder / "ct")))
    book = json.loads((server_files.dashboards_folder() / "reading.ipynb").read_text(encoding="utf-8"))
    book["cells"] = [{**book["cells"][0], "id": "reading", "source": code.strip().splitlines(keepends=True)}]
    (folder / "reading.ipynb").write_text(json.dumps(book), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server_files, "dashboards_folder", lambda: folder)
        with serve(run.folder, page="reading") as running:
            yield running


def _opened(browser, server, *, width):
    page = browser.new_context(viewport={"width": width, "height": 900}).new_page()
    page.frames_seen = []

    def watch(socket):
        socket.on("framereceived", lambda data: page.frames_seen.append(_as_text(data)))

    page.on("websocket", watch)
    page.goto(server.url)
    page.get_by_role("button", name=words.BEGIN).wait_for(timeout=WAIT)
    return page


def _as_text(data):
    return data if isinstance(data, str) else bytes(data).decode("utf-8", errors="replace")


def _begin(page, code):
    page.get_by_label(words.ASK_CODE).fill(code)
    page.get_by_label(words.ASK_CODE).press("Tab")
    page.get_by_role("button", name=words.BEGIN).press("Enter")
    said(page, "Case 1 of 6").wait_for(timeout=WAIT)


def _heading(page, text):
    page.locator(".onlm-reading h3", has_text=text).wait_for(timeout=WAIT)


def test_a_case_is_read_by_keyboard_and_the_risk_leaves_the_kernel_only_after_the_save(browser, server, run):
    plan = reading_plan.read_plan(run)
    shown = reading_plan.risks(run, plan=plan)[plan.orders["R01"][0]]
    page = _opened(browser, server, width=1440)
    _begin(page, "R01")
    box, save = page.get_by_label(words.ASK_ALONE, exact=True), page.get_by_role("button", name=words.SAVE)
    scale = page.locator(".onlm-estimate input[type=range]")
    box.wait_for(timeout=WAIT)
    page.wait_for_function(
        "() => document.querySelector('.onlm-estimate input[type=number]') === document.activeElement", timeout=WAIT
    )
    expect(box).to_have_value("")
    expect(save).to_be_disabled()
    expect(scale).to_have_attribute("aria-valuetext", "not yet given")
    expect(scale).to_have_class(re.compile("onlm-untouched"))
    box.fill("101")
    said(page, "A whole number from 0 to 100.").wait_for(timeout=WAIT)
    expect(save).to_be_disabled()
    box.fill("37")
    expect(save).to_be_enabled()
    assert page.locator(".onlm-bar nav a").all_inner_texts() == ["Reading"] and not page.locator(".onlm-tabs").count()
    percent, digits = re.compile(rf"<strong>{theme.percent(shown.risk)}<"), f"{shown.risk:.6f}"
    seen = "".join(page.frames_seen)
    assert "onlm-reading" in seen, "the frames of the kernel are really read"
    assert "onlm-model-risk" not in seen.replace(".onlm-model-risk", "") and digits not in seen
    assert not percent.search(seen)
    before = len(page.frames_seen)
    box.press("Enter")
    page.locator("div.onlm-model-risk").wait_for(timeout=WAIT)
    expect(page.locator("div.onlm-model-risk strong")).to_contain_text(theme.percent(shown.risk))
    assert "onlm-model-risk" in "".join(page.frames_seen[before:])
    again = page.get_by_label(words.ASK_AGAIN, exact=True)
    again.wait_for(timeout=WAIT)
    page.wait_for_function(
        "() => { const box = document.querySelector('.onlm-estimate input[type=number]');"
        " return box.value === '' && document.activeElement === box; }", timeout=WAIT,
    )  # fmt: skip
    again.press_sequentially("52")
    again.press("Enter")
    _heading(page, "Case 2 of 6")
    page.locator("div.onlm-model-risk").wait_for(state="detached", timeout=WAIT)
    table = read_readings(run.folder).table
    assert table["estimate"].tolist() == [0.37, 0.52] and table.loc[1, "risk_shown"] == pytest.approx(shown.risk)
    page.reload()
    page.get_by_label(words.ASK_CODE).wait_for(timeout=WAIT)
    page.get_by_label(words.ASK_CODE).fill("r01")
    page.get_by_role("button", name=words.BEGIN).click()
    _heading(page, "Case 2 of 6")
    page.context.close()


def test_whatever_address_a_reader_types_there_is_no_other_page(browser, server, run):
    page = _opened(browser, server, width=1440)
    base = page.url.partition("/voila/")[0]
    for name in ("start", "cases", "performance", "outcomes", "cohort", "training", "patient"):
        answer = page.goto(f"{base}/voila/render/{name}.ipynb")
        assert answer.status == 404 and run.id not in page.content()
    page.goto(f"{base}/")
    assert page.url == f"{base}/voila/render/reading.ipynb"
    page.get_by_role("button", name=words.BEGIN).wait_for(timeout=WAIT)
    page.context.close()


@pytest.mark.slow
@pytest.mark.parametrize("width", [400, 1440])
def test_the_scale_is_given_by_mouse_and_nothing_is_wider_than_the_page(browser, server, run, width):
    page = _opened(browser, server, width=width)
    page.get_by_label(words.ASK_CODE).fill("R02")
    page.get_by_role("button", name=words.BEGIN).click()
    _heading(page, "of 6")
    n = len(read_readings(run.folder).table)

    def fits():
        page.wait_for_function(
            "(w) => document.documentElement.scrollWidth <= w && [...document.querySelectorAll('.onlm-reading *')]"
            ".every((e) => !e.offsetParent || e.getBoundingClientRect().right <= w + 0.5)",
            arg=width,
        )

    fits()
    scale = page.locator(".onlm-estimate input[type=range]")
    scale.wait_for(timeout=WAIT)
    area = scale.bounding_box()
    scale.click(position={"x": area["width"] * 0.7, "y": area["height"] / 2})
    page.wait_for_function(
        "() => document.querySelector('.onlm-estimate input[type=number]').value !== ''", timeout=WAIT
    )
    given = int(page.locator(".onlm-estimate input[type=number]").input_value())
    assert 65 <= given <= 75
    page.get_by_role("button", name=words.SAVE).click()
    page.locator("div.onlm-model-risk").wait_for(timeout=WAIT)
    fits()
    page.get_by_role("button", name=words.KEEP).click()
    page.locator("div.onlm-model-risk").wait_for(state="detached", timeout=WAIT)
    assert read_readings(run.folder).table["estimate"].tolist()[n:] == [given / 100, given / 100]
    page.get_by_role("button", name=words.STOP).click()
    page.get_by_role("button", name=words.BEGIN).wait_for(timeout=WAIT)
    page.context.close()

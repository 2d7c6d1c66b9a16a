"""The CT viewer in real Chromium: pixels against known HU, wheel and keys, window, outline, maps, distances."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from made_volume import AIR, BOX, CENTRE, SHAPE, SPACING_MM, TISSUE, TUMOUR, voxels, write_volume
from waiting import eventually

expect = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed: the viewer was NOT tested"
).expect

pytestmark = [
    pytest.mark.browser,
    # Playwright's driver and Voilà's sockets end after the interpreter looks for open ones.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
# A page with the viewer, and buttons that do what the Cases page does: another patient, a file that is gone.
CODE = """
from pathlib import Path
import ipywidgets, numpy as np
from traitlets import dlink
from onlm_lab.app.ct_viewer import CtViewer, open_volume
from onlm_lab.learning.explained import Explained, Picture
from onlm_lab.learning.placed import saliency_layers

folder = Path({folder!r})
def layers_of(path):
    # 20 mm around the centre in 40 pixels; one pixel raises the risk, one lowers it
    values = np.zeros((40, 40), np.float32)
    values[10:14, 30:34], values[26:30, 4:8] = 1.0, -1.0
    pictures = tuple(Picture(f"{{plane}} -1100 to 300 HU", k, np.zeros((40, 40), np.uint8), {{"grad_cam": values}})
                     for k, plane in enumerate(("axial", "coronal")))
    shown = Explained("P1", "fused", False, (), np.ones(1), 20.0, pictures)
    return saliency_layers(shown, open_volume(path)[0])

viewer = CtViewer()
viewer.load(folder / "P1.npy", layers=layers_of(folder / "P1.npy"))
told = ipywidgets.Label()
def tell(change=None):
    told.value = f"axial={{viewer.slice_axial}} centre={{viewer.window_centre_hu:g}} map={{viewer.saliency}}"
viewer.observe(tell, ["slice_axial", "window_centre_hu", "saliency"])
other = ipywidgets.Button(description="Other patient")
other.on_click(lambda _: viewer.load(folder / "P2.npy"))
first = ipywidgets.Button(description="First patient")
first.on_click(lambda _: viewer.load(folder / "P1.npy", layers=layers_of(folder / "P1.npy")))
gone = ipywidgets.Button(description="Gone")
gone.on_click(lambda _: viewer.load(folder / "P9.npy"))
slow = ipywidgets.Button(description="Never answers")
def silent(_):
    viewer.load(folder / "P1.npy")
    viewer.answer = lambda content: None
slow.on_click(silent)
planes = ipywidgets.Button(description="Planes only")
def planes_only(_):
    viewer.load(folder / "P1.npy")
    viewer.answer = lambda content: content["kind"] == "plane" and CtViewer.answer(viewer, content)
planes.on_click(planes_only)
ipywidgets.VBox([viewer, told, ipywidgets.HBox([other, first, gone, slow, planes])], layout={{"min_width": "0"}})
"""
AXIAL = "canvas[data-plane=axial]"
SHOWN = "canvas[data-plane=axial][data-state=shown]"


@pytest.fixture(scope="module")
def server(tmp_path_factory, free_port):
    from conftest import CHROMIUM

    if CHROMIUM is None:
        pytest.skip("NO CHROMIUM on this machine: the viewer was NOT tested. Install it: apt-get install chromium")
    pytest.importorskip("playwright", reason="playwright is not installed: the viewer was NOT tested")
    from benchmarks.viewer import served_notebook

    folder = tmp_path_factory.mktemp("volumes")
    write_volume(folder)
    write_volume(folder, name="P2", hu=voxels()[:30] + 7, with_mask=False, centre_voxel=None,
                 why_no_centre="<b>Not</b> known.")  # fmt: skip
    with served_notebook(CODE.format(folder=str(folder)), port=free_port()) as address:
        yield address


@pytest.fixture(scope="module")
def opened(browser, server):
    page = browser.new_context(viewport={"width": 1200, "height": 1000}).new_page()
    page.faults = []
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.goto(server)
    page.wait_for_selector(SHOWN, timeout=90_000)
    return page


@pytest.fixture
def page(opened):
    """The page with the first patient freshly shown, a window that tells tissue from tumour, no crosshair."""
    opened.set_viewport_size({"width": 1200, "height": 1000})
    before = opened.locator(".onlm-ct").get_attribute("data-volume")
    opened.get_by_role("button", name="First patient").click()
    _until(opened, "(({ volume, here }) => volume && volume !== " + repr(before) + f" && Number(here) === {SHAPE[0]})"
                   "(document.querySelector('.onlm-ct').dataset)")  # fmt: skip
    for name in ("Crosshair", "Tumour outline"):
        button = opened.get_by_role("button", name=name)
        if button.get_attribute("aria-pressed") == "true":
            button.click()
        expect(button).to_have_attribute("aria-pressed", "false")
    opened.get_by_role("button", name="Axial", exact=True).click()
    opened.get_by_role("button", name="Whole picture").click()
    opened.locator(AXIAL).focus()
    opened.keyboard.press("t")
    opened.get_by_role("button", name="Lung", exact=True).click()
    _slice(opened, 20)
    for name in ("Axial", "Lung"):
        _pressed(opened, name)
    yield opened
    assert opened.faults == []


def _until(page, condition, **options):
    page.wait_for_function(f"() => {condition}", **options)


def _slice(page, k, plane="axial"):
    _until(page, f"document.querySelector('canvas[data-plane={plane}]').dataset.slice === '{k}'"
                 f" && document.querySelector('canvas[data-plane={plane}]').dataset.state === 'shown'")  # fmt: skip


def _place(page, row, column, *, plane="axial"):
    """Where a row and column of a plane lie on the canvas, in its pixels; the whole picture is shown."""
    down, across = {"axial": (1, 2), "coronal": (0, 2), "sagittal": (0, 1)}[plane]
    width, height = page.locator(f"canvas[data-plane={plane}]").evaluate("(c) => [c.width, c.height]")
    size = SHAPE[down] * SPACING_MM[down], SHAPE[across] * SPACING_MM[across]
    scale = min(width / size[1], height / size[0])
    x = width / 2 + ((column + 0.5) * SPACING_MM[across] - size[1] / 2) * scale
    y = height / 2 + ((row + 0.5) * SPACING_MM[down] - size[0] / 2) * scale
    return x, y


def _colour(page, row, column, *, plane="axial"):
    x, y = _place(page, row, column, plane=plane)
    return page.locator(f"canvas[data-plane={plane}]").evaluate(
        "(c, [x, y]) => [...c.getContext('2d').getImageData(Math.round(x), Math.round(y), 1, 1).data].slice(0, 3)",
        [x, y],
    )


def _grey(hu, centre, width):
    return round(min(max((hu - centre) / width + 0.5, 0), 1) * 255)


def _same(page, row, column, grey, *, plane="axial"):
    """Waits until the voxel has this grey."""
    _coloured(page, row, column, [grey] * 3, within=1, plane=plane)


def _coloured(page, row, column, colour, *, within, plane="axial"):
    def is_so():
        assert _colour(page, row, column, plane=plane) == pytest.approx(colour, abs=within)
        return True

    eventually(is_so, what=f"{plane} row {row} column {column} is {colour}")


def _pressed(page, name):
    button = page.get_by_role("button", name=name, exact=True)
    expect(button).to_have_attribute("aria-pressed", "true")


def _mouse(page, row, column, *, plane="axial"):
    """The pointer's place on the page."""
    x, y = _place(page, row, column, plane=plane)
    box = page.locator(f"canvas[data-plane={plane}]").bounding_box()
    ratio = box["width"] / page.locator(f"canvas[data-plane={plane}]").evaluate("(c) => c.width")
    return box["x"] + x * ratio, box["y"] + y * ratio


def _frame(page):
    page.evaluate("() => new Promise((d) => requestAnimationFrame(() => requestAnimationFrame(d)))")


def test_pixels_are_the_hu_through_the_window_and_the_window_moves_them(page):
    for preset, centre, width in (("Lung", -600, 1500), ("Mediastinum", 50, 350), ("Bone", 400, 1800)):
        page.get_by_role("button", name=preset, exact=True).click()
        _same(page, 4, 4, _grey(AIR + 20, centre, width))
        _same(page, 45, 50, _grey(TISSUE, centre, width))
        _same(page, 25, 23, _grey(TUMOUR, centre, width))
    _pressed(page, "Bone")
    page.get_by_label("Window centre in HU").fill("100")
    page.get_by_label("Window centre in HU").press("Enter")
    page.get_by_label("Window width in HU").fill("600")
    page.get_by_label("Window width in HU").press("Enter")
    _same(page, 45, 50, _grey(TISSUE, 100, 600))


def test_the_three_planes_show_the_same_voxel_the_right_way_up(page):
    page.get_by_role("button", name="Mediastinum").click()
    _slice(page, 26, "coronal")
    _slice(page, 24, "sagittal")
    top, bottom = SHAPE[0] - 1 - (BOX[0][1] - 1), SHAPE[0] - 1 - BOX[0][0]  # the head at the top
    for plane, column, outside in (("coronal", 23, 50), ("sagittal", 25, 50)):
        for row in (top, bottom):
            _same(page, row, column, 255, plane=plane)
        for row in (top - 1, bottom + 1):
            _same(page, row, column, _grey(TISSUE, 50, 350), plane=plane)
        _same(page, top, outside, _grey(TISSUE, 50, 350), plane=plane)
    for plane, letters in (("axial", "APRL"), ("coronal", "HFRL"), ("sagittal", "HFAP")):
        assert "".join(page.locator(f"section[data-plane={plane}] .onlm-ct-letter").all_inner_texts()) == letters


def test_the_wheel_turns_slices_and_python_hears_of_it(page):
    x, y = _mouse(page, 4, 4)
    page.mouse.move(x, y)
    for k in range(1, 4):
        page.mouse.wheel(0, -120)
        _slice(page, 20 + k)
        _same(page, 4, 4, _grey(AIR + 20 + k, -600, 1500))
    page.mouse.wheel(0, 120)
    _slice(page, 22)
    _until(page, "document.body.innerText.includes('axial=22')")
    for _ in range(6):  # a touchpad: 60 px in small steps are one slice
        page.mouse.wheel(0, 10)
    _slice(page, 21)
    assert "slice 22 of 44" in page.inner_text("section[data-plane=axial] .onlm-ct-head")
    assert "z = 2.5 mm" in page.inner_text("section[data-plane=axial] .onlm-ct-head")


def test_dragging_with_the_right_button_or_shift_moves_the_window(page):
    x, y = _mouse(page, 45, 50)
    before = _colour(page, 45, 50)
    page.mouse.move(x, y)
    page.mouse.down(button="right")
    page.mouse.move(x - 100, y - 50, steps=4)
    page.mouse.up(button="right")
    centre, width = -600 + 50 * 1500 / 400, 1500 - 100 * 1500 / 400
    expect(page.get_by_label("Window centre in HU")).to_have_value(str(round(centre)))
    expect(page.get_by_label("Window width in HU")).to_have_value(str(round(width)))
    eventually(lambda: _colour(page, 45, 50) != before, what="another grey through another window")
    _until(page, f"document.body.innerText.includes('centre={round(centre)}')")
    page.get_by_role("button", name="Lung", exact=True).click()
    _pressed(page, "Lung")
    page.keyboard.down("Shift")
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 40, y, steps=3)
    page.mouse.up()
    page.keyboard.up("Shift")
    expect(page.get_by_label("Window width in HU")).to_have_value("1650")


def test_hu_under_the_pointer_and_a_click_that_moves_all_planes(page):
    readout = page.locator("section[data-plane=axial] .onlm-ct-readout")
    for row, column, hu in ((25, 23, TUMOUR), (45, 50, TISSUE), (4, 4, AIR + 20)):
        page.mouse.move(*_mouse(page, row, column))
        expect(readout).to_have_attribute("data-hu", str(hu))
        expect(readout).to_contain_text("under the pointer")
    page.mouse.click(*_mouse(page, 45, 50))
    _slice(page, 45, "coronal")
    _slice(page, 50, "sagittal")
    page.mouse.click(*_mouse(page, SHAPE[0] - 1 - 5, 12, plane="coronal"))
    _slice(page, 5)
    _slice(page, 12, "sagittal")


def test_the_outline_lies_around_the_tumour_and_only_in_its_slices(page):
    def orange(row, column, plane="axial"):  # the outline runs along the edges of voxels
        x, y = _place(page, row, column, plane=plane)
        return page.locator(f"canvas[data-plane={plane}]").evaluate(
            "(c, [x, y]) => { const d = c.getContext('2d').getImageData(x - 4, y - 4, 9, 9).data;"
            " for (let k = 0; k < d.length; k += 4) if (d[k] > 180 && d[k + 1] < 130 && d[k + 2] < 60) return true;"
            " return false; }", [round(x), round(y)])  # fmt: skip

    edges = [(BOX[1][0] - 0.5, 23), (BOX[1][1] - 0.5, 23), (25, BOX[2][0] - 0.5), (25, BOX[2][1] - 0.5)]
    assert not any(orange(*edge) for edge in edges)
    page.get_by_role("button", name="Tumour outline").click()
    eventually(lambda: all(orange(*edge) for edge in edges), what="the outline along the box")
    assert not orange(25, 23)
    for edge in BOX[0]:  # upright: row 0 is the last slice
        assert orange(SHAPE[0] - 0.5 - edge, 23, "coronal") and orange(SHAPE[0] - 0.5 - edge, 25, "sagittal")
    page.locator(AXIAL).focus()
    page.keyboard.press("Home")
    _slice(page, 0)
    assert not any(orange(*edge) for edge in edges)


def test_a_map_is_off_until_it_is_chosen_and_lies_over_its_voxels(page):
    def at(row, column):  # of the map's 40 pixels of half a millimetre around the tumour's centre
        y = CENTRE[1] + ((row + 0.5) * 0.5 - 10) / SPACING_MM[1]
        x = CENTRE[2] + ((column + 0.5) * 0.5 - 10) / SPACING_MM[2]
        return y, x

    raises, lowers, nothing = at(11.5, 31.5), at(27.5, 5.5), at(20, 20)
    assert page.locator(".onlm-ct select").input_value() == ""
    plain = {place: _colour(page, *place) for place in (raises, lowers, nothing)}
    page.locator(".onlm-ct select").select_option("Grad-CAM")
    alpha = page.get_by_label("Opacity of the map")
    alpha.evaluate("(e) => { e.value = 100; e.dispatchEvent(new Event('input')); }")
    _until(page, "document.body.innerText.includes('map=Grad-CAM')")
    _until(page, "document.querySelector('.onlm-ct-legend').innerText.includes('raises the risk')")
    _coloured(page, *raises, [254, 232, 56], within=3)  # cividis' upper end
    assert _colour(page, *lowers) == pytest.approx([0, 34, 78], abs=3), "cividis' lower end"
    assert _colour(page, *nothing) == plain[nothing], "clear where it says nothing"
    _slice(page, 26, "coronal")  # the head at the top: what is high in the map lies towards it
    z = lambda row: SHAPE[0] - 1 - (CENTRE[0] - ((row + 0.5) * 0.5 - 10) / SPACING_MM[0])  # noqa: E731
    assert _colour(page, z(11.5), raises[1], plane="coronal") == pytest.approx([254, 232, 56], abs=3)
    assert _colour(page, z(27.5), lowers[1], plane="coronal") == pytest.approx([0, 34, 78], abs=3)
    alpha.evaluate("(e) => { e.value = 50; e.dispatchEvent(new Event('input')); }")
    half = [(a + b) / 2 for a, b in zip(plain[raises], (254, 232, 56), strict=True)]
    _coloured(page, *raises, half, within=4)
    page.locator(AXIAL).focus()
    page.keyboard.press("PageUp")
    _slice(page, 30)
    expect(page.locator(".onlm-ct-legend")).to_contain_text("the map lies in slice 21")
    page.get_by_role("button", name="To the map").click()
    _slice(page, 20)
    page.locator(".onlm-ct select").select_option("")
    eventually(lambda: {place: _colour(page, *place) for place in plain} == plain, what="the picture without a map")


def test_a_known_distance_is_measured_with_the_mouse(page):
    page.get_by_role("button", name="Measure").click()
    page.mouse.click(*_mouse(page, 20, 10))
    page.mouse.click(*_mouse(page, 50, 50))
    said = page.locator(".onlm-ct-live")
    expect(said).to_contain_text("Distance")
    mm = float(said.inner_text().split()[1])
    assert mm == pytest.approx(0.8 * 50, abs=0.8), "30 rows and 40 columns of 0.8 mm, clicked to a pixel"
    page.mouse.click(*_mouse(page, 4, 40, plane="coronal"))
    page.mouse.click(*_mouse(page, 34, 40, plane="coronal"))
    expect(said).to_contain_text("Distance 7")
    assert float(said.inner_text().split()[1]) == pytest.approx(2.5 * 30, abs=1.3)
    page.get_by_role("button", name="Measure").click()
    page.get_by_role("button", name="Remove distances").click()
    page.get_by_role("button", name="Remove distances").wait_for(state="hidden")


def test_everything_goes_by_keyboard_alone(page):
    page.get_by_role("button", name="Axial", exact=True).focus()
    for _ in range(40):  # by Tab to the plane, past the controls
        page.keyboard.press("Tab")
        if page.evaluate("() => document.activeElement.dataset.plane") == "axial":
            break
    outline = page.locator("section[data-plane=axial] .onlm-ct-frame").evaluate(
        "(e) => getComputedStyle(e).outlineStyle"
    )
    assert page.evaluate("() => document.activeElement.tagName") == "CANVAS" and outline == "solid"
    for key, k in (("ArrowUp", 21), ("ArrowDown", 20), ("PageUp", 30), ("PageDown", 20), ("End", 43), ("PageUp", 43),
                   ("Home", 0), ("ArrowDown", 0), ("t", 20)):  # fmt: skip
        page.keyboard.press(key)
        _slice(page, k)
    _until(page, "document.querySelector('.onlm-ct-live').innerText.startsWith('Axial, slice 21 of 44')")
    page.keyboard.press("m")
    _until(page, "document.querySelector('.onlm-ct-live').innerText.includes('Mediastinum: centre 50, width 350')")
    page.keyboard.press("r")  # a distance: from the crosshair 10 columns to the left and 5 rows down
    for _ in range(10):
        page.keyboard.press("Shift+ArrowRight")
    for _ in range(5):
        page.keyboard.press("Shift+ArrowDown")
    page.keyboard.press("r")
    expect(page.locator(".onlm-ct-live")).to_have_text(f"Distance {0.8 * 125**0.5:.1f} mm.")
    _slice(page, 34, "sagittal")
    _slice(page, 31, "coronal")
    page.keyboard.press("Escape")
    page.keyboard.press("h")
    _until(page, "document.body.innerText.includes('map=Grad-CAM')")
    page.keyboard.press("h")
    page.keyboard.press("o")
    _pressed(page, "Tumour outline")
    expect(page.locator(".onlm-ct select")).to_have_value("")
    axial = page.locator(AXIAL)
    whole = axial.get_attribute("data-scale")
    for _ in range(3):
        page.keyboard.press("+")
    expect(axial).not_to_have_attribute("data-scale", whole)
    page.keyboard.press("0")
    expect(axial).to_have_attribute("data-scale", whole)
    page.keyboard.press("?")
    expect(page.locator(".onlm-ct-help")).to_have_attribute("open", "")
    page.keyboard.press("?")
    expect(page.locator(".onlm-ct-help")).not_to_have_attribute("open", "")
    page.keyboard.press("2")
    expect(page.locator("canvas[data-plane=coronal]")).to_be_focused()
    expect(page.locator("section[data-plane=coronal]")).to_have_class(re.compile("onlm-ct-large"))
    page.keyboard.press("Home")
    _slice(page, 0, "coronal")


def test_another_patient_shows_his_own_voxels_or_a_sentence_and_never_the_last_ones(page):
    page.get_by_role("button", name="Other patient").click()
    _slice(page, 14)  # the middle of 30: his centre is not known
    page.wait_for_selector(SHOWN)
    _same(page, 4, 4, _grey(AIR + 14 + 7, -600, 1500))
    expect(page.get_by_role("button", name="To the tumour")).to_be_disabled()
    expect(page.get_by_role("button", name="Tumour outline")).to_be_disabled()
    notes = page.locator(".onlm-ct-notes")
    expect(notes).to_contain_text("<b>Not</b> known. The annotation names no mask.")  # escaped
    expect(page.locator(".onlm-ct select")).to_be_hidden()
    page.get_by_role("button", name="Gone").click()
    page.wait_for_selector(".onlm-ct-wrong")
    expect(page.get_by_role("alert")).to_contain_text("no longer on disk")
    expect(page.locator(AXIAL)).to_be_hidden()


@pytest.mark.slow
def test_a_slice_that_is_not_here_says_so_and_shows_no_other(page):
    page.get_by_role("button", name="Never answers").click()
    _until(page, f"document.querySelector('{AXIAL}').dataset.state === 'loading'")
    expect(page.locator(".onlm-ct-notes")).to_contain_text("0 of 44 slices are here")
    for row, column in ((4, 4), (45, 50), (25, 23)):
        assert _colour(page, row, column) == [0, 0, 0]
    readout = page.locator("section[data-plane=axial] .onlm-ct-readout")
    page.mouse.move(*_mouse(page, 25, 23))
    expect(readout).to_have_text("")
    page.reload()  # the kernel of a new page answers
    page.wait_for_selector(SHOWN, timeout=90_000)


@pytest.mark.slow
def test_planes_come_by_themselves_before_the_slices(page):
    """The last slices are never sent: the two upright planes are whole all the same."""
    page.get_by_role("button", name="Planes only").click()
    _until(page, f"document.querySelector('{AXIAL}').dataset.state === 'loading'")
    _slice(page, 26, "coronal")
    _slice(page, 24, "sagittal")
    _same(page, 22, 23, _grey(TUMOUR, -600, 1500), plane="coronal")
    _same(page, SHAPE[0] - 1, 2, _grey(AIR, -600, 1500), plane="coronal")
    page.locator("canvas[data-plane=coronal]").focus()
    page.keyboard.press("End")
    _slice(page, SHAPE[1] - 1, "coronal")
    _same(page, 0, 2, _grey(AIR + SHAPE[0] - 1, -600, 1500), plane="coronal")
    page.reload()
    page.wait_for_selector(SHOWN, timeout=90_000)


def test_a_click_in_an_enlarged_and_moved_picture_finds_its_voxel(page):
    x, y = _mouse(page, 25, 23)
    page.mouse.move(x, y)
    page.locator(AXIAL).evaluate(
        "(c) => { window.turned = 0; c.addEventListener('wheel', (event) => (window.turned += event.deltaY)); }"
    )
    page.keyboard.down("Control")
    for _ in range(6):
        page.mouse.wheel(0, -120)
    _until(page, "window.turned === -720")
    page.keyboard.up("Control")
    _frame(page)
    readout = page.locator("section[data-plane=axial] .onlm-ct-readout")
    page.mouse.move(x + 1, y)
    page.mouse.move(x, y)
    expect(readout).to_have_attribute("data-hu", str(TUMOUR))  # what lay under the pointer stays there
    page.mouse.down()
    page.mouse.move(x + 150, y + 40, steps=4)
    page.mouse.up()
    page.mouse.click(x + 150, y + 40)
    _slice(page, 23, "sagittal")
    _slice(page, 25, "coronal")
    page.get_by_role("button", name="Whole picture").click()


def test_jupyterlab_keeps_its_keys_off_every_part_that_takes_the_focus(page):
    parts = page.locator(".onlm-ct").locator("canvas, button, input, select, summary")
    kept = parts.evaluate_all("(all) => all.map((part) => part.hasAttribute('data-lm-suppress-shortcuts'))")
    assert len(kept) > 20 and all(kept)


def test_one_plane_fits_a_narrow_page(page):
    page.set_viewport_size({"width": 400, "height": 900})
    _until(page, f"document.querySelector('{AXIAL}').clientWidth <= 400")
    expect(page.locator("canvas[data-plane]:visible")).to_have_count(1)
    _until(page, "document.documentElement.scrollWidth <= 400")
    expect(page.get_by_role("button", name="Three planes")).to_be_hidden()
    _same(page, 45, 50, _grey(TISSUE, -600, 1500))
    page.get_by_label("Axial slice").focus()
    page.keyboard.press("ArrowRight")
    _slice(page, 21)

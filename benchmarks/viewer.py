"""How long a change of slice takes in real Chromium: the CT viewer beside a PNG a slice in an ipywidgets.Image.

python -m benchmarks.viewer [N_SLICES] prints median and 95th percentile from the key to the drawn slice, the bytes that
were sent, and how long it took until the tumour was seen and until all slices were there.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from onlm_lab import server_files, serving

N_SLICES, N_PX, N_CHANGES = 300, 512, 150
_TOKEN = "bench"
_START_S = 90
_OURS = """
from onlm_lab.app.ct_viewer import CtViewer
viewer = CtViewer()
viewer.load({path!r})
viewer
"""
_PEER = """
import io, ipywidgets, numpy as np
from PIL import Image
hu = np.load({path!r}, mmap_mode="r", allow_pickle=False)
picture = ipywidgets.Image(format="png", width=600)
at = ipywidgets.IntSlider(min=0, max=len(hu) - 1, value=len(hu) // 2)
def draw(change=None):
    grey = np.clip((hu[at.value].astype(np.float32) + 1350) / 1500, 0, 1) * 255
    file = io.BytesIO()
    Image.fromarray(grey.astype(np.uint8)).save(file, format="png", compress_level=1)
    picture.value = file.getvalue()
at.observe(draw, "value")
draw()
ipywidgets.VBox([at, picture])
"""
# Each change: from the key to the frame that paints the slice. Ours names the slice; the peer's picture is loaded anew.
_TIME_OURS = """async ({n, settle}) => {
  const canvas = document.querySelector('canvas[data-plane=axial]');
  canvas.focus();
  const frame = () => new Promise(requestAnimationFrame);
  const times = [];
  for (let k = 0; k < n; k++) {
    await new Promise((done) => setTimeout(done, settle));
    const key = k % 20 < 10 ? 'ArrowUp' : 'ArrowDown';
    const want = String(Number(canvas.dataset.slice) + (key === 'ArrowUp' ? 1 : -1));
    const began = performance.now();
    canvas.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true}));
    while (canvas.dataset.slice !== want || canvas.dataset.state !== 'shown') await frame();
    times.push(performance.now() - began);
  }
  return times;
}"""
_TIME_PEER = """async ({n, settle}) => {
  const handle = document.querySelector('[role=slider]');
  const picture = document.querySelector('img.widget-image, .jupyter-widgets img');
  handle.focus();
  const times = [];
  for (let k = 0; k < n; k++) {
    await new Promise((done) => setTimeout(done, settle));
    const key = k % 20 < 10 ? 'ArrowUp' : 'ArrowDown';
    const before = picture.src;
    const began = performance.now();
    const loaded = new Promise((done) => picture.addEventListener('load', done, {once: true}));
    handle.dispatchEvent(new KeyboardEvent('keydown', {key, keyCode: key === 'ArrowUp' ? 38 : 40, bubbles: true}));
    await loaded;
    await new Promise(requestAnimationFrame);
    times.push(performance.now() - began);
  }
  return times;
}"""


class Measured(NamedTuple):
    """What one viewer took."""

    times_ms: np.ndarray
    received_bytes: int  # over the websocket, all of it
    first_s: float  # until the first slice was seen, from the call of the page
    all_s: float  # until all slices were there; nan where each is sent on demand


@contextmanager
def served_notebook(code: str, *, port: int | None = None) -> Iterator[str]:
    """The address of a page that shows what a cell of code makes, in a standalone Voilà as the dashboards have it."""
    with tempfile.TemporaryDirectory(prefix="onlm_bench_") as name:
        place = Path(name)
        cell = {
            "cell_type": "code",
            "id": "one",
            "metadata": {},
            "outputs": [],
            "execution_count": None,
            "source": code,
        }
        kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
        notebook = {"cells": [cell], "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
        (place / "served").mkdir()
        (place / "served" / "page.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
        port = port or _any_port()
        config = server_files.write_config(place, port=port, token=_TOKEN, sharing=serving.Sharing())
        root = str(Path(serving.__file__).resolve().parents[1])  # the kernel starts in another folder
        paths = {
            "JUPYTER_PATH": str(place / "jupyter"),
            "PYTHONPATH": os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])]),
        }
        with (place / "log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "voila", str(place / "served" / "page.ipynb"),
                 f"--Voila.config_file_paths={config.parent}"],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=place, env=os.environ | paths,
                start_new_session=True,
            )  # fmt: skip
        try:
            _wait(process, port=port, log=place / "log")
            yield f"http://127.0.0.1:{port}/?token={_TOKEN}"
        finally:
            process.terminate()
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _any_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait(process: subprocess.Popen[bytes], *, port: int, log: Path) -> None:
    until = time.monotonic() + _START_S
    while time.monotonic() < until and process.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/login", timeout=2).close()
            return
        except urllib.error.HTTPError:
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise RuntimeError(f"Voilà did not start: {log.read_text(errors='replace')[-500:]}")


def write_chest(folder: Path, *, n_slices: int = N_SLICES, n_px: int = N_PX) -> Path:
    """A made-up chest as `onlm volume` leaves it: body, two lungs, noise; a tumour of 12 mm in the right one."""
    folder.mkdir(parents=True, exist_ok=True)
    chance = np.random.default_rng(0)
    rows, columns = np.mgrid[:n_px, :n_px] / n_px - 0.5
    body = np.hypot(rows / 0.34, columns / 0.44) < 1
    lungs = np.hypot(rows / 0.26, (np.abs(columns) - 0.21) / 0.16) < 1
    flat = np.where(lungs, -850, np.where(body, 40, -1000)).astype(np.int16)
    hu = np.empty((n_slices, n_px, n_px), dtype=np.int16)
    for z in range(n_slices):
        hu[z] = flat + chance.integers(-40, 41, flat.shape, dtype=np.int16)
    spacing, centre = [1.0, 0.7, 0.7], [n_slices // 2, n_px // 2, round(0.3 * n_px)]
    box = [[max(0, at - 9), at + 9] for at in centre]
    inside = tuple(slice(*ends) for ends in box)
    hu[inside] = 50
    facts = {
        "shape": list(hu.shape), "spacing_mm": spacing, "first_mm": [-179.0, -179.0, -150.0], "oblique_degrees": 0.0,
        "centre_voxel": centre, "mask_box": box, "why_no_centre": "", "why_no_mask": "",
    }  # fmt: skip
    path = folder / "chest.npy"
    np.save(path, hu)
    with path.with_suffix(".mask").open("wb") as stream:
        np.save(stream, np.ones(hu[inside].shape, dtype=np.uint8))
    path.with_suffix(".json").write_text(json.dumps(facts), encoding="utf-8")
    return path


def measure(browser, code: str, *, ready: str, whole: str | None, timing: str, n_changes: int) -> Measured:
    """One contestant in a page of its own.

    Args:
        browser: Chromium of playwright.
        code: of the notebook's cell.
        ready: a selector that is there once the first slice is drawn.
        whole: JavaScript that becomes true when all slices are there; None where there is no such moment.
        timing: JavaScript that changes slices and returns milliseconds.
        n_changes: of slices, each after the page has come to rest.
    """
    with served_notebook(code) as address:
        page = browser.new_context(viewport={"width": 1440, "height": 1000}).new_page()
        received = [0]
        page.on("websocket", lambda socket: socket.on("framereceived", lambda data: received.__setitem__(
            0, received[0] + len(data if isinstance(data, bytes | str) else data.get("payload", b""))
        )))  # fmt: skip
        began = time.perf_counter()
        page.goto(address)
        page.wait_for_selector(ready, timeout=180_000)
        first_s = time.perf_counter() - began
        all_s = float("nan")
        if whole:
            page.wait_for_function(whole, timeout=300_000)
            all_s = time.perf_counter() - began
        times = page.evaluate(timing, {"n": n_changes, "settle": 60})
        page.context.close()
    return Measured(np.array(times), received[0], first_s, all_s)


def report(n_slices: int = N_SLICES, n_changes: int = N_CHANGES) -> None:
    """Print both, in the same run."""
    chromium = next((p for p in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if p), None)
    if chromium is None:
        print("\nCT viewer: NO CHROMIUM on this machine, not measured")
        return
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as name, sync_playwright() as driver:
        path = str(write_chest(Path(name), n_slices=n_slices))
        arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
        browser = driver.chromium.launch(executable_path=chromium, args=arguments)
        here = f"Number(document.querySelector('[data-here]')?.dataset.here) === {n_slices}"
        ours = measure(
            browser, _OURS.format(path=path), ready="canvas[data-plane=axial][data-state=shown]", whole=here,
            timing=_TIME_OURS, n_changes=n_changes,
        )  # fmt: skip
        peer = measure(
            browser, _PEER.format(path=path), ready="img.widget-image, .jupyter-widgets img", whole=None,
            timing=_TIME_PEER, n_changes=n_changes,
        )  # fmt: skip
        browser.close()
    print(f"\nCT viewer, {n_slices} slices of {N_PX} x {N_PX}, {n_changes} changes of slice in Chromium")
    for who, found in (("three planes on canvases", ours), ("ipywidgets.Image, a PNG a slice", peer)):
        median, p95 = np.percentile(found.times_ms, [50, 95])
        wait = "" if np.isnan(found.all_s) else f", all slices after {found.all_s:.1f} s"
        print(
            f"  {who:<32} median {median:6.1f} ms, p95 {p95:6.1f} ms; {found.received_bytes / 1e6:7.1f} MB received; "
            f"first slice after {found.first_s:.1f} s{wait}"
        )
    ratio = np.median(peer.times_ms) / np.median(ours.times_ms)
    print(
        f"  peer / ours {ratio:.2f}; {peer.received_bytes / n_changes / 1e3:.0f} kB a change for the peer, 0 for ours"
    )


if __name__ == "__main__":
    report(*map(int, sys.argv[1:]))

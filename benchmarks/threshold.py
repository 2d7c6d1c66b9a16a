"""The served performance page in real Chromium: from a moved threshold to the repainted figures.

    python -m benchmarks.threshold                 # median and 95th percentile at 2,000 and 20,000 patients
    python -m benchmarks.threshold 500 --moves 10

Measured in the browser, from the key press on the slider to the frame that shows the last change of tiles, icon array,
bars, ROC points, line of the decision curve and table of models; each has to change (the hundred icons where they do).
Aims: 150 ms at 2,000 and 300 ms at 20,000 patients.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

from onlm_lab.serving import require_free, serving

SIZES, AIMS_MS = (2_000, 20_000), {2_000: 150, 20_000: 300}
PORT, MOVES, WAIT_MS = 8977, 40, 90_000
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
# All that follows the threshold: what each shows is compared as text, so that a repaint of nothing does not count.
_SEEN = """
window.onlmSeen = () => {
  const shown = (s) => [...document.querySelectorAll(s)].filter((e) => e.offsetParent);
  const plots = shown(".onlm-plot").filter((p) => p.data);
  return {
    tiles: shown(".onlm-tiles").map((e) => e.innerText).join(),
    hundred: plots.filter((p) => p.data[0].name?.startsWith("N+ found")).map((p) => p.dataset.drawn).join(),
    bars: plots.filter((p) => p.data[0].type === "bar").map((p) => p.dataset.drawn).join(),
    roc: plots.filter((p) => p.data.some((t) => t.name?.endsWith("at the threshold"))).map((p) => p.dataset.drawn).join(),
    decision: plots.map((p) => (p.layout.shapes ?? []).map((s) => s.x0).join()).join("|"),
    models: shown(".onlm-print").map((e) => e.shadowRoot.textContent).join(),
  };
};
window.onlmMove = (key) => new Promise((resolve, reject) => {
  const before = window.onlmSeen();
  const handle = document.querySelector(".onlm-threshold [role='slider']");
  const kinds = Object.keys(before), changed = {};
  const begun = performance.now();
  const watch = () => {
    const now = window.onlmSeen(), at = performance.now() - begun;
    for (const kind of kinds)
      if (now[kind] !== before[kind]) { changed[kind] = at; before[kind] = now[kind]; }
    const last = Math.max(0, ...Object.values(changed));
    // A hundred icons can stand as they did; all else has to change, and then nothing for a second.
    const missing = kinds.filter((kind) => kind !== "hundred" && !(kind in changed));
    if (!missing.length && at - last > 1000) resolve(last);
    else if (at > 60000) reject(new Error("not repainted: " + missing.join()));
    else requestAnimationFrame(() => setTimeout(watch));
  };
  handle.dispatchEvent(new KeyboardEvent("keydown", { key, code: key, bubbles: true, cancelable: true }));
  watch();
});
"""  # noqa: E501


def measure(folder: Path, *, moves: int = MOVES, port: int = PORT) -> np.ndarray:
    """Milliseconds from each move of the threshold to the repaint.

    Args:
        folder: of a run.
        moves: how many; each is one step of the slider.
        port: on this machine.
    """
    from playwright.sync_api import sync_playwright

    chromium = next(filter(None, map(shutil.which, CHROMIUM)), None)
    require_free(port)
    with serving(folder, port=port, page="performance") as server, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(server.url, timeout=90_000)
        ready = "() => [...document.querySelectorAll('.onlm-plot')].filter((p) => p.offsetParent && p.data).length >= 6"
        page.wait_for_function(ready, timeout=WAIT_MS)
        page.evaluate(f"() => {{ {_SEEN} }}")
        page.locator(".onlm-threshold [role='slider']").focus()
        page.evaluate("() => window.onlmMove('ArrowRight')")  # from the study's own thresholds: not counted
        found = [page.evaluate("() => window.onlmMove('ArrowRight')") for _ in range(moves)]
        browser.close()
    return np.array(found, dtype=float)


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sizes", nargs="*", type=int, default=list(SIZES))
    parser.add_argument("--moves", type=int, default=MOVES)
    said = parser.parse_args(words)
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
    from made_run import write_run

    print(f"{'threshold move to repaint':<34} {'median, ms':>11} {'95th, ms':>10} {'aim, ms':>9}")
    for n in said.sizes:
        with tempfile.TemporaryDirectory() as name:
            run = write_run(Path(name) / "run", n_surgery=n, n_sbrt=n // 4)
            found = measure(run.folder, moves=said.moves)
        aim = AIMS_MS.get(n, "")
        print(f"{f'{n:,} patients, {len(found)} moves':<34} {np.median(found):>11.0f} "
              f"{np.percentile(found, 95):>10.0f} {aim:>9}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()

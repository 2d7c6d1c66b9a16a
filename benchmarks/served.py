"""The served pages in a real Chromium: how soon, how many bytes, how much memory, ten readers, a hundred openings.

    python -m benchmarks served [--rounds N] [--pages N] [--study STUDY] [--parts openings peer sessions many]

Each line is printed as it is measured; a part that fails says so and the next goes on. The server of a part is its own.
A page is interactive when its first figure (start: its links) stands and its address is written, which the kernel does
after it has heard the browser. The peer is the stock way: the same curves in plotly FigureWidgets on a bare Voilà.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from onlm_lab import answering, server_files, serving
from onlm_lab.errors import OnlmError

N_PATIENTS = 1000
ROUNDS, N_READERS, N_PAGES = 3, 10, 50
AIMS_S = {"preheated": 3.0, "cold": 8.0}
AIM_MB, AIM_MEMORY_MB, AIM_OUTCOMES_MB = 1.0, 170.0, 230.0
READY = {
    "start": "a.onlm-go", "performance": ".onlm-plot[data-drawn]", "outcomes": ".onlm-plot[data-drawn]",
    "cohort": ".onlm-plot[data-drawn]", "bare": ".js-plotly-plot",
}  # fmt: skip
BAR = ".onlm-bar nav a"
WAIT_MS = 120_000
# In the page: asked from outside, a page that draws its next figures answers late.
_WATCH = """
new MutationObserver((_, watch) => {
  if (!window.onlmWanted.every((one) => document.querySelector(one))) return;
  window.onlmReady = performance.now();
  watch.disconnect();
}).observe(document, { subtree: true, childList: true, attributes: true, attributeFilter: ["data-drawn"] });
"""
IDLE_S = 20
PARTS = ("openings", "peer", "sessions", "many")
CHROMIUM = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
            "--disable-component-update", "--disable-sync"]  # fmt: skip
PEER = """import os
import pandas as pd
import plotly.graph_objects as go
from sklearn.calibration import calibration_curve
from sklearn.metrics import roc_curve
rows = pd.read_csv(os.environ["ONLM_BARE"])
rows = rows[rows["split"] == "oof"]
import ipywidgets
figures = []
for kind in (roc_curve, calibration_curve, roc_curve, calibration_curve, roc_curve):
    figure = go.Figure()
    for name, one in rows.groupby("model_id"):
        x, y = kind(one["onlm"], one["risk"])[:2]
        figure.add_scatter(x=x, y=y, name=name)
    figures.append(go.FigureWidget(figure))
ipywidgets.VBox(figures)
"""


def report(
    *, rounds: int = ROUNDS, pages: int = N_PAGES, study: Path | None = None, parts: Sequence[str] = PARTS
) -> None:
    """Print all of it; a line that misses its aim says so.

    Raises:
        RuntimeError: a part failed; the others have been measured and printed.
    """
    from playwright.sync_api import Error, sync_playwright

    browser_file = next(p for p in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if p)
    failed: list[str] = []
    with tempfile.TemporaryDirectory(prefix="onlm_bench_") as name, sync_playwright() as driver:
        study = study or made_study(Path(name) / "study")
        measure: dict[str, Callable[[Any, Path], None]] = {
            "openings": partial(_openings, rounds=rounds),
            "peer": partial(_bare, place=Path(name) / "bare", rounds=rounds),
            "sessions": _sessions,
            "many": partial(_many, pages=pages),
        }
        for part in parts:
            browser = driver.chromium.launch(executable_path=browser_file, args=CHROMIUM)
            began = time.perf_counter()
            try:
                measure[part](browser, study)
            except (RuntimeError, OSError, Error, OnlmError, psutil.Error, subprocess.SubprocessError) as error:
                failed.append(part)
                print(f"{part} FAILED: {type(error).__name__}: {str(error)[:300]}", flush=True)
            print(f"-- {part}: {time.perf_counter() - began:.0f} s", flush=True)
            browser.close()
    if failed:
        raise RuntimeError(f"Not measured to the end: {', '.join(failed)}.")


def made_study(folder: Path) -> Path:
    """A made-up trial of N_PATIENTS, tables only, with a finished run of few models."""
    import tomli_w

    for words in (["virtual", folder, "--patients", N_PATIENTS, "--tables-only", "--seed", 7], ["run", folder]):
        if words[0] == "run":
            said = tomllib.loads((folder / "study.toml").read_text(encoding="utf-8"))
            said["training"] = said.get("training", {}) | {"folds": 3, "epochs": 20, "explain": False}
            said["analysis"] = said.get("analysis", {}) | {"bootstrap": 50}
            (folder / "study.toml").write_text(tomli_w.dumps(said), encoding="utf-8")
        done = subprocess.run([sys.executable, "-m", "onlm_lab.cli", *map(str, words)], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"The trial of the benchmark could not be made: {(done.stdout + done.stderr)[-1500:]}")
    return folder


@contextlib.contextmanager
def _served(study: Path, **how: Any) -> Iterator[serving.Server]:
    with serving.serving(study, port=_free_port(), sharing=serving.Sharing(**how)) as server:
        yield server


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Reader:
    """A browser's window of its own, with a count of what comes through its sockets."""

    def __init__(self, browser: Any, server: serving.Server) -> None:
        self.context = browser.new_context(viewport={"width": 1440, "height": 900})
        self.page, self.n_bytes = self.context.new_page(), 0
        self._base = server.url.partition("?")[0].rstrip("/")
        wire = self.context.new_cdp_session(self.page)
        wire.send("Network.enable")
        wire.on("Network.webSocketFrameReceived", self._heard)
        self.context.request.get(server.url, max_redirects=0)  # the cookie alone: a page would take a kernel

    def _heard(self, event: dict[str, Any]) -> None:
        payload, kind = event["response"]["payloadData"], event["response"]["opcode"]
        self.n_bytes += len(payload.encode()) if kind == 1 else len(payload) * 3 // 4  # binary comes as base64

    def begin(self, name: str) -> None:
        wanted = [READY[name], *([] if name == "bare" else [BAR])]
        self.page.add_init_script(f"window.onlmWanted = {json.dumps(wanted)}; {_WATCH}")
        self.page.goto(f"{self._base}/voila/render/{name}.ipynb", wait_until="commit", timeout=WAIT_MS)

    def ready(self, name: str) -> None:
        self.page.wait_for_selector(READY[name], timeout=WAIT_MS)
        if name != "bare":
            self.page.wait_for_selector(BAR, timeout=WAIT_MS)

    def open(self, name: str) -> float:
        """Seconds until a page is interactive: from its asking to the change of the page that made it so."""
        self.begin(name)
        self.ready(name)
        return float(self.page.evaluate("() => window.onlmReady")) / 1000

    def close(self) -> None:
        self.page.goto("about:blank")  # the page tells the server that it is left
        self.page.wait_for_timeout(1000)  # a context that is closed at once takes that message along
        self.context.close()


def _openings(browser: Any, study: Path, *, rounds: int) -> None:
    for kind, preheat in (("preheated", 1), ("cold", 0)):
        names = server_files.HEATED if preheat else ("start", "performance", "outcomes", "cohort")
        with _served(study, preheat=preheat, idle_s=IDLE_S) as server:
            for name in names:
                seconds, sizes = [], []
                for _ in range(rounds + 1):
                    if preheat:
                        _wait_for_kernels(server, len(server_files.HEATED), settled=True)
                    reader = Reader(browser, server)
                    seconds.append(reader.open(name))
                    reader.page.wait_for_timeout(1500)  # what still comes
                    sizes.append(reader.n_bytes / 1e6)
                    reader.close()
                    _wait_for_kernels(server, len(server_files.HEATED) if preheat else 0)
                _tell(
                    f"{kind} page interactive, {name}", seconds[1:], unit="s", aim=AIMS_S[kind]
                )  # the first warms files
                if not preheat:
                    _tell(f"through the page's socket, {name}", sizes[1:], unit="MB", aim=AIM_MB)


def _bare(browser: Any, study: Path, *, place: Path, rounds: int) -> None:
    """The stock way with the same numbers of curves: no bar, no tiles, no intervals."""
    (place / "notebooks").mkdir(parents=True)
    notebook = json.loads((server_files.dashboards_folder() / "start.ipynb").read_text(encoding="utf-8"))
    notebook["cells"][0]["source"] = PEER
    (place / "notebooks" / "bare.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    from onlm_lab.runs import open_run

    table = place / "rows.csv"
    open_run(study).rows().to_csv(table, index=False)
    port = _free_port()
    import os

    words = [sys.executable, "-m", "voila", str(place / "notebooks"), f"--port={port}", "--no-browser", "--token="]
    with (place / "log").open("wb") as log:
        process = subprocess.Popen([*words, "--Voila.ip=127.0.0.1"], stdout=log, stderr=log,
                                   env=os.environ | {"ONLM_BARE": str(table)})  # fmt: skip
    try:
        server = serving.Server(f"http://127.0.0.1:{port}/", "", port, process, place / "log")
        answering.wait_for_answer(process, url=server.url, log=server.log, what="The server", seconds=90)
        seconds, sizes = [], []
        for _ in range(rounds + 1):
            reader = Reader(browser, server)
            seconds.append(reader.open("bare"))
            reader.page.wait_for_timeout(1500)
            sizes.append(reader.n_bytes / 1e6)
            memory = sum(map(_pss_mb, _kernels(server)[-1:]))
            reader.close()
        _tell("peer: bare Voilà, FigureWidgets, cold", seconds[1:], unit="s")
        _tell("peer: through the page's socket", sizes[1:], unit="MB")
        _tell("peer: memory of its kernel", [memory], unit="MB")
    finally:
        process.terminate()
        process.wait(timeout=30)


def _sessions(browser: Any, study: Path) -> None:
    """Memory of a kernel with its figures drawn, and ten readers who come at once."""
    with _served(study, preheat=0) as server:  # the usual patience: ten at once take longer than IDLE_S
        for name, aim in (("performance", AIM_MEMORY_MB), ("outcomes", AIM_OUTCOMES_MB)):
            reader = Reader(browser, server)
            reader.open(name)
            reader.page.wait_for_timeout(3000)
            _tell(f"memory of a session, {name}", [sum(map(_pss_mb, _kernels(server)))], unit="MB", aim=aim)
            reader.close()
            _wait_for_kernels(server, 0)
        readers = [Reader(browser, server) for _ in range(N_READERS)]
        began, names = time.perf_counter(), ["performance", "outcomes"] * (N_READERS // 2)
        for reader, name in zip(readers, names, strict=True):
            reader.begin(name)
        for reader, name in zip(readers, names, strict=True):
            reader.ready(name)
        _tell(f"{N_READERS} readers at once, cold: the slowest", [time.perf_counter() - began], unit="s")
        _tell("their kernels together", [sum(map(_pss_mb, _kernels(server)))], unit="MB")
        for reader in readers:
            reader.close()
        _wait_for_kernels(server, 0)


def _many(browser: Any, study: Path, *, pages: int) -> None:
    """Pages opened and closed; every fifth is not closed but cut off, and its kernel is left to the culling."""
    with _served(study, preheat=0, idle_s=IDLE_S) as server:
        memory, tenth = [_rss_mb(server)], max(1, pages // 10)
        for i in range(pages):
            reader = Reader(browser, server)
            reader.open("start")
            if i % 5 == 4:
                reader.page.evaluate("navigator.sendBeacon = () => true")
            reader.close()
            if i % tenth == tenth - 1:
                memory.append(_rss_mb(server))
        began = time.perf_counter()
        _wait_for_kernels(server, 0)
        _tell(f"{pages} pages opened and closed: kernels left", [float(len(_kernels(server)))], unit="", aim=0.0)
        _tell("the last kernel was ended after", [time.perf_counter() - began], unit="s")
        _tell("the server's memory after the first tenth", memory[1:2], unit="MB")
        _tell("the server's memory at the end", memory[-1:], unit="MB")
        print(f"  after each {tenth} pages: {', '.join(f'{m:.1f}' for m in memory)} MB", flush=True)
        if len(memory) > 3:
            slope = float(np.polyfit(tenth * np.arange(1, len(memory)), memory[1:], 1)[0])
            _tell("its growth a page, after the first tenth", [1000 * slope], unit="kB", aim=50.0)


def _kernels(server: serving.Server) -> list[Any]:
    children = psutil.Process(server.process.pid).children()
    found = []
    for child in children:
        with contextlib.suppress(psutil.Error):
            if "ipykernel" in " ".join(child.cmdline()):
                found.append(child)
    return found


def _wait_for_kernels(server: serving.Server, n: int, *, settled: bool = False, timeout_s: float = 90) -> None:
    """Until there are `n` kernels; `settled`: until they also have nothing to do."""
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        found = _kernels(server)
        if len(found) == n and not (settled and any(child.cpu_percent(0.5) > 10 for child in found)):
            return
        time.sleep(0.2)
    raise RuntimeError(f"There are {len(_kernels(server))} kernels and not {n} after {timeout_s:.0f} s.")


def _pss_mb(process: Any) -> float:
    """A process and its children: their own memory, and their part of what they share with others."""
    family = [process, *process.children(recursive=True)]
    return sum(one.memory_full_info().pss for one in family) / 1e6


def _rss_mb(server: serving.Server) -> float:
    return psutil.Process(server.process.pid).memory_info().rss / 1e6


def _tell(name: str, values: list[float], *, unit: str, aim: float | None = None) -> None:
    middle, high = statistics.median(values), float(np.percentile(values, 95))
    said = f"aim {aim:g}: {'met' if middle <= aim else 'MISSED'}" if aim is not None else ""
    print(f"{name:<52} {middle:9.2f} {high:9.2f} {unit:<3} n {len(values):<3} {said}", flush=True)


def main(words: list[str] | None = None, *, run: Callable[..., None] = report) -> None:
    options = argparse.ArgumentParser(prog="benchmarks served")
    options.add_argument("--rounds", type=int, default=ROUNDS)
    options.add_argument("--pages", type=int, default=N_PAGES)
    options.add_argument("--study", type=Path, help="with a finished run; default: one is made, which takes minutes")
    options.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    said = options.parse_args(words)
    if said.rounds < 1 or said.pages < 1:
        options.error("--rounds and --pages want 1 or more.")
    print(f"{'what':<52} {'median':>9} {'p95':>9}")
    run(rounds=said.rounds, pages=said.pages, study=said.study, parts=said.parts)


if __name__ == "__main__":
    main(sys.argv[1:])

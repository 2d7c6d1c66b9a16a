"""Serving the dashboards: standalone Voilà on this machine alone, behind a token, without any other host.

Standalone Voilà restricts what a page may ask of its kernel; as an extension of a Jupyter server the same token would
open terminals. What is served lies in a folder of its own: a copy of the notebook and plotly.js. The run stays where it
is and is read by the kernel only.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onlm_lab.errors import OnlmError
from onlm_lab.runs import open_run

HOST = "127.0.0.1"
NOTEBOOK = "performance.ipynb"
BUNDLE = "public/plotly.min.js"
_TEMPLATE = "onlm"
_START_S, _STOP_S = 90, 10
# The lab template without its fonts from a CDN; the page speaks text only.
_INDEX = """{% extends 'voila/templates/lab/index.html.j2' %}
{%- block notebook_css -%}
  {{ resources.include_js("static/voila-style.js") }}
  {{ spinner.css() }}
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="referrer" content="no-referrer">
  <style>
    .jp-mod-noOutputs.jp-mod-noInput { display: none; }
    html, body, #main, #jp-main-content-panel, #rendered_cells {
      position: static !important; contain: none !important; height: auto !important; width: auto !important;
      min-height: 0 !important; overflow: visible !important; }
    body { margin: 0; background: #f4f6f9; }
    body, body .jp-Notebook, #rendered_cells, #rendered_cells > div { padding: 0 !important; margin: 0 !important; }
    #rendered_cells .jp-Cell, #rendered_cells .jp-Cell-outputWrapper, #rendered_cells .jp-OutputArea,
    #rendered_cells .jp-OutputArea-child, #rendered_cells .jp-OutputArea-output { padding: 0 !important; margin: 0 !important; }
    #rendered_cells .jp-OutputArea, #rendered_cells .jp-OutputArea-child, #rendered_cells .jp-OutputArea-output {
      display: block !important; overflow: visible !important; width: 100% !important; }
    #rendered_cells .jp-OutputPrompt, #rendered_cells .jp-InputPrompt { display: none !important; }
  </style>
  {{ super.super() }}
{%- endblock notebook_css -%}
"""  # noqa: E501


@dataclass(frozen=True)
class Server:
    """A dashboard that answers at `url` (token included) until its process ends."""

    url: str
    token: str
    port: int
    process: subprocess.Popen[bytes]
    log: Path


def serve(
    run_or_study: str | Path,
    *,
    port: int = 8866,
    token: str | None = None,
    preheat: int = 0,
    say: Callable[[str], None] | None = None,
) -> None:
    """Serve the dashboards of a run, or of a study's newest run, until Ctrl-C.

    Args:
        run_or_study: a run's or a study's folder.
        port: port on 127.0.0.1.
        token: what a visitor must show; None makes a fresh one.
        preheat: how many kernels wait ready for the next visitor (about 150 MB each).
        say: takes the sentences for the person at the terminal, the address among them.

    Raises:
        OnlmError: no run there, the port is taken, or the server does not start.
    """
    tell = say or (lambda _: None)
    tell("Starting the dashboard; this takes about ten seconds.")
    with serving(run_or_study, port=port, token=token, preheat=preheat) as server:
        tell(f"Dashboard: {server.url}")
        tell("Only this machine can reach it, and only with that token. Stop it with Ctrl-C.")
        try:
            server.process.wait()
        except KeyboardInterrupt:
            tell("Dashboard stopped.")
            return
        raise OnlmError(f"The dashboard's server ended by itself: {_last_words(server.log)}")


@contextmanager
def serving(
    run_or_study: str | Path, *, port: int = 8866, token: str | None = None, preheat: int = 0
) -> Iterator[Server]:
    """A running server, stopped and cleared away at the end of the block."""
    run = open_run(run_or_study)
    _ = run.study.name  # a study that cannot be read is said here, not on the page
    require_free(port)
    token = secrets.token_urlsafe(24) if token is None else token
    if not token:
        raise OnlmError("The token is empty, and without one the page would be open to every user of this machine.")
    with tempfile.TemporaryDirectory(prefix="onlm_dashboard_") as name:
        place = Path(name)
        served = write_served_folder(place / "served")
        config = write_config(place, port=port, token=token, preheat=preheat)
        log = place / "voila.log"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [sys.executable, "-m", "voila", str(served / NOTEBOOK), f"--Voila.config_file_paths={config.parent}"],
                stdout=stream, stderr=stream, stdin=subprocess.DEVNULL, cwd=place,
                env=_environment(place, run=run.folder), start_new_session=True,
            )  # fmt: skip
        try:
            _wait(process, port=port, log=log)
            address = f"http://{HOST}:{port}/?{urllib.parse.urlencode({'token': token})}"
            yield Server(address, token, port, process, log)
        finally:
            _stop(process)


def dashboards_folder() -> Path:
    """Where the dashboards' notebooks lie: beside the package in a checkout, else where the wheel put them."""
    candidates = [
        Path(__file__).resolve().parent.parent / "dashboards",
        Path(__file__).resolve().parent / "dashboards",
        Path(sys.prefix) / "share" / "onlm_lab" / "dashboards",
    ]
    for folder in candidates:
        if (folder / NOTEBOOK).is_file():
            return folder
    raise OnlmError(f"The dashboards' notebooks are not installed: {NOTEBOOK} was not found. Install onlm_lab again.")


def write_served_folder(folder: Path) -> Path:
    """All that the server may give out: the notebook and plotly.js. No run, no table, no picture."""
    from importlib.resources import files

    (folder / "public").mkdir(parents=True)
    shutil.copyfile(dashboards_folder() / NOTEBOOK, folder / NOTEBOOK)
    (folder / BUNDLE).write_bytes((files("plotly") / "package_data" / "plotly.min.js").read_bytes())
    return folder


def write_config(folder: Path, *, port: int, token: str, preheat: int = 0) -> Path:
    """voila.json and the page template; the file is readable by its owner only, for it holds the token."""
    template = folder / "jupyter" / "voila" / "templates" / _TEMPLATE
    template.mkdir(parents=True)
    (template / "conf.json").write_text('{"base_template": "lab"}', encoding="utf-8")
    (template / "index.html.j2").write_text(_INDEX, encoding="utf-8")
    path = folder / "voila.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps(_config(port=port, token=token, preheat=preheat), indent=1), encoding="utf-8")
    return path


def _config(*, port: int, token: str, preheat: int) -> dict[str, Any]:
    return {
        "Voila": {
            "ip": HOST, "port": port, "port_retries": 0, "token": token, "open_browser": False, "log_level": 30,
        },
        "VoilaConfiguration": {
            "template": _TEMPLATE,
            "allow_template_override": "NO",
            "allow_theme_override": "NO",
            "show_tracebacks": False,
            "strip_sources": True,
            "file_allowlist": [r"public/.*\.js"],
            "preheat_kernel": preheat > 0,
            "default_pool_size": max(preheat, 1),
        },
        # Voilà keeps a kernel when its page is closed; a page that is open keeps its own.
        "AsyncMappingKernelManager": {"cull_idle_timeout": 600, "cull_interval": 60, "cull_connected": False},
        "MappingKernelManager": {"cull_idle_timeout": 600, "cull_interval": 60, "cull_connected": False},
    }  # fmt: skip


def _environment(place: Path, *, run: Path) -> dict[str, str]:
    paths = [str(place / "jupyter"), os.environ.get("JUPYTER_PATH", "")]
    return os.environ | {
        "JUPYTER_PATH": os.pathsep.join(p for p in paths if p),
        "ONLM_RUN": str(run.resolve()),
        "ONLM_PLOTLY": f"voila/files/{BUNDLE}",
        "PYTHONUNBUFFERED": "1",
    }


def require_free(port: int) -> None:
    """Raise if the port does not exist or somebody uses it; the message offers the next free one."""
    if not 1 <= port <= 65535:
        raise OnlmError(f"Port {port} does not exist; wanted 1 to 65535, such as 8866.")
    if _free(port):
        return
    other = next((p for p in range(port + 1, min(port + 100, 65536)) if _free(p)), None)
    hint = f" Try --port {other}, which is free." if other else " Name another with --port."
    raise OnlmError(f"Port {port} is already in use on this machine.{hint}")


def _free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _wait(process: subprocess.Popen[bytes], *, port: int, log: Path) -> None:
    """Until the server answers; it must refuse a visitor without a token, so any HTTP answer counts."""
    until = time.monotonic() + _START_S
    while time.monotonic() < until:
        if process.poll() is not None:
            raise OnlmError(f"The dashboard's server did not start: {_last_words(log)}")
        try:
            urllib.request.urlopen(f"http://{HOST}:{port}/login", timeout=2).close()
            return
        except urllib.error.HTTPError:
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise OnlmError(f"The dashboard's server did not answer within {_START_S} s: {_last_words(log)}")


def _last_words(log: Path) -> str:
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    if any("No module named voila" in line for line in lines):
        return 'voila is not installed. Install it with: pip install "onlm_lab[lab]"'
    return lines[-1] if lines else "it said nothing."


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask the server to end, which ends its kernels too; insist only when it does not."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(timeout=_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()

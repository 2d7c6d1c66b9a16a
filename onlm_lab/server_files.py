"""What standalone Voilà is given: notebooks and plotly.js in a folder of its own, the page template, its settings."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onlm_lab import page_names
from onlm_lab.errors import OnlmError
from onlm_lab.installed import shipped_folder

HOST = "127.0.0.1"
HEATED = ("start", "performance", "outcomes")  # kernels of these pages wait ready where some shall
BUNDLE = "public/plotly.min.js"
EXTENSIONS = (
    "@voila-dashboards/widgets-manager8",
    "@jupyter-widgets/jupyterlab-manager",
    "anywidget",
)  # of the browser
BROKEN = "This page could not be shown. Tell who gave you the link; the reason stands in the server's log."
_TEMPLATE = "onlm"
# The lab template without its fonts from a CDN; the page speaks text only.
_INDEX = """{% extends 'voila/templates/lab/index.html.j2' %}
{%- block notebook_css -%}
  {{ resources.include_js("static/voila-style.js") }}
  {{ spinner.css() }}
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="referrer" content="no-referrer">
  {%- if nb.metadata.get("figures") %}
  <script>
    window.onlmPlotly = new Promise((loaded) => {
      const script = document.createElement("script");
      script.src = "{{ resources.base_url }}voila/files/BUNDLE";
      script.onload = () => loaded(window.Plotly);
      script.onerror = () => loaded(null);
      document.head.append(script);
    });
  </script>
  {%- endif %}
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
class Sharing:
    """How pages go to others.

    Attributes:
        shared: to people who may see no single patient: pages of single patients are off unless study.toml allows
            them, small cells are suppressed, thresholds stand on a grid, nobody starts a training.
        access_log: a file for the minute, the page and the status of each opening; None: no log.
        base_url: path under which a proxy shows the pages.
        idle_s: seconds after which the kernel of a page that nobody has open is ended.
        preheat: how many kernels of each page of HEATED wait ready for the next visitor (about 150 MB each).
        most_pages: how many pages may be open at once, those that wait ready included: a kernel takes 110 to 230 MB.
        host: address to listen at. Anything but this machine alone is for a container, whose network nobody else is in:
            what comes in there is not encrypted, so TLS has to stand in front.
    """

    shared: bool = False
    access_log: Path | None = None
    base_url: str = "/"
    idle_s: int = 600
    preheat: int = 0
    most_pages: int = 40
    host: str = HOST


def base_path(said: str) -> str:
    """A base URL as the path before every address: "" or "/onlm"; faulty ones raise."""
    path = said.strip().rstrip("/")
    if not re.fullmatch(r"(/[A-Za-z0-9_.~-]+)*", path) or ".." in path:
        raise OnlmError(f"--base-url is '{said}'; wanted a path such as /onlm/, of letters, digits and - _ . ~ only.")
    return path


def dashboards_folder() -> Path:
    """Where the dashboards' notebooks lie."""
    return shipped_folder("dashboards", holding=_file("start"))


def _file(page: str) -> str:
    return page_names.FILE.format(page)


def write_served_folder(folder: Path, *, pages: Sequence[str]) -> Path:
    """All that the server may give out: the notebooks and plotly.js. No run, no table, no picture."""
    from importlib.resources import files

    (folder / "public").mkdir(parents=True)
    for page in pages:
        shutil.copyfile(dashboards_folder() / _file(page), folder / _file(page))
    (folder / BUNDLE).write_bytes((files("plotly") / "package_data" / "plotly.min.js").read_bytes())
    return folder


def write_config(folder: Path, *, port: int, token: str, sharing: Sharing) -> Path:
    """voila.json and the page template; the file is readable by its owner only, for it holds the token."""
    template = folder / "jupyter" / "voila" / "templates" / _TEMPLATE
    template.mkdir(parents=True)
    (template / "conf.json").write_text('{"base_template": "lab"}', encoding="utf-8")
    (template / "index.html.j2").write_text(_INDEX.replace("BUNDLE", BUNDLE), encoding="utf-8")
    path = folder / "voila.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps(_config(port=port, token=token, sharing=sharing), indent=1), encoding="utf-8")
    return path


def _config(*, port: int, token: str, sharing: Sharing) -> dict[str, Any]:
    culling = {"cull_idle_timeout": sharing.idle_s, "cull_interval": min(60, max(1, sharing.idle_s // 2)),
               "cull_connected": False}  # fmt: skip
    pools = {_file(page): {"pool_size": sharing.preheat} for page in HEATED} | {"default": {"pool_size": 0}}
    return {
        "Voila": {
            "ip": sharing.host,
            "port": port,
            "port_retries": 0,
            "token": token,
            "open_browser": False,
            "connection_dir_root": _short_folder(),
            "log_level": 30,
            "base_url": f"{base_path(sharing.base_url)}/",
        },
        "VoilaConfiguration": {
            "template": _TEMPLATE,
            "allow_template_override": "NO",
            "allow_theme_override": "NO",
            "show_tracebacks": False,
            "strip_sources": True,
            "file_allowlist": [r"public/.*\.js"],
            # What else JupyterLab has installed on this machine does not run on the pages.
            "extension_allowlist": list(EXTENSIONS),
            "preheat_kernel": sharing.preheat > 0,
        },
        "VoilaExecutor": {"cell_error_instruction": BROKEN, "cell_timeout_instruction": BROKEN},
        "VoilaKernelManager": {"kernel_pools_config": pools},
        # Sockets in the server's own folder: at a TCP port any user of this machine could listen to a page's output.
        **({"KernelManager": {"transport": "ipc"}} if os.name == "posix" else {}),
        # Voilà keeps a kernel when its page is closed; a page that is open keeps its own.
        "AsyncMappingKernelManager": culling,
        "MappingKernelManager": culling,
    }


def _short_folder() -> str:
    """Where the kernels' sockets lie: their names may have 107 letters, of which they need 70."""
    folder = tempfile.gettempdir()
    return folder if len(folder) <= 35 or os.name != "posix" else "/tmp"

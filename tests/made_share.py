"""What a wheel lays out beside the package (share/...), laid out from the checkout as pyproject.toml says."""

from __future__ import annotations

import os
import shutil
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def lay_out_share(target: Path) -> Path:
    """Copies every data file of the project below `target`, as an installation would, and returns it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    for where, patterns in project["tool"]["setuptools"]["data-files"].items():
        for pattern in patterns:
            found = sorted(ROOT.glob(pattern))
            assert found, f"pyproject.toml: data-files: {pattern} names no file"
            for path in found:
                (target / where).mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target / where / path.name)
    return target


def jupyter_environment(target: Path) -> dict[str, str]:
    """The variables with which Jupyter looks for extensions below `target`, and keeps its own files there."""
    kept = {name: str(target / name.lower()) for name in (
        "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTERLAB_SETTINGS_DIR",
        "JUPYTERLAB_WORKSPACES_DIR", "IPYTHONDIR")}  # fmt: skip
    path = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    shared = {"JUPYTER_PATH": str(target / "share" / "jupyter"), "PYTHONPATH": os.pathsep.join(p for p in path if p)}
    return os.environ | kept | shared

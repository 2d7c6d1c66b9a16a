"""environment.yml, constraints.txt and pyproject.toml tell one story."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import distributions
from pathlib import Path

import yaml
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
PINS = dict(
    line.split("==") for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines() if "==" in line
)


def name(requirement: str) -> str:
    return re.split(r"[<>=!\[; ]", requirement)[0].lower().replace("_", "-").replace(".", "-")


def pins() -> set[str]:
    return {pin.lower().replace("_", "-").replace(".", "-") for pin in PINS}


def test_the_conda_environment_installs_this_package_with_all_extras_and_the_same_pins():
    pip = next(entry["pip"] for entry in CONDA["dependencies"] if isinstance(entry, dict))
    assert "--constraint constraints.txt" in pip
    (install,) = [line for line in pip if line.startswith("--editable")]
    extras = set(re.search(r"\[(.*)\]", install).group(1).split(","))
    assert extras == {"all", "dev"} <= set(PROJECT["optional-dependencies"])


def test_the_conda_environment_has_the_python_that_the_package_wants():
    (python,) = [entry for entry in CONDA["dependencies"] if str(entry).startswith("python=")]
    assert PROJECT["requires-python"] == f">={python.removeprefix('python=')}"


def test_every_dependency_of_every_extra_is_pinned():
    wanted = list(PROJECT["dependencies"])
    for extra in PROJECT["optional-dependencies"].values():
        wanted += extra
    missing = {name(w) for w in wanted} - pins() - {"onlm-lab"}
    assert not missing


def test_the_base_has_no_torch():
    base = {name(w) for w in PROJECT["dependencies"]}
    assert not base & {"torch", "torchvision", "timm", "lightning-fabric", "jupyterlab", "voila"}
    assert {"train", "lab", "all", "dev", "pretrained"} <= set(PROJECT["optional-dependencies"])


def test_every_pinned_package_that_is_installed_runs_on_the_first_python_that_the_package_wants():
    """Debian 12 has Python 3.11.2: a pin that wants 3.11.5 ends `make demo` there before it has begun."""
    first = PROJECT["requires-python"].removeprefix(">=") + ".0"
    refused = {
        package.name: wanted
        for package in distributions()
        if package.name.lower() in {pin.lower() for pin in PINS}
        and (wanted := package.metadata.get("Requires-Python"))
        and not SpecifierSet(wanted).contains(first)
    }
    assert refused == {}

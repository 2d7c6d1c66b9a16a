"""The wheel and the sdist hold what they need, and the wheel works where no checkout is."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import urllib.request
import zipfile
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).resolve().parents[1]


def tracked() -> set[str]:
    """The files that git knows; of a folder that git does not know, why there are none."""
    done = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True)
    if done.returncode:
        pytest.skip("the checkout is no git repository, so what belongs to it is not known")
    return {name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()}


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> dict[str, Path]:
    """Wheel and sdist, built from a copy of the files that git knows."""
    place = tmp_path_factory.mktemp("built")
    for name in tracked():
        target = place / "source" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((ROOT / name).read_bytes())
    done = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(place / "dist"), str(place / "source")],
        capture_output=True, text=True, env=_quiet(),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "SetuptoolsDeprecationWarning" not in done.stdout + done.stderr
    wheel, sdist = next((place / "dist").glob("*.whl")), next((place / "dist").glob("*.tar.gz"))
    return {"wheel": wheel, "sdist": sdist}


def _quiet() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONWARNINGS")}


def test_the_wheel_has_every_file_of_the_package_and_nothing_else(built):
    with zipfile.ZipFile(built["wheel"]) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    package = {name for name in tracked() if name.startswith("onlm_lab/")}
    assert package - names == set() and len(package) > 300
    extra = {name for name in names - package if ".data/data/share/" not in name}
    assert extra == set()


def test_the_wheel_has_the_dashboards_and_every_notebook(built):
    with zipfile.ZipFile(built["wheel"]) as wheel:
        shared = {name.split(".data/data/share/onlm_lab/")[1] for name in wheel.namelist() if "share/onlm_lab/" in name}
    wanted = {name for name in tracked() if PurePosixPath(name).parts[0] in ("dashboards", "notebooks")}
    assert shared == wanted and {"dashboards/start.ipynb", "notebooks/01_quickstart.py"} <= wanted


def test_the_wheel_has_the_entries_of_jupyterlabs_launcher(built):
    with zipfile.ZipFile(built["wheel"]) as wheel:
        names = {
            n.split("/share/jupyter/labextensions/onlm_lab/")[1] for n in wheel.namelist() if "/labextensions/" in n
        }
    assert {"package.json", "install.json", "static/launcher.js"} <= names


def test_the_sdist_has_every_file_that_git_knows(built):
    with tarfile.open(built["sdist"]) as sdist:
        names = {str(PurePosixPath(*PurePosixPath(name).parts[1:])) for name in sdist.getnames()}
    assert sorted(tracked() - names) == []
    assert [name for name in names if "coverage.json" in name or name.endswith((".pyc", ".part"))] == []


@pytest.fixture(scope="module")
def elsewhere(built, tmp_path_factory) -> Path:
    """The wheel in a folder of its own, outside the checkout; what it depends on comes from this environment."""
    folder = tmp_path_factory.mktemp("elsewhere") / "site"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(folder),
         str(built["wheel"])],
        check=True, capture_output=True, env=_quiet(),
    )  # fmt: skip
    return folder


def onlm(elsewhere: Path, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """One verb of the installed package; its modules are the wheel's, not the checkout's."""
    return subprocess.run(
        [sys.executable, "-m", "onlm_lab.cli", *words], cwd=cwd, capture_output=True, text=True,
        env=_quiet() | {"PYTHONPATH": str(elsewhere)},
    )  # fmt: skip


def test_the_installed_package_is_the_one_that_is_tried(elsewhere, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", "import onlm_lab; print(onlm_lab.__file__)"], cwd=tmp_path, capture_output=True,
        text=True, check=True, env=_quiet() | {"PYTHONPATH": str(elsewhere)},
    )  # fmt: skip
    assert Path(done.stdout.strip()).parent.parent == elsewhere


def test_the_lessons_come_from_the_wheel(elsewhere, tmp_path):
    done = onlm(elsewhere, "teach", "auc", "--copy", "--folder", "lessons", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "lessons" / "01_auc.ipynb").is_file()


@pytest.mark.slow
def test_a_study_runs_and_its_dashboard_answers_from_the_wheel_alone(elsewhere, tmp_path, free_port):
    study, port = tmp_path / "study", free_port()
    made = onlm(elsewhere, "virtual", str(study), "--patients", "120", "--tables-only", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    changes = ["--set", 'training.models=["clinical"]', "--set", "training.folds=3"]
    ran = onlm(elsewhere, "run", str(study), *changes, cwd=tmp_path)
    assert ran.returncode == 0 and "report.html" in ran.stdout, ran.stdout + ran.stderr
    with subprocess.Popen(
        [sys.executable, "-m", "onlm_lab.cli", "dashboards", str(study), "--port", str(port)], cwd=tmp_path, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=_quiet() | {"PYTHONPATH": str(elsewhere)},
    ) as server:  # fmt: skip
        try:
            url = next(line.split("Dashboard: ")[1].strip() for line in server.stdout if "Dashboard: " in line)
            with urllib.request.urlopen(url, timeout=60) as answer:
                assert answer.status == 200 and "onlm" in answer.read().decode("utf-8")
        finally:
            server.terminate()
            server.wait(30)

"""Where tests find real data (never in the repository) and a small made-up trial, and who has a second try.

A test that drives a browser, or waits for a server or another process, waits for conditions; on a machine of two cores
under load one may be late all the same. Such a test, and no other, is tried once more, on fixtures made anew: the
summary tells each with an R. What computes a number has one try.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from filelock import FileLock

CHROMIUM = next((p for p in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if p), None)
CHROMIUM_ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
]  # fmt: skip
PATIENCE_MS = 90_000
SHARED = Path(os.environ.get("ONLM_SHARED", Path(__file__).resolve().parents[2] / "shared"))


# Files that take longest, the longest first, so that workers which get a file at a time end at about the same time. The
# first makes the trial that later ones share; the second needs none.
LONG = (
    "test_pipeline", "test_one_bad_patient", "test_real_outcomes", "test_train", "test_nothing_identifying",
    "test_ct_viewer_in_browser", "test_cohort_in_browser", "test_report", "test_notebooks", "test_performance_page",
    "test_outcomes_in_browser", "test_cases_in_browser", "test_finetune", "test_accessibility", "test_page_server",
    "test_patient_in_browser", "test_reading_in_browser", "test_server_in_browser", "test_deidentify", "test_write",
    "test_launching", "test_training_page", "test_apply", "test_cohort_page", "test_one_patient", "test_explain",
    "test_preparation", "test_baselines", "test_layout", "test_texts", "test_model_card", "test_linked",
    "test_virtual_masks", "test_merging", "test_distributed", "test_cases_page", "test_leaks",
)  # fmt: skip
WAITING = {"server", "serve", "browser"}  # fixtures of tests that wait for another process
FAILED = pytest.StashKey[bool]()


def pytest_collection_modifyitems(items):
    """Long files first; a second try for what waits for other processes.

    A cluster's numbers must be right at once: tests of them have one try.
    """
    place = {name: k for k, name in enumerate(LONG)}
    items.sort(key=lambda item: place.get(item.path.stem, len(LONG)))
    for item in items:
        if item.get_closest_marker("waits") or item.get_closest_marker("browser") or WAITING & {*item.fixturenames}:
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    item.stash[FAILED] = report.failed if call.when == "setup" else item.stash.get(FAILED, False) or report.failed
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item):
    """After a failure the module's pages and servers are ended: neither the second try nor the next test meets them."""
    if item.stash.get(FAILED, False) and item.get_closest_marker("flaky"):
        item.session._setupstate.teardown_exact(item.session)


@pytest.fixture(scope="session")
def shared_data():
    """A function that gives a folder or file of the real test data, or skips with the reason."""

    def find(name: str) -> Path:
        path = SHARED / "data" / name
        if not path.exists():
            pytest.skip(f"real data '{name}' is not here (its licence keeps it out of the repository)")
        return path

    return find


SMALL = {"folds": 3, "epochs": 30, "patience": 8, "explain": False}  # of [training]
N_PATIENTS, N_CENTRES, SEED = 120, 3, 7


@pytest.fixture(scope="session")
def trial(tmp_path_factory, worker_id) -> Path:
    """The folder of a small made-up trial, taken through `onlm run` to the end: built once, whatever the workers.

    Read it, never write into it: copy what a test wants to change.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent
    folder, done = shared / "trial", shared / "trial.done"
    with FileLock(shared / "trial.lock"):
        if not done.is_file():
            _onlm("virtual", folder, "--patients", N_PATIENTS, "--centres", N_CENTRES, "--seed", SEED)
            _make_small(folder / "study.toml")
            _onlm("run", folder)
            done.touch()
    return folder


@pytest.fixture
def alone_with_trial(trial, tmp_path_factory, worker_id):
    """Holds the trial while a test runs `onlm run` on it, which only one process may: workers run at the same time."""
    base = tmp_path_factory.getbasetemp()
    with FileLock((base if worker_id == "master" else base.parent) / "trial.use.lock"):
        yield trial


@pytest.fixture(scope="session")
def trial_run(trial):
    """The run of that trial."""
    from onlm_lab.runs import open_run

    return open_run(trial)


def _onlm(*words: object) -> None:
    command = [sys.executable, "-m", "onlm_lab.cli", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stdout + done.stderr)[-2000:]
        raise RuntimeError(f"The trial that the tests share could not be made; `onlm {words[0]}` said:\n{said}")


def _make_small(path: Path) -> None:
    """Settings that a test can wait for."""
    import tomli_w

    said = tomllib.loads(path.read_text(encoding="utf-8"))
    said["training"] = said.get("training", {}) | SMALL
    said["analysis"] = said.get("analysis", {}) | {"bootstrap": 50}
    path.write_text(tomli_w.dumps(said), encoding="utf-8")


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """A study of a few patients, prepared on this machine; read it, never write into it."""
    from made_balls import FEW, make_study, prepare

    folder = make_study(tmp_path_factory.mktemp("few"), FEW)
    return folder, prepare(folder)


@pytest.fixture(scope="module")
def scheduler():
    """A Dask cluster of two processes on this machine."""
    pytest.importorskip("distributed", reason='no dask: pip install "onlm_lab[cluster]"')
    from distributed import LocalCluster

    # A port of its own: the usual one is taken where another test has a cluster at the same time.
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0", host="127.0.0.1") as cluster:
        yield cluster.scheduler_address


@pytest.fixture(scope="session")
def tiny_cache(tmp_path_factory):
    """The patches of the tiny runs of made_trained; read it, never write into it."""
    from made_trained import patient_table, write_cache

    return write_cache(tmp_path_factory.mktemp("cache"), ids=patient_table()["patient_id"].tolist())


@pytest.fixture(scope="session")
def frozen_run(tmp_path_factory, tiny_cache):
    """A tiny run in frozen mode; copy what a test wants to change."""
    from made_trained import train_tiny

    return train_tiny(tmp_path_factory.mktemp("frozen") / "runs" / "run-a", cache=tiny_cache)


@pytest.fixture(scope="session")
def finetuned_run(tmp_path_factory, tiny_cache):
    """A tiny run in finetune mode; copy what a test wants to change."""
    from made_trained import FINETUNE, train_tiny

    return train_tiny(tmp_path_factory.mktemp("finetuned") / "runs" / "run-f", sections=FINETUNE, cache=tiny_cache)


@pytest.fixture(scope="session")
def free_port():
    """A function that gives a port that nobody listens at, and that nobody is given who asks for any port."""

    def find() -> int:
        # Not port 0: what the system gives so is the next one's who connects anywhere, before a slow server has it.
        for port in random.SystemRandom().sample(range(20_000, 32_000), 500):
            with socket.socket() as probe, contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port
        raise RuntimeError("no port between 20000 and 32000 is free")

    return find


@pytest.fixture(scope="module")
def serve(free_port):
    """serve(folder, page=...): a running server; skips loudly where nothing can look at its pages."""
    if CHROMIUM is None:
        pytest.skip("NO CHROMIUM on this machine: the dashboards were NOT tested. Install it: apt-get install chromium")
    pytest.importorskip("playwright", reason="playwright is not installed: the dashboards were NOT tested")
    from onlm_lab.serving import serving

    return lambda folder, *, page, sharing=None: serving(folder, port=free_port(), page=page, sharing=sharing)


@pytest.fixture(scope="module")
def browser(server):
    """Chromium, in a module whose `server` is running; it waits for long, for a busy machine is slow and not wrong."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS, timeout=PATIENCE_MS)
        new_context = started.new_context

        def patient(**how):
            context = new_context(**how)
            context.set_default_timeout(PATIENCE_MS)
            return context

        started.new_context = patient
        yield started
        started.close()

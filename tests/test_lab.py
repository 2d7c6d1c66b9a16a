"""JupyterLab's Launcher: two entries that need no build, the pages of the studies here, and the lessons."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from urllib.parse import quote

import ipywidgets as widgets
import pytest
from made_run import write_run
from made_share import ROOT, jupyter_environment, lay_out_share
from page_parts import every, html_of

import onlm_lab
from onlm_lab import lab
from onlm_lab.app import outcomes_page
from onlm_lab.teaching import LESSONS

EXTENSION = ROOT / "labextension"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with two studies, the second without a run, and something else."""
    home = tmp_path_factory.mktemp("home")
    run = write_run(home / "first" / "runs" / "run-1", n_surgery=120, n_sbrt=40)
    shutil.copy(run.folder / "study.toml", home / "first" / "study.toml")
    (home / "second").mkdir()
    shutil.copy(run.folder / "study.toml", home / "second" / "study.toml")
    (home / "no_study").mkdir()
    return home


def buttons(page: widgets.Widget) -> widgets.ToggleButtons:
    """The choice of pages, which is the first of all buttons."""
    return next(w for w in every(page, widgets.ToggleButtons) if "Cohort" in str(w.options))


def test_jupyterlab_finds_the_extension_where_a_wheel_puts_it_and_calls_it_whole(tmp_path):
    pytest.importorskip("jupyterlab")
    env = jupyter_environment(lay_out_share(tmp_path))
    said = subprocess.run(
        [sys.executable, "-m", "jupyterlab.labextensions", "list"], capture_output=True, text=True, env=env, check=True
    )
    plain = re.sub(r"\x1b\[\d+m", "", said.stdout + said.stderr)
    (line,) = [line for line in plain.splitlines() if "onlm_lab v" in line]
    assert line.split() == ["onlm_lab", f"v{onlm_lab.__version__}", "enabled", "OK", "(python,", "onlm_lab)"]


def test_the_extension_is_a_file_that_a_person_can_read_and_fetches_nothing_from_elsewhere():
    code = (EXTENSION / "static" / "launcher.js").read_text(encoding="utf-8")
    assert set(re.findall(r"https?://[^\s'\"`]+", code)) == {"http://www.w3.org/2000/svg"}
    assert max(map(len, code.splitlines())) <= 120 and "eval(" not in code and "fetch(" not in code
    names = json.loads((EXTENSION / "package.json").read_text(encoding="utf-8"))
    assert names["name"] == "onlm_lab" and (EXTENSION / names["jupyterlab"]["_build"]["load"]).is_file()


def test_every_entry_of_the_launcher_calls_something_that_is_there():
    code = (EXTENSION / "static" / "launcher.js").read_text(encoding="utf-8")
    called = re.findall(r"lab\.(\w+)\(\)", code)
    assert called == ["dashboards", "lessons"] and all(callable(getattr(lab, name)) for name in called)


def test_the_studies_of_a_folder_are_those_in_it_or_the_folder_itself(home):
    assert [path.name for path in lab.studies_in(home)] == ["first", "second"]
    assert lab.studies_in(home / "first") == [home / "first"]


def test_a_study_without_a_run_is_offered_the_pages_that_need_none(home):
    assert [page.name for page in lab.pages_of(home / "second")] == ["cohort", "training"]
    names = [page.name for page in lab.pages_of(home / "first")]
    assert names == ["cohort", "training", "performance", "outcomes", "cases", "patient"]


def test_another_page_takes_the_place_of_the_first_and_that_one_is_closed(home):
    page = lab.dashboards(home / "first")
    assert buttons(page).value == "performance" and "Performance of the model" in html_of(page)
    before = page.children[1].children[0].children[1].children[0]
    buttons(page).value = "outcomes"
    assert outcomes_page.PAGE in html_of(page) and "Performance of the model" not in html_of(page)
    assert before.comm is None


def test_another_study_brings_its_own_pages(home):
    page = lab.dashboards(home)
    study = page.children[0]
    assert [name for name, _ in study.options] == ["first", "second"] and study.layout.display is None
    study.value = home / "second"
    assert [name for _, name in buttons(page).options] == ["cohort", "training"]
    assert buttons(page).value == "cohort"


def test_where_no_study_is_the_page_says_how_to_make_one(tmp_path):
    assert "onlm demo" in lab.dashboards(tmp_path).value and "onlm init" in lab.dashboards(tmp_path).value


def test_the_lessons_are_laid_out_here_and_listed_as_links(tmp_path):
    found = lab.lessons(tmp_path)
    shown = found._repr_markdown_()
    assert repr(found) == f"{len(LESSONS)} lessons" and shown.count("](lessons/") == len(LESSONS)
    assert f"1. [{LESSONS[0].title}](lessons/{LESSONS[0].notebook}.ipynb), {LESSONS[0].minutes} minutes" in shown
    assert all((tmp_path / "lessons" / f"{lesson.notebook}.ipynb").is_file() for lesson in LESSONS)


def test_a_second_click_keeps_what_a_student_changed(tmp_path):
    lab.lessons(tmp_path)
    path = tmp_path / "lessons" / f"{LESSONS[0].notebook}.ipynb"
    changed = (
        path.read_text(encoding="utf-8").replace('"# %%', '"# mine').replace("MADE-UP DATA", "MADE-UP DATA, mine", 1)
    )
    path.write_text(changed, encoding="utf-8")
    lab.lessons(tmp_path)
    assert path.read_text(encoding="utf-8") == changed


def test_a_path_with_a_space_is_a_link_that_opens():
    assert "(lessons/01%20auc.ipynb)" in lab.Lessons([("AUC", 25, quote("lessons/01 auc.ipynb"))])._repr_markdown_()

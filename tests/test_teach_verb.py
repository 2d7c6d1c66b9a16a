"""`onlm teach`: lessons laid out as notebooks, never over what a student changed; JupyterLab on them alone."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import jupytext
import pytest

from onlm_lab import installed, teaching
from onlm_lab.cli import main
from onlm_lab.errors import OnlmError
from onlm_lab.teaching import opening, shelf

ONE = shelf.named("auc")


@pytest.fixture
def renewed(tmp_path, monkeypatch):
    """A function that gives the lesson a new version."""
    source = shelf.lessons_folder() / "01_auc.py"

    def renew(words: str) -> None:
        place = tmp_path / "sources"
        place.mkdir(exist_ok=True)
        text = source.read_text(encoding="utf-8").replace("# # Lesson 1", f"# # {words}, lesson 1")
        (place / "01_auc.py").write_text(text, encoding="utf-8")
        monkeypatch.setattr(shelf, "lessons_folder", lambda: place)

    return renew


def change(path: Path) -> str:
    book = json.loads(path.read_text(encoding="utf-8"))
    book["cells"][0]["source"] = "My own notes"
    path.write_text(json.dumps(book), encoding="utf-8")
    return path.read_text(encoding="utf-8")


def test_a_lesson_becomes_a_notebook_that_is_the_same_file_each_time(tmp_path):
    first = shelf.lay_out(tmp_path / "a", lessons=ONE)
    again = shelf.lay_out(tmp_path / "b", lessons=ONE)
    assert [one.what for one in first] == ["written"] and first[0].path.name == "01_auc.ipynb"
    assert first[0].path.read_bytes() == again[0].path.read_bytes()
    book = jupytext.read(first[0].path)
    assert "MADE-UP DATA" in book.cells[0].source and not any(c.get("outputs") for c in book.cells)
    assert book.metadata["kernelspec"]["name"] == "python3"


def test_what_a_student_changed_is_kept_and_the_same_version_is_not_written_again(tmp_path):
    (laid,) = shelf.lay_out(tmp_path, lessons=ONE)
    mine = change(laid.path)
    assert [one.what for one in shelf.lay_out(tmp_path, lessons=ONE)] == ["kept"]
    assert laid.path.read_text(encoding="utf-8") == mine and len(list(tmp_path.glob("*.ipynb"))) == 1


def test_a_new_version_goes_beside_a_changed_notebook_and_over_an_untouched_one(tmp_path, renewed):
    (laid,) = shelf.lay_out(tmp_path, lessons=ONE)
    renewed("Second")
    (again,) = shelf.lay_out(tmp_path, lessons=ONE)
    assert (again.what, again.path) == ("renewed", laid.path)
    mine = change(laid.path)
    renewed("Third")
    (beside,) = shelf.lay_out(tmp_path, lessons=ONE)
    assert (beside.what, beside.path.name) == ("beside", "01_auc_2.ipynb")
    assert laid.path.read_text(encoding="utf-8") == mine
    assert jupytext.read(beside.path).cells[0].source.startswith("# Third")
    assert shelf.lay_out(tmp_path, lessons=ONE)[0] == beside._replace(what="kept")


def test_a_notebook_that_was_only_run_is_not_renewed_over(tmp_path, renewed):
    (laid,) = shelf.lay_out(tmp_path, lessons=ONE)
    book = json.loads(laid.path.read_text(encoding="utf-8"))
    next(cell for cell in book["cells"] if cell["cell_type"] == "code")["execution_count"] = 1
    laid.path.write_text(json.dumps(book), encoding="utf-8")
    renewed("Second")
    assert shelf.lay_out(tmp_path, lessons=ONE)[0].what == "beside"


@pytest.mark.parametrize("foreign", ["not a notebook", "[]", '{"cells": 3}', ""])
def test_a_file_of_that_name_that_is_no_lesson_stays(tmp_path, foreign):
    (tmp_path / "01_auc.ipynb").write_text(foreign, encoding="utf-8")
    (laid,) = shelf.lay_out(tmp_path, lessons=ONE)
    assert laid.what == "beside" and (tmp_path / "01_auc.ipynb").read_text(encoding="utf-8") == foreign


@pytest.mark.parametrize("said", ["auc", "1", "01", "01_auc", "01_auc.ipynb", "AUC"])
def test_a_lesson_is_named_by_name_number_or_file(said):
    assert [one.name for one in shelf.named(said)] == ["auc"]


def test_an_unknown_lesson_is_told_which_there_are(capsys):
    assert main(["teach", "roc", "--list"]) == 2
    assert "There is no lesson 'roc'. There are: 1 auc, 2 calibration, 3 thresholds" in capsys.readouterr().err


def test_the_list_names_each_lesson_with_its_minutes(capsys):
    assert main(["teach", "--list"]) == 0
    said = capsys.readouterr().out
    assert all(f"{one.minutes} minutes" in said and one.title in said for one in teaching.LESSONS)
    assert all(20 <= one.minutes <= 30 for one in teaching.LESSONS)


def test_copying_says_what_was_written_and_reset_forgets_the_answers(tmp_path, capsys):
    folder = tmp_path / "class"
    assert main(["teach", "auc", "--folder", str(folder), "--copy"]) == 0
    assert "01_auc.ipynb: AUC and what it does not say, 25 minutes" in capsys.readouterr().out
    teaching.Lesson("auc", folder=folder).check("meaning").give("pairs")
    teaching.Lesson("auc", folder=folder)._answers.path.with_name("thresholds.json").write_text("{}", encoding="utf-8")
    assert main(["teach", "auc", "--folder", str(folder), "--reset"]) == 0
    assert capsys.readouterr().out == "Answers forgotten: auc.\n"
    assert [p.name for p in (folder / "answers").iterdir()] == ["thresholds.json"]
    assert main(["teach", "auc", "--folder", str(folder), "--reset"]) == 0
    assert "There are no answers" in capsys.readouterr().out


def test_without_the_lab_extra_it_says_what_to_install(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(shelf, "NEEDED", ("jupyterlab", "a_package_that_nobody_has"))
    assert main(["teach", "auc", "--folder", str(tmp_path / "x"), "--copy"]) == 2
    said = capsys.readouterr().err
    assert "a_package_that_nobody_has is missing" in said and 'pip install "onlm_lab[lab]"' in said
    assert not (tmp_path / "x").exists()


def test_a_file_in_the_folders_place_and_a_port_in_use_are_sentences(tmp_path, capsys):
    (tmp_path / "mine").write_text("x", encoding="utf-8")
    assert main(["teach", "auc", "--folder", str(tmp_path / "mine"), "--copy"]) == 2
    assert "'mine' is a file; wanted a folder" in capsys.readouterr().err
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with (
            pytest.raises(OnlmError, match=f"Port {port} is already in use"),
            opening.opened(tmp_path, notebook="01_auc.ipynb", port=port),
        ):
            pass


def test_lessons_that_are_not_installed_are_told(monkeypatch, tmp_path):
    monkeypatch.setattr(installed, "roots", lambda: (tmp_path,))
    monkeypatch.setattr(installed, "CHECKOUT", tmp_path / "elsewhere")
    with pytest.raises(OnlmError, match=r"'notebooks/teaching' is not installed: no 01_auc\.py was found in it"):
        shelf.lessons_folder()
    there = tmp_path / "share" / "onlm_lab" / "notebooks" / "teaching"
    there.mkdir(parents=True)
    (there / "01_auc.py").touch()
    assert shelf.lessons_folder() == there


def test_it_opens_jupyterlab_on_the_lesson_behind_a_token_and_stops_with_the_command(tmp_path, free_port):
    command = [
        sys.executable, "-m", "onlm_lab.cli", "teach", "auc", "--folder", str(tmp_path / "class"),
        "--port", str(free_port()), "--no-browser",
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as started:
        try:
            url = next(
                line.removeprefix("Lessons: ").strip() for line in started.stdout if line.startswith("Lessons: ")
            )
            assert re.fullmatch(r"http://127\.0\.0\.1:\d+/lab/tree/01_auc\.ipynb\?token=\S{32}", url)
            with urllib.request.urlopen(url, timeout=60) as page:
                text = page.read().decode()
            assert "JupyterLab" in text and opening.NEWS in text
            base, token = url.partition("/lab")[0], url.partition("token=")[2]
            with pytest.raises(urllib.error.HTTPError, match="403"):
                urllib.request.urlopen(f"{base}/api/contents", timeout=30)
            asked = urllib.request.Request(f"{base}/api/contents", headers={"Authorization": f"token {token}"})
            with urllib.request.urlopen(asked, timeout=30) as found:
                assert [one["name"] for one in json.load(found)["content"]] == ["01_auc.ipynb"]
        finally:
            os.kill(started.pid, signal.SIGINT)
            rest = started.stdout.read()
    assert started.returncode == 0 and "JupyterLab stopped" in rest
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(base, timeout=5)

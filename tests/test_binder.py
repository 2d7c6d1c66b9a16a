"""What Binder builds is what pyproject.toml says, without torch, and ends with the lessons laid out."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from onlm_lab import teaching
from onlm_lab.arguments import parser
from onlm_lab.teaching.opening import NEWS

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
POST_BUILD = ROOT / "binder" / "postBuild"


def commands() -> list[str]:
    lines = POST_BUILD.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith(("#", "set "))]


def test_the_python_of_binder_is_the_one_that_the_package_wants():
    told = yaml.safe_load((ROOT / "binder" / "environment.yml").read_text(encoding="utf-8"))
    (python,) = [entry for entry in told["dependencies"] if str(entry).startswith("python=")]
    assert PROJECT["requires-python"] == f">={python.removeprefix('python=')}"


def test_it_installs_this_package_with_the_lab_extra_alone_and_the_pins_and_no_torch():
    (install,) = [line for line in commands() if "pip install" in line]
    extras = re.search(r'"\.\[(.*)\]"', install)[1].split(",")
    assert extras == ["lab"] and "--constraint constraints.txt" in install and (ROOT / "constraints.txt").is_file()
    wanted = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["lab"]]
    assert not [one for one in wanted if re.match(r"(torch|timm|lightning|onlm)", one)]
    assert {"jupyterlab", "jupytext", "ipykernel"} <= {re.split("[<>=]", one)[0] for one in wanted}


def test_it_lays_the_lessons_out_by_a_command_that_onlm_knows():
    (teach,) = [line for line in commands() if line.startswith("onlm ")]
    words = parser().parse_args(teach.split()[1:])
    assert words.verb == "teach" and words.copy and words.lesson is None and str(words.folder) == "lessons"
    (news,) = [line for line in commands() if "labextension" in line]
    assert NEWS in news


def test_the_script_may_be_run_and_is_sound():
    assert os.access(POST_BUILD, os.X_OK)
    subprocess.run([shutil.which("bash") or "/bin/bash", "-n", str(POST_BUILD)], check=True)
    assert POST_BUILD.read_text(encoding="utf-8").startswith("#!/bin/bash\n")


def test_the_teachers_page_leads_to_notebooks_that_are_there():
    text = (ROOT / "docs" / "teaching.md").read_text(encoding="utf-8")
    assert re.findall(r"urlpath=lab/tree/lessons/(\w+)\.ipynb", text) == [teaching.LESSONS[0].notebook]
    assert "teaching_later_lessons.md" in text


@pytest.mark.parametrize("number", [1, 2, 3])
def test_the_teachers_notes_have_each_lessons_aim_minutes_wrong_answers_and_every_answer(number):
    lesson = teaching.LESSONS[number - 1]
    text = (ROOT / "docs" / "teaching.md").read_text(encoding="utf-8")
    part = re.search(rf"^## Lesson {number}: .*?(?=^## )", text, flags=re.MULTILINE | re.DOTALL)[0]
    assert f"{lesson.minutes} minutes" in part and f"`onlm teach {lesson.name}`" in part
    for words in ("**Aim.**", "**Typical wrong answers.**", "**To discuss.**", "**Answers.**"):
        assert words in part, words
    for name in teaching.read_questions(lesson.name):
        assert f"`{name}`" in part.split("**Answers.**")[1], name

"""Every lesson is a story of short cells that asks before it shows; its questions are all asked, and all of its own."""

from __future__ import annotations

import re
from pathlib import Path

import jupytext
import pytest

from onlm_lab import teaching
from onlm_lab.teaching import read_questions

FOLDER = Path(__file__).resolve().parents[1] / "notebooks" / "teaching"
WRITTEN = [one for one in teaching.LESSONS if (FOLDER / f"{one.notebook}.py").is_file()]
LONGEST_CELL = 10


@pytest.mark.parametrize("lesson", WRITTEN, ids=lambda one: one.name)
def test_a_lesson_has_short_cells_and_says_whose_data_it_is(lesson):
    cells = jupytext.read(FOLDER / f"{lesson.notebook}.py").cells
    assert cells[0].cell_type == "markdown"
    assert "MADE-UP DATA" in cells[0].source and "Research use only" in cells[0].source
    for cell in cells:
        if cell.cell_type == "code":
            assert len([line for line in cell.source.splitlines() if line.strip()]) <= LONGEST_CELL, cell.source


@pytest.mark.parametrize("lesson", WRITTEN, ids=lambda one: one.name)
def test_a_lesson_asks_each_of_its_questions_once_and_reveals_each_prediction_after_it(lesson):
    source = (FOLDER / f"{lesson.notebook}.py").read_text(encoding="utf-8")
    assert f'Lesson("{lesson.name}")' in source
    predicted = re.findall(r'\.predict\(\s*"(\w+)"', source)
    checked = re.findall(r'\.check\(\s*"(\w+)"', source)
    assert sorted(predicted + checked) == sorted(read_questions(lesson.name))
    assert sorted(re.findall(r'\.reveal\(\s*"(\w+)"', source)) == sorted(predicted)
    for name in predicted:
        assert source.index(f'.predict("{name}"') < source.index(f'.reveal("{name}"')
    assert len(predicted) >= 3 and len(checked) >= 4 and "explor" in source.lower()
    assert ".progress()" in source and ".reset()" in source


@pytest.mark.parametrize("lesson", WRITTEN, ids=lambda one: one.name)
def test_a_lesson_says_its_aim_what_one_needs_to_know_a_summary_and_what_to_read(lesson):
    cells = jupytext.read(FOLDER / f"{lesson.notebook}.py").cells
    words = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    for part in ("Aim", "What you need to know", "In five sentences", "What to read"):
        assert part in words, part
    assert "doi.org/" in words.split("What to read")[1]
    assert f"{lesson.minutes} minutes" in words

"""The benchmark of a class counts what fails, and a student whose cell fails does not keep the others waiting."""

from __future__ import annotations

import asyncio
import warnings

import pytest

from benchmarks import class_kernels
from benchmarks.class_kernels import Memory, Student, rows
from onlm_lab.teaching import shelf

GOOD = "# %%\nfrom onlm_lab.teaching import auc\n\n# %%\nauc.explore_prevalence()\n"


def held(monkeypatch, tmp_path, source: str) -> tuple[list[Student], Memory]:
    (tmp_path / "01_auc.py").write_text(source, encoding="utf-8")
    monkeypatch.setattr(shelf, "lessons_folder", lambda: tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of jupyter's own packages, not of ours
        return asyncio.run(class_kernels.hold_class(n_kernels=2, lesson="01_auc", jitter_s=0.1, think_s=0.0))


@pytest.mark.slow
def test_two_students_take_the_lesson_and_their_memory_is_seen(monkeypatch, tmp_path):
    students, seen = held(monkeypatch, tmp_path, GOOD)
    assert [one.failure for one in students] == ["", ""]
    assert all(len(one.cells_s) == 2 and one.lesson_s > 0 for one in students)
    assert seen.n_alive == 2 and 2 * 30 < seen.peak_mb < 2 * 400


@pytest.mark.slow
def test_a_cell_that_fails_is_counted_and_the_class_comes_to_its_end(monkeypatch, tmp_path):
    students, seen = held(monkeypatch, tmp_path, "# %%\nraise ValueError('no such patient')\n")
    assert all("no such patient" in one.failure for one in students)
    told = dict(rows(students, seen))
    assert told["failures"].startswith("2: CellExecutionError") and "computing of a lesson" not in " ".join(told)


def test_the_table_has_median_and_slowest_of_those_who_came_through():
    students = [Student(start_s=s, cells_s=[s, 2 * s]) for s in (1.0, 2.0, 4.0)] + [Student(failure="died")]
    told = dict(rows(students, Memory(peak_mb=400.0, n_alive=4)))
    assert told["computing of a lesson: median, slowest"] == "6.0 s, 12.0 s"
    assert told["a student's slowest cell: median, slowest"] == "4.0 s, 8.0 s"
    assert told["of one of them"] == "100 MB" and told["failures"] == "1: died"

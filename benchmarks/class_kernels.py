"""A class on one host: so many kernels at once, each with a whole lesson; memory of them all, and what a student waits.

    python -m benchmarks.class_kernels --kernels 30 --lesson 01_auc

A student reads, answers and moves sliders, so cells do not all run at once: each kernel starts within --jitter seconds,
and before each cell waits up to --think seconds. After each cell with sliders every slider is moved to five places.
Memory is PSS (what kernels share is counted once among them), so the sum is what the host needs for them; without the
hub or JupyterLab, which take 100 to 200 MB for each student beside it (JupyterHub) or once (one JupyterLab).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import statistics
import tempfile
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import jupytext
import psutil

from onlm_lab.teaching import shelf

if TYPE_CHECKING:
    from nbclient import NotebookClient

MOVES = """
_explored = _
for _one in _explored.children[0].controls:
    if _one["kind"] == "slider":
        _steps = round((_one["high"] - _one["low"]) / _one["step"])
        for _k in range(5):
            _explored.move(_one["name"], min(_one["high"], _one["low"] + round(_k * _steps / 4) * _one["step"]))
"""
MB = 1e6


@dataclass
class Student:
    """What one student's kernel did; seconds of computing, without the time to think."""

    pid: int = 0
    start_s: float = 0.0
    cells_s: list[float] = field(default_factory=list)
    failure: str = ""

    @property
    def lesson_s(self) -> float:
        return sum(self.cells_s)


@dataclass
class Memory:
    """PSS of all kernels together, in MB: the most that was seen, and how many kernels were alive then."""

    peak_mb: float = 0.0
    n_alive: int = 0


async def take_lesson(notebook_text: str, student: Student, *, folder: Path, wait_s: float, think_s: float,
                      everybody: asyncio.Barrier) -> None:  # fmt: skip
    """One student: a fresh kernel, every cell in turn; the kernel stays until the last student is through."""
    from nbclient import NotebookClient
    from nbclient.exceptions import CellControlSignal

    await asyncio.sleep(wait_s)
    notebook = jupytext.reads(notebook_text, fmt="py:percent")
    client = NotebookClient(notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(folder)}})
    began = time.perf_counter()
    async with client.async_setup_kernel():
        student.pid, student.start_s = client.km.provisioner.process.pid, time.perf_counter() - began
        try:
            await _run_cells(client, notebook.cells, student, think_s=think_s)
        except (
            CellControlSignal,
            RuntimeError,
            OSError,
        ) as error:  # a cell failed or the kernel died: the class goes on
            student.failure = f"{type(error).__name__}: {str(error).strip().splitlines()[-1][:160]}"
        await everybody.wait()


async def _run_cells(client: NotebookClient, cells: list, student: Student, *, think_s: float) -> None:
    for k, cell in enumerate(cells):
        if cell.cell_type != "code":
            continue
        await asyncio.sleep(random.uniform(0, think_s))
        began = time.perf_counter()
        await client.async_execute_cell(cell, k)
        if "explore" in cell.source:
            cell.source = MOVES
            await client.async_execute_cell(cell, k)
        student.cells_s.append(time.perf_counter() - began)


async def watch(students: list[Student], seen: Memory) -> None:
    """Keep the most memory that all kernels held together."""
    while True:
        sizes = []
        for pid in [one.pid for one in students if one.pid]:
            try:
                sizes.append(psutil.Process(pid).memory_full_info().pss / MB)
            except psutil.Error:  # it has ended
                continue
        if sum(sizes) > seen.peak_mb:
            seen.peak_mb, seen.n_alive = sum(sizes), len(sizes)
        await asyncio.sleep(2)


async def hold_class(*, n_kernels: int, lesson: str, jitter_s: float, think_s: float) -> tuple[list[Student], Memory]:
    """All students, each in a folder of his own."""
    text = (shelf.lessons_folder() / f"{shelf.named(lesson)[0].notebook}.py").read_text(encoding="utf-8")
    students, seen, everybody = [Student() for _ in range(n_kernels)], Memory(), asyncio.Barrier(n_kernels)
    with tempfile.TemporaryDirectory() as place:
        folders = [Path(place) / f"student{i}" for i in range(n_kernels)]
        for folder in folders:
            folder.mkdir()
        watching = asyncio.create_task(watch(students, seen))
        await asyncio.gather(*(
            take_lesson(text, one, folder=folder, wait_s=random.uniform(0, jitter_s), think_s=think_s,
                        everybody=everybody)
            for one, folder in zip(students, folders, strict=True)
        ))  # fmt: skip
        watching.cancel()
    return students, seen


def rows(students: list[Student], seen: Memory) -> list[tuple[str, str]]:
    """What was measured, in words and numbers."""
    done = [one for one in students if not one.failure]
    failures = [one.failure for one in students if one.failure]
    found = [
        ("kernels; cores of the host", f"{len(students)}; {os.cpu_count()}"),
        ("memory of all kernels together, PSS at its peak", f"{seen.peak_mb:,.0f} MB ({seen.n_alive} alive)"),
        ("of one of them", f"{seen.peak_mb / max(seen.n_alive, 1):,.0f} MB"),
    ]
    if done:
        cells = [max(one.cells_s) for one in done]
        found += [
            ("a kernel starts: median, slowest", _two([one.start_s for one in done])),
            ("computing of a lesson: median, slowest", _two([one.lesson_s for one in done])),
            ("a student's slowest cell: median, slowest", _two(cells)),
        ]
    return [*found, ("failures", f"{len(failures)}" + (f": {failures[0]}" if failures else ""))]


def _two(values: list[float]) -> str:
    return f"{statistics.median(values):.1f} s, {max(values):.1f} s"


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--kernels", type=int, default=30)
    words.add_argument("--lesson", default="01_auc")
    words.add_argument("--jitter", type=float, default=60.0, metavar="SECONDS", help="within which all have started")
    words.add_argument("--think", type=float, default=20.0, metavar="SECONDS", help="at the most, before each cell")
    said = words.parse_args()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of jupyter's own packages
        students, seen = asyncio.run(hold_class(
            n_kernels=said.kernels, lesson=said.lesson, jitter_s=said.jitter, think_s=said.think
        ))  # fmt: skip
    for name, value in rows(students, seen):
        print(f"{name:<52} {value}", flush=True)
    if any(one.failure for one in students):
        raise SystemExit(1)


if __name__ == "__main__":
    main()

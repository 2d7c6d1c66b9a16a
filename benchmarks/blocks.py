"""Many samples cut into blocks of runs, each with a seed of its own; finished blocks are kept and not done again."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple

from threadpoolctl import threadpool_limits

BLOCK = 100
ALPHA = 0.05
ROUNDING = 1e-12

Counts = dict[str, list[int]]


class Drawn(NamedTuple):
    """What one sample gave: limits by measure, and P values by test (NaN where none was given)."""

    limits: dict[str, tuple[float, float]]
    p_values: dict[str, float]


def count(told: Counts, drawn: Drawn, *, true: dict[str, float]) -> None:
    """Add a run: by measure [given, truth below, truth above], by test [given, rejected]."""
    for name, (low, high) in drawn.limits.items():
        into = told.setdefault(name, [0, 0, 0])
        if not (math.isnan(low) or math.isnan(high)):
            into[0] += 1
            into[1] += int(true[name] < low - ROUNDING)
            into[2] += int(true[name] > high + ROUNDING)
    for name, p in drawn.p_values.items():
        into = told.setdefault(name, [0, 0])
        if not math.isnan(p):
            into[0] += 1
            into[1] += int(p < ALPHA)


def simulate(
    block: Callable[[int, int, int], Counts], kept: Path, *, scenarios: list[str], n_runs: int, n_processes: int
) -> dict[str, Counts]:
    """All blocks summed by scenario, those in the file `kept` taken from it; the file grows with every block.

    Args:
        block: number of the scenario, number of the block, runs -> counts.
        kept: a JSON; absent at first.
        scenarios: their names.
        n_runs: samples of each scenario.
        n_processes: at the same time.
    """
    done = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else {}
    wanted = {
        f"{name}, block {index}, {min(BLOCK, n_runs - first)} runs": (scenario, index, min(BLOCK, n_runs - first))
        for scenario, name in enumerate(scenarios)
        for index, first in enumerate(range(0, n_runs, BLOCK))
    }
    missing = {key: what for key, what in wanted.items() if key not in done}
    with ProcessPoolExecutor(max_workers=n_processes, initializer=_start) as pool:
        waiting = {pool.submit(block, *what): key for key, what in missing.items()}
        for finished, future in enumerate(as_completed(waiting), start=1):
            done[waiting[future]] = future.result()
            beside = kept.with_suffix(".part")
            beside.write_text(json.dumps(done), encoding="utf-8")
            beside.replace(kept)
            print(f"{finished} of {len(missing)}: {waiting[future]}", file=sys.stderr, flush=True)
    summed: dict[str, Counts] = {}
    for key, (scenario, _, _) in wanted.items():
        into = summed.setdefault(scenarios[scenario], {})
        for name, counts in done[key].items():
            into[name] = [a + b for a, b in zip(into.get(name, [0] * len(counts)), counts, strict=True)]
    return summed


def _start() -> None:
    os.nice(10)
    threadpool_limits(1)

"""`make coverage`: how often 95 % intervals hold the truth, and how often tests reject where nothing is to be found.

    python -m benchmarks.coverage docs/coverage.md --runs 2000

Samples of a population whose values are known (benchmarks.known_truth) go through the public calls of the analysis.
The work is cut into blocks of runs, each with a seed of its own; finished blocks are kept in a JSON beside the page,
and are not done again.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from benchmarks.coverage_page import MEASURES, SCENARIOS, page
from benchmarks.known_truth import ELSEWHERE, THRESHOLD, sample, truth
from onlm_lab import analysis
from onlm_lab.results import Estimate

SEED, BLOCK = 20260101, 100
N_BOOTSTRAP = 1000
ALPHA = 0.05
SPAN = 1.0  # of the smooth curve, which is not looked at here: the widest is the quickest

Limits = tuple[float, float]


class Drawn(NamedTuple):
    """What one sample gave: limits by measure, and P values by test (NaN where none was given)."""

    limits: dict[str, Limits]
    p_values: dict[str, float]


def one_run(n: int, *, by_design: bool, generator: np.random.Generator) -> Drawn:
    """One sample through every call."""
    rows = sample(n, by_design=by_design, generator=generator)
    own = {name: part for name, part in rows.groupby("model_id", sort=False)}
    limits, p_values = _single(own["a"], own["x"]), {}
    pair = pd.concat([own["a"], own["c"]], ignore_index=True)
    twins = pd.concat([own["c"], own["d"]], ignore_index=True)
    for held, name in ((False, ""), (True, "_held")):
        curve = analysis.net_benefit(
            own["a"], thresholds=[THRESHOLD], n_bootstrap=N_BOOTSTRAP, hold_prevalence=held, generator=generator
        ).table.iloc
        gap = analysis.compare_net_benefit(
            pair, model_a="a", model_b="c", thresholds=[THRESHOLD], n_bootstrap=N_BOOTSTRAP, hold_prevalence=held,
            generator=generator,
        ).table.iloc[0]  # fmt: skip
        limits |= {
            f"net_benefit{name}": (curve[0]["low"], curve[0]["high"]),
            f"avoided{name}": (curve[0]["avoided_low"], curve[0]["avoided_high"]),
            f"net_benefit_difference{name}": (gap["low"], gap["high"]),
        }
        if not held:
            limits["treat_all"] = (curve[1]["low"], curve[1]["high"])
    limits |= _paired(pair)
    p_values |= _null(twins, own["a"])
    return Drawn(limits, p_values)


def _ends(estimate: Estimate) -> Limits:
    return estimate.low, estimate.high


def _single(a: pd.DataFrame, x: pd.DataFrame) -> dict[str, Limits]:
    roc = analysis.roc(a)
    point = analysis.operating_point(a, threshold=THRESHOLD, prevalence=ELSEWHERE)
    thousand = analysis.per_1000(a, threshold=THRESHOLD).table
    limits = {
        "auc": _ends(roc.auc), "auc_logit": _ends(roc.auc_logit),
        "auc_shown": _ends(roc.auc_logit if roc.prefer_logit else roc.auc),
    }  # fmt: skip
    for name in ("sensitivity", "specificity", "ppv", "npv", "lr_positive", "lr_negative", "ppv_at_prevalence",
                 "npv_at_prevalence"):  # fmt: skip
        limits[name] = _ends(getattr(point, name))
    for name, row in zip(("found", "missed", "spared", "needless"), thousand.itertuples(), strict=True):
        limits[name] = row.low, row.high
    for rows, mark in ((a, ""), (x, "_x")):
        found = analysis.assess_calibration(rows, span=SPAN)
        for name in ("intercept", "slope", "brier"):
            limits[name + mark] = _ends(getattr(found, name))
        limits |= {f"oe_ratio{mark}": _ends(found.oe_ratio_delta), f"oe_ratio{mark}_sums": _ends(found.oe_ratio)}
    return limits


def _paired(pair: pd.DataFrame) -> dict[str, Limits]:
    area = analysis.compare_aucs(pair, model_a="a", model_b="c")
    point = analysis.compare_operating_points(
        pair, model_a="a", model_b="c", threshold_a=THRESHOLD, threshold_b=THRESHOLD
    )
    return {
        "auc_difference": _ends(area.difference), "sensitivity_difference": _ends(point.sensitivity),
        "specificity_difference": _ends(point.specificity),
    }  # fmt: skip


def _null(twins: pd.DataFrame, a: pd.DataFrame) -> dict[str, float]:
    """P values where nothing is to be found: c against d; the risk works alike in every sex and smoking."""
    point = analysis.compare_operating_points(
        twins, model_a="c", model_b="d", threshold_a=THRESHOLD, threshold_b=THRESHOLD
    ).table
    tests = analysis.by_subgroup(a, columns=["sex", "smoking"], threshold=THRESHOLD).interaction
    found = {"delong": analysis.compare_aucs(twins, model_a="c", model_b="d").p_value}
    for measure, row in zip(("sensitivity", "specificity"), point.to_dict("records"), strict=True):
        for test in ("p_value", "p_corrected", "p_exact", "p_mid"):
            found[f"{measure}_{test}"] = row[test]
    return found | {f"interaction_{r.column}": r.p_value for r in tests.itertuples()}


def block(scenario: int, index: int, n_runs: int) -> dict[str, list[int]]:
    """Runs of one scenario: by measure [given, truth below, truth above], by test [given, rejected]."""
    true = truth() | {"auc_logit": truth()["auc"], "auc_shown": truth()["auc"]}
    generator = np.random.default_rng([SEED, scenario, index])
    _, n, by_design = SCENARIOS[scenario]
    told: dict[str, list[int]] = {}
    for _ in range(n_runs):
        drawn = one_run(n, by_design=by_design, generator=generator)
        for name, (low, high) in drawn.limits.items():
            value, count = true[name.removesuffix("_held").removesuffix("_sums")], told.setdefault(name, [0, 0, 0])
            if not (math.isnan(low) or math.isnan(high)):
                count[0] += 1
                count[1] += value < low - 1e-12
                count[2] += value > high + 1e-12
        for name, p in drawn.p_values.items():
            count = told.setdefault(name, [0, 0])
            if not math.isnan(p):
                count[0] += 1
                count[1] += p < ALPHA
    return {name: [int(v) for v in count] for name, count in told.items()}


def _start() -> None:
    os.nice(10)
    threadpool_limits(1)


def blocks(n_runs: int) -> Iterator[tuple[int, int, int]]:
    """Scenario, number and size of each block."""
    for scenario in range(len(SCENARIOS)):
        for index, first in enumerate(range(0, n_runs, BLOCK)):
            yield scenario, index, min(BLOCK, n_runs - first)


def simulate(kept: Path, *, n_runs: int, n_processes: int) -> dict[str, dict[str, list[int]]]:
    """All blocks, those in the file `kept` taken from it; the file grows with every block."""
    done = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else {}
    wanted = {f"{SCENARIOS[s][0]}, block {i}, {size} runs": (s, i, size) for s, i, size in blocks(n_runs)}
    missing = {key: what for key, what in wanted.items() if key not in done}
    with ProcessPoolExecutor(max_workers=n_processes, initializer=_start) as pool:
        waiting = {pool.submit(block, *what): key for key, what in missing.items()}
        for finished, future in enumerate(as_completed(waiting), start=1):
            done[waiting[future]] = future.result()
            beside = kept.with_suffix(".part")
            beside.write_text(json.dumps(done), encoding="utf-8")
            beside.replace(kept)
            print(f"{finished} of {len(missing)}: {waiting[future]}", file=sys.stderr, flush=True)
    summed: dict[str, dict[str, list[int]]] = {}
    for key, (scenario, _, _) in wanted.items():
        into = summed.setdefault(SCENARIOS[scenario][0], {})
        for name, count in done[key].items():
            into[name] = [a + b for a, b in zip(into.get(name, [0] * len(count)), count, strict=True)]
    return summed


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.coverage", description=__doc__)
    parser.add_argument("page", type=Path, help="the Markdown page to write; finished blocks are kept beside it")
    parser.add_argument("--runs", type=int, default=2000, help="samples of each scenario (2000)")
    parser.add_argument("--processes", type=int, default=2)
    asked = parser.parse_args(arguments)
    summed = simulate(asked.page.with_suffix(".json"), n_runs=asked.runs, n_processes=asked.processes)
    asked.page.write_text(page(summed, true=truth(), n_runs=asked.runs, n_bootstrap=N_BOOTSTRAP), encoding="utf-8")
    print(f"{asked.page}: {len(MEASURES)} rows", file=sys.stderr)


if __name__ == "__main__":
    main()

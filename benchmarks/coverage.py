"""`make coverage`: how often 95 % intervals hold the truth, and how often tests reject where nothing is to be found.

    python -m benchmarks.coverage docs/coverage.md --runs 2000

Samples of a population whose values are known (benchmarks.known_truth) go through the public calls of the analysis.
The work is cut into blocks of runs, each with a seed of its own; finished blocks are kept in a JSON beside the page,
and are not done again.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.blocks import Counts, Drawn, count, simulate
from benchmarks.coverage_page import MEASURES, SCENARIOS, page
from benchmarks.known_truth import ELSEWHERE, THRESHOLD, sample, truth
from onlm_lab import analysis
from onlm_lab.results import Estimate

SEED = 20260101
N_BOOTSTRAP = 1000
SPAN = 1.0  # of the smooth curve, which is not looked at here: the widest is the quickest

Limits = tuple[float, float]


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


def block(scenario: int, index: int, n_runs: int) -> Counts:
    """Runs of one scenario: by measure [given, truth below, truth above], by test [given, rejected]."""
    true = truth() | {"auc_logit": truth()["auc"], "auc_shown": truth()["auc"]}
    generator = np.random.default_rng([SEED, scenario, index])
    _, n, by_design = SCENARIOS[scenario]
    told: Counts = {}
    for _ in range(n_runs):
        drawn = one_run(n, by_design=by_design, generator=generator)
        same = {name: true[name.removesuffix("_held").removesuffix("_sums")] for name in drawn.limits}
        count(told, drawn, true=same)
    return told


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.coverage", description=__doc__)
    parser.add_argument("page", type=Path, help="the Markdown page to write; finished blocks are kept beside it")
    parser.add_argument("--runs", type=int, default=2000, help="samples of each scenario (2000)")
    parser.add_argument("--processes", type=int, default=2)
    asked = parser.parse_args(arguments)
    summed = simulate(
        block, asked.page.with_suffix(".json"), scenarios=[name for name, _, _ in SCENARIOS], n_runs=asked.runs,
        n_processes=asked.processes,
    )  # fmt: skip
    asked.page.write_text(page(summed, true=truth(), n_runs=asked.runs, n_bootstrap=N_BOOTSTRAP), encoding="utf-8")
    print(f"{asked.page}: {len(MEASURES)} rows", file=sys.stderr)


if __name__ == "__main__":
    main()

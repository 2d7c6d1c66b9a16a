"""`make coverage`: do the intervals of time to event hold the truth, and do the tests reject as often as they say?

    python -m benchmarks.coverage_outcomes docs/coverage_outcomes.md --runs 2000

Samples of a population whose values are known (benchmarks.known_times) go through the public calls of the analysis, in
blocks that are kept, as in benchmarks.coverage.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.blocks import Counts, Drawn, count, simulate
from benchmarks.known_times import HORIZON, censored, sample, truth
from benchmarks.outcomes_page import INTERVALS, SCENARIOS, page
from onlm_lab import analysis
from onlm_lab.errors import OnlmError
from onlm_lab.results import Estimate

SEED = 20260102
BOTH = ["risk", "male"]

Limits = tuple[float, float]


def one_run(n: int, *, generator: np.random.Generator) -> Drawn:
    """One sample through every call."""
    rows = sample(n, generator=generator)
    ratios, p_values = _ratios(rows)
    return Drawn(ratios | _curves(rows) | _accuracy(rows), p_values | _null(rows))


def _ends(estimate: Estimate) -> Limits:
    return estimate.low, estimate.high


def _ratios(rows: pd.DataFrame) -> tuple[dict[str, Limits], dict[str, float]]:
    """Log hazard ratios, and the test of proportional hazards, which hold here."""
    limits = {}
    plain = analysis.cox(rows, endpoint="os", covariates=BOTH)
    for mark, found in (
        ("", plain),
        ("_robust", analysis.cox(rows, endpoint="os", covariates=BOTH, cluster="patient_id")),
        ("_regional", analysis.fine_gray(rows, endpoint="regional", covariates=BOTH)),
    ):
        for name, row in zip(BOTH, found.table.itertuples(), strict=True):
            limits[f"hr_{name}{mark}"] = math.log(row.low), math.log(row.high)
    tests = plain.ph_test.set_index("covariate")["p_value"]
    return limits, {"ph_risk": tests["risk"], "ph_male": tests["male"], "ph_global": tests["GLOBAL"]}


def _curves(rows: pd.DataFrame) -> dict[str, Limits]:
    curve = analysis.kaplan_meier(rows, endpoint="os")
    parts = analysis.kaplan_meier(rows, endpoint="os", by="positive").at(days=[HORIZON])
    limits = {"survival": _row(curve.at(days=[HORIZON]), 0), "survival_positive": _row(parts, -1)}
    low, high = _row(curve.median, 0)
    limits["median"] = low, math.inf if math.isnan(high) and not math.isnan(low) else high
    found = analysis.cumulative_incidence(rows, endpoint="regional").at(days=[HORIZON])
    limits |= {f"incidence_{cause}": _row(found[found["cause"] == cause], 0) for cause in (1, 2)}
    difference = analysis.rmst(rows, endpoint="os", by="positive", tau_days=HORIZON).difference
    return limits | {"rmst_difference": _ends(difference)}


def _accuracy(rows: pd.DataFrame) -> dict[str, Limits]:
    limits = {
        "harrell_c": _ends(analysis.cox(rows, endpoint="os", covariates=["risk"]).concordance),
        "uno_c": _ends(analysis.uno_c(rows, endpoint="os", tau_days=HORIZON)),
        "auc_os": _row(analysis.time_dependent_auc(rows, endpoint="os", horizons_days=[HORIZON]), 0),
    }
    try:
        found = analysis.time_dependent_auc(rows, endpoint="regional", horizons_days=[HORIZON])
    except OnlmError:  # a version that does not know competing events yet
        return limits
    free = analysis.time_dependent_auc(rows, endpoint="regional", horizons_days=[HORIZON], controls="event_free")
    return limits | {"auc_regional": _row(found, 0), "auc_regional_free": _row(free, 0)}


def _row(table: pd.DataFrame, at: int) -> Limits:
    return float(table["low"].iloc[at]), float(table["high"].iloc[at])


def _null(rows: pd.DataFrame) -> dict[str, float]:
    """P values of groups that were made by lot."""
    found = {}
    for by in ("coin", "die"):
        found[f"log_rank_{by}"] = analysis.kaplan_meier(rows, endpoint="os", by=by).log_rank.p_value
        tests = analysis.cumulative_incidence(rows, endpoint="regional", by=by).gray_test
        found |= {f"gray_{row.cause}_{by}": row.p_value for row in tests.itertuples()}
    return found


def block(scenario: int, index: int, n_runs: int) -> Counts:
    """Runs of one scenario: by measure [given, truth below, truth above], by test [given, rejected]."""
    generator = np.random.default_rng([SEED, scenario, index])
    told: Counts = {}
    for _ in range(n_runs):
        drawn = one_run(SCENARIOS[scenario][1], generator=generator)
        same = {name: truth()[name.removesuffix("_robust")] for name in drawn.limits}
        count(told, drawn, true=same)
    return told


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.coverage_outcomes", description=__doc__)
    parser.add_argument("page", type=Path, help="the Markdown page to write; finished blocks are kept beside it")
    parser.add_argument("--runs", type=int, default=2000, help="samples of each scenario (2000)")
    parser.add_argument("--processes", type=int, default=2)
    asked = parser.parse_args(arguments)
    summed = simulate(
        block, asked.page.with_suffix(".json"), scenarios=[name for name, _ in SCENARIOS], n_runs=asked.runs,
        n_processes=asked.processes,
    )  # fmt: skip
    asked.page.write_text(page(summed, true=truth(), censored=censored(), n_runs=asked.runs), encoding="utf-8")
    print(f"{asked.page}: {len(INTERVALS)} rows", file=sys.stderr)


if __name__ == "__main__":
    main()

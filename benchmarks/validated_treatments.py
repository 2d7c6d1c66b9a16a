"""Treatments compared with overlap weights, and landmarks, beside R's glm, coxph and survey."""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmarks.validation_data import decisions, survival
from benchmarks.validation_parts import Z95, Check, Pairs, in_r, log_log_limits
from onlm_lab import analysis

R = decisions.IN_R
PBC = decisions.pbc()
ARMS = {"trial": ("trt", ["age", "bili", "protime", "stage", "sex"]),
        "skewed": ("skewed", ["age", "protime", "stage", "sex"])}  # fmt: skip
SECOND = ("placebo", "yes")  # the arm that R calls 1


def _compared(case: str, **options: object) -> object:
    treatment, covariates = ARMS[case]
    given = {"endpoint": "os", "horizon_days": 2000} | options
    return analysis.compare_treatments(PBC, treatment=treatment, covariates=covariates, **given)


def _logs(estimate: object) -> list[float]:
    """Coefficient and standard error of a hazard ratio."""
    return [np.log(estimate.value), np.log(estimate.high / estimate.low) / (2 * Z95)]


def weights() -> Pairs:
    for case, (treatment, covariates) in ARMS.items():
        found, want = analysis.overlap_weights(PBC, treatment=treatment, covariates=covariates), R[case]
        yield found.weights["propensity"], want["propensity"]
        yield found.c_statistic, want["c"]
        yield found.effective_n["effective_n"], want["effective_n"]
        age = found.table.set_index("covariate").loc["age"]
        yield age[["first_after", "second_after", "smd_before"]], [*want["mean_age"], want["smd_age"]]


def ratios() -> Pairs:
    for case in ARMS:
        found, want = _compared(case), R[case]
        yield _logs(found.hazard_ratio), [want["cox"]["coef"][0], want["cox"]["robust_se"][0]]
        yield _logs(found.hazard_ratio_crude), [want["crude"]["coef"][0], want["crude"]["robust_se"][0]]
        own = _compared(case, endpoint="regional", cause=2).hazard_ratio
        yield _logs(own), [want["cause_2"]["coef"][0], want["cause_2"]["robust_se"][0]]


def of_survey() -> Pairs:
    for case in ARMS:
        yield _logs(_compared(case).hazard_ratio), [R[case]["survey_coef"], R[case]["survey_se"]]


def _steps(curve: pd.DataFrame, days: list[float], arms: list[int]) -> pd.DataFrame:
    """The curve of each arm at each day, with its limits."""
    second = curve["arm"].isin(SECOND)
    parts = [curve[second == bool(k)] for k in (0, 1)]
    at = [parts[k].iloc[parts[k]["days"].searchsorted(d, side="right") - 1] for d, k in zip(days, arms, strict=True)]
    return pd.DataFrame(at)[["incidence", "low", "high"]]


def curves() -> Pairs:
    for case in ARMS:
        want = R[case]["km"]
        shares = [1 - s for s in want["surv"]]
        yield _steps(_compared(case).curve, want["time"], want["arm"]), _limited(shares, want["se"])
        want = R[case]["aj"]
        for cause in (1, 2):
            found = _compared(case, endpoint="regional", cause=cause).curve
            yield _steps(found, want["time"], want["arm"]), _limited(want[f"f{cause}"], want[f"se{cause}"])


def _limited(shares: list[float], errors: list[float]) -> list[list[float]]:
    return [[share, *log_log_limits(share, se**2)] for share, se in zip(shares, errors, strict=True)]


def naive_and_landmarks() -> Pairs:
    found = analysis.compare_landmarks(decisions.lung_started(), endpoint="os", days=[60, 90, 180]).table
    want = [R["naive"], *R["landmark"]]
    yield np.log(found["hr"]), [r["coef"] for r in want]
    yield np.log(found["high"] / found["low"]) / (2 * Z95), [r["se"] for r in want]


def landmarks() -> Pairs:
    rows = decisions.lung_started()
    for want in R["landmark"]:
        found = analysis.landmark(rows, day=want["day"], endpoints=["os"])
        counts = [found.n, found.n_events, found.n_exposed, found.n_later]
        yield counts, [want[k] for k in ("n", "n_events", "n_exposed", "later")]
        fit = analysis.cox(found.rows, endpoint="os", covariates=["adjuvant"]).table.iloc[0]
        yield fit[["coef", "se"]], [want["coef"], want["se"]]
    rows, want = survival.table("lung"), R["landmark_90"]
    rows = rows.assign(
        os_event=rows["os_event"].where(rows["os_days"] <= 730, 0), os_days=rows["os_days"].clip(upper=730),
        female=(rows["sex"] == "female").astype(int),
    )  # fmt: skip
    found = analysis.landmark(rows, day=90, endpoints=["os"], exposure=None)
    fit = analysis.cox(found.rows, endpoint="os", covariates=["age", "female", "ecog"])
    yield [fit.n, fit.n_events], [want["n"], want["n_events"]]
    yield fit.table["coef"], want["coef"]
    yield fit.table["se"], want["se"]


FILES, COXPH = "decisions.json pbc.csv", in_r("survival::coxph", "decisions.json")
CHECKS = (
    Check("Propensity, its C, effective numbers, balance", "overlap_weights", "R stats::glm (R 4.2.2)",
          "pbc, 2 comparisons", FILES, weights, 1e-10, remark="Li, Morgan and Zaslavsky 2018"),
    Check("Weighted, crude and cause-specific hazard ratio, robust", "compare_treatments", COXPH + ", weights, robust",
          "pbc, 2 comparisons", FILES, ratios, 1e-10),
    Check("The same", "compare_treatments", in_r("survey::svycoxph", "decisions.json"), "pbc, 2 comparisons", FILES,
          of_survey, 5e-3, remark="on purpose: survey's errors count n / (n - 1)"),
    Check("Weighted survival and incidence with limits", "compare_treatments",
          in_r("survival::survfit", "decisions.json") + ", weights", "pbc, 2 comparisons", FILES, curves, 1e-10),
    Check("Who is in a landmark, and its hazard ratio", "landmark, cox", COXPH, "lung, a made-up treatment",
          "decisions.json lung.csv", landmarks, 1e-10),
    Check("Hazard ratio without a landmark, and at three", "compare_landmarks", COXPH, "lung, a made-up treatment",
          "decisions.json lung.csv", naive_and_landmarks, 1e-10),
)  # fmt: skip

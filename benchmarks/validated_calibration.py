"""Calibration and updating beside R's glm, loess and lowess, and rms."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from benchmarks.validation_data import binary, centres, stored
from benchmarks.validation_parts import Z95, Check, Pairs, estimate, in_r
from onlm_lab import analysis

R, OPERATING = binary.R, binary.OPERATING
LOWESS, RESAMPLED = stored("lowess.json"), stored("calibration_bootstrap.json")
SCORED = (("asah", "p1"), ("asah", "p2"), ("tiny25", "score"), ("tiny25", "score2"))
CASES = (*SCORED, ("asah", "wrong"))
DISTANCES = ("ici", "e50", "e90", "emax")


def rows_of(name: str, score: str | None) -> pd.DataFrame:
    """A table with its risk; `wrong` is asah's second one, pulled together and raised: plogis(0.4 + 0.6 logit p2)."""
    if score is None:
        return centres()
    if score != "wrong":
        return binary.scored(name, score)
    rows = binary.scored(name, "p2")
    odds = np.log(rows["risk"] / (1 - rows["risk"]))
    return rows.assign(risk=1 / (1 + np.exp(-(0.4 + 0.6 * odds))))


def intercept_and_slope() -> Pairs:
    for name, score in CASES:
        want, got = R[name]["calibration"][score], analysis.assess_calibration(rows_of(name, score))
        for field in ("intercept", "intercept_joint", "slope"):
            yield estimate(getattr(got, field)), want[field]


def sums() -> Pairs:
    for name, score in CASES:
        want, got = R[name]["calibration"][score], analysis.assess_calibration(rows_of(name, score))
        yield estimate(got.oe_ratio), want["oe"]
        yield estimate(got.oe_ratio_delta), OPERATING["oe"][name][score]
        yield estimate(got.brier), want["brier"]
        yield got.scaled_brier, want["scaled_brier"]
        yield got.groups["n"], want["groups"]["n"]
        yield got.groups["n_events"], want["groups"]["events"]
        yield got.groups["n"] * got.groups["risk"], want["groups"]["expected"]


def distances() -> Pairs:
    for name, score in CASES:
        want, got = R[name]["calibration"][score], analysis.assess_calibration(rows_of(name, score))
        yield [getattr(got, field) for field in DISTANCES], [want[field] for field in DISTANCES]


def curve() -> Pairs:
    """Few distinct risks: the curve is given at each of them, so its values are R's at the patients."""
    for score in ("score", "score2"):
        rows, want = binary.scored("tiny25", score), R["tiny25"]["calibration"][score]
        found = analysis.assess_calibration(rows).curve
        at = found.iloc[np.searchsorted(found["risk"], rows["risk"])]
        yield at["observed"], want["fit"]
        yield (at["high"] - at["low"]) / 2 / Z95, want["fit_se"]


def lowess() -> Pairs:
    for name, score in (*SCORED, ("centres", None)):
        want = LOWESS[name] if score is None else LOWESS[name][score]
        got = analysis.assess_calibration(rows_of(name, score), curve="lowess")
        yield [getattr(got, field) for field in DISTANCES], [want[field] for field in DISTANCES]
    for want in LOWESS["ties"].values():  # risks shared by many patients
        rows = pd.DataFrame({"patient_id": range(len(want["p"])), "onlm": want["y"], "risk": want["p"]})
        got = analysis.assess_calibration(rows, curve="lowess")
        yield [getattr(got, field) for field in DISTANCES], [want[field] for field in DISTANCES]


def val_prob() -> Pairs:
    for name, score in (*SCORED, ("centres", None)):
        want = LOWESS[name] if score is None else LOWESS[name][score]
        got = analysis.assess_calibration(rows_of(name, score), curve="lowess")
        yield [got.ici, got.e90, got.emax], [want["val_prob"][k] for k in ("Eavg", "E90", "Emax")]


def bootstrapped() -> Pairs:
    """In units of the standard error, which tells how large chance is: R drew 4,000 samples."""
    for score in ("p1", "p2"):
        table = analysis.calibration_intervals(binary.scored("asah", score), n_resamples=1000).table
        for measure, row in table.set_index("measure").iterrows():
            want = RESAMPLED[score][measure]
            ours = [row["value"] + row["bias"], row["low"], row["high"]]
            yield np.array(ours) / want["sd"], np.array([want["mean"], want["low"], want["high"]]) / want["sd"]


def updated() -> Pairs:
    rows = rows_of("asah", "wrong")
    odd = np.arange(len(rows)) % 2 == 0
    got = analysis.recalibration_effect(rows[odd], held_out=rows[~odd], method="both")
    want, table = stored("by_level.json")["effect"], got.table.set_index("measure")
    for when in ("before", "after"):
        for name in ("intercept", "slope", "oe_ratio", "brier"):
            yield [table.loc[name, c] for c in (when, f"{when}_low", f"{when}_high")], want[when][name]
        yield table.loc[["ici", "scaled_brier"], when], [want[when]["ici"], want[when]["scaled_brier"]]
    yield estimate(got.brier_change), want["brier_change"]


def update() -> Pairs:
    """The intercept and slope of an update are those of the joint fit of R's glm in the same patients."""
    for name, score in (*SCORED[:2], ("asah", "wrong")):
        want = R[name]["calibration"][score]
        rows = rows_of(name, score)
        found = analysis.recalibrate(rows, method="both")
        yield [found.intercept.value, found.slope.value], [want["intercept_joint"][0], want["slope"][0]]
        odds = np.log(rows["risk"] / (1 - rows["risk"]))
        told = analysis.apply_recalibration(rows, intercept=found.intercept.value, slope=found.slope.value)["risk"]
        theirs = [1 / (1 + math.exp(-want["intercept_joint"][0] - want["slope"][0] * x)) for x in odds]
        yield told, theirs


GLM, TABLES = "R stats::glm (R 4.2.2)", "aSAH, 3 risks; tiny25, 2"
BINARY = "binary.json asah.csv tiny25.csv"
CHECKS = (
    Check("Intercept with slope 1, joint intercept, slope", "assess_calibration", GLM, TABLES, BINARY,
          intercept_and_slope, 1e-6,
          remark="`intercept` has the slope fixed at 1; rms::val.prob reports the joint one"),
    Check("O:E by two formulas, Brier score, tenths", "assess_calibration", "base R 4.2.2, the definitions", TABLES,
          BINARY + " operating.json", sums, 1e-10),
    Check("ICI, E50, E90, Emax from the local regression", "assess_calibration",
          "R stats::loess, surface = direct (R 4.2.2)", TABLES, BINARY, distances, 1e-10,
          remark="R's default surface interpolates on a tree, 0.1 to 6 % off the exact one; not cut to 0 and 1"),
    Check("The calibration curve and its band", "assess_calibration", "R stats::loess, surface = direct (R 4.2.2)",
          "tiny25, 2 risks", BINARY, curve, 1e-5,
          remark="the band is the regression's weights on the binomial variance"),
    Check("The same distances from the lowess curve", "assess_calibration", "R stats::lowess (R 4.2.2)",
          "aSAH, 2; tiny25, 2; centres; 6 with ties", "lowess.json asah.csv tiny25.csv centres.csv", lowess, 1e-8,
          remark="delta = 0 in R"),
    Check("The same: Eavg, E90, Emax", "assess_calibration", in_r("rms::val.prob", "lowess.json"),
          "aSAH, 2; tiny25, 2; centres", "lowess.json asah.csv tiny25.csv centres.csv", val_prob, 5e-4, absolute=True,
          remark="on purpose: val.prob lets lowess skip risks nearer than 1 % of the range (delta), we do not"),
    Check("Bootstrap limits and mean of the distances", "calibration_intervals", "base R 4.2.2, a loop",
          "aSAH, 2 risks", "calibration_bootstrap.json asah.csv", bootstrapped, 0.4, absolute=True,
          remark="by chance; in units of each measure's standard error"),
    Check("An update: intercept, slope, new risks", "recalibrate, apply_recalibration", GLM, "aSAH, 3 risks", BINARY,
          update, 1e-9),
    Check("Measures before and after, in held-out patients", "recalibration_effect", GLM + ", loess", "aSAH",
          "by_level.json asah.csv", updated, 1e-6),
)  # fmt: skip

"""Discrimination beside pROC, rms, scikit-learn and SciPy."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_curve

from benchmarks.validation_data import binary, resampled
from benchmarks.validation_parts import Check, Pairs, beside, estimate, in_r
from onlm_lab import analysis

R, DRAWN = binary.R, resampled.R
ASAH, TINY = "aSAH", "tiny25"
TABLES = {"asah_s100b": ("asah", "s100b"), "asah_wfns": ("asah", "wfns"), "asah_p1": ("asah", "p1"),
          "tiny25_score": ("tiny25", "score")}  # fmt: skip
RANGES = {"r90": (0.9, 1.0), "r80": (0.8, 1.0), "middle": (0.55, 0.85), "all": (0.0, 1.0)}
PREDICTORS = ["age", "male", "s100b", "wfns"]


def areas() -> Pairs:
    for name in ("asah", "tiny25"):
        for score, want in R[name]["area"].items():
            got = analysis.roc(binary.scored(name, score))
            yield estimate(got.auc), [want["auc"], *want["ci"]]
            yield [got.auc_logit.low, got.auc_logit.high], want["logit_ci"]


def paired() -> Pairs:
    for name, a, b in (("asah", "s100b", "wfns"), ("asah", "p2", "p1"), ("tiny25", "score", "score2")):
        want = R[name]["paired"][f"{a}_{b}"]
        got = analysis.compare_aucs(binary.two_models(name, a, b), model_a=a, model_b=b)
        yield [got.z, got.p_value, got.difference.low, got.difference.high], [want["z"], want["p"], *want["ci"]]


def unpaired() -> Pairs:
    for by, rows in (("gender", resampled.asah()), ("sex", resampled.centres())):
        got, want = analysis.compare_aucs_between(rows, by=by), DRAWN["between"][by]
        yield [*estimate(got.difference), got.z, got.p_value], [want["difference"], *want["ci"], want["z"], want["p"]]


def unpaired_statistic() -> Pairs:
    for by, rows in (("gender", resampled.asah()), ("sex", resampled.centres())):
        yield analysis.compare_aucs_between(rows, by=by).z, DRAWN["between"][by]["proc_d"]


def unpaired_p() -> Pairs:
    for by, rows in (("gender", resampled.asah()), ("sex", resampled.centres())):
        yield analysis.compare_aucs_between(rows, by=by).p_value, DRAWN["between"][by]["proc_p"]


def partial() -> Pairs:
    for key, ends in ((k, e) for k in TABLES for e in RANGES):
        want = DRAWN["partial"][key][ends]
        got = analysis.partial_auc(binary.scored(*TABLES[key]), specificity=RANGES[ends], n_resamples=1)
        yield [got.area.value, got.corrected.value], [binary.number(v) for v in want]
    rows = binary.scored("asah", "p1")
    for ends in ("r90", "r80"):  # below the diagonal: the corrected area is NA in R and not given by us
        want = DRAWN["partial"]["reversed"][ends]
        got = analysis.partial_auc(rows.assign(risk=1 - rows["risk"]), specificity=RANGES[ends], n_resamples=1)
        yield [got.area.value, got.corrected.value], [binary.number(v) for v in want]


def curve() -> Pairs:
    for key in ("asah_s100b", "asah_p1", "tiny25_score"):
        want = DRAWN["band"][key]
        rows = binary.scored(*TABLES[key])
        yield (
            analysis.roc_band(rows, specificities=want["specificity"], n_resamples=1).band["sensitivity"],
            want["sensitivity"],
        )


def band() -> Pairs:
    for key in ("asah_s100b", "asah_p1"):
        want = DRAWN["band"][key]
        got = analysis.roc_band(binary.scored(*TABLES[key]), specificities=want["specificity"], n_resamples=5000).band
        yield got["low"], want["low"]
        yield got["high"], want["high"]


def scikit_learn_curve() -> Pairs:
    for name, score in TABLES.values():
        rows = binary.scored(name, score)
        fpr, tpr, _cut = roc_curve(rows["onlm"], rows["risk"], drop_intermediate=False)
        found = analysis.roc(rows).curve
        yield found["sensitivity"], tpr
        yield 1 - found["specificity"], fpr


def average_precision() -> Pairs:
    for name, score in (*TABLES.values(), ("tiny25", "score2")):
        rows = binary.scored(name, score)
        got = analysis.precision_recall(rows, n_resamples=1).average_precision.value
        yield got, average_precision_score(rows["onlm"], rows["risk"])


def bootstrap_of_patients() -> Pairs:
    for key, score in (("asah_p1", "p1"), ("asah_s100b", "s100b")):
        want = DRAWN["boot_area"][key]
        got = analysis.bootstrap(binary.scored("asah", score), n_resamples=20_000)
        yield [got.estimate.low, got.estimate.high, got.se], [*want["ci"], math.sqrt(want["var"])]


def bootstrap_of_clusters() -> Pairs:
    for name, want in DRAWN["clusters"].items():
        got = analysis.bootstrap(resampled.centres(), statistic=name, by_cluster="centre", n_resamples=20_000)
        yield [got.estimate.low, got.estimate.high, got.se], [*want["ci"], want["sd"]]


def bootstrap_from_all() -> Pairs:
    for name, want in DRAWN["patients"].items():
        n = 2_000 if name == "calibration_slope" else 10_000
        got = analysis.bootstrap(binary.scored("asah", "p1"), statistic=name, stratified=False, n_resamples=n)
        yield [got.estimate.low, got.estimate.high, got.se], [*want["ci"], want["sd"]]


def corrected_interval() -> Pairs:
    """SciPy's BCa on the replicates of ours."""
    rows = binary.scored("asah", "s100b")
    got = analysis.bootstrap(rows, interval="bca")
    event, nonevent = (rows["risk"][rows["onlm"] == label].to_numpy() for label in (1, 0))

    def area(a: np.ndarray, b: np.ndarray, axis: int = -1) -> np.ndarray:
        a, b = np.expand_dims(a, -1), np.expand_dims(b, -2)
        return ((a > b) + 0.5 * (a == b)).mean(axis=(-1, -2))

    same = SimpleNamespace(bootstrap_distribution=got.replicates["value"].to_numpy())
    want = stats.bootstrap(
        (event, nonevent), area, n_resamples=0, bootstrap_result=same, method="BCa", vectorized=True
    ).confidence_interval
    yield [got.estimate.low, got.estimate.high], [want.low, want.high]


def optimism() -> Pairs:
    data = resampled.asah()
    rows = data.assign(male=(data["gender"] == "Male").astype(float)).drop(columns="risk")
    scale = rows[PREDICTORS].std()

    def fit(frame: pd.DataFrame) -> object:
        model = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-8)
        model.fit((frame[PREDICTORS] / scale).to_numpy(), frame["onlm"])
        return lambda others: model.predict_proba((others[PREDICTORS] / scale).to_numpy())[:, 1]

    for name, key in (("auc", "auc"), ("brier", "brier"), ("calibration_slope", "slope")):
        want = DRAWN["validate"][key]
        got = analysis.optimism_corrected(rows, fit=fit, statistic=name, n_resamples=120)
        yield [got.optimism.value, got.corrected.value], [want["optimism"], want["corrected"]]


BINARY, RESAMPLED = "binary.json asah.csv tiny25.csv", "resampled.json asah.csv tiny25.csv"
CHECKS = (
    Check("AUC; its DeLong and its logit interval", "roc", in_r("pROC::ci.auc", "binary.json"),
          "aSAH, 4 scores; tiny25, 2", BINARY, areas, 1e-10,
          remark="DeLong's interval is cut at 0 and 1, as pROC's; the logit interval beside it is our addition"),
    Check("Curve at every observed risk", "roc", beside("scikit-learn", "roc_curve"), "aSAH, 3 scores; tiny25",
          "asah.csv tiny25.csv", scikit_learn_curve, 1e-10),
    Check("Difference of two paired AUCs: z, P, interval", "compare_aucs", in_r("pROC::roc.test", "binary.json"),
          "aSAH, 2 pairs; tiny25", BINARY, paired, 1e-10),
    Check("Difference of AUCs between different patients", "compare_aucs_between", "base R 4.2.2, z of the formula",
          "aSAH; centres", "resampled.json asah.csv centres.csv", unpaired, 1e-10),
    Check("The same: pROC's statistic", "compare_aucs_between", in_r("pROC::roc.test", "resampled.json"),
          "aSAH; centres", "resampled.json asah.csv centres.csv", unpaired_statistic, 1e-10),
    Check("The same: pROC's P", "compare_aucs_between", in_r("pROC::roc.test", "resampled.json"), "aSAH; centres",
          "resampled.json asah.csv centres.csv", unpaired_p, 0.001, absolute=True,
          remark="on purpose: pROC refers the statistic to a t distribution (Welch), we to the normal"),
    Check("Partial AUC, plain and corrected (McClish)", "partial_auc", in_r("pROC::auc", "resampled.json"),
          "aSAH, 3 scores; tiny25; 4 ranges each", RESAMPLED, partial, 1e-10,
          remark="below the diagonal the corrected area is NA in R and not given by us"),
    Check("Sensitivity at given specificities", "roc_band", in_r("pROC::ci.se", "resampled.json"),
          "aSAH, 2 scores; tiny25", RESAMPLED, curve, 1e-10),
    Check("Band of the curve", "roc_band", in_r("pROC::ci.se", "resampled.json"), "aSAH, 2 scores", RESAMPLED, band,
          1 / 41 + 1e-9, absolute=True, remark="by chance: a limit may jump by one of 41 N+"),
    Check("Average precision", "precision_recall", beside("scikit-learn", "average_precision_score"),
          "aSAH, 3 scores; tiny25, 2", "asah.csv tiny25.csv", average_precision, 1e-10),
    Check("Bootstrap of the AUC: limits and standard error", "bootstrap", in_r("pROC::ci.auc", "resampled.json"),
          "aSAH, 2 scores", RESAMPLED, bootstrap_of_patients, 0.005, absolute=True, remark="by chance"),
    Check("Bootstrap of whole centres: AUC, O:E, Brier score", "bootstrap", "base R 4.2.2, a loop", "centres",
          "resampled.json centres.csv", bootstrap_of_clusters, 0.015, absolute=True, remark="by chance"),
    Check("Bootstrap from all patients: O:E, Brier score, slope", "bootstrap", "base R 4.2.2, a loop", "aSAH",
          RESAMPLED, bootstrap_from_all, 0.05, absolute=True, remark="by chance"),
    Check("BCa interval of the AUC, on the same samples", "bootstrap", beside("scipy", "stats.bootstrap"), "aSAH",
          "asah.csv", corrected_interval, 1e-10),
    Check("Optimism of AUC, Brier score and slope", "optimism_corrected", in_r("rms::validate", "resampled.json"),
          "aSAH", "resampled.json asah.csv", optimism, 0.03, absolute=True,
          remark="by chance: 120 samples beside 2,000"),
)  # fmt: skip

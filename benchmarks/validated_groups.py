"""Subgroups, centres, trust in labels, associations and Firth's regression, beside pROC, metafor, brglm2 and glm."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from benchmarks.validation_data import FOLDER, binary, centres, stored
from benchmarks.validation_parts import Z95, Check, Pairs, in_r
from onlm_lab import analysis

LEVELS, GROUPS, MECHANISMS = stored("by_level.json"), stored("groups.json"), stored("mechanisms.json")
COLUMNS = ["sex", "smoking", "age_years", "centre"]
BINS = {"age_years": [60, 70]}
MEASURES = ["auc", "intercept", "slope", "oe_ratio"]
POOLED = ["value", "low", "high", "low_conservative", "high_conservative", "prediction_low", "prediction_high", "tau2",
          "i2"]  # fmt: skip
MARKERS = ["female", "grade", "wfns", "s100b"]
FIRTH = {"asah": ["age", "s100b", "female"], "tiny25": ["score", "score2"], "separated": ["x", "z"],
         "quasi": ["x", "age"]}  # fmt: skip


def triple(line: pd.Series, name: str) -> list[float]:
    return [line[name], line[f"{name}_low"], line[f"{name}_high"]]


def cohorts() -> dict[str, pd.DataFrame]:
    """All nine centres; three; five; six that are alike."""
    rows = centres()
    kept = {"three": ["C1", "C2", "C3"], "five": ["C4", "C5", "C6", "C7", "C8", "C9"]}
    some = {name: rows[rows["centre"].isin(which)] for name, which in kept.items()}
    return some | {"nine": rows, "alike": rows.assign(centre=[f"D{i % 6}" for i in range(len(rows))])}


def calibration_of_levels() -> Pairs:
    for column, levels in LEVELS["levels"].items():
        got = analysis.calibration_by(centres(), column=column, bins=BINS.get(column)).table.set_index("level")
        for label, want in levels.items():
            line = got.loc[label]
            yield [line["n"], line["n_positive"], line["ici"]], [want["n"], want["n_positive"], want["ici"]]
            for name in ("intercept", "slope", "oe_ratio", "brier"):
                yield triple(line, name), want[name]


def calibration_of_ages() -> Pairs:
    for row in analysis.calibration_by(centres(), column="age_years", bins=[60, 70]).table.to_dict("records"):
        want = GROUPS["age"][row["level"]]
        yield from _one_group(row, want)
        yield [row["ici"], row["brier"]], [want["ici"], want["brier"]]


def calibration_of_centres() -> Pairs:
    table = analysis.by_centre(centres()).table.set_index("centre")
    for name in ("C1", "C2", "C5", "C7"):
        yield from _one_group(table.loc[name], GROUPS["centre"][name])


def _one_group(row: pd.Series, want: dict) -> Pairs:
    for name in ("intercept", "slope"):
        value, half = want[name], Z95 * want[f"{name}_se"]
        yield triple(row, name), [value, value - half, value + half]
    factor = math.exp(Z95 * want["log_oe_se"])
    yield triple(row, "oe_ratio"), [want["oe"], want["oe"] / factor, want["oe"] * factor]


def subgroups() -> Pairs:
    for column, levels in LEVELS["levels"].items():
        bins = BINS if column in BINS else None
        table = analysis.by_subgroup(centres(), columns=[column], bins=bins, threshold=0.2).table.set_index("level")
        for label, want in levels.items():
            line, fpr = table.loc[label], want["fpr"]
            interval = want["ci" if want["n_positive"] >= 50 else "logit_ci"]
            yield triple(line, "auc"), [want["auc"], *interval]
            yield triple(line, "sensitivity"), want["tpr"]
            yield triple(line, "specificity"), [1 - v for v in (fpr[0], fpr[2], fpr[1])]
            yield triple(line, "oe_ratio"), want["oe_ratio"]


def interactions() -> Pairs:
    want = binary.R["centres"]
    found = analysis.by_subgroup(centres(), columns=COLUMNS, bins=BINS, threshold=0.2).interaction.set_index("column")
    for i, (column, test) in enumerate(want["interaction"].items()):
        own = found.loc[column, ["chi2", "df", "p_value", "p_holm", "p_bh"]]
        yield own, [test["chi2"], test["df"], test["p"], want["holm"][i], want["bh"][i]]


def fair() -> Pairs:
    names = {"sensitivity": "tpr", "fpr": "fpr", "ppv": "ppv", "intercept": "intercept", "oe_ratio": "oe_ratio"}
    for column, levels in LEVELS["levels"].items():
        table = analysis.fairness(
            centres(), columns=[column], bins={c: BINS[c] for c in BINS if c == column}, threshold=0.2, n_resamples=20,
            n_permutations=20,
        ).table.set_index("level")  # fmt: skip
        for label, want in levels.items():
            for own, theirs in names.items():
                yield triple(table.loc[label], own), want[theirs]


def gap() -> Pairs:
    found = analysis.fairness(centres(), columns=["sex"], threshold=0.2, n_resamples=20, n_permutations=20_000).gaps
    p = found.set_index("measure")["p_value"]
    yield [p["sensitivity"], p["fpr"]], [LEVELS["gap_p"]["tpr"][0], LEVELS["gap_p"]["fpr"][0]]


def areas_of_centres() -> Pairs:
    want, table = binary.R["centres"], analysis.by_centre(centres()).table.set_index("centre")
    for name in want["kept"]:
        of = want["area"][name]
        yield table.loc[name, ["auc", "low", "high"]], [of["auc"], *of["logit_ci"]]


def pooled() -> Pairs:
    for name, rows in cohorts().items():
        found = analysis.by_centre(rows).measures.set_index("measure")
        for measure in MEASURES:
            want = LEVELS["centres"][name][measure]
            yield found.loc[measure, ["n_pooled", *POOLED]], [want["k"], *(want[field] for field in POOLED)]


def left_out() -> Pairs:
    for name in ("nine", "alike"):
        for measure in MEASURES:
            want = LEVELS["centres"][name][measure]["leave1out"]
            table = analysis.leave_one_out(cohorts()[name], measure=measure).table.iloc[1:]
            for field in ("value", "low", "high", "tau2", "i2"):
                yield table[field], want[field]
    table = analysis.leave_one_out(centres(), measure="slope").table.set_index("left_out")
    for name, want in GROUPS["slope_without"].items():
        yield table.loc[name, ["prediction_low", "prediction_high"]], want["prediction"]


def _asah(**more: object) -> pd.DataFrame:
    rows = pd.read_csv(FOLDER / "asah.csv")
    return rows.assign(patient_id=[f"P{i:03d}" for i in range(len(rows))], onlm=rows["y"], risk=rows["p2"], **more)


def trusted_labels() -> Pairs:
    k, want = np.arange(1, 114), MECHANISMS["enough_nodes"]
    rows = _asah(nodes_examined=(k * 7) % 20, n2_stations_examined=k % 6)
    got = analysis.label_sensitivity(rows, min_nodes=6, threshold=0.3).table.iloc[1]
    yield got[["n", "n_positive", "auc"]], [want["n"], want["events"], want["auc"]]
    yield [got["auc_low"], got["auc_high"]], want["logit_ci"]
    for name, key in (("intercept", "intercept"), ("oe_ratio", "oe")):
        yield triple(got, name), want[key]


def missing() -> Pairs:
    third, want = np.arange(1, 114) % 3 == 0, MECHANISMS["unpaired"]
    rows = _asah(cea_ng_ml=np.where(third, np.nan, 2.0), suv_max=4.0)
    got = analysis.missing_data_sensitivity(rows, columns=["cea_ng_ml", "suv_max"], threshold=0.3)
    test = got.tests.set_index("grouping").loc["cea_ng_ml"]
    yield test[["difference", "low", "high", "z", "p_value"]], [*want["difference"], want["z"], want["p"]]
    groups = got.table[got.table["grouping"] == "cea_ng_ml"].set_index("level")
    for level, key in (("known", "a"), ("missing", "b")):
        yield groups.loc[level, ["n", "auc", "oe_ratio"]], [want[key]["n"], want[key]["auc"], want[key]["oe"][0]]


def mistakes() -> Pairs:
    rows, want = _asah(), MECHANISMS["mistakes"]
    rows = rows.assign(age_years=rows["age"], female=(rows["gender"] == "Female").astype(float))
    got = analysis.confident_mistakes(rows, threshold=0.3, facts=["age_years", "female"]).compared
    got = got[got["comparison"] == "missed N+ against found N+"].set_index(["column", "level"])
    for key, theirs in ((("age_years", ""), want["age"]), (("female", "1"), want["female"])):
        yield got.loc[key, ["smd", "low", "high"]], theirs


def _markers() -> object:
    rows = _asah()
    rows["female"] = (rows["gender"] == "Female").astype(float)
    rows.loc[[2, 39], "female"] = np.nan
    rows.loc[[4, 5, 6], "s100b"] = np.nan
    words = np.where(rows["wfns"] <= 2, "low", np.where(rows["wfns"] <= 4, "middle", "high"))
    rows["grade"] = pd.Categorical(words, categories=["low", "middle", "high"])
    return analysis.associations(rows, markers=MARKERS, adjust=["age"], ordered={"wfns": [1, 2, 3, 4, 5]})


def effects() -> Pairs:
    got, want = _markers(), MECHANISMS["associations"]
    for adjusted in (False, True):
        lines, tests = (t[t["adjusted"] == adjusted].set_index("marker") for t in (got.effects, got.tests))
        for marker in MARKERS:
            of = want["adjusted" if adjusted else "unadjusted"][marker]
            for field in ("effect", "low", "high"):
                yield lines.loc[[marker], field], np.atleast_1d(of[field])
            yield tests.loc[marker, ["f", "p_value", "n", "df_residual"]], [of["f"], of["p"], of["n"], of["df"]]
    part = got.tests[got.tests["adjusted"]]
    yield part["p_holm"], want["holm"]
    yield part["p_bh"], want["bh"]
    yield got.risk_sd, want["sd"]


def odds() -> Pairs:
    got, want = _markers().binary.set_index("adjusted"), MECHANISMS["associations"]
    for adjusted, key in ((False, "odds"), (True, "odds_adjusted")):
        yield got.loc[adjusted, ["odds_ratio", "low", "high"]], want[key]
    yield got.loc[False, "auc"], want["auc"][0]


def _firth_rows(name: str) -> pd.DataFrame:
    made = name in ("separated", "quasi")
    rows = pd.DataFrame(MECHANISMS["firth"][name]["data"]) if made else pd.read_csv(FOLDER / f"{name}.csv")
    if name == "asah":
        rows["female"] = (rows["gender"] == "Female").astype(float)
    return rows.rename(columns={"y": "onlm"}).assign(patient_id=[f"P{i:03d}" for i in range(len(rows))])


def _firth() -> list[tuple[object, dict]]:
    names = {"tiny25": "tiny"}
    return [
        (analysis.firth(_firth_rows(name), covariates=covariates), MECHANISMS["firth"][names.get(name, name)]["fit"])
        for name, covariates in FIRTH.items()
    ]


def firth_fit() -> Pairs:
    for got, want in _firth():
        for field, key in (("coef", "coef"), ("se", "se"), ("chi2", "chi2"), ("p_value", "p")):
            yield got.table[field], want[key]
        yield got.log_likelihood, want["loglik"]


def firth_profile() -> Pairs:
    for got, want in _firth():
        yield np.log(got.table["low"]), want["low"]
        yield np.log(got.table["high"]), want["high"]


def firth_of_few() -> Pairs:
    rows = _asah(rare=0.0)
    rows.loc[[1, 16, 29, 43, 60, 89], "rare"] = 1.0
    got = analysis.associations(rows, markers=["rare"], adjust=["age"]).binary
    for (_, row), key in zip(got.iterrows(), ("few", "few_adjusted"), strict=True):
        want = MECHANISMS["associations"][key]
        yield np.log(row[["odds_ratio", "low", "high"]].astype(float)), [want[k][1] for k in ("coef", "low", "high")]


MADE, BY_LEVEL = "centres", "by_level.json centres.csv"
METAFOR = in_r("metafor::rma", "by_level.json") + ", REML, Knapp-Hartung"
MECH = "mechanisms.json asah.csv"
SUBGROUPS = (
    Check("AUC, sensitivity, specificity, O:E by level", "by_subgroup",
          in_r("pROC::ci.auc", "by_level.json") + ", prop.test", MADE + ": sex, smoking, age", BY_LEVEL, subgroups,
          1e-10, remark="the logit interval where fewer than 50 are N+"),
    Check("Interaction with the risk; Holm, Benjamini-Hochberg", "by_subgroup",
          "R stats::anova(glm), p.adjust (R 4.2.2)", MADE, "binary.json centres.csv", interactions, 1e-10,
          remark="one likelihood-ratio test a factor"),
    Check("Intercept, slope, O:E, Brier score, ICI by level", "calibration_by", "R stats::glm, loess (R 4.2.2)",
          MADE + ": sex, smoking, age", BY_LEVEL, calibration_of_levels, 1e-6),
    Check("The same by age, written anew in R", "calibration_by", "R stats::glm, loess (R 4.2.2)", MADE + ": age",
          "groups.json centres.csv", calibration_of_ages, 1e-6,
          remark="glm's standard errors are those of its last step but one"),
    Check("Rates, O:E and intercept by level", "fairness", "R stats::prop.test, glm (R 4.2.2)",
          MADE + ": sex, smoking, age", BY_LEVEL, fair, 1e-10),
    Check("P of a gap between two levels", "fairness", "base R 4.2.2, exact permutation", MADE + ": sex", BY_LEVEL, gap,
          0.015, absolute=True, remark="by chance: 20,000 deals beside the exact P"),
)  # fmt: skip
CENTRES = (
    Check("AUC of each centre", "by_centre", in_r("pROC::roc", "binary.json"), MADE, "binary.json centres.csv",
          areas_of_centres, 1e-10),
    Check("Calibration of each centre", "by_centre", "R stats::glm (R 4.2.2)", MADE, "groups.json centres.csv",
          calibration_of_centres, 1e-6, remark="glm's standard errors are those of its last step but one"),
    Check("Pooled AUC, intercept, slope, O:E; prediction; tau2, I2", "by_centre", METAFOR,
          "nine, three, five centres, six alike", BY_LEVEL, pooled, 1e-6,
          remark="tau2 not below 0, I2 from tau2, t with k - 1 degrees of freedom; statsmodels lets tau2 be negative"),
    Check("Each centre left out", "leave_one_out", in_r("metafor::leave1out", "by_level.json"),
          "nine centres, six alike", BY_LEVEL, left_out, 1e-5),
)  # fmt: skip
QUALITY = (
    Check("AUC, intercept, O:E where enough nodes were examined", "label_sensitivity",
          in_r("pROC::roc", "mechanisms.json") + ", glm", "aSAH", MECH, trusted_labels, 1e-7),
    Check("Patients with and without a predictor", "missing_data_sensitivity", in_r("pROC::roc", "mechanisms.json"),
          "aSAH", MECH, missing, 1e-10),
    Check("Standardised differences of missed and found N+", "confident_mistakes", "base R 4.2.2, the formula", "aSAH",
          MECH, mistakes, 1e-10),
    Check("What the risk goes with: effect, limits, F test, P", "associations",
          "R stats::lm with HC3, p.adjust (R 4.2.2)", "aSAH, 4 markers", MECH, effects, 1e-10),
    Check("Odds ratio and AUC of a marker", "associations", "R stats::glm (R 4.2.2), pROC", "aSAH", MECH, odds, 1e-7),
)  # fmt: skip
FIRTHS = (
    Check("Firth's logistic regression: coefficients, errors, tests", "firth",
          in_r("brglm2::brglmFit", "mechanisms.json"), "aSAH, tiny25, 2 separated", MECH + " tiny25.csv", firth_fit,
          1e-9, remark="logistf stops early where the classes are separated"),
    Check("Its profile limits", "firth", "base R 4.2.2, the profile", "aSAH, tiny25, 2 separated", MECH + " tiny25.csv",
          firth_profile, 1e-4,
          remark="on purpose: in a separated table R's loop ends on the lower of two maxima, ours on the higher"),
    Check("The same of a rare marker", "associations", in_r("brglm2::brglmFit", "mechanisms.json"), "aSAH", MECH,
          firth_of_few, 1e-10),
)  # fmt: skip
CHECKS = SUBGROUPS + CENTRES + QUALITY + FIRTHS

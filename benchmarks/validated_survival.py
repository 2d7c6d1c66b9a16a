"""Survival, restricted means and competing risks beside R survival and cmprsk."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from benchmarks.validation_data import FOLDER, stored, survival
from benchmarks.validation_parts import Z95, Check, Pairs, estimate, in_r, log_log_limits
from onlm_lab import analysis

table, of_case, COMPETING = survival.table, survival.in_r, survival.COMPETING
CURVES = stored("curves.json")
LUNG, PBC, TINY = table("lung"), table("pbc"), table("tiny_survival")
TIES = LUNG.assign(os_days=LUNG["os_days"] // 60)
MGUS, STATES, TINY_STATES = (table(name, names=COMPETING) for name in ("mgus", "pbc", "tiny_survival"))
MGUS = MGUS.assign(spike=(MGUS["mspike"] >= 1.5).where(MGUS["mspike"].notna()))
COARSE = STATES.assign(regional_days=STATES["regional_days"] // 365)


def patients(days: list[float], event: list[int]) -> pd.DataFrame:
    return pd.DataFrame({"patient_id": [f"P{i}" for i in range(len(days))], "os_days": days, "os_event": event})


KAPLAN_MEIER = {
    "km_lung": (LUNG, None), "km_lung_sex": (LUNG, "sex"), "km_lung_ecog": (LUNG, "ecog"), "km_ties_sex": (TIES, "sex"),
    "km_pbc_stage": (PBC, "stage"), "km_tiny": (TINY, "group"), "km_flat": (patients([1, 2, 5, 8], [1, 1, 1, 0]), None),
    "km_flat_end": (patients([1, 2, 5, 8], [1, 1, 0, 0]), None),
}  # fmt: skip
INCIDENCE = {
    "aj_mgus": (MGUS, None), "aj_mgus_sex": (MGUS, "sex"), "aj_pbc_stage": (STATES, "stage"),
    "aj_pbc_trt": (STATES, "trt"), "aj_ties_stage": (COARSE, "stage"), "aj_tiny": (TINY_STATES, "group"),
}  # fmt: skip
LOG_RANK = {
    "lung_sex": (LUNG, "sex", None, 0), "lung_sex_peto": (LUNG, "sex", None, 1), "lung_ecog": (LUNG, "ecog", None, 0),
    "lung_ecog_half": (LUNG, "ecog", None, 0.5), "lung_ecog_in_sex": (LUNG, "ecog", "sex", 0),
    "lung_ecog_in_sex_peto": (LUNG, "ecog", "sex", 1), "lung_sex_in_two": (LUNG, "sex", ["ecog", "inst"], 0),
    "ties_sex_in_ecog_peto": (TIES, "sex", "ecog", 1), "ties_ecog": (TIES, "ecog", None, 0),
    "pbc_stage": (PBC, "stage", None, 0), "pbc_stage_in_trt": (PBC, "stage", "trt", 0),
    "tiny_group": (TINY, "group", None, 0), "tiny_group_peto": (TINY, "group", None, 1),
}  # fmt: skip
GRAY = {
    "mgus_sex": (MGUS, "sex", None, 0), "mgus_sex_peto": (MGUS, "sex", None, 1),
    "mgus_sex_in_spike": (MGUS, "sex", "spike", 0), "mgus_sex_in_spike_peto": (MGUS, "sex", "spike", 1),
    "pbc_trt_in_stage": (STATES, "trt", "stage", 0), "pbc_stage_in_trt_half": (STATES, "stage", "trt", 0.5),
    "coarse_stage_in_trt_peto": (COARSE, "stage", "trt", 1), "coarse_stage": (COARSE, "stage", None, 0),
    "tiny_group_peto": (TINY_STATES, "group", None, 1),
}  # fmt: skip
FOLLOWED = (("lung", "sex"), ("pbc", "stage"), ("pbc_bili", None), ("mgus", "sex"), ("tiny_survival", "group"))
MEANS = (("rmst_lung_365", LUNG, 365), ("rmst_lung_700", LUNG, 700), ("rmst_ties_6", TIES, 6))
LOST = {
    "mgus_120": (MGUS, "sex", 120), "mgus_240": (MGUS, "sex", 240), "mgus_all_60": (MGUS, None, 60),
    "pbc_3000": (STATES, "trt", 3000), "coarse_9": (COARSE, "stage", 9), "tiny_5": (TINY_STATES, "group", 5),
}  # fmt: skip


def kaplan_meier() -> Pairs:
    for case, (rows, by) in KAPLAN_MEIER.items():
        fit, expected = analysis.kaplan_meier(rows, by=by), of_case(case)
        for key in (k for k in expected if k.startswith("surv:")):
            _, group, day = key.split(":")
            at = fit.at(days=[float(day)]).set_index("group").loc[group]
            if math.isnan(at["survival"]):  # R carries the curve beyond the last follow-up when asked to; we do not
                continue
            yield [at["survival"], at["at_risk"]], [expected[key], expected[f"n.risk:{group}:{day}"]]
            if 0 < at["survival"] < 1:
                yield at[["low", "high"]], [expected[f"{end}:{group}:{day}"] for end in ("lower", "upper")]
        for row in fit.median.to_dict("records"):
            want = [expected[f"median:{part}:{row['group']}"] for part in ("quantile", "lower", "upper")]
            yield [row["days"], row["low"], row["high"]], want


def edges() -> Pairs:
    for expected in CURVES["edges"].values():
        fit = analysis.kaplan_meier(patients(expected["days"], expected["event"]))
        curve = fit.curve.iloc[1:]
        for column, key in (("days", "time"), ("at_risk", "n_risk"), ("survival", "surv"), ("low", "lower"),
                            ("high", "upper")):  # fmt: skip
            yield curve[column], np.array(expected[key], dtype=float)
        yield fit.median[["days", "low", "high"]].iloc[0], np.array(expected["median"], dtype=float)


def log_rank() -> Pairs:
    for case, (rows, by, strata, rho) in LOG_RANK.items():
        want = CURVES["log_rank"][case]
        fit = analysis.log_rank(rows, endpoint="os", by=by, strata=strata, rho=rho, trend=True)
        for field in ("observed", "expected", "n"):
            yield fit.table[field], want[field]
        yield [fit.chi2, fit.df, fit.p_value], [want[k][0] for k in ("chi2", "df", "p")]
        yield [fit.trend.chi2, fit.trend.p_value], [want["trend"][0], want["trend_p"][0]]


def pairs_of_groups() -> Pairs:
    found = analysis.log_rank(PBC, endpoint="os", by="stage", pairwise=True, adjust="bh").pairwise
    for column, key in (("p_value", "p"), ("p_holm", "holm"), ("p_bh", "bh")):
        yield found[column], CURVES["pairwise_pbc_stage"][key]


def follow_up() -> Pairs:
    in_file = pd.read_csv(FOLDER / "follow_up.csv", dtype={"group": str})
    for case, by in FOLLOWED:
        rows = table(case)
        if case == "mgus":
            rows = rows.rename(columns={"days": "os_days"}).assign(os_event=(rows["state"] > 0).astype(int))
        found, want = analysis.follow_up(rows, by=by).table, in_file[in_file["case"] == case]
        for column in ("n", "n_deaths", "median_days", "low", "high", "alive_median_days"):
            yield found.set_index("group")[column].astype(float), want.set_index("group")[column].astype(float)


def restricted_mean() -> Pairs:
    for case, rows, tau in MEANS:
        fit, want = analysis.rmst(rows, endpoint="os", by="sex", tau_days=tau), of_case(case)
        for row in fit.table.to_dict("records"):
            mean, half = want[f"rmst:{row['group']}"], Z95 * want[f"se:{row['group']}"]
            yield [row["rmst_days"], row["low"], row["high"]], [mean, mean - half, mean + half]
        gap, half = want["rmst:male"] - want["rmst:female"], Z95 * math.hypot(want["se:male"], want["se:female"])
        yield estimate(fit.difference), [gap, gap - half, gap + half]


def time_lost() -> Pairs:
    for case, (rows, by, tau) in LOST.items():
        for cause in (1, 2):
            fit = analysis.time_lost(rows, endpoint="regional", by=by, tau_days=tau, cause=cause)
            for row in fit.table.to_dict("records"):
                mean, se = (CURVES["time_lost"][case][row["group"]][key][cause - 1] for key in ("mean", "se"))
                yield [row["days_lost"], (row["high"] - row["low"]) / 2], [mean, Z95 * se]


def incidence() -> Pairs:
    for case, (rows, by) in INCIDENCE.items():
        fit, expected = analysis.cumulative_incidence(rows, by=by), of_case(case)
        for key, value in expected.items():
            what, *rest = key.split(":")
            if what != "est" or math.isnan(value):
                continue
            name, cause, day = rest
            at = fit.at(days=[float(day)]).set_index(["group", "cause"]).loc[(name, int(cause))]
            yield at[["incidence", "low", "high"]], [value, *log_log_limits(value, expected[":".join(["var", *rest])])]


def gray_of_curves() -> Pairs:
    for case, (rows, by) in INCIDENCE.items():
        if by is not None:
            expected = of_case(case)
            for cause, test in analysis.cumulative_incidence(rows, by=by).gray_test.set_index("cause").iterrows():
                yield test[["chi2", "df", "p_value"]], [expected[f"{k}:{cause}"] for k in ("chi2", "df", "p")]


def gray() -> Pairs:
    for case, (rows, by, strata, rho) in GRAY.items():
        want = CURVES["gray"][case]
        for i, cause in enumerate(want["causes"]):
            fit = analysis.gray(rows, endpoint="regional", by=by, strata=strata, rho=rho, cause=cause)
            yield [fit.chi2, fit.df, fit.p_value], [want[k][i] for k in ("chi2", "df", "p")]


def one_minus_km() -> Pairs:
    for case, rows, by, days in (("mgus", MGUS, "sex", [60, 120, 240]), ("coarse", COARSE, "trt", list(range(1, 10)))):
        for cause in (1, 2):
            found = analysis.one_minus_km(rows, endpoint="regional", by=by, horizons_days=days, cause=cause).table
            for name, want in CURVES["one_minus_km"][case].items():
                own = found[found["group"] == name]
                yield own["one_minus_km"], want[f"km{cause}"]
                yield own["incidence"], want[f"aj{cause}"]


STORED = "survival_reference.csv"
SURVIVAL = (
    Check("Survival, limits, at risk, medians with limits", "kaplan_meier", in_r("survival::survfit", STORED),
          "lung, pbc, tiny25, heavy ties", STORED + " lung.csv pbc.csv tiny_survival.csv", kaplan_meier, 1e-10,
          remark="log(-log) limits, none where survival is 0 or 1; no curve beyond the last follow-up"),
    Check("The curve at its edges", "kaplan_meier", in_r("survival::survfit", "curves.json"), "7 extreme tables",
          "curves.json", edges, 1e-10),
    Check("Log-rank: observed, expected, chi2, P, trend", "log_rank", in_r("survival::survdiff", "curves.json"),
          "lung, pbc, tiny25, heavy ties; strata; rho 0, 0.5, 1", "curves.json lung.csv pbc.csv tiny_survival.csv",
          log_rank, 1e-10, remark="the trend is written in R from survdiff's O, E and V"),
    Check("Pairs of groups; Holm, Benjamini-Hochberg", "log_rank",
          in_r("survival::survdiff", "curves.json") + ", p.adjust", "pbc", "curves.json pbc.csv", pairs_of_groups,
          1e-10),
    Check("Median follow-up with limits", "follow_up", in_r("survival::survfit", "follow_up.csv"),
          "lung, pbc (312; 418), mgus2, tiny25",
          "follow_up.csv lung.csv pbc.csv pbc_bili.csv mgus.csv tiny_survival.csv", follow_up, 1e-10,
          remark="reverse Kaplan-Meier"),
)  # fmt: skip
MEAN_TIMES = (
    Check("Restricted mean, limits, difference", "rmst", in_r("survival::survfit", STORED), "lung, heavy ties",
          STORED + " lung.csv", restricted_mean, 1e-10,
          remark="Greenwood's error of the mean; lifelines gives the variance of min(T, tau), which is another thing"),
    Check("Days lost to a cause", "time_lost", in_r("survival::survfit", "curves.json") + ", multi-state",
          "mgus2, pbc, tiny25", "curves.json mgus.csv pbc.csv tiny_survival.csv", time_lost, 1e-10,
          remark="infinitesimal jackknife"),
)  # fmt: skip
COMPETING_RISKS = (
    Check("Cumulative incidence with limits", "cumulative_incidence", in_r("cmprsk::cuminc", STORED),
          "mgus2, pbc, tiny25, heavy ties", STORED + " mgus.csv pbc.csv tiny_survival.csv", incidence, 1e-10,
          remark="Aalen's variance as cmprsk, log(-log) limits; survfit's error differs by 0.1 to 5 %"),
    Check("Gray's test beside the curves", "cumulative_incidence", in_r("cmprsk::cuminc", STORED),
          "mgus2, pbc, tiny25, heavy ties", STORED + " mgus.csv pbc.csv tiny_survival.csv", gray_of_curves, 1e-10),
    Check("Gray's test with strata and weights", "gray", in_r("cmprsk::cuminc", "curves.json"),
          "mgus2, pbc, tiny25; rho 0, 0.5, 1", "curves.json mgus.csv pbc.csv tiny_survival.csv", gray, 1e-10),
    Check("1 - Kaplan-Meier beside the incidence", "one_minus_km",
          in_r("survival::survfit", "curves.json") + ", cmprsk", "mgus2, pbc in years", "curves.json mgus.csv pbc.csv",
          one_minus_km, 1e-10),
)  # fmt: skip
CHECKS = SURVIVAL + MEAN_TIMES + COMPETING_RISKS

"""Sample sizes, reader studies and staging beside pmsampsize, pmvalsampsize, MRMCaov, pROC and the AJCC."""

from __future__ import annotations

import math

import pandas as pd

from benchmarks.validation_data import FOLDER, stored
from benchmarks.validation_parts import Z95, Check, Pairs, in_r
from onlm_lab import analysis
from onlm_lab.cohort import staging

SIZES, PUBLISHED, PROC = stored("sample_size.json"), stored("van_dyke.json"), stored("readers.json")["readers"]
KINDS = (("alone", "cine"), ("with_model", "se"))
RATED_3 = 0.6  # ratings 1 to 5 stand as estimates of 0.2 to 1
LIMITS_MM = {"T1a": 10, "T1b": 20, "T1c": 30, "T2a": 40, "T2b": 50, "T3": 70}  # AJCC 8: the largest diameter of each
GROUPS_N0 = {"T1a": "IA1", "T1b": "IA2", "T1c": "IA3", "T2a": "IB", "T2b": "IIA", "T3": "IIB", "T4": "IIIA"}


def developing() -> Pairs:
    made = {
        "c_statistic": analysis.sample_size_binary(n_parameters=24, prevalence=0.174, c_statistic=0.75),
        "r2_large": analysis.sample_size_binary(n_parameters=24, prevalence=0.174, r2_cox_snell=0.288),
        "r2": analysis.sample_size_binary(n_parameters=10, prevalence=0.18, r2_cox_snell=0.12),
        "survival": analysis.sample_size_survival(
            n_parameters=30, rate_per_year=0.065, horizon_years=2, mean_followup_years=2.07, r2_cox_snell=0.051
        ),
    }
    for case, found in made.items():
        own = [found.n_required, found.r2, found.shrinkage, found.n_events_required, found.r2_max, found.r2_nagelkerke]
        yield own, [SIZES[case][k] for k in ("sample_size", "r2", "final_shrinkage", "events", "max_r2a", "nag_r2")]
    for case in SIZES["survival_tests"]:
        found = analysis.sample_size_survival(
            n_parameters=case["parameters"], rate_per_year=case["rate"], horizon_years=case["timepoint"],
            mean_followup_years=case["meanfup"], r2_cox_snell=case["r2"],
        )  # fmt: skip
        yield found.n_required, case["n"]


def continuous() -> Pairs:
    found, want = analysis.sample_size_continuous(n_parameters=25, r2=0.2, mean=26.7, sd=8.7), SIZES["continuous"]
    per_parameter = round(found.criteria["patients_per_parameter"].max(), 2)
    own = [found.n_required, round(found.shrinkage, 3), per_parameter]
    yield own, [want["sample_size"], want["final_shrinkage"], want["SPP"]]


def _testing(**spread: tuple[float, float]) -> pd.Series:
    found = analysis.sample_size_external(prevalence=0.018, c_statistic=0.8, oe_width=1, **spread)
    return found.criteria.set_index("criterion")["n"]


def testing() -> Pairs:
    yield _testing()[["oe_ratio", "c_statistic"]], [SIZES["testing"][k] for k in ("oe_ratio", "c_statistic")]


def testing_slope() -> Pairs:
    spreads = {"slope_lp_normal_-5_2.5": {"lp_normal": (-5, 2.5)}, "slope_beta_0.5_0.5": {"risk_beta": (0.5, 0.5)},
               "slope_from_c": {}}  # fmt: skip
    for key, spread in spreads.items():
        yield _testing(**spread)["slope"], SIZES["testing"][key]


def _readings() -> pd.DataFrame:
    """Cine MRI as the estimate alone and spin-echo as the one with the model, so that differences are as published."""
    table = pd.read_csv(FOLDER / "van_dyke.csv")
    return pd.concat([
        pd.DataFrame({
            "reader_id": f"R{j}", "patient_id": table["case"].astype(str), "onlm": table["dissection"],
            "estimate_alone": table[f"reader{j}_cine"] / 5, "estimate_with_model": table[f"reader{j}_se"] / 5,
            "seconds_alone": 60.0, "seconds_with_model": 10.0, "risk": table["reader1_se"] / 5,
        }) for j in range(1, 6)
    ], ignore_index=True)  # fmt: skip


def readers() -> Pairs:
    averages = analysis.compare_readers(_readings(), threshold=RATED_3).averages.set_index(["measure", "kind"])
    for kind, key, names in (
        ("difference", "difference", ("value", "se", "df", "low", "high", "p_value")),
        *((kind, treatment, ("value", "se", "df", "low", "high")) for kind, treatment in KINDS),
    ):
        yield averages.loc[("auc", kind), list(names)], [PUBLISHED["delong"][key][name] for name in names]
    each = analysis.compare_readers(_readings(), threshold=RATED_3).readers
    for kind, treatment in KINDS:
        yield each[f"auc_{kind}"], PUBLISHED["auc"][treatment]
    want, names = PUBLISHED["sensitivity_from_rating_3"]["difference"], ["value", "se", "df"]
    yield averages.loc[("sensitivity", "difference"), names], [want[name] for name in names]


def sensitivity_of_readers() -> Pairs:
    found = analysis.compare_readers(_readings(), threshold=RATED_3).readers
    for kind, treatment in KINDS:
        yield found[f"sensitivity_{kind}"], PUBLISHED["sensitivity_from_rating_3"][treatment]


def fixed_readers() -> Pairs:
    found = analysis.compare_readers(_readings(), random_readers=False).averages.set_index(["measure", "kind"])
    yield found.loc[("auc", "difference"), "se"], PUBLISHED["jackknife_fixed_readers"]["difference"]["se"]


def each_reader() -> Pairs:
    for got, want in zip(analysis.compare_readers(_readings()).readers.to_dict("records"), PROC, strict=True):
        yield [got["auc_with_model"], got["auc_alone"], got["auc_difference"]], [*want["auc"], want["difference"]]
        half = Z95 * math.sqrt(sum(want["variance"]) - 2 * want["covariance"])
        yield (got["auc_difference_high"] - got["auc_difference_low"]) / 2, half
        yield got["p_value"], want["p_value"]


def stages() -> Pairs:
    """A solid tumour at each limit and 0.1 mm beyond it: T, and the stage with N0; the classes are numbered."""
    classes, groups = [*LIMITS_MM, "T4"], list(GROUPS_N0.values())
    for i, limit in enumerate(LIMITS_MM.values()):
        for size, place in ((float(limit), i), (limit + 0.1, i + 1)):
            t, _why = staging.derive_t({"nodule_type": "solid", "total_diameter_mm": size, "t_descriptor": "none"})
            yield classes.index(t), place
            yield groups.index(staging.derive_stage(t, "N0", "M0")), groups.index(GROUPS_N0[classes[place]])


VAN_DYKE = "Van Dyke: 5 readers, 114 patients"
SAMPLE_SIZE = (
    Check("To develop: n, R2, shrinkage, events", "sample_size_binary, sample_size_survival", "R pmsampsize 1.1.3",
          "its examples and tests", "sample_size.json", developing, 1e-10),
    Check("To develop, a continuous outcome", "sample_size_continuous", "R pmsampsize 1.1.3", "its example",
          "sample_size.json", continuous, 1e-10, remark="rounded as pmsampsize prints"),
    Check("To test: by O:E and AUC", "sample_size_external", "R pmvalsampsize 0.1.0", "its tests", "sample_size.json",
          testing, 1e-10),
    Check("To test: by the slope", "sample_size_external", "R pmvalsampsize 0.1.0", "its tests", "sample_size.json",
          testing_slope, 0.1, remark="on purpose: pmvalsampsize draws 1,000 or 10,000 patients, ours is integrated"),
)  # fmt: skip
READERS = (
    Check("Average AUC, difference, sensitivity over readers", "compare_readers", "R MRMCaov, as its authors print",
          VAN_DYKE, "van_dyke.json van_dyke.csv", readers, 1e-6, remark="printed with 7 digits"),
    Check("Sensitivity of each reader", "compare_readers", "R MRMCaov, as its authors print", VAN_DYKE,
          "van_dyke.json van_dyke.csv", sensitivity_of_readers, 5e-4 + 1e-9, absolute=True,
          remark="printed with 3 digits"),
    Check("The same readers again: error of the difference", "compare_readers", "R MRMCaov, as its authors print",
          VAN_DYKE, "van_dyke.json van_dyke.csv", fixed_readers, 0.01,
          remark="on purpose: theirs on the jackknife, ours on DeLong's components"),
    Check("Each reader: AUCs, difference, P", "compare_readers", in_r("pROC::roc.test", "readers.json"), VAN_DYKE,
          "readers.json van_dyke.csv", each_reader, 1e-10),
)  # fmt: skip
STAGING = (
    Check("T and stage of a solid N0 tumour at every limit", "", "AJCC, 8th edition", "sizes of 10.0 to 70.1 mm", "",
          stages, 1e-10,
          remark="onlm_lab.cohort.staging beside limits typed anew; Goldstraw 2016, doi:10.1016/j.jtho.2015.09.009"),
)  # fmt: skip
CHECKS = SAMPLE_SIZE + READERS + STAGING

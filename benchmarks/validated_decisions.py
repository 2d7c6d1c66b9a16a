"""Thresholds, what they do to patients, and decisions, beside R's tests, Hmisc and definitions written in R."""

from __future__ import annotations

import pandas as pd

from benchmarks.validation_data import binary
from benchmarks.validation_parts import Check, Pairs, estimate, in_r
from onlm_lab import analysis

R, OPERATING, number = binary.R, binary.OPERATING, binary.number
GRID = [0.05, 0.1, 0.2, 0.35, 0.5]
RULES = {
    "sens_0.90": ("sensitivity", 0.90), "sens_0.95": ("sensitivity", 0.95), "spec_0.90": ("specificity", 0.90),
    "spec_0.95": ("specificity", 0.95), "youden": ("youden", 0.95),
}  # fmt: skip
PAIRED = {"asah": ("p1", "p2", 0.3, 0.25), "tiny25": ("score", "score2", 0.3, 0.3)}
COUNTS = ["n_both", "n_only_a", "n_only_b", "n_neither"]
MCNEMAR = {"chi2": "chi2", "p_value": "p", "chi2_corrected": "chi2_corrected", "p_corrected": "p_corrected",
           "p_exact": "p_exact", "p_mid": "p_mid"}  # fmt: skip
MODELS = {"asah": ("p1", "p2"), "tiny25": ("score", "score2")}
DECIDED = {"asah": "p1", "tiny25": "score"}


def chosen() -> Pairs:
    for name in ("asah", "tiny25"):
        for score, want in R[name]["thresholds"].items():
            rows = binary.scored(name, score)
            for key, (rule, target) in RULES.items():
                own = analysis.choose_threshold(rows, rule=rule, target=target)
                yield own, number(want[key]) * binary.SCALE.get(score, 1.0)


def _at(name: str, key: str, want: dict) -> object:
    """The operating point of a threshold of R, which lies between risks that occur."""
    score = key.split("_")[0]
    rows = binary.scored(name, score)
    least = want["threshold"] * binary.SCALE.get(score, 1.0) - 1e-12
    return analysis.operating_point(rows, threshold=float(rows["risk"][rows["risk"] >= least].min()))


def proportions() -> Pairs:
    for name, key in ((n, k) for n in ("asah", "tiny25") for k in R[n]["cross"]):
        want = R[name]["cross"][key]
        got = _at(name, key, want)
        yield [got.n_tp, got.n_fp, got.n_tn, got.n_fn], want["counts"]
        for field in ("sensitivity", "specificity", "ppv", "npv"):
            yield [getattr(got, field).low, getattr(got, field).high], want[field]


def likelihood_ratios() -> Pairs:
    for name, key in ((n, k) for n in ("asah", "tiny25") for k in R[n]["cross"]):
        want = R[name]["cross"][key]
        for field in ("lr_positive", "lr_negative"):
            yield estimate(getattr(_at(name, key, want), field)), [number(v) for v in want[field]]


def with_counts(n_tp: int, n_fp: int, n_tn: int, n_fn: int) -> pd.DataFrame:
    """Patients of whom so many are true positives, and so on, at a threshold of 0.5."""
    kinds = [(1, 0.9)] * n_tp + [(0, 0.9)] * n_fp + [(0, 0.1)] * n_tn + [(1, 0.1)] * n_fn
    rows = pd.DataFrame(kinds, columns=["onlm", "risk"])
    return rows.assign(patient_id=rows.index.astype(str))


def at_a_prevalence() -> Pairs:
    for case in OPERATING["predictive"].values():
        rows = with_counts(*case["counts"])
        for want in case["at"]:
            got = analysis.operating_point(rows, threshold=0.5, prevalence=want["prevalence"])
            yield estimate(got.ppv_at_prevalence), want["ppv"]
            yield estimate(got.npv_at_prevalence), want["npv"]


def thousand() -> Pairs:
    for name, threshold in (("asah", 0.3), ("tiny25", 0.2)):
        got = analysis.per_1000(binary.scored(name, DECIDED[name]), threshold=threshold).table
        for row, want in zip(got.to_dict("records"), OPERATING["thousand"][name], strict=True):
            yield [row["patients"], row["low"], row["high"]], [want[0], max(0.0, want[1]), want[2]]


def paired_tables() -> Pairs:
    """Published and extreme tables of two tests in the same patients, as N+ patients with two models."""
    for want in OPERATING["tables"].values():
        calls = [(1, 1), (1, 0), (0, 1), (0, 0)]
        both = [call for call, n in zip(calls, want["counts"], strict=True) for _ in range(n)]
        rows = pd.concat(
            pd.DataFrame({"patient_id": range(len(both)), "onlm": 1, "model_id": name,
                          "risk": [0.9 if call[i] else 0.1 for call in both]})
            for i, name in enumerate("ab")
        )  # fmt: skip
        got = analysis.compare_operating_points(rows, model_a="a", model_b="b", threshold_a=0.5, threshold_b=0.5)
        yield from _one_pair(got.table.set_index("measure").loc["sensitivity"], want)


def paired_models() -> Pairs:
    for name, (a, b, at_a, at_b) in PAIRED.items():
        got = analysis.compare_operating_points(
            binary.two_models(name, a, b), model_a=a, model_b=b, threshold_a=at_a, threshold_b=at_b
        )
        for measure, row in got.table.set_index("measure").iterrows():
            yield from _one_pair(row, OPERATING["compared"][name][measure])


def _one_pair(row: pd.Series, want: dict) -> Pairs:
    yield row[COUNTS], want["counts"]
    yield [row["difference"], row["low"], row["high"]], [number(v) for v in want["difference"]]
    yield [row[own] for own in MCNEMAR], [number(want["tests"][key]) for key in MCNEMAR.values()]


def benefit() -> Pairs:
    for name, score in DECIDED.items():
        rows = binary.scored(name, score)
        table = analysis.net_benefit(rows, thresholds=GRID, n_bootstrap=1).table.set_index(["model_id", "threshold"])
        for want in R[name]["decision"]:
            model, everybody = (table.loc[(who, want["threshold"])] for who in ("model", "treat_all"))
            yield model["net_benefit"], want["model"]
            yield everybody["net_benefit"], want["all"]
            yield analysis.net_benefit_at(rows, threshold=want["threshold"]).value, want["model"]
            yield model["interventions_avoided"], want["avoided"]


def benefit_bands() -> Pairs:
    for key, hold in (("cohort", False), ("by_design", True)):
        want = OPERATING["boot"][key]
        rows = binary.two_models("asah", "p1", "p2")
        table = analysis.net_benefit(
            binary.scored("asah", "p1"), thresholds=[0.2], n_bootstrap=20_000, hold_prevalence=hold
        ).table
        yield [table.iloc[0]["low"], table.iloc[0]["high"]], want["model"]
        if not hold:
            yield [table.iloc[1]["low"], table.iloc[1]["high"]], want["all"]
        gap = analysis.compare_net_benefit(
            rows, model_a="p1", model_b="p2", thresholds=[0.2], n_bootstrap=20_000, hold_prevalence=hold
        ).table.iloc[0]
        yield [gap["low"], gap["high"], gap["share_better"]], [*want["difference"], want["share_better"]]


def _reclassified(name: str, want: dict) -> Pairs:
    a, b = MODELS[name]
    got = analysis.reclassification(binary.two_models(name, a, b), model_a=a, model_b=b, cuts=want["cuts"])
    for field, kind in (("nri", "categorical"), ("nri_continuous", "continuous")):
        for suffix, part in (("", "total"), ("_events", "events"), ("_nonevents", "nonevents")):
            own, theirs = estimate(getattr(got, field + suffix)), [number(v) for v in want[kind][part]]
            still = theirs[1] == theirs[2]  # nobody moved: Hmisc gives an interval of no width, we give none
            yield (own[:1], theirs[:1]) if still else (own, theirs)
    yield estimate(got.idi), want["idi"]
    if "idi_events" in want:
        yield [got.idi_events.value, got.idi_nonevents.value], [want["idi_events"], want["idi_nonevents"]]


def reclassified() -> Pairs:
    for name in MODELS:
        yield from _reclassified(name, R[name]["reclassification"])


def reclassified_by_hmisc() -> Pairs:
    for name in MODELS:
        yield from _reclassified(name, OPERATING["improve"][name])


BINARY, AT_WORK = "binary.json asah.csv tiny25.csv", "operating.json asah.csv tiny25.csv"
THRESHOLDS = (
    Check("Thresholds by sensitivity, specificity, Youden", "choose_threshold", "base R 4.2.2, the same rule",
          "aSAH, 3 scores; tiny25, 2", BINARY, chosen, 1e-10,
          remark="observed risks, positive if at or above; pROC::coords gives midpoints and interpolates"),
    Check("Sensitivity, specificity, PPV, NPV: counts and limits", "operating_point", "R stats::prop.test (R 4.2.2)",
          "aSAH, 3 thresholds; tiny25", BINARY, proportions, 1e-10, remark="Wilson's interval"),
    Check("Likelihood ratios with limits", "operating_point", "base R 4.2.2, the log method",
          "aSAH, 3 thresholds; tiny25", BINARY, likelihood_ratios, 1e-10,
          remark="no interval where a needed cell is 0"),
    Check("PPV and NPV at a named prevalence", "operating_point", "base R 4.2.2, D() of Bayes' rule",
          "aSAH, tiny25, 2 extreme tables", "operating.json", at_a_prevalence, 1e-10,
          remark="Mercaldo 2007; where a cell is empty, added to as there"),
    Check("Of 1,000 patients", "per_1000", "R stats::prop.test (R 4.2.2)", "aSAH, tiny25", AT_WORK, thousand, 1e-10,
          remark="a limit of -1e-17 in R is 0 here"),
    Check("Two models in the same patients: difference, McNemar", "compare_operating_points",
          "R stats::mcnemar.test, binom.test (R 4.2.2)", "aSAH, tiny25", AT_WORK, paired_models, 1e-10,
          remark="Newcombe's paired interval, written in R from the paper"),
    Check("The same in published and extreme tables", "compare_operating_points",
          "R stats::mcnemar.test, binom.test (R 4.2.2)", "Bentur, Armitage, 3 extreme", "operating.json", paired_tables,
          1e-10),
)  # fmt: skip
DECISIONS = (
    Check("Net benefit; interventions avoided", "net_benefit, net_benefit_at", "base R 4.2.2, the definition",
          "aSAH, tiny25", BINARY, benefit, 1e-10),
    Check("Bands of net benefit, and of a difference", "net_benefit, compare_net_benefit", "base R 4.2.2, a loop",
          "aSAH", AT_WORK, benefit_bands, 0.012, absolute=True,
          remark="by chance: treating all moves in steps of 0.011"),
)  # fmt: skip
RECLASSIFICATION = (
    Check("NRI with and without categories, IDI", "reclassification", "base R 4.2.2, the definition", "aSAH, tiny25",
          BINARY, reclassified, 1e-10, remark="multinomial standard errors; Pencina's differ by up to 28 %"),
    Check("The same", "reclassification", in_r("Hmisc::improveProb", "operating.json"), "aSAH, tiny25", AT_WORK,
          reclassified_by_hmisc, 1e-10, remark="where nobody moves Hmisc gives an interval of no width, we give none"),
)  # fmt: skip
CHECKS = THRESHOLDS + DECISIONS + RECLASSIFICATION

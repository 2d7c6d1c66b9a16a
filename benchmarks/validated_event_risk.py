"""Predicted risks of an event by a day: how they are made, and how they are judged, beside R's packages."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from benchmarks.validation_data import event_calibration, stored, survival
from benchmarks.validation_parts import Z95, Check, Pairs, estimate, in_r
from onlm_lab import analysis

table, COMPETING = survival.table, survival.COMPETING
RISK, JUDGED = stored("event_risk.json"), event_calibration.R
CASES, FITTED = event_calibration.CASES, event_calibration.FITTED
LUNG, PBC = table("lung").fillna({"ecog": 1}), table("pbc")
TIES = LUNG.assign(os_days=LUNG["os_days"] // 60)
STATES, TINY = table("pbc", names=COMPETING), table("tiny_survival", names=COMPETING)
HGB, SPIKE = (table("mgus", names=COMPETING).dropna(subset=[c]).reset_index(drop=True) for c in ("hgb", "mspike"))
YEARS, QUARTERS = (STATES.assign(regional_days=STATES["regional_days"] // n) for n in (365, 90))
THREE = ["age", "sex", "hgb"]
PREDICTED = {
    "cox_lung": (LUNG, "os", ["age", "sex", "ecog"], [100, 365, 800], {}),
    "cox_ties": (TIES, "os", ["age", "sex", "ecog"], [2, 6, 12], {}),
    "cox_strata": (TIES, "os", ["age", "ecog"], [2, 6, 12], {"strata": "sex"}),
    "fg_mgus": (HGB, "regional", THREE, [12, 60, 240], {}),
    "fg_mgus_cause2": (HGB, "regional", THREE, [12, 60, 240], {"cause": 2}),
    "fg_ties": (YEARS, "regional", ["age", "albumin"], [1, 4, 9], {}),
    "csc_mgus": (HGB, "regional", THREE, [12, 60, 240], {"method": "cause_specific"}),
    "csc_ties": (QUARTERS, "regional", ["age", "albumin"], [4, 12, 30], {"method": "cause_specific"}),
}
SCORED = {
    "score_pbc": (PBC, "os", np.log(PBC["bili"]), PBC["age"]),
    "score_mgus": (SPIKE, "regional", SPIKE["mspike"], SPIKE["age"]),
    "score_ties": (TIES, "os", TIES["age"], TIES["ecog"]),
    "score_coarse": (YEARS, "regional", YEARS["albumin"], YEARS["age"]),
    "score_tiny": (TINY, "regional", TINY["score"], TINY["score2"]),
}
WITHOUT_TINY = [case for case in SCORED if case != "score_tiny"]
TIME_ROC = {2: (0.7748267865462567, 0.03556956257047716), 5: (0.8622844359750945, 0.021490002736456335),
            8: (0.8011828655983859, 0.031238859205225348)}  # fmt: skip  # printed by timeROC for all 418 of pbc
UNO = {"uno_pbc": (PBC.assign(score=np.log(PBC["bili"])), "score", 3000),
       "uno_ties": (table("lung").assign(os_days=lambda d: d["os_days"] // 60), "age", 9)}  # fmt: skip


def predicted(*prefixes: str) -> Pairs:
    for case, (rows, endpoint, covariates, horizons, options) in PREDICTED.items():
        if case.startswith(prefixes):
            found = analysis.predict_event(
                rows[:6], fitted_on=rows, endpoint=endpoint, covariates=covariates, horizons_days=horizons, **options
            )
            want = RISK[case]["risk"] if isinstance(RISK[case], dict) else RISK[case]
            yield found["event_risk"].to_numpy().reshape(6, -1), want


def baseline() -> Pairs:
    for case, (rows, endpoint, covariates, _, options) in PREDICTED.items():
        if case.startswith("csc"):
            continue
        found = analysis.baseline_hazard(rows, endpoint=endpoint, covariates=covariates, **options)
        want = pd.DataFrame(RISK[case]["baseline"])
        for stratum, steps in found.groupby("stratum"):
            theirs = want[want["stratum"] == stratum]
            at = np.searchsorted(theirs["days"].to_numpy(), steps["days"], side="right") - 1
            yield steps["cumulative_hazard"], theirs["hazard"].to_numpy()[at]


def _area(case: str, score: pd.Series) -> pd.DataFrame:
    rows, endpoint = SCORED[case][:2]
    times = RISK[case]["times"]
    return analysis.time_dependent_auc(rows.assign(score=score), endpoint=endpoint, horizons_days=times, score="score")


def _half(found: pd.DataFrame) -> pd.Series:
    return (found["high"] - found["low"]) / 2


def _areas() -> list[tuple[pd.DataFrame, pd.DataFrame]]:
    both = []
    for case in WITHOUT_TINY:
        for name, score in zip("ab", SCORED[case][2:], strict=True):
            want = pd.DataFrame(RISK[case]["auc"])
            both.append((_area(case, score), want[want["model"] == name]))
    return both


def _gaps() -> list[tuple[pd.DataFrame, pd.DataFrame]]:
    both = []
    for case in WITHOUT_TINY:
        rows, endpoint, a, b = SCORED[case]
        models = pd.concat([rows.assign(score=s, model_id=m) for m, s in (("a", a), ("b", b))])
        found = analysis.compare_time_dependent_aucs(
            models, model_a="a", model_b="b", endpoint=endpoint, horizons_days=RISK[case]["times"], score="score"
        )
        both.append((found, pd.DataFrame(RISK[case]["difference"])))
    return both


def areas() -> Pairs:
    for found, want in _areas():
        yield found["value"], want["AUC"]
    for found, want in _gaps():
        yield found["value"], want["delta.AUC"]


def errors_of_areas() -> Pairs:
    for found, want in (*_areas(), *_gaps()):
        yield _half(found), Z95 * want["se"]


def p_of_gaps() -> Pairs:
    for found, want in _gaps():
        yield found["p_value"], want["p"]


def areas_of_time_roc() -> Pairs:
    rows = table("pbc_bili")
    rows = rows.assign(score=np.log(rows["bili"]))
    for years, (value, se) in TIME_ROC.items():
        own = analysis.time_dependent_auc(rows, endpoint="os", horizons_days=[years * 365.25], score="score")
        yield [own["value"][0], _half(own)[0]], [value, Z95 * se]
    want = RISK["time_roc_mgus"]
    own = analysis.time_dependent_auc(
        SPIKE, endpoint="regional", horizons_days=[want["times"]], score="mspike", controls="event_free"
    )
    yield [own["value"][0], _half(own)[0]], [want["auc"], Z95 * want["se"]]


def uno() -> Pairs:
    for case, (rows, score, tau) in UNO.items():
        fit, want = analysis.uno_c(rows, endpoint="os", tau_days=tau, score=score), survival.in_r(case)
        yield [fit.value, (fit.high - fit.low) / 2], [want["c"], Z95 * want["se"]]


def _standard(values: pd.Series) -> pd.Series:
    return (values - values.mean()) / values.std()


def _brier() -> list[tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]]:
    """Ours, riskRegression's of the model, and of no model, at the days of each case; the risks are made up."""
    three = []
    for case, (rows, endpoint, of_a, of_b) in SCORED.items():
        want, times = pd.DataFrame(RISK[case]["brier"]), RISK[case]["times"]
        for model, score, slope in (("a", of_a, 1.0), ("b", of_b, 0.7)):
            names = [f"p{k}" for k in range(1, len(times) + 1)]
            logit = slope * _standard(score) - 1.5
            made = {name: 1 / (1 + np.exp(-logit - 0.4 * k)) for k, name in enumerate(names, start=1)}
            found = analysis.brier_survival(
                rows.assign(**made), endpoint=endpoint, horizons_days=times, event_risk=names
            )
            three.append((found, want[want["model"] == model], want[want["model"] == "Null model"]))
    return three


def brier() -> Pairs:
    for found, model, none in _brier():
        yield found["value"], model["Brier"]
        yield found["reference"], none["Brier"]
        yield found["scaled"], 1 - model["Brier"].to_numpy() / none["Brier"].to_numpy()


def errors_of_brier() -> Pairs:
    for found, model, _ in _brier():
        low = np.maximum(0, found["value"] - Z95 * model["se"].to_numpy())
        yield found["value"] - found["low"], found["value"] - low


def integrated() -> Pairs:
    want, slope = RISK["pec_pbc"], _standard(np.log(PBC["bili"]))
    names = [f"p{t}" for t in want["grid"]]
    rows = PBC.assign(**{f"p{t}": 1 / (1 + np.exp(3 - t / 1500 - slope)) for t in want["grid"]})
    asked = {"endpoint": "os", "horizons_days": want["grid"], "event_risk": names}
    found = analysis.brier_survival(rows, **asked)
    yield found["value"], want["brier"]
    yield found["reference"], want["reference"]
    yield analysis.integrated_brier(rows, **asked).value, want["integrated"]


def _judge(name: str, **options: object) -> object:
    rows, asked = event_calibration.case(name)
    return analysis.calibrate_event_risk(rows, **asked, **options)


def observed_and_predicted() -> Pairs:
    for name in CASES:
        found, want = _judge(name), JUDGED[name]
        for count in ("n", "n_events", "n_competing", "n_censored"):
            yield getattr(found, count), want[count]
        share = want["observed"]
        yield estimate(found.observed), [share["value"], share["low"], share["high"]]
        ratio = share["value"] / want["mean_predicted"]
        for own, se in ((found.oe_ratio, share["se"] / share["value"]), (found.oe_ratio_delta, want["delta_se"])):
            yield estimate(own), [ratio, ratio * math.exp(-Z95 * se), ratio * math.exp(Z95 * se)]


def tenths() -> Pairs:
    for name in CASES:
        found, want = _judge(name).groups, pd.DataFrame(JUDGED[name]["groups"])
        for own, theirs in (("n", "n"), ("n_events", "n_events"), ("mean_predicted", "mean_predicted"),
                            ("observed", "value"), ("low", "low"), ("high", "high")):  # fmt: skip
            yield found[own], want[theirs].astype(float)


def tenths_of_risk_regression() -> Pairs:
    for name in ("lung", "pbc"):
        found, want = _judge(name).groups, JUDGED[name]["riskRegression"]
        yield found["mean_predicted"], want["predicted"]
        yield found["observed"], want["observed"]


def event_intercept_and_slope() -> Pairs:
    for name in FITTED:
        for link in ("cloglog", "logit"):
            found, want = _judge(name, link=link), JUDGED[name][link]
            for own, key in ((found.intercept, "intercept"), (found.intercept_joint, "joint"), (found.slope, "slope")):
                half = Z95 * want[f"{key}_se"]
                yield estimate(own), [want[key], want[key] - half, want[key] + half]


def event_curve() -> Pairs:
    for name in FITTED:
        found, want = _judge(name), JUDGED[name]["curve"]
        measures = ("ici", "e50", "e90", "emax")
        yield [getattr(found, m) for m in measures], [want[m] for m in measures]
        for at, value, se in zip(want["at"], want["value"], want["se"], strict=True):
            yield (
                found.curve.iloc[(found.curve["event_risk"] - at).abs().argmin()],
                [at, value, value - Z95 * se, value + Z95 * se],
            )


def pseudo() -> Pairs:
    for name in CASES:
        rows, asked = event_calibration.case(name)
        found = analysis.pseudo_values(
            rows[rows["p"].notna()], endpoint=asked["endpoint"], horizons_days=[asked["horizon_days"]]
        )["pseudo_value"]
        for key in ("pseudo", "prodlim"):
            yield found[: len(JUDGED[name][key])], JUDGED[name][key]
        yield found.mean(), JUDGED[name]["pseudo_mean"]


def benefit() -> Pairs:
    for name in CASES:
        (rows, asked), want = event_calibration.case(name), JUDGED[name]["benefit"]
        table_ = analysis.survival_net_benefit(rows, **asked, thresholds=want["threshold"], n_bootstrap=1).table
        table_ = table_.set_index("model_id")
        yield table_.loc["model", "net_benefit"], want["model"]
        yield table_.loc["treat_all", "net_benefit"], want["all"]
        yield table_.loc["model", "interventions_avoided"], want["avoided"]


def benefit_bands() -> Pairs:
    for name in ("lung", "pbc"):
        (rows, asked), want = event_calibration.case(name), JUDGED["boot"][name]
        found = analysis.survival_net_benefit(rows, **asked, thresholds=[want["threshold"]], n_bootstrap=3000).table
        for row, key in ((found.iloc[0], "model"), (found.iloc[1], "all")):
            yield row[["low", "high"]], want[key]
        yield found.loc[0, ["avoided_low", "avoided_high"]] / 100, np.array(want["avoided"]) / 100


FILE, CALIBRATION = "event_risk.json", "event_calibration.json lung.csv pbc.csv mgus.csv tiny_survival.csv"
TABLES = FILE + " lung.csv pbc.csv mgus.csv"
SCORE = in_r("riskRegression::Score", FILE)
PROBABILITIES = (
    Check("P(event by a day), Cox", "predict_event", in_r("survival::survfit", FILE), "lung, heavy ties; strata",
          TABLES, lambda: predicted("cox"), 1e-10),
    Check("P(event by a day), Fine and Gray", "predict_event", in_r("cmprsk::predict.crr", FILE), "mgus2, pbc in years",
          TABLES, lambda: predicted("fg"), 1e-6),
    Check("P(event by a day), all causes modelled", "predict_event", in_r("riskRegression::CSC", FILE),
          "mgus2, pbc in quarters", TABLES, lambda: predicted("csc"), 1e-10),
    Check("Baseline hazard", "baseline_hazard", in_r("survival::basehaz", FILE) + ", crr", "lung, mgus2, pbc", TABLES,
          baseline, 1e-6),
)  # fmt: skip
ACCURACY = (
    Check("AUC at a day, and differences of two", "time_dependent_auc, compare_time_dependent_aucs", SCORE,
          "lung, pbc, mgus2, pbc in years", TABLES, areas, 1e-10, remark="cases 1/G(T-), controls 1/G(t)"),
    Check("Half widths of their intervals", "time_dependent_auc, compare_time_dependent_aucs", SCORE,
          "lung, pbc, mgus2, pbc in years", TABLES, errors_of_areas, 2e-3,
          remark="on purpose: under ties riskRegression approximates the term for the estimated censoring, we do not"),
    Check("P of a difference", "compare_time_dependent_aucs", SCORE, "lung, pbc, mgus2, pbc in years", TABLES,
          p_of_gaps, 2e-3, absolute=True, remark="on purpose: from those half widths"),
    Check("The same with event-free controls", "time_dependent_auc", "R timeROC::timeROC (0.4.1)", "pbc (418), mgus2",
          FILE + " pbc_bili.csv mgus.csv", areas_of_time_roc, 1e-5,
          remark="timeROC leaves out events exactly at the day: compared at days without one"),
    Check("Uno's C", "uno_c", in_r("survival::concordance", "survival_reference.csv") + ", n/G2", "pbc, heavy ties",
          "survival_reference.csv pbc.csv lung.csv", uno, 1e-10, remark="events before censorings at ties, G(T-)"),
    Check("Brier score, of no model, scaled", "brier_survival", SCORE, "lung, pbc, mgus2, pbc in years, tiny25",
          TABLES + " tiny_survival.csv", brier, 1e-10),
    Check("Half widths of its interval", "brier_survival", SCORE, "lung, pbc, mgus2, pbc in years, tiny25",
          TABLES + " tiny_survival.csv", errors_of_brier, 0.06,
          remark="on purpose: as for the AUC at a day, most under heavy ties"),
    Check("Brier score on a grid, integrated", "brier_survival, integrated_brier", in_r("pec::pec", FILE), "pbc",
          TABLES, integrated, 1e-10, remark="trapezoid over the grid; pec::crps sums left steps from 0"),
)  # fmt: skip
EVENT_CALIBRATION = (
    Check("Pseudo-observations", "pseudo_values", in_r("prodlim::jackknife", "event_calibration.json"),
          "lung, pbc, mgus2, tiny25, heavy ties", CALIBRATION, pseudo, 1e-8),
    Check("Observed, predicted, O:E by two formulas", "calibrate_event_risk", "R survival::survfit, base R 4.2.2",
          "lung, pbc, mgus2, tiny25, heavy ties", CALIBRATION, observed_and_predicted, 1e-10),
    Check("Tenths of risk with limits", "calibrate_event_risk", "R survival::survfit, base R 4.2.2",
          "lung, pbc, mgus2, tiny25, heavy ties", CALIBRATION, tenths, 1e-10),
    Check("The same", "calibrate_event_risk", in_r("riskRegression::plotCalibration", "event_calibration.json"),
          "lung, pbc", CALIBRATION, tenths_of_risk_regression, 1e-10),
    Check("Intercept and slope, two links", "calibrate_event_risk", in_r("geepack::geese", "event_calibration.json"),
          "lung, pbc, mgus2, heavy ties", CALIBRATION, event_intercept_and_slope, 1e-9),
    Check("The curve with its band; ICI, E50, E90, Emax", "calibrate_event_risk",
          "R stats::loess, surface = direct (R 4.2.2)", "lung, pbc, mgus2, heavy ties", CALIBRATION, event_curve, 1e-9),
    Check("Net benefit by a day", "survival_net_benefit", "R survival::survfit within p >= t, base R 4.2.2",
          "lung, pbc, mgus2, tiny25, heavy ties", CALIBRATION, benefit, 1e-10,
          remark="the definition; Python's dcurves takes survival for the risk"),
    Check("Its bands; interventions avoided, of 1", "survival_net_benefit", "base R 4.2.2, a loop", "lung, pbc",
          CALIBRATION, benefit_bands, 0.015, absolute=True, remark="by chance"),
)  # fmt: skip
CHECKS = PROBABILITIES + ACCURACY + EVENT_CALIBRATION

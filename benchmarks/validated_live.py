"""Python's own packages beside ours, in the same process on made-up patients: no stored number is needed."""

from __future__ import annotations

import math
import warnings
from functools import cache

import lifelines
import numpy as np
import pandas as pd
import statsmodels.api as sm
from lifelines.statistics import logrank_test, proportional_hazard_test
from lifelines.utils import restricted_mean_survival_time
from sklearn.metrics import brier_score_loss, confusion_matrix, log_loss, roc_auc_score
from sksurv import metrics
from sksurv.linear_model import CoxPHSurvivalAnalysis
from sksurv.util import Surv
from statsmodels.duration.hazard_regression import PHReg
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from benchmarks.validation_parts import Check, Pairs, beside
from onlm_lab import analysis

N_PATIENTS, SEED = 600, 20260115
HORIZONS = [365.0, 730.0, 1095.0]
THRESHOLD = 0.25


@cache
def made() -> pd.DataFrame:
    """MADE-UP DATA: 600 patients whose risk is known; no two events, and no event and censoring, on one day."""
    rng = np.random.default_rng(SEED)
    logit = rng.normal(-1.4, 1.1, N_PATIENTS)
    risk = 1 / (1 + np.exp(-logit))
    onlm = (rng.uniform(size=N_PATIENTS) < risk).astype(int)
    male = rng.integers(0, 2, N_PATIENTS)
    death = rng.exponential(2600 * np.exp(-1.5 * risk - 0.3 * male))
    regional = rng.exponential(4000 * np.exp(-2.5 * risk))
    end = rng.uniform(900, 2900, N_PATIENTS)
    first = np.minimum(death, regional)
    state = np.where(first > end, 0, np.where(regional < death, 1, 2))
    return pd.DataFrame({
        "patient_id": [f"P{i:03d}" for i in range(N_PATIENTS)], "onlm": onlm, "risk": risk, "male": male,
        "sex": np.where(male == 1, "male", "female"), "smoking": rng.choice(["current", "former", "never"], N_PATIENTS),
        "centre": rng.choice(list("ABCD"), N_PATIENTS), "os_days": np.minimum(death, end),
        "os_event": (death <= end).astype(int), "regional_days": np.minimum(first, end), "regional_state": state,
        "score": logit, "told": 1 - np.exp(-1095 / 2600 * np.exp(1.5 * risk + 0.3 * male)),
    })  # fmt: skip


@cache
def two_models() -> pd.DataFrame:
    rows, rng = made(), np.random.default_rng(SEED + 1)
    blurred = 1 / (1 + np.exp(-(rows["score"] + rng.normal(0, 0.8, len(rows)))))
    return pd.concat([rows.assign(model_id="a"), rows.assign(model_id="b", risk=blurred)], ignore_index=True)


def outcome() -> np.ndarray:
    return Surv.from_arrays(made()["os_event"] == 1, made()["os_days"])


def area_and_brier() -> Pairs:
    rows = made()
    yield analysis.roc(rows).auc.value, roc_auc_score(rows["onlm"], rows["risk"])
    yield analysis.assess_calibration(rows).brier.value, brier_score_loss(rows["onlm"], rows["risk"])
    for statistic, peer in (("brier", brier_score_loss), ("auc", roc_auc_score)):
        own = analysis.bootstrap(rows, statistic=statistic, n_resamples=2).estimate.value
        yield own, peer(rows["onlm"], rows["risk"])


def logistic() -> Pairs:
    rows = made()
    x, family = np.log(rows["risk"] / (1 - rows["risk"])), sm.families.Binomial()
    exact = {"tol": 1e-14, "tol_criterion": "params", "maxiter": 200}
    large = sm.GLM(rows["onlm"], np.ones(len(rows)), family=family, offset=x).fit(**exact)
    joint = sm.GLM(rows["onlm"], sm.add_constant(x.to_numpy()), family=family).fit(**exact)
    got = analysis.assess_calibration(rows)
    for own, fit, i in ((got.intercept, large, 0), (got.intercept_joint, joint, 0), (got.slope, joint, 1)):
        yield [own.value, own.low, own.high], [fit.params.iloc[i], *fit.conf_int().iloc[i]]
    assert math.isclose(-joint.llf / len(rows), log_loss(rows["onlm"], joint.fittedvalues), rel_tol=1e-9)


def wilson() -> Pairs:
    rows = made()
    tn, fp, fn, tp = confusion_matrix(rows["onlm"], rows["risk"] >= THRESHOLD).ravel()
    got = analysis.operating_points(rows, rules=[THRESHOLD]).table.iloc[0]
    one = analysis.operating_point(rows, threshold=THRESHOLD)
    of = {"sensitivity": (tp, tp + fn), "specificity": (tn, tn + fp), "ppv": (tp, tp + fp), "npv": (tn, tn + fn)}
    for name, (count, total) in of.items():
        want = [count / total, *proportion_confint(count, total, method="wilson")]
        yield got[[name, f"{name}_low", f"{name}_high"]], want
        yield [getattr(one, name).value, getattr(one, name).low, getattr(one, name).high], want


def paired_calls() -> Pairs:
    got = analysis.compare_operating_points(
        two_models(), model_a="a", model_b="b", threshold_a=THRESHOLD, threshold_b=THRESHOLD
    ).table
    for row in got.to_dict("records"):
        table = [[row["n_both"], row["n_only_a"]], [row["n_only_b"], row["n_neither"]]]
        yield row["p_exact"], mcnemar(table, exact=True).pvalue
        yield row["p_value"], mcnemar(table, exact=False, correction=False).pvalue
        if row["n_only_a"] != row["n_only_b"]:
            yield row["p_corrected"], mcnemar(table, exact=False, correction=True).pvalue


def adjusted() -> Pairs:
    found = analysis.by_subgroup(made(), columns=["sex", "smoking", "centre"], threshold=THRESHOLD).interaction
    for own, method in (("p_holm", "holm"), ("p_bh", "fdr_bh")):
        yield found[own], multipletests(found["p_value"], method=method)[1]


def _of(group: str, table: pd.DataFrame) -> pd.DataFrame:
    return table[table["group"] == group]


def survival() -> Pairs:
    for sex, rows in made().groupby("sex"):
        peer = lifelines.KaplanMeierFitter().fit(rows["os_days"], rows["os_event"])
        at = _of(sex, analysis.kaplan_meier(made(), by="sex").at(days=HORIZONS))
        limits = peer.confidence_interval_survival_function_
        place = [peer.survival_function_.index.searchsorted(day, side="right") - 1 for day in HORIZONS]
        yield at["survival"], peer.survival_function_at_times(HORIZONS)
        yield at[["low", "high"]], limits.iloc[place]


def card() -> Pairs:
    """The outcome card reads the same curves."""
    table = analysis.outcome_card(made(), by="sex", horizon_days=1095, endpoints=["os", "regional"]).table
    for sex, rows in made().groupby("sex"):
        peer = lifelines.KaplanMeierFitter().fit(rows["os_days"], rows["os_event"])
        own = _of(sex, table).set_index("endpoint")["value"]
        yield own[["os", "regional"]], [*peer.survival_function_at_times([1095]), _incidence(rows, 1095)]


def _incidence(rows: pd.DataFrame, day: float) -> float:
    right = sm.duration.CumIncidenceRight(rows["regional_days"], rows["regional_state"])
    return right.cinc[0][np.searchsorted(right.times, day, side="right") - 1]


def incidence() -> Pairs:
    for sex, rows in made().groupby("sex"):
        at = _of(sex, analysis.cumulative_incidence(made(), by="sex").at(days=HORIZONS))
        yield at[at["cause"] == 1]["incidence"], [_incidence(rows, day) for day in HORIZONS]


def log_rank() -> Pairs:
    rows, male = made(), made()["male"] == 1
    own = analysis.log_rank(rows, endpoint="os", by="sex")
    peer = logrank_test(rows["os_days"][male], rows["os_days"][~male], rows["os_event"][male], rows["os_event"][~male])
    yield [own.chi2, own.p_value], [peer.test_statistic, peer.p_value]
    chi2, p = sm.duration.survdiff(rows["os_days"], rows["os_event"], rows["sex"])
    yield [own.chi2, own.p_value], [chi2, p]


def mean_time() -> Pairs:
    table = analysis.rmst(made(), endpoint="os", by="sex", tau_days=1095).table.set_index("group")
    for sex, rows in made().groupby("sex"):
        peer = lifelines.KaplanMeierFitter().fit(rows["os_days"], rows["os_event"])
        yield table.loc[sex, "rmst_days"], restricted_mean_survival_time(peer, t=1095)


def _tied() -> pd.DataFrame:
    return made().assign(os_days=np.ceil(made()["os_days"] / 90))


def cox() -> Pairs:
    for rows in (made(), _tied()):
        frame = rows[["os_days", "os_event", "score", "male"]]
        peer = lifelines.CoxPHFitter().fit(frame, "os_days", "os_event", fit_options={"precision": 1e-13})
        columns = frame[["score", "male"]].astype(float)
        other = PHReg(rows["os_days"], columns, status=rows["os_event"], ties="efron").fit()
        fit = analysis.cox(rows, endpoint="os", covariates=["score", "male"])
        yield fit.table["coef"], peer.params_
        yield fit.table["se"], peer.standard_errors_
        yield fit.log_likelihood, peer.log_likelihood_
        yield fit.table["coef"], other.params
        yield fit.table["se"], other.bse


def proportional() -> Pairs:
    rows = made()[["os_days", "os_event", "score", "male"]]
    peer = lifelines.CoxPHFitter().fit(rows, "os_days", "os_event")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = proportional_hazard_test(peer, rows, time_transform="km").summary["p"]
    own = analysis.cox(made(), endpoint="os", covariates=["score", "male"], transform="km").ph_test
    yield own.set_index("covariate").loc[["score", "male"], "p_value"], theirs.loc[["score", "male"]]


def event_probability() -> Pairs:
    rows = made()
    peer = CoxPHSurvivalAnalysis(ties="efron", tol=1e-12).fit(rows[["score", "male"]].to_numpy(float), outcome())
    steps = peer.predict_survival_function(rows[["score", "male"]].to_numpy(float)[:50])
    own = analysis.predict_event(
        rows[:50], fitted_on=rows, endpoint="os", covariates=["score", "male"], horizons_days=HORIZONS
    )
    yield own["event_risk"].to_numpy().reshape(50, -1), [[1 - step(day) for day in HORIZONS] for step in steps]


def cross_fitted() -> Pairs:
    """Each fold's patients told by a model of the others."""
    rows = made().assign(fold=np.arange(N_PATIENTS) % 5)
    own = analysis.event_risk(rows, endpoint="os", horizons_days=[1095], covariates=["score", "male"], by=None)
    own = own.set_index("patient_id")["event_risk"]
    for fold in range(5):
        inside = (rows["fold"] == fold).to_numpy()
        x = rows[["score", "male"]].to_numpy(float)
        peer = CoxPHSurvivalAnalysis(ties="efron", tol=1e-12).fit(x[~inside], outcome()[~inside])
        told = [1 - step(1095.0) for step in peer.predict_survival_function(x[inside])]
        yield own[rows["patient_id"][inside]], told


def quarters() -> Pairs:
    found = analysis.group_by_risk(made(), rule="quantiles", n=4)["risk_group"].cat.codes
    yield found, pd.qcut(made()["risk"], 4, labels=False)


def concordances() -> Pairs:
    rows, y = made(), outcome()
    fit = analysis.cox(rows, endpoint="os", covariates=["score"])
    want = metrics.concordance_index_censored(rows["os_event"] == 1, rows["os_days"], rows["score"], tied_tol=0)[0]
    yield fit.concordance.value, max(want, 1 - want)
    own = analysis.uno_c(rows, endpoint="os", tau_days=1095, score="score")
    yield own.value, metrics.concordance_index_ipcw(y, y, rows["score"].to_numpy(), tau=1095, tied_tol=0)[0]


def areas_over_time() -> Pairs:
    own = analysis.time_dependent_auc(made(), endpoint="os", horizons_days=HORIZONS, score="score")
    yield own["value"], metrics.cumulative_dynamic_auc(outcome(), outcome(), made()["score"], HORIZONS, tied_tol=0)[0]


def brier_over_time() -> Pairs:
    names = [f"p{k}" for k in range(len(HORIZONS))]
    rows = made().assign(**{f"p{k}": made()["told"] ** (3 - k) for k in range(len(HORIZONS))})
    asked = {"endpoint": "os", "horizons_days": HORIZONS, "event_risk": names}
    survives = 1 - rows[names].to_numpy()
    each = metrics.brier_score(outcome(), outcome(), survives, HORIZONS)[1]
    yield analysis.brier_survival(rows, **asked)["value"], each
    whole = metrics.integrated_brier_score(outcome(), outcome(), survives, HORIZONS)
    yield analysis.integrated_brier(rows, **asked).value, whole


LIFELINES, STATSMODELS, SKSURV = "lifelines", "statsmodels", "scikit-survival"
MADE, TIED = f"{N_PATIENTS} made-up patients", f"{N_PATIENTS} made-up patients; the same with heavy ties"
CHECKS = (
    Check("AUC, Brier score", "roc, assess_calibration, bootstrap", beside("scikit-learn", "metrics"), MADE, "",
          area_and_brier, 1e-10),
    Check("Intercept with slope 1, joint intercept, slope", "assess_calibration", beside(STATSMODELS, "GLM"), MADE, "",
          logistic, 1e-10),
    Check("Sensitivity, specificity, PPV, NPV with limits", "operating_point, operating_points",
          beside(STATSMODELS, "proportion_confint"), MADE, "", wilson, 1e-10),
    Check("Two models in the same patients: McNemar", "compare_operating_points", beside(STATSMODELS, "mcnemar"), MADE,
          "", paired_calls, 1e-10,
          remark="two equal counts leave nothing to correct in R and here; statsmodels corrects them still"),
    Check("Holm, Benjamini-Hochberg", "by_subgroup", beside(STATSMODELS, "multipletests"), MADE, "", adjusted, 1e-10),
    Check("Survival with limits", "kaplan_meier", beside(LIFELINES, "KaplanMeierFitter"), MADE, "", survival, 1e-10),
    Check("The outcome card's survival and incidence", "outcome_card",
          beside(LIFELINES, "KaplanMeierFitter") + "; statsmodels", MADE, "", card, 1e-10),
    Check("Cumulative incidence", "cumulative_incidence", beside(STATSMODELS, "CumIncidenceRight"), MADE, "", incidence,
          1e-10),
    Check("Log-rank test", "log_rank", beside(LIFELINES, "logrank_test") + "; statsmodels survdiff", MADE, "", log_rank,
          1e-10),
    Check("Restricted mean", "rmst", beside(LIFELINES, "restricted_mean_survival_time"), MADE, "", mean_time, 1e-10,
          remark="its variance is another thing: see above"),
    Check("Cox: coefficients, errors, likelihood", "cox", beside(LIFELINES, "CoxPHFitter") + "; statsmodels PHReg",
          TIED, "", cox, 1e-6),
    Check("P of proportional hazards", "cox", beside(LIFELINES, "proportional_hazard_test"), MADE, "", proportional,
          0.05, absolute=True,
          remark="on purpose: lifelines has the approximation of 1994, ours is the exact score test"),
    Check("P(event by a day)", "predict_event", beside(SKSURV, "CoxPHSurvivalAnalysis"), MADE, "", event_probability,
          1e-10),
    Check("The same told by a model of the other folds", "event_risk", beside(SKSURV, "CoxPHSurvivalAnalysis"), MADE,
          "", cross_fitted, 1e-10),
    Check("Quarters of risk", "group_by_risk", beside("pandas", "qcut"), MADE, "", quarters, 1e-10),
    Check("Harrell's C, Uno's C", "cox, uno_c", beside(SKSURV, "concordance_index_censored, _ipcw"), MADE, "",
          concordances, 1e-10),
    Check("AUC at a day", "time_dependent_auc", beside(SKSURV, "cumulative_dynamic_auc"), MADE, "", areas_over_time,
          1e-10, remark="weights 1/G(T), ours 1/G(T-): the same, as nobody dies on a day of censoring"),
    Check("Brier score at a day, integrated", "brier_survival, integrated_brier", beside(SKSURV, "brier_score"), MADE,
          "", brier_over_time, 1e-10),
)  # fmt: skip

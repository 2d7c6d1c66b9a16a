"""The report of the real table: every number on outcomes is that of another library, and no number is left over.

The table is not in the repository (skipped where it is absent). Python's libraries and the definitions carry nearly all
of it; Gray's test and the subdistribution hazard ratios only R has (skipped, and said, where R is absent).
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import outcome_claims as claims
import outcomes_elsewhere as by
import pandas as pd
import pytest
import statsmodels.api as sm
from lifelines.utils import concordance_index, restricted_mean_survival_time
from report_ledger import TOKEN, Ledger, bumped, section, words
from sksurv.metrics import brier_score, concordance_index_censored, cumulative_dynamic_auc
from sksurv.util import Surv

from onlm_lab import pipeline
from onlm_lab.cohort import nsclc_radiogenomics
from onlm_lab.study import load_study

SECTIONS = ("outcomes-surgery", "event-risk", "treatments")
SCRIPT = Path(__file__).parent / "reference" / "real_outcomes.R"
R_PACKAGES = ("survival", "cmprsk", "prodlim", "riskRegression")
HORIZON = claims.HORIZON


@pytest.fixture(scope="module")
def run(shared_data, tmp_path_factory):
    """The run of notebooks/08_real_table.py."""
    table = next(shared_data("nsclc_radiogenomics").glob("*.csv"))
    folder = nsclc_radiogenomics.write_study(table, tmp_path_factory.mktemp("real") / "study")
    return pipeline.run(folder, say=lambda _: None)


@pytest.fixture(scope="module")
def table(run):
    return claims.read(run.folder)


@pytest.fixture(scope="module")
def text(run):
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    return "\n".join(f"\n{words(section(page, id))}" for id in SECTIONS)


@pytest.fixture(scope="module")
def in_r(table, tmp_path_factory):
    """What R says of the same patients, or nothing where R or a package is not here."""
    if not _has_r():
        return {}
    columns = ["sd_risk", "age_years", "male", "high"]
    rows = table.rows.assign(**{f"{e}_told": table.probabilities(e, HORIZON) for e in claims.ENDPOINTS})
    columns += [f"{e}_{part}" for e in claims.ENDPOINTS for part in ("days", "state", "told")]
    file = tmp_path_factory.mktemp("r") / "patients.csv"
    rows[columns].to_csv(file, index=False)
    done = subprocess.run(["Rscript", "--vanilla", SCRIPT, file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-1500:]
    return {key: float(value) for key, value in (line.split(",") for line in done.stdout.split())}


def _has_r() -> bool:
    ask = f"q(status = !all(sapply(c({', '.join(map(repr, R_PACKAGES))}), requireNamespace, quietly = TRUE)))"
    return (
        bool(shutil.which("Rscript"))
        and subprocess.run(["Rscript", "--vanilla", "-e", ask], check=False).returncode == 0
    )


@pytest.fixture
def r(in_r):
    """R's numbers; the test is skipped without them."""
    if not in_r:
        pytest.skip(f"R WITH {', '.join(R_PACKAGES)} IS NOT HERE: Gray's P and subdistribution ratios stay unchecked")
    return in_r


@pytest.fixture(scope="module")
def expected(table, in_r):
    return claims.all_claims(table, in_r)


def settled(text: str, expected: list) -> Ledger:
    ledger = Ledger(text)
    for claim in expected:
        ledger.settle(claim)
    return ledger


def test_every_number_of_the_report_on_outcomes_is_another_librarys_and_none_is_left_over(text, expected):
    ledger = settled(text, expected)
    assert ledger.left_over() == []
    assert len(TOKEN.findall(text)) > 500


def test_with_r_no_number_is_taken_on_trust(text, expected, r):
    assert settled(text, expected).unproved == set()


def test_whichever_number_is_changed_the_check_fails(text, expected):
    """By one in its last digit: what the check does not see, it does not check."""
    unseen = []
    trusted = settled(text, expected).unproved
    for match in TOKEN.finditer(text):
        try:
            settled(bumped(text, match), expected)
        except AssertionError:
            continue
        if match.start() not in trusted:
            unseen.append(text[max(0, match.start() - 40) : match.end() + 20])
    assert unseen == []


def test_a_number_that_nobody_claims_is_left_over(text, expected):
    ledger = settled(f"{text}\nSo 12.3 % of 45 patients.", expected)
    assert [left.split()[0] for left in ledger.left_over()] == ["12.3", "45"]


def test_the_study_asks_for_what_the_table_supports(run, table):
    assert load_study(run.folder.parents[1]).analysis.endpoints == tuple(claims.ENDPOINTS)
    assert table.rows["cancer_death_state"].isin([0]).sum() + table.rows["cancer_death_state"].isna().sum() == 116
    assert [int((table.of(e)[1] == 1).sum()) for e in claims.ENDPOINTS] == [38, 48, 26, 5, 17]


def test_the_report_says_that_the_risk_separates_nobody(text):
    for said in (
        "does not separate N+ from N0 in internal testing (out-of-fold)", "no groups of lower and higher risk of N+",
        "the cut was chosen on these very patients", "lie above 0 at 0 of them",
    ):  # fmt: skip
        assert said in text


def test_higher_risk_is_worse_everywhere_so_that_ratios_areas_and_curves_point_one_way(table):
    """Turned upside down, each measure turns too; and the ratio agrees with the curves of the halves."""
    risk = table.rows["risk"].to_numpy()
    for endpoint in claims.ENDPOINTS:
        days, state = table.of(endpoint)
        area = by.area_at(risk, days, state, HORIZON)[0]
        assert area == pytest.approx(1 - by.area_at(-risk, days, state, HORIZON)[0])
        coef = by.cox(table.rows[["sd_risk"]], days, state == 1).params_["sd_risk"]
        turned = by.cox(-table.rows[["sd_risk"]], days, state == 1).params_["sd_risk"]
        assert coef == pytest.approx(-turned) and -0.4 < coef < 0.4
    died = {name: 100 - claims.value_at(table, "os", inside)[0] for name, inside in table.halves.items()}
    assert died["low risk"] > died["high risk"]
    assert claims.ratio_of_halves(table, {}, "os")[0] < 1 and by.area_at(risk, *table.of("os"), HORIZON)[0] < 0.5


def test_the_definitions_are_those_of_scikit_survival_statsmodels_and_lifelines(table):
    """The AUC of scikit-survival takes 1 / G(T), ours 1 / G(T-): the same here, no event falls on a day of censoring.
    lifelines counts two events on one day as half a pair of its concordance, scikit-survival and R as none."""
    risk = table.rows["risk"].to_numpy()
    for endpoint in claims.SURVIVAL:
        days, state = table.of(endpoint)
        known, told = Surv.from_arrays(state == 1, days), table.probabilities(endpoint, HORIZON)
        area = cumulative_dynamic_auc(known, known, risk, [HORIZON])[0][0]
        assert area == pytest.approx(by.area_at(risk, days, state, HORIZON)[0], abs=1e-10)
        assert brier_score(known, known, 1 - told, HORIZON)[1][0] == pytest.approx(
            by.brier_at(told, days, state, HORIZON)[0], abs=1e-10
        )
        c = by.concordance(risk, days, state)
        assert c == pytest.approx(concordance_index_censored(state == 1, days, risk, tied_tol=0)[0], abs=1e-12)
        assert c == pytest.approx(concordance_index(days, -risk, state), abs=2e-4)
        efron = sm.PHReg(
            days, table.rows[["sd_risk", "age_years", "male"]].astype(float), status=state, ties="efron"
        ).fit()
        fitted = by.cox(table.rows[["sd_risk", "age_years", "male"]], days, state)
        assert efron.params == pytest.approx(fitted.params_.to_numpy(), abs=1e-6)
        assert efron.bse == pytest.approx(fitted.standard_errors_.to_numpy(), abs=1e-6)
        for inside in table.halves.values():
            curve = by.KaplanMeierFitter().fit(*table.of(endpoint, inside))
            mean = by.mean_time(*table.of(endpoint, inside), HORIZON)[0]
            assert restricted_mean_survival_time(curve, t=HORIZON) == pytest.approx(mean)
    for endpoint in claims.COMPETING:
        days, state = table.of(endpoint)
        right = sm.duration.CumIncidenceRight(days, state.astype(int))
        k = np.searchsorted(right.times, HORIZON, side="right") - 1
        assert right.cinc[0][k] == pytest.approx(by.incidence_at(days, state, HORIZON)[0], abs=1e-12)


def test_the_probabilities_come_from_folds_that_did_not_see_the_patient(table):
    """event_risk.csv (six decimals) again: lifelines' Cox and Fine and Gray's definition, fitted on the other folds.
    lifelines has Breslow's baseline beside Efron's coefficients: of rfs, two pairs of events fall on one day."""
    x, fold = table.rows["risk"].to_numpy(), table.rows["fold"].to_numpy()
    for endpoint in claims.ENDPOINTS:
        days, state = table.of(endpoint)
        told = table.probabilities(endpoint, HORIZON)
        if endpoint == "regional":
            assert np.isnan(told).all()
            continue
        again = np.empty(len(x))
        for number in np.unique(fold):
            own, others = fold == number, fold != number
            if endpoint in claims.COMPETING:
                again[own] = by.fine_gray(x[others], days[others], state[others])[1](HORIZON, x[own])
                continue
            scaled = pd.DataFrame({"x": 100 * x})
            fitted = by.cox(scaled[others], days[others], state[others])
            steps = fitted.predict_survival_function(scaled[own])  # asked at a day it would draw lines between steps
            again[own] = 1 - steps[steps.index <= HORIZON].iloc[-1]
        ties = endpoint == "rfs"
        assert np.abs(again - told).max() < (5e-4 if ties else 1e-6), endpoint


def test_the_definitions_are_those_of_r(table, r):
    risk = table.rows["sd_risk"].to_numpy()
    for endpoint in claims.ENDPOINTS:
        days, state = table.of(endpoint)
        alone = by.cox(table.rows[["sd_risk"]], days, state == 1)
        found = {"ph_p": by.proportional_p(risk, days, state == 1, float(alone.params_["sd_risk"]))}
        _, _, (found["c_difference"], low, high) = claims.added(table, days, state == 1)
        found["c_error"] = (high - low) / (2 * by.Z)
        found["auc"], low, high = by.area_at(risk, days, state, HORIZON)
        found["auc_error"] = (high - low) / (2 * by.Z)
        if endpoint in claims.SURVIVAL:
            for i, inside in enumerate(table.halves.values(), start=1):
                mean = by.mean_time(*table.of(endpoint, inside), HORIZON)
                found |= dict(zip((f"rmean_{i}", f"rmean_error_{i}"), mean, strict=True))
        else:
            found["shr_sd"] = by.fine_gray(risk, days, state)[0]
        if endpoint != "regional":
            told = table.probabilities(endpoint, HORIZON)
            found["brier"], low, high = by.brier_at(told, days, state, HORIZON)
            found["brier_error"] = (high - low) / (2 * by.Z)
        for name, value in found.items():
            # riskRegression divides by n where ours has n - 1
            within = 0.005 * value if name in ("auc_error", "brier_error") else 1e-5 * max(1.0, abs(value))
            assert value == pytest.approx(r[f"{endpoint}/{name}"], abs=within), f"{endpoint} {name}"

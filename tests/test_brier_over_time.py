"""The Brier score at a day against riskRegression and pec (make_event_risk.R), scikit-survival and first principles."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from survival_reference import COMPETING, REFERENCE, table

from onlm_lab.analysis import brier_survival, integrated_brier
from onlm_lab.errors import OnlmError

R = json.loads((REFERENCE / "event_risk.json").read_text(encoding="utf-8"))
Z = 1.959963984540054
PBC, LUNG = table("pbc"), table("lung").fillna({"ecog": 1})
MGUS = table("mgus", names=COMPETING).dropna(subset=["mspike"]).reset_index(drop=True)
YEARS = table("pbc", names=COMPETING).assign(regional_days=lambda d: d["regional_days"] // 365)
TINY = table("tiny_survival", names=COMPETING)


def standard(values: pd.Series) -> pd.Series:
    return (values - values.mean()) / values.std()


# rows, endpoint, the two scores, and how near the standard error is to R's, whose term for the estimated censoring
# treats ties only approximately
CASES = {
    "score_pbc": (PBC, "os", np.log(PBC["bili"]), PBC["age"], 1e-4),
    "score_mgus": (MGUS, "regional", MGUS["mspike"], MGUS["age"], 3e-3),
    "score_ties": (LUNG.assign(os_days=LUNG["os_days"] // 60), "os", LUNG["age"], LUNG["ecog"], 0.02),
    "score_coarse": (YEARS, "regional", YEARS["albumin"], YEARS["age"], 0.06),
    "score_tiny": (TINY, "regional", TINY["score"], TINY["score2"], 1e-3),
}


def with_probabilities(rows: pd.DataFrame, score: pd.Series, slope: float, n: int) -> tuple[pd.DataFrame, list[str]]:
    """The made-up predictions of make_event_risk.R."""
    names = [f"p{k}" for k in range(1, n + 1)]
    made = {f"p{k}": 1 / (1 + np.exp(1.5 - 0.4 * k - slope * standard(score))) for k in range(1, n + 1)}
    return rows.assign(**made), names


def trial(n: int, *, seed: int, competing: bool = False) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    own, other = rng.exponential(1500 * np.exp(-0.8 * x)), rng.exponential(3000, n)
    end = rng.uniform(200, 2500, n)
    first = np.minimum(own, other) if competing else own
    days, seen = np.minimum(first, end), first <= end
    rows = pd.DataFrame({"patient_id": np.arange(n).astype(str), "p": 1 - np.exp(-1000 / 1500 * np.exp(0.8 * x))})
    if competing:
        return rows.assign(regional_days=days, regional_state=np.where(~seen, 0, np.where(own < other, 1, 2)))
    return rows.assign(os_days=days, os_event=seen.astype(int))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("model", "slope"), [("a", 1.0), ("b", 0.7)])
def test_score_reference_and_error_equal_those_of_risk_regression(case, model, slope):
    rows, endpoint, of_a, of_b, near = CASES[case]
    expected = pd.DataFrame(R[case]["brier"])
    rows, names = with_probabilities(rows, of_a if model == "a" else of_b, slope, len(R[case]["times"]))
    found = brier_survival(rows, endpoint=endpoint, horizons_days=R[case]["times"], event_risk=names)
    theirs, null = expected[expected["model"] == model], expected[expected["model"] == "Null model"]
    np.testing.assert_allclose(found["value"], theirs["Brier"], rtol=1e-12)
    np.testing.assert_allclose(found["reference"], null["Brier"], rtol=1e-12)
    np.testing.assert_allclose(found["scaled"], 1 - theirs["Brier"].to_numpy() / null["Brier"].to_numpy(), atol=1e-12)
    low = np.maximum(0, found["value"] - Z * theirs["se"].to_numpy())
    half = found["value"] - low
    np.testing.assert_allclose(found["value"] - found["low"], half, rtol=near)


def test_scores_and_their_integral_equal_those_of_pec():
    grid = R["pec_pbc"]["grid"]
    slope = standard(np.log(PBC["bili"]))
    rows = PBC.assign(**{f"p{t}": 1 / (1 + np.exp(3 - t / 1500 - slope)) for t in grid})
    names = [f"p{t}" for t in grid]
    found = brier_survival(rows, endpoint="os", horizons_days=grid, event_risk=names)
    np.testing.assert_allclose(found["value"], R["pec_pbc"]["brier"], rtol=1e-12)
    np.testing.assert_allclose(found["reference"], R["pec_pbc"]["reference"], rtol=1e-12)
    whole = integrated_brier(rows, endpoint="os", horizons_days=grid, event_risk=names)
    assert whole.value == pytest.approx(R["pec_pbc"]["integrated"], rel=1e-12)
    assert whole.low < whole.value < whole.high and "trapezoid over 15 days from 200 to 3000" in whole.method
    assert whole.note == "108 events up to day 3000 in 312 patients"


def test_scikit_survival_finds_the_same_scores_and_integral():
    metrics = pytest.importorskip("sksurv.metrics")
    rows, grid = trial(300, seed=3), [200.0, 600.0, 1000.0, 1400.0]
    rows = rows.assign(**{f"p{k}": rows["p"] ** (4 - k) for k in range(4)})
    names = [f"p{k}" for k in range(4)]
    y = np.array([(bool(e), d) for e, d in zip(rows["os_event"], rows["os_days"], strict=True)], dtype="?,f8")
    _, theirs = metrics.brier_score(y, y, 1 - rows[names].to_numpy(), grid)
    found = brier_survival(rows, endpoint="os", horizons_days=grid, event_risk=names)
    np.testing.assert_allclose(found["value"], theirs, rtol=1e-10)
    whole = integrated_brier(rows, endpoint="os", horizons_days=grid, event_risk=names)
    assert whole.value == pytest.approx(metrics.integrated_brier_score(y, y, 1 - rows[names].to_numpy(), grid))


def weighted_brier(days, state, risk, case_weight, horizon) -> float:
    """The score of patients who count case_weight times, written anew and slowly."""
    free, at_horizon = np.ones(len(days)), 1.0
    for u in np.unique(days[state == 0]):
        still = case_weight[(days > u) | ((days == u) & (state == 0))].sum()
        stays = 1 - case_weight[(days == u) & (state == 0)].sum() / still
        free[days > u] *= stays
        at_horizon *= stays if u <= horizon else 1.0
    settled, later = (days <= horizon) & (state != 0), days > horizon
    had = (state == 1) & (days <= horizon)
    weight = settled / free + later / (at_horizon if later.any() else 1.0)
    return float((case_weight * weight * (had - risk) ** 2).sum() / case_weight.sum())


@pytest.mark.parametrize("competing", [False, True])
def test_the_error_is_the_infinitesimal_jackknife_with_heavy_ties(competing):
    rows = trial(60, seed=5, competing=competing)
    endpoint, kind = ("regional", "state") if competing else ("os", "event")
    rows[f"{endpoint}_days"] = np.ceil(rows[f"{endpoint}_days"] / 250)
    days, state, risk = (rows[c].to_numpy(float) for c in (f"{endpoint}_days", f"{endpoint}_{kind}", "p"))
    found = brier_survival(rows, endpoint=endpoint, horizons_days=[4], event_risk="p").iloc[0]
    once = np.ones(60)
    assert found["value"] == pytest.approx(weighted_brier(days, state, risk, once, 4), rel=1e-12)
    step, influence = 1e-5, []
    for i in range(60):
        up, down = (weighted_brier(days, state, risk, once + sign * step * (np.arange(60) == i), 4) for sign in (1, -1))
        influence.append((up - down) / (2 * step))
    se = math.sqrt(sum(v**2 for v in influence) * 60 / 59)
    assert (found["high"] - found["low"]) / 2 == pytest.approx(Z * se, rel=1e-6)


def test_without_censoring_it_is_the_mean_squared_distance():
    rows = trial(200, seed=6).assign(os_event=1)
    had = rows["os_days"] <= 800
    found = brier_survival(rows, endpoint="os", horizons_days=[800], event_risk="p").iloc[0]
    distance = (had - rows["p"]) ** 2
    assert found["value"] == pytest.approx(distance.mean()) and found["reference"] == pytest.approx(had.var(ddof=0))
    assert found["high"] - found["value"] == pytest.approx(Z * distance.std() / math.sqrt(200))


def test_who_knew_is_better_than_who_guessed_and_that_better_than_the_reverse():
    rows = trial(400, seed=7).assign(os_event=1)
    had = (rows["os_days"] <= 800).astype(float)
    rows = rows.assign(knew=had, guessed=had.mean(), wrong=1 - had)
    scores = [brier_survival(rows, endpoint="os", horizons_days=[800], event_risk=c).iloc[0] for c in
              ("knew", "guessed", "wrong")]  # fmt: skip
    assert [round(s["scaled"], 9) for s in scores][:2] == [1, 0] and scores[2]["scaled"] < -1
    assert scores[0]["value"] == 0 and scores[2]["value"] == pytest.approx(1)


def test_all_censored_one_event_and_beyond_the_follow_up_are_said():
    rows = trial(50, seed=8)
    nobody = brier_survival(rows.assign(os_event=0), endpoint="os", horizons_days=[700], event_risk="p").iloc[0]
    assert math.isnan(nobody["value"]) and nobody["note"] == "no event up to day 700 in 50 patients"
    first = rows["os_days"].rank() == 1
    one = brier_survival(rows.assign(os_event=first.astype(int)), endpoint="os", horizons_days=[700], event_risk="p")
    assert np.isfinite(one["value"][0]) and math.isnan(one["low"][0]) and one["note"][0] == "no interval from one event"
    late = brier_survival(rows.assign(os_event=(rows["os_days"] < 500).astype(int)), endpoint="os",
                          horizons_days=[9000], event_risk="p").iloc[0]  # fmt: skip
    assert math.isnan(late["value"]) and late["note"] == "nobody is followed beyond day 9000"
    few = brier_survival(TINY.assign(p=0.1), endpoint="regional", horizons_days=[3], event_risk="p").iloc[0]
    assert few["note"] == "few events: 4; the interval is too narrow"


def test_when_everybody_died_a_later_day_is_known():
    rows = trial(50, seed=8).assign(os_event=1)
    found = brier_survival(rows, endpoint="os", horizons_days=[99999], event_risk="p").iloc[0]
    assert found["value"] == pytest.approx(((1 - rows["p"]) ** 2).mean())


def test_patients_without_a_prediction_are_counted_and_leave_the_others_alone():
    rows = trial(120, seed=9)
    some = rows.assign(p=rows["p"].where(np.arange(120) >= 20))
    found = brier_survival(some, endpoint="os", horizons_days=[700], event_risk="p")
    assert found["n_excluded"][0] == 20 and found["n"][0] == 100
    alone = brier_survival(rows[20:], endpoint="os", horizons_days=[700], event_risk="p")
    assert found["value"][0] == pytest.approx(alone["value"][0], rel=1e-12)
    whole = integrated_brier(some, endpoint="os", horizons_days=[400, 700], event_risk=["p", "p"])
    assert whole.note.endswith("in 100 patients; 20 left out")
    none = integrated_brier(rows.assign(p=np.nan), endpoint="os", horizons_days=[400, 700], event_risk=["p", "p"])
    assert math.isnan(none.value) and none.note == "no patient has a prediction for each of 2 days"


def test_the_risk_of_nodal_metastasis_is_no_probability_of_an_event():
    rows = trial(50, seed=1).assign(risk=0.2)
    with pytest.raises(OnlmError, match=r"event_risk is 'risk', which is P\(N\+\).*analysis.event_risk"):
        brier_survival(rows, endpoint="os", horizons_days=[365], event_risk="risk")
    with pytest.raises(OnlmError, match=r"event_risk is 'risk', which is P\(N\+\)"):
        integrated_brier(rows, endpoint="os", horizons_days=[365, 700], event_risk={365: "p", 700: "risk"})


@pytest.mark.parametrize("grid", [[365], [700, 365], [365, 365]])
def test_a_grid_must_rise_over_two_days_at_least(grid):
    with pytest.raises(OnlmError, match="integrated_brier needs a rising grid of at least two days"):
        integrated_brier(trial(50, seed=1), endpoint="os", horizons_days=grid, event_risk=["p"] * len(grid))


def test_an_integral_over_a_day_without_a_score_is_not_told():
    rows = trial(50, seed=1)
    found = integrated_brier(rows, endpoint="os", horizons_days=[700, 99999], event_risk=["p", "p"])
    assert math.isnan(found.value) and found.note.startswith("no score at day 99999")


@pytest.mark.slow
@pytest.mark.parametrize("competing", [False, True])
def test_intervals_cover_the_truth_in_95_of_100_trials(competing):
    endpoint = "regional" if competing else "os"
    big, rng = trial(400_000, seed=0), np.random.default_rng(1)
    x = (np.log(-np.log(1 - big["p"])) - np.log(1000 / 1500)) / 0.8
    own, other = rng.exponential(1500 * np.exp(-0.8 * x)), rng.exponential(3000, len(x))
    had = (own <= 1000) & ((own <= other) | (not competing))
    truth = ((had - big["p"]) ** 2).mean()
    inside = 0
    for seed in range(600):
        rows = trial(200, seed=seed + 1, competing=competing)
        row = brier_survival(rows, endpoint=endpoint, horizons_days=[1000], event_risk="p").iloc[0]
        inside += row["low"] < truth < row["high"]
    assert 0.93 <= inside / 600 <= 0.97

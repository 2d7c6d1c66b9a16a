"""Net benefit by a day equals its definition with R's survfit within p >= t, and better risks are worth more."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
from event_calibration_reference import CASES, R, case, simulated

from onlm_lab.analysis import net_benefit, survival_net_benefit
from onlm_lab.errors import OnlmError

QUICK = {"n_bootstrap": 50}


@pytest.mark.parametrize("name", CASES)
def test_net_benefit_equals_its_definition_in_r(name):
    rows, asked = case(name)
    expected = R[name]["benefit"]
    found = survival_net_benefit(rows, **asked, thresholds=expected["threshold"], **QUICK)
    table = found.table.set_index("model_id")
    assert table.loc["model", "net_benefit"].to_numpy() == pytest.approx(expected["model"], abs=1e-10)
    assert table.loc["treat_all", "net_benefit"].to_numpy() == pytest.approx(expected["all"], abs=1e-10)
    assert table.loc["model", "interventions_avoided"].to_numpy() == pytest.approx(expected["avoided"], abs=1e-8)
    assert (table.loc["treat_none", "net_benefit"] == 0).all()
    assert found.n_events == R[name]["n_events"] and found.n == R[name]["n"]


@pytest.mark.parametrize("name", ["lung", "pbc"])
def test_the_bands_equal_a_bootstrap_of_patients_in_r(name):
    rows, asked = case(name)
    want = R["boot"][name]
    table = survival_net_benefit(rows, **asked, thresholds=[want["threshold"]], n_bootstrap=6000).table
    own, everybody = table.iloc[0], table.iloc[1]
    assert [own["low"], own["high"]] == pytest.approx(want["model"], abs=0.012)
    assert [everybody["low"], everybody["high"]] == pytest.approx(want["all"], abs=0.015)
    assert [own["avoided_low"], own["avoided_high"]] == pytest.approx(want["avoided"], abs=1.5)


def test_without_censoring_it_is_the_net_benefit_of_the_binary_outcome():
    rng = np.random.default_rng(3)
    risk = rng.beta(1, 3, 300)
    event = rng.binomial(1, risk)
    rows = pd.DataFrame({"patient_id": np.arange(300).astype(str), "risk": risk, "onlm": event, "p": risk})
    rows = rows.assign(os_days=np.where(event == 1, rng.integers(1, 365, 300), 400), os_event=event)
    grid = [0.1, 0.3, 0.6]
    want = net_benefit(rows, thresholds=grid, n_bootstrap=10).table
    found = survival_net_benefit(rows, endpoint="os", horizon_days=365, event_risk="p", thresholds=grid, **QUICK).table
    for column in ("net_benefit", "interventions_avoided"):
        assert found[column].to_numpy() == pytest.approx(want[column].to_numpy(), abs=1e-10)
    assert found.columns.tolist() == want.columns.tolist()


@pytest.mark.parametrize("competing", [False, True])
def test_a_perfect_predictor_is_never_worse_than_treating_all_or_none_and_better_than_a_blind_one(competing):
    rows, asked = simulated(800, seed=4, competing=competing)
    column = next(c for c in rows if c.endswith(("_event", "_state")))
    had = (rows[column] == 1) & (rows["regional_days"] <= asked["horizon_days"])
    grid = np.arange(0.05, 0.95, 0.05)
    perfect, true, blind = (
        survival_net_benefit(rows.assign(p=p), **asked, thresholds=grid, **QUICK).table.pivot(
            index="threshold", columns="model_id", values="net_benefit"
        )
        for p in (had.astype(float), rows["p"], np.random.default_rng(1).permutation(rows["p"]))
    )
    best = perfect[["treat_all", "treat_none"]].max(axis=1)
    assert (perfect["model"] >= best - 1e-12).all() and (perfect["model"] > 0).all()
    middle = true.loc[0.1:0.5, "model"]
    assert (middle > blind.loc[0.1:0.5, "model"]).all() and (perfect["model"] >= true["model"] - 1e-12).all()


def test_nobody_above_a_threshold_has_a_net_benefit_of_zero():
    rows, asked = simulated(300, seed=5, competing=True)
    rows["p"] = rows["p"] * 0.5
    table = survival_net_benefit(rows, **asked, thresholds=[0.6, 0.9], **QUICK).table
    own = table[table["model_id"] == "model"]
    assert (own[["net_benefit", "low", "high"]] == 0).all(axis=None)


def test_several_models_share_their_patients_and_the_two_strategies():
    rows, asked = simulated(400, seed=6, competing=True)
    other = rows.assign(model_id="image", p=0.2).iloc[5:]
    both = pd.concat([rows.assign(model_id="fused"), other], ignore_index=True)
    grid = [0.1, 0.3]
    found = survival_net_benefit(both, **asked, thresholds=grid, **QUICK)
    assert found.table["model_id"].unique().tolist() == ["fused", "image", "treat_all", "treat_none"]
    assert found.n == 395 and found.n_excluded == {"no event risk from every model": 5}
    alone = survival_net_benefit(both, **asked, thresholds=grid, model="fused", **QUICK)
    assert alone.n == 400
    table = pd.concat([m[["patient_id", "model_id"]].assign(horizon_days=1095.0, event_risk=m["p"]) for m in (both,)])
    again = survival_net_benefit(both, **asked | {"event_risk": table}, thresholds=grid, **QUICK)
    assert again.digest == found.digest
    image = found.table[found.table["model_id"] == "image"]["net_benefit"].to_numpy()
    everybody = found.table[found.table["model_id"] == "treat_all"]["net_benefit"].to_numpy()
    assert image[0] == pytest.approx(everybody[0]) and image[1] == 0  # one risk for all: treat all, then nobody


def test_the_same_state_of_chance_gives_the_same_band_and_the_value_lies_in_it():
    rows, asked = simulated(300, seed=7, competing=False)
    first, second = (survival_net_benefit(rows, **asked, thresholds=[0.1, 0.2]) for _ in range(2))
    assert first.digest == second.digest
    other = survival_net_benefit(rows, **asked, thresholds=[0.1, 0.2], generator=np.random.default_rng(9)).table
    own = first.table[first.table["model_id"] == "model"]
    assert (own["low"] < own["net_benefit"]).all() and (own["net_benefit"] < own["high"]).all()
    assert not first.table["low"].equals(other["low"])
    np.testing.assert_allclose(first.table["low"].dropna(), other["low"].dropna(), atol=0.04)


def test_rows_in_another_order_give_the_same_numbers():
    rows, asked = simulated(300, seed=7, competing=True)
    turned = survival_net_benefit(rows.sample(frac=1, random_state=1), **asked, thresholds=[0.1, 0.2], **QUICK)
    assert turned.digest == survival_net_benefit(rows, **asked, thresholds=[0.2, 0.1], **QUICK).digest


@pytest.mark.parametrize(("n_events", "said"), [(0, "0 events by day 30"), (1, "1 event by day 30")])
def test_one_event_or_none_gives_no_number_and_a_note(n_events, said):
    event = [1] * n_events + [0] * (30 - n_events)
    ids = [str(i) for i in range(30)]
    rows = pd.DataFrame(
        {"patient_id": ids, "os_days": range(10, 40), "os_event": event, "p": np.linspace(0.1, 0.9, 30)}
    )
    found = survival_net_benefit(rows, endpoint="os", horizon_days=30, event_risk="p", thresholds=[0.2])
    assert found.table["net_benefit"].isna().tolist() == [True, True, False]
    assert said in found.notes[0] and found.n_events == n_events


def test_past_the_last_follow_up_there_is_no_number_and_above_a_threshold_it_is_said():
    rows, asked = simulated(200, seed=8, competing=True)
    found = survival_net_benefit(rows, **asked | {"horizon_days": 9000}, thresholds=[0.2], **QUICK)
    assert found.table["net_benefit"].isna().sum() == 2 and "nobody is followed to day 9000" in found.notes[0]
    days, event = [10, 20, 30, 40, 900, 900], [1, 0, 1, 1, 0, 0]
    small = pd.DataFrame({"patient_id": list("abcdef"), "os_days": days, "os_event": event})
    small["p"] = [0.9, 0.8, 0.5, 0.4, 0.3, 0.1]
    said = survival_net_benefit(small, endpoint="os", horizon_days=365, event_risk="p", thresholds=[0.2, 0.7], **QUICK)
    assert len(said.notes) == 1 and "from threshold 0.7 on nobody above it is followed to day 365" in said.notes[0]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"event_risk": "risk"}, "P\\(N\\+\\)"),
        ({"thresholds": [10]}, "between 0 and 1"),
        ({"horizon_days": -1}, "above 0"),
        ({"endpoint": "os"}, "Did you mean|needs the columns"),
        ({"model": []}, "no model was named"),
        ({"model": "treat_all"}, "name of a strategy"),
        ({"n_bootstrap": 0}, "at least 1"),
    ],
)
def test_what_makes_no_sense_is_refused(options, said):
    rows, asked = simulated(60, seed=1, competing=True)
    with pytest.raises(OnlmError, match=said):
        survival_net_benefit(rows.assign(risk=0.5), **{"thresholds": [0.2]} | asked | options)


def test_models_that_disagree_on_the_follow_up_are_refused():
    rows, asked = simulated(60, seed=1, competing=True)
    both = pd.concat([rows.assign(model_id="a"), rows.assign(model_id="b", regional_days=5.0)], ignore_index=True)
    with pytest.raises(OnlmError, match="follow-up differs between a and b"):
        survival_net_benefit(both, **asked, thresholds=[0.2])


def test_a_thousand_patients_with_five_hundred_samples_take_a_moment():
    rows, asked = simulated(1000, seed=2, competing=True)
    start = time.perf_counter()
    survival_net_benefit(rows, **asked, thresholds=np.arange(0.02, 0.405, 0.01))
    assert time.perf_counter() - start < 3  # 0.2 s

"""Net benefit equals its definition in R, its band is repeatable, and better models are worth more."""

import math

import numpy as np
import pandas as pd
import pytest
from binary_reference import OPERATING, R, scored, two_models

from onlm_lab.analysis import net_benefit
from onlm_lab.errors import OnlmError

GRID = [0.05, 0.1, 0.2, 0.35, 0.5]


@pytest.mark.parametrize(("name", "score"), [("asah", "p1"), ("tiny25", "score")])
def test_net_benefit_equals_r(name, score):
    table = net_benefit(scored(name, score), thresholds=GRID).table.set_index(["model_id", "threshold"])
    for want in R[name]["decision"]:
        t = want["threshold"]
        assert table.loc[("model", t), "net_benefit"] == pytest.approx(want["model"], abs=1e-12)
        assert table.loc[("treat_all", t), "net_benefit"] == pytest.approx(want["all"], abs=1e-12)
        assert table.loc[("model", t), "interventions_avoided"] == pytest.approx(want["avoided"], abs=1e-9)
        assert table.loc[("treat_none", t), "net_benefit"] == 0


def test_several_models_share_their_patients_and_the_two_strategies():
    rows = two_models("asah", "p1", "p2")
    rows = rows[~((rows["model_id"] == "p2") & rows["patient_id"].isin(["P000", "P001"]))]
    got = net_benefit(rows, thresholds=GRID)
    assert got.table["model_id"].unique().tolist() == ["p1", "p2", "treat_all", "treat_none"]
    assert got.n == 111 and got.n_excluded == {"no risk from every model": 2}
    assert net_benefit(rows, model="p1", thresholds=GRID).n == 113


def test_the_same_state_of_chance_gives_the_same_band_and_another_a_close_one():
    rows = scored("asah", "p2")
    first, second = net_benefit(rows), net_benefit(rows)
    assert first.digest == second.digest
    other = net_benefit(rows, generator=np.random.default_rng(9)).table
    assert not first.table["low"].equals(other["low"])
    np.testing.assert_allclose(first.table["low"].dropna(), other["low"].dropna(), atol=0.05)


@pytest.mark.parametrize(("key", "hold"), [("cohort", False), ("by_design", True)])
def test_the_bands_equal_a_bootstrap_of_patients_in_r(key, hold):
    want = OPERATING["boot"][key]
    table = net_benefit(scored("asah", "p1"), thresholds=[0.2], n_bootstrap=20_000, hold_prevalence=hold).table
    own, everybody = table.iloc[0], table.iloc[1]
    assert own["low"] <= own["net_benefit"] <= own["high"]
    assert [own["low"], own["high"]] == pytest.approx(want["model"], abs=0.005)
    if not hold:
        assert [everybody["low"], everybody["high"]] == pytest.approx(want["all"], abs=0.012)  # steps of 0.011


def test_the_band_has_the_width_of_the_normal_one_in_a_large_cohort():
    rng = np.random.default_rng(3)
    risk = rng.beta(1.5, 8, size=20_000)
    rows = pd.DataFrame({"patient_id": np.arange(20_000).astype(str), "risk": risk, "onlm": rng.binomial(1, risk)})
    table = net_benefit(rows, thresholds=[0.15], n_bootstrap=4000).table.set_index("model_id")
    w, positive = 0.15 / 0.85, rows["risk"] >= 0.15
    worth = {"model": positive * (rows["onlm"] - w * (1 - rows["onlm"])), "treat_all": rows["onlm"] * (1 + w) - w}
    for name, each in worth.items():
        half = (table.loc[name, "high"] - table.loc[name, "low"]) / 2
        assert half == pytest.approx(1.96 * each.std() / math.sqrt(20_000), rel=0.05), name
    avoided = 100 * ((1 - positive) * ((1 - rows["onlm"]) - rows["onlm"] / w))
    half = (table.loc["model", "avoided_high"] - table.loc["model", "avoided_low"]) / 2
    assert half == pytest.approx(1.96 * avoided.std() / math.sqrt(20_000), rel=0.05)


def test_interventions_avoided_have_limits_that_follow_from_the_strategies():
    table = net_benefit(scored("asah", "p1"), thresholds=GRID).table
    own, none = (table[table["model_id"] == m].reset_index(drop=True) for m in ("model", "treat_none"))
    everybody = table[table["model_id"] == "treat_all"].reset_index(drop=True)
    assert (own["avoided_low"] <= own["interventions_avoided"]).all()
    assert (own["interventions_avoided"] <= own["avoided_high"]).all()
    odds = none["threshold"] / (1 - none["threshold"])
    np.testing.assert_allclose(none["avoided_low"], -100 * everybody["high"] / odds)
    assert everybody["avoided_low"].isna().all() and none["low"].isna().all()


def test_perfect_risks_are_worth_the_prevalence_and_reversed_ones_less_than_nothing():
    rows = scored("asah", "p2")
    best = net_benefit(rows.assign(risk=rows["onlm"].clip(0.01, 0.99)), thresholds=GRID).table
    assert best["net_benefit"][:5].tolist() == pytest.approx([41 / 113] * 5)
    assert (net_benefit(rows.assign(risk=1 - rows["risk"]), thresholds=[0.5]).table["net_benefit"][0]) < 0


def test_one_class_only_is_computed_and_said():
    got = net_benefit(scored("asah", "p1").assign(onlm=0), thresholds=GRID)
    assert (got.table["net_benefit"] <= 0).all() and "all 113 patients are N0" in got.notes[0]


def test_bad_requests_are_one_sentence():
    rows = scored("asah", "p1")
    with pytest.raises(OnlmError, match=r"between 0 and 1 \(0.1, not 10\), got 10, 0"):
        net_benefit(rows, thresholds=[10, 0, 0.2])
    with pytest.raises(OnlmError, match="got none"):
        net_benefit(rows, thresholds=[])
    with pytest.raises(OnlmError, match="'treat_all' is the name of a strategy"):
        net_benefit(scored("asah", "p1", model="treat_all"))
    with pytest.raises(OnlmError, match="n_resamples must be at least 1"):
        net_benefit(rows, n_bootstrap=0)
    with pytest.raises(OnlmError, match="no model was named"):
        net_benefit(rows, model=[])


def test_treating_all_has_a_band_in_a_cohort_and_none_where_the_prevalence_is_held():
    rows = scored("asah", "p1")
    for hold in (False, True):
        table = net_benefit(rows, thresholds=GRID, hold_prevalence=hold).table
        assert table.loc[table["model_id"] == "treat_all", "low"].isna().all() == hold
    free, held = (net_benefit(rows, thresholds=[0.2], hold_prevalence=h).table.iloc[0] for h in (False, True))
    assert held["high"] - held["low"] < free["high"] - free["low"]

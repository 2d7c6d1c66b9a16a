"""Net benefit equals its definition in R, its band is repeatable, and better models are worth more."""

import math

import numpy as np
import pandas as pd
import pytest
from binary_reference import R, scored, two_models

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


def test_the_band_holds_the_value_and_equals_a_bootstrap_of_patients():
    rows = scored("asah", "p2")
    got = net_benefit(rows, thresholds=[0.2], n_bootstrap=20_000).table.iloc[0]
    assert got["low"] <= got["net_benefit"] <= got["high"]
    rng, onlm, positive = np.random.default_rng(0), rows["onlm"].to_numpy() == 1, rows["risk"].to_numpy() >= 0.2
    draws = [
        (rng.choice(positive[onlm], 41).sum() - rng.choice(positive[~onlm], 72).sum() * 0.25) / 113 for _ in range(4000)
    ]
    assert [got["low"], got["high"]] == pytest.approx(np.percentile(draws, [2.5, 97.5]), abs=0.01)


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


def test_treating_all_has_no_band_as_the_prevalence_is_held():
    table = net_benefit(pd.concat([scored("asah", "p1")]), thresholds=GRID).table
    assert all(math.isnan(v) for v in table.loc[table["model_id"] == "treat_all", "low"])

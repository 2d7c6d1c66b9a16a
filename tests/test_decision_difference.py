"""The difference of two net benefits is theirs, its band is a paired bootstrap's, and the better model has it."""

import math

import numpy as np
import pandas as pd
import pytest
from binary_reference import OPERATING, two_models

from onlm_lab.analysis import compare_net_benefit, net_benefit
from onlm_lab.errors import OnlmError
from onlm_lab.figures import plot_net_benefit_difference

GRID = [0.05, 0.1, 0.2, 0.35, 0.5]


@pytest.mark.parametrize(("key", "hold"), [("cohort", False), ("by_design", True)])
def test_the_band_equals_a_bootstrap_of_patients_in_r(key, hold):
    want = OPERATING["boot"][key]
    got = compare_net_benefit(
        two_models("asah", "p1", "p2"), model_a="p1", model_b="p2", thresholds=[0.2], n_bootstrap=20_000,
        hold_prevalence=hold,
    ).table.iloc[0]  # fmt: skip
    assert [got["low"], got["high"]] == pytest.approx(want["difference"], abs=0.0035)  # steps of 0.0022
    assert got["share_better"] == pytest.approx(want["share_better"], abs=0.005)


def test_the_difference_is_that_of_the_two_curves_and_so_is_what_is_avoided():
    rows = two_models("asah", "p1", "p2")
    got = compare_net_benefit(rows, model_a="p2", model_b="p1", thresholds=GRID, n_bootstrap=200).table
    curves = net_benefit(rows, thresholds=GRID, n_bootstrap=1).table.set_index("model_id")
    for column, of in (("difference", "net_benefit"), ("interventions_avoided", "interventions_avoided")):
        wanted = curves.loc["p2", of].to_numpy() - curves.loc["p1", of].to_numpy()
        np.testing.assert_allclose(got[column], wanted, atol=1e-12)
    assert (got["low"] <= got["difference"]).all() and (got["difference"] <= got["high"]).all()


def test_swapping_the_models_turns_sign_and_share():
    rows = two_models("asah", "p1", "p2")
    forth = compare_net_benefit(rows, model_a="p1", model_b="p2", thresholds=GRID, n_bootstrap=20_000).table
    back = compare_net_benefit(rows, model_a="p2", model_b="p1", thresholds=GRID, n_bootstrap=20_000).table
    np.testing.assert_allclose(back["difference"], -forth["difference"], atol=1e-15)
    np.testing.assert_allclose(back["share_better"], 1 - forth["share_better"], atol=0.02)


def test_knowing_who_is_positive_is_worth_more_than_a_model_and_nothing_more_than_itself():
    rows = two_models("asah", "p1", "p2")
    rows.loc[rows["model_id"] == "p2", "risk"] = rows["onlm"].clip(0.01, 0.99)
    got = compare_net_benefit(rows, model_a="p2", model_b="p1", thresholds=GRID).table
    assert (got["difference"] > 0).all() and (got["share_better"] > 0.95).all() and (got["low"] > 0).all()
    same = rows.assign(risk=0.3)
    alike = compare_net_benefit(same, model_a="p1", model_b="p2", thresholds=GRID).table
    assert (alike[["difference", "low", "high"]] == 0).all(axis=None) and (alike["share_better"] == 0.5).all()


def test_the_paired_band_is_narrower_than_one_of_models_apart():
    rng = np.random.default_rng(5)
    logit = rng.normal(-2, 1, size=2000)
    onlm = rng.binomial(1, 1 / (1 + np.exp(-logit)))
    rows = pd.concat(
        pd.DataFrame({"patient_id": np.arange(2000).astype(str), "model_id": m, "onlm": onlm,
                      "risk": 1 / (1 + np.exp(-(logit + s * rng.normal(size=2000))))})
        for m, s in (("a", 0.0), ("b", 0.3))
    )  # fmt: skip
    got = compare_net_benefit(rows, model_a="a", model_b="b", thresholds=[0.2]).table.iloc[0]
    single = net_benefit(rows, model="a", thresholds=[0.2]).table.iloc[0]
    assert got["high"] - got["low"] < 0.7 * (single["high"] - single["low"])


def test_the_same_state_of_chance_gives_the_same_band():
    rows = two_models("asah", "p1", "p2")
    first, second = (compare_net_benefit(rows, model_a="p1", model_b="p2") for _ in range(2))
    assert first.digest == second.digest and len(first.table) == 50
    other = compare_net_benefit(rows, model_a="p1", model_b="p2", generator=np.random.default_rng(8))
    assert first.digest != other.digest


def test_one_class_only_is_computed_and_said_and_bad_thresholds_are_refused():
    rows = two_models("tiny25", "score", "score2").assign(onlm=0)
    got = compare_net_benefit(rows, model_a="score", model_b="score2", thresholds=GRID, hold_prevalence=True)
    assert "all 25 patients are N0" in got.notes[-1] and not got.table.isna().any(axis=None)
    with pytest.raises(OnlmError, match=r"compare_net_benefit: thresholds must lie between 0 and 1"):
        compare_net_benefit(rows, model_a="score", model_b="score2", thresholds=[10])


def test_the_figure_draws_difference_and_band_and_says_the_range():
    got = compare_net_benefit(two_models("asah", "p1", "p2"), model_a="p1", model_b="p2", thresholds=GRID)
    figure = plot_net_benefit_difference(got, threshold=0.2)
    lines = {t.name: t for t in figure.data}
    assert list(lines["p1 − p2"].y) == got.table["difference"].tolist()
    assert list(lines["p1 − p2, lower limit"].y) == got.table["low"].tolist()
    assert list(lines["p1 − p2, upper limit"].y) == got.table["high"].tolist()
    under = figure.layout.title.subtitle.text
    assert "113 patients, 41 N+" in under and "thresholds 5\u00a0% to 50\u00a0%" in under
    assert figure.layout.title.text.endswith("?") and figure.layout.yaxis.title.text and math.isfinite(got.n)

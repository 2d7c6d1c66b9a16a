"""What the predicted risk goes with equals R's lm with HC3, glm, brglm2 and p.adjust, and goes the right way."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from onlm_lab.analysis import associations
from onlm_lab.errors import OnlmError

FOLDER = Path(__file__).parent / "reference"
R = json.loads((FOLDER / "mechanisms.json").read_text(encoding="utf-8"))["associations"]
MARKERS = ["female", "grade", "wfns", "s100b"]


def asah():
    """The table of make_mechanisms.R: p2 as the risk, with markers of each kind and holes in two of them."""
    rows = pd.read_csv(FOLDER / "asah.csv")
    rows = rows.assign(patient_id=[f"P{i:03d}" for i in range(len(rows))], onlm=rows["y"], risk=rows["p2"])
    rows["female"] = (rows["gender"] == "Female").astype(float)
    rows.loc[[2, 39], "female"] = np.nan
    rows.loc[[4, 5, 6], "s100b"] = np.nan
    words = np.where(rows["wfns"] <= 2, "low", np.where(rows["wfns"] <= 4, "middle", "high"))
    rows["grade"] = pd.Categorical(words, categories=["low", "middle", "high"])
    return rows


def found(**more):
    return associations(asah(), markers=MARKERS, adjust=["age"], ordered={"wfns": [1, 2, 3, 4, 5]}, **more)


def made(n=600, seed=4, effect=0.8):
    """A marker that goes with the risk, one that goes only with the confounder, and one that goes with nothing."""
    rng = np.random.default_rng(seed)
    smoker, planted, idle = (rng.integers(0, 2, n).astype(float) for _ in range(3))
    through = (rng.uniform(size=n) < np.where(smoker == 1, 0.8, 0.2)).astype(float)
    eta = -1 + effect * planted + 1.2 * smoker + 0.8 * rng.normal(size=n)
    return pd.DataFrame({"patient_id": range(n), "risk": 1 / (1 + np.exp(-eta)), "planted": planted, "idle": idle,
                         "through": through, "smoker": smoker})  # fmt: skip


@pytest.mark.parametrize("adjusted", [False, True])
@pytest.mark.parametrize("marker", MARKERS)
def test_effects_intervals_and_p_values_equal_lm_with_hc3(marker, adjusted):
    want, got = R["adjusted" if adjusted else "unadjusted"][marker], found()
    lines = got.effects.query("marker == @marker and adjusted == @adjusted")
    test = got.tests.query("marker == @marker and adjusted == @adjusted").iloc[0]
    np.testing.assert_allclose(lines["effect"], np.atleast_1d(want["effect"]), rtol=1e-8)
    np.testing.assert_allclose(lines["low"], np.atleast_1d(want["low"]), rtol=1e-8)
    np.testing.assert_allclose(lines["high"], np.atleast_1d(want["high"]), rtol=1e-8)
    assert (test["f"], test["p_value"]) == pytest.approx((want["f"], want["p"]), rel=1e-8)
    assert (test["n"], test["df_residual"]) == (want["n"], want["df"])


def test_adjusted_p_values_equal_p_adjust_and_the_unit_is_rs_sd():
    got = found()
    part = got.tests[got.tests["adjusted"]]
    np.testing.assert_allclose(part["p_holm"], R["holm"], rtol=1e-8)
    np.testing.assert_allclose(part["p_bh"], R["bh"], rtol=1e-8)
    assert got.risk_sd == pytest.approx(R["sd"], rel=1e-12)


def test_odds_ratios_equal_glm_and_the_area_equals_proc():
    got = found().binary.set_index("adjusted")
    for adjusted, key in ((False, "odds"), (True, "odds_adjusted")):
        row = got.loc[adjusted]
        assert (row["odds_ratio"], row["low"], row["high"]) == pytest.approx(tuple(R[key]), rel=1e-8)
        assert row["method"] == "maximum likelihood, Wald"
    want = R["auc"]
    assert got.loc[False, "auc"] == pytest.approx(want[0], abs=1e-12)
    assert got.loc[False, "auc_method"] == "DeLong, logit"
    assert math.isnan(got.loc[True, "auc"])


def test_with_few_positives_the_odds_ratio_is_firths_and_equals_brglm2():
    rows = asah().assign(rare=0.0)
    rows.loc[[1, 16, 29, 43, 60, 89], "rare"] = 1.0
    got = associations(rows, markers=["rare"], adjust=["age"]).binary
    for (_, row), key in zip(got.iterrows(), ("few", "few_adjusted"), strict=True):
        assert row["method"] == "Firth, profile penalised likelihood"
        assert math.log(row["odds_ratio"]) == pytest.approx(R[key]["coef"][1], rel=1e-6)
        assert np.log([row["low"], row["high"]]) == pytest.approx([R[key]["low"][1], R[key]["high"][1]], rel=1e-4)


def test_a_marker_that_the_risk_separates_has_a_finite_odds_ratio_by_firth():
    rows = asah()
    rows["told"] = (rows["risk"] > rows["risk"].median()).astype(float)
    row = associations(rows, markers=["told"]).binary.iloc[0]
    assert row["method"].startswith("Firth") and 1 < row["low"] < row["odds_ratio"] < row["high"] < math.inf
    assert row["auc"] == 1.0 and math.isnan(row["auc_low"])


def test_a_planted_effect_is_found_with_its_sign_and_the_idle_marker_is_not():
    rows = made()
    got = associations(rows, markers=["planted", "idle"])
    planted, idle = got.effects.iloc[0], got.effects.iloc[1]
    assert planted["low"] > 0 and got.tests["p_bh"].iloc[0] < 1e-6
    assert idle["low"] < 0 < idle["high"]
    eta = np.log(rows["risk"] / (1 - rows["risk"]))
    assert planted["effect"] * got.risk_sd == pytest.approx(
        eta[rows["planted"] == 1].mean() - eta[rows["planted"] == 0].mean(), rel=1e-9
    )
    assert got.binary["odds_ratio"].iloc[0] > 1 and got.binary["auc"].iloc[0] > 0.6


def test_turning_the_marker_over_turns_the_effect_and_the_odds_ratio_over():
    rows = made()
    one = associations(rows, markers=["planted"])
    other = associations(rows.assign(planted=1 - rows["planted"]), markers=["planted"])
    assert one.effects["effect"][0] == pytest.approx(-other.effects["effect"][0], rel=1e-9)
    assert one.effects["low"][0] == pytest.approx(-other.effects["high"][0], rel=1e-9)
    assert one.binary["odds_ratio"][0] == pytest.approx(1 / other.binary["odds_ratio"][0], rel=1e-9)
    assert one.tests["p_value"][0] == pytest.approx(other.tests["p_value"][0], rel=1e-6)


def test_what_goes_only_through_the_confounder_goes_when_it_is_adjusted_for():
    got = associations(made(), markers=["through"], adjust=["smoker"])
    alone, adjusted = got.effects.iloc[0], got.effects.iloc[1]
    assert alone["low"] > 0.3
    assert adjusted["low"] < 0 < adjusted["high"]
    assert abs(adjusted["effect"]) < 0.2


def test_what_cannot_be_estimated_is_nan_with_the_reason():
    rows = made(60).assign(onlm=1.0, alone=1.0, three=0.0, empty=np.nan, site=["a"] * 50 + ["b"] * 7 + ["c"] * 3)
    rows.loc[:2, "three"] = 1.0
    got = associations(rows, markers=["alone", "three", "empty", "site"])
    notes = got.tests.set_index("marker")["note"]
    assert notes["alone"] == "one level only"
    assert notes["three"] == "fewer than 5 patients in a level"
    assert notes["empty"] == "missing in all patients"
    assert notes["site"] == "3 patients in 1 levels of fewer than 5 left out"
    assert got.tests.set_index("marker")["p_value"][["alone", "three", "empty"]].isna().all()
    assert got.effects.query("marker != 'site'")[["effect", "low", "high"]].isna().all().all()
    assert got.effects.query("marker == 'site'")["contrast"].tolist() == ["b against a"]
    assert got.binary[["odds_ratio", "auc"]].isna().all().all()
    assert got.levels.query("marker == 'three'")["n"].tolist() == [57, 3, 0]
    assert got.tests["p_holm"].notna().sum() == 1, "the others are not counted as tests"


def test_patients_without_a_confounder_are_counted_and_left_out_of_the_adjusted_models_only():
    rows = made()
    rows.loc[:19, "smoker"] = np.nan
    got = associations(rows, markers=["planted"], adjust=["smoker"])
    assert got.tests["n"].tolist() == [600, 580]
    assert got.tests["note"].tolist() == ["", "20 lack a confounder"]
    assert "20 of 600 patients lack a confounder and are not in the adjusted models" in got.notes


def test_the_result_says_association_and_says_where_all_risks_are_alike():
    got = associations(made(), markers=["planted"])
    assert got.notes[0].startswith("associations, not mechanisms")
    same = associations(made().assign(risk=0.2), markers=["planted"])
    assert math.isnan(same.effects["effect"][0]) and math.isnan(same.binary["odds_ratio"][0])
    assert any("same risk" in note for note in same.notes)
    near = associations(made().assign(risk=lambda d: 0.2 + d["risk"] / 100), markers=["planted"])
    assert any(note.startswith("90 % of the risks lie between 0.20") for note in near.notes)


def test_neither_labels_nor_the_order_of_rows_matter_and_lacking_risks_are_counted():
    rows = made()
    one, other = (associations(r, markers=["planted"]).effects for r in (rows, rows.sample(frac=1, random_state=1)))
    pd.testing.assert_frame_equal(one, other)
    rows.loc[:9, "risk"] = np.nan
    got = associations(rows, markers=["planted"])
    assert got.n == 590 and got.n_excluded == {"no risk": 10}


def test_bad_arguments_are_told_with_what_was_wanted():
    rows = asah()
    with pytest.raises(OnlmError, match="no marker was named"):
        associations(rows, markers=[])
    with pytest.raises(OnlmError, match="'age' is a marker and cannot be a confounder too"):
        associations(rows, markers=["age"], adjust=["age"])
    with pytest.raises(OnlmError, match=r"'femal' \(nearest present: 'female'\)"):
        associations(rows, markers=["femal"])
    with pytest.raises(OnlmError, match=r"'grade' holds middle, which its order \(low, high\) lacks"):
        associations(rows, markers=["grade"], ordered={"grade": ["low", "high"]})
    with pytest.raises(OnlmError, match="ordered names 'wfns', which is not among the markers"):
        associations(rows, markers=["grade"], ordered={"wfns": [1, 2]})
    with pytest.raises(OnlmError, match="'patient_id' has 113 levels"):
        associations(rows, markers=["patient_id"])

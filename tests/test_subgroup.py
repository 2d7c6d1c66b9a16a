"""Subgroups: each level's numbers equal the whole call on that level, the test equals R's, few patients give NaN."""

import math

import numpy as np
import pandas as pd
import pytest
from binary_reference import FOLDER, R
from scipy.special import expit
from statsmodels.stats.multitest import multipletests

from onlm_lab.analysis import by_subgroup, operating_point, roc
from onlm_lab.analysis.subgroup import adjust_p_values
from onlm_lab.errors import OnlmError

COLUMNS = ["sex", "smoking", "age_years", "centre"]
BINS = {"age_years": [60, 70]}


@pytest.fixture(scope="module")
def rows():
    return pd.read_csv(FOLDER / "centres.csv")


def test_each_level_equals_the_call_on_its_patients(rows):
    table = by_subgroup(rows, columns=COLUMNS, bins=BINS, threshold=0.2).table.set_index(["column", "level"])
    female = rows[rows["sex"] == "female"]
    point, line = operating_point(female, threshold=0.2), table.loc[("sex", "female")]
    assert line["auc"] == pytest.approx(roc(female).auc.value, abs=1e-12)
    assert (line["sensitivity"], line["specificity_high"]) == (point.sensitivity.value, point.specificity.high)
    assert (line["n"], line["n_positive"]) == (len(female), female["onlm"].sum())


def test_areas_by_bin_equal_proc_and_use_the_logit_interval_where_events_are_few(rows):
    table = by_subgroup(rows, columns=["age_years", "centre"], bins=BINS, threshold=0.2).table
    age = table[table["column"] == "age_years"].set_index("level")
    for label, want in R["centres"]["age_area"].items():
        assert [age.loc[label, c] for c in ("auc", "auc_low", "auc_high")] == pytest.approx([want["auc"], *want["ci"]])
    c1 = table[table["level"] == "C1"].iloc[0]
    assert [c1["auc_low"], c1["auc_high"]] == pytest.approx(R["centres"]["area"]["C1"]["logit_ci"], abs=1e-10)
    assert c1["auc_method"] == "DeLong, logit"


def test_interaction_equals_the_likelihood_ratio_test_of_glm_with_holm_and_bh(rows):
    got = by_subgroup(rows, columns=COLUMNS, bins=BINS, threshold=0.2).interaction.set_index("column")
    for i, (column, want) in enumerate(R["centres"]["interaction"].items()):
        assert got.loc[column, "chi2"] == pytest.approx(want["chi2"], abs=1e-8)
        assert got.loc[column, "df"] == want["df"]
        assert got.loc[column, "p_value"] == pytest.approx(want["p"], abs=1e-9)
        assert got.loc[column, "p_holm"] == pytest.approx(R["centres"]["holm"][i], abs=1e-8)
        assert got.loc[column, "p_bh"] == pytest.approx(R["centres"]["bh"][i], abs=1e-8)
    assert list(got.columns[:5]) == ["chi2", "df", "p_value", "p_holm", "p_bh"]


def test_levels_with_few_patients_are_nan_with_a_note_and_stay_out_of_the_test(rows):
    got = by_subgroup(rows, columns=["centre"], threshold=0.2)
    c8 = got.table[got.table["level"] == "C8"].iloc[0]
    assert math.isnan(c8["auc"]) and math.isnan(c8["sensitivity"]) and c8["note"] == "fewer than 10 N+"
    assert c8["specificity"] > 0  # 27 N0 are enough for that
    assert got.interaction["note"][0] == "2 of 9 levels left out"
    assert by_subgroup(rows, columns=["centre"], threshold=0.2, min_patients=3).table["auc"].notna().sum() == 9


def test_a_planted_interaction_is_found_in_the_direction_it_was_planted():
    rng = np.random.default_rng(8)
    n = 4000
    odds, sex = rng.normal(-1.2, 1.2, n), rng.choice(["female", "male"], n)
    slope = np.where(sex == "male", 1.6, 0.4)
    made = pd.DataFrame({"patient_id": np.arange(n), "risk": 1 / (1 + np.exp(-odds)), "sex": sex})
    made["coin"] = rng.integers(0, 2, n).astype(float)
    made["onlm"] = (rng.random(n) < 1 / (1 + np.exp(-(slope * odds)))).astype(float)
    got = by_subgroup(made, columns=["sex", "coin"], threshold=0.3)
    assert got.interaction["p_value"][0] < 1e-6
    area = got.table.set_index("level")["auc"]
    assert area["male"] > area["female"] and set(got.table["level"][2:]) == {"0", "1"}


@pytest.mark.slow
def test_the_interaction_test_rejects_one_in_twenty_where_there_is_none():
    rng, n, p = np.random.default_rng(21), 600, []
    for _ in range(600):
        odds = rng.normal(-1.2, 1.2, n)
        made = pd.DataFrame({"patient_id": np.arange(n), "risk": 1 / (1 + np.exp(-odds))})
        made["site"] = rng.choice(["a", "b", "c"], n)
        made["onlm"] = (rng.random(n) < made["risk"]).astype(float)
        p.append(by_subgroup(made, columns=["site"]).interaction["p_value"][0])
    assert 0.03 < np.mean(np.array(p) < 0.05) < 0.075  # 600 runs: 0.05 -+ 2.7 standard errors


def test_missing_values_are_a_level_of_their_own_outside_the_test(rows):
    holes = rows.assign(sex=rows["sex"].where(rows.index % 7 > 0))
    got = by_subgroup(holes, columns=["sex"], threshold=0.2)
    assert got.table["level"].tolist() == ["female", "male", "missing"]
    assert got.table["n"].sum() == len(rows) and got.interaction["df"][0] == 1
    ages = rows.assign(age_years=rows["age_years"].where(rows.index % 7 > 0))
    levels = by_subgroup(ages, columns=["age_years"], bins=BINS, threshold=0.2).table["level"]
    assert levels.tolist() == ["<60", "60 to <70", ">=70", "missing"]


def test_an_empty_level_is_shown_with_no_patients(rows):
    arm = pd.Categorical(["surgery"] * len(rows), categories=["surgery", "sbrt"])
    got = by_subgroup(rows.assign(arm=arm), columns=["arm"], threshold=0.2)
    empty = got.table[got.table["level"] == "sbrt"].iloc[0]
    assert empty["n"] == 0 and math.isnan(empty["oe_ratio"]) and empty["note"] == "no patients"
    assert math.isnan(got.interaction["p_value"][0]) and "fewer than two levels" in got.interaction["note"][0]


def test_a_column_of_numbers_needs_declared_edges(rows):
    with pytest.raises(OnlmError, match=r"'age_years' holds numbers .*bins=\{'age_years': \[65\]\}"):
        by_subgroup(rows, columns=["age_years"], threshold=0.2)
    with pytest.raises(OnlmError, match="rising finite edges, got \\[70, 60\\]"):
        by_subgroup(rows, columns=["age_years"], bins={"age_years": [70, 60]})
    with pytest.raises(OnlmError, match="bins name 'age', which is not among"):
        by_subgroup(rows, columns=["age_years"], bins={"age": [60]})
    with pytest.raises(OnlmError, match="'sex' has bins, but 742 of 742 values are no number"):
        by_subgroup(rows, columns=["sex"], bins={"sex": [1]})


def test_a_wrong_column_is_named_with_the_nearest(rows):
    with pytest.raises(OnlmError, match=r"'smokin' \(nearest present: 'smoking'\)"):
        by_subgroup(rows, columns=["smokin"])
    with pytest.raises(OnlmError, match="no column was named"):
        by_subgroup(rows, columns=[])


def test_a_column_of_empty_decisions_is_no_decisions(rows):
    got = by_subgroup(rows.assign(predicted_positive=np.nan), columns=["sex"])
    assert got.table["auc"].notna().all() and got.table["sensitivity"].isna().all()
    assert "no threshold and no predicted_positive" in got.notes[-1]


def test_without_threshold_or_decisions_the_rest_is_still_there(rows):
    got = by_subgroup(rows, columns=["sex"])
    assert got.table["sensitivity"].isna().all() and got.table["auc"].notna().all()
    assert any("no sensitivity or specificity" in note for note in got.notes)


def test_separation_in_a_level_gives_no_test_but_no_crash():
    rows = pd.DataFrame({"patient_id": range(80), "risk": np.tile(np.linspace(0.05, 0.95, 40), 2)})
    rows["onlm"] = (rows["risk"] > 0.5).astype(float)
    rows["sex"] = ["female"] * 40 + ["male"] * 40
    got = by_subgroup(rows, columns=["sex"], threshold=0.5)
    assert math.isnan(got.interaction["p_value"][0]) and "separate N+ from N0" in got.interaction["note"][0]


def test_adjusted_p_values_equal_statsmodels_and_leave_nan_out():
    p = np.array([0.01, math.nan, 0.04, 0.03, 0.9])
    known = p[~np.isnan(p)]
    for ours, theirs in (("holm", "holm"), ("bh", "fdr_bh")):
        got = adjust_p_values(p, method=ours)
        assert math.isnan(got[1])
        np.testing.assert_allclose(got[~np.isnan(p)], multipletests(known, method=theirs)[1], atol=1e-15)
    with pytest.raises(OnlmError, match="holm or bh, got 'fdr'"):
        adjust_p_values(p, method="fdr")


def test_a_subgroup_in_which_the_risk_is_noise_is_found_among_others():
    rng, n = np.random.default_rng(12), 2000
    odds = rng.normal(-1.2, 1.2, n)
    made = pd.DataFrame({"patient_id": np.arange(n), "risk": expit(odds)})
    for i in range(6):
        made[f"factor{i}"] = rng.choice(["no", "yes"], n, p=[0.7, 0.3])
    made["onlm"] = (rng.random(n) < np.where(made["factor2"] == "yes", expit(odds).mean(), expit(odds))).astype(float)
    got = by_subgroup(made, columns=[f"factor{i}" for i in range(6)], threshold=0.2)
    tests = got.interaction.set_index("column")
    assert tests.loc["factor2", "p_holm"] < 1e-6 and (tests["p_holm"].drop("factor2") > 0.05).all()
    area = got.table.set_index(["column", "level"])["auc"]
    assert area["factor2", "yes"] < 0.6 < 0.7 < area["factor2", "no"]
    assert got.table.set_index(["column", "level"]).loc[("factor2", "yes"), "auc_high"] < area["factor2", "no"]


def test_of_twenty_null_subgroups_holm_rejects_rarely():
    rng, n, rejected, raw = np.random.default_rng(30), 600, 0, 0
    for _ in range(25):
        odds = rng.normal(-1.2, 1.2, n)
        made = pd.DataFrame({"patient_id": np.arange(n), "risk": expit(odds)})
        made["onlm"] = (rng.random(n) < made["risk"]).astype(float)
        names = [f"factor{i}" for i in range(20)]
        made[names] = rng.choice(["no", "yes"], (n, 20))
        tests = by_subgroup(made, columns=names).interaction
        rejected += (tests["p_holm"] < 0.05).any()
        raw += (tests["p_value"] < 0.05).any()
    assert rejected <= 4 < 10 <= raw  # of 25 tables: 1.25 expected under Holm, 16 without

"""Two groups of different patients are compared by the normal statistic, exactly as its formula in R."""

import math

import numpy as np
import pandas as pd
import pytest
from resampled_reference import R, asah, centres

from onlm_lab.analysis import compare_aucs_between, roc
from onlm_lab.errors import OnlmError


@pytest.mark.parametrize(("key", "rows"), [("gender", asah()), ("sex", centres())])
def test_the_difference_is_rs_by_formula_and_procs_statistic_before_welchs_degrees(key, rows):
    want, got = R["between"][key], compare_aucs_between(rows, by=key)
    assert got.difference.value == pytest.approx(want["difference"], abs=1e-12)
    assert (got.difference.low, got.difference.high) == pytest.approx(want["ci"], abs=1e-10)
    assert got.z == pytest.approx(want["z"], abs=1e-10) and got.p_value == pytest.approx(want["p"], abs=1e-10)
    assert got.z == pytest.approx(want["proc_d"], abs=1e-8)  # pROC differs in the distribution only
    assert got.p_value < want["proc_p"]


def test_each_area_is_that_of_the_groups_own_patients_and_swapping_turns_the_sign():
    rows = asah()
    got = compare_aucs_between(rows, by="gender")
    for name, area in (("Female", got.auc_a), ("Male", got.auc_b)):
        alone = roc(rows[rows["gender"] == name]).auc
        assert (area.value, area.low, area.high) == pytest.approx((alone.value, alone.low, alone.high), abs=1e-12)
    back = compare_aucs_between(rows, by="gender", levels=("Male", "Female"))
    assert back.difference.value == -got.difference.value and back.z == -got.z and back.p_value == got.p_value
    assert list(got.groups["group"]) == ["Female", "Male"] and got.groups["n"].sum() == got.n == 113


def test_the_better_group_has_the_positive_difference():
    rows = asah()
    worse = rows.assign(
        patient_id=rows["patient_id"] + "x", risk=rows["risk"].sample(frac=1, random_state=1).to_numpy()
    )
    both = pd.concat([rows.assign(split="oof"), worse.assign(split="external")])
    got = compare_aucs_between(both, by="split", levels=("oof", "external"))
    assert got.difference.value > 0.1 and got.p_value < 0.05 and got.notes == ()


def test_more_than_two_groups_are_named_and_two_can_be_chosen():
    rows = centres()
    with pytest.raises(OnlmError, match=r"holds 3 \(current, former, never\); pass levels=\('current', 'former'\)"):
        compare_aucs_between(rows, by="smoking")
    got = compare_aucs_between(rows, by="smoking", levels=("never", "current"))
    assert got.n_excluded == {"in another group": int((rows["smoking"] == "former").sum())}
    with pytest.raises(OnlmError, match=r"two different groups of smoking .* got \('never', 'often'\)"):
        compare_aucs_between(rows, by="smoking", levels=("never", "often"))
    with pytest.raises(OnlmError, match=r"it holds 1 \(all\); there is nothing to compare"):
        compare_aucs_between(rows.assign(site="all"), by="site")


def test_patients_without_the_column_are_counted_out():
    rows = asah()
    rows.loc[:4, "gender"] = np.nan
    got = compare_aucs_between(rows, by="gender")
    assert got.n == 108 and got.n_excluded == {"gender missing": 5}


def test_a_group_of_one_class_or_separated_groups_have_no_test():
    rows = asah()
    rows["onlm"] = rows["onlm"].where(rows["gender"] == "Male", 0)
    got = compare_aucs_between(rows, by="gender")
    assert math.isnan(got.z) and math.isnan(got.p_value) and "Female: all" in got.difference.note
    apart = pd.DataFrame({
        "patient_id": range(8), "onlm": [0, 0, 1, 1] * 2, "risk": [0.1, 0.2, 0.8, 0.9] * 2, "sex": list("aaaabbbb"),
    })  # fmt: skip
    done = compare_aucs_between(apart, by="sex")
    assert done.difference.value == 0 and math.isnan(done.p_value) and "separated completely" in done.difference.note

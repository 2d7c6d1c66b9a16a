"""Kaplan-Meier, log-rank and follow-up against R survival; tests/reference/make_survival.R makes the numbers."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from survival_reference import REFERENCE, in_r, table

from onlm_lab.analysis.survival import kaplan_meier
from onlm_lab.errors import OnlmError


def patients(days: list[float], event: list[int], **columns: list) -> pd.DataFrame:
    ids = [f"P{i}" for i in range(len(days))]
    return pd.DataFrame({"patient_id": ids, "os_days": days, "os_event": event, **columns})


LUNG, PBC = table("lung"), table("pbc")
TIES = LUNG.assign(os_days=LUNG["os_days"] // 60)
TINY = pd.read_csv(REFERENCE / "tiny_survival.csv").rename(columns={"time": "os_days", "status": "os_event"})
TINY["patient_id"] = TINY["id"].astype(str)
CASES = {
    "km_lung": (LUNG, None),
    "km_lung_sex": (LUNG, "sex"),
    "km_lung_ecog": (LUNG, "ecog"),
    "km_ties_sex": (TIES, "sex"),
    "km_pbc_stage": (PBC, "stage"),
    "km_tiny": (TINY, "group"),
    "km_flat": (patients([1, 2, 5, 8], [1, 1, 1, 0]), None),
    "km_flat_end": (patients([1, 2, 5, 8], [1, 1, 0, 0]), None),
}


@pytest.mark.parametrize("case", CASES)
def test_survival_limits_medians_and_log_rank_equal_those_of_r(case):
    rows, by = CASES[case]
    fit, expected = kaplan_meier(rows, by=by), in_r(case)
    found = {}
    for key in expected:
        parts = key.split(":")
        if parts[0] == "surv":
            at = fit.at(days=[float(parts[2])]).set_index("group").loc[parts[1]]
            found |= {key: at["survival"], f"n.risk:{parts[1]}:{parts[2]}": at["at_risk"]}
            inside = 0 < at["survival"] < 1
            low, high = f"lower:{parts[1]}:{parts[2]}", f"upper:{parts[1]}:{parts[2]}"
            found |= {low: at["low"] if inside else expected[low], high: at["high"] if inside else expected[high]}
            if math.isnan(at["survival"]):  # R carries the curve beyond the last follow-up when asked to; we do not
                found |= {key: expected[key], low: expected[low], high: expected[high]}
    for row in fit.median.to_dict("records"):
        name = row["group"]
        found |= {f"median:quantile:{name}": row["days"], f"median:lower:{name}": row["low"]}
        found |= {f"median:upper:{name}": row["high"]}
    for row in fit.groups.to_dict("records"):
        found[f"followup:{row['group']}"] = row["followup_days"]
    found |= {"chi2": fit.log_rank.chi2, "df": fit.log_rank.df, "p": fit.log_rank.p_value}
    for key, value in expected.items():
        assert found[key] == pytest.approx(value, rel=1e-8, abs=1e-10, nan_ok=True), key


EDGES = json.loads((REFERENCE / "curves.json").read_text())["edges"]


@pytest.mark.parametrize("case", EDGES)
def test_at_its_edges_the_curve_equals_that_of_r(case):
    """tests/reference/make_curves.R: survfit(Surv(days, event) ~ 1, conf.type = "log-log")."""
    expected = EDGES[case]
    fit = kaplan_meier(patients(expected["days"], expected["event"]))
    curve = fit.curve.iloc[1:]
    assert curve["days"].tolist() == expected["time"] and curve["at_risk"].tolist() == expected["n_risk"]
    for column, key in (("survival", "surv"), ("low", "lower"), ("high", "upper")):
        np.testing.assert_allclose(curve[column], np.array(expected[key], dtype=float), rtol=1e-12, atol=1e-15)
    np.testing.assert_array_equal(
        fit.median[["days", "low", "high"]].iloc[0], np.array(expected["median"], dtype=float)
    )


def test_whole_days_and_their_fractions_give_one_curve():
    chance = np.random.default_rng(5)
    whole = patients(list(chance.integers(0, 300, 400)), list(chance.integers(0, 2, 400)), arm=list("abcd" * 100))
    moved = whole.assign(os_days=whole["os_days"] * 1.5)
    once, again = kaplan_meier(whole, by="arm"), kaplan_meier(moved, by="arm")
    assert once.log_rank.chi2 == pytest.approx(again.log_rank.chi2, rel=1e-12)
    pd.testing.assert_frame_equal(once.curve.drop(columns="days"), again.curve.drop(columns="days"))


def test_times_on_which_follow_up_has_ended_give_no_survival():
    last = kaplan_meier(LUNG, by="sex").at(days=[5000])
    assert last["survival"].isna().all() and (last["at_risk"] == 0).all()


def test_a_curve_starts_with_everybody_alive_even_with_a_death_on_day_zero():
    curve = kaplan_meier(patients([0, 0, 4, 9], [1, 0, 1, 0])).curve
    assert curve.loc[0, ["days", "survival", "at_risk", "n_events"]].tolist() == [0, 1, 4, 0]
    assert curve.loc[1, ["days", "survival", "at_risk", "n_events", "n_censored"]].tolist() == [0, 0.75, 4, 1, 1]


def test_the_group_that_dies_sooner_has_the_lower_curve_and_the_shorter_median():
    rng = np.random.default_rng(3)
    high = np.arange(200) % 2 == 1
    days = rng.exponential(np.where(high, 300, 900))
    fit = kaplan_meier(patients(list(days), [1] * 200, high=list(high)), by="high")
    year = fit.at(days=[365]).set_index("group")["survival"]
    median = fit.median.set_index("group")["days"]
    assert year["True"] < year["False"] and median["True"] < median["False"] and fit.log_rank.p_value < 1e-6


def test_reversing_the_groups_leaves_the_log_rank_test_unchanged():
    mirrored = LUNG.assign(sex=LUNG["sex"].map({"male": "a", "female": "b"}))
    once, again = kaplan_meier(LUNG, by="sex").log_rank, kaplan_meier(mirrored, by="sex").log_rank
    assert once.chi2 == pytest.approx(again.chi2, rel=1e-12)


def test_without_events_the_log_rank_test_is_nan_and_says_so():
    fit = kaplan_meier(patients([3, 5, 9, 9], [0, 0, 0, 0], arm=list("abab")), by="arm")
    assert math.isnan(fit.log_rank.p_value) and fit.log_rank.note == "no events" and "no events" in fit.notes[0]
    assert (fit.curve["survival"] == 1).all() and fit.median["days"].isna().all() and fit.curve["low"].isna().all()


def test_one_event_gives_a_test_of_one_degree_of_freedom():
    fit = kaplan_meier(patients([3, 5, 9, 9], [0, 1, 0, 0], arm=list("aabb")), by="arm")
    assert fit.log_rank.df == 1 and fit.log_rank.chi2 == pytest.approx((1 - 1 / 3) ** 2 / (2 / 9))


def test_an_empty_category_is_named_and_not_drawn():
    arm = pd.Categorical(["a", "a", "b"], categories=["b", "none", "a"])
    fit = kaplan_meier(patients([3, 5, 9], [1, 1, 0]).assign(arm=arm), by="arm")
    assert fit.groups["group"].tolist() == ["b", "a"] and "no patient with arm = none" in fit.notes


def test_one_group_has_no_log_rank_test():
    assert math.isnan(kaplan_meier(LUNG).log_rank.chi2) and kaplan_meier(LUNG).log_rank.note == "one group"


def test_patients_whose_endpoint_or_group_is_unknown_are_counted_by_reason():
    rows = patients([3, None, 9, 4], [1, 1, 0, 1], arm=["a", "a", None, "b"])
    fit = kaplan_meier(rows, by="arm")
    assert fit.n_excluded == {"os unknown": 1, "arm missing": 1} and (fit.n, fit.n_events) == (2, 2)


def test_patients_without_a_nodal_label_stay_in_a_survival_curve():
    assert kaplan_meier(LUNG.assign(onlm=np.nan, risk=0.2)).n == len(LUNG)


def test_times_that_differ_by_rounding_are_ties():
    fit = kaplan_meier(patients([0.1 + 0.2, 0.3, 1, 2], [1, 1, 0, 0]))
    assert len(fit.curve) == 4 and fit.curve["survival"].iloc[1] == 0.5


def test_the_table_given_is_not_changed():
    rows = LUNG.copy()
    kaplan_meier(rows, by="sex")
    pd.testing.assert_frame_equal(rows, LUNG)


def test_an_endpoint_with_competing_events_is_sent_to_cumulative_incidence():
    rows = patients([3, 5], [1, 0]).rename(columns={"os_days": "regional_days", "os_event": "regional_state"})
    with pytest.raises(OnlmError, match=r'overstate its risk. Use cumulative_incidence\(rows, endpoint="regional"\)'):
        kaplan_meier(rows, endpoint="regional")


def test_an_unknown_endpoint_names_the_nearest():
    rows = patients([3, 5], [1, 0]).rename(columns={"os_days": "rfs_days", "os_event": "rfs_event"})
    with pytest.raises(OnlmError, match=r"'rfx' needs the columns rfx_days .* Did you mean 'rfs'"):
        kaplan_meier(rows, endpoint="rfx")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (patients([3, -5], [1, 0]), r"os_days must be a time of zero or more days, but 1 of 2 rows are not: P1 .*-5"),
        (patients([3, math.inf], [1, 0]), "os_days must be a time of zero or more days"),
        (patients([3, 5], [1, 2]), r"os_event must be 0 or 1, but 1 of 2 rows are not: P1 \(first value 2\)"),
        (patients([3, "soon"], [1, 0]), "os_days holds 1 values that are no numbers, such as 'soon'"),
        (patients([None, None], [1, 0]), r"no patient is left of 2 for endpoint 'os' \(2 os unknown\)"),
    ],
)
def test_impossible_follow_up_is_refused_in_one_sentence(rows, message):
    with pytest.raises(OnlmError, match=message):
        kaplan_meier(rows)


def test_curves_by_a_number_with_many_values_are_refused():
    with pytest.raises(
        OnlmError, match="curves by 'age' need a column with few groups, but it has 42 different values"
    ):
        kaplan_meier(LUNG, by="age")


def test_curves_by_a_column_that_is_not_there_name_the_nearest():
    with pytest.raises(OnlmError, match=r"'sexx' .nearest present: 'sex'"):
        kaplan_meier(LUNG, by="sexx")


def test_a_patient_twice_is_refused():
    with pytest.raises(OnlmError, match="more than one row"):
        kaplan_meier(pd.concat([LUNG, LUNG.iloc[:1]]))


def test_survival_stays_zero_after_the_last_patient_died():
    """R: one patient of lung with ph.ecog 3, dead on day 118; summary(survfit, times, extend=TRUE) goes on with 0."""
    after = kaplan_meier(patients([118, 90, 400], [1, 1, 0], ecog=["3", "1", "1"]), by="ecog").at(days=[118, 180, 730])
    assert after.query("group == '3'")["survival"].tolist() == [0, 0, 0]
    assert after.query("group == '1' and days == 730")["survival"].isna().all()


def test_a_group_of_decimal_numbers_is_named_as_one_of_whole_numbers():
    rows = patients([5, 8, 9, 20], [1, 0, 1, 0], high=[0, 1, 0, 1])
    for kind in ("int8", "float32", "Float64"):
        assert kaplan_meier(rows.astype({"high": kind}), by="high").median["group"].tolist() == ["0", "1"], kind


@pytest.mark.parametrize("days", [365, [], [-5], [math.nan], ["a"], None])
def test_days_that_are_no_list_of_days_are_refused(days):
    with pytest.raises(OnlmError, match=r"at: days must be a list of days from 0 on, such as days=\[365, 730\], got"):
        kaplan_meier(LUNG).at(days=days)


def test_a_group_or_endpoint_that_is_no_name_is_refused():
    with pytest.raises(OnlmError, match=r"column '.'sex'.' .nearest present: 'sex'. not found"):
        kaplan_meier(LUNG, by=["sex"])
    with pytest.raises(OnlmError, match="endpoint '365' needs the columns"):
        kaplan_meier(LUNG, endpoint=365)

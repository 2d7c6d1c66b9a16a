"""event_risk: each patient's probability comes from a model that never saw the patient, and a leak is seen."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from onlm_lab.analysis import brier_survival, event_risk, event_risk_table, predict_event
from onlm_lab.analysis.cross_fitted_risk import _told
from onlm_lab.errors import OnlmError


def trial(n: int = 300, *, seed: int = 1) -> pd.DataFrame:
    """Two arms, both hazards twice as high in SBRT; N+ (P = risk) makes the event four times as frequent."""
    rng = np.random.default_rng(seed)
    risk = 1 / (1 + np.exp(1.5 - 1.2 * rng.normal(size=n)))
    sbrt = rng.uniform(size=n) < 0.4
    own = rng.exponential(3000 / np.where(rng.uniform(size=n) < risk, 4, 1) / np.where(sbrt, 2, 1))
    other, end = rng.exponential(4000 / np.where(sbrt, 2, 1)), rng.uniform(600, 2600, n)
    days = np.ceil(np.minimum(np.minimum(own, other), end))
    state = np.where(np.minimum(own, other) > end, 0, np.where(own < other, 1, 2))
    columns = {"regional_days": days, "regional_state": state, "os_days": days, "os_event": (state > 0).astype(int)}
    arm = np.where(sbrt, "sbrt", "surgery")
    return pd.DataFrame({"patient_id": [f"P{i:04d}" for i in range(n)], "risk": risk, "arm": arm, **columns})


def told(rows: pd.DataFrame, endpoint: str = "os", horizon: float = 1095, **options) -> pd.Series:
    found = event_risk(rows, endpoint=endpoint, horizons_days=[horizon], **options)
    return found.set_index("patient_id")["event_risk"]


def sees_a_leak(tell, rows: pd.DataFrame, *, who: str) -> bool:
    """Whether what a patient is told changes with that patient's own outcome: it must not."""
    changed = rows.copy()
    own = changed["patient_id"] == who
    changed.loc[own, "os_event"] = 1 - changed.loc[own, "os_event"]
    return bool(tell(rows)[who] != tell(changed)[who])


@pytest.mark.parametrize("endpoint", ["os", "regional"])
def test_a_row_a_patient_and_horizon_says_how_it_was_made(endpoint):
    rows = trial()
    found = event_risk(rows, endpoint=endpoint, horizons_days=[365, 1095])
    assert list(found.columns) == [
        "patient_id", "model_id", "endpoint", "horizon_days", "event_risk", "fold", "method", "note", "arm",
    ]  # fmt: skip
    assert len(found) == 600 and found["event_risk"].between(0, 1).all() and (found["note"] == "").all()
    assert set(found["fold"]) == set(range(5))
    assert set(found["method"]) == {("Cox" if endpoint == "os" else "Fine-Gray") + " on risk, cross-fitted"}
    later = found.pivot(index="patient_id", columns="horizon_days", values="event_risk")
    assert (later[1095] > later[365]).all()


def test_the_own_outcome_never_changes_what_a_patient_is_told_and_a_planted_leak_is_seen():
    # The folds are the rows' own: those dealt by chance are even over the states and would be dealt anew.
    rows = trial(200).assign(fold=np.arange(200) % 5)

    def leaking(table: pd.DataFrame) -> pd.Series:
        found = predict_event(table, fitted_on=table, endpoint="os", covariates=["risk"], horizons_days=[1095])
        return found.set_index("patient_id")["event_risk"]

    for who in rows["patient_id"][:5]:
        assert not sees_a_leak(told, rows, who=who)
        assert sees_a_leak(leaking, rows, who=who)


def test_a_patient_among_those_who_teach_that_patient_is_refused():
    x, days, state = np.arange(40.0)[:, None], np.arange(1.0, 41), np.ones(40, dtype=int)
    with pytest.raises(OnlmError, match="a patient stands among those who teach"):
        _told(x, days, state, np.arange(5), np.arange(4, 40), horizons=[10.0], method="cox")


@pytest.mark.parametrize("endpoint", ["os", "regional"])
def test_each_fold_is_told_by_the_others_of_the_arm_alone(endpoint):
    rows = trial(400)
    found = event_risk(rows, endpoint=endpoint, horizons_days=[700])
    fold = found.set_index("patient_id")["fold"].reindex(rows["patient_id"]).to_numpy()
    for arm, number in (("surgery", 2), ("sbrt", 0)):
        inside = (rows["arm"] == arm) & (fold == number)
        others = rows[(rows["arm"] == arm) & (fold != number)]
        by_hand = predict_event(
            rows[inside], fitted_on=others, endpoint=endpoint, covariates=["risk"], horizons_days=[700]
        )  # fmt: skip
        same = found[found["patient_id"].isin(rows["patient_id"][inside])]
        np.testing.assert_allclose(same["event_risk"], by_hand["event_risk"], rtol=1e-9)


def test_the_rows_own_folds_are_used_and_the_others_are_dealt_into_them():
    rows = trial(200)
    rows["fold"] = np.where(np.arange(200) < 150, np.arange(200) % 3, np.nan)
    found = event_risk(rows, endpoint="os", horizons_days=[700], by=None)
    assert found["fold"][:150].tolist() == rows["fold"][:150].astype(int).tolist()
    assert set(found["fold"]) == {0, 1, 2} and "arm" not in found.columns


def test_folds_by_chance_are_even_over_the_states_and_do_not_depend_on_the_order_of_the_rows():
    rows = trial(300)
    found = event_risk(rows, endpoint="regional", horizons_days=[700], by=None)
    shares = rows.groupby(found["fold"].to_numpy())["regional_state"].value_counts().unstack()
    assert (shares.max() - shares.min() <= 1).all()
    mixed = rows.sample(frac=1, random_state=3)
    pd.testing.assert_series_equal(told(rows, "regional"), told(mixed, "regional").reindex(rows["patient_id"]))
    other = event_risk(rows, endpoint="regional", horizons_days=[700], by=None, generator=np.random.default_rng(9))
    assert (other["fold"] != found["fold"]).any()


def test_arms_are_told_apart():
    rows = trial(600)
    apart, together = told(rows), told(rows, by=None)
    sbrt = rows.set_index("patient_id")["arm"] == "sbrt"
    assert apart[sbrt].mean() - apart[~sbrt].mean() > 0.15 > together[sbrt].mean() - together[~sbrt].mean()


def test_patients_of_a_testing_set_teach_nobody_and_are_told_by_all_of_development():
    rows = trial(400).assign(arm="surgery", split="oof")
    rows.loc[300:, "split"] = "external"
    found = event_risk(rows, endpoint="os", horizons_days=[700])
    assert found["fold"].isna().tolist() == [False] * 300 + [True] * 100
    by_hand = predict_event(
        rows[300:], fitted_on=rows[:300], endpoint="os", covariates=["risk"], horizons_days=[700]
    )  # fmt: skip
    np.testing.assert_allclose(found["event_risk"][300:], by_hand["event_risk"], rtol=1e-12)
    rows.loc[300:, "os_event"] = 1
    again = event_risk(rows, endpoint="os", horizons_days=[700])
    pd.testing.assert_series_equal(found["event_risk"], again["event_risk"])
    alone = event_risk(rows[300:], endpoint="os", horizons_days=[700])
    assert set(alone["fold"]) == set(range(5)), "where nobody else is there they are cross-fitted among themselves"


def test_unlabelled_patients_of_a_centre_that_is_held_out_teach_nobody_but_sbrt_patients_do():
    rows = trial(300).assign(split="unlabelled", part="development")
    rows.loc[200:, "part"] = "external"
    found = event_risk(rows, endpoint="os", horizons_days=[700])
    held = (rows["part"] == "external") & (rows["arm"] == "surgery")
    assert found["fold"].isna().tolist() == held.tolist()


def test_who_has_no_outcome_is_told_and_teaches_nobody_and_who_has_no_risk_is_not_told():
    rows = trial(200).assign(arm="surgery")
    rows.loc[:9, ["os_days", "os_event"]] = np.nan
    rows.loc[190:, "risk"] = np.nan
    found = event_risk(rows, endpoint="os", horizons_days=[700])
    assert found["event_risk"][:190].notna().all() and found["event_risk"][190:].isna().all()
    assert set(found["note"][190:]) == {"a covariate is missing"}


@pytest.mark.parametrize("n_events", [0, 1, 11])
def test_few_events_tell_nobody_of_the_arm_and_say_so(n_events):
    rows = trial(300)
    surgery = np.flatnonzero(rows["arm"] == "surgery")
    rows.loc[surgery, "os_event"] = 0
    rows.loc[surgery[:n_events], "os_event"] = 1
    found = event_risk(rows, endpoint="os", horizons_days=[700])
    one = found[found["arm"] == "surgery"]
    assert one["event_risk"].isna().all() and one["note"].str.startswith("few events: ").all()
    assert found[found["arm"] == "sbrt"]["event_risk"].notna().all()


def test_a_horizon_beyond_the_follow_up_of_one_fold_is_told_to_none():
    rows = trial(200).assign(arm="surgery", fold=np.arange(200) % 4)
    last = int(rows["os_days"].idxmax())
    second = float(rows.loc[rows["fold"] != rows.loc[last, "fold"], "os_days"].max())
    between = (second + rows["os_days"].max()) / 2
    found = event_risk(rows, endpoint="os", horizons_days=[second - 1, between])
    assert found["event_risk"].notna().tolist() == [True, False] * 200
    assert set(found["note"][1::2]) == {f"followed to day {second:g} only"}


def test_a_risk_that_is_the_same_for_everybody_teaches_nothing_and_does_not_stop_the_others():
    found = event_risk(trial().assign(risk=0.2), endpoint="os", horizons_days=[700])
    assert found["event_risk"].isna().all() and set(found["note"]) == {"the covariates are the same in all who teach"}


def test_two_covariates_of_which_one_is_a_category_are_told_as_by_hand():
    rows = trial(400).assign(grade=np.where(np.arange(400) % 3, "low", "high"), fold=np.arange(400) % 4, arm="surgery")
    found = event_risk(rows, endpoint="os", horizons_days=[700], covariates=["risk", "grade"])
    inside = rows["fold"] == 1
    by_hand = predict_event(
        rows[inside], fitted_on=rows[~inside], endpoint="os", covariates=["risk", "grade"], horizons_days=[700]
    )  # fmt: skip
    np.testing.assert_allclose(found["event_risk"][inside.to_numpy()], by_hand["event_risk"], rtol=1e-9)


def test_a_category_that_only_one_fold_has_is_not_told_there():
    rows = trial(400).assign(fold=np.arange(400) % 4, arm="surgery", grade="a")
    rows.loc[rows["fold"] == 1, "grade"] = np.where(np.arange(100) % 2, "a", "b")
    found = event_risk(rows, endpoint="os", horizons_days=[700], covariates=["risk", "grade"])
    assert found["event_risk"].isna().tolist() == (rows["grade"] == "b").tolist()
    assert set(found["note"]) == {"", "of a category that nobody who teaches has"}


def test_cross_fitted_probabilities_are_worth_more_than_the_incidence_of_the_group():
    rows = trial(3000, seed=4)
    table = event_risk(rows, endpoint="regional", horizons_days=[730, 1095])
    found = brier_survival(rows, endpoint="regional", horizons_days=[730, 1095], event_risk=table)
    assert (found["scaled"] > 0.02).all()


def test_the_table_of_a_study_holds_every_model_endpoint_and_followed_horizon():
    rows = pd.concat([trial().assign(model_id=m) for m in ("a", "b")]).assign(rfs_days=np.nan, rfs_event=np.nan)
    found = event_risk_table(rows, endpoints=["os", "regional", "rfs", "distant"], horizon_days=9999)
    assert set(zip(found["model_id"], found["endpoint"], strict=True)) == {
        (m, e) for m in "ab" for e in ("os", "regional")
    }
    assert set(found["horizon_days"]) == {365, 730, 1095, 1826, 9999}
    assert found.loc[found["horizon_days"] == 9999, "event_risk"].isna().all(), "the study's own horizon stays"
    assert not found.duplicated(["patient_id", "model_id", "endpoint", "horizon_days"]).any()
    assert event_risk_table(rows, endpoints=["distant"], horizon_days=365).empty


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_folds": 1}, "event_risk needs n_folds of at least 2, got 1"),
        ({"covariates": "risk"}, "covariates must be a list"),
        ({"covariates": ["os_days"]}, "'os_days' cannot be a covariate: it is the outcome"),
        ({"covariates": ["rsk"]}, "'rsk' .nearest present: 'risk'"),
        ({"method": "fine_gray"}, "method of endpoint 'os' must be 'cox'"),
        ({"folds": "arm"}, "'arm' must hold fold numbers from 0, but 60 rows do not"),
        ({"horizons_days": [-1]}, "horizons_days must be days after time zero"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_one_sentence(options, message):
    with pytest.raises(OnlmError, match=message):
        event_risk(trial(60), **({"endpoint": "os", "horizons_days": [365]} | options))

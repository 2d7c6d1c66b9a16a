"""Covariates that differ only in patients who left before the first event: nobody at risk can tell them apart."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from onlm_lab import analysis


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """Two covariates that are the same in all who are at risk at an event, and not in four who were censored early."""
    made = np.random.default_rng(5)
    n = 60
    x = made.normal(size=n).round(2)
    days = np.r_[made.exponential(700, size=n - 4) + 100, 10, 20, 30, 40].round()
    died = np.r_[made.random(n - 4) < 0.6, np.zeros(4, dtype=bool)].astype(int)
    twin = x.copy()
    twin[-4:] += 1.0
    arm = np.r_[np.arange(n - 4) % 2, 1, 1, 1, 1]
    return pd.DataFrame({
        "patient_id": [f"P{k}" for k in range(n)], "os_days": days, "os_event": died, "x": x, "twin": twin,
        "age": made.normal(60, 8, size=n).round(), "arm": arm, "group": np.where(arm == 1, "a", "b"),
    })  # fmt: skip


def test_the_later_twin_has_no_hazard_ratio_and_the_rest_is_as_without_it(rows):
    """As R's coxph does (singular.ok = TRUE): NA for the later of the two."""
    both = analysis.cox(rows, endpoint="os", covariates=["x", "twin", "age"])
    alone = analysis.cox(rows, endpoint="os", covariates=["x", "age"])
    table = both.table.set_index("covariate")
    assert np.isnan(table.loc["twin", ["coef", "se", "hr", "p_value"]].astype(float)).all()
    columns = ["coef", "se", "hr", "low", "high", "p_value"]
    kept = table.loc[["x", "age"], columns].to_numpy(float)
    assert kept == pytest.approx(
        alone.table.set_index("covariate").loc[["x", "age"], columns].to_numpy(float), rel=1e-7
    )
    assert any(
        note.startswith("twin: no finite hazard ratio") and "told from the others" in note for note in both.notes
    )


def test_the_order_says_which_of_them_is_left_out(rows):
    table = analysis.cox(rows, endpoint="os", covariates=["twin", "x"]).table.set_index("covariate")
    assert np.isfinite(table.loc["twin", "hr"]) and np.isnan(table.loc["x", "hr"])


def test_an_interaction_that_nobody_at_risk_can_show_is_no_number_and_no_crash(rows):
    """The cell of treatment 0 in group b is there among the patients, and empty among those at risk at an event."""
    early = rows.copy()
    early.loc[early.index[-4:], ["arm", "group"]] = [[0, "b"], [0, "b"], [1, "a"], [1, "a"]]
    early.loc[early.index[:-4], "group"] = np.where(
        early["arm"].iloc[:-4] == 1, np.where(early["x"].iloc[:-4] > 0, "a", "b"), "a"
    )
    found = analysis.interaction(early, endpoint="os", treatment="arm", group="group")
    assert np.isnan(found.p_value) and any("no interaction test" in note for note in found.notes)


def test_subdistribution_hazards_leave_the_later_twin_out_too(rows):
    state = rows.assign(regional_days=rows["os_days"], regional_state=rows["os_event"] * (1 + (rows["age"] > 65)))
    both = analysis.fine_gray(state, endpoint="regional", covariates=["x", "twin"], cause=1).table.set_index(
        "covariate"
    )
    alone = analysis.fine_gray(state, endpoint="regional", covariates=["x"], cause=1).table.set_index("covariate")
    assert np.isnan(both.loc["twin", "coef"])
    assert both.loc["x", ["coef", "se"]].to_numpy(float) == pytest.approx(
        alone.loc["x", ["coef", "se"]].to_numpy(float), rel=1e-7
    )

"""Hazard ratios over time against cox.zph of R survival (reference/make_hazards.R)."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hazard_reference import BASIC, LUNG, TIES, R

from onlm_lab.analysis.hazard import cox
from onlm_lab.analysis.hazard_constancy import proportional_hazards
from onlm_lab.errors import OnlmError

CASES = {"lung": (LUNG, "km"), "ties": (TIES, "identity")}
ORDER = ["age", "sex[male]", "ecog"]


@pytest.mark.parametrize("case", CASES)
def test_scaled_schoenfeld_residuals_are_those_of_cox_zph(case):
    rows, transform = CASES[case]
    found, expected = (
        proportional_hazards(rows, endpoint="os", covariates=BASIC, transform=transform),
        R[f"schoenfeld_{case}"],
    )
    theirs = np.array(expected["y"])
    for i, name in enumerate(ORDER):
        own = found.residuals[found.residuals["covariate"] == name]
        assert own["days"].tolist() == sorted(expected["days"])
        a = np.array(sorted(zip(own["days"], own["residual"], strict=True)))
        b = np.array(sorted(zip(expected["days"], theirs[:, i], strict=True)))
        assert np.allclose(a, b, rtol=1e-7)


@pytest.mark.parametrize("case", CASES)
def test_the_smooth_log_hazard_ratio_and_its_band_are_a_natural_spline_through_them(case):
    rows, transform = CASES[case]
    curve, expected = (
        proportional_hazards(rows, endpoint="os", covariates=BASIC, transform=transform).curve,
        R[f"schoenfeld_{case}"],
    )
    smooth, se = np.array(expected["smooth"]), np.array(expected["se"])
    for i, name in enumerate(ORDER):
        own = curve[curve["covariate"] == name]
        assert own["log_hr"].tolist() == pytest.approx(smooth[:, i].tolist(), rel=1e-6, abs=1e-9)
        assert ((own["high"] - own["low"]) / 2 / 1.959963984540054).tolist() == pytest.approx(
            se[:, i].tolist(), rel=1e-6
        )
        assert np.allclose(own["hr"], np.exp(own["log_hr"])) and np.allclose(own["hr_low"], np.exp(own["low"]))


def test_the_test_is_that_of_the_model():
    a, b = proportional_hazards(LUNG, endpoint="os", covariates=BASIC), cox(LUNG, endpoint="os", covariates=BASIC)
    pd.testing.assert_frame_equal(a.test, b.ph_test)
    assert a.coefficients["hr"].tolist() == b.table["hr"].tolist() and a.n_events == b.n_events


def test_a_hazard_ratio_that_fades_is_found_and_its_curve_falls():
    rng = np.random.default_rng(2)
    arm = rng.integers(0, 2, 1500)
    early, late = rng.exponential(1 / (1 + 3 * arm)), rng.exponential(1.0, 1500)
    days = np.where(early < 0.3, early, 0.3 + late)  # ratio 4 before, 1 after
    rows = pd.DataFrame({"patient_id": range(1500), "os_days": days * 1000, "os_event": 1, "arm": arm})
    found = proportional_hazards(rows, endpoint="os", covariates=["arm"])
    curve = found.curve
    assert found.test["p_value"][0] < 0.001 and curve["log_hr"].iloc[0] > 0.8 > curve["log_hr"].iloc[-20]
    assert len(curve) == 200


@pytest.mark.parametrize(
    ("rows", "note"),
    [
        (LUNG.assign(os_event=0), "not fitted: 0 events for 1 coefficients"),
        (LUNG.assign(os_event=np.r_[1, np.zeros(len(LUNG) - 1, dtype=int)]), "not fitted: 1 events"),
        (LUNG.assign(age=((LUNG["os_event"] == 0) & (LUNG["age"] > 60)).astype(int)), "no finite maximum"),
        (LUNG.assign(os_days=np.where(LUNG["os_event"] == 1, 5, 9)), "no curve: the events fall on too few days"),
    ],
)
def test_where_nothing_can_be_said_the_note_says_why(rows, note):
    found = proportional_hazards(rows, endpoint="os", covariates=["age"])
    assert found.test["chi2"].isna().all() and found.curve.empty and note in found.notes[0]
    assert found.to_dict()["curve"] == []


def test_a_death_on_day_zero_has_no_logarithm_and_the_note_says_so():
    rows = LUNG.assign(os_days=LUNG["os_days"] - LUNG["os_days"].min())
    found = proportional_hazards(rows, endpoint="os", covariates=["age"], transform="log")
    assert found.notes == ("not tested: an event on day 0 has no logarithm",) and found.test["chi2"].isna().all()
    with pytest.raises(OnlmError, match="transform must be one of"):
        proportional_hazards(rows, endpoint="os", covariates=["age"], transform="square")

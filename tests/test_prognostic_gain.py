"""What a covariate adds, against anova and concordance(fit1, fit2) of R survival (reference/make_hazards.R)."""

from __future__ import annotations

import numpy as np
import pytest
from hazard_reference import LUNG, TIES, R

from onlm_lab.analysis.prognostic_gain import added_value
from onlm_lab.errors import OnlmError

CASES = {
    "lung": (LUNG, {"base": ["age", "sex"], "added": ["ecog"]}),
    "ties": (TIES, {"base": ["age"], "added": ["ecog"], "strata": "sex"}),
}


@pytest.mark.parametrize("case", CASES)
def test_test_concordances_paired_difference_and_criterion_equal_those_of_r(case):
    rows, options = CASES[case]
    found, expected = added_value(rows, endpoint="os", **options), R[f"added_{case}"]
    z = 1.959963984540054
    assert found.likelihood_ratio.chi2 == pytest.approx(expected["chi2"], rel=1e-7) and found.likelihood_ratio.df == 1
    assert found.likelihood_ratio.p_value == pytest.approx(expected["p"], rel=1e-6)
    for own, value, se in zip((found.base, found.full), expected["c"], expected["se"], strict=True):
        assert own.value == pytest.approx(value, rel=1e-10)
        assert (own.high - own.low) / 2 / z == pytest.approx(se, rel=1e-7)
    assert found.difference.value == pytest.approx(expected["c"][1] - expected["c"][0], rel=1e-8)
    assert (found.difference.high - found.difference.low) / 2 / z == pytest.approx(expected["difference_se"], rel=1e-7)
    assert found.table["aic"].tolist() == pytest.approx(expected["aic"], rel=1e-9)
    base, full = found.table["chi2"]
    null = expected["loglik"][0]
    assert found.adequacy == pytest.approx((expected["loglik"][1] - null) / (expected["loglik"][2] - null), rel=1e-7)
    assert full - base == pytest.approx(expected["chi2"], rel=1e-7)


def test_noise_adds_nothing_and_the_result_says_that_it_is_apparent():
    rows = LUNG.assign(risk=np.random.default_rng(3).uniform(size=len(LUNG)))
    found = added_value(rows, endpoint="os", base=["ecog"])
    assert found.likelihood_ratio.p_value > 0.05 and found.adequacy > 0.9 and found.difference.low < 0.01
    assert found.apparent and "apparent" in found.notes[0] and found.added_covariates == ("risk",)


def test_what_drives_the_hazard_adds_a_lot():
    rng = np.random.default_rng(3)
    rows = LUNG.assign(risk=rng.uniform(size=len(LUNG)), os_event=1)
    rows["os_days"] = rng.exponential(900 * np.exp(-4 * rows["risk"]))
    found = added_value(rows, endpoint="os", base=["ecog"])
    assert found.likelihood_ratio.p_value < 1e-6 and found.difference.low > 0.1 and found.adequacy < 0.2


@pytest.mark.parametrize("n_events", [0, 1])
def test_no_or_one_event_gives_nothing(n_events):
    rows = LUNG.assign(os_event=np.r_[np.ones(n_events, dtype=int), np.zeros(len(LUNG) - n_events, dtype=int)])
    found = added_value(rows, endpoint="os", base=["age"], added=["ecog"])
    assert np.isnan(found.likelihood_ratio.chi2) and np.isnan(found.adequacy) and np.isnan(found.difference.value)
    assert f"not fitted: {n_events} events" in found.notes[1] and found.to_dict()["adequacy"] is None


def test_separation_is_named():
    rows = LUNG.assign(mark=((LUNG["os_event"] == 0) & (LUNG["age"] > 60)).astype(int))
    found = added_value(rows, endpoint="os", base=["age"], added=["mark"])
    assert any("no finite maximum" in note for note in found.notes) and found.likelihood_ratio.p_value < 0.001


def test_missing_values_of_either_model_are_left_out_of_both_and_counted():
    rows = LUNG.assign(
        age=LUNG["age"].where(np.arange(len(LUNG)) > 3), ecog=LUNG["ecog"].where(np.arange(len(LUNG)) != 9)
    )
    found = added_value(rows, endpoint="os", base=["age"], added=["ecog"])
    assert found.n == len(LUNG) - 5 and found.n_excluded == {"age missing": 4, "ecog missing": 1}


@pytest.mark.parametrize("options", [{"base": []}, {"base": ["age"], "added": ["age"]}, {"base": ["age"], "added": []}])
def test_base_and_added_must_differ(options):
    with pytest.raises(OnlmError, match="base and added must be lists of at least one column each"):
        added_value(LUNG.assign(risk=0.5), endpoint="os", **options)

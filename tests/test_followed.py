"""What was computed of followed patients is kept; a new horizon or threshold asks only for what it changes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from made_run import write_run

from onlm_lab import analysis
from onlm_lab.analysis.hazard_rows import HazardRows
from onlm_lab.analysis.partial_likelihood import count_patterns, fit_cox, information, likelihood, risk_sets
from onlm_lab.analysis.rows import Patients, checked_patients
from onlm_lab.errors import OnlmError
from onlm_lab.panels import hazards, outcomes
from onlm_lab.panels.card import outcome_card
from onlm_lab.panels.event_risks import auc_over_time_panel
from onlm_lab.panels.followed import MOST_THRESHOLDS, Followed

ASKED = {"model": "fused", "arm": "surgery"}


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("followed") / "run", n_surgery=300, n_sbrt=60).rows()


def page(rows, *, endpoint="rfs", horizon_days=730.0, threshold=None):
    asked, day, cut = ASKED | {"endpoint": endpoint}, {"horizon_days": horizon_days}, {"threshold": threshold}
    return [
        outcomes.outcome_panel(rows, **asked, **day, **cut),
        outcomes.mean_time_panel(rows, **asked, **day, **cut),
        hazards.hazard_comparison_panel(rows, **asked, adjust=["age_years", "sex"]),
        hazards.constancy_panel(rows, **asked),
        auc_over_time_panel(rows, models=["fused"], endpoint=endpoint, arm="surgery", horizons_days=[365], **day),
        outcome_card(rows, **ASKED, **day, **cut),
    ]


def same(kept, anew):
    for one, other in zip(kept, anew, strict=True):
        pd.testing.assert_frame_equal(one.table, other.table)
        assert (one.sentence, one.notes) == (other.sentence, other.notes)
        if hasattr(one, "figure"):
            assert one.figure == other.figure
        else:
            assert one.html == other.html


def test_a_page_says_the_same_with_and_without_keeping(rows):
    known = Followed(rows)
    for endpoint in ("rfs", "regional"):
        for moved in ({}, {"horizon_days": 500.0}, {"threshold": 0.15}):
            same(page(known, endpoint=endpoint, **moved), page(rows, endpoint=endpoint, **moved))


def test_a_moved_horizon_fits_nothing_and_draws_no_curve_anew(rows, monkeypatch):
    known = Followed(rows)
    page(known)
    for name in ("univariable", "added_value", "proportional_hazards"):
        monkeypatch.setitem(analysis.__dict__, name, lambda *_, **__: pytest.fail("computed again"))
    monkeypatch.setattr(HazardRows, "fit", lambda *_: pytest.fail("fitted again"))
    for module, name in (("survival", "_curves"), ("competing_risks", "_curves"), ("hundred_patients", "fit_cox")):
        monkeypatch.setattr(f"onlm_lab.analysis.{module}.{name}", lambda *_, **__: pytest.fail("computed again"))
    monkeypatch.setattr("onlm_lab.panels.followed.of_arm", lambda *_, **__: pytest.fail("chosen again"))
    page(known, horizon_days=500.0)


def test_a_moved_threshold_leaves_what_does_not_hang_on_it(rows, monkeypatch):
    known = Followed(rows)
    page(known)
    for name in ("univariable", "added_value", "proportional_hazards", "time_dependent_auc"):
        monkeypatch.setitem(analysis.__dict__, name, lambda *_, **__: pytest.fail("computed again"))
    page(known, threshold=0.15)


def test_groups_are_kept_for_the_last_few_thresholds(rows):
    known = Followed(rows)
    assert Followed.of(known) is known and Followed.of(rows) is not known
    first = known.grouped(**ASKED, threshold=0.1)
    assert known.grouped(**ASKED, threshold=0.1) is first
    for i in range(MOST_THRESHOLDS):
        known.grouped(**ASKED, threshold=0.2 + i / 100)
    assert known.grouped(**ASKED, threshold=0.1) is not first


def test_the_rows_are_not_changed(rows):
    before = rows.copy()
    page(Followed(rows), threshold=0.2)
    page(rows, threshold=0.2)
    pd.testing.assert_frame_equal(rows, before)


def test_checked_patients_give_what_their_rows_give_and_are_of_one_model(rows):
    one = rows[(rows["model_id"] == "fused") & (rows["split"] == "oof") & (rows["repeat"] == 0)]
    given = checked_patients(one)
    assert checked_patients(given) is given and isinstance(given, Patients)
    for call, asked in (
        (analysis.kaplan_meier, {"endpoint": "os", "by": "sex"}),
        (analysis.cumulative_incidence, {"endpoint": "regional", "by": "sex"}),
        (analysis.rmst, {"endpoint": "os", "tau_days": 500}),
        (analysis.cox, {"endpoint": "rfs", "covariates": ["risk", "sex"]}),
        (analysis.univariable, {"endpoint": "rfs", "covariates": ["risk", "sex"]}),
        (analysis.added_value, {"endpoint": "rfs", "base": ["sex"]}),
        (analysis.proportional_hazards, {"endpoint": "rfs", "covariates": ["risk"]}),
        (analysis.outcome_card, {"by": "sex", "horizon_days": 500}),
    ):
        assert call(given, **asked).digest == call(one, **asked).digest
    with pytest.raises(OnlmError, match=r"patients of model 'fused'; 'image' was asked for"):
        analysis.kaplan_meier(given, endpoint="os", model="image")


@pytest.mark.parametrize("n_strata", [1, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_counted_patients_have_the_likelihood_of_the_patients(n_strata, weighted):
    rng = np.random.default_rng(4)
    n = 300
    x = rng.integers(0, 2, (n, 3)).astype(float)
    days, event = rng.integers(1, 40, n).astype(float), rng.uniform(size=n) < 0.5
    weight = rng.uniform(0.5, 2, n) if weighted else None
    sets = risk_sets((x - x.mean(0)) / x.std(0), days, event, rng.integers(0, n_strata, n), weight=weight)
    beta = np.array([0.3, -0.2, 0.5])
    value, score, info = count_patterns(sets).pieces(beta)
    at = likelihood(sets, beta)
    assert value == pytest.approx(at.value, rel=1e-12)
    np.testing.assert_allclose(score, at.score, atol=1e-9)
    np.testing.assert_allclose(info, information(sets, at), atol=1e-9)
    assert count_patterns(sets.of(rng.normal(size=(n, 1)))) is None


def test_risk_sets_sorted_once_serve_other_covariates():
    rng = np.random.default_rng(5)
    n = 200
    x, days, event = rng.normal(size=(n, 2)), rng.exponential(300, n), rng.uniform(size=n) < 0.6
    stratum = rng.integers(0, 3, n)
    sets = risk_sets(np.empty((n, 0)), days, event, stratum)
    shared, alone = (fit_cox(x, days, event, stratum=stratum, sets=s) for s in (sets, None))
    np.testing.assert_array_equal(shared.coef, alone.coef)
    np.testing.assert_array_equal(shared.covariance, alone.covariance)

"""The races of `make bench` on time to event: both sides compute the same thing, and a missing R is said aloud."""

import numpy as np
import pandas as pd
import pytest

from benchmarks import outcomes
from onlm_lab import analysis


@pytest.fixture(scope="module")
def rows():
    return outcomes.made_rows(400)


def test_the_peers_fit_the_model_that_we_fit(rows):
    table = analysis.cox(rows, endpoint="os", covariates=outcomes.COVARIATES).table
    per_unit = table["coef"].to_numpy() * [10, 1]  # ours is for 10 points of risk
    assert outcomes._lifelines_cox(rows).params_.to_numpy() == pytest.approx(per_unit, rel=1e-5)
    assert outcomes._sksurv_cox(rows).coef_ == pytest.approx(per_unit, rel=1e-5)
    coef, se = outcomes._statsmodels_cox(rows)
    assert coef == pytest.approx(per_unit, rel=1e-5)
    assert se == pytest.approx(table["se"].to_numpy() * [10, 1], rel=1e-4)


def test_the_peers_curves_are_ours(rows):
    ours = analysis.cumulative_incidence(rows).at(days=[outcomes.HORIZON])
    days, incidence, _ = outcomes._sksurv_incidence(rows)
    at = np.searchsorted(days, outcomes.HORIZON, side="right") - 1
    assert incidence[1:, at] == pytest.approx(ours["incidence"].to_numpy(), abs=1e-10)
    for number, fitted in enumerate(outcomes._lifelines_incidence(rows)):
        assert fitted.predict(outcomes.HORIZON) == pytest.approx(ours["incidence"][number], abs=0.01)
    tested = outcomes._lifelines_curves(rows)
    assert tested.p_value == pytest.approx(analysis.kaplan_meier(rows, by=outcomes.QUARTERS).log_rank.p_value, abs=1e-8)
    lived = analysis.rmst(rows, endpoint="os", by="positive", tau_days=outcomes.HORIZON).table["rmst_days"]
    assert outcomes._lifelines_rmst(rows) == pytest.approx(lived.to_numpy(), rel=1e-6)


def test_the_races_start_and_name_their_peers(rows, monkeypatch):
    monkeypatch.setattr(outcomes, "MANY", 300)
    monkeypatch.setattr(outcomes, "SOME", 300)
    names = []
    for name, peer, ours, theirs in outcomes.races():
        names.append((name, peer))
        ours()
        theirs()
    assert len(names) == len(set(names)) >= 10


def test_without_r_the_report_says_what_to_install(rows, monkeypatch, capsys):
    monkeypatch.setattr(outcomes.shutil, "which", lambda name: None)
    monkeypatch.setattr(outcomes, "FEW", 200)
    monkeypatch.setattr(outcomes, "MANY", 300)
    outcomes.report()
    said = capsys.readouterr().out
    assert "SKIPPED beside R: no Rscript" in said and "yardstick" in said


def test_times_are_in_whole_days_and_quarters_are_even(rows):
    assert (rows["os_days"] % 1 == 0).all() and (rows["regional_days"] > 0).all()
    assert pd.Series(rows[outcomes.QUARTERS]).value_counts().tolist() == [100] * 4

"""Panels of hazards: the risk alone and beside others, its unit, its constancy and its form."""

from __future__ import annotations

import numpy as np
import pytest
from lifelines import CoxPHFitter
from made_run import NASTY, write_run

from onlm_lab import analysis
from onlm_lab.errors import OnlmError
from onlm_lab.figures import theme
from onlm_lab.panels import hazards
from onlm_lab.panels.patients import of_arm
from onlm_lab.panels.phrases import named
from onlm_lab.results import Estimate

ADJUST = ("age_years", "sex", "clinical_t")


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("hazards") / "run").rows()


def compared(rows, **changed):
    asked = {"model": "fused", "endpoint": "rfs", "arm": "surgery", "adjust": ADJUST} | changed
    return hazards.hazard_comparison_panel(rows, **asked)


def test_the_risk_alone_has_the_ratio_of_lifelines_per_ten_points(rows):
    panel = compared(rows)
    own = of_arm(rows, model="fused", arm="surgery")
    theirs = CoxPHFitter().fit(
        own[["rfs_days", "rfs_event"]].assign(risk=own["risk"] * 10), "rfs_days", "rfs_event"
    ).summary.loc["risk"]  # fmt: skip
    row = panel.table.set_index("covariate").loc["risk"]
    assert row["univariable_hr"] == pytest.approx(theirs["exp(coef)"], abs=1e-6)
    assert f"per 10 percentage points alone {theirs['exp(coef)']:.2f} (" in panel.sentence


def test_beside_the_others_the_ratio_is_that_of_one_model_of_all(rows):
    panel = compared(rows)
    own = of_arm(rows, model="fused", arm="surgery")
    both = analysis.cox(own, endpoint="rfs", covariates=["risk", *ADJUST]).table.set_index("covariate").loc["risk"]
    ratio = theme.with_interval(Estimate(both["hr"], both["low"], both["high"]))
    assert f"beside age, sex and clinical T {ratio}, {theme.p_value(both['p_value'])}" in panel.sentence


def test_what_the_risk_adds_is_the_likelihood_ratio_and_the_change_of_concordance(rows):
    panel = compared(rows)
    own = of_arm(rows, model="fused", arm="surgery")
    gain = analysis.added_value(own, endpoint="rfs", base=list(ADJUST), added=["risk"])
    assert f"the risk changes the concordance by {theme.with_interval(gain.difference, digits=3)}" in panel.sentence
    assert f"(likelihood ratio {theme.p_value(gain.likelihood_ratio.p_value)}; apparent)" in panel.sentence
    assert "Observational" in panel.sentence


def test_covariates_that_are_not_known_or_do_not_vary_are_left_out(rows):
    blank = rows.assign(kps=np.nan, sex="female")
    panel = compared(blank, adjust=("kps", "sex", "age_years", "not_there"))
    assert "beside age " in panel.sentence and "KPS" not in panel.sentence and "sex" not in panel.sentence
    alone = compared(blank, adjust=("kps", "sex"))
    assert "beside" not in alone.sentence and "concordance" not in alone.sentence


def test_where_events_compete_the_ratio_is_cause_specific(rows):
    panel = compared(rows, endpoint="regional", arm="sbrt", adjust=())
    own = of_arm(rows, model="fused", arm="sbrt")
    row = analysis.cox(own, endpoint="regional", covariates=["risk"], cause=1).table.iloc[0]
    assert panel.table["univariable_hr"].iloc[0] == pytest.approx(row["hr"], abs=1e-12)
    assert panel.sentence.startswith(
        "SBRT arm, regional (nodal) recurrence: hazard ratio of the risk per 10 percentage"
    )


def test_few_events_and_ratios_without_a_limit_are_named_in_words(rows):
    panel = compared(rows, endpoint="regional", arm="sbrt")
    assert any(n.startswith("few events: 8 for the ") for n in panel.notes)
    assert not [n for n in panel.notes if "clinical_t" in n or "[" in n]


def test_where_the_risks_are_narrow_the_unit_is_their_standard_deviation_and_says_how_wide(rows):
    tight = rows.assign(risk=0.2 + 0.05 * rows["risk"])
    own = of_arm(tight, model="fused", arm="surgery")
    panel = compared(tight)
    assert f"per standard deviation ({100 * own['risk'].std():.1f} percentage points) alone" in panel.sentence
    scaled = of_arm(rows, model="fused", arm="surgery")  # the same patients on the same scale of SD
    scaled = scaled.assign(z=(scaled["risk"] - scaled["risk"].mean()) / scaled["risk"].std())
    expected = analysis.cox(scaled, endpoint="rfs", covariates=["z"]).table["hr"].iloc[0]
    row = panel.table.set_index("covariate").loc[hazards.RISK_SD]
    assert row["univariable_hr"] == pytest.approx(expected, rel=1e-8)


def test_risks_that_are_all_the_same_have_no_ratio(rows):
    with pytest.raises(OnlmError, match="All 240 patients have the same risk: there is no hazard ratio"):
        compared(rows.assign(risk=0.2))


def test_constancy_is_the_exact_test_and_says_what_to_read_where_it_fails(rows):
    panel = hazards.constancy_panel(rows, model="fused", endpoint="rfs", arm="surgery")
    own = of_arm(rows, model="fused", arm="surgery")
    found = analysis.proportional_hazards(own, endpoint="rfs", covariates=["risk"]).test
    p = float(found.loc[found["covariate"] == "GLOBAL", "p_value"].iloc[0])
    assert p < 0.05 and f"changes over time ({theme.p_value(p)}): one ratio does not hold" in panel.sentence
    steady = hazards.constancy_panel(rows, model="fused", endpoint="os", arm="surgery")
    assert "no sign that the hazard ratio of the risk changes over time" in steady.sentence
    assert "proves nothing" in steady.sentence


def test_the_form_tells_the_test_of_a_straight_line(rows):
    panel = hazards.form_panel(rows, model="fused", endpoint="rfs", arm="surgery")
    own = of_arm(rows, model="fused", arm="surgery")
    found = analysis.functional_form(own, endpoint="rfs", covariate="risk")
    assert f"departure from a straight line {theme.p_value(found.nonlinearity.p_value)}." in panel.sentence
    assert len(panel.table) == len(found.curve)


def test_a_model_whose_name_is_html_is_drawn_as_text(rows):
    nasty = rows[rows["model_id"] == "fused"].assign(model_id=NASTY)
    for panel in (
        compared(nasty, model=NASTY), hazards.form_panel(nasty, model=NASTY, endpoint="os", arm="surgery"),
        hazards.constancy_panel(nasty, model=NASTY, endpoint="os", arm="surgery"),
    ):  # fmt: skip
        assert "<img" not in panel.figure.to_json().replace("\\u003c", "<")


def test_columns_are_named_as_a_sentence_names_them():
    assert named(["age_years", "sex", "kps"]) == "age, sex and KPS"
    assert named(["cea_ng_ml"]) == "CEA" and named([]) == ""

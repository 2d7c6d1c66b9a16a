"""Figures of treatments compared: every number drawn is one of the result, and each says that it is observational."""

from __future__ import annotations

import numpy as np
import pytest
from decisions_reference import lung_started
from test_treatment_comparison import confounded

from onlm_lab import figures
from onlm_lab.analysis import compare_landmarks, compare_treatments, landmark

SENTENCE = "Observational comparison: treatments were chosen for patients"
ROWS = confounded(600, seed=1).assign(centre=lambda d: np.where(d["patient_id"] % 3 == 0, "<b>A", "B"))
COMPARED = compare_treatments(ROWS, endpoint="os", treatment="treatment", covariates=["age_years", "centre"],
                              group="high", horizon_days=1000)  # fmt: skip
LANDMARKS = compare_landmarks(lung_started(), endpoint="os", days=[5, 90])
DRAWN = {
    "balance": figures.plot_balance(COMPARED.balance, mark="MADE-UP DATA"),
    "groups": figures.plot_treatment_by_group(COMPARED, who="<i>both arms", mark="MADE-UP DATA"),
    "curves": figures.plot_weighted_curves(COMPARED, mark="MADE-UP DATA"),
    "curves of a group": figures.plot_weighted_curves(COMPARED, group="1", mark="MADE-UP DATA"),
    "landmark": figures.plot_landmark(LANDMARKS, mark="MADE-UP DATA"),
}


def traces(name: str) -> dict:
    return {trace.name: trace for trace in DRAWN[name].data}


@pytest.mark.parametrize("name", DRAWN)
def test_every_figure_says_that_the_comparison_is_observational_and_shows_n_and_the_mark(name):
    texts = [a.text for a in DRAWN[name].layout.annotations]
    assert any(SENTENCE in text.replace("<br>", " ") for text in texts)
    assert "MADE-UP DATA" in texts
    n_first = int(COMPARED.balance.effective_n["n"][0])
    wanted = {"balance": f"lobectomy {n_first}", "landmark": "228 patients, 165 events"}.get(name, "patients, ")
    assert wanted in DRAWN[name].layout.title.subtitle.text


def test_the_love_plot_draws_the_differences_before_and_after():
    table = COMPARED.balance.table
    found = traces("balance")
    assert list(found["as treated"].x) == table["smd_before"].tolist()
    assert list(found["overlap weights"].x) == table["smd_after"].tolist()
    labels = DRAWN["balance"].layout.yaxis.ticktext
    assert any("&lt;b&gt;A" in label for label in labels) and not any("<b>A" in label for label in labels)


def test_the_forest_draws_all_patients_and_each_group_with_the_p_of_the_interaction():
    found = traces("groups")
    groups = COMPARED.by_group
    assert list(found["overlap weights"].x) == [COMPARED.hazard_ratio.value, *groups["hr"]]
    assert list(found["as treated"].x) == [COMPARED.hazard_ratio_crude.value, *groups["hr_crude"]]
    high = np.array(found["overlap weights"].x) + np.array(found["overlap weights"].error_x.array)
    assert high == pytest.approx([COMPARED.hazard_ratio.high, *groups["high"]])
    subtitle = DRAWN["groups"].layout.title.subtitle.text
    assert f"interaction P = {COMPARED.interaction_p:.2f}" in subtitle and "&lt;i&gt;both arms" in subtitle
    assert DRAWN["groups"].layout.xaxis.type == "log"


@pytest.mark.parametrize(("name", "group"), [("curves", "all"), ("curves of a group", "1")])
def test_the_curves_are_those_of_the_result_with_effective_numbers_under_them(name, group):
    curve = COMPARED.curve[COMPARED.curve["group"] == group]
    found = traces(name)
    for arm in COMPARED.arms:
        own = curve[curve["arm"] == arm]
        assert list(found[arm].x) == own["days"].tolist() and list(found[arm].y) == own["incidence"].tolist()
        known = own.dropna(subset=["low", "high"])
        assert list(found[f"{arm}, upper limit"].y) == known["high"].tolist()
        under = found[f"{arm}, at risk"]
        at = own.set_index("days")["effective_at_risk"]
        assert [float(text.replace(",", "")) for text in under.text] == pytest.approx(
            at[list(under.x)].tolist(), abs=0.5
        )
        assert under.x[0] == 0 and len(under.x) > 3
    assert "difference by 2.7 years" in DRAWN[name].layout.title.subtitle.text


def test_a_landmark_figure_draws_each_ratio_and_leaves_out_none_in_silence():
    found = traces("landmark")["hazard ratio"]
    assert np.array(found.x, dtype=float) == pytest.approx(LANDMARKS.table["hr"].to_numpy(), nan_ok=True)
    texts = [a.text for a in DRAWN["landmark"].layout.annotations]
    assert "too few" in texts and any("immortal time" in t.replace("<br>", " ") for t in texts)


def test_the_axis_of_landmarked_curves_starts_at_the_landmark():
    late = landmark(lung_started(), day=90, endpoints=["os"]).rows
    compared = compare_treatments(late, endpoint="os", treatment="adjuvant", horizon_days=365)
    figure = figures.plot_weighted_curves(compared)
    assert figure.layout.xaxis.title.text == "Years since landmark day 90"
    assert {"no adjuvant", "adjuvant"} <= {trace.name for trace in figure.data}
    assert any(a.text == "Patients at risk" for a in figure.layout.annotations)

"""What follows the threshold on the performance page: a hundred signs, models side by side, marks that move alone."""

from __future__ import annotations

import json

import ipywidgets as widgets
import numpy as np
import pandas as pd
import pytest
from made_run import NASTY, write_run
from page_parts import every

from onlm_lab import analysis, figures
from onlm_lab.analysis.hundred_patients import whole_of_100
from onlm_lab.app import performance_page
from onlm_lab.app.shell import Card
from onlm_lab.errors import OnlmError
from onlm_lab.panels import at_threshold, only, patients, performance, side_by_side
from onlm_lab.panels.judged import Judged


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("threshold") / "run", n_surgery=160, n_sbrt=40)


@pytest.fixture(scope="module")
def judged(run):
    return Judged(patients.tested(run.rows()))


@pytest.mark.parametrize("threshold", [None, 0.05, 0.2, 0.9])
def test_a_hundred_signs_are_a_hundred_and_as_near_the_shares_as_whole_patients_can_be(judged, threshold):
    panel = at_threshold.hundred_panel(judged, model="fused", threshold=threshold)
    signs = [len([x for x in trace.x if x is not None]) for trace in panel.figure.data]
    assert sum(signs) == 100 and panel.table["of_100"].tolist() == signs
    assert (panel.table["of_100"] - panel.table["of_1000"] / 10).abs().max() < 1
    shapes = {trace.marker.symbol for trace in panel.figure.data}
    assert len(shapes) == 4, "a shape a kind, beside its colour"
    for kind, count in zip(at_threshold.SIGNS, signs, strict=True):
        assert f"{kind}: {count}" in {trace.name for trace in panel.figure.data}
        assert str(count) in panel.sentence


def test_a_hundred_that_do_not_add_up_are_refused():
    with pytest.raises(ValueError, match="got 99"):
        figures.plot_hundred({"N+": 99}, signs=at_threshold.SIGNS, title="")
    assert whole_of_100(np.array([1 / 3, 1 / 3, 1 / 3])).sum() == 100


@pytest.mark.parametrize("threshold", [None, 0.1, 0.3])
def test_net_benefit_at_one_threshold_is_that_of_the_curve_with_an_interval_as_the_bootstraps(judged, threshold):
    given = judged.patients("fused")
    found = analysis.net_benefit_at(given, threshold=threshold)
    if threshold is None:
        cut = given.frame["threshold"].to_numpy(float)
        called = given.frame["predicted_positive"].to_numpy(float) == 1
        by_hand = (np.sum(called & given.onlm) - np.sum((cut / (1 - cut))[called & ~given.onlm])) / given.n
        assert found.value == pytest.approx(by_hand)
        return
    curve = analysis.net_benefit(judged.rows, model="fused", thresholds=[threshold], n_bootstrap=4000)
    row = curve.table.query("model_id == 'fused'").iloc[0]
    assert found.value == pytest.approx(row["net_benefit"])
    width = row["high"] - row["low"]
    assert (found.low, found.high) == pytest.approx((row["low"], row["high"]), abs=0.08 * width)


def test_a_threshold_of_one_has_no_net_benefit(judged):
    with pytest.raises(OnlmError, match="between 0 and 1"):
        analysis.net_benefit_at(judged.patients("fused"), threshold=1.0)


def test_models_side_by_side_have_the_librarys_numbers_and_the_calibration_panels_slope(judged):
    card = side_by_side.models_card(judged, model="clinical", threshold=0.15)
    assert card.table["model_id"].tolist() == ["clinical", "image", "fused"]
    for row in card.table.to_dict("records"):
        point = judged.point(row["model_id"], threshold=0.15)
        slope = judged.calibration(row["model_id"]).slope
        assert (row["sensitivity"], row["specificity_low"]) == (point.sensitivity.value, point.specificity.low)
        assert (row["calibration_slope"], row["calibration_slope_high"]) == pytest.approx((slope.value, slope.high))
        worth = analysis.net_benefit_at(judged.patients(row["model_id"]), threshold=0.15)
        assert row["net_benefit_per_100"] == pytest.approx(100 * worth.value)
    best = card.table.sort_values("net_benefit_per_100")["model_id"].iloc[-1]
    assert f"{best} has the largest net benefit" in card.sentence


def test_a_models_name_that_is_html_is_escaped(judged):
    rows = judged.rows.assign(model_id=judged.rows["model_id"].replace("image", NASTY))
    assert "<img" not in side_by_side.models_card(rows, model="fused").html


def test_marks_laid_upon_the_base_are_the_figure_with_its_marks(judged):
    models = ["fused", "clinical"]
    whole = performance.roc_panel(judged, models=models, threshold=0.2)
    base = performance.roc_panel(judged, models=models, threshold=0.2, with_points=False)
    moved = performance.roc_moved(judged, models=models, threshold=0.2)
    laid = [*json.loads(base.figure.to_json())["data"], *moved.data]
    assert json.loads(json.dumps(laid)) == json.loads(whole.figure.to_json())["data"]
    assert moved.sentence == whole.sentence
    line = at_threshold.decision_moved(0.2)
    assert line.shapes[0]["x0"] == 0.2 and "20.0%" in line.annotations[0]["text"]
    assert not at_threshold.decision_moved(None).shapes


def test_a_moved_threshold_leaves_the_curves_and_moves_what_lies_upon_them(run):
    built = performance_page._page(run, "en")
    cards = {c.children[0].name: c.children[0] for c in every(built.widget, Card)}
    before = {name: (view.figure, view.upon, view.page) for name, view in cards.items()}
    built.state.threshold = 0.21
    after = {name: (view.figure, view.upon, view.page) for name, view in cards.items()}
    assert {n for n in after if after[n] != before[n]} == {
        "hundred_patients", "operating_point", "roc", "decision_curve", "models",
    }  # fmt: skip
    for name in ("roc", "decision_curve"):
        assert after[name][0] == before[name][0] and after[name][1] != before[name][1]
    drawn = json.loads(cards["roc"].upon)["data"]
    point = analysis.operating_point(patients.tested(run.rows()), model=built.state.model, threshold=0.21)
    assert drawn[0]["y"] == [pytest.approx(point.sensitivity.value)]
    built.state.threshold = None
    assert {name: (view.figure, view.upon, view.page) for name, view in cards.items()} == before


def test_who_is_judged_can_be_one_centre_a_year_or_a_band_and_small_groups_are_not_offered(judged):
    rows, bins = judged.rows, {"age_years": (65.0,)}
    found = only.choices(rows, columns=("centre", "treatment_year", "age_years", "sex", "kps"), bins=bins)
    people = rows.drop_duplicates("patient_id")
    north = next(value for words, value in found.items() if "North" in words)
    left = only.only(rows, chosen=north, bins=bins)
    assert set(left["centre"]) == {"North"} and left["patient_id"].nunique() == (people["centre"] == "North").sum()
    assert f"({left['patient_id'].nunique()})" in next(words for words, value in found.items() if value == north)
    years = [value for value in found.values() if value.startswith("treatment_year=")]
    assert years and set(only.only(rows, chosen=years[0])["treatment_year"]) == {int(years[0].split("=")[1])}
    old = only.only(rows, chosen="age_years=>=65", bins=bins)
    assert old["age_years"].min() >= 65
    assert not any(value.startswith("kps=") for value in found.values()), "numbers without bins are passed over"
    few = only.choices(rows[rows["patient_id"].isin(people["patient_id"][:9])], columns=("sex",))
    assert list(few.values()) == [only.EVERYBODY]
    with pytest.raises(OnlmError, match="there is no such column"):
        only.only(rows, chosen="nothing=x")


def test_the_filter_judges_those_patients_alone_and_says_how_many_are_left(run):
    built = performance_page._page(run, "en")
    built.state.tab = "Subgroups"
    card = every(built.widget, Card)[0]
    assert "All 160 patients are judged." in card.children[1].value
    built.state.only = "sex=female"
    tested = patients.tested(run.rows()).query("model_id == 'fused'")
    n = int((tested["sex"] == "female").sum())
    assert f"Sex: female; {n} of 160 patients are left." in card.children[1].value
    told = json.loads(card.children[0].table)
    at = [told["columns"].index(name) for name in ("column", "level", "n")]
    sizes = {(row[at[0]], row[at[1]]): row[at[2]] for row in told["rows"]}
    assert sizes["smoking", "never"] == int((tested.query("sex == 'female'")["smoking"] == "never").sum())
    assert "of 160 N+" not in card.children[1].value


def test_centres_and_fairness_draw_the_librarys_numbers_and_say_what_may_be_concluded(run):
    built = performance_page._page(run, "en")
    built.state.tab = "Centres"
    card = every(built.widget, Card)[0]
    table = analysis.by_centre(patients.tested(run.rows()), model="fused").table
    assert len(json.loads(card.children[0].table)["rows"]) == len(table)
    built.state.tab = "Fairness"
    card = every(built.widget, Card)[0]
    assert "no gap alone is a verdict" in card.children[1].value
    before = card.children[0].figure
    built.state.fair_measure = "fpr"
    assert card.children[0].figure != before


def test_a_link_brings_the_filter_back_and_one_that_nobody_offers_is_refused(run):
    state = performance_page._page(run, "en").state
    state.begin()
    state.only, state.fair_measure = "sex=male", "ppv"
    said = state.address()
    other = performance_page._page(run, "en").state
    other.begin()
    assert other.restore(said) == [] and (other.only, other.fair_measure) == ("sex=male", "ppv")
    assert other.restore({"only": f"patient_id={NASTY}"}) == ["only"]


def test_a_run_of_one_centre_has_no_tab_of_centres(run, tmp_path):
    import shutil

    from onlm_lab.runs import Run

    shutil.copytree(run.folder, tmp_path / "run")
    table = pd.read_csv(tmp_path / "run" / "patients.csv", dtype={"patient_id": str}).assign(centre="North")
    table.to_csv(tmp_path / "run" / "patients.csv", index=False)
    built = performance_page._page(Run(tmp_path / "run"), "en")
    tabs = next(w for w in every(built.widget, widgets.ToggleButtons) if "Performance" in str(w.options))
    assert "Centres" not in str(tabs.options)

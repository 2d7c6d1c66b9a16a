"""The outcomes page as a widget: what each control redraws, what it refuses, and whose numbers it shows."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import ipywidgets as widgets
import numpy as np
import pandas as pd
import pytest
from made_run import NASTY, tell_event_risk, write_run
from page_parts import control, every, html_of

from onlm_lab import analysis, app, served
from onlm_lab.app.shell import Card
from onlm_lab.figures import theme
from onlm_lab.panels import card, hazards, outcomes, treatments
from onlm_lab.panels.followed import Followed

TABS = ("Curves", "Hazards", "Event risks", "Treatments")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    made = write_run(tmp_path_factory.mktemp("outcomes") / "run", n_surgery=260, n_sbrt=90)
    tell_event_risk(made)
    return made


@pytest.fixture
def page(run):
    return app.outcomes(run)


def _open(page, tab):
    next(w for w in every(page, widgets.ToggleButtons) if "Hazards" in str(w.options)).value = tab


def _shown(page):
    """What each shown card shows, by its name without arm and endpoint."""
    return {c.children[0].name: (c.children[0].figure, c.children[0].page) for c in every(page, Card)
            if c.layout.display != "none" and c.children[0].layout.display != "none"}  # fmt: skip


def _all_cards(page):
    found = {}
    for tab in TABS:
        _open(page, tab)
        for i, c in enumerate(every(page, Card)):
            found[f"{tab} {i}"] = (c.layout.display, c.children[0].figure, c.children[0].page, c.children[1].value)
    return found


CARDS = {
    "curves": "Curves 0", "card": "Curves 1", "mean": "Curves 2", "forest": "Hazards 0", "gray": "Hazards 1",
    "constancy": "Hazards 2", "auc": "Event risks 0", "calibration": "Event risks 1", "sublobar": "Treatments 0",
    "sbrt": "Treatments 1", "landmark": "Treatments 2",
}  # fmt: skip


def _changed(page, move):
    before = _all_cards(page)
    move()
    after = _all_cards(page)
    return {name for name, where in CARDS.items() if before[where] != after[where]}


def test_every_tab_shows_its_cards_with_a_table_and_words_for_a_screen_reader(page):
    assert {n for n in _all_cards(page)} == set(CARDS.values())
    wanted = {
        "Curves": {"regional_surgery", "outcome_card_surgery", "regional_surgery_mean_time"},
        "Hazards": {"regional_surgery_hazards", "regional_surgery_subdistribution", "regional_surgery_constancy"},
        "Event risks": {"auc_regional_surgery", "calibration_regional_surgery"},
        "Treatments": {"treatment_sublobar_regional", "treatment_sbrt_regional", "landmark_regional"},
    }
    for tab in TABS:
        _open(page, tab)
        assert set(_shown(page)) == wanted[tab]
        for c in every(page, Card):
            view = c.children[0]
            assert view.page or json.loads(view.figure)["data"]
            assert json.loads(view.table)["rows"] and view.description


def test_another_model_redraws_all_but_what_no_risk_is_in(page):
    changed = _changed(page, lambda: setattr(control(page, widgets.Dropdown, "Model"), "value", "image"))
    assert changed == set(CARDS) - {"landmark"}


def test_another_arm_redraws_all_but_the_treatments_and_hides_the_adjuvant_one(page):
    changed = _changed(page, lambda: setattr(control(page, widgets.ToggleButtons, "Arm"), "value", "sbrt"))
    assert changed == set(CARDS) - {"sublobar", "sbrt"}
    _open(page, "Treatments")
    assert every(page, Card)[2].layout.display == "none"


def test_another_endpoint_redraws_all_but_the_card_that_shows_every_endpoint(page):
    changed = _changed(page, lambda: setattr(control(page, widgets.Dropdown, "Endpoint"), "value", "os"))
    assert changed == set(CARDS) - {"card"}
    _open(page, "Hazards")
    assert every(page, Card)[1].layout.display == "none", "nothing competes with death"


def test_the_threshold_redraws_what_is_grouped_by_it_and_the_way_back_brings_the_studys_own(page):
    before = _all_cards(page)

    def move():
        control(page, widgets.FloatSlider, "Threshold").value = 15.0

    assert _changed(page, move) == {"curves", "card", "mean", "sublobar", "sbrt"}
    control(page, widgets.ToggleButton, "Threshold").value = True
    assert _all_cards(page) == before


def test_quarters_know_no_threshold(page):
    groups = control(page, widgets.Dropdown, "Groups")
    assert _changed(page, lambda: setattr(groups, "value", "quartiles")) == {"curves", "card"}
    assert _changed(page, lambda: setattr(control(page, widgets.FloatSlider, "Threshold"), "value", 15.0)) == {
        "mean", "sublobar", "sbrt",
    }  # fmt: skip


def test_the_horizon_redraws_what_is_read_at_a_day(page):
    changed = _changed(page, lambda: setattr(control(page, widgets.Dropdown, "Read at"), "value", 365))
    assert changed == {"curves", "card", "mean", "auc", "calibration", "sublobar", "sbrt"}


def test_covariates_redraw_the_forests_alone(page):
    _open(page, "Hazards")
    chosen = control(page, widgets.SelectMultiple, "Beside the risk")
    assert chosen.value == ("age_years", "sex", "clinical_t")
    assert _changed(page, lambda: setattr(chosen, "value", ("age_years",))) == {"forest", "gray"}
    assert _changed(page, lambda: setattr(chosen, "value", ())) == {"forest", "gray"}


def test_the_landmark_redraws_the_adjuvant_card_alone(page, run):
    day = control(page, widgets.Dropdown, "Adjuvant")
    assert _changed(page, lambda: setattr(day, "value", 120)) == {"landmark"}
    _open(page, "Treatments")
    assert "from day 120 it is" in html_of(page)
    expected = treatments.landmark_panel(run.rows(), model="fused", endpoint="regional", landmark_days=[90, 120, 180,
                                         300], told_day=120)  # fmt: skip
    assert expected.sentence in html_of(page)


def test_the_cards_show_the_librarys_numbers(page, run):
    rows = run.rows()
    asked = {"model": "fused", "arm": "surgery"}
    one = rows[(rows["model_id"] == "fused") & (rows["arm"] == "surgery")]
    read = analysis.cumulative_incidence(one, endpoint="regional", by="predicted_positive").at(days=[1095])
    first = read[read["cause"] == 1]
    _open(page, "Curves")
    assert all(theme.percent(value) in html_of(page) for value in first["incidence"])
    view = every(page, Card)[0].children[0]
    table = json.loads(view.table)
    shown = pd.DataFrame(table["rows"], columns=table["columns"])
    assert shown.loc[shown["cause"] == 1, "incidence"].tolist() == pytest.approx(first["incidence"].tolist())
    assert every(page, Card)[1].children[0].page == card.outcome_card(rows, **asked, mark="MADE-UP DATA").html
    _open(page, "Hazards")
    cox = analysis.cox(one, endpoint="regional", covariates=["risk"], cause=1).table.iloc[0]
    gray = analysis.fine_gray(one, endpoint="regional", covariates=["risk"]).table.iloc[0]
    control(page, widgets.SelectMultiple, "Beside the risk").value = ()
    for place, found in ((0, cox), (1, gray)):
        table = json.loads(every(page, Card)[place].children[0].table)
        assert dict(zip(table["columns"], table["rows"][0], strict=True))["univariable_hr"] == pytest.approx(
            found["hr"]
        )
    _open(page, "Event risks")
    told = run.event_risk(endpoint="regional", model="fused")
    found = analysis.calibrate_event_risk(one, endpoint="regional", horizon_days=1095, event_risk=told)
    assert f"O:E {found.oe_ratio.value:.2f}" in html_of(page)


def test_the_at_risk_table_stands_under_the_curves(page):
    figure = json.loads(_shown(page)["regional_surgery"][0])
    assert "At risk" in json.dumps(figure) or "at risk" in json.dumps(figure)


def test_one_followed_computes_nothing_twice(page, monkeypatch):
    _all_cards(page)
    counted = []
    real = analysis.univariable
    monkeypatch.setattr(analysis, "univariable", lambda *a, **k: counted.append(1) or real(*a, **k))
    _open(page, "Hazards")
    arm = control(page, widgets.ToggleButtons, "Arm")
    arm.value = "sbrt"
    n = len(counted)
    arm.value = "surgery"
    arm.value = "sbrt"
    assert n == 2 and len(counted) == n, "hazards, cause-specific and Fine-Gray, are kept"


def test_what_cannot_be_shown_is_a_sentence_and_the_old_figure_goes(page, run):
    control(page, widgets.Dropdown, "Groups").value = "pathology"
    control(page, widgets.FloatSlider, "Threshold").value = 59.5
    curves, printed, mean = every(page, Card)
    assert "Not drawn: curves inside N0" in curves.children[1].value
    assert (
        curves.children[0].layout.display == "none"
        and "no patient is &#39;high risk, N0&#39;" in printed.children[0].page
    )
    control(page, widgets.ToggleButtons, "Arm").value = "sbrt"
    for one in (curves, printed):
        assert "no pathological N" in one.children[1].value and one.children[0].layout.display == "none"
    control(page, widgets.Dropdown, "Groups").value = "threshold"
    rows = run.rows()
    sbrt = rows[(rows["model_id"] == "fused") & (rows["arm"] == "sbrt")]["risk"]
    slider = control(page, widgets.FloatSlider, "Threshold")
    slider.value = next(t for t in np.arange(0.5, slider.max, 0.5) if 0 < (sbrt < t / 100).sum() < 10)
    for one in (curves, mean):
        assert "fewer than 10 are not drawn" in one.children[1].value and one.children[0].layout.display == "none"


def test_a_horizon_that_no_event_risk_was_told_for_is_a_sentence(page):
    _open(page, "Event risks")
    control(page, widgets.Dropdown, "Read at").value = 730
    c = every(page, Card)[1]
    assert "onlm-error" in c.children[1].value and c.children[0].layout.display == "none"
    assert "730" in c.children[1].value or "2 years" in c.children[1].value


def test_an_old_run_without_event_risks_says_how_to_make_them(run, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(run.folder, copy)
    (copy / "event_risk.csv").unlink()
    page = app.outcomes(copy)
    _open(page, "Event risks")
    assert "onlm analyse STUDY" in every(page, Card)[1].children[1].value
    assert every(page, Card)[0].children[0].figure


def test_a_covariate_that_is_not_known_is_left_out_and_named(run, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(run.folder, copy)
    table = pd.read_csv(copy / "patients.csv", dtype={"patient_id": str})
    table.loc[20:, "kps"] = float("nan")
    table.to_csv(copy / "patients.csv", index=False)
    page = app.outcomes(copy)
    _open(page, "Hazards")
    control(page, widgets.SelectMultiple, "Beside the risk").value = ("age_years", "kps")
    assert "Left out" in every(page, Card)[0].children[1].value and "KPS" in every(page, Card)[0].children[1].value


def test_names_that_are_html_show_as_text_everywhere(page):
    _open(page, "Hazards")
    control(page, widgets.SelectMultiple, "Beside the risk").value = ("age_years", "centre")
    for tab in TABS:
        _open(page, tab)
        assert "<img" not in html_of(page)
        assert all("<img" not in figure and NASTY not in printed for figure, printed in _shown(page).values())


def test_a_model_whose_name_is_html_is_escaped_on_the_printed_card(run, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(run.folder, copy)
    rows = pd.read_csv(copy / "predictions.csv", dtype={"patient_id": str})
    rows["model_id"] = rows["model_id"].replace("fused", NASTY)
    rows.to_csv(copy / "predictions.csv", index=False)
    page = app.outcomes(copy)
    control(page, widgets.Dropdown, "Model").value = NASTY
    for tab in TABS:
        _open(page, tab)
        assert "<img" not in html_of(page)
        assert all("<img" not in figure and "<img" not in printed for figure, printed in _shown(page).values())


def test_a_study_without_outcomes_or_rows_or_run_says_so(run, tmp_path, monkeypatch):
    copy = tmp_path / "run"
    shutil.copytree(run.folder, copy)
    table = pd.read_csv(copy / "patients.csv", dtype={"patient_id": str})
    table[[c for c in table if not c.startswith(("os_", "rfs_", "recurrence_", "regional_"))]].to_csv(
        copy / "patients.csv", index=False
    )
    assert "No outcome is known" in html_of(app.outcomes(copy))
    rows = pd.read_csv(copy / "predictions.csv", dtype={"patient_id": str})
    rows.iloc[:0].to_csv(copy / "predictions.csv", index=False)
    assert "there is no row" in html_of(app.outcomes(copy)) and "Traceback" not in html_of(app.outcomes(copy))
    assert "holds no run" in html_of(app.outcomes(tmp_path))
    monkeypatch.delenv(served.VARIABLE, raising=False)
    assert "No run was named" in html_of(app.outcomes()) and "app.outcomes" in html_of(app.outcomes())


def test_a_run_of_one_arm_offers_no_other(run, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(run.folder, copy)
    rows = run.rows()
    kept = set(rows.loc[rows["arm"] == "sbrt", "patient_id"])
    for name in ("patients", "predictions"):
        table = pd.read_csv(copy / f"{name}.csv", dtype={"patient_id": str})
        table[table["patient_id"].isin(kept)].to_csv(copy / f"{name}.csv", index=False)
    page = app.outcomes(copy)
    assert [label for label, _ in control(page, widgets.ToggleButtons, "Arm").options] == ["SBRT"]
    assert "pathology" not in [v for _, v in control(page, widgets.Dropdown, "Groups").options]
    _open(page, "Treatments")
    assert "onlm-error" in html_of(page)


def test_the_served_run_is_found_and_the_page_wears_both_marks(run, monkeypatch):
    monkeypatch.setenv(served.VARIABLE, served.variable([run.folder]))
    text = html_of(app.outcomes())
    assert "A made-up study" in text and "Research use only" in text and "MADE-UP DATA" in text


def test_the_fine_gray_panel_refuses_where_nothing_competes(run):
    with pytest.raises(Exception, match="Nothing competes with death"):
        hazards.subdistribution_panel(run.rows(), model="fused", endpoint="os", arm="surgery", adjust=())


def test_quantile_and_pathology_cards_equal_the_librarys_numbers(run):
    known = Followed(run.rows())
    patients = known.patients(model="fused", arm="surgery").frame
    quarters = analysis.group_by_risk(patients, rule="quantiles", n=4)
    expected = analysis.outcome_card(quarters, by="risk_group", horizon_days=1095).table
    pd.testing.assert_frame_equal(card.quantile_card(known, model="fused", arm="surgery").table, expected)
    crossed = analysis.group_by_risk(patients, rule="pathology", threshold=0.1)
    expected = analysis.outcome_card(crossed, by="risk_group", horizon_days=1095).table
    pd.testing.assert_frame_equal(card.pathology_card(known, model="fused", threshold=0.1).table, expected)
    one = outcomes.quantile_panel(known, model="fused", endpoint="os", arm="surgery")
    assert one.table.equals(outcomes.quantile_panel(run.rows(), model="fused", endpoint="os", arm="surgery").table)


def test_opening_the_page_loads_neither_torch_nor_statsmodels_nor_scikit_learn(run):
    code = (
        "from onlm_lab import app\napp.outcomes()\nimport sys\n"
        "bad = {'torch', 'pydicom', 'SimpleITK', 'statsmodels', 'sklearn', 'lark'}\n"
        "print(sorted(bad & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {served.VARIABLE: served.variable([run.folder])},
        capture_output=True, text=True,
        check=True, timeout=120,
    )  # fmt: skip
    assert done.stdout.strip().splitlines()[-1] == "[]", done.stdout

"""One patient by the clinical-only model: the form's number is the run's own, and refused where nothing was learned."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
import tomllib

import ipywidgets as widgets
import numpy as np
import pandas as pd
import pytest
import tomli_w
from page_parts import every

from onlm_lab import app, pipeline, served, virtual
from onlm_lab.analysis.intervals import proportion
from onlm_lab.app import patient_page
from onlm_lab.app.patient_state import PatientState
from onlm_lab.app.shell import Card
from onlm_lab.learning.coefficients import USE, load_clinical_model
from onlm_lab.panels import one_patient, patients, typed_patient
from onlm_lab.panels.judged import Judged
from onlm_lab.runs import Run, open_run


@pytest.fixture(scope="module")
def trial_run(tmp_path_factory):
    """A run of a made-up trial without CT, up to its predictions: half a minute; with CT it takes many."""
    folder = tmp_path_factory.mktemp("one_patient") / "trial"
    virtual.write_trial(folder, n_patients=240, n_centres=4, seed=7, tables_only=True)
    said = tomllib.loads((folder / "study.toml").read_text(encoding="utf-8"))
    said["training"] |= {"folds": 3, "epochs": 30, "patience": 8, "explain": False, "baselines": []}
    (folder / "study.toml").write_text(tomli_w.dumps(said), encoding="utf-8")
    for name in ("check", "screen", "prepare", "train"):
        pipeline.perform(folder, name=name, say=lambda line: None)
    return open_run(folder)


@pytest.fixture(scope="module")
def model(trial_run):
    return load_clinical_model(trial_run.folder / patient_page.FILE)


@pytest.fixture(scope="module")
def typical(model):
    """What could be typed of a patient of the middle of the ranges; everything is known."""
    values = {}
    for field in typed_patient.fields(model):
        known = next(one for one in model.ranges if one.column == field.name)
        values[field.name] = (
            next(iter(field.levels.values()), None) if field.levels else round((known.p1 + known.p99) / 2, 1)
        )
    if {"nodule_type", "solid_diameter_mm", "total_diameter_mm"} <= set(values):
        values |= {"nodule_type": "part_solid", "solid_diameter_mm": 14.0, "total_diameter_mm": 20.0}
    return values


@pytest.fixture
def page(trial_run):
    return app.patient(trial_run)


def _control(page, label):
    for box in every(page, widgets.VBox):
        if box.children and isinstance(box.children[0], widgets.Label) and box.children[0].value.startswith(label):
            return box.children[1]
    raise AssertionError(f"no control '{label}'")


def _cards(page):
    return {
        c.children[0].name: c for c in every(page, Card) if c.layout.display != "none" and c.children[0].description
    }


def _type(page, model, values):
    for field in typed_patient.fields(model):
        if field.name in values:
            box, value = _control(page, field.label), values[field.name]
            box.value = value if field.levels else f"{value:g}"


def test_the_forms_risk_is_the_final_models_in_the_runs_predictions_or_the_form_refuses(trial_run, model):
    rows = trial_run.rows().query("model_id == 'clinical' and split == 'unlabelled'")
    assert len(rows) >= 20
    outside = set(model.outside_range(rows)["row"])
    names = [field.name for field in typed_patient.fields(model)]
    optional = {f.name: f.optional for f in typed_patient.fields(model)}
    n_told = 0
    for k, row in enumerate(rows[[*names, "risk", "risk_low", "risk_high"]].to_dict("records")):
        values = {name: row[name] for name in names if not pd.isna(row[name])}
        judged = typed_patient.judge(model, values)
        lost = [name for name in names if name not in values and not optional[name]]
        assert judged.told == (k not in outside and not lost), (k, judged.refused, judged.missing)
        if judged.told:
            n_told += 1
            told = (judged.risk, judged.low, judged.high)
            assert told == pytest.approx((row["risk"], row["risk_low"], row["risk_high"]), abs=1e-6)
    assert n_told >= 15


def test_a_value_beyond_the_training_patients_is_refused_with_the_value_and_the_range(model, typical):
    known = next(one for one in model.ranges if one.column == "age_years")
    judged = typed_patient.judge(model, typical | {"age_years": known.highest + 1})
    assert not judged.told and math.isnan(judged.risk)
    assert f"{known.highest + 1:g} is outside" in judged.refused[0] and known.wanted in judged.refused[0]
    card = one_patient.risk_card(model, judged)
    assert "risk" not in card.table["what"].tolist() and "<b>" not in card.html and "role='alert'" in card.html
    at_the_end = typed_patient.judge(model, typical | {"age_years": known.highest})
    assert at_the_end.told


def test_a_text_that_is_no_number_and_a_level_that_nobody_had_are_refused_and_escaped(model, typical):
    nasty = "<img src=x onerror=alert(1)>"
    judged = typed_patient.judge(model, typical | {"age_years": nasty, "nodule_type": nasty})
    assert len(judged.refused) == 2 and "is no number" in judged.refused[0]
    page = one_patient.risk_card(model, judged).html
    assert "<img" not in page and "&lt;img" in page


def test_a_solid_part_larger_than_the_tumour_is_refused_in_words(model, typical):
    judged = typed_patient.judge(model, typical | {"solid_diameter_mm": 22.0})
    assert not judged.told
    assert "cannot both be right: Solid diameter (mm) is above Total diameter (mm)" in judged.refused[0]
    assert len(judged.refused) == 1, "what follows from it is not told again"


def test_what_must_be_known_is_asked_for_and_what_was_missing_in_training_may_stay_empty(model):
    judged = typed_patient.judge(model, {})
    optional = {f.label for f in typed_patient.fields(model) if f.optional}
    assert judged.missing and not optional & set(judged.missing) and not judged.told and not judged.refused


def test_the_terms_add_up_to_the_risk(model, typical):
    for values in (typical, {k: v for k, v in typical.items() if k not in ("cea_ng_ml", "suv_max")}):
        judged = typed_patient.judge(model, values)
        terms = one_patient.terms_of(model, judged)
        assert 1 / (1 + math.exp(-terms["contribution"].sum())) == pytest.approx(judged.risk, abs=1e-9)
        average = model.calibrator.intercept + model.calibrator.slope * np.mean(model.bias)
        assert terms["contribution"].iloc[0] == pytest.approx(average, abs=1e-5), "the first row is no average patient"
        age = terms.set_index("label").loc["Age (years)"]
        known = next(i for i in model.encoder.inputs if i.name == "age_years")
        assert age["contribution"] == pytest.approx(age["coefficient"] * (values["age_years"] - known.mean), abs=1e-5)


def test_the_effects_are_what_the_form_would_say_with_that_value(model, typical):
    judged = typed_patient.judge(model, typical)
    panel = one_patient.effects_panel(model, judged)
    ages = panel.table[panel.table["predictor"] == "age_years"]
    assert len(ages) == one_patient.POINTS
    for row in ages.iloc[::8].itertuples():
        assert row.risk == pytest.approx(typed_patient.judge(model, typical | {"age_years": row.value}).risk, abs=1e-9)
    sizes = panel.table[panel.table["predictor"] == "solid_diameter_mm"]["value"]
    assert sizes.max() <= typical["total_diameter_mm"], "a solid part larger than the tumour has no point"
    assert "not causes" in panel.sentence


def test_similar_patients_are_counted_by_hand_and_fewer_than_twenty_are_not(trial_run, model):
    judged = Judged(patients.tested(patients.of_model(trial_run.rows(), model="clinical")))
    given = judged.patients("clinical")
    risk = float(np.median(given.risk))
    moved = one_patient.similar(judged, risk, model_id="clinical")
    odds = given.risk / (1 - given.risk) * (1 - risk) / risk
    near = (odds >= 1 / 1.5) & (odds <= 1.5)
    row = moved.table.iloc[0]
    assert (row["n"], row["n_positive"]) == (near.sum(), given.onlm[near].sum())
    share = proportion(int(row["n_positive"]), int(row["n"]), of="patients")
    assert (row["observed_low"], row["observed_high"]) == (share.low, share.high)
    few = one_patient.similar(judged, 0.9999, model_id="clinical")
    assert "Fewer than 20" in few.sentence and "n" not in few.table and not few.data and few.shapes


def test_on_a_shared_page_no_patients_of_similar_risk_are_counted(trial_run, model, typical, monkeypatch):
    monkeypatch.setenv(served.SHARED, "1")
    page = app.patient(trial_run)
    _type(page, model, typical)
    view = _cards(page)["similar_patients"].children[0]
    assert "not shown on a shared page" in view.description and view.upon == "{}"
    risk = typed_patient.judge(model, typical).risk
    assert json.loads(view.figure)["layout"]["shapes"][-1]["x0"] == pytest.approx(risk, abs=6e-4)


def test_a_hundred_alike_are_a_hundred(model, typical):
    judged = typed_patient.judge(model, typical)
    panel = one_patient.hundred_alike_panel(model, judged)
    assert sum(len(t.x) for t in panel.figure.data) == 100
    assert panel.table["of_100"].tolist() == [round(100 * judged.risk), 100 - round(100 * judged.risk)]


def test_an_empty_form_tells_no_number_and_a_filled_one_the_librarys_with_the_words_beside_it(page, model, typical):
    assert set(_cards(page)) == {"risk"}
    text = _cards(page)["risk"].children[0].page
    assert "Fill in:" in text and USE in text
    _type(page, model, typical)
    assert set(_cards(page)) == {"risk", "hundred_alike", "similar_patients", "terms", "effects"}
    text = _cards(page)["risk"].children[0].page
    risk = model.risk(typed_patient.table_of(model, typical))["risk"].iloc[0]
    number, use = text.index(f"<b>{100 * risk:.1f}"), text.index(USE)
    assert "</p>" not in text[number:use], "the words stand beside the number"
    assert "not a confidence interval" in text


def test_moving_a_value_redraws_and_only_lays_the_risk_anew_upon_the_calibration_curve(page, model, typical):
    _type(page, model, typical)
    before = {name: (c.children[0].figure, c.children[0].upon) for name, c in _cards(page).items()}
    _control(page, "Age").value = f"{typical['age_years'] + 6:g}"
    after = {name: (c.children[0].figure, c.children[0].upon) for name, c in _cards(page).items()}
    assert after["similar_patients"][0] == before["similar_patients"][0]
    assert after["similar_patients"][1] != before["similar_patients"][1]
    assert after["terms"] != before["terms"] and after["effects"] != before["effects"]


def test_a_refused_value_takes_every_number_away_and_the_reset_empties_the_form(page, model, typical):
    _type(page, model, typical)
    _control(page, "Age").value = "150"
    assert set(_cards(page)) == {"risk"} and "150 is outside" in _cards(page)["risk"].children[0].page
    next(b for b in every(page, widgets.Button) if b.description == patient_page.RESET).click()
    assert _control(page, "Age").value == "" and _control(page, "Nodule type").value is None
    assert "Fill in:" in _cards(page)["risk"].children[0].page


def test_what_is_typed_never_stands_in_the_address(trial_run, model, typical):
    built = patient_page._page(trial_run, "en")
    built.state.begin()
    built.state.values = dict(typical)
    assert built.state.address() == {} and PatientState.ADDRESS == ()
    assert built.state.restore({"values": "age_years:50.0"}) == [] and built.state.values == typical


def test_a_run_without_a_clinical_model_says_so(trial_run, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(trial_run.folder, folder, ignore=shutil.ignore_patterns("*.safetensors", "partial"))
    (folder / patient_page.FILE).unlink()
    text = " ".join(w.value for w in every(app.patient(Run(folder)), widgets.HTML))
    assert "clinical_model.json is not there" in text and "Traceback" not in text


def test_every_control_has_a_label_and_says_what_is_wanted(page, model):
    for field in typed_patient.fields(model):
        box = _control(page, field.label)
        assert field.wanted in box.tooltip and field.label in box.tooltip


def test_the_page_of_one_patient_with_its_number_loads_neither_torch_nor_statsmodels(trial_run, typical):
    code = (
        "import sys, json; from onlm_lab.app import patient_page; from onlm_lab.runs import Run\n"
        f"built = patient_page._page(Run(__import__('pathlib').Path({str(trial_run.folder)!r})), 'en')\n"
        f"built.state.values = {typical!r}\n"
        "print(built.state.values and json.dumps(sorted({'torch', 'timm', 'pydicom', 'SimpleITK', 'sklearn', "
        "'statsmodels', 'lifelines'} & set(sys.modules))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert json.loads(done.stdout.splitlines()[-1]) == []

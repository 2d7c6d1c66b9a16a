"""`onlm predict`: whom a run may predict, how unlike they are, and what is written and said."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from onlm_lab import cli, pipeline, runs, schema, steps, virtual
from onlm_lab.errors import OnlmError
from onlm_lab.predicting import assess_suitability, measure_drift, predict_study
from onlm_lab.predicting.drift import ood_sentences
from onlm_lab.predicting.suitability import assess_study
from onlm_lab.study import load_study, starter_toml

PREDICTORS = ["age_years", "sex", "total_diameter_mm", "cea_ng_ml"]


def people(n=60, *, seed=0, prefix="P", **changed):
    rng = np.random.default_rng(seed)
    return pd.DataFrame({
        "patient_id": [f"{prefix}{i:03d}" for i in range(n)], "age_years": rng.integers(45, 80, n).astype(float),
        "sex": rng.choice(["female", "male"], n), "total_diameter_mm": rng.uniform(8, 40, n).round(1),
        "cea_ng_ml": np.exp(rng.normal(size=n)).round(2), "onlm": (rng.random(n) < 0.3).astype(float),
        "role": "labelled",
    }).assign(**changed)  # fmt: skip


def trained(tmp_path, **sections):
    sections = {"training": {"predictors": PREDICTORS}} | sections
    tmp_path.mkdir(exist_ok=True)
    (tmp_path / "study.toml").write_text(starter_toml(name="s", sections=sections))
    return load_study(tmp_path)


def test_other_patients_of_the_same_kind_may_be_predicted_and_nothing_is_said(tmp_path):
    found = assess_suitability(people(seed=1, prefix="Q"), taught=people(), trained=trained(tmp_path))
    assert found.faults == () and found.remarks == ()


def test_patients_who_taught_the_run_or_are_locked_are_refused_by_name(tmp_path):
    taught = people(role=np.where(np.arange(60) < 50, "labelled", "test"))
    new = pd.concat([people(seed=1, prefix="Q"), taught.iloc[[3, 55]]], ignore_index=True)
    found = assess_suitability(new, taught=taught, trained=trained(tmp_path))
    assert "1 (P003) of 62 taught the run: same patient_id, same values" in found.faults[0]
    assert "1 (P055) of 62 are in the run's locked test set" in found.faults[1] and "onlm open-test" in found.faults[1]


def test_the_same_id_with_other_values_and_the_same_values_under_another_id_are_told(tmp_path):
    taught = people()
    new = pd.concat([people(5, seed=1), taught.iloc[[7]].assign(patient_id="X1")], ignore_index=True)
    found = assess_suitability(new, taught=taught, trained=trained(tmp_path))
    assert found.faults == ()
    assert "5 (P000, P001, P002, P003, P004) of 6 bear an id that a training patient has too" in found.remarks[0]
    assert "1 (X1) of 6 have every value of a training patient under another id (such as P007)" in found.remarks[1]


def test_rows_of_which_little_is_known_are_not_taken_for_one_patient(tmp_path):
    blank = {"total_diameter_mm": np.nan, "cea_ng_ml": np.nan, "age_years": 60.0, "sex": "male"}
    taught, new = people(**blank), people(seed=1, prefix="Q", **blank)
    study = trained(tmp_path)
    assert all("under another id" not in said for said in assess_suitability(new, taught=taught, trained=study).remarks)


def test_a_column_that_the_run_reads_and_the_table_lacks_is_refused_an_empty_one_is_told(tmp_path):
    new = people(seed=1, prefix="Q", cea_ng_ml=np.nan).drop(columns="age_years")
    found = assess_suitability(new, taught=people(), trained=trained(tmp_path))
    assert "The run reads age_years, which the table does not have. Add the column" in found.faults[0]
    assert "cea_ng_ml: known of no patient here" in found.remarks[0]


def test_study_toml_is_held_against_the_run_s_all_at_once(tmp_path):
    own = {"type": "number", "timing": "pre_treatment", "unit": "U/ml"}
    one = {"training": {"predictors": ["age_years", "ldh"]}, "columns": {"ldh": own, "nse": own}}
    then = trained(tmp_path / "a", **one, patch={"size_mm": 64.0, "spacing_mm": 1.0})
    now = trained(tmp_path / "b", columns={"ldh": own | {"unit": "U/l"}}, patch={"size_mm": 48.0, "spacing_mm": 0.8})
    found = assess_study(now, trained=then)
    assert len(found.faults) == 3
    assert "[patch] size_mm is 48, and the run's patches were cut with 64. Set size_mm = 64." in found.faults[0]
    assert "spacing_mm = 1" in found.faults[1] and "[columns.ldh] is number in 'U/l'" in found.faults[2]
    nothing = assess_study(trained(tmp_path / "c", patch={"size_mm": 64.0}), trained=then)
    assert 'Declare [columns.ldh] with type = "number", timing = "pre_treatment", unit = "U/ml"' in nothing.faults[0]
    mixed = assess_study(
        trained(tmp_path / "d", data={"ct": ""}), trained=trained(tmp_path / "e", study={"made_up": True})
    )
    assert mixed.faults == () and len(mixed.remarks) == 2
    assert (
        "no CT" in mixed.remarks[0]
        and "these patients are real, and those who taught the run are made up" in (mixed.remarks[1])
    )
    alone = trained(tmp_path / "f", training={"models": ["image"]})
    assert "image-only model" in assess_study(trained(tmp_path / "g", data={"ct": ""}), trained=alone).faults[0]


def test_drift_finds_what_was_moved_and_only_that():
    taught, new = people(400), people(200, seed=1, prefix="Q")
    quiet = measure_drift(new, taught, predictors=PREDICTORS, with_ct=False)
    assert quiet.drifted == [] and quiet.table["column"].tolist() == PREDICTORS
    moved = new.assign(age_years=new["age_years"] + 6, sex=np.where(np.arange(200) < 150, "male", "female"))
    found = measure_drift(moved, taught, predictors=PREDICTORS, with_ct=False)
    assert set(found.drifted) == {"age_years", "sex"}
    row = found.table.set_index("column").loc["age_years"]
    spread = math.sqrt((taught["age_years"].var() + moved["age_years"].var()) / 2)
    assert row["smd"] == pytest.approx(abs(moved["age_years"].mean() - taught["age_years"].mean()) / spread)
    assert row["n_outside"] == int((moved["age_years"] > 79).sum()) > 0
    assert any(said.startswith("age_years: ") and "here" in said for said in found.sentences)


def test_in_few_patients_a_difference_of_chance_is_no_drift():
    taught = people(400)
    few = [
        measure_drift(people(8, seed=s, prefix="Q"), taught, predictors=["age_years"], with_ct=False) for s in range(40)
    ]
    smd = np.array([found.table["smd"].iloc[0] for found in few])
    drifted = np.array([found.table["drifted"].iloc[0] for found in few])
    assert (smd > 0.1).mean() > 0.5 and drifted.mean() < 0.2


def test_a_wrong_unit_and_an_unseen_level_are_told():
    taught = people(100)
    new = people(50, seed=1, total_diameter_mm=people(50)["total_diameter_mm"] / 10, sex="other")
    said = measure_drift(new, taught, predictors=PREDICTORS, with_ct=False).sentences
    assert any("total_diameter_mm" in line and "lie beyond" in line and "look at the unit" in line for line in said)
    assert any("sex: 50 of 50 values are no level that a training patient had" in line for line in said)


def test_the_ct_is_compared_where_its_facts_are_there():
    rng = np.random.default_rng(0)
    ct = pd.DataFrame({"noise_hu": rng.normal(20, 3, 80), "spacing_mm": 1.0, "kernel_class": "soft"})
    new = ct.iloc[:30].assign(noise_hu=lambda t: t["noise_hu"] + 15, spacing_mm=2.5, kernel_class="sharp")
    taught = people(80)
    found = measure_drift(people(30, seed=1), taught, predictors=["age_years"], new_facts=new, taught_facts=ct)
    assert set(found.drifted) >= {"noise_hu", "spacing_mm", "kernel_class"}
    assert found.table.query("part == 'ct'")["column"].tolist() == ["noise_hu", "spacing_mm", "kernel_class"]
    lost = measure_drift(people(30, seed=1), taught, predictors=["age_years"], new_facts=new)
    assert "of the training patients' CT nothing is recorded" in lost.sentences[-1]


def test_the_share_of_unlike_patients_is_counted_by_model():
    scores = [0.2, 0.96, 0.99, np.nan, *[0.1] * 18, 0.95, 0.97]
    rows = pd.DataFrame({"model_id": ["a"] * 4 + ["b"] * 20, "ood_score": scores})
    said = ood_sentences(rows)
    assert len(said) == 1 and said[0].startswith("a: 2 of 3 patients")


@pytest.fixture(scope="module")
def homes(tmp_path_factory):
    """A finished clinical run, and another hospital's tables."""
    base = tmp_path_factory.mktemp("homes")
    virtual.write_trial(base / "A", n_patients=90, n_centres=2, seed=1, tables_only=True)
    virtual.write_trial(base / "B", n_patients=60, n_centres=2, seed=9, tables_only=True)
    for home in ("A", "B"):
        path = base / home / "study.toml"
        study = load_study(base / home)
        said = study.to_dict() | {"training": {"models": ["clinical"], "folds": 2, "epochs": 8, "baselines": []}}
        said = {name: said[name] for name in ("study", "columns", "data", "training")}
        text = starter_toml(name=study.name, made_up=True, seed=study.seed, sections=plain(said))
        path.write_text(text)
    for name in ("check", "screen", "prepare", "train"):
        pipeline.perform(base / "A", name=name, say=lambda line: None)
    return base


def plain(value):
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items() if v is not None}
    return list(value) if isinstance(value, tuple) else value


def test_another_study_is_predicted_tested_and_written_down(homes, tmp_path, capsys):
    study = shutil.copytree(homes / "B", tmp_path / "B")
    assert cli.main(["predict", str(homes / "A"), str(study)]) == 0
    said = capsys.readouterr().out
    run = runs.open_run(homes / "A")
    out = study / "predictions" / run.id
    assert {path.name for path in out.iterdir()} == {
        "patients.csv", "predictions.csv", "applied.json", "drift.csv", "drift.json", "about.json",
    }  # fmt: skip
    rows = schema.read_table(out / "predictions.csv", table="predictions")
    patients = runs.read_csv(out / "patients.csv").set_index("patient_id")
    assert set(rows["split"]) == {"external", "unlabelled"} and rows["risk"].between(0, 1).all()
    assert (rows["split"].to_numpy() == patients.loc[rows["patient_id"], "split"].to_numpy()).all()
    assert set(patients.loc[patients["arm"] == "sbrt", "split"]) == {"unlabelled"}
    assert "bear an id that a training patient has too, with other values" in said
    assert "external testing, in" in said and "MADE-UP DATA" in said and "clinical: AUC 0." in said
    about = json.loads((out / "about.json").read_text())
    assert about["run"] == run.id and about["made_up"] is True
    assert about["sha256"]["predictions.csv"] == steps.file_digest(out / "predictions.csv")
    assert about["sha256"]["run/weights.safetensors"] == steps.file_digest(run.folder / "weights.safetensors")
    assert about["external_testing"]["clinical"]["n"] == about["n_external"] > 0
    drift = runs.read_csv(out / "drift.csv")
    assert drift["column"].tolist() == list(run.study.training.predictors) and set(drift["part"]) == {"clinical"}
    json.loads((out / "drift.json").read_text())

    when = (out / "predictions.csv").stat().st_mtime_ns
    assert cli.main(["predict", str(run.folder), str(study)]) == 0
    assert "predictions.csv: nothing changed, kept" in capsys.readouterr().out
    assert (out / "predictions.csv").stat().st_mtime_ns == when
    command = next(line for line in said.splitlines() if "onlm analyse" in line).split("onlm analyse ")[1].split()
    assert cli.main(["analyse", *command]) == 0
    results = json.loads((out / "results.json").read_text())
    assert results["clinical"]["roc"]["auc"]["value"] == pytest.approx(
        float(about["external_testing"]["clinical"]["said"].split()[1]), abs=0.005
    )


def test_what_forbids_a_prediction_is_said_before_anything_is_written(homes, tmp_path, capsys):
    run = runs.open_run(homes / "A")
    twin = shutil.copytree(homes / "A", tmp_path / "twin", ignore=shutil.ignore_patterns("runs", "work"))
    assert cli.main(["predict", str(run.folder), str(twin)]) == 2
    said = capsys.readouterr().err
    assert "cannot predict these patients" in said and "taught the run: same patient_id, same values" in said
    assert not (twin / "predictions").exists()
    assert cli.main(["predict", str(run.folder), str(homes / "A")]) == 2
    assert "belongs to the study 'A' itself" in capsys.readouterr().err
    unfinished = shutil.copytree(run.folder, tmp_path / "runs" / run.id)
    (unfinished / "weights.safetensors").unlink()
    with pytest.raises(OnlmError, match=r"has no weights.safetensors: it is not finished"):
        predict_study(unfinished, twin, say=print)


def test_a_folder_may_be_named_and_a_failed_model_leaves_no_old_predictions(homes, tmp_path, capsys):
    study = shutil.copytree(homes / "B", tmp_path / "B")
    out = tmp_path / "mine"
    out.mkdir()
    (out / "predictions.csv").write_text("of another day")
    run = shutil.copytree(runs.open_run(homes / "A").folder, tmp_path / "runs" / "run-x")
    good = (run / "weights.safetensors").read_bytes()
    (run / "weights.safetensors").write_bytes(b"damaged")
    assert cli.main(["predict", str(run), str(study), "--out", str(out)]) == 2
    assert "Step 'predict' stopped. Mend what it says above" in capsys.readouterr().err
    assert not (out / "predictions.csv").exists() and not (out / "about.json").exists()
    (run / "weights.safetensors").write_bytes(good)
    assert cli.main(["predict", str(run), str(study), "--out", str(out)]) == 0
    assert (out / "about.json").is_file() and not (study / "predictions").exists()


@pytest.mark.slow
def test_a_study_with_ct_is_prepared_predicted_and_its_ct_compared(trial, tmp_path):
    virtual.write_trial(tmp_path / "D", n_patients=12, n_centres=1, seed=31)
    run, lines = runs.open_run(trial), []
    out = predict_study(trial, tmp_path / "D", say=lines.append)
    patients = runs.read_csv(out / "patients.csv")
    rows = schema.read_table(out / "predictions.csv", table="predictions")
    n_ct = int(patients["has_ct"].sum())
    assert 0 < n_ct == (rows["model_id"] == "image").sum() and (rows["model_id"] == "fused").sum() == len(patients)
    drift = runs.read_csv(out / "drift.csv").set_index("column")
    assert drift.loc["patch_mean_hu", "n_new"] == n_ct and drift.loc["noise_hu", "part"] == "ct"
    assert drift.loc["patch_mean_hu", "n_train"] == (run.patients["role"] == "labelled").sum()
    with pytest.raises(OnlmError, match=r"\[patch\] size_mm is 48, and the run's patches were cut with 64"):
        text = (tmp_path / "D" / "study.toml").read_text()
        (tmp_path / "D" / "study.toml").write_text(text + "\n[patch]\nsize_mm = 48.0\n")
        predict_study(trial, tmp_path / "D", say=lines.append)


def test_predicting_needs_no_torch_in_its_own_process():
    code = "import sys, onlm_lab.predicting; assert 'torch' not in sys.modules and 'timm' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

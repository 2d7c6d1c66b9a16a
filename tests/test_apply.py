"""A run on other patients: the same risks as in the run, a wider spread where something is hidden, resumed, refused."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from made_trained import SPEC, patient_table, write_cache

from onlm_lab import patches, schema
from onlm_lab.learning import apply as applying
from onlm_lab.learning.apply import apply_run, main
from onlm_lab.learning.clinical import ClinicalEncoder
from onlm_lab.learning.donors import N_DONORS, find_fills

KEY = ["model_id", "patient_id"]


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """Another hospital: 24 patients, more noise; patches of all of them."""
    table = patient_table(n=24, n_labelled=16, seed=5, prefix="Q")
    return table, write_cache(tmp_path_factory.mktemp("other"), ids=table["patient_id"].tolist(), seed=6, noise_hu=60.0)


def write_patients(folder, table, *, has_ct=None):
    folder.mkdir(parents=True, exist_ok=True)
    split = np.where(table["onlm"].notna(), "external", "unlabelled")
    ct = np.ones(len(table)) if has_ct is None else has_ct
    schema.write_table(table.drop(columns="role").assign(split=split, has_ct=ct), folder / "patients.csv")
    return folder


def predicted(folder):
    return schema.read_table(folder / "predictions.csv", table="predictions").set_index(KEY)


@pytest.mark.parametrize("mode", ["frozen", "finetuned"])
def test_the_run_s_own_unlabelled_patients_get_the_rows_that_the_run_gave_them(mode, request, tiny_cache, tmp_path):
    run = request.getfixturevalue(f"{mode}_run")
    table = patient_table().query("role == 'unlabelled'")
    out = write_patients(tmp_path, table)
    said = apply_run(run.folder, out, cache=tiny_cache, train_cache=tiny_cache, progress=False)
    found = predicted(tmp_path)
    wanted = run.predictions.query("split == 'unlabelled'").set_index(KEY).loc[found.index]
    for name in ("risk", "risk_raw", "risk_low", "risk_high", "threshold", "predicted_positive", "ood_score"):
        np.testing.assert_allclose(found[name], wanted[name], rtol=0, atol=1e-6, err_msg=name)
    if mode == "frozen":
        assert set(found.index.get_level_values(0)) == {"clinical", "image", "fused", "logistic", "boosting"}
    assert found["ood_score"].between(0, 1).all() and found["fold"].isna().all() and set(found["repeat"]) == {0}
    assert said["left_out"] == [] and said["models"]["fused"]["n_filled"] == 0
    assert not (tmp_path / "partial").exists()


def test_labels_are_not_looked_at_and_say_only_the_split(frozen_run, elsewhere, tmp_path):
    table, cache = elsewhere
    turned = table.assign(onlm=1 - table["onlm"])
    for name, given in (("a", table), ("b", turned)):
        apply_run(frozen_run.folder, write_patients(tmp_path / name, given), cache=cache, progress=False)
    assert (tmp_path / "a" / "predictions.csv").read_bytes() == (tmp_path / "b" / "predictions.csv").read_bytes()
    split = predicted(tmp_path / "a")["split"].groupby("patient_id").first()
    assert split.to_dict() == dict(
        zip(table["patient_id"], np.where(table["onlm"].notna(), "external", "unlabelled"), strict=True)
    )


@pytest.mark.parametrize("mode", ["frozen", "finetuned"])
def test_without_ct_or_a_lab_a_patient_has_a_risk_and_a_wider_spread(mode, request, tiny_cache, elsewhere, tmp_path):
    run = request.getfixturevalue(f"{mode}_run")
    train_cache, (table, cache) = tiny_cache, elsewhere
    whole = table.assign(cea_ng_ml=table["cea_ng_ml"].fillna(3.0))
    apply_run(run.folder, write_patients(tmp_path / "whole", whole), cache=cache, progress=False)
    no_ct, no_lab = np.arange(24) < 6, (np.arange(24) >= 6) & (np.arange(24) < 12)
    lacking = whole.assign(cea_ng_ml=whole["cea_ng_ml"].mask(no_lab))
    said = apply_run(
        run.folder, write_patients(tmp_path / "lacking", lacking, has_ct=(~no_ct).astype(int)), cache=cache,
        train_cache=train_cache, progress=False,
    )  # fmt: skip
    before, after = predicted(tmp_path / "whole").loc["fused"], predicted(tmp_path / "lacking").loc["fused"]
    ids = whole["patient_id"].to_numpy()
    width = {name: rows["risk_high"] - rows["risk_low"] for name, rows in (("before", before), ("after", after))}
    assert after["risk"].between(after["risk_low"], after["risk_high"]).all() and len(after) == 24
    for some in (no_ct, no_lab):
        assert width["after"][ids[some]].mean() > 1.05 * width["before"][ids[some]].mean()
    rest = ids[~(no_ct | no_lab)]
    pd.testing.assert_frame_equal(after.loc[rest], before.loc[rest], rtol=1e-5)
    assert said["models"]["fused"] == {"n": 24, "n_without_ct": 6, "n_filled": 12}
    assert after["ood_score"].notna().all()
    if mode == "frozen":
        image = predicted(tmp_path / "lacking").loc["image"]
        assert set(image.index) == set(ids[~no_ct]) and said["models"]["image"]["n_without_ct"] == 6


def test_where_the_training_patches_are_gone_finetune_has_the_first_network_s_view(finetuned_run, elsewhere, tmp_path):
    table, cache = elsewhere
    has_ct = (np.arange(24) >= 6).astype(int)
    whole = table.assign(cea_ng_ml=table["cea_ng_ml"].fillna(3.0))
    said = apply_run(finetuned_run.folder, write_patients(tmp_path, whole, has_ct=has_ct), cache=cache, progress=False)
    rows = predicted(tmp_path)
    assert said["models"]["fused"]["n_filled"] == 6 and rows["ood_score"].notna().all()
    assert (rows["risk_high"] > rows["risk_low"]).all()


def test_nobody_with_ct_leaves_the_models_that_read_a_table(frozen_run, elsewhere, tmp_path):
    table, _ = elsewhere
    said = apply_run(
        frozen_run.folder, write_patients(tmp_path, table, has_ct=np.zeros(24)), cache=None, progress=False
    )
    rows = predicted(tmp_path).reset_index()
    assert set(rows["model_id"]) == {"clinical", "fused", "logistic", "boosting"}
    assert said["models"]["image"] == {"n": 0, "n_without_ct": 24, "n_filled": 0}


def test_a_ct_of_another_kind_is_unlike_the_training_patients(frozen_run, elsewhere, tmp_path):
    table, cache = elsewhere  # twice the noise of every training CT
    apply_run(frozen_run.folder, write_patients(tmp_path, table), cache=cache, progress=False)
    assert predicted(tmp_path).loc["fused", "ood_score"].min() > 0.95
    assert predicted(tmp_path).loc["clinical", "ood_score"].median() < 0.95


@pytest.mark.parametrize("mode", ["frozen", "finetuned"])
def test_a_killed_prediction_goes_on_to_the_same_bytes(mode, request, elsewhere, tmp_path, monkeypatch):
    run = request.getfixturevalue(f"{mode}_run")
    table, cache = elsewhere
    monkeypatch.setattr(applying, "PART_PATIENTS", 10)
    apply_run(run.folder, write_patients(tmp_path / "a", table), cache=cache, progress=False)
    name = "backbone_features" if mode == "frozen" else "write_array"
    call, done = getattr(applying, name), []

    def counted(*words, **named):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(words)
        return call(*words, **named)

    out = write_patients(tmp_path / "b", table)
    monkeypatch.setattr(applying, name, counted)
    monkeypatch.setattr(applying.os, "cpu_count", lambda: 1)
    with pytest.raises(KeyboardInterrupt):
        apply_run(run.folder, out, cache=cache, progress=False)
    assert not (out / "predictions.csv").exists() and list((out / "partial").rglob("*.npy"))
    kept = {path: path.stat().st_mtime_ns for path in (out / "partial").rglob("features.npy")}
    monkeypatch.setattr(applying, name, call)
    monkeypatch.setattr(applying.shutil, "rmtree", lambda folder: None)  # so that the parts can be looked at
    apply_run(run.folder, out, cache=cache, progress=False)
    assert all(path.stat().st_mtime_ns == when for path, when in kept.items())
    assert (out / "predictions.csv").read_bytes() == (tmp_path / "a" / "predictions.csv").read_bytes()


def test_parts_of_other_patients_are_not_taken_for_these(frozen_run, elsewhere, tmp_path):
    table, cache = elsewhere
    stale = tmp_path / "partial" / "features-0"
    stale.mkdir(parents=True)
    (tmp_path / "partial" / "inputs.txt").write_text("of another table")
    (stale / "features.npy").write_bytes(b"not an array")
    apply_run(frozen_run.folder, write_patients(tmp_path, table), cache=cache, progress=False)
    assert predicted(tmp_path)["risk"].notna().all()


def test_a_baseline_that_does_not_come_out_as_it_was_is_left_out_and_said(frozen_run, elsewhere, tmp_path, capsys):
    table, cache = elsewhere
    run = tmp_path / "runs" / "run-a"
    shutil.copytree(frozen_run.folder, run)
    said = json.loads((run / "calibration.json").read_text())
    said["models"]["boosting"]["final"]["calibrator"]["slope"] *= 1.5
    (run / "calibration.json").write_text(json.dumps(said))
    said = apply_run(run, write_patients(tmp_path / "out", table), cache=cache, progress=False)
    assert "boosting" not in said["models"] and "logistic" in said["models"]
    assert (
        "the baseline boosting, fitted anew from the run's training rows, is not the one of the run"
        in (said["left_out"][0])
    )
    assert said["left_out"][0] in capsys.readouterr().err


def test_what_cannot_be_predicted_is_said_in_one_sentence(frozen_run, elsewhere, tmp_path, capsys):
    table, cache = elsewhere
    out = tmp_path / "out"
    out.mkdir()

    def said(**named):
        assert main([str(frozen_run.folder), str(out), "--quiet", *(f"--{k}={v}" for k, v in named.items())]) == 2
        return capsys.readouterr().err

    assert "no patients.csv in 'out'" in said()
    write_patients(out, table)
    full = (out / "patients.csv").read_text()
    (out / "patients.csv").write_text(full.replace(",split,", ",part,"))
    assert "no column split; wanted patient_id, split" in said()
    (out / "patients.csv").write_text(full.replace("external", "oof"))
    assert "has split 'oof'; wanted a row a patient, each with split external or unlabelled" in said()
    (out / "patients.csv").write_text(full.replace("Q001,", "Q002,"))
    assert "1 patients stand there more than once (Q002)" in said()
    (out / "patients.csv").write_text(full.replace("Q001,", "R001,"))
    assert "1 of 24 patients with a CT have no patch (R001)" in said(cache=cache)
    (out / "patients.csv").write_text(full.replace("age_years", "age"))
    assert "needs the column age_years" in said(cache=cache)
    other = tmp_path / "other-spec"
    patches.create_cache(other, spec=patches.PatchSpec(size_mm=20.0, spacing_mm=1.0))
    (out / "patients.csv").write_text(full)
    assert "cut with size_mm = 20; run run-a was trained with 16. Set [patch] size_mm = 16" in said(cache=other)
    assert SPEC.size_mm == 16 and not (out / "predictions.csv").exists()


def training(n=60):
    rng = np.random.default_rng(2)
    table = patient_table(n=n, n_labelled=n, seed=3)
    return table, ClinicalEncoder.fit(table, predictors=["age_years", "sex", "cea_ng_ml"]), rng.normal(size=(n, 4))


def test_donors_are_the_most_alike_in_what_is_known():
    table, encoder, image = training()
    table["cea_ng_ml"] = table["age_years"] * 10  # what is hidden hangs on what is known
    new = table.iloc[[7, 8]].assign(cea_ng_ml=np.nan).reset_index(drop=True)
    fills = find_fills(new, table=table, encoder=encoder, image=0 * image[[7, 8]], train_image=image)
    assert fills.rows.tolist() == [0, 1] and len(fills.table) == 2 * N_DONORS and (fills.image_donor == -1).all()
    given = fills.table["cea_ng_ml"].to_numpy().reshape(2, N_DONORS)
    for row, truth in zip(given, table.loc[[7, 8], "cea_ng_ml"], strict=True):
        assert np.abs(row - truth).mean() < 0.8 * np.abs(table["cea_ng_ml"] - truth).mean()
        assert truth in row, "the twin is among the donors"
    alike = find_fills(new, table=table, encoder=encoder, image=image[[7, 8]], train_image=image)
    assert alike.table["cea_ng_ml"].tolist() != fills.table["cea_ng_ml"].tolist(), "the image counts as well"


def test_donors_are_taken_whole_where_enough_know_all_that_is_missing():
    table, encoder, image = training()
    table["cea_ng_ml"] = np.arange(60) + 0.5
    new = table.iloc[[3]].assign(cea_ng_ml=np.nan, sex=None).reset_index(drop=True)
    fills = find_fills(new, table=table, encoder=encoder, image=np.full((1, 4), np.nan), train_image=image)
    donors = fills.image_donor
    assert len(set(donors)) == N_DONORS
    assert fills.table["cea_ng_ml"].tolist() == table.loc[donors, "cea_ng_ml"].tolist()
    assert fills.table["sex"].tolist() == table.loc[donors, "sex"].tolist()


def test_where_few_know_a_value_its_own_donors_stand_in():
    table, encoder, _ = training()
    table["cea_ng_ml"] = np.where(np.arange(60) < 7, 4.0, np.nan)
    new = table.iloc[[30, 31]].assign(sex=["female", "unheard of"]).reset_index(drop=True)
    fills = find_fills(new, table=table, encoder=encoder)
    assert fills.table["cea_ng_ml"].tolist() == [4.0] * 2 * N_DONORS
    assert set(fills.table["sex"][N_DONORS:]) <= {"female", "male"}, "a level that nobody had is as good as missing"
    nothing = pd.DataFrame({"age_years": [np.nan], "sex": [None], "cea_ng_ml": [np.nan]})
    assert find_fills(nothing, table=table, encoder=encoder).table["age_years"].nunique() > 15

"""A whole training run: files, byte-equal repeats, killed and resumed, and each message that a user may meet."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

from onlm_lab import patches, runs, schema
from onlm_lab.errors import OnlmError
from onlm_lab.learning import partial, train
from onlm_lab.learning.train import main, train_run
from onlm_lab.split_files import write_split
from onlm_lab.study import starter_toml

N, N_LABELLED = 40, 32
SECTIONS = {
    "patch": {"size_mm": 16.0, "spacing_mm": 1.0},
    "model": {"backbone": "test_resnet", "weights": "none", "image_px": 16, "field_mm": 16.0, "width": 4},
    "training": {
        "predictors": ["age_years", "cea_ng_ml"],
        "folds": 2,
        "epochs": 3,
        "patience": 3,
        "seeds_per_fold": 2,
        "baselines": [],
    },
}


def changed(**sections):
    return {name: SECTIONS.get(name, {}) | sections.get(name, {}) for name in SECTIONS | sections}


def patient_table():
    rng = np.random.default_rng(0)
    onlm = (np.arange(N) % 3 == 0).astype(float)
    return pd.DataFrame({
        "patient_id": [f"P{i:03d}" for i in range(N)],
        "centre": ["C1", "C2"] * (N // 2),
        "age_years": np.round(65 + 8 * rng.normal(size=N) - 6 * onlm, 1),
        "cea_ng_ml": np.round(np.exp(rng.normal(size=N) + onlm), 2),
        "onlm": np.where(np.arange(N) < N_LABELLED, onlm, np.nan),
        "arm": ["surgery"] * N_LABELLED + ["sbrt"] * (N - N_LABELLED),
        "role": ["labelled"] * N_LABELLED + ["unlabelled"] * (N - N_LABELLED),
    })  # fmt: skip


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Noise around a ball of soft tissue, larger in N+."""
    folder = tmp_path_factory.mktemp("cache")
    spec = patches.PatchSpec(size_mm=16.0, spacing_mm=1.0)
    patches.create_cache(folder, spec=spec)
    rng = np.random.default_rng(1)
    radius = np.linalg.norm(np.mgrid[-7.5:8, -7.5:8, -7.5:8], axis=0)
    for i in range(N):
        hu = np.where(radius < 3 + 2 * (i % 3 == 0), 40.0, -850.0) + rng.normal(0, 30, size=radius.shape)
        patches.write_patch(folder, patient_id=f"P{i:03d}", patch=hu, key="made up", facts={})
    return folder


def prepare(folder, *, sections=SECTIONS, patients=None):
    table = patient_table() if patients is None else patients
    folder.mkdir(parents=True)
    schema.write_table(table, folder / "patients.csv")
    labelled = table.loc[table["role"] == "labelled", "patient_id"].sort_values()
    split = pd.DataFrame({"patient_id": labelled, "repeat": 0, "fold": np.arange(len(labelled)) % 2})
    parts = table[["patient_id"]].assign(part="development")
    write_split(folder, folds=split, parts=parts, facts={"seed": 3})
    (folder / "study.toml").write_text(starter_toml(name="tiny", made_up=True, seed=3, sections=sections))
    return folder


@pytest.fixture(scope="module")
def finished(tmp_path_factory, cache):
    folder = prepare(tmp_path_factory.mktemp("study") / "run-a")
    train_run(folder, cache=cache, progress=False)
    return folder


def test_a_run_leaves_every_file_and_every_patient_has_a_risk(finished):
    names = {path.name for path in finished.iterdir()}
    assert names >= {
        "history.csv", "weights.safetensors", "calibration.json", "environment.txt", "embeddings.npy",
        "embeddings_ids.csv", "predictions.csv", "features.npy",
    }  # fmt: skip
    table = runs.Run(finished).predictions
    for _, rows in table.groupby("model_id"):
        assert (rows["split"] == "oof").sum() == N_LABELLED
        assert (rows["split"] == "unlabelled").sum() == N - N_LABELLED
        assert rows["patient_id"].nunique() == N
    assert set(table["model_id"]) == {"clinical", "image", "fused"}
    assert np.load(finished / "embeddings.npy").shape[0] == N
    assert runs.read_csv(finished / "embeddings_ids.csv")["patient_id"].tolist() == sorted(
        patient_table()["patient_id"]
    )


def test_calibration_and_threshold_of_each_fold_are_written_and_used(finished):
    said = json.loads((finished / "calibration.json").read_text())
    assert said["n"] == N_LABELLED
    assert said["prevalence"] == pytest.approx(patient_table()["onlm"].mean())
    table = runs.Run(finished).predictions
    for model, facts in said["models"].items():
        rows = table[table["model_id"] == model]
        for fold in facts["folds"]:
            mine = rows[rows["fold"] == fold["fold"]]
            assert set(mine["threshold"]) == {fold["threshold"]}
            assert fold["calibrator"]["n"] == N_LABELLED - len(mine), "training rows of the fold only"
        assert set(rows.loc[rows["split"] == "unlabelled", "threshold"]) == {facts["final"]["threshold"]}
    assert len(said["backbone_weights"]["sha256"]) == 64
    assert said["backbone_weights"]["sha256"] in (finished / "environment.txt").read_text()


def test_history_has_a_row_for_each_model_fold_seed_and_epoch(finished):
    history = runs.Run(finished).history
    assert list(history.columns) == list(partial.HISTORY)
    assert not history.duplicated(["model_id", "repeat", "fold", "seed", "epoch"]).any()
    assert set(history["fold"]) == {-1, 0, 1}
    assert set(history["seed"]) == {0, 1}
    assert history.notna().all(axis=None)


def test_the_same_seed_gives_the_same_bytes_whatever_the_order_of_rows(finished, cache, tmp_path):
    folder = prepare(tmp_path / "run-b", patients=patient_table().iloc[::-1])
    train_run(folder, cache=cache, progress=False)
    assert (folder / "predictions.csv").read_bytes() == (finished / "predictions.csv").read_bytes()


def test_another_seed_gives_other_risks(finished, cache, tmp_path):
    sections = changed(training={"models": ["clinical"]})
    folder = prepare(tmp_path / "run-b", sections=sections)
    text = (folder / "study.toml").read_text().replace("seed = 3", "seed = 4")
    (folder / "study.toml").write_text(text)
    train_run(folder, cache=None, progress=False)
    mine = runs.Run(finished).predictions.query("model_id == 'clinical'")["risk"].to_numpy()
    assert not np.allclose(runs.Run(folder).predictions["risk"], mine)


def test_one_model_alone_gives_what_it_gives_beside_others(finished, tmp_path):
    folder = prepare(tmp_path / "run-b", sections=changed(training={"models": ["clinical"]}))
    train_run(folder, cache=None, progress=False)
    mine = runs.Run(finished).predictions.query("model_id == 'clinical'").reset_index(drop=True)
    pd.testing.assert_frame_equal(runs.Run(folder).predictions, mine)


def test_a_patient_without_label_teaches_nothing(finished, cache, tmp_path):
    """Other unlabelled patients: not one out-of-fold number moves."""
    table = patient_table()
    table.loc[table["role"] == "unlabelled", ["age_years", "cea_ng_ml"]] = [30.0, 900.0]
    folder = prepare(tmp_path / "run-b", patients=table)
    train_run(folder, cache=cache, progress=False)
    before, after = (runs.Run(f).predictions.query("split == 'oof'") for f in (finished, folder))
    pd.testing.assert_frame_equal(before, after)


@pytest.mark.parametrize("mode", ["frozen", "finetune"])
def test_out_of_fold_rows_are_the_same_bytes_without_the_unlabelled_patients(mode, request, cache, tmp_path):
    with_all, sections = ("finished", SECTIONS) if mode == "frozen" else ("finetuned", FINETUNE)
    table = patient_table()
    folder = prepare(tmp_path / "run-b", sections=sections, patients=table[table["role"] == "labelled"])
    train_run(folder, cache=cache, progress=False)
    before = (request.getfixturevalue(with_all) / "predictions.csv").read_text().splitlines()
    after = (folder / "predictions.csv").read_text().splitlines()
    assert [line for line in before if ",oof," in line] == after[1:]
    assert len(after) == 1 + N_LABELLED * (3 if mode == "frozen" else 1)


def test_one_more_patient_to_be_judged_changes_nobody_s_risk(finished, cache, tmp_path):
    table = patient_table()
    folder = prepare(tmp_path / "run-b", patients=table[table["patient_id"] != "P035"])
    train_run(folder, cache=cache, progress=False)
    before, after = (runs.Run(f).predictions for f in (finished, folder))
    before = before[before["patient_id"] != "P035"].reset_index(drop=True)
    pd.testing.assert_frame_equal(before, after, rtol=1e-5)


def test_a_file_of_weights_lies_beside_study_toml(cache, tmp_path):
    from safetensors.torch import save_file

    from onlm_lab.learning.weights import load_backbone

    source = load_backbone("test_resnet", weights="none", in_channels=3, seed=8)
    save_file(source.module.state_dict(), tmp_path / "mine.safetensors")
    folder = prepare(tmp_path / "runs" / "run-a", sections=changed(model={"weights": "mine.safetensors"}))
    train_run(folder, cache=cache, progress=False)
    said = json.loads((folder / "calibration.json").read_text())["backbone_weights"]
    assert said == {"source": "mine.safetensors", "sha256": source.sha256}


def test_a_label_beside_the_role_unlabelled_is_not_read(tmp_path):
    table = patient_table()
    table.loc[table["role"] == "unlabelled", "onlm"] = 1.0
    sections = changed(training={"models": ["clinical"]})
    one = prepare(tmp_path / "run-a", sections=sections)
    two = prepare(tmp_path / "run-b", sections=sections, patients=table)
    for folder in (one, two):
        train_run(folder, cache=None, progress=False)
    assert (one / "predictions.csv").read_bytes() == (two / "predictions.csv").read_bytes()


def test_a_finished_task_is_not_done_again(finished, cache, tmp_path, monkeypatch):
    """Stopped after the fourth task, the second start fits the other five, and the file is the same."""
    folder = prepare(tmp_path / "run-b")
    fit, done = train.validate.fit_frozen, []

    def counted(task, **inputs):
        if len(done) == 4:
            raise KeyboardInterrupt
        done.append(task.name)
        return fit(task, **inputs)

    monkeypatch.setattr(train.validate, "fit_frozen", counted)
    with pytest.raises(KeyboardInterrupt):
        train_run(folder, cache=cache, progress=False)
    assert not (folder / "predictions.csv").exists()
    monkeypatch.setattr(
        train.validate, "fit_frozen", lambda task, **inputs: (done.append(task.name), fit(task, **inputs))[1]
    )
    train_run(folder, cache=cache, progress=False)
    assert len(done) == len(set(done)) == 9
    assert (folder / "predictions.csv").read_bytes() == (finished / "predictions.csv").read_bytes()
    assert not runs.Run(folder).history.duplicated(["model_id", "repeat", "fold", "seed", "epoch"]).any()


def test_results_of_other_settings_are_not_taken_for_these(tmp_path):
    folder = prepare(tmp_path / "run-a", sections=changed(training={"models": ["clinical"]}))
    train_run(folder, cache=None, progress=False)
    before = (folder / "predictions.csv").read_bytes()
    sections = changed(training={"models": ["clinical"], "ridge": 300.0})
    (folder / "study.toml").write_text(starter_toml(name="tiny", made_up=True, seed=3, sections=sections))
    train_run(folder, cache=None, progress=False)
    assert (folder / "predictions.csv").read_bytes() != before


FINETUNE = changed(
    model={"mode": "finetune"},
    training={"models": ["fused"], "epochs": 4, "patience": 4, "batch_size": 8, "learning_rate": 0.01},
)


@pytest.fixture(scope="module")
def finetuned(tmp_path_factory, cache):
    folder = prepare(tmp_path_factory.mktemp("study") / "run-f", sections=FINETUNE)
    train_run(folder, cache=cache, progress=False)
    return folder


def test_finetune_trains_the_backbone_and_leaves_the_same_files(finetuned):
    from safetensors import safe_open

    table = runs.Run(finetuned).predictions
    assert (table["split"] == "oof").sum() == N_LABELLED
    with safe_open(finetuned / "weights.safetensors", framework="pt") as file:
        first = file.get_tensor("fused/seed0.backbone.conv1.0.weight")
        second = file.get_tensor("fused/seed1.backbone.conv1.0.weight")
    assert not np.allclose(first, second)
    history = runs.Run(finetuned).history
    assert not list((finetuned / "partial").glob("*.ckpt")), "a finished task needs no checkpoint"
    assert len(history) == 3 * 2 * 4  # two folds and the final model, two seeds, four epochs
    assert history.groupby(["fold", "seed"])["learning_rate"].nunique().min() > 1, "warm-up and cosine"


def test_finetune_killed_in_the_middle_of_a_network_goes_on_to_the_same_bytes(finetuned, cache, tmp_path, monkeypatch):
    folder = prepare(tmp_path / "run-g", sections=FINETUNE)
    append, seen = partial.append_history, []

    def stop_early(path, rows):
        append(path, rows)
        seen.append(len(rows))
        if len(seen) == 7:  # the second network's third epoch
            raise KeyboardInterrupt

    monkeypatch.setattr(partial, "append_history", stop_early)
    with pytest.raises(KeyboardInterrupt):
        train_run(folder, cache=cache, progress=False)
    assert not (folder / "predictions.csv").exists()
    monkeypatch.setattr(partial, "append_history", append)
    train_run(folder, cache=cache, progress=False)
    assert (folder / "predictions.csv").read_bytes() == (finetuned / "predictions.csv").read_bytes()
    key = ["model_id", "repeat", "fold", "seed", "epoch"]
    history = runs.Run(folder).history
    assert not history.duplicated(key).any()
    assert len(history) == len(runs.Run(finetuned).history)


def test_a_loss_that_is_no_number_stops_with_a_sentence(cache, tmp_path):
    wild = changed(model=FINETUNE["model"], training=FINETUNE["training"] | {"learning_rate": 1e25})
    folder = prepare(tmp_path / "run-g", sections=wild)
    with pytest.raises(OnlmError, match=r"not a number in epoch \d+\. Lower \[training\] learning_rate"):
        train_run(folder, cache=cache, progress=False)


@pytest.mark.slow
def test_a_run_killed_from_outside_at_any_time_ends_with_the_same_bytes(finetuned, cache, tmp_path):
    folder = prepare(tmp_path / "run-k", sections=FINETUNE)
    command = [sys.executable, "-m", "onlm_lab.learning.train", str(folder), "--cache", str(cache), "--quiet"]
    for n_epochs in (2, 9, 15):
        process = subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "2"})
        while process.poll() is None:
            if len(list(folder.glob("history.csv"))) and len(runs.Run(folder).history) >= n_epochs:
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.05)
        process.wait()
    assert subprocess.run(command, check=False).returncode == 0
    assert (folder / "predictions.csv").read_bytes() == (finetuned / "predictions.csv").read_bytes()


def test_images_that_are_wanted_and_absent_are_named(tmp_path, cache):
    folder = prepare(tmp_path / "run-a")
    with pytest.raises(
        OnlmError, match=r"names image, fused, and there are no image patches. Run `onlm prepare STUDY`"
    ):
        train_run(folder, cache=None, progress=False)
    extra = pd.concat([patient_table(), patient_table().iloc[-1:].assign(patient_id="X1")])
    folder = prepare(tmp_path / "run-b", patients=extra)
    with pytest.raises(OnlmError, match=r"1 of 41 patients of the run have no image patch \(X1\)"):
        train_run(folder, cache=cache, progress=False)
    folder = prepare(tmp_path / "run-c", sections=changed(patch={"size_mm": 20.0}))
    with pytest.raises(OnlmError, match=r"cut with size_mm = 16, \[patch\] size_mm asks for 20"):
        train_run(folder, cache=cache, progress=False)
    folder = prepare(tmp_path / "run-d", sections=changed(patch={"spacing_mm": 0.5}))
    with pytest.raises(OnlmError, match=r"cut with spacing_mm = 1, \[patch\] spacing_mm asks for 0.5"):
        train_run(folder, cache=cache, progress=False)


def test_a_predictor_from_after_treatment_is_refused(tmp_path):
    sections = changed(training={"models": ["clinical"], "predictors": ["age_years", "lvi"]})
    sections["columns"] = {"lvi": {"type": "boolean", "timing": "post_treatment"}}
    folder = prepare(tmp_path / "run-a", sections=sections, patients=patient_table().assign(lvi=1.0))
    with pytest.raises(OnlmError, match="lvi cannot predict"):
        train_run(folder, cache=None, progress=False)


def test_a_labelled_patient_without_label_is_named(tmp_path):
    table = patient_table()
    table.loc[2, "onlm"] = np.nan
    folder = prepare(tmp_path / "run-a", patients=table)
    with pytest.raises(OnlmError, match=r"1 labelled patients have no onlm \(P002\)"):
        train_run(folder, cache=None, progress=False)


def test_the_command_says_one_sentence_and_gives_2(tmp_path, capsys):
    folder = prepare(tmp_path / "run-a")
    assert main([str(folder), "--quiet"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "there are no image patches" in said
    folder = prepare(tmp_path / "run-b", sections=changed(training={"models": ["clinical"]}))
    assert main([str(folder), "--quiet"]) == 0
    assert runs.Run(folder).finished


def test_training_leaves_torch_as_it_was(finished, tmp_path):
    import torch

    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled(), torch.get_rng_state()
    train_run(prepare(tmp_path / "r", sections=changed(training={"models": ["clinical"]})), cache=None, progress=False)
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == before[:2]
    assert torch.equal(torch.get_rng_state(), before[2])


def test_external_and_locked_patients_are_tested_by_the_final_model_and_teach_nothing(tmp_path):
    """The same run with their labels turned round: every prediction stays the same, byte for byte."""
    table = patient_table()
    table.loc[:5, "role"] = "external"
    table.loc[6:11, "role"] = "test"
    turned = table.assign(onlm=table["onlm"].mask(table["role"].isin(["external", "test"]), 1 - table["onlm"]))
    clinical = changed(training={"models": ["clinical"]}, data={"ct": ""})
    found = []
    for name, patients in (("a", table), ("b", turned)):
        folder = prepare(tmp_path / name, sections=clinical, patients=patients)
        train_run(folder, cache=None, progress=False)
        found.append((folder / "predictions.csv").read_bytes())
    rows = schema.read_table(tmp_path / "a" / "predictions.csv", table="predictions").merge(table, on="patient_id")
    expected = table["role"].map({"labelled": "oof"}).fillna(table["role"]).value_counts().to_dict()
    assert found[0] == found[1] and rows["split"].value_counts().to_dict() == expected
    assert (rows.loc[rows["split"] != "oof", "split"] == rows.loc[rows["split"] != "oof", "role"]).all()


def test_a_split_that_was_changed_is_refused_before_anything_is_fitted(tmp_path):
    folder = prepare(tmp_path / "run", sections=changed(training={"models": ["clinical"]}, data={"ct": ""}))
    text = (folder / "split.csv").read_text(encoding="utf-8")
    (folder / "split.csv").write_text(text.replace("P000,0,0", "P000,0,1"), encoding="utf-8")
    with pytest.raises(OnlmError, match=r"split.csv no longer fits the SHA-256 in split.json"):
        train_run(folder, cache=None, progress=False)
    assert not (folder / "partial").exists() and not (folder / "predictions.csv").exists()


def test_a_role_that_nobody_knows_is_refused(tmp_path):
    table = patient_table()
    table.loc[0, "role"] = "teacher"
    folder = prepare(tmp_path / "run", patients=table)
    with pytest.raises(OnlmError, match="role 'teacher' is not known; wanted labelled, unlabelled, external, test"):
        train_run(folder, cache=None, progress=False)


def test_two_processes_train_the_same_run_as_one_and_only_the_first_one_writes(tmp_path, cache):
    """Through the launcher, as `onlm train STUDY --devices 2 --strategy ddp` does it."""
    sections = changed(
        model={
            "mode": "finetune",
            "backbone": "test_convnext",
            "dropout": 0.0,
            "modality_dropout": 0.0,
            "image_px": 32,
        },
        training={"models": ["clinical", "fused"], "epochs": 2, "batch_size": 8, "seeds_per_fold": 1},
    )
    runs_of = {}
    for name, words in {"one": [], "two": ["--devices", "2", "--strategy", "ddp"]}.items():
        folder = prepare(tmp_path / "runs" / name, sections=sections)
        command = [sys.executable, "-m", "onlm_lab.learning.train", str(folder), "--cache", str(cache), "--quiet"]
        done = subprocess.run(
            [*command, "--accelerator", "cpu", *words], capture_output=True, text=True, check=False, timeout=300
        )
        assert done.returncode == 0, done.stderr
        runs_of[name] = runs.Run(folder)
    one, two = (runs_of[name] for name in ("one", "two"))
    assert not two.history.duplicated(["model_id", "repeat", "fold", "seed", "epoch"]).any()
    keys = ["patient_id", "model_id", "split", "repeat"]
    risks = one.predictions.merge(two.predictions, on=keys, suffixes=("_one", "_two"), validate="one_to_one")
    assert len(risks) == len(one.predictions)
    assert np.abs(risks["risk_one"] - risks["risk_two"]).max() < 1e-4


def test_a_device_that_is_not_there_is_refused_in_a_sentence(tmp_path, capsys):
    folder = prepare(tmp_path / "run-a", sections=changed(training={"models": ["clinical"]}))
    assert main([str(folder), "--strategy", "dpp"]) == 2
    assert "strategy is 'dpp'; wanted auto, ddp" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["weights.safetensors", "fused-r0-f0.safetensors", "features.npy"])
def test_a_full_disk_is_told_in_a_sentence_and_the_run_goes_on_when_there_is_room(
    name, tmp_path, cache, finished, monkeypatch
):
    folder = prepare(tmp_path / "run-a")
    replace_file = type(folder).replace

    def full(path, target):
        if path.name == f"{name}.half":
            raise OSError(errno.ENOSPC, "No space left on device")
        return replace_file(path, target)

    with monkeypatch.context() as disk:
        disk.setattr(type(folder), "replace", full)
        with pytest.raises(OnlmError, match=rf"'{name}' could not be written: no space is left on the disk. Make room"):
            train_run(folder, cache=cache, progress=False)
    assert not list(folder.rglob("*.half")) and not (folder / "predictions.csv").exists()
    train_run(folder, cache=cache, progress=False)
    assert (folder / "predictions.csv").read_bytes() == (finished / "predictions.csv").read_bytes()

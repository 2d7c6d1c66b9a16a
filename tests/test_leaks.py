"""Each leak is planted and seen: what knows the test rows before it is tested, and what holds the label.

`moved_by_test_rows` fits one task twice, the second time with test rows from another world (other cells, other words,
blanks elsewhere, other pictures, labels turned round), and names every fitted thing that is not the same to the last
bit. Nothing of our own may move, in either mode; of every planted leak the thing that leaks must.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from onlm_lab.analysis import suspicion
from onlm_lab.cohort.duplicates import refuse_duplicates
from onlm_lab.cohort.predictors import refuse_post_treatment
from onlm_lab.errors import DataError, OnlmError
from onlm_lab.learning.calibrate import Calibrator, Platt, auc, threshold_for
from onlm_lab.learning.clinical import check_predictors
from onlm_lab.learning.networks import fit_finetuned
from onlm_lab.learning.partial import Partial
from onlm_lab.learning.validate import Fitted, Material, Task, calibrated, fit_frozen, list_tasks
from onlm_lab.learning.weights import load_backbone
from onlm_lab.study import ExtraColumn, Model, Study, Training

N = 60
LEARN, TEST = np.arange(0, 48), np.arange(48, N)
PREDICTORS = ("age_years", "cea_ng_ml", "smoking")
MODELS = ("clinical", "image", "fused")
Fit = Callable[[Material], tuple[Fitted, Calibrator, float]]


def settings(**training) -> Training:
    return Training(predictors=PREDICTORS, epochs=3, patience=3, seeds_per_fold=2, batch_size=16, **training)


@pytest.fixture(scope="module")
def material():
    rng = np.random.default_rng(0)
    onlm = (np.arange(N) % 3 == 0).astype(float)
    cea = np.exp(rng.normal(size=N) + onlm)
    cea[::7] = np.nan
    patients = pd.DataFrame({
        "patient_id": [f"P{i:03d}" for i in range(N)],
        "age_years": 65 + 8 * rng.normal(size=N) - 6 * onlm,
        "cea_ng_ml": cea,
        "smoking": rng.choice(["never", "former"], N),
    })  # fmt: skip
    features = rng.normal(size=(N, 3, 20)).astype(np.float32)
    features[:, :, 0] += 1.2 * onlm[:, None]
    patches = rng.normal(-800, 100, size=(N, 12, 12, 12))
    patches[:, 4:8, 4:8, 4:8] += 600 + 200 * onlm[:, None, None, None]
    return Material(patients=patients, onlm=onlm, features=torch.from_numpy(features), patches=patches.astype(np.int16))


def of_another_world(material: Material) -> Material:
    """The same training rows; everything about the test rows is different."""
    patients = material.patients.copy()
    patients.loc[TEST, "age_years"], patients.loc[TEST, "smoking"] = 300.0, "a word that nobody else has"
    patients.loc[TEST, "cea_ng_ml"] = np.where(patients.loc[TEST, "cea_ng_ml"].isna(), 9e4, np.nan)
    onlm, features, patches = material.onlm.copy(), material.features.clone(), material.patches.copy()
    onlm[TEST], features[TEST], patches[TEST] = 1 - onlm[TEST], 50.0, 3000
    return replace(material, patients=patients, onlm=onlm, features=features, patches=patches)


def moved_by_test_rows(fit: Fit, *, material: Material) -> set[str]:
    """Every fitted thing that differs, to the last bit, where only the test rows do."""
    (one, calibrator_one, threshold_one), (two, calibrator_two, threshold_two) = (
        fit(world) for world in (material, of_another_world(material))
    )
    assert not np.array_equal(one.apply_logit, two.apply_logit), "the other test rows were not looked at"
    moved = {
        "scaler and levels": one.encoders != two.encoders,
        "weights": one.states.keys() != two.states.keys()
        or any(not torch.equal(value, two.states[name]) for name, value in one.states.items()),
        "number of epochs": one.epoch != two.epoch,
        "inner logits": not np.array_equal(one.inner_logit, two.inner_logit, equal_nan=True),
        "calibrator": calibrator_one != calibrator_two,
        "threshold": threshold_one != threshold_two,
    }
    return {name for name, yes in moved.items() if yes}


# --- our own pipeline, in both modes -----------------------------------------------------------------------------


def frozen(model: str, training: Training | None = None) -> Fit:
    """Fits one task on frozen features and calibrates it, as a run does."""
    task = Task(model, 0, 0, LEARN, TEST)
    study = Study(folder=Path(), training=training or settings())

    def fit(material: Material) -> tuple[Fitted, Calibrator, float]:
        fitted = fit_frozen(task, material=material, study=study)
        return fitted, *calibrated(fitted, task=task, onlm=material.onlm, sensitivity=0.9)

    return fit


@pytest.mark.parametrize("model", MODELS)
def test_frozen_nothing_that_is_fitted_moves_with_the_test_rows(model, material):
    assert moved_by_test_rows(frozen(model), material=material) == set()


@pytest.fixture
def finetuned(tmp_path):
    """Trains networks, backbone and all, and calibrates them, as a run does; each call in a folder of its own."""
    model = Model(backbone="test_resnet", weights="none", mode="finetune", image_px=16, field_mm=12.0, width=4)
    patch = replace(Study(folder=Path()).patch, size_mm=12.0, spacing_mm=1.0)
    study = Study(folder=Path(), training=settings(learning_rate=0.01), model=model, patch=patch)
    backbone = load_backbone("test_resnet", weights="none", in_channels=3, image_px=16, seed=1)

    def fit(material: Material, *, kind: str = "fused") -> tuple[Fitted, Calibrator, float]:
        task = Task(kind, 0, 0, LEARN, TEST)
        store = Partial.open(tmp_path / str(len(list(tmp_path.iterdir()))), inputs="")
        fitted = fit_finetuned(
            task, material=material, backbone=backbone, study=study, store=store, report=lambda row: None
        )
        return fitted, *calibrated(fitted, task=task, onlm=material.onlm, sensitivity=0.9)

    return fit


@pytest.mark.parametrize("kind", ["image", "fused"])
def test_finetune_nothing_that_is_fitted_moves_with_the_test_rows(kind, finetuned, material):
    assert moved_by_test_rows(lambda world: finetuned(world, kind=kind), material=material) == set()


# --- the same pipeline with a leak in it: each must be seen, and where it is ---------------------------------------


def scaled_over_everybody(material: Material) -> Material:
    """Leak: the mean and spread of a column are taken over training and test rows."""
    age = material.patients["age_years"]
    return replace(material, patients=material.patients.assign(age_years=(age - age.mean()) / age.std()))


def filled_from_everybody(material: Material) -> Material:
    """Leak: a missing value is filled with the median of training and test rows."""
    cea = material.patients["cea_ng_ml"]
    return replace(material, patients=material.patients.assign(cea_ng_ml=cea.fillna(cea.median())))


def levels_of_everybody(material: Material) -> Material:
    """Leak: words become numbers by their place among all words, those of test rows included."""
    words = material.patients["smoking"].astype("category").cat.codes.astype(float)
    share = words / words.max()
    return replace(material, patients=material.patients.assign(smoking=share))


def whitened_over_everybody(material: Material) -> Material:
    """Leak: features are centred and scaled over training and test rows."""
    features = material.features
    return replace(material, features=(features - features.mean(dim=0)) / features.std(dim=0))


@pytest.mark.parametrize(
    ("leak", "seen"),
    [(scaled_over_everybody, "scaler and levels"), (filled_from_everybody, "scaler and levels"),
     (levels_of_everybody, "scaler and levels"), (whitened_over_everybody, "weights")],
)  # fmt: skip
def test_a_scaler_an_imputation_or_levels_from_test_rows_are_caught(leak, seen, material):
    fit = frozen("fused")
    found = moved_by_test_rows(lambda world: fit(leak(world)), material=material)
    assert seen in found


@pytest.mark.parametrize(
    ("leak", "seen"), [(scaled_over_everybody, {"scaler and levels"}),
                       (filled_from_everybody, {"scaler and levels", "weights", "calibrator"})],
)  # fmt: skip
def test_the_same_leaks_are_caught_where_networks_are_trained(leak, seen, finetuned, material):
    assert seen <= moved_by_test_rows(lambda world: finetuned(leak(world)), material=material)


def test_a_calibrator_that_saw_test_rows_is_caught(material):
    def leaky(world):
        fitted, _, threshold = frozen("fused")(world)
        logit = np.concatenate([fitted.inner_logit, fitted.apply_logit.mean(axis=0)])
        return fitted, Platt.fit(logit, world.onlm), threshold

    assert moved_by_test_rows(leaky, material=material) == {"calibrator"}


def test_a_threshold_that_saw_test_rows_is_caught(material):
    def leaky(world):
        fitted, calibrator, _ = frozen("fused")(world)
        risk = calibrator.apply(fitted.apply_logit.mean(axis=0))
        return fitted, calibrator, threshold_for(risk, world.onlm[TEST], sensitivity=0.9)

    assert moved_by_test_rows(leaky, material=material) == {"threshold"}


def test_a_model_that_learnt_from_its_test_rows_is_caught(material):
    """Leak: the test rows are among the training rows, so that everything that is fitted knows them."""

    def leaky(world):
        task = Task("fused", 0, 0, np.arange(N), TEST)
        study = Study(folder=Path(), training=settings())
        fitted = fit_frozen(task, material=world, study=study)
        return fitted, *calibrated(fitted, task=task, onlm=world.onlm, sensitivity=0.9)

    assert {"scaler and levels", "weights", "inner logits", "calibrator"} <= moved_by_test_rows(
        leaky, material=material
    )


# --- one person on both sides ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    from onlm_lab.cohort import load_cohort
    from onlm_lab.study import load_study
    from onlm_lab.virtual import write_trial

    folder = tmp_path_factory.mktemp("trial") / "study"
    write_trial(folder, n_patients=150, n_centres=3, seed=5, tables_only=True)
    return load_cohort(load_study(folder)).patients


@pytest.mark.parametrize("changed", [{}, {"centre": "Elsewhere"}, {"age_years": 1.0}])
def test_one_person_under_two_ids_stops_the_run_before_anything_is_dealt(cohort, changed):
    refuse_duplicates(cohort)
    again = cohort.iloc[[20]].assign(patient_id="Z-1")
    for name, value in changed.items():
        again[name] = again[name] + value if isinstance(value, float) else value
    with pytest.raises(DataError, match="looks like one person") as refused:
        refuse_duplicates(pd.concat([cohort, again], ignore_index=True))
    assert cohort["patient_id"].iloc[20] in str(refused.value) and "Z-1" in str(refused.value)


def test_a_split_with_a_patient_in_two_folds_is_refused(material):
    split = pd.DataFrame({"patient_id": material.ids, "repeat": 0, "fold": np.arange(N) % 4})
    both_sides = pd.concat([split, split.iloc[[0]].assign(fold=2)], ignore_index=True)
    instead = both_sides.drop(index=5)  # as many rows as patients: counting them would not do
    for wrong in (both_sides, instead):
        with pytest.raises(OnlmError, match=r"wanted one for each of the 60 labelled patients"):
            list_tasks(material.onlm, ids=material.ids, split=wrong, models=("clinical",))


def test_no_task_of_any_repeat_is_tested_on_a_patient_whom_it_learnt_from(material):
    rng = np.random.default_rng(0)
    split = pd.concat(
        pd.DataFrame({"patient_id": material.ids, "repeat": r, "fold": rng.permutation(np.arange(N) % 3)})
        for r in range(3)
    )
    for task in list_tasks(material.onlm, ids=material.ids, split=split, models=MODELS):
        assert not set(task.learn) & set(task.apply)
        assert len(np.unique(task.learn)) == len(task.learn)


# --- what is known only after treatment, and what holds the label --------------------------------------------------


def test_a_post_operative_column_is_refused_by_its_name(material):
    for name in ("pathological_n", "nodes_examined", "adjuvant", "recurred", "onlm"):
        with pytest.raises(OnlmError, match=f"{name} cannot predict"):
            check_predictors(material.patients.assign(**{name: 1.0}), predictors=("age_years", name))
    for name in ("stas", "pT", "lvi", "nodes_positive"):
        own = {name: ExtraColumn(type="number", timing="pre_treatment")}
        with pytest.raises(OnlmError, match="by its name a finding after treatment"):
            refuse_post_treatment([name], extra_columns=own)


def test_a_post_operative_column_is_refused_by_its_declared_timing(material):
    table = material.patients.assign(marker=1.0)
    with pytest.raises(OnlmError, match="marker cannot predict"):
        check_predictors(table, predictors=("marker",), post_treatment=("marker",))
    own = {"marker": ExtraColumn(type="number", timing="post_treatment")}
    with pytest.raises(OnlmError, match="'marker' is known only after treatment"):
        refuse_post_treatment(["marker"], extra_columns=own)


def test_histology_from_the_resection_is_refused(material):
    table = material.patients.assign(histology="squamous", histology_source=["biopsy"] * 50 + ["resection"] * 10)
    with pytest.raises(OnlmError, match=r"no biopsy in 10 of 60 patients"):
        check_predictors(table, predictors=("histology",))
    with pytest.raises(OnlmError, match=r"no biopsy in 10 of 60 patients"):
        refuse_post_treatment(["histology"], patients=table)


def test_a_label_in_an_innocent_column_gives_itself_away_by_its_auc(material):
    """Declared pre_treatment and called 'marker': no rule can refuse it, so the result must accuse it."""
    rng = np.random.default_rng(4)
    patients = material.patients.assign(marker=material.onlm * 4 + rng.normal(0, 0.5, N))
    study = Study(
        folder=Path(),
        training=replace(settings(), predictors=(*PREDICTORS, "marker"), epochs=60, patience=60),
        columns={"marker": ExtraColumn(type="number", timing="pre_treatment")},
    )
    refuse_post_treatment(study.training.predictors, extra_columns=study.columns)
    leaky = replace(material, patients=patients)
    task = Task("clinical", 0, 0, LEARN, TEST)
    logit = fit_frozen(task, material=leaky, study=study).apply_logit.mean(axis=0)
    area = auc(logit, material.onlm[TEST])
    assert area > 0.95
    said = suspicion(
        area, model_id="clinical", predictors=study.training.predictors, rows=patients.assign(onlm=material.onlm)
    )
    assert "look for a leak before believing it" in said
    assert "Start here" in said and "marker (its value: AUC 1.000)" in said and "age_years (" not in said
    honest = fit_frozen(task, material=material, study=replace(study, training=settings())).apply_logit.mean(axis=0)
    assert suspicion(auc(honest, material.onlm[TEST]), model_id="clinical") is None

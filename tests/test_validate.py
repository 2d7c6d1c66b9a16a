"""Nested cross-validation: no test row has a say in anything that is fitted; each leak is planted and seen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from onlm_lab.errors import OnlmError
from onlm_lab.learning import validate
from onlm_lab.learning.features import Projection
from onlm_lab.learning.validate import (
    FINAL,
    Material,
    Task,
    build_stack,
    calibrated,
    fit_frozen,
    inner_folds,
    list_tasks,
)
from onlm_lab.study import Study, Training

N = 60
LEARN, TEST = np.arange(0, 48), np.arange(48, N)
PREDICTORS = ("age_years", "cea_ng_ml")
STUDY = Study(folder=Path(), training=Training(predictors=PREDICTORS, epochs=6, patience=6, seeds_per_fold=5))
TASK = Task("fused", 0, 0, LEARN, TEST)


@pytest.fixture(scope="module")
def material():
    rng = np.random.default_rng(0)
    onlm = (np.arange(N) % 3 == 0).astype(float)
    patients = pd.DataFrame({
        "patient_id": [f"P{i:03d}" for i in range(N)],
        "age_years": 65 + 8 * rng.normal(size=N) - 6 * onlm,
        "cea_ng_ml": np.exp(rng.normal(size=N) + onlm),
    })  # fmt: skip
    features = rng.normal(size=(N, 3, 20)).astype(np.float32)
    features[:, :, 0] += 1.2 * onlm[:, None]
    return Material(patients=patients, onlm=onlm, features=torch.from_numpy(features))


@pytest.fixture(scope="module")
def fitted(material):
    return fit_frozen(TASK, material=material, study=STUDY)


def with_other_test_rows(material):
    """The same training rows; test rows from another world, labels turned round."""
    patients = material.patients.copy()
    patients.loc[TEST, ["age_years", "cea_ng_ml"]] = [300.0, 9e4]
    onlm, features = material.onlm.copy(), material.features.clone()
    onlm[TEST], features[TEST] = 1 - onlm[TEST], 50.0
    return Material(patients=patients, onlm=onlm, features=features)


def test_nothing_that_is_fitted_changes_with_the_test_rows(material, fitted):
    """Encoder, projection, heads, number of epochs, calibrator, threshold: all as before."""
    other = with_other_test_rows(material)
    again = fit_frozen(TASK, material=other, study=STUDY)
    assert again.encoders == fitted.encoders
    assert again.epoch == fitted.epoch
    for name, value in fitted.states.items():
        torch.testing.assert_close(again.states[name], value, rtol=0, atol=0)
    np.testing.assert_array_equal(again.inner_logit, fitted.inner_logit)
    before = calibrated(fitted, task=TASK, onlm=material.onlm, sensitivity=0.95)
    assert calibrated(again, task=TASK, onlm=other.onlm, sensitivity=0.95) == before
    assert not np.allclose(again.apply_logit, fitted.apply_logit), "the test rows themselves are other patients"


def test_a_planted_leak_would_be_seen(material, fitted):
    """If test rows were among the training rows, the same comparison would not come out equal."""
    leaky = replace(TASK, learn=np.arange(N))
    first = fit_frozen(leaky, material=material, study=STUDY)
    again = fit_frozen(leaky, material=with_other_test_rows(material), study=STUDY)
    assert first.encoders != again.encoders
    assert not torch.equal(first.states["projection.mean"], again.states["projection.mean"])


def test_inner_groups_are_encoded_by_their_own_rows(material):
    inner = inner_folds(material.onlm[LEARN], seed=1)
    stack, _ = build_stack(TASK, material=material, study=STUDY, inner=inner)
    assert not (stack.fits & stack.watches).any()
    assert (stack.fits | stack.watches).all()
    for g in range(len(stack.fits)):
        mean = stack.clinical[g][stack.fits[g]].mean(dim=0)
        torch.testing.assert_close(mean, torch.zeros(2), atol=1e-5, rtol=0)
    assert stack.fits[-1].sum() == len(LEARN), "the last group learns from all training rows"


def test_calibrator_and_threshold_come_from_rows_that_no_model_had_seen(material, fitted):
    """Resubstituted logits are further apart than inner out-of-fold ones: the calibrator must have seen the latter."""
    from onlm_lab.learning.calibrate import Platt, auc

    seen = replace(TASK, apply=LEARN)
    resubstituted = fit_frozen(seen, material=material, study=STUDY).apply_logit.mean(axis=0)
    truth = material.onlm[LEARN]
    assert auc(resubstituted, truth) > auc(fitted.inner_logit, truth)
    calibrator, threshold = calibrated(fitted, task=TASK, onlm=material.onlm, sensitivity=0.95)
    assert calibrator == Platt.fit(fitted.inner_logit, truth)
    risk = calibrator.apply(fitted.inner_logit)
    assert threshold in risk
    assert np.mean(risk[truth == 1] >= threshold) >= 0.95


def test_models_of_a_fold_differ_and_learn(material, fitted):
    from onlm_lab.learning.calibrate import auc

    assert fitted.apply_logit.shape == (5, len(TEST))
    assert (fitted.apply_logit.std(axis=0) > 0).all()
    assert auc(fitted.apply_logit.mean(axis=0), material.onlm[TEST]) > 0.85


def test_chance_moves_the_risk_much_less_than_the_models_differ(material, fitted):
    """Balanced draws: without them the two means lie 0.7 spreads apart here."""
    task = replace(TASK, model="clinical")
    one, two = (
        fit_frozen(task, material=material, study=replace(STUDY, study=replace(STUDY.study, seed=s))).apply_logit
        for s in (1, 2)
    )
    apart = np.abs(one.mean(axis=0) - two.mean(axis=0)).mean()
    spread = (one.std(axis=0, ddof=1).mean() + two.std(axis=0, ddof=1).mean()) / 2
    assert 0 < apart < 0.5 * spread


def test_shuffled_labels_teach_nothing(material):
    """Mean over shuffles of the out-of-fold AUC lies near one half."""
    from onlm_lab.learning.calibrate import auc

    found = []
    for k in range(8):
        onlm = np.random.default_rng(k).permutation(material.onlm)
        fitted = fit_frozen(TASK, material=replace(material, onlm=onlm), study=STUDY)
        found += [auc(fitted.apply_logit.mean(axis=0), onlm[TEST])]
    assert abs(np.mean(found) - 0.5) < 0.15


def test_the_same_task_gives_the_same_numbers_whatever_ran_before(material, fitted):
    torch.manual_seed(999)
    fit_frozen(replace(TASK, model="clinical"), material=material, study=STUDY)
    again = fit_frozen(TASK, material=material, study=STUDY)
    np.testing.assert_array_equal(again.apply_logit, fitted.apply_logit)
    np.testing.assert_array_equal(again.inner_logit, fitted.inner_logit)


def test_a_stranger_is_more_unlike_the_training_rows_than_one_of_them(material, fitted):
    far = fit_frozen(TASK, material=with_other_test_rows(material), study=STUDY)
    assert (far.ood == 1.0).all()
    assert 0.2 < fitted.ood.mean() < 0.8


def test_the_projection_keeps_what_principal_components_keep(material):
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler

    rows = material.features.flatten(0, 1).numpy()
    expected = PCA(n_components=5).fit_transform(StandardScaler().fit_transform(rows))
    ours = Projection.fit(material.features, n_components=5).apply(material.features).flatten(0, 1).numpy()
    correlation = [abs(np.corrcoef(expected[:, k], ours[:, k])[0, 1]) for k in range(5)]
    np.testing.assert_allclose(correlation, 1, atol=1e-5)


def test_tasks_test_every_labelled_patient_once_and_teach_no_unlabelled_one(material):
    onlm = material.onlm.copy()
    onlm[[3, 5]] = np.nan
    known = np.flatnonzero(~np.isnan(onlm))
    split = pd.DataFrame(
        {"patient_id": [material.ids[k] for k in known], "repeat": 0, "fold": np.arange(len(known)) % 4}
    )
    tasks = list_tasks(onlm, ids=material.ids, split=split, models=("clinical",))
    outer = [t for t in tasks if t.fold != FINAL]
    assert sorted(np.concatenate([t.apply for t in outer])) == known.tolist()
    for task in tasks:
        assert not set(task.learn) & set(task.apply)
        assert not {3, 5} & set(task.learn)
    assert tasks[-1].apply.tolist() == [3, 5]
    assert tasks[-1].learn.tolist() == known.tolist()


def test_a_split_that_forgets_or_doubles_a_patient_is_refused(material):
    split = pd.DataFrame({"patient_id": material.ids, "repeat": 0, "fold": np.arange(N) % 4})
    for wrong in (split.iloc[1:], pd.concat([split, split.iloc[:1]])):
        with pytest.raises(OnlmError, match=r"wanted one for each of the 60 labelled patients"):
            list_tasks(material.onlm, ids=material.ids, split=wrong, models=("clinical",))


def test_too_few_of_a_class_to_learn_from_is_refused(material):
    onlm = np.zeros(N)
    onlm[:2] = 1
    split = pd.DataFrame({"patient_id": material.ids, "repeat": 0, "fold": np.arange(N) % 2})
    with pytest.raises(OnlmError, match=r"hold 1 N\+ of 30 patients; wanted at least 2 of each class"):
        list_tasks(onlm, ids=material.ids, split=split, models=("clinical",))


def test_mahalanobis_is_scipy_s_when_nothing_is_shrunk(material):
    from scipy.spatial.distance import mahalanobis

    code = torch.from_numpy(np.random.default_rng(1).normal(size=(30, 4)))
    inverse = np.linalg.inv(np.cov(code.numpy().T))
    ours = validate.mahalanobis(code, fit=code, shrink=0.0)
    expected = [mahalanobis(row, code.mean(dim=0).numpy(), inverse) for row in code.numpy()]
    np.testing.assert_allclose(ours.numpy(), expected, rtol=1e-9)

"""Baselines beside the models: fitted inside the training rows, right against scikit-learn, honest about what lacks."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from onlm_lab.errors import OnlmError
from onlm_lab.learning import partial
from onlm_lab.learning.baselines import IMAGE_FACTS, facts_encoder, fit_baseline, see_rows, why_not
from onlm_lab.learning.calibrate import auc
from onlm_lab.learning.classical import (
    INVERSE_PENALTIES,
    Boosting,
    Ridge,
    balanced_weights,
    choose,
    held_out,
    log_loss,
)
from onlm_lab.learning.clinical import ClinicalEncoder
from onlm_lab.learning.model import Batch, OnlmModel
from onlm_lab.learning.validate import FINAL, Material, Task, calibrated
from onlm_lab.study import Score, Study, Training

N = 150
LEARN, TEST = np.arange(0, 110), np.arange(110, N)
PREDICTORS = ("age_years", "cea_ng_ml", "sex", "central_location")
SCORE = Score(source="made up", intercept=-1.0, coefficients={"log2(cea_ng_ml)": 0.8, "sex=female": -0.2})
STUDY = Study(
    folder=Path(), training=Training(predictors=PREDICTORS, seeds_per_fold=5), scores={"made_up_score": SCORE}
)
FEW = replace(STUDY, training=replace(STUDY.training, seeds_per_fold=2))  # quicker
NAMES = ("logistic", "boosting", "image_facts", "made_up_score")


def world(n=N, seed=0):
    """Patients whose N+ shows in CEA and in the solid part of the tumour; some cells are missing."""
    rng = np.random.default_rng(seed)
    onlm = (rng.random(n) < 0.3).astype(float)
    patients = pd.DataFrame({
        "patient_id": [f"P{i:04d}" for i in range(n)],
        "age_years": 65 + 8 * rng.normal(size=n),
        "cea_ng_ml": np.exp(rng.normal(size=n) + 1.3 * onlm),
        "sex": rng.choice(["female", "male"], n),
        "central_location": rng.integers(0, 2, n).astype(float),
    })  # fmt: skip
    for name in ("age_years", "cea_ng_ml", "sex"):
        patients.loc[rng.random(n) < 0.1, name] = None
    facts = pd.DataFrame({
        "patient_id": patients["patient_id"],
        "kernel": "STANDARD",
        "noise_hu": onlm * 100,  # of the scan: never asked, or it would be told at once
        "ct_volume_ml": np.exp(rng.normal(size=n)),
        "ct_ctr": np.clip(0.5 + 0.3 * onlm + 0.2 * rng.normal(size=n), 0, 1),
        "ct_mean_hu": -300 + 100 * rng.normal(size=n),
        "ct_mean_solid_hu": None,
    })  # fmt: skip
    facts.loc[rng.random(n) < 0.1, ["ct_volume_ml", "ct_ctr", "ct_mean_hu"]] = np.nan
    return Material(patients=patients, onlm=onlm, facts=facts)


@pytest.fixture(scope="module")
def material():
    return world()


@pytest.fixture(scope="module")
def fitted(material):
    return {name: fit_baseline(Task(name, 0, 0, LEARN, TEST), material=material, study=STUDY) for name in NAMES}


def with_other_test_rows(material):
    """The same training rows; test rows from another world, labels turned round."""
    patients, facts, onlm = material.patients.copy(), material.facts.copy(), material.onlm.copy()
    patients.loc[TEST, ["age_years", "cea_ng_ml"]] = [300.0, 9e4]
    facts.loc[TEST, ["ct_volume_ml", "ct_ctr"]] = [9e4, -7.0]
    onlm[TEST] = 1 - onlm[TEST]
    return Material(patients=patients, onlm=onlm, facts=facts)


def test_each_baseline_leaves_what_a_model_leaves(material, fitted):
    for name, found in fitted.items():
        n_models = 1 if name == "made_up_score" else 5
        assert found.inner_logit.shape == (len(LEARN),) and np.isfinite(found.inner_logit).all(), name
        assert found.apply_logit.shape == (n_models, len(TEST)) and np.isfinite(found.apply_logit).all(), name
        assert found.ood.shape == (len(TEST),) and ((found.ood >= 0) & (found.ood <= 1)).all(), name
        assert [row["seed"] for row in found.history] == list(range(n_models)), name
        assert set(found.history[0]) == set(partial.HISTORY) - {"model_id", "repeat", "fold", "seconds"}, name
        assert auc(found.apply_logit.mean(axis=0), material.onlm[TEST]) > 0.65, name
    for name in ("logistic", "boosting", "image_facts"):
        assert (fitted[name].apply_logit.std(axis=0) > 0).any(), "models differ by the patients' weights"


@pytest.mark.parametrize("name", NAMES)
def test_nothing_that_is_fitted_changes_with_the_test_rows(material, fitted, name):
    task, other = Task(name, 0, 0, LEARN, TEST), with_other_test_rows(material)
    before, again = fitted[name], fit_baseline(task, material=other, study=STUDY)
    assert again.encoders == before.encoders and again.epoch == before.epoch
    np.testing.assert_array_equal(again.inner_logit, before.inner_logit)
    for key, value in before.states.items():
        if not key.startswith("filled."):  # how many cells of the test rows were empty is counted there
            torch.testing.assert_close(again.states[key], value, rtol=0, atol=0)
    kept = [{k: v for k, v in row.items() if v == v} for row in again.history]
    assert kept == [{k: v for k, v in row.items() if v == v} for row in before.history]
    first = calibrated(before, task=task, onlm=material.onlm, sensitivity=0.95)
    assert calibrated(again, task=task, onlm=other.onlm, sensitivity=0.95) == first
    assert not np.allclose(again.apply_logit, before.apply_logit), "the test rows themselves are other patients"
    assert (again.ood > 0.95).all(), "and they are unlike the training rows"


@pytest.mark.parametrize("name", ["logistic", "boosting", "image_facts"])
def test_a_planted_leak_would_be_seen(material, name):
    """Were test rows among the training rows, the same comparison would not come out equal."""
    leaky = Task(name, 0, 0, np.arange(N), TEST)
    first = fit_baseline(leaky, material=material, study=FEW)
    again = fit_baseline(leaky, material=with_other_test_rows(material), study=FEW)
    assert first.encoders != again.encoders
    assert not np.array_equal(first.inner_logit, again.inner_logit)


def test_inner_logits_come_from_models_that_had_not_seen_the_row(material):
    """A row's own label moves the logits of the other folds' rows, never those of its own fold."""
    from onlm_lab.learning.validate import inner_folds

    onlm, rng = material.onlm[LEARN], np.random.default_rng(1)
    inner = inner_folds(onlm, seed=3)
    design, fits = rng.normal(size=(6, len(LEARN), 4)), inner[None] != np.arange(6)[:, None]
    weight = balanced_weights(2, len(LEARN), seed=1)
    for learn, settings in ((Ridge.fit, (1.0,)), (Boosting.fit, (5,))):
        flipped = np.where(inner == 0, 1 - onlm, onlm)
        one = held_out(learn, design, fits=fits, onlm=onlm, weight=weight, settings=settings)
        two = held_out(learn, design, fits=fits, onlm=flipped, weight=weight, settings=settings)
        assert np.isfinite(one).all()
        np.testing.assert_array_equal(one[..., inner == 0], two[..., inner == 0])
        assert not np.array_equal(one[..., inner != 0], two[..., inner != 0])


def test_inner_folds_are_encoded_by_the_rows_that_they_learn_from(material):
    learn = material.patients.iloc[LEARN]
    whole = ClinicalEncoder.fit(learn, predictors=PREDICTORS)
    seen = see_rows(learn, apply=learn, whole=whole, inner=np.arange(len(LEARN)) % 5)
    assert seen.values.shape == (6, len(LEARN), len(whole.inputs))
    assert seen.fits[-1].all() and (~seen.fits).sum(axis=0).tolist() == [1] * len(LEARN), "each row is held out once"
    for values, missing, fits in zip(seen.values, seen.missing, seen.fits, strict=True):
        known = np.where(missing == 1, np.nan, values)[fits]
        np.testing.assert_allclose(np.nanmean(known, axis=0), 0, atol=1e-6)
    np.testing.assert_array_equal(seen.values[-1], seen.other_values)


def test_calibrator_and_threshold_come_from_rows_that_no_model_had_seen(material, fitted):
    seen = fit_baseline(Task("boosting", 0, 0, LEARN, LEARN), material=material, study=STUDY)
    resubstituted = auc(seen.apply_logit.mean(axis=0), material.onlm[LEARN])
    assert resubstituted > auc(fitted["boosting"].inner_logit, material.onlm[LEARN]) + 0.02


def test_logistic_is_scikit_learn_s_ridge_at_the_penalty_chosen(material, fitted):
    """By hand: encoder of the training rows, the balanced weights, one lbfgs fit a model."""
    found = fitted["logistic"]
    encoder = ClinicalEncoder.fit(material.patients.iloc[LEARN], predictors=PREDICTORS)
    design = {k: np.hstack(encoder.transform(material.patients.iloc[rows])) for k, rows in (("l", LEARN), ("t", TEST))}
    task = Task("logistic", 0, 0, LEARN, TEST)
    c = float(found.states["inverse_penalty"])
    for s, weight in enumerate(balanced_weights(5, len(LEARN), seed=task.seed(STUDY.seed))):
        model = LogisticRegression(C=c, solver="newton-cholesky", tol=1e-10)
        model.fit(design["l"].astype(float), material.onlm[LEARN], sample_weight=weight)
        np.testing.assert_allclose(found.apply_logit[s], model.decision_function(design["t"]), atol=2e-4)
        np.testing.assert_allclose(found.states["clinical_linear.weight"][s].numpy(), model.coef_, atol=2e-4)


def test_the_penalty_is_the_one_that_cross_validation_of_scikit_learn_prefers(material):
    """One model that weighs all alike, on fixed folds."""
    from sklearn.model_selection import PredefinedSplit, cross_val_score

    rng = np.random.default_rng(2)
    onlm, chosen = material.onlm[LEARN], []
    inner = np.arange(len(LEARN)) % 5  # folds of one size: the mean over folds is the mean over rows
    for strength in (0.0, 0.4, 3.0):
        design = rng.normal(size=(len(LEARN), 12))
        design[:, 0] += strength * onlm
        out = held_out(
            Ridge.fit, np.stack([design] * 6), fits=inner[None] != np.arange(6)[:, None], onlm=onlm,
            weight=np.ones((1, len(LEARN))), settings=INVERSE_PENALTIES,
        )  # fmt: skip
        peer = [
            cross_val_score(
                LogisticRegression(C=c, tol=1e-8), design, onlm, cv=PredefinedSplit(inner), scoring="neg_log_loss"
            ).mean()
            for c in INVERSE_PENALTIES
        ]
        np.testing.assert_allclose(-log_loss(out.mean(axis=1), onlm), peer, atol=1e-5)
        chosen.append(INVERSE_PENALTIES[choose(out, onlm=onlm)])
        assert chosen[-1] == INVERSE_PENALTIES[int(np.argmax(peer))]
    assert chosen == sorted(chosen) and chosen[0] < chosen[-1], "the more the data say, the weaker the penalty"


def test_the_states_of_logistic_are_those_of_a_model_without_meeting_network(material, fitted):
    found = fitted["logistic"]
    values, missing = found.encoders[0].transform(material.patients.iloc[TEST])
    model = OnlmModel(n_clinical=values.shape[1], n_features=0, width=0).double().eval()
    for s in range(5):
        model.load_state_dict({name: found.states[name][s] for name in model.state_dict()})
        given = Batch(None, torch.from_numpy(values).double(), torch.from_numpy(missing).double(), torch.zeros(1), ())
        np.testing.assert_allclose(model(given).detach().numpy(), found.apply_logit[s], atol=1e-9)


def test_a_higher_cea_and_a_more_solid_tumour_raise_the_risk(material):
    """As the data say: in the risk of one patient whose value alone is moved."""
    patients, facts = material.patients.copy(), material.facts.copy()
    patients.loc[TEST, PREDICTORS] = patients.loc[0, list(PREDICTORS)].to_numpy()
    patients.loc[TEST, "cea_ng_ml"] = np.geomspace(0.5, 30, len(TEST))
    facts.loc[TEST, ["ct_volume_ml", "ct_mean_hu"]] = [1.0, -300.0]
    facts.loc[TEST, "ct_ctr"] = np.linspace(0, 1, len(TEST))
    moved = replace(material, patients=patients, facts=facts)
    for name in NAMES:
        rise = fit_baseline(Task(name, 0, 0, LEARN, TEST), material=moved, study=FEW).apply_logit.mean(axis=0)
        assert rise[-1] - rise[0] > 0.5, name
        if name != "boosting":
            assert (np.diff(rise) > 0).all(), name


def test_shuffled_labels_teach_nothing(material):
    for name in ("logistic", "boosting", "image_facts"):
        found = []
        for k in range(4):
            onlm = np.random.default_rng(k).permutation(material.onlm)
            task = Task(name, 0, 0, LEARN, TEST)
            fitted = fit_baseline(task, material=replace(material, onlm=onlm), study=FEW)
            found.append(auc(fitted.apply_logit.mean(axis=0), onlm[TEST]))
        assert abs(np.mean(found) - 0.5) < 0.17, name


def test_the_same_task_gives_the_same_numbers_on_any_number_of_threads(material, fitted):
    from threadpoolctl import threadpool_limits

    np.random.seed(999)  # noqa: NPY002 - the state of the global generator must not matter
    torch.manual_seed(999)
    for name in NAMES:
        with threadpool_limits(limits=2):
            again = fit_baseline(Task(name, 0, 0, LEARN, TEST), material=material, study=STUDY)
        np.testing.assert_array_equal(again.apply_logit, fitted[name].apply_logit)
        np.testing.assert_array_equal(again.inner_logit, fitted[name].inner_logit)


def test_image_facts_are_of_the_tumour_and_not_of_the_scanner(material, fitted):
    encoder = fitted["image_facts"].encoders[0]
    assert encoder.names == ["ct_volume_ml", "ct_ctr", "ct_mean_hu"], "of the four known ones, one was never measured"
    scan = ("kernel", "noise", "thickness", "kvp", "manufacturer", "days", "ma", "tilt", "voxels", "quality")
    assert not [name for name in IMAGE_FACTS for word in scan if word in name.split("_")]
    assert not set(IMAGE_FACTS) & set(material.patients)
    volume = encoder.inputs[0]
    known = material.facts["ct_volume_ml"].iloc[LEARN].dropna()
    assert volume.mean == pytest.approx(np.log2(known + 0.1).mean())
    values, missing = encoder.transform(material.facts)
    unknown = material.facts["ct_ctr"].isna()
    np.testing.assert_array_equal(missing[:, 1], unknown)
    assert (values[unknown, 1] == 0).all()


def test_every_image_fact_is_one_that_the_cache_holds():
    """The names of the measured facts, as preparation writes them."""
    from onlm_lab.imaging import TumourFacts, TumourLocation

    held = {f"ct_{name}" for kind in (TumourFacts, TumourLocation) for name in kind.__dataclass_fields__}
    assert set(IMAGE_FACTS) <= held


def test_trees_know_missing_from_known_and_survive_a_column_that_is_never_known():
    rng = np.random.default_rng(3)
    design = np.column_stack([rng.normal(size=200), np.full(200, np.nan), np.full(200, 2.0)])
    hidden = rng.random(200) < 0.4
    design[hidden, 0] = np.nan
    found = Boosting.fit(design, hidden.astype(float), np.ones(200), settings=(5, 20))
    logits = found.logits(design)
    assert logits.shape == (2, 200)
    assert auc(logits[1], hidden) == 1.0, "that a value is missing is a fact of its own"
    assert log_loss(logits[1], hidden.astype(float)) < log_loss(logits[0], hidden.astype(float))
    strange = found.logits(np.array([[0.0, 5.0, np.nan], [np.nan, np.nan, 7.0]]))
    assert np.isfinite(strange).all() and strange[1, 1] > strange[1, 0]


def test_a_rare_level_and_a_common_highest_value_keep_a_level_of_their_own():
    """Quantiles of the rows would lose both."""
    rare = np.r_[np.zeros(2), np.ones(198)]
    heaped = np.r_[np.linspace(0, 0.99, 80), np.ones(120)]
    found = Boosting.fit(
        np.column_stack([rare, heaped]), np.r_[np.ones(80), np.zeros(120)], np.ones(200), settings=(1,)
    )
    levels = found.levels(np.array([[0.0, 0.9], [1.0, 1.0]]))
    assert (np.diff(levels, axis=0) > 0).all()


def test_earlier_numbers_of_trees_are_what_fewer_trees_say(material):
    rng = np.random.default_rng(4)
    design, onlm, weight = rng.normal(size=(110, 3)), material.onlm[LEARN], rng.exponential(size=110)
    many = Boosting.fit(design, onlm, weight, settings=(5, 20)).logits(design)
    few = Boosting.fit(design, onlm, weight, settings=(5,)).logits(design)
    np.testing.assert_allclose(many[0], few[0], rtol=1e-12)
    assert not np.allclose(many[1], few[0])


def test_weights_of_patients_are_balanced_and_one_model_weighs_all_alike():
    drawn = balanced_weights(5, 40, seed=7)
    np.testing.assert_allclose(drawn.mean(axis=0), 1)
    assert drawn.std() > 0.4
    np.testing.assert_array_equal(balanced_weights(1, 40, seed=7), np.ones((1, 40)))


def test_a_published_score_is_one_model_and_counts_what_it_filled(material, fitted):
    found = fitted["made_up_score"]
    n_filled = [int(material.patients["cea_ng_ml"].iloc[rows].isna().sum()) for rows in (LEARN, TEST)]
    assert found.states["filled.cea_ng_ml"].tolist() == n_filled and min(n_filled) > 0
    assert found.states["coefficients"].tolist() == [[0.8, -0.2]]
    known = material.patients.iloc[TEST].dropna()
    expected = -1 + 0.8 * np.log2(known["cea_ng_ml"]) - 0.2 * (known["sex"] == "female")
    np.testing.assert_allclose(found.apply_logit[0, np.isin(TEST, known.index)], expected)


def test_a_final_model_without_anybody_to_judge_is_fitted_all_the_same(material):
    for name in NAMES:
        task = Task(name, 0, FINAL, np.arange(N), np.arange(0))
        assert fit_baseline(task, material=material, study=FEW).apply_logit.shape[1] == 0


def test_another_cohort_is_judged_by_the_same_models(material, fitted):
    """Nobody of that cohort has a say, and a column that it lacks is named."""
    others = world(30, seed=8)
    both = Material(
        patients=pd.concat([material.patients, others.patients], ignore_index=True),
        onlm=np.r_[material.onlm, others.onlm],
        facts=pd.concat([material.facts, others.facts], ignore_index=True),
    )
    for name in NAMES:
        task = Task(name, 0, 0, LEARN, TEST)
        found = fit_baseline(task, material=material, study=STUDY, others=others)
        beside = fit_baseline(replace(task, apply=np.arange(N, N + 30)), material=both, study=STUDY)
        np.testing.assert_array_equal(found.apply_logit, beside.apply_logit)
        np.testing.assert_array_equal(found.ood, beside.ood)
        np.testing.assert_array_equal(found.inner_logit, fitted[name].inner_logit)
    bare = Material(patients=others.patients.drop(columns="sex"), onlm=others.onlm)
    for name, words in (("boosting", "needs the column sex"), ("made_up_score", "needs the column sex"),
                        ("image_facts", "the other cohort has no images")):  # fmt: skip
        with pytest.raises(OnlmError, match=words):
            fit_baseline(Task(name, 0, 0, LEARN, TEST), material=material, study=FEW, others=bare)


def test_two_patients_of_a_class_are_enough(material):
    onlm = np.zeros(N)
    onlm[:2] = 1
    for name in NAMES:
        task = Task(name, 0, 0, np.arange(30), TEST)
        found = fit_baseline(task, material=replace(material, onlm=onlm), study=FEW)
        assert np.isfinite(found.inner_logit).all(), name


def test_a_finished_baseline_is_kept_and_read_again(material, fitted, tmp_path):
    store = partial.Partial.open(tmp_path / "partial", inputs="x")
    for name, found in fitted.items():
        task = Task(name, 0, 0, LEARN, TEST)
        store.save(task, found)
        again = store.load(task)
        np.testing.assert_array_equal(again.apply_logit, found.apply_logit)
        assert again.encoders == found.encoders and set(again.states) == set(found.states)


def test_what_lacks_is_said_in_a_sentence(material):
    def reason(name, *, study=STUDY, **changes):
        return why_not(name, material=replace(material, **changes), study=study)

    assert not any(reason(name) for name in NAMES)
    assert "this study has no images" in reason("image_facts", facts=None)
    assert "of 150 patients nothing is known" in reason("image_facts", facts=material.facts[["patient_id", "noise_hu"]])
    bare = replace(STUDY, training=replace(STUDY.training, models=("image",), predictors=()))
    assert "[training] predictors is empty" in reason("logistic", study=bare)
    with pytest.raises(
        OnlmError, match=r"'logistics' is no baseline and no published score; did you mean 'logistic'\?"
    ):
        fit_baseline(Task("logistics", 0, 0, LEARN, TEST), material=material, study=STUDY)
    with pytest.raises(OnlmError, match=r"None of the 16 image facts varies in the 1 training rows"):
        facts_encoder(material.facts.iloc[:1])


def test_six_hundred_patients_take_seconds():
    """Five models, five inner folds, one thread; the work of this process, so that a busy machine counts less."""
    large, learn = world(700, seed=5), np.arange(600)
    for name in ("logistic", "boosting", "image_facts"):
        started = time.process_time()
        fit_baseline(Task(name, 0, 0, learn, np.arange(600, 700)), material=large, study=STUDY)
        assert time.process_time() - started < 12, name

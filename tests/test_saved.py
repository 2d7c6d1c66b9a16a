"""The final models of a run, opened again: the very risks that the run wrote, and each message."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from made_trained import FINETUNE, train_tiny

from onlm_lab import patches
from onlm_lab.errors import OnlmError
from onlm_lab.learning.saved import open_backbone, open_saved, saved_models
from onlm_lab.runs import Run


@pytest.fixture(scope="module")
def focal_run(tmp_path_factory, tiny_cache):
    sections = FINETUNE | {"training": FINETUNE["training"] | {"loss": "focal"}}
    return train_tiny(tmp_path_factory.mktemp("focal") / "runs" / "run-o", sections=sections, cache=tiny_cache)


def unlabelled(run, tiny_cache):
    patients = run.patients.query("role == 'unlabelled'").reset_index(drop=True)
    return patients, patches.open_cache(tiny_cache).array(patients["patient_id"].tolist()).astype(np.float32)


@pytest.mark.parametrize(
    ("mode", "model"),
    [
        ("frozen", "clinical"),
        ("frozen", "image"),
        ("frozen", "fused"),
        ("frozen", "logistic"),
        ("finetuned", "fused"),
        ("focal", "fused"),
    ],
)
def test_an_opened_model_gives_the_risks_that_the_run_wrote_for_its_unlabelled_patients(
    mode, model, request, tiny_cache
):
    run = request.getfixturevalue(f"{mode}_run")
    patients, hu = unlabelled(run, tiny_cache)
    saved = open_saved(run, model)
    logit = saved.logits(hu if saved.sees_ct else None, patients)
    risk = saved.calibrator.apply(logit.mean(axis=0))
    written = run.predictions.query("split == 'unlabelled' and model_id == @model").set_index("patient_id")
    written = written.loc[patients["patient_id"]]
    np.testing.assert_allclose(risk, written["risk"], rtol=0, atol=1e-6)
    assert set(written["threshold"]) == {saved.threshold}
    spread = np.percentile(saved.calibrator.apply(logit), [5, 95], axis=0)
    np.testing.assert_allclose(np.minimum(spread[0], risk), written["risk_low"], atol=1e-6)
    assert np.ptp(logit.mean(axis=0)) > 1e-3, "patients differ"


@pytest.mark.parametrize("mode", ["frozen", "finetuned"])
def test_each_network_says_from_planes_what_logits_says_and_lets_gradients_pass(mode, request, tiny_cache):
    run = request.getfixturevalue(f"{mode}_run")
    patients, hu = unlabelled(run, tiny_cache)
    saved = open_saved(run, "fused")
    logit = saved.logits(hu, patients)
    for seed in (0, len(saved.networks) - 1):
        batch = saved.batch(torch.from_numpy(hu), patients, seed=seed)
        planes = batch.image.clone().requires_grad_()
        found = saved.networks[seed](batch._replace(image=planes))
        np.testing.assert_allclose(found.detach().numpy(), logit[seed], atol=1e-5)
        found.sum().backward()
        assert float(planes.grad.abs().sum()) > 0
    weights = saved.networks[0].attention(batch)
    assert torch.allclose(weights.sum(dim=1), torch.ones(len(patients)))
    assert len(saved.networks) == 5 and not saved.networks[0].training


def test_a_patient_without_ct_is_the_same_whether_one_or_all_have_none(frozen_run, tiny_cache):
    patients, hu = unlabelled(frozen_run, tiny_cache)
    saved = open_saved(frozen_run, "fused")
    some = hu.copy()
    some[2] = np.nan
    one, nobody, whole = saved.logits(some, patients), saved.logits(None, patients), saved.logits(hu, patients)
    assert np.isfinite(nobody).all()
    np.testing.assert_allclose(one[:, 2], nobody[:, 2], atol=1e-6)
    kept = np.arange(len(patients)) != 2
    np.testing.assert_allclose(one[:, kept], whole[:, kept], atol=1e-6)
    assert np.abs(one[:, 2] - whole[:, 2]).max() > 1e-4


def test_the_models_of_a_run_are_listed_and_share_a_backbone(frozen_run):
    assert saved_models(frozen_run) == ["clinical", "image", "fused", "logistic"]
    backbone = open_backbone(frozen_run)
    image = open_saved(frozen_run, "image", backbone=backbone)
    assert len({id(network.extractor) for network in image.networks}) == 1
    assert image.networks[0].extractor.module is backbone.module
    assert open_saved(frozen_run, "clinical").columns == ["age_years", "sex", "cea_ng_ml"]


def copied(run, tmp_path):
    folder = tmp_path / "runs" / run.id
    shutil.copytree(run.folder, folder)
    return Run(folder)


def test_other_weights_of_the_backbone_are_refused(frozen_run, tmp_path):
    run = copied(frozen_run, tmp_path)
    text = (run.folder / "study.toml").read_text().replace("seed = 3", "seed = 4")  # draws other random weights
    (run.folder / "study.toml").write_text(text)
    with pytest.raises(OnlmError, match=r"trained with weights of 'test_resnet' whose SHA-256 begins \w{12}; those of"):
        open_saved(run, "image")
    assert open_saved(run, "clinical").threshold > 0, "a model that sees no image does not need it"


def test_what_is_missing_damaged_or_does_not_fit_is_said(frozen_run, tmp_path):
    with pytest.raises(OnlmError, match="has no final model 'boosted'; it has clinical, image, fused, logistic"):
        open_saved(frozen_run, "boosted")
    run = copied(frozen_run, tmp_path)
    text = (run.folder / "study.toml").read_text()
    (run.folder / "study.toml").write_text(text.replace("width = 4", "width = 5"))
    with pytest.raises(OnlmError, match=r"does not fit the model 'fused' that its study.toml describes"):
        open_saved(run, "fused")
    (run.folder / "study.toml").write_text(text)
    (run.folder / "weights.safetensors").write_bytes(b"not a file of tensors")
    with pytest.raises(OnlmError, match=r"weights.safetensors is damaged"):
        open_saved(run, "clinical")
    (run.folder / "weights.safetensors").unlink()
    with pytest.raises(OnlmError, match=r"has no weights.safetensors: its training is not finished"):
        open_saved(run, "clinical")
    (run.folder / "calibration.json").write_text(json.dumps([1]))
    with pytest.raises(OnlmError, match=r"calibration.json is damaged"):
        open_saved(run, "clinical")
    (run.folder / "calibration.json").unlink()
    with pytest.raises(OnlmError, match=r"has no calibration.json"):
        open_saved(run, "clinical")

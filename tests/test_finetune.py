"""One network through its training: what rests, what is kept, what is resumed, and what stops it with a sentence."""

from __future__ import annotations

import math
import os
import resource
from dataclasses import replace
from functools import partial

import made_networks
import numpy as np
import pandas as pd
import pytest
import torch
from made_networks import LEARN, PX, QUICK, WATCH, N, make_model, make_rows
from torch import nn

from onlm_lab.errors import OnlmError
from onlm_lab.learning import finetune
from onlm_lab.learning.checkpoint import load_checkpoint, save_checkpoint
from onlm_lab.learning.fabric import gather, make_fabric, share, sound_kernels
from onlm_lab.learning.feeding import Moves, Rows, ahead, deal
from onlm_lab.learning.learner import Learner
from onlm_lab.learning.losses import Loss
from onlm_lab.learning.model import OnlmModel
from onlm_lab.learning.networks import fit_finetuned
from onlm_lab.learning.partial import Partial
from onlm_lab.learning.prior_shift import undo_loss
from onlm_lab.learning.validate import Material, Task
from onlm_lab.learning.weights import load_backbone
from onlm_lab.study import Model, Patch, Study

CPU = make_fabric(accelerator="cpu", precision="32")
fit = partial(made_networks.fit, fabric=CPU)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    return fit(tmp_path_factory.mktemp("net"))


def same(one, two):
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def backbone_moved(network, model):
    """Names of the backbone's tensors (weights and statistics) that are no longer what they were."""
    return {
        name
        for name, value in model.state_dict(prefix="").items()
        if name.startswith("backbone.") and not torch.equal(network.state[name], value)
    }


def test_the_backbone_rests_with_its_statistics_and_then_learns(tmp_path):
    short = replace(QUICK, epochs=1, ema_decay=0.0)
    resting = fit(tmp_path / "a", training=short)
    assert not backbone_moved(resting, make_model())
    assert not torch.equal(resting.state["clinical_linear.weight"], make_model().state_dict()["clinical_linear.weight"])
    moved = backbone_moved(fit(tmp_path / "b", training=replace(short, freeze_epochs=0)), make_model())
    assert any("running_mean" in name for name in moved) and any(name.endswith("conv1.0.weight") for name in moved)


def test_what_is_kept_is_the_running_mean_and_it_does_not_steer_the_training(tmp_path, uninterrupted):
    plain = fit(tmp_path, training=replace(QUICK, ema_decay=0.0))
    losses = [[row["train_loss"] for row in network.history] for network in (uninterrupted, plain)]
    assert losses[0] == losses[1]
    assert not torch.allclose(uninterrupted.state["clinical_linear.weight"], plain.state["clinical_linear.weight"])


def test_the_running_mean_forgets_slowly_and_at_first_quickly():
    learner = Learner.begin(make_model(), training=replace(QUICK, ema_decay=0.5), fabric=CPU)
    expected = None
    for step in range(12):
        with torch.no_grad():
            learner.model.bias.fill_(float(step))
        learner.mean.update_parameters(learner.model)
        keep = min(0.5, (1 + step) / (10 + step))
        expected = float(step) if expected is None else keep * expected + (1 - keep) * step
    assert float(learner.judged.bias.detach()) == pytest.approx(expected)


def test_statistics_of_batch_norm_are_averaged_like_weights():
    model = OnlmModel(n_clinical=1, n_features=1, backbone=nn.BatchNorm1d(1), width=2)
    learner = Learner.begin(model, training=replace(QUICK, ema_decay=0.9), fabric=CPU)
    for value in (0.0, 1.0):
        learner.model.backbone.running_mean.fill_(value)
        learner.mean.update_parameters(learner.model)
    assert float(learner.judged.backbone.running_mean) == pytest.approx(1 - 2 / 11)


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet_ln"])
def test_stopped_after_any_epoch_it_goes_on_to_the_same_weights(name, tmp_path):
    """With dropout and hidden cells, a backbone that wakes up after the stop, batch norm and layer norm."""

    def model():
        return make_model(name, dropout=0.3, modality_dropout=0.2)

    whole = fit(tmp_path / "whole", model=model())
    seen = []

    def stop(row):
        seen.append(row["epoch"])
        if len(seen) in (1, 3):  # after epoch 0, and, that one reported again, after epoch 1
            raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            fit(tmp_path / "cut", model=model(), report=stop)
    again = fit(tmp_path / "cut", model=model(), report=lambda row: seen.append(row["epoch"]))
    assert seen == [0, 0, 1, 0, 1, 2, 3]
    assert same(again.state, whole.state) and torch.equal(again.logit, whole.logit)
    for first, second in zip(again.history, whole.history, strict=True):
        assert {**first, "seconds": 0} == {**second, "seconds": 0}


def test_stopped_in_the_middle_of_an_epoch_it_begins_that_epoch_again(tmp_path, uninterrupted, monkeypatch):
    calls, batch = [], Rows.batch

    def stop(self, rows, **others):
        calls.append(1)
        if len(calls) == 7:
            raise KeyboardInterrupt
        return batch(self, rows, **others)

    monkeypatch.setattr(Rows, "batch", stop)
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path)
    monkeypatch.setattr(Rows, "batch", batch)
    assert load_checkpoint(tmp_path / "net.ckpt", fabric=CPU)["history"]
    assert same(fit(tmp_path).state, uninterrupted.state)


def test_a_finished_network_is_read_and_not_trained_again(tmp_path, uninterrupted, monkeypatch):
    fit(tmp_path)
    monkeypatch.setattr(finetune, "train_epoch", lambda *args, **kwargs: pytest.fail("trained again"))
    assert torch.equal(fit(tmp_path).logit, uninterrupted.logit)


def test_after_a_loss_that_is_no_number_the_epochs_before_are_kept(tmp_path, uninterrupted, monkeypatch):
    each, calls = Loss.of_each, []

    def spoilt(self, logit, onlm):
        calls.append(1)
        return each(self, logit, onlm) * (math.nan if len(calls) > 7 else 1.0)

    monkeypatch.setattr(Loss, "of_each", spoilt)
    with pytest.raises(OnlmError, match=r"not a number in epoch 1\. Lower \[training\] learning_rate .* start the run"):
        fit(tmp_path)
    monkeypatch.setattr(Loss, "of_each", each)
    kept = load_checkpoint(tmp_path / "net.ckpt", fabric=CPU)
    assert [row["epoch"] for row in kept["history"]] == [0]
    assert all(value.isfinite().all() for value in kept["net"].values())
    assert same(fit(tmp_path).state, uninterrupted.state)


def test_a_lower_learning_rate_after_such_a_loss_begins_anew(tmp_path, uninterrupted):
    """Other settings are other inputs: the folder of what is finished forgets the checkpoint."""
    wild = Partial.open(tmp_path / "partial", inputs="learning_rate = 1e25")
    with pytest.raises(OnlmError, match="not a number in epoch"):
        fit(wild.folder, training=replace(QUICK, learning_rate=1e25))
    calm = Partial.open(tmp_path / "partial", inputs="learning_rate = 0.01")
    assert not (calm.folder / "net.ckpt").exists()
    assert same(fit(calm.folder).state, uninterrupted.state)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full, the disk that is always full")
def test_a_full_disk_is_a_sentence_and_the_run_goes_on_once_there_is_room(tmp_path, uninterrupted):
    def fill(row):
        if row["epoch"] == 1:
            (tmp_path / "net.ckpt.half").symlink_to("/dev/full")

    with pytest.raises(OnlmError, match=r"'net.ckpt' could not be written: no space is left on the disk. Make room"):
        fit(tmp_path, report=fill)
    assert [path.name for path in tmp_path.iterdir()] == ["net.ckpt"], "the half file is gone"
    assert len(load_checkpoint(tmp_path / "net.ckpt", fabric=CPU)["history"]) == 2
    assert same(fit(tmp_path).state, uninterrupted.state)


def test_a_file_that_stops_in_the_middle_leaves_the_one_before(tmp_path):
    """A limit of the system on file sizes, a quota's kin: the first bytes are written, the others are not."""
    save_checkpoint(tmp_path / "a.ckpt", {"epoch": 1}, fabric=CPU)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(OnlmError, match="no space is left"):
            save_checkpoint(tmp_path / "a.ckpt", {"epoch": 2, "net": torch.zeros(100_000)}, fabric=CPU)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert load_checkpoint(tmp_path / "a.ckpt", fabric=CPU) == {"epoch": 1}
    assert len(list(tmp_path.iterdir())) == 1


def test_a_damaged_checkpoint_names_the_file_to_delete(tmp_path):
    save_checkpoint(tmp_path / "whole", {"net": torch.zeros(1000)}, fabric=CPU)
    for damaged in (b"", b"PK\x03\x04 half an archive", (tmp_path / "whole").read_bytes()[:2000]):
        (tmp_path / "net.ckpt").write_bytes(damaged)
        with pytest.raises(
            OnlmError, match=rf"'{tmp_path.name}/net.ckpt' of the run is damaged .* Delete it and start"
        ):
            fit(tmp_path)


def test_each_loss_is_what_its_formula_says():
    logit, onlm = torch.tensor([-1.3, 0.2, 2.0, -4.0]), torch.tensor([1.0, 0.0, 1.0, 0.0])
    risk = torch.sigmoid(logit.double())
    truth = torch.where(onlm == 1, risk, 1 - risk)  # the risk given to what was true
    plain = -truth.log()
    expected = {
        "plain": plain,
        "weighted": torch.where(onlm == 1, 3.0, 1.0) * plain,
        "focal": (1 - truth) ** 1.5 * plain,
    }
    for kind, wanted in expected.items():
        found = Loss(kind=kind, positive_weight=3.0 if kind == "weighted" else 1.0, gamma=1.5).of_each(logit, onlm)
        torch.testing.assert_close(found.double(), wanted, rtol=1e-5, atol=1e-7)
    unfocused = Loss(kind="focal", gamma=0.0).of_each(logit, onlm)
    torch.testing.assert_close(unfocused, plain.float(), rtol=1e-5, atol=1e-7)


def test_a_loss_is_computed_in_single_precision_and_does_not_overflow():
    for kind in ("plain", "weighted", "focal"):
        logit = torch.tensor([-300.0, 300.0], dtype=torch.bfloat16, requires_grad=True)
        found = Loss(kind=kind, positive_weight=2.0).of_each(logit, torch.tensor([1.0, 1.0]))
        assert found.dtype == torch.float32 and found.isfinite().all()
        found.sum().backward()
        assert logit.grad.isfinite().all()


def test_the_weight_of_a_positive_patient_comes_from_the_training_rows():
    onlm = torch.tensor([1.0, 0.0, 0.0, 0.0, 0.0])
    assert Loss.of(onlm, kind="weighted", gamma=2.0) == Loss("weighted", 4.0, 2.0)
    assert Loss.of(onlm, kind="plain", gamma=2.0).positive_weight == 1.0


def test_a_network_that_learnt_nothing_gives_the_prevalence_whatever_the_classes_counted(tmp_path):
    still = replace(QUICK, epochs=1, learning_rate=1e-12, backbone_learning_rate=0.0)
    odds = math.log(LEARN[::3].size / (LEARN.size - LEARN[::3].size))
    for kind in ("plain", "weighted"):
        found = fit(tmp_path / kind, training=replace(still, loss=kind))
        np.testing.assert_allclose(found.logit.numpy(), odds, atol=1e-5)
        assert float(found.state["bias"]) == pytest.approx(odds, abs=1e-5), "opened again, it says the same"


def test_weighing_and_focusing_change_what_is_learnt(tmp_path, uninterrupted):
    for kind in ("weighted", "focal"):
        found = fit(tmp_path / kind, training=replace(QUICK, loss=kind, epochs=2))
        assert not torch.allclose(found.logit, uninterrupted.logit)


def test_a_task_says_log_odds_after_a_focal_loss_and_builds_what_the_study_names(tmp_path):
    """Networks that learnt nothing: all that the focal loss would have done to the prevalence is taken back."""
    model = Model(
        backbone="test_resnet", weights="none", mode="finetune", image_px=PX, field_mm=16.0, gap_mm=1.0, width=4,
        fusion="film", modality_dropout=0.3,
    )  # fmt: skip
    training = replace(
        QUICK, predictors=("age_years", "smoking"), loss="focal", epochs=1, learning_rate=1e-12,
        backbone_learning_rate=0.0, seeds_per_fold=1,
    )  # fmt: skip
    study = Study(folder=tmp_path, patch=Patch(size_mm=16.0), model=model, training=training)
    rows = make_rows()
    patients = pd.DataFrame({
        "patient_id": [f"P{k:02d}" for k in range(N)], "age_years": np.arange(50.0, 50 + N),
        "smoking": pd.Series(["never", "former", "current", "never"] * (N // 4), dtype=object),
    })  # fmt: skip
    material = Material(patients=patients, onlm=rows.onlm.double().numpy(), patches=rows.patches.numpy())
    task = Task("fused", 0, 0, LEARN, WATCH)
    fitted = fit_finetuned(
        task, material=material, backbone=load_backbone("test_resnet", weights="none", in_channels=3), study=study,
        store=Partial.open(tmp_path / "partial", inputs=""), report=lambda row: None, fabric=CPU,
    )  # fmt: skip
    assert "seed0.joint.of_clinical.weight" in fitted.states, "film, not side by side"
    bias = float(fitted.states["seed0.bias"])
    np.testing.assert_allclose(fitted.apply_logit, undo_loss(bias, loss="focal", focal_gamma=2.0), atol=1e-5)
    assert abs(fitted.apply_logit[0, 0] - bias) > 0.1


def test_the_backbone_warms_up_when_its_rest_is_over_and_biases_do_not_decay():
    training = replace(QUICK, epochs=10, freeze_epochs=3, learning_rate=1.0, backbone_learning_rate=0.1)
    learner = Learner.begin(make_model(), training=training, fabric=CPU)
    rates = {True: [], False: []}
    for step in range(100):
        learner.set_rates(step=step, a_epoch=10, training=training)
        for group in learner.optimiser.param_groups:
            rates[group["rests"]].append(group["lr"])
    backbone, new = np.array(rates[True][::2]), np.array(rates[False][::2])
    assert (backbone[:30] == 0).all() and backbone[30:].argmax() == 6 and backbone.max() == pytest.approx(0.1)
    assert new.argmax() == 9 and new.max() == pytest.approx(1.0) and new[-1] < 0.01
    for group in learner.optimiser.param_groups:
        assert {p.ndim > 1 for p in group["params"]} == {group["weight_decay"] > 0}
    assert sum(len(g["params"]) for g in learner.optimiser.param_groups) == len(list(learner.model.parameters()))


def test_mixed_precision_keeps_weights_and_logits_single(tmp_path, uninterrupted):
    found = made_networks.fit(tmp_path, fabric=make_fabric(accelerator="cpu", precision="bf16-mixed"))
    assert {value.dtype for value in found.state.values()} <= {torch.float32, torch.int64}
    assert found.logit.dtype == torch.float32
    assert found.history[0]["train_loss"] == pytest.approx(uninterrupted.history[0]["train_loss"], rel=0.05)
    assert not torch.equal(found.logit, uninterrupted.logit)


def test_on_a_processor_bf16_goes_without_the_kernels_whose_gradients_are_nan_there():
    before = torch.backends.mkldnn.enabled
    for precision, kept in (("32", before), ("bf16-mixed", False)):
        with sound_kernels(make_fabric(accelerator="cpu", precision=precision)):
            assert torch.backends.mkldnn.enabled == kept
        assert torch.backends.mkldnn.enabled == before


def test_a_patient_without_ct_has_no_picture_and_a_logit():
    rows = make_rows()
    nobody = torch.ones(N, dtype=torch.bool)
    nobody[2] = False
    gap = rows.patches.float()
    gap[2] = torch.nan
    moves = Moves.draw(4, generator=torch.Generator().manual_seed(1))
    for given in (replace(rows, imaged=nobody), replace(rows, patches=gap)):
        for move in (None, moves):
            batch = given.batch(torch.arange(4), moves=move)
            assert batch.image[2].isnan().all() and batch.image[[0, 1, 3]].isfinite().all()
            assert make_model().eval()(batch).isfinite().all()


def test_a_patient_is_moved_alike_in_any_batch_and_otherwise_in_another_epoch():
    rows, patients = make_rows(), torch.arange(N)
    moves = Moves.draw(N, generator=torch.Generator().manual_seed(1))
    whole, some = rows.batch(patients, moves=moves), torch.tensor([7, 2, 11])
    torch.testing.assert_close(rows.batch(some, moves=moves.of(some)).image, whole.image[some])
    other = rows.batch(patients, moves=Moves.draw(N, generator=torch.Generator().manual_seed(2)))
    assert not torch.allclose(other.image, whole.image, atol=0.1)


def test_batches_hold_everybody_once_and_nobody_alone():
    parts = deal(np.arange(100, 113), size=6, generator=torch.Generator().manual_seed(3))
    assert [len(part) for part in parts] == [6, 7]
    assert sorted(torch.cat(parts).tolist()) == list(range(13)) and torch.cat(parts).tolist() != list(range(13))
    assert [len(part) for part in deal(np.arange(1), size=6, generator=torch.Generator())] == [1]


def test_batches_made_ahead_come_in_their_order_and_an_error_comes_through():
    assert list(ahead([(k,) for k in range(5)], lambda k: k * k)) == [0, 1, 4, 9, 16]
    assert list(ahead([], lambda: 1)) == []
    with pytest.raises(ZeroDivisionError):
        list(ahead([(1,), (0,)], lambda k: 1 / k))


@pytest.mark.parametrize("n", [1, 2, 5, 8])
@pytest.mark.parametrize("n_processes", [1, 2, 3])
def test_the_gradient_of_all_shares_is_that_of_the_batch(n, n_processes):
    value, part = torch.randn(10, generator=torch.Generator().manual_seed(4)), torch.randperm(10)[:n]
    shares = [share(part, rank=rank, n_processes=n_processes) for rank in range(n_processes)]
    mean_over_processes = sum(value[mine].sum() * factor for mine, factor in shares) / n_processes
    torch.testing.assert_close(mean_over_processes, value[part].mean())
    assert all(len(mine) for mine, _ in shares), "nobody stays behind"
    assert sorted(torch.cat([mine for mine, factor in shares if factor]).tolist()) == sorted(part.tolist())


def test_what_is_gathered_lies_side_by_side():
    rows = torch.arange(7).split(3)
    found = gather(lambda k: rows[k][:, None] * torch.tensor([1.0, 10.0]), sizes=[3, 3, 1], fabric=CPU)
    assert torch.equal(found, torch.arange(7)[:, None] * torch.tensor([1.0, 10.0]))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"strategy": "fsdpp"}, r"strategy is 'fsdpp'; wanted auto, ddp, ddp_find_unused_parameters_true"),
        ({"accelerator": "tpu"}, r"accelerator is 'tpu'; wanted auto, cpu, cuda"),
        ({"precision": "8"}, r"precision is '8'; wanted auto, 32, bf16-mixed, 16-mixed"),
        ({"devices": 0}, r"devices is '0'; wanted a number, 1 or more, or 'auto'"),
        ({"devices": "two"}, r"devices is 'two'; wanted a number"),
        ({"nodes": 0}, r"nodes is 0; wanted the number of machines"),
        ({"precision": "16-mixed", "accelerator": "cpu"}, r"'16-mixed', which needs a GPU. Use 'auto', '32' or"),
    ],
)
def test_where_to_train_is_refused_with_what_would_do(asked, said):
    with pytest.raises(OnlmError, match=said):
        make_fabric(**asked)


def test_more_gpus_than_there_are_and_none_at_all(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(OnlmError, match=r"accelerator is 'cuda', and torch finds no GPU here"):
        make_fabric(accelerator="cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(OnlmError, match=r"devices is 4, and this machine has 1 GPU. Ask for 1 at most"):
        make_fabric(devices=4)


def test_without_a_gpu_it_trains_on_this_processor_in_single_precision(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    found = make_fabric(devices="auto")
    assert (found.device.type, found.world_size) == ("cpu", 1)
    assert found.strategy.precision.precision == "32-true"


def test_pictures_can_be_cut_on_another_device():
    """No number may be left on the CPU: a device without memory refuses to mix with it."""
    rows = make_rows()
    moves = Moves.draw(3, generator=torch.Generator().manual_seed(1))
    for move in (None, moves):
        assert rows.batch(torch.arange(3), moves=move, device="meta").image.shape == (3, 3, 3, PX, PX)

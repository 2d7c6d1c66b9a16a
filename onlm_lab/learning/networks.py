"""A task in finetune mode: one network a seed, each with an inner fold held out."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from lightning_fabric import Fabric

from onlm_lab.learning.clinical import ClinicalEncoder
from onlm_lab.learning.dataset import layout_of
from onlm_lab.learning.feeding import Rows
from onlm_lab.learning.finetune import Network, fit_network
from onlm_lab.learning.model import OnlmModel
from onlm_lab.learning.partial import Partial
from onlm_lab.learning.prior_shift import undo_loss
from onlm_lab.learning.shape import build_network
from onlm_lab.learning.validate import Fitted, Material, Task, inner_folds, unlikeness, without_others
from onlm_lab.learning.weights import Backbone
from onlm_lab.study import Study, Training


def fit_finetuned(
    task: Task, *, material: Material, backbone: Backbone, study: Study, store: Partial,
    report: Callable[[dict[str, float]], None], fabric: Fabric | None = None,
) -> Fitted:  # fmt: skip
    """As many networks as seeds; seed s holds out inner fold s (in turn).

    The calibrator learns from each training row's mean logit by the networks that held it out. Rows that none held out
    (fewer seeds than inner folds) are NaN there and teach the calibrator nothing.
    """
    task, material = without_others(task, material=material)
    seed = task.seed(study.seed)
    inner = inner_folds(material.onlm[task.learn], seed=seed)
    n_seeds, n_folds = study.training.seeds_per_fold, int(inner.max()) + 1
    networks, encoders = [], []
    logit = np.full((n_seeds, len(material.onlm)), np.nan)
    nearer = np.empty((n_seeds, len(task.apply)))
    for s in range(n_seeds):
        held = inner == s % n_folds
        learn, watch = task.learn[~held], task.learn[held]
        encoder = None
        if task.model == "fused":
            encoder = ClinicalEncoder.fit(material.patients.iloc[learn], predictors=study.training.predictors)
            encoders.append(encoder)
        rows = _rows(material, encoder=encoder, backbone=backbone, study=study)
        network = fit_network(
            rows, model=_model(rows, encoder=encoder, backbone=backbone, study=study, seed=seed + s), learn=learn,
            watch=watch, seed=seed + s, training=study.training, checkpoint=store.checkpoint(task, seed=s),
            fabric=fabric, report=lambda row, s=s: report({"seed": s, **row}),
        )  # fmt: skip
        odds = _log_odds(network, training=study.training)
        network = replace(network, logit=odds, history=[{"seed": s, **row} for row in network.history])
        networks.append(network)
        logit[s, watch] = network.logit[watch].numpy()
        watches = torch.from_numpy(held)[None]
        nearer[s] = unlikeness(
            network.code[task.learn][None], fits=~watches, watches=watches, others=network.code[task.apply]
        )
    return _gather(networks, encoders, logit=logit, nearer=nearer, task=task)


def _log_odds(network: Network, *, training: Training) -> torch.Tensor:
    """Of N+, for every row. The network itself has taken back what a weighted loss did; a focal one takes a curve."""
    if training.loss != "focal":
        return network.logit
    return torch.from_numpy(undo_loss(network.logit.numpy(), loss="focal", focal_gamma=training.focal_gamma))


def _gather(
    networks: list[Network], encoders: list[ClinicalEncoder], *, logit: np.ndarray, nearer: np.ndarray, task: Task
) -> Fitted:
    own = logit[:, task.learn]
    n_held = (~np.isnan(own)).sum(axis=0)
    inner = np.where(n_held > 0, np.nansum(own, axis=0) / np.maximum(n_held, 1), np.nan)
    # Encoders of two seeds may see another number of levels: such tensors cannot be stacked and are kept one by one.
    states = {f"seed{s}.{name}": value for s, net in enumerate(networks) for name, value in net.state.items()}
    return Fitted(
        inner_logit=inner,
        apply_logit=np.stack([net.logit[task.apply].double().numpy() for net in networks]),
        ood=nearer.mean(axis=0),
        epoch=int(np.median([net.epoch for net in networks])),
        history=[row for net in networks for row in net.history],
        code=networks[0].code.numpy(),
        states=states,
        encoders=tuple(encoders),
    )


def _rows(material: Material, *, encoder: ClinicalEncoder | None, backbone: Backbone, study: Study) -> Rows:
    n = len(material.onlm)
    clinical = missing = np.zeros((n, 0), dtype=np.float32)
    if encoder is not None:
        clinical, missing = encoder.transform(material.patients)
    return Rows(
        patches=torch.from_numpy(np.array(material.patches)), clinical=torch.from_numpy(clinical),
        missing=torch.from_numpy(missing), onlm=torch.from_numpy(material.onlm).float(), layout=layout_of(study),
        mean=backbone.mean, std=backbone.std,
    )  # fmt: skip


def _model(
    rows: Rows, *, encoder: ClinicalEncoder | None, backbone: Backbone, study: Study, seed: int
) -> OnlmModel:  # fmt: skip
    module = copy.deepcopy(backbone.module).to(memory_format=torch.channels_last)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build_network(
            study.model, n_clinical=rows.clinical.shape[1], n_features=backbone.n_features, backbone=module,
            columns=None if encoder is None else encoder.column_numbers,
        )  # fmt: skip

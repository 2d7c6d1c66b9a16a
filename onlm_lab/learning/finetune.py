"""Finetune mode: one readable loop on Lightning Fabric, from planes to logits, backbone and all.

Each seed of a task holds out one inner fold: its loss there stops the training, and its logits there are what the
calibrator learns from. With at least as many seeds as inner folds, every training row is held out once.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from onlm_lab.errors import OnlmError
from onlm_lab.learning.calibrate import auc
from onlm_lab.learning.checkpoint import load_checkpoint, save_checkpoint
from onlm_lab.learning.fabric import agree_on_buffers, gather, make_fabric, share, sound_kernels
from onlm_lab.learning.feeding import Moves, Rows, ahead, deal
from onlm_lab.learning.learner import Learner
from onlm_lab.learning.losses import Loss
from onlm_lab.learning.model import OnlmModel
from onlm_lab.study import Training

CLIP_NORM = 1.0
BATCH_APPLY = 32


@dataclass(frozen=True, eq=False)
class Network:
    """One network at its best epoch."""

    logit: Tensor  # (n,) of every row; after a focal loss not yet the log odds of N+: see prior_shift.undo_loss
    code: Tensor  # (n,D) what it sees of every patient
    state: dict[str, Tensor]
    epoch: int
    history: list[dict[str, float]]


def fit_network(
    rows: Rows,
    *,
    model: OnlmModel,
    learn: np.ndarray,
    watch: np.ndarray,
    seed: int,
    training: Training,
    checkpoint: Path,
    fabric: Fabric | None = None,
    report: Callable[[dict[str, float]], None] = lambda row: None,
) -> Network:
    """Trains on `learn`, stops by the loss on `watch`, resumes from the checkpoint where there is one.

    Args:
        rows: inputs of all patients.
        model: freshly made; its weights are the starting point.
        learn: row numbers to learn from.
        watch: row numbers held out for early stopping.
        seed: order of patients, moves and dropout; each epoch has its own, so that a resumed run is the same run.
        training: epochs, patience, batch size, learning rates, loss, rest of the backbone, running mean.
        checkpoint: written after each epoch, whole or not at all.
        fabric: launched; None: one device.
        report: called with each epoch's row, those of a resumed network first, in the first process only.

    Raises:
        OnlmError: the loss is no longer a number, or the checkpoint cannot be written or read.
    """
    fabric = fabric or make_fabric(precision=training.precision)
    loss = Loss.of(rows.onlm[learn], kind=training.loss, gamma=training.focal_gamma)
    _start_at_prevalence(model, rows.onlm[learn], loss=loss)
    learner = Learner.begin(model, training=training, fabric=fabric)
    best: dict[str, Tensor] = {}
    history: list[dict[str, float]] = []
    said = load_checkpoint(checkpoint, fabric=fabric)
    if said is not None:
        learner.load(said)
        best, history = said["best"], said["history"]
    for row in history if fabric.is_global_zero else []:
        report(row)
    parts = torch.from_numpy(watch).split(BATCH_APPLY)
    held = lru_cache(maxsize=None)(lambda k: rows.batch(parts[k], device=fabric.device))
    truth, net = rows.onlm[watch], None
    for epoch in range(len(history), training.epochs):
        if history and history[-1]["epoch"] - _best_epoch(history) >= training.patience:
            break
        started = time.perf_counter()
        if net is None or epoch == training.freeze_epochs:  # processes agree anew on which weights they share
            net = learner.wrapped(resting=epoch < training.freeze_epochs)
        with sound_kernels(fabric):
            train = train_epoch(
                net, learner, rows=rows, learn=learn, epoch=epoch, seed=seed, loss=loss, training=training
            )
        _refuse_nan(train, epoch=epoch)
        agree_on_buffers([learner.model, learner.judged], fabric=fabric)
        logit = gather(lambda k: learner.judged.eval()(held(k)), sizes=[len(p) for p in parts], fabric=fabric)
        valid = float(loss.of_each(logit, truth).mean())
        _refuse_nan(valid, epoch=epoch)
        if not history or valid < min(row["valid_loss"] for row in history):
            best = _copied(learner.judged)
        history.append({
            "epoch": epoch, "train_loss": train, "valid_loss": valid, "valid_auc": auc(logit.numpy(), truth.numpy()),
            "learning_rate": learner.optimiser.param_groups[-1]["lr"], "seconds": time.perf_counter() - started,
        })  # fmt: skip
        save_checkpoint(checkpoint, {**learner.state(), "best": best, "history": history}, fabric=fabric)
        if fabric.is_global_zero:
            report(history[-1])
    judged = learner.judged.eval()
    judged.load_state_dict(best)
    with torch.no_grad():
        judged.bias.sub_(math.log(loss.positive_weight))  # classes that were made to count alike no longer do
    code, logit = apply_to_all(judged, rows=rows, fabric=fabric)
    return Network(logit=logit, code=code, state=_copied(judged), epoch=_best_epoch(history), history=history)


def train_epoch(
    net: nn.Module,
    learner: Learner,
    *,
    rows: Rows,
    learn: np.ndarray,
    epoch: int,
    seed: int,
    loss: Loss,
    training: Training,
) -> float:
    """Every patient once, in a new order and moved anew; the mean loss, in every process that of all."""
    fabric, optimiser = learner.fabric, learner.optimiser
    generator = torch.Generator().manual_seed(seed + 7919 * (epoch + 1))
    parts = deal(learn, size=training.batch_size, generator=generator)
    moves = Moves.draw(len(learn), generator=generator)
    shares = [share(part, rank=fabric.global_rank, n_processes=fabric.world_size) for part in parts]
    where = torch.from_numpy(learn)

    def make(mine: Tensor, factor: float) -> tuple[Any, float]:
        return rows.batch(where[mine], moves=moves.of(mine), device=fabric.device), factor

    net.train()
    if epoch < training.freeze_epochs and learner.model.backbone is not None:
        learner.model.backbone.eval()  # at rest with its statistics and without its dropout
    total = torch.zeros((), device=fabric.device)
    on_gpu = [fabric.device] if fabric.device.type == "cuda" else []
    with torch.random.fork_rng(devices=on_gpu):
        torch.manual_seed(seed + 104729 * (epoch + 1) + 15485863 * fabric.global_rank)  # dropout
        for step, (batch, factor) in enumerate(ahead(shares, make)):
            learner.set_rates(step=epoch * len(parts) + step, a_epoch=len(parts), training=training)
            summed = loss.of_each(net(batch), batch.onlm).sum()
            optimiser.zero_grad()
            fabric.backward(summed * factor)
            # A norm that is no number stops nothing here: half precision skips such a step, else the loss shows it.
            fabric.clip_gradients(net, optimiser, max_norm=CLIP_NORM, error_if_nonfinite=False)
            optimiser.step()
            if learner.mean is not None:
                learner.mean.update_parameters(learner.model)
            total += summed.detach() * bool(factor)
    return float(fabric.all_reduce(total, reduce_op="sum")) / len(learn)


def apply_to_all(judged: OnlmModel, *, rows: Rows, fabric: Fabric) -> tuple[Tensor, Tensor]:
    """What the network sees of every row, and its logits, nothing moved and no dropout: (n,D), (n,)."""
    parts = torch.arange(len(rows.onlm)).split(BATCH_APPLY)

    def both(k: int) -> Tensor:
        code = judged.encode(rows.batch(parts[k], device=fabric.device))
        return torch.cat([code, judged.classify(code)[:, None]], dim=1)

    found = gather(both, sizes=[len(part) for part in parts], fabric=fabric)
    return found[:, :-1].contiguous(), found[:, -1].contiguous()


def _copied(model: OnlmModel) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}


def _start_at_prevalence(model: OnlmModel, onlm: Tensor, *, loss: Loss) -> None:
    """A network that knows nothing yet gives everybody the prevalence, as the loss weighs it."""
    odds = onlm.mean().clamp(1e-3, 1 - 1e-3).logit()
    with torch.no_grad():
        model.bias.copy_(odds + math.log(loss.positive_weight))


def _best_epoch(history: list[dict[str, float]]) -> int:
    return min(history, key=lambda row: row["valid_loss"])["epoch"]


def _refuse_nan(loss: float, *, epoch: int) -> None:
    if not math.isfinite(loss):
        raise OnlmError(
            f"The loss is not a number in epoch {epoch}. Lower [training] learning_rate or backbone_learning_rate, "
            "then start the run again."
        )

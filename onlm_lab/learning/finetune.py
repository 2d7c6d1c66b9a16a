"""Finetune mode: one readable loop on Lightning Fabric, from planes to logits, backbone and all.

Each seed of a task holds out one inner fold: its loss there stops the training, and its logits there are what the
calibrator learns from. With at least as many seeds as inner folds, every training row is held out once.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional as F

from onlm_lab.errors import OnlmError
from onlm_lab.learning.calibrate import auc
from onlm_lab.learning.dataset import Layout, cut_planes, random_pose
from onlm_lab.learning.model import Batch, OnlmModel
from onlm_lab.study import Training

WARM_UP_FRACTION = 0.1
CLIP_NORM = 1.0
BATCH_APPLY = 32


@dataclass(frozen=True, eq=False)
class Rows:
    """Everything that a network may be shown, aligned by row."""

    patches: Tensor  # (n,D,D,D) HU
    clinical: Tensor  # (n,K), encoded by the rows that this network learns from
    missing: Tensor  # (n,K)
    onlm: Tensor  # (n,)
    layout: Layout
    mean: float  # of pixel values, as the backbone wants them
    std: float

    def batch(self, rows: Tensor, pose: Tensor | None = None) -> Batch:
        planes = cut_planes(self.patches[rows], layout=self.layout, pose=pose)  # (B,V,C,H,W)
        pixels = (planes - self.mean) / self.std
        return Batch(pixels, self.clinical[rows], self.missing[rows], self.onlm[rows], ())


@dataclass(frozen=True, eq=False)
class Network:
    """One network at its best epoch."""

    logit: Tensor  # (n,) of every row
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
    report: Callable[[dict[str, float]], None] = lambda row: None,
) -> Network:
    """Trains on `learn`, stops by the loss on `watch`, resumes from the checkpoint where there is one.

    Args:
        rows: inputs of all patients.
        model: freshly made; its weights are the starting point.
        learn: row numbers to learn from.
        watch: row numbers held out for early stopping.
        seed: order of patients, poses and dropout; each epoch has its own, so that a resumed run is the same run.
        training: epochs, patience, batch size, learning rates.
        checkpoint: written after each epoch, whole or not at all.
        report: called with each epoch's row, those of a resumed network first.

    Raises:
        OnlmError: the loss is no longer a number.
    """
    fabric = Fabric(accelerator="cpu", devices=1)
    groups = _groups(model, training=training)
    net, optimiser = fabric.setup(model, torch.optim.AdamW(groups, weight_decay=training.weight_decay))
    base_rates = [group["lr"] for group in groups]
    target = rows.onlm[learn].mean()
    with torch.no_grad():
        model.bias.copy_(torch.logit(target.clamp(1e-3, 1 - 1e-3)))
    first, best_loss, best, history = _resume(checkpoint, model=model, optimiser=optimiser)
    for row in history:
        report(row)
    held = [rows.batch(part) for part in torch.from_numpy(watch).split(BATCH_APPLY)]
    truth = rows.onlm[watch]
    for epoch in range(first, training.epochs):
        if history and history[-1]["epoch"] - _best_epoch(history) >= training.patience:
            break
        started = time.perf_counter()
        train = _train_epoch(
            fabric, net, optimiser, base_rates, rows=rows, learn=learn, epoch=epoch, seed=seed, training=training
        )
        logit = _apply(net, held, model=model)
        valid = float(F.binary_cross_entropy_with_logits(logit, truth))
        _refuse_nan(valid, epoch=epoch)
        row = {
            "epoch": epoch, "train_loss": train, "valid_loss": valid, "valid_auc": auc(logit.numpy(), truth.numpy()),
            "learning_rate": optimiser.param_groups[-1]["lr"], "seconds": time.perf_counter() - started,
        }  # fmt: skip
        history.append(row)
        if valid < best_loss:
            best_loss, best = valid, {k: v.detach().clone() for k, v in model.state_dict().items()}
        half = checkpoint.with_suffix(".half")
        state = {"net": model.state_dict(), "optimiser": optimiser.state_dict(), "best": best, "history": history}
        fabric.save(half, state)
        half.replace(checkpoint)
        report(row)
    model.load_state_dict(best)
    everyone = torch.arange(len(rows.onlm)).split(BATCH_APPLY)
    code = _apply(model.encode, (rows.batch(part) for part in everyone), model=model)
    logit = model.classify(code).detach()
    return Network(logit=logit, code=code, state=best, epoch=_best_epoch(history), history=history)


def _train_epoch(
    fabric: Fabric,
    net: nn.Module,
    optimiser: Any,
    base_rates: list[float],
    *,
    rows: Rows,
    learn: np.ndarray,
    epoch: int,
    seed: int,
    training: Training,
) -> float:
    """Every patient once, in a new order and a new pose; the mean loss."""
    generator = torch.Generator().manual_seed(seed + 7919 * (epoch + 1))
    parts = _deal(learn, size=training.batch_size, generator=generator)
    posed = [(part, random_pose(len(part), generator=generator)) for part in parts]
    net.train()
    total = 0.0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed + 104729 * (epoch + 1))  # dropout
        for step, batch in enumerate(_ahead(iter(posed), rows.batch)):
            rate = _rate(epoch * len(posed) + step, total=training.epochs * len(posed))
            for group, base in zip(optimiser.param_groups, base_rates, strict=True):
                group["lr"] = base * rate
            loss = F.binary_cross_entropy_with_logits(net(batch), batch.onlm)
            _refuse_nan(float(loss.detach()), epoch=epoch)
            optimiser.zero_grad()
            fabric.backward(loss)
            fabric.clip_gradients(net, optimiser, max_norm=CLIP_NORM)
            optimiser.step()
            total += float(loss.detach()) * len(batch.onlm)
    return total / len(learn)


def _resume(checkpoint: Path, *, model: OnlmModel, optimiser) -> tuple[int, float, dict, list]:
    if not checkpoint.is_file():
        return 0, math.inf, {}, []
    said = torch.load(checkpoint, weights_only=True)
    model.load_state_dict(said["net"])
    optimiser.load_state_dict(said["optimiser"])
    history = said["history"]
    return len(history), min(row["valid_loss"] for row in history), said["best"], history


def _best_epoch(history: list[dict[str, float]]) -> int:
    return min(history, key=lambda row: row["valid_loss"])["epoch"]


def _groups(model: OnlmModel, *, training: Training) -> list[dict]:
    """The pretrained backbone learns slowly, what is new learns fast."""
    inside = {id(p) for p in model.backbone.parameters()} if model.backbone is not None else set()
    new = [p for p in model.parameters() if id(p) not in inside]
    groups = [{"params": new, "lr": training.learning_rate}]
    if inside:
        groups.insert(0, {"params": list(model.backbone.parameters()), "lr": training.backbone_learning_rate})
    return groups


def _rate(step: int, *, total: int) -> float:
    """Linear warm-up, then half a cosine to zero: the share of the learning rate at this step."""
    warm = max(1, round(WARM_UP_FRACTION * total))
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, total - warm)))


def _deal(learn: np.ndarray, *, size: int, generator: torch.Generator) -> list[Tensor]:
    """Shuffled batches; a lonely last patient joins the batch before (batch norm needs company)."""
    order = torch.from_numpy(learn)[torch.randperm(len(learn), generator=generator)]
    parts = list(order.split(size))
    if len(parts) > 1 and len(parts[-1]) == 1:
        parts[-2:] = [torch.cat(parts[-2:])]
    return parts


@torch.no_grad()
def _apply(call: Callable[[Batch], Tensor], batches: Iterable[Batch], *, model: nn.Module) -> Tensor:
    """What the network says of these batches, nothing moved and no dropout."""
    model.eval()
    return torch.cat([call(batch) for batch in batches])


def _ahead(items: Iterator[Any], make: Callable[..., Batch]) -> Iterator[Batch]:
    """Batches, each made while the one before is being learnt from; the same batches as without the thread."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        coming = None
        for item in items:
            coming, ready = pool.submit(make, *item), coming
            if ready is not None:
                yield ready.result()
        if coming is not None:
            yield coming.result()


def _refuse_nan(loss: float, *, epoch: int) -> None:
    if not math.isfinite(loss):
        raise OnlmError(
            f"The loss is not a number in epoch {epoch}. Lower [training] learning_rate or backbone_learning_rate, "
            "then start the run again."
        )

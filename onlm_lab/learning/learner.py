"""A network in training: what moves it, how fast, which part of it rests, and the running mean that is kept.

What is judged and kept is the running mean of the weights (Polyak and Juditsky 1992, doi:10.1137/0330046), which is
steadier than the weights of any one step.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from onlm_lab.learning.model import OnlmModel
from onlm_lab.study import Training

WARM_UP_FRACTION = 0.1


@dataclass(frozen=True, eq=False)
class Learner:
    """A network, what moves it, and its running mean."""

    model: OnlmModel
    mean: AveragedModel | None
    optimiser: Any
    fabric: Fabric

    @classmethod
    def begin(cls, model: OnlmModel, *, training: Training, fabric: Fabric) -> Learner:
        model = model.to(fabric.device)
        mean = None
        if training.ema_decay:
            mean = AveragedModel(model, multi_avg_fn=_running_mean(training.ema_decay), use_buffers=True)
        scaler = fabric.strategy.precision
        if scaler.state_dict():  # of half precision: not what the network before has left
            scaler.load_state_dict(torch.amp.GradScaler().state_dict())
        optimiser = torch.optim.AdamW(_groups(model, training=training))
        return cls(model=model, mean=mean, optimiser=fabric.setup_optimizers(optimiser), fabric=fabric)

    @property
    def judged(self) -> OnlmModel:
        """The network that is validated and kept."""
        return self.model if self.mean is None else self.mean.module

    def state(self) -> dict[str, Any]:
        """Everything that the next epoch depends on, but for the seed."""
        return {
            "net": self.model.state_dict(), "optimiser": self.optimiser.state_dict(),
            "mean": {} if self.mean is None else self.mean.state_dict(),
            "scaler": self.fabric.strategy.precision.state_dict(),
        }  # fmt: skip

    def load(self, said: dict[str, Any]) -> None:
        self.model.load_state_dict(said["net"])
        self.optimiser.load_state_dict(said["optimiser"])
        if self.mean is not None:
            self.mean.load_state_dict(said["mean"])
        if said["scaler"]:
            self.fabric.strategy.precision.load_state_dict(said["scaler"])

    def wrapped(self, *, resting: bool) -> nn.Module:
        """The network as Fabric shares it between processes, its backbone at rest or not."""
        if self.model.backbone is not None:
            self.model.backbone.requires_grad_(not resting)
        return self.fabric.setup_module(self.model)

    def set_rates(self, *, step: int, a_epoch: int, training: Training) -> None:
        """Each group's learning rate at this step; the backbone warms up when its rest is over."""
        for group in self.optimiser.param_groups:
            first = training.freeze_epochs * a_epoch if group["rests"] else 0
            group["lr"] = group["base"] * _rate(step - first, total=training.epochs * a_epoch - first)


def _running_mean(decay: float) -> Callable[..., None]:
    """An exponential mean whose memory is short as long as few steps lie behind it."""

    def update(means: Any, now: Any, n_averaged: Tensor) -> None:
        n = float(n_averaged)
        get_ema_multi_avg_fn(min(decay, (1 + n) / (10 + n)))(means, now, n_averaged)

    return update


def _groups(model: OnlmModel, *, training: Training) -> list[dict]:
    """The pretrained backbone learns slowly and later, what is new learns fast; biases and norms do not decay."""
    inside = {id(p) for p in model.backbone.parameters()} if model.backbone is not None else set()
    groups = []
    for old in (True, False):
        rate = training.backbone_learning_rate if old else training.learning_rate
        for decays in (False, True):
            chosen = [p for p in model.parameters() if (id(p) in inside) is old and (p.ndim > 1) is decays]
            if chosen:
                decay = training.weight_decay if decays else 0.0
                groups.append({"params": chosen, "lr": rate, "weight_decay": decay, "base": rate, "rests": old})
    return groups


def _rate(step: int, *, total: int) -> float:
    """Linear warm-up, then half a cosine to zero: the share of the learning rate at this step; 0 before the first."""
    if step < 0:
        return 0.0
    warm = max(1, round(WARM_UP_FRACTION * total))
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, total - warm)))

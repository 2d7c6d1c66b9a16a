"""Frozen mode: small heads on fixed features. All heads of one training set learn side by side, in seconds.

For each set of training rows, heads are trained for every inner fold (which leaves its rows out) and for all rows, each
from several seeds. They are one stack of parameters, trained by one full-batch loop: 6 x 5 heads cost little more than
one. The number of epochs is the one with the lowest loss on the inner held-out rows, outer test rows have no say.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import functional_call, stack_module_state, vmap
from torch.nn import functional as F

from onlm_lab.learning.calibrate import auc
from onlm_lab.learning.model import Batch, OnlmModel


@dataclass(frozen=True, eq=False)
class Stack:
    """Inputs of G training sets (groups), aligned by row: the same n patients, encoded by each group's own encoder."""

    image: Tensor | None  # (G,n,V,D)
    clinical: Tensor  # (G,n,K)
    missing: Tensor  # (G,n,K)
    onlm: Tensor  # (n,); not read where `fits` and `watches` are False
    fits: Tensor  # (G,n) bool: rows that the group learns from
    watches: Tensor  # (G,n) bool: rows held out, whose loss stops the training


@dataclass(frozen=True, eq=False)
class Heads:
    """Heads at their best epoch."""

    logit: Tensor  # (G,S,n): of every row, by every head
    states: dict[str, Tensor]  # name -> (G,S,...)
    epoch: int
    history: list[dict[str, float]]  # a row a seed and epoch


STEPS_PER_EPOCH = 5
LEARNING_RATE = 0.02  # the loss is smooth and whole: no need to tune it with the network's


def fit_heads(
    stack: Stack,
    *,
    make: Callable[[], OnlmModel],
    n_seeds: int,
    seed: int,
    epochs: int,
    patience: int,
    weight_decay: float,
) -> Heads:
    """Trains G x S heads at once.

    Each seed has its own first weights, its own dropout, and its own weights of patients, drawn from an exponential
    distribution (the Bayesian bootstrap: Rubin 1981, doi:10.1214/aos/1176345338), so that the spread of the seeds tells
    how much the risk hangs on which patients were there to learn from.
    """
    n_groups, n = stack.fits.shape
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        models = [make() for _ in range(n_seeds)]
        params, buffers = stack_module_state(models * n_groups)  # name -> (G*S,...)
        params = {k: v.detach().clone().requires_grad_() for k, v in params.items()}
        drawn = -torch.rand(n_seeds, n).clamp_min(1e-7).log()  # (S,n)
        weight = (drawn * stack.fits[:, None]).flatten(0, 1)  # (G*S,n)
        weight = weight / weight.sum(dim=1, keepdim=True)
        target = torch.where(stack.fits.any(0) | stack.watches.any(0), stack.onlm, torch.zeros(()))
        share = (weight * target).sum(dim=1).clamp(1e-3, 1 - 1e-3)
        with torch.no_grad():
            params["bias"].copy_(torch.logit(share)[:, None])
        inputs = [_repeat(part, n_seeds) for part in (stack.image, stack.clinical, stack.missing)]
        base = models[0]

        def forward(p, b, image, clinical, missing):  # one head, all rows -> (n,)
            return functional_call(base, (p, b), (Batch(image, clinical, missing, target, ()),))

        run = vmap(forward, in_dims=(0, 0, None if stack.image is None else 0, 0, 0), randomness="different")
        return _descend(
            run, params, buffers, inputs, base=base, weight=weight, target=target, watches=stack.watches,
            n_seeds=n_seeds, epochs=epochs, patience=patience, weight_decay=weight_decay,
        )  # fmt: skip


def _descend(
    run, params, buffers, inputs, *, base, weight, target, watches, n_seeds, epochs, patience,
    weight_decay,
) -> Heads:  # fmt: skip
    """Full-batch Adam on loss + weight_decay / 2 x squared weights; keeps the epoch with the lowest held-out loss."""
    optimiser = torch.optim.Adam(list(params.values()), lr=LEARNING_RATE)
    shrunk = [value for name, value in params.items() if name != "bias"]
    history: list[dict[str, float]] = []
    best, best_loss = None, math.inf
    for epoch in range(epochs):
        base.train()
        for _ in range(STEPS_PER_EPOCH):
            logit = run(params, buffers, *inputs)  # (G*S,n)
            loss = _bce(logit, target, weight)  # (G*S,)
            optimiser.zero_grad(set_to_none=True)
            penalty = sum(value.square().sum() for value in shrunk) * (weight_decay / 2)
            (loss.sum() + penalty).backward()
            optimiser.step()
        base.eval()
        with torch.no_grad():
            logit = run(params, buffers, *inputs).unflatten(0, (-1, n_seeds))  # (G,S,n)
        out = held_out(logit, watches)  # (S,n)
        seen = watches.any(dim=0)
        out, truth = out[:, seen], target[seen]
        together = float(F.binary_cross_entropy_with_logits(out.mean(dim=0), truth))
        train = loss.detach().unflatten(0, (-1, n_seeds))[-1]  # (S,) of the heads of all rows
        history += [
            {
                "seed": s, "epoch": epoch, "train_loss": float(train[s]),
                "valid_loss": float(F.binary_cross_entropy_with_logits(out[s], truth)),
                "valid_auc": auc(out[s].numpy(), truth.numpy()), "learning_rate": LEARNING_RATE,
            }
            for s in range(n_seeds)
        ]  # fmt: skip
        if together < best_loss - 1e-5:
            best_loss = together
            best = (epoch, logit, {k: v.detach().clone() for k, v in params.items()})
        elif epoch - best[0] >= patience:
            break
    epoch, logit, states = best
    states = {k: v.unflatten(0, (-1, n_seeds)) for k, v in states.items()}
    return Heads(logit=logit, states=states, epoch=epoch, history=history)


def held_out(logit: Tensor, watches: Tensor) -> Tensor:
    """Each row's logit by the heads that had not seen it: (G,S,n) -> (S,n); NaN where all had."""
    found = torch.where(watches[:, None], logit, torch.zeros(())).sum(dim=0)
    return torch.where(watches.any(dim=0), found, torch.tensor(math.nan))


def _bce(logit: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    loss = F.binary_cross_entropy_with_logits(logit, target.expand_as(logit), reduction="none")
    return (loss * weight).sum(dim=1)


def _repeat(part: Tensor | None, n_seeds: int) -> Tensor | None:
    return None if part is None else part.repeat_interleave(n_seeds, dim=0)

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
from onlm_lab.learning.classical import balanced_weights
from onlm_lab.learning.model import Batch, OnlmModel


@dataclass(frozen=True, eq=False)
class Stack:
    """Inputs of G training sets (groups), aligned by row: the same n patients, encoded by each group's own encoder.

    Only patients who may teach are here: what a head becomes cannot hang on who else will be judged by it.
    """

    image: Tensor | None  # (G,n,V,D)
    clinical: Tensor  # (G,n,K)
    missing: Tensor  # (G,n,K)
    onlm: Tensor  # (n,)
    fits: Tensor  # (G,n) bool: rows that the group learns from; all rows in the last group
    watches: Tensor  # (G,n) bool: rows held out, whose loss stops the training; each row in one group


@dataclass(frozen=True, eq=False)
class Heads:
    """Heads at their best epoch."""

    inner_logit: Tensor  # (S,n) of each row, by the heads that had not seen it
    apply_logit: Tensor  # (S,m) of other patients, by the heads of all rows
    states: dict[str, Tensor]  # name -> (G,S,...)
    epoch: int
    history: list[dict[str, float]]  # a row a seed and epoch


STEPS_PER_EPOCH = 5
LEARNING_RATE = 0.02  # the loss is smooth and whole: no need to tune it with the network's


def fit_heads(
    stack: Stack,
    *,
    others: Batch,
    make: Callable[[], OnlmModel],
    n_seeds: int,
    seed: int,
    epochs: int,
    patience: int,
    ridge: float,
) -> Heads:
    """Trains G x S heads at once; those of all rows then judge `others` (m patients, encoded like the last group).

    Each seed has its own first weights, its own dropout, and its own weights of patients (`balanced_weights`), so that
    the spread of the seeds tells how much the risk hangs on which patients were there to learn from.
    """
    n_groups, n = stack.fits.shape
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        models = [make() for _ in range(n_seeds)]
        params, _ = stack_module_state(models * n_groups)  # name -> (G*S,...)
        params = {k: v.detach().clone().requires_grad_() for k, v in params.items()}
        drawn = torch.from_numpy(balanced_weights(n_seeds, n, seed=seed)).float()  # (S,n)
        weight = (drawn * stack.fits[:, None]).flatten(0, 1)  # (G*S,n)
        weight = weight / weight.sum(dim=1, keepdim=True)
        share = (weight * stack.onlm).sum(dim=1).clamp(1e-3, 1 - 1e-3)
        with torch.no_grad():
            params["bias"].copy_(torch.logit(share)[:, None])
        inputs = [_repeat(part, n_seeds) for part in (stack.image, stack.clinical, stack.missing)]
        base = models[0]

        def forward(p, image, clinical, missing):  # one head, all rows -> (n,)
            return functional_call(base, p, (Batch(image, clinical, missing, stack.onlm, ()),))

        run = vmap(forward, in_dims=(0, None if stack.image is None else 0, 0, 0), randomness="different")
        epoch, inner_logit, params, history = _descend(
            run, params, inputs, base=base, weight=weight, onlm=stack.onlm, watches=stack.watches,
            n_seeds=n_seeds, epochs=epochs, patience=patience, ridge=ridge,
        )  # fmt: skip
        states = {name: value.unflatten(0, (-1, n_seeds)) for name, value in params.items()}
        last = {name: value[-1] for name, value in states.items()}  # (S,...)
        with torch.no_grad():
            judge = vmap(forward, in_dims=(0, None, None, None))
            apply_logit = judge(last, others.image, others.clinical, others.missing)  # (S,m)
    return Heads(inner_logit=inner_logit, apply_logit=apply_logit, states=states, epoch=epoch, history=history)


def _descend(
    run, params, inputs, *, base, weight, onlm, watches, n_seeds, epochs, patience, ridge,
) -> tuple[int, Tensor, dict[str, Tensor], list[dict[str, float]]]:  # fmt: skip
    """Full-batch Adam on mean loss + ridge / 2n x squared weights, the penalised likelihood of ridge regression; keeps
    the epoch with the lowest held-out loss: which it is, the held-out logits (S,n), the weights, and every epoch's row
    of history. Leaves `base` in eval mode.
    """
    optimiser = torch.optim.Adam(list(params.values()), lr=LEARNING_RATE)
    shrunk = [value for name, value in params.items() if name not in ("bias", "no_image")]
    history: list[dict[str, float]] = []
    best, best_loss = None, math.inf
    for epoch in range(epochs):
        base.train()
        for _ in range(STEPS_PER_EPOCH):
            logit = run(params, *inputs)  # (G*S,n)
            loss = _bce(logit, onlm, weight)  # (G*S,)
            optimiser.zero_grad(set_to_none=True)
            penalty = sum(value.square().sum() for value in shrunk) * (ridge / (2 * len(onlm)))
            (loss.sum() + penalty).backward()
            optimiser.step()
        base.eval()
        with torch.no_grad():
            logit = run(params, *inputs).unflatten(0, (-1, n_seeds))  # (G,S,n)
        out = held_out(logit, watches)  # (S,n)
        together = float(F.binary_cross_entropy_with_logits(out.mean(dim=0), onlm))
        train = loss.detach().unflatten(0, (-1, n_seeds))[-1]  # (S,) of the heads of all rows
        history += [
            {
                "seed": s, "epoch": epoch, "train_loss": float(train[s]),
                "valid_loss": float(F.binary_cross_entropy_with_logits(out[s], onlm)),
                "valid_auc": auc(out[s].numpy(), onlm.numpy()), "learning_rate": LEARNING_RATE,
            }
            for s in range(n_seeds)
        ]  # fmt: skip
        if together < best_loss - 1e-5:
            best_loss = together
            best = (epoch, out, {k: v.detach().clone() for k, v in params.items()})
        elif epoch - best[0] >= patience:
            break
    return *best, history


def held_out(logit: Tensor, watches: Tensor) -> Tensor:
    """Each row's logit by the heads that had not seen it: (G,S,n) -> (S,n)."""
    return torch.where(watches[:, None], logit, torch.zeros(())).sum(dim=0)


def _bce(logit: Tensor, onlm: Tensor, weight: Tensor) -> Tensor:
    loss = F.binary_cross_entropy_with_logits(logit, onlm.expand_as(logit), reduction="none")
    return (loss * weight).sum(dim=1)


def _repeat(part: Tensor | None, n_seeds: int) -> Tensor | None:
    return None if part is None else part.repeat_interleave(n_seeds, dim=0)

"""The model, whole, in one file. It knows tensors, not patients.

    image (B,V,C,H,W) -> backbone -> (B,V,F) -> project -> (B,V,D) -> attention over views -> (B,D) --+
                                                                                                      +-> logit (B,)
    clinical, missing (B,K) ------------------------------------------------------> (B,2K) -> (B,D) --+

Each branch has a straight (linear) way to the logit, and both meet, concatenated, in a small network whose last layer
starts at zero: the model begins as a sum of two linear scores and departs from it only where the data pay for it.
In frozen mode the backbone has been run before, and `image` holds its features (B,V,F).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn


class Batch(NamedTuple):
    """Patients as tensors. Missing clinical cells are 0 in `clinical` (the training mean) and 1 in `missing`."""

    image: Tensor | None  # (B,V,C,H,W) pixels, or (B,V,F) features; None without images
    clinical: Tensor  # (B,K)
    missing: Tensor  # (B,K)
    onlm: Tensor  # (B,) 0, 1, or NaN
    patient_id: tuple[str, ...]


class AttentionPool(nn.Module):
    """Weighted mean over views; starts as the plain mean."""

    def __init__(self, n_features: int):
        super().__init__()
        self.score = nn.Linear(n_features, 1)
        nn.init.zeros_(self.score.weight)
        nn.init.zeros_(self.score.bias)

    def forward(self, views: Tensor) -> Tensor:  # (B,V,D) -> (B,D)
        weight = self.score(torch.tanh(views)).softmax(dim=1)  # (B,V,1)
        return (weight * views).sum(dim=1)


class OnlmModel(nn.Module):
    """P(occult N+) as a logit, from CT planes, clinical data, or both.

    Args:
        n_clinical: K clinical inputs; 0 turns the clinical branch off.
        n_features: F of the backbone (or of the features given); 0 turns the image branch off.
        backbone: (B,C,H,W) -> (B,F); None when features are given.
        width: D, the size of each branch where they meet; 0 leaves the two straight ways alone (an additive model).
        dropout: in the meeting network.
        project: whether views are projected F -> D before pooling (finetune); without it D is F (frozen: F is small).
    """

    def __init__(
        self,
        *,
        n_clinical: int,
        n_features: int,
        backbone: nn.Module | None = None,
        width: int = 32,
        dropout: float = 0.2,
        project: bool = True,
    ):
        super().__init__()
        if n_clinical == 0 and n_features == 0:
            raise ValueError("OnlmModel needs clinical inputs, image features, or both; got neither.")
        self.backbone = backbone
        self.project = nn.Sequential(nn.LayerNorm(n_features), nn.Linear(n_features, width)) if project else None
        n_image = (width if project else n_features) if n_features else 0
        if n_features:
            self.pool = AttentionPool(n_image)
            self.image_linear = nn.Linear(n_image, 1, bias=False)
            nn.init.zeros_(self.image_linear.weight)
        if n_clinical:
            self.clinical_linear = nn.Linear(2 * n_clinical, 1, bias=False)
            nn.init.zeros_(self.clinical_linear.weight)
        self.bias = nn.Parameter(torch.zeros(1))
        self.n_clinical, self.n_image = n_clinical, n_image
        if width:
            last = nn.Linear(width, 1, bias=False)
            nn.init.zeros_(last.weight)
            n_joint = 2 * n_clinical + n_image
            self.joint = nn.Sequential(nn.Linear(n_joint, width), nn.ReLU(), nn.Dropout(dropout), last)
        else:
            self.joint = None

    def encode(self, batch: Batch) -> Tensor:  # -> (B, 2K + D): what both branches know, side by side
        parts = []
        if self.n_clinical:
            parts.append(torch.cat([batch.clinical, batch.missing], dim=-1))  # (B,2K)
        if self.n_image:
            views = batch.image
            if views.ndim == 5:
                n_views = views.shape[1]
                planes = views.flatten(0, 1).contiguous(memory_format=torch.channels_last)  # (B*V,C,H,W), faster so
                views = self.backbone(planes).unflatten(0, (-1, n_views))  # (B,V,F)
            if self.project is not None:
                views = self.project(views)  # (B,V,D)
            parts.append(self.pool(views))  # (B,D)
        return torch.cat(parts, dim=-1)

    def classify(self, code: Tensor) -> Tensor:  # (B, 2K + D) -> (B,)
        clinical, image = code.split([2 * self.n_clinical, self.n_image], dim=-1)
        logit = self.bias
        if self.n_clinical:
            logit = logit + self.clinical_linear(clinical).squeeze(-1)
        if self.n_image:
            logit = logit + self.image_linear(image).squeeze(-1)
        if self.joint is not None:
            logit = logit + self.joint(code).squeeze(-1)
        return logit

    def forward(self, batch: Batch) -> Tensor:  # -> logits (B,)
        return self.classify(self.encode(batch))

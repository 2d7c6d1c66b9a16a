"""The model, whole, in one file. It knows tensors, not patients.

    image (B,V,C,H,W) -> backbone -> (B,V,F) -> project -> (B,V,D) -> attention over views -> (B,D) --+
                                                                                                      +-> logit (B,)
    clinical, missing (B,K) ------------------------------------------------------> (B,2K) -----------+

Each branch has a straight (linear) way to the logit, and both meet in a small network whose last layer starts at zero:
the model begins as a sum of two linear scores and departs from it only where the data pay for it. How they meet:

    concat   side by side into one hidden layer
    gated    a gate weighs the two hidden branches, unit by unit (Arevalo et al. 2017, arXiv:1702.01992)
    film     the table scales and shifts the hidden image (Perez et al. 2018, doi:10.1609/aaai.v32i1.11671)
    late     each branch has a hidden layer of its own; only their logits are added

A patient without CT has NaN for an image, a patient without a lab 1 in `missing`; in training both are hidden at
random, so that the model knows what to say without them (modality dropout: Neverova et al. 2016,
doi:10.1109/TPAMI.2015.2461544). In frozen mode the backbone has been run before, and `image` holds its features
(B,V,F).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Batch(NamedTuple):
    """Patients as tensors. Missing clinical cells are 0 in `clinical` (the training mean) and 1 in `missing`."""

    image: Tensor | None  # (B,V,C,H,W) pixels, or (B,V,F) features; NaN: that patient has none; None: nobody has
    clinical: Tensor  # (B,K)
    missing: Tensor  # (B,K)
    onlm: Tensor  # (B,) 0, 1, or NaN
    patient_id: tuple[str, ...]


class AttentionPool(nn.Module):
    """Weighted mean over views; starts as the plain mean."""

    def __init__(self, n_features: int):
        super().__init__()
        self.score = nn.Linear(n_features, 1, bias=False)  # a bias would not outlive the softmax
        nn.init.zeros_(self.score.weight)

    def weights(self, views: Tensor) -> Tensor:  # (B,V,D) -> (B,V), which sum to 1
        return self.score(torch.tanh(views)).softmax(dim=1).squeeze(-1)

    def forward(self, views: Tensor) -> Tensor:  # (B,V,D) -> (B,D)
        return (self.weights(views).unsqueeze(-1) * views).sum(dim=1)


class Meeting(nn.Module):
    """Where table and image meet: what both say together beyond the sum of their straight ways, (B,2K), (B,D) -> (B,).
    Its last layer starts at zero."""

    def __init__(self, *, n_clinical: int, n_image: int, width: int, dropout: float, fusion: str):
        super().__init__()
        self.fusion = fusion if n_clinical and n_image else "concat"  # a branch alone has nobody to meet
        if self.fusion == "concat":
            self.hidden = nn.Linear(n_clinical + n_image, width)
        else:
            self.of_clinical = nn.Linear(n_clinical, 2 * width if self.fusion == "film" else width)
            self.of_image = nn.Linear(n_image, width)
        if self.fusion == "gated":
            self.gate = nn.Linear(n_clinical + n_image, width)
        self.dropout = nn.Dropout(dropout)
        self.last = nn.Linear(2 * width if self.fusion == "late" else width, 1, bias=False)
        nn.init.zeros_(self.last.weight)

    def forward(self, clinical: Tensor, image: Tensor) -> Tensor:
        if self.fusion == "concat":
            hidden = self.hidden(torch.cat([clinical, image], dim=-1)).relu()  # (B,D)
        elif self.fusion == "gated":
            gate = self.gate(torch.cat([clinical, image], dim=-1)).sigmoid()
            hidden = gate * self.of_image(image).tanh() + (1 - gate) * self.of_clinical(clinical).tanh()
        elif self.fusion == "film":
            scale, shift = self.of_clinical(clinical).chunk(2, dim=-1)
            hidden = ((1 + scale) * self.of_image(image) + shift).relu()
        else:
            hidden = torch.cat([self.of_clinical(clinical), self.of_image(image)], dim=-1).relu()  # (B,2D)
        return self.last(self.dropout(hidden)).squeeze(-1)


class OnlmModel(nn.Module):
    """P(occult N+) as a logit, from CT planes, clinical data, or both.

    Args:
        n_clinical: K clinical inputs; 0 turns the clinical branch off.
        n_features: F of the backbone (or of the features given); 0 turns the image branch off.
        backbone: (B,C,H,W) -> (B,F); None when features are given.
        width: D, the size of each branch where they meet; 0 leaves the two straight ways alone (an additive model).
        dropout: in the meeting network.
        project: whether views are projected F -> D before pooling (finetune); without it D is F (frozen: F is small).
        fusion: "concat", "gated", "film" or "late".
        modality_dropout: share of patients whose image is hidden in a training step (where there is a table too), and
            share of known clinical columns that are.
        columns: of each clinical input the number of the column that it comes from: what is one cell of a table is
            hidden whole; None: each input is a column.
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
        fusion: str = "concat",
        modality_dropout: float = 0.0,
        columns: Sequence[int] | None = None,
    ):
        super().__init__()
        if n_clinical == 0 and n_features == 0:
            raise ValueError("OnlmModel needs clinical inputs, image features, or both; got neither.")
        if fusion not in ("concat", "gated", "film", "late"):
            raise ValueError(f"fusion is '{fusion}'; wanted concat, gated, film or late.")
        self.backbone = backbone
        project = project and n_features > 0
        self.project = nn.Sequential(nn.LayerNorm(n_features), nn.Linear(n_features, width)) if project else None
        n_image = (width if project else n_features) if n_features else 0
        if n_features:
            self.pool = AttentionPool(n_image)
            self.image_linear = nn.Linear(n_image, 1, bias=False)
            self.no_image = nn.Parameter(torch.zeros(1))  # what is said of a patient without one
            nn.init.zeros_(self.image_linear.weight)
        if n_clinical:
            self.clinical_linear = nn.Linear(2 * n_clinical, 1, bias=False)
            nn.init.zeros_(self.clinical_linear.weight)
        self.bias = nn.Parameter(torch.zeros(1))
        self.n_clinical, self.n_image = n_clinical, n_image
        self.modality_dropout = modality_dropout
        self.columns = tuple(range(n_clinical)) if columns is None else tuple(columns)
        self.joint = (
            Meeting(n_clinical=2 * n_clinical, n_image=n_image, width=width, dropout=dropout, fusion=fusion)
            if width
            else None
        )

    def encode(self, batch: Batch) -> Tensor:
        """What is known of each patient, side by side: values and what is missing, the pooled image, and 1 where there
        is no image: (B, 2K + D + 1); without an image branch (B, 2K)."""
        parts = []
        if self.n_clinical:
            parts += self._cells(batch)
        if self.n_image:
            views, absent = self._views(batch)
            parts += [torch.where(absent, 0.0, self.pool(views)), absent.to(views.dtype)]  # (B,D), (B,1)
        return torch.cat(parts, dim=-1)

    def classify(self, code: Tensor) -> Tensor:  # (B, 2K + D + 1) -> (B,)
        clinical, image, absent = code.split(
            [2 * self.n_clinical, self.n_image, code.shape[-1] - 2 * self.n_clinical - self.n_image], dim=-1
        )
        logit = self.bias
        if self.n_clinical:
            logit = logit + self.clinical_linear(clinical).squeeze(-1)
        if self.n_image:
            logit = logit + self.image_linear(image).squeeze(-1) + self.no_image * absent.squeeze(-1)
        if self.joint is not None:
            logit = logit + self.joint(clinical, image)
        return logit

    def forward(self, batch: Batch) -> Tensor:  # -> logits (B,)
        return self.classify(self.encode(batch))

    def attention(self, batch: Batch) -> Tensor:  # -> (B,V): the weight of each view, which sum to 1
        return self.pool.weights(self._views(batch)[0])

    def _cells(self, batch: Batch) -> list[Tensor]:
        """Clinical values and what is missing, (B,K) each; in training some columns are hidden."""
        values, missing = batch.clinical, batch.missing
        if self.training and self.modality_dropout:
            n_columns = max(self.columns) + 1
            hidden = torch.rand(len(values), n_columns, device=values.device) < self.modality_dropout  # (B,columns)
            hidden = hidden[:, list(self.columns)]  # (B,K)
            values, missing = torch.where(hidden, 0.0, values), torch.where(hidden, 1.0, missing)
        return [values, missing]

    def _views(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Every view as a row of features (B,V,D), and who has no image (B,1) bool; in training some are hidden."""
        views = batch.image
        absent = views.flatten(1).isnan().any(dim=1, keepdim=True)  # (B,1)
        views = views.nan_to_num()
        if self.training and self.modality_dropout and self.n_clinical:
            absent = absent | (torch.rand(len(views), 1, device=views.device) < self.modality_dropout)
        if views.ndim == 5:
            n_views = views.shape[1]
            planes = views.flatten(0, 1).contiguous(memory_format=torch.channels_last)  # (B*V,C,H,W), faster so
            views = self.backbone(planes).unflatten(0, (-1, n_views))  # (B,V,F)
        return (views if self.project is None else self.project(views)), absent

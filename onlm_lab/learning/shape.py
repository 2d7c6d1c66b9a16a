"""The shape of a model by what study.toml says: built the same way to be trained, and to be opened again."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from onlm_lab.learning.features import FrozenFeatures, Projection
from onlm_lab.learning.model import Batch, OnlmModel
from onlm_lab.study.learning import Model


def build_network(
    model: Model, *, n_clinical: int, n_features: int, backbone: nn.Module | None = None,
    columns: Sequence[int] | None = None,
) -> OnlmModel:  # fmt: skip
    """An untrained network, in training mode.

    Args:
        model: [model] of the study.
        n_clinical: clinical inputs; 0 for an image-only model.
        n_features: of the backbone, or of the projected features in frozen mode; 0 for a clinical-only model.
        backbone: finetune mode; None where features are given: then views are not projected again, and table and image
            meet in a network of their own only where both are there.
        columns: of each clinical input the number of the column that it comes from.
    """
    frozen, both = backbone is None, n_clinical > 0 and n_features > 0
    return OnlmModel(
        n_clinical=n_clinical, n_features=n_features, backbone=backbone, project=not frozen, dropout=model.dropout,
        width=0 if frozen and not both else model.width, fusion=model.fusion, modality_dropout=model.modality_dropout,
        columns=columns,
    )  # fmt: skip


class FrozenNetwork(nn.Module):
    """Backbone, projection and head in a row: what a seed of frozen mode says of planes, (B,V,C,H,W) -> logit (B,).

    Gradients pass all the way. `extractor.tap` is the map to look at.
    """

    def __init__(self, *, extractor: FrozenFeatures, projection: Projection, head: OnlmModel):
        super().__init__()
        self.extractor, self.head = extractor, head
        self.register_buffer("mean", projection.mean)
        self.register_buffer("basis", projection.basis)

    def features(self, planes: Tensor) -> Tensor:  # scaled planes (B,V,C,H,W) -> (B,V,F); NaN where there is no CT
        absent = planes.flatten(1).isnan().any(dim=1)  # (B,)
        pixels = planes.flatten(0, 1).nan_to_num().contiguous(memory_format=torch.channels_last)
        found = self.extractor(pixels).unflatten(0, planes.shape[:2])
        return torch.where(absent[:, None, None], torch.nan, found)

    def project(self, features: Tensor) -> Tensor:  # (B,V,F) -> (B,V,D)
        return (features - self.mean) @ self.basis

    def encode(self, batch: Batch) -> Tensor:  # as OnlmModel.encode
        return self.head.encode(self._projected(batch))

    def classify(self, code: Tensor) -> Tensor:  # as OnlmModel.classify
        return self.head.classify(code)

    def attention(self, batch: Batch) -> Tensor:  # (B,V): the weight of each view, which sum to 1
        return self.head.attention(self._projected(batch))

    def forward(self, batch: Batch) -> Tensor:  # -> logits (B,)
        return self.classify(self.encode(batch))

    def _projected(self, batch: Batch) -> Batch:
        """`image` may be planes or, where the backbone has been run before, its features."""
        views = self.features(batch.image) if batch.image.ndim == 5 else batch.image
        return batch._replace(image=self.project(views))

"""Frozen mode: the backbone's features of every patient's planes, computed once and kept in the run's folder.

No row teaches another here: the backbone is fixed, so that features may be computed before any split. What is learnt
from features (their mean, their main directions) is learnt in `Projection.fit`, from training rows.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from onlm_lab import steps
from onlm_lab.errors import OnlmError
from onlm_lab.learning.dataset import Layout, cut_planes
from onlm_lab.learning.weights import Backbone
from onlm_lab.patches import PatchCache

WEIGHT = 16.0
BATCH_PATIENTS = 8


class FrozenFeatures(nn.Module):
    """Planes -> one row of features a plane: (B,C,H,W) -> (B,F).

    The mean, over the whole plane and over its middle, of the backbone's maps of the two scales before the coarsest:
    what is specific to the photographs that the backbone was trained on comes last and is left out (as Lu et al. 2021,
    doi:10.1038/s41551-020-00682-w, cut a ResNet-50 after its third block). A backbone that gives no maps gives its last
    features.
    """

    def __init__(self, module: nn.Module):
        super().__init__()
        self.module = module
        self.maps = _middle_maps(module)
        self.tap = nn.Identity()  # the last map that counts passes here, so that it can be looked at

    def forward(self, planes: Tensor) -> Tensor:
        if not self.maps:
            return self.module(planes)
        found = self.module.forward_intermediates(
            planes, indices=list(self.maps), output_fmt="NCHW", intermediates_only=True, stop_early=True
        )
        found[-1] = self.tap(found[-1])
        parts = []
        for fmap in found:  # (B,F,h,w)
            top, left = fmap.shape[2] // 4, fmap.shape[3] // 4
            middle = fmap[:, :, top : fmap.shape[2] - top, left : fmap.shape[3] - left]
            parts += [fmap.mean(dim=(2, 3)), middle.mean(dim=(2, 3))]
        return torch.cat(parts, dim=1)


def _middle_maps(module: nn.Module) -> tuple[int, ...]:
    """Numbers of the maps to take: the last one of each scale, the coarsest scale left out where there are others, two
    at most; none where the backbone cannot give maps."""
    info = getattr(module, "feature_info", None)
    if info is None or not hasattr(module, "forward_intermediates"):
        return ()
    info = info if isinstance(info, list) else info.info
    last = {item["reduction"]: number for number, item in enumerate(info)}  # the last map of each scale
    scales = sorted(last)
    return tuple(last[scale] for scale in (scales[:-1] or scales)[-2:])


def unwatched(items: Iterable, *, total: int) -> Iterator:
    """The items as they come, with no progress shown."""
    return iter(items)


def backbone_features(
    cache: PatchCache,
    *,
    patient_ids: Sequence[str],
    backbone: Backbone,
    layout: Layout,
    folder: Path,
    watch: Callable[..., Iterable] = unwatched,
) -> np.ndarray:
    """Features float32 (n,V,F), in the order of `patient_ids`; read from the folder where they are already there.

    Args:
        cache: patches.
        patient_ids: whose.
        backbone: frozen.
        layout: planes.
        folder: keeps features.npy and features.json, which names what they were made from.
        watch: wraps the batches (and takes `total`), to show progress.
    """
    extractor = FrozenFeatures(backbone.module).eval()
    said = {
        "patches": cache.digest, "patient_ids": list(patient_ids), "backbone": backbone.sha256,
        "scaling": [backbone.mean, backbone.std], "layout": layout.to_dict(), "maps": extractor.maps,
    }  # fmt: skip
    said = json.loads(json.dumps(said))
    note, path = folder / "features.json", folder / "features.npy"
    if note.is_file() and path.is_file() and json.loads(note.read_text(encoding="utf-8")) == said:
        return np.load(path, allow_pickle=False)
    batches = [patient_ids[i : i + BATCH_PATIENTS] for i in range(0, len(patient_ids), BATCH_PATIENTS)]

    def work(ids: Sequence[str]) -> Tensor:
        planes = cut_planes(torch.from_numpy(cache.array(ids)), layout=layout)
        return frozen_rows(planes, extractor=extractor, mean=backbone.mean, std=backbone.std)

    # Whole batches beside each other, each on one thread: the numbers do not depend on how many cores there are.
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        found = list(watch(pool.map(work, batches), total=len(batches)))
    features = torch.cat(found).numpy()
    if not np.isfinite(features).all():
        bad = [i for i, row in zip(patient_ids, features, strict=True) if not np.isfinite(row).all()]
        raise OnlmError(
            f"The backbone gives no finite features for {len(bad)} of {len(patient_ids)} patients "
            f"({', '.join(bad[:5])}). Look at their patches, or at the weights."
        )
    note.unlink(missing_ok=True)
    write_array(path, features)
    steps.write_text(note, json.dumps(said, indent=1))
    return features


@torch.inference_mode()
def frozen_rows(planes: Tensor, *, extractor: FrozenFeatures, mean: float, std: float) -> Tensor:
    """Features of planes in [0,1]: (B,V,C,H,W) -> (B,V,F)."""
    pixels = (planes.flatten(0, 1) - mean) / std
    pixels = pixels.contiguous(memory_format=torch.channels_last)
    return extractor(pixels).unflatten(0, planes.shape[:2])


@dataclass(frozen=True, eq=False)
class Projection:
    """Mean and main directions of features, learnt from training rows: (n,V,F) -> (n,V,D), weighing as much as
    `WEIGHT` standardised columns, so that a penalty shrinks image and table alike."""

    mean: Tensor  # (F,)
    basis: Tensor  # (F,D)

    @classmethod
    def fit(cls, features: Tensor, *, n_components: int) -> Projection:
        """Principal components of the standardised features of training rows (views are rows of their own)."""
        rows = features.flatten(0, 1).double()  # (n*V,F)
        mean, std = rows.mean(dim=0), rows.std(dim=0).clamp_min(1e-6)
        rows = (rows - mean) / std
        few_rows = len(rows) < rows.shape[1]  # the same directions from the smaller of two square matrices
        size, found = torch.linalg.eigh(rows @ rows.T if few_rows else rows.T @ rows)
        kept = min(n_components, int((size > 1e-9 * size[-1]).sum()))
        size, found = size.flip(0)[:kept], found.flip(1)[:, :kept]
        directions = rows.T @ found / size.sqrt() if few_rows else found  # (F,D) unit columns
        peak = directions.gather(0, directions.abs().argmax(dim=0, keepdim=True))
        scale = (size.sum() / (len(rows) - 1)).sqrt()
        basis = directions * torch.sign(peak) / std[:, None] * (WEIGHT**0.5 / scale)  # the sign is otherwise left open
        return cls(mean=mean.float(), basis=basis.float())

    def apply(self, features: Tensor) -> Tensor:
        return (features - self.mean) @ self.basis


def write_array(path: Path, values: np.ndarray) -> None:
    """An .npy file, whole or not at all."""
    with steps.whole_or_not(path) as half, half.open("wb") as stream:
        np.save(stream, values, allow_pickle=False)

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
from torch import Tensor

from onlm_lab import steps
from onlm_lab.errors import OnlmError
from onlm_lab.learning.dataset import Layout, cut_planes, flips
from onlm_lab.learning.weights import Backbone
from onlm_lab.patches import PatchCache

POSES = ((1, 1, 1),)  # features are the mean over these mirrored poses; more of them cost time and won nothing
WEIGHT = 16.0
BATCH_PATIENTS = 8


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
    said = {
        "patches": cache.digest, "patient_ids": list(patient_ids), "backbone": backbone.sha256,
        "scaling": [backbone.mean, backbone.std], "layout": layout.to_dict(), "poses": POSES,
    }  # fmt: skip
    said = json.loads(json.dumps(said))
    note, path = folder / "features.json", folder / "features.npy"
    if note.is_file() and path.is_file() and json.loads(note.read_text(encoding="utf-8")) == said:
        return np.load(path, allow_pickle=False)
    batches = [patient_ids[i : i + BATCH_PATIENTS] for i in range(0, len(patient_ids), BATCH_PATIENTS)]
    backbone.module.eval()

    def work(ids: Sequence[str]) -> Tensor:
        return _features(torch.from_numpy(cache.array(ids).astype(np.float32)), backbone=backbone, layout=layout)

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
def _features(patches: Tensor, *, backbone: Backbone, layout: Layout) -> Tensor:
    """Mean over poses: (B,D,D,D) -> (B,V,F)."""
    total: Tensor | float = 0.0
    for pose in flips(*POSES):
        planes = cut_planes(patches, layout=layout, pose=pose.expand(len(patches), -1, -1))  # (B,V,C,H,W)
        pixels = (planes.flatten(0, 1) - backbone.mean) / backbone.std
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        total = total + backbone.module(pixels).unflatten(0, planes.shape[:2])
    return total / len(POSES)


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
        size, left = torch.linalg.eigh(rows @ rows.T)  # fewer rows than features: the small way round
        kept = min(n_components, int((size > 1e-9 * size[-1]).sum()))
        size, left = size.flip(0)[:kept], left.flip(1)[:, :kept]
        directions = rows.T @ left / size.sqrt()  # (F,D) unit columns
        peak = directions.gather(0, directions.abs().argmax(dim=0, keepdim=True))
        scale = (size.sum() / (len(rows) - 1)).sqrt()
        basis = directions * torch.sign(peak) / std[:, None] * (WEIGHT**0.5 / scale)  # the sign is otherwise left open
        return cls(mean=mean.float(), basis=basis.float())

    def apply(self, features: Tensor) -> Tensor:
        return (features - self.mean) @ self.basis


def write_array(path: Path, values: np.ndarray) -> None:
    """An .npy file, whole or not at all."""
    half = path.with_name(f".{path.name}.half")
    with half.open("wb") as stream:
        np.save(stream, values, allow_pickle=False)
        stream.flush()
    half.replace(path)

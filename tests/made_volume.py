"""A written CT whose every voxel the tests know, as `onlm volume` leaves it: numpy and json, no DICOM."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

SHAPE, SPACING_MM, FIRST_MM = (44, 64, 80), (2.5, 0.8, 0.8), (-32.0, -25.6, -50.0)
AIR, TISSUE, TUMOUR = -1000, 40, 300
BODY = (slice(2, 38), slice(8, 56), slice(10, 70))
BOX = [[16, 24], [20, 32], [18, 30]]  # of the tumour: to the right, in front of the middle
CENTRE = [19.5, 25.5, 23.5]


def voxels(*, shape=SHAPE):
    """Tissue in air and a tumour; slice k of the air holds AIR + k, so that every slice is another."""
    hu = np.full(shape, AIR, dtype=np.int16) + np.arange(shape[0], dtype=np.int16)[:, None, None]
    hu[BODY] = TISSUE
    hu[tuple(slice(*ends) for ends in BOX)] = TUMOUR
    return hu


def write_volume(folder: Path, *, name: str = "P1", hu=None, with_mask: bool = True, **facts) -> Path:
    """The .npy of a written CT, its facts and its mask beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    hu = voxels() if hu is None else hu
    told = {
        "patient_id": name, "key": "k", "shape": list(hu.shape), "spacing_mm": list(SPACING_MM),
        "first_mm": list(FIRST_MM), "oblique_degrees": 0.0, "series_uid": "1.2", "warnings": [], "made_up": True,
        "centre_voxel": CENTRE, "why_no_centre": "", "mask_box": BOX if with_mask else None,
        "why_no_mask": "" if with_mask else "The annotation names no mask.",
    } | facts  # fmt: skip
    path = folder / f"{name}.npy"
    np.save(path, hu)
    if with_mask:
        with path.with_suffix(".mask").open("wb") as stream:
            np.save(stream, np.ones([last - first for first, last in BOX], dtype=np.uint8))
    path.with_suffix(".json").write_text(json.dumps(told), encoding="utf-8")
    return path

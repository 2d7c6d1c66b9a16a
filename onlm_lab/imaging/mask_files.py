"""Reads a mask that comes as NIfTI, NRRD or MetaImage onto the grid of its CT, and checks that it lies there."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from onlm_lab.errors import SeriesError
from onlm_lab.imaging.privacy import safe_file_name
from onlm_lab.imaging.volume import CtVolume
from onlm_lab.imaging.volume_files import read_image

OUTSIDE_FRACTION = 0.01  # this much of a mask may lie beyond the scan: rounding at its edge
ON_GRID = 0.01  # voxels; closer than this two grids are the same
ROUNDED = 1e-3  # a label may be off a whole number by this much
SAME_BOX = 0.5  # voxels; corners of two grids of one size that lie further apart are of different grids


def read_mask_file(path: Path, volume: CtVolume, roi: str | int | None) -> np.ndarray:
    """One label as a mask (z,y,x); see `masks.read_mask`."""
    name = safe_file_name(path)
    image = read_image(path, what="The mask ")
    values = sitk.GetArrayViewFromImage(image)
    wanted = _chosen_label(values, name, roi)
    chosen = sitk.GetImageFromArray((np.abs(values - float(wanted)) <= ROUNDED).astype(np.uint8))
    chosen.CopyInformation(image)
    mask = on_grid(chosen, name, volume)
    _refuse_lost_geometry(image, name, volume)
    return mask


def _chosen_label(values: np.ndarray, name: str, roi: str | int | None) -> int:
    """The label that `roi` stands for, or the only one.

    Raises:
        SeriesError: no label or not one, values that are no labels, or a roi that is not among them.
    """
    found = np.unique(values)
    if not np.isfinite(found).all() or np.abs(found - np.rint(found)).max() > ROUNDED:
        odd = found[~np.isfinite(found) | (np.abs(found - np.rint(found)) > ROUNDED)][0]
        raise SeriesError(
            f"The mask '{name}' holds values that are no labels, as {odd:g}: whole numbers are wanted. It is an image, "
            "or was resampled with interpolation; resample it by nearest neighbour."
        )
    labels = [int(label) for label in np.unique(np.rint(found)).tolist() if label != 0]
    if not labels:
        raise SeriesError(f"The mask '{name}' is empty: every voxel is 0.")
    shown = ", ".join(map(str, labels[:10])) + (f" and {len(labels) - 10} more" if len(labels) > 10 else "")
    if roi is None:
        if len(labels) > 1:
            raise SeriesError(f"The mask '{name}' holds {len(labels)} labels; name one as roi: {shown}.")
        return labels[0]
    try:
        wanted = float(roi)
    except ValueError:
        wanted = float("nan")
    if wanted not in labels:
        raise SeriesError(f"The mask '{name}' has no label {roi}; there are: {shown}.")
    return int(wanted)


def on_grid(chosen: sitk.Image, name: str, volume: CtVolume) -> np.ndarray:
    """A mask on any grid, resampled to the CT's by nearest neighbour.

    Raises:
        SeriesError: more than OUTSIDE_FRACTION of it lies outside the scan.
    """
    _refuse_outside(chosen, name, volume)
    placed = sitk.Resample(chosen, _like(volume), sitk.Transform(), sitk.sitkNearestNeighbor, 0, sitk.sitkUInt8)
    return sitk.GetArrayFromImage(placed).astype(bool)


def _like(volume: CtVolume) -> sitk.Image:
    """An empty SimpleITK image with the CT's geometry."""
    image = sitk.Image([int(n) for n in volume.shape[::-1]], sitk.sitkUInt8)
    image.SetSpacing([float(value) for value in volume.spacing_mm[::-1]])
    image.SetOrigin([float(value) for value in volume.origin_mm])
    image.SetDirection(np.asarray(volume.direction, dtype=float)[:, ::-1].ravel().tolist())
    return image


def _refuse_lost_geometry(image: sitk.Image, name: str, volume: CtVolume) -> None:
    """A mask with the CT's number of voxels has to fill the CT's box, whichever way its axes run."""
    size = sorted(image.GetSize())
    stored = volume.acquisition.get("stored_shape")
    if stored is not None and tuple(stored) != volume.shape and size == sorted(stored):
        raise SeriesError(
            f"The mask '{name}' has the {tuple(stored)} voxels of the slices as they were scanned, which this file "
            "format cannot place where the gantry was tilted or slices are uneven. Give an RTSTRUCT or SEG."
        )
    if size != sorted(volume.shape):
        return
    there = volume.to_voxel(np.array([image.TransformIndexToPhysicalPoint(c) for c in _corners(image.GetSize())]))
    own = np.array(_corners(volume.shape), dtype=float)
    apart = np.linalg.norm(there[:, None] - own, axis=2).min(axis=1).max()
    if apart > SAME_BOX:
        raise SeriesError(
            f"The mask '{name}' has as many voxels as the CT, {volume.shape}, but lies elsewhere: its corners are "
            f"{apart:.1f} voxels off. Its file lost the geometry or was turned; export it with that of the CT."
        )


def _corners(size: tuple[int, ...]) -> list[tuple[int, ...]]:
    return list(itertools.product(*((0, n - 1) for n in size)))


def _refuse_outside(chosen: sitk.Image, name: str, volume: CtVolume) -> None:
    index_zyx = np.argwhere(sitk.GetArrayViewFromImage(chosen))
    matrix = np.reshape(chosen.GetDirection(), (3, 3)) * np.array(chosen.GetSpacing())
    places = volume.to_voxel(index_zyx[:, ::-1] @ matrix.T + np.array(chosen.GetOrigin()))
    inside = ((places > -0.5 - ON_GRID) & (places < np.array(volume.shape) - 0.5 + ON_GRID)).all(axis=1)
    n_outside = int((~inside).sum())
    if n_outside > OUTSIDE_FRACTION * len(places):
        raise SeriesError(
            f"{n_outside} of {len(places)} voxels of the mask '{name}' lie outside the scan. It was drawn on another "
            "series, or its file lost the geometry."
        )

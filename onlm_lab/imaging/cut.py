"""Cuts the patch around a tumour out of a CT, on the patient's axes, decoding only the slices that it needs."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter1d, map_coordinates

from onlm_lab.errors import SeriesError
from onlm_lab.imaging.indexing import SeriesIndex, index_series
from onlm_lab.imaging.planes import read_block
from onlm_lab.imaging.privacy import find_path
from onlm_lab.imaging.volume import CtVolume, patient_mm_to_voxel
from onlm_lab.imaging.volume_files import VOLUME_FILES, read_volume_file
from onlm_lab.patches import PatchSpec

_WHOLE = 1000  # a voxel that lies in a mask, in thousandths
FWHM_PER_SIGMA = 2.0 * np.sqrt(2.0 * np.log(2.0))


def cut_patch(
    source: CtVolume | SeriesIndex | str | os.PathLike,
    centre_mm: tuple[float, float, float],
    spec: PatchSpec,
    *,
    series_uid: str | None = None,
) -> np.ndarray:
    """The cube around a tumour, float32 (z,y,x) in HU, z towards the head, y towards the back, x to the left (LPS).

    Voxel centres lie evenly around `centre_mm`, whatever the orientation of the scan. Values are trilinear; along an
    axis that becomes coarser the CT is first smoothed with the Gaussian whose width matches the two voxel sizes
    (Cardoso et al., MICCAI 2015, doi:10.1007/978-3-319-24571-3_81). Beyond the scan the value is spec.outside_hu.

    Args:
        source: a CT in memory, an index of `index_series`, or the folder of a series, of which only the slices and
            rows around the tumour are read.
        centre_mm: x, y, z in mm in the DICOM patient frame (LPS).
        spec: size and spacing.
        series_uid: needed where a folder holds several CT series.

    Raises:
        SeriesError: the series cannot be read, or the centre lies outside the scan.
    """
    source = _opened(source, series_uid)
    grid = _Grid(source.spacing_mm, source.origin_mm, source.direction, source.shape)
    centre = np.asarray(centre_mm, dtype=float)
    _refuse_outside(grid, centre)
    corners, sigma = _reach(grid, centre, spec)
    margin = np.ceil(4.0 * sigma).astype(int) + 1
    first = np.maximum(np.floor(corners.min(axis=0)).astype(int) - margin, 0)
    last = np.minimum(np.ceil(corners.max(axis=0)).astype(int) + margin + 1, grid.shape)
    block = _block(source, first, last)
    for axis in range(3):
        if sigma[axis] > 0:
            block = gaussian_filter1d(block, sigma[axis], axis=axis, mode="nearest", truncate=4.0)
    return _sample(block, first, grid, centre, spec)


def cut_mask(mask: np.ndarray, volume: CtVolume, centre_mm: tuple[float, float, float], spec: PatchSpec) -> np.ndarray:
    """A tumour's mask on the voxels of its patch, bool (z,y,x): those of which at least half lies in it.

    Args:
        mask: bool (z,y,x) on the grid of the CT.
        volume: the CT.
        centre_mm, spec: as in `cut_patch`.

    Raises:
        SeriesError: the centre lies outside the scan.
    """
    share = replace(volume, hu=mask.astype(np.int16) * _WHOLE, padding=None)
    return cut_patch(share, centre_mm, replace(spec, outside_hu=0)) >= _WHOLE / 2


@dataclass(frozen=True, eq=False)
class _Grid:
    spacing_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float]
    direction: np.ndarray
    shape: tuple[int, int, int]

    def to_voxel(self, position_mm: np.ndarray) -> np.ndarray:
        return patient_mm_to_voxel(
            position_mm, spacing_mm=self.spacing_mm, origin_mm=self.origin_mm, direction=self.direction
        )


def _opened(source: CtVolume | SeriesIndex | str | os.PathLike, series_uid: str | None) -> CtVolume | SeriesIndex:
    if isinstance(source, CtVolume | SeriesIndex):
        return source
    path = find_path(Path(source))
    if path.is_file() and str(path).lower().endswith(VOLUME_FILES):
        return read_volume_file(path)
    return index_series(path, series_uid)


def _refuse_outside(grid: _Grid, centre: np.ndarray) -> None:
    place = grid.to_voxel(centre)
    if centre.shape != (3,) or not np.isfinite(centre).all():
        raise SeriesError(f"The tumour centre is {centre.tolist()}; x, y and z in mm are wanted.")
    if (place < -0.5).any() or (place > np.array(grid.shape) - 0.5).any():
        text = ", ".join(f"{value:.1f}" for value in centre)
        index = ", ".join(f"{value:.0f}" for value in place)
        raise SeriesError(
            f"The tumour centre x, y, z = {text} mm lies outside the scan: voxel z, y, x = {index} of {grid.shape}. "
            "Positions are in the DICOM patient frame (LPS); check the sign of x and y."
        )


def _offsets_mm(spec: PatchSpec) -> np.ndarray:
    return (np.arange(spec.n_voxels) - (spec.n_voxels - 1) / 2.0) * spec.spacing_mm


def _reach(grid: _Grid, centre: np.ndarray, spec: PatchSpec) -> tuple[np.ndarray, np.ndarray]:
    """The voxel indices of the cube's eight corners, and the smoothing along each axis of the scan in voxels."""
    ends = _offsets_mm(spec)[[0, -1]]
    corners = grid.to_voxel(centre + np.array([[x, y, z] for x in ends for y in ends for z in ends]))
    source = np.array(grid.spacing_mm)
    widened = np.maximum(spec.spacing_mm**2 - source**2, 0.0)
    return corners, np.sqrt(widened) / FWHM_PER_SIGMA / source


def _block(source: CtVolume | SeriesIndex, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    z, y, x = (slice(start, stop) for start, stop in zip(first, last, strict=True))
    if isinstance(source, CtVolume):
        return source.hu[z, y, x].astype(np.float32)
    return read_block(source.folder, source.headers, source.grid, z=z, y=y, x=x)[0].astype(np.float32)


def _sample(block: np.ndarray, first: np.ndarray, grid: _Grid, centre: np.ndarray, spec: PatchSpec) -> np.ndarray:
    offsets = _offsets_mm(spec)
    # The voxel index is affine in the position: one step of x, y and z each, added up by broadcasting.
    steps = grid.direction.T / np.array(grid.spacing_mm)[:, None]  # (voxel axis, patient axis)
    start = grid.to_voxel(centre)
    z, y, x = offsets[:, None, None], offsets[None, :, None], offsets[None, None, :]
    index = [start[k] + steps[k, 0] * x + steps[k, 1] * y + steps[k, 2] * z for k in range(3)]
    outside = np.zeros(spec.shape, dtype=bool)
    for k in range(3):
        # A voxel reaches half a spacing beyond its centre; the tolerance is for rounding in the sum above.
        outside |= (index[k] < -0.5 - 1e-6) | (index[k] > grid.shape[k] - 0.5 + 1e-6)
    places = np.stack([np.broadcast_to(index[k] - first[k], spec.shape) for k in range(3)])
    patch = map_coordinates(block, places, order=1, mode="nearest", output=np.float32)
    patch[outside] = spec.outside_hu
    return patch

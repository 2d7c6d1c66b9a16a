"""CtVolume: a chest CT in Hounsfield units with its place in the patient, and the one conversion each way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from onlm_lab.showing import Said, quantity, shows_itself

_TOLD = {"manufacturer": "maker", "kernel": "kernel", "kvp": "kV", "thickness_mm": "slice thickness, mm"}
OUTSIDE_HU = -1024  # what padding and everything beyond the scan reads as: air


@shows_itself
@dataclass(frozen=True, eq=False)
class CtVolume:
    """A CT in Hounsfield units, in the DICOM patient frame (LPS).

    Attributes:
        hu: int16 (z,y,x). The z index rises along the slice normal; padding reads as -1024.
        spacing_mm: distance of neighbouring voxel centres along (z, y, x); z comes from slice positions.
        origin_mm: (x, y, z) of the centre of voxel [0, 0, 0].
        direction: 3x3; the columns are the unit vectors of the z, y and x index in LPS.
        series_uid: the DICOM SeriesInstanceUID, or "" for a NIfTI or NRRD file.
        acquisition: how the scan was made (kernel, kvp, thickness_mm, ...); holds nothing that names the patient.
        padding: bool (z,y,x), true where the scanner wrote padding instead of a measurement; None when nowhere.
        slice_z: z index, with fractions, of every slice that was scanned, where the planes are not the slices
            themselves because uneven or missing slices were made even; else None.
    """

    hu: np.ndarray
    spacing_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float]
    direction: np.ndarray
    series_uid: str
    acquisition: Mapping[str, Any]
    padding: np.ndarray | None = None
    slice_z: np.ndarray | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along (z, y, x)."""
        return self.hu.shape  # type: ignore[return-value]

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in millilitres."""
        return float(np.prod(self.spacing_mm)) / 1000.0

    @property
    def frame_of_reference_uid(self) -> str:
        """The DICOM FrameOfReferenceUID, or "" where the scan has none."""
        return str(self.acquisition.get("frame_of_reference_uid", ""))

    @property
    def nearest_axes(self) -> tuple[tuple[int, int, int], np.ndarray]:
        """Which index runs most along the patient's z, y and x; and whether each runs the other way (bool)."""
        along = np.asarray(self.direction)[::-1]  # rows: the patient's z, y, x; columns: the z, y and x index
        order: list[int] = []
        for axis in range(3):
            free = [k for k in range(3) if k not in order]
            order.append(max(free, key=lambda k: abs(along[axis, k])))
        return tuple(order), np.array([along[axis, k] < 0 for axis, k in enumerate(order)])

    def _said(self) -> Said:
        n, spacing = " x ".join(map(str, self.shape)), quantity(self.spacing_mm, "mm")
        extent = tuple(k * mm for k, mm in zip(self.shape, self.spacing_mm, strict=True))
        facts = {
            "voxels (z, y, x)": n, "spacing (z, y, x)": spacing, "extent (z, y, x)": quantity(extent, "mm"),
            "first voxel (x, y, z)": f"{', '.join(f'{mm:.1f}' for mm in self.origin_mm)} mm, LPS",
            "HU": f"{int(self.hu.min())} to {int(self.hu.max())}" if self.hu.size else "",
            "padding": f"{self.padding.mean():.1%} of the voxels" if self.padding is not None else "none",
        } | {words: self.acquisition.get(name) for name, words in _TOLD.items()}  # fmt: skip
        return Said(f"CT of {n} voxels, {spacing} apart (z, y, x)", facts)

    def to_patient_mm(self, index_zyx: np.ndarray) -> np.ndarray:
        """Positions (..., 3) as x, y, z in mm (LPS) of voxel indices (..., 3) as z, y, x; fractions allowed."""
        return voxel_to_patient_mm(
            index_zyx, spacing_mm=self.spacing_mm, origin_mm=self.origin_mm, direction=self.direction
        )

    def to_voxel(self, position_mm: np.ndarray) -> np.ndarray:
        """Voxel indices (..., 3) as z, y, x (fractional) of positions (..., 3) as x, y, z in mm (LPS)."""
        return patient_mm_to_voxel(
            position_mm, spacing_mm=self.spacing_mm, origin_mm=self.origin_mm, direction=self.direction
        )


def voxel_to_patient_mm(
    index_zyx: np.ndarray,
    *,
    spacing_mm: tuple[float, float, float],
    origin_mm: tuple[float, float, float],
    direction: np.ndarray,
) -> np.ndarray:
    """Positions (..., 3) as x, y, z in mm (LPS) of voxel indices (..., 3) as z, y, x.

    Example:
        >>> voxel_to_patient_mm([1, 0, 0], spacing_mm=(3, 1, 1), origin_mm=(5, 6, 7), direction=np.eye(3)[:, ::-1])
        array([ 5.,  6., 10.])
    """
    scaled = np.asarray(index_zyx, dtype=float) * np.asarray(spacing_mm, dtype=float)
    return scaled @ np.asarray(direction).T + np.asarray(origin_mm, dtype=float)


def patient_mm_to_voxel(
    position_mm: np.ndarray,
    *,
    spacing_mm: tuple[float, float, float],
    origin_mm: tuple[float, float, float],
    direction: np.ndarray,
) -> np.ndarray:
    """Voxel indices (..., 3) as z, y, x (fractional) of positions (..., 3) as x, y, z in mm (LPS)."""
    shifted = np.asarray(position_mm, dtype=float) - np.asarray(origin_mm, dtype=float)
    return (shifted @ np.asarray(direction)) / np.asarray(spacing_mm, dtype=float)


def patient_axes(volume: CtVolume) -> tuple[np.ndarray, tuple[float, float, float]]:
    """The CT turned so that its indices run along the patient's z (to the head), y (to the back) and x (to the left).

    Nothing is interpolated: an oblique scan is turned to the axes that lie nearest.

    Returns:
        A view of the HU, and the spacing in mm along its axes.
    """
    order, flipped = volume.nearest_axes
    turned = volume.hu.transpose(order)
    turned = turned[tuple(slice(None, None, -1) if back else slice(None) for back in flipped)]
    return turned, tuple(volume.spacing_mm[k] for k in order)

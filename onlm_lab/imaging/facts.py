"""Measures a tumour on its CT: diameters, volume, density, and how much of it is solid."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.ndimage import find_objects, generate_binary_structure, label
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist

from onlm_lab.errors import SeriesError
from onlm_lab.imaging.volume import CtVolume


@dataclass(frozen=True)
class TumourFacts:
    """What a mask and its CT say about a tumour before treatment.

    Diameters run between the faces of outermost voxels (face midpoints), as a calliper on the screen does, so that a
    sphere's diameter comes back without the bias of centre-to-centre (short) or corner-to-corner (long).

    Attributes:
        n_voxels: voxels of the mask.
        volume_ml: their volume.
        longest_axial_mm: longest diameter within one slice of the scan.
        longest_3d_mm: longest diameter in any direction.
        solid_axial_mm: longest diameter within one slice of the largest connected part at or above solid_cut_hu; 0
            without such a voxel.
        ctr: solid_axial_mm / longest_axial_mm, the consolidation-to-tumour ratio.
        solid_volume_fraction: part of the voxels at or above solid_cut_hu.
        mean_hu, median_hu, p10_hu, p90_hu: density over the mask.
        mean_solid_hu: density over the voxels at or above solid_cut_hu; NaN without one.
        solid_cut_hu: the cut that was used.
        touches_edge: whether the mask reaches the edge of the scan, so that part of the tumour may be missing.
    """

    n_voxels: int
    volume_ml: float
    longest_axial_mm: float
    longest_3d_mm: float
    solid_axial_mm: float
    ctr: float
    solid_volume_fraction: float
    mean_hu: float
    median_hu: float
    p10_hu: float
    p90_hu: float
    mean_solid_hu: float
    solid_cut_hu: float
    touches_edge: bool

    def as_dict(self) -> dict[str, Any]:
        """The facts by name, for a table."""
        return asdict(self)


def measure_tumour(mask: np.ndarray, volume: CtVolume, *, solid_cut_hu: float = -300.0) -> TumourFacts:
    """Size, density and solid part of a tumour.

    Args:
        mask: bool (z,y,x) on the grid of the CT, as `read_mask` gives it.
        volume: the CT.
        solid_cut_hu: the Hounsfield value that separates solid from ground glass. Which one is right is disputed
            (-160, -300 and others are in use), so it is part of the result.

    Raises:
        SeriesError: the mask is empty or has another shape than the CT.

    Example:
        >>> hu = np.full((5, 5, 5), 40, np.int16)
        >>> volume = CtVolume(hu, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), np.eye(3)[:, ::-1], "", {})
        >>> mask = np.zeros(hu.shape, bool); mask[2, 2, 1:4] = True
        >>> measure_tumour(mask, volume).longest_axial_mm
        3.0
    """
    if mask.shape != volume.shape:
        raise SeriesError(f"The mask has shape {mask.shape}, the CT {volume.shape}; read the mask onto this CT.")
    if not mask.any():
        raise SeriesError("The tumour's mask is empty, so there is nothing to measure.")
    box = find_objects(mask.astype(np.uint8))[0]
    inside, hu = mask[box], volume.hu[box]
    values = hu[inside].astype(float)
    solid = inside & (hu >= solid_cut_hu)
    longest = _longest_axial_mm(inside, volume.spacing_mm)
    solid_mm = _longest_axial_mm(_largest_part(solid), volume.spacing_mm) if solid.any() else 0.0
    p10, median, p90 = np.percentile(values, [10, 50, 90])
    return TumourFacts(
        n_voxels=int(inside.sum()),
        volume_ml=float(inside.sum() * volume.voxel_ml),
        longest_axial_mm=longest,
        longest_3d_mm=_longest_mm(_face_midpoints(inside) * volume.spacing_mm),
        solid_axial_mm=solid_mm,
        ctr=solid_mm / longest,
        solid_volume_fraction=float(solid.sum() / inside.sum()),
        mean_hu=float(values.mean()),
        median_hu=float(median),
        p10_hu=float(p10),
        p90_hu=float(p90),
        mean_solid_hu=float(hu[solid].mean()) if solid.any() else float("nan"),
        solid_cut_hu=float(solid_cut_hu),
        touches_edge=any(s.start == 0 or s.stop == n for s, n in zip(box, mask.shape, strict=True)),
    )


def _largest_part(solid: np.ndarray) -> np.ndarray:
    """The largest part whose voxels share faces, so that specks of noise in ground glass do not span it."""
    parts, n_parts = label(solid, generate_binary_structure(3, 1))
    return parts == 1 + np.argmax(np.bincount(parts.ravel(), minlength=n_parts + 1)[1:])


def _face_midpoints(inside: np.ndarray) -> np.ndarray:
    """Midpoints (n, dimensions), in voxels, of the faces between the mask and what is around it."""
    padded = np.pad(inside, 1)
    points = []
    for axis in range(inside.ndim):
        faces = np.argwhere(np.diff(padded.astype(np.int8), axis=axis)).astype(float) - 1.0
        faces[:, axis] += 0.5
        points.append(faces)
    return np.concatenate(points)


def _longest_mm(points_mm: np.ndarray) -> float:
    """The longest distance of any two points; exact, since its ends are corners of the convex hull."""
    return float(pdist(points_mm[ConvexHull(points_mm).vertices]).max())


def _longest_axial_mm(inside: np.ndarray, spacing_mm: tuple[float, float, float]) -> float:
    return max(_longest_mm(_face_midpoints(plane) * spacing_mm[1:]) for plane in inside if plane.any())

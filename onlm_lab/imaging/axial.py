"""Axial planes through a mask, upright in the patient, and values sampled on them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import find_objects, map_coordinates
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist, squareform

from onlm_lab.imaging.volume import CtVolume

AXIAL_DEGREES = 1.0  # slices that lean less than this are the patient's axial planes; a diameter changes by 0.02 %
MOST_POINTS = 2e7


@dataclass(frozen=True, eq=False)
class AxialPlanes:
    """A mask on planes that are axial in the patient: z towards the head, y to the back, x to the left.

    Attributes:
        mask: bool (z,y,x).
        spacing_mm: distance of neighbouring centres along (z, y, x).
        origin_mm: (x, y, z) of the centre of [0, 0, 0].
        resampled: whether the scan's own voxels were left; if not, each entry is one voxel of the scan.
    """

    mask: np.ndarray
    spacing_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float]
    resampled: bool

    def to_patient_mm(self, index_zyx: np.ndarray) -> np.ndarray:
        """Positions (..., 3) as x, y, z in mm (LPS) of indices (..., 3) as z, y, x; fractions allowed."""
        return (np.asarray(index_zyx, dtype=float) * self.spacing_mm)[..., ::-1] + np.array(self.origin_mm)


def tilt_degrees(volume: CtVolume) -> float:
    """The angle between the scan's slices and the patient's axial plane: 0 axial, 90 coronal or sagittal."""
    normal = np.asarray(volume.direction, dtype=float)[:, 0]
    return float(np.degrees(np.arctan2(np.hypot(normal[0], normal[1]), abs(normal[2]))))


def axial_planes(mask: np.ndarray, volume: CtVolume, *, margin_mm: float = 0.0) -> AxialPlanes:
    """The part of a mask's scan around the mask, as planes that are axial in the patient.

    Where the axes of the scan are the patient's (in any order and sense) the voxels are only reordered; otherwise the
    mask is interpolated linearly onto a lattice as fine as the finest spacing of the scan, at least 0.5 mm.

    Args:
        mask: bool (z,y,x) on the grid of the CT, not empty.
        volume: the CT.
        margin_mm: how far the planes reach beyond the mask; the lattice may lead out of the scan.
    """
    order, _ = volume.nearest_axes
    along = np.abs(np.asarray(volume.direction, dtype=float)[::-1][range(3), order])  # of the patient's z, y, x
    leaning = float(np.degrees(np.arccos(np.clip(along, 0, 1))).max())
    box = find_objects(mask.astype(np.uint8))[0]
    corners = np.array([[s.start - 0.5, s.stop - 0.5] for s in box])
    places = np.stack(np.meshgrid(*corners, indexing="ij"), axis=-1).reshape(-1, 3)
    reach = volume.to_patient_mm(places)[:, ::-1]  # z, y, x
    low, high = reach.min(axis=0) - margin_mm, reach.max(axis=0) + margin_mm
    if leaning <= AXIAL_DEGREES:
        spacing = np.array([volume.spacing_mm[axis] for axis in order])
        first = volume.to_patient_mm(np.array([s.start for s in box]))[::-1]
        start = first - np.floor((first - low) / spacing) * spacing
        return _placed(mask, volume, start=start, high=high, spacing=spacing, resampled=False)
    fine = np.full(3, max(0.5, min(volume.spacing_mm)))
    found = _placed(mask, volume, start=low + fine / 2, high=high, spacing=fine, resampled=True)
    if found.mask.sum() * np.prod(fine) >= 0.5 * mask[box].sum() * np.prod(volume.spacing_mm):
        return found
    # A mask one voxel thin falls through the lattice: on a finer one every voxel holds a point.
    fine = np.full(3, max(min(volume.spacing_mm) / 3, float(np.prod(high - low) / MOST_POINTS) ** (1 / 3)))
    return _placed(mask, volume, start=low + fine / 2, high=high, spacing=fine, resampled=True, order=0)


def _placed(
    mask: np.ndarray, volume: CtVolume, *, start: np.ndarray, high: np.ndarray, spacing: np.ndarray, resampled: bool,
    order: int = 1,
) -> AxialPlanes:  # fmt: skip
    shape = np.maximum(1, np.floor((high - start) / spacing + 1e-6).astype(int) + 1)
    empty = AxialPlanes(
        mask=np.zeros(shape, dtype=bool),
        spacing_mm=tuple(spacing.tolist()),
        origin_mm=tuple(start[::-1].tolist()),
        resampled=resampled,
    )
    return replace(empty, mask=sample(mask, volume, empty, outside=0.0, order=order) >= 0.5)


def sample(values: np.ndarray, volume: CtVolume, planes: AxialPlanes, *, outside: float, order: int = 1) -> np.ndarray:
    """Values (z,y,x) of the CT's grid on the lattice of axial planes, float32; `outside` beyond the scan.

    Args:
        values: on the grid of the CT.
        volume: the CT.
        planes: where the values are wanted.
        outside: what is beyond the scan.
        order: 1 is linear, 0 the nearest voxel.
    """
    steps = np.asarray(volume.direction, dtype=float).T / np.array(volume.spacing_mm)[:, None]  # (voxel, patient axis)
    start = volume.to_voxel(np.array(planes.origin_mm))
    z, y, x = (np.arange(n) * size for n, size in zip(planes.mask.shape, planes.spacing_mm, strict=True))
    index = [start[k] + steps[k, 0] * x + steps[k, 1] * y[:, None] + steps[k, 2] * z[:, None, None] for k in range(3)]
    low = [max(0, int(np.floor(axis.min()))) for axis in index]
    high = [min(n, int(np.ceil(axis.max())) + 2) for axis, n in zip(index, values.shape, strict=True)]
    if any(stop <= start for start, stop in zip(low, high, strict=True)):
        return np.full(planes.mask.shape, outside, dtype=np.float32)
    block = values[tuple(slice(start, stop) for start, stop in zip(low, high, strict=True))].astype(np.float32)
    found = map_coordinates(
        block, np.stack([axis - start for axis, start in zip(index, low, strict=True)]), order=order, mode="nearest",
        output=np.float32,
    )  # fmt: skip
    beyond = np.zeros(found.shape, dtype=bool)
    for axis, n in zip(index, values.shape, strict=True):
        # A voxel reaches half a spacing beyond its centre; the tolerance is for rounding in the sums above.
        beyond |= (axis < -0.5 - 1e-6) | (axis > n - 0.5 + 1e-6)
    found[beyond] = outside
    return found


def widest_plane(planes: AxialPlanes) -> tuple[int, float, float]:
    """The plane with the longest diameter: its number, that diameter, and the longest one at right angles to it."""
    found = (-1, 0.0, 0.0)
    for k in np.flatnonzero(planes.mask.any(axis=(1, 2))):
        points = face_midpoints(planes.mask[k]) * planes.spacing_mm[1:]
        length, first, second = longest_span(points)
        if length > found[1] + 1e-9:
            found = (int(k), length, _across(points, first, second))
    return found


def face_midpoints(inside: np.ndarray) -> np.ndarray:
    """Midpoints (n, dimensions), in voxels, of the faces between a mask and what is around it."""
    padded = np.pad(inside, 1)
    points = []
    for axis in range(inside.ndim):
        faces = np.argwhere(np.diff(padded.astype(np.int8), axis=axis)).astype(float) - 1.0
        faces[:, axis] += 0.5
        points.append(faces)
    return np.concatenate(points)


def widest(
    inside: np.ndarray, box: tuple[slice, ...], volume: CtVolume, *, resampled: bool
) -> tuple[float, float, float]:
    """Longest diameter, the one across it, and the patient's z of the plane; of a mask within its box of the scan."""
    first = np.array([s.start for s in box], dtype=float)
    if not resampled:
        planes = AxialPlanes(inside, volume.spacing_mm, (0.0, 0.0, 0.0), False)
        k, longest, short = widest_plane(planes)
        middle = np.array([k, *(places.mean() for places in np.nonzero(inside[k]))])
        return longest, short, float(volume.to_patient_mm(first + middle)[2])
    part = CtVolume(inside, volume.spacing_mm, tuple(volume.to_patient_mm(first).tolist()), volume.direction, "", {})
    planes = axial_planes(inside, part)
    k, longest, short = widest_plane(planes)
    return longest, short, float(planes.to_patient_mm(np.array([k, 0, 0]))[2])


def longest_span(points_mm: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """The longest distance of any two points and the two; exact, since its ends are corners of the convex hull."""
    corners = points_mm[ConvexHull(points_mm).vertices]
    distances = pdist(corners)
    k = int(np.argmax(distances))
    first, second = np.argwhere(np.triu(squareform(distances) == distances[k]))[0]
    return float(distances[k]), corners[first], corners[second]


def _across(points_mm: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
    """The longest line at right angles to the one from first to second within the convex hull of points in a plane."""
    corners = points_mm[ConvexHull(points_mm).vertices]  # in order round the hull
    along = (second - first) / np.linalg.norm(second - first)
    t, w = corners @ along, corners @ np.array([-along[1], along[0]])
    t_next, w_next = np.roll(t, -1), np.roll(w, -1)
    # The width is piecewise linear along the long axis, so that it is greatest at a corner.
    span = np.where(np.abs(t_next - t) < 1e-12, np.inf, t_next - t)
    part = (t[:, None] - t) / span  # where the line through each corner meets each edge
    level = w + part * (w_next - w)
    crosses = (part >= -1e-9) & (part <= 1 + 1e-9) & np.isfinite(span)
    high = np.where(crosses, level, -np.inf).max(axis=1)
    low = np.where(crosses, level, np.inf).min(axis=1)
    return float(max(0.0, (high - low).max()))

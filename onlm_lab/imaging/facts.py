"""Measures a tumour on its CT: diameters, volume, density, and how much of it is solid, at one cut and at others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from scipy.ndimage import find_objects, generate_binary_structure, label, map_coordinates
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist, squareform

from onlm_lab.errors import SeriesError
from onlm_lab.imaging.volume import CtVolume

# Cuts in use between solid and ground glass. -160 (the mediastinal window's) and -400: Lee et al., PLoS One
# 2018;13:e0205490, doi:10.1371/journal.pone.0205490. -300 (and -250): Zheng et al., Zhongguo Fei Ai Za Zhi 2017;20(5),
# doi:10.3779/j.issn.1009-3419.2017.05.07.
SOLID_CUTS_HU = (-160.0, -300.0, -400.0)
AXIAL_DEGREES = 1.0  # slices that lean less than this are the patient's axial planes; a diameter changes by 0.02 %
FEW_SLICES = 3
MOST_POINTS = 2e7


@dataclass(frozen=True)
class TumourFacts:
    """What a mask and its CT say about a tumour before treatment.

    Diameters run between the faces of outermost voxels (face midpoints), as a calliper on the screen does, so that a
    sphere's diameter comes back without the bias of centre-to-centre (short) or corner-to-corner (long).

    Axial is the patient's axial plane. A scan whose slices lean more than a degree from it (coronal, oblique) is
    measured on axial planes cut through it: `axial_resampled` and `notes` say so.

    Attributes:
        n_voxels: voxels of the mask.
        volume_ml: their volume.
        longest_axial_mm: longest diameter within one axial plane.
        longest_3d_mm: longest diameter in any direction.
        solid_axial_mm: longest diameter within one axial plane of the largest connected part at or above
            solid_cut_hu; 0 without such a voxel.
        ctr: solid_axial_mm / longest_axial_mm, the consolidation-to-tumour ratio. The outermost voxels of a solid
            tumour are part lung, so it may stay below 1; ctr_low and ctr_high show how much hangs on the cut.
        solid_volume_fraction: part of the voxels at or above solid_cut_hu.
        mean_hu, median_hu, p10_hu, p90_hu: density over the mask.
        mean_solid_hu: density over the voxels at or above solid_cut_hu; NaN without one.
        solid_cut_hu: the cut that was used.
        touches_edge: whether the mask reaches the edge of the scan, so that part of the tumour may be missing.
        short_axial_mm: longest diameter at right angles to the longest one, in the same plane.
        axial_z_mm: where that plane lies, as the patient's z (LPS) at the tumour.
        p5_hu, p95_hu: density over the mask.
        n_slices: slices of the scan that hold a part of the mask.
        tilt_degrees: angle between the scan's slices and the patient's axial plane.
        axial_resampled: whether axial planes had to be cut through the scan.
        solid_cuts_hu: the further cuts, in rising order, and
        solid_axial_at_cuts_mm, ctr_at_cuts: the solid diameter and the ratio at each.
        solid_axial_low_mm, solid_axial_high_mm, ctr_low, ctr_high: their range over all cuts, solid_cut_hu included.
        notes: one sentence for each thing that limits a number above.
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
    short_axial_mm: float
    axial_z_mm: float
    p5_hu: float
    p95_hu: float
    n_slices: int
    tilt_degrees: float
    axial_resampled: bool
    solid_cuts_hu: tuple[float, ...]
    solid_axial_at_cuts_mm: tuple[float, ...]
    ctr_at_cuts: tuple[float, ...]
    solid_axial_low_mm: float
    solid_axial_high_mm: float
    ctr_low: float
    ctr_high: float
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The facts by name, each cut's with the cut in its name (ctr_at_minus_160_hu), notes joined, for a table."""
        row = asdict(self)
        cuts = row.pop("solid_cuts_hu")
        solid, ratios = row.pop("solid_axial_at_cuts_mm"), row.pop("ctr_at_cuts")
        for cut, solid_mm, ctr in zip(cuts, solid, ratios, strict=True):
            name = f"{'minus_' if cut < 0 else ''}{abs(cut):g}".replace(".", "_")
            row |= {f"solid_axial_at_{name}_hu_mm": solid_mm, f"ctr_at_{name}_hu": ctr}
        return row | {"notes": " ".join(self.notes)}


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


def measure_tumour(
    mask: np.ndarray, volume: CtVolume, *, solid_cut_hu: float = -300.0, solid_cuts_hu: Sequence[float] = SOLID_CUTS_HU
) -> TumourFacts:
    """Size, density and solid part of a tumour.

    Args:
        mask: bool (z,y,x) on the grid of the CT, as `read_mask` gives it.
        volume: the CT.
        solid_cut_hu: the Hounsfield value that separates solid from ground glass. Which one is right is disputed
            (-160, -300 and others are in use), so it is part of the result.
        solid_cuts_hu: further cuts, to show how much the solid diameter and the ratio hang on the choice.

    Raises:
        SeriesError: the mask is empty or has another shape than the CT.

    Example:
        >>> hu = np.full((5, 5, 5), 40, np.int16)
        >>> volume = CtVolume(hu, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), np.eye(3)[:, ::-1], "", {})
        >>> mask = np.zeros(hu.shape, bool); mask[2, 2, 1:4] = True
        >>> measure_tumour(mask, volume).longest_axial_mm
        3.0
    """
    check_mask(mask, volume)
    box = find_objects(mask.astype(np.uint8))[0]
    inside, hu = mask[box], volume.hu[box]
    values = hu[inside].astype(float)
    solid = inside & (hu >= solid_cut_hu)
    tilt = tilt_degrees(volume)
    resampled = tilt > AXIAL_DEGREES
    longest, short, z_mm = _widest(inside, box, volume, resampled=resampled)
    cuts = tuple(sorted({float(cut) for cut in solid_cuts_hu}))
    solid_mm = {cut: _solid_mm(inside & (hu >= cut), box, volume, resampled) for cut in {*cuts, float(solid_cut_hu)}}
    p5, p10, median, p90, p95 = np.percentile(values, [5, 10, 50, 90, 95])
    touches_edge = any(s.start == 0 or s.stop == n for s, n in zip(box, mask.shape, strict=True))
    n_slices = int(inside.any(axis=(1, 2)).sum())
    return TumourFacts(
        n_voxels=int(inside.sum()),
        volume_ml=float(inside.sum() * volume.voxel_ml),
        longest_axial_mm=longest,
        longest_3d_mm=_longest(face_midpoints(inside) * volume.spacing_mm)[0],
        solid_axial_mm=solid_mm[float(solid_cut_hu)],
        ctr=solid_mm[float(solid_cut_hu)] / longest,
        solid_volume_fraction=float(solid.sum() / inside.sum()),
        mean_hu=float(values.mean()),
        median_hu=float(median),
        p10_hu=float(p10),
        p90_hu=float(p90),
        mean_solid_hu=float(hu[solid].mean()) if solid.any() else float("nan"),
        solid_cut_hu=float(solid_cut_hu),
        touches_edge=touches_edge,
        short_axial_mm=short,
        axial_z_mm=z_mm,
        p5_hu=float(p5),
        p95_hu=float(p95),
        n_slices=n_slices,
        tilt_degrees=tilt,
        axial_resampled=resampled,
        solid_cuts_hu=cuts,
        solid_axial_at_cuts_mm=tuple(solid_mm[cut] for cut in cuts),
        ctr_at_cuts=tuple(solid_mm[cut] / longest for cut in cuts),
        solid_axial_low_mm=min(solid_mm.values()),
        solid_axial_high_mm=max(solid_mm.values()),
        ctr_low=min(solid_mm.values()) / longest,
        ctr_high=max(solid_mm.values()) / longest,
        notes=_notes(n_slices=n_slices, tilt=tilt, touches_edge=touches_edge, spacing_mm=volume.spacing_mm[0]),
    )


def check_mask(mask: np.ndarray, volume: CtVolume) -> None:
    """Refuses a mask that is empty or not on the grid of the CT.

    Raises:
        SeriesError: which of the two.
    """
    if mask.shape != volume.shape:
        raise SeriesError(f"The mask has shape {mask.shape}, the CT {volume.shape}; read the mask onto this CT.")
    if not mask.any():
        raise SeriesError("The tumour's mask is empty, so there is nothing to measure.")


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
        length, first, second = _longest(points)
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


def _widest(
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


def _solid_mm(solid: np.ndarray, box: tuple[slice, ...], volume: CtVolume, resampled: bool) -> float:
    return _widest(_largest_part(solid), box, volume, resampled=resampled)[0] if solid.any() else 0.0


def _largest_part(solid: np.ndarray) -> np.ndarray:
    """The largest part whose voxels share faces, so that specks of noise in ground glass do not span it."""
    parts, n_parts = label(solid, generate_binary_structure(3, 1))
    return parts == 1 + np.argmax(np.bincount(parts.ravel(), minlength=n_parts + 1)[1:])


def _longest(points_mm: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
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


def _notes(*, n_slices: int, tilt: float, touches_edge: bool, spacing_mm: float) -> tuple[str, ...]:
    said = []
    if tilt > AXIAL_DEGREES:
        said.append(
            f"The slices lean {tilt:.0f} degrees from the patient's axial plane; axial diameters were taken on planes "
            "cut through the scan."
        )
    if n_slices < FEW_SLICES:
        said.append(
            f"The mask lies on {n_slices} slice{'s' if n_slices > 1 else ''}, so that its volume and its 3D diameter "
            f"are known to about one slice spacing ({spacing_mm:g} mm), and partial volume lowers its density."
        )
    if touches_edge:
        said.append("The mask reaches the edge of the scan: part of the tumour may be missing from every number.")
    return tuple(said)

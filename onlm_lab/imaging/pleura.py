"""How a tumour meets the pleura: where it touches it, how deep it lies below it, how long the contact is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_dilation, binary_erosion, distance_transform_edt, find_objects, label
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree

from onlm_lab.imaging.axial import AxialPlanes, sample
from onlm_lab.imaging.lungs import Lungs
from onlm_lab.imaging.volume import CtVolume

CONTACT_MM = 1.0  # a gap that a chest CT does not resolve
REFINED_MM = 10.0  # up to this distance the pleura is looked for at the CT's own resolution
UNKNOWN = float("nan")


@dataclass(frozen=True, eq=False)
class Outline:
    """The surface of one lung: pleura, and what is open because the scan ends there. Positions (n, 3) in mm."""

    pleura_mm: np.ndarray
    open_mm: np.ndarray

    @classmethod
    def of(cls, own: np.ndarray, lungs: Lungs) -> Outline:
        """The surface of that lung."""
        pleura, unknown = [], []
        (box,) = find_objects(own.astype(np.uint8))
        wider = tuple(slice(s.start, s.stop + 2) for s in box)  # of the padded arrays: one voxel more at either end
        inside = np.pad(own, 1)[wider]
        unseen = np.pad(lungs.unseen, 1, constant_values=True)[wider]
        first = np.array([s.start for s in box]) - 1.0
        for axis in range(3):
            here, there = _neighbours(inside, axis)
            blind = np.logical_or(*_neighbours(unseen, axis))
            for found, faces in ((pleura, (here != there) & ~blind), (unknown, (here != there) & blind)):
                places = np.argwhere(faces) + first
                places[:, axis] += 0.5
                found.append(places)
        return cls(lungs.to_patient_mm(np.concatenate(pleura)), lungs.to_patient_mm(np.concatenate(unknown)))

    def to_pleura_mm(self, points_mm: np.ndarray) -> np.ndarray:
        """Distance of each point to the pleura."""
        return distances_mm(self.pleura_mm, points_mm)

    def to_open_mm(self, points_mm: np.ndarray) -> float:
        """Distance of the nearest of the points to where the scan ends."""
        return float(distances_mm(self.open_mm, points_mm).min())


def _neighbours(values: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    return np.take(values, range(values.shape[axis] - 1), axis), np.take(values, range(1, values.shape[axis]), axis)


def distances_mm(targets: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Of every point to the nearest target; infinite where there is none."""
    return cKDTree(targets).query(points)[0] if len(targets) else np.full(len(points), np.inf)


def at_pleura(
    tumour: AxialPlanes | None, volume: CtVolume, *, own: np.ndarray, lungs: Lungs, outline: Outline,
    reasons: list[str],
) -> dict[str, float]:  # fmt: skip
    """Distance to the pleura, length and part of the contact."""
    names = ("distance_to_pleura_mm", "contact_length_mm", "contact_fraction")
    if tumour is None:
        reasons.append("Only the tumour's centre is given; its surface and its innermost point are unknown.")
        return dict.fromkeys(names, UNKNOWN)
    faces, areas = _surface(tumour.mask, np.ones(tumour.mask.shape, dtype=bool), tumour.spacing_mm)
    surface = tumour.to_patient_mm(faces)
    gap, open_mm = float(outline.to_pleura_mm(surface).min()), outline.to_open_mm(surface)
    contact_mm, contact = 0.0, 0.0
    if gap <= REFINED_MM:
        seen, lung = _fine_lung(tumour, volume, own=own, lungs=lungs)
        pleura, _ = _surface(lung, seen, tumour.spacing_mm)
        gaps = distances_mm(tumour.to_patient_mm(pleura), surface)
        gap = min(gap, float(gaps.min())) if gaps.min() > REFINED_MM - 2 else float(gaps.min())
        contact = float(areas[gaps <= CONTACT_MM].sum() / areas.sum())
        contact_mm = _contact_length_mm(tumour, seen & ~lung) if contact else 0.0
        if not seen[tumour.mask].all() or _at_edge(tumour.mask, seen):
            reasons.append("The tumour reaches the edge of the scan, so that its contact with the pleura is not known.")
            contact_mm = contact = UNKNOWN
    gap = 0.0 if gap <= CONTACT_MM else gap
    if open_mm < gap:
        reasons.append(
            f"The scan ends {open_mm:.0f} mm from the tumour, nearer than any pleura that was seen; how far the pleura "
            "is away is not known."
        )
        gap = UNKNOWN
    return dict(zip(names, (gap, contact_mm, contact), strict=True))


def _at_edge(mask: np.ndarray, seen: np.ndarray) -> bool:
    return bool((binary_dilation(mask) & ~seen).any())


def _surface(
    mask: np.ndarray, seen: np.ndarray, spacing_mm: tuple[float, float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Face midpoints (n, 3) in voxels and areas in mm² between a mask and what was seen outside it."""
    places, areas = [], []
    for axis in range(3):
        here, there = _neighbours(mask, axis)
        faces = np.argwhere((here != there) & np.logical_and(*_neighbours(seen, axis))).astype(float)
        faces[:, axis] += 0.5
        places.append(faces)
        areas.append(np.full(len(faces), np.prod(spacing_mm) / spacing_mm[axis]))
    return np.concatenate(places), np.concatenate(areas)


def _fine_lung(
    tumour: AxialPlanes, volume: CtVolume, *, own: np.ndarray, lungs: Lungs
) -> tuple[np.ndarray, np.ndarray]:
    """What of the planes was scanned, and what of it is lung or tumour, the lung's border sharpened by the CT itself.

    Within one voxel of the coarse border, air is lung and tissue is not; further in and out the coarse mask stands.
    """
    hu = sample(volume.hu, volume, tumour, outside=UNKNOWN)
    seen = np.isfinite(hu)
    if volume.padding is not None:
        seen &= sample(volume.padding, volume, tumour, outside=1.0, order=0) < 0.5
    depth = _depth_mm(own, tumour, lungs)
    band = max(lungs.spacing_mm[1:])
    lung = (depth > band) | ((depth >= -band) & (hu < lungs.threshold_hu))
    return seen, tumour.mask | (seen & lung)


def _depth_mm(own: np.ndarray, planes: AxialPlanes, lungs: Lungs) -> np.ndarray:
    """How deep each point of the planes lies in the lung (negative outside), linear between the coarse voxels."""
    ends = np.array([[0, n - 1] for n in planes.mask.shape])
    corners = planes.to_patient_mm(np.stack(np.meshgrid(*ends, indexing="ij"), axis=-1).reshape(-1, 3))
    reach = lungs.to_voxel(corners)
    low = np.maximum(np.floor(reach.min(axis=0)).astype(int) - 3, 0)
    high = np.minimum(np.ceil(reach.max(axis=0)).astype(int) + 4, own.shape)
    part = own[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    half = max(lungs.spacing_mm[1:]) / 2  # the border lies midway between two centres
    far = float(np.max(np.array(part.shape) * lungs.spacing_mm))
    inward, outward = (
        np.full(part.shape, far) if side.all() else distance_transform_edt(side, sampling=lungs.spacing_mm)
        for side in (part, ~part)
    )
    depth = np.where(part, inward - half, half - outward)
    coarse = CtVolume(
        depth, lungs.spacing_mm, tuple(lungs.to_patient_mm(low).tolist()), lungs.direction, "", {}
    )  # fmt: skip
    return sample(depth, coarse, planes, outside=-far)


def _contact_length_mm(tumour: AxialPlanes, beyond: np.ndarray) -> float:
    """The longest run of a cross-section's rim along what is not lung, over all planes."""
    longest, pixel = 0.0, np.array(tumour.spacing_mm[1:])
    for k in np.flatnonzero(tumour.mask.any(axis=(1, 2))):
        if not beyond[k].any():
            continue
        plane = tumour.mask[k]
        rim = plane & ~binary_erosion(plane)
        near = rim & (distance_transform_edt(~beyond[k], sampling=pixel) <= CONTACT_MM + pixel.max())
        runs, n = label(binary_dilation(near, np.ones((3, 3))) & rim, np.ones((3, 3)))
        for run in range(1, n + 1):
            places = np.argwhere((runs == run) & near)
            if len(places):
                closed = len(places) == rim.sum()
                longest = max(longest, _run_length_mm(places * pixel, pixel_mm=float(pixel.mean()), closed=closed))
    return longest


def _run_length_mm(points_mm: np.ndarray, *, pixel_mm: float, closed: bool) -> float:
    """The length of a chain of pixels (n, 2), given in any order, along its shortest path.

    Steps of up to three pixels let the path cut the corners of the staircase: at most 3 % too long at any slope.
    """
    pairs = cKDTree(points_mm).query_pairs(2.9 * pixel_mm, output_type="ndarray")
    steps = np.linalg.norm(points_mm[pairs[:, 0]] - points_mm[pairs[:, 1]], axis=1)
    graph = coo_array((steps, pairs.T), shape=(len(points_mm),) * 2).tocsr()
    end = int(np.argmax(_finite(dijkstra(graph, directed=False, indices=0))))
    length = float(_finite(dijkstra(graph, directed=False, indices=end)).max())
    return max(2 * length, pixel_mm) if closed else length + pixel_mm


def _finite(distances: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(distances), distances, 0.0)

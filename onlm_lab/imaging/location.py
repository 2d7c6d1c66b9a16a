"""Where a tumour lies in its lung: side, distance to the pleura, contact with it, and whether it is central."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.ndimage import binary_dilation, binary_erosion, distance_transform_edt, find_objects, label
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree

from onlm_lab.errors import SeriesError
from onlm_lab.imaging.facts import AxialPlanes, axial_planes, check_mask, sample
from onlm_lab.imaging.lungs import BORDER_MM, Lungs
from onlm_lab.imaging.thirds import LINES_FROM, NOT_COMPUTED, axial_plane, central_by, thirds_in
from onlm_lab.imaging.volume import CtVolume
from onlm_lab.study import CENTRAL_DEFINITIONS

CONTACT_MM = 1.0  # a gap that a chest CT does not resolve
REFINED_MM = 10.0  # up to this distance the pleura is looked for at the CT's own resolution
UNKNOWN = float("nan")


@dataclass(frozen=True, eq=False)
class TumourLocation:
    """Where a tumour lies in its lung. What cannot be known is NaN (side "", central None), with a reason.

    The pleura is the outline of the lung: costal, diaphragmatic and mediastinal, the hilum included. Fissures do not
    show in a lung mask: a tumour at a fissure touches visceral pleura that is not seen here.

    Thirds are measured in one axial plane of the patient, that of the tumour's longest axial diameter (of its centre
    where only that is given). The midline is halfway between the outermost points of the right and the left lung, the
    median over 15 mm to either side of the plane. A fraction is 0 on the midline and 1 on the outline of the lung:
    along a sagittal line's distance from the midline (vertical lines; 1 is the lung's outermost point), or along the
    ray from one point, the midline at the mean front-to-back level of both lungs (concentric lines, which are then
    the outline drawn in towards that point, as Huang et al., Transl Lung Cancer Res, article 65987, divide the ray
    from a centre through the lesion to the pleura).
    Lines from the midline are those of Shin et al. (Eur Respir J 2019;53:1801508), whose figure could not be read
    here. Casal et al. (Eur Respir J 2019;53:1802220) divided "the lungs" by a software whose construction their
    abstract does not give, and most who were asked draw the lines from the hilum (Ann Am Thorac Soc 2017;14:118):
    `lines_from="mediastinum"` starts where the ray or the line enters the lung, and calls more tumours central.

    Attributes:
        side: "right" or "left".
        distance_to_pleura_mm: from the tumour's surface to the nearest pleura; 0 where the gap is at most 1 mm.
        centre_to_pleura_mm: from the tumour's centre to the nearest pleura.
        contact_length_mm: the longest unbroken contact of tumour and pleura within one axial plane, along the pleura.
        contact_fraction: part of the tumour's surface that is in contact.
        axial_z_mm: the patient's z of the plane in which thirds were measured.
        concentric_centre_fraction, concentric_medial_fraction: of the centre and of the innermost point of the tumour's
            cross-section.
        vertical_centre_fraction, vertical_medial_fraction: the same with vertical lines.
        distance_to_inner_third_mm: from the cross-section to the inner concentric third; 0 where it reaches in.
        lines_from: "midline" or "mediastinum".
        central: each key of `CENTRAL_DEFINITIONS`: True, False, or None where it is not known or not computed.
        central_from_mediastinum: the same with lines from the mediastinum, as many readers draw them.
        reasons: one sentence for each thing that could not be known.
    """

    side: str
    distance_to_pleura_mm: float
    centre_to_pleura_mm: float
    contact_length_mm: float
    contact_fraction: float
    axial_z_mm: float
    concentric_centre_fraction: float
    concentric_medial_fraction: float
    vertical_centre_fraction: float
    vertical_medial_fraction: float
    distance_to_inner_third_mm: float
    lines_from: str
    central: Mapping[str, bool | None]
    central_from_mediastinum: Mapping[str, bool | None]
    reasons: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The facts by name, each definition under its column's name, reasons joined, for a table."""
        row = asdict(self)
        del row["central"], row["central_from_mediastinum"]
        for suffix, central in (("", self.central), ("_from_mediastinum", self.central_from_mediastinum)):
            row |= {
                CENTRAL_DEFINITIONS[key].column + suffix: central[key] for key in central if key not in NOT_COMPUTED
            }
        return row | {"reasons": " ".join(self.reasons)}


def locate_tumour(
    volume: CtVolume,
    *,
    lungs: Lungs,
    mask: np.ndarray | None = None,
    centre_mm: tuple[float, float, float] | None = None,
    lines_from: str = "midline",
) -> TumourLocation:
    """Side, distance to and contact with the pleura, and central or not by each definition a lung mask can answer.

    Args:
        volume: the CT.
        lungs: of the same CT; give `find_lungs` the tumour's mask where there is one, or a tumour at the pleura counts
            as chest wall there.
        mask: bool (z,y,x) on the CT's grid, or
        centre_mm: the tumour's centre x, y, z (LPS); what needs the tumour's extent is then unknown.
        lines_from: where thirds begin, "midline" or "mediastinum" (see `TumourLocation`).

    Raises:
        SeriesError: neither or both of mask and centre_mm, an empty mask, one that is not on the CT's grid, or a centre
            outside the scan.
    """
    if (mask is None) == (centre_mm is None):
        raise SeriesError("One of mask and centre_mm is wanted; " + ("none" if mask is None else "both") + " came.")
    if lines_from not in LINES_FROM:
        raise SeriesError(f"lines_from is '{lines_from}'; wanted one of {', '.join(LINES_FROM)}.")
    if mask is not None:
        check_mask(mask, volume)
    if centre_mm is not None:
        _refuse_outside(volume, np.array(centre_mm, dtype=float))
    if not lungs.sound:
        return _unknown("The lungs were not found reliably. " + " ".join(lungs.reasons), lines_from)
    tumour = None if mask is None else axial_planes(mask, volume, margin_mm=REFINED_MM)
    points = np.array([centre_mm], dtype=float) if tumour is None else tumour.to_patient_mm(np.argwhere(tumour.mask))
    side, away_mm = _side(points, lungs)
    if away_mm > BORDER_MM:
        return _unknown(
            f"The tumour lies {away_mm:.0f} mm from the nearest lung that was found: it is not in a lung, or the lung "
            "round it holds no air. Check its position.",
            lines_from,
        )
    own = (lungs.right if side == "right" else lungs.left).copy()
    if tumour is not None:
        own[tuple(_nearest_voxels(points, lungs).T)] = True
    outline = _Outline.of(own, lungs)
    reasons: list[str] = []
    centre = points.mean(axis=0)
    plane = axial_plane(tumour, centre, own=own, side=side, lungs=lungs)
    if plane.middle_mm is None:
        reasons.append("The tumour's axial plane does not show both lungs, so that thirds cannot be drawn.")
    thirds = {lines: thirds_in(plane, own=own, side=side, lungs=lungs, lines_from=lines) for lines in LINES_FROM}
    return TumourLocation(
        side=side,
        **_at_pleura(tumour, volume, own=own, lungs=lungs, outline=outline, reasons=reasons),
        centre_to_pleura_mm=_centre_to_pleura_mm(centre, own=own, lungs=lungs, outline=outline, reasons=reasons),
        **thirds[lines_from],
        lines_from=lines_from,
        central=central_by(thirds[lines_from]),
        central_from_mediastinum=central_by(thirds["mediastinum"]),
        reasons=tuple(reasons),
    )


def _refuse_outside(volume: CtVolume, centre: np.ndarray) -> None:
    place = volume.to_voxel(centre) if centre.shape == (3,) else np.full(3, UNKNOWN)
    if not ((place >= -0.5) & (place <= np.array(volume.shape) - 0.5)).all():
        raise SeriesError(
            f"The tumour centre {np.round(centre, 1).tolist()} (x, y, z in mm, LPS) lies outside the scan; check the "
            "sign of x and y."
        )


@dataclass(frozen=True, eq=False)
class _Outline:
    """The surface of one lung: pleura, and what is open because the scan ends there. Positions (n, 3) in mm."""

    pleura_mm: np.ndarray
    open_mm: np.ndarray

    @classmethod
    def of(cls, own: np.ndarray, lungs: Lungs) -> _Outline:
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
        return _distances(self.pleura_mm, points_mm)

    def to_open_mm(self, points_mm: np.ndarray) -> float:
        return float(_distances(self.open_mm, points_mm).min())


def _neighbours(values: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    return np.take(values, range(values.shape[axis] - 1), axis), np.take(values, range(1, values.shape[axis]), axis)


def _distances(targets: np.ndarray, points: np.ndarray) -> np.ndarray:
    return cKDTree(targets).query(points)[0] if len(targets) else np.full(len(points), np.inf)


def _nearest_voxels(points_mm: np.ndarray, lungs: Lungs) -> np.ndarray:
    return np.clip(np.rint(lungs.to_voxel(points_mm)).astype(int), 0, np.array(lungs.shape) - 1)


def _side(points_mm: np.ndarray, lungs: Lungs) -> tuple[str, float]:
    """The lung that holds most of the points, or is nearest, and how far away it is in mm (0: it holds some)."""
    index = tuple(_nearest_voxels(points_mm, lungs).T)
    held = {"right": int(lungs.right[index].sum()), "left": int(lungs.left[index].sum())}
    if max(held.values()):
        return max(held, key=lambda name: held[name]), 0.0
    away = {}
    for name, own in (("right", lungs.right), ("left", lungs.left)):
        surface = lungs.to_patient_mm(np.argwhere(own & ~binary_erosion(own)))
        away[name] = float(_distances(surface, points_mm).min())
    side = min(away, key=lambda name: away[name])
    return side, away[side]


def _at_pleura(
    tumour: AxialPlanes | None, volume: CtVolume, *, own: np.ndarray, lungs: Lungs, outline: _Outline,
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
        gaps = _distances(tumour.to_patient_mm(pleura), surface)
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


def _centre_to_pleura_mm(
    centre: np.ndarray, *, own: np.ndarray, lungs: Lungs, outline: _Outline, reasons: list[str]
) -> float:
    if not own[tuple(_nearest_voxels(centre[None], lungs)[0])]:
        reasons.append("The tumour's centre lies in tissue that does not show as lung; give its mask.")
        return UNKNOWN
    found = float(outline.to_pleura_mm(centre[None])[0])
    open_mm = outline.to_open_mm(centre[None])
    if open_mm < found:
        reasons.append(
            f"The scan ends {open_mm:.0f} mm from the tumour's centre, nearer than any pleura that was seen."
        )
        return UNKNOWN
    return found


def _unknown(reason: str, lines_from: str) -> TumourLocation:
    numbers = {name: UNKNOWN for name, kind in TumourLocation.__annotations__.items() if kind == "float"}
    central: dict[str, bool | None] = dict.fromkeys(CENTRAL_DEFINITIONS)
    return TumourLocation(
        side="", **numbers, lines_from=lines_from, central=central, central_from_mediastinum=central, reasons=(reason,)
    )

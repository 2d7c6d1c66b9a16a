"""Thirds of a hemithorax in one axial plane: how far a tumour lies from the midline on its way to the pleura."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_erosion
from scipy.spatial import cKDTree

from onlm_lab.imaging.axial import AxialPlanes, widest_plane
from onlm_lab.imaging.lungs import Lungs
from onlm_lab.study import CENTRAL_DEFINITIONS

SLAB_MM, STEP_MM, REACH_MM = 15.0, 2.0, 300.0
LINES_FROM = ("midline", "mediastinum")
UNKNOWN = float("nan")
NOT_COMPUTED = {
    "hilar_contact": "needs the hilar structures, which a lung mask does not hold",
    "bronchial_tree_2cm": "needs the proximal bronchial tree, which a lung mask does not hold",
    "mediastinum_2cm": "needs the bronchial tree and the organs of the mediastinum, which a lung mask does not hold",
}
"""The definitions of a central tumour that are not computed, and why."""
FRACTIONS = (
    "concentric_centre_fraction", "concentric_medial_fraction", "vertical_centre_fraction", "vertical_medial_fraction",
    "distance_to_inner_third_mm",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class AxialPlane:
    """One axial plane of the patient through a tumour.

    Attributes:
        z_mm: where it lies.
        points_mm: (n, 2) x, y of the centre, and of the rim where the tumour's extent is known.
        here: x, y of both lungs' points in the plane, on a lattice of 2 mm, by side.
        middle_mm: the patient's x of the midline; None where the plane does not show both lungs.
    """

    z_mm: float
    points_mm: np.ndarray
    here: Mapping[str, np.ndarray]
    middle_mm: float | None


def axial_plane(
    tumour: AxialPlanes | None, centre: np.ndarray, *, own: np.ndarray, side: str, lungs: Lungs
) -> AxialPlane:
    """The plane of a tumour's longest axial diameter, or of its centre where only that is known.

    Args:
        tumour: its mask in axial planes, or None.
        centre: x, y, z in mm.
        own: bool, the tumour's lung with the tumour in it, on the lungs' grid.
        side: "right" or "left".
        lungs: of the same CT.
    """
    if tumour is None:
        z_mm, rim = float(centre[2]), np.empty((0, 2))
    else:
        k, _, _ = widest_plane(tumour)
        plane = tumour.mask[k]
        places = tumour.to_patient_mm(np.argwhere(tumour.mask & (np.arange(len(tumour.mask)) == k)[:, None, None]))
        z_mm, centre = float(places[0, 2]), places.mean(axis=0)
        rows = np.argwhere(plane & ~binary_erosion(plane))
        rim = tumour.to_patient_mm(np.column_stack([np.full(len(rows), k), rows]))[:, :2]
    middle, here = _midline(z_mm, own=own, side=side, lungs=lungs)
    shows = np.isfinite(middle) and len(here[side]) > 0
    return AxialPlane(z_mm, np.concatenate([centre[None, :2], rim]), here, middle if shows else None)


def thirds_in(plane: AxialPlane, *, own: np.ndarray, side: str, lungs: Lungs, lines_from: str) -> dict[str, float]:
    """Fractions between midline (or mediastinum) and pleura, and the distance to the inner concentric third.

    Args:
        plane: of `axial_plane`.
        own, side, lungs: as there.
        lines_from: one of LINES_FROM: where thirds begin.
    """
    if plane.middle_mm is None:
        return {"axial_z_mm": plane.z_mm} | dict.fromkeys(FRACTIONS, UNKNOWN)
    here, middle = plane.here, plane.middle_mm
    origin = np.array([middle, np.concatenate([here["right"], here["left"]])[:, 1].mean()])
    whole = lines_from == "midline"
    outwards = -1.0 if side == "right" else 1.0
    across = outwards * (here[side][:, 0] - middle)
    inner, outer = 0.0 if whole else across.min() - STEP_MM / 2, across.max() + STEP_MM / 2
    away = plane.points_mm - origin
    length = np.linalg.norm(away, axis=1)
    near, far = _crossings_mm(away / np.maximum(length, 1e-9)[:, None], origin, plane.z_mm, own=own, lungs=lungs)
    near, far = np.minimum(0.0 * near if whole else near, length), np.maximum(far, length)
    concentric = (length - near) / np.maximum(far - near, 1e-9)
    vertical = np.clip((outwards * away[:, 0] - inner) / (outer - inner), 0.0, None)
    rim = plane.points_mm[1:]
    to_inner = UNKNOWN
    if len(rim):
        border = _inner_third(origin, plane.z_mm, whole=whole, own=own, lungs=lungs)
        reaches = concentric[1:].min() <= 1 / 3
        to_inner = 0.0 if reaches else float(cKDTree(border).query(rim)[0].min()) if len(border) else UNKNOWN
    found = (
        float(concentric[0]), float(concentric[1:].min()) if len(rim) else UNKNOWN, float(vertical[0]),
        float(vertical[1:].min()) if len(rim) else UNKNOWN, to_inner,
    )  # fmt: skip
    return {"axial_z_mm": plane.z_mm} | dict(zip(FRACTIONS, found, strict=True))


def central_by(thirds: Mapping[str, float]) -> dict[str, bool | None]:
    """Central or not by each definition of `CENTRAL_DEFINITIONS`; None where it is not known."""
    found: dict[str, bool | None] = {}
    for key in CENTRAL_DEFINITIONS:
        if key in NOT_COMPUTED:
            found[key] = None
            continue
        part, (lines, point) = (2 / 3 if "two_thirds" in key else 1 / 3), key.split("_")[-2:]
        fraction = thirds[f"{lines}_{point}_fraction"]
        found[key] = bool(fraction <= part) if np.isfinite(fraction) else None
    return found


def _midline(z_mm: float, *, own: np.ndarray, side: str, lungs: Lungs) -> tuple[float, dict[str, np.ndarray]]:
    """The patient's x of the midline round an axial plane (NaN where only one lung shows), and the lungs' points in it.

    The points (n, 2) are x, y in mm on a lattice of 2 mm, by side.
    """
    masks = {"right": lungs.right, "left": lungs.left} | {side: own}
    ends = np.stack(np.meshgrid(*[[0, n - 1] for n in lungs.shape], indexing="ij"), axis=-1).reshape(-1, 3)
    corners = lungs.to_patient_mm(ends)[:, :2]
    x, y = (np.arange(low, high + STEP_MM, STEP_MM) for low, high in zip(corners.min(0), corners.max(0), strict=True))
    lattice = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1).reshape(-1, 2)
    middles, here = [], {name: np.empty((0, 2)) for name in masks}
    for offset in np.arange(-SLAB_MM, SLAB_MM + 1, 5.0):
        held = _held(tuple(masks.values()), lattice, z_mm + offset, lungs)
        found = {name: lattice[inside] for name, inside in zip(masks, held, strict=True)}
        if len(found["right"]) and len(found["left"]):
            middles.append((found["right"][:, 0].min() + found["left"][:, 0].max()) / 2)
        if offset == 0:
            here = found
    return float(np.median(middles)) if middles else UNKNOWN, here


def _held(masks: tuple[np.ndarray, ...], points_xy: np.ndarray, z_mm: float, lungs: Lungs) -> list[np.ndarray]:
    """For each mask of the lungs' grid, which points (..., 2) of an axial plane lie in it."""
    places = np.concatenate([points_xy, np.full((*points_xy.shape[:-1], 1), z_mm)], axis=-1)
    index = np.rint(lungs.to_voxel(places)).astype(int)
    within = ((index >= 0) & (index < lungs.shape)).all(axis=-1)
    place = tuple(index[within].T)
    found = []
    for mask in masks:
        held = np.zeros(within.shape, dtype=bool)
        held[within] = mask[place]
        found.append(held)
    return found


def _crossings_mm(
    directions: np.ndarray, origin: np.ndarray, z_mm: float, *, own: np.ndarray, lungs: Lungs
) -> tuple[np.ndarray, np.ndarray]:
    """Where rays (n, 2) of an axial plane enter the lung and leave it for good, in mm; 0 where they do not meet it."""
    steps = np.arange(0.5, REACH_MM, 1.0)
    (held,) = _held((own,), origin + directions[:, None, :] * steps[:, None], z_mm, lungs)
    met = held.any(axis=1)
    near = np.where(met, steps[np.argmax(held, axis=1)] - 0.5, 0.0)
    return near, np.where(met, steps[len(steps) - 1 - np.argmax(held[:, ::-1], axis=1)] + 0.5, 0.0)


def _inner_third(origin: np.ndarray, z_mm: float, *, whole: bool, own: np.ndarray, lungs: Lungs) -> np.ndarray:
    """Points (n, 2) of the border of the inner concentric third, one a degree."""
    turns = np.radians(np.arange(0.0, 360.0, 1.0))
    directions = np.column_stack([np.cos(turns), np.sin(turns)])
    near, far = _crossings_mm(directions, origin, z_mm, own=own, lungs=lungs)
    place = far / 3 if whole else near + (far - near) / 3
    return origin + directions[far > 0] * place[far > 0, None]

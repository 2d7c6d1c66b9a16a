"""Where slices lie: along their normal, sideways of it, and on which even grid; from ImagePositionPatient alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from onlm_lab.imaging.header import Header

SAME_POSITION_MM = 0.01  # positions are written with two decimals or more
GRID_FRACTION = 0.1  # a slice may lie this part of a spacing off the even grid (positions written with one decimal)
DRIFT_MM = 0.5  # how far slices may drift sideways over the whole series before it counts as a tilt
JUMP_MM = 0.1  # a step sideways that is so far from the usual one is no part of a lean


def geometry_gap(header: Header) -> str:
    """What a slice lacks to be placed in the patient, or ""."""
    if len(header.position_mm) != 3 or not all(map(math.isfinite, header.position_mm)):
        return "ImagePositionPatient"
    return _plane_gap(header.pixel_spacing_mm, header.orientation)


@lru_cache(maxsize=4096)  # the slices of a series say the same, and are asked several times
def _plane_gap(spacing: tuple[float, ...], orientation: tuple[float, ...]) -> str:
    if len(spacing) != 2 or not min(spacing) > 0 or not max(spacing) < math.inf:
        return "PixelSpacing"
    if len(orientation) != 6:
        return "ImageOrientationPatient"
    row, column = orientation[:3], orientation[3:]
    across = sum(a * b for a, b in zip(row, column, strict=True))
    if not abs(math.hypot(*row) - 1) <= 1e-2 or not abs(math.hypot(*column) - 1) <= 1e-2 or not abs(across) <= 1e-3:
        return "ImageOrientationPatient with two perpendicular unit vectors"
    return ""


def all_placed(headers: Sequence[Header]) -> bool:
    """Whether every slice can be placed in the patient; fast, since the slices of a series mostly say the same."""
    planes = {(header.pixel_spacing_mm, header.orientation) for header in headers}
    if any(_plane_gap(*plane) for plane in planes):
        return False
    places = [header.position_mm for header in headers]
    return all(len(place) == 3 for place in places) and bool(np.isfinite(np.array(places)).all())


def slice_axes(header: Header) -> np.ndarray:
    """The unit vectors in which the slice, row and column number grow, as columns, in LPS; made perpendicular."""
    return _axes(header.orientation).copy()


@lru_cache(maxsize=4096)
def _axes(orientation: tuple[float, ...]) -> np.ndarray:
    row, column = np.reshape(np.array(orientation, dtype=float), (2, 3))
    row = row / np.linalg.norm(row)
    column = column - (column @ row) * row
    column = column / np.linalg.norm(column)
    return np.column_stack([np.cross(row, column), column, row])


def positions_mm(headers: Sequence[Header]) -> np.ndarray:
    """Where each slice lies along the normal of the first one, in mm."""
    return np.array([header.position_mm for header in headers], dtype=float) @ slice_axes(headers[0])[:, 0]


@dataclass(frozen=True, eq=False)
class Lean:
    """How a stack leans: by how much each slice lies sideways of the one below.

    Attributes:
        per_mm: sideways shift along (column, row direction) for one mm along the normal.
        off_mm: (n,) how far each slice lies sideways from the lean of all of them.
        drift_mm: sideways shift from the first to the last slice by the lean.
    """

    per_mm: np.ndarray
    off_mm: np.ndarray
    drift_mm: float

    @property
    def degrees(self) -> float:
        """The angle between the stack and the slices' normal."""
        return math.degrees(math.atan(float(np.hypot(*self.per_mm))))


def lean_of(headers: Sequence[Header]) -> Lean | None:
    """The lean of a stack; None for slices at a single place.

    It is the mean step from each slice to the next but one, without those that jump: the rounding of positions, and
    what every other slice does, cancel, and a part that was shifted leans no more than the rest.

    Args:
        headers: slices in any order that share an orientation.
    """
    axes = slice_axes(headers[0])
    places = np.array([header.position_mm for header in headers], dtype=float) @ axes
    order = np.argsort(places[:, 0], kind="stable")
    along, sideways = places[order, 0], places[order, 1:]
    lag = min(2, len(along) - 1)
    up = along[lag:] - along[:-lag]
    apart = up >= SAME_POSITION_MM
    if not apart.any():
        return None
    up, aside = up[apart], (sideways[lag:] - sideways[:-lag])[apart]
    usual = np.median(aside / up[:, None], axis=0)
    smooth = np.linalg.norm(aside - up[:, None] * usual, axis=1) <= JUMP_MM
    per_mm = aside[smooth].sum(axis=0) / up[smooth].sum() if smooth.any() else usual
    rest = sideways - along[:, None] * per_mm
    middle = np.sort(rest, axis=0)[(len(rest) - 1) // 2]  # a slice's own: midway between two halves there is none
    off = np.empty(len(places))
    off[order] = np.linalg.norm(rest - middle, axis=1)
    return Lean(per_mm, off, float(np.hypot(*per_mm) * np.ptp(along)))


def tilt_degrees(headers: Sequence[Header]) -> float:
    """The angle between the way from slice to slice and the slices' normal; NaN where it cannot be known."""
    if len(headers) < 2 or not all_placed(headers):
        return float("nan")
    lean = lean_of(headers)
    return float("nan") if lean is None else lean.degrees


def is_even(along: np.ndarray) -> bool:
    """Whether positions along the normal (sorted, in mm) lie on an even grid."""
    if len(along) < 3:
        return True
    step = np.ptp(along) / (len(along) - 1)
    return bool(np.abs(along - along[0] - step * np.arange(len(along))).max() <= GRID_FRACTION * step)


def apart(along: np.ndarray) -> np.ndarray:
    """Which of sorted positions are not where the one before lies already."""
    return np.r_[True, np.diff(along) >= SAME_POSITION_MM]


def usual_gap(along: np.ndarray) -> float:
    """The distance of neighbours among sorted, different positions: the most frequent one, holes and twins aside."""
    gaps = np.sort(np.diff(along))
    near = [int((np.abs(gaps - gap) <= 2 * GRID_FRACTION * gap).sum()) for gap in gaps]
    usual = gaps[int(np.argmax(near))]
    return float(np.median(gaps[np.abs(gaps - usual) <= 2 * GRID_FRACTION * usual]))


def missing_steps(along: np.ndarray) -> np.ndarray | None:
    """How many slices are missing after each of sorted positions; None where the gaps are no whole steps.

    Args:
        along: different positions in mm, at least three.
    """
    gaps, usual = np.diff(along), usual_gap(along)
    steps = np.round(gaps / usual)
    if (steps < 1).any() or not (np.abs(gaps / usual - steps) <= 2 * GRID_FRACTION).all() or steps.max() < 2:
        return None
    return steps.astype(int) - 1

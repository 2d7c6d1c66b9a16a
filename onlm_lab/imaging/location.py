"""Where a tumour lies in its lung: side, distance to the pleura, contact with it, and whether it is central."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.ndimage import binary_erosion

from onlm_lab.errors import SeriesError
from onlm_lab.imaging.axial import AxialPlanes, axial_planes
from onlm_lab.imaging.facts import check_mask
from onlm_lab.imaging.lungs import Lungs
from onlm_lab.imaging.parts import largest_part
from onlm_lab.imaging.pleura import REFINED_MM, UNKNOWN, Outline, at_pleura, distances_mm
from onlm_lab.imaging.thirds import LINES_FROM, NOT_COMPUTED, axial_plane, central_by, thirds_in
from onlm_lab.imaging.two_lungs import BORDER_MM
from onlm_lab.imaging.volume import CtVolume
from onlm_lab.showing import shows_itself
from onlm_lab.study import CENTRAL_DEFINITIONS

LARGE_SHARE = 0.25  # of a lung; no clinical stage I is as large


@shows_itself
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
        reasons: one sentence for each thing that could not be known, or makes one ask whether this is the tumour.
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
        mask: bool (z,y,x) on the CT's grid, of which the largest connected part counts, or
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
        mask, _ = largest_part(mask)
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
    outline = Outline.of(own, lungs)
    reasons: list[str] = []
    if tumour is not None:
        reasons += _share_of_lung(tumour, own=own, side=side, lungs=lungs)
    centre = points.mean(axis=0)
    plane = axial_plane(tumour, centre, own=own, side=side, lungs=lungs)
    if plane.middle_mm is None:
        reasons.append("The tumour's axial plane does not show both lungs, so that thirds cannot be drawn.")
    thirds = {lines: thirds_in(plane, own=own, side=side, lungs=lungs, lines_from=lines) for lines in LINES_FROM}
    return TumourLocation(
        side=side,
        **at_pleura(tumour, volume, own=own, lungs=lungs, outline=outline, reasons=reasons),
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
        away[name] = float(distances_mm(surface, points_mm).min())
    side = min(away, key=lambda name: away[name])
    return side, away[side]


def _share_of_lung(tumour: AxialPlanes, *, own: np.ndarray, side: str, lungs: Lungs) -> list[str]:
    share = float(tumour.mask.sum() * np.prod(tumour.spacing_mm) / (own.sum() * np.prod(lungs.spacing_mm)))
    if share <= LARGE_SHARE:
        return []
    return [f"The region is {100 * share:.0f} % of the {side} lung: check that it is the tumour and not the lung."]


def _centre_to_pleura_mm(
    centre: np.ndarray, *, own: np.ndarray, lungs: Lungs, outline: Outline, reasons: list[str]
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

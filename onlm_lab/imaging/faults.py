"""Finds what is wrong with the slices of one CT series before a pixel is decoded; each fault has a name."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from onlm_lab.imaging.headers import Header, native_order
from onlm_lab.imaging.privacy import safe_path

SAME_POSITION_MM = 0.01  # positions are written with two decimals or more
GRID_FRACTION = 0.1  # a slice may lie this part of a spacing off the even grid (positions written with one decimal)
DRIFT_MM = 0.5  # how far slices may drift sideways over the whole series before it counts as a tilt
WARNINGS = frozenset(
    {"lossy_compression", "mixed_image_types", "mixed_rescale", "padding_in_tissue_range"}
)  # read, and named
TISSUE_HU = (-900.0, 3071.0)


@dataclass(frozen=True)
class Fault:
    """One thing wrong with a series: a fixed code and a sentence that names the slice."""

    code: str
    sentence: str

    @property
    def refuses(self) -> bool:
        """Whether the series cannot be read as a volume because of it."""
        return self.code not in WARNINGS


def find_faults(headers: Sequence[Header]) -> tuple[Fault, ...]:
    """Every fault of one series, the ones that forbid reading first.

    Args:
        headers: all files of the series, in any order.
    """
    faults = [fault for check in _FILE_CHECKS for fault in check(headers)]
    if not any(fault.code in ("no_geometry", "multi_frame") for fault in faults):
        faults += _mixed(headers)
        if not any(fault.code == "mixed_orientation" for fault in faults):
            faults += _spacing_faults(headers)
    faults += _remarks(headers)
    return tuple(sorted(faults, key=lambda fault: not fault.refuses))


def slice_name(header: Header) -> str:
    """A slice as a message names it: its file, made safe, and its position."""
    file = safe_path(header.file, identifying=header.identifying)
    where = f" at z = {header.position_mm[2]:.2f} mm" if len(header.position_mm) == 3 else ""
    return f"'{file}'{where}"


def positions_mm(headers: Sequence[Header]) -> np.ndarray:
    """Where each slice lies along the normal of the first one, in mm."""
    normal = slice_normal(headers[0])
    return np.array([header.position_mm for header in headers], dtype=float) @ normal


def slice_normal(header: Header) -> np.ndarray:
    """The unit normal of a slice: row direction x column direction, in LPS."""
    row, column = np.reshape(header.orientation, (2, 3))
    normal = np.cross(row, column)
    return normal / np.linalg.norm(normal)


def shear_degrees(headers: Sequence[Header]) -> float:
    """The angle between the way from slice to slice and the slices' normal; NaN where it cannot be known."""
    if len(headers) < 2 or any(_geometry_gap(header) for header in headers):
        return float("nan")
    places = np.array([header.position_mm for header in headers], dtype=float)
    along = places @ slice_normal(headers[0])
    way = places[np.argmax(along)] - places[np.argmin(along)]
    length = np.linalg.norm(way)
    if length < SAME_POSITION_MM:
        return float("nan")
    return float(np.degrees(np.arccos(min(1.0, np.ptp(along) / length))))


def _several(headers: Sequence[Header]) -> str:
    shown = ", ".join(slice_name(header) for header in headers[:3])
    return shown + (f" and {len(headers) - 3} more" if len(headers) > 3 else "")


def _no_pixels(headers: Sequence[Header]) -> list[Fault]:
    bad = [header for header in headers if header.pixel_offset < 0 or not header.rows or not header.columns]
    text = f"{len(bad)} of {len(headers)} files have no pixels: {_several(bad)}. Export the images again."
    return [Fault("no_pixels", text)] if bad else []


def _truncated(headers: Sequence[Header]) -> list[Fault]:
    bad = [
        header
        for header in headers
        if native_order(header) and header.size_bytes - header.pixel_offset < 2 * header.rows * header.columns
    ]
    text = f"{len(bad)} of {len(headers)} files end before their pixels do: {_several(bad)}. Copy them again."
    return [Fault("truncated_pixels", text)] if bad else []


def _geometry_gap(header: Header) -> str:
    """What a slice lacks to be placed in the patient, or ""."""
    if len(header.position_mm) != 3 or not all(map(math.isfinite, header.position_mm)):
        return "ImagePositionPatient"
    if len(header.pixel_spacing_mm) != 2 or not min(header.pixel_spacing_mm) > 0:
        return "PixelSpacing"
    if len(header.orientation) != 6:
        return "ImageOrientationPatient"
    row, column = header.orientation[:3], header.orientation[3:]
    across = sum(a * b for a, b in zip(row, column, strict=True))
    if abs(math.hypot(*row) - 1) > 1e-2 or abs(math.hypot(*column) - 1) > 1e-2 or not abs(across) <= 1e-3:
        return "ImageOrientationPatient with two perpendicular unit vectors"
    return ""


def _no_geometry(headers: Sequence[Header]) -> list[Fault]:
    gaps = [_geometry_gap(header) if header.n_frames == 1 else "" for header in headers]
    bad = [header for header, gap in zip(headers, gaps, strict=True) if gap]
    if not bad:
        return []
    lacks = ", ".join(sorted(set(gaps) - {""}))
    return [Fault("no_geometry", f"{len(bad)} of {len(headers)} files lack a usable {lacks}: {_several(bad)}.")]


def _unsupported(headers: Sequence[Header]) -> list[Fault]:
    faults = []
    frames = [header for header in headers if header.n_frames > 1]
    if frames:
        faults.append(Fault("multi_frame", f"{_several(frames)} holds several frames (Enhanced CT), not read yet."))
    colour = [header for header in headers if header.samples != 1]
    if colour:
        faults.append(Fault("not_grey", f"{_several(colour)} is a colour picture, not a CT slice in Hounsfield units."))
    scouts = [header for header in headers if "LOCALIZER" in header.image_type]
    if scouts:
        text = f"{len(scouts)} of {len(headers)} files are localizers, not axial slices: {_several(scouts)}."
        faults.append(Fault("localizer", text))
    bad = [header for header in headers if not math.isfinite(header.slope * header.intercept) or header.slope == 0]
    if bad:
        text = f"{len(bad)} of {len(headers)} files lack a usable RescaleSlope and RescaleIntercept: {_several(bad)}."
        faults.append(Fault("no_rescale", text))
    return faults


_FILE_CHECKS: tuple[Callable[[Sequence[Header]], list[Fault]], ...] = (
    _no_pixels,
    _truncated,
    _no_geometry,
    _unsupported,
)


def _odd_ones(headers: Sequence[Header], of: Callable[[Header], tuple]) -> list[Header]:
    usual = Counter(of(header) for header in headers).most_common(1)[0][0]
    return [header for header in headers if of(header) != usual]


def _far_ones(headers: Sequence[Header], of: Callable[[Header], tuple], tolerance: float) -> list[Header]:
    if len({of(header) for header in headers}) == 1:
        return []
    values = np.array([of(header) for header in headers])
    far = np.abs(values - np.median(values, axis=0)).max(axis=1) > tolerance
    return [header for header, odd in zip(headers, far, strict=True) if odd]


def _mixed(headers: Sequence[Header]) -> list[Fault]:
    spacing_tolerance = 1e-3 * headers[0].pixel_spacing_mm[0]
    odd_ones = {
        "sizes": ("number of rows or columns", _odd_ones(headers, lambda h: (h.rows, h.columns))),
        "pixel_spacing": ("pixel spacing", _far_ones(headers, lambda h: h.pixel_spacing_mm, spacing_tolerance)),
        # 0.002 of a turned unit vector is half a millimetre at the edge of a chest.
        "orientation": ("orientation", _far_ones(headers, lambda h: h.orientation, 2e-3)),
        "frame_of_reference": ("frame of reference", _odd_ones(headers, lambda h: (h.frame_of_reference_uid,))),
    }
    return [
        Fault(f"mixed_{name}", f"{len(odd)} of {len(headers)} slices have another {what}: {_several(odd)}.")
        for name, (what, odd) in odd_ones.items()
        if odd
    ]


def _spacing_faults(headers: Sequence[Header]) -> list[Fault]:
    if len(headers) == 1:
        return [Fault("one_slice", f"There is a single slice, {slice_name(headers[0])}; a volume needs at least two.")]
    along = positions_mm(headers)
    order = np.argsort(along, kind="stable")
    ordered, along = [headers[k] for k in order], along[order]
    faults = []
    twins = np.flatnonzero(np.diff(along) < SAME_POSITION_MM)
    if twins.size:
        first, second = ordered[twins[0]], ordered[twins[0] + 1]
        text = (
            f"{twins.size} slices lie where another one lies, first {slice_name(first)} and {slice_name(second)}. "
            "Keep one reconstruction in the folder."
        )
        faults.append(Fault("duplicate_slices", text))
    keep = np.r_[True, np.diff(along) >= SAME_POSITION_MM]
    faults += _uneven([header for header, kept in zip(ordered, keep, strict=True) if kept], along[keep])
    return faults + _tilt(ordered)


def _uneven(ordered: list[Header], along: np.ndarray) -> list[Fault]:
    if len(along) < 3:
        return []
    gaps = np.diff(along)
    step = np.ptp(along) / (len(along) - 1)
    off_grid = np.abs(along - along[0] - step * np.arange(len(along)))
    if off_grid.max() <= GRID_FRACTION * step:
        return []
    usual = float(np.median(gaps))
    wide = np.flatnonzero(gaps > 1.5 * usual)
    whole = np.abs(gaps / usual - np.round(gaps / usual)) <= 2 * GRID_FRACTION
    if wide.size and whole.all():
        n_missing = int(np.round(gaps[wide] / usual - 1).sum())
        k = wide[0]
        text = (
            f"{n_missing} of {len(along) + n_missing} slices are missing: after {slice_name(ordered[k])} the next lies "
            f"{gaps[k]:.2f} mm on instead of {usual:.2f} mm. Export the whole series."
        )
        return [Fault("missing_slices", text)]
    counts = Counter(np.round(gaps, 2).tolist())
    spacings = ", ".join(f"{gap:g} mm x{n}" for gap, n in sorted(counts.items())[:4])
    k = int(np.argmax(np.abs(gaps - usual)))
    text = (
        f"The slice spacing varies ({spacings}), most after {slice_name(ordered[k])}. Choose an evenly spaced series."
    )
    return [Fault("variable_spacing", text)]


def _tilt(ordered: list[Header]) -> list[Fault]:
    places = np.array([header.position_mm for header in ordered], dtype=float)
    way = places - places[0]
    normal = slice_normal(ordered[0])
    sideways = np.linalg.norm(way - np.outer(way @ normal, normal), axis=1)
    if sideways.max() <= DRIFT_MM:
        return []
    text = (
        f"The gantry was tilted by {shear_degrees(ordered):.1f} degrees: slices drift sideways by "
        f"{sideways.max():.1f} mm from {slice_name(ordered[0])} to {slice_name(ordered[-1])}. "
        "Choose an untilted series."
    )
    return [Fault("gantry_tilt", text)]


def padding_hu(header: Header) -> float:
    """The Hounsfield value that the padding would have, NaN without padding."""
    if header.padding is None:
        return float("nan")
    return stored_value(header, header.padding) * header.slope + header.intercept


def stored_value(header: Header, value: int) -> int:
    """A padding value as it is stored: writers mix up signed and unsigned."""
    if header.signed and value > 32767:
        return value - 65536
    return value + 65536 if not header.signed and value < 0 else value


def _remarks(headers: Sequence[Header]) -> list[Fault]:
    faults = []
    if lossy := [header for header in headers if header.lossy]:
        faults.append(Fault("lossy_compression", f"{len(lossy)} of {len(headers)} slices were compressed with loss."))
    if odd := _odd_ones(headers, lambda header: header.image_type):
        faults.append(Fault("mixed_image_types", f"{len(odd)} of {len(headers)} slices have another ImageType."))
    if odd := _odd_ones(headers, lambda header: (repr(header.slope), repr(header.intercept))):
        faults.append(
            Fault("mixed_rescale", f"{len(odd)} of {len(headers)} slices have another rescale: {_several(odd)}.")
        )
    low, high = TISSUE_HU
    if inside := [header for header in headers if low <= padding_hu(header) <= high]:
        text = f"The padding value of {_several(inside)} is also a tissue's value, so it was not read as air."
        faults.append(Fault("padding_in_tissue_range", text))
    return faults

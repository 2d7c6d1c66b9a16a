"""Finds what is wrong with the slices of one CT series; each fault has a name, a slice, and something done about it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from onlm_lab.imaging.finding import UNITS_IN_HU
from onlm_lab.imaging.geometry import (
    DRIFT_MM,
    all_placed,
    apart,
    geometry_gap,
    is_even,
    lean_of,
    missing_steps,
    positions_mm,
    usual_gap,
)
from onlm_lab.imaging.header import Header, native_order, slice_name
from onlm_lab.imaging.kinds import MAPS
from onlm_lab.imaging.padding import TISSUE_HU, padding_hu
from onlm_lab.imaging.pixels import same_pixels
from onlm_lab.imaging.stacks import Stack, stacks_of
from onlm_lab.study.imaging import require_treatments

MAX_FILLED_MM = 5.0  # a wider hole is never filled: a nodule would fit into it
DECISIVE = (  # what decides how pixels become numbers
    "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelPaddingValue",
    "NumberOfFrames", "SamplesPerPixel",
)  # fmt: skip


@dataclass(frozen=True)
class Fault:
    """One thing wrong with a series: a fixed code, a sentence that names the slice, and what is done about it.

    `treatment` is a word of study.imaging.FAULTS.
    """

    code: str
    sentence: str
    treatment: str = "refuse"

    @property
    def refuses(self) -> bool:
        """Whether the series is not read because of it."""
        return self.treatment == "refuse"


@dataclass(frozen=True, eq=False)
class Examined:
    """What is known of a series before it is read.

    Attributes:
        faults: those that forbid reading first.
        slices: one header a slice, in order along the normal, without copies; empty where they cannot be ordered.
        stacks: several where the series holds several.
    """

    faults: tuple[Fault, ...]
    slices: tuple[Header, ...] = ()
    stacks: tuple[Stack, ...] = ()


def examine(
    headers: Sequence[Header],
    *,
    folder: Path,
    treatments: Mapping[str, str] | None = None,
    more: Sequence[tuple[str, str]] = (),
    whole: Sequence[Header] | None = None,
) -> Examined:
    """Every fault of one series, and its slices in order.

    Args:
        headers: all slices of the series, in any order.
        folder: what their files are relative to; pixels are looked at only where two slices lie at one place.
        treatments: what is done about which fault; None takes the defaults of study.imaging.FAULTS.
        more: codes and sentences of what is wrong with the files beside the slices.
        whole: all slices of the series, where `headers` are one stack of it.
    """
    found = [fault for check in _FILE_CHECKS for fault in check(headers)] + list(more)
    slices: tuple[Header, ...] = ()
    stacks: tuple[Stack, ...] = ()
    if not {"no_geometry", "multi_frame"} & {code for code, _ in found}:
        stacks = stacks_of(headers)
        found += _several_stacks(stacks) if len(stacks) > 1 else _mixed(headers)
        if not {"mixed_orientation", "several_stacks"} & {code for code, _ in found} or _alike(headers):
            slices, of_order = _ordered(headers, folder, whole=whole or headers)
            found += of_order
    found += _remarks(headers)
    treated = require_treatments(dict(treatments or {}))
    faults = [_bounded(Fault(code, text, treated[code]), slices) for code, text in found]
    return Examined(tuple(sorted(faults, key=lambda fault: not fault.refuses)), slices, stacks)


def _alike(headers: Sequence[Header]) -> bool:
    return not _far_ones(headers, lambda header: header.orientation, 2e-3)


def _bounded(fault: Fault, slices: Sequence[Header]) -> Fault:
    """A hole that is too wide is refused, whatever is said about missing slices."""
    if fault.treatment != "interpolate":
        return fault
    along = positions_mm(slices)
    if np.diff(along).max() - usual_gap(along) <= MAX_FILLED_MM:
        return fault
    return Fault(fault.code, f"{fault.sentence} A hole of more than {MAX_FILLED_MM:g} mm is never filled.")


def _several(headers: Sequence[Header]) -> str:
    shown = ", ".join(slice_name(header) for header in headers[:3])
    return shown + (f" and {len(headers) - 3} more" if len(headers) > 3 else "")


_Found = list[tuple[str, str]]


def _no_pixels(headers: Sequence[Header]) -> _Found:
    bad = [header for header in headers if header.pixel_offset < 0 or not header.rows or not header.columns]
    text = f"{len(bad)} of {len(headers)} files have no pixels: {_several(bad)}. Export the images again."
    return [("no_pixels", text)] if bad else []


def _truncated(headers: Sequence[Header]) -> _Found:
    native = [header for header in headers if native_order(header)]
    short = [header for header in native if header.size_bytes - header.pixel_offset < _pixel_bytes(header)]
    if short:
        text = f"{len(short)} of {len(headers)} files end before their pixels do: {_several(short)}. Copy them again."
        return [("truncated_pixels", text)]
    odd = [header for header in native if header.pixel_bytes not in (-1, _pixel_bytes(header))]
    text = (
        f"{len(odd)} of {len(headers)} files name another length of their pixels than rows, columns and frames give: "
        f"{_several(odd)}. Copy or export them again."
    )
    return [("odd_pixel_length", text)] if odd else []


def _pixel_bytes(header: Header) -> int:
    return 2 * header.rows * header.columns * header.n_frames


def _no_geometry(headers: Sequence[Header]) -> _Found:
    if all_placed(headers):
        return []
    gaps = [geometry_gap(header) if header.n_frames == 1 or header.frame >= 0 else "" for header in headers]
    bad = [header for header, gap in zip(headers, gaps, strict=True) if gap]
    if not bad:
        return []
    lacks = ", ".join(sorted(set(gaps) - {""}))
    return [("no_geometry", f"{len(bad)} of {len(headers)} files lack a usable {lacks}: {_several(bad)}.")]


def _not_hounsfield(headers: Sequence[Header]) -> _Found:
    found: _Found = []
    bad = [header for header in headers if not math.isfinite(header.slope * header.intercept) or header.slope == 0]
    if bad:
        text = f"{len(bad)} of {len(headers)} files lack a usable RescaleSlope and RescaleIntercept: {_several(bad)}."
        found.append(("no_rescale", text))
    other = [
        header
        for header in headers
        if header.rescale_type.upper() not in UNITS_IN_HU or {word.upper() for word in header.image_type} & set(MAPS)
    ]
    if other:
        text = (
            f"{len(other)} of {len(headers)} slices are in another unit than HU (RescaleType, ImageType): "
            f"{_several(other)}."
        )
        found.append(("not_hounsfield", text))
    return found


def _unsupported(headers: Sequence[Header]) -> _Found:
    found: _Found = []
    frames = [header for header in headers if header.n_frames > 1 and header.frame < 0]
    if frames:
        text = f"{_several(frames)} holds several frames and does not say where each lies. Export single slices."
        found.append(("multi_frame", text))
    colour = [header for header in headers if header.samples != 1]
    if colour:
        found.append(("not_grey", f"{_several(colour)} is a colour picture, not a CT slice in Hounsfield units."))
    scouts = [header for header in headers if "LOCALIZER" in header.image_type]
    if scouts:
        text = f"{len(scouts)} of {len(headers)} files are localizers, not axial slices: {_several(scouts)}."
        found.append(("localizer", text))
    return found


def _unreadable(headers: Sequence[Header]) -> _Found:
    bad = [header for header in headers if set(DECISIVE) & set(header.unreadable) and header.pixel_offset > 0]
    odd = [h for h in headers if h.high_bit != h.bits_stored - 1 and h.bits_stored and h not in bad]
    found: _Found = []
    if bad:
        names = ", ".join(sorted({name for header in bad for name in header.unreadable if name in DECISIVE}))
        text = f"{len(bad)} of {len(headers)} files lack a usable {names}: {_several(bad)}."
        found.append(("unreadable_values", text))
    elif odd:
        text = f"{len(odd)} of {len(headers)} files store bits at an unusual place (HighBit): {_several(odd)}."
        found.append(("unreadable_values", text))
    return found


def _patients(headers: Sequence[Header]) -> _Found:
    odd = _odd_ones(headers, lambda header: header.patient)
    text = f"{len(odd)} of {len(headers)} slices belong to another patient: {_several(odd)}. Sort the files by patient."
    return [("mixed_patients", text)] if odd else []


def _modalities(headers: Sequence[Header]) -> _Found:
    odd = _odd_ones(headers, lambda header: header.modality)
    text = f"{len(odd)} of {len(headers)} files of the series say that they are no CT (Modality): {_several(odd)}."
    return [("mixed_modality", text)] if odd else []


_FILE_CHECKS: tuple[Callable[[Sequence[Header]], _Found], ...] = (
    _no_pixels, _truncated, _no_geometry, _unsupported, _not_hounsfield, _unreadable, _patients, _modalities,
)  # fmt: skip


def _odd_ones(headers: Sequence[Header], of: Callable[[Header], object]) -> list[Header]:
    said = [of(header) for header in headers]
    if len(set(said)) == 1:
        return []
    usual = Counter(said).most_common(1)[0][0]
    return [header for header, one in zip(headers, said, strict=True) if one != usual]


def _far_ones(headers: Sequence[Header], of: Callable[[Header], tuple], tolerance: float) -> list[Header]:
    if len({of(header) for header in headers}) == 1:
        return []
    values = np.array([of(header) for header in headers])
    far = np.abs(values - np.median(values, axis=0)).max(axis=1) > tolerance
    return [header for header, odd in zip(headers, far, strict=True) if odd]


def _mixed(headers: Sequence[Header]) -> _Found:
    spacing_tolerance = 1e-3 * headers[0].pixel_spacing_mm[0]
    odd_ones = {
        "sizes": ("number of rows or columns", _odd_ones(headers, lambda h: (h.rows, h.columns))),
        "pixel_spacing": ("pixel spacing", _far_ones(headers, lambda h: h.pixel_spacing_mm, spacing_tolerance)),
        # 0.002 of a turned unit vector is half a millimetre at the edge of a chest.
        "orientation": ("orientation", _far_ones(headers, lambda h: h.orientation, 2e-3)),
        "frame_of_reference": ("frame of reference", _odd_ones(headers, lambda h: h.frame_of_reference_uid)),
    }
    return [
        (f"mixed_{name}", f"{len(odd)} of {len(headers)} slices have another {what}: {_several(odd)}.")
        for name, (what, odd) in odd_ones.items()
        if odd
    ]


def _several_stacks(stacks: Sequence[Stack]) -> _Found:
    listed = "; ".join(f"#{k} {stack.name} ({len(stack.headers)} slices)" for k, stack in enumerate(stacks, start=1))
    text = (
        f"The series holds {len(stacks)} stacks of slices: {listed}. Name one of them by series_uid, such as "
        f"'{stacks[0].headers[0].series_uid}#1'."
    )
    return [("several_stacks", text)]


def _ordered(headers: Sequence[Header], folder: Path, *, whole: Sequence[Header]) -> tuple[tuple[Header, ...], _Found]:
    """The slices along the normal, and what is wrong with where they lie."""
    if len(headers) == 1:
        text = f"There is a single slice, {slice_name(headers[0])}; a volume needs at least two."
        return (), [("one_slice", text)]
    along = positions_mm(headers)
    order = np.argsort(along, kind="stable")
    ordered, along = [headers[k] for k in order], along[order]
    found = _twins(ordered, apart(along), folder)
    keep = apart(along)
    kept, along = [header for header, first in zip(ordered, keep, strict=True) if first], along[keep]
    if len(kept) == 1:
        return (), [*found, ("one_slice", f"All slices lie at the place of {slice_name(kept[0])}.")]
    return tuple(kept), found + _uneven(kept, along) + _lean(kept) + _numbers(kept, whole)


def _twins(ordered: Sequence[Header], first: np.ndarray, folder: Path) -> _Found:
    """Slices that lie where another one lies: copies of it, or other slices."""
    copies: list[Header] = []
    for k in np.flatnonzero(~first):
        kept = ordered[int(np.flatnonzero(first[: k + 1])[-1])]
        if not same_pixels(folder, kept, ordered[k]):
            text = (
                f"{int((~first).sum())} slices lie where another one lies, first {slice_name(kept)} and "
                f"{slice_name(ordered[k])}, which differ. Keep one reconstruction in the folder."
            )
            return [("duplicate_slices", text)]
        copies.append(ordered[k])
    text = f"{len(copies)} of {len(ordered)} slices are copies of another one and were left out: {_several(copies)}."
    return [("identical_slices", text)] if copies else []


def _uneven(ordered: list[Header], along: np.ndarray) -> _Found:
    if is_even(along):
        return []
    gaps = np.diff(along)
    missing = missing_steps(along)
    if missing is not None:
        usual = usual_gap(along)
        n_missing, k = int(missing.sum()), int(np.argmax(missing > 0))
        text = (
            f"{n_missing} of {len(along) + n_missing} slices are missing: after {slice_name(ordered[k])} the next lies "
            f"{gaps[k]:.2f} mm on instead of {usual:.2f} mm. Export the whole series."
        )
        return [("missing_slices", text)]
    counts = Counter(np.round(gaps, 2).tolist())
    spacings = ", ".join(f"{gap:g} mm x{n}" for gap, n in sorted(counts.items())[:4])
    k = int(np.argmax(np.abs(gaps - np.median(gaps))))
    text = (
        f"The slice spacing varies ({spacings}), most after {slice_name(ordered[k])}. Choose an evenly spaced series."
    )
    return [("variable_spacing", text)]


def _lean(ordered: list[Header]) -> _Found:
    lean = lean_of(ordered)
    if lean is None:
        return []
    shifted = [header for header, off in zip(ordered, lean.off_mm, strict=True) if off > DRIFT_MM]
    if shifted:
        text = (
            f"{len(shifted)} of {len(ordered)} slices lie sideways of the others, by up to {lean.off_mm.max():.1f} mm: "
            f"{_several(shifted)}. Their ImagePositionPatient is wrong, or they belong to another scan."
        )
        return [("shifted_slices", text)]
    if lean.drift_mm > DRIFT_MM:
        text = (
            f"The gantry was tilted by {lean.degrees:.1f} degrees: slices drift sideways by {lean.drift_mm:.1f} mm "
            f"from {slice_name(ordered[0])} to {slice_name(ordered[-1])}."
        )
        return [("gantry_tilt", text)]
    named = [header for header in ordered if abs(header.gantry_degrees) > 1.0]
    if named:
        text = (
            f"{len(named)} of {len(ordered)} headers name a gantry tilt of up to "
            f"{max(abs(header.gantry_degrees) for header in named):.1f} degrees, which positions do not show."
        )
        return [("tilt_not_in_geometry", text)]
    return []


def _numbers(ordered: list[Header], whole: Sequence[Header]) -> _Found:
    """Instance numbers that follow the slices one by one but for a hole, or begin late: an end may be lost."""
    numbers = [header.number for header in ordered]
    if any(number is None for number in numbers) or len({h.file for h in ordered}) < len(ordered):
        return []
    steps = np.diff(np.array(numbers, dtype=np.int64)) * (1 if numbers[-1] >= numbers[0] else -1)
    if (steps < 1).any() or np.median(steps) > 1:
        return []  # numbered by another rule
    low, high = min(numbers), max(numbers)
    others = {header.number for header in whole if header.number is not None} - set(numbers)
    n_lost = int((steps - 1).sum()) + max(0, low - 1) - sum(1 <= number <= high for number in others)
    if n_lost <= 0:
        return []
    text = (
        f"Instance numbers run from {low} to {high} over {len(numbers)} slices: {n_lost} may be missing, also at an "
        "end, where no gap shows it."
    )
    return [("missing_numbers", text)]


def _remarks(headers: Sequence[Header]) -> _Found:
    found: _Found = []
    n = len(headers)
    if lossy := [header for header in headers if header.lossy]:
        found.append(("lossy_compression", f"{len(lossy)} of {n} slices were compressed with loss."))
    if odd := _odd_ones(headers, lambda header: header.image_type):
        found.append(("mixed_image_types", f"{len(odd)} of {n} slices have another ImageType."))
    if odd := _odd_ones(headers, lambda header: header.kernel):
        found.append(("mixed_kernels", f"{len(odd)} of {n} slices have another kernel: {_several(odd)}."))
    if odd := _odd_ones(headers, lambda header: repr(header.thickness_mm)):
        found.append(("mixed_thickness", f"{len(odd)} of {n} slices have another thickness: {_several(odd)}."))
    if odd := _odd_ones(headers, lambda h: (repr(h.slope), repr(h.intercept), h.signed, h.bits_stored)):
        text = f"{len(odd)} of {n} slices have another rescale or pixel representation: {_several(odd)}."
        found.append(("mixed_rescale", text))
    low, high = TISSUE_HU
    if inside := [header for header in headers if low <= padding_hu(header) <= high]:
        text = f"The padding value of {_several(inside)} is also a tissue's value, so it was not read as air."
        found.append(("padding_in_tissue_range", text))
    return found + _overlap(headers)


def _overlap(headers: Sequence[Header]) -> _Found:
    thick = max((h.thickness_mm for h in headers if math.isfinite(h.thickness_mm)), default=float("nan"))
    if len(headers) < 2 or not all_placed(headers) or not math.isfinite(thick):
        return []
    along = np.sort(positions_mm(headers))
    step = np.ptp(along) / max(1, int(apart(along).sum()) - 1)
    if not 0 < 2 * step < thick - 1e-6:
        return []
    text = f"Slices of {thick:g} mm lie {step:.2f} mm apart: each shows mostly what its neighbour shows."
    return [("overlapping_slices", text)]

"""The slices of a stack in order along their normal, and what is wrong with where they lie."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from onlm_lab.imaging.geometry import DRIFT_MM, apart, is_even, lean_of, missing_steps, positions_mm, usual_gap
from onlm_lab.imaging.header import Header, slice_name
from onlm_lab.imaging.odd_slices import Findings, name_some
from onlm_lab.imaging.pixels import same_pixels


def in_order(
    headers: Sequence[Header], folder: Path, *, whole: Sequence[Header]
) -> tuple[tuple[Header, ...], Findings]:
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


def _twins(ordered: Sequence[Header], first: np.ndarray, folder: Path) -> Findings:
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
    text = f"{len(copies)} of {len(ordered)} slices are copies of another one and were left out: {name_some(copies)}."
    return [("identical_slices", text)] if copies else []


def _uneven(ordered: list[Header], along: np.ndarray) -> Findings:
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
    digits = 2 if len(np.unique(np.round(gaps, 2))) > 1 else 4
    counts = Counter(np.round(gaps, digits).tolist())
    spacings = ", ".join(f"{gap:g} mm x{n}" for gap, n in sorted(counts.items())[:4])
    k = int(np.argmax(np.abs(gaps - np.median(gaps))))
    text = (
        f"The slice spacing varies ({spacings}), most after {slice_name(ordered[k])}. Choose an evenly spaced series."
    )
    return [("variable_spacing", text)]


def _lean(ordered: list[Header]) -> Findings:
    lean = lean_of(ordered)
    if lean is None:
        return []
    shifted = [header for header, off in zip(ordered, lean.off_mm, strict=True) if off > DRIFT_MM]
    if shifted:
        text = (
            f"{len(shifted)} of {len(ordered)} slices lie sideways of the others, by up to {lean.off_mm.max():.1f} mm: "
            f"{name_some(shifted)}. Their ImagePositionPatient is wrong, or they belong to another scan."
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


def _numbers(ordered: list[Header], whole: Sequence[Header]) -> Findings:
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

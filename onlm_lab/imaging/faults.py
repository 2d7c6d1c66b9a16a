"""Finds what is wrong with the slices of one CT series; each fault has a name, a slice, and something done about it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from onlm_lab.imaging.file_faults import FILE_CHECKS
from onlm_lab.imaging.geometry import all_placed, apart, positions_mm, usual_gap
from onlm_lab.imaging.header import Header
from onlm_lab.imaging.odd_slices import Findings, far_ones, name_some, odd_ones
from onlm_lab.imaging.order_faults import in_order
from onlm_lab.imaging.padding import TISSUE_HU, padding_hu, range_holds_tissue
from onlm_lab.imaging.stacks import Stack, stacks_of
from onlm_lab.study.imaging import require_treatments

FILLED = ("missing_slices", "variable_spacing")
MAX_FILLED_MM = 5.0  # a wider hole is never filled: a nodule would fit into it


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
    found = [fault for check in FILE_CHECKS for fault in check(headers)] + list(more)
    slices: tuple[Header, ...] = ()
    stacks: tuple[Stack, ...] = ()
    if not {"no_geometry", "multi_frame"} & {code for code, _ in found}:
        stacks = stacks_of(headers)
        found += _several_stacks(stacks) if len(stacks) > 1 else _mixed(headers)
        if not {"mixed_orientation", "several_stacks"} & {code for code, _ in found} or _alike(headers):
            slices, of_order = in_order(headers, folder, whole=whole or headers)
            found += of_order
    found += _remarks(headers)
    treated = require_treatments(dict(treatments or {}))
    faults = [_bounded(Fault(code, text, treated[code]), slices) for code, text in found]
    return Examined(tuple(sorted(faults, key=lambda fault: not fault.refuses)), slices, stacks)


def _alike(headers: Sequence[Header]) -> bool:
    return not far_ones(headers, lambda header: header.orientation, 2e-3)


def _bounded(fault: Fault, slices: Sequence[Header]) -> Fault:
    """A hole that is too wide is refused, whatever is said about missing slices or uneven ones."""
    if fault.code not in FILLED or fault.treatment not in ("interpolate", "resample"):
        return fault
    along = positions_mm(slices)
    if np.diff(along).max() - usual_gap(along) <= MAX_FILLED_MM:
        return fault
    return Fault(fault.code, f"{fault.sentence} A hole of more than {MAX_FILLED_MM:g} mm is never filled.")


def _mixed(headers: Sequence[Header]) -> Findings:
    spacing_tolerance = 1e-3 * headers[0].pixel_spacing_mm[0]
    compared = {
        "sizes": ("number of rows or columns", odd_ones(headers, lambda h: (h.rows, h.columns))),
        "pixel_spacing": ("pixel spacing", far_ones(headers, lambda h: h.pixel_spacing_mm, spacing_tolerance)),
        # 0.002 of a turned unit vector is half a millimetre at the edge of a chest.
        "orientation": ("orientation", far_ones(headers, lambda h: h.orientation, 2e-3)),
        "frame_of_reference": ("frame of reference", odd_ones(headers, lambda h: h.frame_of_reference_uid)),
    }
    return [
        (f"mixed_{name}", f"{len(odd)} of {len(headers)} slices have another {what}: {name_some(odd)}.")
        for name, (what, odd) in compared.items()
        if odd
    ]


def _several_stacks(stacks: Sequence[Stack]) -> Findings:
    listed = "; ".join(f"#{k} {stack.name} ({len(stack.headers)} slices)" for k, stack in enumerate(stacks, start=1))
    text = (
        f"The series holds {len(stacks)} stacks of slices: {listed}. Name one of them by series_uid, such as "
        f"'{stacks[0].headers[0].series_uid}#1'."
    )
    return [("several_stacks", text)]


def _remarks(headers: Sequence[Header]) -> Findings:
    found: Findings = []
    n = len(headers)
    if lossy := [header for header in headers if header.lossy]:
        found.append(("lossy_compression", f"{len(lossy)} of {n} slices were compressed with loss."))
    if odd := odd_ones(headers, lambda header: header.image_type):
        found.append(("mixed_image_types", f"{len(odd)} of {n} slices have another ImageType."))
    if odd := odd_ones(headers, lambda header: header.kernel):
        found.append(("mixed_kernels", f"{len(odd)} of {n} slices have another kernel: {name_some(odd)}."))
    if odd := odd_ones(headers, lambda header: repr(header.thickness_mm)):
        found.append(("mixed_thickness", f"{len(odd)} of {n} slices have another thickness: {name_some(odd)}."))
    if odd := odd_ones(headers, lambda h: (repr(h.slope), repr(h.intercept), h.signed, h.bits_stored)):
        text = f"{len(odd)} of {n} slices have another rescale or pixel representation: {name_some(odd)}."
        found.append(("mixed_rescale", text))
    low, high = TISSUE_HU
    if inside := [header for header in headers if low <= padding_hu(header) <= high]:
        text = f"The padding value of {name_some(inside)} is also a tissue's value, so it was not read as air."
        found.append(("padding_in_tissue_range", text))
    elif inside := [header for header in headers if range_holds_tissue(header)]:
        text = (
            f"The padding range of {name_some(inside)} holds tissue's values; only its padding value was read as air."
        )
        found.append(("padding_in_tissue_range", text))
    return found + _overlap(headers)


def _overlap(headers: Sequence[Header]) -> Findings:
    thick = max((h.thickness_mm for h in headers if math.isfinite(h.thickness_mm)), default=float("nan"))
    if len(headers) < 2 or not all_placed(headers) or not math.isfinite(thick):
        return []
    along = np.sort(positions_mm(headers))
    step = np.ptp(along) / max(1, int(apart(along).sum()) - 1)
    if not 0 < 2 * step < thick - 1e-6:
        return []
    text = f"Slices of {thick:g} mm lie {step:.2f} mm apart: each shows mostly what its neighbour shows."
    return [("overlapping_slices", text)]

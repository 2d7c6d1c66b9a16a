"""What is wrong with the files of a series, before it is asked where their slices lie."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from onlm_lab.imaging.finding import UNITS_IN_HU
from onlm_lab.imaging.geometry import all_placed, geometry_gap
from onlm_lab.imaging.header import GROUPS, Header, native_order
from onlm_lab.imaging.kinds import MAPS
from onlm_lab.imaging.odd_slices import Findings, name_some, odd_ones

DECISIVE = (  # what decides how pixels become numbers
    "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelPaddingValue",
    "NumberOfFrames", "SamplesPerPixel", GROUPS,
)  # fmt: skip


def _no_pixels(headers: Sequence[Header]) -> Findings:
    bad = [header for header in headers if header.pixel_offset < 0 or not header.rows or not header.columns]
    text = f"{len(bad)} of {len(headers)} files have no pixels: {name_some(bad)}. Export the images again."
    return [("no_pixels", text)] if bad else []


def _truncated(headers: Sequence[Header]) -> Findings:
    native = [header for header in headers if native_order(header)]
    short = [header for header in native if header.size_bytes - header.pixel_offset < _pixel_bytes(header)]
    if short:
        text = f"{len(short)} of {len(headers)} files end before their pixels do: {name_some(short)}. Copy them again."
        return [("truncated_pixels", text)]
    odd = [header for header in native if header.pixel_bytes != _pixel_bytes(header)]  # -1: in fragments, as compressed
    text = (
        f"{len(odd)} of {len(headers)} files name another length of their pixels than rows, columns and frames give: "
        f"{name_some(odd)}. Copy or export them again."
    )
    return [("odd_pixel_length", text)] if odd else []


def _pixel_bytes(header: Header) -> int:
    return 2 * header.rows * header.columns * header.n_frames


def _no_geometry(headers: Sequence[Header]) -> Findings:
    if all_placed(headers):
        return []
    gaps = [geometry_gap(header) if header.n_frames == 1 or header.frame >= 0 else "" for header in headers]
    bad = [header for header, gap in zip(headers, gaps, strict=True) if gap]
    if not bad:
        return []
    lacks = ", ".join(sorted(set(gaps) - {""}))
    return [("no_geometry", f"{len(bad)} of {len(headers)} files lack a usable {lacks}: {name_some(bad)}.")]


def _not_hounsfield(headers: Sequence[Header]) -> Findings:
    found: Findings = []
    bad = [header for header in headers if not math.isfinite(header.slope * header.intercept) or header.slope == 0]
    if bad:
        text = f"{len(bad)} of {len(headers)} files lack a usable RescaleSlope and RescaleIntercept: {name_some(bad)}."
        found.append(("no_rescale", text))
    other = [
        header
        for header in headers
        if header.rescale_type.upper() not in UNITS_IN_HU or {word.upper() for word in header.image_type} & set(MAPS)
    ]
    if other:
        text = (
            f"{len(other)} of {len(headers)} slices are in another unit than HU (RescaleType, ImageType): "
            f"{name_some(other)}."
        )
        found.append(("not_hounsfield", text))
    return found


def _unsupported(headers: Sequence[Header]) -> Findings:
    found: Findings = []
    frames = [header for header in headers if header.n_frames > 1 and header.frame < 0]
    if frames:
        text = f"{name_some(frames)} holds several frames and does not say where each lies. Export single slices."
        found.append(("multi_frame", text))
    colour = [header for header in headers if header.samples != 1]
    if colour:
        found.append(("not_grey", f"{name_some(colour)} is a colour picture, not a CT slice in Hounsfield units."))
    scouts = [header for header in headers if "LOCALIZER" in header.image_type]
    if scouts:
        text = f"{len(scouts)} of {len(headers)} files are localizers, not axial slices: {name_some(scouts)}."
        found.append(("localizer", text))
    return found


def _unreadable(headers: Sequence[Header]) -> Findings:
    bad = [header for header in headers if set(DECISIVE) & set(header.unreadable) and header.pixel_offset > 0]
    odd = [h for h in headers if h.high_bit != h.bits_stored - 1 and h.bits_stored and h not in bad]
    found: Findings = []
    if bad:
        names = ", ".join(sorted({name for header in bad for name in header.unreadable if name in DECISIVE}))
        text = f"{len(bad)} of {len(headers)} files lack a usable {names}: {name_some(bad)}."
        found.append(("unreadable_values", text))
    elif odd:
        text = f"{len(odd)} of {len(headers)} files store bits at an unusual place (HighBit): {name_some(odd)}."
        found.append(("unreadable_values", text))
    return found


def _patients(headers: Sequence[Header]) -> Findings:
    odd = odd_ones(headers, lambda header: header.patient)
    text = (
        f"{len(odd)} of {len(headers)} slices belong to another patient: {name_some(odd)}. Sort the files by patient."
    )
    return [("mixed_patients", text)] if odd else []


def _modalities(headers: Sequence[Header]) -> Findings:
    odd = odd_ones(headers, lambda header: header.modality)
    text = f"{len(odd)} of {len(headers)} files of the series say that they are no CT (Modality): {name_some(odd)}."
    return [("mixed_modality", text)] if odd else []


FILE_CHECKS: tuple[Callable[[Sequence[Header]], Findings], ...] = (
    _no_pixels, _truncated, _no_geometry, _unsupported, _not_hounsfield, _unreadable, _patients, _modalities,
)  # fmt: skip

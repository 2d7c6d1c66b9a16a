"""Finds the series of a folder and reads one CT to Hounsfield units in the patient's frame."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from onlm_lab.imaging.faults import examine
from onlm_lab.imaging.finding import Found, search, series_kind
from onlm_lab.imaging.geometry import positions_mm, tilt_degrees
from onlm_lab.imaging.header import UNREADABLE, Header, syntax_name
from onlm_lab.imaging.indexing import SeriesIndex, index_series
from onlm_lab.imaging.planes import read_block
from onlm_lab.imaging.privacy import find_path
from onlm_lab.imaging.volume import CtVolume
from onlm_lab.imaging.volume_files import VOLUME_FILES, read_volume_file

READER_VERSION = "3"  # raise it when the same files would give other Hounsfield units
COLUMNS = (
    "uid modality n_instances spacing_mm thickness_mm kernel tilt_degrees transfer_syntax faults path "
    "kind pixel_spacing_mm rows columns n_slices coverage_mm manufacturer model kvp contrast lossy patient_position "
    "image_type body_part stacks refused study_uid frame_of_reference_uid patient_digest"
).split()
_UNEVEN = {"no_geometry", "multi_frame", "mixed_orientation", "missing_slices", "variable_spacing", "several_stacks"}


def find_series(
    folder: str | os.PathLike, *, workers: int | None = None, progress: bool = False,
    store: str | os.PathLike | None = None, treatments: Mapping[str, str] | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Every DICOM series below a folder, one row each, whatever the nesting and the file names.

    Args:
        folder: read with everything below it, or a DICOMDIR; files that are not DICOM are left out and counted.
        workers: processes for reading headers; None decides by the number of files.
        progress: whether to show a bar.
        store: a folder that keeps the headers, so that a search that was killed goes on where it was, and the next
            one opens only what is new; nothing in it tells who a patient is. None keeps nothing.
        treatments: what is done about which fault, as in [imaging.faults] of study.toml.

    Returns:
        One row a series: uid, modality, n_instances, spacing_mm (between slices, from their positions; NaN where they
        are uneven), thickness_mm, kernel, tilt_degrees, transfer_syntax, faults (tuple of codes of
        study.imaging.FAULTS, empty when sound), path (folder relative to the argument; a part that names the patient
        is a digest, which the readers of this package accept in its place), kind (see kinds.KINDS), stacks (what the
        stacks of a series that holds several are, to be named as "<uid>#1" and so on), and further facts. `.attrs`
        counts n_files, n_not_dicom, n_unreadable and n_without_series.

    Raises:
        SeriesError: the folder does not exist.
    """
    return series_table(search(folder, workers=workers, progress=progress, store=store), treatments=treatments)


def series_table(found: Found, *, treatments: Mapping[str, str] | None = None) -> pd.DataFrame:
    """The same, of headers that are there already."""
    rows = [_row(found, uid, members, treatments) for uid, members in found.series.items()]
    rows += [_lost_row(uid, modality) for uid, (modality, n) in found.listed.items() if n and uid not in found.series]
    table = pd.DataFrame(rows, columns=COLUMNS)
    n_series = sum(len({header.file for header in members}) for members in found.series.values())
    n_unreadable = sum(header.unreadable == UNREADABLE for header in found.broken)
    table.attrs.update(
        n_files=found.n_files,
        n_not_dicom=found.n_files - found.n_dicom,
        n_unreadable=n_unreadable,
        n_without_series=found.n_dicom - n_series - n_unreadable,
    )
    return table


def read_series(
    folder: str | os.PathLike, series_uid: str | None = None, *, treatments: Mapping[str, str] | None = None
) -> CtVolume:
    """A CT as Hounsfield units in the patient's frame.

    Args:
        folder: a folder of DICOM files (with everything below it), or one NIfTI, NRRD or MetaImage file.
        series_uid: needed where the folder holds several CT series; "1.2.3#2" is the second stack of a series.
        treatments: what is done about which fault, as in [imaging.faults] of study.toml; None takes the defaults of
            study.imaging.FAULTS: a tilted gantry is made upright, missing or uneven slices are refused.

    Raises:
        SeriesError: which slice and what is wrong.
    """
    path = find_path(folder)
    if path.is_file() and str(path).lower().endswith(VOLUME_FILES):
        return read_volume_file(path, treatments=treatments)
    return read_index(index_series(path, series_uid, treatments=treatments))


def read_index(index: SeriesIndex) -> CtVolume:
    """The whole CT of an index."""
    hu, padding = read_block(index.folder, index.headers, index.grid)
    return CtVolume(
        hu=hu,
        spacing_mm=index.spacing_mm,
        origin_mm=index.origin_mm,
        direction=index.direction,
        series_uid=index.series_uid,
        acquisition=dict(index.acquisition),
        padding=padding,
        slice_z=index.grid.slice_z,
    )


def _row(found: Found, uid: str, members: list[Header], treatments: Mapping[str, str] | None) -> dict[str, Any]:
    first = members[0]
    modality = found.modality(uid)
    kind = series_kind(members)
    faults, refused, stacks, slices = (), (), (), ()
    if modality == "CT":
        examined = examine(members, folder=found.folder, treatments=treatments, more=found.beside(members))
        faults = tuple(dict.fromkeys(fault.code for fault in examined.faults))
        refused = tuple(dict.fromkeys(fault.code for fault in examined.faults if fault.refuses))
        stacks = tuple(stack.name for stack in examined.stacks) if len(examined.stacks) > 1 else ()
        slices = examined.slices
    spacing, coverage = _extent_mm(slices)
    return {
        "uid": uid,
        "modality": modality,
        "n_instances": len({header.file for header in members}),
        "spacing_mm": float("nan") if _UNEVEN & set(faults) else spacing,
        "thickness_mm": first.thickness_mm,
        "kernel": first.kernel,
        "tilt_degrees": tilt_degrees(members),
        "transfer_syntax": "; ".join(sorted({syntax_name(header) for header in _one_each(members)})),
        "faults": faults,
        "path": found.place(members),
        "kind": kind,
        "pixel_spacing_mm": first.pixel_spacing_mm[0] if first.pixel_spacing_mm else float("nan"),
        "rows": first.rows,
        "columns": first.columns,
        "n_slices": len(members),
        "coverage_mm": coverage,
        "manufacturer": first.manufacturer,
        "model": first.model,
        "kvp": first.kvp,
        "contrast": first.contrast,
        "lossy": any(header.lossy for header in members),
        "patient_position": first.patient_position,
        "image_type": "\\".join(first.image_type),
        "stacks": stacks,
        "refused": refused,
        "body_part": first.body_part,
        "study_uid": first.study_uid,
        "frame_of_reference_uid": first.frame_of_reference_uid,
        "patient_digest": first.patient,
    }


def _one_each(members: list[Header]) -> list[Header]:
    """One header for each transfer syntax."""
    return list({header.transfer_syntax: header for header in members}.values())


def _extent_mm(slices: tuple[Header, ...]) -> tuple[float, float]:
    """The distance of slices, and the whole way from the first to the last."""
    if len(slices) < 2:
        return float("nan"), float("nan")
    whole = float(np.ptp(positions_mm(slices)))
    return whole / (len(slices) - 1), whole


def _lost_row(uid: str, modality: str) -> dict[str, Any]:
    """A series that a DICOMDIR lists and of which no file is there."""
    unknown = dict.fromkeys(COLUMNS, "")
    numbers = ("spacing_mm", "thickness_mm", "tilt_degrees", "pixel_spacing_mm", "coverage_mm", "kvp")
    return {
        **unknown, **dict.fromkeys(numbers, float("nan")), **dict.fromkeys(("rows", "columns", "n_slices"), 0),
        "contrast": False, "lossy": False, "stacks": (), "refused": (), "uid": uid, "modality": modality,
        "n_instances": 0,
        "faults": ("missing_files",), "path": ".", "kind": "not_ct" if modality != "CT" else "not_placed",
    }  # fmt: skip

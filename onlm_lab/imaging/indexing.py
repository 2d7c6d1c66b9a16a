"""SeriesIndex: one CT series that can be read, known from its headers alone."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from onlm_lab.errors import SeriesError
from onlm_lab.imaging.faults import Examined, Fault, examine
from onlm_lab.imaging.finding import Found, search, series_kind
from onlm_lab.imaging.geometry import geometry_gap, tilt_degrees
from onlm_lab.imaging.header import Header, slices_of, syntax_name
from onlm_lab.imaging.headers import read_header
from onlm_lab.imaging.regular import Grid, regular_grid
from onlm_lab.imaging.stacks import stacks_of
from onlm_lab.schema.shown import counted
from onlm_lab.showing import shows_itself


@shows_itself
@dataclass(frozen=True, eq=False)
class SeriesIndex:
    """One readable CT series, known from its headers alone.

    Attributes:
        folder: what the headers' file names are relative to.
        series_uid: with "#2" behind it where it is the second stack of its series.
        headers: one a slice, in order along the normal.
        grid: the even, upright grid of the volume, and how slices fill it.
        acquisition: how the scan was made; holds nothing that names the patient.
        faults: those that it is read with; a series that must be refused has no index.
    """

    folder: Path = field(repr=False)
    series_uid: str
    headers: tuple[Header, ...]
    grid: Grid
    acquisition: dict[str, Any]
    faults: tuple[Fault, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along (z, y, x)."""
        return self.grid.shape

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance of voxel centres along (z, y, x)."""
        return self.grid.spacing_mm

    @property
    def origin_mm(self) -> tuple[float, float, float]:
        """x, y, z of the centre of voxel [0, 0, 0]."""
        return self.grid.origin_mm

    @property
    def direction(self) -> np.ndarray:
        """3x3; the columns are the unit vectors of z, y and x in LPS."""
        return self.grid.direction

    @property
    def digest(self) -> str:
        """Changes when any file of the series changes (name, size, time of change, geometry); pixels are not read."""
        return series_digest(self.series_uid, self.headers)


def series_digest(series_uid: str, headers: Sequence[Header]) -> str:
    """Stands for the files of a series in any order: their names, sizes, times of change and geometry."""
    state = hashlib.sha256(series_uid.encode())
    said = [
        repr((
            PurePosixPath(header.file).name, header.size_bytes, header.modified_ns, header.frame, header.position_mm,
            header.orientation, header.slope, header.intercept,
        ))
        for header in headers
    ]  # fmt: skip
    for text in sorted(said):
        state.update(text.encode("utf-8", "surrogateescape"))
    return state.hexdigest()


def index_series(
    folder: str | os.PathLike, series_uid: str | None = None, *, treatments: Mapping[str, str] | None = None
) -> SeriesIndex:
    """The one CT series of a folder, or the named one, checked and in order, without decoding a pixel.

    Args:
        folder: read with everything below it; or a DICOMDIR.
        series_uid: needed where there are several CT series; "1.2.3#2" is the second stack of a series.
        treatments: what is done about which fault; None takes the defaults of study.imaging.FAULTS.

    Raises:
        SeriesError: no CT, several of them and none named, or slices that do not make a volume; the message names
            the fault and the slice.
    """
    return index_found(search(folder), series_uid, treatments=treatments)


def index_found(
    found: Found, series_uid: str | None = None, *, treatments: Mapping[str, str] | None = None
) -> SeriesIndex:
    """The same, of headers that are there already."""
    members = _chosen(found, (series_uid or "").partition("#")[0] or None)
    return _indexed(found, members, series_uid, treatments=treatments, beside=found.beside(members))


def index_files(
    folder: str | os.PathLike, files: Sequence[str], series_uid: str, *, digest: str = "",
    treatments: Mapping[str, str] | None = None, beside: Sequence[tuple[str, str]] = (),
) -> SeriesIndex:  # fmt: skip
    """The same, of the files of one series that are known by name; nothing else of the folder is opened.

    Args:
        folder: what the files are relative to.
        files: of the series.
        series_uid: of the series, or of a stack of it.
        digest: of `series_digest`, which the files must still have; "" takes them as they are.
        treatments: what is done about which fault.
        beside: what is wrong with the files beside them: codes and sentences, of `Found.beside`.
    """
    headers = [header for file in files if (header := read_header(Path(folder), file)) is not None]
    uid = series_uid.partition("#")[0]
    members = slices_of([header for header in headers if header.series_uid == uid])
    found = Found(Path(folder), {uid: members}, (), {}, len(files), len(headers))
    if not members or (digest and series_digest(series_uid, members) != digest):
        raise SeriesError(f"The {len(files)} files of the CT were changed since they were found. Start again.")
    return _indexed(found, members, series_uid, treatments=treatments, beside=beside)


def _indexed(
    found: Found, members: list[Header], series_uid: str | None, *, treatments: Mapping[str, str] | None,
    beside: Sequence[tuple[str, str]],
) -> SeriesIndex:  # fmt: skip
    said, number = members[0].series_uid, (series_uid or "").partition("#")[2]
    whole = members
    if number:
        members, said = _stack(found, members, number), f"{said}#{number}"
    examined = examine(members, folder=found.folder, treatments=treatments, more=beside, whole=whole)
    refusals = [fault for fault in examined.faults if fault.refuses]
    if refusals:
        where = found.place(members, named=True)
        mended = [fault for fault in examined.faults if fault.treatment in ("resample", "interpolate")]
        sentences = " ".join(fault.sentence for fault in (*refusals, *mended))
        raise SeriesError(f"The CT in '{where}' cannot be read. {sentences}")
    return _index(found.folder, examined, series_uid=said)


def _stack(found: Found, members: Sequence[Header], number: str) -> list[Header]:
    usable = [header for header in members if not geometry_gap(header)]
    stacks = stacks_of(usable) if len(usable) == len(members) else ()
    if not number.isdigit() or not 1 <= int(number) <= len(stacks) or len(stacks) < 2:
        n = max(1, len(stacks))
        raise SeriesError(f"The CT in '{found.place(members, named=True)}' has no stack #{number}; it holds {n}.")
    return list(stacks[int(number) - 1].headers)


def _chosen(found: Found, series_uid: str | None) -> list[Header]:
    name = found.name
    ct = {uid: members for uid, members in found.series.items() if found.modality(uid) == "CT"}
    if not ct:
        others = ", ".join(sorted({found.modality(uid) or "unknown" for uid in found.series})) or "none"
        broken = f", {counted(len(found.broken), 'file')} without a readable SeriesInstanceUID" if found.broken else ""
        raise SeriesError(
            f"'{name}' holds no CT series: {counted(found.n_files, 'file')}, {len(found.series)} DICOM series of other "
            f"kinds ({others}){broken}. Give the folder that holds the CT slices."
        )
    if series_uid is not None:
        if series_uid in found.series and series_uid not in ct:
            kind = found.modality(series_uid) or "no modality"
            hint = " read_mask reads a contour or segmentation." if kind in ("RTSTRUCT", "SEG") else ""
            raise SeriesError(f"Series {series_uid} in '{name}' is not a CT but {kind}.{hint}")
        if series_uid not in ct:
            raise SeriesError(f"'{name}' holds no CT series {series_uid}; there are: {_listed(ct)}.")
        return ct[series_uid]
    if len(ct) > 1:
        axial = [members for members in ct.values() if series_kind(members) == "axial"]
        if len(axial) == 1:
            return axial[0]
        raise SeriesError(f"'{name}' holds {len(ct)} CT series; name one by series_uid: {_listed(ct)}.")
    return next(iter(ct.values()))


def _listed(series: dict[str, list[Header]]) -> str:
    shown = [f"{uid} ({len(members)} slices)" for uid, members in list(series.items())[:10]]
    return ", ".join(shown) + (f" and {len(series) - 10} more" if len(series) > 10 else "")


def _index(root: Path, examined: Examined, *, series_uid: str) -> SeriesIndex:
    slices = examined.slices
    first, grid = slices[0], regular_grid(slices)
    return SeriesIndex(
        folder=root,
        series_uid=series_uid,
        headers=slices,
        grid=grid,
        acquisition={
            "manufacturer": first.manufacturer,
            "model": first.model,
            "kernel": first.kernel,
            "kvp": first.kvp,
            "thickness_mm": first.thickness_mm,
            "contrast": first.contrast,
            "patient_position": first.patient_position,
            "transfer_syntax": syntax_name(first),
            "frame_of_reference_uid": first.frame_of_reference_uid,
            "tilt_degrees": tilt_degrees(slices),
            "n_filled": len(grid.filled),
            "stored_shape": (len(slices), first.rows, first.columns),
            "warnings": tuple(fault.code for fault in examined.faults),
        },
        faults=examined.faults,
    )

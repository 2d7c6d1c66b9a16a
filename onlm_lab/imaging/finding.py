"""Finds the series of a folder: headers by series, what lies beside them, what kind of series each is."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from onlm_lab.errors import SeriesError
from onlm_lab.imaging.dicomdir import listed_series, lost_files
from onlm_lab.imaging.geometry import all_placed, geometry_gap, positions_mm, slice_axes
from onlm_lab.imaging.header import Header, slices_of
from onlm_lab.imaging.headers import telling_texts_of
from onlm_lab.imaging.kinds import kind_of, said_by_image_type
from onlm_lab.imaging.privacy import find_path, safe_path
from onlm_lab.imaging.searching import read_headers
from onlm_lab.imaging.whereabouts import safe_place, shared_folder
from onlm_lab.showing import shows_itself

STRAYS = ("localizer", "dose_page", "picture")
NORMAL_Z = 2  # of a vector in LPS: along the body
UNITS_IN_HU = ("", "HU", "US")  # of RescaleType; US is "unspecified", which CT scanners of old write


@shows_itself
@dataclass(frozen=True, eq=False)
class Found:
    """The headers of a folder by series, before anything is decided about them.

    Attributes:
        folder: what the headers' files are relative to.
        series: slices by series UID, in the order of their files; every frame of a multi-frame file is one.
        broken: DICOM files whose header cannot be read, or names no series.
        listed: what a DICOMDIR lists: series UID -> modality, files.
        n_files, n_dicom: files below the folder; those that are DICOM.
    """

    folder: Path = field(repr=False)
    series: dict[str, list[Header]]
    broken: tuple[Header, ...]
    listed: dict[str, tuple[str, int]]
    n_files: int
    n_dicom: int

    def modality(self, uid: str) -> str:
        """What most files of a series say that it is."""
        return Counter(header.modality for header in self.series[uid]).most_common(1)[0][0]

    def below(self, prefix: str) -> Found:
        """The part of it that lies below a folder (or is a file), given relative to `folder` with slashes."""

        def inside(header: Header) -> bool:
            return header.file == prefix or header.file.startswith(f"{prefix}/")

        series = {uid: [header for header in members if inside(header)] for uid, members in self.series.items()}
        return replace(
            self, series={uid: members for uid, members in series.items() if members},
            broken=tuple(header for header in self.broken if inside(header)),
        )  # fmt: skip

    def beside(self, members: Sequence[Header]) -> list[tuple[str, str]]:
        """What is wrong with the files beside the slices of a series: codes and sentences."""
        found = []
        broken = []
        if self.broken:
            folders = {os.path.dirname(header.file) for header in members}
            broken = [header for header in self.broken if os.path.dirname(header.file) in folders]
        if broken:
            names = ", ".join(f"'{name}'" for name in self._named_beside(broken[:3], members))
            found.append((
                "broken_files",
                f"{len(broken)} DICOM files beside the CT's {len(members)} slices have a broken header ({names}) or "
                "may not be opened, and may be slices of it. Copy them again, or move them elsewhere.",
            ))  # fmt: skip
        uid = members[0].series_uid
        files = {header.file: header for header in members}
        lost = lost_files({uid: self.listed[uid]}, list(files.values())) if uid in self.listed else {}
        if lost:
            n_listed = self.listed[uid][1]
            text = f"{lost[uid]} of {n_listed} files that DICOMDIR lists are not there. Copy the whole disc again."
            found.append(("missing_files", text))
        return found

    def _named_beside(self, broken: Sequence[Header], members: Sequence[Header]) -> list[str]:
        """Names of files without a header, by what the slices beside them say of the patient."""
        told = {text for header in members[:1] for text in telling_texts_of(self.folder, header.file)}
        return [safe_path(header.file, identifying=told) for header in broken]

    @property
    def name(self) -> str:
        """The folder's own name, made safe."""
        own = self.folder.resolve().name
        told = any(0 in header.tells for members in self.series.values() for header in members)
        return safe_place(own, (0,) if told else (), first=0)

    def place(self, members: Sequence[Header], *, named: bool = False) -> str:
        """The folder of a series, relative to the one that was read (`named`: with its own name), made safe."""
        common = shared_folder([header.file for header in members])
        whole = self.folder.resolve().name + ("" if common in ("", ".") else f"/{common}")
        told = {part for header in members for part in header.tells}
        return safe_place(whole, told, first=0 if named else 1) or "."


def search(
    folder: str | os.PathLike, *, workers: int | None = None, progress: bool = False,
    store: str | os.PathLike | None = None,
) -> Found:  # fmt: skip
    """The headers of a folder by series; see `find_series`.

    Raises:
        SeriesError: the folder does not exist.
    """
    root = require_folder(folder)
    headers, n_files = read_headers(root, workers=workers, progress=progress, store=store)
    series: dict[str, list[Header]] = {}
    for header in headers:
        if header.series_uid:
            series.setdefault(header.series_uid, []).append(header)
    return Found(
        folder=root,
        series={uid: slices_of(members) for uid, members in series.items()},
        broken=tuple(header for header in headers if not header.series_uid and not header.is_directory),
        listed=listed_series(root, headers),
        n_files=n_files,
        n_dicom=len(headers),
    )


def require_folder(folder: str | os.PathLike) -> Path:
    """The folder on disk; a DICOMDIR stands for the folder that it lies in.

    Raises:
        SeriesError: it does not exist.
    """
    root = find_path(folder)
    if root.is_dir():
        return root
    if root.is_file() and root.name.upper() == "DICOMDIR":
        return root.parent
    what = "is a file, not a folder" if root.is_file() else "does not exist"
    raise SeriesError(f"'{root.name}' {what}. Give the folder that holds the DICOM files.")


def _without_strays(members: Sequence[Header]) -> Sequence[Header]:
    """Without the localizers and dose pages that some scanners file under the UID of the slices; faults name them."""
    words = {header.image_type for header in members}
    if len(words) == 1:
        return members
    stray = {image_type for image_type in words if said_by_image_type(image_type) in STRAYS}
    rest = [header for header in members if header.image_type not in stray]
    return rest if len(rest) > len(members) / 2 else members


def series_kind(members: Sequence[Header]) -> str:
    """What a series is, by key of kinds.KINDS."""
    first = members[0]
    placed = members if all_placed(members) else [header for header in members if not geometry_gap(header)]
    along = body = None
    if placed:
        body = abs(float(slice_axes(placed[0])[NORMAL_Z, 0]))
        along = positions_mm(placed)
    members = _without_strays(members)
    hints = {header.hint for header in members}
    return kind_of(
        modality=Counter(header.modality for header in members).most_common(1)[0][0],
        sop_class_uid=first.sop_class_uid,
        image_type=tuple(dict.fromkeys(word for header in members for word in header.image_type)),
        hint=hints.pop() if len(hints) == 1 else "",
        grey=all(header.samples == 1 for header in members),
        in_hu=all(header.rescale_type.upper() in UNITS_IN_HU for header in members),
        normal_along_body=body,
        n_slices=len(members),
        n_places=len(np.unique(np.round(along, 2))) if along is not None else 0,
    )

"""Which CT belongs to which patient of a study, and why: named in annotations.csv, named by the mask, or by rule.

    series_uid or series_path of the annotation  ->  the series that an RTSTRUCT or SEG says it was drawn on
    ->  of all series with the patient's id in PatientID (or as the name of a folder), the one that the rule chooses

Dates are compared here and go no further: what is kept is a number of days.
"""

from __future__ import annotations

import datetime
import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from onlm_lab import imaging, patches
from onlm_lab.errors import SeriesError
from onlm_lab.imaging.privacy import digest_text
from onlm_lab.study import Study

AXES = ("x", "y", "z")


@dataclass(frozen=True)
class Scan:
    """One patient's CT, as another process needs it to read it.

    Attributes:
        patient_id: whose it is.
        root: folder that `files` are relative to; or the one file of a NIfTI, NRRD or MetaImage.
        files: of the series; empty for a single file.
        series_uid: with "#2" behind it where it is the second stack of its series; "" for a single file.
        digest: changes when a file of the series changes.
        beside: what is wrong with the files beside it: codes and sentences.
        centre_mm: the tumour's centre x, y, z (LPS), where the annotation names it.
        mask, mask_roi: the tumour's mask, where the annotation names it.
        days_before_treatment: NaN where it is not known.
    """

    patient_id: str
    root: Path = field(repr=False)
    files: tuple[str, ...] = field(repr=False)
    series_uid: str
    digest: str
    beside: tuple[tuple[str, str], ...] = ()
    centre_mm: tuple[float, float, float] | None = None
    mask: Path | None = field(default=None, repr=False)
    mask_roi: str | None = None
    days_before_treatment: float = float("nan")

    def index(self, treatments: Mapping[str, str]) -> imaging.SeriesIndex:
        """The series, checked and in order.

        Raises:
            SeriesError: it cannot be read.
        """
        return imaging.index_files(
            self.root, self.files, self.series_uid, digest=self.digest, treatments=treatments, beside=self.beside
        )

    def identifying(self) -> tuple[str, ...]:
        """Texts of its first header that tell who the patient is: they must not be shown."""
        return imaging.telling_texts_of(self.root, self.files[0]) if self.files else ()

    def read(self, treatments: Mapping[str, str]) -> imaging.CtVolume:
        """The whole CT.

        Raises:
            SeriesError: it cannot be read.
        """
        if not self.files:
            return imaging.read_series(self.root, treatments=treatments)
        return imaging.read_index(self.index(treatments))


@dataclass(frozen=True, eq=False)
class Sources:
    """Whose CT is which.

    Attributes:
        scans: patient_id -> Scan, or the reason why there is none.
        series: the table of all series, with patient_id, chosen and reason; nothing in it names a patient but by id.
    """

    scans: dict[str, Scan | str]
    series: pd.DataFrame


def scan_of(patient_id: str, series_uid: str, found: imaging.Found) -> Scan:
    """The scan that a series is, or a stack of it ("1.2.3#2")."""
    members = found.series[series_uid.partition("#")[0]]
    return Scan(
        patient_id=patient_id, root=found.folder, files=tuple(dict.fromkeys(header.file for header in members)),
        series_uid=series_uid, digest=imaging.series_digest(series_uid, members), beside=tuple(found.beside(members)),
    )  # fmt: skip


def rule_of(study: Study) -> imaging.Rule:
    """How [imaging] of a study chooses a series."""
    said = study.imaging
    return imaging.Rule(
        kernel=said.kernel, lung_kernels=said.lung_kernels, soft_kernels=said.soft_kernels,
        max_thickness_mm=said.max_thickness_mm, min_coverage_mm=said.min_coverage_mm,
        max_days_before_treatment=said.max_days_before_treatment, treatments=said.faults,
    )  # fmt: skip


def find_sources(
    study: Study, *, patient_ids: Iterable[str], annotations: pd.DataFrame, found: imaging.Found,
    treatment_dates: Mapping[str, datetime.date] | None = None,
) -> Sources:  # fmt: skip
    """The scan of every named patient, or why there is none.

    Args:
        patient_ids: whose scans are wanted.
        annotations: schema "annotations".
        found: the headers of the study's CT folder, of `imaging.search`.
        treatment_dates: by patient_id, where they are known.
    """
    finder = _Finder(study, found, dict(treatment_dates or {}))
    by_patient = annotations.drop_duplicates("patient_id").set_index("patient_id")
    scans = {patient: finder.scan_or_reason(patient, by_patient) for patient in patient_ids}
    taken = Counter(scan.series_uid for scan in scans.values() if isinstance(scan, Scan) and scan.series_uid)
    for patient, scan in scans.items():  # one scan under two names would stand on both sides of a split
        if isinstance(scan, Scan) and taken[scan.series_uid] > 1:
            scans[patient] = "its series would be another patient's too; name the series of both in annotations.csv"
    return Sources(scans, finder.told(scans))


def tumour_of(study: Study, said: pd.Series) -> dict[str, Any]:
    """What a row of annotations.csv says of the tumour: centre_mm, mask and mask_roi of a `Scan`."""
    centre = tuple(float(said.get(f"tumour_{axis}_mm", float("nan"))) for axis in AXES)
    mask = _word(said, "mask_path")
    return {
        "centre_mm": None if any(pd.isna(c) for c in centre) else centre,
        "mask": study.path(mask) if mask else None, "mask_roi": _word(said, "mask_roi"),
    }  # fmt: skip


def _word(row: pd.Series, name: str) -> str | None:
    """A cell's text; None where it is empty, however a table says so."""
    value = row.get(name)
    return None if value is None or pd.isna(value) or value == "" else str(value)


class _Finder:
    """What is needed again for every patient."""

    def __init__(self, study: Study, found: imaging.Found, dates: dict[str, datetime.date]):
        self.study, self.found, self.dates = study, found, dates
        self.table = imaging.series_table(found, treatments=study.imaging.faults)
        self.reasons: dict[str, str] = {}
        self.by_digest = {digest: own["uid"].tolist() for digest, own in self.table.groupby("patient_digest")}
        self.by_folder: dict[str, set[str]] = {}
        for uid, members in found.series.items():
            for folder in {os.path.dirname(header.file) for header in members}:
                for part in folder.split("/"):
                    self.by_folder.setdefault(part, set()).add(uid)

    def scan_or_reason(self, patient: str, annotations: pd.DataFrame) -> Scan | str:
        """As `scan`; what cannot be opened is the reason of this patient alone."""
        try:
            return self.scan(patient, annotations)
        except OSError as error:
            return f"the annotated CT or mask cannot be read: {error.strerror or 'unknown reason'}"

    def scan(self, patient: str, annotations: pd.DataFrame) -> Scan | str:
        if patient not in annotations.index:
            return "no annotation"
        said = annotations.loc[patient]
        more = tumour_of(self.study, said)
        if more["centre_mm"] is None and more["mask"] is None:
            return "the annotation has neither a centre nor a mask"
        uid, path = _word(said, "series_uid"), _word(said, "series_path")
        if path is not None:
            return self._at(patient, path, uid, more)
        if uid is not None:
            if uid.partition("#")[0] not in self.found.series:
                return "the annotated series is not in the CT folder"
            return self._of(patient, uid, self.found, "named in annotations.csv", more)
        named = self._named_by_mask(more["mask"])
        if isinstance(named, str):
            return named
        if named:
            return self._of(patient, named[0], self.found, "the mask was drawn on it", more)
        return self._by_rule(patient, more)

    def _named_by_mask(self, mask: Path | None) -> list[str] | str:
        """The one series of this folder that a mask names; a sentence where its file cannot be read."""
        if mask is None:
            return []
        try:
            named = [uid for uid in imaging.series_of_mask(mask) if uid in self.found.series]
        except SeriesError:
            return "the mask of the annotation cannot be read"
        return named if len(named) == 1 else []

    def _by_rule(self, patient: str, more: dict[str, Any]) -> Scan | str:
        own = self.by_digest.get(digest_text(patient)) or self._in_own_folder(patient)
        table = self.table[self.table["uid"].isin(own)].assign(patient_digest=patient)
        if table.empty:
            return "the annotation names no series, and none has the patient's id in PatientID or as a folder's name"
        days, same_day = self._days(patient, table["uid"].tolist())
        chosen = imaging.choose_series(table, rule=rule_of(self.study), days_before_treatment=days, same_day=same_day)
        self.reasons |= dict(zip(chosen["uid"], chosen["reason"], strict=True))
        best = chosen.loc[chosen["chosen"], "uid"].tolist()
        if not best:
            return "no series of the patient can be chosen by rule; series.csv says why"
        return self._of(patient, best[0], self.found, self.reasons[best[0]], more)

    def _in_own_folder(self, patient: str) -> list[str]:
        """The series below a folder that bears the patient's id, if all of them are of one person."""
        own = sorted(self.by_folder.get(patient, ()))
        people = {members[0].patient for members in (self.found.series[uid] for uid in own)}
        return own if len(people) == 1 else []

    def _days(self, patient: str, uids: list[str]) -> tuple[dict[str, float], dict[str, object]]:
        dates = imaging.acquisition_dates(self.found, uids)
        treated = self.dates.get(patient)
        days = {uid: float((treated - day).days) for uid, day in dates.items()} if treated is not None else {}
        return days, {uid: day.toordinal() for uid, day in dates.items()}

    def _at(self, patient: str, path: str, uid: str | None, more: dict[str, Any]) -> Scan | str:
        """The scan at a path of the study: a folder of DICOM, in the CT folder or elsewhere, or one file."""
        place = imaging.find_path(self.study.path(path))
        if place.is_file() and str(place).lower().endswith(imaging.VOLUME_FILES):
            states = [(part.name, part.stat()) for part in imaging.files_of_volume(place)]
            stamps = [(name, state.st_size, state.st_mtime_ns) for name, state in states]
            digest = hashlib.sha256(repr(stamps).encode()).hexdigest()
            return Scan(patient_id=patient, root=place, files=(), series_uid="", digest=digest, **more)
        if not place.exists():
            return "the annotated series_path does not exist"
        found = self._below(place)
        series = {u: members for u, members in found.series.items() if found.modality(u) == "CT"}
        if uid is not None:
            if uid.partition("#")[0] not in series:
                return "the annotated series is not in the annotated folder"
        elif len(series) == 1:
            uid = next(iter(series))
        else:
            axial = [u for u, members in series.items() if imaging.series_kind(members) == "axial"]
            if len(axial) != 1:
                return f"the annotated folder holds {len(series)} CT series; wanted series_uid too"
            uid = axial[0]
        return self._of(patient, uid, found, "named in annotations.csv", more)

    def _below(self, place: Path) -> imaging.Found:
        """The headers below a folder, without reading again what was read."""
        try:
            prefix = place.resolve().relative_to(self.found.folder.resolve()).as_posix()
        except ValueError:
            return imaging.search(place if place.is_dir() else place.parent)
        return self.found if prefix == "." else self.found.below(prefix)

    def _of(self, patient: str, uid: str, found: imaging.Found, why: str, more: dict[str, Any]) -> Scan:
        if found.folder == self.found.folder:
            self.reasons.setdefault(uid, f"chosen: {why}")
        days, _ = self._days(patient, [uid]) if patient in self.dates else ({}, {})
        return replace(scan_of(patient, uid, found), days_before_treatment=days.get(uid, float("nan")), **more)

    def told(self, scans: Mapping[str, Scan | str]) -> pd.DataFrame:
        """All series, whose scan each is, and why."""
        known = {scan.series_uid.partition("#")[0]: scan for scan in scans.values() if isinstance(scan, Scan)}
        table = self.table.drop(columns="patient_digest")  # a number of a hospital could be guessed from it
        people = {digest: k for k, digest in enumerate(dict.fromkeys(self.table["patient_digest"]), start=1)}
        table.insert(1, "patient_id", [known[uid].patient_id if uid in known else None for uid in table["uid"]])
        table.insert(2, "person", [people[digest] if digest else None for digest in self.table["patient_digest"]])
        table.insert(3, "chosen", [int(uid in known) for uid in table["uid"]])
        stacks = {uid: scan.series_uid.partition("#")[2] or None for uid, scan in known.items()}
        table.insert(4, "stack", [stacks.get(uid) for uid in table["uid"]])  # the one that was taken
        table.insert(5, "reason", [self.reasons.get(uid) for uid in table["uid"]])
        days = {uid: scan.days_before_treatment for uid, scan in known.items()}
        table["days_before_treatment"] = [days.get(uid, float("nan")) for uid in table["uid"]]
        return table


def cut_key(scan: Scan, spec: patches.PatchSpec, *, mask_digest: str, settings: Mapping[str, Any]) -> str:
    """The key of a patient's row in the cache: it changes when anything changes that the row was made from."""
    return patches.row_key(
        spec, series_uid=scan.series_uid, files_digest=scan.digest, centre_mm=scan.centre_mm or (),
        mask_digest=mask_digest, reader_version=imaging.READER_VERSION, settings=settings,
    )  # fmt: skip

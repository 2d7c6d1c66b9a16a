"""Chooses the series of each patient by rule, and says of every series why it was taken or left out.

What is not a stack of axial slices, cannot be read, is too thick or too short, or was made after treatment, is left
out. Of the rest the closest before treatment is taken; of several of that day those that show about as much of the body
as the one that shows most, then what was measured before what was computed from it, then the thin one, then the wanted
kernel, then the thinnest, then the one that shows most. Where the day cannot be known, nothing is taken.
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd
import pydicom
from pydicom.errors import InvalidDicomError

from onlm_lab.imaging.finding import Found
from onlm_lab.imaging.header_values import MALFORMED
from onlm_lab.imaging.kernels import kernel_class
from onlm_lab.imaging.kinds import KINDS
from onlm_lab.imaging.quiet import reading_quietly
from onlm_lab.showing import shows_itself
from onlm_lab.study.imaging import FAULTS, require_treatments

CHEST_MM = 280.0  # a field of view as wide as this holds both lungs of most people
NO_LUNG = ("HEAD", "BRAIN", "SKULL", "NECK", "SPINE", "ABDOMEN", "PELVIS", "EXTREMITY", "LEG", "KNEE", "HIP", "SINUS")
LUNG = ("CHEST", "THORAX", "LUNG", "BODY")
THIN_MM = (1.5, 3.0)  # classes of thickness: a thinner class goes before a better kernel
ABOUT_AS_MUCH = 0.9  # of the body that another series of the day shows, along it and across it
# A reconstruction made days later has a SeriesDate of its own.
_DATES = ("AcquisitionDateTime", "AcquisitionDate", "StudyDate", "SeriesDate", "ContentDate")
FIRST_CT = 1972  # an earlier year is a placeholder


@shows_itself
@dataclass(frozen=True)
class Rule:
    """What a series has to be, and what is preferred; see study.Imaging.

    Attributes:
        kernel: "lung", "soft" or "any": which is preferred, never demanded.
        lung_kernels, soft_kernels: patterns of kernels of the study's own.
        max_thickness_mm: of a slice, or of the distance between slices where that is more.
        min_coverage_mm: from the first slice to the last.
        max_days_before_treatment: None takes any.
        treatments: what is done about which fault; None takes the defaults.
    """

    kernel: Literal["lung", "soft", "any"] = "lung"
    lung_kernels: tuple[str, ...] = ()
    soft_kernels: tuple[str, ...] = ()
    max_thickness_mm: float = 5.0
    min_coverage_mm: float = 100.0
    max_days_before_treatment: float | None = None
    treatments: Mapping[str, str] | None = None


def choose_series(
    series: pd.DataFrame, *, rule: Rule | None = None, days_before_treatment: Mapping[str, float] | None = None,
    same_day: Mapping[str, object] | None = None,
) -> pd.DataFrame:  # fmt: skip
    """One series for each patient, and why.

    Args:
        series: of `find_series`; patients are told apart by patient_digest.
        rule: None takes the defaults.
        days_before_treatment: by series uid, where it is known; negative is after treatment.
        same_day: by series uid, equal for series of one day; None takes series of one study for one day. It matters
            where the day of treatment is not known: then all usable series have to be of one day.

    Returns:
        A row a series, in the order given: uid, patient_digest, chosen (bool), reason (a sentence).
    """
    rule = Rule() if rule is None else rule
    days = dict(days_before_treatment or {})
    said = {
        uid: _left_out(row, rule, days.get(uid))
        for uid, row in zip(series["uid"], series.to_dict("records"), strict=True)
    }
    chosen: set[str] = set()
    for patient, own in series.groupby("patient_digest", sort=False):
        if not patient:  # whoever they belong to, they may be of several people
            said |= {uid: said[uid] or "not chosen: its files do not say whose it is" for uid in own["uid"]}
            continue
        usable = [row for row in own.to_dict("records") if not said[row["uid"]]]
        chosen |= _best(usable, rule, days, same_day, said)
    return pd.DataFrame({
        "uid": series["uid"], "patient_digest": series["patient_digest"],
        "chosen": [uid in chosen for uid in series["uid"]], "reason": [said[uid] for uid in series["uid"]],
    })  # fmt: skip


def _left_out(row: Mapping[str, object], rule: Rule, days: float | None) -> str:
    """Why a series cannot be chosen, whatever else there is; "" where it can."""
    if row["kind"] != "axial":
        return f"left out: {KINDS[row['kind']]}"
    treated = require_treatments(dict(rule.treatments or {}))
    refused = [code for code in row["faults"] if treated[code] == "refuse" or code in _codes(row.get("refused"))]
    if refused:
        return f"left out: {'; '.join(FAULTS[code][0] for code in refused)}"
    thick = _thickness(row)
    if math.isinf(thick):
        return "left out: neither thickness nor distance of its slices is known"
    if thick > rule.max_thickness_mm:
        return f"left out: {thick:g} mm thick, more than {rule.max_thickness_mm:g} mm"
    if row["coverage_mm"] < rule.min_coverage_mm:
        return f"left out: shows {row['coverage_mm']:.0f} mm of the body, less than {rule.min_coverage_mm:g} mm"
    if days is not None and days < 0:
        return f"left out: made {-days:g} days after treatment began"
    most = rule.max_days_before_treatment
    if days is not None and most is not None and days > most:
        return f"left out: made {days:g} days before treatment, more than {most:g}"
    return ""


def _codes(value: object) -> tuple[str, ...]:
    return tuple(value) if isinstance(value, tuple | list) else ()


def _thickness(row: Mapping[str, object]) -> float:
    known = [value for value in (row["thickness_mm"], row["spacing_mm"]) if not math.isnan(value)]
    return round(max(known, default=math.inf), 2)  # positions are written with few digits


def _best(
    usable: Sequence[Mapping[str, object]], rule: Rule, days: Mapping[str, float],
    same_day: Mapping[str, object] | None, said: dict[str, str],
) -> set[str]:  # fmt: skip
    """The chosen one of a patient's usable series; reasons are written into `said`."""
    if not usable:
        return set()
    elsewhere = {row["uid"] for row in usable if _of_another_part(row)}
    if len(elsewhere) < len(usable):  # where all of them say so, it is what the protocol was called
        for row in usable:
            if row["uid"] in elsewhere:
                said[row["uid"]] = f"not chosen: of another part of the body ({row['body_part']}) than another one"
        usable = [row for row in usable if row["uid"] not in elsewhere]
    known = [row for row in usable if row["uid"] in days and not math.isnan(days[row["uid"]])]
    if known:
        for row in usable:
            if row not in known:
                said[row["uid"]] = "not chosen: the day it was made is not known, and another one's is"
        nearest = min(days[row["uid"]] for row in known)
        for row in known:
            if days[row["uid"]] > nearest:
                said[row["uid"]] = (
                    f"not chosen: made {days[row['uid']]:g} days before treatment, another one {nearest:g}"
                )
        usable = [row for row in known if days[row["uid"]] == nearest]
        when = f"made {nearest:g} days before treatment, the closest"
    else:
        made = {(same_day or {}).get(row["uid"], row["study_uid"]) for row in usable}
        if len(made) > 1:
            for row in usable:
                said[row["uid"]] = (
                    f"not chosen: the usable series are of {len(made)} different days, and the day of treatment is "
                    "not known; name the series in annotations.csv"
                )
            return set()
        when = "the only day with a usable series"
    most = {name: max(_shown_mm(row)[name] for row in usable) for name in ("along", "across")}
    less = {
        row["uid"]: name
        for row in usable for name, widest in most.items() if _shown_mm(row)[name] < ABOUT_AS_MUCH * widest
    }  # fmt: skip
    if len(less) == len(usable):  # each shows less than another in some respect
        less = {}
    for uid, name in less.items():
        own = next(_shown_mm(row)[name] for row in usable if row["uid"] == uid)
        where = "of" if name == "along" else "across"
        said[uid] = f"not chosen: shows {own:.0f} mm {where} the body, another one {most[name]:.0f} mm"
    ranked = sorted((row for row in usable if row["uid"] not in less), key=lambda row: _rank(row, rule))
    best = ranked[0]
    equal = [row for row in ranked[1:] if _rank(row, rule)[:-1] == _rank(best, rule)[:-1]]
    for row in ranked[1:]:
        said[row["uid"]] = f"not chosen: {_why_after(row, best, rule)}"
    alike = f"; {len(equal)} more like it, the first by its UID was taken" if equal else ""
    said[best["uid"]] = f"chosen: {when}; {_described(best, rule)}{alike}"
    return {best["uid"]}


def _shown_mm(row: Mapping[str, object]) -> dict[str, float]:
    """How much of the body a series shows along it and across it; a field as wide as a chest is wide enough."""
    across = min(row.get("rows", 0), row.get("columns", 0)) * row.get("pixel_spacing_mm", math.nan)
    return {"along": float(row["coverage_mm"]), "across": 0.0 if math.isnan(across) else min(float(across), CHEST_MM)}


def _of_another_part(row: Mapping[str, object]) -> bool:
    """Whether BodyPartExamined names a part of the body that has no lung."""
    words = str(row.get("body_part", "")).upper()
    return any(part in words for part in NO_LUNG) and not any(part in words for part in LUNG)


def _computed(row: Mapping[str, object]) -> bool:
    """Whether a series was computed from another one, by ImageType."""
    words = {word.strip().upper() for word in str(row.get("image_type", "")).split("\\")}
    return bool({"DERIVED", "SECONDARY"} & words)


def _rank(row: Mapping[str, object], rule: Rule) -> tuple[object, ...]:
    thick = _thickness(row)
    thickness_class = sum(thick > limit for limit in THIN_MM)
    return (
        _computed(row), thickness_class, _kernel_rank(row, rule), round(thick, 2), len(row["faults"]),
        -round(row["coverage_mm"]), row["uid"],
    )  # fmt: skip


def _class_of(row: Mapping[str, object], rule: Rule) -> str:
    return kernel_class(str(row["kernel"]), lung=rule.lung_kernels, soft=rule.soft_kernels)


def _kernel_rank(row: Mapping[str, object], rule: Rule) -> int:
    if rule.kernel == "any":
        return 0
    found = _class_of(row, rule)
    return 0 if found == rule.kernel else 1 if found == "unknown" else 2


def _described(row: Mapping[str, object], rule: Rule) -> str:
    kernel = str(row["kernel"]).split("\\")[0]
    named = f"kernel {kernel} ({_class_of(row, rule)})" if kernel else "kernel not recorded"
    contrast = "" if "contrast" not in row else ", with contrast" if row["contrast"] else ", without contrast"
    return f"{_thickness(row):g} mm thick, {named}{contrast}, {row['n_slices']} slices"


def _why_after(row: Mapping[str, object], best: Mapping[str, object], rule: Rule) -> str:
    """The first respect in which a series stands behind the chosen one."""
    own, other = _rank(row, rule), _rank(best, rule)
    if own[0] > other[0]:
        return "computed from another series (ImageType), another one is as it was scanned"
    own, other = own[1:], other[1:]
    if own[0] > other[0] or (own[1] == other[1] and own[2] > other[2]):
        return f"{_thickness(row):g} mm thick, another one {_thickness(best):g} mm"
    if own[1] > other[1]:
        return f"its kernel is {_class_of(row, rule)}, another one's {_class_of(best, rule)}"
    if own[4] > other[4] and own[3] == other[3]:
        return f"shows {row['coverage_mm']:.0f} mm of the body, another one {best['coverage_mm']:.0f} mm"
    if own[3] > other[3]:
        return "it has more faults than another one"
    return "like the chosen one, whose UID comes first"


def acquisition_dates(found: Found, uids: Sequence[str]) -> dict[str, datetime.date]:
    """The day on which each series was made, where one of its files says so. It is kept nowhere: only days are."""
    dates: dict[str, datetime.date] = {}
    for uid in uids:
        members = found.series.get(uid) or []
        tried = dict.fromkeys(members[k].file for k in (0, len(members) // 2, -1)) if members else {}
        day = next((day for file in tried if (day := _day_of(found.folder, file)) is not None), None)
        if day is not None:
            dates[uid] = day
    by_study: dict[str, set[datetime.date]] = {}
    for uid, day in dates.items():
        by_study.setdefault(found.series[uid][0].study_uid, set()).add(day)
    for uid in uids:  # one without a date has that of its study, where the others agree on it
        members = found.series.get(uid)
        known = by_study.get(members[0].study_uid, set()) if members and members[0].study_uid else set()
        if uid not in dates and len(known) == 1:
            (dates[uid],) = known
    return dates


def _day_of(folder: Path, file: str) -> datetime.date | None:
    try:
        with reading_quietly():  # a malformed date is no date
            data = pydicom.dcmread(f"{folder}/{file}", stop_before_pixels=True, force=True, specific_tags=list(_DATES))
            said = [re.sub("[.]", "", str(data.get(keyword, "") or "")[:10])[:8] for keyword in _DATES]
    except (InvalidDicomError, OSError, EOFError, *MALFORMED):
        return None
    for text in said:
        if len(text) == 8 and text.isdigit():
            try:
                day = datetime.date(int(text[:4]), int(text[4:6]), int(text[6:]))
            except ValueError:
                continue
            if day.year >= FIRST_CT:
                return day
    return None

"""What the CT says of a tumour beside what the spreadsheet says: listed for a person to look at, never overruled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from onlm_lab.cohort import central_location
from onlm_lab.study import Study
from onlm_lab.study.centrality import central_definition

COLUMNS = ["patient_id", "what", "recorded", "derived", "matters"]
STAGE_I_MM = 40.0  # the largest size of stage I, itself included (AJCC 8: T2a is above 3 up to 4 cm)
SOLID_PART_MM = 5.0  # a solid part that nobody calls pure ground glass (T1mi ends here, AJCC 8)
SPECK_MM = 2.0  # two or three voxels: what noise in ground glass leaves above a cut
LITTLE_SOLID = 0.5  # a consolidation-to-tumour ratio that nobody calls solid
SIDES = {"RUL": "right", "RML": "right", "RLL": "right", "LUL": "left", "LLL": "left"}

_Row = tuple[np.ndarray, str, list[str], list[str], np.ndarray]


def image_disagreements(study: Study, *, patients: pd.DataFrame, prepared: pd.DataFrame) -> pd.DataFrame:
    """Where the CT and the spreadsheet disagree on a tumour.

    Diameters by more than [imaging] diameter_tolerance_mm; the side by the lobe; the nodule's type, where the solid
    part at every cut contradicts it; the central location by the study's definition, however its lines are drawn; the
    days from CT to treatment.

    Args:
        study: whose settings count.
        patients: clinical columns.
        prepared: a row a patient, of `preparation.prepare_images`.

    Returns:
        patient_id, what, recorded, derived, matters (it may decide whether the patient is in: the two lie on different
        sides of the diameter that asks for a mediastinal work-up, or of stage I; or the tumour may be another one).
    """
    both = prepared[prepared["usable"] == 1].merge(patients, on="patient_id", suffixes=("", "_recorded"))
    found = [
        (int(i), k, both["patient_id"].iloc[i], what, recorded[i], derived[i], bool(matters[i]))
        for k, (where, what, recorded, derived, matters) in enumerate(_kinds(study, both))
        for i in np.flatnonzero(where)
    ]
    table = pd.DataFrame([row[2:] for row in sorted(found, key=lambda row: row[:2])], columns=COLUMNS, dtype=object)
    return table.astype({"matters": bool})


def _kinds(study: Study, both: pd.DataFrame) -> Iterator[_Row]:
    tolerance, trigger = study.imaging.diameter_tolerance_mm, study.protocol.imaging_trigger_mm
    whole = np.array([kind not in ("part_solid", "pure_ggo") for kind in _words(both, "nodule_type")], dtype=bool)
    sides = [(lambda mm: mm >= trigger, True), (lambda mm: mm > STAGE_I_MM, whole)]  # T of a solid nodule: all of it
    yield _diameter("total diameter", both, "total_diameter_mm", "ct_longest_axial_mm", tolerance, sides)
    sides = [(lambda mm: mm > STAGE_I_MM, True)]
    yield _diameter("solid diameter", both, "solid_diameter_mm", "ct_solid_axial_mm", tolerance, sides)
    yield _nodule_type(both)
    yield _side(both)
    yield _central(study, both)
    yield _days(both)


def _numbers(both: pd.DataFrame, name: str) -> np.ndarray:
    return (
        pd.to_numeric(both[name], errors="coerce").to_numpy(dtype=float) if name in both else np.full(len(both), np.nan)
    )


def _words(both: pd.DataFrame, name: str) -> list[str]:
    return ["" if pd.isna(word) else str(word) for word in both[name]] if name in both else [""] * len(both)


def _diameter(
    what: str, both: pd.DataFrame, recorded: str, derived: str, tolerance_mm: float,
    sides: list[tuple[Callable[[np.ndarray], np.ndarray], Any]],
) -> _Row:  # fmt: skip
    """Where a diameter differs; it matters where the two lie on different sides of a limit that counts there."""
    said, seen = _numbers(both, recorded), _numbers(both, derived)
    where = np.abs(said - seen) > tolerance_mm + 1e-9
    matters = np.zeros(len(both), dtype=bool)
    for beyond, counts in sides:
        matters |= counts & (beyond(said) != beyond(seen))
    texts = [f"{value:.1f} mm" for value in seen]
    if derived == "ct_solid_axial_mm" and "ct_solid_axial_low_mm" in both:
        cut, low, high = (
            _numbers(both, f"ct_{name}") for name in ("solid_cut_hu", "solid_axial_low_mm", "solid_axial_high_mm")
        )
        texts = [
            f"{text} at {c:g} HU ({a:.1f} to {b:.1f} at other cuts)"
            for text, c, a, b in zip(texts, cut, low, high, strict=True)
        ]
    return where, what, [f"{value:g} mm" for value in said], texts, matters


def _nodule_type(both: pd.DataFrame) -> _Row:
    """Where the solid part at every cut contradicts the type; it matters where pure ground glass is at stake."""
    said = np.array(_words(both, "nodule_type"), dtype=object)
    least, most = _numbers(both, "ct_solid_axial_low_mm"), _numbers(both, "ct_solid_axial_high_mm")
    ratio = _numbers(both, "ct_ctr_high")
    not_ground_glass = (said == "pure_ggo") & (least > SOLID_PART_MM)
    not_solid = (said == "solid") & (ratio < LITTLE_SOLID)
    none_solid = (said == "part_solid") & (most <= SPECK_MM)
    derived = [
        f"solid part of at least {a:.1f} mm" if ggo
        else f"solid part of at most {c:.1f} mm" if none
        else f"consolidation-to-tumour ratio of at most {b:.2f}"
        for ggo, none, a, b, c in zip(not_ground_glass, none_solid, least, ratio, most, strict=True)
    ]  # fmt: skip
    where = not_ground_glass | not_solid | none_solid
    return where, "nodule type", said.tolist(), derived, not_ground_glass | (where & (most <= SOLID_PART_MM))


def _side(both: pd.DataFrame) -> _Row:
    lobe, seen = _words(both, "lobe"), _words(both, "ct_side")
    where = np.array([
        SIDES.get(a, "") != b and a in SIDES and b in ("right", "left") for a, b in zip(lobe, seen, strict=True)
    ], dtype=bool)  # fmt: skip
    return where, "side of the tumour", lobe, [f"{side} lung" for side in seen], where


def _central(study: Study, both: pd.DataFrame) -> _Row:
    """Only where lines from the midline and lines from the mediastinum both contradict what is recorded."""
    chosen = central_definition(study.protocol.central_definition)
    name = "" if chosen is None else f"ct_{chosen.column}"
    seen, other = _numbers(both, name), _numbers(both, f"{name}_from_mediastinum")
    said, _ = central_location(both, definition=study.protocol.central_definition)
    recorded = said.to_numpy(dtype=float)
    where = np.isfinite(seen) & np.isfinite(recorded) & (seen != recorded) & (seen == other)
    words = {0.0: "not central", 1.0: "central"}
    told = "" if chosen is None else f" ({chosen.text})"
    return (
        where, "central location", [words.get(value, "") for value in recorded],
        [words.get(value, "") + told for value in seen], where,
    )  # fmt: skip


def _days(both: pd.DataFrame) -> _Row:
    said, seen = _numbers(both, "ct_to_treatment_days"), _numbers(both, "days_before_treatment")
    where = np.abs(said - seen) > 0.5
    none = np.zeros(len(both), dtype=bool)
    return where, "days from CT to treatment", [f"{v:g}" for v in said], [f"{v:g} by the chosen CT" for v in seen], none

"""Clinical T and stage by AJCC 8, the consolidation-to-tumour ratio, and where recorded and derived disagree.

AJCC 8: Goldstraw et al., J Thorac Oncol 2016;11:39-51, doi:10.1016/j.jtho.2015.09.009; size of subsolid tumours after
Travis et al., J Thorac Oncol 2016;11:1204. The class of a pure ground-glass nodule (Tis up to 30 mm, T1a above) still
has to be checked against that paper before it is quoted; the protocol excludes such nodules anyway.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

ORDER = ("Tis", "T1mi", "T1a", "T1b", "T1c", "T2a", "T2b", "T3", "T4")
_SIZES = ((10.0, "T1a"), (20.0, "T1b"), (30.0, "T1c"), (40.0, "T2a"), (50.0, "T2b"), (70.0, "T3"))
_DESCRIBED = {
    "none": "Tis", "main_bronchus": "T2a", "visceral_pleura": "T2a", "atelectasis": "T2a", "satellite": "T3",
    "chest_wall": "T3", "other_t3": "T3", "other_t4": "T4",
}  # fmt: skip
_STAGE_N0 = {
    "Tis": "0", "T1mi": "IA1", "T1a": "IA1", "T1b": "IA2", "T1c": "IA3", "T2a": "IB", "T2b": "IIA", "T3": "above IIA",
    "T4": "above IIA",
}  # fmt: skip
ECOG_OF_KPS = {100: (0,), 90: (1,), 80: (1,), 70: (2,), 60: (3, 2), 50: (3,), 40: (4,), 30: (4,), 20: (4,), 10: (4,)}


def size_t(patient: Mapping[str, Any]) -> tuple[str | None, str]:
    """T by size alone, and what it rests on; None with the reason where it cannot be told.

    The size is the solid diameter of a part-solid tumour and the total diameter of a solid one; each class is closed
    on the right: 10.0 mm is T1a, 40.0 T2a, 40.1 T2b.
    """
    kind = patient.get("nodule_type")
    total, solid = _mm(patient.get("total_diameter_mm")), _mm(patient.get("solid_diameter_mm"))
    if not isinstance(kind, str):
        return None, "nodule type unknown"
    if kind == "solid":
        return (None, "total diameter unknown") if total is None else (_by_size(total), "total diameter")
    if kind == "part_solid":
        if solid is None:
            return None, "part-solid without a solid diameter"
        if solid > 5:
            return _by_size(solid), "solid diameter"
        if total is None:
            return None, "total diameter unknown"
        return ("T1mi" if total <= 30 else "T1a"), "solid diameter of at most 5 mm"
    if total is None:
        return None, "total diameter unknown"
    return ("Tis" if total <= 30 else "T1a"), "pure ground glass"


def _mm(value: Any) -> float | None:
    return None if value is None or math.isnan(value) else float(value)


def _by_size(mm: float) -> str:
    return next((name for limit, name in _SIZES if mm <= limit), "T4")


def derive_t(patient: Mapping[str, Any]) -> tuple[str | None, str]:
    """Clinical T from size, nodule type and descriptor, and why; None where it cannot be told."""
    low, high, why = bounds_t(patient)
    return (low, why) if low == high else (None, why)


def bounds_t(patient: Mapping[str, Any]) -> tuple[str, str, str]:
    """The lowest and the highest T that the known values allow, and why."""
    by_size, why = size_t(patient)
    smallest, largest = by_size or "Tis", by_size or "T4"
    if why == "nodule type unknown" and (_mm(patient.get("solid_diameter_mm")) or 0) > 0:  # then no pure ground glass
        smallest = size_t({**patient, "nodule_type": "part_solid"})[0] or smallest
        largest = size_t({**patient, "nodule_type": "solid"})[0] or largest
    descriptor = patient.get("t_descriptor")
    if isinstance(descriptor, str):
        described = _DESCRIBED[descriptor]
        if descriptor != "none":
            why = f"{why}; {descriptor}"
    else:
        described = None
        why = f"{why}; T descriptor unknown"
    lowest = max(smallest, described or "Tis", key=ORDER.index)
    highest = max(largest, described or "T4", key=ORDER.index)
    return lowest, highest, why


def derive_stage(t: str | None, n: Any, m: Any) -> str | None:
    """Clinical stage as far as this study asks: 0, IA1, IA2, IA3, IB, IIA, "above IIA"; None where unknown."""
    if n in ("N1", "N2", "N3") or (isinstance(m, str) and m.startswith("M1")):
        return "above IIA"
    if t is None or n != "N0" or m != "M0":
        return None
    return _STAGE_N0[t]


def ctr(patients: pd.DataFrame) -> pd.Series:
    """Consolidation-to-tumour ratio: largest solid over largest total diameter; solid 1, pure ground glass 0."""
    ratio = patients["solid_diameter_mm"] / patients["total_diameter_mm"]
    return ratio.mask(patients["nodule_type"] == "solid", 1.0).mask(patients["nodule_type"] == "pure_ggo", 0.0)


def stage_table(patients: pd.DataFrame) -> pd.DataFrame:
    """ctr, derived_t and derived_stage of each patient, on the index of `patients`."""
    records = patients.to_dict("records")
    t = [derive_t(p)[0] for p in records]
    stage = [derive_stage(t[i], p.get("clinical_n"), p.get("clinical_m")) for i, p in enumerate(records)]
    text = {"index": patients.index, "dtype": object}
    return pd.DataFrame(
        {"ctr": ctr(patients), "derived_t": pd.Series(t, **text), "derived_stage": pd.Series(stage, **text)}
    )


def disagreements(patients: pd.DataFrame, *, trigger_mm: float = 30.0) -> pd.DataFrame:
    """What a person should look at again: reported, never overruled.

    Recorded against derived clinical T; KPS against ECOG (Prasad et al. 2018, lung cancer; KPS 60 may be ECOG 2 or 3);
    a total diameter of exactly the trigger (the trial's rule is "at least", the ESTS guideline's "more than"); a total
    diameter that reaches the trigger while the solid part does not.

    Returns:
        patient_id, what, recorded, derived.
    """
    rows: list[dict[str, str]] = []

    def add(patient: Mapping[str, Any], what: str, recorded: str, derived: str) -> None:
        rows.append({"patient_id": patient["patient_id"], "what": what, "recorded": recorded, "derived": derived})

    for p in patients.to_dict("records"):
        recorded, (t, _) = p.get("clinical_t"), derive_t(p)
        if isinstance(recorded, str) and recorded != "TX" and t is not None and not _agrees(recorded, t):
            add(p, "clinical T", recorded, t)
        kps, ecog = p.get("kps"), p.get("ecog")
        if kps in ECOG_OF_KPS and ecog == ecog and ecog is not None and ecog not in ECOG_OF_KPS[kps]:
            add(p, "ECOG against KPS", f"ECOG {ecog:.0f}", f"KPS {kps:.0f} is ECOG {ECOG_OF_KPS[kps][0]}")
        total, solid = p.get("total_diameter_mm"), p.get("solid_diameter_mm")
        if total == trigger_mm:
            add(p, "diameter exactly at the trigger", f"{total:g} mm", "trial: at least; ESTS: more than")
        if p.get("nodule_type") == "part_solid" and total >= trigger_mm and solid < trigger_mm:
            add(p, "total reaches the trigger, solid part does not", f"{total:g} mm", f"solid {solid:g} mm")
    return pd.DataFrame(rows, columns=["patient_id", "what", "recorded", "derived"])


def _agrees(recorded: str, derived: str) -> bool:
    """T1 and T2 without a letter agree with each of their parts."""
    return recorded == derived or (recorded in ("T1", "T2") and derived.startswith(recorded))

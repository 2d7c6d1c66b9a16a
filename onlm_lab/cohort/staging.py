"""Clinical T and stage by AJCC 8, the consolidation-to-tumour ratio, and where recorded and derived disagree.

AJCC 8: Goldstraw et al., J Thorac Oncol 2016;11:39-51, doi:10.1016/j.jtho.2015.09.009; size of subsolid tumours after
Travis et al., J Thorac Oncol 2016;11:1204. The class of a pure ground-glass nodule (Tis up to 30 mm, T1a above) still
has to be checked against that paper before it is quoted; the protocol excludes such nodules anyway.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from onlm_lab.errors import OnlmError

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


def t_bounds(patients: pd.DataFrame) -> pd.DataFrame:
    """The lowest and the highest T that each patient's known values allow, and why; all rows at once.

    Args:
        patients: nodule_type, total_diameter_mm, solid_diameter_mm, t_descriptor; an absent column counts as not known.

    Returns:
        low, high (classes of ORDER) and why, on the index of `patients`.

    Raises:
        OnlmError: a nodule type or descriptor that the dictionary does not know.
    """
    low, high, why = _t_bounds(patients)
    return pd.DataFrame({"low": _CLASSES[low], "high": _CLASSES[high], "why": why}, index=patients.index, dtype=object)


_CLASSES = np.array(ORDER, dtype=object)
_KINDS = ("solid", "part_solid", "pure_ggo")
_TIS, _T1MI, _T1A, _T4 = (ORDER.index(name) for name in ("Tis", "T1mi", "T1a", "T4"))
_RESTS_ON = (
    "nodule type unknown", "total diameter unknown", "total diameter", "part-solid without a solid diameter",
    "solid diameter", "solid diameter of at most 5 mm", "pure ground glass",
)  # fmt: skip
_UNTYPED, _UNSIZED, _TOTAL, _UNMEASURED, _SOLID, _SMALL, _GLASS = range(len(_RESTS_ON))


def _t_bounds(patients: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """t_bounds with the classes as places in ORDER."""
    kind = _places(patients, "nodule_type", words=_KINDS)
    descriptor = _places(patients, "t_descriptor", words=tuple(_DESCRIBED))
    total, solid = _mms(patients, "total_diameter_mm"), _mms(patients, "solid_diameter_mm")
    low, high, rests_on = np.full(len(kind), _TIS), np.full(len(kind), _T4), np.full(len(kind), _UNTYPED)

    def found(where: np.ndarray, t: np.ndarray | int, why: int) -> None:
        low[where] = high[where] = t[where] if isinstance(t, np.ndarray) else t
        rests_on[where] = why

    is_solid, is_part, is_glass = kind == 0, kind == 1, kind == 2
    by_total, by_solid = _places_by_size(total), _places_by_size(solid)
    of_small, of_glass = np.where(total <= 30, _T1MI, _T1A), np.where(total <= 30, _TIS, _T1A)
    unsized = np.isnan(total)
    found(is_solid & ~unsized, by_total, _TOTAL)
    found(is_part & (solid > 5), by_solid, _SOLID)
    found(is_part & (solid <= 5) & ~unsized, of_small, _SMALL)
    found(is_glass & ~unsized, of_glass, _GLASS)
    rests_on[(is_solid | is_glass | (is_part & (solid <= 5))) & unsized] = _UNSIZED
    rests_on[is_part & np.isnan(solid)] = _UNMEASURED
    some = (kind < 0) & (solid > 0)  # a solid part: no pure ground glass
    low = np.where(some & (solid > 5), by_solid, np.where(some & ~unsized, of_small, low))
    high = np.where(some & ~unsized, by_total, high)
    described = np.array([*(ORDER.index(t) for t in _DESCRIBED.values()), _TIS])[descriptor]
    return (
        np.maximum(low, described),
        np.maximum(high, np.where(descriptor < 0, _T4, described)),
        _reasons(rests_on, descriptor),
    )


def _reasons(rests_on: np.ndarray, descriptor: np.ndarray) -> np.ndarray:
    """What T rests on and its descriptor, in words."""
    after = [*("" if name == "none" else f"; {name}" for name in _DESCRIBED), "; T descriptor unknown"]
    table = np.array([[f"{first}{second}" for second in after] for first in _RESTS_ON], dtype=object)
    return table[rests_on, descriptor]


def _places(patients: pd.DataFrame, name: str, *, words: tuple[str, ...]) -> np.ndarray:
    """The place of each word of a column in `words`; -1 where it is missing."""
    if name not in patients:
        return np.full(len(patients), -1)
    places = pd.Index(words).get_indexer(pd.Index(patients[name], dtype=object))
    strange = (places < 0) & patients[name].notna().to_numpy()
    if strange.any():
        said = ", ".join(sorted(repr(v) for v in set(patients[name][strange]))[:5])
        raise OnlmError(
            f"{name} is {said} in {int(strange.sum())} of {len(patients)} rows; wanted one of {', '.join(words)} or "
            "nothing. Recode it, or map it in study.toml under [mapping]."
        )
    return places


def _mms(patients: pd.DataFrame, name: str) -> np.ndarray:
    return patients[name].to_numpy(dtype=float) if name in patients else np.full(len(patients), np.nan)


def _places_by_size(mm: np.ndarray) -> np.ndarray:
    """The place in ORDER by size alone, each class closed on the right."""
    return _T1A + np.searchsorted([limit for limit, _ in _SIZES], mm, side="left")


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
    low, high, _ = _t_bounds(patients)
    t = np.where(low == high, _CLASSES[low], None)
    stage = _stages(t, patients)
    text = {"index": patients.index, "dtype": object}
    return pd.DataFrame(
        {"ctr": ctr(patients), "derived_t": pd.Series(t, **text), "derived_stage": pd.Series(stage, **text)}
    )


def _stages(t: np.ndarray, patients: pd.DataFrame) -> np.ndarray:
    """derive_stage of each row: looked up once for each combination of T, N and M that occurs."""
    columns = pd.DataFrame({"t": t}, index=range(len(t)), dtype=object)
    for letter, name in (("n", "clinical_n"), ("m", "clinical_m")):
        columns[letter] = patients[name].to_numpy(dtype=object) if name in patients else None
    columns = columns.astype(object).where(columns.notna(), "")
    number = columns.groupby(["t", "n", "m"], sort=False).ngroup().to_numpy()
    kinds = columns.drop_duplicates().to_numpy()
    found = np.array([*(derive_stage(t or None, n or None, m or None) for t, n, m in kinds), None], dtype=object)
    return found[number]


def disagreements(patients: pd.DataFrame, *, trigger_mm: float = 30.0) -> pd.DataFrame:
    """What a person should look at again: reported, never overruled.

    Recorded against derived clinical T; KPS against ECOG (Prasad et al. 2018, lung cancer; KPS 60 may be ECOG 2 or 3);
    a total diameter of exactly the trigger (the trial's rule is "at least", the ESTS guideline's "more than"); a total
    diameter that reaches the trigger while the solid part does not.

    Returns:
        patient_id, what, recorded, derived; patient by patient in the order of the table.
    """
    low, high, _ = _t_bounds(patients)
    derived = np.where(low == high, _CLASSES[low], None)
    recorded = _words(patients, "clinical_t")
    whole = np.isin(recorded, ["T1", "T2"]) & (
        recorded == np.array([t[:2] if t else "" for t in derived], dtype=object)
    )
    told = (recorded != "") & (recorded != "TX") & (low == high)
    total, solid = _mms(patients, "total_diameter_mm"), _mms(patients, "solid_diameter_mm")
    kps, ecog = _mms(patients, "kps"), _mms(patients, "ecog")
    out_of_step = np.zeros(len(patients), dtype=bool)
    for level, grades in ECOG_OF_KPS.items():
        out_of_step |= (kps == level) & ~np.isnan(ecog) & ~np.isin(ecog, grades)
    part = _words(patients, "nodule_type") == "part_solid"
    found = [
        (told & (recorded != derived) & ~whole, "clinical T", lambda i: recorded[i], lambda i: derived[i]),
        (out_of_step, "ECOG against KPS", lambda i: f"ECOG {ecog[i]:.0f}",
         lambda i: f"KPS {kps[i]:.0f} is ECOG {ECOG_OF_KPS[kps[i]][0]}"),
        (total == trigger_mm, "diameter exactly at the trigger", lambda i: f"{total[i]:g} mm",
         lambda i: "trial: at least; ESTS: more than"),
        (part & (total >= trigger_mm) & (solid < trigger_mm), "total reaches the trigger, solid part does not",
         lambda i: f"{total[i]:g} mm", lambda i: f"solid {solid[i]:g} mm"),
    ]  # fmt: skip
    ids = patients["patient_id"].to_numpy()
    rows = [
        (i, k, ids[i], what, of_recorded(i), of_derived(i))
        for k, (where, what, of_recorded, of_derived) in enumerate(found)
        for i in np.flatnonzero(where)
    ]
    rows.sort(key=lambda row: row[:2])
    return pd.DataFrame([row[2:] for row in rows], columns=["patient_id", "what", "recorded", "derived"])


def _words(patients: pd.DataFrame, name: str) -> np.ndarray:
    """A column of words, "" where missing."""
    if name not in patients:
        return np.full(len(patients), "", dtype=object)
    return patients[name].astype(object).where(patients[name].notna(), "").to_numpy()

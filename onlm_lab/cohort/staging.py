"""Clinical T and stage by AJCC 8 from diameters, nodule type and descriptors, and the consolidation-to-tumour ratio.

Stage groups: Goldstraw et al., J Thorac Oncol 2016;11:39-51, doi:10.1016/j.jtho.2015.09.009; the table was compared
with the one that the AJCC lets the NCCN reprint. Solid part as the size of a part-solid tumour, Tis and T1mi on CT:
Travis et al., J Thorac Oncol 2016;11:1204, doi:10.1016/j.jtho.2016.03.025. That a pure ground-glass nodule above
30 mm is T1a was not compared with that paper; the protocol excludes such nodules anyway.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from onlm_lab.errors import OnlmError

ORDER = ("Tis", "T1mi", "T1a", "T1b", "T1c", "T2a", "T2b", "T3", "T4")
STAGE_I_T = ("T1mi", "T1a", "T1b", "T1c", "T2a")  # with N0 M0
ABOVE_IIA = "above IIA"  # certainly above IIA, the group itself cannot be told
_SIZES = ((10.0, "T1a"), (20.0, "T1b"), (30.0, "T1c"), (40.0, "T2a"), (50.0, "T2b"), (70.0, "T3"))
_DESCRIBED = {
    "none": "Tis", "main_bronchus": "T2a", "visceral_pleura": "T2a", "atelectasis": "T2a", "satellite": "T3",
    "chest_wall": "T3", "other_t3": "T3", "other_t4": "T4",
}  # fmt: skip
_SPANS = {"T1": ("T1mi", "T1a", "T1b", "T1c"), "T2": ("T2a", "T2b")}
_N0 = {
    "Tis": "0", "T1mi": "IA1", "T1a": "IA1", "T1b": "IA2", "T1c": "IA3", "T2a": "IB", "T2b": "IIA", "T3": "IIB",
    "T4": "IIIA",
}  # fmt: skip
_NODAL = {"N1": ("IIB", "IIIA"), "N2": ("IIIA", "IIIB"), "N3": ("IIIB", "IIIC")}  # with T1a to T2b, with T3 and T4
_METASTATIC = {"M1a": "IVA", "M1b": "IVA", "M1c": "IVB"}
_UP_TO_IIA = ("0", "IA1", "IA2", "IA3", "IB", "IIA")

_CLASSES = np.array(ORDER, dtype=object)
_KINDS = ("solid", "part_solid", "pure_ggo")
_TIS, _T1MI, _T1A, _T4 = (ORDER.index(name) for name in ("Tis", "T1mi", "T1a", "T4"))
_RESTS_ON = (
    "nodule type unknown", "total diameter unknown", "total diameter", "part-solid without a solid diameter",
    "solid diameter", "solid diameter of at most 5 mm", "pure ground glass",
)  # fmt: skip
_UNTYPED, _UNSIZED, _TOTAL, _UNMEASURED, _SOLID, _SMALL, _GLASS = range(len(_RESTS_ON))


def t_bounds(patients: pd.DataFrame) -> pd.DataFrame:
    """The lowest and the highest T that each patient's known values allow, and why; all rows at once.

    The size is the solid diameter of a part-solid tumour and the total diameter of a solid one; each class is closed
    on the right: 10.0 mm is T1a, 40.0 T2a, 40.1 T2b. A part-solid tumour without a solid diameter stays open. A
    contralateral nodule is no T descriptor: it is M1a.

    Args:
        patients: nodule_type, total_diameter_mm, solid_diameter_mm, t_descriptor; an absent column counts as not known.

    Returns:
        low, high (classes of ORDER) and why, on the index of `patients`.

    Raises:
        OnlmError: a nodule type or descriptor that the dictionary does not know.
    """
    low, high, why = places_of_t(patients)
    return pd.DataFrame({"low": _CLASSES[low], "high": _CLASSES[high], "why": why}, index=patients.index, dtype=object)


def places_of_t(patients: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """t_bounds with the classes as places in ORDER."""
    kind = _places(patients, "nodule_type", words=_KINDS)
    descriptor = _places(patients, "t_descriptor", words=tuple(_DESCRIBED))
    total, solid = numbers(patients, "total_diameter_mm"), numbers(patients, "solid_diameter_mm")
    low, high, rests_on = _by_size(kind, total=total, solid=solid)
    described = np.array([*(ORDER.index(t) for t in _DESCRIBED.values()), _TIS])[descriptor]
    high = np.maximum(high, np.where(descriptor < 0, _T4, described))
    return np.maximum(low, described), high, _reasons(rests_on, descriptor=descriptor)


def _by_size(kind: np.ndarray, *, total: np.ndarray, solid: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lowest and highest T by nodule type and diameters alone, and what it rests on (a place in _RESTS_ON)."""
    is_solid, is_part, is_glass, untyped = kind == 0, kind == 1, kind == 2, kind < 0
    sized, small = ~np.isnan(total), solid <= 5
    by_total, by_solid = _places_by_size(total), _places_by_size(solid)
    of_small, of_glass = np.where(total <= 30, _T1MI, _T1A), np.where(total <= 30, _TIS, _T1A)
    # (where, lowest, highest, what it rests on); a part-solid tumour without a solid diameter is left to the default
    table = (
        (is_solid & sized, by_total, by_total, _TOTAL),
        (is_solid & (solid > 0), by_solid, _T4, _UNSIZED),  # the whole is at least as large as its solid part
        (is_solid, _TIS, _T4, _UNSIZED),
        (is_part & (solid > 5), by_solid, by_solid, _SOLID),
        (is_part & small & sized, of_small, of_small, _SMALL),
        (is_part & small, _T1MI, _T1A, _UNSIZED),
        (is_part, _TIS, _T4, _UNMEASURED),
        (is_glass & sized, of_glass, of_glass, _GLASS),
        (is_glass, _TIS, _T1A, _UNSIZED),
        (untyped & (solid > 5) & sized, by_solid, by_total, _UNTYPED),  # a solid part: no pure ground glass
        (untyped & (solid > 5), by_solid, _T4, _UNTYPED),
        (untyped & (solid > 0) & sized, of_small, by_total, _UNTYPED),
        (untyped & (solid > 0), _T1MI, _T4, _UNTYPED),
    )
    where = [row[0] for row in table]
    low, high, rests_on = (
        np.select(where, [np.broadcast_to(row[k], kind.shape) for row in table], default=default)
        for k, default in ((1, _TIS), (2, _T4), (3, _UNTYPED))
    )
    return low, high, rests_on


def _reasons(rests_on: np.ndarray, *, descriptor: np.ndarray) -> np.ndarray:
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
        said = ", ".join(sorted({repr(v) for v in patients[name][strange]})[:5])
        raise OnlmError(
            f"{name} is {said} in {int(strange.sum())} of {len(patients)} rows; wanted one of {', '.join(words)} or "
            "nothing. Recode it, or map it in study.toml under [mapping]."
        )
    return places


def numbers(patients: pd.DataFrame, name: str) -> np.ndarray:
    """A column as numbers, all missing where the table has none."""
    if name not in patients:
        return np.full(len(patients), np.nan)
    cells = patients[name]
    return (cells.where(cells.notna(), np.nan) if cells.dtype == object else cells).to_numpy(dtype=float)


def _places_by_size(mm: np.ndarray) -> np.ndarray:
    """The place in ORDER by size alone, each class closed on the right."""
    return _T1A + np.searchsorted([limit for limit, _ in _SIZES], mm, side="left")


def derive_t(patient: Mapping[str, Any]) -> tuple[str | None, str]:
    """Clinical T of one patient from size, nodule type and descriptor, and why; None where it cannot be told."""
    low, high, why = t_bounds(pd.DataFrame([dict(patient)], dtype=object)).iloc[0]
    return (low, why) if low == high else (None, why)


def classes_of(t: Any) -> tuple[str, ...]:
    """The classes that a T may be: T1 and T2 are several; TX, T0, an unknown word or nothing may be any."""
    return _SPANS.get(t, (t,) if t in ORDER else ORDER)


@lru_cache(maxsize=4096)
def stage_groups(t: tuple[str, ...], n: str, m: str) -> tuple[str, ...]:
    """The AJCC 8 stage groups that any of these T, this N and this M allow; what is not known may be anything.

    Tis and T1mi with positive nodes have no group of their own in the table: they are `ABOVE_IIA`.
    """
    found: dict[str, None] = {}
    if not m.startswith("M1"):
        for nodes in (n,) if n in ("N0", *_NODAL) else ("N0", *_NODAL):
            found |= dict.fromkeys(_N0[c] if nodes == "N0" else _nodal(c, nodes) for c in t)
    if m != "M0":
        found |= dict.fromkeys((_METASTATIC[m],) if m in _METASTATIC else _METASTATIC.values())
    return tuple(found)


def _nodal(t: str, n: str) -> str:
    return ABOVE_IIA if t in ("Tis", "T1mi") else _NODAL[n][t in ("T3", "T4")]


def derive_stage(t: str | None, n: Any, m: Any) -> str | None:
    """Clinical stage group by AJCC 8: 0, IA1, IA2, IA3, IB, IIA, IIB, IIIA, IIIB, IIIC, IVA, IVB.

    "above IIA" where that is certain but not which; None where it cannot be told.

    >>> derive_stage("T2a", "N0", "M0"), derive_stage(None, "N1", None), derive_stage(None, "N0", "M1a")
    ('IB', 'above IIA', 'IVA')
    """
    return _one(stage_groups(classes_of(t), n if isinstance(n, str) else "", m if isinstance(m, str) else ""))


def _one(groups: tuple[str, ...]) -> str | None:
    if len(groups) == 1:
        return groups[0]
    return None if set(groups) & set(_UP_TO_IIA) else ABOVE_IIA


def possible_stages(patients: pd.DataFrame) -> pd.Series:
    """The stage groups that each patient's known values allow, as tuples, on the index of `patients`."""
    low, high, _ = places_of_t(patients)
    keys = pd.DataFrame(
        {"low": low, "high": high, "n": words(patients, "clinical_n"), "m": words(patients, "clinical_m")}
    )
    kinds = keys.drop_duplicates()
    found = np.empty(len(kinds), dtype=object)
    found[:] = [stage_groups(ORDER[a : b + 1], n, m) for a, b, n, m in kinds.itertuples(index=False)]
    number = keys.groupby(list(keys), sort=False).ngroup().to_numpy()
    return pd.Series(found[number], index=patients.index, dtype=object)


def words(patients: pd.DataFrame, name: str) -> np.ndarray:
    """A column of words, "" where missing."""
    if name not in patients:
        return np.full(len(patients), "", dtype=object)
    return patients[name].astype(object).where(patients[name].notna(), "").to_numpy()


def ctr(patients: pd.DataFrame) -> pd.Series:
    """Consolidation-to-tumour ratio: largest solid over largest total diameter; solid 1, pure ground glass 0."""
    kind = words(patients, "nodule_type")
    total = numbers(patients, "total_diameter_mm")
    ratio = numbers(patients, "solid_diameter_mm") / np.where((total > 0) & np.isfinite(total), total, np.nan)
    return pd.Series(np.select([kind == "solid", kind == "pure_ggo"], [1.0, 0.0], default=ratio), index=patients.index)


CTR_BANDS = ("0", "above 0 to 25 %", "25 to 50 %", "50 to 75 %", "75 to below 100 %", "100 %")


def ctr_band(ratio: pd.Series) -> pd.Series:
    """The band of CTR_BANDS that each consolidation-to-tumour ratio falls in; None where it is not known.

    The six bands of Yoon et al., Insights Imaging 2022;13, doi:10.1186/s13244-022-01235-2 (944 patients, clinical stage
    IA): nodal upstaging was 1.8 % from 50 to 75 %, 9.0 % from 75 to 100 % and 17.4 % at 100 %. That a ratio of exactly
    25, 50 or 75 % belongs to the upper band is our choice.
    """
    place = np.searchsorted([0.25, 0.5, 0.75], ratio, side="right") + 1
    place = np.select([ratio <= 0, ratio >= 1], [0, len(CTR_BANDS) - 1], default=place)
    return pd.Series(np.array(CTR_BANDS, dtype=object)[place], index=ratio.index).where(ratio.notna(), None)


def stage_table(patients: pd.DataFrame) -> pd.DataFrame:
    """ctr, derived_t and derived_stage of each patient, on the index of `patients`."""
    low, high, _ = places_of_t(patients)
    t = pd.Series(np.where(low == high, _CLASSES[low], None), index=patients.index, dtype=object)
    possible = possible_stages(patients)
    one = {groups: _one(groups) for groups in set(possible)}
    stage = pd.Series([one[groups] for groups in possible], index=patients.index, dtype=object)
    return pd.DataFrame({"ctr": ctr(patients), "derived_t": t, "derived_stage": stage})

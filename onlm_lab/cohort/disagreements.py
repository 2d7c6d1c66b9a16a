"""What a person should look at again: where two recorded things, or a recorded and a derived one, disagree."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from onlm_lab.cohort.centrality import central_column
from onlm_lab.cohort.performance_status import KPS_OF_ECOG, ecog_of_kps
from onlm_lab.cohort.staging import (
    ABOVE_IIA,
    ORDER,
    STAGE_I_T,
    classes_of,
    numbers,
    places_of_t,
    possible_stages,
    words,
)
from onlm_lab.study.centrality import CENTRAL_DEFINITIONS, DEFAULT

STAGE_I = ("IA1", "IA2", "IA3", "IB")
_GROUPS = ("0", *STAGE_I, "IIA", "IIB", "IIIA", "IIIB", "IIIC", "IVA", "IVB")
# A recorded stage group, and the groups that it stands for; other words are listed as not understood.
RECORDED_STAGES: dict[str, tuple[str, ...]] = {
    **{group: (group,) for group in _GROUPS}, "I": STAGE_I, "IA": STAGE_I[:3], "II": ("IIA", "IIB"),
    "III": ("IIIA", "IIIB", "IIIC"), "IV": ("IVA", "IVB"), ABOVE_IIA: _GROUPS[6:],
}  # fmt: skip


@dataclass(frozen=True)
class _Kind:
    """One kind of disagreement: in which rows, which of them matter, and the words of a row."""

    what: str
    where: np.ndarray
    matters: np.ndarray
    recorded: Callable[[int], str]
    derived: Callable[[int], str]


def disagreements(
    patients: pd.DataFrame, *, trigger_mm: float = 30.0, min_kps: float = 70.0, definition: str = DEFAULT.key
) -> pd.DataFrame:
    """What a person should look at again: reported, never overruled.

    Recorded against derived clinical T and stage group (an own column clinical_stage, see RECORDED_STAGES); clinical
    N0 although invasive staging was positive; nodule type against diameters; ECOG against KPS; a total diameter of
    exactly the trigger (the trial's rule is "at least", the ESTS guideline's "more than"); a total diameter that
    reaches the trigger while the solid part does not; central location by one definition against another (own columns
    central_<key>, see study.CENTRAL_DEFINITIONS).

    Args:
        patients: clinical columns; an absent column counts as not known.
        trigger_mm: total diameter at which PET/CT or invasive staging is wanted.
        min_kps: the lowest KPS that is let in.
        definition: the chosen definition of central location, by its key or text.

    Returns:
        patient_id, what, recorded, derived, matters (it may decide whether the patient is in: the two lie on different
        sides of the border of stage I, of `min_kps`, or of the need for a mediastinal work-up that was not done);
        patient by patient in the order of the table.
    """
    kinds = [
        *_of_stage(patients), *_of_nodule(patients), *_of_performance(patients, min_kps=min_kps),
        *_of_trigger(patients, trigger_mm=trigger_mm),
        *_of_centrality(patients, trigger_mm=trigger_mm, definition=definition),
    ]  # fmt: skip
    ids = patients["patient_id"].to_numpy()
    rows = [
        (i, k, ids[i], kind.what, kind.recorded(i), kind.derived(i), bool(kind.matters[i]))
        for k, kind in enumerate(kinds)
        for i in np.flatnonzero(kind.where)
    ]
    rows.sort(key=lambda row: row[:2])
    found = pd.DataFrame(
        [row[2:] for row in rows], columns=["patient_id", "what", "recorded", "derived", "matters"], dtype=object
    )
    return found.astype({"matters": bool})


def _of_stage(patients: pd.DataFrame) -> Iterator[_Kind]:
    """Clinical T, N and stage group."""
    n, m, t = words(patients, "clinical_n"), words(patients, "clinical_m"), words(patients, "clinical_t")
    excluded = np.isin(n, ["N1", "N2", "N3"]) | pd.Series(m).str.startswith("M1").to_numpy(dtype=bool)
    low, high, _ = places_of_t(patients)
    told = (t != "") & (t != "TX") & ((low > 0) | (high < len(ORDER) - 1))
    code, said = pd.factorize(t)
    first, last = (np.array([ORDER.index(classes_of(word)[end]) for word in said], dtype=int)[code] for end in (0, -1))
    apart = told & ((high < first) | (low > last) | (t == "T0"))
    border = (ORDER.index(STAGE_I_T[0]), ORDER.index(STAGE_I_T[-1]))
    same_side = _sides(low, high, border) == _sides(first, last, border)
    yield _Kind(
        "clinical T", apart, ~same_side & ~excluded, lambda i: t[i],
        lambda i: ORDER[low[i]] if low[i] == high[i] else f"{ORDER[low[i]]} to {ORDER[high[i]]}",
    )  # fmt: skip
    if "clinical_stage" in patients:
        yield from _of_recorded_stage(patients)
    positive = numbers(patients, "invasive_staging_positive") == 1
    yield _Kind(
        "clinical N0 although invasive staging was positive", (n == "N0") & positive, positive, lambda i: "N0",
        lambda i: "nodes positive at invasive staging",
    )  # fmt: skip


def _of_recorded_stage(patients: pd.DataFrame) -> Iterator[_Kind]:
    """The study's own column clinical_stage against the groups that TNM allows; each pair is judged once."""
    stage = np.array([str(word) for word in words(patients, "clinical_stage")], dtype=object)
    groups = possible_stages(patients).to_numpy()
    pairs = list(zip(stage, groups, strict=True))
    judged = {pair: _stages_apart(*pair) for pair in set(pairs) if pair[0] in RECORDED_STAGES}
    verdicts = np.array([judged.get(pair, (False, False)) for pair in pairs], dtype=bool).reshape(-1, 2)
    yield _Kind("clinical stage", verdicts[:, 0], verdicts[:, 1], lambda i: stage[i], lambda i: " or ".join(groups[i]))
    strange = (stage != "") & ~np.isin(stage, list(RECORDED_STAGES))
    yield _Kind(
        "clinical stage not understood", strange, strange, lambda i: "none of the stage groups",
        lambda i: " or ".join(groups[i]) if len(groups[i]) < 4 else "",
    )  # fmt: skip


def _sides(low: np.ndarray, high: np.ndarray, border: tuple[int, int]) -> np.ndarray:
    """1 wholly within the border, 0 wholly outside, else a value that equals no other."""
    inside = (low >= border[0]) & (high <= border[1])
    outside = (high < border[0]) | (low > border[1])
    return np.select([inside, outside], [1.0, 0.0], default=np.nan)


def _stages_apart(recorded: str, derived: tuple[str, ...]) -> tuple[bool, bool]:
    """Whether a recorded stage and what is derived exclude each other, and whether that may cross the border of I."""
    meant = set(RECORDED_STAGES[recorded])
    could = {group for found in derived for group in RECORDED_STAGES[found]}
    if meant & could:
        return False, False
    sides = [{group in STAGE_I for group in groups} for groups in (meant, could)]
    return True, sides[0] | sides[1] == {True, False}


def _of_nodule(patients: pd.DataFrame) -> Iterator[_Kind]:
    """Nodule type against diameters."""
    kind = words(patients, "nodule_type")
    total, solid = numbers(patients, "total_diameter_mm"), numbers(patients, "solid_diameter_mm")
    partly = (kind == "solid") & (solid < total)
    wholly = (kind == "part_solid") & (solid == total)
    empty = (kind == "part_solid") & (solid == 0)
    where = (partly | wholly | empty) & (total > 0) & np.isfinite(total)
    meant = patients.assign(nodule_type=np.select([partly & (solid > 0), wholly], ["part_solid", "solid"], "pure_ggo"))
    border = (ORDER.index(STAGE_I_T[0]), ORDER.index(STAGE_I_T[-1]))
    sides = [_sides(*places_of_t(table)[:2], border) for table in (patients, meant)]
    yield _Kind(
        "nodule type against diameters", where, empty | (partly & (solid == 0)) | (sides[0] != sides[1]),
        lambda i: kind[i], lambda i: f"solid {solid[i]:g} of {total[i]:g} mm (CTR {solid[i] / total[i]:.2f})",
    )  # fmt: skip


def _of_performance(patients: pd.DataFrame, *, min_kps: float) -> Iterator[_Kind]:
    """ECOG against KPS; each pair of values that occurs is looked at once."""
    kps, ecog = numbers(patients, "kps"), numbers(patients, "ecog")
    both = (kps >= 0) & (kps <= 100) & np.isin(ecog, list(KPS_OF_ECOG))
    apart, matters = np.zeros(len(kps), dtype=bool), np.zeros(len(kps), dtype=bool)
    for k, e in {(k, e) for k, e in zip(kps[both], ecog[both], strict=True) if e not in ecog_of_kps(k)}:
        least, most = KPS_OF_ECOG[int(e)]
        here = (kps == k) & (ecog == e)
        apart |= here
        matters |= here & ((most < min_kps) if k >= min_kps else (least >= min_kps))
    yield _Kind(
        "ECOG against KPS", apart, matters, lambda i: f"ECOG {ecog[i]:.0f}",
        lambda i: f"KPS {kps[i]:g} is ECOG {' or '.join(map(str, ecog_of_kps(kps[i])))}",
    )  # fmt: skip


def _not_worked_up(patients: pd.DataFrame) -> np.ndarray:
    """Neither PET/CT nor invasive staging is known to have been done."""
    return ~((numbers(patients, "pet_ct_done") == 1) | (numbers(patients, "invasive_staging_done") == 1))


def _of_trigger(patients: pd.DataFrame, *, trigger_mm: float) -> Iterator[_Kind]:
    """The total diameter at, and the solid part below, the diameter that asks for a mediastinal work-up."""
    total, solid = numbers(patients, "total_diameter_mm"), numbers(patients, "solid_diameter_mm")
    matters = _not_worked_up(patients) & (numbers(patients, "central_location") != 1)
    yield _Kind(
        "diameter exactly at the trigger", total == trigger_mm, matters, lambda i: f"{total[i]:g} mm",
        lambda i: "trial: at least; ESTS: more than",
    )  # fmt: skip
    part = words(patients, "nodule_type") == "part_solid"
    yield _Kind(
        "total reaches the trigger, solid part does not", part & (total >= trigger_mm) & (solid < trigger_mm), matters,
        lambda i: f"{total[i]:g} mm", lambda i: f"solid {solid[i]:g} mm",
    )  # fmt: skip


def _of_centrality(patients: pd.DataFrame, *, trigger_mm: float, definition: str) -> Iterator[_Kind]:
    """Central by the chosen definition against each other column that says so."""
    own = central_column(patients, definition=definition)
    mine, total = numbers(patients, own), numbers(patients, "total_diameter_mm")
    matters = _not_worked_up(patients) & ~(total >= trigger_mm)
    others = ["central_location", *(found.column for found in CENTRAL_DEFINITIONS.values())]
    for name in (other for other in others if other in patients and other != own):
        other = numbers(patients, name)
        yield _Kind(
            "central location by another definition", (mine + other) == 1, matters, lambda i: f"{own} {mine[i]:.0f}",
            lambda i, name=name, other=other: f"{name} {other[i]:.0f}",
        )  # fmt: skip

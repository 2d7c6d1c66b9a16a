"""The disorder of real hospitals, planted on purpose and written down: broken rules, odd stages, empty cells."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from onlm_lab.virtual.patients import Column, pick
from onlm_lab.virtual.world import WORLD, World

RULES = (
    "nsclc_confirmed", "clinical_stage_i", "adult", "performance_status", "radical_treatment", "imaging_complete",
    "followup_agreed", "consent", "ct_quality", "not_pure_ggo", "neuropsychiatric", "lost_to_followup",
)  # fmt: skip


def plan_violations(u: dict[str, Column], world: World = WORLD) -> dict[str, NDArray]:
    """Who will break which rule."""
    return {f"violates_{rule}": u[f"plant_{rule}"] < share for rule, share in world.violation_fraction.items()}


def break_rules(u: dict[str, Column], rows: dict[str, NDArray]) -> dict[str, NDArray]:
    """What the planned violations change: age, KPS, and one of four ways out of stage I.

    Too large; a T3 or T4 descriptor; nodes seen on imaging; a contralateral nodule.
    """
    how = np.where(rows["violates_clinical_stage_i"], np.floor(u["how_stage"] * 4), -1)
    large, nodes = how == 0, how == 2
    staged = nodes & (u["how_size"] > 0.7)
    total = np.where(large, np.round(41 + 14 * u["how_size"], 1), rows["total"])
    worse = pick(u["how_size"], ("satellite", "chest_wall", "other_t3", "other_t4"), (0.4, 0.3, 0.15, 0.15))
    descriptor = np.where(how == 1, worse, np.where(large, "none", rows["descriptor"]))
    return {
        "age_years": np.where(rows["violates_adult"], 15.0 + np.floor(3 * u["age"]), rows["age_years"]),
        "kps": np.where(rows["violates_performance_status"], 40.0 + 10 * np.floor(u["kps"] * 3), rows["kps"]),
        "total": total,
        "solid": np.where(large, total, rows["solid"]),
        "nodule_type": np.where(large, "solid", rows["nodule_type"]).astype(object),
        "descriptor": descriptor.astype(object),
        "clinical_n": np.where(nodes, np.where(u["how_size"] < 0.5, "N1", "N2"), "N0").astype(object),
        "clinical_m": np.where(how == 3, "M1a", "M0").astype(object),
        "staged_positive": staged,
        "violates_imaging_complete": rows["violates_imaging_complete"] & ((total >= 30) | rows["central"]) & ~staged,
    }


def derived_t(*, total: Column, solid: Column, nodule_type: NDArray, descriptor: NDArray) -> NDArray:
    """Clinical T by AJCC 8 from complete measurements (Travis 2016 for subsolid tumours)."""
    pure, part = nodule_type == "pure_ggo", nodule_type == "part_solid"
    size = np.where(part, solid, total)
    stages = np.array(["T1a", "T1b", "T1c", "T2a", "T2b", "T3", "T4"], dtype=object)
    stage = stages[np.searchsorted([10, 20, 30, 40, 50, 70], size)]
    stage = np.where(part & (solid <= 5), np.where(total <= 30, "T1mi", "T1a"), stage)
    stage = np.where(pure, np.where(total <= 30, "Tis", "T1a"), stage)
    rank = {name: k for k, name in enumerate(("Tis", "T1mi", *stages))}
    floor = {"main_bronchus": "T2a", "visceral_pleura": "T2a", "atelectasis": "T2a", "satellite": "T3",
             "chest_wall": "T3", "other_t3": "T3", "other_t4": "T4"}  # fmt: skip
    pairs = zip(stage, descriptor, strict=True)
    return np.array([max(s, floor.get(d, s), key=rank.__getitem__) for s, d in pairs], dtype=object)


def record_t(u: dict[str, Column], rows: dict[str, NDArray], world: World = WORLD) -> dict[str, NDArray]:
    """What the clinic wrote down: now and then the neighbouring T, always within stage I, and where it did so."""
    stage = derived_t(total=rows["total"], solid=rows["solid"], nodule_type=rows["nodule_type"],
                      descriptor=rows["descriptor"])  # fmt: skip
    neighbours = {"T1a": ("T1b", "T1b"), "T1b": ("T1a", "T1c"), "T1c": ("T1b", "T2a"), "T2a": ("T1c", "T1c")}
    stray = (u["disagrees"] < world.stage_disagrees_fraction) & ~rows["violates_clinical_stage_i"]
    stray &= (rows["nodule_type"] != "pure_ggo") & np.isin(stage, list(neighbours))
    other = [neighbours.get(s, (s, s))[int(k < 0.5)] for s, k in zip(stage, u["how_disagrees"], strict=True)]
    return {"clinical_t": np.where(stray, np.array(other, dtype=object), stage), "stage_disagrees": stray}


def ecog_from_kps(kps: Column, u: Column) -> Column:
    """ECOG from KPS (Prasad 2018, lung cancer); one in fifty of the fit is written down one step too high."""
    ecog = np.select([kps >= 100, kps >= 80, kps >= 70, kps >= 50], [0.0, 1.0, 2.0, 3.0], 4.0)
    return ecog + ((u < 0.02) & (ecog < 2))


def blank_cells(
    clinical: pd.DataFrame, u: dict[str, Column], rows: dict[str, NDArray], world: World = WORLD
) -> tuple[pd.DataFrame, dict[str, NDArray]]:
    """Empties cells at random, never one that a planted violation rests on; returns which were emptied."""
    keep = {"kps": "performance_status", "consent": "consent", "followup_agreed": "followup_agreed",
            "ct_quality": "ct_quality", "pet_ct_done": "imaging_complete", "central_location": "imaging_complete",
            "solid_diameter_mm": "clinical_stage_i", "neuropsychiatric_exclusion": "neuropsychiatric"}  # fmt: skip
    clinical, blanks = clinical.copy(), {}
    for name, share in world.missing_fraction.items():
        blank = u[f"blank_{name}"] < share
        if name in keep:
            blank &= ~rows[f"violates_{keep[name]}"]
        if name == "solid_diameter_mm":
            blank = (u[f"blank_{name}"] < 5 * share) & (rows["nodule_type"] == "part_solid") & ~rows["stage_disagrees"]
            blank &= ~rows["violates_clinical_stage_i"]
            clinical.loc[blank, "clinical_t"] = None
        if name == "pet_ct_done":
            clinical.loc[blank, "suv_max"] = np.nan
        if name == "smoking":
            clinical.loc[blank, "pack_years"] = np.nan
        clinical.loc[blank, name] = None if clinical[name].dtype == object else np.nan
        blanks[name] = blank
    return clinical, blanks


def find_undetermined(
    clinical: pd.DataFrame, blanks: dict[str, NDArray], rows: dict[str, NDArray]
) -> dict[str, NDArray]:
    """Which rules the empty cells leave open."""
    big, central = (clinical["total_diameter_mm"] >= 30).to_numpy(), rows["central"]
    no_pet, no_invasive = (clinical["pet_ct_done"] == 0).to_numpy(), (clinical["invasive_staging_done"] == 0).to_numpy()
    open_pet, open_central = blanks["pet_ct_done"], blanks["central_location"]
    needed = big | (central & ~open_central)
    maybe = ~big & open_central
    return {
        "clinical_stage_i": blanks["solid_diameter_mm"],
        "performance_status": blanks["kps"] & (blanks["ecog"] | (clinical["ecog"] == 2).to_numpy()),
        "imaging_complete": no_invasive & ((needed & open_pet) | (maybe & (open_pet | no_pet))),
        "followup_agreed": blanks["followup_agreed"],
        "consent": blanks["consent"],
        "ct_quality": blanks["ct_quality"],
        "neuropsychiatric": blanks["neuropsychiatric_exclusion"],
    }

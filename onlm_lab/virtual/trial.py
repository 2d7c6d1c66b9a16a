"""The made-up patients: what the table says, what only the image shows, what is true, and the planted disorder.

    trial = draw_trial(n_patients=300, n_centres=5, seed=7)
    trial.clinical, trial.followup, trial.annotations, trial.truth      # DataFrames, a row a patient
    trial.scene(0)                                                      # what phantom.render paints

Each patient has its own stream of chance, keyed by the seed and the patient's number: patient 17 is the same person in
a trial of 20 and in one of 10,000.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from onlm_lab.errors import StudyError
from onlm_lab.showing import Said, shows_itself
from onlm_lab.virtual.disorder import (
    RULES,
    blank_cells,
    break_rules,
    ecog_from_kps,
    find_undetermined,
    plan_violations,
    record_t,
)
from onlm_lab.virtual.lesion import Tumour
from onlm_lab.virtual.outcomes import draw_followup
from onlm_lab.virtual.patients import (
    Column,
    choose_treatment,
    draw_blood_and_pet,
    draw_image,
    draw_people,
    draw_uniforms,
    examine_nodes,
)
from onlm_lab.virtual.phantom import Scene, place_tumour
from onlm_lab.virtual.risk import IMAGE_SIGNS, draw_nodal_state, risk_from_table
from onlm_lab.virtual.world import FINE, SCANNERS, WORLD, Scanner, World

CT_FOLDER = "chest"


@shows_itself
@dataclass(frozen=True, eq=False)
class Trial:
    """A made-up trial in memory: three tables as a hospital would send them, and the truth behind them."""

    clinical: pd.DataFrame
    followup: pd.DataFrame
    annotations: pd.DataFrame
    truth: pd.DataFrame
    seed: int

    def _said(self) -> Said:
        shown = self.clinical[["patient_id", "centre", "age_years", "sex", "total_diameter_mm", "treatment"]]
        facts = {"patients": len(self.clinical), "centres": self.clinical["centre"].nunique(), "seed": self.seed}
        line = f"Made-up trial of {len(self.clinical)} patients in {facts['centres']} centres (seed {self.seed})"
        return Said(line, facts, {"clinical, some columns": shown, "followup": self.followup}, made_up=True)

    def scanner(self, index: int) -> Scanner:
        """How this patient was scanned."""
        row = self.truth.iloc[index]
        return scanner_of(int(row["centre_index"]), fine=bool(row["fine_scan"]))

    def scene(self, index: int) -> Scene:
        """What to paint for the patient in that row."""
        row = self.truth.iloc[index]
        tumour = Tumour(
            (float(row["tumour_x_mm"]), float(row["tumour_y_mm"]), float(row["tumour_z_mm"])),
            float(row["true_total_diameter_mm"]),
            float(row["true_solid_diameter_mm"]),
            **{sign: float(row[sign]) for sign in reversed(IMAGE_SIGNS)},
        )
        poor = "ct_quality" in row["violations"].split(";")
        return Scene(
            self.scanner(index),
            tumour,
            float(row["body_scale"]),
            WORLD.poor_ct_noise_factor if poor else 1.0,
            (self.seed, index),
        )


def draw_trial(*, n_patients: int, n_centres: int, seed: int) -> Trial:
    """Draws a trial in memory; the same arguments give the same trial to the last digit.

    Args:
        n_patients: at least 1.
        n_centres: from 1 to 50; the first five differ in patients and scanner, further ones share the protocols.
        seed: a whole number, at least 0.

    Raises:
        StudyError: a number outside these ranges.
    """
    _check(n_patients=n_patients, n_centres=n_centres, seed=seed)
    u = draw_uniforms(n_patients, seed=seed)
    rows = draw_people(u, n_centres=n_centres)
    rows |= plan_violations(u)
    rows |= break_rules(u, rows)
    rows |= draw_image(u, rows) | draw_blood_and_pet(rows) | choose_treatment(u, rows)
    rows |= draw_nodal_state(u, rows) | record_t(u, rows)
    clinical = _clinical_table(u, rows)
    followup, lost = draw_followup(u, rows)
    followup.insert(0, "patient_id", clinical["patient_id"])
    rows |= {"violates_lost_to_followup": lost}
    clinical = clinical.assign(lost_to_followup=lost.astype(float), **_adjuvant(clinical, followup, u))
    clinical, blanks = blank_cells(clinical, u, rows)
    truth = _truth_table(clinical, rows, blanks=blanks, seed=seed)
    annotations = pd.DataFrame({
        "patient_id": clinical["patient_id"],
        "series_uid": [ct_series_uid(p, seed=seed) for p in clinical["patient_id"]],
        "series_path": [f"ct/{p}/{CT_FOLDER}" for p in clinical["patient_id"]],
        **{f"tumour_{a}_mm": truth[f"tumour_{a}_mm"] for a in "xyz"},
        "mask_path": [f"contours/{p}.dcm" if mask_kind(k) else None
                      for p, k in zip(clinical["patient_id"], rows["centre_index"], strict=True)],
    })  # fmt: skip
    return Trial(clinical, followup, annotations, truth, seed)


def scanner_of(centre_index: int, *, fine: bool) -> Scanner:
    """The scanner of a centre; more centres than protocols share them with another pixel size."""
    scanner = SCANNERS[centre_index % len(SCANNERS)]
    again = centre_index // len(SCANNERS)
    if again:
        scanner = replace(scanner, pixel_mm=round(scanner.pixel_mm + 0.02 * (again % 5), 3))
    return replace(scanner, **FINE) if fine else scanner


def made_up_uid(*parts: object) -> str:
    """A DICOM UID under 2.25 that depends on the parts alone; always 44 characters."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return f"2.25.{10**38 + int.from_bytes(digest[:16], 'big') % (2**128 - 10**38)}"


def mask_kind(centre_index: int) -> str:
    """How a centre draws its tumours: "RTSTRUCT", "SEG", or "" where it marks a point only."""
    return ("RTSTRUCT", "SEG", "RTSTRUCT", "SEG", "")[int(centre_index) % 5]


def ct_series_uid(patient_id: str, *, seed: int) -> str:
    """The SeriesInstanceUID of a patient's chest CT."""
    return made_up_uid("series", seed, patient_id)


def _check(*, n_patients: int, n_centres: int, seed: int) -> None:
    for name, value, low, high in (
        ("patients", n_patients, 1, 10_000_000),
        ("centres", n_centres, 1, 50),
        ("seed", seed, 0, 2**63),
    ):
        if not low <= value <= high:
            raise StudyError(f"A made-up trial wants {name} from {low} to {high}, got {value}.")


def _clinical_table(u: dict[str, Column], rows: dict[str, NDArray], world: World = WORLD) -> pd.DataFrame:
    """The table as it would be if nothing was missing."""
    n = len(u["centre"])
    width = max(4, len(str(n)))
    late = rows["violates_imaging_complete"]
    total, solid, central = rows["total"], rows["solid"], rows["central"]
    needs_pet = (total >= 30) | central
    pet = np.where(needs_pet, ~late, u["pet"] < 0.72)
    invasive = np.where(late, False, u["invasive"] < np.where(needs_pet, 0.22, 0.06)) | rows["staged_positive"]
    surgery = ~rows["sbrt"]
    nodes, stations, seen = examine_nodes(u, rows)
    table = pd.DataFrame({
        "patient_id": [f"MT-{i + 1:0{width}d}" for i in range(n)],
        "centre": [f"C{k + 1}" for k in rows["centre_index"]],
        "treatment_year": np.floor(rows["entry_year"]),
        "age_years": rows["age_years"],
        "sex": rows["sex"],
        "smoking": rows["smoking"],
        "pack_years": rows["pack_years"],
        "kps": rows["kps"],
        "ecog": ecog_from_kps(rows["kps"], u["ecog"]),
        "nsclc_confirmed": ~rows["violates_nsclc_confirmed"],
        "histology": np.where(rows["violates_nsclc_confirmed"], None, rows["histology"]),
        "histology_source": np.where(rows["sbrt"] | (u["source"] < 0.45), "biopsy", "resection"),
        "lobe": rows["lobe"],
        "total_diameter_mm": total,
        "solid_diameter_mm": solid,
        "nodule_type": rows["nodule_type"],
        "central_location": central,
        "t_descriptor": rows["descriptor"],
        "clinical_t": rows["clinical_t"],
        "clinical_n": rows["clinical_n"],
        "clinical_m": rows["clinical_m"],
        "cea_ng_ml": rows["cea"],
        "suv_max": np.where(pet, rows["suv"], np.nan),
        "pet_ct_done": pet,
        "invasive_staging_done": invasive,
        "invasive_staging_positive": rows["staged_positive"],
        "treatment": rows["treatment"],
        "radical_intent": ~rows["violates_radical_treatment"],
        "ct_to_treatment_days": 1 + np.floor(-16 * np.log(u["ct_days"])).clip(0, 89),
        "consent": np.where(rows["violates_consent"], "no", np.where(u["source"] < 0.9, "yes", "waived")),
        "followup_agreed": ~rows["violates_followup_agreed"],
        "ct_quality": np.where(rows["violates_ct_quality"], "poor", "adequate"),
        "neuropsychiatric_exclusion": rows["violates_neuropsychiatric"],
        "lost_to_followup": False,
        "neoadjuvant": surgery & (u["neoadjuvant"] < world.neoadjuvant_fraction),
        "pathological_n": seen,
        "nodes_examined": nodes,
        "n2_stations_examined": stations,
        "lvi": np.where(surgery, (u["lvi"] < np.where(rows["n_state"] > 0, 0.62, 0.16)).astype(float), np.nan),
    })  # fmt: skip
    return table.astype({c: float for c in table.columns if table[c].dtype == bool})


def _adjuvant(
    clinical: pd.DataFrame, followup: pd.DataFrame, u: dict[str, Column], world: World = WORLD
) -> dict[str, Column]:
    """After surgery, mostly for pathological N+, to those alive and free of recurrence: it changes no outcome."""
    first, last = world.adjuvant_start_days
    start = first + np.floor((last - first + 1) * u["adjuvant_start"])
    positive = clinical["pathological_n"].isin(["N1", "N2"]).to_numpy()
    planned = np.where(positive, world.adjuvant_if_n_positive, world.adjuvant_if_not)
    given = (clinical["treatment"] != "sbrt").to_numpy() & (u["adjuvant"] < planned)
    given &= (followup["followup_days"] > start).to_numpy()
    given &= ~(followup["recurrence_days"] <= start).to_numpy()
    return {"adjuvant": given.astype(float), "adjuvant_start_days": np.where(given, start, np.nan)}


def _truth_table(
    clinical: pd.DataFrame, rows: dict[str, NDArray], *, blanks: dict[str, NDArray], seed: int
) -> pd.DataFrame:
    """Everything that is true and that no table says."""
    n = len(clinical)
    pure = rows["nodule_type"] == "pure_ggo"
    broken = {rule: rows.get(f"violates_{rule}", np.zeros(n, bool)) for rule in RULES}
    broken["not_pure_ggo"] = pure
    # Tis N0 M0 is stage 0: a small pure ground-glass nodule is not stage I either
    broken["clinical_stage_i"] = broken["clinical_stage_i"] | (clinical["clinical_t"] == "Tis").to_numpy()
    # the protocol wants primary surgery: treatment before it breaks the same rule as missing radical intent
    broken["radical_treatment"] = broken["radical_treatment"] | (clinical["neoadjuvant"] == 1).to_numpy()
    undetermined = find_undetermined(clinical, blanks, rows)
    place = np.array([
        place_tumour(side=1 if lobe[0] == "L" else -1, upper=lobe[1] == "U", middle=lobe[1] == "M", depth=depth,
                     height=height, front=front, radius_mm=total / 2, scale=scale)
        for lobe, depth, height, front, total, scale in zip(
            rows["lobe"], rows["depth"], rows["height"], rows["front"], rows["total"], rows["body_scale"], strict=True)
    ])  # fmt: skip
    return pd.DataFrame({
        "patient_id": clinical["patient_id"],
        "seed": seed,
        "centre_index": rows["centre_index"],
        "true_n": np.array(["N0", "N1", "N2"], dtype=object)[rows["n_state"]],
        "true_onlm": (rows["n_state"] > 0).astype(int),
        **{sign: np.round(rows[sign], 4) for sign in IMAGE_SIGNS},
        "lp_clinical": rows["lp_clinical"],
        "lp_image": rows["lp_image"],
        "risk_clinical": risk_from_table(clinical, rows),
        "risk_full": rows["risk_full"],
        "true_total_diameter_mm": rows["total"],
        "true_solid_diameter_mm": rows["solid"],
        "true_central": rows["central"].astype(int),
        "true_cea_ng_ml": rows["cea"],
        "true_suv_max": rows["suv"],
        "true_kps": rows["kps"],
        **{f"tumour_{a}_mm": np.round(place[:, k], 1) for k, a in enumerate("xyz")},
        "body_scale": rows["body_scale"],
        "fine_scan": _fine_scans(n).astype(int),
        "localizer": (rows["localizer_draw"] < WORLD.localizer_fraction).astype(int),
        "stage_disagrees": rows["stage_disagrees"].astype(int),
        "violations": _names(broken, n),
        "undetermined": _names(undetermined, n),
    })  # fmt: skip


def _names(flags: dict[str, NDArray], n: int) -> list[str]:
    return [";".join(rule for rule in RULES if rule in flags and flags[rule][i]) for i in range(n)]


def _fine_scans(n: int, world: World = WORLD) -> NDArray[np.bool_]:
    """Full-size scans, spread over the trial."""
    k = np.arange(n)
    return (k % world.fine_scan_every == world.fine_scan_every - 1) & (k < world.fine_scan_every * world.fine_scans_max)

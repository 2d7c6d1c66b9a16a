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
from scipy.special import expit, ndtri

from onlm_lab.errors import StudyError
from onlm_lab.virtual.outcomes import OUTCOME_DRAWS, draw_followup
from onlm_lab.virtual.phantom import Scene, Tumour, place_tumour
from onlm_lab.virtual.world import FINE, SCANNERS, WORLD, Scanner, World

Column = NDArray[np.float64]
RULES = (
    "nsclc_confirmed", "clinical_stage_i", "adult", "performance_status", "radical_treatment", "imaging_complete",
    "followup_agreed", "consent", "ct_quality", "not_pure_ggo", "neuropsychiatric", "lost_to_followup",
)  # fmt: skip
PATIENT_DRAWS = (
    "centre", "entry", "age", "sex", "smoking", "pack_years", "kps", "ecog", "histology", "source", "type", "total",
    "ctr", "central", "lobe", "depth", "height", "front", "scale", "descriptor", "cea", "suv", "pet", "invasive",
    "arm", "extent", "ct_days", "spiculation", "necrosis", "tag", "lobulation", "vessels", "core_hu", "onlm",
    "n_state", "nodes", "found", "stations", "lvi", "neoadjuvant", "no_nodes", "how_stage", "how_size", "disagrees",
    "how_disagrees", "localizer",
)  # fmt: skip
BLANK_DRAWS = tuple(f"blank_{name}" for name in WORLD.missing_fraction)
PLANT_DRAWS = tuple(f"plant_{rule}" for rule in WORLD.violation_fraction)
DRAWS = (*PATIENT_DRAWS, *BLANK_DRAWS, *PLANT_DRAWS, *OUTCOME_DRAWS)
IMAGE_SIGNS = ("spiculation", "necrosis", "pleural_tag", "lobulation", "vessel_convergence", "core_hu")


@dataclass(frozen=True, eq=False)
class Trial:
    """A made-up trial in memory: three tables as a hospital would send them, and the truth behind them."""

    clinical: pd.DataFrame
    followup: pd.DataFrame
    annotations: pd.DataFrame
    truth: pd.DataFrame
    seed: int

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


def scanner_of(centre_index: int, *, fine: bool) -> Scanner:
    """The scanner of a centre; more centres than protocols share them with another pixel size."""
    scanner = SCANNERS[centre_index % len(SCANNERS)]
    again = centre_index // len(SCANNERS)
    if again:
        scanner = replace(scanner, pixel_mm=round(scanner.pixel_mm + 0.02 * (again % 5), 3))
    return replace(scanner, **FINE) if fine else scanner


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
    u = _uniforms(n_patients, seed=seed)
    rows = _patients(u, n_centres=n_centres)
    rows |= _planned_violations(u)
    rows |= _broken(u, rows)
    rows |= _image(u, rows) | _blood_and_pet(rows) | _treatment(u, rows)
    rows |= _nodal_state(u, rows)
    clinical = _clinical_table(u, rows)
    followup, lost = draw_followup(u, rows)
    followup.insert(0, "patient_id", clinical["patient_id"])
    clinical["lost_to_followup"] = lost.astype(float)
    rows["violates_lost_to_followup"] = lost
    _add_adjuvant(clinical, followup, u)
    clinical, blanks = _blank_cells(clinical, u, rows)
    truth = _truth_table(clinical, rows, blanks=blanks, seed=seed)
    annotations = pd.DataFrame({
        "patient_id": clinical["patient_id"],
        "series_uid": [ct_series_uid(p, seed=seed) for p in clinical["patient_id"]],
        "series_path": [f"ct/{p}/{CT_FOLDER}" for p in clinical["patient_id"]],
        **{f"tumour_{a}_mm": truth[f"tumour_{a}_mm"] for a in "xyz"},
        "mask_path": None,
    })  # fmt: skip
    return Trial(clinical, followup, annotations, truth, seed)


CT_FOLDER = "chest"


def made_up_uid(*parts: object) -> str:
    """A DICOM UID under 2.25 that depends on the parts alone; always 44 characters."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return f"2.25.{10**38 + int.from_bytes(digest[:16], 'big') % (2**128 - 10**38)}"


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


def _uniforms(n_patients: int, *, seed: int) -> dict[str, Column]:
    """One column a draw, one independent stream a patient."""
    drawn = np.empty((n_patients, len(DRAWS)))
    for i in range(n_patients):
        drawn[i] = np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, i)))).random(len(DRAWS))
    drawn = np.clip(drawn, 1e-9, 1 - 1e-9)
    return dict(zip(DRAWS, drawn.T.copy(), strict=True))


def _pick(u: Column, options: tuple, weights: tuple[float, ...]) -> NDArray:
    edges = np.cumsum(weights) / np.sum(weights)
    return np.array(options, dtype=object)[np.minimum(np.searchsorted(edges, u), len(options) - 1)]


def _patients(u: dict[str, Column], *, n_centres: int, world: World = WORLD) -> dict[str, NDArray]:
    """Who comes, and what a radiologist writes down about the tumour."""
    weights = np.array([world.centre_weight[k % len(world.centre_weight)] for k in range(n_centres)])
    centre = np.searchsorted(np.cumsum(weights) / weights.sum(), u["centre"]).clip(0, n_centres - 1)
    solid_shift = np.array(world.centre_solid_shift)[centre % len(world.centre_solid_shift)]
    size_shift = np.array(world.centre_size_shift)[centre % len(world.centre_size_shift)]
    part_edge = world.pure_ggo_fraction + world.part_solid_fraction - solid_shift
    kind = np.where(
        u["type"] < world.pure_ggo_fraction, "pure_ggo", np.where(u["type"] < part_edge, "part_solid", "solid")
    )
    log_total = np.log(world.total_diameter_median_mm) + size_shift + world.total_diameter_log_sd * ndtri(u["total"])
    total = np.round(np.clip(np.exp(log_total), *world.total_diameter_range_mm), 1)
    ctr = np.select([kind == "solid", kind == "pure_ggo"], [1.0, 0.0], 0.15 + 0.83 * u["ctr"] ** 0.8)
    smoking = _pick(u["smoking"], ("never", "former", "current"), (0.48, 0.30, 0.22))
    return {
        "centre_index": centre,
        "entry_year": 2018 + 6 * u["entry"],
        "age_years": np.round(np.clip(63 + 10 * ndtri(u["age"]), 32, 90)),
        "sex": _pick(u["sex"], ("female", "male"), (0.49, 0.51)),
        "smoking": smoking,
        "pack_years": np.where(smoking == "never", 0.0, np.round(np.exp(3.2 + 0.6 * ndtri(u["pack_years"])), 1)),
        "kps": _pick(u["kps"], (70, 80, 90, 100), (0.07, 0.21, 0.46, 0.26)).astype(float),
        "histology": _pick(
            u["histology"],
            ("adenocarcinoma", "squamous", "other_nsclc"),
            (world.adenocarcinoma_fraction, 0.92 - world.adenocarcinoma_fraction, 0.08),
        ),
        "nodule_type": kind.astype(object),
        "total": total,
        "solid": np.round(total * ctr, 1),
        "central": u["central"] < world.central_fraction,
        "descriptor": np.where((u["descriptor"] < 0.04) & (kind == "solid"), "visceral_pleura", "none").astype(object),
        "z_cea": ndtri(u["cea"]),
        "z_suv": ndtri(u["suv"]),
    }


def _sign(u: Column, fraction: float) -> Column:
    """Absent in most, or plainly there: between 0.5 and 1."""
    return np.where(u < fraction, 0.5 + 0.5 * u / fraction, 0.0)


def _image(u: dict[str, Column], rows: dict[str, NDArray], world: World = WORLD) -> dict[str, NDArray]:
    """What only the image shows, independent of every column of the table."""
    signs = image_signs(u, world)
    # upper, middle or lower lobe, left or right: the right lung is larger
    lobe = _pick(u["lobe"], ("RUL", "RML", "RLL", "LUL", "LLL"), (0.31, 0.06, 0.19, 0.26, 0.18))
    scale = np.clip(1 + 0.04 * ndtri(u["scale"]), 0.9, 1.08)
    depth = np.where(rows["central"], 0.14 + 0.15 * u["depth"], 0.45 + 0.45 * u["depth"])
    return {**signs, "lobe": lobe, "body_scale": np.round(scale, 4), "depth": depth,
            "height": u["height"], "front": u["front"], "localizer_draw": u["localizer"]}  # fmt: skip


def image_signs(u: dict[str, Column], world: World = WORLD) -> dict[str, Column]:
    """The six image signs from uniform numbers."""
    return {
        "spiculation": _sign(u["spiculation"], world.spiculated_fraction),
        "necrosis": _sign(u["necrosis"], world.necrotic_fraction),
        "pleural_tag": _sign(u["tag"], world.tagged_fraction),
        "lobulation": u["lobulation"],
        "vessel_convergence": np.floor(u["vessels"] * 5) / 4,
        "core_hu": 25.0 + 15.0 * ndtri(u["core_hu"]),
    }


def image_log_odds(signs: dict[str, Column], world: World = WORLD) -> Column:
    """What the image adds to the log odds of N+."""
    return (
        world.spiculation * signs["spiculation"]
        + world.necrosis * signs["necrosis"]
        + world.pleural_tag * signs["pleural_tag"]
        + world.lobulation * signs["lobulation"]
        + world.vessel_convergence * signs["vessel_convergence"]
        + world.per_sd_core_hu * (signs["core_hu"] - 25.0) / 15.0
    )


def clinical_log_odds(rows: dict[str, NDArray], world: World = WORLD) -> Column:
    """What the table adds, CEA and SUVmax apart."""
    solid, total = rows["solid"], rows["total"]
    return (
        world.intercept
        + world.per_doubling_solid * np.log2(np.maximum(solid, 3.0) / 20)
        + world.per_ctr * (np.where(total > 0, solid / total, 0) - 1)
        + world.central * rows["central"]
        + world.per_decade_age * (rows["age_years"] - 63) / 10
        + world.adenocarcinoma * (rows["histology"] == "adenocarcinoma")
    )


def _planned_violations(u: dict[str, Column], world: World = WORLD) -> dict[str, NDArray]:
    """Who will break which rule."""
    return {f"violates_{rule}": u[f"plant_{rule}"] < share for rule, share in world.violation_fraction.items()}


def _broken(u: dict[str, Column], rows: dict[str, NDArray]) -> dict[str, NDArray]:
    """What the planned violations change: age, KPS, and one of four ways out of stage I.

    Too large; a T3 or T4 descriptor; nodes seen on imaging; a contralateral nodule.
    """
    how = np.where(rows["violates_clinical_stage_i"], np.floor(u["how_stage"] * 4), -1)
    large, nodes = how == 0, how == 2
    staged = nodes & (u["how_size"] > 0.7)
    total = np.where(large, np.round(41 + 14 * u["how_size"], 1), rows["total"])
    worse = _pick(u["how_size"], ("satellite", "chest_wall", "other_t3", "other_t4"), (0.4, 0.3, 0.15, 0.15))
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


def _blood_and_pet(rows: dict[str, NDArray]) -> dict[str, NDArray]:
    """Blood and PET values that go with the tumour; CEA and SUVmax carry what their z score says beyond size."""
    solid = np.maximum(rows["solid"], 3.0)
    return {
        "cea": np.round(np.exp(0.95 + 0.75 * rows["z_cea"]), 2),
        "suv": np.round(np.exp(1.3 + 0.7 * np.log(solid / 20) + 0.5 * rows["z_suv"]), 2),
    }


def _treatment(u: dict[str, Column], rows: dict[str, NDArray], world: World = WORLD) -> dict[str, NDArray]:
    """Older and frailer patients get radiotherapy; the rest an operation that fits the size."""
    odds = (
        world.sbrt_log_odds
        + world.sbrt_per_decade * (rows["age_years"] - 63) / 10
        + world.sbrt_per_kps10 * (rows["kps"] - 90) / 10
    )
    extent = np.where(
        rows["total"] <= 20,
        _pick(u["extent"], ("lobectomy", "segmentectomy", "wedge", "pneumonectomy"), (0.62, 0.25, 0.12, 0.01)),
        _pick(u["extent"], ("lobectomy", "segmentectomy", "wedge", "pneumonectomy"), (0.86, 0.08, 0.03, 0.03)),
    )
    sbrt = u["arm"] < expit(odds)
    return {"sbrt": sbrt, "treatment": np.where(sbrt, "sbrt", extent).astype(object)}


def _nodal_state(u: dict[str, Column], rows: dict[str, NDArray], world: World = WORLD) -> dict[str, NDArray]:
    """The true N state, from table and image together."""
    table = clinical_log_odds(rows, world) + world.per_sd_cea * rows["z_cea"] + world.per_sd_suv * rows["z_suv"]
    image = image_log_odds({sign: rows[sign] for sign in IMAGE_SIGNS}, world)
    risk = expit(table + image)
    positive = u["onlm"] < risk
    state = np.where(positive, np.where(u["n_state"] < world.n2_given_positive, 2, 1), 0)
    for k, seen in ((1, "N1"), (2, "N2")):
        state = np.where(rows["clinical_n"] == seen, k, state)
    return {"lp_clinical": table, "lp_image": image, "risk_full": risk, "n_state": state}


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
    nodes, stations, seen = _pathology(u, rows)
    table = pd.DataFrame({
        "patient_id": [f"MT-{i + 1:0{width}d}" for i in range(n)],
        "centre": [f"C{k + 1}" for k in rows["centre_index"]],
        "treatment_year": np.floor(rows["entry_year"]),
        "age_years": rows["age_years"],
        "sex": rows["sex"],
        "smoking": rows["smoking"],
        "pack_years": rows["pack_years"],
        "kps": rows["kps"],
        "ecog": _ecog(rows["kps"], u["ecog"]),
        "nsclc_confirmed": ~rows["violates_nsclc_confirmed"],
        "histology": np.where(rows["violates_nsclc_confirmed"], None, rows["histology"]),
        "histology_source": np.where(rows["sbrt"] | (u["source"] < 0.45), "biopsy", "resection"),
        "lobe": rows["lobe"],
        "total_diameter_mm": total,
        "solid_diameter_mm": solid,
        "nodule_type": rows["nodule_type"],
        "central_location": central,
        "t_descriptor": rows["descriptor"],
        "clinical_t": _recorded_t(u, rows),
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


def _recorded_t(u: dict[str, Column], rows: dict[str, NDArray], world: World = WORLD) -> NDArray:
    """What the clinic wrote down: now and then the neighbouring T, always within stage I."""
    stage = derived_t(total=rows["total"], solid=rows["solid"], nodule_type=rows["nodule_type"],
                      descriptor=rows["descriptor"])  # fmt: skip
    neighbours = {"T1a": ("T1b", "T1b"), "T1b": ("T1a", "T1c"), "T1c": ("T1b", "T2a"), "T2a": ("T1c", "T1c")}
    stray = (u["disagrees"] < world.stage_disagrees_fraction) & ~rows["violates_clinical_stage_i"]
    stray &= (rows["nodule_type"] != "pure_ggo") & np.isin(stage, list(neighbours))
    rows["stage_disagrees"] = stray
    other = [neighbours.get(s, (s, s))[int(k < 0.5)] for s, k in zip(stage, u["how_disagrees"], strict=True)]
    return np.where(stray, np.array(other, dtype=object), stage)


def _ecog(kps: Column, u: Column) -> Column:
    """ECOG from KPS (Prasad 2018, lung cancer); one in fifty is written down one step too high."""
    ecog = np.select([kps >= 100, kps >= 80, kps >= 70, kps >= 50], [0.0, 1.0, 2.0, 3.0], 4.0)
    return np.minimum(ecog + (u < 0.02), 4.0)


def _pathology(u: dict[str, Column], rows: dict[str, NDArray], world: World = WORLD) -> tuple[Column, Column, NDArray]:
    """Nodes and mediastinal stations examined, and the N that the pathologist could see."""
    surgery = ~rows["sbrt"]
    typical = np.select([rows["treatment"] == "wedge", rows["treatment"] == "segmentectomy"], [4.0, 9.0], 15.0)
    centre = 1 + 0.12 * ((rows["centre_index"] % 5) - 2)
    nodes = np.maximum(1, np.round(typical * centre * np.exp(0.35 * ndtri(u["nodes"]))))
    nodes = np.where(u["no_nodes"] < world.no_nodes_fraction * np.where(typical < 10, 3, 0.5), 0, nodes)
    stations = np.where(nodes == 0, 0, np.minimum(6, np.round(nodes / 5 + 1.2 * u["stations"])))
    seen_at_all = u["found"] < 1 - (1 - world.node_detection) ** nodes
    names = np.array(["N0", "N1", "N2"], dtype=object)
    seen = np.where(nodes == 0, "NX", np.where(seen_at_all, names[rows["n_state"]], "N0"))
    blank = np.where(surgery, seen, None)
    return np.where(surgery, nodes, np.nan), np.where(surgery, stations, np.nan), blank


def _add_adjuvant(clinical: pd.DataFrame, followup: pd.DataFrame, u: dict[str, Column]) -> None:
    """After surgery, mostly for pathological N+, to those alive and free of recurrence: it changes no outcome."""
    start = 20 + np.floor(71 * u["adjuvant_start"])
    positive = clinical["pathological_n"].isin(["N1", "N2"]).to_numpy()
    given = (clinical["treatment"] != "sbrt").to_numpy() & (u["adjuvant"] < np.where(positive, 0.76, 0.05))
    given &= (followup["followup_days"] > start).to_numpy()
    given &= ~(followup["recurrence_days"] <= start).to_numpy()
    clinical["adjuvant"] = given.astype(float)
    clinical["adjuvant_start_days"] = np.where(given, start, np.nan)


def _blank_cells(
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


def _undetermined(clinical: pd.DataFrame, blanks: dict[str, NDArray], rows: dict[str, NDArray]) -> dict[str, NDArray]:
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
    undetermined = _undetermined(clinical, blanks, rows)
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
        "risk_clinical": _risk_from_table(clinical, rows),
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


def _risk_from_table(
    clinical: pd.DataFrame, rows: dict[str, NDArray], world: World = WORLD, n_nodes: int = 256
) -> Column:
    """P(N+ | the table): the image, and CEA or SUVmax where their cell is empty, integrated over their distributions.

    The few other empty cells are read as if they were filled: the oracle is very slightly better than any honest model.
    """
    from scipy.stats import qmc

    nodes = qmc.Sobol(8, scramble=False).random(n_nodes) + 0.5 / n_nodes
    names = ("spiculation", "necrosis", "tag", "lobulation", "vessels", "core_hu", "cea", "suv")
    u = dict(zip(names, nodes.T, strict=True))
    image = image_log_odds(image_signs(u, world), world)
    known = clinical_log_odds(rows, world)
    risk = np.zeros(len(known))
    no_cea, no_suv = clinical["cea_ng_ml"].isna().to_numpy(), clinical["suv_max"].isna().to_numpy()
    for k in range(n_nodes):
        blood = np.where(no_cea, ndtri(u["cea"][k]), rows["z_cea"])
        uptake = np.where(no_suv, ndtri(u["suv"][k]), rows["z_suv"])
        risk += expit(known + world.per_sd_cea * blood + world.per_sd_suv * uptake + image[k])
    return risk / n_nodes

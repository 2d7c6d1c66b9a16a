"""Who comes to the made-up trial: people, tumours, blood values, treatment, and what the pathologist can see.

Every patient has a row of uniform numbers of their own; everything here is a function of that row.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtri

from onlm_lab.virtual.outcomes import OUTCOME_DRAWS
from onlm_lab.virtual.risk import image_signs
from onlm_lab.virtual.world import WORLD, World

Column = NDArray[np.float64]
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


def draw_uniforms(n_patients: int, *, seed: int) -> dict[str, Column]:
    """One column a draw, one independent stream a patient."""
    drawn = np.empty((n_patients, len(DRAWS)))
    for i in range(n_patients):
        drawn[i] = np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, i)))).random(len(DRAWS))
    drawn = np.clip(drawn, 1e-9, 1 - 1e-9)
    return dict(zip(DRAWS, drawn.T.copy(), strict=True))


def pick(u: Column, options: tuple, weights: tuple[float, ...]) -> NDArray:
    """One of the options for each uniform number, as often as its weight says."""
    edges = np.cumsum(weights) / np.sum(weights)
    return np.array(options, dtype=object)[np.minimum(np.searchsorted(edges, u), len(options) - 1)]


def draw_people(u: dict[str, Column], *, n_centres: int, world: World = WORLD) -> dict[str, NDArray]:
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
    smoking = pick(u["smoking"], ("never", "former", "current"), (0.48, 0.30, 0.22))
    return {
        "centre_index": centre,
        "entry_year": 2018 + 6 * u["entry"],
        "age_years": np.round(np.clip(63 + 10 * ndtri(u["age"]), 32, 90)),
        "sex": pick(u["sex"], ("female", "male"), (0.49, 0.51)),
        "smoking": smoking,
        "pack_years": np.where(smoking == "never", 0.0, np.round(np.exp(3.2 + 0.6 * ndtri(u["pack_years"])), 1)),
        "kps": pick(u["kps"], (70, 80, 90, 100), (0.07, 0.21, 0.46, 0.26)).astype(float),
        "histology": pick(
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


def draw_image(u: dict[str, Column], rows: dict[str, NDArray], world: World = WORLD) -> dict[str, NDArray]:
    """What only the image shows, independent of every column of the table."""
    signs = image_signs(u, world)
    # upper, middle or lower lobe, left or right: the right lung is larger
    lobe = pick(u["lobe"], ("RUL", "RML", "RLL", "LUL", "LLL"), (0.31, 0.06, 0.19, 0.26, 0.18))
    scale = np.clip(1 + 0.04 * ndtri(u["scale"]), 0.9, 1.08)
    depth = np.where(rows["central"], 0.14 + 0.15 * u["depth"], 0.45 + 0.45 * u["depth"])
    return {**signs, "lobe": lobe, "body_scale": np.round(scale, 4), "depth": depth,
            "height": u["height"], "front": u["front"], "localizer_draw": u["localizer"]}  # fmt: skip


def draw_blood_and_pet(rows: dict[str, NDArray]) -> dict[str, NDArray]:
    """Blood and PET values that go with the tumour; CEA and SUVmax carry what their z score says beyond size."""
    solid = np.maximum(rows["solid"], 3.0)
    return {
        "cea": np.round(np.exp(0.95 + 0.75 * rows["z_cea"]), 2),
        "suv": np.round(np.exp(1.3 + 0.7 * np.log(solid / 20) + 0.5 * rows["z_suv"]), 2),
    }


def choose_treatment(u: dict[str, Column], rows: dict[str, NDArray], world: World = WORLD) -> dict[str, NDArray]:
    """Older and frailer patients get radiotherapy; the rest an operation that fits the size."""
    odds = (
        world.sbrt_log_odds
        + world.sbrt_per_decade * (rows["age_years"] - 63) / 10
        + world.sbrt_per_kps10 * (rows["kps"] - 90) / 10
    )
    extent = np.where(
        rows["total"] <= 20,
        pick(u["extent"], ("lobectomy", "segmentectomy", "wedge", "pneumonectomy"), (0.62, 0.25, 0.12, 0.01)),
        pick(u["extent"], ("lobectomy", "segmentectomy", "wedge", "pneumonectomy"), (0.86, 0.08, 0.03, 0.03)),
    )
    sbrt = u["arm"] < expit(odds)
    return {"sbrt": sbrt, "treatment": np.where(sbrt, "sbrt", extent).astype(object)}


def examine_nodes(
    u: dict[str, Column], rows: dict[str, NDArray], world: World = WORLD
) -> tuple[Column, Column, NDArray]:
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

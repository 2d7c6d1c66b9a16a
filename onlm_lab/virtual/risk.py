"""What raises the risk of nodal metastasis in the made-up world: partly in the table, partly only in the image."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, ndtri

from onlm_lab.virtual.world import WORLD, World

Column = NDArray[np.float64]
IMAGE_SIGNS = ("spiculation", "necrosis", "pleural_tag", "lobulation", "vessel_convergence", "core_hu")


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


def _sign(u: Column, fraction: float) -> Column:
    """Absent in most, or plainly there: between 0.5 and 1."""
    return np.where(u < fraction, 0.5 + 0.5 * u / fraction, 0.0)


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


def draw_nodal_state(u: dict[str, Column], rows: dict[str, NDArray], world: World = WORLD) -> dict[str, NDArray]:
    """The true N state, from table and image together."""
    table = clinical_log_odds(rows, world) + world.per_sd_cea * rows["z_cea"] + world.per_sd_suv * rows["z_suv"]
    image = image_log_odds({sign: rows[sign] for sign in IMAGE_SIGNS}, world)
    risk = expit(table + image)
    positive = u["onlm"] < risk
    state = np.where(positive, np.where(u["n_state"] < world.n2_given_positive, 2, 1), 0)
    for k, seen in ((1, "N1"), (2, "N2")):
        state = np.where(rows["clinical_n"] == seen, k, state)
    return {"lp_clinical": table, "lp_image": image, "risk_full": risk, "n_state": state}


def risk_from_table(
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

"""Tables with made-up event risks, wrong on purpose, and R's numbers for them (made by make_event_calibration.R)."""

import json

import numpy as np
import pandas as pd
from scipy.special import expit
from survival_reference import COMPETING, REFERENCE, TIMED, table

R = json.loads((REFERENCE / "event_calibration.json").read_text())
CASES = ("lung", "ties", "pbc", "mgus", "tiny", "tiny_cr")
FITTED = ("lung", "ties", "pbc", "mgus")


def case(name: str) -> tuple[pd.DataFrame, dict]:
    """The rows of a case with the risk `p`, and its endpoint, horizon and risk as the calls take them."""
    competing = R[name]["n_competing"] > 0
    names = COMPETING if competing else TIMED
    source = {"ties": "lung", "tiny": "tiny_survival", "tiny_cr": "tiny_survival"}.get(name, name)
    if source == "tiny_survival":
        names = (
            {"time": "regional_days", "cr": "regional_state"}
            if competing
            else {"time": "os_days", "status": "os_event"}
        )
    rows = table(source, names=names)
    if source == "lung":
        rows["p"] = expit(0.3 + 0.05 * (rows["age"] - 62) + 0.6 * (rows["sex"] == "male"))
        rows["os_days"] = rows["os_days"] // 60 if name == "ties" else rows["os_days"]
    elif source == "pbc":
        rows["p"] = expit(-2.2 + 1.4 * np.log(rows["bili"]))
    elif source == "mgus":
        rows["p"] = expit(-2.6 + 0.5 * (rows["mspike"] - 1))
    else:
        rows["p"] = rows["score"]
    keep = ["patient_id", *[c for c in rows if c.startswith(("os_", "regional_"))], "p"]
    asked = {
        "endpoint": "regional" if competing else "os",
        "horizon_days": float(R[name]["horizon"]),
        "event_risk": "p",
    }
    return rows[keep].copy(), asked


def simulated(
    n: int, *, seed: int, competing: bool, horizon: float = 1095.0, censored_from: float = 300.0
) -> tuple[pd.DataFrame, dict]:
    """Patients whose true risk of the event by the horizon is `p`; about a quarter are censored before it."""
    rng = np.random.default_rng(seed)
    rate = -np.log1p(-rng.beta(1.2, 5, n)) / horizon
    other = 1 / 4000 if competing else 0.0
    event, death = rng.exponential(1, n) / rate, rng.exponential(4000, n) if competing else np.full(n, np.inf)
    end = rng.uniform(censored_from, 2500, n)
    days = np.minimum(np.minimum(event, death), end)
    state = np.where(days == end, 0, np.where(days == event, 1, 2))
    risk = rate / (rate + other) * -np.expm1(-(rate + other) * horizon)
    column = "regional_state" if competing else "regional_event"
    rows = pd.DataFrame({"patient_id": np.arange(n).astype(str), "regional_days": days, column: state, "p": risk})
    return rows, {"endpoint": "regional", "horizon_days": horizon, "event_risk": "p"}

"""What becomes of the made-up patients: competing hazards that know the true N state, and how much of it is seen.

Adjuvant treatment has no effect on anything here: whoever finds one has found immortal time or confounding.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from onlm_lab.virtual.world import WORLD, World

OUTCOME_DRAWS = (
    "local", "regional", "distant", "other_death", "cancer_death", "dropout", "lost", "site_unknown", "cause_unknown",
    "imaging", "adjuvant", "adjuvant_start",
)  # fmt: skip
SITES = ("local", "regional", "distant")
DAYS_PER_YEAR = 365.25


def draw_followup(
    u: dict[str, NDArray], rows: dict[str, NDArray], world: World = WORLD
) -> tuple[pd.DataFrame, NDArray[np.bool_]]:
    """followup.csv, and who was lost to follow-up (only the living can be lost)."""
    seen = _recurrences(u, rows, world)
    first = np.min([seen[s] for s in SITES], axis=0)
    death, cause = _deaths(u, rows, first, world)
    lost_at = _days(0.1 + 0.7 * u["lost"])
    cut = np.minimum(_days(world.data_cut_year - rows["entry_year"]), _waiting(u["dropout"], world.dropout))
    lost = rows["violates_lost_to_followup"] & (lost_at < np.minimum(death, cut))
    last = np.minimum(death, np.where(lost, lost_at, cut))
    seen = {site: np.where(days <= last, days, np.nan) for site, days in seen.items()}
    with np.errstate(invalid="ignore"):
        recurrence = np.fmin(np.fmin(seen["local"], seen["regional"]), seen["distant"])
    recurred, died = ~np.isnan(recurrence), death <= last
    unknown = recurred & (u["site_unknown"] < world.site_unknown_fraction)
    latest = np.fmax(np.fmax(seen["local"], seen["regional"]), seen["distant"])
    imaging = np.maximum(1, last - np.floor(200 * u["imaging"]))
    table = pd.DataFrame({
        "followup_days": last,
        "last_imaging_days": np.where(recurred, np.fmax(latest, imaging), imaging),
        "died": died.astype(float),
        "death_cause": np.where(died, np.where(u["cause_unknown"] < 0.04, "unknown", cause), None),
        "recurred": recurred.astype(float),
        "recurrence_days": recurrence,
        "recurrence_site": _site_names(seen, recurred, unknown),
        **{f"{site}_days": np.where(unknown, np.nan, seen[site]) for site in SITES},
    })  # fmt: skip
    return table, lost


def _days(years: NDArray) -> NDArray:
    return np.maximum(1.0, np.ceil(years * DAYS_PER_YEAR))


def _waiting(u: NDArray, per_year: NDArray | float) -> NDArray:
    """Whole days until an event of a constant hazard."""
    return _days(-np.log(u) / per_year)


def _recurrences(u: dict[str, NDArray], rows: dict[str, NDArray], world: World) -> dict[str, NDArray]:
    """Day of each kind of recurrence if the patient lived; what restaging finds early is found with the first."""
    sbrt, state = rows["sbrt"], rows["n_state"]
    large = np.sqrt(rows["total"] / 20)
    regional = np.where(sbrt, np.array(world.regional["sbrt"])[state], np.array(world.regional["surgery"])[state])
    times = {
        "local": _waiting(u["local"], np.where(sbrt, world.local["sbrt"], world.local["surgery"]) * large),
        "regional": _waiting(u["regional"], regional),
        "distant": _waiting(u["distant"], np.array(world.distant)[state] * large),
    }
    first = np.min(list(times.values()), axis=0)
    return {s: np.where(t <= first + world.found_together_days, first, t) for s, t in times.items()}


def _deaths(u: dict[str, NDArray], rows: dict[str, NDArray], first: NDArray, world: World) -> tuple[NDArray, NDArray]:
    """Day and cause of death; lung cancer kills only after it came back."""
    frailty = world.other_death_per_decade * (rows["age_years"] - 65) / 10
    frailty = frailty + world.other_death_per_kps10 * (rows["kps"] - 90) / 10
    other = _waiting(u["other_death"], world.other_death_at_65 * np.exp(frailty))
    cancer = first + _waiting(u["cancer_death"], world.cancer_death_after_recurrence)
    return np.minimum(other, cancer), np.where(cancer < other, "lung_cancer", "other")


def _site_names(seen: dict[str, NDArray], recurred: NDArray, unknown: NDArray) -> list[str | None]:
    names = []
    for i, back in enumerate(recurred):
        sites = ";".join(site for site in SITES if not np.isnan(seen[site][i]))
        names.append(None if not back else "unknown" if unknown[i] else sites)
    return names

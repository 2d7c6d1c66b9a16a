"""The outcomes page of one arm and model beside the bare numbers of lifelines and scikit-survival."""

from __future__ import annotations

import functools
import itertools
import warnings
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from benchmarks.known_times import HORIZON, YEAR, sample
from onlm_lab.panels.card import outcome_card
from onlm_lab.panels.event_risks import auc_over_time_panel
from onlm_lab.panels.followed import Followed
from onlm_lab.panels.hazards import constancy_panel, hazard_comparison_panel
from onlm_lab.panels.outcomes import mean_time_panel, outcome_panel

Race = tuple[str, str, Callable[[], object], Callable[[], object]]
N_PATIENTS = 20_000
ADJUST = ("age_years", "sex", "clinical_t")
HORIZONS = (YEAR, 2 * YEAR, HORIZON, 5 * YEAR)
ENDPOINT, MODEL, ARM = "os", "fused", "surgery"
THRESHOLD = 0.3


def made_rows(n: int) -> pd.DataFrame:
    """Operated patients of benchmarks.known_times with times in whole days, four endpoints and three covariates."""
    chance = np.random.default_rng(7)
    rows = sample(n, generator=chance)
    whole = {name: np.ceil(rows[name]) for name in ("os_days", "regional_days")}
    rows = rows.drop(columns=["positive", "coin", "die"]).assign(**whole)
    return rows.assign(
        model_id=MODEL, arm=ARM, split="oof", repeat=0, onlm=(chance.uniform(size=n) < rows["risk"]).astype(float),
        threshold=THRESHOLD, predicted_positive=(rows["risk"] >= THRESHOLD).astype(float),
        age_years=chance.integers(40, 86, n).astype(float), sex=np.where(rows["male"], "male", "female"),
        clinical_t=chance.choice(["T1a", "T1b", "T1c", "T2a"], n).astype(object),
        rfs_days=np.minimum(rows["os_days"], rows["regional_days"]),
        rfs_event=np.maximum(rows["os_event"], rows["regional_state"] > 0).astype(int),
        recurrence_days=rows["regional_days"], recurrence_state=rows["regional_state"],
    )  # fmt: skip


def pieces(
    rows: pd.DataFrame | Followed, *, endpoint: str = ENDPOINT, horizon_days: float = HORIZON,
    threshold: float | None = None,
) -> dict[str, Callable[[], object]]:  # fmt: skip
    """What the page computes, by name; a piece comes back with its figure as the page sends it."""
    one, drawn = {"model": MODEL, "arm": ARM}, {"endpoint": endpoint, "model": MODEL, "arm": ARM}
    day, cut = {"horizon_days": horizon_days}, {"threshold": threshold}
    page = {
        "curves": lambda: outcome_panel(rows, **drawn, **day, **cut),
        "hazard ratios": lambda: hazard_comparison_panel(rows, **drawn, adjust=ADJUST),
        "constancy": lambda: constancy_panel(rows, **drawn),
        "mean time": lambda: mean_time_panel(rows, **drawn, **day, **cut),
        "AUC over time": lambda: auc_over_time_panel(
            rows, models=[MODEL], endpoint=endpoint, arm=ARM, horizons_days=HORIZONS, **day
        ),
    }  # fmt: skip
    sent = {name: lambda call=call: call().figure.to_json() for name, call in page.items()}
    return sent | {"card": lambda: outcome_card(rows, **one, **day, **cut)}


def races() -> Iterator[Race]:
    """Name, peer, our work, the peer's work."""
    rows, peer = made_rows(N_PATIENTS), "lifelines, scikit-survival: numbers"

    def page(kept: Followed, *, endpoint: str, **moved: float) -> None:
        for piece in pieces(kept, endpoint=endpoint, **moved).values():
            piece()

    for endpoint in ("os", "regional"):
        theirs = functools.partial(bare, rows, endpoint=endpoint)
        yield (
            f"outcomes page anew, {endpoint}, n = {N_PATIENTS:,}", peer,
            lambda endpoint=endpoint: page(Followed(rows), endpoint=endpoint), theirs,
        )  # fmt: skip
        kept, step = Followed(rows), itertools.count(1)
        page(kept, endpoint=endpoint)
        yield (
            f"the same at a new horizon, {endpoint}", peer,
            lambda kept=kept, step=step, endpoint=endpoint: page(kept, endpoint=endpoint,
                                                                 horizon_days=HORIZON - next(step)), theirs,
        )  # fmt: skip
        yield (
            f"the same at a new threshold, {endpoint}", peer,
            lambda kept=kept, step=step, endpoint=endpoint: page(kept, endpoint=endpoint,
                                                                 threshold=THRESHOLD - 0.001 * next(step)), theirs,
        )  # fmt: skip


def bare(rows: pd.DataFrame, *, endpoint: str) -> None:
    """The same numbers without a figure: curves, log-rank, Cox, mean time and AUC over time."""
    from lifelines import AalenJohansenFitter, CoxPHFitter, KaplanMeierFitter
    from lifelines.statistics import logrank_test
    from lifelines.utils import restricted_mean_survival_time
    from sksurv.metrics import cumulative_dynamic_auc
    from sksurv.util import Surv

    days = rows[f"{endpoint}_days"]
    state = rows[f"{endpoint}_event" if f"{endpoint}_event" in rows else f"{endpoint}_state"]
    event, high = state == 1, rows["predicted_positive"] == 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Warning)  # lifelines says that it jitters ties
        for own in (~high, high):
            if endpoint == "os":
                curve = KaplanMeierFitter().fit(days[own], event[own])
                _ = curve.confidence_interval_, restricted_mean_survival_time(curve, t=HORIZON)
            else:
                AalenJohansenFitter(seed=1).fit(days[own], state[own], event_of_interest=1)
    logrank_test(days[~high], days[high], event[~high], event[high])
    table = pd.get_dummies(rows[["risk", *ADJUST]], drop_first=True, dtype=float).assign(days=days, event=event)
    names = [c for c in table.columns if c not in ("days", "event")]
    groups = [["risk"], ["age_years"], ["sex_male"], [c for c in names if c.startswith("clinical_t")], names]
    for columns in [*groups, [c for c in names if c != "risk"]]:
        CoxPHFitter().fit(table[[*columns, "days", "event"]], "days", "event")
    seen = Surv.from_arrays(event, days)
    cumulative_dynamic_auc(seen, seen, rows["risk"].to_numpy(), HORIZONS)

"""What became of each patient, as endpoints: X_days with X_event (0/1), or X_days with X_state (0/1/2).

Time zero is the day of surgery or of the first SBRT fraction.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from onlm_lab.cohort.staging import numbers, words
from onlm_lab.schema import ENDPOINTS, SITES
from onlm_lab.schema.meanings import ENDPOINT_RULES

RULES = ENDPOINT_RULES


def endpoints(followup: pd.DataFrame) -> pd.DataFrame:
    """The six endpoints of each patient, by the definitions in RULES.

    Where the state cannot be known, both the state and the days are missing. A recurrence and a death on one day are
    a recurrence.

    Args:
        followup: columns of followup.csv, days from time zero; an absent column counts as not known.

    Returns:
        os_days, os_event, rfs_days, rfs_event, recurrence_days, recurrence_state, ... on the index of `followup`.
    """
    last, died = numbers(followup, "followup_days"), numbers(followup, "died")
    recurred, first = numbers(followup, "recurred"), numbers(followup, "recurrence_days")
    end = np.where(died == 1, 2.0, np.where(died == 0, 0.0, np.nan))  # without recurrence: death competes, or censored
    found: dict[str, tuple[np.ndarray, np.ndarray]] = {"os": (last, died)}

    any_state = np.select([recurred == 1, recurred == 0], [1.0, end], default=np.nan)
    any_days = np.where(recurred == 1, first, last)
    found["rfs"] = (any_days, np.where(any_state == 2, 1.0, any_state))
    found["recurrence"] = (any_days, any_state)
    regional, distant = _site_states(followup, recurred=recurred, first=first, end=end)
    found["regional"], found["distant"] = (any_days, regional), (any_days, distant)

    cause = words(followup, "death_cause")
    of_cancer = np.select([cause == "lung_cancer", cause == "other"], [1.0, 2.0], default=np.nan)
    found["cancer_death"] = (last, np.where(died == 1, of_cancer, np.where(died == 0, 0.0, np.nan)))

    table = {}
    for name, kind in ENDPOINTS.items():
        days, state = found[name]
        known = ~np.isnan(days) & ~np.isnan(state)
        table[f"{name}_days"] = np.where(known, days, np.nan)
        table[f"{name}_{kind}"] = np.where(known, state, np.nan)
    return pd.DataFrame(table, index=followup.index)


def _site_states(
    followup: pd.DataFrame, *, recurred: np.ndarray, first: np.ndarray, end: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """State of the regional and of the distant endpoint; a site without a day of its own was found at the first."""
    codes, said = pd.factorize(words(followup, "recurrence_site"))
    known = [set(text.split(";")) for text in said]
    at_first = {}
    for site in SITES:
        named = np.array([site in found for found in known], dtype=bool)[codes]
        days = numbers(followup, f"{site}_days")
        at_first[site] = np.where(np.isnan(days), named, days <= first)
    located = np.logical_or.reduce(list(at_first.values()))
    regional = at_first["regional"]
    distant = at_first["distant"] & ~regional

    def states(event: np.ndarray) -> np.ndarray:
        after_recurrence = np.where(located, np.where(event, 1.0, 2.0), np.nan)
        return np.select([recurred == 1, recurred == 0], [after_recurrence, end], default=np.nan)

    return states(regional), states(distant)


def endpoint_counts(patients: pd.DataFrame) -> pd.DataFrame:
    """How many patients each endpoint rests on.

    Returns:
        endpoint, n, n_events, n_competing, n_censored, n_missing, rule.
    """
    rows = []
    for name, kind in ENDPOINTS.items():
        state = patients[f"{name}_{kind}"]
        rows.append(
            {"endpoint": name, "n": int(state.notna().sum()), "n_events": int((state == 1).sum()),
             "n_competing": int((state == 2).sum()), "n_censored": int((state == 0).sum()),
             "n_missing": int(state.isna().sum()), "rule": RULES[name]}
        )  # fmt: skip
    return pd.DataFrame(rows)

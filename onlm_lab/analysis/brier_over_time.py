"""How far predicted probabilities of an event lie from what happened: the Brier score at a day, and over many days.

The squared difference between P(event by t) and the event's having occurred by t, patients censored before t being
stood for by others (Graf et al. 1999, Stat Med 18:2529; with competing events Schoop et al. 2011,
doi:10.1002/bimj.201000073). Lower is better; a useless prediction has the score of the whole group's incidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from onlm_lab.analysis.arguments import read_horizons
from onlm_lab.analysis.censoring_weights import (
    Censoring,
    censoring,
    known_weights,
    standard_error,
)
from onlm_lab.analysis.endpoint import read_followup
from onlm_lab.analysis.event_probability import EventRisk, with_event_risk
from onlm_lab.analysis.product_limit import Z95, Steps, before, survival
from onlm_lab.analysis.rows import ONE_MODEL, Patients
from onlm_lab.errors import OnlmError
from onlm_lab.results import Estimate

METHOD = "Brier score, inverse censoring weights, infinitesimal jackknife"
FEW = 10  # events below which a normal interval is too narrow


@dataclass(frozen=True, eq=False)
class _Brier:
    """The score at one horizon, that of the group's incidence, each patient's influence, and why there is none."""

    value: float
    reference: float
    influence: np.ndarray
    n_events: int
    why: str = ""


def brier_survival(
    rows: pd.DataFrame | Patients,
    *,
    endpoint: str,
    horizons_days: Sequence[float],
    event_risk: EventRisk,
    model: str | None = None,
) -> pd.DataFrame:
    """The Brier score of P(event by each horizon), beside that of telling everybody the group's incidence.

    Equal to R's riskRegression::Score and pec with the Kaplan-Meier estimate of the censoring (G(T-) for those whose
    outcome was settled by t, G(t) for those still followed); the interval counts that this was estimated.

    Args:
        rows: one row a patient with {endpoint}_days and {endpoint}_event or {endpoint}_state.
        endpoint: such as "os" or "regional".
        horizons_days: days after time zero.
        event_risk: P(event at or before the horizon), never the risk of N+: see with_event_risk. Of a table as
            event_risk.csv the endpoint's and the model's rows are taken.
        model: whose rows to take when the table holds several models.

    Returns:
        horizon_days, value, low, high, n, n_events, n_excluded, reference (the score of Kaplan-Meier's or
        Aalen-Johansen's incidence for everybody), scaled (1 - value / reference: above 0 is better than that), note.
        NaN with a note without an event by then or beyond the follow-up.

    Raises:
        OnlmError: a risk of N+ in the place of event_risk, a horizon without a column, values outside [0, 1].

    Example:
        >>> rows = pd.DataFrame({"patient_id": list("abcd"), "os_days": [100, 200, 500, 600],
        ...                      "os_event": [1, 1, 0, 1], "p": [0.8, 0.6, 0.2, 0.2]})
        >>> found = brier_survival(rows, endpoint="os", horizons_days=[365], event_risk="p")
        >>> found[["value", "reference"]].round(3).iloc[0].tolist()
        [0.07, 0.25]
    """
    horizons = read_horizons(horizons_days)
    rows, columns = with_event_risk(
        rows, event_risk=event_risk, endpoint=endpoint, horizons_days=horizons, model=model
    )  # fmt: skip
    followup = read_followup(Patients(rows, model or ONE_MODEL), endpoint=endpoint)  # checked just before
    everybody = censoring(followup.days, followup.state)
    without = sum(followup.n_excluded.values())
    out = []
    for horizon, column in zip(horizons, columns, strict=True):
        risk = followup.rows[column].to_numpy(dtype=float)
        known = ~np.isnan(risk)
        censored = everybody if known.all() else _part(everybody, known)
        found = _brier(risk[known], censored, horizon)
        limits, note = _limits(found.value, found.influence, found)
        scaled = 1 - found.value / found.reference if found.reference > 0 else np.nan
        counts = (int(known.sum()), found.n_events, without + int((~known).sum()))
        out.append((horizon, found.value, *limits, *counts, found.reference, scaled, note))
    names = ["horizon_days", "value", "low", "high", "n", "n_events", "n_excluded", "reference", "scaled", "note"]
    return pd.DataFrame(out, columns=names)


def integrated_brier(
    rows: pd.DataFrame | Patients,
    *,
    endpoint: str,
    horizons_days: Sequence[float],
    event_risk: EventRisk,
    model: str | None = None,
) -> Estimate:
    """The Brier score averaged over a stretch of days: the trapezoid over the stated grid, divided by its length.

    As scikit-survival's integrated_brier_score; R's pec and riskRegression sum steps from day 0 instead.

    Args:
        rows, endpoint, event_risk, model: as in brier_survival; event_risk has a prediction for each day of the grid.
        horizons_days: the grid, at least two rising days. Only patients with every prediction count.

    Returns:
        The average with its interval; NaN, with the reason, where the score is not known on every day of the grid.

    Raises:
        OnlmError: as brier_survival; a grid of fewer than two days, or one that does not rise.
    """
    horizons = read_horizons(horizons_days)
    if len(horizons) < 2 or any(b <= a for a, b in pairwise(horizons)):
        raise OnlmError(
            f"integrated_brier needs a rising grid of at least two days, such as [365, 730, 1095], got {horizons}."
        )
    rows, columns = with_event_risk(
        rows, event_risk=event_risk, endpoint=endpoint, horizons_days=horizons, model=model
    )  # fmt: skip
    followup = read_followup(Patients(rows, model or ONE_MODEL), endpoint=endpoint)  # checked just before
    risks = followup.rows[columns].to_numpy(dtype=float)
    known = ~np.isnan(risks).any(axis=1)
    if not known.any():
        return Estimate(np.nan, method=METHOD, note=f"no patient has a prediction for each of {len(horizons)} days")
    censored = _part(censoring(followup.days, followup.state), known)
    found = [_brier(risk, censored, h) for risk, h in zip(risks[known].T, horizons, strict=True)]
    missing = [(f.why, h) for f, h in zip(found, horizons, strict=True) if f.why]
    if missing:
        return Estimate(np.nan, method=METHOD, note=f"no score at day {missing[0][1]:g}: {missing[0][0]}")
    length = horizons[-1] - horizons[0]
    value = float(np.trapezoid([f.value for f in found], horizons) / length)
    influence = np.trapezoid(np.stack([f.influence for f in found]), horizons, axis=0) / length
    limits, few = _limits(value, influence, found[-1])
    left_out = len(rows) - len(influence)
    note = f"{found[-1].n_events} events up to day {horizons[-1]:g} in {len(influence)} patients"
    note += f"; {left_out} left out" if left_out else ""
    method = f"{METHOD}; trapezoid over {len(horizons)} days from {horizons[0]:g} to {horizons[-1]:g}"
    return Estimate(value, *limits, method=method, note=f"{note}; {few}" if few else note)


def _part(everybody: Censoring, inside: np.ndarray) -> Censoring:
    return censoring(everybody.days[inside], everybody.state[inside])


def _brier(risk: np.ndarray, censored: Censoring, horizon: float) -> _Brier:
    """The score at one horizon: each known outcome's squared distance, weighted, over all patients."""
    n = len(risk)
    had = (censored.state == 1) & (censored.days <= horizon)
    n_events = int(had.sum())
    nothing = np.full(n, np.nan)
    if not n_events:
        return _Brier(np.nan, np.nan, nothing, 0, f"no event up to day {horizon:g} in {n} patients")
    if not censored.followed(horizon):
        return _Brier(np.nan, np.nan, nothing, n_events, f"nobody is followed beyond day {horizon:g}")
    weight = known_weights(censored, horizon=horizon)
    share = weight * (had - risk) ** 2 / n
    value = float(share.sum())
    influence = share - value / n + censored.through(share, horizon=horizon)
    marginal = _incidence(censored.steps, horizon)
    return _Brier(value, float((weight * (had - marginal) ** 2).sum() / n), influence, n_events)


def _incidence(steps: Steps, horizon: float) -> float:
    """Aalen-Johansen's incidence of the event at the horizon; 1 - Kaplan-Meier where nothing competes."""
    free = before(survival(steps.at_risk, steps.n_state[:, 1] + steps.n_state[:, 2]))
    return float((free * steps.n_state[:, 1] / steps.at_risk)[steps.days <= horizon].sum())


def _limits(value: float, influence: np.ndarray, found: _Brier) -> tuple[tuple[float, float], str]:
    """The normal interval within [0, 1], none from a single event; and what must be said."""
    if found.why:
        return (np.nan, np.nan), found.why
    if found.n_events < 2:
        return (np.nan, np.nan), "no interval from one event"
    half = Z95 * standard_error(influence)
    few = f"few events: {found.n_events}; the interval is too narrow" if found.n_events < FEW else ""
    return (max(0.0, value - half), min(1.0, value + half)), few

"""Do predicted risks of the event by a day mean what they say? Pseudo-observations stand for what censoring hid."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd

from onlm_lab.analysis.arguments import read_count
from onlm_lab.analysis.calibration import CLIP
from onlm_lab.analysis.endpoint import Followup, endpoint_kind, read_followup
from onlm_lab.analysis.event_probability import EventRisk, with_event_risk
from onlm_lab.analysis.horizon_risk import HorizonRisk, pseudo_observations, reaches, risk_by
from onlm_lab.analysis.intervals import wald
from onlm_lab.analysis.product_limit import Z95
from onlm_lab.analysis.pseudo_regression import LINKS, fit_pseudo, linked
from onlm_lab.analysis.rows import one_row_a_patient
from onlm_lab.analysis.smoothing import Tabulated, fit_at, fit_at_values
from onlm_lab.errors import OnlmError
from onlm_lab.results import Estimate, EventCalibration

SPAN = 0.75
LEAST_EVENTS = 10  # fewer say nothing of a slope or a curve, as in calibration_by
LEAST_RATIO = 2  # a ratio rests on at least so many events
NO_RISK = "no event risk"
_CURVE_POINTS = 51
_BINS = 40


@dataclass(frozen=True, eq=False)
class Judged:
    """Patients with a known endpoint and a predicted risk of the event by one day, ready for arithmetic."""

    followup: Followup
    risk: np.ndarray
    horizon: float
    competing: bool
    model_id: str

    @property
    def n(self) -> int:
        return len(self.risk)

    def count(self, state: int) -> int:
        """Patients who reached the state by the day; for 0, those censored before it."""
        days, h = self.followup.days, self.horizon
        return int(((self.followup.state == state) & ((days < h) if state == 0 else (days <= h))).sum())

    @property
    def known(self) -> bool:
        return reaches(self.followup.days, self.followup.state, horizon_days=self.horizon)

    def part(self, at: np.ndarray) -> Judged:
        """Some of the patients, or all in another order, by their place."""
        own = self.followup
        kept = Followup(own.rows.iloc[at].reset_index(drop=True), own.days[at], own.state[at], own.n_excluded)
        return replace(self, followup=kept, risk=self.risk[at])

    def observed(self, inside: np.ndarray | slice = slice(None)) -> HorizonRisk:
        """The share with the event by the day, in all or in some of the patients."""
        days, state = self.followup.days[inside], self.followup.state[inside]
        return risk_by(days, state, horizon_days=self.horizon, competing=self.competing)


def judged(
    rows: pd.DataFrame, *, endpoint: str, horizon_days: float, event_risk: EventRisk, model: str | None = None
) -> Judged:
    """The patients in whom the endpoint and the predicted risk are known; the others are counted with the reason."""
    kind = endpoint_kind(rows, endpoint=endpoint)
    model_id = one_row_a_patient(rows, model=model)[1]
    given, names = with_event_risk(
        rows, event_risk=event_risk, endpoint=endpoint, horizons_days=[horizon_days], model=model
    )
    if given[names[0]].isna().all():
        raise OnlmError(
            f"event_risk tells none of {len(given)} patients a probability of '{endpoint}' by {horizon_days:g} days: "
            "too few events or too short a follow-up. Take another horizon or endpoint."
        )
    followup = read_followup(given, endpoint=endpoint, columns=names, model=model)
    reasons = {NO_RISK if k == f"{names[0]} missing" else k: n for k, n in followup.n_excluded.items()}
    kept = Followup(followup.rows, followup.days, followup.state, reasons)
    return Judged(kept, kept.rows[names[0]].to_numpy(dtype=float), float(horizon_days), kind == "state", model_id)


def calibrate_event_risk(
    rows: pd.DataFrame,
    *,
    endpoint: str,
    horizon_days: float,
    event_risk: EventRisk,
    n_groups: int = 10,
    link: Literal["cloglog", "logit"] = "cloglog",
    min_events: int = LEAST_EVENTS,
    model: str | None = None,
) -> EventCalibration:
    """How close predicted risks of the event by a day are to what came, patients censored before it included.

    Observed is 1 - Kaplan-Meier, or Aalen and Johansen's incidence where events compete. O:E has its interval on the
    log scale from the estimator's variance; `oe_ratio_delta` counts that observed and expected vary together.
    Intercept and slope come from the regression of pseudo-observations on the predicted risk, both on the scale of the
    link, with robust errors (Gerds et al. 2014, doi:10.1002/sim.6152; van Geloven et al. 2022,
    doi:10.1136/bmj-2021-069249, who take cloglog): `intercept` has the slope fixed at 1 and is above 0 where risks are
    too low; a slope below 1 says that they are too extreme. The smooth curve is an exact local quadratic regression of
    the pseudo-observations, span 0.75, not clipped to [0, 1]; its pointwise band comes from the regression's weights
    and the squared residuals. ICI, E50, E90, Emax: mean, median, 90th percentile and largest distance between risk and
    curve over the patients (Austin, Harrell and van Klaveren 2020, doi:10.1002/sim.8570). Censoring is taken to be
    independent of the risk.

    Args:
        rows: a row a patient with {endpoint}_days and {endpoint}_event or {endpoint}_state (then cause 1 is judged).
        endpoint: such as "os" or "regional".
        horizon_days: days after time zero at which the risk is judged.
        event_risk: P(event at or before the horizon): a column, or a table as event_risk.csv; never the risk of N+.
        n_groups: quantile groups of the predicted risk; tied limits are merged.
        link: the scale of intercept and slope.
        min_events: the least number of patients with the event by the horizon, and of others known without it, that
            give an intercept, a slope and a curve.
        model: whose rows to take when the table holds several models.

    Raises:
        OnlmError: a risk of N+ in place of the event's, no such endpoint or horizon, nobody with both, a bad option.

    Example:
        >>> rows = pd.DataFrame({"patient_id": [str(i) for i in range(40)], "os_days": [100, 900] * 20,
        ...                      "os_event": [1, 0] * 20, "p": [0.5, 0.4] * 20})
        >>> str(calibrate_event_risk(rows, endpoint="os", horizon_days=365, event_risk="p").oe_ratio)
        '1.111 (0.815 to 1.515)'
    """
    _refuse_options(n_groups, link)
    min_events = read_count(min_events, name="min_events", least=0)
    given = judged(rows, endpoint=endpoint, horizon_days=horizon_days, event_risk=event_risk, model=model)
    pseudo = pseudo_observations(given.followup.days, given.followup.state, horizon_days=given.horizon)
    why, notes = too_few(given, least=min_events), []
    observed = observed_share(given)
    intercept, joint, slope, extreme = _line(given, pseudo, link=link, why=why)
    if extreme:
        notes.append(f"{extreme} of {given.n} risks were exactly 0 or 1; taken as {CLIP:g} from it for the link")
    curve, distance, no_curve = _curve(given.risk, pseudo, why=why)
    if not why:
        notes.append(f"intercept and slope on the {link} scale, from pseudo-observations with robust errors")
    if why or no_curve:
        notes.append(f"no {'intercept, slope or curve' if why else 'smooth curve'}: {why or no_curve}")
    ratio, delta = _ratios(given, pseudo)
    groups = _groups(given, n_groups=n_groups)
    short = int(groups["observed"].isna().sum())
    if short and given.known:
        notes.append(f"{short} of {len(groups)} groups have nobody followed to day {given.horizon:g}")
    return EventCalibration(
        oe_ratio=ratio, oe_ratio_delta=delta, observed=observed, mean_predicted=float(given.risk.mean()),
        intercept=intercept, intercept_joint=joint, slope=slope, ici=float(distance.mean()),
        e50=float(np.median(distance)), e90=float(np.percentile(distance, 90)), emax=float(distance.max()),
        curve=curve, groups=groups, distribution=_distribution(given.risk), endpoint=endpoint,
        horizon_days=given.horizon, link=link, model_id=given.model_id, n=given.n, n_events=given.count(1),
        n_competing=given.count(2), n_censored=given.count(0), n_excluded=given.followup.n_excluded,
        notes=tuple(notes),
    )  # fmt: skip


def too_few(given: Judged, *, least: int) -> str:
    """Why these patients give no intercept, slope or curve; empty where they do."""
    if not given.known:
        return f"nobody is followed to day {given.horizon:g}"
    n_events, n_censored = given.count(1), given.count(0)
    if n_events < least:
        return f"{n_events} events by day {given.horizon:g}, at least {least} are needed"
    n_free = given.n - n_events - n_censored
    if n_free < least:
        return f"{n_free} patients known without the event by day {given.horizon:g}, at least {least} are needed"
    return ""


def observed_share(given: Judged) -> Estimate:
    """The share with the event by the day, with its log-log interval; NaN past the last follow-up."""
    method = "Aalen-Johansen, log-log" if given.competing else "Kaplan-Meier, log-log"
    if not given.known:
        return Estimate(math.nan, method=method, note=f"nobody is followed to day {given.horizon:g}")
    found = given.observed()
    note = "" if given.count(1) else f"no event by day {given.horizon:g}"
    return Estimate(found.value, found.low, found.high, method=method, note=note)


def _refuse_options(n_groups: int, link: str) -> None:
    if link not in LINKS:
        raise OnlmError(f"link must be 'cloglog' or 'logit', got {link!r}.")
    if not (isinstance(n_groups, (int, np.integer)) and n_groups >= 1):
        raise OnlmError(f"n_groups must be a whole number from 1 on, such as 10, got {n_groups!r}.")


def _ratios(given: Judged, pseudo: np.ndarray) -> tuple[Estimate, Estimate]:
    """Observed over predicted: with what is predicted taken as fixed, and with both varying together."""
    fixed, delta = "log, variance of the observed share", "log, delta method on pseudo-observations"
    expected, n_events = float(given.risk.mean()), given.count(1)
    if not given.known:
        why = f"nobody is followed to day {given.horizon:g}"
    elif n_events < LEAST_RATIO:
        why = f"{n_events} event{'' if n_events == 1 else 's'} by day {given.horizon:g}"
    else:
        why = "" if expected > 0 else "every risk is 0: nothing is expected"
    if why:
        return Estimate(math.nan, method=fixed, note=why), Estimate(math.nan, method=delta, note=why)
    found = given.observed()
    ratio, se = found.value / expected, found.se / found.value
    apart = pseudo / found.value - given.risk / expected
    both = float(apart.std(ddof=1)) / math.sqrt(given.n)
    made = [(s, method) for s, method in ((se, fixed), (both, delta))]
    return tuple(Estimate(ratio, ratio * math.exp(-Z95 * s), ratio * math.exp(Z95 * s), 0.95, m) for s, m in made)


def _line(
    given: Judged, pseudo: np.ndarray, *, link: str, why: str
) -> tuple[Estimate, Estimate, Estimate, int]:  # fmt: skip
    """Intercept with the slope fixed at 1, joint intercept and slope, and how many risks were exactly 0 or 1."""
    method = f"pseudo-observations, {link}, robust"
    nothing = Estimate(math.nan, method=method, note=why)
    extreme = int(((given.risk == 0) | (given.risk == 1)).sum())
    if why:
        return nothing, nothing, nothing, extreme
    x, ones = linked(np.clip(given.risk, CLIP, 1 - CLIP), link=link), np.ones((given.n, 1))
    large = fit_pseudo(ones, pseudo, link=link, offset=x)
    intercept = _estimate(large.coef[0], large.se[0], method=method, note=large.note)
    if x.min() == x.max():
        same = Estimate(math.nan, method=method, note="every patient has the same risk")
        return intercept, same, same, extreme
    both = fit_pseudo(np.column_stack([ones, x]), pseudo, link=link, offset=x)  # the slope less 1
    joint, slope = (
        _estimate(both.coef[i] + i, both.se[i], method=method, note=both.note) for i in (0, 1)
    )  # fmt: skip
    return intercept, joint, slope, extreme


def _estimate(value: float, se: float, *, method: str, note: str) -> Estimate:
    return Estimate(math.nan, method=method, note=note) if note else wald(float(value), float(se), method=method)


def _curve(risk: np.ndarray, pseudo: np.ndarray, *, why: str) -> tuple[pd.DataFrame, np.ndarray, str]:
    """The smooth curve with its band, each patient's distance from it, and why there is none."""
    value, place, count = np.unique(risk, return_inverse=True, return_counts=True)
    nothing = pd.DataFrame({c: [] for c in ("event_risk", "observed", "low", "high")}, dtype=float)
    if why:
        return nothing, np.full(len(risk), math.nan), ""
    data = Tabulated(value, count, np.bincount(place, weights=pseudo, minlength=len(value)))
    fitted = fit_at_values(data, span=SPAN)
    if np.isnan(fitted).any():
        return nothing, np.full(len(risk), math.nan), f"{SPAN:.0%} of the patients or more share one risk"
    squared = np.bincount(place, weights=(pseudo - fitted[place]) ** 2, minlength=len(value))
    points = value if len(value) <= _CURVE_POINTS else np.linspace(value[0], value[-1], _CURVE_POINTS)
    observed, se = fit_at(points, data, span=SPAN, variance=squared / count)
    band = {"low": observed - Z95 * se, "high": observed + Z95 * se}
    return pd.DataFrame({"event_risk": points, "observed": observed} | band), np.abs(fitted - value)[place], ""


def _groups(given: Judged, *, n_groups: int) -> pd.DataFrame:
    """Quantile groups of risk (type 7, tied limits merged) with the observed share in each."""
    edges = np.unique(np.quantile(given.risk, np.linspace(0, 1, n_groups + 1)))
    code = np.clip(np.searchsorted(edges, given.risk, side="left") - 1, 0, None)
    event, out = (given.followup.state == 1) & (given.followup.days <= given.horizon), []
    for group in np.unique(code):
        inside = code == group
        found = given.observed(inside)
        row = (len(out) + 1, int(inside.sum()), int(event[inside].sum()), float(given.risk[inside].mean()))
        out.append((*row, found.value, found.low, found.high))
    return pd.DataFrame(out, columns=["group", "n", "n_events", "mean_predicted", "observed", "low", "high"])


def _distribution(risk: np.ndarray) -> pd.DataFrame:
    """How many patients have which risk: even steps from 0 to the highest."""
    n, edges = np.histogram(risk, bins=_BINS, range=(0.0, float(risk.max()) or 1.0))
    return pd.DataFrame({"risk_from": edges[:-1], "risk_to": edges[1:], "n": n})

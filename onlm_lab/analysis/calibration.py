"""Do predicted risks mean what they say? Intercept, slope, O:E, the smooth curve and its distances, Brier score."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import pandas as pd
from scipy.special import logit

from onlm_lab.analysis.intervals import normal_quantile, proportion, wald
from onlm_lab.analysis.logistic import fit_logistic
from onlm_lab.analysis.rows import Labelled, labelled
from onlm_lab.analysis.smoothing import Tabulated, fit_at, fit_at_values, lowess_at_values
from onlm_lab.errors import OnlmError
from onlm_lab.results import Calibration, Estimate

CLIP = 1e-6  # a risk of exactly 0 or 1 has no logit; this is what it is taken for
SPANS = {"loess": 0.75, "lowess": 2 / 3}  # R's defaults
_CURVE_POINTS = 101
_NO_SPREAD = 1e-12
_WALD = "maximum likelihood, Wald"


def assess_calibration(
    rows: pd.DataFrame,
    *,
    model: str | None = None,
    level: float = 0.95,
    curve: Literal["loess", "lowess"] = "loess",
    span: float | None = None,
    apparent: bool = False,
) -> Calibration:
    """How close the predicted risks are to the observed share of N+ patients.

    `intercept` has the slope fixed at 1 (calibration in the large); `intercept_joint` and `slope` come from the
    logistic recalibration (Cox 1958, doi:10.1093/biomet/45.3-4.562); a slope below 1 says that the risks are too
    extreme. O:E has its interval on the log scale; `oe_ratio_delta` has one that counts that observed and expected vary
    together, and covers better. ICI, E50, E90 and Emax are the mean, median, 90th percentile and largest distance
    between risk and smooth curve over the patients (Austin and Steyerberg 2019, doi:10.1002/sim.8281), the curve being
    an exact local quadratic regression, span 0.75, not clipped to [0, 1]. Its band is pointwise, from the regression's
    weights and the binomial variance of the fitted share. With "lowess" the curve is R's lowess(f = 2/3, iter = 0,
    delta = 0), without a band; rms::val.prob's Eavg, E90 and Emax are the same distances but for its delta, a hundredth
    of the range of the risks (Cleveland 1979, doi:10.1080/01621459.1979.10481038). The Brier score's interval is
    normal, from the spread of the squared errors.

    Args:
        rows: a row a patient: patient_id, onlm, risk.
        model: which model_id; None where the table holds one only.
        level: coverage of the intervals and of the band.
        curve: "loess", local quadratic, with a band; "lowess", local linear, as rms::val.prob.
        span: share of the patients in each local regression; None is 0.75 for loess, 2/3 for lowess.
        apparent: True where the model was fitted on these very patients: the slope is then 1 by construction.

    Raises:
        OnlmError: more than one row a patient, an unusable label or risk (see `rows.labelled`), or such a span or
            curve.
    """
    if curve not in SPANS:
        raise OnlmError(f"assess_calibration: curve must be 'loess' or 'lowess', got {curve!r}.")
    span = SPANS[curve] if span is None else span
    if not 0 < span <= 1:
        raise OnlmError(f"assess_calibration: span must lie in (0, 1] (0.75, not 75), got {span}.")
    given = labelled(rows, model=model)
    notes = list(given.notes)
    if given.one_class:
        notes.append(given.one_class)
    data, place = _tabulated(given)
    is_loess = curve == "loess"
    fitted = fit_at_values(data, span=span) if is_loess else lowess_at_values(data, span=span)
    if not is_loess:
        notes.append(f"smooth curve: lowess, {span:.0%} of the patients, without a band")
    if np.isnan(fitted).any():
        notes.append(f"no smooth curve: {span:.0%} of the patients or more share one risk")
    distance = np.abs(fitted - data.value)[place]
    intercept, joint, slope, extreme = recalibration_line(given, level=level)
    if extreme:
        notes.append(f"{extreme} of {given.n} risks were exactly 0 or 1; taken as {CLIP:g} from it for the logit")
    brier, scaled = brier_score(given, level=level)
    return Calibration(
        intercept=intercept,
        intercept_joint=joint,
        slope=slope,
        oe_ratio=observed_to_expected(given, level=level),
        oe_ratio_delta=observed_to_expected_delta(given, level=level),
        ici=float(distance.mean()),
        e50=float(np.median(distance)),
        e90=float(np.percentile(distance, 90)),
        emax=float(distance.max()),
        brier=brier,
        scaled_brier=scaled,
        curve=_curve(data, fitted, level=level, span=span, with_band=is_loess),
        groups=_tenths(given, level=level),
        model_id=given.model_id,
        n=given.n,
        n_events=given.n_events,
        n_excluded=given.n_excluded,
        apparent=apparent,
        notes=tuple(notes),
    )


def smooth_curve(given: Labelled, *, level: float, span: float = 0.75) -> tuple[pd.DataFrame, np.ndarray]:
    """The smooth curve with its band, and how far each patient's risk lies from it; NaN where there is none."""
    data, place = _tabulated(given)
    fitted = fit_at_values(data, span=span)
    curve = _curve(data, fitted, level=level, span=span, with_band=True)
    return curve, np.abs(fitted - data.value)[place]


def observed_to_expected(given: Labelled, *, level: float = 0.95) -> Estimate:
    """N+ patients observed over those expected, with the interval on the log scale: SE = sqrt((1 - share) / observed).

    Debray et al. 2017, doi:10.1136/bmj.i6460: the field's formula, which meta-analyses can make from published sums.
    It takes what is expected as fixed and holds too often (97 to 98 %) where the model explains something; see
    `observed_to_expected_delta` and docs/coverage.md.
    """
    method, observed = "log", given.n_events
    ratio, why = _ratio(given)
    if why:
        return Estimate(ratio, level=level, method=method, note=why)
    factor = math.exp(normal_quantile(level) * math.sqrt((1 - observed / given.n) / observed))
    return Estimate(ratio, ratio / factor, ratio * factor, level, method)


def observed_to_expected_delta(given: Labelled, *, level: float = 0.95) -> Estimate:
    """The same ratio with the interval that counts that observed and expected vary together from sample to sample.

    The standard error of the log ratio is that of the mean of onlm / its mean - risk / its mean (the delta method for a
    ratio; Cochran 1977, Sampling Techniques, chapter 2). Where every risk is the same it is Debray's.
    """
    method = "log, delta method"
    ratio, why = _ratio(given)
    if not why and given.n < 2:
        why = "no interval: one patient has no spread"
    if why:
        return Estimate(ratio, level=level, method=method, note=why)
    apart = given.onlm * (given.n / given.n_events) - given.risk * (given.n / float(given.risk.sum()))
    se = float(apart.std(ddof=1)) / math.sqrt(given.n)
    if se <= _NO_SPREAD:
        return Estimate(ratio, level=level, method=method, note="no interval: risks and labels do not differ")
    factor = math.exp(normal_quantile(level) * se)
    return Estimate(ratio, ratio / factor, ratio * factor, level, method)


def _ratio(given: Labelled) -> tuple[float, str]:
    """Observed over expected, and why there is no interval."""
    expected = float(given.risk.sum())
    if expected == 0:
        return math.nan, "every risk is 0: nothing is expected"
    return given.n_events / expected, "" if given.n_events else "no interval: no N+ patient"


def log_odds(risk: np.ndarray) -> np.ndarray:
    """The logit of a risk, a risk of exactly 0 or 1 being taken as 1e-6 from it."""
    return logit(np.clip(risk, CLIP, 1 - CLIP)) if ((risk == 0) | (risk == 1)).any() else logit(risk)


def separated(x: np.ndarray, onlm: np.ndarray) -> bool:
    """Whether one value of x parts N+ from N0, so that no finite slope exists."""
    event, nonevent = x[onlm], x[~onlm]
    return bool(nonevent.max() <= event.min() or event.max() <= nonevent.min())


def recalibration_line(given: Labelled, *, level: float) -> tuple[Estimate, Estimate, Estimate, int]:
    """Calibration in the large, joint intercept, slope, and how many risks were exactly 0 or 1."""
    extreme = int(np.count_nonzero((given.risk == 0) | (given.risk == 1)))
    if given.one_class:
        nothing = Estimate(math.nan, level=level, method=_WALD, note=given.one_class)
        return nothing, nothing, nothing, extreme
    x, ones = log_odds(given.risk), np.ones((given.n, 1))
    large = fit_logistic(ones, given.onlm, offset=x)
    intercept = _estimate(float(large.coef[0]), float(large.se[0]), level=level, note=large.note)
    why = ""
    if x.min() == x.max():
        why = "every patient has the same risk"
    elif separated(x, given.onlm):
        why = "the risks separate N+ from N0 completely: no finite slope"
    if why:
        nothing = Estimate(math.nan, level=level, method=_WALD, note=why)
        return intercept, nothing, nothing, extreme
    both = fit_logistic(np.column_stack([ones[:, 0], x]), given.onlm)
    joint, slope = (
        _estimate(float(c), float(s), level=level, note=both.note) for c, s in zip(both.coef, both.se, strict=True)
    )
    return intercept, joint, slope, extreme


def _estimate(value: float, se: float, *, level: float, note: str) -> Estimate:
    if note:
        return Estimate(math.nan, level=level, method=_WALD, note=note)
    return wald(value, se, level=level, method=_WALD)


def brier_score(given: Labelled, *, level: float) -> tuple[Estimate, float]:
    """The Brier score, and 1 less its share of what the prevalence alone would have."""
    error = (given.risk - given.onlm) ** 2
    score, share = float(error.mean()), given.n_events / given.n
    scaled = math.nan if given.one_class else 1 - score / (share * (1 - share))
    if given.n < 2:
        return Estimate(score, level=level, method="normal", note="one patient has no spread"), scaled
    half = normal_quantile(level) * float(error.std(ddof=1)) / math.sqrt(given.n)
    return Estimate(score, max(0.0, score - half), min(1.0, score + half), level, "normal"), scaled


def _tabulated(given: Labelled) -> tuple[Tabulated, np.ndarray]:
    value, place, count = np.unique(given.risk, return_inverse=True, return_counts=True)
    return Tabulated(value, count, np.bincount(place, weights=given.onlm, minlength=len(value))), place


def _curve(
    data: Tabulated, fitted: np.ndarray, *, level: float, span: float, with_band: bool
) -> pd.DataFrame:  # fmt: skip
    """The curve at every distinct risk, or on an even grid between lowest and highest where there are many."""
    value = data.value
    points = value if len(value) <= _CURVE_POINTS else np.linspace(value[0], value[-1], _CURVE_POINTS)
    if not with_band:
        observed = np.interp(points, value, fitted)
        return pd.DataFrame({"risk": points, "observed": observed, "low": np.nan, "high": np.nan})
    share = np.clip(fitted, 0, 1)
    observed, se = fit_at(points, data, span=span, variance=share * (1 - share))
    half = normal_quantile(level) * se
    return pd.DataFrame({"risk": points, "observed": observed, "low": observed - half, "high": observed + half})


def _tenths(given: Labelled, *, level: float) -> pd.DataFrame:
    """Tenths of risk (type-7 quantiles, tied limits merged): group, n, n_events, mean risk, observed share, limits."""
    edges = np.unique(np.quantile(given.risk, np.linspace(0, 1, 11)))
    group = np.clip(np.searchsorted(edges, given.risk, side="left") - 1, 0, None)
    size = np.bincount(group, minlength=max(1, len(edges) - 1))
    events = np.bincount(group, weights=given.onlm, minlength=len(size)).astype(int)
    total = np.bincount(group, weights=given.risk, minlength=len(size))
    kept = np.flatnonzero(size)
    share = [proportion(int(events[g]), int(size[g]), of="patients", level=level) for g in kept]
    return pd.DataFrame(
        {
            "group": np.arange(1, len(kept) + 1),
            "n": size[kept],
            "n_events": events[kept],
            "risk": total[kept] / size[kept],
            "observed": [s.value for s in share],
            "low": [s.low for s in share],
            "high": [s.high for s in share],
        }
    )

"""With which molecular and pathological markers does the predicted risk go? Effects, odds ratios, P adjusted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from onlm_lab.analysis.calibration import log_odds
from onlm_lab.analysis.discrimination import area_under_curve, auc_intervals, prefers_logit
from onlm_lab.analysis.intervals import normal_quantile
from onlm_lab.analysis.linear import fit_linear, wald_test
from onlm_lab.analysis.logistic import fit_logistic
from onlm_lab.analysis.marker_kinds import BINARY, CATEGORY, NUMBER, Marker, read_marker
from onlm_lab.analysis.penalised import fit_firth, profile_interval
from onlm_lab.analysis.rows import Labelled, predicted, require_columns
from onlm_lab.analysis.subgroup import adjust_p_values
from onlm_lab.analysis.terms import coded
from onlm_lab.errors import OnlmError
from onlm_lab.results import Associations, Estimate

ASSOCIATION = (
    "associations, not mechanisms: the risk is computed from the model's predictors, and a marker that goes with the "
    "risk may only go with those"
)
EVENTS_PER_TERM = 10  # below this maximum likelihood is biased: Peduzzi et al. 1996, 10.1016/S0895-4356(96)00236-3
NARROW_RISKS = 0.10  # where 90 % of the risks lie closer together, an SD of their log odds is next to nothing
MAXIMUM_LIKELIHOOD, FIRTH = "maximum likelihood, Wald", "Firth, profile penalised likelihood"


@dataclass(frozen=True, eq=False)
class _Patients:
    """Everybody with a risk: their rows, the log odds of risk in SD, and the confounders."""

    frame: pd.DataFrame
    risk: np.ndarray
    z: np.ndarray
    adjust: tuple[str, ...]
    has_confounders: np.ndarray
    least: int
    level: float


def associations(
    rows: pd.DataFrame,
    *,
    markers: Sequence[str],
    adjust: Sequence[str] = (),
    ordered: Mapping[str, Sequence[object]] | None = None,
    model: str | None = None,
    level: float = 0.95,
    min_patients: int = 5,
) -> Associations:
    """How the predicted risk goes with each marker, alone and adjusted for declared confounders.

    Effect: by how many SD the log odds of risk differ between a level and the reference (the first level), per step of
    an ordered marker, or per SD of a number; least squares with the robust covariance HC3 (MacKinnon and White 1985,
    doi:10.1016/0304-4076(85)90158-7), t intervals, and one robust Wald F test a marker, its P adjusted over the markers
    by Holm (1979) and by Benjamini and Hochberg (1995, doi:10.1111/j.2517-6161.1995.tb02031.x). A yes-or-no marker also
    has its odds ratio per SD of the log odds of risk, by maximum likelihood, or by Firth's penalty (1993,
    doi:10.1093/biomet/80.1.27) where a level has fewer than 10 patients a coefficient or the risk separates the
    levels; and the AUC of the risk for the marker (DeLong). Exploratory: an association is no mechanism.

    Args:
        rows: a row a patient: patient_id, risk, the markers and the confounders; onlm is counted, not needed.
        markers: 0/1 columns, words, numbers; ordered categoricals are taken in their order.
        adjust: the confounders, declared before looking. Patients who lack one are left out of the adjusted models.
        ordered: marker -> its levels, lowest first: {"grade": ["G1", "G2", "G3"]}.
        model: which model_id; None where the table holds one only.
        level: coverage of the intervals.
        min_patients: the fewest patients in a level that give a number, and half the fewest whose marker is a number;
            smaller levels of a category are left out and counted.

    Raises:
        OnlmError: no marker, an absent column, a marker that is a confounder too, or a value that its order lacks.

    Example:
        >>> rows = pd.DataFrame({"patient_id": range(20), "risk": np.linspace(0.1, 0.5, 20), "lvi": [0.0, 1.0] * 10})
        >>> bool(associations(rows, markers=["lvi"]).effects["effect"][0] > 0)
        True
    """
    names, confounders = _names(markers, adjust, ordered)
    normal_quantile(level)
    require_columns(rows, [*names, *confounders])
    frame, risk, model_id, n_excluded = predicted(rows, model=model)
    raw = log_odds(risk)
    spread = float(raw.std(ddof=1)) if len(raw) > 1 and np.ptp(raw) > 0 else math.nan
    z = raw / spread if spread > 0 else np.zeros(len(raw))
    complete = frame[list(confounders)].notna().all(axis=1).to_numpy()
    given = _Patients(frame, risk, z, confounders, complete, min_patients, level)
    order = dict(ordered or {})
    read = [read_marker(frame[name], name=name, order=order.get(name)) for name in names]
    effects, tests, binary = [], [], []
    for adjusted in (False, True) if confounders else (False,):
        for marker in read:
            lines, test, ratio = _one(given, marker, adjusted=adjusted)
            effects += lines
            tests.append(test)
            binary += [ratio] if marker.kind == BINARY else []
    event = frame["onlm"].to_numpy(dtype=float, na_value=np.nan) == 1 if "onlm" in frame else np.zeros(len(frame), bool)
    whole = {"n_level": "Int64", "n_reference": "Int64"}
    return Associations(
        effects=pd.DataFrame(effects).astype(whole), tests=_with_adjusted_p(tests),
        binary=pd.DataFrame(binary, columns=None if binary else ["marker", "adjusted"]),
        levels=_levels(read, risk=risk, event=event), adjusted_for=confounders, risk_sd=spread, level=level,
        model_id=model_id, n=len(frame), n_events=int(event.sum()), n_excluded=n_excluded,
        notes=(ASSOCIATION, *_notes(given)),
    )  # fmt: skip


def _names(
    markers: Sequence[str], adjust: Sequence[str], ordered: Mapping[str, Sequence[object]] | None
) -> tuple[list[str], tuple[str, ...]]:
    names = [markers] if isinstance(markers, str) else list(dict.fromkeys(markers))
    confounders = (adjust,) if isinstance(adjust, str) else tuple(dict.fromkeys(adjust))
    if not names:
        raise OnlmError("associations: no marker was named; pass markers=['egfr_mutated', ...].")
    both = [c for c in confounders if c in names]
    if both:
        raise OnlmError(f"associations: '{both[0]}' is a marker and cannot be a confounder too. Name it once.")
    unknown = [c for c in ordered or {} if c not in names]
    if unknown:
        raise OnlmError(f"associations: ordered names '{unknown[0]}', which is not among the markers.")
    return names, confounders


def _one(given: _Patients, marker: Marker, *, adjusted: bool) -> tuple[list[dict], dict, dict]:
    """The effects, the test and, of a yes-or-no marker, the odds ratio: with or without the confounders."""
    kept = marker.known & given.has_confounders if adjusted else marker.known
    kept, levels, why, said = _usable(marker, kept, least=given.least)
    base = {"marker": marker.name, "kind": marker.kind, "adjusted": adjusted}
    counted = {"n": int(kept.sum()), "n_missing": int((~marker.known).sum())}
    x, contrasts = _columns(marker, kept, levels)
    lost = marker.known & ~given.has_confounders if adjusted else np.zeros(len(kept), bool)
    said += [f"{int(lost.sum())} lack a confounder"] if lost.any() else []
    other = np.empty((int(kept.sum()), 0))
    if adjusted and not why:
        terms = coded(given.frame[kept], columns=given.adjust, of="associations")
        other = terms.x
        said += [f"'{c}' has one value in these patients and was left out" for c in terms.constant]
    lines, test = _effects(given, kept, x, contrasts, other, why=why, note="; ".join(said))
    lines = [base | counted | line for line in lines]
    ratio: dict = {}
    if marker.kind == BINARY:
        ratio = base | _binary(given, marker, kept, other, adjusted=adjusted, why=why, note="; ".join(said))
        ratio.pop("kind")
    return lines, base | counted | test, ratio


def _usable(marker: Marker, kept: np.ndarray, *, least: int) -> tuple[np.ndarray, list[int], str, list[str]]:
    """Who is used, which levels, why nothing can be said where nothing can, and what else a reader must know."""
    values = marker.values[kept]
    if not len(values):
        return kept, [], "missing in all patients", []
    if marker.kind == NUMBER:
        why = "the same in all patients" if np.ptp(values) == 0 else ""
        return kept, [], why or (f"fewer than {2 * least} patients" if len(values) < 2 * least else ""), []
    count = np.bincount(values.astype(int), minlength=len(marker.levels))
    if np.count_nonzero(count) < 2:
        return kept, list(np.flatnonzero(count)), "one level only", []
    if marker.kind == CATEGORY:
        enough = [k for k, n in enumerate(count) if n >= least]
        few = [k for k, n in enumerate(count) if 0 < n < least]
        if len(enough) < 2:
            return kept, enough, f"fewer than two levels with {least} patients", []
        n_few = int(count[few].sum())
        said = [f"{n_few} patients in {len(few)} levels of fewer than {least} left out"] if few else []
        return kept & np.isin(marker.values, enough), enough, "", said
    outside = len(values) - int(count.max())  # also of an ordered marker: a slope needs patients on two steps
    return kept, list(range(len(count))), f"fewer than {least} patients in a level" if outside < least else "", []


def _columns(marker: Marker, kept: np.ndarray, levels: list[int]) -> tuple[np.ndarray, list[dict]]:
    """The marker as columns of the model, with what each compares and how many patients stand on either side."""
    values, nothing = marker.values[kept], {"n_level": math.nan, "n_reference": math.nan}
    if marker.kind == NUMBER:
        known = marker.values[marker.known]
        sd = float(known.std(ddof=1)) if len(known) > 1 else math.nan
        said = f"per SD ({sd:.3g})" if sd > 0 else "per SD"
        return (values / sd if sd > 0 else values)[:, None], [{"contrast": said} | nothing]
    if marker.kind not in (BINARY, CATEGORY):
        return values[:, None], [{"contrast": "per step"} | nothing]
    if len(levels) < 2:
        return np.empty((len(values), 0)), [{"contrast": "", "n_level": math.nan, "n_reference": math.nan}]
    first, *others = levels
    reference = int((values == first).sum())
    words = ("yes against no",) if marker.kind == BINARY else tuple(
        f"{marker.levels[k]} against {marker.levels[first]}" for k in others
    )  # fmt: skip
    contrasts = [
        {"contrast": said, "n_level": int((values == k).sum()), "n_reference": reference}
        for said, k in zip(words, others, strict=True)
    ]
    return np.column_stack([(values == k).astype(float) for k in others]), contrasts


def _effects(
    given: _Patients, kept: np.ndarray, x: np.ndarray, contrasts: list[dict], other: np.ndarray, *, why: str, note: str
) -> tuple[list[dict], dict]:
    k = x.shape[1]
    if not why:
        fit = fit_linear(np.column_stack([np.ones(len(x)), x, other]), given.z[kept])
        why = fit.note
    if why:
        nothing = {"effect": math.nan, "low": math.nan, "high": math.nan, "note": why}
        no_test = {"f": math.nan, "df": k, "df_residual": math.nan, "p_value": math.nan, "note": why}
        return [c | nothing for c in contrasts], no_test
    half = float(stdtrit(fit.df, 0.5 + given.level / 2)) * fit.se[1 : k + 1]
    lines = [
        c | {"effect": float(b), "low": float(b - h), "high": float(b + h), "note": note}
        for c, b, h in zip(contrasts, fit.coef[1 : k + 1], half, strict=True)
    ]
    f, p = wald_test(fit, columns=range(1, k + 1))
    return lines, {"f": f, "df": k, "df_residual": fit.df, "p_value": p, "note": note}


def _binary(
    given: _Patients, marker: Marker, kept: np.ndarray, other: np.ndarray, *, adjusted: bool, why: str, note: str
) -> dict[str, object]:
    """The marker's odds ratio per SD of the log odds of risk, and without confounders the AUC of the risk for it."""
    event = marker.values[kept] == 1
    ratio = Estimate(math.nan, level=given.level)
    if not why and np.ptp(given.z[kept]) == 0:
        why = "the risk is the same in all patients"
    if not why:
        ratio = _odds_ratio(np.column_stack([np.ones(len(event)), given.z[kept], other]), event, level=given.level)
    row = {
        "n": len(event), "n_positive": int(event.sum()), "odds_ratio": ratio.value, "low": ratio.low,
        "high": ratio.high, "method": ratio.method, "note": why or ratio.note or note,
    }  # fmt: skip
    area = Estimate(math.nan)
    if not adjusted and not why:
        part = Labelled(given.frame.iloc[:0], event, given.risk[kept], "", {})
        auc, variance = area_under_curve(part)
        plain, on_logit = auc_intervals(auc, variance, level=given.level)
        area = on_logit if prefers_logit(min(part.n_events, part.n - part.n_events), on_logit) else plain
    return row | {"auc": area.value, "auc_low": area.low, "auc_high": area.high, "auc_method": area.method}


def _odds_ratio(design: np.ndarray, event: np.ndarray, *, level: float) -> Estimate:
    fewer = min(int(event.sum()), int((~event).sum()))
    fit, method = None, MAXIMUM_LIKELIHOOD
    if fewer >= EVENTS_PER_TERM * (design.shape[1] - 1):
        fit = fit_logistic(design, event)
    if fit is None or fit.note:
        fit, method = fit_firth(design, event), FIRTH
    if fit.note:
        return Estimate(math.nan, level=level, method=method, note=fit.note)
    if method == FIRTH:
        low, high = profile_interval(design, event, column=1, fit=fit, level=level)
    else:
        half = normal_quantile(level) * float(fit.se[1])
        low, high = float(fit.coef[1]) - half, float(fit.coef[1]) + half
    with np.errstate(over="ignore"):  # a ratio too large for a number is infinite
        value, low, high = (float(v) for v in np.exp([float(fit.coef[1]), low, high]))
    return Estimate(value, low, high, level, method)


def _with_adjusted_p(tests: list[dict]) -> pd.DataFrame:
    """Holm and Benjamini-Hochberg over the markers, apart for the models with and without confounders."""
    table = pd.DataFrame(tests)
    at = list(table.columns).index("p_value")
    for k, (name, method) in enumerate((("p_holm", "holm"), ("p_bh", "bh")), start=1):
        adjusted = np.full(len(table), math.nan)
        for which in (False, True):
            inside = (table["adjusted"] == which).to_numpy()
            adjusted[inside] = adjust_p_values(table["p_value"].to_numpy(float)[inside], method=method)
        table.insert(at + k, name, adjusted)
    return table


def _levels(markers: list[Marker], *, risk: np.ndarray, event: np.ndarray) -> pd.DataFrame:
    """How many patients each level has, and where their risks lie; a number counts as one level."""
    rows = []
    for marker in markers:
        groups = [(said, marker.values == k) for k, said in enumerate(marker.levels)] or [("known", marker.known)]
        for said, inside in [*groups, ("missing", ~marker.known)]:
            part = risk[inside]
            q1, median, q3 = np.quantile(part, [0.25, 0.5, 0.75]) if len(part) else [math.nan] * 3
            rows.append({"marker": marker.name, "level": said, "n": len(part), "n_events": int(event[inside].sum()),
                         "median_risk": median, "q1_risk": q1, "q3_risk": q3})  # fmt: skip
    return pd.DataFrame(rows)


def _notes(given: _Patients) -> list[str]:
    notes = []
    if np.ptp(given.z) == 0:
        notes.append("every patient has the same risk: nothing can go with it")
    low, high = (float(q) for q in np.quantile(given.risk, [0.05, 0.95]))
    if 0 < high - low < NARROW_RISKS:
        notes.append(
            f"90 % of the risks lie between {low:.3f} and {high:.3f}: close together, so that an SD of their log "
            "odds is little in risk; calibrated risks that lie so close may differ by chance of the folds alone"
        )
    lost = int((~given.has_confounders).sum())
    if lost:
        notes.append(f"{lost} of {len(given.frame)} patients lack a confounder and are not in the adjusted models")
    if "split" in given.frame and given.frame["split"].nunique() > 1:
        parts = ", ".join(f"{name} {n}" for name, n in given.frame["split"].value_counts().items())
        notes.append(f"patients of different splits together: {parts}")
    return notes

"""What is gained where the patients of whom the model is least sure are referred instead of predicted."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from onlm_lab.analysis.calibration import log_odds, observed_to_expected
from onlm_lab.analysis.discrimination import area_under_curve, auc_intervals, prefers_logit
from onlm_lab.analysis.intervals import normal_quantile, proportion
from onlm_lab.analysis.rows import Labelled, labelled, require_columns
from onlm_lab.analysis.thresholds import predicted_positive
from onlm_lab.errors import OnlmError
from onlm_lab.results import AbstentionCurve, Estimate

DOUBTS = {
    "spread": ("risk_low", "risk_high"), "log_odds_spread": ("risk_low", "risk_high"), "ood_score": ("ood_score",),
}  # fmt: skip
FOLLOWS_RISK = 0.8  # rank correlation of doubt and risk from which a note says so
FRACTIONS = tuple(round(1 - 0.05 * i, 2) for i in range(11))  # 1.00 to 0.50
_MEASURES = ("auc", "sensitivity", "specificity", "npv", "oe_ratio")


def abstention(
    rows: pd.DataFrame,
    *,
    by: str = "spread",
    fractions: Sequence[float] = FRACTIONS,
    model: str | None = None,
    threshold: float | None = None,
    min_patients: int = 5,
    level: float = 0.95,
) -> AbstentionCurve:
    """AUC, sensitivity, specificity, NPV and O:E among those who are kept, as more and more patients are referred.

    The patients in greatest doubt go first. Patients in equal doubt stay or go together, so that no order of rows
    decides: at least the asked fraction is kept, and `kept_fraction` says how many that are. The kept are other
    patients than all, with another share of N+: the N+ among the referred are counted beside them, for they have not
    been predicted at all.

    Args:
        rows: a row a patient: patient_id, onlm, risk, predicted_positive, and risk_low and risk_high, or ood_score.
        by: what doubt is: "spread" (risk_high - risk_low, the spread of at least five models), "log_odds_spread" (the
            same between their log odds) or "ood_score" (how unlike the training patients). Where most risks are low,
            the plain spread is nearly the risk itself, and referring by it refers those at high risk: a note says so.
        fractions: shares of the patients to keep, each in (0, 1].
        model: which model_id; None where the table holds one only.
        threshold: positive if risk >= threshold; None takes each row's own predicted_positive, and without that
            column sensitivity, specificity and NPV are NaN.
        min_patients: the least number of N+ (for AUC, sensitivity, O:E) and of N0 (AUC, specificity) for a number.
        level: coverage of the intervals.

    Raises:
        OnlmError: an unknown doubt, a fraction outside (0, 1], or nobody of whom the doubt is known.
    """
    if by not in DOUBTS:
        near = difflib.get_close_matches(str(by), DOUBTS, n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise OnlmError(f"abstention: by must be one of {', '.join(DOUBTS)}, got '{by}'.{hint}")
    wanted = sorted({float(f) for f in fractions}, reverse=True)
    if not wanted or not all(0 < f <= 1 for f in wanted):
        raise OnlmError(f"abstention: fractions must lie in (0, 1] (0.8 keeps 80 of 100), got {list(fractions)}.")
    normal_quantile(level)
    require_columns(rows, DOUBTS[by])
    given, doubt = _doubted(labelled(rows, model=model), by=by)
    notes, positive = list(given.notes), None
    own = given.frame.get("predicted_positive")
    if threshold is not None or (own is not None and own.notna().any()):
        positive = predicted_positive(given, threshold=threshold)
    else:
        notes.append("no threshold and no predicted_positive: no sensitivity, specificity or NPV")
    follows = _rank_correlation(doubt, given.risk)
    if follows > FOLLOWS_RISK:
        notes.append(f"doubt follows the risk (rank correlation {follows:.2f}): those referred first are at high risk")
    ordered, table = np.sort(doubt), []
    for fraction in wanted:
        least = max(1, int(np.ceil(fraction * given.n - 1e-9)))
        limit = float(ordered[least - 1])
        row = _kept(given, kept=doubt <= limit, positive=positive, least=min_patients, level=level)
        table.append({"asked_fraction": fraction, "kept_fraction": row["n"] / given.n, "limit": limit} | row)
    found = pd.DataFrame(table)
    apart = found["kept_fraction"] - found["asked_fraction"] >= max(0.02, 1.5 / given.n)
    if apart.any():
        notes.append(f"{int(apart.sum())} of {len(found)} fractions: patients in equal doubt are kept together")
    return AbstentionCurve(
        table=found, by=by, model_id=given.model_id, n=given.n, n_events=given.n_events, n_excluded=given.n_excluded,
        notes=tuple(notes),
    )  # fmt: skip


def _doubted(given: Labelled, *, by: str) -> tuple[Labelled, np.ndarray]:
    """The patients whose doubt is known, the others counted; and their doubt, higher is more."""
    columns = [
        pd.to_numeric(given.frame[c], errors="coerce").to_numpy(dtype=float, na_value=np.nan) for c in DOUBTS[by]
    ]
    if by == "log_odds_spread":
        columns = [log_odds(c) for c in columns]
    doubt = columns[0] if len(columns) == 1 else columns[1] - columns[0]
    known = ~np.isnan(doubt)
    if not known.any():
        more = "" if by == "ood_score" else " Train with seeds_per_fold = 5 or more under [training]."
        raise OnlmError(f"abstention: {' and '.join(DOUBTS[by])} are missing for all {given.n} patients.{more}")
    if (doubt[known] < 0).any():
        who = given.frame["patient_id"][known & (doubt < 0)].astype(str)
        raise OnlmError(f"abstention: risk_high is below risk_low for {len(who)} patients ({', '.join(who[:4])}).")
    if known.all():
        return given, doubt
    out = dict(given.n_excluded) | {f"no {by}": int((~known).sum())}
    frame = given.frame[known].reset_index(drop=True)
    return replace(given, frame=frame, onlm=given.onlm[known], risk=given.risk[known], n_excluded=out), doubt[known]


def _rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's; 0 where either does not vary."""
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0
    return float(np.corrcoef(pd.Series(a).rank(), pd.Series(b).rank())[0, 1])


def _kept(
    given: Labelled, *, kept: np.ndarray, positive: np.ndarray | None, least: int, level: float
) -> dict[str, object]:
    """The numbers of those who are kept."""
    part = given.part(kept)
    n_nonevents = part.n - part.n_events
    few = {
        word: f"{count} {word}, wanted at least {least}"
        for word, count in (("N+", part.n_events), ("N0", n_nonevents)) if count < least
    }  # fmt: skip
    nothing = {name: Estimate(np.nan, level=level) for name in _MEASURES}
    found = dict(nothing)
    if not few:
        plain, on_logit = auc_intervals(*area_under_curve(part), level=level)
        found["auc"] = on_logit if prefers_logit(part.n_events, on_logit) else plain
    if "N+" not in few:
        found["oe_ratio"] = observed_to_expected(part, level=level)
    if positive is not None:
        called, onlm = positive[kept], part.onlm
        if "N+" not in few:
            found["sensitivity"] = proportion(int((called & onlm).sum()), part.n_events, of="N+ patients", level=level)
        if "N0" not in few:
            found["specificity"] = proportion(int((~called & ~onlm).sum()), n_nonevents, of="N0 patients", level=level)
        n_negative = int((~called).sum())
        found["npv"] = proportion(int((~called & ~onlm).sum()), n_negative, of="negative patients", level=level)
    row: dict[str, object] = {
        "n": part.n, "n_events": part.n_events, "n_referred": given.n - part.n,
        "n_events_referred": given.n_events - part.n_events,
    }  # fmt: skip
    for name, estimate in found.items():
        row |= {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
    notes = [*few.values(), *(e.note for e in found.values() if e.note)]
    return row | {"note": "; ".join(dict.fromkeys(notes))}

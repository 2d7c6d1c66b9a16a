"""In whom does the model work? Performance by level of each column, and one interaction test a column."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from onlm_lab.analysis.calibration import log_odds, observed_to_expected, separated
from onlm_lab.analysis.discrimination import area_under_curve, auc_intervals, prefers_logit
from onlm_lab.analysis.intervals import normal_quantile, proportion
from onlm_lab.analysis.levels import MISSING, levels_of
from onlm_lab.analysis.logistic import fit_logistic
from onlm_lab.analysis.rows import Labelled, labelled, require_columns
from onlm_lab.analysis.tails import chi2_tail
from onlm_lab.analysis.thresholds import predicted_positive
from onlm_lab.errors import OnlmError
from onlm_lab.results import Estimate, SubgroupTable


def by_subgroup(
    rows: pd.DataFrame,
    *,
    columns: Sequence[str],
    model: str | None = None,
    threshold: float | None = None,
    bins: Mapping[str, Sequence[float]] | None = None,
    min_patients: int = 10,
    level: float = 0.95,
) -> SubgroupTable:
    """AUC, sensitivity, specificity and O:E in each level of each column, and whether the risk works alike in them.

    The test of a column compares logit(P) = a_level + b logit(risk) with the model that gives each level its own b,
    by likelihood ratio: one P a column, adjusted over the columns by Holm (1979) and by Benjamini and Hochberg (1995,
    doi:10.1111/j.2517-6161.1995.tb02031.x). A level with fewer than `min_patients` N+ or N0 has NaN where that class
    is needed, and is left out of the test: few patients give a confident number that is wrong.

    Args:
        rows: a row a patient: patient_id, onlm, risk and the columns.
        columns: what to group by: words, categories, 0/1; a column of numbers needs bins.
        model: which model_id; None where the table holds one only.
        threshold: positive if risk >= threshold; None takes each row's own predicted_positive, and without that
            column sensitivity and specificity are NaN.
        bins: the inner edges for columns of numbers, declared before looking: {"age_years": [65, 75]} is <65,
            65 to <75, >=75.
        min_patients: the least number of N+, and of N0, that gives a number.
        level: coverage of the intervals.

    Raises:
        OnlmError: an absent column, a column of numbers without bins, or edges that do not rise.
    """
    names = [columns] if isinstance(columns, str) else list(columns)
    if not names:
        raise OnlmError("by_subgroup: no column was named; pass columns=['sex', ...].")
    declared = dict(bins or {})
    normal_quantile(level)
    require_columns(rows, names)
    unknown = [c for c in declared if c not in names]
    if unknown:
        raise OnlmError(f"by_subgroup: bins name '{unknown[0]}', which is not among the columns {', '.join(names)}.")
    given = labelled(rows, model=model)
    notes = list(given.notes)
    positive = None
    if threshold is not None or (
        "predicted_positive" in given.frame and given.frame["predicted_positive"].notna().any()
    ):
        positive = predicted_positive(given, threshold=threshold)
    else:
        notes.append("no threshold and no predicted_positive: no sensitivity or specificity")
    table, tests = [], []
    for name in names:
        levels, code = levels_of(given.frame[name], name=name, edges=declared.get(name))
        parts = [given.part(code == k) for k in range(len(levels))]
        for k, label in enumerate(levels):
            own = None if positive is None else positive[code == k]
            table.append({"column": name, "level": label} | _row(parts[k], own, least=min_patients, level=level))
        usable = [k for k, part in enumerate(parts) if levels[k] != MISSING and part.too_few(least=min_patients) == ""]
        tests.append({"column": name} | _interaction(given, code, usable, n_levels=len(levels)))
    interaction = pd.DataFrame(tests)
    p_value = interaction["p_value"].to_numpy(float)
    interaction.insert(4, "p_holm", adjust_p_values(p_value, method="holm"))
    interaction.insert(5, "p_bh", adjust_p_values(p_value, method="bh"))
    return SubgroupTable(
        table=pd.DataFrame(table), interaction=interaction, model_id=given.model_id, n=given.n,
        n_events=given.n_events, n_excluded=given.n_excluded, notes=tuple(notes),
    )  # fmt: skip


def adjust_p_values(p_values: np.ndarray, *, method: str) -> np.ndarray:
    """P values adjusted for their number: "holm" (family-wise error) or "bh" (false discovery rate); NaN stays out."""
    p = np.asarray(p_values, dtype=float)
    known = np.flatnonzero(~np.isnan(p))
    out = np.full(len(p), math.nan)
    order = known[np.argsort(p[known], kind="stable")]
    m = len(order)
    rank = np.arange(1, m + 1)
    if method == "holm":
        out[order] = np.minimum(1, np.maximum.accumulate((m + 1 - rank) * p[order]))
    elif method == "bh":
        out[order] = np.minimum(1, np.minimum.accumulate((m / rank * p[order])[::-1])[::-1])
    else:
        raise OnlmError(f"adjust_p_values: method must be holm or bh, got '{method}'.")
    return out


def _row(part: Labelled, positive: np.ndarray | None, *, least: int, level: float) -> dict[str, object]:
    few, nothing = part.too_few(least=least), Estimate(math.nan, level=level)
    auc = expected = sensitivity = specificity = nothing
    if not few:
        area, variance = area_under_curve(part)
        plain, on_logit = auc_intervals(area, variance, level=level)
        auc = on_logit if prefers_logit(part.n_events, on_logit) else plain
        expected = observed_to_expected(part, level=level)
    if positive is not None:
        found, spared = int((positive & part.onlm).sum()), int((~positive & ~part.onlm).sum())
        if part.n_events >= least:
            sensitivity = proportion(found, part.n_events, of="N+ patients", level=level)
        if part.n - part.n_events >= least:
            specificity = proportion(spared, part.n - part.n_events, of="N0 patients", level=level)
    row: dict[str, object] = {"n": part.n, "n_positive": part.n_events}
    named = {"auc": auc, "sensitivity": sensitivity, "specificity": specificity, "oe_ratio": expected}
    for name, estimate in named.items():
        row |= {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
    return row | {"auc_method": auc.method, "note": few or auc.note}


def _interaction(given: Labelled, code: np.ndarray, usable: list[int], *, n_levels: int) -> dict[str, object]:
    """Likelihood-ratio test of level by logit(risk), over the levels with enough patients."""
    note = f"{n_levels - len(usable)} of {n_levels} levels left out" if len(usable) < n_levels else ""
    nothing = {"chi2": math.nan, "df": max(0, len(usable) - 1), "p_value": math.nan}
    if len(usable) < 2:
        return nothing | {"n": 0, "note": "fewer than two levels with enough patients"}
    kept = np.isin(code, usable)
    x, onlm, member = log_odds(given.risk[kept]), given.onlm[kept], code[kept, None] == np.array(usable)
    nothing |= {"n": int(kept.sum())}
    each = 0.0
    for k in range(len(usable)):  # the full model is one regression a level
        own = x[member[:, k]], onlm[member[:, k]]
        if own[0].min() == own[0].max() or separated(*own):
            return nothing | {"note": "no test: in one level the risks are all equal or separate N+ from N0"}
        fit = fit_logistic(np.column_stack([np.ones(len(own[0])), own[0]]), own[1])
        if fit.note:
            return nothing | {"note": fit.note}
        each += fit.log_likelihood
    common = fit_logistic(np.column_stack([member.astype(float), x]), onlm)
    if common.note:
        return nothing | {"note": common.note}
    chi2, df = max(0.0, 2 * (each - common.log_likelihood)), len(usable) - 1
    return {"chi2": chi2, "df": df, "p_value": chi2_tail(chi2, df), "n": int(kept.sum()), "note": note}

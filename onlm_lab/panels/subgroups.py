"""Subgroups: in whom does the model work, and in whom does it fail?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from onlm_lab import analysis, figures
from onlm_lab.errors import OnlmError
from onlm_lab.figures import theme
from onlm_lab.panels.judged import Judged
from onlm_lab.panels.panel import Panel, notes_of
from onlm_lab.panels.patients import of_model
from onlm_lab.results import Estimate


def columns_of(rows: pd.DataFrame, *, wanted: Sequence[str]) -> tuple[str, ...]:
    """Those of the wanted columns that the rows have and that hold something."""
    return tuple(c for c in wanted if c in rows.columns and rows[c].notna().any())


def subgroup_panel(
    rows: pd.DataFrame | Judged, *, model: str, columns: Sequence[str],
    bins: Mapping[str, Sequence[float]] | None = None, measure: str = "auc", threshold: float | None = None,
    mark: str = "",
) -> Panel:  # fmt: skip
    """A forest of one measure over the levels of each column, with the interaction tests.

    Args:
        rows: tested rows of one or several models.
        model: whose risks.
        columns: what to divide patients by.
        bins: cuts of numeric columns.
        measure: "auc", "sensitivity", "specificity" or "oe_ratio".
        threshold: positive if risk >= threshold; None: each row's own.
        mark: words laid across the figure.

    Raises:
        OnlmError: no column chosen, or one that is not there.
    """
    if not columns:
        raise OnlmError("Choose at least one column to divide the patients by.")
    judged = Judged.of(rows)
    used = {k: list(v) for k, v in (bins or {}).items() if k in columns}
    found = analysis.by_subgroup(judged.patients(model), columns=list(columns), bins=used, threshold=threshold)
    overall = _overall(judged, model=model, measure=measure, threshold=threshold)
    figure = figures.plot_subgroups(found, measure=measure, reference=overall, mark=mark)
    tests = found.interaction
    told = tests.dropna(subset=["p_holm"])
    differing = told[told["p_holm"] < 0.05] if len(told) else told
    if len(differing):
        names = ", ".join(
            f"{figures.label_of(c)} (Holm {theme.p_value(p)})"
            for c, p in zip(differing["column"], differing["p_holm"], strict=True)
        )
        sentence = f"Evidence that the risk works differently by {names}."
    elif len(told):
        few = (
            f" ({len(tests) - len(told)} of {len(tests)} had too few events to be tested)"
            if len(told) < len(tests)
            else ""
        )
        names = "; ".join(figures.label_of(c) for c in told["column"])
        sentence = f"No evidence after Holm's correction that the risk works differently by: {names}{few}."
    else:
        sentence = "Too few events to test whether the risk works differently in any of these factors."
    sentence += " Small subgroups are shown without a number; no evidence of a difference is not evidence of none."
    return Panel("subgroups", "In whom does the model work?", figure, found.table, sentence, notes_of(found),
                 source=(found, measure))  # fmt: skip


def interaction_table(panel_rows: pd.DataFrame, *, model: str, columns: Sequence[str],
                      bins: Mapping[str, Sequence[float]] | None = None) -> pd.DataFrame:  # fmt: skip
    """The interaction tests alone: column, chi2, df, p_value, p_holm, p_bh."""
    used = {k: list(v) for k, v in (bins or {}).items() if k in columns}
    return analysis.by_subgroup(of_model(panel_rows, model=model), columns=list(columns), bins=used).interaction


def _overall(judged: Judged, *, model: str, measure: str, threshold: float | None) -> Estimate | None:
    if measure == "auc":
        return judged.roc(model).auc
    if measure in ("sensitivity", "specificity"):
        return getattr(judged.point(model, threshold=threshold), measure)
    return None

"""Does the performance hold where label or predictors are in doubt, and whom does the model get wrong?"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from onlm_lab import analysis, figures
from onlm_lab.figures import theme
from onlm_lab.panels.judged import Judged
from onlm_lab.panels.panel import Panel, notes_of
from onlm_lab.results import Estimate


def label_panel(rows: pd.DataFrame | Judged, *, model: str, min_nodes: Sequence[int], mark: str = "") -> Panel:
    """The AUC where each N0 rests on enough examined nodes."""
    found = analysis.label_sensitivity(Judged.of(rows).patients(model), min_nodes=min_nodes)
    every, strictest = found.table.iloc[0], found.table.iloc[-1]
    sentence = (
        f"AUC {_auc(every)} in all {every['n']} labelled patients, {_auc(strictest)} where each N0 rests on at least "
        f"{strictest['minimum']:.0f} examined nodes (n = {strictest['n']})."
    )
    return Panel("label_sensitivity", "Does it hold where the label is surer?",
                 figures.plot_label_sensitivity(found, mark=mark), found.table, sentence, notes_of(found))  # fmt: skip


def missing_panel(rows: pd.DataFrame | Judged, *, model: str, columns: Sequence[str], mark: str = "") -> Panel:
    """The AUC by what is missing among the predictors."""
    found = analysis.missing_data_sensitivity(Judged.of(rows).patients(model), columns=columns)
    table = found.table[found.table["grouping"] == "completeness"]
    said = "; ".join(f"{row['level']}: {_auc(row)} (n = {row['n']})" for row in table.to_dict("records"))
    sentence = f"AUC by completeness of the predictors: {said}." if said else "No patient lacks a predictor."
    return Panel("missing_sensitivity", "Does it hold where predictors are missing?",
                 figures.plot_missing_sensitivity(found, mark=mark), found.table, sentence,
                 notes_of(found))  # fmt: skip


def mistakes_panel(rows: pd.DataFrame | Judged, *, model: str, threshold: float | None = None, mark: str = "") -> Panel:
    """How those the model gets wrong differ from those it gets right; no patient's row."""
    found = analysis.confident_mistakes(Judged.of(rows).patients(model), threshold=threshold)
    sentence = (
        f"{found.n_missed} of {found.n_missed + found.n_found} N+ are missed and {found.n_false_alarms} of "
        f"{found.n_false_alarms + found.n_spared} N0 are called positive. Many facts are looked at: some differences "
        "will look large by chance."
    )
    return Panel("mistakes", "Whom does the model get wrong?", figures.plot_mistakes(found, mark=mark),
                 found.compared, sentence, notes_of(found))  # fmt: skip


def associations_panel(
    rows: pd.DataFrame, *, model: str, markers: Sequence[str], adjust: Sequence[str] = (), mark: str = ""
) -> Panel:
    """How the risk goes with molecular and pathological markers."""
    found = analysis.associations(rows, markers=markers, adjust=adjust, model=model)
    adjusted = bool(found.adjusted_for)
    tests = found.tests[found.tests["adjusted"] == adjusted]
    clear = tests[tests["p_bh"] < 0.05]
    names = ", ".join(f"{figures.label_of(m)}" for m in clear["marker"]) or "none"
    how = "adjusted for " + ", ".join(figures.label_of(c) for c in found.adjusted_for) if adjusted else "unadjusted"
    sentence = (
        f"Of {len(tests)} markers, {how}, the risk goes with {len(clear)} at a false discovery rate of "
        f"5{theme.PERCENT}: {names} (n = {found.n})."
    )
    return Panel("associations", "With which markers does the predicted risk go?",
                 figures.plot_associations(found, mark=mark), found.effects, sentence, notes_of(found))  # fmt: skip


def _auc(row: dict | pd.Series) -> str:
    return theme.with_interval(Estimate(row["auc"], row["auc_low"], row["auc_high"]))

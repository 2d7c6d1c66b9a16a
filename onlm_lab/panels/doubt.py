"""How sure the model is of each patient, and what referring those in doubt would gain."""

from __future__ import annotations

import pandas as pd

from onlm_lab import analysis, figures
from onlm_lab.figures import theme
from onlm_lab.panels.panel import Panel, notes_of
from onlm_lab.panels.patients import of_model

DOUBTS = {
    "log_odds_spread": "the models, taught from other draws of the training patients, disagree most",
    "ood_score": "the patient is least like those of training",
}


def abstention_panel(rows: pd.DataFrame, *, model: str, by: str = "log_odds_spread", mark: str = "") -> Panel:
    """AUC among those predicted, as patients in doubt are referred instead."""
    found = analysis.abstention(of_model(rows, model=model), by=by)
    every, kept = found.table.iloc[0], found.table.loc[(found.table["asked_fraction"] - 0.8).abs().idxmin()]
    sentence = (
        f"Were the {theme.percent(1 - kept['kept_fraction'])} of patients referred of whom {DOUBTS.get(by, by)} "
        f"({kept['n_referred']:.0f} patients, {kept['n_events_referred']:.0f} N+), the AUC among the others would be "
        f"{kept['auc']:.2f} instead of {every['auc']:.2f} (n = {found.n})."
    )
    return Panel(
        f"abstention_{by}", "What is gained by referring the patients of whom the model is least sure?",
        figures.plot_abstention(found, mark=mark), found.table, sentence, notes_of(found),
    )  # fmt: skip

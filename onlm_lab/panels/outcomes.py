"""Outcomes: what became of the patients, by predicted group, surgery and SBRT apart."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from onlm_lab import analysis, figures
from onlm_lab.errors import OnlmError
from onlm_lab.figures import theme
from onlm_lab.figures.outcomes import endpoint_words
from onlm_lab.panels.panel import Panel, notes_of
from onlm_lab.panels.patients import (
    ARMS,
    GROUP,
    NARROWEST_RISKS,
    SMALLEST_GROUP,
    of_arm,
    source_of,
    threshold_words,
    with_predicted_group,
)

OBSERVATIONAL = "Observational: a difference between groups is an association, not an effect."
ADJUVANT = "After surgery, patients found N+ often received adjuvant therapy, which can hide or reverse a difference."
NO_LABEL = "SBRT patients have no pathological N: here the risk is tested by what became of them."


def is_competing(rows: pd.DataFrame, *, endpoint: str) -> bool:
    """Whether the endpoint has competing events, so that incidence is shown and not survival."""
    return f"{endpoint}_state" in rows.columns


def endpoints_of(rows: pd.DataFrame, *, wanted: Sequence[str]) -> tuple[str, ...]:
    """Those of the wanted endpoints that the rows have."""
    return tuple(
        e for e in wanted if f"{e}_days" in rows and (f"{e}_event" in rows or f"{e}_state" in rows) and
        rows[f"{e}_days"].notna().any()
    )  # fmt: skip


def outcome_panel(
    rows: pd.DataFrame, *, model: str, endpoint: str, arm: str, threshold: float | None = None,
    horizon_days: float = 1095, mark: str = "",
) -> Panel:  # fmt: skip
    """Survival, or cumulative incidence where events compete, by predicted group in one arm.

    Args:
        rows: all rows of a run.
        model: whose risks.
        endpoint: such as "os" or "regional".
        arm: "surgery" or "sbrt".
        threshold: high risk if risk >= threshold; None: each row's own.
        horizon_days: the day at which the sentence reads the curves.
        mark: words laid across the figure.

    Raises:
        OnlmError: a group has patients, but too few to draw.
    """
    patients = with_predicted_group(of_arm(rows, model=model, arm=arm), threshold=threshold)
    _refuse_few(patients, arm=arm, where=threshold_words(patients, threshold=threshold))
    draw = incidence_panel if is_competing(rows, endpoint=endpoint) else survival_panel
    panel = draw(patients, endpoint=endpoint, who=_who(arm, model=model), horizon_days=horizon_days, mark=mark)
    said = [panel.sentence, f"Groups by {threshold_words(patients, threshold=threshold)}; {source_of(patients)}."]
    return panel._replace(
        name=f"{endpoint}_{arm}", sentence=" ".join([*said, ADJUVANT if arm == "surgery" else NO_LABEL, OBSERVATIONAL])
    )  # fmt: skip


def survival_panel(
    rows: pd.DataFrame, *, endpoint: str, by: str = GROUP, who: str = "", horizon_days: float = 1095, mark: str = ""
) -> Panel:
    """Kaplan-Meier curves by a column, with the table at the horizon."""
    curves = analysis.kaplan_meier(rows, endpoint=endpoint, by=by)
    at = curves.at(days=[horizon_days])
    figure = figures.plot_survival(curves, who=who, mark=mark)
    test = theme.p_value(curves.log_rank.p_value)
    sentence = f"{endpoint_words(endpoint).capitalize()} at {theme.years(horizon_days)}: "
    sentence += _by_group(at, curves.groups, value="survival") + (f"; log-rank {test}." if test else ".")
    return Panel(f"{endpoint}_survival", figure.layout.title.text, figure, _table(at, curves.groups), sentence,
                 notes_of(curves))  # fmt: skip


def incidence_panel(
    rows: pd.DataFrame, *, endpoint: str, by: str = GROUP, who: str = "", horizon_days: float = 1095, mark: str = ""
) -> Panel:
    """Cumulative incidence by a column with the other events competing, with the table at the horizon."""
    curves = analysis.cumulative_incidence(rows, endpoint=endpoint, by=by)
    at = curves.at(days=[horizon_days])
    first = at[at["cause"] == 1]
    figure = figures.plot_incidence(curves, who=who, mark=mark)
    gray = curves.gray_test
    gray = gray[gray["cause"] == 1] if len(gray) else gray
    test = theme.p_value(float(gray["p_value"].iloc[0])) if len(gray) else ""
    sentence = f"Incidence of {endpoint_words(endpoint)} by {theme.years(horizon_days)}, other events competing: "
    sentence += _by_group(first, curves.groups, value="incidence") + (f"; Gray {test}." if test else ".")
    return Panel(f"{endpoint}_incidence", figure.layout.title.text, figure, _table(at, curves.groups), sentence,
                 notes_of(curves))  # fmt: skip


def hazard_panel(
    rows: pd.DataFrame, *, model: str, endpoint: str, arm: str, covariates: Sequence[str] = ("risk",), mark: str = ""
) -> Panel:
    """Hazard ratios in one arm; cause-specific where events compete.

    Raises:
        OnlmError: the risks lie too close together for a ratio per 10 percentage points.
    """
    patients = of_arm(rows, model=model, arm=arm)
    low, high = (float(patients["risk"].quantile(q)) for q in (0.05, 0.95))
    if "risk" in covariates and high - low < NARROWEST_RISKS:
        raise OnlmError(
            f"{ARMS.get(arm, arm)} arm: no hazard ratio, for 90 % of the {len(patients)} risks lie between "
            f"{theme.percent(low, digits=1)} and {theme.percent(high, digits=1)}, too close together for a ratio "
            "per 10 percentage points."
        )
    competing = is_competing(rows, endpoint=endpoint)
    fitted = analysis.cox(patients, endpoint=endpoint, covariates=list(covariates), cause=1 if competing else None)
    parts = [
        f"{figures.label_of(str(r['covariate']))} {figures.unit_words(r['unit'])}: {r['hr']:.2f} "
        f"({r['low']:.2f} to {r['high']:.2f})"
        for r in fitted.table.to_dict("records")
    ]
    kind = "Cause-specific hazard ratio" if competing else "Hazard ratio"
    sentence = (
        f"{kind} for {endpoint_words(endpoint)}, {ARMS.get(arm, arm)}: {'; '.join(parts)} "
        f"({fitted.n_events} events in {fitted.n} patients). {OBSERVATIONAL}"
    )
    figure = figures.plot_hazard_ratios(fitted, who=_who(arm, model=model, by="risk of"), mark=mark)
    return Panel(f"{endpoint}_{arm}_hazard", "By how much does the hazard differ?",
                 figure, fitted.table, sentence, notes_of(fitted))  # fmt: skip


def _refuse_few(patients: pd.DataFrame, *, arm: str, where: str) -> None:
    sizes = patients[GROUP].value_counts()
    few = [(name, n) for name, n in sizes.items() if 0 < n < SMALLEST_GROUP]
    if few:
        name, n = few[0]
        raise OnlmError(
            f"{ARMS.get(arm, arm)} arm: by {where}, {n} of {len(patients)} patients {'is' if n == 1 else 'are'} {name}"
            f". Groups of fewer than {SMALLEST_GROUP} are not drawn; move the threshold, or choose another model."
        )


def _who(arm: str, *, model: str, by: str = "groups by") -> str:
    return f"{ARMS.get(arm, arm)} arm, {by} {model}"


def _by_group(at: pd.DataFrame, groups: pd.DataFrame, *, value: str) -> str:
    sizes = groups.set_index(groups["group"].astype(str))
    parts = []
    for row in at.to_dict("records"):
        name = str(row["group"])
        reached = "not followed that long" if pd.isna(row[value]) else theme.percent(row[value])
        limits = f" ({100 * row['low']:.0f} to {100 * row['high']:.0f})"
        if pd.isna(row["low"]):
            limits = "" if pd.isna(row[value]) else " (no interval)"
        parts.append(f"{name} {reached}{limits} (n = {int(sizes.loc[name, 'n'])})")
    return ", ".join(parts)


def _table(at: pd.DataFrame, groups: pd.DataFrame) -> pd.DataFrame:
    known = groups.assign(group=groups["group"].astype(str))[["group", "n", "n_events"]]
    known = known.rename(columns={"n": "n_patients", "n_events": "n_events_total"})
    return at.assign(group=at["group"].astype(str)).merge(known, on="group", how="left")

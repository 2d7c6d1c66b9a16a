"""Outcomes: what became of the patients, by predicted group, surgery and SBRT apart."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from onlm_lab import analysis, figures
from onlm_lab.analysis.endpoint import known_kind
from onlm_lab.analysis.rows import Patients
from onlm_lab.errors import OnlmError
from onlm_lab.figures import theme
from onlm_lab.figures.outcomes import endpoint_words
from onlm_lab.panels.followed import Followed
from onlm_lab.panels.panel import Panel, notes_of
from onlm_lab.panels.patients import (
    ARMS,
    GROUP,
    GROUPS,
    SMALLEST_GROUP,
    arm_words,
    source_of,
    threshold_words,
)
from onlm_lab.panels.phrases import ADJUVANT, NO_LABEL, OBSERVATIONAL
from onlm_lab.results import Estimate, Rmst, TimeLost

DIFFERENCE = "difference"
VISIBLE_EXCESS = 0.01  # of a share: what a reader of whole percentages would see


def is_competing(rows: pd.DataFrame | Followed | Patients, *, endpoint: str) -> bool:
    """Whether the endpoint has competing events, so that incidence is shown and not survival."""
    return known_kind(rows.columns, endpoint=endpoint) == "state"


def endpoints_of(rows: pd.DataFrame, *, wanted: Sequence[str]) -> tuple[str, ...]:
    """Those of the wanted endpoints that the rows have."""
    return tuple(e for e in wanted if known_kind(rows.columns, endpoint=e) and rows[f"{e}_days"].notna().any())


def outcome_panel(
    rows: pd.DataFrame | Followed, *, model: str, endpoint: str, arm: str, threshold: float | None = None,
    horizon_days: float = 1095, mark: str = "",
) -> Panel:  # fmt: skip
    """Survival, or cumulative incidence where events compete, by predicted group in one arm.

    Args:
        rows: all rows of a run, or what is known of them.
        model: whose risks.
        endpoint: such as "os" or "regional".
        arm: "surgery" or "sbrt".
        threshold: high risk if risk >= threshold; None: each row's own.
        horizon_days: the day at which the sentence reads the curves.
        mark: words laid across the figure.

    Raises:
        OnlmError: a group has patients, but too few to draw.
    """
    patients = Followed.of(rows).grouped(model=model, arm=arm, threshold=threshold)
    by = threshold_words(patients.frame, threshold=threshold)
    _refuse_few(patients.frame, arm=arm, where=by)
    draw = incidence_panel if is_competing(rows, endpoint=endpoint) else survival_panel
    panel = draw(patients, endpoint=endpoint, who=_who(arm, model=model), horizon_days=horizon_days, mark=mark)
    said = [panel.sentence, f"Groups by {by}; {source_of(patients.frame)}."]
    return panel._replace(
        name=f"{endpoint}_{arm}", sentence=" ".join([*said, ADJUVANT if arm == "surgery" else NO_LABEL, OBSERVATIONAL])
    )  # fmt: skip


def survival_panel(
    rows: pd.DataFrame | Patients,
    *,
    endpoint: str,
    by: str = GROUP,
    who: str = "",
    horizon_days: float = 1095,
    mark: str = "",
) -> Panel:
    """Kaplan-Meier curves by a column, with the table at the horizon."""
    curves = analysis.kaplan_meier(rows, endpoint=endpoint, by=by)
    at = curves.at(days=[horizon_days])
    figure = figures.plot_survival(curves, who=who, mark=mark)
    test = theme.p_value(curves.log_rank.p_value)
    sentence = f"{endpoint_words(endpoint).capitalize()} at {theme.years(horizon_days)}: "
    sentence += _by_group(at, curves.groups, value="survival") + (f"; log-rank {test}." if test else ".")
    return Panel(f"{endpoint}_survival", figure.layout.title.text, figure, _table(at, curves.groups), sentence,
                 notes_of(curves), source=(curves, who, horizon_days))  # fmt: skip


def incidence_panel(
    rows: pd.DataFrame | Patients,
    *,
    endpoint: str,
    by: str = GROUP,
    who: str = "",
    horizon_days: float = 1095,
    mark: str = "",
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
    notes = (*notes_of(curves), *_overstated(rows, endpoint=endpoint, by=by, horizon_days=horizon_days))
    return Panel(f"{endpoint}_incidence", figure.layout.title.text, figure, _table(at, curves.groups), sentence, notes,
                 source=(curves, who, horizon_days))  # fmt: skip


def _overstated(rows: pd.DataFrame | Patients, *, endpoint: str, by: str, horizon_days: float) -> tuple[str, ...]:
    """What 1 - Kaplan-Meier would have read, where that differs by a point or more."""
    table = analysis.one_minus_km(rows, endpoint=endpoint, by=by, horizons_days=[horizon_days]).table
    wrong = table[table["excess"] >= VISIBLE_EXCESS]
    if wrong.empty:
        return ()
    parts = (
        f"{theme.percent(r.one_minus_km)} instead of {theme.percent(r.incidence)} ({r.group})"
        for r in wrong.itertuples()
    )
    return (
        f"1 - Kaplan-Meier would have read {', '.join(parts)} by {theme.years(horizon_days)}: it takes patients with "
        "a competing event for patients who can still have this one.",
    )


def pathology_panel(
    rows: pd.DataFrame | Followed, *, model: str, endpoint: str, threshold: float | None = None,
    horizon_days: float = 1095, mark: str = "",
) -> Panel:  # fmt: skip
    """Does the predicted group say more than the pathologist? Curves inside N0 and inside N+, after surgery.

    Args:
        rows: all rows of a run, or what is known of them.
        model: whose risks.
        endpoint: such as "rfs".
        threshold: high risk if risk >= threshold; None: each row's own.
        horizon_days: the day at which the sentence reads the curves.
        mark: words laid across the figure.

    Raises:
        OnlmError: a group has patients, but too few to draw.
    """
    patients = Followed.of(rows).by_pathology(model=model, threshold=threshold)
    sizes = patients.frame["risk_group"].value_counts()
    if sizes.min() < SMALLEST_GROUP:
        raise OnlmError(
            f"curves inside N0 and inside N+, for only {sizes.min()} of {len(patients.frame)} patients are "
            f"'{sizes.idxmin()}'. Groups of fewer than {SMALLEST_GROUP} are not drawn."
        )
    competing = is_competing(rows, endpoint=endpoint)
    draw = incidence_panel if competing else survival_panel
    panel = draw(patients, endpoint=endpoint, by="risk_group", who=_who("surgery", model=model),
                 horizon_days=horizon_days, mark=mark)  # fmt: skip
    high = patients.frame["risk_group"].astype(str).str.startswith("high")
    split = patients.frame.assign(
        predicted=pd.Categorical(high.map({False: "low risk", True: "high risk"}), categories=GROUPS)
    )
    test = (analysis.gray if competing else analysis.log_rank)(split, endpoint=endpoint, by="predicted", strata="onlm")
    said = theme.p_value(test.p_value)
    sentence = panel.sentence
    if said:
        sentence += f" High against low risk, compared within N0 and within N+ (stratified test): {said}."
    return panel._replace(name=f"{endpoint}_pathology", sentence=f"{sentence} {ADJUVANT} {OBSERVATIONAL}",
                          table=panel.table.assign(stratified_p=test.p_value))  # fmt: skip


def quantile_panel(
    rows: pd.DataFrame | Followed, *, model: str, endpoint: str, arm: str, n: int = 4, horizon_days: float = 1095,
    mark: str = "",
) -> Panel:  # fmt: skip
    """Curves by quarters (or other quantiles) of the risk, with the test of a trend over them.

    Raises:
        OnlmError: the risks are too alike to be divided.
    """
    patients = Followed.of(rows).by_quantile(model=model, arm=arm, n=n)
    competing = is_competing(rows, endpoint=endpoint)
    panel = (incidence_panel if competing else survival_panel)(
        patients, endpoint=endpoint, by="risk_group", who=_who(arm, model=model, by="quantiles of"),
        horizon_days=horizon_days, mark=mark,
    )  # fmt: skip
    cuts = ", ".join(theme.percent(c, digits=1) for c in patients.frame.attrs["risk_group"]["cut_points"])
    sentence = f"{panel.sentence} Groups cut at {cuts} in these very patients."
    if not competing:
        trend = analysis.log_rank(patients, endpoint=endpoint, by="risk_group", trend=True).trend
        said = theme.p_value(trend.p_value) if trend else ""
        sentence += f" Trend over the groups: {said}." if said else ""
    return panel._replace(name=f"{endpoint}_{arm}_quantiles", sentence=f"{sentence} {OBSERVATIONAL}")


def mean_time_panel(
    rows: pd.DataFrame | Followed, *, model: str, endpoint: str, arm: str, threshold: float | None = None,
    horizon_days: float = 1095, mark: str = "",
) -> Panel:  # fmt: skip
    """Mean time lived (or lost to the event, where others compete) up to the horizon, by predicted group.

    It needs no proportional hazards. The day is brought forward where a group was not followed so long.
    """
    found = mean_times(rows, model=model, endpoint=endpoint, arm=arm, threshold=threshold, horizon_days=horizon_days)
    figure = figures.plot_rmst(found, who=_who(arm, model=model), mark=mark)
    what = "lost to" if isinstance(found, TimeLost) else "of"
    said = mean_months(found)
    difference = said.pop(DIFFERENCE)
    sentence = (
        f"{arm_words(arm)}, mean months {what} {endpoint_words(endpoint)} within {theme.years(found.tau_days)}: "
        f"{', '.join(f'{group} {months}' for group, months in said.items())}; difference {difference}. {OBSERVATIONAL}"
    )
    return Panel(
        f"{endpoint}_{arm}_mean_time", figure.layout.title.text, figure, found.table, sentence, notes_of(found),
        source=(found, _who(arm, model=model)),
    )  # fmt: skip


def mean_times(
    rows: pd.DataFrame | Followed, *, model: str, endpoint: str, arm: str, threshold: float | None = None,
    horizon_days: float = 1095,
) -> Rmst | TimeLost:  # fmt: skip
    """Mean time lived without the event, or lost to it where others compete, by predicted group; as in the panel.

    Raises:
        OnlmError: a group has patients, but too few.
    """
    patients = Followed.of(rows).grouped(model=model, arm=arm, threshold=threshold)
    _refuse_few(patients.frame, arm=arm, where=threshold_words(patients.frame, threshold=threshold))
    last = patients.frame.groupby(GROUP, observed=True)[f"{endpoint}_days"].max().min()
    tau = float(min(horizon_days, last))
    call = analysis.time_lost if is_competing(rows, endpoint=endpoint) else analysis.rmst
    return call(patients, endpoint=endpoint, by=GROUP, tau_days=tau)


def mean_months(found: Rmst | TimeLost) -> dict[str, str]:
    """Each group's mean time in months with its interval, and the difference."""
    name = "days_lost" if isinstance(found, TimeLost) else "rmst_days"
    said = {str(r["group"]): _months(r[name], r["low"], r["high"]) for r in found.table.to_dict("records")}
    d = found.difference
    return said | {DIFFERENCE: _months(d.value, d.low, d.high)}


def _months(value: float, low: float, high: float) -> str:
    month = 365.25 / 12
    return theme.with_interval(Estimate(value / month, low / month, high / month), digits=1)


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
    return f"{arm_words(arm)}, {by} {model}"


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

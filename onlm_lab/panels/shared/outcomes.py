"""What a shared page shows of outcomes: curves at quarters of a year, ratios without their small levels."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pandas as pd
import plotly.graph_objects as go

from onlm_lab import figures
from onlm_lab.figures import theme
from onlm_lab.figures.outcomes import endpoint_words
from onlm_lab.figures.subgroup import log_ticks
from onlm_lab.panels.card import Card, plain_card
from onlm_lab.panels.panel import Panel
from onlm_lab.panels.phrases import COMPARED_TREATMENTS, OBSERVATIONAL
from onlm_lab.panels.shared.counts import FEWEST, ROUNDED, cell, is_few, rounded, said
from onlm_lab.panels.shared.curves import in_fives, peto, safe_event_calibration, safe_steps
from onlm_lab.panels.shared.performance import mark_of, require
from onlm_lab.panels.shared.refusing import NotShown
from onlm_lab.panels.shared.tables import Rule, numbers, safe_table, short
from onlm_lab.results import Estimate, IncidenceCurves, SurvivalCurves, TimeLost

RATIO = ".3g"


def curves(panel: Panel) -> Panel:
    """Kaplan-Meier or incidence curves whose steps stand for five events or more."""
    if not (isinstance(panel.source, tuple) and isinstance(panel.source[0], SurvivalCurves | IncidenceCurves)):
        raise NotShown("Nothing says how this figure could be shown without single patients.")
    found, who, horizon_days = panel.source
    require(*found.groups["n"])
    safe = safe_steps(found)
    if len(safe.curve) == len(safe.groups):  # starts alone
        require(0)
    survival = isinstance(found, SurvivalCurves)
    value = "survival" if survival else "incidence"
    draw = figures.plot_survival if survival else figures.plot_incidence
    figure = draw(_with_p(safe), who=who, mark=mark_of(panel.figure))
    _straighten(figure, found)
    at = found.at(days=[horizon_days])
    at = at if survival else at[at["cause"] == 1]
    counted = found.groups.set_index(found.groups["group"].astype(str))
    rows = []
    for row in at.to_dict("records"):
        n, n_events = (int(counted.loc[str(row["group"]), name]) for name in ("n", "n_events"))
        read = _read({"n": n, "n_events": n_events, "at_risk": row["at_risk"], "value": row[value], "kind": value})
        rows.append((str(row["group"]), horizon_days, *read, cell(row["at_risk"]), cell(n), cell(n_events)))
    table = pd.DataFrame(rows, columns=["group", "days", value, "low", "high", "at_risk", "n", "n_events_total"])
    told = ", ".join(
        f"{r['group']} {theme.with_interval(Estimate(r[value], r['low'], r['high']), as_percent=True)} (n = {r['n']})"
        for r in table.to_dict("records")
    )
    what = endpoint_words(found.endpoint)
    lead = f"{what.capitalize()} at" if survival else f"Incidence of {what} by"
    sentence = (
        f"{lead} {theme.years(horizon_days)}, to the nearest {FEWEST} patients: {told}. The curves are read at "
        f"quarters of a year between which {FEWEST} events or more lie, and end at the last of them. {OBSERVATIONAL}"
    )
    return panel._replace(figure=figure, table=table, sentence=sentence)


def _straighten(figure: go.Figure, found: SurvivalCurves | IncidenceCurves) -> None:
    """Straight lines between the points that are shown, without marks of single patients; at risk in fives."""
    figure.data = [t for t in figure.data if not str(t.name).endswith(", censored")]
    for trace in figure.data:
        if trace.mode == "lines":
            trace.line.shape = "linear"
        elif str(trace.name).endswith(", at risk"):
            group = str(trace.name).removesuffix(", at risk")
            at = found.at(days=[float(x) for x in trace.x])
            at = at[at["group"].astype(str).map(theme.safe) == group].drop_duplicates("days")
            trace.text = [theme.safe(said(n)) for n in at["at_risk"]]


def _with_p(safe: object) -> object:
    """The curves with their test in two digits."""
    if isinstance(safe, SurvivalCurves):
        return replace(safe, log_rank=replace(safe.log_rank, p_value=short(safe.log_rank.p_value, ".2g")))
    gray = safe.gray_test
    return (
        replace(safe, gray_test=gray.assign(p_value=[short(p, ".2g") for p in gray["p_value"]])) if len(gray) else safe
    )


HAZARD = Rule(
    labels=("covariate", "unit"), estimates={"hr": RATIO, "low": RATIO, "high": RATIO, "p_value": ".2g"}
)  # fmt: skip


def hazard(panel: Panel) -> Panel:
    """One hazard ratio, where five events or more stand behind it."""
    found, who = panel.source
    require(found.n_events, found.n)
    table = safe_table(panel.table, HAZARD)
    shown = replace(found, table=table, **_sizes(found))
    parts = "; ".join(
        f"{figures.label_of(str(r['covariate']))} {theme.with_interval(Estimate(r['hr'], r['low'], r['high']))}"
        for r in table.to_dict("records")
    )
    return panel._replace(
        figure=figures.plot_hazard_ratios(shown, who=who, mark=mark_of(panel.figure)), table=table,
        sentence=f"Hazard ratio: {parts} ({said(found.n_events)} events in {said(found.n)} patients). {OBSERVATIONAL}",
    )  # fmt: skip


_KINDS = ("univariable", "multivariable")
COMPARISON = Rule(
    labels=("covariate", "level", "unit", "reference"), counts=("n", "n_events"), least=("n", "n_events"), drop=True,
    estimates={f"{kind}_{end}": RATIO for kind in _KINDS for end in ("hr", "low", "high")}
    | {f"{kind}_p_value": ".2g" for kind in _KINDS},
)  # fmt: skip


def hazard_comparison(panel: Panel) -> Panel:
    """Hazard ratios without levels of fewer than five patients or events, and without those held against such a one."""
    found, who = panel.source
    require(found.n_events, found.n)
    rows = found.table
    small = rows["reference"] & ((rows["n"] < FEWEST) | (rows["n_events"] < FEWEST) | _few_left(rows))
    rows = rows[~rows["covariate"].isin(rows.loc[small, "covariate"])].reset_index(drop=True)
    table = safe_table(rows, COMPARISON)
    lonely = table[table["level"] != ""].groupby("covariate").size()
    table = table[~table["covariate"].isin(lonely[lonely < 2].index)].reset_index(drop=True)
    if table.empty:
        require(0)
    shown = replace(found, table=numbers(table, "n", "n_events"), **_sizes(found))
    sentence = f"Each factor alone, and beside the others. {OBSERVATIONAL}"
    if len(table) < len(found.table):
        sentence += f" Levels with fewer than {FEWEST} patients or events, and what is held against them, are left out."
    return panel._replace(
        figure=figures.plot_hazard_comparison(shown, who=who, mark=mark_of(panel.figure)), table=table,
        sentence=sentence,
    )  # fmt: skip


def _few_left(rows: pd.DataFrame) -> pd.Series:
    left = rows["n"] - rows["n_events"]
    return (left > 0) & (left < FEWEST)


def mean_time(panel: Panel) -> Panel:
    """Mean times of groups that have five events or more."""
    found, who = panel.source
    require(*found.table["n"], *found.table["n_events"])
    value = "days_lost" if isinstance(found, TimeLost) else "rmst_days"
    rule = Rule(labels=("group",), counts=("n", "n_events"), estimates={c: RATIO for c in (value, "low", "high")})
    table = safe_table(found.table, rule)
    differences = found.differences
    if len(differences):
        shapes = {"difference": RATIO, "low": RATIO, "high": RATIO, "p_value": ".2g"}
        differences = differences.assign(**{c: [short(v, s) for v in differences[c]] for c, s in shapes.items()})
    shown = replace(found, table=numbers(table, "n", "n_events"), differences=differences, **_sizes(found))
    told = ", ".join(
        f"{r['group']} {theme.with_interval(Estimate(r[value], r['low'], r['high']), digits=0)}"
        for r in table.to_dict("records")
    )
    return panel._replace(
        figure=figures.plot_rmst(shown, who=who, mark=mark_of(panel.figure)), table=table,
        sentence=f"Mean days within {theme.years(found.tau_days)}: {told}. {OBSERVATIONAL}",
    )  # fmt: skip


AUC = Rule(
    labels=("horizon_days", "model_id"), counts=("n", "n_cases", "n_controls"), least=("n_cases",),
    estimates={"value": ".2f", "low": ".2f", "high": ".2f"},
)  # fmt: skip


def auc_over_time(panel: Panel) -> Panel:
    """AUC at horizons with five or more who had the event and who had not."""
    endpoint, who = panel.source
    rows = panel.table
    rows = rows[(rows["n_cases"] >= FEWEST) & (rows["n_controls"] >= FEWEST)].reset_index(drop=True)
    if rows.empty:
        require(0)
    table = safe_table(rows, AUC)
    drawn = numbers(table, "n", "n_cases", "n_controls")
    by_model = {str(m): t.assign(note="") for m, t in drawn.groupby("model_id", sort=False)}
    figure = figures.plot_time_dependent_auc(by_model, endpoint=endpoint, who=who, mark=mark_of(panel.figure))
    return panel._replace(figure=figure, table=table, sentence="How well the risk tells who has the event by each day.")


def event_calibration(panel: Panel) -> Panel:
    """Groups of five with and five without the event at least; where single risks lie is not drawn."""
    require(panel.source.n_events)
    found = safe_event_calibration(panel.source)
    if found.groups.empty:
        require(0)
    figure = theme.blank(title=panel.title, height=470, mark=mark_of(panel.figure),
                         subtitle=f"{theme.counts(found.n, found.n_events, events='events')}")  # fmt: skip
    figure.add_scatter(x=[0, 1], y=[0, 1], mode="lines", name="perfect calibration", hoverinfo="skip", showlegend=False,
                       line={"color": theme.QUIET, "width": 1, "dash": "dot"})  # fmt: skip
    style, shape = theme.style_of(found.model_id), "predicted %{x:.0%}, observed %{y:.0%}<extra></extra>"
    if len(found.curve):
        figure.add_scatter(x=found.curve["event_risk"], y=found.curve["observed"], mode="lines", name="smooth curve",
                           line={"color": style.colour, "width": 2.2}, hovertemplate=shape)  # fmt: skip
    figure.add_scatter(
        x=found.groups["mean_predicted"], y=found.groups["observed"], mode="markers", name="groups",
        marker={"color": style.colour, "size": 9, "symbol": style.marker}, hovertemplate=shape,
    )  # fmt: skip
    top = min(1.0, 1.2 * float(max(0.05, found.groups[["mean_predicted", "observed"]].max().max())))
    figure.update_xaxes(title_text="Predicted (%)", tickformat=".0%", range=[0, top])
    figure.update_yaxes(title_text="Observed by then (%)", tickformat=".0%", range=[0, top])
    sentence = (
        f"Predicted {theme.percent(found.mean_predicted)} on average, observed "
        f"{theme.with_interval(found.observed, as_percent=True)}; O:E {theme.with_interval(found.oe_ratio)}, slope "
        f"{theme.with_interval(found.slope)}."
    )
    return panel._replace(figure=figure, table=found.groups.drop(columns=["low", "high"]), sentence=sentence)


TREATMENT = Rule(
    labels=("group",), counts=("n", "n_events"), least=("n", "n_events"),
    estimates=dict.fromkeys(("hr", "low", "high", "hr_crude", "crude_low", "crude_high"), RATIO)
    | {"p_value": ".2g", "risk_difference": ".2f", "difference_low": ".2f", "difference_high": ".2f"},
)  # fmt: skip
LANDMARK = Rule(
    labels=("analysis", "day"), counts=("n", "n_exposed", "n_events"), least=("n", "n_exposed"), drop=True,
    estimates={"hr": RATIO, "low": RATIO, "high": RATIO, "p_value": ".2g"},
)  # fmt: skip


def treatment(panel: Panel) -> Panel:
    """Ratios by predicted group, where five events or more stand behind them."""
    return _ratios(panel, rule=TREATMENT, of="group", subtitle="weighted; 95 % interval; left: events/n")


def landmark(panel: Panel) -> Panel:
    """Ratios from landmarks, where five or more were treated by then and had an event."""
    kept = panel.table[panel.table["n_events"] >= FEWEST].reset_index(drop=True)
    return _ratios(panel._replace(table=kept), rule=LANDMARK, of="analysis", subtitle="95 % interval; left: events/n")


def _ratios(panel: Panel, *, rule: Rule, of: str, subtitle: str) -> Panel:
    if "hr" not in panel.table:  # risks alone, where there are too few for groups
        raise NotShown("Too few patients to compare treatments by predicted group on a shared page.")
    table = safe_table(panel.table, rule)
    if table["hr"].notna().sum() == 0:
        require(0)
    drawn = table.assign(words=[f"{r[of]} {r['n_events']}/{r['n']}" for r in table.to_dict("records")])
    endpoint = re.sub(r"^(treatment_(sublobar|sbrt)|landmark)_", "", panel.name)
    figure = figures.plot_intervals(
        drawn, of="words", value="hr", low="low", high="high", axis="Hazard ratio (log scale)", line=1,
        title=panel.title, subtitle=f"{endpoint_words(endpoint)}; {subtitle}", mark=mark_of(panel.figure),
    )  # fmt: skip
    ticks = log_ticks([1.0, *table["low"], *table["high"]])
    figure.update_xaxes(type="log", rangemode="normal", tickvals=ticks)
    told = "; ".join(
        f"{r[of]} {theme.with_interval(Estimate(r['hr'], r['low'], r['high']))}" for r in table.to_dict("records")
    )
    return panel._replace(figure=figure, table=table, sentence=f"Hazard ratio: {told}. {COMPARED_TREATMENTS}")


CARD = Rule(labels=("group", "endpoint", "kind"), counts=("n", "n_events", "at_risk"))


def outcome_card(card: Card) -> Card:
    """The printed card without its pictures of a hundred patients and its ratios; values to the nearest five."""
    values = [_read(row) for row in card.table.to_dict("records")]
    table = pd.concat([safe_table(card.table, CARD), pd.DataFrame(values, columns=["value", "low", "high"])], axis=1)
    names = list(dict.fromkeys(table["group"].astype(str)))
    sizes = {str(g): n for g, n in zip(table["group"], table["n"], strict=True)}
    by = {(str(r["endpoint"]), str(r["group"])): r for r in table.to_dict("records")}
    endpoints = list(dict.fromkeys(table["endpoint"].astype(str)))
    rows = [(endpoint_words(e).capitalize(), [_value(by.get((e, g))) for g in names]) for e in endpoints]
    groups = [(g, style.colour, f"{sizes[g]} patients") for g, style in theme.styles_of(names).items()]
    sentence = "; ".join(f"{name}: " + ", ".join(f"{g} {v}" for g, v in zip(names, cells, strict=True))
                         for name, cells in rows)  # fmt: skip
    when = re.match(r"By ([^:]+):", card.sentence)
    mark = theme.MADE_UP if theme.MADE_UP in card.html else ""
    html = plain_card(by=when[1] if when else "", groups=groups, rows=rows, mark=mark,
                      foot=f"Brackets: 95 % interval. {ROUNDED} {OBSERVATIONAL}")  # fmt: skip
    return Card(card.name, html, table, f"By {when[1]}: {sentence}." if when else f"{sentence}.", (ROUNDED,))


def _read(row: dict[str, float]) -> tuple[float, float, float]:
    """A value of the card to the nearest five patients, with Peto's interval; NaN where few had or had not the event"""
    n, left, value, falls = row["n"], row["at_risk"], row["value"], row["kind"] == "survival"
    if min(n, row["n_events"], left) < FEWEST or math.isnan(value):
        return (math.nan,) * 3
    part = round((1 - value if falls else value) * n)
    shown = in_fives(value, n)
    if part < FEWEST or is_few(n - part) or shown in (0.0, 1.0):
        return (math.nan,) * 3
    return (shown, *peto(shown, left=rounded(left), falls=falls))


def _value(row: dict[str, float] | None) -> str:
    if row is None or math.isnan(row["value"]):
        return "not shown (few patients or events)"
    return theme.with_interval(Estimate(row["value"], row["low"], row["high"]), as_percent=True)


def _sizes(found: object) -> dict[str, object]:
    return {"n": rounded(found.n), "n_events": rounded(found.n_events), "n_excluded": {}, "notes": ()}


def not_singly(_: Panel) -> Panel:
    """A figure of single patients or events.

    Raises:
        NotShown: always.
    """
    raise NotShown("This figure draws single patients or events, so it is not part of a shared page.")


_EVENT = "[a-z_]+"
POLICIES = {
    r"outcome_card_(surgery|sbrt)(_quantiles)?|outcome_card_pathology": outcome_card,
    rf"auc_{_EVENT}_(surgery|sbrt)": auc_over_time,
    rf"calibration_{_EVENT}_(surgery|sbrt)": event_calibration,
    rf"treatment_(sublobar|sbrt)_{_EVENT}": treatment,
    rf"landmark_{_EVENT}": landmark,
    rf"{_EVENT}_(surgery|sbrt)_hazard": hazard,
    rf"{_EVENT}_(surgery|sbrt)_(hazards|subdistribution)": hazard_comparison,
    rf"{_EVENT}_(surgery|sbrt)_mean_time": mean_time,
    rf"{_EVENT}_(surgery|sbrt)_constancy": not_singly,
    rf"{_EVENT}_(surgery|sbrt)(_quantiles)?|{_EVENT}_pathology": curves,
}  # fmt: skip

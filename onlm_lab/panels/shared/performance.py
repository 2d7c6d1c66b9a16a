"""What a shared performance page shows of each panel."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from onlm_lab import figures
from onlm_lab.analysis.hundred_patients import whole_of_100
from onlm_lab.figures import theme
from onlm_lab.figures.decision import REFERENCES
from onlm_lab.panels.at_threshold import SIGNS
from onlm_lab.panels.card import Card
from onlm_lab.panels.panel import Panel
from onlm_lab.panels.shared.counts import FEW, FEWEST, ROUNDED, is_few, rounded, said, share
from onlm_lab.panels.shared.curves import called, safe_calibration, safe_estimate, safe_point, safe_roc, spaced
from onlm_lab.panels.shared.refusing import NotShown
from onlm_lab.panels.shared.tables import Rule, Share, numbers, safe_table, short
from onlm_lab.panels.side_by_side import TITLE as MODELS_TITLE
from onlm_lab.panels.side_by_side import models_page
from onlm_lab.results import DecisionCurve, Estimate, PerThousand

SAY_AUC = "AUC: of a random N+ and a random N0 patient, how often the N+ patient has the higher risk."


def mark_of(figure: go.Figure) -> str:
    """The words that were laid across a figure."""
    return next((str(note.text) for note in figure.layout.annotations if note.name == "mark"), "")


def require(*counts: float) -> None:
    """Refuse what rests on fewer than five patients."""
    if min(counts) < FEWEST:
        raise NotShown("Too few patients or events: what rests on fewer than five is not part of a shared page.")


def roc(panel: Panel) -> Panel:
    """ROC curves at points five N+ and five N0 apart; rates of rounded counts."""
    rocs, points = panel.source
    require(*(r.n_events for r in rocs), *(r.n - r.n_events for r in rocs))
    curves, marks = [safe_roc(r) for r in rocs], [safe_point(p) for p in points]
    if not math.isnan(points[0].threshold):  # the reader's: it stands on the grid of the first model alone
        nothing = Estimate(math.nan)
        marks[1:] = [replace(m, sensitivity=nothing, specificity=nothing, ppv=nothing, npv=nothing) for m in marks[1:]]
    rates = ("sensitivity", "specificity", "ppv", "npv")
    table = pd.DataFrame(
        {"model_id": r.model_id, "n": r.n, "n_positive": r.n_events, **_spread("auc", figures.preferred_auc(r))}
        | {k: v for rate in rates for k, v in _spread(rate, getattr(p, rate)).items()}
        for r, p in zip(curves, marks, strict=True)
    )
    drawn = [p for p in marks if not (math.isnan(p.sensitivity.value) or math.isnan(p.specificity.value))]
    figure = figures.plot_roc(curves, points=drawn, mark=mark_of(panel.figure))
    for trace in figure.data:
        if trace.customdata is not None:  # the ends of a curve have no threshold that is anybody's
            trace.update(hovertemplate="sensitivity %{y:.1%}, 1 − specificity %{x:.1%}<extra></extra>", customdata=None)
    first = curves[0]
    sentence = (
        f"{first.model_id}: AUC {theme.with_interval(figures.preferred_auc(first))} ({said(first.n_events)} N+ of "
        f"{said(first.n)}). {SAY_AUC}"
    )
    return panel._replace(figure=figure, table=table, sentence=sentence)


def calibration(panel: Panel) -> Panel:
    """Calibration by groups of five N+ and five N0 at least."""
    require(*(c.n_events for c in panel.source), *(c.n - c.n_events for c in panel.source))
    found = [safe_calibration(c) for c in panel.source]
    names = ("intercept", "slope", "oe_ratio")
    table = pd.DataFrame(
        {"model_id": c.model_id, "n": c.n, "n_positive": c.n_events}
        | {k: v for name in names for k, v in _spread(name, getattr(c, name)).items()}
        | {"ici": short(c.ici, ".2f"), "e90": short(c.e90, ".2f"), "brier": c.brier.value}
        for c in found
    )
    first = found[0]
    sentence = (
        f"{first.model_id}: for each N+ patient that was predicted, {theme.with_interval(first.oe_ratio)} were seen "
        f"(observed : expected; 1 is right); slope {theme.with_interval(first.slope)}."
    )
    figure = figures.plot_calibration(found, mark=mark_of(panel.figure))
    return panel._replace(figure=figure, table=table, sentence=sentence)


def operating_point(panel: Panel) -> Panel:
    """Of 1,000 patients, by rounded counts."""
    point = panel.source
    require(point.n_tp + point.n_fn, point.n_tn + point.n_fp)
    cells = {"N+ found": point.n_tp, "N+ missed": point.n_fn, "N0 spared": point.n_tn, "N0 called positive": point.n_fp}
    shares = {name: share(n, point.n) for name, n in cells.items()}
    table = pd.DataFrame(
        [(name, 1000 * s.value, 1000 * s.low, 1000 * s.high) for name, s in shares.items()],
        columns=["outcome", "patients", "low", "high"],
    ).round(0)
    n, n_events = rounded(point.n), rounded(point.n_events)
    drawn = PerThousand(table=table, threshold=point.threshold, prevalence=n_events / n, at_target=False, level=0.95,
                        model_id=point.model_id, n=n, n_events=n_events)  # fmt: skip
    told = "; ".join(f"{name} {theme.number(v, digits=0)}" for name, v in zip(table["outcome"], table["patients"],
                                                                             strict=True))  # fmt: skip
    return panel._replace(figure=figures.plot_operating_point(drawn, mark=mark_of(panel.figure)), table=table,
                          sentence=f"Of 1,000 such patients: {told}. A dash: few patients.")  # fmt: skip


def decision_curve(panel: Panel) -> Panel:
    """Net benefit of rounded counts, at thresholds that are five N+ and five N0 apart."""
    curve, threshold, rocs = panel.source
    require(*(r.n_events for r in rocs), *(r.n - r.n_events for r in rocs))
    tried = np.array(sorted(curve.table["threshold"].unique()))
    tables = [_net_benefits(r, tried, whole=curve.table) for r in rocs]
    odds = tried / (1 - tried)
    prevalence = rounded(rocs[0].n_events) / rounded(rocs[0].n)
    lines = {"treat_all": prevalence - (1 - prevalence) * odds, "treat_none": np.zeros(len(tried))}
    tables += [pd.DataFrame({"model_id": name, "threshold": tried, "net_benefit": np.round(line, 3), "low": math.nan,
                             "high": math.nan}) for name, line in lines.items()]  # fmt: skip
    table = pd.concat([t for t in tables if len(t)], ignore_index=True)
    drawn = DecisionCurve(table=table.assign(interventions_avoided=math.nan), n=rounded(curve.n),
                          n_events=rounded(curve.n_events), apparent=curve.apparent)  # fmt: skip
    figure = figures.plot_decision_curve(drawn, threshold=threshold, mark=mark_of(panel.figure))
    for trace in figure.data:
        if trace.hovertemplate:
            name = REFERENCES.get(trace.name, (trace.name,))[0]
            trace.update(customdata=None, hovertemplate=f"{name}: %{{y:.2f}} at %{{x:.0%}}<extra></extra>")
    return panel._replace(
        figure=figure, table=table,
        sentence=f"Net benefit weighs N+ patients found against needless work-ups (n = {said(curve.n)}); it is "
        "higher where the risk is worth acting on than where everybody or nobody is worked up.",
    )  # fmt: skip


def _net_benefits(roc_of: object, tried: np.ndarray, *, whole: pd.DataFrame) -> pd.DataFrame:
    n_negative = roc_of.n - roc_of.n_events
    tp, fp = called(roc_of, tried)
    kept = spaced(roc_of.n_events - tp, n_negative - fp, totals=(roc_of.n_events, n_negative))
    n, limits = rounded(roc_of.n), whole[whole["model_id"] == roc_of.model_id].set_index("threshold")
    rows = []
    for i in kept:
        t = float(tried[i])
        benefit = rounded(tp[i]) / n - rounded(fp[i]) / n * t / (1 - t)
        low, high = (short(limits.loc[tried[i], name], ".2f") for name in ("low", "high"))
        rows.append((roc_of.model_id, t, round(benefit, 3), min(low, benefit), max(high, benefit)))
    return pd.DataFrame(rows, columns=["model_id", "threshold", "net_benefit", "low", "high"])


DIFFERENCES = Rule(
    labels=("model_a", "model_b"), counts=("n", "n_positive"), least=("n", "n_positive"),
    estimates={"difference": ".2f", "difference_low": ".2f", "difference_high": ".2f", "p_value": ".2g"},
)  # fmt: skip


def auc_differences(panel: Panel) -> Panel:
    """Differences of the AUC with two decimals."""
    table = safe_table(panel.table, DIFFERENCES)
    drawn = table.assign(pair=table["model_a"] + " − " + table["model_b"])
    counted = theme.safe(f"n = {table['n'].iloc[0]}, N+ {table['n_positive'].iloc[0]}")
    figure = figures.plot_intervals(
        drawn, of="pair", value="difference", low="difference_low", high="difference_high", title=panel.title,
        subtitle=f"{counted}; paired DeLong, 95 % interval",
        axis="Difference of AUC (right: the first is better)", line=0, mark=mark_of(panel.figure),
    )  # fmt: skip
    told = "; ".join(f"{r['pair']} {_interval(r, 'difference')}" for r in drawn.to_dict("records"))
    return panel._replace(figure=figure, table=table, sentence=f"Difference of AUC in the same patients: {told}.")


_MEASURES = ("auc", "oe_ratio")
SUBGROUPS = Rule(
    labels=("column", "level"), counts=("n", "n_positive"),
    estimates={f"{m}{end}": ".2f" for m in _MEASURES for end in ("", "_low", "_high")},
    shares={"sensitivity": Share("n_positive"), "specificity": Share("n", less="n_positive")},
    least=("n", "n_positive"), drop=True,
)  # fmt: skip


def subgroups(panel: Panel) -> Panel:
    """A forest without the levels that hold fewer than five N+ or five N0; rates of rounded counts."""
    found, measure, *who = panel.source
    require(found.n_events, found.n - found.n_events)
    table = safe_table(found.table, SUBGROUPS)
    if table.empty:
        require(0)
    drawn = numbers(table, "n", "n_positive").assign(note="")
    shown = replace(found, table=drawn, interaction=_tests(found.interaction, table), n=rounded(found.n),
                    n_events=rounded(found.n_events), n_excluded={}, notes=())  # fmt: skip
    figure = figures.plot_subgroups(shown, measure=measure, mark=mark_of(panel.figure))
    left_out = len(found.table) > len(table)
    only = f"{who[0]}. " if who and who[0] else ""
    return panel._replace(
        figure=figure, table=table,
        sentence=f"{only}P: whether the risk works differently between the levels of a factor. "
        "No evidence of a difference is not evidence of none."
        + (" Levels with fewer than five N+ or five N0 are left out." if left_out else ""),
    )  # fmt: skip


def _tests(tests: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    kept = tests[tests["column"].isin(table["column"])] if len(tests) else tests
    return kept.assign(p_value=[short(p, ".2g") for p in kept["p_value"]]) if len(kept) else kept


def _interval(row: dict[str, float], name: str) -> str:
    return theme.with_interval(Estimate(row[name], row[f"{name}_low"], row[f"{name}_high"]))


def _spread(name: str, one: Estimate) -> dict[str, float]:
    return {name: one.value, f"{name}_low": one.low, f"{name}_high": one.high}


def hundred(panel: Panel) -> Panel:
    """A hundred signs, of rounded counts; a kind of one to four patients has none, and its legend says so."""
    point = panel.source
    require(point.n_tp + point.n_fn, point.n_tn + point.n_fp)
    cells = dict(zip(SIGNS, (point.n_tp, point.n_fn, point.n_fp, point.n_tn), strict=True))
    parts = np.array([rounded(n) for n in cells.values()], dtype=float)
    drawn = [int(n) for n in whole_of_100(parts / parts.sum())]
    kinds = [f"{kind} ({FEW} patients)" if is_few(n) else kind for kind, n in cells.items()]
    of_1000 = [1000 * s.value for s in (share(n, point.n) for n in cells.values())]
    table = pd.DataFrame({"outcome": list(cells), "of_1000": np.round(of_1000),
                          "of_100": [FEW if is_few(n) else k for n, k in zip(cells.values(), drawn, strict=True)],
                          })  # fmt: skip
    counted = f"n = {said(point.n)}, N+ {said(point.n_events)}"
    figure = figures.plot_hundred(
        dict(zip(kinds, drawn, strict=True)), signs=dict(zip(kinds, SIGNS.values(), strict=True)), title=panel.title,
        subtitle=theme.safe(f"{point.model_id}; from {counted}"), mark=mark_of(panel.figure),
    )  # fmt: skip
    told = "; ".join(f"{kind} {k}" for kind, k in zip(cells, table["of_100"], strict=True))
    return panel._replace(figure=figure, table=table, sentence=f"Of 100 such patients, in whole patients: {told}.")


FOOT = (
    "Brackets: 95 % interval of each number alone. Slope: 1 is right, below 1 the high risks are too high. At a "
    "reader's threshold the rates of the chosen model alone are told."
)


def models(card: Card) -> Card:
    """The models side by side without their net benefit; rates of rounded counts."""
    require(*(n for r, _, _ in card.source for n in (r.n_events, r.n - r.n_events)))
    rows, lines = [], []
    for k, (curve, point, slope) in enumerate(card.source):
        marks = safe_point(point)
        if k and not math.isnan(point.threshold):  # it stands on the grid of the first model alone
            marks = replace(marks, sensitivity=Estimate(math.nan), specificity=Estimate(math.nan))
        found = {"AUC": safe_estimate(figures.preferred_auc(curve)), "Sensitivity": marks.sensitivity,
                 "Specificity": marks.specificity, "Calibration slope": safe_estimate(slope)}  # fmt: skip
        lines.append((curve.model_id, f"{said(curve.n_events)} of {said(curve.n)}", found))
        rows.append({"model_id": curve.model_id, "n": rounded(curve.n), "n_positive": rounded(curve.n_events)}
                    | {k: v for label, one in found.items()
                       for k, v in _spread(label.lower().replace(" ", "_"), one).items()})  # fmt: skip
    reader = card.source[0][1].threshold
    at = (
        "Each model's own thresholds, as the study fixed them" if math.isnan(reader) else f"Risk ≥ {100 * reader:.1f} %"
    )
    mark = theme.MADE_UP if theme.MADE_UP in card.html else ""
    page = models_page(lines, at=at, chosen=lines[0][0], mark=mark, foot=f"{FOOT} {ROUNDED}")
    return Card(card.name, page, pd.DataFrame(rows), f"{MODELS_TITLE} {at}. {FOOT}", (ROUNDED,))


POLICIES = {
    "hundred_patients": hundred, "models": models, "roc": roc, "calibration": calibration,
    "operating_point": operating_point, "decision_curve": decision_curve, "auc_differences": auc_differences,
    "subgroups": subgroups,
}  # fmt: skip

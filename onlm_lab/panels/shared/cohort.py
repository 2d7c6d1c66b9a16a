"""What a shared cohort page shows: counts in fives, tables in which no cell betrays another."""

from __future__ import annotations

import math
import re

import pandas as pd
import plotly.graph_objects as go

from onlm_lab import figures
from onlm_lab.figures import theme
from onlm_lab.panels.cohort import GROUPS, TREATMENTS, characteristic
from onlm_lab.panels.described import MOST_CENTRES, WHO
from onlm_lab.panels.left_out import SERIES
from onlm_lab.panels.panel import Panel
from onlm_lab.panels.shared.counts import FEW, FEWEST, is_few, rounded, said, share
from onlm_lab.panels.shared.performance import mark_of, require
from onlm_lab.panels.shared.refusing import NotShown
from onlm_lab.panels.shared.tables import Rule, Share, numbers, safe_table, short

LEAST_QUARTILES = 20  # patients whose quartiles are told: five in each quarter
MONTH_DAYS = 30
ALL = "All centres"


def _bars(drawn: pd.DataFrame, *, series: dict[str, str], **said_of: object) -> go.Figure:
    """Bars of rounded counts. Nothing is said at the end of a bar that stands for few, nor of a stack: rounded parts do
    not add up to their rounded total."""
    figure = figures.plot_counts(drawn, series=series, **said_of)
    ends = next(trace for trace in figure.data if trace.name == "sum")
    if len(series) > 1:
        figure.data = [trace for trace in figure.data if trace is not ends]
    else:
        ends.text = [f" {n:,} " if n else "" for n in drawn[next(iter(series))]]
    return figure


FLOW = Rule(labels=("centre",), counts=("n_screened", "n_excluded", "n_undetermined", "n_eligible"))


def flow(panel: Panel) -> Panel:
    """The flow diagram with each number to the nearest five."""
    table = safe_table(panel.table, FLOW)
    figure = theme.blank(title=panel.title, height=panel.figure.layout.height, mark=mark_of(panel.figure),
                         subtitle="Patients screened, and how many are left after each rule")  # fmt: skip
    for trace in panel.figure.data:
        if trace.name in ("left", "out"):
            figure.add_trace(trace)
            figure.data[-1].update(text=[_bold_rounded(str(text)) for text in trace.text])
    arrows = [note for note in panel.figure.layout.annotations if not note.text]
    figure.update_layout(shapes=panel.figure.layout.shapes, margin=panel.figure.layout.margin,
                         annotations=[*figure.layout.annotations, *arrows])  # fmt: skip
    figure.update_xaxes(**_range(panel.figure.layout.xaxis))
    figure.update_yaxes(**_range(panel.figure.layout.yaxis))
    screened, eligible = (_told(table[name].iloc[-1]) for name in ("n_screened", "n_eligible"))
    sentence = f"Of {screened} patients screened in all centres, {eligible} are eligible."
    return panel._replace(figure=figure, table=table, sentence=sentence)


def _bold_rounded(text: str) -> str:
    """The numbers of a box, which stand in bold, to the nearest five; those of a rule's own words stay."""
    number = re.compile(r"\d[\d,]*")
    return re.sub(r"<b>(.*?)</b>", lambda bold: "<b>" + number.sub(
        lambda n: theme.safe(said(int(n[0].replace(",", "")))), bold[1]) + "</b>", text)  # fmt: skip


def _told(shown: object) -> str:
    return f"{shown:,}" if isinstance(shown, int) else str(shown)


def _range(axis: object) -> dict[str, object]:
    return {"visible": False, "range": axis.range, "fixedrange": True}


RULE_BY_CENTRE = Rule(labels=("centre",), counts=("n_in", "n_excluded", "n_undetermined", "n_left"))


def rule_by_centre(panel: Panel) -> Panel:
    """Who left at one rule, centre by centre."""
    table = safe_table(panel.table, RULE_BY_CENTRE)
    drawn = numbers(table[table["centre"] != ALL], *RULE_BY_CENTRE.counts)
    figure = _bars(drawn, of="centre", series=SERIES, title=panel.title, mark=mark_of(panel.figure))
    total = table.iloc[-1]
    sentence = (
        f"Of {_told(total['n_in'])} patients who reached this rule, {_told(total['n_excluded'])} were excluded and "
        f"{_told(total['n_undetermined'])} stayed undetermined because a value that matters is missing."
    )
    return panel._replace(figure=figure, table=table, sentence=sentence)


UNDETERMINED = Rule(labels=("column",), counts=("patients", "alone"))


def undetermined(panel: Panel) -> Panel:
    """What is wanted most, counted; never the list of patients."""
    if set(panel.table.columns) != {"column", "patients", "alone"}:
        raise NotShown("This table lists single patients, so it is not part of a shared page.")
    table = _in_order(safe_table(panel.table, UNDETERMINED), by="patients", name="column")
    drawn = numbers(table, "patients", "alone")
    figure = _bars(drawn, of="column", series={"patients": "Patients"}, title=panel.title,
                                 mark=mark_of(panel.figure))  # fmt: skip
    sentence = "What would have to be looked up, and in how many patients; one can miss several values."
    return panel._replace(figure=figure, table=table, sentence=sentence)


def _in_order(table: pd.DataFrame, *, by: str, name: str) -> pd.DataFrame:
    """Rows by what is shown of them, then by name: their order must not tell more than their numbers."""
    order = numbers(table, by).sort_values([by, name], ascending=[False, True]).index
    return table.loc[order].reset_index(drop=True)


CENTRES = Rule(labels=("centre",), counts=("n", *WHO, "n_lost"))


def centres(panel: Panel) -> Panel:
    """Patients of each centre; no first and last day of anybody."""
    table = safe_table(panel.table, CENTRES)
    drawn = numbers(table, *CENTRES.counts)
    series = {k: v for k, v in WHO.items() if drawn[k].any()} or {"n": "Patients"}
    figure = _bars(drawn, of="centre", series=series, title=panel.title, mark=mark_of(panel.figure))
    return panel._replace(figure=figure, table=table, sentence=f"Patients come from {len(table)} centres.")


def accrual(panel: Panel) -> Panel:
    """Patients by year and centre."""
    names = [c for c in panel.table.columns if c != "year"]
    table = safe_table(panel.table, Rule(labels=("year",), counts=tuple(names)))
    drawn = numbers(table, *names)
    order = drawn[[n for n in names if n != ALL]].sum().sort_values(ascending=False, kind="stable").index.tolist()
    own = order if len(order) <= MOST_CENTRES + 1 else order[:MOST_CENTRES]
    series = {f"centre {i}": name for i, name in enumerate(own)}
    shown = drawn[["year"]].assign(**{key: drawn[name] for key, name in series.items()})
    if len(own) < len(order):
        shown["others"] = drawn[order[len(own) :]].sum(axis=1)
        series["others"] = "other centres"
    figure = _bars(shown, of="year", series=series, upright=True, axis="Year of treatment",
                                 title=panel.title, mark=mark_of(panel.figure))  # fmt: skip
    return panel._replace(figure=figure, table=table, sentence="Patients by the year of their treatment.")


def missing(panel: Panel) -> Panel:
    """The share that is missing, of rounded counts."""
    rows = panel.table.to_dict("records")
    table = pd.DataFrame({
        "column": panel.table["column"], "group": panel.table["group"],
        "n": [said(r["n"]) for r in rows], "n_missing": [said(r["n_missing"]) for r in rows],
        "fraction": [share(r["n_missing"], r["n"]).value for r in rows],
    })  # fmt: skip
    drawn = table.assign(n=[rounded(r["n"]) for r in rows], n_missing=[rounded(r["n_missing"]) for r in rows])
    names = {c: characteristic(str(c)) for c in table["column"].unique()}
    figure = figures.plot_missing(drawn, names=names, mark=mark_of(panel.figure))
    return panel._replace(figure=figure, table=table, sentence="Which centre lacks what; a dash stands for few.")


FOLLOW_UP = Rule(labels=("group",), counts=("n", "n_deaths"))


def follow_up(panel: Panel) -> Panel:
    """Median follow-up of groups of twenty or more, in whole months: a median is one patient's own day."""
    rows = panel.table[panel.table["n"] >= LEAST_QUARTILES].reset_index(drop=True)
    if rows.empty:
        require(0)
    months = {c: [short(d / MONTH_DAYS, ".0f") for d in rows[c]] for c in ("median_days", "low", "high")}
    table = safe_table(rows, FOLLOW_UP).assign(
        median_months=months["median_days"], low_months=months["low"], high_months=months["high"]
    )
    words = [f"{_words(g)} (n = {n})" for g, n in zip(table["group"], table["n"], strict=True)]
    figure = figures.plot_intervals(
        table.assign(words=words), of="words", value="median_months", low="low_months", high="high_months",
        axis=f"Months of {MONTH_DAYS} days", title=panel.title,
        subtitle="median and 95 % interval by reverse Kaplan-Meier", mark=mark_of(panel.figure),
    )  # fmt: skip
    return panel._replace(figure=figure, table=table, sentence="Median follow-up, to the nearest month.")


def reference_standard(panel: Panel) -> Panel:
    """How often the nodes held cancer, of rounded counts."""
    by = str(panel.table.columns[0])
    counts = ("n", "n_labelled", "n_positive", *(c for c in ("n0", "n1", "n2", "n3") if c in panel.table))
    rule = Rule(labels=(by,), counts=counts, shares={"positive_fraction": Share("n_labelled")}, least=("n_labelled",))
    table = safe_table(panel.table, rule)
    rows = table.to_dict("records")
    drawn = table.assign(words=[f"{_words(r[by])}: {r['n_positive']}/{r['n_labelled']}" for r in rows])
    figure = figures.plot_intervals(
        drawn, of="words", value="positive_fraction", low="positive_fraction_low", high="positive_fraction_high",
        scale=100, axis="N+ (%)", title=panel.title, subtitle="beside each name: N+ of the labelled; 95 % interval",
        mark=mark_of(panel.figure),
    )  # fmt: skip
    return panel._replace(figure=figure, table=table, sentence="N+ among the labelled patients of the surgery arm.")


def no_label(panel: Panel) -> Panel:
    """Why patients have no label, counted."""
    table = _in_order(safe_table(panel.table, Rule(labels=("reason",), counts=("n",))), by="n", name="reason")
    figure = _bars(numbers(table, "n"), of="reason", series={"n": "Patients"}, title=panel.title,
                                 mark=mark_of(panel.figure))  # fmt: skip
    return panel._replace(figure=figure, table=table, sentence="Why patients have no label.")


_COUNT = re.compile(r"^([\d,]+)(?: \(([\d.]+) %\))?$")
_MEDIAN = ", median (quartiles)"


def table_1(panel: Panel) -> Panel:
    """Table 1: counts to the nearest five with the percentages of these; groups of fewer than five left out."""
    table = panel.table
    fixed = ["Characteristic", "Missing", "SMD"]
    groups = [c for c in table.columns if c not in fixed]
    sizes = {g: int(str(table[g].iloc[0]).replace(",", "") or 0) for g in groups}
    kept = [g for g in groups if sizes[g] >= FEWEST]
    if len(kept) < 2:
        require(0)
    lines, head, lost = [], 0, 0
    for row in table.to_dict("records"):
        label = str(row["Characteristic"])
        if row["Missing"] != "":
            lost = int(row["Missing"])
        shown = {g: _cell(str(row[g]), label=label, n=sizes[g] - lost) for g in kept}
        smd = "" if len(kept) < len(groups) else row["SMD"]
        lines.append({"Characteristic": label, **shown, "Missing": row["Missing"] and said(int(row["Missing"])),
                      "SMD": smd})  # fmt: skip
        head = len(lines) - 1 if row["SMD"] != "" else head
        if any(FEW in cell for cell in shown.values()):
            lines[head]["SMD"] = ""
    safe = pd.DataFrame(lines, columns=["Characteristic", *kept, "Missing", "SMD"])
    told = safe[safe["SMD"] != ""]
    drawn = pd.DataFrame({
        "name": told["Characteristic"].str.replace(r", (n \(%\)|median \(quartiles\))$", "", regex=True),
        "smd": told["SMD"].astype(float),
    })  # fmt: skip
    figure = figures.plot_intervals(
        drawn, of="name", value="smd", axis="SMD", line=0.1, title=panel.title, mark=mark_of(panel.figure),
        subtitle="SMD: standardised mean difference, dotted at 0.1; left out where a group has a small cell",
    )  # fmt: skip
    return panel._replace(figure=figure, table=safe, sentence="Table 1: who the patients are, group by group.")


def _cell(text: str, *, label: str, n: int) -> str:
    counted = _COUNT.match(text)
    if counted and not label.endswith(_MEDIAN):
        count = int(counted[1].replace(",", ""))
        if counted[2] is None or count == 0 or is_few(count):
            return said(count)
        of = round(100 * count / float(counted[2]))
        part = share(count, max(of, count)).value
        return said(count) if math.isnan(part) else f"{said(count)} ({100 * part:.0f} %)"
    if label.endswith(_MEDIAN) and n >= LEAST_QUARTILES:
        return re.sub(r"\d+(?:\.\d+)?", lambda v: f"{float(format(float(v[0]), '.2g')):g}", text)
    return "" if text == "" else "–"


def _words(group: object) -> str:
    name = str(group)
    known = GROUPS["onlm"] | GROUPS["arm"] | TREATMENTS | {"all": "All"}
    return known.get(name, name.replace("_", " "))


def differences_of_patients(_: Panel) -> Panel:
    """What moves one limit, and shows who crosses it.

    Raises:
        NotShown: always.
    """
    raise NotShown(
        "What moving a limit would change is not part of a shared page: the difference between two positions would "
        "show single patients."
    )


def list_of_patients(_: Panel) -> Panel:
    """A list of patients.

    Raises:
        NotShown: always.
    """
    raise NotShown("This table lists single patients, so it is not part of a shared page.")


POLICIES = {
    "flow": flow, "rule_by_centre": rule_by_centre, "what-if": differences_of_patients, "undetermined": undetermined,
    "patients_left_out": list_of_patients, "table_1": table_1, "centres": centres, "accrual": accrual,
    "missing": missing, "follow_up": follow_up, "reference_standard": reference_standard, "no_label": no_label,
}  # fmt: skip

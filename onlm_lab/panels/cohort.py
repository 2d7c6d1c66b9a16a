"""Cohort: who is in and why, and who they are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import pandas as pd

from onlm_lab import figures
from onlm_lab.cohort.summary import table_one
from onlm_lab.cohort.what_if import WhatIf
from onlm_lab.figures.subgroup import LEVELS
from onlm_lab.panels.panel import Panel
from onlm_lab.schema import Column


def flow_panel(flow: pd.DataFrame, *, centre: str | None = None, mark: str = "") -> Panel:
    """The flow of a screening over all centres, or of one, with the table by centre.

    Args:
        flow: a row a centre and rule: centre ("all" is their sum), rule, n_in, n_excluded, n_undetermined, n_left;
            text, where the rules have one.
        centre: one centre; None: all of them.
        mark: words laid across the figure.

    Raises:
        OnlmError: no such centre (nearest offered).
    """
    steps = figures.flow_counts(flow, centre=centre)
    n_in, n_left = (int(steps["n_in"].iloc[0]), int(steps["n_left"].iloc[-1])) if len(steps) else (0, 0)
    lost = steps.assign(lost=steps["n_excluded"] + steps["n_undetermined"]).sort_values("lost", ascending=False)
    most = lost[lost["lost"] > 0].head(1)
    share = f" ({100 * n_left / n_in:.0f} %)" if n_in else ""
    sentence = f"Of {n_in:,} patients screened{f' in {centre}' if centre else ''}, {n_left:,}{share} are eligible."
    if len(most):
        rule = most.iloc[0]
        said = f" Most were left out at '{rule['text']}': {int(rule['n_excluded']):,} excluded"
        if rule["n_undetermined"]:
            said += f", {int(rule['n_undetermined']):,} undetermined because a value that matters is missing"
        sentence += f"{said}."
    return Panel("flow", "Who is in the study, and who was left out?",
                 figures.plot_flow(flow, centre=centre, mark=mark), centre_table(flow), sentence)  # fmt: skip


def centre_table(flow: pd.DataFrame) -> pd.DataFrame:
    """The flow by centre: centre, n_screened, n_excluded, n_undetermined, n_eligible; the last row is all centres."""
    rows = [
        {
            "centre": str(centre), "n_screened": int(steps["n_in"].iloc[0]),
            "n_excluded": int(steps["n_excluded"].sum()), "n_undetermined": int(steps["n_undetermined"].sum()),
            "n_eligible": int(steps["n_left"].iloc[-1]),
        }
        for centre, steps in figures.of_centres(flow).groupby("centre", sort=True)
    ]  # fmt: skip
    columns = ["centre", "n_screened", "n_excluded", "n_undetermined", "n_eligible"]
    table = pd.DataFrame(rows, columns=columns)
    total = table.drop(columns="centre").sum().astype(int).to_dict()
    return pd.concat([table, pd.DataFrame([{"centre": "All centres", **total}])], ignore_index=True)


def rule_by_centre(flow: pd.DataFrame, *, count: str = "n_excluded") -> pd.DataFrame:
    """Who was left out at each rule in each centre: a row a rule, a column a centre, then all centres.

    Args:
        flow: as flow_panel.
        count: "n_excluded" or "n_undetermined".
    """
    flow, steps = figures.of_centres(flow), figures.flow_counts(flow)
    wide = flow.pivot_table(index="rule", columns="centre", values=count, sort=False)[sorted(flow["centre"].unique())]
    wide = wide.loc[steps["rule"]].astype(int)
    told = pd.concat([steps["text"], wide.reset_index(drop=True), wide.sum(axis=1).reset_index(drop=True)], axis=1)
    return told.set_axis(["Rule", *map(str, wide.columns), "All centres"], axis=1)


def undetermined_table(undetermined: pd.DataFrame, *, rules: pd.DataFrame) -> pd.DataFrame:
    """Whom to look up, and what: a row a patient, with each open rule's text and the columns that could settle it.

    Args:
        undetermined: Screening.undetermined.
        rules: Screening.rules.
    """
    texts = rules.set_index("name")["text"]
    lines = undetermined.assign(text=undetermined["rule"].map(texts).fillna(undetermined["rule"]))
    rows = [
        {
            "Patient": patient, "Cannot be told": "; ".join(part["text"]),
            "To look up": ", ".join(
                characteristic(name)
                for name in dict.fromkeys(n for cell in part["missing"] for n in cell.split(", ") if n)
            ),
        }
        for patient, part in lines.groupby("patient_id", sort=False)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["Patient", "Cannot be told", "To look up"], dtype=object)


def look_up_counts(undetermined: pd.DataFrame) -> pd.DataFrame:
    """Which columns leave how many patients undetermined: column, patients, and for how many it is the only one.

    Args:
        undetermined: Screening.undetermined.
    """
    each = undetermined.assign(column=undetermined["missing"].str.split(", ")).explode("column")
    each = each[each["column"] != ""]
    pairs = each.drop_duplicates(["patient_id", "column"])
    alone = pairs.groupby("patient_id")["column"].transform("size") == 1
    told = pd.DataFrame(
        {"patients": pairs["column"].value_counts(), "alone": pairs.loc[alone, "column"].value_counts()}
    )
    told = told.fillna(0).astype(int).rename_axis("column").reset_index()
    told = told.sort_values(["patients", "column"], ascending=[False, True], ignore_index=True)
    return told.assign(column=[characteristic(name) for name in told["column"]])


LIMITS = {
    "min_age_years": "Least age (years)", "min_kps": "Least KPS",
    "imaging_trigger_mm": "Diameter from which PET/CT or invasive staging is wanted (mm)",
}  # fmt: skip


def what_if_panel(
    found: WhatIf, *, stack: Literal["arm", "label"] = "arm", value: float | None = None, mark: str = ""
) -> Panel:
    """How many patients would be in if one limit moved.

    Args:
        found: cohort.what_if.
        stack: "arm", or "label".
        value: the value that the sentence speaks of, one of the table's; None: the one that brings most,
            and the limit is called as study.toml calls it.
        mark: words laid across the figure.
    """
    table = found.table
    every = table[table["centre"] == "all"] if "centre" in table else table
    best = every.loc[every["n_more"].idxmax()] if value is None else every[every["value"] == value].iloc[0]
    name = LIMITS.get(found.limit, found.limit) if value is not None else found.limit
    sentence = f"With {name} at {found.current:g}, {found.n_now:,} of {found.n:,} patients are eligible."
    if best["n_more"] > 0:
        no_arm = f", {int(best['gained_no_arm']):,} not known" if best["gained_no_arm"] else ""
        sentence += (
            f" At {best['value']:g} there would be {int(best['n_more']):,} more: {int(best['gained_surgery']):,} "
            f"surgery, {int(best['gained_sbrt']):,} SBRT{no_arm}; {int(best['gained_labelled']):,} of them labelled, "
            f"{int(best['gained_positive']):,} N+."
        )
    elif value is not None and value != found.current:
        n = -int(best["n_more"])
        sentence += f" At {value:g} there would be {f'{n:,} fewer' if n else 'as many'}."
    figure = figures.plot_what_if(table, limit=name, current=found.current, stack=stack, mark=mark)
    return Panel("what-if", "How many patients would be in if this limit moved?", figure, table, sentence, found.notes)


GROUPS = {
    "onlm": {"0": "N0", "1": "N+"},
    "arm": {"surgery": "Surgery", "sbrt": "SBRT"},
}  # fmt: skip
NAMES = {
    "derived_t": "Clinical T, derived (AJCC 8)",
    "derived_stage": "Clinical stage, derived (AJCC 8)", "pet_ct_done": "PET/CT done",
    "pack_years": "Smoking dose (pack-years)",
    "pathological_n": "Pathological N", "ct_quality": "CT quality", "followup_agreed": "Willing to be followed up",
    "neuropsychiatric_exclusion": "Neuropsychiatric disorder judged to interfere",
    "lost_to_followup": "Lost to follow-up", "nsclc_confirmed": "NSCLC confirmed",
}  # fmt: skip
TREATMENTS = {"sbrt": "SBRT"}
INDENT = "\u2003"


def baseline_table(
    patients: pd.DataFrame, *, by: str, columns: Sequence[str] | None = None, extra_columns: Iterable[Column] = ()
) -> pd.DataFrame:
    """Table 1 as a reader wants it: a line a characteristic or level, a column a group, all of it text.

    Args:
        patients: one row a patient.
        by: "onlm" or "arm" (named in words), or any column.
        columns: what to show; None: what Table 1 usually shows and the patients have.
        extra_columns: the study's own columns.
    """
    raw = table_one(patients, by=by, columns=columns, extra_columns=extra_columns)
    fixed = ["variable", "level", "n_missing", "smd"]
    order = [k for k in GROUPS.get(by, {}) if k in raw] or [c for c in raw.columns if c not in (*fixed, "overall")]
    lines: list[dict[str, str]] = []
    for name, rows in raw.groupby("variable", sort=False):
        first = rows.iloc[0]
        cells = {"n_missing": "" if name == "patients" else f"{first['n_missing']:.0f}", "smd": _smd(first["smd"])}
        one_line = len(rows) == 1 and str(first["level"]) in ("n", "1", "median (Q1-Q3)")
        label = "Patients" if name == "patients" else characteristic(str(name))
        if one_line:
            unit = {"n": "", "1": ", n (%)"}.get(str(first["level"]), ", median (quartiles)")
            lines.append({"": label + unit} | {g: first[g] for g in ("overall", *order)} | cells)
            continue
        lines.append({"": f"{label}, n (%)"} | dict.fromkeys(("overall", *order), "") | cells)
        for row in rows.to_dict("records"):
            said = TREATMENTS.get(row["level"]) or LEVELS.get(row["level"], str(row["level"]).replace("_", " "))
            lines.append({"": INDENT + said} | {g: row[g] for g in ("overall", *order)} | {"n_missing": "", "smd": ""})
    words = GROUPS.get(by, {})
    titles = {"": "Characteristic", "overall": "All", "n_missing": "Missing", "smd": "SMD"}
    return pd.DataFrame(lines).rename(columns=titles | {g: words.get(g, g) for g in order})


def characteristic(name: str) -> str:
    """A column's name as Table 1 says it."""
    return NAMES.get(name, figures.label_of(name))


def _smd(value: float) -> str:
    return "" if pd.isna(value) else f"{value:.2f}"

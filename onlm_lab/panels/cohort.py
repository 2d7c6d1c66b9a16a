"""Cohort: who is in and why, and who they are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from onlm_lab import figures
from onlm_lab.cohort.summary import table_one
from onlm_lab.figures.flow import RULES
from onlm_lab.figures.subgroup import LEVELS
from onlm_lab.panels.panel import Panel
from onlm_lab.schema import Column


def flow_panel(flow: pd.DataFrame, *, mark: str = "") -> Panel:
    """The flow of a screening over all centres, with the table by centre.

    Args:
        flow: a row a centre and rule: centre ("all" is their sum), rule, n_in, n_excluded, n_undetermined, n_left.
        mark: words laid across the figure.
    """
    steps = figures.flow_counts(flow)
    n_in, n_left = int(steps["n_in"].iloc[0]), int(steps["n_left"].iloc[-1])
    lost = steps.assign(lost=steps["n_excluded"] + steps["n_undetermined"]).sort_values("lost", ascending=False)
    most = lost[lost["lost"] > 0].head(1)
    sentence = f"Of {n_in:,} patients screened, {n_left:,} ({100 * n_left / n_in:.0f} %) are eligible."
    if len(most):
        rule = most.iloc[0]
        said = f" Most were left out at '{RULES.get(rule['rule'], rule['rule'])}': {int(rule['n_excluded']):,} excluded"
        if rule["n_undetermined"]:
            said += f", {int(rule['n_undetermined']):,} undetermined because a value that matters is missing"
        sentence += f"{said}."
    return Panel("flow", "Who is in the study, and who was left out?", figures.plot_flow(flow, mark=mark),
                 centre_table(flow), sentence)  # fmt: skip


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
    table = pd.DataFrame(rows)
    total = table.drop(columns="centre").sum().to_dict()
    return pd.concat([table, pd.DataFrame([{"centre": "All centres", **total}])], ignore_index=True)


GROUPS = {
    "onlm": {"0": "N0", "1": "N+"},
    "arm": {"surgery": "Surgery", "sbrt": "SBRT"},
}  # fmt: skip
NAMES = {
    "derived_t": "Clinical T, derived (AJCC 8)",
    "derived_stage": "Clinical stage, derived (AJCC 8)", "pet_ct_done": "PET/CT done",
    "pack_years": "Smoking dose (pack-years)",
    "pathological_n": "Pathological N",
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

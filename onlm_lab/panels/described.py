"""Who the patients are: Table 1 by any grouping, centres, and when they came."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from onlm_lab import figures, schema
from onlm_lab.cohort import accrual, table_one
from onlm_lab.errors import OnlmError
from onlm_lab.panels.cohort import GROUPS, baseline_table, characteristic
from onlm_lab.panels.panel import Panel
from onlm_lab.schema import Column

FIRST_GROUPS = {"onlm": "Label (N0, N+)", "arm": "Arm", "centre": "Centre", "sex": "Sex", "part": "Kept for"}
MOST_GROUPS = 12  # groups that fit beside each other in a table
MOST_CENTRES = 5  # with a colour of their own in a stack; the others share one
WHO = {"n_positive": "Surgery, N+", "n_negative": "Surgery, N0", "n_unlabelled": "Surgery, no label", "n_sbrt": "SBRT",
       "n_no_arm": "Arm not known"}  # fmt: skip


def groupings(patients: pd.DataFrame, *, extra_columns: Iterable[Column] = ()) -> dict[str, str]:
    """The columns by which these patients can be compared, in words -> name: label, arm and centre first."""
    extra = tuple(extra_columns)
    found = [n for n in FIRST_GROUPS if n in patients and patients[n].nunique() > 1]
    for name in map(str, patients.columns):
        spec = schema.column(name, extra_columns=extra)
        if name in FIRST_GROUPS or spec is None or spec.type not in ("category", "boolean"):
            continue
        if spec.table in ("clinical", "derived") and 2 <= patients[name].nunique() <= MOST_GROUPS:
            found.append(name)
    return {FIRST_GROUPS.get(name) or characteristic(name): name for name in found}


def shown_columns(patients: pd.DataFrame, *, extra_columns: Iterable[Column] = ()) -> dict[str, str]:
    """The columns that Table 1 can show, in words -> name: clinical and derived ones that hold anything."""
    extra = tuple(extra_columns)
    found = {}
    for name in map(str, patients.columns):
        spec = schema.column(name, extra_columns=extra)
        if spec is not None and spec.table in ("clinical", "derived") and spec.timing != "outcome":
            if name not in ("patient_id", "onlm", "arm", "onlm_missing_reason") and patients[name].notna().any():
                found[characteristic(name)] = name
    return found


def baseline_panel(
    patients: pd.DataFrame, *, by: str, columns: Sequence[str], extra_columns: Iterable[Column] = (), mark: str = ""
) -> Panel:
    """Table 1, and beside it how far the groups are apart.

    Args:
        patients: one row a patient.
        by: the column whose values are compared.
        columns: what is shown.
        extra_columns: the study's own columns.
        mark: words laid across the figure.

    Raises:
        OnlmError: no column, or too many groups.
    """
    if not columns:
        raise OnlmError("Choose at least one characteristic for Table 1.")
    extra = tuple(extra_columns)
    raw = table_one(patients, by=by, columns=list(columns), extra_columns=extra)
    shown = baseline_table(patients, by=by, columns=list(columns), extra_columns=extra)
    each = raw.drop_duplicates("variable").iloc[1:]
    each = each.assign(characteristic=[characteristic(str(name)) for name in each["variable"]])
    groups = [str(level) for level in sorted(patients[by].dropna().unique(), key=str)]
    sizes = patients[by].value_counts()
    figure = figures.plot_intervals(
        each, of="characteristic", value="smd", axis="SMD", line=0.1,
        title="Who are the patients, and how far are the groups apart?",
        subtitle=f"{len(patients):,} patients, {len(groups)} groups; SMD: standardised mean difference, dotted at 0.1"
        ", taken as negligible up to there",
        mark=mark,
    )  # fmt: skip
    words = GROUPS.get(by, {})
    said = [f"{int(n):,} {words.get(_level(v), _level(v)).replace('_', ' ')}" for v, n in sizes.sort_index().items()]
    sentence = f"Table 1 compares {', '.join(said)}." if said else "Nobody has a value of this grouping."
    before = each[[_before_treatment(str(name), extra) for name in each["variable"]]]
    apart = before[before["smd"] > 0.1].sort_values("smd", ascending=False)
    if len(apart):
        top = apart.iloc[0]
        sentence += (
            f" {len(apart)} of {len(before)} characteristics known before treatment differ by more than 0.1; most: "
            f"{top['characteristic']} ({top['smd']:.2f})."
        )
    elif before["smd"].notna().any():
        sentence += " No characteristic known before treatment differs by more than 0.1."
    named = "label" if by == "onlm" else characteristic(by).lower()
    notes = tuple(
        n.replace(f"have no {by}: they are in 'overall' only", f"have no {named}: they count under 'All' only")
        for n in raw.attrs["notes"]
    )
    return Panel("table_1", figure.layout.title.text, figure, shown, sentence, notes)


def _before_treatment(name: str, extra: tuple[Column, ...]) -> bool:
    spec = schema.column(name, extra_columns=extra)
    return spec is not None and spec.timing == "pre_treatment"


def _level(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def centres_panel(patients: pd.DataFrame, *, mark: str = "") -> Panel:
    """How many patients each centre gives, of which kind, over which years and with how much follow-up."""
    arm, onlm = patients["arm"], patients["onlm"]
    surgery = arm == "surgery"
    flags = pd.DataFrame({
        "n_positive": surgery & (onlm == 1), "n_negative": surgery & (onlm == 0), "n_unlabelled": surgery & onlm.isna(),
        "n_sbrt": arm == "sbrt", "n_no_arm": ~arm.isin(["surgery", "sbrt"]),
    })  # fmt: skip
    counted = flags.astype(int).groupby(patients["centre"], sort=True).sum().reset_index()
    when = accrual(patients).iloc[1:].reset_index(drop=True)
    table = pd.concat(
        [when[["centre", "n"]], counted.drop(columns="centre"), when.drop(columns=["centre", "n"])], axis=1
    )
    table["centre"] = counted["centre"]
    largest = table.loc[table["n"].idxmax()]
    figure = figures.plot_counts(
        table, of="centre", series={k: v for k, v in WHO.items() if table[k].any()},
        title="How many patients does each centre give?",
        subtitle=f"{len(patients):,} patients, {len(table)} centre{'' if len(table) == 1 else 's'}", mark=mark,
    )  # fmt: skip
    sentence = (
        f"{len(patients):,} patients come from {len(table)} centre{'' if len(table) == 1 else 's'}; "
        f"{largest['centre']} gives most: {int(largest['n']):,} ({100 * largest['n'] / len(patients):.0f} %)."
    )
    lost = int(table["n_lost"].sum())
    if lost:
        sentence += f" {lost:,} are lost to follow-up."
    return Panel("centres", figure.layout.title.text, figure, table, sentence)


def accrual_panel(patients: pd.DataFrame, *, mark: str = "") -> Panel:
    """How many patients were treated in each year, by centre.

    Raises:
        OnlmError: no year of treatment is recorded.
    """
    known = patients[patients["treatment_year"].notna()]
    if known.empty:
        raise OnlmError("No year of treatment is recorded: accrual cannot be shown.")
    year = known["treatment_year"].astype(int)
    wide = pd.crosstab(year, known["centre"].astype(str))
    wide = wide.reindex(range(int(year.min()), int(year.max()) + 1), fill_value=0)
    order = wide.sum().sort_values(ascending=False, kind="stable").index.tolist()
    own = order if len(order) <= MOST_CENTRES + 1 else order[:MOST_CENTRES]
    drawn = wide[own].copy()
    drawn.columns = [f"centre {i}" for i in range(len(own))]
    series = dict(zip(drawn.columns, own, strict=True))
    if len(own) < len(order):
        drawn["others"] = wide[order[len(own) :]].sum(axis=1)
        series["others"] = f"{len(order) - len(own)} other centres"
    empty = len(patients) - len(known)
    figure = figures.plot_counts(
        drawn.rename_axis("year").reset_index(), of="year", series=series, upright=True, axis="Year of treatment",
        title="When were the patients treated?",
        subtitle=f"{len(known):,} patients" + (f"; of {empty:,} the year is not known" if empty else ""), mark=mark,
    )  # fmt: skip
    total = wide.sum(axis=1)
    most = int(total.idxmax())
    sentence = (
        f"{len(known):,} patients were treated from {wide.index[0]} to {wide.index[-1]}, most in {most}: "
        f"{int(total[most]):,}."
    )
    table = wide.assign(**{"All centres": total}).rename_axis(index="year", columns=None).reset_index()
    return Panel("accrual", figure.layout.title.text, figure, table, sentence)

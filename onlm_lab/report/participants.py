"""Sections on who took part, what is known of them, and what is missing."""

from __future__ import annotations

import pandas as pd

from onlm_lab import analysis, figures, schema
from onlm_lab.cohort import locked
from onlm_lab.cohort.missing import missing_by
from onlm_lab.errors import OnlmError
from onlm_lab.figures import theme
from onlm_lab.panels.cohort import baseline_table, flow_panel
from onlm_lab.report import words
from onlm_lab.report.material import Material
from onlm_lab.report.screened import screened
from onlm_lab.report.section import Block, Section, Text, figure, note, table


def participants(material: Material) -> Section:
    """Flow with reasons, by rule and by centre; whose CT could not be used; who entered the run."""
    blocks = _from_public_table(material)
    if len(material.flow):
        panel = flow_panel(material.flow, mark=material.mark)
        blocks.append(Text(f"The protocol's own rules: {panel.sentence}" if blocks else panel.sentence))
        if (material.flow[["n_excluded", "n_undetermined"]] > 0).any(axis=None):
            blocks.append(figure(panel.figure, id="fig-flow", wide=True))
    else:
        blocks.append(Text("No screening is on file for this run: who was left out, and why, is not known here."))
    blocks.append(Text(_entered(material)))
    blocks.append(table(_by_centre(material), caption="Patients by centre."))
    if len(material.status):
        blocks.append(note(
            "A patient is counted once: at the first rule that fails, else at the first that stays undetermined "
            "because a value that it needs is missing. Undetermined is never taken for a pass. The log of every "
            "patient and rule is decisions.csv in the study's work folder."
        ))  # fmt: skip
    blocks += [*_followed(material), *screened(material)]
    return Section("participants", "Participants", tuple([*blocks, *_unusable(material)]))


def _followed(material: Material) -> list[Block]:
    """Median follow-up of all and by centre; in words where no follow-up is recorded."""
    try:
        found = analysis.follow_up(material.patients, by="centre")
    except OnlmError as refusal:
        return [note(f"Follow-up is not shown: {refusal}")]
    rows = [
        {
            "Centre": "All centres" if i == 0 else str(row.group),
            "Patients": f"{row.n:,}",
            "Deaths": f"{row.n_deaths:,}",
            "Median follow-up, years (95 % interval)": _years(row.median_days, row.low, row.high),
            "Observed in those alive, years": _years(row.alive_median_days, row.alive_min_days, row.alive_max_days),
        }
        for i, row in enumerate(found.table.itertuples())
    ]
    rows = rows[:1] if len(rows) == 2 else [*rows[1:], rows[0]]
    said = "Follow-up: median by reverse Kaplan-Meier; observed: median (shortest to longest) until last contact."
    left_out = [note(f"{words.plural(n, 'patient')} not counted there: {why}.") for why, n in found.n_excluded.items()]
    return [table(pd.DataFrame(rows), caption=said), *left_out]


def _years(middle: float, low: float, high: float) -> str:
    if pd.isna(middle):
        return "not reached" if not pd.isna(low) else "–"
    ends = [theme.number(v / 365.25, digits=1) if not pd.isna(v) else "not reached" for v in (low, high)]
    return f"{theme.number(middle / 365.25, digits=1)} ({ends[0]} to {ends[1]})"


SURROGATE_RULES = {
    "pathological_n_known": "Pathological N known", "pt1a_to_pt2a": "pT1a to pT2a",
    "pathological_m0": "Pathological M0",
}  # fmt: skip


def _from_public_table(material: Material) -> list[Block]:
    """How the rows of a public table became the patients of this study."""
    if material.surrogate_flow.empty:
        return []
    flow = material.surrogate_flow.assign(rule=material.surrogate_flow["rule"].replace(SURROGATE_RULES))
    panel = flow_panel(flow, mark=material.mark)
    blocks: list[Block] = [
        Text(f"From the public table to this study: {panel.sentence.replace('screened', 'read')}"),
        *(Text(line) for line in _pathological_n(material.surrogate_flow)),
        figure(panel.figure, id="fig-surrogate-flow", wide=True),
    ]
    if len(material.unmapped):
        blocks.append(table(material.unmapped.astype(str), folded=True,
                            caption="What of the public table could not be mapped, and why."))  # fmt: skip
    return blocks


def _pathological_n(flow: pd.DataFrame) -> list[str]:
    """One line a rule: how many were left, and their pathological N; none where the flow does not say."""
    if "n_n0" not in flow:
        return []
    total = flow[flow["centre"] == "all"]
    return [
        f"{SURROGATE_RULES.get(step.rule, step.rule)}: {words.plural(step.n_left, 'patient')}, "
        f"{step.n_n0} N0, {step.n_n1} N1, {step.n_n2} N2."
        for step in total.itertuples()
    ]


def _entered(material: Material) -> str:
    patients, labelled = material.patients, material.labelled
    n_positive = int((labelled["onlm"] == 1).sum())
    arms = [
        f"{words.plural(int((patients['arm'] == arm).sum()), 'patient')} treated by {name}"
        for arm, name in (("surgery", "surgery"), ("sbrt", "SBRT"))
        if (patients["arm"] == arm).any()
    ]
    return (
        f"{words.plural(len(patients), 'patient')} from {words.plural(patients['centre'].nunique(), 'centre')} entered "
        f"this run: {' and '.join(arms)}. {words.plural(len(labelled), 'patient')} of the surgery arm "
        f"{'has' if len(labelled) == 1 else 'have'} a reference standard: {words.share(n_positive, len(labelled))} N+."
    )


def _by_centre(material: Material) -> pd.DataFrame:
    patients = material.patients
    counted = pd.DataFrame({
        "In this run": patients.groupby("centre").size(),
        "N+": (patients["onlm"] == 1).groupby(patients["centre"]).sum(),
        "N0": (patients["onlm"] == 0).groupby(patients["centre"]).sum(),
        "SBRT": (patients["arm"] == "sbrt").groupby(patients["centre"]).sum(),
    })  # fmt: skip
    counted["Surgery, no label"] = counted["In this run"] - counted["N+"] - counted["N0"] - counted["SBRT"]
    if len(material.flow):
        screened = flow_panel(material.flow).table.set_index("centre").iloc[:-1]
        screened.columns = ["Screened", "Excluded", "Undetermined", "Eligible"]
        counted = screened.join(counted, how="left").fillna(0).astype(int)
    counted.loc["All centres"] = counted.sum()
    shown = counted.map(lambda n: f"{int(n):,}")
    return shown.rename_axis("Centre").reset_index()


def _unusable(material: Material) -> list[Block]:
    """Eligible patients whose CT could not be used, by reason."""
    prepared = material.prepared
    if prepared.empty or "usable" not in prepared:
        return []
    lost = prepared[prepared["usable"] != 1]
    if lost.empty:
        return []
    counted = lost["reason"].fillna("no reason recorded").value_counts()
    shown = pd.DataFrame({"Reason": counted.index, "Patients": [f"{n:,}" for n in counted]})
    said = f"{words.share(len(lost), len(prepared))} eligible patients did not enter: their CT could not be used."
    return [Text(said), table(shown, caption="Eligible, but left out for the CT.")]


HANDLED = (
    "Missing values were not imputed from the other columns. In the place of each the model receives the mean of the "
    "training patients and, beside it, a sign that the value was missing. Nobody is left out for a missing predictor."
)
HANDLED_BY = {
    "fused": "In training the CT, or one known cell, of some patients is hidden by chance, so that the fused model "
    "knows what to do without them.",
    "boosting": "Boosting takes a missing value as missing; its trees decide where such patients go.",
}  # fmt: skip


def missing_values(material: Material) -> Section:
    """How many values each predictor lacks, in labelled patients and after SBRT, and what was done about it."""
    labelled, sbrt = material.labelled, material.patients[material.patients["arm"] == "sbrt"]
    rows = [
        {
            "Predictor": words.column(name),
            "Labelled patients": _lacking(labelled, name),
            **({"SBRT patients": _lacking(sbrt, name)} if len(sbrt) else {}),
        }
        for name in material.study.training.predictors
    ]
    blocks: list[Block] = [Text(HANDLED)]
    blocks += [note(said) for model, said in HANDLED_BY.items() if model in material.models]
    blocks += [table(pd.DataFrame(rows), caption="Missing, of patients."), *_map(material)]
    return Section("missing", "Missing values", tuple(blocks))


def _map(material: Material) -> list[Block]:
    """Which centre lacks which predictor, where more than one centre took part and something is missing."""
    patients = material.patients
    names = [n for n in material.study.training.predictors if n in patients]
    if patients["centre"].nunique() < 2 or not patients[names].isna().any(axis=None):
        return []
    found = missing_by(patients, columns=names)
    drawn = figures.plot_missing(found, names={n: words.column(n) for n in names}, mark=material.mark)
    return [figure(drawn, id="fig-missing", wide=True)]


def _lacking(rows: pd.DataFrame, name: str) -> str:
    if name not in rows:
        return "not recorded"
    return words.share(int(rows[name].isna().sum()), len(rows))


def table_one_section(material: Material) -> Section:
    """Who the patients are: by label in those who have one, and by arm; SMD and missing counts in both."""
    own = [
        schema.Column(name=n, table="clinical", type=c.type, unit=c.unit, allowed=c.allowed, timing=c.timing)
        for n, c in material.study.columns.items()
    ]
    blocks: list[Block] = []
    labelled = material.labelled
    if len(labelled):
        shown = baseline_table(labelled, by="onlm", extra_columns=own)
        blocks.append(table(shown, caption="Table 1a. Patients with a reference standard, by pathological N."))
    if material.patients["arm"].nunique() > 1:
        shown = baseline_table(material.patients, by="arm", extra_columns=own)
        blocks.append(table(shown, caption="Table 1b. All patients of this run, by arm."))
    else:
        blocks.append(Text("One arm only: there is no comparison by arm."))
    if "part" in material.patients and material.patients["part"].nunique() > 1:
        shown = baseline_table(material.patients, by="part", extra_columns=own)
        blocks.append(table(shown, caption="Table 1c. All patients of this run, development against testing."))
    shut = int((material.patients["onlm_missing_reason"] == locked.REASON).sum())
    if shut:
        blocks.append(note(
            f"{words.plural(shut, 'patient')} of this run {'is' if shut == 1 else 'are'} locked for testing: what "
            "became known of them after treatment counts as missing here."
        ))  # fmt: skip
    blocks.append(note(
        "SMD: absolute standardised mean difference; up to 0.1 a difference is commonly taken as negligible (Austin "
        "2009, doi:10.1080/03610910902859574). Percentages are of known values. What was known only after treatment is "
        "shown here but never predicts."
    ))  # fmt: skip
    return Section("table-1", "Table 1: who the patients are", tuple(blocks))

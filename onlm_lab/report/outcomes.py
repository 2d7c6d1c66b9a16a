"""Sections on what became of the patients, by predicted group: surgery and SBRT apart, never in one figure."""

from __future__ import annotations

import pandas as pd

from onlm_lab import analysis
from onlm_lab.errors import OnlmError
from onlm_lab.figures import theme
from onlm_lab.figures.outcomes import endpoint_words
from onlm_lab.panels.outcomes import (
    ADJUVANT,
    OBSERVATIONAL,
    endpoints_of,
    incidence_panel,
    is_competing,
    outcome_panel,
    survival_panel,
)
from onlm_lab.panels.patients import NARROWEST_RISKS, SMALLEST_GROUP, of_arm
from onlm_lab.report.grouping import SBRT_ENDPOINTS, grouping_of
from onlm_lab.report.material import Material
from onlm_lab.report.performance import attempt
from onlm_lab.report.section import Block, Section, Text, box, figure, note, table
from onlm_lab.report.words import p_cell, plural, share
from onlm_lab.results import Estimate

EVENTS = {"os": "death", "rfs": "recurrence or death"}
SURGERY = (
    f"{ADJUVANT} Risks of patients with a reference standard are out-of-fold; those of the others come from the final "
    "model."
)
SBRT = (
    "SBRT patients have no pathological N: they never entered training and never count in an AUC. Their risks come "
    "from the final model, fitted on all patients with a reference standard. What they can show is whether a higher "
    "predicted risk goes with more regional (nodal) recurrence and shorter survival."
)


def surgery(material: Material) -> Section:
    """Survival and recurrence by predicted group after surgery."""
    return Section(
        "outcomes-surgery", "Outcomes after surgery, by predicted group", tuple(_arm(material, "surgery", SURGERY))
    )


def sbrt(material: Material) -> Section:
    """Survival and recurrence by predicted group after SBRT."""
    return Section("outcomes-sbrt", "Outcomes after SBRT, by predicted group", tuple(_arm(material, "sbrt", SBRT)))


def _arm(material: Material, arm: str, said: str) -> list[Block]:
    name = {"surgery": "surgery", "sbrt": "SBRT"}[arm]
    if not (material.patients["arm"] == arm).any():
        return [Text(f"This study has no {name} arm.")]
    patients = material.rows[material.rows["arm"] == arm]
    endpoints = endpoints_of(patients, wanted=material.study.analysis.endpoints)
    if arm == "sbrt":  # what bears most on the nodes comes first
        endpoints = tuple(sorted(endpoints, key=lambda e: (*SBRT_ENDPOINTS, e).index(e)))
    if not endpoints:
        return [Text(f"No follow-up is recorded for the {name} arm: nothing can be said about outcomes.")]
    blocks: list[Block] = [box(f"{said} {OBSERVATIONAL}"), *attempt(lambda: [_followup(material, arm=arm)])]
    grouping = grouping_of(material, arm=arm)
    if grouping.said:
        instead = "" if grouping.possible or arm != "surgery" else " The curves below divide by pathological N instead."
        blocks.append(Text(f"{grouping.said}{instead}"))
    for endpoint in endpoints if grouping.possible else ():
        blocks += attempt(lambda e=endpoint: _outcome(material, arm=arm, endpoint=e, threshold=grouping.threshold))
    if arm == "surgery":
        for endpoint in () if grouping.possible else endpoints:
            blocks += attempt(lambda e=endpoint: _by_label(material, endpoint=e))
        blocks += _by_reference_standard(material, endpoints=endpoints)
    blocks = _said_once(blocks)
    blocks += attempt(lambda: _hazards(material, arm=arm, endpoints=endpoints))
    return blocks


def _said_once(blocks: list[Block]) -> list[Block]:
    """Notes that hold for every endpoint, such as that a group is empty, are said at the first."""
    notes: set[str] = set()
    kept: list[Block] = []
    for block in blocks:
        if isinstance(block, Text) and block.tone == "note":
            if block.text in notes:
                continue
            notes.add(block.text)
        kept.append(block)
    return kept


def _by_label(material: Material, *, endpoint: str) -> list[Block]:
    """Curves by what the pathologist found, where the predicted risks form no groups."""
    labelled = of_arm(material.rows, model=material.primary, arm="surgery")
    labelled = labelled[labelled["onlm"].notna()]
    counts = labelled["onlm"].value_counts()
    if len(counts) < 2 or counts.min() < SMALLEST_GROUP:
        return []
    found = pd.Categorical(labelled["onlm"].map({0: "found N0", 1: "found N+"}), categories=["found N0", "found N+"])
    draw = incidence_panel if is_competing(labelled, endpoint=endpoint) else survival_panel
    panel = draw(
        labelled.assign(found=found), endpoint=endpoint, by="found", who="surgery arm, groups by pathological N",
        horizon_days=material.study.analysis.horizon_days, mark=material.mark,
    )  # fmt: skip
    return [Text(panel.sentence), figure(panel.figure, id=f"fig-{endpoint}-surgery"), *(note(n) for n in panel.notes)]


def _by_reference_standard(material: Material, *, endpoints: tuple[str, ...]) -> list[Block]:
    """Events in patients found N0 and found N+: does the label itself go with what became of them?"""
    rows = []
    for endpoint in endpoints:
        kind = "state" if is_competing(material.labelled, endpoint=endpoint) else "event"
        row = {"Endpoint": EVENTS.get(endpoint, endpoint_words(endpoint))}
        for name, label in (("N0", 0), ("N+", 1)):
            happened = material.labelled.loc[material.labelled["onlm"] == label, f"{endpoint}_{kind}"].dropna()
            row[f"Found {name}"] = share(int((happened == 1).sum()), len(happened))
        rows.append(row)
    caption = "Patients with the event, by pathological N. Counts alone: follow-up differs from patient to patient."
    return [table(pd.DataFrame(rows), caption=caption)]


def _followup(material: Material, *, arm: str) -> Text:
    """Deaths and median follow-up by reverse Kaplan-Meier."""
    found = analysis.follow_up(of_arm(material.rows, model=material.primary, arm=arm))
    median = float(found.table["median_days"].iloc[0])
    long = "not reached" if pd.isna(median) else f"{median / 365.25:.1f} years"
    return Text(
        f"{plural(found.n, 'patient')}, {plural(found.n_events, 'death')}; median follow-up {long} (reverse "
        "Kaplan-Meier)."
    )


def _outcome(material: Material, *, arm: str, endpoint: str, threshold: float | None) -> list[Block]:
    panel = outcome_panel(
        material.rows, model=material.primary, endpoint=endpoint, arm=arm, threshold=threshold,
        horizon_days=material.study.analysis.horizon_days, mark=material.mark,
    )  # fmt: skip
    said = panel.sentence.split(" Groups by ")[0]
    return [Text(said), figure(panel.figure, id=f"fig-{endpoint}-{arm}"), *(note(n) for n in panel.notes)]


def _hazards(material: Material, *, arm: str, endpoints: tuple[str, ...]) -> list[Block]:
    patients = of_arm(material.rows, model=material.primary, arm=arm)
    low, high = (float(patients["risk"].quantile(q)) for q in (0.05, 0.95))
    if high - low < NARROWEST_RISKS:
        return [Text(
            f"No hazard ratio is shown: 90 % of the predicted risks lie between {theme.percent(low, digits=1)} and "
            f"{theme.percent(high, digits=1)}, too close together for a ratio per 10 percentage points."
        )]  # fmt: skip
    rows: list[dict[str, str]] = []
    refused: list[Block] = []
    for endpoint in endpoints:
        try:
            row, notes = _hazard(patients, endpoint=endpoint)
        except OnlmError as refusal:
            refused.append(note(f"Hazard ratio for {endpoint_words(endpoint)} not shown: {refusal}"))
        else:
            rows.append(row)
            refused += [note(f"{endpoint_words(endpoint).capitalize()}: {said}.") for said in notes]
    caption = (
        f"Hazard ratio per 10 percentage points of predicted risk ({material.primary}), unadjusted; cause-specific "
        "where other events compete."
    )
    if not rows:
        return refused
    held = note("Where the P of proportional hazards is small, one ratio does not hold over the whole of follow-up.")
    return [table(pd.DataFrame(rows), caption=caption), held, *refused]


def _hazard(patients: pd.DataFrame, *, endpoint: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """A row of the table, and what its reader must know."""
    cause = 1 if is_competing(patients, endpoint=endpoint) else None
    fitted = analysis.cox(patients, endpoint=endpoint, covariates=["risk"], cause=cause)
    ratio = fitted.table.to_dict("records")[0]
    overall = fitted.ph_test[fitted.ph_test["covariate"] == "GLOBAL"]["p_value"]
    row = {
        "Endpoint": endpoint_words(endpoint),
        "HR per 10 points (95 % interval)": theme.with_interval(Estimate(ratio["hr"], ratio["low"], ratio["high"])),
        "P": p_cell(ratio["p_value"]),
        "Events / patients": f"{fitted.n_events:,} / {fitted.n:,}",
        "Proportional hazards, P": p_cell(float(overall.iloc[0])) if len(overall) else "–",
    }
    return row, fitted.notes

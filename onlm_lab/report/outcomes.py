"""Sections on what became of the patients, by predicted group: surgery and SBRT apart, never in one figure."""

from __future__ import annotations

import pandas as pd

from onlm_lab import analysis
from onlm_lab.figures import theme
from onlm_lab.figures.events import event_words
from onlm_lab.figures.outcomes import endpoint_words
from onlm_lab.panels.card import outcome_card
from onlm_lab.panels.outcomes import (
    endpoints_of,
    incidence_panel,
    is_competing,
    mean_months,
    mean_times,
    outcome_panel,
    pathology_panel,
    survival_panel,
)
from onlm_lab.panels.panel import notes_of
from onlm_lab.panels.patients import SMALLEST_GROUP, of_arm
from onlm_lab.panels.phrases import ADJUVANT, OBSERVATIONAL
from onlm_lab.report.grouping import SBRT_ENDPOINTS, Grouping, grouping_of, separation_said
from onlm_lab.report.hazards import hazard_blocks
from onlm_lab.report.material import Material
from onlm_lab.report.performance import attempt
from onlm_lab.report.section import Block, Markup, Section, Text, box, figure, note, said_once, table
from onlm_lab.report.sites import site_blocks
from onlm_lab.report.words import plural, share

FEW_EVENTS = 10  # below this the card's reader is told
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
    separation = separation_said(material)
    if separation:
        blocks.append(box(separation))
    if grouping.possible:
        blocks += attempt(lambda: _card(material, arm=arm, endpoints=endpoints, grouping=grouping))
    blocks += attempt(lambda: site_blocks(material, arm=arm, grouping=grouping))
    for endpoint in endpoints if grouping.possible else ():
        blocks += attempt(lambda e=endpoint: _outcome(material, arm=arm, endpoint=e, threshold=grouping.threshold))
    if arm == "surgery":
        for endpoint in () if grouping.possible else endpoints:
            blocks += attempt(lambda e=endpoint: _by_label(material, endpoint=e))
        blocks += _by_reference_standard(material, endpoints=endpoints)
        if grouping.possible:
            first = "rfs" if "rfs" in endpoints else endpoints[0]
            blocks += attempt(lambda: _inside_pathology(material, endpoint=first, threshold=grouping.threshold))
    if grouping.possible:
        blocks += attempt(lambda: _mean_times(material, arm=arm, endpoints=endpoints, threshold=grouping.threshold))
    blocks += attempt(lambda: hazard_blocks(material, arm=arm, endpoints=endpoints))
    return said_once(blocks)


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
        row = {"Endpoint": event_words(endpoint)}
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
        material.followed, model=material.primary, endpoint=endpoint, arm=arm, threshold=threshold,
        horizon_days=material.study.analysis.horizon_days, mark=material.mark,
    )  # fmt: skip
    said = panel.sentence.split(" Groups by ")[0]
    return [Text(said), figure(panel.figure, id=f"fig-{endpoint}-{arm}"), *(note(n) for n in panel.notes)]


def _card(material: Material, *, arm: str, endpoints: tuple[str, ...], grouping: Grouping) -> list[Block]:
    """All endpoints of the predicted groups on one page."""
    card = outcome_card(
        material.followed, model=material.primary, arm=arm, threshold=grouping.threshold, endpoints=endpoints,
        horizon_days=material.study.analysis.horizon_days, mark=material.mark, cut=grouping.cut,
    )  # fmt: skip
    n_events = card.table.groupby("endpoint", sort=False)["n_events"].sum()
    few = [f"{endpoint_words(str(e))} {n}" for e, n in n_events.items() if n < FEW_EVENTS]
    whole = (
        "The percentages are those by the day named; a ratio is over the whole of follow-up, and may differ from them."
    )
    said = f"Few events ({', '.join(few)}): the ratio and the interval of so few are not to be relied upon."
    return [Markup(f"card-{arm}", card.html), note(whole), *([note(said)] if few else [])]


def _inside_pathology(material: Material, *, endpoint: str, threshold: float | None) -> list[Block]:
    panel = pathology_panel(
        material.followed, model=material.primary, endpoint=endpoint, threshold=threshold,
        horizon_days=material.study.analysis.horizon_days, mark=material.mark,
    )  # fmt: skip
    said = panel.sentence.replace(f" {ADJUVANT} {OBSERVATIONAL}", "")
    return [Text(said), figure(panel.figure, id=f"fig-{endpoint}-pathology"), *(note(n) for n in panel.notes)]


def _mean_times(material: Material, *, arm: str, endpoints: tuple[str, ...], threshold: float | None) -> list[Block]:
    """Mean time by group, for where hazards cross: a row an endpoint."""
    rows, notes = [], []
    for endpoint in endpoints:
        found = mean_times(
            material.followed, model=material.primary, endpoint=endpoint, arm=arm, threshold=threshold,
            horizon_days=material.study.analysis.horizon_days,
        )  # fmt: skip
        what = "Months lost to" if is_competing(material.rows, endpoint=endpoint) else "Months of"
        rows.append({"Mean": f"{what} {endpoint_words(endpoint)} within {theme.years(found.tau_days)}"}
                    | mean_months(found))  # fmt: skip
        notes += [note(n) for n in notes_of(found)]
    caption = (
        "Mean time by predicted group, with 95 % interval: it holds also where the hazard ratio changes over time."
    )
    return [table(pd.DataFrame(rows), caption=caption), *notes]

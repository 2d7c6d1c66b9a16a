"""The report of a local recalibration: what was done, calibration before and after, and what that may be used for."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pandas as pd

from onlm_lab import figures, steps
from onlm_lab.figures import theme
from onlm_lab.report.page import render
from onlm_lab.report.section import Block, Section, Text, box, figure, note, table
from onlm_lab.report.words import p_cell
from onlm_lab.results import Calibration, Estimate, Recalibration

DONE = {
    "none": "The risks stay as they are.",
    "intercept": "All risks are moved by one number on the log odds scale; their spread stays.",
    "both": "The risks are moved and stretched on the log odds scale.",
    "refused": "No update was made.",
}
ASKED = {
    "none": "no update was asked for",
    "intercept": "an update of the intercept was asked for",
    "both": "an update of intercept and slope was asked for",
    "test": "the closed test chose among no update, intercept, and intercept and slope",
}
STATES = {
    "before": "before",
    "after": "after, on the patients who made the update (apparent)",
    "cross_fitted": "after, cross-fitted",
}


def write_recalibration(
    found: Recalibration, *, folder: Path, place: str, source: str = "", mark: str = ""
) -> tuple[Path, Path]:
    """Write recalibration.json and recalibration.html, each whole or not at all.

    Args:
        found: the result of `analysis.recalibrate`.
        folder: where to; made if it is not there.
        place: whose patients these are, such as "Hospital D, 2023".
        source: where the risks come from, such as the run's id; shown and kept.
        mark: words laid across, such as "MADE-UP DATA".

    Returns:
        The JSON file and the page.
    """
    folder.mkdir(parents=True, exist_ok=True)
    said = {"place": place, "source": source, "mark": mark, **found.to_dict()}
    kept, page = folder / "recalibration.json", folder / "recalibration.html"
    steps.write_text(kept, json.dumps(said, indent=1, allow_nan=False))
    steps.write_text(page, render_recalibration(found, place=place, source=source, mark=mark))
    return kept, page


def render_recalibration(found: Recalibration, *, place: str, source: str = "", mark: str = "") -> str:
    """The page as text. Every value from data is escaped."""
    return render(
        [_update(found), _calibration(found, mark=mark), _use(found)],
        name=f"Local recalibration: {place}",
        question=f"Do the risks of the model {found.model_id} mean in {place} what they say?",
        mark=mark,
        run=source or found.model_id,
        licence="",
        warnings=[f"No update was made: {found.notes[-1]}."] if found.chosen == "refused" else [],
        lines=summary_lines(found),
        n_positive="cancer in the lymph nodes at surgery although they looked clean before (pathological N1-N3)",
    )


def summary_lines(found: Recalibration) -> list[tuple[str, str]]:
    """What a reader must know, as (what, said)."""
    lines = [
        ("Patients", theme.counts(found.n, found.n_events)),
        ("Done", f"{DONE[found.chosen].removesuffix('.')}; {ASKED[found.method]}."),
        ("Before", f"observed : expected {theme.with_interval(found.before.oe_ratio)}, {_in_words(found.before)}"),
    ]
    if found.cross_fitted is not None:
        lines.append(("To be expected", f"{_in_words(found.cross_fitted)}, by cross-fitting"))
    elif found.chosen != "refused":
        lines.append(("To be expected", "not known: " + found.notes[-1]))
    return lines


def _in_words(one: Calibration) -> str:
    return (
        f"slope {theme.with_interval(one.slope)}, mean distance of risk and observed share "
        f"{theme.percent(one.ici, digits=1)}"
    )


def _update(found: Recalibration) -> Section:
    blocks: list[Block] = [Text(DONE[found.chosen])]
    if found.chosen in ("intercept", "both"):
        slope, level = found.slope.value, found.intercept.value
        stretched = f"{theme.number(slope, digits=3)} × " if found.chosen == "both" else ""
        moved = f"{'+' if level >= 0 else '−'} {theme.number(abs(level), digits=3)}"
        blocks.append(
            Text(f"New log odds = {stretched}log odds {moved}. The threshold moves with the risks, "
                 "so that no patient changes sides; only what a risk means changes.")
        )  # fmt: skip
    rows = [("Intercept", found.intercept), ("Slope", found.slope)]
    shown = pd.DataFrame({
        "Coefficient": [name for name, _ in rows], "Estimate (95 % interval)": [_value(e) for _, e in rows],
        "Note": [e.note or "–" for _, e in rows],
    })  # fmt: skip
    blocks.append(table(shown, caption="The update, on the log odds scale."))
    if len(found.tests):
        shown = pd.DataFrame({
            "Compared": [f"{r.kept} against {r.against}" for r in found.tests.itertuples()],
            "Chi-squared (df)": [f"{r.chi2:.2f} ({r.df})" for r in found.tests.itertuples()],
            "P": [p_cell(p) for p in found.tests["p_value"]],
        })  # fmt: skip
        blocks.append(table(shown, caption="Closed test: the simpler is kept at the first P of 0.05 or more."))
    blocks += [note(f"{said[:1].upper()}{said[1:]}.") for said in found.notes]
    return Section("update", "What was done", tuple(blocks))


def _value(estimate: Estimate) -> str:
    return "–" if math.isnan(estimate.value) else theme.with_interval(estimate, digits=3)


def _calibration(found: Recalibration, *, mark: str) -> Section:
    states = {name: getattr(found, name) for name in STATES if getattr(found, name) is not None}
    drawn = [replace(one, model_id=name.replace("_", "-")) for name, one in states.items()]
    shown = pd.DataFrame({
        "Risks": [STATES[name] for name in states],
        "In the large": [theme.with_interval(one.intercept) for one in states.values()],
        "Slope": [theme.with_interval(one.slope) for one in states.values()],
        "Observed : expected": [theme.with_interval(one.oe_ratio) for one in states.values()],
        "ICI": [theme.number(one.ici, digits=3) for one in states.values()],
        "Brier": [theme.number(one.brier.value, digits=3) for one in states.values()],
    })  # fmt: skip
    said = (
        "Right: in the large 0, slope 1, O:E 1, ICI 0. On the patients who made the update it is right by "
        "construction, which tells nothing. Cross-fitted: each patient by an update made without him "
        f"({found.n_folds} folds); its observed : expected is near 1 whatever the update: how far the level "
        "may be off is told by the intercept's interval above."
    )
    blocks = (
        figure(figures.plot_calibration(drawn, mark=mark), id="fig-recalibration"),
        table(shown, caption="Calibration before and after; brackets: 95 % interval."),
        note(said),
    )
    return Section("calibration", "Calibration before and after", blocks)


def _use(found: Recalibration) -> Section:
    blocks: list[Block] = []
    if found.chosen in ("intercept", "both"):
        blocks.append(box(
            "The update belongs to patients like these. Report it on patients of the place who come later; on these "
            "patients themselves only the cross-fitted numbers count."
        ))  # fmt: skip
    blocks += [
        Text("An update changes what a risk means, not the order of patients: the AUC stays as it was. Where the order "
             "is wrong, only a new model helps."),
        Text("To act from another risk on (say, 5 % instead of 10 %), choose a threshold anew on updated risks."),
    ]  # fmt: skip
    return Section("use", "What it may be used for", tuple(blocks))

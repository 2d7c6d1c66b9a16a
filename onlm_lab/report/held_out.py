"""The section on patients who were held out: other centres, later years, the locked test set and its openings."""

from __future__ import annotations

import pandas as pd

from onlm_lab.analysis.battery import LOCKED, testing_sets
from onlm_lab.panels.patients import first_repeat, splits_of
from onlm_lab.panels.performance import calibration_panel, roc_panel
from onlm_lab.report.material import Material
from onlm_lab.report.performance import attempt, spread
from onlm_lab.report.section import Block, Section, Text, box, note, table

TITLE = "Held-out patients: does it work elsewhere, later, and in whom nobody had looked at?"
PARTS = {
    "development": "development (cross-validation)", "external": "external testing: other centres",
    "temporal": "temporal testing: later years", "locked": "internal testing: locked test set",
}  # fmt: skip
SETS = {"external": PARTS["external"], "temporal": PARTS["temporal"], LOCKED: PARTS["locked"]}


def held_out(material: Material) -> Section:
    """Who was held out, what the final model does in them, and how often the locked test set has been opened."""
    return Section("held-out", TITLE, tuple(attempt(lambda: _blocks(material))))


def _blocks(material: Material) -> list[Block]:
    dealt = material.run.dealt
    patients = material.patients.drop(columns="part", errors="ignore").merge(dealt.parts, on="patient_id")
    locked = patients["part"] == "locked"
    seal = note(
        f"Split by patient before anything was fitted, seed {dealt.facts['seed']}; SHA-256 of the split: "
        f"{dealt.sha256}."
    )
    if (patients["part"] == "development").all():
        return [Text("No patient was held out from development: internal testing is all there is."), seal]
    main = splits_of(material.rows)[:1]
    rows = first_repeat(material.rows)
    found = {name: of for name, of in testing_sets(rows).items() if name not in main and name in SETS}
    blocks: list[Block] = [_who(patients), seal]
    for name, of in found.items():
        blocks += attempt(lambda name=name, of=of: [_performance(of, material=material, name=name)])
    if found:
        blocks.append(note(
            "Final model, fitted on all labelled patients of development; calibrator and threshold were fixed there "
            "and went unchanged to these patients. Testing sets are never pooled."
        ))  # fmt: skip
    return blocks + (_openings(material, n=int(locked.sum())) if locked.any() else [])


def _who(patients: pd.DataFrame) -> Block:
    """How many patients each part has, and how many of them with which label, where that may be known."""
    rows = []
    for part, name in PARTS.items():
        label = patients.loc[patients["part"] == part, "onlm"]
        closed = part == "locked" and label.isna().all()
        if len(label):
            known, positive = ("all", "not opened") if closed else (label.notna().sum(), (label == 1).sum())
            rows.append({"Part": name, "Patients": len(label), "With a label": known, "N+": positive})
    said = "Parts of the study. Patients without a label are tested by outcome alone."
    return table(pd.DataFrame(rows), caption=said)


def _performance(rows: pd.DataFrame, *, material: Material, name: str) -> Block:
    """AUC, operating point and calibration of every model in one testing set."""
    roc = roc_panel(rows, models=material.models).table.set_index("model_id")
    calibration = calibration_panel(rows, models=material.models).table.set_index("model_id")
    shown = []
    for model in material.models:
        r, c = roc.loc[model].to_dict(), calibration.loc[model].to_dict()
        shown.append({
            "Model": model, "N+ / patients": f"{r['n_positive']} / {r['n']}", "AUC (95 % interval)": spread(r, "auc"),
            "Sensitivity": spread(r, "sensitivity", as_percent=True),
            "Specificity": spread(r, "specificity", as_percent=True),
            "Observed : expected": spread(c, "oe_ratio"), "Slope": spread(c, "slope"),
        })  # fmt: skip
    return table(pd.DataFrame(shown), caption=f"{SETS[name][0].upper()}{SETS[name][1:]}; brackets: 95 % interval.")


def _openings(material: Material, *, n: int) -> list[Block]:
    """How often the locked test set has been opened, and why."""
    openings = material.run.openings
    if not openings:
        return [Text(
            f"The locked test set ({n} patients) has not been opened to these predictions: nothing in this report "
            "rests on its labels or outcomes."
        )]  # fmt: skip
    blocks: list[Block] = []
    if len(openings) > 1:
        blocks.append(box(
            f"The locked test set of this study has been opened {len(openings)} times. Whatever was changed after the "
            "first opening may have been chosen with these labels in sight: this is no longer an untouched test."
        ))  # fmt: skip
    rows = [
        {"Opening": o["number"], "Time (UTC)": o["time_utc"], "Purpose": o["purpose"], "By": o["by"] or None,
         "Run": o["run_id"], "Digest of the record": str(o["sha256"])[:16]}
        for o in openings
    ]  # fmt: skip
    return [*blocks, table(pd.DataFrame(rows), caption="Every opening of the locked test set, from openings.csv.")]

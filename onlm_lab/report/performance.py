"""Sections on how well the risk tells N+ from N0, whether it means what it says, and in whom it fails."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from onlm_lab.analysis import leakage
from onlm_lab.errors import OnlmError
from onlm_lab.figures import theme
from onlm_lab.figures.subgroup import level_words
from onlm_lab.panels.doubt import DOUBTS, abstention_panel
from onlm_lab.panels.panel import Panel
from onlm_lab.panels.patients import of_model
from onlm_lab.panels.performance import (
    benefit_difference_panel,
    calibration_panel,
    comparison_panel,
    decision_panel,
    operating_differences_panel,
    operating_panel,
    precision_panel,
    roc_panel,
)
from onlm_lab.panels.subgroups import columns_of, interaction_table, subgroup_panel
from onlm_lab.report import words
from onlm_lab.report.material import Material
from onlm_lab.report.section import Block, Section, Text, box, figure, note, table
from onlm_lab.results import Estimate


def attempt(build: Callable[[], list[Block]]) -> list[Block]:
    """The blocks, or the sentence that says why there are none."""
    try:
        return build()
    except OnlmError as refusal:
        return [Text(f"Not shown: {refusal}")]


def panel_blocks(panel: Panel, *, id: str, wide: bool = False) -> list[Block]:
    """A panel's sentence, figure and notes."""
    return [Text(panel.sentence), figure(panel.figure, id=id, wide=wide), *(note(n) for n in panel.notes)]


def spread(row: dict[str, object], name: str, *, digits: int = 2, as_percent: bool = False) -> str:
    """A cell 'value (low to high)' from the columns name, name_low, name_high."""
    found = Estimate(float(row[name]), float(row[f"{name}_low"]), float(row[f"{name}_high"]))
    return theme.with_interval(found, digits=digits, as_percent=as_percent)


def discrimination(material: Material) -> Section:
    """ROC curves, AUCs of all models (and of the oracle, where the truth is known), paired differences."""
    return Section(
        "discrimination", "Discrimination: does the risk separate N+ from N0?", tuple(attempt(lambda: _auc(material)))
    )


def _auc(material: Material) -> list[Block]:
    panel = roc_panel(material.judged, models=material.models, mark=material.mark)
    rows = [
        {
            "Model": row["model_id"], "AUC (95 % interval)": spread(row, "auc"),
            "N+ / patients": f"{row['n_positive']} / {row['n']}", "Interval": row["interval"],
        }
        for row in panel.table.to_dict("records")
    ]  # fmt: skip
    rows += [_oracle_row(name, said) for name, said in material.oracle.items()]
    blocks = [
        *panel_blocks(panel, id="fig-roc"),
        table(pd.DataFrame(rows), caption=f"AUC, {words.SPLITS[material.split]}."),
    ]
    if material.oracle:
        blocks.append(note(
            "Oracle: the same patients ranked by the risk that the made-up world itself used. No model can be expected "
            "to do better; with real patients it is never known. clinical: from the table's columns as they truly are; "
            "full: with what only the image shows."
        ))  # fmt: skip
    best = panel.table.loc[panel.table["auc"].idxmax()] if panel.table["auc"].notna().any() else None
    if best is not None and (said := _too_good(material, model=best["model_id"], auc=float(best["auc"]))):
        blocks.insert(0, box(said))
    if len(material.models) > 1:
        blocks += attempt(lambda: _differences(material))
    else:
        blocks.append(Text("One model only: there is no difference of AUC to show."))
    return blocks + attempt(lambda: _precision(material))


def _precision(material: Material) -> list[Block]:
    panel = precision_panel(material.judged, models=material.models, mark=material.mark)
    return panel_blocks(panel, id="fig-precision-recall")


def _too_good(material: Material, *, model: str, auc: float) -> str | None:
    """What to check where an AUC is too good to be true."""
    rows = material.tested[material.tested["model_id"] == model]
    return leakage.suspicion(auc, model_id=model, predictors=material.study.training.predictors, rows=rows)


def _oracle_row(name: str, said: dict[str, object]) -> dict[str, str]:
    auc = Estimate(float(said["value"]), float(said["low"]), float(said["high"]))
    return {
        "Model": f"oracle, {name} (knows the truth)", "AUC (95 % interval)": theme.with_interval(auc),
        "N+ / patients": "the same", "Interval": str(said.get("method", "")),
    }  # fmt: skip


def _differences(material: Material) -> list[Block]:
    panel = comparison_panel(material.judged, model=material.primary, others=material.models[1:], mark=material.mark)
    return panel_blocks(panel, id="fig-auc-differences", wide=True)


def calibration(material: Material) -> Section:
    """Calibration curves with intercept, slope, O:E, ICI and Brier of every model."""

    def build() -> list[Block]:
        panel = calibration_panel(material.judged, models=material.models, mark=material.mark)
        briers = {c.model_id: c.brier for c in panel.source}
        shown = pd.DataFrame(
            {
                "Model": r["model_id"], "In the large": spread(r, "intercept"), "Slope": spread(r, "slope"),
                "Observed : expected": spread(r, "oe_ratio"), "ICI": theme.number(r["ici"], digits=3),
                "Brier": theme.with_interval(briers[r["model_id"]], digits=3),
                "Scaled Brier": theme.percent(round(r["scaled_brier"], 2) + 0.0).replace("-", "−"),
            }
            for r in panel.table.to_dict("records")
        )  # fmt: skip
        first = panel.table.iloc[0]
        whom = f"Calibration in {theme.counts(int(first['n']), int(first['n_positive']))}"
        return [
            *panel_blocks(panel, id="fig-calibration"),
            table(shown, caption=f"{whom}; brackets: 95 % interval. Right: in the large 0, slope 1, O:E 1, ICI 0."),
            note(
                "Risks were calibrated on inner folds of the training patients only, never on the patients shown here."
            ),
            *(note(said) for said in _calibrator_notes(material)),
        ]

    return Section("calibration", "Calibration: do predicted risks mean what they say?", tuple(attempt(build)))


def _calibrator_notes(material: Material) -> list[str]:
    """What training noted about its calibrators, such as a fold in which the risk carried nothing."""
    said = []
    for model, parts in material.trained.get("models", {}).items():
        folds = [fold["calibrator"].get("note", "") for fold in parts.get("folds", ())]
        for text in dict.fromkeys(n for n in folds if n):
            said.append(f"{model}, {folds.count(text)} of {len(folds)} folds: {text}.")
    return said


def doubt(material: Material) -> Section:
    """What referring the patients in doubt would gain, by what the models disagree on and by unlikeness."""

    def of(by: str) -> list[Block]:
        panel = abstention_panel(material.tested, model=material.primary, by=by, mark=material.mark)
        return panel_blocks(panel, id=f"fig-{panel.name.replace('_', '-')}")

    blocks = [block for by in DOUBTS for block in attempt(lambda by=by: of(by))]
    blocks.append(note(
        "The spread of a risk comes from models that never saw the patient; it is called model spread and is no "
        "confidence interval. Referred patients are not predicted at all: count the N+ among them."
    ))  # fmt: skip
    return Section("doubt", "Doubt: of whom is the model least sure?", tuple(blocks))


def decision(material: Material) -> Section:
    """Decision curves of every model beside working up everybody and nobody."""
    plan = material.study.analysis
    low, high = plan.threshold_range
    grid = list(plan.thresholds)

    def build() -> list[Block]:
        panel = decision_panel(
            material.judged, thresholds=grid, models=material.models, n_bootstrap=plan.bootstrap,
            seed=material.study.seed, mark=material.mark,
        )  # fmt: skip
        asked = [t for t in (0.05, 0.10, 0.15, 0.20, 0.30) if low <= t <= high]
        near = [min(grid, key=lambda g, t=t: abs(g - t)) for t in asked]
        rows = panel.table[panel.table["threshold"].isin(near)]
        shown = pd.DataFrame(
            {
                "Threshold": theme.percent(r["threshold"], digits=1), "Strategy": _strategy(r["model_id"]),
                "Net benefit (95 % interval)": spread(
                    r | {"net_benefit_low": r["low"], "net_benefit_high": r["high"]}, "net_benefit", digits=3
                ),
                "Work-ups avoided per 100": _avoided(r),
            }
            for r in rows[rows["model_id"] != "treat_none"].sort_values("threshold", kind="stable").to_dict("records")
        )  # fmt: skip
        return [
            *panel_blocks(panel, id="fig-decision"),
            table(shown, caption="Net benefit at a few thresholds (of working up nobody: 0).", folded=True),
            *attempt(lambda: _benefit_difference(material, grid=grid)),
        ]

    return Section("decision", "Decision curve: would acting on the risk help?", tuple(attempt(build)))


def _benefit_difference(material: Material, *, grid: list[float]) -> list[Block]:
    """The primary model against the best-known simpler one."""
    other = _simpler(material)
    if other is None:
        return []
    panel = benefit_difference_panel(
        material.judged, model=material.primary, other=other, thresholds=grid,
        n_bootstrap=material.study.analysis.bootstrap, seed=material.study.seed, mark=material.mark,
    )  # fmt: skip
    return panel_blocks(panel, id="fig-benefit-difference")


def _simpler(material: Material) -> str | None:
    """What the primary model has to beat: the model of clinical data alone, else the next one."""
    others = [m for m in material.models if m != material.primary]
    return next((m for m in ("clinical", *others) if m in others), None)


def _avoided(row: dict[str, object]) -> str:
    found = Estimate(*(float(row[name]) for name in ("interventions_avoided", "avoided_low", "avoided_high")))
    return theme.with_interval(found, digits=0)


def _strategy(model: str) -> str:
    return "work up everybody" if model == "treat_all" else model


def operating_point(material: Material) -> Section:
    """What each model's threshold, fixed in training for a target sensitivity, does in patients it has not seen."""
    target = theme.percent(material.study.training.target_sensitivity)

    def build() -> list[Block]:
        measured = roc_panel(material.judged, models=material.models).table
        shown = pd.DataFrame(
            {
                "Model": r["model_id"],
                "Threshold": _threshold(of_model(material.tested, model=r["model_id"])),
                **{label: spread(r, key, as_percent=True) for key, label in (
                    ("sensitivity", "Sensitivity"), ("specificity", "Specificity"), ("ppv", "PPV"), ("npv", "NPV"))},
                "N+ / patients": f"{r['n_positive']} / {r['n']}",
            }
            for r in measured.to_dict("records")
        )  # fmt: skip
        panel = operating_panel(material.judged, model=material.primary, mark=material.mark)
        return [
            Text(
                f"Each threshold was fixed on training patients alone, as the highest that reached {target} "
                "sensitivity there; it went unchanged to patients who had no part in choosing it. What it reaches here "
                "is a result, not a target."
            ),
            table(shown, caption="Operating point of each model, 95 % intervals (Wilson)."),
            *panel_blocks(panel, id="fig-operating-point"),
            *attempt(lambda: _operating_differences(material)),
            note("PPV and NPV hold at the share of N+ seen here; they change with it."),
        ]

    return Section("operating-point", f"Operating point at {target} sensitivity", tuple(attempt(build)))


def _operating_differences(material: Material) -> list[Block]:
    other = _simpler(material)
    if other is None:
        return []
    panel = operating_differences_panel(material.judged, model=material.primary, other=other, mark=material.mark)
    return panel_blocks(panel, id="fig-operating-differences")


def _threshold(rows: pd.DataFrame) -> str:
    low, high = (f"{100 * t:.1f}" for t in (rows["threshold"].min(), rows["threshold"].max()))
    return f"{low} %" if low == high else f"{low} to {high} %, by fold"


def subgroups(material: Material) -> Section:
    """A forest of the AUC over the study's subgroups, and the interaction tests with their corrected P values."""
    plan = material.study.analysis

    def build() -> list[Block]:
        columns = columns_of(material.tested, wanted=plan.subgroups)
        told = {"model": material.primary, "columns": columns, "bins": plan.bins}
        panel = subgroup_panel(material.judged, **told, mark=material.mark)
        tests = interaction_table(material.tested, **told)
        shown = pd.DataFrame(
            {
                "Factor": words.column(r["column"]), "Chi-squared (df)": _chi(r), "P": words.p_cell(r["p_value"]),
                "P, Holm": words.p_cell(r["p_holm"]), "P, Benjamini-Hochberg": words.p_cell(r["p_bh"]),
            }
            for r in tests.to_dict("records")
        )  # fmt: skip
        if panel.table["auc"].isna().all():
            smallest = "In none of these groups are there enough N+ and N0 patients for a number."
            return [Text(panel.sentence), Text(smallest), table(_sizes(panel.table), caption="Patients by group.")]
        blocks = panel_blocks(panel, id="fig-subgroups", wide=True)
        if len(shown):
            blocks.append(table(shown, caption="Does the risk work differently? One likelihood-ratio test a factor."))
        blocks.append(note("The factors are those that study.toml states."))
        return blocks

    return Section("subgroups", "Subgroups: in whom does it work?", tuple(attempt(build)))


def _sizes(found: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "Factor": words.column(r["column"]), "Group": level_words(r["level"]),
            "N+ / patients": f"{int(r['n_positive'])} / {int(r['n'])}",
        }
        for r in found.to_dict("records")
    )  # fmt: skip


def _chi(row: dict[str, object]) -> str:
    return "too few events" if pd.isna(row["chi2"]) else f"{row['chi2']:.2f} ({int(row['df'])})"

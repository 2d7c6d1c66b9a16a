"""Sections on whether the performance holds where data are in doubt, on whom it fails, and on what goes with it."""

from __future__ import annotations

import pandas as pd

from onlm_lab.figures import theme
from onlm_lab.figures.subgroup import level_words
from onlm_lab.panels import groups, robustness
from onlm_lab.panels.subgroups import columns_of
from onlm_lab.report import words
from onlm_lab.report.material import Material
from onlm_lab.report.performance import attempt, panel_blocks, spread
from onlm_lab.report.section import Block, Section, Text, note, table
from onlm_lab.results import Estimate


def fairness(material: Material) -> Section:
    """Whether the model errs more in some patients than in others."""
    plan = material.study.analysis
    columns = columns_of(material.tested, wanted=plan.fairness)
    title = "Fairness: does the model err more in some patients than in others?"
    if not columns:
        return Section("fairness", title, (Text("No column to compare was declared ([analysis] fairness)."),))

    def build() -> list[Block]:
        panel = groups.fairness_panel(
            material.judged, model=material.primary, columns=columns, bins=plan.bins, n_resamples=plan.bootstrap,
            seed=material.study.seed, mark=material.mark,
        )  # fmt: skip
        shown = pd.DataFrame(
            {
                "By": words.column(r["column"]), "Measure": groups.RATE_WORDS[r["measure"]],
                "Highest": level_words(r["level_high"]), "Lowest": level_words(r["level_low"]),
                "Gap": theme.with_interval(Estimate(r["gap"], r["low"], r["high"])),
                "P": words.p_cell(r["p_value"]), "P, Holm": words.p_cell(r["p_holm"]),
            }
            for r in panel.table.dropna(subset=["gap"]).to_dict("records")
        )  # fmt: skip
        blocks = panel_blocks(panel, id="fig-fairness", wide=True)
        if len(shown):
            blocks.append(table(shown, caption="Largest gaps between levels (O:E as a ratio); P by permutation."))
            blocks.append(note(
                "P asks whether levels that differ by chance only would show so large a gap. PPV differs wherever the "
                "share of N+ does, even of a model that errs alike in all."
            ))  # fmt: skip
        return blocks

    return Section("fairness", title, tuple(attempt(build)))


def sensitivity(material: Material) -> Section:
    """Performance with surer labels only, and by what is missing among the predictors."""
    plan, rows = material.study.analysis, material.judged
    columns = [c for c in material.study.training.predictors if c in material.tested.columns]
    blocks: list[Block] = []
    if plan.min_nodes:
        blocks += attempt(lambda: panel_blocks(
            robustness.label_panel(rows, model=material.primary, min_nodes=plan.min_nodes, mark=material.mark),
            id="fig-label-sensitivity",
        ))  # fmt: skip
    else:
        blocks.append(Text(
            "No minimum of examined nodes was named ([analysis] min_nodes): whether the performance holds with surer "
            "N0 was not looked at."
        ))  # fmt: skip
    if columns and not material.tested.empty and material.tested[columns].isna().any(axis=None):
        blocks += attempt(lambda: panel_blocks(
            robustness.missing_panel(rows, model=material.primary, columns=columns, mark=material.mark),
            id="fig-missing-sensitivity",
        ))  # fmt: skip
    else:
        blocks.append(Text("No tested patient lacks a predictor."))
    return Section("sensitivity", "Sensitivity: does it hold where data are in doubt?", tuple(blocks))


TOO_FEW_TO_COMPARE = "There are too few of those predicted wrongly, or rightly, for how they differ to be told."


def mistakes(material: Material) -> Section:
    """How the missed N+ and the false alarms differ from the others."""

    def build() -> list[Block]:
        panel = robustness.mistakes_panel(material.judged, model=material.primary, mark=material.mark)
        shown = pd.DataFrame(
            {
                "Compared": r["comparison"],
                "Fact": _fact(r), "Wrong": _amount(r, "wrong"), "Right": _amount(r, "right"),
                "Standardised difference": theme.with_interval(Estimate(r["smd"], r["low"], r["high"])),
            }
            for r in panel.table.dropna(subset=["smd"]).to_dict("records")
        )  # fmt: skip
        blocks: list[Block] = [Text(panel.sentence), Text(TOO_FEW_TO_COMPARE)]
        if len(shown):
            blocks = panel_blocks(panel, id="fig-mistakes")
            blocks.append(table(shown, caption="Those predicted wrongly beside those predicted rightly.", folded=True))
        blocks.append(note("Single patients are on the case page, not in this report."))
        return blocks

    return Section("mistakes", "Failures: whom does the model get wrong?", tuple(attempt(build)))


def _fact(row: dict[str, object]) -> str:
    named = row["level"] not in ("", "1")
    return words.column(str(row["column"])) + (f": {level_words(row['level'])}" if named else "")


def _amount(row: dict[str, object], which: str) -> str:
    """A mean, or a share where the row is of a level, with the number of patients."""
    value, n = float(row[which]), row[f"n_{which}"]
    said = theme.percent(value) if row["level"] != "" else theme.number(value, digits=1)
    return f"{said} (n = {n})"


def associations(material: Material) -> Section:
    """How the risk goes with the declared molecular and pathological markers."""
    plan = material.study.analysis
    title = "Associations: with which markers does the risk go?"
    if not plan.markers:
        said = (
            "No marker was declared ([analysis] markers): associations with molecular or pathological findings were "
            "not looked at."
        )
        return Section("associations", title, (Text(said),))

    def build() -> list[Block]:
        panel = robustness.associations_panel(
            material.tested, model=material.primary, markers=plan.markers, adjust=plan.confounders, mark=material.mark
        )
        shown = pd.DataFrame(
            {
                "Marker": words.column(r["marker"]), "Contrast": r["contrast"],
                "Model": "adjusted" if r["adjusted"] else "unadjusted", "n": f"{r['n']:.0f}",
                "SD of the log odds of risk": spread(
                    r | {"effect_low": r["low"], "effect_high": r["high"]}, "effect"
                ),
            }
            for r in panel.table.to_dict("records")
        )  # fmt: skip
        return [
            *panel_blocks(panel, id="fig-associations", wide=True),
            table(shown, caption="Difference of the log odds of risk, in SD; brackets: 95 % interval (HC3)."),
        ]

    return Section("associations", title, tuple(attempt(build)))

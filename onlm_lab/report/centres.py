"""The section on the centres: how good the primary model is in each hospital, pooled, and in one to come."""

from __future__ import annotations

import pandas as pd

from onlm_lab import figures
from onlm_lab.panels.groups import centres_panel
from onlm_lab.panels.patients import TESTED
from onlm_lab.panels.subgroups import subgroup_panel
from onlm_lab.report.material import Material
from onlm_lab.report.performance import attempt, panel_blocks, spread
from onlm_lab.report.section import Block, Section, Text, note, table

FEW_IN_CENTRE = (
    "Too few: AUC and observed : expected want 5 N+ and 5 N0 of a centre, as in the figures; sensitivity wants 10 N+, "
    "specificity 10 N0."
)


def centres(material: Material) -> Section:
    """Every centre's AUC, sensitivity and observed-to-expected ratio, too few events said and not hidden."""

    def build() -> list[Block]:
        scheme = material.study.training.scheme
        how = (
            "each centre was left out of training in turn"
            if scheme == "leave_one_centre_out"
            else "every centre also contributed training patients, so this is not external testing"
        )
        caption = f"By centre, {TESTED[material.split].split(':')[0]}, 95 % intervals."
        return [
            Text(f"{figures.label_of(material.primary)} model by centre; {how}."),
            table(_by_centre(material), caption=caption),
            note(FEW_IN_CENTRE),
            *(block for measure in ("auc", "slope", "oe_ratio") for block in attempt(
                lambda measure=measure: panel_blocks(
                    centres_panel(material.judged, model=material.primary, measure=measure,
                                  left_out=scheme == "leave_one_centre_out", mark=material.mark),
                    id=f"fig-centres-{measure.replace('_', '-')}",
                )
            )),
        ]  # fmt: skip

    if material.tested.empty or material.tested["centre"].nunique() < 2:
        said = Text("One centre only: nothing can be said about other hospitals.")
        return Section("centres", "Centres", (said,))
    return Section("centres", "Centres: does it work in each hospital?", tuple(attempt(build)))


def _by_centre(material: Material) -> pd.DataFrame:
    """Rates of each centre, and the AUC and observed : expected that the figures draw and the pooling takes."""
    rates = subgroup_panel(material.judged, model=material.primary, columns=["centre"]).table
    drawn = material.judged.centres(material.primary).table.set_index("centre")
    drawn = drawn.rename(columns={"low": "auc_low", "high": "auc_high"})
    return pd.DataFrame(
        {
            "Centre": r["level"], "N+ / patients": f"{int(r['n_positive'])} / {int(r['n'])}",
            "AUC": _or_few(drawn.loc[r["level"]].to_dict(), "auc"),
            "Sensitivity": _or_few(r, "sensitivity", as_percent=True),
            "Specificity": _or_few(r, "specificity", as_percent=True),
            "Observed : expected": _or_few(drawn.loc[r["level"]].to_dict(), "oe_ratio"),
        }
        for r in rates.to_dict("records")
    )  # fmt: skip


def _or_few(row: dict[str, object], name: str, *, as_percent: bool = False) -> str:
    return "too few" if pd.isna(row[name]) else spread(row, name, as_percent=as_percent)

"""What screening left behind, as tables: whom each rule left out where, what to look up, and the rules.

Everything here is a count over all patients screened: of no patient by name, and of no label or outcome.
"""

from __future__ import annotations

import pandas as pd

from onlm_lab import figures
from onlm_lab.panels.cohort import characteristic, look_up_counts, rule_by_centre
from onlm_lab.report import words
from onlm_lab.report.material import Material
from onlm_lab.report.section import Block, note, table

MOST = 12  # columns to look up that are shown
COUNTS = {"n_excluded": "Excluded at each rule, by centre.", "n_undetermined": "Undetermined at each rule, by centre."}


def screened(material: Material) -> list[Block]:
    """The tables that stand behind the flow; none of those whose file the screening did not leave."""
    return [*_by_centre(material.flow), *_to_look_up(material), *_disagreeing(material)]


def _by_centre(flow: pd.DataFrame) -> list[Block]:
    """Rules at which somebody was left out, against centres; folded, and only where there is more than one centre."""
    if flow.empty or figures.of_centres(flow)["centre"].nunique() < 2:
        return []
    blocks: list[Block] = []
    for count, said in COUNTS.items():
        found = rule_by_centre(flow, count=count)
        found = found[found.iloc[:, -1] > 0]
        if len(found):
            blocks.append(table(found, caption=said, folded=True))
    return blocks


def _to_look_up(material: Material) -> list[Block]:
    undetermined = material.undetermined
    if undetermined.empty:
        return []
    counted = look_up_counts(undetermined.assign(missing=undetermined["missing"].fillna("not told")))
    n = undetermined["patient_id"].nunique()
    shown = counted.head(MOST).set_axis(["To look up", "Patients", "Nothing else is missing"], axis=1)
    more = f" {len(counted) - MOST} rarer characteristics are not shown." if len(counted) > MOST else ""
    return [
        table(shown, caption=f"To look up for the {words.plural(n, 'patient')} whose eligibility is undetermined."),
        note(
            "A patient may lack several of them, and of several one may do. Who lacks what is undetermined.csv in the "
            f"study's work folder.{more}"
        ),
    ]


def _disagreeing(material: Material) -> list[Block]:
    """How often two recorded things, or a recorded and a derived one, are at odds."""
    found = material.disagreements
    if found.empty:
        return []
    shown = pd.DataFrame([
        {"Disagreement": str(what)[:1].upper() + str(what)[1:], "Patients": rows["patient_id"].nunique(),
         "May decide who is in": rows.loc[rows["matters"] == 1, "patient_id"].nunique()}
        for what, rows in found.groupby("what", sort=False)
    ]).sort_values(["May decide who is in", "Patients"], ascending=False, kind="stable")  # fmt: skip
    n = found["patient_id"].nunique()
    return [
        table(shown, caption=f"To be looked at again: {words.plural(n, 'patient')} with records that disagree."),
        note("Disagreements are reported, never overruled. Each is a line of disagreements.csv in the work folder."),
    ]


def protocol_rules(rules: pd.DataFrame) -> Block:
    """The protocol as it was applied; there is at least one rule."""
    shown = pd.DataFrame({
        "Rule": rules["text"], "Passes if": rules["passes"],
        "Reads": [", ".join(characteristic(name) for name in cell.split(", ") if name) for cell in rules["inputs"]],
        "Source": rules["source"], "Version": rules["version"],
    })  # fmt: skip
    return table(shown, caption=f"The {words.plural(len(rules), 'rule')} of the protocol as applied.")

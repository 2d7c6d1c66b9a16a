"""Where the first recurrence was found, by predicted group: counts of patients, local recurrence among them."""

from __future__ import annotations

import pandas as pd

from onlm_lab.panels.patients import GROUP, GROUPS, of_arm, with_predicted_group
from onlm_lab.report.grouping import Grouping
from onlm_lab.report.material import Material
from onlm_lab.report.section import Block, note, table
from onlm_lab.report.words import share
from onlm_lab.schema import SITES

UNKNOWN = "unknown"
NAMES = {"local": "local", "regional": "regional (nodes)", "distant": "distant", UNKNOWN: "site unknown"}
EVERYBODY = "all"
COUNTED = "Counts alone: follow-up differs from patient to patient, and no test is made of them."


def site_blocks(material: Material, *, arm: str, grouping: Grouping) -> list[Block]:
    """The table of sites, where the study records recurrence_site and somebody recurred; else nothing.

    Args:
        material: the run.
        arm: "surgery" or "sbrt".
        grouping: how the arm is divided; where it is not, all patients stand in one column.
    """
    patients = of_arm(material.rows, model=material.primary, arm=arm)
    if "recurrence_site" not in patients.columns or not (patients["recurred"] == 1).any():
        return []
    patients = patients[patients["recurred"].notna()]
    groups = {EVERYBODY: patients}
    if grouping.possible:
        divided = with_predicted_group(patients, threshold=grouping.threshold)
        groups = {name: divided[divided[GROUP] == name] for name in GROUPS} | groups
    counts = {name: site_counts(rows) for name, rows in groups.items()}
    lines = [{"First recurrence": "any"} | {name: share(rows.n_recurred, rows.n) for name, rows in counts.items()}]
    for site, word in NAMES.items():
        if site == UNKNOWN and not counts[EVERYBODY][site]:
            continue
        lines.append({"First recurrence": f"\u2003{word}"} | {k: share(c[site], c.n) for k, c in counts.items()})
    blocks: list[Block] = [table(pd.DataFrame(lines), caption="Where was the first recurrence found?")]
    several = counts[EVERYBODY].n_several
    together = f" {several:,} had more than one site and count in each row." if several else ""
    return [*blocks, note(f"Patients with a recurrence, of those in whom that is known. {COUNTED}{together}")]


def site_counts(rows: pd.DataFrame) -> pd.Series:
    """How many patients recurred, and at which site first; several sites count in each.

    Args:
        rows: a row a patient with `recurred` and `recurrence_site` (sites joined by ';', or "unknown").

    Returns:
        n, n_recurred, n_several, and a number for local, regional, distant and unknown.
    """
    said = rows.loc[rows["recurred"] == 1, "recurrence_site"].fillna(UNKNOWN).astype(str)
    found = [set(text.split(";")) & set(SITES) for text in said]
    counts = {site: sum(site in one for one in found) for site in SITES}
    return pd.Series(
        {"n": len(rows), "n_recurred": len(said), "n_several": sum(len(one) > 1 for one in found)} | counts
        | {UNKNOWN: sum(not one for one in found)}
    )  # fmt: skip

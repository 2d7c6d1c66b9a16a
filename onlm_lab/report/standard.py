"""The section on the reference standard: how N+ was established, how thoroughly, and who has none."""

from __future__ import annotations

import pandas as pd

from onlm_lab.cohort.label import label_quality
from onlm_lab.report import words
from onlm_lab.report.material import Material
from onlm_lab.report.section import Block, Section, Text, note, table
from onlm_lab.study.stages import Label

SURROGATE = (
    "The label is a surrogate. The table records no clinical N, so pathological N stands alone: some N+ patients may "
    "have been known to be N+ before treatment, and would then not be occult."
)


def reference_standard(material: Material) -> Section:
    """How N+ was established, how thoroughly, and who has no label and why."""
    labelled, label = material.labelled, material.study.label
    sbrt = " SBRT patients have none by design." if (material.patients["arm"] == "sbrt").any() else ""
    blocks: list[Block] = [Text(
        "Reference standard: pathological N after surgery. N+ means pathological N1-N3 in a patient whose nodes looked "
        "clean before treatment; N0 means no metastasis with at least one node examined. Neoadjuvant treatment, NX and "
        f"positive invasive staging leave the label missing.{sbrt}"
    )]  # fmt: skip
    if label.surrogate:
        blocks = [Text(
            f"Reference standard: pathological N after surgery; N+ means N1-N3.{sbrt}"
        ), Text(SURROGATE, tone="box")]  # fmt: skip
    if "pathological_n" in labelled:
        stages = labelled["pathological_n"].value_counts().sort_index()
        counted = ", ".join(f"{n:,} {stage}" for stage, n in stages.items())
        blocks.append(Text(f"Pathological N of the {len(labelled):,} labelled patients: {counted}."))
    blocks.append(table(_yield(labelled), caption="Nodes examined: median (quartiles, where they differ)."))
    if label.min_nodes is None and label.min_n2_stations is None:
        blocks.append(note("No minimum number of nodes or stations was set; few examined nodes make a pN0 uncertain."))
    else:
        least = [
            f"{least} {noun}"
            for least, noun in ((label.min_nodes, "nodes"), (label.min_n2_stations, "mediastinal stations"))
            if least is not None
        ]
        blocks.append(note(f"Set in study.toml as the least to be trusted: {', '.join(least)}."))
        blocks.append(_quality(labelled, label))
    missing = material.patients[material.patients["onlm"].isna()]
    if len(missing):
        counted = missing["onlm_missing_reason"].fillna("no reason recorded").value_counts()
        shown = pd.DataFrame({"Why there is no label": counted.index, "Patients": [f"{n:,}" for n in counted]})
        blocks.append(table(shown, caption="Patients of this run without a reference standard."))
    return Section("reference-standard", "Reference standard", tuple(blocks))


def _yield(labelled: pd.DataFrame) -> pd.DataFrame:
    groups = {"All": labelled, "N0": labelled[labelled["onlm"] == 0], "N+": labelled[labelled["onlm"] == 1]}
    none = pd.Series(dtype=float)
    return pd.DataFrame(
        {
            "Patients": f"{name} (n = {len(rows):,})",
            "Nodes": words.middle(rows.get("nodes_examined", none)),
            "Mediastinal stations": words.middle(rows.get("n2_stations_examined", none)),
        }
        for name, rows in groups.items()
    )


def _quality(labelled: pd.DataFrame, label: Label) -> Block:
    """How many labels rest on fewer nodes or stations than the study trusts."""
    found = label_quality(labelled, min_nodes=label.min_nodes, min_n2_stations=label.min_n2_stations)
    rows = [(name, int((found["quality"] == name).sum())) for name in ("N+", "N0", "N0 uncertain")]
    rows += [(f"N0 uncertain: {why}", int(n)) for why, n in found["quality_reason"].value_counts().items()]
    shown = pd.DataFrame(rows, columns=["Label", "Patients"])
    return table(shown.astype(str), caption="How far the labels can be trusted.")

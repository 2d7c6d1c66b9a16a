"""The label: occult nodal metastasis, 1, 0, or missing with the reason."""

from __future__ import annotations

import numpy as np
import pandas as pd

REASONS = (
    "SBRT: no pathological N",
    "neoadjuvant treatment",
    "neoadjuvant treatment unknown",
    "nodes positive at invasive staging",
    "clinical N1-N3",
    "clinical N unknown",
    "clinical M1",
    "clinical M unknown",
    "pathological N unknown",
    "pathological N is NX",
    "no node examined",
    "number of nodes examined unknown",
)


def label(patients: pd.DataFrame, *, surrogate: bool = False) -> pd.DataFrame:
    """Whether the nodes that looked clean before treatment were found to hold cancer.

    `onlm` is 1 when clinical N is N0, clinical M is M0, nothing was given before surgery, and pathological N is N1-N3;
    0 under the same conditions when pathological N is N0 with at least one node examined; else missing. The first
    reason that holds, in the order of REASONS, is the one given.

    Args:
        patients: clinical columns; an absent column counts as not known.
        surrogate: the table has no clinical N, so that pathological N stands alone: what is unknown of clinical N and
            M, of neoadjuvant treatment and of the number of nodes is then no obstacle; what is known still is.

    Returns:
        onlm (1.0, 0.0, NaN) and onlm_missing_reason (None where labelled), on the index of `patients`.
    """
    index = patients.index

    def of(name: str) -> pd.Series:
        return patients[name] if name in patients else pd.Series([None] * len(index), index=index, dtype=object)

    n, m, pn, nodes = of("clinical_n"), of("clinical_m"), of("pathological_n"), of("nodes_examined")
    given = of("neoadjuvant")
    negative = pn == "N0"
    conditions = {
        "SBRT: no pathological N": of("treatment") == "sbrt",
        "neoadjuvant treatment": given == 1,
        "neoadjuvant treatment unknown": given.isna() & (not surrogate),
        "nodes positive at invasive staging": of("invasive_staging_positive") == 1,
        "clinical N1-N3": n.isin(["N1", "N2", "N3"]),
        "clinical N unknown": (n.isna() | (n == "NX")) & (not surrogate),
        "clinical M1": m.isin(["M1", "M1a", "M1b", "M1c"]),
        "clinical M unknown": (m.isna() | (m == "MX")) & (not surrogate),
        "pathological N unknown": pn.isna(),
        "pathological N is NX": pn == "NX",
        "no node examined": negative & (nodes == 0),
        "number of nodes examined unknown": negative & nodes.isna() & (not surrogate),
    }
    reason = pd.Series([None] * len(index), index=index, dtype=object)
    for text in reversed(REASONS):
        reason[conditions[text].astype(bool)] = text
    onlm = pd.Series(np.where(pn.isin(["N1", "N2", "N3"]), 1.0, 0.0), index=index).where(reason.isna())
    return pd.DataFrame({"onlm": onlm, "onlm_missing_reason": reason})


def arm(patients: pd.DataFrame) -> pd.Series:
    """surgery or sbrt; surgery too where only a pathological N tells so; None where nothing tells."""
    treatment = (
        patients["treatment"] if "treatment" in patients else pd.Series(None, index=patients.index, dtype=object)
    )
    found = pd.Series([None] * len(patients), index=patients.index, dtype=object)
    if "pathological_n" in patients:
        found[patients["pathological_n"].notna()] = "surgery"
    found[treatment.notna()] = "surgery"
    found[treatment == "sbrt"] = "sbrt"
    return found


def uncertain_negatives(
    patients: pd.DataFrame, *, min_nodes: int | None = None, min_n2_stations: int | None = None
) -> pd.DataFrame:
    """Patients called N0 although few nodes or mediastinal stations were examined, to be left out of a sensitivity
    analysis. Neither minimum has a default: name the one that is meant.

    Returns:
        patient_id, nodes_examined, n2_stations_examined, reason.
    """
    rows = patients[patients["onlm"] == 0]
    reason = pd.Series([""] * len(rows), index=rows.index, dtype=object)
    for name, least, noun in (
        ("nodes_examined", min_nodes, "nodes"), ("n2_stations_examined", min_n2_stations, "mediastinal stations"),
    ):  # fmt: skip
        if least is None:
            continue
        few = rows[name].isna() | (rows[name] < least)
        reason[few] += f"; fewer than {least} {noun} known to be examined"
    kept = rows.loc[reason != "", ["patient_id", "nodes_examined", "n2_stations_examined"]]
    return kept.assign(reason=reason[reason != ""].str.removeprefix("; ")).reset_index(drop=True)


def reference_standard(patients: pd.DataFrame) -> pd.DataFrame:
    """How the reference standard was made, by extent of surgery: node yield and the classes found.

    Returns:
        treatment, n, n_labelled, n_positive, n0, n1, n2, n3, nodes_median, nodes_q1, nodes_q3, nodes_missing.
    """
    surgery = patients[patients["arm"] == "surgery"]
    rows = []
    for name, group in surgery.groupby(surgery["treatment"].fillna("not recorded"), sort=True):
        nodes = group["nodes_examined"].astype(float)
        known = nodes.dropna()
        q1, median, q3 = known.quantile([0.25, 0.5, 0.75]) if len(known) else (np.nan,) * 3
        classes = {f"n{k}": int((group["pathological_n"] == f"N{k}").sum()) for k in range(4)}
        rows.append(
            {"treatment": name, "n": len(group), "n_labelled": int(group["onlm"].notna().sum()),
             "n_positive": int((group["onlm"] == 1).sum()), **classes, "nodes_median": median, "nodes_q1": q1,
             "nodes_q3": q3, "nodes_missing": int(nodes.isna().sum())}
        )  # fmt: skip
    return pd.DataFrame(rows)

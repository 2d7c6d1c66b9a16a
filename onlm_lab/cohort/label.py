"""The label: occult nodal metastasis, 1, 0, or missing with the reason; and how far a 0 can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
import pandas as pd

from onlm_lab.cohort.staging import numbers, words
from onlm_lab.errors import OnlmError

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
    n, m, pn = (words(patients, name) for name in ("clinical_n", "clinical_m", "pathological_n"))
    nodes, given = numbers(patients, "nodes_examined"), numbers(patients, "neoadjuvant")
    negative, needed = pn == "N0", not surrogate
    conditions = {
        "SBRT: no pathological N": words(patients, "treatment") == "sbrt",
        "neoadjuvant treatment": given == 1,
        "neoadjuvant treatment unknown": np.isnan(given) & needed,
        "nodes positive at invasive staging": numbers(patients, "invasive_staging_positive") == 1,
        "clinical N1-N3": np.isin(n, ["N1", "N2", "N3"]),
        "clinical N unknown": np.isin(n, ["", "NX"]) & needed,
        "clinical M1": np.isin(m, ["M1", "M1a", "M1b", "M1c"]),
        "clinical M unknown": np.isin(m, ["", "MX"]) & needed,
        "pathological N unknown": pn == "",
        "pathological N is NX": pn == "NX",
        "no node examined": negative & (nodes == 0),
        "number of nodes examined unknown": negative & np.isnan(nodes) & needed,
    }
    reason = np.full(len(patients), None, dtype=object)
    for text in reversed(REASONS):
        reason[conditions[text]] = text
    missing = np.logical_or.reduce(list(conditions.values()))
    onlm = np.where(missing, np.nan, np.isin(pn, ["N1", "N2", "N3"]))
    return pd.DataFrame({"onlm": onlm, "onlm_missing_reason": reason}, index=patients.index)


def label_given(patients: pd.DataFrame, *, given: pd.Series) -> pd.DataFrame:
    """A label that came ready-made with a table that has no pathological N.

    It stands where nothing known speaks against it: not for SBRT, nor after neoadjuvant treatment, with positive
    nodes before treatment or with metastasis. Those are missing with that reason, an empty one as "no label given".

    Args:
        patients: clinical columns; an absent column counts as not known.
        given: 1, 0 or NaN on the index of `patients`.

    Returns:
        onlm and onlm_missing_reason, as `label`.
    """
    found = label(
        patients.assign(pathological_n=given.map({1.0: "N1", 0.0: "N0"}), nodes_examined=np.nan), surrogate=True
    )
    empty = found["onlm_missing_reason"] == "pathological N unknown"
    return found.assign(onlm_missing_reason=found["onlm_missing_reason"].mask(empty, "no label given"))


def arm(patients: pd.DataFrame) -> pd.Series:
    """surgery or sbrt; surgery too where only a pathological N tells so; None where nothing tells."""
    treatment, pn = words(patients, "treatment"), words(patients, "pathological_n")
    found = np.full(len(patients), None, dtype=object)
    found[(treatment != "") | (pn != "")] = "surgery"
    found[treatment == "sbrt"] = "sbrt"
    return pd.Series(found, index=patients.index, dtype=object)


def quality_rule(*, min_nodes: int | None = None, min_n2_stations: int | None = None) -> str:
    """What makes a pN0 uncertain, in a sentence for the log.

    Raises:
        OnlmError: a minimum below 1.
    """
    named = ((min_nodes, "node", "nodes"), (min_n2_stations, "mediastinal station", "mediastinal stations"))
    for least, _, noun in named:
        if least is not None and least < 1:
            raise OnlmError(f"The least number of {noun} is {least}; wanted at least 1, or none named.")
    said = [f"fewer than {least} {one if least == 1 else many}" for least, one, many in named if least is not None]
    if not said:
        return "no minimum of nodes or mediastinal stations is named: every pN0 is taken as it is"
    return f"a pN0 with {' or '.join(said)} known to be examined is uncertain"


def label_quality(
    patients: pd.DataFrame, *, min_nodes: int | None = None, min_n2_stations: int | None = None
) -> pd.DataFrame:
    """How far each label can be trusted: a pN0 that rests on few nodes or mediastinal stations is uncertain.

    Neither minimum has a default: name the one that is meant (`quality_rule` says it for the log). What is not known
    to have been examined counts as not examined; a positive needs no minimum.

    Args:
        patients: onlm, nodes_examined, n2_stations_examined; an absent count is not known.
        min_nodes: the least number of nodes examined.
        min_n2_stations: the least number of mediastinal (N2) stations examined.

    Returns:
        quality ("N+", "N0", "N0 uncertain", None where unlabelled) and quality_reason (None but for "N0 uncertain"),
        on the index of `patients`.

    Raises:
        OnlmError: a minimum below 1.
    """
    quality_rule(min_nodes=min_nodes, min_n2_stations=min_n2_stations)
    index, onlm = patients.index, patients["onlm"]
    reason = pd.Series([""] * len(index), index=index, dtype=object)
    for name, least, noun in (
        ("nodes_examined", min_nodes, "nodes"), ("n2_stations_examined", min_n2_stations, "mediastinal stations"),
    ):  # fmt: skip
        if least is not None:
            few = (onlm == 0) & ~(numbers(patients, name) >= least)
            reason = reason.mask(few, reason + f"; fewer than {least} {noun} known to be examined")
    reason = reason.str.removeprefix("; ") if len(reason) else reason
    quality = np.select([onlm == 1, (onlm == 0) & (reason == ""), onlm == 0], ["N+", "N0", "N0 uncertain"], default="")
    kept = {"quality": pd.Series(quality, index=index, dtype=object), "quality_reason": reason.astype(object)}
    return pd.DataFrame({name: column.where(column != "", None) for name, column in kept.items()})


def label_table(
    patients: pd.DataFrame, *, min_nodes: int | None = None, min_n2_stations: int | None = None
) -> pd.DataFrame:
    """The label of each patient with what it rests on, one row a patient, for the work folder.

    Returns:
        patient_id, centre, arm, onlm, onlm_missing_reason, quality, quality_reason, treatment (extent),
        pathological_n, nodes_examined, n2_stations_examined.
    """
    quality = label_quality(patients, min_nodes=min_nodes, min_n2_stations=min_n2_stations)
    names = [
        "patient_id", "centre", "arm", "onlm", "onlm_missing_reason", "quality", "quality_reason", "treatment",
        "pathological_n", "nodes_examined", "n2_stations_examined",
    ]  # fmt: skip
    return patients.assign(**quality).reindex(columns=names)


def uncertain_negatives(
    patients: pd.DataFrame, *, min_nodes: int | None = None, min_n2_stations: int | None = None
) -> pd.DataFrame:
    """Patients called N0 although few nodes or mediastinal stations were examined, to be left out of a sensitivity
    analysis. Neither minimum has a default: name the one that is meant.

    Returns:
        patient_id, nodes_examined, n2_stations_examined, reason.
    """
    reason = label_quality(patients, min_nodes=min_nodes, min_n2_stations=min_n2_stations)["quality_reason"]
    names = ["patient_id", "nodes_examined", "n2_stations_examined"]
    kept = patients.reindex(columns=names)[reason.notna()]
    return kept.assign(reason=reason[reason.notna()]).reset_index(drop=True)


def reference_standard(patients: pd.DataFrame, *, by: str = "treatment") -> pd.DataFrame:
    """How the reference standard was made, by extent of surgery (or by centre): node yield and the classes found.

    Surgical patients only: SBRT has no reference standard.

    Args:
        patients: arm, onlm, pathological_n, nodes_examined, n2_stations_examined and the column `by`.
        by: "treatment" (extent), "centre", or another column.

    Returns:
        the column `by`, n, n_labelled, n_positive, positive_fraction (of the labelled; Wilson 95 % low, high), n0, n1,
        n2, n3 (classes of pathological N), nodes_median, nodes_q1, nodes_q3, nodes_missing, and the same four of
        stations.
    """
    surgery = patients[patients["arm"] == "surgery"]
    rows = []
    names = surgery[by].astype(object).where(surgery[by].notna(), "not recorded")
    for name, group in surgery.groupby(names, sort=True):
        n, positive = int(group["onlm"].notna().sum()), int((group["onlm"] == 1).sum())
        classes = {f"n{k}": int((group["pathological_n"] == f"N{k}").sum()) for k in range(4)}
        rows.append(
            {by: name, "n": len(group), "n_labelled": n, "n_positive": positive, **_fraction(positive, n), **classes,
             **_spread(group, "nodes_examined", prefix="nodes"),
             **_spread(group, "n2_stations_examined", prefix="stations")}
        )  # fmt: skip
    return pd.DataFrame(rows)


def positives_by_yield(patients: pd.DataFrame, *, cuts: Sequence[int] = (1, 6, 11, 16)) -> pd.DataFrame:
    """How often a labelled patient is N+, by the number of nodes examined: few nodes find few metastases.

    16 nodes is the cut that a study of a Chinese registry and of SEER recommends for node-negative disease
    (PMC5455598); the other cuts are round numbers.

    Args:
        patients: onlm and nodes_examined.
        cuts: first number of nodes of each band, rising.

    Returns:
        nodes (such as "1-5", "16 or more", "not known"), n, n_positive, positive_fraction, low, high (Wilson 95 %).

    Raises:
        OnlmError: cuts that do not rise.
    """
    if list(cuts) != sorted(set(cuts)) or not len(cuts):
        raise OnlmError(f"The cuts of the number of nodes are {', '.join(map(str, cuts))}; wanted rising numbers.")
    known = patients[patients["onlm"].notna()]
    nodes = numbers(known, "nodes_examined")
    last = [*(c - 1 for c in cuts[1:]), None]
    names = [f"{a} or more" if b is None else f"{a}" if a == b else f"{a}-{b}" for a, b in zip(cuts, last, strict=True)]
    band = np.where(np.isnan(nodes), len(cuts) + 1, np.searchsorted(cuts, nodes, side="right"))
    rows = []
    for place, name in enumerate([f"fewer than {cuts[0]}", *names, "not known"]):
        here = band == place
        n, positive = int(here.sum()), int((known["onlm"].to_numpy()[here] == 1).sum())
        if n or 0 < place <= len(cuts):
            rows.append({"nodes": name, "n": n, "n_positive": positive, **_fraction(positive, n)})
    return pd.DataFrame(rows)


def _spread(group: pd.DataFrame, name: str, *, prefix: str) -> dict[str, float]:
    """Median, quartiles and missing cells of a count."""
    count = numbers(group, name)
    known = count[~np.isnan(count)]
    q1, median, q3 = np.quantile(known, [0.25, 0.5, 0.75]) if len(known) else (np.nan,) * 3
    spread = {"median": float(median), "q1": float(q1), "q3": float(q3), "missing": len(count) - len(known)}
    return {f"{prefix}_{key}": value for key, value in spread.items()}


def _fraction(positive: int, n: int) -> dict[str, float]:
    """A share with its Wilson interval (Wilson, J Am Stat Assoc 1927;22:209-212)."""
    if not n:
        return dict.fromkeys(("positive_fraction", "low", "high"), np.nan)
    z = NormalDist().inv_cdf(0.975)
    centre, half = positive + z**2 / 2, z * np.sqrt(positive * (n - positive) / n + z**2 / 4)
    return {
        "positive_fraction": positive / n,
        "low": max(0.0, float((centre - half) / (n + z**2))) if positive else 0.0,
        "high": min(1.0, float((centre + half) / (n + z**2))) if positive < n else 1.0,
    }

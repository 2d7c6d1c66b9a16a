"""Whom does the model get most wrong, with what facts, and how do they differ from those it gets right?"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from onlm_lab.analysis.endpoint import level_name, sorted_levels
from onlm_lab.analysis.intervals import normal_quantile
from onlm_lab.analysis.rows import Labelled, labelled, require_columns
from onlm_lab.analysis.thresholds import predicted_positive
from onlm_lab.errors import OnlmError
from onlm_lab.results import ConfidentMistakes, Estimate

MISSED, FALSE_ALARM = "missed N+", "false alarm"
AGAINST = {MISSED: "missed N+ against found N+", FALSE_ALARM: "false alarms against spared N0"}
BESIDE = ("centre", "risk_low", "risk_high", "ood_score")
# What a reader of a case asks first, where it is in the table; known before treatment, then what pathology found.
FACTS = (
    "age_years", "sex", "smoking", "pack_years", "histology", "lobe", "central_location", "nodule_type",
    "total_diameter_mm", "solid_diameter_mm", "ctr", "cea_ng_ml", "suv_max", "ct_volume_ml", "ct_longest_axial_mm",
    "ct_solid_axial_mm", "ct_ctr", "ct_mean_hu", "ct_distance_to_pleura_mm", "ct_quality",
    "pathological_n", "nodes_examined", "n2_stations_examined", "lvi", "grade", "treatment",
)  # fmt: skip
MOST_LEVELS = 30


def confident_mistakes(
    rows: pd.DataFrame, *, n: int = 20, model: str | None = None, threshold: float | None = None,
    facts: Sequence[str] | None = None, min_patients: int = 5, level: float = 0.95,
) -> ConfidentMistakes:  # fmt: skip
    """The missed N+ with the lowest risks and the false alarms with the highest, and how they differ from the others.

    `compared` has the standardised mean difference, wrong minus right, of each fact: difference of means or shares
    over the root of the mean variance (Austin 2009, doi:10.1002/sim.3697), with its large-sample interval (Hedges and
    Olkin 1985, doi:10.1016/C2009-0-03396-0, chapter 5). It describes who is missed; it is no test of a reason.

    Args:
        rows: a row a patient: patient_id, onlm, risk; predicted_positive where no threshold is given.
        n: how many of each kind at most.
        model: which model_id; None where the table holds one only.
        threshold: positive if risk >= threshold; None takes each row's own predicted_positive.
        facts: columns to show and compare; None takes the known clinical, image and pathology columns that hold
            anything.
        min_patients: the fewest known values in either group that give a difference.
        level: coverage of the intervals.

    Raises:
        OnlmError: an absent column, n below 1, or neither threshold nor predicted_positive.
    """
    if n < 1:
        raise OnlmError(f"confident_mistakes: n must be at least 1, got {n}.")
    normal_quantile(level)
    given = labelled(rows, model=model)
    if facts is None:
        names = [c for c in FACTS if c in given.frame and given.frame[c].notna().any()]
    else:
        names = [facts] if isinstance(facts, str) else list(dict.fromkeys(facts))
    require_columns(given.frame, names)
    positive = predicted_positive(given, threshold=threshold)
    missed, found = given.onlm & ~positive, given.onlm & positive
    alarm, spared = ~given.onlm & positive, ~given.onlm & ~positive
    tables = [_ranked(given, inside, kind=kind, n=n, facts=names, threshold=threshold)
              for kind, inside in ((MISSED, missed), (FALSE_ALARM, alarm))]  # fmt: skip
    compared = [
        line
        for kind, wrong, right in ((MISSED, missed, found), (FALSE_ALARM, alarm, spared))
        for name in names
        for line in _compared(given.frame[name], wrong, right, of=AGAINST[kind], least=min_patients, level=level)
    ]
    head = ["comparison", "column", "level", "n_wrong", "n_right", "wrong", "right", "smd", "low", "high", "note"]
    return ConfidentMistakes(
        table=pd.concat([t for t in tables if len(t)] or tables[:1], ignore_index=True),
        compared=pd.DataFrame(compared, columns=head), facts=tuple(names), n_missed=int(missed.sum()),
        n_found=int(found.sum()), n_false_alarms=int(alarm.sum()), n_spared=int(spared.sum()),
        model_id=given.model_id, n=given.n, n_events=given.n_events, n_excluded=given.n_excluded, notes=given.notes,
    )  # fmt: skip


def _ranked(
    given: Labelled, inside: np.ndarray, *, kind: str, n: int, facts: list[str], threshold: float | None
) -> pd.DataFrame:
    """The most confident first: the lowest risks of the missed, the highest of the false alarms; ties by patient_id."""
    part = given.frame[inside]
    order = np.lexsort((part["patient_id"].astype(str), given.risk[inside] * (1 if kind == MISSED else -1)))[:n]
    part = part.iloc[order]
    own = part["threshold"].to_numpy(float) if threshold is None and "threshold" in part else None
    shown = pd.DataFrame({
        "kind": kind, "rank": np.arange(1, len(part) + 1), "patient_id": part["patient_id"].to_numpy(),
        "risk": given.risk[inside][order],
        "threshold": own if own is not None else math.nan if threshold is None else float(threshold),
    })  # fmt: skip
    beside = [c for c in (*BESIDE, *facts) if c in part and c not in shown]
    return shown.assign(**{c: part[c].to_numpy() for c in beside})


def _compared(
    column: pd.Series, wrong: np.ndarray, right: np.ndarray, *, of: str, least: int, level: float
) -> list[dict[str, object]]:
    """One line of a number or a yes-or-no column, one line a level of a category."""
    column = column.infer_objects() if column.dtype == object else column
    a, b = column[wrong].dropna(), column[right].dropna()
    base = {"comparison": of, "column": column.name, "n_wrong": len(a), "n_right": len(b)}
    if pd.api.types.is_numeric_dtype(column.dtype):
        known = column.dropna()
        share = bool(known.isin([0, 1]).all()) and known.nunique() > 0
        levels: list = [("1" if share else "", a.to_numpy(float), b.to_numpy(float))]
    else:
        share = True
        values = sorted_levels(column)[0]
        if len(values) > MOST_LEVELS:
            return [base | {"level": "", "wrong": math.nan, "right": math.nan, "smd": math.nan, "low": math.nan,
                            "high": math.nan, "note": f"{len(values)} categories: too many to compare"}]  # fmt: skip
        levels = [(level_name(v), (a == v).to_numpy(float), (b == v).to_numpy(float)) for v in values]
    lines = []
    for name, x, y in levels:
        estimate = _apart(x, y, share=share, least=least, level=level)
        means = [float(v.mean()) if len(v) else math.nan for v in (x, y)]
        lines.append(base | {"level": name, "wrong": means[0], "right": means[1], "smd": estimate.value,
                             "low": estimate.low, "high": estimate.high, "note": estimate.note})  # fmt: skip
    return lines


def _apart(x: np.ndarray, y: np.ndarray, *, share: bool, least: int, level: float) -> Estimate:
    """Standardised mean difference of x minus y."""
    m, n = len(x), len(y)
    if min(m, n) < max(least, 2):
        return Estimate(math.nan, level=level, note=f"fewer than {max(least, 2)} known values in a group")
    both = [float(v.mean() * (1 - v.mean())) if share else float(v.var(ddof=1)) for v in (x, y)]
    gap, spread = float(x.mean() - y.mean()), math.sqrt(sum(both) / 2)
    if spread == 0:
        note = "the same in everybody" if gap == 0 else "no spread inside the groups"
        return Estimate(0.0 if gap == 0 else math.nan, level=level, note=note)
    smd = gap / spread
    half = normal_quantile(level) * math.sqrt((m + n) / (m * n) + smd**2 / (2 * (m + n)))
    return Estimate(smd, smd - half, smd + half, level, "large sample")

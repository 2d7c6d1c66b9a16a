"""Does the performance hold in patients whose predictors are missing? By how many, by completeness, by column."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from onlm_lab.analysis.discrimination import area_under_curve
from onlm_lab.analysis.intervals import normal_quantile, wald
from onlm_lab.analysis.rows import Labelled, labelled, require_columns
from onlm_lab.analysis.subgroup import adjust_p_values, by_subgroup
from onlm_lab.analysis.tails import normal_tails
from onlm_lab.errors import OnlmError
from onlm_lab.results import Estimate, MissingDataSensitivity

NUMBER_MISSING, COMPLETENESS = "number missing", "completeness"
COMPLETE, INCOMPLETE, KNOWN, MISSING = "complete", "incomplete", "known", "missing"


def missing_data_sensitivity(
    rows: pd.DataFrame, *, columns: Sequence[str], model: str | None = None, threshold: float | None = None,
    most: int = 3, min_patients: int = 10, level: float = 0.95,
) -> MissingDataSensitivity:  # fmt: skip
    """Performance by how many predictors are missing, in complete cases against the rest, and by each column.

    A model that fills what is missing gives everybody a risk; this shows whether the risk is worth as much where much
    was filled. Differences of AUC are between different patients: DeLong's variances add up (DeLong et al. 1988,
    doi:10.2307/2531595), z test, P adjusted by Holm and by Benjamini and Hochberg. Whose values are missing is not
    chance: a difference may come from the patients, not from the filling.

    Args:
        rows: a row a patient: patient_id, onlm, risk and the predictors as they were before anything was filled.
        columns: the predictors.
        model: which model_id; None where the table holds one only.
        threshold: positive if risk >= threshold; None takes each row's own predicted_positive, where it is there.
        most: so many missing and more are one group.
        min_patients: the least number of N+, and of N0, that gives a number.
        level: coverage of the intervals.

    Raises:
        OnlmError: no column, or an absent one.
    """
    names = [columns] if isinstance(columns, str) else list(dict.fromkeys(columns))
    if not names:
        raise OnlmError("missing_data_sensitivity: no column was named; pass the model's predictors.")
    if most < 1:
        raise OnlmError(f"missing_data_sensitivity: most must be at least 1, got {most}.")
    normal_quantile(level)
    require_columns(rows, names)
    given = labelled(rows, model=model)
    groups, notes = _groups(given, names, most=most)
    own = [c for c in ("predicted_positive",) if c in given.frame]
    frame = pd.DataFrame({"patient_id": given.frame["patient_id"], "onlm": given.onlm.astype(float),
                          "risk": given.risk} | {c: given.frame[c] for c in own})  # fmt: skip
    keys = {f"group {k}": name for k, name in enumerate(groups)}  # a predictor may bear any name
    frame = frame.assign(**{key: groups[name] for key, name in keys.items()})
    found = by_subgroup(frame, columns=list(keys), threshold=threshold, min_patients=min_patients, level=level)
    table = found.table.rename(columns={"column": "grouping"})
    table["grouping"] = table["grouping"].map(keys)
    return MissingDataSensitivity(
        table=table[table["n"] > 0].reset_index(drop=True), columns=tuple(names), model_id=given.model_id, n=given.n,
        tests=_tests(given, groups, least=min_patients, level=level), n_events=given.n_events,
        n_excluded=given.n_excluded, notes=(*given.notes, *notes, *(n for n in found.notes if n not in given.notes)),
    )  # fmt: skip


def _groups(given: Labelled, names: list[str], *, most: int) -> tuple[dict[str, pd.Categorical], list[str]]:
    """The groupings that part the patients; columns that are known, or missing, in everybody are only counted."""
    missing = given.frame[names].isna()
    number = missing.sum(axis=1).to_numpy()
    said = [*map(str, range(most)), f"{most} or more"]
    groups = {
        NUMBER_MISSING: pd.Categorical.from_codes(np.minimum(number, most), said),
        COMPLETENESS: _two(number > 0, COMPLETE, INCOMPLETE),
    }
    some = [c for c in names if 0 < missing[c].sum() < given.n]
    groups |= {c: _two(missing[c].to_numpy(), KNOWN, MISSING) for c in some}
    notes = [f"{len(some)} of {len(names)} predictors are missing in some of {given.n} patients"]
    nowhere = [c for c in names if missing[c].all()]
    if nowhere:
        notes.append(f"missing in all patients, so nobody is a complete case: {', '.join(nowhere)}")
    return groups, notes


def _two(second: np.ndarray, first_word: str, second_word: str) -> pd.Categorical:
    return pd.Categorical.from_codes(np.asarray(second).astype(int), [first_word, second_word])


def _tests(given: Labelled, groups: dict[str, pd.Categorical], *, least: int, level: float) -> pd.DataFrame:
    rows = []
    for name, group in groups.items():
        if name == NUMBER_MISSING:
            continue
        a, b = (given.part(group.codes == k) for k in (0, 1))
        estimate, z = _difference(a, b, least=least, level=level)
        rows.append({
            "grouping": name, "level_a": group.categories[0], "level_b": group.categories[1],
            "difference": estimate.value, "low": estimate.low, "high": estimate.high, "z": z,
            "p_value": float(normal_tails(z)), "note": estimate.note,
        })  # fmt: skip
    table = pd.DataFrame(rows)
    p_value = table["p_value"].to_numpy(float)
    table.insert(8, "p_holm", adjust_p_values(p_value, method="holm"))
    table.insert(9, "p_bh", adjust_p_values(p_value, method="bh"))
    return table


def _difference(a: Labelled, b: Labelled, *, least: int, level: float) -> tuple[Estimate, float]:
    """AUC of a minus AUC of b, different patients."""
    method = "DeLong, unpaired"
    if min(a.n_events, a.n - a.n_events, b.n_events, b.n - b.n_events) < least:
        return Estimate(math.nan, level=level, method=method, note=f"fewer than {least} N+ or N0 in a group"), math.nan
    (first, first_variance), (second, second_variance) = area_under_curve(a), area_under_curve(b)
    se = math.sqrt(first_variance + second_variance)
    if not se > 0:
        return Estimate(first - second, level=level, method=method, note="no test: the variance is 0"), math.nan
    return wald(first - second, se, level=level, method=method), (first - second) / se

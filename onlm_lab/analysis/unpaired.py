"""Does the model separate better in one group of patients than in another? Two AUCs from different patients."""

from __future__ import annotations

import math

import pandas as pd

from onlm_lab.analysis.discrimination import area_under_curve, auc_intervals
from onlm_lab.analysis.intervals import wald
from onlm_lab.analysis.rows import Labelled, labelled, require_columns
from onlm_lab.analysis.tails import normal_tails
from onlm_lab.errors import OnlmError
from onlm_lab.results import AucBetweenGroups, Estimate

_METHOD = "DeLong, unpaired, z"
_SHOWN = 8


def compare_aucs_between(
    rows: pd.DataFrame,
    *,
    by: str,
    levels: tuple[str, str] | None = None,
    model: str | None = None,
    level: float = 0.95,
) -> AucBetweenGroups:
    """AUC of one model in one group of patients minus its AUC in another (unpaired DeLong, two-sided normal P).

    The groups hold different patients, so their DeLong variances add; the statistic is referred to the normal
    distribution, not to Welch's t as in pROC (DeLong et al. 1988, doi:10.2307/2531595; Hanley and McNeil 1982,
    doi:10.1148/radiology.143.1.7063747). A difference may come from another mix of patients as much as from the model.

    Args:
        rows: a row a patient: patient_id, onlm, risk and the column `by`.
        by: the column that parts the patients, such as "split" or "sex"; patients without it are counted out.
        levels: the two groups, first minus second; None takes the two that are there, in alphabetical order.
        model: which model_id; None where the table holds one only.
        level: coverage of the intervals.

    Raises:
        OnlmError: no such column, other than two groups, more than one row a patient, or an unusable label or risk.
    """
    require_columns(rows, [by])
    given = labelled(rows, model=model)
    missing = given.frame[by].isna().to_numpy()
    group = given.frame[by].astype(str).to_numpy(dtype=object)
    a, b = _two(sorted(set(group[~missing])), by=by, levels=levels)
    n_excluded = dict(given.n_excluded)
    for reason, n in (
        (f"{by} missing", int(missing.sum())),
        ("in another group", int((~missing & (group != a) & (group != b)).sum())),
    ):
        if n:
            n_excluded[reason] = n
    parts = [given.part((group == name) & ~missing) for name in (a, b)]
    found = [area_under_curve(part) for part in parts]
    areas = [auc_intervals(*one, level=level, why=part.one_class)[0] for one, part in zip(found, parts, strict=True)]
    difference, statistic = _difference(found, (a, b), parts, level=level)
    groups = pd.DataFrame({
        "group": [a, b], "n": [p.n for p in parts], "n_events": [p.n_events for p in parts],
        "auc": [e.value for e in areas], "low": [e.low for e in areas], "high": [e.high for e in areas],
    })  # fmt: skip
    notes = tuple(n for n in given.notes if by != "split" or not n.startswith("patients of different splits"))
    return AucBetweenGroups(
        difference=difference, auc_a=areas[0], auc_b=areas[1], z=statistic,
        p_value=float(normal_tails(statistic)), by=by, group_a=a, group_b=b, groups=groups, model_id=given.model_id,
        n=sum(p.n for p in parts), n_events=sum(p.n_events for p in parts), n_excluded=n_excluded,
        notes=(*notes, *([difference.note] if difference.note else [])),
    )  # fmt: skip


def _two(names: list[str], *, by: str, levels: tuple[str, str] | None) -> tuple[str, str]:
    shown = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
    if levels is None:
        if len(names) == 2:
            return names[0], names[1]
        hint = (
            f"pass levels=('{names[0]}', '{names[1]}') or another two"
            if len(names) > 2
            else "there is nothing to compare"
        )
        raise OnlmError(f"compare_aucs_between: {by} must hold two groups, it holds {len(names)} ({shown}); {hint}.")
    wanted = [str(w) for w in levels]
    unknown = [w for w in wanted if w not in names]
    if len(set(wanted)) != 2 or len(wanted) != 2 or unknown:
        raise OnlmError(f"compare_aucs_between: levels must be two different groups of {by} ({shown}), got {levels!r}.")
    return wanted[0], wanted[1]


def _difference(
    found: list[tuple[float, float]], names: tuple[str, str], parts: list[Labelled], *, level: float
) -> tuple[Estimate, float]:
    value, variance = found[0][0] - found[1][0], found[0][1] + found[1][1]
    if variance > 0:
        se = math.sqrt(variance)
        return wald(value, se, level=level, method=_METHOD), value / se
    why = "; ".join(f"{n}: {p.one_class}" for n, p in zip(names, parts, strict=True) if p.one_class)
    if not why:
        why = "both are separated completely, DeLong's variance is 0" if variance == 0 else (
            "a variance needs at least two N+ and two N0 patients in each group"
        )  # fmt: skip
    return Estimate(value, level=level, method=_METHOD, note=f"no test: {why}"), math.nan

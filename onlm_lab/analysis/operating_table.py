"""Several operating points side by side: thresholds by rule, and what each does to the patients."""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from onlm_lab.analysis.rows import labelled
from onlm_lab.analysis.thresholds import RULES, choose_threshold, operating_point
from onlm_lab.errors import OnlmError
from onlm_lab.results import OperatingPoint, OperatingTable

Rule = str | float | tuple[str, float]
USUAL_RULES: tuple[Rule, ...] = (
    "youden", ("sensitivity", 0.90), ("sensitivity", 0.95), ("specificity", 0.90), ("specificity", 0.95),
)  # fmt: skip
GIVEN = "given"  # the rule's name where the user named the threshold
_MEASURES = ("sensitivity", "specificity", "ppv", "npv", "lr_positive", "lr_negative")
_AT_PREVALENCE = ("ppv_at_prevalence", "npv_at_prevalence")
_COUNTS = ("n_tp", "n_fp", "n_tn", "n_fn")


def operating_points(
    rows: pd.DataFrame,
    *,
    rules: Sequence[Rule] = USUAL_RULES,
    model: str | None = None,
    chosen_on: pd.DataFrame | None = None,
    prevalence: float | None = None,
    level: float = 0.95,
) -> OperatingTable:
    """What the thresholds of several rules do: a table, one row a rule, every measure with its interval.

    A threshold that is chosen here on `rows` is marked apparent, as its numbers are too good; pass the training
    patients as `chosen_on`, and the thresholds come from them alone. See `operating_point` for the intervals.

    Args:
        rows: a row a patient: patient_id, onlm, risk.
        rules: each "youden", ("sensitivity", 0.95), ("specificity", 0.9), or a number: a threshold of your own.
        model: which model_id; None where the table holds one only.
        chosen_on: the patients on whom the thresholds are chosen, columns as rows; None: `rows` themselves.
        prevalence: the share of N+ patients for which PPV and NPV are wanted beside those at the rows' own.
        level: coverage of the intervals.

    Raises:
        OnlmError: no rule, an unknown one, a target outside (0, 1], or a prevalence outside (0, 1).

    Example:
        >>> import pandas as pd
        >>> rows = pd.DataFrame({"patient_id": list("abcde"), "onlm": [0, 0, 1, 0, 1], "risk": [.1, .2, .2, .3, .9]})
        >>> operating_points(rows, rules=["youden", 0.5]).table["threshold"].tolist()
        [0.9, 0.5]
    """
    wanted = [_read(rule) for rule in _listed(rules)]
    source = rows if chosen_on is None else chosen_on
    reason = labelled(source, model=model).one_class
    table, points = [], []
    for name, target in wanted:
        threshold = target if name == GIVEN else math.nan
        if name != GIVEN and not reason:
            at = 0.95 if math.isnan(target) else target
            threshold = choose_threshold(source, rule=name, target=at, model=model)
        row: dict[str, object] = {"rule": name, "target": target, "threshold": float(threshold)}
        if math.isnan(threshold):
            table.append(row | {"apparent": False, "note": f"no threshold: {reason}"})
            continue
        point = operating_point(rows, threshold=threshold, model=model, prevalence=prevalence, level=level)
        points.append(point)
        table.append(row | _measured(point, prevalence=prevalence))
    given = labelled(rows, model=model)
    notes = given.notes
    if any(p.apparent for p in points):
        notes = (*notes, "apparent: thresholds were chosen on these very patients")
    return OperatingTable(
        table=_in_order(pd.DataFrame(table), prevalence=prevalence), model_id=given.model_id, n=given.n,
        n_events=given.n_events, prevalence=math.nan if prevalence is None else float(prevalence),
        n_excluded=given.n_excluded, apparent=any(p.apparent for p in points), notes=notes,
    )  # fmt: skip


def _listed(rules: Sequence[Rule]) -> list[Rule]:
    """One rule may come without its list: "youden", 0.2, or ("sensitivity", 0.95)."""
    one = isinstance(rules, str | float | int) or (
        isinstance(rules, tuple) and len(rules) == 2 and isinstance(rules[0], str) and not isinstance(rules[1], str)
        and not isinstance(rules[1], tuple)
    )  # fmt: skip
    listed = [rules] if one else list(rules)
    if not listed:
        raise OnlmError("operating_points: no rule was named; pass rules=['youden', ('sensitivity', 0.95), 0.2].")
    return listed


def _read(rule: Rule) -> tuple[str, float]:
    """A rule's name and target; for a threshold of the user's own, "given" and the threshold."""
    if isinstance(rule, str):
        name, target = rule, math.nan
    elif isinstance(rule, float | int | np.floating) and not isinstance(rule, bool):
        if math.isnan(rule):
            raise OnlmError("operating_points: a threshold is NaN; pass a number such as 0.2.")
        return GIVEN, float(rule)
    else:
        name, target = rule if isinstance(rule, tuple) and len(rule) == 2 else (str(rule), math.nan)
    if name not in RULES:
        near = difflib.get_close_matches(str(name), RULES, n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise OnlmError(
            f"operating_points: a rule is one of {', '.join(RULES)}, alone or with its target, or a threshold of your "
            f"own; got '{name}'.{hint}"
        )
    if name != "youden" and math.isnan(target):
        raise OnlmError(f"operating_points: rule '{name}' needs its target, such as ('{name}', 0.95).")
    return name, math.nan if name == "youden" else float(target)


def _measured(point: OperatingPoint, *, prevalence: float | None) -> dict[str, object]:
    row: dict[str, object] = {}
    for name in (*_MEASURES, *(() if prevalence is None else _AT_PREVALENCE)):
        estimate = getattr(point, name)
        row |= {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
    notes = [n for n in point.notes if n.startswith("all ")]
    return row | {n: getattr(point, n) for n in _COUNTS} | {"apparent": point.apparent, "note": "; ".join(notes)}


def _in_order(table: pd.DataFrame, *, prevalence: float | None) -> pd.DataFrame:
    """All columns in their order, also where no rule gave a threshold."""
    measures = (*_MEASURES, *(() if prevalence is None else _AT_PREVALENCE))
    spread = [f"{name}{end}" for name in measures for end in ("", "_low", "_high")]
    return table.reindex(columns=["rule", "target", "threshold", *spread, *_COUNTS, "apparent", "note"])

"""What a model would say of the same patient with one other value: individual conditional expectation curves.

    table = effects(saved, patients, taught=labelled, codes=saved.codes(patients, patches=hu))
    patient_id, model_id, predictor, value, risk

Goldstein et al. 2015 (doi:10.1080/10618600.2014.907095): each patient's own curve, not their mean. Everything else, CT
included, stays as it is. It is the model's effect, not a cause: nobody becomes younger, and a nodule that is smaller in
the table alone is another patient from the one on the CT.

What follows from the changed value changes with it: `solid_diameter_mm`, `total_diameter_mm`, `ctr` and `nodule_type`
describe one tumour (see `one_tumour`). A value that cannot be (a solid part larger than the tumour, pack-years of a
never-smoker) has no row.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from onlm_lab import schema
from onlm_lab.learning.saved import SavedModel
from onlm_lab.learning.tumour_size import SIZE, one_tumour
from onlm_lab.schema.contradictions import contradictions

COLUMNS = ("patient_id", "model_id", "predictor", "value", "risk")
POINTS = 11  # of a number's curve, between the 5th and the 95th percentile of the training patients
# Derived by rules that learning does not know, and from what.
DERIVED = {
    "derived_t": (*SIZE, "t_descriptor"),
    "derived_stage": (*SIZE, "t_descriptor", "clinical_n", "clinical_m", "derived_t"),
}


def effects(
    saved: SavedModel, patients: pd.DataFrame, *, taught: pd.DataFrame, codes: Sequence[Tensor]
) -> pd.DataFrame:
    """The calibrated risk of each patient with each value of each predictor: columns as `COLUMNS`, `value` as text.

    The values are those of the training patients: `POINTS` between their 5th and 95th percentile, or all of them where
    there are no more; each level of a category; and the patient's own, whose row has the risk as it is (an empty value
    where it is not known).

    Args:
        saved: a model that reads the table.
        patients: aligned with `codes`.
        taught: the training patients, of whom the values are taken.
        codes: of `saved.codes`, from which the image comes: it is looked at once.
    """
    table = patients[_known_before(patients, also=saved.columns)].reset_index(drop=True)
    wrong = {one.what: rows for rows, one in contradictions(table, table="clinical")}
    typical, fixed = _typical_ctr(taught), left_out(saved.columns)
    parts = []
    for name in (c for c in saved.columns if c not in fixed):
        rows, value, own = _points(table[name], values=curve_values(taught[name]))
        before = table.iloc[rows].reset_index(drop=True)
        block, possible = one_tumour(before.assign(**{name: value}), before=before, changed=name, typical=typical)
        for told, one in contradictions(block, table="clinical"):
            at = np.array(told)
            possible[at[~np.isin(rows[at], wrong.get(one.what, []))]] = False
        possible |= own
        rows, block = rows[possible], block.loc[possible].reset_index(drop=True)
        risk = _risk(saved, block, codes=[code[torch.from_numpy(rows)] for code in codes])
        parts.append(pd.DataFrame({"row": rows, "predictor": name, "value": block[name].map(_text), "risk": risk}))
    found = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["row", *COLUMNS[2:]])
    found = found.sort_values("row", kind="stable", ignore_index=True)
    owner = patients["patient_id"].to_numpy()[found["row"].to_numpy(dtype=int)]
    return found.assign(patient_id=owner, model_id=saved.model_id)[list(COLUMNS)]


def _known_before(patients: pd.DataFrame, *, also: Sequence[str]) -> list[str]:
    """The columns that a changed value may be at odds with."""
    specs = {c: schema.column(c) for c in patients if c != "patient_id"}
    return [c for c, spec in specs.items() if c in also or (spec is not None and spec.timing == "pre_treatment")]


def left_out(columns: Sequence[str]) -> dict[str, str]:
    """The predictors that cannot be changed alone in a model that reads these columns, and why."""
    found: dict[str, str] = {}
    for derived, sources in DERIVED.items():
        if derived in columns:
            found[derived] = f"{derived} follows from other columns"
            found |= {c: f"{derived} would change with it" for c in sources if c in columns and c not in found}
    return found


def curve_values(taught: pd.Series) -> list:
    """The values of a curve, from the training patients': numbers in order (whole ones where all are), or levels."""
    known = taught.dropna()
    if not pd.api.types.is_numeric_dtype(taught.dtype):
        return sorted(known.astype(str).unique())
    distinct = np.unique(known.to_numpy(dtype=np.float64))
    if len(distinct) <= POINTS:
        return distinct.tolist()
    values = np.linspace(*np.percentile(known.to_numpy(dtype=np.float64), [5, 95]), POINTS)
    if (distinct == np.rint(distinct)).all():
        values = np.unique(np.rint(values))
    return values.tolist()


def _points(own: pd.Series, *, values: list) -> tuple[np.ndarray, pd.Series, np.ndarray]:
    """For every patient every value and his own, in order: whose row (m,), the value, and whether it is his own."""
    n, numeric = len(own), pd.api.types.is_numeric_dtype(own.dtype)
    stacked = np.empty((n, len(values) + 1), dtype=object)
    stacked[:, 0], stacked[:, 1:] = own.to_numpy(dtype=object, na_value=np.nan), values
    points = pd.DataFrame({
        "row": np.repeat(np.arange(n), len(values) + 1),
        "value": pd.Series(stacked.ravel()).astype(np.float64 if numeric else object),
        "own": np.tile(np.arange(len(values) + 1) == 0, n),
    })  # fmt: skip
    points = points[~points.duplicated(["row", "value"])]  # of two equal ones his own, which comes first, stays
    points = points.sort_values(["row", "value"], kind="stable", ignore_index=True)
    return points["row"].to_numpy(), points["value"], points["own"].to_numpy()


def _typical_ctr(taught: pd.DataFrame) -> float:
    """The median CTR of the part-solid training patients; NaN where there is none."""
    if "ctr" not in taught or "nodule_type" not in taught:
        return float("nan")
    known = taught.loc[taught["nodule_type"] == "part_solid", "ctr"].dropna()
    return float(known.median()) if len(known) else float("nan")  # of nothing pandas takes a median with a warning


def _risk(saved: SavedModel, table: pd.DataFrame, *, codes: Sequence[Tensor]) -> np.ndarray:
    """Risks with the table in the place of that which the codes were made with."""
    filled = []
    for seed, code in enumerate(codes):
        read = torch.from_numpy(np.concatenate(saved.encoder(seed).transform(table), axis=1))
        filled.append(torch.cat([read, code[:, saved.n_table(seed) :]], dim=1))
    return saved.calibrator.apply(saved.classify(filled).mean(axis=0))


def _text(value: object) -> str:
    """A value as effects.csv has it: whole numbers without a point, others by repr, nothing where nothing is known."""
    if isinstance(value, float):
        if np.isnan(value):
            return ""
        return str(int(value)) if value.is_integer() else repr(float(value))
    return "" if value is None else str(value)

"""The door through which every statistic takes its patients: one row a patient, one model, label known or counted out.

Whatever the table came from, a statistic sees each patient once. Rows of several models, splits or repeats are never
averaged, taken first or mixed in silence: the call stops and says what is there and what to pass.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from onlm_lab.errors import OnlmError

NO_LABEL = "label missing"
ONE_MODEL = "model"  # what a table without model_id is called in results
_SHOWN = 4


@dataclass(frozen=True, eq=False)
class Labelled:
    """Patients with a known label, one row each, ready for arithmetic.

    Attributes:
        frame: their rows, index 0..n-1, in the order of the table.
        onlm: (n,) bool, True where the nodes held cancer.
        risk: (n,) float in [0, 1]; higher is worse.
        model_id: the model they come from.
        n_excluded: reason -> number of patients left out.
        notes: what a reader must know.
    """

    frame: pd.DataFrame
    onlm: np.ndarray
    risk: np.ndarray
    model_id: str
    n_excluded: dict[str, int]
    notes: tuple[str, ...] = ()

    @property
    def n(self) -> int:
        return len(self.onlm)

    @property
    def n_events(self) -> int:
        return int(np.count_nonzero(self.onlm))

    @property
    def one_class(self) -> str:
        """A sentence where only one class is there, else empty."""
        if 0 < self.n_events < self.n:
            return ""
        return f"all {self.n} patients are {'N+' if self.n_events else 'N0'}: both classes are needed"

    def part(self, inside: np.ndarray) -> Labelled:
        """Some of the patients: labels and risks (copying their other columns would cost more than the statistics).

        Args:
            inside: (n,) bool, who is in it.
        """
        return replace(self, frame=self.frame.iloc[:0], onlm=self.onlm[inside], risk=self.risk[inside])

    def too_few(self, *, least: int) -> str:
        """Why these patients give no number; empty where they do."""
        if self.n == 0:
            return "no patients"
        if self.n_events < least:
            return f"fewer than {least} N+"
        if self.n - self.n_events < least:
            return f"fewer than {least} N0"
        return ""


@dataclass(frozen=True, eq=False)
class Patients:
    """Patients of one model, one row each. A call that takes them in place of rows does not check them again, and what
    one call has read of them the next need not read.

    Attributes:
        frame: their rows, index 0..n-1; nobody changes them.
        model_id: the model they come from.
    """

    frame: pd.DataFrame
    model_id: str
    _read: dict[Hashable, Any] = field(default_factory=dict, repr=False)

    @property
    def columns(self) -> pd.Index:
        return self.frame.columns

    def once(self, key: Hashable, read: Callable[[], Any]) -> Any:
        """What was read under this key, read now if it was not before."""
        if key not in self._read:
            self._read[key] = read()
        return self._read[key]


def checked_patients(rows: pd.DataFrame | Patients, *, model: str | None = None) -> Patients:
    """The patients of one model, to be asked many times; as `one_row_a_patient`."""
    chosen, model_id = one_row_a_patient(rows, model=model)
    if isinstance(rows, Patients):
        return rows
    frame = chosen.copy(deep=False)
    frame.index = pd.RangeIndex(len(frame))
    return Patients(frame, model_id)


def require_columns(rows: pd.DataFrame | Labelled | Patients, columns: Iterable[str]) -> None:
    """Stop with one sentence that names every column that is missing, and the nearest that is present."""
    if isinstance(rows, Labelled | Patients):
        rows = rows.frame
    if not isinstance(rows, pd.DataFrame):
        raise OnlmError(f"rows must be a pandas DataFrame with a row a patient, got {type(rows).__name__}.")
    columns, present = list(columns), [str(c) for c in rows.columns]
    twice = [c for c in columns if present.count(c) > 1]
    if twice:
        raise OnlmError(f"rows: column '{twice[0]}' is there {present.count(twice[0])} times. Keep one of them.")
    missing = [c for c in columns if not isinstance(c, Hashable) or c not in rows.columns]
    if not missing:
        return
    said = []
    for name in missing:
        near = difflib.get_close_matches(str(name), present, n=1)
        said.append(f"'{name}'" + (f" (nearest present: '{near[0]}')" if near else ""))
    word = "column" if len(missing) == 1 else "columns"
    raise OnlmError(f"rows: {word} {', '.join(said)} not found among {', '.join(present) or 'no columns'}.")


def models_in(rows: pd.DataFrame) -> list[str]:
    """The models of a table, in order of appearance; one nameless model where there is no model_id column.

    Raises:
        OnlmError: a row without model_id in a table that has the column.
    """
    require_columns(rows, ())
    if "model_id" not in rows.columns:
        return [ONE_MODEL]
    require_columns(rows, ["model_id"])
    nameless = int(rows["model_id"].isna().sum())
    if nameless:
        raise OnlmError(
            f"rows: model_id is missing in {nameless} of {len(rows)} rows. Name the model in each row, or drop the "
            "column where there is one model only."
        )
    return [str(m) for m in pd.unique(rows["model_id"])]


def one_row_a_patient(rows: pd.DataFrame | Patients, *, model: str | None = None) -> tuple[pd.DataFrame, str]:
    """The rows of one model, one a patient, and the model's name; needs only patient_id.

    Args:
        rows: any table with patient_id, and model_id where it holds more than one model; or patients checked before.
        model: which model_id; None where the table holds one only.

    Raises:
        OnlmError: an unknown model, several models, or a patient with more than one row.
    """
    if isinstance(rows, Patients):
        if model not in (None, rows.model_id):
            raise OnlmError(f"rows: these are the patients of model '{rows.model_id}'; '{model}' was asked for.")
        return rows.frame, rows.model_id
    require_columns(rows, ["patient_id"])
    if rows.empty:
        raise OnlmError("rows: the table has no rows. Loosen the filter, or read another file.")
    models = models_in(rows)
    if model is None and len(models) > 1:
        raise OnlmError(f"rows hold {len(models)} models ({_some(models)}): pass model='{models[0]}' or another.")
    if model is not None and model not in models:
        near = difflib.get_close_matches(str(model), models, n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise OnlmError(f"rows: model '{model}' not found; there is {_some(models)}.{hint}")
    if len(models) > 1:
        rows = rows[rows["model_id"].astype(str) == model]
    blank = rows["patient_id"].isna()
    if blank.any():
        raise OnlmError(f"rows: patient_id is missing in {int(blank.sum())} of {len(rows)} rows. Give each row its id.")
    _refuse_repeats(rows)
    return rows, (model if model is not None else models[0])


def labelled(rows: pd.DataFrame | Labelled, *, model: str | None = None, risk: bool = True) -> Labelled:
    """The patients whose label is known, with their risks; the others are counted with the reason.

    Every call about one model's labelled patients (roc, operating_point, assess_calibration, by_subgroup, by_centre)
    takes what this returns in place of rows and does not check it again: a page that asks the same patients about many
    thresholds opens the door once.

    Args:
        rows: a row a patient: patient_id, onlm (1, 0 or missing), risk in [0, 1]; model_id where there are several;
            onlm_missing_reason, where present, says why a label is missing. Or what this call returned.
        model: which model_id; None where the table holds one only.
        risk: whether the risk is needed and checked.

    Raises:
        OnlmError: a missing column, more than one row a patient, a label other than 1, 0 or missing, a risk that is
            missing or outside [0, 1], or no patient with a label.
    """
    if isinstance(rows, Labelled):
        if model not in (None, rows.model_id):
            raise OnlmError(f"rows: these are the patients of model '{rows.model_id}'; '{model}' was asked for.")
        if risk and np.isnan(rows.risk).any():
            _risks(rows.frame)  # raises, naming them
        return rows
    require_columns(rows, ["patient_id", "onlm", *(["risk"] if risk else [])])
    chosen, model_id = one_row_a_patient(rows, model=model)
    label = _labels(chosen)
    known = ~np.isnan(label)
    n_excluded = _reasons(chosen, ~known)
    if not known.any():
        why = "; ".join(f"{n} {reason}" for reason, n in n_excluded.items())
        raise OnlmError(
            f"rows: none of the {len(chosen)} patients has a known onlm ({why}). Pass patients with a label."
        )
    frame = (chosen if known.all() else chosen[known]).reset_index(drop=True)
    notes: tuple[str, ...] = ()
    if "split" in frame.columns:
        splits = frame["split"].value_counts()
        if len(splits) > 1:
            parts = ", ".join(f"{name} {n}" for name, n in splits.items())
            notes = (f"patients of different splits together: {parts}",)
    values = _risks(frame) if risk else np.full(len(frame), np.nan)
    return Labelled(frame, label[known] == 1, values, model_id, n_excluded, notes)


def predicted(rows: pd.DataFrame, *, model: str | None = None) -> tuple[pd.DataFrame, np.ndarray, str, dict[str, int]]:
    """Every patient with a risk, whether or not the label is known: rows, risks, model, and who was left out and why.

    For what the risk goes with, not for how well it predicts.

    Args:
        rows: a row a patient: patient_id, risk in [0, 1]; model_id where there are several.
        model: which model_id; None where the table holds one only.

    Raises:
        OnlmError: a missing column, more than one row a patient, a risk outside [0, 1], or nobody with a risk.
    """
    require_columns(rows, ["patient_id", "risk"])
    chosen, model_id = one_row_a_patient(rows, model=model)
    known = chosen["risk"].notna().to_numpy()
    if not known.any():
        raise OnlmError(f"rows: none of the {len(chosen)} patients has a risk. Predict them first.")
    frame = chosen[known].reset_index(drop=True)
    n_excluded = {} if known.all() else {"no risk": int((~known).sum())}
    return frame, _risks(frame, of="patients"), model_id, n_excluded


def paired(rows: pd.DataFrame, *, models: list[str]) -> tuple[list[Labelled], dict[str, int]]:
    """The same labelled patients under several models, in the same order, and how many were left out and why."""
    if "model_id" not in rows.columns:
        require_columns(rows, ["model_id"])
    sets = [labelled(rows, model=m) for m in models]
    ids = [pd.Index(s.frame["patient_id"].astype(str)) for s in sets]
    common = ids[0]
    for other in ids[1:]:
        common = common[common.isin(other)]
    if not len(common):
        raise OnlmError(f"rows: no labelled patient has a risk from each of {_some(models)}. Nothing can be compared.")
    out, left_out = [], {}
    for one, index in zip(sets, ids, strict=True):
        at = index.get_indexer(common)
        frame = one.frame.iloc[at].reset_index(drop=True)
        out.append(Labelled(frame, one.onlm[at], one.risk[at], one.model_id, one.n_excluded, one.notes))
    for one in out[1:]:
        differs = one.onlm != out[0].onlm
        if differs.any():
            raise OnlmError(
                f"rows: onlm differs between {out[0].model_id} and {one.model_id} for {int(differs.sum())} of "
                f"{len(common)} patients ({_some(common[differs])}). A patient has one label: join it from one table."
            )
    for one in sets:
        for reason, n in one.n_excluded.items():
            left_out[reason] = max(n, left_out.get(reason, 0))
    everyone = ids[0]
    for other in ids[1:]:
        everyone = everyone.union(other)
    if len(everyone) > len(common):
        left_out["no risk from every model"] = len(everyone) - len(common)
    return out, left_out


def _refuse_repeats(rows: pd.DataFrame) -> None:
    if not rows["patient_id"].duplicated().any():
        return
    again = rows["patient_id"].duplicated(keep=False)
    there, hints = [], []
    for name in ("split", "repeat"):
        if name in rows.columns and rows[name].nunique() > 1:
            values = list(pd.unique(rows[name]))
            there.append(f"{name} {_some(values)}")
            hints.append(
                f"rows[rows['{name}'] == {values[0]!r}]"
                if isinstance(values[0], str)
                else f"rows[rows['{name}'] == {values[0]}]"
            )
    ids = pd.unique(rows["patient_id"][again])
    why = (
        f" The rows hold {' and '.join(there)}: keep one, such as {hints[0]}." if there else " Keep one row a patient."
    )
    raise OnlmError(f"rows: {len(ids)} patients have more than one row ({_some(ids)}).{why}")


def _labels(rows: pd.DataFrame) -> np.ndarray:
    raw = rows["onlm"]
    number = pd.to_numeric(raw, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    bad = (np.isnan(number) & raw.notna().to_numpy()) | ~(np.isnan(number) | (number == 0) | (number == 1))
    if bad.any():
        values, ids = pd.unique(raw[bad]), rows["patient_id"][bad]
        values = ["an empty text" if v == "" else v for v in values]
        raise OnlmError(
            f"rows: onlm must be 1, 0 or missing, got {_some(values)} for {int(bad.sum())} of {len(rows)} patients "
            f"({_some(ids)}). Correct the label."
        )
    return number


def _risks(frame: pd.DataFrame, *, of: str = "labelled patients") -> np.ndarray:
    raw = frame["risk"]
    risk = pd.to_numeric(raw, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    missing = np.isnan(risk)
    if missing.any():
        raise OnlmError(
            f"rows: risk is missing or no number for {int(missing.sum())} of {len(frame)} {of} "
            f"({_some(frame['patient_id'][missing])}). Predict them, or leave them out before the call and say so."
        )
    outside = (risk < 0) | (risk > 1)
    if outside.any():
        raise OnlmError(
            f"rows: risk must lie in [0, 1] (a probability, not percent or a logit); {int(outside.sum())} of "
            f"{len(frame)} {of} lie outside, from {risk.min():g} to {risk.max():g} "
            f"({_some(frame['patient_id'][outside])})."
        )
    return risk


def _reasons(rows: pd.DataFrame, missing: np.ndarray) -> dict[str, int]:
    if not missing.any():
        return {}
    if "onlm_missing_reason" not in rows.columns:
        return {NO_LABEL: int(missing.sum())}
    reason = rows["onlm_missing_reason"][missing].astype(object)
    reason = reason.where(reason.notna() & (reason != ""), NO_LABEL)
    return {str(k): int(n) for k, n in reason.value_counts().items()}


def _some(values: Iterable[object]) -> str:
    """The first few values of a list, and how many more there are."""
    listed = [str(v) for v in values]
    more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return ", ".join(listed[:_SHOWN]) + more

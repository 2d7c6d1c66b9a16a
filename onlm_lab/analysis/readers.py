"""Do readers do better with the model? Several readers of the same patients, without the model and with it."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pandas as pd

from onlm_lab.analysis.discrimination import auc_intervals, placements, prefers_logit
from onlm_lab.analysis.intervals import normal_quantile, proportion, wald
from onlm_lab.analysis.reader_variance import as_estimate, average_over_readers
from onlm_lab.analysis.rows import NO_LABEL, Labelled, require_columns
from onlm_lab.analysis.tails import normal_tails
from onlm_lab.errors import OnlmError
from onlm_lab.results import Estimate, ReaderComparison

ALONE, WITH_MODEL = "estimate_alone", "estimate_with_model"
FEW_READERS, FEW_EVENTS = 3, 20
_KEY = ["reader_id", "patient_id"]
Parts = tuple[np.ndarray | None, np.ndarray | None]  # what N+ and N0 patients add, (readers, patients) each


class _Crossed(NamedTuple):
    """Patients whom every reader has read; estimates are (readers, patients)."""

    readers: list[str]
    onlm: np.ndarray
    alone: np.ndarray
    after: np.ndarray | None
    risk: np.ndarray | None
    n_excluded: dict[str, int]
    notes: tuple[str, ...]


def compare_readers(
    rows: pd.DataFrame, *, threshold: float | None = None, random_readers: bool = True, level: float = 0.95
) -> ReaderComparison:
    """How well readers tell N+ from N0 without the model and with it, one by one and on average.

    Each reader: empirical AUC with DeLong's interval, and the paired DeLong difference (1988, doi:10.2307/2531595).
    The average: Obuchowski and Rockette's analysis of variance (1995, doi:10.1080/03610919508813243) on DeLong's
    covariances, with Hillis' degrees of freedom (2007, doi:10.1002/sim.2532), which lets it speak for other readers
    and patients. The model against the readers' average: the same on each reader's difference from the model,
    which is one and the same for all. Patients count whom every reader has read, each time.

    Args:
        rows: a row a reader and patient: reader_id, patient_id, onlm, estimate_alone (0 to 1); where there was a second
            estimate, estimate_with_model; seconds_alone, seconds_with_model and risk (the model's) where known.
        threshold: an estimate from here on counts as positive; None: no sensitivity and specificity.
        random_readers: False: the average of these very readers; its interval then says nothing about others.
        level: coverage of the intervals.

    Raises:
        OnlmError: a missing column, a reader with two rows of a patient, an estimate outside 0 to 1, a label that
            differs between readers, or no patient whom all have read.
    """
    normal_quantile(level)
    if threshold is not None and not 0 < threshold < 1:
        raise OnlmError(f"threshold must lie between 0 and 1, got {threshold}.")
    seen = _crossed(rows)
    fixed = not random_readers or len(seen.readers) == 1
    averages = _averages(seen, threshold=threshold, fixed=fixed, level=level)
    measure = averages.set_index(["measure", "kind"])

    def of(kind: str) -> Estimate:
        if ("auc", kind) not in measure.index:
            return Estimate(math.nan, level=level, note="not asked for")
        row = measure.loc[("auc", kind)]
        return Estimate(row["value"], row["low"], row["high"], level, row["method"], row["note"])

    there = ("auc", "difference") in measure.index
    return ReaderComparison(
        auc_alone=of("alone"), auc_with_model=of("with_model"), difference=of("difference"), auc_model=of("model"),
        model_minus_alone=of("model_minus_alone"),
        df=float(measure.loc[("auc", "difference"), "df"]) if there else math.nan,
        p_value=float(measure.loc[("auc", "difference"), "p_value"]) if there else math.nan,
        readers=_each(rows, seen, threshold=threshold, level=level), averages=averages, random_readers=not fixed,
        n_readers=len(seen.readers), n=len(seen.onlm), n_events=int(seen.onlm.sum()),
        threshold=math.nan if threshold is None else threshold, n_excluded=seen.n_excluded, notes=_notes(seen, fixed),
    )  # fmt: skip


def _crossed(rows: pd.DataFrame) -> _Crossed:
    require_columns(rows, [*_KEY, "onlm", ALONE])
    rows = rows.assign(reader_id=rows["reader_id"].astype(str), patient_id=rows["patient_id"].astype(str))
    if rows.empty:
        raise OnlmError("rows: nobody has read a case yet.")
    n_twice = int(rows.duplicated(_KEY).sum())
    if n_twice:
        raise OnlmError(f"rows: {n_twice} rows are of a reader and patient that are there before. Keep the first.")
    onlm = rows.groupby("patient_id")["onlm"]
    wrong = ~(rows["onlm"].isin([0, 1]) | rows["onlm"].isna())
    if wrong.any() or (onlm.nunique() > 1).any():
        raise OnlmError("rows: onlm must be 1, 0 or missing, and the same for a patient in the rows of every reader.")
    second = WITH_MODEL in rows.columns and rows[WITH_MODEL].notna().any()
    columns = [ALONE, *([WITH_MODEL] if second else [])]
    for name in columns:
        n_outside = int((rows[name].notna() & ~rows[name].between(0, 1)).sum())
        if n_outside:
            raise OnlmError(f"rows: {name} must be a probability from 0 to 1; {n_outside} of {len(rows)} are not.")
    label = onlm.first()
    known = label.index[label.notna()]
    n_excluded = {NO_LABEL: len(label) - len(known)} if len(known) < len(label) else {}
    wide = [rows.pivot(index="patient_id", columns="reader_id", values=name).reindex(known) for name in columns]
    whole = np.logical_and.reduce([w.notna().all(axis=1) for w in wide])
    if not whole.any():
        raise OnlmError(
            f"rows: no patient with a known label has been read by all of {wide[0].shape[1]} readers"
            + (", alone and with the model" if second else "")
            + ". Wait until they have, or pass the rows of some readers."
        )
    notes: tuple[str, ...] = ()
    if not whole.all():
        n_excluded["not read by every reader"] = int((~whole).sum())
        n_read = rows[rows[columns].notna().all(axis=1)].groupby("reader_id").size()
        least = n_read.idxmin()
        notes = (f"not all is read yet: reader {least} has read {n_read.min()} cases, another {n_read.max()}",)
    risk = None
    if "risk" in rows.columns:
        values = rows.groupby("patient_id")["risk"].first().reindex(known)[whole]
        risk = values.to_numpy(float) if values.notna().all() else None
    alone, after = (w[whole].to_numpy(float).T for w in (wide[0], wide[-1]))
    return _Crossed(
        [str(r) for r in wide[0].columns], label[known][whole].to_numpy() == 1, alone, after if second else None, risk,
        n_excluded, notes,
    )  # fmt: skip


def _averages(seen: _Crossed, *, threshold: float | None, fixed: bool, level: float) -> pd.DataFrame:
    found = _rows_of("auc", [_placed(seen, e) for e in (seen.alone, seen.after)], fixed=fixed, level=level)
    if seen.risk is not None:
        found += _of_model(seen, fixed=fixed, level=level)
    if threshold is not None:
        for measure, inside, called in (("sensitivity", seen.onlm, True), ("specificity", ~seen.onlm, False)):
            parts: list[Parts | None] = [
                None if e is None else (((e[:, inside] >= threshold) == called).astype(float), None)
                for e in (seen.alone, seen.after)
            ]
            if not inside.any():
                continue
            found += _rows_of(measure, parts, fixed=fixed, level=level)
            if seen.risk is not None:
                right = (seen.risk[inside] >= threshold) == called
                own = proportion(int(right.sum()), len(right), of="patients", level=level)
                found.append(_row(measure, "model", own))
    return pd.DataFrame(found)


def _rows_of(measure: str, parts: list[Parts | None], *, fixed: bool, level: float) -> list[dict[str, object]]:
    """One measure without the model, with it, and the difference."""
    found = []
    for kind, part in zip(("alone", "with_model"), parts, strict=True):
        if part is not None:
            average = average_over_readers(*part, fixed=fixed)
            own = as_estimate(average, level=level, least=0, fixed=fixed)
            found.append(_row(measure, kind, own, se=average.se, df=average.df))
    if parts[1] is not None:
        found.append(_difference(measure, "difference", parts[1], parts[0], fixed=fixed, level=level))
    return found


def _difference(measure: str, kind: str, a: Parts, b: Parts, *, fixed: bool, level: float) -> dict[str, object]:
    apart = [None if x is None else x - y for x, y in zip(a, b, strict=True)]
    average = average_over_readers(*apart, fixed=fixed)
    own = as_estimate(average, level=level, least=-1, fixed=fixed)
    return _row(measure, kind, own, se=average.se, df=average.df, p_value=average.p_value)


def _of_model(seen: _Crossed, *, fixed: bool, level: float) -> list[dict[str, object]]:
    model, alone = _placed(seen, seen.risk[None, :]), _placed(seen, seen.alone)
    own = _own_area(model, level=level)
    if seen.onlm.all() or not seen.onlm.any():
        return [_row("auc", "model", own)]
    return [_row("auc", "model", own), _difference("auc", "model_minus_alone", model, alone, fixed=fixed, level=level)]


def _row(measure: str, kind: str, own: Estimate, **more: float) -> dict[str, object]:
    plain = {"se": math.nan, "df": math.nan, "p_value": math.nan} | more
    return {"measure": measure, "kind": kind, "value": own.value, "low": own.low, "high": own.high, **plain,
            "method": own.method, "note": own.note}  # fmt: skip


def _placed(seen: _Crossed, estimates: np.ndarray | None) -> Parts | None:
    """DeLong's placements of each reader's estimates."""
    if estimates is None:
        return None
    if seen.onlm.all() or not seen.onlm.any():
        nothing = np.full((len(estimates), 2), math.nan)
        return nothing, nothing
    none = pd.DataFrame()
    both = [placements(Labelled(none, seen.onlm, own, "", {})) for own in estimates]
    return np.array([e for e, _ in both]), np.array([o for _, o in both])


def _each(rows: pd.DataFrame, seen: _Crossed, *, threshold: float | None, level: float) -> pd.DataFrame:
    """A row a reader."""
    alone, after = _placed(seen, seen.alone), _placed(seen, seen.after)
    medians = _seconds(rows)
    found = []
    for i, reader in enumerate(seen.readers):
        said: dict[str, object] = {"reader_id": reader}
        for name, placed, estimates in (("alone", alone, seen.alone), ("with_model", after, seen.after)):
            one = None if placed is None else tuple(part[i : i + 1] for part in placed)
            own = Estimate(math.nan, level=level) if one is None else _own_area(one, level=level)
            said |= _limits(f"auc_{name}", own) | ({"auc_method": own.method} if name == "alone" else {})
            if threshold is not None:
                for measure, inside, called in (("sensitivity", seen.onlm, True), ("specificity", ~seen.onlm, False)):
                    right = [] if estimates is None else (estimates[i][inside] >= threshold) == called
                    rate = proportion(int(np.sum(right)), len(right), of="patients", level=level)
                    said |= _limits(f"{measure}_{name}", rate)
        said |= _own_difference(alone, after, i, level=level) | medians.get(reader, {}) | _moves(seen, i)
        found.append(said)
    return pd.DataFrame(found)


def _own_area(placed: Parts, *, level: float) -> Estimate:
    """One reader's AUC, the interval on the logit scale where that covers better."""
    event, nonevent = placed
    auc, variance = float(event.mean()), _variance(event) + _variance(nonevent)
    plain, logit = auc_intervals(auc, variance, level=level, why="both classes are needed")
    return logit if prefers_logit(event.shape[1], logit) else plain


def _own_difference(alone: Parts, after: Parts | None, i: int, *, level: float) -> dict[str, object]:
    """The paired DeLong difference of one reader."""
    if after is None:
        return {**_limits("auc_difference", Estimate(math.nan)), "p_value": math.nan}
    event, nonevent = (a[i] - b[i] for a, b in zip(after, alone, strict=True))
    se = math.sqrt(_variance(event) + _variance(nonevent))
    value = float(event.mean())
    if not se > 0:
        return {**_limits("auc_difference", Estimate(value)), "p_value": math.nan}
    return {**_limits("auc_difference", wald(value, se, level=level)), "p_value": float(normal_tails(value / se))}


def _variance(placed: np.ndarray) -> float:
    return float(np.var(placed, ddof=1)) / placed.size if placed.size > 1 else math.nan


def _limits(name: str, own: Estimate) -> dict[str, object]:
    return {name: own.value, f"{name}_low": own.low, f"{name}_high": own.high}


def _moves(seen: _Crossed, i: int) -> dict[str, object]:
    """How often the second estimate went to the truth, or away from it."""
    if seen.after is None:
        return {"n_toward": 0, "n_away": 0, "n_unmoved": 0}
    step = np.sign(seen.after[i] - seen.alone[i]) * np.where(seen.onlm, 1, -1)
    return {"n_toward": int((step > 0).sum()), "n_away": int((step < 0).sum()), "n_unmoved": int((step == 0).sum())}


def _seconds(rows: pd.DataFrame) -> dict[str, dict[str, object]]:
    """Each reader's median time a case, of all that was read."""
    names = [n for n in ("seconds_alone", "seconds_with_model") if n in rows.columns]
    if not names:
        return {}
    medians = rows.assign(reader_id=rows["reader_id"].astype(str)).groupby("reader_id")[names].median()
    return {str(reader): row.to_dict() for reader, row in medians.iterrows()}


def _notes(seen: _Crossed, fixed: bool) -> tuple[str, ...]:
    n_events, n_readers, said = int(seen.onlm.sum()), len(seen.readers), list(seen.notes)
    if n_readers == 1:
        said.append("one reader: the interval speaks for patients like these, not for other readers")
    elif fixed:
        said.append("fixed readers: the interval speaks for these readers, not for others")
    elif n_readers < FEW_READERS:
        said.append(f"{n_readers} readers: how much readers differ is hardly known from fewer than {FEW_READERS}")
    fewest = min(n_events, len(seen.onlm) - n_events)
    if fewest < FEW_EVENTS:
        word = "N+" if n_events <= len(seen.onlm) - n_events else "N0"
        said.append(f"{fewest} {word} patients: with fewer than {FEW_EVENTS} every AUC here is a rough guess")
    return tuple(said)

"""P(event by a day) of every patient, by a model of the outcome that never saw the patient: event_risk.csv.

The risk of N+ becomes the probability of an event by a Cox model (X_event) or Fine and Gray's (X_state), fitted within
the arm on the other folds. The risk goes in as it is, not as its logit: if N+ multiplies the hazard by r, a patient
with P(N+) = p has the hazard 1 + (r - 1) p times that of N0, which is nearer to a straight line in p on the log scale
than in logit p; and it is the scale of the hazard ratio that `cox` shows (per 10 percentage points).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product

import numpy as np
import pandas as pd

from onlm_lab.analysis.absolute_risk import EventModel, fit_events, read_method
from onlm_lab.analysis.arguments import columns_of, one_column, predictors_of, read_day, read_generator, read_horizons
from onlm_lab.analysis.covariates import design_matrix
from onlm_lab.analysis.endpoint import read_followup, sorted_levels
from onlm_lab.analysis.rows import models_in, one_row_a_patient, require_columns
from onlm_lab.errors import OnlmError

SEED = 2026  # of the folds dealt by chance, so that the same patients fall into the same folds in every model
COLUMNS = ["patient_id", "model_id", "endpoint", "horizon_days", "event_risk", "fold", "method", "note"]
YEARS_DAYS = (365, 730, 1095, 1826)
TEACHES_NOBODY = ("test", "external")
WORDS = {"cox": "Cox", "fine_gray": "Fine-Gray", "cause_specific": "cause-specific Cox"}


def event_risk(
    rows: pd.DataFrame,
    *,
    endpoint: str,
    horizons_days: Sequence[float],
    covariates: Sequence[str] = ("risk",),
    method: str | None = None,
    folds: str | None = None,
    n_folds: int = 5,
    by: str | None = "arm",
    model: str | None = None,
    generator: np.random.Generator | None = None,
) -> pd.DataFrame:
    """Each patient's probability of the event by each horizon, from a model fitted without the patient's fold.

    Folds are the rows' own where they have a `fold`, so that nobody who taught the risk of a patient together with that
    patient is in the same part; others are dealt by chance, evenly over the states of the endpoint. Patients of a
    testing set (split "test" or "external", or operated in a centre or year that is held out) teach nobody: they get
    what all patients of development teach, and their fold is missing.

    Args:
        rows: one row a patient with the endpoint's columns and the covariates; `onlm` is not needed. A patient whose
            outcome is unknown is told a probability and teaches nobody.
        endpoint: such as "os" or "regional".
        horizons_days: days after time zero.
        covariates: what the probability is made of; the risk counts in percentage points, not as its logit.
        method: "cox"; where events compete "fine_gray" or "cause_specific". None: the first that fits the endpoint.
        folds: a column of fold numbers; None: `fold` where the rows have it.
        n_folds: into how many parts patients without a fold are dealt.
        by: a column within whose groups all is done, as hazards differ between arms; not there, or None: all together.
        model: whose rows to take when the table holds several models.
        generator: deals the folds; None: always the same way, whatever the order of the rows.

    Returns:
        patient_id, model_id, endpoint, horizon_days, event_risk, fold, method, note (and `by`): a row a patient and
        horizon. NaN, with the reason, where the others had too few events or were not followed so long.

    Raises:
        OnlmError: a covariate that is absent or no predictor, a method that does not go with the endpoint, fewer than
            two folds.

    Example:
        >>> rng = np.random.default_rng(1)
        >>> risk = rng.uniform(size=300)
        >>> rows = pd.DataFrame({"patient_id": range(300), "risk": risk, "os_event": 1,
        ...                      "os_days": rng.exponential(1000 * np.exp(-2 * risk))})
        >>> told = event_risk(rows, endpoint="os", horizons_days=[365])
        >>> bool(told["event_risk"].corr(told["patient_id"].map(dict(enumerate(risk)))) > 0.9)
        True
    """
    horizons = read_horizons(horizons_days)
    method = read_method(rows, endpoint=endpoint, method=method)
    covariates = predictors_of(covariates, endpoint=endpoint)
    by, folds = one_column(by, word="by"), one_column(folds, word="folds")
    rows, model_id = one_row_a_patient(rows, model=model)
    require_columns(rows, [*covariates, *([folds] if folds else [])])
    if isinstance(n_folds, bool) or not isinstance(n_folds, int) or n_folds < 2:
        raise OnlmError(f"event_risk needs n_folds of at least 2, got {n_folds!r}.")
    by = by if by is not None and by in rows.columns else None
    rows = rows.reset_index(drop=True)
    days, state = _outcome(rows, endpoint)
    x, unknown = _coded(rows, covariates)
    group, names = _groups(rows, by)
    own, teaches = _own_folds(rows, folds), _teaches(rows, group)
    able = teaches & (state >= 0) & ~unknown
    risk, fold = np.full((len(rows), len(horizons)), np.nan), np.full(len(rows), -1)
    note = np.full(risk.shape, "", dtype=object)
    generator = read_generator(generator, seed=SEED)
    ids = rows["patient_id"].astype(str).to_numpy()
    for number in range(len(names)):
        inside = np.flatnonzero(group == number)
        fold[inside] = _deal(ids[inside], own[inside], state[inside], teaches[inside], n_folds, generator)
        refused = np.full(len(horizons), "", dtype=object)
        for value in np.unique(fold[inside]):
            told, taught = inside[fold[inside] == value], inside[able[inside] & (fold[inside] != value)]
            risk[told], note[told], why = _told(x, days, state, told, taught, horizons=horizons, method=method)
            refused = np.where(refused == "", why, refused)
        _all_or_nobody(risk, note, inside, refused)
    note[unknown] = "a covariate is missing"
    ungrouped = group < 0
    note[ungrouped] = f"{by} missing"
    return _table(rows, horizons, risk, fold, note, model_id=model_id, endpoint=endpoint, by=by,
                  method=f"{WORDS[method]} on {', '.join(covariates)}, cross-fitted")  # fmt: skip


def event_risk_table(
    rows: pd.DataFrame,
    *,
    endpoints: Iterable[str],
    horizon_days: float,
    horizons_days: Iterable[float] = YEARS_DAYS,
    covariates: Sequence[str] = ("risk",),
    n_folds: int = 5,
    by: str | None = "arm",
) -> pd.DataFrame:
    """The event risks of every model, endpoint and horizon, as event_risk.csv holds them.

    Endpoints that the rows do not have are left out, and so are further horizons to which nobody can be told anything;
    the study's own horizon stays, with the reason.

    Args:
        rows: one row a patient and model.
        endpoints: those of the study.
        horizon_days: the study's horizon.
        horizons_days: further ones, where patients are followed so long.
        covariates, n_folds, by: as in event_risk.
    """
    found = []
    own = read_day(horizon_days, name="horizon_days")
    further = list(horizons_days) if isinstance(horizons_days, (list, tuple)) else horizons_days
    horizons = sorted({own} if isinstance(further, list) and not further else {own, *read_horizons(further)})
    several = isinstance(endpoints, Iterable) and not isinstance(endpoints, str)
    names = columns_of(list(endpoints) if several else [endpoints], word="endpoints", least=0, such_as="os")
    for model, endpoint in product(models_in(rows), names):
        if f"{endpoint}_days" not in rows or not {f"{endpoint}_event", f"{endpoint}_state"} & set(rows.columns):
            continue
        one = one_row_a_patient(rows, model=model)[0]
        if pd.to_numeric(one[f"{endpoint}_days"], errors="coerce").notna().sum() == 0:
            continue  # nobody's outcome is known
        told = event_risk(one, endpoint=endpoint, horizons_days=horizons, covariates=covariates, n_folds=n_folds, by=by)
        empty = told.groupby("horizon_days")["event_risk"].count() == 0
        left_out = [h for h in empty[empty].index if h != own]
        found.append(told[~told["horizon_days"].isin(left_out)])
    if not found:
        return pd.DataFrame(columns=COLUMNS)
    return pd.concat(found, ignore_index=True)


def _outcome(rows: pd.DataFrame, endpoint: str) -> tuple[np.ndarray, np.ndarray]:
    """Each row's days and state of the endpoint; state -1 where it is unknown."""
    known = read_followup(rows.assign(_at=rows.index), endpoint=endpoint)
    at = known.rows["_at"].to_numpy()
    days, state = np.full(len(rows), np.nan), np.full(len(rows), -1)
    days[at], state[at] = known.days, known.state
    return days, state


def _coded(rows: pd.DataFrame, covariates: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """The covariates as numbers (NaN where one is missing), and in whom one is missing."""
    unknown = rows[covariates].isna().any(axis=1).to_numpy()
    if unknown.all():
        raise OnlmError(f"rows: none of the {len(rows)} patients has {' and '.join(covariates)}.")
    known = rows.loc[~unknown, covariates]
    if len(covariates) == 1 and known[covariates[0]].nunique() == 1:
        return np.zeros((len(rows), 1)), unknown  # tells nobody apart: a result, not a fault of the table
    coded = design_matrix(known, covariates=covariates, stratum=np.zeros(len(known), dtype=int)).x
    x = np.full((len(rows), coded.shape[1]), np.nan)
    x[~unknown] = coded
    return x, unknown


def _groups(rows: pd.DataFrame, by: str | None) -> tuple[np.ndarray, list[str]]:
    """Each row's group number (-1: missing) and the groups' names."""
    if by is None:
        return np.zeros(len(rows), dtype=int), ["all"]
    levels, _ = sorted_levels(rows[by])
    numbers = {level: i for i, level in enumerate(levels)}
    return rows[by].map(numbers).fillna(-1).to_numpy(dtype=int), [str(v) for v in levels]


def _teaches(rows: pd.DataFrame, group: np.ndarray) -> np.ndarray:
    """Who may be in a fit: nobody of a testing set, but where a group has nobody else."""
    apart = np.zeros(len(rows), dtype=bool)
    if "split" in rows.columns:
        apart = rows["split"].isin(TEACHES_NOBODY).to_numpy()
        if {"part", "arm"} <= set(rows.columns):
            held = rows["part"].isin(["external", "temporal"]) & (rows["arm"] != "sbrt")
            apart = apart | ((rows["split"] == "unlabelled") & held).to_numpy()
    teaches = ~apart
    for number in np.unique(group):
        inside = group == number
        if not teaches[inside].any():
            teaches[inside] = True
    return teaches


def _own_folds(rows: pd.DataFrame, folds: str | None) -> np.ndarray:
    """The fold numbers that the rows bring, -1 where they bring none."""
    column = folds or ("fold" if "fold" in rows.columns else None)
    if column is None:
        return np.full(len(rows), -1)
    number = pd.to_numeric(rows[column], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    wrong = (np.isnan(number) & rows[column].notna().to_numpy()) | (number < 0) | (number % 1 > 0)
    if wrong.any():
        raise OnlmError(f"rows: '{column}' must hold fold numbers from 0, but {int(wrong.sum())} rows do not.")
    return np.where(np.isnan(number), -1, number).astype(int)


def _deal(
    ids: np.ndarray, own: np.ndarray, state: np.ndarray, teaches: np.ndarray, n_folds: int,
    generator: np.random.Generator,
) -> np.ndarray:  # fmt: skip
    """Each patient's fold: the own one, else one by chance, evenly over the states; -1 for those who teach nobody."""
    dealt = np.where(teaches, own, -1)
    known = np.unique(dealt[dealt >= 0])
    numbers = known if len(known) > 1 else np.arange(n_folds)
    free = np.flatnonzero(teaches & ((dealt < 0) | (len(known) == 1)))
    free = free[np.argsort(ids[free], kind="stable")]  # the order of the table does not matter
    free = free[generator.permutation(len(free))]
    free = free[np.argsort(state[free], kind="stable")]
    dealt[free] = numbers[np.arange(len(free)) % len(numbers)]
    return dealt


def _told(
    x: np.ndarray, days: np.ndarray, state: np.ndarray, told: np.ndarray, taught: np.ndarray, *,
    horizons: list[float], method: str,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Probabilities (patients, horizons) of some patients, taught by others and by them alone; a note for those who
    cannot be told, and for each horizon why nobody can."""
    if np.intersect1d(told, taught).size:
        raise OnlmError("event_risk: a patient stands among those who teach that patient's own probability.")
    risk, nothing = np.full((len(told), len(horizons)), np.nan), np.full((len(told), len(horizons)), "", dtype=object)
    lesson = x[taught]
    varies = np.ptp(lesson, axis=0) > 0 if len(taught) else np.zeros(x.shape[1], dtype=bool)
    why = _no_lesson(lesson[:, varies])
    model = (
        EventModel((), why=why) if why else fit_events(lesson[:, varies], days[taught], state[taught], method=method)
    )
    if model.why:
        return risk, nothing, np.full(len(horizons), model.why, dtype=object)
    risk = model.probability(x[told][:, varies], np.array(horizons))
    strange = (x[told][:, ~varies] != lesson[0, ~varies]).any(axis=1)  # of a category that nobody else has
    risk[strange], nothing[strange] = np.nan, "of a category that nobody who teaches has"
    last = model.last_day()
    return (
        risk,
        nothing,
        np.array([f"followed to day {last:g} only" if h > last else "" for h in horizons], dtype=object),
    )


def _no_lesson(x: np.ndarray) -> str:
    """Why covariates teach nothing; empty where they do."""
    if not len(x):
        return "nobody else teaches"
    if not x.shape[1]:
        return "the covariates are the same in all who teach"
    follows = np.linalg.matrix_rank((x - x.mean(axis=0)) / x.std(axis=0)) < x.shape[1]
    return "in those who teach, one covariate follows from the others" if follows else ""


def _all_or_nobody(risk: np.ndarray, note: np.ndarray, inside: np.ndarray, refused: np.ndarray) -> None:
    """Where one fold cannot be told anything at a horizon, none is: which folds can depends on the outcomes of those
    inside, and a measure of the rest would be of chosen patients."""
    for h in np.flatnonzero(refused != ""):
        risk[inside, h], note[inside, h] = np.nan, refused[h]


def _table(
    rows: pd.DataFrame, horizons: list[float], risk: np.ndarray, fold: np.ndarray, note: np.ndarray, *, model_id: str,
    endpoint: str, by: str | None, method: str,
) -> pd.DataFrame:  # fmt: skip
    k = len(horizons)
    table = pd.DataFrame(
        {
            "patient_id": np.repeat(rows["patient_id"].to_numpy(), k),
            "model_id": model_id,
            "endpoint": endpoint,
            "horizon_days": np.tile(horizons, len(rows)),
            "event_risk": risk.ravel(),
            "fold": pd.array(np.repeat(np.maximum(fold, 0), k), dtype="Int64"),
            "method": method,
            "note": note.ravel(),
        }
    )
    table.loc[np.repeat(fold < 0, k), "fold"] = pd.NA
    return table if by is None else table.assign(**{by: np.repeat(rows[by].to_numpy(), k)})
